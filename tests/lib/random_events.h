/* tests/lib/random_events.h - blocks of random events, as intake would have written them.
 *
 * A block has a profile: which names it has, how often, and what each holds. So one block has its `status` packed as
 * integers, the next as a dictionary, a third has numbers, texts and arrays under that name. */
#ifndef TESTS_RANDOM_EVENTS_H
#define TESTS_RANDOM_EVENTS_H

#include "unit.h"
#include "base/hash.h"
#include "event/event.h"

#include <glob.h>
#include <stdlib.h>

/* ---- chance ---- */

static uint64_t chance;
static unsigned roll(unsigned n)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(chance >> 33) % n;
}
static bool one_in(unsigned n) { return roll(n) == 0; }

/* From SEED, or drawn; printed. */
static unsigned start_chance(void)
{
    const char *given = getenv("SEED");
    uint32_t drawn;
    random_bytes(&drawn, sizeof drawn);
    drawn = given ? (uint32_t)strtoul(given, NULL, 10) : drawn;
    chance = drawn;
    printf("  SEED=%u\n", drawn);
    return drawn;
}
#define PICK(array) ((array)[roll(LENGTH(array))])

/* ---- real messages ---- */

struct messages {
    str *v; /* JSON strings, without quotes */
    size_t n;
};

/* Of ../shared/data/loghub2k; none when it is absent. They live as long as the program. */
static struct messages real_messages(void)
{
    char pattern[512], line[4096];
    const char *shared = getenv("LOGD_SHARED");
    struct messages m = {NULL, 0};
    glob_t g;
    snprintf(pattern, sizeof pattern, "%s/data/loghub2k/*/*_2k.log", shared ? shared : "../shared");
    if (glob(pattern, 0, NULL, &g) == 0) {
        m.v = xcalloc(g.gl_pathc * 2500, sizeof *m.v);
        for (size_t i = 0; i < g.gl_pathc; i++) {
            FILE *in = fopen(g.gl_pathv[i], "r");
            for (size_t k = 0; in && k < 2500 && fgets(line, sizeof line, in); k++) {
                struct buf b = BUF_INIT(1 << 16);
                buf_json(&b, str_trim(str_of(line)));
                m.v[m.n++] = str_n(b.p + 1, b.n - 2);
            }
            if (in)
                fclose(in);
        }
    }
    globfree(&g);
    return m;
}

/* ---- values ---- */

enum maker {
    MAKE_WORDS,
    MAKE_REAL,
    MAKE_SMALL,
    MAKE_WIDE,
    MAKE_RISING,
    MAKE_DECIMAL,
    MAKE_FLOAT,
    MAKE_HUGE,
    MAKE_DIGITS,
    MAKE_CODE,
    MAKE_IPV4,
    MAKE_IP,
    MAKE_IPV6,
    MAKE_HEX,
    MAKE_ANY_HEX,
    MAKE_UUID,
    MAKE_FEW,
    MAKE_MANY,
    MAKE_SAME,
    MAKE_BOOL,
    MAKE_NULL,
    MAKE_ARRAY,
    MAKE_UNITS,
    MAKE_ESCAPES,
    MAKE_ODD_ESCAPES,
    MAKE_STACK,
    MAKE_SHORT,
    MAKE_MIXED
};

static const char *const event_words[] = {
    "connection", "Refused", "timeout",      "user", "Order", "paid",  "GET",   "/cart", "failed",
    "for",        "from",    "root",         "port", "disk",  "FULL",  "retry", "cache", "miss",
    "slow",       "query",   "\xc3\xa4rger", "ok",   "a",     "of",    "x*y",   "a,b",   "(none)",
    "50%",        "a_b",     "it's",         "or",   "[1]",   "level", "10",    "1.5s",  "and"};

static void make_words(struct buf *b)
{
    for (unsigned i = 1 + roll(7); i > 0; i--)
        buf_printf(b, "%s%s", PICK(event_words), i > 1 ? " " : "");
    if (one_in(3))
        buf_printf(b, " %u", roll(100000));
}

static void make_array(struct buf *b, unsigned depth)
{
    buf_byte(b, '[');
    for (unsigned i = roll(4); i > 0; i--) {
        switch (roll(depth ? 4 : 5)) {
        case 0: buf_printf(b, "%u", roll(1000)); break;
        case 1: buf_printf(b, "\"%s\"", PICK(event_words)); break;
        case 2: buf_lit(b, "null"); break;
        case 3: buf_printf(b, "{\"k\\u0041\":\"%s\\n\"}", PICK(event_words)); break;
        default: make_array(b, depth + 1);
        }
        if (i > 1)
            buf_byte(b, ',');
    }
    buf_byte(b, ']');
}

