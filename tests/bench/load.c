/* tests/bench/load.c - an open-loop load: requests leave on a fixed schedule, whatever became of the ones before, and a
 * latency counts from the moment a request should have left (so a stall is not hidden by the senders it holds up).
 *
 * usage: load PORT KEY EVENTS_PER_REQUEST REQUESTS_PER_SECOND SECONDS CONNECTIONS
 * prints one JSON object: requests, events, bytes, errors, seconds, p50_us, p90_us, p99_us, max_us, late (still unanswered). */
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { BODIES = 64, LATENCIES = 1 << 22 };

struct conn {
    int fd;
    bool busy;
    usec due; /* of the request under way */
    str left; /* of it, not written yet */
    char answer[4096];
    size_t n;
};
struct load {
    unsigned port, per_request, rate, seconds, conns;
    const char *key;
    str bodies[BODIES];
    struct conn *c;
    struct conn **idle;
    size_t idle_n;
    usec *latencies;
    size_t n;
    uint64_t sent, errors;
    int epoll;
};

static uint64_t seed = 88172645463325252ull;
static uint64_t rnd(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

/* 300 to 700 bytes: an access log line, a job, an error with a short stack; ids are random, as they are in life. */
static void event(struct buf *b, unsigned i)
{
    static const char *const paths[] = {
        "/", "/cart", "/search", "/product/81/reviews", "/checkout/payment", "/api/v2/orders"};
    char t[TIME_TEXT_MAX];
    time_print(clock_now() * NSEC_PER_USEC, 6, t);
    uint64_t a = rnd(), c = rnd();
    buf_printf(
        b,
        "{\"time\":\"%s\",\"level\":\"%s\",\"host\":\"web-%u\",\"env\":\"prod\",\"release\":\"1.4.2\",\"trace_id\":\"%016llx%016llx\",",
        t,
        i % 50 == 0   ? "error"
        : i % 11 == 0 ? "warn"
                      : "info",
        (unsigned)(a % 8), (unsigned long long)a, (unsigned long long)c);
    if (i % 50 == 0)
        buf_printf(
            b,
            "\"message\":\"order %u failed\",\"error\":{\"type\":\"PaymentError\",\"message\":\"card service answered 502\",\"stack\":\"PaymentError: card service answered 502\\n"
            "    at charge (/srv/app/payment.js:37:11)\\n    at create (/srv/app/orders.js:91:5)\\n    at handle (/srv/app/router.js:12:9)\"}}\n",
            (unsigned)(c % 100000));
    else
        buf_printf(
            b,
            "\"message\":\"GET %s %u\",\"http\":{\"method\":\"GET\",\"path\":\"%s\",\"status\":%u,\"duration_ms\":%u.%u},\"user_id\":%u,\"bytes\":%u,"
            "\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\",\"referer\":\"https://shop.example/list\"}\n",
            paths[a % 6], c % 40 ? 200 : 404, paths[a % 6], c % 40 ? 200 : 404, (unsigned)(a % 300), (unsigned)(c % 10),
            (unsigned)(a % 50000), (unsigned)(c % 90000));
}

static void make_bodies(struct load *l)
{
    for (size_t i = 0; i < BODIES; i++) {
        struct buf body = BUF_INIT(64u << 20), b = BUF_INIT(64u << 20);
        for (unsigned k = 0; k < l->per_request; k++)
            event(&body, (unsigned)rnd() % 1000);
        buf_printf(
            &b,
            "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n",
            l->key, body.n);
        buf_str(&b, buf_view(&body));
        buf_done(&body);
        size_t n;
        char *p = buf_take(&b, &n);
        l->bodies[i] = str_n(p, n);
    }
}

static void connect_one(struct load *l, struct conn *c)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("connect");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
    l->idle[l->idle_n++] = c;
}

static void write_more(struct load *l, struct conn *c)
{
    while (c->left.n) {
        ssize_t n = send(c->fd, c->left.p, c->left.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            l->errors++;
            c->left.n = 0;
            break;
        }
        c->left = str_skip(c->left, (size_t)n);
    }
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd,
              &(struct epoll_event){.events = c->left.n ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c});
}

