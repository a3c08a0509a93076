"""How many different people, without keeping who: numbers by hour to month, who comes again leaves no trace, periods are sealed, what is small is
joined, a lost secret is told as a range; the archive gets numbers only."""
import glob, hashlib, json, os, shutil, sqlite3, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import eventually, run
from visitors import DAY, HOUR, Server, near, unpacked

def test_people_are_counted_by_hour_day_week_and_month_and_survive_kill9():
    with Server() as logd:
        assert logd.visit(range(1000))["accepted"] == 1000
        logd.visit(range(500, 1500), {"plan": "free"})
        for _ in range(2):
            for by in ("hour", "day", "week", "month", "year"):
                p = logd.point(by)
                assert near(p["value"], 1500) and p["low"] <= p["value"] <= p["high"] and p["open"], (by, p)
                assert near(logd.point(by, "&label.plan=free")["value"], 1000)
            assert near(logd.groups("day")["free"], 1000)
            listed = {json.dumps(s["labels"]): s["last"] for s in logd.get("/v1/stats", key="read").json()["stats"]}
            assert near(listed["{}"], 1500) and near(listed['{"plan": "free"}'], 1000), listed
            logd.kill9_and_restart()


def test_an_id_may_be_a_text_or_a_number_and_is_told_in_no_error():
    with Server() as logd:
        for value, said in [("", "expected an id of 1 to 256 bytes, got 0 bytes"), ("x" * 257, "expected an id of 1 to 256 bytes, got 257 bytes"),
                            (1.5, "expected an id, as text or a whole number, got a broken number"), (["ann"], "expected an id, as text or a whole number, got something else")]:
            r = logd.post("/v1/stats", {"name": "visitors", "type": "unique", "value": value})
            assert r.status == 400 and r.json()["pointer"] == "/value" and r.json()["error"] == said, r
        r = logd.post("/v1/stats", {"name": "visitors", "type": "unique"})
        assert r.json()["error"] == "expected an id, as text or a whole number, got nothing", r
        for bad in ({"type": "count"}, {"labels": {"who": "ann@example.com"}}, {"colour": 1}, {"time": "noon"}, {"name": "?"}):
            r = logd.post("/v1/stats", dict({"name": "v", "type": "unique", "value": "secret-ann"}, **bad))
            assert r.status == 400 and "ann" not in r.text, r
        r = logd.post("/v1/stats", '{"name":"v","type":"unique","value":"secret-ann",}')
        assert r.status == 400 and "ann" not in r.text, r
        assert logd.post("/v1/stats", "\n".join('{"name":"visitors","type":"unique","value":%s}' % v for v in ('7', '"7"', '"\\u0037"', '-0', '0', '8', '9', '10', '11'))).json()["accepted"] == 9
        assert logd.point("day")["value"] in (5, 6)  # two of them may share a place, once in 1,600
        assert logd.post("/v1/stats", {"name": "visitors"}).json()["error"] == "visitors is of type unique, got count"
        for q, said in [("by=minute", 'by: expected hour, day, week, month or year for a unique, got "minute"'),
                        ("label.a=1&label.b=2", "label: expected one label for a unique, as label.NAME or as group, got more")]:
            r = logd.get("/v1/stats/visitors?" + q, key="read")
            assert r.status == 400 and r.json()["error"] == said, r


def test_who_comes_again_leaves_nothing_in_the_journal():
    with Server() as logd:
        logd.visit(range(700), {"plan": "free"})
        before = logd.journal()
        assert b"visitors" in before and b"person" not in before
        for _ in range(2):
            logd.visit(range(700), {"plan": "free"})
            logd.visit([5])
            assert logd.journal() == before
            logd.kill9_and_restart()
        logd.advance(HOUR)
        logd.visit([5])
        assert len(logd.journal()) - len(before) == 72 + 28 + 8 + 4, "the new hour's place, and no other"


def test_who_comes_again_is_known_from_the_journal_alone():
    with Server() as logd:
        logd.visit(range(700), {"plan": "free"})
        before = logd.journal()
        logd.kill9()
        for path in glob.glob(os.path.join(logd.data, "fold.db*")):
            os.unlink(path)
        logd.start()
        logd.visit(range(700), {"plan": "free"})
        assert logd.journal() == before


