"""logd-agent: a spool that is full, a disk that is full. What says least goes first, what goes is counted, all else arrives once."""
import collections, os, random, subprocess, sys, tempfile, time
from importlib import import_module

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, eventually, run

inputs = import_module("92_agent_inputs")
SmallDisk = import_module("16_full_disk").SmallDisk
LEVELS = ["debug"] * 6 + ["info"] * 3 + ["warn"] + ["error"]


class Fed(inputs.Agent):
    """An agent that is fed by its standard input, and goes on when that ends; its server is away at first."""

    def __init__(self, logd, folder, **config):
        super().__init__(logd, dict(config, syslog=folder + "/log.sock"))
        self.config["state"], self.logd = folder + "/state", logd

    def start(self, stdin=subprocess.PIPE):
        super().start("-", stdin=stdin)

    def __enter__(self):
        self.logd.kill9()
        self.config["servers"] = ["http://127.0.0.1:1"]
        return super().__enter__()

    def feed(self, lines):
        """Lines of about a KiB: JSON with level and number. Returns the levels."""
        rnd, levels = random.Random(1), []
        for i in range(lines):
            levels.append(rnd.choice(LEVELS))
            self.process.stdin.write(b'{"level":"%s","n":%d,"message":"%s"}\n' % (levels[-1].encode(), i, b"x" * rnd.randrange(800, 1200)))
        self.process.stdin.close()
        return levels

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def server_comes_back(self):
        self.logd.start()
        self.config["servers"] = [self.logd.url]
        self.process.terminate()
        self.process.wait(20)
        self.start(subprocess.DEVNULL)

    def said(self):
        with open(self.folder + "/log") as f:
            return f.read()

    def ledger(self):
        status = subprocess.run([inputs.AGENT, "status", "--state", self.config["state"]], capture_output=True, text=True).stdout
        rows = [line.split() for line in status.splitlines() if line.endswith("/stdin.log")]
        return dict(zip(("read", "sent", "acknowledged", "dropped", "lag"), map(int, rows[0][:5]))) if rows else collections.Counter(lag=1)

    def spool_bytes(self):
        with os.scandir(self.config["state"] + "/spool") as files:
            return sum(f.stat().st_size for f in files if f.name != "thin.tmp")

    def arrived(self, levels):
        """The numbers of lines that arrived, by level; each came once and in order."""
        numbers = [r["n"] for r in sorted(self.logd.query("n:* | fields id, n", limit=100000), key=lambda r: r["id"])]
        assert numbers == sorted(set(numbers)), "in order, and once: %s" % [(a, b) for a, b in zip(numbers, numbers[1:]) if a >= b][:3]
        by = collections.defaultdict(list)
        for n in numbers:
            by[levels[n]].append(n)
        return by


def test_what_says_least_leaves_a_full_spool_first_through_kills():
    with Logd() as logd, tempfile.TemporaryDirectory() as folder, Fed(logd, folder, spool="16MiB") as agent:
        levels = agent.feed(36000)
        eventually(lambda: "events below info are dropped" in agent.said(), "it makes room", 20)
        for _ in range(3):
            time.sleep(random.random() * .3)
            agent.kill9()
            agent.start(subprocess.DEVNULL)
        eventually(lambda: agent.spool_bytes() < 18 << 20, "it holds what it may", 20)
        agent.server_comes_back()
        eventually(lambda: agent.ledger()["lag"] == 0 and agent.ledger()["acknowledged"] > 0, "the rest arrives", 30)
        by, count = agent.arrived(levels), collections.Counter(levels)
        there = {level: len(by[level]) / count[level] for level in count}
        assert there["error"] == 1 and there["debug"] <= there["info"] <= there["warn"] and there["debug"] < .5, (there, agent.said()[-2000:])
        assert "events of any level" not in agent.said(), agent.said()[-1000:]


def test_on_a_full_disk_lines_are_lost_and_counted_and_the_rest_arrives():
    with Logd() as logd, tempfile.TemporaryDirectory() as folder, SmallDisk(folder, 48) as disk, Fed(logd, disk) as agent:
        levels = agent.feed(70000)
        v = os.statvfs(disk)
        assert v.f_bavail * v.f_frsize > 4 << 20, "some of the disk is left for the state: %d" % (v.f_bavail * v.f_frsize)
        eventually(lambda: agent.ledger()["dropped"] > 0, "it is counted", 20)
        agent.server_comes_back()
        eventually(lambda: agent.ledger()["lag"] == 0 and agent.ledger()["acknowledged"] > 0, "the rest arrives", 30)
        by, count = agent.arrived(levels), collections.Counter(levels)
        there, ledger = sum(map(len, by.values())), agent.ledger()
        assert there == ledger["acknowledged"] and there + ledger["dropped"] == len(levels), (there, ledger, len(levels))


if __name__ == "__main__":
    run(globals())
