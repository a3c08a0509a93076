"""A link in a mail shows before it acts, acts on its incident alone and can be undone; programs that open every link change nothing; fewer mails is one click."""
import json, os, re, sys, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run
from outside import Site, browse, shot
from smtp import Smtp

NEW = """
rules:
- id: new-error
  why: an error that was never seen
  when: level >= error
  by: [app, fingerprint]
  new: {}
- id: grave
  why: it is grave
  when: level = fatal
  by: [app]
  rank: P1
"""
TWO = ("ops@example.com", "boss@example.com")


class Shop(Logd):
    def __init__(self, smtp, config=None):
        super().__init__(rules=NEW, config=config or smtp.config(), ca=smtp.ca)
        self.smtp = smtp

    def fail(self, kind, **more):
        assert self.post("/v1/events", [{"level": "error", "env": "prod", "error": {"type": kind, "message": "m"}, **more}]).status == 200

    def mail(self, n):
        return eventually(lambda: len(self.smtp.inbox) >= n and self.smtp.inbox[n - 1], f"mail {n}")

    def incident(self, id):
        return self.get("/v1/incidents/" + id).json()


def link_of(mail, kind="a"):
    return re.search(r"https?://[^/]+(/%s/\S+)" % kind, mail.body)[1]


def fewer_of(mail):
    return urllib.parse.urlsplit(mail.message["List-Unsubscribe"].strip().strip("<>")).path


def form(page):
    assert page.status == 200, page
    return {"nonce": re.search(r'name="nonce" value="([^"]+)"', page.text)[1]}, re.findall(r'name="do" value="(\w+)"', page.text)


def open_link(logd, path, method="GET"):
    return logd.request(method, path, key=False)


def press(logd, path, **fields):
    return logd.request("POST", path, urllib.parse.urlencode(fields).encode(), headers={"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Phone <1>"}, key=False)


def test_a_link_shows_first_acts_when_pressed_and_can_be_undone():
    with Smtp() as smtp, Shop(smtp) as logd:
        logd.fail("A")
        mail = logd.mail(1)
        path, id = link_of(mail), mail.message["X-Logd-Incident"]
        assert f'{path}?do=noise"' in mail.html, mail.html
        for method in ("GET", "HEAD", "GET"):
            page = open_link(logd, path + "?do=resolve", method)
            assert page.status == 200 and page.headers["Cache-Control"] == "no-store" and page.headers["Referrer-Policy"] == "no-referrer" and page.headers["X-Robots-Tag"] == "noindex", page.headers
        assert "<script" not in page.text and "default-src 'none'" in page.headers["Content-Security-Policy"] and logd.incident(id)["state"] == "open"
        fields, verbs = form(page)
        assert verbs == ["resolve", "ack", "snooze", "noise"], verbs
        assert press(logd, path, do="ack").status == 403 and press(logd, path, **fields, do="drop").status == 400 and logd.incident(id)["state"] == "open"
        done = press(logd, path, **fields, do="ack")
        assert done.status == 200 and "Acknowledged." in done.text and form(done)[1][-1] == "undo", done
        one = logd.incident(id)
        said = one["decisions"][-1]
        assert one["state"] == "acked" and one["owner"] == "ops@example.com" and said["verdict"] == "ack" and said["reason"] == "ops@example.com, by mail, from 127.0.0.1 with Phone <1>", one
        assert press(logd, path, **fields, do="ack").status == 200 and len(logd.incident(id)["decisions"]) == len(one["decisions"]), "again is nothing"
        assert "Undone." in press(logd, path, **fields, do="undo").text and logd.incident(id)["state"] == "open"
        assert press(logd, path, **fields, do="noise").status == 200 and logd.incident(id)["state"] == "resolved"
        assert "Undone." in press(logd, path, **fields, do="undo").text
        logd.kill9_and_restart()
        one = logd.incident(id)
        assert one["state"] == "open" and [d["verdict"] for d in one["decisions"]] == ["mailed", "ack", "undo", "noise", "undo"], one["decisions"]
        assert one["kinds"][0]["state"] == "open", one["kinds"]
        logd.advance(2 * 3600)  # nothing more came: it ends by itself, so it had not been lost
        eventually(lambda: logd.incident(id)["state"] == "resolved", "an incident that was undone goes on as before")
        assert form(open_link(logd, path))[1] == [], "what ended by itself is not undone"
        logd.advance(7 * 86400)
        late = open_link(logd, path)
        assert late.status == 410 and "this link ended at 20" in late.text, late


