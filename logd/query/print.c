/* query/print.c - an answer as NDJSON, JSON, CSV or text. */
#include "base/limits.h"
#include "base/map.h"
#include "query/plan.h"

struct printer { /* a row at a time */
    struct event ev;
    struct arena a;
};

static void read_row(struct printer *p, str line)
{
    struct err ignored;
    arena_reset(&p->a);
    if (event_read_fields(line, &p->ev, &p->a, &ignored) < 0)
        p->ev.n = 0; /* ours, so this does not happen */
}

/* ---- JSON ---- */

static void print_columns(const struct query_result *r, struct buf *out)
{
    for (size_t i = 0; i < r->columns_n; i++) {
        buf_str(out, i ? S(",") : S("\"columns\":["));
        buf_json(out, str_of(r->columns[i]));
    }
    if (r->columns_n)
        buf_printf(out, "],\"keys\":%zu,", r->keys_n);
}

void query_print_progress(const struct query_result *r, struct buf *out)
{
    buf_printf(out, "\"scanned\":%llu,\"scanned_bytes\":%llu,\"matched\":%llu,\"blocks\":{\"read\":%u,\"of\":%u}",
               (unsigned long long)r->scanned_events, (unsigned long long)r->scanned_bytes,
               (unsigned long long)r->matched, r->blocks_read, r->blocks);
}

void query_print_meta(const struct query_result *r, struct buf *out)
{
    print_columns(r, out);
    if (r->next[0])
        buf_printf(out, "\"next\":\"%s\",", r->next);
    else
        buf_lit(out, "\"next\":null,");
    if (r->approximate.n) {
        buf_lit(out, "\"approximate\":{");
        buf_str(out, buf_view(&r->approximate));
        buf_lit(out, "},");
    }
    query_print_progress(r, out);
    buf_str(out, r->partial ? S(",\"partial\":true") : S(",\"partial\":false"));
}

static void print_json(const struct query_result *r, struct buf *out)
{
    str rows = buf_view(&r->rows);
    buf_lit(out, "{\"rows\":[");
    for (size_t i = 0; rows.n; i++) {
        if (i)
            buf_byte(out, ',');
        buf_str(out, str_cut(&rows, '\n'));
    }
    buf_lit(out, "],");
    query_print_meta(r, out);
    buf_lit(out, "}\n");
}

/* ---- CSV: RFC 4180 ---- */

/* A text that starts like a formula gets a ' before it: a spreadsheet would run it. */
static void print_csv_cell(str text, bool number, struct buf *out)
{
    bool guard = !number && text.n && text.p[0] && strchr("=+-@\t\r", text.p[0]), quote = guard;
    for (size_t i = 0; i < text.n && !quote; i++)
        quote = text.p[i] && strchr(",\"\r\n", text.p[i]);
    quote |= text.n && (text.p[0] == ' ' || text.p[text.n - 1] == ' ');
    if (!quote) {
        buf_str(out, text);
        return;
    }
    buf_str(out, guard ? S("\"'") : S("\""));
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"')
            buf_byte(out, '"');
        buf_byte(out, text.p[i]);
    }
    buf_byte(out, '"');
}

struct columns {
    struct map places; /* name to its place + 1 */
    str *names;
    size_t n, cap;
};

static void add_column(struct columns *c, str name, struct arena *a)
{
    if (map_get(&c->places, name))
        return;
    if (c->n == c->cap)
        c->names = xrealloc(c->names, (c->cap = c->cap ? 2 * c->cap : 32) * sizeof *c->names);
    c->names[c->n++] = arena_str(a, name);
    map_set(&c->places, name, (void *)(uintptr_t)c->n);
}

/* Those of the result, or all that its rows have, in the order they come. */
static void find_columns(const struct query_result *r, struct columns *c, struct printer *p, struct arena *a)
{
    str rows = buf_view(&r->rows);
    for (size_t i = 0; i < r->columns_n; i++)
        add_column(c, str_of(r->columns[i]), a);
    while (rows.n && !r->columns_n) {
        read_row(p, str_cut(&rows, '\n'));
        for (size_t i = 0; i < p->ev.n; i++)
            add_column(c, p->ev.f[i].name, a);
    }
}

static void print_csv_row(const struct columns *c, struct printer *p, const struct field **cells, struct buf *out)
{
    memset(cells, 0, (c->n + 1) * sizeof *cells);
    for (size_t i = 0; i < p->ev.n; i++) {
        size_t place = (uintptr_t)map_get(&c->places, p->ev.f[i].name);
        if (place)
            cells[place - 1] = &p->ev.f[i];
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct field *f = cells[i];
        if (i)
            buf_byte(out, ',');
        if (f && f->kind != VALUE_NULL)
            print_csv_cell(field_text(f, &p->a), f->kind == VALUE_NUMBER, out);
    }
    buf_lit(out, "\r\n");
}

