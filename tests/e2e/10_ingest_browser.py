"""What browsers send: POST /b, the reports they make by themselves, CORS for a key's own origins only, and b.js."""
import glob, json, os, re, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, run, shared

PAGE = "https://shop.example"
OTHER = "https://evil.example"


def beacon(logd, body, origin=PAGE, path="/b", key=None, headers=None):
    key = key or logd.key("browser", origins=(PAGE,))
    headers = {"Content-Type": "text/plain;charset=UTF-8", **({"Origin": origin} if origin else {}), **(headers or {})}
    return logd.post("%s?key=%s" % (path, key), body, headers=headers, key=False)


def test_a_beacon_is_stored_marked_and_answered_with_204():
    with Logd() as logd:
        reply = beacon(logd, '{"level":"fatal","message":"boom","type":"browser.error"}\n{"level":"info","message":"two"}')
        assert reply.status == 204 and reply.body == b"", reply
        assert reply.headers["Access-Control-Allow-Origin"] == PAGE and "Origin" in reply.headers["Vary"], reply.headers
        event = logd.query('message=boom')[0]
        assert event["trust"] == "browser" and event["ip"] == "127.0.0.1" and event["app"] == "shop", event
        assert event["level"] == "error", "a page may not call people out of bed"
        assert beacon(logd, '[{"message":"three"}]').status == 204
        assert beacon(logd, "").status == 204
        assert logd.count() == 3


def test_a_beacon_of_which_nothing_can_be_read_is_400():
    with Logd() as logd:
        reply = beacon(logd, "nonsense")
        assert reply.status == 400 and reply.json()["error"], reply
        assert reply.headers["Access-Control-Allow-Origin"] == PAGE


def test_a_browser_key_writes_only_and_only_from_its_origins():
    with Logd() as logd:
        key = logd.key("browser", origins=(PAGE,))
        for origin, status in [(PAGE, 204), (OTHER, 403), (PAGE + ".evil.example", 403), ("http://shop.example", 403), ("null", 403), (None, 403)]:
            reply = beacon(logd, '{"message":"x"}', origin=origin)
            assert reply.status == status, (origin, reply)
            assert reply.headers["Access-Control-Allow-Origin"] == (PAGE if status == 204 else None), origin
        reply = logd.post("/v1/events", '{"message":"x"}', headers={"Origin": PAGE, "X-Logd-Key": key}, key=False)
        assert reply.status == 200 and reply.headers["Access-Control-Allow-Origin"] == PAGE, reply
        assert logd.query("")[0]["trust"] == "browser"
        for method, path in [("GET", "/v1/query?q="), ("GET", "/v1/status"), ("GET", "/metrics"), ("POST", "/v1/stats"), ("GET", "/v1/keys")]:
            reply = logd.request(method, path + ("&" if "?" in path else "?") + "key=" + key, body="{}" if method == "POST" else None,
                                 headers={"Origin": PAGE}, key=False)
            assert reply.status == 403, (path, reply)
        assert beacon(logd, '{"message":"x"}', key="lk_0000000000000000000000").status == 401
        assert beacon(logd, '{"message":"x"}', key=logd.key("ingest")).status == 403  # a secret has no place in a URL
        headers = {"X-Logd-Key": logd.key("ingest")}
        assert logd.post("/b", '{"message":"x"}', headers=headers, key=False).status == 204


def test_a_beacon_is_small():
    with Logd() as logd:
        assert beacon(logd, '{"message":"%s"}' % ("a" * 60000)).status == 204
        reply = beacon(logd, '{"message":"%s"}' % ("a" * 66000))
        assert reply.status == 413 and reply.json()["error"] == "request body: expected at most 65536 bytes, got 66014", reply
        key = logd.key("browser", origins=(PAGE,))
        reply = logd.post("/v1/events", '{"message":"%s"}' % ("a" * 66000), headers={"Origin": PAGE, "X-Logd-Key": key}, key=False)
        assert reply.status == 413, reply


def preflight(logd, path, origin, key):
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type", "Origin": origin}
    return logd.request("OPTIONS", path + ("?key=" + key if key else ""), headers=headers, key=False)


def test_a_preflight_is_granted_to_the_keys_origins_only():
    with Logd() as logd:
        key = logd.key("browser", origins=(PAGE, "https://two.example:8443"))
        for path in ["/b", "/b/reports", "/v1/events"]:
            reply = preflight(logd, path, PAGE, key)
            assert reply.status == 204 and reply.headers["Access-Control-Allow-Origin"] == PAGE, reply
            assert "POST" in reply.headers["Access-Control-Allow-Methods"]
            assert "content-type" in reply.headers["Access-Control-Allow-Headers"]
            assert int(reply.headers["Access-Control-Max-Age"]) >= 600 and "Origin" in reply.headers["Vary"]
        assert preflight(logd, "/b", "https://two.example:8443", key).status == 204
        for origin, k in [(OTHER, key), ("https://two.example", key), (PAGE, "lk_0000000000000000000000"), (PAGE, None), ("null", key),
                          (PAGE, logd.key("ingest"))]:
            reply = preflight(logd, "/b", origin, k)
            assert reply.status == 403 and reply.headers["Access-Control-Allow-Origin"] is None, (origin, k, reply)


