/* stats/pack.c - cells of the past, a stretch of a series in one blob.
 *
 * A cell is a row while it changes often. When its stretch is over (and an hour, for what comes late) the rows become one
 * blob of about two bytes a cell: 6 hours of minutes, 10 days of hours, half a year of days. What comes later still is a
 * row again, until the next packing adds it. So a reader adds up rows and blobs, in any order.
 *
 *   blob    runs of periods without a gap: LEB128 periods left out, LEB128 periods of the run, then of each
 *     of a count     LEB128 zigzag (value - the value before)
 *     of the rest    LEB128 n, NUMBER last, if n > 1: NUMBER sum, min, max,
 *                    LEB128 us of the newest since the period began, LEB128 bytes, histogram
 *   NUMBER             LEB128 zigzag (whole number) * 2, or 1 and 8 bytes of a double */
#include "base/str.h"
#include "stats/private.h"

#include <math.h>

static const struct level {
    int step;
    int64_t stretch, keep;
} levels[] = {{MINUTE, 6 * HOUR, 2 * DAY}, {HOUR, 10 * DAY, HOURS_KEEP}, {DAY, 180 * DAY, 5 * 366 * DAY}};
enum { LATE = HOUR };

const char stats_schema_packed[] =
    "CREATE TABLE stat_packed(series INTEGER, step INTEGER, start INTEGER, cells BLOB NOT NULL,"
    " PRIMARY KEY(series, step, start)) WITHOUT ROWID;";

static int64_t stretch_of(const struct level *l, int64_t start)
{
    return start - ((start % l->stretch) + l->stretch) % l->stretch;
}

/* ---- the blob ---- */
static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static int64_t zagzig(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

static void put_number(struct buf *b, double v)
{
    if (v == nearbyint(v) && fabs(v) < 1e15 && (v != 0 || !signbit(v))) {
        buf_leb128(b, zigzag((int64_t)v) << 1);
    } else {
        buf_byte(b, 1);
        buf_add(b, &v, sizeof v);
    }
}

static bool take_number(str *s, double *ret)
{
    uint64_t u;
    if (!str_leb128(s, &u))
        return false;
    if (u % 2 == 0) {
        *ret = (double)zagzig(u >> 1);
        return true;
    }
    if (u != 1 || s->n < sizeof *ret)
        return false;
    memcpy(ret, s->p, sizeof *ret);
    *s = str_skip(*s, sizeof *ret);
    return true;
}

static void put_sample(struct buf *b, int64_t start, const struct cell *c)
{
    struct buf histogram = BUF_INIT(SIZE_MAX / 2);
    usec since = c->last_time - start * USEC_PER_SEC;
    quantiles_encode(&c->quantiles, &histogram);
    buf_leb128(b, c->n);
    put_number(b, c->last);
    if (c->n > 1) {
        put_number(b, c->sum);
        put_number(b, c->min);
        put_number(b, c->max);
    }
    buf_leb128(b, since > 0 ? (uint64_t)since : 0);
    buf_leb128(b, histogram.n);
    buf_str(b, buf_view(&histogram));
    buf_done(&histogram);
}

static bool take_sample(str *s, int64_t start, struct cell *c, struct err *e)
{
    uint64_t since, n;
    if (!str_leb128(s, &c->n) || !take_number(s, &c->last))
        return false;
    c->sum = c->min = c->max = c->last;
    if (c->n > 1 && (!take_number(s, &c->sum) || !take_number(s, &c->min) || !take_number(s, &c->max)))
        return false;
    if (!str_leb128(s, &since) || !str_leb128(s, &n) || n > s->n ||
        quantiles_decode(str_head(*s, (size_t)n), &c->quantiles, e) < 0)
        return false;
    c->last_time = start * USEC_PER_SEC + (usec)since;
    *s = str_skip(*s, (size_t)n);
    return true;
}

struct unpacking {
    bool count;
    int step;
    int64_t start, value; /* of the next cell; of the one before */
    int64_t from, to;
    stat_cell_fn *fn;
    void *arg;
};

static int damaged(struct err *e) { return err_set(e, ERR_CORRUPT, "packed stats are damaged"); }

static int unpack_one(struct unpacking *u, str *blob, struct err *e)
{
    struct cell c = {0};
    uint64_t by = 0;
    int rc = 0;
    bool good = u->count ? str_leb128(blob, &by) : take_sample(blob, u->start, &c, e);
    u->value = (int64_t)((uint64_t)u->value + (uint64_t)zagzig(by));
    c.count = u->count ? u->value : 0;
    if (!good)
        rc = damaged(e);
    else if (u->start >= u->from && u->start < u->to)
        rc = u->fn(u->start, &c, u->arg, e);
    u->start += u->step;
    quantiles_done(&c.quantiles);
    return rc;
}

static int unpack(struct unpacking *u, str blob, struct err *e)
{
    while (blob.n) {
        uint64_t gap, run;
        if (!str_leb128(&blob, &gap) || !str_leb128(&blob, &run) || gap > INT32_MAX || run == 0 || run > blob.n)
            return damaged(e);
        u->start += (int64_t)gap * u->step;
        for (; run > 0; run--)
            if (unpack_one(u, &blob, e) < 0)
                return -1;
    }
    return 0;
}

/* ---- read ---- */
static int each_row(struct db *db, int64_t series, bool count, int step, int64_t from, int64_t to, stat_cell_fn *fn,
                    void *arg, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        db, count ? "SELECT start, value FROM stat_cell WHERE series = ? AND step = ? AND start >= ? AND start < ?"
                  : "SELECT start, 0, n, sum, min, max, last, last_time, histogram FROM stat_sample"
                    " WHERE series = ? AND step = ? AND start >= ? AND start < ?");
    int rc;
    sqlite3_bind_int64(st, 1, series);
    sqlite3_bind_int(st, 2, step);
    sqlite3_bind_int64(st, 3, from);
    sqlite3_bind_int64(st, 4, to);
    while ((rc = db_step(db, st, e)) > 0) {
        struct cell c = {.count = sqlite3_column_int64(st, 1)};
        if (!count) {
            c = (struct cell){.n = (uint64_t)sqlite3_column_int64(st, 2),
                              .sum = sqlite3_column_double(st, 3),
                              .min = sqlite3_column_double(st, 4),
                              .max = sqlite3_column_double(st, 5),
                              .last = sqlite3_column_double(st, 6),
                              .last_time = sqlite3_column_int64(st, 7)};
            str code = str_n(sqlite3_column_blob(st, 8), (size_t)sqlite3_column_bytes(st, 8));
            rc = quantiles_decode(code, &c.quantiles, e);
        }
        if (rc >= 0)
            rc = fn(sqlite3_column_int64(st, 0), &c, arg, e);
        quantiles_done(&c.quantiles);
        if (rc < 0) {
            sqlite3_reset(st);
            return -1;
        }
    }
    return rc;
}

