"""The browser reporter in a real Chromium: what it catches, what it keeps to itself, how little it sends, and that it arrives."""
import gzip, json, os, re, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run
from outside import Site, browse

PAGE = '<!doctype html><title>t</title><link rel=icon href=data:,>%s<script src="%s/b.js" data-key="%s" data-release="7" data-env="test"></script><p>page</p>%s'
LATER = "setTimeout(() => { %s }, 10)"
# What a page does, and the message that arrives.
CASES = {
    "an uncaught error": (LATER % "function deep() { throw new RangeError('too deep') } deep()", "RangeError: too deep"),
    "a rejection": ("Promise.reject(new TypeError('rejected'))", "TypeError: rejected"),
    "a rejection with a text": ("Promise.reject('only text')", "Error: only text"),
    "a thrown object": (LATER % "throw {code: 7, why: 'object'}", 'Error: {"code":7,"why":"object"}'),
    "a rejection with null": ("Promise.reject(null)", "Error: null"),
    "a cause": (LATER % "throw new Error('outer', {cause: new Error('inner', {cause: new Error('innermost')})})", "Error: outer"),
    "console.error": ("console.error('cart is', {n: 3}, new Error('bad cart'))", 'cart is {"n":3} Error: bad cart'),
    "a fetch that is answered with 500": ("fetch('/500?token=SECRET')", "GET %s/500 500"),
    "a fetch without network": ("fetch('http://127.0.0.1:1/gone', {method: 'PUT'}).catch(() => 0)", "PUT http://127.0.0.1:1/gone failed"),
    "an XHR that is answered with 500": ("{ const x = new XMLHttpRequest; x.open('POST', '/500x'); x.send() }", "POST %s/500x 500"),
    "an image that is not there": ("document.body.append(Object.assign(new Image, {src: '/none.png?token=SECRET'}))", "img failed: %s/none.png"),
    "a violation of the policy": ("document.body.append(Object.assign(new Image, {src: 'http://127.0.0.1:2/x.png?token=SECRET'}))", "img-src blocked http://127.0.0.1:2/x.png"),
    "a URL in a message": (LATER % "throw new Error('GET https://api.example/v1/x?token=SECRET#frag failed')", "Error: GET https://api.example/v1/x failed"),
    "a relative URL in a message": (LATER % "throw new Error('GET /v1/y?token=SECRET failed')", "Error: GET /v1/y failed"),
    "logd()": ("logd('warn', 'cart is slow', {ms: 812, step: 'pay'})", "cart is slow"),
}
# What no one wants to know.
QUIET = ["dispatchEvent(new ErrorEvent('error', {message: 'ResizeObserver loop limit exceeded'}))", "console.log('chatter')", "console.warn('careful')", "fetch('/404')",
         "fetch('/slow', {signal: AbortSignal.abort()}).catch(() => 0)"]


class Page:
    """A page of somebody's with the reporter in it; `code` runs behind it."""

    def __init__(self, logd, code="", head="", more=""):
        self.pages = {"/s.js": code, "/500": 500, "/500x": 500, "/next": "<p>gone", **({"/m.js": more} if more else {})}
        self.site, self.logd, self.head = Site(self.pages), logd, head
        self.origin = self.site.origin
        self.key = logd.key("browser", "web", origins=(self.origin,))
        self.pages["/"] = PAGE % (head, logd.url, self.key, '<script src="/s.js"></script>')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.site.__exit__()

    def visit(self, *steps, path="/", wait=1500):
        """What the browser said of it, and its posts to logd."""
        said = browse({"do": "open", "url": self.origin + path}, *steps, {"do": "sleep", "ms": wait})
        return said, [r for r in said["requests"] if "/b?key=" in r["url"]]


def rows_after(logd, before, n):
    eventually(lambda: logd.count("app=web") - before >= n, f"{n} events are there, got {logd.count('app=web') - before}")
    return logd.query("app=web", limit=logd.count("app=web") - before)


