/* store/store.c - the head, the list of segments, views, opening.
 *
 * The head is a list of chunks, each an append-only run of lines of about 1 MiB; a view remembers how long a chunk was
 * when it was opened, so appending never disturbs it. Sealing (seal.c) swaps chunks for a segment under the lock: a view
 * sees the one or the other.
 *
 * On disk, step by step; a power failure between any two of them loses, doubles and halves nothing:
 *   seal    1  FIRST-LAST.seg.tmp is written           what is there after a crash goes at the start
 *           2  fdatasync of it
 *           3  rename to FIRST-LAST.seg                whole, or not there
 *           4  fsync of the folder
 *           5  store_sealed() = LAST                   only now may the journal let its files go
 *           A step that fails: the file goes, the chunks stay in the head and are sealed again later, together with
 *           what has come since. If the name has reached the disk all the same, the later segment covers it.
 *   start   1  *.tmp goes
 *           2  a segment whose records are all in another one's range is covered, and goes
 *           3  records behind the last segment come from the journal again
 *   merge   1-4 as seal, for the range of all that are merged (merge.c)
 *           5  the old ones are unlinked, when the last view has closed; if they are still there at the start, they are
 *              covered
 *   remove  1  when no segment is left to say it: `sealed` tells the position (file_replace: tmp, fsync, rename, fsync)
 *           2  unlink, when the last view has closed
 *
 * Lock order: only s->lock. It is held for list changes, never for I/O. */
#include "store/store.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "event/event.h"
#include "store/internal.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, HEAD_BYTES_MAX = 64 << 20 };
#define ANY_LEVEL UINT32_MAX

struct view_block {
    struct store_block info;
    struct chunk *chunk; /* or NULL: block `index` of segment */
    const struct segment *segment;
    size_t index, length;
};
struct store_view {
    struct store *store;
    size_t n, chunks_n, segments_n;
    struct view_block *blocks;
    struct chunk **chunks;
    struct segment **segments;
};

/* ---- the head ---- */
static void chunk_free(struct chunk *c)
{
    if (c)
        buf_done(&c->lines);
    free(c);
}

/* What was just written to costs nothing to write to again; fresh memory costs as much as all else that the head does. */
void chunk_unref(struct chunk *c)
{
    struct store *s = c->store;
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    atomic_fetch_sub(&s->head_memory, c->lines.max);
    free(c->marks);
    pthread_mutex_lock(&s->lock);
    if (c->lines.max == CHUNK_BYTES && !s->stopping) {
        c->next = s->spare;
        s->spare = c;
        s->spare_n++;
        c = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    chunk_free(c);
}

/* Under the lock. */
static struct buf spare_lines(struct store *s, size_t bytes)
{
    struct chunk *c = bytes == CHUNK_BYTES ? s->spare : NULL;
    struct buf lines = BUF_INIT(bytes);
    if (!c) {
        (void)buf_grow(&lines, bytes);
        return lines;
    }
    s->spare = c->next;
    s->spare_n--;
    s->spare_least = s->spare_n < s->spare_least ? s->spare_n : s->spare_least;
    lines = c->lines;
    free(c);
    buf_reset(&lines);
    return lines;
}

/* Once a second: those that nobody wanted meanwhile go. */
static void free_spares(struct store *s)
{
    size_t n = s->spare_least;
    for (size_t i = 0; i < n; i++) {
        struct chunk *c = s->spare;
        s->spare = c->next;
        chunk_free(c);
    }
    s->spare_least = s->spare_n -= n;
    if (n)
        (void)malloc_trim(0);
}

static struct chunk *chunk_new(struct store *s, size_t bytes)
{
    struct chunk *c = xcalloc(1, sizeof *c);
    c->refs = 1;
    c->born = clock_mono();
    c->info = (struct store_block){
        .t_min = INT64_MAX, .t_max = INT64_MIN, .recv_min = INT64_MAX, .levels = ANY_LEVEL, .seq_min = UINT64_MAX};
    c->lines = spare_lines(s, bytes);
    c->store = s;
    atomic_fetch_add(&s->head_memory, bytes);
    if (s->head_n == s->head_cap)
        s->head = xrealloc(s->head, (s->head_cap = s->head_cap ? s->head_cap * 2 : 64) * sizeof *s->head);
    s->head[s->head_n++] = c;
    return c;
}

void block_widen(struct store_block *a, const struct store_block *b)
{
    if (b->t_min < a->t_min)
        a->t_min = b->t_min;
    if (b->t_max > a->t_max)
        a->t_max = b->t_max;
    if (b->recv_min < a->recv_min)
        a->recv_min = b->recv_min;
    if (b->recv_max > a->recv_max)
        a->recv_max = b->recv_max;
    if (b->seq_min < a->seq_min)
        a->seq_min = b->seq_min;
    if (b->seq_max > a->seq_max)
        a->seq_max = b->seq_max;
    a->events += b->events;
}

/* A record read from the journal has no times yet. */
static void find_times(struct batch *b)
{
    str rest = buf_view(&b->body);
    while (rest.n) {
        nsec t;
        int severity;
        if (event_peek(str_cut(&rest, '\n'), &t, &severity)) {
            if (t < b->t_min)
                b->t_min = t;
            if (t > b->t_max)
                b->t_max = t;
        }
    }
}

/* Under the lock. */
static void head_add(struct store *s, struct batch *b)
{
    struct chunk *c = s->head_n > s->taken ? s->head[s->head_n - 1] : NULL;
    if (!c || c->lines.max - c->lines.n < b->body.n)
        c = chunk_new(s, b->body.n > CHUNK_BYTES ? b->body.n : CHUNK_BYTES);
    if (c->marks_n == c->marks_cap)
        c->marks = xrealloc(c->marks, (c->marks_cap = c->marks_cap ? c->marks_cap * 2 : 16) * sizeof *c->marks);
    c->marks[c->marks_n++] = (struct mark){(uint32_t)c->lines.n, b->app};
    buf_str(&c->lines, buf_view(&b->body));
    block_widen(&c->info, &(struct store_block){.t_min = b->t_min,
                                                .t_max = b->t_max,
                                                .recv_min = b->recv_us,
                                                .recv_max = b->recv_us,
                                                .events = b->events,
                                                .seq_min = b->seq,
                                                .seq_max = b->seq});
}

static size_t head_bytes(const struct store *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->head_n; i++)
        n += s->head[i]->lines.n;
    return n;
}

