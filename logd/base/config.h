/* base/config.h - logd.yaml (contract 13) as one immutable object; a reload is a new one, swapped in whole.
 *
 * Every key may also come from the environment as LOGD_SECTION_KEY (LOGD_LISTEN, LOGD_MAIL_URL, LOGD_ARCHIVE_EVERY …),
 * which wins over the file; `--data` and `--listen` win over both. Secrets may be {file: PATH} or {env: NAME}. An unknown
 * key is an error with file, line, column and the nearest known name. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/base.h"
#include "base/err.h"

struct config_recipient {
    char *email;
    int min;            /* 1-5: mails of this rank and above; default 3 */
    int digest_minute;  /* minute of the day of the daily digest, local time; default 8:30 */
    char *timezone;     /* "UTC" */
};
struct config_app_keep { char *app; usec keep; uint64_t bytes; };
struct config_listener { char *udp, *tcp, *app; }; /* addresses, NULL: off */
struct config {
    char *file;         /* NULL: none was read */
    char *listen;       /* "127.0.0.1:5080" */
    char *data;         /* "./logd-data" */
    char *tls_cert, *tls_key; /* both or neither */
    char *url;          /* as people reach it; NULL: http(s)://listen */
    uint64_t memory;    /* 512 MiB */
    char **proxies; size_t proxies_n;     /* addresses or CIDR whose X-Forwarded-For is believed */
    struct config_listener syslog, gelf, forward, statsd;
    struct { char *url, *from, *user, *password; } mail; /* url NULL: no mail */
    struct config_recipient *recipients; size_t recipients_n;
    struct { usec keep; uint64_t bytes; struct config_app_keep *apps; size_t apps_n; } retention; /* 30 days; 0 bytes: no limit */
    struct { char *url, *endpoint, *region, *access_key, *secret_key; usec every; } archive;     /* url NULL: none; every 60 s */
    struct { uint64_t body, decoded, event; uint32_t fields, depth, events; } limits;            /* limits: of contract 3 */
    char *store;        /* "local" */
    char **rules; size_t rules_n; /* glob patterns, relative ones beside the config file */
};
/* `file` NULL: defaults and environment only. */
int config_load(const char *file, struct config **ret, struct err *e) MUST_CHECK;
void config_free(struct config *c);

#endif