static int each_blob(struct db *db, int64_t series, bool count, const struct level *l, int64_t from, int64_t to,
                     stat_cell_fn *fn, void *arg, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT start, cells FROM stat_packed WHERE series = ? AND step = ? AND start >= ?"
                                   " AND start < ?");
    int rc;
    sqlite3_bind_int64(st, 1, series);
    sqlite3_bind_int(st, 2, l->step);
    sqlite3_bind_int64(st, 3, stretch_of(l, from));
    sqlite3_bind_int64(st, 4, to);
    while ((rc = db_step(db, st, e)) > 0) {
        str blob = str_n(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
        struct unpacking u = {count, l->step, sqlite3_column_int64(st, 0), 0, from, to, fn, arg};
        if (unpack(&u, blob, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
    }
    return rc;
}

int stat_cells(struct db *db, int64_t series, enum stat_type type, int step, int64_t from, int64_t to, stat_cell_fn *fn,
               void *arg, struct err *e)
{
    bool count = type == STAT_COUNT;
    for (size_t i = 0; i < LENGTH(levels); i++)
        if (levels[i].step == step && each_blob(db, series, count, &levels[i], from, to, fn, arg, e) < 0)
            return -1;
    return each_row(db, series, count, step, from, to, fn, arg, e);
}

/* ---- packed ---- */
struct packing {
    struct cell *cells; /* of the stretch, by period */
    bool *there;
    int64_t start, step, value; /* value: of the count before */
    size_t n;
};

static int add_cell(int64_t start, const struct cell *c, void *arg, struct err *e)
{
    struct packing *p = arg;
    size_t i = (size_t)((start - p->start) / p->step);
    (void)e;
    assert(i < p->n);
    cell_add(&p->cells[i], c);
    p->there[i] = true;
    return 0;
}

static void put_run(struct packing *p, bool count, size_t from, size_t to, struct buf *out)
{
    for (size_t i = from; i < to; i++) {
        if (!count)
            put_sample(out, p->start + (int64_t)i * p->step, &p->cells[i]);
        else
            buf_leb128(out, zigzag((int64_t)((uint64_t)p->cells[i].count - (uint64_t)p->value)));
        p->value = p->cells[i].count;
    }
}

static void put_cells(struct packing *p, bool count, int64_t oldest, struct buf *out)
{
    for (size_t i = 0, before = 0; i < p->n; i++) {
        size_t from = i;
        while (i < p->n && p->there[i] && p->start + (int64_t)i * p->step >= oldest)
            i++;
        if (i == from)
            continue;
        buf_leb128(out, from - before);
        buf_leb128(out, i - from);
        put_run(p, count, from, i, out);
        before = i;
    }
}

static int write_blob(struct db *db, int64_t series, const struct level *l, int64_t start, bool count, str blob,
                      struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, count ? "DELETE FROM stat_cell WHERE series = ? AND step = ? AND start >= ? AND"
                                           " start < ?"
                                         : "DELETE FROM stat_sample WHERE series = ? AND step = ? AND start >= ? AND"
                                           " start < ?");
    sqlite3_bind_int64(st, 1, series);
    sqlite3_bind_int(st, 2, l->step);
    sqlite3_bind_int64(st, 3, start);
    sqlite3_bind_int64(st, 4, start + l->stretch);
    if (db_run(db, st, e) < 0)
        return -1;
    st = db_stmt(db, "INSERT OR REPLACE INTO stat_packed VALUES(?, ?, ?, ?)");
    sqlite3_bind_int64(st, 1, series);
    sqlite3_bind_int(st, 2, l->step);
    sqlite3_bind_int64(st, 3, start);
    sqlite3_bind_blob(st, 4, blob.p ? blob.p : "", (int)blob.n, SQLITE_TRANSIENT);
    return db_run(db, st, e);
}

static int pack_one(struct db *db, int64_t series, const struct level *l, int64_t start, bool count, int64_t oldest,
                    struct err *e)
{
    struct packing p = {.start = start, .step = l->step, .n = (size_t)(l->stretch / l->step)};
    struct buf blob = BUF_INIT(SIZE_MAX / 2);
    enum stat_type type = count ? STAT_COUNT : STAT_TIMING;
    p.cells = xcalloc(p.n, sizeof *p.cells);
    p.there = xcalloc(p.n, sizeof *p.there);
    int rc = stat_cells(db, series, type, l->step, start, start + l->stretch, add_cell, &p, e);
    if (rc == 0) {
        put_cells(&p, count, oldest, &blob);
        rc = write_blob(db, series, l, start, count, buf_view(&blob), e);
    }
    for (size_t i = 0; i < p.n; i++)
        quantiles_done(&p.cells[i].quantiles);
    free(p.cells);
    free(p.there);
    buf_done(&blob);
    return rc;
}

/* A row of a stretch that is over; 0: there is none. Of each table the primary key is walked once a stretch. */
static int next_row(struct db *db, bool count, const struct level *l, int64_t before, int64_t *series, int64_t *start,
                    struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, count ? "SELECT series, min(start) FROM stat_cell WHERE step = ?2 AND start < ?3 AND"
                                           " series >= ?1 GROUP BY series ORDER BY series LIMIT 1"
                                         : "SELECT series, min(start) FROM stat_sample WHERE step = ?2 AND start < ?3"
                                           " AND series >= ?1 GROUP BY series ORDER BY series LIMIT 1");
    sqlite3_bind_int64(st, 1, *series);
    sqlite3_bind_int(st, 2, l->step);
    sqlite3_bind_int64(st, 3, before);
    int rc = db_step(db, st, e);
    if (rc > 0) {
        *series = sqlite3_column_int64(st, 0);
        *start = stretch_of(l, sqlite3_column_int64(st, 1));
        sqlite3_reset(st);
    }
    return rc;
}

