/* cli_maps.c - logd maps put, list, remove. Minified files are found by their endings, their maps by their own reference. */
#include "base/file.h"
#include "base/str.h"
#include "cli.h"
#include "maps/bundle.h"
#include "maps/sourcemap.h"

#include <jansson.h>
#include <sys/stat.h>

#define FILE_BYTES (128u << 20)
enum { DEPTH = 32 };

struct putting {
    struct cli *c;
    struct client *client;
    const char *dir, *release;
    char **scripts; /* below dir */
    size_t n;
    size_t taken, failed;
};

static int needs_app(struct cli *c)
{
    return cli_get(c, "--app") || cli_get(c, "--server")
               ? CLI_DONE
               : cli_usage(c, "expected --app NAME: usage is logd %s %s", c->command->name, c->command->usage);
}

/* "/v1/maps?app=…&release=…" */
static void maps_url(const struct cli *c, struct buf *out)
{
    static const char *const names[] = {"app", "release", "path"};
    char sep = '?';
    buf_lit(out, "/v1/maps");
    for (size_t i = 0; i < LENGTH(names); i++) {
        char option[16];
        snprintf(option, sizeof option, "--%s", names[i]);
        const char *value = cli_get(c, option);
        if (!value)
            continue;
        buf_printf(out, "%c%s=", sep, names[i]);
        buf_url(out, str_of(value), false);
        sep = '&';
    }
    buf_byte(out, '\0');
}

/* ---- what lies in the folder ---- */
static bool is_script(str name)
{
    return str_ends(name, S(".js")) || str_ends(name, S(".mjs")) || str_ends(name, S(".cjs"));
}

static void find_scripts(struct putting *p, const char *below, int depth)
{
    struct buf path = BUF_INIT(PATH_MAX), name = BUF_INIT(PATH_MAX);
    char **names;
    size_t n;
    struct err e;
    buf_printf(&path, "%s/%s%c", p->dir, below, '\0');
    if (depth == DEPTH || path.full || dir_list(path.p, &names, &n, &e) < 0) {
        buf_done(&path);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        buf_reset(&path);
        buf_reset(&name);
        buf_printf(&name, "%s%s%s%c", below, below[0] ? "/" : "", names[i], '\0');
        buf_printf(&path, "%s/%s%c", p->dir, name.p, '\0');
        if (path.full || lstat(path.p, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode) && strcmp(names[i], "node_modules") != 0) {
            find_scripts(p, name.p, depth + 1);
        } else if (S_ISREG(st.st_mode) && is_script(str_of(names[i]))) {
            p->scripts = xrealloc(p->scripts, (p->n + 1) * sizeof(char *));
            p->scripts[p->n++] = xstrdup(name.p);
        }
    }
    dir_list_free(names, n);
    buf_done(&path);
    buf_done(&name);
}

static void say_failed(struct putting *p, const char *script, const char *why)
{
    (void)cli_fail(p->c, "%s: %s", script, why);
    p->failed++;
}

/* The map that the file names, else the one beside it. 1: there is none, 0: in `map`, -1: told why. */
static int read_map(struct putting *p, const char *script, str minified, struct buf *map)
{
    struct buf path = BUF_INIT(PATH_MAX);
    struct err e;
    str url = minified_map_url(minified);
    const char *slash = strrchr(script, '/');
    bool inside = str_starts(url, S("data:")), elsewhere = str_find(url, S("://")) > 0 || str_starts(url, S("/"));
    int rc = -1;
    if (url.n && !inside && !elsewhere) {
        buf_printf(&path, "%s/%.*s%.*s%c", p->dir, slash ? (int)(slash - script) + 1 : 0, script, STR_ARG(url), '\0');
        rc = file_read(path.p, map->max, map, &e);
    }
    if (rc < 0) {
        buf_reset(&path);
        buf_reset(map);
        buf_printf(&path, "%s/%s.map%c", p->dir, script, '\0');
        rc = file_read(path.p, map->max, map, &e);
    }
    if (rc < 0 && url.n)
        say_failed(p, script,
                   inside ? "its map is inside of it: build with a map in a file of its own"
                          : "the map it names is not there: upload the folder that the build wrote");
    buf_done(&path);
    return rc == 0 ? 0 : url.n ? -1 : 1;
}

