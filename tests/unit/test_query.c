#include "query_store.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"

static void sample(void)
{
    open_store();
    post("shop", "{\"time\":\"2026-01-01T10:00:00Z\",\"level\":\"info\",\"message\":\"a\",\"n\":10,\"who\":\"ann\"}");
    post("shop", "{\"time\":\"2026-01-01T10:01:00Z\",\"level\":\"error\",\"message\":\"b\",\"n\":9,\"who\":\"bob\"}");
    post("api", "{\"time\":\"2026-01-01T10:06:00Z\",\"level\":\"error\",\"message\":\"c\",\"n\":100}");
    post("api",
         "{\"time\":\"2026-01-01T10:07:00Z\",\"level\":\"warn\",\"message\":\"d,\\\"=1+1\",\"n\":2.5,\"who\":\"ann\"}");
}

TEST(stages_do_what_they_say)
{
    sample();
    for (int sealed = 0; sealed < 2; sealed++) {
        struct err e;
        expect("| count", "{\"count\":4}\n");
        expect("nothing-like-this | count", "{\"count\":0}\n");
        expect("level:error | count", "{\"count\":2}\n");
        expect(
            "| count by level",
            "{\"level\":\"error\",\"count\":2}\n{\"level\":\"info\",\"count\":1}\n{\"level\":\"warn\",\"count\":1}\n");
        expect("| count by who",
               "{\"who\":\"ann\",\"count\":2}\n{\"who\":\"bob\",\"count\":1}\n{\"who\":null,\"count\":1}\n");
        expect("| count every 5m", "{\"time\":\"2026-01-01T10:00:00Z\",\"count\":2}\n"
                                   "{\"time\":\"2026-01-01T10:05:00Z\",\"count\":2}\n");
        expect(
            "| count by app every 5m",
            "{\"time\":\"2026-01-01T10:00:00Z\",\"app\":\"shop\",\"count\":2}\n{\"time\":\"2026-01-01T10:05:00Z\",\"app\":\"api\",\"count\":2}\n");
        expect("| sort n | fields n", "{\"n\":2.5}\n{\"n\":9}\n{\"n\":10}\n{\"n\":100}\n");
        expect("| sort -who,n | fields who,n",
               "{\"who\":\"bob\",\"n\":9}\n{\"who\":\"ann\",\"n\":2.5}\n{\"who\":\"ann\",\"n\":10}\n{\"n\":100}\n");
        expect("| where n>5 | where app=shop | fields message", "{\"message\":\"b\"}\n{\"message\":\"a\"}\n");
        expect("| limit 2 | fields message", "{\"message\":\"d,\\\"=1+1\"}\n{\"message\":\"c\"}\n");
        expect("| limit 2 | where level:error | fields message", "{\"message\":\"c\"}\n");
        expect("| limit 3 | count by level", "{\"level\":\"error\",\"count\":2}\n{\"level\":\"warn\",\"count\":1}\n");
        expect("| count by level | sort count,-level | limit 2",
               "{\"level\":\"warn\",\"count\":1}\n{\"level\":\"info\",\"count\":1}\n");
        expect("| count by level | where count>1", "{\"level\":\"error\",\"count\":2}\n");
        CHECK(store_seal(store, &e) == 0);
    }
    close_store();
}

TEST(pages_have_neither_gaps_nor_repeats_while_events_arrive)
{
    open_store();
    for (int i = 0; i < 500; i++) {
        char json[128];
        snprintf(json, sizeof json, "{\"time\":%d,\"message\":\"m\",\"n\":%d}", 1700000000 + i % 50, i);
        post("a", json);
        if (i == 250) {
            struct err e;
            CHECK(store_seal(store, &e) == 0);
        }
    }
    for (int ascending = 0; ascending < 2; ascending++) {
        bool seen[500] = {false};
        char cursor[64] = "";
        int pages = 0, rows = 0;
        do {
            struct query_options o = all(7);
            o.ascending = ascending;
            o.cursor = str_of(cursor);
            struct query_result r = run("n<500 | fields n,time", o);
            nsec last = ascending ? INT64_MIN : INT64_MAX;
            for (str rest = buf_view(&r.rows); rest.n; rows++) {
                str line = str_cut(&rest, '\n');
                struct event ev;
                struct arena a = {0};
                struct err e;
                nsec t;
                int digits;
                int64_t n = 0;
                CHECK(event_read_fields(line, &ev, &a, &e) == 0 && str_i64(event_text(&ev, S("n"), &a), &n));
                CHECK(time_read(event_text(&ev, S("time"), &a), &t, &digits, &e) == 0);
                CHECK(ascending ? t >= last : t <= last);
                last = t;
                CHECK(!seen[n]);
                seen[n] = true;
                arena_done(&a);
            }
            memcpy(cursor, r.next, sizeof cursor);
            query_result_done(&r);
            char json[64];
            snprintf(json, sizeof json, "{\"time\":%d,\"n\":%d}", 1700000000 + pages % 50, 1000 + pages);
            post("a", json); /* does not match, but moves blocks about */
            pages++;
        } while (cursor[0] && pages < 200);
        CHECK_INT(rows, 500);
        CHECK_INT(pages, 72);
    }
    close_store();
}

