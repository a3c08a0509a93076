#include "unit.h"
#include "base/file.h"
#include "base/hash.h"
#include "event/event.h"
#include "store/segment.h"

#include <stdlib.h>
#include <unistd.h>

static struct event_writer *writer;
static struct batch *batch;

static void posted(const char *text, usec now)
{
    struct event_source src = {.app = S("shop"), .now = now};
    struct err e;
    size_t n;
    if (event_add(writer, &src, str_of(text), batch, &n, &e) < 0)
        printf("%s: %s\n", text, e.text);
}
static void begin(void)
{
    writer = event_writer_new();
    batch = batch_new(RECORD_EVENTS, 1, 1764000000000000);
}
static void end(void)
{
    batch_free(batch);
    event_writer_free(writer);
}

/* The batch as one segment of one block, opened; its file is gone already. */
static struct segment *sealed(void)
{
    struct store_block info = {.t_min = 0, .t_max = 1, .app = 1, .events = batch->events};
    struct segment_writer *w;
    struct segment *s = NULL;
    struct err e;
    char dir[] = "/tmp/logd-block-XXXXXX";
    CHECK(mkdtemp(dir) != NULL);
    CHECK(segment_create(dir, 1, 1, SEAL_LEVEL, &w, &e) == 0);
    if (segment_add(w, buf_view(&batch->body), &info, &e) < 0 || segment_finish(w, &s, &e) < 0)
        printf("%s\n", e.text);
    CHECK(s != NULL);
    unlink(s->path);
    rmdir(dir);
    return s;
}

static void check_same(const char *what)
{
    struct buf scratch = BUF_INIT(64 << 20);
    struct segment *s = sealed();
    struct err e;
    str got, want = buf_view(&batch->body);
    if (segment_lines(s, 0, &scratch, &got, &e) < 0) {
        printf("%s: %s\n", what, e.text);
        unit_failed = true;
    } else {
        for (str a = got, b = want; a.n || b.n;) {
            str x = str_cut(&a, '\n'), y = str_cut(&b, '\n');
            if (!str_eq(x, y)) {
                printf("%s: got  %.*s\n%s: want %.*s\n", what, STR_ARG(x), what, STR_ARG(y));
                unit_failed = true;
                break;
            }
        }
    }
    segment_unref(s);
    buf_done(&scratch);
}

static unsigned packing_of(const char *name, enum column_kind kind)
{
    struct segment *s = sealed();
    struct arena a = {0};
    struct block b;
    unsigned packing = 99;
    block_open(s, 0, &a, &b);
    for (uint32_t i = 0; i < b.head->columns; i++)
        if (b.columns[i].kind == kind && str_eq(block_name(&b, i), str_of(name)))
            packing = b.columns[i].packing;
    segment_unref(s);
    arena_done(&a);
    return packing;
}

TEST(numbers_come_back_as_they_were_written)
{
    static const char *const numbers[] = {"1.0",
                                          "1e3",
                                          "-0",
                                          "0",
                                          "9223372036854775807",
                                          "-9223372036854775807",
                                          "9223372036854775808",
                                          "-9223372036854775808",
                                          "0.10",
                                          "-0.0",
                                          "1E+2",
                                          "18446744073709551616",
                                          "123456789012345678901234567890",
                                          "-1.5",
                                          "00.1e5",
                                          "3.14159265358979323846"};
    begin();
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 0; i < LENGTH(numbers); i++) {
            char text[256];
            snprintf(text, sizeof text, "{\"n\":%s,\"s\":\"%s\",\"d\":%zu.%02zu,\"i\":%zu}", i == 14 ? "7" : numbers[i],
                     numbers[i], i, round, i * 1000);
            posted(text, 1764000000000000 + (usec)i);
        }
    check_same("numbers");
    end();
}

TEST(strings_come_back_byte_for_byte)
{
    begin();
    posted("{\"message\":\"plain\"}", 1);
    posted("{\"message\":\"quote \\\" slash \\/ back \\\\ nul \\u0000 tab \\t\"}", 1);
    posted("{\"message\":\"umlaut \\u00e4 and \xc3\xa4 smile \\ud83d\\ude00\"}", 1);
    posted("{\"message\":\"line\\nbreak\\r\\n\", \"a\\\"b\":\"\", \"tags\":[1,\"x\",{\"y\":null}], \"empty\":{}}", 1);
    posted("{\"message\":\"\", \"n\":null, \"t\":true, \"f\":false, \"deep\":{\"er\":{\"est\":1}}}", 1);
    posted("{\"event_id\":\"abc\", \"message\":\"with an id\"}", 1);
    posted("{\"event_id\":\"x\\\"y\", \"message\":\"with another\", \"n\":7}", 1);
    check_same("strings");
    end();
}

