#include "routes/decode.h"
#include "base/secret.h"
#include "base/str.h"

enum { STEP = 64 << 10, WINDOW_LOG_MAX = 23 };

int coding_read(str header, enum coding *ret, struct err *e)
{
    static const struct {
        const char *name;
        enum coding coding;
    } known[] = {{"gzip", CODING_GZIP},
                 {"x-gzip", CODING_GZIP},
                 {"deflate", CODING_DEFLATE},
                 {"zstd", CODING_ZSTD},
                 {"identity", CODING_NONE},
                 {"", CODING_NONE},
                 /* graypy says it, and means one of the two */
                 {"gzip,deflate", CODING_DEFLATE}};
    str value = str_trim(header);
    for (size_t i = 0; i < LENGTH(known); i++)
        if (str_eq_nocase(value, str_of(known[i].name))) {
            *ret = known[i].coding;
            return 0;
        }
    return err_set(e, ERR_INPUT, "Content-Encoding: expected one of gzip, deflate, zstd, got \"%.*s\"",
                   STR_ARG(str_head(value, 100)));
}

void decode_init(struct decode *d, enum coding declared) { *d = (struct decode){.declared = declared}; }

void decode_done(struct decode *d)
{
    if (d->state == DECODE_ZLIB)
        inflateEnd(&d->z);
    ZSTD_freeDCtx(d->zstd);
    *d = (struct decode){0};
}

size_t decode_memory(const struct decode *d)
{
    /* inflate: its state and a 32 KiB window */
    return d->zstd ? ZSTD_sizeof_DCtx(d->zstd) : d->state == DECODE_ZLIB ? 40u << 10 : 0;
}

static int fail(struct decode *d, struct err *e, const char *name, const char *why)
{
    if (d->state == DECODE_ZLIB)
        inflateEnd(&d->z);
    d->state = DECODE_FAILED;
    return err_set(e, ERR_INPUT, "request body: not valid %s: %s", name, why);
}

static int too_large(struct err *e, const struct buf *out)
{
    return err_set(e, ERR_FULL, "request body: expected at most %zu bytes after decompression, got more", out->max);
}

/* Room for more output: at least one byte, in `spill` when out is full, to learn whether there is more. */
static size_t room(struct buf *out, char *spill, char **ret)
{
    if (out->n == out->max) {
        *ret = spill;
        return 1;
    }
    if (out->n == out->cap)
        (void)buf_room(out, out->max - out->n < STEP ? out->max - out->n : STEP);
    *ret = out->p + out->n;
    return out->cap - out->n;
}

static void *zlib_alloc(void *arg, unsigned items, unsigned size)
{
    (void)arg;
    return xcalloc(items, size);
}

static void *zstd_alloc(void *arg, size_t n)
{
    (void)arg;
    return xmalloc(n);
}

static void codec_free(void *arg, void *p)
{
    (void)arg;
    secret_free(p);
}

/* windowBits: 15 zlib, 31 gzip, -15 raw deflate */
static void begin_zlib(struct decode *d, int window_bits)
{
    d->state = DECODE_ZLIB;
    d->z.zalloc = zlib_alloc;
    d->z.zfree = codec_free;
    if (inflateInit2(&d->z, window_bits) != Z_OK)
        abort(); /* out of memory */
}

static int add_zlib(struct decode *d, str piece, struct buf *out, struct err *e)
{
    d->z.next_in = (unsigned char *)(uintptr_t)piece.p; /* zlib only reads it */
    d->z.avail_in = (unsigned)piece.n;
    assert(piece.n <= UINT_MAX);
    for (;;) {
        if (d->whole) { /* gzip members may follow each other */
            if (d->z.avail_in == 0)
                return 0;
            if (d->z.next_in[0] != 0x1f)
                return fail(d, e, "gzip or deflate", "bytes follow its end");
            inflateReset2(&d->z, 31);
            d->whole = false;
        }
        char spill, *to;
        size_t n = room(out, &spill, &to);
        d->z.next_out = (unsigned char *)to;
        d->z.avail_out = (unsigned)(n > UINT_MAX ? UINT_MAX : n);
        unsigned before = d->z.avail_out;
        int rc = inflate(&d->z, Z_NO_FLUSH);
        size_t made = before - d->z.avail_out;
        if (made && to == &spill)
            return too_large(e, out);
        out->n += made;
        if (rc == Z_STREAM_END)
            d->whole = true;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return fail(d, e, "gzip or deflate", d->z.msg ? d->z.msg : "corrupt");
        else if (d->z.avail_out) /* it could have written more and did not: it wants input */
            return 0;
    }
}

