/* event/filter-value.c - what the values of a filter mean, worked out once when it is parsed. */
#include "event/filter-private.h"

/* ---- patterns ---- */

static str lower(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.n ? s.n : 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
    return str_n(p, s.n);
}

static bool has_star(str s) { return str_chr(s, '*') >= 0; }

static void pattern_text(struct filter *f, struct filter_value *v)
{
    v->pattern = (struct pattern){
        .pieces = arena_alloc(&f->a, sizeof *v->pattern.pieces), .n = 1, .head = true, .tail = true};
    finder_init(v->pattern.pieces, lower(&f->a, v->text));
}

static void pattern_glob(struct filter *f, struct filter_value *v)
{
    str rest = lower(&f->a, v->text);
    struct pattern p = {.head = rest.p[0] != '*', .tail = rest.p[rest.n - 1] != '*'};
    size_t stars = 0;
    for (size_t i = 0; i < rest.n; i++)
        stars += rest.p[i] == '*';
    p.pieces = arena_alloc(&f->a, (stars + 1) * sizeof *p.pieces);
    while (rest.p) {
        str piece = str_cut(&rest, '*');
        if (piece.n)
            finder_init(&p.pieces[p.n++], piece);
    }
    v->pattern = p;
}

/* ---- regular expressions ---- */

static int ready_regex(struct filter *f, const struct lexer *l, struct filter_value *v, size_t start, struct err *e)
{
    size_t at;
    if (regex_compile(v->text, &v->re, &at, e) < 0) {
        e->column = lexer_column(l, v->quoted ? lex_string_offset(l, start, at) : start + at);
        return -1;
    }
    if (f->regexes_n == f->regexes_cap) {
        f->regexes_cap = f->regexes_cap ? 2 * f->regexes_cap : 4;
        f->regexes = xrealloc(f->regexes, f->regexes_cap * sizeof(struct regex *));
    }
    f->regexes[f->regexes_n++] = v->re;
    v->form = FORM_RE;
    return 0;
}

int filter_text_ready(struct filter *f, const struct lexer *l, struct filter_node *n, size_t start, struct err *e)
{
    if (n->kind == NODE_TEXT_RE)
        return ready_regex(f, l, n->values, start, e);
    pattern_text(f, n->values);
    return 0;
}

/* ---- numbers, ranges, addresses ---- */

/* "a..b": both ends, neither empty. */
static bool two_ends(str s, str *ret_a, str *ret_b)
{
    ptrdiff_t at = str_find(s, S(".."));
    if (at <= 0 || (size_t)at + 2 >= s.n)
        return false;
    *ret_a = str_head(s, (size_t)at);
    *ret_b = str_skip(s, (size_t)at + 2);
    return true;
}

static int ready_range(const struct filter_node *n, struct filter_value *v, struct err *e)
{
    str a, b;
    struct number low, high;
    if (!two_ends(v->text, &a, &b))
        return 0;
    if (ip_read(a, &v->ip_low) && ip_read(b, &v->ip_high)) {
        v->form = FORM_IP;
        return 0;
    }
    if (!number_read(a, &low) || !number_read(b, &high))
        return 0; /* a path with .. in it, or so: text */
    if (low.unit != high.unit)
        return err_at(e, v->column, "expected a range with the same unit at both ends, as 100ms..2s, got '%.*s'",
                      STR_ARG(str_head(v->text, 60)));
    v->form = FORM_RANGE;
    v->low = low;
    v->high = high;
    v->scale = number_scale(n->field, low.unit);
    return 0;
}

static int ready_human(struct filter *f, const struct filter_node *n, struct filter_value *v, struct err *e)
{
    if (v->quoted)
        return 0;
    if (has_star(v->text)) {
        pattern_glob(f, v);
        v->form = v->pattern.n ? FORM_GLOB : FORM_EXISTS;
    } else if (n->contains) {
        return 0;
    } else if (cidr_read(v->text, &v->ip_low, &v->ip_high)) {
        v->form = FORM_IP;
    } else if (ip_read(v->text, &v->ip_low)) {
        v->ip_high = v->ip_low;
        v->form = FORM_IP;
    } else {
        return ready_range(n, v, e);
    }
    return 0;
}

static int ready_value(struct filter *f, const struct lexer *l, const struct filter_node *n, struct filter_value *v,
                       size_t start, struct err *e)
{
    if (n->op == OP_RE || n->op == OP_NRE)
        return ready_regex(f, l, v, start, e);
    v->numeric = number_read(v->text, &v->low);
    if (v->numeric)
        v->scale = number_scale(n->field, v->low.unit);
    pattern_text(f, v);
    return n->op == OP_MATCH ? ready_human(f, n, v, e) : 0;
}

