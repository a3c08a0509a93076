#include "base/hash.h"
#include "rules/condition.h"
#include "rules/rules.h"
#include "trial.h"
#include "unit.h"

#define SECOND USEC_PER_SEC
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define START (1767225600 * SECOND)

static struct err e;

/* ---- parsing ---- */

static struct rules_set *parse(const char *text)
{
    struct rules_set *s = rules_set_new();
    e = (struct err){0};
    if (rules_parse(s, "r.yaml", str_of(text), &e) == 0)
        return s;
    rules_set_free(s);
    return NULL;
}

/* The text is refused with exactly this sentence. */
static void refused(const char *text, const char *sentence)
{
    struct rules_set *s = parse(text);
    CHECK(!s);
    CHECK_STR(str_of(e.text), str_of(sentence));
    rules_set_free(s);
}

/* So is a rule with this line in it, at line 2; the column starts from the line's first character. */
#define RULE_HEAD "rules:\n- {id: a, why: w, when: 'level>=error',\n   "
static void line_refused(const char *line, const char *sentence)
{
    char text[500], expected[400];
    snprintf(text, sizeof text, RULE_HEAD "%s}\n", line);
    snprintf(expected, sizeof expected, "r.yaml:3:%s", sentence);
    refused(text, expected);
}

TEST(a_rule_is_read_with_its_defaults)
{
    struct rules_set *s = parse(
        "rules:\n"
        "- id: a-1\n"
        "  why: >\n    one\n    line\n"
        "  when: level >= error\n"
        "- {id: b, why: w, owner: o, when: 'level:fatal', rank: P1, run: r, wait: 30s, digest: 2h, enabled: false}\n");
    CHECK(s);
    if (!s) {
        printf("%s\n", e.text);
        return;
    }
    CHECK_INT(rules_count(s), 2);
    const struct rule *a = rules_at(s, 0), *b = rules_at(s, 1);
    CHECK_STR(str_of(a->id), S("a-1"));
    CHECK_STR(str_of(a->why), S("one line"));
    CHECK_STR(str_of(a->file), S("r.yaml"));
    CHECK_INT(a->line, 2);
    CHECK(!a->owner && !a->run && a->rank == 0 && a->wait == 0 && a->digest == HOUR && a->enabled);
    CHECK_STR(str_of(b->owner), S("o"));
    CHECK(b->rank == 1 && b->wait == 30 * SECOND && b->digest == 2 * HOUR && !b->enabled);
    rules_set_free(s);
}