TEST(a_wrong_stage_says_so_with_its_column)
{
    static const struct {
        const char *text;
        size_t column;
        const char *says;
    } cases[] = {
        {"a | stats median(x)", 11, "expected count, uniq, sum"},
        {"a | stats sum()", 15, "expected the name of a field, got ')'"},
        {"a | stats sum x", 15, "expected '(' after 'sum'"},
        {"a | stats sum(x", 16, "expected ')'"},
        {"a | stats sum(x) if", 20, "expected a filter"},
        {"a | stats count() as n, sum(x) as n", 5, "two columns named 'n'"},
        {"a | stats count(), count()", 5, "two columns named 'count()'"},
        {"a | stats count() as who by who", 5, "two columns named 'who'"},
        {"a | stats count() as time every 5m", 5, "two columns named 'time'"},
        {"a | parse xml", 11, "expected json, logfmt or a pattern"},
        {"a | parse \"x <_> y\"", 11, "expected at least one <name>"},
        {"a | parse \"x <a><b> y\"", 17, "expected text between two captures"},
        {"a | parse \"<a> b", 11, "expected a closing"},
        {"a | top x", 9, "expected a number after 'top', got 'x'"},
        {"a | top 5 count", 5, "two columns named 'count'"},
        {"a | context 1001", 13, "expected at most 1000 events on each side"},
        {"a | fields n | context 1", 16, "stage 'context' needs events as they are"},
        {"a | count | context 1", 13, "stage 'context' needs events as they are"},
        {"a | where", 10, "expected a filter after 'where'"},
        {"a | where (b", 13, "expected the ')' of the '(' at column 11"},
        {"a | count by b,b", 16, "field 'b' stands twice in stage 'count'"},
        {"a | count by count", 5, "two columns named 'count'"},
        {"a | count by time every 1m", 5, "two columns named 'time'"},
        {"a | count every 0s", 17, "expected a duration"},
        {"a |", 4, "expected a stage after '|'"},
        {"a | limit 5 5", 13, "expected '|' or the end of the query after stage 'limit', got '5'"},
        {"a) | count", 2, "expected '|' or the end of the query, got ')'"},
        {"a | bogus", 5, "expected a stage"},
        {"a | limit x", 11, "expected a number after 'limit', got 'x'"},
        {"a | count by", 13, "expected"},
        {"a | count every 90ms", 17, "expected a duration"},
        {"a | fields x y", 14, "expected '|' or the end"},
        {"a | sort", 9, "expected"},
    };
    open_store();
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct err e;
        refused(cases[i].text, &e);
        CHECK_INT(e.column, cases[i].column);
        if (!strstr(e.text, cases[i].says)) {
            printf("%s: %s\n", cases[i].text, e.text);
            CHECK(false);
        }
    }
    close_store();
}

TEST(a_histogram_counts_each_event_once_by_level)
{
    struct err e;
    nsec from = 0, to = 0;
    int digits;
    CHECK(time_read(S("2026-01-01T10:00:00Z"), &from, &digits, &e) == 0 &&
          time_read(S("2026-01-01T10:10:00Z"), &to, &digits, &e) == 0);
    sample();
    for (int sealed = 0; sealed < 2; sealed++) {
        static const struct {
            uint32_t buckets;
            str want;
        } cases[] = {
            {3,
             S("{\"step_s\":300,\"buckets\":[{\"time\":\"2026-01-01T10:00:00Z\",\"total\":2,\"levels\":{\"info\":1,\"error\":1}},"
               "{\"time\":\"2026-01-01T10:05:00Z\",\"total\":2,\"levels\":{\"warn\":1,\"error\":1}}],\"partial\":false}")},
            {1,
             S("{\"step_s\":600,\"buckets\":[{\"time\":\"2026-01-01T10:00:00Z\",\"total\":4,\"levels\":{\"info\":1,\"warn\":1,\"error\":2}}],"
               "\"partial\":false}")},
        };
        for (size_t i = 0; i < LENGTH(cases); i++) {
            struct store_view *v = store_view_open(store);
            struct query *q;
            struct buf out = BUF_INIT(1 << 20);
            struct query_options o = {.from = from, .to = to};
            CHECK(query_parse(S(""), &q, &e) == 0);
            CHECK(query_histogram(q, v, &o, cases[i].buckets, &out, &e) == 0);
            CHECK_STR(buf_view(&out), cases[i].want);
            query_free(q);
            store_view_close(v);
            buf_done(&out);
        }
        CHECK(store_seal(store, &e) == 0);
    }
    close_store();
}

