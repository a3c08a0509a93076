/* rules/rules.h - what deserves attention and how much: parse rules, run them over events.
 *
 * Pure: no I/O, no clock, no threads, no globals. Time comes in with each event, so a test replays a day of alerts in a
 * millisecond, and production, `tests:` in rule files, `logd rules check` and a backtest run the same code.
 *
 *   file ──rules_parse──▶ rules_set ─┐
 *   event, its issue, now ───────────┼─rules_eval──▶ signals (rule, key, rank) ──▶ incidents and mails: notify's
 *   now ─────────────────────────────┼─rules_tick──▶ the same, of what is silent
 *   rules_memory ◀───────────────────┘
 *
 * A rule looks at events that match its `when`. It fires for each of them, or when one of its conditions says so (rules.5 has
 * them all, fire.c what each remembers). It fires for a key: the values of its `by` fields, a missing one counting as empty. What a rule must remember per key is in rules_memory, which the caller keeps
 * on disk key by key, in the transaction of its position: a crash replays to the same signals.
 *
 * Count    exact up to 64: it fires with the event that finds enough before it, none older than the window, and begins
 *          to count again. Above 64 only the first of every group of N/64 is remembered, so it fires at most 2 % late,
 *          and never early.
 * New      fires for the first event and, so that the digest tells how many came, for those of the rule's digest window
 *          behind it; then not again until it was silent for `quiet_after`. When the memory is full and forgot, a key
 *          with a fingerprint is new only if its issue is (`fresh`), so a flood of keys cannot make everything new.
 * Changed  a condition whose words, `when` or `by` are changed starts with an empty memory; another why or rank changes nothing.
 *
 * Stat     a rule with `stat` adds a number to a stat for each event that its `when` matches, whether it fires or not.
 *
 * Owner    a rules_set is immutable after parsing and read by any thread. A rules_memory belongs to one thread.
 * Memory   so many keys of each kind of condition (memory.c: 100,000 of counts and as many of news, fewer of what is large);
 *          past that the key that was touched longest ago is forgotten. A key is 100 bytes, its text, and 8 a number. */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "event/event.h"

#define RULES_KEYS_MAX 100000u
#define RULE_KEY_MAX 12000 /* bytes of a key at most */

/* ---- rules ---- */
struct rule {
    const char *id, *why;
    const char *owner, *run; /* NULL: absent */
    const char *file;        /* where it stands */
    size_t line;
    int64_t version;          /* of what was saved from the web; 0: of a file */
    str source;               /* a rule file that holds it alone; absent: its file has it on one line with others */
    int rank;                 /* 1-5; 0: by the points of the score */
    int floor, ceiling;       /* of a rank by points: at least, at most so urgent; 0: none */
    const char *inhibited_by; /* ids of rules, a blank between; NULL: none. While one is open for the same host, app or
                                    key, this one's incidents wait */
    usec digest;              /* window after a mail in which the rest is counted */
    usec wait;                /* before the first mail; 0: at once */
    bool enabled;             /* false: never fires */
    struct rule_condition *cond; /* rules/condition.h */
};
struct rules_set;
struct rules_set *rules_set_new(void);
/* What is parsed from here on is this version of a rule saved from the web; 0: it stands in a file, and gives way to a saved
 * one of its id that is in the set already. */
void rules_set_version(struct rules_set *s, int64_t version);
/* Does a rule watch that stat, by minutes or by hours? */
bool rules_watch(const struct rules_set *s, str name, bool hours);
void rules_set_free(struct rules_set *s); /* NULL is fine */
/* Adds the rules of one file; ids are unique in the set. ERR_INPUT "FILE:LINE:COLUMN: …", the column being right inside a
 * `when` too; the set is then only fit to be freed. */
int rules_parse(struct rules_set *s, const char *file, str text, struct err *e) MUST_CHECK;
/* Is each rule that another is inhibited by in the set? ERR_INPUT "FILE:LINE: …" for the first that is not. */
int rules_check_inhibitors(const struct rules_set *s, struct err *e) MUST_CHECK;
size_t rules_count(const struct rules_set *s);
const struct rule *rules_at(const struct rules_set *s, size_t i);
/* How many regular expressions of its `when` were given up at a limit, and so counted as no match. */
uint64_t rule_gave_up(const struct rule *r);
/* {"rules":[{"id","why","owner","run","file","line","version","source","enabled","rank","when","by","stat","wait_s","digest_s","tests"}, …] without
 * the last brace. `more` adds members to each rule, each with a comma before it; NULL: none. */
typedef void rules_more_fn(const struct rule *r, struct buf *out, void *arg);
void rules_set_json(const struct rules_set *s, rules_more_fn *more, void *arg, struct buf *out);

