/* base/config.h - logd.yaml (contract 13) as one immutable object; a reload is a new one, swapped in whole.
 *
 * Every key may also come from the environment as LOGD_SECTION_KEY (LOGD_LISTEN, LOGD_MAIL_URL, LOGD_ARCHIVE_EVERY …),
 * which wins over the file; `--data` and `--listen` win over both. An empty variable counts as none. Lists are comma
 * separated there, or a list or map in YAML or JSON. Any value may be {file: PATH} or {env: NAME}. An unknown key is an
 * error with file, line, column and the nearest known name; so is each value that cannot work, told here and not by the
 * part that would trip over it. The keys and their defaults stand in one table in config.c; `man logd.conf`.
 *
 * Owner   whoever loaded it; read by any thread. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/base.h"
#include "base/err.h"

struct config_recipient {
    char *email;
    int min;           /* 1-5: mails of this rank and above; default 3 */
    int digest_minute; /* minute of the day of the daily digest, local time; -1: never; default 8:30 */
    usec after;        /* 0; else told of a P1 that nobody acknowledged for so long, and of nothing else */
    char *timezone;    /* "UTC"; a name that the system's zoneinfo has */
};
enum config_hook { HOOK_JSON, HOOK_SLACK, HOOK_NTFY };
struct config_webhook {
    char *name;
    char *url;   /* http:// or https://; whoever knows it can post there */
    char *token; /* Authorization: Bearer; NULL: none */
    enum config_hook kind;
    struct config_recipient as; /* without email; digest_minute -1 by default */
};
struct config_app_keep {
    char *app;
    usec keep;      /* 0: as retention.days */
    uint64_t bytes; /* 0: no limit of its own */
};
struct config {
    char *file;               /* NULL: none was read */
    char *listen;             /* "127.0.0.1:5080" */
    char *data;               /* "./logd-data" */
    char *tls_cert, *tls_key; /* both or neither */
    char *url;                /* as people reach it, no slash at its end; NULL: http(s)://listen */
    uint64_t memory;          /* 512 MiB */
    char **proxies;           /* addresses or CIDR whose X-Forwarded-For is believed */
    size_t proxies_n;
    struct {
        char *url;             /* smtp:// smtps:// sendmail: maildir:; NULL: no mail */
        char *from;            /* given with url; a bare address */
        char *user, *password; /* both or neither */
    } mail;
    struct config_recipient *recipients;
    size_t recipients_n;
    struct config_webhook *webhooks;
    size_t webhooks_n;
    char **private_hosts; /* hosts of webhooks whose address need not be public */
    size_t private_hosts_n;
    struct {
        usec keep;      /* 30 days */
        uint64_t bytes; /* 0: no limit */
        struct config_app_keep *apps;
        size_t apps_n;
    } retention;
    struct {
        char *url;                     /* s3://BUCKET/PREFIX or file:///DIR; NULL: none */
        char *endpoint;                /* NULL: Amazon's of the region */
        char *region;                  /* "us-east-1" */
        char *access_key, *secret_key; /* given with s3:// */
        usec every;                    /* 60 s */
    } archive;
    struct {
        uint64_t body, decoded, event; /* bytes */
        uint32_t fields, depth, events;
    } limits;
    struct {
        char *udp, *path; /* ADDRESS:PORT, a Unix datagram socket; NULL: not listened on */
        char *app;        /* "statsd" */
    } statsd;
    uint32_t unique_noise; /* epsilon of what is published of sealed cells, in thousandths; 0: none */
    bool unique_year;      /* different people of a year are counted too: its secret lives for a year */
    struct {
        char *zone;     /* "UTC": whose days and months are kept */
        char **metrics; /* names of stats that /metrics shows */
        size_t metrics_n;
    } stats;
    usec query_deadline; /* 30 s: after it a query answers with what it has */
    char *store;         /* "local" */
    char **rules;        /* glob patterns, relative ones resolved beside the config file; default: rules/ there */
    size_t rules_n;
};
/* `file` NULL: defaults and environment only. ERR_INPUT "FILE:LINE:COLUMN: …" or "LOGD_MAIL_URL: …". */
int config_load(const char *file, struct config **ret, struct err *e) MUST_CHECK;
/* The same from text that is already read; `file` names it and says where relative paths start. */
int config_parse(const char *file, str text, struct config **ret, struct err *e) MUST_CHECK;
void config_free(struct config *c); /* NULL is fine */

#endif
