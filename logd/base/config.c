#include "base/config.h"
#include "base/buf.h"
#include "base/config-good.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/yaml.h"

#include <ctype.h>

#define DAY (86400 * USEC_PER_SEC)
#define CONFIG_MAX (1u << 20)  /* bytes of a config file */
#define SECRET_MAX (64u << 10) /* bytes of a {file:} */
enum { KEYS_MAX = 32, WHAT_MAX = 64 };

/* A value that is being read, and where it came from: the file, a variable of the environment, or a default. */
struct from {
    const struct yaml *y;
    const struct yaml_node *at; /* NULL: absent */
    const char *dir;            /* where relative paths start */
    bool hidden;                /* from {file:} or {env:}: not told in errors */
};
struct key;
typedef int set_fn(struct from f, const struct key *k, void *at, const char *what, struct err *e);

enum shape {
    VALUE,   /* text, converted by `set` */
    VALUES,  /* list of texts */
    SECTION, /* map with the keys `sub` */
    RECORDS, /* list of maps with the keys `sub`; plain text stands for the first of them */
    NAMED,   /* map from a name, the first of `sub`, to maps with the rest of them */
};
struct key {
    const char *name;
    enum shape shape;
    size_t offset;        /* of the value in its struct; of VALUES, RECORDS and NAMED a struct list */
    set_fn *set;          /* VALUE, VALUES */
    const char *fallback; /* as if it had been written; NULL: none */
    bool (*good)(str);    /* of a text */
    const char *expected; /* what `good` or the range asks for */
    uint64_t min, max;    /* of a number */
    const struct key *sub;
    size_t sub_n, size; /* keys; bytes of one item of RECORDS and NAMED */
};
struct list { /* how each list lies in struct config: items, items_n */
    void *items;
    size_t n;
};

#define HTTP_EXPECTED "http://HOST or https://HOST, with a port and a path if need be"

/* ---- one value ---- */

/* What came, for an error; not what {file:} and {env:} hold, nor the user and password of a URL. */
static const char *got(struct from f, char out[YAML_GOT_MAX])
{
    ptrdiff_t scheme = f.at->kind == YAML_SCALAR ? str_find(f.at->text, S("://")) : -1;
    ptrdiff_t user = scheme >= 0 ? str_chr(f.at->text, '@') : -1;
    if (f.hidden)
        snprintf(out, YAML_GOT_MAX, "something else");
    else if (user > scheme && scheme < 20)
        snprintf(out, YAML_GOT_MAX, "\"%.*s...%.*s\"", (int)scheme + 3, f.at->text.p,
                 STR_ARG(str_head(str_skip(f.at->text, (size_t)user), 30)));
    else
        yaml_got(f.at, out);
    return out;
}

static int unexpected(struct from f, const char *what, const char *expected, struct err *e)
{
    char out[YAML_GOT_MAX];
    return yaml_fail(f.y, f.at, e, "%s: expected %s, got %s", what, expected, got(f, out));
}

static char *beside(const char *dir, str path)
{
    struct buf b = BUF_INIT(1u << 16);
    if (path.n && path.p[0] != '/' && strcmp(dir, ".") != 0)
        buf_printf(&b, "%s/", dir);
    buf_str(&b, path);
    return buf_take(&b, NULL);
}

static int set_text(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    str text;
    if (yaml_text(f.y, f.at, what, &text, e) < 0)
        return -1;
    if (k->good && !k->good(text))
        return unexpected(f, what, k->expected, e);
    free(*(char **)at);
    *(char **)at = str_dup(text);
    return 0;
}

static int set_path(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    char **path = at;
    if (set_text(f, k, at, what, e) < 0)
        return -1;
    char *whole = beside(f.dir, str_of(*path));
    free(*path);
    *path = whole;
    return 0;
}

