/* notify/notify.h - incidents and the outbox: from a signal to a mail, with the reason for each decision.
 *
 * Signals of one (rule, key) are a strand, strands that belong together an incident. The first is mailed at once; later ones
 * inside the rule's digest window are counted, and when the window closes one digest says how many; a window that held nothing
 * resolves the strand, and with the last one the incident. Ranks, budgets and inhibition: flush.c. An outbox row is inserted in
 * the transaction that moves the fold's position, with a Message-ID that never changes, so a mail is sent again after a lost
 * answer but can always be told to be the same.
 *
 * Owner   incidents_*: the rules thread. mailer: its own threads (libcurl's easy interface blocks on SMTP), which take
 *         rows with FULL connections of their own. *_json: any thread's read connection. */
#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H

#include "base/config.h"
#include "base/db.h"
#include "base/err.h"
#include "event/event.h"

extern const char notify_schema[], notify_schema_strands[], notify_schema_silences[], notify_schema_indexes[],
    notify_schema_people[], notify_schema_weekly[], notify_schema_reminders[], notify_schema_channels[],
    notify_schema_trouble[]; /* SQL */

struct signal {          /* a rule fired for a key */
    str rule, why, run;  /* id, reason, hint of the rule */
    str key;             /* values of `by`, readable: "app=shop fingerprint=…" */
    str detail;          /* what fired it: "23 events within 5m", or empty */
    int rank;            /* 1-5 */
    usec digest;         /* window */
    usec wait;           /* before the first mail; 0: at once */
    str app, env, title; /* title: one line for the subject */
    str host, subject;   /* whose; subject: the user of a login */
    str points;          /* what the rank is made of, in words */
    str inhibited_by;    /* ids of rules, a blank between */
    int score;
    str issue;                 /* id of the issue, or absent */
    bool muted;                /* the key is an issue that is muted: counted as suppressed, and that is all */
    const struct event *event; /* NULL: something is absent */
};
struct incidents;
struct incidents *incidents_new(struct db *db);
void incidents_free(struct incidents *in);
/* Recipients, links; copied. `key`: 32 bytes that sign links in mails; NULL: they have none that act. */
void incidents_config(struct incidents *in, const struct config *c, const char *url, const uint8_t *key);
/* Asked when a mail is written; nothing known leaves *ret as it is. Texts in the arena. */
struct mail_facts;
typedef int facts_fn(struct db *db, str issue, str app, usec now, struct mail_facts *ret, struct arena *a,
                     struct err *e);
void incidents_facts(struct incidents *in, facts_fn *fn);
/* The id of the i-th rule there is; false: no more. Asked from the rules thread. */
typedef bool rule_at_fn(void *arg, size_t i, str *ret_id);
void incidents_rules(struct incidents *in, rule_at_fn *fn, void *arg);
/* The transaction was rolled back: what was not written is not true. Before a commit, incidents_tick writes it. */
void incidents_forget(struct incidents *in);
int incidents_signal(struct incidents *in, const struct signal *s, usec now, struct arena *a, struct err *e) MUST_CHECK;
/* All rules have seen the event: what does not wait is mailed, speaking of this event alone; the rest of its batch is "more". */
int incidents_event_done(struct incidents *in, usec now, struct err *e) MUST_CHECK;
/* Digests and first mails that are due; *ret_next: when to look again (INT64_MAX: nothing waits). */
int incidents_tick(struct incidents *in, usec now, usec *ret_next, struct err *e) MUST_CHECK;
/* The clock was set back by so much: what waits, incidents and mails, falls due that much earlier. */
int incidents_set_back(struct incidents *in, usec by, struct err *e) MUST_CHECK;
/* {"incident":"ID","do":"ack|resolve|noise|snooze|undo","until":µs,"by":"a@b.c","from":"in words"}, what silence_check made,
 * {"silence_end":"ID","at":µs}, or {"contact":"a@b.c","do":"fewer|undo","from":"in words"}. */
