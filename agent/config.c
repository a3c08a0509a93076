#include "agent/config.h"
#include "agent/spool.h"

#include "base/config-good.h"
#include "base/file.h"
#include "base/str.h"
#include "base/yaml.h"
#include "event/filter.h"

#include <inttypes.h>

#define CONFIG_MAX (1u << 20)

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

static void source_done(struct source_config *s)
{
    free_texts(s->files, s->files_n);
    for (size_t i = 0; i < s->shape.add_n; i++) {
        free(s->shape.add[i].name);
        free(s->shape.add[i].value);
    }
    for (size_t i = 0; i < s->shape.rename_n; i++) {
        free(s->shape.rename[i].name);
        free(s->shape.rename[i].value);
    }
    free(s->shape.add);
    free(s->shape.rename);
    filter_free(s->shape.keep);
    filter_free(s->shape.drop);
    zone_free(s->zone);
    free(s->pattern);
    free(s->input);
    free(s->encoding);
    line_pattern_free(s->shape.fields);
}

void agent_config_free(struct agent_config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->sources_n; i++)
        source_done(&c->sources[i]);
    for (size_t i = 0; i < c->execs_n; i++) {
        free(c->execs[i].name);
        free(c->execs[i].command);
    }
    free(c->execs);
    free(c->sources);
    free_texts(c->host_units, c->host_units_n);
    free(c->syslog);
    free(c->journald.directory);
    free_texts(c->journald.units, c->journald.units_n);
    free_texts(c->alarm.to, c->alarm.to_n);
    free(c->alarm.smtp);
    free(c->alarm.from);
    free_texts(c->servers, c->servers_n);
    free(c->key);
    free(c->state);
    free(c->ca);
    free(c->tls_cert);
    free(c->tls_key);
    free(c->proxy);
    free(c);
}

static struct source_config *new_source(struct agent_config *c)
{
    c->sources = xrealloc(c->sources, (c->sources_n + 1) * sizeof *c->sources);
    struct source_config *s = &c->sources[c->sources_n++];
    *s = (struct source_config){.shape = {.sample = 1}};
    return s;
}

struct source_config *agent_config_add(struct agent_config *c, char *const *files, size_t n)
{
    struct source_config *s = new_source(c);
    s->files = xcalloc(n, sizeof(char *));
    s->files_n = n;
    for (size_t i = 0; i < n; i++)
        s->files[i] = xstrdup(files[i]);
    s->shape.zone = s->zone = zone_here();
    return s;
}

/* ---- the file ---- */

static int get_text(const struct yaml *y, const struct yaml_node *at, const char *what, char **ret, struct err *e)
{
    str text;
    if (!at)
        return 0;
    if (yaml_text(y, at, what, &text, e) < 0)
        return -1;
    *ret = str_dup(text);
    return 0;
}

/* A text or a list of them. */
static int get_texts(const struct yaml *y, const struct yaml_node *at, const char *what, char ***ret, size_t *ret_n,
                     struct err *e)
{
    bool list = at->kind == YAML_LIST;
    size_t n = list ? at->n : 1;
    *ret = xcalloc(n ? n : 1, sizeof(char *));
    for (*ret_n = 0; *ret_n < n; ++*ret_n)
        if (get_text(y, list ? at->items[*ret_n] : at, what, &(*ret)[*ret_n], e) < 0)
            return -1;
    return n ? 0 : yaml_fail(y, at, e, "%s: expected at least one", what);
}

/* The key itself, {file: PATH} or {env: NAME}. */
static int get_key(const struct yaml *y, const struct yaml_node *at, char **ret, struct err *e)
{
    static const char *const known[] = {"file", "env"};
    char *name = NULL;
    if (!at || at->kind == YAML_SCALAR)
        return get_text(y, at, "key", ret, e);
    if (at->kind != YAML_MAP || at->n != 1 || yaml_known(y, at, "key", known, LENGTH(known), e) < 0)
        return yaml_fail(y, at, e, "key: expected text, {file: PATH} or {env: NAME}");
    if (get_text(y, at->items[0], "key", &name, e) < 0)
        return -1;
    int rc = 0;
    struct buf b = BUF_INIT(4096);
    const char *value = getenv(name);
    if (str_eq(at->keys[0]->text, S("env")))
        buf_str(&b, str_of(value));
    else
        rc = file_read(name, 4096, &b, e);
    str key = str_trim(buf_view(&b));
    if (rc == 0 && key.n == 0)
        rc = yaml_fail(y, at, e, "key: '%s' holds none", name);
    if (rc == 0)
        *ret = str_dup(key);
    free(name);
    buf_done(&b);
    return rc;
}

