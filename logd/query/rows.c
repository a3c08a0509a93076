#include "query/rows.h"

#include "base/limits.h"

void rows_done(struct rows *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->p[i]);
    free(t->p);
    *t = (struct rows){0};
}

/* ---- a row is one allocation ---- */

static str put(char **at, str s)
{
    if (!s.p)
        return s;
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return str_n(*at - s.n, s.n);
}

static struct row *copy(const struct row *of, size_t keys_n)
{
    size_t bytes = sizeof *of + keys_n * sizeof *of->keys + of->id.n + of->line.n;
    for (size_t i = 0; i < keys_n; i++)
        bytes += of->keys[i].text.n;
    struct row *r = xcalloc(1, bytes);
    *r = *of;
    r->keys = keys_n ? (struct key *)(r + 1) : NULL;
    r->bytes = bytes;
    char *at = (char *)(r + 1) + keys_n * sizeof *of->keys;
    for (size_t i = 0; i < keys_n; i++) {
        r->keys[i] = of->keys[i];
        r->keys[i].text = r->keys[i].number.text = put(&at, of->keys[i].text);
    }
    r->id = put(&at, of->id);
    r->line = put(&at, of->line);
    return r;
}

static void append(struct rows *t, struct row *r)
{
    if (t->n == t->cap)
        t->p = xrealloc(t->p, (t->cap = t->cap ? 2 * t->cap : 128) * sizeof(struct row *));
    t->p[t->n++] = r;
    t->bytes += r->bytes + sizeof r;
}

void rows_add(struct rows *t, const struct row *r) { append(t, copy(r, 0)); }

/* ---- order ---- */

bool order_cancelled(const struct order *o) { return o->cancel && *o->cancel; }

struct key key_of(str field, const struct event *ev, struct arena *a)
{
    const struct field *f = event_field(ev, field);
    struct key k = {.rank = KEY_MISSING};
    if (!f || f->kind == VALUE_NULL)
        return k;
    if (str_eq(field, S("level")))
        k.text = str_of(arena_printf(a, "%d", ev->severity));
    else if (str_eq(field, S("time")))
        k.text = str_of(arena_printf(a, "%lld", (long long)ev->time));
    else
        k.text = field_text(f, a);
    bool number = f->kind != VALUE_JSON && number_read(k.text, &k.number) && k.number.unit == UNIT_NONE;
    k.rank = number ? KEY_NUMBER : KEY_TEXT;
    return k;
}

static struct key *keys_of(const struct order *o, const struct event *ev, struct arena *a)
{
    if (!o->sort)
        return NULL;
    struct key *keys = arena_alloc(a, o->sort->fields_n * sizeof *keys);
    for (size_t i = 0; i < o->sort->fields_n; i++)
        keys[i] = key_of(o->sort->fields[i], ev, a);
    return keys;
}

static size_t keys_count(const struct order *o) { return o->sort ? o->sort->fields_n : 0; }

int key_cmp(const struct key *x, const struct key *y, bool descending)
{
    if (x->rank == KEY_MISSING || y->rank == KEY_MISSING)
        return (x->rank == KEY_MISSING) - (y->rank == KEY_MISSING);
    int c = x->rank != y->rank      ? (x->rank > y->rank) - (x->rank < y->rank)
            : x->rank == KEY_NUMBER ? number_cmp(&x->number, &y->number)
                                    : str_cmp(x->text, y->text);
    return descending ? -c : c;
}

static int time_cmp(const struct order *o, nsec t1, str id1, nsec t2, str id2)
{
    int c = t1 != t2 ? (t1 > t2) - (t1 < t2) : str_cmp(id1, id2);
    return o->ascending ? c : -c;
}

static int keys_cmp(const struct stage *sort, const struct row *x, const struct row *y)
{
    for (size_t i = 0; i < sort->fields_n; i++) {
        int c = key_cmp(&x->keys[i], &y->keys[i], sort->descending[i]);
        if (c)
            return c;
    }
    return 0;
}

/* <0: x comes first */
static int row_cmp(const struct order *o, const struct row *x, const struct row *y)
{
    int c = o->sort ? keys_cmp(o->sort, x, y) : 0;
    return c ? c : time_cmp(o, x->time, x->id, y->time, y->id);
}

/* ---- the heap: no row is worse than its parent ---- */

static void sift_up(struct rows *t, size_t i)
{
    while (i > 0 && row_cmp(&t->order, t->p[i], t->p[(i - 1) / 2]) > 0) {
        struct row *r = t->p[i];
        t->p[i] = t->p[(i - 1) / 2];
        t->p[(i - 1) / 2] = r;
        i = (i - 1) / 2;
    }
}

static void sift_down(struct rows *t, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < t->n; i = child) {
        if (child + 1 < t->n && row_cmp(&t->order, t->p[child + 1], t->p[child]) > 0)
            child++;
        if (row_cmp(&t->order, t->p[child], t->p[i]) <= 0)
            return;
        struct row *r = t->p[i];
        t->p[i] = t->p[child];
        t->p[child] = r;
    }
}

static void drop_worst(struct rows *t)
{
    t->bytes -= t->p[0]->bytes + sizeof t->p[0];
    free(t->p[0]);
    t->p[0] = t->p[--t->n];
    sift_down(t, 0);
}

bool rows_wants(const struct rows *t, nsec time, str id)
{
    if (t->n < t->keep)
        return true;
    return t->n > 0 && (t->order.sort || time_cmp(&t->order, time, id, t->p[0]->time, t->p[0]->id) < 0);
}

