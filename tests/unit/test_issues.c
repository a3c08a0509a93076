#include "unit.h"
#include "base/file.h"
#include "issues/issues.h"
#include "issues/life.h"
#include "issues/release.h"
#include "issues/stack.h"

#include <jansson.h>
#include <time.h>
#include <unistd.h>

static struct arena a;

static struct event *event(const char *line)
{
    struct event *ev = arena_alloc(&a, sizeof *ev);
    struct err e;
    if (event_read(arena_str(&a, str_of(line)), ev, &a, &e) < 0)
        printf("%s\n", e.text);
    return ev;
}

static str id_of(const char *app, const char *line)
{
    struct fingerprint fp;
    fingerprint_text(str_of(app), str_of(line), &a, &fp);
    return arena_str(&a, str_of(fp.id));
}

TEST(messages_that_differ_in_values_are_one_issue)
{
    static const char *const same[][2] = {
        {"user 12 not found", "user 9913 not found"},
        {"cannot open \"/a/b.txt\": denied", "cannot open \"/c.txt\": denied"},
        {"etag d41d8cd98f00b204e9800998ecf8427e stale", "etag 00ff8cd98f00b204e9800998ecf84abc stale"},
        {"job 3f2b8c1e-0d4a-4f7e-9c55-8a1b2c3d4e5f died", "job aaaa8c1e-0d4a-4f7e-9c55-8a1b2c3d4e5f died"},
        {"ports 1, 2, 3 busy", "ports 80 busy"},
        {"GET https://a.example/x failed", "GET https://b.example/y?z=1 failed"},
        {"can't reach 10.0.0.1:5432", "can't reach 10.0.0.2:5433"},
    };
    static const char *const other[][2] = {
        {"user 12 not found", "user 12 locked"},
        {"utf-8 is broken", "utf-16 is broken"},
        {"it's one thing that's wrong", "it's other thing that's wrong"},
    };
    for (size_t i = 0; i < LENGTH(same); i++)
        CHECK_STR(id_of("shop", same[i][0]), id_of("shop", same[i][1]));
    for (size_t i = 0; i < LENGTH(other); i++)
        CHECK(!str_eq(id_of("shop", other[i][0]), id_of("shop", other[i][1])));
    CHECK(!str_eq(id_of("shop", "x"), id_of("api", "x")));
    arena_done(&a);
}

TEST(a_line_that_cannot_be_an_issue_makes_no_fingerprint)
{
    static const char *const rest[] = {
        "\"message\":\"m\"", "\"error.type\":\"T\"", "\"error.stack\":\"at x\"",     "\"error.frames\":[]",
        "\"errors\":1",      "\"m\":\"\\\"error.\"", "\"a\":\"1\",\"error.type\":0", "\"xerror.type\":\"\""};
    unsigned possible = 0, made = 0;
    for (size_t i = 0; i < LENGTH(rest); i++)
        for (int severity = 9; severity <= 17; severity += 8) {
            struct fingerprint fp;
            char line[300];
            snprintf(line, sizeof line,
                     "{\"id\":\"000000000000000\",\"time\":\"2026-11-25T09:35:21Z\",\"app\":\"a\",\"level\":\"%s\","
                     "\"severity_number\":%d,%s}",
                     severity < 17 ? "info" : "error", severity, rest[i]);
            bool may = fingerprint_possible(str_of(line), severity),
                 is = fingerprint_of(event(line), GROUPING_NEWEST, &a, &fp);
            CHECK(may || !is);
            possible += may;
            made += is;
        }
    CHECK(made == 8 + 4 && possible <= 8 + 5); /* of the eight that are no errors */
    arena_done(&a);
}

struct expected {
    const char *text, *type, *function, *file;
    unsigned line;
    bool in_app;
};

