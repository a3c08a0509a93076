/* Numbers against a column of numbers: what a filter asks becomes intervals, found with the very comparison that lines are
 * asked with, and then each number costs one compare. */
#include "query/columns-private.h"
#include "store/address.h"
#include "base/str.h"

static bool number_test(struct match *m, const struct filter_node *n, const struct packed *p, enum filter_op op,
                        const struct filter_value *v, const struct number *bound, int64_t x)
{
    char room[PACKED_TEXT_MAX];
    struct filter_value one = *v;
    struct filter_node node = *n;
    one.form = FORM_TEXT;
    one.numeric = true;
    one.low = *bound;
    node.op = op;
    node.values = &one;
    node.values_n = 1;
    struct field f = {n->field, number_text(p, x, room), (enum value_kind)p->kind, false};
    return filter_field_match(&node, &f, &m->one, &m->gave_up);
}

/* Numbers grow with what they are compared by, so where the answer changes is found by halving. */
static int64_t first_true(struct match *m, const struct filter_node *n, const struct packed *p, enum filter_op op,
                          const struct filter_value *v, const struct number *bound, bool falling, int64_t low,
                          int64_t high)
{
    while (low < high) { /* the first x of low..high whose answer is not `falling`; high when none before it is */
        int64_t middle = (int64_t)((uint64_t)low + ((uint64_t)high - (uint64_t)low) / 2);
        if (number_test(m, n, p, op, v, bound, middle) != falling)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static struct interval from_bound(struct match *m, const struct filter_node *n, const struct packed *p,
                                  enum filter_op op, const struct filter_value *v, const struct number *bound,
                                  struct interval all)
{
    bool grows = op == OP_GT || op == OP_GE;
    if (all.low > all.high)
        return all;
    if (!number_test(m, n, p, op, v, bound, grows ? all.high : all.low))
        return (struct interval){1, 0};
    if (number_test(m, n, p, op, v, bound, grows ? all.low : all.high))
        return all;
    if (grows)
        return (struct interval){first_true(m, n, p, op, v, bound, false, all.low, all.high), all.high};
    return (struct interval){all.low, first_true(m, n, p, op, v, bound, true, all.low, all.high) - 1};
}

static int64_t scaled(const struct packed *p, int64_t v)
{
    uint64_t x = (uint64_t)v; /* of a damaged column it may wrap */
    for (unsigned i = 0; p->packing != PACK_DECIMAL && i < p->scale; i++)
        x *= 10;
    return (int64_t)x;
}

/* Which numbers of this column match this value, when that is one interval. */
static bool find_interval(struct match *m, const struct filter_node *n, const struct packed *p,
                          const struct filter_value *v, struct interval *ret)
{
    struct interval all = {scaled(p, p->min), scaled(p, p->max)};
    bool equal = n->op == OP_MATCH || n->op == OP_EQ || n->op == OP_NE, ordered = n->op >= OP_GT;
    if (p->packing == PACK_IPV4 || n->contains || (!ordered && !equal))
        return false;
    *ret = all;
    if (v->form == FORM_EXISTS && n->op == OP_MATCH)
        return true;
    if (v->form == FORM_RANGE) {
        *ret = from_bound(m, n, p, OP_GE, v, &v->low, all);
        *ret = from_bound(m, n, p, OP_LE, v, &v->high, *ret);
        return true;
    }
    if (v->form != FORM_TEXT || !v->numeric || (p->kind != KIND_NUMBER && equal))
        return false;
    int64_t whole;
    if (equal && p->packing != PACK_DECIMAL && v->low.integer && str_i64(v->low.text, &whole)) { /* itself, if at all */
        *ret = whole >= all.low && whole <= all.high ? (struct interval){whole, whole} : (struct interval){1, 0};
    } else if (ordered) {
        *ret = from_bound(m, n, p, n->op, v, &v->low, all);
    } else {
        *ret = from_bound(m, n, p, OP_GE, v, &v->low, all);
        *ret = from_bound(m, n, p, OP_LE, v, &v->low, *ret);
    }
    return true;
}

static uint32_t address_of(const ip *a)
{
    return (uint32_t)a->b[12] << 24 | (uint32_t)a->b[13] << 16 | (uint32_t)a->b[14] << 8 | a->b[15];
}
static bool is_v4(const ip *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(a->b, mapped, sizeof mapped) == 0;
}

static bool find_addresses(const struct filter_node *n, const struct packed *p, const struct filter_value *v,
                           struct interval *ret)
{
    if (p->packing != PACK_IPV4 || n->op != OP_MATCH || v->form != FORM_IP || !is_v4(&v->ip_low) || !is_v4(&v->ip_high))
        return false;
    *ret = (struct interval){address_of(&v->ip_low), address_of(&v->ip_high)};
    return true;
}

/* Is x[i] in low..low + span? One compare, since what is below wraps round. */
VECTORS static void within(const int64_t *restrict x, size_t n, uint64_t low, uint64_t span, uint8_t *restrict is)
{
    for (size_t i = 0; i < n; i++)
        is[i] |= (uint64_t)x[i] - low <= span;
}

static void set_bits(const uint8_t *is, const struct place *p, uint64_t *out)
{
    for (size_t i = 0; i < p->c->n; i += 8) {
        uint64_t eight;
        memcpy(&eight, is + i, 8);
        for (size_t k = i; eight; eight >>= 8, k++)
            if (eight & 1)
                bit_set(out, row_of(p, k));
    }
}

void columns_intervals(struct match *m, const struct interval *intervals, size_t n, const struct place *p,
                       uint64_t *out)
{
    uint8_t *is = arena_zero(m->scratch, p->c->n + 8);
    for (size_t k = 0; k < n; k++)
        within(p->c->numbers, p->c->n, (uint64_t)intervals[k].low,
               (uint64_t)intervals[k].high - (uint64_t)intervals[k].low, is);
    set_bits(is, p, out);
}

bool columns_ask_addresses(const struct filter_node *n, const struct packed *p)
{
    bool all = n->kind == NODE_COMPARE && n->op == OP_MATCH && p->packing == PACK_IPV6;
    for (size_t i = 0; all && i < n->values_n; i++)
        all = n->values[i].form == FORM_IP;
    return all;
}

VECTORS static void equal_plane(const uint8_t *restrict plane, size_t n, uint8_t byte, uint8_t *restrict is)
{
    for (size_t i = 0; i < n; i++)
        is[i] &= plane[i] == byte;
}

/* What both ends begin with is compared plane by plane, the rest only of those that have it. */
void columns_addresses(struct match *m, const struct filter_node *n, const struct place *p, uint64_t *out)
{
    const struct column *c = p->c;
    uint8_t *may = arena_alloc(m->scratch, c->n + 8), *is = arena_zero(m->scratch, c->n + 8);
    for (size_t k = 0; k < n->values_n; k++) {
        const uint8_t *low = n->values[k].ip_low.b, *high = n->values[k].ip_high.b;
        size_t same = 0;
        memset(may, 1, c->n);
        for (; same < ADDRESS_BYTES && low[same] == high[same]; same++)
            equal_plane(c->planes + same * c->n, c->n, low[same], may);
        for (size_t i = 0; i < c->n; i++) {
            uint8_t a[ADDRESS_BYTES];
            if (!may[i])
                continue;
            address_at(c->planes, c->n, i, a);
            is[i] |= memcmp(a, low, sizeof a) >= 0 && memcmp(a, high, sizeof a) <= 0;
        }
    }
    set_bits(is, p, out);
}

/* Is value i the number? Asked of its bytes as they lie: nothing is unpacked. */
VECTORS static void equal_planes(const uint8_t *restrict planes, size_t n, unsigned width, uint64_t number,
                                 uint8_t *restrict is)
{
    uint8_t low = (uint8_t)number;
    for (size_t i = 0; i < n; i++)
        is[i] = planes[i] == low;
    for (unsigned w = 1; w < width; w++) {
        uint8_t byte = (uint8_t)(number >> 8 * w);
        for (size_t i = 0; i < n; i++)
            is[i] &= planes[w * n + i] == byte;
    }
}

/* One number, in a column whose range it is in. */
int columns_number(struct match *m, size_t index, int64_t number, uint64_t *out)
{
    const struct packed *info = &m->b->columns[index];
    const struct column *c = block_glance(m->b, index, m->e);
    struct place p;
    if (!c)
        return -1;
    uint8_t *is = arena_zero(m->scratch, c->n + 8);
    bool bytes = c->planes && info->width && (!info->scale || info->packing == PACK_DECIMAL);
    if (bytes) {
        equal_planes(c->planes, c->n, info->width, (uint64_t)number - (uint64_t)info->min, is);
        if (!memchr(is, 1, c->n))
            return 0;
    }
    if (place_open(m, index, &p) < 0)
        return -1;
    if (!bytes)
        within(p.c->numbers, c->n, (uint64_t)number, 0, is);
    set_bits(is, &p, out);
    return 0;
}

bool columns_find_intervals(struct match *m, const struct filter_node *n, const struct packed *p, struct interval *ret,
                            size_t *ret_n)
{
    if (n->kind != NODE_COMPARE || !packing_is_number(p->packing) || n->values_n > INTERVALS_MAX)
        return false;
    *ret_n = 0;
    int64_t min = scaled(p, p->min), max = scaled(p, p->max);
    for (size_t i = 0; i < n->values_n; i++) {
        struct interval v;
        if (!find_interval(m, n, p, &n->values[i], &v) && !find_addresses(n, p, &n->values[i], &v))
            return false;
        if (v.low <= v.high && v.low <= max && v.high >= min)
            ret[(*ret_n)++] = v;
    }
    return true;
}