def captured(name):
    """(method, target, headers, body) of a request as it was on the wire."""
    with open(name, "rb") as f:
        head, _, body = f.read().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    method, target, _ = lines[0].split(" ")
    return method, target, dict(line.split(": ", 1) for line in lines[1:]), body


def test_reports_of_a_real_chromium_become_events_without_tokens():
    folder = shared("data", "captures", "chrome-reporting")
    with Logd() as logd:
        sent = 0
        for name in sorted(glob.glob(os.path.join(folder, "*.http"))):
            method, _, headers, body = captured(name)
            if method != "POST":
                continue
            key = logd.key("browser", origins=(headers["Origin"],))
            reply = logd.post("/b/reports?key=" + key, body, headers={k: headers[k] for k in ("Content-Type", "Origin", "User-Agent")}, key=False)
            assert reply.status == 204, (name, reply)
            sent += len(json.loads(body)) if body.startswith(b"[") else 1
        events = logd.query("")
        assert len(events) == sent > 15, (len(events), sent)
        text = json.dumps(events)
        assert "SECRET" not in text and "token=" not in text and "?id=" not in text, re.findall(r".{60}(?:SECRET|token=|\?id=).{20}", text)
        assert all(e["trust"] == "browser" and e["type"] and e["message"] for e in events)
        types = {e["type"] for e in events}
        assert {"csp.violation", "network.error", "deprecation", "permissions.policy.violation"} <= types, types
        csp = [e for e in events if e["type"] == "csp.violation"]
        assert {"inline"} <= {e["csp.blockedURL"] for e in csp} and all("csp.originalPolicy" not in e for e in csp)
        old = [e for e in csp if e.get("csp.disposition") == "report"]
        assert old and old[0]["csp.documentURL"].startswith("https://app.localhost:") and old[0]["csp.lineNumber"] == 1, old
        assert all("Chrome" in e["http.user_agent"] for e in events)


def test_reports_that_are_none_are_refused_with_a_sentence():
    with Logd() as logd:
        for body, error in [("[1]", 'report 0: expected an object with a text "type" and an object "body"'),
                            ('[{"type":"x"}]', 'report 0: expected an object with a text "type" and an object "body"'),
                            ("{}", 'expected an array of reports or an object "csp-report"'), ("", None), ("{", None), ("7", None),
                            ('[{"type":"x","body":{}},{"type":7,"body":{}}]', 'report 1: expected an object with a text "type" and an object "body"')]:
            reply = beacon(logd, body, path="/b/reports")
            assert reply.status == 400 and reply.json()["error"], (body, reply)
            assert error is None or reply.json()["error"] == error, (body, reply)
        assert beacon(logd, "[]", path="/b/reports").status == 204
        assert logd.count() == 0


def test_beacons_of_a_real_chromium_are_taken():
    folder = shared("data", "captures", "chrome-beacon")
    with Logd() as logd:
        taken = 0
        for name in sorted(glob.glob(os.path.join(folder, "*.http"))):
            method, _, headers, body = captured(name)
            if method != "POST" or len(body) > 65536 or not body.startswith(b"{"):
                continue
            reply = beacon(logd, body, origin=headers["Origin"], key=logd.key("browser", origins=(headers["Origin"],)),
                           headers={"Content-Type": headers.get("Content-Type", "")})
            assert reply.status == 204, (name, reply)
            taken += 1
        assert taken > 5 and logd.count() == taken


def test_the_reporter_may_be_loaded_by_any_page():
    with Logd() as logd:
        reply = logd.get("/b.js", key=False, headers={"Origin": OTHER})
        assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/javascript"), reply.headers
        assert reply.headers["Access-Control-Allow-Origin"] == "*" and reply.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "max-age" in reply.headers["Cache-Control"] and b".dataset" in reply.body
        again = logd.get("/b.js", key=False, headers={"If-None-Match": reply.headers["ETag"]})
        assert again.status == 304 and again.body == b""


def test_the_page_comes_with_a_strict_policy():
    with Logd() as logd:
        for path in ["/", "/first", "/login", "/issues", "/issues/x", "/incidents"]:
            reply = logd.get(path, key=False, headers={"Accept": "text/html,*/*"})
            policy = reply.headers["Content-Security-Policy"]
            assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/html"), (path, reply)
            assert "default-src 'none'" in policy and "require-trusted-types-for 'script'" in policy and "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy and reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.headers["Referrer-Policy"] == "no-referrer" and reply.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            for wanted in re.findall(r'(?:src|href)="(/app/[^"]+)"', reply.text):
                file = logd.get(wanted, key=False, headers={"Accept-Encoding": "gzip"})
                assert file.status == 200, wanted
        assert logd.get("/", key=False, headers={"Accept": "*/*"}).json()["name"] == "logd"
        assert logd.get("/app/nothing.js", key=False).status == 404
        assert logd.get("/app/..%2f..%2fetc/passwd", key=False).status == 404


if __name__ == "__main__":
    run(globals())
