/* routes/password.h - passwords as scrypt hashes, and a gate in front of the work.
 *
 * One hash costs 68 MB and 0.2 s, so at most two are computed at once, a few wait, and the rest are told to come back: a
 * flood of sign-ins costs 136 MB and no more. The text that is stored carries its parameters, "scrypt$N$r$p$SALT$HASH"
 * (salt and hash in hex), so they can be raised later. Any thread. */
#ifndef ROUTES_PASSWORD_H
#define ROUTES_PASSWORD_H

#include "base/base.h"
#include "base/err.h"

#include <pthread.h>

#define PASSWORD_TEXT 160
#define PASSWORD_MIN 8u    /* bytes */
#define PASSWORD_MAX 1024u /* bytes */

struct password_gate {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    int active, waiting;
};
void password_gate_init(struct password_gate *g);
void password_gate_done(struct password_gate *g);

/* Is this fit to be somebody's password? ERR_INPUT. */
int password_check(str password, struct err *e) MUST_CHECK;
/* Blocks. ERR_FULL: too many wait already. */
int password_hash(struct password_gate *g, str password, char out[PASSWORD_TEXT], struct err *e) MUST_CHECK;
int password_verify(struct password_gate *g, str password, str stored, bool *ret_same, struct err *e) MUST_CHECK;
bool password_outdated(str stored); /* other parameters than today's */
/* A stored text that no password matches and that takes as long to compare. */
void password_impossible(char out[PASSWORD_TEXT]);

#endif
