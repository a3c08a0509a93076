/* query/run.c - the life of a query: which stages run while events are found, which run over the rows that were kept, and
 * the page of the answer that is asked for.
 *
 * The first stages are done event by event: `where` (in the scan itself, as long as no event was changed), `fields`,
 * `parse`, one `sort`. What comes out fills groups or is kept, the best rows only. Where all that follows is `limit` and
 * changes of single rows, no more is kept than the page needs, and the scan stops at blocks that cannot add to it; a page
 * then ends in the time and id of its last row, so the next one starts there whatever has arrived since. All other
 * answers are worked out again for each page, which then starts at a row number. */
#include "base/limits.h"
#include "query/context.h"
#include "query/group.h"
#include "query/needs.h"
#include "query/rows.h"
#include "query/scan.h"
#include "query/shape.h"

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
    struct query_result meta;
    struct needs needs;
    size_t shaped, stream_end; /* stages that are done event by event; before: in the scan */
    size_t at;                 /* the first stage over rows that were kept */
    uint64_t passed;           /* events that went through the stream */
    bool paged;                /* rows are in order of time and only limited and cut: pages by time and id */
    bool simple;               /* what follows the scan is limits and fields only */
    uint64_t total;            /* what `limit` stages allow; UINT64_MAX: all */
    uint32_t page;             /* the most rows of the answer */
    struct row *fed_last;      /* of the rows that were fed: its time and id; NULL: none was */
    size_t fed;
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
    const struct row *last = r->table.n ? r->table.p[r->table.n - 1] : r->fed_last;
    if (!r->more || !last)
        return;
    if (r->paged)
        snprintf(ret->next, sizeof ret->next, "%c%lld.%.*s.%llu", r->o->ascending ? 'a' : 'd', (long long)last->time,
                 STR_ARG(last->id),
                 (unsigned long long)(r->total == UINT64_MAX ? r->total : r->total - r->table.n - r->fed));
    else
        snprintf(ret->next, sizeof ret->next, "o%llu", (unsigned long long)(r->cursor.offset + r->table.n));
}

/* ---- the plan ---- */

static bool sees_stored_events(const struct query *q, size_t stage)
{
    for (size_t i = 0; i < stage; i++)
        if (stage_shapes(&q->stages[i]) || stage_groups(&q->stages[i]))
            return false;
    return true;
}

static int refuse_misplaced(const struct run *r)
{
    for (size_t i = 0; i < r->q->stages_n; i++) {
        const struct stage *st = &r->q->stages[i];
        if (st->kind == STAGE_CONTEXT && !sees_stored_events(r->q, i))
            return err_at(r->e, st->column,
                          "stage 'context' needs events as they are: put it before fields, parse, "
                          "counts and the like");
        if (st->kind >= STAGE_PATTERNS && !r->o->grouping)
            return err_at(r->e, st->column, "stage '%s' is not known here", st->name);
    }
    return 0;
}

/* Can it be done event by event, in whatever order they are found? */
static bool streams(struct run *r, const struct stage *st)
{
    const struct stage **sort = &r->table.order.sort;
    if (st->kind == STAGE_SORT && !*sort)
        return (*sort = st);
    return st->kind == STAGE_WHERE || (stage_shapes(st) && !*sort);
}

static void plan_stream(struct run *r)
{
    const struct query *q = r->q;
    r->table.order.ascending = r->o->ascending;
    r->table.order.cancel = r->o->cancel;
    r->shaped = SIZE_MAX;
    for (; r->at < q->stages_n && streams(r, &q->stages[r->at]); r->at++) {
        const struct stage *st = &q->stages[r->at];
        if (r->shaped == SIZE_MAX && st->kind == STAGE_WHERE)
            scan_filter(r->scan, st->where);
        if (!stage_shapes(st))
            continue;
        r->shaped = r->shaped == SIZE_MAX ? r->at : r->shaped;
        r->table.columns = st->kind == STAGE_FIELDS ? st->fields : NULL;
        r->table.columns_n = st->kind == STAGE_FIELDS ? st->fields_n : 0;
    }
    if (r->shaped == SIZE_MAX)
        r->shaped = r->at;
}

