/* cli_client.c - a command's way to a server: the one that runs on the data folder, one started for it, or a remote one. */
#include "base/clock.h"
#include "base/config.h"
#include "base/file.h"
#include "base/str.h"
#include "cli.h"
#include "serve.h"

#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_FOR_LOCK (10 * USEC_PER_SEC)

struct client {
    struct http_client *http;
    char *base;            /* "http://localhost", "https://logs.example" */
    char *socket;          /* NULL: TCP */
    char *authorization;   /* header, or NULL */
    int dir;               /* what unix_address keeps open for `socket` */
    struct parts *offline; /* the server started for this, or NULL */
};

static int open_remote(const struct cli *c, struct client *cl)
{
    const char *server = cli_get(c, "--server"), *key = cli_get(c, "--key") ? cli_get(c, "--key") : getenv("LOGD_KEY");
    str url = str_of(server);
    if (!str_starts(url, S("http://")) && !str_starts(url, S("https://")))
        return cli_usage(c, "--server: expected http://HOST:PORT or https://HOST, got \"%s\"", server);
    if (!key || !key[0])
        return cli_usage(c, "--server needs --key KEY, or LOGD_KEY in the environment");
    for (const char *k = key; *k; k++)
        if ((unsigned char)*k <= 0x20 || *k == 0x7f)
            return cli_usage(c, "--key: expected lk_ and letters or digits");
    while (str_ends(url, S("/")))
        url.n--;
    cl->base = str_dup(url);
    struct buf b = BUF_INIT(4096);
    buf_printf(&b, "Authorization: Bearer %s", key);
    cl->authorization = buf_take(&b, NULL);
    return CLI_DONE;
}

static int set_socket(struct client *cl, const char *data, const char *name, struct err *e)
{
    struct sockaddr_un a;
    struct buf path = BUF_INIT(2 * PATH_MAX);
    buf_printf(&path, "%s/%s", data, name);
    buf_byte(&path, '\0');
    int rc = path.full ? err_set(e, ERR_INPUT, "the name of the data folder is too long")
                       : unix_address(path.p, &a, &cl->dir, e);
    if (rc == 0)
        cl->socket = xstrdup(a.sun_path);
    buf_done(&path);
    return rc;
}

