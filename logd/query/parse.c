/* query/parse.c - a filter, then stages with a '|' before each. */
#include "query/plan.h"

struct parser {
    struct lexer *l;
    struct query *q;
    struct err *e;
};

static bool at_stage_end(struct lexer *l)
{
    int c = lex_peek(l);
    return c < 0 || c == '|';
}

static int parse_number(struct parser *p, const char *what, uint64_t *ret)
{
    size_t start = (lex_blanks(p->l), p->l->at);
    str word = lex_word(p->l, true);
    return str_u64(word, ret) ? 0 : lex_expected(p->l, start, p->e, "%s", what);
}

static bool has_field(const struct stage *st, str name)
{
    for (size_t i = 0; i < st->fields_n; i++)
        if (str_eq(st->fields[i], name))
            return true;
    return false;
}

/* "a, b, -c" */
static int parse_fields(struct parser *p, struct stage *st, bool signs)
{
    st->fields = arena_alloc(&p->q->a, QUERY_FIELDS_MAX * sizeof *st->fields);
    st->descending = arena_zero(&p->q->a, QUERY_FIELDS_MAX * sizeof *st->descending);
    do {
        str name;
        bool minus = signs && lex_take(p->l, '-');
        size_t start = (lex_blanks(p->l), p->l->at);
        if (st->fields_n == QUERY_FIELDS_MAX)
            return err_at(p->e, lexer_column(p->l, start), "expected at most %d fields in a stage", QUERY_FIELDS_MAX);
        if (lex_field(p->l, &name, p->e) < 0)
            return -1;
        if (has_field(st, name))
            return err_at(p->e, lexer_column(p->l, start), "field '%.*s' stands twice in stage '%s'",
                          STR_ARG(str_head(name, 60)), st->name);
        st->descending[st->fields_n] = minus;
        st->fields[st->fields_n++] = arena_str(&p->q->a, name);
    } while (lex_take(p->l, ','));
    return 0;
}

static int parse_every(struct parser *p, struct stage *st)
{
    size_t start = (lex_blanks(p->l), p->l->at);
    str word = lex_word(p->l, false);
    usec every;
    if (!str_duration(word, &every) || every < USEC_PER_SEC || every % USEC_PER_SEC != 0)
        return lex_expected(p->l, start, p->e, "a duration of whole seconds after 'every', as 30s, 5m, 1h or 1d");
    if (every > 36500LL * 86400 * USEC_PER_SEC)
        return lex_expected(p->l, start, p->e, "at most 36500d after 'every'");
    st->every = every;
    return 0;
}

/* [ "by" fields ] [ "every" duration ] */
static int parse_by(struct parser *p, struct stage *st)
{
    if (lex_keyword(p->l, "by") && parse_fields(p, st, false) < 0)
        return -1;
    return lex_keyword(p->l, "every") ? parse_every(p, st) : 0;
}

static int parse_count(struct parser *p, struct stage *st)
{
    if (parse_by(p, st) < 0)
        return -1;
    if (has_field(st, S("count")) || (st->every && has_field(st, S("time"))))
        return err_at(p->e, st->column, "stage 'count' would give two columns named '%s'",
                      has_field(st, S("count")) ? "count" : "time");
    return 0;
}

/* fn "(" [ field ] ")" [ "if" term ] [ "as" field ] */
static int parse_aggregate(struct parser *p)
{
    static const char *const names[] = {"count", "uniq", "sum", "avg",  "min",   "max", "p50",
                                        "p90",   "p95",  "p99", "rate", "first", "last"};
    size_t start = (lex_blanks(p->l), p->l->at);
    str ignored, name = lex_field_here(p->l);
    struct filter *term;
    bool known = false;
    for (size_t i = 0; i < LENGTH(names); i++)
        known |= str_eq(name, str_of(names[i]));
    if (!known)
        return lex_expected(p->l, start, p->e,
                            "count, uniq, sum, avg, min, max, p50, p90, p95, p99, rate, first or last");
    if (!lex_take(p->l, '('))
        return lex_expected(p->l, p->l->at, p->e, "'(' after '%.*s'", STR_ARG(name));
    bool bare = str_eq(name, S("count")) || str_eq(name, S("rate"));
    if (!(bare && lex_peek(p->l) == ')') && lex_field(p->l, &ignored, p->e) < 0)
        return -1;
    if (!lex_take(p->l, ')'))
        return lex_expected(p->l, p->l->at, p->e, "')'");
    if (lex_keyword(p->l, "if")) {
        p->l->commas = true;
        int rc = filter_parse_term(p->l, &term, p->e);
        p->l->commas = false;
        if (rc < 0)
            return -1;
        filter_free(term);
    }
    return lex_keyword(p->l, "as") ? lex_field(p->l, &ignored, p->e) : 0;
}

