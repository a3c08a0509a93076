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
#include "stats/unique.h"

#define APPLY_WAIT (2 * USEC_PER_SEC)

/* A hash of a body with ids in it would be a way to try names: its key is gone with the day. */
static void hide_ids(struct request *r, struct batch *b)
{
    struct secret_key k;
    uint8_t mac[32];
    str body = buf_view(&r->body);
    usec now = clock_now();
    if (!b->idempotent || !r->parts->secrets || (str_find(body, S("unique")) < 0 && str_chr(body, '\\') < 0))
        return;
    if (!secrets_key(r->parts->secrets, 0, S("Idempotency-Key"), 86400, now / USEC_PER_SEC / 86400 * 86400, now, &k))
        return;
    hmac_sha256(str_n((char *)k.key, sizeof k.key), body, mac);
    memcpy(b->idem_body, mac, sizeof b->idem_body);
    b->idem_since = k.created;
    explicit_bzero(&k, sizeof k);
}

static struct unique_batch *ids_new(struct request *r, usec now)
{
    const struct config *c = r->parts->config;
    return r->parts->secrets ? unique_batch_new(r->parts->secrets, r->who.app, c->unique_year, now) : NULL;
}

/* Numbers and places, in one write; the place of an id that has one already needs none. */
static enum batch_status commit(struct request *r, struct batch *b, struct batch *places)
{
    bool numbers = b->events || b->idempotent;
    if (!places->body.n)
        return numbers ? journal_commit(r->parts->journal, b) : BATCH_OK;
    places->with = numbers ? b : NULL;
    return journal_commit(r->parts->journal, places);
}

/* The first time the server may have gone before its answer, and the secret with it: places are made again as of then. */
static void count_again(struct request *r, usec first)
{
    struct err e;
    struct unique_batch *ids = ids_new(r, first);
    struct batch *read = batch_new(RECORD_STATS, r->who.app, 0), *places = batch_new(RECORD_UNIQUE, r->who.app, 0);
    if (ids && stats_read(buf_view(&r->body), first, NULL, ids, read, &e) == 0) {
        unique_write(ids, places);
        if (places->body.n)
            (void)journal_commit(r->parts->journal, places);
    }
    unique_batch_free(ids);
    batch_free(read);
    batch_free(places);
}

static void take_stats(struct request *r, struct batch *b, struct batch *places)
{
    unsigned retry;
    if (places->body.full) {
        reply_error(r, 413, "too many ids of uniques in one body, post fewer at a time");
    } else if (b->accepted && !auth_take(r->parts->auth, r->who.key, b->accepted, clock_now(), &retry)) {
        reply_header(r, "Retry-After", "%u", retry);
        reply_error(r, 429, "over this key's quota, try again in %u s", retry);
    } else if (b->accepted && (b->status = commit(r, b, places)) != BATCH_OK) {
        if (b->status == BATCH_REPEATED)
            count_again(r, b->repeat_us);
        post_not_taken(r, b);
    } else { /* a reader that asks next finds the count; a slow fold does not hold the sender up */
        uint64_t seq = places->seq > b->seq ? places->seq : b->seq;
        if (seq && r->parts->fold)
            (void)fold_wait(r->parts->fold, seq, APPLY_WAIT);
        r->status = b->rejected && !b->accepted ? 400 : 200;
        batch_reply(b, &r->out);
    }
}