static int get_tls(struct agent_config *c, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    static const char *const known[] = {"ca", "cert", "key"};
    if (!at)
        return 0;
    if (yaml_known(y, at, "tls", known, LENGTH(known), e) < 0 ||
        get_text(y, yaml_get(at, "ca"), "tls.ca", &c->ca, e) < 0 ||
        get_text(y, yaml_get(at, "cert"), "tls.cert", &c->tls_cert, e) < 0 ||
        get_text(y, yaml_get(at, "key"), "tls.key", &c->tls_key, e) < 0)
        return -1;
    return !c->tls_cert == !c->tls_key ? 0 : yaml_fail(y, at, e, "tls: cert and key: expected both or neither");
}

static int get_proxy(struct agent_config *c, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://", "socks4://", "socks4a://"};
    if (get_text(y, at, "proxy", &c->proxy, e) < 0)
        return -1;
    for (size_t i = 0; i < LENGTH(schemes); i++)
        if (!c->proxy || str_starts(str_of(c->proxy), str_of(schemes[i])))
            return 0;
    return yaml_fail(y, at, e, "proxy: expected http://HOST:PORT, https:// or socks5h://");
}

static int get_bytes(const struct yaml *y, const struct yaml_node *at, const char *what, uint64_t least, uint64_t *ret,
                     struct err *e)
{
    str text;
    if (!at)
        return 0;
    if (yaml_text(y, at, what, &text, e) < 0)
        return -1;
    if (!str_bytes(text, ret) || *ret < least)
        return yaml_fail(y, at, e, "%s: expected bytes like 1MiB, at least %" PRIu64 ", got \"%.*s\"", what, least,
                         STR_ARG(str_head(text, 60)));
    return 0;
}

static int get_filter(const struct yaml *y, const struct yaml_node *at, const char *what, struct filter **ret,
                      struct err *e)
{
    str text;
    struct err inner;
    if (!at)
        return 0;
    if (yaml_text(y, at, what, &text, e) < 0)
        return -1;
    if (filter_parse(text, ret, &inner) < 0)
        return yaml_fail_in(y, at, inner.column ? inner.column - 1 : 0, e, "%s: %s", what, inner.text);
    return 0;
}

static int get_pairs(const struct yaml *y, const struct yaml_node *at, const char *what, struct shape_pair **ret,
                     size_t *ret_n, struct err *e)
{
    if (!at)
        return 0;
    if (yaml_is(y, at, what, YAML_MAP, e) < 0)
        return -1;
    *ret = xcalloc(at->n + 1, sizeof **ret);
    for (size_t i = 0; i < at->n; i++, ++*ret_n) {
        (*ret)[i].name = str_dup(at->keys[i]->text);
        if (get_text(y, at->items[i], what, &(*ret)[i].value, e) < 0) {
            free((*ret)[i].name);
            return -1;
        }
    }
    return 0;
}

/* join: auto | none, or one of starts: and goes_on: */
static int get_join(struct source_config *s, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    const struct yaml_node *join = yaml_get(at, "join"), *starts = yaml_get(at, "starts"),
                           *goes_on = yaml_get(at, "goes_on"), *pattern = starts ? starts : goes_on;
    struct err inner;
    str text;
    if ((join ? 1 : 0) + (starts ? 1 : 0) + (goes_on ? 1 : 0) > 1)
        return yaml_fail(y, at, e, "expected one of join, starts and goes_on");
    if (join) {
        if (yaml_text(y, join, "join", &text, e) < 0)
            return -1;
        if (!str_eq(text, S("auto")) && !str_eq(text, S("none")))
            return yaml_fail(y, join, e, "join: expected auto or none, got \"%.*s\"", STR_ARG(str_head(text, 60)));
        s->shape.join = str_eq(text, S("none")) ? JOIN_NONE : JOIN_AUTO;
    }
    if (!pattern)
        return 0;
    if (get_text(y, pattern, starts ? "starts" : "goes_on", &s->pattern, e) < 0)
        return -1;
    s->shape.join = starts ? JOIN_STARTS : JOIN_GOES_ON;
    s->shape.pattern = str_of(s->pattern);
    struct joiner *j = joiner_new(s->shape.join, s->shape.pattern, &inner);
    joiner_free(j);
    return j ? 0 : yaml_fail(y, pattern, e, "%s: %s", starts ? "starts" : "goes_on", inner.text);
}

