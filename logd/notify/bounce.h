/* notify/bounce.h - what a mail server says became of a mail: delivery status notifications (RFC 3464). Pure.
 *
 * Read are the fields of the message, wherever its parts begin: Action, Status, Final-Recipient and Diagnostic-Code of the
 * report, and the Message-ID of the mail that came back. Which mail of ours it was, only the outbox can say. */
#ifndef NOTIFY_BOUNCE_H
#define NOTIFY_BOUNCE_H

#include "base/err.h"

#define BOUNCE_MAX (1u << 20)
struct bounce {
    str message_id; /* without <> */
    str status;     /* "5.1.1" */
    str recipient;  /* as the server names him, or absent */
    str said;       /* Diagnostic-Code, or absent */
    bool permanent; /* 5.x.x and failed; not 5.4.4, which is a name server's trouble */
};
/* Views into `message`. ERR_INPUT says what is missing. */
int bounce_read(str message, struct bounce *ret, struct err *e) MUST_CHECK;

#endif
