/* query/plan.h - a parsed query: the filter and its stages, in order. Immutable; shared by parse.c, run.c and rows.c. */
#ifndef QUERY_PLAN_H
#define QUERY_PLAN_H

#include "base/arena.h"
#include "query/query.h"

enum { QUERY_STAGES = 16, QUERY_FIELDS = 16 };
enum stage_kind { STAGE_WHERE, STAGE_COUNT, STAGE_SORT, STAGE_LIMIT, STAGE_FIELDS };
struct stage {
    enum stage_kind kind;
    struct filter *filter;         /* WHERE */
    str fields[QUERY_FIELDS];      /* COUNT: by; SORT: keys; FIELDS */
    bool descending[QUERY_FIELDS]; /* SORT */
    size_t n;
    usec every;     /* COUNT: bucket, 0: none */
    uint32_t limit; /* LIMIT */
};
struct query {
    struct arena a;
    struct filter *filter;
    struct stage stages[QUERY_STAGES];
    size_t n;
};

/* ---- rows.c: what a query holds on its way through the stages ---- */
struct row {
    char *line; /* malloc'ed, one flat JSON object without newline */
    uint32_t length;
    nsec time; /* events only */
};
struct rows {
    struct row *p;
    size_t n, cap, bytes;
};
void rows_done(struct rows *r);
void row_done(struct row *r);
/* ERR_FULL past LIMIT_RESULT. */
int rows_add(struct rows *r, str line, nsec time, struct err *e) MUST_CHECK;
/* Every stage but the first count over a stream: where, sort, limit, fields, count. */
int rows_stage(struct rows *r, const struct stage *s, struct err *e) MUST_CHECK;
void columns_set(struct query_result *r, const str *names, size_t n, bool every, bool count);

/* ---- count.c: groups of a count ---- */
struct groups;
struct groups *groups_new(const struct stage *s);
void groups_free(struct groups *g); /* NULL is fine */
int groups_add(struct groups *g, const struct event *ev, struct err *e) MUST_CHECK;
void groups_add_many(struct groups *g, uint64_t n); /* of a count without by and every */
int groups_rows(struct groups *g, struct rows *out, struct err *e) MUST_CHECK;

#endif
