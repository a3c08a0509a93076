/* stats/unique-live.c - what open cells have already, so that a person who comes again leaves no second record.
 *
 * A set of codes a cell: a small table, and a sketch when it has grown. What a group of the journal brings stands apart
 * until it is durable, and is dropped when it cannot be written. */
#include "base/log.h"
#include "base/map.h"
#include "stats/private.h"
#include "stats/sketch.h"
#include "stats/unique.h"

enum { TABLE_MAX = 512, CELLS_MAX = 100000 }; /* codes of a table, then a sketch; open cells of all apps */

struct set {
    uint32_t *slot; /* code + 1, open addressing; 0: free */
    size_t n, cap;
    struct sketch *sketch; /* once slot is gone */
};
struct live_cell {
    usec closes;
    struct set there, coming;
};
struct unique_live {
    struct map cells;          /* app and an entry's head -> struct live_cell */
    struct live_cell **coming; /* cells to which the group brings something */
    size_t coming_n, coming_cap;
    usec sweep; /* when the first of them closes */
    bool full_told;
};

/* ---- a set ---- */
static size_t slot_of(const struct set *s, uint32_t code)
{
    size_t i = code * 2654435761u & (s->cap - 1);
    while (s->slot[i] && s->slot[i] != code + 1)
        i = (i + 1) & (s->cap - 1);
    return i;
}

static bool set_has(const struct set *s, uint32_t code)
{
    return s->sketch ? sketch_has(s->sketch, code) : s->cap && s->slot[slot_of(s, code)];
}

static void set_widen(struct set *s)
{
    s->sketch = xmalloc(sizeof *s->sketch);
    sketch_init(s->sketch, SKETCH_P);
    for (size_t i = 0; i < s->cap; i++)
        if (s->slot[i])
            (void)sketch_add(s->sketch, s->slot[i] - 1);
    free(s->slot);
    s->slot = NULL;
    s->n = s->cap = 0;
}

static void set_grow(struct set *s)
{
    struct set was = *s;
    s->cap = was.cap ? 2 * was.cap : 8;
    s->slot = xcalloc(s->cap, sizeof *s->slot);
    for (size_t i = 0; i < was.cap; i++)
        if (was.slot[i])
            s->slot[slot_of(s, was.slot[i] - 1)] = was.slot[i];
    free(was.slot);
}

/* True: it is new. */
static bool set_add(struct set *s, uint32_t code)
{
    if (!s->sketch && s->n == TABLE_MAX)
        set_widen(s);
    if (s->sketch)
        return sketch_add(s->sketch, code);
    if (2 * (s->n + 1) > s->cap)
        set_grow(s);
    size_t i = slot_of(s, code);
    bool fresh = !s->slot[i];
    s->slot[i] = code + 1;
    s->n += fresh;
    return fresh;
}

static void set_merge(struct set *s, const struct set *from)
{
    for (size_t i = 0; i < from->cap; i++)
        if (from->slot[i])
            (void)set_add(s, from->slot[i] - 1);
    if (from->sketch && !s->sketch)
        set_widen(s);
    if (from->sketch)
        sketch_merge(s->sketch, from->sketch);
}

static void set_done(struct set *s)
{
    if (s->sketch)
        sketch_done(s->sketch);
    free(s->sketch);
    free(s->slot);
    *s = (struct set){0};
}

/* ---- all cells ---- */
struct unique_live *unique_live_new(void)
{
    struct unique_live *l = xcalloc(1, sizeof *l);
    l->sweep = INT64_MAX;
    return l;
}

static void cell_free(struct live_cell *c)
{
    set_done(&c->there);
    set_done(&c->coming);
    free(c);
}

void unique_live_free(struct unique_live *l)
{
    struct map_slot *slot;
    if (!l)
        return;
    for (size_t i = 0; (slot = map_next(&l->cells, &i));)
        cell_free(slot->value);
    map_done(&l->cells);
    free(l->coming);
    free(l);
}

static void forget_closed(struct unique_live *l, usec now)
{
    struct map_slot *slot;
    struct map kept = {0};
    if (now < l->sweep)
        return;
    l->sweep = INT64_MAX;
    l->full_told = false;
    for (size_t i = 0; (slot = map_next(&l->cells, &i));) {
        struct live_cell *c = slot->value;
        if (c->closes <= now) {
            cell_free(c);
            continue;
        }
        l->sweep = c->closes < l->sweep ? c->closes : l->sweep;
        map_set(&kept, str_n(slot->key, slot->key_n), c);
    }
    map_done(&l->cells);
    l->cells = kept;
}