static int set_url(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    char **url = at;
    if (set_text(f, k, at, what, e) < 0)
        return -1;
    for (size_t n = strlen(*url); n && (*url)[n - 1] == '/'; n--)
        (*url)[n - 1] = '\0';
    return 0;
}

/* An error does not show it. */
static int set_secret_url(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    f.hidden = true;
    return set_text(f, k, at, what, e);
}

static int set_bytes(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    uint64_t v;
    if (f.at->kind != YAML_SCALAR || !str_bytes(f.at->text, &v) || v < k->min || v > k->max)
        return unexpected(f, what, k->expected, e);
    *(uint64_t *)at = v;
    return 0;
}

static int set_duration(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    return yaml_duration(f.y, f.at, what, (usec)k->min, (usec)k->max, at, e);
}

static int set_count(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    uint64_t v;
    if (yaml_integer(f.y, f.at, what, k->min, k->max, &v, e) < 0)
        return -1;
    *(uint32_t *)at = (uint32_t)v;
    return 0;
}

static int set_flag(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    (void)k;
    return yaml_bool(f.y, f.at, what, at, e);
}

static int set_days(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    double days;
    if (f.at->kind != YAML_SCALAR || !str_double(f.at->text, &days) || days <= 0 || days > 36500)
        return unexpected(f, what, k->expected, e);
    *(usec *)at = (usec)(days * (double)DAY);
    return 0;
}

/* In thousandths. */
static int set_epsilon(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    double epsilon;
    if (f.at->kind != YAML_SCALAR || !str_double(f.at->text, &epsilon) || epsilon < 0.01 || epsilon > 10)
        return unexpected(f, what, k->expected, e);
    *(uint32_t *)at = (uint32_t)(epsilon * 1000 + .5);
    return 0;
}

static int set_rank(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    str rank = f.at->text;
    if (rank.n != 2 || rank.p[0] != 'P' || rank.p[1] < '1' || rank.p[1] > '5')
        return unexpected(f, what, k->expected, e);
    *(int *)at = rank.p[1] - '0';
    return 0;
}

static int set_clock(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    str s = f.at->text;
    uint64_t hour, minute;
    if (str_eq(s, S("never"))) {
        *(int *)at = -1;
        return 0;
    }
    if (s.n != 5 || s.p[2] != ':' || !str_u64(str_head(s, 2), &hour) || !str_u64(str_skip(s, 3), &minute) ||
        hour > 23 || minute > 59)
        return unexpected(f, what, k->expected, e);
    *(int *)at = (int)(hour * 60 + minute);
    return 0;
}

static int set_hook(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    static const str kinds[] = {[HOOK_JSON] = S("json"), [HOOK_SLACK] = S("slack"), [HOOK_NTFY] = S("ntfy")};
    for (size_t i = 0; i < LENGTH(kinds); i++)
        if (str_eq(f.at->text, kinds[i])) {
            *(enum config_hook *)at = (enum config_hook)i;
            return 0;
        }
    return unexpected(f, what, k->expected, e);
}

/* A server that silently did not listen would lose what is sent to it. */
static int set_absent(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    (void)k;
    (void)at;
    return yaml_fail(f.y, f.at, e, "%s: the %.*s listener is not there yet", what, (int)strcspn(what, "."), what);
}

/* ---- the keys ---- */

#define AT(field) offsetof(struct config, field)
#define ADDRESS .set = set_text, .good = address_good, .expected = "ADDRESS:PORT like 127.0.0.1:5514 or [::1]:5514"
#define BYTES(least, most, text) .set = set_bytes, .min = (least), .max = (most), .expected = text
#define TEXT(check, text) .set = set_text, .good = (check), .expected = text
#define SUB(keys) .sub = (keys), .sub_n = LENGTH(keys)

