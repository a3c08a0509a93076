/* agent/run.h - the commands of logd-agent: the loop that follows, batches and sends; the ledger; a trial of a file.
 *
 * One thread: it looks at the files, fills a batch, remembers it on disk, sends it. While it waits for an answer it goes
 * on looking at the files, so that none that is rotated away is missed. Each goes on until SIGTERM or SIGINT; a batch
 * under way is then kept for the next start. */
#ifndef AGENT_RUN_H
#define AGENT_RUN_H

#include "agent/config.h"

/* `c` has servers, a key, a state folder and sources. */
int run_agent(struct agent_config *c, struct err *e) MUST_CHECK;
int run_status(const char *state, struct err *e) MUST_CHECK; /* prints to stdout */
/* Prints what each line of the file would become, by the first source of `c` that names it. */
int run_test(const struct agent_config *c, const char *file, struct err *e) MUST_CHECK;

#endif