static struct live_cell *new_cell(struct unique_live *l, str key, const struct unique_entry *x)
{
    if (l->cells.n >= CELLS_MAX) {
        if (!l->full_told)
            log_error("stats",
                      "what=\"too many cells of unique counts are open, ids of new ones are not counted\" cells=%d",
                      CELLS_MAX);
        l->full_told = true;
        return NULL;
    }
    struct live_cell *c = xcalloc(1, sizeof *c);
    c->closes = stat_period_end(x->start, x->step) * USEC_PER_SEC + UNIQUE_GRACE;
    l->sweep = c->closes < l->sweep ? c->closes : l->sweep;
    map_set(&l->cells, key, c);
    return c;
}

/* NULL: there are too many. */
static struct live_cell *find_cell(struct unique_live *l, uint32_t app, const struct unique_entry *x)
{
    struct buf key = BUF_INIT(1024);
    buf_add(&key, &app, sizeof app);
    unique_head(&key, x->name, x->label, x->value, x->step, x->start, x->segment);
    struct live_cell *c = map_get(&l->cells, buf_view(&key));
    c = c ? c : new_cell(l, buf_view(&key), x);
    buf_done(&key);
    return c;
}

static void note_coming(struct unique_live *l, struct live_cell *c)
{
    if (l->coming_n == l->coming_cap)
        l->coming = xrealloc(l->coming, (l->coming_cap = l->coming_cap ? 2 * l->coming_cap : 16) * sizeof *l->coming);
    l->coming[l->coming_n++] = c;
}

void unique_sift(struct unique_live *l, uint32_t app, struct buf *body, usec now)
{
    str rest = buf_view(body);
    struct unique_entry x;
    char *to = body->p;
    if (!l->coming_n)
        forget_closed(l, now);
    while (unique_next(&rest, &x)) {
        struct live_cell *c = find_cell(l, app, &x);
        uint32_t n = 0;
        unique_crowded_add(c ? 0 : x.n);
        for (uint32_t i = 0; c && i < x.n; i++) {
            uint32_t code = unique_code(&x, i);
            if (set_has(&c->there, code) || !set_add(&c->coming, code))
                continue;
            if (n == 0) { /* never past what was read */
                memmove(to, x.head.p, x.head.n);
                note_coming(l, c);
            }
            memcpy(to + x.head.n + 4 * (size_t)n++, &code, sizeof code);
        }
        if (n) {
            memcpy(to + 24, &n, sizeof n);
            to += x.head.n + 4 * (size_t)n;
        }
    }
    body->n = body->p ? (size_t)(to - body->p) : 0;
}

void unique_sifted(struct unique_live *l, bool durable)
{
    for (size_t i = 0; i < l->coming_n; i++) {
        struct live_cell *c = l->coming[i];
        if (durable)
            set_merge(&c->there, &c->coming);
        set_done(&c->coming);
    }
    l->coming_n = 0;
}

/* ---- at start ---- */
static int load_cell(struct unique_live *l, sqlite3_stmt *st, struct err *e)
{
    struct unique_entry x = {.name = db_str(st, 1),
                             .label = db_str(st, 2),
                             .value = db_str(st, 3),
                             .segment = sqlite3_column_int64(st, 4),
                             .step = sqlite3_column_int(st, 5),
                             .start = sqlite3_column_int64(st, 6)};
    struct live_cell *c = find_cell(l, (uint32_t)sqlite3_column_int64(st, 0), &x);
    struct set had = {.sketch = xmalloc(sizeof *had.sketch)};
    str code = str_n(sqlite3_column_blob(st, 7), (size_t)sqlite3_column_bytes(st, 7));
    if (sketch_decode(code, had.sketch, e) < 0) {
        free(had.sketch);
        return -1;
    }
    if (c)
        set_merge(&c->there, &had);
    set_done(&had);
    return 0;
}

int unique_live_load(struct unique_live *l, struct db *db, struct secrets *secrets, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT app, name, label, word, segment, step, start, sketch FROM unique_open"
                                   " JOIN stat_series ON id = series JOIN unique_series USING(series)"
                                   " WHERE sketch IS NOT NULL");
    int rc;
    while ((rc = db_step(db, st, e)) > 0)
        if (secrets_has(secrets, sqlite3_column_int64(st, 4)) && load_cell(l, st, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
    return rc;
}
