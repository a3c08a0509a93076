"""Once a week each recipient is told that alerts reach him, and what each rule was worth: a rule that nobody acts on is named with what a lower rank saves."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run
from smtp import Smtp

RULES = """
rules:
- id: new-error
  why: an error that was never seen
  when: level = error
  by: [app, fingerprint]
  new: {}
- id: grave
  why: it is grave
  when: level = fatal
  by: [app]
  rank: P1
- id: quiet
  why: it never happens
  when: type = never.happens
  by: [app]
"""


def test_the_week_is_told_and_a_rule_that_nobody_acts_on_is_named():
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(to=("ops@example.com", "boss@example.com")), ca=smtp.ca) as logd:
        weekly = lambda: [m for m in smtp.inbox if "alerts reach you" in m.subject]

        def seen():
            eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"] and not logd.status()["queues"].get("mails"), "all is seen and sent")
        days = 0
        while not weekly() and days < 9:
            logd.advance(86400)
            logd.post("/v1/events", [{"message": "a new day"}])
            seen()
            if weekly():
                break
            logd.post("/v1/events", [{"level": "error", "env": "a", "error": {"type": f"E{days}", "message": "m"}}])
            logd.post("/v1/events", [{"level": "fatal", "env": "b", "message": "on fire"}])
            seen()
            eventually(lambda: len(logd.get("/v1/incidents?state=open").json()["incidents"]) == 2, "two incidents a day")
            for one in logd.get("/v1/incidents?state=open").json()["incidents"]:
                if one["rule"] == "grave":
                    assert logd.post(f"/v1/incidents/{one['id']}/ack", {}, key="admin").status == 200
                    assert logd.post(f"/v1/incidents/{one['id']}/resolve", {}, key="admin").status == 200
            days += 1
            eventually(lambda: len([m for m in smtp.inbox if m.message["X-Logd-Rule"] in ("grave", "new-error") and not m.subject.startswith("Re:")]) >= 4 * days, "their mails")
        assert 1 <= days <= 8, (days, [m.subject for m in smtp.inbox])
        eventually(lambda: len(weekly()) == 2, "each recipient has it")
        assert {str(m.message["To"]) for m in weekly()} == {"ops@example.com", "boss@example.com"}
        body = weekly()[0].body
        grave, = [line for line in body.splitlines() if line.startswith("grave: fired")]
        assert "acknowledged" in grave and "noise 0" in grave and "(median)" in grave, grave
        assert not [line for line in body.splitlines() if line.startswith("grave: ") and "nobody acted" in line] and "Never fired: quiet." in body, body
        named = [line for line in body.splitlines() if line.startswith("new-error:") and "nobody acted on one" in line]
        mails = len([m for m in smtp.inbox if m.message["X-Logd-Rule"] == "new-error" and not m.subject.startswith("Re:")])
        assert named or mails < 5, (mails, body)  # the weekly mail may have overtaken those of its day
        if named:
            n = int(named[0].split()[1])
            assert mails - 2 <= n <= mails and f'With "rank: P4" instead of P3: {n} -> 0 mails' in named[0], (mails, body)
        logd.kill9_and_restart()
        seen()
        logd.advance(60)
        seen()
        assert len(weekly()) == 2, "once a week"


if __name__ == "__main__":
    run(globals())
