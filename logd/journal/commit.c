/* journal/commit.c - the journal thread: all batches that wait become one group, one write, one fdatasync.
 *
 *   judge    in order: is the batch a repeat, which of its lines are duplicates? Against the windows, and against
 *            `fresh`: what this very group adds.
 *   write    headers, metas and bodies by writev; ENOSPC cuts the group off again and syncs the cut, so that what was
 *            refused cannot come back after a power failure.
 *   settle   only now the windows learn, then readers and `publish` see the records, then everybody is answered.
 * There is no timer: while one group syncs, the next one gathers. When a group fails, all in it fail alike: a repeat
 * may have counted on a batch of the same group. */
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "journal/internal.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

struct group {
    struct journal *j;
    struct batch **batch; /* in order */
    size_t n, cap;
    struct buf heads; /* headers and metas, one record after the other */
    struct iovec *iov;
    size_t iov_n, iov_cap;
    size_t taken;   /* bytes of bodies as they came */
    uint64_t bytes; /* to be written */
    uint64_t records, events, duplicates;
    struct table ids, keys; /* fresh: hash of an id; hash of a key to index in batch */
    usec sync_us;
    bool disk_low; /* only actions may pass */
};

bool journal_disk_low(struct journal *j, uint64_t bytes, bool look)
{
    usec now = clock_mono();
    uint64_t left, total;
    struct err e;
    if (!look && j->disk_asked && now - j->disk_asked < USEC_PER_SEC)
        return j->disk_left < j->config.reserve_bytes + bytes;
    j->disk_asked = now;
    if (disk_free(j->disk, &left, &total, &e) < 0) {
        log_warn("journal", "what=\"cannot tell the free space\" why=\"%s\"", e.text);
        return false; /* the write itself will tell */
    }
    bool low = left < j->config.reserve_bytes;
    if (low && !j->stats.disk_low)
        log_error("journal", "what=\"disk nearly full, refusing events\" free=%llu reserve=%llu",
                  (unsigned long long)left, (unsigned long long)j->config.reserve_bytes);
    else if (!low && j->stats.disk_low)
        log_info("journal", "what=\"disk has room again\" free=%llu", (unsigned long long)left);
    j->stats.disk_low = low;
    j->disk_left = left;
    return left < j->config.reserve_bytes + bytes;
}

/* ---- judge ---- */

static char *reply_of(const struct batch *b)
{
    struct buf out = BUF_INIT(4 << 20);
    batch_reply(b, &out);
    return buf_take(&out, NULL);
}

static uint64_t key_hash(const struct batch *b) { return hash_str((str){(const char *)b->idem_key, 16}); }

static enum batch_status repeat_of(struct batch *b, const uint8_t body[16], usec at)
{
    b->repeat_us = at;
    return memcmp(body, b->idem_body, 16) == 0 || at < b->idem_since ? BATCH_REPEATED : BATCH_CONFLICT;
}

/* Sets the status of a batch whose Idempotency-Key is known; false: it is new. */
static bool is_repeat(struct group *g, struct batch *b)
{
    str reply;
    uint32_t i;
    const struct seen *s = window_get_key(windows_app(g->j->windows, b->app), b->idem_key, b->recv_us, &reply);
    if (s) {
        b->status = repeat_of(b, s->body, s->at_s * USEC_PER_SEC);
        b->repeat = b->status == BATCH_REPEATED ? str_dup(reply) : NULL;
        return true;
    }
    if (!table_get(&g->keys, key_hash(b), &i) || memcmp(g->batch[i]->idem_key, b->idem_key, 16) != 0)
        return false;
    b->status = repeat_of(b, g->batch[i]->idem_body, g->batch[i]->recv_us);
    b->repeat = b->status == BATCH_REPEATED ? reply_of(g->batch[i]) : NULL;
    return true;
}

static bool is_new(struct group *g, const struct batch *b, struct window *a, uint64_t hash)
{
    uint32_t unused;
    if (table_get(&g->ids, hash, &unused) || (a && window_has_id(a, hash, b->recv_us)))
        return false;
    table_set(&g->ids, hash, 0);
    return true;
}

