/* query/group-columns.c - groups of a block, counted by codes: the fields of `by` become small numbers, one for each
 * value they have in the block, so a row costs an addition, and texts are looked at once for each group of the block. */
#include "query/group.h"
#include "query/group-private.h"

/* n more rows of the group at the key. */
static int group_add_key(struct groups *g, uint64_t n, struct err *e)
{
    struct accumulator *all = group_at_key(g, e);
    for (size_t i = 0; all && i < g->st->aggregates_n; i++)
        all[i].n += n;
    return all ? 0 : -1;
}

enum { CODES_MAX = 1 << 16, NUMBERS_MAX = 4096 };

struct coding {         /* one field of `by` in one block */
    uint16_t *of;       /* code of each row; 0: it has no such field */
    struct field *text; /* of each code */
    uint32_t n;
};

static void add_code(struct coding *c, enum column_kind kind, str text)
{
    c->text[c->n++] = (struct field){.raw = text, .kind = kind == KIND_ESCAPED ? VALUE_STRING : (enum value_kind)kind};
}

/* How many codes the column's values take, 0: too many. */
static size_t codes_of(const struct packed *p)
{
    if (p->kind == KIND_ESCAPED || p->kind == KIND_REST)
        return 0;
    if (p->packing == PACK_CONST || p->packing == PACK_DICT)
        return p->packing == PACK_CONST ? 1 : p->distinct;
    if (packing_is_number(p->packing) && !p->scale && (uint64_t)p->max - (uint64_t)p->min < NUMBERS_MAX)
        return (size_t)(p->max - p->min) + 1;
    return 0;
}

static int add_column(struct coding *c, struct block *b, size_t column, struct arena *a, struct err *e)
{
    const struct packed *p = &b->columns[column];
    const struct column *v = block_column(b, column, e);
    const uint16_t *rows = NULL;
    char room[PACKED_TEXT_MAX];
    uint32_t first = c->n;
    if (!v || (!(p->flags & COLUMN_EVERY) && !(rows = block_rows(b, column, e))))
        return -1;
    for (size_t i = 0, n = codes_of(p); i < n; i++)
        add_code(c, (enum column_kind)p->kind,
                 v->numbers ? arena_str(a, number_text(p, p->min + (int64_t)i, room)) : column_distinct(v, i));
    for (size_t i = 0; i < v->n; i++) {
        size_t code = v->numbers ? (size_t)(v->numbers[i] - p->min) : v->codes ? column_code(v, i) : 0;
        c->of[rows ? rows[i] : i] = (uint16_t)(first + code);
    }
    return 0;
}

static int code_levels(struct coding *c, struct block *b, struct arena *a, struct err *e)
{
    const struct column *v = block_column(b, SYSTEM_SEVERITY, e);
    if (!v)
        return -1;
    c->text = arena_zero(a, 25 * sizeof *c->text);
    for (int s = 0; s < 25; s++)
        add_code(c, KIND_STRING, level_name(s ? s : 1));
    for (size_t i = 0; i < v->n; i++)
        c->of[i] = (uint16_t)v->numbers[i];
    return 1;
}

/* 1, or 0: the field has too many values here, or is none that columns tell. */
static int code_field(struct coding *c, struct block *b, str name, struct arena *a, struct err *e)
{
    size_t codes = 1;
    *c = (struct coding){.of = arena_zero(a, b->head->events * sizeof *c->of)};
    if (str_eq(name, S("level")))
        return code_levels(c, b, a, e);
    if (str_eq(name, S("id")) || str_eq(name, S("time")) || str_eq(name, S("severity_number")))
        return 0;
    for (size_t i = 0; i < b->head->columns; i++) {
        const struct packed *p = &b->columns[i];
        if (p->kind != KIND_REST && (p->kind == KIND_NULL || p->kind == KIND_SYSTEM || !str_eq(block_name(b, i), name)))
            continue;
        size_t more = codes_of(p);
        if (more == 0 || (codes += more) > CODES_MAX)
            return 0;
    }
    c->text = arena_zero(a, codes * sizeof *c->text);
    add_code(c, KIND_NULL, S("null"));
    for (size_t i = 0; i < b->head->columns; i++)
        if (b->columns[i].kind != KIND_NULL && b->columns[i].kind != KIND_SYSTEM && str_eq(block_name(b, i), name) &&
            add_column(c, b, i, a, e) < 0)
            return -1;
    return 1;
}

