#include "query/needs.h"

enum { NEEDS_MAX = 256 }; /* more is as good as all */

void needs_done(struct needs *n)
{
    arena_done(&n->a);
    *n = (struct needs){0};
}

static void add(struct needs *n, str field)
{
    if (!n->fields)
        n->fields = arena_alloc(&n->a, NEEDS_MAX * sizeof *n->fields);
    if (n->n == NEEDS_MAX)
        n->all = true;
    else
        n->fields[n->n++] = field;
}

static void add_filter(struct needs *n, const struct filter_node *node)
{
    n->all |= node->kind == NODE_TEXT || node->kind == NODE_TEXT_RE;
    if (node->kind == NODE_COMPARE && node->subject == SUBJECT_FIELD)
        add(n, node->field);
    for (size_t i = 0; i < node->n; i++)
        add_filter(n, node->children[i]);
}

void needs_stage(struct needs *n, const struct stage *st)
{
    n->all |= st->kind >= STAGE_PATTERNS; /* a fingerprint looks everywhere */
    if (st->where)
        add_filter(n, filter_root(st->where));
    if (st->kind == STAGE_PARSE)
        add(n, st->from);
    for (size_t i = 0; i < st->fields_n; i++)
        add(n, st->fields[i]);
    for (size_t i = 0; i < st->aggregates_n; i++) {
        if (st->aggregates[i].field.p)
            add(n, st->aggregates[i].field);
        if (st->aggregates[i].only)
            add_filter(n, filter_root(st->aggregates[i].only));
    }
}
