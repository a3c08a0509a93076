/* query/run.c - a query over a view: newest rows, counts, a histogram, one event.
 *
 * Leading `where` stages are part of the filter. Then, what comes first decides how the events are taken: `count` counts
 * them as they stream by; `sort` needs them all; else the newest (or oldest) are kept in a heap and the scan ends with the
 * first block that cannot hold a better one. Later stages run over the rows held. */
#include "base/clock.h"
#include "base/str.h"
#include "query/scan.h"

enum { EVENTS_DEFAULT = 100, ROWS_DEFAULT = 10000 };

struct take {
    const struct query_options *o;
    size_t first;          /* stage after the leading where */
    struct groups *groups; /* count first */
    struct rows rows;
    size_t want;     /* rows of the heap, one more than the page to see whether another follows; 0: all (sort first) */
    bool more;       /* there is a next page */
    nsec after_time; /* the cursor's row: only what comes after it */
    str after_id;
    char after_text[EVENT_ID_LEN + 1];
};

/* ---- order: by time, then by id ---- */
static str id_of(const struct row *r) { return str_n(r->line + 7, EVENT_ID_LEN); } /* {"id":"… */

/* a comes before b in the answer */
static bool before(const struct take *t, nsec ta, str ida, nsec tb, str idb)
{
    int c = ta != tb ? (ta > tb) - (ta < tb) : str_cmp(ida, idb);
    return t->o->ascending ? c < 0 : c > 0;
}
static bool row_before(const struct take *t, const struct row *a, const struct row *b)
{
    return before(t, a->time, id_of(a), b->time, id_of(b));
}

/* The heap's top is the row that would be let go first: the last of the answer. */
static void sift_up(struct take *t, size_t i)
{
    struct row *p = t->rows.p;
    for (size_t up; i > 0 && row_before(t, &p[up = (i - 1) / 2], &p[i]); i = up) {
        struct row r = p[i];
        p[i] = p[up];
        p[up] = r;
    }
}

static void sift_down(struct take *t, size_t n)
{
    struct row *p = t->rows.p;
    for (size_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && row_before(t, &p[child], &p[child + 1]))
            child++;
        if (!row_before(t, &p[i], &p[child]))
            return;
        struct row r = p[i];
        p[i] = p[child];
        p[child] = r;
    }
}

static void drop_last(struct take *t)
{
    struct rows *r = &t->rows;
    r->bytes -= r->p[0].length;
    row_done(&r->p[0]);
    r->p[0] = r->p[--r->n];
    sift_down(t, r->n);
}

static int keep_row(struct take *t, str line, nsec time, struct err *e)
{
    str id = str_head(str_skip(line, 7), EVENT_ID_LEN);
    if (t->after_id.p && !before(t, t->after_time, t->after_id, time, id))
        return 0;
    if (t->want && t->rows.n == t->want) {
        if (!before(t, time, id, t->rows.p[0].time, id_of(&t->rows.p[0])))
            return 0;
        drop_last(t);
    }
    while (t->want && t->rows.n > 1 && t->rows.bytes + line.n > LIMIT_RESULT) {
        drop_last(t); /* fewer rows than asked for, and a cursor for the rest */
        t->want = t->rows.n + 1;
        t->more = true;
    }
    if (rows_add(&t->rows, line, time, e) < 0)
        return -1;
    if (t->want)
        sift_up(t, t->rows.n - 1);
    return 0;
}

static int on_line(void *arg, str line, nsec time, const struct event *ev, struct err *e)
{
    struct take *t = arg;
    return t->groups ? groups_add(t->groups, ev, e) : keep_row(t, line, time, e);
}

static bool useless(void *arg, nsec time)
{
    struct take *t = arg;
    if (!t->want || t->rows.n < t->want)
        return false;
    nsec worst = t->rows.p[0].time;
    return t->o->ascending ? time > worst : time < worst;
}

static bool whole(void *arg, const struct store_block *b)
{
    struct take *t = arg;
    groups_add_many(t->groups, b->events);
    return true;
}

/* ---- cursor: "d<time>-<id>", time as 16 hex digits of an unsigned offset ---- */
static void cursor_print(const struct take *t, const struct row *last, char out[64])
{
    snprintf(out, 64, "%c%016llx-%.*s", t->o->ascending ? 'a' : 'd', (unsigned long long)last->time ^ (1ull << 63),
             EVENT_ID_LEN, id_of(last).p);
}

static int cursor_read(struct take *t, str cursor, struct err *e)
{
    char hex[17], *end;
    usec recv;
    uint32_t row;
    if (!cursor.n)
        return 0;
    if (cursor.n == 18 + EVENT_ID_LEN && cursor.p[0] == (t->o->ascending ? 'a' : 'd') && cursor.p[17] == '-' &&
        event_id_parse(str_skip(cursor, 18), &recv, &row)) {
        memcpy(hex, cursor.p + 1, 16);
        hex[16] = '\0';
        unsigned long long v = strtoull(hex, &end, 16);
        if (*end == '\0') {
            t->after_time = (nsec)(v ^ (1ull << 63));
            memcpy(t->after_text, cursor.p + 18, EVENT_ID_LEN);
            t->after_id = str_n(t->after_text, EVENT_ID_LEN);
            return 0;
        }
    }
    return err_set(e, ERR_INPUT, "cursor: expected one of an earlier answer to the same query and order");
}

