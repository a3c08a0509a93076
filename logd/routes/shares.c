/* routes/shares.c - pages of chosen stats for people who do not sign in: /v1/shares makes and ends links, /v1/shared
 * answers to whoever has one. A link gives its stats by the labels it names and nothing else; of uniques only periods
 * that are closed, since of an open one two looks at different times would tell who came between them. */
#include "base/str.h"
#include "fold.h"
#include "parts.h"
#include "routes/form.h"
#include "routes/resources.h"
#include "stats/stats.h"

/* ---- made and ended ---- */
static int add(struct request *r, const json_t *form, char token[64], int64_t *ret_id, struct err *e)
{
    const json_t *list = json_object_get(form, "stats");
    size_t n = json_array_size(list);
    str *stats = arena_alloc(&r->arena, (n + 1) * sizeof *stats), app = form_text(form, "app");
    for (size_t i = 0; i < n; i++)
        stats[i] = str_of(json_string_value(json_array_get(list, i)));
    struct auth_share_new s = {.name = form_text(form, "name"), .stats = stats, .stats_n = n};
    if (app.p && !auth_app_find(r->parts->auth, app, &s.app)) {
        err_set(e, ERR_INPUT, "app: expected the name of an app, got \"%.*s\"", STR_ARG(str_head(app, LIMIT_APP)));
        snprintf(e->pointer, sizeof e->pointer, "/app");
        return -1;
    }
    return auth_share_add(r->parts->auth, &s, token, ret_id, e);
}

void post_share(struct request *r)
{
    static const struct form_field fields[] = {
        {"name", FORM_TEXT, false}, {"stats", FORM_TEXTS, false}, {"app", FORM_TEXT, true}};
    json_t *form = NULL;
    char token[64] = "";
    int64_t id = 0;
    struct err e;
    if (form_read(r, fields, LENGTH(fields), &form, &e) < 0 || add(r, form, token, &id, &e) < 0) {
        reply_err(r, &e);
    } else {
        r->status = 201;
        reply_header(r, "Cache-Control", "no-store");
        r->out.secret = true;
        buf_printf(&r->out, "{\"id\":%lld,\"token\":\"%s\",\"url\":", (long long)id, token);
        buf_json(&r->out, str_of(arena_printf(&r->arena, "%s/shared/%s", url_of(r), token)));
        buf_byte(&r->out, '}');
    }
    explicit_bzero(token, sizeof token);
    json_decref(form);
}

void get_shares(struct request *r)
{
    struct err e;
    buf_lit(&r->out, "{\"shares\":");
    if (auth_share_list(r->parts->auth, &r->out, &e) < 0)
        reply_err(r, &e);
    else
        buf_byte(&r->out, '}');
}

void delete_share(struct request *r)
{
    struct err e;
    uint64_t id = 0;
    if (!str_u64(r->arg[0], &id) || id > INT64_MAX)
        reply_error(r, 400, "share: expected the number of a share, got \"%.*s\"", STR_ARG(str_head(r->arg[0], 80)));
    else if (auth_share_revoke(r->parts->auth, (int64_t)id, &e) < 0)
        reply_err(r, &e);
    else
        buf_printf(&r->out, "{\"removed\":%llu}", (unsigned long long)id);
}

/* ---- shown ---- */
static bool find(struct request *r, struct auth_share *ret)
{
    struct err e;
    reply_header(r, "Cache-Control", "no-store");
    reply_header(r, "X-Robots-Tag", "noindex");
    if (auth_share_find(r->parts->auth, r->arg[0], &r->arena, ret, &e) == 0)
        return true;
    reply_err(r, &e);
    return false;
}

void get_shared(struct request *r)
{
    struct auth_share s;
    if (!find(r, &s))
        return;
    buf_lit(&r->out, "{\"name\":");
    buf_json(&r->out, s.name);
    buf_lit(&r->out, ",\"stats\":");
    share_stats_json(s.stats, &r->out);
    buf_byte(&r->out, '}');
}

void get_shared_stat(struct request *r)
{
    struct auth_share s;
    const struct config *c = r->parts->config;
    struct stats_query q = {.closed = true, .noised = c->unique_noise > 0};
    uint64_t i = 0;
    str line = {0};
    if (!find(r, &s))
        return;
    bool number = str_u64(r->arg[1], &i);
    for (uint64_t at = 0; s.stats.n && at <= i; at++) {
        str one = str_cut(&s.stats, '\n');
        if (at == i)
            line = one;
    }
    if (!number || !share_item(line, &q.name, &q.group)) {
        reply_error(r, 404, "this link has no stat \"%.*s\", expected its place in the list, from 0",
                    STR_ARG(str_head(r->arg[1], 20)));
        return;
    }
    q.app = s.app;
    stats_answer(r, &q);
}
