"""Slow clients are cut off by absolute deadlines, however many they are, and good ones do not notice.

LOGD_TEST_HURRY=10 divides the deadlines: 1 s for a header, 1 s of grace for a body, 7.5 s of keep-alive."""
import os, resource, select, socket, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import SLOW, Logd, eventually, run

HURRY = {"LOGD_TEST_HURRY": "10"}


def memory(logd):
    with open("/proc/%d/statm" % logd.process.pid) as f:
        return int(f.read().split()[1]) * 4096


def gone(sockets, timeout):
    """How many of the sockets the server has closed after at most `timeout`."""
    poll, left = select.poll(), {s.fileno(): s for s in sockets}
    for fd in left:
        poll.register(fd, select.POLLIN | select.POLLHUP)
    end = time.monotonic() + timeout
    while left and time.monotonic() < end:
        for fd, _ in poll.poll(200):
            try:
                over = left[fd].recv(65536) == b""
            except ConnectionResetError:
                over = True
            if over:
                poll.unregister(fd)
                del left[fd]
    return len(sockets) - len(left)


def dribble(sockets, stop):
    """A byte each, again and again."""
    while not stop.is_set():
        for s in sockets:
            try:
                s.send(b"x")
            except OSError:
                pass
        stop.wait(0.1)


def latencies(logd, stop):
    took = []
    c = logd.connect()
    while not stop.is_set():
        began = time.monotonic()
        assert logd.get("/healthz", key=False, connection=c).status == 200
        took.append(time.monotonic() - began)
        time.sleep(0.002)
    c.close()
    return sorted(took)