/* Adds the stretch of each row as one more coding, whose texts are their starts. */
static int code_stretches(const struct stage *st, struct coding *c, int64_t **ret_starts, struct block *b,
                          struct arena *a, struct err *e)
{
    const struct column *v = block_column(b, SYSTEM_TIME, e);
    if (!v)
        return -1;
    int64_t *starts = arena_alloc(a, (CODES_MAX + 1) * sizeof *starts), end = 0, from = 1; /* of the stretch at hand */
    *c = (struct coding){.of = arena_alloc(a, v->n * sizeof *c->of)};
    for (size_t i = 0; i < v->n; i++) {
        if (v->numbers[i] < from || v->numbers[i] >= end) {
            if (c->n == CODES_MAX)
                return 0;
            int64_t start = group_stretch(st, v->numbers[i]);
            starts[c->n++] = start;
            if (__builtin_mul_overflow(start, NSEC_PER_SEC, &from) ||
                __builtin_add_overflow(from, st->every * NSEC_PER_USEC, &end))
                return 0;
        }
        c->of[i] = (uint16_t)(c->n - 1);
    }
    *ret_starts = starts;
    return 1;
}

struct codes {
    struct coding part[QUERY_FIELDS_MAX + 1]; /* the fields, then the stretch */
    size_t n;
    size_t product;
    int64_t *starts;
};

static int code_all(const struct groups *g, struct block *b, struct codes *c, struct arena *a, struct err *e)
{
    const struct stage *st = g->st;
    int rc = 1;
    *c = (struct codes){.product = 1};
    for (size_t i = 0; rc == 1 && i < st->fields_n; i++)
        rc = code_field(&c->part[c->n++], b, st->fields[i], a, e);
    if (rc == 1 && st->every)
        rc = code_stretches(st, &c->part[c->n++], &c->starts, b, a, e);
    for (size_t i = 0; rc == 1 && i < c->n; i++)
        if ((c->product *= c->part[i].n) > CODES_MAX)
            rc = 0;
    return rc;
}

static void count_rows(const struct codes *c, const uint64_t *bits, size_t rows, uint32_t *counts)
{
    for (size_t w = 0; w < bit_words(rows); w++)
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            size_t row = w * 64 + (size_t)__builtin_ctzll(left), at = 0;
            for (size_t i = 0; i < c->n; i++)
                at = at * c->part[i].n + c->part[i].of[row];
            counts[at]++;
        }
}

/* The key of a combination of codes; false: `top` does not count it. */
static bool key_of_codes(struct groups *g, const struct codes *c, size_t at)
{
    uint32_t code[QUERY_FIELDS_MAX + 1];
    for (size_t i = c->n; i-- > 0; at /= c->part[i].n)
        code[i] = (uint32_t)(at % c->part[i].n);
    group_key_begin(g, g->st->every ? c->starts[code[c->n - 1]] : 0);
    for (size_t i = 0; i < g->st->fields_n; i++) {
        const struct field *f = &c->part[i].text[code[i]];
        if (f->kind == VALUE_NULL && g->st->kind == STAGE_TOP)
            return false;
        group_key_add(g, f->kind, f->raw);
    }
    return true;
}

/* ---- functions of values: each column in one sweep, every value handed to the accumulator of its row's group ---- */

struct sweep {
    struct groups *g;
    struct block *b;
    const uint64_t *bits;
    uint16_t *of;               /* of each event that matches: which combination of codes its group is */
    struct accumulator **group; /* of each combination: all functions of its group */
    size_t groups_n;
    struct event *ev; /* has the value at hand, and nothing else */
    struct arena one; /* of that value */
};

static bool is_told_apart(str name)
{
    return str_eq(name, S("id")) || str_eq(name, S("time")) || str_eq(name, S("severity_number")) ||
           str_eq(name, S("level"));
}

/* Do the columns of the function's field give all its values, and in an order that does not matter? */
static bool is_sweepable(const struct block *b, const struct aggregate *f)
{
    size_t columns = 0;
    for (size_t i = 0; f->field.p && i < b->head->columns; i++) {
        bool is = str_eq(block_name(b, i), f->field);
        if (b->columns[i].kind == KIND_REST || (is && b->columns[i].kind == KIND_ESCAPED))
            return false;
        columns += is;
    }
    bool kept = f->fn == FN_MIN || f->fn == FN_MAX; /* of equal values, 1 and 1.0, the first one */
    return !f->only && f->fn != FN_FIRST && f->fn != FN_LAST && !(f->field.p && is_told_apart(f->field)) &&
           !(kept && columns > 1);
}

