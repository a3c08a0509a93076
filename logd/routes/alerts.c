/* routes/alerts.c - incidents and rules (contract 6). What people do enters the journal like an event, and
 * is answered when the fold has applied it. All run in the worker pool. */
#include "base/clock.h"
#include "base/str.h"
#include "fold.h"
#include "journal/journal.h"
#include "notify/notify.h"
#include "parts.h"
#include "routes/alerts.h"
#include "routes/http.h"
#include "routes/resources.h"

#define APPLY_WAIT (10 * USEC_PER_SEC)

struct db *alerts_reader(struct request *r)
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

bool alerts_act(struct request *r, str json)
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

str alerts_who(const struct request *r)
{
    return r->who.user[0] ? str_of(r->who.user) : r->local ? S("the command line") : S("a key");
}

/* ---- incidents ---- */
void get_incidents(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct err e;
    if (db && incidents_list_json(db, http_param(r, "state"), &r->out, &e) < 0)
        reply_err(r, &e);
}

void get_incident(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct err e;
    if (db && incident_json(db, r->arg[0], &r->out, &e) < 0)
        reply_err(r, &e);
}

/* *ret_until: of a snooze. False: answered. */
static bool check_verb(struct request *r, struct db *db, usec *ret_until)
{
    static const str verbs[] = {S("ack"), S("snooze"), S("resolve"), S("noise"), S("undo")};
    struct err e;
    char state[12];
    bool known = false;
    for (size_t i = 0; i < LENGTH(verbs); i++)
        known |= str_eq(r->arg[1], verbs[i]);
    if (!known) {
        reply_error(r, 404, "expected ack, snooze, resolve, noise or undo, got \"%.*s\"",
                    STR_ARG(str_head(r->arg[1], 40)));
        return false;
    }
    if (incident_state(db, r->arg[0], state, &e) < 0 ||
        (str_eq(r->arg[1], S("snooze")) && snooze_check(buf_view(&r->body), clock_now(), ret_until, &e) < 0)) {
        reply_err(r, &e);
        return false;
    }
    if (strcmp(state, "resolved") == 0 && !str_eq(r->arg[1], S("resolve")) && !str_eq(r->arg[1], S("undo"))) {
        reply_error(r, 409, "the incident is resolved: there is nothing to do for it");
        return false;
    }
    return true;
}

void post_incident(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct buf json = BUF_INIT(4096);
    usec until = 0;
    if (!db || !check_verb(r, db, &until))
        return;
    buf_lit(&json, "{\"incident\":");
    buf_json(&json, r->arg[0]);
    buf_lit(&json, ",\"do\":");
    buf_json(&json, r->arg[1]);
    buf_printf(&json, ",\"until\":%lld,\"by\":", (long long)until);
    buf_json(&json, alerts_who(r));
    buf_byte(&json, '}');
    if (alerts_act(r, buf_view(&json)))
        get_incident(r);
    buf_done(&json);
}

/* ---- silences ---- */
void get_silences(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct err e;
    if (db && silences_json(db, clock_now(), &r->out, &e) < 0)
        reply_err(r, &e);
}

void post_silence(struct request *r)
{
    struct buf action = BUF_INIT(8192);
    struct err e;
    char id[17];
    if (silence_check(buf_view(&r->body), alerts_who(r), clock_now(), &action, id, &e) < 0)
        reply_err(r, &e);
    else if (alerts_reader(r) && alerts_act(r, buf_view(&action)))
        buf_printf(&r->out, "{\"id\":\"%s\"}\n", id);
    buf_done(&action);
}

void delete_silence(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct buf action = BUF_INIT(1024);
    struct err e;
    if (!db)
        return;
    buf_lit(&action, "{\"silence_end\":");
    buf_json(&action, r->arg[0]);
    buf_byte(&action, '}');
    if (silence_known(db, r->arg[0], clock_now(), &e) < 0)
        reply_err(r, &e);
    else if (alerts_act(r, buf_view(&action)))
        buf_lit(&r->out, "{}\n");
    buf_done(&action);
}

void get_rules(struct request *r)
{
    struct err e;
    if (alerts_reader(r) && fold_rules_json(r->parts->fold, &r->out, &e) < 0)
        reply_err(r, &e);
}
