"""A real logd in an empty folder, for the stories in tests/e2e. Python's standard library only.

    with Logd() as logd:
        reply = logd.post("/v1/events", {"message": "hello"})
        assert reply.status == 200, reply.text

A story file ends with `run(globals())`: its test_* functions run in order, one line each, exit 1 when one failed.
LOGD_BIN names another binary than build/logd; LOGD_SHARED the folder with the test data (default ../shared)."""
import concurrent.futures, contextlib, hashlib, http.client, json, os, pty, re, selectors, shutil, signal, socket, ssl, subprocess, sys, tempfile, time, traceback, urllib.parse

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get("LOGD_SHARED", os.path.join(os.path.dirname(TREE), "shared"))


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %s" % (self.status, self.text[:500])


SLOW = float(os.environ.get("LOGD_SLOW", "1"))  # sanitizers make everything slower: waits are stretched by this


class Skip(Exception):
    """Raised by a test that cannot run here: said loudly and counted."""


def fork_on_terminal():
    """pty.fork(): 0 and nothing in the child, whose terminal we read from the descriptor."""
    try:
        return pty.fork()
    except OSError as why:
        raise Skip(f"no terminal can be had here, is /dev/pts mounted? ({why})")


def eventually(true, what, timeout=10):
    """Waits until true() is, and returns what it gave."""
    timeout *= SLOW
    end = time.monotonic() + timeout
    while True:
        got = true()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (timeout, what))
        time.sleep(0.02)


def shared(*path):
    """A file of the test data; the test is skipped without it."""
    name = os.path.join(SHARED, *path)
    if os.path.exists(name):
        return name
    raise Skip("%s is not there: set LOGD_SHARED" % name)


