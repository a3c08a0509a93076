#include "rules/sigma.h"
#include "rules/rules.h"
#include "unit.h"

static struct err e;

/* The converted rule of a file with this `detection`, "" when it is refused. Lives in `out`. */
static str import(struct buf *out, const char *detection)
{
    struct buf text = BUF_INIT(100000);
    e = (struct err){0};
    buf_printf(&text, "title: A Thing\nid: 0123abcd-1\nauthor: Ann\nlevel: high\ndetection:\n%s", detection);
    buf_reset(out);
    int rc = sigma_import("s.yml", buf_view(&text), out, &e);
    buf_done(&text);
    CHECK(rc == 0 || out->n == 0);
    return buf_view(out);
}

static void becomes(const char *detection, const char *when)
{
    struct buf out = BUF_INIT(100000), line = BUF_INIT(100000);
    str got = import(&out, detection);
    buf_lit(&line, "  when: ");
    buf_json(&line, str_of(when));
    buf_byte(&line, '\n');
    if (str_find(got, buf_view(&line)) < 0)
        CHECK_STR(got.n ? got : str_of(e.text), buf_view(&line));
    buf_done(&out);
    buf_done(&line);
}

static void refused(const char *detection, const char *sentence)
{
    struct buf out = BUF_INIT(100000);
    CHECK_INT(import(&out, detection).n, 0);
    CHECK_STR(str_of(e.text), str_of(sentence));
    CHECK_INT(e.kind, ERR_INPUT);
    buf_done(&out);
}

TEST(title_id_author_and_level_are_kept)
{
    struct buf out = BUF_INIT(100000);
    CHECK_STR(import(&out, "  s: {a: b}\n  condition: s\n"),
              S("# Sigma 0123abcd-1 by Ann; meant for the log of:\n- id: a-thing-0123abcd\n  why: \"A Thing\"\n"
                "  when: \"(a:\\\"b\\\")\"\n  by: [app, host]\n  rank: P2\n"));
    buf_done(&out);
}

TEST(fields_of_a_map_are_all_wanted_values_of_a_list_any)
{
    becomes("  s: {a: x, b: [1, 2]}\n  condition: s\n", "(a:\"x\" and (b:\"1\" or b:\"2\"))");
    becomes("  s: [{a: x}, {b: y}]\n  condition: s\n", "((a:\"x\") or (b:\"y\"))");
    becomes("  s: [one, two words]\n  condition: s\n", "(\"one\" or \"two words\")");
    becomes("  s: {'|all': [one, two]}\n  condition: s\n", "((\"one\" and \"two\"))");
    becomes("  s: {a: null, b: ''}\n  condition: s\n", "(not a:* and b:\"\")");
}

TEST(modifiers_say_how_a_value_is_compared)
{
    becomes("  s: {a|contains: x-1}\n  condition: s\n", "(a:*x-1*)");
    becomes("  s: {a|startswith: x}\n  condition: s\n", "(a:x*)");
    becomes("  s: {a|endswith: .x}\n  condition: s\n", "(a:*.x)");
    becomes("  s: {a|contains|all: [x, y]}\n  condition: s\n", "((a:*x* and a:*y*))");
    becomes("  s: {a|contains: 'x (y'}\n  condition: s\n", "(a~\"(?is)x \\\\(y\")");
    becomes("  s: {a|endswith: 'x?y'}\n  condition: s\n", "(a~\"(?is)x.y$\")");
    becomes("  s: {a|startswith|cased: 'X'}\n  condition: s\n", "(a~\"(?s)^X\")");
    becomes("  s: {a|cased: X}\n  condition: s\n", "(a=\"X\")");
    becomes("  s: {a|re: '^x+$'}\n  condition: s\n", "(a~\"^x+$\")");
    becomes("  s: {a|re|i: 'x'}\n  condition: s\n", "(a~\"(?i)x\")");
    becomes("  s: {a|cidr: 10.0.0.0/8}\n  condition: s\n", "(a:10.0.0.0/8)");
    becomes("  s: {a|gte: 5, b|lt: 2}\n  condition: s\n", "(a>=5 and b<2)");
    becomes("  s: {a|exists: true, b|exists: false}\n  condition: s\n", "(a:* and not b:*)");
}

TEST(stars_and_question_marks_are_anything_unless_a_backslash_says_no)
{
    becomes("  s: {a: 'x*y'}\n  condition: s\n", "(a:x*y)");
    becomes("  s: {a: 'x y*'}\n  condition: s\n", "(a~\"(?is)^x y.*$\")");
    becomes("  s: {a: 'x\\*y'}\n  condition: s\n", "(a:\"x*y\")");
    becomes("  s: {a: 'C:\\Temp'}\n  condition: s\n", "(a:\"C:\\\\Temp\")");
    becomes("  s: ['a*b']\n  condition: s\n", "(~\"(?is)a.*b\")");
}

