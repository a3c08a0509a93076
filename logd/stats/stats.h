/* stats/stats.h - numbers over time that keep no person: count (alias flow), max, min, gauge, timing, unique.
 *
 * stats_read checks posted objects and makes the record's body; stats_apply folds it into cells of fold.db: minute 48 h,
 * hour 90 d, day 5 y, month and totals for ever. At most 2,000 metrics an app, and 200 label sets a metric, then
 * `__other__`. A metric has one type in an app.
 *
 * A day or month in fold.db is a date of the kept zone, whatever hours that was: a date's start as if it were UTC. So a
 * day of 23 hours is one, and where the zone is changed the dates go on. Days of another zone are added up from hours.
 *
 * Owner   stats_read: intake. stats_apply, stats_tick: the rules thread. *_json: any read connection. */
#ifndef STATS_STATS_H
#define STATS_STATS_H

#include "base/db.h"
#include "base/err.h"
#include "base/zone.h"
#include "event/batch.h"

struct unique_batch;

extern const char stats_schema[], stats_schema_types[], stats_schema_packed[]; /* SQL, in this order */
/* `body`: one object, an array, or objects one a line. Good ones become lines of b, ids of uniques go to `ids` (NULL:
 * they are refused), others batch_reject. `known` has the metrics that are there, NULL: nothing is known of them. */
int stats_read(str body, usec now, struct db *known, struct unique_batch *ids, struct batch *b,
               struct err *e) MUST_CHECK;
/* `zone`: whose days and months are kept; NULL: UTC. */
int stats_apply(struct db *db, uint32_t app, const struct zone *zone, str lines, struct err *e) MUST_CHECK;
/* Packs cells whose stretch is over, drops those past their keep; 1: there is more to do, call again. */
int stats_tick(struct db *db, usec now, struct err *e) MUST_CHECK;

/* Names, types, labels, last value; app 0: all. */
typedef void stats_app_name_fn(void *arg, uint32_t app, struct buf *out); /* its name as JSON */
int stats_names_json(struct db *read, uint32_t app, stats_app_name_fn *name, void *arg, struct buf *out,
                     struct err *e) MUST_CHECK;
struct stats_query {
    uint32_t app; /* 0: all */
    str name, by; /* minute hour day week month year */
    nsec from, to;
    str label_name[8], label_value[8];
    size_t labels_n;
    str group;                      /* absent: none */
    const struct zone *zone, *kept; /* of days and what is longer; of those in fold.db. NULL: UTC */
    usec now;
    bool stock;  /* a count's points say the running total at their end */
    bool closed; /* of uniques only periods that are over */
    bool noised; /* and those as they are published, with noise */
};
/* What the series of wanted stats had in the period of `step` (60 or 3600 s) at `start`. */
struct stats_closed {
    uint32_t app;
    str name, labels; /* labels: JSON */
    int64_t start;
    double value, usual; /* usual: the median of the same hour of four weeks, when there are two of them */
    bool has_usual;
};
int stats_closed_each(struct db *db, int step, int64_t start, bool (*wanted)(str name, void *arg),
                      int (*fn)(const struct stats_closed *c, void *arg, struct err *e), void *arg,
                      struct err *e) MUST_CHECK;
/* Of one stat, in Prometheus' text; nothing when there is none of that name. */
struct stats_expose {
    usec now;
    const struct zone *kept;
    str (*app_name)(uint32_t app, void *arg); /* valid until the next call */
    void *arg;
};
int stats_expose(struct db *read, str name, const struct stats_expose *x, struct buf *out, struct err *e) MUST_CHECK;
/* An answer of stats_json becomes CSV: a line a point, a column for each name that a point has. */
void stats_csv(struct buf *answer);
int stats_json(struct db *read, const struct stats_query *q, struct buf *out, struct err *e) MUST_CHECK;

#endif
