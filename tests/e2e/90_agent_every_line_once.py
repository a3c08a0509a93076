"""logd-agent: every line arrives once and in order, whatever happens to its files, to itself, to the server and between.

LOGD_ROUNDS=200 plays that many rounds (2); LOGD_SEED=n the round with that seed."""
import contextlib, gzip, json, os, random, re, shutil, signal, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import SLOW, TREE, Logd, eventually, run
from proxy import Proxy

AGENT = os.environ.get("LOGD_AGENT_BIN", os.path.join(TREE, "build", "logd-agent"))


class Agent:
    """A real agent with a state folder of its own, beside the folder `logs` that it follows."""

    def __init__(self, logd, *servers, files=("*.log",), args=(), key=None):
        self.folder = tempfile.mkdtemp(prefix="logd-agent.")
        self.logs, self.state = os.path.join(self.folder, "logs"), os.path.join(self.folder, "state")
        self.log_path = os.path.join(self.folder, "log")
        os.mkdir(self.logs)
        self.command = [AGENT, "run", "--state", self.state, *args]
        for server in servers or (logd.url,):
            self.command += ["--server", server]
        self.command += [os.path.join(self.logs, f) for f in files]
        self.env = dict(os.environ, LOGD_KEY=key or logd.key())
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def start(self):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(self.command, stderr=log, env=self.env)

    def stop(self):
        self.process.terminate()
        code = self.process.wait(20 * SLOW)
        assert code == 0, (code, self.log()[-2000:])

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        with open(self.log_path) as f:
            return f.read()

    def path(self, name):
        return os.path.join(self.logs, name)

    def write(self, name, data, mode="ab"):
        with open(self.path(name), mode) as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    def status(self):
        return subprocess.run([AGENT, "status", "--state", self.state], capture_output=True, text=True, check=True).stdout

    def ledger(self, name):
        """{read, sent, acknowledged, dropped, lag} of a file."""
        row = [line.split() for line in self.status().splitlines() if line.endswith("/" + name)]
        return dict(zip(("read", "sent", "acknowledged", "dropped", "lag"), map(int, row[0][:5]))) if row else None

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.kill() if kind else self.stop()
            self.process.wait()
        if kind:
            print("".join("  agent: " + line + "\n" for line in self.log().splitlines()[-40:]))
            with contextlib.suppress(OSError), open(os.path.join(self.state, "state"), "rb") as f:
                print("".join("  state: " + line.decode() + "\n" for line in f.read().split(b"\n\n")[0].splitlines()))
            print("".join("  %d %9d %.6f %s\n" % (f.stat().st_ino, f.stat().st_size, f.stat().st_mtime, f.name) for f in sorted(os.scandir(self.logs), key=lambda f: f.name)))
        elif "Sanitizer" in self.log():
            raise AssertionError(self.log()[-4000:])
        shutil.rmtree(self.folder, ignore_errors=True)


def messages(logd, q=""):
    """All messages in the order they were taken."""
    rows = logd.query(q, limit=100000)
    return [r["message"] for r in sorted(rows, key=lambda r: r["id"])]


def arrive(logd, expected, what):
    try:
        eventually(lambda: logd.count() >= len(expected), what, 20)
    finally:
        got = messages(logd)
        assert got == expected, "%s: expected %s, got %s" % (what, expected[:20], got[:20])


