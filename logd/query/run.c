/* query/run.c - the life of a query: which stages the scan itself does, which run over the rows it gave, and the page
 * of the answer that is asked for.
 *
 * The scan takes the filter and every `where` and `sort` up to the first other stage, then fills groups (`count`) or
 * keeps the best rows. Where all that follows is `limit` and `fields`, it keeps no more than the page needs, and stops
 * at blocks that cannot add to it; a page then ends in the time and id of its last row, so the next one starts there
 * whatever has arrived since. All other answers are worked out again for each page, which then starts at a row number. */
#include "base/limits.h"
#include "query/group.h"
#include "query/scan.h"
#include "query/rows.h"

enum { EVENTS_DEFAULT = 100, ROWS_DEFAULT = 10000 };

struct cursor {
    bool given;
    bool by_time, ascending;
    nsec time;
    char id[EVENT_ID_LEN];
    uint64_t offset; /* not by_time: rows to leave out */
    uint64_t left;   /* by_time: what the `limit` stage still allows */
};
struct run {
    const struct query *q;
    const struct query_options *o;
    struct scan *scan;
    struct rows table;
    struct groups *groups;
    struct err *e;
    size_t at;      /* the first stage that the scan does not do */
    bool paged;     /* rows are in order of time and only limited and cut: pages by time and id */
    bool simple;    /* what follows the scan is limits and fields only */
    uint64_t total; /* what `limit` stages allow; UINT64_MAX: all */
    uint32_t page;  /* the most rows of the answer */
    struct cursor cursor;
    bool more; /* there are rows after this page */
};

/* ---- cursors: "d<time>.<id>.<left>", "a…", "o<offset>" ---- */

static bool read_time_cursor(str s, struct cursor *c)
{
    str rest = str_skip(s, 1), time = str_cut(&rest, '.'), id = str_cut(&rest, '.');
    usec recv;
    uint32_t row;
    c->by_time = true;
    c->ascending = s.p[0] == 'a';
    if (!str_i64(time, &c->time) || !event_id_parse(id, &recv, &row) || !str_u64(rest, &c->left) || c->left == 0)
        return false;
    memcpy(c->id, id.p, sizeof c->id);
    return true;
}

static int read_cursor(struct run *r)
{
    str s = r->o->cursor;
    struct cursor *c = &r->cursor;
    *c = (struct cursor){.given = s.n > 0, .left = UINT64_MAX};
    if (!c->given)
        return 0;
    if (s.p[0] == 'o' ? !str_u64(str_skip(s, 1), &c->offset) || c->offset > UINT32_MAX
                      : !strchr("ad", s.p[0]) || !read_time_cursor(s, c))
        return err_set(r->e, ERR_INPUT, "cursor: expected one that an earlier page gave, got '%.*s'",
                       STR_ARG(str_head(s, 60)));
    if (c->by_time != r->paged || (c->by_time && c->ascending != r->o->ascending))
        return err_set(r->e, ERR_INPUT, "cursor: it belongs to another query or order");
    return 0;
}

static void next_cursor(const struct run *r, struct query_result *ret)
{
    const struct row *last = r->table.n ? r->table.p[r->table.n - 1] : NULL;
    if (!r->more || !last)
        return;
    if (r->paged)
        snprintf(ret->next, sizeof ret->next, "%c%lld.%.*s.%llu", r->o->ascending ? 'a' : 'd', (long long)last->time,
                 STR_ARG(last->id), (unsigned long long)(r->total == UINT64_MAX ? r->total : r->total - r->table.n));
    else
        snprintf(ret->next, sizeof ret->next, "o%llu", (unsigned long long)(r->cursor.offset + r->table.n));
}

/* ---- the plan ---- */

static int refuse_missing(const struct query *q, struct err *e)
{
    for (size_t i = 0; i < q->stages_n; i++)
        if (q->stages[i].kind >= STAGE_STATS)
            return err_at(e, q->stages[i].column, "stage '%s' is not there yet", q->stages[i].name);
    return 0;
}