TEST(stacks_of_many_languages_give_their_newest_frame)
{
    static const struct expected cases[] = {
        {"TypeError: x is undefined\n    at pay (https://shop.example/app.js:3:7)\n    at https://shop.example/app.js:9:1",
         "TypeError", "pay", "https://shop.example/app.js", 3, true},
        {"pay@https://shop.example/app.js:3:7\n@https://shop.example/app.js:9:1", "", "pay",
         "https://shop.example/app.js", 3, true},
        {"Error: no\n    at Object.<anonymous> (node:internal/x:1:2)", "Error", "Object.<anonymous>", "node:internal/x",
         1, false},
        {"Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in main\n    f()\n  File \"/srv/b.py\", line 7, in f\n    1/0\n"
         "ZeroDivisionError: division by zero",
         "ZeroDivisionError", "f", "/srv/b.py", 7, true},
        {"java.lang.IllegalStateException: closed\n\tat com.acme.App.run(App.java:12)\n\tat java.base/java.lang.Thread.run(Thread.java:833)\n"
         "Caused by: java.io.IOException: x\n\tat com.acme.Io.read(Io.java:5)",
         "java.lang.IllegalStateException", "com.acme.App.run", "App.java", 12, true},
        {"panic: boom\n\ngoroutine 1 [running]:\nmain.(*hook).Do(0x4ca900?, {0xc, 0x1})\n\t/srv/main.go:37 +0x2f\nexit status 2",
         "panic", "main.(*hook).Do", "/srv/main.go", 37, true},
        {"System.InvalidOperationException: bad\n   at Acme.Shop.Pay(String id) in /src/Shop.cs:line 12",
         "System.InvalidOperationException", "Acme.Shop.Pay", "/src/Shop.cs", 12, true},
        {"app/shop.rb:12:in `pay': no stock (RuntimeError)\n\tfrom app/main.rb:3:in `<main>'", "", "pay", "app/shop.rb",
         12, true},
        {"#0 /srv/shop.php(12): Shop->pay('a')\n#1 {main}", "", "Shop->pay", "", 0, true},
        {"thread 'main' panicked at 'boom', src/main.rs:4:5\nstack backtrace:\n   0: app::run\n             at ./src/main.rs:4:5",
         "", "app::run", "./src/main.rs", 4, true},
        {"https://shop.example/a.js:48:22\nfoo@https://shop.example/a.js:52:15", "", "", "https://shop.example/a.js",
         48, true},
        {"pay(1)@https://shop.example/a.js line 26 > eval line 2 > eval:1:30", "", "pay", "https://shop.example/a.js",
         26, true},
        {"Error: no\n    at pay (eval at foo (eval at speak (https://shop.example/a.js:21:17)), <anonymous>:1:30)",
         "Error", "pay", "https://shop.example/a.js", 21, true},
        {"Exception in thread \"main\" java.lang.IllegalStateException: no stock\n\tat shop.CartKt.pay(Cart.kt:12)\n\tat shop.CartKt$main$1.invokeSuspend(Cart.kt:30)\n"
         "\tat kotlin.coroutines.jvm.internal.BaseContinuationImpl.resumeWith(ContinuationImpl.kt:33)",
         "java.lang.IllegalStateException", "shop.CartKt.pay", "Cart.kt", 12, true},
        {"thread 'main' panicked at src/main.rs:4:5:\nindex out of bounds: the len is 3 but the index is 9\nstack backtrace:\n"
         "   0: rust_begin_unwind\n             at /rustc/07dca489ac2d933c78d3c5158e3f43beefeb02ce/library/std/src/panicking.rs:645:5\n"
         "   1: core::panicking::panic_fmt\n             at /rustc/07dca489ac2d933c78d3c5158e3f43beefeb02ce/library/core/src/panicking.rs:72:14\n"
         "   2: app::run\n             at ./src/main.rs:4:5",
         "panic", "rust_begin_unwind", "/rustc/07dca489ac2d933c78d3c5158e3f43beefeb02ce/library/std/src/panicking.rs",
         645, false},
        {"thread 'tokio-runtime-worker' panicked at src/pay.rs:40:9:\nno card\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
         "panic", "", "src/pay.rs", 40, true},
        {"Error: cannot pay\n\nCaused by:\n    0: card\n    1: refused\n\nStack backtrace:\n   0: app::pay::h0123456789abcdef\n   1: app::main",
         "", "app::pay::h0123456789abcdef", "", 0, true},
        {"app/shop.rb:12:in 'Shop#pay': no stock (Shop::StockError)\n\tfrom app/main.rb:3:in '<main>'\napp/db.rb:9:in 'Db#get': gone (IOError)\n\tfrom app/x.rb:1:in 'x'",
         "Shop::StockError", "Shop#pay", "app/shop.rb", 12, true},
        {"Traceback (most recent call last):\n\t1: from app/main.rb:3:in `<main>'\napp/shop.rb:12:in `pay': no stock (RuntimeError)",
         "RuntimeError", "pay", "app/shop.rb", 12, true},
        {"NoMethodError (undefined method `total' for nil:NilClass):\n\napp/models/cart.rb:12:in `sum'\napp/controllers/pay_controller.rb:5:in `create'",
         "", "sum", "app/models/cart.rb", 12, true},
        {"PHP Fatal error:  Uncaught InvalidArgumentException: no stock in /srv/shop.php:12\nStack trace:\n#0 /srv/main.php(30): Shop->pay('a')\n#1 {main}\n  thrown in /srv/shop.php on line 12",
         "InvalidArgumentException", "Shop->pay", "/srv/shop.php", 12, true},
        {"PHP Fatal error:  Uncaught PDOException: gone in /srv/db.php:3\nStack trace:\n#0 /srv/db.php(9): Db->get()\n#1 {main}\n\nNext App\\StockError: no stock in /srv/shop.php:12\n"
         "Stack trace:\n#0 /srv/main.php(30): App\\Shop->pay('a')\n#1 {main}\n  thrown",
         "App\\StockError", "App\\Shop->pay", "/srv/shop.php", 12, true},
        {"Unhandled exception. System.InvalidOperationException: bad\n   at Acme.Shop.Pay(String id)\n   at Acme.Program.Main(String[] args)",
         "System.InvalidOperationException", "Acme.Shop.Pay", "", 0, true},
        {"System.AggregateException: One or more errors occurred. (gone) ---> System.IO.IOException: gone\n   at Acme.Db.Get(Int32 id) in /src/Db.cs:line 3\n"
         "   --- End of inner exception stack trace ---\n   at Acme.Shop.<PayAsync>d__5.MoveNext() in /src/Shop.cs:line 12",
         "System.AggregateException", "Acme.Shop.<PayAsync>d__5.MoveNext", "/src/Shop.cs", 12, true},
        {"terminate called after throwing an instance of 'std::runtime_error'\n  what():  no stock\n./shop(_ZN4shop3payEi+0x1f) [0x55d0c8a0]\n./shop(main+0x2f) [0x55d0c8f0]\n"
         "/lib/x86_64-linux-gnu/libc.so.6(__libc_start_main+0xea) [0x7f1c2a3d]",
         "std::runtime_error", "_ZN4shop3payEi", "./shop", 0, true},
        {"#0  0x00007ffff7a42428 in __GI_raise (sig=sig@entry=6) at ../sysdeps/unix/sysv/linux/raise.c:54\n#1  0x00007ffff7a4402a in abort () from /lib/libc.so.6\n"
         "#2  0x0000555555555161 in shop::pay (id=3) at src/shop.cpp:12",
         "", "__GI_raise", "../sysdeps/unix/sysv/linux/raise.c", 54, false},
        {"==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010\n    #0 0x4f6a5b in shop::pay(int) /src/shop.cpp:12:5\n    #1 0x4f6b00 in main (/srv/shop+0x4f6b00)",
         "heap-use-after-free", "shop::pay(int)", "/src/shop.cpp", 12, true},
        {"Stack trace of thread 7:\n#0  0x00007f1c2a3d raise (libc.so.6 + 0x3cd22)\n#1  0x000055d0c8a0 pay (shop + 0x1139)",
         "", "raise", "libc.so.6", 0, false},
        {"2026-01-01 10:00:00 ERROR: payment failed\njava.io.IOException: gone\n\tat com.acme.Db.get(Db.java:3)\n\tat com.acme.Shop.pay(Shop.java:12)",
         "java.io.IOException", "com.acme.Db.get", "Db.java", 3, true},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct stack *s = arena_alloc(&a, sizeof *s);
        stack_read(str_of(cases[i].text), GROUPING_NEWEST, s);
        if (!s->n) {
            printf("no frame in case %zu\n", i);
            CHECK(s->n > 0);
            continue;
        }
        CHECK_STR(s->frames[0].function, str_of(cases[i].function));
        CHECK_STR(s->frames[0].file, str_of(cases[i].file));
        CHECK_INT(s->frames[0].line, cases[i].line);
        CHECK_INT(s->frames[0].in_app, cases[i].in_app);
        if (cases[i].type[0])
            CHECK_STR(s->type, str_of(cases[i].type));
    }
    arena_done(&a);
}

