/* issues/learned.h - what the template miner knows, kept in fold.db.
 *
 * Rows: each shape when it is new, so that a start learns again what was known, in the same order; and for each id that
 * became another's, which. Of both the latest are kept. Of a message only hashes of its words are stored.
 * Owner   the rules thread, inside its transaction; alias_resolve takes any thread's read connection. */
#ifndef ISSUES_LEARNED_H
#define ISSUES_LEARNED_H

#include "base/db.h"
#include "issues/issues.h"

struct learned;
struct templates;
struct id_pair {
    char from[17], into[17];
};
struct learned *learned_new(struct db *db);
void learned_free(struct learned *l);
void learned_forget(struct learned *l); /* the transaction was rolled back: read it again */
/* Puts the template's id into `fp`, which must have a shape. *ret_joined: ids that became one by it, until the next call. */
int learned_offer(struct learned *l, struct fingerprint *fp, const struct id_pair **ret_joined, size_t *ret_n,
                  struct err *e) MUST_CHECK;
/* The issue of `from` is that of `into` from now on. */
int alias_save(struct learned *l, const char *from, const char *into, struct err *e) MUST_CHECK;
/* Learns all that is known; any thread's read connection. */
int learned_read(struct db *db, struct templates *t, struct err *e) MUST_CHECK;
/* What `id` became, or `id`. */
int alias_resolve(struct db *db, str id, char ret[17], struct err *e) MUST_CHECK;

#endif
