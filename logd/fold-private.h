/* fold-private.h - the inside of the fold, shared by fold.c (the thread), fold-asked.c (what others ask of it),
 * fold-memory.c (what rules remember, on disk) and fold-dry.c (trying); nobody else includes this.
 *
 * Owner   the rules thread, or who tries. Other threads read rules, next_rules, position and refused, which change under the
 *         lock only. */
#ifndef FOLD_PRIVATE_H
#define FOLD_PRIVATE_H

#include "fold.h"
#include "counted.h"
#include "watched.h"
#include "base/map.h"
#include "issues/issues.h"
#include "notify/notify.h"
#include "rules/rules.h"
#include "stats/stats.h"
#include "stats/unique.h"

#include <pthread.h>

struct memory_log {  /* fold-memory.c */
    size_t appended; /* bytes since all was written anew */
    size_t whole;    /* bytes that took; 0: not since start */
    usec since;      /* clock_mono then */
};
struct fold {
    struct parts *parts;
    char *path;
    struct db *db;
    struct journal_reader *reader;
    struct issues *issues;
    struct incidents *incidents;
    struct uniques *uniques;
    struct map fired; /* rule to struct fired, of this transaction */
    struct rules_memory *memory;
    struct memory_log memory_log;
    struct rules_set *rules;          /* the thread's; changed under the lock */
    const struct rules_set *borrowed; /* when trying: instead of them */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* what follows is shared */
    pthread_cond_t moved;
    struct rules_set *next_rules; /* taken between two records */
    uint64_t position;
    struct fold_stats stats;
    struct counted *counted;
    struct watched watched;
    struct zone *zone;                           /* whose days of stats are kept */
    uint32_t app;                                /* of the record */
    char refused[sizeof((struct err *)0)->text]; /* why the last reload was, "" while none is */
    _Atomic bool stopping, tick_now;
    const struct config *config; /* what incidents were configured with */
    struct arena arena;
    struct event *event;
    struct err error;
    usec watch_due, watch_now, tick_due, stats_due, seal_due;
    bool scrub;      /* deleted sketches may be in the write-ahead log */
    usec now;        /* of the record before */
    usec wall, mono; /* both clocks when they were last looked at; mono 0: not since start, wall is fold.db's */
};

int fold_apply_event(struct fold *f, str line, usec now, struct err *e) MUST_CHECK;
/* What falls due by time alone, and f->tick_due: when something more does. `silence`: something absent included. */
int fold_tick_alerts(struct fold *f, usec now, bool silence, struct err *e) MUST_CHECK;
void fold_forget_fired(struct fold *f);
/* fold-memory.c: what rules remember, to fold.db and back; inside a transaction. */
int fold_memory_save(struct fold *f, struct err *e) MUST_CHECK;
int fold_memory_load(struct fold *f, struct err *e) MUST_CHECK;

#endif
