#include "query/group-private.h"

#include "base/clock.h"
#include "base/limits.h"
#include "query/shape.h"

#define NO_STRETCH INT64_MIN /* of a row without a time */

struct groups *groups_new(const struct stage *st, const struct query_options *o)
{
    struct groups *g = xcalloc(1, sizeof *g);
    g->st = st;
    g->o = o;
    buf_init(&g->key, LIMIT_RESULT);
    return g;
}

void groups_free(struct groups *g)
{
    if (!g)
        return;
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&g->map, &i));) {
        struct accumulator *c = slot->value;
        for (size_t k = 0; k < g->st->aggregates_n; k++)
            accumulator_done(&g->st->aggregates[k], &c[k]);
        free(c);
    }
    map_done(&g->map);
    buf_done(&g->key);
    free(g);
}

static bool functions_need_event(const struct stage *st)
{
    bool need = false;
    for (size_t i = 0; i < st->aggregates_n; i++)
        need |= aggregate_needs_event(&st->aggregates[i]);
    return need;
}

bool groups_need_event(const struct groups *g)
{
    const struct stage *st = g->st;
    return st->fields_n > 1 || (st->fields_n == 1 && !str_eq(st->fields[0], S("level"))) || functions_need_event(st);
}

bool groups_count_rows(const struct groups *g) { return g->st->kind < STAGE_PATTERNS && !functions_need_event(g->st); }

bool groups_only_count(const struct groups *g)
{
    return g->st->fields_n == 0 && !g->st->every && !functions_need_event(g->st);
}

/* ---- keys: the stretch's start in seconds, then of each field its kind, length, text ---- */

static int64_t floor_div(int64_t v, int64_t by) { return v / by - (v % by < 0); }

void group_key_begin(struct groups *g, int64_t start)
{
    buf_reset(&g->key);
    buf_add(&g->key, &start, sizeof start);
}

void group_key_add(struct groups *g, enum value_kind kind, str text)
{
    uint32_t n = (uint32_t)text.n;
    buf_byte(&g->key, (char)kind);
    buf_add(&g->key, &n, sizeof n);
    buf_str(&g->key, text);
}

static str take_bytes(str *key, size_t n)
{
    str part = str_head(*key, n);
    *key = str_skip(*key, n);
    return part;
}

struct field group_key_take(str *key)
{
    uint32_t n;
    struct field f = {.kind = (enum value_kind)take_bytes(key, 1).p[0]};
    memcpy(&n, take_bytes(key, sizeof n).p, sizeof n);
    f.raw = take_bytes(key, n);
    return f;
}

int64_t group_stretch(const struct stage *st, nsec time)
{
    int64_t every = st->every / USEC_PER_SEC;
    if (!every)
        return 0;
    if (time == TIME_NONE)
        return NO_STRETCH;
    int64_t start = floor_div(floor_div(time, NSEC_PER_SEC), every) * every;
    return start < INT64_MIN / NSEC_PER_SEC ? INT64_MIN / NSEC_PER_SEC : start; /* before nanoseconds can tell */
}

/* False: `top` does not count a row that lacks a field. */
static bool make_key(struct groups *g, const struct event *ev, struct arena *a)
{
    const struct stage *st = g->st;
    group_key_begin(g, group_stretch(st, ev->time));
    for (size_t i = 0; i < st->fields_n; i++) {
        const struct field *f = event_field(ev, st->fields[i]);
        if (!f && ev->severity && str_eq(st->fields[i], S("level")))
            group_key_add(g, VALUE_STRING, level_name(ev->severity));
        else if (f && f->kind != VALUE_NULL)
            group_key_add(g, f->kind, field_text(f, a));
        else if (st->kind == STAGE_TOP)
            return false;
        else
            group_key_add(g, VALUE_NULL, S("null"));
    }
    return true;
}

int groups_check_bytes(const struct groups *g, struct err *e)
{
    if (g->key.full || g->bytes > LIMIT_RESULT)
        return err_at(e, g->st->column,
                      "stage '%s' makes groups of more than %u bytes in all: make fewer or smaller ones", g->st->name,
                      LIMIT_RESULT);
    return 0;
}

