/* auth-users.c - people: made, let in, given another password, removed; and their sessions. */
#include "routes/auth-private.h"
#include "base/clock.h"
#include "base/hash.h"

#include <openssl/crypto.h>

#define FIRST_TOKEN_LIFE (48 * 3600 * USEC_PER_SEC)
#define EMAIL_MAX 254u

static const char wrong[] = "the e-mail or the password is wrong";

/* HTML's idea of an e-mail address, in lower case: one @, no blanks, no control characters, nothing to inject with. */
static bool email_read(str s, char out[256])
{
    ptrdiff_t at = str_chr(s, '@');
    bool good = at >= 1 && at <= 64 && s.n <= EMAIL_MAX && (size_t)at + 1 < s.n;
    for (size_t i = 0; i < s.n && good; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        bool inner = i > (size_t)at + 1 && i + 1 < s.n && (c == '-' || (c == '.' && s.p[i - 1] != '.'));
        good = alnum || i == (size_t)at || (i < (size_t)at ? c && strchr(".!#$%&'*+/=?^_`{|}~-", c) : inner);
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    if (good)
        out[s.n] = '\0';
    return good;
}

static int email_check(str s, char out[256], struct err *e)
{
    if (email_read(s, out))
        return 0;
    err_set(e, ERR_INPUT, "email: expected an address such as ann@example.com, got \"%.*s\"",
            STR_ARG(str_head(s, 100)));
    snprintf(e->pointer, sizeof e->pointer, "/email");
    return -1;
}

static int user_check(str email, enum role role, str password, char out[256], struct err *e)
{
    if (email_check(email, out, e) < 0)
        return -1;
    if (role != ROLE_VIEWER && role != ROLE_EDITOR && role != ROLE_ADMIN) {
        err_set(e, ERR_INPUT, "role: expected one of viewer, editor, admin, got \"%s\"", role_name(role));
        snprintf(e->pointer, sizeof e->pointer, "/role");
        return -1;
    }
    int rc = password_check(password, e);
    if (rc < 0)
        snprintf(e->pointer, sizeof e->pointer, "/password");
    return rc;
}

static int no_such_user(struct err *e, str email)
{
    return err_set(e, ERR_GONE, "there is no user with e-mail \"%.*s\"", STR_ARG(str_head(email, 100)));
}

static int insert_user(struct auth *a, const char *email, enum role role, const char *password, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "INSERT INTO users (email, role, password, created) VALUES (?, ?, ?, ?)"
                                      " ON CONFLICT (email) DO NOTHING");
    db_bind_str(st, 1, str_of(email));
    db_bind_str(st, 2, str_of(role_name(role)));
    db_bind_str(st, 3, str_of(password));
    sqlite3_bind_int64(st, 4, clock_now());
    if (db_run(a->db, st, e) < 0)
        return -1;
    if (db_changes(a->db) == 1)
        return 0;
    err_set(e, ERR_INPUT, "email: \"%s\" is a user already", email);
    snprintf(e->pointer, sizeof e->pointer, "/email");
    return -1;
}

int auth_user_add(struct auth *a, str email, enum role role, str password, struct err *e)
{
    char mail[256], hash[PASSWORD_TEXT];
    if (user_check(email, role, password, mail, e) < 0 || password_hash(&a->gate, password, hash, e) < 0 ||
        auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, insert_user(a, mail, role, hash, e), e);
}

static int set_password(struct auth *a, const char *email, const char *password, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM sessions WHERE user = (SELECT id FROM users WHERE email = ?)");
    db_bind_str(st, 1, str_of(email));
    if (db_run(a->db, st, e) < 0)
        return -1;
    st = db_stmt(a->db, "UPDATE users SET password = ? WHERE email = ?");
    db_bind_str(st, 1, str_of(password));
    db_bind_str(st, 2, str_of(email));
    if (db_run(a->db, st, e) < 0)
        return -1;
    return db_changes(a->db) == 1 ? 0 : no_such_user(e, str_of(email));
}

int auth_user_passwd(struct auth *a, str email, str password, struct err *e)
{
    char mail[256], hash[PASSWORD_TEXT];
    if (user_check(email, ROLE_VIEWER, password, mail, e) < 0 || password_hash(&a->gate, password, hash, e) < 0 ||
        auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, set_password(a, mail, hash, e), e);
}

