/* intake/debug.h - `logd debug parse`: what would be stored.
 *
 * Reads events as POST /v1/events takes them and prints one JSON object a line, in their order: the event as it would
 * be stored, or {"error","pointer"}. No server, no data folder. Returns the exit status. */
#ifndef INTAKE_DEBUG_H
#define INTAKE_DEBUG_H

#include "base/base.h"

int debug_parse(FILE *in, FILE *out);

#endif
