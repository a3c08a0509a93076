/* store/signature.h - what a block says about its texts, so that most blocks need not be read.
 *
 * Three bytes that follow each other in some text of the block set a bit (case folded), so text that is looked for can
 * only be there when all its threes are: that holds for parts of words too, which a filter of whole words cannot say.
 * Values of fixed length that are random anyway (hex, uuid) would set all bits; they go whole into a split block Bloom
 * filter (Putze, Sanders, Singler 2007; 32 bytes a block, 8 bits a value, as in Apache Parquet's BloomFilter.md).
 *
 * Bytes: 4 log2 of the bits, 4 blocks of the Bloom filter, the bits, the blocks, 8 xxh64 of all before. */
#ifndef STORE_SIGNATURE_H
#define STORE_SIGNATURE_H

#include "base/buf.h"

enum { SIGNATURE_BITS = 1 << 16, PROBE_MAX = 62 };

struct signature_maker;
struct signature_maker *signature_new(void);
void signature_free(struct signature_maker *m);
void signature_reset(struct signature_maker *m);
void signature_text(struct signature_maker *m, str text);
void signature_value(struct signature_maker *m, str lower); /* hex or uuid, lower case */
void signature_write(struct signature_maker *m, struct buf *out);

struct signature { /* a view */
    const uint64_t *bits;
    uint32_t mask; /* bits - 1 */
    const uint32_t *blocks;
    uint32_t blocks_n;
};
/* `bytes` 8-byte aligned. False: damaged. */
bool signature_read(str bytes, struct signature *ret) MUST_CHECK;

struct probe { /* a text that is looked for, prepared once */
    uint16_t at[PROBE_MAX];
    size_t n; /* 0: too short to tell */
    uint64_t hash;
};
void probe_init(struct probe *p, str lower);
bool signature_may_contain(const struct signature *s, const struct probe *p);
bool signature_may_equal(const struct signature *s, const struct probe *p); /* a hex or uuid value */

#endif
