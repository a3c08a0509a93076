/* query/columns-private.h - the inside of a match, shared by columns.c (nodes, texts) and columns-numbers.c; nobody else
 * includes this.
 *
 * Owner   the thread that matches. Memory comes from the scratch arena of columns_match. Bits: one an event. */
#ifndef QUERY_COLUMNS_PRIVATE_H
#define QUERY_COLUMNS_PRIVATE_H

#include "query/columns.h"
#include "store/segment.h"

struct match {
    const struct prepared *prepared;
    struct block *b;
    size_t index; /* of the block */
    struct arena *scratch;
    struct err *e;
    size_t words;
    bool signature_read, signature_known;
    struct signature signature;
    struct column **decoded; /* of columns with escapes; NULL: not yet */
    struct arena one;        /* of the value at hand */
    uint32_t unchecked;      /* values since the clock was asked */
    bool (*stop)(void *arg);
    void *arg;
    bool gave_up, stopped;
};

struct place { /* a column whose values are looked at */
    size_t index;
    const struct packed *info;
    const struct column *c;
    const uint16_t *rows; /* NULL: value i is of event i */
    str name;
};
static inline size_t row_of(const struct place *p, size_t value) { return p->rows ? p->rows[value] : value; }
/* Column `index`, its escapes resolved, and whose its values are. -1 (ERR_CORRUPT): damaged. */
int place_open(struct match *m, size_t index, struct place *ret) MUST_CHECK;

static inline bool bit_is(const uint64_t *bits, size_t i) { return bits[i / 64] >> i % 64 & 1; }
static inline void bit_set(uint64_t *bits, size_t i) { bits[i / 64] |= 1ull << i % 64; }

struct interval {
    int64_t low, high; /* both within; low > high: nothing */
};
enum { INTERVALS_MAX = 64 };
/* Do at most INTERVALS_MAX intervals say all that n asks of this column? Those that are within its range. */
bool columns_find_intervals(struct match *m, const struct filter_node *n, const struct packed *p, struct interval *ret,
                            size_t *ret_n);
/* Set the bits of events whose number is in one of them, or is the number. -1 (ERR_CORRUPT): damaged. */
void columns_intervals(struct match *m, const struct interval *intervals, size_t n, const struct place *p,
                       uint64_t *out);
/* Does n ask nothing of this column but which addresses are within some? The bits of events that have one. */
bool columns_ask_addresses(const struct filter_node *n, const struct packed *p);
void columns_addresses(struct match *m, const struct filter_node *n, const struct place *p, uint64_t *out);
int columns_number(struct match *m, size_t index, int64_t number, uint64_t *out) MUST_CHECK;

#endif
