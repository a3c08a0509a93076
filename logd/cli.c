/* cli.c - the table of commands, and how one is found, told what it was given, and explained. */
#include "cli.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/yaml.h"
#include "serve.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <unistd.h>

#define OPTIONS(...)                                                                                                   \
    (const struct cli_option[])                                                                                        \
    {                                                                                                                  \
        __VA_ARGS__, { NULL, NULL, NULL }                                                                              \
    }
#define CLIENT CLI_DATA, CLI_CONFIG, CLI_SERVER
#define FROM                                                                                                           \
    {                                                                                                                  \
        "--from", "T", "from this time on: RFC 3339, epoch, or -15m (-1h)"                                             \
    }
#define TO                                                                                                             \
    {                                                                                                                  \
        "--to", "T", "before this time (now)"                                                                          \
    }

static const struct cli_command commands[] = {
    {"serve", "[--config F] [--data DIR] [--listen ADDR:PORT]",
     "Runs the server. Without a config it keeps ./logd-data and listens on 127.0.0.1:5080.",
     "logd serve --config /etc/logd/logd.yaml",
     OPTIONS({"--config", "FILE", "the config file, see logd.conf(5)"},
             {"--data", "DIR", "the data folder (./logd-data)"},
             {"--listen", "ADDR:PORT", "where to listen; port 0 picks a free one (127.0.0.1:5080)"},
             {"--test-clock", NULL, "for tests: the clock can be moved forward through DIR/sock"}),
     .main = serve_main},
    {"app add", "NAME",
     "Adds an app: what posts events. 1 to 64 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit.",
     "logd app add shop", OPTIONS(CLIENT), 1, 1, .run = cli_app_add},
    {"app list", "", "Lists the apps with their keys' names and Sentry DSN; put a key where the DSN says KEY.",
     "logd app list", OPTIONS(CLIENT), 0, 0, .run = cli_app_list},
    {"app remove", "NAME", "Removes an app: its keys are dead at once, its events stay.", "logd app remove shop",
     OPTIONS(CLIENT), 1, 1, .run = cli_app_remove},
    {"key add", "--app NAME --role ROLE [--origin URL]... [--rate N/min]",
     "Makes a key and prints it, alone and only this once; a hash is kept.", "logd key add --app shop --role ingest",
     OPTIONS({"--app", "NAME", "the app it is for"},
             {"--role", "ROLE", "ingest, browser, deploy, read, logins or admin"},
             {"--origin", "URL", "where pages may use it from; only and always for role browser, may be repeated"},
             {"--rate", "N/min", "events a minute it may post (no limit; browser: 1000/min)"}, CLIENT),
     0, 0, .run = cli_key_add},
    {"key list", "", "Lists the keys: what they are for and when they were last used, not the keys themselves.",
     "logd key list", OPTIONS(CLIENT), 0, 0, .run = cli_key_list},
    {"key revoke", "ID", "Ends a key at once. ID is the number of `logd key list`.", "logd key revoke 3",
     OPTIONS(CLIENT), 1, 1, .run = cli_key_revoke},
    {"user add", "EMAIL [--role viewer|editor|admin]",
     "Adds somebody who may sign in. The password is asked for twice, or read as one line from stdin.",
     "logd user add ann@example.com --role admin",
     OPTIONS({"--role", "ROLE", "viewer, editor or admin (viewer)"}, CLIENT), 1, 1, .run = cli_user_add},
    {"user passwd", "EMAIL", "Sets a new password, asked for as by `user add`, and ends all sessions of the user.",
     "logd user passwd ann@example.com", OPTIONS(CLIENT), 1, 1, .run = cli_user_passwd},
    {"user list", "", "Lists who may sign in.", "logd user list", OPTIONS(CLIENT), 0, 0, .run = cli_user_list},
    {"user remove", "EMAIL", "Removes a user and ends all sessions.", "logd user remove ann@example.com",
     OPTIONS(CLIENT), 1, 1, .run = cli_user_remove},
    {"share add", "NAME STAT... [--app A]",
     "Makes a page of stats that whoever has its link sees without signing in, and prints the link, only this once. STAT is "
     "a name, or 'NAME by LABEL'.",
     "logd share add 'Our numbers' visitors 'pic.upload by kind'",
     OPTIONS({"--app", "NAME", "only what this app counts"}, CLIENT), 2, UINT_MAX, .run = cli_share_add},
    {"share list", "", "Lists the shared pages: what they show, not their links.", "logd share list", OPTIONS(CLIENT),
     0, 0, .run = cli_share_list},
    {"share remove", "ID",
     "Ends a shared page: its link shows nothing any more. ID is the number of `logd share list`.",
     "logd share remove 3", OPTIONS(CLIENT), 1, 1, .run = cli_share_remove},
    {"query", "'FILTER | STAGE' [--from T] [--to T] [--limit N] [--format text|ndjson|csv]",
     "Searches, newest first. A terminal gets text, tables and bars, a pipe NDJSON. Control characters are shown, never "
     "sent to the terminal.",
     "logd query 'level>=error app:shop | count by host' --from -1d",
     OPTIONS(FROM, TO, {"--limit", "N", "rows at most (100)"}, {"--format", "FORMAT", "text, ndjson or csv"}, CLIENT),
     1, 1, .run = cli_query},
    {"tail", "['FILTER']", "Follows new events, like tail -f. A terminal gets text, a pipe NDJSON.",
     "logd tail 'level>=warn'", OPTIONS({"--format", "FORMAT", "text or ndjson"}, CLIENT), 0, 1, .run = cli_tail},
    {"issues list", "['FILTER'] [--state S] [--order O]",
     "Lists issues, the open ones unless said; FILTER asks for their fields.", "logd issues list 'count>100 type:db.*'",
     OPTIONS({"--state", "STATE", "open, resolved, muted or all"}, {"--app", "NAME", "of this app only"},
             {"--order", "ORDER", "last_seen, rank or count"}, {"--limit", "N", "rows at most (100)"}, CLIENT),
     0, 1, .run = cli_issues_list},
    {"issues resolve", "ID... [--in-release R]",
     "Resolves issues: the next event opens them again, or with --in-release the next of that release or a newer one.",
     "logd issues resolve 89abcdef01234567 --in-release 1.4",
     OPTIONS({"--in-release", "RELEASE", "the release that has the fix, or \"next\""}, CLIENT), 1, UINT_MAX,
     .run = cli_issues_resolve},
    {"issues regroup", "[--dry-run] [--to VERSION]",
     "Goes to another version of grouping, the newest unless said; issues keep their ids. With --dry-run it only says what "
     "that would join and split of the last 30 days.",
     "logd issues regroup --dry-run",
     OPTIONS({"--dry-run", NULL, "change nothing"}, {"--to", "VERSION", "of grouping (the newest)"}, CLIENT), 0, 0,
     .run = cli_issues_regroup},
    {"rules check", "F...", "Reads rule files and says what is wrong with them, with line and column.",
     "logd rules check rules/*.yaml", .args_min = 1, .args_max = UINT_MAX, .main = rules_check_main},
    {"rules test", "F...", "Runs the tests that stand in rule files.", "logd rules test rules/*.yaml", .args_min = 1,
     .args_max = UINT_MAX, .main = rules_check_main},
    {"rules import-sigma", "F...", "Turns Sigma rules into ours, and says why it cannot the others.",
     "logd rules import-sigma sigma/*.yml > rules/sigma.yaml", .args_min = 1, .args_max = UINT_MAX,
     .main = rules_import_main},
    {"rules backtest", "[--from T] [--to T] [--events NDJSON] [--mails OUT] [F...]",
     "Replays stored events, or a file of them, through rules.", "logd rules backtest --from -7d",
     OPTIONS(FROM, TO, {"--events", "FILE", "events as JSON lines instead of stored ones"},
             {"--mails", "FILE", "one JSON object per mail it would have sent"}, CLIENT),
     .args_max = UINT_MAX, .run = cli_backtest},
    {"mail test", "ADDRESS",
     "Sends one mail through the configured transport, now, and says what the mail server said.",
     "logd mail test ops@example.com", OPTIONS(CLIENT), 1, 1, .run = cli_mail_test},
    {"bounce", "",
     "Reads a mail that came back (RFC 3464) from stdin and notes what became of ours; for good, the others are told.",
     "logd bounce < message", OPTIONS(CLIENT), 0, 0, .run = cli_bounce},
    {"archive list", "", "What is in the archive.", "logd archive list", OPTIONS(CLIENT), 0, 0,
     .run = cli_archive_list},
    {"archive verify", "", "Reads every object of the archive and says whether it is whole.", "logd archive verify",
     OPTIONS(CLIENT), 0, 0, .run = cli_archive_verify},
    {"archive ship", "", "Ships what is not in the archive yet, now.", "logd archive ship", OPTIONS(CLIENT), 0, 0,
     .run = cli_archive_ship},
    {"restore", "--from ARCHIVE_URL --data DIR", "Rebuilds everything in an empty folder from an archive.",
     "logd restore --from s3://logs/prod --data /var/lib/logd --config /etc/logd/logd.yaml",
     OPTIONS({"--from", "URL", "s3://BUCKET/PREFIX or file:///DIR (the config's archive)"},
             {"--data", "DIR", "the folder to fill; it must be empty or absent"},
             {"--skip-damaged", NULL, "go without the objects that are damaged or gone, and say what is missing"},
             {"--config", "FILE", "the config file, for the archive's endpoint and secrets"}),
     0, 0, .run = cli_restore},
    {"erase", "'FILTER' [--from T] [--to T]", "Erases matching events, archive included, and prints a receipt.",
     "logd erase 'user:ann@example.com'", OPTIONS(FROM, TO, CLIENT), .args_max = 1},
    {"doctor", "", "Checks config, disk, clock, SMTP, S3 and keys, and says what to do.", "logd doctor",
     OPTIONS(CLI_DATA, CLI_CONFIG), .args_max = 0},
    {"export", "[FILTER] [--from T] [--to T]", "Writes events in the open format to stdout.",
     "logd export 'app:shop' > shop.ndjson", OPTIONS(FROM, TO, CLIENT), .args_max = 1},
    {"import", "FILE", "Reads events in the open format.", "logd import shop.ndjson", OPTIONS(CLIENT), .args_max = 1},
    {"backup", "FILE", "Writes a copy of the small state while the server runs.", "logd backup logd.backup",
     OPTIONS(CLIENT), .args_max = 1},
    {"maps put", "--app A --release R DIR",
     "Uploads the source maps of a build, minified files with them, and prints for each one place that it resolved. A map "
     "that cannot be used is refused with the reason, and so is a folder without any.",
     "logd maps put --app shop --release 1.4 dist/",
     OPTIONS({"--app", "NAME", "the app; a deploy key has its own"},
             {"--release", "RELEASE", "as the app's events name it"}, CLIENT),
     1, 1, .run = cli_maps_put},
    {"maps list", "[--app A]", "Lists the source maps, and the frames that stayed minified: why, and what to do.",
     "logd maps list --app shop", OPTIONS({"--app", "NAME", "of this app only"}, CLIENT), 0, 0, .run = cli_maps_list},
    {"maps remove", "--app A --release R [--path P]", "Removes the source maps of a release, or that of one file.",
     "logd maps remove --app shop --release 1.3",
     OPTIONS({"--app", "NAME", "the app"}, {"--release", "RELEASE", "the release"},
             {"--path", "PATH", "of one minified file, as maps list shows it"}, CLIENT),
     0, 0, .run = cli_maps_remove},
    {"debug group", "[--app A] < LINES",
     "Prints the id of the issue each line would belong to; with --errors, one id for each file that holds a trace.",
     "logd debug group < app.log",
     OPTIONS({"--app", "NAME", "as an event of this app (app)"},
             {"--errors", NULL, "the words are files, one trace in each"}),
     0, UINT_MAX, .run = cli_debug_group},
    {"debug parse", "< EVENTS",
     "Prints each event as it would be stored, or {\"error\",\"pointer\"}; one JSON object a line.",
     "echo '{\"level\":\"warn\",\"msg\":\"hi\"}' | logd debug parse", NULL, 0, 0, .run = cli_debug_parse},
    {"debug detect", "FILE.csv", "Scores a series of (timestamp,value).", "logd debug detect cpu.csv", NULL, 1, 1,
     .run = cli_debug_detect},
    {"debug sketch", "[-p 13] < HASHES",
     "Prints the sketch of 64-bit hashes in hex, one a line: cells set of each level, estimate, stored form.",
     "logd debug sketch -p 12 < hashes", NULL, 0, 2, .run = cli_debug_sketch},
    {"debug journal", "FILE", "Prints what is in a journal file, and whether it is whole.",
     "logd debug journal logd-data/journal/00000001.j", NULL, 1, 1, .run = cli_debug_journal},
    {"debug segment", "FILE", "Prints what is in a segment file, and whether it is whole.",
     "logd debug segment logd-data/segments/1.seg", NULL, 1, 1, .run = cli_debug_segment},
    {"debug sql", "[--sqlite] [--schema] 'FILTER'", "Prints a filter as SQL for ClickHouse, or for SQLite.",
     "logd debug sql 'level>=error ip:10.0.0.0/8'",
     OPTIONS({"--sqlite", NULL, "for SQLite"}, {"--schema", NULL, "and before it the tables that it asks"}), 1, 1,
     .run = cli_debug_sql},
};