static void make_plan(struct run *r)
{
    const struct query *q = r->q;
    plan_stream(r);
    size_t i = r->at;
    if (i < q->stages_n && stage_groups(&q->stages[i]))
        r->groups = groups_new(&q->stages[i++], r->o);
    r->stream_end = r->at;
    r->at = i;
    r->total = UINT64_MAX;
    r->simple = !r->groups;
    bool groups = r->groups;
    for (; i < q->stages_n; i++) {
        const struct stage *st = &q->stages[i];
        r->simple &= st->kind == STAGE_LIMIT || stage_shapes(st);
        groups |= stage_groups(st);
        if (st->kind == STAGE_LIMIT && st->limit < r->total)
            r->total = st->limit;
    }
    r->page = r->o->limit ? r->o->limit : groups ? ROWS_DEFAULT : EVENTS_DEFAULT;
    r->paged = r->simple && !r->table.order.sort;
}

/* A row is its whole line, unless `fields` is the first to change it. */
static void tell_needs(struct run *r)
{
    static const str none[1];
    const struct query *q = r->q;
    bool shaped = r->shaped < r->stream_end;
    r->needs.all = shaped && !r->groups && q->stages[r->shaped].kind != STAGE_FIELDS;
    for (size_t i = r->shaped; i < r->stream_end; i++)
        needs_stage(&r->needs, &q->stages[i]);
    if (r->groups)
        needs_stage(&r->needs, &q->stages[r->stream_end]);
    if (r->table.order.sort)
        needs_stage(&r->needs, r->table.order.sort);
    if (r->needs.all)
        return;
    r->scan->fields = r->needs.n ? r->needs.fields : none;
    r->scan->fields_n = r->needs.n;
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
    else if (next && next->kind == STAGE_CONTEXT)
        keep = LIMIT_CONTEXT_HITS + 1;
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

/* ---- stages over rows that are there ---- */

static int group_rows(struct run *r, const struct stage *st, struct arena *names)
{
    struct groups *g = groups_new(st, r->o);
    struct scan *s = r->scan;
    int rc = 0;
    for (size_t i = 0; i < r->table.n && rc == 0 && !scan_out_of_time(s); i++) {
        arena_reset(&s->a);
        if (rows_event(&r->table, i, &s->ev, &s->a))
            rc = groups_add(g, &s->ev, r->table.p[i], &s->a, r->e);
    }
    rows_done(&r->table);
    if (rc == 0)
        groups_rows(g, &r->table, &r->meta, names);
    groups_free(g);
    return rc;
}

/* A hostile regular expression must not outlive the deadline here either. */
static void where_rows(struct run *r, const struct filter *f)
{
    struct scan *s = r->scan;
    for (size_t i = 0; i < r->table.n; i++) {
        arena_reset(&s->a);
        if (scan_out_of_time(s) || !rows_event(&r->table, i, &s->ev, &s->a) || !filter_match(f, &s->ev, &s->a))
            rows_mark(&r->table, i);
    }
    rows_drop_marked(&r->table);
}

/* Nobody waits for the rows any more. */
static bool given_up(const struct run *r) { return r->o->cancel && *r->o->cancel; }

static int shape_rows(struct run *r, const struct stage *st)
{
    struct scan *s = r->scan;
    struct rows out = {0};
    if (st->kind == STAGE_FIELDS)
        out = (struct rows){.columns = st->fields, .columns_n = st->fields_n};
    for (size_t i = 0; i < r->table.n && out.bytes <= 2 * LIMIT_RESULT && !given_up(r); i++) {
        struct row row = *r->table.p[i];
        arena_reset(&s->a);
        if (!rows_event(&r->table, i, &s->ev, &s->a))
            continue;
        shape(st, &s->ev, &s->a);
        row.line = shape_line(&s->ev, &s->a);
        row.stored = false;
        rows_add(&out, &row);
    }
    rows_done(&r->table);
    r->table = out;
    return out.bytes <= 2 * LIMIT_RESULT
               ? 0
               : err_at(r->e, st->column, "stage '%s' makes more than %u bytes", st->name, 2 * LIMIT_RESULT);
}

static int context_rows(struct run *r, const struct stage *st)
{
    struct surroundings c = {.before = st->limit, .after = st->limit, .column = st->column};
    struct rows out;
    if (r->table.n > LIMIT_CONTEXT_HITS)
        return err_at(r->e, st->column, "stage 'context' looks around at most %u events: put a 'limit' before it",
                      LIMIT_CONTEXT_HITS);
    int rc = context_find(r->scan->view, r->o, &r->table, &c, &out, r->e);
    rows_done(&r->table);
    r->table = out;
    r->scan->partial |= c.partial;
    return rc;
}

static int run_stage(struct run *r, const struct stage *st, struct arena *names)
{
    struct scan *s = r->scan;
    switch (st->kind) {
    case STAGE_WHERE: where_rows(r, st->where); return 0;
    case STAGE_SORT:
        rows_resort(&r->table, &(struct order){.sort = st, .cancel = r->o->cancel}, &s->ev, &s->a);
        return 0;
    case STAGE_LIMIT:
        if (!r->simple) /* else the page has seen to it */
            rows_limit(&r->table, st->limit);
        return 0;
    case STAGE_FIELDS:
    case STAGE_PARSE: return shape_rows(r, st);
    case STAGE_CONTEXT: return context_rows(r, st);
    default: return group_rows(r, st, names);
    }
}

static int run_stages(struct run *r, struct arena *names)
{
    int rc = 0;
    for (size_t i = r->at; i < r->q->stages_n && rc == 0; i++)
        rc = run_stage(r, &r->q->stages[i], names);
    return rc;
}

/* ---- rows that are given out before the end ---- */

static void remember_last(struct run *r, const struct row *last)
{
    free(r->fed_last);
    r->fed_last = row_place(last);
}

/* Rows in their order, past the stages that are left, which change single rows. */
static bool feed_rows(struct run *r, struct rows *rows)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct rows kept = r->table;
    if (rows->n == 0)
        return true;
    remember_last(r, rows->p[rows->n - 1]);
    r->fed += rows->n;
    r->table = *rows;
    bool fine = run_stages(r, NULL) == 0;
    for (size_t i = 0; i < r->table.n; i++) {
        buf_str(&out, r->table.p[i]->line);
        buf_byte(&out, '\n');
    }
    *rows = r->table;
    r->table = kept;
    fine = fine && r->o->feed->rows(r->o->feed->arg, buf_view(&out));
    buf_done(&out);
    r->scan->stopped |= !fine;
    return fine;
}