static const struct key tls_keys[] = {
    {"cert", VALUE, AT(tls_cert), .set = set_path},
    {"key", VALUE, AT(tls_key), .set = set_path},
};
#define APP_EXPECTED "the name of an app (a-z, 0-9, '.', '_', '-')"
static const struct key listener_keys[] = {
    {"udp", VALUE, 0, .set = set_absent},
    {"tcp", VALUE, 0, .set = set_absent},
    {"app", VALUE, 0, .set = set_absent},
};
static const struct key statsd_keys[] = {
    {"udp", VALUE, AT(statsd.udp), TEXT(address_good, "ADDRESS:PORT like 127.0.0.1:8125 or [::1]:8125")},
    {"unix", VALUE, AT(statsd.path), .set = set_path},
    {"app", VALUE, AT(statsd.app), TEXT(app_good, APP_EXPECTED), .fallback = "statsd"},
};
static const struct key mail_keys[] = {
    {"url", VALUE, AT(mail.url),
     TEXT(mail_url_good,
          "smtp://HOST:PORT, smtps://HOST:PORT, sendmail:/PATH or maildir:DIR, without user and password")},
    {"from", VALUE, AT(mail.from), TEXT(email_good, "an address like logd@example.com")},
    {"user", VALUE, AT(mail.user), .set = set_text},
    {"password", VALUE, AT(mail.password), .set = set_text},
};
/* Of whoever is told: a person, or a webhook. */
#define TOLD(type, at, at_digest)                                                                                      \
    {"min", VALUE, offsetof(type, at min), .set = set_rank, .expected = "P1, P2, P3, P4 or P5", .fallback = "P3"},     \
        {"digest",                                                                                                     \
         VALUE,                                                                                                        \
         offsetof(type, at digest_minute),                                                                             \
         .set = set_clock,                                                                                             \
         .expected = "a time of day like \"08:30\", or never",                                                         \
         .fallback = at_digest},                                                                                       \
        {"after", VALUE, offsetof(type, at after), .set = set_duration, .min = 60 * USEC_PER_SEC, .max = DAY},         \
    {                                                                                                                  \
        "timezone", VALUE, offsetof(type, at timezone),                                                                \
            TEXT(zone_good, "a time zone of the system like Europe/Amsterdam"), .fallback = "UTC"                      \
    }
