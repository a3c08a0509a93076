#include "base/clock.h"
#include "base/hash.h"
#include "event/event.h"
#include "stats/gather.h"
#include "stats/private.h"
#include "unit.h"

#include <jansson.h>
#include <math.h>
#include <unistd.h>

enum { APP = 3 };
static const usec now = 1767225600 * USEC_PER_SEC; /* 2026-01-01 */
static char path[] = "/tmp/logd-stats-XXXXXX";
static struct db *db;
static struct zone *kept; /* whose days are kept */

static void open_db(void)
{
    const char *steps[] = {stats_schema, stats_schema_types, stats_schema_packed};
    struct err e;
    memcpy(path, "/tmp/logd-stats-XXXXXX", sizeof path);
    int fd = mkstemp(path);
    close(fd);
    if (fd < 0 || db_open(path, DB_NORMAL, steps, LENGTH(steps), &db, &e) < 0)
        abort();
}

static void close_db(void)
{
    char name[64];
    db_close(db);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, (const char *[]){"", "-wal", "-shm"}[i]);
        (void)unlink(name);
    }
}

/* Reads and folds; the first refusal's words, or "". Valid until the next call. */
static str post(uint32_t app, const char *body)
{
    static char refusal[600];
    struct batch *b = batch_new(RECORD_STATS, app, now);
    struct err e;
    CHECK(stats_read(str_of(body), now, db, NULL, b, &e) == 0);
    CHECK(stats_apply(db, app, kept, buf_view(&b->body), &e) == 0);
    refusal[0] = '\0';
    if (b->rejected)
        snprintf(refusal, sizeof refusal, "%s: %s", b->first_pointer, b->first_error);
    batch_free(b);
    return str_of(refusal);
}

static struct stats_query query(const char *name, const char *by)
{
    return (struct stats_query){.name = str_of(name), .by = str_of(by), .from = 0, .to = (now + USEC_PER_SEC) * 1000};
}

static json_t *ask(const struct stats_query *q)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct err e = {0};
    json_t *o = NULL;
    if (stats_json(db, q, &out, &e) < 0)
        printf("%s\n", e.text);
    else
        o = json_loadb(out.p, out.n, JSON_DECODE_ANY, NULL);
    CHECK(o);
    buf_done(&out);
    return o;
}

/* The answer without name and type, as compact JSON. */
static void check(const char *name, const char *by, const char *want)
{
    struct stats_query q = query(name, by);
    json_t *o = ask(&q);
    json_object_del(o, "name");
    json_object_del(o, "type");
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(12));
    CHECK_STR(str_of(text), str_of(want));
    free(text);
    json_decref(o);
}

TEST(periods_start_where_the_calendar_says)
{
    static const struct {
        const char *time, *want;
        int step;
    } cases[] = {{"2026-01-01T00:00:00Z", "2025-12-29", WEEK},  {"2025-12-28T23:59:59Z", "2025-12-22", WEEK},
                 {"2024-02-29T12:00:00Z", "2024-02-01", MONTH}, {"2024-12-31T23:59:59Z", "2024-12-01", MONTH},
                 {"2024-12-31T23:59:59Z", "2024-01-01", YEAR},  {"1969-12-31T23:59:59Z", "1969-12-31", DAY},
                 {"1969-12-31T23:59:59Z", "1969-12-29", WEEK},  {"1970-01-05T00:00:00Z", "1970-01-05", WEEK}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        nsec t;
        int digits;
        struct err e;
        char text[TIME_TEXT_MAX];
        CHECK(time_read(str_of(cases[i].time), &t, &digits, &e) == 0);
        time_print(stat_period(t / NSEC_PER_SEC - (t % NSEC_PER_SEC < 0), cases[i].step) * NSEC_PER_SEC, 0, text);
        CHECK_STR(str_head(str_of(text), 10), str_of(cases[i].want));
    }
}

