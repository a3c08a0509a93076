"""GET /v1/query, /v1/histogram, /v1/events/ID: what was accepted is found by the next query, before and after sealing and kill -9."""
import csv, io, json, os, sys, time, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import SLOW, Logd, run

ALL = "from=1970-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"


def get(logd, q, more="", path="/v1/query"):
    return logd.get(f"{path}?q={urllib.parse.quote(q)}&{ALL}{more}", key="read")


def test_an_accepted_event_is_found_by_the_next_query():
    with Logd() as logd:
        for i in range(200):
            assert logd.post("/v1/events", {"message": "hello", "n": i}).status == 200
            row, = logd.query(f"n={i}")
            assert row["message"] == "hello" and row["app"] == "shop" and row["level"] == "info" and row["severity_number"] == 9, row
        row = logd.query("n=7")[0]
        for stage in (lambda: None, logd.seal, logd.kill9_and_restart):
            stage()
            assert logd.count() == 200
            one = logd.get("/v1/events/" + row["id"], key="read")
            assert one.status == 200 and one.json() == row, one
        assert logd.get("/v1/events/000000000000000", key="read").status == 404


def test_an_event_posted_back_is_the_same_event_again():
    with Logd() as logd:
        event = {"time": "2026-01-02T03:04:05.123456789Z", "level": "warn", "message": "tab\tquote\" \u00fc \u0000 \U0001f600", "n": 12345678901234567890, "x": 1.0, "a": {"b": {"c": [1, {"d": None}]}},
                 "error": {"type": "E", "message": "m"}, "empty": {}, "no": False, "event_id": "x-1"}
        assert logd.post("/v1/events", event).json()["accepted"] == 1
        first, = logd.query("event_id=x-1")
        assert first["time"] == event["time"] and first["n"] == event["n"] and first["a.b.c"] == [1, {"d": None}] and first["message"] == event["message"], first
        text = get(logd, "event_id=x-1").text
        assert '"n":12345678901234567890' in text and '"x":1.0' in text, text
        assert logd.post("/v1/events", text, key=logd.key("ingest", "other")).json()["accepted"] == 1
        second, = logd.query("app=other")
        for gone in ("id", "app"):
            first.pop(gone), second.pop(gone)
        assert second.pop("app_claimed") == "shop" and second.pop("id_claimed"), second
        assert first == second, (first, second)


def test_formats_and_cursors():
    with Logd() as logd:
        logd.post("/v1/events", [{"time": f"2026-01-01T00:00:{i:02d}Z", "message": f"=m{i}", "n": i} for i in range(50)])
        seen, cursor = [], ""
        while True:
            r = get(logd, "", f"&limit=7&cursor={cursor}")
            seen += [json.loads(line)["n"] for line in r.text.splitlines()]
            cursor = r.headers.get("X-Logd-Next")
            if not cursor:
                break
        assert seen == list(range(49, -1, -1)), seen
        body = get(logd, "", "&limit=3&order=asc&format=json").json()
        assert [x["n"] for x in body["rows"]] == [0, 1, 2] and body["next"] and not body["partial"], body
        rows = list(csv.DictReader(io.StringIO(get(logd, "| fields message,n | limit 2", "&format=csv").text)))
        assert rows == [{"message": "'=m49", "n": "49"}, {"message": "'=m48", "n": "48"}], rows
        assert "=m49 n=49" in get(logd, "| limit 1", "&format=text").text
        text = logd.command("query", "n>=48", "--from", "2026-01-01T00:00:00Z", "--format", "ndjson").stdout
        assert [json.loads(line)["n"] for line in text.splitlines()] == [49, 48], text


def test_counts_and_histogram():
    with Logd() as logd:
        logd.post("/v1/events", [{"time": f"2026-01-01T00:{i:02d}:00Z", "level": ["info", "error"][i % 2], "n": i} for i in range(60)])
        assert logd.query("| count by level") == [{"level": "error", "count": 30}, {"level": "info", "count": 30}]
        assert [r["count"] for r in logd.query("level:error | count every 15m")] == [7, 8, 7, 8]
        h = logd.get("/v1/histogram?q=&from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z&buckets=60", key="read").json()
        assert h["step_s"] >= 60 and sum(b["total"] for b in h["buckets"]) == 60 and sum(b["levels"].get("error", 0) for b in h["buckets"]) == 30, h


def test_a_wrong_query_is_400_with_a_column():
    with Logd() as logd:
        for q, column in (("level>=loud", 8), ("(a or b", 8), ("a | top x", 9), ('message~"("', 11)):
            r = get(logd, q)
            assert r.status == 400 and r.json()["column"] == column and r.json()["error"], (q, r)
        for more in ("&limit=0", "&order=up", "&format=xml", "&cursor=zzz"):
            assert get(logd, "", more).status == 400, more
        assert logd.get("/v1/query?from=yesterday", key="read").status == 400
        assert logd.get("/v1/query", key="ingest").status == 403 and logd.get("/v1/query", key=False).status == 401


def test_a_query_answers_at_the_configured_deadline_with_what_it_has():
    with Logd(config="query_deadline: 1s\n") as logd:
        for _ in range(10):
            assert logd.post("/v1/events", [{"message": "a" * 2000 + "!"}] * 1000).status == 200
        began = time.monotonic()
        reply = logd.get("/v1/query?q=" + urllib.parse.quote('message~"^(a+)+$"'), key="read")
        took = time.monotonic() - began
        assert reply.status == 200 and reply.headers["X-Logd-Partial"] == "true", reply
        assert 1 <= took < 4 * SLOW, took


if __name__ == "__main__":
    run(globals())
