#include "query/columns-private.h"
#include "base/str.h"
#include "event/json.h"

enum { PREPARED_MAX = 64, DENSE = 16, CHECK_AFTER = 16, ONE_MAX = 64 << 10 };

struct prepared {
    const struct filter *filter;
    struct known {
        const struct filter_value *value;
        struct probe probe;
    } known[PREPARED_MAX]; /* values that signatures can be asked about */
    size_t n;
};

/* ---- preparing ---- */

/* A text inside the value is asked for, not the value. */
static bool looks_inside(const struct filter_node *n)
{
    return n->kind == NODE_TEXT || (n->kind == NODE_COMPARE && n->contains && n->op == OP_MATCH);
}

/* The text that must be in a text for it to match, in lower case; absent: none is known. */
static str needle_of(const struct filter_node *n, const struct filter_value *v)
{
    bool text = n->kind == NODE_TEXT || ((n->op == OP_MATCH || n->op == OP_EQ || n->op == OP_NE) &&
                                         (v->form == FORM_TEXT || v->form == FORM_GLOB));
    bool units = !looks_inside(n) && v->numeric && v->low.unit != UNIT_NONE; /* 1.5s is 1500ms */
    str longest = {NULL, 0};
    for (size_t i = 0; text && !units && i < v->pattern.n; i++)
        if (v->pattern.pieces[i].needle.n > longest.n)
            longest = v->pattern.pieces[i].needle;
    return longest;
}

static void prepare_node(struct prepared *p, const struct filter_node *n)
{
    for (size_t i = 0; (n->kind == NODE_AND || n->kind == NODE_OR || n->kind == NODE_NOT) && i < n->n; i++)
        prepare_node(p, n->children[i]);
    for (size_t i = 0; (n->kind == NODE_TEXT || n->kind == NODE_COMPARE) && i < n->values_n; i++) {
        str needle = needle_of(n, &n->values[i]);
        if (needle.n < 3 || p->n == LENGTH(p->known))
            continue;
        struct known *k = &p->known[p->n++];
        k->value = &n->values[i];
        probe_init(&k->probe, needle);
    }
}

struct prepared *prepare(const struct filter *f)
{
    struct prepared *p = xcalloc(1, sizeof *p);
    p->filter = f;
    prepare_node(p, filter_root(f));
    return p;
}

void prepared_free(struct prepared *p) { free(p); }

static const struct probe *probe_of(const struct match *m, const struct filter_value *v)
{
    for (size_t i = 0; i < m->prepared->n; i++)
        if (m->prepared->known[i].value == v)
            return &m->prepared->known[i].probe;
    return NULL;
}

/* ---- what need not be read ---- */

static const struct signature *signature(struct match *m)
{
    if (!m->signature_read)
        m->signature_known = segment_signature(m->b->segment, m->index, m->scratch, &m->signature);
    m->signature_read = true;
    return m->signature_known ? &m->signature : NULL; /* a damaged one says nothing */
}

static bool only_of(str needle, const char *more)
{
    for (size_t i = 0; i < needle.n; i++)
        if (!(needle.p[i] >= '0' && needle.p[i] <= '9') && !strchr(more, needle.p[i]))
            return false;
    return true;
}

/* No address has more than four digits or letters side by side, which ids have. */
static bool within_address(str needle)
{
    size_t run = 0;
    for (size_t i = 0; i < needle.n && run <= 4; i++)
        run = needle.p[i] == ':' || needle.p[i] == '.' ? 0 : run + 1;
    return run <= 4 && only_of(needle, "abcdef:.");
}

