#include "routes/post.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "journal/journal.h"
#include "parts.h"
#include "routes/resolve.h"

#include <pthread.h>

const char *const post_reason_names[POST_REASONS] = {"invalid", "quota", "full", "conflict"};
struct post_count post_counts[POST_APPS];

static pthread_key_t writer_key;
static pthread_once_t writer_once = PTHREAD_ONCE_INIT;

static void free_writer(void *w) { event_writer_free(w); }
static void make_key(void)
{
    if (pthread_key_create(&writer_key, free_writer) != 0)
        abort();
}

struct event_writer *post_writer(void)
{
    pthread_once(&writer_once, make_key);
    struct event_writer *w = pthread_getspecific(writer_key);
    if (!w) {
        w = event_writer_new();
        if (pthread_setspecific(writer_key, w) != 0)
            abort();
    }
    return w;
}

static struct post_count *counts(uint32_t app) { return &post_counts[app < POST_APPS ? app : POST_APPS - 1]; }
static void count(_Atomic uint64_t *c, uint64_t n) { atomic_fetch_add_explicit(c, n, memory_order_relaxed); }

/* Through the socket nobody has an app: it is said. */
static bool name_app(struct request *r)
{
    str name = http_param(r, "app");
    if (r->who.app)
        return true;
    if (!name.p)
        reply_error(r, 400, "app: expected ?app=NAME");
    else if (!auth_app_find(r->parts->auth, name, &r->who.app))
        reply_error(r, 400, "app: there is none named \"%.*s\"", STR_ARG(str_head(name, LIMIT_APP)));
    else
        return auth_app_name(r->parts->auth, r->who.app, r->who.app_name);
    return false;
}

/* The same key of two senders is two keys, and one for events is none for stats. */
bool post_idempotency(struct request *r, struct batch *b)
{
    str key = http_header(r, "Idempotency-Key");
    uint8_t digest[32];
    if (!key.p)
        return true;
    if (key.n == 0 || key.n > LIMIT_IDEMPOTENCY_KEY) {
        reply_error(r, 400, "Idempotency-Key: expected 1 to %u bytes, got %zu", LIMIT_IDEMPOTENCY_KEY, key.n);
        return false;
    }
    char *scoped = arena_printf(&r->arena, "%s%lld:%u:%.*s", b->type == RECORD_STATS ? "stats:" : "",
                                (long long)r->who.key, r->who.app, STR_ARG(key));
    sha256(str_of(scoped), digest);
    memcpy(b->idem_key, digest, sizeof b->idem_key);
    sha256(buf_view(&r->body), digest);
    memcpy(b->idem_body, digest, sizeof b->idem_body);
    b->idempotent = true;
    return true;
}

struct batch *post_begin(struct request *r, enum record_type type, struct event_source *src)
{
    if (!name_app(r))
        return NULL;
    bool browser = r->who.role == ROLE_BROWSER;
    usec now = clock_now();
    struct batch *b = batch_new(type, r->who.app, batch_stamp(&r->parts->last_stamp, now));
    memcpy(b->id_key, r->parts->id_key, sizeof b->id_key);
    if (!post_idempotency(r, b)) {
        batch_free(b);
        return NULL;
    }
    (void)buf_room(&b->body, r->body.n + r->body.n / 2 + 512); /* what we add to each event; one malloc for most */
    const struct config *c = r->parts->config;
    *src = (struct event_source){.app = str_of(r->who.app_name),
                                 .now = now,
                                 .browser = browser,
                                 .max_event = (uint32_t)c->limits.event,
                                 .max_fields = c->limits.fields,
                                 .max_depth = c->limits.depth,
                                 .max_events = c->limits.events};
    if (browser)
        src->ip = str_of(r->peer);
    return b;
}

void post_refuse(struct request *r, const struct err *e)
{
    if (e->kind == ERR_FULL)
        reply_error(r, 413, "%s", e->text);
    else
        reply_err(r, e);
}

struct waiting { /* in the request's arena */
    struct request *r;
    void (*reply)(struct request *r, const struct batch *b);
    uint32_t events; /* accepted by intake */
};

static void reply_repeated(struct request *r, const struct batch *b)
{
    str first = str_trim(str_of(b->repeat));
    if (!str_ends(first, S("}")))
        return;
    buf_str(&r->out, str_head(first, first.n - 1));
    buf_lit(&r->out, ",\"duplicate\":true}\n");
}

void post_not_taken(struct request *r, const struct batch *b)
{
    bool full = b->status == BATCH_FULL;
    if (b->status == BATCH_REPEATED) {
        reply_repeated(r, b);
    } else if (b->status == BATCH_CONFLICT) {
        reply_error(r, 409, "Idempotency-Key: was used with another body");
    } else {
        reply_header(r, "Retry-After", "%s", full ? "1" : "10");
        reply_error(r, 503,
                    full ? "the queue, the memory or the disk is full: nothing was taken, try again"
                         : "the disk failed: nothing was taken, the server is stopping");
    }
}

/* In the journal's thread. */
static void on_done(struct batch *b, void *arg)
{
    struct waiting *w = arg;
    struct request *r = w->r;
    struct post_count *c = counts(b->app);
    if (b->status == BATCH_OK) {
        count(&c->accepted, w->events);
        count(&c->stored, b->accepted);
        count(&c->duplicate, b->duplicates);
        w->reply(r, b);
    } else {
        if (b->status == BATCH_REPEATED) {
            count(&c->accepted, w->events);
            count(&c->duplicate, w->events);
        } else {
            count(&c->rejected[b->status == BATCH_CONFLICT ? POST_CONFLICT : POST_FULL], w->events);
        }
        post_not_taken(r, b);
    }
    batch_free(b);
    http_finish(r);
}

void post_commit(struct request *r, struct batch *b, void (*reply)(struct request *r, const struct batch *b))
{
    struct post_count *c = counts(b->app);
    unsigned retry_s;
    count(&c->rejected[POST_INVALID], b->rejected);
    if (b->events == 0) {
        reply(r, b);
        batch_free(b);
        return;
    }
    if (!auth_take(r->parts->auth, r->who.key, b->events, clock_now(), &retry_s)) {
        count(&c->rejected[POST_QUOTA], b->events);
        batch_free(b);
        reply_header(r, "Retry-After", "%u", retry_s);
        reply_error(r, 429, "this key has used up its quota: nothing was taken, try again in %u s", retry_s);
        return;
    }
    resolve_batch(r, b);
    if (r->body.cap > 1u << 20)
        buf_done(&r->body); /* read; the batch waits for the disk without it */
    struct waiting *w = arena_alloc(&r->arena, sizeof *w);
    *w = (struct waiting){r, reply, b->events};
    b->done = on_done;
    b->arg = w;
    http_defer(r);
    journal_submit(r->parts->journal, b);
}
