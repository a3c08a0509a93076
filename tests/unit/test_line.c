#include "event/line.h"
#include "event/json.h"
#include "unit.h"

static const usec now = 1795478400LL * USEC_PER_SEC; /* 2026-11-24T00:00:00Z */

static const struct {
    enum line_format had;
    const char *line, *members;
} lines[] = {
    /* web servers, from their own captures */
    {LINE_ACCESS,
     "127.0.0.1 - - [23/Nov/2026:16:03:20 +0000] \"GET /a b?x=1 HTTP/1.1\" 404 153 \"https://ref.example/\" "
     "\"curl \\x22q\\x22 \\x5C \\xC3\\xBC\"",
     "\"time\":\"2026-11-23T16:03:20Z\",\"ip\":\"127.0.0.1\",\"http.method\":\"GET\",\"http.path\":\"/a b?x=1\","
     "\"http.protocol\":\"HTTP/1.1\",\"http.status\":404,\"http.bytes\":153,\"http.referrer\":\"https://ref.example/\","
     "\"http.user_agent\":\"curl \\\"q\\\" \\\\ ü\",\"message\":\"GET /a b?x=1 HTTP/1.1 404\""},
    {LINE_ACCESS, "::1 - frank van dam [10/Oct/2026:13:55:36 -0700] \"POST / HTTP/2.0\" 200 -",
     "\"time\":\"2026-10-10T20:55:36Z\",\"ip\":\"::1\",\"user\":\"frank van dam\",\"http.method\":\"POST\","
     "\"http.path\":\"/\",\"http.protocol\":\"HTTP/2.0\",\"http.status\":200,\"message\":\"POST / HTTP/2.0 200\""},
    {LINE_ACCESS, "shop.example:80 10.0.0.1 - - [23/Nov/2026:16:03:52 +0000] \"\\x16\\x03\" 400 0 \"-\" \"-\" 609",
     "\"time\":\"2026-11-23T16:03:52Z\",\"ip\":\"10.0.0.1\",\"http.status\":400,\"http.bytes\":0,"
     "\"http.host\":\"shop.example:80\",\"rest\":\"609\",\"message\":\"\\u0016\\u0003 400\""},
    {LINE_NGINX_ERROR,
     "2026/11/23 16:03:20 [error] 28383#28384: *3 open() \"/srv/x\" failed (2: No such file), client: 127.0.0.1, server: "
     ", request: \"GET /missing HTTP/1.1\", host: \"h:1\", referrer: \"https://ref.example/?a=b, c\"",
     "\"time\":\"2026-11-23T16:03:20Z\",\"level\":\"error\",\"pid\":28383,\"connection\":\"3\",\"ip\":\"127.0.0.1\","
     "\"http.method\":\"GET\",\"http.path\":\"/missing\",\"http.protocol\":\"HTTP/1.1\",\"http.host\":\"h:1\","
     "\"http.referrer\":\"https://ref.example/?a=b, c\",\"message\":\"open() \\\"/srv/x\\\" failed (2: No such file)\""},
    {LINE_NGINX_ERROR, "2026/11/23 16:03:20 [notice] 1#1: start worker processes",
     "\"time\":\"2026-11-23T16:03:20Z\",\"level\":\"notice\",\"pid\":1,\"message\":\"start worker processes\""},
    {LINE_APACHE_ERROR,
     "[Mon Nov 23 16:03:52.545205 2026] [core:error] [pid 28514:tid 28540] [client 127.0.0.1:48382] AH10244: invalid URI",
     "\"time\":\"2026-11-23T16:03:52.545205Z\",\"level\":\"error\",\"logger\":\"core\",\"pid\":28514,"
     "\"ip\":\"127.0.0.1\",\"message\":\"AH10244: invalid URI\""},
    {LINE_APACHE_ERROR, "[Mon Nov 23 16:03:52 2026] [error] [client 2001:db8::1] File does not exist: /x",
     "\"time\":\"2026-11-23T16:03:52Z\",\"level\":\"error\",\"ip\":\"2001:db8::1\","
     "\"message\":\"File does not exist: /x\""},
    {LINE_APACHE_ERROR, "[Mon Nov 23 16:03:52 2026] [ssl:info] [pid 1] [client [2001:db8::1]:443] [x] AH1: a",
     "\"time\":\"2026-11-23T16:03:52Z\",\"level\":\"info\",\"logger\":\"ssl\",\"pid\":1,\"ip\":\"2001:db8::1\","
     "\"message\":\"AH1: a\""},
    /* syslog */
    {LINE_SYSLOG,
     "<165>1 2003-10-11T22:14:15.003000-07:00 host app 8710 ID47 [ex@1 a=\"x\\\"]y\" b=\"2\"][z] \xEF\xBB\xBFtext",
     "\"time\":\"2003-10-12T05:14:15.003000Z\",\"level\":\"notice\",\"facility\":\"local4\",\"host\":\"host\","
     "\"service\":\"app\",\"pid\":8710,\"msgid\":\"ID47\",\"ex@1.a\":\"x\\\"]y\",\"ex@1.b\":\"2\",\"message\":\"text\""},
    {LINE_SYSLOG, "<34>1 - - - - - - x", "\"level\":\"critical\",\"facility\":\"auth\",\"message\":\"x\""},
    {LINE_SYSLOG, "<34>1 - - - - - [a b=\"c",
     "\"level\":\"critical\",\"facility\":\"auth\",\"message\":\"[a b=\\\"c\""},
    {LINE_SYSLOG, "<13>Nov  3 15:54:25 web1 app[42]: hello \"q\" \\ back\n",
     "\"time\":\"2026-11-03T15:54:25Z\",\"level\":\"notice\",\"facility\":\"user\",\"host\":\"web1\","
     "\"service\":\"app\",\"pid\":42,\"message\":\"hello \\\"q\\\" \\\\ back\""},
    {LINE_SYSLOG, "<14>hello", "\"level\":\"info\",\"facility\":\"user\",\"message\":\"hello\""},
    {LINE_SYSLOG, "<190>Nov 23 16:03:20  nginx: 127.0.0.1 GET",
     "\"time\":\"2026-11-23T16:03:20Z\",\"level\":\"info\",\"facility\":\"local7\",\"service\":\"nginx\","
     "\"message\":\"127.0.0.1 GET\""},
    {LINE_SYSLOG, "<134>2026-11-23T15:50:08.717Z vm node[23839]:{\"a\":1}",
     "\"time\":\"2026-11-23T15:50:08.717Z\",\"level\":\"info\",\"facility\":\"local0\",\"host\":\"vm\","
     "\"service\":\"node\",\"pid\":23839,\"message\":\"{\\\"a\\\":1}\""},
    {LINE_SYSLOG, "2026-11-23T16:03:20.123456+01:00 web1 sshd[7]: Failed password for root from 10.0.0.1 port 22 ssh2",
     "\"time\":\"2026-11-23T15:03:20.123456Z\",\"host\":\"web1\",\"service\":\"sshd\",\"pid\":7,"
     "\"message\":\"Failed password for root from 10.0.0.1 port 22 ssh2\""},
    {LINE_SYSLOG, "Dec 31 23:59:59 web1 kernel: Out of memory", /* of last year: this one's is to come */
     "\"time\":\"2025-12-31T23:59:59Z\",\"host\":\"web1\",\"service\":\"kernel\",\"message\":\"Out of memory\""},
    {LINE_SYSLOG, "Nov 25 00:00:00 web1 a: tomorrow",
     "\"time\":\"2026-11-25T00:00:00Z\",\"host\":\"web1\",\"service\":\"a\",\"message\":\"tomorrow\""},
    {LINE_SYSLOG, "Feb 29 12:00:00 web1 a: leap",
     "\"time\":\"2024-02-29T12:00:00Z\",\"host\":\"web1\",\"service\":\"a\",\"message\":\"leap\""},
    {LINE_PLAIN, "<192>Nov 23 16:03:20 a b: c", "\"message\":\"<192>Nov 23 16:03:20 a b: c\""},
    {LINE_PLAIN, "<p>Nov", "\"message\":\"<p>Nov\""},
    /* JSON and logfmt */
    {LINE_JSON, " {\"level\":30, \"msg\":\"x\"}\r", "\"level\":30, \"msg\":\"x\""},
    {LINE_PLAIN, "{\"level\":30,", "\"message\":\"{\\\"level\\\":30,\""},
    {LINE_JSON, "{\"a\":NaN,\"b\":-Infinity}", "\"a\":NaN,\"b\":-Infinity"},
    {LINE_PLAIN, "{}", "\"message\":\"{}\""},
    {LINE_LOGFMT, "ts=2026-11-23T16:03:20Z level=warn msg=\"a \\\"b\\\"\" n=12 ok=true empty= v=1.0 id=007",
     "\"ts\":\"2026-11-23T16:03:20Z\",\"level\":\"warn\",\"msg\":\"a \\\"b\\\"\",\"n\":12,\"ok\":\"true\",\"v\":1.0,"
     "\"id\":\"007\""},
    {LINE_LOGFMT, "at=info path=/x", "\"at\":\"info\",\"path\":\"/x\",\"message\":\"at=info path=/x\""},
    {LINE_PLAIN, "a=1", "\"message\":\"a=1\""},
    {LINE_PLAIN, "x=1 and y=2 are set", "\"message\":\"x=1 and y=2 are set\""},
    /* text */
    {LINE_PLAIN, "2026-11-23 16:03:51,468 ERROR root: no \"x\"",
     "\"time\":\"2026-11-23T16:03:51.468Z\",\"level\":\"error\",\"message\":\"ERROR root: no \\\"x\\\"\""},
    {LINE_PLAIN, "2026-11-23 16:03:51.468 UTC [7] LOG:  checkpoint",
     "\"time\":\"2026-11-23T16:03:51.468Z\",\"message\":\"[7] LOG:  checkpoint\""},
    {LINE_PLAIN, "[2026-11-23T16:03:51+02:00] [main] WARN - a",
     "\"time\":\"2026-11-23T14:03:51Z\",\"level\":\"warn\","
     "\"message\":\"[main] WARN - a\""},
    {LINE_PLAIN, "2026-11-23 16:03:51 - app - critical - x",
     "\"time\":\"2026-11-23T16:03:51Z\",\"message\":\"- app - critical - x\""},
    {LINE_PLAIN, "ERROR:root:gone", "\"level\":\"error\",\"message\":\"ERROR:root:gone\""},
    {LINE_PLAIN, "  indented \t", "\"message\":\"  indented \\t\""},
    {LINE_PLAIN, "2026-11-23 16:03:51   ", "\"time\":\"2026-11-23T16:03:51Z\",\"message\":\"  \""},
    {LINE_PLAIN, "error in line 3", "\"message\":\"error in line 3\""},
    {LINE_PLAIN, "2026-13-23 16:03:51 x", "\"message\":\"2026-13-23 16:03:51 x\""},
    {LINE_PLAIN, "", "\"message\":\"\""},
};

