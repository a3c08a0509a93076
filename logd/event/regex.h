/* event/regex.h - regular expressions that cannot run away: the syntax of RE2, matched by PCRE2.
 *
 * What RE2 does not know is refused with its place: backreferences, lookaround, atomic groups, possessive repeats,
 * recursion, verbs. So the same text means the same in ClickHouse's match(). PCRE2 still backtracks, therefore each
 * match has a step and a heap limit; a match that reaches one counts as none and is told by `gave_up`.
 *
 * Owner   a compiled regex is immutable and used by many threads. Matching allocates from the caller's arena only. */
#ifndef EVENT_REGEX_H
#define EVENT_REGEX_H

#include "base/arena.h"
#include "base/err.h"

struct regex;
/* ERR_INPUT; *ret_at is the byte of the pattern that is wrong. */
int regex_compile(str pattern, struct regex **ret, size_t *ret_at, struct err *e) MUST_CHECK;
void regex_free(struct regex *r); /* NULL is fine */
/* Is there a match somewhere in `text`? Sets *gave_up when a limit came first, else leaves it. */
bool regex_match(const struct regex *r, str text, struct arena *a, bool *gave_up);
/* The same, and what its groups hold: ret[i] of the i-th, from 1, absent when it has no part in the match. */
bool regex_groups(const struct regex *r, str text, str *ret, size_t n, struct arena *a, bool *gave_up);
/* The number of its groups, and the name of the i-th, from 1; NULL: it has none. Valid as long as the regex. */
size_t regex_count(const struct regex *r);
const char *regex_name(const struct regex *r, size_t i);

#endif
