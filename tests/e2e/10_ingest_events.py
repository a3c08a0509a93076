"""POST /v1/events as the contract says: shapes of the body, counts, refusals, encodings, limits, keys, repeats."""
import base64, ctypes, ctypes.util, gzip, json, os, signal, socket, sys, time, zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import SLOW, Logd, eventually, run

MIB = 1 << 20


def zstd(data):
    lib = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    lib.ZSTD_compressBound.restype = lib.ZSTD_compress.restype = ctypes.c_size_t
    lib.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    lib.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    out = ctypes.create_string_buffer(lib.ZSTD_compressBound(len(data)))
    n = lib.ZSTD_compress(out, len(out), data, len(data), 3)
    return out.raw[:n]


def raw_deflate(data):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


def counts(reply, accepted, duplicates=0, rejected=0):
    got = reply.json()
    assert (got["accepted"], got["duplicates"], got["rejected"]) == (accepted, duplicates, rejected), reply
    assert len(got["errors"]) == min(rejected, 100), reply
    return got


def test_one_object_an_array_and_lines():
    with Logd() as logd:
        for body, n in [('{"message":"one"}', 1), ('[{"message":"a"},{"message":"b"}]', 2),
                        ('{"message":"c"}\n{"message":"d"}\n\n{"message":"e"}', 3), ('{"message":"f"}{"message":"g"}', 2)]:
            reply = logd.post("/v1/events", body)
            assert reply.status == 200 and reply.headers["Content-Type"] == "application/json", reply
            assert counts(reply, n)["errors"] == []
        assert logd.count() == 8
        assert [e["message"] for e in logd.query("", order="asc")] == ["one"] + list("abcdefg")


def test_an_empty_batch_is_200_with_zeros():
    with Logd() as logd:
        for body in ["", "\n\n", "[]", " [ ] "]:
            reply = logd.post("/v1/events", body)
            assert reply.status == 200, (body, reply)
            counts(reply, 0)


def test_a_bad_record_costs_itself_alone_and_says_why():
    with Logd() as logd:
        reply = logd.post("/v1/events", '{"message":"good"}\n{"message":"x","level":"loud"}\n{"message":"good"}')
        assert reply.status == 200
        error = counts(reply, 2, rejected=1)["errors"][0]
        assert error["index"] == 1 and error["pointer"] == "/level" and error["error"].endswith('got "loud"'), error
        assert "error" not in reply.json()
        assert logd.count() == 2


def test_400_only_when_every_record_was_refused():
    with Logd() as logd:
        for body in ["{}", '[{"level":"loud","message":"x"}]', '{"a":', "nonsense", '{"message":"x"', "[1,2]"]:
            reply = logd.post("/v1/events", body)
            got = reply.json()
            assert reply.status == 400 and got["accepted"] == 0 and got["rejected"] >= 1, (body, reply)
            assert got["error"] == got["errors"][0]["error"] and got["pointer"] == got["errors"][0]["pointer"], reply


def test_at_most_100_errors_are_told():
    with Logd() as logd:
        reply = logd.post("/v1/events", '{"message":"x"}\n' + "{}\n" * 250)
        assert reply.status == 200
        assert [e["index"] for e in counts(reply, 1, rejected=250)["errors"]] == list(range(1, 101))


def test_chunked_and_with_a_length_are_the_same():
    with Logd() as logd:
        c = logd.connect()
        pieces = [b'{"message":"a"}\n{"mess', b'age":"b"}\n', b'{"message":"c"}']
        c.request("POST", "/v1/events", iter(pieces), {"X-Logd-Key": logd.key()}, encode_chunked=True)
        r = c.getresponse()
        assert r.status == 200 and json.loads(r.read())["accepted"] == 3
        assert logd.post("/v1/events", b"".join(pieces), connection=c).json()["accepted"] == 3  # the connection goes on
        c.close()
        assert logd.count() == 6


