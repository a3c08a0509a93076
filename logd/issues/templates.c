/* issues/templates.c - see templates.h.
 *
 * Tables are sets of four slots, the latest first; the last of a full set makes way. `nodes` is a union-find forest over
 * template ids. A generalised template keeps the hashes of its tokens, in a list by scope and first token. Shapes that
 * fit none wait in a ring, so that a template that is made later finds those that came before. */
#include "issues/templates.h"
#include "base/str.h"

enum {
    WAYS = 4,
    SHAPE_SETS = 1 << 16,
    SIBLING_SETS = 1 << 15,
    NODES = 1 << 17,
    GENERALS = 1 << 14,
    LISTS = 1 << 12,
    LIST_LOOKED_AT = 400, /* templates that a new shape is laid over */
    RING = 2048,
    VALUES = 12, /* different texts that are remembered of a place */
    SOFT = 6,    /* places that pairs are made of */
    SOFT_ENOUGH = 4,
    DEPTH = 6 /* places of one template that are found in one go */
};
#define NONE UINT32_MAX

struct known { /* a shape, and the template it belongs to */
    uint64_t key;
    uint32_t node;
};
struct sibling { /* shapes that are equal but for one place, or two */
    uint64_t key;
    uint32_t n;
    struct {
        uint32_t value, node;
    } seen[VALUES];
};
struct node {
    uint64_t id;
    uint32_t parent;
};
struct general {
    uint64_t scope, *hashes;
    uint64_t second, last; /* of them, to pass over most without a look at the others */
    uint32_t node, next, n;
    bool starts_with_value;
    bool open; /* its last value may be many words */
};
struct waiting {
    uint64_t scope, first; /* its first token */
    uint32_t node;
    struct shape *shape; /* cut to its tokens */
};
struct templates {
    templates_join_fn *on_join;
    void *arg;
    struct known *known;
    struct sibling *siblings;
    struct node *nodes;
    struct general *generals;
    uint32_t nnodes, ngenerals, lists[LISTS];
    struct waiting ring[RING];
    size_t next_waiting;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

uint64_t shape_id(uint64_t scope, const struct shape *s) { return mix(mix(scope, s->hash), SHAPE_VERSION) | 1; }

static void forget(struct templates *t)
{
    memset(t->known, 0, sizeof *t->known * SHAPE_SETS * WAYS);
    memset(t->siblings, 0, sizeof *t->siblings * SIBLING_SETS * WAYS);
    memset(t->lists, 0xff, sizeof t->lists);
    for (size_t i = 0; i < t->ngenerals; i++)
        free(t->generals[i].hashes);
    for (size_t i = 0; i < RING; i++) {
        free(t->ring[i].shape);
        t->ring[i].shape = NULL;
    }
    t->nnodes = t->ngenerals = 0;
}

struct templates *templates_new(templates_join_fn *on_join, void *arg)
{
    struct templates *t = xcalloc(1, sizeof *t);
    t->on_join = on_join;
    t->arg = arg;
    t->known = xcalloc(SHAPE_SETS * WAYS, sizeof *t->known);
    t->siblings = xcalloc(SIBLING_SETS * WAYS, sizeof *t->siblings);
    t->nodes = xcalloc(NODES, sizeof *t->nodes);
    t->generals = xcalloc(GENERALS, sizeof *t->generals);
    memset(t->lists, 0xff, sizeof t->lists);
    return t;
}

void templates_free(struct templates *t)
{
    if (!t)
        return;
    forget(t);
    free(t->known);
    free(t->siblings);
    free(t->nodes);
    free(t->generals);
    free(t);
}

/* ---- the tables ---- */
static uint32_t known_get(struct templates *t, uint64_t key)
{
    struct known *set = t->known + (key >> 20 & (SHAPE_SETS - 1)) * WAYS;
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].key == key) {
            struct known k = set[i];
            for (; i > 0; i--)
                set[i] = set[i - 1];
            set[0] = k;
            return k.node;
        }
    return NONE;
}

static void known_put(struct templates *t, uint64_t key, uint32_t node)
{
    struct known *set = t->known + (key >> 20 & (SHAPE_SETS - 1)) * WAYS;
    memmove(set + 1, set, (WAYS - 1) * sizeof *set);
    set[0] = (struct known){key, node};
}

