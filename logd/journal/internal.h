/* journal/internal.h - the journal's own state, shared by start.c, commit.c, release.c, reader.c and journal.c.
 *
 *   submit ──▶ queue ──▶ journal thread: judge, write, fdatasync ──▶ windows, publish, files (readers wake), done
 *
 * What the lock guards is said below; the rest belongs to the journal thread once it runs. */
#ifndef JOURNAL_INTERNAL_H
#define JOURNAL_INTERNAL_H

#include "journal/format.h"
#include "journal/journal.h"
#include "journal/window.h"

#include <pthread.h>

struct jfile { /* one NNNNNNNN.j; the last one is written to */
    uint64_t number;
    uint64_t first_seq, last_seq; /* last < first: no record */
    uint64_t size;                /* synced bytes: what readers may see */
    usec recv_us;                 /* latest reception up to its end */
};
struct wfile { /* one NNNNNNNN.w */
    uint64_t number, size;
    usec recv_us;
};
struct bad_spot {
    uint64_t number, offset;
};

struct journal {
    struct journal_config config;
    char *dir, *disk;
    int dirfd;

    pthread_mutex_t lock;
    pthread_cond_t work;   /* the queue is not empty, or closing */
    pthread_cond_t synced; /* files changed, or a reader is to stop */
    /* ---- under the lock ---- */
    struct batch *first, **last;         /* the queue */
    size_t queued_batches, queued_bytes; /* submitted and not answered */
    bool closing, failed;
    usec disk_asked;    /* monotonic time of the last look at the free space, 0: never */
    uint64_t disk_left; /* what it said */
    struct jfile *file;
    size_t file_n;
    struct wfile *wfile;
    size_t wfile_n;
    struct bad_spot bad[64]; /* corrupt spots met, so that each is counted once */
    size_t bad_n;
    struct journal_stats stats;

    /* ---- the journal thread's ---- */
    pthread_t thread;
    bool running;
    int fd;                /* of the last file */
    uint64_t number;       /* its number */
    uint64_t end;          /* where the next group begins; synced up to here */
    uint64_t seq;          /* of the last record */
    usec recv_us;          /* latest reception of all records */
    usec known_from;       /* the windows know nothing from before */
    uint64_t found_unique; /* the newest RECORD_UNIQUE that the start read; constant from then on */
    struct windows *windows;

    pthread_mutex_t releasing; /* one journal_release at a time */
};

/* start.c: reads what is there, mends the end, opens the last file for writing. */
int journal_start(struct journal *j, struct err *e) MUST_CHECK;
/* A new last file: its header and its name are durable before this returns. */
int journal_roll(struct journal *j, struct err *e) MUST_CHECK;
/* The numbers of the folder's files of that kind, ascending, malloc'ed. */
int journal_numbers(const char *dir, enum file_kind kind, uint64_t **ret, size_t *ret_n, struct err *e) MUST_CHECK;
/* Lets the windows learn from a record. */
void journal_learn(struct windows *w, const struct record_header *h, const struct record_meta *m);

/* commit.c */
void *journal_run(void *journal);
/* Under the lock: would `bytes` more leave less than the reserve free? Asks the disk when told to look, or when the last
 * answer is a second old. */
bool journal_disk_low(struct journal *j, uint64_t bytes, bool look);

/* Notes a corrupt spot; logs and counts it when it was not met before. `records`: how many are missing, as far as
 * their numbers tell. */
void journal_note_corrupt(struct journal *j, uint64_t number, uint64_t from, uint64_t to, uint64_t records);

#endif
