/* query/count.c - `count [by FIELDS] [every DURATION]`: one number a group, in a table of at most LIMIT_GROUPS. */
#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "query/plan.h"

struct group {
    nsec start;   /* of the bucket */
    char *values; /* the group's values as JSON, with commas between: `"error",null` */
    uint64_t n;
};
struct groups {
    const struct stage *stage;
    struct map by_key; /* start and values -> index + 1 */
    struct group *p;
    size_t n, cap;
    struct buf key;
};

struct groups *groups_new(const struct stage *s)
{
    struct groups *g = xcalloc(1, sizeof *g);
    g->stage = s;
    buf_init(&g->key, 64u << 20);
    return g;
}

void groups_free(struct groups *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++)
        free(g->p[i].values);
    free(g->p);
    map_done(&g->by_key);
    buf_done(&g->key);
    free(g);
}

static nsec bucket(nsec t, usec every)
{
    nsec size = every * NSEC_PER_USEC, rest = t % size;
    return t - (rest < 0 ? rest + size : rest);
}

static int group_of(struct groups *g, nsec start, str values, struct group **ret, struct err *e)
{
    str key = buf_view(&g->key);
    size_t index = (size_t)(uintptr_t)map_get(&g->by_key, key);
    if (!index) {
        if (g->n == LIMIT_GROUPS)
            return err_set(e, ERR_INPUT, "count: more than %u groups: narrow the query, or count by fewer fields",
                           LIMIT_GROUPS);
        if (g->n == g->cap)
            g->p = xrealloc(g->p, (g->cap = g->cap ? g->cap * 2 : 64) * sizeof *g->p);
        g->p[g->n++] = (struct group){.start = start, .values = str_dup(values)};
        index = g->n;
        map_set(&g->by_key, key, (void *)(uintptr_t)index);
    }
    *ret = &g->p[index - 1];
    return 0;
}

int groups_add(struct groups *g, const struct event *ev, struct err *e)
{
    const struct stage *s = g->stage;
    nsec start = s->every ? bucket(ev->time, s->every) : 0;
    struct group *group;
    buf_reset(&g->key);
    buf_add(&g->key, &start, sizeof start);
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = event_field(ev, s->fields[i]);
        if (i)
            buf_byte(&g->key, ',');
        if (!f) {
            buf_lit(&g->key, "null");
            continue;
        }
        if (f->kind == VALUE_STRING)
            buf_byte(&g->key, '"');
        buf_str(&g->key, f->raw);
        if (f->kind == VALUE_STRING)
            buf_byte(&g->key, '"');
    }
    if (group_of(g, start, str_skip(buf_view(&g->key), sizeof start), &group, e) < 0)
        return -1;
    group->n++;
    return 0;
}

void groups_add_many(struct groups *g, uint64_t n)
{
    struct group *group;
    struct err e;
    nsec start = 0;
    buf_reset(&g->key);
    buf_add(&g->key, &start, sizeof start);
    int rc = group_of(g, 0, S(""), &group, &e);
    assert(rc == 0);
    (void)rc;
    group->n += n;
}

/* Oldest bucket first; in it, and without `every`, the largest first. */
static int by_time_and_count(const void *va, const void *vb)
{
    const struct group *a = va, *b = vb;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    return strcmp(a->values, b->values);
}

/* The i-th of values with commas between; a comma inside a string or bracket does not count. */
static str cut_value(str *rest)
{
    size_t n = 0;
    int depth = 0;
    for (bool in = false; n < rest->n; n++) {
        char c = rest->p[n];
        if (in && c == '\\')
            n++;
        else if (c == '"')
            in = !in;
        else if (!in && (c == '[' || c == '{'))
            depth++;
        else if (!in && (c == ']' || c == '}'))
            depth--;
        else if (!in && depth == 0 && c == ',')
            break;
    }
    str head = str_head(*rest, n);
    *rest = str_skip(*rest, n + 1);
    return head;
}

int groups_rows(struct groups *g, struct rows *out, struct err *e)
{
    const struct stage *s = g->stage;
    struct buf line = BUF_INIT(64u << 20);
    int rc = 0;
    if (!s->n && !s->every && !g->n)
        groups_add_many(g, 0); /* nothing matched: the count is 0, not absent */
    if (g->n)
        qsort(g->p, g->n, sizeof *g->p, by_time_and_count);
    for (size_t i = 0; rc == 0 && i < g->n; i++) {
        const struct group *group = &g->p[i];
        str values = str_of(group->values);
        buf_reset(&line);
        buf_byte(&line, '{');
        if (s->every) {
            char t[TIME_TEXT_MAX];
            time_print(group->start, 0, t);
            buf_printf(&line, "\"time\":\"%s\",", t);
        }
        for (size_t k = 0; k < s->n; k++) {
            buf_json(&line, s->fields[k]);
            buf_byte(&line, ':');
            buf_str(&line, cut_value(&values));
            buf_byte(&line, ',');
        }
        buf_printf(&line, "\"count\":%llu}", (unsigned long long)group->n);
        rc = rows_add(out, buf_view(&line), group->start, e);
    }
    buf_done(&line);
    return rc;
}
