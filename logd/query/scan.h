/* query/scan.h - which events of a view match: blocks are left out by what is known of them, lines by what a glance
 * tells, and only what is left is read.
 *
 * Owner   one thread, one scan. Memory: one decoded block and one read event. */
#ifndef QUERY_SCAN_H
#define QUERY_SCAN_H

#include "query/columns.h"
#include "query/plan.h"

struct scan {
    struct store_view *view;
    const struct filter *filters[1 + QUERY_STAGES_MAX]; /* all of them must match */
    struct prepared *prepared[1 + QUERY_STAGES_MAX];
    size_t filters_n;
    const str *fields; /* what scan_event has to give beside time and severity; NULL: everything */
    size_t fields_n;
    nsec from, to;
    bool ascending; /* blocks by their first event, oldest first; else by their last, newest first */
    usec deadline;
    const _Atomic bool *cancel;
    void *arg;
    bool (*more)(void *arg, const struct store_block *b); /* false: neither this nor later blocks; NULL: all */
    bool (*whole)(void *arg,
                  const struct store_block *b);   /* all its events match: true: taken as they are; NULL: never */
    bool (*wanted)(void *arg, nsec time, str id); /* false: not this event, before it is read; NULL: all */
    int (*take)(void *arg, struct scan *s, struct err *e); /* a matching event; <0 ends the scan */
    /* A block of columns, the bits of its matching events: 1 taken as a whole, 0 not taken, so its events are given one
     * by one, 2 damaged, <0 ends the scan. NULL: none is taken. `wanted` is not asked. */
    void (*look)(const void *arg, struct block *b, bool all); /* reads columns that will be needed, maybe in another
                                                                 thread; `all` its events match. NULL: none */
    int (*take_bits)(void *arg, struct scan *s, const uint64_t *bits, struct err *damage, struct err *e);

    nsec time; /* of the event at hand; scan_line and scan_event give the rest */
    int severity;

    uint64_t events, bytes, matched;
    bool partial; /* the deadline came, a block or line is damaged, a regular expression was given up */

    bool stopped;       /* by deadline or cancel */
    bool read;          /* `ev` is the event at hand */
    uint32_t unchecked; /* lines since the clock was asked */
    struct arena a;
    struct buf scratch;
    struct event ev;

    /* ---- the place of the event at hand ---- */
    str line;            /* of the head */
    struct block *block; /* of a segment; NULL: `line` */
    size_t row;
    bool *given;                     /* columns of the block that `fields` names; NULL: all */
    struct arena *block_a, *match_a; /* that go with the block */
    struct buf text;                 /* its line, when it was asked for */
    char id[EVENT_ID_LEN];
};
struct scan *scan_new(const struct query *q, struct store_view *v, const struct query_options *o);
void scan_free(struct scan *s);
void scan_filter(struct scan *s, const struct filter *f); /* one more */
/* The deadline has come, or the query was cancelled: `partial` and `stopped` are set. */
bool scan_out_of_time(struct scan *s);
/* May the block be taken by `whole`, as far as is known without reading it? */
bool scan_takes_whole(const struct scan *s, const struct store_block *b);
int scan_run(struct scan *s, struct err *e) MUST_CHECK;
/* The event at hand, read when it was not yet; NULL: damaged. `line` of it is absent: */
const struct event *scan_event(struct scan *s);
str scan_id(struct scan *s);   /* good until the next event. Absent: damaged */
str scan_line(struct scan *s); /* as stored; good until the next event. Absent: damaged */
str line_id(str line);         /* of a stored line; absent: it is not one */

#endif