/* Can it be done value by value? */
static bool sweeps(const struct groups *g, const struct block *b)
{
    bool can = g->st->kind < STAGE_PATTERNS;
    for (size_t k = 0; can && k < g->st->aggregates_n; k++)
        can = is_sweepable(b, &g->st->aggregates[k]);
    return can;
}

/* To which group each event belongs. */
static int find_groups(struct sweep *w, const struct codes *c, struct arena *a, struct err *e)
{
    size_t rows = w->b->head->events;
    w->groups_n = c->product;
    w->group = arena_zero(a, c->product * sizeof(void *));
    w->of = arena_alloc(a, rows * sizeof *w->of);
    for (size_t row = 0; row < rows; row++) {
        size_t at = 0;
        if (!(w->bits[row / 64] >> row % 64 & 1))
            continue;
        for (size_t i = 0; i < c->n; i++)
            at = at * c->part[i].n + c->part[i].of[row];
        if (!w->group[at] && key_of_codes(w->g, c, at) && !(w->group[at] = group_at_key(w->g, e)))
            return -1;
        w->of[row] = (uint16_t)at;
    }
    return 0;
}

static void sweep_value(struct sweep *w, size_t k, struct accumulator *c, const struct packed *p, str text)
{
    const struct aggregate *f = &w->g->st->aggregates[k];
    w->ev->n = 1;
    w->ev->f[0] = (struct field){.name = f->field, .raw = text, .kind = (enum value_kind)p->kind};
    accumulator_add(f, &c[k], w->ev, &(struct row){.time = TIME_NONE}, &w->one, &w->g->bytes);
    if (w->one.used > 64 << 10)
        arena_reset(&w->one);
}

/* The functions of the group of an event; NULL: it does not match. */
static struct accumulator *group_of(const struct sweep *w, size_t row)
{
    return w->bits[row / 64] >> row % 64 & 1 ? w->group[w->of[row]] : NULL;
}

enum { TIMES_MAX = 1 << 14 };

/* A column of few texts, for a function to which order is nothing: how often each group has each text. False: it is
 * neither. */
static bool sweep_texts(struct sweep *w, size_t k, const struct column *v, const uint16_t *rows)
{
    const struct aggregate *f = &w->g->st->aggregates[k];
    size_t distinct = v->info->packing == PACK_CONST ? 1 : v->info->packing == PACK_DICT ? v->info->distinct : 0;
    if (!distinct || f->fn == FN_MIN || f->fn == FN_MAX || distinct * w->groups_n > TIMES_MAX)
        return false;
    uint32_t *times = xcalloc(distinct * w->groups_n, sizeof *times);
    for (size_t i = 0; i < v->n; i++) {
        size_t row = rows ? rows[i] : i;
        if (w->bits[row / 64] >> row % 64 & 1)
            times[w->of[row] * distinct + (v->codes ? column_code(v, i) : 0)]++;
    }
    for (size_t i = 0; i < distinct * w->groups_n; i++) {
        struct field value = {f->field, column_distinct(v, i % distinct), (enum value_kind)v->info->kind, false};
        struct accumulator *c = w->group[i / distinct];
        if (times[i] && c)
            accumulator_add_times(f, &c[k], &value, times[i], &w->one, &w->g->bytes);
    }
    free(times);
    return true;
}

static int sweep_column(struct sweep *w, size_t k, size_t column, struct err *damage)
{
    const struct aggregate *f = &w->g->st->aggregates[k];
    const struct packed *p = &w->b->columns[column];
    const struct column *v = block_column(w->b, column, damage);
    const uint16_t *rows = NULL;
    char room[PACKED_TEXT_MAX];
    if (!v || (!(p->flags & COLUMN_EVERY) && !(rows = block_rows(w->b, column, damage))))
        return -1;
    if (sweep_texts(w, k, v, rows))
        return 0;
    bool whole = (p->packing == PACK_INT || p->packing == PACK_DELTA) &&
                 (f->fn == FN_SUM || f->fn == FN_AVG || f->fn == FN_QUANTILE);
    for (size_t n = 0; n < v->n; n++) {
        size_t i = w->g->o->ascending ? n : v->n - 1 - n; /* as rows are given: of equal values the first is kept */
        struct accumulator *c = group_of(w, rows ? rows[i] : i);
        if (c && whole)
            accumulator_add_whole(f, &c[k], v->numbers[i], &w->g->bytes);
        else if (c)
            sweep_value(w, k, c, p, column_text(v, i, room));
    }
    return 0;
}

