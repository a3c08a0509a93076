"""Every data folder in tests/golden, written by a logd of its day, is read by this one: events, issues, counts, keys."""
import glob, json, os, re, sys, tarfile

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [os.path.join(TESTS, "lib"), os.path.join(TESTS, "golden")]
import make
from logd import Logd, eventually, run

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


run(globals())
