/* query/plan.h - a parsed query, for those who run it. Nobody outside query/ includes this. */
#ifndef QUERY_PLAN_H
#define QUERY_PLAN_H

#include "base/arena.h"
#include "base/str.h"
#include "query/query.h"

enum stage_kind {
    STAGE_WHERE,
    STAGE_COUNT,
    STAGE_SORT,
    STAGE_LIMIT,
    STAGE_FIELDS,
    STAGE_STATS, /* from here on: parsed, not run yet */
    STAGE_TOP,
    STAGE_PARSE,
    STAGE_CONTEXT,
    STAGE_PATTERNS,
    STAGE_ISSUES,
};
struct stage {
    enum stage_kind kind;
    const char *name;
    size_t column;
    struct filter *where; /* WHERE */
    str *fields;          /* COUNT: by; SORT, FIELDS */
    bool *descending;     /* SORT: of each field */
    size_t fields_n;
    uint64_t limit; /* LIMIT */
    usec every;     /* COUNT; 0: no buckets. Whole seconds */
};
struct query {
    struct arena a; /* texts and stages */
    struct filter *filter;
    struct stage *stages;
    size_t stages_n;
};
enum { QUERY_STAGES_MAX = 32, QUERY_FIELDS_MAX = 64 };

#endif
