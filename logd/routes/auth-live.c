/* auth-live.c - the table in memory that answers every request: read whole from logd.db, immutable but for counters. */
#include "routes/auth-private.h"

static void copy_blob(sqlite3_stmt *st, int col, uint8_t out[32])
{
    memset(out, 0, 32);
    if (sqlite3_column_bytes(st, col) == 32)
        memcpy(out, sqlite3_column_blob(st, col), 32);
}

static void copy_text(sqlite3_stmt *st, int col, char *out, size_t size)
{
    str s = db_str(st, col);
    snprintf(out, size, "%.*s", STR_ARG(s));
}

/* Room for one more item, doubling; new room is cleared. */
static void *grow(void *items, size_t n, size_t size)
{
    if (n & (n - 1) || (n && n < 8))
        return items;
    size_t cap = n < 8 ? 8 : 2 * n;
    items = xrealloc(items, cap * size);
    memset((char *)items + n * size, 0, (cap - n) * size);
    return items;
}

static int load_apps(struct db *db, struct live *l, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT id, name, removed FROM apps ORDER BY id");
    int rc;
    while ((rc = db_step(db, st, e)) > 0) {
        l->apps = grow(l->apps, l->apps_n, sizeof *l->apps);
        struct live_app *app = &l->apps[l->apps_n++];
        app->id = (uint32_t)sqlite3_column_int64(st, 0);
        app->name = str_dup(db_str(st, 1));
        app->removed = sqlite3_column_int64(st, 2) != 0;
    }
    return rc;
}

static int load_keys(struct db *db, struct live *l, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        db, "SELECT keys.id, hash, role, app, apps.name, hint, origins, per_minute, keys.created, used"
            " FROM keys JOIN apps ON apps.id = app ORDER BY keys.id");
    int rc;
    while ((rc = db_step(db, st, e)) > 0) {
        l->keys = grow(l->keys, l->keys_n, sizeof *l->keys);
        struct live_key *key = &l->keys[l->keys_n++];
        key->id = sqlite3_column_int64(st, 0);
        copy_blob(st, 1, key->hash);
        key->role = role_read(db_str(st, 2));
        key->app = (uint32_t)sqlite3_column_int64(st, 3);
        copy_text(st, 4, key->app_name, sizeof key->app_name);
        copy_text(st, 5, key->hint, sizeof key->hint);
        key->origins = str_dup(db_str(st, 6));
        key->per_minute = (uint32_t)sqlite3_column_int64(st, 7);
        key->created = sqlite3_column_int64(st, 8);
        key->used_saved = sqlite3_column_int64(st, 9);
        atomic_init(&key->used, key->used_saved);
    }
    return rc;
}

static int load_sessions(struct db *db, struct live *l, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT hash, role, email, sessions.created, seen FROM sessions"
                                   " JOIN users ON users.id = user ORDER BY hash");
    int rc;
    while ((rc = db_step(db, st, e)) > 0) {
        l->sessions = grow(l->sessions, l->sessions_n, sizeof *l->sessions);
        struct live_session *s = &l->sessions[l->sessions_n++];
        copy_blob(st, 0, s->hash);
        s->role = role_read(db_str(st, 1));
        copy_text(st, 2, s->user, sizeof s->user);
        s->created = sqlite3_column_int64(st, 3);
        s->seen_saved = sqlite3_column_int64(st, 4);
        atomic_init(&s->seen, s->seen_saved);
    }
    return rc;
}

static int by_hash(const void *a, const void *b)
{
    return memcmp((*(struct live_key *const *)a)->hash, (*(struct live_key *const *)b)->hash, 32);
}

int live_load(struct db *db, struct live **ret, struct err *e)
{
    struct live *l = xcalloc(1, sizeof *l);
    if (load_apps(db, l, e) < 0 || load_keys(db, l, e) < 0 || load_sessions(db, l, e) < 0) {
        live_free(l);
        return -1;
    }
    l->by_hash = xcalloc(l->keys_n + 1, sizeof *l->by_hash);
    for (size_t i = 0; i < l->keys_n; i++)
        l->by_hash[i] = &l->keys[i];
    qsort(l->by_hash, l->keys_n, sizeof *l->by_hash, by_hash);
    *ret = l;
    return 0;
}

void live_free(struct live *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->apps_n; i++)
        free(l->apps[i].name);
    for (size_t i = 0; i < l->keys_n; i++)
        free(l->keys[i].origins);
    free(l->apps);
    free(l->keys);
    free(l->by_hash);
    free(l->sessions);
    free(l);
}

void live_carry(struct live *to, const struct live *from)
{
    for (size_t i = 0; i < to->keys_n; i++) {
        const struct live_key *old = live_key(from, to->keys[i].id);
        if (!old)
            continue;
        to->keys[i].used = old->used;
        to->keys[i].owed_until = old->owed_until;
    }
    for (size_t i = 0; i < to->sessions_n; i++) {
        const struct live_session *old = live_session(from, to->sessions[i].hash);
        if (old)
            to->sessions[i].seen = old->seen;
    }
}

struct live_app *live_app(const struct live *l, uint32_t id)
{
    size_t lo = 0, hi = l->apps_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (l->apps[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < l->apps_n && l->apps[lo].id == id ? &l->apps[lo] : NULL;
}

struct live_key *live_key(const struct live *l, int64_t id)
{
    size_t lo = 0, hi = l->keys_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (l->keys[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < l->keys_n && l->keys[lo].id == id ? &l->keys[lo] : NULL;
}

/* The search leads by the first 8 bytes only, which tell nothing of the other 24; all 32 are then compared in constant
 * time. What is compared is a hash of what was sent, so its sender cannot steer it either. */
static int hash_lead(const uint8_t a[32], const uint8_t b[32]) { return memcmp(a, b, 8); }
static bool hash_same(const uint8_t a[32], const uint8_t b[32])
{
    return str_eq_secret(str_n((const char *)a, 32), str_n((const char *)b, 32));
}

struct live_key *live_key_by_hash(const struct live *l, const uint8_t hash[32])
{
    size_t lo = 0, hi = l->keys_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (hash_lead(l->by_hash[mid]->hash, hash) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < l->keys_n && hash_lead(l->by_hash[lo]->hash, hash) == 0; lo++)
        if (hash_same(l->by_hash[lo]->hash, hash))
            return l->by_hash[lo];
    return NULL;
}

struct live_session *live_session(const struct live *l, const uint8_t hash[32])
{
    size_t lo = 0, hi = l->sessions_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (hash_lead(l->sessions[mid].hash, hash) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < l->sessions_n && hash_lead(l->sessions[lo].hash, hash) == 0; lo++)
        if (hash_same(l->sessions[lo].hash, hash))
            return &l->sessions[lo];
    return NULL;
}