def test_a_period_is_sealed_and_small_cells_are_joined():
    with Server() as logd:
        for plan, people in {"free": range(100), "pro": range(100, 120), "team": range(120, 127), "trial": range(127, 130)}.items():
            logd.visit(people, {"plan": plan})
        assert logd.groups("hour")["trial"] is None and logd.point("hour", "&label.plan=trial") == dict(logd.point("hour", "&label.plan=trial"), value=None, below=5)
        def values():
            return [logd.point(by)["value"] for by in ("day", "week", "month")]
        open_now = values()
        assert len(logd.secrets()) == 4
        whole = logd.point("hour")["value"]
        logd.to_seal("hour")
        for _ in range(2):  # whatever is asked again says the same
            assert logd.point("hour")["value"] == whole
            g = logd.groups("hour")
            assert set(g) == {"free", "pro", "__other__"} and near(g["free"], 100) and near(g["pro"], 20) and near(g["__other__"], 10), g
            assert logd.points("hour", "&label.plan=trial") == [] and logd.points("hour", "&label.plan=team") == []
            assert values() == open_now
            logd.kill9_and_restart()
            logd.advance(2 * HOUR + 10)
        assert 1 <= len(logd.secrets()) <= 3 and not any(s.startswith("3600-") for s in logd.secrets())