/* May a value of this column hold the needle (all of it when `whole`)? */
static bool may_hold(struct match *m, const struct packed *p, const struct filter_value *v, str needle, bool whole)
{
    const struct probe *probe = probe_of(m, v);
    const struct signature *s;
    size_t length;
    switch (p->packing) {
    case PACK_INT:
    case PACK_DELTA: return only_of(needle, "-");
    case PACK_DECIMAL: return only_of(needle, "-.");
    case PACK_IPV4: return only_of(needle, ".");
    case PACK_IPV6: return within_address(needle);
    case PACK_HEX:
    case PACK_UUID:
        length = p->packing == PACK_UUID ? 36 : 2u * p->width;
        if (needle.n > length || (whole && needle.n < length) ||
            !only_of(needle, p->packing == PACK_UUID ? "abcdef-" : "abcdef"))
            return false;
        return needle.n < length || !probe || !(s = signature(m)) || signature_may_equal(s, probe);
    default: return !probe || !(s = signature(m)) || signature_may_contain(s, probe);
    }
}

static bool is_text(const struct packed *p) { return p->kind >= KIND_STRING && p->kind <= KIND_REST; }

/* May a value of this column match? Without reading it. */
static bool may_match(struct match *m, const struct filter_node *n, const struct packed *p)
{
    if (!is_text(p) || n->kind == NODE_TEXT_RE)
        return true;
    for (size_t i = 0; i < n->values_n; i++) {
        str needle = needle_of(n, &n->values[i]);
        bool whole = n->kind == NODE_COMPARE && !n->contains && n->values[i].form == FORM_TEXT && p->kind != KIND_JSON;
        bool number = p->kind == KIND_REST && n->values[i].numeric && !looks_inside(n); /* 1000 is 1e3 */
        if (!needle.p || number || may_hold(m, p, &n->values[i], needle, whole))
            return true;
    }
    return false;
}

/* ---- bits ---- */

VECTORS size_t bits_count(const uint64_t *bits, size_t words)
{
    size_t n = 0;
    for (size_t i = 0; i < words; i++)
        n += (size_t)__builtin_popcountll(bits[i]);
    return n;
}

static uint64_t *no_bits(struct match *m) { return arena_zero(m->scratch, m->words * sizeof(uint64_t)); }

/* ---- one column ---- */

/* The column with its escapes resolved. */
static const struct column *decoded(struct match *m, const struct column *c, size_t index)
{
    if (!m->decoded)
        m->decoded = arena_zero(m->scratch, m->b->head->columns * sizeof *m->decoded);
    if (m->decoded[index]) {
        m->decoded[index]->codes = c->codes; /* not there when it was only glanced at */
        return m->decoded[index];
    }
    struct column *d = arena_alloc(m->scratch, sizeof *d);
    size_t n = c->info->packing == PACK_TEXT ? c->n : c->info->packing == PACK_DICT ? c->info->distinct : 1, at = 0;
    char *out = arena_alloc(m->scratch, c->bytes.n + 1);
    uint32_t *ends = (uint32_t *)arena_alloc(m->scratch, (n + 1) * sizeof *ends) + 1;
    *d = *c;
    ends[-1] = 0;
    for (size_t i = 0; i < n; i++) {
        str text = c->info->packing == PACK_CONST
                       ? c->bytes
                       : str_n(c->bytes.p + c->ends[(ptrdiff_t)i - 1], c->ends[i] - c->ends[(ptrdiff_t)i - 1]);
        at += json_decode(text, out + at);
        ends[i] = (uint32_t)at;
    }
    d->bytes = str_n(out, at);
    d->ends = ends;
    return m->decoded[index] = d;
}

/* A column whose texts are known, but not whose they are. */
static int glance_place(struct match *m, size_t index, struct place *ret)
{
    *ret = (struct place){.index = index, .info = &m->b->columns[index], .name = block_name(m->b, index)};
    ret->c = block_glance(m->b, index, m->e);
    if (ret->c && ret->info->kind == KIND_ESCAPED && ret->info->packing != PACK_TEXT)
        ret->c = decoded(m, ret->c, index);
    return ret->c ? 0 : -1;
}

