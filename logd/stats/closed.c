/* stats/closed.c - what each series had in a period that is over, and what it usually has. */
#include "base/str.h"
#include "stats/private.h"

enum { WEEKS = 4 };

static int add_up(int64_t start, const struct cell *c, void *arg, struct err *e)
{
    (void)start;
    (void)e;
    cell_add(arg, c);
    return 0;
}

/* 1: there is a number, 0: there is none. */
static int value_at(struct db *db, int64_t series, enum stat_type type, int step, int64_t start, double *ret,
                    struct err *e)
{
    struct cell c = {0};
    bool exact;
    int rc = stat_cells(db, series, type, step, start, start + step, add_up, &c, e);
    bool there = type == STAT_COUNT ? c.count != 0 : c.n != 0;
    if (there && type == STAT_TIMING)
        *ret = c.quantiles.count ? quantiles_get(&c.quantiles, .9, &exact) : c.last;
    else if (there)
        *ret = type == STAT_COUNT ? (double)c.count : type == STAT_MAX ? c.max : type == STAT_MIN ? c.min : c.last;
    quantiles_done(&c.quantiles);
    return rc < 0 ? -1 : there;
}

/* The median of the same hour of the weeks before. */
static int usual_at(struct db *db, int64_t series, enum stat_type type, struct stats_closed *c, struct err *e)
{
    double v[WEEKS], one;
    size_t n = 0;
    for (int week = 1; week <= WEEKS; week++) {
        int rc = value_at(db, series, type, HOUR, c->start - (int64_t)week * WEEK, &one, e);
        if (rc < 0)
            return -1;
        size_t at = n;
        for (; rc && at > 0 && v[at - 1] > one; at--)
            v[at] = v[at - 1];
        if (rc)
            v[at] = one, n++;
    }
    c->has_usual = n >= 2;
    if (n)
        c->usual = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
    return 0;
}

int stats_closed_each(struct db *db, int step, int64_t start, bool (*wanted)(str name, void *arg),
                      int (*fn)(const struct stats_closed *c, void *arg, struct err *e), void *arg, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT id, app, name, type, labels FROM stat_series WHERE last_time >= ?");
    int rc;
    sqlite3_bind_int64(st, 1, start * USEC_PER_SEC);
    while ((rc = db_step(db, st, e)) > 0) {
        int64_t series = sqlite3_column_int64(st, 0);
        struct stats_closed c = {
            (uint32_t)sqlite3_column_int64(st, 1), db_str(st, 2), db_str(st, 4), start, 0, 0, false};
        enum stat_type type;
        if (!wanted(c.name, arg) || !stat_type_of(db_str(st, 3), &type) || type == STAT_UNIQUE)
            continue;
        rc = value_at(db, series, type, step, start, &c.value, e);
        if (rc > 0 && step == HOUR)
            rc = usual_at(db, series, type, &c, e) < 0 ? -1 : 1;
        if (rc < 0 || (rc > 0 && fn(&c, arg, e) < 0)) {
            sqlite3_reset(st);
            return -1;
        }
    }
    return rc;
}
