"""The intake leg: intake and journal under an open-loop load, beside rsyslog to a file and SQLite with FTS5, in one run.

Every leg takes the same kind of events (300 to 700 bytes). What counts is events per CPU second of the server and the latency from the moment a
request should have left; wall clocks of a shared machine say little. Legs are run in rounds, the median counts."""
import json, os, re, shutil, socket, sqlite3, statistics, subprocess, tempfile, time

from logd import TREE, Logd, eventually

LOAD = os.path.join(TREE, "build/gcc-release/bench/load")
ROOT = os.path.join(TREE, "build/deps/root")
INTAKE = ("MHD-", "journal", "http")  # the threads that take and make durable; store and rules come after the answer


def cpu_by_thread(pid):
    sums = {}
    for t in os.listdir(f"/proc/{pid}/task"):
        try:
            stat = open(f"/proc/{pid}/task/{t}/stat").read()
        except OSError:
            continue
        name, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat.rsplit(")", 1)[1].split()
        sums[name] = sums.get(name, 0) + (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")
    return sums


def metric(logd, name):
    return float(re.search(rf"^{name} (\S+)$", logd.get("/metrics").text, re.M)[1])


def logd_leg(per_request, rate, seconds, connections):
    with Logd() as logd:
        key = logd.key("ingest")
        before, syncs = cpu_by_thread(logd.process.pid), metric(logd, "logd_journal_syncs_total")
        out = subprocess.run([LOAD, str(logd.port), key, str(per_request), str(rate), str(seconds), str(connections)], capture_output=True, text=True, check=True).stdout
        r = json.loads(out)
        after = cpu_by_thread(logd.process.pid)
        used = {n: after[n] - before.get(n, 0) for n in after}
        r["cpu_intake"] = sum(v for n, v in used.items() if n.startswith(INTAKE))
        r["per_sync"] = r["requests"] / max(1, metric(logd, "logd_journal_syncs_total") - syncs)
        assert logd.count("host:*") == r["events"], "what was answered is there"
        eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"], "the rules have seen all", 60)
        after = cpu_by_thread(logd.process.pid)
        r["cpu_all"] = sum(after.values()) - sum(before.values())
        return r


def sample(n):
    return [json.dumps({"time": "2026-11-25T10:00:00.123456Z", "level": "info", "host": f"web-{i % 8}", "env": "prod", "release": "1.4.2", "trace_id": os.urandom(16).hex(),
                        "message": f"GET /product/{i % 977} 200", "http": {"method": "GET", "path": "/product", "status": 200, "duration_ms": i % 300 + .5}, "user_id": i % 50000,
                        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "referer": "https://shop.example/list"}) for i in range(n)]


def rsyslog_leg(lines):
    """TCP to a file, no parsing, no index, no sync: the least that a log server can do."""
    binary = shutil.which("rsyslogd") or os.path.join(ROOT, "usr/sbin/rsyslogd")
    if not os.path.exists(binary):
        return None
    folder = tempfile.mkdtemp(prefix="logd-rsyslog-")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    lib = os.path.join(ROOT, "usr/lib/x86_64-linux-gnu")
    modules = os.path.join(lib, "rsyslog") if os.path.exists(os.path.join(lib, "rsyslog")) else "/usr/lib/x86_64-linux-gnu/rsyslog"
    with open(folder + "/conf", "w") as f:
        f.write(f'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}")\naction(type="omfile" file="{folder}/out")\n')
    server = subprocess.Popen([binary, "-n", "-iNONE", "-f", folder + "/conf", "-M", modules], env=dict(os.environ, LD_LIBRARY_PATH=lib), stderr=subprocess.DEVNULL)
    try:
        def connect():
            try:
                return socket.create_connection(("127.0.0.1", port))
            except OSError:
                return None
        with eventually(connect, "rsyslog listens") as s:
            s.sendall(("".join(f"<14>1 2026-11-25T10:00:00Z web app - - - {line}\n" for line in lines)).encode())
        eventually(lambda: os.path.exists(folder + "/out") and open(folder + "/out", "rb").read().count(b"\n") >= len(lines), "all is in the file", 60)
        return len(lines) / sum(cpu_by_thread(server.pid).values())
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def sqlite_leg(lines, per_commit):
    """A table and a full-text index over it, every batch synced (FULL); rows need no parsing here."""
    folder = tempfile.mkdtemp(prefix="logd-sqlite-")
    db = sqlite3.connect(folder + "/db", isolation_level=None)
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE e(line TEXT); CREATE VIRTUAL TABLE f USING fts5(line, content='e', content_rowid='rowid')")
    begun = time.process_time()
    for i in range(0, len(lines), per_commit):
        db.execute("BEGIN")
        for line in lines[i:i + per_commit]:
            rowid = db.execute("INSERT INTO e VALUES(?)", (line,)).lastrowid
            db.execute("INSERT INTO f(rowid, line) VALUES(?, ?)", (rowid, line))
        db.execute("COMMIT")
    used = time.process_time() - begun
    db.close()
    shutil.rmtree(folder, ignore_errors=True)
    return len(lines) / used


def run(rounds):
    print(f"{'events a request':>17} {'conns':>6} {'errors':>6} {'p50 ms':>8} {'p99 ms':>8} {'req/sync':>9} {'events/CPU-s: intake+journal':>30} {'all threads':>12}", flush=True)
    best, lines = {}, []
    for per, rate, conns in ((1, 5000, 64), (100, 1000, 64), (1000, 150, 64), (1, 5000, 256)):
        runs = [logd_leg(per, rate, 4, conns) for _ in range(rounds)]
        med = {k: statistics.median(r[k] for r in runs) for k in ("p50_us", "p99_us", "per_sync")}
        intake = statistics.median(r["events"] / r["cpu_intake"] for r in runs)
        total = statistics.median(r["events"] / r["cpu_all"] for r in runs)
        best[per, conns] = intake, total
        lines.append({"per_request": per, "connections": conns, **med, "events_per_cpu_s": total, "intake_and_journal": intake})
        print(f"{per:17d} {conns:6d} {sum(r['errors'] + r['late'] for r in runs):6d} {med['p50_us'] / 1e3:8.2f} {med['p99_us'] / 1e3:8.2f} {med['per_sync']:9.1f} {intake:30,.0f} {total:12,.0f}", flush=True)
    events = sample(60000)
    rsyslog = [rsyslog_leg(events) for _ in range(rounds)]
    rsyslog = None if None in rsyslog else statistics.median(rsyslog)
    sqlite = statistics.median(sqlite_leg(events[:20000], 1000) for _ in range(rounds))
    intake, total = best[1000, 64]
    print(f"rsyslog, TCP to a file, nothing parsed, indexed or synced: {rsyslog:,.0f} events/CPU-s" if rsyslog else "skip rsyslog: it is not there, make deps-test unpacks it")
    print(f"SQLite table + FTS5, synced every 1,000: {sqlite:,.0f} events/CPU-s")
    if rsyslog:
        print(f"ratio to rsyslog: intake+journal {intake / rsyslog:.2f}, all {total / rsyslog:.2f}")
    print(f"ratio to SQLite+FTS5: intake+journal {intake / sqlite:.1f}, all {total / sqlite:.1f}")
    return {"logd": lines, "rsyslog": rsyslog, "SQLite + FTS5": sqlite}
