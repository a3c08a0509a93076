#include "unit.h"
#include "routes/decode.h"

#include <sys/resource.h>
#include <time.h>

#define JSON_TEXT "{\"message\":\"hello\",\"level\":\"info\"}\n"

static struct err e;

/* `text` through deflate; window_bits 15 zlib, 31 gzip, -15 raw. */
static struct buf deflated(str text, int window_bits)
{
    struct buf out = BUF_INIT(8 << 20);
    z_stream z = {0};
    CHECK_INT(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, text.n) + 64;
    CHECK(buf_room(&out, room));
    z.next_in = (unsigned char *)(uintptr_t)text.p;
    z.avail_in = (unsigned)text.n;
    z.next_out = (unsigned char *)out.p;
    z.avail_out = (unsigned)room;
    CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.n = z.total_out;
    deflateEnd(&z);
    return out;
}

static struct buf zstandard(str text, int window_log)
{
    struct buf out = BUF_INIT(8 << 20);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_inBuffer in = {text.p, text.n, 0};
    CHECK(buf_room(&out, ZSTD_compressBound(text.n) + 64));
    ZSTD_outBuffer o = {out.p, out.cap, 0};
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    /* in two calls, so that it does not know the size and keeps the window it was told */
    CHECK(!ZSTD_isError(ZSTD_compressStream2(c, &o, &in, ZSTD_e_flush)));
    CHECK_INT(ZSTD_compressStream2(c, &o, &in, ZSTD_e_end), 0);
    out.n = o.pos;
    ZSTD_freeCCtx(c);
    return out;
}

/* Feeds `body` in pieces of `step` bytes. */
static int run(enum coding declared, str body, size_t step, struct buf *out)
{
    struct decode d;
    int rc = 0;
    e = (struct err){0};
    buf_reset(out);
    decode_init(&d, declared);
    for (size_t i = 0; rc == 0 && i < body.n; i += step)
        rc = decode_add(&d, str_head(str_skip(body, i), step), out, &e);
    if (rc == 0)
        rc = decode_end(&d, out, &e);
    decode_done(&d);
    return rc;
}

static void check_decodes(enum coding declared, str body)
{
    struct buf out = BUF_INIT(1 << 20);
    for (size_t step = 1; step <= body.n + 1; step++) {
        CHECK_INT(run(declared, body, step, &out), 0);
        CHECK_STR(buf_view(&out), S(JSON_TEXT));
    }
    buf_done(&out);
}

TEST(each_encoding_is_undone_however_the_bytes_arrive)
{
    struct buf gz = deflated(S(JSON_TEXT), 31), zl = deflated(S(JSON_TEXT), 15), raw = deflated(S(JSON_TEXT), -15),
               zs = zstandard(S(JSON_TEXT), 17);
    check_decodes(CODING_NONE, S(JSON_TEXT));
    check_decodes(CODING_GZIP, buf_view(&gz));
    check_decodes(CODING_DEFLATE, buf_view(&zl));
    check_decodes(CODING_DEFLATE, buf_view(&raw));
    check_decodes(CODING_ZSTD, buf_view(&zs));
    buf_done(&gz), buf_done(&zl), buf_done(&raw), buf_done(&zs);
}

TEST(the_bytes_are_believed_before_the_header)
{
    struct buf gz = deflated(S(JSON_TEXT), 31), zl = deflated(S(JSON_TEXT), 15), zs = zstandard(S(JSON_TEXT), 17);
    static const enum coding all[] = {CODING_NONE, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD};
    for (size_t i = 0; i < LENGTH(all); i++) {
        check_decodes(all[i], buf_view(&gz));
        check_decodes(all[i], buf_view(&zl));
        check_decodes(all[i], buf_view(&zs));
        check_decodes(all[i], S(JSON_TEXT));
    }
    buf_done(&gz), buf_done(&zl), buf_done(&zs);
}

