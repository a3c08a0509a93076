"""One story, all parts real: a page in Chromium throws, Node programs log with stock pino and winston, ten systems' logs come in
batches; each line is found once, one mail arrives for the error, kill -9 loses and doubles nothing, and after the machine is lost
`logd restore` brings everything back from S3."""
import collections, json, os, random, shutil, subprocess, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run, shared
from outside import DEPS, Site, browse, node, shot
from s3 import S3
from exim import Exim

RULES = """
rules:
- id: new-browser-error
  why: a page threw an error that was never seen before
  when: level >= error and trust = browser
  by: [app, fingerprint]
  new: {by: [app, fingerprint]}
  rank: P2
  wait: 0s
  digest: 60s
"""
PAGE = """<!doctype html><title>shop</title><script src="%s/b.js" data-key="%s" data-release="1.4.2" data-env="prod" defer></script>
<script src="/shop.js" defer></script><h1>Shop</h1>"""
SCRIPT = """function applyDiscount(cart) { return cart.total.amount * 0.9 }
function checkout() { return applyDiscount({}) }
addEventListener('load', () => setTimeout(checkout, 50))
"""
SECRET = "SECRETTOKEN4711"


def post_lines(logd, key, lines, first):
    """One batch; sent again with the same Idempotency-Key until it is answered, as a good client does."""
    body = "".join(json.dumps({"event_id": f"{system}-{n}", "message": text, "system": system, "n": n}) + "\n" for system, n, text in lines)
    deadline = time.monotonic() + 60
    while True:
        try:
            r = logd.request("POST", "/v1/events", body, {"Idempotency-Key": first}, key=key)
            if r.status == 200:
                return r.json()
            assert r.status == 503, r
        except (OSError, EOFError, Exception) as e:
            if isinstance(e, AssertionError):
                raise
        assert time.monotonic() < deadline, "a batch was not taken within a minute"
        time.sleep(0.05)


def real_lines():
    folder = shared("data", "loghub2k")
    for system in sorted(os.listdir(folder)):
        path = os.path.join(folder, system, "content.txt")
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace", newline="\n") as f:
                for n, line in enumerate(f.read().rstrip("\n").split("\n")):
                    yield system, n, line.rstrip("\r")


def throw_in_browser(logd):
    pages = {"/shop.js": SCRIPT}
    with Site(pages) as site:
        pages["/"] = PAGE % (logd.url, logd.key("browser", "web", origins=(site.origin,)))
        said = browse({"do": "open", "url": f"{site.origin}/?token={SECRET}#frag-{SECRET}"}, {"do": "sleep", "ms": 2500})
    posts = [r for r in said["requests"] if "/b?key=" in r["url"]]
    assert len(posts) == 1 and SECRET not in posts[0]["body"], posts
    return site.origin


def log_from_node(logd, key):
    winston = node("node_clients.js", "winston", logd.url, key, 60)
    pino = node("node_clients.js", "pino", logd.url, key, 60, stdout=subprocess.PIPE)
    send = subprocess.Popen([os.path.join(DEPS, "node-bin"), os.path.join(DEPS, "node/node_modules/pino-http-send/dist/bin.js"), "--method=POST", f"--url={logd.url}/v1/events",
                             "--bodyType=ndjson", "--batchSize=20", "--username=pino", "--password=" + key], stdin=pino.stdout, stdout=subprocess.DEVNULL)
    assert winston.wait(30) == 0 and pino.wait(30) == 0 and send.wait(30) == 0


def check_lines(logd, expected):
    """Every line exactly once, with its fields."""
    got = collections.Counter()
    for row in everything(logd, "system:* -system=tail -system:kill*"):
        text = expected[row["system"], row["n"]]
        assert row["message"] == text or "[redacted:" in row["message"], (row, text)
        assert row["event_id"] == f"{row['system']}-{row['n']}" and row["app"] == "shop", row
        got[row["system"], row["n"]] += 1
    assert got == collections.Counter(expected.keys()), f"{len(got)} of {len(expected)}, doubled {[k for k, n in got.items() if n > 1][:5]}, missing {list(expected.keys() - got.keys())[:5]}"


