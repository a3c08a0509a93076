"""Runs programs that print "ok NAME", "FAIL NAME" or "skip NAME: why", some at the same time, and counts what they say.

A program that says nothing of that kind counts as one test: its exit code; or as a failure, where all must be tests. One that fails
without saying which test did is a failure too. What a program starts is ended with it: each has a process group of its own."""
import concurrent.futures, os, re, signal, subprocess, sys, time

CORES = os.cpu_count() or 2


class Tally:
    def __init__(self, verbose=False, all_are_tests=False):
        self.passed, self.failed, self.skipped, self.begun = 0, [], [], time.monotonic()
        self.verbose, self.all_are_tests = verbose, all_are_tests

    def run(self, steps, at_once=1):
        """steps: (name, command, timeout, more environment). Their reports come in this order, whichever is done first."""
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for done in [pool.submit(self._one, *s) for s in steps]:
                self._count(*done.result())

    def step(self, name, command, timeout=900, env=None):
        failures = len(self.failed)
        self.run([(name, command, timeout, env)])
        return len(self.failed) == failures

    def _one(self, name, command, timeout, env):
        begun = time.monotonic()
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors="replace",
                             env=dict(os.environ, **(env or {})), start_new_session=True)
        try:
            out, err = p.communicate(timeout=timeout)
            code = p.returncode
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            out, code = out + f"FAIL is done within {timeout} s\n", -1
        return name, out, err, code, time.monotonic() - begun

    def _count(self, name, out, err, code, took):
        said = dict.fromkeys(("ok", "FAIL", "skip"), 0)
        lines = []
        for line in out.splitlines():
            word = line.split(" ", 1)[0]
            if word in said and " " in line:
                said[word] += 1
                if word == "FAIL":
                    self.failed.append(f"{name}: {line[5:]}")
                if word == "skip":
                    self.skipped.append(f"{name}: {line[5:]}")
            lines += [line] if self.verbose or word != "ok" else []
        silent = not any(said.values())
        bad = said["FAIL"] or code != 0 or (silent and self.all_are_tests)
        self.passed += said["ok"] + (silent and not bad)
        if bad and not said["FAIL"]:
            self.failed.append(f"{name}: exit {code}" if code else f"{name}: ran no test")
        show = lines[-200:] if bad or not silent or self.verbose else []
        for line in show + (err.splitlines()[-60:] if bad else []):
            print("    " + line)
        print(f"{'FAIL' if bad else 'ok'} {name} ({took:.1f} s)", flush=True)

    def end(self):
        """The last lines; returns the exit code."""
        for s in self.skipped:
            print("SKIPPED:", s)
        for f in self.failed:
            print("FAILED:", f)
        print(f"{time.monotonic() - self.begun:.0f} s")
        print(f"{self.passed} passed, {len(self.failed)} failed" + (f", {len(self.skipped)} skipped" if self.skipped else ""), flush=True)
        return 1 if self.failed else 0
