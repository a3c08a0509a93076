#include "base/file.h"
#include "base/hash.h"
#include "stats/noise.h"
#include "stats/private.h"
#include "stats/sketch.h"
#include "stats/unique.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { APP = 3 };
static const usec now = 1767225600 * USEC_PER_SEC; /* 2026-01-01, a Thursday */
static struct secrets *secrets;
static struct db *db;
static struct uniques *fold;
static char path[] = "/tmp/logd-unique-XXXXXX";

static void open_all(void)
{
    const char *steps[] = {stats_schema, unique_schema, unique_schema_noise};
    struct err e;
    memcpy(path, "/tmp/logd-unique-XXXXXX", sizeof path);
    int fd = mkstemp(path);
    close(fd);
    if (fd < 0 || db_open(path, DB_NORMAL, steps, LENGTH(steps), &db, &e) < 0)
        abort();
    secrets = secrets_open(path, now);
    fold = uniques_new(db);
}

static void close_all(void)
{
    char name[64];
    secrets_tick(secrets, now + 800ll * DAY * USEC_PER_SEC);
    uniques_free(fold);
    db_close(db);
    secrets_close(secrets);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, (const char *[]){"", "-wal", "-shm"}[i]);
        (void)unlink(name);
    }
}

/* Ids FROM to TO of a metric with one label, as a record's body. */
static struct batch *places(const char *label, const char *word, int from, int to, usec time)
{
    struct unique_batch *u = unique_batch_new(secrets, APP, false, now);
    struct batch *b = batch_new(RECORD_UNIQUE, APP, 0);
    struct unique_labels l = {.name = {str_of(label)}, .value = {str_of(word)}, .n = *label != 0};
    for (int i = from; i < to; i++) {
        char id[32];
        snprintf(id, sizeof id, "person-%d", i);
        unique_add(u, unique_series(u, S("visitors"), &l), time, str_of(id));
    }
    unique_write(u, b);
    unique_batch_free(u);
    return b;
}

static void post(const char *label, const char *word, int from, int to)
{
    struct batch *b = places(label, word, from, to, now);
    struct err e;
    CHECK(uniques_apply(fold, APP, buf_view(&b->body), &e) == 0);
    batch_free(b);
}

static bool seal(usec at)
{
    struct err e;
    bool sealed = false;
    CHECK(uniques_seal(fold, at, &sealed, &e) == 0);
    return sealed;
}

static char *ask(const char *by, const char *group)
{
    struct stats_query q = {
        .name = S("visitors"), .by = str_of(by), .from = 0, .to = INT64_MAX, .group = str_of(group)};
    struct buf out = BUF_INIT(1u << 20);
    struct err e;
    if (stats_json(db, &q, &out, &e) < 0)
        buf_str(&out, str_of(e.text));
    return buf_take(&out, NULL);
}

/* The value that a group has in the answer; -1: fewer than five, -2: it is not there. */
static int value_of(const char *by, const char *group, const char *word)
{
    char *text = ask(by, group), want[80];
    snprintf(want, sizeof want, ",\"group\":\"%s\"", word);
    char *end = *group ? strstr(text, want) : strstr(text, "}],\"total\""), *at = NULL;
    int v = -2;
    for (char *p = text; end && (p = strstr(p, "\"value\":")) && p < end; p++)
        at = p;
    if (at)
        v = at[8] == 'n' ? -1 : atoi(at + 8);
    free(text);
    return v;
}

static bool near(int value, int people) { return abs(value - people) <= 1 + people / 25; }

/* ---- what is written ---- */
TEST(an_id_is_in_one_place_of_each_period_and_label_and_nowhere_itself)
{
    open_all();
    struct batch *b = places("plan", "free", 0, 3, now);
    str rest = buf_view(&b->body);
    struct unique_entry x;
    int entries = 0;
    while (unique_next(&rest, &x)) {
        CHECK_STR(x.name, S("visitors"));
        CHECK_INT(x.n, 3);
        CHECK(unique_code(&x, 0) < unique_code(&x, 1) && unique_code(&x, 1) < unique_code(&x, 2));
        CHECK(x.label.n == 0 || str_eq(x.value, S("free")));
        entries++;
    }
    CHECK_INT(rest.n, 0);
    CHECK_INT(entries, 8); /* hour, day, week, month: of all, and of the label */
    CHECK(str_find(buf_view(&b->body), S("person")) < 0);
    batch_free(b);
    close_all();
}