static void print_csv(const struct query_result *r, struct printer *p, struct buf *out)
{
    struct columns c = {0};
    struct arena names = {0};
    str rows = buf_view(&r->rows);
    find_columns(r, &c, p, &names);
    const struct field **cells = xcalloc(c.n + 1, sizeof *cells);
    for (size_t i = 0; i < c.n; i++) {
        if (i)
            buf_byte(out, ',');
        print_csv_cell(c.names[i], false, out);
    }
    buf_lit(out, "\r\n");
    while (rows.n) {
        read_row(p, str_cut(&rows, '\n'));
        print_csv_row(&c, p, cells, out);
    }
    free(cells), free(c.names);
    map_done(&c.places);
    arena_done(&names);
}

/* ---- text for a terminal ---- */

static uint32_t code_point(const char *z, size_t len)
{
    static const uint8_t first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *p = (const unsigned char *)z;
    uint32_t c = p[0] & first[len];
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3fu);
    return c;
}

/* What steers a terminal or turns text round: controls, marks and embeddings of direction. */
static bool is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static void print_hidden(uint32_t c, struct buf *out)
{
    const char *letter = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;
    if (letter)
        buf_str(out, str_of(letter));
    else
        buf_printf(out, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
}

static void print_visible(str s, bool quoted, struct buf *out)
{
    for (size_t i = 0, len; i < s.n; i += len) {
        len = utf8_len(s.p + i, s.n - i);
        uint32_t c = len ? code_point(s.p + i, len) : (unsigned char)s.p[i]; /* a byte that is none stands for itself */
        if (len == 0 || is_hidden(c)) {
            print_hidden(c, out);
            len = len ? len : 1;
            continue;
        }
        if (quoted && (c == '"' || c == '\\'))
            buf_byte(out, '\\');
        buf_add(out, s.p + i, len);
    }
}

static bool needs_quotes(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || strchr("\"=\\", s.p[i]))
            return true;
    return s.n == 0;
}

static bool is_one_of(str s, const str *of, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(s, of[i]))
            return true;
    return false;
}

static void styled(const char *style, const struct query_style *st, struct buf *out)
{
    if (style && st)
        buf_str(out, str_of(style));
}

static void print_pair(const struct field *f, const struct query_style *st, struct arena *a, struct buf *out)
{
    str text = field_text(f, a);
    bool quotes = f->kind == VALUE_STRING && needs_quotes(text);
    styled(st ? st->name : NULL, st, out);
    print_visible(f->name, false, out);
    buf_byte(out, '=');
    styled(st ? st->off : NULL, st, out);
    if (quotes)
        buf_byte(out, '"');
    print_visible(text, quotes, out);
    if (quotes)
        buf_byte(out, '"');
}

static const char *style_of(size_t part, str text, const struct query_style *st)
{
    int severity = part == 1 ? level_read(text) : 0;
    if (!st)
        return NULL;
    return part == 0 ? st->time : part == 1 ? st->levels[severity] : part == 2 ? st->app : NULL;
}

/* "time level app message", then the others as key=value; without our id and the number of the level. */
static void print_text_row(struct printer *p, const struct query_style *st, struct buf *out)
{
    static const str first[] = {S("time"), S("level"), S("app"), S("message")};
    static const str left_out[] = {S("id"), S("severity_number")};
    bool begun = false;
    for (size_t k = 0; k < LENGTH(first); k++) {
        str text = event_text(&p->ev, first[k], &p->a);
        const char *style = style_of(k, text, st);
        if (!text.p)
            continue;
        if (begun)
            buf_byte(out, ' ');
        begun = true;
        styled(style, st, out);
        print_visible(text, false, out);
        styled(style ? st->off : NULL, st, out);
    }
    for (size_t i = 0; i < p->ev.n; i++) {
        const struct field *f = &p->ev.f[i];
        if (is_one_of(f->name, first, LENGTH(first)) || is_one_of(f->name, left_out, LENGTH(left_out)))
            continue;
        if (begun)
            buf_byte(out, ' ');
        begun = true;
        print_pair(f, st, &p->a, out);
    }
    buf_byte(out, '\n');
}

void query_print_visible(str text, struct buf *out) { print_visible(text, false, out); }

void query_print_row(str row, const struct query_style *style, struct buf *out)
{
    struct printer *p = xcalloc(1, sizeof *p);
    read_row(p, row);
    print_text_row(p, style, out);
    arena_done(&p->a);
    free(p);
}

static void print_text(const struct query_result *r, struct printer *p, struct buf *out)
{
    for (str rows = buf_view(&r->rows); rows.n;) {
        read_row(p, str_cut(&rows, '\n'));
        print_text_row(p, NULL, out);
    }
}

void query_print(const struct query_result *r, enum query_format f, struct buf *out)
{
    struct printer *p = xcalloc(1, sizeof *p);
    switch (f) {
    case FORMAT_NDJSON: buf_str(out, buf_view(&r->rows)); break;
    case FORMAT_JSON: print_json(r, out); break;
    case FORMAT_CSV: print_csv(r, p, out); break;
    case FORMAT_TEXT: print_text(r, p, out); break;
    }
    arena_done(&p->a);
    free(p);
}
