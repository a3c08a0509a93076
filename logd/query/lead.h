/* query/lead.h - the stages that lead a query, for those who count its events in their own way: every `where`, `fields`,
 * `parse` and `sort` (which does not matter to them) up to the first other one. Owner: one thread, beside its scan. */
#ifndef QUERY_LEAD_H
#define QUERY_LEAD_H

#include "query/scan.h"

struct lead {
    const struct query *q;
    size_t from, to; /* stages that lead_pass has to do; equal: none */
};
/* Gives the scan the `where` stages that see events as they are stored. `shaped`: fields that stages add are of interest,
 * not only which events match. */
void lead_init(struct lead *l, const struct query *q, struct scan *s, bool shaped);
/* Is the event at hand of the query? s->ev is changed by the stages. */
bool lead_pass(const struct lead *l, struct scan *s);

#endif
