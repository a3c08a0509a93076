/* routes/sentry.c - Sentry's SDKs: a DSN http://KEY@HOST/APPID is all they need (intake/sentry.h says what is kept).
 *
 * POST /api/APPID/envelope/, /api/APPID/store/. The key comes as ?sentry_key=, in X-Sentry-Auth, or in the DSN of an
 * envelope's first line, since SDKs can do no other; one in a page should be of role browser. 200 {"id":"…"}, also when nothing in it was for us: SDKs ask once. */
#include "intake/sentry.h"
#include "base/str.h"
#include "intake/json.h"
#include "routes/post.h"
#include "routes/resources.h"

/* The id was left in the request's last argument, which the pattern does not use. */
static void reply_id(struct request *r, const struct batch *b)
{
    if (b->rejected && !b->accepted && !b->duplicates) {
        r->status = 400;
        batch_reply(b, &r->out);
    } else {
        buf_lit(&r->out, "{\"id\":");
        buf_json(&r->out, r->arg[3]);
        buf_byte(&r->out, '}');
    }
    buf_byte(&r->out, '\n');
}

typedef int (*reader)(str body, struct buf *out, char id[SENTRY_ID], struct err *e);

static void post_sentry(struct request *r, reader read)
{
    struct err e = {0};
    struct event_source src;
    char id[SENTRY_ID];
    uint64_t app;
    if (!r->local && !r->who.key &&
        !who_dsn(r, read == sentry_envelope ? sentry_dsn_key(buf_view(&r->body), &r->arena) : (str){0}, RIGHT_REPORT))
        return;
    if (!r->local && (!str_u64(r->arg[0], &app) || app != r->who.app)) {
        reply_error(r, 403, "project: this key belongs to project %u, got \"%.*s\"", r->who.app,
                    STR_ARG(str_head(r->arg[0], 40)));
        return;
    }
    struct buf lines = BUF_INIT(2 * r->body.n + 4096);
    lines.secret = true;
    struct batch *b = post_begin(r, RECORD_EVENTS, &src);
    if (b && (read(buf_view(&r->body), &lines, id, &e) < 0 ||
              intake_json(post_writer(), &src, buf_view(&lines), b, &e) < 0)) {
        post_refuse(r, &e);
        batch_free(b);
    } else if (b) {
        r->arg[3] = str_of(arena_printf(&r->arena, "%s", id));
        post_commit(r, b, reply_id);
    }
    buf_done(&lines);
}

void post_sentry_envelope(struct request *r) { post_sentry(r, sentry_envelope); }
void post_sentry_store(struct request *r) { post_sentry(r, sentry_store); }