#define LINE(time, id, more)                                                                                           \
    "{\"id\":\"" id "\",\"time\":\"" time "\",\"app\":\"shop\",\"level\":\"error\",\"severity_number\":17," more "}"

static struct fingerprint print_of(const char *line)
{
    struct fingerprint fp = {0};
    CHECK(fingerprint_of(event(line), GROUPING_NEWEST, &a, &fp));
    return fp;
}

TEST(a_stack_counts_more_than_the_message_and_lines_do_not_count)
{
    struct fingerprint x = print_of(LINE(
        "2026-01-01T00:00:00Z", "000000000000000",
        "\"error.type\":\"E\",\"error.message\":\"one\",\"error.stack\":\"E: one\\n    at f (/srv/a.js:1:2)\\n    at g (/srv/b.js:3:4)\""));
    struct fingerprint y = print_of(LINE(
        "2026-01-01T00:00:00Z", "000000000000000",
        "\"error.type\":\"E\",\"error.message\":\"two\",\"error.stack\":\"E: two\\n    at f (/srv/a.js:91:2)\\n    at g (/srv/b.js:3:4)\\n    at h (/srv/c.js:3:4)\""));
    struct fingerprint z = print_of(LINE(
        "2026-01-01T00:00:00Z", "000000000000000",
        "\"error.type\":\"E\",\"error.message\":\"two\",\"error.stack\":\"E: two\\n    at f (/srv/a.js:1:2)\\n    at other (/srv/b.js:3:4)\""));
    struct fingerprint frames = print_of(LINE(
        "2026-01-01T00:00:00Z", "000000000000000",
        "\"error.type\":\"E\",\"error.frames\":[{\"function\":\"f\",\"file\":\"/x/a.js\",\"line\":5},{\"function\":\"g\",\"file\":\"/x/b.js\"}]"));
    CHECK_STR(str_of(x.id), str_of(y.id));
    CHECK(strcmp(x.id, z.id) != 0);
    CHECK_STR(str_of(frames.id), str_of(x.id));
    CHECK_STR(str_of(x.title), S("E: one"));
    CHECK_STR(str_of(x.culprit), S("a.js:f"));
    CHECK(strstr(x.why, "a.js:f, b.js:g") != NULL);
    arena_done(&a);
}