TEST(each_line_becomes_the_members_it_says)
{
    struct line_place place = {.now = now};
    for (size_t i = 0; i < LENGTH(lines); i++) {
        struct buf out = BUF_INIT(1 << 20);
        enum line_format had = line_read(LINE_AUTO, str_of(lines[i].line), &place, &out);
        if (had != lines[i].had)
            printf("%s: read as %s\n", lines[i].line, line_format_name(had));
        CHECK(had == lines[i].had);
        CHECK_STR(buf_view(&out), str_of(lines[i].members));
        buf_done(&out);
    }
}

TEST(a_time_without_a_zone_is_of_the_place)
{
    struct zone *z = NULL;
    struct err e;
    struct buf out = BUF_INIT(1 << 20);
    CHECK(zone_open(S("Europe/Amsterdam"), &z, &e) == 0);
    struct line_place place = {.now = now, .zone = z};
    (void)line_read(LINE_AUTO, S("2026-07-23 16:03:51 x"), &place, &out);
    CHECK_STR(buf_view(&out), S("\"time\":\"2026-07-23T14:03:51Z\",\"message\":\"x\""));
    out.n = 0;
    (void)line_read(LINE_AUTO, S("Nov 23 16:03:51 h t: x"), &place, &out);
    CHECK(str_starts(buf_view(&out), S("\"time\":\"2026-11-23T15:03:51Z\"")));
    zone_free(z);
    buf_done(&out);
}