static const struct key recipient_keys[] = {
    {"email", VALUE, offsetof(struct config_recipient, email), TEXT(email_good, "an address like ops@example.com")},
    TOLD(struct config_recipient, , "08:30"),
};
static const struct key webhook_keys[] = {
    {"name", VALUE, offsetof(struct config_webhook, name), TEXT(app_good, "a name (a-z, 0-9, '.', '_', '-')")},
    {"url", VALUE, offsetof(struct config_webhook, url), .set = set_secret_url, .good = hook_url_good,
     .expected = HTTP_EXPECTED},
    {"kind", VALUE, offsetof(struct config_webhook, kind), .set = set_hook, .expected = "json, slack or ntfy",
     .fallback = "json"},
    {"token", VALUE, offsetof(struct config_webhook, token), .set = set_text},
    TOLD(struct config_webhook, as., "never"),
};
static const struct key app_keys[] = {
    {"name", VALUE, offsetof(struct config_app_keep, app), TEXT(app_good, APP_EXPECTED)},
    {"days", VALUE, offsetof(struct config_app_keep, keep), .set = set_days,
     .expected = "a number of days up to 36500"},
    {"bytes", VALUE, offsetof(struct config_app_keep, bytes), BYTES(1, UINT64_MAX, "a size like 50GiB")},
};
static const struct key retention_keys[] = {
    {"days", VALUE, AT(retention.keep), .set = set_days, .expected = "a number of days up to 36500", .fallback = "30"},
    {"bytes", VALUE, AT(retention.bytes), BYTES(1, UINT64_MAX, "a size like 50GiB")},
    {"apps", NAMED, AT(retention.apps), SUB(app_keys), .size = sizeof(struct config_app_keep)},
};
static const struct key archive_keys[] = {
    {"url", VALUE, AT(archive.url), .set = set_url, .good = archive_url_good,
     .expected = "s3://BUCKET/PREFIX or file:///DIR"},
    {"endpoint", VALUE, AT(archive.endpoint), .set = set_url, .good = http_good, .expected = HTTP_EXPECTED},
    {"region", VALUE, AT(archive.region), .set = set_text, .fallback = "us-east-1"},
    {"access_key", VALUE, AT(archive.access_key), .set = set_text},
    {"secret_key", VALUE, AT(archive.secret_key), .set = set_text},
    {"every", VALUE, AT(archive.every), .set = set_duration, .min = USEC_PER_SEC, .max = DAY, .fallback = "60s"},
};
static const struct key stats_keys[] = {
    {"timezone", VALUE, AT(stats.zone), TEXT(zone_good, "a time zone of the system like Europe/Amsterdam"),
     .fallback = "UTC"},
    {"metrics", VALUES, AT(stats.metrics),
     TEXT(stat_good, "a stat's name: letters, digits and '.', '_', '-', '/', ':'")},
};
static const struct key unique_keys[] = {
    {"year", VALUE, AT(unique_year), .set = set_flag, .fallback = "false"},
    {"noise", VALUE, AT(unique_noise), .set = set_epsilon, .expected = "an epsilon from 0.01 to 10"},
};
static const struct key limits_keys[] = {
    {"body", VALUE, AT(limits.body), BYTES(1000, 1u << 30, "a size from 1kB to 1GiB"), .fallback = "32MiB"},
    {"decoded", VALUE, AT(limits.decoded), BYTES(1000, 1u << 30, "a size from 1kB to 1GiB"), .fallback = "64MiB"},
    {"event", VALUE, AT(limits.event), BYTES(1000, LIMIT_EVENT, "a size from 1kB to 1MiB"), .fallback = "1MiB"},
    {"fields", VALUE, AT(limits.fields), .set = set_count, .min = 10, .max = LIMIT_FIELDS, .fallback = "1000"},
    {"depth", VALUE, AT(limits.depth), .set = set_count, .min = 1, .max = LIMIT_DEPTH, .fallback = "32"},
    {"events", VALUE, AT(limits.events), .set = set_count, .min = 1, .max = LIMIT_EVENTS, .fallback = "100000"},
};
static const struct key keys[] = {
    {"listen", VALUE, AT(listen), ADDRESS, .fallback = "127.0.0.1:5080"},
    {"data", VALUE, AT(data), .set = set_text, .fallback = "./logd-data"},
    {"tls", SECTION, 0, SUB(tls_keys)},
    {"url", VALUE, AT(url), .set = set_url, .good = http_good, .expected = HTTP_EXPECTED},
    {"memory", VALUE, AT(memory), BYTES(64u << 20, 1ull << 50, "a size of at least 64MiB"), .fallback = "512MiB"},
    {"proxies", VALUES, AT(proxies), TEXT(network_good, "an address or network like 10.0.0.0/8")},
    {"syslog", SECTION, 0, SUB(listener_keys)},
    {"gelf", SECTION, 0, SUB(listener_keys)},
    {"forward", SECTION, 0, SUB(listener_keys)},
    {"statsd", SECTION, 0, SUB(statsd_keys)},
    {"mail", SECTION, 0, SUB(mail_keys)},
    {"recipients", RECORDS, AT(recipients), SUB(recipient_keys), .size = sizeof(struct config_recipient)},
    {"webhooks", NAMED, AT(webhooks), SUB(webhook_keys), .size = sizeof(struct config_webhook)},
    {"private_hosts", VALUES, AT(private_hosts), TEXT(host_good, "a host's name or address like ntfy.lan or 10.0.0.5")},
    {"retention", SECTION, 0, SUB(retention_keys)},
    {"archive", SECTION, 0, SUB(archive_keys)},
    {"stats", SECTION, 0, SUB(stats_keys)},
    {"unique", SECTION, 0, SUB(unique_keys)},
    {"limits", SECTION, 0, SUB(limits_keys)},
    {"query_deadline", VALUE, AT(query_deadline), .set = set_duration, .min = USEC_PER_SEC, .max = 3600 * USEC_PER_SEC,
     .fallback = "30s"},
    {"store", VALUE, AT(store), TEXT(store_good, "local (clickhouse:// is not supported yet)"), .fallback = "local"},
    {"rules", VALUES, AT(rules), .set = set_path},
};

