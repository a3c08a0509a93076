/* routes/alerts.h - what the resources of issues and of incidents share: fold.db to read, the journal to act through. */
#ifndef ROUTES_ALERTS_H
#define ROUTES_ALERTS_H

#include "base/db.h"
#include "routes/http.h"

struct db *alerts_reader(struct request *r); /* NULL: answered with the reason */
/* Journals the action and waits until it took effect; false: answered with the reason. */
bool alerts_act(struct request *r, str json);
str alerts_who(const struct request *r); /* for "by" */

#endif
