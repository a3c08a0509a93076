/* counted.h - stats on their way into fold.db: records of them, and what rules with `stat` count in the same transaction.
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
int counted_add(struct counted *c, uint32_t app, const struct rules_stat *s, struct err *e) MUST_CHECK;
int counted_flush(struct counted *c, struct err *e) MUST_CHECK; /* before the commit */
void counted_zone(struct counted *c, const char *name);         /* whose days are kept; UTC until then */
/* A record of stats. */
int counted_apply(struct counted *c, uint32_t app, str lines, struct err *e) MUST_CHECK;
void counted_forget(struct counted *c);

#endif
