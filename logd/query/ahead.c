#include "query/ahead.h"

#include "base/clock.h"

#include <pthread.h>
#include <sys/sysinfo.h>

enum { KEEP = 4 << 20, SLOTS = 4, ALONE = 3 }; /* a scan that ends within ALONE blocks starts no thread */

enum state { BUSY, READY };
struct slot {
    struct looked looked;
    enum state state; /* under the lock */
};
struct ahead {
    const struct scan *scan;
    const size_t *blocks;
    size_t n;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t begun, given; /* under the lock: blocks that were begun, and asked for */
    _Atomic bool stopping;
    struct slot slots[SLOTS]; /* block i is in slot i % SLOTS */
};

struct ahead *ahead_new(const struct scan *s, const size_t *blocks, size_t n)
{
    struct ahead *a = xcalloc(1, sizeof *a);
    a->scan = s;
    a->blocks = blocks;
    a->n = n;
    for (size_t i = 0; i < SLOTS; i++)
        a->slots[i].looked.block_a.keep = a->slots[i].looked.match_a.keep = KEEP;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    return a;
}

void ahead_free(struct ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    if (a->running)
        pthread_join(a->thread, NULL);
    for (size_t i = 0; i < SLOTS; i++) {
        arena_done(&a->slots[i].looked.block_a);
        arena_done(&a->slots[i].looked.match_a);
    }
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* ---- looking ---- */

static bool stop(void *ahead)
{
    struct ahead *a = ahead;
    const struct scan *s = a->scan;
    return a->stopping || (s->cancel && *s->cancel) || (s->deadline && clock_mono() >= s->deadline);
}

/* The events within from..to. */
static int bits_of_time(const struct scan *s, const struct store_block *b, struct looked *l)
{
    size_t n = b->events;
    if (b->t_min >= s->from && b->t_max < s->to) {
        memset(l->bits, 0xff, n / 64 * sizeof *l->bits);
        if (n % 64)
            l->bits[n / 64] = (1ull << n % 64) - 1;
        return 0;
    }
    const struct column *c = block_column(&l->block, SYSTEM_TIME, &l->why);
    if (!c)
        return -1;
    for (size_t i = 0; i < n; i++)
        l->bits[i / 64] |= (uint64_t)(c->numbers[i] >= s->from && c->numbers[i] < s->to) << i % 64;
    return 0;
}

static enum look look_at_columns(struct ahead *a, const struct store_block *b, size_t index, struct looked *l)
{
    const struct scan *s = a->scan;
    size_t words = bit_words(b->events);
    l->bits = arena_zero(&l->match_a, words * sizeof *l->bits);
    if (bits_of_time(s, b, l) < 0)
        return LOOK_DAMAGED;
    for (size_t i = 0; i < s->filters_n; i++) {
        if (filter_outlook(s->filters[i], b->levels, b->t_min, b->t_max) == OUTLOOK_YES)
            continue;
        if (columns_match(s->prepared[i], &l->block, index, l->bits, &l->match_a, stop, a, &l->why) < 0)
            return LOOK_DAMAGED;
        if (!bits_any(l->bits, words))
            return LOOK_NOTHING;
    }
    if (s->look)
        s->look(s->arg, &l->block, bits_count(l->bits, words) == b->events);
    return LOOK_BITS;
}

static void read_block(struct ahead *a, struct looked *l)
{
    size_t index;
    arena_reset(&l->block_a);
    arena_reset(&l->match_a);
    l->look = LOOK_LINES;
    if (store_view_columns(a->scan->view, l->index, &l->block_a, &l->block, &index))
        l->look = look_at_columns(a, store_view_block(a->scan->view, l->index), index, l);
}

static void look(struct ahead *a, struct looked *l)
{
    if (scan_takes_whole(a->scan, store_view_block(a->scan->view, l->index)))
        l->look = LOOK_WHOLE;
    else
        read_block(a, l);
}

void ahead_read(struct ahead *a, struct looked *l) { read_block(a, l); }

/* ---- who looks at what ---- */

/* Under the lock: begins the next block, if its slot is free. What was given last is still in use. */
static struct slot *begin(struct ahead *a)
{
    if (a->begun == a->n || a->begun >= a->given + SLOTS)
        return NULL;
    struct slot *slot = &a->slots[a->begun % SLOTS];
    slot->looked.index = a->blocks[a->begun++];
    slot->state = BUSY;
    return slot;
}

static void finish(struct ahead *a, struct slot *slot)
{
    pthread_mutex_unlock(&a->lock);
    look(a, &slot->looked);
    pthread_mutex_lock(&a->lock);
    slot->state = READY;
    pthread_cond_broadcast(&a->changed);
}

static void *run(void *arg)
{
    struct ahead *a = arg;
    pthread_setname_np(pthread_self(), "query-ahead");
    pthread_mutex_lock(&a->lock);
    while (!a->stopping && a->begun < a->n) {
        struct slot *slot = begin(a);
        if (slot)
            finish(a, slot);
        else
            pthread_cond_wait(&a->changed, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

struct looked *ahead_next(struct ahead *a, size_t i)
{
    struct slot *wanted = &a->slots[i % SLOTS], *slot;
    pthread_mutex_lock(&a->lock);
    a->given = i;
    if (i == ALONE && i + 1 < a->n && get_nprocs() > 1)
        a->running = pthread_create(&a->thread, NULL, run, a) == 0;
    pthread_cond_broadcast(&a->changed);
    while (a->begun <= i || wanted->state != READY) {
        if ((a->running || a->begun <= i) && (slot = begin(a)))
            finish(a, slot);
        else
            pthread_cond_wait(&a->changed, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return &wanted->looked;
}
