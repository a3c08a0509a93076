/* query/rows.c - the stages over rows that are held in memory. A row is one flat JSON object, an event or a line of a
 * table, so each stage reads and writes the same thing. */
#include "base/str.h"
#include "query/plan.h"

void row_done(struct row *r) { free(r->line); }

void rows_done(struct rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        row_done(&r->p[i]);
    free(r->p);
    *r = (struct rows){0};
}

int rows_add(struct rows *r, str line, nsec time, struct err *e)
{
    if (r->bytes + line.n > LIMIT_RESULT)
        return err_set(e, ERR_INPUT, "the query holds more than %u MiB: narrow it, or take fewer rows",
                       LIMIT_RESULT >> 20);
    if (r->n == r->cap)
        r->p = xrealloc(r->p, (r->cap = r->cap ? r->cap * 2 : 64) * sizeof *r->p);
    r->p[r->n++] = (struct row){.line = str_dup(line), .length = (uint32_t)line.n, .time = time};
    r->bytes += line.n;
    return 0;
}

static void keep(struct rows *r, size_t n)
{
    while (r->n > n) {
        r->n--;
        r->bytes -= r->p[r->n].length;
        row_done(&r->p[r->n]);
    }
}

static int where(struct rows *r, const struct stage *s, struct event *ev, struct arena *a, struct err *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n; i++) {
        arena_reset(a);
        if (event_read_fields(str_n(r->p[i].line, r->p[i].length), ev, a, e) < 0)
            return -1;
        const struct field *severity = event_field(ev, S("severity_number"));
        int64_t level = 0;
        ev->severity = severity && str_i64(severity->raw, &level) ? (int)level : 0;
        ev->time = r->p[i].time;
        if (filter_match(s->filter, ev, a)) {
            struct row row = r->p[kept];
            r->p[kept++] = r->p[i];
            r->p[i] = row;
        }
    }
    keep(r, kept);
    return 0;
}

/* ---- sort ---- */
struct key {
    str text;
    double number;
    enum { KEY_NONE, KEY_NUMBER, KEY_TEXT } kind; /* what is missing comes last, whatever the direction */
};
struct keyed {
    struct row row;
    size_t index; /* equal keys keep their order */
    struct key keys[QUERY_FIELDS];
};

static struct key key_of(const struct event *ev, str name, struct arena *a)
{
    const struct field *f = event_field(ev, name);
    struct key k = {.kind = KEY_NONE};
    if (!f || f->kind == VALUE_NULL)
        return k;
    if (str_eq(name, S("level")) && event_field(ev, S("severity_number")))
        f = event_field(ev, S("severity_number"));
    if (f->kind == VALUE_NUMBER && str_double(f->raw, &k.number)) {
        k.kind = KEY_NUMBER;
        return k;
    }
    k.kind = KEY_TEXT;
    k.text = arena_str(a, field_text(f, a));
    return k;
}

static int by_keys(const void *va, const void *vb, void *arg)
{
    const struct keyed *a = va, *b = vb;
    const struct stage *sorted_by = arg;
    for (size_t i = 0; i < sorted_by->n; i++) {
        const struct key *x = &a->keys[i], *y = &b->keys[i];
        if (x->kind != y->kind) {
            if (x->kind == KEY_NONE || y->kind == KEY_NONE)
                return x->kind == KEY_NONE ? 1 : -1;
            return x->kind == KEY_NUMBER ? -1 : 1;
        }
        int c = x->kind == KEY_TEXT ? str_cmp(x->text, y->text) : (x->number > y->number) - (x->number < y->number);
        if (c)
            return sorted_by->descending[i] ? -c : c;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static int sort(struct rows *r, const struct stage *s, struct event *ev, struct arena *a, struct err *e)
{
    struct keyed *all = xcalloc(r->n, sizeof *all);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->n; i++) {
        all[i] = (struct keyed){.row = r->p[i], .index = i};
        rc = event_read_fields(str_n(r->p[i].line, r->p[i].length), ev, a, e);
        for (size_t k = 0; rc == 0 && k < s->n; k++)
            all[i].keys[k] = key_of(ev, s->fields[k], a);
    }
    if (rc == 0 && r->n) {
        qsort_r(all, r->n, sizeof *all, by_keys, (void *)s);
        for (size_t i = 0; i < r->n; i++)
            r->p[i] = all[i].row;
    }
    free(all);
    return rc;
}

/* ---- fields ---- */
static void value(struct buf *out, const struct field *f)
{
    if (f->kind == VALUE_STRING)
        buf_byte(out, '"');
    buf_str(out, f->raw);
    if (f->kind == VALUE_STRING)
        buf_byte(out, '"');
}

static int project(struct rows *r, const struct stage *s, struct event *ev, struct arena *a, struct err *e)
{
    struct buf line = BUF_INIT(LIMIT_EVENT * 4u);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->n; i++) {
        arena_reset(a);
        buf_reset(&line);
        rc = event_read_fields(str_n(r->p[i].line, r->p[i].length), ev, a, e);
        buf_byte(&line, '{');
        for (size_t k = 0; rc == 0 && k < s->n; k++) {
            const struct field *f = event_field(ev, s->fields[k]);
            if (!f)
                continue;
            if (line.n > 1)
                buf_byte(&line, ',');
            buf_json(&line, s->fields[k]);
            buf_byte(&line, ':');
            value(&line, f);
        }
        buf_byte(&line, '}');
        r->bytes -= r->p[i].length;
        row_done(&r->p[i]);
        r->p[i].line = str_dup(buf_view(&line));
        r->p[i].length = (uint32_t)line.n;
        r->bytes += line.n;
    }
    buf_done(&line);
    return rc;
}

static int count(struct rows *r, const struct stage *s, struct event *ev, struct arena *a, struct err *e)
{
    struct groups *g = groups_new(s);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->n; i++) {
        arena_reset(a);
        rc = event_read_fields(str_n(r->p[i].line, r->p[i].length), ev, a, e);
        ev->time = r->p[i].time;
        if (rc == 0)
            rc = groups_add(g, ev, e);
    }
    rows_done(r);
    if (rc == 0)
        rc = groups_rows(g, r, e);
    groups_free(g);
    return rc;
}

int rows_stage(struct rows *r, const struct stage *s, struct err *e)
{
    struct event *ev = xmalloc(sizeof *ev);
    struct arena a = {0};
    int rc = 0;
    switch (s->kind) {
    case STAGE_WHERE: rc = where(r, s, ev, &a, e); break;
    case STAGE_COUNT: rc = count(r, s, ev, &a, e); break;
    case STAGE_SORT: rc = sort(r, s, ev, &a, e); break;
    case STAGE_LIMIT: keep(r, s->limit); break;
    case STAGE_FIELDS: rc = project(r, s, ev, &a, e); break;
    }
    free(ev);
    arena_done(&a);
    return rc;
}

void columns_set(struct query_result *r, const str *names, size_t n, bool every, bool count_too)
{
    for (size_t i = 0; i < r->columns_n; i++)
        free(r->columns[i]);
    free(r->columns);
    r->columns = xcalloc(n + 2, sizeof *r->columns);
    r->columns_n = 0;
    if (every)
        r->columns[r->columns_n++] = xstrdup("time");
    for (size_t i = 0; i < n; i++)
        r->columns[r->columns_n++] = str_dup(names[i]);
    if (count_too)
        r->columns[r->columns_n++] = xstrdup("count");
}