def test_lines_become_events_with_their_file_and_host():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("nginx.log", b'one\r\n\n  \nbad \xff and \0 in it\n{"message":"json","http":{"status":200}}\n{"no json\nno end')
        eventually(lambda: logd.count() == 4, "whole lines arrive")
        rows = sorted(logd.query(""), key=lambda r: r["id"])
        assert [r["message"] for r in rows] == ["one", "bad \ufffd and \0 in it", "json", '{"no json'], rows
        assert rows[2]["http.status"] == 200 and {r["file"] for r in rows} == {agent.path("nginx.log")}, rows
        assert len({r["host"] for r in rows}) == 1 and rows[0]["host"], rows
        agent.write("nginx.log", b" yet\n" + b"x" * 400000 + b"\nnext\n")
        eventually(lambda: logd.count() == 7, "a line that was not whole came with its end")
        rows = sorted(logd.query(""), key=lambda r: r["id"])[4:]
        assert [r["message"] for r in rows] == ["no end yet", "x" * (160 << 10), "next"] and rows[1]["truncated"] is True, rows
        agent.stop()
        assert agent.ledger("nginx.log") == {"read": 9, "sent": 7, "acknowledged": 7, "dropped": 0, "lag": 0}, agent.status()


def test_what_happens_to_files_while_nobody_looks_is_caught_up_with():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("app.log", "1 of the first file\n2\n")
        arrive(logd, ["1 of the first file", "2"], "the first file")
        agent.kill9()
        agent.write("app.log", "3\n")
        os.rename(agent.path("app.log"), agent.path("app.log.3"))
        agent.write("app.log.2", "4 was rotated away unseen\n5 without end")
        with gzip.open(agent.path("app.log.1.gz"), "wb") as f:
            f.write(b"6 was compressed too\n")
        with open(agent.path("app.log.3"), "rb") as old, gzip.open(agent.path("app.log.3.gz"), "wb") as f:
            f.write(old.read())
        shutil.copystat(agent.path("app.log.3"), agent.path("app.log.3.gz"))
        os.remove(agent.path("app.log.3"))
        agent.write("app.log", "7\n")
        agent.start()
        eventually(lambda: logd.count() >= 6, "all but the line without end")
        got = messages(logd)
        assert sorted(got) == ["1 of the first file", "2", "3", "4 was rotated away unseen", "6 was compressed too", "7"], got


def test_a_file_that_was_missed_is_known_by_its_bytes_before_it_is_read():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("app.log", "1\n")
        arrive(logd, ["1"], "the first line")
        logd.kill9()
        agent.write("app.log", "2\n")
        eventually(lambda: "no answer" in agent.log(), "a batch waits")
        agent.kill9()
        os.rename(agent.path("app.log"), agent.path("app.log.3"))
        for name, text in ("app.log.2", "3\n"), ("app.log.1", "4\n"), ("app.log", "5\n"):
            time.sleep(.02)  # they differ in age
            agent.write(name, text)
        agent.start()
        eventually(lambda: "not seen before" in agent.log() and b"app.log.2" in open(agent.state + "/state", "rb").read(), "it is found, and not read yet")
        agent.kill9()
        subprocess.run(["gzip", agent.path("app.log.2")], check=True)
        logd.start()
        agent.command[agent.command.index("--server") + 1] = logd.url
        agent.start()
        arrive(logd, ["1", "2", "3", "4", "5"], "what was compressed meanwhile too")


def test_what_begins_like_the_live_file_is_no_copy_of_it():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("app.log", "a 1\n")
        arrive(logd, ["a 1"], "the first line")
        agent.kill9()
        os.rename(agent.path("app.log"), agent.path("app.log.2"))
        agent.write("app.log.1", "a 2\n")
        subprocess.run(["gzip", agent.path("app.log.1")], check=True)
        agent.write("app.log", "a ")
        agent.start()
        arrive(logd, ["a 1", "a 2"], "the file that was missed")


