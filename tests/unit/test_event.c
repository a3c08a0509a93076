#include "event/event.h"
#include "base/clock.h"
#include "unit.h"

/* ---- time ---- */

static str time_as(const char *text)
{
    static char out[TIME_TEXT_MAX];
    struct err e;
    nsec t;
    int digits;
    if (time_read(str_of(text), &t, &digits, &e) < 0)
        return S("refused");
    return (str){out, time_print(t, digits, out)};
}

TEST(every_time_form_is_read_to_the_digit)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"2026-11-25T09:35:21.123Z", "2026-11-25T09:35:21.123Z"},
        {"2026-11-25T09:35:21Z", "2026-11-25T09:35:21Z"},
        {"2026-11-25t09:35:21.000000001z", "2026-11-25T09:35:21.000000001Z"},
        {"2026-11-25T10:35:21.5+01:00", "2026-11-25T09:35:21.5Z"},
        {"2026-11-25T00:05:21-0930", "2026-11-25T09:35:21Z"},
        {"2026-11-25T10:35:21+01", "2026-11-25T09:35:21Z"},
        {"2026-11-25 09:35:21,123", "2026-11-25T09:35:21.123Z"},
        {" 2026-11-25 09:35:21 +0000 ", "2026-11-25T09:35:21Z"},
        {"2026-11-25T09:35", "2026-11-25T09:35:00Z"},
        {"2026-11-25", "2026-11-25T00:00:00Z"},
        {"2026-11-25T09:35:21.1234567899Z", "2026-11-25T09:35:21.123456789Z"},
        {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"},
        {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
        {"2000-02-29", "2000-02-29T00:00:00Z"},
        {"1678-01-01T00:00:00Z", "1678-01-01T00:00:00Z"},
        {"1764063321", "2025-11-25T09:35:21Z"},
        {"1764063321.123", "2025-11-25T09:35:21.123Z"},
        {"1764063321.1234567891", "2025-11-25T09:35:21.123456789Z"},
        {"1764063321123", "2025-11-25T09:35:21.123Z"},
        {"1764063321123.25", "2025-11-25T09:35:21.12325Z"},
        {"1764063321123456", "2025-11-25T09:35:21.123456Z"},
        {"1764063321123456789", "2025-11-25T09:35:21.123456789Z"},
        {"1.764063321e9", "2025-11-25T09:35:21Z"},
        {"1.764063321123e12", "2025-11-25T09:35:21.123Z"},
        {"17640633211e-1", "2025-11-25T09:35:21.1Z"},
        {"0", "1970-01-01T00:00:00Z"},
        {"-1.5", "1969-12-31T23:59:58.5Z"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        CHECK_STR(time_as(cases[i].text), str_of(cases[i].want));
}

TEST(what_is_no_time_is_refused)
{
    static const char *const cases[] = {
        "",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-02-29",
        "1900-02-29",
        "2026-00-10",
        "2026-11-25T24:00:00Z",
        "2026-11-25T09:60:00Z",
        "2026-11-25T09:35:61Z",
        "2026-11-25T09:35:21.Z",
        "2026-11-25T",
        "2026-11-25T09:35:21X",
        "2026-11-25T09:35:21+1:00",
        "2026-11-25T09:35:21Z Z",
        "2026-11-25Tab:cd:efZ",
        "12.",
        ".5",
        "1.2.3",
        "1e400",
        "--1",
        "99999999999999999999",
        "9999999999999999999",
        "1e30",
        "0001-01-01T00:00:00Z",
        "9223272036854775808",
        "1678-01-01T00:00:00+00:01",
        "2262-01-01",
        "NaN",
        "1764063321 ms",
        "2026/11/25 09:35:21",
        "+",
        "1e",
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        CHECK_STR(time_as(cases[i]), S("refused"));
        if (unit_failed)
            printf("time: %s\n", cases[i]);
    }
}

TEST(every_day_is_printed_as_it_was_read)
{
    for (int64_t day = -106650; day < 106650; day++) {
        char text[TIME_TEXT_MAX];
        struct err e;
        nsec t;
        int digits;
        time_print(day * 86400 * NSEC_PER_SEC, 0, text);
        CHECK(time_read(str_of(text), &t, &digits, &e) == 0 && t == day * 86400 * NSEC_PER_SEC);
    }
}

/* ---- levels ---- */

TEST(levels_are_read_by_name_alias_and_number)
{
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"trace", 1},    {"DEBUG", 5},      {"Info", 9},   {"notice", 10},   {"warn", 13},
        {"WARNING", 13}, {"error", 17},     {"err", 17},   {"critical", 18}, {"crit", 18},
        {"alert", 19},   {"emergency", 21}, {"emerg", 21}, {"fatal", 21},    {"panic", 21},
        {"E", 17},       {" warn ", 13},    {"INFO2", 10}, {"ERROR4", 20},   {"debug4", 8},
        {"0", 21},       {"3", 17},         {"6", 9},      {"7", 5},         {"10", 1},
        {"20", 5},       {"30", 9},         {"35", 9},     {"40", 13},       {"50", 17},
        {"60", 21},      {"8", 0},          {"9", 0},      {"61", 0},        {"-1", 0},
        {"loud", 0},     {"", 0},           {"info5", 0},  {"crit2", 0},     {"99999999999999999999", 0},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        CHECK_INT(level_read(str_of(cases[i].text)), cases[i].want);
}

TEST(a_severity_has_one_name_and_the_name_reads_back_into_its_step)
{
    for (int s = 1; s <= 24; s++) {
        int back = level_read(level_name(s));
        CHECK(back <= s && s - back < 4);
        CHECK_STR(level_name(back), level_name(s));
    }
}

/* ---- ids and stored lines ---- */

TEST(ids_sort_by_reception_and_row_and_read_back)
{
    static const struct {
        usec t;
        uint32_t row;
    } cases[] = {{0, 0},
                 {0, 1},
                 {1, 0},
                 {1764063321123456, 0},
                 {1764063321123456, 31},
                 {1764063321123456, 32},
                 {1764063321123456, 1048575},
                 {1764063321123457, 0},
                 {(1ll << 55) - 1, 1048575}};
    char before[EVENT_ID_LEN + 1] = {0}, id[EVENT_ID_LEN + 1] = {0};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        usec t;
        uint32_t row;
        event_id_print(cases[i].t, cases[i].row, id);
        CHECK(strcmp(before, id) < 0);
        CHECK(event_id_parse(str_of(id), &t, &row));
        CHECK(t == cases[i].t && row == cases[i].row);
        memcpy(before, id, sizeof id);
    }
    usec t;
    uint32_t row;
    CHECK(!event_id_parse(S("0c2k"), &t, &row));
    CHECK(!event_id_parse(S("0c2k000000000zz"), &t, &row));
}