/* ---- the field `time` ---- */

/* How long what was written lasts: a day, a minute, a second, a millisecond … */
static nsec precision(str text, int digits)
{
    nsec span = NSEC_PER_SEC;
    bool date = text.n >= 10 && text.p[4] == '-';
    if (date && text.n == 10)
        return 86400 * NSEC_PER_SEC;
    if (date && (text.n < 17 || text.p[16] != ':'))
        return 60 * NSEC_PER_SEC;
    while (digits-- > 0)
        span /= 10;
    return span;
}

static bool time_span(str text, nsec *ret_first, nsec *ret_last)
{
    struct err ignored;
    int digits = 0;
    nsec t;
    if (time_read(text, &t, &digits, &ignored) < 0)
        return false;
    *ret_first = t;
    if (__builtin_add_overflow(t, precision(text, digits) - 1, ret_last))
        *ret_last = INT64_MAX;
    return true;
}

static int ready_time(const struct filter_node *n, struct filter_value *v, struct err *e)
{
    nsec first, last, ignored;
    str a, b;
    bool range = n->op == OP_MATCH && two_ends(v->text, &a, &b) && time_span(a, &first, &ignored) &&
                 time_span(b, &ignored, &last);
    if (!range && !time_span(v->text, &first, &last))
        return err_at(e, v->column, "field 'time': expected a time as 2026-01-02T03:04:05Z or epoch, got '%.*s'",
                      STR_ARG(str_head(v->text, 60)));
    v->form = FORM_TIME;
    v->t_low = n->op == OP_LT || n->op == OP_LE ? TIME_NONE + 1 : n->op == OP_GT ? first + 1 : first;
    v->t_high = n->op == OP_GT || n->op == OP_GE ? INT64_MAX
                : n->op == OP_LT                 ? first - 1
                : n->op == OP_MATCH              ? last
                                                 : first;
    return 0;
}

static int ready_times(struct filter_node *n, struct err *e)
{
    size_t times = 0;
    for (size_t i = 0; i < n->values_n; i++) {
        struct filter_value *v = &n->values[i];
        if (v->form == FORM_RE || v->form == FORM_GLOB || v->form == FORM_EXISTS)
            continue;
        if (ready_time(n, v, e) < 0)
            return -1;
        times++;
    }
    n->subject = times == n->values_n ? SUBJECT_TIME : SUBJECT_FIELD;
    return 0;
}

/* ---- the fields `level` and `severity_number` ---- */

static uint32_t bit(int severity) { return 1u << severity; }

static int level_of(str text)
{
    uint64_t number;
    if (str_u64(text, &number))
        return number >= 1 && number <= 24 ? (int)number : 0;
    return level_read(text);
}

/* Severities that are shown by the same name; for `:` the whole band of four when it is named by its first. */
static uint32_t level_bits(str text, int level, bool band)
{
    uint64_t ignored;
    uint32_t bits = bit(level);
    if (str_u64(text, &ignored))
        return bits;
    for (int s = 1; s <= 24; s++)
        if (str_eq(level_name(s), level_name(level)) || (band && level % 4 == 1 && s >= level && s < level + 4))
            bits |= bit(s);
    return bits;
}

static uint32_t levels_from(int low, int high)
{
    uint32_t bits = 0;
    for (int s = low; s <= high; s++)
        bits |= bit(s);
    return bits;
}

static int top_bit(uint32_t bits) { return 31 - __builtin_clz(bits); }

static uint32_t level_value_bits(enum filter_op op, str text, int level)
{
    switch (op) {
    case OP_GT: return levels_from(level + 1, 24);
    case OP_GE: return levels_from(level, 24);
    case OP_LT: return levels_from(1, level - 1);
    case OP_LE: return levels_from(1, level);
    default: return level_bits(text, level, op == OP_MATCH);
    }
}

/* One value is tried on all 24 severities, as text or as number. */
static uint32_t tried_bits(const struct filter_node *n, struct filter_value *v, bool as_number, struct arena *a)
{
    struct filter_node one = *n;
    uint32_t bits = 0;
    bool gave_up = false;
    one.values = v;
    one.values_n = 1;
    for (int s = 1; s <= 24; s++) {
        char digits[12];
        int len = snprintf(digits, sizeof digits, "%d", s);
        struct field f = {.raw = as_number ? str_n(digits, (size_t)len) : level_name(s),
                          .kind = as_number ? VALUE_NUMBER : VALUE_STRING};
        if (filter_field_match(&one, &f, a, &gave_up))
            bits |= bit(s);
    }
    return bits;
}

