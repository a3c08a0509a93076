"""Shared pages: an administrator's link shows chosen stats to whoever has it, those and no others, until it is ended."""
import os, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run
from outside import browse, shot

SIGN_IN = [{"do": "wait", "at": "input[name=email]:focus"}, {"do": "fill", "at": "input[name=email]", "text": "dev@example.com"},
           {"do": "fill", "at": "input[name=password]", "text": "correct horse battery"}, {"do": "click", "at": "form.card button"}]
WIDER = {"do": "eval", "code": "document.documentElement.scrollWidth - innerWidth"}
NOW = int(time.time())


def share(logd, stats, **more):
    r = logd.post("/v1/shares", {"name": "Our numbers", "stats": stats, **more}, key="admin")
    assert r.status == 201 and r.json()["url"] == f"{logd.url}/shared/{r.json()['token']}", r
    return r.json()


def shop(logd):
    logd.post("/v1/stats", [{"name": "pic.upload", "value": 3, "labels": {"kind": kind, "customer": "acme"}, "time": NOW - 86400 * d} for d in range(5) for kind in ("jpg", "png")] + [{"name": "secret", "value": 7}])


def test_a_link_shows_what_it_names_and_nothing_else():
    with Logd() as logd:
        shop(logd)
        s = share(logd, ["pic.upload by kind", "pic.upload"])
        open_ = lambda path: logd.get(path, key=False)
        assert open_(f"/v1/shared/{s['token']}").json() == {"name": "Our numbers", "stats": [{"name": "pic.upload", "group": "kind"}, {"name": "pic.upload"}]}
        first = open_(f"/v1/shared/{s['token']}/0?by=day&from=-30d&group=customer&label.kind=jpg").json()
        assert {p["group"] for p in first["points"]} == {"jpg", "png"} and first["total"] == 30, first
        assert not any("group" in p for p in open_(f"/v1/shared/{s['token']}/1?by=day&from=-30d&group=kind").json()["points"])
        for path in (f"/v1/shared/{s['token']}/2", f"/v1/shared/{s['token']}/secret", f"/v1/shared/{s['token']}/-1", f"/v1/shared/{s['token'][:-1]}x/0", "/v1/shared/ls_/0", "/v1/shared/x"):
            assert open_(path).status == 404, path
        assert open_("/v1/stats/pic.upload").status == 401 and open_("/v1/shares").status == 401
        assert logd.get("/v1/shares", key="read").status == 403 and logd.post("/v1/shares", {"name": "x", "stats": ["x"]}, key="ingest").status == 403
        (listed,) = logd.get("/v1/shares").json()["shares"]
        assert listed["name"] == "Our numbers" and listed["stats"][0] == {"name": "pic.upload", "group": "kind"} and s["token"] not in str(listed), listed
        logd.kill9_and_restart()
        assert open_(f"/v1/shared/{s['token']}/1").status == 200 and s["token"].encode() not in open(os.path.join(logd.data, "logd.db"), "rb").read()
        assert logd.request("DELETE", f"/v1/shares/{s['id']}", key="read").status == 403 and logd.request("DELETE", f"/v1/shares/{s['id']}", key="admin").status == 200
        gone = open_(f"/v1/shared/{s['token']}/1")
        assert gone.status == 404 and gone.json()["error"] == "this link shows nothing: it was ended, or never was" and logd.request("DELETE", f"/v1/shares/{s['id']}", key="admin").status == 404


def test_a_link_of_one_app_shows_that_app_only():
    with Logd() as logd:
        shop(logd)
        logd.post("/v1/stats", {"name": "pic.upload", "value": 100}, key=logd.key("ingest", "other"))
        s = share(logd, ["pic.upload"], app="other")
        assert logd.get(f"/v1/shared/{s['token']}/0?by=day", key=False).json()["total"] == 100


def test_people_of_an_open_period_are_not_shown():
    with Logd() as logd:
        logd.post("/v1/stats", [{"name": "visitors", "type": "unique", "value": f"v{i}"} for i in range(50)])
        s = share(logd, ["visitors"])
        shown = lambda: logd.get(f"/v1/shared/{s['token']}/0?by=hour&from=-1d", key=False).json()["points"]
        about_50 = lambda points: len(points) == 1 and 48 <= points[0]["value"] <= 52
        eventually(lambda: about_50(logd.get("/v1/stats/visitors?by=hour", key="read").json()["points"]), "they are counted")
        assert shown() == [], shown()
        logd.advance(seconds=3 * 3600)
        logd.post("/v1/stats", {"name": "x"})
        deadline = time.monotonic() + 10
        while not shown() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert about_50(shown()), shown()


def test_noised_numbers_are_shown_without_a_range():
    with Logd(config="unique: {noise: 10}\n") as logd:
        logd.post("/v1/stats", [{"name": "visitors", "type": "unique", "value": f"v{i}"} for i in range(50)])
        s = share(logd, ["visitors"])
        logd.advance(seconds=26 * 3600)
        logd.post("/v1/stats", {"name": "x"})
        day = lambda: logd.get(f"/v1/shared/{s['token']}/0?by=day&from=-30d", key=False).json()
        point = eventually(lambda: day()["points"], "the day is sealed")[0]
        assert point["noised"] and "low" not in point and abs(point["value"] - 50) < 20, point
        said = browse({"do": "open", "url": f"{logd.url}/shared/{s['token']}?to=" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + 30 * 3600)) + "&from=" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - 30 * 3600)) + "&by=day"},
                      {"do": "wait", "at": ".plot"}, {"do": "text", "at": "dd"}, {"do": "count", "at": "rect.bar"}, {"do": "count", "at": "path.whisker"})
        assert said["texts"] == [str(point["value"]), 1, 0], said["texts"]


