/* tests/bench/feed.c - posts a corpus to logd as fast as it takes it: the lines of each app under that app's key, a fixed
 * number a request, requests on a few connections, the next one on whichever is free (closed loop).
 *
 * usage: feed PORT EVENTS_PER_REQUEST CONNECTIONS APP=KEY... < corpus.ndjson
 * prints one JSON object: requests, accepted, duplicates, rejected, seconds, refused (429 and 503, sent again after 20 ms). */
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STREAMS_MAX = 100, CONNS_MAX = 64, BODY_MAX = 32 << 20, AGAIN_US = 20000 };

struct stream { /* of one app: what waits to be a request */
    str app, key;
    struct buf body;
    unsigned lines;
};
struct conn {
    int fd;
    bool busy;
    struct buf request;
    size_t sent;
    usec at; /* not before */
    char answer[16384];
    size_t n;
};
struct feed {
    unsigned port, per_request;
    struct stream streams[STREAMS_MAX];
    size_t streams_n;
    struct conn conns[CONNS_MAX];
    size_t conns_n;
    uint64_t requests, accepted, duplicates, rejected, refused;
};

static NORETURN void die(const char *what, str why)
{
    fprintf(stderr, "feed: %s: %.*s\n", what, STR_ARG(why));
    exit(1);
}

static void open_conn(const struct feed *f, struct conn *c)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("connect", str_of(strerror(errno)));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    buf_init(&c->request, BODY_MAX + 4096);
}

static uint64_t number_after(str s, str name)
{
    ptrdiff_t i = str_find(s, name);
    return i < 0 ? 0 : strtoull(s.p + i + name.n, NULL, 10);
}

/* The whole answer is there: counts it, or makes the request wait for its next try. */
static void take_answer(struct feed *f, struct conn *c, str all, str body)
{
    if (str_starts(all, S("HTTP/1.1 503")) || str_starts(all, S("HTTP/1.1 429"))) {
        f->refused++;
        c->sent = 0;
        c->at = clock_mono() + AGAIN_US;
    } else if (str_starts(all, S("HTTP/1.1 200"))) {
        f->requests++;
        f->accepted += number_after(body, S("\"accepted\":"));
        f->duplicates += number_after(body, S("\"duplicates\":"));
        f->rejected += number_after(body, S("\"rejected\":"));
        c->busy = false;
    } else
        die("the server answered", str_head(all, 500));
    c->n = 0;
}

