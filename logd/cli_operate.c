/* cli_operate.c - logd mail, archive, restore: what keeps a server in order. */
#include "cli.h"
#include "archive/archive.h"
#include "base/config.h"
#include "base/str.h"
#include "issues/issues.h"
#include "notify/bounce.h"
#include "notify/notify.h"

#include <jansson.h>

/* A report that says "whole": false is a failure, however well it was made. */
static bool is_damaged(str report)
{
    json_t *doc = json_loadb(report.p ? report.p : "", report.n, 0, NULL);
    bool damaged = json_is_false(json_object_get(doc, "whole"));
    json_decref(doc);
    return damaged;
}

/* The server's answer as it came: the commands that print reports print JSON. */
static int print_answer(struct cli *c, const char *method, const char *path, str body)
{
    struct err e;
    struct client *cl = NULL;
    struct http_answer a = {0};
    struct buf safe = BUF_INIT(256u << 20);
    int code = client_open(c, false, &cl);
    if (code != CLI_DONE)
        return code;
    if (client_call(cl, method, path, body, &a, &e) < 0) {
        code = cli_err(c, &e);
    } else {
        text_visible(&safe, buf_view(&a.body), true);
        if (safe.n && safe.p[safe.n - 1] != '\n')
            buf_byte(&safe, '\n');
        if (safe.n)
            fwrite(safe.p, 1, safe.n, stdout);
        if (cli_flush(c) == CLI_DONE && is_damaged(buf_view(&a.body)))
            code = cli_fail(c, "the archive is damaged: see \"damaged\" above");
    }
    client_close(cl);
    buf_done(&safe);
    http_answer_done(&a);
    return code == CLI_DONE ? cli_flush(c) : code;
}

/* Without a server the mail goes from here: nothing is written, so no lock is needed. */
static int mail_from_here(struct cli *c)
{
    struct err e;
    struct config *config = NULL;
    int code = CLI_DONE;
    if (config_load(cli_get(c, "--config"), &config, &e) < 0)
        return cli_err(c, &e);
    if (!config->mail.url)
        code = cli_fail(c, "no mail is configured: set mail.url in the config, such as smtp://127.0.0.1:25");
    else if (mailer_test(config, str_of(c->args[0]), &e) < 0)
        code = cli_err(c, &e);
    else
        printf("{\"sent\":true}\n");
    config_free(config);
    return code;
}

int cli_mail_test(struct cli *c)
{
    if (!cli_get(c, "--server") && !client_running(c))
        return mail_from_here(c);
    json_t *doc = json_pack("{s:s}", "to", c->args[0]);
    char *body = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    int code = body ? print_answer(c, "POST", "/v1/mail/test", str_of(body)) : cli_usage(c, "expected UTF-8");
    free(body);
    json_decref(doc);
    return code;
}

/* All of stdin; false: it is longer than the buffer may be. */
static bool read_stdin(struct buf *out)
{
    char part[16384];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stdin)) > 0)
        buf_add(out, part, n);
    return !out->full;
}

int cli_bounce(struct cli *c)
{
    struct buf message = BUF_INIT(BOUNCE_MAX), json = BUF_INIT(16 << 10);
    struct bounce b;
    struct err e;
    int code;
    if (!read_stdin(&message)) {
        code = cli_fail(c, "expected a mail of at most %u bytes", BOUNCE_MAX);
    } else if (bounce_read(buf_view(&message), &b, &e) < 0) {
        code = cli_err(c, &e);
    } else {
        buf_lit(&json, "{\"message_id\":");
        buf_json(&json, str_head(b.message_id, 500));
        buf_member(&json, "status", b.status);
        if (b.said.n)
            buf_member(&json, "said", str_head(b.said, 300));
        buf_member(&json, "kind", b.permanent ? S("permanent") : S("passing"));
        buf_byte(&json, '}');
        code = print_answer(c, "POST", "/v1/bounces", buf_view(&json));
    }
    buf_done(&message);
    buf_done(&json);
    return code;
}

int cli_archive_list(struct cli *c) { return print_answer(c, "GET", "/v1/archive", (str){0}); }
int cli_archive_verify(struct cli *c) { return print_answer(c, "POST", "/v1/archive/verify", (str){0}); }
int cli_archive_ship(struct cli *c) { return print_answer(c, "POST", "/v1/archive/ship", (str){0}); }

int cli_issues_regroup(struct cli *c)
{
    char path[64], body[64];
    int64_t version = GROUPING_NEWEST;
    const char *to = cli_get(c, "--to");
    if (to && (!str_i64(str_of(to), &version) || version < 1 || version > GROUPING_NEWEST))
        return cli_usage(c, "--to: expected 1 to %d, got \"%.40s\"", GROUPING_NEWEST, to);
    snprintf(path, sizeof path, "/v1/issues/regroup?version=%lld", (long long)version);
    snprintf(body, sizeof body, "{\"version\":%lld}", (long long)version);
    return cli_get(c, "--dry-run") ? print_answer(c, "GET", path, (str){0})
                                   : print_answer(c, "POST", "/v1/issues/regroup", str_of(body));
}

int cli_restore(struct cli *c)
{
    struct err e;
    struct config *config = NULL;
    int code = CLI_DONE;
    if (!cli_get(c, "--data"))
        return cli_usage(c, "expected --data DIR, the folder to fill");
    if (config_load(cli_get(c, "--config"), &config, &e) < 0)
        return cli_err(c, &e);
    const char *from = cli_get(c, "--from") ? cli_get(c, "--from") : config->archive.url;
    if (!from)
        code = cli_usage(c, "expected --from ARCHIVE_URL, such as s3://logs/prod or file:///backup");
    else if (archive_restore(config, from, cli_get(c, "--data"), cli_get(c, "--skip-damaged"), stdout, &e) < 0)
        code = cli_err(c, &e);
    config_free(config);
    return code == CLI_DONE ? cli_flush(c) : code;
}
