/* query/parse.c - a filter, then stages with a '|' before each. */
#include "query/plan.h"

static bool at_stage_end(struct lexer *l)
{
    int c = lex_peek(l);
    return c < 0 || c == '|';
}

static int next_stage(struct parser *p)
{
    size_t start = (lex_blanks(p->l), p->l->at);
    if (p->q->stages_n == QUERY_STAGES_MAX)
        return err_at(p->e, lexer_column(p->l, start), "expected at most %d stages", QUERY_STAGES_MAX);
    struct stage *st = &p->q->stages[p->q->stages_n++];
    if (parse_stage(p, st) < 0)
        return -1;
    if (!at_stage_end(p->l))
        return lex_expected(p->l, p->l->at, p->e, "'|' or the end of the query after stage '%s'", st->name);
    return 0;
}

static int parse(struct parser *p)
{
    if (filter_parse_at(p->l, &p->q->filter, p->e) < 0)
        return -1;
    if (!at_stage_end(p->l))
        return lex_expected(p->l, p->l->at, p->e, "'|' or the end of the query");
    while (lex_take(p->l, '|'))
        if (next_stage(p) < 0)
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
    for (size_t i = 0; i < q->stages_n; i++) {
        filter_free(q->stages[i].where);
        for (size_t k = 0; k < q->stages[i].aggregates_n; k++)
            filter_free(q->stages[i].aggregates[k].only);
    }
    filter_free(q->filter);
    arena_done(&q->a);
    free(q);
}
