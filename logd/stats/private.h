/* stats/private.h - what the files of stats share: types, periods, and a cell. */
#ifndef STATS_PRIVATE_H
#define STATS_PRIVATE_H

#include "base/quantile.h"
#include "base/str.h"
#include "stats/stats.h"

enum stat_type { STAT_COUNT, STAT_MAX, STAT_MIN, STAT_GAUGE, STAT_TIMING, STAT_TYPES };
extern const str stat_type_names[STAT_TYPES];
bool stat_type_of(str name, enum stat_type *ret); /* count is also flow */

/* The largest numbers of a count, of a timing (ms), and of the others. */
#define STAT_COUNT_MAX 1e12
#define STAT_TIMING_MAX 1e12
#define STAT_SIZE_MAX 1e15

/* Lengths of periods in seconds; a calendar's stand for its kind. */
enum { MINUTE = 60, HOUR = 3600, DAY = 86400, WEEK = 7 * DAY, MONTH = 30 * DAY, YEAR = 365 * DAY };
int64_t stat_period(int64_t s, int step); /* the start of the one that holds second `s`, UTC; weeks are ISO's */

/* What a series holds of a period. */
struct cell {
    int64_t count;              /* of a count: the sum; else unused */
    uint64_t n;                 /* numbers seen; the rest counts only if there were any */
    double sum, min, max;       /* of them */
    double last;                /* of the newest */
    usec last_time;             /* of last */
    struct quantiles quantiles; /* of a timing */
};
void cell_add(struct cell *c, const struct cell *from);

struct gather_series;
/* What names the lines of a series, up to their time: {"k":…,"l":…,"n":…. Checked as a posted object is. *ret_last: of a
 * gauge that is known, its newest value; else untouched. */
int stat_head(struct db *known, uint32_t app, const struct gather_series *s, struct buf *out, double *ret_last,
              struct err *e) MUST_CHECK;
/* The newest value of a series; untouched when it is not known. */
int stat_last_known(struct db *db, uint32_t app, str name, str labels, double *ret, struct err *e) MUST_CHECK;
/* The type that a metric of this app has, STAT_TYPES: it is new. `db` NULL: none is known. */
int stat_type_known(struct db *db, uint32_t app, str name, enum stat_type *ret, struct err *e) MUST_CHECK;

#endif
