#include "routes/auth-private.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

/* Who may do what. The man page prints this table; the unit test goes through all of it. */
#define MAY(right) (1u << RIGHT_##right)
static const struct {
    const char *name;
    unsigned rights;
} roles[] = {
    [ROLE_NONE] = {"none", 0},
    [ROLE_INGEST] = {"ingest", MAY(WRITE) | MAY(REPORT)},
    [ROLE_BROWSER] = {"browser", MAY(REPORT)},
    [ROLE_DEPLOY] = {"deploy", MAY(MAPS)},
    [ROLE_READ] = {"read", MAY(READ) | MAY(STATE) | MAY(LOGINS)},
    [ROLE_LOGINS] = {"logins", MAY(LOGINS)},
    [ROLE_VIEWER] = {"viewer", MAY(READ) | MAY(STATE) | MAY(LOGINS)},
    [ROLE_EDITOR] = {"editor", MAY(READ) | MAY(STATE) | MAY(LOGINS) | MAY(EDIT)},
    [ROLE_ADMIN] = {"admin", MAY(WRITE) | MAY(REPORT) | MAY(READ) | MAY(STATE) | MAY(MAPS) | MAY(LOGINS) | MAY(EDIT) |
                                 MAY(ADMIN)},
};
static const char *const right_names[] = {"none", "write",  "report", "read", "state",
                                          "maps", "logins", "edit",   "admin"};

static const char *const schema[] = {
    "CREATE TABLE secret (bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE apps (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,"
    "  removed INTEGER NOT NULL DEFAULT 0) STRICT;"
    /* AUTOINCREMENT: an id in an old log or an idempotency window never means another key */
    "CREATE TABLE keys (id INTEGER PRIMARY KEY AUTOINCREMENT, app INTEGER NOT NULL REFERENCES apps(id),"
    "  role TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, hint TEXT NOT NULL, origins TEXT NOT NULL,"
    "  per_minute INTEGER NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, role TEXT NOT NULL,"
    "  password TEXT NOT NULL, created INTEGER NOT NULL, last_login INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE sessions (hash BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    "  created INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX sessions_user ON sessions(user);"
    "CREATE TABLE first_token (hash BLOB NOT NULL, expires INTEGER NOT NULL) STRICT;",
    "CREATE TABLE shares (id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL,"
    "  app INTEGER NOT NULL, stats TEXT NOT NULL, created INTEGER NOT NULL) STRICT;",
    "CREATE TABLE rules (id TEXT NOT NULL, version INTEGER NOT NULL, source TEXT NOT NULL, saved INTEGER NOT NULL,"
    "  by TEXT NOT NULL, PRIMARY KEY (id, version)) STRICT, WITHOUT ROWID;",
};

bool role_may(enum role role, enum right r)
{
    return r == RIGHT_NONE || ((unsigned)role < LENGTH(roles) && (roles[role].rights >> r & 1));
}

bool principal_may(const struct principal *p, enum right r)
{
    bool writes = r == RIGHT_WRITE || r == RIGHT_REPORT;
    return role_may(p->role, r) && (!writes || p->app != 0 || p->local);
}

enum role role_read(str name)
{
    for (size_t i = 1; i < LENGTH(roles); i++)
        if (str_eq(name, str_of(roles[i].name)))
            return (enum role)i;
    return ROLE_NONE;
}

const char *role_name(enum role r) { return (unsigned)r < LENGTH(roles) ? roles[r].name : "none"; }
const char *right_name(enum right r) { return (unsigned)r < LENGTH(right_names) ? right_names[r] : "none"; }

/* Made on the first start: the rest is derived from it. */
static int load_secret(struct auth *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "SELECT bytes FROM secret");
    int rc = db_step(a->db, st, e);
    if (rc < 0)
        return -1;
    if (rc > 0) {
        bool whole = sqlite3_column_bytes(st, 0) == (int)sizeof a->secret;
        if (whole)
            memcpy(a->secret, sqlite3_column_blob(st, 0), sizeof a->secret);
        sqlite3_reset(st);
        return whole ? 0 : err_set(e, ERR_CORRUPT, "logd.db: the server's secret is not 32 bytes long");
    }
    random_bytes(a->secret, sizeof a->secret);
    st = db_stmt(a->db, "INSERT INTO secret VALUES (?)");
    sqlite3_bind_blob(st, 1, a->secret, sizeof a->secret, SQLITE_TRANSIENT);
    return db_run(a->db, st, e);
}

void auth_server_key(struct auth *a, const char *name, uint8_t ret[32])
{
    hmac_sha256(str_n((const char *)a->secret, sizeof a->secret), str_of(name), ret);
}

static void init_locks(struct auth *a)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    /* else a steady stream of requests could keep a revoked key alive */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&a->live_lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&a->lock, NULL);
    password_gate_init(&a->gate);
}

