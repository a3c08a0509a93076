#!/usr/bin/env python3
"""Measures logd beside its rivals, in one run on this machine; `make bench`.

usage: run.py [LEG...] [--events N] [--rounds N] [--rivals NAME,...|none] [--reuse]
legs: intake (open-loop load), store (a corpus over HTTP, sealed), replay (a start with its journal alone), query (questions about it), cold (some of them, nothing cached),
merge (days are over, the same questions), busy (how long intake takes while queries and sealing run), stats (increments, StatsD packets), unique (different people), agent (lines from a file),
grouping (which messages are the same thing);
none named: all.
--rivals: of duck, clickhouse, grep, ripgrep, zstdgrep, memmem. --reuse: query what an earlier run has loaded.
Results: a table, and build/bench/LEG.json. Exit 1: an answer of logd was wrong."""
import argparse, json, os, signal, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import agent, corpus, grouping, intake, stats, store, unique
from logd import Skip

LEGS = ("intake", "stats", "unique", "agent", "grouping", "store", "replay", "query", "cold", "merge", "busy")
RIVALS = "duck,clickhouse,grep,ripgrep,zstdgrep,memmem"


def number(v):
    return f"{v:,.0f}" if v >= 1000 else f"{v:.1f}" if v >= 10 else f"{v:.2f}"


def ratio(row, value):
    """How many times better logd is."""
    return value / row["logd"] if row["better"] == "less" else row["logd"] / value


def table(rows):
    """One line a figure and rival; ratio: how many times better logd is."""
    print(f"\n{'figure':40} {'logd':>12} {'its CPU':>12} {'reach':>10}   {'rival':30} {'its':>12} {'ratio':>8}")
    for row in rows:
        sign = "<=" if row["better"] == "less" else ">="
        reach = f"{sign} {number(row['reach'])}" if row["reach"] else ""
        missed = "  MISSED" if row["reach"] and (row["logd"] > row["reach"]) == (row["better"] == "less") else ""
        used = number(row["cpu_ms"]) + " ms" if "cpu_ms" in row else ""
        head = f"{row['figure']:40} {number(row['logd']) + ' ' + row['unit']:>12} {used:>12} {reach:>10}"
        for name, value in row["rivals"].items() or [("", None)]:
            beside = f"{name:30} {number(value):>12} {ratio(row, value):8.2f}" if value else ""
            print(f"{head}   {beside}{missed}".rstrip())
            head, missed = " " * 77, ""
    sys.stdout.flush()


def keep(name, what):
    os.makedirs(corpus.KEPT, exist_ok=True)
    with open(os.path.join(corpus.KEPT, name + ".json"), "w") as f:
        json.dump(dict(what, measured=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), cores=os.cpu_count()), f, indent=1)


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    p.add_argument("legs", nargs="*")
    p.add_argument("--events", type=int, default=1000000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--rivals", default=RIVALS)
    p.add_argument("--reuse", action="store_true")
    a = p.parse_args()
    legs = a.legs or LEGS
    if not set(legs) <= set(LEGS) or not set(a.rivals.split(",")) <= {*RIVALS.split(","), "none"}:
        p.error(f"expected legs of {', '.join(LEGS)} and rivals of {RIVALS}")
    if "intake" in legs:
        keep("intake", intake.run(a.rounds))
    if "stats" in legs:
        keep("stats", stats.run())
    if "unique" in legs:
        keep("unique", unique.run())
    if "agent" in legs:
        keep("agent", agent.run(a.rounds))
    if "grouping" in legs:
        try:
            keep("grouping", grouping.run())
        except Skip as e:
            print(f"SKIP grouping: {e}")
    if set(legs) <= {"intake", "stats", "unique", "agent", "grouping"}:
        return 0
    try:
        c = corpus.Corpus(a.events)
    except Skip as e:
        print(f"SKIP store and query: {e}")
        return 0
    rows, more = store.run(c, legs, a.rivals.split(","), a.reuse)
    if "load" in more:
        print("CPU seconds by thread, loading: " + ", ".join(f"{name} {s}" for name, s in more["load"]["cpu_by_thread"].items() if s))
        print("Peaks while loading: " + ", ".join(f"{name} {v:,.0f}" for name, v in more["load"]["peaks"].items()))
    table(rows)
    keep("store" if "store" in legs else "query", {"rows": rows, **more})
    if c.events < 10000000:
        print(f"\nwhat to reach is meant for 10,000,000 events (--events), these are {c.events:,}")
    print(f"weather: memmem {' and '.join(f'{w:.1f}' for w in more['weather'])} GB/s, before and after")
    gate = more.get("gate", {"wrong": 0, "unchecked": 0})
    if "gate" in more:
        print(f"of logd's answers {gate['wrong']} are WRONG" if gate["wrong"] else "no answer of logd's is wrong" + f", {gate['unchecked']} are UNCHECKED" * (gate["unchecked"] > 0))
    return 1 if gate["wrong"] else 0


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are stopped on the way out
sys.exit(main())
