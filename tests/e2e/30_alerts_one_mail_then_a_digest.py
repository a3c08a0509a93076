"""A storm of one error costs its reader one mail at once and one digest; nothing is dropped in silence; mails survive kill -9."""
import os, re, signal, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run
from smtp import Smtp

RULES = """
rules:
- id: db-down
  why: the database does not answer
  when: level >= error
  by: [app, type]
  digest: 60s
- id: many-failures
  why: somebody tries passwords
  when: auth.action = login and auth.outcome = failure
  by: [auth.user]
  count: {window: 5m, ">=": 10}
  rank: P2
"""


def errors(logd, n, first=0):
    for i in range(first, first + n):
        reply = logd.post("/v1/events", {"level": "error", "type": "db.connect.failed", "try": i})
        assert reply.status == 200, reply


def balance(logd):
    s = logd.status()["signals"]
    return s


def test_storm_sends_one_mail_then_a_digest():
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(), ca=smtp.ca) as logd:
        errors(logd, 500)
        eventually(lambda: len(smtp.inbox) == 1, "the first error is mailed at once")
        assert balance(logd) == {"mailed": 1, "digested": 0, "suppressed": 0, "pending": 499}, balance(logd)
        incident, = logd.get("/v1/incidents?state=open").json()["incidents"]
        mailed, held = logd.get("/v1/incidents/" + incident["id"]).json()["decisions"]
        assert mailed["verdict"] == "mailed" and held["verdict"] == "held", (mailed, held)
        assert re.fullmatch(r"499 signals held in the window until \S+Z, then one digest", held["reason"]), held
        logd.advance(61)
        eventually(lambda: len(smtp.inbox) == 2, "the rest arrive as one digest")
        assert "499 more" in smtp.inbox[1].body and smtp.inbox[1].subject == "Re: " + smtp.inbox[0].subject
        assert smtp.inbox[0].message["References"] == smtp.inbox[1].message["References"]
        assert balance(logd) == {"mailed": 1, "digested": 499, "suppressed": 0, "pending": 0}, balance(logd)
        logd.advance(121)
        incident, = eventually(lambda: logd.get("/v1/incidents?state=resolved").json()["incidents"], "a quiet window resolves it")
        why = logd.get("/v1/incidents/" + incident["id"]).json()
        assert [d["verdict"] for d in why["decisions"]] == ["mailed", "digested", "resolved"], why
        assert all(m["status"] == "sent" for m in why["mails_sent"]), why
        late = lambda verb: logd.post(f"/v1/incidents/{incident['id']}/{verb}", "", key="admin")
        assert late("ack").status == 409 and late("ack").json()["error"] == "the incident is resolved: there is nothing to do for it"
        assert late("resolve").status == 200
        logd.kill9_and_restart()
        assert logd.count('type="db.connect.failed"') == 500 and len(smtp.inbox) == 2


def test_a_clock_that_is_set_back_delays_no_mail_and_repeats_no_id():
    """An hour back while it runs, then one more while it is down."""
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(), ca=smtp.ca) as logd:
        logd.advance(7200)
        errors(logd, 5)
        eventually(lambda: len(smtp.inbox) == 1, "the first error is mailed")
        logd.advance(-3600)
        logd.post("/v1/events", {"level": "error", "type": "other"})
        eventually(lambda: len(smtp.inbox) == 2, "a first mail does not wait for the clock to catch up", timeout=5)
        logd.advance(61)
        eventually(lambda: any("4 more" in m.body for m in smtp.inbox), "nor does a digest", timeout=5)
        errors(logd, 3)
        for _ in range(9):
            logd.post("/v1/events", {"auth": {"action": "login", "outcome": "failure", "user": "bob"}})
        eventually(lambda: balance(logd)["pending"] == 3, "three are held")
        logd.restart()  # the test's clock starts from the real one
        logd.advance(121)
        eventually(lambda: any("3 more" in m.body for m in smtp.inbox), "after a restart neither", timeout=5)
        logd.advance(200)
        logd.post("/v1/events", {"auth": {"action": "login", "outcome": "failure", "user": "bob"}})
        eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"], "all is seen")
        assert not any("auth.user=bob" in m.body for m in smtp.inbox), "nine of them are older than the rule's window"
        ids = [row["id"] for row in logd.query("")]
        assert len(ids) == len(set(ids)) == 19, ids


def test_a_clock_that_is_set_back_while_much_is_taken_in_delays_no_mail():
    """What comes in bulk is one transaction of a second; the clock changes in the middle of it."""
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(), ca=smtp.ca) as logd:
        logd.advance(7200)
        eventually(lambda: logd.post("/v1/events", [{"level": "info", "n": i} for i in range(5000)]).status == 200, "many events")
        logd.advance(-3600)
        errors(logd, 1)
        eventually(lambda: len(smtp.inbox) == 1, "the error is mailed")