/* Levels of what was posted in a quarter of an hour, as bars of several widths. */
static void print_histograms(struct buf *out)
{
    static const uint32_t buckets[] = {1, 2, 7, 18, 200};
    for (size_t i = 0; i < LENGTH(buckets); i++) {
        struct store_view *v = store_view_open(store);
        struct query *q;
        struct err e;
        struct query_options o = {.from = 1800000000 * NSEC_PER_SEC, .to = 1800000990 * NSEC_PER_SEC};
        CHECK(query_parse(S(""), &q, &e) == 0);
        CHECK(query_histogram(q, v, &o, buckets[i], out, &e) == 0);
        query_free(q);
        store_view_close(v);
    }
}

TEST(a_histogram_is_the_same_of_head_and_segment_whatever_its_bars)
{
    static const char *const levels[] = {"info", "warn", "error", "info"};
    struct buf head = BUF_INIT(1 << 22), sealed = BUF_INIT(1 << 22);
    char text[200];
    struct err e;
    open_store();
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "{\"time\":%d.%03d,\"level\":\"%s\"}", 1800000000 + i * 7919 % 990, i % 1000,
                 levels[i * 31 % 4]);
        post("a", text);
    }
    print_histograms(&head);
    CHECK(store_seal(store, &e) == 0);
    print_histograms(&sealed);
    CHECK_STR(buf_view(&sealed), buf_view(&head));
    CHECK(str_find(buf_view(&head), S("\"total\":2000,\"levels\":{\"info\":1000,")) > 0);
    CHECK(str_find(buf_view(&head), S("\"step_s\":60,")) >= 0 && str_find(buf_view(&head), S("\"step_s\":5,")) >= 0);
    buf_done(&head);
    buf_done(&sealed);
    close_store();
}

TEST(an_event_is_found_by_its_id_in_head_and_segment)
{
    sample();
    for (int sealed = 0; sealed < 2; sealed++) {
        struct query_result r = run("message=c", all(1));
        struct store_view *v = store_view_open(store);
        struct buf out = BUF_INIT(1 << 20);
        struct err e;
        CHECK(query_event(v, str_n(r.rows.p + 7, EVENT_ID_LEN), &out, &e) == 0);
        CHECK_STR(buf_view(&out), str_trim(buf_view(&r.rows)));
        CHECK(query_event(v, S("000000000000000"), &out, &e) < 0 && e.kind == ERR_GONE);
        CHECK(query_event(v, S("nonsense"), &out, &e) < 0 && e.kind == ERR_GONE);
        store_view_close(v);
        query_result_done(&r);
        buf_done(&out);
        CHECK(store_seal(store, &e) == 0);
    }
    close_store();
}

TEST(csv_guards_formulas_and_quotes_and_text_shows_control_characters)
{
    open_store();
    post("a", "{\"time\":1,\"message\":\"=1+1\",\"x\":\"a,\\\"b\\\"\",\"y\":-5}");
    post("a", "{\"time\":2,\"message\":\"\\u001b[31mred\\u0007\\nnext\\u009b\"}");
    struct query_result r = run("| fields message,x,y", all(0));
    struct buf out = BUF_INIT(1 << 20);
    query_print(&r, FORMAT_CSV, &out);
    CHECK(str_find(buf_view(&out), S("\"'=1+1\",\"a,\"\"b\"\"\",-5\r\n")) > 0);
    CHECK(str_starts(buf_view(&out), S("message,x,y\r\n")));
    buf_reset(&out);
    query_print(&r, FORMAT_TEXT, &out);
    CHECK(str_find(buf_view(&out), S("\\x1b[31mred\\x07\\nnext\\x9b")) >= 0);
    CHECK(str_chr(buf_view(&out), '\x1b') < 0);
    buf_reset(&out);
    query_print(&r, FORMAT_JSON, &out);
    CHECK(str_starts(buf_view(&out), S("{\"rows\":[{\"message\":")) &&
          str_find(buf_view(&out), S("\"next\":null")) > 0);
    buf_done(&out);
    query_result_done(&r);
    close_store();
}

/* ---- many events against a slow way: every line read, matched, sorted ---- */

static void post_random(void)
{
    static const char *const levels[] = {"debug", "info", "info", "warn", "error", "fatal"};
    static const char *const words[] = {"refused", "Refused", "ok", "gr\\u00fcn", "a\\/b", "x\\ny", "\\u0072efused"};
    char json[400];
    snprintf(json, sizeof json,
             "{\"time\":%u,\"level\":\"%s\",\"message\":\"it was %s, %u\",\"status\":%u,\"user\":\"u%u\"%s}",
             1700000000 + random_below(600), levels[random_below(6)], words[random_below(7)], random_below(100),
             200 + random_below(4) * 100, random_below(5), random_below(3) ? "" : ",\"tags\":[\"a\",\"b\"]");
    post(random_below(2) ? "shop" : "api", json);
}

