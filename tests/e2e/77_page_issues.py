"""The issues pages: a list that is searched and acted on, one issue with its stack, what went before, and its whole life by mouse; what came from a log stays text."""
import json, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run
from outside import browse, shot

HOSTILE = "<img src=x onerror=alert(1)>"
WIDER = {"do": "eval", "code": "document.documentElement.scrollWidth - innerWidth"}
STACK = """TypeError: total is undefined
    at pay (/srv/shop/src/cart.js:214:31)
    at Layer.handle (/srv/shop/node_modules/express/lib/router/layer.js:95:5)
    at next (/srv/shop/node_modules/express/lib/router/route.js:137:13)
    at checkout (/srv/shop/src/checkout.js:88:9)"""
FRAMES = [{"function": "pay", "file": "cart.py", "line": 12, "in_app": True, "pre_context": ["def pay(cart):"], "context_line": "    charge(cart.total)  # " + HOSTILE, "post_context": ["    done()"]},
          {"function": "charge", "file": "/usr/lib/python3/bank.py", "line": 7, "in_app": False}]


def text(at):
    return {"do": "eval", "code": f"[...document.querySelectorAll({json.dumps(at)})].map(e => e.textContent)"}


def looks(name):
    return [shot(name, full=True), {"do": "axe"}, shot(name + "-dark", dark=True, full=True), {"do": "axe"}, shot(name + "-narrow", width=360, height=740, full=True), WIDER, {"do": "axe"}, shot(name + "-narrow-dark", width=360, height=740, dark=True, full=True), {"do": "axe"}, shot(name)]


def click(what):
    return [{"do": "click", "at": what}, {"do": "wait", "at": "#said:has-text('done')"}, {"do": "eval", "code": "document.getElementById('said').textContent = ''"}]


class Shop(Logd):
    def signed_in(self, path, *steps, role="editor"):
        email = role + "@example.com"
        if email not in self.keys:
            self.keys[email] = self.command("user", "add", email, "--role", role, input="correct horse battery\n")
        said = browse({"do": "open", "url": self.url + path}, {"do": "wait", "at": "input[name=email]:focus"}, {"do": "fill", "at": "input[name=email]", "text": email},
                      {"do": "fill", "at": "input[name=password]", "text": "correct horse battery"}, {"do": "click", "at": "form.card button"}, *steps)
        assert not said["axe"], said["axe"]
        assert not said["dialogs"] and not [c for c in said["console"] if "error" in c.lower() and not any(s in c for s in ("401", "400"))], said["console"]
        return [t for t in said["texts"] if t not in (None, "")]  # what a step did on the way says nothing

    def issues(self, **want):
        all = eventually(lambda: (lambda i: len(i) >= want.get("n", 1) and i)(self.get("/v1/issues?state=all").json()["issues"]), "the issues are there")
        return {i["title"].split(":")[0]: i for i in all}

    def issue(self, id):
        return self.get("/v1/issues/" + id).json()


def shop(logd):
    logd.post("/v1/events", [{"level": "error", "release": "1.0", "env": "prod", "user": f"u{n}", "error": {"type": "TypeError", "message": "total is undefined", "stack": STACK}, "breadcrumbs": ["12:00:01 click pay", {"category": "fetch", "message": HOSTILE}]} for n in range(7)])
    logd.post("/v1/events", [{"level": "fatal", "error": {"type": "BankError", "message": HOSTILE, "frames": FRAMES}}, {"level": "error", "message": "timeout of disk 1"}, {"level": "error", "message": "no route to printer"}])
    return logd.issues(n=4)