TEST(wrong_words_and_values_are_told_at_their_place)
{
    refused("rule: []\n", "r.yaml:1:1: unknown key \"rule\", did you mean \"rules\"?");
    refused("silences: []\n", "r.yaml:1:1: unknown key \"silences\"");
    refused("rules: {}\n", "r.yaml:1:8: rules: expected a list, got a map");
    refused("rules:\n- id: a\n  why: w\n", "r.yaml:2:3: a: when is missing");
    refused("rules:\n- id: a\n  when: x=1\n", "r.yaml:2:3: a: why is missing");
    refused("rules:\n- why: w\n", "r.yaml:2:3: rule: id is missing");
    refused("rules:\n- id: A b\n", "r.yaml:2:7: id: expected 1 to 64 of a-z, 0-9 and '-', got \"A b\"");
    refused("rules:\n- {id: a, why: w, when: x=1}\n- {id: a, why: w, when: x=1}\n",
            "r.yaml:3:8: id: \"a\" is there twice, first at r.yaml:2");
    line_refused("cuont: {}", "4: unknown key \"cuont\" in rules, did you mean \"count\"?");
    line_refused("chnge: {}", "4: unknown key \"chnge\" in rules, did you mean \"change\"?");
    line_refused("rank: 2", "10: rank: expected P1, P2, P3, P4 or P5, got \"2\"");
    line_refused("wait: 2h", "10: wait: expected a duration from 0s to 1h, like 90s, 5m, 2h or 3d, got \"2h\"");
    line_refused("digest: 1s", "12: digest: expected a duration from 1m to 7d, like 90s, 5m, 2h or 3d, got \"1s\"");
    line_refused("enabled: maybe", "13: enabled: expected true or false, got \"maybe\"");
    line_refused("by: app", "8: by: expected a list, got \"app\"");
    line_refused("by: [app, a b]", "14: by: expected the name of a field, got \"a b\"");
    line_refused("by: [app, app]", "14: by: \"app\" is there twice");
    line_refused("by: [a,b,c,d,e,f,g,h,i]", "25: by: expected at most 8 fields");
    line_refused("count: {window: 5m}", "11: count: \">=\" is missing");
    line_refused("count: {'>=': 5}", "11: count: window is missing");
    line_refused("count: {window: 5m, '>=': 0}", "30: count.\">=\": expected a number from 1 to 1000000, got \"0\"");
    line_refused("count: {window: 5m, '>': 5}", "24: unknown key \">\" in count, did you mean \">=\"?");
    line_refused("count: {window: 5m, '>=': 5}, window: 6m",
                 "34: \"window\" is no setting of count here: it has its own map");
    line_refused("window: 5m", "4: \"window\" belongs to a condition, and there is none");
    line_refused("value: x, within: 5m, '<': 3", "14: \"within\" is no setting of value");
    line_refused("value: x, '<': 3, '>': 5", "27: value: expected one of \"<\", \">\", \"<=\" and \">=\", got two");
    line_refused("value: x, '<': 3, clear: 2", "29: value.clear: expected above the limit, where the alert ends");
    line_refused("value: disk_full_in, '<': soon",
                 "30: value.\"<\": expected a duration from 0s to 365d, like 90s, 5m, 2h or 3d, got \"soon\"");
    line_refused("distinct: {window: 5m, '>=': 5}", "14: distinct: of is missing");
    line_refused("distinct: u, window: 5m, '>=': 101",
                 "35: distinct.\">=\": expected a number from 1 to 100, got \"101\"");
    line_refused("sequence: [{a: 1}], within: 5m", "14: sequence: expected 2 to 4 steps, got 1");
    refused(RULE_HEAD "count: true, window: 5m}\n", "r.yaml:2:3: count: \">=\" is missing");
    refused(RULE_HEAD "value: x}\n", "r.yaml:2:3: value: \"<\" or \">\" is missing");
    refused(RULE_HEAD "sequence: [{a: 1}, {b: 1}]}\n", "r.yaml:2:3: a: within is missing");
    line_refused("sequence: [{a: 1}, {where: 'b ='}], within: 5m",
                 "35: sequence.where: expected a value after '=', got the end of the query");
    line_refused("slo: {good: 'a<5'}", "9: slo: target is missing");
    line_refused("slo: {good: 'a<5', target: 100}", "31: slo.target: expected a number from 1 to 99.9999, got \"100\"");
    line_refused("ratio: {bad: 'a<5', '>': 2, window: 5m}",
                 "29: ratio.\">\": expected a number from 0 to 1, got \"2\"");
    line_refused("heartbeat: {tolerate: 3 of 2}",
                 "26: heartbeat.tolerate: expected misses of beats like 1 of 5, got \"3 of 2\"");
    line_refused("absent: {}", "12: absent: after is missing");
    line_refused("change: {p: 2}", "16: change.p: expected a number from 1e-30 to 0.1, got \"2\"");
    line_refused("any: []", "9: any: expected 1 to 16 conditions, got 0");
    line_refused("any: [{cuont: true}]", "11: unknown key \"cuont\" in any, did you mean \"count\"?");
    line_refused("any: [{where: x=1}], count: {window: 5m, '>=': 5}", "9: a: any and count do not go together");
    line_refused("new: {quiet: 5m}", "10: unknown key \"quiet\" in new");
    line_refused("new: {quiet_after: 5m}",
                 "23: new.quiet_after: expected a duration from 1h to 365d, like 90s, 5m, 2h or 3d, got \"5m\"");
    line_refused("new: {}, count: {window: 5m, '>=': 5}",
                 "9: a: count and new do not go together, make two rules of it");
    line_refused("tests: [{send: []}]", "12: tests: expect is missing");
    line_refused("tests: [{send: [{at: 5m}], expect: {mails: 1}}]",
                 "25: at: expected a time since the test's start like +5m, got \"5m\"");
    line_refused("tests: [{send: [{at: +5m}, {at: +4m}], expect: {mails: 1}}]",
                 "36: at: \"+4m\" is before the event above it");
    line_refused("tests: [{send: [{repeat: 0}], expect: {mails: 1}}]",
                 "29: repeat: expected a number from 1 to 100000, got \"0\"");
    line_refused("tests: [{send: [], expect: {mail: 1}}]",
                 "32: unknown key \"mail\" in expect, did you mean \"mails\"?");
    line_refused("tests: [{send: [], expect: {}}]", "31: expect: expected mails, digests, stats or rank, got nothing");
}

TEST(an_error_in_a_filter_has_its_own_column)
{
    CHECK(!parse("rules:\n- {id: a, why: w, when: 'level >= '}\n"));
    CHECK_INT(e.line, 2);
    CHECK_INT(e.column, 35);
    CHECK(str_starts(str_of(e.text), S("r.yaml:2:35: when: ")));
    CHECK(!parse("rules:\n- id: a\n  why: w\n  when: |\n    level >= \n"));
    CHECK_INT(e.line, 4);
    CHECK_INT(e.column, 9);
}

/* ---- running ---- */

struct world {
    rules_stat_fn *on_stat;
    struct rules_set *set;
    struct rules_memory *memory;
    struct event_writer *writer;
    struct event *event;
    struct arena arena;
    usec now;
    bool fresh, regressed;
    str fingerprint;
    char fired[400]; /* "P3 a app=x; P2 b" */
    size_t signals;
    bool concern; /* what rules_concern said of the event before */
};

static int on_signal(const struct rules_signal *s, void *arg)
{
    struct world *w = arg;
    size_t n = strlen(w->fired);
    snprintf(w->fired + n, sizeof w->fired - n, "%sP%d %s%s%.*s", n ? "; " : "", s->rank, s->rule->id,
             s->key.n ? " " : "", STR_ARG(s->key));
    w->signals++;
    return 0;
}