def test_every_case_is_caught_in_one_request_without_a_preflight():
    with Logd() as logd, Page(logd, "\n".join([*QUIET, *(code for code, _ in CASES.values())]),
                              head="<meta http-equiv=Content-Security-Policy content=\"img-src 'self' data:\">") as page:
        said, posts = page.visit({"do": "cookies"}, {"do": "eval", "code": "JSON.stringify(Object.keys(localStorage).concat(Object.keys(sessionStorage)))"})
        assert [p["method"] for p in posts] == ["POST"], [p["method"] for p in posts]
        assert said["texts"] == [[], "[]"], "no cookie, nothing stored"
        rows = rows_after(logd, 0, len(CASES))
        by = {r["message"]: r for r in rows}
        wanted = {name: (message % page.origin if "%s" in message else message) for name, (_, message) in CASES.items()}
        missing = {name: m for name, m in wanted.items() if m not in by}
        assert not missing, (missing, sorted(by))
        # the image that the policy blocked is also one that failed
        extra = set(by) - set(wanted.values()) - {"img failed: http://127.0.0.1:2/x.png"}
        assert not extra, extra
        assert "SECRET" not in posts[0]["body"]
        deep = by["RangeError: too deep"]
        assert deep["error.stack"].startswith("at deep (") and deep["type"] == "browser.error" and deep["level"] == "error", deep
        assert (deep["release"], deep["env"], deep["trust"], deep["url"]) == ("7", "test", "browser", page.origin + "/") and "Chrome" in deep["http.user_agent"], deep
        outer = by["Error: outer"]
        assert outer["error.cause.message"] == "inner" and outer["error.cause.cause.message"] == "innermost", outer
        assert by["TypeError: rejected"]["type"] == "browser.rejection"
        assert by['Error: {"code":7,"why":"object"}']["error.stack"].startswith("at " + page.origin + "/s.js:")
        assert by[wanted["console.error"]]["error.message"] == "bad cart"
        put = by[wanted["a fetch without network"]]
        assert put["http.method"] == "PUT" and put["http.status"] == 0 and put["type"] == "browser.http", put
        assert by[wanted["an image that is not there"]]["level"] == "warn"
        assert by["cart is slow"]["level"] == "warn" and by["cart is slow"]["data.ms"] == 812
        # what went before is told with what went wrong
        assert re.match(r"\d\d:\d\d:\d\d warn careful$", deep["breadcrumbs"][0]), deep["breadcrumbs"]
        issues = logd.get("/v1/issues?app=web").json()["issues"]
        assert {"deep"} <= {i["culprit"].split(":")[-1] for i in issues}, issues


PLANTED = {"query": "Zq1token", "address": "zq2@example.com", "fragment": "Zq3frag", "referrer": "Zq4ref", "typed": "Zq5typed", "cookie": "Zq6cookie", "storage": "Zq7store",
           "fetch query": "Zq8query", "header": "Zq9bearer", "body": "Zq10body", "button": "Zq11button", "name and password in a URL": "Zq12pass"}


def test_nothing_planted_leaves_the_page():
    p = PLANTED
    code = f"""document.cookie = 'sid={p['cookie']}'; localStorage.x = '{p['storage']}'
      document.body.innerHTML = '<form><input id=q><button id=go type=button>{p['button']}</button></form>'
      fetch('/500?q={p['fetch query']}', {{method: 'POST', body: '{p['body']}', headers: {{Authorization: 'Bearer {p['header']}'}}}})
      go.onclick = () => {{ history.pushState(1, '', '?again={p['query']}'); throw new Error('at ' + location.href + ' and https://u:{p["name and password in a URL"]}@h.example/p?x=1') }}"""
    with Logd() as logd, Page(logd, code) as page:
        page.pages["/from"] = f"<a id=to href='/?token={p['query']}&email={p['address']}#{p['fragment']}'>go"
        said, posts = page.visit({"do": "click", "at": "#to"}, {"do": "wait", "at": "#q"}, {"do": "fill", "at": "#q", "text": p["typed"]}, {"do": "click", "at": "#go"},
                                 path=f"/from?ref={p['referrer']}", wait=3500)  # on a slow machine what failed first left alone, and the next waits 2 s
        sent = json.dumps([[r["url"], r["body"], r["headers"]] for r in posts])
        rows_after(logd, 0, 2)
        crumbs = logd.query("app=web level=error type=browser.error")[0]["breadcrumbs"]
        assert any(c.endswith("click button go") for c in crumbs) and any("pushState" in c or " to " in c for c in crumbs), crumbs
        leaks = [name for name, secret in p.items() if secret in sent]
        assert posts and not leaks, (leaks, sent)
        assert "and https://h.example/p" in sent, sent


