/* stats/private.h - what the files of stats share: types, periods, and a cell. */
#ifndef STATS_PRIVATE_H
#define STATS_PRIVATE_H

#include "base/quantile.h"
#include "base/str.h"
#include "stats/stats.h"

enum stat_type { STAT_COUNT, STAT_MAX, STAT_MIN, STAT_GAUGE, STAT_TIMING, STAT_UNIQUE, STAT_TYPES };
extern const str stat_type_names[STAT_TYPES];
bool stat_type_of(str name, enum stat_type *ret); /* count is also flow */

/* The largest numbers of a count, of a timing (ms), and of the others. */
#define HOURS_KEEP (90 * DAY)
#define STAT_OTHER "__other__" /* label of the series that counts those past the limit */
#define STAT_METRICS_MAX 2000  /* of an app */
#define STAT_COUNT_MAX 1e12
#define STAT_TIMING_MAX 1e12
#define STAT_SIZE_MAX 1e15

/* Lengths of periods in seconds; a calendar's stand for its kind. */
enum { MINUTE = 60, HOUR = 3600, DAY = 86400, WEEK = 7 * DAY, MONTH = 30 * DAY, YEAR = 365 * DAY };
int64_t stat_period(int64_t s, int step);         /* the start of the one that holds second `s`, UTC; weeks are ISO's */
int64_t stat_period_end(int64_t start, int step); /* where the next one begins */

/* What a series holds of a period. */
struct cell {
    int64_t count;              /* of a count: the sum; else unused */
    uint64_t n;                 /* numbers seen; the rest counts only if there were any */
    double sum, min, max;       /* of them; sum is without what was rounded off */
    double rounded;             /* off the sum (Neumaier) */
    double last;                /* of the newest */
    usec last_time;             /* of last */
    struct quantiles quantiles; /* of a timing */
};
void cell_add(struct cell *c, const struct cell *from);
/* To 15 digits: .1 and .2 are .3, as who adds decimals expects. */
double cell_sum(const struct cell *c);

struct gather_series;
/* What names the lines of a series, up to their time: {"k":…,"l":…,"n":…. Checked as a posted object is. *ret_last: of a
 * gauge that is known, its newest value; else untouched. */
int stat_head(struct db *known, const struct gather_series *s, struct buf *out, double *ret_last,
              struct err *e) MUST_CHECK;
/* How many metrics the app has. */
int stat_metrics(struct db *db, uint32_t app, int64_t *ret, struct err *e) MUST_CHECK;
/* The newest value of a series; untouched when it is not known. */
int stat_last_known(struct db *db, uint32_t app, str name, str labels, double *ret, struct err *e) MUST_CHECK;
/* Calls fn for what a series has of each period in [from, to), in parts and in any order. */
typedef int stat_cell_fn(int64_t start, const struct cell *c, void *arg, struct err *e);
int stat_cells(struct db *db, int64_t series, enum stat_type type, int step, int64_t from, int64_t to, stat_cell_fn *fn,
               void *arg, struct err *e) MUST_CHECK;
/* The type that a metric of this app has, STAT_TYPES: it is new. `db` NULL: none is known. */
int stat_type_known(struct db *db, uint32_t app, str name, enum stat_type *ret, struct err *e) MUST_CHECK;

/* People of parts that may have some in common, because no key joins them: after a loss, or of several months. Of one
 * part it is that part, else the truth lies between the largest and the sum. */
struct unique_sum {
    int64_t parts, max, sum, low, high; /* low of the largest low, high of all highs */
};
void unique_sum_add(struct unique_sum *s, int64_t value, int64_t low, int64_t high);
int64_t unique_sum_value(const struct unique_sum *s);
struct stats_query;
int unique_is(struct db *read, const struct stats_query *q, struct err *e) MUST_CHECK; /* 1: the metric is a unique */
int unique_json(struct db *read, const struct stats_query *q, struct buf *out, struct err *e) MUST_CHECK;
int unique_last_json(struct db *read, int64_t series, struct buf *out, struct err *e) MUST_CHECK;
#define UNIQUE_OTHER "__other__" /* a label's value, of cells too small to be told apart */

#endif