/* ---- walking the keys ---- */

/* {file: PATH} and {env: NAME} stand for what they name. */
static int indirect(struct from f, const char *what, struct buf *out, struct err *e)
{
    static const char *const ways[] = {"file", "env"};
    struct err why;
    str name;
    if (yaml_known(f.y, f.at, what, ways, LENGTH(ways), e) < 0)
        return -1;
    if (f.at->n != 1)
        return yaml_fail(f.y, f.at, e, "%s: expected text, {file: PATH} or {env: NAME}", what);
    if (yaml_text(f.y, f.at->items[0], what, &name, e) < 0)
        return -1;
    if (str_eq(f.at->keys[0]->text, S("env"))) {
        const char *value = getenv(name.p);
        if (!value)
            return yaml_fail(f.y, f.at, e, "%s: the environment has no %.*s", what, STR_ARG(str_head(name, 60)));
        buf_str(out, str_of(value));
        return 0;
    }
    char *path = beside(f.dir, name);
    int rc = file_read(path, SECRET_MAX, out, &why);
    if (rc < 0)
        yaml_fail(f.y, f.at, e, "%s: %s", what, why.text);
    free(path);
    return rc;
}

static int value(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    struct buf b = BUF_INIT(SECRET_MAX);
    struct yaml_node named;
    int rc = 0;
    if (f.at->kind == YAML_MAP) {
        rc = indirect(f, what, &b, e);
        named = (struct yaml_node){.text = str_trim(buf_view(&b)), .line = f.at->line, .column = f.at->column};
        f.at = &named;
        f.hidden = true;
    }
    if (rc == 0)
        rc = yaml_is(f.y, f.at, what, YAML_SCALAR, e) < 0 ? -1 : k->set(f, k, at, what, e);
    buf_done(&b);
    return rc;
}

static struct from child(struct from f, const struct yaml_node *at)
{
    f.at = at;
    return f;
}

static int map(struct from f, const struct key *k, size_t n, void *base, const char *what, const char *env,
               struct err *e);

static int values(struct from f, const struct key *k, struct list *list, const char *what, struct err *e)
{
    if (yaml_is(f.y, f.at, what, YAML_LIST, e) < 0)
        return -1;
    char **items = list->items = xcalloc(f.at->n + 1, sizeof *items);
    for (list->n = 0; list->n < f.at->n; list->n++)
        if (value(child(f, f.at->items[list->n]), k, &items[list->n], what, e) < 0)
            return -1;
    return 0;
}

