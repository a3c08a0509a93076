/* event/scrub.h - secrets die here, before the journal.
 *
 * By name (password, token, authorization, cookie, secret, api_key, …) and by shape (JWT, private keys, cloud and
 * payment keys, card numbers that pass Luhn, user:password@ in URLs, `token=…` and `password: …` inside text and
 * URLs) a value becomes `[redacted:KIND]`. Names are compared without case, '-' '_' '.' and camelCase seams
 * (apiKey, api-key, X-Api-Key). Scrubbing what was scrubbed changes nothing.
 *
 * Owner   any thread, no state. Memory: none but `out`, and as much again while something is redacted.
 * Speed   0.7 to 1 GB/s per core on text without secrets; linear in the text, whatever it holds. */
#ifndef EVENT_SCRUB_H
#define EVENT_SCRUB_H

#include "base/buf.h"

/* The kind for a field whose name says that its value is secret ("password", "token", …), or absent. `name` may be
 * dotted; what counts is its last part ("http.request.headers.authorization"). */
str scrub_name(str name);
/* Does `text` look like an option of a command, "-v" or "--dry-run", and not like a password that begins with '-'? */
bool scrub_is_option(str text);
/* True when `text` holds nothing to redact: the common case, nothing was written. Else the scrubbed text was added to
 * `out`. `text` is decoded (no JSON escapes); text that stands between the quotes of a JSON string and has no backslash
 * in it is its own decoded form, and what is written may stand there too. */
bool scrub_clean(str text, struct buf *out) MUST_CHECK;

#endif
