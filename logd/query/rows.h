/* query/rows.h - rows in memory: events, or what a stage made of them. A row is one line of JSON and its place in time.
 *
 * A table that is filled by rows_offer keeps the best `keep` rows of its order and, when they outgrow LIMIT_RESULT,
 * drops the worst and remembers that (`cut`). Owner: one thread. */
#ifndef QUERY_ROWS_H
#define QUERY_ROWS_H

#include "query/plan.h"

struct key { /* by which a row is sorted */
    enum { KEY_NUMBER, KEY_TEXT, KEY_MISSING } rank;
    struct number number;
    str text;
};
struct row {
    nsec time; /* by which it is ordered: its event's own, whatever a stage made of the field; TIME_NONE: none */
    str id;    /* of the event it is or was; absent: none */
    str line;
    bool stored;      /* the line is an event as stored */
    struct key *keys; /* one for each field it is sorted by, while it is */
    size_t place;     /* before it is sorted again */
    size_t bytes;     /* of all of it: one allocation */
};
struct order {
    const struct stage *sort;   /* NULL: by time alone */
    bool ascending;             /* time and id, which decide between equals too */
    const _Atomic bool *cancel; /* true: nobody waits for the order, so all are equal from now on; may be NULL */
};
struct rows {
    str *columns;     /* views into the query */
    size_t columns_n; /* 0: each row has its own */
    size_t keys_n;    /* of groups: the first columns, which tell them apart */
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
/* `r`: time, id, line, stored; copied. `ev`: read when the order has a sort. */
void rows_offer(struct rows *t, const struct row *r, const struct event *ev, struct arena *a);
void rows_sort(struct rows *t);                     /* best first: ends the heap */
void rows_add(struct rows *t, const struct row *r); /* at the end; copied */
/* Moves rows that come before all that is of time t or later in the order (of time alone) into *ret, best first; no more
 * is kept than was without them. */
void rows_settled(struct rows *t, nsec time, struct rows *ret);
void rows_give_back(struct rows *t, struct rows *settled, size_t from); /* those from there on */
struct row *row_place(const struct row *r);                             /* a copy without its line; malloc'ed */

/* ---- stages over a table that is there; `ev` is scratch ---- */
void rows_mark(struct rows *t, size_t i); /* to be dropped */
void rows_drop_marked(struct rows *t);
void rows_resort(struct rows *t, const struct order *o, struct event *ev, struct arena *a);
bool order_cancelled(const struct order *o);
void rows_skip(struct rows *t, size_t n);
void rows_limit(struct rows *t, uint64_t n);
/* The row as an event that filters and counts understand; false: a damaged line. */
bool rows_event(const struct rows *t, size_t i, struct event *ev, struct arena *a);

/* ---- values ---- */
struct key key_of(str field, const struct event *ev, struct arena *a);
/* Numbers, then texts, then what has none: that is last in both directions. */
int key_cmp(const struct key *x, const struct key *y, bool descending);

#endif
