"""Stats that the config chooses are in /metrics, as Prometheus and as OpenMetrics."""
import os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from logd import *

CONFIG = "stats: {metrics: [pic.upload, put, queue, most, people, none]}\n"


def lines(text):
    return [l for l in text.splitlines() if l.startswith("stat_")]


def fill(logd):
    logd.post("/v1/stats", [{"name": "pic.upload", "value": 3, "labels": {"kind": 'j"p', "a.b": "x"}}, {"name": "put", "type": "timing", "value": 10}, {"name": "put", "type": "timing", "value": 30},
                            {"name": "queue", "type": "gauge", "value": 1.5}, {"name": "most", "type": "max", "value": 7}, {"name": "hidden"}]
              + [{"name": "people", "type": "unique", "value": "id%d" % i} for i in range(20)] + [{"name": "people", "type": "unique", "value": "id1", "labels": {"few": "yes"}}])


def test_chosen_stats_are_in_metrics():
    with Logd(config=CONFIG) as logd:
        fill(logd)
        got = lines(logd.get("/metrics").text)
        assert [l for l in got if "quantile" not in l] == [
            'stat_pic_upload_total{app="shop",a_b="x",kind="j\\"p"} 3', 'stat_put_sum{app="shop"} 40', 'stat_put_count{app="shop"} 2', 'stat_queue{app="shop"} 1.5', 'stat_most{app="shop"} 7'], got
        quantiles = {q: float(v) for q, v in re.findall(r'stat_put\{app="shop",quantile="([.\d]+)"\} (\S+)', "\n".join(got))}
        assert set(quantiles) == {"0.5", "0.9", "0.99"} and abs(quantiles["0.5"] - 10) < .1 and 29.7 < quantiles["0.99"] <= 30, quantiles
        logd.advance(2 * 86400)
        eventually(lambda: [l for l in lines(logd.get("/metrics").text) if "people" in l] == ['stat_people{app="shop",period="day"} 20'], "a day that is over, and of five at least")


def test_openmetrics_is_given_to_who_asks_for_it():
    with Logd(config=CONFIG) as logd:
        fill(logd)
        r = logd.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
        assert r.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8" and r.text.endswith("\n# EOF\n")
        assert "# TYPE stat_pic_upload counter\n" in r.text and "\nstat_pic_upload_total{" in r.text
        counters = re.findall(r"^# TYPE (\S+) counter$", r.text, re.M)
        assert counters and not any(c.endswith("_total") for c in counters)
        assert "# EOF" not in logd.get("/metrics").text


def test_promtool_has_nothing_to_say_about_stats():
    promtool = os.path.join(TREE, "build/deps/root/usr/bin/promtool")
    if not os.path.exists(promtool):
        raise Skip("promtool is not there: make deps-test unpacks it")
    with Logd(config=CONFIG) as logd:
        fill(logd)
        done = subprocess.run([promtool, "check", "metrics"], input=logd.get("/metrics").body, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done


if __name__ == "__main__":
    run(globals())
