/* journal/journal.h - the only way in and the only truth: what is in it happened, what is not did not.
 *
 * One thread joins waiting batches into one write and one fdatasync, then publishes them and answers them. A record
 * is one batch. Records are numbered 1, 2, 3 … without gaps (seq); a follower's position is the seq it has applied.
 * Files `NNNNNNNN.j` of about 64 MiB; the byte tables stand at the top of journal/format.h.
 *
 * Durability   BATCH_OK is said only after fdatasync returned. A failed fdatasync is never retried: every waiting
 *              batch gets BATCH_FAILED and on_fatal is called (the server stops). ENOSPC cuts the half-written group
 *              off again and gives BATCH_FULL.
 * Start        a torn tail (an unsynced group) is cut, a corrupt middle is reported, counted and skipped.
 * Duplicates   the event_id and Idempotency-Key windows live here, survive restarts, and are checked and changed in
 *              the commit itself.
 * Owner        journal_open, journal_close: main. journal_submit and the read-only questions: any thread. */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "base/err.h"
#include "event/batch.h"

struct journal;
struct journal_config {
    const char *dir;        /* …/journal, made when it is not there */
    const char *disk;       /* folder whose file system must keep DISK_RESERVE free */
    uint64_t reserve_bytes; /* 0: DISK_RESERVE */
    uint64_t file_bytes;    /* 0: JOURNAL_FILE_BYTES; small in tests */
    size_t unsynced_bytes;  /* 0: LIMIT_UNSYNCED: more waiting than this is BATCH_FULL at once */
    usec window;            /* 0: 24 h */
    uint64_t after_seq;     /* the furthest position of a follower: no new record gets a number up to it, whatever
                                 became of the files. A journal that is begun anew after a restore goes on from it. */
    /* Any thread, under the journal's lock: would so many bytes of events more be too many for who takes them? Those that
     * wait already are among them. NULL: never. */
    bool (*crowded)(size_t bytes, void *arg);
    /* In the journal thread: takes out of the body of a RECORD_UNIQUE what is known already; then whether what was left
     * of the group's is durable. NULL: all is written. */
    void (*sift)(struct batch *b, void *arg);
    void (*sifted)(bool durable, void *arg);
    /* In the journal thread, after the sync and in order, before `done`. May take b->body away. */
    void (*publish)(struct batch *b, void *arg);
    /* In the journal thread: the disk failed, stop the server. */
    void (*on_fatal)(const struct err *e, void *arg);
    void *arg;
};
struct journal_stats {
    uint64_t first_seq, last_seq; /* in the files; last = durable */
    usec last_recv_us;            /* of the last record, 0: none; seeds batch_stamp */
    uint64_t files, bytes;
    uint64_t batches, events, syncs, duplicates; /* since start */
    uint64_t torn_bytes;                         /* cut at start */
    uint64_t corrupt_records;                    /* skipped, counted where first met */
    size_t queued_batches, queued_bytes;
    bool disk_low;
    usec sync_us_last;
    usec window_from;    /* oldest reception the event_id window still knows */
    size_t window_bytes; /* memory of the duplicate windows */
};

int journal_open(const struct journal_config *c, struct journal **ret, struct err *e) MUST_CHECK;
void journal_close(struct journal *j); /* drains, syncs, joins the thread; close its readers before; NULL is fine */
/* Gives b to the journal. b->done is called once, maybe before this returns (BATCH_FULL). */
void journal_submit(struct journal *j, struct batch *b);
/* Submits and waits. For threads that may block. b stays yours, and so does b->with, which goes first, in one write. */
enum batch_status journal_commit(struct journal *j, struct batch *b);
/* The newest RECORD_UNIQUE among those that were there when it was opened; 0: none was. */
uint64_t journal_found_unique(const struct journal *j);
void journal_stats(struct journal *j, struct journal_stats *ret);
struct journal_end {           /* what is durable now: bytes [0, offset) of `file` and all files before it */
    uint64_t first_file, file; /* numbers: NNNNNNNN.j */
    uint64_t offset, seq;
};
void journal_end(struct journal *j, struct journal_end *ret);
/* Every follower and the archive are past seq: whole files up to it may go (their windows are kept). */
int journal_release(struct journal *j, uint64_t seq, struct err *e) MUST_CHECK;

/* ---- reading: the same for a live follower and after a restart ---- */
struct record {
    enum record_type type;
    uint32_t app;
    uint64_t seq;
    usec recv_us;
    uint32_t events;
    str body; /* valid until the next call */
};
struct journal_reader;
/* Records with seq > after. Live: gives only what is synced, waits for more. */
int journal_reader_open(struct journal *j, uint64_t after, struct journal_reader **ret, struct err *e) MUST_CHECK;
/* A folder or one file that no server has open; ends at the end. */
int journal_reader_open_path(const char *path, uint64_t after, struct journal_reader **ret, struct err *e) MUST_CHECK;
/* 1: a record; 0: none within `wait` (live) or the end (path), or journal_reader_stop; -1: cannot go on.
 * A corrupt record is logged, counted and skipped. */
int journal_reader_next(struct journal_reader *r, usec wait, struct record *ret, struct err *e) MUST_CHECK;
void journal_reader_stop(struct journal_reader *r); /* any thread: wakes a waiting next */
void journal_reader_close(struct journal_reader *r);
uint64_t journal_reader_corrupt(const struct journal_reader *r); /* records skipped so far */
/* `logd debug journal FILE`: one line a record to out, a verdict at the end; -1 when something is corrupt. */
int journal_debug(const char *path, FILE *out, struct err *e) MUST_CHECK;

#endif