/* ---- one file and its map ---- */
static void say_taken(struct putting *p, const json_t *answer)
{
    size_t i;
    json_t *map;
    json_array_foreach(json_object_get(answer, "maps"), i, map)
    {
        const char *path, *source, *name = NULL;
        json_int_t line, column, oline;
        if (json_unpack(map, "{s:s,s:{s:I,s:I,s:s,s:I,s?s}}", "path", &path, "sample", "line", &line, "column", &column,
                        "source", &source, "source_line", &oline, "name", &name) != 0 &&
            json_unpack(map, "{s:s,s:{s:I,s:I,s:s,s:I}}", "path", &path, "sample", "line", &line, "column", &column,
                        "source", &source, "source_line", &oline) != 0)
            continue;
        struct buf text = BUF_INIT(8192);
        buf_printf(&text, "%s:%lld:%lld -> %s:%lld%s%s%s", path, (long long)line, (long long)column, source,
                   (long long)oline, name ? " (" : "", name ? name : "", name ? ")" : "");
        struct buf shown = BUF_INIT(16384);
        text_visible(&shown, buf_view(&text), false);
        printf("%.*s\n", STR_ARG(buf_view(&shown)));
        buf_done(&text);
        buf_done(&shown);
        p->taken++;
    }
}

static void send(struct putting *p, const char *script, str minified, str map)
{
    struct buf body = BUF_INIT(512u << 20), url = BUF_INIT(16384);
    struct http_answer a = {0};
    struct err e;
    char *names[2];
    const char *slash = strrchr(script, '/');
    names[0] = xmalloc(2 * strlen(script) + 16);
    names[1] = names[0] + strlen(script) + 3;
    snprintf(names[0], strlen(script) + 3, "~/%s", script);
    snprintf(names[1], strlen(script) + 7, "~/%s.map", script);
    struct buf reference = BUF_INIT(PATH_MAX);
    buf_printf(&reference, "%s.map", slash ? slash + 1 : script);
    struct bundle_file files[] = {{.type = "minified_source",
                                   .url = names[0],
                                   .debug_id = minified_debug_id(minified),
                                   .sourcemap = buf_view(&reference),
                                   .body = minified},
                                  {.type = "source_map", .url = names[1], .body = map}};
    bundle_write(files, LENGTH(files), str_of(p->release ? p->release : ""), &body);
    maps_url(p->c, &url);
    if (client_call(p->client, "POST", url.p, buf_view(&body), &a, &e) < 0) {
        say_failed(p, script, e.text);
    } else {
        json_t *answer = json_loadb(a.body.p, a.body.n, 0, NULL);
        say_taken(p, answer);
        json_decref(answer);
    }
    http_answer_done(&a);
    buf_done(&reference);
    buf_done(&body);
    buf_done(&url);
    free(names[0]);
}

static void put_script(struct putting *p, const char *script)
{
    struct buf path = BUF_INIT(PATH_MAX), minified = BUF_INIT(FILE_BYTES), map = BUF_INIT(FILE_BYTES);
    struct err e;
    buf_printf(&path, "%s/%s%c", p->dir, script, '\0');
    if (file_read(path.p, minified.max, &minified, &e) < 0)
        say_failed(p, script, e.text);
    else if (read_map(p, script, buf_view(&minified), &map) == 0)
        send(p, script, buf_view(&minified), buf_view(&map));
    buf_done(&path);
    buf_done(&minified);
    buf_done(&map);
}