TEST(names_that_compilers_make_are_cut_and_libraries_passed_over)
{
    static const char *const cases[][2] = {
        {"System.Exception: x\n   at Acme.Shop.<PayAsync>d__5.MoveNext() in /s/Shop.cs:line 1\n   at Acme.Web.<>c.<Run>b__0_1() in /s/Web.cs:line 2",
         "Shop.cs:Acme.Shop.PayAsync, Web.cs:Acme.Web.Run"},
        {"thread 'main' panicked at src/a.rs:1:1:\nx\nstack backtrace:\n   0: rust_begin_unwind\n   1: core::panicking::panic\n   2: app::pay::h0123456789abcdef\n   3: app::main::{{closure}}",
         "app: app::pay, app::main"},
        {"java.lang.E: x\n\tat a.B.lambda$run$3(B.java:1)\n\tat java.base/java.util.X.y(X.java:2)\n\tat a.CartKt$main$1.invokeSuspend(Cart.kt:3)",
         "B.java:a.B.run, Cart.kt:a.CartKt$main$1"},
        {"#0  0x1 in __GI_raise (sig=6) at ../sysdeps/raise.c:54\n#1  0x2 in abort () from /lib/libc.so.6\n#2  0x3 in shop::pay (id=3) at src/shop.cpp:12\n#3  0x4 in main () at src/main.cpp:3",
         "app: shop::pay, main"},
        {"==7==ERROR: AddressSanitizer: SEGV on address 0x6\n    #0 0x4f in shop::pay<int>(int) const /src/shop.cpp:12:5\n    #1 0x4f in main (/srv/shop+0x4f6b00)",
         "app: shop::pay, main"},
        {"terminate called after throwing an instance of 'E'\n  what():  x\n./shop(_ZNK4shop3payEi+0x1f) [0x55d0c8a0]\n./shop(main+0x2f) [0x55d0c8f0]",
         "app: shop::pay, main"},
        {"thread 'main' panicked at src/a.rs:1:1:\nx\nstack backtrace:\n   0: _ZN3app3pay17h0123456789abcdefE\n             at ./src/a.rs:1:1\n   1: app::main\n             at ./src/a.rs:9:1",
         "app: app::pay, app::main"},
        {"panic: boom\n\ngoroutine 1 [running]:\nmain.(*hook).Do(0x4ca900?)\n\t/srv/main.go:37 +0x2f",
         "app: main.go:main.(*hook).Do"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct fingerprint fp;
        fingerprint_trace(S("shop"), str_of(cases[i][0]), &a, &fp);
        if (!strstr(fp.why, cases[i][1]))
            printf("%s\n", fp.why);
        CHECK(strstr(fp.why, cases[i][1]) != NULL);
    }
    arena_done(&a);
}

TEST(a_stack_in_a_message_of_several_lines_is_the_stack)
{
    struct fingerprint x = print_of(LINE(
        "2026-01-01T10:00:00Z", "000000000000001",
        "\"message\":\"order 7 failed\\njava.io.IOException: gone\\n\\tat a.Db.get(Db.java:3)\\n\\tat a.Shop.pay(Shop.java:12)\""));
    struct fingerprint y = print_of(LINE(
        "2026-01-01T10:00:00Z", "000000000000001",
        "\"message\":\"giving up\\njava.io.IOException: broken\\n\\tat a.Db.get(Db.java:4)\\n\\tat a.Shop.pay(Shop.java:19)\""));
    struct fingerprint prose = print_of(
        LINE("2026-01-01T10:00:00Z", "000000000000001", "\"message\":\"we met\\nat noon (or later)\\nand left\""));
    CHECK_STR(str_of(x.id), str_of(y.id));
    CHECK_STR(str_of(x.culprit), S("Db.java:a.Db.get"));
    CHECK_STR(str_of(prose.culprit), S(""));
    arena_done(&a);
}

TEST(a_stack_below_a_log_line_gives_the_title_its_own_words)
{
    struct fingerprint fp = print_of(LINE("2026-01-01T00:00:00Z", "000000000000000",
                                          "\"message\":\"12:00 worker 7 failed\\nTypeError: x is not a function\\n"
                                          "    at f (/srv/a.js:1:2)\\n    at g (/srv/b.js:3:4)\""));
    CHECK_STR(str_of(fp.title), S("TypeError: x is not a function"));
    CHECK_STR(str_of(fp.culprit), S("a.js:f"));
    arena_done(&a);
}

/* The issue of an error in `top` that `below` called, by a version. */
static struct fingerprint called_from(const char *top, const char *below, const char *file, int version)
{
    struct fingerprint fp = {0};
    char line[600];
    snprintf(line, sizeof line,
             LINE("2026-01-01T00:00:00Z", "000000000000000",
                  "\"error.type\":\"E\",\"error.frames\":[{\"function\":\"%s\",\"file\":\"/x/a.js\"},"
                  "{\"function\":\"%s\",\"file\":\"/x/%s\"},{\"function\":\"main\",\"file\":\"/x/m.js\"}]"),
             top, below, file);
    CHECK(fingerprint_of(event(line), version, &a, &fp));
    return fp;
}

TEST(below_a_name_functions_without_one_are_passed_over)
{
    static const char *const spelled[] = {"<anonymous>", "?", "", "Object.<anonymous>", "eval at run (/x/y.js:1:2)"};
    struct fingerprint one = called_from("pay", "<anonymous>", "b.js", 3);
    for (size_t i = 0; i < LENGTH(spelled); i++)
        CHECK_STR(str_of(called_from("pay", spelled[i], "c.js", 3).id), str_of(one.id));
    CHECK(strstr(one.why, "a.js:pay, main") != NULL);
    CHECK(strcmp(one.id, called_from("pay", "buy", "b.js", 3).id) != 0);
    CHECK(strcmp(called_from("?", "?", "b.js", 3).id, called_from("?", "?", "c.js", 3).id) != 0);
    CHECK(strcmp(called_from("pay", "?", "b.js", 2).id, called_from("pay", "?", "c.js", 2).id) != 0);
    arena_done(&a);
}

TEST(what_is_no_error_makes_no_issue)
{
    struct fingerprint fp;
    CHECK(!fingerprint_of(
        event(
            "{\"id\":\"000000000000000\",\"time\":\"2026-01-01T00:00:00Z\",\"app\":\"a\",\"level\":\"warn\",\"severity_number\":13,\"message\":\"m\"}"),
        GROUPING_NEWEST, &a, &fp));
    arena_done(&a);
}

/* Hashes one after the other, as they came. */
static bool keep_hashes(str code, const uint64_t *hashes, size_t n, struct buf *out)
{
    size_t was = code.n;
    buf_str(out, code);
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t at = 0; at < out->n; at += 8)
            known |= load8(out->p + at) == hashes[i];
        if (!known)
            buf_add(out, &hashes[i], 8);
    }
    return out->n > was;
}
static uint64_t count_hashes(str code) { return code.n / 8; }
static const struct issues_sketch counted = {keep_hashes, count_hashes};

static struct issue_seen apply(struct issues *is, const char *line, usec now)
{
    struct issue_seen seen = {0};
    struct err e;
    struct event *ev = event(line);
    struct fingerprint fp;
    bool has;
    CHECK(issues_fingerprint(is, ev, now, &a, &has, &fp, &e) == 0 && has);
    CHECK(issues_apply(is, ev, &fp, now, &seen, &a, &e) == 0);
    return seen;
}