static struct sibling *sibling_get(struct templates *t, uint64_t key)
{
    struct sibling *set = t->siblings + (key >> 20 & (SIBLING_SETS - 1)) * WAYS, got = {.key = key};
    size_t i = 0;
    while (i < WAYS - 1 && set[i].key != key)
        i++;
    if (set[i].key == key)
        got = set[i];
    memmove(set + 1, set, i * sizeof *set);
    set[0] = got;
    return set;
}

static uint32_t root(struct templates *t, uint32_t n)
{
    while (t->nodes[n].parent != n) {
        t->nodes[n].parent = t->nodes[t->nodes[n].parent].parent;
        n = t->nodes[n].parent;
    }
    return n;
}

/* The lower number is the older. */
static void join(struct templates *t, uint32_t a, uint32_t b)
{
    a = root(t, a);
    b = root(t, b);
    if (a == b)
        return;
    uint32_t into = a < b ? a : b, from = a < b ? b : a;
    t->nodes[from].parent = into;
    if (t->nodes[from].id != t->nodes[into].id)
        t->on_join(t->arg, t->nodes[from].id, t->nodes[into].id);
}

/* ---- generalised templates ---- */
static bool may_vary(const struct token *t) { return t->kind == TOKEN_VALUE || t->enough > 0; }

/* "a (b)" is as good a value as "a", see shape_settle. */
static bool in_brackets(const struct shape *s, size_t i)
{
    return i + 2 < s->n && s->t[i].mark == '(' && may_vary(&s->t[i + 1]) && s->t[i + 2].mark == ')';
}

/* A value of the template takes one token, and all values beside it; one that is open, all to the end. */
static bool fits(const struct general *g, size_t j, const struct shape *s, size_t i)
{
    while (j < g->n && g->hashes[j] != TOKEN_VALUE_HASH) {
        if (i >= s->n || s->t[i].hash != g->hashes[j])
            return false;
        i++, j++;
    }
    if (j == g->n)
        return i == s->n;
    bool last = j + 1 == g->n, spent = false;
    for (size_t first = i; i < s->n; i++) {
        const struct token *t = &s->t[i];
        if (i > first && in_brackets(s, i)) {
            i += 2;
            if (fits(g, j + 1, s, i + 1))
                return true;
            continue;
        }
        if (!may_vary(t) && (i == first || !last || !g->open) && t->kind != TOKEN_MARK)
            return false;
        if (t->kind == TOKEN_MARK && !(last && g->open && i > first))
            return false;
        if (t->kind != TOKEN_VALUE && spent && !(last && g->open))
            return false;
        spent |= t->kind != TOKEN_VALUE;
        if (fits(g, j + 1, s, i + 1))
            return true;
    }
    return false;
}

static bool may_fit(const struct general *g, const struct shape *s)
{
    bool first = g->starts_with_value || g->n < 2 || g->second == TOKEN_VALUE_HASH || g->second == s->t[1].hash;
    return first && (g->last == TOKEN_VALUE_HASH || g->last == s->t[s->n - 1].hash);
}

static uint32_t *list_of(struct templates *t, uint64_t scope, uint64_t first)
{
    return &t->lists[mix(scope, first) >> 40 & (LISTS - 1)];
}

static uint32_t find_in(struct templates *t, uint64_t scope, uint64_t first, const struct shape *s)
{
    size_t looked = 0;
    for (uint32_t i = *list_of(t, scope, first); i != NONE && looked < LIST_LOOKED_AT; i = t->generals[i].next) {
        struct general *g = &t->generals[i];
        if (g->scope == scope && g->n <= s->n && may_fit(g, s) && fits(g, 0, s, 0))
            return g->node;
        looked++;
    }
    return NONE;
}

static uint32_t find_general(struct templates *t, uint64_t scope, const struct shape *s)
{
    uint32_t node = s->n ? find_in(t, scope, s->t[0].hash, s) : NONE;
    return node == NONE && s->n && s->t[0].kind != TOKEN_VALUE ? find_in(t, scope, TOKEN_VALUE_HASH, s) : node;
}

static void look_around(struct templates *t, uint64_t scope, uint32_t node, const struct shape *s, int depth);