static struct world *world(const char *rules)
{
    struct world *w = xcalloc(1, sizeof *w);
    w->set = parse(rules);
    if (!w->set) {
        printf("%s\n", e.text);
        abort();
    }
    w->memory = rules_memory_new();
    w->writer = event_writer_new();
    w->event = xmalloc(sizeof *w->event);
    w->now = START;
    return w;
}

static void world_free(struct world *w)
{
    rules_set_free(w->set);
    rules_memory_free(w->memory);
    event_writer_free(w->writer);
    free(w->event);
    arena_done(&w->arena);
    free(w);
}

/* What fires for the event, posted by app "shop" now. */
static str fire(struct world *w, const char *json)
{
    struct batch *b = batch_new(RECORD_EVENTS, 1, w->now);
    size_t used;
    str body;
    arena_reset(&w->arena);
    w->fired[0] = '\0';
    CHECK_INT(event_add(w->writer, &(struct event_source){.app = S("shop"), .now = w->now}, str_of(json), b, &used, &e),
              0);
    body = buf_view(&b->body);
    CHECK_INT(event_read(str_cut(&body, '\n'), w->event, &w->arena, &e), 0);
    struct rules_input in = {.on_stat = w->on_stat,
                             .event = w->event,
                             .fingerprint = w->fingerprint,
                             .fresh = w->fresh,
                             .regressed = w->regressed,
                             .now = w->now};
    w->concern = rules_concern(w->set, w->memory, w->event->line, w->event->severity, w->event->time, w->now);
    CHECK_INT(rules_eval(w->set, w->memory, &in, on_signal, w, &w->arena), 0);
    CHECK(w->concern || !w->fired[0]);
    batch_free(b);
    return str_of(w->fired);
}

static char counted[400];

static int on_stat(const struct rules_stat *s, void *arg)
{
    (void)arg;
    size_t n = strlen(counted);
    n += (size_t)snprintf(counted + n, sizeof counted - n, "%s%s %s %g", n ? "; " : "", s->name, s->type, s->value);
    for (size_t i = 0; i < s->labels; i++)
        n += (size_t)snprintf(counted + n, sizeof counted - n, " %.*s=%.*s", STR_ARG(s->label_names[i]),
                              STR_ARG(s->label_values[i]));
    return 0;
}

TEST(a_rule_with_a_stat_counts_what_matches_whether_it_fires_or_not)
{
    struct world *w = world("rules:\n"
                            "- {id: a, when: 'auth.action=login', stat: {name: logins, by: [outcome, app]}}\n"
                            "- {id: b, why: w, when: 'http.duration_ms:*', stat: {name: put, type: timing, value: "
                            "http.duration_ms, by: {path: http.path}}, count: {window: 5m, '>=': 2}}\n"
                            "- {id: c, why: w, when: '*', stat: {name: never}, enabled: false}\n");
    w->on_stat = on_stat;
    counted[0] = '\0';
    CHECK_STR(fire(w, "{\"auth\":{\"action\":\"login\",\"outcome\":\"failure\"}}"), S(""));
    CHECK_STR(str_of(counted), S("logins count 1 outcome=failure app=shop"));
    counted[0] = '\0';
    CHECK_STR(fire(w, "{\"http\":{\"duration_ms\":12.5}}"), S(""));
    CHECK_STR(fire(w, "{\"http\":{\"duration_ms\":\"slow\"}}"), S("P5 b"));
    CHECK_STR(fire(w, "{\"message\":\"x\"}"), S(""));
    CHECK_STR(str_of(counted), S("put timing 12.5"));
    world_free(w);
}

TEST(a_wrong_stat_is_told_at_its_place)
{
    line_refused("stat: x", "10: stat: expected a map, got \"x\"");
    line_refused("stat: {by: [a]}", "10: stat: name is missing");
    line_refused("stat: {name: a b}",
                 "17: stat.name: expected 1 to 64 letters, digits, '.', '_', '-', '/' or ':', got \"a b\"");
    line_refused("stat: {name: a, type: unique}",
                 "26: stat.type: expected count, max, min, gauge or timing, got \"unique\"");
    line_refused("stat: {name: a, type: max}", "10: stat: value is missing");
    line_refused("stat: {name: a, of: x}", "20: unknown key \"of\" in stat");
    line_refused("stat: {name: a, by: x}", "24: stat.by: expected a list, got \"x\"");
    line_refused("stat: {name: a, by: ['a b']}", "25: stat.by: expected the name of a field, got \"a b\"");
    line_refused("stat: {name: a, by: [a, a]}", "28: stat.by: \"a\" is there twice");
    line_refused("stat: {name: a}, window: 5m", "21: \"window\" belongs to a condition, and there is none");
}

