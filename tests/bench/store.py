"""The store and query legs: a real logd takes the corpus over HTTP, seals it, starts again and answers, beside its rivals."""
import contextlib, json, os, shutil, statistics, subprocess, threading, time, urllib.parse

import intake, rivals
from corpus import APPS, BRUTE, BUILD, KEPT, epoch, questions, rfc3339
from intake import LOAD
from logd import Logd, eventually

PER_REQUEST, CONNECTIONS = 1000, 8
CONFIG = "retention: {days: 36500}\n"  # the corpus has fixed dates


class Server:
    """A logd whose folder is kept beside the corpus, so that queries can be measured again without loading."""

    def __init__(self, corpus, reuse):
        self.corpus, self.folder = corpus, os.path.join(KEPT, f"logd-{corpus.events}")
        self.loaded = reuse and os.path.exists(os.path.join(self.folder, "loaded"))
        if not self.loaded:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, exist_ok=True)
        self.logd = Logd(CONFIG, data=self.folder)
        if self.loaded:
            self.logd.keys.update({("app", app): True for app in APPS})

    @property
    def pid(self):
        return self.logd.process.pid

    def load(self):
        """Posts all, waits until store and rules have it, seals. Returns figures."""
        logd, n = self.logd, self.corpus.events
        keys = [f"{app}={logd.key('ingest', app)}" for app in APPS]
        time.sleep(0.5)
        r = {"idle empty": rivals.memory(self.pid)}
        before, threads = rivals.cpu(self.pid), intake.cpu_by_thread(self.pid)
        with open(self.corpus.path) as f, self.watch(r):
            out = subprocess.run([os.path.join(BUILD, "feed"), str(logd.port), str(PER_REQUEST), str(CONNECTIONS), *keys], stdin=f, stdout=subprocess.PIPE, check=True).stdout
        r["feed"] = json.loads(out)
        assert r["feed"]["accepted"] == n and r["feed"]["duplicates"] == r["feed"]["rejected"] == 0, f"all {n} are taken: {out}"
        eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"], "the rules have seen all", 600)
        begun = time.monotonic()
        logd.seal()
        r["seal_s"] = time.monotonic() - begun
        r["events_per_cpu_s"] = n / (rivals.cpu(self.pid) - before)
        r["cpu_by_thread"] = {name: round(used - threads.get(name, 0), 2) for name, used in intake.cpu_by_thread(self.pid).items()}
        r["ingest"] = rivals.memory(self.pid)
        self.mark("sealed")
        return r

    def mark(self, how):
        with open(os.path.join(self.folder, "loaded"), "w") as f:
            f.write(how)

    @contextlib.contextmanager
    def watch(self, r):
        """Twice a second: what is largest of the head, of records that rules have not seen, and of anonymous memory."""
        peaks, over = {"head_MB": 0, "rules_behind": 0, "anonymous_MB": 0}, threading.Event()

        def look():
            while not over.wait(0.5):
                self.keep_journal()
                s = self.logd.status()
                now = {"head_MB": s["bytes"]["head"] / 1e6, "rules_behind": s["positions"]["journal"] - s["positions"]["rules"],
                       "anonymous_MB": rivals.memory(self.pid)["RssAnon"]}
                peaks.update({name: max(peaks[name], v) for name, v in now.items()})
        self.logd.key("admin")
        looker = threading.Thread(target=look)
        looker.start()
        try:
            yield
        finally:
            over.set()
            looker.join()
            self.keep_journal()
            r["peaks"] = peaks

    def keep_journal(self):
        """What the server would let go stays, under another name, for replay()."""
        kept = os.path.join(self.folder, "journal-kept")
        os.makedirs(kept, exist_ok=True)
        for name in os.listdir(os.path.join(self.logd.data, "journal")):
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                if name.endswith(".j"):
                    os.link(os.path.join(self.logd.data, "journal", name), os.path.join(kept, name))

    def replay(self):
        """A start with the journal of the whole load and nothing else: figures of how it becomes segments, issues and all else."""
        folder = os.path.join(self.folder, "replay")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.join(folder, "data"))
        shutil.copytree(os.path.join(self.folder, "journal-kept"), os.path.join(folder, "data", "journal"))
        for name in os.listdir(self.logd.data):
            if name.startswith("logd.db"):
                shutil.copy(os.path.join(self.logd.data, name), os.path.join(folder, "data"))
        size = sum(os.path.getsize(os.path.join(folder, "data", "journal", f)) for f in os.listdir(os.path.join(folder, "data", "journal")))
        logd = Logd(CONFIG, data=folder)
        logd.keys = self.logd.keys
        begun = time.monotonic()
        try:
            logd.start(timeout=600)
            listens = time.monotonic() - begun
            eventually(lambda: logd.status()["positions"]["rules"] == logd.status()["positions"]["journal"], "the rules have seen all", 600)
            r = {"bytes": size, "listens_s": listens, "seconds": time.monotonic() - begun, "cpu_s": rivals.cpu(logd.process.pid),
                 "cpu_by_thread": intake.cpu_by_thread(logd.process.pid), "memory": rivals.memory(logd.process.pid)}
            n = logd.count()
            assert n == self.corpus.events, f"all {self.corpus.events} are there again, not {n}"
            return r
        finally:
            logd.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def merge(self):
        """The corpus' days are over: waits until its segments have become what they stay. Returns figures."""
        before, begun, seen = rivals.cpu(self.pid), time.monotonic(), []

        def still():
            s = self.logd.status()
            seen.append((s["merging"], s["segments"]))
            return len(seen) > 15 and not any(m for m, _ in seen[-15:]) and len({n for _, n in seen[-15:]}) == 1

        def look_slowly():
            time.sleep(1)  # logd itself looks every five
            return still()
        self.logd.advance(2 * 86400)
        eventually(look_slowly, "merging has come to its end", 1200)
        return {"cpu_s": rivals.cpu(self.pid) - before, "seconds": time.monotonic() - begun - 15, "segments": seen[-1][1], "disk": self.disk(),
                "memory": rivals.memory(self.pid)}

    def disk(self):
        """Bytes by folder of the data, an event."""
        sizes = {}
        for folder, _, files in os.walk(self.logd.data):
            name = os.path.relpath(folder, self.logd.data)
            for f in files:
                with contextlib.suppress(FileNotFoundError):
                    sizes[name] = sizes.get(name, 0) + os.path.getsize(os.path.join(folder, f))
        return {name: size / self.corpus.events for name, size in sizes.items()}

    def start_again(self):
        """ms to start, median of three, and memory a second later."""
        took = []
        for _ in range(3):
            self.logd.stop()
            begun = time.monotonic()
            self.logd.start()
            took.append((time.monotonic() - begun) * 1e3)
        time.sleep(1)
        return {"ms": statistics.median(took), "idle": rivals.memory(self.pid)}

    def get(self, path, **params):
        r = self.logd.request("GET", path + "?" + urllib.parse.urlencode(params), connection=self.connection)
        assert r.status == 200, r.text
        return r

    def once(self, question):
        window = question.window or (self.corpus.begin, self.corpus.end)
        times = {"from": rfc3339(window[0]), "to": rfc3339(window[1])}
        if question.q is None:
            return self.get("/v1/histogram", q="", buckets=60, **times)
        return self.get("/v1/query", q=question.q, limit=10000, **times)

    def ask(self, question):
        """{"ms", "cpu_ms", "answer", "step"} of one question; answers in the form of the rivals'."""
        before, asked = rivals.cpu(self.pid), [0]

        def count_one():
            asked[0] += 1
            return self.once(question)
        ms, reply = rivals.timed(count_one)
        used = (rivals.cpu(self.pid) - before) / asked[0]
        return {"ms": ms, "cpu_ms": used * 1e3, **answer_of(question, reply)}

    def forget_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as f:
            f.write("5")

    def forget_pages(self):
        """The system's cache lets go of the segments."""
        folder = os.path.join(self.logd.data, "segments")
        for name in os.listdir(folder):
            fd = os.open(os.path.join(folder, name), os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)

    def ask_cold(self, wanted, rounds=3):
        """{question: median ms} of a server that just started, nothing of its segments in memory."""
        took = {q.name: [] for q in wanted}
        for _ in range(rounds):
            for q in wanted:
                self.logd.stop()
                self.forget_pages()
                self.logd.start()
                self.connection = self.logd.connect(timeout=600)
                self.get("/v1/status")
                begun = time.perf_counter()
                self.once(q)
                took[q.name].append((time.perf_counter() - begun) * 1e3)
                self.connection.close()
        return {name: statistics.median(ms) for name, ms in took.items()}

    def latency(self, seconds, busy=None):
        """ms of an open-loop load of 100 x 100 events a second, p50 and p99; `busy` runs again and again meanwhile, if given."""
        command = [LOAD, str(self.logd.port), self.logd.key("ingest", "shop"), "100", "100", str(seconds), "16"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as load:
            while busy and load.poll() is None:
                busy()
            r = json.loads(load.communicate()[0])
        assert r["errors"] == r["late"] == 0, f"all is answered: {r}"
        return r["p50_us"] / 1e3, r["p99_us"] / 1e3

    def latency_beside_queries(self, heavy, seconds=8):
        """Of intake alone, and while a heavy query runs all the time and the head is sealed again and again."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, "loaded"))  # these events are not of the corpus
        self.connection = self.logd.connect(timeout=600)

        def busy():
            self.once(heavy)
            self.logd.seal()
        idle, beside = self.latency(seconds), self.latency(seconds, busy)
        self.connection.close()
        return {"idle": idle, "busy": beside}

    def ask_all(self, wanted):
        self.connection, _ = self.logd.connect(timeout=600), self.logd.key("admin")
        self.forget_peak()
        answers = {q.name: self.ask(q) for q in wanted}
        self.connection.close()
        return answers, rivals.memory(self.pid)


def answer_of(question, reply):
    if question.q is None:
        h = reply.json()
        return {"step": h["step_s"], "answer": {f"{int(epoch(b['time']))} {level}": n for b in h["buckets"] for level, n in b["levels"].items()}}
    rows = [json.loads(line) for line in reply.text.splitlines()]
    if question.key == "time":
        return {"answer": {str(int(epoch(r["time"]))): r["count"] for r in rows}}
    if question.key:
        return {"answer": {"null" if r[question.key] is None else str(r[question.key]): r["count"] for r in rows}}
    return {"answer": rows[0]["count"] if question.q.endswith("| count") else len(rows)}


# ---- legs ----------------------------------------------------------------------------------------------------------------

def ask_databases(databases, wanted, corpus):
    """{question: {rival: (ms, answer)}}, and the memory of each in MB."""
    out = {q.name: {db.name: db.ask(q, corpus, corpus.step) for db in databases} for q in wanted}
    return out, {db.name: rivals.memory(db.process.pid)["VmRSS"] for db in databases}


def ask_programs(wanted, corpus, names):
    """{question: {program: (ms, lines)}} of what looks through all of it."""
    texts = [q for q in wanted if q.grepped]
    out = {q.name: {} for q in wanted}
    for name, command in rivals.greps(corpus).items():
        for q in texts if name in names else []:
            out[q.name][name] = rivals.timed(lambda: rivals.count_by(command(q.text)), 3)
    if "memmem" in names:
        for q, found in zip(texts, rivals.memmem(corpus, [q.text for q in texts])):
            out[q.name]["memmem, 1 thread"] = found
    return out


def right_answers(wanted, corpus, beside):
    """What is true, by name: DuckDB's word, of this run or an earlier one over the same bytes; else what grep counts; else None."""
    truth = {}
    for q in wanted:
        fact = f"{q.sql} step {corpus.step}"
        if "DuckDB" in beside[q.name]:
            corpus.fact(fact, lambda: beside[q.name]["DuckDB"][1])
        truth[q.name] = corpus.facts().get(fact)
        if truth[q.name] is None and q.text:
            truth[q.name] = corpus.fact(f"lines with {q.text}", lambda: rivals.count_by(["grep", "-cF", q.text, corpus.path]))
    return truth


def gate(wanted, mine, beside, truth):
    """A fast wrong answer is no answer: says which are wrong, of anyone. Returns how many of logd's are, and how many nothing could check."""
    bad = unchecked = 0
    for q in wanted:
        right = truth[q.name]
        if right is None:
            unchecked += 1
            print(f"UNCHECKED: {q.name}: nothing here knows the answer (DuckDB would)", flush=True)
            continue
        for who, got in [("logd", mine[q.name]["answer"])] + [(name, r[1]) for name, r in beside[q.name].items()]:
            if got != right:
                bad += who == "logd"
                print(f"WRONG: {q.name}: {who} says {shorten(got)}, right is {shorten(right)}", flush=True)
    return {"wrong": bad, "unchecked": unchecked}


def shorten(answer):
    text = json.dumps(answer, sort_keys=True)
    return text if len(text) < 200 else text[:200] + "..."


def query_figures(corpus, wanted, mine, beside):
    """Rows of the table: name, logd's value, what to reach, rivals; "less" is better."""
    rows = []
    for q in wanted:
        m = mine[q.name]
        rows.append({"figure": q.name, "unit": "ms", "logd": m["ms"], "cpu_ms": m["cpu_ms"], "reach": q.reach_ms, "better": "less",
                     "rivals": {name: r[0] for name, r in beside[q.name].items()}})
        if q.name == BRUTE:
            rates = {name: corpus.bytes / r[0] / 1e6 for name, r in beside[q.name].items() if name in ("memmem, 1 thread", "zstdgrep")}
            rows.append({"figure": "looked through, a CPU second", "unit": "GB", "logd": corpus.bytes / m["cpu_ms"] / 1e6, "reach": 5, "better": "more", "rivals": rates})
    return rows


def store_figures(corpus, loaded, disk, again, loads):
    sizes = {**rivals.zstd_sizes(corpus), **{name: r["bytes"] for name, r in loads.items()}}
    if "DuckDB" in loads:
        sizes["Parquet zstd"] = loads["DuckDB"]["parquet"]
    lines = corpus.lines(200000)
    rates = {name: r["events_per_cpu_s"] for name, r in loads.items()}
    rates["SQLite + FTS5"] = intake.sqlite_leg(lines[:20000], PER_REQUEST)
    rates["rsyslog to a file"] = intake.rsyslog_leg(lines)
    peaks = {name: r["peak"] for name, r in loads.items()}
    return [
        {"figure": "durable ingest, events a CPU second", "unit": "", "logd": loaded["events_per_cpu_s"], "reach": 350000, "better": "more", "rivals": {k: v for k, v in rates.items() if v}},
        {"figure": "bytes an event on disk, sealed", "unit": "B", "logd": disk["segments"], "reach": 34, "better": "less", "rivals": sizes},
        {"figure": "memory at ingest, peak", "unit": "MB", "logd": loaded["ingest"]["VmHWM"], "reach": 256, "better": "less", "rivals": peaks},
        {"figure": "memory idle, after a start", "unit": "MB", "logd": again["idle"]["VmRSS"], "reach": 24, "better": "less", "rivals": {}},
        {"figure": "of it anonymous", "unit": "MB", "logd": again["idle"]["RssAnon"], "reach": 8, "better": "less", "rivals": {}},
        {"figure": "start", "unit": "ms", "logd": again["ms"], "reach": 300, "better": "less", "rivals": {}},
    ]


def merged_figures(corpus, wanted, merged):
    rows = [{"figure": "bytes an event on disk, merged", "unit": "B", "logd": merged["disk"]["segments"], "reach": 32, "better": "less", "rivals": rivals.zstd_sizes(corpus)},
            {"figure": "merging, events a CPU second", "unit": "", "logd": corpus.events / merged["cpu_s"], "reach": None, "better": "more", "rivals": {}},
            {"figure": "memory at merging, peak", "unit": "MB", "logd": merged["memory"]["VmHWM"], "reach": 256, "better": "less", "rivals": {}}]
    for q in wanted:
        m = merged["answers"][q.name]
        rows.append({"figure": f"merged: {q.name}", "unit": "ms", "logd": m["ms"], "cpu_ms": m["cpu_ms"], "reach": q.reach_ms, "better": "less", "rivals": {}})
    return rows


def replay_figures(corpus, r):
    return [{"figure": f"replay of {r['bytes'] / 1e6:,.0f} MB of journal, events a second", "unit": "", "logd": corpus.events / r["seconds"], "cpu_ms": r["cpu_s"] * 1e3,
             "reach": 500000, "better": "more", "rivals": {}},
            {"figure": "it listens again after", "unit": "ms", "logd": r["listens_s"] * 1e3, "reach": None, "better": "less", "rivals": {}},
            {"figure": "memory at replay, peak", "unit": "MB", "logd": r["memory"]["VmHWM"], "reach": 256, "better": "less", "rivals": {}}]


def extra_figures(cold, busy):
    rows = [{"figure": f"cold: {name}", "unit": "ms", "logd": ms, "reach": None, "better": "less", "rivals": {}} for name, ms in cold.items()]
    if busy:
        rows += [{"figure": f"intake p99, {name}", "unit": "ms", "logd": busy[name][1], "reach": 10 * busy["idle"][1] if name == "busy" else None,
                  "better": "less", "rivals": {}} for name in busy]
    return rows


def measure_logd(corpus, legs, reuse, wanted, more):
    """All of logd's own, before any rival runs: answers into more["answers"], figures into the rest of it."""
    server = Server(corpus, reuse)
    with server.logd:
        if server.loaded:
            with open(os.path.join(server.folder, "loaded")) as f:
                print(f"what an earlier run loaded, {f.read()}", flush=True)
        else:
            print(f"loading {corpus.events:,} events, {corpus.bytes / 1e6:,.0f} MB", flush=True)
            more["load"] = server.load()
            print(f"loaded, in {more['load']['feed']['seconds']:.0f} s", flush=True)
        more["disk"] = server.disk()
        more["again"] = server.start_again()
        if "replay" in legs:
            more["replay"] = server.replay()
        if "query" in legs:
            more["answers"], more["asking"] = server.ask_all(wanted)
        if "cold" in legs:
            more["cold"] = server.ask_cold([q for q in wanted if q.reach_ms])
        if "merge" in legs:
            server.forget_peak()
            more["merged"] = server.merge()
            more["merged"]["answers"], _ = server.ask_all(wanted)
            server.mark("merged")
        if "busy" in legs:
            more["busy"] = server.latency_beside_queries(next(q for q in wanted if q.name == BRUTE))


def ask_rivals(corpus, wanted, databases, names):
    """{question: {rival: (ms, answer)}}, memory of the databases."""
    beside, memory = ask_databases(databases, wanted, corpus)
    for name, found in ask_programs(wanted, corpus, names).items():
        beside[name].update(found)
    return beside, memory


def check(corpus, wanted, more, beside):
    """All that logd said, before and after merging, and its rivals."""
    truth, nobody = right_answers(wanted, corpus, beside), {q.name: {} for q in wanted}
    gates = [gate(wanted, more["answers"], beside, truth)] if "answers" in more else []
    if "merged" in more:
        print("after merging:", flush=True)
        gates.append(gate(wanted, more["merged"]["answers"], nobody, truth))
    return {name: sum(g[name] for g in gates) for name in ("wrong", "unchecked")}


def run(corpus, legs, names, reuse):
    """Runs the wanted legs. Returns the table's rows and all else measured, with what the gate says."""
    rows, wanted = [], questions(corpus)
    more = {"events": corpus.events, "corpus_bytes": corpus.bytes, "weather": [weather(corpus)]}
    measure_logd(corpus, legs, reuse, wanted, more)
    databases = rivals.open_databases(names)
    try:
        loads = {}
        for db in databases:
            begun = time.monotonic()
            loads[db.name] = db.load(corpus)
            print(f"{db.name} has loaded it, in {time.monotonic() - begun:.0f} s", flush=True)
        if "store" in legs and "load" in more:
            rows += store_figures(corpus, more["load"], more["disk"], more["again"], loads)
        if "answers" in more or "merged" in more:
            corpus.step = next(a["step"] for a in (more.get("answers") or more["merged"]["answers"]).values() if "step" in a)
            beside, memory = ask_rivals(corpus, wanted, databases, names)
            more["gate"] = check(corpus, wanted, more, beside)
        if "answers" in more:
            rows += query_figures(corpus, wanted, more["answers"], beside)
            rows.append({"figure": "memory during these queries, peak", "unit": "MB", "logd": more["asking"]["VmHWM"], "reach": 256, "better": "less", "rivals": memory})
    finally:
        for db in databases:
            db.close()
    if "merged" in more:
        rows += merged_figures(corpus, wanted, more["merged"])
    if "replay" in more:
        rows += replay_figures(corpus, more["replay"])
    more["weather"].append(weather(corpus))
    return rows + extra_figures(more.get("cold", {}), more.get("busy")), more


def weather(corpus):
    """GB/s of memmem, how fast this machine is right now: figures of runs whose weather differs do not compare."""
    ms, _ = rivals.memmem(corpus, ["qzxkwvq"])[0]
    return corpus.bytes / ms / 1e6
