#include "agent/join.h"
#include "base/str.h"
#include "unit.h"

/* All events of `lines` ("\n" between them), as "text\n--\n" each, the way a file is read: given in pieces of `step`
 * lines, begun anew at the place that was done. */
static void join(struct joiner *j, str lines, size_t step, struct buf *out)
{
    struct joined e;
    uint64_t done = 0;
    for (size_t n = step;; n += step) {
        str rest = str_skip(lines, done);
        joiner_reset(j);
        for (size_t i = 0; i < n && rest.p && rest.n; i++) {
            uint64_t at = (uint64_t)(rest.p - lines.p);
            joiner_add(j, str_cut(&rest, '\n'), at, false);
            while (joiner_next(j, &e)) {
                buf_str(out, e.text);
                buf_lit(out, "\n--\n");
            }
        }
        bool end = !rest.p || rest.n == 0;
        if (end)
            joiner_end(j);
        while (end && joiner_next(j, &e)) {
            buf_str(out, e.text);
            buf_lit(out, "\n--\n");
        }
        uint64_t now = joiner_done(j, rest.p ? (uint64_t)(rest.p - lines.p) : lines.n);
        if (now > done)
            n = 0;
        done = now;
        if (end)
            return;
    }
}

static void expect(enum join_kind kind, const char *pattern, const char *lines, const char *events)
{
    struct err e;
    struct joiner *j = joiner_new(kind, str_of(pattern), &e);
    CHECK(j);
    for (size_t step = 1; step < 9; step++) {
        struct buf out = BUF_INIT(1 << 20);
        join(j, str_of(lines), step, &out);
        CHECK_STR(buf_view(&out), str_of(events));
        buf_done(&out);
    }
    joiner_free(j);
}

TEST(lines_of_one_stream_are_joined_among_themselves_in_the_order_of_their_first)
{
    expect(JOIN_AUTO, "",
           "{\"log\":\"Error: a\\n\",\"stream\":\"stderr\",\"time\":\"2021-02-01T16:45:03.01231Z\"}\n"
           "{\"log\":\"GET /\\n\",\"stream\":\"stdout\",\"time\":\"2021-02-01T16:45:03.01231Z\"}\n"
           "{\"log\":\"    at f (a.js:1:1)\\n\",\"stream\":\"stderr\",\"time\":\"2021-02-01T16:45:03.01231Z\"}\n"
           "{\"log\":\"half \",\"stream\":\"stdout\",\"attrs\":{\"a\":[1]},\"time\":\"2021-02-01T16:45:03.01231Z\"}\n"
           "{\"log\":\"next\\n\",\"stream\":\"stderr\",\"time\":\"2021-02-01T16:45:03.01231Z\"}\n"
           "{\"log\":\"whole\\n\",\"stream\":\"stdout\",\"time\":\"2021-02-01T16:45:03.01231Z\"}",
           "Error: a\n    at f (a.js:1:1)\n--\nGET /\n--\nhalf whole\n--\nnext\n--\n");
    expect(JOIN_AUTO, "",
           "2019-05-07T18:57:50.904275087+00:00 stdout P 1a \n2019-05-07T18:57:50.904275087+00:00 stderr F 1b\n"
           "2019-05-07T18:57:50.904275087+00:00 stdout F end\n2019-05-07T18:57:50.904275087+00:00 stderr F \n"
           "2019-05-07T18:57:50.904275087+00:00 stderr F 2b",
           "1a end\n--\n1b\n--\n2b\n--\n");
}

TEST(blank_lines_count_only_inside)
{
    expect(JOIN_AUTO, "", "panic: x\n\ngoroutine 1 [running]:\nmain.f()\n\t/a.go:1\n\n\nnext\n\n",
           "panic: x\n\ngoroutine 1 [running]:\nmain.f()\n\t/a.go:1\n--\nnext\n--\n");
}