SECRETS = ["Zm1token", "Zm2mail@example.com", "Zm3frag", "Zm4typed", "Zm5cookie", "Zm6store", "Zm7query", "Zm8bearer", "Zm9body", "Zm10button", "Zm11pass"]
LEAKY = """document.cookie = 'a=Zm5cookie'; localStorage.x = 'Zm6store'; document.body.innerHTML = '<input id=q value=Zm4typed><button id=go>Zm10button</button>'
  go.onclick = () => { history.pushState(1, '', '?token=Zm1token&email=Zm2mail@example.com#Zm3frag'); fetch('/500?q=Zm7query', {method: 'POST', body: 'Zm9body', headers: {Authorization: 'Bearer Zm8bearer'}})
    setTimeout(() => { throw new Error(location.href + ' https://u:Zm11pass@h.example/p?x=1') }, 1) }; go.click()"""
# One error of a page, beside 23 others: (what the page does, the messages that arrive, requests, bytes at most)
SCENES = {
    **{name: (CASES[name][0], [CASES[name][1]], 1, 420) for name in ("an uncaught error", "a rejection", "a rejection with a text", "a thrown object", "a cause", "console.error", "a fetch that is answered with 500",
                                                                  "a fetch without network", "an XHR that is answered with 500", "an image that is not there", "a violation of the policy", "logd()")},
    "just before leaving": ("setTimeout(() => { setTimeout(() => { location = '/next' }, 1); throw new Error('last words') }, 50)", ["Error: last words"], 1, 420),
    "offline": ("Object.defineProperty(navigator, 'onLine', {value: false, writable: true}); setTimeout(() => { throw new Error('alone') }, 1); setTimeout(() => { navigator.onLine = true; dispatchEvent(new Event('online')) }, 1800)", ["Error: alone"], 1, 420),
    "1,000 equal": ("for (let i = 0; i < 1000; i++) setTimeout(() => { throw new Error('same') }, 1)", ["Error: same"], 1, 420),
    "1,000 different": ("for (let i = 0; i < 1000; i++) setTimeout(() => { throw new Error('different ' + i) }, 1)", [f"Error: different {i}" for i in range(30)], 1, 12000),
    "200,000 characters": (LATER % "throw new Error('x'.repeat(200000))", ["Error: " + "x" * 2000], 1, 10000),
    "another origin's script": (LATER % "dispatchEvent(new ErrorEvent('error', {message: 'Script error.', filename: '', lineno: 0}))", ["Error: Script error."], 1, 420),
    "what the page holds": (LEAKY, ["Error: HERE https://h.example/p", "POST %s/500 500"], 1, 1200),
    "a count": ("logd.count('scene', 3)", [], 1, 100),
    "loops of observers": (QUIET[0], [], 0, 0), "chatter": (";".join(QUIET[1:3]), [], 0, 0), "requests that are nobody's fault": (";".join(QUIET[3:]), [], 0, 0), "nothing": ("", [], 0, 0),
}