static int get_zone(struct source_config *s, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    str text;
    struct err inner;
    if (!at)
        s->zone = zone_here();
    else if (yaml_text(y, at, "timezone", &text, e) < 0)
        return -1;
    else if (zone_open(text, &s->zone, &inner) < 0)
        return yaml_fail(y, at, e, "timezone: %s", inner.text);
    s->shape.zone = s->zone;
    return 0;
}

static int get_fields(struct source_config *s, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    const struct yaml_node *pattern = yaml_get(at, "pattern"), *format = yaml_get(at, "format");
    struct err inner;
    str text;
    if (!pattern)
        return s->shape.format == LINE_REGEX ? yaml_fail(y, format, e, "format: regex: expected a pattern too") : 0;
    if (format && s->shape.format != LINE_REGEX)
        return yaml_fail(y, pattern, e, "pattern: expected no format but regex beside it");
    s->shape.format = LINE_REGEX;
    if (yaml_text(y, pattern, "pattern", &text, e) < 0)
        return -1;
    return line_pattern_new(text, &s->shape.fields, &inner) < 0 ? yaml_fail(y, pattern, e, "pattern: %s", inner.text)
                                                                : 0;
}

static int get_encoding(struct source_config *s, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    struct text *t = NULL;
    struct err inner;
    if (get_text(y, at, "encoding", &s->encoding, e) < 0)
        return -1;
    s->shape.encoding = s->encoding;
    int rc = text_new(s->encoding, &t, &inner) < 0 ? yaml_fail(y, at, e, "encoding: %s", inner.text) : 0;
    text_free(t);
    return rc;
}

static int get_source(struct agent_config *c, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    static const char *const known[] = {"files",  "format", "join", "starts", "goes_on", "timezone", "add",
                                        "rename", "keep",   "drop", "sample", "pattern", "encoding"};
    struct source_config *s = new_source(c);
    const struct yaml_node *format = yaml_get(at, "format"), *sample = yaml_get(at, "sample");
    struct err inner;
    uint64_t one_of = 1;
    str text;
    if (yaml_is(y, at, "sources", YAML_MAP, e) < 0 || yaml_known(y, at, "sources", known, LENGTH(known), e) < 0)
        return -1;
    if (!yaml_get(at, "files"))
        return yaml_fail(y, at, e, "files: expected patterns of files to follow");
    if (format && (yaml_text(y, format, "format", &text, e) < 0))
        return -1;
    if (format && line_format_read(text, &s->shape.format, &inner) < 0)
        return yaml_fail(y, format, e, "format: %s", inner.text);
    if (sample && yaml_integer(y, sample, "sample", 1, 1000000, &one_of, e) < 0)
        return -1;
    s->shape.sample = (uint32_t)one_of;
    if (get_texts(y, yaml_get(at, "files"), "files", &s->files, &s->files_n, e) < 0 || get_join(s, y, at, e) < 0 ||
        get_zone(s, y, yaml_get(at, "timezone"), e) < 0 || get_fields(s, y, at, e) < 0 ||
        get_encoding(s, y, yaml_get(at, "encoding"), e) < 0 ||
        get_pairs(y, yaml_get(at, "add"), "add", &s->shape.add, &s->shape.add_n, e) < 0 ||
        get_pairs(y, yaml_get(at, "rename"), "rename", &s->shape.rename, &s->shape.rename_n, e) < 0 ||
        get_filter(y, yaml_get(at, "keep"), "keep", &s->shape.keep, e) < 0)
        return -1;
    return get_filter(y, yaml_get(at, "drop"), "drop", &s->shape.drop, e);
}

