/* rules/sigma.h - a rule of the Sigma project as one of ours.
 *
 * Pure. What cannot be said in our words is refused by name and place, never left out: a rule that looks at less than its
 * author meant fires wrongly, and one that looks at more is silent. */
#ifndef RULES_SIGMA_H
#define RULES_SIGMA_H

#include "base/buf.h"
#include "base/err.h"

/* Adds one item of a `rules:` list to `out`, which passes rules_parse. ERR_INPUT "FILE:LINE:COLUMN: why not"; `out` is
 * then as it was. */
int sigma_import(const char *file, str text, struct buf *out, struct err *e) MUST_CHECK;

#endif
