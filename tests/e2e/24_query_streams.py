"""GET /v1/query?stream=1: rows as soon as no better one can come, progress, and a last line that says whether it is all."""
import json, os, random, socket, sys, time, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run

ALL = {"from": "1970-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}


def ask(logd, q, **params):
    return logd.get("/v1/query?" + urllib.parse.urlencode({"q": q, **ALL, **params}), key="read")


def streamed(logd, q, **params):
    """(rows, the object of the last line)"""
    r = ask(logd, q, stream=1, **params)
    assert r.status == 200 and r.headers["Content-Type"] == "application/x-ndjson", r
    lines = [line for line in r.text.splitlines() if not line.startswith('{"progress":')]
    return lines[:-1], json.loads(lines[-1])


def test_streamed_pages_are_the_pages_that_are_not_streamed():
    seed = time.time_ns()
    print("seed", seed)
    r = random.Random(seed)
    with Logd() as logd:
        now = int(time.time())
        for b in range(12):
            logd.post("/v1/events", [{"time": now - r.randrange(100 * (13 - b)), "i": b * 100 + i, "message": "n=%d %s" % (i, "m" * 500)} for i in range(300)])
            if r.random() < 0.6:
                logd.seal()
        for q in ("", "i>=500", "| limit 700", "| limit 20 | fields i", "| parse \"n=<n> \" | fields n, i", "| count by i", "| sort i | limit 300 | fields i", "i<5 | context 3", "| where i>100 | limit 600 | parse logfmt | fields n"):
            for order in ("desc", "asc"):
                cursor, pages = "", 0
                while cursor is not None and pages < 20:
                    more = {"limit": r.choice([1, 40, 299, 1000]), "order": order, "cursor": cursor}
                    plain, (rows, last) = ask(logd, q, **more), streamed(logd, q, **more)
                    assert plain.text.splitlines() == rows, (q, order, more)
                    assert plain.headers.get("X-Logd-Next") == last["meta"]["next"] and not last["meta"]["partial"], (q, last)
                    cursor, pages = last["meta"]["next"], pages + 1


def slow_behind_quick(logd):
    """Newest events are found at once, older ones cost seconds."""
    now = int(time.time())
    for k in range(4):
        logd.post("/v1/events", [{"time": now - 3000 - k * 100, "m": "a" * 900 + "%d!" % i} for i in range(2000)])
        logd.seal()
    logd.post("/v1/events", [{"time": now - i, "hit": i} for i in range(5)])
    logd.seal()


def test_the_first_rows_come_before_the_query_has_ended():
    with Logd(config="query_deadline: 3s\n") as logd:
        slow_behind_quick(logd)
        c = logd.connect()
        began = time.monotonic()
        c.request("GET", "/v1/query?stream=1&" + urllib.parse.urlencode({"q": 'hit:* or m~"^(a+)+$"', **ALL}), headers={"Authorization": "Bearer " + logd.key("read")})
        r = c.getresponse()
        hits = [json.loads(r.readline())["hit"] for _ in range(5)]
        first = time.monotonic() - began
        rest = r.read().splitlines()
        whole = time.monotonic() - began
        print("five rows after %.0f ms, the end after %.0f ms" % (first * 1000, whole * 1000))
        assert hits == [0, 1, 2, 3, 4] and first < whole / 2, (hits, first, whole)
        meta = json.loads(rest[-1])["meta"]
        assert meta["partial"] and meta["next"] is None and meta["blocks"]["read"] < meta["blocks"]["of"], meta  # the deadline came
        assert any(b'"progress"' in line for line in rest[:-1]) or meta["blocks"]["read"] <= 2, rest
        c.close()


def test_an_error_is_told_with_its_column_before_or_in_the_stream():
    with Logd() as logd:
        logd.post("/v1/events", [{"g": i} for i in range(2000)])
        assert ask(logd, "| bogus", stream=1).json()["column"] == 3
        assert ask(logd, "", stream=1, format="csv").status == 400 and ask(logd, "", stream=2).status == 400
        rows, last = streamed(logd, "| context 3")
        assert rows == [] and last["meta"]["column"] == 3 and "at most 1000 events" in last["meta"]["error"], last


def test_who_reads_no_further_holds_no_thread_for_long():
    with Logd(config="query_deadline: 1s\n", env={"LOGD_TEST_HURRY": "10"}) as logd:
        for _ in range(20):
            logd.post("/v1/events", [{"m": "x" * 5000} for _ in range(400)])
        open_ones = []
        for _ in range(os.cpu_count()):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect((logd.host, logd.port))
            s.sendall(("GET /v1/query?stream=1&limit=100000&%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (urllib.parse.urlencode(ALL), logd.key("read"))).encode())
            open_ones.append(s)
        time.sleep(0.3)
        eventually(lambda: logd.get("/v1/query?q=nothing", key="read").status == 200, "others are served", 60)
        for s in open_ones:
            s.close()


def test_a_stream_ends_when_its_client_leaves():
    with Logd() as logd:
        slow_behind_quick(logd)
        path = "/v1/query?stream=1&" + urllib.parse.urlencode({"q": 'hit:* or m~"^(a+)+$"', **ALL})
        for _ in range(3 * os.cpu_count()):  # each would work for a long time
            with socket.create_connection((logd.host, logd.port)) as s:
                s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (path, logd.key("read"))).encode())
                assert b"200 OK" in s.recv(4096)
        began = time.monotonic()
        assert logd.get("/v1/query?q=nothing", key="read").status == 200
        assert time.monotonic() - began < 1 * float(os.environ.get("LOGD_SLOW", "1")), time.monotonic() - began


if __name__ == "__main__":
    run(globals())
