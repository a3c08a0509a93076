/* routes/backoff.h - who guesses passwords waits longer and longer.
 *
 * The first five failures of an account, or of an address, are free; then each doubles the wait: 1 s, 2 s, 4 s … up to a
 * minute for an account (so nobody is locked out of his own for longer) and a quarter of an hour for an address (IPv6:
 * its /64). An hour without a failure forgets them. An attempt counts as failed from its start until it succeeds, so
 * a hundred at the same moment gain nothing.
 *
 * Memory  4,096 entries; the longest silent of a bucket of 8 makes room. Owner: any thread, one lock. Time is passed in. */
#ifndef ROUTES_BACKOFF_H
#define ROUTES_BACKOFF_H

#include "base/base.h"

struct backoff;
enum backoff_end { BACKOFF_FAILED, BACKOFF_SUCCEEDED, BACKOFF_NEVER_RAN };

struct backoff *backoff_new(void);
void backoff_free(struct backoff *b);
/* 0: go on, and call backoff_leave. Else how long to wait; nothing was counted. */
usec backoff_enter(struct backoff *b, str account, const char *peer, usec now) MUST_CHECK;
void backoff_leave(struct backoff *b, str account, const char *peer, enum backoff_end end);

#endif
