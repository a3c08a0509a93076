#include "unit.h"
#include "base/clock.h"
#include "event/event.h"
#include "query/query.h"

#include <ftw.h>
#include <unistd.h>

static char dir[64];
static struct store *store;
static uint64_t seq;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(path);
}

static void open_store(void)
{
    struct err e;
    snprintf(dir, sizeof dir, "/tmp/logd-query-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    seq = 0;
    CHECK(store_open(&(struct store_config){.dir = dir}, &store, &e) == 0);
}

static void close_store(void)
{
    store_close(store);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* One batch of one posted event. */
static void post(const char *app, const char *json)
{
    struct event_writer *w = event_writer_new();
    struct event_source src = {.app = str_of(app), .now = 1800000000000000 + (usec)seq * 1000};
    struct batch *b = batch_new(RECORD_EVENTS, 1, src.now);
    struct err e;
    size_t n;
    if (event_add(w, &src, str_of(json), b, &n, &e) < 0) {
        printf("%s: %s\n", json, e.text);
        CHECK(false);
    }
    b->seq = ++seq;
    store_append(store, b);
    batch_free(b);
    event_writer_free(w);
}

static struct query_options all(uint32_t limit)
{
    return (struct query_options){.from = INT64_MIN / 2, .to = INT64_MAX / 2, .limit = limit};
}

static struct query_result run(const char *text, struct query_options o)
{
    struct query_result r = {0};
    struct query *q = NULL;
    struct err e = {0};
    struct store_view *v = store_view_open(store);
    if (query_parse(str_of(text), &q, &e) < 0 || query_run(q, v, &o, &r, &e) < 0) {
        printf("%s: %s\n", text, e.text);
        CHECK(false);
    }
    store_view_close(v);
    query_free(q);
    return r;
}

static void expect(const char *text, const char *rows)
{
    struct query_result r = run(text, all(0));
    CHECK_STR(buf_view(&r.rows), str_of(rows));
    query_result_done(&r);
}

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
                int64_t n;
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

TEST(a_stage_that_is_not_there_yet_says_so_with_its_column)
{
    static const struct {
        const char *text;
        size_t column;
        const char *says;
    } cases[] = {
        {"a | stats count() if level:error, p95(http.duration_ms) as p by app every 5m | sort -p", 5,
         "'stats' is not there yet"},
        {"a | parse \"<ip> - <*>\" from message", 5, "'parse' is not there yet"},
        {"a | limit 5 | context 3", 15, "'context' is not there yet"},
        {"a | patterns", 5, "'patterns' is not there yet"},
        {"a | issues", 5, "'issues' is not there yet"},
        {"a | stats median(x)", 11, "expected count, uniq, sum"},
        {"a | stats sum()", 15, "expected the name of a field, got ')'"},
        {"a | stats sum(x) if", 20, "expected a filter"},
        {"a | parse xml", 11, "expected json, logfmt or a pattern"},
        {"a | top x", 9, "expected a number after 'top', got 'x'"},
        {"a | where", 10, "expected a filter after 'where'"},
        {"a | where (b", 13, "expected the ')' of the '(' at column 11"},
        {"a | count by b,b", 16, "field 'b' stands twice in stage 'count'"},
        {"a | count by count", 5, "two columns named 'count'"},
        {"a | count by time every 1m", 5, "two columns named 'time'"},
        {"a | count every 0s", 17, "expected a duration"},
        {"a |", 4, "expected a stage after '|'"},
        {"a | limit 5 5", 13, "expected '|' or the end of the query after stage 'limit', got '5'"},
        {"a) | count", 2, "expected '|' or the end of the query, got ')'"},
        {"a | top 5 x", 5, "stage 'top' is not there yet"},
        {"a | stats count()", 5, "stage 'stats' is not there yet"},
        {"a | bogus", 5, "expected a stage"},
        {"a | limit x", 11, "expected a number after 'limit', got 'x'"},
        {"a | count by", 13, "expected"},
        {"a | count every 90ms", 17, "expected a duration"},
        {"a | fields x y", 14, "expected '|' or the end"},
        {"a | sort", 9, "expected"},
    };
    open_store();
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct query *q;
        struct err e = {0};
        if (query_parse(str_of(cases[i].text), &q, &e) == 0) {
            struct query_result r;
            struct query_options o = all(1);
            struct store_view *v = store_view_open(store);
            CHECK(query_run(q, v, &o, &r, &e) < 0);
            store_view_close(v);
            query_free(q);
        }
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
    sample();
    struct store_view *v = store_view_open(store);
    struct query *q;
    struct err e;
    struct buf out = BUF_INIT(1 << 20);
    nsec from, to;
    int digits;
    CHECK(time_read(S("2026-01-01T10:00:00Z"), &from, &digits, &e) == 0 &&
          time_read(S("2026-01-01T10:10:00Z"), &to, &digits, &e) == 0);
    CHECK(query_parse(S(""), &q, &e) == 0);
    struct query_options o = {.from = from, .to = to};
    CHECK(query_histogram(q, v, &o, 3, &out, &e) == 0);
    CHECK_STR(
        buf_view(&out),
        S("{\"step_s\":300,\"buckets\":[{\"time\":\"2026-01-01T10:00:00Z\",\"total\":2,\"levels\":{\"info\":1,\"error\":1}},"
          "{\"time\":\"2026-01-01T10:05:00Z\",\"total\":2,\"levels\":{\"warn\":1,\"error\":1}}],\"partial\":false}"));
    query_free(q);
    store_view_close(v);
    buf_done(&out);
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

TEST(times_of_a_request_are_read_and_refused)
{
    nsec t;
    struct err e;
    usec now = 1700000000000000;
    CHECK(query_time(S("now"), now, &t, &e) == 0 && t == now * 1000);
    CHECK(query_time(S("-15m"), now, &t, &e) == 0 && t == (now - 900000000) * 1000);
    CHECK(query_time(S("2026-01-01T10:00:00Z"), now, &t, &e) == 0 && t == 1767261600000000000);
    CHECK(query_time(S("yesterday"), now, &t, &e) < 0 && e.kind == ERR_INPUT);
}

UNIT_MAIN
