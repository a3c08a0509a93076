#!/usr/bin/env python3
"""`make check`: what is too long for `make test`. Both compilers with -Werror, lint, unit tests and chosen stories under ASan+UBSan,
threads under TSan, a while of fuzzing each target, the crash proofs with bigger counts. Last line: N passed, N failed.

usage: check.py            all of it
       check.py fuzz [S]   S seconds (20) of each fuzz target
       check.py torture    the release figures of the crash proofs"""
import glob, os, re, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "../.."))
os.chdir(TOP)
passed, failed = 0, []
SANITIZED = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0", UBSAN_OPTIONS="print_stacktrace=1", TSAN_OPTIONS="halt_on_error=0:second_deadlock_stack=1",
                 LSAN_OPTIONS="suppressions=" + os.path.join(HERE, "lsan.supp"), LOGD_SLOW="6")
STORIES = ["00_", "10_", "12_", "30_", "50_"]


def step(name, command, timeout=900, env=None, quiet=True):
    """One program: its own ok/FAIL lines are counted when it has any, else its exit code."""
    global passed
    begun = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, env=env)
        out, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as e:
        out, code = f"not done within {timeout} s\n" + ((e.stdout or b"").decode(errors="replace")), -1
    good, bad = len(re.findall(r"^ok ", out, re.M)), re.findall(r"^FAIL (.*)", out, re.M)
    passed += good if good or bad else code == 0
    failed.extend(f"{name}: {b}" for b in bad)
    if code and not bad:
        failed.append(f"{name}: exit {code}")
    if code or bad or not quiet:
        print(out[-6000:])
    print(f"{'FAIL' if code or bad else 'ok'} {name} ({time.monotonic() - begun:.0f} s)", flush=True)
    return code == 0


def make(*args, timeout=1200):
    return step("make " + " ".join(args), ["make", "-s", "-j2", *args], timeout)


def fuzz(seconds):
    targets = sorted(os.path.basename(f)[5:-2] for f in glob.glob("tests/fuzz/fuzz_*.c"))
    make("CC=clang-14", "MODE=fuzz", *[f"build/clang-14-fuzz/fuzz/fuzz_{t}" for t in targets])
    os.makedirs("build/fuzz", exist_ok=True)
    for t in targets:
        work, corpus = f"build/fuzz/{t}", f"tests/fuzz/corpus/{t}"
        os.makedirs(work, exist_ok=True)
        step(f"fuzz {t}", [f"build/clang-14-fuzz/fuzz/fuzz_{t}", f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0",
                           f"-artifact_prefix=build/fuzz/{t}-", work] + ([corpus] if os.path.isdir(corpus) else []), seconds + 120)


def crash(scale):
    """Power loss, injected faults, kill -9: see tests/README.md."""
    if os.path.exists("tests/crash/run.sh"):
        step(f"crash proofs ({scale})", ["tests/crash/run.sh", scale], 3600, quiet=False)


def sanitized():
    make("MODE=asan", "all", "unit-build")
    for t in sorted(glob.glob("build/gcc-asan/unit/test_*")):
        if "." not in os.path.basename(t):
            step("asan " + os.path.basename(t), [t], 600, SANITIZED)
    env = dict(SANITIZED, LOGD_BIN=os.path.join(TOP, "build/gcc-asan/logd.bin"), PYTHONPATH=HERE)
    for s in sorted(f for p in STORIES for f in glob.glob(f"tests/e2e/{p}*.py")):
        step("asan " + os.path.basename(s), [sys.executable, s], 900, env)
    tests = [f"build/gcc-tsan/unit/test_{t}" for t in ("journal", "store", "base", "query") if os.path.exists(f"tests/unit/test_{t}.c")]
    make("MODE=tsan", *tests)
    for t in tests:
        step("tsan " + os.path.basename(t), [t], 900, SANITIZED)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    if what == "fuzz":
        fuzz(int(sys.argv[2]) if len(sys.argv) > 2 else 20)
    elif what == "torture":
        crash("torture")
    else:
        make("DEV=1", "all")
        make("DEV=1", "CC=clang-14", "all", "unit-build")
        step("lint", [sys.executable, "tests/lint/lint.py"])
        sanitized()
        fuzz(20)
        crash("check")
    for f in failed:
        print("FAILED:", f)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


sys.exit(main())
