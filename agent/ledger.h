/* agent/ledger.h - what was read, sent, taken and lost, told to a logd and on the command line (run_status).
 *
 * Owner   the thread that owns the follow. */
#ifndef AGENT_LEDGER_H
#define AGENT_LEDGER_H

#include "agent/state.h"

/* The body of POST /v1/agents; files beyond 60 KiB of it, and those that are gone, are one row. */
void ledger_put(const struct follow *fo, const struct pending *p, struct buf *b);
/* The same as a table for people. */
void ledger_print(const struct follow *fo, const struct pending *p, struct buf *b);
uint64_t ledger_lag(const struct follow *fo); /* bytes that no server has yet */

#endif