const char *cli_get(const struct cli *c, const char *name)
{
    for (size_t i = c->given_n; i > 0; i--)
        if (strcmp(c->given[i - 1].option->name, name) == 0)
            return c->given[i - 1].value;
    return NULL;
}

const char *cli_nth(const struct cli *c, const char *name, size_t n)
{
    for (size_t i = 0; i < c->given_n; i++)
        if (strcmp(c->given[i].option->name, name) == 0 && n-- == 0)
            return c->given[i].value;
    return NULL;
}

/* "logd: WHAT: WHY", whatever is in it. */
static void say(const char *what, const char *fmt, va_list ap)
{
    char text[1200];
    struct buf line = BUF_INIT(16384);
    vsnprintf(text, sizeof text, fmt, ap);
    buf_lit(&line, "logd: ");
    text_visible(&line, str_of(what), false);
    buf_lit(&line, ": ");
    text_visible(&line, str_of(text), false);
    buf_byte(&line, '\n');
    (void)!write(STDERR_FILENO, line.p, line.n);
    buf_done(&line);
}

int cli_fail(const struct cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c->command->name, fmt, ap);
    va_end(ap);
    return CLI_FAILED;
}

int cli_usage(const struct cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c->command->name, fmt, ap);
    va_end(ap);
    return CLI_USAGE;
}