TEST(times_and_ids_of_any_order_come_back)
{
    static const char *const times[] = {"2026-01-02T03:04:05Z",           "2026-01-02T03:04:05.1Z",
                                        "2026-01-02T03:04:05.123456789Z", "1999-12-31T23:59:59.000Z",
                                        "2026-01-01T00:00:00Z",           "1970-01-01T00:00:00Z"};
    begin();
    for (size_t i = 0; i < 200; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"message\":\"m\",\"time\":\"%s\"}", times[i * 7 % LENGTH(times)]);
        posted(text, 1790000000000000);
    }
    check_same("times");
    end();
}

TEST(each_kind_of_value_is_packed_as_what_it_is)
{
    begin();
    for (unsigned i = 0; i < 3000; i++) {
        char text[512];
        uint64_t r = (uint64_t)i * 0x9e3779b97f4a7c15u;
        snprintf(
            text, sizeof text,
            "{\"message\":\"user %llx did %llu\",\"host\":\"web%u\",\"request.no\":%u,\"price\":%llu.%02llu,\"ip\":\"10.%llu.%llu.%u\","
            "\"trace_id\":\"%016llx%016llx\",\"uuid\":\"%08llx-1234-4abc-8def-%012llx\",\"same\":\"x\",\"zip\":\"%05u\",\"rand\":%llu}",
            (unsigned long long)r >> 20, (unsigned long long)r % 977, i % 5, 100000 + i, (unsigned long long)r % 999,
            (unsigned long long)r % 97, (unsigned long long)(r >> 8 & 255), (unsigned long long)(r >> 16 & 255),
            i & 255, (unsigned long long)r, (unsigned long long)(r * 31), (unsigned long long)(r & 0xffffffff),
            (unsigned long long)(r >> 16), i, (unsigned long long)(r >> 30));
        posted(text, 1764000000000000);
    }
    check_same("kinds");
    CHECK_INT(packing_of("message", KIND_STRING), PACK_TEXT);
    CHECK_INT(packing_of("host", KIND_STRING), PACK_DICT);
    CHECK_INT(packing_of("request.no", KIND_NUMBER), PACK_DELTA);
    CHECK_INT(packing_of("price", KIND_NUMBER), PACK_DECIMAL);
    CHECK_INT(packing_of("ip", KIND_STRING), PACK_IPV4);
    CHECK_INT(packing_of("trace_id", KIND_STRING), PACK_HEX);
    CHECK_INT(packing_of("uuid", KIND_STRING), PACK_UUID);
    CHECK_INT(packing_of("same", KIND_STRING), PACK_CONST);
    CHECK_INT(packing_of("rand", KIND_NUMBER), PACK_INT);
    end();
}

/* One event for each address; then another one without the field, so that not every event has it. */
static void addresses(const char *const *known, size_t known_n, bool last_is_odd)
{
    for (unsigned i = 0; i < 600; i++) {
        char text[256], made[64];
        snprintf(made, sizeof made, i % 3 ? "2001:db8:%x::%x" : "10.0.%u.%u", i % 7 + 1, i % 3 ? i + 1 : i / 3);
        snprintf(text, sizeof text, "{\"peer\":\"%s\"}", i < known_n ? known[i] : made);
        posted(last_is_odd && i == 599 ? "{\"peer\":\"2001:DB8::1\"}" : text, 1764000000000000 + i);
        if (i % 50 == 0)
            posted("{\"message\":\"no peer\"}", 1764000000000000 + i);
    }
}

TEST(addresses_of_both_kinds_are_packed_and_come_back_byte_for_byte)
{
    static const char *const known[] = {"::",
                                        "::1",
                                        "1::",
                                        "fe80::1",
                                        "1:2:3:4:5:6:7:8",
                                        "1:0:2:3:4:5:6:7",
                                        "0:1:2:3:4:5:6:7",
                                        "1:2:3:4:5:6:7:0",
                                        "1::2:0:0:3",
                                        "1:0:0:2::3",
                                        "1::2:3:0:0:4",
                                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                        "::102:304",
                                        "64:ff9b::102:304",
                                        "0.0.0.0",
                                        "255.255.255.255"};
    begin();
    addresses(known, LENGTH(known), false);
    check_same("addresses");
    CHECK_INT(packing_of("peer", KIND_STRING), PACK_IPV6);
    end();
}