def test_two_thousand_slow_clients_are_gone_and_good_ones_do_not_notice():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with Logd(env=HURRY) as logd:
        key = logd.key("ingest").encode()
        assert logd.get("/healthz", key=False).status == 200
        before = memory(logd)
        heads = {
            "silent": b"",
            "a request line": b"GET /heal",
            "headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ",
            "a body": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: " + key + b"\r\nContent-Length: 100000\r\n\r\n",
            "a second request": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal",
        }
        sockets = []
        for head in heads.values():
            for _ in range(400):
                s = socket.create_connection((logd.host, logd.port))
                s.send(head)
                sockets.append(s)
        stop, result = threading.Event(), []
        threads = [threading.Thread(target=dribble, args=(sockets[400:], stop)),
                   threading.Thread(target=lambda: result.extend(latencies(logd, stop)))]
        for t in threads:
            t.start()
        began = time.monotonic()
        closed = gone(sockets, 8)
        took, grown = time.monotonic() - began, memory(logd) - before
        stop.set()
        for t in threads:
            t.join()
        p99 = result[len(result) * 99 // 100]
        print("2,000 slow clients gone in %.1f s; %d good requests meanwhile, p50 %.1f ms, p99 %.1f ms; +%d MB" %
              (took, len(result), result[len(result) // 2] * 1e3, p99 * 1e3, grown >> 20))
        assert closed == 2000, "%d of 2,000 are closed" % closed
        assert len(result) > 50 and p99 < 1, "good requests suffer: p99 %.3f s" % p99
        assert grown < (100 << 20) * SLOW
        assert logd.get("/metrics").text.count('reason="slow"} 0') == 0
        for s in sockets:
            s.close()


def test_a_slow_but_steady_body_is_taken():
    with Logd(env=HURRY) as logd:
        body = b'{"message":"' + b"a" * 20000 + b'"}'
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (
            logd.key("ingest").encode(), len(body))
        with socket.create_connection((logd.host, logd.port), timeout=20) as s:
            s.sendall(head)
            for i in range(0, len(body), 1000):  # 10 KB/s for two seconds: past the grace, over the least rate
                s.sendall(body[i:i + 1000])
                time.sleep(0.1)
            assert s.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_stops_is_cut_off():
    with Logd(env=HURRY) as logd:
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\nContent-Length: 90000\r\n\r\n" % logd.key("ingest").encode()
        with socket.create_connection((logd.host, logd.port), timeout=20) as s:
            s.sendall(head + b"a" * 2500)  # worth 2.5 s
            began = time.monotonic()
            assert gone([s], 10) == 1
            assert 2 < time.monotonic() - began < 6


def test_an_idle_connection_is_kept_for_a_while():
    with Logd(env={"LOGD_TEST_HURRY": "25"}) as logd:  # 3 s
        with socket.create_connection((logd.host, logd.port), timeout=20) as s:
            for _ in range(2):
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
                time.sleep(1.5)
            began = time.monotonic()
            assert gone([s], 10) == 1
            assert 1 < time.monotonic() - began < 5


def test_connections_come_back_after_the_slow_ones():
    with Logd(env=HURRY) as logd:
        sockets = [socket.create_connection((logd.host, logd.port)) for _ in range(300)]
        def open_now():
            text = logd.get("/metrics").text
            return int([l for l in text.split("\n") if l.startswith("logd_http_connections ")][0].split()[1])
        assert open_now() > 250
        eventually(lambda: open_now() < 10, "the slow connections are closed")
        for s in sockets:
            s.close()


def test_too_many_bytes_under_way_are_503_with_retry_after_and_good_ones_go_on():
    """192 MiB of all requests together; a sender of 30 MiB holds 32."""
    with Logd() as logd:
        key, sockets, refused = logd.key().encode(), [], 0
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\nContent-Length: 31457280\r\n\r\n" % key
        for _ in range(9):
            s = socket.create_connection((logd.host, logd.port), timeout=20)
            sockets.append(s)
            try:
                s.sendall(head + b" " * (31457280 - 1))
            except OSError:
                pass
            s.setblocking(False)
            try:
                got = s.recv(65536)
                assert got.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 1\r\n" in got, got
                assert b'{"error":"too many bytes of requests are under way: try again"}' in got, got
                refused += 1
            except BlockingIOError:
                pass
        assert 2 <= refused <= 5, refused
        assert memory(logd) < (320 << 20) * SLOW
        assert logd.get("/healthz", key=False).status == 200
        for s in sockets:
            s.close()
        eventually(lambda: logd.post("/v1/events", '{"message":"x"}').status == 200, "there is room again")
        inflight = lambda: [l for l in logd.get("/metrics").text.split("\n") if l.startswith("logd_http_inflight_bytes ")][0].split()[1]
        eventually(lambda: int(inflight()) < 1 << 20, "nothing is under way any more")


def test_slow_readers_of_large_answers_are_cut_off_and_bounded():
    """128 MiB of answers wait at most; then queries are refused, nothing else is."""
    with Logd(env={"LOGD_TEST_HURRY": str(max(1, int(10 / SLOW)))}) as logd:
        assert logd.post("/v1/events", '{"message":"%s"}\n' % ("a" * 20000) * 210).status == 200
        key, sockets = logd.key("read"), []
        logd.key("admin")
        request = "GET /v1/query?from=-1h&limit=210 HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\n\r\n" % key
        before = memory(logd)
        for _ in range(120):  # 4.5 MB each
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect((logd.host, logd.port))
            s.sendall(request.encode())
            sockets.append(s)
        refused = lambda: 'reason="busy"} 0' not in logd.get("/metrics").text
        eventually(refused, "further queries are refused")
        assert memory(logd) - before < (300 << 20) * SLOW, (memory(logd) - before) >> 20
        assert logd.post("/v1/events", '{"message":"x"}').status == 200
        eventually(lambda: "logd_http_answer_bytes 0\n" in logd.get("/metrics").text, "slow readers are cut off", timeout=40)
        for s in sockets:
            s.close()
        eventually(lambda: logd.get("/v1/query?from=-1h&limit=10").status == 200, "there is room again")


if __name__ == "__main__":
    run(globals())
