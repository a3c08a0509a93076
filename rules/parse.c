/* rules/parse.c - rule files: every word checked, every wrong one told at its place. */
#include "base/hash.h"
#include "base/str.h"
#include "base/yaml.h"
#include "event/json.h"
#include "rules/condition.h"

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
enum { ID_MAX = 64, SEND_MAX = 100000, TEST_JSON_MAX = 1 << 20 };

struct parser {
    struct rules_set *set;
    const struct yaml *y;
    struct err *e;
    const char *file;
};
typedef struct yaml_node node;

/* ---- words ---- */
struct words {
    const char *const *now, *const *later; /* what there is; what the full language has and this version does not */
    size_t now_n, later_n;
};
#define WORDS(name, now_list, later_list)                                                                              \
    static const char *const name##_now[] = now_list;                                                                  \
    static const char *const name##_later[] = later_list;                                                              \
    static const struct words name = {name##_now, name##_later, LENGTH(name##_now), LENGTH(name##_later)}
#define LIST(...)                                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
WORDS(file_words, LIST("rules"), LIST("routes", "inhibit", "silences", "limits"));
WORDS(rule_words,
      LIST("id", "why", "owner", "when", "by", "count", "new", "wait", "rank", "digest", "run", "enabled", "tests"),
      LIST("change", "any", "sequence", "within", "distinct", "heartbeat", "slo", "value", "absence", "inhibited_by",
           "auth", "where", "for", "clear", "floor", "ceiling"));
WORDS(count_words, LIST("window", ">="), LIST(">", "<", "<=", "where", "by", "distinct", "for", "clear", "auth"));
WORDS(new_words, LIST("by", "quiet_after", "regressions"), LIST("where", "window"));
WORDS(test_words, LIST("send", "expect"), LIST("now", "state"));
WORDS(expect_words, LIST("mails", "digests", "rank", "P"), LIST("resolved", "suppressed", "subject", "incidents"));

static bool among(str word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(word, str_of(list[i])))
            return true;
    return false;
}

static int check_words(struct parser *p, const node *map, const char *what, const struct words *w)
{
    const char *all[64];
    size_t n = 0;
    if (yaml_is(p->y, map, what, YAML_MAP, p->e) < 0)
        return -1;
    for (size_t i = 0; i < w->now_n + w->later_n; i++)
        all[n++] = i < w->now_n ? w->now[i] : w->later[i - w->now_n];
    for (size_t i = 0; i < map->n; i++)
        if (among(map->keys[i]->text, w->later, w->later_n))
            return yaml_fail(p->y, map->keys[i], p->e, "\"%.*s\"%s%s is not supported yet", STR_ARG(map->keys[i]->text),
                             *what ? " in " : "", what);
    return yaml_known(p->y, map, what, all, n, p->e);
}

/* ---- texts ---- */

static const char *keep(struct parser *p, str s) { return arena_str(&p->set->arena, s).p; }

/* One line of text; that a block ends with a newline does not matter. */
static int read_text(struct parser *p, const node *map, const char *name, const char **ret)
{
    const node *at = yaml_get(map, name);
    str text;
    if (!at)
        return 0;
    node trimmed = *at;
    trimmed.text = str_trim(at->text);
    if (yaml_text(p->y, &trimmed, name, &text, p->e) < 0)
        return -1;
    *ret = keep(p, text);
    return 0;
}

static int missing(struct parser *p, const node *map, const char *what, const char *name)
{
    return yaml_fail(p->y, map, p->e, "%s: %s is missing", what, name);
}