static bool somebody_listens(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static void forget_socket(struct client *cl)
{
    free(cl->socket);
    cl->socket = NULL;
    if (cl->dir >= 0)
        close(cl->dir);
    cl->dir = -1;
}

/* A server runs on the folder, and cl->socket leads to it. */
static bool find_server(struct client *cl, const char *data)
{
    struct err e;
    if (set_socket(cl, data, SERVE_SOCKET, &e) == 0 && somebody_listens(cl->socket))
        return true;
    forget_socket(cl);
    return false;
}

/* A server may come or go, and another command may be at work: whoever holds the folder's lock is waited for. */
static int open_data(struct client *cl, const char *data, struct err *e)
{
    usec until = clock_mono() + WAIT_FOR_LOCK;
    while (!find_server(cl, data)) {
        if (serve_offline(data, &cl->offline, e) == 0)
            return set_socket(cl, data, SERVE_SOCKET_OFFLINE, e);
        if (e->kind != ERR_FULL || clock_mono() > until)
            return -1;
        usleep(20000);
    }
    return 0;
}

static int open_folder(const struct cli *c, bool creates, struct client *cl)
{
    struct err e;
    struct stat st;
    struct config *config = NULL;
    if (config_load(cli_get(c, "--config"), &config, &e) < 0)
        return cli_err(c, &e);
    const char *data = cli_get(c, "--data") ? cli_get(c, "--data") : config->data;
    bool there = stat(data, &st) == 0;
    int rc = CLI_DONE;
    cl->base = xstrdup("http://localhost");
    if (!there && !creates)
        rc = cli_fail(c, "no data folder '%s': name one with --data DIR, or a server with --server URL", data);
    else if (open_data(cl, data, &e) < 0)
        rc = cli_err(c, &e);
    config_free(config);
    return rc;
}

bool client_running(const struct cli *c)
{
    struct err e;
    struct config *config = NULL;
    struct client cl = {.dir = -1};
    bool runs = config_load(cli_get(c, "--config"), &config, &e) == 0 &&
                find_server(&cl, cli_get(c, "--data") ? cli_get(c, "--data") : config->data);
    forget_socket(&cl);
    config_free(config);
    return runs;
}

int client_open(const struct cli *c, bool creates, struct client **ret)
{
    struct client *cl = xcalloc(1, sizeof *cl);
    bool remote = cli_get(c, "--server") != NULL;
    int rc;
    cl->dir = -1;
    cl->http = http_client_new();
    if (remote && (cli_get(c, "--data") || cli_get(c, "--config")))
        rc = cli_usage(c, "expected --server or a data folder, got both");
    else if (!remote && cli_get(c, "--key"))
        rc = cli_usage(c, "--key goes with --server: a data folder is opened by its owner, without a key");
    else
        rc = remote ? open_remote(c, cl) : open_folder(c, creates, cl);
    if (rc == CLI_DONE)
        *ret = cl;
    else
        client_close(cl);
    return rc;
}

void client_close(struct client *cl)
{
    if (!cl)
        return;
    http_client_free(cl->http); /* first: the server waits for its connections */
    if (cl->offline)
        serve_offline_stop(cl->offline);
    forget_socket(cl);
    free(cl->base);
    free(cl->authorization);
    free(cl);
}

/* The server's own sentence; what is not our JSON is told by its status. */
static int refused(const struct http_answer *a, const char *url, struct err *e)
{
    json_t *doc = json_loadb(a->body.p ? a->body.p : "", a->body.n, 0, NULL);
    const char *text = json_string_value(json_object_get(doc, "error"));
    enum err_kind kind = a->status == 404 ? ERR_GONE : a->status == 401 || a->status == 403 ? ERR_DENIED : ERR_INPUT;
    if (text)
        err_set(e, kind, "%s", text);
    else
        err_set(e, ERR_REMOTE, "%s answered %ld without a reason: is it logd?", url, a->status);
    e->column = (size_t)json_integer_value(json_object_get(doc, "column"));
    json_decref(doc);
    return -1;
}

static int call(struct client *cl, struct http_call *call, const char *path, struct http_answer *ret, struct err *e)
{
    const char *headers[2];
    struct buf url = BUF_INIT(64u << 10);
    call->headers = headers;
    if (cl->authorization)
        headers[call->headers_n++] = cl->authorization;
    if (call->body.n)
        headers[call->headers_n++] = "Content-Type: application/json";
    buf_printf(&url, "%s%s", cl->base, path);
    buf_byte(&url, '\0');
    call->url = url.p;
    call->unix_socket = cl->socket;
    int rc = url.full ? err_set(e, ERR_INPUT, "the request is longer than 64 KiB") : http_do(cl->http, call, ret, e);
    if (rc == 0 && (ret->status < 200 || ret->status > 299))
        rc = refused(ret, cl->base, e);
    buf_done(&url);
    return rc;
}

int client_call(struct client *cl, const char *method, const char *path, str body, struct http_answer *ret,
                struct err *e)
{
    struct http_call c = {.method = method, .body = body, .timeout = 600 * USEC_PER_SEC, .max = 256u << 20};
    return call(cl, &c, path, ret, e);
}

struct splitting {
    const struct client_lines *to;
    struct buf rest; /* of a line that has not ended */
};

static int split(str piece, void *arg)
{
    struct splitting *s = arg;
    while (piece.n) {
        bool whole = str_chr(piece, '\n') >= 0;
        buf_str(&s->rest, str_cut(&piece, '\n'));
        if (!whole)
            return s->rest.full ? -1 : 0;
        if (s->to->line(s->to->arg, buf_view(&s->rest)) < 0)
            return -1;
        buf_reset(&s->rest);
    }
    return 0;
}

int client_lines(struct client *cl, const char *path, usec wait, const struct client_lines *to, struct err *e)
{
    struct splitting s = {.to = to, .rest = BUF_INIT(128u << 20)};
    struct http_answer a = {0};
    struct http_call c = {.method = "GET", .timeout = wait, .sink = split, .arg = &s};
    int rc = call(cl, &c, path, &a, e);
    http_answer_done(&a);
    buf_done(&s.rest);
    return rc;
}
