/* routes/rules.c - rules as the web edits them: /v1/rules/ID (contract 6). In the worker pool. */
#include "base/str.h"
#include "routes/alerts.h"
#include "routes/http.h"
#include "routes/resources.h"
#include "saved.h"

static void answer(struct request *r)
{
    struct err e;
    buf_lit(&r->out, "{\"id\":");
    buf_json(&r->out, r->arg[0]);
    buf_lit(&r->out, ",\"versions\":");
    size_t empty = r->out.n + 2;
    if (auth_rule_history(r->parts->auth, r->arg[0], &r->out, &e) < 0)
        reply_err(r, &e);
    else if (r->out.n == empty)
        reply_error(r, 404, "no rule \"%.*s\" was saved from the web", STR_ARG(str_head(r->arg[0], 64)));
    else
        buf_lit(&r->out, "}\n");
}

void get_rule(struct request *r) { answer(r); }

static void save(struct request *r, str source)
{
    struct err e;
    if (!alerts_reader(r))
        return;
    if (saved_put(r->parts, r->arg[0], source, alerts_who(r), &e) < 0)
        reply_err(r, &e);
    else
        answer(r);
}

void put_rule(struct request *r)
{
    str source = buf_view(&r->body);
    if (str_trim(source).n == 0)
        reply_error(r, 400, "expected a rule file with the rule \"%.*s\", got nothing",
                    STR_ARG(str_head(r->arg[0], 64)));
    else
        save(r, source);
}

void delete_rule(struct request *r) { save(r, S("")); }
