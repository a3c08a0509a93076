#include "journal/window.h"
#include "base/hash.h"

enum {
    OLD = 3, /* generations kept beside the present one */
    IDS = 10000000 / OLD + 1,
    KEYS = 1 << 20,
    TEXTS = 16 << 20, /* bytes of replies */
    BITS_MIN = 6
};

struct generation {
    struct table table; /* ids: hash to second; keys: hash to index of seen */
    usec from, to;      /* receptions within; to is the latest */
    struct seen *seen;  /* keys only */
    size_t seen_n, seen_cap;
    struct buf texts;
    uint32_t last, last_n; /* the newest reply in texts */
};
struct line { /* of generations, newest first */
    struct generation g[1 + OLD];
    size_t n;
    size_t limit; /* entries of one generation */
};
struct window {
    uint32_t app;
    struct line ids, keys;
    struct windows *all;
};
struct windows {
    usec length;
    usec lost_until;
    struct window **app;
    size_t n;
};

/* ---- table ---- */

static size_t slot_of(const struct table *t, uint64_t hash)
{
    size_t mask = ((size_t)1 << t->bits) - 1, i = (size_t)(hash >> (64 - t->bits));
    while (t->hash[i] != 0 && t->hash[i] != hash)
        i = (i + 1) & mask;
    return i;
}

static uint64_t not_zero(uint64_t hash) { return hash ? hash : 1; }

bool table_get(const struct table *t, uint64_t hash, uint32_t *ret)
{
    if (t->n == 0)
        return false;
    size_t i = slot_of(t, not_zero(hash));
    if (t->hash[i] == 0)
        return false;
    *ret = t->value[i];
    return true;
}

/* Slots go by the hash's high bits, so that growing copies in order and stays in the cache. */
static void table_grow(struct table *t)
{
    struct table was = *t;
    t->bits = was.hash ? was.bits + 1 : BITS_MIN;
    t->hash = xcalloc((size_t)1 << t->bits, sizeof *t->hash);
    t->value = xmalloc(sizeof *t->value << t->bits);
    for (size_t i = 0; was.hash && i < (size_t)1 << was.bits; i++) {
        if (was.hash[i] == 0)
            continue;
        size_t to = slot_of(t, was.hash[i]);
        t->hash[to] = was.hash[i];
        t->value[to] = was.value[i];
    }
    free(was.hash);
    free(was.value);
}

void table_set(struct table *t, uint64_t hash, uint32_t value)
{
    if (!t->hash || t->n + 1 > ((size_t)1 << t->bits) / 5 * 4)
        table_grow(t);
    size_t i = slot_of(t, not_zero(hash));
    t->n += t->hash[i] == 0;
    t->hash[i] = not_zero(hash);
    t->value[i] = value;
}

void table_reset(struct table *t)
{
    if (t->n == 0)
        return;
    if (t->bits > 12)
        table_done(t);
    else
        memset(t->hash, 0, sizeof *t->hash << t->bits);
    t->n = 0;
}

void table_done(struct table *t)
{
    free(t->hash);
    free(t->value);
    *t = (struct table){0};
}

/* ---- generations ---- */

static void generation_done(struct generation *g)
{
    table_done(&g->table);
    free(g->seen);
    buf_done(&g->texts);
}

/* The generation an entry received at `at` goes into. */
static struct generation *present(struct windows *w, struct line *l, usec at)
{
    struct generation *g = &l->g[0];
    if (l->n > 0 && at - g->from < w->length / OLD && g->table.n < l->limit && g->texts.n < TEXTS) {
        g->to = at > g->to ? at : g->to;
        return g;
    }
    if (l->n == LENGTH(l->g)) {
        struct generation *oldest = &l->g[--l->n];
        if (oldest->to + w->length >= at && oldest->to > w->lost_until)
            w->lost_until = oldest->to;
        generation_done(oldest);
    }
    memmove(l->g + 1, l->g, l->n * sizeof *l->g);
    l->n++;
    *g = (struct generation){.from = at, .to = at};
    buf_init(&g->texts, 2 * (size_t)TEXTS);
    return g;
}

static uint32_t second(usec t) { return t < 0 ? 0 : (uint32_t)(t / USEC_PER_SEC); }