static void add_general(struct templates *t, uint64_t scope, uint32_t node, const struct shape *s, bool open, int depth)
{
    uint64_t key = mix(scope, s->hash);
    uint32_t there = known_get(t, key);
    if (there != NONE)
        join(t, node, there);
    else
        known_put(t, key, node);
    if (t->ngenerals == GENERALS)
        return;
    uint32_t *list = list_of(t, scope, s->t[0].hash);
    struct general *g = &t->generals[t->ngenerals];
    *g = (struct general){.scope = scope, .node = node, .next = *list, .n = (uint32_t)s->n, .open = open};
    g->hashes = xmalloc(s->n * sizeof *g->hashes);
    for (size_t i = 0; i < s->n; i++)
        g->hashes[i] = s->t[i].hash;
    g->starts_with_value = s->t[0].kind == TOKEN_VALUE;
    g->second = s->n > 1 ? s->t[1].hash : 0;
    g->last = s->t[s->n - 1].hash;
    *list = t->ngenerals++;
    for (size_t i = 0; i < RING; i++) {
        struct waiting *w = &t->ring[i];
        if (w->scope != scope || (w->first != s->t[0].hash && !g->starts_with_value))
            continue;
        if (w->shape && w->shape->n >= g->n && may_fit(g, w->shape) && fits(g, 0, w->shape, 0))
            join(t, node, w->node);
    }
    if (depth > 0)
        look_around(t, scope, node, s, depth - 1);
}

/* ---- what is the same but for a place ---- */
static size_t words_kept(const struct shape *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->t[i].kind == TOKEN_WORD || s->t[i].kind == TOKEN_CAUSE;
    return n;
}

/* Only the tokens that are there. */
static void copy_shape(struct shape *to, const struct shape *s)
{
    memcpy(to, s, offsetof(struct shape, t) + s->n * sizeof s->t[0]);
}

static void make_value(struct shape *s, size_t i)
{
    s->t[i].kind = TOKEN_VALUE;
    s->t[i].hash = TOKEN_VALUE_HASH;
    s->t[i].enough = 0;
}

static size_t different(const struct sibling *b, uint32_t mask)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        bool first = true;
        for (size_t k = 0; k < i && first; k++)
            first = (b->seen[k].value & mask) != (b->seen[i].value & mask);
        n += first;
    }
    return n;
}

/* One more `value` where `general` has its place: is it one now? With two places, each half of it tells of one. */
static void count(struct templates *t, uint64_t scope, uint32_t node, const struct shape *general, uint32_t value,
                  size_t enough, bool two, bool open, int depth)
{
    uint64_t key = mix(scope, general->hash);
    uint32_t twin = known_get(t, key);
    if (twin != NONE && (!two || words_kept(general) > 2)) {
        bool had = root(t, twin) == root(t, node);
        join(t, node, twin);
        if (!had)
            add_general(t, scope, node, general, open, depth);
        return;
    }
    struct sibling *b = sibling_get(t, key ^ (two ? 0x55aa55aa : 0));
    for (size_t i = 0; i < b->n; i++)
        if (b->seen[i].value == value)
            return;
    if (b->n < VALUES) {
        b->seen[b->n].value = value;
        b->seen[b->n++].node = node;
    }
    if (two ? different(b, 0xffff) < enough || different(b, 0xffff0000) < enough : b->n < enough)
        return;
    struct sibling all = *b;
    for (size_t i = 0; i < all.n; i++)
        join(t, node, all.seen[i].node);
    add_general(t, scope, root(t, node), general, open, depth);
}

static void leave_out_one(struct templates *t, uint64_t scope, uint32_t node, const struct shape *s, int depth)
{
    for (size_t i = 0; i < s->n; i++) {
        struct shape g;
        if (!s->t[i].enough)
            continue;
        copy_shape(&g, s);
        make_value(&g, i);
        if (words_kept(&g) < (s->t[i].kind == TOKEN_CAUSE ? 1 : 2))
            continue;
        shape_settle(&g);
        count(t, scope, node, &g, (uint32_t)s->t[i].hash, s->t[i].enough, false, false, depth);
    }
}