TEST(a_body_that_is_cut_off_foreign_or_blank_ends_and_never_reads_past_it)
{
    open_all();
    struct batch *b = places("plan", "free", 0, 50, now);
    struct unique_entry x;
    for (size_t n = 0; n < b->body.n; n++) {
        char *cut = xmalloc(n + 1); /* so that a sanitizer sees its end */
        memcpy(cut, b->body.p, n);
        str rest = str_n(cut, n);
        while (unique_next(&rest, &x))
            ;
        free(cut);
    }
    for (int i = 0; i < 4; i++)
        b->body.p[28 + (uint8_t)b->body.p[1] + (uint8_t)b->body.p[2] + (uint8_t)b->body.p[3] + i] = (char)0xff;
    str rest = buf_view(&b->body);
    CHECK(!unique_next(&rest, &x)); /* a place outside of every sketch */
    memset(b->body.p, 0, b->body.n);
    rest = buf_view(&b->body);
    CHECK(!unique_next(&rest, &x));
    batch_free(b);
    close_all();
}

/* ---- what is not written again ---- */
TEST(who_comes_again_leaves_nothing_unless_the_first_was_not_written)
{
    open_all();
    struct unique_live *live = unique_live_new();
    static const struct {
        int from, to, left;
        bool durable;
    } steps[] = {{0, 400, 400, true}, {0, 400, 0, true},      {300, 600, 200, false}, {300, 600, 200, true},
                 {0, 600, 0, true},   {0, 3000, 2400, false}, {0, 3000, 2400, true},  {0, 3000, 0, true}};
    for (size_t i = 0; i < LENGTH(steps); i++) {
        struct batch *b = places("", "", steps[i].from, steps[i].to, now);
        struct unique_entry x;
        int most = 0;
        unique_sift(live, APP, &b->body, now);
        str rest = buf_view(&b->body);
        while (unique_next(&rest, &x))
            most = (int)x.n > most ? (int)x.n : most;
        CHECK(rest.n == 0 && abs(most - steps[i].left) <= steps[i].left / 5); /* few share a place */
        struct batch *twin = places("", "", steps[i].from, steps[i].to, now);
        unique_sift(live, APP, &twin->body, now); /* in the same group */
        CHECK_INT(twin->body.n, 0);
        unique_sifted(live, steps[i].durable);
        batch_free(b);
        batch_free(twin);
    }
    unique_live_free(live);
    close_all();
}

TEST(what_fold_db_has_is_known_after_a_restart)
{
    open_all();
    struct unique_live *live = unique_live_new();
    struct err e;
    post("plan", "free", 0, 900);
    CHECK(uniques_flush(fold, &e) == 0 && unique_live_load(live, db, secrets, &e) == 0);
    struct batch *b = places("plan", "free", 0, 900, now);
    CHECK(b->body.n > 1000);
    unique_sift(live, APP, &b->body, now);
    CHECK_INT(b->body.n, 0);
    batch_free(b);
    unique_live_free(live);
    close_all();
}

/* Of `n` label values from `from`, one person each; four periods: four cells a value, and the metric's four. */
static size_t sift_values(struct unique_live *live, int from, int n, usec time)
{
    struct unique_batch *u = unique_batch_new(secrets, APP, false, time);
    struct batch *b = batch_new(RECORD_UNIQUE, APP, 0);
    for (int i = from; i < from + n; i++) {
        char word[16];
        snprintf(word, sizeof word, "w%d", i);
        struct unique_labels l = {.name = {S("page")}, .value = {str_of(word)}, .n = 1};
        unique_add(u, unique_series(u, S("visitors"), &l), time, S("the same"));
    }
    unique_write(u, b);
    unique_batch_free(u);
    unique_sift(live, APP, &b->body, time);
    unique_sifted(live, true);
    size_t left = b->body.n;
    batch_free(b);
    return left;
}

