#include "query/context.h"

#include "base/limits.h"
#include "query/scan.h"

struct hit {
    str app;
    const struct row *row;
};
struct gap {                   /* before hit i of an app; there is one more after the last */
    struct rows after, before; /* nearest to the hit at its start, and at its end */
};
struct search {
    struct store_view *view;
    const struct query_options *o;
    struct surroundings *c;
    const struct hit *hits; /* of one app, oldest first */
    size_t n;
    struct gap *gaps;   /* n + 1 */
    size_t first, last; /* the gaps that this pass looks at */
    size_t bytes;
};

static int place_cmp(nsec t1, str id1, nsec t2, str id2)
{
    return t1 != t2 ? (t1 > t2) - (t1 < t2) : str_cmp(id1, id2);
}

static int hit_cmp(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    int c = str_cmp(x->app, y->app);
    return c ? c : place_cmp(x->row->time, x->row->id, y->row->time, y->row->id);
}

/* ---- one pass ---- */

/* The gap it lies in; NULL: it is a hit, or not of this pass. */
static struct gap *gap_of(struct search *s, nsec time, str id)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = place_cmp(time, id, s->hits[mid].row->time, s->hits[mid].row->id);
        if (c == 0)
            return NULL;
        if (c > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low >= s->first && low <= s->last ? &s->gaps[low] : NULL;
}

static bool wanted(void *arg, nsec time, str id)
{
    struct gap *g = gap_of(arg, time, id);
    return g && (rows_wants(&g->after, time, id) || rows_wants(&g->before, time, id));
}

static int take(void *arg, struct scan *scan, struct err *e)
{
    struct search *s = arg;
    struct row r = {.time = scan->time, .id = scan_id(scan), .line = scan_line(scan), .stored = true};
    if (!r.line.p)
        return 0;
    struct gap *g = gap_of(s, r.time, r.id);
    size_t before = g->after.bytes + g->before.bytes;
    rows_offer(&g->after, &r, NULL, &scan->a);
    rows_offer(&g->before, &r, NULL, &scan->a);
    s->bytes += g->after.bytes + g->before.bytes - before;
    if (s->bytes > LIMIT_RESULT)
        return err_at(e, s->c->column, "stage 'context' would hold more than %u bytes: look around fewer events",
                      LIMIT_RESULT);
    return 0;
}

/* In the gaps without an end, blocks further away than what is there already are of no use. */
static bool more(void *arg, const struct store_block *b)
{
    struct search *s = arg;
    const struct gap *g = &s->gaps[s->first];
    if (s->first != s->last || (s->first != 0 && s->first != s->n))
        return true;
    return rows_wants_between(s->first ? &g->after : &g->before, b->t_min, b->t_max);
}

static int pass(struct search *s, const struct filter *app, size_t first, size_t last, nsec from, nsec to,
                struct err *e)
{
    struct query q = {.filter = (struct filter *)(uintptr_t)app};
    struct query_options o = {
        .from = from, .to = to, .ascending = first > 0, .deadline = s->o->deadline, .cancel = s->o->cancel};
    struct scan *scan = scan_new(&q, s->view, &o);
    s->first = first;
    s->last = last;
    scan->arg = s;
    scan->more = more;
    scan->wanted = wanted;
    scan->take = take;
    int rc = scan_run(scan, e);
    s->c->partial |= scan->partial;
    scan_free(scan);
    return rc;
}

static int search_app(struct search *s, struct err *e)
{
    struct buf text = BUF_INIT(LIMIT_QUERY);
    struct filter *app = NULL;
    nsec first = s->hits[0].row->time, last = s->hits[s->n - 1].row->time;
    buf_lit(&text, "app=");
    lex_print_string(s->hits[0].app, &text);
    int rc = filter_parse(buf_view(&text), &app, e);
    if (rc == 0 && s->c->before)
        rc = pass(s, app, 0, 0, INT64_MIN + 1, first + 1, e);
    if (rc == 0 && s->n > 1)
        rc = pass(s, app, 1, s->n - 1, first, last + 1, e);
    if (rc == 0 && s->c->after)
        rc = pass(s, app, s->n, s->n, last, INT64_MAX, e);
    filter_free(app);
    buf_done(&text);
    return rc;
}

/* ---- all apps ---- */

static struct gap *gaps_new(const struct search *s)
{
    struct gap *gaps = xcalloc(s->n + 1, sizeof *gaps);
    for (size_t i = 0; i <= s->n; i++) {
        gaps[i].after.order.ascending = true;
        gaps[i].after.keep = i > 0 ? (size_t)s->c->after : 0;
        gaps[i].before.keep = i < s->n ? (size_t)s->c->before : 0;
    }
    return gaps;
}

static void take_gaps(struct search *s, struct rows *ret)
{
    for (size_t i = 0; i <= s->n; i++) {
        struct rows *both[] = {&s->gaps[i].after, &s->gaps[i].before};
        for (size_t k = 0; k < LENGTH(both); k++) {
            for (size_t r = 0; r < both[k]->n; r++)
                rows_add(ret, both[k]->p[r]);
            rows_done(both[k]);
        }
    }
    free(s->gaps);
}

/* An event may be near the hits at both ends of its gap. */
static void drop_repeated(struct rows *t)
{
    rows_sort(t);
    for (size_t i = t->n; i-- > 1;)
        if (place_cmp(t->p[i]->time, t->p[i]->id, t->p[i - 1]->time, t->p[i - 1]->id) == 0)
            rows_mark(t, i);
    rows_drop_marked(t);
}

static struct hit *sort_hits(const struct rows *rows, struct arena *a, size_t *ret_n)
{
    struct hit *hits = xcalloc(rows->n + 1, sizeof *hits);
    struct event *ev = xmalloc(sizeof *ev);
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++)
        if (rows_event(rows, i, ev, a))
            hits[n++] = (struct hit){arena_str(a, ev->app), rows->p[i]};
    free(ev);
    qsort(hits, n, sizeof *hits, hit_cmp);
    *ret_n = n;
    return hits;
}

int context_find(struct store_view *v, const struct query_options *o, const struct rows *hits, struct surroundings *c,
                 struct rows *ret, struct err *e)
{
    struct arena a = {0};
    size_t n;
    struct hit *all = sort_hits(hits, &a, &n);
    struct search s = {.view = v, .o = o, .c = c};
    int rc = 0;
    *ret = (struct rows){.order = {NULL, o->ascending, o->cancel}};
    for (size_t i = 0; i < n && rc == 0; i += s.n) {
        for (s.n = 0, s.hits = all + i; i + s.n < n && str_eq(all[i + s.n].app, all[i].app); s.n++)
            rows_add(ret, all[i + s.n].row);
        s.gaps = gaps_new(&s);
        rc = search_app(&s, e);
        take_gaps(&s, ret);
    }
    drop_repeated(ret);
    free(all);
    arena_done(&a);
    return rc;
}
