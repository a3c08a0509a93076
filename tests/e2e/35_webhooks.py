"""Incidents reach webhooks: as JSON, Slack's and ntfy's; no address that is not public, no redirect, no endless answer, and mail does not wait."""
import os, socket, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from hooks import Hooks
from logd import Logd, eventually, run

RULES = """rules:
- {id: down, why: the shop is down, when: level = fatal, by: [app, type], rank: P1}
- {id: odd, why: something is odd, when: level = notice, by: [app, type], rank: P4}
"""


def config(hooks, more="", private="127.0.0.1"):
    return f"""webhooks:
  plain: {{url: "{hooks.url('/plain?key=k1')}", token: t0k3n}}
  slack: {{url: "{hooks.url('/services/T0/B0/s3cret')}", kind: slack}}
  phone: {{url: "{hooks.url('/alerts')}", kind: ntfy, min: P1}}
{more}private_hosts: [{private}]
"""


def down(logd, kind="till", message="<!channel> *boom* & <http://evil.example|x>"):
    r = logd.post("/v1/events", {"level": "fatal", "type": kind, "env": "prod", "host": "web1", "message": message})
    assert r.status == 200, r.text


def mails(logd, state="all"):
    one, = [i for i in logd.get("/v1/incidents?state=" + state).json()["incidents"] if not i["rule"].startswith("mail-")]
    return logd.get("/v1/incidents/" + one["id"]).json()["mails_sent"]


def test_an_incident_is_posted_as_json_to_slack_and_to_a_phone():
    with Hooks() as hooks, Logd(config=config(hooks), rules=RULES, env={"http_proxy": "http://127.0.0.1:1"}) as logd:
        down(logd)
        eventually(lambda: len(hooks.got) == 3, "three posts")
        plain, = hooks.bodies("/plain?key=k1")
        assert plain["rank"] == "P1" and plain["rule"] == "down" and plain["app"] == "shop" and plain["env"] == "prod" and plain["host"] == "web1", plain
        assert plain["kind"] == "immediate" and plain["signals"] == 1 and plain["subject"].startswith("[P1 prod/shop]") and "boom" in plain["text"], plain
        assert plain["link"].startswith(logd.url + "/a/") and plain["event"] == logd.query("level=fatal")[0]["id"], plain
        headers = next(h for path, h, _ in hooks.got if path.startswith("/plain"))
        assert headers["Authorization"] == "Bearer t0k3n" and headers["Content-Type"] == "application/json", headers
        slack, = hooks.bodies("/services/T0/B0/s3cret")
        assert "&lt;!channel&gt;" in slack["text"] and "<!channel>" not in slack["text"] and "<http://evil" not in slack["text"], slack
        assert f"<{logd.url}/a/" in slack["text"], slack
        phone, = hooks.bodies("/")  # ntfy takes JSON at its root
        assert phone["topic"] == "alerts" and phone["priority"] == 5 and phone["title"].startswith("[P1 prod/shop]") and phone["click"].startswith(logd.url + "/a/"), phone
        assert all("Authorization" not in h for path, h, _ in hooks.got if not path.startswith("/plain"))
        assert len({plain["link"], phone["click"]}) == 2, "each has its own link"
        page = logd.get(phone["click"][len(logd.url):], key=False)
        assert page.status == 200 and "*boom*" in page.text and plain["incident"] in page.text, page.text
        eventually(lambda: {m["to"]: m["status"] for m in mails(logd)} == {"webhook:plain": "sent", "webhook:slack": "sent", "webhook:phone": "sent"}, "all are noted as sent")
        assert logd.status()["signals"] == {"mailed": 1, "digested": 0, "suppressed": 0, "pending": 0}


def test_a_webhook_without_digests_leaves_no_signal_uncounted():
    with Hooks() as hooks, Logd(config=config(hooks), rules=RULES) as logd:
        logd.post("/v1/events", {"level": "notice", "type": "x", "message": "odd"})
        logd.advance(300)
        eventually(lambda: logd.status()["signals"] == {"mailed": 0, "digested": 0, "suppressed": 1, "pending": 0}, "what nobody asked for is suppressed with a reason")
        assert not hooks.got, hooks.got


