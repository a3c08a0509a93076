/* cli_admin.c - logd app, key, user, share. */
#include "base/str.h"
#include "cli.h"

#include <jansson.h>
#include <termios.h>
#include <unistd.h>

/* One request whose answer is nobody's business, or goes to *ret. */
static int ask(struct cli *c, bool creates, const char *method, const char *path, str body, struct http_answer *ret)
{
    struct err e;
    struct client *cl = NULL;
    int code = client_open(c, creates, &cl);
    if (code != CLI_DONE)
        return code;
    if (client_call(cl, method, path, body, ret, &e) < 0)
        code = cli_err(c, &e);
    client_close(cl);
    return code;
}

static int ask_json(struct cli *c, const char *path, json_t *body, struct http_answer *ret)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text)
        return cli_usage(c, "expected UTF-8");
    int code = ask(c, true, "POST", path, str_of(text), ret);
    explicit_bzero(text, strlen(text)); /* it may hold a password */
    free(text);
    return code;
}

/* What is shown only when it is made: one field of the answer, alone on its line. */
static int print_made(struct cli *c, const char *path, json_t *body, const char *field)
{
    struct http_answer a = {0};
    int code = ask_json(c, path, body, &a);
    if (code == CLI_DONE) {
        json_t *doc = json_loadb(a.body.p ? a.body.p : "", a.body.n, 0, NULL);
        const char *text = json_string_value(json_object_get(doc, field));
        code = text && printf("%s\n", text) > 0 ? cli_flush(c) : cli_fail(c, "the server's answer has no %s", field);
        json_decref(doc);
    }
    http_answer_done(&a);
    return code;
}

static int print_list(struct cli *c, const char *path, const char *field, const struct text_column *columns, size_t n)
{
    struct err e;
    struct http_answer a = {0};
    struct buf out = BUF_INIT(64u << 20);
    int code = ask(c, false, "GET", path, (str){0}, &a);
    if (code == CLI_DONE && text_table(buf_view(&a.body), field, columns, n, &out, &e) < 0)
        code = cli_err(c, &e);
    if (code == CLI_DONE) {
        fwrite(out.p, 1, out.n, stdout);
        code = cli_flush(c);
    }
    buf_done(&out);
    http_answer_done(&a);
    return code;
}

static int remove_one(struct cli *c, const char *path)
{
    struct http_answer a = {0};
    struct buf url = BUF_INIT(8192);
    buf_printf(&url, "%s/", path);
    buf_url(&url, str_of(c->args[0]), false);
    buf_byte(&url, '\0');
    int code = url.full ? cli_usage(c, "\"%.40s…\" is too long", c->args[0])
                        : ask(c, false, "DELETE", url.p, (str){0}, &a);
    buf_done(&url);
    http_answer_done(&a);
    return code;
}

/* Nothing is printed by what only has to work, as with mkdir or useradd. */
int cli_app_add(struct cli *c)
{
    struct http_answer a = {0};
    int code = ask_json(c, "/v1/apps", json_pack("{s:s}", "name", c->args[0]), &a);
    http_answer_done(&a);
    return code;
}

int cli_app_list(struct cli *c)
{
    static const struct text_column columns[] = {
        {"ID", "id"}, {"APP", "name"}, {"KEYS", "keys"}, {"SENTRY DSN", "dsn"}};
    return print_list(c, "/v1/apps", "apps", columns, LENGTH(columns));
}

int cli_app_remove(struct cli *c) { return remove_one(c, "/v1/apps"); }

/* "N/min", the only unit quotas are kept in. */
static bool read_rate(const char *text, uint64_t *ret)
{
    str s = str_of(text);
    return str_ends(s, S("/min")) && str_u64(str_head(s, s.n - 4), ret) && *ret >= 1 && *ret <= UINT32_MAX;
}

static bool one_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static json_t *key_body(struct cli *c, uint64_t rate)
{
    json_t *body = json_pack("{s:s, s:s}", "app", cli_get(c, "--app"), "role", cli_get(c, "--role"));
    json_t *origins = json_array();
    const char *origin;
    for (size_t i = 0; body && (origin = cli_nth(c, "--origin", i)); i++)
        json_array_append_new(origins, json_string(origin));
    if (body && json_array_size(origins))
        json_object_set(body, "origins", origins);
    if (body && rate)
        json_object_set_new(body, "per_minute", json_integer((json_int_t)rate));
    json_decref(origins);
    return body;
}

int cli_key_add(struct cli *c)
{
    static const char *const roles[] = {"ingest", "browser", "deploy", "read", "logins", "admin"};
    uint64_t rate = 0;
    if (!cli_get(c, "--app") || !cli_get(c, "--role"))
        return cli_usage(c, "expected --app NAME and --role ROLE: usage is logd key add %s", c->command->usage);
    if (!one_of(cli_get(c, "--role"), roles, LENGTH(roles)))
        return cli_usage(c, "--role: expected one of ingest, browser, deploy, read, logins, admin, got \"%s\"",
                         cli_get(c, "--role"));
    if (cli_get(c, "--rate") && !read_rate(cli_get(c, "--rate"), &rate))
        return cli_usage(c, "--rate: expected N/min, such as 600/min, got \"%s\"", cli_get(c, "--rate"));
    return print_made(c, "/v1/keys", key_body(c, rate), "key");
}

