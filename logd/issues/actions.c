/* issues/actions.c - what people do: applied by the rules thread when it comes out of the journal.
 *
 * Lines are made by check.c and hold no judgement, so that each replay does the same:
 *
 *   {"issue":["ID",…],"by":"ann@x","do":"set","set":{"state":"resolved","in_release":"1.4"}}       in_release may be null
 *   {…,"do":"set","set":{"state":"muted","mute":2,"limit":100,"window":0,"words":"100 more events"}}  mute: enum mute_until
 *   {…,"do":"set","set":{"state":"open","assignee":"a@b.c"}}                  each alone, too; assignee null: nobody
 *   {…,"do":"comment","text":"…"}
 *   {…,"do":"merge","into":"ID"}       {…,"do":"split"}       {"issue":[],…,"do":"regroup","to":2}
 *
 * "issue" may be a text, and "do" be left out: so wrote the first versions. */
#include "base/str.h"
#include "issues/learned.h"
#include "issues/private.h"

#include <jansson.h>

static str text_of(const json_t *o, const char *name) { return str_of(json_string_value(json_object_get(o, name))); }

int note_add(struct db *db, str id, usec now, str by, const char *kind, str text, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "INSERT INTO issue_note(issue, time, who, kind, text) VALUES(?, ?, ?, ?, ?)");
    db_bind_str(st, 1, id);
    sqlite3_bind_int64(st, 2, now);
    db_bind_str(st, 3, by.n ? by : (str){0});
    db_bind_str(st, 4, str_of(kind));
    db_bind_str(st, 5, text.n ? text : (str){0});
    if (db_run(db, st, e) < 0)
        return -1;
    st = db_stmt(db, "DELETE FROM issue_note WHERE n IN (SELECT n FROM issue_note WHERE issue = ?1"
                     " ORDER BY kind = 'comment' DESC, n DESC LIMIT -1 OFFSET ?2)");
    db_bind_str(st, 1, id);
    sqlite3_bind_int(st, 2, NOTES_MAX);
    return db_run(db, st, e);
}

/* ---- set ---- */
/* Users are counted from here on: the limit becomes what the sketch will say. */
static int limit_of(struct issues *is, str id, const json_t *set, int64_t *ret, struct err *e)
{
    *ret = json_integer_value(json_object_get(set, "limit"));
    if (json_integer_value(json_object_get(set, "mute")) != MUTE_USERS)
        return 0;
    sqlite3_stmt *st = db_stmt(is->db, "SELECT coalesce(sum(users), 0) FROM issue WHERE id = ?1 OR merged_into = ?1");
    db_bind_str(st, 1, id);
    if (db_step(is->db, st, e) < 0)
        return -1;
    *ret += sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}

static int set_state(struct issues *is, str id, str by, const json_t *set, usec now, struct err *e)
{
    str state = text_of(set, "state"), release = text_of(set, "in_release"), words = text_of(set, "words");
    bool resolved = str_eq(state, life_states[LIFE_RESOLVED]), muted = str_eq(state, life_states[LIFE_MUTED]);
    int64_t limit;
    if (limit_of(is, id, set, &limit, e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(is->db,
                               "UPDATE issue SET state = ?1, changed_by = ?2, in_release = ?3, muted_at = ?4,"
                               " resolved_at = coalesce(?5, resolved_at), mute = ?6, mute_limit = ?7, mute_window = ?8,"
                               " mute_seen = 0, mute_bucket = 0 WHERE id = ?9");
    db_bind_str(st, 1, state);
    db_bind_str(st, 2, by);
    db_bind_str(st, 3, resolved && release.n ? release : (str){0});
    if (muted)
        sqlite3_bind_int64(st, 4, now);
    if (resolved)
        sqlite3_bind_int64(st, 5, now);
    sqlite3_bind_int64(st, 6, json_integer_value(json_object_get(set, "mute")));
    sqlite3_bind_int64(st, 7, limit);
    sqlite3_bind_int64(st, 8, json_integer_value(json_object_get(set, "window")));
    db_bind_str(st, 9, id);
    is->due = 0;
    return db_run(is->db, st, e) < 0 ? -1
                                     : note_add(is->db, id, now, by,
                                                resolved ? "resolved"
                                                : muted  ? "muted"
                                                         : "open",
                                                resolved ? release : words, e);
}

static int set_assignee(struct issues *is, str id, str by, str assignee, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "UPDATE issue SET assignee = nullif(?, ''), changed_by = ? WHERE id = ?");
    db_bind_str(st, 1, assignee);
    db_bind_str(st, 2, by);
    db_bind_str(st, 3, id);
    return db_run(is->db, st, e) < 0 ? -1 : note_add(is->db, id, now, by, "assigned", assignee, e);
}

/* ---- merge, split ---- */
int merge_into(struct issues *is, str id, str into, str by, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "UPDATE issue SET merged_into = ?1 WHERE id = ?2 OR merged_into = ?2");
    db_bind_str(st, 1, into);
    db_bind_str(st, 2, id);
    if (db_run(is->db, st, e) < 0)
        return -1;
    rows_drop(is);
    return note_add(is->db, into, now, by, "merged", id, e);
}

