"""Rules that count: an event that matches adds to a stat, exactly once, whatever happens to the server."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from logd import *

RULES = """rules:
- id: logins
  when: auth.action = login
  stat: {name: logins, by: [outcome]}
- id: slow
  when: http.duration_ms:*
  stat: {name: http.ms, type: timing, value: http.duration_ms, by: {path: http.path}}
- id: people
  when: type = visit
  stat: {name: visits, by: [user]}
"""


def total(logd, name, more=""):
    return logd.get("/v1/stats/%s?by=hour&from=-2d%s" % (name, more), key="read").json()["total"]


def login(outcome, **more):
    return {"type": "auth", "auth": {"action": "login", "outcome": outcome, "user": "ann"}, **more}


def test_events_that_match_are_counted_once_also_after_kill_9():
    with Logd(rules=RULES) as logd:
        logd.post("/v1/events", [login("failure")] * 3 + [login("success"), {"message": "other"}])
        logd.kill9_and_restart()
        logd.post("/v1/events", login("failure"))
        eventually(lambda: total(logd, "logins") == 5, "all are counted")
        logd.kill9_and_restart()
        assert total(logd, "logins", "&label.outcome=failure") == 4 and total(logd, "logins", "&label.outcome=success") == 1
        r = logd.get("/v1/rules").json()["rules"]
        assert [(x["id"], x["stat"], x["signals"]) for x in r] == [("logins", "logins", 0), ("slow", "http.ms", 0), ("people", "visits", 0)], r
        assert logd.get("/v1/incidents").json()["incidents"] == [], "a rule that only counts mails nothing"


def test_an_event_counts_in_the_hour_in_which_it_happened():
    with Logd(rules=RULES) as logd:
        logd.post("/v1/events", login("failure", time="2026-11-20T10:30:00Z"))
        get = lambda: logd.get("/v1/stats/logins?by=hour&from=2026-11-20T00:00:00Z&to=2026-11-21T00:00:00Z", key="read").json()["points"]
        eventually(lambda: get() == [{"time": "2026-11-20T10:00:00Z", "value": 1}], "in its hour")


def test_numbers_of_events_become_timings():
    with Logd(rules=RULES) as logd:
        logd.post("/v1/events", [{"http": {"path": "/a", "duration_ms": n}} for n in range(1, 101)] + [{"http": {"path": "/b", "duration_ms": "fast"}}])
        eventually(lambda: total(logd, "http.ms")["n"] == 100, "they are there")
        t = total(logd, "http.ms", "&label.path=/a")
        assert [t["min"], t["max"], t["sum"]] == [1, 100, 5050] and abs(t["p90"] - 90) < 1, t


def test_a_label_that_names_a_person_counts_as_refused():
    with Logd(rules=RULES) as logd:
        logd.post("/v1/events", [{"type": "visit", "user": "ann%d@example.com" % i} for i in range(5)] + [{"type": "visit", "user": "staff"}, {"type": "visit"}])
        eventually(lambda: total(logd, "visits") == 7, "all are counted")
        labels = sorted(str(s["labels"]) for s in logd.get("/v1/stats", key="read").json()["stats"])
        assert labels == ["{'user': '__refused__'}", "{'user': 'staff'}", "{}"], labels


if __name__ == "__main__":
    run(globals())
