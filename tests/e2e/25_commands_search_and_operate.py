"""The commands that read and look after a server: query, debug, mail, archive, restore; beside a server and without one."""
import csv, glob, io, json, os, re, shutil, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, fork_on_terminal, run

EVENTS = "\n".join([
    '{"level":"error","message":"esc \\u001b[31m rtl \\u202e","n":1}',
    '{"level":"info","message":"line\\nbreak, \\"quoted\\"","n":2}',
    '{"level":"warn","message":"=cmd() c1 \u009b31m","n":3}',
])


def filled(logd):
    assert logd.post("/v1/events", EVENTS).json()["accepted"] == 3
    return logd


def fails(done, text):
    assert done.returncode == 1 and done.stdout == "" and done.stderr == "logd: " + text + "\n", done


def test_text_shows_what_would_steer_a_terminal():
    with Logd() as logd:
        out = filled(logd).command("query", "app:shop", "--format", "text").stdout
        assert [line.split(" ", 3)[1:] for line in out.splitlines()] == [
            ["warn", "shop", "=cmd() c1 \\x9b31m n=3"], ["info", "shop", 'line\\nbreak, "quoted" n=2'],
            ["error", "shop", "esc \\x1b[31m rtl \\u202e n=1"]], out


def test_a_terminal_gets_no_raw_escape_in_any_format():
    with Logd() as logd:
        filled(logd)
        for form in ("text", "ndjson", "csv"):
            pid, fd = fork_on_terminal()
            if pid == 0:
                os.environ["NO_COLOR"] = "1"
                os.execv(logd.binary, [logd.binary, "query", "app:shop", "--format", form, "--data", logd.data])
            shown = b""
            try:
                while True:
                    shown += os.read(fd, 65536)
            except OSError:
                pass
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 and b"n" in shown, shown
            for raw in (b"\x1b", "\u009b".encode(), "\u202e".encode()):
                assert raw not in shown, (form, shown)


def test_a_pipe_gets_the_bytes_as_they_are():
    with Logd() as logd:
        rows = [json.loads(line) for line in filled(logd).command("query", "app:shop", "--format", "ndjson").stdout.splitlines()]
        assert [r["message"] for r in rows] == ["=cmd() c1 \u009b31m", 'line\nbreak, "quoted"', "esc \x1b[31m rtl \u202e"], rows
        out = logd.command("query", "app:shop | fields n, message", "--format", "csv").stdout
        assert out.splitlines()[0] == "n,message", out


def test_without_a_server_the_answer_is_the_same():
    with Logd() as logd:
        filled(logd)
        words = ("query", "app:shop", "--format", "ndjson")
        online = logd.command(*words).stdout
        logd.stop()
        assert logd.command(*words).stdout == online and online.count("\n") == 3


def test_all_pages_come_once_and_the_limit_holds():
    with Logd() as logd:
        logd.key()
        body = "\n".join(json.dumps({"message": 'say "%d"\nand more' % i, "n": i}) for i in range(2500))
        assert logd.post("/v1/events", body).json()["accepted"] == 2500
        for limit, want in ((2200, 2200), (1000, 1000), (5000, 2500), (1, 1)):
            out = logd.command("query", "n>=0", "--limit", str(limit), "--format", "ndjson").stdout
            assert [json.loads(line)["n"] for line in out.splitlines()] == list(range(2499, 2499 - want, -1)), limit
        out = logd.command("query", "n>=0 | fields n, message", "--limit", "2200", "--format", "csv").stdout
        rows = list(csv.reader(io.StringIO(out)))
        assert rows[0] == ["n", "message"] and len(rows) == 2201, rows[:3]
        assert rows[1:] == [[str(n), 'say "%d"\nand more' % n] for n in range(2499, 299, -1)]
        assert len(logd.command("query", "n>=0", "--limit", "1500").stdout.splitlines()) == 1500
        assert len(logd.command("query", "n>=0").stdout.splitlines()) == 100


def test_a_wrong_query_is_told_with_its_column():
    with Logd() as logd:
        done = filled(logd).command("query", "app:shop |", check=False)
        assert done.returncode == 1 and done.stderr.startswith("logd: query: column 11: expected a stage after '|'"), done
        done = logd.command("query", "x", "--from", "never", check=False)
        assert done.returncode == 1 and done.stderr.startswith("logd: query: from: expected a time as "), done


