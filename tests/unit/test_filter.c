/* The filter language: what matches what, what is refused where, and thousands of random filters against an evaluator
 * that is written differently. */
#include "unit.h"

#include "event/filter.h"

#include <pthread.h>
#include <regex.h>
#include <time.h>

static struct event ev;
static struct arena scratch;

/* A stored line of severity 17 (or what `severity` says) with `fields` (JSON members) behind the fixed ones. */
static void read_event(int severity, const char *fields)
{
    static char line[1 << 16];
    struct err e;
    snprintf(line, sizeof line,
             "{\"id\":\"0c2k0000000000v\",\"event_id\":\"EV-1\",\"time\":\"2026-11-25T09:35:21.123Z\",\"app\":\"shop\","
             "\"level\":\"%.*s\",\"severity_number\":%d%s%s}",
             STR_ARG(level_name(severity)), severity, *fields ? "," : "", fields);
    arena_reset(&scratch);
    if (event_read(str_of(line), &ev, &scratch, &e) < 0) {
        printf("%s: %s\n", line, e.text);
        abort();
    }
}

static struct filter *parsed(str query)
{
    struct filter *f = NULL;
    struct err e;
    if (filter_parse(query, &f, &e) < 0) {
        printf("%.*s: column %zu: %s\n", STR_ARG(query), e.column, e.text);
        unit_failed = true;
    }
    return f;
}

static str printed(const struct filter *f, struct buf *b)
{
    buf_reset(b);
    filter_print(f, b);
    return buf_view(b);
}

/* The answer, asked twice: of the filter and of the filter printed and parsed again. What the outlook and the hint say
 * must not deny it. */
static bool matches(const char *query)
{
    struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
    struct filter *f = parsed(str_of(query)), *again;
    if (!f)
        return false;
    bool is = filter_match(f, &ev, &scratch);
    again = parsed(printed(f, &once));
    if (again) {
        CHECK_STR(printed(again, &twice), buf_view(&once));
        CHECK_INT(filter_match(again, &ev, &scratch), is);
    }
    enum outlook o = filter_outlook(f, 1u << ev.severity, ev.time, ev.time);
    CHECK(o == OUTLOOK_MAYBE || (o == OUTLOOK_YES) == is);
    const struct finder *hint = filter_hint(f);
    CHECK(!is || !hint || find_nocase(hint, ev.line) >= 0 || str_find(ev.line, S("\\u")) >= 0);
    if (unit_failed)
        printf("... in: %s\n", query);
    filter_free(f), filter_free(again);
    buf_done(&once), buf_done(&twice);
    return is;
}

struct row {
    const char *query, *fields;
    bool is;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        read_event(17, rows[i].fields);
        bool is = matches(rows[i].query);
        if (is != rows[i].is) {
            printf("row %zu: %s %s on {%s}\n", i, rows[i].query, is ? "matches" : "does not match", rows[i].fields);
            unit_failed = true;
        }
    }
}
#define CHECK_ROWS(rows) check_rows(rows, LENGTH(rows))

TEST(negated_classes_take_what_is_beyond_ascii)
{
    static const struct row rows[] = {
        {"~\"a\\Sb\"", "\"message\":\"aéb\"", 1},     {"~\"a\\Db\"", "\"message\":\"a€b\"", 1},
        {"~\"a\\W+b\"", "\"message\":\"aé€😀b\"", 1},  {"~\"a[\\S]b\"", "\"message\":\"aéb\"", 1},
        {"~\"a\\Sb\"", "\"message\":\"a b\"", 0},     {"~\"^\\D{2}$\"", "\"other\":\"é€\"", 1},
        {"~\"\\Q\\S\\E\"", "\"message\":\"aéb\"", 0}, {"~\"\\Q\\S\\E\"", "\"message\":\"\\\\S\"", 1},
        {"~\"[^\\W]b\"", "\"message\":\"éb\"", 0},
    };
    CHECK_ROWS(rows);
}

TEST(text_is_a_part_of_any_text_field_whatever_the_case)
{
    static const struct row rows[] = {
        {"", "", 1},
        {"*", "", 1},
        {"   ", "", 1},
        {"refused", "\"message\":\"connection REFUSED\"", 1},
        {"REFUSED", "\"message\":\"connection refused\"", 1},
        {"fuse", "\"message\":\"connection refused\"", 1},
        {"refused", "\"message\":\"connection closed\"", 0},
        {"\"connection refused\"", "\"message\":\"db: connection refused by peer\"", 1},
        {"\"connection refused\"", "\"message\":\"connection was refused\"", 0},
        {"connection refused", "\"message\":\"refused: no connection\"", 1},
        {"connection refused", "\"message\":\"refused\",\"why\":\"no connection\"", 1},
        {"connection refused", "\"message\":\"refused\"", 0},
        {"bob", "\"user\":\"Bobby\"", 1},
        {"blue", "\"tags\":[\"red\",\"blue\"]", 1},
        {"shop", "", 1},
        {"ev-1", "", 1},
        {"0c2k", "", 0}, /* ours, not the sender's */
        {"2026", "", 0},
        {"error", "", 0}, /* level is not text: level:error */
        {"500", "\"status\":500", 0},
        {"500", "\"status\":\"500\"", 1},
        {"true", "\"ok\":true", 0},
        {"null", "\"x\":null", 0},
        {"conn*", "\"message\":\"the connection\"", 1},
        {"*nection*", "\"message\":\"the connection\"", 1},
        {"\"conn*\"", "\"message\":\"the connection\"", 0},
        {"\"\"", "", 1},
        {"\"a \\\"b\\\" c\"", "\"message\":\"x a \\\"b\\\" c\"", 1},
        {"\"a\\\\b\"", "\"message\":\"a\\\\b\"", 1},
        {"\"a\\b\"", "\"message\":\"a\\\\b\"", 1},
        {"grün", "\"message\":\"ist grün\"", 1},
        {"grün", "\"message\":\"ist gr\\u00fcn\"", 1},
        {"GRÜN", "\"message\":\"ist grün\"", 0}, /* folding is ASCII only */
        {"a/b", "\"message\":\"a\\/b\"", 1},
        {"\"line one\nline two\"", "\"message\":\"line one\\nline two\"", 1},
        {"ab", "\"message\":\"\\u0061b\"", 1},
    };
    CHECK_ROWS(rows);
}

