"""The archive in a folder: shipped, verified, damaged and told, restored; readable without logd; two servers are fenced."""
import glob, json, os, shutil, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run


def config(folder):
    return f'archive: {{url: "file://{folder}", every: 1s}}\nretention: {{days: 36500}}\n'


def shipped(logd):
    p = logd.status()["positions"]
    return p["archive"] >= p["journal"]


def restore(logd, archive, data, *more):
    return subprocess.run([logd.binary, "restore", "--from", "file://" + archive, "--data", data, *more], capture_output=True, text=True, timeout=60)


def test_what_was_shipped_is_restored_with_ids_keys_and_issues():
    with Logd() as logd:
        archive = os.path.join(logd.folder, "archive")
        logd.configure(config(archive))
        logd.restart()
        key = logd.key("ingest")
        logd.post("/v1/events", [{"message": f"sealed {i}", "level": "error", "time": f"2026-0{1 + i % 3}-01T00:00:00Z"} for i in range(300)])
        logd.post("/v1/events", {"message": "of another app"}, key=logd.key("ingest", "api"))
        logd.seal()
        logd.post("/v1/events", {"message": "tail", "event_id": "t1"}, headers={"Idempotency-Key": "k1"})
        logd.post("/v1/stats", {"name": "pic.upload", "value": 5})
        eventually(lambda: shipped(logd) and glob.glob(archive + "/events/app=api/*/*"), "all is shipped")
        rows = sorted(logd.query(""), key=lambda r: r["id"])
        issues = logd.get("/v1/issues").json()
        listed = logd.command("archive", "list").stdout
        assert "events/app=shop/date=2026-01-01" in listed, listed
        verified = logd.command("archive", "verify")
        assert verified.returncode == 0, verified
        # readable without logd: zstd and JSON lines, one file an app and day
        lines = subprocess.run("zstdcat " + " ".join(sorted(glob.glob(archive + "/events/*/*/*.zst"))), shell=True, capture_output=True, text=True).stdout.splitlines()
        assert len(lines) == 301 and all(json.loads(line)["id"] for line in lines)
        logd.command("archive", "ship")  # keys that were made since
        logd.kill9()
        shutil.rmtree(logd.data)
        done = restore(logd, archive, logd.data)
        assert done.returncode == 0 and "done:" in done.stdout, done
        logd.start()
        assert sorted(logd.query(""), key=lambda r: r["id"]) == rows
        assert logd.get("/v1/issues").json() == issues
        assert logd.get("/v1/stats/pic.upload?by=day&from=-1d", key="read").json()["total"] == 5
        again = logd.post("/v1/events", {"message": "tail", "event_id": "t1"}, headers={"Idempotency-Key": "k1"}, key=key)
        assert again.json().get("duplicate") is True, again
        assert logd.post("/v1/events", {"message": "tail", "event_id": "t1"}, key=key).json()["duplicates"] == 1
        assert restore(logd, archive, logd.data).returncode == 1, "a folder that is not empty is refused"


def damage(path):
    with open(path, "r+b") as f:
        f.seek(20)
        f.write(b"\xff\x00\xff")


def three_days(logd, archive):
    """An archive of three segments, a day each, and a tail, of a server that has stopped."""
    logd.configure(config(archive))
    logd.restart()
    for day in (1, 2, 3):
        logd.post("/v1/events", [{"message": f"m{i}", "day": day, "time": f"2026-10-0{day}T00:00:00Z"} for i in range(100 * day)])
        logd.seal()
        eventually(lambda: shipped(logd) and glob.glob(archive + f"/events/*/date=2026-10-0{day}/*"), "the day is shipped")
    logd.post("/v1/events", {"message": "tail"})
    eventually(lambda: shipped(logd), "the tail too")
    logd.stop()


def test_damage_is_found_and_told_and_nothing_half_stays():
    with Logd() as logd:
        archive, new = os.path.join(logd.folder, "archive"), os.path.join(logd.folder, "new")
        three_days(logd, archive)
        path = glob.glob(archive + "/events/*/date=2026-10-02/*")[0]
        damage(path)
        logd.start()
        done = logd.command("archive", "verify", check=False)
        assert done.returncode == 1 and os.path.basename(path) in done.stdout + done.stderr, done
        done = restore(logd, archive, new)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert f"'{os.path.relpath(path, archive)}' is damaged" in done.stderr and "lost: 200 events of records 2-2" in done.stderr, done
        assert "nothing was restored: --skip-damaged takes the rest" in done.stderr and os.listdir(new) == [], (done, os.listdir(new))


