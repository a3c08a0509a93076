#include "issues/stack.h"
#include "base/str.h"

#include <jansson.h>

/* ---- in-app ---- */
static const str foreign_files[] = {
    S("node:"), S("internal/"), S("/node_modules/"), S("node_modules/"), S("site-packages/"), S("dist-packages/"),
    S("/usr/lib/"), S("/usr/local/lib/"), S("/usr/local/go/"), S("/go/pkg/mod/"), S("pkg/mod/"), S("/vendor/"),
    S("/gems/"), S("<frozen "), S("<__array_function__"), S("native code"), S("[native"), S("webpack/runtime"),
    S("webpack/bootstrap"), S("/rustc/"), S("/.cargo/registry/"), S("chrome-extension:"), S("moz-extension:"),
    S("(unknown source)"), S("<internal:"), S("/library/std/"), S("/library/core/"), S("/sysdeps/"), S("../csu/"),
    S("/csu/libc-start"), S("libc.so"), S("libc-2."), S("libstdc++"), S("libpthread"), S("libgcc_s"), S("ld-linux"),
    S("libasan"), S("compiler-rt/"),
    /* the standard libraries elsewhere: .../lib/python3.11/x.py */
    S("/lib/python"), S("/lib/ruby/")};
_Static_assert(LENGTH(foreign_files) <= 64, "one bit for each");

static uint64_t
    files_by_start[256]; /* by their first two letters; bit i: foreign_files[i]. Written once, before main */

static size_t start_of(const char *p) { return ((unsigned char)p[0] ^ (unsigned)(unsigned char)p[1] << 3) & 255; }

__attribute__((constructor)) static void init(void)
{
    for (size_t i = 0; i < LENGTH(foreign_files); i++)
        files_by_start[start_of(foreign_files[i].p)] |= 1ull << i;
}

/* Looks at each place once, not once for each of the many. */
static bool is_foreign_file(str s)
{
    for (size_t at = 0; at + 1 < s.n; at++)
        for (uint64_t left = files_by_start[start_of(s.p + at)]; left; left &= left - 1)
            if (str_starts(str_skip(s, at), foreign_files[__builtin_ctzll(left)]))
                return true;
    return false;
}

bool frame_in_app(const struct frame *f)
{
    static const str foreign_functions[] = {
        S("java."),       S("javax."),        S("jdk."),      S("sun."),           S("com.sun."),
        S("kotlin."),     S("kotlinx."),      S("scala."),    S("groovy."),        S("org.springframework."),
        S("org.apache."), S("org.junit."),    S("System."),   S("Microsoft."),     S("runtime."),
        S("runtime/"),    S("core::"),        S("std::"),     S("alloc::"),        S("__libc_"),
        S("_start"),      S("android."),      S("androidx."), S("com.android."),   S("dalvik."),
        S("io.netty."),   S("reactor."),      S("clojure."),  S("org.hibernate."), S("org.eclipse.jetty."),
        S("rust_begin_"), S("__rust_"),       S("<core::"),   S("<std::"),         S("<alloc::"),
        S("anyhow::"),    S("tokio::"),       S("__GI_"),     S("__cxa_"),         S("__gnu_cxx::"),
        S("__asan"),      S("__interceptor"), S("__pthread"), S("pthread_kill"),   S("operator new")};
    static const str whole[] = {S("raise"),         S("abort"), S("gsignal"),
                                S("__assert_fail"), S("clone"), S("start_thread")};
    if (is_foreign_file(f->file))
        return false;
    for (size_t i = 0; i < LENGTH(foreign_functions) && f->function.n; i++)
        if (f->function.p[0] == foreign_functions[i].p[0] && str_starts(f->function, foreign_functions[i]))
            return false;
    for (size_t i = 0; i < LENGTH(whole); i++)
        if (str_eq(f->function, whole[i]))
            return false;
    return !str_eq(f->file, S("<anonymous>"));
}

static void add(struct stack *s, struct frame f)
{
    if (s->n == STACK_FRAMES)
        return;
    f.in_app = frame_in_app(&f);
    s->frames[s->n++] = f;
}

