/* event/json.h - the JSON scanner of the hot path: one pass, views into the text, nothing allocated.
 *
 * json_next gives one member (name and value) at a time and goes into objects and arrays; what it gives is validated
 * on the way: RFC 8259 to the letter, with two mercies that are flagged and not refused, because an event is not lost
 * for one bad byte: invalid UTF-8 and lone surrogate escapes inside strings (J_BAD). Numbers are views, never
 * converted. Strings are searched eight bytes at a time in plain C ("SIMD within a register", Lamport 1975).
 *
 * Names start with J_ where jansson took JSON_.
 *
 * Owner   any thread; a struct json is a value on the caller's stack. Depth is refused past max_depth. */
#ifndef EVENT_JSON_H
#define EVENT_JSON_H

#include "base/buf.h"
#include "base/err.h"

enum json_kind {
    J_ERROR, /* see json_err */
    J_END,   /* the value is complete; the scanner stands behind it */
    J_CLOSE, /* of the innermost object or array */
    J_NULL,
    J_FALSE,
    J_TRUE,
    J_NUMBER,
    J_STRING,
    J_ARRAY,  /* opens; its elements follow, then J_CLOSE */
    J_OBJECT, /* opens; its members follow, then J_CLOSE */
};
enum { J_ESCAPED = 1, J_BAD = 2 }; /* backslashes; invalid UTF-8 or a lone surrogate */
enum { JSON_DEPTH_MAX = 1024 };

struct json {
    const char *start, *p, *end;              /* p: the next byte to read */
    uint32_t depth, max_depth;                /* open objects and arrays now, and at most */
    bool nan;                                 /* NaN, Infinity and -Infinity are taken too, as texts */
    bool after;                               /* a value came before at this depth: a comma or the close must follow */
    const char *expected;                     /* after J_ERROR: what should have stood at p */
    uint64_t arrays[JSON_DEPTH_MAX / 64 + 1]; /* bit d: what is open at depth d is an array */
};
struct json_token {
    str name; /* between its quotes; absent in arrays and at the top */
    str raw;  /* the value: of a string what is between the quotes; of an open its bracket */
    uint8_t name_flags, flags;
};

void json_init(struct json *j, str text, uint32_t max_depth);
enum json_kind json_next(struct json *j, struct json_token *t) MUST_CHECK;
/* The same, cheaper, if the next thing is a member with just this name and no blank before it; false: it is something else,
 * and still the next thing. */
bool json_next_named(struct json *j, struct json_token *t, str name, enum json_kind *ret) MUST_CHECK;
/* As after a json_next that gave the member of the outermost object which ends at text[at]. */
void json_init_behind(struct json *j, str text, size_t at);
/* Reads to the close of the innermost open object or array. J_CLOSE, or J_ERROR. */
enum json_kind json_skip(struct json *j) MUST_CHECK;
/* "expected ',' or '}', got 'x' at byte 17"; ERR_INPUT, and the pointer of the place. Returns -1. */
int json_err(const struct json *j, struct err *e);
/* The JSON pointer (RFC 6901) of the member or element that `at` lies in, cut to what fits. `text` was read up to there. */
void json_pointer(str text, const char *at, char *out, size_t out_size);
/* The whole text is one JSON value, blanks around it allowed. */
bool json_valid(str text, uint32_t max_depth);
/* Bytes up to and with the bracket that closes the one `text` starts with, by counting brackets outside strings; for
 * text that is not valid. 0: it never closes. */
size_t json_balance(str text);
/* Decodes what stands between quotes: escapes resolved, what is J_BAD becomes U+FFFD. `out` has room for
 * json_decoded_max bytes. Returns the length. */
static inline size_t json_decoded_max(size_t raw, unsigned flags) { return flags & J_BAD ? 3 * raw : raw; }
size_t json_decode(str raw, char *out);
/* `text` as it stands between quotes. Invalid UTF-8 becomes U+FFFD. */
void json_encode(struct buf *b, str text);
/* `text` stands between quotes as it is. */
bool json_plain(str text);

#endif
