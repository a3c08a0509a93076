/* tests/crash/journal_driver.c - a program that does nothing but use a journal, and says what it was told.
 *
 *   journal_driver DIR WRITERS FIRST COUNT AGAIN
 *
 * Each writer submits its batches FIRST .. FIRST+COUNT-1 (tests/lib/batches.h), a few at a time, and now and then one
 * again that was acknowledged. The first AGAIN of them may have been sent by a driver before this one: only those with
 * a key or event_ids are. A follower reads along and releases files. One write(2) a line on standard output:
 *   ack W N SEQ   stored, durable               there W N   known already
 *   full W N, failed W N   refused              wrong W N   what was acknowledged was stored again
 *   release SEQ   is about to be released
 * Exit 0: done; 1: the journal did not open; 3: it said that the disk failed. It is killed, recorded and lied to by
 * journal_crash and tests/lib/fault.c. */
#include "batches.h"
#include "base/clock.h"
#include "base/err.h"
#include "journal/journal.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <unistd.h>

enum { OUTSTANDING = 4, RELEASE_EVERY = 15, WRITERS_MAX = 16 };

static struct journal *j;
static _Atomic usec stamp;
static uint64_t first, count, resent;
static atomic_bool fatal;
static sem_t room[WRITERS_MAX];

struct attempt {
    uint64_t writer, n;
    bool again; /* it was acknowledged before */
};

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

static void submit(uint64_t writer, uint64_t n, bool again);
static bool is_told_apart(uint64_t writer, uint64_t n)
{
    return batch_idempotent(writer, n) || batch_has_ids(writer, n);
}

static void answered(struct batch *b, void *arg)
{
    struct attempt *a = arg;
    unsigned long long w = a->writer, n = a->n;
    bool stored = b->status == BATCH_OK && b->accepted > 0;
    if (b->status == BATCH_FULL)
        say("full %llu %llu\n", w, n);
    else if (b->status == BATCH_FAILED)
        say("failed %llu %llu\n", w, n);
    else if (a->again && stored)
        say("wrong %llu %llu\n", w, n);
    else if (stored)
        say("ack %llu %llu %llu\n", w, n, (unsigned long long)b->seq);
    else if (!a->again)
        say("there %llu %llu\n", w, n);
    bool again = stored && !a->again && n % 3 == 0 && is_told_apart(w, n);
    batch_free(b);
    free(a);
    if (again)
        submit(w, n, true);
    else
        sem_post(&room[w]);
}

static void submit(uint64_t writer, uint64_t n, bool again)
{
    struct attempt *a = xmalloc(sizeof *a);
    *a = (struct attempt){writer, n, again};
    struct batch *b = batch_make(writer, n, batch_stamp(&stamp, clock_now()));
    b->done = answered;
    b->arg = a;
    journal_submit(j, b);
}

static void *write_batches(void *arg)
{
    uint64_t writer = (uint64_t)(uintptr_t)arg;
    for (uint64_t n = first; n < first + count && !atomic_load(&fatal); n++) {
        if (n < first + resent && !is_told_apart(writer, n))
            continue;
        sem_wait(&room[writer]);
        submit(writer, n, false);
    }
    for (int i = 0; i < OUTSTANDING; i++)
        sem_wait(&room[writer]);
    return NULL;
}

static void *follow(void *arg)
{
    struct journal_reader *r = arg;
    struct record rec;
    struct err e;
    uint64_t read = 0;
    while (journal_reader_next(r, -1, &rec, &e) == 1)
        if (++read % RELEASE_EVERY == 0 && rec.seq > 2 * RELEASE_EVERY) {
            say("release %llu\n", (unsigned long long)rec.seq - RELEASE_EVERY);
            (void)!journal_release(j, rec.seq - RELEASE_EVERY, &e);
        }
    return NULL;
}

static void on_fatal(const struct err *e, void *arg)
{
    (void)e, (void)arg;
    atomic_store(&fatal, true);
}

int main(int argc, char **argv)
{
    struct err e;
    struct journal_reader *r;
    struct journal_stats st;
    pthread_t writer[WRITERS_MAX], follower;
    if (argc != 6)
        return 2;
    size_t writers = (size_t)atoi(argv[2]);
    first = (uint64_t)atoll(argv[3]);
    count = (uint64_t)atoll(argv[4]);
    resent = (uint64_t)atoll(argv[5]);
    assert(writers <= WRITERS_MAX);
    struct journal_config c = {.dir = argv[1], .reserve_bytes = 1, .file_bytes = 6000, .on_fatal = on_fatal};
    if (journal_open(&c, &j, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    journal_stats(j, &st);
    atomic_store(&stamp, st.last_recv_us);
    if (journal_reader_open(j, st.first_seq - 1, &r, &e) < 0)
        return 1;
    pthread_create(&follower, NULL, follow, r);
    for (uintptr_t i = 0; i < writers; i++) {
        sem_init(&room[i], 0, OUTSTANDING);
        pthread_create(&writer[i], NULL, write_batches, (void *)i);
    }
    for (size_t i = 0; i < writers; i++)
        pthread_join(writer[i], NULL);
    journal_reader_stop(r);
    pthread_join(follower, NULL);
    journal_reader_close(r);
    journal_close(j);
    return atomic_load(&fatal) ? 3 : 0;
}
