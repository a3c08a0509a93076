"""The browser reporter in a real Chromium: what it catches, what it keeps to itself, and how little it sends."""
import json, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run
from outside import Site, browse

SECRET = "SECRETTOKEN31337"
PAGE = '<!doctype html><title>t</title><script src="%s/b.js" data-key="%s" data-release="7" data-env="test"></script><script src="%s"></script><p>page</p>'
CASES = {
    "uncaught": "setTimeout(() => { function deep() { throw new RangeError('too deep') } deep() }, 10)",
    "rejection": "Promise.reject(new TypeError('rejected'))",
    "text": "Promise.reject('only text')",
    "object": "Promise.reject({code: 7, why: 'object'})",
    "null": "Promise.reject(null)",
    "cause": "setTimeout(() => { throw new Error('outer', {cause: new Error('inner', {cause: new Error('innermost')})}) }, 10)",
    "url": "setTimeout(() => { throw new Error('GET https://api.example/v1/x?token=%s#frag failed') }, 10)" % SECRET,
    "api": "setTimeout(() => logd('warn', 'cart is slow', {ms: 812, step: 'pay'}), 10)",
    "resize": "setTimeout(() => dispatchEvent(new ErrorEvent('error', {message: 'ResizeObserver loop limit exceeded'})), 10)",
}


def visit(logd, code, wait=2200, path="/", before_close=()):
    """The events that a page with this script left behind, and the requests its browser made to logd."""
    pages = {"/s.js": code}
    with Site(pages) as site:
        pages["/"] = PAGE % (logd.url, logd.key("browser", "web", origins=(site.origin,)), "/s.js")
        before = logd.count("app=web")
        said = browse({"do": "open", "url": site.origin + path}, {"do": "sleep", "ms": wait}, {"do": "cookies"}, *before_close)
        assert said["texts"][0] == [], "no cookie is set"
        posts = [r for r in said["requests"] if "/b?key=" in r["url"]]
        eventually(lambda: not posts or logd.count("app=web") > before, "what was posted is there")
        return logd.query("app=web", limit=logd.count("app=web") - before) if posts else [], posts


def test_it_catches_what_pages_throw():
    with Logd() as logd:
        rows, posts = visit(logd, "\n".join(CASES.values()))
        assert len(posts) == 1, [p["url"] for p in posts]
        by = {r["message"]: r for r in rows}
        assert len(rows) == 8, sorted(by)
        deep = by["RangeError: too deep"]
        assert "deep" in deep["error.stack"] and deep["type"] == "browser.error" and deep["release"] == "7" and deep["env"] == "test" and deep["trust"] == "browser", deep
        assert by["TypeError: rejected"]["type"] == "browser.rejection"
        assert by["string: only text"] and by['object: {"code":7,"why":"object"}'] and by["null: null"]
        outer = by["Error: outer"]
        assert outer["error.cause.message"] == "inner" and outer["error.cause.cause.message"] == "innermost", outer
        assert by["cart is slow"]["level"] == "warn" and by["cart is slow"]["data.ms"] == 812
        assert by["Error: GET https://api.example/v1/x failed"]
        issues = logd.get("/v1/issues?app=web").json()["issues"]
        assert len(issues) == 7, [i["title"] for i in issues]


def test_nothing_of_the_page_that_is_secret_leaves_it():
    with Logd() as logd:
        code = f"document.cookie = 'sid={SECRET}'; localStorage.x = '{SECRET}'; setTimeout(() => {{ throw new Error('plain') }}, 10)"
        pages = {"/s.js": code}
        with Site(pages) as site:
            pages["/"] = PAGE % (logd.url, logd.key("browser", "web", origins=(site.origin,)), f"/s.js?token={SECRET}")
            said = browse({"do": "open", "url": f"{site.origin}/?email=ann@example.com&token={SECRET}#{SECRET}"}, {"do": "sleep", "ms": 2000})
        posts = [r for r in said["requests"] if "/b?key=" in r["url"]]
        assert len(posts) == 1
        assert SECRET not in posts[0]["body"] and "ann@example.com" not in posts[0]["body"], posts[0]["body"]
        row, = logd.query("app=web")
        assert row["url"].endswith("/") and "s.js:1" in row["error.stack"], row


def test_a_thousand_errors_are_few_bytes():
    with Logd() as logd:
        rows, posts = visit(logd, "for (let i = 0; i < 1000; i++) setTimeout(() => { throw new Error('same') }, 1)")
        assert len(rows) == 1 and rows[0]["repeated"] == 1000 and len(posts) == 1 and len(posts[0]["body"]) < 1500, (rows, posts)
        rows, posts = visit(logd, "for (let i = 0; i < 1000; i++) setTimeout(() => { throw new Error('different ' + i) }, 1)")
        dropped = [r for r in rows if r["type"] == "reporter.dropped"]
        assert len(rows) == 31 and dropped[0]["count"] == 970 and len(posts) == 1, (len(rows), dropped)
        rows, posts = visit(logd, "setTimeout(() => { throw new Error('x'.repeat(200000)) }, 1)")
        assert len(rows) == 1 and len(posts[0]["body"]) < 25000, len(posts[0]["body"])


def test_an_error_just_before_leaving_arrives():
    with Logd() as logd:
        pages = {"/s.js": "setTimeout(() => { setTimeout(() => { location = '/next' }, 1); throw new Error('last words') }, 300)", "/next": "<p>gone"}
        with Site(pages) as site:
            pages["/"] = PAGE % (logd.url, logd.key("browser", "web", origins=(site.origin,)), "/s.js")
            browse({"do": "open", "url": site.origin}, {"do": "sleep", "ms": 1500})
        eventually(lambda: logd.count('"last words"') == 1, "the keepalive request outlives the page")


def test_it_is_served_small():
    with Logd() as logd:
        r = logd.request("GET", "/b.js", headers={"Accept-Encoding": "gzip"}, key=False)
        assert r.status == 200 and r.headers["Content-Encoding"] == "gzip" and len(r.body) <= 2000, len(r.body)


if __name__ == "__main__":
    run(globals())