static bool is_swept(const struct block *b, size_t column, const struct aggregate *f)
{
    const struct packed *p = &b->columns[column];
    return f->field.p && p->kind != KIND_NULL && p->kind != KIND_SYSTEM && str_eq(block_name(b, column), f->field);
}

/* Function k, over all columns of its field. */
static int sweep_function(struct sweep *w, size_t k, struct err *damage)
{
    const struct aggregate *f = &w->g->st->aggregates[k];
    for (size_t row = 0; !f->field.p && row < w->b->head->events; row++) {
        struct accumulator *c = group_of(w, row);
        if (c)
            c[k].n++;
    }
    for (size_t i = 0; i < w->b->head->columns; i++)
        if (is_swept(w->b, i, f) && sweep_column(w, k, i, damage) < 0)
            return -1;
    return 0;
}

/* All that will be swept, so that damage is met before anything was added. */
static int read_swept(const struct groups *g, struct block *b, struct err *damage)
{
    for (size_t k = 0; k < g->st->aggregates_n; k++)
        for (size_t i = 0; i < b->head->columns; i++)
            if (is_swept(b, i, &g->st->aggregates[k]) &&
                (!block_column(b, i, damage) || (!(b->columns[i].flags & COLUMN_EVERY) && !block_rows(b, i, damage))))
                return -1;
    return 0;
}

static int add_sweep(struct groups *g, struct block *b, const uint64_t *bits, struct arena *a, struct err *damage,
                     struct err *e)
{
    struct codes c;
    struct sweep w = {.g = g, .b = b, .bits = bits};
    int rc = code_all(g, b, &c, a, damage);
    if (rc <= 0)
        return rc < 0 ? 2 : 0;
    if (read_swept(g, b, damage) < 0)
        return 2;
    if (find_groups(&w, &c, a, e) < 0)
        return -1;
    w.ev = xmalloc(sizeof *w.ev);
    w.ev->time = TIME_NONE;
    w.ev->severity = 0;
    w.ev->line = (str){NULL, 0};
    for (size_t k = 0; rc == 1 && k < g->st->aggregates_n; k++)
        rc = sweep_function(&w, k, damage) < 0 ? 2 : 1;
    free(w.ev);
    arena_done(&w.one);
    return rc == 1 && groups_check_bytes(g, e) < 0 ? -1 : rc;
}

/* ---- one field, all events: counted as its values stand, without looking whose they are ---- */

static int add_one(struct groups *g, enum value_kind kind, str text, uint64_t n, struct err *e)
{
    if (n == 0 || (kind == VALUE_NULL && g->st->kind == STAGE_TOP))
        return 0;
    group_key_begin(g, 0);
    group_key_add(g, kind, text);
    return group_add_key(g, n, e);
}

static int add_levels(struct groups *g, const struct block *b, struct err *e)
{
    for (int s = 1; s < LEVELS; s++)
        if (add_one(g, VALUE_STRING, level_name(s), b->head->by_level[s], e) < 0)
            return -1;
    return 1;
}

/* A dictionary says how often each of its texts comes: no code is read. */
static const struct column *glance_values(struct block *b, size_t column, struct err *e)
{
    return packing_is_number(b->columns[column].packing) ? block_column(b, column, e) : block_glance(b, column, e);
}

static int add_values(struct groups *g, struct block *b, size_t column, struct arena *a, struct err *damage,
                      struct err *e)
{
    const struct packed *p = &b->columns[column];
    const struct column *v = glance_values(b, column, damage);
    uint32_t *counts = arena_zero(a, codes_of(p) * sizeof *counts);
    char room[PACKED_TEXT_MAX];
    if (!v)
        return 2;
    if (v->counts)
        memcpy(counts, v->counts, p->distinct * sizeof *counts);
    else if (!v->numbers)
        counts[0] = p->values;
    for (size_t i = 0; v->numbers && i < v->n; i++)
        counts[v->numbers[i] - p->min]++;
    for (size_t i = 0, n = codes_of(p); i < n; i++) {
        str text = v->numbers ? number_text(p, p->min + (int64_t)i, room) : column_distinct(v, i);
        if (counts[i] && add_one(g, (enum value_kind)p->kind, text, counts[i], e) < 0)
            return -1;
    }
    return 1;
}

