/* query/ahead.h - blocks of a scan, looked at before they are asked for: a second thread reads the next ones while the
 * first one takes what was found.
 *
 * What is looked at: which events of the block match, and the columns that will be read then. Blocks are given in order;
 * the thread that asks works too when the one it needs is not begun.
 *
 * Owner   the scan's thread. What the scan's `look` and filters touch is read by both and must not change meanwhile. */
#ifndef QUERY_AHEAD_H
#define QUERY_AHEAD_H

#include "query/scan.h"

enum look {
    LOOK_DAMAGED, /* `why` */
    LOOK_WHOLE,   /* not read: all its events match, if the taker wants no more than that */
    LOOK_LINES,   /* not read: it is of the head */
    LOOK_BITS,    /* `block`, `bits` */
    LOOK_NOTHING, /* no event of it matches */
};
struct looked {
    enum look look;
    size_t index; /* in the view */
    struct block block;
    uint64_t *bits;
    struct arena block_a, match_a;
    struct err why;
};

struct ahead;
/* `blocks`: numbers in the view, in order; they stay the caller's. */
struct ahead *ahead_new(const struct scan *s, const size_t *blocks, size_t n);
void ahead_free(struct ahead *a);
/* The i-th block, asked for in order. Good until the next is asked for. */
struct looked *ahead_next(struct ahead *a, size_t i);
/* The same for a LOOK_WHOLE that is to be read after all. */
void ahead_read(struct ahead *a, struct looked *l);

#endif