TEST(pasted_text_just_works)
{
    static const struct row rows[] = {
        {"https://shop.example/cart?id=5&x=y#top", "\"url\":\"https://shop.example/cart?id=5&x=y#top\"", 1},
        {"https://shop.example/cart", "\"url\":\"http://shop.example/cart\"", 0},
        {"12:30:05", "\"message\":\"at 12:30:05 it rained\"", 1},
        {"2026-11-25T09:35:21.123Z", "\"message\":\"2026-11-25T09:35:21.123Z ok\"", 1},
        {"Failed password for root from 10.0.0.1 port 22 ssh2",
         "\"message\":\"Failed password for root from 10.0.0.1 port 22 ssh2\"", 1},
        {"sshd(pam_unix)[19939]: authentication failure;",
         "\"message\":\"Jun 14 sshd(pam_unix)[19939]: authentication failure; logname=\"", 1},
        {"at com.shop.Cart.add(Cart.java:123)", "\"error.stack\":\"E\\n  at com.shop.Cart.add(Cart.java:123)\\n\"", 1},
        {"main() failed", "\"message\":\"main() failed\"", 1},
        {"error: disk full", "\"message\":\"ERROR: disk full\"", 1},
        {"std::vector out of range", "\"message\":\"std::vector out of range\"", 1},
        {"C:\\Windows\\system32", "\"message\":\"in C:\\\\Windows\\\\system32\"", 1},
        {"key => value", "\"message\":\"key => value\"", 1},
        {"INFO - started", "\"message\":\"INFO - started\"", 1},
        {"--> done", "\"message\":\"--> done\"", 1},
        {"ready !", "\"message\":\"ready !\"", 1},
        {"[2026/11/25 09:35] <ok>", "\"message\":\"[2026/11/25 09:35] <ok>\"", 1},
        {"GET \"/a b\" 200", "\"message\":\"GET \\\"/a b\\\" 200\"", 1},
        {"100% {x} $y; a, b", "\"message\":\"100% {x} $y; a, b\"", 1},
        {"it's", "\"message\":\"it's\"", 1},
        {"~ 5 ms", "\"message\":\"took ~ 5 ms\"", 1},
        {"select * from t", "\"message\":\"select * from t\"", 1},
        {"foo(a,b) bar", "\"message\":\"foo(a,b) bar\"", 1},
    };
    CHECK_ROWS(rows);
}

TEST(and_or_not_and_brackets)
{
    static const struct row rows[] = {
        {"a b", "\"m\":\"a b\"", 1},
        {"aa and bb", "\"m\":\"aa\"", 0},
        {"aa or bb", "\"m\":\"bb\"", 1},
        {"aa or bb", "\"m\":\"c\"", 0},
        {"aa or bb cc", "\"m\":\"aa\"", 1}, /* and binds first */
        {"aa or bb cc", "\"m\":\"bb\"", 0},
        {"(aa or bb) cc", "\"m\":\"aa\"", 0},
        {"(aa or bb) cc", "\"m\":\"bb cc\"", 1},
        {"not aa", "\"m\":\"bb\"", 1},
        {"not aa", "\"m\":\"aa\"", 0},
        {"-aa", "\"m\":\"aa\"", 0},
        {"!aa", "\"m\":\"bb\"", 1},
        {"--aa", "\"m\":\"aa\"", 1},
        {"not not aa", "\"m\":\"aa\"", 1},
        {"-(aa or bb)", "\"m\":\"bb\"", 0},
        {"-(aa bb)", "\"m\":\"bb\"", 1},
        {"not aa bb", "\"m\":\"bb\"", 1}, /* not binds to the next term alone */
        {"NOT aa AND bb OR cc", "\"m\":\"bb\"", 1},
        {"-m:aa", "\"m\":\"aa\"", 0},
        {"-m:aa", "", 1}, /* a missing field: the comparison is false */
        {"-\"x y\"", "\"m\":\"x y\"", 0},
        {"not(aa)", "\"m\":\"aa\"", 0},
        {"android", "\"m\":\"android\"", 1},
        {"order", "\"m\":\"order\"", 1},
        {"nothing", "\"m\":\"nothing\"", 1},
        {"\"or\"", "\"m\":\"or\"", 1},
        {"or=5", "\"or\":5", 1},
        {"not:x", "\"not\":\"x\"", 1},
    };
    CHECK_ROWS(rows);
}

