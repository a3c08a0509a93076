/* cli_debug.c - logd debug: shows how the program decides; needs no server and no data folder. */
#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"
#include "cli.h"
#include "intake/debug.h"
#include "issues/issues.h"
#include "journal/journal.h"
#include "store/store.h"

#define TRACE_MAX (16u << 20)

static const char *app_of(const struct cli *c) { return cli_get(c, "--app") ? cli_get(c, "--app") : "app"; }

static int group_lines(struct cli *c)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    struct arena a = {0};
    while ((n = getline(&line, &cap, stdin)) >= 0) {
        struct fingerprint fp;
        str text = str_n(line, (size_t)n);
        if (str_ends(text, S("\n")))
            text.n--;
        fingerprint_text(str_of(app_of(c)), text, &a, &fp);
        printf("%s\n", fp.id);
        arena_reset(&a);
    }
    int code = ferror(stdin) ? cli_fail(c, "stdin could not be read") : CLI_DONE;
    arena_done(&a);
    free(line);
    return code;
}

static int group_traces(struct cli *c)
{
    struct err e;
    struct arena a = {0};
    struct buf trace = BUF_INIT(TRACE_MAX);
    int code = CLI_DONE;
    for (size_t i = 0; i < c->args_n && code == CLI_DONE; i++) {
        struct fingerprint fp;
        buf_reset(&trace);
        if (file_read(c->args[i], TRACE_MAX, &trace, &e) < 0) {
            code = cli_err(c, &e);
            break;
        }
        fingerprint_trace(str_of(app_of(c)), buf_view(&trace), &a, &fp);
        printf("%s\n", fp.id);
        arena_reset(&a);
    }
    buf_done(&trace);
    arena_done(&a);
    return code;
}

int cli_debug_group(struct cli *c)
{
    bool traces = cli_get(c, "--errors") != NULL;
    if (!traces && c->args_n)
        return cli_usage(c, "lines come on stdin: unexpected \"%s\"", c->args[0]);
    if (traces && c->args_n == 0)
        return cli_usage(c, "--errors: expected files after it, one trace in each");
    int code = traces ? group_traces(c) : group_lines(c);
    return code == CLI_DONE ? cli_flush(c) : code;
}

int cli_debug_parse(struct cli *c)
{
    int code = debug_parse(stdin, stdout);
    return code == CLI_DONE ? cli_flush(c) : code;
}

int cli_debug_journal(struct cli *c)
{
    struct err e;
    int rc = journal_debug(c->args[0], stdout, &e);
    int code = cli_flush(c);
    return rc < 0 ? cli_err(c, &e) : code;
}

int cli_debug_segment(struct cli *c)
{
    struct err e;
    int rc = store_debug(c->args[0], stdout, &e);
    int code = cli_flush(c);
    return rc < 0 ? cli_err(c, &e) : code;
}
