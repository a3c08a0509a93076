"""POST and GET /v1/stats: each type by minute to year; a bad record costs only itself; nothing that names a person is a label."""
import os, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, run


def points(logd, name, by, more=""):
    r = logd.get(f"/v1/stats/{name}?by={by}&from=2020-01-01T00:00:00Z&to=now{more}", key="read")
    assert r.status == 200, r
    return r.json()


def test_counts_add_up_by_minute_hour_and_day_and_survive_kill9():
    now = int(time.time()) // 86400 * 86400 - 86400 + 3600 * 5
    with Logd() as logd:
        batch = [{"name": "pic.upload", "value": 2, "labels": {"kind": kind}, "time": now + minute * 60} for minute in range(120) for kind in ("jpg", "png")]
        assert logd.post("/v1/stats", batch).json()["accepted"] == 240
        assert logd.post("/v1/stats", '{"name":"pic.upload","type":"flow"}\n{"name":"pic.upload","type":"count","value":3}\n').json()["accepted"] == 2
        for _ in range(2):
            assert points(logd, "pic.upload", "minute", "&label.kind=jpg")["total"] == 240
            hours = [p["value"] for p in points(logd, "pic.upload", "hour", "&label.kind=png")["points"]]
            assert hours == [120, 120], hours
            assert points(logd, "pic.upload", "day")["total"] == 484
            groups = {p["group"]: p["value"] for p in points(logd, "pic.upload", "day", "&group=kind&label.kind=jpg")["points"]}
            assert groups == {"jpg": 240}, groups
            names = logd.get("/v1/stats", key="read").json()["stats"]
            assert len(names) == 3 and all(n["name"] == "pic.upload" and n["type"] == "count" for n in names), names
            logd.kill9_and_restart()


def test_a_bad_record_costs_itself_and_says_why():
    bad = [({"name": ""}, "/name"), ({"name": "x", "value": -1}, "/value"), ({"name": "x", "value": "2"}, "/value"), ({"name": "x", "type": "unique"}, "/type"), ({"name": "x", "type": "sum"}, "/type"),
           ({"name": "x", "labels": {"u": "ann@example.com"}}, "/labels/u"), ({"name": "x", "labels": {"ip": "192.0.2.1"}}, "/labels/ip"), ({"name": "x", "labels": []}, "/labels"),
           ({"name": "x", "labels": {"id": "3f2b8c1e-0d4a-4f7e-9c55-8a1b2c3d4e5f"}}, "/labels/id"), ({"name": "x", "time": "noon"}, "/time"), ({"name": "x", "colour": 1}, "/colour"), (7, "")]
    with Logd() as logd:
        r = logd.post("/v1/stats", [b for b, _ in bad] + [{"name": "good"}])
        assert r.status == 200 and r.json()["accepted"] == 1 and r.json()["rejected"] == len(bad), r
        for i, (_, pointer) in enumerate(bad):
            e = r.json()["errors"][i]
            assert e["index"] == i and e["pointer"] == pointer and e["error"], e
        said = lambda **record: logd.post("/v1/stats", {"name": "x", **record}).json()["error"]
        assert said(type=5) == "expected count, max, min, gauge, unique or timing, got 5"
        assert said(labels={"n": 5}) == 'label "n": expected a text, got 5' and said(labels=[1]) == "expected an object of texts, got an array"
        assert said(labels={"n": "a" * 101}) == 'label "n": expected a text of at most 100 bytes, got 101'
        assert said(time=True) == "expected RFC 3339 or epoch, got true" and said(time="2100-01-01T00:00:00Z").endswith("ahead, got 2100-01-01T00:00:00Z")
        r = logd.get("/v1/stats/good?from=now&to=-1h", key="read")
        assert r.status == 400 and r.json()["error"] == "from: expected a time before to, got now and -1h", r.text
        assert logd.post("/v1/stats", {"name": ""}).status == 400
        assert points(logd, "good", "day")["total"] == 1
        assert "ann@example.com" not in open(os.path.join(logd.data, "fold.db"), errors="replace").read()


def test_the_201st_label_set_goes_to_other():
    with Logd() as logd:
        logd.post("/v1/stats", [{"name": "x", "labels": {"page": f"p{i}"}} for i in range(250)])
        names = logd.get("/v1/stats", key="read").json()["stats"]
        assert len(names) == 201 and [n["total"] for n in names if "__other__" in n["labels"]] == [50], len(names)
        day = points(logd, "x", "day", "&group=page")
        assert day["total"] == 250 and {p["group"]: p["value"] for p in day["points"]}["__other__"] == 50, day
        logd.post("/v1/stats", [{"name": "x", "labels": {"page": f"q{i}"}} for i in range(9)])
        logd.kill9_and_restart()
        logd.post("/v1/stats", [{"name": "x", "labels": {"page": "again"}}])
        assert points(logd, "x", "month")["total"] == 260 and logd.log().count("__other__") == 1, logd.log()


