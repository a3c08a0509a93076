/* query/group-patterns.c - while rows come, two patterns may turn out to be one, and a pattern's text becomes more general:
 * so groups are made by the ids at hand, and once all rows are in, under what the ids have become. */
#include "query/group-private.h"

static void join(const struct stage *st, struct accumulator *into, struct accumulator *from)
{
    for (size_t i = 0; i < st->aggregates_n; i++)
        accumulator_join(&st->aggregates[i], &into[i], &from[i]);
    free(from);
}

/* The fields of the key are pattern, app, template; see parse_patterns. */
static void make_key(struct groups *g, str old, struct arena *a)
{
    str id, text;
    int64_t start;
    memcpy(&start, old.p, sizeof start);
    old = str_skip(old, sizeof start);
    (void)group_key_take(&old);
    struct field app = group_key_take(&old);
    g->o->grouping->pattern_now(g->o->grouping->arg, group_key_take(&old).raw, a, &id, &text);
    group_key_begin(g, start);
    group_key_add(g, VALUE_STRING, text);
    group_key_add(g, app.kind, app.raw);
    group_key_add(g, VALUE_STRING, id);
}

void groups_settle_patterns(struct groups *g)
{
    struct map settled = {0};
    struct map_slot *slot;
    struct arena a = {0};
    for (size_t i = 0; (slot = map_next(&g->map, &i));) {
        make_key(g, str_n(slot->key, slot->key_n), &a);
        struct accumulator *there = map_get(&settled, buf_view(&g->key));
        if (there)
            join(g->st, there, slot->value);
        else
            map_set(&settled, buf_view(&g->key), slot->value);
        arena_reset(&a);
    }
    map_done(&g->map);
    g->map = settled;
    arena_done(&a);
}
