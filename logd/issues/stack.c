#include "issues/stack.h"
#include "base/str.h"
#include "issues/stack-private.h"

#include <jansson.h>

void stack_add(struct stack *s, struct frame f, int version)
{
    if (s->n == STACK_FRAMES)
        return;
    f.in_app = frame_is_of_app(&f, version);
    s->frames[s->n++] = f;
}

static bool python(str line, int version, struct stack *s)
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
    stack_add(s, f, version);
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

/* "app/db.rb:9:in 'get': gone (IOError)" */
static bool is_ruby_head(str line)
{
    return !str_starts(line, S("from ")) && str_find(line, S(":in ")) > 0 && str_find(line, S("': ")) > 0;
}

/* What follows is not of the outermost exception: causes and other goroutines come after the one that matters. */
static bool ends(str line, int version)
{
    static const str starts[] = {S("Caused by:"), S("[cause]:"), S("goroutine "), S("Suppressed:"),
                                 /* since the fourth version */
                                 S("---> (Inner Exception"), S("freed by thread "), S("previously allocated by "),
                                 S("Thread "), S("--- Cause of ")};
    enum { BEFORE_4 = 4 };
    for (size_t i = 0; i < (version < STACK_FORMS_SINCE ? BEFORE_4 : LENGTH(starts)); i++)
        if (str_starts(line, starts[i]))
            return true;
    return is_ruby_head(line);
}

/* What was read so far is of an inner exception: the outer one follows. */
static bool starts_again(str line)
{
    return str_starts(line, S("--- End of inner exception")) || str_starts(line, S("Next "));
}

struct reading {
    int version;
    bool python, turned, header, ended;
    size_t calls;          /* frames so far whose place is where they were called from */
    struct frame panic_at; /* Rust's, for a panic without a backtrace */
    struct frame thrown;   /* line 0: not said */
};

/* "from a.rb:3:in 'f'"; "2: from a.rb:3" where the oldest is printed first */
static str without_from(str line)
{
    size_t level = digits_of(line);
    if (level && str_starts(str_skip(line, level), S(": from ")))
        line = str_skip(line, level + 2);
    return without(line, S("from "));
}

static bool read_form(str line, str next, struct reading *r, struct stack *ret, bool *ret_both)
{
    struct frame f;
    bool call;
    if (!form_frame(without_from(line), next, r->version, r->header, &f, &call, ret_both))
        return false;
    ptrdiff_t said = ret->type.p ? -1 : str_find(line, S("': ")); /* Ruby's first line says what failed too */
    if (said > 0 && str_find(line, S(":in ")) > 0)
        ruby_headline(str_skip(line, (size_t)said + 1), ret);
    r->calls += call;
    stack_add(ret, f, r->version);
    return true;
}

/* What failed, and where, as lines around the frames say it. */
static void read_words(str line, struct reading *r, struct stack *ret)
{
    bool knows = r->version >= STACK_FORMS_SINCE;
    if (knows && (!ret->n || r->calls == ret->n) && !r->thrown.line)
        (void)!form_thrown(line, &r->thrown);
    if (knows && !ret->type.p && str_starts(line, S("goroutine ")))
        ret->type = S("panic"); /* somebody caught it and printed the stack */
    if (!ret->n || (knows && !ret->type.p && line.n && line.p[0] == '+'))
        better_headline(line, r->version, ret);
}

/* One line; true: the next one belongs to it. */
static bool read_line(str line, str next, struct reading *r, struct stack *ret)
{
    bool both = false;
    if (ret->n && !r->turned && ends(line, r->version)) {
        r->ended = true;
    } else if (ret->n && starts_again(line)) {
        ret->n = r->calls = 0;
        r->thrown.line = 0;
        if (line.p[0] == 'N') {
            (void)headline(line, r->version, ret);
            (void)!form_thrown(line, &r->thrown);
        }
    } else if (form_header(line) && !(ret->n && r->header)) {
        r->header = true;
    } else if (read_form(line, next, r, ret, &both)) {
        return both;
    } else if (line_frames(line, r->version, ret)) {
        return false;
    } else if (lines_frame(line, next, r->version, ret)) {
        return true;
    } else if (r->header && rust_name(line, r->version, ret)) {
        return false;
    } else if (!ret->n && !ret->type.p && rust_panic(line, next, ret, &r->panic_at)) {
        return true;
    } else if (!(!ret->n && !ret->type.p && native_headline(line, next, ret))) {
        read_words(line, r, ret);
    }
    return false;
}

/* Lines of an exception group stand behind a margin: "  | Traceback …", "  +-+---------------- 1 ----" ends the group's own. */
static str without_margin(str raw, struct reading *r, const struct stack *s)
{
    str line = str_trim(raw);
    if (s->n && (str_starts(line, S("+-+--")) || str_starts(line, S("+----"))))
        r->ended = true;
    if (str_starts(line, S("+ Exception Group Traceback")))
        return str_skip(line, 18);
    return str_starts(line, S("| ")) ? str_skip(line, 2) : raw;
}

static void read_python(str raw, struct reading *r, struct stack *ret)
{
    raw = r->version >= STACK_FORMS_SINCE ? without_margin(raw, r, ret) : raw;
    str line = str_trim(raw);
    if (str_starts(line, S("Traceback (most recent call last)"))) {
        ret->n = 0; /* a chain: the last one is the outermost */
        ret->type = (str){0};
    } else if (!python(line, r->version, ret) && ret->n && raw.n && raw.p[0] != ' ' && !ret->type.p) {
        (void)headline(line, r->version, ret);
    }
}

