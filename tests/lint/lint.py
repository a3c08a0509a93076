#!/usr/bin/env python3
"""What no compiler checks: format, who includes whom, words, sizes, hardening, man pages. Prints ok/FAIL lines and, at the
end, lines per folder."""
import os, re, subprocess, sys

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
os.chdir(TOP)
FILES = subprocess.run(["git", "ls-files"], capture_output=True, text=True).stdout.split()
C = [f for f in FILES if f.endswith((".c", ".h"))]
# An arrow is an #include. Folders on one level never include each other; files beside main.c introduce the parts.
MAY = {"base": set(), "event": {"base"}, "journal": {"event", "base"}, "store": {"event", "base"}, "intake": {"event", "base"},
       "query": {"store", "event", "base"}, "issues": {"event", "base"}, "stats": {"event", "base"}, "notify": {"event", "base"}, "maps": {"event", "base"},
       "archive": {"store", "journal", "event", "base", "parts", "routes"}, "rules": {"event", "base"}, "agent": {"event", "base"},
       "routes": {"query", "issues", "stats", "notify", "maps", "archive", "store", "journal", "intake", "event", "base", "parts", "fold", "statsd", "saved", "web"}}
PURE_IO = re.compile(r'#include <(fcntl|unistd|sys/stat|sys/socket|pthread|curl/curl|sqlite3|uv|microhttpd)\.h>')
failed = 0


def verdict(name, wrong):
    global failed
    for w in wrong[:20]:
        print("   ", w)
    print(("FAIL " if wrong else "ok ") + name, flush=True)
    failed += bool(wrong)


def code_is_in_its_format():
    bad = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *C], capture_output=True, text=True)
    return sorted(set(re.findall(r"^(\S+?):\d+", bad.stderr, re.M)))


def folder_of(path):
    part = path.split("/")
    return part[0] if part[0] in ("rules", "agent") else part[1] if part[0] == "logd" and len(part) > 2 else None


def includes_follow_the_arrows():
    wrong = []
    for f in C:
        mine = folder_of(f)
        if mine is None:
            continue
        text = open(f).read()
        for target in re.findall(r'#include "([^"]+)"', text):
            other = target.split("/")[0].removesuffix(".h")
            if other != mine and other not in MAY[mine]:
                wrong.append(f"{f} includes {target}: {mine} may include {', '.join(sorted(MAY[mine])) or 'nothing'}")
        if mine in ("rules", "event") and PURE_IO.search(text):
            wrong.append(f"{f}: {mine} does no I/O, but includes {PURE_IO.search(text)[0]}")
    return wrong


def no_unfinished_marks():
    return subprocess.run(["git", "grep", "-nIE", r"\b(TODO|FIXME|XXX|HACK)\b", "--", "logd", "agent", "rules", "web"], capture_output=True, text=True).stdout.splitlines()


def strcpy_and_friends_do_not_compile():
    wrong = []
    for f in ("strcpy(a, b)", "strcat(a, b)", "sprintf(a, b)"):
        for cc in ("gcc", "clang-14"):
            code = f'#include "base/base.h"\nvoid f(char *a, const char *b);\nvoid f(char *a, const char *b) {{ {f}; }}\n'
            done = subprocess.run([cc, "-std=c17", "-D_GNU_SOURCE", "-Ilogd", "-fsyntax-only", "-xc", "-"], input=code, capture_output=True, text=True)
            if "poisoned" not in done.stderr:
                wrong.append(f"{cc} compiles {f}")
    return wrong


def no_html_from_text_in_the_web_page():
    return subprocess.run(["git", "grep", "-nIE", r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\son[a-z]+=\"", "--", "web/app", "web/beacon"],
                          capture_output=True, text=True).stdout.splitlines()


def files_and_functions_are_of_a_size():
    wrong = []
    for f in FILES:
        if re.match(r"(logd|agent|rules)/.*\.c$|web/.*\.js$", f):
            n = sum(1 for _ in open(f))
            if n > 700:
                wrong.append(f"{f}: {n} lines")
    for f in [f for f in C if not f.startswith("tests/")]:
        start = None
        for i, line in enumerate(open(f), 1):
            if line.startswith("{"):
                start = i
            elif line.startswith("}") and start:
                if i - start > 75:
                    wrong.append(f"{f}:{start}: a function of {i - start} lines")
                start = None
    return wrong


def headers_say_what_they_are():
    return [f for f in C if f.endswith(".h") and not open(f).read(200).startswith("/* ")]


def only_the_seven_top_level_names():
    return sorted({f.split("/")[0] for f in FILES} - {"logd", "agent", "web", "rules", "tests", "Makefile", "README.md", "LICENSE"} - {f.split("/")[0] for f in FILES if f.startswith(".")})


def the_programs_are_hardened():
    return [f"{p}: {w}" for p in ("build/logd", "build/logd-agent") for w in not_hardened(p)]


def not_hardened(program):
    if not os.path.exists(program):
        return ["is not built"]
    head = subprocess.run(["readelf", "-hWld", program], capture_output=True, text=True).stdout
    symbols = subprocess.run(["readelf", "-Ws", program], capture_output=True, text=True).stdout
    wrong = []
    if "DYN (Position-Independent" not in head:
        wrong.append("not PIE")
    if "GNU_RELRO" not in head or "BIND_NOW" not in head:
        wrong.append("not full RELRO")
    if "__stack_chk_fail" not in symbols:
        wrong.append("no stack protector")
    if "_chk@" not in symbols:
        wrong.append("no FORTIFY")
    if re.search(r"GNU_STACK.*RWE", head):
        wrong.append("executable stack")
    return wrong


def man_pages_render_without_a_warning():
    wrong = []
    for f in [f for f in FILES if re.search(r"\.[578]$", f)]:
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", f], capture_output=True, text=True, env=dict(os.environ, MANWIDTH="80", LC_ALL="C.UTF-8"))
        if done.returncode or done.stderr.strip():
            wrong.append(f"{f}: {done.stderr.strip()[:300]}")
    return wrong


def lines_per_folder():
    sums = {}
    for f in FILES:
        if f.endswith((".c", ".h", ".js", ".css", ".html", ".py", ".sh", ".yaml")) and "package-lock" not in f:
            part = f.split("/")
            key = "/".join(part[:2]) if len(part) > 2 else part[0]
            sums[key] = sums.get(key, 0) + sum(1 for _ in open(f, errors="replace"))
    for k in sorted(sums):
        print(f"{sums[k]:7d} {k}")
    product = sum(n for k, n in sums.items() if not k.startswith("tests"))
    print(f"{product:7d} product, {sum(sums.values()) - product} tests")


for check in (code_is_in_its_format, includes_follow_the_arrows, strcpy_and_friends_do_not_compile, no_unfinished_marks, no_html_from_text_in_the_web_page, files_and_functions_are_of_a_size,
              headers_say_what_they_are, only_the_seven_top_level_names, the_programs_are_hardened, man_pages_render_without_a_warning):
    verdict(check.__name__, check())
lines_per_folder()
sys.exit(1 if failed else 0)
