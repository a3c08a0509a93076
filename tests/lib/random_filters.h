/* tests/lib/random_filters.h - random filters over the whole grammar, about the events that they are tried on.
 *
 * What they look for is drawn from an event: a whole value, a part of it, in other case, as a number a little beside it,
 * with a unit; sometimes it is nowhere. Not all of the texts parse: draw again. */
#ifndef TESTS_RANDOM_FILTERS_H
#define TESTS_RANDOM_FILTERS_H

#include "random_events.h"
#include "event/filter.h"

#include <ctype.h>
#include <math.h>

struct drawing {
    struct event ev; /* what values are drawn from */
    struct arena a;
};

/* Seldom one of those that every event has. */
static const struct field *some_field(const struct drawing *d)
{
    size_t i = roll((unsigned)d->ev.n);
    return &d->ev.f[i < 6 && !one_in(3) ? roll((unsigned)d->ev.n) : i];
}

/* ---- texts ---- */

/* `s`, a part of it, or something near it. */
static str variant(struct drawing *d, str s)
{
    static const char *const nowhere[] = {"nowhere", "x",        "",     "zzz-top",    "0",
                                          "*",       "\xc3\x84", "null", "Order paid", "(none)"};
    char *p = arena_alloc(&d->a, s.n + 2);
    size_t from, n;
    memcpy(p, s.p, s.n);
    switch (roll(9)) {
    case 0:
    case 1: return s;
    case 2: /* a part */
    case 3:
        from = s.n ? roll((unsigned)s.n) : 0;
        n = s.n - from;
        return str_n(p + from, n > 3 && one_in(2) ? 1 + roll(n > 12 ? 12 : (unsigned)n) : n);
    case 4: return str_head(str_n(p, s.n), s.n ? 1 + roll((unsigned)s.n) : 0);
    case 5:
        for (size_t i = 0; i < s.n; i++)
            p[i] = (char)(one_in(2) ? toupper((unsigned char)p[i]) : p[i]);
        return str_n(p, s.n);
    case 6:
        for (size_t i = 0; i < s.n; i++)
            p[i] = (char)tolower((unsigned char)p[i]);
        return str_n(p, s.n);
    case 7:
        if (s.n && (unsigned char)p[n = roll((unsigned)s.n)] < 0x80)
            p[n] = "aE0 .x-/"[roll(8)];
        return str_n(p, s.n + 0);
    default: return str_of(PICK(nowhere));
    }
}

static str some_text(struct drawing *d) { return variant(d, field_text(some_field(d), &d->a)); }

static void write_text(struct buf *b, str s, bool quoted)
{
    if (quoted)
        lex_print_string(s, b);
    else
        buf_str(b, s);
}

/* ---- numbers, ranges, addresses ---- */

/* The number, written otherwise. */
static str same_number(struct drawing *d, const struct number *x)
{
    static const char *const plain[] = {"%.9f", "%.17g", "%.12e", "%.1f"};
    static const char *const time[] = {"%.0fns", "%.15gns"}, *const size[] = {"%.0fB", "%.15gB"};
    char text[400];
    if (x->unit != UNIT_NONE && one_in(2))
        return str_of(x->unit == UNIT_TIME ? arena_printf(&d->a, "%.15gus", x->v / 1e3)
                                           : arena_printf(&d->a, "%.15gkB", x->v / 1e3));
    snprintf(text, sizeof text,
             x->unit == UNIT_NONE   ? PICK(plain)
             : x->unit == UNIT_TIME ? PICK(time)
                                    : PICK(size),
             x->v);
    return arena_str(&d->a, str_of(text));
}

static str near_number(struct drawing *d, str text)
{
    static const char *const unit[] = {"ns", "us", "ms", "s", "m", "h", "d", "B", "kB", "MB", "GiB", "KiB"};
    struct number x;
    if (!number_read(text, &x))
        return str_of(arena_printf(&d->a, "%d", (int)roll(2000) - 200));
    switch (roll(x.unit == UNIT_NONE ? 9 : 12)) {
    case 0: return str_of(arena_printf(&d->a, "%.17g", x.v));
    case 1: return str_of(arena_printf(&d->a, "%.0f", x.v + roll(3) - 1));
    case 2: return str_of(arena_printf(&d->a, "%.1f", x.v));
    case 3: return str_of(arena_printf(&d->a, "%.6e", x.v));
    case 4: return str_of(arena_printf(&d->a, "%.15g", x.v * 1.5));
    case 5: return str_of(arena_printf(&d->a, "%.15g%s", x.unit == UNIT_NONE ? x.v : x.v / 1e6, PICK(unit)));
    case 6: return str_of(arena_printf(&d->a, "%.*s%s", STR_ARG(text), PICK(unit)));
    case 7: return str_of(arena_printf(&d->a, "%.9f", x.v / 1000));
    case 8: return text;
    default: return same_number(d, &x);
    }
}