def test_a_filter_may_begin_with_a_dash():
    with Logd() as logd:
        out = filled(logd).command("query", "-level:error", "--format", "ndjson").stdout
        assert [json.loads(line)["n"] for line in out.splitlines()] == [3, 2], out
        assert "unexpected" in logd.command("query", "--", "--from", "x", check=False).stderr


def test_a_full_stdout_is_a_failure():
    with Logd() as logd:
        filled(logd)
        with open("/dev/full", "w") as full:
            done = subprocess.run([logd.binary, "query", "app:shop", "--data", logd.data], stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1 and done.stderr == "logd: query: write to stdout: No space left on device\n", done


def test_read_keys_query_from_afar_and_ingest_keys_do_not():
    with Logd() as logd:
        filled(logd)
        ask = lambda key: subprocess.run([logd.binary, "query", "n=1", "--server", logd.url, "--key", key], capture_output=True, text=True)
        assert '"n":1' in ask(logd.key("read")).stdout
        fails(ask(logd.key("ingest")), "query: a key of role ingest may not do this")


def test_mail_test_sends_one_mail_beside_a_server_and_without():
    with Logd() as logd:
        fails(logd.command("mail", "test", "ops@example.com", check=False), "mail test: no mail is configured: set mail.url, see logd.conf(5)")
    folder = None
    with Logd(config='mail: {url: "maildir:MAIL", from: "logd@example.com"}\n'.replace("MAIL", "/tmp/logd.mail.%d" % os.getpid())) as logd:
        folder = "/tmp/logd.mail.%d" % os.getpid()
        try:
            logd.command("mail", "test", "ops@example.com")
            assert len(os.listdir(folder + "/new")) == 1
            done = logd.command("mail", "test", "a b", check=False)
            assert done.returncode == 1 and "address" in done.stderr and done.stderr.count("\n") == 1, done
            logd.stop()
            logd.command("mail", "test", "ops@example.com", *logd.args)
            assert len(os.listdir(folder + "/new")) == 2
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def test_what_is_wrong_with_mail_or_archive_is_told_to_who_asks():
    with Logd(config='archive: {url: "file:///proc/none"}\nmail: {url: "smtp://127.0.0.1:1", from: "logd@example.com"}\n') as logd:
        fails(logd.command("archive", "ship", check=False), "archive ship: create folder '/proc/none': No such file or directory")
        done = logd.command("mail", "test", "ops@example.com", check=False)
        assert done.returncode == 1 and "127.0.0.1 port 1" in done.stderr and done.stderr.count("\n") == 1, done


def test_a_time_range_that_ends_before_it_begins_is_refused():
    with Logd() as logd:
        fails(logd.command("query", "x", "--from", "now", "--to=-1h", check=False), "query: from: expected a time before to, got now and -1h")


def test_no_line_of_help_ends_in_a_blank():
    with Logd() as logd:
        for command in ("", "app", "app list", "archive", "user list", "doctor"):
            done = subprocess.run([logd.binary, *command.split(), "--help"], capture_output=True, text=True)
            assert done.returncode == 0 and not [line for line in done.stdout.splitlines() if line != line.rstrip()], done.stdout


def test_an_archive_is_shipped_verified_found_damaged_and_restored():
    archive = "/tmp/logd.archive.%d" % os.getpid()
    try:
        with Logd(config='archive: {url: "file://%s"}\n' % archive) as logd:
            filled(logd)
            logd.command("archive", "ship")
            assert json.loads(logd.command("archive", "list").stdout)["objects"]
            assert json.loads(logd.command("archive", "verify").stdout)["whole"] is True
            before = logd.command("query", "app:shop", "--format", "ndjson").stdout
            new = os.path.join(logd.folder, "new")
            restore = [logd.binary, "restore", "--from", "file://" + archive, "--data", new]
            subprocess.run(restore, check=True, capture_output=True)
            after = subprocess.run([logd.binary, "query", "app:shop", "--format", "ndjson", "--data", new], capture_output=True, text=True)
            assert after.stdout == before and before.count("\n") == 3, after
            again = subprocess.run(restore, capture_output=True, text=True)
            fails(again, "restore: '%s' is not empty: restore wants an empty or a new folder" % new)
            damaged = sorted(glob.glob(archive + "/**/*.zst", recursive=True))[0]
            with open(damaged, "r+b") as f:
                f.seek(20)
                f.write(b"XXXX")
            done = logd.command("archive", "verify", check=False)
            assert done.returncode == 1 and json.loads(done.stdout)["whole"] is False, done
            assert done.stderr == 'logd: archive verify: the archive is damaged: see "damaged" above\n', done
            logd.stop()
            done = logd.command("archive", "ship", check=False)
            assert done.returncode == 1 and done.stderr.startswith("logd: archive ship: no archive is configured, or no server runs"), done
    finally:
        shutil.rmtree(archive, ignore_errors=True)


def test_debug_commands_need_no_server():
    with Logd() as logd:
        filled(logd)
        tell = lambda *words, **more: subprocess.run([logd.binary, "debug", *words], capture_output=True, text=True, cwd="/", **more)
        out = tell("parse", input='{"level":"warn","msg":"hi"}\n{"level":"loud"}\n').stdout.splitlines()
        assert json.loads(out[0])["message"] == "hi" and json.loads(out[1])["pointer"] == "/level", out
        ids = tell("group", input="user 17 failed\nuser 23 failed\ndisk full\n").stdout.split()
        assert len(ids) == 3 and ids[0] == ids[1] != ids[2], ids
        sketch = json.loads(tell("sketch", "-p", "4", input="e220a8397b1dcdaf\n6e789e6aa1b965f4\n").stdout)
        assert sketch == {"counts": [1, 1] + [0] * 47, "estimate": 2.009758, "hex": "01040002010103019e00"}, sketch
        assert json.loads(tell("sketch", input="").stdout)["hex"] == "010d0000"
        fails(tell("sketch", input="soon\n"), 'debug sketch: line 1: expected 1 to 16 hex digits, got "soon"')
        assert tell("sketch", "-p", "3", input="").returncode == 2
        with open(logd.data + "/../series.csv", "w") as f:
            f.write("time,cpu\n" + "".join(f"2026-01-01 {i // 60:02}:{i % 60:02}:00,{20 + i % 3}\n" for i in range(300)) + "2026-01-01T05:00:00Z,1e308\n2026-01-01T05:01:00Z,-1e308\n")
        rows = [line.split(",") for line in tell("detect", f.name).stdout.splitlines()]
        assert rows[0] == ["timestamp", "value", "score"] and max(float(r[2]) for r in rows[1:301]) <= 0.5 < float(rows[301][2]) <= 1, rows[299:]
        with open(f.name, "a") as f:
            f.write("soon,1\n")
        done = tell("detect", f.name)
        assert done.returncode == 1 and done.stderr == f'logd: debug detect: {f.name}:304: expected a time as RFC 3339 or epoch (s, ms, us or ns), got "soon"\n', done.stderr
        fails(tell("detect", "/nowhere"), "debug detect: open '/nowhere': No such file or directory")
        done = tell("journal", logd.data + "/journal/00000001.j")
        assert done.returncode == 0 and "3 events" in done.stdout, done
        fails(tell("journal", "/nowhere"), "debug journal: open '/nowhere': No such file or directory")
        fails(tell("segment", "/etc/passwd"), "debug segment: '/etc/passwd' is not a segment: it does not start with LOGDSEG1")
        out = tell("sql", "--schema", "level:crit user=o'hara").stdout
        assert out.startswith("CREATE TABLE events (") and out.endswith("WHERE (severity IN (18) AND ((has(sk, 'user') AND (sv[indexOf(sk, 'user')] = 'o\\'hara'))));\n"), out
        fails(tell("sql", "a or"), "debug sql: column 5: expected a filter, got the end of the query")


def test_the_shipped_rules_pass_their_own_tests():
    files = [os.path.join(TREE, name) for name in ("rules/default.yaml", "rules/demo.yaml", "tests/rules/ids.yaml")]
    done = subprocess.run([os.path.join(TREE, "build", "logd"), "rules", "test", *files], capture_output=True, text=True)
    assert done.returncode == 0 and re.search(r"\n\d\d rules, [4-9]\d tests, 0 failed\n$", done.stdout), done.stdout


run(globals())
