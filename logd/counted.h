/* counted.h - what rules with `stat` count, on its way into the stats of the same transaction.
 *
 * Numbers are held as lines of one app until there are many, another app's come, or the transaction ends.
 * Owner   the rules thread. */
#ifndef COUNTED_H
#define COUNTED_H

#include "base/db.h"
#include "rules/rules.h"

struct counted;
struct counted *counted_new(struct db *db);
void counted_free(struct counted *c); /* NULL is fine */
/* A label that must not be stored counts as __refused__; what cannot be a number of its stat is warned of. */
int counted_add(struct counted *c, uint32_t app, const struct rules_stat *s, usec now, struct err *e) MUST_CHECK;
int counted_flush(struct counted *c, usec now, struct err *e) MUST_CHECK; /* before the commit */
void counted_forget(struct counted *c);

#endif
