#include "event/json.h"
#include "intake/statsd.h"
#include "unit.h"

static struct statsd_line line;
static enum statsd_reason why;
static bool good(const char *text) { return statsd_read(str_of(text), &line, &why) == 0; }
static const char *refusal(const char *text) { return good(text) ? "" : statsd_reasons[why].name; }

static str event_of(const char *text)
{
    static struct buf out = BUF_INIT(64 << 10);
    buf_reset(&out);
    if (!good(text))
        return str_of("not read");
    if (statsd_event(&line, &out, &why) < 0)
        return str_of(statsd_reasons[why].name);
    CHECK(json_valid(buf_view(&out), 8));
    return buf_view(&out);
}

TEST(a_line_is_taken_apart)
{
    CHECK(good("page.views:1|c|@0.1|#page:home,beta|c:abc|T1656581400"));
    CHECK(line.kind == STATSD_COUNT && line.rate == 0.1 && line.time == 1656581400 * USEC_PER_SEC);
    CHECK_STR(line.name, S("page.views"));
    CHECK_STR(line.values, S("1"));
    CHECK_STR(line.tags, S("page:home,beta"));
    CHECK_STR(line.series, S("c|@0.1|#page:home,beta|c:abc|T1656581400"));
    static const struct {
        const char *text;
        enum statsd_kind kind;
    } kinds[] = {{"a:1|c", STATSD_COUNT},      {"a:1|g", STATSD_GAUGE},  {"a:1|ms", STATSD_TIMING},
                 {"a:1|h", STATSD_TIMING},     {"a:1|d", STATSD_TIMING}, {"a:x|s", STATSD_SET},
                 {"_e{1,0}:a|", STATSD_EVENT}, {"_sc|a|0", STATSD_CHECK}};
    for (size_t i = 0; i < LENGTH(kinds); i++)
        CHECK(good(kinds[i].text) && line.kind == kinds[i].kind);
}

TEST(several_numbers_of_one_metric_come_in_their_order)
{
    double v[4];
    bool by[4];
    CHECK(good("a:1:-2.5:+3:4e2|ms"));
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(statsd_value(&line.values, &v[i], &by[i]), 1);
    CHECK_INT(statsd_value(&line.values, &v[0], &by[0]), 0);
    CHECK(v[0] == 1 && v[1] == -2.5 && v[2] == 3 && v[3] == 400);
    CHECK(!by[0] && by[1] && by[2] && !by[3]);
}

TEST(what_is_no_number_is_none)
{
    static const char *const bad[] = {"",      "x",   "1x", "0x10", "inf", "nan",
                                      "1e999", "--1", " 1", "1 ",   "1,5", "11111111111111111111111111111111111111111"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        str values = {bad[i], strlen(bad[i])};
        double v;
        bool by;
        CHECK_INT(statsd_value(&values, &v, &by), -1);
    }
}

TEST(a_bad_line_has_its_reason)
{
    static const char *const cases[][2] = {
        {"x", "line"},         {":1|c", "line"},        {"x:|c", "line"},       {"x:1", "line"},
        {"x:1|", "type"},      {"x:1|z", "type"},       {"x:1|c|@0", "rate"},   {"x:1|c|@2", "rate"},
        {"x:1|c|@-1", "rate"}, {"x:1|c|@", "rate"},     {"x:1|c|T0", "line"},   {"x:1|c|Tx", "line"},
        {"\xff:1|c", "line"},  {"x:1|c|@1e-9", "rate"}, {"x:1|ms|@0.5|#a", ""}, {"x:1|c|what", ""},
        {"x:1|c||", ""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        CHECK_STR(str_of(refusal(cases[i][0])), str_of(cases[i][1]));
}

TEST(tags_are_pairs_and_a_bare_one_is_true)
{
    struct statsd_tag t[STATSD_TAGS];
    size_t n;
    CHECK(statsd_tags(S("a:1,b:x:y,,c,d:"), t, &n) == 0 && n == 4);
    CHECK_STR(t[1].value, S("x:y"));
    CHECK_STR(t[2].value, S("true"));
    CHECK_STR(t[3].value, S("true"));
    CHECK(statsd_tags(S(":x"), t, &n) < 0);
    CHECK(statsd_tags(S("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"), t, &n) == 0 && n == 32);
    CHECK(statsd_tags(S("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"), t, &n) < 0);
}

TEST(an_event_becomes_an_object)
{
    CHECK_STR(
        event_of("_e{5,8}:title|a\\nb|c\xc3\xa4|d:1656581400|h:web1|p:low|t:error|k:deploy|s:git|#env:prod,blue"),
        str_of(
            "{\"level\":\"error\",\"type\":\"statsd.event\",\"message\":\"title\",\"text\":\"a\\nb|c\xc3\xa4\","
            "\"time\":\"2022-06-30T09:30:00Z\",\"host\":\"web1\",\"importance\":\"low\",\"aggregation_key\":\"deploy\","
            "\"source_type\":\"git\",\"tags\":{\"env\":\"prod\",\"blue\":\"true\"}}"));
    CHECK_STR(event_of("_e{2,0}:\xc3\xa4\xc3\xa4|"),
              /* a client that counts characters */
              str_of("{\"level\":\"info\",\"type\":\"statsd.event\",\"message\":\"\xc3\xa4\xc3\xa4\"}"));
    static const char *const bad[] = {"_e{",
                                      "_e{5}:title|x",
                                      "_e{5,1}",
                                      "_e{9,1}:title|x",
                                      "_e{5,9}:title|x",
                                      "_e{0,1}:|x",
                                      "_e{5,1}title|x",
                                      "_e{4,1}:title|x",
                                      "_e{99999999999999999999,1}:a|b",
                                      "_e{5,1}:title|x|d:now"};
    for (size_t i = 0; i < LENGTH(bad); i++)
        CHECK_STR(event_of(bad[i]), str_of("event"));
}

TEST(a_check_becomes_an_object)
{
    CHECK_STR(
        event_of("_sc|disk.free|2|h:web1|#vol:root|m:only 2 % | left"),
        str_of(
            "{\"level\":\"critical\",\"type\":\"statsd.check\",\"check.status\":\"critical\",\"check.name\":\"disk.free\","
            "\"message\":\"only 2 % | left\",\"host\":\"web1\",\"tags\":{\"vol\":\"root\"}}"));
    CHECK_STR(event_of("_sc|x|4"), str_of("event"));
    CHECK_STR(event_of("_sc||1"), str_of("event"));
    CHECK_STR(event_of("_sc|x"), str_of("event"));
}

UNIT_MAIN
