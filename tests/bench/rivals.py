"""What logd's store and queries stand beside, each at its best known settings, on the same bytes in the same run."""
import http.client, json, os, re, shutil, socket, statistics, subprocess, time, urllib.parse

from corpus import BUILD, KEPT
from logd import TREE, eventually

DEPS = os.path.join(TREE, "build/deps")
ROOT = os.path.join(DEPS, "rivals")
THREADS = min(2, os.cpu_count())


class Missing(Exception):
    """A rival that cannot be had here: said loudly, the rest is measured."""


def cpu(pid):
    """CPU seconds of all threads of a process so far, dead ones too."""
    return time.clock_gettime(~pid << 3 | 2)


def memory(pid):
    """Of a process, in MB: RSS, anonymous part, peak."""
    with open(f"/proc/{pid}/status") as f:
        found = dict(re.findall(r"^(VmRSS|RssAnon|VmHWM):\s+(\d+) kB", f.read(), re.M))
    return {name: int(found[name]) / 1024 for name in ("VmRSS", "RssAnon", "VmHWM")}


def runs_for(seconds, most=7):
    """How often after a first time that took so long: slow things are not run often, the machine is not ours alone."""
    return most if seconds < 1 else 1


def timed(run, most=7):
    """Median ms of several runs after one that warms up, and what the last one gave."""
    begun, ms = time.perf_counter(), []
    got = run()
    for _ in range(runs_for(time.perf_counter() - begun, most)):
        begun = time.perf_counter()
        got = run()
        ms.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(ms), got


# ---- programs that look through the raw file, or a compressed one --------------------------------------------------------

def rg():
    binary = shutil.which("rg") or os.path.join(ROOT, "usr/bin/rg")
    if not os.path.exists(binary):
        raise Missing("ripgrep")
    return binary


def greps(corpus):
    """Name to the command that counts lines holding a text."""
    found = {"grep": lambda text: ["grep", "-cF", text, corpus.path], "zstdgrep": lambda text: ["zstdgrep", "-cF", text, zstd_file(corpus)]}
    try:
        binary = rg()
        found["ripgrep"] = lambda text: [binary, "-cF", "--no-config", text, corpus.path]
    except Missing as e:
        say_missing(e)
    return found


def count_by(command):
    out = subprocess.run(command, stdout=subprocess.PIPE, env=dict(os.environ, LC_ALL="C")).stdout
    return int(out or 0)


def memmem(corpus, texts):
    """ms and lines of each text, the corpus in memory, one thread."""
    out = subprocess.run([os.path.join(BUILD, "scan"), corpus.path, "3", *texts], stdout=subprocess.PIPE, check=True).stdout
    return [(r["ms"], r["lines"]) for r in json.loads(out)]


def zstd_file(corpus):
    path = corpus.path + ".zst"
    if not os.path.exists(path):
        subprocess.run(["zstd", "-q", "-3", "-f", "-o", path + ".new", corpus.path], check=True)
        os.rename(path + ".new", path)
    return path


def zstd_sizes(corpus):
    """Bytes an event of the raw file; -19 takes minutes a gigabyte, so of its first part, and is asked once for these bytes."""
    part = min(corpus.events, 100000)

    def best():
        packed = subprocess.run(["zstd", "-q", "-19", "-T2", "-c"], input="".join(line + "\n" for line in corpus.lines(part)).encode(), stdout=subprocess.PIPE, check=True).stdout
        return len(packed) / part
    return {"zstd -3": os.path.getsize(zstd_file(corpus)) / corpus.events, f"zstd -19 (of {part:,} events)": corpus.fact(f"zstd -19 of {part}", best)}


# ---- databases -----------------------------------------------------------------------------------------------------------

def fill_in(sql, corpus, anything, trace_id, has, second):
    """A question's SQL in the words of one database."""
    sql = re.sub(r"\{any:([^}]*)\}", lambda m: "(" + " OR ".join(has(f, m[1]) for f in anything) + ")", sql)
    sql = re.sub(r"\{has:([^}]*)\}", lambda m: has("message", m[1]), sql)
    sql = re.sub(r"\{id:([^}]*)\}", lambda m: has(trace_id, m[1]), sql)
    return sql.replace("{trace}", f"'{corpus.trace_id}'").replace("{second}", second)


def as_answer(rows):
    """One number, or {key: count}; a status of 0 is how a column without nulls says that there is none."""
    if len(rows) == 1 and len(rows[0]) == 1:
        return int(rows[0][0])
    return {" ".join("null" if k in (None, 0, "0") else str(k) for k in key): int(n) for *key, n in rows}