static int records(struct from f, const struct key *k, struct list *list, const char *what, struct err *e)
{
    if (yaml_is(f.y, f.at, what, k->shape == NAMED ? YAML_MAP : YAML_LIST, e) < 0)
        return -1;
    list->items = xcalloc(f.at->n + 1, k->size);
    for (size_t i = 0; i < f.at->n; i++) {
        struct from item = child(f, f.at->items[i]);
        void *base = (char *)list->items + list->n++ * k->size;
        if (k->shape == NAMED) {
            if (value(child(f, f.at->keys[i]), k->sub, base, what, e) < 0 ||
                map(item, k->sub + 1, k->sub_n - 1, base, what, NULL, e) < 0)
                return -1;
        } else if (item.at->kind == YAML_MAP) {
            if (!yaml_get(item.at, k->sub->name))
                return yaml_fail(f.y, item.at, e, "%s: %s is missing", what, k->sub->name);
            if (map(item, k->sub, k->sub_n, base, what, NULL, e) < 0)
                return -1;
        } else if (map(child(f, NULL), k->sub, k->sub_n, base, what, NULL, e) < 0 ||
                   value(item, k->sub, base, what, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int one(struct from f, const struct key *k, void *at, const char *what, struct err *e)
{
    bool empty = f.at->kind == YAML_SCALAR && !f.at->quoted && f.at->text.n == 0;
    if (k->shape == VALUE)
        return value(f, k, at, what, e);
    if (empty) /* a list whose items are all comments */
        return 0;
    return k->shape == VALUES ? values(f, k, at, what, e) : records(f, k, at, what, e);
}

/* A variable as a tree: text, a list with commas, or YAML when it starts like a list or a map. */
static int variable(const char *name, const char *text, enum shape shape, struct yaml **ret, struct err *e)
{
    str items[64], rest = str_of(text);
    size_t n = 0;
    if (shape == VALUE) {
        *ret = yaml_of_text(name, rest);
        return 0;
    }
    if (shape == NAMED || text[0] == '[' || text[0] == '{')
        return yaml_parse(name, rest, ret, e);
    while (rest.p && n < LENGTH(items))
        items[n++] = str_trim(str_cut(&rest, ','));
    if (rest.p)
        return err_set(e, ERR_INPUT, "%s: expected at most %zu items", name, LENGTH(items));
    *ret = yaml_of_list(name, items, n);
    return 0;
}

/* From the environment, else from the file, else the default. */
static int from_somewhere(struct from f, const struct key *k, void *at, const char *what, const char *env,
                          struct err *e)
{
    const char *text = env ? getenv(env) : NULL;
    struct yaml *y = NULL;
    if (text && *text) {
        if (variable(env, text, k->shape, &y, e) < 0)
            return -1;
        f = (struct from){.y = y, .at = yaml_root(y), .dir = "."};
    } else if (!f.at && k->fallback) {
        y = yaml_of_text("default", str_of(k->fallback));
        f = (struct from){.y = y, .at = yaml_root(y), .dir = "."};
    }
    int rc = f.at ? one(f, k, at, what, e) : 0;
    yaml_tree_free(y);
    return rc;
}

static void env_name(char *out, size_t size, const char *prefix, const char *name)
{
    snprintf(out, size, "%s_%s", prefix, name);
    for (; *out; out++)
        *out = (char)toupper((unsigned char)*out);
}

/* All keys of one map. `f.at` may be NULL or empty: environment and defaults still count. `env` NULL: not from there. */
static int map(struct from f, const struct key *k, size_t n, void *base, const char *what, const char *env,
               struct err *e)
{
    const char *names[KEYS_MAX];
    char sub[WHAT_MAX], variable_name[WHAT_MAX];
    assert(n <= KEYS_MAX);
    for (size_t i = 0; i < n; i++)
        names[i] = k[i].name;
    if (f.at && f.at->kind == YAML_SCALAR && !f.at->quoted && f.at->text.n == 0)
        f.at = NULL; /* a section whose keys are all comments */
    if (f.at && yaml_known(f.y, f.at, what, names, n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct from item = child(f, f.at ? yaml_get(f.at, k[i].name) : NULL);
        void *at = (char *)base + k[i].offset;
        snprintf(sub, sizeof sub, "%s%s%s", what, *what ? "." : "", k[i].name);
        if (env)
            env_name(variable_name, sizeof variable_name, env, k[i].name);
        int rc = k[i].shape == SECTION ? map(item, k[i].sub, k[i].sub_n, at, sub, variable_name, e)
                                       : from_somewhere(item, &k[i], at, sub, env ? variable_name : NULL, e);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static void release(const struct key *k, size_t n, void *base)
{
    for (; n > 0; k++, n--) {
        char *at = (char *)base + k->offset;
        struct list *list = (struct list *)(void *)at;
        if (k->shape == SECTION)
            release(k->sub, k->sub_n, at);
        if (k->shape == VALUE &&
            (k->set == set_text || k->set == set_path || k->set == set_url || k->set == set_secret_url))
            free(*(char **)(void *)at);
        if (k->shape == VALUE || k->shape == SECTION)
            continue;
        for (size_t i = 0; i < list->n; i++)
            k->shape == VALUES ? free(((char **)list->items)[i])
                               : release(k->sub, k->sub_n, (char *)list->items + i * k->size);
        free(list->items);
    }
}

/* ---- what must fit together ---- */

/* At the section of the file if it has one. */
static int clash(const struct yaml *y, const char *section, struct err *e, const char *text)
{
    const struct yaml_node *at = yaml_get(yaml_root(y), section);
    return at ? yaml_fail(y, at, e, "%s", text) : err_set(e, ERR_INPUT, "config: %s", text);
}

static int whole(const struct yaml *y, const struct config *c, struct err *e)
{
    bool s3 = c->archive.url && str_starts(str_of(c->archive.url), S("s3://"));
    if (!c->tls_cert != !c->tls_key)
        return clash(y, "tls", e,
                     c->tls_cert ? "tls.cert is given without tls.key" : "tls.key is given without tls.cert");
    if (!c->mail.user != !c->mail.password)
        return clash(y, "mail", e,
                     c->mail.user ? "mail.user is given without mail.password"
                                  : "mail.password is given without mail.user");
    if (c->mail.url && !c->mail.from)
        return clash(y, "mail", e, "mail.url is given without mail.from");
    if (c->recipients_n && !c->mail.url)
        return clash(y, "recipients", e, "recipients are given without mail.url: no mail could reach them");
    for (size_t i = 0; c->recipients_n && c->recipients[i].after; i++)
        if (i + 1 == c->recipients_n)
            return clash(y, "recipients", e, "every recipient has after: nobody would be told at once");
    for (size_t i = 0; i < c->webhooks_n; i++)
        if (!c->webhooks[i].url)
            return clash(y, "webhooks", e, "webhooks: url is missing");
    if (s3 && (!c->archive.access_key || !c->archive.secret_key))
        return clash(y, "archive", e, "archive.url is s3:// and needs archive.access_key and archive.secret_key");
    return 0;
}

static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash ? str_dup(str_n(file, slash == file ? 1 : (size_t)(slash - file))) : xstrdup(".");
}

int config_parse(const char *file, str text, struct config **ret, struct err *e)
{
    struct config *c = xcalloc(1, sizeof *c);
    struct yaml *y;
    if (yaml_parse(file, text, &y, e) < 0) {
        free(c);
        return -1;
    }
    char *dir = folder_of(file);
    struct from f = {.y = y, .at = yaml_root(y), .dir = dir};
    int rc = map(f, keys, LENGTH(keys), c, "", "LOGD", e) < 0 || whole(y, c, e) < 0 ? -1 : 0;
    if (rc == 0)
        *ret = c;
    else
        config_free(c);
    yaml_tree_free(y);
    free(dir);
    return rc;
}

int config_load(const char *file, struct config **ret, struct err *e)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    struct config *c;
    int rc = file ? file_read(file, CONFIG_MAX, &text, e) : 0;
    if (rc == 0)
        rc = config_parse(file ? file : "config", buf_view(&text), &c, e);
    buf_done(&text);
    if (rc < 0)
        return -1;
    if (file) {
        c->file = xstrdup(file);
        if (!c->rules) { /* `rules: []` is none */
            char *dir = folder_of(file);
            c->rules = xcalloc(1, sizeof *c->rules);
            c->rules[c->rules_n++] = beside(dir, S("rules/*.yaml"));
            free(dir);
        }
    }
    *ret = c;
    return 0;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    release(keys, LENGTH(keys), c);
    free(c->file);
    free(c);
}
