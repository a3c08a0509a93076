/* routes/auth.h - who may do what: apps, keys, users, sessions, in logd.db (FULL sync, one writer).
 *
 * Keys are `lk_` and 24 characters of [A-Za-z0-9], shown once; stored is their SHA-256 (they are random, so a fast hash
 * is enough), compared in constant time. Passwords are scrypt N=2^16 r=8 p=1 (68 MB, 0.2 s), at most two at once,
 * with back-off per account and address. A session is a random cookie; only its hash is stored; it ends at logout and
 * with every password change. The rights of each role stand in one table in auth.c.
 *
 * Owner   any thread: one lock around logd.db, keys also in an immutable table in memory that is swapped when they
 *         change, so a request costs one lookup and no SQLite. */
#ifndef ROUTES_AUTH_H
#define ROUTES_AUTH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

enum role { ROLE_NONE, ROLE_INGEST, ROLE_BROWSER, ROLE_DEPLOY, ROLE_READ, ROLE_LOGINS, ROLE_VIEWER, ROLE_EDITOR, ROLE_ADMIN };
enum right {
    RIGHT_NONE,
    RIGHT_WRITE,  /* post events and stats */
    RIGHT_REPORT, /* POST /b: browser keys, and ingest keys */
    RIGHT_READ,   /* query, issues, incidents, stats */
    RIGHT_STATE,  /* /metrics, /v1/status */
    RIGHT_MAPS,
    RIGHT_LOGINS,
    RIGHT_EDIT,   /* issues, incidents, silences, rules */
    RIGHT_ADMIN,  /* apps, keys, users */
};
struct principal {
    enum role role;
    uint32_t app;                /* id of the key's app, 0: none */
    char app_name[LIMIT_APP + 1];
    int64_t key;                 /* key id, 0: a session or local */
    char user[256];              /* e-mail of a session's user, or "" */
    char csrf[65];               /* of a session, or "" */
    bool local;
};
bool principal_may(const struct principal *p, enum right r);

struct auth;
int auth_open(const char *db_path, struct auth **ret, struct err *e) MUST_CHECK;
void auth_close(struct auth *a);
void auth_server_key(struct auth *a, const char *name, uint8_t ret[32]); /* a secret of this server, made on first use */

/* `now` is clock_now(). ERR_DENIED for an unknown or revoked key. Origin absent: not a browser request. */
int auth_key(struct auth *a, str key, str origin, usec now, struct principal *ret, struct err *e) MUST_CHECK;
bool auth_origin_allowed(struct auth *a, str key, str origin); /* CORS for a browser key */
/* Counts n events against the key's --rate; false: over quota, *ret_retry_s says when to come back. */
bool auth_take(struct auth *a, int64_t key, uint64_t n, usec now, unsigned *ret_retry_s);
/* Cookie: the value of `logd_session`. */
int auth_session(struct auth *a, str cookie, usec now, struct principal *ret, struct err *e) MUST_CHECK;
/* Blocks for scrypt. ERR_DENIED wrong, ERR_FULL back off (text says how long). Cookie text to cookie_out. */
int auth_login(struct auth *a, str email, str password, const char *peer, usec now, char cookie_out[65],
               struct principal *ret, struct err *e) MUST_CHECK;
void auth_logout(struct auth *a, str cookie);
/* A one-time link's token for the first user (48 h), malloc'ed; NULL when there is a user already. */
char *auth_first_token(struct auth *a, usec now);
int auth_first_user(struct auth *a, str token, str email, str password, usec now, struct err *e) MUST_CHECK;

int auth_app_add(struct auth *a, str name, uint32_t *ret_id, struct err *e) MUST_CHECK;
int auth_app_remove(struct auth *a, str name, struct err *e) MUST_CHECK;
void auth_app_list(struct auth *a, const char *url, struct buf *json); /* [{"id","name","keys":[…],"dsn"}] */
bool auth_app_name(struct auth *a, uint32_t id, char ret[LIMIT_APP + 1]);
struct auth_key_new {
    str app;
    enum role role;
    const str *origins;
    size_t origins_n;
    uint32_t per_minute; /* 0: no quota */
};
/* The key is written to ret_key, the only time it can be seen. */
int auth_key_add(struct auth *a, const struct auth_key_new *k, char ret_key[64], struct err *e) MUST_CHECK;
int auth_key_revoke(struct auth *a, int64_t id, struct err *e) MUST_CHECK;
void auth_key_list(struct auth *a, struct buf *json);
int auth_user_add(struct auth *a, str email, enum role role, str password, struct err *e) MUST_CHECK;
int auth_user_passwd(struct auth *a, str email, str password, struct err *e) MUST_CHECK; /* ends all sessions */
int auth_user_remove(struct auth *a, str email, struct err *e) MUST_CHECK;
void auth_user_list(struct auth *a, struct buf *json);
enum role role_read(str name); /* ROLE_NONE: unknown */
const char *role_name(enum role r);

#endif
