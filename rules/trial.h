/* rules/trial.h - a day of alerts in a millisecond: rules, their memory and quiet over events with a clock of their own.
 *
 * What `tests:` in rule files, the golden cases and a backtest run. Events come in the order of their times; mails come
 * out in the order in which they would have been sent.
 *
 * Owner   one thread. The rules_set outlives the trial. */
#ifndef RULES_TRIAL_H
#define RULES_TRIAL_H

#include "rules/rules.h"

struct trial_mail {
    usec at;
    bool digest; /* false: the first mail of its incident */
    const struct rule *rule;
    str key;
    int rank;         /* the highest of the incident so far: 1 before 2 */
    uint64_t signals; /* that it speaks of */
    str event;        /* id of the event that fired first */
};
typedef void trial_mail_fn(const struct trial_mail *mail, void *arg);

struct trial;
/* `only` NULL: all enabled rules of the set. `fingerprint` NULL: the first of error.type, type and message there is. */
struct trial *trial_new(const struct rules_set *s, const struct rule *only, rules_fingerprint_fn *fingerprint,
                        trial_mail_fn *on_mail, void *arg);
void trial_free(struct trial *t); /* NULL is fine */
/* Mails that fall due up to `now` are sent first. */
void trial_event(struct trial *t, const struct event *ev, usec now);
/* Lets time run on to `now`, silences included; INT64_MAX: until no mail waits any more. */
void trial_until(struct trial *t, usec now);

#endif