def test_a_link_is_for_one_incident_and_one_reader():
    with Smtp() as smtp, Shop(smtp, smtp.config(to=TWO)) as logd:
        logd.fail("A")
        mails = [logd.mail(2)] and smtp.inbox[:2]
        logd.fail("B", env="test")
        other = logd.mail(3).message["X-Logd-Incident"]
        links = {str(m.message["To"]): link_of(m) for m in mails}
        assert len(set(links.values())) == 2, links
        fields, _ = form(open_link(logd, links["ops@example.com"]))
        assert press(logd, links["boss@example.com"], **fields, do="ack").status == 403, "a nonce is for its own link"
        assert press(logd, links["boss@example.com"], **form(open_link(logd, links["boss@example.com"]))[0], do="ack").status == 200
        assert logd.incident(mails[0].message["X-Logd-Incident"])["owner"] == "boss@example.com" and logd.incident(other)["state"] == "open"
        path = links["ops@example.com"]
        for bad in (path[:-1], path[:-1] + ("0" if path[-1] != "0" else "1"), path.replace(mails[0].message["X-Logd-Incident"], other), path.replace("/a/", "/u/"), "/a/x", "/a/..", re.sub(r"\.(\d+)\.", lambda m: f".{int(m[1]) + 1}.", path)):
            reply = open_link(logd, bad)
            assert reply.status in (400, 404) and ("this link is not whole" in reply.text or bad == "/a/.."), (bad, reply)
        for n in range(70):
            reply = open_link(logd, "/a/x")
        assert reply.status == 429 and reply.headers["Retry-After"] == "60", reply


def test_fewer_mails_is_one_click_and_never_hides_what_is_urgent():
    with Smtp() as smtp, Shop(smtp, smtp.config(to=TWO)) as logd:
        logd.fail("A")
        mail = [logd.mail(2)] and next(m for m in smtp.inbox if str(m.message["To"]) == "ops@example.com")
        assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click" and mail.message["List-ID"].startswith("logd alerts <alerts.") and mail.message["Auto-Submitted"] == "auto-generated", mail.raw
        path = fewer_of(mail)
        assert open_link(logd, path).status == 200 and press(logd, path).status == 400
        for again in range(2):
            assert press(logd, path, **{"List-Unsubscribe": "One-Click"}).status == 200
        told = logd.mail(3)
        assert str(told.message["To"]) == "boss@example.com" and told.subject == "[logd] ops@example.com now gets P3 to P5 in the digest of the day only", told.subject
        logd.fail("B", env="test")
        logd.post("/v1/events", [{"level": "fatal", "message": "on fire", "env": "other"}])
        eventually(lambda: len([m for m in smtp.inbox if m.subject.startswith("[P1")]) == 2, "P1 reaches both")
        eventually(lambda: [m for m in smtp.inbox if str(m.message["To"]) == "boss@example.com" and "[P3 test/shop] B" in m.subject], "P3 reaches who did not ask for fewer")
        assert not [m for m in smtp.inbox if str(m.message["To"]) == "ops@example.com" and "B" in m.subject], [(str(m.message["To"]), m.subject) for m in smtp.inbox]
        assert press(logd, path, undo=1).status == 200
        logd.fail("C", env="third")
        eventually(lambda: [m for m in smtp.inbox if str(m.message["To"]) == "ops@example.com" and "C" in m.subject], "as before")


STACK = """TypeError: total is undefined
    at pay (/srv/shop/src/cart.js:214:31)
    at Layer.handle (/srv/shop/node_modules/express/lib/router/layer.js:95:5)
    at checkout (/srv/shop/src/checkout.js:88:9)"""


