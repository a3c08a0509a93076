/* stats/sketch.h - how many different things, in 5 KB, without knowing which.
 *
 * A 64-bit keyed hash of an id says one cell of a table: a row (its low p bits) and a level (the leading zeros of its top
 * 48 bits: half of all ids on level 0, a quarter on level 1, …). A cell is one bit, once set it stays. How many cells
 * each level has (49 numbers) tells how many different ids there were, with a standard error of .649/sqrt(2^p): .72 % at
 * p = 13, whatever the number. Two tables of different senders are merged by OR, as if one had seen all.
 *
 * Adding is idempotent and commutative. What is stored is canonical: one table has one form, byte for byte (sketch.c).
 * Owner   one thread. Memory: 2^p bits for each level that is neither empty nor full; at most 17 KiB at p = 13. */
#ifndef STATS_SKETCH_H
#define STATS_SKETCH_H

#include "base/buf.h"
#include "base/err.h"

enum { SKETCH_P_MIN = 4, SKETCH_P = 13, SKETCH_P_MAX = 16, SKETCH_LEVELS = 49 };

struct sketch {
    int p;
    uint32_t counts[SKETCH_LEVELS];  /* set cells of each level, at most 2^p */
    uint64_t *planes[SKETCH_LEVELS]; /* 2^p bits; NULL: empty, or full, as counts says */
};

void sketch_init(struct sketch *s, int p);
void sketch_done(struct sketch *s); /* leaves it empty, with its p */
/* The cell of a hash, row * 64 + level: all of it that is ever kept. */
uint32_t sketch_cell(int p, uint64_t hash);
bool sketch_has(const struct sketch *s, uint32_t cell);
bool sketch_add(struct sketch *s, uint32_t cell); /* true: the cell is new */
/* To a smaller p: bit for bit what would be there had it been built so. */
void sketch_fold(struct sketch *s, int p);
/* All that `from` saw; the finer one of both is folded to the p of the other. */
void sketch_merge(struct sketch *s, const struct sketch *from);

/* How many different ids, by maximum likelihood; INFINITY when all cells are set. */
double sketch_estimate(int p, const uint32_t counts[SKETCH_LEVELS]);
struct sketch_number { /* rounded; UINT64_MAX for what is past 2^63 */
    uint64_t value;
    uint64_t low, high; /* two standard errors below and above */
};
struct sketch_number sketch_number(int p, const uint32_t counts[SKETCH_LEVELS]);

void sketch_encode(const struct sketch *s, struct buf *out);
/* *ret is a new sketch. ERR_CORRUPT for anything that sketch_encode would not have written. */
int sketch_decode(str code, struct sketch *ret, struct err *e) MUST_CHECK;
/* The counts alone, from the some forty bytes in front; the rest is not looked at. */
int sketch_peek(str code, int *ret_p, uint32_t ret_counts[SKETCH_LEVELS], struct err *e) MUST_CHECK;

#endif