int place_open(struct match *m, size_t index, struct place *ret)
{
    *ret = (struct place){.index = index, .info = &m->b->columns[index], .name = block_name(m->b, index)};
    ret->c = block_column(m->b, index, m->e);
    if (!ret->c)
        return -1;
    if (!(ret->info->flags & COLUMN_EVERY) && !(ret->rows = block_rows(m->b, index, m->e)))
        return -1;
    if (ret->info->flags & COLUMN_EVERY && ret->c->n != m->b->head->events)
        return err_set(m->e, ERR_CORRUPT, "'%s' is damaged: a column has too few values", m->b->segment->path);
    if (ret->info->kind == KIND_ESCAPED)
        ret->c = decoded(m, ret->c, index);
    return 0;
}

/* Before each value that is asked: is there still time? */
static bool next_value(struct match *m)
{
    if (m->one.used > ONE_MAX)
        arena_reset(&m->one);
    if (++m->unchecked >= CHECK_AFTER) {
        m->unchecked = 0;
        m->stopped |= m->stop(m->arg);
    }
    return !m->stopped;
}

static bool text_test(struct match *m, const struct filter_node *n, str name, enum column_kind kind, str text)
{
    const struct filter_value *v = n->values;
    if (n->kind == NODE_TEXT)
        return kind >= KIND_STRING && pattern_within(&v->pattern, text);
    if (n->kind == NODE_TEXT_RE)
        return kind >= KIND_STRING && regex_match(v->re, text, &m->one, &m->gave_up);
    struct field f = {name, text, kind == KIND_ESCAPED ? VALUE_STRING : (enum value_kind)kind, false};
    return kind != KIND_NULL && filter_field_match(n, &f, &m->one, &m->gave_up);
}

/* The rare fields of one event. */
static bool rest_test(struct match *m, const struct filter_node *n, str rest)
{
    struct rest_value v;
    while (rest_next(&rest, &v)) {
        if (n->kind == NODE_COMPARE && !str_eq(v.name, n->field))
            continue;
        if (v.kind == KIND_ESCAPED) {
            char *p = arena_alloc(&m->one, v.text.n + 1);
            v.text = str_n(p, json_decode(v.text, p));
        }
        if (text_test(m, n, v.name, v.kind, v.text))
            return true;
    }
    return false;
}

static bool value_test(struct match *m, const struct filter_node *n, const struct place *p, str text)
{
    enum column_kind kind = (enum column_kind)p->info->kind;
    return kind == KIND_REST ? rest_test(m, n, text) : text_test(m, n, p->name, kind, text);
}

static void match_each(struct match *m, const struct filter_node *n, const struct place *p, const uint64_t *mask,
                       uint64_t *out)
{
    char room[PACKED_TEXT_MAX];
    for (size_t i = 0; i < p->c->n; i++) {
        size_t row = row_of(p, i);
        if (!bit_is(mask, row))
            continue;
        if (!next_value(m))
            return;
        if (value_test(m, n, p, column_text(p->c, i, room)))
            bit_set(out, row);
    }
}

enum known_text { UNKNOWN, NO, YES };

/* Which of a column's distinct texts match, UNKNOWN when time is over. Whether any does: only then it matters whose they
 * are. */
static bool match_distinct(struct match *m, const struct filter_node *n, const struct place *p, uint8_t *is)
{
    size_t distinct = p->info->packing == PACK_CONST ? 1 : p->info->distinct;
    bool any = false;
    for (size_t i = 0; i < distinct && next_value(m); i++) {
        is[i] = value_test(m, n, p, column_distinct(p->c, i)) ? YES : NO;
        any |= is[i] == YES;
    }
    return any;
}

/* Each distinct text once, when it is first met, unless it is known. */
static void match_dict(struct match *m, const struct filter_node *n, const struct place *p, const uint64_t *mask,
                       uint8_t *is, uint64_t *out)
{
    for (size_t i = 0; i < p->c->n; i++) {
        size_t row = row_of(p, i), code = p->c->codes ? column_code(p->c, i) : 0;
        if (!bit_is(mask, row))
            continue;
        if (is[code] == UNKNOWN && !next_value(m))
            return;
        if (is[code] == UNKNOWN)
            is[code] = value_test(m, n, p, column_distinct(p->c, code)) ? YES : NO;
        out[row / 64] |= (uint64_t)(is[code] == YES) << row % 64;
    }
}

