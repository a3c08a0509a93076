/* query/facets.c - what there is to narrow a query by: the most frequent values of fields, the fields themselves, and
 * what happened around one event. */
#include "base/limits.h"
#include "base/map.h"
#include "query/context.h"
#include "query/group.h"
#include "query/lead.h"

enum { VALUES_DEFAULT = 10, NAMES_DEFAULT = 1000 };

/* ---- values ---- */

struct facet {
    struct stage stage;
    struct groups *groups;
};
struct facets {
    struct facet *f;
    size_t n;
    bool need_event;
    bool cut; /* a field has more values than are counted */
    struct lead lead;
};

static int count_values(void *arg, struct scan *s, struct err *e)
{
    struct facets *all = arg;
    struct err full;
    struct row row = {.time = s->time};
    (void)e;
    if ((all->need_event && !scan_event(s)) || !lead_pass(&all->lead, s))
        return 0;
    if (!s->read) {
        s->ev.n = 0;
        s->ev.severity = s->severity;
    }
    for (size_t i = 0; i < all->n; i++)
        all->cut |= groups_add(all->f[i].groups, &s->ev, &row, &s->a, &full) < 0;
    return 0;
}

static void print_facet(const struct facet *f, struct buf *out)
{
    struct query_result meta = {0};
    struct arena a = {0};
    struct rows rows;
    struct buf name = BUF_INIT(SIZE_MAX / 2);
    buf_json(&name, f->stage.fields[0]);
    buf_str(out, buf_view(&name));
    buf_lit(out, ":[");
    groups_rows(f->groups, &rows, &meta, &a);
    for (size_t i = 0; i < rows.n; i++) { /* {"NAME":VALUE,"count":N} */
        buf_str(out, i ? S(",{\"value\"") : S("{\"value\""));
        buf_str(out, str_skip(rows.p[i]->line, 1 + name.n));
    }
    buf_byte(out, ']');
    rows_done(&rows);
    buf_done(&name);
    arena_done(&a);
}

static void facets_init(struct facets *all, const struct query_options *o, const str *fields, size_t n)
{
    static struct aggregate count = {.fn = FN_COUNT, .name = S("count")};
    all->f = xcalloc(n, sizeof *all->f);
    all->n = n;
    for (size_t i = 0; i < n; i++) {
        struct facet *f = &all->f[i];
        f->stage = (struct stage){.kind = STAGE_TOP,
                                  .name = "facets",
                                  .fields = (str *)(uintptr_t)&fields[i],
                                  .fields_n = 1,
                                  .limit = o->limit ? o->limit : VALUES_DEFAULT,
                                  .aggregates = &count,
                                  .aggregates_n = 1};
        f->groups = groups_new(&f->stage, o);
        all->need_event |= groups_need_event(f->groups);
    }
}

int query_facets(const struct query *q, struct store_view *v, const struct query_options *o, const str *fields,
                 size_t n, struct buf *out, bool *ret_partial, struct err *e)
{
    struct facets all = {0};
    struct scan *s = scan_new(q, v, o);
    lead_init(&all.lead, q, s, true);
    facets_init(&all, o, fields, n);
    s->fields = all.lead.from == all.lead.to ? fields : NULL;
    s->fields_n = n;
    s->arg = &all;
    s->take = count_values;
    int rc = scan_run(s, e);
    buf_byte(out, '{');
    for (size_t i = 0; i < n && rc == 0; i++) {
        buf_str(out, i ? S(",") : S(""));
        print_facet(&all.f[i], out);
    }
    buf_lit(out, "}\n");
    *ret_partial = s->partial || all.cut;
    for (size_t i = 0; i < n; i++)
        groups_free(all.f[i].groups);
    free(all.f);
    scan_free(s);
    return rc;
}

/* ---- names ---- */

struct seen_name {
    str name;
    uint64_t n, kinds[VALUE_JSON + 1];
};
struct field_names {
    struct map map; /* name to struct seen_name */
    bool cut;
    struct lead lead;
};

static int count_names(void *arg, struct scan *s, struct err *e)
{
    struct field_names *all = arg;
    const struct event *ev = scan_event(s);
    (void)e;
    if (!lead_pass(&all->lead, s))
        return 0;
    for (size_t i = 0; ev && i < ev->n; i++) {
        struct seen_name *name = map_get(&all->map, ev->f[i].name);
        if (!name && all->map.n >= LIMIT_GROUPS) {
            all->cut = true;
            continue;
        }
        if (!name)
            map_set(&all->map, ev->f[i].name, name = xcalloc(1, sizeof *name));
        name->n++;
        name->kinds[ev->f[i].kind]++;
    }
    return 0;
}