/* A store of a few segments and a head. */
static void open_random(unsigned events)
{
    struct err e;
    open_store();
    for (unsigned i = 0; i < events; i++) {
        post_random();
        if (random_below(events / 20) == 0) /* many blocks: a second thread looks ahead */
            CHECK(store_seal(store, &e) == 0);
    }
}

TEST(ids_that_differ_in_their_last_byte_are_two)
{
    struct err e;
    open_store();
    for (unsigned i = 0; i < 600; i++) { /* too many for a dictionary: packed as bytes */
        char json[128];
        snprintf(json, sizeof json, "{\"message\":\"m\",\"trace_id\":\"%08x%08x%016x\"}", i / 2 * 2654435761u, i / 2,
                 i % 2);
        post("shop", json);
    }
    CHECK(store_seal(store, &e) == 0);
    char text[80];
    snprintf(text, sizeof text, "trace_id:%08x%08x%016x | count", 7 * 2654435761u, 7, 0);
    expect(text, "{\"count\":1}\n");
    snprintf(text, sizeof text, "%08X%08x%016x | count", 7 * 2654435761u, 7, 1);
    expect(text, "{\"count\":1}\n");
    close_store();
}

struct found {
    nsec time;
    char id[EVENT_ID_LEN];
};

static int newest_first(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->time != y->time ? (x->time < y->time ? 1 : -1) : -memcmp(x->id, y->id, EVENT_ID_LEN);
}

static size_t slow_matches(const char *text, nsec from, nsec to, struct found *out)
{
    static struct event ev;
    struct filter *f;
    struct err e;
    struct arena a = {0};
    struct buf scratch = BUF_INIT(64u << 20);
    struct store_view *v = store_view_open(store);
    size_t n = 0;
    CHECK(filter_parse(str_of(text), &f, &e) == 0);
    for (size_t i = 0; i < store_view_count(v); i++) {
        str lines;
        CHECK(store_view_lines(v, i, &scratch, &lines, &e) == 0);
        while (lines.n) {
            CHECK(event_read(str_cut(&lines, '\n'), &ev, &a, &e) == 0);
            if (ev.time < from || ev.time >= to || !filter_match(f, &ev, &a))
                continue;
            out[n].time = ev.time;
            memcpy(out[n++].id, ev.id.p, EVENT_ID_LEN);
        }
    }
    qsort(out, n, sizeof *out, newest_first);
    filter_free(f);
    store_view_close(v);
    arena_done(&a);
    buf_done(&scratch);
    return n;
}

/* All pages of the query; the ids, one after another. */
static size_t all_pages(const char *text, struct query_options o, char (*ids)[EVENT_ID_LEN], size_t max)
{
    char cursor[64] = "";
    size_t n = 0;
    do {
        o.cursor = str_of(cursor);
        struct query_result r = run(text, o);
        CHECK(r.n <= o.limit && !r.partial);
        for (str rest = buf_view(&r.rows); rest.n && n < max; n++)
            memcpy(ids[n], str_cut(&rest, '\n').p + 7, EVENT_ID_LEN);
        memcpy(cursor, r.next, sizeof cursor);
        query_result_done(&r);
    } while (cursor[0] && n < max);
    return n;
}

static int64_t counted(const char *text, struct query_options o)
{
    char query[200];
    int64_t n = -1;
    snprintf(query, sizeof query, "%s | count", text);
    struct query_result r = run(query, o);
    str s = str_skip(buf_view(&r.rows), sizeof "{\"count\":" - 1);
    CHECK(str_i64(str_cut(&s, '}'), &n));
    query_result_done(&r);
    return n;
}

