"""Signing in: the first user by a link, sessions that end when they should, guesses that cost more and more."""
import http.cookies, json, os, re, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, fork_on_terminal, run

GOOD = "correct horse"


class Browser:
    """Keeps the cookie and the token like the page does."""

    def __init__(self, logd):
        self.logd, self.cookie, self.csrf, self.set_cookie = logd, None, None, None

    def send(self, method, path, body=None, headers=None, csrf=True):
        headers = dict(headers or {})
        if self.cookie:
            headers["Cookie"] = "theme=dark; logd_session=%s; x=y" % self.cookie
        if csrf and self.csrf:
            headers["X-CSRF-Token"] = self.csrf
        reply = self.logd.request(method, path, body, headers=headers, key=False)
        if reply.headers["Set-Cookie"]:
            self.set_cookie = reply.headers["Set-Cookie"]
            self.cookie = http.cookies.SimpleCookie(self.set_cookie)["logd_session"].value
        if reply.status == 200 and reply.headers["Set-Cookie"] and "csrf" in reply.json():
            self.csrf = reply.json()["csrf"]
        return reply

    def login(self, email="ann@example.com", password=GOOD):
        return self.send("POST", "/login", {"email": email, "password": password})

    def me(self):
        return self.send("GET", "/v1/me")


def add_user(logd, email="ann@example.com", role="admin", password=GOOD):
    logd.command("user", "add", email, "--role", role, input=password + "\n")


def test_the_first_user_comes_by_the_link_the_server_prints_once():
    with Logd() as logd:
        token = eventually(lambda: re.search(r"/first#([0-9a-f]{64})", logd.log()), "the link")[1]
        b = Browser(logd)
        reply = b.send("POST", "/first", {"token": "0" * 64, "email": "ann@example.com", "password": GOOD})
        assert reply.status == 403, reply
        reply = b.send("POST", "/first", {"token": token, "email": "ann@example.com", "password": "short"})
        assert reply.status == 400 and reply.json()["pointer"] == "/password", reply
        reply = b.send("POST", "/first", {"token": token, "email": "ann@example.com", "password": GOOD})
        assert reply.status == 200 and reply.json()["role"] == "admin", reply
        assert b.me().json()["email"] == "ann@example.com"
        reply = b.send("POST", "/first", {"token": token, "email": "eve@example.com", "password": GOOD})
        assert reply.status == 403 and reply.json()["error"].startswith("there is a user already"), reply
        before = logd.log().count("/first")
        logd.stop()
        logd.start()
        assert logd.log().count("/first") == before
        assert b.me().status == 200  # the session survives a restart


def test_the_cookie_is_httponly_samesite_and_secure_behind_https():
    with Logd() as logd:
        add_user(logd)
        b = Browser(logd)
        assert b.login().status == 200
        assert re.fullmatch(r"logd_session=[0-9a-f]{64}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax", b.set_cookie), b.set_cookie
    with Logd(config="url: https://logs.example\n") as logd:
        add_user(logd)
        b = Browser(logd)
        assert b.login().status == 200 and b.set_cookie.endswith("; Secure"), b.set_cookie


def test_who_am_i_tells_role_and_rights():
    rights = {"viewer": ["read", "state", "logins"], "editor": ["read", "state", "logins", "edit"],
              "admin": ["read", "state", "maps", "logins", "edit", "admin"]}
    with Logd() as logd:
        assert Browser(logd).me().status == 401
        for role in rights:
            add_user(logd, role + "@example.com", role)
            b = Browser(logd)
            assert b.login(role + "@example.com").status == 200
            me = b.me().json()
            assert me == {"role": role, "rights": rights[role], "email": role + "@example.com", "csrf": b.csrf}, me
            reply = b.send("GET", "/v1/users")
            assert reply.status == (200 if role == "admin" else 403), reply
            assert b.send("POST", "/v1/events", {"message": "x"}).status == 403  # a session has no app
        assert logd.get("/v1/me", key="read").json() == {"role": "read", "rights": ["read", "state", "logins"], "app": "shop"}


def test_a_change_needs_the_token_and_our_own_page():
    with Logd() as logd:
        add_user(logd)
        b = Browser(logd)
        assert b.login().status == 200
        own, app = {"Origin": logd.url}, {"name": "shop"}
        reply = b.send("POST", "/v1/apps", app, csrf=False)
        assert reply.status == 403 and reply.json()["error"] == "X-CSRF-Token: expected the token of this session", reply
        assert b.send("POST", "/v1/apps", app, headers={"X-CSRF-Token": "0" * 64}, csrf=False).status == 403
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            assert b.send("POST", "/v1/apps", app, headers=headers).status == 403, headers
            assert Browser(logd).send("POST", "/login", {"email": "ann@example.com", "password": GOOD}, headers=headers).status == 403
        assert b.send("POST", "/logout", csrf=False).status == 403 and b.me().status == 200
        assert b.send("POST", "/v1/apps", app, headers=own).status == 201
        other = Browser(logd)
        assert other.login().status == 200
        assert b.send("DELETE", "/v1/apps/shop", headers={"X-CSRF-Token": other.csrf}, csrf=False).status == 403
        assert b.send("DELETE", "/v1/apps/shop").status == 200


