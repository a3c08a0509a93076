/* rules/condition.h - the inside of a rule: what parse*.c fills, eval.c, fire.c and trial.c read. Nobody else includes this. */
#ifndef RULES_CONDITION_H
#define RULES_CONDITION_H

#include "event/filter.h"
#include "rules/detect.h"
#include "rules/rules.h"

enum { RULE_FIELDS_MAX = 8, RULE_MARKS_MAX = 64, RULE_DISTINCT_MAX = 100, RULE_STEPS_MAX = 4, RULE_STEP_MARKS = 32 };

struct rule_fields {
    const char *name[RULE_FIELDS_MAX]; /* "fingerprint" is the issue's, "ip_prefix" a network */
    size_t n;
};
enum part_kind {
    PART_MATCH, /* fires for each event */
    PART_COUNT,
    PART_DISTINCT,
    PART_NEW,
    PART_CHANGE,
    PART_VALUE,
    PART_SEQUENCE,
    PART_RATIO,
    PART_SLO,
    PART_HEARTBEAT,
    PART_ABSENT,
    PART_KINDS
};
enum tri { ANY = -1, NO, YES };
struct rule_step {
    struct filter *where;
    enum tri known_ip;
    uint32_t at_least; /* within the sequence's time */
};
struct rule_part { /* one condition; a rule fires when any of its parts does */
    enum part_kind kind;
    const char *where_text;
    struct filter *where; /* beside the rule's `when`; NULL: no more is asked */
    enum tri known_ip;
    struct rule_fields by; /* whose count, and key of the signal */
    int rank;              /* 1-5; 0: the rule's */
    int auth;              /* points of the score for what it says of an attack */
    char version[9];       /* hash of all that decides, in hex: another condition remembers nothing of the old one */
    usec window;           /* COUNT, DISTINCT, CHANGE, SEQUENCE, RATIO; VALUE: how long it must hold */
    uint32_t at_least;     /* COUNT, DISTINCT, CHANGE; RATIO, SLO: bad events at least */
    uint32_t group, marks; /* COUNT: fires with `marks` marks in the window; one mark is the first of `group` events */
    const char *of;        /* DISTINCT, VALUE, CHANGE of a value: the field */
    struct {
        struct rule_fields by;
        usec quiet_after;
        bool regressions;
    } novel;
    struct {
        double p, over_record;
    } change;
    struct {
        bool below;          /* fires below the limit, not above */
        bool with;           /* the limit itself counts */
        double limit, clear; /* ends beyond `clear` */
        bool forecast;       /* the value is the seconds until `of` reaches `reaches`, by the line of the last 2 h */
        double reaches;
    } value;
    struct rule_step step[RULE_STEPS_MAX];
    size_t steps;
    struct filter *bad,
        *total;              /* RATIO, SLO; total NULL: all that the rule looks at. SLO: `bad` matches what is good */
    double target;           /* RATIO: the ratio; SLO: the share that must be good */
    usec every, grace;       /* HEARTBEAT; 0: as the heartbeat itself says. ABSENT: `every` is the shortest silence */
    uint32_t tolerate, of_n; /* HEARTBEAT: misses among so many beats that are forgiven */
    uint32_t times;          /* ABSENT: and so many times the longest silence of the key */
};
struct rule_stat { /* what each event that `when` matches adds to a stat */
    const char *name, *type;
    const char *value;     /* field of the number; NULL: 1 each */
    struct rule_fields by; /* fields of the labels */
    const char *label[RULE_FIELDS_MAX];
    size_t line;
};
struct rule_condition {
    const char *when;
    struct rule_stat *stat; /* NULL: none */
    const char *watch;      /* the stat whose numbers it looks at; NULL: it looks at events */
    bool watch_hours;       /* its hours, not its minutes */
    struct filter *filter;
    struct rule_fields by;
    struct rule_part *parts;
    size_t n; /* 0: it only counts, for its stat */
    bool asks_known_ip;
    bool listens; /* it only wants to know that an app or a host is there, now and then */
    struct rule_test *tests;
    size_t tests_n;
};
struct rules_set {
    struct arena arena;
    struct rule **rules;
    size_t n, cap;
    int64_t version;    /* of what is parsed now */
    bool asks_known_ip; /* a rule wants to know from where a user has logged in before */
};

/* ---- rate.c ---- */
struct rate { /* events a bucket of one key; alerting by their rise */
    double mean, variance;
    int64_t bucket, n;     /* number of the open bucket (time / window); closed ones so far */
    int64_t count, told;   /* in the open one; count at which it is looked at again */
    int64_t extraordinary; /* the open one is */
    int64_t hour, day;     /* of the open one */
    int64_t most[14];      /* each day's fullest bucket that was not extraordinary, today's at day % 14 */
    int64_t alarms[24];    /* by hour of the day: the fullest that was, times 65536, and its day */
};
struct drift { /* a value's mean of a bucket, looked at when the bucket is over */
    int64_t bucket, n;
    double sum;
    struct detect detect;
};
void rate_add(struct rate *r, usec now, usec window, uint64_t n);
/* P(X >= count) by the past, or 1 when it is not extraordinary. */
double rate_surprise(struct rate *r, const struct rule_part *part);
double negative_binomial_tail(double mean, double variance, int64_t x);