TEST(a_watch_is_read_or_told_at_its_place)
{
    struct rules_set *s = parse("rules:\n- {id: a, why: w, watch: orders, by: [app], value: {of: value, '<': 3}}\n"
                                "- {id: b, why: w, watch: {name: x, by: hour}}\n"
                                "- {id: c, why: w, watch: off, enabled: false}\n");
    CHECK(s && rules_watch(s, S("orders"), false) && !rules_watch(s, S("orders"), true));
    CHECK(s && rules_watch(s, S("x"), true) && !rules_watch(s, S("x"), false) && !rules_watch(s, S("off"), false));
    rules_set_free(s);
    line_refused("watch: a b", "11: watch: expected 1 to 64 letters, digits, '.', '_', '-', '/' or ':', got \"a b\"");
    line_refused("watch: {by: hour}", "11: watch: name is missing");
    line_refused("watch: {name: a, by: day}", "25: watch.by: expected minute or hour, got \"day\"");
}

TEST(a_plain_rule_fires_for_each_event_with_the_rank_of_its_level)
{
    struct world *w = world(
        "rules:\n- {id: a, why: w, when: 'level>=info'}\n- {id: b, why: w, when: 'level>=error', rank: P1}\n"
        "- {id: c, why: w, when: 'level>=info', enabled: false}\n");
    CHECK_STR(fire(w, "{\"level\":\"info\"}"), S("P5 a"));
    CHECK_STR(fire(w, "{\"level\":\"warn\"}"), S("P4 a"));
    CHECK_STR(fire(w, "{\"level\":\"error\"}"), S("P3 a; P1 b"));
    CHECK_STR(fire(w, "{\"level\":\"critical\"}"), S("P3 a; P1 b"));
    CHECK_STR(fire(w, "{\"level\":\"fatal\"}"), S("P2 a; P1 b"));
    CHECK_STR(fire(w, "{\"level\":\"debug\"}"), S(""));
    world_free(w);
}

TEST(a_line_that_is_of_no_concern_makes_no_rule_fire)
{
    static const char *const whens[] = {"level>=error",
                                        "auth.action = login and auth.outcome = failure",
                                        "timeout",
                                        "message:\"Käse\"",
                                        "not level>=info",
                                        "latency_ms > 100",
                                        "service:* and time<2020-01-01",
                                        "not service:api",
                                        "a=1 or level:fatal",
                                        "message ~ \"tim[e]out\""};
    static const char *const lines[] = {"{\"level\":\"info\",\"message\":\"hello\",\"service\":\"api\"}",
                                        "{\"level\":\"error\",\"message\":\"TimeOut\"}",
                                        "{\"level\":\"fatal\",\"latency_ms\":1e3,\"a\":1}",
                                        "{\"level\":\"debug\",\"auth\":{\"action\":\"login\",\"outcome\":\"failure\"}}",
                                        "{\"level\":\"warn\",\"message\":\"K\\u00e4se \\u0074imeout\",\"host\":\"x\"}",
                                        "{\"time\":\"2019-01-01T00:00:00Z\",\"host\":\"x\",\"service\":\"api\"}"};
    char text[200];
    for (size_t i = 0; i < LENGTH(whens); i++) {
        snprintf(text, sizeof text, "rules:\n- {id: a, why: w, when: '%s'}\n", whens[i]);
        struct world *w = world(text);
        size_t fired = 0;
        for (size_t k = 0; k < LENGTH(lines); k++)
            fired += fire(w, lines[k]).n > 0; /* which checks it */
        CHECK(fired > 0 && fired < LENGTH(lines));
        world_free(w);
    }
}

TEST(a_source_is_of_concern_to_rules_of_silence_once_a_second)
{
    struct world *w = world("rules:\n- {id: a, why: w, when: 'host:*', by: [host], absent: {after: 10m}}\n"
                            "- {id: b, why: w, when: '*', by: [app], absent: {after: 30m}}\n");
    static const struct {
        usec later;
        const char *line;
        bool concern;
    } steps[] = {{0, "{\"host\":\"a\"}", true},
                 {0, "{\"host\":\"a\",\"message\":\"x\"}", false},
                 {0, "{\"host\":\"b\"}", true},
                 {0, "{\"message\":\"x\"}", true},
                 {999999, "{\"host\":\"a\"}", false},
                 {0, "{\"n\":[{\"host\":\"a\"}],\"host\":\"b\"}", true}, /* which of them is it? */
                 {0, "{\"n\":[{\"host\":\"a\"}],\"host\":\"b\"}", true},
                 {0, "{\"host\":\"\\u0001\"}", true},
                 {1, "{\"host\":\"a\"}", true},
                 {0, "{\"host\":\"b\"}", true}};
    for (size_t i = 0; i < LENGTH(steps); i++) {
        w->now += steps[i].later;
        (void)fire(w, steps[i].line);
        CHECK_INT(w->concern, steps[i].concern);
    }
    world_free(w);
}

TEST(a_rule_of_silence_that_asks_more_is_of_concern_each_time)
{
    static const char *const rules[] = {
        "when: 'a:*', by: [app], absent: {after: 10m}", "when: 'host:*', by: [a], absent: {after: 10m}",
        "when: '*', by: [app], absent: {after: 10m}, stat: {name: n}",
        "when: 'level>=info', by: [app], absent: {after: 10m}", "when: '*', by: [app], count: {window: 5m, '>=': 3}"};
    char text[200];
    for (size_t i = 0; i < LENGTH(rules); i++) {
        snprintf(text, sizeof text, "rules:\n- {id: a, why: w, %s}\n", rules[i]);
        struct world *w = world(text);
        for (size_t k = 0; k < 2; k++) {
            (void)fire(w, "{\"host\":\"x\",\"a\":1,\"level\":\"info\"}");
            CHECK(w->concern);
        }
        world_free(w);
    }
}