TEST(each_type_says_its_own_number_of_a_period)
{
    open_db();
    for (int split = 0; split < 2; split++) /* in one record, or each in its own: the same */
        for (int i = 0; i < 3; i++) {
            static const char *const times[] = {"2025-11-30T23:00:00Z", "2025-12-01T00:00:10Z", "2025-12-01T00:00:05Z"};
            static const double values[] = {7.5, -2, 4};
            static const char *const types[] = {"max", "min", "gauge"};
            char body[1000];
            int n = 0;
            for (size_t k = 0; k < LENGTH(types); k++)
                for (int j = 0; j < 3; j++)
                    if (!split ? i == 0 : i == j)
                        n += snprintf(body + n, sizeof body - (size_t)n,
                                      "{\"name\":\"%s%d\",\"type\":\"%s\",\"value\":%g,\"time\":\"%s\"}\n", types[k],
                                      split, types[k], values[j], times[j]);
            if (n)
                CHECK_STR(post(APP, body), S(""));
        }
    for (int split = 0; split < 2; split++) {
        check(
            split ? "max1" : "max0", "day",
            "{\"points\":[{\"time\":\"2025-11-30T00:00:00Z\",\"value\":7.5},{\"time\":\"2025-12-01T00:00:00Z\",\"value\":4}],"
            "\"total\":7.5}");
        check(
            split ? "min1" : "min0", "month",
            "{\"points\":[{\"time\":\"2025-11-01T00:00:00Z\",\"value\":7.5},{\"time\":\"2025-12-01T00:00:00Z\",\"value\":-2}],"
            "\"total\":-2}");
        check(
            split ? "gauge1" : "gauge0", "year",
            "{\"points\":[{\"time\":\"2025-01-01T00:00:00Z\",\"value\":-2,\"min\":-2,\"max\":7.5,\"mean\":3.16666666667,\"n\":3}],"
            "\"total\":-2}");
        check(
            split ? "gauge1" : "gauge0", "week",
            "{\"points\":[{\"time\":\"2025-11-24T00:00:00Z\",\"value\":7.5,\"min\":7.5,\"max\":7.5,\"mean\":7.5,\"n\":1},"
            "{\"time\":\"2025-12-01T00:00:00Z\",\"value\":-2,\"min\":-2,\"max\":4,\"mean\":1,\"n\":2}],\"total\":-2}");
    }
    close_db();
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

TEST(a_timing_has_exact_sums_and_quantiles_within_their_error)
{
    enum { N = 3000 };
    double v[N], sum = 0;
    uint64_t seed;
    open_db();
    random_bytes(&seed, sizeof seed);
    printf("  seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < N; i++) {
        char body[200];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        v[i] = floor(exp((double)(seed >> 11) * 0x1p-53 * 10) * 8) / 8;
        sum += v[i];
        snprintf(body, sizeof body,
                 "{\"name\":\"t\",\"type\":\"timing\",\"value\":%.3f,\"labels\":{\"n\":\"%d\"},\"time\":%d}", v[i],
                 i % 7, 1764547200 + i * 60);
        CHECK_STR(post(APP, body), S(""));
    }
    qsort(v, N, sizeof *v, by_value);
    static const char *const by[] = {"hour", "day", "month", "year"};
    for (size_t k = 0; k < LENGTH(by); k++) {
        struct stats_query q = query("t", by[k]);
        json_t *o = ask(&q), *t = json_object_get(o, "total");
        CHECK_INT(json_integer_value(json_object_get(t, "n")), N);
        CHECK(json_number_value(json_object_get(t, "sum")) == sum);
        CHECK(json_number_value(json_object_get(t, "min")) == v[0]);
        CHECK(json_number_value(json_object_get(t, "max")) == v[N - 1]);
        static const char *const names[] = {"p50", "p90", "p99", "p99.9"};
        static const double parts[] = {.5, .9, .99, .999};
        for (size_t i = 0; i < LENGTH(parts); i++) {
            double want = v[(size_t)ceil(parts[i] * N) - 1], got = json_number_value(json_object_get(t, names[i]));
            CHECK(fabs(got - want) <= QUANTILE_ERROR * want);
        }
        json_decref(o);
    }
    close_db();
}

TEST(one_timing_is_its_own_quantile)
{
    open_db();
    CHECK_STR(post(APP, "{\"name\":\"t\",\"type\":\"timing\",\"value\":123.456,\"time\":\"2025-12-01T00:00:00Z\"}"),
              S(""));
    check(
        "t", "minute",
        "{\"points\":[{\"time\":\"2025-12-01T00:00:00Z\",\"n\":1,\"sum\":123.456,\"min\":123.456,\"max\":123.456,\"p50\":"
        "123.456,\"p90\":123.456,\"p99\":123.456,\"p99.9\":123.456}],\"total\":{\"n\":1,\"sum\":123.456,\"min\":123.456,\"max\""
        ":123.456,\"p50\":123.456,\"p90\":123.456,\"p99\":123.456,\"p99.9\":123.456}}");
    close_db();
}

TEST(a_metric_has_one_type_in_an_app)
{
    open_db();
    CHECK_STR(post(APP, "{\"name\":\"x\",\"type\":\"gauge\",\"value\":1}"), S(""));
    CHECK_STR(post(APP, "{\"name\":\"x\"}"), S("/type: x is of type gauge, got count"));
    CHECK_STR(post(APP, "{\"name\":\"x\",\"type\":\"max\",\"value\":1,\"labels\":{\"a\":\"b\"}}"),
              S("/type: x is of type gauge, got max"));
    CHECK_STR(post(APP, "[{\"name\":\"y\"},{\"name\":\"y\",\"type\":\"min\",\"value\":1}]"),
              S("/type: y is of type count, got min"));
    CHECK_STR(post(APP + 1, "{\"name\":\"x\",\"type\":\"flow\"}"), S(""));
    struct stats_query q = query("x", "day");
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    CHECK(stats_json(db, &q, &out, &e) < 0);
    CHECK_STR(str_of(e.text), S("app: expected an app, for x is of different types in different apps"));
    q.app = APP + 1;
    json_t *o = ask(&q);
    CHECK_INT(json_integer_value(json_object_get(o, "total")), 1);
    json_decref(o);
    buf_done(&out);
    close_db();
}

TEST(two_senders_who_make_a_metric_at_once_do_not_mix_its_types)
{
    struct err e;
    open_db(); /* both were checked before either was folded */
    CHECK(stats_apply(db, APP, NULL, S("{\"n\":\"x\",\"t\":1764547200000000,\"v\":2}\n"), &e) == 0);
    CHECK(stats_apply(db, APP, NULL,
                      S("{\"k\":\"max\",\"l\":{\"a\":\"b\"},\"n\":\"x\",\"t\":1764547200000000,\"v\":9}\n"), &e) == 0);
    check("x", "day", "{\"points\":[{\"time\":\"2025-12-01T00:00:00Z\",\"value\":2}],\"total\":2}");
    close_db();
}

static void check_label(const char *value, const char *looks)
{
    char body[300], want[300];
    snprintf(body, sizeof body, "{\"name\":\"x\",\"labels\":{\"who\":\"%s\"}}", value);
    want[0] = '\0';
    if (looks)
        snprintf(want, sizeof want,
                 "/labels/who: refused: label \"who\" looks like %s, and a label must not name a person", looks);
    CHECK_STR(post(APP, body), str_of(want));
}

TEST(a_label_that_could_name_a_person_is_refused_by_name)
{
    static const char *const cases[][2] = {{"ann@example.com", "an e-mail address"},
                                           {"192.0.2.1", "an IP address"},
                                           {"192.0.2.1:443", "an IP address"},
                                           {"2001:db8::1", "an IP address"},
                                           {"[2001:db8::1]:443", "an IP address"},
                                           {"192.0.2.0/24", "an IP address"},
                                           {"3f2b8c1e-0d4a-4f7e-9c55-8a1b2c3d4e5f", "a UUID"},
                                           {"3f2b8c1e0d4a4f7e9c558a1b2c3d4e5f", "a token"},
                                           {"zq81hfa0skd93hfgqpwo2mxc", "a token"},
                                           {"+31 6 1234 5678", "a phone number or an id"},
                                           {"(555) 123-4567", "a phone number or an id"},
                                           {"12345678", "a phone number or an id"},
                                           {"user-1234567", "an id of more than 6 digits"},
                                           {"mailto:ann%40example.com", "an e-mail address"},
                                           {"ann%2540example.com", "an e-mail address"},
                                           {"ann\uFF20example.com", "an e-mail address"},
                                           {"192%2E0%2e2.1", "an IP address"},
                                           {"ann&#64;example.com", "an e-mail address"},
                                           {"ann&#X40;example&period;com", "an e-mail address"},
                                           {"ann\\\\u0040example.com", "an e-mail address"},
                                           {"ann (at) example.com", "an e-mail address"},
                                           {"ann[AT]example[dot]com", "an e-mail address"},
                                           {"ann at example dot com", "an e-mail address"},
                                           {"YW5uQGV4YW1wbGUuY29t", "an e-mail address"},
                                           {"YW5uLnNAZXhhbXBsZS5vcmc=", "an e-mail address"},
                                           {"MTkyLjAuMi4x", "an IP address"},
                                           {"ann@163.com", "an e-mail address"},
                                           {"ann@192.0.2.1", "an e-mail address"},
                                           {"192-0-2-1", "an IP address"},
                                           {"192_0_2_1", "an IP address"},
                                           {"192\u30020\u30022\u30021", "an IP address"},
                                           {"192.0.2.1, 198.51.100.7", "an IP address"},
                                           {"\uFF11\uFF12\uFF13\uFF14\uFF15\uFF16\uFF17", "a phone number or an id"},
                                           {"\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "a phone number or an id"},
                                           {"1234\u200B5678", "a phone number or an id"},
                                           {"id 3f2b8c1e-0d4a-4f7e-9c55-8a1b2c3d4e5f", "a UUID"},
                                           {"shop@12345678", "an id of more than 6 digits"}};
    static const char *const fine[] = {"jpg",
                                       "10:30",
                                       "2026-11-25",
                                       "2026-W48",
                                       "1.4.2",
                                       "eu-west-1",
                                       "500",
                                       "a b",
                                       "GET /cart",
                                       "",
                                       "Zo\u00eb",
                                       "web-17.example",
                                       "123456",
                                       "2026-11-25 10:30",
                                       "50%",
                                       "100%25",
                                       "GET%20/cart",
                                       "%zz%4",
                                       "app@2.1.0",
                                       "my-frontend-application@12.10.2026",
                                       "shop@v3",
                                       "app@2.1.0-rc.1",
                                       "1-2-3",
                                       "ip-10-0-0-1",
                                       "paid at once",
                                       "checkout",
                                       "thumbnails",
                                       "dashboard",
                                       "Tom & Jerry",
                                       "\uFF21 \uFF22",
                                       "a.b.c",
                                       "C:\\\\x",
                                       "2026-11-25T10:30",
                                       "customers",
                                       "10.5 dot 3"};
    open_db();
    for (size_t i = 0; i < LENGTH(cases); i++)
        check_label(cases[i][0], cases[i][1]);
    for (size_t i = 0; i < LENGTH(fine); i++)
        check_label(fine[i], NULL);
    close_db();
}

TEST(a_wrong_value_says_what_its_type_wants)
{
    static const char *const cases[][2] = {
        {"\"type\":\"max\"", "expected a number from -10^15 to 10^15, got nothing"},
        {"\"type\":\"gauge\",\"value\":\"3\"", "expected a number from -10^15 to 10^15, got text"},
        {"\"type\":\"gauge\",\"value\":2e15", "expected a number from -10^15 to 10^15, got 2e+15"},
        {"\"type\":\"timing\",\"value\":-1", "expected milliseconds from 0 to 10^12, got -1"},
        {"\"value\":1.5", "expected a whole number from 0 to 10^12, got 1.5"}};
    char body[200], want[200];
    open_db();
    for (size_t i = 0; i < LENGTH(cases); i++) {
        snprintf(body, sizeof body, "{\"name\":\"x%zu\",%s}", i, cases[i][0]);
        snprintf(want, sizeof want, "/value: %s", cases[i][1]);
        CHECK_STR(post(APP, body), str_of(want));
    }
    CHECK_STR(post(APP, "{\"name\":\"x\",\"type\":\"unique\",\"value\":\"ann\"}"),
              S("/type: a unique is only counted while the server runs"));
    close_db();
}

TEST(old_periods_go_and_months_stay)
{
    struct err e;
    open_db();
    CHECK_STR(
        post(
            APP,
            "[{\"name\":\"c\",\"time\":\"2019-03-05T00:00:00Z\"},{\"name\":\"m\",\"type\":\"max\",\"value\":5,\"time\":"
            "\"2019-03-05T00:00:00Z\"},{\"name\":\"c\",\"time\":\"2025-12-31T23:59:00Z\"}]"),
        S(""));
    CHECK(stats_tick(db, now, &e) == 0);
    check("m", "day", "{\"points\":[],\"total\":null}");
    check("m", "month", "{\"points\":[{\"time\":\"2019-03-01T00:00:00Z\",\"value\":5}],\"total\":5}");
    check("c", "week", "{\"points\":[{\"time\":\"2025-12-29T00:00:00Z\",\"value\":1}],\"total\":1}");
    check(
        "c", "year",
        "{\"points\":[{\"time\":\"2019-01-01T00:00:00Z\",\"value\":1},{\"time\":\"2025-01-01T00:00:00Z\",\"value\":1}],\"total\":2}");
    close_db();
}

TEST(counts_of_before_months_were_kept_get_their_months)
{
    const char *steps[] = {stats_schema, stats_schema_types, stats_schema_packed};
    struct err e;
    open_db();
    CHECK(
        db_exec(
            db,
            "DROP TABLE stat_cell; DROP TABLE stat_series; DROP TABLE stat_sample; DROP TABLE stat_packed; PRAGMA user_version = 0",
            &e) == 0);
    db_close(db);
    CHECK(db_open(path, DB_NORMAL, steps, 1, &db, &e) == 0);
    CHECK(
        db_exec(
            db,
            "INSERT INTO stat_series VALUES(1, 3, 'c', 'count', '{}', 9, 4, 1);"
            "INSERT INTO stat_cell VALUES(1, 86400, 1764460800, 2), (1, 86400, 1764547200, 3), (1, 86400, 1764633600, 4),"
            " (1, 3600, 1764633600, 4)",
            &e) == 0);
    db_close(db);
    CHECK(db_open(path, DB_NORMAL, steps, 3, &db, &e) == 0);
    check(
        "c", "month",
        "{\"points\":[{\"time\":\"2025-11-01T00:00:00Z\",\"value\":2},{\"time\":\"2025-12-01T00:00:00Z\",\"value\":7}],\"total\":9}");
    close_db();
}

/* ---- what repeats is read the short way ---- */
static uint64_t dice;
static const char *pick(const char *const *of, size_t n)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return of[(dice >> 33) % n];
}
#define PICK(...) pick((const char *const[]){__VA_ARGS__}, LENGTH(((const char *const[]){__VA_ARGS__})))

static void random_object(char *out, size_t size)
{
    snprintf(out, size, "{%s%s%s%s%s%s}",
             PICK("\"name\":\"a\"", "\"name\":\"b\"", "\"name\" : \"c.d\"", "\"name\":\"\"", "\"nam\\u0065\":\"a\""),
             PICK("", "", ",\"type\":\"count\"", ",\"type\":\"max\"", ",\"type\":\"flow\"", ",\"type\":\"\"",
                  ",\"type\":\"sum\""),
             PICK("", ",\"labels\":{}", ",\"labels\":{\"k\":\"v\"}", ",\"labels\":{\"t\":\"1\",\"k\":\"\\u00e9\"}",
                  ",\"labels\":{\"u\":\"a@b.c\"}", ",\"labels\":{\"k\":1}"),
             PICK("", "", ",\"value\":2", ",\"value\":-3", ",\"value\":2.5", ",\"value\":1e3", ",\"value\":12.1",
                  ",\"value\":1e300", ",\"value\":\"2\"", ",\"value\":null", ",\"value\":-0"),
             PICK("", "", ",\"time\":1764547200", ",\"time\":\"2025-12-01T00:00:00.25Z\"", ",\"time\":1764547200.5",
                  ",\"time\":\"noon\"", ",\"time\":4764547200", ",\"time\":\"\\u0031764547200\""),
             PICK("", "", "", "", ",\"value\":1", ",\"colour\":1"));
}

static struct batch *read_all(const char *body)
{
    struct batch *b = batch_new(RECORD_STATS, APP, now);
    struct err e;
    CHECK(stats_read(str_of(body), now, NULL, NULL, b, &e) == 0);
    return b;
}

/* The lines say the same, number by number. */
static bool same_lines(str a, str b)
{
    while (a.n && b.n) {
        str x = str_cut(&a, '\n'), y = str_cut(&b, '\n');
        json_t *u = json_loadb(x.p, x.n, 0, NULL), *v = json_loadb(y.p, y.n, 0, NULL);
        bool same = json_number_value(json_object_get(u, "v")) == json_number_value(json_object_get(v, "v"));
        json_object_del(u, "v"), json_object_del(v, "v");
        same = same && json_equal(u, v);
        json_decref(u), json_decref(v);
        if (!same)
            return false;
    }
    return a.n == b.n;
}

TEST(what_comes_again_with_another_number_is_read_as_the_first_was)
{
    random_bytes(&dice, sizeof dice);
    printf("  seed %llu\n", (unsigned long long)dice);
    for (int round = 0; round < 3000; round++) {
        char one[500], again[1100];
        random_object(one, sizeof one);
        struct batch *a = read_all(one);
        snprintf(again, sizeof again, round % 2 ? "%s\n%s" : "[%s, %s]", one, one);
        struct batch *b = read_all(again);
        CHECK_INT(b->accepted, 2 * a->accepted);
        CHECK_INT(b->rejected, 2 * a->rejected);
        CHECK_STR(str_of(b->first_error), str_of(a->first_error));
        struct buf twice = BUF_INIT(SIZE_MAX / 2);
        buf_str(&twice, buf_view(&a->body)), buf_str(&twice, buf_view(&a->body));
        CHECK(same_lines(buf_view(&b->body), buf_view(&twice)));
        if (unit_failed) {
            printf("%s\n", again);
            round = 3000;
        }
        buf_done(&twice);
        batch_free(a), batch_free(b);
    }
}

TEST(a_shape_that_was_good_does_not_excuse_what_differs_from_it)
{
    static const char *const bad[] = {"{\"name\":\"a\",\"type\":\"\",\"value\":1}",
                                      "{\"name\":\"a\",\"value\":1,\"value\":2}",
                                      "{\"name\":\"a\",\"value\":-1}",
                                      "{\"name\":\"a\",\"value\":1.5}",
                                      "{\"name\":\"a\",\"value\":1e13}",
                                      "{\"name\":\"a\",\"time\":\"noon\"}",
                                      "{\"name\":\"a\",\"time\":9999999999}",
                                      "{\"name\":\"a\",\"x\":1}",
                                      "{\"name\":\"a\",\"type\":\"max\",\"value\":1}",
                                      "{\"name\":\"a\",\"labels\":{\"k\":\"a@b.c\"}}",
                                      "{\"name\":\"a\"",
                                      "7"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char body[300];
        snprintf(body, sizeof body, "{\"name\":\"a\",\"value\":1}\n{\"name\":\"a\",\"labels\":{\"k\":\"v\"}}\n%s\n",
                 bad[i]);
        struct batch *b = read_all(body);
        if (b->accepted != 2 || b->rejected != 1)
            printf("%s\n", bad[i]);
        CHECK(b->accepted == 2 && b->rejected == 1);
        batch_free(b);
    }
}

TEST(an_array_is_taken_value_by_value_and_refused_when_it_is_no_json)
{
    struct err e;
    struct batch *b = read_all(
        " [ {\"name\":\"a\"} ,7, [{}], {\"name\":\"a\",\"name\":\"b\"}, {\"name\":\"a\"}, \"]\" ] ");
    CHECK_INT(b->accepted, 2);
    CHECK_INT(b->rejected, 4);
    batch_free(b);
    b = read_all("[]");
    CHECK(b->accepted == 0 && b->rejected == 0);
    batch_free(b);
    static const char *const bad[] = {"[", "[{\"name\":\"a\"}", "[{\"name\":\"a\"},]", "[1]x",
                                      "[{\"name\":\"a\"} {\"name\":\"a\"}]"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        b = batch_new(RECORD_STATS, APP, now);
        CHECK(stats_read(str_of(bad[i]), now, NULL, NULL, b, &e) < 0 &&
              str_starts(str_of(e.text), S("expected a JSON array: ")));
        CHECK(b->accepted == 0);
        batch_free(b);
    }
}

/* ---- zones ---- */
static uint64_t toss(uint64_t *x) { return *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17; }

static void tick_all(usec at)
{
    struct err e;
    int rc;
    while ((rc = stats_tick(db, at, &e)) > 0)
        ;
    CHECK_INT(rc, 0);
}

static struct zone *open_zone(const char *name)
{
    struct zone *z = NULL;
    struct err e;
    CHECK(zone_open(str_of(name), &z, &e) == 0);
    return z;
}

static void check_in(const char *tz, const char *by, const char *want)
{
    struct zone *z = open_zone(tz);
    struct stats_query q = query("x", by);
    q.zone = z;
    q.kept = kept;
    q.now = now;
    q.from = 1743000000 * NSEC_PER_SEC; /* 2025-03-26 */
    json_t *o = ask(&q);
    char *text = json_dumps(json_object_get(o, "points"), JSON_COMPACT);
    CHECK_STR(str_of(text), str_of(want));
    free(text);
    json_decref(o);
    zone_free(z);
}

/* The days of 23 and 25 hours, the last hour of a year, and a week over it, in Amsterdam. */
static const char *const moments[] = {"2025-03-29T22:59:59Z", "2025-03-29T23:00:00Z", "2025-03-30T21:59:59Z",
                                      "2025-03-30T22:00:00Z", "2025-10-25T21:59:59Z", "2025-10-25T22:00:00Z",
                                      "2025-10-26T22:59:59Z", "2025-10-26T23:00:00Z", "2025-12-28T22:30:00Z",
                                      "2025-12-28T23:30:00Z", "2025-12-31T22:30:00Z", "2025-12-31T23:30:00Z"};
#define DAYS_OF_AMSTERDAM                                                                                              \
    "[{\"time\":\"2025-03-29T00:00:00+01:00\",\"value\":1},{\"time\":\"2025-03-30T00:00:00+01:00\",\"value\":2},"      \
    "{\"time\":\"2025-03-31T00:00:00+02:00\",\"value\":1},{\"time\":\"2025-10-25T00:00:00+02:00\",\"value\":1},"       \
    "{\"time\":\"2025-10-26T00:00:00+02:00\",\"value\":2},{\"time\":\"2025-10-27T00:00:00+01:00\",\"value\":1},"       \
    "{\"time\":\"2025-12-28T00:00:00+01:00\",\"value\":1},{\"time\":\"2025-12-29T00:00:00+01:00\",\"value\":1},"       \
    "{\"time\":\"2025-12-31T00:00:00+01:00\",\"value\":1},{\"time\":\"2026-01-01T00:00:00+01:00\",\"value\":1}]"
#define WEEKS_OF_AMSTERDAM                                                                                             \
    "[{\"time\":\"2025-03-24T00:00:00+01:00\",\"value\":3},{\"time\":\"2025-03-31T00:00:00+02:00\",\"value\":1},"      \
    "{\"time\":\"2025-10-20T00:00:00+02:00\",\"value\":3},{\"time\":\"2025-10-27T00:00:00+01:00\",\"value\":1},"       \
    "{\"time\":\"2025-12-22T00:00:00+01:00\",\"value\":1},{\"time\":\"2025-12-29T00:00:00+01:00\",\"value\":3}]"

TEST(days_and_weeks_of_a_zone_are_its_own_also_where_the_clock_changes)
{
    static const char *const zones[] = {"Europe/Amsterdam", "UTC"}; /* kept as days; added up from hours */
    for (size_t k = 0; k < 2; k++) {
        open_db();
        kept = open_zone(zones[k]);
        for (size_t i = 0; i < LENGTH(moments); i++) {
            char body[100];
            snprintf(body, sizeof body, "{\"name\":\"x\",\"time\":\"%s\"}", moments[i]);
            CHECK_STR(post(APP, body), S(""));
        }
        check_in("Europe/Amsterdam", "day", DAYS_OF_AMSTERDAM);
        check_in("Europe/Amsterdam", "week", WEEKS_OF_AMSTERDAM);
        check_in(
            "Europe/Amsterdam", "year",
            "[{\"time\":\"2025-01-01T00:00:00+01:00\",\"value\":11},{\"time\":\"2026-01-01T00:00:00+01:00\",\"value\":1}]");
        if (k == 0) { /* days are packed, hours are still rows or packed too: the same */
            tick_all(now);
            check_in("Europe/Amsterdam", "day", DAYS_OF_AMSTERDAM);
        }
        check_in(
            "America/New_York", "month",
            k == 0
                ? "[{\"time\":\"2025-10-01T00:00:00-04:00\",\"value\":4},{\"time\":\"2025-12-01T00:00:00-05:00\",\"value\":4}]"
                : "[{\"time\":\"2025-03-01T00:00:00-05:00\",\"value\":4},{\"time\":\"2025-10-01T00:00:00-04:00\",\"value\":4},"
                  "{\"time\":\"2025-12-01T00:00:00-05:00\",\"value\":4}]"); /* hours are kept for 90 days */
        zone_free(kept);
        kept = NULL;
        close_db();
    }
}

TEST(a_zone_of_half_hours_has_no_days_from_hours_but_may_be_kept)
{
    struct zone *z = open_zone("Asia/Kolkata");
    struct stats_query q = query("x", "day");
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    open_db();
    CHECK_STR(post(APP, "{\"name\":\"x\",\"time\":\"2025-12-31T18:30:00Z\"}"), S(""));
    q.zone = z;
    CHECK(stats_json(db, &q, &out, &e) < 0);
    CHECK_STR(str_of(e.text), S("tz: expected a zone whose days begin with an hour of UTC, or UTC, got Asia/Kolkata"));
    close_db();
    open_db();
    kept = z;
    CHECK_STR(post(APP, "{\"name\":\"x\",\"time\":\"2025-12-31T18:30:00Z\"}"), S(""));
    check_in("Asia/Kolkata", "day", "[{\"time\":\"2026-01-01T00:00:00+05:30\",\"value\":1}]");
    kept = NULL;
    zone_free(z);
    close_db();
    buf_done(&out);
}

TEST(a_stock_is_the_running_total_of_all_time)
{
    open_db();
    CHECK_STR(post(APP, "[{\"name\":\"x\",\"value\":100,\"time\":\"2020-05-05T00:00:00Z\"},"
                        "{\"name\":\"x\",\"value\":5,\"time\":\"2025-12-25T00:00:00Z\"},"
                        "{\"name\":\"x\",\"value\":2,\"time\":\"2025-12-27T00:00:00Z\"},"
                        "{\"name\":\"x\",\"value\":9,\"time\":\"2025-12-30T00:00:00Z\"}]"),
              S(""));
    struct stats_query q = query("x", "day");
    q.stock = true;
    q.from = 1766620800 * NSEC_PER_SEC; /* 2025-12-25 */
    q.to = 1766966400 * NSEC_PER_SEC;   /* to 2025-12-29 */
    json_t *o = ask(&q);
    char *text = json_dumps(json_object_get(o, "points"), JSON_COMPACT);
    CHECK_STR(str_of(text), S("[{\"time\":\"2025-12-25T00:00:00Z\",\"value\":5,\"stock\":105},"
                              "{\"time\":\"2025-12-27T00:00:00Z\",\"value\":2,\"stock\":107}]"));
    CHECK_INT(json_integer_value(json_object_get(o, "total")), 7);
    free(text);
    json_decref(o);
    close_db();
}

/* ---- packed ---- */
static int64_t rows(const char *sql)
{
    struct err e;
    sqlite3_stmt *st = db_stmt(db, sql);
    CHECK(db_step(db, st, &e) > 0);
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return n;
}

/* Of the last three days, a number now and then, of each type. */
static void post_some(uint64_t *x, int n, int64_t back_s)
{
    static const char *const types[] = {"count", "max", "min", "gauge", "timing"};
    for (int i = 0; i < n; i++) {
        char body[200];
        const char *type = types[toss(x) % 5];
        double v = (double)(int64_t)(toss(x) % 2000000) / 64 - (strcmp(type, "timing") == 0 ? 0 : 1000);
        snprintf(body, sizeof body, "{\"name\":\"%s\",\"type\":\"%s\",\"value\":%.17g,\"time\":%lld}", type, type,
                 strcmp(type, "count") == 0 ? (double)(toss(x) % 1000) : v,
                 (long long)(now / USEC_PER_SEC - (int64_t)(toss(x) % (uint64_t)back_s)));
        CHECK_STR(post(APP, body), S(""));
    }
}

static char *answers(void)
{
    static const char *const names[] = {"count", "max", "min", "gauge", "timing"}, *const bys[] = {"minute", "hour",
                                                                                                   "day", "week",
                                                                                                   "month"};
    struct buf all = BUF_INIT(SIZE_MAX / 2);
    for (size_t i = 0; i < 25; i++) {
        struct stats_query q = query(names[i / 5], bys[i % 5]);
        q.from = (now / USEC_PER_SEC - 47 * 3600) * NSEC_PER_SEC;
        json_t *o = ask(&q);
        char *text = json_dumps(o, JSON_REAL_PRECISION(12));
        buf_str(&all, str_of(text));
        free(text);
        json_decref(o);
    }
    return buf_take(&all, NULL);
}

TEST(packing_changes_no_answer_also_when_more_comes_late)
{
    uint64_t x = (uint64_t)clock_mono() | 1;
    printf("  seed %llu\n", (unsigned long long)x);
    open_db();
    for (int round = 0; round < 3; round++) {
        post_some(&x, 400, 47 * 3600);
        char *before = answers();
        int64_t was = rows("SELECT (SELECT count(*) FROM stat_cell) + (SELECT count(*) FROM stat_sample)");
        tick_all(now);
        char *after = answers();
        CHECK_STR(str_of(after), str_of(before));
        CHECK(rows("SELECT (SELECT count(*) FROM stat_cell) + (SELECT count(*) FROM stat_sample)") < was / 2);
        free(before);
        free(after);
    }
    CHECK(rows("SELECT count(*) FROM stat_packed WHERE step = 60") >= 5 * 7);
    tick_all(now + 200 * 86400 * USEC_PER_SEC);
    CHECK_INT(rows("SELECT count(*) FROM stat_packed WHERE step < 86400"), 0);
    CHECK(rows("SELECT count(*) FROM stat_packed") > 0);
    close_db();
}

TEST(packed_cells_that_are_damaged_are_told)
{
    static const char *const bad[] = {"80", "00", "0000", "0001", "000280", "00010280", "ffffffffffffffffffff01"};
    struct err e;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char sql[300];
        struct buf out = BUF_INIT(SIZE_MAX / 2);
        struct stats_query q = query("c", "minute");
        open_db();
        snprintf(sql, sizeof sql,
                 "INSERT INTO stat_series VALUES(1, 3, 'c', 'count', '{}', 9, 4, 1);"
                 "INSERT INTO stat_packed VALUES(1, 60, 1767204000, x'%s')",
                 bad[i]);
        CHECK(db_exec(db, sql, &e) == 0);
        CHECK(stats_json(db, &q, &out, &e) < 0 && e.kind == ERR_CORRUPT);
        buf_done(&out);
        close_db();
    }
}

