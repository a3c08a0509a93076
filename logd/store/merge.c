/* store/merge.c - segments of a closed day, and many small ones, become one: full blocks, packed harder.
 *
 * A thread of its own, so that sealing and queries never wait for it. It takes segments that follow each other, reads
 * their blocks app by app in the order of time, and writes a segment for the whole range of records; then it swaps one
 * for the others under the lock. Lines of a block that is past its retention are left out.
 *
 * Which: a segment of which a quarter is past its retention; a run of one closed UTC day (of reception; closed when the head cannot hold any of it), of at least two
 * segments, or of one that was packed as sealed; or a run of SMALL_RUN small ones. Not what the archive has not shipped
 * yet: it knows segments by their ranges. Not a segment with a damaged block: what may still be rescued from it by hand
 * would be gone.
 *
 * Crash: the new segment is durable under its name before the old ones go; at start the ones it covers are dropped.
 * Memory: a block is loaded when the merge has come to its first time and goes after its last one, so it depends on how
 * far blocks of one app overlap in time; a run is cut where that would be more than a sixteenth of the server's memory. Then the
 * writer's. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "event/event.h"
#include "store/internal.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

enum { SMALL_BYTES = 4 << 20, SMALL_RUN = 32, RUN_MAX = 256 };
#define FILE_BYTES_MAX (4ull << 30)
#define GRACE (10 * 60 * USEC_PER_SEC)
#define WAIT (5 * USEC_PER_SEC)
#define WAIT_FAILED (60 * USEC_PER_SEC)

struct source { /* a block to be merged */
    const struct segment *segment;
    size_t index, order; /* of the block in its segment, of the segment in the run */
};
struct loaded {
    struct source from;
    struct buf text;
    str rest, line; /* what follows the line; the line with its \n */
    nsec time;
    int severity;
};
struct merge {
    struct segment *run[RUN_MAX]; /* with references */
    size_t n;
    struct source *blocks; /* those that are kept, by app and time */
    size_t blocks_n, next;
    uint64_t events, bytes; /* of the kept blocks; of the files */
    struct segment_writer *writer;
    struct loaded **active;
    size_t active_n;
    struct buf text;
    struct store_block info; /* of what is in text */
};

static const struct store_block *info_of(const struct source *b) { return &b->segment->blocks[b->index].info; }
static uint64_t raw_of(const struct source *b) { return b->segment->blocks[b->index].head->raw; }
static int64_t day_of(usec t) { return t / (86400 * USEC_PER_SEC); }

/* ---- which ---- */