TEST(most_lines_are_of_no_concern_to_the_usual_rules)
{
    struct world *w = world(
        "rules:\n- {id: a, why: w, when: 'level>=error'}\n- {id: b, why: w, when: 'auth.action=login"
        " and auth.outcome=failure and auth.user:*', by: [auth.user]}\n"
        "- {id: c, why: w, when: 'level>=info', enabled: false}\n");
    (void)fire(w, "{\"level\":\"info\",\"message\":\"GET / 200\"}");
    CHECK(!w->concern);
    world_free(w);
    w = world(
        "rules:\n- {id: a, why: w, when: 'auth.outcome=failure', by: [auth.user],"
        " sequence: [{auth.outcome: failure, \">=\": 5}, {auth.outcome: success, known_ip: false}], within: 5m}\n");
    (void)fire(w, "{\"auth\":{\"action\":\"login\",\"outcome\":\"success\",\"user\":\"x\",\"ip\":\"10.0.0.1\"}}");
    CHECK(w->concern); /* from where is remembered */
    world_free(w);
}

TEST(a_key_tells_values_apart_and_a_missing_one_is_empty)
{
    struct world *w = world("rules:\n- {id: a, why: w, when: 'level>=info', by: [app, k, fingerprint]}\n");
    CHECK_STR(fire(w, "{\"level\":\"warn\"}"), S("P4 a app=shop k= fingerprint="));
    w->fingerprint = S("f00");
    CHECK_STR(fire(w, "{\"level\":\"warn\",\"k\":12.50}"), S("P4 a app=shop k=12.50 fingerprint=f00"));
    CHECK_STR(fire(w, "{\"level\":\"warn\",\"k\":\"a b\"}"), S("P4 a app=shop k=\"a b\" fingerprint=f00"));
    CHECK_STR(fire(w, "{\"level\":\"warn\",\"k\":\"x\\u00e9\\n\"}"), S("P4 a app=shop k=\"xé\\n\" fingerprint=f00"));
    char one[600], json[700], first[200];
    memset(one, 'x', 500);
    memcpy(one + 500, "A", 2);
    snprintf(json, sizeof json, "{\"level\":\"warn\",\"k\":\"%s\"}", one);
    str key = fire(w, json), tail = str_skip(key, 180);
    CHECK(key.n < 300);
    snprintf(first, sizeof first, "%.*s", STR_ARG(tail));
    one[500] = 'B';
    snprintf(json, sizeof json, "{\"level\":\"warn\",\"k\":\"%s\"}", one);
    CHECK(!str_eq(str_skip(fire(w, json), 180), str_of(first)));
    world_free(w);
}

TEST(count_fires_with_the_event_that_makes_enough_within_the_window)
{
    struct world *w = world("rules:\n- {id: c, why: w, when: 'level>=error', by: [k], count: {window: 1m, '>=': 3}}\n");
    const char *x = "{\"level\":\"error\",\"k\":\"x\"}";
    CHECK_STR(fire(w, x), S(""));
    w->now += 30 * SECOND;
    CHECK_STR(fire(w, x), S(""));
    CHECK_STR(fire(w, "{\"level\":\"error\",\"k\":\"y\"}"), S(""));
    CHECK_STR(fire(w, "{\"level\":\"info\",\"k\":\"x\"}"), S(""));
    w->now += 30 * SECOND; /* the first is a minute old now: outside */
    CHECK_STR(fire(w, x), S(""));
    w->now += 30 * SECOND - 1; /* the second is just inside */
    CHECK_STR(fire(w, x), S("P3 c k=x"));
    CHECK_STR(fire(w, x), S("")); /* counts again from none */
    CHECK_STR(fire(w, x), S(""));
    CHECK_STR(fire(w, x), S("P3 c k=x"));
    world_free(w);
}

TEST(an_error_that_a_page_had_many_times_counts_as_many)
{
    struct world *w = world(
        "rules:\n- {id: c, why: w, when: 'level>=error', by: [k], count: {window: 1m, '>=': 30}}\n");
    const char *page = "{\"level\":\"error\",\"k\":\"x\",\"trust\":\"browser\",\"repeated\":29}";
    CHECK_STR(fire(w, "{\"level\":\"error\",\"k\":\"x\",\"repeated\":1000}"), S("")); /* no page: a field like others */
    CHECK_STR(fire(w, page), S("P3 c k=x"));
    CHECK_STR(fire(w, page), S(""));
    CHECK_STR(fire(w, page), S("P3 c k=x"));
    world_free(w);
}

/* The event that makes `n` within the window, told by remembering all of them. */
static size_t first_firing(struct world *w, usec step, size_t give_up)
{
    for (size_t i = 1; i <= give_up; i++, w->now += step)
        if (fire(w, "{\"level\":\"error\"}").n)
            return i;
    return 0;
}

