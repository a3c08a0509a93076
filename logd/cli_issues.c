/* cli_issues.c - logd issues list, resolve. */
#include "base/str.h"
#include "cli.h"

#include <jansson.h>

static int print_table(const struct cli *c, str json)
{
    static const struct text_column columns[] = {
        {"ID", "id"},       {"STATE", "state"},       {"RANK", "rank"},
        {"COUNT", "count"}, {"USERS", "users"},       {"LAST SEEN", "last_seen"},
        {"APP", "app"},     {"ASSIGNEE", "assignee"}, {"TITLE", "title"}};
    struct err e;
    struct buf out = BUF_INIT(64u << 20);
    int code = text_table(json, "issues", columns, LENGTH(columns), &out, &e) < 0 ? cli_err(c, &e) : CLI_DONE;
    if (code == CLI_DONE) {
        fwrite(out.p, 1, out.n, stdout);
        code = cli_flush(c);
    }
    buf_done(&out);
    return code;
}

static void list_url(const struct cli *c, struct buf *out)
{
    static const char *const names[] = {"state", "app", "order", "limit"};
    buf_lit(out, "/v1/issues?q=");
    buf_url(out, str_of(c->args_n ? c->args[0] : ""), false);
    for (size_t i = 0; i < LENGTH(names); i++) {
        char option[16];
        snprintf(option, sizeof option, "--%s", names[i]);
        if (!cli_get(c, option))
            continue;
        buf_printf(out, "&%s=", names[i]);
        buf_url(out, str_of(cli_get(c, option)), false);
    }
    buf_byte(out, '\0');
}

int cli_issues_list(struct cli *c)
{
    struct err e;
    struct client *cl = NULL;
    struct http_answer a = {0};
    struct buf url = BUF_INIT(1 << 16);
    list_url(c, &url);
    int code = url.full ? cli_usage(c, "the filter is too long") : client_open(c, false, &cl);
    if (code == CLI_DONE && client_call(cl, "GET", url.p, (str){0}, &a, &e) < 0)
        code = cli_err(c, &e);
    else if (code == CLI_DONE)
        code = print_table(c, buf_view(&a.body));
    client_close(cl);
    http_answer_done(&a);
    buf_done(&url);
    return code;
}

int cli_issues_resolve(struct cli *c)
{
    struct err e;
    struct client *cl = NULL;
    const char *release = cli_get(c, "--in-release");
    json_t *doc = release ? json_pack("{s:s,s:s}", "state", "resolved", "in_release", release)
                          : json_pack("{s:s}", "state", "resolved");
    char *body = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    int code = body ? client_open(c, false, &cl) : cli_usage(c, "expected UTF-8");
    for (size_t i = 0; code == CLI_DONE && i < c->args_n; i++) {
        struct http_answer a = {0};
        struct buf url = BUF_INIT(8192);
        buf_lit(&url, "/v1/issues/");
        buf_url(&url, str_of(c->args[i]), false);
        buf_byte(&url, '\0');
        if (url.full)
            code = cli_usage(c, "\"%.40s…\" is too long", c->args[i]);
        else if (client_call(cl, "PATCH", url.p, str_of(body), &a, &e) < 0)
            code = cli_err(c, &e);
        http_answer_done(&a);
        buf_done(&url);
    }
    client_close(cl);
    free(body);
    json_decref(doc);
    return code;
}
