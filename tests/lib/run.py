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


def crash_proofs():
    return ["tests/crash/run.sh"] if os.path.exists("tests/crash/run.sh") else []


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("files", nargs="*")
    p.add_argument("-v", action="store_true")
    p.add_argument("--match", default="")
    p.add_argument("--build", default="build/gcc-release")
    a = p.parse_args()
    files = [os.path.relpath(f, TOP) for f in a.files]
    os.chdir(TOP)
    files = [f for f in files or units(a.build) + stories() + crash_proofs() if a.match in f]
    tally = Tally(a.v, all_are_tests=True)
    tally.run([step(f) for f in files if name_of(f) not in ALONE], CORES)
    tally.run([step(f) for f in files if name_of(f) in ALONE])
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
