#include "base/buf.h"
#include "base/str.h"

#include <math.h>
#include <stdarg.h>

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        abort();
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        abort();
    return p;
}

void *xrealloc(void *old, size_t n)
{
    void *p = realloc(old, n ? n : 1);
    if (!p)
        abort();
    return p;
}

char *xstrdup(const char *s) { return str_dup(str_of(s)); }

void buf_init(struct buf *b, size_t max) { *b = (struct buf)BUF_INIT(max); }

void buf_wipe(struct buf *b)
{
    if (b->n)
        explicit_bzero(b->p, b->n);
}

void buf_done(struct buf *b)
{
    bool secret = b->secret;
    buf_reset(b);
    free(b->p);
    buf_init(b, b->max);
    b->secret = secret;
}

/* realloc would leave a copy behind. */
static char *moved(struct buf *b, size_t cap)
{
    if (!b->secret)
        return xrealloc(b->p, cap);
    char *p = xmalloc(cap);
    if (b->n)
        memcpy(p, b->p, b->n);
    buf_wipe(b);
    free(b->p);
    return p;
}

bool buf_grow(struct buf *b, size_t more)
{
    if (more > b->max || b->n > b->max - more) {
        b->full = true;
        return false;
    }
    if (b->p && b->cap - b->n >= more)
        return true;
    size_t want = b->n + more, cap = b->cap ? b->cap : 256;
    while (cap < want)
        cap *= 2;
    if (cap > b->max)
        cap = b->max;
    b->p = moved(b, cap);
    b->cap = cap;
    return true;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        buf_add(b, small, (size_t)n);
        return;
    }
    char *big = xmalloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(big, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf_add(b, big, (size_t)n);
    free(big);
}

char *buf_take(struct buf *b, size_t *ret_n)
{
    b->p = moved(b, b->n + 1);
    b->p[b->n] = '\0';
    char *p = b->p;
    if (ret_n)
        *ret_n = b->n;
    buf_init(b, b->max);
    return p;
}

/* None of eight bytes is a control character, a quote, a backslash or beyond ASCII. */
static bool eight_plain(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
    uint64_t quote = x ^ (ones * '"'), backslash = x ^ (ones * '\\');
    return ((x | ((x - 0x20 * ones) & ~x) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & high) == 0;
}

void buf_json(struct buf *b, str s)
{
    static const char hex[] = "0123456789abcdef";
    buf_byte(b, '"');
    size_t start = 0;
    for (size_t i = 0; i < s.n;) {
        while (i + 8 <= s.n && eight_plain(load8(s.p + i)))
            i += 8;
        if (i == s.n)
            break;
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c < 0x80) {
            i++;
            continue;
        }
        size_t len = c >= 0x80 ? utf8_len(s.p + i, s.n - i) : 0;
        if (len) {
            i += len;
            continue;
        }
        buf_add(b, s.p + start, i - start);
        switch (c) {
        case '"': buf_lit(b, "\\\""); break;
        case '\\': buf_lit(b, "\\\\"); break;
        case '\n': buf_lit(b, "\\n"); break;
        case '\r': buf_lit(b, "\\r"); break;
        case '\t': buf_lit(b, "\\t"); break;
        default:
            if (c >= 0x80)
                buf_lit(b, "\xef\xbf\xbd");
            else
                buf_add(b, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        }
        start = ++i;
    }
    buf_add(b, s.p + start, s.n - start);
    buf_byte(b, '"');
}

void buf_member(struct buf *b, const char *name, str s)
{
    buf_printf(b, ",\"%s\":", name);
    if (s.n)
        buf_json(b, s);
    else
        buf_lit(b, "null");
}

void buf_html(struct buf *b, str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&': buf_lit(b, "&amp;"); break;
        case '<': buf_lit(b, "&lt;"); break;
        case '>': buf_lit(b, "&gt;"); break;
        case '"': buf_lit(b, "&quot;"); break;
        case '\'': buf_lit(b, "&#39;"); break;
        default: buf_byte(b, s.p[i]);
        }
    }
}

void buf_url(struct buf *b, str s, bool slash)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c));
        if (plain || (slash && c == '/'))
            buf_byte(b, (char)c);
        else
            buf_add(b, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
    }
}

void buf_double(struct buf *b, double v)
{
    char text[40];
    double again = NAN;
    if (!isfinite(v)) {
        buf_lit(b, "null");
        return;
    }
    for (int digits = 15; digits <= 17 && again != v; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        again = strtod(text, NULL);
    }
    buf_str(b, str_of(text));
}

void buf_leb128(struct buf *b, uint64_t v)
{
    for (; v > 127; v >>= 7)
        buf_byte(b, (char)(v | 128));
    buf_byte(b, (char)v);
}

void buf_hex(struct buf *b, const void *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *u = p;
    for (size_t i = 0; i < n; i++)
        buf_add(b, (char[]){hex[u[i] >> 4], hex[u[i] & 15]}, 2);
}

void buf_base64(struct buf *b, str s)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
        if (left > 1)
            v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
        if (left > 2)
            v |= (unsigned char)s.p[i + 2];
        buf_add(b,
                (char[]){set[v >> 18], set[(v >> 12) & 63], left > 1 ? set[(v >> 6) & 63] : '=',
                         left > 2 ? set[v & 63] : '='},
                4);
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool buf_base64_read(struct buf *b, str s)
{
    uint32_t bits = 0;
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    for (size_t i = 0; i < s.n; i++) {
        int v = base64_value(s.p[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4)
            buf_byte(b, (char)(bits >> (6 - 2 * (i % 4))));
    }
    return s.n % 4 != 1;
}