/* The texts as one run; a hit that reaches into the next text is none. */
static void match_run(const struct finder *f, const struct place *p, uint64_t *out)
{
    const uint32_t *ends = p->c->ends;
    size_t at = 0, i = 0, n = p->c->n;
    while (at < p->c->bytes.n) {
        ptrdiff_t hit = find_nocase(f, str_skip(p->c->bytes, at));
        if (hit < 0)
            return;
        at += (size_t)hit;
        size_t low = i, high = n; /* the text that `at` is in */
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (ends[middle] <= at)
                low = middle + 1;
            else
                high = middle;
        }
        i = low;
        if (at + f->needle.n <= ends[i]) {
            bit_set(out, row_of(p, i));
            at = ends[i];
        } else {
            at++;
        }
    }
}

static void match_hex(str needle, const struct place *p, uint64_t *out)
{
    char room[PACKED_TEXT_MAX];
    size_t width = p->info->width;
    const char *bytes = p->c->bytes.p;
    bool found = false;
    char want[PACKED_TEXT_MAX / 2];
    for (size_t i = 0; i < p->c->n; i++) {
        if (found ? memcmp(bytes + i * width, want, width) != 0 : !str_eq_nocase(column_text(p->c, i, room), needle))
            continue;
        memcpy(want, bytes + i * width, width); /* from now on bytes do */
        found = true;
        bit_set(out, row_of(p, i));
    }
}

/* ---- choosing how ---- */

/* The one text that the node looks for inside values; NULL: it asks something else. */
static const struct finder *finder_of(const struct filter_node *n)
{
    const struct filter_value *v = n->values;
    bool inside = n->kind == NODE_TEXT ||
                  (n->kind == NODE_COMPARE && n->contains && n->op == OP_MATCH && v->form == FORM_TEXT);
    return inside && n->values_n == 1 && v->pattern.n == 1 && v->pattern.pieces->needle.n ? v->pattern.pieces : NULL;
}

/* 0: no value of the column can match, as a glance at it tells; 1: one may, *ret_is says what is known of its distinct
 * texts (NULL: it has none). */
static int may_match_glanced(struct match *m, const struct filter_node *n, size_t index, size_t wanted,
                             uint8_t **ret_is)
{
    const struct packed *info = &m->b->columns[index];
    const struct finder *f = info->kind == KIND_REST ? NULL : finder_of(n);
    bool few = info->packing == PACK_CONST || info->packing == PACK_DICT;
    size_t distinct = info->packing == PACK_CONST ? 1 : info->distinct;
    struct place p;
    *ret_is = few ? arena_zero(m->scratch, distinct) : NULL;
    if (!few && !(f && info->packing == PACK_TEXT && info->kind != KIND_ESCAPED))
        return 1;
    if (glance_place(m, index, &p) < 0)
        return -1;
    if (f && info->kind != KIND_ESCAPED && find_nocase(f, p.c->bytes) < 0)
        return 0;
    return !few || distinct > wanted || match_distinct(m, n, &p, *ret_is) ? 1 : 0;
}