int cli_maps_put(struct cli *c)
{
    struct putting p = {.c = c, .dir = c->args[0], .release = cli_get(c, "--release")};
    struct stat st;
    int code = needs_app(c);
    if (code != CLI_DONE)
        return code;
    if (!p.release || !p.release[0])
        return cli_usage(c, "expected --release R, the same that the app's events name: usage is logd maps put %s",
                         c->command->usage);
    if (stat(p.dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return cli_fail(c, "'%s' is not a folder", p.dir);
    find_scripts(&p, "", 0);
    if (p.n == 0)
        return cli_fail(c, "'%s' holds no .js, .mjs or .cjs file: name the folder that the build wrote", p.dir);
    code = client_open(c, false, &p.client);
    for (size_t i = 0; code == CLI_DONE && i < p.n; i++)
        put_script(&p, p.scripts[i]);
    if (code == CLI_DONE && p.taken + p.failed == 0)
        code = cli_fail(
            c, "none of the %zu scripts in '%s' has a source map: build with source maps, as esbuild --sourcemap does",
            p.n, p.dir);
    else if (code == CLI_DONE)
        code = cli_flush(c) != CLI_DONE || p.failed ? CLI_FAILED : CLI_DONE;
    client_close(p.client);
    for (size_t i = 0; i < p.n; i++)
        free(p.scripts[i]);
    free(p.scripts);
    return code;
}

/* ---- what is there ---- */
static int ask(struct cli *c, const char *method, struct http_answer *ret)
{
    struct buf url = BUF_INIT(16384);
    struct client *client = NULL;
    struct err e;
    int code = client_open(c, false, &client);
    maps_url(c, &url);
    if (code == CLI_DONE && client_call(client, method, url.p, (str){0}, ret, &e) < 0)
        code = cli_err(c, &e);
    client_close(client);
    buf_done(&url);
    return code;
}

static int print_health(struct cli *c, const json_t *answer)
{
    static const struct text_column columns[] = {{"COUNT", "count"}, {"APP", "app"},     {"RELEASE", "release"},
                                                 {"FILE", "file"},   {"CAUSE", "cause"}, {"FIX", "fix"}};
    struct buf out = BUF_INIT(64u << 20);
    struct err e;
    const json_t *health = json_object_get(answer, "health");
    char *text = json_dumps(health, 0);
    int code = CLI_DONE;
    if (json_array_size(json_object_get(health, "unresolved")) > 0) {
        printf("\nframes that stayed minified since %s:\n", json_string_value(json_object_get(health, "since")));
        if (text_table(str_of(text), "unresolved", columns, LENGTH(columns), &out, &e) < 0)
            code = cli_err(c, &e);
        fwrite(out.p, 1, out.n, stdout);
    }
    free(text);
    buf_done(&out);
    return code;
}

int cli_maps_list(struct cli *c)
{
    static const struct text_column columns[] = {{"APP", "app"},           {"RELEASE", "release"},
                                                 {"PATH", "path"},         {"DEBUG ID", "debug_id"},
                                                 {"UPLOADED", "uploaded"}, {"MAPPINGS", "mappings"}};
    struct http_answer a = {0};
    struct buf out = BUF_INIT(64u << 20);
    struct err e;
    int code = ask(c, "GET", &a);
    if (code == CLI_DONE && text_table(buf_view(&a.body), "maps", columns, LENGTH(columns), &out, &e) < 0)
        code = cli_err(c, &e);
    if (code == CLI_DONE) {
        json_t *answer = json_loadb(a.body.p, a.body.n, 0, NULL);
        fwrite(out.p, 1, out.n, stdout);
        code = print_health(c, answer);
        json_decref(answer);
    }
    buf_done(&out);
    http_answer_done(&a);
    return code == CLI_DONE ? cli_flush(c) : code;
}

int cli_maps_remove(struct cli *c)
{
    struct http_answer a = {0};
    if (!cli_get(c, "--app") || !cli_get(c, "--release"))
        return cli_usage(c, "expected --app NAME and --release R: usage is logd maps remove %s", c->command->usage);
    int code = ask(c, "DELETE", &a);
    if (code == CLI_DONE) {
        json_t *answer = json_loadb(a.body.p, a.body.n, 0, NULL);
        printf("removed %lld\n", (long long)json_integer_value(json_object_get(answer, "removed")));
        json_decref(answer);
        code = cli_flush(c);
    }
    http_answer_done(&a);
    return code;
}