TEST(a_resolved_issue_opens_again_only_for_a_newer_event)
{
    char dir[] = "/tmp/logd-issues-XXXXXX", path[64];
    struct db *db;
    struct err e;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fold.db", dir);
    const char *const steps[] = {issues_schema,       issues_schema_releases, issues_schema_learned,
                                 issues_schema_life,  issues_schema_grouping, issues_schema_grouping_3,
                                 issues_schema_causes};
    CHECK(db_open(path, DB_NORMAL, steps, LENGTH(steps), &db, &e) == 0);
    struct issues *is = issues_new(db, &counted);
    CHECK(apply(is, LINE("2026-01-01T10:00:00Z", "000000000000001", "\"message\":\"boom 1\""), 1).fresh);
    CHECK(!apply(is, LINE("2026-01-01T10:00:01Z", "000000000000002", "\"message\":\"boom 2\""), 2).fresh);
    CHECK(issues_flush(is, &e) == 0);

    struct buf out = BUF_INIT(1 << 20), action = BUF_INIT(1 << 16);
    struct buf line = BUF_INIT(1 << 16);
    char last[EVENT_ID_LEN + 1];
    struct fingerprint fp = print_of(LINE("2026-01-01T10:00:00Z", "000000000000001", "\"message\":\"boom 1\""));
    CHECK(issue_json(db, str_of(fp.id), &out, last, &line, &e) == 0);
    CHECK(str_find(buf_view(&out), S("\"count\":2,")) > 0);
    CHECK_STR(str_of(last), S("000000000000002"));

    CHECK(issue_patch_check(db, S("{\"state\":\"loud\"}"), str_of(fp.id), S("me"), 1, &action, &e) < 0);
    CHECK_STR(str_of(e.pointer), S("/state"));
    CHECK(issue_patch_check(db, S("{\"state\":\"resolved\"}"), str_of(fp.id), S("me"), 1, &action, &e) == 0);
    usec resolved = 1767265200000000; /* 2026-01-01T11:00:00Z */
    CHECK(issues_action(is, buf_view(&action), resolved, &e) == 0);
    CHECK(!apply(is, LINE("2026-01-01T10:30:00Z", "000000000000003", "\"message\":\"boom 3\""), resolved + 1)
               .regressed); /* late */
    CHECK(apply(is, LINE("2026-01-01T11:30:00Z", "000000000000004", "\"message\":\"boom 4\""), resolved + 2).regressed);
    CHECK(issues_flush(is, &e) == 0);
    buf_reset(&out);
    CHECK(issue_json(db, str_of(fp.id), &out, last, &line, &e) == 0);
    CHECK(str_find(buf_view(&out), S("\"count\":4,")) > 0);
    CHECK(str_find(buf_view(&out), S("\"state\":\"open\"")) > 0);
    CHECK(str_find(buf_view(&out), S("\"regressed_at\":\"2026-01-01T11:00:00.000002Z\"")) > 0);
    issues_free(is);
    db_close(db);
    buf_done(&out);
    buf_done(&line);
    buf_done(&action);
    arena_done(&a);
    (void)!system(arena_printf(&a, "rm -rf %s", dir));
    arena_done(&a);
}

static uint64_t count_of(struct db *db, const char *sql)
{
    struct err e;
    sqlite3_stmt *st = db_stmt(db, sql);
    CHECK(db_step(db, st, &e) == 1);
    uint64_t n = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return n;
}

TEST(messages_that_differ_in_a_word_become_one_issue_and_stay_it_after_a_start)
{
    char dir[] = "/tmp/logd-issues-XXXXXX", path[64], last[EVENT_ID_LEN + 1];
    const char *const steps[] = {issues_schema,       issues_schema_releases, issues_schema_learned,
                                 issues_schema_life,  issues_schema_grouping, issues_schema_grouping_3,
                                 issues_schema_causes};
    struct buf out = BUF_INIT(1 << 20), line = BUF_INIT(1 << 16);
    struct db *db;
    struct err e;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fold.db", dir);
    CHECK(db_open(path, DB_NORMAL, steps, LENGTH(steps), &db, &e) == 0);
    struct issues *is = issues_new(db, &counted);
    struct fingerprint first = print_of(
        LINE("2026-01-01T10:00:00Z", "000000000000001", "\"message\":\"cannot charge the card of anna today\""));
    CHECK(apply(is,
                LINE("2026-01-01T10:00:00Z", "000000000000001",
                     "\"release\":\"1\",\"message\":\"cannot charge the card of anna today\""),
                1)
              .fresh);
    CHECK(apply(is,
                LINE("2026-01-01T10:00:01Z", "000000000000002",
                     "\"release\":\"2\",\"message\":\"cannot charge the card of bert today\""),
                2)
              .fresh);
    CHECK(apply(is,
                LINE("2026-01-01T11:00:02Z", "000000000000003", "\"message\":\"cannot charge the card of carl today\""),
                3)
              .fresh);
    CHECK(issues_flush(is, &e) == 0);
    CHECK_INT(count_of(db, "SELECT count(*) FROM issue"), 3);
    CHECK(
        !apply(is,
               LINE("2026-01-01T11:00:03Z", "000000000000004", "\"message\":\"cannot charge the card of dora today\""),
               4)
             .fresh);
    CHECK(issues_flush(is, &e) == 0);
    CHECK_INT(count_of(db, "SELECT count(*) FROM issue"), 1);
    CHECK_INT(count_of(db, "SELECT count FROM issue"), 4);
    CHECK_INT(count_of(db, "SELECT sum(count) FROM issue_hour"), 4);
    CHECK_INT(count_of(db, "SELECT count(*) FROM issue_release"), 2);

    issues_free(is);
    is = issues_new(db, &counted);
    CHECK(
        !apply(is,
               LINE("2026-01-01T11:00:04Z", "000000000000005", "\"message\":\"cannot charge the card of emil today\""),
               5)
             .fresh);
    issues_forget(is); /* a transaction that failed */
    CHECK(
        !apply(is,
               LINE("2026-01-01T11:00:04Z", "000000000000005", "\"message\":\"cannot charge the card of emil today\""),
               5)
             .fresh);
    CHECK(issues_flush(is, &e) == 0);
    CHECK_INT(count_of(db, "SELECT count FROM issue"), 5);
    CHECK(apply(is, LINE("2026-01-01T11:00:04Z", "000000000000006", "\"try\":1"), 6).fresh); /* no message at all */
    CHECK(!apply(is, LINE("2026-01-01T11:00:04Z", "000000000000007", "\"try\":2,\"message\":\"\""), 7).fresh);
    struct fingerprint young = print_of(
        LINE("2026-01-01T10:00:00Z", "000000000000001", "\"message\":\"cannot charge the card of carl today\""));
    CHECK(strcmp(young.id, first.id) != 0);
    CHECK(issue_json(db, str_of(young.id), &out, last, &line, &e) == 0); /* an id that was told is found */
    CHECK(str_find(buf_view(&out), str_of(first.id)) > 0);
    CHECK_STR(str_of(last), S("000000000000005"));
    issues_free(is);
    db_close(db);
    buf_done(&out);
    buf_done(&line);
    (void)!system(arena_printf(&a, "rm -rf %s", dir));
    arena_done(&a);
}

