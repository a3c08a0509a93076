/* tests/lib/batches.h - batches for tests of the journal whose every byte follows from (writer, number), so that a
 * reader can tell whole from half, once from twice, and first from later. */
#ifndef TESTS_BATCHES_H
#define TESTS_BATCHES_H

#include "base/hash.h"
#include "base/str.h"
#include "event/batch.h"

static inline uint64_t batch_random(uint64_t writer, uint64_t n, uint64_t what)
{
    uint64_t v[3] = {writer, n, what};
    return xxh64(v, sizeof v, 42);
}

static inline void batch_line(struct buf *out, uint64_t writer, uint64_t n, uint64_t line)
{
    static const char filler[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t h = batch_random(writer, n, line);
    buf_printf(out, "{\"w\":%llu,\"n\":%llu,\"line\":%llu,\"text\":\"", (unsigned long long)writer,
               (unsigned long long)n, (unsigned long long)line);
    for (uint64_t i = 0; i < h % 90; i++)
        buf_byte(out, filler[(h >> (i % 40)) % 36]);
    buf_lit(out, "\"}\n");
}

static inline uint32_t batch_lines(uint64_t writer, uint64_t n)
{
    return 1 + (uint32_t)(batch_random(writer, n, 1000) % 7);
}
static inline bool batch_idempotent(uint64_t writer, uint64_t n) { return batch_random(writer, n, 1001) % 3 != 0; }
static inline bool batch_has_ids(uint64_t writer, uint64_t n) { return batch_random(writer, n, 1002) % 2 != 0; }

/* The whole body that batch n of `writer` must have. */
static inline void batch_body(struct buf *out, uint64_t writer, uint64_t n)
{
    for (uint32_t i = 0; i < batch_lines(writer, n); i++)
        batch_line(out, writer, n, i);
}

static inline struct batch *batch_make(uint64_t writer, uint64_t n, usec recv_us)
{
    struct batch *b = batch_new(RECORD_EVENTS, (uint32_t)(1 + writer % 3), recv_us);
    bool ids = batch_has_ids(writer, n);
    for (uint32_t i = 0; i < batch_lines(writer, n); i++) {
        size_t at = b->body.n;
        batch_line(&b->body, writer, n, i);
        if (ids)
            batch_add_id(b, batch_random(writer, n, 2000 + i), at, b->body.n - at);
        b->events++;
        b->accepted++;
    }
    b->idempotent = batch_idempotent(writer, n);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t key = batch_random(writer, n, 3000 + i), body = batch_random(writer, n, 4000 + i);
        memcpy(b->idem_key + 8 * i, &key, 8);
        memcpy(b->idem_body + 8 * i, &body, 8);
    }
    return b;
}

/* Reads writer and number from a line; false: it is none of ours. */
static inline bool batch_read_line(str line, uint64_t *ret_writer, uint64_t *ret_n)
{
    unsigned long long w, n;
    char head[80];
    snprintf(head, sizeof head, "%.*s", (int)(line.n < 79 ? line.n : 79), line.p);
    if (sscanf(head, "{\"w\":%llu,\"n\":%llu,", &w, &n) != 2)
        return false;
    *ret_writer = w;
    *ret_n = n;
    return true;
}

#endif