/* Rows that belong before everything in this and later blocks. False: nobody takes them. */
static bool feed_settled(struct run *r, const struct store_block *b)
{
    struct rows settled = {.columns = r->table.columns, .columns_n = r->table.columns_n, .order = r->table.order};
    rows_settled(&r->table, r->o->ascending ? b->t_min : b->t_max, &settled);
    if (r->fed + settled.n > r->page) /* the one more that tells of a next page */
        rows_give_back(&r->table, &settled, r->page - r->fed);
    bool fine = feed_rows(r, &settled);
    rows_done(&settled);
    return fine;
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

static void tell_progress(struct run *r)
{
    const struct query_feed *f = r->o->feed;
    r->meta.scanned_events = r->scan->events;
    r->meta.scanned_bytes = r->scan->bytes;
    r->meta.matched = r->passed;
    if (f)
        f->progress(f->arg, &r->meta);
}

static bool more_blocks(void *arg, const struct store_block *b)
{
    struct run *r = arg;
    if (r->o->feed && r->paged && !feed_settled(r, b))
        return false;
    if (!r->groups && !rows_wants_between(&r->table, b->t_min, b->t_max))
        return false;
    tell_progress(r);
    r->meta.blocks_read++;
    return true;
}

/* Where and by what name the event at hand stands. */
static struct row row_at_hand(struct scan *s)
{
    return (struct row){.time = s->time, .id = scan_id(s), .stored = true};
}

/* Stages that are done event by event; false: one of them leaves it out. */
static bool pass_stream(struct run *r, struct scan *s)
{
    for (size_t i = r->shaped; i < r->stream_end; i++) {
        const struct stage *st = &r->q->stages[i];
        if (stage_shapes(st))
            shape(st, &s->ev, &s->a);
        else if (st->kind == STAGE_WHERE && !filter_match(st->where, &s->ev, &s->a))
            return false;
    }
    r->passed++;
    return true;
}

static int take_row(void *arg, struct scan *s, struct err *e)
{
    struct run *r = arg;
    struct row row = row_at_hand(s);
    bool shaped = r->shaped < r->stream_end;
    if ((shaped || r->table.order.sort) && !scan_event(s))
        return 0;
    if (!pass_stream(r, s))
        return 0;
    row.stored = !shaped;
    row.line = shaped ? shape_line(&s->ev, &s->a) : scan_line(s);
    if (!row.line.p)
        return 0;
    rows_offer(&r->table, &row, &s->ev, &s->a);
    if (r->table.cut && !r->simple)
        return err_at(e, r->q->stages[r->at].column,
                      "stage '%s' would need more than %u bytes of events before it: narrow the filter",
                      r->q->stages[r->at].name, LIMIT_RESULT);
    return 0;
}

static int take_group(void *arg, struct scan *s, struct err *e)
{
    struct run *r = arg;
    struct row row = row_at_hand(s);
    if ((r->shaped < r->stream_end || groups_need_event(r->groups)) && !scan_event(s))
        return 0;
    if (!s->read) {
        s->ev.n = 0;
        s->ev.time = s->time;
        s->ev.severity = s->severity;
    }
    return pass_stream(r, s) ? groups_add(r->groups, &s->ev, &row, &s->a, e) : 0;
}

/* Groups that only count need no more of a block than its columns. */
static int take_group_bits(void *arg, struct scan *s, const uint64_t *bits, struct err *damage, struct err *e)
{
    struct run *r = arg;
    int rc = groups_add_block(r->groups, s->block, bits, s->match_a, damage, e);
    if (rc == 1)
        r->passed += bits_count(bits, bit_words(s->block->head->events));
    return rc;
}

static void look_for_groups(const void *arg, struct block *b, bool all)
{
    groups_look(((const struct run *)arg)->groups, b, all);
}

/* A count of all needs no more of a block than its size. */
static bool count_whole(void *arg, const struct store_block *b)
{
    struct run *r = arg;
    groups_add_many(r->groups, b->events);
    r->passed += b->events;
    return true;
}

/* ---- the page ---- */

/* Leaves the rows of this page in the table. When time ran out, rows that belong before its end may be missing, so
 * there is no going on from there. */
static int cut_page(struct run *r)
{
    bool cut = r->table.cut;
    rows_skip(&r->table, (size_t)r->cursor.offset);
    if (cut && r->cursor.offset && r->table.n == 0)
        return err_at(r->e, r->table.order.sort->column,
                      "stage 'sort' holds no more than %u bytes of events: narrow the filter", LIMIT_RESULT);
    r->more = !r->scan->stopped && (cut || r->table.n + r->fed > r->page);
    rows_limit(&r->table, r->page - r->fed);
    return 0;
}

static void name_columns(const struct rows *t, struct query_result *ret)
{
    if (!t->columns_n)
        return;
    ret->keys_n = t->keys_n;
    ret->columns = xcalloc(t->columns_n, sizeof *ret->columns);
    for (size_t i = 0; i < t->columns_n; i++)
        ret->columns[ret->columns_n++] = str_dup(t->columns[i]);
}

static void print_rows(struct run *r, struct query_result *ret)
{
    buf_init(&ret->rows, LIMIT_RESULT);
    for (size_t i = 0; i < r->table.n && !given_up(r); i++) {
        size_t before = ret->rows.n;
        buf_str(&ret->rows, r->table.p[i]->line);
        buf_byte(&ret->rows, '\n');
        if (ret->rows.full && i > 0) { /* the page ends here */
            ret->rows.n = before;
            rows_limit(&r->table, i);
            r->more = true;
        }
    }
    ret->n = r->table.n + r->fed;
    name_columns(&r->table, ret);
    next_cursor(r, ret);
    if (r->o->feed && ret->rows.n) {
        r->scan->stopped |= !r->o->feed->rows(r->o->feed->arg, buf_view(&ret->rows));
        buf_reset(&ret->rows);
    }
}

static uint32_t blocks_in_range(const struct scan *s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < store_view_count(s->view); i++) {
        const struct store_block *b = store_view_block(s->view, i);
        n += b->events && b->t_max >= s->from && b->t_min < s->to;
    }
    return n;
}

