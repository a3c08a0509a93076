/* cli_query.c - logd query and logd tail: what the server streams, printed as it comes; CSV in pages. */
#include "base/str.h"
#include "cli.h"
#include "cli_show.h"

#include <unistd.h>

#define PAGE 1000u         /* rows of a page of CSV */
#define STREAM_MAX 100000u /* rows of one streamed answer */

static void add_param(struct buf *path, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    buf_printf(path, "&%s=", name);
    buf_url(path, str_of(value), false);
}

/* False: it is too long. */
static bool query_path(const struct cli *c, const char *how, uint64_t rows, const char *cursor, struct buf *path)
{
    buf_printf(path, "/v1/query?%s&limit=%llu", how, (unsigned long long)rows);
    add_param(path, "q", c->args[0]);
    add_param(path, "from", cli_get(c, "--from"));
    add_param(path, "to", cli_get(c, "--to"));
    add_param(path, "cursor", cursor);
    buf_byte(path, '\0');
    return !path->full;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static int not_all(const struct cli *c)
{
    return cli_fail(c, "this is not all: the server ran out of time, or left damaged blocks out");
}

/* ---- streamed ---- */

static int take_line(void *arg, str line)
{
    show_line(arg, line);
    return ferror(stdout) ? -1 : 0;
}

static int stream_page(struct cli *c, struct client *cl, uint64_t rows, struct show *s)
{
    struct err e;
    struct buf path = BUF_INIT(64u << 10);
    struct client_lines to = {take_line, s};
    int code = CLI_DONE;
    bool fits = query_path(c, "stream=1", least(rows, STREAM_MAX), s->cursor, &path);
    s->ended = false;
    s->cursor[0] = '\0';
    if (!fits)
        code = cli_usage(c, "the query is longer than 8192 bytes");
    else if (client_lines(cl, path.p, 600 * USEC_PER_SEC, &to, &e) < 0 && !ferror(stdout))
        code = cli_err(c, &e);
    else if (s->error[0])
        code = cli_err(c, (err_at(&e, s->column, "%s", s->error), &e));
    else if (!s->ended && !ferror(stdout))
        code = cli_fail(c, "the answer was cut");
    buf_done(&path);
    return code;
}

static int run_stream(struct cli *c, struct client *cl, uint64_t limit, bool text)
{
    struct show s;
    int code;
    show_init(&s, text);
    do {
        code = stream_page(c, cl, limit - s.rows, &s);
    } while (code == CLI_DONE && s.cursor[0] && s.rows < limit && !ferror(stdout));
    if (s.partial && code == CLI_DONE)
        code = not_all(c);
    show_done(&s);
    return code;
}

/* ---- CSV ---- */

/* Lines, without the header; those inside quotes belong to their cell. */
static uint64_t count_csv(str body)
{
    uint64_t n = 0;
    bool quoted = false;
    for (size_t i = 0; i < body.n; i++) {
        quoted ^= body.p[i] == '"';
        n += body.p[i] == '\n' && !quoted;
    }
    return n - (n > 0);
}

/* A later page's header line is left out. */
static void print_csv(str body, bool first)
{
    struct buf safe = BUF_INIT(1u << 30);
    if (!first)
        (void)str_cut(&body, '\n');
    if (isatty(STDOUT_FILENO)) {
        text_visible(&safe, body, true);
        body = buf_view(&safe);
    }
    if (body.n)
        fwrite(body.p, 1, body.n, stdout);
    buf_done(&safe);
}

static int csv_page(struct cli *c, struct client *cl, uint64_t rows, const char *cursor, struct http_answer *ret)
{
    struct err e;
    struct buf path = BUF_INIT(64u << 10);
    int code = CLI_DONE;
    if (!query_path(c, "format=csv", least(rows, PAGE), cursor, &path))
        code = cli_usage(c, "the query is longer than 8192 bytes");
    else if (client_call(cl, "GET", path.p, (str){0}, ret, &e) < 0)
        code = cli_err(c, &e);
    buf_done(&path);
    return code;
}

static int run_csv(struct cli *c, struct client *cl, uint64_t limit)
{
    struct http_answer a = {0};
    char cursor[sizeof a.cursor] = "";
    uint64_t rows = 0;
    bool partial = false;
    int code;
    do {
        code = csv_page(c, cl, limit - rows, cursor, &a);
        if (code != CLI_DONE)
            break;
        print_csv(buf_view(&a.body), cursor[0] == '\0');
        rows += count_csv(buf_view(&a.body));
        partial |= a.partial;
        snprintf(cursor, sizeof cursor, "%s", a.cursor);
    } while (cursor[0] && rows < limit && !ferror(stdout));
    http_answer_done(&a);
    return code == CLI_DONE && partial ? not_all(c) : code;
}

/* ---- commands ---- */

/* A terminal gets text, a pipe NDJSON. */
static const char *format_of(const struct cli *c)
{
    const char *format = cli_get(c, "--format");
    return format ? format : isatty(STDOUT_FILENO) ? "text" : "ndjson";
}

int cli_query(struct cli *c)
{
    const char *format = format_of(c);
    bool text = strcmp(format, "text") == 0, csv = strcmp(format, "csv") == 0;
    uint64_t limit = 100;
    struct client *cl = NULL;
    if (!text && !csv && strcmp(format, "ndjson") != 0)
        return cli_usage(c, "--format: expected text, ndjson or csv, got \"%s\"", format);
    if (cli_get(c, "--limit") && (!str_u64(str_of(cli_get(c, "--limit")), &limit) || limit == 0))
        return cli_usage(c, "--limit: expected a number of rows from 1 on, got \"%s\"", cli_get(c, "--limit"));
    int code = client_open(c, false, &cl);
    if (code != CLI_DONE)
        return code;
    code = csv ? run_csv(c, cl, limit) : run_stream(c, cl, limit, text);
    client_close(cl);
    return code == CLI_DONE ? cli_flush(c) : code;
}

struct following {
    struct show show;
    bool dropped; /* the next data line says how many */
};

static int take_frame(void *arg, str line)
{
    struct following *f = arg;
    if (str_starts(line, S("event: dropped")))
        f->dropped = true;
    if (!str_starts(line, S("data: ")))
        return 0;
    line = str_skip(line, sizeof "data: " - 1);
    if (f->dropped) { /* {"dropped":N} */
        str rest = str_skip(line, sizeof "{\"dropped\":" - 1);
        fprintf(stderr, "logd: tail: %.*s events were lost: this reads too slowly\n", STR_ARG(str_cut(&rest, '}')));
    } else {
        show_event(&f->show, line);
    }
    f->dropped = false;
    return fflush(stdout) == 0 ? 0 : -1;
}

/* Until it is interrupted, or the server stops. */
int cli_tail(struct cli *c)
{
    const char *format = format_of(c);
    bool text = strcmp(format, "text") == 0;
    struct client *cl = NULL;
    struct err e;
    struct buf path = BUF_INIT(64u << 10);
    struct following f = {.dropped = false};
    struct client_lines to = {take_frame, &f};
    if (!text && strcmp(format, "ndjson") != 0)
        return cli_usage(c, "--format: expected text or ndjson, got \"%s\"", format);
    if (!cli_get(c, "--server") && !client_running(c))
        return cli_fail(c, "no server runs on the data folder, so nothing new comes");
    int code = client_open(c, false, &cl);
    if (code != CLI_DONE)
        return code;
    show_init(&f.show, text);
    buf_lit(&path, "/v1/tail?");
    add_param(&path, "q", c->args_n ? c->args[0] : "");
    buf_byte(&path, '\0');
    if (path.full)
        code = cli_usage(c, "the filter is longer than 8192 bytes");
    else if (client_lines(cl, path.p, -1, &to, &e) < 0 && !ferror(stdout))
        code = cli_err(c, &e);
    else
        code = ferror(stdout) ? cli_flush(c) : cli_fail(c, "the server stopped");
    show_done(&f.show);
    buf_done(&path);
    client_close(cl);
    return code;
}
