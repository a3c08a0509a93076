"""What nobody acknowledges is said again, ever more rarely, and to more people; what somebody did is not; a restart repeats and forgets nothing."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run
from smtp import Smtp

RULES = """
rules:
- id: down
  why: the shop is down
  when: level >= error
  by: [app, type]
  rank: P1
  digest: 2d
- id: slow
  why: the shop is slow
  when: level = warn
  by: [app, type]
  rank: P2
  digest: 2d
"""
PEOPLE = """recipients:
- {email: first@example.com}
- {email: second@example.com, after: 15m}
- {email: boss@example.com, after: 30m}
"""


def config(smtp):
    return smtp.config().split("recipients:")[0] + PEOPLE


def said(smtp):
    """Who got how many; one that comes again after a kill is the same by its Message-ID."""
    return tuple(len({m.message["Message-ID"] for m in smtp.inbox if m.rcpt == [who + "@example.com"] and m.message["X-Logd-Rule"] in ("down", "slow")})
                 for who in ("first", "second", "boss"))


def settled(logd):
    eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"] and not logd.status()["queues"].get("mails"), "all is seen and sent")


def break_it(logd, level="error", kind="down"):
    assert logd.post("/v1/events", {"level": level, "type": kind, "message": "no answer"}).status == 200


def pass_time(logd, seconds):
    """The clock of the test starts from the real one at each start."""
    logd.advance(seconds)
    settled(logd)


def act(logd, verb, body=""):
    one, = logd.get("/v1/incidents").json()["incidents"]
    assert logd.post(f"/v1/incidents/{one['id']}/{verb}", body, key="admin").status == 200
    settled(logd)


def decisions(logd):
    one, = logd.get("/v1/incidents").json()["incidents"]
    return logd.get("/v1/incidents/" + one["id"]).json()["decisions"]


def test_a_p1_goes_to_the_second_contact_and_then_to_all_and_is_said_ever_more_rarely():
    with Smtp() as smtp, Logd(rules=RULES, config=config(smtp), ca=smtp.ca) as logd:
        break_it(logd)
        eventually(lambda: said(smtp) == (1, 0, 0), "only the first is told at once")
        pass_time(logd, 14 * 60)
        assert said(smtp) == (1, 0, 0), said(smtp)
        pass_time(logd, 70)
        eventually(lambda: said(smtp) == (2, 1, 0), "again, and the second contact")
        pass_time(logd, 15 * 60)
        eventually(lambda: said(smtp) == (2, 1, 1), "then all, and the others need not hear of that")
        for minutes, each in ((15, 2), (75, 3), (240, 4), (1080, 5)):
            logd.advance(minutes * 60)
            eventually(lambda: said(smtp) == (each + 1, each, each), f"reminder {each}")
        first, again = smtp.inbox[0], smtp.inbox[-1]
        assert again.subject == "Re: " + first.subject and again.message["References"] == first.message["References"], again.subject
        assert "not acknowledged for 24 hours" in again.body and "not acknowledged" not in first.body, again.body
        assert len({m.message["Message-ID"] for m in smtp.inbox}) == len(smtp.inbox)
        reminded = [d["reason"] for d in decisions(logd) if d["verdict"] == "reminded"]
        assert reminded[0] == "not acknowledged for 15 minutes: said again to 2 recipients" and len(reminded) == 6, reminded
        assert logd.status()["signals"] == {"mailed": 1, "digested": 0, "suppressed": 0, "pending": 0}


def test_what_was_acknowledged_or_resolved_is_not_said_again():
    with Smtp() as smtp, Logd(rules=RULES, config=config(smtp), ca=smtp.ca) as logd:
        break_it(logd)
        eventually(lambda: said(smtp) == (1, 0, 0), "the mail")
        act(logd, "ack")
        pass_time(logd, 3 * 3600)
        assert said(smtp) == (1, 0, 0), said(smtp)
        act(logd, "resolve")
        pass_time(logd, 86000)
        assert said(smtp) == (1, 0, 0), said(smtp)


def test_a_snooze_that_ended_brings_what_was_missed_as_one():
    with Smtp() as smtp, Logd(rules=RULES, config=config(smtp), ca=smtp.ca) as logd:
        break_it(logd)
        eventually(lambda: said(smtp) == (1, 0, 0), "the mail")
        act(logd, "snooze", {"until": "3h"})
        pass_time(logd, 2 * 3600)
        assert said(smtp) == (1, 0, 0), said(smtp)
        logd.advance(3700)
        eventually(lambda: said(smtp) == (2, 1, 1), "one reminder to each")


def test_a_p2_is_said_again_to_whom_it_was_said_and_a_restart_repeats_and_forgets_nothing():
    with Smtp() as smtp, Logd(rules=RULES, config=config(smtp), ca=smtp.ca) as logd:
        break_it(logd, "warn", "slow")
        settled(logd)
        logd.advance(60)
        eventually(lambda: said(smtp) == (1, 0, 0), "the mail")
        logd.kill9_and_restart()
        logd.advance(3500)  # an hour is not over
        settled(logd)
        assert said(smtp) == (1, 0, 0), said(smtp)
        logd.advance(3700)
        eventually(lambda: said(smtp) == (2, 0, 0), "after an hour, to him alone")
        logd.kill9_and_restart()
        logd.advance(3700)
        settled(logd)
        assert said(smtp) == (2, 0, 0), "what was said is not said again"
        logd.advance(4 * 3600)
        eventually(lambda: said(smtp) == (3, 0, 0), "after four hours")




if __name__ == "__main__":
    run(globals())
