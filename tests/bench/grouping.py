"""The grouping leg: how well, how fast and in how much memory `logd debug group` says which messages are the same thing.

Quality is GA and FGA (a truth group is right when its lines are exactly those of one mined group; GA counts lines, FGA groups). Beside it stand figures
as their authors and loghub-2.0 published them, or as their code gave them elsewhere: other machines, other subsets where said, so these rows are no race. What is tuned is said with each."""
import csv, os, random, re, subprocess, tempfile, time
from collections import Counter, defaultdict
from logd import TREE, shared

LOGD = os.path.join(TREE, "build/logd")
# GA on the 2,000 lines of each system (READMEs of logpai/logparser), and what was set by hand for each of them.
PUBLISHED = {"Drain": dict(Apache=1, BGL=.963, HDFS=.998, HPC=.887, Hadoop=.948, Mac=.786, OpenSSH=.787, Proxifier=.526, Spark=.920, Windows=.997),
             "Brain": dict(Apache=1, BGL=.986, HDFS=.998, HPC=.945, Hadoop=.949, Mac=.942, OpenSSH=1, Proxifier=1, Spark=.998, Windows=.997)}
# name, GA, FGA, lines a second, on what and how
ELSEWHERE = [("Drain, set by hand for each system", .865, .751, 8500, "GA, FGA: 16 systems of 2k; speed: loghub-2.0, Python"),
             ("Drain, one configuration and masks", .805, .753, None, "16 systems of 2k, its code run again"),
             ("Brain, code branches for each system", .983, .937, 21700, "16 systems of 2k; speed: its README, Python"),
             ("Brain, one configuration and masks", .864, .888, None, "16 systems of 2k, its code run again; needs all lines first"),
             ("LILAC, a large language model", .927, .924, None, "loghub-2.0 full, 14 systems")]


def score(truth, mined):
    inside, sizes = defaultdict(Counter), Counter(mined)
    for t, m in zip(truth, mined):
        inside[t][m] += 1
    right = [sum(c.values()) for c in inside.values() if len(c) == 1 and sizes[next(iter(c))] == sum(c.values())]
    return sum(right) / len(truth), 2 * len(right) / (len(inside) + len(sizes))


def peak(pid):
    """MiB at most so far: of wait4's ru_maxrss a part is ours, from before exec."""
    with open(f"/proc/{pid}/status") as f:
        found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
    return int(found[1]) / 1024 if found else 0


def group(lines):
    """(ids, CPU seconds, MiB at most)"""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out:
        source.write(lines)
        source.seek(0)
        p = subprocess.Popen([LOGD, "debug", "group"], stdin=source, stdout=out)
        mib, done = 0, 0
        while not done:
            mib = max(mib, peak(p.pid))
            time.sleep(0.005)
            done, status, used = os.wait4(p.pid, os.WNOHANG)
        assert status == 0, status
        out.seek(0)
        return out.read().decode().split(), used.ru_utime + used.ru_stime, mib


def quality(folder):
    scores = {}
    for system in sorted(os.listdir(folder)):
        table = os.path.join(folder, system, system + "_2k.log_structured.csv")
        if os.path.exists(table):
            with open(table, encoding="utf-8", errors="replace", newline="") as f:
                truth = [row["EventId"] for row in csv.DictReader(f)]
            with open(os.path.join(folder, system, "content.txt"), "rb") as f:
                scores[system] = score(truth, group(f.read())[0])
    return scores


def mean(scores, i):
    return sum(s[i] for s in scores.values()) / len(scores)


def real_lines(folder):
    """The lines of all systems, shuffled, again and again with other numbers in them: a million."""
    rng, lines = random.Random(7), []
    for system in sorted(os.listdir(folder)):
        if os.path.exists(os.path.join(folder, system, "content.txt")):
            with open(os.path.join(folder, system, "content.txt"), "rb") as f:
                lines += f.read().splitlines()
    rng.shuffle(lines)
    turn = bytes.maketrans(b"0123456789", b"1234567890")
    out = []
    while len(out) < 1000000:
        out += lines
        lines = [line.translate(turn) for line in lines]
    return b"\n".join(out[:1000000]) + b"\n"


def strange_lines():
    """A million lines of which none has the words of another."""
    rng = random.Random(8)
    word = lambda: "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7))
    words = [word() for _ in range(50000)]
    return "".join(" ".join(rng.choices(words, k=6)) + "\n" for _ in range(1000000)).encode()


def run():
    real = quality(shared("data", "loghub2k"))
    made = quality(shared("data", "genlog"))
    print(f"\n{'GA of 2,000 lines each':26} {'logd':>8}" + "".join(f"{name:>8}" for name in PUBLISHED) + f" {'FGA logd':>10}")
    for system, (ga, fga) in real.items():
        print(f"{system:26} {ga:8.3f}" + "".join(f"{p[system]:8.3f}" for p in PUBLISHED.values()) + f" {fga:10.3f}")
    print(f"{'mean':26} {mean(real, 0):8.3f}" + "".join(f"{sum(p[s] for s in real) / len(real):8.3f}" for p in PUBLISHED.values()) + f" {mean(real, 1):10.3f}")
    for system, (ga, fga) in made.items():
        print(f"{system:26} {ga:8.3f}" + " " * 8 * len(PUBLISHED) + f" {fga:10.3f}")
    figures = {}
    for name, lines in [("real", real_lines(shared("data", "loghub2k"))), ("strange", strange_lines())]:
        ids, cpu, mib = group(lines)
        figures[name] = {"lines": len(ids), "groups": len(set(ids)), "cpu_s": cpu, "lines_a_cpu_second": len(ids) / cpu, "mib": mib}
    print(f"\n{'':40} {'GA':>6} {'FGA':>6} {'lines/s':>10}")
    print(f"{'logd, one configuration':40} {mean(real, 0):6.3f} {mean(real, 1):6.3f} {figures['real']['lines_a_cpu_second']:10,.0f}  10 systems of 2k; a CPU second")
    print(f"{'logd, the same configuration':40} {mean(made, 0):6.3f} {mean(made, 1):6.3f} {'':10}  rendered from format strings of {len(made)} C programs")
    for name, ga, fga, speed, what in ELSEWHERE:
        print(f"{name:40} {ga:6.3f} {fga:6.3f} {format(speed, ',') if speed else '':>10}  {what}")
    print("a million lines as real ones: {lines_a_cpu_second:,.0f} lines a CPU second, {groups:,} groups, {mib:.0f} MiB".format(**figures["real"]))
    print("a million lines of other words each: {lines_a_cpu_second:,.0f} lines a CPU second, {groups:,} groups, {mib:.0f} MiB; the ids of all lines are in both".format(**figures["strange"]))
    print("tuned: logd has no setting of any system, but its rules were made with these ten and those three in sight and are held to them by a test, so on systems\n"
          "never seen it may do worse, by how much these rows do not say. Drain's and Brain's published figures have regular expressions and thresholds\n"
          "(Brain: code) for each system. Of theirs nothing was measured here, and means over other systems, machines and languages do not compare closely.")
    return {"real": real, "made": made, **figures}
