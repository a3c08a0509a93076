/* routes/alerts.c - issues, incidents and rules (contract 5 and 6). What people do enters the journal like an event, and
 * is answered when the fold has applied it. All run in the worker pool. */
#include "base/clock.h"
#include "base/str.h"
#include "fold.h"
#include "issues/issues.h"
#include "journal/journal.h"
#include "notify/notify.h"
#include "parts.h"
#include "query/query.h"
#include "routes/http.h"
#include "routes/resources.h"

#define APPLY_WAIT (10 * USEC_PER_SEC)

static struct db *reader(struct request *r)
{
    struct err e;
    if (!r->parts->fold) {
        reply_error(r, 503, "issues and incidents are only there while the server runs");
        return NULL;
    }
    struct db *db = fold_reader(r->parts->fold, &e);
    if (!db)
        reply_err(r, &e);
    return db;
}

/* Journals the action and waits until it took effect; false: answered with the reason. */
static bool act(struct request *r, str json)
{
    struct batch *b = batch_new(RECORD_ACTION, 0, batch_stamp(&r->parts->last_stamp, clock_now()));
    buf_str(&b->body, json);
    buf_byte(&b->body, '\n');
    b->events = 1;
    enum batch_status status = journal_commit(r->parts->journal, b);
    uint64_t seq = b->seq;
    batch_free(b);
    if (status != BATCH_OK) {
        reply_header(r, "Retry-After", "5");
        reply_error(r, 503, "the journal takes nothing now, try again");
        return false;
    }
    if (!fold_wait(r->parts->fold, seq, APPLY_WAIT)) {
        reply_error(r, 503, "accepted and durable, but not applied yet");
        return false;
    }
    return true;
}

static str who(const struct request *r)
{
    return r->who.user[0] ? str_of(r->who.user) : r->local ? S("the command line") : S("a key");
}

/* ---- issues ---- */
void get_issues(struct request *r)
{
    struct db *db = reader(r);
    struct err e;
    struct issues_filter f = {.state = http_param(r, "state"),
                              .app = http_param(r, "app"),
                              .text = http_param(r, "q"),
                              .order = http_param(r, "order")};
    if (db && issues_list_json(db, &f, &r->out, &e) < 0)
        reply_err(r, &e);
}

void get_issue(struct request *r)
{
    struct db *db = reader(r);
    struct err e, gone;
    char last[EVENT_ID_LEN + 1];
    if (!db)
        return;
    if (issue_json(db, r->arg[0], &r->out, last, &e) < 0) {
        reply_err(r, &e);
        return;
    }
    struct store_view *v = store_view_open(r->parts->store);
    buf_lit(&r->out, ",\"latest\":");
    size_t at = r->out.n;
    if (query_event(v, str_of(last), &r->out, &gone) < 0) { /* retention may have taken it */
        r->out.n = at;
        buf_lit(&r->out, "null");
    }
    while (r->out.p[r->out.n - 1] == '\n')
        r->out.n--;
    buf_byte(&r->out, '}');
    store_view_close(v);
}

void patch_issue(struct request *r)
{
    struct db *db = reader(r);
    struct buf json = BUF_INIT(1u << 16), ignored = BUF_INIT(1u << 20);
    struct err e;
    char last[EVENT_ID_LEN + 1];
    if (!db)
        return;
    if (issue_json(db, r->arg[0], &ignored, last, &e) < 0 ||
        issue_patch_check(buf_view(&r->body), r->arg[0], who(r), &json, &e) < 0)
        reply_err(r, &e);
    else if (act(r, buf_view(&json)))
        get_issue(r);
    buf_done(&json);
    buf_done(&ignored);
}

/* ---- incidents ---- */
void get_incidents(struct request *r)
{
    struct db *db = reader(r);
    struct err e;
    if (db && incidents_list_json(db, http_param(r, "state"), &r->out, &e) < 0)
        reply_err(r, &e);
}

void get_incident(struct request *r)
{
    struct db *db = reader(r);
    struct err e;
    if (db && incident_json(db, r->arg[0], &r->out, &e) < 0)
        reply_err(r, &e);
}

void post_incident(struct request *r)
{
    static const str verbs[] = {S("ack"), S("resolve"), S("noise")};
    struct db *db = reader(r);
    struct buf json = BUF_INIT(4096);
    struct err e;
    bool known = false;
    char state[12];
    if (!db)
        return;
    for (size_t i = 0; i < LENGTH(verbs); i++)
        known |= str_eq(r->arg[1], verbs[i]);
    if (!known) {
        reply_error(r, 404, "expected ack, resolve or noise, got \"%.*s\"", STR_ARG(str_head(r->arg[1], 40)));
        return;
    }
    if (incident_state(db, r->arg[0], state, &e) < 0) {
        reply_err(r, &e);
        return;
    }
    if (strcmp(state, "resolved") == 0 && !str_eq(r->arg[1], S("resolve"))) {
        reply_error(r, 409, "the incident is resolved: there is nothing to do for it");
        return;
    }
    buf_lit(&json, "{\"incident\":");
    buf_json(&json, r->arg[0]);
    buf_lit(&json, ",\"do\":");
    buf_json(&json, r->arg[1]);
    buf_lit(&json, ",\"by\":");
    buf_json(&json, who(r));
    buf_byte(&json, '}');
    if (act(r, buf_view(&json)))
        get_incident(r);
    buf_done(&json);
}

void get_rules(struct request *r)
{
    struct err e;
    if (reader(r) && fold_rules_json(r->parts->fold, &r->out, &e) < 0)
        reply_err(r, &e);
}
