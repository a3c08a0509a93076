#include "query/shape.h"

#include "event/json.h"
#include "event/line.h"

bool stage_shapes(const struct stage *st) { return st->kind == STAGE_FIELDS || st->kind == STAGE_PARSE; }

/* ---- one field ---- */

static void drop(struct event *ev, str name)
{
    for (size_t i = 0; i < ev->n; i++)
        if (str_eq(ev->f[i].name, name)) {
            memmove(ev->f + i, ev->f + i + 1, (--ev->n - i) * sizeof *ev->f);
            return;
        }
}

/* An event's own parts are more than fields to filters and counts. */
static void set_fixed(struct event *ev, const struct field *f, struct arena *a)
{
    struct err ignored;
    int digits;
    str text = field_text(f, a);
    if (str_eq(f->name, S("level"))) {
        ev->severity = level_read(text);
        drop(ev, S("severity_number"));
    } else if (str_eq(f->name, S("time")) && time_read(text, &ev->time, &digits, &ignored) < 0) {
        ev->time = TIME_NONE;
    } else if (str_eq(f->name, S("app"))) {
        ev->app = text;
    }
}

/* In the place of one of that name. What is past the limit of an event's fields is left out. */
static void set(struct event *ev, struct field f, struct arena *a)
{
    size_t i = 0;
    while (i < ev->n && !str_eq(ev->f[i].name, f.name))
        i++;
    if (i == LENGTH(ev->f) || f.name.n == 0 || f.name.n > LIMIT_NAME)
        return;
    ev->n += i == ev->n;
    ev->f[i] = f;
    set_fixed(ev, &f, a);
}

static void set_text(struct event *ev, str name, str text, struct arena *a)
{
    set(ev, (struct field){.name = name, .raw = text, .kind = VALUE_STRING}, a);
}

/* ---- fields ---- */

static void only_fields(const struct stage *st, struct event *ev)
{
    struct field kept[QUERY_FIELDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < st->fields_n; i++) {
        const struct field *f = event_field(ev, st->fields[i]);
        if (f)
            kept[n++] = *f;
    }
    memcpy(ev->f, kept, n * sizeof *kept);
    ev->n = n;
    if (!event_field(ev, S("time")))
        ev->time = TIME_NONE;
    if (!event_field(ev, S("level")) && !event_field(ev, S("severity_number")))
        ev->severity = 0;
}

/* ---- parse json ---- */

struct path { /* the dotted name of what is being read */
    char text[LIMIT_NAME + 1];
    size_t n[LIMIT_DEPTH + 1]; /* its length at each depth */
};

static bool push_name(struct path *p, size_t depth, str raw, struct arena *a)
{
    char *decoded = arena_alloc(a, 3 * raw.n + 1);
    size_t n = json_decode(raw, decoded), at = p->n[depth - 1];
    if (at + 1 + n >= sizeof p->text)
        return false;
    if (at)
        p->text[at++] = '.';
    memcpy(p->text + at, decoded, n);
    p->n[depth] = at + n;
    return true;
}

static void add_json(struct event *ev, str name, enum json_kind kind, const struct json_token *t, struct arena *a)
{
    static const enum value_kind kinds[] = {
        [J_NULL] = VALUE_NULL,     [J_FALSE] = VALUE_BOOL,    [J_TRUE] = VALUE_BOOL,
        [J_NUMBER] = VALUE_NUMBER, [J_STRING] = VALUE_STRING, [J_ARRAY] = VALUE_JSON};
    struct field f = {arena_str(a, name), t->raw, kinds[kind], false};
    if (kind == J_STRING && t->flags) {
        char *text = arena_alloc(a, json_decoded_max(t->raw.n, t->flags));
        f.raw = str_n(text, json_decode(t->raw, text));
    }
    set(ev, f, a);
}

