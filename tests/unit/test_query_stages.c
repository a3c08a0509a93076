#include "query_store.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/quantile.h"
#include "query/uniq.h"

#include <math.h>

/* Eight events of two apps, a minute apart from 10:00 on. */
static void sample(void)
{
    open_store();
    post(
        "shop",
        "{\"time\":\"2026-01-01T10:00:00Z\",\"level\":\"info\",\"message\":\"GET /a 200 in 12ms\",\"n\":10,\"who\":\"ann\"}");
    post(
        "shop",
        "{\"time\":\"2026-01-01T10:01:00Z\",\"level\":\"error\",\"message\":\"GET /b 500 in 8ms\",\"n\":9,\"who\":\"bob\"}");
    post("api", "{\"time\":\"2026-01-01T10:02:00Z\",\"level\":\"info\",\"message\":\"other\",\"n\":\"7\"}");
    post(
        "shop",
        "{\"time\":\"2026-01-01T10:03:00Z\",\"level\":\"info\",\"message\":\"user 17 logged in\",\"n\":2.5,\"who\":\"ann\"}");
    post("shop",
         "{\"time\":\"2026-01-01T10:04:00Z\",\"level\":\"info\",\"message\":\"user 18 logged in\",\"who\":\"eve\"}");
    post("api",
         "{\"time\":\"2026-01-01T10:05:00Z\",\"level\":\"warn\",\"message\":\"x=1 y=\\\"two words\\\" z\",\"n\":-1}");
    post("shop",
         "{\"time\":\"2026-01-01T10:06:00Z\",\"level\":\"error\",\"message\":\"GET /b 500 in 9ms\",\"n\":\"abc\"}");
    post(
        "api",
        "{\"time\":\"2026-01-01T10:07:00Z\",\"level\":\"info\",\"message\":\"{\\\"a\\\":{\\\"b\\\":[1,2]},\\\"level\\\":\\\"fatal\\\",\\\"s\\\":\\\"q\\\\\\\"q\\\"}\"}");
}

/* In the head, then sealed. */
static void in_head_and_segment(void (*test)(void))
{
    struct err e;
    sample();
    test();
    CHECK(store_seal(store, &e) == 0);
    test();
    close_store();
}

static void functions(void)
{
    expect("| stats count(), count(who), count() if level:error",
           "{\"count()\":8,\"count(who)\":4,\"count() if level:error\":2}\n");
    expect("| stats sum(n), avg(n) as mean, min(n), max(n)",
           "{\"sum(n)\":27.5,\"mean\":5.5,\"min(n)\":-1,\"max(n)\":\"abc\"}\n");
    expect("| stats uniq(who) as who, uniq(app)", "{\"who\":3,\"uniq(app)\":2}\n");
    expect("| stats first(who), last(who), first(message) as m by level | where level:error",
           "{\"level\":\"error\",\"first(who)\":\"bob\",\"last(who)\":\"bob\",\"m\":\"GET /b 500 in 8ms\"}\n");
    expect("| stats max( n ) if app=api, p50(n) by app",
           "{\"app\":\"api\",\"max( n ) if app=api\":\"7\",\"p50(n)\":-1}\n"
           "{\"app\":\"shop\",\"max( n ) if app=api\":null,\"p50(n)\":9}\n");
    expect("| stats min(time) as a, max(time) as b",
           "{\"a\":\"2026-01-01T10:00:00Z\",\"b\":\"2026-01-01T10:07:00Z\"}\n");
    expect("| stats min(level), max(level)", "{\"min(level)\":\"info\",\"max(level)\":\"error\"}\n");
    expect("| stats sum(n) as s by app every 5m", "{\"time\":\"2026-01-01T10:00:00Z\",\"app\":\"shop\",\"s\":21.5}\n"
                                                  "{\"time\":\"2026-01-01T10:00:00Z\",\"app\":\"api\",\"s\":7}\n"
                                                  "{\"time\":\"2026-01-01T10:05:00Z\",\"app\":\"shop\",\"s\":0}\n"
                                                  "{\"time\":\"2026-01-01T10:05:00Z\",\"app\":\"api\",\"s\":-1}\n");
    expect("nothing-like-this | stats count(), sum(n), avg(n), p99(n), max(n), last(n), uniq(n), rate()",
           "{\"count()\":0,\"sum(n)\":0,\"avg(n)\":null,\"p99(n)\":null,\"max(n)\":null,\"last(n)\":null,"
           "\"uniq(n)\":0,\"rate()\":0}\n");
    expect("| stats count() as c by app | stats sum(c) as all, max(c) as most", "{\"all\":8,\"most\":5}\n");
    expect("| count by app every 1m | stats max(count) as most, first(app) as a, last(app) as z",
           "{\"most\":1,\"a\":\"shop\",\"z\":\"api\"}\n");
    expect("| limit 3 | stats count() by app", "{\"app\":\"api\",\"count()\":2}\n{\"app\":\"shop\",\"count()\":1}\n");
}
TEST(every_function_of_stats_says_what_the_manual_says) { in_head_and_segment(functions); }

