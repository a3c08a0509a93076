#include "routes/stream.h"
#include "base/str.h"
#include "routes/exchange.h"

enum { PIECE = 32 << 10 };

struct stream {
    pthread_mutex_t lock;
    pthread_cond_t room; /* bytes were taken, or the client has gone */
    struct buf data;
    size_t taken; /* of data */
    unsigned holders;
    bool ended, waiting; /* waiting: the connection is suspended until something comes */
    _Atomic bool gone;
    struct MHD_Connection *mhd;
    struct http *h;
    int fd;
};

/* Called with the lock, gives it back. */
static void let_go(struct stream *s)
{
    bool last = --s->holders == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    buf_done(&s->data);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->room);
    free(s);
}

/* ---- in the epoll thread ---- */

static ssize_t read_some(void *arg, uint64_t pos, char *out, size_t max)
{
    struct stream *s = arg;
    (void)pos;
    pthread_mutex_lock(&s->lock);
    str rest = str_head(str_skip(buf_view(&s->data), s->taken), max);
    ssize_t n = (ssize_t)rest.n;
    if (n > 0) {
        memcpy(out, rest.p, rest.n);
        s->taken += rest.n;
        if (s->taken == s->data.n)
            s->taken = s->data.n = 0;
        pthread_cond_signal(&s->room);
    } else if (s->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (!exchange_hold(s->h, &s->h->closing)) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else {
        s->waiting = true; /* under the lock, so no wake is missed */
        MHD_suspend_connection(s->mhd);
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* The connection is over; its socket is still open. */
static void forget(void *arg)
{
    struct stream *s = arg;
    watch_remove(s->h->watch, s->fd);
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->gone, true);
    pthread_cond_signal(&s->room);
    let_go(s);
}

struct MHD_Response *stream_response(struct stream *s)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_some, s, forget);
}

/* ---- in the producer's thread ---- */

struct stream *http_stream(struct request *r, size_t most)
{
    struct exchange *x = r->http;
    struct stream *s = xcalloc(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->room, NULL);
    buf_init(&s->data, 2 * most);
    s->holders = 2;
    s->mhd = x->mhd;
    s->h = x->h;
    s->fd = x->c->fd;
    x->stream = s;
    watch_add(s->h->watch, s->fd, &s->gone);
    if (atomic_load(&x->h->stopping)) /* it may have told those it knew already */
        atomic_store(&s->gone, true);
    http_defer(r);
    http_finish(r);
    return s;
}

static void wake(struct stream *s)
{
    if (!s->waiting)
        return;
    s->waiting = false;
    MHD_resume_connection(s->mhd);
    atomic_fetch_sub(&s->h->held, 1);
}

static bool has_room(const struct stream *s, size_t n) { return s->data.n - s->taken + n <= s->data.max / 2; }

static void append(struct stream *s, str bytes)
{
    if (s->taken && s->data.n + bytes.n > s->data.max) {
        memmove(s->data.p, s->data.p + s->taken, s->data.n - s->taken);
        s->data.n -= s->taken;
        s->taken = 0;
    }
    buf_str(&s->data, bytes);
    assert(!s->data.full);
    wake(s);
}

bool stream_write(struct stream *s, str bytes)
{
    pthread_mutex_lock(&s->lock);
    bool fits = !atomic_load(&s->gone) && has_room(s, bytes.n);
    if (fits)
        append(s, bytes);
    pthread_mutex_unlock(&s->lock);
    return fits;
}

/* A moment, or until bytes were taken: the watch tells of those who left without a signal. */
static void wait_for_room(struct stream *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20000000;
    until.tv_sec += until.tv_nsec / NSEC_PER_SEC;
    until.tv_nsec %= NSEC_PER_SEC;
    (void)pthread_cond_timedwait(&s->room, &s->lock, &until);
}

bool stream_write_wait(struct stream *s, str bytes, usec until)
{
    pthread_mutex_lock(&s->lock);
    while (bytes.n && !atomic_load(&s->gone) && clock_mono() < until) {
        str piece = str_head(bytes, PIECE);
        if (has_room(s, piece.n)) {
            append(s, piece);
            bytes = str_skip(bytes, piece.n);
        } else {
            wait_for_room(s);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return bytes.n == 0;
}

const _Atomic bool *stream_gone(struct stream *s) { return &s->gone; }

void stream_end(struct stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    if (s->holders == 2) /* else there is no connection any more */
        wake(s);
    let_go(s);
}
