/* rules/parse_test.c - the `tests:` of a rule. */
#include "base/str.h"
#include "event/json.h"
#include "rules/parse.h"

#define DAY (86400 * USEC_PER_SEC)
enum { SEND_MAX = 100000, TEST_JSON_MAX = 1 << 20 };

static const char *const none[] = {NULL}, *const test_words[] = {"send", "expect", "until", NULL},
                         *const expect_words[] = {"mails", "digests", "stats", "rank", "P", NULL};

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
    static const char *const ours[] = {"repeat", "every", "at", "app"};
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

/* "+5m": a time since the test's start. */
static int read_offset(struct parser *p, const node *map, const char *name, usec not_before, usec *ret)
{
    const node *at = yaml_get(map, name);
    char got[YAML_GOT_MAX];
    usec offset;
    if (!at)
        return 0;
    if (at->kind != YAML_SCALAR || !str_starts(at->text, S("+")) || !str_duration(str_skip(at->text, 1), &offset) ||
        offset > 365 * DAY)
        return yaml_fail(p->y, at, p->e, "%s: expected a time since the test's start like +5m, got %s", name,
                         yaml_got(at, got));
    if (offset < not_before)
        return yaml_fail(p->y, at, p->e, "%s: %s is before the event above it", name, yaml_got(at, got));
    *ret = offset;
    return 0;
}

static int read_send(struct parser *p, const node *at, usec not_before, struct rule_test_send *s)
{
    const node *repeat, *app;
    uint64_t n = 1;
    str name = S("test");
    struct buf json = BUF_INIT(TEST_JSON_MAX);
    if (yaml_is(p->y, at, "send", YAML_MAP, p->e) < 0)
        return -1;
    if ((repeat = yaml_get(at, "repeat")) && yaml_integer(p->y, repeat, "repeat", 1, SEND_MAX, &n, p->e) < 0)
        return -1;
    if ((app = yaml_get(at, "app")) && yaml_text(p->y, app, "app", &name, p->e) < 0)
        return -1;
    s->at = not_before;
    if (read_offset(p, at, "at", not_before, &s->at) < 0 ||
        read_duration(p, at, "every", "every", 1, DAY, &s->every) < 0)
        return -1;
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
    } numbers[] = {{"mails", &t->mails}, {"digests", &t->digests}, {"stats", &t->stats}};
    t->mails = t->digests = t->stats = t->rank = -1;
    if (check_words(p, at, "expect", expect_words, none) < 0)
        return -1;
    if (at->n == 0)
        return yaml_fail(p->y, at, p->e, "expect: expected mails, digests, stats or rank, got nothing");
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
    if (check_words(p, at, "tests", test_words, none) < 0)
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
    if (read_offset(p, at, "until", t->send_n ? t->send[t->send_n - 1].at : 0, &t->until) < 0)
        return -1;
    return read_expect(p, expect, t);
}

int read_tests(struct parser *p, const node *map, struct rule *r)
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
