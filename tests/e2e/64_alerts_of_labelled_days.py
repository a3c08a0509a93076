"""`logd rules backtest` over days whose incidents are known: nearly all found, few mails for each, hardly a false one, soon."""
import json, os, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, run, shared

LOGD = os.environ.get("LOGD_BIN", os.path.join(TREE, "build", "logd"))


def backtest(events, *rules):
    """(mails, what was printed)"""
    with tempfile.NamedTemporaryFile("r") as mails:
        done = subprocess.run([LOGD, "rules", "backtest", "--events", events, "--mails", mails.name, *rules], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done
        with open(mails.name) as f:
            return [json.loads(line) for line in f], done.stdout


def score(script, truth, mails):
    with tempfile.NamedTemporaryFile("w") as f:
        f.write("".join(json.dumps(m) + "\n" for m in mails))
        f.flush()
        return json.loads(subprocess.run([sys.executable, script, truth, f.name], capture_output=True, text=True, check=True).stdout)


def test_the_default_rules_find_incidents_among_six_kinds_of_noise():
    data = shared("data", "replay")
    mails, printed = backtest(os.path.join(data, "events.ndjson.gz"))
    s = score(os.path.join(data, "alertscore.py"), os.path.join(data, "truth.json"), mails)
    print(f"    {s['incidents']} incidents, {s['missed']} missed, {s['emails_per_hit_incident']} mails each, {s['false_per_day']} false a day, median delay {s['median_delay_s']} s")
    assert s["missed"] <= 1 and s["emails_per_hit_incident"] <= 1.5 and s["false_per_day"] <= 1 and s["median_delay_s"] <= 60, s
    immediate = [m for m in mails if m["kind"] == "immediate"]
    assert printed.splitlines()[-1].startswith(f"132371 events, {len(immediate)} mails, "), printed
    assert all(m["event"] or m["host"] for m in immediate) and all(len(m["events"]) <= 100 for m in mails), immediate
    assert [m["ts"] for m in mails] == sorted(m["ts"] for m in mails)


def test_intrusions_are_found_within_minutes_among_a_hundred_thousand_alerts():
    data = shared("data", "ait_alerts")
    for site in ("shaw", "russellmitchell"):
        mails, _ = backtest(os.path.join(data, f"{site}.events.ndjson.gz"), os.path.join(TREE, "tests", "rules", "ids.yaml"))
        s = score(os.path.join(data, "aitscore.py"), os.path.join(data, f"{site}.truth.json"), mails)
        print(f"    {site}: first mail after {s['first_mail_delay_s']} s, {s['mails_on_intrusion']} of it, {s['false_per_day']} false a day")
        assert s["found"] and s["first_mail_delay_s"] <= 180 and s["false_per_day"] <= 5 and s["mails_on_intrusion"] <= 10, s


def test_a_storm_of_a_thousand_kinds_is_three_mails_and_hides_nothing_urgent():
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as f, tempfile.NamedTemporaryFile("w", suffix=".yaml") as rules:
        rules.write("rules:\n- {id: seeded, why: the key store is gone, when: type = p1.seed, rank: P1}\n")
        rules.flush()
        for i in range(20000):
            kind = i * 7919 % 1000
            f.write(json.dumps({"time": 1760000000 + i * 0.0015, "app": f"app{kind % 20}", "host": f"h{kind % 7}", "level": "error", "error": {"type": f"E{kind}", "message": f"m {i}"}}) + "\n")
            if i == 10000:
                f.write(json.dumps({"id": "urgent", "time": 1760000015, "app": "auth", "level": "fatal", "type": "p1.seed", "message": "key store gone"}) + "\n")
        f.flush()
        mails, _ = backtest(f.name, os.path.join(TREE, "rules", "default.yaml"), rules.name)
        early = [m for m in mails if m["ts"] < 1760000600]
        assert len(early) <= 3, [(m["ts"] - 1760000000, m["rule"], m["rank"], m["subject"]) for m in early]
        urgent, = (m for m in early if m["event"] == "urgent")
        assert urgent["rank"] == "P1" and urgent["ts"] - 1760000015 < 60, urgent


def test_what_is_wrong_with_an_event_of_the_file_is_said_and_the_rest_counts():
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as f:
        f.write('{"time": 1760000000, "app": "shop", "level": "error", "message": "boom", "id": "a"}\n{"level": "loud"}\n')
        f.flush()
        mails, printed = backtest(f.name)
        assert [(m["event"], m["rank"], m["rule"], m["kind"]) for m in mails] == [("a", "P3", "new-error", "immediate")], mails
        assert "1 events, 1 mails, 0 digests and others; 1 events were refused, the first: line 2: " in printed, printed
    done = subprocess.run([LOGD, "rules", "backtest", "--events", "/nowhere"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "logd: rules backtest: --events: open '/nowhere': No such file or directory\n", done


if __name__ == "__main__":
    run(globals())
