/* agent/run.h - `logd-agent run` and `logd-agent status`: the loop that follows, batches and sends, and the ledger.
 *
 * One thread: it looks at the files, fills a batch, remembers it on disk, sends it. While it waits for an answer it goes
 * on looking at the files, so that none that is rotated away is missed. Each goes on until SIGTERM or SIGINT; a batch
 * under way is then kept for the next start. */
#ifndef AGENT_RUN_H
#define AGENT_RUN_H

#include "base/err.h"

struct run_options {
    char **servers;
    size_t servers_n;
    const char *key;
    const char *state; /* a folder; made when it is not there */
    char **patterns;
    size_t patterns_n;
};
int run_agent(const struct run_options *o, struct err *e) MUST_CHECK;
int run_status(const char *state, struct err *e) MUST_CHECK; /* prints to stdout */

#endif
