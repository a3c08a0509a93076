#include "base/str.h"
#include "event/event.h"
#include "event/json.h"

#include <endian.h>

/* ---- ids: 11 characters of time, 4 of row, 5 bits each ---- */

static const char base32hex[] = "0123456789abcdefghijklmnopqrstuv";

static void put5(uint64_t v, char *out, size_t n)
{
    for (; n > 0; n--, v >>= 5)
        out[n - 1] = base32hex[v & 31];
}

static bool get5(const char *p, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        int c = p[i], d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
        if (d < 0)
            return false;
        v = v << 5 | (unsigned)d;
    }
    *ret = v;
    return true;
}

void event_id_print(usec recv_us, uint32_t row, char out[EVENT_ID_LEN])
{
    assert(recv_us >= 0 && recv_us < 1ll << 55 && row < 1u << 20);
    put5((uint64_t)recv_us, out, 11);
    put5(row, out + 11, 4);
}

bool event_id_parse(str id, usec *ret_recv_us, uint32_t *ret_row)
{
    uint64_t t, row;
    if (id.n != EVENT_ID_LEN || !get5(id.p, 11, &t) || !get5(id.p + 11, 4, &row))
        return false;
    *ret_recv_us = (usec)t;
    *ret_row = (uint32_t)row;
    return true;
}

/* ---- a stored line ---- */

static bool read_severity(str raw, int *ret)
{
    int v = 0;
    for (size_t i = 0; i < raw.n && v <= 24; i++)
        v = raw.p[i] >= '0' && raw.p[i] <= '9' ? 10 * v + raw.p[i] - '0' : 25;
    if (raw.n == 0 || raw.n > 2 || v < 1 || v > 24)
        return false;
    *ret = v;
    return true;
}

static enum value_kind kind_of(enum json_kind kind)
{
    switch (kind) {
    case J_NULL: return VALUE_NULL;
    case J_TRUE:
    case J_FALSE: return VALUE_BOOL;
    case J_NUMBER: return VALUE_NUMBER;
    case J_STRING: return VALUE_STRING;
    default: return VALUE_JSON;
    }
}

/* The fields that stand first in a fixed order. */
static int read_head(struct event *ev, struct err *e)
{
    static const str order[] = {S("time"), S("app"), S("level"), S("severity_number")};
    struct err bad_time;
    int digits;
    size_t at = ev->n > 1 && str_eq(ev->f[1].name, S("event_id")) ? 2 : 1;
    if (ev->n < at + LENGTH(order) || !str_eq(ev->f[0].name, S("id")))
        return err_set(e, ERR_CORRUPT, "not a stored event: expected an id first");
    const struct field *f = ev->f + at;
    for (size_t i = 0; i < LENGTH(order); i++)
        if (!str_eq(f[i].name, order[i]))
            return err_set(e, ERR_CORRUPT, "not a stored event: expected \"%.*s\" as field %zu", STR_ARG(order[i]),
                           at + i + 1);
    if (time_read(f[0].raw, &ev->time, &digits, &bad_time) < 0 || !read_severity(f[3].raw, &ev->severity))
        return err_set(e, ERR_CORRUPT, "not a stored event: its time or severity cannot be read");
    ev->id = ev->f[0].raw;
    ev->app = f[1].raw;
    return 0;
}

int event_read_fields(str line, struct event *ev, struct arena *a, struct err *e)
{
    struct json j;
    struct json_token t;
    enum json_kind kind;
    ev->line = line;
    ev->n = 0;
    json_init(&j, line, JSON_DEPTH_MAX);
    if (json_next(&j, &t) != J_OBJECT)
        return err_set(e, ERR_CORRUPT, "not a stored event: expected '{' first");
    while ((kind = json_next(&j, &t)) > J_CLOSE) {
        if (ev->n == LENGTH(ev->f))
            return err_set(e, ERR_CORRUPT, "not a stored event: more than %zu fields", LENGTH(ev->f));
        struct field *f = &ev->f[ev->n++];
        *f = (struct field){t.name, t.raw, kind_of(kind), (t.flags & J_ESCAPED) != 0};
        if (t.name_flags & J_ESCAPED) {
            char *name = arena_alloc(a, t.name.n);
            f->name = (str){name, json_decode(t.name, name)};
        }
        if (kind >= J_ARRAY) {
            if (json_skip(&j) != J_CLOSE)
                break;
            f->raw.n = (size_t)(j.p - f->raw.p);
        }
    }
    if (kind != J_CLOSE)
        return err_set(e, ERR_CORRUPT, "not a stored event: cut or damaged at byte %zu", (size_t)(j.p - line.p) + 1);
    return 0;
}

