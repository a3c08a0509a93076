/* main.c - the command line of logd-agent. What goes wrong is one line on stderr, `logd-agent: WHAT: WHY`; exit code 0:
 * done, 1: it failed, 2: wrong usage. */
#include "agent/run.h"
#include "base/str.h"

#include <unistd.h>

static const char usage[] =
    "usage: logd-agent run --server URL --key KEY [--state DIR] FILES...\n"
    "       logd-agent status [--state DIR]\n"
    "       logd-agent --version | --help\n"
    "\n"
    "run     Follows files and sends each line once to a logd. FILES may be patterns ('/var/log/*.log', quoted, so that\n"
    "        files which appear later are found too).\n"
    "status  The ledger: lines read, sent, acknowledged and dropped, and bytes that lag, of each file.\n"
    "\n"
    "  --server URL   http://HOST:PORT or https://HOST; given again: where to go when the one before does not answer\n"
    "  --key KEY      an ingest key of logd; without it LOGD_KEY\n"
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

/* Takes argv[*at] and its value into o when it is an option; 1: it is not, -1: e says what is wrong. */
static int take_option(struct run_options *o, int argc, char **argv, int *at, struct err *e)
{
    const char *name = argv[*at];
    if (strncmp(name, "--", 2) != 0)
        return 1;
    const char *known[] = {"--server", "--key", "--state"};
    size_t which = 0;
    while (which < LENGTH(known) && strcmp(name, known[which]) != 0)
        which++;
    if (which == LENGTH(known))
        return err_set(e, ERR_INPUT, "unknown option %s, see logd-agent --help", name);
    if (*at + 1 >= argc || argv[*at + 1][0] == '\0')
        return err_set(e, ERR_INPUT, "%s: expected a value after it", name);
    char *value = argv[++*at];
    if (which == 0)
        o->servers[o->servers_n++] = value;
    else if (which == 1)
        o->key = value;
    else
        o->state = value;
    return 0;
}

/* The options and words after the command. */
static int take_all(struct run_options *o, int argc, char **argv, struct err *e)
{
    bool options = true;
    for (int i = 2; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
            continue;
        }
        int rc = options ? take_option(o, argc, argv, &i, e) : 1;
        if (rc < 0)
            return -1;
        if (rc == 1)
            o->patterns[o->patterns_n++] = argv[i];
    }
    return 0;
}

static int check_run(struct run_options *o, struct err *e)
{
    if (!o->key)
        o->key = getenv("LOGD_KEY");
    if (o->servers_n == 0)
        return err_set(e, ERR_INPUT, "--server is missing: where to send to");
    if (!o->key || !*o->key)
        return err_set(e, ERR_INPUT, "--key is missing: a key that `logd key add --app NAME --role ingest` printed");
    if (o->key[strcspn(o->key, "\r\n")])
        return err_set(e, ERR_INPUT, "--key: expected one line, got several");
    if (o->patterns_n == 0)
        return err_set(e, ERR_INPUT, "expected files to follow");
    return 0;
}

static int run(struct run_options *o, int argc, char **argv)
{
    struct err e;
    bool status = strcmp(argv[1], "status") == 0;
    if (take_all(o, argc, argv, &e) < 0 || (!status && check_run(o, &e) < 0))
        return fail(USAGE, argv[1], e.text);
    if (status && (o->patterns_n || o->servers_n))
        return fail(USAGE, argv[1], "expected --state alone");
    if ((status ? run_status(o->state, &e) : run_agent(o, &e)) < 0)
        return fail(e.kind == ERR_INPUT ? USAGE : FAILED, argv[1], e.text);
    return DONE;
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
    if (argc < 2 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "status") != 0)) {
        fputs(usage, stderr);
        return USAGE;
    }
    struct run_options o = {.state = default_state()};
    o.servers = xcalloc((size_t)argc, sizeof(char *));
    o.patterns = xcalloc((size_t)argc, sizeof(char *));
    int code = run(&o, argc, argv);
    free(o.servers);
    free(o.patterns);
    return code;
}
