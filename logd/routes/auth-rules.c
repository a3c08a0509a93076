/* auth-rules.c - rules that were saved from the web: every version of each, in logd.db.
 *
 * The newest version counts; one with an empty text says that from then on the rule of the files does again. */
#include "base/clock.h"
#include "routes/auth-private.h"

int auth_rule_save(struct auth *a, str id, str source, str by, struct err *e)
{
    if (auth_begin(a, e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(a->db, "INSERT INTO rules (id, version, source, saved, by) SELECT ?1,"
                                      " 1 + coalesce(max(version), 0), ?2, ?3, ?4 FROM rules WHERE id = ?1");
    db_bind_str(st, 1, id);
    db_bind_str(st, 2, source);
    sqlite3_bind_int64(st, 3, clock_now());
    db_bind_str(st, 4, by);
    return auth_end(a, db_run(a->db, st, e), e);
}

int auth_rules_each(struct auth *a, auth_rule_fn *fn, void *arg, struct err *e)
{
    int rc;
    pthread_mutex_lock(&a->lock);
    sqlite3_stmt *st = db_stmt(a->db, "SELECT id, max(version), source FROM rules GROUP BY id ORDER BY id");
    while ((rc = db_step(a->db, st, e)) > 0)
        if (fn(db_str(st, 0), sqlite3_column_int64(st, 1), db_str(st, 2), arg, e) < 0) {
            (void)sqlite3_reset(st);
            rc = -1;
            break;
        }
    pthread_mutex_unlock(&a->lock);
    return rc;
}

int auth_rule_history(struct auth *a, str id, struct buf *json, struct err *e)
{
    const char *comma = "";
    int rc;
    pthread_mutex_lock(&a->lock);
    sqlite3_stmt *st = db_stmt(a->db,
                               "SELECT version, source, by, saved FROM rules WHERE id = ? ORDER BY version DESC");
    db_bind_str(st, 1, id);
    buf_byte(json, '[');
    while ((rc = db_step(a->db, st, e)) > 0) {
        buf_printf(json, "%s{\"version\":%lld", comma, (long long)sqlite3_column_int64(st, 0));
        buf_member(json, "source", db_str(st, 1));
        buf_member(json, "by", db_str(st, 2));
        buf_lit(json, ",\"saved\":");
        json_time(json, sqlite3_column_int64(st, 3));
        buf_byte(json, '}');
        comma = ",";
    }
    buf_byte(json, ']');
    pthread_mutex_unlock(&a->lock);
    return rc;
}
