"""A thief takes all disks, the archive, memory and tmpfs. While a period is open he finds its key and knows who was there, or the hunt would prove
nothing; once it is sealed he finds none, and guesses no better than a coin. No id and no hash of one is anywhere. Journal and archive have a person
once a cell and period. Killed at any step of sealing, the numbers are the same and the secret is gone."""
import glob, hashlib, importlib, json, os, random, shutil, sqlite3, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, Skip, eventually, run
from visitors import DAY, HOUR, Server, code_of, entries, key_of, near, records, unpacked
every_byte = importlib.import_module("25_no_secret_survives")
files, memory = every_byte.files, every_byte.memory

KEYHUNT = os.path.join(TREE, "build/gcc-release/crash/keyhunt")
SLOWLY = os.environ.get("LOGD_ATTACK") == "all"  # every offset and every step, in make check


def with_archive(logd):
    archive = os.path.join(logd.folder, "archive")
    logd.configure(f'archive: {{url: "file://{archive}", every: 1s}}\n')
    logd.restart()
    return archive


def shipped(logd):
    p = logd.status()["positions"]
    return p["archive"] >= p["journal"]


def taken(logd):
    """(place, bytes) of the process's memory but for empty pages, of as much as we may see."""
    try:
        return [(place, b"".join(page for at in range(0, len(data), 4096) if (page := data[at:at + 4096]).strip(b"\0"))) for place, data in memory(logd.process.pid)]
    except Skip as why:
        print("  skip: %s" % why)
        return []


def cells_of(journal):
    """{(step, start): (app, segment, codes)} of the metric itself."""
    cells = {}
    for record in records(journal):
        for e in record:
            if not e.label:
                cells.setdefault((e.step, e.start), (e.app, e.segment, set()))[2].update(e.codes)
    return cells


