/* query/aggregate.h - what one function of `stats` has seen of one group.
 *
 * Numbers are JSON numbers and texts that read as one, without a unit. Whole numbers are added exactly in 128 bits,
 * others as doubles with Neumaier's correction, so the order of rows does not show. Empty: null, but 0 of count, uniq,
 * rate and sum.
 *
 * Owner   one thread. Memory: a fixed part, and what min, max, first, last, uniq and quantiles hold beside it. */
#ifndef QUERY_AGGREGATE_H
#define QUERY_AGGREGATE_H

#include "base/quantile.h"
#include "query/rows.h"
#include "query/uniq.h"

struct seen_value { /* MIN, MAX, FIRST, LAST; one allocation */
    struct key key; /* MIN, MAX: of the value */
    nsec time;      /* FIRST, LAST: of its row, with the id */
    str id, json;
    size_t bytes;
};
struct accumulator {
    uint64_t n; /* rows or values taken */
    union {
        struct {
            __int128 whole;
            double sum, lost;
        } total;
        struct seen_value *value;
        struct uniq uniq;
        struct quantiles quantiles;
    };
};
/* Does the row itself, unread, tell enough? */
bool aggregate_needs_event(const struct aggregate *g);
/* `r` gives time and id. *bytes: grows and shrinks with what is held. */
void accumulator_add(const struct aggregate *g, struct accumulator *c, const struct event *ev, const struct row *r,
                     struct arena *a, size_t *bytes);
/* The same value of so many rows. COUNT, RATE, UNIQ, SUM, AVG, QUANTILE: in which order rows come does not show. */
void accumulator_add_times(const struct aggregate *g, struct accumulator *c, const struct field *f, uint64_t times,
                           struct arena *a, size_t *bytes);
/* The same of a value that is a whole number: SUM, AVG, QUANTILE. */
void accumulator_add_whole(const struct aggregate *g, struct accumulator *c, int64_t v, size_t *bytes);
/* Of two groups that are one: COUNT, MIN, MAX, FIRST, LAST. `from` is left as nothing. */
void accumulator_join(const struct aggregate *g, struct accumulator *into, struct accumulator *from);
void accumulator_done(const struct aggregate *g, struct accumulator *c);
/* The value as JSON. `seconds`: of the stretch, for rate. *ret_error: the relative error an estimate may have, or 0. */
void accumulator_print(const struct aggregate *g, const struct accumulator *c, double seconds, struct buf *out,
                       double *ret_error);

#endif