static int read_id(struct parser *p, const node *map, struct rule *r)
{
    const node *at = yaml_get(map, "id");
    char got[YAML_GOT_MAX];
    if (!at)
        return missing(p, map, "rule", "id");
    bool good = at->kind == YAML_SCALAR && at->text.n > 0 && at->text.n <= ID_MAX;
    for (size_t i = 0; good && i < at->text.n; i++)
        good = at->text.p[i] && strchr("abcdefghijklmnopqrstuvwxyz0123456789-", at->text.p[i]);
    if (!good)
        return yaml_fail(p->y, at, p->e, "id: expected 1 to %d of a-z, 0-9 and '-', got %s", ID_MAX, yaml_got(at, got));
    for (size_t i = 0; i < p->set->n; i++)
        if (str_eq(str_of(p->set->rules[i]->id), at->text))
            return yaml_fail(p->y, at, p->e, "id: \"%.*s\" is there twice, first at %s:%zu", STR_ARG(at->text),
                             p->set->rules[i]->file, p->set->rules[i]->line);
    r->id = keep(p, at->text);
    return 0;
}

static int read_filter(struct parser *p, const node *map, struct rule *r)
{
    const node *at = yaml_get(map, "when");
    struct err why;
    if (!at)
        return missing(p, map, r->id, "when");
    if (yaml_is(p->y, at, "when", YAML_SCALAR, p->e) < 0)
        return -1;
    if (str_trim(at->text).n == 0)
        return yaml_fail(p->y, at, p->e, "when: expected a filter, got nothing; \"*\" is every event");
    if (filter_parse(at->text, &r->cond->filter, &why) < 0)
        return yaml_fail_in(p->y, at, why.column ? why.column - 1 : 0, p->e, "when: %s", why.text);
    r->cond->when = keep(p, at->text);
    return 0;
}

static int read_field(struct parser *p, const node *at, const char *what, struct rule_fields *f)
{
    static const char *const later[] = {"ip_prefix", "known_ip"};
    char got[YAML_GOT_MAX];
    bool good = at->kind == YAML_SCALAR && at->text.n > 0 && at->text.n <= LIMIT_NAME;
    for (size_t i = 0; good && i < at->text.n; i++) {
        unsigned char c = (unsigned char)at->text.p[i];
        good = c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '.' ||
               c == '-' || c == '@';
    }
    if (!good)
        return yaml_fail(p->y, at, p->e, "%s: expected the name of a field, got %s", what, yaml_got(at, got));
    if (among(at->text, later, LENGTH(later)))
        return yaml_fail(p->y, at, p->e, "%s: \"%.*s\" is not supported yet", what, STR_ARG(at->text));
    if (among(at->text, f->name, f->n))
        return yaml_fail(p->y, at, p->e, "%s: \"%.*s\" is there twice", what, STR_ARG(str_head(at->text, 60)));
    if (f->n == RULE_FIELDS_MAX)
        return yaml_fail(p->y, at, p->e, "%s: expected at most %d fields", what, RULE_FIELDS_MAX);
    f->name[f->n++] = keep(p, at->text);
    return 0;
}

static int read_fields(struct parser *p, const node *map, const char *what, struct rule_fields *f)
{
    const node *at = yaml_get(map, "by");
    if (!at)
        return 0;
    if (yaml_is(p->y, at, what, YAML_LIST, p->e) < 0)
        return -1;
    for (size_t i = 0; i < at->n; i++)
        if (read_field(p, at->items[i], what, f) < 0)
            return -1;
    return 0;
}

static int read_rank(struct parser *p, const node *at, const char *what, int *ret)
{
    char got[YAML_GOT_MAX];
    if (at->kind != YAML_SCALAR || at->text.n != 2 || at->text.p[0] != 'P' || at->text.p[1] < '1' ||
        at->text.p[1] > '5')
        return yaml_fail(p->y, at, p->e, "%s: expected P1, P2, P3, P4 or P5, got %s", what, yaml_got(at, got));
    *ret = at->text.p[1] - '0';
    return 0;
}

static int read_duration(struct parser *p, const node *map, const char *name, const char *what, usec min, usec max,
                         usec *ret)
{
    const node *at = yaml_get(map, name);
    return at ? yaml_duration(p->y, at, what, min, max, ret, p->e) : 0;
}

/* ---- conditions ---- */

