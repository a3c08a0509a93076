/* store/segment.h - one sealed segment: an immutable file of columns, with all that is known of its blocks in one footer.
 *
 * Owner   written by the store thread; a segment that was opened is read by any thread (pread, no shared offset).
 * Memory  the block table stays in memory: 192 bytes a block and 56 a column of it, about one byte for three events. */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "store/block.h"
#include "store/store.h"

struct segment {
    char *path;
    int fd;
    uint64_t bytes;               /* of the file */
    uint64_t first_seq, last_seq; /* the journal records it holds */
    uint64_t events, raw_bytes;
    nsec t_min, t_max;
    uint32_t level; /* of zstd: a merged one has MERGE_LEVEL */
    size_t n;
    struct segment_block *blocks;
    char *table; /* block heads and columns, then the names */
    str *names;  /* views into it */
    size_t names_n;
    _Atomic unsigned refs;
    _Atomic bool doomed;       /* the file goes with the last reference */
    usec recv_max;             /* of its events */
    struct kept *kept;         /* its signatures, once they were asked for */
    _Atomic size_t *keep_left; /* bytes that may still be kept, of all segments together; NULL: none */
    /* Under the store's lock: */
    bool merging;                   /* stays on the list */
    bool unmergeable;               /* a block is damaged */
    uint64_t due_bytes, due_blocks; /* past their retention */
};
struct segment_block {
    struct store_block info;
    uint64_t bytes;                /* in the file */
    bool due;                      /* under the store's lock: past its retention, no view sees it */
    const struct block_head *head; /* its columns follow */
};

struct segment_writer;
enum { SEAL_LEVEL = 1, MERGE_LEVEL = 6 }; /* of zstd */
/* Writes DIR/FIRST-LAST.seg.tmp; nothing is visible before segment_finish. */
int segment_create(const char *dir, uint64_t first_seq, uint64_t last_seq, int level, struct segment_writer **ret,
                   struct err *e) MUST_CHECK;
/* One block: lines of one app, each ended by \n, of the statistics given; at most BLOCK_EVENTS_MAX of them. */
int segment_add(struct segment_writer *w, str lines, const struct store_block *info, struct err *e) MUST_CHECK;
/* Footer, fdatasync, rename, fsync of the folder. w is freed in every case; *ret has one reference. */
int segment_finish(struct segment_writer *w, struct segment **ret, struct err *e) MUST_CHECK;
void segment_abort(struct segment_writer *w);

/* ERR_CORRUPT tells torn from foreign from newer; ERR_SYS: it could not be read, and may be whole. */
int segment_open(const char *path, struct segment **ret, struct err *e) MUST_CHECK;
void segment_unref(struct segment *s);
/* All lines of a block, each ended by \n; `scratch` owns them. */
int segment_lines(const struct segment *s, size_t block, struct buf *scratch, str *ret, struct err *e) MUST_CHECK;
/* The signature of a block, kept or read into `a`. The first that is asked for brings all of its segment into memory, in
 * one read, as far as keep_left goes. False: damaged or unreadable, so nothing can be said. */
bool segment_signature(const struct segment *s, size_t block, struct arena *a, struct signature *ret) MUST_CHECK;

#endif
