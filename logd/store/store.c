/* store/store.c - the head, the list of segments, views, sealing and retention.
 *
 * The head is a list of chunks, each an append-only run of lines of about 1 MiB; a view remembers how long a chunk was
 * when it was opened, so appending never disturbs it. Sealing takes the chunks as they are, sorts their lines by app
 * and time, writes one segment, and swaps chunks for segment under the lock: a view sees the one or the other.
 *
 * Lock order: only s->lock. It is held for list changes, never for I/O. */
#include "store/store.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "event/event.h"
#include "store/segment.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };
#define ANY_LEVEL UINT32_MAX

struct mark { /* a batch in a chunk: what its lines do not say themselves */
    uint32_t offset, app;
};
struct chunk {
    _Atomic unsigned refs;
    struct buf lines; /* capacity fixed at birth: the bytes never move */
    struct store_block info;
    struct mark *marks;
    size_t marks_n, marks_cap;
    usec born; /* clock_mono */
};

struct store {
    struct store_config conf;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* appended, sealed, wake the thread */
    pthread_t thread;
    bool stopping, seal_now, sealing;
    struct segment **segments;
    size_t segments_n, segments_cap;
    struct chunk **head; /* oldest first; [0, taken) are being sealed */
    size_t head_n, head_cap, taken;
    uint64_t sealed_seq, appended_seq; /* position; see store_sealed */
    uint64_t removed;
    _Atomic uint64_t corrupt;
    struct err seal_error;
};

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
static void chunk_unref(struct chunk *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    buf_done(&c->lines);
    free(c->marks);
    free(c);
}

static struct chunk *chunk_new(struct store *s, size_t bytes)
{
    struct chunk *c = xcalloc(1, sizeof *c);
    c->refs = 1;
    c->born = clock_mono();
    c->info = (struct store_block){
        .t_min = INT64_MAX, .t_max = INT64_MIN, .recv_min = INT64_MAX, .levels = ANY_LEVEL, .seq_min = UINT64_MAX};
    buf_init(&c->lines, bytes);
    (void)buf_grow(&c->lines, bytes);
    if (s->head_n == s->head_cap)
        s->head = xrealloc(s->head, (s->head_cap = s->head_cap ? s->head_cap * 2 : 64) * sizeof *s->head);
    s->head[s->head_n++] = c;
    return c;
}

static void widen(struct store_block *a, const struct store_block *b)
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
    widen(&c->info, &(struct store_block){.t_min = b->t_min,
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
        if (s->head_n > s->taken && s->conf.head_bytes <= (s->head_n - s->taken) * CHUNK_BYTES && !s->sealing)
            pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    if (b->type == RECORD_EVENTS)
        buf_reset(&b->body);
}

uint64_t store_sealed(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t seq = s->head_n ? s->sealed_seq : s->appended_seq;
    pthread_mutex_unlock(&s->lock);
    return seq;
}

/* ---- sealing ---- */
struct line_ref { /* one line of the head, on its way into a segment */
    uint32_t app;
    uint32_t length;
    nsec time;
    const char *p;
    int severity;
    uint64_t seq_min, seq_max;
};

static int by_app_and_time(const void *va, const void *vb)
{
    const struct line_ref *a = va, *b = vb;
    if (a->app != b->app)
        return a->app < b->app ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (a->p > b->p) - (a->p < b->p);
}

static struct line_ref *sorted_lines(struct chunk *const *chunks, size_t n, size_t *ret_n)
{
    size_t total = 0, used = 0;
    for (size_t i = 0; i < n; i++)
        total += chunks[i]->info.events;
    struct line_ref *lines = xmalloc((total + 1) * sizeof *lines);
    for (size_t i = 0; i < n; i++) {
        const struct chunk *c = chunks[i];
        size_t mark = 0;
        for (str rest = buf_view(&c->lines); rest.n;) {
            size_t offset = (size_t)(rest.p - c->lines.p);
            str line = str_cut(&rest, '\n');
            while (mark + 1 < c->marks_n && c->marks[mark + 1].offset <= offset)
                mark++;
            struct line_ref ref = {.app = c->marks[mark].app,
                                   .length = (uint32_t)line.n + 1,
                                   .p = line.p,
                                   .seq_min = c->info.seq_min,
                                   .seq_max = c->info.seq_max};
            if (used < total && event_peek(line, &ref.time, &ref.severity))
                lines[used++] = ref;
        }
    }
    qsort(lines, used, sizeof *lines, by_app_and_time);
    *ret_n = used;
    return lines;
}

/* Adds lines [from, ret) as one block; all of one app. */
static int add_block(struct segment_writer *w, const struct line_ref *lines, size_t n, size_t from, struct buf *text,
                     size_t *ret, struct err *e)
{
    struct store_block info = {
        .t_min = INT64_MAX, .t_max = INT64_MIN, .recv_min = INT64_MAX, .seq_min = UINT64_MAX, .app = lines[from].app};
    size_t i = from;
    buf_reset(text);
    for (; i < n && lines[i].app == info.app && i - from < BLOCK_EVENTS_MAX &&
           (i == from || text->n + lines[i].length <= BLOCK_BYTES_MAX);
         i++) {
        const struct line_ref *l = &lines[i];
        struct store_block one = {.t_min = l->time,
                                  .t_max = l->time,
                                  .recv_min = INT64_MAX,
                                  .events = 1,
                                  .seq_min = l->seq_min,
                                  .seq_max = l->seq_max};
        uint32_t row;
        usec recv;
        str id = str_skip(str_n(l->p, l->length), sizeof "{\"id\":\"" - 1);
        if (event_id_parse(str_head(id, EVENT_ID_LEN), &recv, &row))
            one.recv_min = one.recv_max = recv;
        widen(&info, &one);
        info.levels |= 1u << l->severity;
        buf_add(text, l->p, l->length);
    }
    *ret = i;
    return segment_add(w, buf_view(text), &info, e);
}

static int write_segment(struct store *s, struct chunk *const *chunks, size_t n, uint64_t last_seq,
                         struct segment **ret, struct err *e)
{
    struct segment_writer *w;
    size_t lines_n;
    if (segment_create(s->conf.dir, chunks[0]->info.seq_min, last_seq, &w, e) < 0)
        return -1;
    struct line_ref *lines = sorted_lines(chunks, n, &lines_n);
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < lines_n;)
        rc = add_block(w, lines, lines_n, i, &text, &i, e);
    if (rc == 0)
        rc = segment_finish(w, ret, e);
    else
        segment_abort(w);
    buf_done(&text);
    free(lines);
    return rc;
}