static int merge(struct issues *is, str id, str by, str into, usec now, struct err *e)
{
    char root[17];
    struct row *there;
    if (issue_resolve(is->db, into, root, e) < 0 || row_load(is, str_of(root), &there, e) < 0)
        return -1;
    return !there || str_eq(id, str_of(root)) ? 0 : merge_into(is, id, str_of(root), by, now, e);
}

/* `id` is a merged one's own: it leaves, with its counts. */
static int split(struct issues *is, str id, str by, usec now, struct err *e)
{
    char root[17];
    sqlite3_stmt *st = db_stmt(is->db, "SELECT merged_into FROM issue WHERE id = ? AND merged_into IS NOT NULL");
    db_bind_str(st, 1, id);
    int rc = db_step(is->db, st, e);
    if (rc <= 0)
        return rc;
    copy_id(root, sizeof root, db_str(st, 0));
    sqlite3_reset(st);
    st = db_stmt(is->db, "UPDATE issue SET merged_into = NULL WHERE id = ?");
    db_bind_str(st, 1, id);
    return db_run(is->db, st, e) < 0 ? -1 : note_add(is->db, str_of(root), now, by, "split", id, e);
}

/* ---- one line ---- */
static int act_on(struct issues *is, str id, const json_t *o, usec now, struct err *e)
{
    str what = text_of(o, "do"), by = text_of(o, "by");
    char own[17], root[17];
    struct row *there;
    if (id.n != 16 || alias_resolve(is->db, id, own, e) < 0 || issue_resolve(is->db, id, root, e) < 0 ||
        row_load(is, str_of(root), &there, e) < 0)
        return id.n != 16 ? 0 : -1;
    if (!there)
        return 0;
    if (str_eq(what, S("comment")))
        return note_add(is->db, str_of(root), now, by, "comment", text_of(o, "text"), e);
    if (str_eq(what, S("merge")))
        return merge(is, str_of(root), by, text_of(o, "into"), now, e);
    if (str_eq(what, S("split")))
        return split(is, str_of(own), by, now, e);
    const json_t *set = json_object_get(o, "set"), *assignee = json_object_get(set, "assignee");
    if (json_object_get(set, "state") && set_state(is, str_of(root), by, set, now, e) < 0)
        return -1;
    return assignee ? set_assignee(is, str_of(root), by, str_of(json_string_value(assignee)), now, e) : 0;
}

int issues_action(struct issues *is, str json, usec now, struct err *e)
{
    json_t *o = json_loadb(json.p, json.n, 0, NULL), *ids = json_object_get(o, "issue"), *id;
    size_t i;
    int rc = o ? issues_flush(is, e) : 0;
    rows_drop(is); /* rows would write their old state back */
    if (rc == 0 && str_eq(text_of(o, "do"), S("regroup")))
        rc = regroup_to(is, (int)json_integer_value(json_object_get(o, "to")), now, e);
    if (json_is_string(ids))
        rc = rc < 0 ? -1 : act_on(is, str_of(json_string_value(ids)), o, now, e);
    json_array_foreach(ids, i, id) { rc = rc < 0 ? -1 : act_on(is, str_of(json_string_value(id)), o, now, e); }
    rows_drop(is);
    json_decref(o);
    return rc;
}
