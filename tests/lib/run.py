#!/usr/bin/env python3
"""Runs the tests and counts them: unit programs, then stories (tests/e2e/NN_*.py), in order, each a program of its own that
prints "ok NAME", "FAIL NAME" or "skip NAME: why".

usage: run.py [--no-unit] [--match TEXT] [FILES...]     last line: N passed, N failed, N skipped"""
import argparse, os, re, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "../.."))

passed, failed, skipped = 0, [], []


def program(command, timeout=300, env=None):
    """A program that prints "ok NAME", "FAIL NAME" or "skip NAME: why" lines."""
    global passed
    begun = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, cwd=TOP,
                              env=dict(os.environ, **(env or {})))
        out, code, err = done.stdout, done.returncode, done.stderr
    except subprocess.TimeoutExpired as e:
        out, code, err = (e.stdout or b"").decode(errors="replace"), -1, f"not done within {timeout} s"
    name = os.path.basename(command[-1]).removesuffix(".py")
    said_fail = False
    for line in out.splitlines():
        if line.startswith("ok "):
            passed += 1
        elif line.startswith("FAIL "):
            failed.append(f"{name} {line[5:]}")
            said_fail = True
            print(f"FAIL {name} {line[5:]}")
        elif line.startswith("skip "):
            skipped.append(f"{name} {line[5:]}")
            print(f"skip {name} {line[5:]}")
        elif not re.match(r"time=", line):
            print("    " + line)
    if code != 0 and not said_fail:
        failed.append(f"{name}: exit {code}")
        print(f"FAIL {name}: exit {code}\n{err[-3000:]}")
    print(f"{'ok' if code == 0 else 'FAIL'} {name} ({time.monotonic() - begun:.1f} s)", flush=True)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("files", nargs="*")
    p.add_argument("--no-unit", action="store_true")
    p.add_argument("--match")
    p.add_argument("--build", default="build/gcc-release")
    a = p.parse_args()
    begun = time.monotonic()
    stories = a.files or sorted(os.path.join(TOP, "tests/e2e", f) for f in os.listdir(os.path.join(TOP, "tests/e2e")) if re.match(r"\d\d_.*\.py$", f))
    if not a.no_unit and not a.files:
        units = os.path.join(TOP, a.build, "unit")
        for f in sorted(os.listdir(units)):
            if f.startswith("test_") and "." not in f:
                program([os.path.join(units, f)])
    for path in stories:
        if not a.match or a.match in path:
            program([sys.executable, path], env={"PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1"})
    print(f"{time.monotonic() - begun:.0f} s")
    for f in failed:
        print("FAILED:", f)
    print(f"{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