def test_of_a_file_whose_start_was_seen_nothing_is_missing_once_it_is_read_elsewhere():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("app.log", "1\n")
        arrive(logd, ["1"], "the first line")
        os.rename(agent.path("app.log"), agent.path("app.log.3"))
        agent.write("app.log", "2 has no e")
        eventually(lambda: (agent.ledger("app.log") or {}).get("lag") == 10, "its start is known")
        agent.kill9()
        agent.write("app.log", "nd yet\n" + "3\n" * 50)
        shutil.copy(agent.path("app.log"), agent.path("app.log.2"))
        os.remove(agent.path("app.log"))
        agent.write("app.log", "4\n")
        agent.start()
        arrive(logd, ["1", "2 has no end yet"] + ["3"] * 50 + ["4"], "each line once")
        time.sleep(4)  # longer than anything is looked for
        assert "gone before it was read" not in agent.log(), agent.log()
        assert agent.ledger("app.log")["lag"] == 0, agent.status()


def test_what_is_gone_is_given_up_in_the_ledger_too():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("app.log", "it has no ")
        eventually(lambda: os.path.exists(agent.state + "/state") and (agent.ledger("app.log") or {}).get("lag") == 10, "its start is known")
        agent.kill9()
        os.rename(agent.path("app.log"), os.path.join(agent.folder, "elsewhere"))  # its inode is not given away
        agent.write("app.log", "")
        agent.start()
        eventually(lambda: "gone before it was read to its end" in agent.log(), "that is said")
        eventually(lambda: agent.ledger("app.log")["lag"] == 0, "and no longer waited for")


def test_of_an_empty_file_nothing_is_known_but_its_name():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("a.log", "")
        agent.write("b.log", "1\n")
        arrive(logd, ["1"], "the only line")
        eventually(lambda: agent.ledger("a.log"), "the empty file is known")
        agent.kill9()
        os.rename(agent.path("b.log"), agent.path("b.log.2"))
        os.rename(agent.path("a.log"), agent.path("b.log.1"))  # as when its inode was given away
        agent.write("b.log.1", "2\n")
        agent.write("a.log", "")
        agent.write("b.log", "3\n")
        agent.start()
        arrive(logd, ["1", "2", "3"], "each line once")
        time.sleep(.6)  # two more looks
        assert messages(logd) == ["1", "2", "3"], messages(logd)


def test_a_reused_inode_a_symlink_and_a_copy_are_told_apart():
    with Logd() as logd, Agent(logd) as agent:
        agent.write("real.txt", "1\n")
        os.symlink("real.txt", agent.path("app.log"))
        os.link(agent.path("real.txt"), agent.path("same.log"))
        arrive(logd, ["1"], "a file with two names is read once")
        agent.kill9()
        inode = os.stat(agent.path("real.txt")).st_ino
        with open(agent.path("real.txt"), "r+b") as f:  # as good as a new file that got the number of an old one
            f.write(b"2 other bytes\n")
        assert os.stat(agent.path("real.txt")).st_ino == inode
        agent.start()
        arrive(logd, ["1", "2 other bytes"], "new bytes under an old number")
        shutil.copy(agent.path("real.txt"), agent.path("app.log.1"))
        os.truncate(agent.path("real.txt"), 0)
        agent.write("real.txt", "3 is longer than what was there\n")
        arrive(logd, ["1", "2 other bytes", "3 is longer than what was there"], "a copy is not read again")


def test_files_appear_later_and_are_removed():
    with Logd() as logd, Agent(logd, files=("*.log", "*/*.log")) as agent:
        os.mkdir(agent.path("sub"))
        agent.write("sub/later.log", "1\n")
        arrive(logd, ["1"], "a file in a new folder")
        os.remove(agent.path("sub/later.log"))
        agent.write("sub/later.log", "2\n")
        arrive(logd, ["1", "2"], "removed and made again")


def test_a_refused_line_is_said_and_holds_nothing_up():
    with Logd(config="limits: {event: 2000}\n") as logd, Agent(logd) as agent:
        agent.write("app.log", '{"level":"loud","message":"x"}\n' + "y" * 3000 + '\n{"message":"good"}\n')
        arrive(logd, ['{"level":"loud","message":"x"}', "good"], "what makes no event, as text, and the other line")
        eventually(lambda: agent.ledger("app.log") == {"read": 3, "sent": 3, "acknowledged": 2, "dropped": 1, "lag": 0}, agent.status())
        assert "2000 bytes" in agent.log(), agent.log()
        assert "expected one of" in logd.query("level:*")[-1].get("parse_error", "") + logd.query("parse_error:*")[0]["parse_error"]