class Logd:
    def __init__(self, config=None, env=None, data=None, args=(), rules=None, ca=None):
        self.binary = os.environ.get("LOGD_BIN", os.path.join(TREE, "build", "logd"))
        self.folder = data or tempfile.mkdtemp(prefix="logd.")
        self.made, self.process, self.args = data is None, None, list(args)
        self.data = os.path.join(self.folder, "data")
        self.env = dict(os.environ, **(env or {}))
        self.log_path = os.path.join(self.folder, "log")
        self.keys = {}
        if ca:
            self.env["SSL_CERT_FILE"] = ca
        self.config_path = os.path.join(self.folder, "logd.yaml")
        self.configure(config or "", rules)
        self.args += ["--config", self.config_path]

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        code = self.stop()
        if not kind:
            assert code in (0, None), "exit code %r: %s" % (code, self.log()[-2000:])
            found = re.search(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error|Assertion).*", self.log())
            assert not found, self.log()[found.start():][:6000]
        if kind and os.path.exists(self.log_path):
            with open(self.log_path, errors="replace") as f:
                sys.stdout.write("".join("  log: " + line for line in f.readlines()[-30:]))
        if self.made:
            for folder in self.secrets_folders():
                shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(self.folder, ignore_errors=True)

    def secrets_folders(self):
        """Where secrets of unique counts may be: on tmpfs, and a server that is stopped leaves them to its next start."""
        name = "unique-" + hashlib.sha256(os.path.realpath(self.data).encode()).hexdigest()[:16]
        parents = [self.env.get("RUNTIME_DIRECTORY", "").split(":")[0], self.env.get("XDG_RUNTIME_DIR", ""), "/dev/shm/logd-%d" % os.geteuid()]
        return [os.path.join(parent, name) for parent in parents if parent]

    def configure(self, config, rules=None):
        """Writes logd.yaml, and rules.yaml beside it; what runs rereads them on SIGHUP."""
        if rules is not None:
            with open(os.path.join(self.folder, "rules.yaml"), "w") as f:
                f.write(rules)
            config += "rules: [rules.yaml]\n"
        with open(self.config_path, "w") as f:
            f.write(config)

    def start(self, timeout=30):
        command = [self.binary, "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--test-clock"] + self.args
        log = open(self.log_path, "a")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=self.env)
        log.close()
        line = self._line(timeout)
        found = re.match(r"logd: listening on (https?)://([^:/\[]+|\[[^]]+\]):(\d+)\n", line)
        if not found:
            raise AssertionError("logd did not start, it said %r" % line)
        self.scheme, self.host, self.port = found[1], found[2].strip("[]"), int(found[3])
        self.url = "%s://%s:%d" % (self.scheme, found[2], self.port)

    def _line(self, timeout):
        with selectors.DefaultSelector() as s:
            s.register(self.process.stdout, selectors.EVENT_READ)
            return self.process.stdout.readline().decode() if s.select(timeout) else ""

    def stop(self, timeout=30):
        """SIGTERM; returns the exit code."""
        p, self.process = self.process, None
        if not p:
            return None
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
        try:
            p.wait(timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise AssertionError("logd did not stop within %d s of SIGTERM" % timeout)
        finally:
            p.stdout.close()
        return p.returncode

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def kill9_and_restart(self):
        self.kill9()
        self.start()

    def restart(self):
        code = self.stop()
        assert code == 0, "exit code %r: %s" % (code, self.log()[-2000:])
        self.start()

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def command(self, *args, input=None, check=True):
        """`logd ARGS --data …`; returns the finished process with text outputs."""
        done = subprocess.run([self.binary, *args, "--data", self.data], input=input, capture_output=True, text=True,
                              env=self.env, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError("logd %s: exit %d: %s" % (" ".join(args), done.returncode, done.stderr))
        return done

    def app(self, name="shop"):
        if ("app", name) not in self.keys:
            self.command("app", "add", name)
            self.keys["app", name] = True
        return name

    def key(self, role="ingest", app="shop", origins=(), rate=None):
        """A key of that kind, made once."""
        what = (role, app, tuple(origins), rate)
        if what not in self.keys:
            args = ["key", "add", "--app", self.app(app), "--role", role]
            for origin in origins:
                args += ["--origin", origin]
            if rate:
                args += ["--rate", "%d/min" % rate]
            self.keys[what] = self.command(*args).stdout.strip()
        return self.keys[what]

    def connect(self, timeout=30):
        if self.scheme == "http":
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)

    def request(self, method, path, body=None, headers=None, key=None, connection=None):
        """key: a key's text, or a role; None: an admin's for /v1/… but ingest's for posts, False: none."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        if key is None:
            key = "ingest" if method == "POST" else "admin"
        if key and not any(h.lower() in ("authorization", "x-logd-key") for h in headers):
            headers["Authorization"] = "Bearer " + (key if key.startswith("lk_") else self.key(key))
        c = connection or self.connect()
        try:
            c.request(method, path, body, headers)
            r = c.getresponse()
            return Reply(r.status, r.headers, r.read())
        finally:
            if not connection:
                c.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def local(self, method, path, body=None):
        """Through the Unix socket in the data folder, as the command line does."""
        c = http.client.HTTPConnection("localhost", timeout=60 * SLOW)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.settimeout(60 * SLOW)
        c.sock.connect(os.path.join(self.data, "sock"))
        try:
            c.request(method, path, body)
            r = c.getresponse()
            return Reply(r.status, r.headers, r.read())
        finally:
            c.close()

    def query(self, q, **params):
        """The rows of a query over all of time."""
        params = {"q": q, "from": "1970-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 1000, **params}
        r = self.get("/v1/query?" + urllib.parse.urlencode(params))
        assert r.status == 200, r.text
        return [json.loads(line) for line in r.text.splitlines() if line]

    def count(self, q=""):
        rows = self.query((q + " | count").strip())
        return rows[0]["count"] if rows else 0

    def advance(self, seconds):
        r = self.local("POST", "/debug/clock?advance=%d" % seconds)
        assert r.status == 200, r.text

    def reread(self, true, what):
        """SIGHUP, and waits until true()."""
        self.process.send_signal(signal.SIGHUP)
        return eventually(true, what)

    def seal(self):
        r = self.local("POST", "/debug/seal")
        assert r.status == 200, r.text

    def status(self):
        return self.get("/v1/status").json()

    def raw(self, data, timeout=10, half_close=False):
        """Sends bytes as they are, reads until the server closes or is silent for `timeout`.
        Returns (bytes, closed)."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as s:
            if self.scheme == "https":
                s = ssl._create_unverified_context().wrap_socket(s)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            got = b""
            try:
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        return got, True
                    got += piece
            except socket.timeout:
                return got, False
            except ConnectionResetError:
                return got, True


def run_one(name, test):
    """What to print of it; it begins with ok, skip or FAIL in its last line."""
    began = time.monotonic()
    try:
        test()
        return "ok %s (%.1f s)" % (name[5:], time.monotonic() - began)
    except Skip as e:
        return "skip %s: %s" % (name[5:], e)
    except Exception:
        return traceback.format_exc() + "FAIL %s" % name[5:]


def run(names, at_once=1):
    """Runs the test_* functions of a story in order, some at the same time where they mostly wait; --only NAME picks one."""
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else None
    tests = [(n, t) for n, t in names.items() if n.startswith("test_") and only in (None, n)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for said in pool.map(run_one, *zip(*tests)) if tests else ():
            print(said, flush=True)
            failed += said.splitlines()[-1].startswith("FAIL")
    sys.exit(1 if failed else 0)