/* What a series has after five years: two days of minutes, ninety of hours, five years of days, and their months. */
static void fill_series(int id, uint64_t *x)
{
    static const struct {
        int step, n;
    } levels[] = {{60, 2880}, {3600, 90 * 24}, {86400, 5 * 365}, {30 * 86400, 60}};
    struct err e;
    sqlite3_stmt *st = db_stmt(db, "INSERT INTO stat_series VALUES(?, 3, 'c', 'count', ?, 9, 4, 1)");
    sqlite3_bind_int(st, 1, id);
    sqlite3_bind_int(st, 2, id);
    CHECK(db_run(db, st, &e) == 0);
    for (size_t i = 0; i < LENGTH(levels); i++)
        for (int k = 1; k <= levels[i].n; k++) {
            int64_t mean = (int64_t)levels[i].step * (1 + id % 20) /
                           4; /* up to five a second, and half as many at times */
            st = db_stmt(db, "INSERT INTO stat_cell VALUES(?, ?, ?, ?)");
            sqlite3_bind_int(st, 1, id);
            sqlite3_bind_int(st, 2, levels[i].step);
            sqlite3_bind_int64(st, 3,
                               now / USEC_PER_SEC / levels[i].step * levels[i].step - (int64_t)k * levels[i].step);
            sqlite3_bind_int64(st, 4, mean / 2 + (int64_t)(toss(x) % (uint64_t)mean));
            CHECK(db_run(db, st, &e) == 0);
        }
}

