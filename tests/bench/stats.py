"""The stats leg: increments through the batch API, StatsD packets on loopback, and a month of 20 cells, asked for.

Beside it: the same increments as SQLite upserts of one table in one transaction, the least a counter in a database can do."""
import json, os, re, sqlite3, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from intake import cpu_by_thread
from logd import TREE, Logd, eventually

PACKETS = os.path.join(TREE, "build/gcc-release/bench/packets")
A_REQUEST, REQUESTS, SERIES = 20000, 50, 100


def increments():
    """(increments, CPU seconds of all threads but HTTP's decoding of nothing): what was answered is in the totals."""
    lines = [json.dumps({"name": "bench", "value": 1, "labels": {"page": "p%d" % (i % SERIES)}}, separators=(",", ":")) for i in range(A_REQUEST)]
    body = "\n".join(lines).encode()
    with Logd() as logd:
        logd.post("/v1/stats", lines[0])
        before = sum(cpu_by_thread(logd.process.pid).values())
        began = time.monotonic()
        for _ in range(REQUESTS):
            assert logd.post("/v1/stats", body).json()["accepted"] == A_REQUEST
        wall = time.monotonic() - began
        used = sum(cpu_by_thread(logd.process.pid).values()) - before
        assert logd.get("/v1/stats/bench?by=day", key="read").json()["total"] == A_REQUEST * REQUESTS + 1
    return {"increments": A_REQUEST * REQUESTS, "cpu_s": used, "wall_s": wall, "a_cpu_second": A_REQUEST * REQUESTS / used}


def sqlite():
    n = A_REQUEST * REQUESTS // 4
    with tempfile.TemporaryDirectory() as d:
        db = sqlite3.connect(os.path.join(d, "x.db"))
        db.execute("CREATE TABLE cell(series INTEGER, start INTEGER, value INTEGER, PRIMARY KEY(series, start)) WITHOUT ROWID")
        began = time.process_time()
        db.executemany("INSERT INTO cell VALUES(?, 0, 1) ON CONFLICT DO UPDATE SET value = value + 1", ((i % SERIES,) for i in range(n)))
        db.commit()
        return n / (time.process_time() - began)


def packets(rate, seconds, local=False):
    with Logd(config="statsd: {udp: 127.0.0.1:0, unix: s.sock, app: web}\n") as logd:
        to = os.path.join(logd.folder, "s.sock") if local else re.findall(r"udp=127\.0\.0\.1:(\d+)", logd.log())[-1]
        before = cpu_by_thread(logd.process.pid).get("statsd", 0)
        sent, took = map(float, subprocess.run([PACKETS, to, str(rate), str(seconds)], capture_output=True, text=True, check=True).stdout.split())
        get = lambda: int(re.search(r"^logd_statsd_packets_total (\d+)", logd.get("/metrics").text, re.M)[1])
        try:
            eventually(lambda: get() == sent, "all arrive", 3)
        except AssertionError:
            pass
        got = get()
        cpu = cpu_by_thread(logd.process.pid)["statsd"] - before
        eventually(lambda: logd.get("/v1/stats/bench.hits?by=day", key="read").json()["total"] == got, "what was read is in the total")
        return {"offered_a_second": sent / took, "sent": sent, "lost": sent - got, "cpu_a_packet_us": cpu / got * 1e6}


def dashboard():
    """Medians in ms of a month of 20 cells, by day and by hour: an answer over HTTP on a connection that stays."""
    now = int(time.time()) // 3600 * 3600
    with Logd() as logd:
        for cell in range(20):
            logd.post("/v1/stats", "\n".join(json.dumps({"name": "orders", "value": 1 + h % 50, "time": now - h * 3600, "labels": {"shop": "s%d" % cell}}) for h in range(720)))
        key, c, took = logd.key("read"), logd.connect(), {}
        for by in ("day", "hour"):
            times = []
            for _ in range(9):
                began = time.monotonic()
                points = logd.request("GET", "/v1/stats/orders?by=%s&from=-30d&group=shop" % by, key=key, connection=c).json()["points"]
                times.append((time.monotonic() - began) * 1000)
            took[by], took[by + "_points"] = sorted(times)[4], len(points)
        return took


def run():
    d = dashboard()
    print("30 days of 20 cells: by day %.1f ms (%d points), by hour %.1f ms (%d points), reading the JSON included" % (d["day"], d["day_points"], d["hour"], d["hour_points"]))
    i, rival = increments(), sqlite()
    print("increments a CPU second  %10.0f   SQLite upserts %10.0f   ratio %.1f" % (i["a_cpu_second"], rival, i["a_cpu_second"] / rival))
    udp, local = packets(250000, 5), packets(250000, 5, True)
    for name, r in (("UDP", udp), ("Unix socket", local)):
        print("StatsD, %-12s %9.0f packets/s offered, %d of %d lost, %.2f us of CPU each" % (name, r["offered_a_second"], r["lost"], r["sent"], r["cpu_a_packet_us"]))
    return {"dashboard_ms": d, "increments": i, "sqlite_a_cpu_second": rival, "udp": udp, "unix": local}
