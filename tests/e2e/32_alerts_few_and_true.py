"""What belongs together is one incident; what is silenced, snoozed or inhibited is counted and says why; a job that does not say that it ran is missed."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run
from smtp import Smtp

NEW = """
rules:
- id: new-error
  why: an error that was never seen
  when: level >= error
  by: [app, fingerprint]
  new: {}
- id: warned
  why: somebody warned
  when: level = warn
  by: [app]
- id: heartbeat-missing
  why: a job did not say that it ran
  heartbeat: {}
  rank: P2
"""


def fail(logd, *kinds, **more):
    assert logd.post("/v1/events", [{"level": "error", "error": {"type": kind, "message": "m"}, **more} for kind in kinds]).status == 200


def seen(logd):
    eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"] and not logd.status()["queues"].get("mails"), "all is seen and sent")


def incident(logd, state="open"):
    one, = logd.get("/v1/incidents?state=" + state).json()["incidents"]
    return logd.get("/v1/incidents/" + one["id"]).json()


def sums(logd):
    return logd.status()["signals"]


def test_errors_that_begin_together_are_one_incident_and_few_mails():
    with Smtp() as smtp, Logd(rules=NEW, config=smtp.config(), ca=smtp.ca) as logd:
        fail(logd, "A")
        eventually(lambda: len(smtp.inbox) == 1, "the first")
        fail(logd, "B")
        eventually(lambda: len(smtp.inbox) == 2, "another error is another thing")
        fail(logd, *(f"C{i}" for i in range(30)))
        seen(logd)
        assert len(smtp.inbox) == 2, [m.subject for m in smtp.inbox]
        i = incident(logd)
        assert len(i["kinds"]) == 32 and i["signals"] == 32 and i["pending"] == 30, i
        assert "44 points: level 22, news 22" in i["decisions"][0]["reason"], i["decisions"]
        logd.advance(301)
        eventually(lambda: len(smtp.inbox) == 3, "the rest in one mail")
        assert "and 9 more" in smtp.inbox[2].body and smtp.inbox[2].message["References"] == smtp.inbox[0].message["References"], smtp.inbox[2].body
        assert sums(logd) == {"mailed": 32, "digested": 0, "suppressed": 0, "pending": 0}, sums(logd)


def test_what_is_below_ones_rank_is_in_the_digest_of_the_day():
    with Smtp() as smtp, Logd(rules=NEW, config=smtp.config(), ca=smtp.ca) as logd:
        logd.post("/v1/events", [{"level": "warn", "message": "nearly full"}] * 3)
        seen(logd)
        logd.advance(3601)
        eventually(lambda: sums(logd)["digested"] == 3, "nothing is mailed at once, nothing is lost")
        assert not smtp.inbox
        assert "in the digest of the day; 30 points: level 8, the rule fired 22" in incident(logd)["decisions"][0]["reason"], incident(logd)
        logd.advance(86400)
        eventually(lambda: len(smtp.inbox) == 1, "the digest of the day")
        assert "somebody warned" in smtp.inbox[0].body and "3 x, rule warned" in smtp.inbox[0].body, smtp.inbox[0].body


def test_the_budget_of_mails_is_kept_and_says_so():
    with Smtp() as smtp, Logd(rules=NEW, config=smtp.config(), ca=smtp.ca) as logd:
        for i in range(12):
            fail(logd, f"E{i}", env=f"e{i}")
            seen(logd)
            logd.advance(130)  # each an incident of its own
        eventually(lambda: sums(logd)["digested"] > 0, "half of the budget is left for what is more urgent")
        assert 6 <= len(smtp.inbox) <= 8, len(smtp.inbox)
        assert sums(logd)["mailed"] + sums(logd)["digested"] == 12, sums(logd)
        assert any("the budget of mails is used up" in d["reason"] or "in the digest of the day" in d["reason"]
                   for one in logd.get("/v1/incidents").json()["incidents"] for d in logd.get("/v1/incidents/" + one["id"]).json()["decisions"])


def test_a_silence_holds_its_time_and_says_who_wanted_it():
    with Smtp() as smtp, Logd(rules=NEW, config=smtp.config(), ca=smtp.ca) as logd:
        def silence(**body):
            return logd.post("/v1/silences", body, key="admin")
        assert silence(app="shop", why="deploy").json()["error"] == "until is missing: a silence ends"
        assert silence(until="2h", why="deploy").json()["error"] == "expected at least one of rule, app, env, host and key"
        assert silence(app="shop", until="2h", whom="x", why="deploy").json()["error"] == 'unknown key "whom", expected rule, app, env, host, key, from, until or why'
        assert silence(app="shop", until="soon", why="deploy").json()["error"] == 'until: expected a time as RFC 3339 or epoch, or a duration like 2h, got "soon"'
        made = silence(app="sh*", until="2h", why="deploy of 4.2")
        assert made.status == 200, made
        listed, = logd.get("/v1/silences").json()["silences"]
        assert listed["id"] == made.json()["id"] and listed["why"] == "deploy of 4.2" and listed["app"] == "sh*", listed
        fail(logd, "A")
        seen(logd)
        assert not smtp.inbox and sums(logd)["suppressed"] == 1, sums(logd)
        decision, = incident(logd)["decisions"]
        assert decision["verdict"] == "suppressed" and decision["reason"].endswith(": deploy of 4.2") and decision["reason"].startswith("silenced by "), decision
        logd.kill9_and_restart()
        assert logd.request("DELETE", "/v1/silences/" + listed["id"], key="admin").status == 200 and not logd.get("/v1/silences").json()["silences"]
        assert logd.request("DELETE", "/v1/silences/" + listed["id"], key="admin").status == 404
        fail(logd, "B")
        eventually(lambda: len(smtp.inbox) == 1, "after it there are mails again")


def test_a_snoozed_incident_wakes_up():
    with Smtp() as smtp, Logd(rules=NEW, config=smtp.config(), ca=smtp.ca) as logd:
        fail(logd, "A")
        eventually(lambda: len(smtp.inbox) == 1, "the mail")
        act = lambda **body: logd.post(f"/v1/incidents/{incident(logd)['id']}/snooze", body, key="admin")
        assert act(until="yesterday").status == 400 and act(until=1).json()["error"] == "until: expected a time after now"
        snoozed = act(until="30m")
        assert snoozed.status == 200 and snoozed.json()["state"] == "snoozed" and snoozed.json()["until"], snoozed
        fail(logd, "A", "A")
        seen(logd)
        assert sums(logd)["suppressed"] == 2 and len(smtp.inbox) == 1
        logd.advance(1801)
        eventually(lambda: logd.get("/v1/incidents?state=open").json()["incidents"], "it wakes up")
        fail(logd, "A")
        seen(logd)
        assert sums(logd)["pending"] == 1, sums(logd)


def test_a_job_that_does_not_say_that_it_ran_is_missed_across_a_restart():
    with Smtp() as smtp, Logd(rules=NEW, config=smtp.config(), ca=smtp.ca) as logd:
        beat = lambda query="": logd.request("GET", "/v1/heartbeat/backup" + query, key="ingest")
        assert beat("?every=soon").json()["error"] == 'every: expected a duration from 1s to 366d, like 90s, 5m or 1d, got "soon"'
        assert logd.request("POST", "/v1/heartbeat/a%20b", key="ingest").status == 400 and logd.request("GET", "/v1/heartbeat/x", key="read").status == 403
        assert beat("?every=10m&grace=1m").json() == {"status": "ok"}
        seen(logd)
        logd.advance(300)
        beat("?every=10m&grace=1m")
        seen(logd)
        logd.restart()
        logd.advance(360)  # the test's clock starts from the real one: 660 s are due
        seen(logd)
        assert not smtp.inbox
        logd.advance(700)
        eventually(lambda: len(smtp.inbox) == 1, "the miss")
        assert smtp.inbox[0].subject.startswith("[P2 shop] a job did not say that it ran") and "heartbeat.name=backup" in smtp.inbox[0].body, smtp.inbox[0].body
        assert "silent for" in smtp.inbox[0].body


if __name__ == "__main__":
    run(globals())