int incidents_action(struct incidents *in, str json, usec now, struct err *e) MUST_CHECK;
/* ERR_GONE: no mail has the id. What was read of a bounce becomes an action {"bounce":MESSAGE_ID,"status","said","permanent"}. */
int outbox_has(struct db *read, str message_id, struct err *e) MUST_CHECK;
/* ---- silences ---- */
/* The body of POST /v1/silences as an action for the journal. */
int silence_check(str body, str by, usec now, struct buf *action, char ret_id[17], struct err *e) MUST_CHECK;
int silences_json(struct db *read, usec now, struct buf *out, struct err *e) MUST_CHECK; /* those that have not ended */
int silence_known(struct db *read, str id, usec now, struct err *e) MUST_CHECK;          /* ERR_GONE */
/* {"until":TIME} of a snooze: RFC 3339, an epoch, or a duration from now. */
int snooze_check(str body, usec now, usec *ret, struct err *e) MUST_CHECK;

struct conservation {
    uint64_t signals, mailed, digested, suppressed, pending;
};
int incidents_conservation(struct db *read, struct conservation *ret, struct err *e) MUST_CHECK;
int incidents_list_json(struct db *read, str state, struct buf *out, struct err *e) MUST_CHECK;
int incident_state(struct db *read, str id, char ret[12], struct err *e) MUST_CHECK; /* ERR_GONE */
/* An incident as the page of a link shows it; texts in the arena. */
struct incident_glance {
    str title, rule, app, env, state, owner;
    int rank;
    usec opened;
    int64_t signals;
    bool undo; /* what was last done can be undone */
};
int incident_glance(struct db *read, str id, struct arena *a, struct incident_glance *ret,
                    struct err *e) MUST_CHECK; /* ERR_GONE */
/* The recipient of a mail about it that links call `who`; absent: none. */
int incident_reader(struct db *read, str id, const uint8_t key[32], str who, struct arena *a, str *ret,
                    struct err *e) MUST_CHECK;
/* He asked for digests only; P1 and P2 are mailed all the same. */
int contact_has_fewer(struct db *read, str address, bool *ret, struct err *e) MUST_CHECK;
int incident_json(struct db *read, str id, struct buf *out, struct err *e) MUST_CHECK; /* every decision; ERR_GONE */

/* ---- composing (pure) ---- */
struct mail {
    str to, subject, text, html;
    str message_id; /* without <> */
    str thread_id;  /* References: of the incident; absent: none */
    str rule, incident;
    str fewer; /* List-Unsubscribe: an address that takes a POST; absent: none */
    bool bulk; /* a digest */
    int rank;
    usec date;
};
/* RFC 5322 with CRLF, multipart/alternative, quoted-printable, encoded subject; `from` was checked. */
void mail_compose(const struct mail *m, str from, struct buf *out);
/* An address without control characters, blanks, <> and with one @: fit for a header and an SMTP command. */
int mail_address_check(str address, struct err *e) MUST_CHECK;

/* ---- sending ---- */
#define WEBHOOK "webhook:" /* begins a recipient of the outbox that is no address but a webhook of the config */
struct mailer;
/* `on_trouble` is called from its threads when a mail was refused, or the login was: the fold hands it on and tells of it. */
int mailer_start(const char *db_path, const struct config *c, void (*on_trouble)(void *arg), void *arg,
                 struct mailer **ret, struct err *e) MUST_CHECK;
void mailer_stop(struct mailer *m);
void mailer_wake(struct mailer *m);                           /* rows were added */
void mailer_config(struct mailer *m, const struct config *c); /* a new config; copied */
/* One mail now, in the caller's thread: `logd mail test`. ERR_REMOTE with the server's words. */
int mailer_test(const struct config *c, str to, struct err *e) MUST_CHECK;
struct mailer_stats {
    uint64_t sent, failed, retried, queued;
    usec oldest_queued; /* when the oldest that waits was written; 0: none waits */
    usec oldest_tried;  /* the same of those that were tried */
};
void mailer_get_stats(struct mailer *m, struct mailer_stats *ret);

#endif
