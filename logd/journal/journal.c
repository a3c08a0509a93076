#include "journal/journal.h"
#include "base/clock.h"
#include "base/log.h"
#include "journal/internal.h"

#include <unistd.h>

static struct journal *journal_new(const struct journal_config *c)
{
    struct journal *j = xcalloc(1, sizeof *j);
    pthread_condattr_t monotonic;
    j->config = *c;
    j->config.reserve_bytes = c->reserve_bytes ? c->reserve_bytes : DISK_RESERVE;
    j->config.file_bytes = c->file_bytes ? c->file_bytes : JOURNAL_FILE_BYTES;
    j->config.unsynced_bytes = c->unsynced_bytes ? c->unsynced_bytes : LIMIT_UNSYNCED;
    j->config.window = c->window ? c->window : 24 * 3600 * USEC_PER_SEC;
    j->dir = xstrdup(c->dir);
    j->disk = xstrdup(c->disk ? c->disk : c->dir);
    j->dirfd = j->fd = -1;
    j->last = &j->first;
    j->windows = windows_new(j->config.window);
    pthread_mutex_init(&j->lock, NULL);
    pthread_mutex_init(&j->releasing, NULL);
    pthread_cond_init(&j->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->synced, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return j;
}

int journal_open(const struct journal_config *c, struct journal **ret, struct err *e)
{
    struct journal *j = journal_new(c);
    if (journal_start(j, e) < 0)
        goto fail;
    if (pthread_create(&j->thread, NULL, journal_run, j) != 0) {
        err_set(e, ERR_SYS, "start the journal thread");
        goto fail;
    }
    j->running = true;
    *ret = j;
    return 0;
fail:
    journal_close(j);
    return -1;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->running) {
        pthread_mutex_lock(&j->lock);
        j->closing = true;
        pthread_cond_signal(&j->work);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->thread, NULL);
    }
    if (j->fd >= 0)
        close(j->fd);
    if (j->dirfd >= 0)
        close(j->dirfd);
    windows_free(j->windows);
    pthread_mutex_destroy(&j->lock);
    pthread_mutex_destroy(&j->releasing);
    pthread_cond_destroy(&j->work);
    pthread_cond_destroy(&j->synced);
    free(j->file);
    free(j->wfile);
    free(j->dir);
    free(j->disk);
    free(j);
}

/* BATCH_OK: there is room. A batch larger than the limit is taken when nothing else waits. */
static enum batch_status admit(struct journal *j, const struct batch *b)
{
    if (j->failed)
        return BATCH_FAILED;
    if (j->closing || (j->queued_bytes > 0 && j->queued_bytes + b->body.n > j->config.unsynced_bytes))
        return BATCH_FULL;
    if (b->type == RECORD_EVENTS && j->config.crowded && j->config.crowded(j->queued_bytes + b->body.n, j->config.arg))
        return BATCH_FULL;
    if (b->type != RECORD_ACTION && journal_disk_low(j, j->queued_bytes + b->body.n, false))
        return BATCH_FULL;
    return BATCH_OK;
}

/* Under the lock. */
static void enqueue(struct journal *j, struct batch *b)
{
    b->next = NULL;
    *j->last = b;
    j->last = &b->next;
    j->queued_batches++;
    j->queued_bytes += b->body.n;
}

void journal_submit(struct journal *j, struct batch *b)
{
    assert(b->done);
    pthread_mutex_lock(&j->lock);
    enum batch_status status = admit(j, b);
    if (status == BATCH_OK && b->with)
        status = admit(j, b->with);
    if (status == BATCH_OK) {
        if (b->with)
            enqueue(j, b->with);
        enqueue(j, b);
        pthread_cond_signal(&j->work);
    }
    pthread_mutex_unlock(&j->lock);
    if (status != BATCH_OK) {
        b->status = status;
        b->done(b, b->arg);
    }
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
};

static void wake(struct batch *b, void *waiter)
{
    struct waiter *w = waiter;
    (void)b;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->answered);
    pthread_mutex_unlock(&w->lock);
}

static void ignore(struct batch *b, void *arg) { (void)b, (void)arg; }

enum batch_status journal_commit(struct journal *j, struct batch *b)
{
    struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    assert(!pthread_equal(pthread_self(), j->thread)); /* it would wait for itself */
    b->done = wake;
    b->arg = &w;
    if (b->with)
        b->with->done = ignore;
    journal_submit(j, b);
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        pthread_cond_wait(&w.answered, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.answered);
    return b->status;
}

uint64_t journal_found_unique(const struct journal *j) { return j->found_unique; }

void journal_stats(struct journal *j, struct journal_stats *ret)
{
    pthread_mutex_lock(&j->lock);
    (void)journal_disk_low(j, 0, false);
    *ret = j->stats;
    ret->first_seq = j->file[0].first_seq;
    ret->files = j->file_n;
    ret->bytes = 0;
    for (size_t i = 0; i < j->file_n; i++)
        ret->bytes += j->file[i].size;
    for (size_t i = 0; i < j->wfile_n; i++)
        ret->bytes += j->wfile[i].size;
    ret->queued_batches = j->queued_batches;
    ret->queued_bytes = j->queued_bytes;
    pthread_mutex_unlock(&j->lock);
}

void journal_end(struct journal *j, struct journal_end *ret)
{
    pthread_mutex_lock(&j->lock);
    const struct jfile *last = &j->file[j->file_n - 1];
    *ret = (struct journal_end){
        .first_file = j->file[0].number, .file = last->number, .offset = last->size, .seq = j->stats.last_seq};
    pthread_mutex_unlock(&j->lock);
}

void journal_note_corrupt(struct journal *j, uint64_t number, uint64_t from, uint64_t to, uint64_t records)
{
    pthread_mutex_lock(&j->lock);
    bool known = false;
    for (size_t i = 0; i < j->bad_n; i++)
        known |= j->bad[i].number == number && j->bad[i].offset == from;
    if (!known) {
        if (j->bad_n == LENGTH(j->bad)) /* forget the oldest: so many are no longer told apart exactly */
            memmove(j->bad, j->bad + 1, --j->bad_n * sizeof *j->bad);
        j->bad[j->bad_n++] = (struct bad_spot){number, from};
        j->stats.corrupt_records += records;
    }
    pthread_mutex_unlock(&j->lock);
    if (!known)
        log_error("journal", "what=\"corrupt, skipped\" file=%08llu.j from=%llu to=%llu missing_records=%llu",
                  (unsigned long long)number, (unsigned long long)from, (unsigned long long)to,
                  (unsigned long long)records);
}
