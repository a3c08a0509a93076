"""Answers of stats: days of a time zone, CSV, beside an earlier range."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from logd import *


def test_days_are_those_of_the_zone_that_is_asked_for_or_configured():
    with Logd(config="stats: {timezone: Europe/Amsterdam}\n") as logd:
        logd.post("/v1/stats", [{"name": "x", "time": "2026-11-23T%s:30:00Z" % h} for h in ("22", "23")])
        ask = lambda more: logd.get("/v1/stats/x?by=day&from=2026-11-20T00:00:00Z" + more, key="read").json()
        assert ask("")["tz"] == "Europe/Amsterdam"
        assert [(p["time"], p["value"]) for p in ask("")["points"]] == [("2026-11-23T00:00:00+01:00", 1), ("2026-11-24T00:00:00+01:00", 1)], ask("")
        assert ask("&tz=Europe/Amsterdam") == ask("")
        assert [(p["time"], p["value"]) for p in ask("&tz=UTC")["points"]] == [("2026-11-23T00:00:00Z", 2)]
        old = logd.get("/v1/stats/x?by=month&from=2020-01-01T00:00:00Z&tz=America/New_York", key="read").json()
        assert [p["time"] for p in old["points"]] == ["2026-11-01T00:00:00-04:00"] and "known_from" in old, old
        r = logd.get("/v1/stats/x?tz=Mars/Base", key="read")
        assert r.status == 400 and r.json()["error"] == 'tz: expected a time zone of the system like Europe/Amsterdam, got "Mars/Base"', r


def test_an_answer_can_be_csv_and_beside_an_earlier_one():
    with Logd() as logd:
        logd.post("/v1/stats", [{"name": "x", "value": v, "time": "2026-11-%02dT12:00:00Z" % d, "labels": {"k": 'a "b", c'}} for d, v in ((10, 1), (17, 2), (18, 3), (24, 5))])
        r = logd.get("/v1/stats/x?by=day&from=2026-11-17T00:00:00Z&to=2026-11-19T00:00:00Z&group=k&stock=1&format=csv", key="read")
        assert r.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert r.text == 'time,value,stock,group\r\n2026-11-17T00:00:00Z,2,3,"a ""b"", c"\r\n2026-11-18T00:00:00Z,3,6,"a ""b"", c"\r\n', r.text
        assert logd.get("/v1/stats/none?format=csv", key="read").text == "time\r\n"
        week = logd.get("/v1/stats/x?by=day&from=2026-11-24T00:00:00Z&to=2026-11-25T00:00:00Z&compare=week", key="read").json()
        assert week["total"] == 5 and week["compare"]["points"] == [{"time": "2026-11-17T00:00:00Z", "value": 2}], week
        before = logd.get("/v1/stats/x?by=day&from=2026-11-18T00:00:00Z&to=2026-11-19T00:00:00Z&compare=previous", key="read").json()
        assert before["total"] == 3 and before["compare"]["total"] == 2, before
        for wrong, why in (("compare=year", "compare: expected previous or week"), ("format=xml", "format: expected json or csv"), ("format=csv&compare=week", "compare: expected format=json")):
            r = logd.get("/v1/stats/x?" + wrong, key="read")
            assert r.status == 400 and r.json()["error"].startswith(why), r


if __name__ == "__main__":
    run(globals())
