/* routes/auth.h - who may do what: apps, keys, users, sessions, in logd.db (FULL sync, one writer).
 *
 * Keys are `lk_` and 24 characters of [A-Za-z0-9], shown once; stored is their SHA-256 (they are random, so a fast hash
 * is enough), compared in constant time. Passwords are scrypt N=2^16 r=8 p=1 (68 MB, 0.2 s), at most two at once,
 * with back-off per account and address. A session is a random cookie; only its hash is stored; it ends at logout, after
 * 12 h without use, after 30 days, and with every password change. The rights of each role stand in one table in auth.c.
 *
 * Owner   any thread: one lock around logd.db; apps, keys and sessions also in a table in memory that is replaced whole
 *         when they change, so a request costs one lookup and no SQLite. What changes something blocks for a disk sync.
 * Errors  ERR_INPUT (text names the field), ERR_GONE, ERR_DENIED, ERR_FULL (come back later), else SQLite's. */
#ifndef ROUTES_AUTH_H
#define ROUTES_AUTH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

enum role {
    ROLE_NONE,
    ROLE_INGEST,
    ROLE_BROWSER,
    ROLE_DEPLOY,
    ROLE_READ,
    ROLE_LOGINS,
    ROLE_VIEWER,
    ROLE_EDITOR,
    ROLE_ADMIN
};
enum right {
    RIGHT_NONE,
    RIGHT_WRITE,  /* post events and stats */
    RIGHT_REPORT, /* POST /b: browser keys, and ingest keys */
    RIGHT_READ,   /* query, issues, incidents, stats */
    RIGHT_STATE,  /* /metrics, /v1/status */
    RIGHT_MAPS,
    RIGHT_LOGINS,
    RIGHT_EDIT,  /* issues, incidents, silences, rules */
    RIGHT_ADMIN, /* apps, keys, users */
};
struct principal {
    enum role role;
    uint32_t app; /* id of the key's app, 0: none */
    char app_name[LIMIT_APP + 1];
    int64_t key;    /* key id, 0: a session or local */
    char user[256]; /* e-mail of a session's user, or "" */
    char csrf[65];  /* of a session, or "" */
    bool local;
};
/* Writing also needs to know for whom: a session has no app and may not write, whatever its role. */
bool principal_may(const struct principal *p, enum right r);
bool role_may(enum role role, enum right r); /* the table alone */
const char *right_name(enum right r);

struct auth;
int auth_open(const char *db_path, struct auth **ret, struct err *e) MUST_CHECK;
void auth_close(struct auth *a); /* NULL is fine */
/* A secret of this server under that name: always the same one, lives in logd.db. */
void auth_server_key(struct auth *a, const char *name, uint8_t ret[32]);
/* Writes down when keys and sessions were last used, removes what has ended. Once a minute, from a thread that may block. */
void auth_tick(struct auth *a, usec now);

/* `now` is clock_now(). ERR_DENIED: unknown or revoked key (401). ERR_INPUT: a browser key from an origin that is not
 * one of its own, or from none (403). Origin absent: not a browser request. */
int auth_key(struct auth *a, str key, str origin, usec now, struct principal *ret, struct err *e) MUST_CHECK;
bool auth_origin_allowed(struct auth *a, str key, str origin); /* CORS for a browser key */
/* Counts n events against the key's --rate N/min: N at once, then as they grow back. A batch larger than N passes when
 * nothing is owed and is owed then (an hour at most). false: over quota, nothing was counted, *ret_retry_s >= 1 says when
 * to come back. Key 0 and keys without a quota always may. */
bool auth_take(struct auth *a, int64_t key, uint64_t n, usec now, unsigned *ret_retry_s);
/* Cookie: the value of `logd_session`. */
int auth_session(struct auth *a, str cookie, usec now, struct principal *ret, struct err *e) MUST_CHECK;
/* Blocks for scrypt. ERR_DENIED wrong; ERR_FULL back off, *ret_retry_s says how long. Cookie text to cookie_out. */
int auth_login(struct auth *a, str email, str password, const char *peer, usec now, char cookie_out[65],
               struct principal *ret, unsigned *ret_retry_s, struct err *e) MUST_CHECK;
