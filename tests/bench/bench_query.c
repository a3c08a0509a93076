/* tests/bench/bench_query.c - what queries cost, in CPU time of one core: events and bytes a second, over the head and
 * over sealed segments (`bench_query [EVENTS]`, 300,000). Each query runs five times; the best counts. */
#include "base/str.h"
#include "event/event.h"
#include "query/query.h"

#include <ftw.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 1000, ROUNDS = 5 };
static char dir[] = "/tmp/logd-bench-XXXXXX";
static uint64_t seed = 88172645463325252u;
static uint32_t rnd(uint32_t below)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % below);
}

static void one_event(struct buf *p, size_t i)
{
    static const char *const levels[] = {"error", "warn", "debug", "info", "info",
                                         "info",  "info", "info",  "info", "info"};
    static const char *const messages[] = {
        "connection from 10.4.2.%u port %u closed after %u s", "GET /api/v1/orders/%u 200 in %u.%u ms",
        "cache miss for product:%u:price, loaded in %u.%u ms", "retrying upload of invoice-%u-%u.pdf, attempt %u of 5"};
    int64_t ms = 1764000000000 + (int64_t)i * 7;
    buf_printf(
        p,
        "{\"time\":%lld,\"level\":\"%s\",\"service\":\"svc-%u\",\"host\":\"web-%u.internal\",\"trace_id\":\"%08x%08x%08x%08x\",",
        (long long)ms, levels[rnd(10)], rnd(5), rnd(8), rnd(UINT32_MAX), rnd(UINT32_MAX), rnd(UINT32_MAX),
        rnd(UINT32_MAX));
    buf_lit(p, "\"message\":\"");
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are ours */
    buf_printf(p, messages[rnd(4)], rnd(5000), rnd(60000), rnd(900));
    buf_printf(
        p,
        "\",\"http.status\":%u,\"http.duration_ms\":%u.%u,\"ip\":\"203.0.113.%u\",\"user\":\"user%u@example.com\"%s}",
        rnd(20) ? 200 : 503, rnd(900), rnd(1000), rnd(255), rnd(5000),
        rnd(20)
            ? ""
            : ",\"error.stack\":\"Error: boom\\n    at f (/srv/app/lib/cart.js:10:3)\\n    at g (/srv/app/index.js:5:1)\"");
}

static struct store *fill(size_t events)
{
    struct store *s = NULL;
    struct err e;
    struct event_writer *w = event_writer_new();
    if (!mkdtemp(dir) || store_open(&(struct store_config){.dir = dir, .head_bytes = (size_t)4 << 30}, &s, &e) < 0)
        abort();
    for (size_t i = 0; i < events;) {
        struct batch *b = batch_new(RECORD_EVENTS, 1, 1764000000000000 + (usec)i * 7000);
        struct event_source src = {.app = S("shop"), .now = b->recv_us};
        for (size_t k = 0; k < BATCH; k++, i++) {
            struct buf object = BUF_INIT(1 << 16);
            size_t n;
            one_event(&object, i);
            if (event_add(w, &src, buf_view(&object), b, &n, &e) < 0)
                abort();
            buf_done(&object);
        }
        b->seq = i / BATCH;
        store_append(s, b);
        batch_free(b);
    }
    event_writer_free(w);
    return s;
}

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(struct store *s, const char *text)
{
    double best = 1e9;
    struct query_result r = {0};
    for (int i = 0; i < ROUNDS; i++) {
        struct query *q;
        struct err e;
        struct query_options o = {.from = INT64_MIN / 2, .to = INT64_MAX / 2, .limit = 100};
        query_result_done(&r);
        struct store_view *v = store_view_open(s);
        double start = cpu_now();
        if (query_parse(str_of(text), &q, &e) < 0 || query_run(q, v, &o, &r, &e) < 0) {
            printf("%s: %s\n", text, e.text);
            exit(1);
        }
        double took = cpu_now() - start;
        best = took < best ? took : best;
        query_free(q);
        store_view_close(v);
    }
    printf("  %-44s %8.1f ms %7.2f M events/s %6.2f GB/s %9llu matched\n", text, best * 1e3,
           (double)r.scanned_events / best / 1e6, (double)r.scanned_bytes / best / 1e9, (unsigned long long)r.matched);
    query_result_done(&r);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(path);
}

int main(int argc, char **argv)
{
    static const char *const queries[] = {
        "",
        "| count",
        "level>=error",
        "level>=error | count",
        "| count by level every 1m",
        "absent-needle-xyzzy | count",
        "invoice | count",
        "user:user77@example.com | count",
        "http.status>=500 | count",
        "http.status>=500 and http.duration_ms>850ms | count",
        "ip:203.0.113.0/28 | count",
        "~\"invoice-[0-9]+-7\" | count",
        "cart.js | count",
        "| count by service,http.status",
        "| sort -http.duration_ms",
    };
    struct err e;
    struct store *s = fill(argc > 1 ? (size_t)atoll(argv[1]) : 300000);
    for (int sealed = 0; sealed < 2; sealed++) {
        printf("%s\n", sealed ? "sealed" : "head");
        for (size_t i = 0; i < LENGTH(queries); i++)
            measure(s, queries[i]);
        if (store_seal(s, &e) < 0)
            abort();
    }
    store_close(s);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