def test_a_mail_is_read_on_a_phone_and_runs_nothing_of_a_log():
    hostile = "<img src=x onerror=alert(1)>\r\nBcc: x@evil.example \u202ereversed " + "w" * 300
    wider = {"do": "eval", "code": "document.documentElement.scrollWidth - innerWidth"}
    with Smtp() as smtp, Shop(smtp) as logd:
        logd.fail("A", release="1.4", user="u1", host="web1", message=hostile, error={"type": "TypeError", "message": hostile, "stack": STACK}, **{"<b>x</b>": hostile})
        mail = logd.mail(1)
        assert "Who is hit: user u1, host web1." in mail.body and "Bcc" not in mail.message, mail.body
        assert len(mail.raw) < 100000 and "\u202e" not in mail.html, (len(mail.raw), mail.html)
        with Site({"/m": mail.html, "/favicon.ico": ""}) as site:
            said = browse({"do": "open", "url": site.origin + "/m"}, shot("mail-narrow", width=360, height=740, full=True), wider, shot("mail-wide", width=1280, height=800, full=True), wider,
                          {"do": "eval", "code": "[...document.querySelectorAll('a')].filter(a => !a.href.startsWith(" + repr(logd.url) + ")).length"}, {"do": "count", "at": "img, script"})
        assert said["texts"] == [0, 0, 0, 0] and not said["dialogs"] and [r["url"] for r in said["requests"] if not r["url"].startswith(site.origin)] == [], said


DSN = """From: MAILER-DAEMON@mx.example
To: logd@example.com
Message-ID: <1@mx.example>
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; ops@example.com
Action: failed
Status: {status}
Diagnostic-Code: smtp; 550 no such user

--b
Content-Type: message/rfc822

Message-ID: {id}
Subject: x

--b--
"""


def test_a_mail_that_came_back_for_good_is_told_to_the_others():
    with Smtp() as smtp, Shop(smtp, smtp.config(to=TWO)) as logd:
        logd.fail("A")
        mail = [logd.mail(2)] and next(m for m in smtp.inbox if str(m.message["To"]) == "ops@example.com")
        came_back = lambda status, id=mail.message["Message-ID"], check=True: logd.command("bounce", input=DSN.format(status=status, id=id), check=check)
        assert json.loads(came_back("4.2.2").stdout) == {"permanent": False} and json.loads(came_back("5.4.4").stdout) == {"permanent": False}
        assert came_back("5.1.1", "<x@y>", check=False).stderr == 'logd: bounce: no mail of ours has the Message-ID "x@y"\n', came_back("5.1.1", "<x@y>", check=False).stderr
        assert "it has no Status" in logd.command("bounce", input="Subject: hi\n\nhello\n", check=False).stderr
        assert len(logd.get("/v1/incidents").json()["incidents"]) == 1
        for again in range(2):
            assert json.loads(came_back("5.1.1").stdout) == {"permanent": True}
        told = logd.mail(3)
        assert str(told.message["To"]) == "boss@example.com" and told.subject == "[P2 logd] Mails to ops@example.com come back" and "550 no such user" in told.body, (told.subject, told.body)
        one = logd.incident(mail.message["X-Logd-Incident"])
        assert [m["status"] for m in one["mails_sent"] if m["to"] == "ops@example.com"] == ["bounced"] and one["decisions"][-1]["reason"] == "the mail to ops@example.com came back for good: 5.1.1 550 no such user", one
        assert came_back("5.1.1", told.message["Message-ID"]).returncode == 0
        logd.kill9_and_restart()
        eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"], "all is seen")
        assert len(smtp.inbox) == 3 and len(logd.get("/v1/incidents").json()["incidents"]) == 2, [m.subject for m in smtp.inbox]


def test_a_person_presses_and_undoes_in_a_browser():
    with Smtp() as smtp, Shop(smtp) as logd:
        logd.fail("<b>A</b>")
        path = link_of(logd.mail(1))
        said = browse({"do": "open", "url": logd.url + path + "?do=ack"}, {"do": "wait", "at": "button.main"}, {"do": "axe"}, shot("link-narrow", width=360, height=740, full=True), {"do": "axe"}, shot("link-dark", dark=True),
                      {"do": "text", "at": "h1"}, {"do": "click", "at": "button.main"}, {"do": "wait", "at": ".done"}, {"do": "text", "at": ".done"}, shot("link-done"), {"do": "axe"},
                      {"do": "click", "at": "button[value=undo]"}, {"do": "wait", "at": ".done:has-text('Undone')"})
        texts = [t for t in said["texts"] if t not in (None, "")]
        assert texts[0].startswith("<b>A</b>") and texts[1] == "Acknowledged." and not said["axe"], (texts, said["axe"])


if __name__ == "__main__":
    run(globals())