static void make_number(struct buf *b, enum maker kind, unsigned row)
{
    static const char *const floats[] = {"1.0", "1e3",  "-0",   "0",      "1.50",    "-3.25e1", "1E+2",  "5e-1",
                                         "100", "1000", "-0.0", "0.0005", "12345.6", "1.5",     "1e300", "3"};
    static const char *const huge[] = {"9007199254740991",      "9007199254740992",      "9007199254740993",
                                       "9007199254740994",      "-9007199254740993",     "9223372036854775807",
                                       "-9223372036854775808",  "9223372036854775808",   "18446744073709551616",
                                       "123456789012345678901", "123456789012345678902", "9007199254740993.0"};
    static const unsigned tens[] = {10, 100, 1000, 10000, 1000000, 1000000000};
    switch (kind) {
    case MAKE_SMALL: buf_printf(b, "%u", 200 + roll(6) * 100 + roll(4)); break;
    case MAKE_WIDE: buf_printf(b, "%s%u", one_in(4) ? "-" : "", 1 + roll(PICK(tens))); break;
    case MAKE_RISING: buf_printf(b, "%u", 100000 + row * 3 + roll(2)); break;
    case MAKE_DECIMAL: buf_printf(b, "%s%u.%02u", one_in(5) ? "-" : "", 1 + roll(900), roll(100)); break;
    case MAKE_HUGE: buf_printf(b, "%s", PICK(huge)); break;
    default: buf_printf(b, "%s", PICK(floats));
    }
}

static void make_address(struct buf *b, enum maker kind)
{
    static const char *const others[] = {
        "::1",       "fe80::1",     "2001:db8::17", "::ffff:10.1.2.3",       "010.0.0.1", "10.0.0.1",       "10.0.0",
        "300.1.1.1", "10.1.2.3:80", "localhost",    "2001:DB8:0:0:0:0:0:17", "0.0.0.0",   "255.255.255.255"};
    if (kind == MAKE_IPV6 && !one_in(4))
        buf_printf(b, one_in(3) ? "fe80::%x" : "2001:db8:%x::%x", roll(65536) + 1, roll(65536) + 1);
    else if (kind == MAKE_IP && one_in(2))
        buf_printf(b, "%s", PICK(others));
    else
        buf_printf(b, "%u.%u.%u.%u", one_in(2) ? 10 : 192, roll(3), roll(256), roll(256));
}

static void make_hex(struct buf *b, enum maker kind)
{
    if (kind == MAKE_UUID)
        buf_printf(b, "%04x%04x-1234-4abc-8def-%06x%06x", roll(65536), roll(65536), roll(1 << 24), roll(1 << 24));
    else
        buf_printf(b, kind == MAKE_HEX || one_in(2) ? "%04x%04x%04x%04x" : "%04X%04X%04X%04X", roll(65536), roll(65536),
                   roll(65536), roll(65536));
}

static void make_text(struct buf *b, enum maker kind, const struct messages *real)
{
    static const char *const unit[] = {"ns", "us", "ms", "s", "m", "h", "d", "B", "kB", "MB", "GiB", "KiB", "", "x"};
    static const char *const escapes[] = {"\\n", "\\\"", "\\\\", "\\t", "\\u0000", "\\r\\n", "\\u0001", "\xc3\xa9"};
    static const char *const odd[] = {"\\/", "\\u0041", "\\u00e9", "\\ud83d\\ude00", "\\u000a", "\\u0022", "\\ud800"};
    switch (kind) {
    case MAKE_REAL:
        if (real->n)
            buf_str(b, real->v[roll((unsigned)real->n)]);
        else
            make_words(b);
        break;
    case MAKE_DIGITS: buf_printf(b, "%s%u%s", one_in(9) ? "00" : "", roll(2000), one_in(9) ? ".50" : ""); break;
    case MAKE_CODE: buf_printf(b, "%u", roll(5000)); break;
    case MAKE_FEW: buf_printf(b, "Web-%u.example", roll(5)); break;
    case MAKE_MANY: buf_printf(b, "User %u of Shop", roll(500)); break;
    case MAKE_SAME: buf_lit(b, "Production"); break;
    case MAKE_UNITS:
        buf_printf(b, "%s%u%s%s", one_in(9) ? "-" : "", roll(2000), one_in(3) ? ".5" : "", PICK(unit));
        break;
    case MAKE_ESCAPES: buf_printf(b, "%s%s%s", PICK(event_words), PICK(escapes), PICK(event_words)); break;
    case MAKE_ODD_ESCAPES: buf_printf(b, "%s%s%s", PICK(event_words), PICK(odd), PICK(event_words)); break;
    case MAKE_STACK:
        buf_printf(b, "E: %s\\n  at a.b.C(D.java:%u)\\n  at %s", PICK(event_words), roll(99), PICK(event_words));
        break;
    case MAKE_SHORT: buf_printf(b, "%.*s", (int)roll(4), "aB1"); break;
    default: make_words(b);
    }
}