TEST(colon_is_the_human_match)
{
    static const struct row rows[] = {
        {"user:bob", "\"user\":\"BOB\"", 1},
        {"user:bob", "\"user\":\"bobby\"", 0},
        {"user:bob", "", 0},
        {"user:bob", "\"users\":\"bob\"", 0},
        {"User:bob", "\"user\":\"bob\"", 0}, /* names are exact */
        {"user:\"bob smith\"", "\"user\":\"Bob Smith\"", 1},
        {"user:bob*", "\"user\":\"Bobby\"", 1},
        {"user:*by", "\"user\":\"Bobby\"", 1},
        {"user:b*y", "\"user\":\"Bobby\"", 1},
        {"user:b*x", "\"user\":\"Bobby\"", 0},
        {"user:*obb*", "\"user\":\"Bobby\"", 1},
        {"user:*a*", "\"user\":\"Bobby\"", 0},
        {"user:bob*bob", "\"user\":\"bob\"", 0},
        {"user:b**y", "\"user\":\"bobby\"", 1},
        {"user:\"bob*\"", "\"user\":\"bobby\"", 0}, /* quotes: a star is a star */
        {"user:\"bob*\"", "\"user\":\"bob*\"", 1},
        {"user:*", "\"user\":\"x\"", 1},
        {"user:*", "\"user\":\"\"", 1},
        {"user:*", "", 0},
        {"user:*", "\"user\":null", 0},
        {"user:null", "\"user\":null", 0},
        {"user:\"\"", "\"user\":\"\"", 1},
        {"user:\"\"", "", 0},
        {"http.path:/checkout*", "\"http.path\":\"/checkout/pay\"", 1},
        {"path:/a/../b", "\"path\":\"/a/../b\"", 1},
        {"status:500", "\"status\":500", 1},
        {"status:500", "\"status\":500.0", 1},
        {"status:5e2", "\"status\":500", 1},
        {"status:500", "\"status\":\"500\"", 1},
        {"status:500", "\"status\":\"500.0\"", 0},
        {"status:50", "\"status\":500", 0},
        {"status:5*", "\"status\":503", 1},
        {"status:500..599", "\"status\":503", 1},
        {"status:500..599", "\"status\":500", 1},
        {"status:500..599", "\"status\":599", 1},
        {"status:500..599", "\"status\":599.5", 0},
        {"status:500..599", "\"status\":404", 0},
        {"status:500..599", "\"status\":\"503\"", 1},
        {"status:500..599", "\"status\":\"50x\"", 0},
        {"temp:-5..5", "\"temp\":-3.5", 1},
        {"status:(404,500..599)", "\"status\":404", 1},
        {"status:(404 or 500..599)", "\"status\":501", 1},
        {"status:(404, 500)", "\"status\":403", 0},
        {"ok:true", "\"ok\":true", 1},
        {"ok:TRUE", "\"ok\":true", 1},
        {"ok:true", "\"ok\":false", 0},
        {"id:9007199254740993", "\"id2\":9007199254740993", 0},
        {"n:9007199254740993", "\"n\":9007199254740993", 1},
        {"n:9007199254740993", "\"n\":9007199254740992", 0}, /* no double holds it */
        {"n:123456789012345678901234567890", "\"n\":123456789012345678901234567890", 1},
        {"n:123456789012345678901234567890", "\"n\":123456789012345678901234567891", 0},
        {"tags:blue", "\"tags\":[\"red\",\"Blue\"]", 1},
        {"tags:green", "\"tags\":[\"red\",\"blue\"]", 0},
        {"`odd name`:x", "\"odd name\":\"x\"", 1},
        {"`2xx`:5", "\"2xx\":5", 1},
        {"`a`:b", "\"a\":\"b\"", 1},
        {"größe:5", "\"größe\":5", 1},
        {"@x:5", "\"@x\":5", 1},
        {"app:SHOP", "", 1},
        {"event_id:ev-1", "", 1},
        {"id:0c2k0000000000v", "", 1},
        {"u:(http://x, b)", "\"u\":\"HTTP://x\"", 1},
        {"u:(//x)", "\"u\":\"//x\"", 1},
        {"u:(:x)", "\"u\":\":x\"", 1},
        {"u:(\\x)", "\"u\":\"\\\\x\"", 1},
        {"u:a,b", "\"u\":\"a,b\"", 1},
        {"u:(f(a,b))", "\"u\":\"f(a,b)\"", 1},
    };
    CHECK_ROWS(rows);
}

TEST(colon_looks_inside_messages_and_stacks)
{
    static const struct row rows[] = {
        {"message:refused", "\"message\":\"connection Refused\"", 1},
        {"message:refused", "\"other\":\"refused\"", 0},
        {"message:\"n r\"", "\"message\":\"connection refused\"", 1},
        {"message:conn*fused", "\"message\":\"a connection refused it\"", 1},
        {"message:fused*conn", "\"message\":\"a connection refused it\"", 0},
        {"message:*", "\"message\":\"\"", 1},
        {"message:1..5", "\"message\":\"takes 1..5\"", 1},
        {"message:1..5", "\"message\":\"3\"", 0},
        {"message:10.0.0.0/8", "\"message\":\"route 10.0.0.0/8\"", 1},
        {"message=refused", "\"message\":\"connection refused\"", 0},
        {"error.stack:Cart.java", "\"error.stack\":\"E\\n at Cart.java:12\"", 1},
        {"error.message:refused", "\"error.message\":\"connection refused\"", 0},
        {"message:5", "\"message\":\"15 items\"", 1},
    };
    CHECK_ROWS(rows);
}

TEST(equals_is_exact)
{
    static const struct row rows[] = {
        {"user=bob", "\"user\":\"bob\"", 1},
        {"user=bob", "\"user\":\"Bob\"", 0},
        {"user = bob", "\"user\":\"bob\"", 1},
        {"user= bob", "\"user\":\"bob\"", 1},
        {"user =bob", "\"user\":\"bob\"", 1},
        {"user=bob*", "\"user\":\"bobby\"", 0},
        {"user=bob*", "\"user\":\"bob*\"", 1},
        {"user=(ann, bob)", "\"user\":\"bob\"", 1},
        {"user=(ann or \"bob smith\")", "\"user\":\"bob smith\"", 1},
        {"user!=bob", "\"user\":\"bob\"", 0},
        {"user!=bob", "\"user\":\"Bob\"", 1},
        {"user!=bob", "", 1},
        {"user!=bob", "\"user\":null", 1},
        {"user!=(ann,bob)", "\"user\":\"bob\"", 0},
        {"user!=(ann,bob)", "\"user\":\"eve\"", 1},
        {"-user!=bob", "", 0},
        {"status=500", "\"status\":500", 1},
        {"status=500", "\"status\":5e2", 1},
        {"status=500", "\"status\":\"500\"", 1},
        {"status!=500", "\"status\":500", 0},
        {"ip=10.0.0.0/8", "\"ip\":\"10.0.0.1\"", 0},
        {"user=\"\"", "\"user\":\"\"", 1},
        {"type = \"db.connect.failed\"", "\"type\":\"db.connect.failed\"", 1},
        {"kind = \"http\" and http.path:/checkout*", "\"kind\":\"http\",\"http.path\":\"/checkout\"", 1},
    };
    CHECK_ROWS(rows);
}

