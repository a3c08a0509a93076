/* store/retain.c - what is past its time, or too much, goes.
 *
 * By days and bytes of each app, exact to the block: one whose newest event is too old, or that lies behind as many bytes
 * of its app as may be kept, is due. No view sees it from then on; its bytes go with the next merge (merge.c), and a
 * segment goes whole when all of it is due. By bytes of all segments: the oldest segment, while there are too many.
 * Nothing is remembered: what is due follows from the files, the clock and the config, each time anew. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "store/internal.h"

#include <unistd.h>

#define EVERY (5 * USEC_PER_SEC)

/* ---- how long is what kept ---- */

struct app_keep *keep_of(struct store *s, uint32_t app)
{
    for (size_t i = 0; i < s->keeps_n; i++)
        if (s->keeps[i].app == app)
            return &s->keeps[i];
    return NULL;
}

static void learn_apps(struct store *s)
{
    for (size_t i = 0; i < s->segments_n; i++)
        for (size_t k = 0; k < s->segments[i]->n; k++) {
            uint32_t app = s->segments[i]->blocks[k].info.app;
            if (keep_of(s, app))
                continue;
            s->keeps = xrealloc(s->keeps, (s->keeps_n + 1) * sizeof *s->keeps);
            s->keeps[s->keeps_n++] = (struct app_keep){.app = app};
        }
}

/* Asks without the lock: whoever knows the apps has locks of his own. Only this thread changes the list. */
static void ask(struct store *s)
{
    usec keep = s->conf.keep;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->keeps_n; i++) {
        usec days = keep;
        uint64_t bytes = 0;
        if (s->conf.keep_of)
            s->conf.keep_of(s->keeps[i].app, &days, &bytes, s->conf.arg);
        pthread_mutex_lock(&s->lock);
        s->keeps[i].keep = days;
        s->keeps[i].bytes = bytes;
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_lock(&s->lock);
}

/* ---- what is due ---- */

struct place {
    struct segment *segment;
    struct segment_block *block;
};

static int newest_first(const void *va, const void *vb)
{
    const struct place *a = va, *b = vb;
    nsec x = a->block->info.t_max, y = b->block->info.t_max;
    if (x != y)
        return x > y ? -1 : 1;
    return (a->block->info.seq_max < b->block->info.seq_max) - (a->block->info.seq_max > b->block->info.seq_max);
}

static void mark(struct segment *seg, struct segment_block *b)
{
    b->due = true;
    seg->due_bytes += b->bytes;
    seg->due_blocks++;
}

static void mark_old(struct store *s)
{
    usec now = clock_now();
    for (size_t i = 0; i < s->segments_n; i++) {
        struct segment *seg = s->segments[i];
        seg->due_bytes = seg->due_blocks = 0;
        for (size_t k = 0; k < seg->n; k++) {
            const struct app_keep *a = keep_of(s, seg->blocks[k].info.app);
            seg->blocks[k].due = false;
            if (a && a->keep && seg->blocks[k].info.t_max < (now - a->keep) * NSEC_PER_USEC)
                mark(seg, &seg->blocks[k]);
        }
    }
}

static void mark_behind(struct store *s, const struct app_keep *a)
{
    struct place *places = NULL;
    size_t n = 0, cap = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->segments_n; i++)
        for (size_t k = 0; k < s->segments[i]->n; k++) {
            struct segment_block *b = &s->segments[i]->blocks[k];
            if (b->info.app != a->app || b->due)
                continue;
            if (n == cap)
                places = xrealloc(places, (cap = cap ? 2 * cap : 64) * sizeof *places);
            places[n++] = (struct place){s->segments[i], b};
        }
    if (n)
        qsort(places, n, sizeof *places, newest_first);
    for (size_t i = 0; i < n; i++)
        if ((bytes += places[i].block->bytes) > a->bytes)
            mark(places[i].segment, places[i].block);
    free(places);
}

/* ---- what goes ---- */

/* The position survives the segment that held it. */
static int remember_position(struct store *s, uint64_t seq)
{
    struct err e;
    char text[32];
    int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)seq);
    int dir = dir_open(s->conf.dir, &e);
    int rc = dir < 0 ? -1 : file_replace(dir, "sealed", str_n(text, (size_t)n), 0640, &e);
    if (rc < 0)
        log_error("store", "what=\"cannot note the position, so the newest segment stays\" why=\"%s\"", e.text);
    if (dir >= 0)
        close(dir);
    return rc;
}

/* Takes a segment of which all is due, or the oldest while they are too many, off the list; NULL: none. */
static struct segment *take_due(struct store *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->segments_n; i++)
        bytes += s->segments[i]->bytes;
    bool too_many = s->conf.keep_bytes && bytes > s->conf.keep_bytes;
    for (size_t i = 0; i < s->segments_n; i++) {
        struct segment *seg = s->segments[i];
        if (seg->merging || (seg->due_blocks < seg->n && !too_many))
            continue;
        memmove(s->segments + i, s->segments + i + 1, (--s->segments_n - i) * sizeof *s->segments);
        return seg;
    }
    return NULL;
}

static void remove_due(struct store *s)
{
    struct segment *seg;
    while ((seg = take_due(s))) {
        bool newest = seg->last_seq == s->sealed_seq;
        s->removed++;
        pthread_mutex_unlock(&s->lock);
        bool goes = !newest || remember_position(s, seg->last_seq) == 0;
        seg->doomed = goes;
        if (goes)
            log_info("store", "what=\"segment removed by retention\" path=%s events=%llu", seg->path,
                     (unsigned long long)seg->events);
        if (goes)
            segment_unref(seg);
        pthread_mutex_lock(&s->lock);
        if (!goes) {
            segments_add(s, seg);
            s->removed--;
            return;
        }
    }
}

void retain(struct store *s)
{
    if (clock_mono() < s->retain_again && !s->retain_now)
        return;
    s->retain_now = false;
    s->retain_again = clock_mono() + EVERY;
    learn_apps(s);
    ask(s);
    mark_old(s);
    for (size_t i = 0; i < s->keeps_n; i++)
        if (s->keeps[i].bytes)
            mark_behind(s, &s->keeps[i]);
    remove_due(s);
}

void store_retention(struct store *s, usec keep, uint64_t keep_bytes)
{
    pthread_mutex_lock(&s->lock);
    s->conf.keep = keep;
    s->conf.keep_bytes = keep_bytes;
    s->retain_now = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}
