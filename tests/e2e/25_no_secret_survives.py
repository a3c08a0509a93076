"""Secrets die before the disk. Canaries are planted in every place a request has: by name and by shape, whole and in pieces of text, in bodies that
are taken, refused, damaged or cut off, in keys, cookies and passwords. Then every byte is searched: the data folder and the archive, also inside
zstd, the mails as sent and as read, the server's log, its answers, and its memory as a core file would show it."""
import base64, contextlib, ctypes, email, email.policy, gzip, json, os, random, re, signal, socket, sys, zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import Logd, Skip, eventually, run, shared

RULES = """
rules:
- id: error
  why: something failed
  when: level >= error
  by: [app, type]
  wait: 0s
  digest: 60s
"""
PEM = "-----BEGIN RSA %s KEY-----\nMIIEpAIBAAKCAQEA%s\nq83vEjRWeJCrze8=\n-----END RSA %s KEY-----\n"


class Canaries:
    """Each holds the same eight letters of this run and its own number; cards and what is encoded are searched for by themselves."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.mark = "".join(self.random.choices("BCDFGHJKLMNPQRSTVWXZ", k=8))
        self.places, self.others = [], {}

    def __call__(self, place, prefix="", length=32):
        """A secret of that length behind its prefix. What tells it apart stands last, since malloc overwrites the start of what is freed, and
        first where there is room, since a sentence quotes only the start of what is wrong."""
        text = "%s%03d" % (self.mark, len(self.places))
        first = text if length > 2 * len(text) else ""
        self.places.append(place)
        return prefix + first + "".join(self.random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=length - len(first + text))) + text

    def also(self, place, text):
        """One that is searched for as it is."""
        self.others[text.encode()[max(0, min(16, len(text) - 16)):]] = place
        return text

    def card(self, place, groups):
        digits = [4] + [self.random.randrange(10) for _ in range(14)]
        double = sum(d * 2 - 9 * (d > 4) if i % 2 == 0 else d for i, d in enumerate(digits))
        text = "".join(map(str, digits + [-double % 10]))
        return self.also(place, " ".join(text[i:i + 4] for i in range(0, 16, 4)) if groups else text)

    def jwt(self, place):
        return "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + self(place, length=43)

    def pem(self, place):
        return PEM % ("PRIVATE", self(place, length=40), "PRIVATE")

    def __len__(self):
        return len(self.places) + len(self.others)

    def found(self, where, data, seen):
        """Notes in seen which of them are in data."""
        mark, at = self.mark.encode(), -1
        while (at := data.find(mark, at + 1)) >= 0:
            number = data[at + len(mark):at + len(mark) + 3]
            place = self.places[int(number)] if number.isdigit() and int(number) < len(self.places) else "cut short"
            seen.setdefault(place, "%s: %r" % (where, data[max(at - 40, 0):at + 40]))
        for text, place in self.others.items():
            if (at := data.find(text)) >= 0:
                seen.setdefault(place, "%s: %r" % (where, data[max(at - 40, 0):at + 60]))


# ---- planting ----

def escaped(text):
    return "".join("\\u%04x" % ord(c) for c in text)


def events(c):
    """Events with a secret each: (name of the place, event)."""
    yield {"password": c("a field's name")}
    yield {"db": {"pool": {"dbPassword": c("a nested name")}}}
    yield {"userToken": c("a name in camelCase"), "X-Api-Key": c("a name of a header")}
    yield {"accounts": [{"id": 1, "api_key": c("a name in an array of objects")}]}
    yield {"credentials": {"left": c("an object that is a secret"), "right": [c("an array in it")]}}
    yield {"secrets": [c("an array that is a secret")]}
    yield {"seen": {c("a map's key", "ghp_", 36): 1}}
    yield {"seen": [{c("a map's key in an array", "sk_live_"): 1}]}
    yield {"args": ["--verbose", "--token=" + c("an argument")]}
    yield {"args": ["--password", c("the argument after an option")]}
    yield {"request": {"headers": [["Accept", "*/*"], ["Cookie", c("a pair in a list of headers")]]}}
    yield {"request": {"headers": [{"name": "Authorization", "value": c("a name and a value in a list of headers")}]}}
    yield {"message": "cannot connect with password=" + c("password= in the message") + ", giving up"}
    yield {"message": "sent Authorization: Bearer " + c("a header in the message") + " and got 401"}
    yield {"message": 'request was {"user":"ann","password":"%s"}' % c("JSON in the message")}
    yield {"message": "request was " + json.dumps({"body": json.dumps({"token": c("JSON in JSON in the message")})})}
    yield {"message": "Cookie: theme=dark; sid=%s; lang=en" % c("a cookie in the message")}
    yield {"message": "key " + c("a GitHub token", "ghp_", 36) + " and " + c("a Slack token", "xoxb-", 40)}
    yield {"message": "aws " + c("an AWS key", "AKIA", 16) + " google " + c("a Google key", "AIza", 35)}
    yield {"message": "card %s was declined" % c.card("a card number in groups", True), "pan": int(c.card("a card number as number", False))}
    yield {"message": "jwt " + c.jwt("a JWT")}
    yield {"message": "loaded\n" + c.pem("a private key")}
    yield {"url": "https://shop.example/cb?code=1&access_token=" + c("a URL's query") + "#top"}
    yield {"url": "https://shop.example/cb#id_token=" + c("a URL's fragment") + "&state=1"}
    yield {"url": "postgres://shop:%s@db.example:5432/shop" % c("a password in a URL")}
    yield {"url": "https://shop.example/go?to=%2Fcb%3Ftoken%3D" + c("a URL in a URL")}
    yield {"error": {"type": "E1", "message": "login failed: passwd=" + c("an error's message"),
                     "stack": "Error: x\n    at run (https://shop.example/app.js?token=%s:1:20)\n    at main (app.js:3:4)" % c("a stack")}}
    yield {"error": {"type": "E2", "message": "x", "frames": [{"function": "f", "file": "https://a.example/a.js?token=" + c("a frame"), "line": 1, "column": 2,
                                                                "vars": {"password": c("a frame's variable")}}],
                     "cause": {"type": "E3", "message": "secret=" + c("a cause")}}}
    yield {"err": "client_secret=" + c("an error that is text")}
    yield {"http": {"headers": {"cookie": c("a request's cookie"), "Authorization": "Bearer " + c("a request's authorization")},
                    "user_agent": "curl/8 token=" + c("a user agent")}}
    yield {"auth": {"action": "login", "outcome": "failure", "user": "ann", "password": c("auth.password"), "reason": "wrong password: " + c("auth.reason") + "1"}}
    yield {"event_id": c.jwt("an event's id")}
    yield {"host": "token=" + c("a host"), "logger": c("a logger", "glpat-"), "release": c("a release", "npm_", 36), "user": {"id": 7, "sessionId": c("a user's session")}}


def lines(c):
    """The same, and what only bytes can say: escapes, equal names, more than one form of one thing."""
    for n, e in enumerate(events(c)):
        yield json.dumps(dict({"level": "error", "type": "canary.%d" % n}, **e))
    value = c("an escaped name")
    yield '{"level":"error","type":"esc.1","p\\u0061ssw\\u006frd":"%s"}' % value
    value = c("an escaped value", "ghp_", 36)
    c.also("an escaped value, as sent", escaped(value))
    yield '{"level":"error","type":"esc.2","note":"%s"}' % escaped(value)
    value = c("an escaped name and value in an array")
    yield '{"level":"error","type":"esc.3","list":[{"\\u0074oken":"%s"}]}' % c.also("the same, as sent", escaped(value))
    yield '{"level":"error","type":"twice","password":"%s","password":"x"}' % c("the first of two equal names")


def refused(c):
    """Records that are refused, one a line: their values are quoted in errors, scrubbed."""
    yield '{"level":"token=%s"}' % c("a level that is none")
    yield '{"time":"password=%s"}' % c("a time that is none")
    yield '{"auth":{"action":"password: %s1"}}' % c("an action that is none")
    yield '{"a":{"%s":{"level":{"x":1}},"level":{}},"level":[1]}' % c("a name in a pointer", "ghp_", 36)
    yield '{"message":"password=%s","x":}' % c("what is not JSON")
    value = c("what was decoded before it was no JSON", "token=")
    yield '{"level":"%s","x":}' % c.also("the same, as sent", escaped(value))
    yield '{"password":"%s"' % c("what never ends")


class Planter:
    def __init__(self, logd, c):
        self.logd, self.c, self.answers = logd, c, []

    def send(self, path, body, headers=None, status=200, **more):
        r = self.logd.request("POST", path, body, headers=headers, **more)
        assert r.status == status, (path, r)
        self.answers.append((path, str(r.headers).encode() + r.body))
        return r

    def raw(self, text, **more):
        answer, _ = self.logd.raw(text if isinstance(text, bytes) else text.encode(), timeout=2, **more)
        self.answers.append(("raw", answer))
        return answer


def plant_events(p):
    c, few = p.c, json.dumps
    all_lines = list(lines(c))
    third = len(all_lines) // 3
    p.send("/v1/events", "\n".join(all_lines[:third]))
    p.send("/v1/events", "[" + ",".join(all_lines[third:2 * third]) + "]")
    p.send("/v1/events", gzip.compress("\n".join(all_lines[2 * third:]).encode()), {"Content-Encoding": "gzip"})
    p.send("/v1/events", zlib.compress(few({"token": c("a body in deflate")}).encode()), {"Content-Encoding": "deflate"})
    p.send("/v1/events", zstd_pack(few({"token": c("a body in zstd"), "pad": "x" * 100000}).encode()), {"Content-Encoding": "zstd"})
    many = "\n".join(few({"message": "n %d password=%s" % (i, "x" if i else c("a large body"))}) for i in range(5000))
    p.send("/v1/events", many)
    for line in refused(c):
        p.send("/v1/events", line, status=400)
        p.send("/v1/events", line + "\n" + few({"message": "a good one"}), {"Idempotency-Key": c("an Idempotency-Key")})
    p.send("/v1/events", gzip.compress(few({"token": c("a damaged gzip"), "pad": "x" * 99999}).encode())[:-9], {"Content-Encoding": "gzip"}, status=400)
    p.send("/v1/stats", {"name": "pic.upload", "labels": {"token": c("a stat's label by name", length=20)}}, status=400)
    p.send("/v1/stats", {"name": "pic.upload", "labels": {"kind": c("a stat's label by shape", "sk_live_", 14)}}, status=400)


def plant_browser(p):
    c = p.c
    origin = {"Origin": "https://shop.example"}
    key = p.logd.key("browser", "web", origins=("https://shop.example",))
    agent = {"User-Agent": "Mozilla/5.0 token=" + c("a reporter's user agent"), "Cookie": "sid=" + c("a cookie of somebody")}
    p.send("/b?key=" + key, {"level": "error", "type": "js", "message": "x password=" + c("a beacon"), "url": "https://shop.example/?token=" + c("a beacon's page")},
           dict(origin, **{"Content-Type": "text/plain"}), status=204, key=False)
    report = {"document-uri": "https://shop.example/a?token=%s#f" % c("a CSP report's page"), "blocked-uri": "https://u:%s@evil.example/" % c("a CSP report's URL"),
              "violated-directive": "script-src", "script-sample": "var password = '%s'" % c("a CSP report's sample")}
    p.send("/b/reports?key=" + key, {"csp-report": report}, dict(origin, **agent), status=204, key=False)
    reports = [{"type": "deprecation", "url": "https://shop.example/?k=" + c("a report's page"), "user_agent": "x token=" + c("a report's agent"),
                "body": {"message": "token=" + c("a report's message"), "id": c("a report's value", "ghp_", 36)}}]
    p.send("/b/reports?key=" + key, reports, origin, status=204, key=False)
    p.send("/b/reports?key=" + key, '[{"body":{"token":%s' % c("a report that is not JSON"), origin, status=400, key=False)


def plant_requests(p):
    """What is refused before, in the middle of or without a body."""
    c, logd = p.c, p.logd
    host = "Host: x\r\n"
    p.send("/v1/events", "{}", {"Authorization": "Bearer " + c("an unknown key", "lk_")}, status=401)
    basic = base64.b64encode(("logd:" + c("a Basic password", "lk_")).encode()).decode()
    p.send("/v1/events", "{}", {"Authorization": "Basic " + c.also("a Basic password in base64", basic)}, status=401)
    p.send("/v1/events?token=" + c("a query string") + "&key=" + c("?key= of a wrong kind", "lk_"), "{}", {"X-Custom-Secret": c("a header nobody knows")},
           status=401, key=False)
    answer = p.raw("POST /login HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%s" % (host, ("30000\r\n%s\r\n" % ('{"password":"' + c("a body that is too large")).ljust(0x30000)) * 9))
    assert answer.startswith(b"HTTP/1.1 413"), answer
    answer = p.raw("POST /v1/events HTTP/1.1\r\n%sContent-Length: 90000\r\n\r\n%s" % (host, c("a body without a key") * 2000))
    assert answer.startswith(b"HTTP/1.1 401"), answer
    answer = p.raw("GET /healthz HTTP/1.1\r\n%s%sX-Secret: %s\r\n\r\n" % (host, host, c("a header of a refused request")))
    assert answer.startswith(b"HTTP/1.1 400"), answer
    cut = []
    for n in range(8): # at once, so that none gets the memory of one before
        cut.append(socket.create_connection((logd.host, logd.port)))
        cut[-1].sendall(("POST /v1/events HTTP/1.1\r\n%sX-Logd-Key: %s\r\nX-Trace: token=%s\r\nContent-Length: 5000\r\n\r\n" % (host, logd.key("ingest"), c("a header, then a cut"))).encode())
        cut[-1].sendall(('{"password":"' + c("a body that was cut off")).encode())
    for s in cut:
        s.close()
    p.raw("GET /v1/query?q=%s" % c("half a request line"), half_close=True)
    pieces = '{"tok', 'en":"%s"}' % c("a body in chunks"), ""
    answer = p.raw("POST /v1/events HTTP/1.1\r\n%sX-Logd-Key: %s\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%s" % (
        host, logd.key("ingest"), "".join("%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)))
    assert b'"accepted":1' in answer, answer
    two = '{"token":"%s"}' % c("two requests in one packet")
    one = "POST /v1/events HTTP/1.1\r\n%sX-Logd-Key: %s\r\nContent-Length: %d\r\n%s\r\n" + two
    answer = p.raw(one % (host, logd.key("ingest"), len(two), "") + one % (host, logd.key("ingest"), len(two), "Connection: close\r\n"))
    assert answer.count(b'"accepted":1') == 2, answer


def plant_people(p):
    """Passwords, cookies and tokens: they are in no place but the request that shows them."""
    c, logd = p.c, p.logd
    one, two = c("a password"), c("a new password")
    logd.command("user", "add", "ann@example.com", "--role", "admin", input=one + "\n")
    login = {"email": "ann@example.com", "password": one}
    assert logd.request("POST", "/login", dict(login, password=c("a wrong password")), key=False).status == 401
    r = logd.request("POST", "/login", login, key=False)
    assert r.status == 200, r
    cookie, csrf = re.search(r"logd_session=([0-9a-f]{64})", r.headers["Set-Cookie"])[1], r.json()["csrf"]
    who = {"Cookie": "logd_session=" + c.also("a session's cookie", cookie), "X-CSRF-Token": c.also("a session's token", csrf), "Connection": "close"}
    assert logd.request("GET", "/v1/me", headers=who, key=False).status == 200
    r = logd.request("POST", "/v1/me/password", {"old": one, "new": two}, headers=who, key=False)
    assert r.status == 200, r
    c.also("the cookie of the session after", re.search(r"logd_session=([0-9a-f]{64})", r.headers["Set-Cookie"])[1])
    c.also("the token of the session after", r.json()["csrf"])
    p.send("/login", '{"email":"ann@example.com","password": %s}' % c("a password that is not JSON"), status=400, key=False)
    p.send("/login", {"email": "ann@example.com", "password": [c("a password that is no text")]}, status=400, key=False)
    p.kept = logd.connect()  # stays open: nobody gets its memory
    r = logd.request("POST", "/login", dict(login, password=two), key=False, connection=p.kept)
    assert r.status == 200, r
    c.also("the token of the last session", r.json()["csrf"])
    c.also("the cookie of the last session", re.search(r"logd_session=([0-9a-f]{64})", r.headers["Set-Cookie"])[1])


def plant_keys(p):
    p.logd.key("read")
    for (role, *_), key in ((k, v) for k, v in p.logd.keys.items() if k[0] != "app"):
        p.c.also("the key of role " + role, key)


# ---- searching ----

class Zstd:
    """The library that logd links, by ctypes: Python 3.11 has none."""
    try:
        lib = ctypes.CDLL("libzstd.so.1")
        for name in ("ZSTD_compress", "ZSTD_compressBound", "ZSTD_decompress", "ZSTD_findFrameCompressedSize", "ZSTD_isError"):
            getattr(lib, name).restype = ctypes.c_size_t
        lib.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    except OSError:
        lib = None


def size(n):
    return ctypes.c_size_t(n)


def zstd_pack(data):
    out = ctypes.create_string_buffer(Zstd.lib.ZSTD_compressBound(size(len(data))))
    n = Zstd.lib.ZSTD_compress(out, size(len(out)), data, size(len(data)), 3)
    return out.raw[:n]


def zstd_frames(data):
    """What the frames in data hold, wherever they start."""
    at = -1
    while (at := data.find(b"\x28\xb5\x2f\xfd", at + 1)) >= 0:
        frame = data[at:]
        n = Zstd.lib.ZSTD_findFrameCompressedSize(frame, size(len(frame)))
        if Zstd.lib.ZSTD_isError(size(n)):
            continue
        whole = Zstd.lib.ZSTD_getFrameContentSize(frame, size(n))
        out = ctypes.create_string_buffer(min(whole, 1 << 26))
        got = Zstd.lib.ZSTD_decompress(out, size(len(out)), frame, size(n))
        assert not Zstd.lib.ZSTD_isError(size(got)), "a frame that cannot be read"
        yield out.raw[:got]


def files(folder):
    """(name, bytes) of every file, and of what is packed in it."""
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                data = f.read()
            yield path, data
            for unpacked in zstd_frames(data):
                yield path + " (unpacked)", unpacked


def mails(folder):
    """Each mail as it was sent and as it is read."""
    for path, data in files(folder):
        yield path, data
        for part in email.message_from_bytes(data, policy=email.policy.default).walk():
            yield path, "\n".join("%s: %s" % h for h in part.items()).encode()
            if not part.is_multipart():
                yield path, part.get_content().encode()


def stopped(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[0] in "Tt"


@contextlib.contextmanager
def frozen(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: stopped(pid), "it stands still")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def memory(pid):
    """(place, bytes) of all that the process can read and write: what a core file would hold."""
    try:
        mem = open("/proc/%d/mem" % pid, "rb", 0)
    except PermissionError:
        raise Skip("THE MEMORY OF THE SERVER WAS NOT SEARCHED: only root may read it, since logd allows no core file")
    with mem, frozen(pid), open("/proc/%d/maps" % pid) as maps:
        for line in maps:
            place, rights = line.split()[:2]
            first, end = (int(x, 16) for x in place.split("-"))
            if end - first > 1 << 36:
                raise Skip("the memory was not searched: a sanitizer maps terabytes of it")
            if rights.startswith("rw"):
                mem.seek(first)
                yield line.strip(), mem.read(end - first)


def search(c, places, seen=None):
    seen = {} if seen is None else seen
    for where, data in places:
        c.found(where, data, seen)
    return seen


def holds(places, text):
    return any([text.encode() in data for _, data in places])  # all of it: the process stands still until then


def told(seen):
    return "%d found:\n%s" % (len(seen), "\n".join("  %s: %s" % found for found in sorted(seen.items())))


# ---- the story ----

CONFIG = 'archive: {url: "file://%s", every: 1s}\nmail: {url: "maildir:%s", from: logd@example.com}\nrecipients:\n  - {email: ops@example.com, min: P5}\n'
ANSWERS = ("/v1/query?limit=10000&from=1970-01-01T00:00:00Z", "/v1/issues?state=all", "/v1/incidents", "/v1/stats", "/v1/status", "/metrics", "/v1/keys", "/v1/users")


PLANTS = (plant_events, plant_browser, plant_requests, plant_people, plant_keys)


class Story:
    """A server with an archive and a mailbox, and what was planted in it."""

    def __init__(self):
        if not Zstd.lib:
            raise Skip("there is no libzstd.so.1: what is packed cannot be searched")
        self.seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        self.c, self.decoy = Canaries(self.seed), "decoy-%d" % self.seed
        self.logd = Logd(env={"LOGD_TEST_HURRY": "10"})
        self.archive, self.box = os.path.join(self.logd.folder, "archive"), os.path.join(self.logd.folder, "box")
        self.logd.configure(CONFIG % (self.archive, self.box), RULES)
        self.p = Planter(self.logd, self.c)

    def __enter__(self):
        self.logd.__enter__()
        return self

    def __exit__(self, *why):
        print("  SEED=%d, %d canaries" % (self.seed, len(self.c)))
        self.logd.__exit__(*why)

    def post_decoy(self):
        r = self.logd.post("/v1/events", {"level": "error", "type": "decoy", "message": self.decoy})
        assert r.status == 200, r

    def through(self, name):
        p = self.logd.status()["positions"]
        return p[name] >= p["journal"]

    def settle(self):
        """Everything is in a segment, in the archive and mailed."""
        eventually(lambda: self.through("rules"), "the rules have seen it")
        self.logd.seal()
        eventually(lambda: self.through("archive"), "it is shipped")
        self.logd.advance(301)  # what came behind the first two mails is gathered
        eventually(lambda: self.logd.status()["signals"]["mailed"] >= 30, "the mails")

    def everywhere(self):
        """(what it is, [(place, bytes)]) of all that is kept or sent."""
        for path in ANSWERS:
            r = self.logd.get(path)
            assert r.status == 200, (path, r)
            self.p.answers.append((path, r.body))
        return {"the data folder": list(files(self.logd.data)), "the archive": list(files(self.archive)), "the mails": list(mails(self.box)),
                "the answers": self.p.answers, "the log": [("log", self.logd.log().encode())]}

    def memory_is_clean(self, after):
        seen = {}

        def clean():
            seen.clear()
            return not search(self.c, memory(self.logd.process.pid), seen)
        try:
            eventually(clean, "the memory is clean", timeout=4)
        except AssertionError:
            raise AssertionError("the memory after %s: %s" % (after, told(seen)))


def test_no_canary_is_in_files_archive_mails_log_or_answers():
    with Story() as s:
        s.post_decoy()  # first, so that a mail shows it
        for plant in PLANTS:
            plant(s.p)
        assert len(s.c) >= 40
        s.settle()
        for what, places in s.everywhere().items():
            assert what == "the log" or holds(places, s.decoy), "%s: not even the decoy was found" % what
            seen = search(s.c, places)
            assert not seen, "%s: %s" % (what, told(seen))


def test_no_canary_stays_in_memory():
    with Story() as s:
        for plant in PLANTS:
            plant(s.p)
            s.memory_is_clean(plant.__name__)
        s.settle()
        s.everywhere()
        s.post_decoy()
        assert holds(memory(s.logd.process.pid), s.decoy), "not even the decoy was found"
        s.memory_is_clean("all was read")


# ---- what real clients send ----

REAL = {b"hunter2": 40, b"s3cr3t": 10, b"token=SECRET": 30, b"Bearer x": 20}  # at least so many are in the recordings, found as they were sent


def recordings():
    """(name, bytes) of bodies, heads, packets and files as clients sent or wrote them."""
    for folder, _, names in sorted(os.walk(shared("data", "captures"))):
        for name in sorted(set(names) - {"README", "INDEX.tsv", "index.jsonl"}):
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                data = f.read()
            if not name.endswith(".http"):
                yield path, data
                continue
            head, _, body = data.partition(b"\r\n\r\n")
            yield path, head
            if name.replace(".http", ".body") not in names:  # else it is unpacked there
                yield path, body


def test_no_canary_of_real_clients_survives():
    sent = dict.fromkeys(REAL, 0)
    with Logd() as logd:
        connection = logd.connect()
        for path, data in recordings():
            for canary in REAL:
                sent[canary] += data.count(canary)
            for body in (data, json.dumps({"message": data.decode("utf-8", "replace")[:500000], "file": os.path.basename(path)})):
                r = logd.post("/v1/events", body, connection=connection)
                assert r.status in (200, 400), (path, r)
                assert not any(canary in r.body for canary in REAL), (path, r)
        logd.seal()
        assert all(sent[canary] >= least for canary, least in REAL.items()), sent
        assert logd.count() > 2000
        left = ["%s in %s: %r" % (canary.decode(), path, data[max(0, at - 60):at + 30]) for path, data in files(logd.data) for canary in REAL if (at := data.find(canary)) >= 0]
        assert not left, "\n".join(left)


if __name__ == "__main__":
    run(globals())
