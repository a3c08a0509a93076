#include "unit.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/secret.h"

#include <unistd.h>

/* vectors.h of the SipHash authors' reference: key 00..0f, messages of 0 to 15 bytes 00, 01, …; the last is the paper's. */
TEST(siphash_2_4_gives_its_published_vectors)
{
    static const uint64_t want[] = {0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
                                    0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
                                    0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
                                    0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5};
    uint8_t key[16];
    char message[16];
    for (uint8_t i = 0; i < 16; i++) {
        key[i] = i;
        message[i] = (char)i;
    }
    for (size_t i = 0; i < 16; i++) {
        CHECK(siphash24(key, str_n(message, i)) == want[i]);
    }
    CHECK(siphash24(key, str_n(message, 15)) != siphash(key, str_n(message, 15)));
}

TEST(base64_is_read_as_it_is_written_and_what_is_none_is_refused)
{
    static const char *const bad[] = {"a", "YW5u*", "YW5uY", "YW 5u", "YW=u"};
    struct buf code = BUF_INIT(100), back = BUF_INIT(100);
    char bytes[32];
    for (size_t n = 0; n <= sizeof bytes; n++) {
        random_bytes(bytes, n);
        buf_reset(&code);
        buf_reset(&back);
        buf_base64(&code, str_n(bytes, n));
        CHECK(buf_base64_read(&back, buf_view(&code)));
        CHECK(str_eq(buf_view(&back), str_n(bytes, n)));
    }
    buf_reset(&back);
    CHECK(buf_base64_read(&back, S("-_-_")) && memcmp(back.p, "\xfb\xff\xbf", 3) == 0);
    for (size_t i = 0; i < LENGTH(bad); i++)
        CHECK(!buf_base64_read(&back, str_of(bad[i])));
    buf_done(&code);
    buf_done(&back);
}

TEST(buf_stops_at_its_ceiling_and_says_so)
{
    struct buf b = BUF_INIT(10);
    buf_lit(&b, "12345");
    buf_lit(&b, "678901");
    CHECK(b.full);
    CHECK_STR(buf_view(&b), S("12345"));
    buf_done(&b);
}