def test_one_lost_order_of_the_demo_is_one_mail_and_three_are_another():
    folder = os.path.join(TREE, "rules")
    with Smtp() as smtp, Logd(config=smtp.config() + f"rules: [{folder}/default.yaml, {folder}/demo.yaml]\n", ca=smtp.ca) as logd:
        lose = lambda n: logd.post("/v1/events", {"level": "error", "env": "prod", "type": "order.failed", "message": f"order {n} failed"})
        seen = lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"] and not logd.status()["queues"].get("mails")
        lose(4711)
        eventually(lambda: len(smtp.inbox) == 1, "the mail about the new error")
        lose(4712)
        eventually(seen, "all is seen")
        assert [i["rule"] for i in logd.get("/v1/incidents").json()["incidents"]] == ["new-error"]
        lose(4713)
        eventually(lambda: len(smtp.inbox) == 2, "the mail that says that it goes on")
        assert "three orders were lost" in smtp.inbox[1].body and smtp.inbox[1].subject.startswith("[P2")


def test_one_batch_of_the_same_error_is_one_mail_too():
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(), ca=smtp.ca) as logd:
        assert logd.post("/v1/events", [{"level": "error", "type": "x", "n": i} for i in range(100)]).status == 200
        eventually(lambda: balance(logd)["pending"] == 99, "the rest of the batch is held")
        eventually(lambda: len(smtp.inbox) == 1, "one mail")
        logd.advance(61)
        eventually(lambda: len(smtp.inbox) == 2 and "99 more" in smtp.inbox[1].body, "the digest")


def test_the_tenth_failed_login_of_one_user_is_mailed():
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(), ca=smtp.ca) as logd:
        for user in ("ann", "bob"):
            for i in range(9):
                logd.post("/v1/events", {"auth": {"action": "login", "outcome": "failure", "user": user}})
        eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"], "all is seen")
        assert not smtp.inbox
        logd.post("/v1/events", {"auth": {"action": "login", "outcome": "failure", "user": "bob"}})
        eventually(lambda: len(smtp.inbox) == 1, "the mail about bob")
        assert smtp.inbox[0].subject.startswith("[P2 shop]") and "auth.user=bob" in smtp.inbox[0].body


def test_a_mail_waits_for_a_server_that_defers_and_gives_up_on_one_that_refuses():
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(to=("defer@example.com", "reject@example.com")), ca=smtp.ca) as logd:
        errors(logd, 1)
        eventually(lambda: {"defer@example.com", "reject@example.com"} <= set(smtp.tries), "both are tried")
        incident, = [i for i in logd.get("/v1/incidents").json()["incidents"] if i["rule"] == "db-down"]

        def states():
            return {m["to"].split("@")[0]: m["status"] for m in logd.get("/v1/incidents/" + incident["id"]).json()["mails_sent"]}
        eventually(lambda: states() == {"defer": "queued", "reject": "failed"} and "will be tried again" in logd.log(), "451 is tried again, 550 is not")
        logd.advance(31)
        eventually(lambda: [m["tries"] for m in logd.get("/v1/incidents/" + incident["id"]).json()["mails_sent"] if m["to"].startswith("defer")] == [2], "the second try")
        assert smtp.tries.count("reject@example.com") == 1


def test_a_lost_answer_repeats_the_same_message_id():
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(to=("noack@example.com",)), ca=smtp.ca) as logd:
        errors(logd, 1)
        eventually(lambda: len(smtp.inbox) >= 1 and "will be tried again" in logd.log(), "taken, but the answer is lost, and that is noted")
        logd.advance(31)
        eventually(lambda: len(smtp.inbox) == 2, "sent again")
        assert smtp.inbox[0].message["Message-ID"] == smtp.inbox[1].message["Message-ID"]


