/* archive/objects.h - named objects in a folder (file://) or a bucket (s3://): put, get, delete. No listing is needed:
 * the manifest says what is there.
 *
 * Names are relative, of [A-Za-z0-9._=/-] only; they never come from an event unchecked.
 * Owner   one thread. A put in a folder is tmp, fsync, rename; in S3 one signed PUT with the body's SHA-256. */
#ifndef ARCHIVE_OBJECTS_H
#define ARCHIVE_OBJECTS_H

#include "base/buf.h"
#include "base/config.h"
#include "base/err.h"

struct objects;
/* `url` is file:///dir or s3://bucket/prefix; the rest of s3 from c->archive. Nothing is looked at or
 * created yet. */
int objects_open(const struct config *c, const char *url, struct objects **ret, struct err *e) MUST_CHECK;
void objects_close(struct objects *o);
int objects_put(struct objects *o, const char *name, str body, struct err *e) MUST_CHECK;
int objects_get(struct objects *o, const char *name, struct buf *out,
                struct err *e) MUST_CHECK;                                         /* ERR_GONE: not there */
int objects_delete(struct objects *o, const char *name, struct err *e) MUST_CHECK; /* not there is fine */

#endif
