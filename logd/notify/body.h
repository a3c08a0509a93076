/* notify/body.h - what a mail about an incident says: subject, text and HTML. Pure.
 *
 * First screen: what, how bad, since when, the event with its stack, why you get this, where to look. Every byte of a
 * log is escaped, control and bidi characters are shown as '.', nothing of a log becomes a link. At most 60 KB. */
#ifndef NOTIFY_BODY_H
#define NOTIFY_BODY_H

#include "base/buf.h"
#include "event/event.h"

struct mail_subject {
    int rank;
    str app, env, title, rule;
};
/* "[P2 prod/shop] TypeError: x is undefined"; the same for every mail of an incident but for "Re: ". */
void body_subject(const struct mail_subject *s, bool repeat, struct buf *out);

struct mail_body {
    int rank;
    str rule, why, run, detail, points, key, title, app, env, issue, incident, url;
    str others;                /* what else the mail speaks of, a line each */
    bool acts;                 /* with links to act, marked by LINK_MARK */
    usec opened, resolved;     /* resolved 0: it is not */
    uint64_t held;             /* digest: signals since the last mail; 0: this is the first mail */
    uint64_t count;            /* signals of the incident so far */
    const struct event *event; /* the latest, or NULL */
};
void body_text(const struct mail_body *b, struct arena *a, struct buf *out);
void body_html(const struct mail_body *b, struct arena *a, struct buf *out);

/* The digest of the day: begin, a line for each thing, end. */
struct digest_mail {
    usec now;
    str url;
    struct buf text, html;
    size_t n;
};
void body_digest_begin(struct digest_mail *d);
void body_digest_line(struct digest_mail *d, int rank, str title, str rule, uint64_t n, str reason, str incident);
void body_digest_end(struct digest_mail *d);

#endif
