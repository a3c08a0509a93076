/* facts.c - see facts.h. What the current transaction has not written yet is not in it: the first event of an issue is told by
 * the event itself. */
#include "facts.h"
#include "base/str.h"
#include "notify/body.h"

#define HOUR (3600 * USEC_PER_SEC)

static int of_issue(struct db *db, str issue, struct mail_facts *ret, struct arena *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT count, users, first_seen, first_release FROM issue WHERE id = ?");
    db_bind_str(st, 1, issue);
    int rc = db_step(db, st, e);
    if (rc <= 0)
        return rc;
    ret->count = sqlite3_column_int64(st, 0);
    ret->users = sqlite3_column_int64(st, 1);
    ret->first_seen = sqlite3_column_int64(st, 2);
    ret->first_release = arena_str(a, db_str(st, 3));
    sqlite3_reset(st);
    return 0;
}

static int last_day(struct db *db, str issue, usec now, struct mail_facts *ret, struct err *e)
{
    int64_t first = now / HOUR - MAIL_HOURS + 1;
    sqlite3_stmt *st = db_stmt(db, "SELECT hour, count FROM issue_hour WHERE issue = ? AND hour >= ?");
    int rc;
    db_bind_str(st, 1, issue);
    sqlite3_bind_int64(st, 2, first);
    while ((rc = db_step(db, st, e)) > 0) {
        int64_t i = sqlite3_column_int64(st, 0) - first;
        if (i >= 0 && i < MAIL_HOURS)
            ret->hours[i] += sqlite3_column_int64(st, 1);
    }
    return rc;
}

static int newest_release(struct db *db, str app, struct mail_facts *ret, struct arena *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        db, "SELECT release, first_seen FROM app_release WHERE app = ? ORDER BY first_seen DESC LIMIT 1");
    db_bind_str(st, 1, app);
    int rc = db_step(db, st, e);
    if (rc <= 0)
        return rc;
    ret->release = arena_str(a, db_str(st, 0));
    ret->release_at = sqlite3_column_int64(st, 1);
    sqlite3_reset(st);
    return 0;
}

int facts_of_issue(struct db *db, str issue, str app, usec now, struct mail_facts *ret, struct arena *a, struct err *e)
{
    if (issue.n && (of_issue(db, issue, ret, a, e) < 0 || last_day(db, issue, now, ret, e) < 0))
        return -1;
    return app.n ? newest_release(db, app, ret, a, e) : 0;
}