class Duck:
    name = "DuckDB"
    COLUMNS = """time: 'TIMESTAMP', app: 'VARCHAR', level: 'VARCHAR', env: 'VARCHAR', host: 'VARCHAR', logger: 'VARCHAR', pid: 'INTEGER', trace_id: 'UUID',
      message: 'VARCHAR', method: 'VARCHAR', path: 'VARCHAR', status: 'SMALLINT', latency_ms: 'DOUBLE', bytes: 'INTEGER', ip: 'VARCHAR', user_agent: 'VARCHAR',
      user_id: 'INTEGER', auth: 'STRUCT("action" VARCHAR, outcome VARCHAR, "user" VARCHAR, ip VARCHAR, user_agent VARCHAR)', release: 'VARCHAR',
      error: 'STRUCT("type" VARCHAR, message VARCHAR, stack VARCHAR)', tags: 'VARCHAR[]',
      job: 'STRUCT(id INTEGER, queue VARCHAR, attempt INTEGER, duration_ms INTEGER, worker STRUCT("name" VARCHAR, rss_kb INTEGER))'"""
    ANY = ["message", "path", "user_agent", "logger", "host", "ip", "error.message", "error.stack", 'auth."user"', "auth.user_agent", "job.queue", "release"]

    def __init__(self):
        packages = os.path.join(DEPS, "duckdb")
        if not os.path.exists(os.path.join(packages, "node_modules/@duckdb/node-api")):
            raise Missing("DuckDB")
        self.path = os.path.join(KEPT, "duck.db")
        self.parquet = os.path.join(KEPT, "duck.parquet")
        self.forget()
        here = os.path.dirname(os.path.abspath(__file__))
        self.process = subprocess.Popen([os.path.join(DEPS, "node-bin"), os.path.join(here, "duck.mjs"), packages, self.path, str(THREADS)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def forget(self):
        for path in (self.path, self.path + ".wal", self.parquet):
            if os.path.exists(path):
                os.unlink(path)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.forget()

    def sql(self, sql, runs=1):
        self.process.stdin.write((json.dumps({"sql": sql, "runs": runs}) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        got = json.loads(line) if line else {"error": "it ended"}
        if "error" in got:
            raise AssertionError(f"DuckDB: {got['error']}: {sql}")
        return got["ms"], got["rows"]

    def load(self, corpus):
        """Sorted by app and time, as its documentation advises for what is filtered by them. Returns figures."""
        before = cpu(self.process.pid)
        self.sql(f"CREATE TABLE e AS SELECT * FROM read_json('{corpus.path}', format='newline_delimited', columns={{{self.COLUMNS}}}) ORDER BY app, time")
        self.sql("CHECKPOINT")
        used = cpu(self.process.pid) - before
        peak = memory(self.process.pid)["VmHWM"]
        self.sql(f"COPY e TO '{self.parquet}' (FORMAT parquet, COMPRESSION zstd)")
        return {"events_per_cpu_s": corpus.events / used, "bytes": os.path.getsize(self.path) / corpus.events,
                "parquet": os.path.getsize(self.parquet) / corpus.events, "peak": peak}

    def ask(self, question, corpus, step):
        sql = fill_in(question.sql, corpus, self.ANY, "replace(trace_id::VARCHAR, '-', '')", lambda f, text: f"contains({f}, '{text}')", "epoch(time)")
        sql = sql.replace("{minute}", "(floor(epoch(time) / 60) * 60)::BIGINT").replace("{step}", f"(floor(epoch(time) / {step}) * {step})::BIGINT")
        (first,), _ = self.sql(sql)
        ms, rows = self.sql(sql, runs_for(first / 1e3))
        return statistics.median(ms), as_answer(rows)


CLICKHOUSE_CONFIG = """<yandex>
<logger><level>warning</level><log>{0}/log</log><errorlog>{0}/errors</errorlog></logger>
<http_port>{1}</http_port><tcp_port>{2}</tcp_port><listen_host>127.0.0.1</listen_host>
<path>{0}/data/</path><tmp_path>{0}/tmp/</tmp_path><users_config>{0}/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database><mark_cache_size>536870912</mark_cache_size>
<compression><case><min_part_size>0</min_part_size><min_part_size_ratio>0</min_part_size_ratio><method>zstd</method></case></compression>
</yandex>"""
CLICKHOUSE_USERS = """<yandex><profiles><default><max_threads>{0}</max_threads></default></profiles><quotas><default></default></quotas>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>"""


class ClickHouse:
    """Debian's, of 2018: no JSON type, no nested objects, no fractions of a second, so names are flattened for it on the way."""
    name = "ClickHouse 18.16"
    TABLE = """CREATE TABLE e (time DateTime, ms UInt16, app String, level String, env String, host String, logger String, pid UInt32, trace_id String, message String,
      method String, path String, status UInt16, latency_ms Float64, bytes UInt32, ip String, user_agent String, user_id UInt32, action String, outcome String, user String,
      release String, error_type String, error_message String, stack String, tags Array(String), job_id UInt32, queue String, attempt UInt8, duration_ms UInt32,
      worker String, rss_kb UInt32) ENGINE = MergeTree PARTITION BY toYYYYMMDD(time) ORDER BY (app, time)"""
    ANY = ["message", "path", "user_agent", "logger", "host", "ip", "error_message", "stack", "user", "queue", "release"]
    FLAT = [(b'"auth":{"', b'"'), (b'"error":{"type":', b'"error_type":'), (b'Error","message":', b'Error","error_message":'), (b'"job":{"id":', b'"job_id":'),
            (b'"worker":{"name":', b'"worker":'), (b'}},"tags"', b',"tags"'), (b'"},"message"', b'","message"'), (b'"}}\n', b'"}\n')]

    def __init__(self):
        binary, lib = os.path.join(ROOT, "usr/sbin/clickhouse-server"), os.pathsep.join(os.path.join(ROOT, d, "x86_64-linux-gnu") for d in ("usr/lib", "lib"))
        if not os.path.exists(binary):
            raise Missing("ClickHouse")
        self.folder = os.path.join(KEPT, "clickhouse")
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("data", "tmp"):
            os.makedirs(os.path.join(self.folder, name))
        with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
            self.port, other = a.getsockname()[1], b.getsockname()[1]
        for name, text in (("config.xml", CLICKHOUSE_CONFIG.format(self.folder, self.port, other)), ("users.xml", CLICKHOUSE_USERS.format(THREADS))):
            with open(os.path.join(self.folder, name), "w") as f:
                f.write(text)
        said = os.path.join(self.folder, "said")
        with open(said, "w") as f:
            self.process = subprocess.Popen([binary, "--config-file", os.path.join(self.folder, "config.xml")], stdout=f, stderr=f, cwd=self.folder,
                                            env=dict(os.environ, LD_LIBRARY_PATH=lib, TZ="UTC"))
        try:
            eventually(lambda: self.process.poll() is not None or self.listens(), "ClickHouse answers", 20)
            if self.process.poll() is not None:
                raise AssertionError("it ended at once")
        except AssertionError as e:
            with open(said, errors="replace") as f:
                why = f.read().strip().splitlines()[-1:]
            self.close()
            raise Missing(f"ClickHouse ({e}, it said {why})")

    def listens(self):
        try:
            return self.sql("SELECT 1") == [["1"]]
        except OSError:
            return False

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, sql, body=b""):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        c.request("POST", "/?" + urllib.parse.urlencode({"query": sql}), body)
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        if r.status != 200:
            raise AssertionError(f"ClickHouse: {text[:500]}: {sql}")
        return [line.split("\t") for line in text.splitlines()]

    def flat(self, corpus):
        """The corpus in pieces of about 64 MB, as this version can read it."""
        with open(corpus.path, "rb") as f:
            while piece := f.read(64 << 20):
                piece += f.readline()
                for nested, flat in self.FLAT:
                    piece = piece.replace(nested, flat)
                yield re.sub(rb'^\{"time":"(.{10})T(.{8})\.0*(\d+)Z"', rb'{"time":"\1 \2","ms":\3', piece, flags=re.M)

    def load(self, corpus):
        self.sql(self.TABLE)
        used = 0
        for piece in self.flat(corpus):
            before = cpu(self.process.pid)
            self.sql("INSERT INTO e FORMAT JSONEachRow", piece)
            used += cpu(self.process.pid) - before
        before = cpu(self.process.pid)
        self.sql("OPTIMIZE TABLE e FINAL")
        used += cpu(self.process.pid) - before
        size = int(self.sql("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'e'")[0][0])
        return {"events_per_cpu_s": corpus.events / used, "bytes": size / corpus.events, "peak": memory(self.process.pid)["VmHWM"]}

    def ask(self, question, corpus, step):
        sql = fill_in(question.sql, corpus, self.ANY, "trace_id", lambda f, text: f"position({f}, '{text}') > 0", "toUInt32(time)")
        sql = sql.replace("{minute}", "intDiv(toUInt32(time), 60) * 60").replace("{step}", f"intDiv(toUInt32(time), {step}) * {step}")
        ms, rows = timed(lambda: self.sql(sql))
        return ms, as_answer(rows)


def say_missing(e):
    print(f"MISSING: {e} cannot be had here; its figures are left out (tests/lib/deps.sh bench gets it)", flush=True)


def open_databases(wanted):
    """Those of the wanted that are there, by name."""
    opened = []
    for kind in (Duck, ClickHouse):
        if kind.__name__.lower() in wanted:
            try:
                opened.append(kind())
            except Missing as e:
                say_missing(e)
    return opened