static int read_count(struct parser *p, const node *map, struct rule *r)
{
    const node *at = yaml_get(map, "count"), *least;
    struct rule_condition *c = r->cond;
    uint64_t n;
    if (!at)
        return 0;
    if (check_words(p, at, "count", &count_words) < 0)
        return -1;
    if (!yaml_get(at, "window"))
        return missing(p, at, "count", "window");
    if (!(least = yaml_get(at, ">=")))
        return missing(p, at, "count", "\">=\"");
    if (read_duration(p, at, "window", "count.window", USEC_PER_SEC, 31 * DAY, &c->count.window) < 0 ||
        yaml_integer(p->y, least, "count.\">=\"", 1, 1000000, &n, p->e) < 0)
        return -1;
    c->count.at_least = (uint32_t)n;
    c->count.group = (uint32_t)((n - 1 + RULE_MARKS_MAX - 2) / (RULE_MARKS_MAX - 1));
    if (c->count.group == 0)
        c->count.group = 1;
    c->count.marks = (uint32_t)((n - 1 + c->count.group - 1) / c->count.group + 1);
    return 0;
}

/* Without `by` of its own it is about what the rule is about, and without that about issues. */
static int read_new(struct parser *p, const node *map, struct rule *r)
{
    const node *at = yaml_get(map, "new"), *regressions;
    struct rule_condition *c = r->cond;
    if (!at)
        return 0;
    if (yaml_get(map, "count"))
        return yaml_fail(p->y, at, p->e, "%s: count and new do not go together, make two rules of it", r->id);
    c->novel.on = c->novel.regressions = true;
    c->novel.quiet_after = 14 * DAY;
    if (check_words(p, at, "new", &new_words) < 0 || read_fields(p, at, "new.by", &c->novel.by) < 0 ||
        read_duration(p, at, "quiet_after", "new.quiet_after", HOUR, 365 * DAY, &c->novel.quiet_after) < 0)
        return -1;
    if ((regressions = yaml_get(at, "regressions")) &&
        yaml_bool(p->y, regressions, "new.regressions", &c->novel.regressions, p->e) < 0)
        return -1;
    if (c->novel.by.n == 0)
        c->novel.by = c->by;
    if (c->novel.by.n == 0)
        c->novel.by = (struct rule_fields){.name = {"app", "fingerprint"}, .n = 2};
    if (c->by.n == 0)
        c->by = c->novel.by;
    return 0;
}

/* What decides whether the rule fires, as text, hashed. */
static void set_version(struct rule_condition *c)
{
    struct buf b = BUF_INIT(64u << 10);
    const struct rule_fields *lists[] = {&c->by, &c->novel.by};
    buf_printf(&b, "%s\n%lld %u %d %lld %d\n", c->when, (long long)c->count.window, c->count.at_least, c->novel.on,
               (long long)c->novel.quiet_after, c->novel.regressions);
    for (size_t i = 0; i < LENGTH(lists); i++) {
        for (size_t k = 0; k < lists[i]->n; k++)
            buf_printf(&b, "%s ", lists[i]->name[k]);
        buf_byte(&b, '\n');
    }
    snprintf(c->version, sizeof c->version, "%08x", (unsigned)xxh64(b.p, b.n, 0));
    buf_done(&b);
}

/* ---- tests ---- */

static bool is_bare_json(const node *at)
{
    char c = at->text.n ? at->text.p[0] : 0;
    if (at->quoted)
        return false;
    if (c == '-' || (c >= '0' && c <= '9'))
        return json_valid(at->text, 1);
    return str_eq(at->text, S("true")) || str_eq(at->text, S("false")) || str_eq(at->text, S("null")) ||
           at->text.n == 0;
}

