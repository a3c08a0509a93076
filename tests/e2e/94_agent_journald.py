"""logd-agent: the journal of systemd, from real journal files that systemd-journal-remote writes."""
import os, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from logd import TREE, Logd, Skip, eventually, run
from importlib import import_module

Agent = import_module("92_agent_inputs").Agent
REMOTE = os.path.join(TREE, "build", "deps", "root", "lib", "systemd", "systemd-journal-remote")
AT = 1764151400000000  # 2025-11-26T10:03:20Z


def entries(folder, *all_fields, name="system.journal"):
    """Adds entries to a journal file: of each a dict of fields, text or bytes."""
    if not os.path.exists(REMOTE):
        raise Skip("systemd-journal-remote is not in build/deps/root: make deps-test unpacks it")
    export = b""
    for i, fields in enumerate(all_fields):
        fields = {"__REALTIME_TIMESTAMP": str(AT + entries.n), "__MONOTONIC_TIMESTAMP": str(1000 + entries.n), "_BOOT_ID": "0123456789abcdef0123456789abcdef", **fields}
        entries.n += 1
        for key, value in fields.items():
            value = value.encode() if isinstance(value, str) else value
            export += key.encode() + (b"\n" + len(value).to_bytes(8, "little") + value if b"\n" in value else b"=" + value) + b"\n"
        export += b"\n"
    done = subprocess.run([REMOTE, "--split-mode=none", "-o", os.path.join(folder, name), "-"], input=export, capture_output=True)
    assert done.returncode == 0, done.stderr


entries.n = 0


def of(logd, q="", n=1000):
    return sorted(logd.query(q, limit=n), key=lambda r: r["id"])


def test_an_entry_has_the_names_that_other_events_have():
    with Logd() as logd, tempfile.TemporaryDirectory() as journal:
        entries(journal, {"MESSAGE": "Accepted publickey for deploy", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "sshd", "_PID": "42", "_HOSTNAME": "web1", "SYSLOG_FACILITY": "10",
                          "_SYSTEMD_UNIT": "ssh.service", "_SOURCE_REALTIME_TIMESTAMP": str(AT + 5), "_CMDLINE": "sshd -x secret"},
                {"MESSAGE": "two\nlines", "PRIORITY": "3", "_SYSTEMD_UNIT": "shop.service", "CODE_FILE": "shop.c", "CODE_LINE": "12", "ORDER_ID": "A-7"},
                {"MESSAGE": '{"level":"warn","message":"slow","ms":900}', "PRIORITY": "6", "CONTAINER_NAME": "web", "IMAGE_NAME": "shop:3", "_COMM": "dockerd"},
                {"MESSAGE": "x" * 300000, "PRIORITY": "6"}, {"MESSAGE": "\x01" * 100000, "SYSLOG_IDENTIFIER": "binary"})
        with Agent(logd, {"journald": {"directory": journal}}):
            eventually(lambda: logd.count() == 5, "all entries")
        ssh, shop, web, long, binary = of(logd)
        assert (ssh["message"], ssh["level"], ssh["service"], ssh["host"], ssh["unit"], ssh["facility"], str(ssh["pid"])) == (
            "Accepted publickey for deploy", "info", "sshd", "web1", "ssh.service", "authpriv", "42"), ssh
        assert ssh["time"] == "2025-11-26T10:03:20.000005Z" and "secret" not in str(ssh), ssh
        assert (shop["message"], shop["level"], shop["service"], shop["code.file"], shop["order_id"]) == ("two\nlines", "error", "shop", "shop.c", "A-7"), shop
        assert (web["message"], web["level"], web["ms"], web["container.name"], web["container.image"], web["service"]) == ("slow", "warn", 900, "web", "shop:3", "dockerd"), web
        assert 100000 < len(long["message"]) < 300000 and long["truncated"] is True and binary["service"] == "binary", (len(long["message"]), binary)


def test_entries_come_once_through_kills_an_outage_and_full_files_of_the_spool():
    with Logd() as logd, tempfile.TemporaryDirectory() as journal:
        numbered = lambda a, b, more="": [{"MESSAGE": "entry %d%s" % (i, more), "SYSLOG_IDENTIFIER": "count"} for i in range(a, b)]
        entries(journal, *numbered(0, 100))
        with Agent(logd, {"journald": {"directory": journal}}) as agent:
            eventually(lambda: logd.count() == 100, "what was there")
            entries(journal, *numbered(100, 150))
            eventually(lambda: logd.count() == 150, "what came")
            agent.process.kill()
            agent.process.wait()
            with open(agent.folder + "/state/spool/journald.log", "ab") as f:
                f.write(b'\003{"message":"entry 150"}\003s=0')  # as a kill in the middle leaves it
            logd.kill9()
            entries(journal, *numbered(150, 200))
            agent.start()
            entries(journal, *numbered(200, 230, " " + "x" * 30000))
            agent.process.kill()
            agent.process.wait()
            for i in range(4):
                entries(journal, *numbered(230 + 100 * i, 330 + 100 * i, " " + "x" * 30000))
            logd.start()
            agent.config.update(servers=[logd.url])
            agent.start()
            eventually(lambda: logd.count() >= 630, "all of them", 30)
            eventually(lambda: len(os.listdir(agent.folder + "/state/spool")) == 1, "what was taken is gone from the spool")
            agent.process.kill()
            agent.process.wait()
            agent.start()
            entries(journal, *numbered(630, 640))
            eventually(lambda: logd.count() >= 640, "it goes on where it was")
        got = [int(r["message"].split()[1]) for r in of(logd)]
        assert got == list(range(640)), [(a, b) for a, b in zip(got, range(640)) if a != b][:5]


def test_only_the_units_and_the_time_that_were_asked_for():
    with Logd() as logd, tempfile.TemporaryDirectory() as journal:
        entries(journal, *[{"MESSAGE": u, "_SYSTEMD_UNIT": u + ".service"} for u in ("a", "b", "c")])
        with Agent(logd, {"journald": {"directory": journal, "units": ["a.service", "c.service"]}}):
            eventually(lambda: logd.count() == 2, "two units")
            assert [r["message"] for r in of(logd)] == ["a", "c"]
        with Agent(logd, {"journald": {"directory": journal, "since": "1h"}}):
            entries(journal, {"MESSAGE": "new", "__REALTIME_TIMESTAMP": "%d" % (time.time() * 1e6)}, name="later.journal")
            eventually(lambda: logd.count("message=new") == 1, "what is young")
        assert logd.count() == 3
    done = subprocess.run([os.path.join(TREE, "build", "logd-agent"), "run", "--config", "/dev/stdin"], capture_output=True, text=True,
                          input="servers: ['http://127.0.0.1:1']\nkey: k\nstate: /tmp/logd-agent-none\njournald: {directory: /nowhere}\n")
    assert done.returncode == 1 and "journald: /nowhere: No such file" in done.stderr, done


if __name__ == "__main__":
    run(globals())
