/* agent/spool.h - what cannot be read again, kept on disk until a server has it.
 *
 * Lines go to NAME.log in the folder `spool` of the state folder, which the agent follows as it follows any file: so that
 * they too arrive once, through kills and lost answers. A file that reached SPOOL_FILE_BYTES is renamed to NAME.log.NUMBER; it is
 * removed when all of it was taken. Who follows it makes room when there is more than it may hold (thin.h); when that does not
 * keep up, or the disk has no more than SPOOL_LEAVES left, lines are lost, which is counted and said.
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
#define SPOOL_BYTES (256u << 20)                     /* unless the config says other */
#define SPOOL_EXTRA (8 * (uint64_t)SPOOL_FILE_BYTES) /* above which nothing is taken */
#define SPOOL_LEAVES (8u << 20)                      /* of the disk, so that the state can be kept */

/* A line of which it is known where it came from: \003 LINE \003 PLACE \003. One that was cut off by a kill lacks the end. */
#define SPOOL_PLACED "\003"
/* Ends a line that the disk did not take whole; it is no event. */
#define SPOOL_TORN "\001"
/* What is a line of a spool, as it was added; absent: it is none. */
str spool_line(str line);

struct spool;
/* `state` is the state folder. The file goes on where it ended. */
int spool_open(const char *state, const char *name, uint64_t limit, struct spool **ret, struct err *e) MUST_CHECK;
void spool_close(struct spool *s); /* NULL is fine */
/* One line or several, without the newline at their end. Those that are lost are counted and said. */
void spool_add(struct spool *s, str lines);
/* One line, and where it came from; without newlines, \003 and blanks in the place. False: the disk takes none now, it is
 * not lost. */
bool spool_add_placed(struct spool *s, str line, str place) MUST_CHECK;
/* Of the last whole line that was added, before a kill or since; empty: there was none. Valid until the next call on s. */
str spool_place(const struct spool *s);
/* So much waits in it that what can be read again is better left where it is. */
bool spool_waits(struct spool *s);
uint64_t spool_lost(struct spool *s);               /* lines, since this was asked last. Any thread */
bool spool_tight(const char *path, uint64_t bytes); /* the disk has less than that left. Any thread */
/* The file's path; valid as long as the spool. */
const char *spool_path(const struct spool *s);

#endif