TEST(an_event_begins_or_goes_on_where_the_pattern_says)
{
    expect(JOIN_STARTS, "^\\[", "[1] a\nb\n  c\n[2] d\n[3]\ne", "[1] a\nb\n  c\n--\n[2] d\n--\n[3]\ne\n--\n");
    expect(JOIN_GOES_ON, "\\\\$", "a \\\nb\nc\\\nd\\\ne\nf", "a \\\nb\n--\nc\\\nd\\\ne\n--\nf\n--\n");
    expect(JOIN_NONE, "", "a\n  b\n\nc", "a\n--\n  b\n--\n\n--\nc\n--\n");
    struct err e;
    CHECK(!joiner_new(JOIN_STARTS, S("("), &e) && e.text[0]);
}

TEST(what_is_too_large_or_waits_too_long_is_an_event)
{
    struct err e;
    struct joined got;
    struct joiner *j = joiner_new(JOIN_AUTO, S(""), &e);
    char line[1002] = "    ";
    memset(line + 4, 'x', 996);
    size_t events = 0, lines = 0, longest = 0;
    for (size_t i = 0; i < 2000; i++) {
        joiner_add(j, i ? str_n(line, 1000) : S("Error: a"), i * 1001, false);
        while (joiner_next(j, &got)) {
            events++;
            lines += got.lines;
            longest = got.text.n > longest ? got.text.n : longest;
        }
    }
    CHECK(lines > 1500 && events > 10 && longest <= JOIN_BYTES && joiner_done(j, 0) > 1800 * 1001);
    joiner_reset(j);
    /* a partial line of one stream holds others back, but not for long */
    joiner_add(j, S("2019-05-07T18:57:50.904275087+00:00 stdout P never ends"), 0, false);
    CHECK(!joiner_next(j, &got));
    for (size_t i = 1; i < 200; i++) {
        joiner_add(j, S("2019-05-07T18:57:50.904275087+00:00 stderr F x"), i, false);
        if (joiner_next(j, &got)) {
            CHECK_STR(got.text, S("never ends"));
            CHECK_STR(got.stream, S("stdout"));
            CHECK_INT(i, JOIN_PATIENCE + 1);
            break;
        }
        CHECK_INT(joiner_done(j, 1000), 0);
    }
    while (joiner_next(j, &got))
        CHECK_STR(got.text, S("x"));
    CHECK_INT(joiner_done(j, 1000), JOIN_PATIENCE + 1); /* where the last x is, which may go on */
    joiner_free(j);
}

TEST(random_lines_of_all_streams_come_once_whatever_pieces_they_come_in)
{
    static const char *const kinds[] = {"2019-05-07T18:57:50.904275087Z stdout P %d ",
                                        "2019-05-07T18:57:50.904275087Z stdout F %d",
                                        "2019-05-07T18:57:50.904275087Z stderr P   %d ",
                                        "2019-05-07T18:57:50.904275087Z stderr F   %d",
                                        "{\"log\":\"%d \",\"stream\":\"stderr\"}",
                                        "{\"log\":\"%d\\n\",\"stream\":\"stderr\"}",
                                        "%d",
                                        "   %d",
                                        ""};
    struct err e;
    struct joiner *j = joiner_new(JOIN_AUTO, S(""), &e);
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < 300; round++) {
        struct buf text = BUF_INIT(1 << 20), first = BUF_INIT(1 << 20);
        for (int i = 0; i < 150; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            size_t kind = x % (round % 3 ? LENGTH(kinds) : 4);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            buf_printf(&text, kinds[kind], 1000 + i);
#pragma GCC diagnostic pop
            buf_byte(&text, '\n');
        }
        join(j, buf_view(&text), 1000, &first);
        for (size_t step = 1; step < 150; step = 2 * step + 1) {
            struct buf again = BUF_INIT(1 << 20);
            join(j, buf_view(&text), step, &again);
            CHECK_STR(buf_view(&again), buf_view(&first));
            buf_done(&again);
        }
        buf_done(&first);
        buf_done(&text);
        if (unit_failed)
            break;
    }
    joiner_free(j);
}

UNIT_MAIN