TEST(an_empty_body_is_empty_in_every_encoding)
{
    struct buf out = BUF_INIT(100), gz = deflated(S(""), 31);
    CHECK_INT(run(CODING_NONE, S(""), 1, &out), 0);
    CHECK_INT(run(CODING_GZIP, S(""), 1, &out), 0);
    CHECK_INT(run(CODING_ZSTD, S(""), 1, &out), 0);
    CHECK_INT(run(CODING_GZIP, buf_view(&gz), 1, &out), 0);
    CHECK_INT(out.n, 0);
    CHECK_INT(run(CODING_NONE, S("{}"), 1, &out), 0);
    CHECK_STR(buf_view(&out), S("{}"));
    buf_done(&out), buf_done(&gz);
}

TEST(gzip_members_and_zstd_frames_may_follow_each_other)
{
    struct buf gz = deflated(S(JSON_TEXT), 31), zs = zstandard(S(JSON_TEXT), 17), out = BUF_INIT(1000);
    size_t n = gz.n;
    CHECK(buf_room(&gz, n) && buf_room(&zs, zs.n));
    buf_add(&gz, gz.p, n);
    n = zs.n;
    buf_add(&zs, zs.p, n);
    CHECK_INT(run(CODING_GZIP, buf_view(&gz), 7, &out), 0);
    CHECK_STR(buf_view(&out), S(JSON_TEXT JSON_TEXT));
    CHECK_INT(run(CODING_ZSTD, buf_view(&zs), 7, &out), 0);
    CHECK_STR(buf_view(&out), S(JSON_TEXT JSON_TEXT));
    buf_done(&gz), buf_done(&zs), buf_done(&out);
}

TEST(a_cut_stream_is_refused_at_every_length)
{
    struct buf in[] = {deflated(S(JSON_TEXT), 31), deflated(S(JSON_TEXT), 15), zstandard(S(JSON_TEXT), 17)};
    struct buf out = BUF_INIT(1000);
    for (size_t k = 0; k < LENGTH(in); k++) {
        for (size_t n = 4; n < in[k].n; n++) {
            CHECK_INT(run(CODING_NONE, str_head(buf_view(&in[k]), n), 5, &out), -1);
            CHECK_INT(e.kind, ERR_INPUT);
            CHECK(str_ends(str_of(e.text), S("it is cut short")));
        }
        buf_done(&in[k]);
    }
    buf_done(&out);
}

TEST(a_corrupt_stream_is_refused_or_decodes_but_never_more)
{
    struct buf gz = deflated(S(JSON_TEXT), 31), out = BUF_INIT(1000);
    for (size_t i = 2; i < gz.n; i++) {
        gz.p[i] = (char)(gz.p[i] ^ 0x55);
        int rc = run(CODING_GZIP, buf_view(&gz), 3, &out);
        CHECK(rc == 0 || e.kind == ERR_INPUT);
        CHECK(rc != 0 || i < 10); /* only the time, flags and system of gzip's header are not checked */
        gz.p[i] = (char)(gz.p[i] ^ 0x55);
    }
    CHECK_INT(run(CODING_GZIP, S("\x1f\x8bgarbage"), 3, &out), -1);
    CHECK_INT(run(CODING_GZIP, S("garbage"), 3, &out), -1);
    CHECK_STR(str_of(e.text), S("request body: not valid gzip: wrong first bytes"));
    CHECK_INT(run(CODING_ZSTD, S("garbage"), 3, &out), -1);
    CHECK_STR(str_of(e.text), S("request body: not valid zstd: wrong first bytes"));
    buf_done(&gz), buf_done(&out);
}

TEST(bytes_behind_the_end_are_refused)
{
    struct buf gz = deflated(S(JSON_TEXT), 31), out = BUF_INIT(1000);
    buf_lit(&gz, "tail");
    CHECK_INT(run(CODING_GZIP, buf_view(&gz), 1000, &out), -1);
    CHECK_STR(str_of(e.text), S("request body: not valid gzip or deflate: bytes follow its end"));
    buf_done(&gz), buf_done(&out);
}

TEST(the_ceiling_is_exact)
{
    struct buf gz = deflated(S(JSON_TEXT), 31), zs = zstandard(S(JSON_TEXT), 17);
    str in[] = {S(JSON_TEXT), buf_view(&gz), buf_view(&zs)};
    for (size_t k = 0; k < LENGTH(in); k++)
        for (size_t max = 1; max < sizeof JSON_TEXT + 3; max++) {
            struct buf out = BUF_INIT(max);
            int rc = run(CODING_NONE, in[k], 6, &out);
            CHECK_INT(rc, max >= sizeof JSON_TEXT - 1 ? 0 : -1);
            CHECK(rc == 0 || e.kind == ERR_FULL);
            CHECK(out.n <= max && out.cap <= max);
            buf_done(&out);
        }
    buf_done(&gz), buf_done(&zs);
}