static int parse_stats(struct parser *p, struct stage *st)
{
    do {
        if (parse_aggregate(p) < 0)
            return -1;
    } while (lex_take(p->l, ','));
    return parse_by(p, st);
}

static int parse_parse(struct parser *p, struct stage *st)
{
    str ignored;
    (void)st;
    if (lex_peek(p->l) == '"') {
        if (lex_string(p->l, &p->q->a, &ignored, p->e) < 0)
            return -1;
    } else if (!lex_keyword(p->l, "json") && !lex_keyword(p->l, "logfmt")) {
        return lex_expected(p->l, p->l->at, p->e, "json, logfmt or a pattern in double quotes after 'parse'");
    }
    return lex_keyword(p->l, "from") ? lex_field(p->l, &ignored, p->e) : 0;
}

static int parse_where(struct parser *p, struct stage *st)
{
    if (at_stage_end(p->l))
        return lex_expected(p->l, p->l->at, p->e, "a filter after 'where'");
    return filter_parse_at(p->l, &st->where, p->e);
}

static int parse_top(struct parser *p, struct stage *st)
{
    return parse_number(p, "a number after 'top'", &st->limit) < 0 ? -1 : parse_fields(p, st, false);
}

static int parse_limit(struct parser *p, struct stage *st)
{
    return parse_number(p, "a number after 'limit'", &st->limit);
}
static int parse_context(struct parser *p, struct stage *st)
{
    return parse_number(p, "a number after 'context'", &st->limit);
}
static int parse_sort(struct parser *p, struct stage *st) { return parse_fields(p, st, true); }
static int parse_only(struct parser *p, struct stage *st) { return parse_fields(p, st, false); }
static int parse_nothing(struct parser *p, struct stage *st) { return (void)p, (void)st, 0; }

static const struct {
    const char *name;
    enum stage_kind kind;
    int (*parse)(struct parser *p, struct stage *st);
} known[] = {
    {"where", STAGE_WHERE, parse_where},
    {"count", STAGE_COUNT, parse_count},
    {"sort", STAGE_SORT, parse_sort},
    {"limit", STAGE_LIMIT, parse_limit},
    {"fields", STAGE_FIELDS, parse_only},
    {"stats", STAGE_STATS, parse_stats},
    {"top", STAGE_TOP, parse_top},
    {"parse", STAGE_PARSE, parse_parse},
    {"context", STAGE_CONTEXT, parse_context},
    {"patterns", STAGE_PATTERNS, parse_nothing},
    {"issues", STAGE_ISSUES, parse_nothing},
};

static int parse_stage(struct parser *p)
{
    size_t start = (lex_blanks(p->l), p->l->at);
    if (p->q->stages_n == QUERY_STAGES_MAX)
        return err_at(p->e, lexer_column(p->l, start), "expected at most %d stages", QUERY_STAGES_MAX);
    struct stage *st = &p->q->stages[p->q->stages_n];
    for (size_t i = 0; i < LENGTH(known); i++) {
        if (!lex_keyword(p->l, known[i].name))
            continue;
        *st = (struct stage){.kind = known[i].kind, .name = known[i].name, .column = lexer_column(p->l, start)};
        p->q->stages_n++;
        if (known[i].parse(p, st) < 0)
            return -1;
        if (!at_stage_end(p->l))
            return lex_expected(p->l, p->l->at, p->e, "'|' or the end of the query after stage '%s'", st->name);
        return 0;
    }
    return lex_expected(
        p->l, start, p->e,
        "a stage after '|' (where, count, sort, limit, fields; text with a | in it goes in double quotes)");
}

static int parse(struct parser *p)
{
    if (filter_parse_at(p->l, &p->q->filter, p->e) < 0)
        return -1;
    if (!at_stage_end(p->l))
        return lex_expected(p->l, p->l->at, p->e, "'|' or the end of the query");
    while (lex_take(p->l, '|'))
        if (parse_stage(p) < 0)
            return -1;
    return 0;
}

int query_parse(str text, struct query **ret, struct err *e)
{
    struct lexer l;
    if (lexer_init(&l, text, e) < 0)
        return -1;
    struct query *q = xcalloc(1, sizeof *q);
    q->stages = arena_zero(&q->a, QUERY_STAGES_MAX * sizeof *q->stages);
    if (parse(&(struct parser){&l, q, e}) < 0) {
        query_free(q);
        return -1;
    }
    *ret = q;
    return 0;
}

void query_free(struct query *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->stages_n; i++)
        filter_free(q->stages[i].where);
    filter_free(q->filter);
    arena_done(&q->a);
    free(q);
}
