/* stats/unique.c - the record of unique counts (unique.h), and how intake makes it: ids become places at once. */
#include "stats/unique.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/secret.h"
#include "stats/private.h"
#include "stats/sketch.h"

#include <stdatomic.h>

enum { HEAD = 28, COUNT_AT = 24, STEPS = 5, VERSION = 1 };
static const int steps[STEPS] = {HOUR, DAY, WEEK, MONTH, YEAR};
static _Atomic uint64_t late_total;
static _Atomic uint64_t crowded_total;

uint64_t unique_late_total(void) { return atomic_load(&late_total); }
void unique_late_add(uint64_t n) { atomic_fetch_add(&late_total, n); }
uint64_t unique_crowded_total(void) { return atomic_load(&crowded_total); }
void unique_crowded_add(uint64_t n) { atomic_fetch_add(&crowded_total, n); }

/* ---- the record ---- */
static bool is_period(int step, int64_t start)
{
    bool known = false;
    for (size_t i = 0; i < STEPS; i++)
        known |= steps[i] == step;
    return known && start > -100000000000 && start < 100000000000; /* within 3,000 years */
}

void unique_head(struct buf *out, str name, str label, str value, int step, int64_t start, int64_t segment)
{
    char h[HEAD] = {VERSION, (char)name.n, (char)label.n, (char)value.n};
    int32_t s = step;
    memcpy(h + 4, &s, 4);
    memcpy(h + 8, &start, 8);
    memcpy(h + 16, &segment, 8);
    buf_add(out, h, HEAD);
    buf_str(out, name);
    buf_str(out, label);
    buf_str(out, value);
}

bool unique_next(str *body, struct unique_entry *ret)
{
    const char *p = body->p;
    if (body->n < HEAD || p[0] != VERSION)
        return false;
    size_t name = (uint8_t)p[1], label = (uint8_t)p[2], value = (uint8_t)p[3], texts = name + label + value;
    uint32_t n = load4(p + COUNT_AT);
    if (body->n - HEAD < texts || (body->n - HEAD - texts) / 4 < n)
        return false;
    *ret = (struct unique_entry){.head = str_n(p, HEAD + texts),
                                 .name = str_n(p + HEAD, name),
                                 .label = str_n(p + HEAD + name, label),
                                 .value = str_n(p + HEAD + name + label, value),
                                 .step = (int)load4(p + 4),
                                 .start = (int64_t)load8(p + 8),
                                 .segment = (int64_t)load8(p + 16),
                                 .codes = p + HEAD + texts,
                                 .n = n};
    if (!is_period(ret->step, ret->start))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (unique_code(ret, i) >> 6 >= 1u << SKETCH_P || (unique_code(ret, i) & 63) >= SKETCH_LEVELS)
            return false;
    *body = str_skip(*body, HEAD + texts + 4 * (size_t)n);
    return true;
}

/* ---- intake ---- */
struct codes { /* of one cell */
    uint32_t *code;
    size_t n, cap;
};
struct epoch { /* a metric in a period, looked up once */
    bool open;
    struct secret_key key;
};
struct unique_series {
    struct unique_labels labels;
    str name;     /* follows the struct, and the labels' texts */
    int64_t hour; /* that the rest is of; INT64_MIN: none yet */
    struct epoch *epoch[STEPS];
    struct codes *cell[STEPS][1 + LENGTH(((struct unique_labels *)0)->name)]; /* NULL: closed */
};
struct unique_batch {
    struct secrets *secrets;
    uint32_t app;
    size_t steps;
    usec now;
    struct map series; /* name, and labels with their values -> struct unique_series */
    struct map epochs; /* head of the metric's entry without a segment -> struct epoch */
    struct map cells;  /* head of an entry -> struct codes */
    uint64_t late;
    struct buf scratch;
};

struct unique_batch *unique_batch_new(struct secrets *s, uint32_t app, bool year, usec now)
{
    struct unique_batch *u = xcalloc(1, sizeof *u);
    u->secrets = s;
    u->app = app;
    u->now = now;
    u->steps = year ? STEPS : STEPS - 1;
    buf_init(&u->scratch, 4096);
    return u;
}

void unique_batch_free(struct unique_batch *u)
{
    struct map_slot *slot;
    if (!u)
        return;
    for (size_t i = 0; (slot = map_next(&u->epochs, &i));)
        secret_free(slot->value);
    for (size_t i = 0; (slot = map_next(&u->cells, &i));) {
        struct codes *c = slot->value;
        secret_free(c->code);
        free(c);
    }
    for (size_t i = 0; (slot = map_next(&u->series, &i));)
        free(slot->value);
    map_done(&u->series);
    map_done(&u->epochs);
    map_done(&u->cells);
    buf_done(&u->scratch);
    unique_late_add(u->late);
    free(u);
}

