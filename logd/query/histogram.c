/* query/histogram.c - events per stretch of time and level. */
#include "base/clock.h"
#include "query/lead.h"

struct histogram {
    int64_t first, step; /* seconds */
    uint64_t n;
    uint64_t (*counts)[LEVELS];
    struct lead lead;
};

static int64_t floor_div(int64_t v, int64_t by) { return v / by - (v % by < 0); }

/* The smallest step of a length that people like with which the stretches that touch from..to are no more than `most`:
 * they start at multiples of the step. */
static void choose_step(struct histogram *h, nsec from, nsec to, uint32_t most)
{
    static const int64_t nice[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    int64_t first = floor_div(from, NSEC_PER_SEC), last = floor_div(to - 1, NSEC_PER_SEC);
    size_t i = 0;
    for (h->step = nice[0];; h->step = i < LENGTH(nice) ? nice[i] : 2 * h->step) {
        int64_t n = floor_div(last, h->step) - floor_div(first, h->step) + 1;
        if (n <= (int64_t)most || h->step > INT64_MAX / 4) {
            h->n = (uint64_t)n;
            break;
        }
        i++;
    }
    h->first = floor_div(first, h->step) * h->step;
}

static int count(void *arg, struct scan *s, struct err *e)
{
    struct histogram *h = arg;
    (void)e;
    if (!lead_pass(&h->lead, s))
        return 0;
    h->counts[(floor_div(s->time, NSEC_PER_SEC) - h->first) / h->step][s->severity]++;
    return 0;
}

struct run {           /* rows of one bucket that follow each other */
    int64_t from, end; /* ns; from > end: none yet */
    uint64_t *counts;
};

static void find_run(const struct histogram *h, int64_t t, struct run *r)
{
    int64_t bucket = (floor_div(t, NSEC_PER_SEC) - h->first) / h->step;
    r->counts = h->counts[bucket];
    if (__builtin_mul_overflow(h->first + bucket * h->step, NSEC_PER_SEC, &r->from) ||
        __builtin_add_overflow(r->from, h->step * NSEC_PER_SEC, &r->end))
        r->from = r->end = t;
}

/* All events of a block, which stand in order of time: 64 at once where they are of one bucket. */
static void count_words(const struct histogram *h, const int64_t *time, const int64_t *severity, size_t n,
                        const uint64_t *bits)
{
    struct run r = {1, 0, NULL};
    for (size_t w = 0; w < bit_words(n); w++) {
        size_t at = w * 64, end = at + 64 <= n ? at + 64 : n;
        if (bits[w] == UINT64_MAX && time[at] >= r.from && time[end - 1] < r.end && time[at] <= time[end - 1]) {
            bool sorted = true;
            for (size_t i = at + 1; i < end; i++)
                sorted &= time[i - 1] <= time[i];
            for (size_t i = at; sorted && i < end; i++)
                r.counts[(uint64_t)severity[i] % LEVELS]++;
            if (sorted)
                continue;
        }
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            size_t i = at + (size_t)__builtin_ctzll(left);
            if (time[i] < r.from || time[i] >= r.end)
                find_run(h, time[i], &r);
            r.counts[(uint64_t)severity[i] % LEVELS]++;
        }
    }
}

static bool in_one_bucket(const struct histogram *h, const struct block *b, struct run *r)
{
    find_run(h, b->head->t_min, r);
    return b->head->t_max < r->end;
}

static uint64_t bucket_of(const struct histogram *h, const struct minutes *m, size_t i)
{
    return (uint64_t)(((m->first + m->p[i].at) * 60 - h->first) / h->step);
}

/* All events of a block, by what it says of its minutes. False: it does not, or buckets are no whole minutes. */
static bool count_minutes(const struct histogram *h, struct block *b)
{
    struct minutes m;
    if (h->step % 60 || !block_minutes(b, &m))
        return false;
    if (m.first * 60 < h->first || bucket_of(h, &m, m.n - 1) >= h->n) /* never, but in a forged block */
        return false;
    for (size_t i = 0; i < m.n; i++) {
        h->counts[bucket_of(h, &m, i)][m.p[i].severity] += m.p[i].events;
    }
    return true;
}

