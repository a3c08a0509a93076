/* rules/rules.h - what deserves attention and how much: parse rules, run them over events. Pure: no I/O, no clock, no
 * threads, no globals; time comes in with each event, so a test replays an hour of alerts in a millisecond and production
 * runs the same code.
 *
 * A rule fires for a key: its id and the values of its `by` fields. A fired rule gives a signal; what becomes of it
 * (first mail, digest) is notify's, and in tests rules/quiet.h's.
 *
 * Owner   a rules_set is immutable after parsing. A rules_memory belongs to one thread.
 * Memory  at most 200,000 keys; past that the key that was touched longest ago is forgotten. */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "event/event.h"

struct rule {
    char *id, *why, *owner, *run; /* owner, run: NULL when absent */
    char *file;                   /* and line: where it stands */
    size_t line;
    int rank;                     /* 1-5; 0: by the event's level (fatal P2, error P3, warn P4, else P5) */
    usec digest;                  /* window after a mail in which the rest is counted */
    usec wait;                    /* before the first mail */
    bool enabled;
    struct rule_condition *cond;  /* rules.c's own */
};
struct rules_set;
struct rules_set *rules_set_new(void);
void rules_set_free(struct rules_set *s); /* NULL is fine */
/* Adds the rules of one file. ERR_INPUT "FILE:LINE:COLUMN: …"; the set is then only fit to be freed. */
int rules_parse(struct rules_set *s, const char *file, str text, struct err *e) MUST_CHECK;
size_t rules_count(const struct rules_set *s);
const struct rule *rules_at(const struct rules_set *s, size_t i);
/* {"rules":[{"id","why","owner","run","file","line","enabled","rank"}]} */
void rules_set_json(const struct rules_set *s, struct buf *out);
/* Runs the `tests:` of the set's rules; one "ok ID: test N" or "FAIL ID: test N: expected …, got …" line each to out.
 * Returns the number that failed. */
size_t rules_selftest(const struct rules_set *s, struct buf *out, size_t *ret_n);

struct rules_memory;
struct rules_memory *rules_memory_new(void);
void rules_memory_free(struct rules_memory *m); /* NULL is fine */
/* What changed since it was last asked, one key at a time; an empty blob: the key was forgotten. Views are valid until the
 * next call on m. False: no more. */
bool rules_memory_dirty_next(struct rules_memory *m, str *ret_key, str *ret_blob);
void rules_memory_load(struct rules_memory *m, str key, str blob); /* not dirty; a blob of another shape is ignored */

struct rules_input {
    const struct event *event;
    str fingerprint;   /* of its issue, or absent; rules name it `fingerprint` */
    bool fresh;        /* it is the first event of its issue */
    bool regressed;    /* it opened a resolved issue again */
    usec now;          /* reception */
};
struct rules_signal {
    const struct rule *rule;
    str key;           /* "app=shop auth.user=bob"; only the id's rule when it has no `by` */
    int rank;          /* 1-5 */
};
/* Calls on_signal for each rule that fires, in the set's order; -1 when on_signal said so. `s` may be NULL. */
int rules_eval(const struct rules_set *s, struct rules_memory *m, const struct rules_input *in,
               int (*on_signal)(const struct rules_signal *signal, void *arg), void *arg, struct arena *a);

#endif
