/* store/segment.h - one sealed segment: an immutable file of zstd blocks with their statistics in one footer.
 *
 * Owner   written by the store thread; a segment that was opened is read by any thread (pread, no shared offset).
 * Memory  the block table stays in memory (80 bytes a block of about 1 MiB). */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "store/store.h"

struct segment {
    char *path;
    int fd;
    uint64_t bytes;               /* of the file */
    uint64_t first_seq, last_seq; /* the journal records it holds */
    uint64_t events, raw_bytes;
    nsec t_min, t_max;
    size_t n;
    struct segment_block *blocks;
    _Atomic unsigned refs;
    _Atomic bool doomed; /* retention: the file goes with the last reference */
};
struct segment_block {
    struct store_block info;
    uint64_t offset;
    uint32_t length, raw; /* bytes in the file, bytes of the lines */
};

struct segment_writer;
/* Writes DIR/FIRST-LAST.seg.tmp; nothing is visible before segment_finish. */
int segment_create(const char *dir, uint64_t first_seq, uint64_t last_seq, struct segment_writer **ret,
                   struct err *e) MUST_CHECK;
/* One block: lines, each ended by \n, of the statistics given. */
int segment_add(struct segment_writer *w, str lines, const struct store_block *info, struct err *e) MUST_CHECK;
/* Footer, fdatasync, rename, fsync of the folder. w is freed in every case; *ret has one reference. */
int segment_finish(struct segment_writer *w, struct segment **ret, struct err *e) MUST_CHECK;
void segment_abort(struct segment_writer *w);

/* ERR_CORRUPT tells torn from foreign from newer. */
int segment_open(const char *path, struct segment **ret, struct err *e) MUST_CHECK;
void segment_unref(struct segment *s);
int segment_lines(const struct segment *s, size_t block, struct buf *scratch, str *ret, struct err *e) MUST_CHECK;

#endif
