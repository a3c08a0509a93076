/* rules/memory.c - what rules remember, per key; bounded, and kept on disk by whoever calls.
 *
 * Blob, little-endian:  u8 version (2)  u8 kind  u16 n  u32 phase  i64 expires  i64 due  n x i64 cells
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
    struct memory_entry **heap; /* by due, the earliest first, from 1 */
    size_t heap_n, heap_cap;
    struct memory_entry *dirty, **dirty_end; /* first in, first out */
    struct memory_entry *told;               /* what dirty_next gave last, if it is dead */
    struct buf blob;
    struct {
        uint64_t who;
        usec at;
    } heard[1024]; /* at the last bits of who; not kept on disk, since hearing once more does no harm */
};

struct rules_memory *rules_memory_new(void)
{
    struct rules_memory *m = xcalloc(1, sizeof *m);
    m->dirty_end = &m->dirty;
    buf_init(&m->blob, 24 + 8 * MEMORY_CELLS_MAX);
    return m;
}

static void entry_free(struct memory_entry *t)
{
    if (!t)
        return;
    free(t->key);
    free(t->cells);
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
    free(m->heap);
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

/* ---- the heap of what is due (Williams 1964) ---- */

static void heap_put(struct rules_memory *m, size_t at, struct memory_entry *t)
{
    m->heap[at] = t;
    t->heap_at = at;
}

static void heap_settle(struct rules_memory *m, size_t at, struct memory_entry *t)
{
    while (at > 1 && m->heap[at / 2]->due > t->due) {
        heap_put(m, at, m->heap[at / 2]);
        at /= 2;
    }
    for (size_t down; (down = 2 * at) <= m->heap_n; at = down) {
        if (down < m->heap_n && m->heap[down + 1]->due < m->heap[down]->due)
            down++;
        if (t->due <= m->heap[down]->due)
            break;
        heap_put(m, at, m->heap[down]);
    }
    heap_put(m, at, t);
}

void memory_due(struct rules_memory *m, struct memory_entry *t, usec due)
{
    size_t at = t->heap_at;
    t->due = due;
    if (due == 0 && at == 0)
        return;
    if (due == 0) { /* the last one takes its place */
        struct memory_entry *last = m->heap[m->heap_n--];
        t->heap_at = 0;
        if (last != t)
            heap_settle(m, at, last);
        return;
    }
    if (at == 0) {
        if (m->heap_n + 1 >= m->heap_cap) {
            m->heap_cap = m->heap_cap ? 2 * m->heap_cap : 64;
            m->heap = xrealloc(m->heap, m->heap_cap * sizeof(struct memory_entry *));
        }
        at = ++m->heap_n;
    }
    heap_settle(m, at, t);
}

struct memory_entry *memory_first_due(const struct rules_memory *m) { return m->heap_n ? m->heap[1] : NULL; }
usec rules_memory_due(const struct rules_memory *m) { return m->heap_n ? m->heap[1]->due : INT64_MAX; }

/* What was never told to the caller's disk needs no farewell there. */
static void forget(struct rules_memory *m, struct memory_entry *t)
{
    void *was = map_del(&m->map, str_n(t->key, t->key_n));
    assert(was == t);
    (void)was;
    unlink_entry(m, t);
    memory_due(m, t, 0);
    t->dead = true;
    if (t->saved)
        set_dirty(m, t);
    else if (!t->dirty)
        entry_free(t);
}

void rules_memory_unload(struct rules_memory *m, str key)
{
    struct memory_entry *t = map_del(&m->map, key);
    if (!t)
        return;
    assert(!t->dirty);
    unlink_entry(m, t);
    memory_due(m, t, 0);
    entry_free(t);
}

void rules_memory_all_dirty(struct rules_memory *m)
{
    for (int kind = 0; kind < MEMORY_KINDS; kind++) /* in the order of their touch, which is theirs again when loaded */
        for (struct memory_entry *t = m->kinds[kind].oldest; t; t = t->newer)
            set_dirty(m, t);
}

/* ---- for eval.c ---- */

struct memory_entry *memory_get(struct rules_memory *m, str key) { return map_get(&m->map, key); }
/* Keys of a kind at most: by what one costs, which is up to 5 KB for a burn rate, and 60 bytes and its text for a count. */
static const uint32_t keys_max[MEMORY_KINDS] = {
    [MEMORY_KNOWN] = 50000, [PART_COUNT] = RULES_KEYS_MAX, [PART_DISTINCT] = 20000, [PART_NEW] = RULES_KEYS_MAX,
    [PART_CHANGE] = 20000,  [PART_VALUE] = 20000,          [PART_SEQUENCE] = 20000, [PART_RATIO] = 5000,
    [PART_SLO] = 2000,      [PART_HEARTBEAT] = 5000,       [PART_ABSENT] = 20000,
};

bool memory_full(const struct rules_memory *m, int kind) { return m->kinds[kind].n >= keys_max[kind]; }

struct memory_entry *memory_add(struct rules_memory *m, int kind, str key, size_t cells)
{
    struct memory_entry *t = xcalloc(1, sizeof *t);
    assert(cells <= MEMORY_CELLS_MAX);
    if (memory_full(m, kind))
        forget(m, m->kinds[kind].oldest);
    t->key = str_dup(key);
    t->key_n = key.n;
    t->kind = (uint8_t)kind;
    t->n = t->cap = (uint16_t)cells;
    t->cells = cells ? xcalloc(cells, sizeof *t->cells) : NULL;
    map_set(&m->map, key, t);
    link_youngest(m, t);
    return t;
}

void memory_mark(struct memory_entry *t, int64_t v)
{
    assert(t->n < MEMORY_CELLS_MAX);
    if (t->n == t->cap) {
        t->cap = (uint16_t)(t->cap ? t->cap * 2 : 1);
        t->cells = xrealloc(t->cells, t->cap * sizeof *t->cells);
    }
    t->cells[t->n++] = v;
}

void memory_cut(struct memory_entry *t, size_t from, size_t n)
{
    assert(from + n <= t->n);
    t->n = (uint16_t)(t->n - n);
    if (n && t->n > from)
        memmove(t->cells + from, t->cells + from + n, (t->n - from) * sizeof *t->cells);
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

/* Which cells of a kind are times. */
static bool is_time(const struct memory_entry *t, size_t i)
{
    switch (t->kind) {
    case PART_COUNT:
    case PART_NEW: return true;
    case PART_DISTINCT:
    case MEMORY_KNOWN: return i % 2 == 1;
    case PART_SEQUENCE: return i >= 2 * RULE_STEPS_MAX || i < RULE_STEPS_MAX;
    case PART_VALUE: return i == 0 || (i >= 2 && i % 2 == 0);
    case PART_HEARTBEAT: return i == 0;
    case PART_ABSENT: return i == 0 || i == 3;
    default: return false; /* numbers of buckets: a rate over a clock that jumps is a wrong rate for one window */
    }
}

void rules_memory_set_back(struct rules_memory *m, usec by)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&m->map, &i));) {
        struct memory_entry *t = slot->value;
        for (size_t k = 0; k < t->n; k++)
            if (is_time(t, k) && t->cells[k])
                t->cells[k] -= by;
        t->expires -= by;
        if (t->due)
            memory_due(m, t, t->due > by ? t->due - by : 1);
        set_dirty(m, t);
    }
}

