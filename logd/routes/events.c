/* routes/events.c - POST /v1/events, contract 3. */
#include "intake/json.h"
#include "routes/post.h"
#include "routes/resources.h"

static void reply_counts(struct request *r, const struct batch *b)
{
    if (b->rejected && !b->accepted && !b->duplicates)
        r->status = 400;
    batch_reply(b, &r->out);
    buf_byte(&r->out, '\n');
}

void post_events(struct request *r)
{
    struct err e = {0};
    struct event_source src;
    struct batch *b = post_begin(r, RECORD_EVENTS, &src);
    if (!b)
        return;
    if (intake_json(post_writer(), &src, buf_view(&r->body), b, &e) < 0) {
        batch_free(b);
        post_refuse(r, &e);
        return;
    }
    post_commit(r, b, reply_counts);
}
