/* query/plan.h - a parsed query, for those who run it. Nobody outside query/ includes this. */
#ifndef QUERY_PLAN_H
#define QUERY_PLAN_H

#include "base/arena.h"
#include "base/str.h"
#include "query/query.h"

enum stage_kind {
    STAGE_WHERE,
    STAGE_SORT,
    STAGE_LIMIT,
    STAGE_FIELDS,
    STAGE_PARSE,
    STAGE_CONTEXT,
    STAGE_COUNT, /* from here on: rows become groups */
    STAGE_STATS,
    STAGE_TOP,
    STAGE_PATTERNS,
    STAGE_ISSUES,
};
enum aggregate_fn { FN_COUNT, FN_UNIQ, FN_SUM, FN_AVG, FN_MIN, FN_MAX, FN_QUANTILE, FN_RATE, FN_FIRST, FN_LAST };
struct aggregate {
    enum aggregate_fn fn;
    double quantile;     /* QUANTILE: 0.5, 0.9 … */
    str field;           /* absent: the row itself (COUNT, RATE) */
    struct filter *only; /* `if`; NULL: every row */
    str name;            /* of its column */
};
enum parse_form { PARSE_JSON, PARSE_LOGFMT, PARSE_PATTERN };
struct capture { /* of a pattern: text that must stand there, then what is taken up to the next one's text */
    str before;
    bool takes; /* false: the pattern ends in text */
    str name;   /* absent: taken and forgotten */
};
struct stage {
    enum stage_kind kind;
    const char *name;
    size_t column;
    struct filter *where; /* WHERE */
    str *fields;          /* SORT, FIELDS; groups: by */
    bool *descending;     /* SORT: of each field */
    size_t fields_n;
    uint64_t limit; /* LIMIT; TOP: groups; CONTEXT: events on each side */
    usec every;     /* groups; 0: no stretches. Whole seconds */
    struct aggregate *aggregates;
    size_t aggregates_n;
    enum parse_form form; /* PARSE */
    str from;
    struct capture *captures; /* PATTERN */
    size_t captures_n;
};
struct query {
    struct arena a; /* texts and stages */
    struct filter *filter;
    struct stage *stages;
    size_t stages_n;
};
enum { QUERY_STAGES_MAX = 32, QUERY_FIELDS_MAX = 64 };

static inline bool stage_groups(const struct stage *st) { return st->kind >= STAGE_COUNT; }

/* run.c: notes that values of a column are estimates; error 0: they are not. */
void result_approximate(struct query_result *r, str column, double error);

/* parse-stage.c: one stage, its name and all. */
struct parser {
    struct lexer *l;
    struct query *q;
    struct err *e;
};
int parse_stage(struct parser *p, struct stage *ret) MUST_CHECK;

#endif