TEST(random_queries_find_what_a_slow_search_finds)
{
    static const char *const filters[] = {
        "",
        "refused",
        "level>=error",
        "level:warn or level:debug",
        "-level>=warn",
        "refused level>=error",
        "grün",
        "\"a/b\"",
        "user:u3",
        "user=u3 status>=400",
        "status:500",
        "tags:*",
        "tags:b or user:u1",
        "~\"was [a-z]+, 7\"",
        "message:\"x\ny\"",
        "time>=2023-11-14T22:15:00Z",
        "time:2023-11-14T22:16 level:info",
        "not (refused or ok)",
        "nothing-has-this",
        "app:api ok",
        "user:u* -user:u1",
        "\", 42\"",
    };
    enum { EVENTS = 2000 };
    static struct found want[EVENTS];
    static char ids[EVENTS + 1][EVENT_ID_LEN];
    start_random();
    open_random(EVENTS);
    for (size_t i = 0; i < 4 * LENGTH(filters) && !unit_failed; i++) {
        const char *text = filters[i % LENGTH(filters)];
        struct query_options o = all(1 + random_below(300));
        o.ascending = random_below(2);
        if (random_below(2)) {
            o.from = (1700000000 + (nsec)random_below(300)) * NSEC_PER_SEC;
            o.to = o.from + (nsec)random_below(300) * NSEC_PER_SEC;
        }
        size_t n = slow_matches(text, o.from, o.to, want), got = all_pages(text, o, ids, EVENTS + 1);
        CHECK_INT(got, n);
        CHECK_INT(counted(text, o), n);
        for (size_t k = 0; k < n && !unit_failed; k++)
            CHECK(memcmp(ids[k], want[o.ascending ? n - 1 - k : k].id, EVENT_ID_LEN) == 0);
        if (unit_failed)
            printf("... in: %s, limit %u, %s\n", text, o.limit, o.ascending ? "asc" : "desc");
    }
    close_store();
}

TEST(sorted_limited_and_counted_answers_have_pages_too)
{
    enum { EVENTS = 500 };
    static char ids[EVENTS + 1][EVENT_ID_LEN], paged[EVENTS + 1][EVENT_ID_LEN];
    start_random();
    open_random(EVENTS);
    size_t n = all_pages("| sort -status,user", all(EVENTS), ids, EVENTS + 1);
    CHECK_INT(n, EVENTS);
    CHECK_INT(all_pages("| sort -status,user", all(7), paged, EVENTS + 1), EVENTS);
    CHECK(memcmp(ids, paged, sizeof ids) == 0);
    CHECK_INT(all_pages("| limit 123", all(10), ids, EVENTS + 1), 123); /* of all pages together */
    CHECK_INT(all_pages("| limit 7", all(10), ids, EVENTS + 1), 7);
    CHECK_INT(all_pages("| sort user | limit 33", all(10), ids, EVENTS + 1), 33);
    CHECK_INT(all_pages("| limit 300 | limit 40", all(15), ids, EVENTS + 1), 40);
    struct query_options o = all(3);
    struct query_result whole = run("| count by user,status", all(1000)), r = {0};
    struct buf pages = BUF_INIT(1 << 20);
    char cursor[64] = "";
    do {
        o.cursor = str_of(cursor);
        query_result_done(&r);
        r = run("| count by user,status", o);
        buf_str(&pages, buf_view(&r.rows));
        memcpy(cursor, r.next, sizeof cursor);
    } while (cursor[0]);
    CHECK_STR(buf_view(&pages), buf_view(&whole.rows));
    CHECK(whole.n > 10);
    query_result_done(&r), query_result_done(&whole);
    buf_done(&pages);
    close_store();
}

static void refused_cursor(const char *text, const char *cursor, bool ascending, const char *says)
{
    struct query *q;
    struct query_result r;
    struct err e = {0};
    struct query_options o = all(5);
    struct store_view *v = store_view_open(store);
    o.cursor = str_of(cursor);
    o.ascending = ascending;
    CHECK(query_parse(str_of(text), &q, &e) == 0 && query_run(q, v, &o, &r, &e) < 0 && e.kind == ERR_INPUT);
    if (!strstr(e.text, says))
        printf("%s: %s\n", cursor, e.text), unit_failed = true;
    query_free(q);
    store_view_close(v);
}

TEST(a_cursor_of_another_query_or_none_of_ours_is_refused)
{
    sample();
    refused_cursor("", "x", false, "expected one that an earlier page gave, got 'x'");
    refused_cursor("", "d", false, "expected one that");
    refused_cursor("", "d17.zzz.5", false, "expected one that");
    refused_cursor("", "d17.000000000000000.0", false, "expected one that");
    refused_cursor("", "d99999999999999999999.000000000000000.5", false, "expected one that");
    refused_cursor("| count by app", "o99999999999999999999", false, "expected one that");
    refused_cursor("", "d17.000000000000000.5", true, "another query or order");
    refused_cursor("", "o5", false, "another query or order");
    refused_cursor("| count by app", "d17.000000000000000.5", false, "another query or order");
    close_store();
}

