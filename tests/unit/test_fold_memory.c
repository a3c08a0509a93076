/* What rules remember, in fold.db: a log that is written anew now and then (fold-memory.c). */
#include "base/clock.h"
#include "base/hash.h"
#include "fold-private.h"
#include "unit.h"

#include <unistd.h>

static const char rules[] = "rules:\n"
                            "- {id: c, why: w, when: 'level>=error', by: [k], count: {window: 10m, '>=': 1000000}}\n"
                            "- {id: d, why: w, when: 'level>=error', by: [app], count: {window: 5m, '>=': 900000}}\n";

static struct rules_set *some_rules(void)
{
    struct rules_set *set = rules_set_new();
    struct err e;
    if (rules_parse(set, "rules.yaml", str_of(rules), &e) < 0)
        printf("%s\n", e.text), abort();
    return set;
}

static unsigned long long seed;
static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static struct fold *opened(const char *path, const struct rules_set *set)
{
    struct fold *f = NULL;
    struct err e;
    if (fold_open(NULL, path, &f, &e) < 0)
        printf("%s\n", e.text), abort();
    f->borrowed = set;
    return f;
}

static void happen(struct fold *f, unsigned key, usec now)
{
    char line[300];
    struct err e;
    snprintf(line, sizeof line,
             "{\"id\":\"000000000000000\",\"time\":\"2026-11-25T09:35:21Z\",\"app\":\"a\",\"level\":\"warn\","
             "\"severity_number\":17,\"error.type\":\"x\",\"k\":\"key %u of many, which are all a little long\"}",
             key);
    CHECK_INT(fold_apply_event(f, str_of(line), now, &e), 0);
}

static int save(struct fold *f)
{
    struct err e;
    if (db_begin(f->db, &e) < 0 || fold_memory_save(f, &e) < 0 || db_commit(f->db, &e) < 0)
        return printf("%s\n", e.text), -1;
    return 0;
}

static int64_t asked(struct fold *f, const char *sql)
{
    struct err e;
    sqlite3_stmt *st = db_stmt(f->db, sql);
    int64_t n = db_step(f->db, st, &e) > 0 ? sqlite3_column_int64(st, 0) : -1;
    sqlite3_reset(st);
    return n;
}

/* A sum of all that is remembered, whatever the order; nothing is dirty then. */
static uint64_t sum_of(struct fold *f)
{
    str key, value;
    uint64_t sum = 0;
    rules_memory_all_dirty(f->memory);
    while (rules_memory_dirty_next(f->memory, &key, &value))
        if (value.n)
            sum += 1 + xxh64(key.p, key.n, xxh64(value.p, value.n, 0));
    return sum;
}

static bool same_after_restart(struct fold **f, const char *path, const struct rules_set *set)
{
    uint64_t was = sum_of(*f);
    fold_close(*f);
    *f = opened(path, set);
    return was && sum_of(*f) == was;
}

TEST(what_rules_remember_comes_back_after_any_save)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char folder[] = "/tmp/logd-fold-memory.XXXXXX", path[100];
    struct rules_set *set = some_rules();
    seed = (unsigned long long)clock_now();
    printf("seed %llu\n", seed);
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/fold.db", folder);
    struct fold *f = opened(path, set);
    usec now = 1000 * USEC_PER_SEC;
    unsigned anew = 0;
    for (int round = 0; round < 60; round++) {
        for (unsigned i = below(300); i > 0; i--)
            happen(f, below(5000), now += below(2 * USEC_PER_SEC));
        int64_t rows = asked(f, "SELECT coalesce(min(id), 0) FROM rules_memory_log");
        CHECK_INT(save(f), 0);
        anew += rows > 0 && asked(f, "SELECT min(id) FROM rules_memory_log") != rows;
        if (below(6) == 0)
            CHECK(same_after_restart(&f, path, set));
    }
    CHECK(same_after_restart(&f, path, set));
    CHECK(anew < 60);
    fold_close(f);
    rules_set_free(set);
    for (size_t i = 0; i < LENGTH(ends); i++) {
        snprintf(path, sizeof path, "%s/fold.db%s", folder, ends[i]);
        (void)unlink(path);
    }
    CHECK_INT(rmdir(folder), 0);
}

TEST(the_log_does_not_grow_without_end_and_keeps_nothing_forgotten)
{
    struct rules_set *set = some_rules();
    struct fold *f = opened(":memory:", set);
    usec now = 1000 * USEC_PER_SEC;
    for (unsigned round = 0; round < 400; round++, now += 3600 * USEC_PER_SEC) {
        for (unsigned i = 0; i < 200; i++)
            happen(f, 200 * round + i, now);
        CHECK_INT(save(f), 0);
    }
    CHECK(asked(f, "SELECT sum(length(entries)) FROM rules_memory_log") < 3 << 20);
    CHECK_INT(asked(f, "SELECT count(*) FROM rules_memory_log WHERE instr(entries, 'key 17 of many')"), 0);
    CHECK(asked(f, "SELECT count(*) FROM rules_memory_log WHERE instr(entries, 'key 79999 of many')") > 0);
    fold_close(f);
    rules_set_free(set);
}

TEST(what_was_kept_before_there_was_a_log_is_read_and_moves_into_it)
{
    struct rules_set *set = some_rules();
    struct err e;
    struct fold *f = opened(":memory:", set);
    str key, value;
    happen(f, 1, 1000 * USEC_PER_SEC);
    while (rules_memory_dirty_next(f->memory, &key, &value)) {
        sqlite3_stmt *st = db_stmt(f->db, "INSERT INTO rules_memory VALUES(?, ?)");
        sqlite3_bind_blob(st, 1, key.p, (int)key.n, SQLITE_TRANSIENT);
        sqlite3_bind_blob(st, 2, value.p, (int)value.n, SQLITE_TRANSIENT);
        CHECK_INT(db_run(f->db, st, &e), 0);
    }
    uint64_t was = sum_of(f);
    rules_memory_free(f->memory);
    f->memory = rules_memory_new();
    CHECK_INT(fold_memory_load(f, &e), 0);
    CHECK(was && sum_of(f) == was);
    for (unsigned round = 0; round < 9000; round++) { /* one key, again and again */
        happen(f, 1, 1001 * USEC_PER_SEC);
        CHECK_INT(save(f), 0);
    }
    CHECK_INT(asked(f, "SELECT count(*) FROM rules_memory"), 0);
    fold_close(f);
    rules_set_free(set);
}

UNIT_MAIN
