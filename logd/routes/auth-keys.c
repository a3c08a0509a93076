/* auth-keys.c - apps and their keys: made, looked up on every request, counted against their quota, ended. */
#include "routes/auth-private.h"
#include "base/clock.h"
#include "base/hash.h"

#include <openssl/crypto.h>

#define KEY_RANDOM 24 /* characters after the prefix: 142 bits */
#define ORIGIN_MAX 300u
#define ORIGINS_MAX 50u
#define OWED_MAX (3600 * NSEC_PER_SEC)

static void set_pointer(struct err *e, const char *pointer) { snprintf(e->pointer, sizeof e->pointer, "%s", pointer); }

static int check_app_name(str name, struct err *e)
{
    bool good = name.n >= 1 && name.n <= LIMIT_APP;
    for (size_t i = 0; i < name.n && good; i++) {
        char c = name.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        good = alnum || (i > 0 && (c == '.' || c == '_' || c == '-'));
    }
    if (good)
        return 0;
    err_set(e, ERR_INPUT,
            "app: expected 1 to %u of a-z, 0-9, '.', '_' and '-', starting with a letter or digit, got \"%.*s\"",
            LIMIT_APP, STR_ARG(str_head(name, 80)));
    set_pointer(e, "/name");
    return -1;
}

/* 1 and the row's id and state, 0 absent. Inside a change. */
static int find_app(struct auth *a, str name, uint32_t *ret_id, bool *ret_removed, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "SELECT id, removed FROM apps WHERE name = ?");
    db_bind_str(st, 1, name);
    int rc = db_step(a->db, st, e);
    if (rc > 0) {
        *ret_id = (uint32_t)sqlite3_column_int64(st, 0);
        *ret_removed = sqlite3_column_int64(st, 1) != 0;
        sqlite3_reset(st);
    }
    return rc;
}

static int no_such_app(struct err *e, str name)
{
    return err_set(e, ERR_GONE, "there is no app named \"%.*s\"", STR_ARG(str_head(name, 80)));
}

static int add_app(struct auth *a, str name, uint32_t *ret_id, struct err *e)
{
    bool removed = false;
    uint32_t id = 0;
    int rc = find_app(a, name, &id, &removed, e);
    if (rc < 0)
        return -1;
    if (rc > 0 && !removed) {
        err_set(e, ERR_INPUT, "app: \"%.*s\" is there already, its id is %u", STR_ARG(name), id);
        set_pointer(e, "/name");
        return -1;
    }
    sqlite3_stmt *st = db_stmt(a->db, "INSERT INTO apps (name, created) VALUES (?1, ?2)"
                                      " ON CONFLICT (name) DO UPDATE SET removed = 0");
    db_bind_str(st, 1, name);
    sqlite3_bind_int64(st, 2, clock_now());
    if (db_run(a->db, st, e) < 0)
        return -1;
    *ret_id = removed ? id : (uint32_t)db_last_id(a->db);
    return 0;
}

int auth_app_add(struct auth *a, str name, uint32_t *ret_id, struct err *e)
{
    uint32_t id = 0;
    if (check_app_name(name, e) < 0 || auth_begin(a, e) < 0 || auth_end(a, add_app(a, name, &id, e), e) < 0)
        return -1;
    *ret_id = id;
    return 0;
}

static int remove_app(struct auth *a, str name, struct err *e)
{
    bool removed = false;
    uint32_t id = 0;
    int rc = find_app(a, name, &id, &removed, e);
    if (rc < 0)
        return -1;
    if (rc == 0 || removed)
        return no_such_app(e, name);
    sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM keys WHERE app = ?");
    sqlite3_bind_int64(st, 1, id);
    if (db_run(a->db, st, e) < 0)
        return -1;
    st = db_stmt(a->db, "UPDATE apps SET removed = ? WHERE id = ?");
    sqlite3_bind_int64(st, 1, clock_now());
    sqlite3_bind_int64(st, 2, id);
    return db_run(a->db, st, e);
}

int auth_app_remove(struct auth *a, str name, struct err *e)
{
    if (auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, remove_app(a, name, e), e);
}

