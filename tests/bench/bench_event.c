/* tests/bench/bench_event.c - what the way from a body to stored lines costs, in CPU time of one core.
 *
 * Bodies of 1,000 events of 300 to 700 bytes as programs send them: access logs, plain messages with trace ids, auth
 * steps, worker jobs with nested objects, errors with a stack. Each leg is run in rounds; the best round counts, since
 * what else the machine does can only add to it. `bench_event FILE` measures a file of JSON lines instead. */
#include "event/event.h"
#include "event/json.h"
#include "event/scrub.h"
#include "base/str.h"
#include "intake/json.h"

#include <time.h>

#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are ours */
#pragma GCC diagnostic ignored "-Wformat-extra-args"

enum { EVENTS = 1000, ROUNDS = 40 };
static uint64_t seed = 88172645463325252u;
static uint32_t rnd(uint32_t below)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % below);
}

static void hex(struct buf *p, int n)
{
    for (int i = 0; i < n; i++)
        buf_byte(p, "0123456789abcdef"[rnd(16)]);
}

static void common(struct buf *p, const char *level, int i)
{
    static const char *const services[] = {"checkout", "catalog", "search", "mailer", "gateway"};
    buf_printf(
        p,
        "{\"time\":\"2025-11-25T09:%02d:%02d.%03dZ\",\"level\":\"%s\",\"service\":\"%s\",\"host\":\"web-%d.eu-west-1.internal\",",
        i / 60 % 60, i % 60, i % 1000, level, services[rnd(5)], rnd(8));
    buf_lit(p, "\"trace_id\":\"");
    hex(p, 32);
    buf_lit(p, "\",\"span_id\":\"");
    hex(p, 16);
    buf_lit(p, "\",");
}

static void one_event(struct buf *p, int i)
{
    static const char *const paths[] = {"/api/v1/orders/%u", "/api/v1/cart/items", "/search?q=running+shoes&page=%u",
                                        "/static/app.3f2a1c.js", "/"};
    static const char *const messages[] = {
        "Connection from 10.4.2.%u port %u on 10.0.0.5 port 22 closed after %u s",
        "BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.251.%u.19:50010 is added to blk_%u, size %u",
        "cache miss for key product:%u:price, loading it from the primary in %u.%u ms",
        "retrying upload of invoice-2025-%u-%u.pdf, attempt %u of 5, the remote end closed the connection"};
    uint32_t kind = rnd(100);
    char path[64];
    common(p, kind < 85 ? "info" : kind < 95 ? "warn" : "error", i);
    if (kind < 35) {
        snprintf(path, sizeof path, paths[rnd(5)], rnd(5000));
        buf_printf(p, "\"message\":\"GET %s 200\",\"http\":{\"method\":\"GET\",\"path\":\"%s\",\"status\":%u,", path,
                   path, rnd(10) ? 200 : 404);
        buf_printf(p, "\"duration_ms\":%u.%u,\"bytes\":%u,\"ip\":\"203.0.113.%u\",", rnd(900), rnd(1000), rnd(90000),
                   rnd(255));
        buf_printf(p,
                   "\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                   "Chrome/%u.0.0.0 Safari/537.36\"}}",
                   100 + rnd(32));
    } else if (kind < 75) {
        buf_lit(p, "\"message\":\"");
        buf_printf(p, messages[rnd(4)], rnd(255), rnd(60000), rnd(90000));
        buf_printf(p, "\",\"logger\":\"com.example.shop.Worker\",\"thread\":\"pool-2-thread-%u\",", rnd(32));
        buf_printf(p, "\"pid\":%u,\"env\":\"prod\",\"release\":\"2025.11.%u\"}", rnd(30000), rnd(3));
    } else if (kind < 85) {
        buf_printf(p,
                   "\"message\":\"user signed in\",\"auth\":{\"action\":\"login\",\"outcome\":\"success\",\"user\":"
                   "\"user%u@example.com\",\"method\":\"password\",\"ip\":\"198.51.100.%u\",",
                   rnd(5000), rnd(255));
        buf_lit(p, "\"user_agent\":\"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Firefox/133.0\"}}");
    } else if (kind < 95) {
        buf_printf(p,
                   "\"message\":\"job done\",\"job\":{\"id\":%u,\"name\":\"thumbnails\",\"queue\":{\"name\":\"images\","
                   "\"depth\":%u,\"wait_ms\":%u},\"tries\":1,\"ok\":true,",
                   rnd(1000000), rnd(500), rnd(9000));
        buf_lit(p, "\"tags\":[\"images\",\"night\",\"eu\"]}}");
    } else {
        buf_printf(p,
                   "\"message\":\"order %u failed\",\"error\":{\"type\":\"TypeError\",\"message\":"
                   "\"Cannot read properties of undefined (reading 'id')\",",
                   rnd(100000));
        buf_printf(p,
                   "\"stack\":\"TypeError: Cannot read properties of undefined (reading 'id')\\n    at total "
                   "(/srv/shop/cart.js:%u:19)\\n    at Cart.checkout (/srv/shop/cart.js:88:12)\\n    at async "
                   "handler (/srv/shop/routes/checkout.js:17:5)\"}}",
                   rnd(300));
    }
    buf_byte(p, '\n');
}

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct buf body = BUF_INIT(256 << 20);
static struct batch *b;
static struct event_writer *w;
static size_t events, out_bytes;
static uint64_t sink; /* so that nothing is optimised away */

