#include "query/aggregate.h"

#include "base/hash.h"
#include "query/shape.h"

#include <math.h>

bool aggregate_needs_event(const struct aggregate *g) { return g->field.p || g->only; }

/* ---- numbers ---- */

static bool read_finite(const struct field *f, str text, struct number *ret)
{
    return f->kind != VALUE_JSON && number_read(text, ret) && ret->unit == UNIT_NONE && isfinite(ret->v);
}

static void add_total(struct accumulator *c, const struct number *x)
{
    int64_t whole;
    c->n++;
    if (x->integer && str_i64(x->text, &whole)) {
        c->total.whole += whole;
        return;
    }
    double sum = c->total.sum + x->v;
    c->total.lost += fabs(c->total.sum) >= fabs(x->v) ? (c->total.sum - sum) + x->v : (x->v - sum) + c->total.sum;
    c->total.sum = sum;
}

static void print_whole(__int128 v, struct buf *out)
{
    char text[48], *at = text + sizeof text;
    unsigned __int128 size = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    do {
        *--at = (char)('0' + (int)(size % 10));
        size /= 10;
    } while (size);
    if (v < 0)
        *--at = '-';
    buf_add(out, at, (size_t)(text + sizeof text - at));
}

static double total_of(const struct accumulator *c) { return (double)c->total.whole + (c->total.sum + c->total.lost); }

static void print_sum(const struct accumulator *c, struct buf *out)
{
    if (c->total.sum == 0 && c->total.lost == 0)
        print_whole(c->total.whole, out);
    else
        buf_double(out, total_of(c));
}

/* ---- one value that is kept ---- */

static str put(char **at, str s)
{
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return str_n(*at - s.n, s.n);
}

static void keep(struct accumulator *c, const struct field *f, const struct key *key, const struct row *r,
                 size_t *bytes)
{
    struct buf json = BUF_INIT(SIZE_MAX / 2);
    shape_value(f, &json);
    size_t n = sizeof *c->value + json.n + key->text.n + r->id.n;
    struct seen_value *v = xmalloc(n);
    char *at = (char *)(v + 1);
    *v = (struct seen_value){.key = *key, .time = r->time, .bytes = n};
    v->key.text = v->key.number.text = put(&at, key->text);
    v->json = put(&at, buf_view(&json));
    v->id = put(&at, r->id);
    *bytes += n - (c->value ? c->value->bytes : 0);
    free(c->value);
    c->value = v;
    buf_done(&json);
}

/* As `sort` orders them. */
static bool is_better(const struct aggregate *g, const struct seen_value *v, const struct key *key, const struct row *r)
{
    if (!v)
        return true;
    if (g->fn == FN_MIN || g->fn == FN_MAX)
        return key_cmp(key, &v->key, g->fn == FN_MAX) < 0;
    int cmp = r->time != v->time ? (r->time > v->time) - (r->time < v->time) : str_cmp(r->id, v->id);
    return g->fn == FN_FIRST ? cmp < 0 : r->id.n ? cmp > 0 : cmp >= 0;
}

static void add_value(const struct aggregate *g, struct accumulator *c, const struct field *f, const struct event *ev,
                      const struct row *r, struct arena *a, size_t *bytes)
{
    struct key key = {.rank = KEY_MISSING};
    if (g->fn == FN_MIN || g->fn == FN_MAX)
        key = key_of(g->field, ev, a);
    c->n++;
    if (is_better(g, c->value, &key, r))
        keep(c, f, &key, r, bytes);
}

/* ---- sets of values ---- */

/* A number and the same digits as text are two values. */
static void add_uniq(struct accumulator *c, const struct field *f, str text, size_t *bytes)
{
    size_t before = uniq_bytes(&c->uniq);
    c->n++;
    uniq_add(&c->uniq, hash_str(text) + (uint64_t)f->kind * 0x9e3779b97f4a7c15u);
    *bytes += uniq_bytes(&c->uniq) - before;
}

static void add_quantile(struct accumulator *c, double v, size_t *bytes)
{
    size_t before = quantiles_bytes(&c->quantiles);
    c->n++;
    quantiles_add(&c->quantiles, v);
    *bytes += quantiles_bytes(&c->quantiles) - before;
}