TEST(an_address_that_is_written_otherwise_leaves_all_as_text)
{
    static const char *const others[] = {"::FFFF",
                                         "01::1",
                                         "::1:2:3:4:5:6:7:8",
                                         "1:0:0:2:0:0:0:3",
                                         "1:2:3::4:5:6:7:8",
                                         "::ffff:10.1.2.3",
                                         "::ffff:0:0",
                                         "::1.2.3.4",
                                         "1:2:3:4:5:6:7",
                                         "fe80::1%eth0",
                                         ""};
    for (size_t i = 0; i < LENGTH(others); i++) {
        begin();
        addresses(&others[i], 1, false);
        check_same("other addresses");
        CHECK_INT(packing_of("peer", KIND_STRING), PACK_TEXT);
        end();
    }
    begin();
    addresses(NULL, 0, true);
    check_same("one other address");
    CHECK_INT(packing_of("peer", KIND_STRING), PACK_TEXT);
    end();
}

/* Posts events of these seconds, some of them errors; what the block says of its minutes, summed; -1: nothing. */
static int64_t minutes_of(const int *seconds, size_t n, size_t *ret_n)
{
    char text[100];
    struct arena a = {0};
    struct block b;
    struct minutes m = {0};
    int64_t sum = 0;
    begin();
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "{\"time\":%d,\"level\":\"%s\"}", seconds[i], i % 3 ? "info" : "error");
        posted(text, 1764000000000000);
    }
    struct segment *s = sealed();
    block_open(s, 0, &a, &b);
    ((struct block_head *)b.head)->t_max = 3600 * NSEC_PER_SEC;
    bool told = block_minutes(&b, &m);
    for (size_t i = 0; i < m.n && told; i++)
        sum += (int64_t)m.p[i].events * (1000 * m.p[i].at + m.p[i].severity);
    *ret_n = m.n;
    segment_unref(s);
    arena_done(&a);
    end();
    return told ? sum : -1;
}

TEST(a_block_tells_its_minutes_when_events_are_many_and_in_order)
{
    enum { N = 120 };
    int seconds[N];
    int64_t want = 0;
    size_t n;
    for (int i = 0; i < N; i++) {
        seconds[i] = i * 3; /* six minutes of two levels: 20 events each */
        want += 1000 * (i * 3 / 60) + (i % 3 ? 9 : 17);
    }
    CHECK(minutes_of(seconds, N, &n) == want && n == 12);
    seconds[50] = 20; /* out of order */
    CHECK(minutes_of(seconds, N, &n) == -1);
    for (int i = 0; i < N; i++)
        seconds[i] = i * 60;
    CHECK(minutes_of(seconds, N, &n) == -1); /* few a minute */
}

TEST(a_thousand_fields_and_a_hundred_thousand_names_come_back)
{
    struct buf text = BUF_INIT(1 << 20);
    begin();
    for (unsigned i = 0; i < 200; i++) {
        buf_reset(&text);
        buf_printf(&text, "{\"message\":\"wide %u\"", i);
        for (unsigned k = 0; k < 495; k++)
            buf_printf(&text, ",\"common%u\":%u,\"rare%u.%u\":\"v\\n%u\"", k < 400 ? k : k + i % 3, k * i, i, k, k);
        buf_printf(&text, "}%c", '\0');
        posted(text.p, 1764000000000000);
    }
    CHECK_INT(batch->events, 200);
    check_same("wide");
    buf_done(&text);
    end();
}

/* ---- random events ---- */

static unsigned seed;
static unsigned roll(unsigned n) { return (unsigned)(rand_r(&seed) >> 8) % n; }

static void random_value(struct buf *b, unsigned depth)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "GET /index.html",
                                        "\\u0000",
                                        "\\n\\t",
                                        "\\/",
                                        "\\u00e9",
                                        "\xc3\xa9",
                                        "10.0.0.1",
                                        "2001:db8::1",
                                        "::ffff:10.0.0.1",
                                        "007",
                                        "1e5",
                                        "deadbeefdeadbeef",
                                        "DEADBEEFDEADBEEF",
                                        "01234567-89ab-cdef-0123-456789abcdef",
                                        "true",
                                        "null",
                                        "2026-01-02T03:04:05Z"};
    switch (roll(depth > 3 ? 9 : 11)) {
    case 0: buf_lit(b, "null"); break;
    case 1: buf_lit(b, "true"); break;
    case 2: buf_printf(b, "%u", roll(300)); break;
    case 3: buf_printf(b, "-%u.%02u", roll(50), roll(100)); break;
    case 4: buf_printf(b, "%ue%u", roll(50), roll(10)); break;
    case 5: buf_printf(b, "\"%08x%08x\"", roll(1 << 20), roll(1 << 20)); break;
    case 6: buf_printf(b, "\"%s %u\"", texts[roll(LENGTH(texts))], roll(1000)); break;
    case 7: buf_printf(b, "\"%s\"", texts[roll(LENGTH(texts))]); break;
    case 8: buf_printf(b, roll(4) ? "\"fd00::%x:%x\"" : "\"10.0.%u.%u\"", roll(200) + 1, roll(200) + 1); break;
    case 9:
        buf_byte(b, '[');
        for (unsigned i = roll(4); i > 0; i--) {
            random_value(b, depth + 1);
            buf_str(b, i > 1 ? S(",") : S(""));
        }
        buf_byte(b, ']');
        break;
    default:
        buf_byte(b, '{');
        for (unsigned i = roll(4); i > 0; i--) {
            buf_printf(b, "\"k%u\":", roll(5));
            random_value(b, depth + 1);
            buf_str(b, i > 1 ? S(",") : S(""));
        }
        buf_byte(b, '}');
    }
}

