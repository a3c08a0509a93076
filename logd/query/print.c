/* query/print.c - a result as NDJSON, JSON, CSV (RFC 4180) or text for a terminal. */
#include "base/map.h"
#include "base/str.h"
#include "query/plan.h"

static void print_json(const struct query_result *r, struct buf *out)
{
    str rest = buf_view(&r->rows);
    bool first = true;
    buf_lit(out, "{\"rows\":[");
    while (rest.n) {
        if (!first)
            buf_byte(out, ',');
        first = false;
        buf_str(out, str_cut(&rest, '\n'));
    }
    buf_lit(out, "],\"next\":");
    if (r->next[0])
        buf_json(out, str_of(r->next));
    else
        buf_lit(out, "null");
    buf_printf(out, ",\"scanned\":%llu,\"scanned_bytes\":%llu,\"matched\":%llu,\"partial\":%s}\n",
               (unsigned long long)r->scanned_events, (unsigned long long)r->scanned_bytes,
               (unsigned long long)r->matched, r->partial ? "true" : "false");
}

/* A cell that a spreadsheet would take for a formula gets a ' in front. */
static void cell(struct buf *out, str s, bool number)
{
    bool formula = !number && s.n && strchr("=+-@\t\r", s.p[0]);
    bool quote = formula;
    for (size_t i = 0; i < s.n && !quote; i++)
        quote = s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
    if (!quote) {
        buf_str(out, s);
        return;
    }
    buf_str(out, formula ? S("\"'") : S("\""));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_byte(out, '"');
        buf_byte(out, s.p[i]);
    }
    buf_byte(out, '"');
}

/* The columns of events: every field name, in the order they are first met. */
static char **all_names(const struct query_result *r, struct event *ev, struct arena *a, size_t *ret_n)
{
    struct map seen = {0};
    char **names = NULL;
    size_t n = 0, cap = 0;
    struct err e;
    for (str rest = buf_view(&r->rows); rest.n;) {
        arena_reset(a);
        if (event_read_fields(str_cut(&rest, '\n'), ev, a, &e) < 0)
            continue;
        for (size_t i = 0; i < ev->n; i++) {
            if (map_get(&seen, ev->f[i].name))
                continue;
            map_set(&seen, ev->f[i].name, &seen);
            if (n == cap)
                names = xrealloc(names, (cap = cap ? cap * 2 : 32) * sizeof *names);
            names[n++] = str_dup(ev->f[i].name);
        }
    }
    map_done(&seen);
    *ret_n = n;
    return names;
}

static void print_csv(const struct query_result *r, struct event *ev, struct arena *a, struct buf *out)
{
    size_t n = r->columns_n;
    char **names = n ? r->columns : all_names(r, ev, a, &n);
    struct err e;
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(out, ',');
        cell(out, str_of(names[i]), false);
    }
    buf_lit(out, "\r\n");
    for (str rest = buf_view(&r->rows); rest.n;) {
        arena_reset(a);
        if (event_read_fields(str_cut(&rest, '\n'), ev, a, &e) < 0)
            continue;
        for (size_t i = 0; i < n; i++) {
            const struct field *f = event_field(ev, str_of(names[i]));
            if (i)
                buf_byte(out, ',');
            if (f && f->kind != VALUE_NULL)
                cell(out, field_text(f, a), f->kind == VALUE_NUMBER);
        }
        buf_lit(out, "\r\n");
    }
    if (names != r->columns) {
        for (size_t i = 0; i < n; i++)
            free(names[i]);
        free(names);
    }
}

/* Control characters and C1 shown, so that no log line speaks to the terminal. */
static void visible(struct buf *out, str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool c1 = c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] >= 0x80 && (unsigned char)s.p[i + 1] <= 0x9f;
        if (c == '\n')
            buf_lit(out, "\\n");
        else if (c == '\t')
            buf_byte(out, '\t');
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else if (c1)
            buf_printf(out, "\\x%02x", (unsigned char)s.p[++i]);
        else
            buf_byte(out, (char)c);
    }
}

static void text_line(const struct event *ev, struct arena *a, struct buf *out)
{
    static const str head[] = {S("time"), S("level"), S("app"), S("message")},
                     hidden[] = {S("id"), S("severity_number")};
    bool first = true;
    for (size_t i = 0; i < LENGTH(head); i++) {
        str s = event_text(ev, head[i], a);
        if (!s.p)
            continue;
        if (!first)
            buf_byte(out, ' ');
        first = false;
        visible(out, s);
    }
    for (size_t i = 0; i < ev->n; i++) {
        const struct field *f = &ev->f[i];
        bool said = false;
        for (size_t k = 0; k < LENGTH(head); k++)
            said |= str_eq(f->name, head[k]);
        for (size_t k = 0; k < LENGTH(hidden); k++)
            said |= str_eq(f->name, hidden[k]);
        if (said)
            continue;
        if (!first)
            buf_byte(out, ' ');
        first = false;
        visible(out, f->name);
        buf_byte(out, '=');
        str s = field_text(f, a);
        bool quote = f->kind == VALUE_STRING && (s.n == 0 || str_chr(s, ' ') >= 0 || str_chr(s, '"') >= 0);
        if (quote)
            buf_byte(out, '"');
        visible(out, s);
        if (quote)
            buf_byte(out, '"');
    }
    buf_byte(out, '\n');
}

void query_print(const struct query_result *r, enum query_format f, struct buf *out)
{
    struct event *ev = xmalloc(sizeof *ev);
    struct arena a = {0};
    struct err e;
    switch (f) {
    case FORMAT_NDJSON: buf_str(out, buf_view(&r->rows)); break;
    case FORMAT_JSON: print_json(r, out); break;
    case FORMAT_CSV: print_csv(r, ev, &a, out); break;
    case FORMAT_TEXT:
        for (str rest = buf_view(&r->rows); rest.n;) {
            arena_reset(&a);
            if (event_read_fields(str_cut(&rest, '\n'), ev, &a, &e) == 0)
                text_line(ev, &a, out);
        }
    }
    free(ev);
    arena_done(&a);
}
