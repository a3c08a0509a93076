/* store/internal.h - what the files of the store share; nobody else includes it. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store/segment.h"

#include <pthread.h>

struct mark { /* a batch in a chunk: what its lines do not say themselves */
    uint32_t offset, app;
};
struct chunk {
    _Atomic unsigned refs;
    struct buf lines; /* capacity fixed at birth: the bytes never move */
    struct store_block info;
    struct mark *marks;
    size_t marks_n, marks_cap;
    usec born; /* clock_mono */
    struct store *store;
    struct chunk *next; /* of those that are spare */
};

struct store {
    struct store_config conf;
    pthread_mutex_t lock;   /* of all that follows, and the only lock; never held for I/O */
    pthread_cond_t changed; /* appended, sealed, stopping */
    pthread_t thread;
    bool stopping, seal_now, sealing;
    struct segment **segments; /* by seq; ranges do not overlap */
    size_t segments_n, segments_cap;
    struct chunk **head; /* oldest first; [0, taken) are being sealed */
    size_t head_n, head_cap, taken;
    _Atomic size_t head_memory;        /* of all chunks that live, also those sealed that a view still holds */
    struct chunk *spare;               /* nobody's, their lines wait to be written to again */
    size_t spare_n, spare_least;       /* how many; the fewest since some were let go */
    _Atomic size_t keep_left;          /* bytes of signatures that may still be kept in memory */
    size_t head_max;                   /* of head_memory; past it intake is told to come back */
    _Atomic bool pressed;              /* somebody was told: seal at once */
    uint64_t sealed_seq, appended_seq; /* position; see store_sealed */
    struct app_keep {                  /* of each app that has blocks; the list is the store thread's */
        uint32_t app;
        usec keep;
        uint64_t bytes;
    } * keeps;
    size_t keeps_n;
    bool retain_now;
    usec retain_again; /* clock_mono */
    uint64_t removed;
    pthread_t merger;
    bool merge_now;
    struct err merge_error; /* of the last one */
    uint64_t archived;      /* segments up to this record may be merged */
    struct {
        bool running;
        uint64_t done, total, sources; /* events of the one that runs; its segments */
        uint64_t merges, failures;
    } merge;
    _Atomic uint64_t corrupt;
    struct err seal_error;      /* of the last try */
    usec seal_wait, seal_again; /* after a failure: how long, until when (clock_mono) */
};

void block_widen(struct store_block *a, const struct store_block *b);
enum { BLOCK_EVENTS_MIN = 64 };
/* Is a block of sorted lines full before one more, that makes it `bytes`? Also when it would span more than a day, unless
 * it has very few: retention goes by blocks. */
bool block_ends(const struct store_block *so_far, size_t bytes, nsec next);
void chunk_unref(struct chunk *c);
void segments_add(struct store *s, struct segment *seg); /* under the lock */
/* Writes what is in the head into a segment. Entered and left under the lock; released meanwhile. The store thread's. */
void seal(struct store *s);
/* Marks what is past its retention and removes what is due as a whole. The same way. */
void retain(struct store *s);
struct app_keep *keep_of(struct store *s, uint32_t app); /* NULL: none known; under the lock */
void *merge_main(void *store);                           /* the merging thread */

#endif
