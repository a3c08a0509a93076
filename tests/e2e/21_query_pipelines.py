"""Random pipelines over random events give what a naive reading of the manual in Python gives for the same rows."""
import json, math, os, random, re, sys, time, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, run

EVENTS, PIPELINES = 400, int(os.environ.get("LOGD_PIPELINES", "400"))
LEVELS = {"debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}


def random_event(r, i):
    e = {"time": "2026-01-01T%02d:%02d:%02dZ" % (r.randrange(3), r.randrange(60), r.randrange(60)), "level": r.choice(list(LEVELS)), "i": i}
    e["message"] = r.choice(["GET /%s %d in %dms" % (r.choice("abc"), r.choice([200, 404, 500]), r.randrange(1000)), "user=u%d took=%d ok" % (r.randrange(4), r.randrange(50)),
                             json.dumps({"k": {"v": r.randrange(5)}, "w": r.choice(["x", "\u00fc\"", True, None])}), "nothing to see"])
    if r.random() < 0.8:
        e["n"] = r.choice([r.randrange(-50, 50), r.random() * 1000, str(r.randrange(30)), "text", r.randrange(10**17, 10**18), None, True])
    if r.random() < 0.7:
        e["u"] = "u%d" % r.randrange(6)
    if r.random() < 0.2:
        e["tags"] = ["a", r.randrange(3)]
    return e


# ---- the naive reading: rows are dicts, `_t` and `_id` their place in time ----

def number(v):
    if isinstance(v, bool) or v is None or isinstance(v, list):
        return None
    if isinstance(v, (int, float)):
        return v
    return (int(v) if re.fullmatch(r"-?\d+", v) else float(v)) if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", v) else None


def text(v):
    return v.encode() if isinstance(v, str) else json.dumps(v, separators=(",", ":"), ensure_ascii=False).encode()


def seconds(t):
    return int(time.mktime(time.strptime(t, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone) if isinstance(t, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", t) else None


def key(row, f):
    v = row.get(f)
    if v is None:
        return (2, 0)
    if f == "level":
        return (0, LEVELS.get(v, 0))
    if f == "time":
        return (0, seconds(v))
    n = number(v)
    return (0, n) if n is not None else (1, text(v))


def stable_sort(rows, fields):
    """Missing last in both directions; equals stay as they stand."""
    for f, down in reversed(fields):
        have, lack = [r for r in rows if key(r, f)[0] != 2], [r for r in rows if key(r, f)[0] == 2]
        have.sort(key=lambda r: key(r, f), reverse=down)  # sorted(reverse=True) keeps equals as they stand
        rows = have + lack
    return rows


def aggregate(fn, f, rows, span):
    values = [r[f] for r in rows if r.get(f) is not None] if f else rows
    numbers = [n for n in map(number, values) if n is not None] if f else []
    if fn == "count":
        return len(values)
    if fn == "rate":
        return len(values) / span
    if fn == "uniq":
        return len({(type(v) in (int, float), text(v)) for v in values})
    if fn == "sum":
        return sum(n for n in numbers if isinstance(n, int)) + math.fsum(n for n in numbers if isinstance(n, float)) if numbers else 0
    if fn == "avg":
        return aggregate("sum", f, rows, span) / len(numbers) if numbers else None
    if fn[0] == "p" and fn[1:].isdigit():
        return sorted(numbers)[max(1, math.ceil(int(fn[1:]) / 100 * len(numbers))) - 1] if numbers else None
    have = [r for r in rows if r.get(f) is not None]
    if not have:
        return None
    if fn in ("min", "max"):
        return stable_sort(have, [(f, fn == "max")])[0][f]
    have = sorted(have, key=lambda r: (r["_t"], r["_id"]))
    return (have[0] if fn == "first" else have[-1])[f]


def group(rows, aggregates, by, every, top=None, span=None):
    groups = {}
    for r in rows:
        if top is not None and any(r.get(f) is None for f in by):
            continue
        t = seconds(r.get("time")) if every else None
        k = (t // every * every if every and t is not None else None, tuple((r[f] if r.get(f) is not None else None) if not isinstance(r.get(f), list) else json.dumps(r[f]) for f in by),
             tuple(type(r.get(f)) for f in by))
        groups.setdefault(k, []).append(r)
    if not groups and not by and not every:
        groups[(None, (), ())] = []
    out = []
    for (t, values, _), members in groups.items():
        row = {"_t": t if t is not None else -1, "_id": ""}
        if every and t is not None:
            row["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
        for f in by:
            row[f] = members[0].get(f)
        for fn, f, cond, name in aggregates:
            row[name] = aggregate(fn, f, [m for m in members if not cond or cond(m)], min(every, span[1] - t) if every and t is not None else span[1] - span[0])
        out.append(row)
    first = aggregates[0][3]
    out.sort(key=lambda r: tuple((r.get(f) is None, text(r[f]) if r.get(f) is not None else b"", [bool, int, float, str, list].index(type(r[f])) if r.get(f) is not None else 0) for f in by))
    out = stable_sort(out, [(first, True)])
    out.sort(key=lambda r: r["_t"])
    return out[:top] if top is not None else out


def parse_pattern(row):
    m = re.search(r"GET (.*?) (.*?) in (.*)", row.get("message", ""), re.S)
    return {**row, "path": m[1], "status": m[2], "took": m[3]} if m else row


def parse_logfmt(row):
    return {**row, **{k: v for k, v in re.findall(r"([^\s=\"]+)=(\S*)", row.get("message", ""))}} if isinstance(row.get("message"), str) and "{" not in row["message"] else row


def parse_json(row):
    try:
        o = json.loads(row.get("message", ""))
    except ValueError:
        return row
    return {**row, "k.v": o["k"]["v"], "w": o["w"]} if isinstance(o, dict) else row


FILTERS = [("level>=warn", lambda r: LEVELS.get(r.get("level"), 0) >= 13), ("u:*", lambda r: r.get("u") is not None), ("-u=u1", lambda r: r.get("u") != "u1"),
           ("u:(u1 or u2)", lambda r: r.get("u") in ("u1", "u2")), ("count>3", lambda r: (number(r.get("count")) or 0) > 3), ("n>10", lambda r: number(r.get("n")) is not None and number(r["n"]) > 10),
           ("message:GET", lambda r: isinstance(r.get("message"), str) and "get" in r["message"].lower()), ("status:500", lambda r: r.get("status") == "500")]
FIELDS = ["level", "u", "n", "app", "i", "status", "k.v", "w", "count", "s", "tags", "took"]


def random_stage(r, span):
    """(text, function of rows)"""
    kind = r.choice(["where", "where", "sort", "limit", "fields", "parse", "count", "stats", "stats", "top"])
    if kind == "where":
        t, f = r.choice(FILTERS)
        return "where " + t, lambda rows: [x for x in rows if f(x)]
    if kind == "sort":
        fields = [(f, r.random() < 0.5) for f in r.sample(FIELDS, r.randrange(1, 3))]
        return "sort " + ", ".join(("-" if d else "") + f for f, d in fields), lambda rows: stable_sort(rows, fields)
    if kind == "limit":
        n = r.choice([0, 1, 7, 50, 1000])
        return "limit %d" % n, lambda rows: rows[:n]
    if kind == "fields":
        keep = r.sample(FIELDS, 5) + ["message", "time"]
        return "fields " + ", ".join(keep), lambda rows: [{k: x[k] for k in ["_t", "_id"] + keep if k in x} for x in rows]
    if kind == "parse":
        t, f = r.choice([("\"GET <path> <status> in <took>\"", parse_pattern), ("logfmt", parse_logfmt), ("json", parse_json)])
        return "parse " + t, lambda rows: [f(x) for x in rows]
    by = r.sample(FIELDS, r.randrange(0 if kind != "top" else 1, 3))
    every = r.choice([0, 0, 600, 3600]) if kind != "top" else 0
    tail = (" by " + ", ".join(by) if by and kind != "top" else "") + (" every %ds" % every if every else "")
    if kind == "stats":
        aggregates, texts = [], []
        for name in r.sample(["s", "x", "y", "z"], r.randrange(1, 4)):
            fn, f, cond = r.choice(["count", "uniq", "sum", "avg", "min", "max", "p50", "p99", "rate", "first", "last"]), r.choice(FIELDS), r.choice([None, None, None] + FILTERS)
            f = None if fn in ("count", "rate") and r.random() < 0.5 else f
            if fn[0] == "p":  # an estimate may be off, so nothing else may depend on it
                if not aggregates:
                    fn = "avg"
                else:
                    name = "q" + name
            aggregates.append((fn, f, cond and cond[1], name))
            texts.append("%s(%s)%s as %s" % (fn, f or "", " if (%s)" % cond[0] if cond else "", name))
        if set(by) & {a[3] for a in aggregates}:
            return random_stage(r, span)
        return "stats " + ", ".join(texts) + tail, lambda rows: group(rows, aggregates, by, every, span=span)
    if "count" in by:
        return random_stage(r, span)
    top = r.choice([1, 3, 100]) if kind == "top" else None
    return ("top %d %s" % (top, ", ".join(by)) if kind == "top" else "count" + tail), lambda rows: group(rows, [("count", None, None, "count")], by, every, top, span)


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or abs(a - b) <= 0.0079 * max(abs(a), abs(b))
    return a == b or (number(a) is not None and number(a) == number(b))  # of "5" and 5 either is the least


def shown(row):
    return {k: v for k, v in row.items() if k not in ("_t", "_id")}


def test_random_pipelines_give_what_a_naive_evaluation_gives():
    seed = int(os.environ.get("LOGD_SEED", time.time_ns()))
    print("seed", seed)
    r = random.Random(seed)
    with Logd(config="retention: {days: 3650}\n") as logd:
        for app in ("shop", "api"):
            reply = logd.post("/v1/events", [random_event(r, i) for i in range(EVENTS // 2)], key=logd.key("ingest", app))
            assert reply.json()["accepted"] == EVENTS // 2, reply
            if app == "shop":
                logd.seal()
        events = logd.query("", limit=EVENTS)
        assert len(events) == EVENTS
        events = [{**e, "_t": seconds(e["time"]), "_id": e["id"]} for e in events]
        span = (seconds("2026-01-01T00:00:00Z"), seconds("2026-01-01T03:00:00Z"))
        for n in range(PIPELINES):
            stages = [random_stage(r, span) for _ in range(r.randrange(1, 5))]
            q = "| " + " | ".join(t for t, _ in stages)
            want = events
            for _, f in stages:
                want = f(want)
            want = list(map(shown, want))
            reply = logd.get("/v1/query?" + urllib.parse.urlencode({"q": q, "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T03:00:00Z", "limit": 5000}), key="read")
            assert reply.status == 200, (q, reply)
            got = [json.loads(line) for line in reply.text.splitlines()]
            assert len(got) == len(want), "seed %d: %s\n got %d rows, not %d" % (seed, q, len(got), len(want))
            for a, b in zip(got, want):
                assert a.keys() == b.keys() and all(same(a[k], b[k]) for k in a), "seed %d: %s\n got %r\nwant %r" % (seed, q, a, b)
        print("%d pipelines" % PIPELINES)


if __name__ == "__main__":
    run(globals())