bool memory_silent(const struct rules_memory *m, uint64_t who, usec now)
{
    size_t i = who % LENGTH(m->heard);
    return m->heard[i].who != who || m->heard[i].at > now || now - m->heard[i].at >= USEC_PER_SEC;
}

bool memory_hear(struct rules_memory *m, uint64_t who, usec now)
{
    size_t i = who % LENGTH(m->heard);
    bool news = memory_silent(m, who, now);
    if (news)
        m->heard[i].who = who, m->heard[i].at = now;
    return news;
}

void rules_memory_slept(struct rules_memory *m, usec by)
{
    for (size_t i = 1; i <= m->heap_n; i++) { /* all by the same: their order stays */
        m->heap[i]->due += by;
        set_dirty(m, m->heap[i]);
    }
}

/* ---- to disk and back ---- */

static void write_blob(struct buf *out, const struct memory_entry *t)
{
    buf_reset(out);
    put_number(out, 2, 1);
    put_number(out, t->kind, 1);
    put_number(out, t->n, 2);
    put_number(out, t->phase, 4);
    put_number(out, (uint64_t)t->expires, 8);
    put_number(out, (uint64_t)t->due, 8);
    for (size_t i = 0; i < t->n; i++)
        put_number(out, (uint64_t)t->cells[i], 8);
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

/* Cells that fire.c reads without asking. */
static bool fits(uint64_t kind, uint64_t n)
{
    static const uint16_t exact[MEMORY_KINDS] = {
        [PART_NEW] = 2,         [PART_CHANGE] = CELLS_CHANGE,       [PART_RATIO] = CELLS_RATIO,
        [PART_SLO] = CELLS_SLO, [PART_HEARTBEAT] = CELLS_HEARTBEAT, [PART_ABSENT] = CELLS_ABSENT};
    if (kind >= MEMORY_KINDS || n > MEMORY_CELLS_MAX)
        return false;
    switch (kind) {
    case PART_COUNT: return n <= RULE_MARKS_MAX;
    case PART_DISTINCT: return n <= 2 * RULE_DISTINCT_MAX && n % 2 == 0;
    case MEMORY_KNOWN: return n <= 2 * KNOWN_NETWORKS && n % 2 == 0;
    case PART_SEQUENCE: return n == CELLS_SEQUENCE;
    case PART_VALUE: return n >= 2 && n <= CELLS_VALUE_MAX && n % 2 == 0;
    default: return n == exact[kind] || (kind == PART_CHANGE && n == CELLS_DRIFT);
    }
}

bool rules_memory_load(struct rules_memory *m, str key, str blob)
{
    uint64_t version, kind, n, phase, expires, due, cell;
    if (!take_number(&blob, 1, &version) || !take_number(&blob, 1, &kind) || !take_number(&blob, 2, &n) ||
        !take_number(&blob, 4, &phase) || !take_number(&blob, 8, &expires) || !take_number(&blob, 8, &due) ||
        version != 2 || !fits(kind, n) || blob.n != n * 8 || (int64_t)due < 0 || map_get(&m->map, key))
        return false;
    struct memory_entry *t = memory_add(m, (int)kind, key, 0);
    t->saved = true;
    t->phase = (uint32_t)phase;
    t->expires = (usec)expires;
    while (take_number(&blob, 8, &cell))
        memory_mark(t, (int64_t)cell);
    memory_due(m, t, (usec)due);
    return true;
}