static int add_whole(struct groups *g, struct block *b, struct arena *a, struct err *damage, struct err *e)
{
    str name = g->st->fields[0];
    uint64_t left = b->head->events; /* events without a value */
    int rc = 1;
    if (str_eq(name, S("level")))
        return add_levels(g, b, e);
    for (size_t i = 0; rc == 1 && i < b->head->columns; i++) {
        const struct packed *p = &b->columns[i];
        if (p->kind == KIND_NULL || p->kind == KIND_SYSTEM || !str_eq(block_name(b, i), name))
            continue;
        left -= p->values;
        rc = add_values(g, b, i, a, damage, e);
    }
    return rc == 1 && add_one(g, VALUE_NULL, S("null"), left, e) < 0 ? -1 : rc;
}

/* Has every column of the field few values, and may it be told by columns at all? */
static bool has_codes(const struct block *b, str name)
{
    if (str_eq(name, S("id")) || str_eq(name, S("time")) || str_eq(name, S("severity_number")))
        return false;
    for (size_t i = 0; i < b->head->columns; i++) {
        const struct packed *p = &b->columns[i];
        if (p->kind == KIND_REST ||
            (p->kind != KIND_NULL && p->kind != KIND_SYSTEM && str_eq(block_name(b, i), name) && codes_of(p) == 0))
            return false;
    }
    return true;
}

/* ---- no field: rows stand in order of time, so each stretch is a run of them ---- */

static int add_stretches(struct groups *g, struct block *b, const uint64_t *bits, struct err *damage, struct err *e)
{
    const struct column *v = block_column(b, SYSTEM_TIME, damage);
    int64_t from = 1, end = 0, start = 0;
    uint64_t n = 0;
    if (!v)
        return 2;
    for (size_t w = 0; w < bit_words(v->n); w++)
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            int64_t t = v->numbers[w * 64 + (size_t)__builtin_ctzll(left)];
            if (t >= from && t < end) {
                n++;
                continue;
            }
            group_key_begin(g, start);
            if (n && group_add_key(g, n, e) < 0)
                return -1;
            n = 1;
            start = group_stretch(g->st, t);
            if (__builtin_mul_overflow(start, NSEC_PER_SEC, &from) ||
                __builtin_add_overflow(from, g->st->every * NSEC_PER_USEC, &end))
                from = 1, end = 0;
        }
    group_key_begin(g, start);
    return n && group_add_key(g, n, e) < 0 ? -1 : 1;
}

int groups_add_block(struct groups *g, struct block *b, const uint64_t *bits, struct arena *a, struct err *damage,
                     struct err *e)
{
    struct codes c;
    size_t n = bits_count(bits, bit_words(b->head->events));
    if (!groups_count_rows(g))
        return sweeps(g, b) ? add_sweep(g, b, bits, a, damage, e) : 0;
    if (g->st->fields_n == 0 && !g->st->every) {
        group_key_begin(g, 0);
        return group_add_key(g, n, e) < 0 ? -1 : 1;
    }
    if (g->st->fields_n == 0)
        return add_stretches(g, b, bits, damage, e);
    if (n == b->head->events && g->st->fields_n == 1 && !g->st->every && has_codes(b, g->st->fields[0]))
        return add_whole(g, b, a, damage, e);
    int rc = code_all(g, b, &c, a, damage);
    if (rc <= 0)
        return rc < 0 ? 2 : 0;
    uint32_t *counts = arena_zero(a, c.product * sizeof *counts);
    count_rows(&c, bits, b->head->events, counts);
    for (size_t i = 0; i < c.product; i++)
        if (counts[i] && key_of_codes(g, &c, i) && group_add_key(g, counts[i], e) < 0)
            return -1;
    return 1;
}

void groups_look(const struct groups *g, struct block *b, bool all)
{
    const struct stage *st = g->st;
    struct err ignored; /* who needs it will see */
    if (all && groups_count_rows(g) && !st->every && st->fields_n == 1 && has_codes(b, st->fields[0])) {
        for (size_t i = 0; i < b->head->columns; i++)
            if (b->columns[i].kind != KIND_SYSTEM && str_eq(block_name(b, i), st->fields[0]))
                (void)!glance_values(b, i, &ignored);
        return;
    }
    if (st->every)
        (void)!block_column(b, SYSTEM_TIME, &ignored);
    for (size_t i = 0; i < st->fields_n + st->aggregates_n; i++) {
        str name = i < st->fields_n ? st->fields[i] : st->aggregates[i - st->fields_n].field;
        if (name.p)
            block_look(b, name);
    }
}