TEST(a_thousand_series_of_five_years_are_at_most_30_megabytes)
{
    const char *many = getenv("LOGD_STATS_SERIES");
    int n = many ? atoi(many) : 20;
    uint64_t x = 88172645463325252u;
    struct err e;
    open_db();
    for (int id = 1; id <= n; id++) {
        CHECK(db_begin(db, &e) == 0);
        fill_series(id, &x);
        CHECK(db_commit(db, &e) == 0);
    }
    CHECK(db_begin(db, &e) == 0);
    tick_all(now);
    CHECK(db_commit(db, &e) == 0);
    int64_t used = (rows("PRAGMA page_count") - rows("PRAGMA freelist_count")) * rows("PRAGMA page_size");
    printf("  %lld bytes a series\n", (long long)(used / n));
    CHECK(used / n <= 30000);
    close_db();
}

/* ---- added up before they are written ---- */
static struct gathered *series(struct gather *g, const char *name, const char *type)
{
    struct gather_series s = {.app = APP, .name = str_of(name), .type = str_of(type)};
    struct gathered *ret = gather_find(g, s.name);
    struct err e;
    if (!ret && gather_make(g, s.name, &s, db, &ret, &e) < 0)
        abort();
    return ret;
}

static void flush_into_db(struct gather *g, usec at)
{
    struct batch *b = batch_new(RECORD_STATS, APP, now);
    struct err e;
    CHECK(gather_flush(g, at, b) && !gather_waits(g));
    CHECK(stats_apply(db, APP, NULL, buf_view(&b->body), &e) == 0);
    batch_free(b);
}