static void print_dsn(struct buf *json, const char *url, uint32_t id)
{
    str rest = str_of(url ? url : "");
    ptrdiff_t at = str_find(rest, S("://"));
    str scheme = at < 0 ? S("http") : str_head(rest, (size_t)at);
    str host = at < 0 ? rest : str_skip(rest, (size_t)at + 3);
    while (str_ends(host, S("/")))
        host.n--;
    struct buf dsn = BUF_INIT(1000);
    buf_printf(&dsn, "%.*s://KEY@%.*s/%u", STR_ARG(scheme), STR_ARG(host), id);
    buf_json(json, buf_view(&dsn));
    buf_done(&dsn);
}

void auth_app_list(struct auth *a, const char *url, struct buf *json)
{
    const char *comma = "";
    buf_byte(json, '[');
    pthread_rwlock_rdlock(&a->live_lock);
    const struct live *l = a->live;
    for (size_t i = 0; i < l->apps_n; i++) {
        const struct live_app *app = &l->apps[i];
        if (app->removed)
            continue;
        buf_printf(json, "%s{\"id\":%u,\"name\":\"%s\",\"keys\":[", comma, app->id, app->name);
        comma = "";
        for (size_t k = 0; k < l->keys_n; k++) {
            if (l->keys[k].app != app->id)
                continue;
            buf_printf(json, "%s\"%s-%lld\"", comma, role_name(l->keys[k].role), (long long)l->keys[k].id);
            comma = ",";
        }
        buf_lit(json, "],\"dsn\":");
        print_dsn(json, url, app->id);
        buf_byte(json, '}');
        comma = ",";
    }
    pthread_rwlock_unlock(&a->live_lock);
    buf_byte(json, ']');
}

bool auth_app_name(struct auth *a, uint32_t id, char ret[LIMIT_APP + 1])
{
    pthread_rwlock_rdlock(&a->live_lock);
    const struct live_app *app = live_app(a->live, id);
    if (app)
        snprintf(ret, LIMIT_APP + 1, "%s", app->name);
    pthread_rwlock_unlock(&a->live_lock);
    return app != NULL;
}

bool auth_app_find(struct auth *a, str name, uint32_t *ret_id)
{
    bool found = false;
    pthread_rwlock_rdlock(&a->live_lock);
    for (size_t i = 0; i < a->live->apps_n && !found; i++) {
        const struct live_app *app = &a->live->apps[i];
        found = !app->removed && str_eq(str_of(app->name), name);
        if (found)
            *ret_id = app->id;
    }
    pthread_rwlock_unlock(&a->live_lock);
    return found;
}

/* scheme://host[:port] as browsers send it: lower case, without the scheme's own port. */
static int add_origin(struct buf *out, str origin, struct err *e)
{
    str rest = origin, scheme = str_starts_nocase(origin, S("https://")) ? S("https://") : S("http://");
    bool good = str_starts_nocase(origin, scheme) && origin.n <= ORIGIN_MAX;
    if (good)
        rest = str_skip(origin, scheme.n);
    if (str_ends(rest, S("/")))
        rest.n--;
    str port = rest, host = str_starts(rest, S("[")) ? str_cut(&port, ']') : str_cut(&port, ':');
    if (str_starts(rest, S("["))) { /* [::1] and what follows it */
        good = good && port.p && (port.n == 0 || port.p[0] == ':');
        port = port.n ? str_skip(port, 1) : (str){NULL, 0};
        host = str_skip(host, 1);
    }
    uint64_t number = 1;
    good = good && host.n > 0 && (!port.p || (str_u64(port, &number) && number >= 1 && number <= 65535));
    for (size_t i = 0; i < host.n && good; i++) {
        unsigned char c = (unsigned char)host.p[i];
        good = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
               strchr(rest.p[0] == '[' ? ":." : "-._", c);
    }
    if (!good) {
        err_set(
            e, ERR_INPUT,
            "origin: expected http:// or https:// with a host and perhaps a port and nothing after it, got \"%.*s\"",
            STR_ARG(str_head(origin, 120)));
        set_pointer(e, "/origins");
        return -1;
    }
    if (port.p && number == (scheme.n == 8 ? 443 : 80))
        rest.n -= port.n + 1;
    buf_str(out, scheme);
    for (size_t i = 0; i < rest.n; i++)
        buf_byte(out, (char)(rest.p[i] >= 'A' && rest.p[i] <= 'Z' ? rest.p[i] | 32 : rest.p[i]));
    buf_byte(out, '\n');
    return 0;
}

