/* trial.h - a day of alerts in a second: the rules thread's own code over events, with a clock of their own.
 *
 * What `tests:` in rule files, the golden cases and `logd rules backtest` run: issues, rules, incidents and their mails, in
 * memory. Events come in the order of their times; mails come out in the order in which they would have been sent.
 *
 * Owner   one thread. The rules_set outlives the trial. */
#ifndef TRIAL_H
#define TRIAL_H

#include "base/config.h"
#include "rules/rules.h"

struct trial_mail {
    usec at;
    str kind; /* "immediate", "digest", "resolved" */
    str to, rule, key, incident, host, subject;
    int rank;
    uint64_t signals; /* that it speaks of */
    str event;        /* id of the event that fired first; empty: something was absent */
    str events;       /* ids it speaks of, a blank behind each; at most 100 */
};
typedef void trial_mail_fn(const struct trial_mail *mail, void *arg);

struct trial;
/* Recipients and url of the config; NULL: one who gets P1 to P4. */
struct trial *trial_new(const struct rules_set *s, const struct config *c, trial_mail_fn *on_mail, void *arg);
void trial_free(struct trial *t); /* NULL is fine */
/* A stored line. Silences and mails that fall due up to `now` come first. */
void trial_event(struct trial *t, str line, usec now);
/* Lets time run on to `now`, silences included; INT64_MAX: until no mail waits any more. */
void trial_until(struct trial *t, usec now);

/* Runs the `tests:` of the set's rules, each alone with an empty memory and a clock of its own. One line each to out, "ok
 * FILE:LINE: ID: test N" or "FAIL FILE:LINE:COLUMN: ID: test N: expected …, got …". Returns how many failed; *ret_n: how
 * many there were. */
size_t trial_selftest(const struct rules_set *s, struct buf *out, size_t *ret_n);

#endif
