/* issues/mapped.c - an issue that was made before its source map came, and the one with the original's names.
 *
 * A stack that was resolved still says what it was, so an event also has the fingerprint that it would have without its
 * map. Where that is an issue of the same release, the issue is shown as a part of the resolved one from then on, as if
 * people had merged them: counts stay with both, and a split takes it back. What was done to the old one holds for a new one
 * that takes it in, which then is not new to anybody. */
#include "base/hash.h"
#include "base/str.h"
#include "issues/private.h"

#define BY "a source map"

static bool of_release(const struct row *old, str release)
{
    const char *names[] = {old->first_release, old->last_release};
    for (size_t i = 0; i < LENGTH(names) && release.n; i++)
        if (names[i] && str_eq(str_of(names[i]), release))
            return true;
    return !release.n && !old->last_release;
}

/* It was merged so once: whoever took it out again meant it. 1: it was; 0; -1 */
static int was_taken(struct db *db, const char *id, const char *old, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT 1 FROM issue_note WHERE issue = ? AND kind = 'merged' AND who = '" BY "'"
                                   " AND text = ?");
    db_bind_str(st, 1, str_of(id));
    db_bind_str(st, 2, str_of(old));
    int rc = db_step(db, st, e);
    if (rc > 0)
        sqlite3_reset(st);
    return rc;
}

static int inherit(struct db *db, const char *from, const char *to, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        db, "UPDATE issue SET state = o.state, resolved_at = o.resolved_at, in_release = o.in_release,"
            " muted_at = o.muted_at, mute = o.mute, mute_limit = o.mute_limit, mute_window = o.mute_window,"
            " mute_seen = o.mute_seen, mute_bucket = o.mute_bucket, regressed_at = o.regressed_at,"
            " assignee = o.assignee FROM (SELECT * FROM issue WHERE id = ?1) AS o WHERE issue.id = ?2");
    db_bind_str(st, 1, str_of(from));
    db_bind_str(st, 2, str_of(to));
    return db_run(db, st, e);
}

int mapped_follow(struct issues *is, const struct event *ev, str release, usec now, bool *fresh, struct row **row,
                  struct arena *a, struct err *e)
{
    char was[17], mine[17];
    struct row *old;
    if (!fingerprint_unmapped(ev, is->version.now, a, was) || strcmp(was, (*row)->id) == 0 ||
        hash_str(str_of(was)) == (*row)->unmapped)
        return 0;
    (*row)->unmapped = hash_str(str_of(was));
    if (row_load(is, str_of(was), &old, e) < 0)
        return -1;
    if (!old || old->into[0] || (*row)->into[0] || !of_release(old, release))
        return 0;
    memcpy(mine, (*row)->id, sizeof mine);
    (*row)->dirty = true; /* a new one is to be written too */
    int rc = was_taken(is->db, mine, was, e);
    if (rc)
        return rc < 0 ? -1 : 0;
    if (issues_flush(is, e) < 0 || (*fresh && inherit(is->db, was, mine, e) < 0))
        return -1;
    rows_drop(is);
    *fresh = false;
    return merge_into(is, str_of(was), str_of(mine), S(BY), now, e) < 0 ? -1 : row_load(is, str_of(mine), row, e);
}
