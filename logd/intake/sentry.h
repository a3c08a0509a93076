/* intake/sentry.h - what Sentry's SDKs send, as events.
 *
 * An envelope is lines: a header, then for each item a header {"type","length"?} and its payload, which ends after
 * `length` bytes or with its line. Items `event` and `log` become events; sessions, transactions, client reports and the
 * rest are passed over. The body of /store/ is one event alone. A bad item never costs the others.
 *
 * Of an event are kept: id, time, level, message, logger, environment, release, host, transaction, user.id, trace, tags,
 * extra, the client's fingerprint, the exceptions with their frames, newest first, causes linked, the last 30 breadcrumbs (of
 * a request method, path and status), and of the contexts what it ran on. Left out are what frames held (variables, source
 * lines), the request but for its URL's path, a device's name and id, and modules.
 *
 * Owner   any thread, no state. */
#ifndef INTAKE_SENTRY_H
#define INTAKE_SENTRY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { SENTRY_ID = 33 };
/* Lines for intake_json go to `out`, which has a ceiling and is secret. ret_id: of the envelope or its event, or "".
 * ERR_INPUT: not an envelope at all. */
int sentry_envelope(str body, struct buf *out, char ret_id[SENTRY_ID], struct err *e) MUST_CHECK;
/* The key of the DSN that an envelope's first line may name, for clients that send through a tunnel; in `a`. Absent: none. */
str sentry_dsn_key(str body, struct arena *a);
int sentry_store(str body, struct buf *out, char ret_id[SENTRY_ID], struct err *e) MUST_CHECK;

#endif
