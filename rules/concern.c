/* rules/concern.c - which lines no rule needs to have read, told from the line as it is stored. */
#include "base/hash.h"
#include "base/str.h"
#include "rules/condition.h"

static const str presence[] = {{"app", 3}, {"host", 4}};

static bool is_presence(str field) { return str_eq(field, presence[0]) || str_eq(field, presence[1]); }

/* Does app and host alone tell whether the filter matches? */
static bool asks_presence(const struct filter_node *n)
{
    if (n->kind == NODE_COMPARE)
        return n->subject == SUBJECT_FIELD && is_presence(n->field);
    bool is = n->kind == NODE_ALL || n->kind == NODE_AND || n->kind == NODE_OR || n->kind == NODE_NOT;
    for (size_t i = 0; is && i < n->n; i++)
        is = asks_presence(n->children[i]);
    return is;
}

bool condition_listens(const struct rule_condition *c)
{
    bool is = !c->watch && !c->stat && c->n > 0 && asks_presence(filter_root(c->filter));
    for (size_t i = 0; is && i < c->n; i++) {
        const struct rule_part *p = &c->parts[i];
        is = p->kind == PART_ABSENT && !p->where && p->known_ip == ANY;
        for (size_t k = 0; is && k < p->by.n; k++)
            is = is_presence(str_of(p->by.name[k]));
    }
    return is;
}

/* What `"host":` says, as it stands; absent when nothing does. False: it takes a reader to tell, because there are several,
 * one of them perhaps inside another field. */
static bool host_of(str line, str *ret)
{
    const str name = S("\"host\":\"");
    ptrdiff_t at = str_find(line, name);
    *ret = (str){0};
    if (at < 0)
        return true;
    line = str_skip(line, (size_t)at + name.n);
    ptrdiff_t end = str_chr(line, '"');
    *ret = str_head(line, end < 0 ? 0 : (size_t)end);
    return str_find(line, name) < 0;
}

static uint64_t source(str app, str host) { return xxh64(host.p, host.n, xxh64(app.p, app.n, 0)); }

bool source_is_news(struct rules_memory *m, const struct rules_input *in, struct arena *a)
{
    return in->event && memory_hear(m, source(in->event->app, event_text(in->event, S("host"), a)), in->now);
}

static bool may_be_news(const struct rules_memory *m, str line, usec now)
{
    struct event_head head;
    str host;
    return !event_read_head(line, &head) || !host_of(line, &host) || memory_silent(m, source(head.app, host), now);
}

static bool has_escapes(str line) { return str_find(line, S("\\u")) >= 0; }

/* The hint says nothing of a line with \u escapes, which are rare: such a line is read. */
bool rules_concern(const struct rules_set *s, const struct rules_memory *m, str line, int severity, nsec time, usec now)
{
    bool listens = false;
    int escapes = -1; /* not looked at yet */
    if (s && s->asks_known_ip && str_find(line, S("\"auth.user\":")) >= 0)
        return true; /* who logs in from where is remembered whatever the filters say */
    for (size_t i = 0; s && i < s->n; i++) {
        const struct rule_condition *c = s->rules[i]->cond;
        const struct finder *hint = filter_hint(c->filter);
        if (!s->rules[i]->enabled || c->watch || filter_outlook(c->filter, 1u << severity, time, time) == OUTLOOK_NO)
            continue;
        if (c->listens)
            listens = true;
        else if (!hint || find_nocase(hint, line) >= 0 || (escapes < 0 ? (escapes = has_escapes(line)) : escapes))
            return true;
    }
    return listens && (has_escapes(line) || may_be_news(m, line, now));
}
