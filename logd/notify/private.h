/* notify/private.h - shared by the files of this folder that are the rules thread's; nobody else includes this. */
#ifndef NOTIFY_PRIVATE_H
#define NOTIFY_PRIVATE_H

#include "base/map.h"
#include "notify/notify.h"

#include <jansson.h>

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define ENV_OWN "logd" /* of incidents about logd itself: they are nobody else's, and join nothing */
#define EVENTS_MAX 100 /* ids that a mail names */

struct recipient {
    char *to; /* an address, or WEBHOOK and a name */
    int min;
    bool digests; /* what is not mailed at once comes in a digest of the day */
    usec after;   /* told of a P1 that nobody acknowledged for so long, and of nothing else; 0: of all */
};
struct incidents {
    struct db *db;
    struct map live;  /* rule and key to struct live */
    bool opened;      /* a strand that does not wait was, by the event at hand */
    char *url, *host; /* host: right side of a Message-ID */
    struct recipient *to;
    size_t to_n;
    usec digest_due; /* of the day; 0: not known yet */
    int digest_minute;
    uint8_t key[32]; /* signs links, when `signs` */
    bool signs;
    facts_fn *facts; /* or NULL */
    usec untried;    /* clock_mono since when there is an old mail that the sender never tried; 0: there is none */
    rule_at_fn *rule_at;
    void *rule_arg;
};

/* A strand whose time has come, with what of its incident decides. */
struct strand {
    char id[17], incident[17];
    char *rule, *key, *why, *run, *detail, *app, *env, *host, *title, *issue, *points, *inhibited_by, *event, *event_id,
        *events;
    int rank;
    usec opened, last, window;
    int64_t count, held, mails;
    struct {
        char state[12];
        int rank; /* that was last mailed; 6: none was */
        usec last_mail, next_kind;
        int64_t mails;
    } of;
};
void strand_done(struct strand *s);

int count_in(struct incidents *in, const char *name, int64_t n, struct err *e) MUST_CHECK;
int decide(struct incidents *in, str incident, usec now, const char *verdict, const char *reason,
           struct err *e) MUST_CHECK;
/* One statement with one text. */
int run_with(struct incidents *in, const char *sql, str text, struct err *e) MUST_CHECK;

int add_up(struct incidents *in, struct err *e) MUST_CHECK; /* what the transaction's signals come to is written */

/* people.c: the lowest rank that is mailed to him, by the config and by his own wish. */
int contact_min(struct incidents *in, const struct recipient *to, int *ret, struct err *e) MUST_CHECK;

/* bounced.c: `o` is the action. */
int bounce_apply(struct incidents *in, json_t *o, usec now, struct err *e) MUST_CHECK;
bool is_about_bounces_of(const struct strand *s, const char *to);

/* trouble.c: mails that do not get out. */
int trouble_due(struct incidents *in, usec now, struct err *e) MUST_CHECK;
int trouble_next(struct incidents *in, usec now, usec *ret, struct err *e) MUST_CHECK; /* INT64_MAX: nothing waits */
/* It says that he, or the way to him, cannot be reached. */
bool is_about_troubles_of(const struct incidents *in, const struct strand *s, const char *to);

/* outbox.c: a row. */
struct outgoing {
    const char *incident, *kind, *rule, *key, *host, *event;
    int64_t signals;
    int64_t number; /* of the mail within its incident */
    int rank;
    str subject, text, html, events;
    usec now;
};
int put_in_outbox(struct incidents *in, const char *to, const struct outgoing *o, struct arena *a,
                  struct err *e) MUST_CHECK;

/* flush.c: a mail about an incident that was mailed before; it brings no signals. */
struct again {
    const char *kind; /* "reminder" or "resolved" */
    int rank;
    int64_t number;      /* of the mail within its incident */
    const char *unacked; /* for how long, in words; NULL: it has ended */
};
int tell_again(struct incidents *in, const struct strand *s, const char *to, const struct again *what, usec now,
               struct arena *a, struct err *e) MUST_CHECK;
/* flush.c: the most urgent strand that was mailed and goes on; 0: none. */
int load_worst(struct incidents *in, const char *incident, struct strand *s, struct err *e) MUST_CHECK;

/* remind.c: a mail of this rank went out at once. */
int remind_begin(struct incidents *in, const char *incident, int rank, usec now, struct err *e) MUST_CHECK;
/* Recipients whose `after` is not longer were told of it; 0: none was. */
int remind_escalated(struct incidents *in, const char *incident, usec *ret, struct err *e) MUST_CHECK;
int remind_due(struct incidents *in, usec now, struct err *e) MUST_CHECK;
int remind_next(struct incidents *in, usec *ret, struct err *e) MUST_CHECK; /* INT64_MAX: nothing waits */

/* silences.c: `o` is the action of silence_check. */
int silence_apply(struct incidents *in, json_t *o, struct err *e) MUST_CHECK;
/* 1 and why: it is silenced. */
int silence_of(struct incidents *in, const struct strand *s, usec now, const char **ret_why, struct arena *a,
               struct err *e) MUST_CHECK;

/* weekly.c: asked with each digest of the day. */
int weekly_due(struct incidents *in, usec now, struct err *e) MUST_CHECK;

/* flush.c: all that is due at `now`, the earliest first. */
int flush_due(struct incidents *in, usec now, struct err *e) MUST_CHECK;
/* digest.c: the digest of the day, for each recipient. */
int flush_digest(struct incidents *in, usec now, struct err *e) MUST_CHECK;

#endif