int event_read(str line, struct event *ev, struct arena *a, struct err *e)
{
    return event_read_fields(line, ev, a, e) < 0 || read_head(ev, e) < 0 ? -1 : 0;
}

const struct field *event_field(const struct event *ev, str name)
{
    for (size_t i = 0; i < ev->n; i++)
        if (str_eq(ev->f[i].name, name))
            return &ev->f[i];
    return NULL;
}

str field_text(const struct field *f, struct arena *a)
{
    if (!f->escaped)
        return f->raw;
    char *text = arena_alloc(a, f->raw.n);
    return (str){text, json_decode(f->raw, text)};
}

str event_text(const struct event *ev, str name, struct arena *a)
{
    const struct field *f = event_field(ev, name);
    return f ? field_text(f, a) : (str){NULL, 0};
}

/* Takes `literal` off the front of *s. */
static ALWAYS_INLINE bool take(str *s, str literal)
{
    bool is = str_starts(*s, literal);
    if (is)
        *s = str_skip(*s, literal.n);
    return is;
}

/* How many bytes stand before the first quote, s.n without one. Most texts are so short that memchr would cost more. */
static ALWAYS_INLINE size_t until_quote(str s)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    for (size_t i = 0; i + 8 <= s.n && i < 32; i += 8) {
        uint64_t v = le64toh(load8(s.p + i)) ^ '"' * ones, zero = (v - ones) & ~v & high;
        if (zero)
            return i + (size_t)__builtin_ctzll(zero) / 8;
    }
    const char *end = s.n ? memchr(s.p, '"', s.n) : NULL;
    return end ? (size_t)(end - s.p) : s.n;
}

/* Takes what stands before the closing quote, and the quote. One with backslashes is counted from its start, since only
 * that tells whether a quote is escaped. */
static ALWAYS_INLINE bool take_string(str *s, str *ret)
{
    size_t n = until_quote(*s);
    if (n > 0 && n < s->n && s->p[n - 1] == '\\')
        for (n = 0; n < s->n && s->p[n] != '"';)
            n += s->p[n] == '\\' ? 2 : 1;
    if (n >= s->n)
        return false;
    *ret = str_head(*s, n);
    *s = str_skip(*s, n + 1);
    return true;
}

/* The fields of read_head stand in a fixed order without blanks, so this needs no scanner: it runs over every line of a
 * search. */
bool event_read_head(str line, struct event_head *ret)
{
    struct err e;
    int digits;
    size_t n = 0;
    str s = line;
    ret->event_id = (str){NULL, 0};
    if (!take(&s, S("{\"id\":\"")) || !take_string(&s, &ret->id))
        return false;
    if (take(&s, S(",\"event_id\":\"")) && !take_string(&s, &ret->event_id))
        return false;
    if (!take(&s, S(",\"time\":\"")) || !take_string(&s, &ret->time_text) || !take(&s, S(",\"app\":\"")) ||
        !take_string(&s, &ret->app) || !take(&s, S(",\"level\":\"")) || !take_string(&s, &ret->level) ||
        !take(&s, S(",\"severity_number\":")))
        return false;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    ret->n = line.n - s.n + n;
    return read_severity(str_head(s, n), &ret->severity) && time_read(ret->time_text, &ret->time, &digits, &e) == 0;
}

bool event_peek(str line, nsec *ret_time, int *ret_severity)
{
    struct event_head h;
    if (!event_read_head(line, &h))
        return false;
    *ret_time = h.time;
    *ret_severity = h.severity;
    return true;
}

uint64_t event_stands_for(const struct event *ev, struct arena *a)
{
    uint64_t n;
    if (!str_eq(event_text(ev, S("trust"), a), S("browser")) || !str_u64(event_text(ev, S("repeated"), a), &n) || !n)
        return 1;
    return n < REPEATED_MOST ? n : REPEATED_MOST;
}
