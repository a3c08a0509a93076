/* base/buf.h - a growing byte buffer with a ceiling.
 *
 * Owner   whoever declared it; no locks.
 * Memory  doubles from 256 bytes up to `max`. Past it nothing is added and `full` stays set until
 *         buf_reset, so a writer checks once, at its end. One marked `secret` wipes the bytes it lets
 *         go when it is reset, grows or is done, and stays marked. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/base.h"

struct buf {
    char *p;
    size_t n, cap, max;
    bool full; /* something did not fit under `max` */
    bool secret;
};

#define BUF_INIT(limit)                                                                                                \
    {                                                                                                                  \
        NULL, 0, 0, (limit), false, false                                                                              \
    }

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
void buf_wipe(struct buf *b); /* overwrites its bytes */
static inline void buf_reset(struct buf *b)
{
    if (b->secret)
        buf_wipe(b);
    b->n = 0, b->full = false;
}
bool buf_grow(struct buf *b, size_t more); /* room for `more`; false: would pass max, `full` is set */

static inline bool buf_room(struct buf *b, size_t more) { return LIKELY(b->cap - b->n >= more) || buf_grow(b, more); }
static inline void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n > 0 && buf_room(b, n)) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}
static inline void buf_str(struct buf *b, str s) { buf_add(b, s.p, s.n); }
static inline void buf_byte(struct buf *b, char c) { buf_add(b, &c, 1); }
#define buf_lit(b, literal) buf_add(b, "" literal, sizeof(literal) - 1)
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline str buf_view(const struct buf *b) { return (str){b->p, b->n}; }
/* The bytes, NUL-terminated (the NUL is not counted); owned by the caller, b is empty after. */
char *buf_take(struct buf *b, size_t *ret_n);
/* In the fewest digits that read back as v, for JSON: what is not finite is null. */
void buf_double(struct buf *b, double v);
/* `s` as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void buf_json(struct buf *b, str s);
void buf_member(struct buf *b, const char *name, str s); /* ,"name":"s", or null when s is empty */
/* `s` for HTML text and attribute values: & < > " ' escaped. */
void buf_html(struct buf *b, str s);
/* `s` percent-encoded, RFC 3986 unreserved kept; `slash`: '/' is kept too. */
void buf_url(struct buf *b, str s, bool slash);
void buf_leb128(struct buf *b, uint64_t v); /* 7 bits a byte, low ones first; str_leb128 reads it */
void buf_hex(struct buf *b, const void *p, size_t n);
void buf_base64(struct buf *b, str s);
/* The bytes of base64 text, of either alphabet, with or without its =; false: it is none, b has a part of it. */
bool buf_base64_read(struct buf *b, str s) MUST_CHECK;

#endif
