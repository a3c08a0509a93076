/* base/quantile.h - quantiles of many numbers in little memory.
 *
 * A log-linear histogram: 64 buckets in each octave, so a bucket's middle is off by at most 1/128 = 0.78 % of any number
 * in it. A bucket that saw one number only gives that number: quantiles of few different values are exact. Buckets are
 * kept in a sorted list, since numbers of one kind span few octaves.
 *
 * Owner   one thread. Memory: 24 bytes a bucket that was used; histograms merge without loss. */
#ifndef BASE_QUANTILE_H
#define BASE_QUANTILE_H

#include "base/buf.h"
#include "base/err.h"

#define QUANTILE_ERROR 0.0078125 /* of the number, at most */
struct quantile_bucket {
    int32_t index; /* orders as the numbers do */
    bool mixed;    /* saw different numbers */
    uint64_t n;
    double first;
};
struct quantiles {
    struct quantile_bucket *b;
    size_t n, cap;
    uint64_t count;
};
void quantiles_add(struct quantiles *q, double v); /* not NaN */
void quantiles_add_times(struct quantiles *q, double v, uint64_t times);
void quantiles_merge(struct quantiles *q, const struct quantiles *from);
/* The smallest number that at least `part` (0..1) of them do not exceed; there must be one. *ret_exact: no guess. */
double quantiles_get(const struct quantiles *q, double part, bool *ret_exact);
/* To be kept: about two bytes a bucket. Which buckets saw one number only is not kept: their middle stands for it. */
void quantiles_encode(const struct quantiles *q, struct buf *out);
/* Adds what was kept to q. ERR_CORRUPT for what is not so written; q then holds a part of it. */
int quantiles_decode(str code, struct quantiles *q, struct err *e) MUST_CHECK;
size_t quantiles_bytes(const struct quantiles *q);
void quantiles_done(struct quantiles *q);

#endif