/* Whole seconds, so the window is up to a second longer than promised and never shorter. */
static bool within(const struct windows *w, uint32_t at_s, usec now)
{
    return (int64_t)second(now) - at_s <= w->length / USEC_PER_SEC;
}

bool window_has_id(struct window *a, uint64_t hash, usec now)
{
    uint32_t at_s;
    for (size_t i = 0; i < a->ids.n; i++)
        if (table_get(&a->ids.g[i].table, hash, &at_s))
            return within(a->all, at_s, now);
    return false;
}

void window_add_id(struct window *a, uint64_t hash, usec at)
{
    table_set(&present(a->all, &a->ids, at)->table, hash, second(at));
}

static uint64_t key_hash(const uint8_t key[16]) { return hash_str((str){(const char *)key, 16}); }

const struct seen *window_get_key(struct window *a, const uint8_t key[16], usec now, str *ret_reply)
{
    uint32_t at;
    for (size_t i = 0; i < a->keys.n; i++) {
        const struct generation *g = &a->keys.g[i];
        if (!table_get(&g->table, key_hash(key), &at) || memcmp(g->seen[at].key, key, 16) != 0)
            continue;
        *ret_reply = (str){g->texts.p + g->seen[at].reply, g->seen[at].reply_n};
        return within(a->all, g->seen[at].at_s, now) ? &g->seen[at] : NULL;
    }
    return NULL;
}

void window_add_key(struct window *a, const uint8_t key[16], const uint8_t body[16], str reply, usec at)
{
    struct generation *g = present(a->all, &a->keys, at);
    if (g->seen_n == g->seen_cap)
        g->seen = xrealloc(g->seen, (g->seen_cap = g->seen_cap ? 2 * g->seen_cap : 16) * sizeof *g->seen);
    if (g->last_n != reply.n || (reply.n > 0 && memcmp(g->texts.p + g->last, reply.p, reply.n) != 0)) {
        g->last = (uint32_t)g->texts.n;
        g->last_n = (uint32_t)reply.n;
        buf_str(&g->texts, reply);
        assert(!g->texts.full); /* a reply is smaller than TEXTS: limits.h */
    }
    struct seen *s = &g->seen[g->seen_n];
    *s = (struct seen){.at_s = second(at), .reply = g->last, .reply_n = g->last_n};
    memcpy(s->key, key, 16);
    memcpy(s->body, body, 16);
    table_set(&g->table, key_hash(key), (uint32_t)g->seen_n++);
}

/* ---- all apps ---- */

struct windows *windows_new(usec length)
{
    struct windows *w = xcalloc(1, sizeof *w);
    w->length = length;
    return w;
}

void windows_free(struct windows *w)
{
    for (size_t i = 0; w && i < w->n; i++) {
        for (size_t k = 0; k < w->app[i]->ids.n; k++)
            generation_done(&w->app[i]->ids.g[k]);
        for (size_t k = 0; k < w->app[i]->keys.n; k++)
            generation_done(&w->app[i]->keys.g[k]);
        free(w->app[i]);
    }
    if (w)
        free(w->app);
    free(w);
}

/* Asked once a batch; apps are dozens. */
struct window *windows_app(struct windows *w, uint32_t app)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->app[i]->app == app)
            return w->app[i];
    struct window *a = xcalloc(1, sizeof *a);
    a->app = app;
    a->all = w;
    a->ids.limit = IDS;
    a->keys.limit = KEYS;
    w->app = xrealloc(w->app, (w->n + 1) * sizeof(struct window *));
    return w->app[w->n++] = a;
}

usec windows_lost_until(const struct windows *w) { return w->lost_until; }

static size_t line_bytes(const struct line *l)
{
    size_t sum = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct generation *g = &l->g[i];
        sum += g->seen_cap * sizeof *g->seen + g->texts.cap;
        if (g->table.hash)
            sum += (sizeof *g->table.hash + sizeof *g->table.value) << g->table.bits;
    }
    return sum;
}

size_t windows_bytes(const struct windows *w)
{
    size_t sum = 0;
    for (size_t i = 0; i < w->n; i++)
        sum += line_bytes(&w->app[i]->ids) + line_bytes(&w->app[i]->keys);
    return sum;
}