TEST(past_a_hundred_thousand_open_cells_new_ones_are_counted_as_crowded_until_periods_close)
{
    open_all();
    struct unique_live *live = unique_live_new();
    uint64_t before = unique_crowded_total();
    CHECK(sift_values(live, 0, 24999, now) > 0); /* 99,996 cells and the metric's own: all there are */
    CHECK_INT(unique_crowded_total() - before, 0);
    CHECK_INT(sift_values(live, 24999, 3, now), 0);
    CHECK_INT(unique_crowded_total() - before, 12);
    CHECK_INT(sift_values(live, 0, 3, now), 0); /* what is open goes on: these were there */
    CHECK_INT(unique_crowded_total() - before, 12);
    CHECK(sift_values(live, 24999, 3, now + 3 * 3600 * USEC_PER_SEC) > 0); /* the first hour's cells are gone */
    CHECK_INT(unique_crowded_total() - before, 12);
    unique_live_free(live);
    close_all();
}

/* ---- sealing ---- */
TEST(a_sealed_cell_is_its_number_and_its_sketch_is_gone)
{
    open_all();
    post("", "", 0, 1000);
    CHECK(!seal(now + (2 * 3600 + 4) * USEC_PER_SEC));
    int open = value_of("hour", "", "");
    CHECK(near(open, 1000));
    CHECK(seal(now + (2 * 3600 + 5) * USEC_PER_SEC) && !seal(now + (2 * 3600 + 5) * USEC_PER_SEC));
    CHECK_INT(value_of("hour", "", ""), open);
    char *day = ask("day", ""), *hour = ask("hour", "");
    CHECK(strstr(day, "\"open\":true") && !strstr(hour, "\"open\":true"));
    free(day);
    free(hour);
    sqlite3_stmt *st = db_stmt(db, "SELECT count(*) FROM unique_open WHERE step = 3600");
    struct err e;
    CHECK(db_step(db, st, &e) > 0 && sqlite3_column_int(st, 0) == 0);
    sqlite3_reset(st);
    post("", "", 5000, 6000); /* the clock was set back: it stays as it was sealed */
    CHECK(uniques_flush(fold, &e) == 0);
    CHECK_INT(value_of("hour", "", ""), open);
    close_all();
}

TEST(cells_under_five_are_joined_and_so_is_what_would_tell_them)
{
    open_all();
    post("plan", "free", 0, 300);
    post("plan", "pro", 300, 340);
    post("plan", "team", 340, 350);
    post("plan", "trial", 350, 353);
    post("size", "s", 0, 3);
    post("size", "m", 3, 5);
    CHECK_INT(value_of("hour", "plan", "trial"), -2); /* not flushed */
    CHECK(seal(now + 3 * 3600 * USEC_PER_SEC));
    CHECK(near(value_of("hour", "plan", "free"), 300) && near(value_of("hour", "plan", "pro"), 40));
    CHECK_INT(value_of("hour", "plan", "trial"), -2);
    CHECK_INT(value_of("hour", "plan", "team"), -2); /* the next smallest, for trial alone was too few */
    CHECK(near(value_of("hour", "plan", "__other__"), 13));
    CHECK_INT(value_of("hour", "size", "s"), -2);
    CHECK_INT(value_of("hour", "size", "__other__"), 5);
    CHECK_INT(value_of("day", "plan", "trial"), -1); /* still open */
    close_all();
}

