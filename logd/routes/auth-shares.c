/* auth-shares.c - links that show chosen stats to whoever has them: made, looked up, ended.
 *
 * A link's token is random like a key; only its SHA-256 is kept. What it shows is a list, one a line: NAME, or NAME by
 * LABEL; names of metrics have no spaces. */
#include "routes/auth-private.h"
#include "base/clock.h"
#include "base/hash.h"

#include <openssl/crypto.h>

#define SHARE_NAME_MAX 100u
#define SHARE_STATS_MAX 50u
#define SHARE_LINE_MAX 200u

static int refuse(struct err *e, const char *pointer)
{
    snprintf(e->pointer, sizeof e->pointer, "%s", pointer);
    return -1;
}

static int check_text(const char *what, str s, size_t max, struct err *e)
{
    bool good = s.n >= 1 && s.n <= max;
    for (size_t i = 0; i < s.n && good; i++)
        good = (unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f;
    return good ? 0
                : err_set(e, ERR_INPUT, "%s: expected 1 to %zu bytes on one line, got \"%.*s\"", what, max,
                          STR_ARG(str_head(s, 80)));
}

bool share_item(str line, str *ret_name, str *ret_group)
{
    ptrdiff_t by = str_find(line, S(" by "));
    *ret_name = by < 0 ? line : str_head(line, (size_t)by);
    *ret_group = by < 0 ? (str){0} : str_skip(line, (size_t)by + 4);
    return ret_name->n && str_chr(*ret_name, ' ') < 0 && (by < 0 || (ret_group->n && str_chr(*ret_group, ' ') < 0));
}

static int check_new(const struct auth_share_new *s, struct err *e)
{
    if (check_text("name", s->name, SHARE_NAME_MAX, e) < 0)
        return refuse(e, "/name");
    if (s->stats_n < 1 || s->stats_n > SHARE_STATS_MAX) {
        err_set(e, ERR_INPUT, "stats: expected 1 to %u of them, got %zu", SHARE_STATS_MAX, s->stats_n);
        return refuse(e, "/stats");
    }
    for (size_t i = 0; i < s->stats_n; i++) {
        str name, group;
        if (check_text("stats", s->stats[i], SHARE_LINE_MAX, e) < 0)
            return refuse(e, "/stats");
        if (!share_item(s->stats[i], &name, &group)) {
            err_set(e, ERR_INPUT, "stats: expected NAME or NAME by LABEL, got \"%.*s\"",
                    STR_ARG(str_head(s->stats[i], 80)));
            return refuse(e, "/stats");
        }
    }
    return 0;
}

static int insert_share(struct auth *a, const struct auth_share_new *s, const char *token, int64_t *ret_id,
                        struct err *e)
{
    struct buf lines = BUF_INIT(SHARE_STATS_MAX * (SHARE_LINE_MAX + 1));
    uint8_t hash[32];
    for (size_t i = 0; i < s->stats_n; i++) {
        buf_str(&lines, s->stats[i]);
        buf_byte(&lines, '\n');
    }
    sha256(str_of(token), hash);
    sqlite3_stmt *st = db_stmt(a->db, "INSERT INTO shares (hash, name, app, stats, created) VALUES (?, ?, ?, ?, ?)");
    sqlite3_bind_blob(st, 1, hash, sizeof hash, SQLITE_TRANSIENT);
    db_bind_str(st, 2, s->name);
    sqlite3_bind_int64(st, 3, s->app);
    db_bind_str(st, 4, buf_view(&lines));
    sqlite3_bind_int64(st, 5, clock_now());
    int rc = db_run(a->db, st, e);
    if (rc == 0)
        *ret_id = db_last_id(a->db);
    buf_done(&lines);
    return rc;
}

int auth_share_add(struct auth *a, const struct auth_share_new *s, char ret_token[64], int64_t *ret_id, struct err *e)
{
    char token[64];
    int64_t id = 0;
    if (check_new(s, e) < 0 || auth_begin(a, e) < 0)
        return -1;
    auth_random_text("ls_", token);
    int rc = auth_end(a, insert_share(a, s, token, &id, e), e);
    if (rc == 0) {
        memcpy(ret_token, token, sizeof token);
        *ret_id = id;
    }
    OPENSSL_cleanse(token, sizeof token);
    return rc;
}

static int delete_share(struct auth *a, int64_t id, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM shares WHERE id = ?");
    sqlite3_bind_int64(st, 1, id);
    if (db_run(a->db, st, e) < 0)
        return -1;
    return db_changes(a->db) ? 0 : err_set(e, ERR_GONE, "there is no share with id %lld", (long long)id);
}

int auth_share_revoke(struct auth *a, int64_t id, struct err *e)
{
    if (auth_begin(a, e) < 0)
        return -1;
    return auth_end(a, delete_share(a, id, e), e);
}

int auth_share_find(struct auth *a, str token, struct arena *arena, struct auth_share *ret, struct err *e)
{
    uint8_t hash[32];
    sha256(token, hash);
    pthread_mutex_lock(&a->lock);
    sqlite3_stmt *st = db_stmt(a->db, "SELECT name, app, stats FROM shares WHERE hash = ?");
    sqlite3_bind_blob(st, 1, hash, sizeof hash, SQLITE_TRANSIENT);
    int rc = db_step(a->db, st, e);
    if (rc > 0) {
        *ret = (struct auth_share){.name = arena_str(arena, db_str(st, 0)),
                                   .app = (uint32_t)sqlite3_column_int64(st, 1),
                                   .stats = arena_str(arena, db_str(st, 2))};
        sqlite3_reset(st);
    }
    pthread_mutex_unlock(&a->lock);
    return rc < 0 ? -1 : rc > 0 ? 0 : err_set(e, ERR_GONE, "this link shows nothing: it was ended, or never was");
}

void share_stats_json(str stats, struct buf *json)
{
    const char *comma = "";
    buf_byte(json, '[');
    while (stats.n) {
        str name, group;
        (void)share_item(str_cut(&stats, '\n'), &name, &group);
        buf_printf(json, "%s{\"name\":", comma);
        buf_json(json, name);
        if (group.n) {
            buf_lit(json, ",\"group\":");
            buf_json(json, group);
        }
        buf_byte(json, '}');
        comma = ",";
    }
    buf_byte(json, ']');
}

int auth_share_list(struct auth *a, struct buf *json, struct err *e)
{
    const char *comma = "";
    int rc;
    pthread_mutex_lock(&a->lock);
    sqlite3_stmt *st = db_stmt(a->db, "SELECT shares.id, shares.name, apps.name, stats, shares.created FROM shares"
                                      " LEFT JOIN apps ON apps.id = app ORDER BY shares.id");
    buf_byte(json, '[');
    while ((rc = db_step(a->db, st, e)) > 0) {
        buf_printf(json, "%s{\"id\":%lld,\"name\":", comma, (long long)sqlite3_column_int64(st, 0));
        buf_json(json, db_str(st, 1));
        if (db_str(st, 2).p) {
            buf_lit(json, ",\"app\":");
            buf_json(json, db_str(st, 2));
        }
        buf_lit(json, ",\"stats\":");
        share_stats_json(db_str(st, 3), json);
        buf_lit(json, ",\"created\":");
        json_time(json, sqlite3_column_int64(st, 4));
        buf_byte(json, '}');
        comma = ",";
    }
    buf_byte(json, ']');
    pthread_mutex_unlock(&a->lock);
    return rc;
}