/* Values of each packing: whole numbers, decimals, few texts of which some are the same number, many texts, and a field of
 * two kinds; each is missing now and then. */
static void post_values(void)
{
    static const char *const few[] = {"1", "1.0", "\"1\"", "\"x\"", "7", "true", "null", "-0", "\"a\\nb\""};
    char text[400];
    for (unsigned i = 0; i < 1500; i++) {
        unsigned r = i * 2654435761u >> 8;
        snprintf(text, sizeof text,
                 "{\"time\":%u,\"level\":\"%s\",\"%s\":%d,\"d\":%u.%02u,\"k\":%s,\"%s\":\"t%u\",\"m\":%s%u%s,\"z\":%s}",
                 1800000000 + i, r % 5 ? "info" : "error", r % 7 ? "n" : "n2", (int)(r % 4000) - 2000, r % 900, r % 100,
                 few[r % 7 + (r % 2 ? 0 : 2)], r % 3 ? "s" : "s2", r % 1000, r % 2 ? "" : "\"", r % 300,
                 r % 2 ? "" : "\"", few[r % 2]);
        post(r % 4 ? "shop" : "api", text);
    }
}

TEST(every_function_of_stats_is_the_same_of_lines_and_columns)
{
    static const char *const by[] = {"", " by app", " by level,k", " by k every 5m", " every 1m", " by nothing"};
    static const char *const before[] = {"| ", "-n:5 | ", "level:error | "};
    struct buf got[2] = {BUF_INIT(1 << 24), BUF_INIT(1 << 24)};
    char q[400];
    struct err e;
    open_store();
    post_values();
    for (int sealed = 0; sealed < 2; sealed++) {
        for (size_t i = 0; i < LENGTH(by) * LENGTH(before) * 5; i++) {
            static const char *const fields[] = {"n", "d", "k", "m", "z"};
            const char *f = fields[i % 5];
            snprintf(
                q, sizeof q,
                "%sstats sum(%s), avg(%s), min(%s), max(%s), p50(%s), p99(%s), uniq(%s), count(%s), count(), uniq(s), "
                "max(s)%s",
                before[i / 5 % 3], f, f, f, f, f, f, f, f, by[i / 15]);
            struct query_result r = run(q, all(0));
            buf_str(&got[sealed], str_of(q));
            buf_byte(&got[sealed], '\n');
            buf_str(&got[sealed], buf_view(&r.rows));
            query_result_done(&r);
        }
        CHECK(store_seal(store, &e) == 0);
    }
    str a = buf_view(&got[0]), b = buf_view(&got[1]), query = {NULL, 0};
    while (a.n || b.n) {
        str x = str_cut(&a, '\n'), y = str_cut(&b, '\n');
        query = str_chr(x, '|') >= 0 ? x : query;
        if (!str_eq(x, y))
            printf("%.*s\nlines:   %.*s\ncolumns: %.*s\n", STR_ARG(query), STR_ARG(x), STR_ARG(y));
        CHECK(str_eq(x, y));
    }
    close_store();
    buf_done(&got[0]);
    buf_done(&got[1]);
}