static int by_app_and_time(const void *va, const void *vb)
{
    const struct source *a = va, *b = vb;
    const struct store_block *x = info_of(a), *y = info_of(b);
    if (x->app != y->app)
        return x->app < y->app ? -1 : 1;
    if (x->t_min != y->t_min)
        return x->t_min < y->t_min ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Under the lock. */
static void list_blocks(struct merge *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        n += m->run[i]->n;
    m->blocks = xrealloc(m->blocks, (n + 1) * sizeof *m->blocks);
    m->blocks_n = m->events = m->bytes = 0;
    for (size_t i = 0; i < m->n; i++) {
        m->bytes += m->run[i]->bytes;
        for (size_t k = 0; k < m->run[i]->n; k++) {
            if (m->run[i]->blocks[k].due)
                continue;
            m->blocks[m->blocks_n++] = (struct source){m->run[i], k, i};
            m->events += m->run[i]->blocks[k].info.events;
        }
    }
    if (m->blocks_n)
        qsort(m->blocks, m->blocks_n, sizeof *m->blocks, by_app_and_time);
}

/* The most that is loaded at one time. */
static uint64_t peak(const struct merge *m)
{
    uint64_t most = 0;
    for (size_t i = 0; i < m->blocks_n; i++) {
        uint64_t now = 0;
        for (size_t k = i + 1; k-- > 0;) {
            const struct store_block *a = info_of(&m->blocks[k]), *b = info_of(&m->blocks[i]);
            if (a->app != b->app || i - k > 4 * RUN_MAX)
                break;
            now += a->t_max >= b->t_min ? raw_of(&m->blocks[k]) : 0;
        }
        most = now > most ? now : most;
    }
    return most;
}

/* Does seg belong to the run that starts with `first`? */
static bool goes_with(const struct store *s, const struct segment *first, const struct segment *seg, bool closed)
{
    if (seg->last_seq > s->archived || seg->unmergeable)
        return false;
    return closed ? day_of(seg->recv_max) == day_of(first->recv_max)
                  : seg->bytes < SMALL_BYTES && day_of(seg->recv_max) >= day_of(first->recv_max);
}

static bool is_wasteful(const struct segment *seg) { return seg->due_bytes * 4 > seg->bytes; }

static bool worth_it(const struct merge *m, bool closed)
{
    if (m->n == 1)
        return (closed && m->run[0]->level < MERGE_LEVEL) || is_wasteful(m->run[0]);
    return closed || m->n >= SMALL_RUN;
}

static void drop_behind(struct merge *m, size_t keep)
{
    while (m->n > keep)
        segment_unref(m->run[--m->n]);
}

/* The longest run from segment i on that may be merged. Under the lock. */
static void take_run(struct store *s, size_t i, struct merge *m)
{
    const struct segment *first = s->segments[i];
    uint64_t bytes = 0;
    bool closed = day_of(first->recv_max) < day_of(clock_now() - s->conf.head_age - GRACE);
    for (m->n = 0; i < s->segments_n && m->n < RUN_MAX; i++) {
        struct segment *seg = s->segments[i];
        bytes += seg->bytes;
        if (!goes_with(s, first, seg, closed) || (m->n && bytes > FILE_BYTES_MAX))
            break;
        atomic_fetch_add(&seg->refs, 1);
        m->run[m->n++] = seg;
    }
    if (m->n && !worth_it(m, closed) && is_wasteful(first))
        drop_behind(m, 1);
    bool worth = m->n > 0 && worth_it(m, closed);
    if (worth)
        list_blocks(m);
    while (worth && m->n > 1 && peak(m) > s->conf.memory / 16) {
        drop_behind(m, (m->n + 1) / 2);
        list_blocks(m);
        worth = worth_it(m, closed);
    }
    if (!worth || m->blocks_n == 0)
        drop_behind(m, 0);
}

/* False: there is nothing to do. Under the lock. */
static bool choose(struct store *s, struct merge *m)
{
    for (size_t i = 0; i < s->segments_n; i++) {
        take_run(s, i, m);
        for (size_t k = 0; k < m->n; k++)
            m->run[k]->merging = true;
        if (m->n)
            return true;
    }
    return false;
}

/* ---- reading ---- */

static bool next_line(struct loaded *l)
{
    while (l->rest.n) {
        const char *from = l->rest.p;
        str line = str_cut(&l->rest, '\n');
        if (event_peek(line, &l->time, &l->severity)) {
            l->line = str_n(from, line.n + 1);
            return true;
        }
    }
    return false;
}

static void unload(struct merge *m, struct loaded *l)
{
    for (size_t i = 0; i < m->active_n; i++)
        if (m->active[i] == l)
            m->active[i] = m->active[--m->active_n];
    buf_done(&l->text);
    free(l);
}

static int load(struct merge *m, struct err *e)
{
    struct loaded *l = xcalloc(1, sizeof *l);
    l->from = m->blocks[m->next++];
    buf_init(&l->text, 2 * BLOCK_RAW_MAX);
    m->active[m->active_n++] = l;
    if (segment_lines(l->from.segment, l->from.index, &l->text, &l->rest, e) < 0) {
        if (e->kind == ERR_CORRUPT)
            m->run[l->from.order]->unmergeable = true;
        return -1;
    }
    if (!next_line(l))
        unload(m, l);
    return 0;
}

/* Of equal times the one that was received first. */
static struct loaded *earliest(const struct merge *m)
{
    struct loaded *best = NULL;
    for (size_t i = 0; i < m->active_n; i++) {
        struct loaded *l = m->active[i];
        if (!best || l->time < best->time || (l->time == best->time && l->from.order < best->from.order))
            best = l;
    }
    return best;
}

/* ---- writing ---- */

static void begin_block(struct merge *m, uint32_t app)
{
    buf_reset(&m->text);
    m->info = (struct store_block){
        .t_min = INT64_MAX, .t_max = INT64_MIN, .recv_min = INT64_MAX, .seq_min = UINT64_MAX, .app = app};
}

/* Also tells how far it is, and hears whether to go on. */
static int end_block(struct store *s, struct merge *m, struct err *e)
{
    if (!m->info.events)
        return 0;
    if (segment_add(m->writer, buf_view(&m->text), &m->info, e) < 0)
        return -1;
    pthread_mutex_lock(&s->lock);
    s->merge.done += m->info.events;
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    begin_block(m, m->info.app);
    return stopping ? err_set(e, ERR_GONE, "the server stops") : 0;
}

static int add_line(struct store *s, struct merge *m, const struct loaded *l, struct err *e)
{
    const struct store_block *from = info_of(&l->from);
    struct store_block one = {.t_min = l->time,
                              .t_max = l->time,
                              .recv_min = INT64_MAX,
                              .events = 1,
                              .seq_min = from->seq_min,
                              .seq_max = from->seq_max};
    usec recv;
    uint32_t row;
    if (block_ends(&m->info, m->text.n + l->line.n, l->time) && end_block(s, m, e) < 0)
        return -1;
    if (event_id_parse(str_head(str_skip(l->line, sizeof "{\"id\":\"" - 1), EVENT_ID_LEN), &recv, &row))
        one.recv_min = one.recv_max = recv;
    block_widen(&m->info, &one);
    m->info.levels |= 1u << l->severity;
    buf_str(&m->text, l->line);
    return 0;
}

/* The blocks of one app, from m->next on. */
static int merge_app(struct store *s, struct merge *m, struct err *e)
{
    uint32_t app = info_of(&m->blocks[m->next])->app;
    begin_block(m, app);
    for (;;) {
        const struct source *next = m->next < m->blocks_n ? &m->blocks[m->next] : NULL;
        struct loaded *l = earliest(m);
        if (next && info_of(next)->app == app && (!l || info_of(next)->t_min <= l->time)) {
            if (load(m, e) < 0)
                return -1;
        } else if (!l) {
            return end_block(s, m, e);
        } else if (add_line(s, m, l, e) < 0) {
            return -1;
        } else if (!next_line(l)) {
            unload(m, l);
        }
    }
}

static int has_room(const struct store *s, const struct merge *m, struct err *e)
{
    uint64_t free_bytes, total, want = m->bytes + s->conf.reserve_bytes;
    if (disk_free(s->conf.dir, &free_bytes, &total, e) < 0)
        return -1;
    return free_bytes >= want ? 0
                              : err_set(e, ERR_FULL, "%llu bytes are free, and %llu are needed",
                                        (unsigned long long)free_bytes, (unsigned long long)want);
}

static int write_merged(struct store *s, struct merge *m, struct segment **ret, struct err *e)
{
    if (has_room(s, m, e) < 0 ||
        segment_create(s->conf.dir, m->run[0]->first_seq, m->run[m->n - 1]->last_seq, MERGE_LEVEL, &m->writer, e) < 0)
        return -1;
    m->active = xmalloc((m->blocks_n + 1) * sizeof *m->active);
    buf_init(&m->text, 2 * BLOCK_RAW_MAX);
    int rc = 0;
    while (rc == 0 && m->next < m->blocks_n)
        rc = merge_app(s, m, e);
    if (rc == 0)
        rc = segment_finish(m->writer, ret, e);
    else
        segment_abort(m->writer);
    while (m->active_n)
        unload(m, m->active[0]);
    free(m->active);
    buf_done(&m->text);
    return rc;
}

/* One for the others, which go with their last view. Under the lock. */
static void swap(struct store *s, struct merge *m, struct segment *merged)
{
    size_t i = 0;
    while (s->segments[i] != m->run[0])
        i++;
    s->segments[i] = merged;
    merged->keep_left = &s->keep_left;
    memmove(s->segments + i + 1, s->segments + i + m->n, (s->segments_n - i - m->n) * sizeof *s->segments);
    s->segments_n -= m->n - 1;
    for (size_t k = 0; k < m->n; k++) {
        m->run[k]->doomed = strcmp(m->run[k]->path, merged->path) != 0; /* its own name is taken over */
        segment_unref(m->run[k]);
    }
}

static void say(const struct merge *m, const struct segment *merged, usec took)
{
    log_info("store",
             "what=\"segments merged\" path=%s segments=%zu events=%llu left_out=%llu bytes=%llu were=%llu ms=%lld",
             merged->path, m->n, (unsigned long long)merged->events, (unsigned long long)(m->events - merged->events),
             (unsigned long long)merged->bytes, (unsigned long long)m->bytes, (long long)(took / 1000));
}

/* Entered and left under the lock; released meanwhile. */
static int merge_run(struct store *s, struct merge *m, struct err *e)
{
    struct segment *merged;
    usec began = clock_mono();
    s->merge.running = true;
    s->merge.done = 0;
    s->merge.total = m->events;
    s->merge.sources = m->n;
    pthread_mutex_unlock(&s->lock);
    int rc = write_merged(s, m, &merged, e);
    if (rc == 0)
        say(m, merged, clock_mono() - began);
    else if (e->kind != ERR_GONE)
        log_error("store", "what=\"cannot merge segments, they stay as they are\" why=\"%s\"", e->text);
    pthread_mutex_lock(&s->lock);
    if (rc == 0)
        swap(s, m, merged);
    s->merge.running = false;
    s->merge.merges += rc == 0;
    s->merge.failures += rc < 0 && e->kind != ERR_GONE;
    for (size_t i = 0; i < m->n; i++)
        m->run[i]->merging = false;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < m->n; i++) /* this removes the files, unless a view is still open */
        segment_unref(m->run[i]);
    free(m->blocks);
    (void)malloc_trim(0); /* what it took is not needed for hours */
    pthread_mutex_lock(&s->lock);
    return rc;
}

