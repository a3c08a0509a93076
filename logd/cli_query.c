/* cli_query.c - logd query: pages of GET /v1/query, printed as they come. */
#include "base/str.h"
#include "cli.h"

#include <unistd.h>

#define PAGE 1000u

struct printing {
    const char *format;
    bool csv, first; /* a later page's header line is left out */
    bool terminal;   /* nothing that steers it may get through */
    bool partial;    /* the server ran out of time or left damaged blocks out */
    uint64_t rows;
};

/* Lines; in CSV those inside quotes belong to their cell. */
static uint64_t count_rows(const struct printing *p, str body)
{
    uint64_t n = 0;
    bool quoted = false;
    for (size_t i = 0; i < body.n; i++) {
        quoted ^= p->csv && body.p[i] == '"';
        n += body.p[i] == '\n' && !quoted;
    }
    return n - (p->csv && n > 0); /* its header */
}

static void print_page(struct printing *p, const struct http_answer *a)
{
    str body = buf_view(&a->body);
    struct buf safe = BUF_INIT(1u << 30);
    p->rows += count_rows(p, body);
    p->partial |= a->partial;
    if (p->csv && !p->first)
        (void)str_cut(&body, '\n');
    p->first = false;
    if (p->terminal) {
        text_visible(&safe, body, true);
        body = buf_view(&safe);
    }
    if (body.n)
        fwrite(body.p, 1, body.n, stdout);
    buf_done(&safe);
}

static void add_param(struct buf *path, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    buf_printf(path, "&%s=", name);
    buf_url(path, str_of(value), false);
}

static int ask_page(struct cli *c, struct client *cl, struct printing *p, uint64_t rows, const char *cursor,
                    struct http_answer *ret)
{
    struct err e;
    struct buf path = BUF_INIT(64u << 10);
    int code = CLI_DONE;
    buf_printf(&path, "/v1/query?format=%s&limit=%llu", p->format, (unsigned long long)(rows < PAGE ? rows : PAGE));
    add_param(&path, "q", c->args[0]);
    add_param(&path, "from", cli_get(c, "--from"));
    add_param(&path, "to", cli_get(c, "--to"));
    add_param(&path, "cursor", cursor);
    buf_byte(&path, '\0');
    if (path.full)
        code = cli_usage(c, "the query is longer than 8192 bytes");
    else if (client_call(cl, "GET", path.p, (str){0}, ret, &e) < 0)
        code = cli_err(c, &e);
    buf_done(&path);
    return code;
}

static int run_query(struct cli *c, struct client *cl, uint64_t limit, struct printing *p)
{
    struct http_answer a = {0};
    char cursor[sizeof a.cursor] = "";
    int code;
    do {
        code = ask_page(c, cl, p, limit - p->rows, cursor, &a);
        if (code == CLI_DONE)
            print_page(p, &a);
        snprintf(cursor, sizeof cursor, "%s", a.cursor);
    } while (code == CLI_DONE && cursor[0] && p->rows < limit && !ferror(stdout));
    http_answer_done(&a);
    if (p->partial && code == CLI_DONE)
        code = cli_fail(c, "this is not all: the server ran out of time, or left damaged blocks out");
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
    struct printing p = {.format = format, .csv = strcmp(format, "csv") == 0, .first = true};
    p.terminal = strcmp(format, "text") == 0 || isatty(STDOUT_FILENO);
    code = run_query(c, cl, limit, &p);
    client_close(cl);
    return code == CLI_DONE ? cli_flush(c) : code;
}
