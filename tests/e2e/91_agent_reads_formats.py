"""logd-agent: what lines of files become. `logd-agent test` shows it; the same goes through a server."""
import json, os, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run, shared

AGENT = os.environ.get("LOGD_AGENT_BIN", os.path.join(TREE, "build", "logd-agent"))


def trial(lines, source=None, name="app.log", env=None, beside=None):
    """The events that `logd-agent test` makes of them; `source`: of the config, without its files; `beside`: (name, text) of another file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(lines if isinstance(lines, bytes) else lines.encode())
        if beside:
            with open(os.path.join(os.path.dirname(path), beside[0]), "w") as f:
                f.write(beside[1])
        args = [AGENT, "test", path]
        if source is not None:
            config = os.path.join(folder, "agent.yaml")
            with open(config, "w") as f:
                json.dump({"sources": [dict(source, files=[path])]}, f)
            args[2:2] = ["--config", config]
        done = subprocess.run(args, capture_output=True, text=True, env={**os.environ, "TZ": "UTC", **(env or {})})
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def messages(lines, source=None):
    return [e["message"] for e in trial(lines, source)]


def of_file(*path):
    with open(shared(*path), "rb") as f:
        return f.read()


def test_lines_of_nginx_and_apache_have_their_parts():
    for server in "nginx", "apache":
        access = of_file("data", "captures", server + "-files", "access.log")
        events = trial(access, name=server + "/access.log")
        assert len(events) == access.count(b"\n")
        for line, e in zip(access.decode(errors="replace").splitlines(), events):
            time, status = line.split("[")[1].split("]")[0], line.split('" ')[1].split()[0]
            day, month, rest = time.split("/")
            assert e["http.status"] == int(status) and e["service"] == server and e["ip"] == line.split()[0], (line, e)
            assert e["time"] == "%s-11-%sT%sZ" % (rest[:4], day, rest[5:13]) and month == "Nov", (line, e)
            if '"GET ' in line:
                assert e["http.method"] == "GET" and e["http.path"].split("?")[0] == line.split('"GET ')[1].split()[0].split("?")[0], (line, e)
        agents = {e.get("http.user_agent") for e in events}
        assert 'curl "quoted" \\ \u00fcn\u00ef' in agents, agents
        errors = trial(of_file("data", "captures", server + "-files", "error.log"))
        assert {"error", "notice"} <= {e["level"] for e in errors} and all(e["time"].startswith("2026-11-23T16:03:") for e in errors), errors
    assert all(e["http.host"] == "localhost:80" for e in trial(of_file("data", "captures", "apache-files", "vhost.log")))


def test_traces_and_partial_lines_are_one_event():
    sources = {"endswith": {"goes_on": r"\\$"}, "issue_3817_1": {"starts": r"^\[DEBUG\]|^another"}}
    with open(shared("data", "multiline", "fluentbit.jsonl")) as f:
        for case in map(json.loads, f):
            lines = "".join(line.rstrip("\n").replace("\n", "\\n") + "\n" for line in case["input"])
            got = messages(lines, sources.get(case["case"], {}))
            assert sorted(got) == sorted(text.rstrip("\n") for text in case["expected"]), (case["case"], got)
    for case, source in (("dockermode", {}), ("dockermode_splitted_line", {}), ("dockermode_multiple_lines", {"starts": r"^\d{4}-"}),
                         ("dockermode_splitted_multiple_lines", {"starts": r"^\d{4}-"})):
        expected = [json.loads(line)["log"].rstrip("\n") for line in of_file("data", "tail", "out", case + ".out").splitlines() if line.strip()]
        got = [m if not m.startswith("2020-03-24 ") else m for m in messages(of_file("data", "tail", "log", case + ".log"), dict(source, format="json"))]
        assert got == expected, (case, got)
    log = of_file("data", "captures", "python-json-loggers", "stdlib.log")
    assert [(e["level"], e["message"].count("\n")) for e in trial(log)] == [("error", 5)]


def test_a_container_is_named_and_its_time_is_kept():
    line = '{"log":"hello\\n","stream":"stderr","time":"2026-11-23T16:03:20.123456789Z"}\n'
    for path, name in (("containers/web-7d_prod_nginx-0123456789abcdef.log", "nginx"), ("pods/prod_web-7d_uid/nginx/0.log", "nginx"),
                       ("containers/0123456789abcdef/0123456789abcdef-json.log", "0123456789ab")):
        (e,) = trial(line, name=path)
        assert (e["container.name"], e["service"], e["stream"], e["time"]) == (name, name, "stderr", "2026-11-23T16:03:20.123456789Z"), e
        assert (e.get("k8s.pod.name"), e.get("k8s.namespace.name")) == (("web-7d", "prod") if name == "nginx" else (None, None)), e
    config = {"ID": "0123456789abcdef", "Name": "/shop-web-1", "Config": {"Image": "shop:3"}, "State": {}}
    (e,) = trial(line, name="containers/0123456789abcdef/0123456789abcdef-json.log", beside=("config.v2.json", json.dumps(config)))
    assert (e["container.name"], e["container.image"], e["service"]) == ("shop-web-1", "shop:3", "shop-web-1"), e
    (e,) = trial(line, name="containers/0123456789abcdef/0123456789abcdef-json.log", beside=("config.v2.json", "{no json"))
    assert e["container.name"] == "0123456789ab", e


def test_fields_are_added_renamed_and_lines_left_out():
    lines = '{"level":"debug","n":1}\n{"level":"info","n":2,"remote_addr":"10.0.0.1","env":"dev"}\n{"level":"error","n":3,"http":{"path":"/healthz"}}\n'
    got = trial(lines, {"add": {"env": "prod"}, "rename": {"remote_addr": "ip"}, "keep": "level >= info", "drop": "http.path:/healthz"})
    assert [(e["n"], e["env"], e.get("ip")) for e in got] == [(2, "dev", "10.0.0.1")], got
    many = "".join('{"level":"%s","n":%d}\n' % ("warn" if n % 100 == 0 else "info", n) for n in range(1000))
    got = trial(many, {"sample": 10})
    assert sum(e["level"] == "warn" for e in got) == 10 and sum(e["level"] == "info" for e in got) == 99, len(got)
    (e,) = trial("2026-07-01 12:00:00 ERROR x\n", {"timezone": "Europe/Amsterdam"})
    assert (e["time"], e["level"]) == ("2026-07-01T10:00:00Z", "error"), e


def test_secrets_do_not_leave_the_machine():
    lines = ('{"password":"hunter2","user":"u7","nested":{"api_key":"k1"}}\nlogin with token=SECRETTOKEN failed\n'
             '10.0.0.1 - - [23/Nov/2026:16:03:20 +0000] "GET /q?token=SECRET HTTP/1.1" 200 1 "-" "-"\n')
    got = json.dumps(trial(lines))
    assert got.count("[redacted:") >= 5 and not any(s in got for s in ("hunter2", "k1\"", "SECRETTOKEN", "token=SECRET")), got


def test_what_makes_no_event_is_sent_as_text_with_the_reason():
    bad, good = trial('{"level":"loud","message":"x"}\n{"level":"info","message":"y"}\n')
    assert bad["message"] == '{"level":"loud","message":"x"}' and "expected one of" in bad["parse_error"] and good["message"] == "y", (bad, good)


def test_a_config_is_believed_and_a_wrong_one_named():
    with Logd() as logd, tempfile.TemporaryDirectory() as folder:
        config, log = os.path.join(folder, "agent.yaml"), os.path.join(folder, "a.log")
        with open(os.path.join(folder, "key"), "w") as f:
            f.write(logd.key() + "\n")
        with open(config, "w") as f:
            f.write("servers: [%s]\nkey: {file: %s/key}\nstate: %s/state\nsources:\n- files: ['%s/*.log']\n  add: {env: prod}\n" % (logd.url, folder, folder, folder))
        with open(log, "w") as f:
            f.write("Error: x\n    at f (a.js:1:1)\nnext\n")
        agent = subprocess.Popen([AGENT, "run", "--config", config], stderr=subprocess.PIPE)
        try:
            eventually(lambda: logd.count("env=prod") == 2, "both events")
            assert sorted(r["message"] for r in logd.query("")) == ["Error: x\n    at f (a.js:1:1)", "next"]
        finally:
            agent.terminate()
            agent.communicate()
        for text, why in (("sorces: []", ':1:1: unknown key "sorces"'), ("sources:\n- files: [a]\n  format: xml\n", ':3:11: format: expected one of auto'),
                          ("sources:\n- files: [a]\n  keep: 'level >'\n", ":3:"), ("sources:\n- files: [a]\n  starts: '('\n", ":3:11: starts: "),
                          ("sources:\n- format: json\n", ":2:3: files: expected"), ("tls: {cert: a}", ":1:6: tls: cert and key: expected both"),
                          ("sources:\n- {files: a, sample: 0}", "sample"), ("sources:\n- files: [a]\n  pattern: '(a)'\n", ":3:12: pattern: expected a group with a name"),
                          ("sources:\n- files: [a]\n  format: regex\n", ":3:11: format: regex: expected a pattern too"),
                          ("sources:\n- files: [a]\n  encoding: klingon\n", ":3:13: encoding: expected the name"),
                          ("sources:\n- files: [a]\n  encoding: utf-32\n", "the byte 10 ends a line"), ("key: {env: NOT_SET_ANYWHERE}", "key: 'NOT_SET_ANYWHERE' holds none")):
            with open(config, "w") as f:
                f.write(text)
            done = subprocess.run([AGENT, "run", "--config", config], capture_output=True, text=True)
            assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1, (text, done)


def test_a_pattern_of_ones_own_makes_fields():
    (e, plain) = trial('10.0.0.1 [23/Nov/2026:16:03:20 +0100] WARN 250ms /cart: took long\nsomething else\n',
                       {"pattern": r"^(?<ip>\S+) \[(?P<time>[^]]+)\] (?<level>\w+) (?<ms>\d+)ms (?<path>\S+): (?<message>.*)(?<none>x)?$", "rename": {"path": "http.path"}})
    assert {k: v for k, v in e.items() if k not in ("host", "file", "service", "severity_number")} == {
        "ip": "10.0.0.1", "time": "2026-11-23T15:03:20Z", "level": "warn", "ms": 250, "http.path": "/cart", "message": "took long"}, e
    assert plain["message"] == "something else"
    for time, utc in (("Jul  3 12:00:00 2026", None), ("2026-07-01 12:00:00,5", "2026-07-01T10:00:00.5Z"), ("1782900000", "2026-07-01T10:00:00Z"), ("2026-01-01T12:00:00", "2026-01-01T11:00:00Z")):
        (e,) = trial(time + "|odd word|x\n", {"format": "regex", "pattern": r"^(?<time>[^|]*)\|(?<level>[^|]*)\|", "timezone": "Europe/Amsterdam", "join": "none"})
        assert (e["time"] == utc if utc else e["time_text"] == time) and e["level_text"] == "odd word" and e["message"] == time + "|odd word|x", (time, e)


def test_a_time_is_read_in_its_zone_on_both_sides_of_its_change():
    for local, utc in (("2026-03-29 01:59:59", "2026-03-29T00:59:59Z"), ("2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
                       ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z"), ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z")):
        (e,) = trial(local + " ERROR x\n", {"timezone": "Europe/Amsterdam"})
        assert e["time"] == utc and e["level"] == "error", (local, e)
        (e,) = trial(local + " ERROR x\n", env={"TZ": "Europe/Amsterdam"})  # that of the machine
        assert e["time"] == utc, (local, e)


def test_a_pattern_says_where_an_event_starts():
    lines = "preface\n=== 1\nno indent\n\n  two\n=== 2\n=== 3\nlast"
    assert messages(lines, {"starts": "^==="}) == ["preface", "=== 1\nno indent\n\n  two", "=== 2", "=== 3\nlast"]


ENCODINGS = {"generic_enc_big5": "big5", "generic_enc_gb18030": "gb18030", "generic_enc_gbk": "gbk", "generic_enc_sjis": "sjis", "generic_enc_uhc": "uhc",
             "generic_enc_win1250": "cp1250", "generic_enc_win1251": "cp1251", "generic_enc_win1252": "cp1252", "generic_enc_win1253": "cp1253",
             "generic_enc_win1254": "cp1254", "generic_enc_win1255": "cp1255", "generic_enc_win1256": "cp1256", "generic_enc_win866": "cp866",
             "generic_enc_win874": "cp874"}


def test_other_encodings_are_read():
    for case, encoding in ENCODINGS.items():
        log = of_file("data", "tail", "log", case + ".log")
        expected = [line for line in log.decode(encoding if encoding != "sjis" else "cp932").splitlines() if line.strip()]
        if case + ".out" in os.listdir(shared("data", "tail", "out")):
            theirs = [json.loads(line)["log"] for line in of_file("data", "tail", "out", case + ".out").splitlines()]
            assert expected[:len(theirs)] == theirs and len(expected) <= len(theirs) + 1, case  # a last line without end is not in theirs
        assert messages(log, {"encoding": encoding, "join": "none", "format": "plain"}) == expected and expected, case
    for case in ("unicode_c", "unicode_be_c", "unicode_j", "unicode_be_j", "unicode_subdivision_flags", "unicode_subdivision_flags_be"):
        log = of_file("data", "tail", "log", case + ".log")
        expected = [line for line in log.decode("utf-16").splitlines() if line.strip()]
        assert messages(log, {"join": "none", "format": "plain"}) == expected and expected, case
    assert messages("\ufeffa\nb\n") == ["a", "b"]
    assert messages("a\r\n\u010a\u0a0a\nb".encode("utf-16le"), {"encoding": "UTF-16LE"}) == ["a", "\u010a\u0a0a", "b"]
    assert messages(b"a\x81\n\xff\n", {"encoding": "cp1252"}) == ["a\ufffd", "\xff"]


def test_a_file_in_utf16_is_followed():
    with Logd() as logd, tempfile.TemporaryDirectory() as folder:
        log, lines = os.path.join(folder, "a.log"), ["line %d \u4e0a\u0a0a %s" % (i, "\U0001f600" * (i % 50)) for i in range(3000)]
        data = "".join(line + "\r\n" for line in lines).encode("utf-16")
        with open(log, "wb", 0) as f:
            f.write(data[:1])
            agent = subprocess.Popen([AGENT, "run", "--server", logd.url, "--state", folder + "/state", log], stderr=subprocess.DEVNULL, env=dict(os.environ, LOGD_KEY=logd.key()))
            try:
                for at in range(1, len(data), 99999):
                    f.write(data[at:at + 99999])
                    eventually(lambda: logd.count() >= data[:at + 99999].decode("utf-16", "ignore").count("\n") - 1, "the lines that are whole")
                f.write(("x" * 200000 + "\nend\n").encode("utf-16le"))
                eventually(lambda: logd.count() == 3002, "all of them")
            finally:
                agent.terminate()
                agent.wait()
        got = [r["message"] for r in sorted(logd.query("", limit=5000), key=lambda r: r["id"])]
        assert got == lines + ["x" * (80 << 10), "end"], [(a, b) for a, b in zip(got, lines) if a != b][:2]


if __name__ == "__main__":
    run(globals())