/* host: true, or {every: 10s, units: [nginx.service]} */
static int get_host(struct agent_config *c, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    static const char *const known[] = {"every", "units"};
    bool on = true;
    if (!at)
        return 0;
    c->host_every = 10 * USEC_PER_SEC;
    if (at->kind == YAML_SCALAR) {
        if (yaml_bool(y, at, "host", &on, e) < 0)
            return -1;
        c->host_every = on ? c->host_every : 0;
        return 0;
    }
    const struct yaml_node *every = yaml_get(at, "every"), *units = yaml_get(at, "units");
    if (yaml_known(y, at, "host", known, LENGTH(known), e) < 0 ||
        (every && yaml_duration(y, every, "host.every", USEC_PER_SEC, 3600 * USEC_PER_SEC, &c->host_every, e) < 0))
        return -1;
    return units ? get_texts(y, units, "host.units", &c->host_units, &c->host_units_n, e) : 0;
}

static int get_journald(struct journald_config *c, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    static const char *const known[] = {"directory", "units", "since"};
    if (!at)
        return 0;
    c->on = true;
    if (at->kind == YAML_SCALAR)
        return yaml_bool(y, at, "journald", &c->on, e);
    const struct yaml_node *units = yaml_get(at, "units"), *since = yaml_get(at, "since");
    if (yaml_is(y, at, "journald", YAML_MAP, e) < 0 || yaml_known(y, at, "journald", known, LENGTH(known), e) < 0 ||
        get_text(y, yaml_get(at, "directory"), "journald.directory", &c->directory, e) < 0 ||
        (since &&
         yaml_duration(y, since, "journald.since", USEC_PER_SEC, (usec)36500 * 86400 * USEC_PER_SEC, &c->since, e) < 0))
        return -1;
    return units ? get_texts(y, units, "journald.units", &c->units, &c->units_n, e) : 0;
}

/* A name of a file in the spool. */
static int check_name(const struct yaml *y, const struct yaml_node *at, const char *name, struct err *e)
{
    static const char *const taken[] = {"stdin", "host", "syslog"};
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (name[n] || n > 32)
        return yaml_fail(y, at, e, "name: expected at most 32 letters, digits, - and _, got \"%.60s\"", name);
    for (size_t i = 0; i < LENGTH(taken); i++)
        if (strcmp(name, taken[i]) == 0)
            return yaml_fail(y, at, e, "name: %s is taken", name);
    return 0;
}

static int get_execs(struct agent_config *c, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    static const char *const known[] = {"name", "command", "every", "timeout"};
    if (!at)
        return 0;
    if (yaml_is(y, at, "exec", YAML_LIST, e) < 0)
        return -1;
    c->execs = xcalloc(at->n + 1, sizeof *c->execs);
    for (size_t i = 0; i < at->n; i++) {
        const struct yaml_node *item = at->items[i], *every = yaml_get(item, "every"),
                               *timeout = yaml_get(item, "timeout");
        struct exec_config *x = &c->execs[c->execs_n++];
        x->every = x->timeout = 60 * USEC_PER_SEC;
        if (yaml_is(y, item, "exec", YAML_MAP, e) < 0 || yaml_known(y, item, "exec", known, LENGTH(known), e) < 0)
            return -1;
        if (!yaml_get(item, "name") || !yaml_get(item, "command"))
            return yaml_fail(y, item, e, "exec: expected name and command");
        if (get_text(y, yaml_get(item, "name"), "name", &x->name, e) < 0 ||
            check_name(y, yaml_get(item, "name"), x->name, e) < 0 ||
            get_text(y, yaml_get(item, "command"), "command", &x->command, e) < 0 ||
            (every && yaml_duration(y, every, "every", USEC_PER_SEC, 86400 * USEC_PER_SEC, &x->every, e) < 0) ||
            (timeout && yaml_duration(y, timeout, "timeout", USEC_PER_SEC, 86400 * USEC_PER_SEC, &x->timeout, e) < 0))
            return -1;
    }
    return 0;
}

static bool smtp_good(str s)
{
    return mail_url_good(s) && (str_starts(s, S("smtp://")) || str_starts(s, S("smtps://")));
}

