/* query/sql-row.c - an event as a row: what each text means is read here, once. */
#include "query/sql.h"
#include "base/str.h"

static const char clickhouse[] =
    "CREATE TABLE events (day Date, id String, at String, time Int64, app String, severity UInt8, line String, "
    "sk Array(String), sv Array(String), st Array(UInt8), "
    "nk Array(String), nv Array(Float64), nu Array(UInt8), nd Array(String), "
    "ak Array(String), av Array(String)) "
    "ENGINE = MergeTree PARTITION BY day ORDER BY (app, time);\n";
static const char sqlite[] =
    "CREATE TABLE events (id TEXT, at TEXT, time INTEGER, app TEXT, severity INTEGER, line TEXT);\n"
    "CREATE TABLE s (event INTEGER, k TEXT, v TEXT, t INTEGER, PRIMARY KEY (event, k)) WITHOUT ROWID;\n"
    "CREATE TABLE n (event INTEGER, k TEXT, v REAL, u INTEGER, d TEXT, PRIMARY KEY (event, k)) WITHOUT ROWID;\n"
    "CREATE TABLE a (event INTEGER, k TEXT, v TEXT, PRIMARY KEY (event, k)) WITHOUT ROWID;\n";

const char *sql_schema(enum sql_dialect dialect) { return dialect == SQL_SQLITE ? sqlite : clickhouse; }

void sql_digits(const struct number *x, char ret[SQL_DIGITS_MAX])
{
    str s = x->text;
    bool minus = s.n > 0 && s.p[0] == '-';
    ret[0] = '\0';
    if (!x->integer || (x->v < 0x1p53 && x->v > -0x1p53))
        return;
    s = str_skip(s, minus);
    while (s.n > 1 && s.p[0] == '0')
        s = str_skip(s, 1);
    size_t at = (size_t)snprintf(ret, SQL_DIGITS_MAX, "%d%02zu", !minus, minus ? 99 - s.n : s.n);
    assert(at + s.n < SQL_DIGITS_MAX); /* number_read takes texts of less than 64 bytes */
    for (size_t i = 0; i < s.n; i++)
        ret[at++] = (char)(minus ? '0' + '9' - s.p[i] : s.p[i]);
    ret[at] = '\0';
}

void sql_address(const ip *address, char ret[SQL_ADDRESS + 1])
{
    for (size_t i = 0; i < sizeof address->b; i++)
        snprintf(ret + 2 * i, 3, "%02x", address->b[i]);
}

static void add_number(struct sql_row *r, const struct field *f, const struct number *x)
{
    struct sql_number *n = &r->numbers[r->numbers_n++];
    n->name = f->name;
    n->v = x->v;
    n->unit = x->unit == UNIT_TIME      ? SQL_TIME
              : x->unit == UNIT_SIZE    ? SQL_SIZE
              : f->kind == VALUE_NUMBER ? SQL_PLAIN
                                        : SQL_PLAIN_TEXT;
    sql_digits(x, n->digits);
}

/* The level is a column; our id and time are no text that is searched. */
static void add_field(struct sql_row *r, const struct field *f, struct arena *a)
{
    struct number x;
    ip address;
    if (f->kind == VALUE_NULL || str_eq(f->name, S("level")) || str_eq(f->name, S("severity_number")))
        return;
    str text = field_text(f, a);
    if (!str_eq(f->name, S("id")) && !str_eq(f->name, S("time")))
        r->texts[r->texts_n++] = (struct sql_text){f->name, text, f->kind};
    if ((f->kind == VALUE_NUMBER || f->kind == VALUE_STRING) && number_read(text, &x))
        add_number(r, f, &x);
    if (f->kind == VALUE_STRING && ip_read(text, &address)) {
        r->addresses[r->addresses_n].name = f->name;
        sql_address(&address, r->addresses[r->addresses_n++].hex);
    }
}

void sql_row(const struct event *ev, struct arena *a, struct sql_row *ret)
{
    *ret = (struct sql_row){.ev = ev,
                            .at = event_text(ev, S("time"), a),
                            .texts = arena_alloc(a, ev->n * sizeof *ret->texts),
                            .numbers = arena_alloc(a, ev->n * sizeof *ret->numbers),
                            .addresses = arena_alloc(a, ev->n * sizeof *ret->addresses)};
    for (size_t i = 0; i < ev->n; i++)
        add_field(ret, &ev->f[i], a);
}

/* ---- RowBinary: numbers in little endian, texts and arrays behind their length as a varint ---- */

static void put_length(struct buf *out, size_t n)
{
    for (; n >= 128; n >>= 7)
        buf_byte(out, (char)(n | 128));
    buf_byte(out, (char)n);
}

static void put_text(struct buf *out, str s)
{
    put_length(out, s.n);
    buf_str(out, s);
}

#define PUT_ARRAY(out, r, list, put)                                                                                   \
    do {                                                                                                               \
        put_length(out, (r)->list##_n);                                                                                \
        for (size_t i = 0; i < (r)->list##_n; i++)                                                                     \
            put;                                                                                                       \
    } while (0)

static uint16_t day_of(nsec time)
{
    nsec day = time / (86400 * NSEC_PER_SEC);
    return (uint16_t)(day < 0 ? 0 : day > UINT16_MAX ? UINT16_MAX : day);
}

void sql_row_binary(const struct sql_row *r, struct buf *out)
{
    uint16_t day = day_of(r->ev->time);
    buf_add(out, &day, sizeof day);
    put_text(out, r->ev->id);
    put_text(out, r->at);
    buf_add(out, &r->ev->time, sizeof r->ev->time);
    put_text(out, r->ev->app);
    buf_byte(out, (char)r->ev->severity);
    put_text(out, r->ev->line);
    PUT_ARRAY(out, r, texts, put_text(out, r->texts[i].name));
    PUT_ARRAY(out, r, texts, put_text(out, r->texts[i].text));
    PUT_ARRAY(out, r, texts, buf_byte(out, (char)r->texts[i].kind));
    PUT_ARRAY(out, r, numbers, put_text(out, r->numbers[i].name));
    PUT_ARRAY(out, r, numbers, buf_add(out, &r->numbers[i].v, sizeof r->numbers[i].v));
    PUT_ARRAY(out, r, numbers, buf_byte(out, (char)r->numbers[i].unit));
    PUT_ARRAY(out, r, numbers, put_text(out, str_of(r->numbers[i].digits)));
    PUT_ARRAY(out, r, addresses, put_text(out, r->addresses[i].name));
    PUT_ARRAY(out, r, addresses, put_text(out, str_of(r->addresses[i].hex)));
}
