#include "routes/guard.h"
#include "base/str.h"
#include "routes/exchange.h"

static bool is_token(str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (!c || !strchr(others, c)))
            return false;
    }
    return s.n > 0;
}

static const char *check_target(str target, str method)
{
    if (str_eq(target, S("*")) && str_eq(method, S("OPTIONS")))
        return NULL;
    if (target.n == 0 || target.p[0] != '/')
        return "request target: expected a path that begins with '/'";
    bool in_path = true;
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c <= 0x20 || c == 0x7f || c == '#')
            return "request target: a blank, control character or '#' must be percent-encoded";
        if (c == '?')
            in_path = false;
        if (c != '%')
            continue;
        int high = i + 2 < target.n ? hex_digit(target.p[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(target.p[i + 2]);
        if (low < 0)
            return "request target: '%' must be followed by two hexadecimal digits";
        int byte = high * 16 + low;
        if (byte == 0 || (in_path && (byte < 0x20 || byte == 0x7f)))
            return "request target: an encoded control character is not allowed";
    }
    return NULL;
}

static const char *check_value(str v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return "a header value holds a control character";
    }
    return NULL;
}

static const char *check_host(str v)
{
    static const char others[] = "-._:[]";
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (!c || !strchr(others, c)))
            return "Host: expected a name or address and maybe a port";
    }
    return v.n ? NULL : "Host: expected a name or address and maybe a port, got nothing";
}

static const char *check_length(str v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9')
            return "Content-Length: expected digits only";
    return v.n > 0 && v.n <= 18 ? NULL : "Content-Length: expected 1 to 18 digits";
}

/* Headers that would be ambiguous twice. */
static const char *const once[] = {"authorization", "x-logd-key",      "origin",       "content-type",
                                   "expect",        "idempotency-key", "x-csrf-token", "sec-fetch-site"};

struct tally {
    unsigned host, length, encoding, once[LENGTH(once)];
};

static const char *check_header(const struct guard *g, const struct guard_header *h, struct tally *t)
{
    if (!is_token(h->name))
        return "a header name holds a character that is not allowed in a name";
    const char *why = check_value(h->value);
    if (why)
        return why;
    if (str_eq_nocase(h->name, S("host")))
        return t->host++ ? "Host: expected once" : check_host(h->value);
    if (str_eq_nocase(h->name, S("content-length")))
        return t->length++ ? "Content-Length: expected at most once" : check_length(h->value);
    if (str_eq_nocase(h->name, S("transfer-encoding"))) {
        if (t->encoding++)
            return "Transfer-Encoding: expected at most once";
        if (!str_eq(g->version, S("HTTP/1.1")))
            return "Transfer-Encoding: not in HTTP/1.0";
        return str_eq_nocase(h->value, S("chunked")) ? NULL : "Transfer-Encoding: expected exactly \"chunked\"";
    }
    for (size_t i = 0; i < LENGTH(once); i++)
        if (str_eq_nocase(h->name, str_of(once[i])) && t->once[i]++)
            return "a header that may stand once stands twice";
    return NULL;
}

/* method SP target SP version CRLF (name ':' blanks value CRLF)* CRLF, nothing between and nothing left over. */
static const char *check_layout(const struct guard *g)
{
    static const char why[] = "a line of the header is folded, holds a NUL or a doubled blank, or does not end in CRLF";
    if (g->target_at != g->method.p + g->method.n + 1 || g->version.p != g->target_at + g->target.n + 1)
        return why;
    const char *at = g->version.p + g->version.n + 2;
    for (size_t i = 0; i < g->n; i++) {
        const struct guard_header *h = &g->headers[i];
        const char *value = h->name.p + h->name.n + 1;
        if (h->name.p != at || h->value.p < value || h->value.p > g->method.p + g->header_bytes)
            return why;
        for (; value < h->value.p; value++)
            if (*value != ' ' && *value != '\t')
                return why;
        at = value + h->value.n + 2;
    }
    return at + 2 == g->method.p + g->header_bytes ? NULL : why;
}

const char *guard_check(const struct guard *g, unsigned *ret_status)
{
    *ret_status = 400;
    if (!is_token(g->method))
        return "the method holds a character that is not allowed in a method";
    bool newer = str_eq(g->version, S("HTTP/1.1"));
    if (!newer && !str_eq(g->version, S("HTTP/1.0"))) {
        *ret_status = 505;
        return "expected HTTP/1.1 or HTTP/1.0";
    }
    const char *why = check_target(g->target, g->method);
    struct tally t = {0};
    for (size_t i = 0; !why && i < g->n; i++)
        why = check_header(g, &g->headers[i], &t);
    if (why)
        return why;
    if (newer && !t.host)
        return "Host: expected once, got none";
    if (t.length && t.encoding)
        return "Content-Length and Transfer-Encoding exclude each other";
    return g->header_bytes ? check_layout(g) : NULL;
}

static enum MHD_Result take_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_n,
                                   const char *value, size_t value_n)
{
    struct guard *g = arg;
    (void)kind;
    if (g->n < GUARD_HEADERS)
        g->headers[g->n] = (struct guard_header){{name, name_n}, {value, value_n}};
    g->n++;
    return MHD_YES;
}

/* Does this version of the library leave its pointers where check_layout expects them? */
static bool layout_known(void) { return strcmp(MHD_get_version(), "0.9.75") == 0; }

bool guard_request(struct exchange *x, const char *method, const char *url, const char *version)
{
    struct guard g; /* not cleared: it is large, and this is every request's way */
    g.method = str_of(method);
    g.target = x->target;
    g.target_at = url;
    g.version = str_of(version);
    g.n = 0;
    unsigned status = 431;
    const char *why = "expected at most 128 header lines";
    MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, take_header, &g);
    const union MHD_ConnectionInfo *size = layout_known() ? MHD_get_connection_info(
                                                                x->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                                                          : NULL;
    g.header_bytes = size ? size->header_size : 0;
    if (g.n <= GUARD_HEADERS)
        why = guard_check(&g, &status);
    if (!why)
        return true;
    atomic_fetch_add(&x->h->count.guard, 1);
    x->close = true;
    reply_error(&x->r, status, "%s", why);
    return false;
}