TEST(stages_after_a_count_work_on_its_columns)
{
    sample();
    expect("| count by level | where level>=error", "{\"level\":\"error\",\"count\":2}\n");
    expect("| count by who | where -who:*", "{\"who\":null,\"count\":1}\n");
    expect("| count by who | where who!=ann | fields count,who",
           "{\"count\":1,\"who\":\"bob\"}\n{\"count\":1,\"who\":null}\n");
    expect("| count by app every 5m | where time>=2026-01-01T10:05:00Z | fields app", "{\"app\":\"api\"}\n");
    expect("| count by who,level | count by who | sort who",
           "{\"who\":\"ann\",\"count\":2}\n{\"who\":\"bob\",\"count\":1}\n{\"who\":null,\"count\":1}\n");
    expect("| fields n,who | where who=ann | sort -n", "{\"n\":10,\"who\":\"ann\"}\n{\"n\":2.5,\"who\":\"ann\"}\n");
    expect("| sort level | limit 1 | fields level,n", "{\"level\":\"info\",\"n\":10}\n"); /* by severity, not by name */
    expect("| sort -time | limit 1 | fields n", "{\"n\":2.5}\n");
    expect("| sort nothing | limit 1 | fields n", "{\"n\":2.5}\n"); /* equal: newest first */
    expect("| limit 0", "");
    expect("| count every 1d", "{\"time\":\"2026-01-01T00:00:00Z\",\"count\":4}\n");
    expect("| count by `odd name`", "{\"odd name\":null,\"count\":4}\n");
    close_store();
}

TEST(a_result_is_bounded_and_its_pages_go_on)
{
    static char ids[101][EVENT_ID_LEN];
    enum { BIG = 1000000 };
    char *json = xmalloc(BIG + 100);
    struct err e = {0};
    struct query *q;
    struct query_result r;
    struct query_options o = all(100);
    int n = snprintf(json, 100, "{\"message\":\"");
    memset(json + n, 'x', BIG);
    snprintf(json + n + BIG, 50, "\"}");
    open_store();
    for (int i = 0; i < 100; i++)
        post("a", json);
    r = run("", o);
    CHECK(r.n > 50 && r.n < 70 && r.rows.n <= LIMIT_RESULT && r.next[0]);
    query_result_done(&r);
    CHECK_INT(all_pages("", all(100), ids, 101), 100);
    struct store_view *v = store_view_open(store);
    CHECK(query_parse(S("| sort n | fields message | count by message"), &q, &e) == 0);
    CHECK(query_run(q, v, &o, &r, &e) < 0 && e.kind == ERR_INPUT && e.column == 12);
    CHECK(strstr(e.text, "stage 'fields' would need more than") != NULL);
    query_free(q);
    CHECK(query_parse(S("| fields message | count by message"), &q, &e) == 0);
    CHECK(query_run(q, v, &o, &r, &e) == 0 && r.n == 1); /* one event after another: nothing is kept */
    query_result_done(&r);
    query_free(q);
    store_view_close(v);
    close_store();
    free(json);
}

/* One batch of many lines: quicker than posting each. */
static void post_groups(unsigned from, unsigned n)
{
    struct batch *b = batch_new(RECORD_EVENTS, 1, 1800000000000000 + (usec)seq * 1000);
    for (unsigned i = from; i < from + n; i++)
        buf_printf(
            &b->body,
            "{\"id\":\"%015u\",\"time\":\"2026-01-01T10:00:00Z\",\"app\":\"a\",\"level\":\"info\",\"severity_number\":9,\"g\":%u}\n",
            i, i);
    b->events = n;
    b->seq = ++seq;
    store_append(store, b);
    batch_free(b);
}

TEST(more_groups_than_the_limit_is_an_exact_error_and_the_limit_is_not)
{
    struct err e = {0};
    struct query *q;
    struct query_result r;
    struct query_options o = all(10);
    open_store();
    for (unsigned i = 0; i < LIMIT_GROUPS; i += 10000)
        post_groups(i, 10000);
    r = run("| count by g | count", all(10));
    CHECK_STR(buf_view(&r.rows), S("{\"count\":100000}\n"));
    query_result_done(&r);
    post_groups(LIMIT_GROUPS, 1);
    struct store_view *v = store_view_open(store);
    CHECK(query_parse(S("* | count by g"), &q, &e) == 0 && query_run(q, v, &o, &r, &e) < 0);
    CHECK(e.kind == ERR_INPUT && e.column == 5 && strstr(e.text, "more than 100000 groups"));
    query_free(q);
    o.deadline = clock_mono() - 1;
    CHECK(query_parse(S("a"), &q, &e) == 0 && query_run(q, v, &o, &r, &e) == 0);
    CHECK(r.partial && r.scanned_events == 0 && !r.next[0]);
    query_result_done(&r);
    _Atomic bool cancel = true;
    o.deadline = 0;
    o.cancel = &cancel;
    CHECK(query_run(q, v, &o, &r, &e) == 0 && r.partial && r.scanned_events == 0);
    query_result_done(&r);
    query_free(q);
    store_view_close(v);
    close_store();
}