bool rows_wants_between(const struct rows *t, nsec oldest, nsec newest)
{
    if (t->n < t->keep || t->order.sort)
        return t->keep > 0;
    if (t->n == 0)
        return false;
    return t->order.ascending ? oldest <= t->p[0]->time : newest >= t->p[0]->time;
}

void rows_offer(struct rows *t, const struct row *of, const struct event *ev, struct arena *a)
{
    struct row r = *of;
    r.keys = keys_of(&t->order, ev, a);
    if (t->keep == 0 || (t->n >= t->keep && row_cmp(&t->order, &r, t->p[0]) >= 0))
        return;
    append(t, copy(&r, keys_count(&t->order)));
    sift_up(t, t->n - 1);
    if (t->n > t->keep)
        drop_worst(t);
    while (t->bytes > LIMIT_RESULT && t->n > 1) {
        drop_worst(t);
        t->keep = t->n;
        t->cut = true;
    }
}

struct row *row_place(const struct row *r)
{
    struct row place = *r;
    place.line = (str){NULL, 0};
    return copy(&place, 0);
}

static void put_back(struct rows *t, struct row *r)
{
    append(t, r);
    sift_up(t, t->n - 1);
}

void rows_settled(struct rows *t, nsec time, struct rows *ret)
{
    struct rows old = *t;
    t->p = NULL;
    t->n = t->cap = t->bytes = 0;
    for (size_t i = 0; i < old.n; i++) {
        struct row *r = old.p[i];
        if (t->order.ascending ? r->time < time : r->time > time)
            append(ret, r);
        else
            put_back(t, r);
    }
    free(old.p);
    t->keep -= ret->n;
    rows_sort(ret);
}

void rows_give_back(struct rows *t, struct rows *settled, size_t from)
{
    for (size_t i = from; i < settled->n; i++) {
        put_back(t, settled->p[i]);
        t->keep++;
    }
    settled->n = settled->n < from ? settled->n : from;
}

/* A sort of many rows is asked to end in the middle by the only thing it listens to. */
static int sort_cmp(const void *a, const void *b, void *order)
{
    return order_cancelled(order) ? 0 : row_cmp(order, *(struct row *const *)a, *(struct row *const *)b);
}

void rows_sort(struct rows *t)
{
    if (t->n)
        qsort_r(t->p, t->n, sizeof *t->p, sort_cmp, &t->order);
}

/* ---- stages ---- */

/* What the names of an event's own parts mean in a row that is none. */
static void fill_fixed(struct event *ev, const struct field *f)
{
    struct err ignored;
    int64_t severity;
    int digits;
    if (str_eq(f->name, S("severity_number")) && str_i64(f->raw, &severity) && severity >= 1 && severity <= 24)
        ev->severity = (int)severity;
    if (f->kind != VALUE_STRING)
        return;
    if (str_eq(f->name, S("level")) && !ev->severity)
        ev->severity = level_read(f->raw);
    else if (str_eq(f->name, S("time")) && time_read(f->raw, &ev->time, &digits, &ignored) < 0)
        ev->time = TIME_NONE;
    else if (str_eq(f->name, S("app")))
        ev->app = f->raw;
    else if (str_eq(f->name, S("id")))
        ev->id = f->raw;
}

bool rows_event(const struct rows *t, size_t i, struct event *ev, struct arena *a)
{
    struct err ignored;
    const struct row *r = t->p[i];
    if (r->stored)
        return event_read(r->line, ev, a, &ignored) == 0;
    ev->id = ev->app = (str){NULL, 0};
    ev->time = TIME_NONE;
    ev->severity = 0;
    if (event_read_fields(r->line, ev, a, &ignored) < 0)
        return false;
    for (size_t k = 0; k < ev->n; k++)
        fill_fixed(ev, &ev->f[k]);
    return true;
}

void rows_drop_marked(struct rows *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->p[i])
            t->p[kept++] = t->p[i];
    t->n = kept;
}

void rows_mark(struct rows *t, size_t i)
{
    free(t->p[i]);
    t->p[i] = NULL;
}

/* Equal rows stay as they stand. */
static int resort_cmp(const void *a, const void *b, void *order)
{
    const struct order *o = order;
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
    if (order_cancelled(o))
        return 0;
    int c = keys_cmp(o->sort, x, y);
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

void rows_resort(struct rows *t, const struct order *o, struct event *ev, struct arena *a)
{
    arena_reset(a);
    for (size_t i = 0; i < t->n && !order_cancelled(o); i++) {
        t->p[i]->place = i;
        if (!rows_event(t, i, ev, a))
            ev->n = 0; /* damaged: has nothing */
        t->p[i]->keys = keys_of(o, ev, a);
    }
    if (t->n)
        qsort_r(t->p, t->n, sizeof *t->p, resort_cmp, (void *)(uintptr_t)o);
    for (size_t i = 0; i < t->n; i++)
        t->p[i]->keys = NULL;
}

void rows_limit(struct rows *t, uint64_t n)
{
    while (t->n > n)
        free(t->p[--t->n]);
}

void rows_skip(struct rows *t, size_t n)
{
    n = n < t->n ? n : t->n;
    for (size_t i = 0; i < n; i++)
        free(t->p[i]);
    t->n -= n;
    if (t->n)
        memmove(t->p, t->p + n, t->n * sizeof *t->p);
}