static struct accumulator *group_new(struct groups *g, struct err *e)
{
    size_t own = g->st->aggregates_n * sizeof(struct accumulator);
    if (g->map.n >= LIMIT_GROUPS)
        return (void)err_at(e, g->st->column,
                            "stage '%s' makes more than %u groups: count by fewer fields, or coarser ones", g->st->name,
                            LIMIT_GROUPS),
               NULL;
    g->bytes += g->key.n + own + sizeof(struct map_slot);
    if (groups_check_bytes(g, e) < 0)
        return NULL;
    struct accumulator *c = xcalloc(1, own);
    map_set(&g->map, buf_view(&g->key), c);
    return c;
}

struct accumulator *group_at_key(struct groups *g, struct err *e)
{
    struct accumulator *c = map_get(&g->map, buf_view(&g->key));
    return c ? c : group_new(g, e);
}

int groups_add(struct groups *g, struct event *ev, const struct row *r, struct arena *a, struct err *e)
{
    const struct stage *st = g->st;
    if (st->kind >= STAGE_PATTERNS && !shape_group(st, g->o, ev, a))
        return 0;
    if (!make_key(g, ev, a))
        return 0;
    struct accumulator *c = group_at_key(g, e);
    if (!c)
        return -1;
    for (size_t i = 0; i < st->aggregates_n; i++)
        accumulator_add(&st->aggregates[i], &c[i], ev, r, a, &g->bytes);
    return groups_check_bytes(g, e);
}

void groups_add_many(struct groups *g, uint64_t n)
{
    struct err e;
    struct arena none = {0};
    assert(groups_only_count(g));
    int rc = groups_add(g, &(struct event){.time = TIME_NONE}, &(struct row){.time = TIME_NONE}, &none, &e);
    assert(rc == 0);
    struct accumulator *c = map_get(&g->map, buf_view(&g->key));
    for (size_t i = 0; i < g->st->aggregates_n; i++)
        c[i].n += n - 1;
}

/* ---- the table ---- */

struct made { /* a group, and by what it is ordered */
    str key;
    int64_t start;
    struct accumulator *c;
    struct key first; /* the value of the first function */
};

/* Of values, in the order of the fields: what is missing comes last. */
static int values_cmp(str x, str y, size_t n)
{
    int c = 0;
    for (size_t i = 0; i < n && c == 0; i++) {
        struct field a = group_key_take(&x), b = group_key_take(&y);
        c = (a.kind == VALUE_NULL) - (b.kind == VALUE_NULL);
        if (c == 0)
            c = str_cmp(a.raw, b.raw);
        if (c == 0)
            c = (a.kind > b.kind) - (a.kind < b.kind);
    }
    return c;
}

/* Nobody waits for the table any more. */
static bool given_up(const struct groups *g) { return g->o->cancel && *g->o->cancel; }

/* By time, then the largest first; once given up, all are equal, so the sort ends soon. */
static int made_cmp(const void *a, const void *b, void *groups)
{
    const struct groups *g = groups;
    const struct made *x = a, *y = b;
    if (given_up(g))
        return 0;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    int c = key_cmp(&x->first, &y->first, true);
    return c ? c : values_cmp(x->key, y->key, g->st->fields_n);
}

/* The seconds of a stretch that the query looks at. */
static double seconds_of(const struct groups *g, int64_t start)
{
    double from = (double)g->o->from / 1e9, to = (double)g->o->to / 1e9;
    if (g->st->every && start != NO_STRETCH) {
        double end = (double)start + (double)g->st->every / 1e6;
        from = (double)start > from ? (double)start : from;
        to = end < to ? end : to;
    }
    return to - from;
}

static str print_value(const struct groups *g, const struct made *m, size_t i, struct arena *a, double *ret_error)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    accumulator_print(&g->st->aggregates[i], &m->c[i], seconds_of(g, m->start), &out, ret_error);
    str text = arena_str(a, buf_view(&out));
    buf_done(&out);
    return text;
}