int auth_open(const char *db_path, struct auth **ret, struct err *e)
{
    struct auth *a = xcalloc(1, sizeof *a);
    init_locks(a);
    a->backoff = backoff_new();
    password_impossible(a->no_password);
    int fd = open(db_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* its hashes are nobody else's; WAL and SHM follow */
    if (fd < 0) {
        err_sys(e, "open '%s'", db_path);
        goto out;
    }
    close(fd);
    if (db_open(db_path, DB_FULL, schema, LENGTH(schema), &a->db, e) < 0 || load_secret(a, e) < 0 ||
        live_load(a->db, &a->live, e) < 0)
        goto out;
    *ret = a;
    return 0;
out:
    auth_close(a);
    return -1;
}

void auth_close(struct auth *a)
{
    if (!a)
        return;
    if (a->live)
        auth_tick(a, clock_now());
    db_close(a->db);
    live_free(a->live);
    backoff_free(a->backoff);
    password_gate_done(&a->gate);
    pthread_rwlock_destroy(&a->live_lock);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

int auth_begin(struct auth *a, struct err *e)
{
    pthread_mutex_lock(&a->lock);
    if (db_begin(a->db, e) == 0)
        return 0;
    pthread_mutex_unlock(&a->lock);
    return -1;
}

int auth_end(struct auth *a, int rc, struct err *e)
{
    struct live *live = NULL, *old = NULL;
    if (rc == 0)
        rc = live_load(a->db, &live, e);
    if (rc == 0)
        rc = db_commit(a->db, e);
    if (rc == 0) {
        pthread_rwlock_wrlock(&a->live_lock);
        live_carry(live, a->live);
        old = a->live;
        a->live = live;
        pthread_rwlock_unlock(&a->live_lock);
    } else {
        db_rollback(a->db);
        old = live;
    }
    pthread_mutex_unlock(&a->lock);
    live_free(old);
    return rc;
}

static int save_used(struct auth *a, struct err *e)
{
    int rc = 0;
    pthread_rwlock_rdlock(&a->live_lock); /* nobody swaps: that needs `lock`, which we hold */
    struct live *l = a->live;
    pthread_rwlock_unlock(&a->live_lock);
    for (size_t i = 0; i < l->keys_n && rc == 0; i++) {
        if (l->keys[i].used == l->keys[i].used_saved)
            continue;
        sqlite3_stmt *st = db_stmt(a->db, "UPDATE keys SET used = ? WHERE id = ?");
        sqlite3_bind_int64(st, 1, l->keys[i].used);
        sqlite3_bind_int64(st, 2, l->keys[i].id);
        rc = db_run(a->db, st, e);
    }
    for (size_t i = 0; i < l->sessions_n && rc == 0; i++) {
        if (l->sessions[i].seen == l->sessions[i].seen_saved)
            continue;
        sqlite3_stmt *st = db_stmt(a->db, "UPDATE sessions SET seen = ? WHERE hash = ?");
        sqlite3_bind_int64(st, 1, l->sessions[i].seen);
        sqlite3_bind_blob(st, 2, l->sessions[i].hash, 32, SQLITE_TRANSIENT);
        rc = db_run(a->db, st, e);
    }
    return rc;
}

static int remove_ended(struct auth *a, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM sessions WHERE seen < ? OR created < ?");
    sqlite3_bind_int64(st, 1, now - SESSION_IDLE);
    sqlite3_bind_int64(st, 2, now - SESSION_LIFE);
    if (db_run(a->db, st, e) < 0)
        return -1;
    st = db_stmt(a->db, "DELETE FROM first_token WHERE expires < ?");
    sqlite3_bind_int64(st, 1, now);
    return db_run(a->db, st, e);
}

/* True: something was used since it was last written down, or has ended. */
static bool tick_needed(struct auth *a, usec now)
{
    bool needed = false;
    pthread_rwlock_rdlock(&a->live_lock);
    const struct live *l = a->live;
    for (size_t i = 0; i < l->keys_n && !needed; i++)
        needed = l->keys[i].used != l->keys[i].used_saved;
    for (size_t i = 0; i < l->sessions_n && !needed; i++)
        needed = l->sessions[i].seen != l->sessions[i].seen_saved || !session_alive(&l->sessions[i], now);
    pthread_rwlock_unlock(&a->live_lock);
    return needed;
}

void auth_tick(struct auth *a, usec now)
{
    struct err e;
    if (!tick_needed(a, now))
        return;
    int rc = auth_begin(a, &e);
    if (rc == 0) {
        rc = save_used(a, &e) < 0 || remove_ended(a, now, &e) < 0 ? -1 : 0;
        rc = auth_end(a, rc, &e);
    }
    if (rc < 0) /* nobody loses anything by it: the times are a hint */
        log_warn("auth", "what=\"times of last use not written\" why=\"%s\"", e.text);
}

void json_time(struct buf *json, usec t)
{
    char text[TIME_TEXT_MAX];
    if (t == 0) {
        buf_lit(json, "null");
        return;
    }
    size_t n = time_print(t * NSEC_PER_USEC, 0, text);
    buf_json(json, str_n(text, n));
}