static int add_level_value(struct filter *f, struct filter_node *n, struct filter_value *v, struct err *e)
{
    bool as_number = str_eq(n->field, S("severity_number"));
    str a, b;
    if (as_number || v->form == FORM_RE || v->form == FORM_GLOB || v->form == FORM_EXISTS) {
        n->levels |= tried_bits(n, v, as_number, &f->a);
        return 0;
    }
    if (n->op == OP_MATCH && two_ends(v->text, &a, &b) && level_of(a) && level_of(b)) {
        n->levels |= levels_from(level_of(a), top_bit(level_bits(b, level_of(b), true)));
        return 0;
    }
    int level = level_of(v->text);
    if (!level)
        return err_at(e, v->column,
                      "field 'level': expected trace, debug, info, notice, warn, error, critical, alert, fatal "
                      "or 1-24, got '%.*s'",
                      STR_ARG(str_head(v->text, 60)));
    n->levels |= level_value_bits(n->op, v->text, level);
    return 0;
}

static int ready_levels(struct filter *f, struct filter_node *n, struct err *e)
{
    n->subject = SUBJECT_LEVEL;
    for (size_t i = 0; i < n->values_n; i++)
        if (add_level_value(f, n, &n->values[i], e) < 0)
            return -1;
    if (n->op == OP_NE || n->op == OP_NRE)
        n->levels ^= LEVELS_ALL | LEVEL_NONE;
    return 0;
}

int filter_compare_ready(struct filter *f, const struct lexer *l, struct filter_node *n, const size_t *starts,
                         struct err *e)
{
    n->contains = str_eq(n->field, S("message")) || str_eq(n->field, S("error.stack"));
    for (size_t i = 0; i < n->values_n; i++)
        if (ready_value(f, l, n, &n->values[i], starts[i], e) < 0)
            return -1;
    if (str_eq(n->field, S("level")) || str_eq(n->field, S("severity_number")))
        return ready_levels(f, n, e);
    if (str_eq(n->field, S("time")))
        return ready_times(n, e);
    return 0;
}

/* ---- hints ---- */

/* The longest part that stands in a stored line as it is, unless as a \u escape: no quote, backslash, slash (some
 * write \/) or control character in it. */
static str longest_run(str s)
{
    str best = {s.p, 0};
    for (size_t i = 0, start = 0; i <= s.n; i++) {
        if (i < s.n && (unsigned char)s.p[i] >= 0x20 && s.p[i] != '"' && s.p[i] != '\\' && s.p[i] != '/')
            continue;
        if (i - start > best.n)
            best = str_n(s.p + start, i - start);
        start = i + 1;
    }
    return best;
}

static str longest_piece(const struct pattern *p)
{
    str best = {NULL, 0};
    for (size_t i = 0; i < p->n; i++) {
        str run = longest_run(p->pieces[i].needle);
        if (run.n > best.n)
            best = run;
    }
    return best;
}

static str compare_hint(struct filter *f, const struct filter_node *n)
{
    const struct filter_value *v = n->values;
    bool equality = n->op == OP_MATCH || n->op == OP_EQ;
    if (n->subject != SUBJECT_FIELD || n->op == OP_NE || n->op == OP_NRE)
        return (str){NULL, 0};
    if (equality && n->values_n == 1 && (v->form == FORM_TEXT || v->form == FORM_GLOB) &&
        (!v->numeric || (n->contains && n->op == OP_MATCH))) {
        str run = longest_piece(&v->pattern);
        if (run.n >= 2)
            return run;
    }
    return longest_run(lower(&f->a, n->field));
}

static str node_hint(struct filter *f, const struct filter_node *n)
{
    str best = {NULL, 0};
    switch (n->kind) {
    case NODE_TEXT: return longest_piece(&n->values->pattern);
    case NODE_COMPARE: return compare_hint(f, n);
    case NODE_AND:
        for (size_t i = 0; i < n->n; i++) {
            str hint = node_hint(f, n->children[i]);
            if (hint.n > best.n)
                best = hint;
        }
        return best;
    default: return best;
    }
}

void filter_find_hint(struct filter *f) { finder_init(&f->hint, node_hint(f, f->root)); }

const struct finder *filter_hint(const struct filter *f) { return f->hint.needle.n ? &f->hint : NULL; }
