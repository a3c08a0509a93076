"""The incidents pages: what is open, every decision of one with its reason, acting on it and taking it back, silences; by mouse, in Chromium."""
import json, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run
from outside import browse, shot
from smtp import Smtp

HOSTILE = "<img src=x onerror=alert(1)>"
RULES = """
rules:
- id: new-error
  why: an error that was never seen
  when: level >= error
  by: [app, fingerprint]
  new: {}
"""
WIDER = {"do": "eval", "code": "document.documentElement.scrollWidth - innerWidth"}


def looks(name):
    return [shot(name + "-dark", dark=True), {"do": "axe"}, shot(name + "-narrow", width=360, height=740, full=True), WIDER, shot(name, full=True)]


def click(what):
    return [{"do": "click", "at": what}, {"do": "wait", "at": "#said:has-text('done')"}, {"do": "eval", "code": "document.getElementById('said').textContent = ''"}]


def text(at):
    return {"do": "eval", "code": f"[...document.querySelectorAll({json.dumps(at)})].map(e => e.textContent)"}


class Shop(Logd):
    def signed_in(self, path, *steps):
        self.command("user", "add", "ops@example.com", "--role", "editor", input="correct horse battery\n")
        said = browse({"do": "open", "url": self.url + path}, {"do": "wait", "at": "input[name=email]:focus"}, {"do": "fill", "at": "input[name=email]", "text": "ops@example.com"},
                      {"do": "fill", "at": "input[name=password]", "text": "correct horse battery"}, {"do": "click", "at": "form.card button"}, *steps)
        assert not said["axe"] and not said["dialogs"], said["axe"]
        assert not [c for c in said["console"] if "error" in c.lower() and not any(s in c for s in ("401", "400"))], said["console"]
        return [t for t in said["texts"] if t not in (None, "")]


def test_an_incident_says_why_and_is_acted_on():
    with Smtp() as smtp, Shop(rules=RULES, config=smtp.config(), ca=smtp.ca) as logd:
        logd.post("/v1/events", [{"level": "error", "env": "prod", "host": "web1", "error": {"type": "TypeError", "message": HOSTILE}}])
        eventually(lambda: len(smtp.inbox) == 1, "the mail")
        one, = logd.get("/v1/incidents").json()["incidents"]
        eventually(lambda: logd.get("/v1/incidents/" + one["id"]).json()["mails_sent"][0]["status"] == "sent", "it is known to be sent")
        texts = logd.signed_in("/incidents", {"do": "wait", "at": "table.alerts"}, text("tbody a"), *looks("incidents"), {"do": "click", "at": "tbody a"}, {"do": "wait", "at": "dl.facts"}, text("h1"), text("h2"), text("table.alerts tbody td"),
                               {"do": "eval", "code": "[...document.querySelectorAll('h2 + p')].map(e => e.textContent)"}, *looks("incident"), *click("button:has-text('Acknowledge')"), text(".facts dd"), *click("button:has-text('Undo')"), text(".facts dd"),
                               *click("button:has-text('Was noise')"), text(".facts dd"), text("table.alerts tr:last-child td"), shot("incident-noise", full=True),
                               {"do": "click", "at": "summary"}, {"do": "fill", "at": "input[name=until]", "text": "soon"}, {"do": "fill", "at": "input[name=why]", "text": "deploy"}, {"do": "click", "at": "form.silence button"}, {"do": "wait", "at": ".wrong:not(:empty)"}, {"do": "text", "at": ".wrong"}, {"do": "axe"}, shot("incident-silence", full=True),
                               {"do": "fill", "at": "input[name=until]", "text": "2h"}, *click("form.silence button"), {"do": "open", "url": logd.url + "/incidents"}, {"do": "wait", "at": "button:has-text('End')"}, text("table.alerts tbody td"), {"do": "axe"}, shot("incidents-silence"), *click("button:has-text('End')"), text("p.soft"))
        assert texts[0] == ["TypeError: " + HOSTILE] and texts[1] == 0 and HOSTILE in texts[2][0], texts[:3]
        assert "What was decided" in texts[3] and "Why did I get a mail?" in texts[3] and "Silences" in texts[3], texts[3]
        assert texts[4][1] == "mailed" and texts[4][2].startswith("first mail to 1 recipient, 1 signal; 44 points"), texts[4]
        assert any(t.startswith("ops@example.com got 1 mail: immediate") and "(sent" in t for t in texts[5]), texts[5]
        states = [t[0] for t in texts[7:10]]
        assert texts[6] == 0 and states == ["acked", "open", "resolved"], texts[6:10]
        assert texts[11].startswith("until: expected a time as RFC 3339 or epoch, or a duration like 2h"), texts[10:12]
        assert texts[12][0] == "rule new-error, app shop, env prod, host web1" and texts[12][2] == "deploy" and texts[12][3] == "ops@example.com", texts[12]
        assert "None: whatever is urgent enough is mailed." in texts[13], texts[13]
        said = [d["verdict"] for d in logd.get("/v1/incidents/" + one["id"]).json()["decisions"]]
        assert said == ["mailed", "ack", "undo", "noise"] and not logd.get("/v1/silences").json()["silences"], said


if __name__ == "__main__":
    run(globals())
