#include "unit.h"
#include "base/arena.h"
#include "base/str.h"
#include "event/event.h"
#include "issues/issues.h"
#include "issues/stack.h"

static struct arena a;

/* What the issue says of it: "type T and the top 2 frames of the app: a, b" */
static const struct trace_case {
    const char *text, *why;
} traces[] = {
    /* Dart */
    {"Unhandled exception:\nBad state: no stock\n#0      Cart.pay (package:shop/cart.dart:12:5)\n"
     "#1      Cart.pay.<anonymous closure> (package:shop/cart.dart:19:5)\n<asynchronous suspension>\n"
     "#2      List.forEach (dart:core-patch/growable_array.dart:433)\n#3      main (package:shop/main.dart:3:3)",
     "cart.dart:Cart.pay, main"},
    {"no stock\npackage:shop/cart.dart 12:5  Cart.pay\npackage:shop/main.dart 3:3   main", "cart.dart:Cart.pay, main"},
    /* Elixir, Erlang */
    {"12:00:00.123 [error] GenServer #PID<0.7.0> terminating\n** (RuntimeError) no stock\n"
     "    (shop 0.1.0) lib/shop/cart.ex:12: Shop.Cart.pay/2\n"
     "    (elixir 1.14.0) lib/enum.ex:1658: Enum.\"-map/2-lists^map/1-0-\"/2\n"
     "    (shop 0.1.0) lib/shop/web.ex:40: anonymous fn/1 in Shop.Web.handle/2\n"
     "    (stdlib 4.0) gen_server.erl:1123: :gen_server.try_dispatch/4\nLast message: :pay",
     "type RuntimeError and the top 2 frames of the app: cart.ex:Shop.Cart.pay, web.ex:Shop.Web.handle"},
    {"** exception error: no match of right hand side value 7\n     in function  shop_cart:pay/2 (src/shop_cart.erl, line 12)\n"
     "     in call from lists:foreach/2 (lists.erl, line 1342)\n     in call from shop_web:handle/1 (src/shop_web.erl, line 40)",
     "type error and the top 2 frames of the app: shop_cart.erl:shop_cart:pay, shop_web.erl:shop_web:handle"},
    {"Error in process <0.99.0> with exit value:\n{{badmatch,7},\n [{shop_cart,pay,[7,[a]],[{file,\"src/shop_cart.erl\"},{line,12}]},\n"
     "  {shop_web,handle,1,[{file,\"src/shop_web.erl\"},{line,40}]}]}",
     "shop_cart.erl:pay, shop_web.erl:handle"},
    /* Lua, Perl, Raku */
    {"lua: shop.lua:12: attempt to index a nil value (global 'cart')\nstack traceback:\n\t[C]: in function 'error'\n"
     "\tshop.lua:12: in function 'pay'\n\tshop.lua:30: in method 'run' (a nil value)\n\tmain.lua:3: in main chunk\n\t[C]: in ?",
     "shop.lua:pay, shop.lua:run"},
    {"no stock at lib/Shop/Cart.pm line 12.\n\tShop::Cart::pay(Shop::Cart=HASH(0x55d0), 7) called at lib/Shop/Web.pm line 40\n"
     "\teval {...} called at lib/Shop/Web.pm line 39\n\tShop::Web::run(\"a\", \"b\") called at bin/shop.pl line 3",
     "Shop::Cart::pay, Shop::Web::run"},
    {"no stock\n  in sub pay at shop.raku line 12\n  in block <unit> at shop.raku line 40", "shop.raku:pay"},
    /* Swift, on Linux and on Apple's */
    {"Shop/Cart.swift:12: Fatal error: no stock\nThread 0 crashed:\n0 0x0000000000401234 Cart.pay(_:) + 123 in shop at /src/Cart.swift:12:5\n"
     "1 [ra] 0x0000000000401300 main + 12 in shop at /src/main.swift:3:1\nThread 1:\n0 0x00 other + 1 in shop at /src/o.swift:1:1",
     "type Fatal error and the top 2 frames of the app: Cart.swift:Cart.pay(_:), "},
    {"*** Terminating app due to uncaught exception 'NSRangeException', reason: 'index 7 beyond bounds'\n"
     "0   CoreFoundation                      0x00007fff204a1b90 __exceptionPreprocess + 250\n"
     "1   libobjc.A.dylib                     0x00007fff2019be78 objc_exception_throw + 48\n"
     "2   Shop                                0x000000010a3f1c10 -[Cart pay:] + 80\n"
     "3   Shop                                0x000000010a3f1d00 closure #1 in Cart.run() + 20 (Cart.swift:30)",
     "type NSRangeException and the top 2 frames of the app: Shop:-[Cart pay:], Cart.swift:Cart.run()"},
    /* Haskell, OCaml */
    {"shop: no stock\nCallStack (from HasCallStack):\n  error, called at src/Cart.hs:12:5 in shop-0.1.0-inplace:Cart\n"
     "  pay, called at src/Web.hs:40:3 in main:Web\n  run, called at app/Main.hs:3:3 in main:Main",
     "Cart.hs:pay, Web.hs:run"},
    {"Fatal error: exception Failure(\"no stock\")\nRaised at Shop.Cart.pay in file \"lib/cart.ml\", line 12, characters 5-20\n"
     "Called from Shop.Web.run in file \"lib/web.ml\" (inlined), line 40, characters 3-9",
     "type Failure and the top 2 frames of the app: cart.ml:Shop.Cart.pay, web.ml:Shop.Web.run"},
    /* PowerShell */
    {"no stock\nat Invoke-Pay, C:\\shop\\cart.ps1: line 12\nat <ScriptBlock>, C:\\shop\\main.ps1: line 3",
     "cart.ps1:Invoke-Pay, main.ps1:<ScriptBlock>"},
    {"no stock\nAt C:\\shop\\cart.ps1:12 char:5\n+     throw \"no stock\"\n+     ~~~~~~~~~~~~~~~~\n"
     "    + CategoryInfo          : OperationStopped: (no stock:String) [], RuntimeException\n    + FullyQualifiedErrorId : no stock",
     "type RuntimeException and the top 1 frame of the app: cart.ps1:?"},
    /* Scala, Kotlin, Clojure */
    {"Exception in thread \"main\" shop.StockError: no stock\n\tat shop.Cart$.$anonfun$pay$1(Cart.scala:12)\n\tat scala.Option.map(Option.scala:230)\n"
     "\tat shop.Web$.run(Web.scala:40)",
     "type shop.StockError and the top 2 frames of the app: Cart.scala:pay, Web.scala:shop.Web$.run"},
    {"java.lang.RuntimeException: no stock\n    at pay @ shop.Cart$.pay(Cart.scala:12)\n    at map @ shop.Web$.run(Web.scala:40)",
     "Cart.scala:shop.Cart$.pay, Web.scala:shop.Web$.run"},
    {"java.lang.IllegalStateException: no stock\n\tat shop.CartKt.pay(Cart.kt:12)\n\tat _COROUTINE._BOUNDARY._(CoroutineDebugging.kt:42)\n"
     "\tat shop.WebKt$main$1.invokeSuspend(Web.kt:30)",
     "Cart.kt:shop.CartKt.pay, Web.kt:shop.WebKt$main$1"},
    {"java.lang.Exception: no stock\n\tat shop.cart$pay$fn__123.invoke(cart.clj:12)\n\tat clojure.core$map.invoke(core.clj:2)\n\tat shop.web$run.invoke(web.clj:40)",
     "cart.clj:shop.cart$pay, web.clj:shop.web$run.invoke"},
    /* Node, Deno */
    {"Unhandled TypeError: x is undefined\n    at pay (/srv/cart.js:12:5)\n    at new Promise (<anonymous>)\n    at run (/srv/web.js:40:3)",
     "type TypeError and the top 2 frames of the app: cart.js:pay, web.js:run"},
    {"(node:7) UnhandledPromiseRejectionWarning: RangeError: no stock\n    at pay (/srv/cart.js:12:5)\n    at async Promise.all (index 0)\n    at async run (/srv/web.js:40:3)",
     "type RangeError and the top 2 frames of the app: cart.js:pay, web.js:run"},
    {"error: Uncaught (in promise) TypeError: x is undefined\n    throw new TypeError()\n          ^\n    at pay (file:///srv/cart.ts:12:5)\n    at file:///srv/web.ts:40:3",
     "type TypeError and the top 1 frame of the app: cart.ts:pay"},
    {"Error: no stock\n    at pay (/srv/cart.js:12:5)\n    at Immediate._onImmediate (/srv/x.js:3:3)\n    at processImmediate (node:internal/timers:476:21)",
     "type Error and the top 1 frame of the app: cart.js:pay"},
    {"TypeError: undefined is not a function\n    at pay (address at index.android.bundle:1:12345)\n    at run (address at index.android.bundle:1:99)",
     "index.android.bundle:pay, index.android.bundle:run"},
    /* Python 3.11 and later */
    {"  + Exception Group Traceback (most recent call last):\n  |   File \"/srv/web.py\", line 40, in run\n  |     pay()\n  |     ~~~^^\n"
     "  |   File \"/srv/cart.py\", line 12, in pay\n  |     raise ExceptionGroup(\"many\", errors)\n  | ExceptionGroup: many (2 sub-exceptions)\n"
     "  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File \"/srv/db.py\", line 3, in get\n    | ValueError: 1\n"
     "    +------------------------------------",
     "type ExceptionGroup and the top 2 frames of the app: cart.py:pay, web.py:run"},
    {"Traceback (most recent call last):\n  File \"/srv/web.py\", line 40, in run\n    pay(cart)\n    ~~~^^^^^^\n  File \"/srv/cart.py\", line 12, in pay\n"
     "    return a / b\n           ~~^~~\nZeroDivisionError: division by zero",
     "type ZeroDivisionError and the top 2 frames of the app: cart.py:pay, web.py:run"},
    /* PHP */
    {"PHP Fatal error:  Uncaught Exception: no stock in /srv/shop.php:12\nStack trace:\n#0 {main}\n  thrown in /srv/shop.php on line 12",
     "type Exception and the top 1 frame of the app: shop.php:{main}"},
    {"[2026-01-01 10:00:00] prod.ERROR: no stock {\"exception\":\"[object] (RuntimeException(code: 0): no stock at /srv/app/Cart.php:12)\n[stacktrace]\n"
     "#0 /srv/vendor/x/Loop.php(9): App\\Cart->pay(7)\n#1 [internal function]: X\\Loop->run(Object(Closure))\n#2 /srv/app/Web.php(3): array_map()\n#3 {main}",
     "type RuntimeException and the top 2 frames of the app: Cart.php:App\\Cart->pay, Web.php:{main}"},
    {"Exception: no stock in /srv/shop.php:12\nStack trace:\n#0 /srv/web.php(9): {closure:Shop\\Cart::pay():30}(7)\n#1 /srv/web.php(3): run()\n#2 {main}",
     "Shop\\Cart::pay, web.php:run"},
    /* Go */
    {"panic: boom [recovered]\n\tpanic: boom\n\ngoroutine 7 [running]:\ntesting.tRunner.func1.2({0x51, 0x5a})\n\t/usr/local/go/src/testing/testing.go:1526 +0x24e\n"
     "main.guard.func1()\n\t/srv/guard.go:9 +0x1d\npanic({0x51, 0x5a})\n\t/usr/local/go/src/runtime/panic.go:884 +0x212\n"
     "main.pay(...)\n\t/srv/cart.go:12\nmain.run(0x7)\n\t/srv/web.go:40 +0x2f\ncreated by main.main in goroutine 1\n\t/srv/main.go:3 +0x1d",
     "type panic and the top 2 frames of the app: cart.go:main.pay, web.go:main.run"},
    {"2026/01/01 10:00:00 http: panic serving 127.0.0.1:4711: boom\ngoroutine 7 [running]:\nnet/http.(*conn).serve.func1()\n\t/usr/local/go/src/net/http/server.go:1854 +0xbf\n"
     "panic({0x51, 0x5a})\n\t/usr/local/go/src/runtime/panic.go:884 +0x212\nmain.pay(...)\n\t/srv/cart.go:12\nmain.run(0x7)\n\t/srv/web.go:40 +0x2f",
     "type panic and the top 2 frames of the app: cart.go:main.pay, web.go:main.run"},
    {"fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.pay(...)\n\t/srv/cart.go:12\nmain.main()\n\t/srv/main.go:3 +0x2f\n\n"
     "goroutine 7 [select]:\nmain.other()\n\t/srv/o.go:1 +0x1",
     "type fatal error and the top 2 frames of the app: cart.go:main.pay, main.go:main.main"},
    /* Rust, all of it */
    {"thread 'main' (4711) panicked at src/cart.rs:12:5:\nno stock\nstack backtrace:\n   0:     0x55d0c8a0f1b3 - std::backtrace_rs::trace::h1234567890abcdef\n"
     "                               at /rustc/07dc/library/std/src/x.rs:93:5\n   1:     0x55d0c8a0f1b4 - shop::cart::pay::h1234567890abcdef\n"
     "                               at /srv/src/cart.rs:12:5\n   2:     0x55d0c8a0f1b5 - shop::main\n   3:     0x7f1c2a3d - __libc_start_main",
     "type panic and the top 2 frames of the app: shop::cart::pay, shop::main"},
    /* C and C++ */
    {"==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x6020 at pc 0x4f\nREAD of size 4 at 0x6020 thread T0\n"
     "    #0 0x4f6a5b in pay /src/cart.c:12:5\n    #1 0x4f6b00 in run /src/web.c:40\n    #2 0x7f1c (/lib/x86_64-linux-gnu/libc.so.6+0x29d8f)\n"
     "freed by thread T0 here:\n    #0 0x4a in free (/srv/shop+0x4a)\n    #1 0x4b in drop /src/cart.c:3:3",
     "type heap-use-after-free and the top 2 frames of the app: cart.c:pay, web.c:run"},
    {"*** Error in `./shop': double free or corruption (fasttop): 0x0000000001a2b010 ***\n======= Backtrace: =========\n"
     "/lib/x86_64-linux-gnu/libc.so.6(+0x777e5)[0x7f1c2a3d]\n./shop(pay+0x1f)[0x400a1f]\n./shop(run+0x2f)[0x400b2f]",
     "type double free or corruption (fasttop) and the top 2 frames of the app: shop:pay, shop:run"},
    {"no stock\n 0# shop::pay(int) at /src/cart.cpp:12\n 1# main in ./shop", "shop::pay, main"},
    {"*** SIGSEGV (@0x0) received by PID 7; stack trace: ***\n    @     0x55d0c8a0 pay()\n    @     0x55d0c8b0 run()",
     "pay(), "},
    {"shop!pay+0x1f [C:\\src\\cart.c @ 12]\nshop!run+0x2f [C:\\src\\web.c @ 40]", "cart.c:pay, web.c:run"},
    /* .NET elsewhere */
    {"System.Exception: no stock\n  at Shop.Cart.Pay (System.Int32 id) [0x00012] in <0123abcd>:0 \n  at Shop.Web.Run () [0x00001] in /src/Web.cs:40 ",
     ":Shop.Cart.Pay, Web.cs:Shop.Web.Run"},
    {"NullReferenceException: no cart\nShop.Cart.Pay (System.Int32 id) (at Assets/Cart.cs:12)\nShop.Web.Run () (at Assets/Web.cs:40)",
     "type NullReferenceException and the top 2 frames of the app: Cart.cs:Shop.Cart.Pay, Web.cs:Shop.Web.Run"},
    /* Julia, Crystal, Zig, Nim, R, Racket, SQL */
    {"ERROR: LoadError: BoundsError: attempt to access 3-element Vector\nStacktrace:\n [1] getindex(A::Vector, i::Int64)\n   @ Base ./array.jl:924\n"
     " [2] pay(id::Int64)\n   @ Main /srv/cart.jl:12\n [3] top-level scope\n   @ /srv/web.jl:40",
     "type BoundsError and the top 2 frames of the app: cart.jl:pay, web.jl:top-level scope"},
    {"Unhandled exception: no stock (Shop::StockError)\n  from src/cart.cr:12:5 in 'pay'\n  from src/web.cr:40:3 in 'run'",
     "type Shop::StockError and the top 2 frames of the app: cart.cr:pay, web.cr:run"},
    {"thread 7 panic: no stock\n/srv/cart.zig:12:5: 0x10f in pay (shop)\n    unreachable;\n    ^\n/srv/web.zig:40:3: 0x11f in run (shop)",
     "cart.zig:pay, web.zig:run"},
    {"Traceback (most recent call last)\n/srv/main.nim(3) main\n/srv/cart.nim(12) pay\nError: unhandled exception: no stock [ValueError]",
     "cart.nim:pay, main"},
    {"no stock\n  context...:\n   /srv/cart.rkt:12:0: pay\n   /srv/web.rkt:40:0: run", "cart.rkt:pay, web.rkt:run"},
    {"ORA-20001: no stock\nORA-06512: at \"SHOP.PAY\", line 12\nORA-06512: at \"SHOP.RUN\", line 40",
     "SHOP.PAY, :SHOP.RUN"},
    /* Ruby 3.4, for a terminal too, Rails */
    {"app/cart.rb:12:in 'pay': \033[1mno stock (\033[1;4mShop::StockError\033[m\033[1m)\033[m\n\tfrom app/web.rb:40:in 'run'",
     "type Shop::StockError and the top 2 frames of the app: cart.rb:pay, web.rb:run"},
    {"app/cart.rb:12:in 'Shop::Cart#pay': no stock (Shop::StockError)\n\tfrom <internal:array>:42:in 'Array#each'\n\tfrom app/web.rb:40:in 'block in Web#run'",
     "type Shop::StockError and the top 2 frames of the app: Shop::Cart#pay, web.rb:Web#run"},
    {"NoMethodError (undefined method `total' for nil:NilClass):\n\napp/cart.rb:12:in `sum'\napp/web.rb:5:in `create'",
     "type NoMethodError and the top 2 frames of the app: cart.rb:sum, web.rb:create"},
};