/* ---- what is remembered ---- */
struct rules_memory;
struct rules_memory *rules_memory_new(void);
void rules_memory_free(struct rules_memory *m); /* NULL is fine */
/* What changed since it was last asked, one key at a time; an empty blob: the key was forgotten. Views are valid until
 * the next call on m. False: no more. */
bool rules_memory_dirty_next(struct rules_memory *m, str *ret_key, str *ret_blob);
/* Puts back what dirty_next gave; it is not dirty then. A blob of another shape is ignored: false. */
bool rules_memory_load(struct rules_memory *m, str key, str blob);
/* Takes back what load put there, before anything else happened; no such key is fine. */
void rules_memory_unload(struct rules_memory *m, str key);
/* dirty_next gives all that is remembered once more. */
void rules_memory_all_dirty(struct rules_memory *m);
/* The clock was set back by so much: all that is remembered happened that much earlier. */
void rules_memory_set_back(struct rules_memory *m, usec by);

/* ---- running ---- */
struct rules_stat { /* an event counts; views live in `a` */
    const struct rule *rule;
    const char *name, *type; /* count, max, min, gauge or timing */
    size_t labels;
    str label_names[8], label_values[8];
    double value;
    const struct event *event;
};
typedef int rules_stat_fn(const struct rules_stat *stat, void *arg);
struct rules_input {
    rules_stat_fn *on_stat; /* gets on_signal's arg; -1 stops. NULL: stats are not wanted */
    const char *watched;    /* the event is a number of this stat, and only for rules that watch it; NULL: it is one */
    bool watched_hours;
    const struct event *event;
    str fingerprint; /* of its issue, or absent; rules name it `fingerprint` */
    bool fresh;      /* it is the first event of its issue */
    bool regressed;  /* it opened a resolved issue again */
    usec now;        /* reception; goes back only with rules_memory_set_back */
};
struct rules_signal {
    const struct rule *rule;
    size_t part;               /* which of its conditions */
    const struct event *event; /* NULL: time alone fired it: something is absent */
    str key;            /* "app=shop auth.user=bob", one to one with the values; empty without `by`. Lives in `a` */
    const char *detail; /* "23 events within 5m", "" */
    int rank;           /* 1-5 */
    int score;          /* 0-100, what the rank comes from unless it is pinned */
    bool pinned;
    struct {
        int level, rule, novelty, rate, auth;
    } points;
};
/* 0, or -1 to stop; the memory has then seen the event only in part and is to be loaded again. */
typedef int rules_signal_fn(const struct rules_signal *signal, void *arg);
/* Calls on_signal for each rule that fires, in the set's order; -1 when on_signal said so. `s` may be NULL: no rules.
 * `a` is scratch, reset by the caller. */
int rules_eval(const struct rules_set *s, struct rules_memory *m, const struct rules_input *in,
               rules_signal_fn *on_signal, void *arg, struct arena *a);
/* What only time tells: silence. Call it with each step of the clock, before the events of that time; what fell due
 * earlier is told as of then. */
int rules_tick(const struct rules_set *s, struct rules_memory *m, usec now, rules_signal_fn *on_signal, void *arg,
               struct arena *a);
usec rules_memory_due(const struct rules_memory *m); /* when rules_tick has something to do; INT64_MAX: never */
/* Nobody listened for so long: nobody was silent in that time. */
void rules_memory_slept(struct rules_memory *m, usec by);
/* "db1" of "app=shop host=db1", quoted as in the key; absent when it has no such field. */
str rules_key_field(str key, str name);

/* May any rule of the set look at an event with this stored line, severity and time? False is certain, and tells without
 * reading the line: rules_eval would do nothing, or only hear once more of an app and host that it has heard of less than a
 * second ago. */
bool rules_concern(const struct rules_set *s, const struct rules_memory *m, str line, int severity, nsec time,
                   usec now);

/* ---- trying: logd/trial.c ---- */
/* The set with this rule alone, enabled even if it is not. Free it with rules_only_free; the rule stays the set's. */
struct rules_set *rules_only(const struct rules_set *s, const struct rule *r);
void rules_only_free(struct rules_set *only);
struct rule_test_send {
    str json;        /* the event as it would be posted */
    str app;         /* whose key posts it */
    usec at;         /* since the test's start */
    uint32_t repeat; /* 1 and more */
    usec every;      /* between repeats */
};
struct rule_test {
    size_t line, column;
    struct rule_test_send *send;
    size_t send_n;
    usec until;                          /* time runs on to here; 0: until nothing waits */
    int64_t mails, digests, stats, rank; /* -1: not asked for; rank of the first mail */
};
size_t rule_tests(const struct rule *r, const struct rule_test **ret);

#endif