def test_twenty_four_scenes_at_once_say_what_they_should_in_few_bytes():
    assert len(SCENES) == 24
    with Logd() as logd, Page(logd) as page:
        names, home = list(SCENES), page.pages["/"]
        for i, (code, *_) in enumerate(SCENES.values(), 1):
            head = "<meta http-equiv=Content-Security-Policy content=\"img-src 'self' data:\">" if "policy" in names[i - 1] else ""
            page.pages[f"/{i}"], page.pages[f"/{i}.js"] = head + home.replace("/s.js", f"/{i}.js"), code
        page.pages["/all"] = "<!doctype html>" + "".join(f"<iframe src=/{i}></iframe>" for i in range(1, 25))
        _, posts = page.visit(path="/all", wait=5000)
        sent = {i: [p["body"] for p in posts if f'"url":"{page.origin}/{i}"' in p["body"]] for i in range(1, 25)}
        sent[names.index("a count") + 1] = [p["body"] for p in posts if p["body"].startswith('{"stats"')]
        eventually(lambda: logd.count("app=web") >= sum(len(m) for _, m, _, _ in SCENES.values()), "all is there")
        rows = logd.query("app=web", limit=1000)
        for i, (name, (_, messages, requests, most)) in enumerate(SCENES.items(), 1):
            got = {r.get("message") for r in rows if r.get("url") == f"{page.origin}/{i}"} - {"img failed: http://127.0.0.1:2/x.png"}
            want = {m.replace("%s", page.origin).replace("HERE", f"{page.origin}/{i}") for m in messages}
            assert got == want, (name, got ^ want)
            assert len(sent[i]) == requests or (requests and 1 <= len(sent[i]) <= 2), (name, sent[i])
            assert sum(map(len, sent[i])) <= most * max(1, len(sent[i])), (name, sent[i])
        wire = json.dumps([[p["url"], p["body"], p["headers"]] for p in posts])
        assert not [x for x in SECRETS if x in wire], [x for x in SECRETS if x in wire]
        assert [r["repeated"] for r in rows if r.get("message") == "Error: same"] == [1000] and [r["count"] for r in rows if r.get("type") == "reporter.dropped"] == [970]
        first = sent[1][0]
        assert len(first) <= 300, first
        count, = [i["count"] for i in logd.get("/v1/issues?app=web&limit=1000").json()["issues"] if i["title"] == "Error: same"]
        assert count == 1000, "its issue counts them all"
        eventually(lambda: points(logd, "scene") == 3, "the count is a stat")
        print(f"  24 scenes, {len(posts)} requests, one error is {len(first)} bytes")


def test_an_endless_loop_is_a_few_requests():
    with Logd() as logd, Page(logd, "setInterval(() => { throw new Error('again') }, 5)") as page:
        _, posts = page.visit(wait=4000)
        assert 2 <= len(posts) <= 3, len(posts)  # after 1 s, 2 s more, 3 s more


def test_an_error_just_before_leaving_arrives():
    with Logd() as logd, Page(logd, "setTimeout(() => { setTimeout(() => { location = '/next' }, 1); throw new Error('last words') }, 300)") as page:
        page.visit()
        eventually(lambda: logd.count('"last words"') == 1, "it is sent when the page is hidden, and outlives it")


def test_what_happens_offline_arrives_later_and_once():
    with Logd() as logd, Page(logd) as page:
        page.visit({"do": "offline", "on": True}, {"do": "eval", "code": "setTimeout(() => { throw new Error('alone') }, 1)"}, {"do": "sleep", "ms": 1200},
                   {"do": "eval", "code": "setTimeout(() => { throw new Error('left alone') }, 1)"}, {"do": "sleep", "ms": 100},
                   {"do": "eval", "code": "Object.defineProperty(document, 'hidden', {value: true}); document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))"},
                   {"do": "offline", "on": False})
        for text in ("alone", "left alone"):
            eventually(lambda: logd.count(f'message="Error: {text}"') == 1, f"{text} is there")
    with Logd() as logd, Page(logd) as page:  # and by the next page of the tab
        fails = "fetch = () => Promise.reject(new TypeError('no network'))"
        page.pages["/"] = page.pages["/"].replace("<script src=\"http", f"<script>if (location.search) {fails}</script><script src=\"http", 1)
        page.visit({"do": "eval", "code": "setTimeout(() => { throw new Error('kept') }, 1)"}, {"do": "sleep", "ms": 1500}, {"do": "open", "url": page.origin + "/"}, path="/?broken")
        eventually(lambda: logd.count('message="Error: kept"') == 1, "it was kept in the tab")