def test_encodings_are_undone_whatever_the_header_says():
    body = b'{"message":"hello"}\n' * 300
    bodies = {"gzip": gzip.compress(body), "zlib": zlib.compress(body), "raw": raw_deflate(body), "zstd": zstd(body), "plain": body}
    cases = [("gzip", "gzip"), ("x-gzip", "gzip"), ("GZIP", "gzip"), ("deflate", "zlib"), ("deflate", "raw"), ("zstd", "zstd"),
             # wrong, missing or empty headers of real clients
             (None, "gzip"), (None, "zlib"), (None, "zstd"), ("", "plain"), ("", "gzip"), ("identity", "plain"),
             ("gzip,deflate", "zlib"), ("gzip", "plain"), ("deflate", "plain"), ("zstd", "gzip"), ("gzip", "zstd")]
    with Logd() as logd:
        for header, kind in cases:
            reply = logd.post("/v1/events", bodies[kind], headers={} if header is None else {"Content-Encoding": header})
            assert reply.status == 200 and reply.json()["accepted"] == 300, (header, kind, reply)
        for header in ["br", "gzip, gzip", "gzip, zstd", "compress", "aws-chunked"]:
            reply = logd.post("/v1/events", body, headers={"Content-Encoding": header})
            assert reply.status == 415, (header, reply)
            assert reply.json()["error"] == 'Content-Encoding: expected one of gzip, deflate, zstd, got "%s"' % header