/* ---- running ---- */
static int fill(const struct query *q, struct store_view *v, struct take *t, struct query_result *ret, struct err *e)
{
    const struct filter *filters[QUERY_STAGES + 1] = {q->filter};
    struct scan s = {.filters = filters,
                     .filters_n = 1,
                     .from = t->o->from,
                     .to = t->o->to,
                     .ascending = t->o->ascending,
                     .deadline = t->o->deadline,
                     .cancel = t->o->cancel,
                     .on_line = on_line,
                     .arg = t};
    for (; t->first < q->n && q->stages[t->first].kind == STAGE_WHERE; t->first++)
        filters[s.filters_n++] = q->stages[t->first].filter;
    const struct stage *next = t->first < q->n ? &q->stages[t->first] : NULL;
    if (next && next->kind == STAGE_COUNT) {
        t->groups = groups_new(next);
        s.need_event = true;
        s.whole = next->n || next->every ? NULL : whole;
    } else if (!next || next->kind != STAGE_SORT) {
        size_t page = t->o->limit ? t->o->limit : EVENTS_DEFAULT;
        bool limited = next && next->kind == STAGE_LIMIT && next->limit <= page;
        t->want = limited ? next->limit : page + 1;
        s.useless = useless;
        if (t->after_id.p && t->o->ascending && t->after_time > s.from)
            s.from = t->after_time;
        if (t->after_id.p && !t->o->ascending && t->after_time < s.to)
            s.to = t->after_time + 1;
    }
    int rc = scan_run(&s, v, e);
    if (rc == 0 && t->groups)
        rc = groups_rows(t->groups, &t->rows, e);
    ret->scanned_events = s.events;
    ret->scanned_bytes = s.bytes;
    ret->matched = s.matched;
    ret->partial = s.partial;
    return rc;
}

static int by_answer(const void *a, const void *b, void *arg)
{
    return row_before(arg, a, b) ? -1 : row_before(arg, b, a) ? 1 : 0;
}

static int run_stages(const struct query *q, struct take *t, struct query_result *ret, struct err *e)
{
    bool table = false;
    if (!t->groups && t->want && t->rows.n) {
        qsort_r(t->rows.p, t->rows.n, sizeof *t->rows.p, by_answer, t);
        size_t page = t->o->limit ? t->o->limit : EVENTS_DEFAULT;
        t->more |= t->rows.n > page;
        while (t->rows.n > page)
            row_done(&t->rows.p[--t->rows.n]);
        if (t->more && !ret->partial)
            cursor_print(t, &t->rows.p[t->rows.n - 1], ret->next);
    }
    for (size_t i = t->first; i < q->n; i++) {
        const struct stage *s = &q->stages[i];
        if (!(t->groups && i == t->first) && rows_stage(&t->rows, s, e) < 0)
            return -1;
        if (s->kind == STAGE_COUNT || s->kind == STAGE_FIELDS)
            columns_set(ret, s->fields, s->n, s->kind == STAGE_COUNT && s->every, s->kind == STAGE_COUNT);
        table |= s->kind == STAGE_COUNT;
        if (s->kind == STAGE_COUNT)
            ret->next[0] = '\0';
    }
    uint32_t limit = t->o->limit ? t->o->limit : table ? ROWS_DEFAULT : EVENTS_DEFAULT;
    return rows_stage(&t->rows, &(struct stage){.kind = STAGE_LIMIT, .limit = limit}, e);
}

int query_run(const struct query *q, struct store_view *v, const struct query_options *o, struct query_result *ret,
              struct err *e)
{
    struct take t = {.o = o};
    *ret = (struct query_result){.rows = BUF_INIT(LIMIT_RESULT * 2u)};
    int rc = cursor_read(&t, o->cursor, e);
    if (rc == 0)
        rc = fill(q, v, &t, ret, e);
    if (rc == 0)
        rc = run_stages(q, &t, ret, e);
    for (size_t i = 0; rc == 0 && i < t.rows.n; i++) {
        buf_add(&ret->rows, t.rows.p[i].line, t.rows.p[i].length);
        buf_byte(&ret->rows, '\n');
        ret->n++;
    }
    rows_done(&t.rows);
    groups_free(t.groups);
    if (rc < 0)
        query_result_done(ret);
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

/* ---- one event, by the reception time that its id holds ---- */
int query_event(struct store_view *v, str id, struct buf *out, struct err *e)
{
    usec recv;
    uint32_t row;
    struct buf scratch = BUF_INIT(SIZE_MAX / 2), key = BUF_INIT(64);
    bool found = false;
    if (!event_id_parse(id, &recv, &row))
        return err_set(e, ERR_GONE, "no event has the id \"%.*s\"", STR_ARG(str_head(id, 40)));
    buf_printf(&key, "{\"id\":\"%.*s\",", STR_ARG(id));
    for (size_t i = store_view_count(v); i-- > 0 && !found;) {
        const struct store_block *b = store_view_block(v, i);
        str lines;
        if (recv < b->recv_min || recv > b->recv_max || store_view_lines(v, i, &scratch, &lines, e) < 0)
            continue;
        ptrdiff_t at = str_find(lines, buf_view(&key));
        found = at >= 0 && (at == 0 || lines.p[at - 1] == '\n');
        if (found) {
            lines = str_skip(lines, (size_t)at);
            buf_str(out, str_cut(&lines, '\n'));
        }
    }
    buf_done(&scratch);
    buf_done(&key);
    return found ? 0 : err_set(e, ERR_GONE, "no event has the id \"%.*s\"", STR_ARG(id));
}