TEST(parts_of_a_whole_are_not_lost_between_seconds)
{
    open_db();
    struct gather *g = gather_new();
    for (int i = 0; i < 30; i++) {
        CHECK(gather_add(g, series(g, "sampled", "count"), 1, 1 / 0.3, false));
        flush_into_db(g, now - DAY * USEC_PER_SEC + i * USEC_PER_SEC);
    }
    check("sampled", "month", "{\"points\":[{\"time\":\"2025-12-01T00:00:00Z\",\"value\":100}],\"total\":100}");
    gather_free(g);
    close_db();
}

TEST(timings_added_up_give_the_same_as_one_by_one)
{
    open_db();
    struct gather *g = gather_new();
    char body[200];
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 2000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        double v = (double)(x % 100000) / 64;
        CHECK(gather_add(g, series(g, "sums", "timing"), v, 1, false));
        snprintf(body, sizeof body, "{\"name\":\"single\",\"type\":\"timing\",\"value\":%.17g,\"time\":%lld}", v,
                 (long long)(now / USEC_PER_SEC - 5));
        CHECK_STR(post(APP, body), S(""));
        if (i % 100 == 99)
            flush_into_db(g, now - 5 * USEC_PER_SEC);
    }
    struct stats_query q[] = {query("sums", "minute"), query("single", "minute")};
    json_t *sums = ask(&q[0]), *single = ask(&q[1]);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(sums, "total"), "n")), 2000);
    CHECK(json_equal(json_object_get(sums, "points"), json_object_get(single, "points")));
    json_decref(sums);
    json_decref(single);
    gather_free(g);
    close_db();
}

