"""A mail that does not get out is told of and goes another way: refused recipients, refused logins, servers that are down."""
import os, re, signal, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from hooks import Hooks
from logd import Logd, eventually, run
from smtp import Smtp

RULES = """
rules:
- id: grave
  why: it is grave
  when: level = fatal
  by: [app, type]
  rank: P1
- id: bad
  why: it is bad
  when: level = error
  by: [app, type]
  rank: P3
- id: poor
  why: it is poor
  when: level = warn
  by: [app, type]
  rank: P2
"""
HOOK = 'url: http://127.0.0.1:9\nprivate_hosts: [127.0.0.1]\nwebhooks: {{phone: {{url: "http://127.0.0.1:{0.port}/json/phone", min: {1}}}}}\n'


def post(logd, level, kind):
    assert logd.post("/v1/events", {"level": level, "type": kind, "message": kind}).status == 200


def seen(logd):
    eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"], "all is seen")


def metric(logd, name):
    return float(re.search(r"^%s (\S+)$" % name, logd.get("/metrics").text, re.M)[1])


def incidents(logd, rule):
    return [logd.get("/v1/incidents/" + i["id"]).json() for i in logd.get("/v1/incidents").json()["incidents"] if i["rule"] == rule]


def test_who_is_refused_is_told_to_the_others_and_his_mail_goes_to_the_next():
    with Smtp() as smtp, Logd(rules=RULES, config=smtp.config(to=("reject@example.com",)) + "  - {email: boss@example.com, min: P1, after: 30m}\n"
                              "  - {email: ann@example.com, min: P2, digest: never}\n", ca=smtp.ca) as logd:
        post(logd, "fatal", "a")
        mails = lambda who: [m for m in smtp.inbox if m.rcpt == [who + "@example.com"]]
        handed, = eventually(lambda: mails("boss"), "the next of the config gets the mail that was refused, though it is not his turn yet")
        assert handed.body.startswith("This was meant for reject@example.com, who could not be reached: 550 5.1.1 no such user"), handed.body
        assert "This was meant for" in handed.html and handed.subject == mails("ann")[0].subject == "[P1 shop] a: a"
        link = lambda mail: next(word for word in mail.body.split() if "/a/" in word)
        assert link(handed) != link(mails("ann")[0]), "each has a link of his own"
        eventually(lambda: len(mails("ann")) == 2, "and the others are told why")
        told = mails("ann")[1]
        assert told.subject == "[P2 logd] Mails to reject@example.com are refused" and "550 5.1.1 no such user" in told.body, told.subject
        one, = incidents(logd, "grave")
        assert [d["reason"] for d in one["decisions"] if d["verdict"] == "refused"] == [
            "the mail to reject@example.com was refused: 550 5.1.1 no such user: RCPT failed: 550; handed on to boss@example.com"], one["decisions"]
        post(logd, "error", "b")  # P3
        eventually(lambda: smtp.tries.count("reject@example.com") == 2, "the next is tried all the same")
        logd.kill9_and_restart()
        seen(logd)
        assert len(mails("boss")) == 1 and len(mails("ann")) == 2, "what is P3 is handed on to nobody who did not ask for it, and nothing is said twice"
        assert len(incidents(logd, "mail-refused")) == 1 and incidents(logd, "mail-refused")[0]["signals"] == 2


def test_a_refused_login_is_asked_once_and_what_is_urgent_goes_to_the_webhook():
    with Smtp() as smtp, Hooks() as hooks:
        config = smtp.config() + HOOK.format(hooks, "P1")
        subjects = lambda: [m["subject"] for m in hooks.bodies("/json/phone")]
        with Logd(rules=RULES, config=config.replace("s3cret", "old"), ca=smtp.ca) as logd:
            post(logd, "error", "a")
            eventually(lambda: subjects() == ["[P1 logd] Mails do not get out: the mail server refuses the login"], "it is told of; what is P3 is not for the phone")
            post(logd, "warn", "b")
            eventually(lambda: subjects()[1:] == ["[P2 shop] it is poor (app=shop type=b)"], "P2 is, when nobody else can be reached")
            post(logd, "fatal", "c")
            eventually(lambda: subjects()[2:] == ["[P1 shop] c: c"], "P1 is the phone's anyway, and comes once")
            eventually(lambda: all(m["status"] == "queued" for i in incidents(logd, "bad") + incidents(logd, "grave") for m in i["mails_sent"] if "@" in m["to"]), "none is given up")
            assert smtp.logins == 1, "the server is not asked again for each"
            logd.configure(config, RULES)
            logd.process.send_signal(signal.SIGHUP)
            eventually(lambda: sorted(m.subject for m in smtp.inbox) == ["[P1 shop] c: c", "[P2 shop] it is poor (app=shop type=b)", "[P3 shop] a: a"], "with the right password all go at once")
            assert logd.get("/healthz").status == 200
            logd.advance(3600)
            eventually(lambda: incidents(logd, "mail-stuck")[0]["state"] == "resolved" or logd.advance(600), "and it is over")


def test_a_mail_that_waits_for_ten_minutes_is_an_incident_and_shows_in_health_and_metrics():
    with Smtp() as smtp, Hooks() as hooks:
        config = smtp.config(to=("defer@example.com",)) + HOOK.format(hooks, "P1")
        with Logd(rules=RULES, config=config, ca=smtp.ca) as logd:
            post(logd, "warn", "b")
            eventually(lambda: "will be tried again" in logd.log(), "it is deferred")
            eventually(lambda: metric(logd, "logd_mails_queued") == 1, "one waits")
            assert logd.get("/healthz", key=False).status == 200 and not hooks.got
            logd.advance(601)
            eventually(lambda: [m["subject"] for m in hooks.bodies("/json/phone")] == ["[P1 logd] Mails do not get out: the mail server has not taken one for 10 minutes"],
                       "it is told of where it can be; what is P2 is not handed on yet")
            sick = eventually(lambda: logd.get("/healthz", key=False).status == 503 and logd.get("/healthz", key=False), "health says so")
            assert sick.json()["error"] == "a mail has waited for more than ten minutes: see the log", sick
            assert metric(logd, "logd_mails_oldest_seconds") > 600
            logd.kill9_and_restart()
            seen(logd)
            assert len({m["message_id"] for m in hooks.bodies("/json/phone")}) == 1, hooks.bodies("/json/phone")


def test_a_p1_that_waits_for_ten_minutes_goes_another_way():
    with Smtp() as smtp, Hooks() as hooks:
        later = HOOK.format(hooks, "P1, after: 2h")
        with Logd(rules=RULES, config=smtp.config(to=("defer@example.com",)) + later, ca=smtp.ca) as logd:
            post(logd, "fatal", "b")
            eventually(lambda: "will be tried again" in logd.log(), "it is deferred")
            logd.advance(601)
            first = eventually(lambda: hooks.bodies("/json/phone"), "the phone gets it before its time")[0]
            assert first["subject"] == "[P1 shop] b: b" and first["text"].startswith("This was meant for defer@example.com, who could not be reached: 451"), first


def test_mail_that_a_new_config_has_is_sent_without_a_restart():
    with Smtp() as smtp, Logd(rules=RULES, ca=smtp.ca) as logd:
        logd.configure(smtp.config(), RULES)
        logd.process.send_signal(signal.SIGHUP)
        eventually(lambda: "reload" in logd.log() or "config" in logd.log(), "it is read")
        post(logd, "fatal", "a")
        eventually(lambda: smtp.inbox or post(logd, "fatal", str(time.monotonic())), "the first mail")


if __name__ == "__main__":
    run(globals())
