"""GET /v1/tail: each accepted event comes once to each who follows its filter; who does not keep up is told what he lost."""
import http.client, json, os, re, socket, sys, threading, time, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run


class Tail:
    """An event stream, read by a thread until closed; `slow` reads nothing before go()."""

    def __init__(self, logd, q, slow=False, path="/v1/tail"):
        self.s = socket.socket()
        if slow:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.s.connect((logd.host, logd.port))
        self.s.sendall(("GET %s?q=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (path, urllib.parse.quote(q), logd.key("read"))).encode())
        self.lines, self.open, self.reading = [], True, threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        if not slow:
            self.reading.set()
            eventually(lambda: ":" in self.lines or not self.open, "the stream begins")

    def _read(self):
        self.reading.wait()
        try:
            r = http.client.HTTPResponse(self.s)
            r.begin()
            self.status, self.type = r.status, r.headers["Content-Type"]
            while True:
                line = r.readline()
                if not line:
                    break
                self.lines.append(line.decode().rstrip("\n"))
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.open = False

    def frames(self):
        return [f for f in "\n".join(self.lines).split("\n\n") if f and not f.startswith(":")]

    def events(self):
        return [json.loads(f[6:]) for f in self.frames() if f.startswith("data: ")]

    def dropped(self):
        return sum(json.loads(f.split("data: ")[1])["dropped"] for f in self.frames() if f.startswith("event: dropped"))

    def close(self):
        self.s.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.s.close()


def test_accepted_events_come_once_to_all_who_follow_their_filter():
    with Logd() as logd:
        all_of, errors, shaped = Tail(logd, ""), Tail(logd, "level>=error app:shop"), Tail(logd, 'app:shop | parse "n=<n>" | where n>5 | fields n')
        assert all_of.type == "text/event-stream"
        for i in range(10):
            logd.post("/v1/events", [{"level": "error" if i % 2 else "info", "message": "n=%d" % i}, {"level": "error", "message": "other"}], key=logd.key("ingest", "shop" if i < 8 else "api"))
        logd.post("/v1/stats", {"name": "x", "type": "count", "value": 1})
        eventually(lambda: len(all_of.events()) >= 20, "all events come")
        eventually(lambda: len(errors.events()) >= 12 and len(shaped.events()) >= 2, "those of the filter come")
        time.sleep(0.2)
        stored = sorted(logd.query(""), key=lambda e: e["id"])
        assert sorted(all_of.events(), key=lambda e: e["id"]) == stored
        assert [e["message"] for e in errors.events()] == [e["message"] for e in stored if e["level"] == "error" and e["app"] == "shop"]
        assert shaped.events() == [{"n": "6"}, {"n": "7"}], shaped.events()
        for t in (all_of, errors, shaped):
            assert t.dropped() == 0 and t.open
            t.close()
        metrics = logd.get("/metrics").text
        assert re.search(r"^logd_tail_events_total 34$", metrics, re.M), metrics
        eventually(lambda: re.search(r"^logd_tail_followers 0$", logd.get("/metrics").text, re.M), "those who left are forgotten")


def test_one_who_does_not_read_loses_events_and_is_told_how_many_while_others_get_all():
    with Logd() as logd:
        slow, good = Tail(logd, "", slow=True), Tail(logd, "")
        eventually(lambda: "logd_tail_followers 2" in logd.get("/metrics").text, "both follow")
        text, n = "x" * 1000, 0
        for _ in range(40):
            assert logd.post("/v1/events", [{"message": text, "i": n + i} for i in range(500)]).status == 200
            n += 500
        eventually(lambda: len(good.lines) >= 2 * n and len(good.events()) + good.dropped() == n, "the good one has all", 30)
        assert good.dropped() == 0
        slow.reading.set()
        eventually(lambda: slow.dropped() and len(slow.events()) + slow.dropped() == n, "the slow one is told", 30)
        logd.post("/v1/events", {"message": "later"})
        eventually(lambda: slow.events()[-1]["message"] == "later", "and goes on")
        print("%d of %d lost" % (slow.dropped(), n))
        assert re.search(r"^logd_tail_dropped_total %d$" % slow.dropped(), logd.get("/metrics").text, re.M)
        slow.close(), good.close()


def test_what_cannot_be_followed_is_refused_and_a_server_that_stops_ends_the_stream():
    with Logd() as logd:
        for q, column in (("a | count", 5), ("a | sort b", 5), ("level>=loud", 8), ("a | patterns", 5)):
            r = logd.get("/v1/tail?q=" + urllib.parse.quote(q), key="read")
            assert r.status == 400 and r.json()["column"] == column, r
        assert logd.get("/v1/tail?q=", key="ingest").status == 403
        t = Tail(logd, "")
        began = time.monotonic()
        assert logd.stop() == 0 and time.monotonic() - began < 4 * float(os.environ.get("LOGD_SLOW", "1"))
        eventually(lambda: not t.open, "the stream ends")
        assert t.lines == [":", ""]


def test_two_hundred_follow_and_one_more_is_told_to_wait():
    with Logd() as logd:
        tails = [Tail(logd, "n=%d" % i) for i in range(200)]
        r = logd.get("/v1/tail?q=", key="read")
        assert r.status == 429 and r.headers["Retry-After"], r
        logd.post("/v1/events", [{"n": i} for i in range(200)])
        for i, t in enumerate(tails):
            assert eventually(t.events, "its event comes")[0]["n"] == i
            t.close()
        eventually(lambda: "logd_tail_followers 0" in logd.get("/metrics").text, "there is room again")


if __name__ == "__main__":
    run(globals())
