/* The guard over headers as libmicrohttpd would leave them, and the decoder behind it.
 *
 * The first byte chooses. Even: the rest is the head of a request, cut into lines like the library does; what the guard
 * lets through must keep its promises, read again here in another way. Odd: a body for the decoder, in pieces; what comes
 * out must not depend on where it was cut, nor pass its ceiling. */
#include "base/str.h"
#include "routes/decode.h"
#include "routes/guard.h"

/* Cuts `line` at `c`, which becomes a NUL. */
static str cut(char **p, char *end, char c)
{
    char *from = *p, *at = memchr(from, c, (size_t)(end - from));
    char *stop = at ? at : end;
    *p = at ? at + 1 : end;
    if (at)
        *at = '\0';
    return str_n(from, (size_t)(stop - from));
}

static size_t count(const struct guard *g, const char *name, str *ret_value)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        if (str_eq_nocase(g->headers[i].name, str_of(name))) {
            *ret_value = g->headers[i].value;
            n++;
        }
    return n;
}

static void check_promises(const struct guard *g)
{
    str host, length, encoding;
    size_t hosts = count(g, "Host", &host), lengths = count(g, "Content-Length", &length),
           encodings = count(g, "Transfer-Encoding", &encoding);
    assert(hosts <= 1 && (hosts == 1 || str_eq(g->version, S("HTTP/1.0"))));
    assert(lengths + encodings <= 1);
    assert(!encodings || str_eq_nocase(encoding, S("chunked")));
    uint64_t n;
    assert(!lengths || str_u64(length, &n));
    assert(g->target.p[0] == '/' || str_eq(g->target, S("*")));
    assert(str_find_nocase(g->target, S("%00")) < 0);
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < g->headers[i].value.n; k++)
            assert((unsigned char)g->headers[i].value.p[k] >= 0x20 || g->headers[i].value.p[k] == '\t');
}

static void fuzz_head(const uint8_t *data, size_t n, bool layout)
{
    char *head = xmalloc(n + 1), *p = head, *end = head + n;
    struct guard g = {0};
    unsigned status = 0;
    memcpy(head, data, n);
    head[n] = '\0';
    g.method = cut(&p, end, ' ');
    g.target = cut(&p, end, ' ');
    g.target_at = g.target.p;
    g.version = cut(&p, end, '\r');
    p += p < end;
    while (p < end && *p != '\r' && g.n < GUARD_HEADERS) {
        struct guard_header *h = &g.headers[g.n++];
        h->name = cut(&p, end, ':');
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        h->value = cut(&p, end, '\r');
        h->value.n = strnlen(h->value.p, h->value.n); /* the library cuts there */
        p += p < end;
    }
    g.header_bytes = layout ? n : 0;
    const char *why = guard_check(&g, &status);
    assert(why ? status >= 400 && strlen(why) > 10 : true);
    if (!why)
        check_promises(&g);
    free(head);
}

static int decode_in(enum coding declared, str body, size_t step, struct buf *out, struct err *e)
{
    struct decode d;
    int rc = 0;
    decode_init(&d, declared);
    for (size_t i = 0; rc == 0 && i < body.n; i += step)
        rc = decode_add(&d, str_head(str_skip(body, i), step), out, e);
    if (rc == 0)
        rc = decode_end(&d, out, e);
    decode_done(&d);
    assert(out->n <= out->max);
    return rc;
}

static void fuzz_body(str body, enum coding declared)
{
    struct err e = {0}, e2 = {0};
    struct buf whole = BUF_INIT(1 << 16), pieces = BUF_INIT(1 << 16);
    int rc = decode_in(declared, body, body.n + 1, &whole, &e);
    assert(decode_in(declared, body, 3, &pieces, &e2) == rc);
    assert(rc < 0 || str_eq(buf_view(&whole), buf_view(&pieces)));
    assert(rc == 0 || (e.text[0] && (e.kind == ERR_INPUT || e.kind == ERR_FULL)));
    buf_done(&whole), buf_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    if (data[0] & 1)
        fuzz_body(str_n((const char *)data + 1, n - 1), (enum coding)(data[0] >> 1 & 3));
    else
        fuzz_head(data + 1, n - 1, data[0] & 2);
    return 0;
}
