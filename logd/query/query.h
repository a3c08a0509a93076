/* query/query.h - a query is a filter and stages; it runs over a view of the store.
 *
 * Owner   parse anywhere, a parsed query is immutable. query_run: one thread per run, with its own arena; it yields a
 *         bounded result (LIMIT_RESULT) and stops at its deadline or when *cancel becomes true. */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "base/buf.h"
#include "base/err.h"
#include "event/filter.h"
#include "store/store.h"

struct query;
/* The whole grammar is parsed; errors carry e->column and what was expected. */
int query_parse(str text, struct query **ret, struct err *e) MUST_CHECK;
void query_free(struct query *q);

/* What makes events the same thing, told by those who know issues. Texts may live in `a`. */
struct query_grouping {
    /* The id of what the event's message says without its values; false: it has none. */
    bool (*pattern)(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_message);
    /* Once all are seen: the id that this has become, since two may turn out to be one, and the text. */
    void (*pattern_now)(void *arg, str id, struct arena *a, str *ret_id, str *ret_text);
    bool (*issue)(void *arg, const struct event *ev, struct arena *a, str *ret_id,
                  str *ret_title); /* false: it makes no issue */
    void *arg;
};
struct query_result;
/* Where rows go as soon as no better one can come, instead of query_result's rows; and how far it has come. In the
 * thread of the query. */
struct query_feed {
    bool (*rows)(void *arg, str lines); /* whole lines of NDJSON; false: nobody takes them, the query ends */
    void (*progress)(void *arg, const struct query_result *so_far); /* before each block: its counts */
    void *arg;
};
struct query_options {
    nsec from, to;  /* from <= time < to */
    uint32_t limit; /* rows of this page; 0: 100 events, or 10,000 rows of a table. A `limit` stage is for all pages */
    bool ascending; /* order=asc; default newest first, ties by id. Not the order of `sort` and `count` */
    str cursor;     /* from an earlier answer to the same query, from, to and order, or absent */
    usec deadline;  /* clock_mono(); 0: none */
    const _Atomic bool *cancel;            /* may be NULL */
    const struct query_grouping *grouping; /* NULL: `patterns` and `issues` are refused */
    const struct query_feed *feed;         /* NULL: none */
};
struct query_result {
    struct buf rows; /* NDJSON: events as stored, or rows of columns */
    size_t n;
    char **columns;
    size_t keys_n;    /* how many of the columns of groups tell them apart; 0: no groups, or a later stage cut them */
    size_t columns_n; /* of groups and `fields`; 0: each row has its own */
    char next[64];    /* cursor, "" at the end. A page may be shorter than asked for: LIMIT_RESULT */
    /* Blocks and events that could not add to the page were not looked at: `matched` is what was seen, not all. */
    uint64_t scanned_events, scanned_bytes, matched;
    uint32_t blocks_read, blocks; /* looked at, of those that hold the range */
    struct buf approximate; /* columns that are estimates: "uniq(user)":0.0081 (relative error), with commas between */
    bool partial;           /* the deadline came, damaged blocks were left out, or a regular expression was given up */
};
void query_result_done(struct query_result *r);
/* ERR_INPUT (with column) for a stage that does not fit there or would hold too much. */
int query_run(const struct query *q, struct store_view *v, const struct query_options *o, struct query_result *ret,
              struct err *e) MUST_CHECK;
/* Of the events that pass the filter and what leads the stages (where, fields, parse); others are not for it. Steps are
 * whole seconds, stretches start at multiples of the step, and are at most `buckets` (1 to 10000).
 * {"step_s":60,"buckets":[{"time":"…","total":7,"levels":{"error":2}}],"partial":false} */
int query_histogram(const struct query *q, struct store_view *v, const struct query_options *o, uint32_t buckets,
                    struct buf *out, struct err *e) MUST_CHECK;
/* {"FIELD":[{"value":V,"count":N},…],…}: the most frequent values of the events that query_histogram would count, at most
 * o->limit (0: 10) of each field. *ret_partial: as query_result's, or of a field only the first LIMIT_GROUPS values that
 * came are counted. */
int query_facets(const struct query *q, struct store_view *v, const struct query_options *o, const str *fields,
                 size_t n, struct buf *out, bool *ret_partial, struct err *e) MUST_CHECK;
/* {"fields":[{"name":"n","count":3,"kinds":{"number":2,"string":1}},…],"partial":false}: names that these events have,
 * most frequent first, at most o->limit (0: 1000). Kinds: null boolean number string list. */
int query_fields(const struct query *q, struct store_view *v, const struct query_options *o, struct buf *out,
                 struct err *e) MUST_CHECK;
/* {"before":[…],"event":{…},"after":[…],"partial":false}: the nearest events of the same app, oldest first. */
int query_context(struct store_view *v, const struct query_options *o, str id, uint32_t before, uint32_t after,
                  struct buf *out, struct err *e) MUST_CHECK;
/* The event with that id, as stored, no newline; ERR_GONE, or ERR_CORRUPT when it may be in a damaged block. */
int query_event(struct store_view *v, str id, struct buf *out, struct err *e) MUST_CHECK;

enum query_format { FORMAT_NDJSON, FORMAT_JSON, FORMAT_CSV, FORMAT_TEXT };
/* JSON: {"rows":[…], and the members of query_print_meta}; CSV: RFC 4180 with a header line, texts that start with
 * = + - @ TAB CR get a ' before them, numbers stay numbers; TEXT: "time level app message key=value…", control characters
 * shown. */
void query_print(const struct query_result *r, enum query_format f, struct buf *out);
/* One row as FORMAT_TEXT shows it, with its newline; what is put round its parts on a terminal. NULL: nothing. */
struct query_style {
    const char *time, *app, *name, *off; /* name: of other fields */
    const char *levels[25];              /* by severity */
};
void query_print_row(str row, const struct query_style *style, struct buf *out);
/* Control characters and what turns text round shown as escapes; also in query_print_row. */
void query_print_visible(str text, struct buf *out);
/* "columns":[…],"keys":N when all rows have them, "next":CURSOR or null, "approximate":{…} when there are estimates, what
 * query_print_progress says, "partial":… */
void query_print_meta(const struct query_result *r, struct buf *out);
/* "scanned":…,"scanned_bytes":…,"matched":…,"blocks":{"read":…,"of":…} */
void query_print_progress(const struct query_result *r, struct buf *out);

/* "now", "-15m", RFC 3339, epoch; for from= and to=. */
int query_time(str text, usec now, nsec *ret, struct err *e) MUST_CHECK;

#endif
