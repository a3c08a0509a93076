#include "query/tail.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/queue.h"
#include "query/shape.h"

#include <stdatomic.h>

enum { BATCHES_WAITING = 1024 };
#define IDLE (15 * USEC_PER_SEC) /* then a comment tells proxies and clients that we are there */
#define TICK (100000)            /* how soon it is seen that a follower has gone */

struct piece {
    size_t n;
    char lines[];
};
struct follower {
    struct follower *next;
    struct query *q;
    struct tail_sink sink;
    bool shapes;
    uint64_t lost; /* not told yet */
    usec spoke;    /* clock_mono() */
};
struct tail {
    pthread_t thread;
    struct queue queue;
    _Atomic size_t waiting;  /* bytes in the queue */
    _Atomic uint64_t missed; /* events that found no room there, not counted as lost yet */
    _Atomic uint64_t sent, dropped;
    _Atomic size_t followers;
    _Atomic bool stop;
    pthread_mutex_t lock; /* of the list: the thread changes it, others put new ones before it */
    struct follower *first;
    struct arena a;
    struct buf frame;
    struct event ev, shaped;
};

/* ---- one follower ---- */

static bool write_frame(struct tail *t, struct follower *f, const char *before, str data, const char *after)
{
    buf_reset(&t->frame);
    buf_str(&t->frame, str_of(before));
    buf_str(&t->frame, data);
    buf_str(&t->frame, str_of(after));
    bool fits = f->sink.write(f->sink.arg, buf_view(&t->frame));
    f->spoke = fits ? clock_mono() : f->spoke;
    return fits;
}

static bool tell_lost(struct tail *t, struct follower *f)
{
    char text[64];
    snprintf(text, sizeof text, "{\"dropped\":%llu}", (unsigned long long)f->lost);
    if (f->lost && !write_frame(t, f, "event: dropped\ndata: ", str_of(text), "\n\n"))
        return false;
    f->lost = 0;
    return true;
}

static void lose(struct tail *t, struct follower *f, uint64_t n)
{
    f->lost += n;
    atomic_fetch_add(&t->dropped, n);
}

/* The line for it; absent: its stages leave the event out. */
static str line_for(struct tail *t, const struct follower *f, str line)
{
    struct err ignored;
    struct event *ev = &t->ev;
    if (!filter_match(f->q->filter, ev, &t->a))
        return (str){NULL, 0};
    if (f->shapes) { /* one of its own, since it changes */
        ev = &t->shaped;
        if (event_read(line, ev, &t->a, &ignored) < 0)
            return (str){NULL, 0};
    }
    for (size_t i = 0; i < f->q->stages_n; i++) {
        const struct stage *st = &f->q->stages[i];
        if (stage_shapes(st))
            shape(st, ev, &t->a);
        else if (!filter_match(st->where, ev, &t->a))
            return (str){NULL, 0};
    }
    return f->shapes ? shape_line(ev, &t->a) : line;
}

static void offer(struct tail *t, struct follower *f, str line)
{
    str text = line_for(t, f, line);
    if (!text.p)
        return;
    if (tell_lost(t, f) && write_frame(t, f, "data: ", text, "\n\n"))
        atomic_fetch_add(&t->sent, 1);
    else
        lose(t, f, 1);
}

static void follower_free(struct tail *t, struct follower *f)
{
    f->sink.end(f->sink.arg);
    query_free(f->q);
    free(f);
    atomic_fetch_sub(&t->followers, 1);
}

/* ---- the thread ---- */

static void drop_gone(struct tail *t, bool all)
{
    struct follower *gone = NULL;
    pthread_mutex_lock(&t->lock);
    for (struct follower **at = &t->first; *at;) {
        struct follower *f = *at;
        if (!all && !f->sink.gone(f->sink.arg)) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        f->next = gone;
        gone = f;
    }
    pthread_mutex_unlock(&t->lock);
    for (struct follower *next; gone; gone = next) {
        next = gone->next;
        follower_free(t, gone);
    }
}

static struct follower *followers(struct tail *t)
{
    pthread_mutex_lock(&t->lock);
    struct follower *first = t->first;
    pthread_mutex_unlock(&t->lock);
    return first; /* nobody but this thread takes one out */
}

