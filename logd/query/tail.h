/* query/tail.h - events as they are accepted, to those who follow a filter.
 *
 * The journal's thread hands over what it published and never waits; one thread reads each event once and asks each
 * follower's filter once. A follower that does not keep up loses events and is told how many, in their place.
 *
 * Owner   tail_publish: the journal thread; tail_follow: any. Sinks are called by the tail's thread.
 * Memory  LIMIT_TAIL_WAIT bytes wait for the thread; what waits for a follower is its sink's. */
#ifndef QUERY_TAIL_H
#define QUERY_TAIL_H

#include "query/query.h"

struct tail;
struct tail *tail_new(void);
void tail_free(struct tail *t); /* joins; ends all sinks; NULL is fine */
/* `lines` of accepted events, copied; does nothing while nobody follows. */
void tail_publish(struct tail *t, str lines);

struct tail_sink {                       /* of one follower: an event stream (text/event-stream) */
    bool (*write)(void *arg, str bytes); /* all or nothing; false: no room */
    bool (*gone)(void *arg);             /* nobody listens any more */
    void (*end)(void *arg);              /* once, the last call */
    void *arg;
};
/* A filter and `where`, `fields` and `parse`; ERR_INPUT with column for other stages. */
int tail_check(const struct query *q, struct err *e) MUST_CHECK;
bool tail_has_room(struct tail *t); /* false: as many follow as may */
/* Takes q, which tail_check has seen. A comment comes first, and whenever nothing came for 15 s; what was lost comes as
 * `event: dropped`, `data: {"dropped":N}`. */
void tail_follow(struct tail *t, struct query *q, const struct tail_sink *sink);
struct tail_stats {
    size_t followers;
    uint64_t sent, dropped; /* events, of all followers */
};
void tail_stats(struct tail *t, struct tail_stats *ret);

#endif
