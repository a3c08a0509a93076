/* routes/tail.c - GET /v1/tail (contract 4): an event stream that the tail's thread writes. */
#include "query/tail.h"
#include "base/limits.h"
#include "parts.h"
#include "routes/resources.h"
#include "routes/stream.h"

static bool write_bytes(void *arg, str bytes) { return stream_write(arg, bytes); }
static bool is_gone(void *arg) { return *stream_gone(arg); }
static void end(void *arg) { stream_end(arg); }

void get_tail(struct request *r)
{
    struct tail *t = r->parts->tail;
    struct query *q = NULL;
    struct err e;
    if (query_parse(http_param(r, "q"), &q, &e) < 0 || tail_check(q, &e) < 0) {
        reply_err(r, &e);
        query_free(q);
        return;
    }
    if (!tail_has_room(t)) {
        reply_header(r, "Retry-After", "5");
        reply_error(r, 429, "%u follow already: try again later", LIMIT_TAILS);
        query_free(q);
        return;
    }
    r->type = "text/event-stream";
    reply_header(r, "X-Accel-Buffering", "no"); /* or nginx would gather events */
    struct tail_sink sink = {write_bytes, is_gone, end, http_stream(r, LIMIT_TAIL)};
    tail_follow(t, q, &sink);
}