static void read_answer(struct feed *f, struct conn *c)
{
    ssize_t n = recv(c->fd, c->answer + c->n, sizeof c->answer - c->n - 1, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the server closed the connection", n < 0 ? str_of(strerror(errno)) : S(""));
    c->n += (size_t)n;
    c->answer[c->n] = '\0';
    str all = str_n(c->answer, c->n);
    ptrdiff_t head = str_find(all, S("\r\n\r\n")), length = str_find_nocase(all, S("content-length: "));
    if (head < 0 || length < 0)
        return;
    str body = str_skip(all, (size_t)head + 4);
    if (body.n >= strtoull(c->answer + length + 16, NULL, 10))
        take_answer(f, c, all, body);
}

static void write_more(struct conn *c)
{
    ssize_t n = send(c->fd, c->request.p + c->sent, c->request.n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        die("send", str_of(strerror(errno)));
    c->sent += n > 0 ? (size_t)n : 0;
}

/* Moves bytes until something happened. */
static void pump(struct feed *f)
{
    struct pollfd p[CONNS_MAX];
    usec now = clock_mono();
    for (size_t i = 0; i < f->conns_n; i++) {
        const struct conn *c = &f->conns[i];
        bool writes = c->busy && c->sent < c->request.n;
        p[i] = (struct pollfd){c->busy ? c->fd : -1, (short)(!writes ? POLLIN : c->at <= now ? POLLOUT : 0), 0};
    }
    if (poll(p, f->conns_n, AGAIN_US / 1000) < 0)
        die("poll", str_of(strerror(errno)));
    for (size_t i = 0; i < f->conns_n; i++) {
        if (p[i].revents & POLLOUT)
            write_more(&f->conns[i]);
        else if (p[i].revents)
            read_answer(f, &f->conns[i]);
    }
}

static struct conn *idle_conn(struct feed *f)
{
    for (;; pump(f))
        for (size_t i = 0; i < f->conns_n; i++)
            if (!f->conns[i].busy)
                return &f->conns[i];
}

static void post(struct feed *f, struct stream *s)
{
    if (!s->lines)
        return;
    struct conn *c = idle_conn(f);
    buf_reset(&c->request);
    buf_printf(
        &c->request,
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %.*s\r\nContent-Length: %zu\r\n\r\n",
        STR_ARG(s->key), s->body.n);
    buf_str(&c->request, buf_view(&s->body));
    if (s->body.full || c->request.full)
        die("a request is longer than 32 MiB, of app", s->app);
    c->sent = c->n = 0;
    c->busy = true;
    buf_reset(&s->body);
    s->lines = 0;
    write_more(c);
}

static void take_line(struct feed *f, str line)
{
    str name = str_skip(line, (size_t)str_find(line, S("\"app\":\"")) + 7), app = str_cut(&name, '"');
    for (size_t i = 0; i < f->streams_n; i++) {
        struct stream *s = &f->streams[i];
        if (!str_eq(s->app, app))
            continue;
        buf_str(&s->body, line);
        if (++s->lines == f->per_request)
            post(f, s);
        return;
    }
    die("no key was given for app", app);
}

static void run(struct feed *f, str all)
{
    while (all.n) {
        ptrdiff_t end = str_chr(all, '\n');
        size_t n = end < 0 ? all.n : (size_t)end + 1;
        take_line(f, str_head(all, n));
        all = str_skip(all, n);
    }
    for (size_t i = 0; i < f->streams_n; i++)
        post(f, &f->streams[i]);
    for (size_t i = 0; i < f->conns_n; i++)
        while (f->conns[i].busy)
            pump(f);
}

static void read_arguments(struct feed *f, int argc, char **argv)
{
    if (argc < 5 || argc - 4 > STREAMS_MAX || atoi(argv[3]) < 1 || atoi(argv[3]) > CONNS_MAX) {
        fprintf(stderr, "usage: feed PORT EVENTS_PER_REQUEST CONNECTIONS APP=KEY... < corpus.ndjson\n");
        exit(2);
    }
    f->port = (unsigned)atoi(argv[1]), f->per_request = (unsigned)atoi(argv[2]), f->conns_n = (size_t)atoi(argv[3]);
    for (int i = 4; i < argc; i++) {
        struct stream *s = &f->streams[f->streams_n++];
        s->key = str_of(argv[i]);
        s->app = str_cut(&s->key, '=');
        buf_init(&s->body, BODY_MAX);
    }
    for (size_t i = 0; i < f->conns_n; i++)
        open_conn(f, &f->conns[i]);
}

int main(int argc, char **argv)
{
    static struct feed f;
    struct stat st;
    read_arguments(&f, argc, argv);
    if (fstat(STDIN_FILENO, &st) < 0 || !S_ISREG(st.st_mode) || !st.st_size)
        die("stdin", S("expected a file with events"));
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
    if (p == MAP_FAILED)
        die("mmap", str_of(strerror(errno)));
    usec begun = clock_mono();
    run(&f, str_n(p, (size_t)st.st_size));
    printf(
        "{\"requests\":%llu,\"accepted\":%llu,\"duplicates\":%llu,\"rejected\":%llu,\"refused\":%llu,\"seconds\":%.3f}\n",
        (unsigned long long)f.requests, (unsigned long long)f.accepted, (unsigned long long)f.duplicates,
        (unsigned long long)f.rejected, (unsigned long long)f.refused, (double)(clock_mono() - begun) / 1e6);
    return 0;
}
