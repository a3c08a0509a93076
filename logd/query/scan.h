/* query/scan.h - the events of a view that match, block by block.
 *
 * Pruned by time and level before a block is decoded, by the filter's hint before a line is parsed. Looks at the deadline
 * and at *cancel before each block and every few thousand lines.
 * Owner   one thread; memory: one decoded block and one event. */
#ifndef QUERY_SCAN_H
#define QUERY_SCAN_H

#include "query/plan.h"

struct scan {
    const struct filter *const *filters; /* all must match */
    size_t filters_n;
    nsec from, to;
    bool ascending; /* order of the blocks */
    usec deadline;
    const _Atomic bool *cancel;
    bool need_event; /* on_line wants ev even when the filters did not need it */
    /* A matching line; ev is NULL unless it was read. -1 stops with the error. */
    int (*on_line)(void *arg, str line, nsec time, const struct event *ev, struct err *e);
    /* NULL, or: a line of that time is of no use any more, so it need not be looked at; blocks beyond it end the scan. */
    bool (*useless)(void *arg, nsec time);
    /* NULL, or: every event of this block matches; true: taken as a whole. */
    bool (*whole)(void *arg, const struct store_block *b);
    void *arg;
    /* told */
    uint64_t events, bytes, matched;
    bool partial;
};
int scan_run(struct scan *s, const struct store_view *v, struct err *e) MUST_CHECK;

#endif
