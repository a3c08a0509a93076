/* rules/condition.h - the inside of a rule: what parse.c fills, eval.c and trial.c read. Nobody else includes this. */
#ifndef RULES_CONDITION_H
#define RULES_CONDITION_H

#include "event/filter.h"
#include "rules/rules.h"

enum { RULE_FIELDS_MAX = 8, RULE_MARKS_MAX = 64 };

struct rule_fields {
    const char *name[RULE_FIELDS_MAX]; /* "fingerprint" is the issue's */
    size_t n;
};
struct rule_test_send {
    str json;        /* the event as it would be posted */
    str app;         /* whose key posts it */
    usec at;         /* since the test's start */
    uint32_t repeat; /* 1 and more */
};
struct rule_test {
    size_t line, column;
    struct rule_test_send *send;
    size_t send_n;
    int64_t mails, digests, rank; /* -1: not asked for; rank of the first mail */
};
struct rule_condition {
    const char *when;
    struct filter *filter;
    struct rule_fields by;
    struct { /* at_least 0: no `count` */
        usec window;
        uint32_t at_least, group,
            marks; /* fires with `marks` marks in the window; one mark is the first of `group` events */
    } count;
    struct {
        bool on;
        struct rule_fields by;
        usec quiet_after;
        bool regressions;
    } novel;         /* `new` */
    char version[9]; /* hash of the above in hex: another condition remembers nothing of the old one */
    struct rule_test *tests;
    size_t tests_n;
};
struct rules_set {
    struct arena arena;
    struct rule **rules;
    size_t n, cap;
};

/* ---- memory.c ---- */
enum memory_kind { MEMORY_COUNT, MEMORY_NOVEL, MEMORY_KINDS };
struct memory_entry {
    char *key; /* "ID\x1fVERSION\x1fVALUES"; malloc'ed */
    size_t key_n;
    struct memory_entry *older, *newer; /* by touch, within its kind */
    struct memory_entry *dirty_next;
    usec expires;         /* from then on it is as if it were not there */
    usec *marks;          /* COUNT: times of the first events of groups, oldest first; NOVEL: last seen, last fired */
    uint32_t phase;       /* COUNT: events since the last mark, itself included */
    uint8_t kind, n, cap; /* n: marks */
    bool dirty, saved, dead;
};
struct memory_entry *memory_get(struct rules_memory *m, str key); /* NULL: absent */
struct memory_entry *memory_add(struct rules_memory *m, enum memory_kind kind, str key);
void memory_mark(struct memory_entry *t, usec now); /* adds a mark; room for RULE_MARKS_MAX */
/* It was changed: the youngest now, and dirty. Lets go of what has expired. */
void memory_touch(struct rules_memory *m, struct memory_entry *t, usec now);
bool memory_full(const struct rules_memory *m, enum memory_kind kind);

/* The name of a severity's default rank. */
int rank_of_severity(int severity);

#endif
