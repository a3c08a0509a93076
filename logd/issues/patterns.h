/* issues/patterns.h - the patterns of the messages that somebody looks through, of whatever level.
 *
 * A pattern is the template that the miner knows of a message. What was learned of issues is learned first, so a message
 * that makes an issue has the issue's id here; the others are learned as they come and forgotten with this.
 * Owner   one thread; `read` is its connection.
 * Memory  the miner's 25 MiB, and PATTERNS_BYTES of texts; past that what is new is one pattern, "<*>". */
#ifndef ISSUES_PATTERNS_H
#define ISSUES_PATTERNS_H

#include "base/db.h"
#include "event/event.h"

enum { PATTERNS_BYTES = 32 << 20 };
struct patterns;
/* `read`: fold.db, or NULL: nothing was learned. What cannot be read is not known, and said in the log. */
struct patterns *patterns_new(struct db *read);
void patterns_free(struct patterns *p); /* NULL is fine */
/* The event's message and the id of its pattern, in `a`. False: it says nothing. */
bool patterns_offer(struct patterns *p, const struct event *ev, struct arena *a, str *ret_id, str *ret_message);
/* The id that such an id is by now, since patterns turn out to be one, and the pattern: <*> for values. Both in `a`. */
void patterns_now(struct patterns *p, str id, struct arena *a, str *ret_id, str *ret_text);

#endif
