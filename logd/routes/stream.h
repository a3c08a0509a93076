/* routes/stream.h - an answer that is sent while it is made: a tail, the rows of a long query.
 *
 *   producer ──stream_write──▶ bytes, at most `most` ──▶ libmicrohttpd, which waits (suspended) while there are none
 *
 * Owner   one producer thread writes and ends; an epoll thread reads. Both hold it; the last one frees it. */
#ifndef ROUTES_STREAM_H
#define ROUTES_STREAM_H

#include "routes/http.h"

struct stream;
/* In a ROUTE_POOL handler, in place of an answer: status, type and headers of r are sent, and then what is written. The
 * request is not the handler's any more when this returns, nor is anything in its arena. */
struct stream *http_stream(struct request *r, size_t most);
/* All of it or, when there is no room or no client, nothing (false). */
bool stream_write(struct stream *s, str bytes);
/* The same in pieces, and waits for room; false: the client is gone, or `until` (clock_mono()) has come. */
bool stream_write_wait(struct stream *s, str bytes, usec until);
/* Becomes true when the client has gone, or the server stops. Good until stream_end. */
const _Atomic bool *stream_gone(struct stream *s);
void stream_end(struct stream *s); /* what was written is still sent */

#endif
