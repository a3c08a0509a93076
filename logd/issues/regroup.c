/* issues/regroup.c - from one version of grouping to another, and the issues keep their ids.
 *
 * While a new version takes over (30 days) each event has two fingerprints. An old issue goes to the first new one that
 * meets it: that is an alias of its id from then on, and the issue's version is the new one. A second new fingerprint that
 * meets the same old issue begins one of its own (a split); a new one that meets a second old issue merges it, as people
 * do, so it can be taken back. */
#include "base/str.h"
#include "issues/learned.h"
#include "issues/private.h"

int issues_version(struct db *db, struct grouping_version *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT version, was, until FROM issue_grouping");
    if (db_step(db, st, e) < 0)
        return -1;
    *ret = (struct grouping_version){sqlite3_column_int(st, 0), sqlite3_column_int(st, 1), sqlite3_column_int64(st, 2)};
    sqlite3_reset(st);
    return 0;
}

int regroup_to(struct issues *is, int version, usec now, struct err *e)
{
    struct grouping_version v;
    if (issues_version(is->db, &v, e) < 0)
        return -1;
    if (version < 1 || version > GROUPING_NEWEST || version == v.now)
        return 0;
    sqlite3_stmt *st = db_stmt(is->db, "UPDATE issue_grouping SET was = version, version = ?, until = ?");
    sqlite3_bind_int(st, 1, version);
    sqlite3_bind_int64(st, 2, now + REGROUP_TIME);
    is->version.now = 0;
    return db_run(is->db, st, e);
}

bool fingerprint_of_both(const struct event *ev, const struct grouping_version *v, struct arena *a,
                         struct fingerprint *ret)
{
    if (!fingerprint_of(ev, v->now, a, ret))
        return false;
    struct fingerprint *old = v->was ? arena_alloc(a, sizeof *old) : NULL;
    if (old && fingerprint_of(ev, v->was, a, old) && strcmp(old->id, ret->id) != 0)
        memcpy(ret->was, old->id, sizeof ret->was);
    return true;
}

int issues_fingerprint(struct issues *is, const struct event *ev, usec now, struct arena *a, bool *ret_has,
                       struct fingerprint *ret, struct err *e)
{
    if (!is->version.now && issues_version(is->db, &is->version, e) < 0)
        return -1;
    struct grouping_version v = is->version;
    v.was = now < v.until ? v.was : 0;
    *ret_has = fingerprint_of_both(ev, &v, a, ret);
    return 0;
}

/* *row stays what it is, now with `old` in it. */
static int take_in(struct issues *is, struct row **row, const struct row *old, usec now, struct err *e)
{
    char mine[17], its[17], root[17];
    bool part = old->into[0];
    memcpy(mine, (*row)->id, sizeof mine);
    memcpy(its, old->id, sizeof its);
    if (issues_flush(is, e) < 0 || issue_resolve(is->db, str_of(mine), root, e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(is->db, "UPDATE issue SET version = ? WHERE id = ?");
    sqlite3_bind_int(st, 1, is->version.now);
    db_bind_str(st, 2, str_of(its));
    if (db_run(is->db, st, e) < 0)
        return -1;
    rows_drop(is);
    if (strcmp(root, its) != 0 && !part && merge_into(is, str_of(its), str_of(root), S("a new grouping"), now, e) < 0)
        return -1;
    return row_load(is, str_of(mine), row, e);
}

int regroup_follow(struct issues *is, const struct fingerprint *fp, usec now, struct row **row, struct err *e)
{
    char own[17];
    struct row *old;
    if (!*row && (alias_resolve(is->db, str_of(fp->id), own, e) < 0 || row_load(is, str_of(own), row, e) < 0))
        return -1;
    if (*row && (*row)->version != is->version.now) { /* the new fingerprint is the issue's own */
        (*row)->version = is->version.now;
        (*row)->dirty = true;
    }
    if (!fp->was[0])
        return 0;
    if (alias_resolve(is->db, str_of(fp->was), own, e) < 0 || row_load(is, str_of(own), &old, e) < 0)
        return -1;
    if (!old || old == *row || old->version == is->version.now)
        return 0;
    if (*row)
        return take_in(is, row, old, now, e);
    old->version = is->version.now;
    old->dirty = true;
    *row = old;
    return alias_save(is->learned, fp->id, old->id, e);
}

/* ---- for those who read ---- */
static int is_there(struct db *read, str id, char ret[17], struct err *e)
{
    char now[17];
    if (issue_resolve(read, id, now, e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(read, "SELECT 1 FROM issue WHERE id = ?");
    db_bind_str(st, 1, str_of(now));
    int rc = db_step(read, st, e);
    if (rc > 0) {
        sqlite3_reset(st);
        memcpy(ret, now, sizeof now);
    }
    return rc;
}

int issue_shown(struct db *read, const struct fingerprint *fp, char ret[17], struct err *e)
{
    memcpy(ret, fp->id, sizeof fp->id);
    int rc = is_there(read, str_of(fp->id), ret, e);
    return rc == 0 && fp->was[0] ? (is_there(read, str_of(fp->was), ret, e) < 0 ? -1 : 0) : rc < 0 ? -1 : 0;
}
