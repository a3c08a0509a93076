/* facts.h - what mails say of an issue and its app: who is hit, the last day, releases. Reads fold.db; any thread's connection. */
#ifndef FACTS_H
#define FACTS_H

#include "notify/notify.h"

int facts_of_issue(struct db *db, str issue, str app, usec now, struct mail_facts *ret, struct arena *a,
                   struct err *e) MUST_CHECK;

#endif
