#include "base/str.h"
#include "base/yaml.h"
#include "rules/condition.h"

struct rules_set *rules_set_new(void) { return xcalloc(1, sizeof(struct rules_set)); }

void rules_set_version(struct rules_set *s, int64_t version) { s->version = version; }

static void part_free(struct rule_part *p)
{
    filter_free(p->where);
    filter_free(p->bad);
    filter_free(p->total);
    for (size_t i = 0; i < p->steps; i++)
        filter_free(p->step[i].where);
}

void rules_set_free(struct rules_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        struct rule_condition *c = s->rules[i]->cond;
        filter_free(c->filter);
        for (size_t k = 0; k < c->n; k++)
            part_free(&c->parts[k]);
    }
    free(s->rules);
    arena_done(&s->arena);
    free(s);
}

bool rules_watch(const struct rules_set *s, str name, bool hours)
{
    for (size_t i = 0; s && i < s->n; i++) {
        const struct rule_condition *c = s->rules[i]->cond;
        if (s->rules[i]->enabled && c->watch && c->watch_hours == hours && str_eq(str_of(c->watch), name))
            return true;
    }
    return false;
}

static int check_inhibitor(const struct rules_set *s, const struct rule *r, str id, struct err *e)
{
    const char **known = xcalloc(s->n, sizeof *known);
    bool found = false;
    for (size_t i = 0; i < s->n; i++) {
        known[i] = s->rules[i]->id;
        found |= str_eq(id, str_of(known[i]));
    }
    const char *near = nearest_name(id, known, s->n);
    free(known);
    return found ? 0
                 : err_set(e, ERR_INPUT, "%s:%zu: %s: inhibited_by: there is no rule \"%.*s\"%s%s%s", r->file, r->line,
                           r->id, STR_ARG(id), near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

int rules_check_inhibitors(const struct rules_set *s, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        str ids = str_of(s->rules[i]->inhibited_by);
        while (ids.n)
            if (check_inhibitor(s, s->rules[i], str_cut(&ids, ' '), e) < 0)
                return -1;
    }
    return 0;
}

size_t rules_count(const struct rules_set *s) { return s->n; }
const struct rule *rules_at(const struct rules_set *s, size_t i)
{
    assert(i < s->n);
    return s->rules[i];
}

static void put_rule(struct buf *out, const struct rule *r)
{
    const struct rule_fields *by = &r->cond->by;
    buf_lit(out, "{\"id\":");
    buf_json(out, str_of(r->id));
    buf_member(out, "why", str_of(r->why));
    buf_member(out, "owner", str_of(r->owner));
    buf_member(out, "run", str_of(r->run));
    buf_member(out, "file", str_of(r->file));
    buf_printf(out, ",\"line\":%zu,\"version\":%lld", r->line, (long long)r->version);
    buf_member(out, "source", r->source);
    buf_printf(out, ",\"enabled\":%s", r->enabled ? "true" : "false");
    if (r->rank)
        buf_printf(out, ",\"rank\":\"P%d\"", r->rank);
    else
        buf_lit(out, ",\"rank\":null");
    buf_member(out, "when", str_of(r->cond->when));
    buf_lit(out, ",\"by\":[");
    for (size_t i = 0; i < by->n; i++) {
        if (i)
            buf_byte(out, ',');
        buf_json(out, str_of(by->name[i]));
    }
    buf_lit(out, "],\"stat\":");
    if (r->cond->stat)
        buf_json(out, str_of(r->cond->stat->name));
    else
        buf_lit(out, "null");
    buf_printf(out, ",\"wait_s\":%lld,\"digest_s\":%lld,\"tests\":%zu", (long long)(r->wait / USEC_PER_SEC),
               (long long)(r->digest / USEC_PER_SEC), r->cond->tests_n);
}

uint64_t rule_gave_up(const struct rule *r) { return filter_gave_up(r->cond->filter); }

void rules_set_json(const struct rules_set *s, rules_more_fn *more, void *arg, struct buf *out)
{
    buf_lit(out, "{\"rules\":[");
    for (size_t i = 0; i < s->n; i++) {
        if (i)
            buf_byte(out, ',');
        put_rule(out, s->rules[i]);
        if (more)
            more(s->rules[i], out, arg);
        buf_byte(out, '}');
    }
    buf_byte(out, ']');
}

struct rules_set *rules_only(const struct rules_set *s, const struct rule *r)
{
    struct rules_set *only = rules_set_new();
    struct rule *copy = arena_zero(&only->arena, sizeof *copy);
    *copy = *r;
    copy->enabled = true;
    only->rules = xcalloc(1, sizeof *only->rules);
    only->rules[0] = copy;
    only->n = only->cap = 1;
    only->asks_known_ip = s->asks_known_ip;
    return only;
}

void rules_only_free(struct rules_set *only)
{
    if (only)
        only->n = 0; /* the conditions are another set's */
    rules_set_free(only);
}

size_t rule_tests(const struct rule *r, const struct rule_test **ret)
{
    *ret = r->cond->tests;
    return r->cond->tests_n;
}