TEST(a_format_that_is_named_is_the_only_one_tried)
{
    struct line_place place = {.now = now};
    struct buf out = BUF_INIT(1 << 20);
    CHECK(line_read(LINE_LOGFMT, S("GET /x status=200 took=3ms"), &place, &out) == LINE_LOGFMT);
    CHECK_STR(buf_view(&out), S("\"status\":200,\"took\":\"3ms\",\"message\":\"GET /x\""));
    out.n = 0;
    CHECK(line_read(LINE_PLAIN, S("{\"a\":1}"), &place, &out) == LINE_PLAIN);
    CHECK_STR(buf_view(&out), S("\"message\":\"{\\\"a\\\":1}\""));
    out.n = 0;
    CHECK(line_read(LINE_ACCESS, S("{\"a\":1}"), &place, &out) == LINE_PLAIN);
    buf_done(&out);
    enum line_format f = LINE_AUTO;
    struct err e;
    CHECK(line_format_read(S("combined"), &f, &e) == 0 && f == LINE_ACCESS);
    CHECK(line_format_read(S("xml"), &f, &e) < 0 && strstr(e.text, "got \"xml\""));
    for (int i = LINE_AUTO; i < LINE_FORMATS; i++)
        CHECK(line_format_read(str_of(line_format_name((enum line_format)i)), &f, &e) == 0 && (int)f == i);
}

