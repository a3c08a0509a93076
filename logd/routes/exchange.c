/* routes/exchange.c - exchanges come from a free list and go back to it, and what they hold is counted.
 *
 * Memory  kept for reuse: at most KEEP_N exchanges with KEEP_ALL bytes of buffers together; a buffer over KEEP_ONE is
 *         freed at once. Under way: LIMIT_INFLIGHT of bodies, LIMIT_ANSWERS of answers. What a request brought is wiped
 *         when it is over. */
#include "routes/exchange.h"
#include "base/secret.h"

enum { KEEP_ONE = 1 << 20, KEEP_ALL = 32 << 20, KEEP_N = 256 };

struct exchange *exchange_get(struct http *h)
{
    pthread_mutex_lock(&h->lock);
    struct exchange *x = h->spare;
    if (x) {
        h->spare = x->next;
        h->spare_n--;
        h->spare_bytes -= x->r.body.cap + x->r.out.cap;
    }
    pthread_mutex_unlock(&h->lock);
    if (!x) {
        x = xcalloc(1, sizeof *x);
        buf_init(&x->r.out, LIMIT_RESULT + KEEP_ONE);
        x->r.body.secret = x->r.arena.secret = true; /* headers, parameters, what was posted */
    }
    x->r.parts = h->parts;
    x->r.status = 200;
    x->r.type = "application/json";
    x->r.started = clock_mono();
    x->r.http = x;
    x->h = h;
    x->next = NULL;
    atomic_fetch_add(&h->active, 1);
    return x;
}

static void free_one(struct exchange *x)
{
    arena_done(&x->r.arena);
    buf_done(&x->r.body);
    buf_done(&x->r.out);
    free(x);
}

static void trim(struct buf *b)
{
    buf_reset(b);
    if (b->cap > KEEP_ONE)
        buf_done(b);
}

/* Only memory for the next request is left of it. */
static void forget(struct exchange *x)
{
    struct request *r = &x->r;
    arena_reset(&r->arena);
    trim(&r->out);
    r->out.secret = false;
    struct arena arena = r->arena;
    struct buf body = r->body, out = r->out;
    explicit_bzero(x, sizeof *x);
    r->arena = arena, r->body = body, r->out = out;
}

void exchange_put(struct exchange *x)
{
    struct http *h = x->h;
    exchange_end_body(x);
    atomic_fetch_sub(&h->answers, x->charged_answer);
    forget(x);
    secret_stack();
    size_t bytes = x->r.body.cap + x->r.out.cap;
    pthread_mutex_lock(&h->lock);
    bool keep = h->spare_n < KEEP_N && h->spare_bytes + bytes <= KEEP_ALL;
    if (keep) {
        x->next = h->spare;
        h->spare = x;
        h->spare_n++;
        h->spare_bytes += bytes;
    }
    pthread_mutex_unlock(&h->lock);
    if (!keep)
        free_one(x);
    atomic_fetch_sub(&h->active, 1);
}

void exchange_free_spares(struct http *h)
{
    for (struct exchange *x = h->spare, *next; x; x = next) {
        next = x->next;
        free_one(x);
    }
    h->spare = NULL;
}

bool exchange_charge(struct exchange *x)
{
    size_t holds = x->r.body.cap + decode_memory(&x->decode), was = x->charged;
    if (holds == was)
        return true;
    size_t all = atomic_fetch_add(&x->h->inflight, holds - was) + holds - was; /* modulo 2^64 when it shrank */
    x->charged = holds;
    return holds < was || all <= LIMIT_INFLIGHT;
}

void exchange_charge_answer(struct exchange *x)
{
    if (x->r.out.cap <= KEEP_ONE || x->charged_answer)
        return;
    x->charged_answer = x->r.out.cap;
    atomic_fetch_add(&x->h->answers, x->charged_answer);
}

void exchange_end_body(struct exchange *x)
{
    atomic_fetch_sub(&x->h->inflight, x->charged);
    x->charged = 0;
    decode_done(&x->decode);
    trim(&x->r.body);
}