def test_what_is_wrong_with_a_link_is_told():
    with Logd() as logd:
        said = lambda body: (lambda r: (r.status, r.json().get("pointer"), r.json()["error"]))(logd.post("/v1/shares", body, key="admin"))
        assert said({"name": "x", "stats": []}) == (400, "/stats", "stats: expected 1 to 50 of them, got 0")
        assert said({"name": "", "stats": ["x"]})[1] == "/name" and said({"name": "a\nb", "stats": ["x"]})[1] == "/name" and said({"name": "a", "stats": ["x\ny"]})[1] == "/stats"
        for wrong in ("x by", "x y", " by kind", "x by a b"):
            assert said({"name": "x", "stats": [wrong]}) == (400, "/stats", f'stats: expected NAME or NAME by LABEL, got "{wrong}"'), wrong
        assert said({"name": "x", "stats": ["x"], "app": "nowhere"}) == (400, "/app", 'app: expected the name of an app, got "nowhere"')
        assert logd.request("DELETE", "/v1/shares/x", key="admin").status == 400


def test_the_command_line_makes_lists_and_ends_links():
    with Logd() as logd:
        shop(logd)
        link = logd.command("share", "add", "Our numbers", "pic.upload by kind", "secret", "--app", "shop").stdout
        assert link.startswith(f"{logd.url}/shared/ls_") and link.count("\n") == 1, link
        token = link.strip().rsplit("/", 1)[1]
        assert logd.get(f"/v1/shared/{token}/0?by=day&from=-30d", key=False).json()["total"] == 30
        head, row = logd.command("share", "list").stdout.splitlines()
        assert head.split() == ["ID", "NAME", "APP", "SHOWS", "CREATED"] and row.split("  ")[:4] == ["1", " Our numbers", "shop", "pic.upload by kind,secret"] and token not in row, row
        assert logd.command("share", "remove", "1").stdout == "" and logd.get(f"/v1/shared/{token}", key=False).status == 404
        for args, code, why in ((["add", "x"], 2, "expected more"), (["add", "x", "a b"], 1, 'expected NAME or NAME by LABEL, got "a b"'), (["remove", "1"], 1, "there is no share with id 1"), (["add", "x", "y", "--app", "no"], 1, "expected the name of an app")):
            done = logd.command("share", *args, check=False)
            assert done.returncode == code and why in done.stderr and done.stdout == "", done


def test_an_administrator_makes_a_link_and_a_stranger_looks():
    with Logd() as logd:
        shop(logd)
        logd.command("user", "add", "dev@example.com", "--role", "admin", input="correct horse battery\n")
        said = browse({"do": "open", "url": logd.url + "/stats"}, *SIGN_IN, {"do": "click", "at": "a:has-text('Shared pages')"}, {"do": "wait", "at": "form.card"}, {"do": "axe"},
                      {"do": "fill", "at": "input[name=name]", "text": "<b>Our</b> numbers"}, {"do": "click", "at": "form button.main"}, {"do": "text", "at": ".wrong"},
                      {"do": "eval", "code": "(s => { s.value = 'pic.upload by kind'; s.dispatchEvent(new Event('change')) })(document.querySelector('select[aria-label=\"pic.upload\"]'))"},
                      {"do": "click", "at": "form button.main"}, {"do": "wait", "at": ".link a"}, shot("shares"), {"do": "axe"}, shot("shares-narrow", width=360, height=740, full=True), WIDER, {"do": "axe"}, shot("shares-narrow-dark", dark=True, width=360, height=740), {"do": "axe"},
                      {"do": "text", "at": ".link a"})
        assert said["texts"][0] == "Choose at least one stat to be shown." and said["texts"][2] == 0 and not said["axe"], said
        link = said["texts"][-1]
        said = browse({"do": "open", "url": link}, {"do": "wait", "at": ".multiples .small"}, {"do": "text", "at": "h1"}, {"do": "eval", "code": "document.title"},
                      {"do": "eval", "code": "[...document.querySelectorAll('figcaption b')].map(e => e.textContent)"}, {"do": "count", "at": "nav"}, shot("shared"), {"do": "axe"}, shot("shared-dark", dark=True), {"do": "axe"},
                      shot("shared-narrow", width=360, height=740, full=True), WIDER, {"do": "axe"})
        assert said["texts"] == ["<b>Our</b> numbers", "<b>Our</b> numbers", ["jpg", "png"], 0, 0] and not said["axe"], said
        said = browse({"do": "open", "url": logd.url + "/shares"}, *SIGN_IN, {"do": "click", "at": "button:has-text('End')"}, {"do": "sleep", "ms": 300}, {"do": "open", "url": link}, {"do": "wait", "at": ".wrong"}, {"do": "text", "at": ".wrong"})
        assert said["texts"] == ["this link shows nothing: it was ended, or never was"], said


if __name__ == "__main__":
    run(globals())
