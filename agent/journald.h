/* agent/journald.h - the journal of systemd: each of its entries as a line of JSON, and where it stands.
 *
 *   MESSAGE                    what it says: read as a line of a file is (event/line.h), so JSON in it becomes fields
 *   PRIORITY _HOSTNAME         level host
 *   SYSLOG_IDENTIFIER          service; without it the unit or the program
 *   _SYSTEMD_UNIT _PID CONTAINER_NAME IMAGE_NAME SYSLOG_FACILITY
 *                              unit pid container.name container.image facility
 *   CODE_FILE CODE_LINE …      code.file code.line code.function
 *   others without _           as they are, in small letters
 *
 * An entry's place is its cursor, which is known for ever: the journal can be read again, so nothing of it is dropped when
 * servers are away, it waits where it is.
 *
 * Owner   one thread; journald_next blocks. Built without libsystemd there is none. */
#ifndef AGENT_JOURNALD_H
#define AGENT_JOURNALD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/zone.h"

struct journald_config {
    bool on;
    char *directory; /* of journal files; NULL: those of this machine */
    char **units;    /* none: all */
    size_t units_n;
    usec since; /* how far back it begins the first time; 0: at the oldest entry */
};
struct journald;
/* Begins after `cursor`, or where the config says if it is empty. Times in texts that name no zone are of `zone`. */
int journald_open(const struct journald_config *c, str cursor, const struct zone *zone, struct journald **ret,
                  struct err *e) MUST_CHECK;
void journald_free(struct journald *j); /* NULL is fine */
/* Appends the next entry to `line`, an object without newline, and sets `cursor`. 1: there was one, 0: none came for a
 * second, -1: it cannot be read now. */
int journald_next(struct journald *j, struct buf *line, struct buf *cursor, struct err *e) MUST_CHECK;

#endif