/* `skip`: of a map, keys that are the test's and not the event's. */
static void put_json(struct buf *out, const node *at, bool skip)
{
    static const char *const ours[] = {"repeat", "at", "app"};
    char sep = at->kind == YAML_MAP ? '{' : '[';
    if (at->kind == YAML_SCALAR) {
        if (!is_bare_json(at))
            buf_json(out, at->text);
        else
            buf_str(out, at->text.n ? at->text : S("null"));
        return;
    }
    bool empty = true;
    for (size_t i = 0; i < at->n; i++) {
        if (skip && among(at->keys[i]->text, ours, LENGTH(ours)))
            continue;
        buf_byte(out, empty ? sep : ',');
        empty = false;
        if (at->kind == YAML_MAP) {
            buf_json(out, at->keys[i]->text);
            buf_byte(out, ':');
        }
        put_json(out, at->items[i], false);
    }
    if (empty)
        buf_byte(out, sep);
    buf_byte(out, at->kind == YAML_MAP ? '}' : ']');
}

static int read_send(struct parser *p, const node *at, usec not_before, struct rule_test_send *s)
{
    const node *repeat, *when, *app;
    uint64_t n = 1;
    str name = S("test"), offset;
    struct buf json = BUF_INIT(TEST_JSON_MAX);
    if (yaml_is(p->y, at, "send", YAML_MAP, p->e) < 0)
        return -1;
    if ((repeat = yaml_get(at, "repeat")) && yaml_integer(p->y, repeat, "repeat", 1, SEND_MAX, &n, p->e) < 0)
        return -1;
    if ((app = yaml_get(at, "app")) && yaml_text(p->y, app, "app", &name, p->e) < 0)
        return -1;
    s->at = not_before;
    if ((when = yaml_get(at, "at"))) {
        char got[YAML_GOT_MAX];
        offset = when->kind == YAML_SCALAR && str_starts(when->text, S("+")) ? str_skip(when->text, 1) : (str){0};
        if (!str_duration(offset, &s->at) || s->at > 365 * DAY)
            return yaml_fail(p->y, when, p->e, "at: expected a time since the test's start like +5m, got %s",
                             yaml_got(when, got));
        if (s->at < not_before)
            return yaml_fail(p->y, when, p->e, "at: %s is before the event above it", yaml_got(when, got));
    }
    put_json(&json, at, true);
    if (json.full) {
        buf_done(&json);
        return yaml_fail(p->y, at, p->e, "send: the event is longer than %d bytes", TEST_JSON_MAX);
    }
    s->json = arena_str(&p->set->arena, buf_view(&json));
    s->app = arena_str(&p->set->arena, name);
    s->repeat = (uint32_t)n;
    buf_done(&json);
    return 0;
}

static int read_expect(struct parser *p, const node *at, struct rule_test *t)
{
    struct {
        const char *name;
        int64_t *to;
    } numbers[] = {{"mails", &t->mails}, {"digests", &t->digests}};
    t->mails = t->digests = t->rank = -1;
    if (check_words(p, at, "expect", &expect_words) < 0)
        return -1;
    if (at->n == 0)
        return yaml_fail(p->y, at, p->e, "expect: expected mails, digests or rank, got nothing");
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        const node *value = yaml_get(at, numbers[i].name);
        uint64_t n;
        if (value && yaml_integer(p->y, value, numbers[i].name, 0, SEND_MAX, &n, p->e) < 0)
            return -1;
        if (value)
            *numbers[i].to = (int64_t)n;
    }
    const node *rank = yaml_get(at, "rank"), *alias = yaml_get(at, "P");
    int n = -1;
    if (rank && alias)
        return yaml_fail(p->y, alias, p->e, "expect: rank and P are the same, give one");
    if ((rank || alias) && read_rank(p, rank ? rank : alias, rank ? "rank" : "P", &n) < 0)
        return -1;
    t->rank = n;
    return 0;
}