TEST(large_counts_fire_never_early_and_at_most_two_percent_late)
{
    static const size_t counts[] = {1, 2, 63, 64, 65, 66, 100, 127, 128, 1000, 9999};
    for (size_t i = 0; i < LENGTH(counts); i++) {
        char text[200];
        size_t n = counts[i], exact = n <= 64;
        snprintf(text, sizeof text, "rules:\n- {id: c, why: w, when: 'level>=error', count: {window: 1h, '>=': %zu}}\n",
                 n);
        struct world *w = world(text);
        size_t at = first_firing(w, 1000, 2 * n + 2);
        CHECK(at >= n && at <= (exact ? n : n + n / 50));
        world_free(w);
        w = world(text); /* one event too slow for the window: never */
        if (n > 1)
            CHECK_INT(first_firing(w, HOUR / (usec)(n - 1) + 1, n + 200), 0);
        world_free(w);
    }
}

TEST(count_agrees_with_remembering_everything)
{
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    printf("seed %llu\n", (unsigned long long)seed);
    struct world *w = world("rules:\n- {id: c, why: w, when: 'level>=error', count: {window: 1m, '>=': 5}}\n");
    usec seen[5000];
    size_t n = 0, from = 0;
    for (int i = 0; i < 5000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        w->now += (usec)(seed >> 33) % (25 * SECOND);
        seen[n++] = w->now;
        size_t in = 0;
        for (size_t k = from; k < n; k++)
            in += seen[k] > w->now - MINUTE;
        bool fired = fire(w, "{\"level\":\"error\"}").n > 0;
        CHECK_INT(fired, in >= 5);
        if (in >= 5)
            from = n;
    }
    world_free(w);
}

TEST(new_fires_until_its_window_closes_and_then_not_until_it_was_quiet_or_regressed)
{
    struct world *w = world("rules:\n- {id: n, why: w, when: 'level>=error', new: {quiet_after: 2d}, digest: 10m}\n"
                            "- {id: m, why: w, when: 'level>=error', by: [app], new: {by: [k], regressions: false}}\n");
    const char *x = "{\"level\":\"error\",\"k\":\"x\"}";
    w->fingerprint = S("f1");
    CHECK_STR(fire(w, x), S("P3 n app=shop fingerprint=f1; P3 m app=shop"));
    w->now += 10 * MINUTE - 1;
    CHECK_STR(fire(w, x), S("P4 n app=shop fingerprint=f1; P4 m app=shop"));
    w->now += 1;
    CHECK_STR(fire(w, x), S("P4 m app=shop"));
    w->now += HOUR;
    CHECK_STR(fire(w, x), S(""));
    w->fingerprint = S("f2");
    CHECK_STR(fire(w, x), S("P3 n app=shop fingerprint=f2"));
    w->now += HOUR;
    CHECK_STR(fire(w, x), S(""));
    w->regressed = true;
    CHECK_STR(fire(w, x), S("P3 n app=shop fingerprint=f2"));
    w->regressed = false;
    w->now += HOUR;
    for (int i = 0; i < 10; i++) { /* seen every day: not new */
        w->now += DAY;
        CHECK_STR(fire(w, x), S(""));
    }
    w->now += 2 * DAY;
    CHECK_STR(fire(w, x), S("P3 n app=shop fingerprint=f2"));
    world_free(w);
}

/* ---- what is remembered ---- */

struct disk { /* what a caller keeps: keys and blobs */
    struct {
        char *key, *blob;
        size_t key_n, blob_n;
    } rows[300000];
    size_t n;
};

static void keep(struct disk *d, struct rules_memory *m)
{
    str key, blob;
    while (rules_memory_dirty_next(m, &key, &blob)) {
        size_t i = 0;
        while (i < d->n && !str_eq(str_n(d->rows[i].key, d->rows[i].key_n), key))
            i++;
        if (i == d->n) {
            CHECK(blob.n > 0);
            d->rows[d->n].key = str_dup(key);
            d->rows[d->n++].key_n = key.n;
        } else {
            free(d->rows[i].blob);
        }
        d->rows[i].blob = str_dup(blob);
        d->rows[i].blob_n = blob.n;
    }
}

static struct rules_memory *restored(struct disk *d)
{
    struct rules_memory *m = rules_memory_new();
    for (size_t i = 0; i < d->n; i++)
        if (d->rows[i].blob_n)
            CHECK(rules_memory_load(m, str_n(d->rows[i].key, d->rows[i].key_n),
                                    str_n(d->rows[i].blob, d->rows[i].blob_n)));
    return m;
}

static void disk_free(struct disk *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->rows[i].key), free(d->rows[i].blob);
    free(d);
}

