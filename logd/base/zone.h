/* base/zone.h - time zones of the system's zoneinfo, without the process' TZ: any number of them, in any thread.
 *
 * RFC 8536: the transitions of the file, and behind the last one the rule at its end. A zone is immutable. */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include "base/err.h"

struct zone;
/* ERR_INPUT: there is none of that name. "UTC" is always there. */
int zone_open(str name, struct zone **ret, struct err *e) MUST_CHECK;
void zone_free(struct zone *z); /* NULL is fine */
const char *zone_name(const struct zone *z);
/* Seconds east of UTC at a second since 1970. NULL: UTC, 0. */
int32_t zone_offset(const struct zone *z, int64_t utc);
/* The first second whose local time is `local` (seconds since 1970 as if it were UTC), or behind a gap over it. */
int64_t zone_utc(const struct zone *z, int64_t local);

#endif