static void write_number(struct drawing *d, struct buf *b, str text) { write_text(b, near_number(d, text), one_in(5)); }

static void write_range(struct drawing *d, struct buf *b, str text)
{
    buf_str(b, near_number(d, text));
    buf_lit(b, "..");
    buf_str(b, near_number(d, one_in(2) ? text : field_text(some_field(d), &d->a)));
}

static void write_addresses(struct buf *b, str text)
{
    static const char *const others[] = {
        "10.0.0.0/8",      "::/0",      "0.0.0.0/0",         "2001:db8::/32", "10.1.0.0..10.1.255.255", "10.0.0.1",
        "::ffff:10.1.2.3", "fe80::/10", "10.0.0.0..fe80::1", "192.1.0.0/16"};
    ip address;
    if (ip_read(text, &address) && one_in(2))
        buf_printf(b, "%.*s/%u", STR_ARG(text), roll(str_chr(text, ':') < 0 ? 33 : 129));
    else
        buf_str(b, ip_read(text, &address) && one_in(2) ? text : str_of(PICK(others)));
}

/* ---- patterns ---- */

static void write_glob(struct drawing *d, struct buf *b, str text)
{
    str s = variant(d, text);
    for (size_t i = 0; i < s.n; i++) {
        if (one_in(6))
            buf_byte(b, '*');
        if (!one_in(6))
            buf_byte(b, s.p[i]);
    }
    if (one_in(2))
        buf_byte(b, '*');
}

static str some_regex(struct drawing *d, str text)
{
    struct buf b = BUF_INIT(1 << 20);
    str s = str_head(variant(d, text), 40);
    buf_str(&b, one_in(4) ? S("(?i)") : S(""));
    buf_str(&b, one_in(4) ? S("^") : S(""));
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ascii = !(c & 0x80), digit = c >= '0' && c <= '9';
        if (digit && one_in(3))
            buf_str(&b, one_in(2) ? S("\\d+") : S("[0-9]"));
        else if (ascii && one_in(10))
            buf_str(&b, one_in(2) ? S(".") : S(".*"));
        else if (c == ' ' && one_in(2))
            buf_lit(&b, "\\s");
        else if (isalpha((unsigned char)c) && one_in(8))
            buf_printf(&b, one_in(2) ? "[^%c]" : "(%c|q)", c);
        else
            buf_printf(&b, "%s%c", ascii && ispunct((unsigned char)c) ? "\\" : "", c);
    }
    buf_str(&b, one_in(4) ? S("$") : S(""));
    buf_str(&b, one_in(8) ? S("|^$") : S(""));
    buf_str(&b, one_in(12) ? S("\\b") : S(""));
    s = arena_str(&d->a, buf_view(&b));
    buf_done(&b);
    return s;
}

/* ---- comparisons ---- */

static void write_value(struct drawing *d, struct buf *b, const char *op, str text)
{
    struct number x;
    ip address;
    bool numeric = number_read(text, &x);
    if (strchr(op, '~')) {
        write_text(b, some_regex(d, text), !one_in(5));
    } else if (op[0] == '>' || op[0] == '<') {
        if (numeric ? !one_in(8) : one_in(3))
            write_number(d, b, text);
        else
            write_text(b, variant(d, text), one_in(2));
    } else if (op[0] == ':' && one_in(4)) {
        write_glob(d, b, text);
    } else if (op[0] == ':' && one_in(8)) {
        buf_byte(b, '*');
    } else if (op[0] == ':' && (numeric ? one_in(3) : one_in(12))) {
        write_range(d, b, text);
    } else if (op[0] == ':' && (ip_read(text, &address) ? !one_in(4) : one_in(12))) {
        write_addresses(b, text);
    } else if (numeric && one_in(2)) {
        write_number(d, b, text);
    } else {
        write_text(b, variant(d, text), one_in(2));
    }
}

/* One value, or some in brackets. */
static void write_values(struct drawing *d, struct buf *b, const char *op, str text,
                         void (*write)(struct drawing *, struct buf *, const char *, str))
{
    if (!one_in(6)) {
        write(d, b, op, text);
        return;
    }
    buf_byte(b, '(');
    for (unsigned i = 1 + roll(5); i > 0; i--) {
        write(d, b, op, one_in(2) ? text : field_text(some_field(d), &d->a));
        if (i > 1)
            buf_str(b, one_in(3) ? S(" or ") : S(", "));
    }
    buf_byte(b, ')');
}

static void write_field_compare(struct drawing *d, struct buf *b)
{
    static const char *const ops[] = {":", ":", ":", ":", "=", "!=", "~", "!~", ">", ">=", "<", "<="};
    const struct field *f = some_field(d);
    const char *op = PICK(ops);
    str name = one_in(8) ? str_of(PICK(event_names)) : one_in(40) ? S("no.such") : f->name;
    lex_print_field(name, b);
    buf_str(b, str_of(op));
    write_values(d, b, op, field_text(f, &d->a), write_value);
}