static void leave_out_two(struct templates *t, uint64_t scope, uint32_t node, const struct shape *s, int depth)
{
    size_t soft[SOFT], n = 0;
    for (size_t i = 0; i < s->n && n < SOFT; i++)
        if (s->t[i].enough && s->t[i].enough <= SOFT_ENOUGH)
            soft[n++] = i;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            struct shape g;
            copy_shape(&g, s);
            make_value(&g, soft[i]);
            make_value(&g, soft[k]);
            if (words_kept(&g) < 2)
                continue;
            shape_settle(&g);
            count(t, scope, node, &g, (uint32_t)(s->t[soft[i]].hash << 16 | (s->t[soft[k]].hash & 0xffff)), 3, true,
                  false, depth);
        }
}

/* Many places that vary together, as in "user=a plan=b state=c". */
static void leave_out_all(struct templates *t, uint64_t scope, uint32_t node, const struct shape *s, int depth)
{
    struct shape g;
    uint64_t value = 0;
    size_t n = 0;
    copy_shape(&g, s);
    for (size_t i = 0; i < s->n; i++)
        if (s->t[i].enough && s->t[i].enough < SOFT_ENOUGH) {
            value = mix(value, s->t[i].hash);
            make_value(&g, i);
            n++;
        }
    if (n < 3 || words_kept(&g) < 3)
        return;
    shape_settle(&g);
    count(t, scope, node, &g, (uint32_t)value, SOFT_ENOUGH, false, false, depth);
}

/* "cannot open x: any words" */
static void leave_out_tail(struct templates *t, uint64_t scope, uint32_t node, const struct shape *s, int depth)
{
    size_t at = s->n, words = 0;
    uint64_t value = 0;
    while (at > 0 && s->t[at - 1].enough && s->t[at - 1].kind != TOKEN_VALUE) {
        value = mix(value, s->t[--at].hash);
        words++;
    }
    if (words < 2 || words > 8 || at < 2 || s->t[at - 1].mark != ':')
        return;
    struct shape g;
    copy_shape(&g, s);
    g.n = at + 1;
    make_value(&g, at);
    if (words_kept(&g) < 2)
        return;
    shape_settle(&g);
    count(t, scope, node, &g, (uint32_t)value, 3, false, true, depth);
}

static void look_around(struct templates *t, uint64_t scope, uint32_t node, const struct shape *s, int depth)
{
    leave_out_one(t, scope, node, s, depth);
    leave_out_tail(t, scope, node, s, depth);
    leave_out_two(t, scope, node, s, depth);
    leave_out_all(t, scope, node, s, depth);
}

/* ---- offers ---- */
static void wait_in_ring(struct templates *t, uint64_t scope, uint32_t node, const struct shape *s)
{
    struct waiting *w = &t->ring[t->next_waiting++ % RING];
    size_t size = offsetof(struct shape, t) + s->n * sizeof s->t[0];
    w->scope = scope;
    w->first = s->n ? s->t[0].hash : 0;
    w->node = node;
    w->shape = xrealloc(w->shape, size);
    memcpy(w->shape, s, size);
}

static struct template_found learn(struct templates *t, uint64_t scope, uint64_t id, const struct shape *s)
{
    uint32_t node = find_general(t, scope, s);
    if (node != NONE) {
        known_put(t, mix(scope, s->hash), node);
        return (struct template_found){t->nodes[root(t, node)].id, true};
    }
    if (t->nnodes == NODES)
        forget(t);
    node = t->nnodes++;
    t->nodes[node] = (struct node){id, node};
    known_put(t, mix(scope, s->hash), node);
    wait_in_ring(t, scope, node, s);
    look_around(t, scope, node, s, DEPTH);
    return (struct template_found){t->nodes[root(t, node)].id, true};
}

struct template_found templates_learn(struct templates *t, uint64_t scope, uint64_t id, const struct shape *s)
{
    uint32_t node = known_get(t, mix(scope, s->hash));
    return node != NONE ? (struct template_found){t->nodes[root(t, node)].id, false} : learn(t, scope, id, s);
}

struct template_found templates_offer(struct templates *t, uint64_t scope, uint64_t id, str message, struct shape *s)
{
    uint32_t node = known_get(t, mix(scope, s->hash));
    if (node != NONE)
        return (struct template_found){t->nodes[root(t, node)].id, false};
    shape_weigh(message, s);
    return learn(t, scope, id, s);
}

bool templates_knows(struct templates *t, uint64_t scope, const struct shape *s)
{
    return known_get(t, mix(scope, s->hash)) != NONE;
}