/* Many cells come and grow, so that rows move about in their pages. */
TEST(no_piece_of_a_deleted_sketch_stays_in_the_database)
{
    struct buf gone = BUF_INIT(1u << 20), file = BUF_INIT(1u << 26);
    struct err e;
    open_all();
    CHECK(db_exec(db, "PRAGMA secure_delete = ON", &e) == 0);
    for (int i = 0; i < 600; i++) {
        char word[16];
        snprintf(word, sizeof word, "w%d", (i * 7) % 40);
        post("plan", word, 0, 2 * (i % 40) * (i / 40 + 1) + i / 9);
        CHECK(uniques_flush(fold, &e) == 0);
    }
    sqlite3_stmt *st = db_stmt(db, "SELECT sketch FROM unique_open WHERE step = 3600");
    while (db_step(db, st, &e) > 0)
        buf_add(&gone, (const char *)sqlite3_column_blob(st, 0) + sqlite3_column_bytes(st, 0) - 24, 24);
    CHECK(gone.n == 41 * 24 && seal(now + 3 * 3600 * USEC_PER_SEC) && uniques_scrub(db));
    for (int round = 0; round < 2; round++) {
        buf_reset(&file);
        CHECK(file_read(path, file.max, &file, &e) == 0 && file.n > 8192);
        for (size_t i = 0; i < gone.n; i += 24)
            CHECK(str_find(buf_view(&file), str_n(gone.p + i, 24)) < 0);
        buf_reset(&gone);
        st = db_stmt(
            db,
            "SELECT sketch FROM unique_open WHERE sketch IS NOT NULL"); /* and none that is kept leaves the machine */
        while (db_step(db, st, &e) > 0)
            buf_add(&gone, (const char *)sqlite3_column_blob(st, 0) + sqlite3_column_bytes(st, 0) - 24, 24);
        CHECK((round || gone.n > 24) && db_exec(db, unique_unshared, &e) == 0 && uniques_scrub(db));
    }
    buf_done(&gone);
    buf_done(&file);
    close_all();
}

static void put_app(void *arg, uint32_t app, struct buf *out)
{
    (void)arg;
    buf_printf(out, "\"app-%u\"", app);
}

TEST(the_list_of_metrics_forgets_what_was_joined)
{
    struct buf list = BUF_INIT(1u << 20);
    struct err e;
    open_all();
    post("plan", "free", 0, 300);
    post("plan", "team", 340, 347);
    post("plan", "trial", 350, 353);
    CHECK(uniques_flush(fold, &e) == 0 && stats_names_json(db, 0, put_app, NULL, &list, &e) == 0);
    CHECK(str_find(buf_view(&list), S("\"team\"},\"last\":7,")) > 0);
    CHECK(str_find(buf_view(&list), S("\"trial\"},\"last\":null,")) > 0);
    CHECK(seal(now + 26 * 3600 * USEC_PER_SEC));
    buf_reset(&list);
    CHECK(stats_names_json(db, 0, put_app, NULL, &list, &e) == 0);
    CHECK(str_find(buf_view(&list), S("\"team\"},\"last\":null,")) > 0);
    CHECK(str_find(buf_view(&list), S("\"__other__\"},\"last\":10,")) > 0);
    CHECK(str_find(buf_view(&list), S("\"free\"},\"last\":")) > 0);
    buf_done(&list);
    close_all();
}

TEST(a_total_is_a_number_for_one_period_and_a_range_for_many)
{
    open_all();
    post("plan", "free", 0, 300);
    post("plan", "pro", 200, 400);
    struct err e;
    CHECK(uniques_flush(fold, &e) == 0);
    char *text = ask("day", "plan"), *total = strstr(text, "\"total\":{\"value\":");
    CHECK(total && near(atoi(total + 17), 400)); /* of both groups, told apart */
    free(text);
    struct batch *b = places("", "", 300, 500, now + DAY * USEC_PER_SEC);
    CHECK(uniques_apply(fold, APP, buf_view(&b->body), &e) == 0 && uniques_flush(fold, &e) == 0);
    batch_free(b);
    text = ask("day", "");
    char *low = strstr(text, "\"total\""), *high = low ? strstr(low, "\"high\":") : NULL;
    low = low ? strstr(low, "\"low\":") : NULL;
    CHECK(low && high && near(atoi(low + 6), 400) && near(atoi(high + 7), 600));
    free(text);
    close_all();
}

TEST(fewer_than_five_are_never_told_nor_kept)
{
    open_all();
    post("", "", 0, 4);
    struct err e;
    CHECK(uniques_flush(fold, &e) == 0);
    CHECK_INT(value_of("hour", "", ""), -1);
    CHECK(seal(now + 3 * 3600 * USEC_PER_SEC));
    CHECK_INT(value_of("hour", "", ""), -1);
    sqlite3_stmt *st = db_stmt(db,
                               "SELECT count(*) FROM unique_cell WHERE value IS NULL AND low IS NULL AND high IS NULL");
    CHECK(db_step(db, st, &e) > 0 && sqlite3_column_int(st, 0) == 1);
    sqlite3_reset(st);
    close_all();
}

