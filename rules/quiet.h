/* rules/quiet.h - does this signal leave now, or wait for a digest?
 *
 * A storm of one error costs its reader one mail, not a thousand: the first signal of a key goes out at once (or after
 * the rule's `wait`), later ones inside the window are counted, and the count is handed out when the window closes.
 * Nothing is dropped in silence.
 *
 *   (none) --offer--> SEND, window runs --offer--> HOLD … --window closes--> digest, next window, twice as long
 *     `--offer with wait--> HOLD --wait is over--> first mail          `--closes with nothing held--> (none)
 *
 * A window that follows a digest is twice as long as the one before, up to a day: repeats back off. One key is one
 * incident of (rule, key): notify/incidents.c does the same in SQL, with people's acks, and is tested against this.
 *
 * Owner   one thread; no locks, no I/O, no clock: time is passed in and does not go back.
 * Memory  at most max_keys entries; past that, all new keys share one overflow entry, QUIET_OTHERS. */
#ifndef RULES_QUIET_H
#define RULES_QUIET_H

#include "base/buf.h"
#include "base/err.h"

#define QUIET_OTHERS S("(other keys)")
#define QUIET_WINDOW_MAX (86400 * USEC_PER_SEC) /* windows grow no further; one that starts longer stays */

struct quiet;
enum quiet_verdict { QUIET_SEND, QUIET_HOLD };

struct quiet *quiet_new(size_t max_keys);
void quiet_free(struct quiet *q); /* NULL is fine */
/* Takes note of one signal at `now`. `key` (rule, values) is copied; `wait` and `window` count for a key that is not
 * there yet. Hand out what is due at `now` first. */
enum quiet_verdict quiet_offer(struct quiet *q, str key, usec wait, usec window, usec now) MUST_CHECK;

struct quiet_due {
    str key;       /* valid until the next call on q */
    uint64_t held; /* signals it stands for, at least 1 */
    bool first;    /* the first mail of the key, after its wait; false: a digest */
    usec at;       /* when it fell due, at most `now` */
};
/* Hands out one mail that is due, the earliest first; false when none is. Call it until it says false. */
bool quiet_due(struct quiet *q, usec now, struct quiet_due *ret) MUST_CHECK;
usec quiet_next(const struct quiet *q); /* when to look again; INT64_MAX: nothing waits */
/* Whether the key's window is open: there is an incident. */
bool quiet_open(const struct quiet *q, str key);

/* All of it as bytes, and back into an empty one. -1 (ERR_CORRUPT): not what quiet_save wrote. */
void quiet_save(const struct quiet *q, struct buf *out);
int quiet_load(struct quiet *q, str bytes, struct err *e) MUST_CHECK;

#endif