static bool origin_listed(const struct live_key *key, str origin)
{
    str rest = str_of(key->origins);
    while (rest.n > 0)
        if (str_eq(str_cut(&rest, '\n'), origin))
            return origin.n > 0;
    return false;
}

static int check_new_key(const struct auth_key_new *k, struct err *e)
{
    static const char *const expected = "role: expected one of ingest, browser, deploy, read, logins, admin";
    const char *pointer = "/role";
    if (k->role == ROLE_NONE || k->role == ROLE_VIEWER || k->role == ROLE_EDITOR)
        err_set(e, ERR_INPUT, "%s, got \"%s\"", expected, role_name(k->role));
    else if (k->role == ROLE_BROWSER && k->origins_n == 0)
        pointer = "/origins",
        err_set(e, ERR_INPUT, "origin: a browser key needs at least one, such as https://www.example.com");
    else if (k->role != ROLE_BROWSER && k->origins_n > 0)
        pointer = "/origins",
        err_set(e, ERR_INPUT, "origin: only a browser key has one, this is of role %s", role_name(k->role));
    else if (k->origins_n > ORIGINS_MAX)
        pointer = "/origins", err_set(e, ERR_INPUT, "origin: expected at most %u, got %zu", ORIGINS_MAX, k->origins_n);
    else
        return 0;
    set_pointer(e, pointer);
    return -1;
}

/* Letters and digits by rejection, so each is equally likely. */
void auth_random_text(const char *prefix, char out[64])
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = 0;
    memcpy(out, prefix, 3);
    while (n < KEY_RANDOM) {
        uint8_t byte;
        random_bytes(&byte, 1);
        if (byte < 248) /* 4 * 62 */
            out[3 + n++] = set[byte % 62];
    }
    out[3 + n] = '\0';
}

static int insert_key(struct auth *a, const struct auth_key_new *k, str origins, const char *key, int64_t *ret_id,
                      struct err *e)
{
    uint32_t app = 0;
    bool removed = false;
    uint8_t hash[32];
    int rc = find_app(a, k->app, &app, &removed, e);
    if (rc < 0)
        return -1;
    if (rc == 0 || removed)
        return no_such_app(e, k->app);
    sha256(str_of(key), hash);
    sqlite3_stmt *st = db_stmt(a->db, "INSERT INTO keys (app, role, hash, hint, origins, per_minute, created)"
                                      " VALUES (?, ?, ?, ?, ?, ?, ?)");
    sqlite3_bind_int64(st, 1, app);
    db_bind_str(st, 2, str_of(role_name(k->role)));
    sqlite3_bind_blob(st, 3, hash, sizeof hash, SQLITE_TRANSIENT);
    db_bind_str(st, 4, str_head(str_of(key), 7));
    db_bind_str(st, 5, origins.p ? origins : S(""));
    sqlite3_bind_int64(st, 6, k->per_minute || k->role != ROLE_BROWSER ? k->per_minute : BROWSER_PER_MINUTE);
    sqlite3_bind_int64(st, 7, clock_now());
    if (db_run(a->db, st, e) < 0)
        return -1;
    *ret_id = db_last_id(a->db);
    return 0;
}

int auth_key_add(struct auth *a, const struct auth_key_new *k, char ret_key[64], int64_t *ret_id, struct err *e)
{
    char key[64];
    int64_t id = 0;
    struct buf origins = BUF_INIT(ORIGINS_MAX * (ORIGIN_MAX + 1));
    int rc = check_new_key(k, e);
    for (size_t i = 0; i < k->origins_n && rc == 0; i++)
        rc = add_origin(&origins, k->origins[i], e);
    auth_random_text("lk_", key);
    if (rc == 0)
        rc = auth_begin(a, e);
    if (rc == 0)
        rc = auth_end(a, insert_key(a, k, buf_view(&origins), key, &id, e), e);
    if (rc == 0) {
        memcpy(ret_key, key, sizeof key);
        *ret_id = id;
    }
    OPENSSL_cleanse(key, sizeof key);
    buf_done(&origins);
    return rc;
}

static int delete_key(struct auth *a, int64_t id, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM keys WHERE id = ?");
    sqlite3_bind_int64(st, 1, id);
    if (db_run(a->db, st, e) < 0)
        return -1;
    return db_changes(a->db) ? 0 : err_set(e, ERR_GONE, "there is no key with id %lld", (long long)id);
}

int auth_key_revoke(struct auth *a, int64_t id, struct err *e)
{
    if (auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, delete_key(a, id, e), e);
}

