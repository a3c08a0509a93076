/* agent/spool.h - what cannot be read again, kept on disk until a server has it.
 *
 * Lines go to NAME.log in the folder `spool` of the state folder, which the agent follows as it follows any file: so that
 * they too arrive once, through kills and lost answers. A file that reached SPOOL_FILE_BYTES is renamed to NAME.log.NUMBER; it is
 * removed when all of it was taken, or, oldest first, when there is more than the spool may hold; that is said.
 *
 * Owner   one thread per spool. What is written survives a kill; the last seconds before a power cut may be lost. */
#ifndef AGENT_SPOOL_H
#define AGENT_SPOOL_H

#include "base/err.h"
#include "base/str.h"

/* Each file starts with a line of its own, after this, so that no two begin alike; it is no event. It ends with the place
 * that was reached before it. */
#define SPOOL_MARK "\001logd-agent spool "
#define SPOOL_FILE_BYTES (8u << 20)
#define SPOOL_BYTES (256u << 20)

/* A line of which it is known where it came from: \003 LINE \003 PLACE \003. One that was cut off by a kill lacks the end. */
#define SPOOL_PLACED "\003"
/* Ends a line that the disk did not take whole; it is no event. */
#define SPOOL_TORN "\001"
/* What is a line of a spool, as it was added; absent: it is none. */
str spool_line(str line);

struct spool;
/* `state` is the state folder. The file goes on where it ended. */
int spool_open(const char *state, const char *name, struct spool **ret, struct err *e) MUST_CHECK;
void spool_close(struct spool *s); /* NULL is fine */
/* One line or several, without the newline at their end. A disk that takes none loses them, which is counted and said. */
void spool_add(struct spool *s, str lines);
/* One line, and where it came from; without newlines, \003 and blanks in the place. False: the disk takes none now, it is
 * not lost. */
bool spool_add_placed(struct spool *s, str line, str place) MUST_CHECK;
/* Of the last whole line that was added, before a kill or since; empty: there was none. Valid until the next call on s. */
str spool_place(const struct spool *s);
/* So much waits in it that what can be read again is better left where it is. */
bool spool_waits(struct spool *s);
/* The file's path; valid as long as the spool. */
const char *spool_path(const struct spool *s);

#endif
