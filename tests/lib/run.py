#!/usr/bin/env python3
"""`make test`: unit programs, then stories (tests/e2e/NN_*.py), then short crash proofs; as many at once as there are cores.

usage: run.py [-v] [--match TEXT] [FILES...]     last line: N passed, N failed (, N skipped)"""
import argparse, glob, os, re, sys
from tally import CORES, Tally

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "../.."))
ALONE = ("15_guard_slow_clients",)  # measures how long good requests take beside bad ones


def name_of(path):
    return os.path.basename(path).removesuffix(".py")


def step(path):
    """(name, command, timeout, environment) of a test file."""
    if path.endswith(".py"):
        return name_of(path), [sys.executable, path], 300, {"PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1"}
    return name_of(path), [path], 300, None


def stories():
    return sorted(f for f in glob.glob("tests/e2e/*.py") if re.match(r"\d\d_", os.path.basename(f)))


def units(build):
    return sorted(f for f in glob.glob(f"{build}/unit/test_*") if "." not in os.path.basename(f))


CRASH = {"test": (500, 10), "check": (10000, 200), "torture": (200000, 3000)}  # images of power loss, rounds of kill -9


def crash_proofs(scale, seconds):
    """Steps of every tests/crash/X_crash.c: power failures, a fault at every call, kill -9."""
    images, rounds = map(str, CRASH[scale])
    programs = [f"build/gcc-release/crash/{name_of(f)[:-2]}" for f in sorted(glob.glob("tests/crash/*_crash.c"))]
    return [(f"{name_of(p)} {' '.join(a)}", [p, *a], seconds, None) for p in programs for a in (["images", images], ["faults"], ["kill", rounds])]


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("files", nargs="*")
    p.add_argument("-v", action="store_true")
    p.add_argument("--match", default="")
    p.add_argument("--build", default="build/gcc-release")
    a = p.parse_args()
    files = [os.path.relpath(f, TOP) for f in a.files]
    os.chdir(TOP)
    proofs = [] if files else [p for p in crash_proofs("test", 120) if a.match in p[0]]
    files = [f for f in files or units(a.build) + stories() if a.match in f]
    tally = Tally(a.v, all_are_tests=True)
    tally.run([step(f) for f in files if name_of(f) not in ALONE] + proofs, CORES)
    tally.run([step(f) for f in files if name_of(f) in ALONE])
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
