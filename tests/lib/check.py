#!/usr/bin/env python3
"""`make check`: what is too long for `make test`. Both compilers with -Werror, lint, unit tests and stories under ASan+UBSan, threads
under TSan, a while of fuzzing each target, the crash proofs with bigger counts. Last line: N passed, N failed.

usage: check.py                 all of it
       check.py fuzz [SECONDS]  of each fuzz target (20)
       check.py asan | tsan     that part
       check.py agent           200 rounds of rotation, kill -9 and lost answers; every line once
       check.py agree           random filters over lines, columns and in SQL
       check.py attack          keys of sealed unique counts, and their sealing killed at every step
       check.py sizes           what a thousand stats of five years take on disk
       check.py torture         the release figures of the crash proofs"""
import glob, os, sys
from run import HERE, TOP, crash_proofs, name_of, stories, units
from tally import CORES, Tally

os.chdir(TOP)
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1", "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1",
             "LSAN_OPTIONS": "suppressions=" + os.path.join(HERE, "lsan.supp"), "LOGD_SLOW": "6", "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1"}
CHOSEN = ("00_", "10_", "12_", "15_guard_raw", "20_", "21_", "23_", "24_", "30_", "40_", "45_", "50_")  # stories under ASan; others measure time, or drive a browser
THREADS = ("base", "journal", "store", "query", "auth", "http_client")
RACES = ("00_", "10_ingest_events", "23_", "24_", "30_", "45_", "50_")  # stories in which every thread works


def make(tally, *args, timeout=1200):
    return tally.step("make " + " ".join(args), ["make", "-s", f"-j{CORES}", *args], timeout)


def story_step(path, binary):
    return name_of(path), [sys.executable, path], 900, dict(SANITIZED, LOGD_BIN=os.path.join(TOP, binary))


def asan(tally):
    make(tally, "MODE=asan", "all", "unit-build")
    tally.run([("asan " + name_of(t), [t], 900, SANITIZED) for t in units("build/gcc-asan")], CORES)
    tally.run([story_step(s, "build/gcc-asan/logd.bin") for s in stories() if name_of(s).startswith(CHOSEN)], CORES)


def tsan(tally):
    tests = [t for t in (f"build/gcc-tsan/unit/test_{t}" for t in THREADS) if os.path.exists("tests/" + t.split("/", 2)[2] + ".c")]
    make(tally, "MODE=tsan", "all", *tests)
    tally.run([("tsan " + name_of(t), [t], 900, SANITIZED) for t in tests], CORES)
    tally.run([story_step(s, "build/gcc-tsan/logd.bin") for s in stories() if name_of(s).startswith(RACES)], CORES)


def fuzz(tally, seconds):
    targets = [name_of(f)[5:-2] for f in sorted(glob.glob("tests/fuzz/fuzz_*.c"))]
    make(tally, "CC=clang-14", "MODE=fuzz", *[f"build/clang-14-fuzz/fuzz/fuzz_{t}" for t in targets])
    steps = []
    for t in targets:
        work, corpus = f"build/fuzz/{t}", f"tests/fuzz/corpus/{t}"
        os.makedirs(work, exist_ok=True)
        command = [f"build/clang-14-fuzz/fuzz/fuzz_{t}", f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1",
                   f"-artifact_prefix=build/fuzz/{t}-", work] + [corpus] * os.path.isdir(corpus)
        steps.append(("fuzz " + t, command, seconds + 120, None))
    tally.run(steps, CORES)


def crash(tally, scale):
    """Power loss, injected faults, kill -9: see tests/README.md."""
    make(tally, "crash-build")
    tally.run(crash_proofs(scale, 20 * 3600 if scale == "torture" else 900), CORES)


def attack(tally):
    """Unique counts: keys at every offset, kill -9 at every step of sealing."""
    make(tally, "all", "crash-build")
    story = [s for s in stories() if "46_unique" in s][0]
    tally.run([("attack " + name_of(story), [sys.executable, story], 900, {"LOGD_ATTACK": "all", "PYTHONPATH": HERE})], 1)


def many(tally):
    """A million errors of ten thousand kinds."""
    make(tally, "all")
    story = [s for s in stories() if "65_life" in s][0]
    tally.run([("many " + name_of(story), [sys.executable, story, "--only", "test_ten_thousand_fingerprints_are_counted_exactly_in_bounded_memory_through_kill9"],
                900, {"LOGD_EVENTS": "1000000", "PYTHONPATH": HERE})], 1)


def agent(tally):
    """Every line once: agent and server killed, files rotated, answers lost. Four at a time: they mostly wait."""
    make(tally, "all")
    story = [s for s in stories() if "90_agent_every" in s][0]
    command = [sys.executable, story, "--only", "test_every_line_once_and_in_order_through_kill9_rotation_and_lost_answers"]
    tally.run([(f"agent {name_of(story)} {i + 1} of 4", command, 3600, {"LOGD_ROUNDS": "50", "PYTHONPATH": HERE}) for i in range(4)], 4)


def agree(tally):
    """Random filters, ten times as many as in `make test`; and of ClickHouse."""
    make(tally, "DEV=1", "build/gcc-release/unit/test_columns", "build/gcc-release/unit/test_sql")
    many = {"LOGD_FILTERS": "20000"}
    steps = [(f"agree {t}", [f"build/gcc-release/unit/test_{t}"], 600, many) for t in ("columns", "sql")]
    tally.run(steps + [("agree clickhouse", [sys.executable, os.path.join(HERE, "clickhouse.py"), "build/gcc-release/unit/test_sql", "5000"], 600, None)], CORES)


def sizes(tally):
    """What a thousand stats of five years take on disk; the error of sketches of ten million ids."""
    make(tally, "DEV=1", "build/gcc-release/unit/test_stats", "build/gcc-release/unit/test_sketch")
    tally.run([("sizes stats", ["build/gcc-release/unit/test_stats"], 900, {"LOGD_STATS_SERIES": "1000"}),
               ("sizes sketch", ["build/gcc-release/unit/test_sketch"], 900, {"LOGD_SKETCH_MANY": "1"})], CORES)


def everything(tally):
    make(tally, "DEV=1", "all", "unit-build")
    make(tally, "DEV=1", "CC=clang-14", "all", "unit-build")
    agree(tally)
    tally.step("lint", [sys.executable, "tests/lint/lint.py"])
    asan(tally)
    tsan(tally)
    fuzz(tally, 20)
    crash(tally, "check")
    attack(tally)
    many(tally)
    agent(tally)
    sizes(tally)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    tally = Tally()
    if what == "fuzz":
        fuzz(tally, int(sys.argv[2]) if len(sys.argv) > 2 else 20)
    elif what == "torture":
        crash(tally, "torture")
    else:
        {"all": everything, "asan": asan, "tsan": tsan, "agent": agent, "agree": agree, "attack": attack, "many": many, "sizes": sizes}[what](tally)
    return tally.end()


sys.exit(main())
