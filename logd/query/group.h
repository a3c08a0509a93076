/* query/group.h - counts by the values of fields, and by stretches of time.
 *
 * A group's key is the bytes of its bucket and of its values' kinds and texts, so that "5" and 5 are two groups, and
 * no value can look like two. At most LIMIT_GROUPS groups and LIMIT_RESULT bytes; past that an exact error, because a
 * count that leaves something out is wrong. Owner: one thread. */
#ifndef QUERY_GROUP_H
#define QUERY_GROUP_H

#include "query/rows.h"

struct groups;
struct groups *groups_new(const struct stage *count);
void groups_free(struct groups *g);
bool groups_need_event(const struct groups *g); /* else time and severity do */
/* `ev`: read, or with time and severity alone. ERR_INPUT past the limits. */
int groups_add(struct groups *g, const struct event *ev, struct arena *a, struct err *e) MUST_CHECK;
bool groups_only_count(const struct groups *g); /* neither `by` nor `every`: */
void groups_add_many(struct groups *g, uint64_t n);
/* Rows of `time` (the start of the stretch; with `every`), the fields, `count`: by time, then by count, largest first.
 * The names live in `a`. */
void groups_rows(const struct groups *g, struct rows *ret, struct arena *a);

#endif
