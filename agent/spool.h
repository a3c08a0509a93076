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

/* Each file starts with a line of its own, after this, so that no two begin alike; it is no event. */
#define SPOOL_MARK "\001logd-agent spool "
#define SPOOL_FILE_BYTES (8u << 20)
#define SPOOL_BYTES (256u << 20)

struct spool;
/* `state` is the state folder. The file goes on where it ended. */
int spool_open(const char *state, const char *name, struct spool **ret, struct err *e) MUST_CHECK;
void spool_close(struct spool *s); /* NULL is fine */
/* One line or several, without the newline at their end. A disk that takes none loses them, which is counted and said. */
void spool_add(struct spool *s, str lines);
/* The file's path; valid as long as the spool. */
const char *spool_path(const struct spool *s);

#endif
