/* issues/samples.c - see private.h. The last event is kept in memory until the transaction ends: a storm writes it once. */
#include "base/str.h"
#include "issues/private.h"

int sample_put(struct issues *is, const struct row *r, int slot, usec t, str line, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO issue_sample(issue, slot, time, line) VALUES(?, ?, ?, ?)"
                                       " ON CONFLICT DO UPDATE SET time = excluded.time, line = excluded.line");
    db_bind_str(st, 1, str_of(r->id));
    sqlite3_bind_int(st, 2, slot);
    sqlite3_bind_int64(st, 3, t);
    db_bind_str(st, 4, line);
    return db_run(is->db, st, e);
}

/* 0 for 1 to 3, 1 for 4 to 15, 2 for 16 to 63, …; -1 for 0. */
static int power_of_4(uint64_t n) { return n ? (63 - __builtin_clzll(n)) / 2 : -1; }

int samples_take(struct issues *is, struct row *r, const struct event *ev, usec t, uint64_t before, struct err *e)
{
    int power = power_of_4(r->count);
    if (ev->line.n > SAMPLE_MAX_BYTES)
        return 0;
    if (t >= r->last_seen && before) {
        is->lines_bytes += ev->line.n;
        is->lines_bytes -= r->last_line.n;
        buf_reset(&r->last_line);
        buf_str(&r->last_line, ev->line);
    }
    if ((t < r->first_seen || !before) && sample_put(is, r, SAMPLE_FIRST, t, ev->line, e) < 0)
        return -1;
    if (before && power > power_of_4(before) && ev->line.n <= SAMPLE_MAX_BYTES / 8)
        return sample_put(is, r, SAMPLE_SPREAD + (power - 1) % SAMPLES_SPREAD, t, ev->line, e);
    return 0;
}
