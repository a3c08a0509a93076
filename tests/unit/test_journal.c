#include "unit.h"
#include "batches.h"
#include "base/file.h"
#include "journal/journal.h"

#include "base/clock.h"
#include "journal/format.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

static struct buf slurp(const char *name)
{
    char path[400];
    struct buf b = BUF_INIT(1 << 26);
    struct err e;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (file_read(path, 1 << 26, &b, &e) < 0)
        printf("%s\n", e.text);
    return b;
}

static void spill(const char *name, const void *p, size_t n)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (fd < 0 || write_all(fd, str_n(p, n)) < 0)
        abort();
    close(fd);
}

static bool exists(const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
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

TEST(a_start_tells_the_newest_unique_record_and_no_other)
{
    fresh_dir();
    start();
    CHECK_INT(put(1, 0), BATCH_OK);
    stop();
    start();
    CHECK_INT(journal_found_unique(j), 0);
    for (int i = 0; i < 2; i++) {
        struct batch *b = batch_new(RECORD_UNIQUE, 1, 0);
        buf_lit(&b->body, "a place");
        CHECK_INT(journal_commit(j, b), BATCH_OK);
        batch_free(b);
    }
    CHECK_INT(put(1, 1), BATCH_OK);
    stop();
    start();
    CHECK_INT(journal_found_unique(j), 3);
    stop();
    remove_dir();
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

/* ---- what a crash leaves ---- */

/* Holds the journal thread in `publish`, so that what is submitted meanwhile becomes one group. */
static sem_t held, go;
static bool hold;

static void gate(struct batch *b, void *arg)
{
    (void)b, (void)arg;
    if (!hold)
        return;
    sem_post(&held);
    sem_wait(&go);
}

static void keep_answer(struct batch *b, void *arg) { (void)b, sem_post(arg); }

/* Commits `first`, and all of `list` together as the next group. */
static void put_group(struct batch *first, struct batch **list, size_t n)
{
    sem_t done;
    sem_init(&done, 0, 0);
    sem_init(&held, 0, 0);
    sem_init(&go, 0, 0);
    hold = true;
    first->done = keep_answer;
    first->arg = &done;
    journal_submit(j, first);
    sem_wait(&held);
    hold = false;
    for (size_t i = 0; i < n; i++) {
        list[i]->done = keep_answer;
        list[i]->arg = &done;
        journal_submit(j, list[i]);
    }
    sem_post(&go);
    for (size_t i = 0; i < n + 1; i++)
        sem_wait(&done);
}

static struct batch *make(uint64_t writer, uint64_t n)
{
    return batch_make(writer, n, (usec)(1000 + n) * USEC_PER_SEC);
}

/* A journal of three groups: 1.0 | 1.1 | 2.0 2.1 2.2; its only file, and where each record begins. */
static struct buf three_groups(size_t at[6])
{
    struct batch *b[3] = {make(2, 0), make(2, 1), make(2, 2)}, *first = make(1, 1);
    fresh_dir();
    struct journal_config c = config();
    c.publish = gate;
    if (!start_with(c))
        abort();
    CHECK_INT(put(1, 0), BATCH_OK);
    put_group(first, b, 3);
    stop();
    CHECK_INT(st.syncs, 3);
    CHECK_INT(st.last_seq, 5);
    struct buf file = slurp("00000001.j");
    size_t n = 0;
    for (size_t i = FILE_HEADER; i < file.n; n++) {
        struct record_header h;
        CHECK(n < 5 && record_header_read(file.p + i, 1, i, &h) == HEADER_OK);
        CHECK_INT(h.group, n < 2 ? i : at[2] ? at[2] : i);
        at[n] = i;
        i += record_size(&h);
    }
    CHECK_INT(n, 5);
    at[5] = file.n;
    batch_free(first);
    for (size_t i = 0; i < 3; i++)
        batch_free(b[i]);
    return file;
}

/* The disk cannot read this part of any file: takes libc's place, in the library too. */
static uint64_t bad_from, bad_to;
ssize_t pread(int fd, void *p, size_t n, off_t offset)
{
    if ((uint64_t)offset < bad_to && (uint64_t)offset + n > bad_from) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, p, n, offset);
}

TEST(a_sector_that_cannot_be_read_costs_its_records_and_at_the_end_stops_the_start)
{
    struct err e;
    struct journal_config c = config();
    fresh_dir();
    start();
    for (uint64_t i = 0; i < 60; i++)
        CHECK_INT(put(1, i), BATCH_OK);
    stop();
    struct buf before = slurp("00000001.j");
    CHECK(before.n > 4 * 4096);
    bad_from = 8192, bad_to = 8200;
    start();
    stop();
    CHECK(st.last_seq == 60 && st.torn_bytes == 0 && st.corrupt_records > 0 && st.corrupt_records < 30);
    bad_from = before.n - 1, bad_to = before.n; /* an end that was never synced, or one that was? */
    CHECK(journal_open(&c, &j, &e) < 0 && e.sys == EIO);
    bad_from = 0, bad_to = 1;
    start();
    stop();
    CHECK(st.last_seq == 60 && st.torn_bytes == 0);
    bad_from = bad_to = 0;
    struct buf after = slurp("00000001.j");
    CHECK(str_eq(buf_view(&after), buf_view(&before)));
    buf_done(&before);
    buf_done(&after);
    remove_dir();
}

static const char *const whole[] = {"", "1.0", "1.0 1.1", "1.0 1.1 2.0", "1.0 1.1 2.0 2.1", "1.0 1.1 2.0 2.1 2.2"};

/* Starts on these bytes; what is there then, what was cut and what was counted is as told; and it can be written on. */
static void expect(const void *p, size_t n, const char *want, size_t torn, size_t corrupt)
{
    char after[400];
    uint64_t skipped;
    spill("00000001.j", p, n);
    /* a reader of the files alone agrees with what start will do */
    CHECK_STR(str_of(content(&skipped)), str_of(want));
    CHECK_INT(skipped, corrupt);
    start();
    CHECK_INT(st.torn_bytes, torn);
    CHECK_INT(st.corrupt_records, corrupt);
    CHECK_INT(put(3, 7), BATCH_OK);
    stop();
    snprintf(after, sizeof after, "%s%s3.7", want, *want ? " " : "");
    CHECK_STR(str_of(content(&skipped)), str_of(after));
    CHECK_INT(skipped, corrupt);
    start();
    CHECK_INT(st.torn_bytes, 0);
    CHECK_INT(st.corrupt_records, corrupt);
    stop();
}

static size_t whole_before(const size_t at[6], size_t cut)
{
    size_t k = 0;
    while (k < 5 && at[k + 1] <= cut)
        k++;
    return k;
}

TEST(torn_tail_is_cut_at_start)
{
    size_t at[6] = {0};
    struct buf file = three_groups(at);
    for (size_t cut = at[2]; cut <= at[5]; cut++) {
        size_t k = whole_before(at, cut);
        expect(file.p, cut, whole[k], cut - at[k], 0);
    }
    buf_done(&file);
    remove_dir();
}

TEST(a_tail_of_zeros_is_cut_at_start)
{
    size_t at[6] = {0};
    struct buf file = three_groups(at);
    char *copy = xmalloc(file.n + 5000);
    for (size_t from = at[2]; from <= at[5]; from++) {
        memset(copy, 0, file.n + 5000);
        memcpy(copy, file.p, from);
        size_t n = from % 2 ? file.n : file.n + 5000, k = 0; /* the size may have reached the disk before the data */
        while (k < 5 && memcmp(copy + at[k], file.p + at[k], at[k + 1] - at[k]) == 0)
            k++;
        expect(copy, n, whole[k], n - at[k], 0);
    }
    free(copy);
    buf_done(&file);
    remove_dir();
}

TEST(a_group_torn_in_its_middle_is_cut_there_though_its_end_is_whole)
{
    size_t at[6] = {0};
    struct buf file = three_groups(at);
    memset(file.p + at[3], 0, 20);
    expect(file.p, file.n, whole[3], file.n - at[3], 0);
    buf_done(&file);
    remove_dir();
}

TEST(a_flipped_bit_in_what_was_synced_costs_one_record_and_is_counted)
{
    size_t at[6] = {0};
    struct buf file = three_groups(at);
    for (size_t i = at[0]; i < at[2]; i++) {
        file.p[i] ^= (char)(1 << i % 8);
        expect(file.p, file.n, i < at[1] ? "1.1 2.0 2.1 2.2" : "1.0 2.0 2.1 2.2", 0, 1);
        file.p[i] ^= (char)(1 << i % 8);
    }
    buf_done(&file);
    remove_dir();
}

TEST(damage_in_one_record_of_a_synced_group_leaves_its_other_records)
{
    size_t at[6] = {0};
    struct buf file = three_groups(at);
    spill("00000001.j", file.p, file.n);
    start();
    CHECK_INT(put(3, 0), BATCH_OK); /* a group after it: it was synced */
    stop();
    buf_done(&file);
    file = slurp("00000001.j");
    file.p[at[3] + 100] ^= 4;
    expect(file.p, file.n, "1.0 1.1 2.0 2.2 3.0", 0, 1);
    file.p[at[2]] ^= 4;
    expect(file.p, file.n, "1.0 1.1 2.2 3.0", 0, 2);
    buf_done(&file);
    remove_dir();
}

TEST(a_damaged_file_header_costs_no_record)
{
    size_t at[6] = {0};
    struct buf file = three_groups(at);
    for (size_t i = 0; i < FILE_HEADER; i++) {
        file.p[i] ^= 0x40;
        expect(file.p, file.n, whole[5], 0, 1);
        file.p[i] ^= 0x40;
    }
    buf_done(&file);
    remove_dir();
}

static struct journal_config small_files(void)
{
    struct journal_config c = config();
    c.file_bytes = 400; /* a record or two */
    return c;
}

/* Files 1, 2, 3 … with the batches 1.0 to 1.9 */
static void many_files(void)
{
    fresh_dir();
    if (!start_with(small_files()))
        abort();
    for (uint64_t i = 0; i < 10; i++)
        CHECK_INT(put(1, i), BATCH_OK);
    stop();
    CHECK(st.files >= 4);
}

TEST(a_new_file_that_was_not_finished_is_made_again)
{
    many_files();
    char next[32], unfinished[40];
    journal_name(st.files + 1, FILE_JOURNAL, next);
    snprintf(unfinished, sizeof unfinished, "%s.tmp", next);
    spill(unfinished, "anything", 8);
    if (!start_with(small_files()))
        abort();
    CHECK(st.last_seq == 10 && st.corrupt_records == 0 && !exists(next));
    CHECK_INT(put(1, 10), BATCH_OK);
    CHECK_INT(put(1, 11), BATCH_OK);
    stop();
    CHECK(exists(next) && !exists(unfinished));
    uint64_t corrupt;
    CHECK_STR(str_of(content(&corrupt)), S("1.0 1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.8 1.9 1.10 1.11"));
    CHECK_INT(corrupt, 0);
    remove_dir();
}

TEST(an_empty_last_file_goes_on_with_the_numbers)
{
    fresh_dir();
    struct journal_config c = config();
    c.after_seq = 41;
    if (!start_with(c))
        abort();
    CHECK_INT(st.first_seq, 42);
    CHECK_INT(st.last_seq, 41);
    stop();
    start();
    CHECK_INT(st.last_seq, 41);
    CHECK_INT(put(1, 0), BATCH_OK);
    stop();
    CHECK_INT(st.last_seq, 42);
    CHECK_INT(st.corrupt_records, 0);
    remove_dir();
}

TEST(a_number_a_follower_has_seen_is_never_given_again)
{
    size_t at[6] = {0};
    struct buf file = three_groups(at);
    spill("00000001.j", file.p, at[4]); /* record 5 is gone, a follower has applied it */
    struct journal_config c = config();
    c.after_seq = 5;
    if (!start_with(c))
        abort();
    CHECK_INT(st.corrupt_records, 1);
    struct batch *b = make(3, 0);
    CHECK_INT(journal_commit(j, b), BATCH_OK);
    CHECK_INT(b->seq, 6);
    batch_free(b);
    stop();
    uint64_t corrupt;
    CHECK_STR(str_of(content(&corrupt)), S("1.0 1.1 2.0 2.1 3.0"));
    CHECK_INT(corrupt, 1);
    buf_done(&file);
    remove_dir();
}

static const char *refusal(void)
{
    static struct err e;
    struct journal_config c = config();
    if (journal_open(&c, &j, &e) < 0)
        return strchr(e.text, '\'') ? e.text + strlen(dir) + 2 : e.text;
    stop();
    return "opened";
}

TEST(a_file_of_a_newer_version_is_refused_and_left_alone)
{
    many_files();
    struct buf file = slurp("00000002.j"), again;
    file.p[8] = 2;
    uint64_t sum = xxh64(file.p, 56, 0);
    memcpy(file.p + 56, &sum, 8);
    spill("00000002.j", file.p, file.n);
    CHECK_STR(str_of(refusal()), S("00000002.j' was written by a newer logd: this one reads version 1"));
    again = slurp("00000002.j");
    CHECK_STR(buf_view(&again), buf_view(&file));
    buf_done(&file);
    buf_done(&again);
    remove_dir();
}

TEST(a_foreign_file_is_refused_and_other_names_are_ignored)
{
    many_files();
    spill("notes.txt", "hello", 5);
    spill("1.j", "hello", 5);
    spill("00000000.j", "hello", 5);
    CHECK_STR(str_of(refusal()), S("opened"));
    for (int last = 0; last < 2; last++) {
        const char *name = last ? "00000099.j" : "00000001.j";
        spill(name, "hello", 5);
        char want[100];
        snprintf(want, sizeof want, "%s' is not a journal file: move it out of the folder", name);
        CHECK_STR(str_of(refusal()), str_of(want));
        if (!last)
            many_files();
    }
    remove_dir();
}

TEST(damage_at_the_end_of_an_earlier_file_is_counted_exactly)
{
    many_files();
    struct buf file = slurp("00000002.j");
    struct record_header h;
    CHECK(record_header_read(file.p + FILE_HEADER, 2, FILE_HEADER, &h) == HEADER_OK);
    file.p[file.n - 3] ^= 1;
    spill("00000002.j", file.p, file.n);
    start();
    CHECK_INT(st.corrupt_records, 1);
    CHECK_INT(st.torn_bytes, 0);
    stop();
    spill("00000002.j", file.p, FILE_HEADER); /* all its records */
    uint64_t corrupt, lost = 0;
    start();
    lost = st.corrupt_records;
    stop();
    const char *left = content(&corrupt);
    CHECK_INT(corrupt, lost);
    size_t words = 1;
    for (const char *c = left; *c; c++)
        words += *c == ' ';
    CHECK_INT(words + lost, 10);
    buf_done(&file);
    remove_dir();
}

TEST(a_missing_file_is_counted_by_the_numbers_it_leaves_out)
{
    many_files();
    char path[400];
    snprintf(path, sizeof path, "%s/00000002.j", dir);
    unlink(path);
    uint64_t corrupt;
    const char *left = content(&corrupt);
    size_t words = 1;
    for (const char *c = left; *c; c++)
        words += *c == ' ';
    CHECK(corrupt > 0);
    CHECK_INT(words + corrupt, 10);
    start();
    CHECK_INT(st.corrupt_records, corrupt);
    /* a live reader meets the same, and it is not counted twice */
    struct journal_reader *r;
    struct record rec;
    struct err e;
    CHECK_INT(journal_reader_open(j, 0, &r, &e), 0);
    while (journal_reader_next(r, 0, &rec, &e) == 1)
        ;
    CHECK_INT(journal_reader_corrupt(r), corrupt);
    journal_reader_close(r);
    stop();
    CHECK_INT(st.corrupt_records, corrupt);
    remove_dir();
}

TEST(a_reader_begins_after_any_record_and_misses_none)
{
    many_files();
    start();
    for (uint64_t after = 0; after <= 10; after++) {
        struct journal_reader *r;
        struct record rec;
        struct err e;
        uint64_t want = after;
        CHECK_INT(journal_reader_open(j, after, &r, &e), 0);
        while (journal_reader_next(r, 0, &rec, &e) == 1)
            CHECK_INT(rec.seq, ++want);
        CHECK_INT(want, 10);
        CHECK_INT(journal_reader_corrupt(r), 0);
        journal_reader_close(r);
    }
    stop();
    remove_dir();
}

/* ---- the windows ---- */

static struct batch *keyed(uint64_t n, uint64_t body, usec at)
{
    struct batch *b = batch_new(RECORD_EVENTS, 1, at);
    buf_printf(&b->body, "{\"n\":%llu}\n", (unsigned long long)n);
    b->events = b->accepted = 1;
    b->idempotent = true;
    memcpy(b->idem_key, &n, 8);
    memcpy(b->idem_body, &body, 8);
    return b;
}

enum { HOURS_TO_DAY0 = 480000 };
static const usec hour = 3600 * USEC_PER_SEC, day0 = HOURS_TO_DAY0 * (3600 * USEC_PER_SEC);

/* Sends key n with this body; what came of it as a word. */
static const char *send_key(uint64_t n, uint64_t body, usec at)
{
    static char text[300];
    struct batch *b = keyed(n, body, at);
    enum batch_status s = journal_commit(j, b);
    if (s == BATCH_REPEATED)
        snprintf(text, sizeof text, "repeat %s", b->repeat);
    else
        snprintf(text, sizeof text, "%s", s == BATCH_OK ? "ok" : s == BATCH_CONFLICT ? "conflict" : "refused");
    batch_free(b);
    return text;
}
#define REPLY_1 "repeat {\"accepted\":1,\"duplicates\":0,\"rejected\":0,\"errors\":[]}"

TEST(an_idempotency_key_is_a_repeat_for_24_hours_across_restarts)
{
    fresh_dir();
    start();
    CHECK_STR(str_of(send_key(7, 1, day0)), S("ok"));
    CHECK_STR(str_of(send_key(7, 1, day0 + 1)), S(REPLY_1));
    CHECK_STR(str_of(send_key(7, 2, day0 + 2)), S("conflict"));
    CHECK_STR(str_of(send_key(8, 2, day0 + 3)), S("ok"));
    stop();
    CHECK_INT(st.last_seq, 2);
    start();
    CHECK_STR(str_of(send_key(7, 1, day0 + 24 * hour)), S(REPLY_1));
    CHECK_STR(str_of(send_key(7, 2, day0 + 24 * hour)), S("conflict"));
    CHECK_STR(str_of(send_key(7, 2, day0 + 24 * hour + 2 * USEC_PER_SEC)), S("ok"));
    CHECK_STR(str_of(send_key(7, 2, day0 + 47 * hour)), S(REPLY_1));
    stop();
    remove_dir();
}

TEST(a_reply_with_rejections_is_repeated_word_for_word)
{
    fresh_dir();
    start();
    struct batch *b = keyed(1, 1, day0);
    batch_reject(b, 1, "/level", "expected one of trace, debug, got \"loud\"");
    struct buf reply = BUF_INIT(10000);
    batch_reply(b, &reply);
    CHECK_INT(journal_commit(j, b), BATCH_OK);
    batch_free(b);
    stop();
    start();
    b = keyed(1, 1, day0);
    CHECK_INT(journal_commit(j, b), BATCH_REPEATED);
    CHECK_STR(str_of(b->repeat), buf_view(&reply));
    batch_free(b);
    /* all refused: nothing is stored but the reply is remembered */
    b = keyed(2, 2, day0);
    buf_reset(&b->body);
    b->events = b->accepted = 0;
    batch_reject(b, 0, "", "expected an object");
    CHECK_INT(journal_commit(j, b), BATCH_OK);
    batch_free(b);
    b = keyed(2, 2, day0);
    CHECK_INT(journal_commit(j, b), BATCH_REPEATED);
    CHECK(strstr(b->repeat, "\"error\":\"expected an object\"") != NULL);
    batch_free(b);
    buf_done(&reply);
    stop();
    remove_dir();
}

TEST(the_same_key_twice_in_one_group_is_stored_once)
{
    struct batch *first = keyed(1, 1, day0);
    struct batch *b[3] = {keyed(2, 5, day0), keyed(2, 5, day0), keyed(2, 6, day0)};
    fresh_dir();
    struct journal_config c = config();
    c.publish = gate;
    if (!start_with(c))
        abort();
    put_group(first, b, 3);
    stop();
    CHECK_INT(st.syncs, 2);
    CHECK_INT(st.last_seq, 2);
    CHECK_INT(b[0]->status, BATCH_OK);
    CHECK_INT(b[1]->status, BATCH_REPEATED);
    CHECK(b[1]->repeat && strcmp(b[1]->repeat, &REPLY_1[7]) == 0);
    CHECK_INT(b[2]->status, BATCH_CONFLICT);
    batch_free(first);
    for (size_t i = 0; i < 3; i++)
        batch_free(b[i]);
    remove_dir();
}

/* A batch of app 1 with the ids a..z of `ids`, '-' for a line without one. */
static struct batch *with_ids(const char *ids, usec at)
{
    struct batch *b = batch_new(RECORD_EVENTS, 1, at);
    for (const char *c = ids; *c; c++) {
        size_t from = b->body.n;
        buf_printf(&b->body, "{\"id\":\"%c\"}\n", *c);
        if (*c != '-')
            batch_add_id(b, 0x9e3779b97f4a7c15u * (uint64_t)*c, from, b->body.n - from);
        b->events++, b->accepted++;
    }
    return b;
}

/* "xyz +3 =2": the ids that were stored, accepted, duplicates */
static const char *stored(const struct batch *b)
{
    static char text[100];
    size_t n = 0;
    for (size_t i = 0; i + 11 <= b->body.n; i += 11)
        text[n++] = b->body.p[i + 7];
    snprintf(text + n, sizeof text - n, " +%u =%u", b->accepted, b->duplicates);
    CHECK_INT(b->events, n);
    CHECK_INT(b->body.n, 11 * n);
    return text;
}

static const char *send_ids(const char *ids, usec at)
{
    struct batch *b = with_ids(ids, at);
    CHECK_INT(journal_commit(j, b), BATCH_OK);
    const char *text = stored(b);
    batch_free(b);
    return text;
}

TEST(a_known_event_id_is_left_out_and_counted_as_duplicate)
{
    fresh_dir();
    start();
    CHECK_STR(str_of(send_ids("abc", day0)), S("abc +3 =0"));
    CHECK_STR(str_of(send_ids("-b-d-c", day0)), S("--d- +4 =2"));
    CHECK_STR(str_of(send_ids("eef-e", day0)), S("ef- +3 =2"));
    journal_stats(j, &st);
    uint64_t seq = st.last_seq, syncs = st.syncs;
    CHECK_STR(str_of(send_ids("abcd", day0)), S(" +0 =4"));
    stop();
    CHECK_INT(st.last_seq, seq); /* nothing to store: no record, no sync */
    CHECK_INT(st.syncs, syncs);
    CHECK_INT(st.duplicates, 8);
    start();
    CHECK_STR(str_of(send_ids("fxa", day0 + 24 * hour)), S("x +1 =2"));
    CHECK_STR(str_of(send_ids("fxa", day0 + 24 * hour + 2 * USEC_PER_SEC)), S("fa +2 =1"));
    stop();
    remove_dir();
}

TEST(the_same_event_id_twice_in_one_group_is_stored_once)
{
    struct batch *first = with_ids("a", day0),
                 *b[3] = {with_ids("bc", day0), with_ids("cab", day0), with_ids("cd", day0)};
    fresh_dir();
    struct journal_config c = config();
    c.publish = gate;
    if (!start_with(c))
        abort();
    put_group(first, b, 3);
    stop();
    CHECK_STR(str_of(stored(b[0])), S("bc +2 =0"));
    CHECK_STR(str_of(stored(b[1])), S(" +0 =3"));
    CHECK_STR(str_of(stored(b[2])), S("d +1 =1"));
    CHECK_INT(b[1]->seq, 0);
    CHECK_INT(st.last_seq, 3);
    batch_free(first);
    for (size_t i = 0; i < 3; i++)
        batch_free(b[i]);
    remove_dir();
}

TEST(released_files_go_and_what_the_windows_need_stays)
{
    fresh_dir();
    struct journal_config c = small_files();
    struct err e;
    if (!start_with(c))
        abort();
    for (uint64_t i = 0; i < 20; i++) {
        CHECK_STR(str_of(send_key(i, i, day0 + (usec)i)), S("ok"));
        char id[2] = {(char)('a' + i), 0};
        struct batch *b = with_ids(id, day0 + (usec)i);
        CHECK_INT(journal_commit(j, b), BATCH_OK);
        batch_free(b);
    }
    journal_stats(j, &st);
    CHECK_INT(st.first_seq, 1);
    uint64_t files = st.files;
    CHECK_INT(journal_release(j, 0, &e), 0);
    journal_stats(j, &st);
    CHECK_INT(st.files, files);
    CHECK_INT(journal_release(j, 20, &e), 0);
    journal_stats(j, &st);
    CHECK(st.first_seq > 10 && st.first_seq <= 21);
    CHECK(!exists("00000001.j") && exists("00000001.w"));
    CHECK_INT(journal_release(j, 1000, &e), 0);
    stop();
    CHECK_INT(st.files, 1); /* the one that is written to never goes */
    CHECK_INT(st.last_seq, 40);
    for (int again = 0; again < 2; again++) {
        if (!start_with(c))
            abort();
        CHECK_INT(st.last_seq, 40);
        CHECK_INT(st.corrupt_records, 0);
        CHECK_INT(st.window_from, 0);
        for (uint64_t i = 0; i < 20; i++) {
            CHECK_STR(str_of(send_key(i, i, day0 + hour)), S(REPLY_1));
            char id[2] = {(char)('a' + i), 0};
            CHECK_STR(str_of(send_ids(id, day0 + hour)), S(" +0 =1"));
        }
        stop();
    }
    /* a day later they are of no use and go */
    if (!start_with(c))
        abort();
    CHECK_STR(str_of(send_key(99, 1, day0 + 30 * hour)), S("ok"));
    CHECK_INT(journal_release(j, 1000, &e), 0);
    CHECK(!exists("00000001.w"));
    stop();
    CHECK_INT(st.window_from, day0 + 6 * hour);
    start();
    CHECK_STR(str_of(send_key(99, 1, day0 + 30 * hour)), S(REPLY_1));
    CHECK_STR(str_of(send_key(3, 3, day0 + 30 * hour)), S("ok"));
    stop();
    remove_dir();
}

TEST(bodies_without_ids_are_not_read_when_their_file_goes)
{
    enum { RECORDS = 60, KNOWN_EACH = 7, BODY_2 = 64 + (72 + 8 + 11) + 72 };
    fresh_dir();
    struct journal_config c = config();
    struct err e;
    c.file_bytes = 20000;
    if (!start_with(c))
        abort();
    for (int i = 0; i < RECORDS; i++) {
        struct batch *b = with_ids(i % KNOWN_EACH ? "-" : (char[]){(char)('A' + i), 0}, day0 + i);
        for (int k = 0; k < 600 * (i % 3); k++, b->events++)
            buf_lit(&b->body, "{\"id\":\"-\"}\n");
        CHECK_INT(journal_commit(j, b), BATCH_OK);
        batch_free(b);
    }
    struct buf file = slurp("00000001.j"), kept;
    file.p[BODY_2 + 3] ^= 1;
    spill("00000001.j", file.p, file.n);
    CHECK_INT(journal_release(j, 1000, &e), 0);
    stop();
    kept = slurp("00000001.w");
    CHECK(!exists("00000001.j") && kept.n > 64 && kept.n < 1000);
    buf_done(&kept);
    buf_done(&file);
    if (!start_with(c))
        abort();
    for (int i = 0; i < RECORDS; i += KNOWN_EACH)
        CHECK_STR(str_of(send_ids((char[]){(char)('A' + i), 0}, day0 + hour)), S(" +0 =1"));
    stop();
    CHECK_INT(st.corrupt_records, 0);
    remove_dir();
}

/* ---- full ---- */

TEST(more_waiting_than_the_limit_is_refused_at_once)
{
    fresh_dir();
    struct journal_config c = config();
    c.publish = gate;
    c.unsynced_bytes = 1000;
    if (!start_with(c))
        abort();
    struct batch *first = make(1, 0), *b[40];
    for (size_t i = 0; i < 40; i++)
        b[i] = make(1, i + 1);
    put_group(first, b, 40);
    size_t ok = 0, full = 0, bytes = 0;
    for (size_t i = 0; i < 40; i++) {
        ok += b[i]->status == BATCH_OK;
        full += b[i]->status == BATCH_FULL;
        if (b[i]->status == BATCH_OK)
            bytes += b[i]->body.n;
    }
    CHECK(ok > 0 && full > 0);
    CHECK_INT(ok + full, 40);
    CHECK(bytes <= 1000);
    struct batch *large = batch_new(RECORD_EVENTS, 1, day0); /* alone, it may pass the limit */
    for (int i = 0; i < 100; i++)
        batch_line(&large->body, 9, 9, (uint64_t)i);
    large->events = large->accepted = 100;
    CHECK_INT(journal_commit(j, large), BATCH_OK);
    batch_free(large);
    batch_free(first);
    for (size_t i = 0; i < 40; i++)
        batch_free(b[i]);
    stop();
    CHECK_INT(st.last_seq, 2 + ok);
    remove_dir();
}

TEST(a_nearly_full_disk_refuses_events_and_lets_actions_pass)
{
    fresh_dir();
    struct journal_config c = config();
    c.reserve_bytes = 1ull << 60;
    if (!start_with(c))
        abort();
    CHECK(st.disk_low);
    CHECK_INT(put(1, 0), BATCH_FULL);
    struct batch *b = batch_new(RECORD_ACTION, 0, day0);
    buf_lit(&b->body, "{\"ack\":1}\n");
    b->events = 1;
    CHECK_INT(journal_commit(j, b), BATCH_OK);
    batch_free(b);
    stop();
    CHECK_INT(st.last_seq, 1);
    remove_dir();
}

TEST(debug_names_each_record_and_the_torn_and_corrupt_places)
{
    size_t at[6] = {0};
    struct buf file = three_groups(at);
    char path[400], *text = NULL;
    size_t n;
    struct err e;
    snprintf(path, sizeof path, "%s/copy", dir); /* a copy under any name */
    for (int damage = 0; damage < 3; damage++) {
        if (damage == 1)
            file.n -= 5;
        if (damage == 2)
            file.p[at[0] + 80] ^= 1;
        spill("copy", file.p, file.n);
        FILE *out = open_memstream(&text, &n);
        int rc = journal_debug(path, out, &e);
        fclose(out);
        CHECK_INT(rc, damage == 2 ? -1 : 0);
        CHECK(strstr(text, "seq 2 1970-01-01T00:16:41.000000Z events app 2") != NULL);
        CHECK((strstr(text, "TORN") != NULL) == (damage >= 1));
        CHECK((strstr(text, "CORRUPT up to") != NULL) == (damage == 2));
        CHECK((strstr(text, ": whole\n") != NULL) == (damage != 2));
        free(text);
    }
    buf_done(&file);
    remove_dir();
}

UNIT_MAIN