static void deliver(struct tail *t, str lines)
{
    struct err ignored;
    struct follower *first = followers(t);
    while (lines.n) {
        str line = str_cut(&lines, '\n');
        arena_reset(&t->a);
        if (event_read(line, &t->ev, &t->a, &ignored) < 0)
            continue;
        for (struct follower *f = first; f; f = f->next)
            offer(t, f, line);
    }
}

static void look_after(struct tail *t)
{
    uint64_t missed = atomic_exchange(&t->missed, 0);
    usec now = clock_mono();
    drop_gone(t, false);
    for (struct follower *f = followers(t); f; f = f->next) {
        if (missed)
            lose(t, f, missed);
        if (f->lost)
            (void)tell_lost(t, f);
        if (now - f->spoke > IDLE)
            (void)write_frame(t, f, ":", (str){NULL, 0}, "\n\n");
    }
}

static void *run(void *arg)
{
    struct tail *t = arg;
    usec looked = 0;
    while (!atomic_load(&t->stop)) {
        struct piece *p = queue_pop(&t->queue, TICK);
        if (p) {
            deliver(t, str_n(p->lines, p->n));
            atomic_fetch_sub(&t->waiting, p->n);
            free(p);
        }
        if (clock_mono() - looked > TICK) {
            look_after(t);
            looked = clock_mono();
        }
    }
    drop_gone(t, true);
    return NULL;
}

struct tail *tail_new(void)
{
    struct tail *t = xcalloc(1, sizeof *t);
    queue_init(&t->queue, BATCHES_WAITING);
    buf_init(&t->frame, SIZE_MAX / 2);
    pthread_mutex_init(&t->lock, NULL);
    if (pthread_create(&t->thread, NULL, run, t) != 0)
        abort(); /* no thread at start is like no memory at start */
    return t;
}

void tail_free(struct tail *t)
{
    if (!t)
        return;
    atomic_store(&t->stop, true);
    queue_close(&t->queue);
    pthread_join(t->thread, NULL);
    for (void *p; (p = queue_pop(&t->queue, 0));)
        free(p);
    queue_done(&t->queue);
    pthread_mutex_destroy(&t->lock);
    arena_done(&t->a);
    buf_done(&t->frame);
    free(t);
}

/* ---- from outside ---- */

static uint64_t count_lines(str lines)
{
    uint64_t n = 0;
    for (const char *at = lines.p, *end = lines.p + lines.n; at < end && (at = memchr(at, '\n', (size_t)(end - at)));
         at++)
        n++;
    return n;
}

void tail_publish(struct tail *t, str lines)
{
    if (atomic_load(&t->followers) == 0 || lines.n == 0)
        return;
    struct piece *p = NULL;
    if (atomic_fetch_add(&t->waiting, lines.n) + lines.n <= LIMIT_TAIL_WAIT) {
        p = xmalloc(sizeof *p + lines.n);
        p->n = lines.n;
        memcpy(p->lines, lines.p, lines.n);
        void *item = p;
        if (queue_push(&t->queue, &item))
            return;
    }
    free(p);
    atomic_fetch_sub(&t->waiting, lines.n);
    atomic_fetch_add(&t->missed, count_lines(lines));
}

int tail_check(const struct query *q, struct err *e)
{
    for (size_t i = 0; i < q->stages_n; i++)
        if (q->stages[i].kind != STAGE_WHERE && !stage_shapes(&q->stages[i]))
            return err_at(e, q->stages[i].column, "stage '%s' cannot be followed: expected where, fields or parse",
                          q->stages[i].name);
    return 0;
}

bool tail_has_room(struct tail *t) { return atomic_load(&t->followers) < LIMIT_TAILS; }

void tail_follow(struct tail *t, struct query *q, const struct tail_sink *sink)
{
    struct follower *f = xcalloc(1, sizeof *f);
    *f = (struct follower){.q = q, .sink = *sink, .spoke = clock_mono()};
    for (size_t i = 0; i < q->stages_n; i++)
        f->shapes |= stage_shapes(&q->stages[i]);
    (void)sink->write(sink->arg, S(":\n\n"));
    atomic_fetch_add(&t->followers, 1);
    pthread_mutex_lock(&t->lock);
    f->next = t->first;
    t->first = f;
    pthread_mutex_unlock(&t->lock);
}

void tail_stats(struct tail *t, struct tail_stats *ret)
{
    *ret = (struct tail_stats){atomic_load(&t->followers), atomic_load(&t->sent), atomic_load(&t->dropped)};
}
