/* notify/webhook.h - one row of the outbox, posted to a webhook, waited for.
 *
 *   json    an object with all that is known: below
 *   slack   {"text"} in its own markup, as Mattermost and Rocket.Chat take it too
 *   ntfy    its JSON, posted to the server's root: the topic is the last part of the path
 *
 * No redirects, no proxy, 10 seconds, 64 KiB of an answer; only to public addresses but for hosts of private_hosts. The URL is a
 * secret: no error tells more of it than its host.
 *
 * Owner: one thread per struct. */
#ifndef NOTIFY_WEBHOOK_H
#define NOTIFY_WEBHOOK_H

#include "base/buf.h"
#include "base/config.h"
#include "notify/transport.h"

struct hook_mail {
    str incident, kind, rule, key, app, env, host, event, subject, text, link,
        message_id; /* link: to act; may be absent */
    int rank;
    int64_t signals; /* that it brings */
    usec created;
};
/* The body of the POST. `url` is the webhook's; ntfy's topic comes from it. Pure. */
void hook_body(enum config_hook kind, str url, const struct hook_mail *m, struct buf *out);

struct webhooks;
/* Copies what it needs. `go_on` is asked while an answer is waited for; false: leave it, the row is tried again. */
struct webhooks *webhooks_new(const struct config *c, bool (*go_on)(void *arg), void *arg);
void webhooks_free(struct webhooks *w); /* NULL is fine */
/* SEND_NEVER: there is none of that name, the answer is 3xx or one that says that the same again is of no use. `response`: one line. */
enum send_result webhook_send(struct webhooks *w, str name, const struct hook_mail *m, char response[256]);

#endif