/* What log_line writes, without its time. */
static str logged(char line[2048], const char *value, int number)
{
    int ends[2], kept = dup(STDERR_FILENO);
    CHECK(kept >= 0 && pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    log_info("test", "what=\"a thing\" why=\"%s\" n=%d", value, number);
    CHECK(dup2(kept, STDERR_FILENO) >= 0);
    ssize_t n = read(ends[0], line, 2048);
    close(kept);
    close(ends[0]);
    close(ends[1]);
    CHECK(n > 0);
    str s = str_n(line, (size_t)n);
    str_cut(&s, ' ');
    return s;
}

TEST(a_logged_value_cannot_end_its_quotes)
{
    char line[2048], longest[3000];
    CHECK_STR(logged(line, "a:1: unknown key \"mial\"", 7),
              S("level=info part=test what=\"a thing\" why=\"a:1: unknown key \\\"mial\\\"\" n=7\n"));
    CHECK_STR(logged(line, "x\" level=error \\", 8),
              S("level=info part=test what=\"a thing\" why=\"x\\\" level=error \\\\\" n=8\n"));
    CHECK_STR(logged(line, "two\nlines", 9), S("level=info part=test what=\"a thing\" why=\"two lines\" n=9\n"));
    memset(longest, '"', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(str_ends(logged(line, longest, 10), S("\n")));
}

TEST(secret_memory_is_wiped_before_it_is_used_again)
{
    struct buf b = BUF_INIT(1000);
    struct arena a = {.secret = true};
    b.secret = true;
    buf_lit(&b, "hunter2");
    const char *in_buf = b.p, *in_arena = arena_str(&a, S("hunter2")).p;
    buf_reset(&b);
    arena_reset(&a);
    CHECK(b.secret && b.n == 0 && memcmp(in_buf, (char[7]){0}, 7) == 0);
    CHECK(a.secret && memcmp(in_arena, (char[7]){0}, 7) == 0);
    for (int i = 0; i < 200; i++)
        buf_lit(&b, "more"); /* it moves */
    CHECK(b.n == 800 && memcmp(b.p + 796, "more", 4) == 0);
    buf_done(&b);
    CHECK(b.secret);
    arena_done(&a);
}

TEST(reasons_why_a_text_is_no_json_do_not_quote_it)
{
    CHECK_STR(secret_json_reason("invalid token near 'hunter2'"), S("invalid token"));
    CHECK_STR(secret_json_reason("'}' expected near end of file"), S("'}' expected near end of file"));
}

TEST(json_text_escapes_what_must_be_escaped)
{
    struct buf b = BUF_INIT(1000);
    buf_json(&b, S("a\"b\\c\n\x01\xff\xc3\xa9"));
    CHECK_STR(buf_view(&b), S("\"a\\\"b\\\\c\\n\\u0001\xef\xbf\xbd\xc3\xa9\""));
    buf_done(&b);
}

TEST(xxh64_agrees_with_its_specification)
{
    CHECK(xxh64("", 0, 0) == 0xEF46DB3751D8E999ull);
    CHECK(xxh64("abc", 3, 0) == 0x44BC2CF5AD770999ull);
    CHECK(xxh64("Nobody inspects the spammish repetition", 39, 0) == 0xFBCEA83C8A378BF1ull);
}

TEST(map_finds_what_was_set_through_growth_and_removal)
{
    struct map m = {0};
    int values[1000];
    char key[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        map_set(&m, str_of(key), &values[i]);
    }
    for (int i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof key, "k%d", i);
        CHECK(map_del(&m, str_of(key)) == &values[i]);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        CHECK(map_get(&m, str_of(key)) == (i % 2 ? &values[i] : NULL));
    }
    CHECK_INT(m.n, 500);
    map_done(&m);
}

TEST(durations_and_sizes_take_their_units)
{
    usec t = 0;
    uint64_t n = 0;
    CHECK(str_duration(S("90s"), &t) && t == 90000000);
    CHECK(str_duration(S("1.5h"), &t) && t == 5400000000);
    CHECK(!str_duration(S("-1s"), &t) && !str_duration(S("1y"), &t) && !str_duration(S(""), &t));
    CHECK(str_bytes(S("512MiB"), &n) && n == 512u << 20);
    CHECK(!str_bytes(S("12 apples"), &n));
}

TEST(time_prints_rfc3339_on_both_sides_of_the_epoch)
{
    char t[TIME_TEXT_MAX];
    time_print(0, 0, t);
    CHECK_STR(str_of(t), S("1970-01-01T00:00:00Z"));
    time_print(-1, 9, t);
    CHECK_STR(str_of(t), S("1969-12-31T23:59:59.999999999Z"));
    time_print(1709210096123000000, 3, t);
    CHECK_STR(str_of(t), S("2024-02-29T12:34:56.123Z"));
}

TEST(utf8_refuses_overlong_surrogate_and_cut)
{
    CHECK(utf8_valid(S("\xf0\x9f\x98\x80 \xe2\x82\xac")));
    CHECK(!utf8_valid(S("\xc0\x80")) && !utf8_valid(S("\xed\xa0\x80")) && !utf8_valid(S("\xe2\x82")) &&
          !utf8_valid(S("\xf5\x80\x80\x80")));
}

TEST(arena_hands_out_what_was_asked_across_chunks)
{
    struct arena a = {0};
    for (int round = 0; round < 3; round++) {
        char *p[100];
        for (size_t i = 0; i < 100; i++)
            memset(p[i] = arena_alloc(&a, i * 100 + 1), (int)i, i * 100 + 1);
        for (size_t i = 0; i < 100; i++)
            CHECK(p[i][0] == (char)i && p[i][i * 100] == (char)i);
        arena_reset(&a);
    }
    arena_done(&a);
}

UNIT_MAIN