static int match_column(struct match *m, const struct filter_node *n, size_t index, const uint64_t *mask, uint64_t *out)
{
    const struct packed *info = &m->b->columns[index];
    struct interval intervals[INTERVALS_MAX];
    size_t intervals_n = 0;
    struct place p;
    uint8_t *is = NULL;
    bool numbers = columns_find_intervals(m, n, info, intervals, &intervals_n);
    if (numbers ? intervals_n == 0 : !may_match(m, n, info))
        return 0;
    int may = numbers ? 1 : may_match_glanced(m, n, index, bits_count(mask, m->words), &is);
    if (may <= 0)
        return may;
    if (numbers && intervals_n == 1 && intervals->low == intervals->high)
        return columns_number(m, index, intervals->low, out);
    if (place_open(m, index, &p) < 0)
        return -1;
    const struct finder *f = finder_of(n);
    bool hex = info->kind == KIND_STRING && (info->packing == PACK_HEX || info->packing == PACK_UUID);
    str whole = n->values_n == 1 && (f || (n->op == OP_MATCH && n->values->form == FORM_TEXT)) ? needle_of(n, n->values)
                                                                                               : S("");
    if (numbers)
        columns_intervals(m, intervals, intervals_n, &p, out);
    else if (columns_ask_addresses(n, info))
        columns_addresses(m, n, &p, out);
    else if (info->packing == PACK_CONST || info->packing == PACK_DICT)
        match_dict(m, n, &p, mask, is, out);
    else if (hex && whole.n == (info->packing == PACK_UUID ? 36 : 2u * info->width))
        match_hex(whole, &p, out);
    else if (info->packing == PACK_TEXT && info->kind != KIND_REST && f && bits_count(mask, m->words) > p.c->n / DENSE)
        match_run(f, &p, out);
    else
        match_each(m, n, &p, mask, out);
    return 0;
}

/* ---- nodes ---- */

static int match_level(struct match *m, const struct filter_node *n, const uint64_t *mask, uint64_t *out)
{
    const struct column *c = block_column(m->b, SYSTEM_SEVERITY, m->e);
    if (!c)
        return -1;
    for (size_t i = 0; i < c->n; i++)
        out[i / 64] |= (uint64_t)(n->levels >> (c->numbers[i] & 31) & 1) << i % 64;
    for (size_t i = 0; i < m->words; i++)
        out[i] &= mask[i];
    return 0;
}

static int match_time(struct match *m, const struct filter_node *n, const uint64_t *mask, uint64_t *out)
{
    const struct column *c = block_column(m->b, SYSTEM_TIME, m->e);
    if (!c)
        return -1;
    for (size_t i = 0; i < c->n; i++) {
        bool is = false;
        for (size_t k = 0; k < n->values_n; k++)
            is |= c->numbers[i] >= n->values[k].t_low && c->numbers[i] <= n->values[k].t_high;
        out[i / 64] |= (uint64_t)(is != filter_negative(n)) << i % 64;
    }
    for (size_t i = 0; i < m->words; i++)
        out[i] &= mask[i];
    return 0;
}

/* Fields that are no columns of their own: the whole event is asked. */
static int match_events(struct match *m, const struct filter_node *n, const uint64_t *mask, uint64_t *out)
{
    struct event *ev = xmalloc(sizeof *ev);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < m->b->head->events; i++) {
        if (!bit_is(mask, i))
            continue;
        if (!next_value(m))
            break;
        rc = block_event(m->b, i, NULL, ev, m->e);
        if (rc == 0 && filter_node_match(n, ev, &m->one, &m->gave_up))
            bit_set(out, i);
    }
    free(ev);
    return rc;
}

static bool is_own_field(str name)
{
    return str_eq(name, S("id")) || str_eq(name, S("time")) || str_eq(name, S("level")) ||
           str_eq(name, S("severity_number"));
}

static int match_field(struct match *m, const struct filter_node *n, const uint64_t *mask, uint64_t *out)
{
    if (is_own_field(n->field))
        return match_events(m, n, mask, out);
    for (size_t i = 0; i < m->b->head->columns; i++) {
        const struct packed *p = &m->b->columns[i];
        if (p->kind == KIND_NULL || p->kind == KIND_SYSTEM ||
            (p->kind != KIND_REST && !str_eq(block_name(m->b, i), n->field)))
            continue;
        if (match_column(m, n, i, mask, out) < 0)
            return -1;
    }
    for (size_t i = 0; i < m->words; i++)
        out[i] = mask[i] & (filter_negative(n) ? ~out[i] : out[i]);
    return 0;
}

