#include "event/trace.h"
#include "unit.h"

/* Texts of lines; an event ends where "|" stands alone. */
static const char *const texts[] = {
    /* Java, behind a line of a logger */
    "2026-11-23 16:03:51 ERROR a.B - no\njava.lang.IllegalStateException: x\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: y\n\tat "
    "a.B.d(B.java:2)\n\t... 1 more\n|\n2026-11-23 16:03:52 INFO a.B - on",
    "Exception in thread \"main\" java.lang.Error: x\n     at com.a.B(B.java:38)\n|\nsingle line",
    /* Python: by itself, behind its log line, chained */
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: x\n|\nhello world",
    "ERROR:root:boom\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    1/0\n    ~^~\nZeroDivisionError: division by "
    "zero\nDuring handling of the above exception, another exception occurred:\nTraceback (most recent call last):\n  File \"a.py\", line "
    "3\nKeyError: 'a'\n|\nINFO:root:on",
    "10.0.0.1 GET /x 200\n|\nTraceback (most recent call last):\n  File \"a.py\", line 1\nValueError: x",
    /* Node */
    "/srv/a.js:12\n    throw new Error(\"x\");\n    ^\nError: x\n    at f (/srv/a.js:12:11)\n    at node:internal/main:23:47\n|\nlistening on 80",
    "{\n  a: 1,\n  b: [ 2 ]\n}\n|\nnext",
    /* Go */
    "panic: runtime error: index out of range [5] with length 3\ngoroutine 1 [running]:\nmain.f(...)\n\t/tmp/a.go:8\nmain.main()\n\t/tmp/a.go:12 "
    "+0x1d\ncreated by main.g in goroutine 7\n\t/tmp/a.go:3\n|\n2026/11/23 16:03:20 started (again)",
    /* Rust, Ruby, PHP, C#, Elixir, Lua, Haskell */
    "thread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`\nstack backtrace:\n   0: "
    "std::panicking\n             at /rustc/x\n|\nnext",
    "a.rb:1:in `foo': x (RuntimeError)\n\tfrom a.rb:5:in `<main>'\n|\nnext",
    "PHP Fatal error:  Uncaught Exception: x in /a.php:3\nStack trace:\n#0 /a.php(7): f()\n#1 {main}\n  thrown in /a.php on line 3\n|\n#channel joined",
    "Unhandled exception. System.InvalidOperationException: x\n   at A.B.C() in /src/A.cs:line 3\n--- End of stack trace from previous location ---\n   "
    "at A.D()\n|\ninfo: on",
    "** (RuntimeError) boom\n    (app 0.1.0) lib/x.ex:3: X.f/1\n|\n16:03:20.123 [info] on",
    "lua: a.lua:1: x\nstack traceback:\n\t[C]: in function 'error'\n|\nnext",
    "a: x\nCallStack (from HasCallStack):\n  error, called at a.hs:3:5 in main:Main\n|\nnext",
    /* nothing of these goes on */
    "{\"level\":\"error\",\"msg\":\"Error\"}\n|\n    at f (a.js:1:1)",
    "all is well\n|\nValueError: x",
    "error 1\n|\nNov 23 16:03:20 host app: x\n|\n1795478400.1 x\n|\n[2026-11-23] y\n|\nnot an error at all",
};

TEST(traces_of_all_languages_are_one_event_and_what_follows_is_another)
{
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct trace t;
        bool first = true;
        for (str rest = str_of(texts[i]); rest.p;) {
            str line = str_cut(&rest, '\n');
            bool ends = str_eq(line, S("|"));
            if (ends)
                line = str_cut(&rest, '\n');
            bool on = !first && trace_goes_on(&t, line);
            if (on != (!first && !ends))
                printf("text %zu: %s: %.*s\n", i, on ? "went on" : "did not go on", STR_ARG(line));
            CHECK(on == (!first && !ends));
            if (!on)
                trace_begin(&t, line);
            first = false;
        }
    }
}

UNIT_MAIN