TEST(releases_compare_as_versions_or_not_at_all)
{
    static const char *const older_first[][2] = {
        {"1.9", "1.10"},
        {"1.4-rc1", "1.4"},
        {"1.4-rc.2", "1.4-rc.10"},
        {"v1.4", "shop@1.4.1"},
        {"1.4-alpha", "1.4-rc"},
        {"1.4-rc", "1.4-rc.1"},
        {"20261124", "20261125"},
        {"9", "10"},
        {"1.4-1", "1.4-a"},
        {"1.99999999999999999999", "2"},
        {"1.4.0-rc1+b7", "1.4+b2"},
    };
    static const char *const none[][2] = {{"3f2a1c9", "1.4"}, {"main", "1"}, {"1..2", "1"},
                                          {"", "1"},          {"1.", "1"},   {"v", "1"}};
    int order;
    for (size_t i = 0; i < LENGTH(older_first); i++) {
        str x = str_of(older_first[i][0]), y = str_of(older_first[i][1]);
        CHECK(release_compare(x, y, &order) && order < 0);
        CHECK(release_compare(y, x, &order) && order > 0);
        CHECK(release_compare(x, x, &order) && order == 0);
    }
    CHECK(release_compare(S("1.4"), S("1.4.0"), &order) && order == 0);
    CHECK(release_compare(S("1.4+a"), S("v1.4+b"), &order) && order == 0);
    for (size_t i = 0; i < LENGTH(none); i++)
        CHECK(!release_compare(str_of(none[i][0]), str_of(none[i][1]), &order));
}

/* "url: 'http://x/a.js'," of an expected frame; null is nothing, '?' an unknown function. */
static str expected_value(const char *frame, const char *name)
{
    const char *at = strstr(frame, name), *end;
    if (!at)
        return (str){0};
    at += strlen(name);
    if (*at != '\'') {
        end = strpbrk(at, ",}");
        str v = str_trim(str_n(at, end ? (size_t)(end - at) : 0));
        return str_eq(v, S("null")) || str_eq(v, S("0")) ? S("") : v;
    }
    end = strstr(++at, "',");
    str v = str_n(at, end ? (size_t)(end - at) : 0);
    return str_eq(v, S("?")) ? S("") : v;
}

static bool as_expected(const struct frame *f, const char *frame)
{
    str want_line = expected_value(frame, " line: "), want_column = expected_value(frame, " column: ");
    char line[12] = "", column[12] = "";
    if (f->line)
        snprintf(line, sizeof line, "%u", f->line);
    if (f->column)
        snprintf(column, sizeof column, "%u", f->column);
    bool same = str_eq(f->file, expected_value(frame, "{ url: ")) &&
                str_eq(f->function, expected_value(frame, " func: ")) && str_eq(str_of(line), want_line) &&
                str_eq(str_of(column), want_column);
    if (!same)
        printf("    got %.*s | %.*s | %s:%s, expected %s\n", STR_ARG(f->function), STR_ARG(f->file), line, column,
               frame);
    return same;
}

static bool frames_as_expected(const json_t *captured, const json_t *frames)
{
    static const char *const places[] = {"stacktrace", "stack", "message"};
    static struct stack s;
    s.n = 0;
    for (size_t i = 0; i < LENGTH(places) && !s.n; i++)
        stack_read(str_of(json_string_value(json_object_get(captured, places[i]))), GROUPING_NEWEST, &s);
    bool same = s.n > 0;
    const char *number; /* not all of them are told */
    json_t *frame;
    json_object_foreach((json_t *)(uintptr_t)frames, number, frame)
    {
        size_t i = strtoul(number, NULL, 10);
        same &= i < s.n && as_expected(&s.frames[i], json_string_value(frame));
    }
    return same;
}

TEST(stacks_captured_from_browsers_have_the_frames_expected)
{
    const char *shared = getenv("LOGD_SHARED"), *key;
    struct arena paths = {0};
    char *dir = arena_printf(&paths, "%s/data/jsstacks", shared ? shared : "../shared");
    json_t *all = json_load_file(arena_printf(&paths, "%s/TraceKit.json", dir), 0, NULL), *frames,
           *expected = json_load_file(arena_printf(&paths, "%s/TraceKit.expected_frames.json", dir), 0, NULL);
    size_t right = 0, n = json_object_size(expected);
    if (!expected)
        printf("skip: no %s (set LOGD_SHARED)\n", dir);
    json_object_foreach(expected, key, frames)
    {
        bool same = frames_as_expected(json_object_get(all, key), frames);
        right += same;
        if (!same)
            printf("  %s\n", key);
    }
    CHECK(right + 1 >= n); /* of one the first frame expected is not in what was captured */
    printf("    %zu of %zu captured stacks\n", right, n);
    json_decref(all);
    json_decref(expected);
    arena_done(&paths);
}

TEST(only_what_comes_after_the_change_opens_an_issue_again)
{
    struct life l = {.state = LIFE_RESOLVED, .since = 100};
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 100, .now = 200}), LIFE_SAME);
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 101, .now = 200, .older = true}), LIFE_SAME);
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 101, .now = 200}), LIFE_REGRESSED);
    CHECK_INT(l.state, LIFE_OPEN);
    l = (struct life){.state = LIFE_MUTED, .since = 100, .mute = MUTE_COUNT, .limit = 2};
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 99, .now = 200}),
              LIFE_SAME); /* late: does not count */
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 101, .now = 200}), LIFE_SAME);
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 101, .now = 200}), LIFE_UNMUTED);
    l = (struct life){.state = LIFE_MUTED, .since = 100, .mute = MUTE_RATE, .limit = 3, .window = 1000};
    static const usec times[] = {1000, 1999, 2000, 1999, 2500}; /* two, a new window, a late one, two */
    for (size_t i = 0; i < LENGTH(times); i++)
        CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = times[i], .now = times[i]}), LIFE_SAME);
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 2999, .now = 2999}), LIFE_UNMUTED);
    l = (struct life){.state = LIFE_MUTED, .since = 100, .mute = MUTE_TIME, .limit = 500};
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 600, .now = 499}), LIFE_SAME);
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 600, .now = 500}), LIFE_UNMUTED);
    l = (struct life){.state = LIFE_MUTED, .since = 100, .mute = MUTE_ANYBODY};
    CHECK_INT(life_event(&l, &(struct life_event){.n = 1, .time = 600, .now = 1 << 30}), LIFE_SAME);
}

