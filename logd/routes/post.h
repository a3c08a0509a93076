/* routes/post.h - from a request to the journal and back: what every route that takes events does the same.
 *
 *   epoll thread    b = post_begin(r) ── intake writes lines into b ── post_commit(r, b, reply)
 *   journal thread  write, sync, publish ── reply(r, b) ── the answer goes out
 *
 * 200 is said only after the sync. A quota is asked before the journal, a full queue or disk is 503 with Retry-After,
 * an Idempotency-Key that was seen is answered with the first reply.
 *
 * Counted per app: accepted = stored + duplicate, and rejected by reason. */
#ifndef ROUTES_POST_H
#define ROUTES_POST_H

#include "event/batch.h"
#include "event/event.h"
#include "routes/http.h"

/* This thread's writer; it keeps its buffers from request to request. */
struct event_writer *post_writer(void);
/* A batch for the app of r->who, stamped; *src is filled in from the same. NULL: refused, the reply is set. */
struct batch *post_begin(struct request *r, enum record_type type, struct event_source *src);
/* The body as a whole cannot be taken: 400, or 413 for ERR_FULL. */
void post_refuse(struct request *r, const struct err *e);
/* Gives b away. `reply` runs in the journal's thread, or at once when nothing was accepted; it must not block. */
void post_commit(struct request *r, struct batch *b, void (*reply)(struct request *r, const struct batch *b));

/* Of a batch: the request's Idempotency-Key, if any, goes into b; false: refused, the reply is set. */
bool post_idempotency(struct request *r, struct batch *b);
/* The answer for a batch whose status is not BATCH_OK: a repeat's first reply, 409 or 503. */
void post_not_taken(struct request *r, const struct batch *b);

enum post_reason { POST_INVALID, POST_QUOTA, POST_FULL, POST_CONFLICT, POST_REASONS };
extern const char *const post_reason_names[POST_REASONS];
enum { POST_APPS = 256 }; /* apps with a higher id share the last place */
struct post_count {
    _Atomic uint64_t accepted, stored, duplicate, rejected[POST_REASONS];
};
extern struct post_count post_counts[POST_APPS]; /* by app id */

#endif
