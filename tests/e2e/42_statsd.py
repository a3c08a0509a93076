"""StatsD: numbers of programs that ask for no answer become stats; bad lines are counted and hurt nobody."""
import os, re, socket, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from logd import *

CONFIG = "statsd: {udp: 127.0.0.1:0, unix: statsd.sock, app: web}\n"


def port(logd):
    return int(re.findall(r"what=listening udp=127\.0\.0\.1:(\d+) app=web", logd.log())[-1])


def send(logd, *packets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for p in packets:
            s.sendto(p if isinstance(p, bytes) else p.encode(), ("127.0.0.1", port(logd)))


def answer(logd, name, more=""):
    r = logd.get("/v1/stats/%s?by=day&app=web%s" % (name, more), key="read")
    assert r.status == 200, r
    return r.json()


def metric(logd, name):
    found = re.search(r"^logd_statsd_%s (\d+)$" % re.escape(name), logd.get("/metrics").text, re.M)
    return int(found[1])


def refused(logd, reason):
    return metric(logd, 'refused_total{reason="%s"}' % reason)


def test_counts_gauges_and_timings_become_stats():
    with Logd(config=CONFIG) as logd:
        send(logd, "hits:1|c\nhits:2:3|c|#page:home\nhits:1|c|@0.1", "queue:5|g\nqueue:+3|g\nqueue:-1|g", "put:10:20:30|ms", "put:40|ms|@0.5", "load:0.5|h")
        eventually(lambda: answer(logd, "hits")["total"] == 16 and answer(logd, "load")["total"]["n"] == 1, "the second is over")
        assert answer(logd, "hits", "&label.page=home")["total"] == 5
        assert answer(logd, "queue")["total"] == 7
        t = answer(logd, "put")["total"]
        assert [t[k] for k in ("n", "sum", "min", "max")] == [5, 140, 10, 40] and abs(t["p50"] - 30) < .3, t
        assert metric(logd, "packets_total") == 5 and metric(logd, "numbers_total") == 12


def test_a_gauge_goes_on_from_where_it_was_after_kill_9():
    with Logd(config=CONFIG) as logd:
        send(logd, "queue:5|g")
        eventually(lambda: answer(logd, "queue")["total"] == 5, "it is set")
        logd.kill9_and_restart()
        send(logd, "queue:-2|g")
        eventually(lambda: answer(logd, "queue")["total"] == 3, "it moved on")


def test_what_was_taken_before_sigterm_is_there_after_it():
    with Logd(config=CONFIG) as logd:
        send(logd, *["last:1|c"] * 100)
        logd.restart()
        assert answer(logd, "last")["total"] == 100


def test_the_unix_socket_takes_the_same_and_survives_kill_9():
    with Logd(config=CONFIG) as logd:
        for n in (1, 2):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(b"local:1|c", os.path.join(logd.folder, "statsd.sock"))
            eventually(lambda: answer(logd, "local")["total"] == n, "it was counted")
            logd.kill9_and_restart()
        logd.stop()
        assert not os.path.exists(os.path.join(logd.folder, "statsd.sock"))


def test_bad_lines_are_counted_by_reason_and_the_good_ones_of_their_packet_count():
    bad = {"line": ["x", "x:|c", b"\xff\xfe:1|c"], "type": ["x:1|y"], "value": ["x:one|c", "y.ms:-1|ms", "x:1e99|c"], "rate": ["x:1|c|@7"], "tags": ["x:1|c|#:v"],
           "name": ["a b:1|c", "n" * 65 + ":1|c"], "label": ["x:1|c|#who:ann@example.com", "x:1|c|#ip:10.0.0.1"], "event": ["_e{5,5}:x|y", "_sc|a|9"],
           "other_type": ["good:1|g", "good:x|s"], "too_long": ["x:1|c\n" * 2000]}
    with Logd(config=CONFIG) as logd:
        send(logd, "good:1|c")
        eventually(lambda: answer(logd, "good")["total"] == 1, "it is known")
        for lines in bad.values():
            for line in lines:
                line = line if isinstance(line, bytes) else line.encode()
                send(logd, line if len(line) > 8192 else b"good:1|c\r\n" + line + b"\n\ngood:1|c\n")
        good = 1 + 2 * (sum(map(len, bad.values())) - 1)
        eventually(lambda: answer(logd, "good")["total"] == good, "all good ones count")
        got = {reason: refused(logd, reason) for reason in bad}
        assert got == {reason: len(lines) for reason, lines in bad.items()}, got
        assert logd.log().count("reason=line ") == 1 and "ann@" not in logd.log(), "one warning a reason, without the text"
        names = {s["name"] for s in logd.get("/v1/stats", key="read").json()["stats"]}
        assert names <= {"good", "x", "y.ms"}, names


def test_events_and_checks_are_found_by_a_query():
    with Logd(config=CONFIG) as logd:
        send(logd, "_e{8,4}:deployed|text|t:error|h:web1|#env:prod", "_sc|disk|2|h:web1|m:2 % left")
        eventually(lambda: logd.count("app=web") == 2, "they are there")
        e, = logd.query('type="statsd.event"')
        assert (e["message"], e["text"], e["level"], e["host"], e["tags.env"]) == ("deployed", "text", "error", "web1", "prod"), e
        c, = logd.query('check.status="critical"')
        assert (c["message"], c["check.name"], c["level"]) == ("2 % left", "disk", "critical"), c
        assert logd.status()["accepted"] == 2


def test_sets_count_different_ids_and_keep_none():
    with Logd(config=CONFIG) as logd:
        ids = ["person-%d-canary" % i for i in range(40)]
        for _ in range(2):
            send(logd, *["visitors:%s|s|#page:home" % i for i in ids])
        near = range(38, 43)  # an estimate under a secret drawn by chance: .72 % is .3 of 40
        eventually(lambda: (answer(logd, "visitors")["points"] or [{}])[0].get("value") in near, "each counts once")
        assert answer(logd, "visitors", "&label.page=home")["points"][0]["value"] in near
        assert metric(logd, "numbers_total") == 80
        logd.stop()
        for folder, _, files in os.walk(logd.folder):
            for f in files:
                assert b"canary" not in open(os.path.join(folder, f), "rb").read(), f


def test_stock_hot_shots_delivers():
    deps = os.path.join(TREE, "build/deps")
    if not os.path.exists(os.path.join(deps, "node/node_modules/hot-shots")):
        raise Skip("hot-shots is not installed: make deps-test")
    with Logd(config=CONFIG) as logd:
        subprocess.run([os.path.join(deps, "node-bin"), os.path.join(TREE, "tests/lib/node_statsd.js"), str(port(logd)), "500"],
                       env=dict(os.environ, NODE_PATH=os.path.join(deps, "node/node_modules")), check=True, timeout=30)
        eventually(lambda: answer(logd, "shop.bytes")["total"] == 999 and answer(logd, "shop.queue")["total"] == 37, "the last ones count")
        assert answer(logd, "shop.orders", "&label.kind=book&label.env=test")["total"] == 250
        t = answer(logd, "shop.put")["total"]
        assert [t[k] for k in ("n", "sum", "min", "max")] == [500, 125250, 1, 500] and abs(t["p99"] - 495) < 4, t
        assert answer(logd, "shop.size")["total"]["n"] == 500
        u = logd.get("/v1/stats/shop.users?by=day&app=web", key="read").json()
        assert u["type"] == "unique" and u["points"][0]["below"] == 5, u
        eventually(lambda: logd.count("app=web") == 2, "event and check are there")
        assert logd.query('type="statsd.check"')[0]["level"] == "critical" and logd.query('type="statsd.event"')[0]["level"] == "warn"


def test_a_port_that_is_taken_stops_the_start_with_one_sentence():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        with Logd() as logd:
            logd.configure("statsd: {udp: 127.0.0.1:%d}\n" % s.getsockname()[1])
            done = subprocess.run([logd.binary, "serve", "--config", logd.config_path, "--data", os.path.join(logd.folder, "other")], capture_output=True, text=True, timeout=30)
            assert done.returncode == 1 and done.stderr.startswith("logd: serve: statsd.udp: listen on 127.0.0.1:"), done


if __name__ == "__main__":
    run(globals())