static int read_test(struct parser *p, const node *at, struct rule_test *t)
{
    const node *send, *expect;
    if (check_words(p, at, "tests", &test_words) < 0)
        return -1;
    t->line = at->line;
    t->column = at->column;
    if (!(send = yaml_get(at, "send")))
        return missing(p, at, "tests", "send");
    if (!(expect = yaml_get(at, "expect")))
        return missing(p, at, "tests", "expect");
    if (yaml_is(p->y, send, "send", YAML_LIST, p->e) < 0)
        return -1;
    t->send = arena_zero(&p->set->arena, send->n * sizeof *t->send + 1);
    for (t->send_n = 0; t->send_n < send->n; t->send_n++)
        if (read_send(p, send->items[t->send_n], t->send_n ? t->send[t->send_n - 1].at : 0, &t->send[t->send_n]) < 0)
            return -1;
    return read_expect(p, expect, t);
}

static int read_tests(struct parser *p, const node *map, struct rule *r)
{
    const node *at = yaml_get(map, "tests");
    struct rule_condition *c = r->cond;
    if (!at)
        return 0;
    if (yaml_is(p->y, at, "tests", YAML_LIST, p->e) < 0)
        return -1;
    c->tests = arena_zero(&p->set->arena, at->n * sizeof *c->tests + 1);
    for (; c->tests_n < at->n; c->tests_n++)
        if (read_test(p, at->items[c->tests_n], &c->tests[c->tests_n]) < 0)
            return -1;
    return 0;
}

/* ---- rules and files ---- */

static struct rule *rule_new(struct parser *p, const node *at)
{
    struct rules_set *s = p->set;
    struct rule *r = arena_zero(&s->arena, sizeof *r);
    r->cond = arena_zero(&s->arena, sizeof *r->cond);
    r->file = p->file;
    r->line = at->line;
    r->digest = HOUR;
    r->enabled = true;
    return r;
}

static int read_rule(struct parser *p, const node *at, struct rule *r)
{
    const node *rank, *enabled;
    if (check_words(p, at, "rules", &rule_words) < 0 || read_id(p, at, r) < 0)
        return -1;
    if (read_text(p, at, "why", &r->why) < 0 || read_text(p, at, "owner", &r->owner) < 0 ||
        read_text(p, at, "run", &r->run) < 0)
        return -1;
    if (!r->why)
        return missing(p, at, r->id, "why");
    if ((rank = yaml_get(at, "rank")) && read_rank(p, rank, "rank", &r->rank) < 0)
        return -1;
    if ((enabled = yaml_get(at, "enabled")) && yaml_bool(p->y, enabled, "enabled", &r->enabled, p->e) < 0)
        return -1;
    if (read_duration(p, at, "wait", "wait", 0, HOUR, &r->wait) < 0 ||
        read_duration(p, at, "digest", "digest", MINUTE, 7 * DAY, &r->digest) < 0)
        return -1;
    if (read_filter(p, at, r) < 0 || read_fields(p, at, "by", &r->cond->by) < 0 || read_count(p, at, r) < 0 ||
        read_new(p, at, r) < 0 || read_tests(p, at, r) < 0)
        return -1;
    set_version(r->cond);
    return 0;
}

/* The set owns the rule from the start, so that freeing the set frees its filter whatever happens. */
static int add_rule(struct parser *p, const node *at)
{
    struct rules_set *s = p->set;
    struct rule *r = rule_new(p, at);
    int rc = read_rule(p, at, r);
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->rules = xrealloc(s->rules, s->cap * sizeof *s->rules);
    }
    s->rules[s->n++] = r;
    return rc;
}

int rules_parse(struct rules_set *s, const char *file, str text, struct err *e)
{
    struct yaml *y;
    if (yaml_parse(file, text, &y, e) < 0)
        return -1;
    struct parser p = {.set = s, .y = y, .e = e};
    p.file = keep(&p, str_of(file));
    const node *rules = yaml_get(yaml_root(y), "rules");
    int rc = check_words(&p, yaml_root(y), "", &file_words);
    if (rc == 0 && rules)
        rc = yaml_is(y, rules, "rules", YAML_LIST, e);
    for (size_t i = 0; rc == 0 && rules && i < rules->n; i++)
        rc = add_rule(&p, rules->items[i]);
    yaml_tree_free(y);
    return rc;
}
