/* query/group.h - functions over the rows that have equal values, and over stretches of time.
 *
 * A group's key is the bytes of its stretch and of its values' kinds and texts, so that "5" and 5 are two groups, and
 * no value can look like two. At most LIMIT_GROUPS groups and LIMIT_RESULT bytes; past that an exact error, because a
 * count that leaves something out is wrong. Owner: one thread. */
#ifndef QUERY_GROUP_H
#define QUERY_GROUP_H

#include "query/columns.h"
#include "query/rows.h"

struct groups;
struct groups *groups_new(const struct stage *st, const struct query_options *o);
void groups_free(struct groups *g);
bool groups_need_event(const struct groups *g); /* else time and severity do */
/* `ev`: read, or with time and severity alone; `patterns` and `issues` add fields to it. `r` gives time and id.
 * ERR_INPUT past the limits. */
int groups_add(struct groups *g, struct event *ev, const struct row *r, struct arena *a, struct err *e) MUST_CHECK;
bool groups_only_count(const struct groups *g); /* neither `by` nor `every`, and no function looks inside: */
void groups_add_many(struct groups *g, uint64_t n);
/* The events of a block whose bits are set. 1: done; 0: not done, they have to be added one by one; 2: the block is
 * damaged, see *damage; -1: past the limits. */
int groups_add_block(struct groups *g, struct block *b, const uint64_t *bits, struct arena *a, struct err *damage,
                     struct err *e) MUST_CHECK;
/* Reads the columns that groups_add_block will. Only looks at g, so any thread may. */
void groups_look(const struct groups *g, struct block *b, bool all);
/* Rows of `time` (the start of the stretch; with `every`), the fields, the functions: by time, then by the first
 * function, largest first. The names live in `a`. Estimates are told in `ret_meta` (query.h). */
void groups_rows(struct groups *g, struct rows *ret, struct query_result *ret_meta, struct arena *a);

#endif
