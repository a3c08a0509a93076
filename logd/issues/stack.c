#include "issues/stack.h"
#include "base/str.h"

#include <jansson.h>

/* ---- in-app ---- */
bool frame_in_app(const struct frame *f)
{
    static const str foreign_files[] = {S("node:"),
                                        S("internal/"),
                                        S("/node_modules/"),
                                        S("node_modules/"),
                                        S("site-packages/"),
                                        S("dist-packages/"),
                                        S("/usr/lib/"),
                                        S("/usr/local/lib/"),
                                        S("/usr/local/go/"),
                                        S("/go/pkg/mod/"),
                                        S("pkg/mod/"),
                                        S("/vendor/"),
                                        S("/gems/"),
                                        S("<frozen "),
                                        S("<__array_function__"),
                                        S("native code"),
                                        S("[native"),
                                        S("webpack/runtime"),
                                        S("webpack/bootstrap"),
                                        S("/rustc/"),
                                        S("/.cargo/registry/"),
                                        S("chrome-extension:"),
                                        S("moz-extension:"),
                                        S("(unknown source)")};
    static const str foreign_functions[] = {
        S("java."),       S("javax."),     S("jdk."),    S("sun."),       S("com.sun."),
        S("kotlin."),     S("kotlinx."),   S("scala."),  S("groovy."),    S("org.springframework."),
        S("org.apache."), S("org.junit."), S("System."), S("Microsoft."), S("runtime."),
        S("runtime/"),    S("core::"),     S("std::"),   S("alloc::"),    S("__libc_"),
        S("_start")};
    for (size_t i = 0; i < LENGTH(foreign_files); i++)
        if (str_find(f->file, foreign_files[i]) >= 0)
            return false;
    for (size_t i = 0; i < LENGTH(foreign_functions); i++)
        if (str_starts(f->function, foreign_functions[i]))
            return false;
    /* Python's and Ruby's standard library elsewhere: .../lib/python3.11/x.py without site-packages */
    return str_find(f->file, S("/lib/python")) < 0 && str_find(f->file, S("/lib/ruby/")) < 0 &&
           !str_eq(f->file, S("<anonymous>"));
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

/* ---- one line of each language; false: not one of its frames ---- */
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
        f.file = cut_place(str_head(str_skip(line, open + 1), line.n - open - 2), &f.line, &f.column);
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

static bool gecko(str line, struct stack *s)
{
    struct frame f = {0};
    size_t at = line.n;
    while (at > 0 && line.p[at - 1] != '@')
        at--;
    str place = str_skip(line, at);
    if (at == 0 || str_chr(str_head(line, at), ' ') >= 0)
        return false;
    f.file = cut_place(place, &f.line, &f.column);
    f.function = str_head(line, at - 1);
    if (!f.line && !str_eq(place, S("[native code]")))
        return false;
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

/* Ruby: "app/x.rb:12:in `run'" with or without "from "; PHP: "#0 /srv/x.php(12): Shop->run('a')" */
static bool ruby_or_php(str line, struct stack *s)
{
    struct frame f = {0};
    uint64_t n = 0;
    if (str_starts(line, S("from ")))
        line = str_skip(line, 5);
    ptrdiff_t in = str_find(line, S(":in "));
    if (in > 0) {
        f.file = cut_place(str_head(line, (size_t)in), &f.line, &f.column);
        f.function = str_skip(line, (size_t)in + 4);
        if (f.line && f.function.n > 1 && (f.function.p[0] == '`' || f.function.p[0] == '\'')) {
            ptrdiff_t end = str_chr(str_skip(f.function, 1), '\'');
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

/* ---- what failed ---- */
static bool type_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '$' || c == ':' || c == '\\';
}

/* "pkg.Type: message", "Uncaught Type: message", "Exception in thread "main" pkg.Type: message", "panic: message". */
static bool headline(str line, struct stack *s)
{
    static const str prefixes[] = {S("Uncaught "), S("Unhandled exception. "), S("PHP Fatal error:  "),
                                   S("Fatal error: ")};
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
    return true;
}

static void turn(struct stack *s)
{
    for (size_t i = 0; i < s->n / 2; i++) {
        struct frame f = s->frames[i];
        s->frames[i] = s->frames[s->n - 1 - i];
        s->frames[s->n - 1 - i] = f;
    }
}

void stack_read(str text, struct stack *ret)
{
    bool is_python = str_find(text, S("Traceback (most recent call last)")) >= 0, ended = false;
    ret->n = 0;
    ret->type = ret->message = (str){0};
    while (text.p && !ended) {
        str raw = str_cut(&text, '\n'), line = str_trim(raw);
        str rest = text, next = str_cut(&rest, '\n');
        if (is_python && str_starts(line, S("Traceback (most recent call last)"))) {
            ret->n = 0; /* a chain: the last one is the outermost */
            ret->type = (str){0};
        } else if (is_python) {
            if (!python(line, ret) && ret->n && raw.n && raw.p[0] != ' ' && !ret->type.p)
                (void)headline(line, ret);
        } else if (ret->n && (str_starts(line, S("Caused by:")) || str_starts(line, S("[cause]:")) ||
                              str_starts(line, S("goroutine ")))) {
            ended = true; /* causes and other goroutines come after the one that matters */
        } else if (v8_or_java(line, ret) || gecko(line, ret) || ruby_or_php(line, ret)) {
            continue;
        } else if (go_or_rust(line, next, ret)) {
            text = rest;
        } else if (!ret->n && !ret->type.p) {
            (void)headline(line, ret);
        }
    }
    if (is_python)
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