static str copy(char **at, str s)
{
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return str_n(*at - s.n, s.n);
}

struct unique_series *unique_series(struct unique_batch *u, str name, const struct unique_labels *labels)
{
    buf_reset(&u->scratch);
    buf_str(&u->scratch, name);
    for (size_t i = 0; i < labels->n; i++) {
        buf_byte(&u->scratch, '\0');
        buf_str(&u->scratch, labels->name[i]);
        buf_byte(&u->scratch, '\0');
        buf_str(&u->scratch, labels->value[i]);
    }
    struct unique_series *s = map_get(&u->series, buf_view(&u->scratch));
    if (s)
        return s;
    s = xcalloc(1, sizeof *s + u->scratch.n);
    map_set(&u->series, buf_view(&u->scratch), s);
    char *at = (char *)(s + 1);
    s->name = copy(&at, name);
    s->labels.n = labels->n;
    for (size_t i = 0; i < labels->n; i++) {
        s->labels.name[i] = copy(&at, labels->name[i]);
        s->labels.value[i] = copy(&at, labels->value[i]);
    }
    s->hour = INT64_MIN;
    return s;
}

static struct epoch *find_epoch(struct unique_batch *u, str name, int step, int64_t start)
{
    buf_reset(&u->scratch);
    unique_head(&u->scratch, name, S(""), S(""), step, start, 0);
    struct epoch *x = map_get(&u->epochs, buf_view(&u->scratch));
    if (!x) {
        x = xcalloc(1, sizeof *x);
        x->open = secrets_key(u->secrets, u->app, name, step, start, u->now, &x->key);
        map_set(&u->epochs, buf_view(&u->scratch), x);
    }
    return x;
}

static struct codes *find_cell(struct unique_batch *u, str name, str label, str value, int step, int64_t start,
                               int64_t segment)
{
    buf_reset(&u->scratch);
    unique_head(&u->scratch, name, label, value, step, start, segment);
    struct codes *c = map_get(&u->cells, buf_view(&u->scratch));
    if (!c)
        map_set(&u->cells, buf_view(&u->scratch), c = xcalloc(1, sizeof *c));
    return c;
}

static void move_to_hour(struct unique_batch *u, struct unique_series *s, int64_t hour)
{
    s->hour = hour;
    for (size_t i = 0; i < u->steps; i++) {
        int64_t start = stat_period(hour, steps[i]);
        struct epoch *x = s->epoch[i] = find_epoch(u, s->name, steps[i], start);
        for (size_t k = 0; x->open && k <= s->labels.n; k++)
            s->cell[i][k] = find_cell(u, s->name, k ? s->labels.name[k - 1] : S(""), k ? s->labels.value[k - 1] : S(""),
                                      steps[i], start, x->key.segment);
    }
}

static void put_code(struct codes *c, uint32_t code)
{
    if (c->n == c->cap)
        c->code = xrealloc(c->code, (c->cap = c->cap ? 2 * c->cap : 16) * sizeof *c->code);
    c->code[c->n++] = code;
}

void unique_add(struct unique_batch *u, struct unique_series *s, usec time, str id)
{
    int64_t second = time / USEC_PER_SEC - (time % USEC_PER_SEC < 0), hour = stat_period(second, HOUR);
    bool late = false;
    if (s->hour != hour)
        move_to_hour(u, s, hour);
    for (size_t i = 0; i < u->steps; i++) {
        if (!s->epoch[i]->open) {
            late = true;
            continue;
        }
        uint32_t code = sketch_cell(SKETCH_P, siphash24(s->epoch[i]->key.key, id));
        for (size_t k = 0; k <= s->labels.n; k++)
            put_code(s->cell[i][k], code);
    }
    u->late += late;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorted, so that the codes of one id in different cells do not stand at the same place. */
void unique_write(struct unique_batch *u, struct batch *out)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&u->cells, &i));) {
        struct codes *c = slot->value;
        size_t at = out->body.n + COUNT_AT, n = 0;
        if (!c->n)
            continue;
        qsort(c->code, c->n, sizeof *c->code, by_value);
        for (size_t k = 0; k < c->n; k++)
            if (!n || c->code[n - 1] != c->code[k])
                c->code[n++] = c->code[k];
        uint32_t count = (uint32_t)n;
        buf_str(&out->body, str_n(slot->key, slot->key_n));
        buf_add(&out->body, c->code, n * sizeof *c->code);
        if (!out->body.full)
            memcpy(out->body.p + at, &count, sizeof count);
    }
}