static void scan(void)
{
    for (str lines = buf_view(&body); lines.n;) {
        struct json j;
        struct json_token t;
        enum json_kind kind;
        json_init(&j, str_cut(&lines, '\n'), 32);
        while ((kind = json_next(&j, &t)) > J_END)
            sink += t.raw.n;
    }
}

static void add(void)
{
    struct event_source src = {.app = S("shop"), .now = 1800000000000000 + 86400 * USEC_PER_SEC};
    struct err e;
    batch_free(b);
    b = batch_new(RECORD_EVENTS, 1, src.now);
    if (intake_json(w, &src, buf_view(&body), b, &e) < 0 || b->rejected)
        printf("refused: %s\n", b->rejected ? b->first_error : e.text), exit(1);
    events = b->events;
    out_bytes = b->body.n;
}

static void scrub(void)
{
    struct buf out = BUF_INIT(1 << 20);
    for (str lines = buf_view(&b->body); lines.n;) {
        struct json j;
        struct json_token t;
        enum json_kind kind;
        json_init(&j, str_cut(&lines, '\n'), 32);
        while ((kind = json_next(&j, &t)) > J_END)
            if (kind == J_STRING)
                sink += scrub_clean(t.raw, &out);
    }
    buf_done(&out);
}

static void read_back(void)
{
    static struct event ev;
    static struct arena a;
    struct err e;
    for (str lines = buf_view(&b->body); lines.n;) {
        if (event_read(str_cut(&lines, '\n'), &ev, &a, &e) < 0)
            printf("not read back: %s\n", e.text), exit(1);
        sink += ev.n;
    }
    arena_reset(&a);
}

static void peek(void)
{
    for (str lines = buf_view(&b->body); lines.n;) {
        nsec t;
        int severity;
        sink += event_peek(str_cut(&lines, '\n'), &t, &severity);
    }
}

static void leg(const char *name, void (*run)(void), size_t bytes)
{
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double t = cpu();
        run();
        t = cpu() - t;
        if (t < best)
            best = t;
    }
    printf("%-34s %7.0f MB/s %6.0f ns/event %8.0f events per CPU second\n", name, (double)bytes / best / 1e6,
           best * 1e9 / (double)events, (double)events / best);
}

int main(int argc, char **argv)
{
    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    for (int i = 0; !f && i < EVENTS; i++)
        one_event(&body, i);
    while (f && buf_room(&body, 1 << 20)) {
        size_t n = fread(body.p + body.n, 1, 1 << 20, f);
        body.n += n;
        if (n == 0)
            break;
    }
    w = event_writer_new();
    add();
    printf("%zu events, %zu bytes an event as sent, %zu as stored\n", events, body.n / events, out_bytes / events);
    leg("scan", scan, body.n);
    leg("body to stored lines, scrubbed", add, body.n);
    leg("scan and scrub of all texts", scrub, out_bytes);
    leg("event_read", read_back, out_bytes);
    leg("event_peek", peek, out_bytes);
    batch_free(b);
    event_writer_free(w);
    buf_done(&body);
    return sink == 0;
}
