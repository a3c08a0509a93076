/* issues/shape.h - a message as what it says and where its values stand.
 *
 * Words and punctuation stay; numbers, ids, addresses, paths, times and lists of them become one value. Pure: the same
 * bytes give the same shape for ever, which is why an id may be made of it. A change that moves shapes is a new
 * SHAPE_VERSION.
 * Memory  none; texts are views of the message. Time: one pass over at most SHAPE_BYTES. */
#ifndef ISSUES_SHAPE_H
#define ISSUES_SHAPE_H

#include "base/buf.h"

enum { SHAPE_VERSION = 1, SHAPE_TOKENS = 128, SHAPE_BYTES = 4096 };
enum token_kind {
    TOKEN_WORD,
    TOKEN_MARK,  /* one character of punctuation, or a run of one */
    TOKEN_VALUE, /* any number of values */
    TOKEN_PAIR,  /* a word and a number: "web:443"; equal when the word is */
    TOKEN_QUOTE, /* a quoted text without values */
    TOKEN_CAUSE  /* the system's text of an errno */
};
struct token {
    uint64_t hash; /* equal text, equal hash; all values are equal */
    uint8_t kind;
    uint8_t enough; /* so many different texts in this place make it a value; 0: it never is one. By shape_weigh */
    char mark;      /* of a TOKEN_MARK */
    bool glued;     /* no blank before it */
    uint32_t at, n; /* its bytes in the message */
};
#define TOKEN_VALUE_HASH 0x9e3779b97f4a7c15u /* of every value */
struct shape {
    size_t n;
    uint64_t hash;
    struct token t[SHAPE_TOKENS];
};
void shape_read(str message, struct shape *ret);
/* Fills `enough`; only what is new needs it. */
void shape_weigh(str message, struct shape *s);
/* Joins values that stand together, as in "1, 2 (3)", and makes the hash; for shapes whose words were made values. */
void shape_settle(struct shape *s);
/* The message with <*> for values. */
void shape_print(str message, const struct shape *s, struct buf *out);

#endif
