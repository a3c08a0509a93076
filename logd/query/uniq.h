/* query/uniq.h - how many different values: exact while few, an estimate past LIMIT_UNIQ_EXACT.
 *
 * Values are 64-bit hashes. Few are kept as they are, so their count is exact; more become a HyperLogLog of 2^14
 * registers (Flajolet et al. 2007) with the estimator of Ertl 2017 (arXiv 1702.01284, algorithm 6), which needs no table
 * of corrections: 0.81 % standard error at any size.
 *
 * Owner   one thread. Memory: 8 bytes a value at half load, then 16 KiB. */
#ifndef QUERY_UNIQ_H
#define QUERY_UNIQ_H

#include "base/base.h"

#define UNIQ_ERROR 0.0081 /* standard error of an estimate */
struct uniq {
    uint64_t *set;      /* open addressing, 0: free; NULL once there are registers */
    uint32_t n, cap;    /* values, slots */
    bool zero;          /* the hash 0 was seen */
    uint8_t *registers; /* 2^14; NULL while exact */
};
void uniq_add(struct uniq *u, uint64_t hash);
void uniq_merge(struct uniq *u, const struct uniq *from);
uint64_t uniq_count(const struct uniq *u);
size_t uniq_bytes(const struct uniq *u);
void uniq_done(struct uniq *u);

#endif