def everything(logd, q):
    """All rows of a query, page by page."""
    import urllib.parse
    cursor = None
    while True:
        params = {"q": q, "from": "1970-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 7000, **({"cursor": cursor} if cursor else {})}
        r = logd.get("/v1/query?" + urllib.parse.urlencode(params), key="read")
        assert r.status == 200, r
        yield from (json.loads(line) for line in r.text.splitlines())
        cursor = r.headers.get("X-Logd-Next")
        if not cursor:
            return


def kill_under_load(logd, key, rounds):
    """Two senders post numbered events with retries while the server is killed again and again."""
    stop, sent, failures = threading.Event(), [0, 0], []

    def sender(i):
        try:
            while not stop.is_set():
                lines = [(f"kill{i}", sent[i] + k, f"line {sent[i] + k}") for k in range(50)]
                post_lines(logd, key, lines, f"kill{i}-{sent[i]}")
                sent[i] += 50
        except BaseException as e:
            failures.append(e)
    threads = [threading.Thread(target=sender, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for _ in range(rounds):
        time.sleep(random.uniform(0.02, 0.3))
        logd.kill9_and_restart()
    stop.set()
    for t in threads:
        t.join()
    assert not failures, failures
    return sent


def story():
    seed = random.randrange(1 << 30)
    random.seed(seed)
    expected = {(system, n): text for system, n, text in real_lines()}
    assert len(expected) == 20000
    with S3() as s3, Exim() as smtp, Logd(config=smtp.config() + s3.config(), rules=RULES, ca=smtp.ca) as logd:
        key = logd.key("ingest")
        lines = [(system, n, text) for (system, n), text in expected.items()]
        for i in range(0, len(lines), 500):
            reply = post_lines(logd, key, lines[i:i + 500], f"batch-{i}")
            assert reply["accepted"] == 500, reply
        again = post_lines(logd, key, lines[:500], "batch-0")
        assert again["duplicate"] is True and again["accepted"] == 500, again
        other = post_lines(logd, key, lines[:500], "batch-other")
        assert other["duplicates"] == 500 and other["accepted"] == 0, other
        log_from_node(logd, key)
        origin = throw_in_browser(logd)
        check_lines(logd, expected)
        for client in ("pino", "winston"):
            rows = logd.query(f"client={client}")
            assert sorted(r["n"] for r in rows) == list(range(60)), rows[:3]
            assert all(r["message"] == f"{client} says {r['n']}" and r["level"] == ["info", "warn", "error"][r["n"] % 3] and r["nested.deep.ok"] is True for r in rows), rows[:3]

        # the browser's error: one issue with its stack, one mail whose link works
        issue, = [i for i in logd.get("/v1/issues?app=web").json()["issues"]]
        full = logd.get("/v1/issues/" + issue["id"]).json()
        assert full["count"] == 1 and "TypeError" in full["title"] and "applyDiscount" in full["latest"]["error.stack"], full
        assert full["latest"]["release"] == "1.4.2" and full["latest"]["url"] == origin + "/", full["latest"]
        mail = eventually(lambda: smtp.inbox and smtp.inbox[0], "the mail arrives")
        assert mail.tls and mail.rcpt == ["ops@example.com"] and "TypeError" in mail.subject and mail.subject.startswith("[P2 prod/web]"), mail.subject
        assert not mail.message.defects and "applyDiscount" in mail.body and mail.message["Message-ID"] and mail.message["Auto-Submitted"] == "auto-generated"
        link = f"{logd.url}/issues/{issue['id']}"
        assert link in mail.body and link in mail.html, mail.body

        # a person signs in, follows the link and sees it
        logd.command("user", "add", "dev@example.com", "--role", "admin", input="correct horse battery\n")
        said = browse({"do": "open", "url": link}, {"do": "fill", "at": "input[name=email]", "text": "dev@example.com"},
                      {"do": "fill", "at": "input[name=password]", "text": "correct horse battery"}, {"do": "click", "at": "form.card button"},
                      {"do": "wait", "at": "h1"}, {"do": "wait", "at": "ol.frames"}, {"do": "text", "at": "main"}, shot("issue"), {"do": "axe"}, shot("issue-dark", dark=True),
                      {"do": "open", "url": logd.url + "/?q=app:web&from=-1h"}, {"do": "wait", "at": "ol.rows li"}, {"do": "click", "at": "ol.rows li button"},
                      {"do": "text", "at": "ol.rows"}, shot("search"), {"do": "axe"}, shot("search-phone", width=360, height=740),
                      {"do": "open", "url": logd.url + "/incidents?state=all"}, {"do": "wait", "at": "table.list"}, shot("incidents"), {"do": "axe"})
        assert "applyDiscount" in said["texts"][0] and "TypeError" in said["texts"][1], said["texts"]
        assert not said["axe"] and not [c for c in said["console"] if "error" in c.lower() and "401" not in c], (said["axe"], said["console"])

        sent = kill_under_load(logd, key, 20)
        for i in range(2):
            got = collections.Counter(r["n"] for r in everything(logd, f"system=kill{i}"))
            assert got == collections.Counter(range(sent[i])), f"seed {seed}: {len(got)} of {sent[i]}"
        assert len(smtp.inbox) == 1, [m.subject for m in smtp.inbox]

        # the machine is lost
        logd.seal()
        post_lines(logd, key, [("tail", n, f"tail {n}") for n in range(10)], "tail")
        before = {row["system"]: row["count"] for row in logd.query("system:* | count by system")}
        total = logd.count()
        eventually(lambda: logd.status()["positions"]["archive"] >= logd.status()["positions"]["journal"], "the last minute is elsewhere", 30)
        eventually(lambda: len(s3.list("prod/events/app=shop/")) >= 1, "sealed events are there, readable without us", 30)
        logd.kill9()
        shutil.rmtree(logd.data)
        done = subprocess.run([logd.binary, "restore", "--config", logd.config_path, "--from", "s3://logs/prod", "--data", logd.data], capture_output=True, text=True, env=logd.env)
        assert done.returncode == 0, done
        logd.start()
        assert {row["system"]: row["count"] for row in logd.query("system:* | count by system")} == before and logd.count() == total
        check_lines(logd, expected)
        restored = logd.get("/v1/issues/" + issue["id"]).json()
        assert restored["count"] == 1 and restored["latest"]["id"] == full["latest"]["id"], restored
        repeat = post_lines(logd, key, lines[:500], "batch-0")
        assert repeat["duplicate"] is True, "the duplicate windows came back too"
        post_lines(logd, key, [("after", 0, "life goes on")], "after")
        assert logd.count("system=after") == 1
        eventually(lambda: logd.status()["positions"]["archive"] >= logd.status()["positions"]["journal"], "the restored server ships on", 30)
        assert len(smtp.inbox) == 1, "no mail is sent twice"


def test_from_a_throwing_page_to_a_restored_machine():
    story()


if __name__ == "__main__":
    run(globals())