static void plan_groups(struct run *r)
{
    struct scan *s = r->scan;
    if (r->shaped != r->stream_end)
        return;
    s->whole = groups_only_count(r->groups) ? count_whole : NULL;
    s->take_bits = take_group_bits;
    s->look = look_for_groups;
}

static int run(struct run *r, struct query_result *ret, struct arena *names)
{
    struct scan *s = r->scan;
    make_plan(r);
    tell_needs(r);
    if (read_cursor(r) < 0)
        return -1;
    set_keep(r);
    narrow(r);
    s->arg = r;
    s->take = r->groups ? take_group : take_row;
    if (r->groups) {
        plan_groups(r);
    } else {
        s->wanted = row_wanted;
    }
    s->more = more_blocks;
    r->meta.blocks = blocks_in_range(s);
    if (scan_run(s, r->e) < 0)
        return -1;
    if (r->groups)
        groups_rows(r->groups, &r->table, &r->meta, names);
    else
        rows_sort(&r->table);
    if ((r->paged && cut_page(r) < 0) || run_stages(r, names) < 0 || (!r->paged && cut_page(r) < 0))
        return -1;
    *ret = r->meta;
    ret->scanned_events = s->events;
    ret->scanned_bytes = s->bytes;
    ret->matched = r->passed;
    ret->partial = s->partial;
    print_rows(r, ret);
    r->meta = (struct query_result){0};
    return 0;
}

