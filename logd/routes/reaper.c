/* routes/reaper.c - cuts off who is slow, and lets go gently of who was refused.
 *
 * libmicrohttpd's own time-out starts anew with each byte, so one byte a second holds a connection for ever. Here each
 * phase of a connection has an absolute deadline (struct deadlines); late ones are shut down and the library cleans up.
 * A suspended request (CONN_RUN) is never late: whoever it waits for answers it.
 *
 * Closing a socket that has unread bytes makes the kernel send a reset, which may overtake the reply that says why.
 * So a refused connection lives on for a while as a duplicate here: its bytes are read and thrown away.
 *
 * Owner   one thread; the list under one lock. Costs one pass over the connections four times a second. */
#include "routes/exchange.h"
#include "base/str.h"

#include <errno.h>
#include <linux/tcp.h> /* bytes_received and bytes_acked; netinet/tcp.h of glibc 2.36 has not got them */
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TICK_MS = 250, LINGERERS = 64 };
#define LINGER_BYTES (64u << 20)

struct reaper {
    pthread_t thread;
    pthread_mutex_t lock;
    struct conn *first;
    size_t n;
    uint64_t reaped;
    struct deadlines limit;
    int wake; /* eventfd: stop, or a new lingerer */
    bool stop;
    struct lingerer {
        int fd;
        usec until;
        uint64_t bytes;
    } linger[LINGERERS];
    size_t lingers;
};

static struct deadlines deadlines(void)
{
    const char *text = getenv("LOGD_TEST_HURRY");
    int64_t by;
    if (!text || !str_i64(str_of(text), &by) || by < 1 || by > 100)
        by = 1;
    return (struct deadlines){.head = 10 * USEC_PER_SEC / by,
                              .grace = 10 * USEC_PER_SEC / by,
                              .rate = 1024,
                              .body = 120 * USEC_PER_SEC / by,
                              .answer = 600 * USEC_PER_SEC / by,
                              .stuck = 60 * USEC_PER_SEC / by,
                              .idle = 75 * USEC_PER_SEC / by,
                              .linger = 5 * USEC_PER_SEC / by};
}

/* All zero for a Unix socket. */
static struct tcp_info tcp_info(int fd)
{
    struct tcp_info info = {0};
    socklen_t n = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
        info = (struct tcp_info){0};
    return info;
}

static bool too_slow(const struct deadlines *l, usec age, uint64_t bytes, usec most)
{
    return age > most || (age > l->grace && bytes < l->rate * (uint64_t)(age - l->grace) / USEC_PER_SEC);
}

/* Bytes that went since the phase began, as far as the reaper saw it. */
static uint64_t since_mark(struct conn *c, usec since, uint64_t bytes)
{
    if (c->marked != since) {
        c->marked = since;
        c->mark = bytes;
    }
    return bytes - c->mark;
}

enum verdict { KEEP, LATE, LEFT };

static enum verdict judge_idle(struct reaper *r, struct conn *c, usec since, usec now)
{
    struct tcp_info info = tcp_info(c->fd);
    int idle = CONN_IDLE;
    if (info.tcpi_state == 8) /* CLOSE_WAIT: the library overlooks an end that came together with the request */
        return LEFT;
    if (since_mark(c, since, info.tcpi_bytes_received) > 0) {
        atomic_store_explicit(&c->since, now, memory_order_relaxed);
        atomic_compare_exchange_strong(&c->phase, &idle, CONN_HEAD);
        return KEEP;
    }
    return now - since > r->limit.idle ? LEFT : KEEP;
}

/* May be silent for ever, but what was sent must arrive. */
static enum verdict judge_stream(struct reaper *r, struct conn *c, usec since, usec now)
{
    struct tcp_info info = tcp_info(c->fd);
    if (info.tcpi_unacked == 0 || since_mark(c, since, info.tcpi_bytes_acked) > 0) {
        atomic_store_explicit(&c->since, now, memory_order_relaxed);
        return KEEP;
    }
    return now - since > r->limit.stuck ? LATE : KEEP;
}

