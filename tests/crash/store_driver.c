/* tests/crash/store_driver.c - a journal and a store, put together as `logd serve` does, and nothing else.
 *
 *   store_driver DIR FIRST COUNT HEAD_BYTES
 *
 * Sends the batches FIRST .. FIRST+COUNT-1 of each writer (store_batches.h), a few at a time. The head is sealed every
 * HEAD_BYTES; journal files go when the store is past them. Reception moves on by ten minutes a batch, so that days
 * close while it runs and are merged at once. One write(2) a line on standard output:
 *   ack W N        stored, durable              full W N, failed W N   refused
 *   sealed SEQ     a segment is there
 *   merged N       merges that were done
 * Exit 0: done; 1: it did not open; 3: the journal said that the disk failed; 4: at the end the head could not be sealed,
 * or the days not merged.
 * It is killed, recorded and lied to by store_crash and tests/lib/fault.c. */
#include "store_open.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>

enum { OUTSTANDING = 6, SEAL_TRIES = 40 };

static struct opened o;
static _Atomic usec stamp;
static atomic_bool fatal;
static sem_t room;
static atomic_bool done;

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
    char line[128];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    (void)!write(STDOUT_FILENO, line, (size_t)n);
}

static void answered(struct batch *b, void *arg)
{
    unsigned w = (unsigned)((uintptr_t)arg >> 32), n = (unsigned)(uintptr_t)arg;
    say("%s %u %u\n", b->status == BATCH_OK ? "ack" : b->status == BATCH_FULL ? "full" : "failed", w, n);
    batch_free(b);
    sem_post(&room);
}

static void submit(uint64_t writer, uint64_t n)
{
    usec recv = batch_stamp(&stamp, atomic_load(&stamp) + 600 * USEC_PER_SEC);
    struct batch *b = batch_make(writer, n, recv);
    b->done = answered;
    b->arg = (void *)(uintptr_t)(writer << 32 | n);
    sem_wait(&room);
    journal_submit(o.journal, b);
}

/* Batches come so fast that all would go into one segment: gives the store some time. */
static void let_it_seal(size_t head_bytes)
{
    struct store_stats st;
    for (int i = 0; i < 20; i++) {
        store_stats(o.store, &st);
        if (st.head_bytes < head_bytes)
            return;
        usleep(300);
    }
}

static void on_sealed(const char *path, uint64_t first_seq, uint64_t last_seq, void *arg)
{
    struct err e;
    (void)path, (void)first_seq, (void)arg;
    say("sealed %llu\n", (unsigned long long)last_seq);
    if (o.store) /* not while it opens */
        (void)!journal_release(o.journal, store_sealed(o.store), &e);
}

static void on_fatal(const struct err *e, void *arg)
{
    (void)e, (void)arg;
    atomic_store(&fatal, true);
}

static void *merge_all_the_time(void *arg)
{
    struct err e;
    while (!done) {
        (void)!store_merge(o.store, &e);
        usleep(500);
    }
    return arg;
}

/* What a call that fails once makes fail is done again. */
static bool finish(void)
{
    struct err e;
    struct store_stats st;
    bool right = false;
    for (int i = 0; i < SEAL_TRIES && !right; i++)
        right = store_seal(o.store, &e) == 0;
    for (int i = 0; i < SEAL_TRIES && right; i++)
        if ((right = store_merge(o.store, &e) == 0))
            break;
        else
            right = i < SEAL_TRIES - 1;
    if (!right)
        fprintf(stderr, "%s\n", e.text);
    store_stats(o.store, &st);
    say("merged %llu\n", (unsigned long long)st.merges);
    return right;
}

int main(int argc, char **argv)
{
    struct err e;
    struct journal_stats st;
    if (argc != 5)
        return 2;
    uint64_t first = (uint64_t)atoll(argv[2]), count = (uint64_t)atoll(argv[3]);
    struct journal_config jc = {.on_fatal = on_fatal};
    struct store_config sc = {.head_bytes = (size_t)atoll(argv[4]), .on_sealed = on_sealed};
    if (open_both(argv[1], &jc, &sc, &o, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    journal_stats(o.journal, &st);
    usec begin = clock_now() - 30 * 86400 * USEC_PER_SEC;
    atomic_store(&stamp, st.last_recv_us ? st.last_recv_us : begin);
    sem_init(&room, 0, OUTSTANDING);
    pthread_t merger;
    pthread_create(&merger, NULL, merge_all_the_time, NULL);
    for (uint64_t n = first; n < first + count && !atomic_load(&fatal); n++) {
        for (uint64_t w = 0; w < WRITERS; w++)
            submit(w, n);
        let_it_seal(sc.head_bytes);
    }
    for (int i = 0; i < OUTSTANDING; i++)
        sem_wait(&room);
    done = true;
    pthread_join(merger, NULL);
    bool right = finish();
    if (right)
        (void)!journal_release(o.journal, store_sealed(o.store), &e);
    close_both(&o);
    return atomic_load(&fatal) ? 3 : right ? 0 : 4;
}