TEST(stacks_of_languages_old_and_new_name_what_failed_and_where)
{
    for (size_t i = 0; i < LENGTH(traces); i++) {
        struct fingerprint fp;
        fingerprint_trace(S("shop"), str_of(traces[i].text), &a, &fp);
        if (!strstr(fp.why, traces[i].why))
            printf("  %.60s\n    got      %s\n    expected %s\n", traces[i].text, fp.why, traces[i].why);
        CHECK(strstr(fp.why, traces[i].why) != NULL);
    }
    arena_done(&a);
}

/* What is told of the innermost cause is what its own issue is of. */
static const struct {
    const char *chain, *alone;
} chains[] = {
    {"a.Wrapped: failed\n\tat a.Web.run(Web.java:40)\n\tat a.Main.main(Main.java:3)\nCaused by: a.Middle: m\n\tat a.Mid.go(Mid.java:7)\n\t... 2 more\n"
     "Caused by: java.io.IOException: gone\n\tat a.Db.get(Db.java:3)\n\t... 3 more",
     "java.io.IOException: gone\n\tat a.Db.get(Db.java:3)\n\tat a.Mid.go(Mid.java:7)\n\tat a.Web.run(Web.java:40)"},
    {"Error: failed\n    at run (/srv/web.js:40:3) {\n  [cause]: TypeError: gone\n      at get (/srv/db.js:3:5)\n      at run (/srv/web.js:39:3)\n}",
     "TypeError: gone\n    at get (/srv/db.js:3:5)\n    at run (/srv/web.js:1:3)"},
    {"Traceback (most recent call last):\n  File \"/srv/db.py\", line 3, in get\nKeyError: 'x'\n\nThe above exception was the direct cause of the following exception:\n\n"
     "Traceback (most recent call last):\n  File \"/srv/web.py\", line 40, in run\nRuntimeError: failed",
     "Traceback (most recent call last):\n  File \"/srv/db.py\", line 3, in get\nKeyError: 'y'"},
    {"Acme.Wrapped: failed\n ---> System.IO.IOException: gone\n   at Acme.Db.Get(Int32 id) in /src/Db.cs:line 3\n   --- End of inner exception stack trace ---\n"
     "   at Acme.Web.Run() in /src/Web.cs:line 40",
     "System.IO.IOException: gone\n   at Acme.Db.Get(Int32 id) in /src/Db.cs:line 3"},
    {"PHP Fatal error:  Uncaught PDOException: gone in /srv/db.php:3\nStack trace:\n#0 /srv/web.php(9): Db->get()\n#1 {main}\n\nNext App\\Failed: no in /srv/web.php:12\nStack trace:\n#0 {main}",
     "PDOException: gone in /srv/db.php:3\nStack trace:\n#0 /srv/web.php(9): Db->get()\n#1 {main}"},
    {"app/web.rb:12:in 'Web#run': failed (Failed)\n\tfrom app/main.rb:3:in '<main>'\napp/db.rb:9:in 'Db#get': gone (IOError)\n\tfrom app/web.rb:11:in 'Web#run'",
     "app/db.rb:9:in 'Db#get': gone (IOError)\n\tfrom app/web.rb:11:in 'Web#run'"},
};