TEST(a_sum_of_decimals_is_a_decimal)
{
    open_db();
    struct gather *g = gather_new();
    for (int i = 0; i < 1000; i++)
        CHECK(gather_add(g, series(g, "sums", "timing"), .1, 1, false));
    flush_into_db(g, now - 5 * USEC_PER_SEC);
    for (int i = 0; i < 1000; i++)
        CHECK_STR(post(APP, i % 2 ? "{\"name\":\"t\",\"type\":\"timing\",\"value\":0.7}"
                                  : "[{\"name\":\"t\",\"type\":\"timing\",\"value\":0.1},"
                                    "{\"name\":\"t\",\"type\":\"timing\",\"value\":1000000000.2}]"),
                  S(""));
    static const struct {
        const char *name;
        double sum;
    } wanted[] = {{"sums", 100}, {"t", 500000000500}};
    for (size_t i = 0; i < LENGTH(wanted); i++) {
        struct stats_query q = query(wanted[i].name, "day");
        json_t *o = ask(&q);
        CHECK(json_number_value(json_object_get(json_object_get(o, "total"), "sum")) == wanted[i].sum);
        json_decref(o);
    }
    gather_free(g);
    close_db();
}

static void post_metrics(int n)
{
    struct buf body = BUF_INIT(1 << 20);
    for (int i = 0; i < n; i++)
        buf_printf(&body, "{\"name\":\"m%d\"}", i);
    buf_lit(&body, "{\"name\":\"m0\",\"labels\":{\"a\":\"b\"}}");
    buf_byte(&body, '\0');
    CHECK_STR(post(APP, body.p), S(""));
    buf_done(&body);
}

