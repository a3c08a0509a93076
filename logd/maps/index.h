/* maps/index.h - what is kept of a source map: a compact index that answers one place in about a microsecond.
 *
 * Little-endian, 4 bytes a number unless said:
 *   0  8   "logdidx1"
 *   8      sources, at     each 8: at, length | 1<<31 when ignored; length 0x7fffffff: null
 *   16     names, at       each 8: at, length
 *   24     blocks, at      each 12: line, column, at: of its first mapping
 *   32     functions, at   each 20: line, column, token at, token length, name
 *   40     mappings, those with a source
 *   48     a sample's line, column (from 0): a mapping with a source, and a name if any has one
 *   56     debug id: at, length
 *   64     texts, then mappings in blocks of 64, then the tables
 *
 * A mapping in a block: a byte of flags (1: a new line, 2: has a source, 4: has a name), then LEB128: lines on if new, columns
 * on (or the column itself), then of source, original line, original column and name the zigzag difference to the last one
 * in the block that had it. A block stands alone: it starts from zeros but for its place.
 *
 * Reading is bounds-checked throughout, so a damaged index gives a wrong answer or none.
 * Owner   any thread; an index is a view of bytes that stay. */
#ifndef MAPS_INDEX_H
#define MAPS_INDEX_H

#include "base/buf.h"
#include "maps/sourcemap.h"

struct map_place { /* an answer */
    str source;    /* absent: null in the map */
    bool ignored;
    uint32_t line, column; /* from 0 */
    str name;              /* what stands there is called so in the original; absent: nothing is said */
    bool exact;            /* a mapping begins right at the asked place */
};
void map_index_write(const struct sourcemap *m, struct buf *out);
bool map_index_check(str index) MUST_CHECK; /* header and tables lie within it */
/* The original of a generated place, both from 0. False: nothing is mapped there. */
bool map_index_find(str index, uint32_t line, uint32_t column, struct map_place *ret) MUST_CHECK;
/* The original name of the function that the minified file calls `token`: of its declarations the nearest before the place. */
str map_index_function(str index, str token, uint32_t line, uint32_t column);
struct map_facts {
    uint32_t sources, mappings, mapped, functions;
    uint32_t sample_line, sample_column;
    str debug_id;
};
void map_index_facts(str index, struct map_facts *ret);

#endif
