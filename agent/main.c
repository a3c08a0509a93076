/* main.c - the command line of logd-agent. What goes wrong is one line on stderr, `logd-agent: WHAT: WHY`; exit code 0:
 * done, 1: it failed, 2: wrong usage. */
#include "agent/run.h"
#include "base/str.h"

#include <unistd.h>

static const char usage[] =
    "usage: logd-agent run --server URL --key KEY [--config F] [--state DIR] FILES...\n"
    "       logd-agent status [--config F] [--state DIR]\n"
    "       logd-agent test [--config F] FILE\n"
    "       logd-agent --version | --help\n"
    "\n"
    "run     Follows files and sends each line once to a logd. FILES may be patterns ('/var/log/*.log', quoted, so that\n"
    "        files which appear later are found too), - is standard input.\n"
    "status  The ledger: lines read, events sent, acknowledged and dropped, and bytes that lag, of each file.\n"
    "test    Prints what each line of FILE would become. Nothing is sent.\n"
    "\n"
    "  --server URL   http://HOST:PORT or https://HOST; given again: where to go when the one before does not answer\n"
    "  --key KEY      an ingest key of logd; without it LOGD_KEY\n"
    "  --config F     servers, key, sources with formats and filters, see man logd-agent; FILES come on top\n"
    "  --state DIR    where places in files and the batch under way are kept ($STATE_DIRECTORY, or ./logd-agent-data)\n"
    "\n"
    "example: logd-agent run --server https://logs.example.com --key lk_... '/var/log/*.log' '/var/log/nginx/*.log'\n";

enum { DONE, FAILED, USAGE };

static int fail(int code, const char *what, const char *why)
{
    fprintf(stderr, "logd-agent: %s: %s\n", what, why);
    return code;
}

static const char *default_state(void)
{
    const char *dir = getenv("STATE_DIRECTORY"); /* systemd */
    return dir && *dir ? dir : "./logd-agent-data";
}

struct words { /* of the command line */
    char **servers, **files;
    size_t servers_n, files_n;
    char *key, *state, *config;
};

/* Takes argv[*at] and its value when it is an option; 1: it is not, -1: e says what is wrong. */
static int take_option(struct words *w, int argc, char **argv, int *at, struct err *e)
{
    const char *name = argv[*at];
    struct {
        const char *name;
        char **value;
    } known[] = {
        {"--server", &w->servers[w->servers_n]}, {"--key", &w->key}, {"--state", &w->state}, {"--config", &w->config}};
    if (strncmp(name, "--", 2) != 0)
        return 1;
    size_t which = 0;
    while (which < LENGTH(known) && strcmp(name, known[which].name) != 0)
        which++;
    if (which == LENGTH(known))
        return err_set(e, ERR_INPUT, "unknown option %s, see logd-agent --help", name);
    if (*at + 1 >= argc || argv[*at + 1][0] == '\0')
        return err_set(e, ERR_INPUT, "%s: expected a value after it", name);
    *known[which].value = argv[++*at];
    w->servers_n += which == 0;
    return 0;
}

/* The options and words after the command. */
static int take_all(struct words *w, int argc, char **argv, struct err *e)
{
    bool options = true;
    for (int i = 2; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
            continue;
        }
        int rc = options ? take_option(w, argc, argv, &i, e) : 1;
        if (rc < 0)
            return -1;
        if (rc == 1)
            w->files[w->files_n++] = argv[i];
    }
    return 0;
}

static void set(char **to, const char *text)
{
    if (!text || !*text)
        return;
    free(*to);
    *to = xstrdup(text);
}

/* The config file, and over it the command line. */
static int merge(struct words *w, struct agent_config **ret, struct err *e)
{
    struct agent_config *c;
    if (agent_config_load(w->config, &c, e) < 0)
        return -1;
    if (w->servers_n) {
        for (size_t i = 0; i < c->servers_n; i++)
            free(c->servers[i]);
        c->servers = xrealloc(c->servers, w->servers_n * sizeof(char *));
        c->servers_n = w->servers_n;
        for (size_t i = 0; i < w->servers_n; i++)
            c->servers[i] = xstrdup(w->servers[i]);
    }
    set(&c->key, w->key ? w->key : c->key ? NULL : getenv("LOGD_KEY"));
    set(&c->state, w->state ? w->state : c->state ? NULL : default_state());
    size_t n = 0; /* "-" is no file */
    for (size_t i = 0; i < w->files_n; i++)
        if (strcmp(w->files[i], "-") == 0)
            c->standard_input = true;
        else
            w->files[n++] = w->files[i];
    w->files_n = n;
    if (n)
        (void)agent_config_add(c, w->files, n);
    *ret = c;
    return 0;
}

static int check_run(const struct agent_config *c, struct err *e)
{
    if (c->servers_n == 0)
        return err_set(e, ERR_INPUT, "--server is missing: where to send to");
    if (!c->key)
        return err_set(e, ERR_INPUT, "--key is missing: a key that `logd key add --app NAME --role ingest` printed");
    if (c->key[strcspn(c->key, "\r\n")])
        return err_set(e, ERR_INPUT, "--key: expected one line, got several");
    if (c->sources_n == 0 && !c->standard_input && !c->host_every && !c->syslog && !c->execs_n && !c->journald.on)
        return err_set(e, ERR_INPUT, "expected files to follow");
    return 0;
}

static int test(struct words *w, const struct agent_config *c, struct err *e)
{
    if (w->files_n != 1)
        return err_set(e, ERR_INPUT, "expected one file");
    return run_test(c, w->files[0], e); /* a source of its own comes last, behind those of the config */
}

static int command(int argc, char **argv, struct words *w)
{
    struct agent_config *c = NULL;
    struct err e;
    int rc = take_all(w, argc, argv, &e) < 0 || merge(w, &c, &e) < 0 ? -1 : 0;
    if (rc == 0 && strcmp(argv[1], "run") == 0)
        rc = check_run(c, &e) < 0 ? -1 : run_agent(c, &e);
    else if (rc == 0 && strcmp(argv[1], "test") == 0)
        rc = test(w, c, &e);
    else if (rc == 0 && (w->files_n || w->servers_n))
        rc = err_set(&e, ERR_INPUT, "expected --config and --state alone");
    else if (rc == 0)
        rc = run_status(c->state, &e);
    agent_config_free(c);
    return rc == 0 ? DONE : fail(e.kind == ERR_INPUT ? USAGE : FAILED, argv[1], e.text);
}

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)) {
        printf("logd-agent %s\n", LOGD_VERSION);
        return DONE;
    }
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || (i == 1 && strcmp(argv[i], "help") == 0)) {
            fputs(usage, stdout);
            return DONE;
        }
    static const char *const commands[] = {"run", "status", "test"};
    size_t which = 0;
    while (which < LENGTH(commands) && (argc < 2 || strcmp(argv[1], commands[which]) != 0))
        which++;
    if (which == LENGTH(commands)) {
        fputs(usage, stderr);
        return USAGE;
    }
    struct words w = {0};
    w.servers = xcalloc((size_t)argc, sizeof(char *));
    w.files = xcalloc((size_t)argc, sizeof(char *));
    int code = command(argc, argv, &w);
    free(w.servers);
    free(w.files);
    return code;
}