def test_a_wrong_key_keeps_the_lines_until_it_is_right():
    with Logd() as logd, Agent(logd, key="lk_" + "x" * 24) as agent:
        agent.write("app.log", "1\n")
        eventually(lambda: "status=401" in agent.log(), "it says what is wrong")
        agent.kill9()
        assert agent.ledger("app.log")["acknowledged"] == 0
        agent.env["LOGD_KEY"] = logd.key()
        agent.start()
        arrive(logd, ["1"], "the line, with the right key")


def test_the_next_server_takes_over():
    with Logd() as logd, Agent(logd, "http://127.0.0.1:1", logd.url) as agent:
        agent.write("app.log", "1\n")
        arrive(logd, ["1"], "by the second server")


def test_wrong_usage_is_one_sentence():
    for args, text in ((["run", "x"], "--server is missing"), (["run", "--server", "http://h", "x"], "--key is missing"),
                       (["run", "--server", "ftp://h", "--key", "k", "x"], "expected http://HOST:PORT"), (["run", "--server", "http://h", "--key", "k"], "expected files"),
                       (["run", "--severity"], "unknown option --severity")):
        done = subprocess.run([AGENT, *args], capture_output=True, text=True, env={})
        assert done.returncode == 2 and text in done.stderr and done.stderr.count("\n") == 1, done
    assert subprocess.run([AGENT, "--version"], capture_output=True, text=True).stdout.startswith("logd-agent ")


def test_a_look_that_took_long_puts_the_next_one_off_a_little_only():
    with Logd() as logd, Agent(logd) as agent:
        agent.kill9()
        for i in range(1500):
            agent.write("%04d.log" % i, "")
        agent.start()
        opened = lambda: len(os.listdir("/proc/%d/fd" % agent.process.pid))
        while opened() < 100:
            pass
        agent.process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        within = opened() < 1400
        agent.process.send_signal(signal.SIGCONT)
        agent.write("0000.log", "Error: x\n    at f (a.js:1:1)\n")
        eventually(lambda: logd.count() == 1, "the line" + " after a look of a second" * within)


class Writer(threading.Thread):
    """Writes numbered lines to its file, sometimes half of one first, and rotates it in its own manner."""

    def __init__(self, folder, name, how, seed):
        super().__init__(daemon=True)
        self.path, self.how, self.random = os.path.join(folder, name), how, random.Random(seed)
        self.lines, self.rotated, self.halt = [], 0, threading.Event()
        self.file = open(self.path, "ab", 0)

    def run(self):
        while not self.halt.is_set():
            for _ in range(self.random.randrange(1, 40)):
                self.line()
            time.sleep(self.random.random() * .05)
            if self.random.random() < .12:
                self.rotate()
        self.file.close()

    def line(self):
        line = "%s %06d %s" % (os.path.basename(self.path), len(self.lines), "x" * self.random.randrange(100))
        self.lines.append(line)
        data, at = line.encode() + b"\n", self.random.randrange(len(line))
        if self.random.random() < .1:
            self.file.write(data[:at])
            time.sleep(self.random.random() * .02)
            data = data[at:]
        self.file.write(data)

    def rotate(self):
        self.rotated += 1
        old = "%s.%06d" % (self.path, self.rotated)
        if self.how == "copytruncate":
            shutil.copy(self.path, old)
            os.truncate(self.path, 0)
            return
        os.rename(self.path, old)
        if self.how == "rename late":  # the writer learns of it later
            for _ in range(self.random.randrange(5)):
                self.line()
        self.file.close()
        self.file = open(self.path, "ab", 0)
        if self.how == "compress":
            subprocess.run(["gzip", old], check=True)


