"""Every data folder in tests/golden, written by a logd of its day, is read by this one: events, issues, counts, keys."""
import glob, json, os, re, sqlite3, sys, tarfile

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [os.path.join(TESTS, "lib"), os.path.join(TESTS, "golden")]
import make
from logd import Logd, Skip, eventually, run

GOLDEN = sorted(glob.glob(os.path.join(TESTS, "golden", "data-*.json")))


def opened(name):
    """A logd on a copy of that folder, and what it must answer."""
    logd = Logd(make.CONFIG)
    with tarfile.open(name.replace(".json", ".tar.xz")) as tar:
        tar.extractall(logd.data)
    with open(name) as f:
        return logd, json.load(f)


def check(logd, want):
    got = make.answers(logd, want["key"])
    for q, rows in want["queries"].items():
        assert got["queries"][q] == rows, (q, got["queries"][q], rows)
    assert got["issues"] == want["issues"], got["issues"]
    assert got["stats"] == want["stats"], got["stats"]
    assert not re.search("left out|damaged|corrupt", logd.log()), logd.log()


def test_each_golden_folder_answers_as_it_did_before_and_after_its_head_is_sealed():
    assert GOLDEN
    for name in GOLDEN:
        logd, want = opened(name)
        assert want["queries"][""]["rows"] > 400 and want["issues"] and want["stats"]["pic.upload"]
        with logd:
            check(logd, want)
            logd.seal()
            check(logd, want)
            logd.kill9_and_restart()
            check(logd, want)


MAIL = "mail: {url: 'sendmail:/bin/true', from: a@example.com}\nrecipients: [{email: b@example.com, min: P5}]\n"


def test_indexes_that_came_later_are_made():
    """A fold.db of the version before, without them."""
    with Logd(config=MAIL, rules="rules:\n- id: all\n  why: x\n  when: '*'\n  rank: P5\n") as logd:
        logd.stop()
        db = sqlite3.connect(os.path.join(logd.data, "fold.db"))
        if db.execute("PRAGMA user_version").fetchone() != (20,):
            raise Skip("steps came after the one that makes the indexes, and cannot be taken twice")
        db.executescript("DROP INDEX strand_issue; DROP INDEX strand_open; DROP TABLE issue_cause; PRAGMA user_version = 17")
        db.close()
        logd.start()
        logd.post("/v1/events", {"level": "error", "type": "x"})
        eventually(lambda: logd.get("/v1/incidents").json()["incidents"], "the event is looked at")


run(globals())
