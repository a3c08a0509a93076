#include "stats/gather.h"
#include "base/map.h"
#include "base/str.h"
#include "stats/private.h"

#include <math.h>

enum { LINE_MAX_BYTES = 256 << 10 };
#define TIMING_TINY 1e-6 /* ms; less has no bucket of its own, so a histogram has 4,000 at most */

struct gathered {
    str head; /* of its lines, up to the time; malloc'ed */
    enum stat_type type;
    bool waits;         /* has something to be written */
    double count, left; /* of a count: the sum, and the part of a whole that earlier lines could not say */
    double level;       /* of a gauge: the newest value */
    struct cell cell;   /* of a timing */
    usec time, used;    /* of struct gather_series; when a line was written last */
};
struct gather {
    struct map series; /* key -> struct gathered */
    struct gathered **waiting;
    size_t waiting_n, waiting_cap;
    struct buf text;
    usec swept;
};

struct gather *gather_new(void)
{
    struct gather *g = xcalloc(1, sizeof *g);
    buf_init(&g->text, LINE_MAX_BYTES);
    return g;
}

static void forget(struct gathered *s)
{
    quantiles_done(&s->cell.quantiles);
    free((char *)s->head.p);
    free(s);
}

void gather_free(struct gather *g)
{
    struct map_slot *slot;
    if (!g)
        return;
    for (size_t i = 0; (slot = map_next(&g->series, &i));)
        forget(slot->value);
    map_done(&g->series);
    free(g->waiting);
    buf_done(&g->text);
    free(g);
}

struct gathered *gather_find(struct gather *g, str key) { return map_get(&g->series, key); }
bool gather_waits(const struct gather *g) { return g->waiting_n > 0; }

int gather_make(struct gather *g, str key, const struct gather_series *s, struct db *known, struct gathered **ret,
                struct err *e)
{
    enum stat_type type;
    double level = 0;
    if (g->series.n >= GATHER_SERIES)
        return err_set(e, ERR_FULL, "more than %d series in %d seconds", GATHER_SERIES,
                       (int)(GATHER_IDLE / USEC_PER_SEC));
    bool there = stat_type_of(s->type, &type);
    assert(there);
    buf_reset(&g->text);
    if (stat_head(known, s, &g->text, &level, e) < 0)
        return -1;
    struct gathered *made = xcalloc(1, sizeof *made);
    *made = (struct gathered){
        .head = {str_dup(buf_view(&g->text)), g->text.n}, .type = type, .level = level, .time = s->time};
    map_set(&g->series, key, made);
    *ret = made;
    return 0;
}

static void wait_for_flush(struct gather *g, struct gathered *s)
{
    if (s->waits)
        return;
    if (g->waiting_n == g->waiting_cap)
        g->waiting = xrealloc(g->waiting,
                              (g->waiting_cap = g->waiting_cap ? 2 * g->waiting_cap : 64) * sizeof *g->waiting);
    g->waiting[g->waiting_n++] = s;
    s->waits = true;
}

static void add_timing(struct cell *c, double v, uint64_t weight)
{
    struct cell one = {.n = weight, .sum = v * (double)weight, .min = v, .max = v, .last = v};
    cell_add(c, &one);
    quantiles_add_times(&c->quantiles, v < TIMING_TINY ? 0 : v, weight);
}

bool gather_add(struct gather *g, struct gathered *s, double v, double weight, bool by)
{
    if (s->type == STAT_COUNT) {
        if (fabs(v * weight) > STAT_COUNT_MAX || fabs(s->count + v * weight) > STAT_COUNT_MAX)
            return false;
        s->count += v * weight;
    } else if (s->type == STAT_GAUGE) {
        double level = by ? s->level + v : v;
        if (fabs(level) > STAT_SIZE_MAX)
            return false;
        s->level = level;
    } else {
        assert(s->type == STAT_TIMING);
        if (v < 0 || v > STAT_TIMING_MAX)
            return false;
        add_timing(&s->cell, v, (uint64_t)llround(weight));
    }
    wait_for_flush(g, s);
    return true;
}

/* ---- written ---- */
bool gather_line(const struct gathered *s, double v, usec at, struct buf *out)
{
    double least = s->type == STAT_COUNT || s->type == STAT_TIMING ? 0 : -STAT_SIZE_MAX;
    double most = s->type == STAT_COUNT ? STAT_COUNT_MAX : s->type == STAT_TIMING ? STAT_TIMING_MAX : STAT_SIZE_MAX;
    if (!(v >= least && v <= most) || (s->type == STAT_COUNT && v != nearbyint(v)))
        return false;
    buf_str(out, s->head);
    buf_printf(out, ",\"t\":%lld,\"v\":", (long long)at);
    buf_double(out, v);
    buf_lit(out, "}\n");
    return true;
}

static void put_timing(struct gather *g, const struct cell *c, struct buf *out)
{
    const double numbers[] = {cell_sum(c), c->min, c->max, c->last};
    static const char *const names[] = {"sum", "min", "max", "last"};
    buf_reset(&g->text);
    quantiles_encode(&c->quantiles, &g->text);
    buf_printf(out, "{\"n\":%llu", (unsigned long long)c->n);
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        buf_printf(out, ",\"%s\":", names[i]);
        buf_double(out, numbers[i]);
    }
    buf_lit(out, ",\"h\":\"");
    buf_hex(out, g->text.p, g->text.n);
    buf_lit(out, "\"}");
}

/* False: there is nothing to say yet, the sum is less than one. */
static bool put_value(struct gather *g, struct gathered *s, struct buf *out)
{
    if (s->type == STAT_COUNT) {
        double whole = nearbyint(s->count + s->left);
        s->left += s->count - whole;
        s->count = 0;
        if (whole == 0)
            return false;
        buf_printf(out, "%lld", (long long)whole);
    } else if (s->type == STAT_GAUGE) {
        buf_double(out, s->level);
    } else {
        put_timing(g, &s->cell, out);
        quantiles_done(&s->cell.quantiles);
        s->cell = (struct cell){0};
    }
    return true;
}

static void put_line(struct gather *g, struct gathered *s, usec now, struct batch *b)
{
    size_t before = b->body.n;
    buf_str(&b->body, s->head);
    buf_printf(&b->body, ",\"t\":%lld,\"v\":", (long long)(s->time ? s->time : now));
    if (!put_value(g, s, &b->body)) {
        b->body.n = before;
        return;
    }
    buf_lit(&b->body, "}\n");
    b->events++;
    b->accepted++;
}

static void sweep(struct gather *g, usec now)
{
    struct map old = g->series;
    struct map_slot *slot;
    g->series = (struct map){0};
    g->swept = now;
    for (size_t i = 0; (slot = map_next(&old, &i));) {
        struct gathered *s = slot->value;
        if (s->waits || now - s->used < GATHER_IDLE)
            map_set(&g->series, str_n(slot->key, slot->key_n), s);
        else
            forget(s);
    }
    map_done(&old);
}

bool gather_flush(struct gather *g, usec now, struct batch *b)
{
    size_t done = 0;
    for (; done < g->waiting_n && buf_room(&b->body, LINE_MAX_BYTES); done++) {
        struct gathered *s = g->waiting[done];
        put_line(g, s, now, b);
        s->waits = false;
        s->used = now;
    }
    g->waiting_n -= done;
    if (g->waiting_n)
        memmove(g->waiting, g->waiting + done, g->waiting_n * sizeof(struct gathered *));
    b->body.full = false; /* what did not fit waits */
    if (now - g->swept >= GATHER_IDLE || now < g->swept)
        sweep(g, now);
    return g->waiting_n == 0;
}