/* A number of the event, wherever it stands, is what it is however it is written. */
static void write_same_number(struct drawing *d, struct buf *b)
{
    struct number x;
    const struct field *f = some_field(d);
    for (unsigned tries = 0; tries < 20 && !number_read(field_text(f, &d->a), &x); tries++)
        f = some_field(d);
    lex_print_field(f->name, b);
    buf_str(b, one_in(2) ? S(":") : one_in(2) ? S("=") : S("!="));
    if (number_read(field_text(f, &d->a), &x))
        buf_str(b, same_number(d, &x));
    else
        write_text(b, field_text(f, &d->a), true);
}

static void write_level(struct drawing *d, struct buf *b, const char *op, str ignored)
{
    static const char *const names[] = {"debug",    "info",  "notice",  "warn", "error", "error2",
                                        "critical", "fatal", "WARNING", "17",   "9",     "24"};
    (void)d, (void)ignored;
    if (strchr(op, '~'))
        buf_str(b, one_in(2) ? S("\"^e\"") : S("r"));
    else if (op[0] == ':' && one_in(4))
        buf_printf(b, "%s..%s", PICK(names), PICK(names));
    else if (op[0] == ':' && one_in(4))
        buf_str(b, one_in(3) ? S("*") : one_in(2) ? S("e*") : S("*or*"));
    else
        buf_str(b, str_of(PICK(names)));
}

static void write_time(struct drawing *d, struct buf *b, const char *op, str time)
{
    static const size_t lengths[] = {10, 16, 19, 40};
    if (strchr(op, '~')) {
        write_text(b, some_regex(d, time), true);
        return;
    }
    if (op[0] == ':' && one_in(6)) {
        write_glob(d, b, time);
        return;
    }
    size_t n = PICK(lengths);
    buf_str(b, str_head(time, n));
    buf_str(b, n == 16 || n == 19 ? S("Z") : S(""));
    if (op[0] == ':' && one_in(3))
        buf_printf(b, "..2026-11-%02u", 20 + roll(5));
}

static void write_own_compare(struct drawing *d, struct buf *b)
{
    static const char *const ops[] = {":", ":", "=", "!=", "~", "!~", ">", ">=", "<", "<="};
    const char *op = PICK(ops);
    bool level = one_in(2), number = level && one_in(3);
    buf_printf(b, "%s%s", number ? "severity_number" : level ? "level" : "time", op);
    if (number)
        write_values(d, b, op, event_text(&d->ev, S("severity_number"), &d->a), write_value);
    else
        write_values(d, b, op, event_text(&d->ev, S("time"), &d->a), level ? write_level : write_time);
}

/* ---- the whole ---- */

static void write_term(struct drawing *d, struct buf *b)
{
    switch (roll(10)) {
    case 0:
        buf_byte(b, '~');
        write_text(b, some_regex(d, field_text(some_field(d), &d->a)), !one_in(5));
        break;
    case 1:
    case 2: write_text(b, some_text(d), one_in(2)); break;
    case 3: write_own_compare(d, b); break;
    case 4: write_same_number(d, b); break;
    default: write_field_compare(d, b);
    }
}

static void write_filter(struct drawing *d, struct buf *b, unsigned depth)
{
    unsigned kind = depth ? roll(8) : 7;
    if (kind == 0) {
        buf_str(b, one_in(2) ? S("not ") : S("-"));
        buf_byte(b, '(');
        write_filter(d, b, depth - 1);
        buf_byte(b, ')');
    } else if (kind < 5) {
        const char *glue = one_in(2) ? " or " : one_in(2) ? " and " : " ";
        buf_byte(b, '(');
        for (unsigned i = 2 + roll(2); i > 0; i--) {
            write_filter(d, b, depth - 1);
            buf_str(b, i > 1 ? str_of(glue) : S(")"));
        }
    } else {
        buf_str(b, one_in(6) ? S("-") : S(""));
        write_term(d, b);
    }
}

/* A filter about `line`; its text stays in `text`. */
static struct filter *random_filter(struct drawing *d, str line, struct buf *text)
{
    struct filter *f;
    struct err e;
    for (unsigned tries = 0; tries < 1000; tries++) {
        arena_reset(&d->a);
        buf_reset(text);
        if (event_read(line, &d->ev, &d->a, &e) < 0)
            break;
        write_filter(d, text, one_in(2) ? 0 : roll(4));
        if (filter_parse(buf_view(text), &f, &e) == 0)
            return f;
    }
    printf("no filter about %.*s parses\n", STR_ARG(line));
    abort();
}

#endif