int cli_key_list(struct cli *c)
{
    static const struct text_column columns[] = {{"ID", "id"},           {"APP", "app"},
                                                 {"ROLE", "role"},       {"KEY", "hint"},
                                                 {"ORIGINS", "origins"}, {"PER MINUTE", "per_minute"},
                                                 {"CREATED", "created"}, {"LAST USED", "last_used"}};
    return print_list(c, "/v1/keys", "keys", columns, LENGTH(columns));
}

int cli_key_revoke(struct cli *c) { return remove_one(c, "/v1/keys"); }

/* One line, without its newline and without the terminal showing it. */
static bool read_line(const char *prompt, struct buf *out)
{
    struct termios old, quiet;
    bool tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &old) == 0;
    char c;
    ssize_t n;
    if (tty) {
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        fprintf(stderr, "%s: ", prompt);
    }
    while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
        buf_byte(out, c);
    if (tty) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        fprintf(stderr, "\n");
    }
    if (out->n && out->p[out->n - 1] == '\r')
        out->n--;
    return (n == 1 || out->n > 0) && !out->full;
}

static int read_password(struct cli *c, struct buf *out)
{
    struct buf again = BUF_INIT(4096);
    int code = CLI_DONE;
    if (!read_line("password", out))
        code = cli_fail(c, "expected a password of 8 to 1024 bytes as one line on stdin");
    else if (isatty(STDIN_FILENO) && (!read_line("once more", &again) || !str_eq(buf_view(out), buf_view(&again))))
        code = cli_fail(c, "the two passwords are not the same");
    if (again.p)
        explicit_bzero(again.p, again.n);
    buf_done(&again);
    return code;
}

static int send_password(struct cli *c, const char *path, json_t *body)
{
    struct http_answer a = {0};
    struct buf password = BUF_INIT(4096);
    int code = read_password(c, &password);
    if (code == CLI_DONE) {
        json_t *text = json_stringn(password.p ? password.p : "", password.n);
        if (text && json_object_set_new(body, "password", text) == 0)
            code = ask_json(c, path, json_incref(body), &a);
        else
            code = cli_fail(c, "password: expected UTF-8");
    }
    if (password.p)
        explicit_bzero(password.p, password.n);
    buf_done(&password);
    json_decref(body);
    http_answer_done(&a);
    return code;
}

int cli_user_add(struct cli *c)
{
    static const char *const roles[] = {"viewer", "editor", "admin"};
    const char *role = cli_get(c, "--role") ? cli_get(c, "--role") : "viewer";
    if (!one_of(role, roles, LENGTH(roles)))
        return cli_usage(c, "--role: expected one of viewer, editor, admin, got \"%s\"", role);
    json_t *body = json_pack("{s:s, s:s}", "email", c->args[0], "role", role);
    return body ? send_password(c, "/v1/users", body) : cli_usage(c, "expected UTF-8");
}

int cli_user_passwd(struct cli *c)
{
    struct buf path = BUF_INIT(8192);
    buf_lit(&path, "/v1/users/");
    buf_url(&path, str_of(c->args[0]), false);
    buf_lit(&path, "/password");
    buf_byte(&path, '\0');
    int code = path.full ? cli_usage(c, "\"%.40s…\" is too long", c->args[0]) : send_password(c, path.p, json_object());
    buf_done(&path);
    return code;
}

int cli_user_list(struct cli *c)
{
    static const struct text_column columns[] = {
        {"E-MAIL", "email"}, {"ROLE", "role"}, {"CREATED", "created"}, {"LAST SIGN-IN", "last_login"}};
    return print_list(c, "/v1/users", "users", columns, LENGTH(columns));
}

int cli_user_remove(struct cli *c) { return remove_one(c, "/v1/users"); }

int cli_share_add(struct cli *c)
{
    json_t *stats = json_array(), *body = json_pack("{s:s, s:O}", "name", c->args[0], "stats", stats);
    for (size_t i = 1; i < c->args_n; i++)
        json_array_append_new(stats, json_string(c->args[i]));
    if (body && cli_get(c, "--app"))
        json_object_set_new(body, "app", json_string(cli_get(c, "--app")));
    json_decref(stats);
    return print_made(c, "/v1/shares", body, "url");
}

int cli_share_list(struct cli *c)
{
    static const struct text_column columns[] = {
        {"ID", "id"}, {"NAME", "name"}, {"APP", "app"}, {"SHOWS", "stats"}, {"CREATED", "created"}};
    return print_list(c, "/v1/shares", "shares", columns, LENGTH(columns));
}

int cli_share_remove(struct cli *c) { return remove_one(c, "/v1/shares"); }