/* Takes the lines of known event_ids out of the body and moves their counts. */
static void drop_duplicates(struct group *g, struct batch *b)
{
    struct window *a = b->ids_n ? windows_app(g->j->windows, b->app) : NULL;
    size_t kept = 0, from = 0, to = 0; /* ids kept; body read up to and written up to */
    for (size_t i = 0; i < b->ids_n; i++) {
        struct batch_id id = b->ids[i];
        assert(id.offset >= from && (size_t)id.offset + id.length <= b->body.n);
        bool keep = is_new(g, b, a, id.hash);
        size_t end = keep ? id.offset + id.length : id.offset; /* of what stays */
        if (to != from)
            memmove(b->body.p + to, b->body.p + from, end - from);
        to += end - from;
        from = id.offset + id.length;
        if (keep)
            b->ids[kept++] = (struct batch_id){id.hash, (uint32_t)(to - id.length), id.length};
    }
    if (to != from)
        memmove(b->body.p + to, b->body.p + from, b->body.n - from);
    uint32_t dropped = (uint32_t)(b->ids_n - kept);
    assert(b->events >= dropped && b->accepted >= dropped);
    b->body.n -= from - to;
    b->ids_n = kept;
    b->events -= dropped;
    b->accepted -= dropped;
    b->duplicates += dropped;
    g->duplicates += dropped;
}

static void add_iov(struct group *g, void *p, size_t n)
{
    if (g->iov_n == g->iov_cap)
        g->iov = xrealloc(g->iov, (g->iov_cap = g->iov_cap ? 2 * g->iov_cap : 64) * sizeof *g->iov);
    g->iov[g->iov_n++] = (struct iovec){p, n};
    g->bytes += n;
}

/* The record of b: header and meta into g->heads (as an offset, for heads may move), the body as it is. */
static void encode(struct group *g, struct batch *b)
{
    struct journal *j = g->j;
    char *reply = b->idempotent ? reply_of(b) : NULL;
    size_t at = g->heads.n;
    struct record_header h = {.type = (uint8_t)b->type,
                              .flags = b->idempotent ? RECORD_IDEMPOTENT : 0,
                              .app = b->app,
                              .seq = j->seq + ++g->records,
                              .recv_us = b->recv_us,
                              .events = b->events,
                              .ids = (uint32_t)b->ids_n,
                              .body_n = (uint32_t)b->body.n,
                              .group = j->end};
    b->seq = h.seq;
    h.meta_n = (uint32_t)record_meta_size(&h, reply ? strlen(reply) : 0);
    char blank[RECORD_HEADER] = {0};
    buf_add(&g->heads, blank, RECORD_HEADER);
    record_meta_write(b, str_of(reply), &g->heads);
    free(reply);
    assert(!g->heads.full && g->heads.n == at + RECORD_HEADER + h.meta_n);
    h.payload_sum = payload_sum(g->heads.p + at + RECORD_HEADER, h.meta_n, b->body.p, b->body.n);
    record_header_write(&h, j->number, j->end + g->bytes, g->heads.p + at);
    add_iov(g, (void *)at, RECORD_HEADER + h.meta_n);
    add_iov(g, b->body.p, b->body.n);
    g->events += b->events;
}

/* Decides about batch i; makes its record when it needs one. */
static void judge(struct group *g, size_t i)
{
    struct batch *b = g->batch[i];
    if (g->disk_low && b->type != RECORD_ACTION) { /* what people do is small and is what the reserve is for */
        b->status = BATCH_FULL;
        return;
    }
    if (b->with && b->with->status != BATCH_OK) {
        b->status = b->with->status;
        return;
    }
    if (b->idempotent && is_repeat(g, b))
        return;
    drop_duplicates(g, b);
    if (b->type == RECORD_UNIQUE && g->j->config.sift)
        g->j->config.sift(b, g->j->config.arg);
    if (b->body.n == 0 && !b->idempotent)
        return; /* nothing to remember: all its lines are there already, or it had none */
    if (b->idempotent)
        table_set(&g->keys, key_hash(b), (uint32_t)i);
    encode(g, b);
}

