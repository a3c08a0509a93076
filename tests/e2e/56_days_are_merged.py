"""Segments of a day that is over become one: the same events, counts and ids; the archive holds each event once, and restores them."""
import glob, os, shutil, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run

ARCHIVE = 'archive: {{url: "file://{0}/archive", every: 1s}}\n'


def segments(logd):
    return sorted(glob.glob(os.path.join(logd.data, "segments", "*.seg")))


def fill(logd, parts):
    for part in range(parts):
        for app in "shop", "api":
            logd.post("/v1/events", [{"message": f"{app} {part} {i}", "level": "error" if i % 9 == 0 else "info", "n": part * 1000 + i} for i in range(200)], key=logd.key("ingest", app))
        logd.seal()


def everything(logd):
    return sorted((r["id"], r["message"]) for r in logd.query("", limit=10000)), logd.query("app=shop | count by level"), logd.query("n=3007")


def test_a_closed_day_becomes_one_segment_that_answers_the_same():
    with Logd() as logd:
        fill(logd, 6)
        before = everything(logd)
        assert len(segments(logd)) == 6 and len(before[0]) == 2400 and len(before[2]) == 2
        logd.advance(2 * 86400)
        eventually(lambda: len(segments(logd)) == 1, "one segment is left", 30)
        assert everything(logd) == before
        assert logd.status()["segments"] == 1 and logd.status()["merging"] is None
        assert "\nlogd_store_merges_total 1\n" in logd.get("/metrics").text
        verified = subprocess.run([logd.binary, "debug", "segment", segments(logd)[0]], capture_output=True, text=True)
        assert verified.returncode == 0 and "2 blocks" in verified.stdout, verified
        logd.kill9_and_restart()
        assert everything(logd) == before and len(segments(logd)) == 1


def archived_lines(logd):
    files = sorted(glob.glob(logd.folder + "/archive/events/*/*/*.zst"))
    return subprocess.run(["zstdcat", *files], capture_output=True, text=True, check=True).stdout.count("\n") if files else 0


def test_what_was_merged_is_in_the_archive_once():
    with Logd() as logd:
        logd.configure(ARCHIVE.format(logd.folder))
        logd.restart()
        fill(logd, 3)
        before = everything(logd)
        logd.advance(2 * 86400)
        eventually(lambda: len(segments(logd)) == 1, "one segment is left, after it was shipped", 40)
        logd.command("archive", "ship")
        assert archived_lines(logd) == 1200
        logd.restart()  # the archive thread begins anew, with the merged one
        logd.command("archive", "ship")
        assert archived_lines(logd) == 1200
        # merged while no archive was configured, and half of it was shipped before
        fill(logd, 1)
        logd.command("archive", "ship")
        logd.configure("")
        logd.restart()
        fill(logd, 1)
        before = everything(logd)
        logd.advance(5 * 86400)
        eventually(lambda: len(segments(logd)) == 1, "the new one is merged with what was shipped", 30)
        logd.configure(ARCHIVE.format(logd.folder))
        logd.restart()
        logd.command("archive", "ship")
        assert archived_lines(logd) == 2000
        assert everything(logd) == before
        logd.kill9()
        shutil.rmtree(logd.data)
        done = subprocess.run([logd.binary, "restore", "--from", f"file://{logd.folder}/archive", "--data", logd.data], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        logd.start()
        assert everything(logd) == before


run(globals())