TEST(order_compares_numbers_with_numbers_and_text_with_text)
{
    static const struct row rows[] = {
        {"status>=500", "\"status\":500", 1},
        {"status>500", "\"status\":500", 0},
        {"status > 500", "\"status\":501", 1},
        {"status<500", "\"status\":404.5", 1},
        {"status<=500", "\"status\":500", 1},
        {"status<=500", "\"status\":501", 0},
        {"status>=500", "\"status\":\"503\"", 1},
        {"status>=500", "\"status\":\"abc\"", 0},
        {"status>=500", "", 0},
        {"-status>=500", "", 1},
        {"status<500", "\"status\":null", 0},
        {"status>9", "\"status\":10", 1}, /* not as text */
        {"x>-5", "\"x\":-4", 1},
        {"x<-5", "\"x\":-6e0", 1},
        {"x>9007199254740992", "\"x\":9007199254740993", 1},
        {"x<-9007199254740992", "\"x\":-9007199254740993", 1},
        {"x>18446744073709551615", "\"x\":18446744073709551616", 1},
        {"release>=\"1.2.3\"", "\"release\":\"1.2.4\"", 1},
        {"release<\"1.2.3\"", "\"release\":\"1.2.4\"", 0},
        {"name>b", "\"name\":\"c\"", 1},
        {"name>b", "\"name\":5", 0},
        {"ok>false", "\"ok\":true", 0},
        {"x>(5,10)", "\"x\":7", 1},
        {"x>\"5\"", "\"x\":7", 1},
    };
    CHECK_ROWS(rows);
}

TEST(units_meet_the_unit_of_the_field)
{
    static const struct row rows[] = {
        {"d>1.5s", "\"d\":2", 1}, /* no unit in the name: seconds */
        {"d>1.5s", "\"d\":1.5", 0},
        {"d>1500ms", "\"d\":1.6", 1},
        {"http.duration_ms>1.5s", "\"http.duration_ms\":1501", 1},
        {"http.duration_ms>1.5s", "\"http.duration_ms\":1500", 0},
        {"http.duration_ms:1.5s", "\"http.duration_ms\":1500", 1},
        {"http.duration_ms=0.07s", "\"http.duration_ms\":70", 1},
        {"tookMs>=2s", "\"tookMs\":2000", 1},
        {"took.us>=2ms", "\"took.us\":2000", 1},
        {"took_ns<1us", "\"took_ns\":999", 1},
        {"d:1s..2s", "\"d\":1.5", 1},
        {"d_ms:1s..2s", "\"d_ms\":1500", 1},
        {"d_ms:1s..2s", "\"d_ms\":2500", 0},
        {"d>1m", "\"d\":61", 1},
        {"d>1h", "\"d\":3599", 0},
        {"d>=1d", "\"d\":86400", 1},
        {"d>1s", "\"d\":\"1500ms\"", 1}, /* the field has its own unit */
        {"d:1.5s", "\"d\":\"1500ms\"", 1},
        {"d>1", "\"d\":\"1500ms\"", 0},
        {"size>10MB", "\"size\":10000001", 1},
        {"size>10MiB", "\"size\":10000001", 0},
        {"size>1kB", "\"size\":1001", 1},
        {"size:1GiB", "\"size\":1073741824", 1},
        {"size_mb>1GB", "\"size_mb\":1001", 1},
        {"size.kib:1MiB", "\"size.kib\":1024", 1},
        {"size>1kB", "\"size\":\"2 kB\"", 0},
        {"size>1kB", "\"size\":\"2kB\"", 1},
        {"size>1kB", "\"size\":\"2s\"", 0},
        {"items>5s", "\"items\":6", 1}, /* "items" does not end in ms */
    };
    CHECK_ROWS(rows);
}

TEST(addresses_and_blocks_of_them)
{
    static const struct row rows[] = {
        {"ip:10.0.0.0/8", "\"ip\":\"10.1.2.3\"", 1},
        {"ip:10.0.0.0/8", "\"ip\":\"11.0.0.1\"", 0},
        {"ip:10.1.2.3/8", "\"ip\":\"10.255.255.255\"", 1},
        {"ip:192.168.1.128/25", "\"ip\":\"192.168.1.127\"", 0},
        {"ip:0.0.0.0/0", "\"ip\":\"8.8.8.8\"", 1},
        {"ip:0.0.0.0/0", "\"ip\":\"2001:db8::1\"", 0},
        {"ip:10.0.0.1/32", "\"ip\":\"10.0.0.1\"", 1},
        {"ip:10.0.0.0/8", "\"ip\":\"::ffff:10.0.0.1\"", 1},
        {"ip:10.0.0.0/8", "\"ip\":\"10.0.0.0/8\"", 1},
        {"ip:10.0.0.0/8", "\"ip\":\"10.0.0.1x\"", 0},
        {"ip:10.0.0.0/8", "\"ip\":10", 0},
        {"ip:10.0.0.1", "\"ip\":\"10.0.0.1\"", 1},
        {"ip:2001:db8::/32", "\"ip\":\"2001:db8:1::5\"", 1},
        {"ip:2001:db8::/32", "\"ip\":\"2001:db9::\"", 0},
        {"ip:2001:DB8::1", "\"ip\":\"2001:0db8:0:0::1\"", 1},
        {"ip:(fe80::/10,10.0.0.0/8)", "\"ip\":\"fe80::1\"", 1},
        {"ip:10.0.0.1..10.0.0.9", "\"ip\":\"10.0.0.5\"", 1},
        {"ip:10.0.0.1..10.0.0.9", "\"ip\":\"10.0.0.10\"", 0},
        {"-ip:10.0.0.0/8", "", 1},
        {"ip:10.0.0.0/33", "\"ip\":\"10.0.0.1\"", 0},
        {"path:a/8", "\"path\":\"a/8\"", 1},
    };
    CHECK_ROWS(rows);
}

TEST(tilde_is_a_regular_expression)
{
    static const struct row rows[] = {
        {"~\"re[g-z]used\"", "\"message\":\"refused\"", 0},
        {"~\"re[a-f]+used\"", "\"message\":\"was refused\"", 1},
        {"~refus.d", "\"other\":\"refused\"", 1},
        {"~REFUSED", "\"other\":\"refused\"", 0},
        {"~\"(?i)REFUSED\"", "\"other\":\"refused\"", 1},
        {"~\"2026\"", "", 0},
        {"path~\"^/api/v[12]/\"", "\"path\":\"/api/v2/x\"", 1},
        {"path ~ \"^/api/v[12]/\"", "\"path\":\"/api/v3/x\"", 0},
        {"path~\"\\d+$\"", "\"path\":\"/x/42\"", 1}, /* a backslash needs no other */
        {"path~\"\\\\d+$\"", "\"path\":\"/x/42\"", 1},
        {"path!~\"^/api\"", "\"path\":\"/x\"", 1},
        {"path!~\"^/api\"", "\"path\":\"/api\"", 0},
        {"path!~\"^/api\"", "", 1},
        {"path~x", "", 0},
        {"status~\"^5..$\"", "\"status\":503", 1},
        {"path~(^a,^b)", "\"path\":\"bb\"", 1},
        {"foo ~bar", "\"m\":\"foo bar\"", 1}, /* two terms */
        {"foo ~bar", "\"foo\":\"bar\"", 0},
        {"-~bar", "\"m\":\"bar\"", 0},
        {"m~\"a$\"", "\"m\":\"a\\n\"", 0}, /* $ is the very end */
        {"m~\"^.$\"", "\"m\":\"é\"", 1},
        {"m~\"\\Qa.b\\E\"", "\"m\":\"a.b\"", 1},
        {"m~\"[[:alpha:]]{3}\"", "\"m\":\"abc\"", 1},
        {"m~\"(?P<x>a)(?:b)\"", "\"m\":\"ab\"", 1},
        {"m~\"\"", "\"m\":\"\"", 1},
    };
    CHECK_ROWS(rows);
}