TEST(the_sender_s_own_fingerprint_is_the_group_and_may_name_ours)
{
#define OWN(own, message)                                                                                              \
    print_of(LINE("2026-01-01T10:00:00Z", "000000000000001", "\"fingerprint\":" own ",\"message\":\"" message "\""))
    struct fingerprint plain = OWN("[]", "one thing"), x = OWN("\"db\"", "one thing"), y = OWN("[\"db\"]", "another"),
                       both = OWN("[\"{{ default }}\",\"eu\"]", "one thing"),
                       us = OWN("[\"{{ default }}\",\"us\"]", "one thing"),
                       other = OWN("[\"{{ default }}\",\"eu\"]", "another");
    CHECK(strcmp(x.id, plain.id) != 0 && strcmp(OWN("[\"db\",1]", "a").id, OWN("[\"db\",2]", "a").id) != 0);
    CHECK_STR(str_of(OWN("[\"db\",1]", "a").id), str_of(OWN("[\"db\",1]", "b").id));
    CHECK_STR(str_of(x.id), str_of(y.id));
    CHECK_STR(str_of(y.why), S("the sender's own field `fingerprint`"));
    static const char *const ours[] = {"[\"{{ default }}\"]", "\"{{ default }}\"", "null", "[]"};
    for (size_t i = 0; i < LENGTH(ours); i++) {
        struct fingerprint fp = print_of(arena_printf(
            &a, LINE("2026-01-01T10:00:00Z", "000000000000001", "\"fingerprint\":%s,\"message\":\"one thing\""),
            ours[i]));
        CHECK_STR(str_of(fp.id), str_of(plain.id));
    }
    CHECK(strcmp(both.id, plain.id) != 0 && strcmp(both.id, us.id) != 0 && strcmp(both.id, other.id) != 0);
    CHECK(both.shape == NULL && strstr(both.why, "`fingerprint`, and message: one thing") != NULL);
    arena_done(&a);
}

TEST(past_the_limit_the_issues_unseen_for_longest_go_with_all_that_is_theirs)
{
    char dir[] = "/tmp/logd-issues-XXXXXX", path[64];
    const char *const steps[] = {issues_schema,       issues_schema_releases, issues_schema_learned,
                                 issues_schema_life,  issues_schema_grouping, issues_schema_grouping_3,
                                 issues_schema_causes};
    struct db *db;
    struct err e;
    usec next;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fold.db", dir);
    CHECK(db_open(path, DB_NORMAL, steps, LENGTH(steps), &db, &e) == 0);
    /* 100,002 issues seen at 1, 2, 3, ...; the first was merged into the last, so it goes on with it */
    CHECK(db_exec(db,
                  "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 100002)"
                  " INSERT INTO issue(id, app, title, state, count, last_seen) SELECT printf('%016x', i), 'a', 't',"
                  " 'open', 1, i FROM n;"
                  "UPDATE issue SET merged_into = printf('%016x', 100002) WHERE last_seen = 1;"
                  "INSERT INTO issue_users(issue, key, sketch) SELECT id, id, 'x' FROM issue WHERE last_seen < 4;"
                  "INSERT INTO issue_hour SELECT id, 500000, 1 FROM issue WHERE last_seen < 4;"
                  "INSERT INTO issue_hour SELECT id, 400000, 1 FROM issue WHERE last_seen < 4;"
                  "INSERT INTO issue_sample SELECT id, 0, 1, '{}' FROM issue WHERE last_seen < 4;"
                  "INSERT INTO issue_note(issue, time, kind) SELECT id, 1, 'comment' FROM issue WHERE last_seen < 4",
                  &e) == 0);
    CHECK(db_step(db, db_stmt(db, "PRAGMA secure_delete = ON"), &e) >= 0);
    struct issues *is = issues_new(db, &counted);
    usec now = 500001LL * 3600 * USEC_PER_SEC;
    CHECK(db_begin(db, &e) == 0);
    CHECK(issues_tick(is, now, &next, &e) == 0);
    CHECK(db_commit(db, &e) == 0);
    CHECK_INT(count_of(db, "PRAGMA secure_delete"), 1); /* as the fold wants it */
    CHECK_INT(next, now + 24LL * 3600 * USEC_PER_SEC);
    CHECK_INT(count_of(db, "SELECT count(*) FROM issue"), 100001); /* 100,000 and the merged one */
    CHECK_INT(count_of(db, "SELECT count(*) FROM issue WHERE last_seen = 2"), 0);
    const char *const theirs[] = {"SELECT count(*) FROM issue_users",
                                  "SELECT count(*) FROM issue_hour", /* old hours too */
                                  "SELECT count(*) FROM issue_sample", "SELECT count(*) FROM issue_note"};
    for (size_t i = 0; i < LENGTH(theirs); i++)
        CHECK_INT(count_of(db, theirs[i]), 2); /* of the merged one, and of the third */
    issues_free(is);
    db_close(db);
    (void)!system(arena_printf(&a, "rm -rf %s", dir));
    arena_done(&a);
}

