/* notify/links.h - signed links in mails: who holds one may act on one incident, or choose fewer mails, without signing in.
 *
 * ID.EXP.MAC: ID is made of letters, digits and '-'; EXP is when it ends, in seconds; MAC is HMAC-SHA256 in hex over what
 * the link is for, ID and EXP. The key is derived from the server's secret, which lives in logd.db, so links survive a
 * restart and a restore. A link may be used many times: what was done is done, again is nothing.
 *
 * Pure; time is passed in. */
#ifndef NOTIFY_LINKS_H
#define NOTIFY_LINKS_H

#include "base/buf.h"
#include "base/err.h"

enum link_for { LINK_ACT, LINK_FEWER, LINK_NONCE }; /* incident and recipient; recipient; a page that was shown */
#define LINK_ACT_ENDS (7 * 86400 * USEC_PER_SEC)
#define LINK_FEWER_ENDS (60 * 86400 * USEC_PER_SEC)
#define LINK_NONCE_ENDS (3600 * USEC_PER_SEC)
#define LINK_KEY "links in mails" /* the name of the key, see auth_server_key */
enum { LINK_WHO_LEN = 16 };

void link_make(const uint8_t key[32], enum link_for what, str id, usec ends, struct buf *out);
/* ERR_INPUT: it is not one of ours, or not whole. ERR_GONE: it has ended. *ret_id is a part of `link`. */
int link_check(const uint8_t key[32], enum link_for what, str link, usec now, str *ret_id, struct err *e) MUST_CHECK;
/* A recipient as links name him: nobody reads his address from a link. */
void link_who(const uint8_t key[32], str address, char ret[LINK_WHO_LEN + 1]);

/* Stands in a body where the address of the recipient's own link belongs; nothing of a log can hold it. */
#define LINK_MARK '\x01'
/* `body` with the address in place of each mark. */
void link_fill(str body, str address, struct buf *out);

#endif
