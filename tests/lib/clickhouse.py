"""Filters in SQL, asked of ClickHouse: test_sql leaves rows and cases in a folder, Debian's clickhouse-server (unpacked by deps.sh check)
answers them, the ids must be the same.

usage: clickhouse.py TEST_SQL [FILTERS]"""
import contextlib, glob, http.client, json, os, shutil, socket, subprocess, sys, tempfile, time, urllib.parse

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
ROOT = os.path.join(TOP, "build/deps/rivals")
BINARY = os.path.join(ROOT, "usr/sbin/clickhouse-server")
CONFIG = """<yandex><logger><level>warning</level><log>{0}/log</log><errorlog>{0}/errors</errorlog></logger>
<http_port>{1}</http_port><tcp_port>{2}</tcp_port><listen_host>127.0.0.1</listen_host>
<path>{0}/data/</path><tmp_path>{0}/tmp/</tmp_path><users_config>{0}/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database><mark_cache_size>5368709</mark_cache_size></yandex>"""
USERS = """<yandex><profiles><default><max_threads>1</max_threads></default></profiles><quotas><default></default></quotas>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>"""


class Server:
    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
            self.port, other = a.getsockname()[1], b.getsockname()[1]
        for name in ("data", "tmp"):
            os.makedirs(os.path.join(folder, name))
        for name, text in (("config.xml", CONFIG.format(folder, self.port, other)), ("users.xml", USERS)):
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        lib = os.pathsep.join(os.path.join(ROOT, d, "x86_64-linux-gnu") for d in ("usr/lib", "lib"))
        with open(os.path.join(folder, "said"), "w") as said:
            self.process = subprocess.Popen([BINARY, "--config-file", os.path.join(folder, "config.xml")], stdout=said, stderr=said, cwd=folder,
                                            env=dict(os.environ, LD_LIBRARY_PATH=lib, TZ="UTC"))
        self.wait(30)

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                return self.sql("SELECT 1")
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError("ClickHouse does not answer")
            time.sleep(0.05)

    def close(self):
        self.process.kill()
        self.process.wait()

    def sql(self, sql, body=None):
        """The query in the body, unless there is one: then in the URL."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request("POST", "/?max_query_size=4000000&" + urllib.parse.urlencode({"query": sql} if body is not None else {}), body if body is not None else sql.encode())
        r = c.getresponse()
        text = r.read().decode(errors="replace")
        c.close()
        if r.status != 200:
            raise AssertionError(text.strip()[:600])
        return text.split()


def ask(server, case):
    """What is wrong with the answer, or nothing."""
    try:
        got, want = set(server.sql("SELECT id FROM events WHERE " + case["sql"])), set(case["ids"])
    except AssertionError as e:
        return f"ClickHouse: {e}"
    if got == want:
        return None
    wrong = min(got ^ want)
    return f"line    {' '.join(server.sql(f'SELECT line FROM events WHERE id = {wrong!r}'))}\nfilter_match says {wrong in want:d}, ClickHouse {wrong in got:d}"


def compare(server, folder):
    asked = failed = 0
    with open(os.path.join(folder, "schema")) as f:
        schema = f.read().strip().rstrip(";")
    for cases in sorted(glob.glob(os.path.join(folder, "*.cases"))):
        server.sql("DROP TABLE IF EXISTS events")
        server.sql(schema)
        with open(cases.removesuffix("cases") + "rows", "rb") as f:
            server.sql("INSERT INTO events FORMAT RowBinary", f.read())
        with open(cases) as f:
            for case in map(json.loads, f):
                asked += 1
                wrong = ask(server, case)
                failed += bool(wrong)
                if wrong and failed <= 5:
                    print(f"{os.path.basename(cases)}\nfilter  {case['filter']}\nSQL     {case['sql']}\n{wrong}")
    print(f"  {asked} filters")
    return failed == 0 and asked > 0


def main():
    name = "clickhouse_gives_the_same_answers_to_random_filters"
    if not os.path.exists(BINARY):
        print(f"skip {name}: no ClickHouse in {ROOT} (tests/lib/deps.sh check gets it)")
        return 0
    folder = tempfile.mkdtemp(prefix="logd-clickhouse-")
    try:
        made = subprocess.run([sys.argv[1]], env=dict(os.environ, LOGD_SQL_OUT=folder, LOGD_FILTERS=(sys.argv[2:] or ["1000"])[0]), stdout=subprocess.PIPE, text=True)
        print("".join(line + "\n" for line in made.stdout.splitlines() if "SEED" in line), end="")
        server = Server(os.path.join(folder, "server"))
        try:
            good = made.returncode == 0 and compare(server, folder)
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("ok" if good else "FAIL", name)
    return 0 if good else 1


sys.exit(main())