TEST(time_is_compared_as_time)
{
    static const struct row rows[] = {
        /* the event: 2026-11-25T09:35:21.123Z */
        {"time>=2026-11-25T09:35:21.123Z", "", 1},
        {"time>2026-11-25T09:35:21.123Z", "", 0},
        {"time>=\"2026-11-25 09:35:00\"", "", 1},
        {"time<2026-11-25T09:35:22Z", "", 1},
        {"time<=2026-11-25T09:35:21Z", "", 0},
        {"time>=2026-11-25", "", 1},
        {"time<2026-11-25", "", 0},
        {"time:2026-11-25", "", 1},
        {"time:2026-11-24", "", 0},
        {"time:2026-11-25T09:35", "", 1},
        {"time:2026-11-25T09:35:21", "", 1},
        {"time:2026-11-25T09:35:20", "", 0},
        {"time=2026-11-25T09:35:21", "", 0},
        {"time=2026-11-25T10:35:21.123+01:00", "", 1},
        {"time!=2026-11-25T09:35:21.123Z", "", 0},
        {"time:2026-11-24..2026-11-25", "", 1},
        {"time:2026-11-20..2026-11-24", "", 0},
        {"time:(2026-11-20,2026-11-25)", "", 1},
        {"time:2026-11-25T09:*", "", 1},
        {"time:*", "", 1},
        {"time~\"T09:\"", "", 1},
        {"time!~\"T09:\"", "", 0},
        {"time:(2026-11-20,*:21.123Z)", "", 1},
        {"time>=1795599321", "", 1},
        {"time>1795599322", "", 0},
        {"-time>=2027-01-01", "", 1},
    };
    CHECK_ROWS(rows);
}