TEST(a_restart_after_any_event_changes_nothing)
{
    static const char rules[] =
        "rules:\n- {id: c, why: w, when: 'level>=error', by: [k], count: {window: 1m, '>=': 3}}\n"
        "- {id: d, why: w, when: 'level>=error', count: {window: 10m, '>=': 100}}\n"
        "- {id: n, why: w, when: 'level>=error', new: {by: [k], quiet_after: 1h}, digest: 5m}\n";
    struct world *plain = world(rules), *restarting = world(rules);
    struct disk *d = xcalloc(1, sizeof *d);
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    printf("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 2000; i++) {
        char json[100], expected[400];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        plain->now += (usec)(seed >> 33) % (i % 100 == 0 ? 2 * HOUR : 10 * SECOND);
        restarting->now = plain->now;
        snprintf(json, sizeof json, "{\"level\":\"error\",\"k\":%d}", (int)(seed >> 60));
        str fired = fire(plain, json);
        snprintf(expected, sizeof expected, "%.*s", STR_ARG(fired));
        CHECK_STR(fire(restarting, json), str_of(expected));
        keep(d, restarting->memory);
        rules_memory_free(restarting->memory);
        restarting->memory = restored(d);
    }
    CHECK(plain->signals > 50);
    world_free(plain);
    world_free(restarting);
    disk_free(d);
}

TEST(only_what_changed_is_dirty_and_what_expired_is_forgotten)
{
    struct world *w = world("rules:\n- {id: c, why: w, when: 'level>=error', by: [k], count: {window: 1m, '>=': 3}}\n");
    str key, blob;
    char json[100];
    fire(w, "{\"level\":\"error\",\"k\":1}");
    CHECK(rules_memory_dirty_next(w->memory, &key, &blob) && blob.n > 0 && str_starts(key, S("c\x1f")));
    CHECK(!rules_memory_dirty_next(w->memory, &key, &blob));
    fire(w, "{\"level\":\"info\",\"k\":1}");
    CHECK(!rules_memory_dirty_next(w->memory, &key, &blob));
    w->now += 2 * MINUTE;
    fire(w, "{\"level\":\"error\",\"k\":2}"); /* lets go of k=1 */
    bool farewell = false;
    while (rules_memory_dirty_next(w->memory, &key, &blob))
        farewell |= blob.n == 0 && str_ends(key, S("k=1"));
    CHECK(farewell);
    for (int i = 0; i < 1000; i++) { /* many keys that end before anybody asked */
        snprintf(json, sizeof json, "{\"level\":\"error\",\"k\":%d}", i);
        w->now += 2 * MINUTE;
        fire(w, json);
    }
    size_t n = 0;
    while (rules_memory_dirty_next(w->memory, &key, &blob))
        n++;
    CHECK_INT(n, 2); /* the last one, and the farewell of k=2 */
    world_free(w);
}

TEST(a_changed_condition_starts_with_an_empty_memory_and_another_why_does_not)
{
    struct world *w = world("rules:\n- {id: n, why: w, when: 'level>=error', new: {by: [k]}}\n");
    const char *x = "{\"level\":\"error\",\"k\":1}";
    CHECK_STR(fire(w, x), S("P3 n k=1"));
    w->now += 2 * HOUR;
    rules_set_free(w->set);
    w->set = parse("rules:\n- {id: n, why: other, rank: P1, when: 'level>=error', new: {by: [k]}}\n");
    CHECK_STR(fire(w, x), S(""));
    rules_set_free(w->set);
    w->set = parse("rules:\n- {id: n, why: other, rank: P1, when: 'level>=warn', new: {by: [k]}}\n");
    CHECK_STR(fire(w, x), S("P1 n k=1"));
    world_free(w);
}

TEST(a_flood_of_keys_is_bounded_and_does_not_make_old_issues_new)
{
    struct world *w = world("rules:\n- {id: n, why: w, when: 'level>=error', new: {by: [k, fingerprint]}}\n");
    struct rules_memory *m = w->memory;
    char json[100];
    str key, blob;
    w->fingerprint = S("f");
    CHECK_STR(fire(w, "{\"level\":\"error\",\"k\":\"mine\"}"), S("P3 n k=mine fingerprint=f"));
    for (unsigned i = 0; i < RULES_KEYS_MAX + 10; i++) {
        snprintf(json, sizeof json, "{\"level\":\"error\",\"k\":%u}", i);
        w->now += 1000;
        fire(w, json);
    }
    size_t live = 0, gone = 0;
    while (rules_memory_dirty_next(m, &key, &blob))
        *(blob.n ? &live : &gone) += 1;
    CHECK_INT(live, RULES_KEYS_MAX);
    CHECK_INT(gone, 0);                                                /* was forgotten before anybody knew it */
    CHECK_STR(fire(w, "{\"level\":\"error\",\"k\":\"mine\"}"), S("")); /* forgotten, but its issue is old */
    w->fresh = true;
    CHECK_STR(fire(w, "{\"level\":\"error\",\"k\":\"other\"}"), S("P3 n k=other fingerprint=f"));
    world_free(w);
}

TEST(blobs_of_another_shape_are_ignored)
{
    struct rules_memory *m = rules_memory_new();
    char blob[40] = {2, PART_NEW, 2};
    CHECK(!rules_memory_load(m, S("k"), S("")));
    CHECK(!rules_memory_load(m, S("k"), str_n(blob, 39)));
    CHECK(rules_memory_load(m, S("k"), str_n(blob, 40)));
    CHECK(!rules_memory_load(m, S("k"), str_n(blob, 40)));
    blob[0] = 1;
    CHECK(!rules_memory_load(m, S("l"), str_n(blob, 40)));
    blob[0] = 2, blob[1] = PART_KINDS;
    CHECK(!rules_memory_load(m, S("l"), str_n(blob, 40)));
    rules_memory_free(m);
}

