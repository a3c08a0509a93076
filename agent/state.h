/* agent/state.h - what the agent must not forget, in one file of the state folder.
 *
 * The file `state` is replaced as a whole (written, synced, renamed) before each batch is sent for the first time, and
 * when one was taken and none follows. It holds the places in all files and, while a batch is under way, its number and
 * bytes: so a lost answer or kill -9 sends the same bytes under the same key again, whatever became of the files.
 *
 * Owner   one thread. */
#ifndef AGENT_STATE_H
#define AGENT_STATE_H

#include "agent/follow.h"
#include "base/err.h"

struct pending {
    uint64_t seq; /* of the batch under way, or of the next one */
    bool under_way;
    bool gzip;           /* else zstd */
    uint32_t events;     /* in it */
    uint64_t duplicates; /* events that were sent again and known already */
    struct buf body;     /* compressed */
    char agent[17];      /* 16 hex digits drawn when the state was made: the key is AGENT-SEQ */
};

void pending_init(struct pending *p);
void pending_done(struct pending *p);
void pending_new_agent(struct pending *p);
/* No file: a new state. ERR_CORRUPT: it is not as we wrote it, or of a newer version. */
int state_load(const char *dir, struct follow *fo, struct pending *p, struct err *e) MUST_CHECK;
/* The same of a text and into one; `path` is for the error. */
int state_read(str text, const char *path, struct follow *fo, struct pending *p, struct err *e) MUST_CHECK;
void state_put(const struct follow *fo, const struct pending *p, struct buf *out);
int state_save(int dirfd, const struct follow *fo, const struct pending *p, struct err *e) MUST_CHECK;

#endif
