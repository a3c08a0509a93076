/* agent/inputs.h - what is no file: host metrics, standard input, a syslog socket, commands. Each has a thread that writes
 * what comes into a spool (spool.h), which is followed like any file.
 *
 * Owner   the main thread starts them; they end with the process, and take no signals. */
#ifndef AGENT_INPUTS_H
#define AGENT_INPUTS_H

#include "agent/config.h"

/* Opens the spools and adds a source to `c`, which outlives them, for each. Once in a process. */
int inputs_open(struct agent_config *c, struct err *e) MUST_CHECK;
int inputs_start(struct err *e) MUST_CHECK;
/* Lines that the input with that spool lost since this was asked last. */
uint64_t inputs_lost(const char *spool);
/* Standard input was all there is, and it ended. */
bool inputs_ended(void);

#endif
