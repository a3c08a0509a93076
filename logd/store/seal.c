/* store/seal.c - the head becomes a segment: its lines sorted by app and time, cut into blocks, written, named.
 *
 * The order of what reaches the disk stands at the top of store.c. What fails is tried again, after a second, then twice
 * as long each time, up to a minute; meanwhile the head grows, and intake says when it may not any more. */
#include "store/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "event/event.h"

#define SEAL_WAIT USEC_PER_SEC
#define SEAL_WAIT_MAX (60 * USEC_PER_SEC)

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

bool block_ends(const struct store_block *so_far, size_t bytes, nsec next)
{
    return so_far->events == BLOCK_EVENTS_MAX || (so_far->events && bytes > BLOCK_BYTES_MAX) ||
           (so_far->events >= BLOCK_EVENTS_MIN && next - so_far->t_min > 86400 * NSEC_PER_SEC);
}

/* Where the block that starts with line `from` ends. */
static size_t block_end(const struct line_ref *lines, size_t n, size_t from)
{
    size_t i = from, bytes = 0;
    struct store_block so_far = {.t_min = lines[from].time};
    for (; i < n && lines[i].app == lines[from].app; i++, so_far.events++) {
        bytes += lines[i].length;
        if (block_ends(&so_far, bytes, lines[i].time))
            break;
    }
    return i;
}

static void block_text(const struct line_ref *lines, size_t n, struct buf *text, struct store_block *info)
{
    *info = (struct store_block){
        .t_min = INT64_MAX, .t_max = INT64_MIN, .recv_min = INT64_MAX, .seq_min = UINT64_MAX, .app = lines[0].app};
    buf_reset(text);
    for (size_t i = 0; i < n; i++) {
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
        block_widen(info, &one);
        info->levels |= 1u << l->severity;
        buf_add(text, l->p, l->length);
    }
}

/* One block. A line that is no stored event is named, counted and left out: it must not keep all others from disk. */
static int add_block(struct store *s, struct segment_writer *w, const struct line_ref *lines, size_t n,
                     struct buf *text, struct err *e)
{
    struct store_block info;
    block_text(lines, n, text, &info);
    int rc = segment_add(w, buf_view(text), &info, e);
    if (rc == 0 || e->kind != ERR_CORRUPT)
        return rc;
    if (n == 1) {
        s->corrupt++;
        log_error("store", "what=\"a damaged line was left out\" why=\"%s\"", e->text);
        return 0;
    }
    rc = add_block(s, w, lines, n / 2, text, e);
    return rc < 0 ? rc : add_block(s, w, lines + n / 2, n - n / 2, text, e);
}

static int write_segment(struct store *s, struct chunk *const *chunks, size_t n, uint64_t last_seq,
                         struct segment **ret, struct err *e)
{
    struct segment_writer *w;
    size_t lines_n;
    if (segment_create(s->conf.dir, chunks[0]->info.seq_min, last_seq, SEAL_LEVEL, &w, e) < 0)
        return -1;
    struct line_ref *lines = sorted_lines(chunks, n, &lines_n);
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    int rc = 0;
    for (size_t i = 0, end; rc == 0 && i < lines_n; i = end) {
        end = block_end(lines, lines_n, i);
        rc = add_block(s, w, lines + i, end - i, &text, e);
    }
    if (rc == 0)
        rc = segment_finish(w, ret, e);
    else
        segment_abort(w);
    buf_done(&text);
    free(lines);
    return rc;
}

/* Under the lock. */
static void note_failure(struct store *s, usec now)
{
    s->seal_wait = s->seal_wait ? s->seal_wait * 2 : SEAL_WAIT;
    if (s->seal_wait > SEAL_WAIT_MAX)
        s->seal_wait = SEAL_WAIT_MAX;
    s->seal_again = now + s->seal_wait;
}

void seal(struct store *s)
{
    struct segment *seg;
    struct err e = {0};
    size_t n = s->taken = s->head_n;
    uint64_t last = s->appended_seq;
    struct chunk **chunks = xmalloc((n + 1) * sizeof *chunks);
    if (n)
        memcpy(chunks, s->head, n * sizeof *chunks);
    s->sealing = true;
    pthread_mutex_unlock(&s->lock);

    int rc = n ? write_segment(s, chunks, n, last, &seg, &e) : 0;
    if (rc < 0)
        log_error("store", "what=\"cannot seal the head, will try again\" why=\"%s\"", e.text);
    struct segment was = {0}; /* once it is on the list others may merge it away */
    if (rc == 0 && n)
        was = (struct segment){.path = xstrdup(seg->path), .first_seq = seg->first_seq, .last_seq = seg->last_seq};

    pthread_mutex_lock(&s->lock);
    if (rc == 0 && n) {
        segments_add(s, seg);
        memmove(s->head, s->head + n, (s->head_n - n) * sizeof *s->head);
        s->head_n -= n;
        s->sealed_seq = last;
        s->retain_now = true;
    }
    if (rc == 0)
        s->seal_wait = s->seal_again = 0;
    else
        note_failure(s, clock_mono());
    s->seal_error = e;
    s->taken = 0;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; was.path && i < n; i++)
        chunk_unref(chunks[i]);

    pthread_mutex_lock(&s->lock); /* who waits for the seal finds its memory free */
    s->sealing = s->seal_now = false;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (was.path && s->conf.on_sealed)
        s->conf.on_sealed(was.path, was.first_seq, was.last_seq, s->conf.arg);
    free(was.path);
    free(chunks);
    pthread_mutex_lock(&s->lock);
}
