/* cli_debug.c - logd debug: shows how the program decides; needs no server and no data folder. */
#include "cli.h"
#include "base/str.h"
#include "event/event.h"
#include "intake/debug.h"
#include "issues/debug.h"
#include "journal/journal.h"
#include "query/sql.h"
#include "rules/detect.h"
#include "stats/debug.h"
#include "stats/sketch.h"
#include "store/store.h"

/* What was printed is flushed first, so that the reason comes last. */
static int finish(const struct cli *c, int rc, const struct err *e)
{
    int code = cli_flush(c);
    return rc < 0 ? cli_err(c, e) : code;
}

int cli_debug_group(struct cli *c)
{
    struct err e;
    const char *app = cli_get(c, "--app") ? cli_get(c, "--app") : "app";
    bool traces = cli_get(c, "--errors") != NULL;
    if (!traces && c->args_n)
        return cli_usage(c, "lines come on stdin: unexpected \"%s\"", c->args[0]);
    if (traces && c->args_n == 0)
        return cli_usage(c, "--errors: expected files after it, one trace in each");
    int rc = traces ? debug_group_errors(app, c->args, c->args_n, stdout, &e) : debug_group(app, stdin, stdout, &e);
    return finish(c, rc, &e);
}

int cli_debug_parse(struct cli *c)
{
    int code = debug_parse(stdin, stdout);
    return code == CLI_DONE ? cli_flush(c) : code;
}

/* `-p N` or `-pN`: one letter is no option of ours elsewhere. */
int cli_debug_sketch(struct cli *c)
{
    struct err e;
    int64_t p = SKETCH_P;
    str value = c->args_n == 2 ? str_of(c->args[1]) : c->args_n ? str_skip(str_of(c->args[0]), 2) : S("13");
    if (c->args_n && !(c->args_n == 2 ? strcmp(c->args[0], "-p") == 0 : strncmp(c->args[0], "-p", 2) == 0))
        return cli_usage(c, "hashes come on stdin: unexpected \"%s\"", c->args[0]);
    if (!str_i64(value, &p) || p < SKETCH_P_MIN || p > SKETCH_P_MAX)
        return cli_usage(c, "-p: expected %d to %d, got \"%.*s\"", SKETCH_P_MIN, SKETCH_P_MAX, STR_ARG(value));
    return finish(c, debug_sketch((int)p, stdin, stdout, &e), &e);
}

static int detect_line(struct detect *d, str line, struct err *e)
{
    str value = line, time = str_trim(str_cut(&value, ','));
    nsec at;
    double v;
    int digits;
    if (!value.p || !str_double(str_trim(value), &v))
        return err_set(e, ERR_INPUT, "expected \"time,number\", got \"%.*s\"", STR_ARG(str_head(line, 60)));
    if (time_read(time, &at, &digits, e) < 0)
        return -1;
    printf("%.*s,%.*s,%.4f\n", STR_ARG(time), STR_ARG(str_trim(value)), detect_next(d, at / 1000, v));
    return 0;
}

/* The first line may name the columns. */
int cli_debug_detect(struct cli *c)
{
    struct detect d = {0};
    struct err e, why;
    char *line = NULL;
    size_t cap = 0, number = 0;
    int rc = 0;
    FILE *f = fopen(c->args[0], "re");
    if (!f)
        return cli_err(c, (err_sys(&e, "open '%s'", c->args[0]), &e));
    puts("timestamp,value,score");
    for (ssize_t n; rc == 0 && (n = getline(&line, &cap, f)) >= 0;) {
        str text = str_trim(str_n(line, (size_t)n));
        bool names = number++ == 0 && text.n && !strchr("0123456789", text.p[0]);
        if (text.n && !names && detect_line(&d, text, &why) < 0)
            rc = err_set(&e, ERR_INPUT, "%s:%zu: %s", c->args[0], number, why.text);
    }
    if (rc == 0 && ferror(f))
        rc = err_sys(&e, "read %s", c->args[0]);
    free(line);
    fclose(f);
    return finish(c, rc, &e);
}

int cli_debug_journal(struct cli *c)
{
    struct err e;
    return finish(c, journal_debug(c->args[0], stdout, &e), &e);
}

int cli_debug_segment(struct cli *c)
{
    struct err e;
    return finish(c, store_debug(c->args[0], stdout, &e), &e);
}

int cli_debug_sql(struct cli *c)
{
    enum sql_dialect dialect = cli_get(c, "--sqlite") ? SQL_SQLITE : SQL_CLICKHOUSE;
    struct buf sql = BUF_INIT(16 << 20);
    struct filter *f;
    struct err e;
    if (filter_parse(str_of(c->args[0]), &f, &e) < 0)
        return cli_err(c, &e);
    sql_condition(f, dialect, &sql);
    printf("%sSELECT line FROM events WHERE %.*s;\n", cli_get(c, "--schema") ? sql_schema(dialect) : "",
           STR_ARG(buf_view(&sql)));
    buf_done(&sql);
    filter_free(f);
    return cli_flush(c);
}
