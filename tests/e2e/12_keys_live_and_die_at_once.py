"""Apps, keys and users by the command line: beside a running server, without one, and from afar."""
import json, os, re, subprocess, sys, tempfile, threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, TREE, run

BINARY = os.environ.get("LOGD_BIN", os.path.join(TREE, "build", "logd"))


def cli(*args, input=None, env=None, cwd=None):
    done = subprocess.run([BINARY, *args], input=input, capture_output=True, text=True, timeout=60, cwd=cwd,
                          env=dict(os.environ, **(env or {})))
    for line in done.stderr.splitlines():
        assert line.startswith(("logd: ", "time=")), line
    return done


def fails(code, text, *args, **more):
    done = cli(*args, **more)
    errors = [line for line in done.stderr.splitlines() if line.startswith("logd: ")]
    assert done.returncode == code and len(errors) == 1 and text in errors[0], (args, done)
    return errors[0]


def test_key_add_prints_the_key_alone():
    with Logd() as logd:
        logd.command("app", "add", "shop")
        done = logd.command("key", "add", "--app", "shop", "--role", "ingest")
        assert re.fullmatch(r"lk_[A-Za-z0-9]{20,}\n", done.stdout) and done.stderr == "", done
        key = done.stdout.strip()
        listed = logd.command("key", "list").stdout + logd.command("app", "list").stdout
        assert key not in listed and "ingest" in listed, listed
        for name in os.listdir(logd.data):
            path = os.path.join(logd.data, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    assert key[8:].encode() not in f.read(), name


def test_app_list_shows_id_keys_and_dsn():
    with Logd() as logd:
        logd.command("app", "add", "shop")
        logd.command("key", "add", "--app", "shop", "--role", "ingest")
        lines = logd.command("app", "list").stdout.splitlines()
        assert lines[0].split() == ["ID", "APP", "KEYS", "SENTRY", "DSN"], lines
        assert lines[1].split() == ["1", "shop", "ingest-1", "http://KEY@%s:%d/1" % (logd.host, logd.port)], lines


def test_a_revoked_key_is_dead_at_once():
    with Logd() as logd:
        logd.command("app", "add", "shop")
        key = logd.command("key", "add", "--app", "shop", "--role", "admin").stdout.strip()
        for _ in range(5):
            assert logd.get("/v1/me", key=key).status == 200
        logd.command("key", "revoke", "1")
        reply = logd.get("/v1/me", key=key)
        assert reply.status == 401 and reply.json()["error"] == "this key is unknown or was revoked", reply
        again = logd.command("key", "revoke", "1", check=False)
        assert again.returncode == 1 and again.stderr == "logd: key revoke: there is no key with id 1\n", again


def test_removing_an_app_kills_its_keys():
    with Logd() as logd:
        logd.command("app", "add", "shop")
        key = logd.command("key", "add", "--app", "shop", "--role", "admin").stdout.strip()
        logd.command("app", "remove", "shop")
        assert logd.get("/v1/me", key=key).status == 401
        logd.command("app", "add", "shop")
        assert logd.get("/v1/me", key=key).status == 401


def test_a_key_opens_what_its_role_may_and_nothing_else():
    paths = [("GET", "/v1/apps"), ("POST", "/v1/apps"), ("DELETE", "/v1/apps/x"), ("GET", "/v1/keys"), ("POST", "/v1/keys"),
             ("DELETE", "/v1/keys/99"), ("GET", "/v1/users"), ("POST", "/v1/users"), ("POST", "/v1/users/a@b/password"),
             ("DELETE", "/v1/users/a@b")]
    with Logd() as logd:
        for role in ("ingest", "deploy", "read", "logins", "browser"):
            key = logd.key(role, origins=["https://a.example"] if role == "browser" else ())
            headers = {"Origin": "https://a.example"} if role == "browser" else {}
            for method, path in paths:
                reply = logd.request(method, path, "{}" if method == "POST" else None, key=key, headers=headers)
                assert reply.status == 403 and reply.json()["error"] == "a key of role %s may not do this" % role, (role, path, reply)
        for method, path in paths:
            reply = logd.request(method, path, "{}" if method == "POST" else None, key="admin")
            assert reply.status in (200, 400, 404), (method, path, reply)
            reply = logd.request(method, path, "{}" if method == "POST" else None, key=False)
            assert reply.status == 401, (method, path, reply)


def test_keys_come_in_four_ways_and_a_browser_key_only_from_its_origin():
    import base64
    with Logd() as logd:
        key = logd.key("read")
        basic = "Basic " + base64.b64encode(b"logd:" + key.encode()).decode()
        for headers in ({"Authorization": "Bearer " + key}, {"X-Logd-Key": key}, {"Authorization": basic}):
            assert logd.get("/v1/me", headers=headers, key=False).status == 200, headers
        assert logd.get("/v1/me?key=" + key, key=False).status == 403
        browser = logd.key("browser", origins=["https://a.example"])
        ok = logd.get("/v1/me?key=" + browser, key=False, headers={"Origin": "https://a.example"})
        assert ok.status == 200 and ok.json() == {"role": "browser", "rights": ["report"], "app": "shop"}, ok
        for origin in ("https://b.example", "http://a.example", "null"):
            reply = logd.get("/v1/me?key=" + browser, key=False, headers={"Origin": origin})
            assert reply.status == 403, reply
        assert logd.get("/v1/me?key=" + browser, key=False).status == 403


def test_without_a_server_the_same_commands_do_the_same():
    with tempfile.TemporaryDirectory(prefix="logd.") as folder:
        data = os.path.join(folder, "data")
        fails(1, "no data folder '%s'" % data, "app", "list", "--data", data)
        assert not os.path.exists(data)
        assert cli("app", "add", "shop", "--data", data).returncode == 0
        key = cli("key", "add", "--app", "shop", "--role", "admin", env={"LOGD_DATA": data}).stdout.strip()
        fails(1, 'app: "shop" is there already, its id is 1', "app", "add", "shop", "--data", data)
        assert "admin-1" in cli("app", "list", "--data", data).stdout
        with Logd(data=folder) as logd:
            assert logd.get("/v1/me", key=key).status == 200
            logd.command("key", "revoke", "1")
        assert "admin-1" not in cli("app", "list", "--data", data).stdout


def test_commands_at_the_same_time_wait_for_each_other():
    with tempfile.TemporaryDirectory(prefix="logd.") as folder:
        data, done = os.path.join(folder, "data"), []
        threads = [threading.Thread(target=lambda i=i: done.append(cli("app", "add", "app%d" % i, "--data", data))) for i in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert [d.returncode for d in done] == [0] * 6, done
        assert len(cli("app", "list", "--data", data).stdout.splitlines()) == 7


def test_a_data_folder_with_a_very_long_path_works():
    with tempfile.TemporaryDirectory(prefix="logd.") as folder:
        data = os.path.join(folder, *["d" * 60] * 3)
        assert cli("app", "add", "shop", "--data", data).returncode == 0
        assert "shop" in cli("app", "list", "--data", data).stdout


def test_a_remote_server_is_asked_with_a_key():
    with Logd() as logd:
        admin, read = logd.key("admin"), logd.key("read")
        assert cli("app", "add", "toys", "--server", logd.url + "/", "--key", admin).returncode == 0
        assert "toys" in cli("app", "list", "--server", logd.url, env={"LOGD_KEY": admin}).stdout
        fails(1, "a key of role read may not do this", "app", "list", "--server", logd.url, "--key", read)
        fails(1, "this key is unknown or was revoked", "app", "list", "--server", logd.url, "--key", "lk_000000000000000000000000")
        fails(2, "--server needs --key KEY, or LOGD_KEY", "app", "list", "--server", logd.url, env={"LOGD_KEY": ""})
        fails(2, "--server: expected http://HOST:PORT", "app", "list", "--server", "logs.example", "--key", admin)
        fails(2, "expected --server or a data folder, got both", "app", "list", "--server", logd.url, "--data", "x")
        fails(2, "--key goes with --server", "app", "list", "--data", "x", "--key", admin)
        line = fails(1, "GET http://127.0.0.1:1/v1/apps: ", "app", "list", "--server", "http://127.0.0.1:1", "--key", admin)
        assert admin not in line


def test_wrong_usage_is_one_line_with_the_nearest_name_and_exit_2():
    fails(2, "expected a command")
    fails(2, "logd: sevre: unknown command, did you mean serve?", "sevre")
    fails(2, "logd: xyzzy: unknown command: see logd --help", "xyzzy")
    fails(2, 'logd: key: unknown "ad", did you mean add?', "key", "ad")
    fails(2, "logd: key: expected one of add, list, revoke, got nothing", "key")
    fails(2, 'logd: key add: unknown option "--ap", did you mean --app?', "key", "add", "--ap", "shop")
    fails(2, "logd: key add: --app: expected NAME after it", "key", "add", "--app")
    fails(2, "logd: key add: expected --app NAME and --role ROLE", "key", "add", "--role", "ingest")
    fails(2, '--rate: expected N/min, such as 600/min, got "5/s"', "key", "add", "--app", "a", "--role", "ingest", "--rate", "5/s")
    fails(2, '--role: expected one of ingest, browser, deploy, read, logins, admin, got "boss"', "key", "add", "--app", "a", "--role", "boss")
    fails(2, '--role: expected one of viewer, editor, admin, got "ingest"', "user", "add", "a@b", "--role", "ingest")
    fails(2, "logd: app add: expected more: usage is logd app add NAME", "app", "add")
    fails(2, 'logd: app add: unexpected "b"', "app", "add", "a", "b")
    fails(2, '--format: expected text, ndjson or csv, got "xml"', "query", "x", "--format", "xml")
    fails(2, '--limit: expected a number of rows from 1 on, got "0"', "query", "x", "--limit", "0")
    line = fails(2, "unknown command", "a\x1b[2Jb")
    assert "\x1b" not in line and "\\x1b" in line


def test_commands_that_are_not_there_yet_say_so():
    for words in (["erase", "x"], ["doctor"], ["export"], ["import", "f"], ["backup", "f"]):
        fails(1, "not there yet in logd ", *words)


def test_version_and_help_of_every_command():
    assert re.fullmatch(r"logd \d+\.\d+\.\d+\n", cli("--version").stdout)
    commands = re.findall(r"^  ([a-z]+(?: [a-z-]+)?)(?:  |$)", cli("--help").stdout, re.M)
    assert len(commands) >= 30 and "key add" in commands and "serve" in commands, commands
    for command in commands:
        done = cli(*command.split(), "--help")
        assert done.returncode == 0 and done.stderr == "", (command, done)
        assert done.stdout.startswith("usage: logd " + command) and "\nexample:\n  " in done.stdout, done


def test_the_manual_has_every_command_option_resource_and_right():
    with open(os.path.join(TREE, "logd", "logd.8")) as f:
        manual = f.read()
    for command in re.findall(r"^  ([a-z]+(?: [a-z-]+)?)(?:  |$)", cli("--help").stdout, re.M):
        assert re.search(r"^\.It Nm Cm %s\b" % command, manual, re.M), command
        for option in re.findall(r"^  -(-[a-z-]+) ", cli(*command.split(), "--help").stdout, re.M):
            assert "Fl " + option in manual, (command, option)
    with open(os.path.join(TREE, "logd", "routes", "routes.c")) as f:
        for method, path in re.findall(r'\{HTTP_([A-Z]+), "([^"]+)"', f.read()):
            named = re.escape(method + " " + path).replace(r"\{\}", "[A-Z]+")
            assert re.search(named + r"(?![/\w])", manual), (method, path)
    table = re.search(r"\.Bl -column.*?\.El", manual, re.S)[0]
    rows = [line[4:].split(" Ta ") for line in table.splitlines() if line.startswith(".It ")]
    printed = {row[0]: [right for right, yes in zip(rows[0][1:], row[1:]) if yes == "yes"] for row in rows[1:]}
    with Logd() as logd:
        for role in ("ingest", "browser", "deploy", "read", "logins", "admin"):
            headers = {"Origin": "https://a.example"} if role == "browser" else {}
            key = logd.key(role, origins=["https://a.example"] if headers else ())
            assert logd.get("/v1/me", key=key, headers=headers).json()["rights"] == printed[role], role
    assert set(printed) == {"ingest", "browser", "deploy", "read", "logins", "viewer", "editor", "admin"}


def test_every_field_of_every_wrong_type_is_told_by_its_pointer():
    forms = {
        "/v1/apps": {"name": "a string"},
        "/v1/keys": {"app": "a string", "role": "a string", "origins": "an array of strings",
                     "per_minute": "an integer from 1 to 4294967295"},
        "/v1/users": {"email": "a string", "role": "a string", "password": "a string"},
        "/v1/users/a@b/password": {"password": "a string"},
    }
    wrong = [("null", "null"), ("true", "a boolean"), ("7", "7"), ("-1", "-1"), ("1.5", "a number with a fraction"), ('"x"', "a string"),
             ("[]", "an array"), ("{}", "an object"), ("[1]", "an array"), ("4294967296", "4294967296")]
    fits = {"a string": {'"x"'}, "an array of strings": {"[]", "[1]"}, "an integer from 1 to 4294967295": {"7"}}
    with Logd() as logd:
        for path, fields in forms.items():
            for field, expected in fields.items():
                for text, came in wrong:
                    if text in fits[expected]:
                        continue
                    reply = logd.post(path, '{"%s":%s}' % (field, text), key="admin")
                    want = {"error": "%s: expected %s, got %s" % (field, expected, came), "pointer": "/" + field}
                    assert reply.status == 400 and reply.json() == want, (path, field, text, reply)
            first = next(iter(fields))
            cases = {
                "[]": "expected a JSON object, got an array", "7": "expected a JSON object, got an integer",
                "{}": "%s: expected it, it is not there" % first,
                '{"nope":1}': 'unknown field "nope", expected ' + ", ".join(fields),
            }
            for body, error in cases.items():
                reply = logd.post(path, body, key="admin")
                assert reply.status == 400 and reply.json()["error"] == error, (path, body, reply)
            for body in ("", "{", '{"%s":"a","%s":"b"}' % (first, first), '{"%s":"\\u0000"}' % first, '{"%s":"\xff"}' % first):
                reply = logd.request("POST", path, body.encode("latin-1"), key="admin")
                assert reply.status == 400 and reply.json()["error"].startswith("expected a JSON object: "), (path, body, reply)
            reply = logd.post(path, '{"x":"' + "x" * 70000 + '"}', key="admin")
            assert reply.status == 400 and reply.json()["error"].startswith("expected a JSON object of at most 65536 bytes"), reply
        reply = logd.post("/v1/keys", '{"origins":["https://a",7]}', key="admin")
        assert reply.json() == {"error": "origins: expected a string at 1, got an integer", "pointer": "/origins/1"}, reply


def test_a_path_is_decoded_once_and_never_leaves_its_table():
    with Logd() as logd:
        for path in ("/v1/keys/..%2f..%2fetc", "/v1/keys/1%00", "/v1/keys/%31e0", "/v1/keys/-1", "/v1/keys/18446744073709551616",
                     "/v1/apps/%252e%252e", "/v1/apps/..%2f", "/v1/users/%0d%0aBcc:x@y"):
            reply = logd.request("DELETE", path, key="admin")
            assert reply.status in (400, 404), (path, reply)
            assert "\r" not in reply.text and "\n" not in reply.text.strip()


def test_a_key_over_its_quota_gets_429_with_retry_after():
    with Logd() as logd:
        key = logd.key(rate=5)
        for i in range(5):
            assert logd.post("/v1/events", {"message": str(i)}, key=key).status == 200
        reply = logd.post("/v1/events", {"message": "6"}, key=key)
        assert reply.status == 429 and 1 <= int(reply.headers["Retry-After"]) <= 12, reply


run(globals())
