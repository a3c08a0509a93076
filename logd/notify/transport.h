/* notify/transport.h - one composed mail over one transport, waited for.
 *
 * smtp://, smtps:// by libcurl (STARTTLS required, certificate checked; on loopback TLS is taken when offered and nobody
 * else can be there to impersonate), sendmail:PATH (stdin, like any MTA's), maildir:DIR (tmp, fsync, rename into new).
 * Owner: one thread per transport. */
#ifndef NOTIFY_TRANSPORT_H
#define NOTIFY_TRANSPORT_H

#include "base/config.h"
#include "base/err.h"

enum send_result {
    SEND_OK,
    SEND_LATER,  /* 4xx, no connection, or the answer was lost: again with the same Message-ID */
    SEND_NEVER,  /* 5xx: this mail to this address will not go */
    SEND_DENIED, /* the login was refused: no mail will go until somebody changes that */
};
struct transport;
struct transport *transport_new(const struct config *c); /* copies what it needs */
void transport_free(struct transport *t);
bool transport_is_loopback(const char *url); /* this machine by a name or number that can be nothing else */
const char *transport_from(const struct transport *t);
/* `response`: the server's words or the reason, one line. */
enum send_result transport_send(struct transport *t, const char *to, str mail, char response[256]);

#endif
