/* agent/send.h - one batch to one of the servers, and what became of it.
 *
 * A batch goes out under its key until a server says that it has it. While it cannot be known whether a server took it
 * (it went out, no answer came) the same server is asked again for a minute: it would know the key, another would not.
 * When it surely was not taken the next server is tried at once. After all of them: a pause that grows from half a
 * second to thirty, jittered, or what Retry-After asks for.
 *
 * Owner   one thread. Time is passed in. */
#ifndef AGENT_SEND_H
#define AGENT_SEND_H

#include "agent/config.h"
#include "agent/state.h"

enum sent {
    SENT_TAKEN,    /* the server has it, but for those refused */
    SENT_REFUSED,  /* all of it is refused for good */
    SENT_LARGE,    /* too large for the server: cut it smaller */
    SENT_ENCODING, /* it does not read zstd */
    SENT_CONFLICT, /* the key was used for something else: our state is older than what was sent */
    SENT_LATER,    /* try again when sender_due says so */
};
struct sender;
/* Of `c` servers, key and TLS files are used; it outlives the sender. ERR_INPUT: a server is no http:// or https:// URL. */
struct sender *sender_new(const struct agent_config *c, struct err *e) MUST_CHECK;
void sender_free(struct sender *s);
usec sender_due(const struct sender *s); /* monotonic; not before */

struct refused { /* of a batch that was taken */
    uint64_t n;
    uint32_t at[100]; /* places of the first of them in the batch */
    size_t at_n;
    bool known; /* all of it was there already */
};
/* `tick` is called while waiting; when it says false the request is given up (SENT_LATER). What goes wrong is logged. */
enum sent sender_send(struct sender *s, const struct pending *p, bool (*tick)(void *), void *arg, struct refused *ret);
/* Tells the server that is used the ledger; when it is not heard the next one will say the same. */
void sender_report(struct sender *s, str ledger, bool (*tick)(void *), void *arg);
const char *sender_server(const struct sender *s); /* the one that is used, as it was named */
/* When it began that no server takes anything, monotonic; 0: they do. `*ret_why`: the last one's words. */
usec sender_failing(const struct sender *s, const char **ret_why);

#endif
