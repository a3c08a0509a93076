"""What an app keeps longer, shorter or less of goes by its own days and bytes, is told before in /v1/status, and leaves the disk."""
import glob, os, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run

DAY = 86400


def post(logd, app, days_ago, n=100, size=20):
    now = int(time.time())
    reply = logd.post("/v1/events", [{"message": f"{app} {i} " + os.urandom(size).hex(), "time": now - days_ago * DAY - i} for i in range(n)], key=logd.key("ingest", app))
    assert reply.json()["accepted"] == n, reply


def counts(logd):
    return {r["app"]: r["count"] for r in logd.query("| count by app")}


def kept(logd, app):
    return next(a for a in logd.status()["retention"]["apps"] if a["app"] == app)


def on_disk(logd):
    """Events of each app in the segments, as `logd debug segment` sees them."""
    n = 0
    for path in glob.glob(os.path.join(logd.data, "segments", "*.seg")):
        text = subprocess.run([logd.binary, "debug", "segment", path], capture_output=True, text=True).stdout
        n += sum(int(line.split(" events")[0].split()[-1]) for line in text.splitlines() if line.startswith("block "))
    return n


def test_days_of_an_app():
    with Logd("retention: {days: 30, apps: {shop: {days: 90}, brief: {days: 2}}}\n") as logd:
        for app in "shop", "api":
            post(logd, app, 20)
        logd.seal()
        for app in "shop", "api", "brief":
            post(logd, app, 1)
        logd.seal()
        eventually(lambda: len(logd.status()["retention"]["apps"]) == 3, "the store knows its apps")
        assert counts(logd) == {"shop": 200, "api": 200, "brief": 100}
        api = kept(logd, "api")
        assert (api["days"], api["bytes"], api["events"], api["next_events"], api["due_events"]) == (30, None, 200, 100, 0), api
        due = time.mktime(time.strptime(api["next"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        assert abs(due - (time.time() + 10 * DAY)) < 3600, api
        logd.advance(11 * DAY)
        eventually(lambda: counts(logd) == {"shop": 200, "api": 100}, "what is due is out of sight")
        eventually(lambda: on_disk(logd) == 300, "and leaves the disk", 30)
        assert kept(logd, "api")["due_events"] == 0 and kept(logd, "shop")["days"] == 90
        logd.advance(70 * DAY)  # 101 and 82 days old
        eventually(lambda: counts(logd) == {"shop": 100}, "the older half of the shop is gone too", 20)
        logd.advance(30 * DAY)
        eventually(lambda: not glob.glob(os.path.join(logd.data, "segments", "*.seg")), "whole segments go when all of them is due", 20)
        post(logd, "shop", 0)
        logd.kill9_and_restart()
        assert counts(logd) == {"shop": 100}


def test_bytes_of_an_app():
    with Logd("retention: {apps: {shop: {bytes: 20kB}}}\n") as logd:
        for day in 5, 4, 3, 2:
            post(logd, "shop", day, 100, 60)
            post(logd, "api", day, 100, 60)
            logd.seal()
        eventually(lambda: 0 < counts(logd)["shop"] <= 300, "the oldest of the shop is out of sight")
        shop = counts(logd)["shop"]
        newest = logd.query("app=shop | sort -time | limit 1")[0]["time"]
        assert counts(logd)["api"] == 400 and kept(logd, "shop")["used"] <= 20000, logd.status()["retention"]
        assert newest > time.strftime("%Y-%m-%d", time.gmtime(time.time() - 3 * DAY)), newest
        eventually(lambda: on_disk(logd) == 400 + shop, "and leaves the disk", 30)


def test_what_goes_by_bytes_is_told_before():
    with Logd() as logd:
        for day in 5, 4, 3:
            for app in "shop", "api":
                post(logd, app, day, 100 + day, 60)
            logd.seal()
        status = eventually(lambda: logd.status()["retention"]["used"] and logd.status()["retention"], "there are segments")
        assert status["next_by_bytes"] is None, status
        size = eventually(lambda: kept(logd, "shop")["used"], "the store knows its apps")
        limit, all_limit = size + 200, status["used"] + 100
        logd.configure("retention: {bytes: %d, apps: {shop: {bytes: %d}}}\n" % (all_limit, limit))
        logd.process.send_signal(1)
        eventually(lambda: kept(logd, "shop")["bytes"] == limit, "the limit is there")
        shop, every = kept(logd, "shop")["next_by_bytes"], logd.status()["retention"]["next_by_bytes"]
        assert kept(logd, "api")["next_by_bytes"] is None
        assert (shop["left"], shop["events"], every["left"], every["events"]) == (200, 105, 100, 210), (shop, every)
        assert shop["from"] == every["from"] and shop["expected"] >= time.strftime("%Y-%m-%d"), shop
        post(logd, "shop", 2, 50, 60)
        before = {(a, d): c for a, d, c in ((r["app"], r["time"], r["count"]) for r in logd.query("| count by app every 1d"))}
        logd.seal()  # past both limits: the shop's oldest block, then the oldest file
        eventually(lambda: counts(logd) == {"shop": 104 + 103 + 50, "api": 104 + 103}, "what was announced went, and nothing else")
        gone = {k for k in before if k[1] <= shop["to"][:10] + "T99"} & {(r["app"], r["time"]) for r in logd.query("| count by app every 1d")}
        assert not gone, gone


def test_a_reload_keeps_longer_what_is_still_there():
    with Logd("retention: {days: 30, apps: {shop: {days: 2}}}\n") as logd:
        for app in "shop", "api":
            post(logd, app, 20, 1000 if app == "api" else 10)
        logd.seal()
        eventually(lambda: counts(logd) == {"api": 1000}, "the shop is out of sight")
        assert kept(logd, "shop")["due_events"] == 10
        logd.configure("retention: {days: 30}\n")
        logd.process.send_signal(1)
        eventually(lambda: counts(logd) == {"api": 1000, "shop": 10}, "and comes back, for it is on the disk")


def test_a_command_without_a_server_removes_nothing():
    with Logd("retention: {days: 300}\n") as logd:
        post(logd, "shop", 100)
        logd.seal()
        before = counts(logd)
        assert logd.stop() == 0
        for _ in range(2):
            logd.command("query", "| count", "--from", "1970-01-01T00:00:00Z", "--format", "ndjson")
            time.sleep(0.2)
        assert glob.glob(os.path.join(logd.data, "segments", "*.seg"))
        logd.start()
        assert counts(logd) == before


run(globals())