/* ---- write ---- */

/* All of v at `offset`; errno on -1. Changes v. */
static int write_iov(int fd, struct iovec *v, size_t n, uint64_t offset)
{
    while (n > 0) {
        ssize_t done = pwritev(fd, v, (int)(n > IOV_MAX ? IOV_MAX : n), (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        offset += (uint64_t)done;
        bool any = done > 0;
        while (n > 0 && (size_t)done >= v->iov_len) {
            any |= v->iov_len == 0;
            done -= (ssize_t)v->iov_len;
            v++, n--;
        }
        if (!any) {
            errno = EIO; /* a write that takes nothing and says nothing */
            return -1;
        }
        if (n > 0) {
            v->iov_base = (char *)v->iov_base + done;
            v->iov_len -= (size_t)done;
        }
    }
    return 0;
}

static bool is_full(int sys) { return sys == ENOSPC || sys == EDQUOT || sys == EFBIG; }

/* The disk failed: nothing is accepted any more, and the server is told. */
static enum batch_status fail(struct journal *j, const struct err *e)
{
    log_error("journal", "what=\"the disk failed, accepting nothing more\" why=\"%s\"", e->text);
    pthread_mutex_lock(&j->lock);
    j->failed = true;
    pthread_mutex_unlock(&j->lock);
    return BATCH_FAILED;
}

/* No room for the group: the file ends where it began, and that is durable before anybody hears of it. */
static enum batch_status give_back(struct group *g, struct err *e)
{
    struct journal *j = g->j;
    log_warn("journal", "what=\"disk full, refusing a group\" batches=%zu why=\"%s\"", g->n, e->text);
    if (ftruncate(j->fd, (off_t)j->end) == 0 && fdatasync(j->fd) == 0)
        return BATCH_FULL;
    err_sys(e, "cut journal file %llu at %llu", (unsigned long long)j->number, (unsigned long long)j->end);
    return fail(j, e);
}

static enum batch_status write_group(struct group *g, struct err *e)
{
    struct journal *j = g->j;
    for (size_t i = 0; i < g->iov_n; i += 2) /* heads moves no more */
        g->iov[i].iov_base = g->heads.p + (size_t)g->iov[i].iov_base;
    if (write_iov(j->fd, g->iov, g->iov_n, j->end) < 0) {
        int sys = errno;
        err_sys(e, "write journal file %llu", (unsigned long long)j->number);
        return is_full(sys) ? give_back(g, e) : fail(j, e);
    }
    usec began = clock_mono();
    if (fdatasync(j->fd) < 0) { /* never tried again: the kernel may have thrown the pages away */
        err_sys(e, "sync journal file %llu", (unsigned long long)j->number);
        return fail(j, e);
    }
    g->sync_us = clock_mono() - began;
    return BATCH_OK;
}

/* ---- settle ---- */

static void learn(struct windows *w, const struct batch *b)
{
    struct window *a = b->idempotent || b->ids_n ? windows_app(w, b->app) : NULL;
    for (size_t i = 0; i < b->ids_n; i++)
        window_add_id(a, b->ids[i].hash, b->recv_us);
    if (!b->idempotent)
        return;
    char *reply = reply_of(b);
    window_add_key(a, b->idem_key, b->idem_body, str_of(reply), b->recv_us);
    free(reply);
}

static usec window_from(const struct journal *j)
{
    usec from = j->recv_us - j->config.window, lost = windows_lost_until(j->windows);
    from = j->known_from > from ? j->known_from : from;
    from = lost > from ? lost : from;
    return from > 0 ? from : 0;
}

/* The group is durable. */
static void settle(struct group *g)
{
    struct journal *j = g->j;
    for (size_t i = 0; i < g->n; i++) {
        struct batch *b = g->batch[i];
        if (b->seq == 0)
            continue;
        learn(j->windows, b);
        j->recv_us = b->recv_us > j->recv_us ? b->recv_us : j->recv_us;
    }
    j->seq += g->records;
    j->end += g->bytes;
    usec from = window_from(j);
    size_t memory = windows_bytes(j->windows);

    pthread_mutex_lock(&j->lock);
    struct jfile *f = &j->file[j->file_n - 1];
    f->last_seq = j->seq;
    f->size = j->end;
    f->recv_us = j->recv_us;
    j->stats.last_seq = j->seq;
    j->stats.last_recv_us = j->recv_us;
    j->stats.batches += g->records;
    j->stats.events += g->events;
    j->stats.duplicates += g->duplicates;
    j->stats.syncs += g->records > 0;
    j->stats.sync_us_last = g->records ? g->sync_us : j->stats.sync_us_last;
    j->stats.window_from = from;
    j->stats.window_bytes = memory;
    pthread_cond_broadcast(&j->synced);
    pthread_mutex_unlock(&j->lock);
    for (size_t i = 0; i < g->n && j->config.publish; i++)
        if (g->batch[i]->seq)
            j->config.publish(g->batch[i], j->config.arg);
}

static void answer_all(struct group *g, enum batch_status fate)
{
    for (size_t i = 0; i < g->n; i++) {
        struct batch *b = g->batch[i];
        if (fate != BATCH_OK) {
            b->status = fate;
            b->seq = 0;
            free(b->repeat);
            b->repeat = NULL;
        }
        b->done(b, b->arg); /* may free it */
    }
}

static void group_reset(struct group *g)
{
    table_reset(&g->ids);
    table_reset(&g->keys);
    if (g->heads.cap > 4 << 20)
        buf_done(&g->heads);
    buf_reset(&g->heads);
    g->n = g->iov_n = g->taken = 0;
    g->bytes = g->records = g->events = g->duplicates = 0;
    g->sync_us = 0;
}

static enum batch_status commit(struct group *g, struct err *e)
{
    struct journal *j = g->j;
    if (j->failed) /* set by this thread only */
        return BATCH_FAILED;
    if (j->end >= j->config.file_bytes && journal_roll(j, e) < 0)
        return is_full(e->sys) ? BATCH_FULL : fail(j, e);
    for (size_t i = 0; i < g->n; i++)
        judge(g, i);
    return g->records ? write_group(g, e) : BATCH_OK;
}

/* Waits for batches and takes them all; false: closing and none is left. */
static bool take(struct group *g)
{
    struct journal *j = g->j;
    pthread_mutex_lock(&j->lock);
    while (!j->first && !j->closing)
        pthread_cond_wait(&j->work, &j->lock);
    for (struct batch *b = j->first, *next; b; b = next) {
        next = b->next;
        b->next = NULL;
        b->status = BATCH_OK;
        b->seq = 0;
        if (g->n == g->cap)
            g->batch = xrealloc(g->batch, (g->cap = g->cap ? 2 * g->cap : 64) * sizeof(struct batch *));
        g->batch[g->n++] = b;
        g->taken += b->body.n;
    }
    j->first = NULL;
    j->last = &j->first;
    g->disk_low = journal_disk_low(j, g->taken, true);
    pthread_mutex_unlock(&j->lock);
    return g->n > 0;
}

void *journal_run(void *journal)
{
    struct journal *j = journal;
    struct group g = {.j = j, .heads = BUF_INIT(1u << 30)};
    bool told = false;
    struct err e;
    pthread_setname_np(pthread_self(), "journal");
    while (take(&g)) {
        enum batch_status fate = commit(&g, &e);
        if (j->config.sifted)
            j->config.sifted(fate == BATCH_OK, j->config.arg);
        if (fate == BATCH_OK)
            settle(&g);
        pthread_mutex_lock(&j->lock);
        j->queued_batches -= g.n;
        j->queued_bytes -= g.taken;
        pthread_mutex_unlock(&j->lock);
        answer_all(&g, fate);
        if (fate == BATCH_FAILED && !told && j->config.on_fatal)
            j->config.on_fatal(&e, j->config.arg);
        told |= fate == BATCH_FAILED;
        group_reset(&g);
    }
    table_done(&g.ids);
    table_done(&g.keys);
    buf_done(&g.heads);
    free(g.batch);
    free(g.iov);
    return NULL;
}
