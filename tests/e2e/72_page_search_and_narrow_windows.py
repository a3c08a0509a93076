"""The page as a stranger uses it: a | in quotes is text, a row opens by a click anywhere on it, nothing is cut off in a narrow window,
and whoever is signed in does not land on a page that is not there."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, run
from outside import browse, shot

SIGN_IN = [{"do": "wait", "at": "input[name=email]:focus"}, {"do": "fill", "at": "input[name=email]", "text": "dev@example.com"},
           {"do": "fill", "at": "input[name=password]", "text": "correct horse battery"}, {"do": "click", "at": "form.card button"}]
WIDER = {"do": "eval", "code": "document.documentElement.scrollWidth - innerWidth"}


def test_the_page_does_what_it_looks_like():
    with Logd(rules="rules:\n- {id: new-error, why: a new error, when: level >= error, by: [app, fingerprint], new: {}}\n") as logd:
        logd.command("user", "add", "dev@example.com", "--role", "admin", input="correct horse battery\n")
        levels = ("debug", "info", "notice", "warn", "error", "fatal")
        logd.post("/v1/events", [{"message": "left|right pipe", "level": level} for level in levels] + [
            {"level": "error", "message": "a rather long title of an issue, so that a table of it has to wrap: ConnectionRefusedByTheOtherSide", "app": "shop"}])
        said = browse({"do": "open", "url": logd.url + '/?q="left|right" | count by level'}, *SIGN_IN, {"do": "wait", "at": "table.list"}, {"do": "count", "at": "table.list tbody tr"},
                      {"do": "open", "url": logd.url + '/?q="left|right"'}, {"do": "wait", "at": "ol.rows li"}, {"do": "count", "at": "ol.rows > li"}, {"do": "axe"},
                      {"do": "click", "at": "ol.rows li .row > span:last-child"}, {"do": "count", "at": ".open"}, shot("row-open"),
                      {"do": "click", "at": "ol.rows li .open button[aria-label^='Only level']"}, {"do": "wait", "at": "ol.rows"}, {"do": "sleep", "ms": 300},
                      {"do": "eval", "code": "document.querySelector('input[name=q]').value"},
                      shot("search-narrow", width=360, height=740), WIDER, {"do": "axe"},
                      *[step for path in ("issues", "incidents") for step in ({"do": "open", "url": f"{logd.url}/{path}"}, {"do": "wait", "at": "table.list"}, shot(path + "-narrow", width=360, height=740), WIDER, {"do": "axe"})],
                      {"do": "open", "url": logd.url + "/login"}, {"do": "wait", "at": "ol.rows"}, {"do": "eval", "code": "location.pathname"})
        assert said["texts"] == [6, 6, 1, '"left|right" level=fatal', 0, 0, 0, "/"], said["texts"]
        assert not said["axe"], said["axe"]
        assert not [c for c in said["console"] if "error" in c.lower() and "401" not in c], said["console"]


def test_an_issue_leads_to_its_events():
    with Logd() as logd:
        logd.command("user", "add", "dev@example.com", "--role", "admin", input="correct horse battery\n")
        logd.post("/v1/events", [{"level": "error", "error": {"type": "Odd \"type\"", "message": f"no {i}"}} for i in range(3)] + [{"level": "error", "type": "other", "message": "x"}])
        issue = next(i for i in logd.get("/v1/issues").json()["issues"] if i["type"] == "Odd \"type\"")
        said = browse({"do": "open", "url": logd.url + "/issues/" + issue["id"]}, *SIGN_IN, {"do": "wait", "at": "div.bar a"}, shot("issue"),
                      {"do": "click", "at": "div.bar a"}, {"do": "wait", "at": "ol.rows li"}, {"do": "count", "at": "ol.rows > li"})
        assert said["texts"] == [3], said


if __name__ == "__main__":
    run(globals())