TEST(a_rate_is_per_second_of_the_range_and_of_each_stretch_within_it)
{
    struct query_options o = all(10);
    int digits;
    struct err e;
    sample();
    CHECK(time_read(S("2026-01-01T10:00:00Z"), &o.from, &digits, &e) == 0);
    CHECK(time_read(S("2026-01-01T10:07:30Z"), &o.to, &digits, &e) == 0);
    struct query_result r = run("| stats rate() as r", o);
    CHECK_STR(buf_view(&r.rows), S("{\"r\":0.017777777777777778}\n"));
    query_result_done(&r);
    r = run("| stats rate() as r every 5m", o); /* five in 300 s, three in the 150 s that are left */
    CHECK_STR(buf_view(&r.rows), S("{\"time\":\"2026-01-01T10:00:00Z\",\"r\":0.016666666666666666}\n"
                                   "{\"time\":\"2026-01-01T10:05:00Z\",\"r\":0.02}\n"));
    query_result_done(&r);
    close_store();
}

TEST(sums_of_whole_numbers_are_exact_and_others_do_not_depend_on_order)
{
    open_store();
    post("a", "{\"time\":1,\"big\":9007199254740993,\"x\":1e16}");
    post("a", "{\"time\":2,\"big\":9223372036854775807,\"x\":1}");
    post("a", "{\"time\":3,\"big\":\"9223372036854775807\",\"x\":-1e16}");
    post("a", "{\"time\":4,\"big\":1e400,\"x\":0.1}");
    expect("| stats sum(big), sum(x) as x", "{\"sum(big)\":18455751272964292607,\"x\":1.1}\n");
    expect("| sort x | stats sum(x) as x", "{\"x\":1.1}\n");
    close_store();
}

static void tops(void)
{
    expect("| top 1 who", "{\"who\":\"ann\",\"count\":2}\n"); /* those without are not counted */
    expect("| top 9 who, level", "{\"who\":\"ann\",\"level\":\"info\",\"count\":2}\n"
                                 "{\"who\":\"bob\",\"level\":\"error\",\"count\":1}\n"
                                 "{\"who\":\"eve\",\"level\":\"info\",\"count\":1}\n");
    expect("| top 0 who", "");
    expect("| top 2 app | fields app", "{\"app\":\"shop\"}\n{\"app\":\"api\"}\n");
}
TEST(top_has_the_largest_groups_of_those_that_have_the_fields) { in_head_and_segment(tops); }

static void parses(void)
{
    expect(
        "| parse \"<method> <path> <status> in <_>\" | where status>=500 | fields method,path,status",
        "{\"method\":\"GET\",\"path\":\"/b\",\"status\":\"500\"}\n{\"method\":\"GET\",\"path\":\"/b\",\"status\":\"500\"}\n");
    expect("| parse \" in <ms>ms\" | stats sum(ms), count(ms)", "{\"sum(ms)\":29,\"count(ms)\":3}\n");
    expect("| parse \"user <id2> logged in\" from message | where id2:* | count by id2",
           "{\"id2\":\"17\",\"count\":1}\n{\"id2\":\"18\",\"count\":1}\n");
    expect("| parse logfmt | where y:* | fields x,y,z", "{\"x\":\"1\",\"y\":\"two words\"}\n");
    expect("| parse json | where a.b:* | fields a.b,s,level", "{\"a.b\":[1,2],\"s\":\"q\\\"q\",\"level\":\"fatal\"}\n");
    expect("| parse json | where level>=fatal | count by level", "{\"level\":\"fatal\",\"count\":1}\n");
    expect("| parse json | sort -level | limit 1 | fields level,severity_number", "{\"level\":\"fatal\"}\n");
    expect("| sort time | parse json | where level>error | count", "{\"count\":1}\n");
    expect("| count by message | parse \"user <u> \" | where u:* | fields u | sort u",
           "{\"u\":\"17\"}\n{\"u\":\"18\"}\n");
    expect("| limit 1 | parse json | fields time,app", "{\"time\":\"2026-01-01T10:07:00Z\",\"app\":\"api\"}\n");
    expect("| parse \"<x>\" from nothing | where x:* | count", "{\"count\":0}\n");
}
TEST(parse_adds_the_fields_it_finds_and_leaves_other_events_as_they_are) { in_head_and_segment(parses); }