def test_sessions_end_at_logout_password_change_and_removal():
    with Logd() as logd:
        add_user(logd)
        add_user(logd, "bob@example.com")
        a, b, c, bob = (Browser(logd) for _ in range(4))
        for browser in (a, b, c):
            assert browser.login().status == 200
        assert bob.login("bob@example.com").status == 200
        old = a.cookie
        assert a.send("POST", "/logout").status == 200
        a.cookie = old
        assert a.me().status == 401 and b.me().status == 200
        logd.command("user", "passwd", "ann@example.com", input="battery staple\n")
        assert b.me().status == 401 and c.me().status == 401 and bob.me().status == 200
        assert b.login().status == 401 and b.login(password="battery staple").status == 200
        logd.command("user", "remove", "ann@example.com")
        assert b.me().status == 401 and bob.me().status == 200
        assert b.login(password="battery staple").status == 401


def test_a_user_changes_his_password_with_the_old_one():
    with Logd() as logd:
        add_user(logd, role="viewer")
        a, b = Browser(logd), Browser(logd)
        assert a.login().status == 200 and b.login().status == 200
        path, new = "/v1/me/password", "battery staple"
        assert a.send("POST", path, {"old": "wrong wrong", "new": new}).status == 401
        reply = a.send("POST", path, {"old": GOOD, "new": "short"})
        assert reply.status == 400 and reply.json()["pointer"] == "/new", reply
        assert b.me().status == 200
        assert a.send("POST", path, {"old": GOOD, "new": new}).status == 200
        assert a.me().status == 200 and b.me().status == 401  # all others are out
        assert b.login().status == 401 and b.login(password=new).status == 200


def test_sign_in_says_the_same_and_takes_the_same_for_unknown_and_wrong():
    with Logd() as logd:
        add_user(logd)
        took, said = {"ann@example.com": [], "eve@example.com": []}, set()
        for _ in range(4):
            for email in took:
                start = time.monotonic()
                reply = Browser(logd).login(email, "wrong wrong")
                took[email].append(time.monotonic() - start)
                if reply.status == 401:
                    said.add(reply.text)
        assert said == {'{"error":"the e-mail or the password is wrong"}\n'}, said
        known, unknown = min(took["ann@example.com"][:2]), min(took["eve@example.com"][:2])
        assert known < 2 * unknown and unknown < 2 * known, took


def test_the_sixth_guess_waits_even_when_it_is_right():
    with Logd() as logd:
        add_user(logd)
        b = Browser(logd)
        assert [b.login(password="wrong wrong").status for _ in range(5)] == [401] * 5
        reply = b.login()
        assert reply.status == 429 and reply.headers["Retry-After"] == "1", reply
        assert reply.json()["error"].startswith("too many failed attempts, try again in "), reply
        eventually(lambda: b.login().status == 200, "the right password works after the wait")


def test_every_field_of_sign_in_is_checked():
    with Logd() as logd:
        for path, fields in (("/login", ("email", "password")), ("/first", ("token", "email", "password"))):
            for field in fields:
                for text, came in (("null", "null"), ("7", "7"), ("[]", "an array"), ("{}", "an object"), ("true", "a boolean")):
                    reply = logd.request("POST", path, '{"%s":%s}' % (field, text), key=False)
                    want = {"error": "%s: expected a string, got %s" % (field, came), "pointer": "/" + field}
                    assert reply.status == 400 and reply.json() == want, (path, field, text, reply)
            reply = logd.request("POST", path, '{"a":1}', key=False)
            assert reply.status == 400 and reply.json()["pointer"] == "/a", reply


def test_a_terminal_asks_twice_and_shows_nothing():
    def typed(logd, *lines):
        pid, fd = fork_on_terminal()
        if pid == 0:
            os.execv(logd.binary, [logd.binary, "user", "add", "tty@example.com", "--data", logd.data])
        shown = b""
        for prompt, line in zip((b"password: ", b"once more: "), lines):
            while prompt not in shown:
                shown += os.read(fd, 4096)
            os.write(fd, line.encode() + b"\n")
        try:
            while True:
                shown += os.read(fd, 4096)
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()

    with Logd() as logd:
        code, shown = typed(logd, GOOD, "another one")
        assert code == 1 and "the two passwords are not the same" in shown and GOOD not in shown, shown
        code, shown = typed(logd, GOOD, GOOD)
        assert code == 0 and GOOD not in shown, shown
        assert Browser(logd).login("tty@example.com").status == 200


def test_the_log_never_shows_passwords_cookies_or_keys():
    with Logd() as logd:
        add_user(logd)
        b = Browser(logd)
        b.login(password="wrong-wrong-secret")
        b.login()
        log = logd.log()
        assert "sign-in refused" in log
        for secret in ("wrong-wrong-secret", GOOD, b.cookie, b.csrf, "ann@example.com"):
            assert secret not in log, secret


run(globals())