def test_what_is_not_public_is_not_connected_to_whatever_its_name():
    with Hooks() as hooks, Logd(rules=RULES) as logd:
        urls = ["http://127.0.0.1:%d/a", "http://localhost:%d/b", "http://0177.0.0.1:%d/c", "http://2130706433:%d/d", "http://0.0.0.0:%d/e",
                "http://[::ffff:127.0.0.1]:%d/f", "http://[::1]:%d/g", "http://0x7f.1:%d/h", "http://127.1:%d/i"]
        lines = "".join(f"  w{i}: {{url: \"{u % hooks.port}\"}}\n" for i, u in enumerate(urls))
        logd.configure(f"webhooks:\n{lines}private_hosts: [other.example, localhost.example]\n", RULES)
        logd.restart()
        down(logd)
        eventually(lambda: all(m["tries"] for m in mails(logd)), "each was tried")
        for m in mails(logd):
            assert m["status"] == "queued" and "its address is not public and private_hosts does not name it" in m["response"], m
            assert str(hooks.port) in m["response"] and m["response"].count("/") == 2, f"the path is not told: {m}"
        assert not hooks.got, hooks.got
        logd.configure(f"webhooks:\n{lines}private_hosts: [localhost]\n", RULES)
        logd.reread(lambda: "reloaded" in logd.log(), "the host is allowed by name")
        logd.advance(40)
        eventually(lambda: [p for p, *_ in hooks.got] == ["/b"], "that name alone")


def test_redirects_are_not_followed_and_answers_are_bounded():
    with Hooks() as hooks, Hooks() as other, Logd(rules=RULES) as logd:
        ended = threading.Event()

        def endless(handler):
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            try:
                for _ in range(100000):
                    handler.wfile.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            except OSError:
                ended.set()
            handler.close_connection = True
        hooks.answers = {"/moved": (307, {"Location": other.url("/x")}, b""), "/seen": (302, {"Location": hooks.url("/y")}, b""), "/endless": endless,
                         "/gone": (410, {}, b"no"), "/busy": (503, {}, b"no"), "/slow": (429, {}, b"no")}
        lines = "".join(f"  {p}: {{url: \"{hooks.url('/' + p)}\"}}\n" for p in ("moved", "seen", "endless", "gone", "busy", "slow"))
        logd.configure(f"webhooks:\n{lines}private_hosts: [127.0.0.1]\n", RULES)
        logd.restart()
        down(logd)
        eventually(lambda: len(mails(logd)) == 6 and all(m["tries"] for m in mails(logd)), "each was tried")
        said = {m["to"].split(":")[1]: (m["status"], m["response"]) for m in mails(logd)}
        assert said == {"moved": ("failed", "answered 307, redirects are not followed"), "seen": ("failed", "answered 302, redirects are not followed"),
                        "endless": ("sent", "answered 200"), "gone": ("failed", "answered 410"), "busy": ("queued", "answered 503"), "slow": ("queued", "answered 429")}, said
        assert not other.got and {p for p, *_ in hooks.got} == {"/moved", "/seen", "/endless", "/gone", "/busy", "/slow"}
        assert ended.wait(10), "the endless answer was left"
        hooks.answers = {}
        logd.advance(40)
        eventually(lambda: all(m["status"] == "sent" for m in mails(logd) if m["to"] in ("webhook:busy", "webhook:slow")), "what was busy is tried again")
        assert len({b["message_id"] for b in hooks.bodies("/busy")}) == 1 and len(hooks.bodies("/busy")) == 2, "it is the same one"


def test_mail_does_not_wait_for_a_webhook_that_hangs():
    with socket.create_server(("127.0.0.1", 0)) as silent, Logd(rules=RULES) as logd:
        logd.configure("mail: {url: 'maildir:%s', from: logd@example.com}\nrecipients: [eva@example.com]\nwebhooks: {dead: {url: \"http://127.0.0.1:%d/\"}}\nprivate_hosts: [127.0.0.1]\n"
                       % (os.path.join(logd.folder, "mails"), silent.getsockname()[1]), RULES)
        logd.restart()
        down(logd)
        connection, _ = silent.accept()  # it waits for an answer from here on
        began = time.monotonic()
        down(logd, "stock")
        logd.advance(10)
        sent = lambda: [m["to"] for i in logd.get("/v1/incidents").json()["incidents"] for m in logd.get("/v1/incidents/" + i["id"]).json()["mails_sent"] if m["status"] == "sent"]
        eventually(lambda: sent().count("eva@example.com") == 2, "both mails are there", timeout=9)
        assert "webhook:dead" not in sent() and time.monotonic() - began < 9, sent()
        connection.close()


if __name__ == "__main__":
    run(globals())