static int match_text(struct match *m, const struct filter_node *n, const uint64_t *mask, uint64_t *out)
{
    for (size_t i = 0; i < m->b->head->columns; i++)
        if (is_text(&m->b->columns[i]) && match_column(m, n, i, mask, out) < 0)
            return -1;
    for (size_t i = 0; i < m->words; i++)
        out[i] &= mask[i];
    return 0;
}

static unsigned cost(const struct filter_node *n)
{
    switch (n->kind) {
    case NODE_ALL: return 0;
    case NODE_COMPARE:
        return n->subject != SUBJECT_FIELD         ? 1
               : n->op == OP_RE || n->op == OP_NRE ? 6
               : n->contains                       ? 4
               : is_own_field(n->field)            ? 9
                                                   : 2;
    case NODE_TEXT: return 5;
    case NODE_TEXT_RE: return 8;
    case NODE_NOT: return cost(n->children[0]);
    default: return 7;
    }
}

static int by_cost(const void *a, const void *b)
{
    unsigned x = cost(*(struct filter_node *const *)a), y = cost(*(struct filter_node *const *)b);
    return (x > y) - (x < y);
}

static int match_node(struct match *m, const struct filter_node *n, const uint64_t *mask, uint64_t *out);

static int match_children(struct match *m, const struct filter_node *n, const uint64_t *mask, uint64_t *out)
{
    bool and = n->kind == NODE_AND;
    const struct filter_node **order = arena_alloc(m->scratch, n->n * sizeof *order);
    uint64_t *left = no_bits(m); /* and: still matching; or: not yet */
    memcpy(order, n->children, n->n * sizeof *order);
    qsort(order, n->n, sizeof *order, by_cost);
    memcpy(left, mask, m->words * sizeof *left);
    for (size_t i = 0; i < n->n && bits_any(left, m->words); i++) {
        uint64_t *is = no_bits(m);
        if (match_node(m, order[i], left, is) < 0)
            return -1;
        for (size_t w = 0; w < m->words; w++)
            left[w] &= and? is[w] : ~is[w];
    }
    for (size_t w = 0; w < m->words; w++)
        out[w] = and? left[w] : mask[w] & ~left[w];
    return 0;
}

/* `out` is empty before, and within the mask after. */
static int match_node(struct match *m, const struct filter_node *n, const uint64_t *mask, uint64_t *out)
{
    switch (n->kind) {
    case NODE_ALL: memcpy(out, mask, m->words * sizeof *out); return 0;
    case NODE_TEXT:
    case NODE_TEXT_RE: return match_text(m, n, mask, out);
    case NODE_AND:
    case NODE_OR: return match_children(m, n, mask, out);
    case NODE_COMPARE:
        return n->subject == SUBJECT_LEVEL  ? match_level(m, n, mask, out)
               : n->subject == SUBJECT_TIME ? match_time(m, n, mask, out)
                                            : match_field(m, n, mask, out);
    case NODE_NOT:
        if (match_node(m, n->children[0], mask, out) < 0)
            return -1;
        for (size_t i = 0; i < m->words; i++)
            out[i] = mask[i] & ~out[i];
        return 0;
    }
    assert(false && "a kind of node");
    return -1;
}

int columns_match(const struct prepared *p, struct block *b, size_t index, uint64_t *bits, struct arena *scratch,
                  bool (*stop)(void *), void *arg, struct err *e)
{
    struct match m = {.stop = stop,
                      .arg = arg,
                      .prepared = p,
                      .b = b,
                      .index = index,
                      .scratch = scratch,
                      .e = e,
                      .words = bit_words(b->head->events)};
    uint64_t *out = no_bits(&m);
    int rc = match_node(&m, filter_root(p->filter), bits, out);
    memcpy(bits, out, m.words * sizeof *bits);
    arena_done(&m.one);
    if (m.gave_up)
        filter_note_gave_up(p->filter);
    return rc;
}