TEST(the_innermost_cause_of_a_chain_has_the_fingerprint_of_its_own_issue)
{
    struct event *ev = arena_alloc(&a, sizeof *ev);
    for (size_t i = 0; i < LENGTH(chains); i++) {
        struct fingerprint cause = {0}, own = {0};
        struct buf line = BUF_INIT(10000);
        struct err e;
        buf_lit(
            &line,
            "{\"id\":\"0\",\"time\":\"2026-01-01T00:00:00Z\",\"app\":\"shop\",\"level\":\"error\",\"severity_number\":17,\"error.stack\":");
        buf_json(&line, str_of(chains[i].chain));
        buf_byte(&line, '}');
        CHECK(event_read(buf_view(&line), ev, &a, &e) == 0);
        fingerprint_trace(S("shop"), str_of(chains[i].alone), &a, &own);
        CHECK(fingerprint_of_cause(ev, GROUPING_NEWEST, &a, &cause));
        CHECK_STR(str_of(cause.why), str_of(own.why));
        CHECK_STR(str_of(cause.id), str_of(own.id));
        buf_done(&line);
    }
    arena_done(&a);
}

TEST(prose_of_several_lines_is_no_stack)
{
    static const char *const texts[] = {
        "we met\nat noon (or later)\nand left",
        "results:\n10:30: done/2\n11:45: left",
        "main.c:12:5: error: expected ';'\nmain.c:19: note: here\nmain.c:20:1: warning: unused",
        "1: first of all\n2: then (more)\n3: at last",
        "user called at 12 line 7\nand again",
        "0 errors in 3 files\n7 tests passed",
        "Total (net): 7\nfrom here to there\nat the end, file: line 7",
        "[1] first\n[2] second (two)\n@ home",
        "key: value\nother: thing in place:12 of it\n",
    };
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct stack *s = arena_alloc(&a, sizeof *s);
        stack_read(str_of(texts[i]), GROUPING_NEWEST, s);
        bool taken = s->n > 1 || (s->n && s->type.n); /* one frame alone may be anything */
        if (taken)
            printf("  %s: %.*s in %.*s\n", texts[i], STR_ARG(s->frames[0].function), STR_ARG(s->frames[0].file));
        CHECK(!taken);
    }
    arena_done(&a);
}

TEST(long_lines_that_fit_almost_every_form_cost_no_more_than_others)
{
    char text[8000];
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = i % 1990 == 1989 ? '\n' : "at ( in :1:2 #0 0x1"[i % 19];
    text[sizeof text - 1] = '\0';
    struct stack *s = arena_alloc(&a, sizeof *s);
    for (int i = 0; i < 100; i++)
        stack_read(str_of(text), GROUPING_NEWEST, s);
    CHECK(s->n <= STACK_FRAMES);
    arena_done(&a);
}

UNIT_MAIN
