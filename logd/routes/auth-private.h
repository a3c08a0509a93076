/* routes/auth-private.h - what auth.c and the auth-*.c files share; nobody else includes it.
 *
 * Two locks. `lock` is around SQLite: whoever changes something takes it, changes the tables in a transaction, reads
 * the whole new live state inside it, commits, and swaps the live state in; so memory never says what the disk does not.
 * `live_lock` is held for reading during one lookup and for writing during the swap of a pointer, and never while
 * waiting for the disk. Order: lock before live_lock. */
#ifndef ROUTES_AUTH_PRIVATE_H
#define ROUTES_AUTH_PRIVATE_H

#include "base/db.h"
#include "base/str.h"
#include "routes/auth.h"
#include "routes/backoff.h"
#include "routes/password.h"

#include <pthread.h>
#include <stdatomic.h>

#define SESSION_IDLE (12 * 3600 * USEC_PER_SEC)
#define SESSION_LIFE (30 * 86400 * USEC_PER_SEC)
#define SESSIONS_PER_USER 32
#define BROWSER_PER_MINUTE 1000u

struct live_app {
    uint32_t id;
    char *name;
    bool removed;
};
struct live_key {
    int64_t id;
    uint8_t hash[32]; /* SHA-256 of the key */
    enum role role;
    uint32_t app;
    char app_name[LIMIT_APP + 1];
    char hint[16];
    char *origins; /* one a line, each ended by \n */
    uint32_t per_minute;
    usec created, used_saved;
    _Atomic usec used;
    _Atomic nsec owed_until; /* the quota's bucket is full again then */
};
struct live_session {
    uint8_t hash[32]; /* SHA-256 of the cookie */
    enum role role;
    char user[256];
    usec created, seen_saved;
    _Atomic usec seen;
};
struct live {
    struct live_app *apps; /* by id */
    size_t apps_n;
    struct live_key *keys; /* by id */
    struct live_key **by_hash;
    size_t keys_n;
    struct live_session *sessions; /* by hash */
    size_t sessions_n;
};

struct auth {
    pthread_mutex_t lock;
    struct db *db;
    uint8_t secret[32]; /* auth_server_key's */
    pthread_rwlock_t live_lock;
    struct live *live;
    struct backoff *backoff;
    struct password_gate gate;
    char no_password[PASSWORD_TEXT]; /* what an unknown user's password is compared with */
};

/* Starts a change; on success auth_end must follow. */
int auth_begin(struct auth *a, struct err *e) MUST_CHECK;
/* Ends it: rc 0 commits and swaps, -1 takes all back. Returns 0, or -1 with the reason in e. */
int auth_end(struct auth *a, int rc, struct err *e) MUST_CHECK;

/* auth-live.c: call them with live_lock held. */
int live_load(struct db *db, struct live **ret, struct err *e) MUST_CHECK;
void live_free(struct live *l);
void live_carry(struct live *to, const struct live *from); /* counters of what is in both */
struct live_app *live_app(const struct live *l, uint32_t id);
struct live_key *live_key(const struct live *l, int64_t id);
struct live_key *live_key_by_hash(const struct live *l, const uint8_t hash[32]);
struct live_session *live_session(const struct live *l, const uint8_t hash[32]);

bool session_alive(const struct live_session *s, usec now);
/* Inside a change: a new session of the user whose stored password still is `password`. */
int session_start(struct auth *a, str email, str password, usec now, char cookie_out[65], struct err *e) MUST_CHECK;
void auth_random_text(const char *prefix, char out[64]); /* prefix, and 142 bits as letters and digits */
void json_time(struct buf *json, usec t);                /* "2026-…Z", or null for 0 */

#endif