static int most_first(const void *a, const void *b)
{
    const struct seen_name *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n ? 1 : -1) : str_cmp(x->name, y->name);
}

static void print_name(const struct seen_name *name, struct buf *out)
{
    static const char *const kinds[] = {"null", "boolean", "number", "string", "list"};
    bool first = true;
    buf_lit(out, "{\"name\":");
    buf_json(out, name->name);
    buf_printf(out, ",\"count\":%llu,\"kinds\":{", (unsigned long long)name->n);
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        if (name->kinds[i])
            buf_printf(out, "%s\"%s\":%llu", first ? "" : ",", kinds[i], (unsigned long long)name->kinds[i]);
        first &= !name->kinds[i];
    }
    buf_lit(out, "}}");
}

/* Empties the map. */
static struct seen_name *list_names(struct map *map, size_t *ret_n)
{
    struct seen_name *list = xcalloc(map->n + 1, sizeof *list);
    struct map_slot *slot;
    size_t n = 0;
    for (size_t i = 0; (slot = map_next(map, &i)); n++) {
        list[n] = *(struct seen_name *)slot->value;
        list[n].name = str_n(slot->key, slot->key_n);
        free(slot->value);
    }
    qsort(list, n, sizeof *list, most_first);
    *ret_n = n;
    return list;
}

int query_fields(const struct query *q, struct store_view *v, const struct query_options *o, struct buf *out,
                 struct err *e)
{
    struct field_names all = {0};
    struct scan *s = scan_new(q, v, o);
    size_t n, most = o->limit ? o->limit : NAMES_DEFAULT;
    lead_init(&all.lead, q, s, true);
    s->arg = &all;
    s->take = count_names;
    int rc = scan_run(s, e);
    struct seen_name *list = list_names(&all.map, &n);
    buf_lit(out, "{\"fields\":[");
    for (size_t i = 0; i < n && i < most; i++) {
        buf_str(out, i ? S(",") : S(""));
        print_name(&list[i], out);
    }
    buf_printf(out, "],\"partial\":%s}\n", s->partial || all.cut || n > most ? "true" : "false");
    free(list);
    map_done(&all.map);
    scan_free(s);
    return rc;
}

/* ---- around one event ---- */

static void print_list(const struct rows *t, size_t from, size_t to, struct buf *out)
{
    buf_byte(out, '[');
    for (size_t i = from; i < to; i++) {
        buf_str(out, i > from ? S(",") : S(""));
        buf_str(out, t->p[i]->line);
    }
    buf_byte(out, ']');
}

static void print_context(const struct rows *t, str id, bool partial, struct buf *out)
{
    size_t at = 0;
    while (at < t->n && !str_eq(t->p[at]->id, id))
        at++;
    buf_lit(out, "{\"before\":");
    print_list(t, 0, at, out);
    buf_lit(out, ",\"event\":");
    buf_str(out, t->p[at]->line);
    buf_lit(out, ",\"after\":");
    print_list(t, at + 1, t->n, out);
    buf_printf(out, ",\"partial\":%s}\n", partial ? "true" : "false");
}

int query_context(struct store_view *v, const struct query_options *o, str id, uint32_t before, uint32_t after,
                  struct buf *out, struct err *e)
{
    struct buf line = BUF_INIT(SIZE_MAX / 2);
    struct rows hit = {0}, found = {0};
    struct surroundings c = {.before = before, .after = after};
    struct query_options oldest_first = *o;
    int severity;
    oldest_first.ascending = true;
    int rc = query_event(v, id, &line, e);
    struct row row = {.line = buf_view(&line), .id = line_id(buf_view(&line)), .stored = true};
    if (rc == 0 && !event_peek(row.line, &row.time, &severity))
        rc = err_set(e, ERR_CORRUPT, "the event '%.*s' cannot be read", STR_ARG(str_head(id, 40)));
    if (rc == 0) {
        rows_add(&hit, &row);
        rc = context_find(v, &oldest_first, &hit, &c, &found, e);
    }
    if (rc == 0)
        print_context(&found, id, c.partial, out);
    rows_done(&hit);
    rows_done(&found);
    buf_done(&line);
    return rc;
}
