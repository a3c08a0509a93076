#include "query/group.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"

struct groups {
    const struct stage *count;
    struct map map; /* key to struct group */
    struct buf key;
    size_t bytes;
};
struct group {
    uint64_t n;
};

struct groups *groups_new(const struct stage *count)
{
    struct groups *g = xcalloc(1, sizeof *g);
    g->count = count;
    buf_init(&g->key, LIMIT_RESULT);
    return g;
}

void groups_free(struct groups *g)
{
    if (!g)
        return;
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&g->map, &i));)
        free(slot->value);
    map_done(&g->map);
    buf_done(&g->key);
    free(g);
}

bool groups_need_event(const struct groups *g)
{
    const struct stage *c = g->count;
    return c->fields_n > 1 || (c->fields_n == 1 && !str_eq(c->fields[0], S("level")));
}

bool groups_only_count(const struct groups *g) { return g->count->fields_n == 0 && !g->count->every; }

/* ---- keys: the bucket's start in seconds, then of each field its kind, length, text ---- */

static int64_t floor_div(int64_t v, int64_t by) { return v / by - (v % by < 0); }

static void add_part(struct buf *key, enum value_kind kind, str text)
{
    uint32_t n = (uint32_t)text.n;
    buf_byte(key, (char)kind);
    buf_add(key, &n, sizeof n);
    buf_str(key, text);
}

static str take_bytes(str *key, size_t n)
{
    str part = str_head(*key, n);
    *key = str_skip(*key, n);
    return part;
}

static void take_part(str *key, struct cell *ret)
{
    uint32_t n;
    ret->kind = (enum value_kind)take_bytes(key, 1).p[0];
    memcpy(&n, take_bytes(key, sizeof n).p, sizeof n);
    ret->text = take_bytes(key, n);
}

static void make_key(struct groups *g, const struct event *ev, struct arena *a)
{
    const struct stage *c = g->count;
    int64_t every = c->every / USEC_PER_SEC, bucket = 0;
    buf_reset(&g->key);
    if (every && ev->time != TIME_NONE)
        bucket = floor_div(floor_div(ev->time, NSEC_PER_SEC), every) * every;
    if (bucket < INT64_MIN / NSEC_PER_SEC) /* before nanoseconds can tell */
        bucket = INT64_MIN / NSEC_PER_SEC;
    buf_add(&g->key, &bucket, sizeof bucket);
    for (size_t i = 0; i < c->fields_n; i++) {
        const struct field *f = event_field(ev, c->fields[i]);
        if (!f && ev->severity && str_eq(c->fields[i], S("level")))
            add_part(&g->key, VALUE_STRING, level_name(ev->severity));
        else if (!f || f->kind == VALUE_NULL)
            add_part(&g->key, VALUE_NULL, S("null"));
        else
            add_part(&g->key, f->kind, field_text(f, a));
    }
}

static struct group *group_new(struct groups *g, struct err *e)
{
    const struct stage *c = g->count;
    if (g->map.n >= LIMIT_GROUPS)
        return (void)err_at(e, c->column,
                            "stage 'count' makes more than %u groups: count by fewer fields, or coarser ones",
                            LIMIT_GROUPS),
               NULL;
    g->bytes += g->key.n + sizeof(struct group) + sizeof(struct map_slot);
    if (g->key.full || g->bytes > LIMIT_RESULT)
        return (void)err_at(e, c->column,
                            "stage 'count' makes groups of more than %u bytes in all: count by shorter fields",
                            LIMIT_RESULT),
               NULL;
    struct group *group = xcalloc(1, sizeof *group);
    map_set(&g->map, buf_view(&g->key), group);
    return group;
}

int groups_add(struct groups *g, const struct event *ev, struct arena *a, struct err *e)
{
    make_key(g, ev, a);
    struct group *group = map_get(&g->map, buf_view(&g->key));
    if (!group && !(group = group_new(g, e)))
        return -1;
    group->n++;
    return 0;
}

void groups_add_many(struct groups *g, uint64_t n)
{
    struct err e;
    struct arena none = {0};
    assert(groups_only_count(g));
    int rc = groups_add(g, &(struct event){.time = TIME_NONE}, &none, &e);
    assert(rc == 0);
    ((struct group *)map_get(&g->map, buf_view(&g->key)))->n += n - 1;
}

/* ---- the table ---- */

struct counted {
    str key;
    int64_t bucket;
    uint64_t n;
};

/* Of values, in the order of the fields: what is missing comes last. */
static int values_cmp(str x, str y, size_t n)
{
    struct cell a, b;
    int c = 0;
    for (size_t i = 0; i < n && c == 0; i++) {
        take_part(&x, &a);
        take_part(&y, &b);
        c = (a.kind == VALUE_NULL) - (b.kind == VALUE_NULL);
        if (c == 0)
            c = str_cmp(a.text, b.text);
        if (c == 0)
            c = (a.kind > b.kind) - (a.kind < b.kind);
    }
    return c;
}

/* By time, then the largest first. */
static int counted_cmp(const void *a, const void *b, void *count)
{
    const struct counted *x = a, *y = b;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    if (x->n != y->n)
        return x->n < y->n ? 1 : -1;
    return values_cmp(str_skip(x->key, sizeof x->bucket), str_skip(y->key, sizeof y->bucket),
                      ((struct stage *)count)->fields_n);
}

static void add_row(const struct groups *g, const struct counted *group, struct rows *t)
{
    struct cell cells[QUERY_FIELDS_MAX + 2];
    char time[TIME_TEXT_MAX], n[24];
    size_t k = 0;
    str key = str_skip(group->key, sizeof group->bucket);
    if (g->count->every)
        cells[k++] = (struct cell){VALUE_STRING, str_n(time, time_print(group->bucket * NSEC_PER_SEC, 0, time))};
    for (size_t i = 0; i < g->count->fields_n; i++)
        take_part(&key, &cells[k++]);
    snprintf(n, sizeof n, "%llu", (unsigned long long)group->n);
    cells[k] = (struct cell){VALUE_NUMBER, str_of(n)};
    rows_add_cells(t, g->count->every ? group->bucket * NSEC_PER_SEC : TIME_NONE, (str){NULL, 0}, cells);
}

static void name_columns(const struct groups *g, struct rows *t, struct arena *a)
{
    t->columns = arena_alloc(a, (g->count->fields_n + 2) * sizeof *t->columns);
    if (g->count->every)
        t->columns[t->columns_n++] = S("time");
    for (size_t i = 0; i < g->count->fields_n; i++)
        t->columns[t->columns_n++] = g->count->fields[i];
    t->columns[t->columns_n++] = S("count");
}

void groups_rows(const struct groups *g, struct rows *ret, struct arena *a)
{
    size_t n = 0;
    struct counted *all = xcalloc(g->map.n + 1, sizeof *all);
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&g->map, &i)); n++) {
        all[n] = (struct counted){str_n(slot->key, slot->key_n), 0, ((struct group *)slot->value)->n};
        memcpy(&all[n].bucket, slot->key, sizeof all[n].bucket);
    }
    if (n == 0 && g->count->fields_n == 0 && !g->count->every) /* the count of nothing is 0, not nothing */
        all[n++] = (struct counted){.n = 0};
    qsort_r(all, n, sizeof *all, counted_cmp, (void *)(uintptr_t)g->count);
    *ret = (struct rows){0};
    name_columns(g, ret, a);
    for (size_t i = 0; i < n; i++)
        add_row(g, &all[i], ret);
    free(all);
}
