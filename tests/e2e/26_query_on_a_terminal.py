"""logd query and logd tail: colours, tables, bars and progress on a terminal; NDJSON in a pipe."""
import json, os, re, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, fork_on_terminal, run


def terminal(logd, *args, **env):
    """(exit code, what a terminal of it showed)"""
    pid, fd = fork_on_terminal()
    if pid == 0:
        os.environ.update({"TERM": "xterm", "LC_ALL": "C.UTF-8", **env})
        os.execv(logd.binary, [logd.binary, *args, "--data", logd.data])
    shown = b""
    try:
        while True:
            shown += os.read(fd, 65536)
    except OSError:
        pass
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode().replace("\r\n", "\n")


def filled(logd):
    now = int(time.time())
    r = logd.post("/v1/events", [{"time": now - i, "level": ["info", "error", "info", "warn"][i % 4], "message": "m%d \u001b[31m" % (i % 3), "n": i, "http": {"status": [200, 500][i % 2]}} for i in range(40)])
    assert r.json()["accepted"] == 40
    return logd


def test_events_have_colours_by_level_and_theirs_do_not_get_through():
    with Logd() as logd:
        code, out = terminal(filled(logd), "query", "n<4 | sort n")
        lines = out.splitlines()
        assert code == 0 and len(lines) == 4, out
        assert "\033[31merror\033[0m" in lines[1] and "\033[33mwarn\033[0m" in lines[3] and "\033[36mshop\033[0m m0 \\x1b[31m " in lines[0], out
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            code, out = terminal(logd, "query", "n<4", **env)
            assert code == 0 and "\033" not in out and "m0 \\x1b[31m" in out, out


def test_groups_are_tables_with_bars_as_long_as_their_numbers():
    with Logd() as logd:
        code, out = terminal(filled(logd), "query", "| count by level", NO_COLOR="1")
        assert code == 0 and out == ("level  count\ninfo      20  " + "\u2588" * 24 + "\nerror     10  " + "\u2588" * 12 + "\nwarn      10  " + "\u2588" * 12 + "\n"), out
        code, out = terminal(logd, "query", "| stats max(n) as most, uniq(message) by http.status", LC_ALL="C", NO_COLOR="1")
        assert out.splitlines()[:2] == ["http.status  most  uniq(message)", "        500    39              3  " + "#" * 24], out
        code, out = terminal(logd, "query", "n<2 | fields message, nothing | sort message", NO_COLOR="1")
        assert out == "message      nothing\nm0 \\x1b[31m  -\nm1 \\x1b[31m  -\n", out
        assert logd.command("query", "| count by level", "--format", "text").stdout == "level  count\ninfo      20\nerror     10\nwarn      10\n"


def test_a_pipe_gets_ndjson_and_the_numbers_as_they_are():
    with Logd() as logd:
        filled(logd).post("/v1/events", [{"big": 9223372036854775807}, {"big": 9223372036854775807}])
        assert logd.command("query", "| stats sum(big) as s, count() as c").stdout == '{"s":18446744073709551614,"c":42}\n'
        assert [json.loads(line)["n"] for line in logd.command("query", "n<3").stdout.splitlines()] == [0, 1, 2]
        assert terminal(logd, "query", "| stats sum(big) as s, avg(n) as a", NO_COLOR="1")[1] == "%20s  %4s\n18446744073709551614  19.5\n" % ("s", "a")


def test_an_estimate_is_told_below_the_table():
    with Logd() as logd:
        logd.post("/v1/events", [{"n": i} for i in range(6000)])
        code, out = terminal(logd, "query", "| stats uniq(n)")
        assert "uniq(n) is an estimate, off by about 0.81 %" in out, out


def test_what_takes_long_says_how_far_it_is_and_that_it_is_not_all():
    with Logd(config="query_deadline: 4s\n") as logd:
        now = int(time.time())
        for k in range(30):
            logd.post("/v1/events", [{"time": now - k * 60, "m": "a" * 900 + "%d!" % i} for i in range(300)])
            logd.seal()
        code, out = terminal(logd, "query", 'm~"^(a+)+$"')
        assert code == 1 and re.search(r"\r\033\[K\[#* *\] \d+ of 30 blocks, \d+ events read, 0 found", out) and "this is not all" in out, out


def test_tail_prints_what_comes_and_ends_with_the_server():
    with Logd() as logd:
        done = logd.command("tail", "level>=", check=False)
        assert done.returncode == 1 and done.stderr.startswith("logd: tail: column 8: expected"), done
        p = subprocess.Popen([logd.binary, "tail", "level>=error", "--data", logd.data], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        eventually(lambda: "logd_tail_followers 1" in logd.get("/metrics").text, "it follows")
        logd.post("/v1/events", [{"level": "info", "message": "no"}, {"level": "error", "message": "yes"}])
        assert json.loads(p.stdout.readline())["message"] == "yes"
        logd.stop()
        out, err = p.communicate(timeout=20)
        assert p.returncode == 1 and out == "" and err == "logd: tail: the server stopped\n", (out, err)
        done = logd.command("tail", check=False)
        assert done.returncode == 1 and done.stderr == "logd: tail: no server runs on the data folder, so nothing new comes\n", done


if __name__ == "__main__":
    run(globals())
