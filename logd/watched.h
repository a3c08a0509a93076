/* watched.h - stats that rules watch: each minute and hour that is over, as an event that only such rules see.
 *
 *   {"time","app","type":"stat","stat":{"name","by"},"value", "usual","ratio", labels as they are}
 *
 * value: a count's sum, the newest of a gauge, the most or least of max and min, a timing's p90. Of hours also `usual`, the
 * median of the same hour of the four weeks before (of two at least), and `ratio`, value to usual. A period without a number
 * gives no event: that is what `absent` is for. Periods that passed while the server was down are not looked at.
 *
 * Owner   the rules thread. */
#ifndef WATCHED_H
#define WATCHED_H

#include "base/db.h"
#include "rules/rules.h"

#define WATCHED_GRACE (5 * USEC_PER_SEC) /* what a sender held back for a moment is in it */

struct auth;
struct watched {
    int64_t minute; /* the last that was looked at; 0: none since start */
};
/* A number; `line` is a stored line. */
typedef int watched_fn(str line, const char *name, bool hours, void *arg, struct err *e);
/* *ret_due: when to call again. */
int watched_look(struct watched *w, struct db *db, struct auth *auth, const struct rules_set *rules, usec now,
                 usec *ret_due, watched_fn *fn, void *arg, struct err *e) MUST_CHECK;

#endif
