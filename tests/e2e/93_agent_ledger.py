"""logd knows what each agent read, sent, lost and has left."""
import importlib, os, signal, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
from logd import Logd, eventually, run
from proxy import Proxy

Agent = importlib.import_module("90_agent_every_line_once").Agent


def ledger(logd):
    return logd.get("/v1/agents", key=logd.key("read")).json()["agents"]


def metric(logd, name):
    lines = logd.get("/metrics", key=logd.key("read")).text.splitlines()
    return [int(line.split()[-1]) for line in lines if line.startswith(name + "{")]


def test_the_ledger_is_the_truth():
    with Logd() as logd, Agent(logd) as agent:
        eventually(lambda: ledger(logd), "an agent is known before it has anything to send")
        agent.write("a.log", "1\n2\n\n")
        agent.write("b.log", '{"level":1e400}\n{"time":"never"}\n3\n')
        eventually(lambda: logd.count() == 5, "all lines")
        agent.stop()
        (told,) = ledger(logd)
        files = {os.path.basename(s["file"]): s for s in told["sources"]}
        assert [files["a.log"][k] for k in ("read", "sent", "acknowledged", "dropped", "lag")] == [3, 2, 2, 0, 0], told
        assert (told["read"], told["sent"], told["lag"], told["duplicates"]) == (6, 5, 0, 0), told
        assert told["acknowledged"] + told["dropped"] == 5 and told["acknowledged"] == logd.count(), told
        assert told["host"] and told["app"] and told["seen"].startswith("20"), told
        assert metric(logd, "logd_agent_events_acknowledged_total") == [told["acknowledged"]]
        assert metric(logd, "logd_agent_lag_bytes") == [0]


def test_what_came_twice_is_counted():
    with Logd() as logd, Proxy(lambda: (logd.host, logd.port), 1) as proxy, Agent(logd, proxy.url) as agent:
        eventually(lambda: ledger(logd), "it is known")
        proxy.chance["lose"] = 1
        agent.write("a.log", "1\n2\n3\n")
        eventually(lambda: logd.count() and proxy.done["lose"], "taken, and the answer lost")
        known = logd.count()
        proxy.heal()
        eventually(lambda: (agent.ledger("a.log") or {}).get("acknowledged") == 3, "sent again", 20)
        agent.stop()
        assert ledger(logd)[0]["duplicates"] == known and logd.count() == 3, ledger(logd)
        agent.start()
        eventually(lambda: agent.log().count("what=started") == 2, "it runs again")
        eventually(lambda: "%d events were sent again" % known in agent.status(), "it is kept")


def test_a_wrong_report_is_refused_in_one_sentence():
    good = {"agent": "0" * 16, "host": "h", "version": "1", "duplicates": 0, "sources": [{"file": "f", "read": 1, "sent": 1, "acknowledged": 1, "dropped": 0, "lag": 0}]}
    with Logd() as logd:
        for change, text in (({"agent": "x"}, "field 'agent': expected 16 lower-case hex digits"), ({"host": 'a"b'}, "field 'host'"), ({"duplicates": -1}, "field 'duplicates'"),
                             ({"sources": {}}, "field 'sources': expected an array"), ({"sources": [{"file": "f"}]}, "field 'read'"), ({"sources": [1]}, "field 'sources'")):
            reply = logd.post("/v1/agents", {**good, **change})
            assert reply.status == 400 and text in reply.json()["error"], (change, reply.text)
        assert ledger(logd) == []
        for _ in range(2):
            assert logd.post("/v1/agents", good).status == 200
        assert len(ledger(logd)) == 1 and logd.post("/v1/agents", good, key=logd.key("read")).status == 403


if __name__ == "__main__":
    run(globals())