HOWS = ("rename", "rename late", "copytruncate", "compress")


def one_round(seed, seconds=2.0):
    rnd = random.Random(seed)
    with Logd() as logd, Proxy(lambda: (logd.host, logd.port), seed, refuse=.1, cut=.05, lose=.2, delay=.1) as proxy, Agent(logd, proxy.url) as agent:
        writers = [Writer(agent.logs, "w%d.log" % i, how, seed + i) for i, how in enumerate(HOWS)]
        eventually(lambda: os.path.exists(agent.state + "/state") and all(agent.ledger("w%d.log" % i) for i in range(len(HOWS))), "the files are known")
        for w in writers:
            w.start()
        end = time.monotonic() + seconds
        kills = [0, 0]
        while time.monotonic() < end:
            time.sleep(rnd.random() * .6)
            who = rnd.randrange(3)
            if who != 1:
                agent.kill9()
                kills[0] += 1
                for i, w in enumerate(writers):
                    so_far = agent.ledger("w%d.log" % i)
                    assert so_far["acknowledged"] <= so_far["sent"] <= so_far["read"] <= len(w.lines) and so_far["dropped"] == 0, (w.how, so_far, len(w.lines))
                time.sleep(rnd.random() * .2)
            if who != 0:
                logd.kill9_and_restart()
                kills[1] += 1
            if who != 1:
                agent.start()
        for w in writers:
            w.halt.set()
        for w in writers:
            w.join()
        proxy.heal()
        expected = {line for w in writers for line in w.lines}
        with contextlib.suppress(AssertionError):
            eventually(lambda: set(messages(logd)) >= expected, "all of it", 20)
        got = messages(logd)
        for w in writers:
            name = os.path.basename(w.path)
            mine = [m for m in got if m.startswith(name)]
            assert mine == w.lines, "%s (%s): %s" % (name, w.how, difference(w.lines, mine))
        truth = [{"read": len(w.lines), "sent": len(w.lines), "acknowledged": len(w.lines), "dropped": 0, "lag": 0} for w in writers]
        ledger = lambda: [agent.ledger("w%d.log" % i) for i in range(len(writers))]
        with contextlib.suppress(AssertionError):
            eventually(lambda: ledger() == truth, "what was taken is told, and what was looked for and is nowhere given up", 15)
        agent.stop()
        (told,) = logd.get("/v1/agents", key=logd.key("read")).json()["agents"]
        told = {os.path.basename(s.pop("file")): s for s in told["sources"]}
        told = [dict(told["w%d.log" % i], lag=0) for i in range(len(writers))]  # which is told later
        assert ledger() == truth == told, "the ledger is %s, at the server %s, the truth %s" % (ledger(), told, truth)
    return len(expected), kills, dict(proxy.done)


def difference(expected, got):
    lost, extra = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    twice = sorted({m for m in got if got.count(m) > 1}) if len(got) != len(set(got)) else []
    wrong = [(a, b) for a, b in zip(got, got[1:]) if a > b]
    return "of %d lines %d are lost %s, %d came twice %s, %d were never written %s, %d out of order %s" % (
        len(expected), len(lost), lost[:3], len(twice), twice[:3], len(extra), extra[:3], len(wrong), [(a[:13], b[:13]) for a, b in wrong[:3]])


def test_every_line_once_and_in_order_through_kill9_rotation_and_lost_answers():
    first = int(os.environ.get("LOGD_SEED", random.randrange(1 << 30)))
    rounds = 1 if "LOGD_SEED" in os.environ else int(os.environ.get("LOGD_ROUNDS", "2"))
    for seed in range(first, first + rounds):
        print("seed %d" % seed, flush=True)
        print("  %d lines, kills of agent and logd %s, %s" % one_round(seed), flush=True)


if __name__ == "__main__":
    run(globals())