def test_the_rest_of_a_damaged_archive_is_taken_when_asked():
    with Logd() as logd:
        archive, new = os.path.join(logd.folder, "archive"), os.path.join(logd.folder, "new")
        three_days(logd, archive)
        damage(glob.glob(archive + "/events/*/date=2026-10-02/*")[0])
        os.remove(glob.glob(archive + "/events/*/date=2026-10-01/*")[0])
        done = restore(logd, archive, new, "--skip-damaged")
        assert done.returncode == 0 and done.stdout.count("missing: '") == 2 and "objects, 300 events; start it" in done.stdout, done
        shutil.rmtree(logd.data)
        os.rename(new, logd.data)
        logd.start()
        assert logd.count("day=3") == 300 and logd.count("day=2") == 0 and logd.count("tail") == 1
        logd.post("/v1/events", {"message": "goes on"})
        eventually(lambda: shipped(logd), "it ships on, to the same archive")
        logd.kill9_and_restart()
        assert logd.count("day=3") == 300 and logd.count("goes on") == 1


def test_whatever_is_damaged_the_rest_starts():
    """Each object of the archive in turn, then all of them."""
    with Logd() as logd:
        archive, copy = os.path.join(logd.folder, "archive"), os.path.join(logd.folder, "copy")
        three_days(logd, archive)
        paths = sorted(p for p in glob.glob(archive + "/**", recursive=True) if os.path.isfile(p) and "manifest" not in p)
        assert {os.path.relpath(p, archive).split("/")[0] for p in paths} == {"events", "journal", "state"}, paths
        for bad in [[p] for p in paths] + [paths]:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.rmtree(logd.data, ignore_errors=True)
            shutil.copytree(archive, copy)
            for path in bad:
                damage(os.path.join(copy, os.path.relpath(path, archive)))
            done = restore(logd, copy, logd.data, "--skip-damaged")
            assert done.returncode == 0 and done.stdout.count("missing: '") == len(bad), done
            lost_apps = any("logd.db" in path for path in bad)
            logd.keys = {} if lost_apps else {("app", "shop"): True}
            logd.configure(config(copy))
            logd.start()
            of_day = [logd.count(f"day={day}") for day in (1, 2, 3)]
            assert len(bad) > 1 or sum(of_day) >= 300, (bad, of_day)
            assert logd.post("/v1/events", {"message": "goes on"}).status == 200 and logd.count("goes on") == 1
            if not lost_apps:
                eventually(lambda: shipped(logd), "it ships on")
            else:
                eventually(lambda: "belongs to another logd" in logd.log(), "without its secret it is another server")
                assert "1001" in logd.command("app", "list").stdout, "no app gets the number of a lost one"
            logd.stop()


def test_a_restore_that_was_killed_is_not_taken_for_whole():
    with Logd() as logd:
        archive, new = os.path.join(logd.folder, "archive"), os.path.join(logd.folder, "new")
        logd.configure(config(archive))
        logd.restart()
        logd.post("/v1/events", {"message": "m"})
        eventually(lambda: shipped(logd), "it is shipped")
        logd.stop()
        piece = glob.glob(archive + "/journal/*")[0]
        os.rename(piece, piece + ".away")
        os.mkfifo(piece)  # nobody writes to it: the restore waits there
        half = subprocess.Popen([logd.binary, "restore", "--from", "file://" + archive, "--data", new], stdout=subprocess.DEVNULL)
        eventually(lambda: os.path.exists(new + "/segments"), "it has begun")
        half.kill()
        half.wait()
        for args in (["serve", "--config", logd.config_path, "--listen", "127.0.0.1:0"], ["app", "list"]):
            done = subprocess.run([logd.binary, *args, "--data", new], capture_output=True, text=True, timeout=60)
            assert done.returncode == 1 and f"'{new}' holds a restore that did not end: empty it and restore again" in done.stderr, done
        os.rename(piece + ".away", piece)
        shutil.rmtree(new)
        assert restore(logd, archive, new).returncode == 0
        assert "m" in subprocess.run([logd.binary, "query", "m", "--data", new], capture_output=True, text=True).stdout


