/* store/store.h - events that can be searched: the head (the journal's newest bytes, in memory) and sealed segments.
 *
 * An event is found as soon as its batch was published, which is before its sender is answered. The head is sealed at
 * `head_bytes` or `head_age` into an immutable segment file; the byte table stands at the top of store/segment.c.
 * Position: every record with seq <= store_sealed() is in a synced segment; the rest is read again from the journal
 * after a restart, by the same function (store_append).
 *
 * A view is a consistent set of blocks; holding one keeps segments and head alive, and never blocks intake.
 * Owner   store_append: the journal thread (at start: main). Sealing, retention: the store thread. Views: any thread. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "event/batch.h"

struct store;
struct store_config {
    const char *dir;        /* …/segments */
    uint64_t memory;        /* that the server may take, 0: 512 MiB. The head with what is being sealed: a quarter;
                               signatures that are kept: a sixteenth */
    size_t head_bytes;      /* sealed at so many; 0: 1/8 of memory, at most 64 MiB */
    usec head_age;          /* 0: 1 h */
    usec keep;              /* retention by age, 0: for ever */
    uint64_t keep_bytes;    /* retention by size of all segments, 0: no limit */
    bool archived;          /* only segments that store_archived has told of are merged */
    uint64_t reserve_bytes; /* 0: DISK_RESERVE; a merge leaves so much of the disk free */
    /* In the store thread: a segment holding records first..last is synced and named. */
    void (*on_sealed)(const char *path, uint64_t first_seq, uint64_t last_seq, void *arg);
    /* In the store thread: what `app` has of its own. *keep comes as the one of all, *bytes (of its blocks) as 0: no limit.
     * NULL: none has. */
    void (*keep_of)(uint32_t app, usec *keep, uint64_t *bytes, void *arg);
    void *arg;
};
struct store_stats {
    uint64_t segments, segment_bytes, segment_events, raw_bytes;
    uint64_t head_events, head_bytes;
    uint64_t head_memory, head_max; /* bytes held for the head, and how many may be */
    uint64_t sealed_seq, appended_seq;
    uint64_t removed_segments, corrupt_blocks;
    uint64_t merges, merge_failures;           /* since start */
    uint64_t merging, merge_done, merge_total; /* segments that are being merged, 0: none; events done, of how many */
    nsec t_min, t_max;
};

int store_open(const struct store_config *c, struct store **ret,
               struct err *e) MUST_CHECK; /* starts the store thread */
void store_close(struct store *s);        /* joins; the head is not sealed: the journal has it */
uint64_t store_sealed(struct store *s);
/* Takes b->body (left empty). Records must come in order of seq; one that is sealed already is ignored. */
void store_append(struct store *s, struct batch *b);
/* Would the head, with so many bytes more, hold more than it may? It is sealed soon, then. Any thread. */
bool store_crowded(struct store *s, size_t bytes);
void store_wait(struct store *s);                          /* until it does not; gives up while sealing fails */
int store_seal(struct store *s, struct err *e) MUST_CHECK; /* now; waits for it */
/* Merges what is to be merged, see store/merge.c; waits for it. */
int store_merge(struct store *s, struct err *e) MUST_CHECK;
void store_archived(struct store *s, uint64_t seq); /* the archive has all segments up to this record */
/* What is sealed and durable now: *ret, to be freed, with a reference each (segment_unref). Returns how many. */
struct segment;
size_t store_segments(struct store *s, struct segment ***ret);
void store_stats(struct store *s, struct store_stats *ret);
void store_retention(struct store *s, usec keep, uint64_t keep_bytes); /* a new config */

struct store_next { /* what goes next because of its size */
    uint64_t left;  /* bytes that may come before that */
    usec expected;  /* when they will have come, at the pace of the last day; 0: it stood still */
    uint64_t events, bytes;
    nsec from, to; /* of these events */
};
struct store_kept { /* what is kept of one app */
    uint32_t app;
    usec keep; /* 0: for ever */
    uint64_t keep_bytes;
    uint64_t events, bytes;         /* that can be found, in segments */
    uint64_t due_events, due_bytes; /* past their retention: gone from sight, not yet from the disk */
    nsec oldest;                    /* INT64_MAX: nothing */
    usec next;                      /* when something goes because of its age; 0: nothing will */
    uint64_t next_events;           /* that go within a day from then */
    struct store_next by_size;      /* its oldest block; of keep_bytes, else 0 */
};
/* *ret, to be freed, of each app that has or had events in segments. Returns how many. */
size_t store_kept(struct store *s, struct store_kept **ret);
/* The oldest segment, if there is a limit of all bytes. False: nothing will go because of it. */
bool store_next(struct store *s, struct store_next *ret);

struct store_view;
struct store_block {
    nsec t_min, t_max;
    usec recv_min, recv_max; /* of the ids within */
    uint32_t events;
    uint32_t app;    /* 0: several */
    uint32_t levels; /* bit s: an event of severity s is in it */
    uint64_t seq_min, seq_max;
};
struct store_view *store_view_open(struct store *s);
void store_view_close(struct store_view *v);
size_t store_view_count(const struct store_view *v);
const struct store_block *store_view_block(const struct store_view *v, size_t i);
/* The block's lines, each ended by \n. `scratch` owns the bytes when they had to be decoded; the view stays valid until
 * scratch changes. ERR_CORRUPT: the block is damaged, was counted and logged; go on with the next one. */
int store_view_lines(const struct store_view *v, size_t i, struct buf *scratch, str *ret, struct err *e) MUST_CHECK;

/* The block as columns, to be read into `a`, and its number in its segment; false: it is of the head, as lines only. */
struct block;
bool store_view_columns(const struct store_view *v, size_t i, struct arena *a, struct block *ret, size_t *ret_index);
/* Counts and logs a block that is left out because it is damaged. store_view_lines has done so itself. */
void store_view_damaged(const struct store_view *v, const struct err *why);

/* `logd debug segment FILE` */
int store_debug(const char *path, FILE *out, struct err *e) MUST_CHECK;

#endif