/* ---- memory.c ---- */
enum memory_kind { /* what is remembered of a key; PART_MATCH's place is taken by the networks of a user */
                   MEMORY_KNOWN,
                   MEMORY_KINDS = PART_KINDS
};
enum { KNOWN_NETWORKS = 32, FORECAST_POINTS = 24, RATIO_SLOTS = 13, SLO_SLOTS = 73 };
enum { /* cells of each kind; a struct in cells is read and written by memcpy */
       CELLS_CHANGE = sizeof(struct rate) / 8,
       CELLS_DRIFT = sizeof(struct drift) / 8,
       CELLS_VALUE_MAX = 2 + 2 * FORECAST_POINTS,                              /* since, fires; then times and values */
       CELLS_SEQUENCE = 2 * RULE_STEPS_MAX + RULE_STEPS_MAX * RULE_STEP_MARKS, /* when ready, marks; then the marks */
       CELLS_RATIO = 3 * RATIO_SLOTS,                                          /* number of the slot, bad, all */
       CELLS_SLO = 2 * 3 * SLO_SLOTS, /* the same of 5 minutes, then of hours */
       CELLS_HEARTBEAT = 4,           /* last, every, grace, misses as bits */
       CELLS_ABSENT = 4,              /* last, longest silence, events, first */
       MEMORY_CELLS_MAX = 640
};
struct memory_entry {
    char *key; /* "ID\x1fVERSION\x1fVALUES"; malloc'ed */
    size_t key_n;
    struct memory_entry *older, *newer; /* by touch, within its kind */
    struct memory_entry *dirty_next;
    usec expires;   /* from then on it is as if it were not there */
    usec due;       /* when time alone may fire it; 0: never. Changed by memory_due */
    size_t heap_at; /* its place among what is due, from 1; 0: not there */
    int64_t *cells; /* what fire.c keeps, by kind */
    uint32_t phase; /* COUNT: events since the last mark, itself included */
    uint16_t n, cap;
    uint8_t kind;
    bool dirty, saved, dead;
};
struct memory_entry *memory_get(struct rules_memory *m, str key);                         /* NULL: absent */
struct memory_entry *memory_add(struct rules_memory *m, int kind, str key, size_t cells); /* of zero */
void memory_mark(struct memory_entry *t, int64_t v);            /* one more cell; room for MEMORY_CELLS_MAX */
void memory_cut(struct memory_entry *t, size_t from, size_t n); /* these cells go */
/* It was changed: the youngest now, and dirty. Lets go of what has expired. */
void memory_touch(struct rules_memory *m, struct memory_entry *t, usec now);
void memory_due(struct rules_memory *m, struct memory_entry *t, usec due); /* 0: never */
struct memory_entry *memory_first_due(const struct rules_memory *m);       /* NULL: nothing waits */
/* Was nothing heard of `who`, a hash, for a second? memory_hear: and it is heard of now. */
bool memory_silent(const struct rules_memory *m, uint64_t who, usec now);
bool memory_hear(struct rules_memory *m, uint64_t who, usec now);
bool memory_full(const struct rules_memory *m, int kind);

/* ---- fire.c ---- */
struct firing {
    const struct rules_set *set;
    const struct rule *rule;
    const struct rule_part *part;
    struct rules_memory *memory;
    const struct rules_input *in;
    enum tri known_ip; /* whether the user of this event was seen at its network; ANY: not a login */
    struct arena *arena;
    /* told by the part that fired: */
    const char *detail; /* "23 events within 5m" */
    int novelty, rate;  /* points of the score */
    int rank;           /* SLO: by the windows; 0: not said */
};
bool part_fires(struct firing *f);
/* An entry's time has come, the firing's `now`; it is `until`. True when the part fires for the entry's key. It is given a new due time, or none. */
bool part_falls_due(struct firing *f, struct memory_entry *t, usec until);
/* Whether the event's user was seen at its network in the last 90 days; takes note of it when the login succeeded. */
enum tri known_ip(struct rules_memory *m, const struct rules_input *in, struct arena *a);
/* The value of a field, or of one of those that only rules know: fingerprint, ip_prefix. */
str rule_field(const struct rules_input *in, str name, struct arena *a);
/* "ID\x1fVERSION\x1fapp=shop auth.user=bob" */
str memory_key(struct buf *b, const struct firing *f, const struct rule_fields *by);

/* ---- concern.c ---- */
bool condition_listens(const struct rule_condition *c);
/* Was the event's app and host not heard of for a second? Asked once for each event: they are heard of now. */
bool source_is_news(struct rules_memory *m, const struct rules_input *in, struct arena *a);

/* ---- stat.c ---- */
/* Tells on_stat what the event adds to the rule's stat, if anything. */
int rule_count(const struct rule *r, const struct rules_input *in, void *arg, struct arena *a);

#endif
