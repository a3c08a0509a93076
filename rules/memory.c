/* rules/memory.c - what rules remember, per key; bounded, and kept on disk by whoever calls.
 *
 * Blob, little-endian:  u8 version (1)  u8 kind  u8 n  u8 0  u32 phase  i64 expires  n x i64 marks
 *
 * A key that has expired answers as if it were absent, so forgetting it changes nothing: each touch looks at the two keys
 * that were touched longest ago and lets go of what has expired, which keeps the table as small as what is going on. */
#include "base/map.h"
#include "base/str.h"
#include "rules/bytes.h"
#include "rules/condition.h"

struct rules_memory {
    struct map map;
    struct {
        struct memory_entry *oldest, *youngest;
        size_t n;
    } kinds[MEMORY_KINDS];
    struct memory_entry *dirty, **dirty_end; /* first in, first out */
    struct memory_entry *told;               /* what dirty_next gave last, if it is dead */
    struct buf blob;
};

struct rules_memory *rules_memory_new(void)
{
    struct rules_memory *m = xcalloc(1, sizeof *m);
    m->dirty_end = &m->dirty;
    buf_init(&m->blob, 16 + 8 * RULE_MARKS_MAX);
    return m;
}

static void entry_free(struct memory_entry *t)
{
    if (!t)
        return;
    free(t->key);
    free(t->marks);
    free(t);
}

void rules_memory_free(struct rules_memory *m)
{
    struct map_slot *slot;
    if (!m)
        return;
    while (m->dirty) {
        struct memory_entry *t = m->dirty;
        m->dirty = t->dirty_next;
        if (t->dead)
            entry_free(t);
    }
    for (size_t i = 0; (slot = map_next(&m->map, &i));)
        entry_free(slot->value);
    entry_free(m->told);
    map_done(&m->map);
    buf_done(&m->blob);
    free(m);
}

/* ---- the list by touch ---- */

static void unlink_entry(struct rules_memory *m, struct memory_entry *t)
{
    *(t->older ? &t->older->newer : &m->kinds[t->kind].oldest) = t->newer;
    *(t->newer ? &t->newer->older : &m->kinds[t->kind].youngest) = t->older;
    m->kinds[t->kind].n--;
}

static void link_youngest(struct rules_memory *m, struct memory_entry *t)
{
    t->newer = NULL;
    t->older = m->kinds[t->kind].youngest;
    *(t->older ? &t->older->newer : &m->kinds[t->kind].oldest) = t;
    m->kinds[t->kind].youngest = t;
    m->kinds[t->kind].n++;
}

static void set_dirty(struct rules_memory *m, struct memory_entry *t)
{
    if (t->dirty)
        return;
    t->dirty = true;
    t->dirty_next = NULL;
    *m->dirty_end = t;
    m->dirty_end = &t->dirty_next;
}

/* What was never told to the caller's disk needs no farewell there. */
static void forget(struct rules_memory *m, struct memory_entry *t)
{
    void *was = map_del(&m->map, str_n(t->key, t->key_n));
    assert(was == t);
    (void)was;
    unlink_entry(m, t);
    t->dead = true;
    if (t->saved)
        set_dirty(m, t);
    else if (!t->dirty)
        entry_free(t);
}

/* ---- for eval.c ---- */

struct memory_entry *memory_get(struct rules_memory *m, str key) { return map_get(&m->map, key); }
bool memory_full(const struct rules_memory *m, enum memory_kind kind) { return m->kinds[kind].n >= RULES_KEYS_MAX; }

struct memory_entry *memory_add(struct rules_memory *m, enum memory_kind kind, str key)
{
    struct memory_entry *t = xcalloc(1, sizeof *t);
    if (memory_full(m, kind))
        forget(m, m->kinds[kind].oldest);
    t->key = str_dup(key);
    t->key_n = key.n;
    t->kind = (uint8_t)kind;
    map_set(&m->map, key, t);
    link_youngest(m, t);
    return t;
}

void memory_mark(struct memory_entry *t, usec now)
{
    assert(t->n < RULE_MARKS_MAX);
    if (t->n == t->cap) {
        t->cap = (uint8_t)(t->cap ? t->cap * 2 : 1);
        t->marks = xrealloc(t->marks, t->cap * sizeof *t->marks);
    }
    t->marks[t->n++] = now;
}

void memory_touch(struct rules_memory *m, struct memory_entry *t, usec now)
{
    unlink_entry(m, t);
    link_youngest(m, t);
    set_dirty(m, t);
    for (int i = 0; i < 2; i++) {
        struct memory_entry *old = m->kinds[t->kind].oldest;
        if (old == t || old->expires > now)
            return;
        forget(m, old);
    }
}

void rules_memory_set_back(struct rules_memory *m, usec by)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&m->map, &i));) {
        struct memory_entry *t = slot->value;
        for (size_t k = 0; k < t->n; k++)
            t->marks[k] -= by;
        t->expires -= by;
        set_dirty(m, t);
    }
}

/* ---- to disk and back ---- */

static void write_blob(struct buf *out, const struct memory_entry *t)
{
    buf_reset(out);
    put_number(out, 1, 1);
    put_number(out, t->kind, 1);
    put_number(out, t->n, 2);
    put_number(out, t->phase, 4);
    put_number(out, (uint64_t)t->expires, 8);
    for (size_t i = 0; i < t->n; i++)
        put_number(out, (uint64_t)t->marks[i], 8);
}

bool rules_memory_dirty_next(struct rules_memory *m, str *ret_key, str *ret_blob)
{
    struct memory_entry *t;
    entry_free(m->told);
    m->told = NULL;
    while ((t = m->dirty)) {
        m->dirty = t->dirty_next;
        if (!m->dirty)
            m->dirty_end = &m->dirty;
        t->dirty = false;
        if (t->dead && !t->saved) {
            entry_free(t);
            continue;
        }
        buf_reset(&m->blob);
        if (t->dead)
            m->told = t;
        else
            write_blob(&m->blob, t);
        t->saved = true;
        *ret_key = str_n(t->key, t->key_n);
        *ret_blob = buf_view(&m->blob);
        return true;
    }
    return false;
}

bool rules_memory_load(struct rules_memory *m, str key, str blob)
{
    uint64_t version, kind, n, phase, expires, mark;
    if (!take_number(&blob, 1, &version) || !take_number(&blob, 1, &kind) || !take_number(&blob, 2, &n) ||
        !take_number(&blob, 4, &phase) || !take_number(&blob, 8, &expires) || version != 1 || kind >= MEMORY_KINDS ||
        n > RULE_MARKS_MAX || blob.n != n * 8 || (kind == MEMORY_NOVEL && n != 2) || map_get(&m->map, key))
        return false;
    struct memory_entry *t = memory_add(m, (enum memory_kind)kind, key);
    t->saved = true;
    t->phase = (uint32_t)phase;
    t->expires = (usec)expires;
    while (take_number(&blob, 8, &mark))
        memory_mark(t, (usec)mark);
    return true;
}
