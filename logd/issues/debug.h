/* issues/debug.h - `logd debug group`: how grouping decides, without a server. */
#ifndef ISSUES_DEBUG_H
#define ISSUES_DEBUG_H

#include "base/err.h"

/* One id a line to `out`, after all lines are read. */
int debug_group(const char *app, FILE *in, FILE *out, struct err *e) MUST_CHECK;
/* One trace a file; one id a line. */
int debug_group_errors(const char *app, char **files, size_t n, FILE *out, struct err *e) MUST_CHECK;

#endif
