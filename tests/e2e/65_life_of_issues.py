"""Issues live: resolved (in a release), muted, assigned, commented, merged and split, many at once; users and hours counted, samples kept. All of it
is there after kill -9 and after a restore."""
import collections, datetime, json, os, random, shutil, sqlite3, sys, time, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run

RULES = """rules:
- id: new-error
  why: an error that was never seen before
  when: level >= error
  by: [app, fingerprint]
  new: {}
  rank: P3
  digest: 1m
"""


def at(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def error(message, seconds=0, **more):
    return {"level": "error", "time": at(seconds), "message": message, **more}


class Shop(Logd):
    def send(self, *events):
        r = self.post("/v1/events", list(events))
        assert r.status == 200 and r.json()["accepted"] == len(events), r.text

    def all(self, q="", **params):
        r = self.get("/v1/issues?" + urllib.parse.urlencode({"state": "all", "q": q, **params}))
        assert r.status == 200, r.text
        return r.json()["issues"]

    def named(self, title, count=1):
        """The issue with that title, once it has so many events."""
        return eventually(lambda: [i for i in self.all() if i["title"] == title and i["count"] >= count], f"{count} of {title!r}")[0]["id"]

    def issue(self, id):
        r = self.get(f"/v1/issues/{id}")
        assert r.status == 200, r.text
        return r.json()

    def change(self, id, status=200, **body):
        r = self.request("PATCH", f"/v1/issues/{id}", body)
        assert r.status == status, r.text
        return r.json()

    def act(self, path, body, status=200):
        r = self.post("/v1/issues/" + path, body, key="admin")
        assert r.status == status, r.text
        return r.json()

    def state(self, id, count):
        return eventually(lambda: self.issue(id)["count"] == count and self.issue(id), f"{count} events")["state"]


def test_resolved_in_a_release_stays_so_for_older_ones_and_for_late_events():
    with Shop() as logd:
        logd.send(error("no stock", release="1.3"))
        id = logd.named("no stock")
        assert logd.change(id, state="resolved", in_release="1.10")["in_release"] == "1.10"
        logd.send(error("no stock", 5, release="1.9"), error("no stock", 5), error("no stock", -60, release="1.10"))
        assert logd.state(id, 4) == "resolved"  # older, none, late
        logd.send(error("no stock", 5, release="1.10"))
        assert logd.state(id, 5) == "open"
        issue = logd.issue(id)
        assert issue["regressed_at"] and issue["first_release"] == "1.10" and issue["last_release"] == "1.10", issue
        assert [(n["kind"], n["text"]) for n in issue["activity"]] == [("regressed", "1.10"), ("resolved", "1.10")], issue["activity"]
        # names that are no versions: by when the app was first heard of with them
        logd.send(error("other", -30, release="cafe1"))
        other = logd.named("other")
        logd.change(other, state="resolved", in_release="next")
        logd.send(error("other", 6, release="cafe1"))
        assert logd.state(other, 2) == "resolved"
        logd.kill9_and_restart()
        logd.send(error("other", 6, release="beef2"))
        assert logd.state(other, 3) == "open"


def test_muted_until_a_time_a_count_a_rate_or_users_and_no_mail_meanwhile():
    logd = Shop()
    logd.configure(f"mail: {{url: \"maildir:{logd.folder}/mails\", from: \"l@x.example\"}}\nrecipients: [{{email: a@x.example, min: P3}}]\n", RULES)
    with logd:
        def more(n, **fields):
            logd.send(*[error("slow", 5, **fields) for _ in range(n)])
        more(1)
        id = logd.named("slow")
        signals = lambda: logd.status()["signals"]
        eventually(lambda: signals()["mailed"] == 1, "the first is mailed")
        logd.change(id, state="resolved")
        logd.change(id, state="muted", until={"count": 3})
        more(2)
        assert logd.state(id, 3) == "muted" and logd.issue(id)["until"] == {"count": 3, "seen": 2}
        logd.kill9_and_restart()
        more(1)
        assert logd.state(id, 4) == "open"
        logd.change(id, state="muted", until={"users": 2})
        more(3, user="ann")
        assert logd.state(id, 7) == "muted"
        more(1, user="bob")
        assert logd.state(id, 8) == "open"
        assert logd.issue(id)["users"] == 2
        logd.change(id, state="muted", until={"users": 1})
        more(2, user="ann")
        assert logd.state(id, 10) == "muted" and logd.issue(id)["until"] == {"users": 1}
        more(1, user="carl")
        assert logd.state(id, 11) == "open" and logd.issue(id)["users"] == 3
        logd.change(id, state="muted", until={"rate": "3/day"})
        logd.send(*[error("slow", 86400 * d) for d in (0.3, 0.3)])
        assert logd.state(id, 13) == "muted"
        logd.send(error("slow", 86400 * 0.3))
        assert logd.state(id, 14) == "open"
        logd.change(id, state="muted", until={"time": "1h"})
        assert logd.issue(id)["state"] == "muted"
        logd.advance(3601)
        eventually(lambda: logd.issue(id)["state"] == "open", "an hour has passed")
        logd.change(id, state="muted")
        more(5)
        assert logd.state(id, 19) == "muted" and logd.issue(id)["until"] == {}
        assert logd.change(id, state="open")["state"] == "open"


def test_equal_errors_of_a_page_that_came_as_one_event_are_all_counted():
    with Shop() as logd:
        key = logd.key("browser", origins=["https://a.example"])

        def page(*repeated):
            body = "\n".join(json.dumps({"level": "error", "message": "again", "repeated": n}) for n in repeated)
            assert logd.post("/b?key=" + key, body, headers={"Origin": "https://a.example"}, key=False).status == 204

        page(1000)
        id = logd.named("again", 1000)
        assert logd.issue(id)["count"] == sum(h["count"] for h in logd.issue(id)["history"]) == 1000 and len(logd.issue(id)["samples"]) == 1
        logd.change(id, state="muted", until={"count": 10})
        page(9)
        assert logd.state(id, 1009) == "muted"
        page(2)
        assert logd.state(id, 1011) == "open"
        page(0, -5, 2.5, "many", None, 10**12, 10**30)  # 6 that say nothing, and one that says too much
        assert logd.state(id, 1011 + 6 + 1000000)
        logd.send(error("own repeated", repeated=50))  # of a server it is a field like any other
        assert logd.issue(logd.named("own repeated"))["count"] == 1


def test_what_is_wrong_is_told_by_field_and_value():
    with Shop() as logd:
        logd.send(error("x"), error("y"), {**error("x"), "message": "z"})
        id, y = logd.named("x"), logd.named("y")
        wrong = [({"state": "loud"}, "/state", 'state: expected "open", "resolved" or "muted", got "loud"'),
                 ({"state": None}, "/state", 'state: expected "open", "resolved" or "muted", got null'),
                 ({"color": 1}, "/color", 'unknown field "color", expected state, in_release, until or assignee'),
                 ({"state": "open", "in_release": "1"}, "/in_release", 'in_release: expected it only with "state":"resolved", got "1"'),
                 ({"state": "resolved", "in_release": 7}, "/in_release", 'in_release: expected the name of a release in at most 200 bytes, or "next", got 7'),
                 ({"until": {"count": 1}}, "/until", 'until: expected it only with "state":"muted", got {"count":1}'),
                 ({"state": "muted", "until": {"count": 1, "users": 2}}, "/until", 'until: expected an object with one of time, count, users and rate, got {"count":1,"users":2}'),
                 ({"state": "muted", "until": {"count": 0}}, "/until/count", "until/count: expected a whole number from 1 to 1000000000, got 0"),
                 ({"state": "muted", "until": {"users": "many"}}, "/until/users", 'until/users: expected a whole number from 1 to 1000000000, got "many"'),
                 ({"state": "muted", "until": {"rate": "5/week"}}, "/until/rate", 'until/rate: expected text like "100/hour" (minute, hour or day), got "5/week"'),
                 ({"state": "muted", "until": {"time": "2001-01-01T00:00:00Z"}}, "/until/time",
                  'until/time: expected a time in the future, RFC 3339 or seconds since 1970, or a duration like "2h", got "2001-01-01T00:00:00Z"'),
                 ({"assignee": "nobody"}, "/assignee", 'assignee: expected an e-mail address, or null for nobody, got "nobody"')]
        for body, pointer, text in wrong:
            assert logd.change(id, 400, **body) == {"error": text, "pointer": pointer}, (body, logd.change(id, 400, **body))
        assert logd.change("0" * 16, 404, state="open")["error"] == 'no issue has the id "0000000000000000"'
        for path, body, text in [("merge", {"into": id}, "ids: expected an array of 1 to 1000 issue ids, got nothing"),
                                 ("merge", {"ids": [id]}, "into: expected the id of an issue, got nothing"),
                                 ("merge", {"into": "f" * 16, "ids": [id]}, 'into: expected the id of an issue that is there, got "ffffffffffffffff"'),
                                 ("merge", {"into": id, "ids": [y, id]}, f"issue {id} is the one to merge into, or part of it already"),
                                 ("merge", {"into": id, "ids": ["f" * 16]}, 'no issue has the id "ffffffffffffffff"'),
                                 (id + "/split", {}, f"nothing was merged into issue {id}: there is nothing to split"),
                                 (id + "/comments", {"text": " "}, 'text: expected text, got " "'),
                                 (id + "/comments", {"text": "x" * 10001}, "text: expected at most 10000 bytes, got 10001")]:
            assert logd.act(path, body, 400)["error"] == text, logd.act(path, body, 400)
        assert logd.request("PATCH", "/v1/issues", {"state": "open"}).json()["error"] == "q: expected a filter that says which issues, got none"
        assert logd.get("/v1/issues?q=%28").status == 400 and "column" in logd.get("/v1/issues?q=%28").json()
        assert logd.post("/v1/issues/merge", {}, key="read").status == 403


def test_many_are_changed_by_one_query_in_the_language_of_all_queries():
    with Shop() as logd:
        logd.send(*[error(f"case {w}", type=f"db.{w}", user=w) for w in ("alpha", "beta", "gamma")], error("page gone", type="http"), error("page gone", type="http"))
        logd.named("http: page gone", 2)
        eventually(lambda: len(logd.all()) == 4, "four issues")
        titles = lambda q: sorted(i["title"] for i in logd.all(q))
        assert titles("type:db.*") == ["db.alpha: case alpha", "db.beta: case beta", "db.gamma: case gamma"]
        assert titles("count>1") == ["http: page gone"] and titles("gamma or users=0") == ["db.gamma: case gamma", "http: page gone"]
        r = logd.request("PATCH", "/v1/issues?q=type%3Adb.*", {"state": "resolved", "assignee": "ann@x.example"})
        assert r.json() == {"changed": 3}, r.text
        assert [i["title"] for i in logd.get("/v1/issues").json()["issues"]] == ["http: page gone"]
        assert titles("assignee=ann@x.example state=resolved") == titles("type:db.*")
        assert logd.request("PATCH", "/v1/issues?q=type%3Adb.*", {"state": "open"}).json() == {"changed": 0}  # of the open ones
        id = logd.named("http: page gone", 2)
        assert logd.command("issues", "list", "page").stdout.split("\n")[1].split()[:4] == [id, "open", "P3", "2"], logd.command("issues", "list").stdout
        logd.command("issues", "resolve", id, "--in-release", "next")
        assert logd.issue(id)["in_release"] == "next" and logd.command("issues", "list", "--state", "resolved").stdout.count("\n") == 5
        assert "no issue has the id" in logd.command("issues", "resolve", "0" * 16, check=False).stderr


def test_merged_issues_are_one_and_split_they_are_what_they_were():
    with Shop() as logd:
        logd.send(*[error("card declined by bank", -7200, user="ann", release="1", env="prod")] * 2, error("timeout of payments", -3600, user="bob", release="2", env="test"))
        a, b = logd.named("card declined by bank", 2), logd.named("timeout of payments")
        before = {i: logd.issue(i) for i in (a, b)}
        one = logd.act("merge", {"into": a, "ids": [b]})
        assert (one["id"], one["count"], one["users"], one["users_low"]) == (a, 3, 2, 1), one
        assert one["releases"] == ["1", "2"] and one["environments"] == ["prod", "test"] and [h["count"] for h in one["history"]] == [1, 2], one
        assert [m["id"] for m in one["merged"]] == [b] and logd.issue(b)["id"] == a and [i["id"] for i in logd.all()] == [a]
        assert one["latest"]["message"] == "timeout of payments" and len(one["samples"]) == 3, one
        logd.kill9_and_restart()
        logd.send(error("timeout of payments", user="bob", release="2"))
        eventually(lambda: logd.issue(a)["count"] == 4, "an event of a part counts for the whole")
        rows = logd.query("| issues")
        assert [(r["issue"], r["count"]) for r in rows] == [(a, 4)], rows
        logd.change(a, state="resolved")
        logd.send(error("timeout of payments", 5))
        assert logd.state(a, 5) == "open"
        logd.act(f"{a}/split", {})
        for i, more in ((a, 0), (b, 2)):
            now = logd.issue(i)
            assert now["count"] == before[i]["count"] + more and now["users"] == before[i]["users"] and now["merged"] == [], now
            assert now["releases"] == before[i]["releases"]
        assert sum(h["count"] for h in logd.issue(b)["history"]) == 3 and {r["issue"] for r in logd.query("| issues")} == {a, b}


def test_users_are_counted_and_nowhere_named_and_samples_outlive_the_events():
    with Shop("retention: {days: 1}\n") as logd:
        names = [f"customer-{n}@mail.example" for n in range(1000)]
        for part in range(0, 1000, 250):
            logd.send(*[error("cart is empty", -1000 + n, user=names[n], n=n) for n in range(part, part + 250)])
        logd.send(*[error("cart is empty", user=n) for n in names[:100]])
        id = logd.named("cart is empty", 1100)
        assert abs(logd.issue(id)["users"] - 1000) < 40, logd.issue(id)["users"]
        logd.restart()
        state = b""
        for name in os.listdir(logd.data):
            if name.startswith("fold.db"):
                with open(os.path.join(logd.data, name), "rb") as f:
                    state += f.read()
        kept = {n for n in names if n.encode() in state}
        assert len(kept) <= 12, kept  # the samples' own
        logd.seal()
        logd.advance(3 * 86400)
        eventually(lambda: logd.seal() or logd.count() == 0, "retention took the events")
        issue = logd.issue(id)
        assert issue["count"] == 1100 and [s.get("n") for s in issue["samples"]][0] == 0 and 4 <= len(issue["samples"]) <= 12, issue["samples"]
        assert issue["latest"]["user"] == names[99], issue["latest"]


def test_what_people_did_comes_back_from_the_archive():
    with Shop() as logd:
        where = os.path.join(logd.folder, "archive")
        logd.configure(f"archive: {{url: \"file://{where}\", every: 1h}}\n")
        logd.restart()
        logd.send(error("first thing"), error("second thing"), error("third thing"))
        ids = [logd.named(t + " thing") for t in ("first", "second", "third")]
        logd.command("archive", "ship")
        logd.act("merge", {"into": ids[0], "ids": [ids[1]]})
        logd.change(ids[2], state="muted", until={"count": 5}, assignee="ann@x.example")
        said = logd.act(f"{ids[2]}/comments", {"text": "password=hunter2hunter2 works again"})
        assert "hunter2" not in str(said["activity"]), said["activity"]
        before = [logd.issue(i) for i in ids]
        logd.command("archive", "ship")
        logd.kill9()
        shutil.rmtree(logd.data)
        logd.command("restore", "--config", logd.config_path, "--from", f"file://{where}")
        logd.start()
        after = eventually(lambda: (lambda now: now == before and now)([logd.issue(i) for i in ids]), "all that people did is there again")
        assert after[1]["id"] == ids[0] and after[2]["activity"][0]["kind"] == "comment"


def test_ten_thousand_fingerprints_are_counted_exactly_in_bounded_memory_through_kill9():
    """LOGD_EVENTS: how many (a million in `make check`)."""
    total, kinds, seed = int(os.environ.get("LOGD_EVENTS", "40000")), 10000, random.randrange(1 << 30)
    rnd, sent, most = random.Random(seed), collections.Counter(), 0
    print(f"    seed {seed}")
    with Shop() as logd:
        def memory():
            with open(f"/proc/{logd.process.pid}/statm") as f:
                return int(f.read().split()[1]) * 4096 >> 20

        def settled():
            now = logd.status()["positions"]
            return now["rules"] >= now["journal"]
        while sum(sent.values()) < total:
            batch = [rnd.randrange(kinds) for _ in range(10000)]
            body = "\n".join(f'{{"level":"error","type":"kind.{k}","message":"it failed {i} times","user":"u{rnd.randrange(50000)}"}}' for i, k in enumerate(batch))
            while (r := logd.post("/v1/events", body)).status == 503:
                time.sleep(0.1)
            assert r.status == 200, r.text
            sent.update(batch)
            most = max(most, memory())
            if sum(sent.values()) in (total // 2, total):
                logd.kill9_and_restart()
        eventually(settled, "all is counted", 120)
        with sqlite3.connect(f"file:{logd.data}/fold.db?mode=ro", uri=True) as db:
            got = {int(t.split(".")[1]): (i, n) for i, t, n in db.execute("SELECT id, type, count FROM issue")}
            hours = dict(db.execute("SELECT issue, sum(count) FROM issue_hour GROUP BY issue"))
        assert {k: n for k, (i, n) in got.items()} == dict(sent), seed
        assert all(hours[i] == n for i, n in got.values()), seed
        ids = {k: i for k, (i, n) in got.items()}
        for k in rnd.sample(sorted(ids), 3):  # the same id again
            logd.send({"level": "error", "type": f"kind.{k}", "message": "it failed 7 times"})
            eventually(lambda: logd.issue(ids[k])["count"] == sent[k] + 1, f"kind {k} is the issue it was")
        print(f"    {total} events, {len(ids)} issues, at most {most} MiB")
        assert most < 320 * float(os.environ.get("LOGD_SLOW", "1")), most


def test_another_version_of_grouping_is_previewed_and_keeps_ids():
    sanitizer = "==7==ERROR: AddressSanitizer: SEGV on address 0x6\\n    #0 0x4f in shop::pay(int) /src/shop.cpp:12:5\\n    #1 0x4f in main (/srv/shop+0x4f6b)"
    glibc = "./shop(_ZN4shop3payEi+0x1f) [0x55d0c8a0]\\n./shop(main+0x2f) [0x55d0c8f0]"

    def crash(stack):
        return error("x", error={"type": "SEGV", "stack": stack.replace("\\n", "\n"), "message": "address 0x6"})
    with Shop() as logd:
        regroup = lambda *args: json.loads(logd.command("issues", "regroup", *args).stdout)
        logd.send(crash(sanitizer), crash(glibc))
        x = logd.named("SEGV: address 0x6", 2)
        assert logd.issue(x)["why"] == "type SEGV and the top 2 frames of the app: shop::pay, main", logd.issue(x)["why"]
        said = regroup("--dry-run", "--to", "1")
        assert (said["version"], said["then"], said["events"], said["issues_now"], said["issues_then"], said["split"], said["joined"]) == (4, 1, 2, 1, 2, 1, 0), said
        assert said["split_examples"][0]["id"] == x and [o["events"] for o in said["split_examples"][0]["of"]] == [1, 1], said
        assert len(logd.all()) == 1 and regroup("--dry-run")["issues_then"] == 1
        assert regroup("--to", "1") == {"version": 1, "was": 4}
        assert "other than 1" in logd.command("issues", "regroup", "--to", "1", check=False).stderr
        logd.send(crash(sanitizer))
        logd.state(x, 3)  # the first to come keeps the id
        logd.kill9_and_restart()
        logd.send(crash(glibc))
        y, = eventually(lambda: [i["id"] for i in logd.all() if i["id"] != x], "the other begins its own")
        assert (logd.issue(x)["count"], logd.issue(y)["count"]) == (3, 1)
        said = regroup("--dry-run", "--to", "2")
        assert (said["joined"], said["split"], said["issues_now"], said["issues_then"]) == (1, 0, 2, 1), said
        regroup()
        logd.send(crash(sanitizer), crash(glibc))
        logd.state(x, 6)
        issue = logd.issue(x)
        assert [(m["id"], m["count"]) for m in issue["merged"]] == [(y, 1)] and logd.issue(y)["id"] == x, issue
        assert [(r["issue"], r["count"]) for r in logd.query("| issues")] == [(x, 6)], logd.query("| issues")


def test_an_issue_is_given_to_somebody_who_is_a_user():
    with Shop() as logd:
        logd.send(error("one"))
        id = logd.named("one", 1)
        logd.change(id, assignee="ann@example.com")  # nobody is a user yet
        logd.command("user", "add", "bob@example.com", "--role", "viewer", input="correct horse battery\n")
        want = 'assignee: expected the e-mail of a user of this server (logd user list), got "ann@example.com"'
        for path in (f"/v1/issues/{id}", "/v1/issues?q=one&state=all"):
            said = logd.request("PATCH", path, {"assignee": "ann@example.com"}, key="admin")
            assert said.status == 400 and said.json()["error"] == want, said
            assert logd.request("PATCH", path, {"assignee": "Bob@example.com"}, key="admin").status == 200
        logd.change(id, assignee=None)
        assert logd.issue(id)["assignee"] is None


def test_a_cause_is_linked_to_the_issue_that_it_makes_where_nothing_wraps_it():
    inner = "java.io.IOException: gone\n\tat a.Db.get(Db.java:3)\n\tat a.Shop.pay(Shop.java:12)"
    outer = "a.PayError: failed\n\tat a.Web.run(Web.java:40)\n\tat a.Main.main(Main.java:3)\nCaused by: " + inner
    other = {"type": "OrderError", "message": "no order", "stack": "OrderError: no order\n    at a (/srv/a.js:1:1)\n    at b (/srv/b.js:1:1)",
             "cause": {"type": "Middle", "message": "m", "cause": {"type": "Deep", "message": "d", "stack": "Deep: d\n    at x (/srv/x.js:1:1)\n    at y (/srv/y.js:1:1)"}}}
    with Shop() as logd:
        logd.send(error("x", error={"stack": outer, "type": "a.PayError", "message": "failed"}), error("y", error=other), error("z", error={**other, "type": "Second", "stack": "Second: s\n    at c (/srv/c.js:1:1)\n    at d (/srv/d.js:1:1)"}))
        pay, order, second = logd.named("a.PayError: failed", 1), logd.named("OrderError: no order", 1), logd.named("Second: no order", 1)
        told = lambda id, name: [(x["id"], x["title"], x["issue"]) for x in logd.issue(id)[name]]
        (cause, title, there), = told(pay, "caused_by")
        assert title == "java.io.IOException: gone" and not there, told(pay, "caused_by")
        assert [t[1:] for t in told(order, "caused_by")] == [("Deep: d", False)] and told(order, "same_cause") == [(second, "Second: no order", True)], logd.issue(order)
        logd.send(error("x", error={"stack": inner, "type": "java.io.IOException", "message": "gone"}))
        assert logd.named("java.io.IOException: gone", 1) == cause
        assert told(pay, "caused_by") == [(cause, "java.io.IOException: gone", True)] and told(cause, "causes") == [(pay, "a.PayError: failed", True)]
        logd.kill9_and_restart()
        assert logd.post("/v1/issues/merge", {"into": second, "ids": [cause]}, key="admin").status == 200
        assert told(pay, "caused_by") == [(second, "java.io.IOException: gone", True)] and (pay, "a.PayError: failed", True) in told(second, "causes"), logd.issue(pay)


if __name__ == "__main__":
    run(globals())