static int get_alarm(struct agent_config *c, const struct yaml *y, const struct yaml_node *at, struct err *e)
{
    static const char *const known[] = {"to", "from", "smtp", "after"};
    if (!at)
        return 0;
    const struct yaml_node *to = yaml_get(at, "to"), *after = yaml_get(at, "after");
    c->alarm.after = 600 * USEC_PER_SEC;
    if (yaml_is(y, at, "alarm", YAML_MAP, e) < 0 || yaml_known(y, at, "alarm", known, LENGTH(known), e) < 0)
        return -1;
    if (!to)
        return yaml_fail(y, at, e, "alarm.to: expected the address a mail goes to");
    if (get_texts(y, to, "alarm.to", &c->alarm.to, &c->alarm.to_n, e) < 0 ||
        get_text(y, yaml_get(at, "from"), "alarm.from", &c->alarm.from, e) < 0 ||
        get_text(y, yaml_get(at, "smtp"), "alarm.smtp", &c->alarm.smtp, e) < 0 ||
        (after && yaml_duration(y, after, "alarm.after", USEC_PER_SEC, 86400 * USEC_PER_SEC, &c->alarm.after, e) < 0))
        return -1;
    for (size_t i = 0; i < c->alarm.to_n; i++)
        if (!email_good(str_of(c->alarm.to[i])))
            return yaml_fail(y, to, e, "alarm.to: expected a bare address, got \"%.60s\"", c->alarm.to[i]);
    if (c->alarm.from && !email_good(str_of(c->alarm.from)))
        return yaml_fail(y, at, e, "alarm.from: expected a bare address, got \"%.60s\"", c->alarm.from);
    if (!c->alarm.smtp)
        c->alarm.smtp = xstrdup("smtp://127.0.0.1:25");
    else if (!smtp_good(str_of(c->alarm.smtp)))
        return yaml_fail(y, yaml_get(at, "smtp"), e, "alarm.smtp: expected smtp://HOST:PORT or smtps://HOST");
    return 0;
}

static int get_all(struct agent_config *c, const struct yaml *y, struct err *e)
{
    static const char *const known[] = {"servers", "key",    "state",    "tls",  "proxy", "rate",   "spool",
                                        "host",    "syslog", "journald", "exec", "alarm", "sources"};
    const struct yaml_node *root = yaml_root(y), *servers = yaml_get(root, "servers"),
                           *sources = yaml_get(root, "sources");
    if (yaml_is(y, root, "the file", YAML_MAP, e) < 0 || yaml_known(y, root, "", known, LENGTH(known), e) < 0)
        return -1;
    if ((servers && get_texts(y, servers, "servers", &c->servers, &c->servers_n, e) < 0) ||
        get_key(y, yaml_get(root, "key"), &c->key, e) < 0 ||
        get_text(y, yaml_get(root, "state"), "state", &c->state, e) < 0 ||
        get_proxy(c, y, yaml_get(root, "proxy"), e) < 0 ||
        get_bytes(y, yaml_get(root, "rate"), "rate", 1000, &c->rate, e) < 0 ||
        get_bytes(y, yaml_get(root, "spool"), "spool", 2 * SPOOL_FILE_BYTES, &c->spool, e) < 0 ||
        get_tls(c, y, yaml_get(root, "tls"), e) < 0 || get_host(c, y, yaml_get(root, "host"), e) < 0 ||
        get_alarm(c, y, yaml_get(root, "alarm"), e) < 0 ||
        get_text(y, yaml_get(root, "syslog"), "syslog", &c->syslog, e) < 0 ||
        get_journald(&c->journald, y, yaml_get(root, "journald"), e) < 0 ||
        get_execs(c, y, yaml_get(root, "exec"), e) < 0 || (sources && yaml_is(y, sources, "sources", YAML_LIST, e) < 0))
        return -1;
    for (size_t i = 0; sources && i < sources->n; i++)
        if (get_source(c, y, sources->items[i], e) < 0)
            return -1;
    return 0;
}

int agent_config_load(const char *file, struct agent_config **ret, struct err *e)
{
    struct agent_config *c = xcalloc(1, sizeof *c);
    c->spool = SPOOL_BYTES;
    struct buf b = BUF_INIT(CONFIG_MAX);
    struct yaml *y = NULL;
    int rc = 0;
    if (file)
        rc = file_read(file, CONFIG_MAX, &b, e) < 0 || yaml_parse(file, buf_view(&b), &y, e) < 0 || get_all(c, y, e) < 0
                 ? -1
                 : 0;
    yaml_tree_free(y);
    buf_done(&b);
    if (rc < 0)
        agent_config_free(c);
    else
        *ret = c;
    return rc;
}
