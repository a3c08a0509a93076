/* query/parse-stage.c - one stage. `count`, `top`, `patterns` and `issues` are `stats` with aggregates that are known. */
#include "base/limits.h"
#include "query/plan.h"

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

/* Names of columns must be told apart. */
static int check_columns(struct parser *p, const struct stage *st)
{
    for (size_t i = 0; i < st->aggregates_n; i++) {
        str name = st->aggregates[i].name;
        bool twice = has_field(st, name) || (st->every && str_eq(name, S("time")));
        for (size_t k = 0; k < i; k++)
            twice |= str_eq(name, st->aggregates[k].name);
        if (twice)
            return err_at(p->e, st->column, "stage '%s' would give two columns named '%.*s'", st->name,
                          STR_ARG(str_head(name, 60)));
    }
    if (st->every && has_field(st, S("time")))
        return err_at(p->e, st->column, "stage '%s' would give two columns named 'time'", st->name);
    return 0;
}

/* [ "by" fields ] [ "every" duration ] */
static int parse_by(struct parser *p, struct stage *st)
{
    if (lex_keyword(p->l, "by") && parse_fields(p, st, false) < 0)
        return -1;
    if (lex_keyword(p->l, "every") && parse_every(p, st) < 0)
        return -1;
    return check_columns(p, st);
}

static void set_aggregates(struct parser *p, struct stage *st, const struct aggregate *of, size_t n)
{
    st->aggregates = arena_alloc(&p->q->a, n * sizeof *of);
    memcpy(st->aggregates, of, n * sizeof *of);
    st->aggregates_n = n;
}

static void set_fields(struct parser *p, struct stage *st, const str *of, size_t n)
{
    st->fields = arena_alloc(&p->q->a, n * sizeof *of);
    memcpy(st->fields, of, n * sizeof *of);
    st->fields_n = n;
}

static const struct aggregate count_all = {.fn = FN_COUNT, .name = S("count")};

static int parse_count(struct parser *p, struct stage *st)
{
    set_aggregates(p, st, &count_all, 1);
    return parse_by(p, st);
}

static int parse_top(struct parser *p, struct stage *st)
{
    set_aggregates(p, st, &count_all, 1);
    if (parse_number(p, "a number after 'top'", &st->limit) < 0 || parse_fields(p, st, false) < 0)
        return -1;
    return check_columns(p, st);
}

static int parse_patterns(struct parser *p, struct stage *st)
{
    static const str by[] = {S("pattern"), S("app"), S("template")};
    static const struct aggregate what[] = {{.fn = FN_COUNT, .name = S("count")},
                                            {.fn = FN_MIN, .field = S("time"), .name = S("first_seen")},
                                            {.fn = FN_MAX, .field = S("time"), .name = S("last_seen")},
                                            {.fn = FN_LAST, .field = S("example"), .name = S("example")}};
    set_fields(p, st, by, LENGTH(by));
    set_aggregates(p, st, what, LENGTH(what));
    return 0;
}

static int parse_issues(struct parser *p, struct stage *st)
{
    static const str by[] = {S("issue"), S("app")};
    static const struct aggregate what[] = {{.fn = FN_COUNT, .name = S("count")},
                                            {.fn = FN_MIN, .field = S("time"), .name = S("first_seen")},
                                            {.fn = FN_MAX, .field = S("time"), .name = S("last_seen")},
                                            {.fn = FN_LAST, .field = S("title"), .name = S("title")}};
    set_fields(p, st, by, LENGTH(by));
    set_aggregates(p, st, what, LENGTH(what));
    return 0;
}

/* ---- stats ---- */

static const struct {
    const char *name;
    enum aggregate_fn fn;
    double quantile;
} functions[] = {{"count", FN_COUNT, 0},     {"uniq", FN_UNIQ, 0},      {"sum", FN_SUM, 0},
                 {"avg", FN_AVG, 0},         {"min", FN_MIN, 0},        {"max", FN_MAX, 0},
                 {"p50", FN_QUANTILE, 0.5},  {"p90", FN_QUANTILE, 0.9}, {"p95", FN_QUANTILE, 0.95},
                 {"p99", FN_QUANTILE, 0.99}, {"rate", FN_RATE, 0},      {"first", FN_FIRST, 0},
                 {"last", FN_LAST, 0}};