def test_late_ids_count_for_what_is_open_and_are_told():
    with Server() as logd:
        logd.visit(range(50))
        logd.to_seal("hour")
        hour = logd.point("hour")
        late = (logd.now() // HOUR) * HOUR
        logd.visit(range(50, 100), time=late)
        assert logd.points("hour") == [hour] and near(logd.points("month")[-1]["value"], 100)
        assert "logd_unique_late_total 50\n" in logd.get("/metrics").text
        logd.visit(range(10), time=logd.now() - 100 * DAY)
        assert logd.points("hour") == [hour] and "logd_unique_late_total 60\n" in logd.get("/metrics").text
        dropped = logd.get("/v1/status").json()["dropped"]
        assert (dropped["unique_late"], dropped["unique_crowded"]) == (60, 0)


def test_a_lost_secret_makes_an_honest_range():
    with Server() as logd:
        logd.visit(range(400), {"plan": "free"})
        logd.kill9()
        shutil.rmtree(glob.glob(logd.runtime + "/*")[0])  # as a reboot does
        logd.start()
        assert near(logd.point("day")["value"], 400)
        logd.visit(range(300, 700), {"plan": "free"})
        for more in ("", "&label.plan=free"):
            p = logd.point("day", more)
            assert near(p["low"], 400) and near(p["high"], 800) and p["low"] <= 700 <= p["high"], p
        before = logd.point("day")
        logd.to_seal("day")
        assert logd.point("day") == {k: v for k, v in before.items() if k != "open"}


def test_a_disk_or_a_folder_of_others_gets_no_secret():
    with Server() as logd:
        eventually(lambda: "what=\"secrets of unique counts\" folder=\"" + logd.runtime in logd.log(), "it is said where they are")
        logd.stop()
        logd.env["XDG_RUNTIME_DIR"] = logd.folder  # on a disk
        os.chmod(logd.runtime, 0o777)
        logd.start()
        logd.visit(range(10))
        assert near(logd.point("day")["value"], 10) and logd.secrets() == []
        eventually(lambda: logd.log().count("folder=\"/dev/shm/logd-%d/" % os.getuid()) == 1, "that too")
        logd.advance(400 * DAY)
        eventually(lambda: not glob.glob("/dev/shm/logd-%d/unique-%s/*" % (os.getuid(), hashlib.sha256(os.path.realpath(logd.data).encode()).hexdigest()[:16])), "its secrets are gone", 15)


def test_what_is_published_has_noise_that_stays():
    with Server(config="unique: {noise: 0.1}\n") as logd:
        logd.visit(range(500))
        assert logd.points("hour", "&noised=1") == []
        logd.to_seal("hour")
        public = logd.point("hour", "&noised=1")
        assert public["noised"] and set(public) == {"time", "value", "noised"} and abs(public["value"] - 500) < 200, public
        logd.kill9_and_restart()
        assert logd.point("hour", "&noised=1") == public and near(logd.point("hour")["value"], 500)
    with Server() as logd:
        r = logd.get("/v1/stats/visitors?noised=1", key="read")
        assert r.status == 400 and r.json()["error"] == "noised: expected unique.noise in the config, and there is none", r


# ---- repeats ----

def test_a_repeat_is_a_no_op_and_no_hash_of_its_body_is_kept():
    with Server() as logd:
        body = json.dumps({"name": "visitors", "type": "unique", "value": "ann@example.com"})
        both = body + '\n{"name":"hits"}'

        def post(text, key):
            return logd.post("/v1/stats", text, headers={"Idempotency-Key": key})
        assert post(body, "k1").json() == {"accepted": 1, "duplicates": 0, "rejected": 0, "errors": []}
        assert post(both, "k2").json()["accepted"] == 2
        logd.kill9_and_restart()
        written = logd.journal()
        assert post(body, "k1").json()["duplicate"] is True and post(both, "k2").json()["duplicate"] is True
        assert post(body.replace("ann", "bob"), "k1").status == 409 and post(both + both, "k2").status == 409
        assert logd.journal() == written
        assert logd.get("/v1/stats/hits?by=day", key="read").json()["total"] == 1
        for text in (body, both):
            for algorithm in ("sha256", "sha1", "md5"):
                assert hashlib.new(algorithm, text.encode()).digest()[:16] not in written
        assert hashlib.sha256(b'{"name":"hits"}').digest()[:16] not in written
        assert post('{"name":"hits"}', "k3").status == 200 and hashlib.sha256(b'{"name":"hits"}').digest()[:16] in logd.journal(), "the hunt finds what is there"


def test_a_repeat_after_its_day_is_still_one():
    with Server() as logd:
        body = json.dumps({"name": "visitors", "type": "unique", "value": "ann"})
        assert logd.post("/v1/stats", body, headers={"Idempotency-Key": "k"}).status == 200
        logd.advance(DAY - 2)
        r = logd.post("/v1/stats", body, headers={"Idempotency-Key": "k"})
        assert r.status == 200 and r.json()["duplicate"] is True and len(logd.points("day")) == 1, (r, logd.points("day"))


# ---- the archive ----

def test_an_archive_has_no_place_and_no_sketch_and_a_restored_server_gives_a_range():
    with Server() as logd:
        archive = os.path.join(logd.folder, "archive")
        logd.configure(f'archive: {{url: "file://{archive}", every: 1s}}\n')
        logd.restart()

        def shipped():
            p = logd.status()["positions"]
            return p["archive"] >= p["journal"]
        logd.post("/v1/events", {"message": "one"})
        logd.visit(range(300), {"plan": "free"})
        logd.post("/v1/events", {"message": "two"})
        eventually(shipped, "it is shipped")
        logd.visit(range(300, 400))
        eventually(shipped, "the rest too")
        logd.command("archive", "ship")
        assert b"visitors" in logd.journal()
        assert logd.command("archive", "verify").returncode == 0
        pieces = [unpacked(p) for p in glob.glob(archive + "/journal/*")]
        assert pieces and not any(b"visitors" in p for p in pieces)
        (state,) = glob.glob(archive + "/state/fold.db*")
        copy = os.path.join(logd.folder, "copy.db")
        with open(copy, "wb") as f:
            f.write(unpacked(state))
        with sqlite3.connect(copy) as db:
            assert db.execute("SELECT count(*), count(sketch), max(segment) < 0 FROM unique_open").fetchone()[1:] == (0, 1)
            assert near(db.execute("SELECT max(value) FROM unique_open WHERE step = 86400").fetchone()[0], 400)
        live = sqlite3.connect(logd.data + "/fold.db")
        (sketch,) = live.execute("SELECT sketch FROM unique_open WHERE step = 2592000 ORDER BY value DESC").fetchone()
        live.close()
        assert len(sketch) > 200 and sketch[8:72] not in open(copy, "rb").read()
        logd.kill9()
        shutil.rmtree(logd.data)
        shutil.rmtree(logd.runtime)
        os.mkdir(logd.runtime)
        done = subprocess.run([logd.binary, "restore", "--from", "file://" + archive, "--data", logd.data], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        logd.start()
        assert "corrupt" not in logd.log() and logd.count("one") == 1 and logd.count("two") == 1
        assert near(logd.point("day")["value"], 400)
        logd.visit(range(350, 450))
        p = logd.point("day")
        assert near(p["low"], 400) and near(p["high"], 500), p
        logd.to_seal("day")
        assert logd.point("day")["low"] == p["low"] and logd.point("day")["high"] == p["high"]


if __name__ == "__main__":
    run(globals())
