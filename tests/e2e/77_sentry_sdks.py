"""Stock Sentry SDKs with no more than a DSN of logd's: what they report is here, one root cause is one issue, no secret came with it."""
import glob, json, os, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, Skip, eventually, run, shared
from outside import DEPS, Site, browse, node


def dsn(logd, role="ingest", **more):
    key = logd.key(role, **more)
    return f"{logd.scheme}://{key}@{logd.host}:{logd.port}/1"


def issues(logd):
    return {i["title"]: i for i in logd.get("/v1/issues").json()["issues"]}


def on_disk(logd):
    for root, _, names in os.walk(logd.data):
        for name in names:
            if name != "sock":
                with open(os.path.join(root, name), "rb") as f:
                    yield f.read()


def test_sentry_for_node():
    with Logd() as logd:
        p = node("sentry_node.js", dsn(logd), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        _, err = p.communicate(timeout=30)
        assert p.returncode == 1 and "RangeError: the end" in err, err
        eventually(lambda: logd.count() == 9, f"nine events, got {logd.count()}")
        rows = logd.query("", order="asc")
        found = issues(logd)
        assert len(found) == 4 and sorted(i["count"] for i in found.values()) == [1, 1, 1, 6], [(t, i["count"]) for t, i in found.items()]
        pay, = [r for r in rows if r["message"] == "Error: payment of 1002 failed"]
        assert pay["error.cause.type"] == "TypeError" and pay["release"] == "shop@1.4" and pay["env"] == "test" and pay["host"] == "web-1", pay
        assert pay["tags.step"] == "pay" and pay["user"] == "u1002" and pay["error.frames"][0]["function"] == "attempt", pay
        assert "ann@example.com" not in json.dumps(rows)
        assert [r["level"] for r in rows if "disk" in r["message"]] == ["warn"] and [r for r in rows if "the end" in r["message"]][0]["level"] == "fatal", rows
        assert not any(b"SECRETTOKEN" in data for data in on_disk(logd))


def test_sentry_for_browsers():
    built = subprocess.run([os.path.join(DEPS, "node/node_modules/@esbuild/linux-x64/bin/esbuild"), os.path.join(TREE, "tests/lib/sentry_browser.js"), "--bundle", "--format=iife"],
                           capture_output=True, env=dict(os.environ, NODE_PATH=os.path.join(DEPS, "node/node_modules")))
    assert built.returncode == 0, built.stderr[-2000:]
    pages = {"/app.js": built.stdout.decode()}
    with Logd() as logd, Site(pages) as site:
        pages["/"] = f"<!doctype html><meta charset=utf-8><script>DSN = '{dsn(logd, 'browser', origins=(site.origin,))}'</script><script src=/app.js?token=SECRETTOKEN></script>"
        browse({"do": "open", "url": site.origin + "/?token=SECRETTOKEN"}, {"do": "sleep", "ms": 2500})
        eventually(lambda: logd.count() >= 2, "the events are there")
        found = issues(logd)
        assert len(found) == 2, found
        row = logd.query("nobody")[0]
        assert row["trust"] == "browser" and row["url"] == site.origin + "/" and row["release"] == "shop@1.4", row
        total = [r for r in logd.query("") if r["error.type"] == "TypeError"][0]
        assert total["error.frames"][0]["function"] == "total" and total["error.frames"][0]["file"] == site.origin + "/app.js", total["error.frames"][0]
        assert not any(b"SECRETTOKEN" in data for data in on_disk(logd))


def test_sentry_for_python():
    places = [os.path.join(DEPS, "root/usr/lib/python3/dist-packages")]
    if subprocess.run(["/usr/bin/python3", "-c", "import sentry_sdk"], env=dict(os.environ, PYTHONPATH=":".join(places)), capture_output=True).returncode:
        raise Skip("python3-sentry-sdk is not there: make deps-test unpacks it")
    with Logd() as logd:
        done = subprocess.run(["/usr/bin/python3", os.path.join(TREE, "tests/lib/sentry_python.py"), dsn(logd)], env=dict(os.environ, PYTHONPATH=":".join(places)),
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        eventually(lambda: logd.count() == 4, f"four events, got {logd.count()}")
        (title, issue), = issues(logd).items()
        assert "KeyError" in title and issue["count"] == 4 and issue["culprit"].endswith(":read"), issue
        assert not any(b"hunter2" in data for data in on_disk(logd))


def test_an_envelope_that_is_none_and_a_key_that_is_another_projects_are_refused():
    with Logd() as logd:
        key = logd.key()
        post = lambda body, project=1, path="envelope/", key=key: logd.post(f"/api/{project}/{path}?sentry_key={key}", body, key=False)
        for body in ("", "{", "[]", "\xff"):
            reply = post(body)
            assert reply.status == 400 and "the envelope's first line: expected a JSON object" in reply.json()["error"], (body, reply)
        assert post("{}").status == 200 and post('{}\n{"type":"session"}\n{"sid":"x"}').json() == {"id": ""}
        assert post("{}", project=2).status == 403 and post("{}", project="x").status == 403 and post("{}", key="lk_0000000000000000000000").status == 401
        item = '{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n{"type":"%s"%s}\n%s\n'
        event = '{"message":"one","timestamp":1700000000.25}'
        assert post(item % ("event", "", event)).json() == {"id": "9ec79c33ec9942ab8353589fcb2e04dc"}
        assert post(item % ("event", ',"length":%d' % len(event), event)).status == 200
        assert logd.count() == 1, "the same event twice is one"
        assert post(item % ("event", ',"length":9999999', event.replace("one", "two"))).status == 200
        assert post('{"message":"three"}', path="store/").status == 200 and logd.count() == 2, "of the same id it is again the same, of none it is new"
        for extra in ('{"exception":{"values":[1,null,{"stacktrace":{"frames":[3,{}]}}]}}', '{"tags":[["a"],1,["b","c"]],"fingerprint":[1,"x"],"user":7}'):
            assert post(extra, path="store/").status in (200, 400)
        logs = '{"items":[{"timestamp":1700000000.5,"level":"warn","body":"told","attributes":{"n":{"value":7,"type":"integer"}}},5]}'
        assert post('{}\n{"type":"log"}\n' + logs).status == 200
        assert logd.query("told")[0]["attributes.n"] == 7


def test_the_key_may_stand_in_the_envelope_and_what_went_before_is_kept_without_secrets():
    event = {"event_id": "9ec79c33ec9942ab8353589fcb2e04dc", "level": "error", "exception": {"values": [{"type": "TypeError", "value": "no stock"}]},
             "breadcrumbs": {"values": [{"timestamp": 1700000000, "category": "n", "message": str(n)} for n in range(40)] + [
                 {"timestamp": 1700000001.5, "type": "http", "category": "fetch", "level": "info", "data": {"method": "POST", "url": "https://bank.example/pay?token=SECRETTOKEN#s3cr3t", "status_code": 503, "body": "hunter2"}},
                 {"category": "navigation", "data": {"from": "/cart?token=SECRETTOKEN", "to": "/pay"}}, 7]},
             "contexts": {"os": {"name": "Linux", "version": "6.1", "raw_description": "hunter2"}, "device": {"name": "hunter2", "model": "Pixel 8"}, "mine": {"password": "hunter2"}, "trace": {"trace_id": "0" * 32}}}
    with Logd() as logd:
        body = lambda key: json.dumps({"dsn": f"{logd.scheme}://{key}@{logd.host}:{logd.port}/1"}) + '\n{"type":"event"}\n' + json.dumps(event)
        post = lambda body, path="envelope", origin=None: logd.post(f"/api/1/{path}/", body, key=False, headers={"Origin": origin} if origin else None)
        browser = logd.key("browser", origins=("https://shop.example",))
        reply = post(body(browser), origin="https://shop.example")
        assert reply.status == 200 and reply.headers["Access-Control-Allow-Origin"] == "https://shop.example", reply
        assert post(body(browser), origin="https://evil.example").status == 403 and post(body(logd.key("read"))).status == 403
        for none in (body("lk_0000000000000000000000"), "{}", '{"dsn":"x"}', '{"dsn":7}', "", "["):
            assert post(none).status == 401, none
        assert post(body(logd.key()), path="store").status == 401 and post(body(logd.key()) + " " * 65536).status == 413
        row, = logd.query("TypeError")
        crumbs = row["breadcrumbs"]
        assert len(crumbs) == 30 and crumbs[0]["message"] == "13" and crumbs[27]["data"] == {"method": "POST", "status_code": 503, "url": "https://bank.example/pay"}, crumbs
        assert crumbs[28]["data"] == {"from": "/cart", "to": "/pay"}, crumbs
        assert (row["contexts.os.name"], row["contexts.os.version"], row["contexts.device.model"]) == ("Linux", "6.1", "Pixel 8") and "contexts.device.name" not in row, row
        assert not any(secret in data for data in on_disk(logd) for secret in (b"SECRETTOKEN", b"hunter2", b"s3cr3t"))


def test_what_real_sdks_sent_is_taken():
    with Logd() as logd:
        for folder in ("sentry-node", "sentry-node-gz", "sentry-node-uncaught", "sentry-browser"):
            for name in sorted(glob.glob(os.path.join(shared("data", "captures", folder), "*.body"))):
                with open(name, "rb") as f:
                    body = f.read()
                if b"\n" in body:
                    assert logd.post(f"/api/1/envelope/?sentry_key={logd.key()}", body, key=False).status == 200, name
        assert logd.count() > 3
        assert not any(secret in data for data in on_disk(logd) for secret in (b"SECRETTOKEN", b"hunter2", b"s3cr3t"))


if __name__ == "__main__":
    run(globals())