TEST(names_of_the_webs_log_fields_are_ours)
{
    becomes("  s: {cs-method: GET, c-uri|contains: /x, sc-status: 200}\n  condition: s\n",
            "(http.method:\"GET\" and http.path:*/x* and http.status:\"200\")");
}

TEST(conditions_keep_their_order_of_and_or_and_not)
{
    const char *three = "  a_1: {f: 1}\n  a_2: {f: 2}\n  b: {g: 3}\n  _c: {h: 4}\n";
    static const char *const cases[][2] = {
        {"a_1 and a_2 or not b", "(f:\"1\") and (f:\"2\") or not (g:\"3\")"},
        {"a_1 and (a_2 or b)", "(f:\"1\") and ((f:\"2\") or (g:\"3\"))"},
        {"1 of a_*", "((f:\"1\") or (f:\"2\"))"},
        {"all of a_* and not 1 of b*", "((f:\"1\") and (f:\"2\")) and not ((g:\"3\"))"},
        {"all of them", "((f:\"1\") and (f:\"2\") and (g:\"3\"))"},
        {"NOT b AND a_1", "not (g:\"3\") and (f:\"1\")"}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char text[300];
        snprintf(text, sizeof text, "%s  condition: %s\n", three, cases[i][0]);
        becomes(text, cases[i][1]);
    }
}

TEST(a_count_within_a_timeframe_is_a_count_or_distinct)
{
    struct buf out = BUF_INIT(100000);
    str got = import(&out, "  s: {a: b}\n  timeframe: 5m\n  condition: s | count() by c-ip > 10\n");
    CHECK(str_find(got, S("  by: [\"ip\"]\n  count: {window: 5m, \">=\": 11}\n")) >= 0);
    got = import(&out, "  s: {a: b}\n  timeframe: 1h\n  condition: s | count(user) by host >= 3\n");
    CHECK(str_find(got, S("  by: [\"host\"]\n  distinct: {of: \"user\", window: 1h, \">=\": 3}\n")) >= 0);
    buf_done(&out);
}

TEST(what_has_no_counterpart_is_refused_in_one_sentence_with_its_place)
{
    refused("  s: {a|base64: x}\n  condition: s\n", "s.yml:6:7: the modifier \"base64\" has no counterpart");
    refused("  s: {a|contains|windash: x}\n  condition: s\n", "s.yml:6:7: the modifier \"windash\" has no counterpart");
    refused("  s: {a|gt: x}\n  condition: s\n", "s.yml:6:13: expected a number after >, got \"x\"");
    refused("  s: {a: x}\n  condition: s and t\n",
            "s.yml:7:14: condition: expected the name of a selection, got \"t\"");
    refused("  s: {a: x}\n  condition: s and\n",
            "s.yml:7:14: condition: expected the name of a selection, got its end");
    refused("  s: {a: x}\n  condition: 2 of s*\n", "s.yml:7:14: condition: expected 1 or all before \"of\", got \"2\"");
    refused("  s: {a: x}\n  condition: 1 of t*\n", "s.yml:7:14: condition: expected names of selections, got \"t*\"");
    refused("  s: {a: x}\n  condition: (s\n", "s.yml:7:14: condition: expected \")\", got its end");
    refused("  s: {a: x}\n  condition: s s\n", "s.yml:7:14: condition: expected and, or, or its end, got \"s\"");
    refused("  s: {a: x}\n  condition: s | near t\n",
            "s.yml:7:14: condition: expected count, which alone has a counterpart, got \"near\"");
    refused("  s: {a: x}\n  condition: s | count() > 5\n", "s.yml:7:14: expected a timeframe for count, such as 5m");
    refused("  s: {a: x}\n  timeframe: 5m\n  condition: s | count() < 5\n",
            "s.yml:8:14: condition: expected > or >= after count, got \"<\"");
    refused("  s: {a: []}\n  condition: s\n", "s.yml:6:10: expected values, got an empty list");
    refused("  s: {a: x}\n", "s.yml:6:3: condition: expected one text");
    refused("  s: {a|re: '(?=x)'}\n  condition: s\n",
            "s.yml:6:3: cannot be said in our words: when: a regular expression here has no lookahead (RE2 syntax)");
}

TEST(the_same_rule_twice_is_refused)
{
    struct buf out = BUF_INIT(100000);
    const char *text = "title: T\nid: 1\ndetection: {s: {a: b}, condition: s}\n";
    int first = sigma_import("a.yml", str_of(text), &out, &e), second = sigma_import("b.yml", str_of(text), &out, &e);
    CHECK(first == 0 && second < 0);
    CHECK_STR(str_of(e.text), S("b.yml:1:1: title, id: a rule \"t-1\" is there already"));
    buf_done(&out);
}

UNIT_MAIN
