/* issues/templates.h - which messages were printed by the same statement: an online, bounded template miner.
 *
 * A shape that was seen before costs one look into a table. A new one is laid over the known templates, then each of its
 * words is left out in turn: when enough shapes are the same but for one place, that place is a value, and they become
 * one template. What was two becomes one, never the other way round, and the oldest id stays: `on_join` tells each pair
 * once, so that what is stored under an id never needs to be rewritten by its reader.
 *
 * The same offers in the same order give the same ids. No I/O, no clock.
 * Owner   one thread.
 * Memory  about 25 MiB at most, for all scopes together: shapes and counts that were not met for long make way. When
 *         templates run out (130,000) all is forgotten and learned again; ids that were told stay good. */
#ifndef ISSUES_TEMPLATES_H
#define ISSUES_TEMPLATES_H

#include "issues/shape.h"

struct templates;
/* `from` is `into` from now on. */
typedef void templates_join_fn(void *arg, uint64_t from, uint64_t into);
struct templates *templates_new(templates_join_fn *on_join, void *arg);
void templates_free(struct templates *t); /* NULL is fine */
struct template_found {
    uint64_t id;
    bool fresh; /* the shape was not known: `id` is its own, or a template's that it fits */
};
/* `scope`: shapes of different ones are never the same. `id`: of the shape, should it begin a template; not 0.
 * Weighs `s` when it is new and so needs its message. */
struct template_found templates_offer(struct templates *t, uint64_t scope, uint64_t id, str message, struct shape *s);
/* The same for a shape that was weighed before and kept; without its message. */
struct template_found templates_learn(struct templates *t, uint64_t scope, uint64_t id, const struct shape *s);
bool templates_knows(struct templates *t, uint64_t scope, const struct shape *s);
uint64_t shape_id(uint64_t scope, const struct shape *s); /* stable; never 0 */

#endif