TEST(a_lost_secret_makes_an_honest_range)
{
    open_all();
    post("plan", "free", 0, 300);
    secrets_tick(secrets, now + 800ll * DAY * USEC_PER_SEC); /* lost */
    post("plan", "free", 200, 600);
    struct err e;
    CHECK(uniques_flush(fold, &e) == 0);
    for (int round = 0; round < 2; round++) {
        char *text = ask("hour", round ? "plan" : ""), *low = strstr(text, "\"low\":"),
             *high = strstr(text, "\"high\":");
        CHECK(low && high && near(atoi(low + 6), 400) && atoi(low + 6) <= 400 && near(atoi(high + 7), 700));
        free(text);
        if (!round)
            CHECK(seal(now + 3 * 3600 * USEC_PER_SEC));
    }
    close_all();
}

TEST(what_leaves_the_machine_has_the_numbers_and_no_sketch)
{
    open_all();
    struct err e;
    post("", "", 0, 100);
    CHECK(uniques_flush(fold, &e) == 0);
    uniques_forget(fold);
    int before = value_of("day", "", "");
    CHECK(db_exec(db, unique_unshared, &e) == 0);
    CHECK_INT(value_of("day", "", ""), before);
    post("", "", 50, 150); /* it goes on elsewhere, with another secret or this one */
    CHECK(uniques_flush(fold, &e) == 0);
    char *text = ask("day", ""), *low = strstr(text, "\"low\":"), *high = strstr(text, "\"high\":");
    CHECK(low && high && near(atoi(low + 6), 100) && near(atoi(high + 7), 200));
    free(text);
    close_all();
}

/* ---- noise ---- */
/* Each value as often as theory says, within five standard deviations; so is the mean of all. */
TEST(noise_is_discrete_laplace)
{
    static const uint32_t epsilons[] = {100, 1000, 2500};
    for (size_t k = 0; k < LENGTH(epsilons); k++) {
        enum { DRAWS = 12000, EACH = 4 };
        double q = exp(-(double)epsilons[k] / 1000), seen[2 * EACH + 1] = {0}, sum = 0;
        for (int i = 0; i < DRAWS; i++) {
            int64_t x = noise_laplace(epsilons[k]);
            sum += (double)x;
            if (x >= -EACH && x <= EACH)
                seen[x + EACH]++;
        }
        for (int x = -EACH; x <= EACH; x++) {
            double p = (1 - q) / (1 + q) * pow(q, abs(x)), want = p * DRAWS;
            CHECK(fabs(seen[x + EACH] - want) < 5 * sqrt(want * (1 - p)) + 1);
        }
        CHECK(fabs(sum / DRAWS) < 5 * sqrt(2 * q) / (1 - q) / sqrt(DRAWS));
    }
}

TEST(what_is_published_was_drawn_once_and_only_of_sealed_cells)
{
    struct stats_query q = {.name = S("visitors"), .by = S("hour"), .to = INT64_MAX, .noised = true};
    struct buf out = BUF_INIT(1u << 20), again = BUF_INIT(1u << 20);
    struct err e;
    int differ = 0;
    open_all();
    uniques_noise(fold, 100);
    post("", "", 0, 1000);
    CHECK(uniques_flush(fold, &e) == 0 && stats_json(db, &q, &out, &e) == 0);
    CHECK(str_find(buf_view(&out), S("\"points\":[]")) > 0);
    CHECK(seal(now + 800ll * DAY * USEC_PER_SEC));
    static const char *const by[] = {"hour", "day", "week", "month"};
    for (size_t i = 0; i < LENGTH(by); i++) {
        buf_reset(&out);
        buf_reset(&again);
        q.by = str_of(by[i]);
        CHECK(stats_json(db, &q, &out, &e) == 0 && stats_json(db, &q, &again, &e) == 0);
        CHECK_STR(buf_view(&again), buf_view(&out));
        ptrdiff_t at = str_find(buf_view(&out), S("\"value\":"));
        CHECK(at > 0 && str_find(buf_view(&out), S("\"noised\":true}]")) > 0 && str_find(buf_view(&out), S("low")) < 0);
        differ += at > 0 && atoi(out.p + at + 8) != value_of(by[i], "", "");
        CHECK(near(value_of(by[i], "", ""), 1000));
    }
    CHECK(differ > 0); /* all four are 0 once in 160,000 */
    buf_done(&out);
    buf_done(&again);
    close_all();
}