static void look(const void *arg, struct block *b, bool all)
{
    struct run ignored;
    struct minutes m;
    struct err later;
    const struct histogram *h = arg;
    if (all && (in_one_bucket(h, b, &ignored) || (h->step % 60 == 0 && block_minutes(b, &m))))
        return;
    if (block_column(b, SYSTEM_TIME, &later))
        (void)!block_column(b, SYSTEM_SEVERITY, &later);
}

static int count_bits(void *arg, struct scan *s, const uint64_t *bits, struct err *damage, struct err *e)
{
    struct histogram *h = arg;
    const struct block_head *head = s->block->head;
    struct run r;
    bool all = bits_count(bits, bit_words(head->events)) == head->events;
    (void)e;
    if (all && in_one_bucket(h, s->block, &r)) {
        for (int level = 1; level < LEVELS; level++)
            r.counts[level] += head->by_level[level];
        return 1;
    }
    if (all && count_minutes(h, s->block))
        return 1;
    const struct column *time = block_column(s->block, SYSTEM_TIME, damage);
    const struct column *severity = time ? block_column(s->block, SYSTEM_SEVERITY, damage) : NULL;
    if (!severity)
        return 2;
    count_words(h, time->numbers, severity->numbers, time->n, bits);
    return 1;
}

static void print_levels(const uint64_t counts[LEVELS], struct buf *out)
{
    bool first = true;
    for (int s = 1; s < LEVELS;) { /* severities of one name are one level */
        str name = level_name(s);
        uint64_t n = 0;
        for (; s < LEVELS && str_eq(level_name(s), name); s++)
            n += counts[s];
        if (n == 0)
            continue;
        buf_printf(out, "%s\"%.*s\":%llu", first ? "" : ",", STR_ARG(name), (unsigned long long)n);
        first = false;
    }
}

static void print_bucket(const struct histogram *h, uint64_t i, struct buf *out)
{
    char time[TIME_TEXT_MAX];
    uint64_t total = 0;
    int64_t start = h->first + (int64_t)i * h->step;
    for (int s = 0; s < LEVELS; s++)
        total += h->counts[i][s];
    if (start < INT64_MIN / NSEC_PER_SEC) /* before nanoseconds can tell */
        start = INT64_MIN / NSEC_PER_SEC;
    size_t n = time_print(start * NSEC_PER_SEC, 0, time);
    buf_printf(out, "%s{\"time\":\"%.*s\",\"total\":%llu,\"levels\":{", i ? "," : "", (int)n, time,
               (unsigned long long)total);
    print_levels(h->counts[i], out);
    buf_lit(out, "}}");
}

int query_histogram(const struct query *q, struct store_view *v, const struct query_options *o, uint32_t buckets,
                    struct buf *out, struct err *e)
{
    struct histogram h = {.step = 1};
    if (buckets < 1 || buckets > 10000)
        return err_set(e, ERR_INPUT, "buckets: expected a number from 1 to 10000, got %u", buckets);
    if (o->from >= o->to)
        return err_set(e, ERR_INPUT, "expected `from` before `to`");
    choose_step(&h, o->from, o->to, buckets);
    h.counts = xcalloc(h.n, sizeof *h.counts);
    struct scan *s = scan_new(q, v, o);
    lead_init(&h.lead, q, s, false);
    s->arg = &h;
    s->take = count;
    s->take_bits = h.lead.from == h.lead.to ? count_bits : NULL;
    s->look = h.lead.from == h.lead.to ? look : NULL;
    int rc = scan_run(s, e);
    if (rc == 0) {
        buf_printf(out, "{\"step_s\":%lld,\"buckets\":[", (long long)h.step);
        for (uint64_t i = 0; i < h.n; i++)
            print_bucket(&h, i, out);
        buf_str(out, s->partial ? S("],\"partial\":true}") : S("],\"partial\":false}"));
    }
    scan_free(s);
    free(h.counts);
    return rc;
}