TEST(a_hostile_regex_does_not_outlive_the_deadline)
{
    static const char *const queries[] = {"m~\"^(a+)+$\"", "| limit 2000 | where m~\"^(a+)+$\""};
    char as[1000], json[1100];
    memset(as, 'a', sizeof as - 1);
    as[sizeof as - 1] = '\0';
    snprintf(json, sizeof json, "{\"m\":\"%s!\"}", as);
    open_store();
    for (int i = 0; i < 2000; i++)
        post("a", json);
    for (size_t i = 0; i < LENGTH(queries); i++) {
        struct query_options o = all(10);
        usec start = clock_mono();
        o.deadline = start + 50000;
        struct query_result r = run(queries[i], o);
        CHECK(r.partial && r.n == 0);
        CHECK(clock_mono() - start < 2000000);
        query_result_done(&r);
    }
    close_store();
}

static void flip_a_byte_of_each_segment(void)
{
    char path[300];
    char **names;
    size_t n;
    struct err e;
    CHECK(dir_list(dir, &names, &n, &e) == 0);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        FILE *f = strstr(names[i], ".seg") ? fopen(path, "r+b") : NULL;
        if (!f)
            continue;
        fseek(f, 60, SEEK_SET);
        int c = fgetc(f);
        fseek(f, 60, SEEK_SET);
        fputc(c ^ 0x55, f);
        fclose(f);
    }
    dir_list_free(names, n);
}

TEST(a_damaged_block_makes_the_answer_partial_and_its_ids_are_not_said_to_be_absent)
{
    struct err e = {0};
    struct buf out = BUF_INIT(1 << 20);
    sample();
    struct query_result r = run("message=c", all(1));
    CHECK(!r.partial);
    CHECK(store_seal(store, &e) == 0);
    post("a", "{\"message\":\"whole\"}");
    flip_a_byte_of_each_segment();
    struct store_view *v = store_view_open(store);
    CHECK(query_event(v, str_n(r.rows.p + 7, EVENT_ID_LEN), &out, &e) < 0 && e.kind == ERR_CORRUPT);
    store_view_close(v);
    query_result_done(&r);
    r = run("", all(10));
    CHECK(r.partial && r.n == 1);
    query_result_done(&r);
    buf_done(&out);
    close_store();
}

static int64_t histogram_step(nsec from, nsec to, uint32_t buckets, size_t *ret_n)
{
    struct buf out = BUF_INIT(1 << 20);
    struct query *q;
    struct err e;
    struct query_options o = {.from = from, .to = to};
    struct store_view *v = store_view_open(store);
    CHECK(query_parse(S("a | where b | count by c"), &q, &e) == 0);
    CHECK(query_histogram(q, v, &o, buckets, &out, &e) == 0);
    str s = str_skip(buf_view(&out), sizeof "{\"step_s\":" - 1);
    int64_t step;
    CHECK(str_i64(str_head(s, (size_t)str_chr(s, ',')), &step));
    *ret_n = 0;
    for (ptrdiff_t at; (at = str_find(s, S("{\"time\""))) >= 0; s = str_skip(s, (size_t)at + 1))
        ++*ret_n;
    query_free(q);
    store_view_close(v);
    buf_done(&out);
    return step;
}

TEST(a_histogram_covers_its_range_with_no_more_bars_than_asked_for)
{
    static const struct {
        nsec from_ms, to_ms;
        uint32_t buckets;
        int64_t step;
        size_t n;
    } rows[] = {{0, 3600000, 60, 60, 60},
                {30000, 3630000, 60, 120, 31},
                {0, 1, 60, 1, 1},
                {999, 1001, 60, 1, 2},
                {0, 60000, 60, 1, 60},
                {500, 60500, 60, 2, 31},
                {0, 86400000, 60, 1800, 48},
                {-1000, 1000, 2, 1, 2},
                {0, 86400000LL * 30, 60, 43200, 60},
                {0, 86400000LL * 3650, 10, 86400 * 512, 8}};
    size_t n;
    struct query *q;
    struct err e = {0};
    struct buf out = BUF_INIT(1 << 20);
    open_store();
    for (size_t i = 0; i < LENGTH(rows); i++) {
        CHECK_INT(histogram_step(rows[i].from_ms * 1000000, rows[i].to_ms * 1000000, rows[i].buckets, &n),
                  rows[i].step);
        CHECK_INT(n, rows[i].n);
    }
    start_random();
    for (int i = 0; i < 300; i++) {
        nsec from = (nsec)random_below(UINT32_MAX) * 1000003,
             length = 1 + (nsec)random_below(UINT32_MAX) * (1 + random_below(100000));
        uint32_t buckets = 2 + random_below(100);
        int64_t step = histogram_step(from, from + length, buckets, &n);
        CHECK(n <= buckets && (nsec)n * step * NSEC_PER_SEC >= length);
    }
    struct store_view *v = store_view_open(store);
    struct query_options o = {.from = 5, .to = 5};
    CHECK(query_parse(S(""), &q, &e) == 0);
    CHECK(query_histogram(q, v, &o, 60, &out, &e) < 0 && e.kind == ERR_INPUT);
    o.to = 6;
    CHECK(query_histogram(q, v, &o, 0, &out, &e) < 0 && e.kind == ERR_INPUT);
    query_free(q);
    store_view_close(v);
    buf_done(&out);
    close_store();
}