def test_a_cut_or_broken_stream_is_400_and_stores_nothing():
    body = b'{"message":"hello"}\n' * 3000
    with Logd() as logd:
        for packed, header in [(gzip.compress(body), "gzip"), (zlib.compress(body), "deflate"), (zstd(body), "zstd")]:
            for bad in [packed[:-1], packed[:len(packed) // 2], packed[:20] + b"\x55" * 20 + packed[40:], packed + b"x"]:
                reply = logd.post("/v1/events", bad, headers={"Content-Encoding": header})
                assert reply.status == 400 and reply.json()["error"].startswith("request body: not valid "), (header, reply)
        reply = logd.post("/v1/events", b"\x00nonsense", headers={"Content-Encoding": "gzip"})
        assert reply.status == 400 and reply.json()["error"] == "request body: not valid gzip: wrong first bytes"
        assert logd.count() == 0
        twice = gzip.compress(gzip.compress(body))  # one layer is undone, the other is no JSON
        assert logd.post("/v1/events", twice, headers={"Content-Encoding": "gzip"}).status == 400


def memory(logd):
    with open("/proc/%d/status" % logd.process.pid) as f:
        return int([line for line in f if line.startswith("VmHWM")][0].split()[1]) << 10


def test_too_large_is_413_at_once_and_costs_no_memory():
    with Logd(config="limits: {body: 1MiB, decoded: 2MiB}\n") as logd:
        key = logd.key().encode()
        sentence = "request body: expected at most 1048576 bytes, got %s"
        # told by its length: refused before a byte of it is sent
        got, closed = logd.raw(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\nContent-Length: 99999999999\r\n\r\n" % key, timeout=5)
        assert closed and got.startswith(b"HTTP/1.1 413 ") and sentence % "99999999999" in got.decode(), got
        # not told: refused in the middle, though the sender would go on for ever
        with socket.create_connection((logd.host, logd.port), timeout=10) as s:
            s.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % key)
            got = b""
            for _ in range(64):
                s.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
                s.setblocking(False)
                try:
                    got = s.recv(65536)
                    break
                except BlockingIOError:
                    s.settimeout(10)
                    time.sleep(0.005)
            assert got.startswith(b"HTTP/1.1 413 ") and sentence % "more" in got.decode(), got
        # a whole large body, sent by a client that reads only when it is done: it still sees why
        c = logd.connect()
        c.request("POST", "/v1/events", b"a" * (9 * MIB), {"X-Logd-Key": key.decode()})
        r = c.getresponse()
        assert r.status == 413 and sentence % str(9 * MIB) == json.loads(r.read())["error"]
        c.close()
        # bombs
        before = memory(logd)
        for bomb, header in [(gzip.compress(b"\0" * (256 * MIB)), "gzip"), (zstd(b"\0" * (256 * MIB)), "zstd")]:
            began = time.monotonic()
            reply = logd.post("/v1/events", bomb, headers={"Content-Encoding": header})
            took = time.monotonic() - began
            assert reply.status == 413, reply
            assert reply.json()["error"] == "request body: expected at most 2097152 bytes after decompression, got more"
            assert took < 1, took
        assert memory(logd) - before < 16 * MIB * SLOW
        assert logd.post("/v1/events", '{"message":"small"}').status == 200


def test_limits_of_events_follow_the_config_and_its_reload():
    def told(logd, body):
        reply = logd.post("/v1/events", body)
        return reply.status, reply.json().get("error")

    wide = lambda n: {"f%d" % i: i for i in range(n)}
    deep = lambda n: "[" * n + "]" * n
    with Logd(config="limits: {event: 2kB, fields: 20, depth: 4, events: 3}\n") as logd:
        for body, status, why in [
                (wide(20), 200, None), (wide(21), 400, "expected at most 20 fields, got more"),
                ('{"a":%s}' % deep(3), 200, None), ('{"a":%s}' % deep(4), 400, "expected at most 4 levels of nesting, got more"),
                ({"m": "x" * 1990}, 200, None), ({"m": "x" * 2000}, 400, "expected an event of at most 2000 bytes, got more"),
                ('{"m":1}' * 3, 200, None), ('{"m":1}' * 4, 413, "expected at most 3 events in a request, got more")]:
            assert told(logd, body) == (status, why), (body, told(logd, body))
        assert told(logd, [wide(21), {"m": 1}]) == (200, None)
        logd.configure("limits: {event: 3kB, fields: 30, depth: 5, events: 4}\n")
        logd.process.send_signal(signal.SIGHUP)
        eventually(lambda: "what=reloaded" in logd.log(), "the config is read again")
        for body, status in [(wide(30), 200), (wide(31), 400), ('{"a":%s}' % deep(4), 200), ('{"a":%s}' % deep(5), 400),
                             ({"m": "x" * 2990}, 200), ({"m": "x" * 3000}, 400), ('{"m":1}' * 4, 200), ('{"m":1}' * 5, 413)]:
            assert told(logd, body)[0] == status, (body, told(logd, body))


def test_many_objects_of_nothing_cost_little():
    with Logd() as logd:
        logd.post("/v1/events", '{"message":"warm"}')
        before = memory(logd)
        for body in ["{}," * (3 * MIB), "[" + "{}," * (3 * MIB), "[" * (4 * MIB), '{"a":' * MIB]:
            reply = logd.post("/v1/events", body)
            assert reply.status in (400, 413), reply
        assert memory(logd) - before < 64 * MIB * SLOW, memory(logd) - before  # the bodies themselves are 9 MB


def test_100_continue_is_asked_for_and_given():
    with Logd() as logd:
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        with socket.create_connection((logd.host, logd.port), timeout=10) as s:
            s.sendall(head % (logd.key().encode(), 15))
            assert s.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            s.sendall(b'{"message":"x"}')
            assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection((logd.host, logd.port), timeout=10) as s:  # a refusal comes instead of the 100
            s.sendall(head % (b"lk_wrong", 15))
            assert s.recv(65536).startswith(b"HTTP/1.1 401 ")
        got, _ = logd.raw(head.replace(b"100-continue", b"200-ok") % (logd.key().encode(), 15) + b'{"message":"x"}')
        assert got.startswith(b"HTTP/1.1 417 ")


def test_keys_come_in_each_place_and_only_roles_that_may_write_write():
    event = '{"message":"x"}'
    with Logd() as logd:
        key = logd.key("ingest")
        basic = lambda user: "Basic " + base64.b64encode(("%s:%s" % (user, key)).encode()).decode()
        for headers in [{"Authorization": "Bearer " + key}, {"authorization": "bearer   " + key}, {"X-Logd-Key": key},
                        {"Authorization": basic("")}, {"Authorization": basic("elastic")}]:
            assert logd.post("/v1/events", event, headers=headers, key=False).status == 200, headers
        for headers in [{}, {"Authorization": "Bearer lk_0000000000000000000000"}, {"Authorization": "Bearer"},
                        {"Authorization": "Basic !!!"}, {"Authorization": "Digest " + key}, {"X-Logd-Key": ""}, {"X-Logd-Key": key[:-1]},
                        {"Cookie": "logd_session=" + key}]:
            reply = logd.post("/v1/events", event, headers=headers, key=False)
            assert reply.status == 401 and reply.headers["WWW-Authenticate"] == "Bearer", (headers, reply)
            assert reply.json()["error"], reply
        reply = logd.post("/v1/events?key=" + key, event, key=False)
        assert reply.status == 403 and "?key=" in reply.json()["error"], reply
        for role, status in [("ingest", 200), ("read", 403), ("logins", 403), ("deploy", 403)]:
            reply = logd.post("/v1/events", event, key=role)
            assert reply.status == status, (role, reply)
        assert logd.get("/v1/query?q=", key="ingest").status == 403
        assert logd.get("/v1/status", key="ingest").status == 403
        logd.command("key", "revoke", "1")
        assert logd.post("/v1/events", event, headers={"X-Logd-Key": key}, key=False).status == 401


def test_a_quota_is_429_with_retry_after_and_nothing_is_taken():
    with Logd() as logd:
        key = logd.key("ingest", rate=60)
        assert logd.post("/v1/events", '{"message":"x"}\n' * 60, key=key).status == 200
        reply = logd.post("/v1/events", '{"message":"y"}\n' * 30, key=key)
        assert reply.status == 429 and 1 <= int(reply.headers["Retry-After"]) <= 60, reply
        assert reply.json()["error"].startswith("this key has used up its quota"), reply
        assert logd.count() == 60
        assert logd.post("/v1/events", '{"message":"z"}').status == 200  # another key's quota is its own


def test_the_same_event_id_twice_is_one_event():
    with Logd() as logd:
        a, b = '{"message":"a","event_id":"1"}', '{"message":"b","event_id":"2"}'
        counts(logd.post("/v1/events", a + "\n" + b), 2)
        counts(logd.post("/v1/events", a + "\n" + '{"message":"c","event_id":"3"}'), 1, duplicates=1)
        reply = logd.post("/v1/events", a)
        assert reply.status == 200
        counts(reply, 0, duplicates=1)
        counts(logd.post("/v1/events", a + "\n" + a.replace("1", "9") + "\n" + a.replace("1", "9")), 1, duplicates=2)
        logd.kill9_and_restart()
        counts(logd.post("/v1/events", b), 0, duplicates=1)
        counts(logd.post("/v1/events", b, key=logd.key("ingest", app="other")), 1)  # ids are an app's own
        assert logd.count("app=shop") == 4


def test_an_idempotency_key_makes_a_repeat_a_no_op():
    with Logd() as logd:
        body, headers = '{"message":"a"}\n{"level":"loud","message":"b"}\n', {"Idempotency-Key": "k1"}
        first = logd.post("/v1/events", body, headers=headers)
        assert first.status == 200 and "duplicate" not in first.json()
        for restart in (False, True):
            if restart:
                logd.kill9_and_restart()
            again = logd.post("/v1/events", body, headers=headers)
            assert again.status == 200 and again.json() == dict(first.json(), duplicate=True), again
        other = logd.post("/v1/events", '{"message":"c"}', headers=headers)
        assert other.status == 409 and other.json()["error"] == "Idempotency-Key: was used with another body", other
        assert logd.post("/v1/events", '{"message":"d"}', headers=headers, key=logd.key("ingest", rate=1000)).status == 200  # per key
        assert logd.post("/v1/events", body, headers={"Idempotency-Key": "x" * 257}).status == 400
        assert logd.count() == 2


def test_other_methods_and_paths_say_what_is_there():
    with Logd() as logd:
        c = logd.connect()
        reply = logd.request("PUT", "/v1/events", "{}", connection=c)
        assert reply.status == 405 and reply.headers["Allow"] == "POST, OPTIONS", reply
        assert reply.json()["error"] == "/v1/events takes POST, not PUT"
        reply = logd.get("/v1/nothing/here", key=False)
        assert reply.status == 404 and reply.json()["error"] == "there is nothing at /v1/nothing/here"
        reply = logd.request("BREW", "/healthz", key=False)
        assert reply.status == 501 and reply.json()["error"] == "the method BREW is not known here"
        reply = logd.request("OPTIONS", "/v1/events", key=False)
        assert reply.status == 204 and reply.headers["Allow"] == "POST, OPTIONS", reply
        assert logd.request("OPTIONS", "*", key=False).status == 204
        head, get = logd.request("HEAD", "/healthz", key=False), logd.get("/healthz", key=False)
        assert head.status == 200 and head.body == b"" and head.headers["Content-Length"] == str(len(get.body))
        for path in ["/v1/../healthz", "/v1//events", "/healthz/", "/HEALTHZ", "/v1/events%2f", "/%2e%2e/etc/passwd"]:
            assert logd.get(path, key=False).status == 404, path


def test_one_connection_takes_a_thousand_requests():
    with Logd() as logd:
        c, key = logd.connect(), logd.key()
        for i in range(1000):
            assert logd.post("/v1/events", '{"message":"%d"}' % i, key=key, connection=c).status == 200
        assert logd.get("/healthz", key=False, connection=c).status == 200
        c.close()
        assert logd.count() == 1000


def test_the_sender_behind_a_listed_proxy_is_who_it_says():
    with Logd(config="proxies: [127.0.0.1, 10.0.0.0/8]\n") as logd:
        for forwarded, ip in [("203.0.113.7", "203.0.113.7"), ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
                              ("203.0.113.7, 10.1.2.3", "203.0.113.7"), ("10.1.2.3", "10.1.2.3"), ("2001:db8::1", "2001:db8::1"),
                              ("nonsense", "127.0.0.1"), ("203.0.113.7, nonsense", "127.0.0.1")]:
            key = logd.key("browser", origins=("https://a.example",))
            reply = logd.post("/v1/events", {"message": "from " + forwarded}, key=key, headers={"Origin": "https://a.example", "X-Forwarded-For": forwarded})
            assert reply.status == 200, reply
            assert logd.query('message="from %s"' % forwarded)[0]["ip"] == ip, forwarded
        # a proxy may add a line of its own behind the sender's
        got, _ = logd.raw(b'POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Logd-Key: %s\r\nOrigin: https://a.example\r\nX-Forwarded-For: 6.6.6.6\r\n'
                          b'X-Forwarded-For: 203.0.113.9\r\nContent-Length: 19\r\n\r\n{"message":"lines"}' % key.encode(), half_close=True)
        assert got.startswith(b"HTTP/1.1 200 "), got
        assert logd.query("message=lines")[0]["ip"] == "203.0.113.9"
    with Logd() as logd:
        key = logd.key("browser", origins=("https://a.example",))
        logd.post("/v1/events", {"message": "x"}, key=key, headers={"Origin": "https://a.example", "X-Forwarded-For": "203.0.113.7"})
        assert logd.query("")[0]["ip"] == "127.0.0.1"


def test_a_clock_that_was_set_back_dates_no_event_ahead():
    with Logd() as logd:
        logd.advance(3 * 86400)
        assert logd.post("/v1/events", {"message": "ahead"}).status == 200
        logd.restart()  # the clock is right again
        assert logd.post("/v1/events", {"message": "now"}).status == 200
        assert logd.get("/v1/query?q=now", key="read").text.count("\n") == 1, "the last hour has it"
        now, ahead = logd.query("message:*", order="asc")
        assert (now["message"], ahead["message"]) == ("now", "ahead") and now["id"] > ahead["id"], (now, ahead)


if __name__ == "__main__":
    run(globals())