static void segments_add(struct store *s, struct segment *seg)
{
    if (s->segments_n == s->segments_cap)
        s->segments = xrealloc(s->segments,
                               (s->segments_cap = s->segments_cap ? s->segments_cap * 2 : 64) * sizeof *s->segments);
    s->segments[s->segments_n++] = seg;
}

/* Entered and left under the lock; released meanwhile. */
static void seal(struct store *s)
{
    struct segment *seg;
    size_t n = s->taken = s->head_n;
    uint64_t last = s->appended_seq;
    struct chunk **chunks = xmalloc((n + 1) * sizeof *chunks);
    if (n)
        memcpy(chunks, s->head, n * sizeof *chunks);
    s->sealing = true;
    s->seal_error = (struct err){0};
    pthread_mutex_unlock(&s->lock);

    int rc = n ? write_segment(s, chunks, n, last, &seg, &s->seal_error) : 0;
    if (rc < 0)
        log_error("store", "what=\"cannot seal the head, will try again\" why=\"%s\"", s->seal_error.text);

    pthread_mutex_lock(&s->lock);
    if (rc == 0 && n) {
        segments_add(s, seg);
        memmove(s->head, s->head + n, (s->head_n - n) * sizeof *s->head);
        s->head_n -= n;
        s->sealed_seq = last;
    }
    s->taken = 0;
    s->sealing = s->seal_now = false;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (rc == 0 && n) {
        for (size_t i = 0; i < n; i++)
            chunk_unref(chunks[i]);
        if (s->conf.on_sealed)
            s->conf.on_sealed(seg->path, seg->first_seq, seg->last_seq, s->conf.arg);
    }
    free(chunks);
    pthread_mutex_lock(&s->lock);
}

/* The position survives the segment that held it. */
static void remember_position(struct store *s, uint64_t seq)
{
    struct err e;
    char text[32];
    int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)seq);
    int dir = dir_open(s->conf.dir, &e);
    if (dir < 0 || file_replace(dir, "sealed", str_n(text, (size_t)n), 0640, &e) < 0)
        log_error("store", "what=\"cannot note the position\" why=\"%s\"", e.text);
    if (dir >= 0)
        close(dir);
}

