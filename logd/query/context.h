/* query/context.h - what happened around events: the nearest ones of the same app, before and after.
 *
 * Hits of one app cut its time into gaps. An event in a gap can only be near the hits at its ends, so each gap keeps the
 * nearest to either, and one pass serves all hits; the gaps without an end are searched from their hit outwards and end
 * when they are full. The range of the query does not hold for what is around.
 *
 * Owner: one thread. Memory: LIMIT_RESULT, an exact error past it. */
#ifndef QUERY_CONTEXT_H
#define QUERY_CONTEXT_H

#include "query/rows.h"

struct surroundings {
    uint64_t before, after;
    size_t column; /* of the stage, for errors */
    bool partial;  /* as query_result's */
};
/* The hits (stored events) and what is around them, in the order of o; ret owns its rows. */
int context_find(struct store_view *v, const struct query_options *o, const struct rows *hits, struct surroundings *c,
                 struct rows *ret, struct err *e) MUST_CHECK;

#endif
