/* store/forecast.c - retention told before it happens: what is kept of each app, what goes next, and when.
 *
 * By days it is certain. By bytes it is so as to what goes, and at which size; when that is, is told by the pace at which
 * bytes came in the last day. All is counted from the blocks in memory when somebody asks: nothing is read. */
#include "base/clock.h"
#include "base/str.h"
#include "store/internal.h"

#define DAY (86400 * USEC_PER_SEC)

struct pace { /* bytes that came within the last day, and since when there are any */
    uint64_t bytes;
    usec first;
};

static void pace_add(struct pace *p, const struct store_block *b, uint64_t bytes, usec now)
{
    p->bytes += b->recv_max > now - DAY ? bytes : 0;
    p->first = !p->first || b->recv_min < p->first ? b->recv_min : p->first;
}

/* Pace that is measured over less than a minute is none. */
static usec pace_expected(const struct pace *p, uint64_t left, usec now)
{
    usec over = now - p->first < DAY ? now - p->first : DAY;
    over = over < 60 * USEC_PER_SEC ? 60 * USEC_PER_SEC : over;
    double in = p->bytes ? (double)left / (double)p->bytes * (double)over : 0;
    return p->bytes && in < 36500.0 * (double)DAY ? now + (usec)in : 0;
}

/* ---- each app ---- */

struct telling {
    struct store_kept *kept;
    struct pace pace;
    nsec last; /* t_max of the block in by_size: the oldest so far, as retention sees it */
};

static void by_days(struct store_kept *k, const struct segment_block *b)
{
    usec goes = b->info.t_max / NSEC_PER_USEC + k->keep;
    if (k->keep && (!k->next || goes < k->next))
        k->next = goes;
}

static void by_size(struct telling *t, const struct segment_block *b)
{
    struct store_next *next = &t->kept->by_size;
    if (!t->kept->keep_bytes || (next->events && b->info.t_max >= t->last))
        return;
    t->last = b->info.t_max;
    *next = (struct store_next){
        .events = b->info.events, .bytes = b->bytes, .from = b->info.t_min, .to = b->info.t_max};
}

static void tell_block(struct telling *t, const struct segment_block *b, usec now)
{
    struct store_kept *k = t->kept;
    if (b->due) {
        k->due_events += b->info.events;
        k->due_bytes += b->bytes;
        return;
    }
    k->events += b->info.events;
    k->bytes += b->bytes;
    k->oldest = b->info.t_min < k->oldest ? b->info.t_min : k->oldest;
    pace_add(&t->pace, &b->info, b->bytes, now);
    by_days(k, b);
    by_size(t, b);
}

static void tell_next_day(struct store_kept *k, const struct segment_block *b)
{
    if (!b->due && k->next && b->info.t_max / NSEC_PER_USEC + k->keep < k->next + DAY)
        k->next_events += b->info.events;
}

static void tell_size(struct telling *t, usec now)
{
    struct store_kept *k = t->kept;
    k->by_size.left = k->keep_bytes > k->bytes ? k->keep_bytes - k->bytes : 0;
    k->by_size.expected = pace_expected(&t->pace, k->by_size.left, now);
}

size_t store_kept(struct store *s, struct store_kept **ret)
{
    usec now = clock_now();
    pthread_mutex_lock(&s->lock);
    size_t n = s->keeps_n;
    struct store_kept *k = *ret = xcalloc(n + 1, sizeof *k);
    struct telling *t = xcalloc(n + 1, sizeof *t);
    for (size_t i = 0; i < n; i++) {
        k[i] = (struct store_kept){
            .app = s->keeps[i].app, .keep = s->keeps[i].keep, .keep_bytes = s->keeps[i].bytes, .oldest = INT64_MAX};
        t[i].kept = &k[i];
    }
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < s->segments_n; i++)
            for (size_t j = 0; j < s->segments[i]->n; j++) {
                const struct segment_block *b = &s->segments[i]->blocks[j];
                const struct app_keep *a = keep_of(s, b->info.app);
                if (a && pass == 0)
                    tell_block(&t[a - s->keeps], b, now);
                else if (a)
                    tell_next_day(&k[a - s->keeps], b);
            }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < n; i++)
        if (k[i].keep_bytes)
            tell_size(&t[i], now);
    free(t);
    return n;
}

/* ---- all of them ---- */

static struct store_next of_segment(const struct segment *seg)
{
    struct store_next next = {.bytes = seg->bytes, .from = INT64_MAX, .to = INT64_MIN};
    for (size_t i = 0; i < seg->n; i++)
        if (!seg->blocks[i].due) {
            const struct store_block *b = &seg->blocks[i].info;
            next.events += b->events;
            next.from = b->t_min < next.from ? b->t_min : next.from;
            next.to = b->t_max > next.to ? b->t_max : next.to;
        }
    return next;
}

bool store_next(struct store *s, struct store_next *ret)
{
    usec now = clock_now();
    struct pace pace = {0};
    uint64_t used = 0;
    pthread_mutex_lock(&s->lock);
    uint64_t limit = s->conf.keep_bytes;
    const struct segment *oldest = NULL;
    for (size_t i = 0; i < s->segments_n; i++) {
        const struct segment *seg = s->segments[i];
        used += seg->bytes;
        oldest = oldest || seg->merging ? oldest : seg;
        for (size_t k = 0; k < seg->n; k++)
            pace_add(&pace, &seg->blocks[k].info, seg->blocks[k].bytes, now);
    }
    if (limit && oldest)
        *ret = of_segment(oldest);
    pthread_mutex_unlock(&s->lock);
    if (!limit || !oldest || !ret->events)
        return false;
    ret->left = limit > used ? limit - used : 0;
    ret->expected = pace_expected(&pace, ret->left, now);
    return true;
}