TEST(an_app_has_so_many_metrics_and_no_more)
{
    static const str more = S("/name: expected one of the 2000 metrics that this app has, it can have no more");
    open_db();
    post_metrics(STAT_METRICS_MAX - 1);
    CHECK_STR(post(APP, "{\"name\":\"last\"}{\"name\":\"more\"}{\"name\":\"last\"}"), more);
    CHECK_STR(post(APP, "{\"name\":\"more\"}"), more);
    CHECK_STR(post(APP, "{\"name\":\"m7\",\"labels\":{\"new\":\"set\"}}"), S(""));
    CHECK_STR(post(APP + 1, "{\"name\":\"more\"}"), S(""));
    close_db();
}

TEST(a_damaged_sum_is_passed_over)
{
    static const char *const bad[] = {"{\"n\":2,\"sum\":3,\"min\":1,\"max\":2,\"last\":2,\"h\":\"00\"}",
                                      "{\"n\":2,\"sum\":3,\"min\":1}",
                                      "{}",
                                      "{",
                                      "{\"n\":2,\"sum\":3,\"min\":1,\"max\":2,\"last\":2,\"h\":\"zz\"}",
                                      "{\"n\":2,\"sum\":3,\"min\":1,\"max\":2,\"last\":2,\"h\":\"\"}",
                                      "{\"n\":-1,\"sum\":3,\"min\":1,\"max\":2,\"last\":2,\"h\":\"\"}"};
    open_db();
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char line[300];
        struct err e;
        snprintf(line, sizeof line, "{\"k\":\"timing\",\"l\":{},\"n\":\"x\",\"t\":1767225600000000,\"v\":%s}\n",
                 bad[i]);
        CHECK(stats_apply(db, APP, NULL, str_of(line), &e) == 0);
    }
    check("x", "day", "{\"points\":[],\"total\":0}");
    close_db();
}

