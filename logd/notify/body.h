/* notify/body.h - what a mail about an incident says: subject, text and HTML. Pure.
 *
 * First screen: what, how bad and why, since when, who is hit, what changed, the day as blocks, what to do about it; then the
 * stack and the event, where to look, why you get this. Every byte of a log is escaped, control and bidi characters are
 * shown as '.', nothing of a log becomes a link. What is long is cut until the whole mail is below 100 KB. */
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

/* What is known of an issue and its app, of the time before. */
enum { MAIL_HOURS = 24 };
struct mail_facts {
    int64_t count, users;      /* 0: not known */
    usec first_seen;           /* 0: not known */
    str release;               /* the newest of the app; absent: none is known */
    usec release_at;           /* when it was first seen */
    str first_release;         /* the first that had the issue */
    int64_t hours[MAIL_HOURS]; /* events, the last is the hour that runs */
};

struct mail_body {
    int rank;
    str rule, why, run, detail, points, key, title, app, env, issue, incident, url;
    str others;                     /* what else the mail speaks of, a line each */
    bool acts;                      /* with links to act, marked by LINK_MARK */
    usec opened, resolved;          /* resolved 0: it is not */
    uint64_t held;                  /* digest: signals since the last mail; 0: this is the first mail */
    uint64_t count;                 /* signals of the incident so far */
    const struct event *event;      /* the first that was not mailed yet, or NULL */
    const struct mail_facts *facts; /* NULL: nothing is known */
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