static void make_plan(struct run *r)
{
    const struct query *q = r->q;
    const struct stage *sort = NULL;
    size_t i = 0;
    for (; i < q->stages_n && (q->stages[i].kind == STAGE_WHERE || q->stages[i].kind == STAGE_SORT); i++) {
        if (q->stages[i].kind == STAGE_WHERE)
            scan_filter(r->scan, q->stages[i].where);
        else
            sort = &q->stages[i];
    }
    if (i < q->stages_n && q->stages[i].kind == STAGE_COUNT)
        r->groups = groups_new(&q->stages[i++]);
    r->at = i;
    r->total = UINT64_MAX;
    r->simple = !r->groups;
    bool counts = r->groups;
    for (; i < q->stages_n; i++) {
        const struct stage *st = &q->stages[i];
        r->simple &= st->kind == STAGE_LIMIT || st->kind == STAGE_FIELDS;
        counts |= st->kind == STAGE_COUNT;
        if (st->kind == STAGE_LIMIT && st->limit < r->total)
            r->total = st->limit;
    }
    r->page = r->o->limit ? r->o->limit : counts ? ROWS_DEFAULT : EVENTS_DEFAULT;
    r->paged = r->simple && !sort;
    r->table.order = (struct order){sort, r->o->ascending};
}

static uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* How many rows the scan has to keep, one more than the page to know whether more follow. */
static void set_keep(struct run *r)
{
    const struct stage *next = r->at < r->q->stages_n ? &r->q->stages[r->at] : NULL;
    uint64_t keep = UINT64_MAX;
    r->total = r->paged ? min_u64(r->total, r->cursor.left) : r->total;
    if (r->simple)
        keep = min_u64(r->total, r->cursor.offset + r->page + 1);
    else if (next && next->kind == STAGE_LIMIT)
        keep = next->limit;
    r->table.keep = (size_t)keep;
}

/* A page by time starts behind its cursor. */
static void narrow(struct run *r)
{
    if (!r->cursor.by_time)
        return;
    if (r->o->ascending && r->cursor.time > r->scan->from)
        r->scan->from = r->cursor.time;
    if (!r->o->ascending && r->cursor.time < r->scan->to)
        r->scan->to = r->cursor.time + 1;
}

/* ---- what the scan calls ---- */

static bool row_wanted(void *arg, nsec time, str id)
{
    struct run *r = arg;
    const struct cursor *c = &r->cursor;
    if (UNLIKELY(c->by_time && time == c->time)) {
        int cmp = str_cmp(id, str_n(c->id, sizeof c->id));
        if (r->o->ascending ? cmp <= 0 : cmp >= 0)
            return false;
    }
    return rows_wants(&r->table, time, id);
}

static bool more_rows(void *arg, const struct store_block *b)
{
    struct run *r = arg;
    return rows_wants_between(&r->table, b->t_min, b->t_max);
}

static int take_row(void *arg, struct scan *s, struct err *e)
{
    struct run *r = arg;
    if (!r->table.order.sort) {
        s->ev.line = s->line;
        s->ev.time = s->time;
    } else if (!scan_event(s)) {
        return 0;
    }
    rows_offer(&r->table, &s->ev, &s->a);
    if (r->table.cut && !r->simple)
        return err_at(e, r->q->stages[r->at].column,
                      "stage '%s' would need more than %u bytes of events before it: narrow the filter",
                      r->q->stages[r->at].name, LIMIT_RESULT);
    return 0;
}

static int take_count(void *arg, struct scan *s, struct err *e)
{
    struct run *r = arg;
    if (groups_need_event(r->groups) && !scan_event(s))
        return 0;
    if (!s->read)
        s->ev.n = 0;
    s->ev.time = s->time;
    s->ev.severity = s->severity;
    return groups_add(r->groups, &s->ev, &s->a, e);
}

/* A count of all needs no more of a block than its size. */
static bool count_whole(void *arg, const struct store_block *b)
{
    groups_add_many(((struct run *)arg)->groups, b->events);
    return true;
}

/* ---- the rest ---- */

static int count_rows(struct run *r, const struct stage *st, struct arena *names)
{
    struct groups *g = groups_new(st);
    struct scan *s = r->scan;
    int rc = 0;
    for (size_t i = 0; i < r->table.n && rc == 0; i++) {
        arena_reset(&s->a);
        if (rows_event(&r->table, i, &s->ev, &s->a))
            rc = groups_add(g, &s->ev, &s->a, r->e);
    }
    rows_done(&r->table);
    if (rc == 0)
        groups_rows(g, &r->table, names);
    groups_free(g);
    return rc;
}

