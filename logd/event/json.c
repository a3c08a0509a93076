#include "event/json.h"
#include "base/str.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Absent text is {NULL, 0}, and NULL + 0 is undefined in C17. */
static inline const char *end_of(str s) { return s.n ? s.p + s.n : s.p; }

#define ONES 0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

void json_init(struct json *j, str text, uint32_t max_depth)
{
    assert(max_depth <= JSON_DEPTH_MAX);
    j->start = j->p = text.p;
    j->end = end_of(text);
    j->depth = 0;
    j->max_depth = max_depth;
    j->nan = j->after = false;
    j->expected = NULL; /* bits of `arrays` are set when something opens */
}

static inline const char *blanks(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* The byte at p; 0 at the end, which no token starts with. */
static inline char peek(const char *p, const char *end) { return p < end ? *p : '\0'; }

/* ---- strings ---- */

/* The first of eight bytes that a string's scan must stop at: a quote, a backslash, a control character or one that is
 * not ASCII; 8 when there is none. A borrow can only raise flags behind a true one, so the first is right. */
static inline unsigned first_special(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    uint64_t quote = (v ^ ONES * '"') - ONES, slash = (v ^ ONES * '\\') - ONES, control = v - ONES * ' ';
    uint64_t hit = (quote | slash | control | v) & HIGHS;
    return hit ? (unsigned)__builtin_ctzll(hit) >> 3 : 8;
}

static inline const char *plain_run(const char *p, const char *end)
{
#ifdef __SSE2__ /* the same, sixteen at a time; as signed numbers what is not ASCII comes before a blank too */
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        hit = _mm_or_si128(hit, _mm_cmplt_epi8(v, _mm_set1_epi8(' ')));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (end - p >= 8) {
        unsigned n = first_special(p);
        p += n;
        if (n < 8)
            return p;
    }
    while (p < end && (unsigned char)*p >= ' ' && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits; -1: they are not. */
static int hex4(const char *p, const char *end)
{
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* Reads the \u escape at p (with its low half). *ret: the code point, -1 for a lone surrogate. NULL: not hex. */
static const char *unicode_escape(const char *p, const char *end, int *ret)
{
    int v = hex4(p + 2, end), low;
    if (v < 0)
        return NULL;
    p += 6;
    *ret = v;
    if (v < 0xd800 || v > 0xdfff)
        return p;
    *ret = -1;
    if (v < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        low = hex4(p + 2, end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *ret = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
            return p + 6;
        }
    }
    return p;
}

/* Validates the escape at p. NULL: it is none. */
static const char *escape(const char *p, const char *end, uint8_t *flags)
{
    int cp;
    *flags |= J_ESCAPED;
    switch (peek(p + 1, end)) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return p + 2;
    case 'u':
        p = unicode_escape(p, end, &cp);
        if (p && cp < 0)
            *flags |= J_BAD;
        return p;
    default: return NULL;
    }
}

/* A string's scan, once it has stopped at something else than its closing quote. */
static NOINLINE const char *string_rest(struct json *j, const char *p, uint8_t *flags)
{
    for (;;) {
        p = plain_run(p, j->end);
        if (LIKELY(p < j->end && *p == '"'))
            return p;
        const char *at = p;
        if (p == j->end) {
            j->expected = "the closing quote of a text";
        } else if (*p == '\\') {
            p = escape(p, j->end, flags);
            j->expected = "a valid escape";
        } else if ((unsigned char)*p < ' ') {
            j->expected = "control characters inside a text to be escaped";
        } else {
            size_t n = utf8_len(p, (size_t)(j->end - p));
            p += n ? n : 1;
            if (n == 0)
                *flags |= J_BAD;
            continue;
        }
        if (!p || p == at) {
            j->p = at;
            return NULL;
        }
    }
}

/* From behind the opening quote to the closing one. NULL: j->p stands at what is wrong. */
static ALWAYS_INLINE const char *string(struct json *j, const char *p, uint8_t *flags)
{
    *flags = 0;
    p = plain_run(p, j->end);
    return LIKELY(p < j->end && *p == '"') ? p : string_rest(j, p, flags);
}

/* ---- the other scalars ---- */

static const char *digits(const char *p, const char *end)
{
    while (p < end && (unsigned char)(*p - '0') < 10)
        p++;
    return p;
}

static const char *bad_number(struct json *j, const char *at)
{
    j->p = at;
    j->expected = "a number as JSON writes it";
    return NULL;
}

/* NULL: j->p stands at what is wrong. */
static const char *number(struct json *j, const char *p)
{
    const char *from = p += *p == '-';
    p = digits(p, j->end);
    if (p == from)
        return bad_number(j, p);
    if (*from == '0' && p > from + 1)
        return bad_number(j, from + 1);
    if (peek(p, j->end) == '.') {
        from = ++p;
        p = digits(p, j->end);
        if (p == from)
            return bad_number(j, p);
    }
    if ((peek(p, j->end) | 0x20) == 'e') {
        p++;
        p += peek(p, j->end) == '+' || peek(p, j->end) == '-';
        from = p;
        p = digits(p, j->end);
        if (p == from)
            return bad_number(j, p);
    }
    return p;
}

static const char *literal(struct json *j, const char *p, str word)
{
    if (str_starts((str){p, (size_t)(j->end - p)}, word))
        return p + word.n;
    j->expected = "a value";
    j->p = p;
    return NULL;
}

/* ---- members ---- */

static inline bool in_array(const struct json *j) { return j->arrays[j->depth >> 6] >> (j->depth & 63) & 1; }

static enum json_kind fail(struct json *j, const char *at, const char *expected)
{
    j->p = at;
    j->expected = expected;
    return J_ERROR;
}

static const char less_nesting[] = "less nesting";

static NOINLINE enum json_kind open(struct json *j, struct json_token *t, const char *p, bool array)
{
    if (j->depth >= j->max_depth)
        return fail(j, p, less_nesting);
    uint32_t d = ++j->depth;
    uint64_t bit = 1ull << (d & 63);
    j->arrays[d >> 6] = array ? j->arrays[d >> 6] | bit : j->arrays[d >> 6] & ~bit;
    j->after = false;
    t->raw = (str){p, 1};
    j->p = p + 1;
    return array ? J_ARRAY : J_OBJECT;
}

/* What Python and JavaScript write for numbers that JSON has not. */
static NOINLINE enum json_kind not_a_number(struct json *j, struct json_token *t, const char *p)
{
    static const str words[] = {S("NaN"), S("Infinity"), S("-Infinity")};
    for (size_t i = 0; j->nan && i < LENGTH(words); i++)
        if (str_starts((str){p, (size_t)(j->end - p)}, words[i])) {
            t->raw = (str){p, words[i].n};
            j->p = p + words[i].n;
            j->after = true;
            return J_STRING;
        }
    return fail(j, p, "a value");
}

static ALWAYS_INLINE enum json_kind value(struct json *j, struct json_token *t, const char *p)
{
    const char *from = p;
    enum json_kind kind;
    t->flags = 0;
    char c = peek(p, j->end);
    switch (c) {
    case '"':
        from = p + 1;
        p = string(j, from, &t->flags);
        if (UNLIKELY(!p))
            return J_ERROR;
        t->raw = (str){from, (size_t)(p - from)};
        j->p = p + 1;
        j->after = true;
        return J_STRING;
    case '{': return open(j, t, p, false);
    case '[': return open(j, t, p, true);
    case 't': kind = J_TRUE, p = literal(j, p, S("true")); break;
    case 'f': kind = J_FALSE, p = literal(j, p, S("false")); break;
    case 'n': kind = J_NULL, p = literal(j, p, S("null")); break;
    default:
        if (c != '-' && (unsigned char)(c - '0') > 9)
            return not_a_number(j, t, p);
        kind = J_NUMBER, p = number(j, p);
        if (UNLIKELY(!p && j->nan && c == '-'))
            return not_a_number(j, t, from);
    }
    if (UNLIKELY(!p))
        return J_ERROR;
    t->raw = (str){from, (size_t)(p - from)};
    j->p = p;
    j->after = true;
    return kind;
}

/* Name and colon. Returns where the value starts; NULL: not a member. */
static ALWAYS_INLINE const char *name(struct json *j, struct json_token *t, const char *p)
{
    if (UNLIKELY(peek(p, j->end) != '"')) {
        (void)fail(j, p, "a name in quotes");
        return NULL;
    }
    const char *from = p + 1;
    p = string(j, from, &t->name_flags);
    if (UNLIKELY(!p))
        return NULL;
    t->name = (str){from, (size_t)(p - from)};
    p = blanks(p + 1, j->end);
    if (UNLIKELY(peek(p, j->end) != ':')) {
        (void)fail(j, p, "':' behind a name");
        return NULL;
    }
    return blanks(p + 1, j->end);
}

enum json_kind json_next(struct json *j, struct json_token *t)
{
    const char *p = blanks(j->p, j->end);
    t->name = (str){NULL, 0};
    t->name_flags = 0;
    if (j->depth == 0)
        return j->after ? J_END : value(j, t, p);
    bool array = in_array(j);
    char c = peek(p, j->end);
    if (c == (array ? ']' : '}')) {
        t->raw = (str){p, 1};
        j->p = p + 1;
        j->depth--;
        j->after = true;
        return J_CLOSE;
    }
    if (j->after) {
        if (c != ',')
            return fail(j, p, array ? "',' or ']'" : "',' or '}'");
        p = blanks(p + 1, j->end);
    }
    if (!array) {
        p = name(j, t, p);
        if (UNLIKELY(!p))
            return J_ERROR;
    }
    return value(j, t, p);
}

bool json_next_named(struct json *j, struct json_token *t, str name, enum json_kind *ret)
{
    const char *p = j->p + j->after;
    if (j->depth == 0 || in_array(j) || j->end - p < (ptrdiff_t)name.n + 4 || (j->after && *j->p != ',') ||
        p[0] != '"' || p[name.n + 1] != '"' || p[name.n + 2] != ':' || !same_bytes(p + 1, name.p, name.n))
        return false;
    t->name = (str){p + 1, name.n};
    t->name_flags = 0;
    *ret = value(j, t, blanks(p + name.n + 3, j->end));
    return true;
}

void json_init_behind(struct json *j, str text, size_t at)
{
    json_init(j, text, JSON_DEPTH_MAX);
    j->p += at;
    j->depth = 1;
    j->arrays[0] = 0;
    j->after = true;
}

enum json_kind json_skip(struct json *j)
{
    struct json_token t;
    uint32_t depth = j->depth;
    enum json_kind kind;
    do
        kind = json_next(j, &t);
    while (kind != J_ERROR && (kind != J_CLOSE || j->depth >= depth));
    return kind;
}

bool json_valid(str text, uint32_t max_depth)
{
    struct json j;
    struct json_token t;
    json_init(&j, text, max_depth);
    enum json_kind kind = json_next(&j, &t);
    if (kind == J_ARRAY || kind == J_OBJECT)
        kind = json_skip(&j);
    return kind != J_ERROR && blanks(j.p, j.end) == j.end;
}

size_t json_balance(str text)
{
    size_t depth = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"') {
            for (i++; i < text.n && text.p[i] != '"'; i++)
                i += text.p[i] == '\\';
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* ---- what is wrong, and where ---- */

/* Adds "/" and the name, with ~ and / escaped; stops when it does not fit. */
static void pointer_add(str part, char *out, size_t *n, size_t size)
{
    size_t at = *n;
    char c[2] = {'~', 0};
    if (at + 2 >= size)
        return;
    out[at++] = '/';
    for (size_t i = 0; i < part.n; i++) {
        c[1] = part.p[i] == '~' ? '0' : '1';
        size_t len = part.p[i] == '~' || part.p[i] == '/' ? 2 : 1;
        if (at + len >= size)
            break;
        memcpy(out + at, len == 2 ? c : part.p + i, len);
        at += len;
    }
    out[at] = '\0';
    *n = at;
}

static void pointer_name(const struct json_token *t, size_t index, char *out, size_t *n, size_t size)
{
    char text[3 * 128];
    size_t len;
    if (t->name.p)
        len = json_decode(str_head(t->name, 128), text);
    else
        len = (size_t)snprintf(text, sizeof text, "%zu", index);
    pointer_add((str){text, len}, out, n, size);
}

void json_pointer(str text, const char *at, char *out, size_t size)
{
    struct json j;
    struct json_token t;
    struct {
        size_t n, index;
    } up[JSON_DEPTH_MAX + 1]; /* of each open object and array: its pointer's length, its own index */
    enum json_kind kind;
    size_t index = 0, n = 0;
    json_init(&j, text, JSON_DEPTH_MAX);
    for (;;) {
        out[n] = '\0';
        kind = json_next(&j, &t);
        if (kind == J_END)
            return;
        if (kind == J_CLOSE) {
            n = up[j.depth].n;
            index = up[j.depth].index + 1;
            continue;
        }
        bool opens = kind == J_ARRAY || kind == J_OBJECT;
        size_t was = n;
        if (j.depth > opens && (kind != J_ERROR || t.name.p || in_array(&j)))
            pointer_name(&t, index, out, &n, size);
        if (kind == J_ERROR || (opens ? t.raw.p >= at : j.p > at))
            return;
        if (opens) {
            up[j.depth - 1].n = was;
            up[j.depth - 1].index = index;
            index = 0;
        } else {
            n = was;
            index++;
        }
    }
}

int json_err(const struct json *j, struct err *e)
{
    size_t left = (size_t)(j->end - j->p), byte = (size_t)(j->p - j->start) + 1;
    if (left == 0)
        (void)err_set(e, ERR_INPUT, "expected %s, got the end of the text", j->expected);
    else if (j->expected == less_nesting)
        (void)err_set(e, ERR_INPUT, "expected at most %u levels of nesting, got more", j->max_depth);
    else if ((unsigned char)*j->p > ' ' && (unsigned char)*j->p < 0x7f)
        (void)err_set(e, ERR_INPUT, "expected %s, got '%c' at byte %zu", j->expected, *j->p, byte);
    else
        (void)err_set(e, ERR_INPUT, "expected %s, got byte 0x%02x at byte %zu", j->expected, (unsigned char)*j->p,
                      byte);
    json_pointer((str){j->start, (size_t)(j->end - j->start)}, j->p, e->pointer, sizeof e->pointer);
    return -1;
}

/* ---- text in and out ---- */

static size_t put_utf8(int cp, char *out)
{
    unsigned c = cp < 0 ? 0xfffd : (unsigned)cp;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xf0) | c);
    return n;
}

static char unescaped(char c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c;
    }
}

size_t json_decode(str raw, char *out)
{
    const char *p = raw.p, *end = end_of(raw);
    char *o = out;
    while (p < end) {
        const char *run = plain_run(p, end);
        memcpy(o, p, (size_t)(run - p));
        o += run - p;
        p = run;
        if (p == end)
            break;
        int cp = -1;
        size_t n;
        if (*p == '\\' && end - p >= 2 && p[1] != 'u') {
            *o++ = unescaped(p[1]);
            p += 2;
        } else if (*p == '\\') {
            const char *next = unicode_escape(p, end, &cp);
            o += put_utf8(cp, o);
            p = next ? next : end; /* a cut escape: raw was a head of a string */
        } else if ((unsigned char)*p < 0x80) {
            *o++ = *p++;
        } else {
            n = utf8_len(p, (size_t)(end - p));
            if (n)
                memcpy(o, p, n);
            o += n ? n : put_utf8(-1, o);
            p += n ? n : 1;
        }
    }
    return (size_t)(o - out);
}

void json_encode(struct buf *b, str text)
{
    static const char hex[] = "0123456789abcdef", names[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    const char *p = text.p, *end = end_of(text);
    while (p < end) {
        const char *run = plain_run(p, end);
        buf_add(b, p, (size_t)(run - p));
        p = run;
        if (p == end)
            return;
        unsigned char c = (unsigned char)*p;
        if (c >= 0x80) {
            size_t n = utf8_len(p, (size_t)(end - p));
            buf_add(b, n ? p : "\xef\xbf\xbd", n ? n : 3);
            p += n ? n : 1;
            continue;
        }
        const char *short_name = memchr(names, c, sizeof names - 1);
        if (c && short_name)
            buf_add(b, (char[]){'\\', short_name[1]}, 2);
        else
            buf_add(b, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        p++;
    }
}

bool json_plain(str text)
{
    const char *p = text.p, *end = end_of(text);
    for (;;) {
        p = plain_run(p, end);
        if (p == end)
            return true;
        size_t n = (unsigned char)*p < 0x80 ? 0 : utf8_len(p, (size_t)(end - p));
        if (n == 0)
            return false;
        p += n;
    }
}
