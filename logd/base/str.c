#include "base/str.h"

#include <errno.h>
#include <math.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static char fold(char c) { return (c >= 'A' && c <= 'Z') ? (char)(c + 32) : c; }

bool str_eq_nocase(str a, str b) { return a.n == b.n && str_starts_nocase(a, b); }

bool str_starts_nocase(str s, str prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (fold(s.p[i]) != fold(prefix.p[i]))
            return false;
    return true;
}

int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Looks at sixteen places at once, as far as they go: *from is then the first that was not looked at. The first and the
 * last byte of `what` tell nearly always (Wojciech Muła, SIMD-friendly algorithms for substring searching). */
static bool find_in_sixteens(str s, str what, size_t *from)
{
#ifdef __SSE2__
    const __m128i first = _mm_set1_epi8(what.p[0]), last = _mm_set1_epi8(what.p[what.n - 1]);
    for (; *from + what.n + 15 <= s.n; *from += 16) {
        const char *p = s.p + *from;
        __m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + what.n - 1));
        __m128i both = _mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, last));
        for (unsigned left = (unsigned)_mm_movemask_epi8(both); left; left &= left - 1)
            if (memcmp(p + __builtin_ctz(left), what.p, what.n) == 0) {
                *from += (unsigned)__builtin_ctz(left);
                return true;
            }
    }
#endif
    (void)s, (void)what, (void)from;
    return false;
}

ptrdiff_t str_find(str s, str what)
{
    size_t from = 0;
    if (what.n == 0)
        return 0;
    if (what.n > s.n || find_in_sixteens(s, what, &from))
        return what.n > s.n ? -1 : (ptrdiff_t)from;
    const char *at = s.p + from, *end = s.p + s.n - what.n + 1;
    while (at < end && (at = memchr(at, what.p[0], (size_t)(end - at)))) {
        if (memcmp(at, what.p, what.n) == 0)
            return at - s.p;
        at++;
    }
    return -1;
}

ptrdiff_t str_find_nocase(str s, str what)
{
    for (size_t i = 0; i + what.n <= s.n; i++)
        if (str_starts_nocase(str_skip(s, i), what))
            return (ptrdiff_t)i;
    return -1;
}

ptrdiff_t str_chr(str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

str str_trim(str s)
{
    while (s.n && is_blank(s.p[0]))
        s = str_skip(s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

str str_cut(str *s, char c)
{
    ptrdiff_t at = str_chr(*s, c);
    str head = *s;
    if (at < 0) {
        *s = (str){NULL, 0};
        return head;
    }
    head.n = (size_t)at;
    *s = str_skip(*s, (size_t)at + 1);
    return head;
}

char *str_dup(str s)
{
    char *z = xmalloc(s.n + 1);
    if (s.n)
        memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    return z;
}

bool str_u64(str s, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *ret = v;
    return true;
}

bool str_i64(str s, int64_t *ret)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t v;
    if (!str_u64(negative ? str_skip(s, 1) : s, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool str_double(str s, double *ret)
{
    char z[64], *end;
    size_t i = 0;
    if (s.n == 0 || s.n >= sizeof z)
        return false;
    if (s.p[0] == '-')
        i++;
    if (i >= s.n || s.p[i] < '0' || s.p[i] > '9')
        return false;
    for (; i < s.n; i++)
        if (!strchr("0123456789+-.eE", s.p[i]))
            return false;
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    double v = strtod(z, &end);
    if (*end != '\0' || !isfinite(v))
        return false;
    *ret = v;
    return true;
}

/* A number and a unit of the table; the whole of s. */
static bool scaled(str s, const str *units, const double *scale, size_t n, double *ret)
{
    size_t digits = 0;
    while (digits < s.n && ((s.p[digits] >= '0' && s.p[digits] <= '9') || s.p[digits] == '.'))
        digits++;
    double v;
    if (!str_double(str_head(s, digits), &v))
        return false;
    str unit = str_skip(s, digits);
    for (size_t i = 0; i < n; i++)
        if (str_eq(unit, units[i])) {
            *ret = v * scale[i];
            return true;
        }
    return false;
}

bool str_duration(str s, usec *ret)
{
    static const str units[] = {S(""), S("us"), S("ms"), S("s"), S("m"), S("h"), S("d"), S("w")};
    static const double scale[] = {1e6, 1, 1e3, 1e6, 60e6, 3600e6, 86400e6, 604800e6};
    double v;
    if (!scaled(s, units, scale, LENGTH(units), &v) || v > 9e17)
        return false;
    *ret = (usec)v;
    return true;
}

bool str_bytes(str s, uint64_t *ret)
{
    static const str units[] = {S(""),   S("B"),   S("kB"),  S("KB"),  S("MB"), S("GB"),
                                S("TB"), S("KiB"), S("MiB"), S("GiB"), S("TiB")};
    static const double scale[] = {1, 1, 1e3, 1e3, 1e6, 1e9, 1e12, 1024, 1048576, 1073741824, 1099511627776.};
    double v;
    if (!scaled(s, units, scale, LENGTH(units), &v) || v > 9e18)
        return false;
    *ret = (uint64_t)v;
    return true;
}

bool str_leb128(str *s, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s->n && i < 10; i++) {
        uint64_t c = (unsigned char)s->p[i];
        if (i == 9 && c > 1)
            return false;
        v |= (c & 127) << (7 * i);
        if (c < 128) {
            *s = str_skip(*s, i + 1);
            *ret = v;
            return c || i == 0;
        }
    }
    return false;
}

bool str_eq_secret(str a, str b)
{
    if (a.n != b.n)
        return false;
    volatile unsigned char diff = 0;
    for (size_t i = 0; i < a.n; i++)
        diff = (unsigned char)(diff | (a.p[i] ^ b.p[i]));
    return diff == 0;
}

size_t utf8_len(const char *z, size_t n)
{
    const unsigned char *p = (const unsigned char *)z;
    if (n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

bool utf8_valid(str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t len = utf8_len(s.p + i, s.n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}
