/* base/quantile.c - a histogram as kept: LEB128 numbers, for each bucket in order the step from the index before it and how
 * many it holds. The first step is from -2^17, below any index. */
#include "base/quantile.h"
#include "base/str.h"

#include <math.h>

enum { SHIFT = 52 - 6 }; /* of a double's bits: 6 of the fraction stay, 64 buckets an octave */
#define FIRST (-(1 << 17))

/* The bits of doubles of one sign order as they do. */
static int32_t index_of(double v)
{
    uint64_t bits;
    double size = fabs(v);
    memcpy(&bits, &size, sizeof bits);
    int32_t index = (int32_t)(bits >> SHIFT) + 1;
    return v < 0 ? -index : v > 0 ? index : 0;
}

static double edge(int32_t index)
{
    uint64_t bits = (uint64_t)index << SHIFT;
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static double middle(int32_t index)
{
    int32_t size = index < 0 ? -index : index;
    double low = edge(size - 1), high = edge(size), v = isfinite(high) ? low + (high - low) / 2 : low;
    return index == 0 ? 0 : index < 0 ? -v : v;
}

static struct quantile_bucket *bucket(struct quantiles *q, int32_t index, double v)
{
    size_t low = 0, high = q->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (q->b[mid].index < index)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < q->n && q->b[low].index == index)
        return &q->b[low];
    if (q->n == q->cap)
        q->b = xrealloc(q->b, (q->cap = q->cap ? 2 * q->cap : 8) * sizeof *q->b);
    memmove(q->b + low + 1, q->b + low, (q->n++ - low) * sizeof *q->b);
    q->b[low] = (struct quantile_bucket){.index = index, .first = v};
    return &q->b[low];
}

void quantiles_add(struct quantiles *q, double v) { quantiles_add_times(q, v, 1); }

void quantiles_add_times(struct quantiles *q, double v, uint64_t times)
{
    struct quantile_bucket *b = bucket(q, index_of(v), v);
    b->mixed |= b->first != v;
    b->n += times;
    q->count += times;
}

void quantiles_merge(struct quantiles *q, const struct quantiles *from)
{
    for (size_t i = 0; i < from->n; i++) {
        struct quantile_bucket *b = bucket(q, from->b[i].index, from->b[i].first);
        b->mixed |= from->b[i].mixed || b->first != from->b[i].first;
        b->n += from->b[i].n;
    }
    q->count += from->count;
}

double quantiles_get(const struct quantiles *q, double part, bool *ret_exact)
{
    assert(q->count);
    uint64_t rank = (uint64_t)ceil(part * (double)q->count), seen = 0;
    size_t i = 0;
    rank = rank ? rank : 1;
    while (i + 1 < q->n && (seen += q->b[i].n) < rank)
        i++;
    *ret_exact = !q->b[i].mixed;
    return *ret_exact ? q->b[i].first : middle(q->b[i].index);
}

void quantiles_encode(const struct quantiles *q, struct buf *out)
{
    int32_t before = FIRST;
    for (size_t i = 0; i < q->n; before = q->b[i++].index) {
        buf_leb128(out, (uint64_t)(q->b[i].index - before));
        buf_leb128(out, q->b[i].n);
    }
}

int quantiles_decode(str code, struct quantiles *q, struct err *e)
{
    int64_t index = FIRST;
    while (code.n) {
        uint64_t step, n;
        if (!str_leb128(&code, &step) || !str_leb128(&code, &n) || step == 0 || n == 0 || step > -2 * FIRST ||
            (index += (int64_t)step) > -FIRST || q->count + n < n)
            return err_set(e, ERR_CORRUPT, "a histogram is damaged");
        struct quantile_bucket *b = bucket(q, (int32_t)index, middle((int32_t)index));
        b->mixed = true;
        b->n += n;
        q->count += n;
    }
    return 0;
}

size_t quantiles_bytes(const struct quantiles *q) { return q->cap * sizeof *q->b; }

void quantiles_done(struct quantiles *q)
{
    free(q->b);
    *q = (struct quantiles){0};
}
