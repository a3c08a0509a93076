/* issues/stack-lines.c - lines of stacks whose frames need more than a form says: V8 and Java share "at f (place)", Gecko
 * and Safari "f@place", Opera its words; Go and Rust print a frame in two lines; a term of Erlang may hold many. */
#include "issues/stack-private.h"

/* "path:12:34" or "path:12" -> path, line, column; the numbers are what stands after the last colons. */
str stack_place(str s, uint32_t *ret_line, uint32_t *ret_column)
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
ptrdiff_t find_last(str s, str what)
{
    ptrdiff_t at = -1;
    for (ptrdiff_t next; (next = str_find(str_skip(s, (size_t)(at + 1)), what)) >= 0;)
        at += 1 + next;
    return at;
}

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

static bool v8_or_java(str line, int version, struct stack *s)
{
    struct frame f = {0};
    if (!str_starts(line, S("at ")))
        return false;
    line = str_skip(line, 3);
    ptrdiff_t fiber = version >= STACK_FORMS_SINCE ? str_find(line, S(" @ ")) : -1;
    if (fiber > 0) /* "at pay @ shop.Cart$.run(Cart.scala:12)" */
        line = str_skip(line, (size_t)fiber + 3);
    static const str prefixes[] = {S("async "), S("new ")};
    for (size_t i = 0; i < LENGTH(prefixes); i++)
        if (str_starts(line, prefixes[i]))
            line = str_skip(line, prefixes[i].n);
    if (line.n && line.p[line.n - 1] == ')') {
        size_t open = line.n - 1;
        for (int depth = 1; open > 0 && depth > 0;)
            depth += line.p[--open] == ')' ? 1 : line.p[open] == '(' ? -1 : 0;
        f.function = str_trim(str_head(line, open));
        if (is_arguments(str_head(str_skip(line, open + 1), line.n - open - 2), open && line.p[open - 1] == ' ')) {
            stack_add(s, f, version);
            return true;
        }
        f.file = stack_place(str_head(str_skip(line, open + 1), line.n - open - 2), &f.line, &f.column);
        f.file = without(f.file, S("address at ")); /* Hermes */
        ptrdiff_t outer = str_starts(f.file, S("eval at ")) ? find_last(f.file, S(" (")) : -1;
        if (outer > 0) { /* "eval at f (eval at g (a.js:21:17)), <anonymous>:1:30" */
            str place = str_skip(f.file, (size_t)outer + 2);
            ptrdiff_t close = str_chr(place, ')');
            f.file = stack_place(str_head(place, close > 0 ? (size_t)close : place.n), &f.line, &f.column);
        }
        ptrdiff_t slash = str_find(f.function, S("//")); /* Java modules: app//com.acme.App.run */
        if (slash >= 0)
            f.function = str_skip(f.function, (size_t)slash + 2);
        else if (str_starts(f.function, S("java.base/")))
            f.function = str_skip(f.function, 10);
    } else {
        f.file = stack_place(line, &f.line, &f.column);
        if (!f.line)
            return false; /* prose that begins with "at " */
    }
    stack_add(s, f, version);
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

static bool gecko(str line, int version, struct stack *s)
{
    struct frame f = {0};
    size_t at = line.n;
    while (at > 0 && line.p[at - 1] != '@')
        at--;
    str place = str_skip(line, at);
    bool native = str_eq(place, S("[native code]"));
    if (str_chr(str_head(line, at), ' ') >= 0 || (at == 0 && native && !s->n))
        return false;
    f.file = stack_place(place, &f.line, &f.column);
    f.function = at ? str_head(line, at - 1) : (str){0};
    if (!f.line && !native)
        return false;
    if (at == 0 && !native && (!f.column || (str_find(f.file, S("://")) < 0 && !s->n) || str_chr(f.file, ' ') >= 0))
        return false; /* Safari's frame without a function is a URL with both numbers, among others a file too */
    ptrdiff_t open = str_chr(f.function, '(');
    if (open >= 0) /* old ones print arguments, and (null) */
        f.function = str_head(f.function, (size_t)open);
    leave_eval(&f);
    stack_add(s, f, version);
    return true;
}

/* Opera up to 9: "Line 18 of linked script http://x/a.js: In function f"; up to 12: "called from line 27, column 8 in
 * <anonymous function: run>(ex) in http://x/a.js:", the first one being "Error thrown at line ...". */
static bool opera(str line, int version, struct stack *s)
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
    stack_add(s, f, version);
    return true;
}

