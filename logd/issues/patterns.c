/* issues/patterns.c - see patterns.h.
 *
 * The miner keeps hashes, not words. Here the first message of each pattern is kept with its shape; where another message
 * of the pattern says something else, that place becomes a value. So the text is what all its messages have in common. */
#include "issues/patterns.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "issues/issues.h"
#include "issues/learned.h"
#include "issues/templates.h"

struct said {      /* under an id */
    uint64_t into; /* what it has become; 0: it is what it was */
    str message;
    struct shape *shape; /* cut to its tokens; NULL: none was met yet */
};
struct patterns {
    struct db *db;
    struct templates *templates;
    struct map said, scopes; /* by id; by app and type: uint64_t */
    struct arena a;
    size_t bytes;
};
static const str others = S("0000000000000000");

static str key_of(const uint64_t *id) { return str_n((const char *)id, sizeof *id); }

static struct said *said_of(struct patterns *p, uint64_t id)
{
    struct said *x = map_get(&p->said, key_of(&id));
    if (!x) {
        x = arena_zero(&p->a, sizeof *x);
        map_set(&p->said, key_of(&id), x);
        p->bytes += 2 * sizeof *x + sizeof(struct map_slot);
    }
    return x;
}

/* ---- the text ---- */

static void make_values(struct shape *s, size_t from, size_t to, const struct token *unless)
{
    for (size_t i = from; i < to; i++)
        if (!unless || unless[i - from].hash != s->t[i].hash) {
            s->t[i].kind = TOKEN_VALUE;
            s->t[i].hash = TOKEN_VALUE_HASH;
            s->t[i].mark = 0;
        }
    shape_settle(s);
}

static void keep_text(struct patterns *p, struct said *x, str message, const struct shape *s)
{
    size_t size = offsetof(struct shape, t) + s->n * sizeof s->t[0];
    x->message = arena_str(&p->a, str_head(message, SHAPE_BYTES));
    x->shape = arena_alloc(&p->a, size);
    memcpy(x->shape, s, size);
    p->bytes += size + x->message.n;
}

/* What `x` says and `s` does not becomes a value. Of two lengths the longer is kept: its words have a place to be one in. */
static void widen(struct patterns *p, struct said *x, str message, const struct shape *s)
{
    size_t head = 0, tail = 0;
    if (!x->shape) {
        keep_text(p, x, message, s);
        return;
    }
    const struct shape *r = x->shape;
    size_t least = r->n < s->n ? r->n : s->n;
    while (head < least && r->t[head].hash == s->t[head].hash)
        head++;
    if (head == r->n && head == s->n)
        return;
    while (tail < least - head && r->t[r->n - 1 - tail].hash == s->t[s->n - 1 - tail].hash)
        tail++;
    if (r->n < s->n && head + tail == r->n)
        keep_text(p, x, message, s);
    make_values(x->shape, head, x->shape->n - tail, r->n == s->n ? s->t + head : NULL);
}

static void on_join(void *arg, uint64_t from, uint64_t into)
{
    struct patterns *p = arg;
    struct said *x = said_of(p, from), *to = said_of(p, into);
    x->into = into;
    if (x->shape)
        widen(p, to, x->message, x->shape);
}

/* ---- one message ---- */

struct patterns *patterns_new(struct db *read)
{
    struct patterns *p = xcalloc(1, sizeof *p);
    struct err e;
    p->db = read;
    p->templates = templates_new(on_join, p);
    if (read && learned_read(read, p->templates, &e) < 0)
        log_warn("issues", "what=\"patterns of a query without what was learned\" why=\"%s\"", e.text);
    return p;
}

void patterns_free(struct patterns *p)
{
    if (!p)
        return;
    templates_free(p->templates);
    map_done(&p->said);
    map_done(&p->scopes);
    arena_done(&p->a);
    free(p);
}

static uint64_t scope_of(struct patterns *p, const struct event *ev, struct arena *a)
{
    str type = event_text(ev, S("error.type"), a);
    if (!type.n)
        type = event_text(ev, S("type"), a);
    str both = str_of(arena_printf(a, "%.*s\n%.*s", STR_ARG(ev->app), STR_ARG(type)));
    uint64_t *known = map_get(&p->scopes, both);
    if (!known) {
        known = arena_alloc(&p->a, sizeof *known);
        *known = fingerprint_scope(ev->app, type);
        map_set(&p->scopes, both, known);
        p->bytes += sizeof(struct map_slot) + both.n;
    }
    return *known;
}

/* A shape that the miner does not know may have been known, and forgotten since. */
static uint64_t own_id(struct patterns *p, uint64_t scope, const struct shape *s)
{
    char own[17], became[17];
    struct err ignored;
    uint64_t id = shape_id(scope, s);
    if (!p->db || templates_knows(p->templates, scope, s))
        return id;
    snprintf(own, sizeof own, "%016llx", (unsigned long long)id);
    return alias_resolve(p->db, str_of(own), became, &ignored) < 0 ? id : strtoull(became, NULL, 16);
}

bool patterns_offer(struct patterns *p, const struct event *ev, struct arena *a, str *ret_id, str *ret_message)
{
    str message = event_text(ev, S("error.message"), a);
    message = str_trim(message.p ? message : event_text(ev, S("message"), a));
    struct shape *s = arena_alloc(a, sizeof *s);
    if (!message.n)
        return false;
    *ret_message = message;
    uint64_t scope = scope_of(p, ev, a);
    shape_read(message, s);
    if (p->bytes > PATTERNS_BYTES && !templates_knows(p->templates, scope, s)) {
        *ret_id = others;
        return true;
    }
    uint64_t id = own_id(p, scope, s);
    if (s->n) /* else no words: nothing to learn */
        id = templates_offer(p->templates, scope, id, message, s).id;
    widen(p, said_of(p, id), message, s);
    *ret_id = str_of(arena_printf(a, "%016llx", (unsigned long long)id));
    return true;
}

void patterns_now(struct patterns *p, str id, struct arena *a, str *ret_id, str *ret_text)
{
    struct buf text = BUF_INIT(8 * SHAPE_BYTES);
    char own[17];
    snprintf(own, sizeof own, "%.*s", STR_ARG(id));
    uint64_t at = strtoull(own, NULL, 16);
    const struct said *x = map_get(&p->said, key_of(&at));
    while (x && x->into) {
        at = x->into;
        x = said_of(p, at);
    }
    if (x && x->shape)
        shape_print(x->message, x->shape, &text);
    if (text.n == 0) /* no words, or none known */
        buf_lit(&text, "<*>");
    *ret_id = str_of(arena_printf(a, "%016llx", (unsigned long long)at));
    *ret_text = arena_str(a, buf_view(&text));
    buf_done(&text);
}