def test_every_type_answers_by_every_period_and_survives_kill9():
    now = int(time.time()) // 86400 * 86400 - 86400 + 3600 * 5
    with Logd() as logd:
        batch = [{"name": name, "type": name, "value": value, "time": now + i, "labels": {"host": host}}
                 for name in ("max", "min", "gauge", "timing") for host, add in (("a", 0), ("b", 100)) for i, value in enumerate(range(1 + add, 101 + add))]
        for at in range(0, len(batch), 90):
            assert logd.post("/v1/stats", batch[at:at + 90]).json()["rejected"] == 0
        for _ in range(2):
            for by in ("minute", "hour", "day", "week", "month", "year"):
                assert points(logd, "max", by)["total"] == 200 and points(logd, "min", by)["total"] == 1
                assert points(logd, "gauge", by, "&label.host=a")["points"][-1]["value"] == 100
                t = points(logd, "timing", by)
                assert t["type"] == "timing" and [t["total"][k] for k in ("n", "sum", "min", "max")] == [200, 20100, 1, 200], t
            (p,) = points(logd, "timing", "day", "&label.host=b")["points"]
            assert p["n"] == 100 and abs(p["p50"] - 150) <= 1.2 and abs(p["p90"] - 190) <= 1.5 and abs(p["p99"] - 199) <= 1.6 and p["p99.9"] <= 200, p
            groups = {p["group"]: p["value"] for p in points(logd, "max", "year", "&group=host")["points"]}
            assert groups == {"a": 100, "b": 200}, groups
            last = {(n["name"], n["labels"]["host"]): n["last"] for n in logd.get("/v1/stats", key="read").json()["stats"]}
            assert last["gauge", "a"] == 100 and last["gauge", "b"] == 200, last
            logd.kill9_and_restart()


def test_a_metric_keeps_its_type():
    with Logd() as logd:
        assert logd.post("/v1/stats", {"name": "x", "type": "gauge", "value": 1.5}).status == 200
        r = logd.post("/v1/stats", {"name": "x"})
        assert r.status == 400 and r.json()["pointer"] == "/type" and r.json()["error"] == "x is of type gauge, got count", r
        assert logd.post("/v1/stats", {"name": "x"}, key=logd.key("ingest", "other")).status == 200
        r = logd.get("/v1/stats/x", key="read")
        assert r.status == 400 and r.json()["error"].startswith("app: expected an app"), r
        assert points(logd, "x", "day", "&app=other")["total"] == 1
        assert logd.get("/v1/stats/x?app=nowhere", key="read").status == 400


def test_a_name_that_is_not_there_is_told_so():
    with Logd() as logd:
        told = lambda body: logd.post("/v1/stats", body).json()["errors"][0]
        assert told({}) == {"index": 0, "pointer": "/name", "error": "expected text of 1 to 64 letters, digits, '.', '_', '-', '/' or ':', but it is not there"}
        assert told({"name": 5})["error"].endswith("got something else") and told({"name": ""})["error"].endswith('got ""')
        unknown = logd.get("/v1/stats/unknown", key="read")
        assert unknown.status == 200 and unknown.json()["points"] == [], unknown


def test_an_idempotency_key_of_events_is_another_one_for_stats():
    with Logd() as logd:
        headers, body = {"Idempotency-Key": "k"}, {"name": "x", "value": 2}
        assert logd.post("/v1/events", body, headers=headers).status == 200
        assert logd.post("/v1/stats", body, headers=headers).json() == {"accepted": 1, "duplicates": 0, "rejected": 0, "errors": []}


def test_an_idempotency_key_counts_a_repeat_once():
    with Logd() as logd:
        def post(value):
            return logd.post("/v1/stats", {"name": "x", "value": value}, headers={"Idempotency-Key": "k"})
        assert post(2).json()["accepted"] == 1
        logd.kill9_and_restart()
        assert post(2).json() == {"accepted": 1, "duplicates": 0, "rejected": 0, "errors": [], "duplicate": True}
        assert post(3).status == 409 and points(logd, "x", "day")["total"] == 2


def test_a_wrong_value_or_time_is_told_as_it_came():
    with Logd() as logd:
        for value, got in [(-1, "-1"), (1.5, "1.5"), ("2", "text"), (None, "null"), ([], "an array")]:
            why = logd.post("/v1/stats", {"name": "x", "value": value}).json()["error"]
            assert why == "expected a whole number from 0 to 10^12, got " + got, why
        for name in ("from", "to"):
            why = logd.get("/v1/stats/x?%s=noon" % name, key="read").json()["error"]
            assert why.startswith(name + ": expected a time") and "noon" in why, why


def test_a_wrong_period_or_key_is_refused():
    with Logd() as logd:
        r = logd.get("/v1/stats/x?by=decade", key="read")
        assert r.status == 400 and r.json()["error"] == 'by: expected minute, hour, day, week, month or year, got "decade"', r
        assert logd.post("/v1/stats", {"name": "x"}, key="read").status == 403


if __name__ == "__main__":
    run(globals())
