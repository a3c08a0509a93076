/* routes/issues.c - issues (contract 5). What people do is checked here, enters the journal like an event, and is answered
 * when the fold has applied it: a crash replays it, a restored archive has it, at its place between the events. All run in
 * the worker pool. */
#include "issues/issues.h"
#include "base/clock.h"
#include "base/str.h"
#include "fold.h"
#include "parts.h"
#include "query/query.h"
#include "routes/alerts.h"
#include "routes/frames.h"
#include "routes/resolve.h"
#include "routes/resources.h"
#include "store/store.h"

#include <jansson.h>

enum { ACTION_MAX = 1 << 20, LIST_MAX = 1000 };

static struct issues_filter filter_of(struct request *r)
{
    return (struct issues_filter){.state = http_param(r, "state"),
                                  .app = http_param(r, "app"),
                                  .query = http_param(r, "q"),
                                  .order = http_param(r, "order")};
}

void get_issues(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct err e;
    struct issues_filter f = filter_of(r);
    str limit = http_param(r, "limit");
    int64_t n = 100;
    if (!db)
        return;
    if (limit.p && (!str_i64(limit, &n) || n < 1 || n > LIST_MAX)) {
        reply_error(r, 400, "limit: expected 1 to %d, got \"%.*s\"", LIST_MAX, STR_ARG(str_head(limit, 40)));
        return;
    }
    f.limit = (uint32_t)n;
    if (issues_list_json(db, &f, &r->out, &e) < 0)
        reply_err(r, &e);
}

/* As the store has it; when retention took it, as the issue kept it. */
static void put_latest(struct request *r, str id, const struct buf *kept)
{
    struct err gone;
    struct store_view *v = store_view_open(r->parts->store);
    size_t at;
    buf_lit(&r->out, ",\"latest\":");
    at = r->out.n;
    if (query_event(v, id, &r->out, &gone) < 0) {
        r->out.n = at;
        buf_str(&r->out, kept->n ? buf_view(kept) : S("null"));
    }
    resolve_answer(r, at);
    while (r->out.p[r->out.n - 1] == '\n')
        r->out.n--;
    frames_json(&r->arena, &r->out, at);
    buf_byte(&r->out, '}');
    store_view_close(v);
}

static void tell_issue(struct request *r, struct db *db, str id)
{
    struct err e;
    struct buf kept = BUF_INIT(1 << 20);
    char last[EVENT_ID_LEN + 1];
    if (issue_json(db, id, &r->out, last, &kept, &e) < 0)
        reply_err(r, &e);
    else
        put_latest(r, str_of(last), &kept);
    buf_done(&kept);
}

void get_issue(struct request *r)
{
    struct db *db = alerts_reader(r);
    if (db)
        tell_issue(r, db, r->arg[0]);
}

/* Whom an action gives an issue to must be somebody here. */
static bool assignee_is_known(struct request *r, str action)
{
    json_t *o = json_loadb(action.p ? action.p : "", action.n, 0, NULL);
    str who = str_of(json_string_value(json_object_get(json_object_get(o, "set"), "assignee")));
    bool known = !who.n || auth_user_may_be(r->parts->auth, who);
    struct err e = {.pointer = "/assignee"};
    if (!known) {
        (void)err_set(&e, ERR_INPUT,
                      "assignee: expected the e-mail of a user of this server (logd user list), got \"%.*s\"",
                      STR_ARG(str_head(who, 100)));
        reply_err(r, &e);
    }
    json_decref(o);
    return known;
}

void patch_issue(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct buf json = BUF_INIT(ACTION_MAX);
    struct err e;
    if (!db)
        return;
    if (issue_patch_check(db, buf_view(&r->body), r->arg[0], alerts_who(r), clock_now(), &json, &e) < 0)
        reply_err(r, &e);
    else if (assignee_is_known(r, buf_view(&json)) && alerts_act(r, buf_view(&json)))
        tell_issue(r, db, r->arg[0]);
    buf_done(&json);
}

/* Of many: a filter must be given, so that a forgotten one does not mean all. */
void patch_issues(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct buf json = BUF_INIT(ACTION_MAX);
    struct issues_filter f = filter_of(r);
    struct err e;
    size_t n;
    if (!db)
        return;
    if (!str_trim(f.query).n)
        reply_error(r, 400, "q: expected a filter that says which issues, got none");
    else if (issues_patch_check(db, buf_view(&r->body), &f, alerts_who(r), clock_now(), &json, &n, &e) < 0)
        reply_err(r, &e);
    else if (n == 0 || (assignee_is_known(r, buf_view(&json)) && alerts_act(r, buf_view(&json))))
        buf_printf(&r->out, "{\"changed\":%zu}\n", n);
    buf_done(&json);
}

void post_issue_comment(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct buf json = BUF_INIT(ACTION_MAX);
    struct err e;
    if (!db)
        return;
    if (issue_comment_check(db, buf_view(&r->body), r->arg[0], alerts_who(r), &json, &e) < 0)
        reply_err(r, &e);
    else if (alerts_act(r, buf_view(&json)))
        tell_issue(r, db, r->arg[0]);
    buf_done(&json);
}

void post_issues_merge(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct buf json = BUF_INIT(ACTION_MAX);
    struct err e;
    char into[17];
    if (!db)
        return;
    if (issues_merge_check(db, buf_view(&r->body), alerts_who(r), &json, into, &e) < 0)
        reply_err(r, &e);
    else if (alerts_act(r, buf_view(&json)))
        tell_issue(r, db, str_of(into));
    buf_done(&json);
}

void post_issue_split(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct buf json = BUF_INIT(ACTION_MAX);
    struct err e;
    if (!db)
        return;
    if (issue_split_check(db, buf_view(&r->body), r->arg[0], alerts_who(r), &json, &e) < 0)
        reply_err(r, &e);
    else if (alerts_act(r, buf_view(&json)))
        tell_issue(r, db, r->arg[0]);
    buf_done(&json);
}