/* Where each was called from is a place in the one below: places move up by one, the first is where it was thrown. */
static void move_places(struct stack *s, const struct reading *r)
{
    struct frame last = s->frames[s->n - 1];
    bool thrown = r->thrown.line > 0;
    if (!thrown && str_find(last.function, S("{main}")) < 0 && str_find(last.file, S(".hs")) > 0) {
        for (size_t i = 0; i + 1 < s->n; i++)
            s->frames[i].function = s->frames[i + 1].function; /* the first one only says how it was thrown */
        s->frames[s->n - 1].function = S("");
        return;
    }
    for (size_t i = s->n; i-- > 0;) {
        struct frame from = i ? s->frames[i - 1] : r->thrown;
        from.function = s->frames[i].function;
        from.in_app = frame_is_of_app(&from, r->version);
        s->frames[i] = from;
    }
    if (last.file.n)
        stack_add(s, (struct frame){.file = last.file, .line = last.line}, r->version);
}

void stack_read(str text, int version, struct stack *ret)
{
    ptrdiff_t traceback = str_find(text, S("Traceback (most recent call last)"));
    bool turned = traceback >= 0; /* the newest frame is printed last */
    struct reading r = {.version = version, .turned = turned, .python = turned && str_find(text, S("File \"")) >= 0};
    ret->n = 0;
    ret->type = ret->message = (str){0};
    r.header = turned;
    while (text.p && !r.ended) {
        str raw = str_cut(&text, '\n'), line = str_trim(raw), rest = text, next = str_cut(&rest, '\n');
        if (r.python)
            read_python(raw, &r, ret);
        else if (!(turned && str_starts(line, S("Traceback "))) && read_line(line, next, &r, ret) && text.p)
            text = rest;
    }
    if (!ret->n && r.panic_at.line)
        stack_add(ret, r.panic_at, version);
    if (ret->n && r.calls == ret->n)
        move_places(ret, &r);
    if (turned)
        turn(ret);
}

/* .NET prints the inner one first, between " ---> " and its end; Python and PHP too, with words between. */
static str cause_before(str text)
{
    static const str words[] = {S("\nThe above exception was the direct cause"),
                                S("\nDuring handling of the above exc"), S("\n\nNext ")};
    ptrdiff_t inner = find_last(text, S(" ---> ")), end = str_find(text, S("--- End of inner exception"));
    if (inner > 0 && end > inner)
        return str_head(str_skip(text, (size_t)inner + 6), (size_t)(end - inner - 6));
    size_t first = text.n;
    for (size_t i = 0; i < LENGTH(words); i++) {
        ptrdiff_t at = str_find(str_head(text, first), words[i]);
        first = at > 0 ? (size_t)at : first;
    }
    return first < text.n ? str_head(text, first) : (str){0};
}

/* Others print it last. *ret_outer: the one it is in, down to it. */
static str cause_after(str text, str *ret_outer)
{
    str found = {0}, outer = text, rest = text;
    for (bool first = true; rest.p; first = false) {
        str from = rest, line = str_trim(str_cut(&rest, '\n'));
        if (!str_starts(line, S("Caused by: ")) && !str_starts(line, S("[cause]: ")) && (first || !is_ruby_head(line)))
            continue;
        *ret_outer = str_head(outer, (size_t)(from.p - outer.p));
        outer = found = from;
    }
    return found;
}

/* "... 12 more": Java leaves out those that the outer one has too. */
static void add_common(str cause, str outer, int version, struct stack *s)
{
    ptrdiff_t at = find_last(cause, S("... "));
    str number = str_skip(cause, at < 0 ? cause.n : (size_t)at + 4);
    size_t digits = digits_of(number);
    uint64_t n;
    struct stack around;
    if (!digits || !str_starts(str_skip(number, digits), S(" more")) || !str_u64(str_head(number, digits), &n))
        return;
    stack_read(outer, version, &around);
    for (size_t i = n < around.n ? around.n - n : 0; i < around.n; i++)
        stack_add(s, around.frames[i], version);
}

bool stack_read_cause(str text, int version, struct stack *ret)
{
    str outer = {0}, cause = cause_before(text);
    if (!cause.p)
        cause = cause_after(text, &outer);
    if (!cause.p)
        return false;
    stack_read(cause, version, ret);
    add_common(cause, outer, version, ret);
    return ret->n || ret->type.n;
}

static void read_json(str json, bool raw, struct arena *a, int version, struct stack *ret)
{
    json_t *all = json_loadb(json.p, json.n, JSON_ALLOW_NUL, NULL), *o;
    size_t i;
    ret->n = 0;
    ret->type = ret->message = (str){0};
    json_array_foreach(all, i, o)
    {
        struct frame f = {0};
        json_t *before = raw ? json_object_get(o, "raw") : NULL, *from = before ? before : o;
        json_t *in_app = json_object_get(from, "in_app");
        f.function = arena_str(a, str_of(json_string_value(json_object_get(from, "function"))));
        f.file = arena_str(a, str_of(json_string_value(json_object_get(from, "file"))));
        f.line = (uint32_t)json_integer_value(json_object_get(from, "line"));
        f.column = (uint32_t)json_integer_value(json_object_get(from, "column"));
        stack_add(ret, f, version);
        if (ret->n && json_is_boolean(in_app))
            ret->frames[ret->n - 1].in_app = json_is_true(in_app);
    }
    json_decref(all);
}

void stack_read_json(str json, struct arena *a, int version, struct stack *ret)
{
    read_json(json, false, a, version, ret);
}
void stack_read_raw(str json, struct arena *a, int version, struct stack *ret)
{
    read_json(json, true, a, version, ret);
}