static void read_answer(struct load *l, struct conn *c)
{
    ssize_t n = recv(c->fd, c->answer + c->n, sizeof c->answer - c->n - 1, MSG_DONTWAIT);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            return;
        l->errors++;
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, c->fd, NULL);
        close(c->fd);
        c->busy = false;
        connect_one(l, c);
        return;
    }
    c->n += (size_t)n;
    str all = str_n(c->answer, c->n);
    ptrdiff_t head = str_find(all, S("\r\n\r\n")), length = str_find_nocase(all, S("content-length: "));
    if (head < 0 || length < 0)
        return;
    uint64_t body = strtoull(c->answer + length + 16, NULL, 10);
    if (all.n < (size_t)head + 4 + body)
        return;
    if (!str_starts(all, S("HTTP/1.1 200")))
        l->errors++;
    else if (l->n < LATENCIES)
        l->latencies[l->n++] = clock_mono() - c->due;
    c->busy = false;
    c->n = 0;
    l->idle[l->idle_n++] = c;
}

static int by_value(const void *a, const void *b)
{
    usec x = *(const usec *)a, y = *(const usec *)b;
    return (x > y) - (x < y);
}

static void run(struct load *l, usec *ret_took)
{
    usec begun = clock_mono(), end = begun + (usec)l->seconds * USEC_PER_SEC, patience = end + 5 * USEC_PER_SEC;
    uint64_t scheduled = 0, total = (uint64_t)l->rate * l->seconds;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    timerfd_settime(timer, 0, &(struct itimerspec){{0, 500000}, {0, 500000}}, NULL);
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, timer, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
    while (clock_mono() < patience && (scheduled < total || l->idle_n < l->conns)) {
        struct epoll_event ev[64];
        int n = epoll_wait(l->epoll, ev, 64, 100);
        for (int i = 0; i < n; i++) {
            uint64_t ticks;
            if (!ev[i].data.ptr) {
                (void)!read(timer, &ticks, sizeof ticks);
                continue;
            }
            if (ev[i].events & EPOLLOUT)
                write_more(l, ev[i].data.ptr);
            if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                read_answer(l, ev[i].data.ptr);
        }
        uint64_t now = (uint64_t)(clock_mono() - begun), due = now * l->rate / USEC_PER_SEC;
        for (; scheduled < (due < total ? due : total) && l->idle_n; scheduled++) {
            struct conn *c = l->idle[--l->idle_n];
            c->busy = true;
            c->due = begun + (usec)(scheduled * USEC_PER_SEC / l->rate);
            c->left = l->bodies[scheduled % BODIES];
            l->sent++;
            write_more(l, c);
        }
    }
    *ret_took = clock_mono() - begun;
    close(timer);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: load PORT KEY EVENTS_PER_REQUEST REQUESTS_PER_SECOND SECONDS CONNECTIONS\n");
        return 2;
    }
    struct load l = {.port = (unsigned)atoi(argv[1]),
                     .key = argv[2],
                     .per_request = (unsigned)atoi(argv[3]),
                     .rate = (unsigned)atoi(argv[4]),
                     .seconds = (unsigned)atoi(argv[5]),
                     .conns = (unsigned)atoi(argv[6])};
    usec took;
    uint64_t bytes = 0;
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.c = xcalloc(l.conns, sizeof *l.c);
    l.idle = xcalloc(l.conns, sizeof *l.idle);
    l.latencies = xcalloc(LATENCIES, sizeof *l.latencies);
    make_bodies(&l);
    for (size_t i = 0; i < BODIES; i++)
        bytes += l.bodies[i].n;
    for (unsigned i = 0; i < l.conns; i++)
        connect_one(&l, &l.c[i]);
    run(&l, &took);
    if (l.n)
        qsort(l.latencies, l.n, sizeof *l.latencies, by_value);
    size_t last = l.n ? l.n - 1 : 0;
    printf(
        "{\"requests\":%zu,\"events\":%zu,\"bytes_per_event\":%.0f,\"errors\":%llu,\"late\":%zu,\"seconds\":%.3f,\"p50_us\":%lld,\"p90_us\":%lld,\"p99_us\":%lld,\"max_us\":%lld}\n",
        l.n, l.n * l.per_request, (double)bytes / BODIES / l.per_request, (unsigned long long)l.errors,
        (size_t)l.sent - l.n, (double)took / 1e6, (long long)l.latencies[last / 2],
        (long long)l.latencies[last * 9 / 10], (long long)l.latencies[last * 99 / 100], (long long)l.latencies[last]);
    return 0;
}