TEST(a_parsed_event_is_still_in_its_place_of_the_pages)
{
    struct query_options o = all(3);
    char cursor[64] = "";
    int pages = 0;
    sample();
    struct buf ids = BUF_INIT(4096);
    do {
        o.cursor = str_of(cursor);
        struct query_result r = run("| parse \"<time> <id>\" | fields app,n", o);
        buf_str(&ids, buf_view(&r.rows));
        memcpy(cursor, r.next, sizeof cursor);
        query_result_done(&r);
        pages++;
    } while (cursor[0] && pages < 10);
    struct query_result whole = run("| fields app,n", all(100));
    CHECK_STR(buf_view(&ids), buf_view(&whole.rows));
    CHECK_INT(pages, 3);
    query_result_done(&whole);
    buf_done(&ids);
    close_store();
}

static void contexts(void)
{
    expect(
        "level:error | context 1 | fields n,app",
        "{\"n\":\"abc\",\"app\":\"shop\"}\n{\"app\":\"shop\"}\n{\"n\":2.5,\"app\":\"shop\"}\n{\"n\":9,\"app\":\"shop\"}\n{\"n\":10,\"app\":\"shop\"}\n");
    expect(
        "level:warn | context 5 | fields time",
        "{\"time\":\"2026-01-01T10:07:00Z\"}\n{\"time\":\"2026-01-01T10:05:00Z\"}\n{\"time\":\"2026-01-01T10:02:00Z\"}\n");
    expect("who=bob or level:warn | context 1 | count by app",
           "{\"app\":\"api\",\"count\":3}\n{\"app\":\"shop\",\"count\":3}\n");
    expect("level:error | context 0 | count", "{\"count\":2}\n");
    expect("level:error | limit 1 | context 1 | count", "{\"count\":2}\n");
    expect("nothing-like-this | context 3 | count", "{\"count\":0}\n");
}
TEST(context_shows_the_neighbours_of_the_same_app_once) { in_head_and_segment(contexts); }

TEST(context_around_random_hits_is_what_a_slow_search_finds)
{
    enum { EVENTS = 1500 };
    struct err e;
    start_random();
    open_store();
    for (int i = 0; i < EVENTS; i++) {
        char json[128];
        snprintf(json, sizeof json, "{\"time\":%u,\"i\":%d,\"r\":%u}", 1700000000 + random_below(400), i,
                 random_below(100));
        post(random_below(3) ? "a" : "b", json);
        if (random_below(EVENTS / 4) == 0)
            CHECK(store_seal(store, &e) == 0);
    }
    for (unsigned around = 0; around < 6; around++) {
        char text[100];
        struct buf want = BUF_INIT(1 << 20);
        struct query_result every = run("| fields app,id,r", all(EVENTS)), got;
        static str line[EVENTS];
        static bool in[EVENTS];
        size_t n = 0;
        for (str rest = buf_view(&every.rows); rest.n; n++)
            line[n] = str_cut(&rest, '\n');
        memset(in, 0, sizeof in);
        for (size_t i = 0; i < n; i++) {
            unsigned before = 0, after = 0;
            if (!str_ends(line[i], S("7}")))
                continue;
            in[i] = true;
            for (size_t k = i; k-- > 0 && after < around;)
                if (line[k].p[8] == line[i].p[8])
                    in[k] = true, after++;
            for (size_t k = i + 1; k < n && before < around; k++)
                if (line[k].p[8] == line[i].p[8])
                    in[k] = true, before++;
        }
        for (size_t i = 0; i < n; i++)
            if (in[i])
                buf_str(&want, line[i]), buf_byte(&want, '\n');
        snprintf(text, sizeof text, "r~\"7$\" | context %u | fields app,id,r", around);
        got = run(text, all(EVENTS));
        CHECK_STR(buf_view(&got.rows), buf_view(&want));
        CHECK(got.n > 5);
        query_result_done(&got), query_result_done(&every);
        buf_done(&want);
    }
    close_store();
}

