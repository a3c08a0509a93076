"""A logd that counts people, and what a thief would need to find them again: the record's bytes, SipHash-2-4, the key of a secret."""
import glob, hashlib, hmac, json, os, shutil, struct, subprocess, tempfile, time
from collections import namedtuple

from logd import Logd, eventually

HOUR, DAY = 3600, 86400


class Server(Logd):
    """With secrets of its own, under a folder on tmpfs that goes with it."""

    def __init__(self, **more):
        given = more.pop("runtime", None)
        self.runtime, self.mine = given or tempfile.mkdtemp(prefix="logd.", dir="/dev/shm"), not given
        self.ahead = DAY - time.time() % DAY + 600 if time.time() % DAY > DAY - 3 * HOUR else 0  # hours that a story passes are of one day
        left = HOUR - time.time() % HOUR
        time.sleep(left if left < 15 else 0)  # or one visit would be in an hour, and its twin in the next
        super().__init__(env=dict({"RUNTIME_DIRECTORY": self.runtime}, **more.pop("env", {})), **more)

    def start(self, **more):
        super().start(**more)
        if self.ahead:
            self.advance(self.ahead)

    def now(self):
        """Of its clock when it starts."""
        return time.time() + self.ahead

    def __exit__(self, *why):
        try:
            super().__exit__(*why)
        finally:
            if self.mine:
                shutil.rmtree(self.runtime, ignore_errors=True)

    def secrets(self):
        """Names of the files: STEP-START."""
        return sorted(os.path.basename(p) for p in glob.glob(self.runtime + "/*/*"))

    def visit(self, people, labels=None, **more):
        """people: numbers."""
        body = "\n".join(json.dumps(dict({"name": "visitors", "type": "unique", "value": "person-%d" % n}, **(labels and {"labels": labels} or {}), **more)) for n in people)
        r = self.post("/v1/stats", body)
        assert r.status == 200, r
        return r.json()

    def counted(self):
        p = self.status()["positions"]
        return p["rules"] >= p["journal"]

    def points(self, by, more=""):
        eventually(self.counted, "what was posted is counted")  # the answer to a post waits for a slow fold, but not for long
        r = self.get("/v1/stats/visitors?by=%s&from=-400d&to=%s%s" % (by, "2100-01-01T00:00:00Z", more), key="read")
        assert r.status == 200, r
        return r.json()["points"]

    def point(self, by, more=""):
        (p,) = self.points(by, more)
        return p

    def groups(self, by):
        return {p["group"]: p["value"] for p in self.points(by, "&group=plan")}

    def sealed(self, by):
        p = self.points(by, "&group=plan") + self.points(by)
        return p and not any(x.get("open") for x in p)

    def journal(self):
        return b"".join(open(p, "rb").read() for p in sorted(glob.glob(self.data + "/journal/*.j")))

    def to_seal(self, by, timeout=10):
        """Moves the clock past the end of the hour or day."""
        step = {"hour": HOUR, "day": DAY}[by]
        self.advance(2 * HOUR + 10 if by == "hour" else DAY + HOUR + 10)
        eventually(lambda: self.sealed(by), "the %s is sealed" % by, timeout)


def near(value, people):
    return abs(value - people) <= 1 + people * .05


def unpacked(path):
    return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout


# ---- records ----

Entry = namedtuple("Entry", "app name label value step start segment codes")


def records(journal):
    """The entries of each record of a unique, by record, of the bytes of journal files."""
    at = -1
    while (at := journal.find(b"\xffLREC\xfe\r\n", at + 1)) >= 0:
        kind, flags, app, seq, time_us, events, ids, meta, body = struct.unpack_from("<xBBxIQQIIII", journal, at + 8)
        if kind != 4:
            continue
        assert time_us == 0 and flags == 0 and meta == 0, "a record of a unique has no time and no id"
        yield list(entries(app, journal[at + 72:at + 72 + body]))


def entries(app, body):
    at = 0
    while at < len(body) and body[at] == 1:
        _, a, b, c, step, start, segment, n = struct.unpack_from("<BBBBiqqI", body, at)
        name, label, value = (body[at + 28 + i:at + 28 + j] for i, j in ((0, a), (a, a + b), (a + b, a + b + c)))
        at += 28 + a + b + c
        yield Entry(app, name.decode(), label.decode(), value.decode(), step, start, segment, struct.unpack_from("<%dI" % n, body, at))
        at += 4 * n


# ---- what turns an id into a place ----

def siphash24(key, data):
    mask = 2 ** 64 - 1
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573]

    def turn(n, by):
        return (n << by | n >> (64 - by)) & mask

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & mask
            v[1] = turn(v[1], 13) ^ v[0]
            v[0] = turn(v[0], 32)
            v[2] = (v[2] + v[3]) & mask
            v[3] = turn(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & mask
            v[3] = turn(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & mask
            v[1] = turn(v[1], 17) ^ v[2]
            v[2] = turn(v[2], 32)

    padded = data + b"\0" * (7 - len(data) % 8) + bytes([len(data) % 256])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def code_of(key, who):
    h = siphash24(key, who.encode())
    return (h & 8191) * 64 + min(48, 64 - (h | 0x8000).bit_length())


def key_of(secret, app, name, step, start):
    """`secret`: the 48 bytes of its file."""
    return hmac.new(secret[16:], b"logd-uu-v1|%d|%s|%d|%d" % (app, name.encode(), step, start), hashlib.sha256).digest()[:16]


assert siphash24(bytes(range(16)), bytes(range(15))) == 0xa129ca6149be45e5
