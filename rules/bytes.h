/* rules/bytes.h - numbers of 1 to 8 bytes, little-endian, into a buffer and out of a view. */
#ifndef RULES_BYTES_H
#define RULES_BYTES_H

#include "base/buf.h"
#include "base/str.h"

static inline void put_number(struct buf *b, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        buf_byte(b, (char)(unsigned char)(v >> (8 * i)));
}

/* Cuts it off *s; false when *s is too short. */
static inline bool take_number(str *s, size_t bytes, uint64_t *ret)
{
    uint64_t v = 0;
    if (s->n < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)(unsigned char)s->p[i] << (8 * i);
    *s = str_skip(*s, bytes);
    *ret = v;
    return true;
}

#endif