void *merge_main(void *arg)
{
    struct store *s = arg;
    usec again = 0;
    pthread_setname_np(pthread_self(), "merge");
    (void)!nice(10);
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        struct merge *m = xcalloc(1, sizeof *m);
        struct err e = {0};
        if ((clock_mono() >= again || s->merge_now) && choose(s, m)) {
            int rc = merge_run(s, m, &e);
            again = rc < 0 && e.kind != ERR_CORRUPT ? clock_mono() + WAIT_FAILED : 0;
            s->merge_error = e;
            if (rc < 0) {
                s->merge_now = false;
                pthread_cond_broadcast(&s->changed);
            }
            free(m);
            continue;
        }
        free(m->blocks);
        free(m);
        s->merge_now = false;
        pthread_cond_broadcast(&s->changed);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += WAIT / USEC_PER_SEC;
        while (!s->stopping && !s->merge_now && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
            ;
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int store_merge(struct store *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    s->merge_error = (struct err){0};
    s->merge_now = true;
    pthread_cond_broadcast(&s->changed);
    while (s->merge_now && !s->stopping)
        pthread_cond_wait(&s->changed, &s->lock);
    *e = s->merge_error;
    pthread_mutex_unlock(&s->lock);
    return e->kind ? -1 : 0;
}

void store_archived(struct store *s, uint64_t seq)
{
    pthread_mutex_lock(&s->lock);
    s->archived = seq;
    pthread_mutex_unlock(&s->lock);
}

size_t store_segments(struct store *s, struct segment ***ret)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->segments_n;
    *ret = xcalloc(n + 1, sizeof **ret);
    for (size_t i = 0; i < n; i++) {
        (*ret)[i] = s->segments[i];
        atomic_fetch_add(&s->segments[i]->refs, 1);
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}