static int add_zstd(struct decode *d, str piece, struct buf *out, struct err *e)
{
    ZSTD_inBuffer in = {piece.p, piece.n, 0};
    for (;;) {
        char spill, *to;
        ZSTD_outBuffer o = {0};
        o.size = room(out, &spill, &to);
        o.dst = to;
        size_t rc = ZSTD_decompressStream(d->zstd, &o, &in);
        if (ZSTD_isError(rc))
            return fail(d, e, "zstd", ZSTD_getErrorName(rc));
        if (o.pos && to == &spill)
            return too_large(e, out);
        out->n += o.pos;
        d->whole = rc == 0;
        if (in.pos == in.size && (d->whole || o.pos < o.size))
            return 0; /* one call more behind a frame's end would begin the next one */
    }
}

static bool is_zlib_header(const unsigned char *b)
{
    return (b[0] & 15) == 8 && (b[0] >> 4) <= 7 && (b[0] * 256 + b[1]) % 31 == 0 && !(b[1] & 32);
}

static bool looks_like_json(const unsigned char *b, size_t n)
{
    size_t i = 0;
    while (i < n && memchr(" \t\r\n", b[i], 4))
        i++;
    return i == n || memchr("{[\"", b[i], 3);
}

/* Decides by the first bytes, of which there are four unless the body ended. */
static void begin(struct decode *d)
{
    const unsigned char *b = d->head;
    size_t n = d->head_n;
    if (n >= 2 && b[0] == 0x1f && b[1] == 0x8b) {
        begin_zlib(d, 31);
    } else if (n == 4 && memcmp(b, "\x28\xb5\x2f\xfd", 4) == 0) {
        d->state = DECODE_ZSTD;
        d->zstd = ZSTD_createDCtx_advanced((ZSTD_customMem){zstd_alloc, codec_free, NULL});
        if (!d->zstd)
            abort(); /* out of memory */
        ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    } else if (n >= 2 && is_zlib_header(b) && (b[0] == 0x78 || d->declared)) {
        begin_zlib(d, 15);
    } else if (d->declared == CODING_NONE || looks_like_json(b, n)) {
        d->state = DECODE_PLAIN;
    } else if (d->declared == CODING_DEFLATE) {
        begin_zlib(d, -15);
    } else {
        d->state = DECODE_FAILED;
    }
}

static int add(struct decode *d, str piece, struct buf *out, struct err *e)
{
    switch (d->state) {
    case DECODE_PLAIN:
        if (piece.n > out->max - out->n)
            return too_large(e, out);
        buf_str(out, piece);
        return 0;
    case DECODE_ZLIB: return piece.n ? add_zlib(d, piece, out, e) : 0;
    case DECODE_ZSTD: return piece.n ? add_zstd(d, piece, out, e) : 0;
    default: break;
    }
    return err_set(e, ERR_INPUT, "request body: not valid %s: wrong first bytes",
                   d->declared == CODING_ZSTD ? "zstd" : "gzip");
}

int decode_add(struct decode *d, str piece, struct buf *out, struct err *e)
{
    if (LIKELY(d->state == DECODE_PLAIN))
        return add(d, piece, out, e);
    if (d->state == DECODE_SNIFF) {
        while (d->head_n < sizeof d->head && piece.n) {
            d->head[d->head_n++] = (unsigned char)piece.p[0];
            piece = str_skip(piece, 1);
        }
        if (d->head_n < sizeof d->head)
            return 0;
        begin(d);
        if (add(d, str_n((char *)d->head, d->head_n), out, e) < 0)
            return -1;
    }
    return add(d, piece, out, e);
}

int decode_end(struct decode *d, struct buf *out, struct err *e)
{
    if (d->state == DECODE_SNIFF) { /* less than four bytes in all */
        begin(d);
        if (add(d, str_n((char *)d->head, d->head_n), out, e) < 0)
            return -1;
    }
    if (d->state == DECODE_ZLIB && !d->whole)
        return fail(d, e, "gzip or deflate", "it is cut short");
    if (d->state == DECODE_ZSTD && !d->whole)
        return fail(d, e, "zstd", "it is cut short");
    return 0;
}