class Hunt:
    """Forty people that the thief knows, and the cells as they were while they were open."""

    def __init__(self, folder, known, cells):
        self.cells = list(cells.items())
        self.ids, self.list = os.path.join(folder, "ids"), os.path.join(folder, "cells")
        with open(self.ids, "w") as f:
            f.write("\n".join(known))
        with open(self.list, "w") as f:
            f.writelines("%d visitors %d %d %s\n" % (app, step, start, ",".join(map(str, sorted(codes)))) for (step, start), (app, _, codes) in self.cells)

    def __call__(self, places):
        """({index of cell: kinds of keys found}, the best key and its cell)."""
        done = subprocess.run([KEYHUNT, self.ids, self.list] + ["all"] * SLOWLY, input=b"".join(data.ljust(-(-len(data) // 8 + 1) * 8, b"\0") for _, data in places), capture_output=True, timeout=900)
        assert done.returncode == 0, done
        found = {}
        for line in done.stdout.decode().splitlines():
            what, *rest = line.split()
            if what == "found":
                found.setdefault(int(rest[0]), []).append(rest[1])
            elif what == "best":
                best = bytes.fromhex(rest[2]), self.cells[int(rest[1])][1][2]
        return found, best


def auc(key, codes, members, others):
    """How often a member scores higher than somebody who never came; equal is half."""
    hit = [sum(code_of(key, who) in codes for who in group) / len(group) for group in (members, others)]
    return .5 + (hit[0] - hit[1]) / 2


def test_no_key_is_left_where_a_thief_looks():
    with Server() as logd:
        archive = with_archive(logd)
        members, others = (["person-%d" % n for n in range(*r)] for r in ((0, 500), (10000, 10500)))
        logd.visit(range(500), {"plan": "free"})
        eventually(lambda: shipped(logd), "it is shipped")
        hunt = Hunt(logd.folder, members[:40], cells_of(logd.journal()))
        assert len(hunt.cells) == 4, hunt.cells
        disk = list(files(logd.data)) + list(files(archive))
        found, _ = hunt(disk)
        assert not found, "no key is on a disk while it is in use: %r" % found
        tmpfs = list(files(logd.runtime))
        found, (key, codes) = hunt(tmpfs)
        assert found == dict.fromkeys(range(4), ["secret"]), found
        assert auc(key, codes, members[40:], others) > .95
        if taken(logd):
            found, _ = hunt(taken(logd))
            assert set(found) == set(range(4)), "memory holds the secrets: %r" % found
        logd.advance(40 * DAY)
        eventually(lambda: logd.secrets() == [] and logd.sealed("month"), "all is sealed")
        eventually(lambda: shipped(logd), "it is shipped")
        logd.visit(range(500))  # they come again, in another month
        logd.advance(40 * DAY)
        eventually(lambda: logd.secrets() == [] and len(logd.points("month")) == 2 and logd.sealed("month"), "that is sealed too")
        everything = disk + list(files(logd.data)) + list(files(archive)) + list(files(logd.runtime)) + [("log", logd.log().encode())] + taken(logd)
        found, (guess, codes) = hunt(everything)
        assert not found, "left behind: %r" % found
        assert abs(auc(guess, codes, members[40:], others) - .5) < .1, "the best key of all tells members"
        found, _ = hunt(everything + [("planted", b"\x01" * 5 + key)])
        assert [kinds for kinds in found.values()] == [["key"]], "a key among all that is found once: %r" % found


def test_no_id_and_no_hash_of_one_is_anywhere():
    with Server() as logd:
        archive = with_archive(logd)
        mark = "CANARY-%08x" % random.randrange(1 << 32)
        ids = ["%s-%02d@example.com" % (mark, n) for n in range(12)]
        unique = [{"name": "visitors", "type": "unique", "value": who} for who in ids]
        logd.post("/v1/stats", unique[:3])
        logd.post("/v1/stats", "\n".join(map(json.dumps, unique[3:6])), headers={"Idempotency-Key": "k"})
        logd.post("/v1/stats", json.dumps(unique[6]).replace("CANARY", "\\u0043ANARY"))
        logd.post("/v1/stats", json.dumps(unique[7])[:-1])  # no JSON
        logd.post("/v1/stats", dict(unique[8], labels={"plan": "a@b.c"}))
        logd.post("/v1/stats", dict(unique[9], type="count"), headers={"Idempotency-Key": "k2"})
        logd.post("/v1/stats", dict(unique[10], time="noon"))
        logd.post("/v1/stats", dict(unique[11], time=0))
        logd.post("/v1/stats", {"name": "decoy", "value": 1})
        answers = [("answer", logd.get(path).body) for path in ("/v1/stats", "/v1/stats/visitors?by=day", "/metrics", "/v1/status")]
        eventually(lambda: shipped(logd), "it is shipped")
        wanted = {"an id": [mark.encode()]}
        for name in ("sha256", "sha1", "md5"):
            for what in (json.dumps(unique[0]), *ids, json.dumps(unique[9])):
                digest = hashlib.new(name, what.encode()).digest()
                wanted.setdefault(name, []).extend([digest[:12], digest.hex()[:24].encode()])

        def seen(places):
            return {(name, where) for where, data in places for name, texts in wanted.items() if any(t in data for t in texts)}
        on_disk = list(files(logd.data)) + list(files(archive)) + [("log", logd.log().encode())] + answers
        assert any(b"decoy" in data for _, data in on_disk)
        assert not seen(on_disk), seen(on_disk)
        assert seen([("a place with one", hashlib.sha1(ids[4].encode()).digest())]), "the search finds what is there"
        eventually(lambda: not seen(taken(logd)), "memory is clean", 4)


def test_a_person_has_one_record_a_cell_and_period():
    """Also when many post the same people at once, and after kill -9; whoever has all records cannot follow anybody from one to the next."""
    seed = random.randrange(1 << 32)
    print("  seed %d" % seed)
    dice = random.Random(seed)
    with Server() as logd:
        archive = with_archive(logd)
        secrets = {}
        for day in range(3):
            for _ in range(2):
                logd.key("ingest")
                batches = [[dice.randrange(300) for _ in range(40)] for _ in range(12)]
                threads = [threading.Thread(target=logd.visit, args=(b, {"plan": dice.choice(["free", "pro"])})) for b in batches]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
                for path in glob.glob(logd.runtime + "/*/*"):
                    with open(path, "rb") as f:
                        secrets[os.path.basename(path)] = f.read()
                logd.kill9_and_restart()
                logd.advance(day * DAY)
            logd.advance(DAY)
        eventually(lambda: shipped(logd), "it is shipped")
        all_records = list(records(logd.journal()))
        assert len(all_records) > 20
        count = {}
        for r in all_records:
            for e in r:
                assert e.codes == tuple(sorted(set(e.codes)))
                for code in e.codes:
                    where = (e.label, e.value, e.step, e.start, e.segment, code)
                    count[where] = count.get(where, 0) + 1
        twice = [where for where, n in count.items() if n > 1]
        assert not twice, "%d of %d places were written twice: %r" % (len(twice), len(count), twice[:5])
        month = {e.start for r in all_records for e in r if e.step == 30 * DAY}
        start = min(month)
        key = key_of(secrets["%d-%d" % (30 * DAY, start)], all_records[0][0].app, "visitors", 30 * DAY, start)
        codes = {w[5] for w in count if not w[0] and w[2] == 30 * DAY and w[3] == start}
        assert sum(code_of(key, "person-%d" % n) in codes for n in range(300)) >= 290, "who holds the key would see them"
        assert not [p for p in glob.glob(archive + "/journal/*") if list(e for r in records(unpacked(p)) for e in r)], "the archive has none"


def test_overlapping_questions_get_the_same_cells():
    with Server() as logd:
        logd.visit(range(60), {"plan": "free"})
        logd.visit(range(60, 66), {"plan": "pro"})
        logd.visit(range(66, 69), {"plan": "team"})
        logd.to_seal("day")
        told = {}
        now = logd.now()
        for by in ("hour", "day"):
            for group in ("", "&group=plan", "&label.plan=free", "&label.plan=pro", "&label.plan=team", "&label.plan=__other__"):
                for frm, to in [("-40d", now + 40 * DAY), (now - 2 * HOUR, now + HOUR), (now - DAY, now + 2 * DAY), (now - 3 * DAY, now)]:
                    for p in logd.get("/v1/stats/visitors?by=%s&from=%s&to=%s%s" % (by, frm, to, group), key="read").json()["points"]:
                        cell = by, p["time"], p.get("group", group.partition("plan=")[2])
                        told.setdefault(cell, set()).add(json.dumps([p["value"], p.get("low"), p.get("high")]))
        assert all(len(values) == 1 for values in told.values()), told
        assert {cell[2] for cell in told} == {"", "free", "__other__"}, told


# ---- kill -9 at each step of sealing ----

class Sealing:
    """A folder in which people were counted, copied for each run; its hour is sealed by a server that may be told to die."""

    def __init__(self):
        self.keys = {}
        self.top = tempfile.mkdtemp(prefix="logd.", dir="/dev/shm")
        self.ready = os.path.join(self.top, "ready")
        os.makedirs(self.ready + "/run")
        self.run_folder = os.path.join(self.top, "x")
        os.rename(self.ready, self.run_folder)  # secrets are found by the data folder's path
        with self.server() as logd:
            for role in ("ingest", "read", "admin"):
                logd.key(role)
            logd.visit(range(100), {"plan": "free"})
            logd.visit(range(100, 103), {"plan": "pro"})
            logd.visit(range(103, 120))
            self.open = logd.point("day")
        with sqlite3.connect(self.run_folder + "/data/fold.db") as db:
            (sketch,) = db.execute("SELECT sketch FROM unique_open WHERE step = 3600 ORDER BY value DESC").fetchone()
        self.piece = sketch[40:80]
        assert len(self.piece) == 40 and self.left()
        os.rename(self.run_folder, self.ready)

    def server(self, **env):
        env = dict({"LD_PRELOAD": os.path.join(TREE, "build/libfault.so"), "FAULT_DIR": self.run_folder}, **env) if env else {}
        logd = Server(data=self.run_folder, runtime=os.path.join(self.run_folder, "run"), env=env)
        logd.keys = self.keys
        return logd

    def again(self):
        shutil.rmtree(self.run_folder, ignore_errors=True)
        shutil.copytree(self.ready, self.run_folder)

    def seal(self, logd):
        logd.advance(2 * HOUR + 10)
        eventually(lambda: logd.sealed("hour") and not [s for s in logd.secrets() if s.startswith("3600-")], "the hour is sealed")
        eventually(lambda: not self.left(), "neither fold.db nor its write-ahead log has the sketch any more")

    def told(self, logd):
        return logd.points("hour"), logd.groups("hour"), logd.point("day"), logd.get("/v1/stats", key="admin").json()

    def left(self):
        """Files that hold a piece of the hour's sketch, or its secret."""
        return [path for path, data in files(self.run_folder) if self.piece in data] + glob.glob(self.run_folder + "/run/*/3600-*")

    def __exit__(self, *why):
        shutil.rmtree(self.top, ignore_errors=True)

    def __enter__(self):
        return self


def operations(path):
    """Calls that were recorded, but for those on standard output, closes and reads."""
    with open(path, "rb") as f:
        data = f.read()
    at = n = 0
    while at < len(data):
        op, failed, hit, zero = data[at:at + 4]
        name_n, size = int.from_bytes(data[at + 12:at + 16], "little"), int.from_bytes(data[at + 24:at + 32], "little")
        at += 32 + name_n + (size if op in (1, 8) else name_size(op, size))
        n += op < 6
    return n


def name_size(op, size):
    return size if op == 4 else 0


def test_killed_at_any_step_of_sealing_it_ends_the_same():
    with Sealing() as s:
        s.again()
        record = os.path.join(s.top, "record")
        with s.server(RECORD=record) as logd:
            before = operations(record)
            logd.advance(2 * HOUR + 10)
            eventually(lambda: not s.left(), "it is sealed, and nobody has asked")
            after = operations(record)
            assert logd.sealed("hour")
            want = s.told(logd)
        assert near(want[0][0]["value"], 120) and want[1] == {"__other__": None} or set(want[1]) == {"__other__"}, want
        assert want[2] == s.open and after - before > 8, (want, before, after)
        steps = list(range(before + 1, after + 1))
        died = 0
        for n in steps if SLOWLY else random.sample(steps, 6):
            s.again()
            logd = s.server(KILL="any:%d%s" % (n, random.choice(["", ":after", ":half"])))
            try:
                logd.start()
                logd.advance(2 * HOUR + 10)
                eventually(lambda: logd.process.poll() is not None, "it dies", 1.5)
                died += 1
                logd.process.stdout.close()
                logd.process = None
            except (AssertionError, OSError):
                logd.kill9() if logd.process and logd.process.poll() is None else None
                logd.process = None
            with s.server() as logd:
                s.seal(logd)
                assert s.told(logd) == want, "killed at %d of %d to %d" % (n, before, after)
            assert not s.left(), (n, s.left())
        assert died > 2, "%d of %d died" % (died, len(steps))


if __name__ == "__main__":
    run(globals())