/* fn "(" [ field ] ")" */
static int parse_function(struct parser *p, struct aggregate *g)
{
    size_t start = p->l->at, i = 0;
    str name = lex_field_here(p->l);
    while (i < LENGTH(functions) && !str_eq(name, str_of(functions[i].name)))
        i++;
    if (i == LENGTH(functions))
        return lex_expected(p->l, start, p->e,
                            "count, uniq, sum, avg, min, max, p50, p90, p95, p99, rate, first or last");
    g->fn = functions[i].fn;
    g->quantile = functions[i].quantile;
    if (!lex_take(p->l, '('))
        return lex_expected(p->l, p->l->at, p->e, "'(' after '%.*s'", STR_ARG(name));
    bool bare = (g->fn == FN_COUNT || g->fn == FN_RATE) && lex_peek(p->l) == ')';
    if (!bare && lex_field(p->l, &g->field, p->e) < 0)
        return -1;
    if (!lex_take(p->l, ')'))
        return lex_expected(p->l, p->l->at, p->e, "')'");
    g->field = g->field.p ? arena_str(&p->q->a, g->field) : g->field;
    return 0;
}

/* function [ "if" term ] [ "as" field ]; without `as` the column is named as it is written. */
static int parse_aggregate(struct parser *p, struct aggregate *g)
{
    size_t start = (lex_blanks(p->l), p->l->at);
    if (parse_function(p, g) < 0)
        return -1;
    if (lex_keyword(p->l, "if")) {
        p->l->commas = true;
        int rc = filter_parse_term(p->l, &g->only, p->e);
        p->l->commas = false;
        if (rc < 0)
            return -1;
    }
    g->name = str_trim(str_n(p->l->text.p + start, p->l->at - start));
    if (lex_keyword(p->l, "as") && lex_field(p->l, &g->name, p->e) < 0)
        return -1;
    g->name = arena_str(&p->q->a, g->name);
    return 0;
}

static int parse_stats(struct parser *p, struct stage *st)
{
    st->aggregates = arena_zero(&p->q->a, QUERY_FIELDS_MAX * sizeof *st->aggregates);
    do {
        size_t start = (lex_blanks(p->l), p->l->at);
        if (st->aggregates_n == QUERY_FIELDS_MAX)
            return err_at(p->e, lexer_column(p->l, start), "expected at most %d functions in a stage",
                          QUERY_FIELDS_MAX);
        if (parse_aggregate(p, &st->aggregates[st->aggregates_n++]) < 0)
            return -1;
    } while (lex_take(p->l, ','));
    return parse_by(p, st);
}

/* ---- parse ---- */

/* What stands between < and > at s: a name, _ or *. Absent: an ordinary <. */
static str capture_at(str s)
{
    ptrdiff_t end = s.n && s.p[0] == '<' ? str_chr(s, '>') : -1;
    str name = end > 1 ? str_n(s.p + 1, (size_t)end - 1) : (str){NULL, 0};
    return str_eq(name, S("*")) || lex_is_field_name(name) ? name : (str){NULL, 0};
}

