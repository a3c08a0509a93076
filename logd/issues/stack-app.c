/* issues/stack-app.c - which frames are of the app, and which of what it stands on. */
#include "issues/issues.h"
#include "issues/stack-private.h"

static const str foreign_files[] = {
    S("node:"), S("internal/"), S("/node_modules/"), S("node_modules/"), S("site-packages/"), S("dist-packages/"),
    S("/usr/lib/"), S("/usr/local/lib/"), S("/usr/local/go/"), S("/go/pkg/mod/"), S("pkg/mod/"), S("/vendor/"),
    S("/gems/"), S("<frozen "), S("<__array_function__"), S("native code"), S("[native"), S("webpack/runtime"),
    S("webpack/bootstrap"), S("/rustc/"), S("/.cargo/registry/"), S("chrome-extension:"), S("moz-extension:"),
    S("(unknown source)"), S("<internal:"), S("/library/std/"), S("/library/core/"), S("/sysdeps/"), S("../csu/"),
    S("/csu/libc-start"), S("libc.so"), S("libc-2."), S("libstdc++"), S("libpthread"), S("libgcc_s"), S("ld-linux"),
    S("libasan"), S("compiler-rt/"),
    /* the standard libraries elsewhere: .../lib/python3.11/x.py */
    S("/lib/python"), S("/lib/ruby/"),
    /* since the fourth version: Dart, Elixir, Erlang, Swift, Perl, modules of Go */
    S("dart:"), S("package:flutter/"), S("(elixir"), S("(stdlib"), S("(kernel"), S("(logger"), S("(phoenix"),
    S("(plug"), S("(ecto"), S("(cowboy"), S("/otp/"), S("gen_server.erl"), S("proc_lib.erl"), S("erl_eval.erl"),
    S("lists.erl"), S(".dylib"), S("CoreFoundation"), S("/perl5/"), S("/share/perl"), S("@v"), S("[internal"),
    S("deps/"), S("Base ./")};
_Static_assert(LENGTH(foreign_files) <= 64, "one bit for each");
enum { FILES_BEFORE_4 = 40 };

static uint64_t
    files_by_start[256]; /* by their first two letters; bit i: foreign_files[i]. Written once, before main */

static size_t start_of(const char *p) { return ((unsigned char)p[0] ^ (unsigned)(unsigned char)p[1] << 3) & 255; }

__attribute__((constructor)) static void init(void)
{
    for (size_t i = 0; i < LENGTH(foreign_files); i++)
        files_by_start[start_of(foreign_files[i].p)] |= 1ull << i;
}

/* Looks at each place once, not once for each of the many. */
static bool is_foreign_file(str s, int version)
{
    uint64_t known = version < STACK_FORMS_SINCE ? (1ull << FILES_BEFORE_4) - 1 : UINT64_MAX;
    for (size_t at = 0; at + 1 < s.n; at++)
        for (uint64_t left = files_by_start[start_of(s.p + at)] & known; left; left &= left - 1)
            if (str_starts(str_skip(s, at), foreign_files[__builtin_ctzll(left)]))
                return true;
    return false;
}

bool frame_is_of_app(const struct frame *f, int version)
{
    static const str foreign_functions[] = {
        S("java."),       S("javax."),     S("jdk."),          S("sun."),           S("com.sun."),
        S("kotlin."),     S("kotlinx."),   S("scala."),        S("groovy."),        S("org.springframework."),
        S("org.apache."), S("org.junit."), S("System."),       S("Microsoft."),     S("runtime."),
        S("runtime/"),    S("core::"),     S("std::"),         S("alloc::"),        S("__libc_"),
        S("_start"),      S("android."),   S("androidx."),     S("com.android."),   S("dalvik."),
        S("io.netty."),   S("reactor."),   S("clojure."),      S("org.hibernate."), S("org.eclipse.jetty."),
        S("rust_begin_"), S("__rust_"),    S("<core::"),       S("<std::"),         S("<alloc::"),
        S("anyhow::"),    S("tokio::"),    S("__GI_"),         S("__cxa_"),         S("__gnu_cxx::"),
        S("_COROUTINE."), S("__asan"),     S("__interceptor"), S("__pthread"),      S("pthread_kill"),
        S("operator new")};
    static const str whole[] = {S("raise"), S("abort"), S("gsignal"), S("__assert_fail"), S("clone"), S("start_thread"),
                                /* since the fourth version */
                                S("panic"), S("Promise.all"), S("Promise.allSettled"), S("Promise.any"),
                                S("Promise.race"), S("clone3"), S("_assertionFailure")};
    enum { WHOLE_BEFORE_4 = 6 };
    if (is_foreign_file(f->file, version))
        return false;
    for (size_t i = 0; i < LENGTH(foreign_functions) && f->function.n; i++)
        if (f->function.p[0] == foreign_functions[i].p[0] && str_starts(f->function, foreign_functions[i]))
            return false;
    for (size_t i = 0; i < (version < STACK_FORMS_SINCE ? WHOLE_BEFORE_4 : LENGTH(whole)); i++)
        if (str_eq(f->function, whole[i]))
            return false;
    return !str_eq(f->file, S("<anonymous>"));
}

bool frame_in_app(const struct frame *f) { return frame_is_of_app(f, GROUPING_NEWEST); }