def test_a_wrong_certificate_gets_no_mail_and_no_password():
    with Smtp() as smtp, Smtp() as other, Logd(rules=RULES, config=smtp.config(), ca=other.ca) as logd:
        errors(logd, 1)
        eventually(lambda: "will be tried again" in logd.log(), "the refusal is logged")
        assert not smtp.inbox and not smtp.tries
        done = logd.command("mail", "test", "ops@example.com", check=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and "not accepted" in done.stderr, done


def test_mail_test_sends_one_mail():
    with Smtp() as smtp, Logd(config=smtp.config(), ca=smtp.ca) as logd:
        logd.command("mail", "test", "me@example.com")
        assert len(smtp.inbox) == 1 and smtp.inbox[0].rcpt == ["me@example.com"] and smtp.inbox[0].tls
        done = logd.command("mail", "test", "me@example.com\r\nRCPT TO:<you@example.com>", check=False)
        assert done.returncode == 1 and len(smtp.inbox) == 1, done


def test_resolving_an_issue_and_acknowledging_an_incident_survive_kill9():
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(), ca=smtp.ca) as logd:
        errors(logd, 3)
        issue, = eventually(lambda: logd.get("/v1/issues").json()["issues"], "the issue")
        incident, = logd.get("/v1/incidents").json()["incidents"]
        reply = logd.request("PATCH", "/v1/issues/" + issue["id"], {"state": "resolved"}, key="admin")
        assert reply.status == 200 and reply.json()["state"] == "resolved", reply
        assert logd.post("/v1/incidents/%s/ack" % incident["id"], "", key="admin").json()["state"] == "acked"
        logd.kill9_and_restart()
        assert logd.get("/v1/issues/" + issue["id"]).json()["state"] == "resolved"
        errors(logd, 1)
        back = eventually(lambda: logd.get("/v1/issues/" + issue["id"]).json()["regressed_at"] and logd.get("/v1/issues/" + issue["id"]).json(), "it came back")
        assert back["state"] == "open" and back["count"] == 4
        for who, is_who in (("ann@example.com", "ann@example.com"), (None, None)):
            assert logd.request("PATCH", "/v1/issues/" + issue["id"], {"assignee": who}, key="admin").json()["assignee"] == is_who
        for body, pointer in (({"state": "loud"}, "/state"), ({"colour": "red"}, "/colour"), ({"assignee": 7}, "/assignee"),
                              ({"state": "muted", "until": 3}, "/until"), ({"in_release": "1"}, "/in_release")):
            reply = logd.request("PATCH", "/v1/issues/" + issue["id"], body, key="admin")
            assert reply.status == 400 and reply.json()["pointer"] == pointer, reply
        assert logd.request("PATCH", "/v1/issues/0000", {"state": "open"}, key="admin").status == 404
        assert logd.request("PATCH", "/v1/issues/" + issue["id"], {"state": "open"}, key="read").status == 403


def test_a_rule_says_when_it_fired_last_and_what_went_wrong():
    slow = "- id: slow\n  why: a regular expression that runs away\n  when: message ~ \"^(a+)+$\"\n"
    with Logd(rules=RULES + slow) as logd:
        rules = lambda: {r["id"]: r for r in logd.get("/v1/rules", key="read").json()["rules"]}
        path = os.path.join(logd.folder, "rules.yaml")

        def reload(text):
            logd.configure("", text)
            logd.process.send_signal(signal.SIGHUP)

        assert [(r["file"], r["line"], r["last_fired"], r["signals"], r["last_error"]) for r in rules().values()] == [
            (path, n, None, 0, None) for n in (3, 8, 14)], rules()
        logd.post("/v1/events", [{"level": "error", "type": "db.connect.failed", "try": i} for i in range(2)])
        eventually(lambda: rules()["db-down"]["signals"] == 2, "it fired twice")
        fired = rules()["db-down"]["last_fired"]
        newest, = logd.query('type="db.connect.failed"', limit=1)
        assert newest["time"][:16] == fired[:16] and fired.endswith("Z") and rules()["many-failures"]["last_fired"] is None
        logd.kill9_and_restart()
        assert rules()["db-down"]["last_fired"] == fired and rules()["db-down"]["signals"] == 2
        logd.post("/v1/events", {"message": "a" * 2000 + "!"})
        eventually(lambda: "given up 1 times" in (rules()["slow"]["last_error"] or ""), "the runaway is told")
        assert rules()["db-down"]["last_error"] is None

        reload(RULES.replace("level >= error", "level >= loud"))
        why = eventually(lambda: logd.get("/v1/rules").json()["error"], "the refusal is told")
        assert why.startswith(path + ":5:") and "loud" in why, why
        assert {r["last_error"] for r in rules().values()} == {why} and "slow" in rules(), "the old rules stay and say why"
        reload(RULES)
        eventually(lambda: logd.get("/v1/rules").json()["error"] is None, "a good file ends it")
        assert {r["last_error"] for r in rules().values()} == {None} and rules()["db-down"]["last_fired"] == fired


def test_an_issue_knows_the_releases_it_was_seen_in():
    with Logd() as logd:
        def post(*releases):
            assert logd.post("/v1/events", [{"level": "error", "message": "boom", "release": r} for r in releases]).status == 200

        def seen():
            issues = logd.get("/v1/issues").json()["issues"]
            return issues[0]["releases"] if issues else None
        post("1.1", "1.0", "1.1")
        eventually(lambda: seen() == ["1.0", "1.1"], "both of one batch")
        logd.kill9_and_restart()
        post("1.2", "1.1")
        eventually(lambda: seen() == ["1.0", "1.1", "1.2"], "and the third")
        logd.post("/v1/events", {"level": "error", "message": "boom", "release": "1.2", "time": time.time() - 3600})
        eventually(lambda: seen() == ["1.2", "1.0", "1.1"], "an event that came late was the first of its release")
        post(*["r%d" % i for i in range(150)])
        eventually(lambda: len(seen()) == 100, "not more than a hundred")


if __name__ == "__main__":
    run(globals())
