/* agent/thin.h - making room in a spool: what says least goes first.
 *
 * When a spool holds more than it may, or the disk has little left, its full files that nobody has begun to read are gone
 * through, the oldest first: events below info are taken out of all of them, then those below warn, then those below error,
 * then whole files go. What goes is counted as dropped, and said. A file is replaced as a whole (written beside it, synced, renamed);
 * its first KiB stays, so that the new one is known for the old one when a kill comes between that and the next state.
 *
 * Owner   the thread of the follow. Time: at most one file a call, some tenths of a second. */
#ifndef AGENT_THIN_H
#define AGENT_THIN_H

#include "agent/follow.h"

/* `s` is a spool of at most `limit` bytes. True: something was done, and more may be to do. */
bool thin_spool(struct follow *fo, struct source *s, uint64_t limit);

#endif