/* A hostile regular expression must not outlive the deadline here either. */
static void where_rows(struct run *r, const struct filter *f)
{
    struct scan *s = r->scan;
    uint64_t before = filter_gave_up(f);
    for (size_t i = 0; i < r->table.n; i++) {
        arena_reset(&s->a);
        if (scan_out_of_time(s) || !rows_event(&r->table, i, &s->ev, &s->a) || !filter_match(f, &s->ev, &s->a))
            rows_mark(&r->table, i);
    }
    rows_drop_marked(&r->table);
    s->partial |= filter_gave_up(f) != before;
}

static int run_stages(struct run *r, struct arena *names)
{
    struct scan *s = r->scan;
    for (size_t i = r->at; i < r->q->stages_n; i++) {
        const struct stage *st = &r->q->stages[i];
        switch (st->kind) {
        case STAGE_WHERE: where_rows(r, st->where); break;
        case STAGE_SORT: rows_resort(&r->table, st, &s->ev, &s->a); break;
        case STAGE_FIELDS: rows_fields(&r->table, st, &s->ev, &s->a); break;
        case STAGE_LIMIT:
            if (!r->simple) /* else the page has seen to it */
                rows_limit(&r->table, st->limit);
            break;
        default:
            if (count_rows(r, st, names) < 0)
                return -1;
        }
    }
    return 0;
}

/* Leaves the rows of this page in the table. When time ran out, rows that belong before its end may be missing, so
 * there is no going on from there. */
static int cut_page(struct run *r)
{
    bool cut = r->table.cut;
    rows_skip(&r->table, (size_t)r->cursor.offset);
    if (cut && r->cursor.offset && r->table.n == 0)
        return err_at(r->e, r->table.order.sort->column,
                      "stage 'sort' holds no more than %u bytes of events: narrow the filter", LIMIT_RESULT);
    r->more = !r->scan->stopped && (cut || r->table.n > r->page);
    rows_limit(&r->table, r->page);
    return 0;
}

static void name_columns(const struct rows *t, struct query_result *ret)
{
    if (!t->columns_n)
        return;
    ret->columns = xcalloc(t->columns_n, sizeof *ret->columns);
    for (size_t i = 0; i < t->columns_n; i++)
        ret->columns[ret->columns_n++] = str_dup(t->columns[i]);
}

static void print_rows(struct run *r, struct query_result *ret)
{
    buf_init(&ret->rows, LIMIT_RESULT);
    for (size_t i = 0; i < r->table.n; i++) {
        size_t before = ret->rows.n;
        rows_print_row(&r->table, i, &ret->rows);
        if (ret->rows.full && i > 0) { /* the page ends here */
            ret->rows.n = before;
            rows_limit(&r->table, i);
            r->more = true;
        }
    }
    ret->n = r->table.n;
    name_columns(&r->table, ret);
    next_cursor(r, ret);
}

static int run(struct run *r, struct query_result *ret, struct arena *names)
{
    struct scan *s = r->scan;
    make_plan(r);
    if (read_cursor(r) < 0)
        return -1;
    set_keep(r);
    narrow(r);
    s->arg = r;
    s->take = r->groups ? take_count : take_row;
    if (r->groups) {
        s->whole = groups_only_count(r->groups) ? count_whole : NULL;
    } else {
        s->wanted = row_wanted;
        s->more = more_rows;
    }
    if (scan_run(s, r->e) < 0)
        return -1;
    if (r->groups)
        groups_rows(r->groups, &r->table, names);
    else
        rows_sort(&r->table);
    if ((r->paged && cut_page(r) < 0) || run_stages(r, names) < 0 || (!r->paged && cut_page(r) < 0))
        return -1;
    *ret = (struct query_result){
        .scanned_events = s->events, .scanned_bytes = s->bytes, .matched = s->matched, .partial = s->partial};
    print_rows(r, ret);
    return 0;
}

int query_run(const struct query *q, struct store_view *v, const struct query_options *o, struct query_result *ret,
              struct err *e)
{
    struct arena names = {0};
    if (refuse_missing(q, e) < 0)
        return -1;
    struct run r = {.q = q, .o = o, .scan = scan_new(q, v, o), .e = e};
    int rc = run(&r, ret, &names);
    scan_free(r.scan);
    groups_free(r.groups);
    rows_done(&r.table);
    arena_done(&names);
    return rc;
}

void query_result_done(struct query_result *r)
{
    buf_done(&r->rows);
    for (size_t i = 0; i < r->columns_n; i++)
        free(r->columns[i]);
    free(r->columns);
    *r = (struct query_result){0};
}