TEST(csv_has_the_columns_of_all_rows_and_text_quotes_what_needs_it)
{
    open_store();
    post("a", "{\"time\":1,\"x\":\" a\",\"k\":null}");
    post("a",
         "{\"time\":2,\"message\":\"m\",\"b c\":\"d e\",\"q\":\"say \\\"x\\\"\",\"r\":\"\\u202eabc\",\"empty\":\"\"}");
    struct query_result r = run("| fields x,k,b,message | sort x", all(0));
    CHECK_STR(buf_view(&r.rows), S("{\"x\":\" a\",\"k\":null}\n{\"message\":\"m\"}\n"));
    struct buf out = BUF_INIT(1 << 20);
    query_print(&r, FORMAT_CSV, &out);
    CHECK_STR(buf_view(&out), S("x,k,b,message\r\n\" a\",,,\r\n,,,m\r\n"));
    query_result_done(&r);
    r = run("", all(0));
    buf_reset(&out);
    query_print(&r, FORMAT_CSV, &out);
    CHECK(str_starts(buf_view(&out), S("id,time,app,level,severity_number,message,b c,q,r,empty,x,k\r\n")));
    buf_reset(&out);
    query_print(&r, FORMAT_TEXT, &out);
    CHECK(str_starts(buf_view(&out),
                     S("1970-01-01T00:00:02Z info a m b c=\"d e\" q=\"say \\\"x\\\"\" r=\\u202eabc empty=\"\"\n")));
    query_result_done(&r);
    buf_done(&out);
    close_store();
}

/* The examples of the manual: lines between ".Bd -literal -offset indent" and ".Ed", a backslash written \e. */
TEST(the_examples_of_the_manual_are_queries)
{
    struct buf page = BUF_INIT(1 << 20), example = BUF_INIT(1000);
    struct err e = {0};
    bool in = false;
    unsigned n = 0;
    CHECK(file_read("logd/logd-query.7", 1 << 20, &page, &e) == 0);
    for (str rest = buf_view(&page); rest.n;) {
        struct query *q;
        str line = str_cut(&rest, '\n');
        if (line.n && line.p[0] == '.') {
            in = str_eq(line, S(".Bd -literal -offset indent"));
            continue;
        }
        if (!in)
            continue;
        buf_reset(&example);
        for (str part = line, piece; part.p;) {
            piece = str_cut(&part, '\\');
            buf_str(&example, piece);
            if (part.p) {
                CHECK(part.n && part.p[0] == 'e');
                buf_byte(&example, '\\');
                part = str_skip(part, 1);
            }
        }
        if (query_parse(buf_view(&example), &q, &e) < 0)
            printf("%.*s: %s\n", STR_ARG(line), e.text), unit_failed = true;
        else
            query_free(q);
        n++;
    }
    CHECK(n > 40);
    buf_done(&page), buf_done(&example);
}

TEST(times_of_a_request_are_read_and_refused)
{
    nsec t;
    struct err e;
    usec now = 1700000000000000;
    CHECK(query_time(S("now"), now, &t, &e) == 0 && t == now * 1000);
    CHECK(query_time(S("-15m"), now, &t, &e) == 0 && t == (now - 900000000) * 1000);
    CHECK(query_time(S("2026-01-01T10:00:00Z"), now, &t, &e) == 0 && t == 1767261600000000000);
    CHECK(query_time(S("now-15m"), now, &t, &e) == 0 && t == (now - 900000000) * 1000);
    CHECK(query_time(S("+1h"), now, &t, &e) == 0 && t == (now + 3600000000) * 1000);
    CHECK(query_time(S("1700000000"), now, &t, &e) == 0 && t == 1700000000000000000);
    CHECK(query_time(S("2026-01-01"), now, &t, &e) == 0 && t == 1767225600000000000);
    CHECK(query_time(S("yesterday"), now, &t, &e) < 0 && e.kind == ERR_INPUT);
    CHECK(query_time(S(""), now, &t, &e) < 0 && query_time(S("nowish"), now, &t, &e) < 0 &&
          query_time(S("-"), now, &t, &e) < 0);
    CHECK(query_time(S("-15 minutes"), now, &t, &e) < 0 && query_time(S("now2026-01-01"), now, &t, &e) < 0);
}

UNIT_MAIN
