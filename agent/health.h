/* agent/health.h - what the agent tells of itself, on the Unix socket `sock` of the state folder.
 *
 * Whoever connects gets some lines of text and the end of the stream; who may is who may enter the folder. `status` prints
 * them, and where no agent runs what the file `state` tells.
 *
 * Owner   the main thread, which naps here. */
#ifndef AGENT_HEALTH_H
#define AGENT_HEALTH_H

#include "base/buf.h"
#include "base/err.h"

struct health;
int health_open(const char *state, struct health **ret, struct err *e) MUST_CHECK;
void health_close(struct health *h); /* NULL is fine; removes the socket */
/* Waits so long, less when a signal comes, and answers who asks meanwhile with what `tell` appends. A client that does not
 * read holds it up for a second at most. */
void health_nap(struct health *h, usec left, void (*tell)(struct buf *out, void *arg), void *arg);
/* What the agent of that state folder tells. ERR_REMOTE: none runs. */
int health_ask(const char *state, struct buf *out, struct err *e) MUST_CHECK;

#endif
