"""The agent leg: access log lines from a file to a server, beside rsyslog (imfile to omfwd over TCP, with a disk-assisted queue), in one run.

Of each shipper the processor time is taken that it used for the file. rsyslog sends the lines as they are, without acknowledgement, and its
server here only counts them; the agent reads them into fields, redacts them, syncs every batch before it sends it, and waits for a 200."""
import os, shutil, socket, statistics, subprocess, sys, tempfile, threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from intake import ROOT, cpu_by_thread
from logd import TREE, Logd, eventually


def write(path, n):
    with open(path, "w") as f:
        for i in range(n):
            f.write('10.0.%d.%d - - [23/Nov/2026:16:%02d:%02d +0000] "GET /product/%d?page=%d HTTP/1.1" %d %d "https://shop.example/list" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"\n'
                    % (i % 7, i % 251, i // 60 % 60, i % 60, i % 977, i % 13, (200, 200, 404)[i % 3], 100 + i % 9000))


def used(pid):
    return sum(cpu_by_thread(pid).values())


def peak(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM"))


def agent_leg(n):
    folder = tempfile.mkdtemp(prefix="logd-agent-")
    write(folder + "/access.log", n)
    with Logd() as logd:
        p = subprocess.Popen([os.path.join(TREE, "build", "logd-agent"), "run", "--server", logd.url, "--state", folder + "/state", folder + "/access.log"],
                             env=dict(os.environ, LOGD_KEY=logd.key()), stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: logd.count("http.status:*") == n, "all lines", 300)
            return n / used(p.pid), peak(p.pid)
        finally:
            p.terminate()
            p.wait()
            shutil.rmtree(folder, ignore_errors=True)


def count_lines(server, seen):
    while True:
        try:
            s = server.accept()[0]
        except OSError:
            return
        with s:
            while piece := s.recv(1 << 20):
                seen[0] += piece.count(b"\n")


def rsyslog_leg(n):
    binary = shutil.which("rsyslogd") or os.path.join(ROOT, "usr/sbin/rsyslogd")
    if not os.path.exists(binary):
        return None
    folder = tempfile.mkdtemp(prefix="logd-rsyslog-")
    write(folder + "/access.log", n)
    lib = os.path.join(ROOT, "usr/lib/x86_64-linux-gnu")
    modules = os.path.join(lib, "rsyslog") if os.path.exists(os.path.join(lib, "rsyslog")) else "/usr/lib/x86_64-linux-gnu/rsyslog"
    server, seen = socket.create_server(("127.0.0.1", 0)), [0]
    threading.Thread(target=count_lines, args=(server, seen), daemon=True).start()
    with open(folder + "/conf", "w") as f:
        f.write(f'global(workDirectory="{folder}")\nmodule(load="imfile")\ninput(type="imfile" File="{folder}/access.log" Tag="access")\n'
                f'action(type="omfwd" target="127.0.0.1" port="{server.getsockname()[1]}" protocol="tcp" queue.type="LinkedList" queue.filename="q" queue.saveOnShutdown="on" queue.size="100000")\n')
    p = subprocess.Popen([binary, "-n", "-iNONE", "-f", folder + "/conf", "-M", modules], env=dict(os.environ, LD_LIBRARY_PATH=lib), stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: seen[0] >= n, "all lines", 300)
        return n / used(p.pid), peak(p.pid)
    finally:
        p.terminate()
        p.wait()
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def run(rounds, n=300000):
    agent = [agent_leg(n) for _ in range(rounds)]
    rsyslog = [rsyslog_leg(n) for _ in range(rounds)]
    a, memory = (statistics.median(v) for v in zip(*agent))
    print(f"agent, {n:,} lines into fields, to a logd: {a:,.0f} lines/CPU-s, at most {memory:.0f} MB")
    if None in rsyslog:
        print("skip rsyslog: it is not there, make deps-test unpacks it")
        return {"agent": a, "agent_mb": memory}
    r, theirs = (statistics.median(v) for v in zip(*rsyslog))
    print(f"rsyslog, as they are, to a counter: {r:,.0f} lines/CPU-s, at most {theirs:.0f} MB; ratio {a / r:.2f}")
    return {"agent": a, "agent_mb": memory, "rsyslog": r, "rsyslog_mb": theirs}