TEST(level_is_ordinal_and_has_bands)
{
    static const struct {
        const char *query;
        int low, high; /* the severities that match */
    } rows[] = {
        {"level:error", 17, 20},
        {"level:ERR", 17, 20},
        {"level:crit", 18, 18},
        {"level:alert", 19, 20},
        {"level:warn", 13, 16},
        {"level:info", 9, 12},
        {"level:notice", 10, 12},
        {"level:debug", 5, 8},
        {"level:trace", 1, 4},
        {"level:fatal", 21, 24},
        {"level:emergency", 21, 24},
        {"level:18", 18, 18},
        {"level=error", 17, 17},
        {"level=critical", 18, 18},
        {"level=17", 17, 17},
        {"level>=warn", 13, 24},
        {"level >= error", 17, 24},
        {"level>error", 18, 24},
        {"level<info", 1, 8},
        {"level<=critical", 1, 18},
        {"level>=13", 13, 24},
        {"level:warn..error", 13, 20},
        {"level:13..14", 13, 14},
        {"level:(warn,error)", 13, 20},
        {"level:err*", 17, 17},
        {"level:*", 1, 24},
        {"level~\"^(warn|error)$\"", 13, 17},
        {"-level>=warn", 1, 12},
        {"severity_number>=17", 17, 24},
        {"severity_number:9..12", 9, 12},
        {"severity_number=17", 17, 17},
        {"severity_number~^2", 20, 24},
        {"level:\"warn\"", 13, 16},
        {"level:info2", 10, 12},
        {"not level<warn", 13, 24},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        for (int s = 1; s <= 24; s++) {
            read_event(s, "");
            bool is = matches(rows[i].query), want = s >= rows[i].low && s <= rows[i].high;
            if (str_eq(str_of(rows[i].query), S("severity_number~^2")))
                want = s == 2 || s >= 20;
            if (is != want) {
                printf("%s on severity %d: %d\n", rows[i].query, s, is);
                unit_failed = true;
            }
        }
    read_event(17, "");
    CHECK(!matches("level!=error"));
    CHECK(matches("level!=warn"));
    CHECK(!matches("level!~r"));
}

TEST(errors_carry_the_column_and_what_was_expected)
{
    static const struct {
        const char *query;
        size_t column;
        const char *text; /* that the error has in it */
    } rows[] = {
        {"level>=", 8, "expected a value after '>=', got the end of the query"},
        {"level:", 7, "expected a value after ':', got the end of the query"},
        {"a=  ", 5, "expected a value after '='"},
        {"(a", 3, "expected the ')' of the '(' at column 1, got the end of the query"},
        {"x (a or (b c)", 14, "the '(' at column 3"},
        {"a)", 2, "expected the end of the filter, got ')'"},
        {"()", 2, "expected a filter, got ')'"},
        {"a or", 5, "expected a filter, got the end of the query"},
        {"or a", 1, "expected a filter, got 'or'"},
        {"a and or b", 7, "expected a filter, got 'or'"},
        {"not", 4, "expected a filter after 'not'"},
        {"say \"hello", 5, "expected a closing '\"'"},
        {"a=\"x", 3, "expected a closing '\"'"},
        {"a==b", 3, "expected a value after '=', got '=b'"},
        {"a=~b", 3, "expected a value after '=', got '~b'"},
        {"stars:>=5", 7, "expected a value after ':', got '>=5'"},
        {"a:(b c)", 6, "expected ',' or 'or' or the ')' of the list at column 3, got 'c)'"},
        {"a:(b,)", 6, "expected a value after ',', got ')'"},
        {"a:()", 4, "expected a value after '('"},
        {"a:(b", 5, "the list at column 3, got the end"},
        {"`a b`", 6, "expected an operator after the field `a b`"},
        {"`a b` c", 7, "expected an operator after the field `a b`, got 'c'"},
        {"a | b", 3, "expected the end of the filter, got '|'"},
        {"(a|b)", 3, "text with a | in it goes in double quotes"},
        {"level:loud", 7, "field 'level': expected trace, debug"},
        {"x level>=30", 10, "got '30'"},
        {"level:(warn,loud)", 13, "got 'loud'"},
        {"time>=-15m", 7, "field 'time': expected a time as 2026-01-02T03:04:05Z or epoch, got '-15m'"},
        {"time:yesterday", 6, "expected a time"},
        {"d:1s..2MB", 3, "expected a range with the same unit"},
        {"~\"a(\"", 5, "this regular expression is wrong: missing closing parenthesis"},
        {"f~\"(a)\\1\"", 7, "no backreferences"},
        {"f~\"\\\\\\\\(?=x)\"", 8, "no lookahead"},
        {"f~\"(?!x)\"", 4, "no lookahead"},
        {"f~\"a(?<=x)\"", 5, "no lookbehind"},
        {"f~\"(?<!x)\"", 4, "no lookbehind"},
        {"f~\"(?>x)\"", 4, "no atomic groups"},
        {"f~\"a++\"", 6, "no possessive repeats"},
        {"f~\"a{2}+\"", 8, "no possessive repeats"},
        {"f~\"(?R)\"", 4, "no recursion"},
        {"f~\"(?1)\"", 4, "no recursion"},
        {"f~\"(?P>x)\"", 4, "no backreferences or recursion"},
        {"f~\"(?(1)a)\"", 4, "no conditions"},
        {"f~\"(?x)\"", 4, "no such '(?' group"},
        {"f~\"(*LIMIT_MATCH=9)a\"", 4, "no verbs"},
        {"f~\"\\k<a>\"", 4, "no backreferences"},
        {"f~\"\\K\"", 4, "'\\K' is not known"},
        {"f~\"\\Ga\"", 4, "'\\G' is not known"},
        {"f~\"[\\b]\"", 5, "'\\b' is not known inside [ ]"},
        {"f~\"[[.a.]]\"", 5, "wrong"},
        {"f~\"a{1001}\"", 5, "expected at most 1000 repeats"},
        {"f~\"a{3,1001}\"", 5, "expected at most 1000 repeats"},
        {"f~\"[a\"", 6, "wrong"},
        {"f~\"(((a{500}){500}){500})\"", 26, "wrong"},
        {"\xff", 1, "expected UTF-8"},
        {"é \xff", 3, "expected UTF-8"},
        {"é é)", 4, "expected the end of the filter"}, /* characters, not bytes */
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct filter *f = NULL;
        struct err e = {0};
        if (filter_parse(str_of(rows[i].query), &f, &e) == 0) {
            printf("%s: not refused\n", rows[i].query);
            unit_failed = true;
            filter_free(f);
        } else if (e.kind != ERR_INPUT || e.column != rows[i].column || !strstr(e.text, rows[i].text)) {
            printf("%s: column %zu, not %zu: %s\n", rows[i].query, e.column, rows[i].column, e.text);
            unit_failed = true;
        }
    }
}

static void check_refused(const char *unit, size_t n, const char *text)
{
    struct buf b = BUF_INIT(1 << 20);
    struct filter *f = NULL;
    struct err e = {0};
    for (size_t i = 0; i < n; i++)
        buf_str(&b, str_of(unit));
    CHECK(filter_parse(buf_view(&b), &f, &e) < 0 && e.column > 0);
    if (!strstr(e.text, text))
        printf("%s x %zu: %s\n", unit, n, e.text), unit_failed = true;
    filter_free(f);
    buf_done(&b);
}

TEST(hostile_sizes_are_refused_before_the_stack_or_memory_suffer)
{
    check_refused("(", 8000, "at most 64 open groups");
    check_refused("not ", 2000, "at most 64 open groups");
    check_refused("a ", 2000, "at most 1000 terms");
    check_refused("a", 9000, "at most 8192 bytes");
    check_refused("a(", 4000, "at most 64 open groups");
    check_refused("f~(", 2000, "expected");
}

TEST(a_regex_that_runs_away_is_given_up_and_told)
{
    char as[2001], fields[3000];
    memset(as, 'a', sizeof as - 1);
    as[sizeof as - 1] = '\0';
    snprintf(fields, sizeof fields, "\"m\":\"%s!\"", as);
    read_event(17, fields);
    struct filter *f = parsed(S("m~\"^(a+)+$\""));
    clock_t start = clock();
    CHECK(!filter_match(f, &ev, &scratch));
    CHECK(clock() - start < CLOCKS_PER_SEC / 4);
    CHECK_INT(filter_gave_up(f), 1);
    filter_free(f);
}

static void *match_often(void *filter)
{
    struct arena a = {0};
    intptr_t n = 0;
    for (int i = 0; i < 2000; i++) {
        arena_reset(&a);
        n += filter_match(filter, &ev, &a);
    }
    arena_done(&a);
    return (void *)n;
}

TEST(one_filter_is_matched_by_many_threads)
{
    pthread_t threads[4];
    struct filter *f = parsed(S("~\"re(f|g)used\" m~\"(a+)+!\" level>=warn -user:b*"));
    read_event(17, "\"message\":\"was refused\",\"m\":\"aaaa!\",\"user\":\"ann\"");
    for (size_t i = 0; i < LENGTH(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, match_often, f) == 0);
    for (size_t i = 0; i < LENGTH(threads); i++) {
        void *n;
        CHECK(pthread_join(threads[i], &n) == 0);
        CHECK_INT((intptr_t)n, 2000);
    }
    filter_free(f);
}

/* ---- random filters against an evaluator of another kind: it knows the event as a table of C strings and the filter
 * as a tree that it made itself, and does everything the slow way ---- */

static uint64_t seed;
static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

enum { COLUMNS = 6 };
static const char *const names[COLUMNS] = {"user", "message", "status", "took_ms", "ip", "tags"};
struct cell {
    char kind; /* 0 missing, s text, n number, j array */
    char text[40];
};
struct model {
    int severity;
    struct cell cells[COLUMNS];
};

static const char *pick(const char *const *from, size_t n) { return from[random_below((uint32_t)n)]; }
#define PICK(array) pick(array, LENGTH(array))
static const char *const texts[] = {"ann",      "Bob", "bobby", "a b",  "",    "x*y", "10.0.0.7",
                                    "10.9.0.1", "500", "0.5s",  "a\"b", "\\d", "or",  "a,b"};
static const char *const numbers[] = {
    "500", "404", "0", "-3.5", "500.0", "1500", "2e3", "9007199254740993", "9007199254740992"};
static const char *const arrays[] = {"[\"ann\",\"bob\"]", "[1,500]", "[]"};

static void make_model(struct model *m)
{
    m->severity = (int)random_below(24) + 1;
    for (size_t i = 0; i < COLUMNS; i++) {
        struct cell *c = &m->cells[i];
        c->kind = "0ssnnj"[random_below(6)];
        if (c->kind == '0')
            c->kind = 0;
        snprintf(c->text, sizeof c->text, "%s",
                 c->kind == 's'   ? PICK(texts)
                 : c->kind == 'n' ? PICK(numbers)
                                  : PICK(arrays));
    }
}

static void read_model(const struct model *m)
{
    struct buf b = BUF_INIT(4096);
    for (size_t i = 0; i < COLUMNS; i++) {
        const struct cell *c = &m->cells[i];
        buf_printf(&b, "%s\"%s\":", i ? "," : "", names[i]);
        if (c->kind == 's')
            buf_json(&b, str_of(c->text));
        else
            buf_str(&b, c->kind ? str_of(c->text) : S("null"));
    }
    buf_byte(&b, '\0');
    read_event(m->severity, b.p);
    buf_done(&b);
}

struct wish {  /* a filter, as the test makes it */
    char kind; /* & | - t (text) c (compare) L (level) */
    struct wish *a, *b;
    size_t column;
    const char *op;
    const char *value; /* as meant, without quotes */
    bool quoted;
    int level;
};
static const char *const compare_ops[] = {":", ":", ":", "=", "!=", "~", "!~", ">", ">=", "<", "<="};
static const char *const level_ops[] = {"=", "!=", ">", ">=", "<", "<="};
static const char *const bare[] = {
    "ann",  "BOB",   "bob*",       "*b*",      "*",        "500", "404..600", "-5..0",
    "1.5s", "500ms", "10.0.0.0/8", "10.0.0.7", "0.4s..2s", "b",   "2000",     "9007199254740993"};
static const char *const in_quotes[] = {"ann", "a b", "", "x*y", "a\"b", "\\d", "500", "bob*"};
static const char *const patterns[] = {"^b", "[0-9]+", "b+y", "a.b", "5$", "^$"};

static struct wish *make_wish(struct arena *a, int depth)
{
    struct wish *w = arena_zero(a, sizeof *w);
    uint32_t r = random_below(depth > 0 ? 10 : 5);
    if (r >= 5) {
        w->kind = "&&||-"[r - 5];
        w->a = make_wish(a, depth - 1);
        w->b = make_wish(a, depth - 1);
    } else if (r == 0) {
        w->kind = 't';
        w->quoted = true;
        w->value = PICK(in_quotes);
    } else if (r == 1) {
        w->kind = 'L';
        w->op = PICK(level_ops);
        w->level = (int)random_below(24) + 1;
    } else {
        w->kind = 'c';
        w->column = random_below(COLUMNS);
        w->op = PICK(compare_ops);
        w->quoted = strchr(w->op, '~') || random_below(3) == 0;
        w->value = strchr(w->op, '~') ? PICK(patterns) : w->quoted ? PICK(in_quotes) : PICK(bare);
    }
    return w;
}

static void write_wish(const struct wish *w, struct buf *b)
{
    switch (w->kind) {
    case '&':
    case '|':
        buf_byte(b, '(');
        write_wish(w->a, b);
        buf_str(b, str_of(w->kind == '|' ? " or " : random_below(2) ? " and " : " "));
        write_wish(w->b, b);
        buf_byte(b, ')');
        return;
    case '-':
        buf_str(b, random_below(2) ? S("-") : S("not "));
        write_wish(w->a, b);
        return;
    case 'L': buf_printf(b, "level%s%d", w->op, w->level); return;
    default:
        if (w->kind == 'c')
            buf_printf(b, "%s%s", names[w->column], w->op);
        if (!w->quoted) {
            buf_str(b, str_of(w->value));
            return;
        }
        buf_byte(b, '"');
        for (const char *p = w->value; *p; p++)
            buf_printf(b, "%s%c", *p == '"' || (*p == '\\' && random_below(2)) ? "\\" : "", *p);
        buf_byte(b, '"');
    }
}

static bool slow_glob(const char *p, const char *s)
{
    if (*p == '*')
        return slow_glob(p + 1, s) || (*s && slow_glob(p, s + 1));
    if (!*p || !*s)
        return !*p && !*s;
    int x = *p >= 'A' && *p <= 'Z' ? *p + 32 : *p, y = *s >= 'A' && *s <= 'Z' ? *s + 32 : *s;
    return x == y && slow_glob(p + 1, s + 1);
}

/* Milliseconds when there is a unit; the long double holds every number of this test. */
static bool slow_number(const char *s, long double *ret, bool *ret_unit)
{
    char *end;
    if (!*s || strspn(s, "-0123456789.e") == 0 || *s == '.' || *s == 'e')
        return false;
    long double v = strtold(s, &end);
    *ret_unit = *end;
    if (strcmp(end, "s") == 0)
        v *= 1000;
    else if (*end && strcmp(end, "ms") != 0)
        return false;
    *ret = v;
    return true;
}

/* The number in the cell, in the literal's unit; took_ms is in milliseconds, all else is in seconds. */
static bool cell_number(const struct cell *c, size_t column, bool unit, long double *ret)
{
    bool own;
    if (c->kind == 'j' || !slow_number(c->text, ret, &own))
        return false;
    if (unit && !own)
        *ret *= strcmp(names[column], "took_ms") == 0 ? 1 : 1000;
    return unit || !own;
}

static bool slow_contains(const char *text, const char *pattern)
{
    char p[64];
    snprintf(p, sizeof p, "*%s*", pattern);
    return slow_glob(p, text);
}

static bool slow_literal_in(const char *text, const char *what)
{
    for (; *text || !*what; text++) {
        if (strncasecmp(text, what, strlen(what)) == 0)
            return true;
        if (!*text)
            return false;
    }
    return false;
}

static bool slow_human(const struct wish *w, const struct cell *c)
{
    long double x, low, high;
    bool unit, unit2;
    char copy[64], *dots;
    bool glob = !w->quoted && strchr(w->value, '*');
    if (!w->quoted && strcmp(w->value, "*") == 0)
        return true;
    if (c->kind == 'j' || strcmp(names[w->column], "message") == 0)
        return glob ? slow_contains(c->text, w->value) : slow_literal_in(c->text, w->value);
    if (glob ? slow_glob(w->value, c->text) : strcasecmp(w->value, c->text) == 0)
        return true;
    if (!w->quoted && strcmp(w->value, "10.0.0.0/8") == 0)
        return strncmp(c->text, "10.", 3) == 0 && strlen(c->text) == 8;
    snprintf(copy, sizeof copy, "%s", w->value);
    if (!w->quoted && (dots = strstr(copy, ".."))) {
        *dots = '\0';
        return slow_number(copy, &low, &unit) && slow_number(dots + 2, &high, &unit2) &&
               cell_number(c, w->column, unit, &x) && x >= low && x <= high;
    }
    return slow_number(w->value, &low, &unit) && (unit || c->kind == 'n') && cell_number(c, w->column, unit, &x) &&
           x == low;
}

static bool slow_regex(const char *pattern, const char *text)
{
    regex_t re;
    assert(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    bool is = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return is;
}

static bool slow_ordered(const struct wish *w, const struct cell *c)
{
    long double x, y;
    bool unit;
    int cmp;
    if (slow_number(w->value, &y, &unit)) {
        if (!cell_number(c, w->column, unit, &x))
            return false;
        cmp = x < y ? -1 : x > y;
    } else {
        if (c->kind != 's')
            return false;
        cmp = strcmp(c->text, w->value);
    }
    return w->op[1] == '=' && cmp == 0 ? true : w->op[0] == '>' ? cmp > 0 : cmp < 0;
}

static bool slow_compare(const struct wish *w, const struct cell *c)
{
    long double x, y;
    bool unit, negative = w->op[0] == '!', is;
    char op = negative ? w->op[1] : w->op[0];
    if (!c->kind)
        return negative;
    if (op == ':')
        is = slow_human(w, c);
    else if (op == '~')
        is = slow_regex(w->value, c->text);
    else if (op == '=')
        is = strcmp(c->text, w->value) == 0 || (slow_number(w->value, &x, &unit) && (unit || c->kind == 'n') &&
                                                cell_number(c, w->column, unit, &y) && x == y);
    else
        is = slow_ordered(w, c);
    return is != negative;
}

static bool slow_match(const struct wish *w, const struct model *m)
{
    switch (w->kind) {
    case '&': return slow_match(w->a, m) && slow_match(w->b, m);
    case '|': return slow_match(w->a, m) || slow_match(w->b, m);
    case '-': return !slow_match(w->a, m);
    case 'c': return slow_compare(w, &m->cells[w->column]);
    case 'L': {
        int d = m->severity - w->level;
        return w->op[0] == '!'             ? d != 0
               : w->op[0] == '='           ? d == 0
               : w->op[1] == '=' && d == 0 ? true
               : w->op[0] == '>'           ? d > 0
                                           : d < 0;
    }
    default:
        for (size_t i = 0; i < COLUMNS; i++)
            if ((m->cells[i].kind == 's' || m->cells[i].kind == 'j') && slow_literal_in(m->cells[i].text, w->value))
                return true;
        return slow_literal_in("shop", w->value) || slow_literal_in("EV-1", w->value);
    }
}

TEST(random_filters_agree_with_a_slow_evaluator)
{
    struct arena a = {0};
    struct buf b = BUF_INIT(1 << 20);
    size_t matched = 0;
    struct model m;
    seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 20000 && !unit_failed; i++) {
        arena_reset(&a);
        buf_reset(&b);
        make_model(&m);
        read_model(&m);
        struct wish *w = make_wish(&a, 3);
        write_wish(w, &b);
        buf_byte(&b, '\0');
        bool is = matches(b.p), want = slow_match(w, &m);
        matched += is;
        if (is != want) {
            printf("%s is %d, not %d, on %.*s\n", b.p, is, want, STR_ARG(ev.line));
            unit_failed = true;
        }
    }
    CHECK(matched > 4000 && matched < 16000);
    arena_done(&a);
    buf_done(&b);
}

TEST(random_bytes_parse_or_are_refused_and_print_back)
{
    static const char alphabet[] = "ab f:=!~<>()|,\"\\`*-. \n05/orntd@\xc3\xa9";
    read_event(17, "\"f\":\"a\",\"a\":5,\"message\":\"b\"");
    seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    size_t good = 0;
    for (int i = 0; i < 50000 && !unit_failed; i++) {
        char q[24];
        size_t n = random_below(sizeof q - 1);
        for (size_t k = 0; k < n; k++)
            q[k] = alphabet[random_below(sizeof alphabet - 1)];
        q[n] = '\0';
        struct filter *f;
        struct err e;
        if (filter_parse(str_n(q, n), &f, &e) < 0) {
            CHECK(e.column >= 1 && e.column <= n + 1 && e.text[0]);
            continue;
        }
        good++;
        filter_free(f);
        (void)matches(q);
    }
    CHECK(good > 1000);
}

TEST(the_finder_finds_what_a_slow_search_finds)
{
    char hay[300], needle[8];
    seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 50000 && !unit_failed; i++) {
        size_t n = random_below(sizeof hay), m = random_below(sizeof needle);
        for (size_t k = 0; k < n; k++)
            hay[k] = "aAbB\"[{@`e"[random_below(10)];
        for (size_t k = 0; k < m; k++)
            needle[k] = "ab\"[{@`e"[random_below(8)];
        struct finder f;
        finder_init(&f, str_n(needle, m));
        CHECK_INT(find_nocase(&f, str_n(hay, n)), str_find_nocase(str_n(hay, n), str_n(needle, m)));
    }
}

UNIT_MAIN