TEST(random_events_come_back)
{
    const char *given = getenv("SEED");
    uint32_t drawn;
    random_bytes(&drawn, sizeof drawn);
    seed = given ? (unsigned)strtoul(given, NULL, 10) : drawn;
    printf("  SEED=%u\n", seed);
    struct buf text = BUF_INIT(1 << 20);
    for (unsigned round = 0; round < 60; round++) {
        unsigned names = 1 + roll(round % 3 ? 12 : 600), events = 1 + roll(round % 5 ? 200 : 6000);
        begin();
        for (unsigned i = 0; i < events; i++) {
            buf_reset(&text);
            buf_printf(&text, "{\"message\":\"m\",\"time\":%u", 1700000000 + roll(100000));
            for (unsigned k = roll(10); k > 0; k--) {
                buf_printf(&text, ",\"f%u\":", roll(names));
                random_value(&text, 0);
            }
            buf_printf(&text, "}%c", '\0');
            posted(text.p, 1764000000000000 + i);
        }
        check_same("random");
        end();
    }
    buf_done(&text);
}

TEST(a_signature_denies_nothing_that_is_there)
{
    struct signature_maker *m = signature_new();
    struct buf bytes = BUF_INIT(1 << 20);
    struct signature s;
    struct probe p;
    unsigned wrong = 0;
    for (unsigned i = 0; i < 5000; i++) {
        char text[64], value[40];
        snprintf(text, sizeof text, "Connection %u from Host-%u closed", i * 7919, i % 97);
        snprintf(value, sizeof value, "%08x%08x", i * 2654435761u, i);
        signature_text(m, str_of(text));
        signature_value(m, str_of(value));
    }
    signature_write(m, &bytes);
    CHECK(signature_read(buf_view(&bytes), &s));
    probe_init(&p, S("host-96 clo"));
    CHECK(signature_may_contain(&s, &p));
    probe_init(&p, S("frobnicate"));
    CHECK(!signature_may_contain(&s, &p));
    for (unsigned i = 0; i < 5000; i++) {
        char value[40];
        snprintf(value, sizeof value, "%08x%08x", i * 2654435761u, i);
        probe_init(&p, str_of(value));
        CHECK(signature_may_equal(&s, &p));
        snprintf(value, sizeof value, "%08x%08x", i * 2654435761u, i + 1);
        probe_init(&p, str_of(value));
        wrong += signature_may_equal(&s, &p);
    }
    CHECK(wrong < 250);
    bytes.p[20] ^= 1;
    CHECK(!signature_read(buf_view(&bytes), &s));
    buf_done(&bytes);
    signature_free(m);
}

UNIT_MAIN

TEST(signatures_are_kept_as_far_as_memory_goes_and_say_the_same)
{
    struct arena a = {0};
    _Atomic size_t left = 64 << 20;
    begin();
    posted("{\"time\":1,\"message\":\"heliotrope\",\"id2\":\"00112233445566778899aabbccddeeff\"}", 1764000000000000);
    for (int room = 0; room < 2; room++) {
        struct segment *s = sealed();
        struct signature read, kept, again;
        CHECK(segment_signature(s, 0, &a, &read));
        s->keep_left = &left;
        left = room ? 64 << 20 : 16;
        CHECK(segment_signature(s, 0, &a, &kept) && segment_signature(s, 0, &a, &again));
        CHECK(room ? kept.bits == again.bits && left < 64 << 20 : kept.bits != again.bits && left == 16);
        CHECK(kept.mask == read.mask && memcmp(kept.bits, read.bits, (read.mask + 1) / 8) == 0);
        CHECK(kept.blocks_n == read.blocks_n && memcmp(kept.blocks, read.blocks, 32 * read.blocks_n) == 0);
        segment_unref(s);
        CHECK(left == (room ? 64 << 20 : 16));
    }
    arena_done(&a);
    end();
}