/* "<ip> - <_> [<when>] <rest>" */
static int parse_pattern(struct parser *p, struct stage *st)
{
    size_t start = p->l->at, i = 0, names = 0;
    str text;
    if (lex_string(p->l, &p->q->a, &text, p->e) < 0)
        return -1;
    st->form = PARSE_PATTERN;
    st->captures = arena_zero(&p->q->a, (text.n / 3 + 1) * sizeof *st->captures);
    for (size_t from = 0; i <= text.n; i++) {
        str name = capture_at(str_skip(text, i));
        if (!name.p && i < text.n)
            continue;
        struct capture *c = &st->captures[st->captures_n];
        *c = (struct capture){.before = str_n(text.p + from, i - from), .takes = name.p};
        if (name.p && st->captures_n && c->before.n == 0)
            return err_at(p->e, lexer_column(p->l, lex_string_offset(p->l, start, i)),
                          "expected text between two captures of a pattern");
        if (name.p && !str_eq(name, S("_")) && !str_eq(name, S("*")))
            c->name = name, names++;
        st->captures_n += c->takes || c->before.n;
        i += name.p ? name.n + 1 : 0;
        from = i + 1;
    }
    if (!names)
        return err_at(p->e, lexer_column(p->l, start),
                      "expected at least one <name> in a pattern, as in \"<ip> - <rest>\"");
    return 0;
}

static int parse_parse(struct parser *p, struct stage *st)
{
    st->from = S("message");
    if (lex_peek(p->l) == '"') {
        if (parse_pattern(p, st) < 0)
            return -1;
    } else if (lex_keyword(p->l, "json")) {
        st->form = PARSE_JSON;
    } else if (lex_keyword(p->l, "logfmt")) {
        st->form = PARSE_LOGFMT;
    } else {
        return lex_expected(p->l, p->l->at, p->e, "json, logfmt or a pattern in double quotes after 'parse'");
    }
    if (lex_keyword(p->l, "from") && lex_field(p->l, &st->from, p->e) < 0)
        return -1;
    st->from = arena_str(&p->q->a, st->from);
    return 0;
}

/* ---- the others ---- */

static int parse_where(struct parser *p, struct stage *st)
{
    int c = lex_peek(p->l);
    if (c < 0 || c == '|')
        return lex_expected(p->l, p->l->at, p->e, "a filter after 'where'");
    return filter_parse_at(p->l, &st->where, p->e);
}

static int parse_limit(struct parser *p, struct stage *st)
{
    return parse_number(p, "a number after 'limit'", &st->limit);
}

static int parse_context(struct parser *p, struct stage *st)
{
    size_t start = (lex_blanks(p->l), p->l->at);
    if (parse_number(p, "a number after 'context'", &st->limit) < 0)
        return -1;
    return st->limit <= LIMIT_CONTEXT
               ? 0
               : lex_expected(p->l, start, p->e, "at most %u events on each side after 'context'", LIMIT_CONTEXT);
}
static int parse_sort(struct parser *p, struct stage *st) { return parse_fields(p, st, true); }
static int parse_only(struct parser *p, struct stage *st) { return parse_fields(p, st, false); }

static const struct {
    const char *name;
    enum stage_kind kind;
    int (*parse)(struct parser *p, struct stage *st);
} known[] = {
    {"where", STAGE_WHERE, parse_where},       {"count", STAGE_COUNT, parse_count},
    {"stats", STAGE_STATS, parse_stats},       {"top", STAGE_TOP, parse_top},
    {"sort", STAGE_SORT, parse_sort},          {"limit", STAGE_LIMIT, parse_limit},
    {"fields", STAGE_FIELDS, parse_only},      {"parse", STAGE_PARSE, parse_parse},
    {"context", STAGE_CONTEXT, parse_context}, {"patterns", STAGE_PATTERNS, parse_patterns},
    {"issues", STAGE_ISSUES, parse_issues},
};

int parse_stage(struct parser *p, struct stage *ret)
{
    size_t start = (lex_blanks(p->l), p->l->at);
    for (size_t i = 0; i < LENGTH(known); i++) {
        if (!lex_keyword(p->l, known[i].name))
            continue;
        *ret = (struct stage){.kind = known[i].kind, .name = known[i].name, .column = lexer_column(p->l, start)};
        return known[i].parse(p, ret);
    }
    return lex_expected(p->l, start, p->e,
                        "a stage after '|' (where, count, stats, top, sort, limit, fields, parse, context, patterns, "
                        "issues; text with a | in it goes in double quotes)");
}