/* A body of random parts, most of them right. */
static str random_body(unsigned *seed, int which, char ids[][17], size_t n)
{
#define PICK(...)                                                                                                      \
    ((const char *const[]){__VA_ARGS__})[(unsigned)rand_r(seed) % LENGTH(((const char *const[]){__VA_ARGS__}))]
    const char *x = ids[(unsigned)rand_r(seed) % n], *y = ids[(unsigned)rand_r(seed) % n];
    switch (which) {
    case 0: return str_of(arena_printf(&a, "{\"into\":\"%s\",\"ids\":[\"%s\"]}", x, y));
    case 1: return str_of(arena_printf(&a, "{\"ids\":[\"%s\"]}", x));
    case 2:
        return str_of(arena_printf(
            &a, "{\"state\":\"muted\",\"until\":{%s}}",
            PICK("\"count\":2", "\"users\":1", "\"rate\":\"2/hour\"", "\"time\":\"2h\"", "", "\"count\":\"x\"")));
    case 3:
        return str_of(
            arena_printf(&a, "{%s}",
                         PICK("\"state\":\"resolved\"", "\"state\":\"open\"", "\"assignee\":null",
                              "\"state\":\"resolved\",\"in_release\":\"2\"", "\"text\":\"hm\"", "\"state\":7")));
    }
    return str_of(PICK("", "{}", "[]", "{\"version\":1}", "{\"version\":2}", "{\"text\":\"password=hunter2hunter2\"}",
                       "{\"ids\":[]}", "nonsense"));
}

static int random_check(unsigned *seed, struct db *db, char ids[][17], size_t n, struct buf *action, struct err *e)
{
    static const int bodies[] = {2, 0, 1, 3, 4}; /* of each check; now and then another's */
    int which = rand_r(seed) % 5;
    str body = random_body(seed, rand_r(seed) % 4 ? bodies[which] : rand_r(seed) % 5, ids, n),
        id = str_of(ids[(unsigned)rand_r(seed) % n]);
    char into[17];
    switch (which) {
    case 0: return issue_patch_check(db, body, id, S("me"), 1, action, e);
    case 1: return issues_merge_check(db, body, S("me"), action, into, e);
    case 2: return issue_split_check(db, body, id, S("me"), action, e);
    case 3: return issue_comment_check(db, body, id, S("me"), action, e);
    }
    return issues_regroup_check(db, body, S("me"), action, e);
}

TEST(whatever_people_do_no_count_is_lost_and_every_part_has_a_whole)
{
    char dir[] = "/tmp/logd-issues-XXXXXX", path[64], ids[8][17], line[400];
    const char *const steps[] = {issues_schema,       issues_schema_releases, issues_schema_learned,
                                 issues_schema_life,  issues_schema_grouping, issues_schema_grouping_3,
                                 issues_schema_causes};
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    uint64_t events = 0, done = 0;
    struct db *db;
    struct err e;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fold.db", dir);
    CHECK(db_open(path, DB_NORMAL, steps, LENGTH(steps), &db, &e) == 0);
    struct issues *is = issues_new(db, &counted);
    printf("  SEED=%u\n", seed);
    for (size_t i = 0; i < 3000; i++) {
        unsigned k = i < LENGTH(ids) ? (unsigned)i : (unsigned)rand_r(&seed) % LENGTH(ids);
        if (i < LENGTH(ids) || rand_r(&seed) % 2) {
            snprintf(
                line, sizeof line,
                LINE(
                    "2026-01-01T%02u:00:00Z", "%015zu",
                    "\"release\":\"%u\",\"user\":\"u%u\",\"error.type\":\"E%u\",\"error.stack\":\"at f (/a.js:1:2)\\n at x::g%u(int) (/b.js:1:2)\""),
                i, (unsigned)rand_r(&seed) % 24, (unsigned)rand_r(&seed) % 4, (unsigned)rand_r(&seed) % 9, k, k);
            struct event *ev = event(line);
            struct fingerprint fp;
            struct issue_seen seen;
            bool has;
            CHECK(issues_fingerprint(is, ev, (usec)i, &a, &has, &fp, &e) == 0 && has);
            if (i < LENGTH(ids))
                memcpy(ids[i], fp.id, sizeof fp.id);
            CHECK(issues_apply(is, ev, &fp, (usec)i, &seen, &a, &e) == 0);
            events++;
        } else {
            struct buf action = BUF_INIT(1 << 16);
            CHECK(issues_flush(is, &e) == 0);
            if (random_check(&seed, db, ids, LENGTH(ids), &action, &e) == 0) {
                CHECK(issues_action(is, buf_view(&action), (usec)i, &e) == 0);
                done++;
            } else {
                CHECK(e.text[0] && (e.kind == ERR_INPUT || e.kind == ERR_GONE));
            }
            buf_done(&action);
        }
        arena_reset(&a);
        if (i % 50)
            continue;
        CHECK(issues_flush(is, &e) == 0);
        CHECK_INT(count_of(db, "SELECT sum(count) FROM issue"), events);
        CHECK_INT(count_of(db, "SELECT sum(count) FROM issue_hour"), events);
        CHECK_INT(count_of(db, "SELECT count(*) FROM issue AS m WHERE merged_into IS NOT NULL AND NOT EXISTS"
                               " (SELECT 1 FROM issue AS i WHERE i.id = m.merged_into AND i.merged_into IS NULL)"),
                  0);
    }
    CHECK(done > 300);
    issues_free(is);
    db_close(db);
    (void)!system(arena_printf(&a, "rm -rf %s", dir));
    arena_done(&a);
}

TEST(the_sender_s_own_template_is_the_group)
{
    struct fingerprint x = print_of(LINE("2026-01-01T10:00:00Z", "000000000000001",
                                         "\"message\":\"hello anna\",\"msg_template\":\"hello {name}\""));
    struct fingerprint y = print_of(
        LINE("2026-01-01T10:00:00Z", "000000000000001", "\"message\":\"hello you two\",\"@mt\":\"hello {name}\""));
    CHECK_STR(str_of(x.id), str_of(y.id));
    CHECK(strstr(x.why, "own template: hello {name}") != NULL);
    arena_done(&a);
}

UNIT_MAIN