/* Rows of days are packed a week at a time, those of hours a day: a blob is not written again for each row. */
static int64_t packed_until(const struct level *l, int64_t now)
{
    int64_t over = now - LATE, part = l->step == MINUTE ? l->stretch : l->step == HOUR ? DAY : WEEK;
    return over - over % part;
}

static int drop_old(struct db *db, const struct level *l, int64_t oldest, struct err *e)
{
    static const char *const sql[] = {"DELETE FROM stat_cell WHERE step = ? AND start < ?",
                                      "DELETE FROM stat_sample WHERE step = ? AND start < ?",
                                      "DELETE FROM stat_packed WHERE step = ? AND start < ?"};
    for (size_t i = 0; i < LENGTH(sql); i++) {
        sqlite3_stmt *st = db_stmt(db, sql[i]);
        sqlite3_bind_int(st, 1, l->step);
        sqlite3_bind_int64(st, 2, i == 2 ? oldest - l->stretch : oldest);
        if (db_run(db, st, e) < 0)
            return -1;
    }
    return 0;
}

int stats_tick(struct db *db, usec now, struct err *e)
{
    int64_t s = now / USEC_PER_SEC;
    size_t left = 1000; /* blobs a call: a transaction is short */
    for (size_t i = 0; i < 2 * LENGTH(levels); i++) {
        const struct level *l = &levels[i / 2];
        bool count = i % 2 == 0;
        int64_t series = INT64_MIN, start;
        int rc;
        if (count && drop_old(db, l, s - l->keep, e) < 0)
            return -1;
        while ((rc = next_row(db, count, l, packed_until(l, s), &series, &start, e)) > 0) {
            if (left-- == 0)
                return 1;
            if (pack_one(db, series, l, start, count, s - l->keep, e) < 0)
                return -1;
        }
        if (rc < 0)
            return -1;
    }
    return 0;
}
