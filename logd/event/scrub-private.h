/* event/scrub-private.h - what the files of the scrubber share: the text under the scan and what was found in it.
 *
 * The scan (scrub.c) looks at every three bytes and asks, where they may belong to a secret, one of the questions
 * below: is this the end of a name whose value is secret (scrub-pair.c, scrub-value.c), is this the prefix of a token
 * (scrub-shape.c), is this a card's number (scrub-card.c)? An answer is the bytes to replace, never before s->done, or
 * none. What is looked at and then not replaced is bounded or remembered, so the whole is linear in the text, whatever
 * it holds. */
#ifndef EVENT_SCRUB_PRIVATE_H
#define EVENT_SCRUB_PRIVATE_H

#include "base/str.h"

struct scan {
    const char *p;
    size_t n;
    size_t done;           /* what is before it is settled */
    size_t word, word_end; /* the run of C_WORD that was measured last */
    bool unbalanced;       /* a bracket was found that never closes */
};
struct found {
    size_t from, to;
    str kind;        /* absent: nothing */
    str left, right; /* written before and after it */
};
#define NOTHING ((struct found){0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}})

enum {
    C_DIGIT = 1,
    C_UPPER = 2,
    C_HEX = 4,
    C_ALNUM = 8,
    C_WORD = 16,   /* [A-Za-z0-9_-] */
    C_DOTTED = 32, /* WORD and '.' */
    C_BASE64 = 64, /* WORD and '+' '/' '=' */
    C_TOKEN = 128, /* DOTTED, BASE64 and '~' */
};
extern uint8_t scrub_class[256];
static inline bool is(char c, unsigned classes) { return scrub_class[(unsigned char)c] & classes; }
static inline char at(const struct scan *s, size_t i) { return i < s->n ? s->p[i] : '\0'; }
/* The byte before i; where something was replaced, what stands there now. */
static inline char before(const struct scan *s, size_t i)
{
    return i > s->done ? s->p[i - 1] : s->done > 0 ? ']' : '\0';
}
static inline char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c; }
static inline str rest(const struct scan *s, size_t i) { return (str){s->p + i, i < s->n ? s->n - i : 0}; }
/* The end of the run of the classes at i, not further than max. */
static inline size_t run(const struct scan *s, size_t i, unsigned classes, size_t max)
{
    size_t stop = i >= s->n ? i : s->n - i < max ? s->n : i + max;
    while (i < stop && is(s->p[i], classes))
        i++;
    return i;
}
/* What we write stands at i: "[redacted:kind]". */
static inline bool is_redacted(const struct scan *s, size_t i)
{
    if (!str_starts(rest(s, i), S("[redacted:")))
        return false;
    size_t end = i += sizeof "[redacted:" - 1;
    while ((at(s, end) >= 'a' && at(s, end) <= 'z') || at(s, end) == '_')
        end++;
    return end > i && at(s, end) == ']';
}
size_t scrub_word_end(struct scan *s, size_t i); /* run() of C_WORD, remembered */

/* ---- names ---- */
enum value_rule { /* what a value inside text must look like; a field's value may be anything */
                  VALUE_ANY,
                  VALUE_LONG,   /* a session's id: 16 bytes and more, and no address */
                  VALUE_NO_INT, /* not a number: "pass=3" counts tests */
                  VALUE_CODE,   /* a short code with a digit */
                  VALUE_QUERY,  /* secret in the query of a URL only, and long */
                  VALUE_LINE,   /* words up to the end of the line */
};
struct secret_names {
    str kind;
    uint8_t how;   /* whole words or ends of words: see scrub-name.c */
    uint8_t value; /* enum value_rule */
    str ends;      /* of the names, in lower case, without seams, with blanks between */
};
const struct secret_names *scrub_name_find(str name); /* NULL: its value is not secret */
/* Before all else; calls `each` with the end of every name that scrub_name_find may know. */
void scrub_names_init(void (*each)(str end));

/* ---- the questions. `i`: the middle one of the three bytes ---- */
void scrub_shapes_init(void);
struct found scrub_shape(struct scan *s, size_t i);
struct found scrub_card(struct scan *s, size_t i);
void scrub_pairs_init(void);
struct found scrub_pair(struct scan *s, size_t i);  /* the last letter of a name, what may follow one */
struct found scrub_blank(struct scan *s, size_t i); /* a name, blanks, and what may follow, or an option of a command */

/* Three bytes are worth a question; the place of the question is the middle one. */
enum ask { ASK_PAIR = 1, ASK_BLANK = 2, ASK_CARD = 4, ASK_SHAPE = 8 }; /* bits; shapes take 8, 16, … 128 */
void scrub_watch(unsigned ask, int a, int b, int c);

/* ---- values ---- */
struct quotes {         /* one quotation mark and the backslashes before it, or %22, or &quot; */
    char c;             /* 0: none */
    uint8_t escapes, n; /* n: bytes */
};
struct value_place {
    const struct secret_names *name;
    struct quotes left; /* around the name */
    str mark;           /* the quotation mark as it stands behind the name */
    char until;         /* the byte that ends the value; 0: what is usual */
    bool loose;         /* a colon and a blank stand before it: may be prose */
    bool query;         /* in the query of a URL */
    bool encoded;       /* the separator was %3D */
};
struct quotes scrub_quotes(const struct scan *s, size_t i);
struct found scrub_value(struct scan *s, size_t from, const struct value_place *place);
bool scrub_says_nothing(str value); /* "required", "true", "%s": stands where a value could and is none */
/* What is replaced between two fixed ends, if it is there at all. */
struct found scrub_between(const struct scan *s, size_t from, size_t to, str kind);

#endif