static void print_key(const struct live_key *k, struct buf *json)
{
    buf_printf(json, "{\"id\":%lld,\"name\":\"%s-%lld\",\"app\":\"%s\",\"role\":\"%s\",\"hint\":\"%s\",\"origins\":[",
               (long long)k->id, role_name(k->role), (long long)k->id, k->app_name, role_name(k->role), k->hint);
    str rest = str_of(k->origins);
    for (const char *comma = ""; rest.n > 0; comma = ",") {
        buf_printf(json, "%s", comma);
        buf_json(json, str_cut(&rest, '\n'));
    }
    if (k->per_minute)
        buf_printf(json, "],\"per_minute\":%u,\"created\":", k->per_minute);
    else
        buf_lit(json, "],\"per_minute\":null,\"created\":");
    json_time(json, k->created);
    buf_lit(json, ",\"last_used\":");
    json_time(json, k->used);
    buf_byte(json, '}');
}

void auth_key_list(struct auth *a, struct buf *json)
{
    buf_byte(json, '[');
    pthread_rwlock_rdlock(&a->live_lock);
    for (size_t i = 0; i < a->live->keys_n; i++) {
        if (i)
            buf_byte(json, ',');
        print_key(&a->live->keys[i], json);
    }
    pthread_rwlock_unlock(&a->live_lock);
    buf_byte(json, ']');
}

int auth_key(struct auth *a, str key, str origin, usec now, struct principal *ret, struct err *e)
{
    uint8_t hash[32];
    int rc = 0;
    sha256(key, hash);
    pthread_rwlock_rdlock(&a->live_lock);
    struct live_key *k = live_key_by_hash(a->live, hash);
    if (!k) {
        rc = err_set(e, ERR_DENIED, "this key is unknown or was revoked");
    } else if (k->role == ROLE_BROWSER && !origin_listed(k, origin)) {
        rc = err_set(e, ERR_INPUT, "this browser key is not for origin \"%.*s\"", STR_ARG(str_head(origin, 120)));
    } else {
        if (now - k->used > USEC_PER_SEC) /* else busy keys bounce a cache line for nothing */
            k->used = now;
        *ret = (struct principal){.role = k->role, .app = k->app, .key = k->id};
        memcpy(ret->app_name, k->app_name, sizeof ret->app_name);
    }
    pthread_rwlock_unlock(&a->live_lock);
    return rc;
}

bool auth_origin_allowed(struct auth *a, str key, str origin)
{
    uint8_t hash[32];
    sha256(key, hash);
    pthread_rwlock_rdlock(&a->live_lock);
    const struct live_key *k = live_key_by_hash(a->live, hash);
    bool allowed = k && k->role == ROLE_BROWSER && origin_listed(k, origin);
    pthread_rwlock_unlock(&a->live_lock);
    return allowed;
}

/* The bucket as one number: the moment all that was taken has grown back ("generic cell rate algorithm", ITU-T I.371). */
static bool take(struct live_key *k, uint64_t n, nsec now, unsigned *ret_retry_s)
{
    const nsec minute = 60 * NSEC_PER_SEC;
    nsec cost = (nsec)(n < LIMIT_EVENTS ? n : LIMIT_EVENTS) * minute / k->per_minute;
    nsec seen = k->owed_until, next;
    do {
        nsec owed = seen < now ? now : seen > now + OWED_MAX ? now + OWED_MAX : seen; /* the clock may have gone back */
        nsec wait = cost > minute ? owed - now : owed + cost - now - minute;
        if (owed > now && wait > 0) {
            *ret_retry_s = (unsigned)((wait + NSEC_PER_SEC - 1) / NSEC_PER_SEC);
            return false;
        }
        next = owed + cost > now + OWED_MAX ? now + OWED_MAX : owed + cost;
    } while (!atomic_compare_exchange_weak(&k->owed_until, &seen, next));
    return true;
}

bool auth_take(struct auth *a, int64_t key, uint64_t n, usec now, unsigned *ret_retry_s)
{
    if (key == 0)
        return true;
    pthread_rwlock_rdlock(&a->live_lock);
    struct live_key *k = live_key(a->live, key);
    bool ok = !k || k->per_minute == 0 || take(k, n, now * NSEC_PER_USEC, ret_retry_s);
    pthread_rwlock_unlock(&a->live_lock);
    return ok;
}