static void make_value(struct buf *b, enum maker kind, unsigned row, const struct messages *real)
{
    while (kind == MAKE_MIXED)
        kind = (enum maker)roll(MAKE_MIXED);
    if ((kind >= MAKE_SMALL && kind <= MAKE_HUGE) || (kind >= MAKE_BOOL && kind <= MAKE_ARRAY)) {
        if (kind == MAKE_BOOL)
            buf_str(b, one_in(2) ? S("true") : S("false"));
        else if (kind == MAKE_NULL)
            buf_lit(b, "null");
        else if (kind == MAKE_ARRAY)
            make_array(b, 0);
        else
            make_number(b, kind, row);
        return;
    }
    buf_byte(b, '"');
    if (kind >= MAKE_IPV4 && kind <= MAKE_IPV6)
        make_address(b, kind);
    else if (kind == MAKE_HEX || kind == MAKE_ANY_HEX || kind == MAKE_UUID)
        make_hex(b, kind);
    else
        make_text(b, kind, real);
    buf_byte(b, '"');
}

/* ---- events ---- */

static const char *const event_names[] = {
    "message", "error.stack", "status", "took_ms", "size.kb",   "took", "user.id", "ip",    "peer",   "trace_id",
    "x y",     "request",     "tags",   "ok",      "\xc3\xbcx", "host", "n",       "a.b.c", "Status", "last"};

struct profile {
    enum maker makers[LENGTH(event_names)];
    unsigned presence[LENGTH(event_names)]; /* of 100 events */
    unsigned rare;                          /* names that few events have; 0: none */
    const struct messages *real;
};

static void draw_profile(struct profile *p, const struct messages *real)
{
    static const unsigned presences[] = {100, 100, 60, 20, 2};
    bool wide = one_in(4);
    for (size_t i = 0; i < LENGTH(event_names); i++) {
        p->makers[i] = (enum maker)roll(MAKE_MIXED + 1);
        p->presence[i] = one_in(3) ? 0 : PICK(presences);
    }
    p->makers[0] = one_in(2) ? MAKE_REAL : one_in(4) ? MAKE_UNITS : one_in(6) ? MAKE_HEX : p->makers[0];
    p->makers[8] = one_in(4) ? MAKE_IPV6 : p->makers[8];
    p->presence[0] = 100;
    p->rare = wide ? 300 + roll(1000) : 0;
    p->real = real;
}

/* `profile`: a struct profile. */
static void make_event(struct buf *b, const void *profile, unsigned row)
{
    const struct profile *p = profile;
    static const char *const levels[] = {"debug", "info",   "info",     "notice", "warn",
                                         "error", "error2", "critical", "fatal"};
    buf_printf(b, "{\"level\":\"%s\",\"time\":\"2026-11-%02uT%02u:%02u:%02u", PICK(levels), 20 + roll(5), roll(24),
               roll(60), roll(60));
    if (one_in(2))
        buf_printf(b, ".%0*u", (int)(1 + roll(9)), roll(10));
    buf_lit(b, "Z\"");
    if (one_in(4))
        buf_printf(b, ",\"event_id\":\"Ev-%u\\/%u\"", row, roll(9));
    for (size_t i = 0; i < LENGTH(event_names); i++)
        if (roll(100) < p->presence[i]) {
            buf_printf(b, ",\"%s\":", event_names[i]);
            make_value(b, p->makers[i], row, p->real);
        }
    for (unsigned i = p->rare ? roll(12) : 0; i > 0; i--) {
        buf_printf(b, ",\"rare.%u\":", roll(p->rare));
        make_value(b, MAKE_MIXED, row, p->real);
    }
    buf_byte(b, '}');
}

/* `n` events, as `make` posts them; their lines are the batch's body. The caller frees it. */
static struct batch *make_batch(void (*make)(struct buf *b, const void *arg, unsigned row), const void *arg, unsigned n)
{
    struct event_writer *w = event_writer_new();
    struct buf text = BUF_INIT(1 << 20);
    usec now = 1796000000000000;
    struct batch *batch = batch_new(RECORD_EVENTS, 1, now);
    for (unsigned i = 0; i < n; i++) {
        struct event_source src = {.app = S("shop"), .now = now + roll(1000)};
        struct err e;
        size_t used;
        buf_reset(&text);
        make(&text, arg, i);
        if (event_add(w, &src, buf_view(&text), batch, &used, &e) < 0) {
            printf("%.*s: %s\n", STR_ARG(buf_view(&text)), e.text);
            abort();
        }
    }
    buf_done(&text);
    event_writer_free(w);
    return batch;
}

#endif
