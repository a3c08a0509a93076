"""Nothing is dropped in silence: what was posted is accepted, a duplicate, or rejected with a reason, and the sums agree in
the replies, in /v1/status, in /metrics and in the store."""
import http.client, os, random, re, subprocess, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, Skip, run
from outside import DEPS


def metrics(logd, prefix=""):
    """{'name{labels}': value}"""
    return {m[1]: float(m[2]) for m in re.finditer(r"^(%s\S*) (\S+)$" % prefix, logd.get("/metrics").text, re.M)}


def test_the_sums_agree():
    seed = random.randrange(1 << 32)
    print("seed %d" % seed)
    r = random.Random(seed)
    with Logd() as logd:
        told = {"accepted": 0, "duplicates": 0, "rejected": 0}
        posted = quota = 0
        limited = logd.key("ingest", app="other", rate=10)
        for i in range(60):
            lines = []
            for _ in range(r.randrange(20)):
                lines.append(r.choice(['{"message":"m%d"}' % r.randrange(9), '{"event_id":"%d","message":"x"}' % r.randrange(40),
                                       '{"level":"loud","message":"x"}', "{}", "nonsense"]))
            key = r.choice([None, None, limited])
            reply = logd.post("/v1/events", "\n".join(lines), key=key)
            posted += len(lines)
            if reply.status == 429:
                quota += sum(1 for l in lines if '"loud"' not in l and l not in ("{}", "nonsense"))
                told["rejected"] += sum(1 for l in lines if '"loud"' in l or l in ("{}", "nonsense"))
                continue
            for name in told:
                told[name] += reply.json()[name]
        assert quota > 0, "the quota was never used up"
        assert sum(told.values()) + quota == posted
        s = logd.status()
        assert s["stored"] == told["accepted"] and s["duplicate"] == told["duplicates"]
        assert s["accepted"] == s["stored"] + s["duplicate"]
        assert s["rejected"] == {"invalid": told["rejected"], "quota": quota, "full": 0, "conflict": 0}, s["rejected"]
        m = metrics(logd, "logd_events_")
        total = lambda name, more="": sum(v for k, v in m.items() if k.startswith(name) and more in k)
        assert total("logd_events_stored_total") == told["accepted"] == logd.count()
        assert total("logd_events_accepted_total") == told["accepted"] + told["duplicates"]
        assert total("logd_events_rejected_total", 'reason="invalid"') == told["rejected"]
        assert total("logd_events_rejected_total", 'reason="quota"') == quota
        for app in ("shop", "other"):
            assert m['logd_events_stored_total{app="%s"}' % app] == logd.count("app=" + app)


def test_a_repeat_and_a_conflict_are_counted_as_what_they_are():
    with Logd() as logd:
        for body, status in [("a", 200), ("a", 200), ("b", 409)]:
            assert logd.post("/v1/events", {"message": body}, headers={"Idempotency-Key": "k"}).status == status
        s = logd.status()
        assert (s["accepted"], s["stored"], s["duplicate"], s["rejected"]["conflict"]) == (2, 1, 1, 1), s


def test_promtool_has_nothing_to_say():
    promtool = os.path.join(DEPS, "root/usr/bin/promtool")
    if not os.path.exists(promtool):
        raise Skip("promtool is not there: make deps-test unpacks it")
    with Logd() as logd:
        logd.post("/v1/events", '{"message":"x"}\n{}')
        logd.post("/v1/events", "x" * 100)
        reply = logd.get("/metrics")
        assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        done = subprocess.run([promtool, "check", "metrics"], input=reply.body, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done


def test_every_metric_is_in_the_manual():
    with open(os.path.join(TREE, "logd/logd.8")) as f:
        told = set(re.findall(r"\b(?:logd|process)_[a-z_]+\b", f.read().split(".Sh METRICS")[1].split(".Sh ")[0]))
    with Logd(config='archive: {url: "file://%s"}\nmail: {url: "maildir:x", from: a@b.c}\nstatsd: {udp: "127.0.0.1:0"}\n' % "/proc/none") as logd:
        shown = set(re.findall(r"^# TYPE (\S+)", logd.get("/metrics").text, re.M))
    assert told == shown, (told - shown, shown - told)


def test_status_says_through_when_and_how_far():
    with Logd() as logd:
        s = logd.status()
        assert s["accepted_through"] is None and s["durable_through"] is None and s["archived_through"] is None, s
        before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        logd.post("/v1/events", '{"message":"x"}')
        s = logd.status()
        assert before <= s["durable_through"] == s["accepted_through"], s
        assert s["positions"]["journal"] == 1 and s["queues"]["journal_batches"] == 0
        assert s["bytes"]["journal"] > 100 and s["disk_low"] is False and s["dropped"] == {"corrupt_records": 0, "corrupt_blocks": 0, "unique_late": 0, "unique_crowded": 0}
        through = s["durable_through"]
        logd.kill9_and_restart()
        assert logd.status()["durable_through"] == through
        assert logd.get("/v1/status", key=False).status == 401 and logd.get("/metrics", key=False).status == 401
        assert logd.get("/v1/status", key="read").status == 200 and logd.get("/metrics", key="read").status == 200


def test_what_was_sent_when_it_stops_is_answered_and_there():
    with Logd() as logd:
        key, accepted, wrong, lock = logd.key(), [0], [], threading.Lock()

        def send():
            c = logd.connect()
            try:
                while True:
                    r = logd.post("/v1/events", '{"message":"x"}\n' * 50, key=key, connection=c)
                    with lock:
                        if r.status == 200:
                            accepted[0] += r.json()["accepted"]
                        elif r.status != 503:
                            wrong.append(r)
                    if r.headers["Connection"] == "close":
                        c.close()
                        c = logd.connect()
            except (OSError, http.client.HTTPException):
                pass

        threads = [threading.Thread(target=send) for _ in range(8)]
        for t in threads:
            t.start()
        time.sleep(0.7)
        assert logd.stop() == 0
        for t in threads:
            t.join()
        assert accepted[0] > 50 and not wrong, wrong
        logd.start()
        there = logd.count()
        # an answer may be lost on its way, an answered event may not
        assert accepted[0] <= there <= accepted[0] + 8 * 50, (accepted[0], there)


if __name__ == "__main__":
    run(globals())
