/* base/str.h - views of bytes: compare, search, read numbers.
 *
 * Owner   any thread; nothing is allocated unless the name says so.
 * Case    folding is ASCII only, everywhere in logd. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/base.h"

static inline str str_of(const char *z) { return (str){z, z ? strlen(z) : 0}; }
static inline str str_n(const char *p, size_t n) { return (str){p, n}; }
static inline uint64_t load8(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint32_t load4(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
/* memcmp for short texts, without the call. The last bytes are compared twice. */
static inline bool same_bytes(const char *a, const char *b, size_t n)
{
    if (n < 4)
        return n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
    if (n < 8)
        return load4(a) == load4(b) && load4(a + n - 4) == load4(b + n - 4);
    for (size_t i = 0; i + 8 < n; i += 8)
        if (load8(a + i) != load8(b + i))
            return false;
    return load8(a + n - 8) == load8(b + n - 8);
}
static inline bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n > 64 ? memcmp(a.p, b.p, a.n) == 0 : same_bytes(a.p, b.p, a.n));
}
static inline bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n &&
           (prefix.n > 64 ? memcmp(s.p, prefix.p, prefix.n) == 0 : same_bytes(s.p, prefix.p, prefix.n));
}
static inline bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
/* s without its first n bytes; empty when n is past the end. */
static inline str str_skip(str s, size_t n)
{
    return n >= s.n ? (str){s.p ? s.p + s.n : NULL, 0} : (str){s.p + n, s.n - n};
}
static inline str str_head(str s, size_t n) { return (str){s.p, n < s.n ? n : s.n}; }

bool str_eq_nocase(str a, str b);
bool str_starts_nocase(str s, str prefix);
int str_cmp(str a, str b);           /* bytewise, shorter first */
ptrdiff_t str_find(str s, str what); /* -1: not there */
ptrdiff_t str_find_nocase(str s, str what);
ptrdiff_t str_chr(str s, char c);
str str_trim(str s); /* without blanks, tabs, CR and LF at both ends */
/* Cuts the part before the first `c` off *s and returns it; the rest of *s follows the `c`.
 * Without a `c` all of *s is returned and *s becomes absent (p NULL). */
str str_cut(str *s, char c);
char *str_dup(str s); /* malloc'ed, NUL-terminated */
/* The whole of s is a decimal number within the type; false otherwise, *ret untouched. */
bool str_i64(str s, int64_t *ret) MUST_CHECK;
bool str_u64(str s, uint64_t *ret) MUST_CHECK;
bool str_double(str s, double *ret) MUST_CHECK; /* JSON number syntax */
/* "90s", "5m", "2h", "3d", "1w", "250ms" and plain seconds, not negative. */
bool str_duration(str s, usec *ret) MUST_CHECK;
/* "512MiB", "50GiB", "10kB", "1024". */
bool str_bytes(str s, uint64_t *ret) MUST_CHECK;
/* Takes a number off the front of *s, in the shortest form of buf_leb128 only. */
bool str_leb128(str *s, uint64_t *ret) MUST_CHECK;
/* Equal without telling by its time where the difference is; lengths are not secret. */
bool str_eq_secret(str a, str b);
/* Length of the UTF-8 sequence that starts s, 0 when it is not valid (overlong, surrogate, cut). */
size_t utf8_len(const char *p, size_t n);
bool utf8_valid(str s);

#endif