/* Whole segments that are too old, then the oldest while they are too many. Entered and left under the lock. */
static void retain(struct store *s)
{
    nsec oldest = s->conf.keep ? (clock_now() - s->conf.keep) * NSEC_PER_USEC : INT64_MIN;
    uint64_t bytes = 0, position = s->sealed_seq;
    size_t kept = 0, gone_n = 0;
    struct segment **gone = xmalloc((s->segments_n + 1) * sizeof *gone);
    for (size_t i = 0; i < s->segments_n; i++)
        bytes += s->segments[i]->bytes;
    for (size_t i = 0; i < s->segments_n; i++) {
        struct segment *seg = s->segments[i];
        if (seg->t_max >= oldest && (!s->conf.keep_bytes || bytes <= s->conf.keep_bytes)) {
            s->segments[kept++] = seg;
            continue;
        }
        bytes -= seg->bytes;
        gone[gone_n++] = seg;
    }
    s->segments_n = kept;
    s->removed += gone_n;
    if (gone_n) {
        pthread_mutex_unlock(&s->lock);
        remember_position(s, position);
        for (size_t i = 0; i < gone_n; i++) {
            log_info("store", "what=\"segment removed by retention\" path=%s events=%llu", gone[i]->path,
                     (unsigned long long)gone[i]->events);
            gone[i]->doomed = true;
            segment_unref(gone[i]);
        }
        pthread_mutex_lock(&s->lock);
    }
    free(gone);
}

static void *store_main(void *arg)
{
    struct store *s = arg;
    pthread_setname_np(pthread_self(), "store");
    (void)!nice(5);
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        if (!s->seal_now)
            pthread_cond_timedwait(&s->changed, &s->lock, &until);
        bool old = s->head_n && clock_mono() - s->head[0]->born >= s->conf.head_age;
        if (s->seal_now || old || head_bytes(s) >= s->conf.head_bytes)
            seal(s);
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
static int by_first_seq(const void *va, const void *vb)
{
    const struct segment *a = *(struct segment *const *)va, *b = *(struct segment *const *)vb;
    return (a->first_seq > b->first_seq) - (a->first_seq < b->first_seq);
}

static int load_segments(struct store *s, struct err *e)
{
    char **names;
    size_t n;
    struct buf path = BUF_INIT(PATH_MAX), text = BUF_INIT(64);
    if (dir_list(s->conf.dir, &names, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct segment *seg;
        str name = str_of(names[i]);
        buf_reset(&path);
        buf_printf(&path, "%s/%s%c", s->conf.dir, names[i], '\0');
        if (str_ends(name, S(".tmp"))) {
            (void)unlink(path.p); /* a seal that a crash cut short; the journal has its events */
        } else if (str_eq(name, S("sealed"))) {
            if (file_read(path.p, 64, &text, e) == 0)
                if (!str_u64(str_trim(buf_view(&text)), &s->sealed_seq))
                    log_error("store", "what=\"the position is not a number\" path=%s", path.p);
        } else if (str_ends(name, S(".seg"))) {
            if (segment_open(path.p, &seg, e) == 0)
                segments_add(s, seg);
            else {
                s->corrupt++;
                log_error("store", "what=\"segment left out\" why=\"%s\"", e->text);
            }
        }
    }
    dir_list_free(names, n);
    buf_done(&path);
    buf_done(&text);
    if (s->segments_n)
        qsort(s->segments, s->segments_n, sizeof *s->segments, by_first_seq);
    for (size_t i = 0; i < s->segments_n; i++)
        if (s->segments[i]->last_seq > s->sealed_seq)
            s->sealed_seq = s->segments[i]->last_seq;
    s->appended_seq = s->sealed_seq;
    return 0;
}

int store_open(const struct store_config *c, struct store **ret, struct err *e)
{
    struct store *s = xcalloc(1, sizeof *s);
    pthread_condattr_t attr;
    s->conf = *c;
    s->conf.dir = xstrdup(c->dir);
    if (!s->conf.head_bytes)
        s->conf.head_bytes = 64u << 20;
    if (!s->conf.head_age)
        s->conf.head_age = 3600 * USEC_PER_SEC;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (dir_make(c->dir, e) < 0 || load_segments(s, e) < 0) {
        s->stopping = true;
        free((char *)s->conf.dir);
        free(s);
        return -1;
    }
    int rc = pthread_create(&s->thread, NULL, store_main, s);
    assert(rc == 0);
    (void)rc;
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
    for (size_t i = 0; i < s->segments_n; i++)
        segment_unref(s->segments[i]);
    for (size_t i = 0; i < s->head_n; i++)
        chunk_unref(s->head[i]);
    free(s->segments);
    free(s->head);
    free((char *)s->conf.dir);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void store_retention(struct store *s, usec keep, uint64_t keep_bytes)
{
    pthread_mutex_lock(&s->lock);
    s->conf.keep = keep;
    s->conf.keep_bytes = keep_bytes;
    pthread_mutex_unlock(&s->lock);
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
