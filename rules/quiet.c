/* rules/quiet.c - see quiet.h. Keys in a map, and in a binary heap by what is due first (Williams 1964).
 *
 * Saved, little-endian:  u8 version (1)  u32 n, then n times  u32 length, key, i64 due, i64 window, u64 held, u8 first */
#include "rules/quiet.h"
#include "base/map.h"
#include "base/str.h"
#include "rules/bytes.h"

struct entry {
    char *key;
    size_t key_n;
    usec due, window;
    uint64_t held;
    bool first;  /* waits for its first mail */
    size_t slot; /* in the heap */
};
struct quiet {
    struct map map;
    struct entry **heap;
    size_t n, cap, max_keys;
};

struct quiet *quiet_new(size_t max_keys)
{
    struct quiet *q = xcalloc(1, sizeof *q);
    assert(max_keys > 0);
    q->max_keys = max_keys;
    return q;
}

static void entry_free(struct entry *t)
{
    free(t->key);
    free(t);
}

void quiet_free(struct quiet *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->n; i++)
        entry_free(q->heap[i]);
    free(q->heap);
    map_done(&q->map);
    free(q);
}

/* ---- the heap ---- */

static void put(struct quiet *q, struct entry *t, size_t slot)
{
    q->heap[slot] = t;
    t->slot = slot;
}

static void up(struct quiet *q, struct entry *t)
{
    size_t i = t->slot;
    for (; i > 0 && q->heap[(i - 1) / 2]->due > t->due; i = (i - 1) / 2)
        put(q, q->heap[(i - 1) / 2], i);
    put(q, t, i);
}

static void down(struct quiet *q, struct entry *t)
{
    size_t i = t->slot, child;
    for (; (child = 2 * i + 1) < q->n; i = child) {
        if (child + 1 < q->n && q->heap[child + 1]->due < q->heap[child]->due)
            child++;
        if (q->heap[child]->due >= t->due)
            break;
        put(q, q->heap[child], i);
    }
    put(q, t, i);
}

static struct entry *add(struct quiet *q, str key, usec due, usec window)
{
    struct entry *t = xcalloc(1, sizeof *t);
    *t = (struct entry){.key = str_dup(key), .key_n = key.n, .due = due, .window = window, .slot = q->n};
    if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 16;
        q->heap = xrealloc(q->heap, q->cap * sizeof(struct entry *));
    }
    q->heap[q->n++] = t;
    up(q, t);
    map_set(&q->map, key, t);
    return t;
}

/* The top one. */
static void drop(struct quiet *q)
{
    struct entry *t = q->heap[0], *last = q->heap[--q->n];
    (void)map_del(&q->map, str_n(t->key, t->key_n));
    if (last != t) {
        last->slot = 0;
        down(q, last);
    }
    entry_free(t);
}

/* ---- offering and handing out ---- */

enum quiet_verdict quiet_offer(struct quiet *q, str key, usec wait, usec window, usec now)
{
    struct entry *t = map_get(&q->map, key);
    if (!t && q->n >= q->max_keys) {
        key = QUIET_OTHERS;
        t = map_get(&q->map, key);
    }
    if (!t) {
        t = add(q, key, now + (wait ? wait : window), window);
        t->first = wait > 0;
        if (!wait)
            return QUIET_SEND;
    }
    t->held++;
    return QUIET_HOLD;
}

bool quiet_due(struct quiet *q, usec now, struct quiet_due *ret)
{
    while (q->n && q->heap[0]->due <= now) {
        struct entry *t = q->heap[0];
        if (t->held == 0) { /* a whole window of silence */
            drop(q);
            continue;
        }
        *ret = (struct quiet_due){.key = str_n(t->key, t->key_n), .held = t->held, .first = t->first, .at = t->due};
        if (!t->first && t->window < QUIET_WINDOW_MAX)
            t->window = t->window * 2 < QUIET_WINDOW_MAX ? t->window * 2 : QUIET_WINDOW_MAX;
        t->held = 0;
        t->first = false;
        t->due += t->window;
        down(q, t);
        return true;
    }
    return false;
}

usec quiet_next(const struct quiet *q) { return q->n ? q->heap[0]->due : INT64_MAX; }
bool quiet_open(const struct quiet *q, str key) { return map_get(&q->map, key) != NULL; }

/* ---- to bytes and back ---- */

void quiet_save(const struct quiet *q, struct buf *out)
{
    put_number(out, 1, 1);
    put_number(out, q->n, 4);
    for (size_t i = 0; i < q->n; i++) {
        const struct entry *t = q->heap[i];
        put_number(out, t->key_n, 4);
        buf_add(out, t->key, t->key_n);
        put_number(out, (uint64_t)t->due, 8);
        put_number(out, (uint64_t)t->window, 8);
        put_number(out, t->held, 8);
        put_number(out, t->first, 1);
    }
}

static bool load_one(struct quiet *q, str *s)
{
    uint64_t n, due, window, held, first;
    if (!take_number(s, 4, &n) || n > s->n)
        return false;
    str key = str_head(*s, n);
    *s = str_skip(*s, n);
    if (!take_number(s, 8, &due) || !take_number(s, 8, &window) || !take_number(s, 8, &held) ||
        !take_number(s, 1, &first) || (usec)window <= 0 || map_get(&q->map, key))
        return false;
    struct entry *t = add(q, key, (usec)due, (usec)window);
    t->held = held;
    t->first = first != 0;
    return true;
}

int quiet_load(struct quiet *q, str bytes, struct err *e)
{
    uint64_t version, n;
    assert(q->n == 0);
    bool good = take_number(&bytes, 1, &version) && version == 1 && take_number(&bytes, 4, &n);
    for (uint64_t i = 0; good && i < n; i++)
        good = load_one(q, &bytes);
    if (!good || bytes.n)
        return err_set(e, ERR_CORRUPT, "quiet: what was saved is cut or of another version");
    return 0;
}