def test_a_busy_server_is_asked_again_when_it_said():
    with Logd() as logd, Page(logd) as page:
        key = logd.key("browser", "web", origins=(page.origin,), rate=60)
        page.pages["/"] = page.pages["/"].replace(page.key, key)
        loop = "for (let i = 0; i < 20; i++) setTimeout(() => { throw new Error('n' + i) }, 1)"
        for _ in range(7):
            logd.post("/b?key=" + key, "\n".join('{"message":"fill"}' for _ in range(20)), headers={"Origin": page.origin}, key=False)
        _, posts = page.visit({"do": "eval", "code": loop}, {"do": "eval", "code": "new Promise(r => setTimeout(() => r(sessionStorage.logd.length > 1000), 1300))"}, wait=100)
        assert _["texts"][-1] is True, _["texts"]


def test_a_snippet_keeps_what_comes_before_the_reporter():
    snippet = "<script>_logd=[];for(t of['error','unhandledrejection'])addEventListener(t,e=>_logd.push(e),!0)</script>"
    assert len(snippet) <= 160
    with open(os.path.join(TREE, "web/README.md")) as f:
        assert snippet in f.read()
    with Logd() as logd, Page(logd, "setTimeout(() => { throw new Error('late') }, 20)",
                              head=snippet + "<script>throw new Error('early')</script><script>Promise.reject(new Error('early too'))</script>") as page:
        page.visit()
        rows = rows_after(logd, 0, 3)
        assert sorted(r["message"] for r in rows) == ["Error: early", "Error: early too", "Error: late"], rows


def points(logd, name, **labels):
    query = "".join(f"&label.{k}={v}" for k, v in labels.items())
    return logd.get(f"/v1/stats/{name}?by=day{query}").json().get("total", 0)


def test_counts_and_vitals_are_stats_and_no_events():
    code = "for (let i = 0; i < 5; i++) logd.count('cart.add', 2, {kind: i % 2 ? 'book' : 'disc'}); logd.count('visit'); logd.count('bad', 1, {who: 'ann@example.com'})"
    with Logd() as logd, Page(logd, code) as page:
        page.pages["/"] += f'<script src="{logd.url}/vitals.js"></script>'
        _, posts = page.visit({"do": "sleep", "ms": 1300}, {"do": "open", "url": page.origin + "/next"})
        assert all(p["body"].startswith('{"stats":[') for p in posts), posts
        eventually(lambda: points(logd, "cart.add") == 10 and points(logd, "visit") == 1 and points(logd, "web.cls") == 1, "the counts are there")
        assert points(logd, "cart.add", kind="book") == 4 and points(logd, "bad") == 0
        assert points(logd, "web.cls", rating="good") == 1 and points(logd, "web.ttfb") == 1 and points(logd, "web.fcp") == 1 and points(logd, "web.lcp") == 1, logd.get("/v1/stats").text
        assert logd.count("") == 0
        for body, said in [('{"stats":[{"name":"x","type":"gauge","value":1}]}', "/stats/0/type: expected count, since a page may only count"),
                           ('{"stats":[{"name":"x","value":1000001}]}', "/stats/0/value: expected at most 1000000 from a page, got 1000001"),
                           ('{"stats":[{"name":"x"}],"message":"y"}', 'expected {"stats":[…]} and nothing else')]:
            reply = logd.post("/b?key=" + page.key, body, headers={"Origin": page.origin}, key=False)
            assert reply.status == 400 and reply.json()["error"] == said, reply


def test_it_is_served_small_and_is_the_source():
    with Logd() as logd:
        for name, most in [("b.js", 2000), ("vitals.js", 600)]:
            r = logd.request("GET", "/" + name, headers={"Accept-Encoding": "gzip"}, key=False)
            assert r.status == 200 and r.headers["Content-Encoding"] == "gzip" and len(r.body) <= most, len(r.body)
            squeezed = subprocess.run([os.path.join(TREE, "build/embed"), "--squeeze", os.path.join("web/beacon", name)], cwd=TREE, capture_output=True, check=True).stdout
            assert gzip.decompress(r.body) == squeezed
            print(f"  {name}: {len(r.body)} bytes")


if __name__ == "__main__":
    run(globals(), at_once=3)  # browsers start and pages wait
