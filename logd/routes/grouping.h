/* routes/grouping.h - what `patterns` and `issues` of a query need to know of issues.
 *
 * An event's own fingerprint may have become another issue's since; which one is asked of fold.db once an id and query.
 * Owner: one query, in its thread. */
#ifndef ROUTES_GROUPING_H
#define ROUTES_GROUPING_H

#include "base/map.h"
#include "issues/issues.h"
#include "issues/patterns.h"
#include "parts.h"
#include "query/query.h"

struct grouping {
    struct query_grouping query;
    struct parts *parts;
    struct grouping_version version;
    struct patterns *patterns; /* NULL: not asked for yet */
    struct map ids;            /* fingerprint, and the one of the version before, to the issue */
    struct arena a;
};
void grouping_init(struct grouping *g, struct parts *parts);
void grouping_done(struct grouping *g);

#endif
