/* cli_query.c - logd query: pages of GET /v1/query, printed as they come. */
#include "base/str.h"
#include "cli.h"

#include <unistd.h>

#define PAGE 10000u

struct printing {
    bool csv, first; /* a later page's header line is left out */
    bool terminal;   /* nothing that steers it may get through */
    uint64_t rows;
};

static void print_page(struct printing *p, str body)
{
    struct buf safe = BUF_INIT(1u << 30);
    if (p->csv && !p->first)
        (void)str_cut(&body, '\n');
    for (size_t i = 0; i < body.n; i++)
        p->rows += body.p[i] == '\n';
    if (p->csv && p->first && p->rows)
        p->rows--;
    if (p->terminal) {
        text_visible(&safe, body, true);
        body = buf_view(&safe);
    }
    if (body.n)
        fwrite(body.p, 1, body.n, stdout);
    p->first = false;
    buf_done(&safe);
}

static void add_param(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(path, "&%s=", name);
    buf_url(path, str_of(value), false);
}

static int run_query(struct cli *c, struct client *cl, uint64_t limit, const char *format)
{
    struct err e;
    struct http_answer a = {0};
    struct printing p = {.csv = strcmp(format, "csv") == 0, .first = true};
    char cursor[sizeof a.cursor] = "";
    int code = CLI_DONE;
    p.terminal = strcmp(format, "text") == 0 || isatty(STDOUT_FILENO);
    do {
        struct buf path = BUF_INIT(64u << 10);
        uint64_t left = limit - p.rows;
        buf_printf(&path, "/v1/query?format=%s&limit=%llu", format, (unsigned long long)(left < PAGE ? left : PAGE));
        add_param(&path, "q", c->args[0]);
        add_param(&path, "from", cli_get(c, "--from"));
        add_param(&path, "to", cli_get(c, "--to"));
        add_param(&path, "cursor", cursor[0] ? cursor : NULL);
        buf_byte(&path, '\0');
        if (path.full)
            code = cli_usage(c, "the query is longer than 8192 bytes");
        else if (client_call(cl, "GET", path.p, (str){0}, &a, &e) < 0)
            code = cli_err(c, &e);
        else
            print_page(&p, buf_view(&a.body));
        snprintf(cursor, sizeof cursor, "%s", code == CLI_DONE ? a.cursor : "");
        buf_done(&path);
    } while (cursor[0] && p.rows < limit && !ferror(stdout));
    http_answer_done(&a);
    return code;
}

int cli_query(struct cli *c)
{
    const char *format = cli_get(c, "--format") ? cli_get(c, "--format") : "text";
    uint64_t limit = 100;
    struct client *cl = NULL;
    if (strcmp(format, "text") != 0 && strcmp(format, "ndjson") != 0 && strcmp(format, "csv") != 0)
        return cli_usage(c, "--format: expected text, ndjson or csv, got \"%s\"", format);
    if (cli_get(c, "--limit") && (!str_u64(str_of(cli_get(c, "--limit")), &limit) || limit == 0))
        return cli_usage(c, "--limit: expected a number of rows from 1 on, got \"%s\"", cli_get(c, "--limit"));
    int code = client_open(c, false, &cl);
    if (code != CLI_DONE)
        return code;
    code = run_query(c, cl, limit, format);
    client_close(cl);
    return code == CLI_DONE ? cli_flush(c) : code;
}
