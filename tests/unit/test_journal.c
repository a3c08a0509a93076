#include "unit.h"
#include "batches.h"
#include "base/file.h"
#include "journal/journal.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a folder, a journal in it, and shorthand ---- */

static char dir[64];
static struct journal *j;
static struct journal_stats st;

static void fresh_dir(void)
{
    snprintf(dir, sizeof dir, "%s/logd-journal-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir))
        abort();
}

static void remove_dir(void)
{
    char **names, path[400];
    size_t n;
    struct err e;
    if (dir_list(dir, &names, &n, &e) < 0)
        abort();
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    dir_list_free(names, n);
    rmdir(dir);
}

static struct journal_config config(void) { return (struct journal_config){.dir = dir, .reserve_bytes = 1}; }

static bool start_with(struct journal_config c)
{
    struct err e;
    if (journal_open(&c, &j, &e) < 0) {
        printf("journal_open: %s\n", e.text);
        return false;
    }
    journal_stats(j, &st);
    return true;
}

static void start(void)
{
    if (!start_with(config()))
        abort();
}

static void stop(void)
{
    journal_stats(j, &st);
    journal_close(j);
    j = NULL;
}

static enum batch_status put(uint64_t writer, uint64_t n)
{
    struct batch *b = batch_make(writer, n, (usec)(1000 + n) * USEC_PER_SEC);
    enum batch_status s = journal_commit(j, b);
    batch_free(b);
    return s;
}

/* What the files hold: "1.0 1.1 2.0", every batch whole or "?". */
static const char *content(uint64_t *ret_corrupt)
{
    static char text[100000];
    struct journal_reader *r;
    struct record rec;
    struct err e;
    size_t n = 0;
    text[0] = '\0';
    if (journal_reader_open_path(dir, 0, &r, &e) < 0)
        return "cannot open";
    int rc;
    while ((rc = journal_reader_next(r, 0, &rec, &e)) == 1) {
        uint64_t w = 0, k = 0;
        struct buf want = BUF_INIT(1 << 20);
        bool ours = batch_read_line(rec.body, &w, &k);
        if (ours)
            batch_body(&want, w, k);
        if (ours && str_eq(buf_view(&want), rec.body))
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%llu.%llu", n ? " " : "", (unsigned long long)w,
                                  (unsigned long long)k);
        else
            n += (size_t)snprintf(text + n, sizeof text - n, "%s?", n ? " " : "");
        buf_done(&want);
    }
    if (ret_corrupt)
        *ret_corrupt = journal_reader_corrupt(r);
    journal_reader_close(r);
    return rc < 0 ? "error" : text;
}

TEST(what_was_committed_is_there_after_a_restart_in_order)
{
    fresh_dir();
    start();
    CHECK_INT(st.last_seq, 0);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_INT(put(1, i), BATCH_OK);
    stop();
    CHECK_INT(st.last_seq, 3);
    CHECK_INT(st.syncs, 3);
    uint64_t corrupt = 9;
    CHECK_STR(str_of(content(&corrupt)), S("1.0 1.1 1.2"));
    CHECK_INT(corrupt, 0);
    start();
    CHECK_INT(st.last_seq, 3);
    CHECK_INT(st.first_seq, 1);
    CHECK_INT(st.last_recv_us, 1002 * USEC_PER_SEC);
    CHECK_INT(put(1, 3), BATCH_OK);
    stop();
    CHECK_INT(st.last_seq, 4);
    CHECK_STR(str_of(content(NULL)), S("1.0 1.1 1.2 1.3"));
    remove_dir();
}

/* ---- many at once ---- */

enum { WRITERS = 4, EACH = 300 };
static atomic_int published, answered;

static void count_published(struct batch *b, void *arg)
{
    (void)arg;
    CHECK(b->seq == (uint64_t)atomic_fetch_add(&published, 1) + 1);
}

static void count_answer(struct batch *b, void *arg)
{
    (void)arg;
    CHECK_INT(b->status, BATCH_OK);
    CHECK(b->seq <= (uint64_t)atomic_load(&published)); /* published before answered */
    batch_free(b);
    atomic_fetch_add(&answered, 1);
}

static void *write_many(void *arg)
{
    uint64_t writer = (uint64_t)(uintptr_t)arg;
    for (uint64_t i = 0; i < EACH; i++) {
        struct batch *b = batch_make(writer, i, (usec)(1000 + i) * USEC_PER_SEC);
        if (i % 20 == 19) {
            (void)journal_commit(j, b);
            count_answer(b, NULL);
            continue;
        }
        b->done = count_answer;
        journal_submit(j, b);
    }
    return NULL;
}

static void *read_live(void *arg)
{
    struct journal_reader *r = arg;
    struct record rec;
    struct err e;
    uint64_t seen = 0, next[WRITERS] = {0};
    while (seen < WRITERS * EACH && journal_reader_next(r, 10 * USEC_PER_SEC, &rec, &e) == 1) {
        uint64_t w = 0, n = 0;
        CHECK(batch_read_line(rec.body, &w, &n) && w < WRITERS && n == next[w]);
        if (w < WRITERS)
            next[w]++;
        CHECK(rec.seq == ++seen);
    }
    return (void *)(uintptr_t)seen;
}

TEST(writers_share_syncs_and_a_live_reader_gets_all_in_order)
{
    pthread_t writer[WRITERS], reader;
    struct journal_reader *r;
    struct err e;
    void *seen;
    fresh_dir();
    struct journal_config c = config();
    c.file_bytes = 100000;
    c.publish = count_published;
    if (!start_with(c))
        abort();
    CHECK_INT(journal_reader_open(j, 0, &r, &e), 0);
    pthread_create(&reader, NULL, read_live, r);
    for (uintptr_t i = 0; i < WRITERS; i++)
        pthread_create(&writer[i], NULL, write_many, (void *)i);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(writer[i], NULL);
    pthread_join(reader, &seen);
    CHECK_INT((uintptr_t)seen, WRITERS * EACH);
    journal_reader_close(r);
    stop();
    CHECK_INT(st.last_seq, WRITERS * EACH);
    CHECK_INT(atomic_load(&answered), WRITERS * EACH);
    CHECK(st.syncs < st.batches);
    CHECK(st.files > 2);
    CHECK_INT(st.queued_batches, 0);
    CHECK_INT(st.queued_bytes, 0);
    remove_dir();
}

TEST(a_stopped_reader_wakes_at_once)
{
    struct journal_reader *r;
    pthread_t reader;
    struct err e;
    fresh_dir();
    start();
    CHECK_INT(journal_reader_open(j, 0, &r, &e), 0);
    pthread_create(&reader, NULL, read_live, r);
    journal_reader_stop(r);
    pthread_join(reader, NULL);
    journal_reader_close(r);
    stop();
    remove_dir();
}

UNIT_MAIN
