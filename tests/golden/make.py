#!/usr/bin/env python3
"""Writes tests/golden/data-N.tar.xz, a data folder as today's `logd serve` leaves it, and data-N.json, what it must answer.

usage: make.py N     when a format changes: a new N, and the old ones stay, for they must be read for ever.

It holds sealed segments of two apps with every kind of value, a journal with what is not sealed yet, issues, counts, keys."""
import hashlib, io, json, os, sys, tarfile, urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from logd import Logd, eventually

CONFIG = "retention: {days: 36500}\n"
QUERIES = ["", "app=shop", "level=error", "status>=500 | count by app", "message:\"order 17\"", "trace_id=00112233445566778899aabbccddee11", "user.name=Zoë | count",
           "| count by level", "ip=192.0.2.0/24 | count", "peer:2001:db8:2::/48", "peer:198.51.100.0/25 | count", "client:203.0.1.0/24 no>1100", "rare_10=10", "| stats sum(amount), max(ms)", "error.type=KeyError"]
STATS = ["pic.upload"]


def events():
    for i in range(400):
        e = {"time": f"2026-11-{1 + i % 9:02}T0{i % 10}:15:{i % 60:02}.{i:03}Z", "level": ["info", "warn", "error", "debug"][i % 4], "message": f"order {i % 40} took {i} ms",
             "status": [200, 404, 503][i % 3], "ms": i, "amount": round(i / 4, 2), "ip": f"192.0.{2 + i % 2}.{i % 250}", "trace_id": f"00112233445566778899aabbccddee{i % 256:02x}"}
        if i % 5 == 0:
            e.update({"user": {"name": "Zoë", "quote": "a \"b\"\n\\ c"}, "tags": ["x", {"y": i}], "none": None, "ok": i % 2 == 0, "big": 2 ** 63 + i, f"rare_{i}": i})
        if i % 7 == 0:
            e["mixed"] = i if i % 2 else str(i)
        yield e


def many():
    """Of one hour, and so different that each kind of value is packed as what it is, not as a dictionary."""
    for i in range(600):
        h = hashlib.sha256(str(i).encode()).hexdigest()
        yield {"time": f"2026-11-08T12:{i // 10:02}:{i % 10 * 6:02}.{i:06}Z", "message": f"from {h[:9]}", "client": f"203.0.{i % 3}.{i % 251}",
               "peer": f"2001:db8:{i % 3 + 1:x}::{i + 1:x}" if i % 4 else f"198.51.100.{i // 4}", "span_id": h[:16], "run": f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:32]}",
               "no": 1000 + i, "random": int(h[:10], 16), "price": int(h[:4], 16) / 8 + 0.125}


def error(n):
    return {"time": "2026-11-10T10:00:00Z", "level": "error", "message": f"failed {n}",
            "error": {"type": "KeyError", "message": f"'{n}'", "stack": "Traceback (most recent call last):\n  File \"/srv/shop/cart.py\", line 7, in add\n    x[k]\nKeyError: 'k'"}}


def answers(logd, key):
    """All that must stay."""
    def get(path):
        r = logd.get(path, key=key)
        assert r.status == 200, (path, r)
        return r.json()
    stay = ("id", "title", "culprit", "type", "app", "level", "count", "state", "first_seen", "last_seen")
    def digest(q):
        rows = sorted(json.dumps(row, sort_keys=True) for row in query(logd, q, key))
        return {"rows": len(rows), "first": rows[:1], "sha256": hashlib.sha256("\n".join(rows).encode()).hexdigest()}
    return {"queries": {q: digest(q) for q in QUERIES},
            "issues": [{k: issue.get(k) for k in stay} for issue in get("/v1/issues?state=all")["issues"]],
            "stats": {n: [p for p in get(f"/v1/stats/{n}?by=day&from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z")["points"] if p["value"]] for n in STATS}}


def query(logd, q, key):
    r = logd.get("/v1/query?" + urllib.parse.urlencode({"q": q, "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "limit": 10000}), key=key)
    assert r.status == 200, (q, r)
    return [json.loads(line) for line in r.text.splitlines() if line]


def main():
    number = int(sys.argv[1])
    with Logd(CONFIG) as logd:
        all_events = list(events())
        for at in range(0, 300, 50):
            assert logd.post("/v1/events", all_events[at:at + 50]).json()["accepted"] == 50
        logd.post("/v1/events", [{"message": f"job {i}", "time": "2026-11-02T00:00:00Z", "status": 500 + i % 5} for i in range(60)], key=logd.key("ingest", "api"))
        logd.post("/v1/events", list(many()), key=logd.key("ingest", "proxy"))
        logd.seal()
        logd.post("/v1/events", [error(n) for n in range(5)])
        logd.seal()
        logd.post("/v1/events", all_events[300:])
        logd.post("/v1/events", {"message": "mine", "event_id": "x1", "time": "2026-11-03T00:00:00Z"})
        logd.post("/v1/stats", [{"name": "pic.upload", "value": 2, "time": "2026-11-04T00:00:00Z"}, {"name": "pic.upload", "value": 3, "time": "2026-11-05T00:00:00Z"}])
        eventually(lambda: logd.status()["positions"]["rules"] >= logd.status()["positions"]["journal"], "all is folded")
        key = logd.key("admin")
        found = dict(answers(logd, key), key=key)
        assert logd.stop() == 0
        found["files"] = sorted(os.path.join(os.path.relpath(d, logd.data), f) for d, _, files in os.walk(logd.data) for f in files if f not in ("LOCK", "sock"))
        with tarfile.open(os.path.join(HERE, f"data-{number}.tar.xz"), "w:xz", preset=9) as tar:
            for name in found["files"]:
                info = tarfile.TarInfo(name)
                with open(os.path.join(logd.data, name), "rb") as f:
                    body = f.read()
                info.size, info.mode = len(body), 0o640
                tar.addfile(info, io.BytesIO(body))
        with open(os.path.join(HERE, f"data-{number}.json"), "w") as f:
            json.dump(found, f, indent=0, ensure_ascii=False, sort_keys=True)
            f.write("\n")


if __name__ == "__main__":
    main()
