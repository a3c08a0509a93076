/* query/parse.c - FILTER | STAGE | STAGE …; the letters are event/lex.h's, the filter event/filter.h's. */
#include "base/str.h"
#include "query/plan.h"

static int fields(struct lexer *l, struct query *q, struct stage *s, bool signs, struct err *e)
{
    do {
        if (s->n == QUERY_FIELDS)
            return err_at(e, lexer_column(l, l->at), "expected at most %d fields", QUERY_FIELDS);
        s->descending[s->n] = signs && lex_take(l, '-');
        str name;
        if (lex_field(l, &name, e) < 0)
            return -1;
        s->fields[s->n++] = arena_str(&q->a, name);
    } while (lex_take(l, ','));
    return 0;
}

static int duration(struct lexer *l, usec *ret, struct err *e)
{
    lex_blanks(l);
    size_t at = l->at;
    str word = lex_word(l, true);
    if (!str_duration(word, ret) || *ret < USEC_PER_SEC || *ret % USEC_PER_SEC)
        return lex_expected(l, at, e, "a duration of whole seconds like 5m");
    return 0;
}

static int count(struct lexer *l, struct query *q, struct stage *s, struct err *e)
{
    if (lex_keyword(l, "by") && fields(l, q, s, false, e) < 0)
        return -1;
    return lex_keyword(l, "every") ? duration(l, &s->every, e) : 0;
}

static int limit(struct lexer *l, struct stage *s, struct err *e)
{
    lex_blanks(l);
    size_t at = l->at;
    uint64_t n;
    if (!str_u64(lex_word(l, true), &n) || n < 1 || n > UINT32_MAX)
        return lex_expected(l, at, e, "a number of rows");
    s->limit = (uint32_t)n;
    return 0;
}

static int stage(struct lexer *l, struct query *q, struct err *e)
{
    static const char *const later[] = {"stats", "top", "parse", "context", "patterns", "issues"};
    lex_blanks(l);
    size_t at = l->at;
    if (q->n == QUERY_STAGES)
        return err_at(e, lexer_column(l, at), "expected at most %d stages", QUERY_STAGES);
    struct stage *s = &q->stages[q->n++];
    *s = (struct stage){0};
    if (lex_keyword(l, "where")) {
        s->kind = STAGE_WHERE;
        return filter_parse_at(l, &s->filter, e);
    }
    if (lex_keyword(l, "count")) {
        s->kind = STAGE_COUNT;
        return count(l, q, s, e);
    }
    if (lex_keyword(l, "sort")) {
        s->kind = STAGE_SORT;
        return fields(l, q, s, true, e);
    }
    if (lex_keyword(l, "limit")) {
        s->kind = STAGE_LIMIT;
        return limit(l, s, e);
    }
    if (lex_keyword(l, "fields")) {
        s->kind = STAGE_FIELDS;
        return fields(l, q, s, false, e);
    }
    for (size_t i = 0; i < LENGTH(later); i++)
        if (lex_keyword(l, later[i]))
            return err_at(e, lexer_column(l, at),
                          "stage '%s' is not there yet: where, count, sort, limit and fields are", later[i]);
    return lex_expected(l, at, e, "a stage (where, count, sort, limit, fields)");
}

int query_parse(str text, struct query **ret, struct err *e)
{
    struct query *q = xcalloc(1, sizeof *q);
    struct lexer l;
    if (!text.p)
        text = S("");
    int rc = lexer_init(&l, text, e);
    if (rc == 0)
        rc = filter_parse_at(&l, &q->filter, e);
    while (rc == 0 && lex_take(&l, '|'))
        rc = stage(&l, q, e);
    if (rc == 0 && lex_peek(&l) >= 0)
        rc = lex_expected(&l, l.at, e, "'|' or the end");
    if (rc < 0)
        query_free(q);
    else
        *ret = q;
    return rc;
}

void query_free(struct query *q)
{
    if (!q)
        return;
    filter_free(q->filter);
    for (size_t i = 0; i < q->n; i++)
        filter_free(q->stages[i].filter);
    arena_done(&q->a);
    free(q);
}
