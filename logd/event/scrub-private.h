/* event/scrub-private.h - what the files of the scrubber share: the text under the scan and what was found in it.
 *
 * scrub.c looks at every pair of bytes and asks, where a pair may belong to a secret, one of the questions below.
 * Each answers with the bytes to replace, never before s->done, or with none (kind absent). What is looked at and not
 * replaced is bounded or remembered, so the whole is linear in the text whatever it holds. */
#ifndef EVENT_SCRUB_PRIVATE_H
#define EVENT_SCRUB_PRIVATE_H

#include "base/str.h"

struct scan {
    const char *p;
    size_t n;
    size_t done;           /* before it all is written */
    size_t word, word_end; /* the last run of [A-Za-z0-9_-] that was measured */
};
struct found {
    size_t from, to;
    str kind;   /* absent: nothing found */
    char quote; /* the replacement goes between such quotes, `\` before each of them; 0: none */
    uint8_t escapes;
};
static const struct found NOTHING = {0, 0, {NULL, 0}, 0, 0};

enum { C_ALNUM = 1, C_HEX = 2, C_WORD = 4, C_B64 = 8, C_UPPER = 16, C_DIGIT = 32, C_NAME = 64, C_DOTTED = 128 };
extern uint8_t
    scrub_class[256]; /* bits of the above; WORD is [A-Za-z0-9_-], B64 [A-Za-z0-9+/=_-], DOTTED WORD and '.' */
static inline bool is(char c, unsigned classes) { return scrub_class[(unsigned char)c] & classes; }
static inline char at(const struct scan *s, size_t i) { return i < s->n ? s->p[i] : '\0'; }
static inline char before(const struct scan *s, size_t i) { return i > s->done ? s->p[i - 1] : '\0'; }
static inline char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c; }
size_t scrub_word_end(struct scan *s, size_t i); /* of the run of WORD at i */

/* Shapes. `i`: the first byte of the pair that asked. */
void scrub_shapes_init(uint8_t *pairs, uint8_t code); /* marks the pairs of all prefixes */
struct found scrub_prefix(struct scan *s, size_t i);
struct found scrub_jwt(struct scan *s, size_t i);
struct found scrub_pem(struct scan *s, size_t i);
struct found scrub_card(struct scan *s, size_t i);
struct found scrub_url(struct scan *s, size_t i);
struct found scrub_telegram(struct scan *s, size_t i);

/* Pairs of name and value in text. `i`: the separator. */
struct found scrub_pair(struct scan *s, size_t i, size_t sep_n);

#endif
