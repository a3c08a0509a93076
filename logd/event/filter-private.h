/* event/filter-private.h - the inside of a filter, shared by filter*.c. Nobody else includes this. */
#ifndef EVENT_FILTER_PRIVATE_H
#define EVENT_FILTER_PRIVATE_H

#include "base/limits.h"
#include "base/str.h"
#include "event/filter.h"

#include <stdatomic.h>

struct filter {
    struct arena a; /* the tree and all its texts */
    struct filter_node *root;
    struct finder hint; /* empty needle: none */
    struct regex **regexes;
    size_t regexes_n, regexes_cap;
    _Atomic uint64_t *gave_up; /* behind a pointer: a filter is const to those who match */
};
enum { LEVELS_ALL = 0x1fffffe, LEVEL_NONE = 1 }; /* bits 1 to 24; bit 0: there is no level */

/* Makes the values of a COMPARE node mean something; fills subject, contains, levels. `starts`: the byte of the query
 * where each value stands. */
int filter_compare_ready(struct filter *f, const struct lexer *l, struct filter_node *n, const size_t *starts,
                         struct err *e) MUST_CHECK;
/* One value of TEXT or TEXT_RE. */
int filter_text_ready(struct filter *f, const struct lexer *l, struct filter_node *n, size_t start,
                      struct err *e) MUST_CHECK;
void filter_find_hint(struct filter *f);

#endif
