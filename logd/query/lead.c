#include "query/lead.h"

#include "query/shape.h"

void lead_init(struct lead *l, const struct query *q, struct scan *s, bool shaped)
{
    size_t i = 0, first = SIZE_MAX;
    bool later = shaped; /* does a `where` see what was changed? */
    for (; i < q->stages_n; i++) {
        const struct stage *st = &q->stages[i];
        if (stage_shapes(st))
            first = first < i ? first : i;
        else if (st->kind == STAGE_WHERE && first == SIZE_MAX)
            scan_filter(s, st->where);
        else if (st->kind == STAGE_WHERE)
            later = true;
        else if (st->kind != STAGE_SORT)
            break;
    }
    *l = (struct lead){.q = q, .from = later && first < i ? first : i, .to = i};
}

bool lead_pass(const struct lead *l, struct scan *s)
{
    if (l->from == l->to)
        return true;
    if (!scan_event(s))
        return false;
    for (size_t i = l->from; i < l->to; i++) {
        const struct stage *st = &l->q->stages[i];
        if (stage_shapes(st))
            shape(st, &s->ev, &s->a);
        else if (st->kind == STAGE_WHERE && !filter_match(st->where, &s->ev, &s->a))
            return false;
    }
    return true;
}
