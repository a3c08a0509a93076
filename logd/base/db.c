#include "base/db.h"
#include "base/map.h"
#include "base/str.h"

struct db {
    sqlite3 *raw;
    struct map stmts; /* SQL text -> sqlite3_stmt */
};

static int fail(struct db *db, struct err *e, const char *what)
{
    int code = sqlite3_extended_errcode(db->raw);
    enum err_kind kind = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB ? ERR_CORRUPT
                         : (code & 0xff) == SQLITE_FULL                                    ? ERR_FULL
                                                                                           : ERR_SYS;
    const char *path = sqlite3_db_filename(db->raw, "main");
    return err_set(e, kind, "%s '%s': %s (SQLite %d)", what, path ? path : "", sqlite3_errmsg(db->raw), code);
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
    return sqlite3_exec(db->raw, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db, e, "change");
}

static int migrate(struct db *db, const char *const *steps, size_t nsteps, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "PRAGMA user_version");
    int rc = db_step(db, st, e);
    if (rc < 0)
        return -1;
    size_t done = (size_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    if (done > nsteps)
        return err_set(e, ERR_CORRUPT, "'%s' was written by a newer logd (schema %zu, this one knows %zu)",
                       sqlite3_db_filename(db->raw, "main"), done, nsteps);
    for (; done < nsteps; done++) {
        char version[64];
        snprintf(version, sizeof version, "PRAGMA user_version = %zu", done + 1);
        if (db_begin(db, e) < 0)
            return -1;
        if (db_exec(db, steps[done], e) < 0 || db_exec(db, version, e) < 0 || db_commit(db, e) < 0) {
            db_rollback(db);
            return -1;
        }
    }
    return 0;
}

int db_open(const char *path, enum db_sync sync, const char *const *steps, size_t nsteps, struct db **ret,
            struct err *e)
{
    struct db *db = xcalloc(1, sizeof *db);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &db->raw, flags, NULL) != SQLITE_OK) {
        fail(db, e, "open");
        goto out;
    }
    sqlite3_busy_timeout(db->raw, 5000);
    if (db_exec(db, "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF", e) < 0 ||
        db_exec(db,
                sync == DB_FULL ? "PRAGMA synchronous=FULL"
                                : "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=8000; PRAGMA cache_size=-8000",
                e) < 0)
        goto out;
    if (steps && migrate(db, steps, nsteps, e) < 0)
        goto out;
    *ret = db;
    return 0;
out:
    db_close(db);
    return -1;
}

int db_open_read(const char *path, struct db **ret, struct err *e)
{
    struct db *db = xcalloc(1, sizeof *db);
    if (sqlite3_open_v2(path, &db->raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        fail(db, e, "open");
        db_close(db);
        return -1;
    }
    sqlite3_busy_timeout(db->raw, 5000);
    *ret = db;
    return 0;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&db->stmts, &i));)
        sqlite3_finalize(slot->value);
    map_done(&db->stmts);
    sqlite3_close(db->raw);
    free(db);
}

sqlite3_stmt *db_stmt(struct db *db, const char *sql)
{
    sqlite3_stmt *st = map_get(&db->stmts, str_of(sql));
    if (st) {
        sqlite3_reset(st);
        sqlite3_clear_bindings(st);
        return st;
    }
    if (sqlite3_prepare_v3(db->raw, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
        fprintf(stderr, "logd: SQL: %s: %s\n", sqlite3_errmsg(db->raw), sql);
        abort(); /* a statement of ours that does not compile is a mistake of ours */
    }
    map_set(&db->stmts, str_of(sql), st);
    return st;
}

void db_bind_str(sqlite3_stmt *st, int i, str s)
{
    if (s.p)
        sqlite3_bind_text(st, i, s.p, (int)s.n, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(st, i);
}

str db_str(sqlite3_stmt *st, int col)
{
    const char *p = (const char *)sqlite3_column_text(st, col);
    return (str){p, p ? (size_t)sqlite3_column_bytes(st, col) : 0};
}

int db_step(struct db *db, sqlite3_stmt *st, struct err *e)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(st);
        return 0;
    }
    fail(db, e, "use");
    sqlite3_reset(st);
    return -1;
}

int db_run(struct db *db, sqlite3_stmt *st, struct err *e)
{
    int rc = db_step(db, st, e);
    assert(rc <= 0);
    return rc;
}

int64_t db_last_id(struct db *db) { return sqlite3_last_insert_rowid(db->raw); }
int64_t db_changes(struct db *db) { return sqlite3_changes64(db->raw); }
int db_begin(struct db *db, struct err *e) { return db_exec(db, "BEGIN IMMEDIATE", e); }
int db_commit(struct db *db, struct err *e) { return db_exec(db, "COMMIT", e); }
void db_rollback(struct db *db) { (void)sqlite3_exec(db->raw, "ROLLBACK", NULL, NULL, NULL); }
sqlite3 *db_raw(struct db *db) { return db->raw; }