/* As `sort` would see it. */
static struct key first_key(const struct groups *g, const struct made *m, struct arena *a)
{
    double ignored;
    struct key k = {.text = print_value(g, m, 0, a, &ignored)};
    bool quoted = k.text.p[0] == '"';
    if (quoted)
        k.text = field_text(&(struct field){.raw = str_n(k.text.p + 1, k.text.n - 2), .escaped = true}, a);
    if (!quoted && str_eq(k.text, S("null")))
        k.rank = KEY_MISSING;
    else
        k.rank = number_read(k.text, &k.number) && k.number.unit == UNIT_NONE ? KEY_NUMBER : KEY_TEXT;
    return k;
}

static void add_row(const struct groups *g, const struct made *m, struct rows *t, struct query_result *meta,
                    struct buf *line)
{
    char time[TIME_TEXT_MAX];
    double error;
    str key = m->key;
    struct row r = {.time = TIME_NONE};
    size_t column = 0;
    buf_reset(line);
    if (g->st->every && m->start != NO_STRETCH) {
        r.time = m->start * NSEC_PER_SEC;
        buf_printf(line, "{\"time\":\"%.*s\"", (int)time_print(r.time, 0, time), time);
        column++;
    }
    for (size_t i = 0; i < g->st->fields_n; i++) {
        struct field f = group_key_take(&key);
        buf_byte(line, column++ ? ',' : '{');
        buf_json(line, g->st->fields[i]);
        buf_byte(line, ':');
        shape_value(&f, line);
    }
    for (size_t i = 0; i < g->st->aggregates_n; i++) {
        buf_byte(line, column++ ? ',' : '{');
        buf_json(line, g->st->aggregates[i].name);
        buf_byte(line, ':');
        accumulator_print(&g->st->aggregates[i], &m->c[i], seconds_of(g, m->start), line, &error);
        result_approximate(meta, g->st->aggregates[i].name, error);
    }
    buf_byte(line, '}');
    r.line = buf_view(line);
    rows_add(t, &r);
}

static void name_columns(const struct groups *g, struct rows *t, struct arena *a)
{
    t->columns = arena_alloc(a, (g->st->fields_n + g->st->aggregates_n + 1) * sizeof *t->columns);
    if (g->st->every)
        t->columns[t->columns_n++] = S("time");
    for (size_t i = 0; i < g->st->fields_n; i++)
        t->columns[t->columns_n++] = g->st->fields[i];
    t->keys_n = t->columns_n;
    for (size_t i = 0; i < g->st->aggregates_n; i++)
        t->columns[t->columns_n++] = g->st->aggregates[i].name;
}

static struct made *list_groups(struct groups *g, size_t *ret_n, struct arena *a)
{
    struct made *all = xcalloc(g->map.n, sizeof *all);
    struct map_slot *slot;
    size_t n = 0;
    for (size_t i = 0; (slot = map_next(&g->map, &i)) && !given_up(g); n++) {
        all[n] = (struct made){.key = str_n(slot->key, slot->key_n), .c = slot->value};
        memcpy(&all[n].start, take_bytes(&all[n].key, sizeof all[n].start).p, sizeof all[n].start);
        all[n].first = first_key(g, &all[n], a);
    }
    *ret_n = n;
    return all;
}

/* The count of nothing is 0, not nothing. */
static void make_empty(struct groups *g)
{
    int64_t start = 0;
    if (g->map.n || g->st->fields_n || g->st->every)
        return;
    buf_reset(&g->key);
    buf_add(&g->key, &start, sizeof start);
    map_set(&g->map, buf_view(&g->key), xcalloc(g->st->aggregates_n, sizeof(struct accumulator)));
}

void groups_rows(struct groups *g, struct rows *ret, struct query_result *meta, struct arena *a)
{
    size_t n;
    struct arena scratch = {0};
    struct buf line = BUF_INIT(SIZE_MAX / 2);
    make_empty(g);
    if (g->st->kind == STAGE_PATTERNS)
        groups_settle_patterns(g);
    struct made *all = list_groups(g, &n, &scratch);
    qsort_r(all, n, sizeof *all, made_cmp, g);
    *ret = (struct rows){0};
    name_columns(g, ret, a);
    if (g->st->kind == STAGE_TOP && n > g->st->limit)
        n = (size_t)g->st->limit;
    for (size_t i = 0; i < n && !given_up(g); i++)
        add_row(g, &all[i], ret, meta, &line);
    free(all);
    buf_done(&line);
    arena_done(&scratch);
}
