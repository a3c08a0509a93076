/* stats/gather.h - numbers that come one by one, added up for a moment before they are written.
 *
 * A count becomes one sum, a gauge its newest value, a timing a histogram with exact n, sum, min and max: whatever came in
 * a second is one line a series. Series are told apart by the sender's bytes, so the usual number costs one lookup; what
 * names a series is checked as stats_read does, once.
 *
 * Owner   one thread. Memory: GATHER_SERIES series, some 300 bytes each and the histograms of this second; series that
 *         were silent for GATHER_IDLE go. */
#ifndef STATS_GATHER_H
#define STATS_GATHER_H

#include "stats/stats.h"

enum { GATHER_SERIES = 50000 };
#define GATHER_IDLE (300 * USEC_PER_SEC)

struct gather;
struct gathered; /* a series; valid until the next gather_flush */
struct gather *gather_new(void);
void gather_free(struct gather *g); /* NULL is fine */

struct gathered *gather_find(struct gather *g, str key); /* NULL: not met before */
struct gather_series {
    uint32_t app;
    str name, type; /* type: of gather_add count, gauge or timing */
    const str *label_names, *label_values;
    size_t labels;
    usec time; /* of its numbers; 0: when they are written */
};
/* `known`: what stats_read takes. ERR_INPUT: refused, e->pointer says for what; ERR_FULL: too many series. */
int gather_make(struct gather *g, str key, const struct gather_series *s, struct db *known, struct gathered **ret,
                struct err *e) MUST_CHECK;
/* A number that stands for `weight` of its like. `by`: a gauge moves by it. False: its type has no such number. */
bool gather_add(struct gather *g, struct gathered *s, double v, double weight, bool by) MUST_CHECK;
/* One number as a line of its own, at its own time. False: its type has no such number. */
bool gather_line(const struct gathered *s, double v, usec at, struct buf *out) MUST_CHECK;
/* Writes what came since the last time as lines of b, as of `now`; false: b has no room, and the rest waits. */
bool gather_flush(struct gather *g, usec now, struct batch *b) MUST_CHECK;
bool gather_waits(const struct gather *g); /* something is to be written */

#endif
