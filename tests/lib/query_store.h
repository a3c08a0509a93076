/* tests/lib/query_store.h - a store of posted events in an empty folder, and queries over it, for unit tests. */
#ifndef TESTS_QUERY_STORE_H
#define TESTS_QUERY_STORE_H

#include "unit.h"
#include "base/clock.h"
#include "event/event.h"
#include "issues/issues.h"
#include "issues/patterns.h"
#include "query/query.h"

#include <ftw.h>
#include <unistd.h>

static char dir[64];
static struct store *store;
static uint64_t seq;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(path);
}

static void open_store(void)
{
    struct err e;
    snprintf(dir, sizeof dir, "/tmp/logd-query-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    seq = 0;
    CHECK(store_open(&(struct store_config){.dir = dir}, &store, &e) == 0);
}

static struct patterns *patterns; /* of the queries over a store, together */

static void close_store(void)
{
    patterns_free(patterns);
    patterns = NULL;
    store_close(store);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* One batch of one posted event. */
static void post(const char *app, const char *json)
{
    struct event_writer *w = event_writer_new();
    struct event_source src = {.app = str_of(app), .now = 1800000000000000 + (usec)seq * 1000};
    struct batch *b = batch_new(RECORD_EVENTS, 1, src.now);
    struct err e;
    size_t n;
    if (event_add(w, &src, str_of(json), b, &n, &e) < 0) {
        printf("%s: %s\n", json, e.text);
        CHECK(false);
    }
    b->seq = ++seq;
    store_append(store, b);
    batch_free(b);
    event_writer_free(w);
}

static bool issue_of(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_title)
{
    (void)arg;
    struct fingerprint *fp = arena_alloc(a, sizeof *fp);
    if (!fingerprint_of(ev, GROUPING_NEWEST, a, fp))
        return false;
    *ret_id = str_of(fp->id);
    *ret_title = str_of(fp->title);
    return true;
}
static bool pattern_of(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_message)
{
    (void)arg;
    patterns = patterns ? patterns : patterns_new(NULL);
    return patterns_offer(patterns, ev, a, ret_id, ret_message);
}
static void pattern_now(void *arg, str id, struct arena *a, str *ret_id, str *ret_text)
{
    (void)arg;
    patterns_now(patterns, id, a, ret_id, ret_text);
}
static const struct query_grouping grouping = {pattern_of, pattern_now, issue_of, NULL};

static struct query_options all(uint32_t limit)
{
    return (struct query_options){.from = INT64_MIN / 2, .to = INT64_MAX / 2, .limit = limit, .grouping = &grouping};
}

static struct query_result run(const char *text, struct query_options o)
{
    struct query_result r = {0};
    struct query *q = NULL;
    struct err e = {0};
    struct store_view *v = store_view_open(store);
    if (query_parse(str_of(text), &q, &e) < 0 || query_run(q, v, &o, &r, &e) < 0) {
        printf("%s: %s\n", text, e.text);
        CHECK(false);
    }
    store_view_close(v);
    query_free(q);
    return r;
}

static void expect(const char *text, const char *rows)
{
    struct query_result r = run(text, all(0));
    CHECK_STR(buf_view(&r.rows), str_of(rows));
    query_result_done(&r);
}

/* ---- chance; a test prints its seed ---- */

static uint64_t seed;
static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static void __attribute__((unused)) start_random(void)
{
    seed = (uint64_t)clock_now();
    printf("seed %llu\n", (unsigned long long)seed);
}

/* Refused when parsed or when run; where and why. */
static void __attribute__((unused)) refused(const char *text, struct err *e)
{
    struct query *q;
    struct query_result r;
    struct query_options o = all(1);
    *e = (struct err){0};
    if (query_parse(str_of(text), &q, e) < 0)
        return;
    struct store_view *v = store_view_open(store);
    if (query_run(q, v, &o, &r, e) == 0) {
        printf("not refused: %s\n", text);
        unit_failed = true;
        query_result_done(&r);
    }
    store_view_close(v);
    query_free(q);
}

#endif