/* ---- tests in rule files ---- */

TEST(tests_in_rule_files_run_through_the_same_code_and_say_what_came)
{
    struct rules_set *s = parse(
        "rules:\n"
        "- id: boom\n"
        "  why: w\n"
        "  when: level >= error\n"
        "  new: {}\n"
        "  enabled: false\n"
        "  tests:\n"
        "  - {send: [{level: error, env: prod, app: a, msg: \"boom 1\"}], expect: {P: P3, mails: 1}}\n"
        "  - {send: [{repeat: 500, level: error, msg: \"boom 1\", n: 1, o: {x: [1, yes, true]}}], expect: {mails: 1, digests: 1}}\n"
        "  - {send: [{level: warn, msg: boom}], expect: {mails: 1, rank: P4}}\n"
        "  - {send: [{level: loud, msg: boom}], expect: {mails: 0}}\n"
        "- id: every\n"
        "  why: w\n"
        "  when: level >= error\n"
        "  wait: 30s\n"
        "  tests:\n"
        "  - {send: [{level: error, msg: x}, {at: +2m, level: fatal, msg: x, repeat: 3}, {at: +10h, level: error, msg: x}], expect: {mails: 2, digests: 1, rank: P3}}\n");
    struct buf out = BUF_INIT(10000);
    size_t n = 0;
    CHECK(s);
    if (!s) {
        printf("%s\n", e.text);
        return;
    }
    CHECK_INT(trial_selftest(s, &out, &n), 2);
    CHECK_INT(n, 5);
    str report = buf_view(&out);
    CHECK_STR(str_cut(&report, '\n'), S("ok r.yaml:8:5: boom: test 1"));
    CHECK_STR(str_cut(&report, '\n'), S("ok r.yaml:9:5: boom: test 2"));
    CHECK_STR(str_cut(&report, '\n'), S("FAIL r.yaml:10:5: boom: test 3: expected mails 1 P4, got mails 0 digests 0"));
    CHECK(str_starts(str_cut(&report, '\n'), S("FAIL r.yaml:11:5: boom: test 4: event 1 was refused: /level: ")));
    CHECK_STR(str_cut(&report, '\n'), S("ok r.yaml:17:5: every: test 1"));
    buf_done(&out);
    rules_set_free(s);
}

TEST(a_test_in_a_rule_file_may_ask_how_often_it_counted)
{
    struct rules_set *s = parse("rules:\n- id: a\n  when: type=x\n  stat: {name: x}\n  tests:\n"
                                "  - {send: [{type: x, repeat: 3}, {type: y}], expect: {stats: 3, mails: 0}}\n"
                                "  - {send: [{type: x}], expect: {stats: 2}}\n");
    struct buf out = BUF_INIT(4096);
    size_t n;
    CHECK(s);
    CHECK_INT(trial_selftest(s, &out, &n), 1);
    CHECK_STR(buf_view(&out),
              S("ok r.yaml:6:5: a: test 1\nFAIL r.yaml:7:5: a: test 2: expected stats 2, got mails 0 digests 0 "
                "stats 1\n"));
    buf_done(&out);
    rules_set_free(s);
}

TEST(a_rule_that_is_inhibited_by_none_there_is_says_so)
{
    struct rules_set *good = parse("rules:\n- {id: host-silent, why: b, when: c}\n"
                                   "- {id: a, why: b, when: c, inhibited_by: [host-silent]}\n");
    struct rules_set *bad = parse("rules:\n- {id: host-silent, why: b, when: c}\n"
                                  "- {id: a, why: b, when: c, inhibited_by: [host-silent, host-silnt]}\n");
    CHECK_INT(rules_check_inhibitors(good, &e), 0);
    CHECK_INT(rules_check_inhibitors(bad, &e), -1);
    CHECK_STR(str_of(e.text),
              S("r.yaml:3: a: inhibited_by: there is no rule \"host-silnt\", did you mean \"host-silent\"?"));
    rules_set_free(good);
    rules_set_free(bad);
}

TEST(the_set_describes_itself_as_json)
{
    struct rules_set *s = parse("rules:\n- {id: a, why: 'a \"b\"', when: 'level>=error', by: [app], rank: P2}\n");
    struct buf out = BUF_INIT(10000);
    rules_set_json(s, NULL, NULL, &out);
    CHECK_STR(
        buf_view(&out),
        S("{\"rules\":[{\"id\":\"a\",\"why\":\"a \\\"b\\\"\",\"owner\":null,\"run\":null,\"file\":\"r.yaml\",\"line\":2,"
          "\"version\":0,\"source\":\"rules:\\n- {id: a, why: 'a \\\"b\\\"', when: 'level>=error', by: [app], rank: P2}\\n\",\"enabled\":true,"
          "\"rank\":\"P2\",\"when\":\"level>=error\",\"by\":[\"app\"],\"stat\":null,\"wait_s\":0,\"digest_s\":3600,\"tests\":0}]"));
    buf_done(&out);
    rules_set_free(s);
}

UNIT_MAIN
