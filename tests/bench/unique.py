"""The unique leg: what counting one more person costs, and how good the number is, beside Redis' PFCOUNT on the same ids."""
import contextlib, math, os, shutil, socket, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from intake import cpu_by_thread
from logd import TREE, Logd

OURS = os.path.join(TREE, "build/gcc-release/bench/bench_unique")
ROOT = os.path.join(TREE, "build/deps/redis")
SETS = {10: 400, 100: 400, 1000: 200, 3000: 100, 10000: 60, 100000: 20, 1000000: 4}  # size to how many of them
A_REQUEST, REQUESTS = 10000, 50


class Redis:
    """Debian's redis-server on a Unix socket, without persistence; commands go many at once."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="redis.")
        binary = os.path.realpath(os.path.join(ROOT, "usr/bin/redis-server"))
        path = os.path.join(self.folder, "sock")
        libraries = ":".join(os.path.join(ROOT, "usr/lib", d) for d in ("x86_64-linux-gnu", "aarch64-linux-gnu"))
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", self.folder], stdout=subprocess.DEVNULL,
                                        env=dict(os.environ, LD_LIBRARY_PATH=libraries), executable=binary)
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            with contextlib.suppress(OSError):
                self.socket.connect(path)
                break
            time.sleep(.02)
        self.answers = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def ask(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return int(self.answers.readline()[1:])

    def count(self, ids):
        """(estimate, bytes of the value, bytes of memory)"""
        self.ask(b"DEL", b"x")
        for at in range(0, len(ids), 5000):
            self.ask(b"PFADD", b"x", *ids[at:at + 5000])
        return self.ask(b"PFCOUNT", b"x"), self.ask(b"STRLEN", b"x"), self.ask(b"MEMORY", b"USAGE", b"x")


def errors(n, counted):
    """Root mean square and mean of the relative error, in percent; bytes on average."""
    off = [(c[0] - n) / n for c in counted]
    return 100 * math.sqrt(sum(x * x for x in off) / len(off)), 100 * sum(off) / len(off), sum(c[1] for c in counted) / len(counted)


def compare(redis):
    rows = []
    print("different people   logd: error   bias   bytes     Redis: error   bias   bytes   ratio of bytes")
    for n, sets in SETS.items():
        ours, theirs = [], []
        for _ in range(sets):
            raw = os.urandom(8 * n).hex().encode()
            ids = [raw[i:i + 16] for i in range(0, len(raw), 16)]
            done = subprocess.run([OURS, "count"], input=b"\n".join(ids) + b"\n\n", capture_output=True, check=True)
            ours.append(tuple(map(int, done.stdout.split())))
            if redis:
                theirs.append(redis.count(ids))
        row = {"n": n, "logd": errors(n, ours), "redis": errors(n, theirs) if theirs else None}
        rows.append(row)
        beside = "%12.3f %% %6.2f %7.0f %8.1f" % (*row["redis"], row["redis"][2] / row["logd"][2]) if theirs else ""
        print("%16d %12.3f %% %6.2f %7.0f   %s" % (n, *row["logd"], beside), flush=True)
    return rows


def through_the_api():
    """CPU seconds of all threads for ids in requests of 10,000: new ones, and the same again."""
    took = {}
    bodies = [b"\n".join(b'{"name":"v","type":"unique","value":"%016x","labels":{"plan":"free"}}' % (r * A_REQUEST + i) for i in range(A_REQUEST)) for r in range(REQUESTS)]
    with Logd() as logd:
        logd.key("ingest")
        for what in ("new", "again"):
            before = sum(cpu_by_thread(logd.process.pid).values())
            for body in bodies:
                assert logd.post("/v1/stats", body).json()["accepted"] == A_REQUEST
            took[what] = A_REQUEST * REQUESTS / (sum(cpu_by_thread(logd.process.pid).values()) - before)
    return took


def run():
    insert, encode, estimate, size = map(float, subprocess.run([OURS], capture_output=True, check=True).stdout.split())
    print("an id: SipHash-2-4 and sketch %.1f ns (<= 25)   a sketch: encoding %.0f us, estimate %.1f us, %.0f bytes" % (insert, encode, estimate, size))
    api = through_the_api()
    print("ids a CPU second through the API, each in 8 cells: new %.0f, again %.0f" % (api["new"], api["again"]))
    if not os.path.exists(os.path.join(ROOT, "usr/bin/redis-server")):
        print("MISSING: Redis, see tests/lib/deps.sh bench")
        return {"insert_ns": insert, "api": api, "sets": compare(None)}
    with Redis() as redis:
        return {"insert_ns": insert, "api": api, "sets": compare(redis)}