static int delete_user(struct auth *a, const char *email, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM users WHERE email = ?"); /* its sessions go with it */
    db_bind_str(st, 1, str_of(email));
    if (db_run(a->db, st, e) < 0)
        return -1;
    return db_changes(a->db) == 1 ? 0 : no_such_user(e, str_of(email));
}

int auth_user_remove(struct auth *a, str email, struct err *e)
{
    char mail[256];
    if (!email_read(email, mail))
        return no_such_user(e, email);
    if (auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, delete_user(a, mail, e), e);
}

bool auth_user_may_be(struct auth *a, str email)
{
    struct err e;
    pthread_mutex_lock(&a->lock);
    sqlite3_stmt *st = db_stmt(a->db, "SELECT EXISTS(SELECT 1 FROM users WHERE email = ? COLLATE NOCASE)"
                                      " OR NOT EXISTS(SELECT 1 FROM users)");
    db_bind_str(st, 1, email);
    bool may = db_step(a->db, st, &e) > 0 && sqlite3_column_int(st, 0);
    sqlite3_reset(st);
    pthread_mutex_unlock(&a->lock);
    return may;
}

void auth_user_list(struct auth *a, struct buf *json)
{
    struct err e;
    const char *comma = "";
    buf_byte(json, '[');
    pthread_mutex_lock(&a->lock);
    sqlite3_stmt *st = db_stmt(a->db, "SELECT email, role, created, last_login FROM users ORDER BY email");
    while (db_step(a->db, st, &e) > 0) {
        buf_printf(json, "%s{\"email\":", comma);
        buf_json(json, db_str(st, 0));
        buf_lit(json, ",\"role\":");
        buf_json(json, db_str(st, 1));
        buf_lit(json, ",\"created\":");
        json_time(json, sqlite3_column_int64(st, 2));
        buf_lit(json, ",\"last_login\":");
        json_time(json, sqlite3_column_int64(st, 3));
        buf_byte(json, '}');
        comma = ",";
    }
    pthread_mutex_unlock(&a->lock);
    buf_byte(json, ']');
}

static void random_text(char out[65])
{
    uint8_t bytes[32];
    struct buf hex = BUF_INIT(64);
    random_bytes(bytes, sizeof bytes);
    buf_hex(&hex, bytes, sizeof bytes);
    memcpy(out, hex.p, 64);
    out[64] = '\0';
    OPENSSL_cleanse(hex.p, hex.n);
    buf_done(&hex);
}

/* The first user, by a one-time link. */

static bool have_users(struct auth *a, bool *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "SELECT EXISTS (SELECT 1 FROM users)");
    if (db_step(a->db, st, e) < 0)
        return false;
    *ret = sqlite3_column_int(st, 0) != 0;
    sqlite3_reset(st);
    return true;
}

