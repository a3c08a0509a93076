"""Source maps: what a minified bundle throws in a real Chromium comes back as the file, line and function that somebody wrote."""
import json, os, re, shutil, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, Skip, eventually, run
from outside import DEPS, Site, browse

CART = """export class CartError extends Error {}
export function checkoutTotal(items: {price: number}[] | null): number {
  if (!items) {
    throw new CartError("the cart is gone");
  }
  return items.reduce((sum, item) => sum + item.price, 0);
}
"""
MAIN = """import {checkoutTotal} from "./cart";
function payForEverything(kind: string) {
  console.log("paying", kind);
  return checkoutTotal(null);
}
setTimeout(() => payForEverything("card"), 10);
"""
PAGE = '<!doctype html><title>t</title><script src="%s/b.js" data-key="%s" data-release="%s"></script><script src="assets/main.js"></script>'


def build(folder, before=""):
    """A minified bundle and its map, by esbuild, in folder/dist. `before`: more code, so that names and places are others."""
    tool = os.path.join(DEPS, "node/node_modules/.bin/esbuild")
    if not os.path.exists(tool):
        raise Skip("esbuild is not there: make deps-test installs it")
    os.makedirs(os.path.join(folder, "src"), exist_ok=True)
    for name, text in (("cart.ts", CART), ("main.ts", before + MAIN)):
        with open(os.path.join(folder, "src", name), "w") as f:
            f.write(text)
    done = subprocess.run([tool, "src/main.ts", "--bundle", "--minify", "--sourcemap", "--outfile=dist/assets/main.js", "--log-level=error"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return os.path.join(folder, "dist")


def read(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


def throw(logd, scripts):
    """Serves the bundle of each release to one Chromium; the event that each reported."""
    pages = {f"/{release}/assets/main.js": script for release, script in scripts.items()}
    with Site(pages) as site:
        key = logd.key("browser", "shop", origins=(site.origin,))
        pages.update({f"/{release}/": PAGE % (logd.url, key, release) for release in scripts})
        browse(*[step for release in scripts for step in ({"do": "open", "url": f"{site.origin}/{release}/"}, {"do": "sleep", "ms": 1400})])
        eventually(lambda: logd.count("app=shop") >= len(scripts), "the errors are there")
    return {e["release"]: e for e in logd.query("app=shop")}


def issues(logd, app="shop"):
    return eventually(lambda: logd.get("/v1/issues?app=" + app).json()["issues"], "there is an issue")


def health(logd, app="shop"):
    return logd.get("/v1/maps?app=" + app).json()["health"]


class Folder:
    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="maps.")
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def test_a_minified_bundle_comes_back_as_it_was_written_and_two_builds_are_one_issue():
    with Logd() as logd, Folder() as first, Folder() as second:
        builds = {"1.4": build(first), "1.5": build(second, "const a = [1, 2].map(x => x + 1), b = (y: number) => y * a[0]; console.log(b(3));\n")}
        assert read(builds["1.4"], "assets/main.js") != read(builds["1.5"], "assets/main.js")
        for release, dist in builds.items():
            said = logd.command("maps", "put", "--app", logd.app(), "--release", release, dist).stdout
            assert re.fullmatch(r"assets/main\.js:1:\d+ -> src/(cart|main)\.ts:\d+ \(\w+\)\n", said), said
        for release, event in throw(logd, {r: read(dist, "assets/main.js") for r, dist in builds.items()}).items():
            top = event["error.frames"][:2]
            line = 4 if release == "1.4" else 5
            assert [(f["function"], f["file"], f["line"]) for f in top] == [("checkoutTotal", "src/cart.ts", 4), ("payForEverything", "src/main.ts", line)], event
            assert CART.splitlines()[3][top[0]["column"] - 1:].startswith(("throw", "new CartError")), top[0]
            assert all(f["in_app"] and f["raw"]["line"] == 1 and f["raw"]["file"].endswith("/assets/main.js") for f in top), top
            assert "/assets/main.js:1:" in event["error.stack"], "what came stays"
        eventually(lambda: sum(i["count"] for i in issues(logd)) == 2, "both are counted")
        found = issues(logd)
        assert len(found) == 1, found
        assert found[0]["culprit"] == "cart.ts:checkoutTotal" and sorted(found[0]["releases"]) == ["1.4", "1.5"], found[0]
        shown = logd.get("/v1/issues/" + found[0]["id"]).json()
        assert "cart.ts:checkoutTotal, main.ts:payForEverything" in shown["why"], shown["why"]
        logd.kill9_and_restart()
        eventually(lambda: sum(i["count"] for i in issues(logd)) == 2, "both are counted again")
        again = issues(logd)
        assert [(i["id"], i["count"]) for i in again] == [(found[0]["id"], 2)], "a replay makes the same of it"
        assert len(logd.get("/v1/maps").json()["maps"]) == 2


def event(release=None, column=56, file="https://shop.example/assets/main.js", **more):
    stack = "Error: gone\n    at n (%s:1:%d)\n    at c (%s:1:190)" % (file, column, file)
    return {"level": "error", "message": "gone", "error": {"type": "Error", "stack": stack}, **({"release": release} if release else {}), **more}


def test_a_map_that_cannot_be_used_is_refused_with_one_sentence():
    with Logd() as logd, Folder() as folder:
        dist = build(folder)
        script, map = os.path.join(dist, "assets/main.js"), os.path.join(dist, "assets/main.js.map")
        good = read(map)

        def put(**files):
            for name, text in files.items():
                with open({"script": script, "map": map}[name], "w") as f:
                    f.write(text)
            done = logd.command("maps", "put", "--app", logd.app(), "--release", "1", dist, check=False)
            assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1, done
            return done.stderr.removeprefix("logd: maps put: ").strip()
        assert "field 'version': expected 3, got 4" in put(map=good.replace('"version": 3', '"version": 4'))
        assert "expected a value, got '<'" in put(map="<!doctype html>")
        assert "the map maps nothing" in put(map='{"version":3,"sources":[],"names":[],"mappings":""}')
        assert "does not belong to the minified file: it speaks of line 1, column" in put(map=good, script="console.log(1)\n")
        os.remove(map)
        assert "the map it names is not there" in put(script="console.log(1)\n//# sourceMappingURL=gone.js.map\n")
        assert "none of the 1 scripts in" in put(script="console.log(1)\n")
        os.remove(script)
        assert "holds no .js, .mjs or .cjs file" in put()
        assert logd.get("/v1/maps").json()["maps"] == []
        done = logd.command("maps", "put", "--app", "shop", dist, check=False)
        assert done.returncode == 2 and "expected --release R" in done.stderr, done


def test_a_map_serves_its_own_app_and_nobody_reads_it():
    with Logd() as logd, Folder() as folder:
        dist = build(folder)
        deploy, other = logd.key("deploy", "shop"), logd.key("deploy", "web")
        done = subprocess.run([logd.binary, "maps", "put", "--release", "1", dist, "--server", logd.url, "--key", deploy], capture_output=True, text=True)
        assert done.returncode == 0 and "assets/main.js:1:" in done.stdout, done
        for app, function in (("shop", "checkoutTotal"), ("web", "n")):
            assert logd.post("/v1/events", event("1"), key=logd.key("ingest", app)).status == 200
            assert issues(logd, app)[0]["culprit"].endswith(":" + function), issues(logd, app)
        asked = logd.request("POST", "/v1/maps?app=shop&release=1&path=x.js", read(dist, "assets/main.js.map"), key=other)
        assert asked.status == 403 and 'this key is for \\"web\\"' in asked.text, asked
        for role in ("ingest", "read", "browser"):
            key = logd.key(role, "shop", origins=("https://shop.example",) if role == "browser" else ())
            assert logd.request("POST", "/v1/maps?release=1", b"PK", key=key).status in (401, 403), role
        for method, path, key in (("GET", "/v1/maps", deploy), ("GET", "/v1/query?q=", deploy), ("DELETE", "/v1/maps?app=shop", deploy)):
            assert logd.request(method, path, key=key).status == 403, path
        listed = logd.get("/v1/maps?app=shop").text
        assert "cart" not in listed and "CartError" not in listed, "a list tells nothing of what is in a map"
        for path in ("/v1/maps/1", "/v1/maps/00000001.map", "/maps/00000001.map", "/app/../maps/00000001.map"):
            assert logd.get(path).status in (400, 404, 405), path


def test_sentry_cli_uploads_and_a_debug_id_finds_its_map_in_any_release():
    tool = os.path.join(DEPS, "node/node_modules/.bin/sentry-cli")
    if not os.path.exists(tool):
        raise Skip("sentry-cli is not there: make deps-test installs it")
    with Logd() as logd, Folder() as folder:
        dist = build(folder)
        env = dict(os.environ, CI="1", SENTRY_URL=logd.url, SENTRY_AUTH_TOKEN=logd.key("deploy"), SENTRY_ORG="any", PATH=os.path.dirname(os.path.realpath(os.path.join(DEPS, "node-bin"))) + ":" + os.environ["PATH"])

        def sentry(*args, group="sourcemaps"):
            return subprocess.run([tool, group, *args], env=env, capture_output=True, text=True, timeout=60)
        for words in (("new", "-p", "shop", "2.0"), ("finalize", "2.0")):
            done = sentry(*words, group="releases")
            assert done.returncode == 0, (words, done.stdout, done.stderr)
        done = sentry("inject", dist)
        assert done.returncode == 0, done.stderr
        done = sentry("upload", "-p", "shop", "--release", "2.0", dist)
        assert done.returncode == 0 and "File processing complete" in done.stdout, (done.stdout, done.stderr)
        listed = logd.get("/v1/maps?app=shop").json()["maps"]
        assert [(m["release"], m["path"]) for m in listed] == [("2.0", "assets/main.js")], listed
        script = read(dist, "assets/main.js").splitlines()
        row = next(i for i, text in enumerate(script) if "the cart is gone" in text)
        column = script[row].index("throw new") + 7
        stack = "Error: gone\n    at n (https://cdn.example/x.js:%d:%d)" % (row + 1, column)
        images = [{"type": "sourcemap", "code_file": "https://cdn.example/x.js", "debug_id": listed[0]["debug_id"]}]
        reply = logd.post("/v1/events", {"level": "error", "error": {"type": "Error", "stack": stack}, "debug_meta": {"images": images}})
        assert reply.status == 200 and logd.query("level=error")[0]["error.frames"][0]["function"] == "checkoutTotal", logd.query("level=error")
        assert not [n for n in os.listdir(os.path.join(logd.data, "maps")) if n.startswith("chunk-")], "no piece stays"
        done = sentry("upload", "-p", "other", "--release", "2.0", dist)
        assert done.returncode != 0 and 'this key is for the app' in done.stderr, done


def test_a_file_named_by_its_contents_is_found_whatever_the_release():
    small = json.dumps({"version": 3, "sources": ["src/cart.ts"], "names": ["pay"], "mappings": "AAAAA"})
    with Logd() as logd:
        for n, name in enumerate(("main.3f2a1c9d.js", "index-5XQGV2KD.js", "app-20240101.js", "settings.js", "Release2024.js")):
            put = logd.post(f"/v1/maps?path=assets/{name}&debug_id=0000000000000000000000000000000{n}", small, key="deploy")
            assert put.status == 200, put
            for release in ({}, {"release": "9"}):
                logd.post("/v1/events", {"level": "error", "name": name, "error": {"type": "E", "stack": f"E: x\n    at n (https://shop.example/assets/{name}:1:1)"}, **release})
        found = [r["name"] for r in logd.query("error.frames:*")]
        assert sorted(found) == ["index-5XQGV2KD.js"] * 2 + ["main.3f2a1c9d.js"] * 2, found
        logd.post(f"/v1/maps?path=other/main.3f2a1c9d.js&release=2", small, key="deploy")
        logd.post("/v1/events", {"level": "error", "name": "which", "error": {"type": "E", "stack": "E: x\n    at n (https://shop.example/main.3f2a1c9d.js:1:1)"}})
        assert not logd.count("name=which error.frames:*"), "which of two it is, is not said"


def test_what_stays_minified_is_listed_with_its_cause_and_its_fix():
    with Logd() as logd, Folder() as folder:
        dist = build(folder)
        logd.command("maps", "put", "--app", logd.app(), "--release", "1", dist)
        no_column = {"level": "error", "release": "1", "error": {"type": "Error", "frames": [{"function": "n", "file": "https://shop.example/assets/main.js", "line": 1}]}}
        for e in (event(), event("9"), event("1", file="https://shop.example/other.js?token=SECRET#x"), event("1", column=1), no_column, event("1"),
                  event("1", file="chrome-extension://abc/x.js"), event("1", file="https://shop.example/checkout")):
            assert logd.post("/v1/events", e).status == 200
        said = health(logd)
        causes = {u["cause"]: u for u in said["unresolved"]}
        assert set(causes) == {"no_release", "no_maps", "no_file", "no_mapping", "no_column"}, said
        assert causes["no_file"]["file"] == "https://shop.example/other.js" and causes["no_file"]["count"] == 2, causes["no_file"]
        assert all(u["fix"] for u in causes.values()) and "maps put" in causes["no_maps"]["fix"] and said["resolved"] == 3, said
        metrics = logd.get("/metrics").text
        assert 'logd_maps_frames_total{outcome="no_file"} 2' in metrics and "logd_maps_files 1" in metrics
        shown = logd.command("maps", "list").stdout
        assert "no_maps" in shown and "run logd maps put" in shown, shown
        late = [r for r in logd.query("release=9") if "error.stack" in r][0]
        assert "error.frames" not in late
        logd.command("maps", "put", "--app", "shop", "--release", "9", dist)
        assert "no_maps" not in {u["cause"] for u in health(logd)["unresolved"]}, "what an upload ends is no longer told"
        assert logd.get("/v1/events/" + late["id"]).json()["error.frames"][0]["function"] == "checkoutTotal", "what came before its map is resolved when it is looked at"
        assert "error.frames" not in logd.query("release=9")[0], "and stays as it is stored"
        assert logd.command("maps", "remove", "--app", "shop", "--release", "9").stdout == "removed 1\n"
        assert "error.frames" not in logd.get("/v1/events/" + late["id"]).json()


def test_an_issue_made_before_its_map_is_part_of_the_one_with_the_names_and_can_be_taken_out():
    with Logd() as logd, Folder() as folder:
        dist = build(folder)
        logd.post("/v1/events", [event("9"), event("9"), event("8")])
        before = eventually(lambda: (lambda i: i["count"] == 3 and i)(issues(logd)[0]), "they are one issue, by letters")
        logd.post("/v1/events", [event("7", file="https://shop.example/other.js")])
        other, = eventually(lambda: [i for i in issues(logd) if i["id"] != before["id"]], "another one")
        reply = logd.request("PATCH", "/v1/issues/" + before["id"], {"assignee": "ann@example.com"}, key="admin")
        assert reply.status == 200, reply
        logd.command("maps", "put", "--app", logd.app(), "--release", "9", dist)
        logd.post("/v1/events", event("9", n=4))
        now = eventually(lambda: (lambda i: i["count"] == 4 and i)(logd.get("/v1/issues/" + before["id"]).json()), "they are one issue, by names")
        assert now["culprit"] == "cart.ts:checkoutTotal" and now["assignee"] == "ann@example.com" and now["id"] != before["id"], now
        assert [(m["id"], m["count"]) for m in now["merged"]] == [(before["id"], 3)] and now["activity"][0]["by"] == "a source map", now
        logd.post("/v1/events", [event("9", n=5), event("8", n=6)])  # of 8 there is no map still
        logd.kill9_and_restart()
        eventually(lambda: [i["count"] for i in issues(logd) if i["id"] == now["id"]] == [6], "a replay makes the same of it")
        assert len(issues(logd)) == 2
        assert logd.post(f"/v1/issues/{now['id']}/split", {"ids": [before["id"]]}, key="admin").status == 200
        assert {i["id"]: i["count"] for i in issues(logd)} == {now["id"]: 2, before["id"]: 4, other["id"]: 1}
        logd.post("/v1/events", event("9", n=7))
        eventually(lambda: {i["id"]: i["count"] for i in issues(logd)} == {now["id"]: 3, before["id"]: 4, other["id"]: 1}, "what people took out stays out")


def test_posted_back_or_repeated_an_event_is_the_same():
    with Logd() as logd, Folder() as folder:
        logd.command("maps", "put", "--app", logd.app(), "--release", "1", build(folder))
        events = [event("1", event_id="a%d" % i, n=i) for i in range(3)] + [{"message": "no stack", "event_id": "b", "n": 3}]
        assert logd.post("/v1/events", events).json()["accepted"] == 4
        again = logd.post("/v1/events", events + [event("1", event_id="c", n=4)]).json()
        assert again["accepted"] == 1 and again["duplicates"] == 4, again
        rows = sorted(logd.query(""), key=lambda r: r["n"])
        assert [r["n"] for r in rows] == [0, 1, 2, 3, 4] and all(r["error.frames"][0]["file"] == "src/cart.ts" for r in rows if r["n"] != 3), rows
        inner = {"type": "Error", "message": "inner", "stack": event()["error"]["stack"]}
        logd.post("/v1/events", event("1", n=5, error={"type": "Error", "stack": "Error: outer\n    at zz (https://shop.example/other.js:1:5)", "cause": {**inner, "cause": inner}}))
        row = logd.query("n=5")[0]
        assert "error.frames" not in row and [row[f"error.{c}.frames"][0]["function"] for c in ("cause", "cause.cause")] == ["checkoutTotal"] * 2, row
        logd.app("copy")
        assert logd.post("/v1/events", [rows[0]], key=logd.key("ingest", "copy")).json()["accepted"] == 1
        copy = logd.query("app=copy")[0]
        assert copy["error.frames"] == rows[0]["error.frames"] and issues(logd, "copy")[0]["culprit"] == "cart.ts:checkoutTotal", copy
        # a source that is itself a minified file with a map: one step, however often it is looked at
        reply = logd.request("POST", "/v1/maps?release=1&path=x.js", '{"version":3,"sources":["assets/main.js"],"mappings":"AAAA,uDAAuD"}', key=logd.key("deploy"))
        assert reply.status == 200, reply
        assert logd.post("/v1/events", event("1", column=56, file="https://shop.example/x.js", n=9)).json()["accepted"] == 1
        row = logd.query("n=9")[0]
        assert row["error.frames"][0]["file"] == "assets/main.js" and logd.get("/v1/events/" + row["id"]).json() == row, row
        assert logd.post("/v1/events", [dict(row, n=10)]).json()["accepted"] == 1
        assert logd.query("n=10")[0]["error.frames"] == row["error.frames"]


def test_a_request_grows_by_so_much_and_no_more():
    with Logd() as logd, Folder() as folder:
        logd.command("maps", "put", "--app", logd.app(), "--release", "1", build(folder))
        stack = "E: x\n" + "\n".join("at n (https://x/assets/main.js:1:56)" for _ in range(128))
        n = 1200
        reply = logd.post("/v1/events", "\n".join('{"level":"info","release":"1","n":%d,"error":{"stack":%s}}' % (i, json.dumps(stack)) for i in range(n)))
        assert reply.json()["accepted"] == n, reply
        resolved = logd.count("error.frames:*")
        assert 0 < resolved < n and logd.count("") == n, resolved
        assert logd.query("n=0")[0]["error.frames"][127]["file"] == "src/cart.ts" and "error.frames" not in logd.query("n=%d" % (n - 1))[0]


def test_a_restore_has_the_maps_and_makes_the_same_issue():
    with Logd() as logd, Folder() as folder:
        archive = os.path.join(logd.folder, "archive")
        logd.configure(f'archive: {{url: "file://{archive}", every: 1s}}\n')
        logd.restart()
        dist = build(folder)
        for release in ("1", "2", "2"):
            logd.command("maps", "put", "--app", logd.app(), "--release", release, dist)
        logd.command("maps", "remove", "--app", "shop", "--release", "1")
        assert logd.post("/v1/events", event("2")).status == 200
        before = issues(logd)
        listed = logd.get("/v1/maps").json()["maps"]
        logd.command("archive", "ship")
        assert logd.command("archive", "verify").returncode == 0
        logd.kill9()
        shutil.rmtree(logd.data)
        done = subprocess.run([logd.binary, "restore", "--from", "file://" + archive, "--data", logd.data], capture_output=True, text=True)
        assert done.returncode == 0 and len(re.findall(r"restored maps/\d{8}\.map", done.stdout)) == 1, done
        logd.start()
        assert logd.get("/v1/maps").json()["maps"] == listed and listed[0]["release"] == "2" and len(listed) == 1, listed
        assert logd.post("/v1/events", event("2", column=50)).status == 200
        eventually(lambda: [(i["id"], i["count"]) for i in issues(logd)] == [(before[0]["id"], 2)], "the next event is the same issue")


def test_the_child_that_reads_maps_can_do_nothing_else():
    if os.environ.get("LOGD_BIN"):
        raise Skip("a sanitizer needs more calls and memory than the child may have")
    with subprocess.Popen([os.path.join(TREE, "build", "logd"), "--read-source-map"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        def proc(name):
            return read("/proc/%d/%s" % (child.pid, name))
        eventually(lambda: re.search(r"Seccomp:\s*2", proc("status")), "it has given up system calls")
        limits = proc("limits")
        for name, most in (("Max cpu time", 20), ("Max address space", 768 << 20), ("Max open files", 0), ("Max core file size", 0)):
            assert re.search(name + r"\s+%d\s+%d\b" % (most, most), limits), limits
        assert re.search(r"NoNewPrivs:\s*1", proc("status")) and set(os.listdir("/proc/%d/fd" % child.pid)) <= {"0", "1", "2"}
        child.stdin.close()
        assert child.wait(10) == 1, "half a map is none"


def test_a_hostile_map_costs_its_child_not_the_server():
    with Logd() as logd:
        def put(body):
            return logd.request("POST", "/v1/maps?release=1&path=x.js", body, key=logd.key("deploy"))
        before = int(re.search(r"process_resident_memory_bytes (\d+)", logd.get("/metrics").text)[1])
        head = b'{"version":3,"sources":["a"],"names":[],"mappings":"'
        for body, why in ((head + b"AAAA," * 5_000_000 + b'AAAA"}', ""), (head + b"A," * 15_000_000 + b'A"}', "more than 8388608"),
                          (b'{"version":3,"sections":' + b"[" * 100000, "nest"), (head + b"\xff" * 1000 + b'"}', "VLQ"), (b"", ""), (b"SYSB\2\0\0\0PK\3\4", "ZIP")):
            reply = put(body)
            assert reply.status in (200, 400) and why in reply.text, (body[:60], reply)
        assert logd.post("/v1/events", {"message": "still here"}).status == 200
        after = int(re.search(r"process_resident_memory_bytes (\d+)", logd.get("/metrics").text)[1])
        assert after - before < 120 << 20 or os.environ.get("LOGD_BIN"), (before, after)  # a sanitizer keeps what is freed


run(globals())
