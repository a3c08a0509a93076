/* routes/ops.c - archive and mail on demand, for administrators; the tests' clock, for the Unix socket only. */
#include "archive/archive.h"
#include "base/clock.h"
#include "base/str.h"
#include "fold.h"
#include "notify/notify.h"
#include "parts.h"
#include "routes/http.h"
#include "routes/resources.h"
#include "store/store.h"

#include <jansson.h>

static bool has_archive(struct request *r)
{
    if (!r->parts->archive)
        reply_error(r, 404,
                    "no archive is configured, or no server runs on this folder: set archive.url, see logd.conf(5)");
    return r->parts->archive != NULL;
}

/* Only administrators come here: what a disk or another server said about the archive is theirs to know. */
static void reply_reason(struct request *r, struct err *e)
{
    if (e->kind == ERR_SYS || e->kind == ERR_CORRUPT)
        e->kind = ERR_REMOTE;
    reply_err(r, e);
}

void get_archive(struct request *r)
{
    struct err e;
    if (has_archive(r) && archive_list_json(r->parts->archive, &r->out, &e) < 0)
        reply_reason(r, &e);
}

void post_archive_ship(struct request *r)
{
    struct err e;
    struct archive_stats st;
    if (!has_archive(r))
        return;
    if (archive_ship(r->parts->archive, &e) < 0) {
        reply_reason(r, &e);
        return;
    }
    archive_get_stats(r->parts->archive, &st);
    buf_printf(&r->out, "{\"position\":%llu,\"objects\":%llu}", (unsigned long long)st.position,
               (unsigned long long)st.objects);
}

void post_archive_verify(struct request *r)
{
    struct err e;
    if (has_archive(r) && archive_verify_json(r->parts->archive, &r->out, &e) < 0)
        reply_reason(r, &e);
}

void post_mail_test(struct request *r)
{
    struct err e;
    json_t *o = json_loadb(r->body.p ? r->body.p : "", r->body.n, JSON_REJECT_DUPLICATES, NULL);
    const char *to = json_string_value(json_object_get(o, "to"));
    if (!to)
        reply_error(r, 400, "expected {\"to\":\"name@host\"}");
    else if (mailer_test(r->parts->config, str_of(to), &e) < 0)
        reply_reason(r, &e);
    else
        buf_lit(&r->out, "{\"sent\":true}");
    json_decref(o);
}

/* Seals the head now: what a test of archive and segments needs, and harmless otherwise. */
void post_debug_seal(struct request *r)
{
    struct err e;
    if (!r->local)
        reply_error(r, 404, "no such resource");
    else if (store_seal(r->parts->store, &e) < 0)
        reply_err(r, &e);
    else
        buf_lit(&r->out, "{\"sealed\":true}");
}

void post_debug_clock(struct request *r)
{
    int64_t seconds;
    if (!r->local || !r->parts->test_clock) {
        reply_error(r, 404, "no such resource");
    } else if (!str_i64(http_param(r, "advance"), &seconds)) {
        reply_error(r, 400, "advance: expected a number of seconds");
    } else {
        clock_advance(seconds * USEC_PER_SEC);
        if (r->parts->fold)
            fold_tick(r->parts->fold);
        buf_lit(&r->out, "{}");
    }
}