void post_stats(struct request *r)
{
    struct err e;
    usec now = clock_now();
    struct batch *b = batch_new(RECORD_STATS, r->who.app, batch_stamp(&r->parts->last_stamp, now));
    struct batch *places = batch_new(RECORD_UNIQUE, r->who.app, 0);
    struct unique_batch *ids = ids_new(r, now);
    if (post_idempotency(r, b)) {
        hide_ids(r, b);
        struct db *known = r->parts->fold ? fold_reader(r->parts->fold, &e) : NULL;
        if ((r->parts->fold && !known) || stats_read(buf_view(&r->body), now, known, ids, b, &e) < 0) {
            reply_err(r, &e);
        } else {
            if (ids)
                unique_write(ids, places);
            take_stats(r, b, places);
        }
    }
    unique_batch_free(ids);
    batch_free(b);
    batch_free(places);
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

static void put_app(void *arg, uint32_t app, struct buf *out)
{
    char name[LIMIT_APP + 1] = "";
    (void)auth_app_name(arg, app, name);
    buf_json(out, str_of(name));
}

void get_stats_names(struct request *r)
{
    struct db *db = reader(r);
    struct err e;
    if (db && stats_names_json(db, 0, put_app, r->parts->auth, &r->out, &e) < 0)
        reply_err(r, &e);
}

/* The zones that a query needs; the caller frees them. */
static int open_zones(struct request *r, struct zone **kept, struct zone **asked, struct err *e)
{
    const struct config *c = r->parts->config;
    str tz = http_param(r, "tz");
    if (zone_open(str_of(c->stats.zone), kept, e) < 0)
        return -1;
    return zone_open(tz.n ? tz : str_of(c->stats.zone), asked, e) < 0 ? err_wrap(e, "tz") : 0;
}

static int read_range(struct request *r, struct stats_query *q, struct err *e)
{
    str from = http_param(r, "from"), to = http_param(r, "to");
    if (query_time(from.n ? from : S("-1d"), q->now, &q->from, e) < 0)
        return err_wrap(e, "from");
    if (query_time(to.n ? to : S("now"), q->now, &q->to, e) < 0)
        return err_wrap(e, "to");
    if (q->from <= q->to)
        return 0;
    return err_set(e, ERR_INPUT, "from: expected a time before to, got %.*s and %.*s",
                   STR_ARG(str_head(from.n ? from : S("-1d"), 40)), STR_ARG(str_head(to.n ? to : S("now"), 40)));
}

/* The range that it is compared with: as long and just before, or a week ago by the calendar. */
static int earlier(const struct stats_query *q, str what, struct stats_query *ret, struct err *e)
{
    nsec *ends[] = {&ret->from, &ret->to};
    *ret = *q;
    if (!str_eq(what, S("previous")) && !str_eq(what, S("week")))
        return err_set(e, ERR_INPUT, "compare: expected previous or week, got \"%.*s\"", STR_ARG(str_head(what, 20)));
    for (size_t i = 0; i < 2; i++) {
        int64_t s = *ends[i] / NSEC_PER_SEC;
        if (str_eq(what, S("previous")))
            *ends[i] -= q->to - q->from;
        else
            *ends[i] += (zone_utc(q->zone, s + zone_offset(q->zone, s) - 7 * 86400) - s) * NSEC_PER_SEC;
    }
    return 0;
}

static int answer(struct request *r, struct db *db, struct stats_query *q, struct err *e)
{
    str what = http_param(r, "compare"), format = http_param(r, "format");
    struct stats_query before;
    if (format.n && !str_eq(format, S("csv")) && !str_eq(format, S("json")))
        return err_set(e, ERR_INPUT, "format: expected json or csv, got \"%.*s\"", STR_ARG(str_head(format, 20)));
    if (str_eq(format, S("csv")) && what.n)
        return err_set(e, ERR_INPUT, "compare: expected format=json with it, got csv");
    if (what.n && earlier(q, what, &before, e) < 0)
        return -1;
    if (stats_json(db, q, &r->out, e) < 0)
        return -1;
    if (str_eq(format, S("csv"))) {
        stats_csv(&r->out);
        r->type = "text/csv; charset=utf-8";
    }
    if (!what.n)
        return 0;
    r->out.n--; /* its last brace */
    buf_lit(&r->out, ",\"compare\":");
    int rc = stats_json(db, &before, &r->out, e);
    buf_byte(&r->out, '}');
    return rc;
}

void stats_answer(struct request *r, struct stats_query *q)
{
    struct db *db = reader(r);
    struct zone *kept = NULL, *asked = NULL;
    struct err e;
    str by = http_param(r, "by");
    if (!db)
        return;
    q->by = by.n ? by : S("hour");
    q->now = clock_now();
    q->stock = str_eq(http_param(r, "stock"), S("1"));
    bool good = open_zones(r, &kept, &asked, &e) == 0 && read_range(r, q, &e) == 0;
    q->kept = kept;
    q->zone = asked && strcmp(zone_name(asked), "UTC") == 0 ? NULL : asked;
    if (!good || answer(r, db, q, &e) < 0) {
        buf_reset(&r->out);
        reply_err(r, &e);
    }
    zone_free(kept);
    zone_free(asked);
}

void get_stats(struct request *r)
{
    struct stats_query q = {.name = r->arg[0], .group = http_param(r, "group")};
    str app = http_param(r, "app"), label;
    if (app.n && !auth_app_find(r->parts->auth, app, &q.app)) {
        reply_error(r, 400, "app: expected the name of an app, got \"%.*s\"", STR_ARG(str_head(app, LIMIT_APP)));
        return;
    }
    q.noised = str_eq(http_param(r, "noised"), S("1"));
    if (q.noised && !((const struct config *)r->parts->config)->unique_noise) {
        reply_error(r, 400, "noised: expected unique.noise in the config, and there is none");
        return;
    }
    for (size_t i = 0;
         q.labels_n < LENGTH(q.label_name) && http_param_prefix(r, "label.", i, &q.label_name[q.labels_n], &label); i++)
        q.label_value[q.labels_n++] = label;
    stats_answer(r, &q);
}