def test_the_list_is_searched_and_many_are_acted_on():
    with Shop() as logd:
        all = shop(logd)
        texts = logd.signed_in("/issues?order=rank", {"do": "wait", "at": "table.issues"}, text("tbody a"), *looks("issues"),
                               {"do": "fill", "at": "input[name=q]", "text": "count > 5 type:TypeError"}, {"do": "press", "at": "input[name=q]", "key": "Enter"}, {"do": "wait", "at": ".bulk span:has-text('all that match')"}, text("tbody a"),
                               *click(".bulk button:has-text('Resolve')"), {"do": "wait", "at": ".empty"},
                               {"do": "fill", "at": "input[name=q]", "text": "count >"}, {"do": "press", "at": "input[name=q]", "key": "Enter"}, {"do": "wait", "at": ".wrong"}, {"do": "text", "at": ".wrong"},
                               {"do": "open", "url": logd.url + "/issues"}, {"do": "wait", "at": "table.issues"}, {"do": "click", "at": "input[aria-label^='Choose timeout']"}, {"do": "click", "at": "input[aria-label^='Choose no route']"},
                               {"do": "text", "at": ".bulk span"}, {"do": "axe"}, shot("issues-chosen"), *click(".bulk button:has-text('Merge')"), {"do": "count", "at": "tbody tr"})
        assert texts[0][0] == "BankError: " + HOSTILE and len(texts[0]) == 4 and texts[1] == 0 and texts[2] == ["TypeError: total is undefined"], texts
        assert "count >" in texts[3] and texts[3].rstrip().endswith("^") and texts[4] == "2 issues chosen:" and texts[5] == 2, texts
        states = {k: i["state"] for k, i in logd.issues(n=3).items()}
        assert states["TypeError"] == "resolved" and states["BankError"] == "open", states
        disk = logd.issue(all["timeout of disk 1"]["id"])
        assert disk["count"] == 2 and disk["title"] == "timeout of disk 1" and len(disk["merged"]) == 1, disk


def test_an_issue_shows_what_happened():
    with Shop() as logd:
        all = shop(logd)
        texts = logd.signed_in("/issues/" + all["TypeError"]["id"], {"do": "wait", "at": "ol.frames"}, text("dd"), text("ol.frames > li.own b"), text("ol.frames summary"), text("ol.crumbs li"), *looks("issue-stack"),
                               {"do": "click", "at": "ol.frames summary"}, {"do": "count", "at": "ol.frames ol li:visible"}, {"do": "eval", "code": "document.querySelector('.plot').focus()"}, {"do": "press", "at": ".plot", "key": "End"}, {"do": "text", "at": ".readout"},
                               {"do": "press", "at": ".plot", "key": "Enter"}, {"do": "wait", "at": "ol.rows li"}, {"do": "count", "at": "ol.rows > li"},
                               {"do": "open", "url": logd.url + "/issues/" + all["BankError"]["id"]}, {"do": "wait", "at": "pre.source"}, text("pre.source .here"), text("h1"), *looks("issue-source"))
        assert texts[0][0] == "7" and texts[0][1] == "7" and texts[0][4:] == ["1.0", "prod", "nobody"], texts
        assert texts[1] == ["pay", "checkout"] and texts[2] == ["2 of libraries, Layer.handle …"] and texts[3] == ["12:00:01 click pay", "fetch  " + HOSTILE], texts
        assert texts[4] == 0 and texts[5] == 2 and texts[6].endswith(": 7") and texts[7] == 7, texts
        assert texts[8] == ["   12      charge(cart.total)  # " + HOSTILE + "\n"] and texts[9] == ["P2 BankError: " + HOSTILE] and texts[10] == 0, texts