static struct buf bomb(bool zstd, size_t mebibytes)
{
    struct buf out = BUF_INIT(16 << 20);
    static char zeros[1 << 20], made[2 << 20];
    z_stream z = {0};
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 20);
    deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY);
    for (size_t i = 0; i <= mebibytes; i++) {
        bool last = i == mebibytes;
        ZSTD_inBuffer in = {zeros, last ? 0 : sizeof zeros, 0};
        ZSTD_outBuffer o = {made, sizeof made, 0};
        z.next_in = (unsigned char *)zeros;
        z.avail_in = (unsigned)in.size;
        z.next_out = (unsigned char *)made;
        z.avail_out = sizeof made;
        if (zstd)
            CHECK(!ZSTD_isError(ZSTD_compressStream2(c, &o, &in, last ? ZSTD_e_end : ZSTD_e_continue)));
        else
            CHECK(deflate(&z, last ? Z_FINISH : Z_NO_FLUSH) >= 0);
        buf_add(&out, made, zstd ? o.pos : sizeof made - z.avail_out);
    }
    deflateEnd(&z);
    ZSTD_freeCCtx(c);
    return out;
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

TEST(a_bomb_costs_its_ceiling_and_no_more)
{
    for (int zstd = 0; zstd < 2; zstd++) {
        struct buf in = bomb(zstd, 256), out = BUF_INIT(4 << 20);
        double before = cpu_ms();
        CHECK_INT(run(CODING_NONE, buf_view(&in), 32 << 10, &out), -1);
        CHECK_INT(e.kind, ERR_FULL);
        CHECK(out.cap <= 4 << 20);
        CHECK(cpu_ms() - before < 500); /* a few ms; undoing it all takes longer */
        printf("%s: %zu bytes for 256 MiB, stopped after %.1f ms\n", zstd ? "zstd" : "gzip", in.n, cpu_ms() - before);
        buf_done(&in), buf_done(&out);
    }
}

TEST(a_window_over_8_mib_is_refused_at_once)
{
    struct buf small = zstandard(S(JSON_TEXT), 23), large = zstandard(S(JSON_TEXT), 24), out = BUF_INIT(1 << 20);
    CHECK_INT(run(CODING_ZSTD, buf_view(&small), 100, &out), 0);
    CHECK_INT(run(CODING_ZSTD, buf_view(&large), 100, &out), -1);
    CHECK_INT(e.kind, ERR_INPUT);
    buf_done(&small), buf_done(&large), buf_done(&out);
}

TEST(the_header_is_one_known_encoding)
{
    static const struct {
        const char *text;
        int want; /* -1: refused */
    } cases[] = {{"", CODING_NONE},
                 {"identity", CODING_NONE},
                 {"gzip", CODING_GZIP},
                 {" GZIP ", CODING_GZIP},
                 {"x-gzip", CODING_GZIP},
                 {"deflate", CODING_DEFLATE},
                 {"zstd", CODING_ZSTD},
                 {"gzip,deflate", CODING_DEFLATE},
                 {"br", -1},
                 {"gzip, gzip", -1},
                 {"gzip,zstd", -1},
                 {"aws-chunked", -1},
                 {"gzip;q=1", -1},
                 {",", -1}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        enum coding c = CODING_NONE;
        int rc = coding_read(str_of(cases[i].text), &c, &e);
        CHECK_INT(rc < 0 ? -1 : (int)c, cases[i].want);
    }
    enum coding c = CODING_ZSTD;
    CHECK_INT(coding_read((str){0}, &c, &e), 0);
    CHECK_INT(c, CODING_NONE);
    CHECK_INT(coding_read(S("br"), &c, &e), -1);
    CHECK_STR(str_of(e.text), S("Content-Encoding: expected one of gzip, deflate, zstd, got \"br\""));
}

UNIT_MAIN
