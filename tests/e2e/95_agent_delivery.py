"""logd-agent: between it and a server. When it is asked to wait, through a proxy, no faster than it may; and what it tells of itself."""
import email.utils, http.client, http.server, os, re, subprocess, sys, threading, time, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run
from importlib import import_module

story = import_module("90_agent_every_line_once")
Agent, messages = story.Agent, story.messages


class Between:
    """What stands before a logd: `busy` answers 503 and that text as Retry-After so many times; all else is passed on."""

    def __init__(self, logd, busy=0, retry_after=None):
        self.logd, self.busy, self.retry_after, self.asked = logd, busy, retry_after, []
        between = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                between.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def serve(self, h):
        body = h.rfile.read(int(h.headers["Content-Length"]))
        url = urllib.parse.urlsplit(h.path)
        self.asked.append((time.monotonic(), url.netloc, url.path))
        if url.path.endswith("/events") and self.busy > 0:
            self.busy -= 1
            status, answer, extra = 503, b"{}", {"Retry-After": self.retry_after() if callable(self.retry_after) else self.retry_after}
        else:
            c = http.client.HTTPConnection(self.logd.host, self.logd.port, timeout=20)
            c.request("POST", url.path, body, {k: v for k, v in h.headers.items() if k.lower() not in ("host", "content-length", "connection")})
            r = c.getresponse()
            status, answer, extra = r.status, r.read(), {}
        h.send_response(status)
        for k, v in dict(extra, **{"Content-Length": str(len(answer))}).items():
            h.send_header(k, v)
        h.end_headers()
        h.wfile.write(answer)

    def batches(self):
        return [at for at, _, path in self.asked if path.endswith("/events")]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_a_server_that_names_a_time_is_left_alone_until_then():
    for retry_after in "2", lambda: email.utils.formatdate(time.time() + 3, usegmt=True):
        with Logd() as logd, Between(logd, 1, retry_after) as between, Agent(logd, between.url) as agent:
            agent.write("app.log", "1\n")
            eventually(lambda: between.batches(), "it is asked")
            if callable(retry_after):
                eventually(lambda: "it is tried again in" in agent.status(), "it says so")
            eventually(lambda: logd.count() == 1, "the line, later", 15)
            first, second = between.batches()
            assert 1.9 <= second - first < 8, second - first


def test_a_date_that_is_over_or_none_is_no_reason_to_wait():
    for retry_after in "Wed, 21 Oct 2015 07:28:00 GMT", "soon":
        with Logd() as logd, Between(logd, 1, retry_after) as between, Agent(logd, between.url) as agent:
            agent.write("app.log", "1\n")
            eventually(lambda: logd.count() == 1, "the line, after the usual pause")


def config(agent, text):
    path = os.path.join(agent.folder, "agent.yaml")
    with open(path, "w") as f:
        f.write(text)
    agent.command[2:2] = ["--config", path]


def test_it_goes_through_the_proxy_that_is_named():
    with Logd() as logd, Between(logd) as proxy:
        agent = Agent(logd)
        config(agent, "proxy: %s\n" % proxy.url)
        with agent:
            agent.write("app.log", "1\n")
            eventually(lambda: logd.count() == 1, "the line")
            assert ("%s:%d" % (logd.host, logd.port), "/v1/events") in [asked[1:] for asked in proxy.asked], proxy.asked


def test_no_more_leaves_than_the_rate_allows():
    with Logd() as logd:
        agent = Agent(logd)
        config(agent, "rate: 2MB\n")
        agent.write("app.log", "".join("%06d %s\n" % (i, "x" * 800) for i in range(5000)))  # with its other fields more than 4.5 MB
        began = time.monotonic()
        with agent:
            eventually(lambda: logd.count() == 5000, "all of them", 30)
            assert time.monotonic() - began >= 1.4, time.monotonic() - began


def test_it_tells_of_its_health():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("app.log", "1\n")
        eventually(lambda: logd.count() == 1, "the line")
        eventually(lambda: (agent.ledger("app.log") or {}).get("acknowledged") == 1, "what was taken, at once")
        assert re.match(r"agent \w{16} is running, version \S+, pid %d\nhttp://\S+ takes what it is sent\n" % agent.process.pid, agent.status()), agent.status()
        assert os.stat(agent.state + "/sock").st_mode & 0o777 == 0o600
        logd.kill9()
        agent.write("app.log", "2\n")
        eventually(lambda: "no server takes anything since" in agent.status() and "refused" in agent.status().lower() or "connect" in agent.status().lower(), "why nothing is taken")
        assert "waits for its answer" in agent.status() and agent.ledger("app.log")["lag"] == 2
        agent.kill9()
        assert "is not running" in agent.status() and agent.ledger("app.log")["acknowledged"] == 1, agent.status()
        logd.start()
        agent.command[agent.command.index("--server") + 1] = logd.url
        agent.start()
        eventually(lambda: "takes what it is sent" in agent.status() and agent.ledger("app.log")["acknowledged"] == 2, "it is well again")
        agent.stop()
        assert not os.path.exists(agent.state + "/sock")


if __name__ == "__main__":
    run(globals(), at_once=4)
