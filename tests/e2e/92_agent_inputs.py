"""logd-agent: what is no file. Metrics of the machine, standard input, a syslog socket, commands: spooled, and sent once."""
import json, os, shutil, socket, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, eventually, run

AGENT = os.environ.get("LOGD_AGENT_BIN", os.path.join(TREE, "build", "logd-agent"))


class Agent:
    """With that config, as a dict, beside the servers, key and state it needs."""

    def __init__(self, logd, config):
        self.folder = tempfile.mkdtemp(prefix="logd-agent.")
        self.config = dict(config, servers=[logd.url], key=logd.key(), state=self.folder + "/state")

    def start(self, *args, **kwargs):
        with open(self.folder + "/agent.yaml", "w") as f:
            json.dump(self.config, f)
        self.log = open(self.folder + "/log", "a")
        self.process = subprocess.Popen([AGENT, "run", "--config", self.folder + "/agent.yaml", *args], stderr=self.log, **kwargs)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.folder)


def test_standard_input_is_sent_and_then_it_is_done():
    with Logd() as logd, tempfile.TemporaryDirectory() as folder:
        lines = "".join("line %06d %s\n" % (i, "x" * (i % 200)) for i in range(30000)) + "Error: x\n    at f (a.js:1:1)\nno end"
        done = subprocess.run([AGENT, "run", "--server", logd.url, "--state", folder + "/state", "-"], input=lines, text=True, capture_output=True,
                              env=dict(os.environ, LOGD_KEY=logd.key()), timeout=60)
        assert done.returncode == 0, done.stderr
        assert logd.count() == 30002, (logd.count(), done.stderr)
        got = [r["message"] for r in sorted(logd.query("", limit=100000), key=lambda r: r["id"])]
        assert got == lines.split("\n")[:30000] + ["Error: x\n    at f (a.js:1:1)", "no end"]
        assert logd.count("service=stdin") == 30002 and logd.count("file:*") == 0


def test_a_spool_that_was_taken_is_empty():
    with Logd() as logd, tempfile.TemporaryDirectory() as folder:
        lines = ("x" * 990 + "\n") * 20000  # more than two of its files, which differ in nothing
        done = subprocess.run([AGENT, "run", "--server", logd.url, "--state", folder + "/state", "-"], input=lines, text=True, capture_output=True,
                              env=dict(os.environ, LOGD_KEY=logd.key()), timeout=60)
        assert done.returncode == 0 and logd.count() == 20000, (done.stderr, logd.count())
        assert os.listdir(folder + "/state/spool") == ["stdin.log"] and "dropped" not in done.stderr, (os.listdir(folder + "/state/spool"), done.stderr)


def test_a_machine_tells_what_it_is_doing():
    with Logd() as logd, Agent(logd, {"host": {"every": "1s", "units": ["no-such.service"]}}):
        eventually(lambda: logd.count("type=host.metrics host.cpu_pct:*") >= 1, "two samples, so that there are rates", 20)
        (machine,) = logd.query("type=host.metrics host.cpu_pct:* | limit 1")
        with open("/proc/meminfo") as f:
            memory = {line.split(":")[0]: int(line.split()[1]) for line in f}
        assert machine["host.mem_total_bytes"] == memory["MemTotal"] * 1024 and machine["host"], machine
        assert abs(machine["host.mem_available_pct"] - 100 * memory["MemAvailable"] / memory["MemTotal"]) < 20, machine
        assert 0 <= machine["host.cpu_pct"] <= 100 and machine["host.oom_kills"] >= 0 and machine["host.net_rx_bytes_s"] >= 0, machine
        for disk in logd.query("type=host.disk"):
            v = os.statvfs(disk["host.disk.mount"])
            assert abs(disk["host.disk.free_pct"] - 100 * v.f_bavail / (v.f_blocks - v.f_bfree + v.f_bavail)) < 5, disk
        (unit,) = logd.query("type=host.unit | limit 1")
        assert (unit["unit"], unit["host.unit_up"], unit["level"]) == ("no-such.service", 0, "warn"), unit


def test_messages_to_the_socket_and_lines_of_commands_survive_kills_and_an_outage():
    with Logd() as logd, tempfile.TemporaryDirectory() as folder:
        path = folder + "/log.sock"
        with Agent(logd, {"syslog": path, "exec": [{"name": "queue", "command": "echo 3 mails; echo '    of them old'", "every": "1h"}]}) as agent:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

            def send(i):
                s.connect(path)
                s.send(b"<13>Nov 26 02:00:00 shop[42]: message %d\nsecond line" % i)

            eventually(lambda: os.path.exists(path), "it listens")
            eventually(lambda: logd.count("service=queue") == 1, "what the command printed, as one event")
            assert logd.query("service=queue")[0]["message"] == "3 mails\n    of them old"
            for i in range(50):
                send(i)
            logd.kill9()
            for i in range(50, 100):
                send(i)
            time.sleep(.2)  # the agent has them in its spool
            agent.process.kill()
            agent.process.wait()
            logd.start()
            agent.config.update(servers=[logd.url], exec=[])
            os.unlink(path)
            agent.start()
            eventually(lambda: os.path.exists(path), "it listens again")
            send(100)
            eventually(lambda: logd.count("service=shop") >= 101, "all of them", 20)
            rows = sorted(logd.query("service=shop", limit=1000), key=lambda r: r["id"])
            assert [r["message"] for r in rows] == ["message %d#012second line" % i for i in range(101)], rows[-3:]
            assert all(r["pid"] == 42 and r["level"] == "notice" for r in rows)


def test_a_command_can_be_ended_and_one_that_hangs_or_never_stops_is():
    def exec(name, command, every="1h", timeout="1m"):
        return {"name": name, "command": command, "every": every, "timeout": timeout}

    with Logd() as logd, Agent(logd, {"exec": [exec("signals", "grep -E '^Sig(Blk|Ign)' /proc/self/status; cat"), exec("endless", "exec yes logged"),
                                              exec("slow", "echo begun; exec sleep 1000", "1s", "1s")]}) as agent:
        eventually(lambda: logd.count("service=signals") == 2, "what it may not do, and standard input is empty")
        masks = [int(r["message"].split()[1], 16) for r in logd.query("service=signals")]
        assert all(mask & 0xffff == 0 for mask in masks), masks
        eventually(lambda: logd.count("service=endless") > 100000, "the first of what has no end", 30)
        eventually(lambda: logd.count("service=slow") >= 2, "what hung was ended, and ran again", 20)
        names = subprocess.run(["ps", "-o", "comm=", "--ppid", str(agent.process.pid)], capture_output=True, text=True).stdout.split()
        assert "yes" not in names and names.count("sleep") <= 1, names


if __name__ == "__main__":
    run(globals())
