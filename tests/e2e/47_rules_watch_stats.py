"""Rules that watch a stat: minutes and hours that are over, against a limit, a silence, and what is usual."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from logd import *

RULES = """rules:
- id: few-orders
  why: orders are few
  watch: orders
  by: [app, shop]
  value: {of: value, "<": 3}
  rank: P2
- id: unusual
  why: far fewer visits than in this hour of other weeks
  watch: {name: visits, by: hour}
  value: {of: ratio, "<": 0.5}
  rank: P3
- id: silent
  why: a shop that always had orders has none
  watch: sales
  by: [shop]
  absent: {after: 2m}
  rank: P2
- id: jumped
  why: the queue is as long as it never was
  watch: queue
  change: {of: value, window: 5m, min: 3}
  rank: P3
- id: everything
  why: an event came
  when: "*"
  rank: P5
"""


def incidents(logd):
    return sorted(i["rule"] if "rule" in i else str(i) for i in logd.get("/v1/incidents?state=all").json()["incidents"])


def fired(logd):
    return {r["id"]: r["signals"] for r in logd.get("/v1/rules").json()["rules"]}


def test_a_minute_below_its_limit_fires_and_numbers_are_no_events():
    with Logd(rules=RULES) as logd:
        post = lambda n, shop: logd.post("/v1/stats", {"name": "orders", "value": n, "labels": {"shop": shop}})
        logd.advance(60 - (int(time.time()) % 60) + 10)
        post(9, "a"), post(9, "b")
        logd.advance(60)
        post(9, "a"), post(2, "b")
        logd.advance(60)
        eventually(lambda: fired(logd)["few-orders"] == 1, "shop b has few")
        assert fired(logd)["everything"] == 0
        i, = logd.get("/v1/incidents").json()["incidents"]
        assert i["rank"] == "P2" and "shop=b" in str(i), i


def test_an_hour_far_from_the_median_of_its_weeks_fires():
    with Logd(rules=RULES) as logd:
        now = int(time.time()) // 3600 * 3600
        logd.post("/v1/stats", [{"name": "visits", "value": v, "time": now - w * 7 * 86400} for w, v in ((1, 100), (2, 90), (3, 110), (4, 5))])
        logd.post("/v1/stats", {"name": "visits", "value": 40})
        logd.advance(3600 + 10)
        eventually(lambda: fired(logd)["unusual"] == 1, "40 is less than half of 95")


def minutes(logd, n, until=lambda: False, **stats):
    """Each minute has these numbers; how many went by."""
    for i in range(n):
        logd.post("/v1/stats", [{"name": "sales", "labels": {"shop": shop}} for shop in stats.get("shops", "")] + [{"name": "queue", "type": "gauge", "value": stats["queue"] + i * 7 % 11}])
        logd.advance(60)
        if until():
            return i + 1
    return n


def test_a_silence_and_a_value_that_was_never_there_fire():
    with Logd(rules=RULES) as logd:
        logd.advance(60 - (int(time.time()) % 60) + 10)
        minutes(logd, 200, shops="ab", queue=50)
        assert (fired(logd)["silent"], fired(logd)["jumped"]) == (0, 0)
        assert minutes(logd, 40, lambda: fired(logd)["silent"], shops="a", queue=50) < 40, "shop b says nothing"
        i, = logd.get("/v1/incidents").json()["incidents"]
        assert i["rule"] == "silent" and i["key"] == "shop=b", i
        assert minutes(logd, 40, lambda: fired(logd)["jumped"], shops="a", queue=900) < 40, "nobody saw a queue of 900"


if __name__ == "__main__":
    run(globals())