static void same_things(void)
{
    expect(
        "app=shop | patterns | fields pattern,count,first_seen,last_seen,example",
        "{\"pattern\":\"GET <*> in <*>\",\"count\":3,\"first_seen\":\"2026-01-01T10:00:00Z\",\"last_seen\":\"2026-01-01T10:06:00Z\",\"example\":\"GET /b 500 in 9ms\"}\n"
        "{\"pattern\":\"user <*> logged in\",\"count\":2,\"first_seen\":\"2026-01-01T10:03:00Z\",\"last_seen\":\"2026-01-01T10:04:00Z\",\"example\":\"user 18 logged in\"}\n");
    expect("| issues | fields app,count,title", "{\"app\":\"shop\",\"count\":2,\"title\":\"GET /b 500 in 9ms\"}\n");
    expect("| limit 3 | patterns | where count>0 | stats sum(count) as n", "{\"n\":3}\n");
}
/* The names are seen to be values only once there are some: those that came before are of the pattern too. */
TEST(patterns_that_turn_out_to_be_one_are_one_row)
{
    static const char *const names[] = {"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"};
    char json[200], want[300];
    open_store();
    for (size_t i = 0; i < LENGTH(names); i++) {
        snprintf(json, sizeof json, "{\"time\":\"2026-01-01T10:00:0%zuZ\",\"message\":\"the queue of %s is full\"}", i,
                 names[i]);
        post("shop", json);
        snprintf(json, sizeof json,
                 "{\"time\":\"2026-01-01T11:00:0%zuZ\",\"message\":\"door %zu opens\",\"type\":\"t\"}", i, i);
        post("shop", json);
    }
    snprintf(want, sizeof want,
             "{\"pattern\":\"%s\",\"count\":8,\"first_seen\":\"2026-01-01T10:00:00Z\",\"last_seen\":"
             "\"2026-01-01T10:00:07Z\",\"example\":\"the queue of heidi is full\"}\n",
             "the queue of <*> is full");
    expect("queue | patterns | fields pattern,count,first_seen,last_seen,example", want);
    expect("| patterns | stats count() as n, sum(count) as all", "{\"n\":2,\"all\":16}\n");
    close_store();
}
TEST(patterns_and_issues_group_what_is_the_same) { in_head_and_segment(same_things); }

TEST(two_sorts_keep_the_first_where_the_second_finds_equals)
{
    sample();
    expect("| sort n | sort who | where who:* | fields who,n",
           "{\"who\":\"ann\",\"n\":2.5}\n{\"who\":\"ann\",\"n\":10}\n{\"who\":\"bob\",\"n\":9}\n{\"who\":\"eve\"}\n");
    close_store();
}

/* ---- sketches ---- */

static uint64_t hash_of(uint64_t i) /* splitmix64 */
{
    i = (i + 1) * 0x9e3779b97f4a7c15u;
    i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9u;
    i = (i ^ i >> 27) * 0x94d049bb133111ebu;
    return i ^ i >> 31;
}

TEST(uniq_is_exact_up_to_its_limit_and_close_past_it)
{
    double worst = 0;
    for (uint64_t run = 0; run < 20; run++) {
        struct uniq u = {0};
        for (uint64_t i = 0; i < 1000000; i++) {
            uint64_t n = i + 1;
            uniq_add(&u, hash_of(run << 32 | i));
            uniq_add(&u, hash_of(run << 32 | i / 2)); /* seen before */
            if (n <= LIMIT_UNIQ_EXACT && (n < 10 || n % 512 == 0))
                CHECK_INT(uniq_count(&u), n);
            if (n == 5000 || n == 20000 || n == 100000 || n == 1000000)
                worst = fmax(worst, fabs((double)uniq_count(&u) / (double)n - 1));
        }
        CHECK_INT(uniq_bytes(&u), 16384);
        uniq_done(&u);
    }
    printf("worst of 80 estimates: %.2f %%\n", 100 * worst);
    CHECK(worst < 4 * UNIQ_ERROR);
}

TEST(merged_sketches_are_those_of_all_values)
{
    for (uint64_t size = 10; size <= 100000; size *= 100) {
        struct uniq a = {0}, b = {0}, all_of = {0};
        struct quantiles p = {0}, q = {0}, both = {0};
        bool exact;
        for (uint64_t i = 0; i < 2 * size; i++) {
            double v = (double)(hash_of(i) % 100000) / 7 - 1000;
            uniq_add(i < size ? &a : &b, hash_of(i % (size + size / 2)));
            uniq_add(&all_of, hash_of(i % (size + size / 2)));
            quantiles_add(i % 3 ? &p : &q, v);
            quantiles_add(&both, v);
        }
        uniq_merge(&a, &b);
        quantiles_merge(&p, &q);
        CHECK_INT(uniq_count(&a), uniq_count(&all_of));
        for (double part = 0; part <= 1; part += 0.01)
            CHECK(quantiles_get(&p, part, &exact) == quantiles_get(&both, part, &exact));
        uniq_done(&a), uniq_done(&b), uniq_done(&all_of);
        quantiles_done(&p), quantiles_done(&q), quantiles_done(&both);
    }
}