static int store_first_token(struct auth *a, const char *token, usec now, struct err *e)
{
    uint8_t hash[32];
    sha256(str_of(token), hash);
    if (db_exec(a->db, "DELETE FROM first_token", e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(a->db, "INSERT INTO first_token VALUES (?, ?)");
    sqlite3_bind_blob(st, 1, hash, sizeof hash, SQLITE_TRANSIENT);
    sqlite3_bind_int64(st, 2, now + FIRST_TOKEN_LIFE);
    return db_run(a->db, st, e);
}

char *auth_first_token(struct auth *a, usec now)
{
    struct err e;
    char token[65];
    bool users = true;
    if (auth_begin(a, &e) < 0)
        return NULL;
    random_text(token);
    int rc = have_users(a, &users, &e) && !users ? store_first_token(a, token, now, &e) : -1;
    return auth_end(a, rc, &e) == 0 ? xstrdup(token) : NULL;
}

/* Inside a change, or with `lock` held. */
static int check_first_token(struct auth *a, str token, usec now, struct err *e)
{
    uint8_t hash[32];
    bool users = true, good = false;
    if (!have_users(a, &users, e))
        return -1;
    if (users)
        return err_set(e, ERR_DENIED, "there is a user already, sign in or ask an administrator");
    sha256(token, hash);
    sqlite3_stmt *st = db_stmt(a->db, "SELECT hash FROM first_token WHERE expires >= ?");
    sqlite3_bind_int64(st, 1, now);
    int rc = db_step(a->db, st, e);
    if (rc > 0) {
        good = sqlite3_column_bytes(st, 0) == 32 && CRYPTO_memcmp(sqlite3_column_blob(st, 0), hash, 32) == 0;
        sqlite3_reset(st);
    }
    if (rc < 0)
        return -1;
    return good ? 0 : err_set(e, ERR_DENIED, "this link is not, or no longer, good: restart logd for a new one");
}

static int first_user(struct auth *a, str token, const char *email, const char *password, usec now, struct err *e)
{
    if (check_first_token(a, token, now, e) < 0 || insert_user(a, email, ROLE_ADMIN, password, e) < 0)
        return -1;
    return db_exec(a->db, "DELETE FROM first_token", e);
}

int auth_first_user(struct auth *a, str token, str email, str password, usec now, struct err *e)
{
    char mail[256], hash[PASSWORD_TEXT];
    pthread_mutex_lock(&a->lock);
    int rc = check_first_token(a, token, now, e); /* before the expensive part */
    pthread_mutex_unlock(&a->lock);
    if (rc < 0 || user_check(email, ROLE_ADMIN, password, mail, e) < 0 ||
        password_hash(&a->gate, password, hash, e) < 0 || auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, first_user(a, token, mail, hash, now, e), e);
}

/* Sessions. */

bool session_alive(const struct live_session *s, usec now)
{
    return now - s->seen < SESSION_IDLE && now - s->created < SESSION_LIFE;
}

/* From the cookie, which is stored nowhere: who reads logd.db cannot make one. */
static void csrf_of(str cookie, char out[65])
{
    uint8_t mac[32];
    hmac_sha256(cookie, S("csrf"), mac);
    for (size_t i = 0; i < sizeof mac; i++)
        snprintf(out + 2 * i, 3, "%02x", mac[i]);
}

static void be_user(struct principal *ret, enum role role, const char *email, str cookie)
{
    *ret = (struct principal){.role = role};
    snprintf(ret->user, sizeof ret->user, "%s", email);
    csrf_of(cookie, ret->csrf);
}

int auth_session(struct auth *a, str cookie, usec now, struct principal *ret, struct err *e)
{
    uint8_t hash[32];
    int rc = 0;
    if (cookie.n != 64)
        return err_set(e, ERR_DENIED, "this session has ended, sign in again");
    sha256(cookie, hash);
    pthread_rwlock_rdlock(&a->live_lock);
    struct live_session *s = live_session(a->live, hash);
    if (!s || !session_alive(s, now)) {
        rc = err_set(e, ERR_DENIED, "this session has ended, sign in again");
    } else {
        if (now - s->seen > USEC_PER_SEC)
            s->seen = now;
        be_user(ret, s->role, s->user, cookie);
    }
    pthread_rwlock_unlock(&a->live_lock);
    return rc;
}

static int delete_session(struct auth *a, str cookie, struct err *e)
{
    uint8_t hash[32];
    sha256(cookie, hash);
    sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM sessions WHERE hash = ?");
    sqlite3_bind_blob(st, 1, hash, sizeof hash, SQLITE_TRANSIENT);
    return db_run(a->db, st, e);
}

int auth_logout(struct auth *a, str cookie, struct err *e)
{
    if (auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, delete_session(a, cookie, e), e);
}

/* Nobody needs more at once; the longest unused go. */
static int trim_sessions(struct auth *a, str email, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        a->db, "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions JOIN users ON users.id = user"
               " WHERE email = ? ORDER BY seen DESC LIMIT -1 OFFSET ?)");
    db_bind_str(st, 1, email);
    sqlite3_bind_int64(st, 2, SESSIONS_PER_USER);
    return db_run(a->db, st, e);
}

int session_start(struct auth *a, str email, str password, usec now, char cookie_out[65], struct err *e)
{
    uint8_t hash[32];
    random_text(cookie_out);
    sha256(str_of(cookie_out), hash);
    sqlite3_stmt *st = db_stmt(
        a->db, "INSERT INTO sessions SELECT ?1, id, ?2, ?2 FROM users WHERE email = ?3 AND password = ?4");
    sqlite3_bind_blob(st, 1, hash, sizeof hash, SQLITE_TRANSIENT);
    sqlite3_bind_int64(st, 2, now);
    db_bind_str(st, 3, email);
    db_bind_str(st, 4, password);
    if (db_run(a->db, st, e) < 0)
        return -1;
    if (db_changes(a->db) != 1) /* the password changed while it was being checked */
        return err_set(e, ERR_DENIED, "%s", wrong);
    st = db_stmt(a->db, "UPDATE users SET last_login = ? WHERE email = ?");
    sqlite3_bind_int64(st, 1, now);
    db_bind_str(st, 2, email);
    return db_run(a->db, st, e) < 0 ? -1 : trim_sessions(a, email, e);
}

/* What is stored for the user; for nobody, something that never matches and takes as long. */
static int stored_password(struct auth *a, const char *email, char out[PASSWORD_TEXT], enum role *ret_role,
                           struct err *e)
{
    pthread_mutex_lock(&a->lock);
    sqlite3_stmt *st = db_stmt(a->db, "SELECT password, role FROM users WHERE email = ?");
    db_bind_str(st, 1, str_of(email));
    int rc = db_step(a->db, st, e);
    memcpy(out, a->no_password, PASSWORD_TEXT);
    if (rc > 0) {
        snprintf(out, PASSWORD_TEXT, "%.*s", STR_ARG(db_str(st, 0)));
        *ret_role = role_read(db_str(st, 1));
        sqlite3_reset(st);
    }
    pthread_mutex_unlock(&a->lock);
    return rc < 0 ? -1 : 0;
}

/* The password was good: renews its hash when that is out of date, and opens the session. */
static int enter(struct auth *a, const char *email, char stored[PASSWORD_TEXT], const char *renewed, usec now,
                 char cookie[65], struct err *e)
{
    if (renewed[0]) {
        sqlite3_stmt *st = db_stmt(a->db, "UPDATE users SET password = ? WHERE email = ? AND password = ?");
        db_bind_str(st, 1, str_of(renewed));
        db_bind_str(st, 2, str_of(email));
        db_bind_str(st, 3, str_of(stored));
        if (db_run(a->db, st, e) < 0)
            return -1;
        snprintf(stored, PASSWORD_TEXT, "%s", renewed);
    }
    return session_start(a, str_of(email), str_of(stored), now, cookie, e);
}

static int check_password(struct auth *a, const char *email, str password, usec now, char cookie[65],
                          enum role *ret_role, struct err *e)
{
    char stored[PASSWORD_TEXT], renewed[PASSWORD_TEXT] = "";
    bool same = false;
    if (stored_password(a, email, stored, ret_role, e) < 0 ||
        password_verify(&a->gate, password, str_of(stored), &same, e) < 0)
        return -1;
    if (!same)
        return err_set(e, ERR_DENIED, "%s", wrong);
    if (password_outdated(str_of(stored)) && password_hash(&a->gate, password, renewed, e) < 0)
        return -1;
    if (auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, enter(a, email, stored, renewed, now, cookie, e), e);
}

int auth_login(struct auth *a, str email, str password, const char *peer, usec now, char cookie_out[65],
               struct principal *ret, unsigned *ret_retry_s, struct err *e)
{
    char mail[256] = "", cookie[65];
    enum role role = ROLE_NONE;
    if (!email_read(email, mail))
        mail[0] = '\0'; /* nobody has it, and nobody learns that sooner */
    usec wait = backoff_enter(a->backoff, str_of(mail), peer, now);
    if (wait > 0) {
        *ret_retry_s = (unsigned)((wait + USEC_PER_SEC - 1) / USEC_PER_SEC);
        return err_set(e, ERR_FULL, "too many failed attempts, try again in %u seconds", *ret_retry_s);
    }
    if (password.n > PASSWORD_MAX)
        password = str_head(password, PASSWORD_MAX + 1);
    int rc = check_password(a, mail, password, now, cookie, &role, e);
    bool ran = rc == 0 || e->kind == ERR_DENIED;
    backoff_leave(a->backoff, str_of(mail), peer,
                  rc == 0 ? BACKOFF_SUCCEEDED
                  : ran   ? BACKOFF_FAILED
                          : BACKOFF_NEVER_RAN);
    if (rc < 0) {
        *ret_retry_s = 2;
        return -1;
    }
    memcpy(cookie_out, cookie, sizeof cookie);
    be_user(ret, role, mail, str_of(cookie));
    return 0;
}
