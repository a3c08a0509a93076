/* query/needs.h - which fields of an event stages look at, so that no other columns are read. Owner: one thread. */
#ifndef QUERY_NEEDS_H
#define QUERY_NEEDS_H

#include "query/plan.h"

struct needs {
    bool all;    /* it cannot be told: every field */
    str *fields; /* views into the query; may repeat */
    size_t n;
    struct arena a;
};
void needs_done(struct needs *n);
void needs_stage(struct needs *n, const struct stage *st);

#endif