void store_append(struct store *s, struct batch *b)
{
    if (b->type == RECORD_EVENTS && b->t_min > b->t_max)
        find_times(b);
    pthread_mutex_lock(&s->lock);
    if (b->seq > s->appended_seq) {
        if (b->type == RECORD_EVENTS && b->body.n)
            head_add(s, b);
        s->appended_seq = b->seq;
        if (s->head_n > s->taken && s->conf.head_bytes <= (s->head_n - s->taken) * CHUNK_BYTES && !s->sealing &&
            !s->seal_wait)
            pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    if (b->type == RECORD_EVENTS)
        buf_reset(&b->body);
}

bool store_crowded(struct store *s, size_t bytes)
{
    size_t held = atomic_load(&s->head_memory);
    if (held + bytes <= s->head_max || held == 0) /* what is too large by itself is taken when there is nothing else */
        return false;
    if (!atomic_exchange(&s->pressed, true)) {
        pthread_mutex_lock(&s->lock);
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
    return true;
}

void store_wait(struct store *s)
{
    while (store_crowded(s, 0)) {
        pthread_mutex_lock(&s->lock);
        bool failing = s->seal_wait > 0;
        pthread_mutex_unlock(&s->lock);
        if (failing)
            return;
        usleep(1000);
    }
}

uint64_t store_sealed(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t seq = s->head_n ? s->sealed_seq : s->appended_seq;
    pthread_mutex_unlock(&s->lock);
    return seq;
}

/* ---- the thread ---- */
void segments_add(struct store *s, struct segment *seg)
{
    if (s->segments_n == s->segments_cap)
        s->segments = xrealloc(s->segments,
                               (s->segments_cap = s->segments_cap ? s->segments_cap * 2 : 64) * sizeof *s->segments);
    size_t i = s->segments_n++;
    seg->keep_left = &s->keep_left;
    for (; i > 0 && s->segments[i - 1]->first_seq > seg->first_seq; i--)
        s->segments[i] = s->segments[i - 1];
    s->segments[i] = seg;
}

static void *store_main(void *arg)
{
    struct store *s = arg;
    usec spares_due = 0;
    pthread_setname_np(pthread_self(), "store");
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        if (!s->seal_now && !s->pressed)
            pthread_cond_timedwait(&s->changed, &s->lock, &until);
        usec now = clock_mono();
        bool pressed = atomic_exchange(&s->pressed, false); /* taken back whatever else is true, or this spins */
        bool full = pressed || head_bytes(s) >= s->conf.head_bytes;
        bool old = s->head_n && now - s->head[0]->born >= s->conf.head_age;
        if (s->seal_now || ((old || full) && now >= s->seal_again))
            seal(s);
        if (now >= spares_due) {
            free_spares(s);
            spares_due = now + USEC_PER_SEC;
        }
        retain(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int store_seal(struct store *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    while (s->sealing)
        pthread_cond_wait(&s->changed, &s->lock);
    s->seal_now = true;
    pthread_cond_broadcast(&s->changed);
    while (s->seal_now)
        pthread_cond_wait(&s->changed, &s->lock);
    int rc = s->seal_error.kind ? -1 : 0;
    *e = s->seal_error;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* ---- opening ---- */
static int by_range(const void *va, const void *vb)
{
    const struct segment *a = *(struct segment *const *)va, *b = *(struct segment *const *)vb;
    if (a->first_seq != b->first_seq)
        return a->first_seq < b->first_seq ? -1 : 1;
    return (a->last_seq < b->last_seq) - (a->last_seq > b->last_seq); /* the wider one first */
}

/* What a merge was about to remove, or a seal that failed late left behind: it is in a wider segment now. */
static void drop_covered(struct store *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->segments_n; i++) {
        struct segment *seg = s->segments[i];
        if (kept && seg->last_seq <= s->segments[kept - 1]->last_seq) {
            log_info("store", "what=\"segment removed, another one holds its records\" path=%s", seg->path);
            seg->doomed = true;
            segment_unref(seg);
        } else {
            s->segments[kept++] = seg;
        }
    }
    s->segments_n = kept;
}

/* A damaged segment is left out. One that cannot be read stops the start: what it holds might come from the journal as
 * well, and be there twice when the disk reads again. */
static int load_segment(struct store *s, const char *path, struct err *e)
{
    struct segment *seg;
    if (segment_open(path, &seg, e) == 0)
        segments_add(s, seg);
    else if (e->kind != ERR_CORRUPT)
        return -1;
    else {
        s->corrupt++;
        log_error("store", "what=\"segment left out\" why=\"%s\"", e->text);
    }
    return 0;
}

static int load_position(struct store *s, const char *path, struct err *e)
{
    struct buf text = BUF_INIT(64);
    int rc = file_read(path, 64, &text, e);
    if (rc == 0 && !str_u64(str_trim(buf_view(&text)), &s->sealed_seq))
        rc = err_set(e, ERR_CORRUPT, "'%s' is not a number", path);
    buf_done(&text);
    return rc;
}

static int load_segments(struct store *s, struct err *e)
{
    char **names;
    size_t n;
    int rc = 0;
    struct buf path = BUF_INIT(PATH_MAX);
    if (dir_list(s->conf.dir, &names, &n, e) < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        str name = str_of(names[i]);
        buf_reset(&path);
        buf_printf(&path, "%s/%s%c", s->conf.dir, names[i], '\0');
        if (str_ends(name, S(".tmp")))
            (void)unlink(path.p); /* a seal that a crash cut short; the journal has its events */
        else if (str_eq(name, S("sealed")))
            rc = load_position(s, path.p, e);
        else if (str_ends(name, S(".seg")))
            rc = load_segment(s, path.p, e);
    }
    dir_list_free(names, n);
    buf_done(&path);
    if (s->segments_n)
        qsort(s->segments, s->segments_n, sizeof *s->segments, by_range);
    if (rc == 0)
        drop_covered(s);
    for (size_t i = 0; i < s->segments_n; i++)
        if (s->segments[i]->last_seq > s->sealed_seq)
            s->sealed_seq = s->segments[i]->last_seq;
    s->appended_seq = s->sealed_seq;
    return rc;
}

static void store_free(struct store *s)
{
    for (size_t i = 0; i < s->segments_n; i++)
        segment_unref(s->segments[i]);
    for (size_t i = 0; i < s->head_n; i++)
        chunk_unref(s->head[i]);
    s->spare_least = s->spare_n;
    free_spares(s);
    free(s->segments);
    free(s->head);
    free(s->keeps);
    free((char *)s->conf.dir);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int store_open(const struct store_config *c, struct store **ret, struct err *e)
{
    struct store *s = xcalloc(1, sizeof *s);
    pthread_condattr_t attr;
    s->conf = *c;
    s->conf.dir = xstrdup(c->dir);
    if (!s->conf.memory)
        s->conf.memory = 512u << 20;
    if (!s->conf.head_bytes)
        s->conf.head_bytes = s->conf.memory / 8 < HEAD_BYTES_MAX ? (size_t)s->conf.memory / 8 : HEAD_BYTES_MAX;
    s->head_max = (size_t)(s->conf.memory / 4);
    s->keep_left = (size_t)(s->conf.memory / 16);
    if (!s->conf.reserve_bytes)
        s->conf.reserve_bytes = DISK_RESERVE;
    s->archived = c->archived ? 0 : UINT64_MAX;
    if (!s->conf.head_age)
        s->conf.head_age = 3600 * USEC_PER_SEC;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (dir_make(c->dir, e) < 0 || load_segments(s, e) < 0) {
        store_free(s);
        return -1;
    }
    if (pthread_create(&s->thread, NULL, store_main, s) != 0 || pthread_create(&s->merger, NULL, merge_main, s) != 0)
        abort(); /* no memory */
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_join(s->merger, NULL);
    store_free(s);
}

void store_stats(struct store *s, struct store_stats *ret)
{
    struct store_stats st = {.t_min = INT64_MAX, .t_max = INT64_MIN};
    pthread_mutex_lock(&s->lock);
    st.segments = s->segments_n;
    for (size_t i = 0; i < s->segments_n; i++) {
        const struct segment *seg = s->segments[i];
        st.segment_bytes += seg->bytes;
        st.segment_events += seg->events;
        st.raw_bytes += seg->raw_bytes;
        if (seg->t_min < st.t_min)
            st.t_min = seg->t_min;
        if (seg->t_max > st.t_max)
            st.t_max = seg->t_max;
    }
    for (size_t i = 0; i < s->head_n; i++) {
        st.head_events += s->head[i]->info.events;
        st.head_bytes += s->head[i]->lines.n;
        if (s->head[i]->info.t_min < st.t_min)
            st.t_min = s->head[i]->info.t_min;
        if (s->head[i]->info.t_max > st.t_max)
            st.t_max = s->head[i]->info.t_max;
    }
    st.sealed_seq = s->head_n ? s->sealed_seq : s->appended_seq;
    st.appended_seq = s->appended_seq;
    st.removed_segments = s->removed;
    st.head_memory = s->head_memory;
    st.head_max = s->head_max;
    st.merges = s->merge.merges;
    st.merge_failures = s->merge.failures;
    st.merging = s->merge.running ? s->merge.sources : 0;
    st.merge_done = s->merge.done;
    st.merge_total = s->merge.total;
    st.corrupt_blocks = s->corrupt;
    pthread_mutex_unlock(&s->lock);
    *ret = st;
}

/* ---- views ---- */
struct store_view *store_view_open(struct store *s)
{
    struct store_view *v = xcalloc(1, sizeof *v);
    v->store = s;
    pthread_mutex_lock(&s->lock);
    size_t n = s->head_n;
    for (size_t i = 0; i < s->segments_n; i++)
        n += s->segments[i]->n;
    v->blocks = xcalloc(n, sizeof *v->blocks);
    v->segments = xcalloc(s->segments_n, sizeof *v->segments);
    v->chunks = xcalloc(s->head_n, sizeof *v->chunks);
    for (size_t i = 0; i < s->segments_n; i++) {
        struct segment *seg = v->segments[v->segments_n++] = s->segments[i];
        atomic_fetch_add(&seg->refs, 1);
        for (size_t j = 0; j < seg->n; j++)
            if (!seg->blocks[j].due)
                v->blocks[v->n++] = (struct view_block){.info = seg->blocks[j].info, .segment = seg, .index = j};
    }
    for (size_t i = 0; i < s->head_n; i++) {
        struct chunk *c = v->chunks[v->chunks_n++] = s->head[i];
        atomic_fetch_add(&c->refs, 1);
        v->blocks[v->n++] = (struct view_block){.info = c->info, .chunk = c, .length = c->lines.n};
    }
    pthread_mutex_unlock(&s->lock);
    return v;
}

void store_view_close(struct store_view *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->segments_n; i++)
        segment_unref(v->segments[i]);
    for (size_t i = 0; i < v->chunks_n; i++)
        chunk_unref(v->chunks[i]);
    free(v->segments);
    free(v->chunks);
    free(v->blocks);
    free(v);
}

size_t store_view_count(const struct store_view *v) { return v->n; }
const struct store_block *store_view_block(const struct store_view *v, size_t i) { return &v->blocks[i].info; }

void store_view_damaged(const struct store_view *v, const struct err *why)
{
    atomic_fetch_add(&v->store->corrupt, 1);
    log_error("store", "what=\"block left out of a query\" why=\"%s\"", why->text);
}

bool store_view_columns(const struct store_view *v, size_t i, struct arena *a, struct block *ret, size_t *ret_index)
{
    const struct view_block *b = &v->blocks[i];
    if (b->chunk)
        return false;
    block_open(b->segment, b->index, a, ret);
    *ret_index = b->index;
    return true;
}

int store_view_lines(const struct store_view *v, size_t i, struct buf *scratch, str *ret, struct err *e)
{
    const struct view_block *b = &v->blocks[i];
    if (b->chunk) {
        *ret = str_n(b->chunk->lines.p, b->length);
        return 0;
    }
    int rc = segment_lines(b->segment, b->index, scratch, ret, e);
    if (rc < 0)
        store_view_damaged(v, e);
    return rc;
}