/* Objects inside become dotted names, lists stay as they are; a text that is no object adds nothing. */
static void parse_json(struct event *ev, str text, struct arena *a)
{
    struct json j;
    struct json_token t;
    struct path p = {.n = {0}};
    enum json_kind kind;
    size_t depth = 1;
    if (!json_valid(text, LIMIT_DEPTH))
        return;
    json_init(&j, text, LIMIT_DEPTH);
    if (json_next(&j, &t) != J_OBJECT)
        return;
    while ((kind = json_next(&j, &t)) >= J_CLOSE && depth) {
        if (kind == J_CLOSE) {
            depth--;
            continue;
        }
        bool named = push_name(&p, depth, t.name, a);
        if (kind == J_OBJECT && named) {
            depth++;
            continue;
        }
        if (kind >= J_ARRAY && json_skip(&j) != J_CLOSE)
            return;
        if (kind == J_ARRAY)
            t.raw.n = (size_t)(j.p - t.raw.p);
        if (named)
            add_json(ev, str_n(p.text, p.n[depth]), kind, &t, a);
    }
}

/* ---- parse logfmt ---- */

/* Words that are no pairs say nothing. */
static void parse_logfmt(struct event *ev, str s, struct arena *a)
{
    struct logfmt f;
    while (logfmt_next(&s, &f)) {
        if (f.quoted && str_chr(f.value, '\\') >= 0) {
            char *text = arena_alloc(a, json_decoded_max(f.value.n, J_ESCAPED | J_BAD));
            f.value = str_n(text, json_decode(f.value, text));
        }
        if (f.name.n)
            set_text(ev, f.name, f.value, a);
    }
}

/* ---- parse "pattern" ---- */

/* Text before the first capture is looked for; each capture goes up to the text behind it, the last one to the end. */
static void parse_pattern(const struct stage *st, struct event *ev, str s, struct arena *a)
{
    str found[LIMIT_QUERY / 3 + 2];
    for (size_t i = 0; i < st->captures_n; i++) {
        ptrdiff_t at = str_find(s, st->captures[i].before);
        if (at < 0)
            return;
        if (i > 0)
            found[i - 1] = str_head(s, (size_t)at);
        s = str_skip(s, (size_t)at + st->captures[i].before.n);
        found[i] = s;
    }
    for (size_t i = 0; i < st->captures_n; i++)
        if (st->captures[i].name.p)
            set_text(ev, st->captures[i].name, found[i], a);
}

void shape(const struct stage *st, struct event *ev, struct arena *a)
{
    if (st->kind == STAGE_FIELDS) {
        only_fields(st, ev);
        return;
    }
    const struct field *f = event_field(ev, st->from);
    if (!f || f->kind == VALUE_NULL)
        return;
    str text = field_text(f, a);
    switch (st->form) {
    case PARSE_JSON: parse_json(ev, str_trim(text), a); break;
    case PARSE_LOGFMT: parse_logfmt(ev, text, a); break;
    case PARSE_PATTERN: parse_pattern(st, ev, text, a); break;
    }
}

/* ---- patterns, issues ---- */

bool shape_group(const struct stage *st, const struct query_options *o, struct event *ev, struct arena *a)
{
    str first, title;
    if (st->kind == STAGE_PATTERNS) {
        if (!o->grouping->pattern(o->grouping->arg, ev, a, &first, &title))
            return false;
        set_text(ev, S("pattern"), S(""), a); /* told at the end: query/group-patterns.c */
        set_text(ev, S("template"), first, a);
        set_text(ev, S("example"), title, a);
        return true;
    }
    if (!o->grouping->issue(o->grouping->arg, ev, a, &first, &title))
        return false;
    set_text(ev, S("issue"), first, a);
    set_text(ev, S("title"), title, a);
    return true;
}

/* ---- lines ---- */

void shape_value(const struct field *f, struct buf *out)
{
    if (!f) {
        buf_lit(out, "null");
    } else if (f->kind != VALUE_STRING) {
        buf_str(out, f->raw);
    } else if (f->escaped) {
        buf_byte(out, '"');
        buf_str(out, f->raw);
        buf_byte(out, '"');
    } else {
        buf_json(out, f->raw);
    }
}

str shape_line(const struct event *ev, struct arena *a)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    for (size_t i = 0; i < ev->n; i++) {
        buf_byte(&out, i ? ',' : '{');
        buf_json(&out, ev->f[i].name);
        buf_byte(&out, ':');
        shape_value(&ev->f[i], &out);
    }
    buf_str(&out, ev->n ? S("}") : S("{}"));
    str line = arena_str(a, buf_view(&out));
    buf_done(&out);
    return line;
}