/* Of every filter: matches that were given up leave the answer in doubt. */
static uint64_t gave_up(const struct query *q)
{
    uint64_t n = filter_gave_up(q->filter);
    for (size_t i = 0; i < q->stages_n; i++) {
        n += q->stages[i].where ? filter_gave_up(q->stages[i].where) : 0;
        for (size_t k = 0; k < q->stages[i].aggregates_n; k++)
            n += q->stages[i].aggregates[k].only ? filter_gave_up(q->stages[i].aggregates[k].only) : 0;
    }
    return n;
}

int query_run(const struct query *q, struct store_view *v, const struct query_options *o, struct query_result *ret,
              struct err *e)
{
    struct arena names = {0};
    struct run r = {.q = q, .o = o, .e = e};
    uint64_t before = gave_up(q);
    if (refuse_misplaced(&r) < 0)
        return -1;
    buf_init(&r.meta.approximate, LIMIT_QUERY * 4);
    r.scan = scan_new(q, v, o);
    int rc = run(&r, ret, &names);
    if (rc == 0)
        ret->partial |= gave_up(q) != before;
    query_result_done(&r.meta);
    scan_free(r.scan);
    groups_free(r.groups);
    needs_done(&r.needs);
    rows_done(&r.table);
    free(r.fed_last);
    arena_done(&names);
    return rc;
}

void result_approximate(struct query_result *r, str column, double error)
{
    struct buf name = BUF_INIT(LIMIT_QUERY * 4);
    buf_json(&name, column);
    if (error != 0 && str_find(buf_view(&r->approximate), buf_view(&name)) < 0) {
        buf_str(&r->approximate, r->approximate.n ? S(",") : S(""));
        buf_str(&r->approximate, buf_view(&name));
        buf_printf(&r->approximate, ":%.4g", error);
    }
    buf_done(&name);
}

void query_result_done(struct query_result *r)
{
    buf_done(&r->rows);
    buf_done(&r->approximate);
    for (size_t i = 0; i < r->columns_n; i++)
        free(r->columns[i]);
    free(r->columns);
    *r = (struct query_result){0};
}