def test_an_issue_lives_by_mouse():
    with Shop() as logd:
        id = shop(logd)["TypeError"]["id"]
        pick = lambda kind, value: [{"do": "eval", "code": f"(s => {{ s.value = '{kind}'; s.dispatchEvent(new Event('change')) }})(document.querySelector('select[aria-label=\"Mute until\"]'))"}, {"do": "fill", "at": "input[aria-label='How long or how many']", "text": value}, *click(".life button:has-text('Mute')"), {"do": "text", "at": ".bar b"}]
        again = click("button:has-text('Open again')")
        texts = logd.signed_in("/issues/" + id, {"do": "wait", "at": ".life"}, *pick("count", "100"), *again, *pick("users", "3"), *again, *pick("rate", "50/hour"), *again, *pick("time", "2h"), *again,
                               *click("button:has-text('Resolve in next release')"), {"do": "text", "at": ".bar b"}, *again,
                               {"do": "fill", "at": "input[aria-label='The release that it is resolved in']", "text": "1.4"}, *click(".life form button:has-text('Resolve in')"), {"do": "text", "at": ".bar b"}, *again, *click("button:has-text('to me')"), {"do": "fill", "at": "textarea", "text": HOSTILE + "\nlook"}, *click("button:has-text('Comment')"),
                               text(".said"), *looks("issue-life"), *click(".life button:has-text('Resolve') >> nth=0"), {"do": "text", "at": ".bar b"})
        assert texts[0] == "muted until 100 more events, 0 came" and texts[1] == "muted until 3 more users" and texts[2] == "muted until 50/hour" and texts[3].startswith("muted until 20"), texts
        assert texts[4:6] == ["resolved in next", "resolved in 1.4"], texts
        assert texts[6] == ["editor@example.com " + HOSTILE + "\nlook"] and texts[7] == 0 and texts[8] == "resolved", texts
        now = logd.issue(id)
        assert now["state"] == "resolved" and now["assignee"] == "editor@example.com" and {"muted", "comment", "assigned"} <= {n["kind"] for n in now["activity"]}, now["activity"]


def test_what_was_merged_is_taken_out_and_a_viewer_only_looks():
    with Shop() as logd:
        all = shop(logd)
        into, other = all["TypeError"]["id"], all["BankError"]["id"]
        assert logd.post("/v1/issues/merge", {"into": into, "ids": [other]}, key="admin").status == 200
        texts = logd.signed_in("/issues/" + into, {"do": "wait", "at": "button[aria-label^='Take out']"}, {"do": "text", "at": "dd"}, shot("issue-merged", full=True), {"do": "axe"}, *click("button[aria-label^='Take out']"), {"do": "text", "at": "dd"})
        assert texts == ["8", "7"] and logd.issue(other)["id"] == other, texts
        texts = logd.signed_in("/issues/" + into, {"do": "wait", "at": "ol.frames"}, text("main button"), {"do": "open", "url": logd.url + "/issues"}, {"do": "wait", "at": "table.issues"}, {"do": "count", "at": "input[type=checkbox], .bulk"}, role="viewer")
        assert texts == [["Copy JSON"], 0], texts


def test_what_stays_minified_is_shown_with_its_cause_and_its_fix():
    small = json.dumps({"version": 3, "sources": ["src/cart.ts"], "names": ["pay"], "mappings": "AAAAA"})
    frame = lambda file, **more: {"level": "error", "error": {"type": "Error", "message": file, "frames": [{"function": "n", "file": file, "line": 1, "column": 1}]}, **more}
    with Shop() as logd:
        texts = logd.signed_in("/maps", {"do": "wait", "at": ".empty pre"}, {"do": "text", "at": ".empty pre"}, {"do": "axe"})
        assert texts[0].startswith("logd maps put --app shop --release 1.4 dist --server " + logd.url), texts
        put = logd.post("/v1/maps?release=1&path=assets/main.js", small, key="deploy")
        assert put.status == 200, put
        logd.post("/v1/events", [frame("https://shop.example/assets/main.js", release="1"), frame("https://shop.example/assets/main.js", release="2"), frame("https://shop.example/other.js?x=1", release="1"), frame("https://shop.example/assets/main.js")])
        texts = logd.signed_in("/issues?state=all", {"do": "click", "at": "a:has-text('Source maps')"}, {"do": "wait", "at": "table.maps"}, text("main > div > p"), text("tbody td:nth-child(3)"), *looks("maps"))
        assert texts[0][0].startswith("1 frame resolved, 3 not, since "), texts
        assert sorted(t.split(":")[0] for t in texts[1][:3]) == ["no map of this release was uploaded", "the events name no release", "the release has maps, but none whose path is the end of this URL"] and texts[2] == 0, texts


if __name__ == "__main__":
    run(globals())