int auth_logout(struct auth *a, str cookie, struct err *e) MUST_CHECK; /* -1: the session may live on */
/* A one-time link's token for the first user (48 h), malloc'ed; NULL when there is a user already. */
char *auth_first_token(struct auth *a, usec now);
int auth_first_user(struct auth *a, str token, str email, str password, usec now, struct err *e) MUST_CHECK;

int auth_app_add(struct auth *a, str name, uint32_t *ret_id, struct err *e) MUST_CHECK;
/* Its keys die, its events stay; adding the name again gives the same id. */
int auth_app_remove(struct auth *a, str name, struct err *e) MUST_CHECK;
/* [{"id","name","keys":["ingest-1"],"dsn"}]; the DSN says KEY where a key goes, we do not have it. */
void auth_app_list(struct auth *a, const char *url, struct buf *json);
bool auth_app_name(struct auth *a, uint32_t id, char ret[LIMIT_APP + 1]); /* removed ones too: their events are there */
bool auth_app_find(struct auth *a, str name, uint32_t *ret_id);           /* not removed ones */
struct auth_key_new {
    str app;
    enum role role;
    const str *origins;
    size_t origins_n;
    uint32_t per_minute; /* 0: no quota; 1,000 for browser keys */
};
/* The key is written to ret_key, the only time it can be seen. */
int auth_key_add(struct auth *a, const struct auth_key_new *k, char ret_key[64], int64_t *ret_id,
                 struct err *e) MUST_CHECK;
int auth_key_revoke(struct auth *a, int64_t id, struct err *e) MUST_CHECK;
/* [{"id","name","app","role","hint","origins":[…],"per_minute","created","last_used"}] */
void auth_key_list(struct auth *a, struct buf *json);

/* ---- rules saved from the web (auth-rules.c); these ask SQLite ---- */
/* A new version; an empty source takes the rule back. The id is one of rules_parse. */
int auth_rule_save(struct auth *a, str id, str source, str by, struct err *e) MUST_CHECK;
/* The newest version of each, empty ones too; fn returns -1 to stop. It must not call auth_*. */
typedef int auth_rule_fn(str id, int64_t version, str source, void *arg, struct err *e);
int auth_rules_each(struct auth *a, auth_rule_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* [{"version","source","by","saved"}], the newest first; `source` null: taken back */
int auth_rule_history(struct auth *a, str id, struct buf *json, struct err *e) MUST_CHECK;

/* ---- links that show chosen stats to whoever has them (auth-shares.c); these ask SQLite ---- */
struct auth_share_new {
    str name;         /* a title */
    uint32_t app;     /* 0: all */
    const str *stats; /* each NAME, or NAME by LABEL */
    size_t stats_n;
};
struct auth_share { /* in the arena it was asked with */
    str name;
    uint32_t app;
    str stats; /* one a line, each ended by \n */
};
/* ret_token is the only time it can be seen. */
int auth_share_add(struct auth *a, const struct auth_share_new *s, char ret_token[64], int64_t *ret_id,
                   struct err *e) MUST_CHECK;
int auth_share_revoke(struct auth *a, int64_t id, struct err *e) MUST_CHECK;
int auth_share_list(struct auth *a, struct buf *json,
                    struct err *e) MUST_CHECK; /* [{"id","name","app","stats","created"}] */
int auth_share_find(struct auth *a, str token, struct arena *arena, struct auth_share *ret,
                    struct err *e) MUST_CHECK;            /* ERR_GONE */
bool share_item(str line, str *ret_name, str *ret_group); /* of one line; group absent: all together */
void share_stats_json(str stats, struct buf *json);       /* [{"name","group"}] */

int auth_user_add(struct auth *a, str email, enum role role, str password, struct err *e) MUST_CHECK;
int auth_user_passwd(struct auth *a, str email, str password, struct err *e) MUST_CHECK; /* ends all sessions */
int auth_user_remove(struct auth *a, str email, struct err *e) MUST_CHECK;
bool auth_user_may_be(struct auth *a, str email);      /* there is such a user, or nobody is one yet */
void auth_user_list(struct auth *a, struct buf *json); /* [{"email","role","created","last_login"}] */
enum role role_read(str name);                         /* ROLE_NONE: unknown */
const char *role_name(enum role r);

#endif
