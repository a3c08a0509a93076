/* query/group-private.h - the inside of groups, shared by group.c (row by row) and group-columns.c (block by block).
 * Nobody else includes this. */
#ifndef QUERY_GROUP_PRIVATE_H
#define QUERY_GROUP_PRIVATE_H

#include "base/map.h"
#include "query/aggregate.h"
#include "query/group.h"

struct groups {
    const struct stage *st;
    const struct query_options *o;
    struct map map; /* key to accumulators, one for each function */
    struct buf key;
    size_t bytes;
};
/* The start of the stretch that `time` is in, in seconds. */
int64_t group_stretch(const struct stage *st, nsec time);
/* The key of a group: its stretch, then of each field kind and text. */
void group_key_begin(struct groups *g, int64_t start);
void group_key_add(struct groups *g, enum value_kind kind, str text);
/* What the key at hand has gathered, new or not; NULL with *e: past the limits. */
struct accumulator *group_at_key(struct groups *g, struct err *e) MUST_CHECK;
/* Patterns that turned out to be one become one group, and get their text. */
void groups_settle_patterns(struct groups *g);
struct field group_key_take(str *key);                                    /* the next field of a key */
int groups_check_bytes(const struct groups *g, struct err *e) MUST_CHECK; /* within LIMIT_RESULT? */
/* All functions count rows, whatever is in them. */
bool groups_count_rows(const struct groups *g);

#endif