/* "path:12:34" or "path:12" -> path, line, column; the numbers are what stands after the last colons. */
static str cut_place(str s, uint32_t *ret_line, uint32_t *ret_column)
{
    uint64_t n[2];
    size_t found = 0;
    while (found < 2) {
        size_t at = s.n;
        while (at > 0 && s.p[at - 1] >= '0' && s.p[at - 1] <= '9')
            at--;
        if (at == s.n || at < 2 || s.p[at - 1] != ':' || !str_u64(str_skip(s, at), &n[found]))
            break;
        s = str_head(s, at - 1);
        found++;
    }
    *ret_line = found ? (uint32_t)n[found - 1] : 0;
    *ret_column = found == 2 ? (uint32_t)n[0] : 0;
    return s;
}

/* The last of it, or -1. */
static ptrdiff_t find_last(str s, str what)
{
    ptrdiff_t at = -1;
    for (size_t i = 0; i + what.n <= s.n; i++)
        if (str_starts(str_skip(s, i), what))
            at = (ptrdiff_t)i;
    return at;
}

static str without(str s, str prefix) { return str_starts(s, prefix) ? str_skip(s, prefix.n) : s; }

static size_t digits_of(str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

/* ---- one line of each language; false: not one of its frames ---- */
/* C# without debug information: "at Ns.Class.Method(String id)", where others have "(App.java:12)" or " (native)" */
static bool is_arguments(str s, bool blank_before)
{
    static const str sources[] = {S(".java"), S(".kt"),           S(".scala"),         S(".groovy"),
                                  S(".clj"),  S("Native Method"), S("Unknown Source"), S("<"),
                                  S(".js"),   S("SourceFile"),    S("eval at"),        S("://")};
    if (blank_before || str_eq(s, S("native")) ||
        (s.n && s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9' && str_chr(s, ':') > 0))
        return false;
    for (size_t i = 0; i < LENGTH(sources); i++)
        if (str_find(s, sources[i]) >= 0)
            return false;
    return true;
}

static bool v8_or_java(str line, struct stack *s)
{
    struct frame f = {0};
    if (!str_starts(line, S("at ")))
        return false;
    line = str_skip(line, 3);
    static const str prefixes[] = {S("async "), S("new ")};
    for (size_t i = 0; i < LENGTH(prefixes); i++)
        if (str_starts(line, prefixes[i]))
            line = str_skip(line, prefixes[i].n);
    ptrdiff_t in = str_find(line, S(" in ")); /* C#: at Ns.Class.Method(Type arg) in /src/File.cs:line 12 */
    ptrdiff_t where = str_find(line, S(":line "));
    if (in > 0 && where > in) {
        uint64_t n = 0;
        ptrdiff_t args = str_chr(line, '(');
        f.function = str_head(line, (size_t)(args > 0 && args < in ? args : in));
        f.file = str_head(str_skip(line, (size_t)in + 4), (size_t)(where - in - 4));
        if (str_u64(str_trim(str_skip(line, (size_t)where + 6)), &n))
            f.line = (uint32_t)n;
        add(s, f);
        return true;
    }
    if (line.n && line.p[line.n - 1] == ')') {
        size_t open = line.n - 1;
        for (int depth = 1; open > 0 && depth > 0;)
            depth += line.p[--open] == ')' ? 1 : line.p[open] == '(' ? -1 : 0;
        f.function = str_trim(str_head(line, open));
        if (is_arguments(str_head(str_skip(line, open + 1), line.n - open - 2), open && line.p[open - 1] == ' ')) {
            add(s, f);
            return true;
        }
        f.file = cut_place(str_head(str_skip(line, open + 1), line.n - open - 2), &f.line, &f.column);
        ptrdiff_t outer = str_starts(f.file, S("eval at ")) ? find_last(f.file, S(" (")) : -1;
        if (outer > 0) { /* "eval at f (eval at g (a.js:21:17)), <anonymous>:1:30" */
            str place = str_skip(f.file, (size_t)outer + 2);
            ptrdiff_t close = str_chr(place, ')');
            f.file = cut_place(str_head(place, close > 0 ? (size_t)close : place.n), &f.line, &f.column);
        }
        ptrdiff_t slash = str_find(f.function, S("//")); /* Java modules: app//com.acme.App.run */
        if (slash >= 0)
            f.function = str_skip(f.function, (size_t)slash + 2);
        else if (str_starts(f.function, S("java.base/")))
            f.function = str_skip(f.function, 10);
    } else {
        f.file = cut_place(line, &f.line, &f.column);
        if (!f.line)
            return false; /* prose that begins with "at " */
    }
    add(s, f);
    return true;
}

/* Code of eval is where eval was called: "a.js line 26 > eval line 2 > eval:1:30" of Firefox */
static void leave_eval(struct frame *f)
{
    ptrdiff_t line = str_find(f->file, S(" line "));
    uint64_t n;
    if (line < 0 || str_find(f->file, S("> eval")) < 0)
        return;
    str number = str_skip(f->file, (size_t)line + 6);
    if (!str_u64(str_head(number, digits_of(number)), &n))
        return;
    f->file = str_head(f->file, (size_t)line);
    f->line = (uint32_t)n;
    f->column = 0;
}

static bool gecko(str line, struct stack *s)
{
    struct frame f = {0};
    size_t at = line.n;
    while (at > 0 && line.p[at - 1] != '@')
        at--;
    str place = str_skip(line, at);
    bool native = str_eq(place, S("[native code]"));
    if (str_chr(str_head(line, at), ' ') >= 0 || (at == 0 && native && !s->n))
        return false;
    f.file = cut_place(place, &f.line, &f.column);
    f.function = at ? str_head(line, at - 1) : (str){0};
    if (!f.line && !native)
        return false;
    if (at == 0 && !native && (!f.column || (str_find(f.file, S("://")) < 0 && !s->n) || str_chr(f.file, ' ') >= 0))
        return false; /* Safari's frame without a function is a URL with both numbers, among others a file too */
    ptrdiff_t open = str_chr(f.function, '(');
    if (open >= 0) /* old ones print arguments, and (null) */
        f.function = str_head(f.function, (size_t)open);
    leave_eval(&f);
    add(s, f);
    return true;
}

static bool python(str line, struct stack *s)
{
    struct frame f = {0};
    if (!str_starts(line, S("File \"")))
        return false;
    line = str_skip(line, 6);
    ptrdiff_t end = str_find(line, S("\", line "));
    if (end < 0)
        return false;
    f.file = str_head(line, (size_t)end);
    line = str_skip(line, (size_t)end + 8);
    str number = str_cut(&line, ',');
    uint64_t n = 0;
    if (str_u64(str_trim(number), &n))
        f.line = (uint32_t)n;
    line = str_trim(line);
    f.function = str_starts(line, S("in ")) ? str_skip(line, 3) : S("<module>");
    add(s, f);
    return true;
}

/* ": no stock (RuntimeError)" */
static bool ruby_headline(str rest, struct stack *s)
{
    ptrdiff_t open = find_last(rest, S(" ("));
    if (!str_starts(rest, S(": ")) || open < 2 || rest.p[rest.n - 1] != ')')
        return false;
    s->type = str_head(str_skip(rest, (size_t)open + 2), rest.n - (size_t)open - 3);
    s->message = str_head(str_skip(rest, 2), (size_t)open - 2);
    return true;
}

/* Ruby: "app/x.rb:12:in `run'" with or without "from "; PHP: "#0 /srv/x.php(12): Shop->run('a')" */
static bool ruby_or_php(str line, struct stack *s)
{
    struct frame f = {0};
    uint64_t n = 0;
    size_t level = digits_of(line); /* "2: from x.rb:3": printed oldest first */
    if (level && str_starts(str_skip(line, level), S(": from ")))
        line = str_skip(line, level + 2);
    line = without(line, S("from "));
    ptrdiff_t in = str_find(line, S(":in "));
    if (in > 0) {
        f.file = cut_place(str_head(line, (size_t)in), &f.line, &f.column);
        f.function = str_skip(line, (size_t)in + 4);
        if (f.line && f.function.n > 1 && (f.function.p[0] == '`' || f.function.p[0] == '\'')) {
            ptrdiff_t end = str_chr(str_skip(f.function, 1), '\'');
            if (!s->type.p && end > 0)
                ruby_headline(str_skip(f.function, (size_t)end + 2), s);
            f.function = end < 0 ? str_skip(f.function, 1) : str_head(str_skip(f.function, 1), (size_t)end);
            add(s, f);
            return true;
        }
    }
    if (!line.n || line.p[0] != '#')
        return false;
    ptrdiff_t blank = str_chr(line, ' '), open = str_chr(line, '('), close = str_find(line, S("): "));
    if (blank < 0 || open < blank || close < open ||
        !str_u64(str_head(str_skip(line, (size_t)open + 1), (size_t)(close - open - 1)), &n))
        return false;
    f.file = str_head(str_skip(line, (size_t)blank + 1), (size_t)(open - blank - 1));
    f.line = (uint32_t)n;
    f.function = str_skip(line, (size_t)close + 3);
    open = str_chr(f.function, '(');
    if (open >= 0)
        f.function = str_head(f.function, (size_t)open);
    add(s, f);
    return true;
}

/* Go prints "pkg.func(args)" and then a tab, "/path/file.go:12 +0x1d". Rust: "3: app::run" and "at src/main.rs:4:5". */
static bool go_or_rust(str line, str next, struct stack *s)
{
    struct frame f = {0};
    str place = str_trim(next);
    bool rust = str_starts(place, S("at "));
    if (str_starts(line, S("created by ")))
        return false; /* says who started the goroutine, not what failed */
    if (rust) {
        ptrdiff_t colon = str_find(line, S(": "));
        uint64_t n;
        if (colon < 0 || !str_u64(str_head(line, (size_t)colon), &n))
            return false;
        f.function = str_trim(str_skip(line, (size_t)colon + 2));
        f.file = cut_place(str_skip(place, 3), &f.line, &f.column);
    } else {
        ptrdiff_t offset = str_find(place, S(" +0x"));
        if (!next.n || next.p[0] != '\t' || !line.n)
            return false;
        f.file = cut_place(offset > 0 ? str_head(place, (size_t)offset) : place, &f.line, &f.column);
        size_t open = line.n; /* the arguments' bracket: "main.(*hook).UnmarshalJSON(0x4ca900?, …)" */
        int depth = 0;
        while (open > 0) {
            open--;
            depth += line.p[open] == ')' ? 1 : line.p[open] == '(' ? -1 : 0;
            if (line.p[open] == '(' && depth <= 0)
                break;
        }
        f.function = open ? str_head(line, open) : line;
    }
    if (!f.line)
        return false;
    add(s, f);
    return true;
}

/* glibc's backtrace_symbols: "./app(_ZN4shop3payEi+0x1f) [0x55d0]", "/lib/libc.so.6(+0x2409a) [0x7f1c]" */
static bool glibc(str line, struct stack *s)
{
    struct frame f = {0};
    ptrdiff_t address = find_last(line, S("[0x")), open = str_chr(line, '('), close;
    if (address < 1 || line.p[line.n - 1] != ']' || open < 1 || open > address)
        return false;
    str inside = str_skip(line, (size_t)open + 1);
    close = find_last(str_head(inside, (size_t)(address - open - 1)), S(")"));
    if (close < 0)
        return false;
    inside = str_head(inside, (size_t)close);
    ptrdiff_t plus = find_last(inside, S("+0x"));
    f.file = str_head(line, (size_t)open);
    f.function = plus >= 0 ? str_head(inside, (size_t)plus) : inside;
    add(s, f);
    return true;
}

/* Debuggers and sanitizers, after "#1  0x00007f in ":
 *   gdb       shop::pay (id=3) at src/shop.cpp:12        abort () from /lib/libc.so.6
 *   sanitizer shop::pay(int) /src/shop.cpp:12:5          main (/srv/app+0x4f6)
 *   coredump  raise (libc.so.6 + 0x3cd22)                no " in " before it */
static bool debugger(str line, struct stack *s)
{
    struct frame f = {0};
    size_t n = line.n && line.p[0] == '#' ? digits_of(str_skip(line, 1)) : 0;
    if (!n)
        return false;
    line = str_trim(str_skip(line, n + 1));
    bool address = str_starts(line, S("0x"));
    if (address) {
        ptrdiff_t blank = str_chr(line, ' ');
        line = without(str_trim(str_skip(line, blank < 0 ? line.n : (size_t)blank)), S("in "));
    }
    ptrdiff_t at = find_last(line, S(" at ")), from = find_last(line, S(") from ")), open = str_find(line, S(" (")),
              offset = find_last(line, S("+ 0x")), last = find_last(line, S(" "));
    if (at > 0 && open > 0 && open < at) {
        f.file = cut_place(str_skip(line, (size_t)at + 4), &f.line, &f.column);
        f.function = str_head(line, (size_t)open);
    } else if (from > 0 && open > 0) {
        f.file = str_skip(line, (size_t)from + 7);
        f.function = str_head(line, (size_t)open);
    } else if (address && offset > 0 && open > 0 && open < offset) {
        f.file = str_trim(str_head(str_skip(line, (size_t)open + 2), (size_t)(offset - open - 2)));
        f.function = str_head(line, (size_t)open);
    } else if (address && last > 0) {
        str place = str_skip(line, (size_t)last + 1);
        ptrdiff_t plus = find_last(place, S("+0x"));
        f.file = place.p[0] == '(' && plus > 0 ? str_head(str_skip(place, 1), (size_t)plus - 1)
                                               : cut_place(place, &f.line, &f.column);
        f.function = str_head(line, (size_t)last);
    } else {
        return false;
    }
    if (str_eq(f.function, S("n/a")) || str_eq(f.function, S("??")))
        f.function = S("");
    add(s, f);
    return true;
}

/* Rust without line tables: "   3: app::run" after "stack backtrace:" */
static bool rust_name(str line, struct stack *s)
{
    size_t n = digits_of(line);
    if (!n || !str_starts(str_skip(line, n), S(": ")))
        return false;
    add(s, (struct frame){.function = str_trim(str_skip(line, n + 2))});
    return true;
}

/* ---- what failed ---- */
/* "thread 'main' panicked at src/main.rs:4:5:" and the message below, before 1.73 "panicked at 'boom', src/main.rs:4:5".
 * *ret_at: the place, for a panic without a backtrace. */
static bool rust_panic(str line, str next, struct stack *s, struct frame *ret_at)
{
    ptrdiff_t at = str_find(line, S(" panicked at "));
    if (!str_starts(line, S("thread '")) || at < 0)
        return false;
    str rest = str_skip(line, (size_t)at + 13);
    ptrdiff_t quoted = find_last(rest, S("', "));
    s->type = S("panic");
    if (rest.n && rest.p[0] == '\'' && quoted > 0) {
        s->message = str_head(str_skip(rest, 1), (size_t)quoted - 1);
        rest = str_skip(rest, (size_t)quoted + 3);
    } else {
        s->message = str_trim(next);
        rest = rest.n && rest.p[rest.n - 1] == ':' ? str_head(rest, rest.n - 1) : rest;
    }
    ret_at->file = cut_place(rest, &ret_at->line, &ret_at->column);
    return true;
}

/* "terminate called after throwing an instance of 'T'" and "what():  m" below; "==1==ERROR: AddressSanitizer: kind on …" */
static bool native_headline(str line, str next, struct stack *s)
{
    static const str thrown = S("terminate called after throwing an instance of '");
    ptrdiff_t sanitizer = str_find(line, S("Sanitizer: "));
    if (str_starts(line, thrown)) {
        line = str_skip(line, thrown.n);
        s->type = str_cut(&line, '\'');
        next = str_trim(next);
        s->message = str_starts(next, S("what():")) ? str_trim(str_skip(next, 7)) : (str){0};
        return true;
    }
    if (!str_starts(line, S("==")) || sanitizer < 0)
        return false;
    s->message = str_skip(line, (size_t)sanitizer + 11);
    ptrdiff_t on = str_chr(s->message, ' ');
    s->type = on > 0 ? str_head(s->message, (size_t)on) : s->message;
    return true;
}

static bool type_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '$' || c == ':' || c == '\\';
}

/* "pkg.Type: message", "Uncaught Type: message", "Exception in thread "main" pkg.Type: message", "panic: message". */
static bool headline(str line, struct stack *s)
{
    static const str prefixes[] = {S("Unhandled exception. "),
                                   S("Unhandled Exception: "),
                                   S("PHP Fatal error:  "),
                                   S("Fatal error: "),
                                   S("Next "),
                                   S("Uncaught ")};
    line = str_trim(line);
    if (str_starts(line, S("Exception in thread \""))) {
        line = str_skip(line, 21);
        (void)str_cut(&line, '"');
        line = str_trim(line);
    }
    for (size_t i = 0; i < LENGTH(prefixes); i++)
        if (str_starts(line, prefixes[i]))
            line = str_skip(line, prefixes[i].n);
    if (str_starts(line, S("panic: "))) {
        s->type = S("panic");
        s->message = str_skip(line, 7);
        return true;
    }
    size_t n = 0;
    while (n < line.n && type_char(line.p[n]) && !(line.p[n] == ':' && (n + 1 == line.n || line.p[n + 1] == ' ')))
        n++;
    bool named = n > 0 && (n == line.n || (line.p[n] == ':' && n + 1 <= line.n));
    bool looks = str_find(str_head(line, n), S("Error")) >= 0 || str_find(str_head(line, n), S("Exception")) >= 0 ||
                 (n < line.n && line.p[0] >= 'A' && line.p[0] <= 'Z') || str_chr(str_head(line, n), '.') > 0;
    if (!named || !looks)
        return false;
    s->type = str_head(line, n);
    s->message = n < line.n ? str_trim(str_skip(line, n + 1)) : (str){0};
    ptrdiff_t inner = str_find(s->message, S(" ---> ")), in = find_last(s->message, S(" in /"));
    uint32_t at = 0;
    if (inner >= 0) /* C# puts the inner exception behind it */
        s->message = str_head(s->message, (size_t)inner);
    else if (in >= 0 && str_ends(cut_place(s->message, &at, &at), S(".php")) && at)
        s->message = str_head(s->message, (size_t)in); /* PHP, the place */
    return true;
}

static bool strong(str type) { return str_find(type, S("Error")) >= 0 || str_find(type, S("Exception")) >= 0; }

/* The nearest line above the frames that names an error, not the first word of the log line that carries it. */
static void better_headline(str line, struct stack *s)
{
    struct stack_head {
        str type, message;
    } old = {s->type, s->message};
    if (s->type.p && strong(s->type))
        return;
    if (!headline(line, s) || (old.type.p && !strong(s->type))) {
        s->type = old.type;
        s->message = old.message;
    }
}

static void turn(struct stack *s)
{
    for (size_t i = 0; i < s->n / 2; i++) {
        struct frame f = s->frames[i];
        s->frames[i] = s->frames[s->n - 1 - i];
        s->frames[s->n - 1 - i] = f;
    }
}

/* Opera up to 9: "Line 18 of linked script http://x/a.js: In function f"; up to 12: "called from line 27, column 8 in
 * <anonymous function: run>(ex) in http://x/a.js:", the first one being "Error thrown at line ...". */
static bool opera(str line, struct stack *s)
{
    struct frame f = {0};
    line = without(line, S("...  "));
    ptrdiff_t script = str_starts(line, S("Line ")) ? str_find(line, S(" script ")) : -1,
              at = str_find(line, S(" at line ")),
              from = str_starts(line, S("called from line "))  ? 16
                     : at > 0 && str_starts(line, S("Error ")) ? at + 9
                                                               : -1;
    if (script < 0 && from < 0)
        return false;
    ptrdiff_t in = find_last(line, S(" in "));
    str number = str_trim(str_skip(line, script > 0 ? 5 : (size_t)from));
    uint64_t n, column = 0;
    if (!str_u64(str_head(number, digits_of(number)), &n))
        return false;
    if (script > 0) {
        ptrdiff_t named = str_find(line, S(": In function "));
        f.file = without(str_skip(line, (size_t)script + 8), S("in "));
        f.function = named > 0 ? str_skip(line, (size_t)named + 14) : (str){0};
        f.file = named > 0 ? str_head(f.file, f.file.n - f.function.n - 14) : f.file;
    } else {
        ptrdiff_t first = str_find(line, S(" in ")), after = str_find(line, S(", column "));
        if (after < 0 || in < 0 || line.p[line.n - 1] != ':')
            return false;
        number = str_skip(line, (size_t)after + 9);
        (void)!str_u64(str_head(number, digits_of(number)), &column);
        f.file = str_head(str_skip(line, (size_t)in + 4), line.n - (size_t)in - 5);
        f.function = first < in ? str_head(str_skip(line, (size_t)first + 4), (size_t)(in - first - 4)) : (str){0};
        ptrdiff_t open = str_chr(f.function, '(');
        f.function = without(str_head(f.function, open > 0 ? (size_t)open : f.function.n), S("<anonymous function: "));
        if (f.function.n && f.function.p[f.function.n - 1] == '>' && f.function.p[0] != '<')
            f.function = str_head(f.function, f.function.n - 1);
    }
    f.line = (uint32_t)n;
    f.column = (uint32_t)column;
    add(s, f);
    return true;
}

/* What follows is not of the outermost exception: causes and other goroutines come after the one that matters. */
static bool ends(str line)
{
    static const str starts[] = {S("Caused by:"), S("[cause]:"), S("goroutine "), S("Suppressed:")};
    for (size_t i = 0; i < LENGTH(starts); i++)
        if (str_starts(line, starts[i]))
            return true;
    return !str_starts(line, S("from ")) && str_find(line, S(":in ")) > 0 && str_find(line, S("': ")) > 0; /* Ruby's */
}

/* What was read so far is of an inner exception: the outer one follows. */
static bool starts_again(str line)
{
    return str_starts(line, S("--- End of inner exception")) || str_starts(line, S("Next "));
}

struct reading {
    bool python, turned, rust, ended;
    struct frame panic_at;
};

/* One line; true: the next one belongs to it. */
static bool read_line(str line, str next, struct reading *r, struct stack *ret)
{
    if (ret->n && !r->turned && ends(line)) {
        r->ended = true;
    } else if (ret->n && starts_again(line)) {
        ret->n = 0;
        if (line.p[0] == 'N')
            (void)headline(line, ret);
    } else if (str_eq_nocase(line, S("stack backtrace:"))) {
        r->rust = true;
    } else if (v8_or_java(line, ret) || gecko(line, ret) || ruby_or_php(line, ret) || debugger(line, ret) ||
               glibc(line, ret) || opera(line, ret)) {
        return false;
    } else if (go_or_rust(line, next, ret)) {
        return true;
    } else if (r->rust && rust_name(line, ret)) {
        return false;
    } else if (!ret->n && !ret->type.p && rust_panic(line, next, ret, &r->panic_at)) {
        return true;
    } else if (!ret->n && !ret->type.p && native_headline(line, next, ret)) {
        return false;
    } else if (!ret->n) {
        better_headline(line, ret);
    }
    return false;
}

static void read_python(str raw, str line, struct stack *ret)
{
    if (str_starts(line, S("Traceback (most recent call last)"))) {
        ret->n = 0; /* a chain: the last one is the outermost */
        ret->type = (str){0};
    } else if (!python(line, ret) && ret->n && raw.n && raw.p[0] != ' ' && !ret->type.p) {
        (void)headline(line, ret);
    }
}

void stack_read(str text, struct stack *ret)
{
    ptrdiff_t traceback = str_find(text, S("Traceback (most recent call last)"));
    bool turned = traceback >= 0; /* the newest frame is printed last */
    struct reading r = {.turned = turned, .python = turned && str_find(text, S("File \"")) >= 0};
    ret->n = 0;
    ret->type = ret->message = (str){0};
    while (text.p && !r.ended) {
        str raw = str_cut(&text, '\n'), line = str_trim(raw), rest = text, next = str_cut(&rest, '\n');
        if (r.python)
            read_python(raw, line, ret);
        else if (!(turned && str_starts(line, S("Traceback "))) && read_line(line, next, &r, ret) && text.p)
            text = rest;
    }
    if (!ret->n && r.panic_at.line)
        add(ret, r.panic_at);
    if (turned)
        turn(ret);
}

void stack_read_json(str json, struct arena *a, struct stack *ret)
{
    json_t *all = json_loadb(json.p, json.n, JSON_ALLOW_NUL, NULL), *o;
    size_t i;
    ret->n = 0;
    ret->type = ret->message = (str){0};
    json_array_foreach(all, i, o)
    {
        struct frame f = {0};
        json_t *in_app = json_object_get(o, "in_app");
        f.function = arena_str(a, str_of(json_string_value(json_object_get(o, "function"))));
        f.file = arena_str(a, str_of(json_string_value(json_object_get(o, "file"))));
        f.line = (uint32_t)json_integer_value(json_object_get(o, "line"));
        f.column = (uint32_t)json_integer_value(json_object_get(o, "column"));
        add(ret, f);
        if (ret->n && json_is_boolean(in_app))
            ret->frames[ret->n - 1].in_app = json_is_true(in_app);
    }
    json_decref(all);
}
