/* cli.h - the command line: one table of commands, one way to read options, one way to fail.
 *
 * Most commands are a request to a server: over DATA/sock when one runs on the folder, over the same socket to a server
 * started for this one command when none does (serve.h), or over --server. What goes wrong is one line on stderr,
 * `logd: WHAT: WHY`. Exit code 0: done, 1: it failed, 2: wrong usage.
 *
 * Owner   the main thread. */
#ifndef CLI_H
#define CLI_H

#include "base/base.h"
#include "base/err.h"
#include "base/http-client.h"

#include <stdarg.h>

int cli_main(int argc, char **argv); /* exit code */

enum { CLI_DONE, CLI_FAILED, CLI_USAGE };

struct cli_option {
    const char *name;  /* "--app"; NULL ends the list */
    const char *value; /* what help calls its value; NULL: a switch */
    const char *help;
};
struct cli;
struct cli_command {
    const char *name;                 /* "key add" */
    const char *usage;                /* what follows the name */
    const char *help;                 /* one or two sentences */
    const char *example;              /* a whole line */
    const struct cli_option *options; /* NULL: none */
    unsigned args_min, args_max;      /* words that are not options */
    int (*run)(struct cli *c);        /* exit code; NULL: not there yet */
    int (*main)(int argc,
                char **argv); /* takes its words as they came, once they are checked; argv[0] is the command's last */
};
struct cli_given {
    const struct cli_option *option;
    const char *value; /* "" for a switch */
};
struct cli {
    const struct cli_command *command;
    struct cli_given *given; /* in the order they came */
    size_t given_n;
    char **args;
    size_t args_n;
};

/* The value of an option, NULL when it was not given; the last one wins. */
const char *cli_get(const struct cli *c, const char *name);
/* The i-th value of an option that may be given more than once. */
const char *cli_nth(const struct cli *c, const char *name, size_t i);
/* One line on stderr, `logd: COMMAND: …`, control characters made visible. */
int cli_fail(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);  /* CLI_FAILED */
int cli_usage(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3); /* CLI_USAGE */
int cli_err(const struct cli *c, const struct err *e); /* with line or column when it has one: CLI_FAILED */
int cli_flush(const struct cli *c);                    /* CLI_DONE, or CLI_FAILED when stdout did not take all */

/* cli_text.c: `s` for a terminal: control characters, bidirectional overrides and bytes that are not UTF-8 as visible
 * escapes (\x1b, \u202e), tabs as they are, newlines too when `lines`. */
void text_visible(struct buf *out, str s, bool lines);
/* A JSON array of objects as a table. Arrays are joined by commas, null and nothing are "-". */
struct text_column {
    const char *title, *field;
};
int text_table(str json, const char *field, const struct text_column *columns, size_t n, struct buf *out,
               struct err *e) MUST_CHECK;

/* cli_client.c */
struct client;
#define CLI_DATA                                                                                                       \
    {                                                                                                                  \
        "--data", "DIR", "the data folder (LOGD_DATA, or ./logd-data)"                                                 \
    }
#define CLI_CONFIG                                                                                                     \
    {                                                                                                                  \
        "--config", "FILE", "the config file, for where the data folder is"                                            \
    }
#define CLI_SERVER                                                                                                     \
    {"--server", "URL", "talk to the server there instead"}, { "--key", "KEY", "the key to show it (LOGD_KEY)" }
/* Takes --data, --config, --server, --key. creates: an absent data folder is made. Returns an exit code; on CLI_DONE
 * *ret must be closed. */
int client_open(const struct cli *c, bool creates, struct client **ret) MUST_CHECK;
void client_close(struct client *cl); /* stops the server that was started for it; NULL is fine */
/* Does a server run on the data folder of this command? */
bool client_running(const struct cli *c);
/* `path` with its query, encoded. 0 on 2xx; -1 with the server's own words otherwise. */
/* The same, with the answer given in whole lines, without their newlines; line < 0 ends it. `wait`: <0: for ever. */
struct client_lines {
    int (*line)(void *arg, str line);
    void *arg;
};
int client_lines(struct client *cl, const char *path, usec wait, const struct client_lines *to,
                 struct err *e) MUST_CHECK;
int client_call(struct client *cl, const char *method, const char *path, str body, struct http_answer *ret,
                struct err *e) MUST_CHECK;

/* The commands, by file. */
int cli_app_add(struct cli *c); /* cli_admin.c */
int cli_app_list(struct cli *c);
int cli_app_remove(struct cli *c);
int cli_key_add(struct cli *c);
int cli_key_list(struct cli *c);
int cli_key_revoke(struct cli *c);
int cli_user_add(struct cli *c);
int cli_user_passwd(struct cli *c);
int cli_user_list(struct cli *c);
int cli_user_remove(struct cli *c);
int cli_share_add(struct cli *c);
int cli_share_list(struct cli *c);
int cli_share_remove(struct cli *c);
int cli_query(struct cli *c); /* cli_query.c */
int cli_tail(struct cli *c);
int cli_maps_put(struct cli *c); /* cli_maps.c */
int cli_maps_list(struct cli *c);
int cli_maps_remove(struct cli *c);
int cli_mail_test(struct cli *c); /* cli_operate.c */
int cli_bounce(struct cli *c);
int cli_archive_list(struct cli *c);
int cli_archive_verify(struct cli *c);
int cli_archive_ship(struct cli *c);
int cli_restore(struct cli *c);
int cli_issues_regroup(struct cli *c);
int cli_issues_list(struct cli *c); /* cli_issues.c */
int cli_issues_resolve(struct cli *c);
int cli_debug_group(struct cli *c); /* cli_debug.c */
int cli_debug_parse(struct cli *c);
int cli_debug_sketch(struct cli *c);
int cli_debug_detect(struct cli *c);
int cli_debug_journal(struct cli *c);
int cli_debug_segment(struct cli *c);
int cli_debug_sql(struct cli *c);
int cli_backtest(struct cli *c); /* backtest.c */
int rules_import_main(int argc, char **argv);
int rules_check_main(int argc, char **argv); /* rules_cli.c; argv[0] is "check" or "test" */

#endif
