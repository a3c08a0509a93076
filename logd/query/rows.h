/* query/rows.h - rows in memory: events, or rows of columns that a stage made of them.
 *
 * A table that is filled by rows_offer keeps the best `keep` rows of its order and, when they outgrow LIMIT_RESULT,
 * drops the worst and remembers that (`cut`). Owner: one thread. */
#ifndef QUERY_ROWS_H
#define QUERY_ROWS_H

#include "query/plan.h"

struct cell {
    enum value_kind kind;
    str text; /* strings decoded, others as JSON; absent: the row has no such field */
};
struct key { /* by which a row is sorted */
    enum { KEY_NUMBER, KEY_TEXT, KEY_MISSING } rank;
    struct number number;
    str text;
};
struct row {
    nsec time;          /* TIME_NONE: none */
    str id;             /* of the event it is or was */
    str line;           /* of an event: as stored; absent: `cells` */
    struct cell *cells; /* one for each column */
    struct key *keys;   /* one for each field it is sorted by, while it is */
    size_t place;       /* before it is sorted again */
    size_t bytes;       /* of all of it: one allocation */
};
struct order {
    const struct stage *sort; /* NULL: by time alone */
    bool ascending;           /* time and id, which decide between equals too */
};
struct rows {
    str *columns;     /* views into the query */
    size_t columns_n; /* 0: events */
    struct row **p;
    size_t n, cap, bytes;
    struct order order; /* of the heap while rows are offered: the worst is rows[0] */
    size_t keep;
    bool cut; /* rows were dropped because of their bytes */
};
void rows_done(struct rows *t);
/* Would a row of this time and id be kept? Only asked when the order is by time alone. */
bool rows_wants(const struct rows *t, nsec time, str id);
/* No later than `newest`, no earlier than `oldest`: may such rows still be kept? */
bool rows_wants_between(const struct rows *t, nsec oldest, nsec newest);
void rows_offer(struct rows *t, const struct event *ev,
                struct arena *a); /* ev: read when the order has a sort, else line, id, time */
void rows_sort(struct rows *t);   /* best first: ends the heap */
/* A row of columns; the texts are copied. `id`: of the event it was, or absent. */
void rows_add_cells(struct rows *t, nsec time, str id, const struct cell *cells);

/* ---- stages over a table that is there; `ev` is scratch ---- */
void rows_mark(struct rows *t, size_t i); /* to be dropped */
void rows_drop_marked(struct rows *t);
void rows_resort(struct rows *t, const struct stage *sort, struct event *ev, struct arena *a);
void rows_skip(struct rows *t, size_t n);
void rows_limit(struct rows *t, uint64_t n);
void rows_fields(struct rows *t, const struct stage *fields, struct event *ev, struct arena *a);
/* The row as an event that filters and counts understand; false: a damaged line. */
bool rows_event(const struct rows *t, size_t i, struct event *ev, struct arena *a);
void rows_print_row(const struct rows *t, size_t i, struct buf *out); /* one JSON object and \n */

#endif