TEST(a_silent_series_is_forgotten_and_its_gauge_goes_on)
{
    open_db();
    struct gather *g = gather_new();
    CHECK(gather_add(g, series(g, "level", "gauge"), 10, 1, false));
    flush_into_db(g, now);
    CHECK(gather_add(g, series(g, "other", "count"), 1, 1, false));
    flush_into_db(g, now + 2 * GATHER_IDLE);
    CHECK(!gather_find(g, S("level")));
    CHECK(gather_find(g, S("other")));
    CHECK(gather_add(g, series(g, "level", "gauge"), -4, 1, true));
    flush_into_db(g, now + 2 * GATHER_IDLE);
    struct stats_query q = query("level", "year");
    q.to += GATHER_IDLE * 3000;
    json_t *o = ask(&q);
    CHECK(json_number_value(json_object_get(o, "total")) == 6);
    json_decref(o);
    gather_free(g);
    close_db();
}

TEST(numbers_that_a_type_cannot_have_are_refused)
{
    open_db();
    struct gather *g = gather_new();
    CHECK(!gather_add(g, series(g, "t", "timing"), -1, 1, false));
    CHECK(!gather_add(g, series(g, "t", "timing"), 1e13, 1, false));
    CHECK(!gather_add(g, series(g, "c", "count"), 1e13, 1, false));
    CHECK(!gather_add(g, series(g, "g", "gauge"), 1e16, 1, false));
    CHECK(gather_add(g, series(g, "g", "gauge"), 9e14, 1, false) &&
          !gather_add(g, series(g, "g", "gauge"), 9e14, 1, true));
    gather_free(g);
    close_db();
}

UNIT_MAIN