static int double_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

TEST(quantiles_are_within_their_error_of_the_number_at_that_rank)
{
    static const double parts[] = {0, 0.01, 0.5, 0.9, 0.95, 0.99, 1};
    enum { N = 20000 };
    static double v[N];
    double worst = 0;
    start_random();
    for (int shape_of = 0; shape_of < 4; shape_of++) {
        struct quantiles q = {0};
        for (int i = 0; i < N; i++) {
            double u = (random_below(1000000) + 1) / 1000001.0;
            v[i] = shape_of == 0   ? -log(u) * 120
                   : shape_of == 1 ? pow(10, u * 300 - 150)
                   : shape_of == 2 ? (u - 0.5) * 1000
                                   : (double)random_below(20);
            quantiles_add(&q, v[i]);
        }
        qsort(v, N, sizeof *v, double_cmp);
        for (size_t i = 0; i < LENGTH(parts); i++) {
            size_t rank = (size_t)ceil(parts[i] * N);
            bool exact;
            double want = v[rank ? rank - 1 : 0], got = quantiles_get(&q, parts[i], &exact);
            worst = fmax(worst, want == 0 ? fabs(got) : fabs(got / want - 1));
            CHECK(shape_of != 3 || (exact && got == want));
        }
        quantiles_done(&q);
    }
    printf("worst: %.3f %%\n", 100 * worst);
    CHECK(worst <= QUANTILE_ERROR);
}

TEST(an_estimate_is_told_and_an_exact_number_is_not)
{
    open_store();
    struct batch *b = batch_new(RECORD_EVENTS, 1, 1800000000000000);
    for (unsigned i = 0; i < 20000; i++)
        buf_printf(&b->body,
                   "{\"id\":\"%015u\",\"time\":\"2026-01-01T10:00:00Z\",\"app\":\"a\",\"level\":\"info\","
                   "\"severity_number\":9,\"g\":%u,\"h\":%u}\n",
                   i, i, i % 100);
    b->events = 20000;
    b->seq = ++seq;
    store_append(store, b);
    batch_free(b);
    struct query_result r = run("| stats uniq(g), uniq(h), p50(g), p50(h)", all(10));
    CHECK_STR(buf_view(&r.approximate), S("\"uniq(g)\":0.0081,\"p50(g)\":0.007812"));
    CHECK(str_find(buf_view(&r.rows), S("\"uniq(h)\":100,")) > 0 &&
          str_find(buf_view(&r.rows), S("\"p50(h)\":49}")) > 0);
    struct buf out = BUF_INIT(1 << 20);
    query_print(&r, FORMAT_JSON, &out);
    CHECK(str_find(buf_view(&out), S(",\"approximate\":{\"uniq(g)\":0.0081,")) > 0);
    buf_done(&out);
    query_result_done(&r);
    close_store();
}

TEST(what_a_query_may_hold_is_bounded_and_said)
{
    struct err e;
    open_store();
    for (unsigned k = 0; k < 4; k++) {
        struct batch *b = batch_new(RECORD_EVENTS, 1, 1800000000000000 + k);
        for (unsigned i = k * 100000; i < (k + 1) * 100000; i++)
            buf_printf(&b->body,
                       "{\"id\":\"%015u\",\"time\":\"2026-01-01T10:00:00Z\",\"app\":\"a\",\"level\":\"info\","
                       "\"severity_number\":9,\"g\":%u,\"h\":%u}\n",
                       i, i % 20000, i);
        b->events = 100000;
        b->seq = ++seq;
        store_append(store, b);
        batch_free(b);
    }
    expect("| stats uniq(h) as u by g | count", "{\"count\":20000}\n");
    refused("| stats uniq(h), p50(h), p90(h), p95(h), p99(h), max(h) by g", &e);
    CHECK(e.kind == ERR_INPUT && e.column == 3 &&
          strstr(e.text, "stage 'stats' makes groups of more than 67108864 bytes"));
    refused("| context 5", &e);
    CHECK(e.kind == ERR_INPUT && e.column == 3 && strstr(e.text, "looks around at most 1000 events"));
    close_store();
}

UNIT_MAIN
