/* users.h - how many users an issue has: the sketch of stats/ for issues/, which do not know each other.
 *
 * Owner   any thread, no state. */
#ifndef USERS_H
#define USERS_H

#include "issues/issues.h"

extern const struct issues_sketch users_sketch;

#endif
