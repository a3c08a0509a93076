/* query/columns.h - a filter over the columns of a block: which of its events match.
 *
 * The same as filter_match over each event, found in another way: what the block's signature and the ranges of its
 * columns rule out is not read; texts are searched as one run, dictionaries by their few values, numbers as numbers.
 * What has no short cut is asked of filter_field_match value by value, so both agree by construction.
 *
 * Owner   a prepared filter is immutable; a match belongs to one thread and the block's arena. */
#ifndef QUERY_COLUMNS_H
#define QUERY_COLUMNS_H

#include "event/filter.h"
#include "store/block.h"

struct prepared; /* a filter and what its texts look like in signatures */
struct prepared *prepare(const struct filter *f);
void prepared_free(struct prepared *p);
static inline size_t bit_words(size_t events) { return (events + 63) / 64; }
static inline bool bits_any(const uint64_t *bits, size_t words)
{
    uint64_t all = 0;
    for (size_t i = 0; i < words; i++)
        all |= bits[i];
    return all != 0;
}
size_t bits_count(const uint64_t *bits, size_t words);

/* Clears those of the bits whose event does not match; there are bit_words(events) words. `scratch` is not the block's
 * arena. `stop` is asked now and then; once it says true the bits mean nothing. -1 (ERR_CORRUPT): damaged. */
int columns_match(const struct prepared *p, struct block *b, size_t index, uint64_t *bits, struct arena *scratch,
                  bool (*stop)(void *arg), void *arg, struct err *e) MUST_CHECK;

#endif
