/* routes/decode.h - Content-Encoding undone as a stream, one layer, under an absolute ceiling.
 *
 * What a sender declares is often wrong (an empty header, "gzip,deflate" over zlib, nothing over gzip, gzip over plain
 * JSON), so the first bytes decide: 1f 8b is gzip, a zlib header is deflate, 28 b5 2f fd is zstd. Only where they say
 * nothing does the declaration count: "deflate" may be a raw stream. A declared encoding over bytes that begin like
 * JSON is plain. The bound is on the output, never a ratio; zstd windows over 8 MiB are refused.
 *
 * Owner   the thread that owns the request. Memory: the codec's window (32 KiB; zstd up to 8 MiB), see decode_memory;
 *         it is wiped when it is freed. */
#ifndef ROUTES_DECODE_H
#define ROUTES_DECODE_H

#include "base/buf.h"
#include "base/err.h"

#define ZSTD_STATIC_LINKING_ONLY /* for a codec with an allocator of ours */
#include <zlib.h>
#include <zstd.h>

enum coding { CODING_NONE, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD };
/* The header's value; absent, empty and "identity" are NONE. ERR_INPUT: unknown, or more than one layer. */
int coding_read(str header, enum coding *ret, struct err *e) MUST_CHECK;

struct decode {
    enum coding declared;
    enum { DECODE_SNIFF, DECODE_PLAIN, DECODE_ZLIB, DECODE_ZSTD, DECODE_FAILED } state;
    bool whole; /* the stream is at the end of a member or frame */
    unsigned char head[4];
    size_t head_n;
    z_stream z;
    ZSTD_DCtx *zstd;
};
void decode_init(struct decode *d, enum coding declared);
void decode_done(struct decode *d);
/* Adds what `piece` decodes to. ERR_FULL: out would pass its max. ERR_INPUT: not a valid stream. */
int decode_add(struct decode *d, str piece, struct buf *out, struct err *e) MUST_CHECK;
/* The body ended. ERR_INPUT: it is cut short. */
int decode_end(struct decode *d, struct buf *out, struct err *e) MUST_CHECK;
size_t decode_memory(const struct decode *d); /* bytes the codec holds now */

#endif