#define LINE                                                                                                           \
    "{\"id\":\"000000000000000\",\"event_id\":\"a\\\"b\",\"time\":\"2026-11-25T09:35:21.123Z\",\"app\":\"shop\","      \
    "\"level\":\"critical\",\"severity_number\":18,\"message\":\"a\\nb\",\"n\":1e3,\"ok\":true,\"none\":null,"         \
    "\"tags\":[1,{\"a\":[]}],\"na\\\"me\":\"v\"}"

TEST(a_stored_line_is_read_into_views)
{
    static struct event ev;
    struct arena a = {0};
    struct err e;
    CHECK_INT(event_read(S(LINE), &ev, &a, &e), 0);
    CHECK_INT(ev.n, 12);
    CHECK_STR(ev.app, S("shop"));
    CHECK_STR(ev.id, S("000000000000000"));
    CHECK_INT(ev.severity, 18);
    CHECK_INT(ev.time % NSEC_PER_SEC, 123000000);
    CHECK_STR(event_text(&ev, S("message"), &a), S("a\nb"));
    CHECK_STR(event_text(&ev, S("n"), &a), S("1e3"));
    CHECK_STR(event_text(&ev, S("tags"), &a), S("[1,{\"a\":[]}]"));
    CHECK_STR(event_text(&ev, S("na\"me"), &a), S("v"));
    CHECK_STR(event_text(&ev, S("event_id"), &a), S("a\"b"));
    CHECK(event_text(&ev, S("nothing"), &a).p == NULL);
    CHECK_INT(event_field(&ev, S("ok"))->kind, VALUE_BOOL);
    CHECK_INT(event_field(&ev, S("none"))->kind, VALUE_NULL);
    CHECK_INT(event_field(&ev, S("n"))->kind, VALUE_NUMBER);
    CHECK_INT(event_field(&ev, S("tags"))->kind, VALUE_JSON);
    arena_done(&a);
}

TEST(a_line_cut_anywhere_is_corrupt_and_a_peek_sees_time_and_level)
{
    static struct event ev;
    struct arena a = {0};
    struct err e;
    str line = S(LINE);
    for (size_t n = 0; n < line.n; n++)
        CHECK(event_read(str_head(line, n), &ev, &a, &e) < 0 && e.kind == ERR_CORRUPT);
    nsec t = 0;
    int severity = 0;
    CHECK(event_peek(line, &t, &severity));
    CHECK(t == 1795599321123000000 && severity == 18);
    CHECK(!event_peek(S("{\"id\":\"x\"}"), &t, &severity));
    CHECK(!event_peek(S("plain text"), &t, &severity));
    arena_done(&a);
}

UNIT_MAIN
