/* saved.h - the rules in force: those of the files, and those that were saved from the web, which take the place of a file's
 * rule of the same id.
 *
 * Saved ones are in logd.db, every version of them, so that a read-only /etc does not matter and a restore brings them back.
 *
 * Owner   any thread; reading and swapping is one at a time. */
#ifndef SAVED_H
#define SAVED_H

#include "parts.h"
#include "base/err.h"

struct rules_set;
/* Puts the rules of the config's files and the saved ones in force. On failure those before stay. */
int saved_load(struct parts *p, const struct config *c, struct err *e) MUST_CHECK;
/* A new version of one rule: a rule file that holds it alone. It is read, its tests run, and all rules are read with it,
 * before it is kept and takes effect. Empty: the file's rule counts again. ERR_INPUT with line and column; ERR_GONE: nothing
 * of that id was saved. */
int saved_put(struct parts *p, str id, str source, str by, struct err *e) MUST_CHECK;

#endif
