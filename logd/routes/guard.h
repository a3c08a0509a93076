/* routes/guard.h - is this request exactly what it seems to be? Pure functions over what libmicrohttpd parsed.
 *
 * 0.9.75 is lenient where two servers could read one request in two ways. What must hold:
 *   - HTTP/1.0 or 1.1; a method of token characters; a target that begins with '/', without blanks, control characters
 *     or broken escapes, and without %00-%1f and %7f in its path;
 *   - header names are tokens (so no blank before the colon), values have no control characters but tabs;
 *   - exactly one Host (1.0: at most one), at most one Content-Length of digits only, never beside Transfer-Encoding,
 *     which is exactly "chunked" and 1.1 only; no second Authorization, Origin and the like;
 *   - the parsed pieces tile the bytes that were received, each line ended by CRLF: this is how bare LF, folded lines,
 *     doubled blanks in the request line and NUL bytes (at which the library cuts) are seen.
 * Not seen: bare LF and extensions inside chunked framing, which the library reads itself, and trailers, which are
 * dropped. Seen by the library before us, and answered by a page of its own: a header without a colon, a Content-Length
 * that is no number (it sends the reply's head twice, then closes), a header over 32 KiB. The last rule leans on where
 * 0.9.75 leaves its pointers, so it is asked only of that version. */
#ifndef ROUTES_GUARD_H
#define ROUTES_GUARD_H

#include "base/base.h"

enum { GUARD_HEADERS = 128 };
struct guard_header {
    str name, value;
};
struct guard {
    str method, target, version; /* target: as sent */
    const char *target_at;       /* where it stood in the receive buffer; only compared */
    size_t header_bytes;         /* from the method to the end of the empty line; 0: layout is not asked */
    size_t n;
    struct guard_header headers[GUARD_HEADERS];
};
/* NULL, or one sentence that says why not, and the status to refuse it with. */
const char *guard_check(const struct guard *g, unsigned *ret_status) MUST_CHECK;

/* 0-15, -1: not one */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