int cli_err(const struct cli *c, const struct err *e)
{
    if (e->column && e->line)
        return cli_fail(c, "line %zu, column %zu: %s", e->line, e->column, e->text);
    return e->column ? cli_fail(c, "column %zu: %s", e->column, e->text) : cli_fail(c, "%s", e->text);
}

int cli_flush(const struct cli *c)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CLI_DONE;
    return errno == EPIPE ? CLI_FAILED
                          : cli_fail(c, "write to stdout: %s", strerror(errno)); /* `| head` has seen enough */
}

static int wrong(const char *what, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int wrong(const char *what, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(what, fmt, ap);
    va_end(ap);
    return CLI_USAGE;
}

/* ---- help ---- */

static str first_word(const struct cli_command *k)
{
    str rest = str_of(k->name);
    return str_cut(&rest, ' ');
}

static int help_all(void)
{
    printf("usage: logd COMMAND ...; logd COMMAND --help says more\n\n");
    for (size_t i = 0; i < LENGTH(commands); i++)
        printf(commands[i].usage[0] ? "  %-20s%s\n" : "  %s%s\n", commands[i].name, commands[i].usage);
    printf("\nlogd --version prints the version. Manual: logd(8).\n");
    return CLI_DONE;
}

static int help_group(str word)
{
    printf("usage:\n");
    for (size_t i = 0; i < LENGTH(commands); i++)
        if (str_eq(first_word(&commands[i]), word))
            printf("  logd %s%s%s\n      %s\n", commands[i].name, commands[i].usage[0] ? " " : "", commands[i].usage,
                   commands[i].help);
    return CLI_DONE;
}

static int help_one(const struct cli_command *k)
{
    printf("usage: logd %s%s%s\n\n%s\n", k->name, k->usage[0] ? " " : "", k->usage, k->help);
    if (!k->run && !k->main)
        printf("Not there yet in logd %s.\n", LOGD_VERSION);
    if (k->options)
        printf("\n");
    for (const struct cli_option *o = k->options; o && o->name; o++) {
        char both[64];
        snprintf(both, sizeof both, "%s %s", o->name, o->value ? o->value : "");
        printf("  %-22s%s\n", both, o->help);
    }
    printf("\nexample:\n  %s\n", k->example);
    return CLI_DONE;
}

/* ---- options ---- */

static int unknown_option(const struct cli *c, str name)
{
    const char *known[16], *near;
    size_t n = 0;
    for (const struct cli_option *o = c->command->options; o && o->name; o++)
        known[n++] = o->name;
    near = nearest_name(name, known, n);
    if (near)
        return cli_usage(c, "unknown option \"%.*s\", did you mean %s?", STR_ARG(str_head(name, 80)), near);
    return cli_usage(c, "unknown option \"%.*s\": see logd %s --help", STR_ARG(str_head(name, 80)), c->command->name);
}

/* Takes the option at argv[*i], and its value. */
static int take_option(struct cli *c, int argc, char **argv, int *i)
{
    str value = str_of(argv[*i]), name = str_cut(&value, '=');
    const struct cli_option *o = c->command->options;
    while (o && o->name && !str_eq(name, str_of(o->name)))
        o++;
    if (!o || !o->name)
        return unknown_option(c, name);
    if (!o->value && value.p)
        return cli_usage(c, "%s takes no value", o->name);
    if (o->value && !value.p) {
        if (*i + 1 >= argc)
            return cli_usage(c, "%s: expected %s after it", o->name, o->value);
        value = str_of(argv[++*i]);
    }
    c->given[c->given_n++] = (struct cli_given){o, value.p ? value.p : ""};
    return CLI_DONE;
}

static int count_args(const struct cli *c)
{
    const struct cli_command *k = c->command;
    if (c->args_n >= k->args_min && c->args_n <= k->args_max)
        return CLI_DONE;
    if (c->args_n > k->args_max)
        return cli_usage(c, "unexpected \"%s\": usage is logd %s %s", c->args[k->args_max], k->name, k->usage);
    return cli_usage(c, "expected more: usage is logd %s %s", k->name, k->usage);
}

/* Only `--name` is an option: '-level:debug' is a filter, and "-15m" a time. */
static int read_args(struct cli *c, int argc, char **argv)
{
    bool words_only = false;
    for (int i = 0; i < argc; i++) {
        str a = str_of(argv[i]);
        if (!words_only && str_eq(a, S("--")))
            words_only = true;
        else if (words_only || !str_starts(a, S("--")))
            c->args[c->args_n++] = argv[i];
        else if (take_option(c, argc, argv, &i) != CLI_DONE)
            return CLI_USAGE;
    }
    return count_args(c);
}

static int run(const struct cli_command *k, int argc, char **argv)
{
    struct cli c = {.command = k};
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help_one(k);
    if (!k->run && !k->main)
        return cli_fail(&c, "not there yet in logd %s", LOGD_VERSION);
    c.given = xcalloc((size_t)argc + 1, sizeof *c.given);
    c.args = xcalloc((size_t)argc + 1, sizeof *c.args);
    int code = read_args(&c, argc, argv);
    if (code == CLI_DONE)
        code = k->main ? k->main(argc + 1, argv - 1) : k->run(&c);
    free(c.given);
    free(c.args);
    return code;
}

/* ---- finding the command ---- */

/* The command, or NULL: *ret_words is then 0 when nothing starts with argv[0], else 1. */
static const struct cli_command *find(int argc, char **argv, int *ret_words)
{
    *ret_words = 0;
    for (size_t i = 0; i < LENGTH(commands); i++) {
        str rest = str_of(commands[i].name), first = str_cut(&rest, ' ');
        if (!str_eq(first, str_of(argv[0])))
            continue;
        *ret_words = rest.p ? 2 : 1;
        if (!rest.p || (argc > 1 && str_eq(rest, str_of(argv[1]))))
            return &commands[i];
        *ret_words = 1;
    }
    return NULL;
}

static int unknown_command(const char *word)
{
    const char *known[LENGTH(commands)], *near;
    char words[LENGTH(commands)][16];
    for (size_t i = 0; i < LENGTH(commands); i++) {
        snprintf(words[i], sizeof words[i], "%.*s", STR_ARG(first_word(&commands[i])));
        known[i] = words[i];
    }
    near = nearest_name(str_of(word), known, LENGTH(known));
    if (near)
        return wrong(word, "unknown command, did you mean %s?", near);
    return wrong(word, "unknown command: see logd --help");
}

/* "logd key" or "logd key ad": what could follow. */
static int unknown_second(const char *first, const char *second)
{
    const char *known[LENGTH(commands)], *near;
    struct buf list = BUF_INIT(1000);
    size_t n = 0;
    for (size_t i = 0; i < LENGTH(commands); i++) {
        str rest = str_of(commands[i].name);
        if (!str_eq(str_cut(&rest, ' '), str_of(first)))
            continue;
        buf_printf(&list, "%s%s", n ? ", " : "", rest.p);
        known[n++] = rest.p;
    }
    near = second ? nearest_name(str_of(second), known, n) : NULL;
    if (near)
        wrong(first, "unknown \"%s\", did you mean %s?", second, near);
    else
        wrong(first, "expected one of %.*s, got %s%s%s", STR_ARG(buf_view(&list)), second ? "\"" : "",
              second ? second : "nothing", second ? "\"" : "");
    buf_done(&list);
    return CLI_USAGE;
}

int cli_main(int argc, char **argv)
{
    int words;
    signal(SIGPIPE, SIG_IGN);
    json_set_alloc_funcs(malloc, secret_free);
    if (argc < 2)
        return wrong("usage", "expected a command, such as serve, app, key or query: see logd --help");
    if (strcmp(argv[1], "--version") == 0)
        return printf("logd %s\n", LOGD_VERSION) > 0 && fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (strcmp(argv[1], "help") == 0 && argc == 2))
        return help_all();
    const struct cli_command *k = find(argc - 1, argv + 1, &words);
    if (k)
        return run(k, argc - 1 - words, argv + 1 + words);
    if (words == 0)
        return unknown_command(argv[1]);
    if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
        return help_group(str_of(argv[1]));
    return unknown_second(argv[1], argc > 2 ? argv[2] : NULL);
}
