/* stats/debug.h - `logd debug sketch`: what a sketch makes of hashes, without a server. */
#ifndef STATS_DEBUG_H
#define STATS_DEBUG_H

#include "base/err.h"

/* 64-bit hashes in hex, one a line, of which empty ones are passed over. One JSON object to `out`. */
int debug_sketch(int p, FILE *in, FILE *out, struct err *e) MUST_CHECK;

#endif
