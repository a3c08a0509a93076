"""The corpus that the store and query legs stand on: gen.c's bytes, kept in build/bench, and what is asked of them."""
import contextlib, datetime, hashlib, json, os, re, subprocess

from logd import TREE, shared

BUILD = os.path.join(TREE, "build/gcc-release/bench")
KEPT = os.path.join(TREE, "build/bench")
APPS = "apache bluegene hdfs hpc hadoop macos sshd proxifier spark windows shop api blog cdn admin login web mobile worker mailer".split()


def epoch(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Corpus:
    """N events in a file; what questions need of it; facts about it that cost minutes are kept beside it."""

    def __init__(self, events):
        loghub = shared("data", "loghub2k")
        self.events, gen = events, os.path.join(BUILD, "gen")
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "gen.c"), "rb") as f:
            self.print = hashlib.sha256(f.read()).hexdigest()[:8]
        os.makedirs(KEPT, exist_ok=True)
        self.path = os.path.join(KEPT, f"corpus-{events}-{self.print}.ndjson")
        if not os.path.exists(self.path):
            for old in os.listdir(KEPT):
                if old.startswith(f"corpus-{events}-"):
                    os.unlink(os.path.join(KEPT, old))
            with open(self.path + ".new", "wb") as f:
                subprocess.run([gen, str(events), loghub], stdout=f, check=True)
            os.rename(self.path + ".new", self.path)
        self.bytes = os.path.getsize(self.path)
        with open(self.path, "rb") as f:
            first = json.loads(f.readline())
            f.seek(self.bytes * 6 // 10)
            self.trace_id = re.search(rb'"trace_id":"([0-9a-f]{32})"', f.read(1 << 16))[1].decode()
            f.seek(max(0, self.bytes - (1 << 16)))
            last = json.loads(f.read().splitlines()[-1])
        # one in a hundred is up to 30 s late
        self.begin, self.end = int(epoch(first["time"])) - 60, int(epoch(last["time"])) + 60
        self.window = self.begin + (self.end - self.begin) // 2, self.begin + (self.end - self.begin) * 51 // 100

    def lines(self, n):
        with open(self.path) as f:
            return [next(f).rstrip("\n") for _ in range(min(n, self.events))]

    def facts(self):
        with contextlib.suppress(FileNotFoundError), open(self.path + ".facts") as f:
            return json.load(f)
        return {}

    def fact(self, name, find):
        """What find() says, asked once for these bytes; JSON."""
        facts = self.facts()
        if name not in facts:
            facts[name] = find()
            with open(self.path + ".facts", "w") as f:
                json.dump(facts, f, indent=1)
        return facts[name]


BRUTE = "absent pair of letters, any field"  # nothing but looking through all of it can tell


class Question:
    """q: logd's query, or None for the histogram. text: lines holding it are the answer; grepped: programs are timed at it. sql: for DuckDB and ClickHouse, with
    {any:TEXT} for "in any text field", {has:TEXT} in the message, {id:TEXT} in the trace id, {second}, {step}. The answer is a count, or {key: count}."""

    def __init__(self, name, reach_ms, q, sql, text=None, key=None, window=None, grepped=False):
        self.name, self.reach_ms, self.q, self.sql = name, reach_ms, q, sql
        self.text, self.key, self.window, self.grepped = text, key, window, grepped


def questions(c):
    """What the contract of the figures names, each with its bound in ms (None: it has none, or another one)."""
    count = "SELECT count(*) FROM e WHERE "
    absent, pair = "qzxkwvq", "zq"  # in no field of any event; nothing that is kept about three letters helps with two
    part = c.trace_id[5:17]
    return [
        Question("rare word, any field", 8, "heliotrope", count + "{any:heliotrope}", text="heliotrope", grepped=True),
        Question("trace id, any field", 8, f'"{c.trace_id}"', count + "trace_id = {trace}", text=c.trace_id, grepped=True),
        Question("part of a word, any field", None, "eliotrop", count + "{any:eliotrop}", text="eliotrop"),
        Question("part of a trace id, any field", None, f'"{part}"', count + "{id:" + part + "}", text=part),
        Question("absent text, any field", None, f"{absent} | count", count + "{any:" + absent + "}", text=absent),
        Question(BRUTE, None, f"{pair} | count", count + "{any:" + pair + "}", text=pair, grepped=True),
        Question("count by status", 8, "| count by status", "SELECT status, count(*) FROM e GROUP BY status", key="status"),
        Question("histogram by level, 60 steps", 50, None, "SELECT {step} AS s, level, count(*) FROM e GROUP BY s, level"),
        Question("user_id=12345", 5, "user_id=12345 | count", count + "user_id = 12345", text='"user_id":12345,'),
        Question("app, 1 % of time, phrase", 2, 'app=login "bad password" | count',
                 count + f"app = 'login' AND {{has:bad password}} AND {{second}} >= {c.window[0]} AND {{second}} < {c.window[1]}", window=c.window),
        Question("message contains 'bad password'", None, 'message:"bad password" | count', count + "{has:bad password}", text="bad password", grepped=True),
        Question("app and message contains", None, 'app=apache message:"mod_jk" | count', count + "app = 'apache' AND {has:mod_jk}"),
        Question("errors per minute", None, "level>=error | count every 1m",
                 "SELECT {minute} AS m, count(*) FROM e WHERE level IN ('error', 'fatal') GROUP BY m", key="time"),
        Question("count", None, "| count", "SELECT count(*) FROM e"),
    ]
