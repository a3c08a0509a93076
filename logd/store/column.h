/* store/column.h - values of one field of a block, packed by what they are.
 *
 * A packing is taken only when every value comes back byte for byte: "007", 1e3 and -0 are texts, not integers. Numbers
 * are kept as planes, the lowest bytes of all values, then the next ones, …, which zstd packs well and a loop unpacks at
 * memory speed. What is packed is one zstd frame, or as it is when that is not smaller; its checksum stands in struct
 * packed.
 *
 *   CONST    the bytes of the one value
 *   DICT     two pieces, packed each for itself. The dictionary: for each text 4 bytes its length, then for each 4 how many
 *            values have it, then the texts. Behind it a plane of codes (width 1 or 2)
 *   INT      planes of (value - min); value = number * 10^scale. width 0: all are min
 *   DELTA    8 bytes first value, 8 bytes least step, then planes of (step - least step) of the values behind the first
 *   DECIMAL  as INT; the value has `scale` digits behind the point
 *   IPV4     as INT; the value is an address
 *   IPV6     16 planes, the first bytes of all addresses first; IPv4 among them as ::ffff:a.b.c.d (store/address.h)
 *   HEX      width bytes for each value, printed as 2 * width hex digits; UUID: the same with 16 and dashes
 *   TEXT     planes of lengths (width), then the texts
 *
 * Owner   one thread each: a packer when written, an arena when read. */
#ifndef STORE_COLUMN_H
#define STORE_COLUMN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum packing {
    PACK_CONST,
    PACK_DICT,
    PACK_INT,
    PACK_DELTA,
    PACK_DECIMAL,
    PACK_IPV4,
    PACK_HEX,
    PACK_UUID,
    PACK_TEXT,
    PACK_IPV6
};
enum { COLUMN_VALUES_MAX = 65535, DICT_MAX = 65535, PACKED_TEXT_MAX = 64 };

struct packed {             /* as on disk */
    uint64_t offset;        /* in the file */
    uint32_t stored, bytes; /* in the file; unpacked. Equal: not compressed */
    union {
        struct {
            int64_t min, max; /* of numbers, unscaled */
        };
        struct { /* DICT: its dictionary, which is read alone when that is enough; contained in the whole */
            uint32_t dict_stored, dict_bytes, dict_sum, zero4;
        };
    };
    uint32_t name; /* in the segment's list of names */
    uint32_t sum;  /* low half of xxh64 of what is stored; DICT: of the codes */
    uint16_t values, distinct;
    uint8_t kind; /* enum column_kind */
    uint8_t packing, width, scale;
    uint8_t flags; /* enum column_flag */
    uint8_t zero[7];
};
_Static_assert(sizeof(struct packed) == 56, "no padding");

struct packer;
struct packer *packer_new(int level); /* of zstd */
void packer_free(struct packer *p);
/* Adds the bytes to `out`, fills all of *ret but offset, name, kind and flags. `as_text`: PACK_TEXT, whatever they are. */
void pack_texts(struct packer *p, const str *v, size_t n, bool as_text, struct buf *out, struct packed *ret);
/* The texts of the dictionary that was packed last (PACK_DICT), ret->distinct of them; good until the next packing. */
const str *packer_dict(const struct packer *p);
void pack_numbers(struct packer *p, const int64_t *v, size_t n, struct buf *out, struct packed *ret);
void pack_bytes(struct packer *p, str bytes, struct buf *out, struct packed *ret); /* neither: unpacked as it is */

struct column { /* read */
    const struct packed *info;
    size_t n;
    bool whole;             /* false: it was glanced at, what is marked * is not there yet */
    str bytes;              /* unpacked: what is behind the lengths; views lead here */
    const uint32_t *ends;   /* TEXT*: where value i ends in bytes; DICT: where text i ends. [-1] is 0 */
    const uint32_t *counts; /* DICT: how many values have each text; they add up to n */
    const uint8_t *codes;   /* DICT*: the low bytes of all codes, then the high ones when its width is 2: column_code */
    const uint8_t *planes; /* INT, DECIMAL, IPV4: (value - min), info->width planes of n bytes; IPV6: as it is stored */
    const int64_t *numbers; /* INT, DELTA, DECIMAL, IPV4*: scaled as values are */
};
/* What can be said without telling values apart: of a dictionary only its texts are unpacked, of texts only that they
 * follow each other. `stored`: the first column_glance_bytes() of what is stored. Everything lives in `a`. ERR_CORRUPT:
 * says what is wrong, never reads past its bytes. */
int column_glance(const struct packed *info, const char *stored, struct arena *a, struct column *ret,
                  struct err *e) MUST_CHECK;
static inline size_t column_glance_bytes(const struct packed *p)
{
    return p->packing == PACK_DICT ? p->dict_stored : p->stored;
}
/* The rest. `rest`: what is stored behind the first column_glance_bytes(). */
int column_complete(struct column *c, const char *rest, struct arena *a, struct err *e) MUST_CHECK;
static inline size_t column_code(const struct column *c, size_t i)
{
    return c->info->width == 2 ? c->codes[i] | (size_t)c->codes[c->n + i] << 8 : c->codes[i];
}
/* Value i as text: a view, or printed into `room`. */
str column_text(const struct column *c, size_t i, char room[PACKED_TEXT_MAX]);
str column_distinct(const struct column *c, size_t code); /* DICT, CONST */
/* A number of this column as it was written. */
str number_text(const struct packed *info, int64_t v, char room[PACKED_TEXT_MAX]);
static inline bool packing_is_number(unsigned packing) { return packing >= PACK_INT && packing <= PACK_IPV4; }

#endif