def test_a_folder_that_was_set_back_does_not_ship_over_its_archive():
    with Logd() as logd:
        archive, old = os.path.join(logd.folder, "archive"), os.path.join(logd.folder, "old")
        logd.configure(config(archive))
        logd.restart()
        logd.post("/v1/events", {"message": "one"})
        eventually(lambda: shipped(logd), "it is shipped")
        logd.stop()
        shutil.copytree(logd.data, old)
        logd.start()
        logd.post("/v1/events", {"message": "two"})
        eventually(lambda: shipped(logd), "the second too")
        logd.stop()
        shutil.rmtree(logd.data)
        os.rename(old, logd.data)
        logd.start()
        eventually(lambda: "the archive is ahead of this data folder, at record 2 to 1: restore from it, or use another prefix" in logd.log(), "the refusal is said")
        done = restore(logd, archive, os.path.join(logd.folder, "new"))
        assert done.returncode == 0 and "position 2" in done.stdout, done


def test_an_archive_that_is_not_there_is_told_and_not_created():
    with Logd() as logd:
        nothing, new = os.path.join(logd.folder, "no/thing"), os.path.join(logd.folder, "new")
        done = restore(logd, nothing, new)
        assert done.returncode == 1, done
        assert done.stderr == "logd: restore: there is no archive at file://%s: manifest.json is not there\n" % nothing, done
        assert not os.path.exists(os.path.dirname(nothing)) and not os.path.exists(new)


def test_two_servers_on_one_archive_are_fenced():
    with Logd() as old:
        archive = os.path.join(old.folder, "archive")
        old.configure(config(archive))
        old.restart()
        old.post("/v1/events", {"message": "one"})
        eventually(lambda: shipped(old), "the old one ships")
        data = os.path.join(old.folder, "twin")
        assert restore(old, archive, data).returncode == 0
        with Logd(config=config(archive)) as stranger:
            stranger.post("/v1/events", {"message": "not yours"})
            eventually(lambda: "belongs to another logd" in stranger.log(), "another server's archive is not touched")
            assert "not this server's" in stranger.get("/healthz", key=False).text
        twin = Logd(config=config(archive))
        shutil.rmtree(twin.data, ignore_errors=True)
        shutil.copytree(data, twin.data)
        with twin:
            eventually(lambda: shipped_by(twin), "the restored one takes over")
            old.post("/v1/events", {"message": "two"})
            eventually(lambda: "taken over" in old.log(), "the old one stops shipping and says so")
            health = old.get("/healthz", key=False)
            assert health.status == 503 and health.json() == {"error": "another logd has taken over the archive: this one no longer ships"}, health
            since = old.log().index("taken over")
            old.post("/v1/events", {"message": "three"})
            time.sleep(2.5)  # two more shipments would be due
            assert "will try again" not in old.log()[since - 100:] and old.log().count("taken over") == 1, old.log()
            assert twin.get("/healthz", key=False).status == 200


def shipped_by(logd):
    r = logd.local("GET", "/v1/status").json()["positions"]
    return r["archive"] >= r["journal"]


def test_an_archive_that_cannot_be_reached_holds_nothing_up():
    with Logd(config='archive: {url: "s3://x/y", endpoint: "http://127.0.0.1:9", access_key: a, secret_key: b, every: 1s}\n') as logd:
        assert logd.post("/v1/events", {"message": "m"}).status == 200
        eventually(lambda: "not shipped, will try again" in logd.log(), "the failure is said")
        assert logd.count() == 1 and not shipped(logd)
        assert logd.get("/healthz", key=False).status == 200, "one failure is no alarm"
        eventually(lambda: logd.get("/healthz", key=False).status == 503, "three are")
        assert logd.get("/healthz", key=False).json() == {"error": "the archive cannot be reached: see the log"}


if __name__ == "__main__":
    run(globals())