/* ---- one row ---- */

void accumulator_add(const struct aggregate *g, struct accumulator *c, const struct event *ev, const struct row *r,
                     struct arena *a, size_t *bytes)
{
    struct number x;
    if (g->only && !filter_match(g->only, ev, a))
        return;
    const struct field *f = g->field.p ? event_field(ev, g->field) : NULL;
    if (g->field.p && (!f || f->kind == VALUE_NULL))
        return;
    switch (g->fn) {
    case FN_COUNT:
    case FN_RATE: c->n++; break;
    case FN_UNIQ: add_uniq(c, f, field_text(f, a), bytes); break;
    case FN_SUM:
    case FN_AVG:
        if (read_finite(f, field_text(f, a), &x))
            add_total(c, &x);
        break;
    case FN_QUANTILE:
        if (read_finite(f, field_text(f, a), &x))
            add_quantile(c, x.v, bytes);
        break;
    default: add_value(g, c, f, ev, r, a, bytes);
    }
}

void accumulator_add_times(const struct aggregate *g, struct accumulator *c, const struct field *f, uint64_t times,
                           struct arena *a, size_t *bytes)
{
    struct number x;
    if (g->fn == FN_COUNT || g->fn == FN_RATE)
        c->n += times;
    else if (g->fn == FN_UNIQ)
        add_uniq(c, f, field_text(f, a), bytes);
    else if (read_finite(f, field_text(f, a), &x))
        for (uint64_t i = 0; i < times; i++)
            g->fn == FN_QUANTILE ? add_quantile(c, x.v, bytes) : add_total(c, &x);
}

void accumulator_add_whole(const struct aggregate *g, struct accumulator *c, int64_t v, size_t *bytes)
{
    if (g->fn == FN_QUANTILE) {
        add_quantile(c, (double)v, bytes);
        return;
    }
    assert(g->fn == FN_SUM || g->fn == FN_AVG);
    c->n++;
    c->total.whole += v;
}

void accumulator_join(const struct aggregate *g, struct accumulator *into, struct accumulator *from)
{
    assert(g->fn == FN_COUNT || g->fn == FN_MIN || g->fn == FN_MAX || g->fn == FN_FIRST || g->fn == FN_LAST);
    into->n += from->n;
    if (g->fn != FN_COUNT && from->value) {
        struct seen_value *v = from->value;
        bool better = is_better(g, into->value, &v->key, &(struct row){.time = v->time, .id = v->id});
        free(better ? into->value : v);
        into->value = better ? v : into->value;
    }
    *from = (struct accumulator){0};
}

void accumulator_done(const struct aggregate *g, struct accumulator *c)
{
    switch (g->fn) {
    case FN_UNIQ: uniq_done(&c->uniq); break;
    case FN_QUANTILE: quantiles_done(&c->quantiles); break;
    case FN_MIN:
    case FN_MAX:
    case FN_FIRST:
    case FN_LAST: free(c->value); break;
    default: break;
    }
}

void accumulator_print(const struct aggregate *g, const struct accumulator *c, double seconds, struct buf *out,
                       double *ret_error)
{
    bool exact = true, empty = c->n == 0;
    *ret_error = 0;
    switch (g->fn) {
    case FN_COUNT: buf_printf(out, "%llu", (unsigned long long)c->n); return;
    case FN_RATE: buf_double(out, seconds > 0 ? (double)c->n / seconds : 0); return;
    case FN_SUM: print_sum(c, out); return;
    case FN_UNIQ:
        *ret_error = c->uniq.registers ? UNIQ_ERROR : 0;
        buf_printf(out, "%llu", (unsigned long long)uniq_count(&c->uniq));
        return;
    default: break;
    }
    if (empty)
        buf_lit(out, "null");
    else if (g->fn == FN_AVG)
        buf_double(out, total_of(c) / (double)c->n);
    else if (g->fn == FN_QUANTILE)
        buf_double(out, quantiles_get(&c->quantiles, g->quantile, &exact));
    else
        buf_str(out, c->value->json);
    *ret_error = exact ? 0 : QUANTILE_ERROR;
}
