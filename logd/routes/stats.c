/* routes/stats.c - POST and GET /v1/stats (contract 7). Run in the worker pool. */
#include "stats/stats.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "fold.h"
#include "journal/journal.h"
#include "parts.h"
#include "query/query.h"
#include "routes/http.h"
#include "routes/post.h"
#include "routes/resources.h"

#define APPLY_WAIT (2 * USEC_PER_SEC)

void post_stats(struct request *r)
{
    struct err e;
    usec now = clock_now();
    unsigned retry;
    struct batch *b = batch_new(RECORD_STATS, r->who.app, batch_stamp(&r->parts->last_stamp, now));
    if (!post_idempotency(r, b)) {
        batch_free(b);
        return;
    }
    struct db *known = r->parts->fold ? fold_reader(r->parts->fold, &e) : NULL;
    if ((r->parts->fold && !known) || stats_read(buf_view(&r->body), now, known, b, &e) < 0) {
        reply_err(r, &e);
    } else if (b->events && !auth_take(r->parts->auth, r->who.key, b->events, now, &retry)) {
        reply_header(r, "Retry-After", "%u", retry);
        reply_error(r, 429, "over this key's quota, try again in %u s", retry);
    } else {
        if (b->events && journal_commit(r->parts->journal, b) != BATCH_OK) {
            post_not_taken(r, b);
        } else { /* a reader that asks next finds the count; a slow fold does not hold the sender up */
            if (b->events && r->parts->fold)
                (void)fold_wait(r->parts->fold, b->seq, APPLY_WAIT);
            r->status = b->rejected && !b->accepted ? 400 : 200;
            batch_reply(b, &r->out);
        }
    }
    batch_free(b);
}

static struct db *reader(struct request *r)
{
    struct err e;
    struct db *db = r->parts->fold ? fold_reader(r->parts->fold, &e) : NULL;
    if (!r->parts->fold)
        reply_error(r, 503, "stats are only there while the server runs");
    else if (!db)
        reply_err(r, &e);
    return db;
}

void get_stats_names(struct request *r)
{
    struct db *db = reader(r);
    struct err e;
    if (db && stats_names_json(db, 0, &r->out, &e) < 0)
        reply_err(r, &e);
}

void get_stats(struct request *r)
{
    struct db *db = reader(r);
    struct err e;
    str by = http_param(r, "by"), from = http_param(r, "from"), to = http_param(r, "to"), label;
    struct stats_query q = {.name = r->arg[0], .by = by.n ? by : S("hour"), .group = http_param(r, "group")};
    usec now = clock_now();
    str app = http_param(r, "app");
    if (!db)
        return;
    if (app.n && !auth_app_find(r->parts->auth, app, &q.app)) {
        reply_error(r, 400, "app: expected the name of an app, got \"%.*s\"", STR_ARG(str_head(app, LIMIT_APP)));
        return;
    }
    if ((query_time(from.n ? from : S("-1d"), now, &q.from, &e) < 0 && err_wrap(&e, "from")) ||
        (query_time(to.n ? to : S("now"), now, &q.to, &e) < 0 && err_wrap(&e, "to"))) {
        reply_err(r, &e);
        return;
    }
    for (size_t i = 0;
         q.labels_n < LENGTH(q.label_name) && http_param_prefix(r, "label.", i, &q.label_name[q.labels_n], &label); i++)
        q.label_value[q.labels_n++] = label;
    if (stats_json(db, &q, &r->out, &e) < 0)
        reply_err(r, &e);
}