static enum verdict judge(struct reaper *r, struct conn *c, usec now)
{
    const struct deadlines *l = &r->limit;
    int phase = atomic_load_explicit(&c->phase, memory_order_acquire);
    usec since = atomic_load_explicit(&c->since, memory_order_relaxed), age = now - since;
    uint64_t bytes;
    bool late = false;
    switch (phase) {
    case CONN_HEAD: late = age > l->head; break;
    case CONN_BODY: late = too_slow(l, age, atomic_load_explicit(&c->bytes, memory_order_relaxed), l->body); break;
    case CONN_ANSWER:
        bytes = since_mark(c, since, tcp_info(c->fd).tcpi_bytes_acked);
        late = c->local ? age > l->answer : too_slow(l, age, bytes, l->answer);
        break;
    case CONN_STREAM: return judge_stream(r, c, since, now);
    case CONN_IDLE: return judge_idle(r, c, since, now);
    default: break;
    }
    return late ? LATE : KEEP;
}

static void reap(struct reaper *r)
{
    usec now = clock_mono();
    pthread_mutex_lock(&r->lock);
    for (struct conn *c = r->first; c; c = c->next) {
        enum verdict v = c->cut ? KEEP : judge(r, c, now);
        if (v == KEEP)
            continue;
        c->cut = true;
        (void)shutdown(c->fd, SHUT_RDWR);
        r->reaped += v == LATE;
    }
    pthread_mutex_unlock(&r->lock);
}

/* True when the lingerer is done. */
static bool drain(struct lingerer *l, usec now)
{
    char waste[32 << 10];
    ssize_t n = 1;
    for (int i = 0; i < 32 && n > 0; i++) { /* a megabyte, then the others */
        n = recv(l->fd, waste, sizeof waste, MSG_DONTWAIT);
        l->bytes += n > 0 ? (uint64_t)n : 0;
    }
    bool over = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    explicit_bzero(waste, sizeof waste);
    return over || now > l->until || l->bytes > LINGER_BYTES;
}

static void drain_all(struct reaper *r)
{
    usec now = clock_mono();
    pthread_mutex_lock(&r->lock);
    for (size_t i = r->lingers; i-- > 0;)
        if (r->stop || drain(&r->linger[i], now)) {
            close(r->linger[i].fd);
            r->linger[i] = r->linger[--r->lingers];
        }
    pthread_mutex_unlock(&r->lock);
}

static void *run(void *arg)
{
    struct reaper *r = arg;
    usec next = 0;
    for (bool stop = false; !stop;) {
        struct pollfd fds[LINGERERS + 1] = {{r->wake, POLLIN, 0}};
        pthread_mutex_lock(&r->lock);
        size_t n = r->lingers;
        for (size_t i = 0; i < n; i++)
            fds[i + 1] = (struct pollfd){r->linger[i].fd, POLLIN, 0};
        stop = r->stop;
        pthread_mutex_unlock(&r->lock);
        uint64_t waste;
        if (!stop && poll(fds, n + 1, TICK_MS) > 0 && (fds[0].revents & POLLIN))
            (void)!read(r->wake, &waste, sizeof waste);
        drain_all(r);
        if (clock_mono() >= next) {
            reap(r);
            next = clock_mono() + TICK_MS * 1000;
        }
    }
    return NULL;
}

struct reaper *reaper_start(void)
{
    struct reaper *r = xcalloc(1, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    r->limit = deadlines();
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake < 0 || pthread_create(&r->thread, NULL, run, r) != 0)
        abort(); /* at start: nothing works without it */
    return r;
}

static void wake(struct reaper *r) { (void)!write(r->wake, &(uint64_t){1}, 8); }

void reaper_stop(struct reaper *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_mutex_unlock(&r->lock);
    wake(r);
    pthread_join(r->thread, NULL);
    assert(!r->first && r->lingers == 0);
    close(r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void reaper_add(struct reaper *r, struct conn *c)
{
    pthread_mutex_lock(&r->lock);
    c->next = r->first;
    if (c->next)
        c->next->prev = c;
    r->first = c;
    r->n++;
    pthread_mutex_unlock(&r->lock);
}

void reaper_remove(struct reaper *r, struct conn *c)
{
    pthread_mutex_lock(&r->lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        r->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    r->n--;
    int fd = c->linger && !r->stop && r->lingers < LINGERERS ? dup(c->fd) : -1;
    if (fd >= 0) {
        shutdown(fd, SHUT_WR);
        r->linger[r->lingers++] = (struct lingerer){fd, clock_mono() + r->limit.linger, 0};
    }
    pthread_mutex_unlock(&r->lock);
    if (fd >= 0)
        wake(r);
}

void reaper_count(struct reaper *r, size_t *ret_connections, uint64_t *ret_reaped)
{
    pthread_mutex_lock(&r->lock);
    *ret_connections = r->n;
    *ret_reaped = r->reaped;
    pthread_mutex_unlock(&r->lock);
}