TEST(whatever_stands_in_a_line_the_members_are_json)
{
    static const char *const seeds[] = {
        "<165>1 2003-10-11T22:14:15.003000-07:00 host app 8710 ID47 [ex@1 a=\"x\"] text",
        "127.0.0.1 - - [23/Nov/2026:16:03:20 +0000] \"GET / HTTP/1.1\" 404 153 \"a\" \"b\"",
        "2026/11/23 16:03:20 [error] 2#8: *3 x, client: 1.1.1.1, host: \"h\"",
        "[Mon Nov 23 16:03:52.5 2026] [core:error] [pid 2:tid 8] [client ::1:4] A",
        "a=1 b=\"2\" c",
        "2026-11-23 16:03:51,468 ERROR x",
        "{\"a\":[1,\"b\"]}"};
    struct line_place place = {.now = now};
    struct buf out = BUF_INIT(1 << 20);
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < 200000; round++) {
        char text[128];
        str seed = str_of(seeds[round % (int)LENGTH(seeds)]);
        memcpy(text, seed.p, seed.n);
        for (int k = 0; k < 3; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            text[x % seed.n] = (char)(x >> 32);
        }
        out.n = 0;
        buf_byte(&out, '{');
        (void)line_read((enum line_format)(x >> 40 & 7), str_n(text, x >> 50 & 1 ? seed.n : (x >> 44) % seed.n), &place,
                        &out);
        buf_byte(&out, '}');
        CHECK(json_valid(buf_view(&out), 40) && out.n > 2);
        if (unit_failed) {
            printf("%.*s\n%.*s\n", (int)seed.n, text, (int)out.n, out.p);
            break;
        }
    }
    buf_done(&out);
}

UNIT_MAIN