/* "{shop_cart,pay,2,[{file,"src/shop_cart.erl"},{line,12}]}": a term of Erlang's, any number of them on a line. What
 * stands before the file is {module,function,arity or [arguments]. */
static bool erlang(str line, int version, struct stack *s)
{
    bool any = false;
    for (ptrdiff_t at; (at = str_find(line, S(",[{file,\""))) > 0; any = true) {
        struct frame f = {0};
        str call = str_head(line, (size_t)at), rest = str_skip(line, (size_t)at + 9);
        f.file = str_cut(&rest, '"');
        if (str_starts(rest, S("},{line,"))) {
            uint64_t n;
            rest = str_skip(rest, 8);
            f.line = str_u64(str_head(rest, digits_of(rest)), &n) ? (uint32_t)n : 0;
        }
        size_t end = call.n, depth = 0; /* of the arguments, backwards */
        while (end > 0 && (depth > 0 || call.p[end - 1] != ',')) {
            end--;
            depth += call.p[end] == ']' ? 1 : call.p[end] == '[' && depth ? (size_t)-1 : 0;
        }
        call = str_head(call, end ? end - 1 : 0);
        for (ptrdiff_t comma; (comma = str_chr(call, ',')) >= 0;)
            call = str_skip(call, (size_t)comma + 1);
        f.function = call;
        stack_add(s, f, version);
        line = rest;
    }
    return any;
}

bool line_frames(str line, int version, struct stack *s)
{
    return v8_or_java(line, version, s) || gecko(line, version, s) || opera(line, version, s) ||
           (version >= STACK_FORMS_SINCE && erlang(line, version, s));
}

/* Rust: "3: app::run" and "at src/main.rs:4:5" below it. */
static bool rust_lines(str line, str place, struct frame *ret)
{
    ptrdiff_t colon = str_find(line, S(": "));
    uint64_t n;
    if (colon < 0 || !str_u64(str_head(line, (size_t)colon), &n))
        return false;
    ret->function = str_trim(str_skip(line, (size_t)colon + 2));
    ret->file = stack_place(str_skip(place, 3), &ret->line, &ret->column);
    return ret->line > 0;
}

/* Go: "pkg.func(args)" and below it, behind a tab, "/path/file.go:12 +0x1d". */
static bool go_lines(str line, str next, struct frame *ret)
{
    str place = str_trim(next);
    ptrdiff_t offset = str_find(place, S(" +0x"));
    if (!next.n || next.p[0] != '\t' || !line.n)
        return false;
    ret->file = stack_place(offset > 0 ? str_head(place, (size_t)offset) : place, &ret->line, &ret->column);
    size_t open = line.n; /* the arguments' bracket: "main.(*hook).UnmarshalJSON(0x4ca900?, …)" */
    int depth = 0;
    while (open > 0) {
        open--;
        depth += line.p[open] == ')' ? 1 : line.p[open] == '(' ? -1 : 0;
        if (line.p[open] == '(' && depth <= 0)
            break;
    }
    ret->function = open ? str_head(line, open) : line;
    return ret->line > 0;
}

bool lines_frame(str line, str next, int version, struct stack *s)
{
    struct frame f = {0};
    str place = str_trim(next);
    if (str_starts(line, S("created by "))) /* says who started the goroutine, not what failed */
        return false;
    if (!(str_starts(place, S("at ")) ? rust_lines(line, place, &f) : go_lines(line, next, &f)))
        return false;
    /* what failed is below the machine's own frame: those above are of who caught it */
    if (version >= STACK_FORMS_SINCE && (str_eq(f.function, S("panic")) || str_eq(f.function, S("runtime.gopanic"))))
        s->n = 0;
    stack_add(s, f, version);
    return true;
}

bool rust_name(str line, int version, struct stack *s)
{
    size_t n = digits_of(line);
    if (!n || !str_starts(str_skip(line, n), S(": ")))
        return false;
    stack_add(s, (struct frame){.function = str_trim(str_skip(line, n + 2))}, version);
    return true;
}