/* ---- secrets ---- */
static size_t files_in(const char *folder)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    for (struct dirent *x; d && (x = readdir(d));)
        n += x->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

TEST(secrets_survive_the_program_and_end_with_their_period)
{
    struct secret_key a, b, c;
    bool locked;
    open_all();
    if (!secrets_folder(secrets, &locked)) {
        printf("skip: there is no tmpfs here\n");
        close_all();
        return;
    }
    char folder[300], file[400];
    snprintf(folder, sizeof folder, "%s", secrets_folder(secrets, &locked));
    CHECK_INT(files_in(folder), 0); /* none before they are needed */
    int64_t hour = now / USEC_PER_SEC;
    CHECK(secrets_key(secrets, APP, S("visitors"), HOUR, hour, now, &a) && files_in(folder) == 1);
    CHECK(secrets_key(secrets, APP, S("buyers"), HOUR, hour, now, &b) && memcmp(a.key, b.key, 16) != 0);
    CHECK(secrets_key(secrets, APP + 1, S("visitors"), HOUR, hour, now, &b) && memcmp(a.key, b.key, 16) != 0);
    CHECK(secrets_key(secrets, APP, S("visitors"), DAY, hour, now, &b) && memcmp(a.key, b.key, 16) != 0);
    snprintf(file, sizeof file, "%s/3600-%lld", folder, (long long)hour);
    struct stat st;
    CHECK(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
    secrets_close(secrets);
    secrets = secrets_open(path, now);
    CHECK(secrets_key(secrets, APP, S("visitors"), HOUR, hour, now, &c) && memcmp(a.key, c.key, 16) == 0);
    CHECK(c.segment == a.segment && secrets_has(secrets, c.segment));
    int fd = open(file, O_RDONLY); /* what an open file still sees of it */
    char left[64], zeros[64] = {0};
    secrets_tick(secrets, now + 2 * 3600 * USEC_PER_SEC);
    CHECK(pread(fd, left, sizeof left, 0) == 48 && memcmp(left, zeros, 48) == 0);
    close(fd);
    CHECK_INT(files_in(folder), 1);
    CHECK(!secrets_has(secrets, a.segment));
    CHECK(!secrets_key(secrets, APP, S("visitors"), HOUR, hour, now + 2 * 3600 * USEC_PER_SEC, &c));
    CHECK(secrets_key(secrets, APP, S("visitors"), DAY, hour, now + 25 * 3600 * USEC_PER_SEC - 1, &c));
    CHECK(!secrets_key(secrets, APP, S("visitors"), DAY, hour, now + 25 * 3600 * USEC_PER_SEC, &c));
    close_all();
    CHECK_INT(files_in(folder), 0);
    (void)rmdir(folder);
}

TEST(secrets_left_by_another_data_folder_end_with_their_period_too)
{
    struct secret_key k;
    bool locked;
    open_all();
    if (secrets_folder(secrets, &locked)) {
        struct secrets *other = secrets_open("/somewhere/else", now);
        CHECK(secrets_key(other, APP, S("visitors"), HOUR, now / USEC_PER_SEC, now, &k));
        char *folder = xstrdup(secrets_folder(other, &locked));
        secrets_close(other);
        CHECK_INT(files_in(folder), 1);
        struct secrets *again = secrets_open("/a/third", now + 7200 * USEC_PER_SEC);
        CHECK_INT(files_in(folder), 0);
        secrets_close(again);
        (void)rmdir(folder);
        free(folder);
    }
    close_all();
}

TEST(periods_end_where_the_next_begins)
{
    static const int steps[] = {HOUR, DAY, WEEK, MONTH, YEAR};
    for (int64_t s = 0; s < 4000ll * DAY; s += 11 * 3600 + 7)
        for (size_t i = 0; i < LENGTH(steps); i++) {
            int64_t start = stat_period(s, steps[i]), end = stat_period_end(start, steps[i]);
            CHECK(start <= s && s < end && stat_period(end, steps[i]) == end &&
                  stat_period(end - 1, steps[i]) == start);
        }
}

UNIT_MAIN
