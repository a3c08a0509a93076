/* base/db.h - SQLite with our errors: open, prepare once, bind, step.
 *
 * Owner   one thread per connection. Statements of db_stmt are cached by their text (a literal) for the life
 *         of the connection. Schema changes are a list of steps, applied in order, counted in user_version. */
#ifndef BASE_DB_H
#define BASE_DB_H

#include "base/base.h"
#include "base/err.h"
#include <sqlite3.h>

struct db;

enum db_sync { DB_NORMAL, DB_FULL };
/* Opens or creates in WAL mode, busy timeout 5 s, foreign keys on. `steps` NULL: no schema. */
int db_open(const char *path, enum db_sync sync, const char *const *steps, size_t nsteps, struct db **ret,
            struct err *e) MUST_CHECK;
int db_open_read(const char *path, struct db **ret, struct err *e) MUST_CHECK; /* read only */
void db_close(struct db *db);                                                  /* NULL is fine */
int db_exec(struct db *db, const char *sql, struct err *e) MUST_CHECK;
/* A reset, unbound statement for `sql`. Never NULL after schema: an SQL mistake is ours and asserts. */
sqlite3_stmt *db_stmt(struct db *db, const char *sql);
void db_bind_str(sqlite3_stmt *st, int i, str s); /* copies; absent (p NULL) binds NULL */
str db_str(sqlite3_stmt *st, int col);            /* valid until the next step */
/* 1 row, 0 done, -1 failed. Resets on 0 and -1. */
int db_step(struct db *db, sqlite3_stmt *st, struct err *e) MUST_CHECK;
/* Runs a statement that gives no rows. */
int db_run(struct db *db, sqlite3_stmt *st, struct err *e) MUST_CHECK;
int64_t db_last_id(struct db *db);
int64_t db_changes(struct db *db);
int db_begin(struct db *db, struct err *e) MUST_CHECK; /* IMMEDIATE */
int db_commit(struct db *db, struct err *e) MUST_CHECK;
void db_rollback(struct db *db);
sqlite3 *db_raw(struct db *db); /* for backup */

#endif
