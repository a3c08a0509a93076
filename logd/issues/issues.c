/* issues/issues.c - one event, and the life of its issue. */
#include "issues/issues.h"
#include "base/clock.h"
#include "base/str.h"
#include "issues/learned.h"
#include "issues/private.h"

const char issues_schema[] =
    "CREATE TABLE issue(id TEXT PRIMARY KEY, app TEXT NOT NULL, env TEXT, type TEXT, title TEXT NOT NULL, culprit TEXT,"
    " why TEXT, level INTEGER, state TEXT NOT NULL, count INTEGER NOT NULL, first_seen INTEGER, last_seen INTEGER,"
    " first_event TEXT, last_event TEXT, resolved_at INTEGER, regressed_at INTEGER,"
    " assignee TEXT, changed_by TEXT) WITHOUT ROWID;"
    "CREATE INDEX issue_by_last ON issue(state, last_seen);"
    "CREATE TABLE issue_hour(issue TEXT, hour INTEGER, count INTEGER NOT NULL, PRIMARY KEY(issue, hour)) WITHOUT ROWID;";
const char issues_schema_releases[] = "CREATE TABLE issue_release(issue TEXT, release TEXT, first_seen INTEGER,"
                                      " PRIMARY KEY(issue, release)) WITHOUT ROWID;";
const char issues_schema_learned[] =
    "CREATE TABLE issue_shape(n INTEGER PRIMARY KEY, version INTEGER NOT NULL, scope INTEGER NOT NULL,"
    " hash INTEGER NOT NULL, id TEXT NOT NULL, tokens BLOB NOT NULL);"
    "CREATE TABLE issue_alias(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, into_id TEXT NOT NULL);"
    "CREATE INDEX issue_alias_into ON issue_alias(into_id);";
/* `mute` is an enum mute_until. */
const char issues_schema_life[] =
    "ALTER TABLE issue ADD COLUMN merged_into TEXT;"
    "ALTER TABLE issue ADD COLUMN in_release TEXT;"
    "ALTER TABLE issue ADD COLUMN muted_at INTEGER;"
    "ALTER TABLE issue ADD COLUMN mute INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE issue ADD COLUMN mute_limit INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE issue ADD COLUMN mute_window INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE issue ADD COLUMN mute_seen INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE issue ADD COLUMN mute_bucket INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE issue ADD COLUMN users INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE issue ADD COLUMN users_low INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE issue ADD COLUMN first_release TEXT;"
    "ALTER TABLE issue ADD COLUMN last_release TEXT;"
    "CREATE INDEX issue_merged ON issue(merged_into) WHERE merged_into IS NOT NULL;"
    "CREATE TABLE issue_env(issue TEXT, env TEXT, first_seen INTEGER, PRIMARY KEY(issue, env)) WITHOUT ROWID;"
    "CREATE TABLE app_release(app TEXT, release TEXT, first_seen INTEGER, PRIMARY KEY(app, release)) WITHOUT ROWID;"
    "CREATE TABLE issue_users(issue TEXT PRIMARY KEY, key BLOB NOT NULL, sketch BLOB NOT NULL,"
    " joined INTEGER NOT NULL DEFAULT 0, joined_most INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE issue_sample(issue TEXT, slot INTEGER, time INTEGER, line TEXT, PRIMARY KEY(issue, slot));"
    "CREATE TABLE issue_note(n INTEGER PRIMARY KEY, issue TEXT NOT NULL, time INTEGER NOT NULL, who TEXT,"
    " kind TEXT NOT NULL, text TEXT);"
    "CREATE INDEX issue_note_of ON issue_note(issue);";

/* A folder that has issues stays with the version that made them, until somebody asks for another. */
const char issues_schema_grouping[] =
    "ALTER TABLE issue ADD COLUMN version INTEGER NOT NULL DEFAULT 1;"
    "CREATE TABLE issue_grouping(version INTEGER NOT NULL, was INTEGER NOT NULL, until INTEGER NOT NULL);"
    "INSERT INTO issue_grouping SELECT iif(EXISTS(SELECT 1 FROM issue), 1, 2), 0, 0;";
const char issues_schema_grouping_3[] =
    "UPDATE issue_grouping SET version = 3 WHERE was = 0 AND NOT EXISTS(SELECT 1 FROM issue);";
const char issues_schema_grouping_4[] =
    "UPDATE issue_grouping SET version = 4 WHERE was = 0 AND NOT EXISTS(SELECT 1 FROM issue);";
const char issues_schema_causes[] = "CREATE TABLE issue_cause(issue TEXT, cause TEXT, title TEXT NOT NULL,"
                                    " PRIMARY KEY(issue, cause)) WITHOUT ROWID;"
                                    "CREATE INDEX issue_cause_of ON issue_cause(cause);";

enum { ISSUES_MAX = 100000, HOURS_KEPT = 90 * 24 };
#define EXPIRE_EVERY (24 * HOUR)

struct issues *issues_new(struct db *db, const struct issues_sketch *sketch)
{
    struct issues *is = xcalloc(1, sizeof *is);
    is->db = db;
    is->sketch = sketch;
    is->learned = learned_new(db);
    return is;
}

void issues_forget(struct issues *is)
{
    rows_drop(is);
    releases_forget(is);
    learned_forget(is->learned);
    is->version.now = 0;
    is->due = 0;
}

void issues_free(struct issues *is)
{
    if (!is)
        return;
    rows_drop(is);
    releases_forget(is);
    learned_free(is->learned);
    free(is);
}

/* ---- two issues that turn out to be one ---- */
/* All that ?1 has goes to ?2; the older one's state stays, but that it was resolved when ?1 has come since. */
static const char *const move_rows[] = {
    "UPDATE issue_users SET joined = joined + f.users, joined_most = max(joined_most, f.users_low)"
    " FROM (SELECT users, users_low FROM issue WHERE id = ?1) AS f WHERE issue = ?2",
    "UPDATE OR IGNORE issue_users SET issue = ?2 WHERE issue = ?1",
    "DELETE FROM issue_users WHERE issue = ?1 AND ?2 IS NOT NULL",
    "UPDATE OR IGNORE issue SET id = ?2 WHERE id = ?1",
    "UPDATE issue SET merged_into = NULL WHERE id = ?2 AND merged_into = ?1",
    "UPDATE issue SET merged_into = (SELECT coalesce(r.merged_into, r.id) FROM issue AS r WHERE r.id = ?2)"
    " WHERE merged_into = ?1",
    "UPDATE issue SET count = issue.count + f.count, level = max(issue.level, f.level),"
    " regressed_at = iif(issue.state = 'resolved' AND issue.in_release IS NULL AND f.last_seen > issue.resolved_at,"
    " f.last_seen, issue.regressed_at),"
    " state = iif(issue.state = 'resolved' AND issue.in_release IS NULL AND f.last_seen > issue.resolved_at,"
    " 'open', issue.state), assignee = coalesce(issue.assignee, f.assignee),"
    " users = issue.users + f.users, users_low = max(issue.users_low, f.users_low),"
    " first_event = iif(f.first_seen < issue.first_seen, f.first_event, issue.first_event),"
    " last_event = iif(f.last_seen > issue.last_seen, f.last_event, issue.last_event),"
    " first_release = iif(f.first_seen < issue.first_seen, coalesce(f.first_release, issue.first_release),"
    " coalesce(issue.first_release, f.first_release)),"
    " last_release = iif(f.last_seen > issue.last_seen, coalesce(f.last_release, issue.last_release),"
    " coalesce(issue.last_release, f.last_release)),"
    " first_seen = min(issue.first_seen, f.first_seen), last_seen = max(issue.last_seen, f.last_seen),"
    " why = iif(instr(issue.why, ', and alike: '), issue.why, substr(issue.why || ', and alike: ' || f.title, 1, 500))"
    " FROM (SELECT * FROM issue WHERE id = ?1) AS f WHERE issue.id = ?2",
    "DELETE FROM issue WHERE id = ?1 AND ?2 IS NOT NULL",
    "INSERT INTO issue_hour SELECT ?2, hour, count FROM issue_hour WHERE issue = ?1"
    " ON CONFLICT DO UPDATE SET count = count + excluded.count",
    "DELETE FROM issue_hour WHERE issue = ?1 AND ?2 IS NOT NULL",
    "INSERT INTO issue_release SELECT ?2, release, first_seen FROM issue_release WHERE issue = ?1"
    " ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen)",
    "DELETE FROM issue_release WHERE issue = ?1 AND ?2 IS NOT NULL",
    "INSERT INTO issue_env SELECT ?2, env, first_seen FROM issue_env WHERE issue = ?1"
    " ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen)",
    "DELETE FROM issue_env WHERE issue = ?1 AND ?2 IS NOT NULL",
    "INSERT INTO issue_sample SELECT ?2, slot, time, line FROM issue_sample WHERE issue = ?1"
    " ON CONFLICT DO UPDATE SET time = excluded.time, line = excluded.line"
    " WHERE (slot = 0 AND excluded.time < time) OR (slot = 1 AND excluded.time > time)",
    "DELETE FROM issue_sample WHERE issue = ?1 AND ?2 IS NOT NULL",
    "UPDATE issue_note SET issue = ?2 WHERE issue = ?1",
    "UPDATE OR REPLACE issue_cause SET issue = ?2 WHERE issue = ?1",
};

static int join(struct issues *is, const struct id_pair *p, struct err *e)
{
    if (rows_let_go(is, p, e) < 0)
        return -1;
    for (size_t i = 0; i < LENGTH(move_rows); i++) {
        sqlite3_stmt *st = db_stmt(is->db, move_rows[i]);
        db_bind_str(st, 1, str_of(p->from));
        db_bind_str(st, 2, str_of(p->into));
        if (db_run(is->db, st, e) < 0)
            return -1;
    }
    return 0;
}

static int find_template(struct issues *is, struct fingerprint *fp, struct err *e)
{
    const struct id_pair *joined;
    size_t n;
    if (learned_offer(is->learned, fp, &joined, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (join(is, &joined[i], e) < 0)
            return -1;
    return 0;
}

int issue_resolve(struct db *db, str id, char ret[17], struct err *e)
{
    if (alias_resolve(db, id, ret, e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(db, "SELECT merged_into FROM issue WHERE id = ? AND merged_into IS NOT NULL");
    db_bind_str(st, 1, str_of(ret));
    int rc = db_step(db, st, e);
    if (rc > 0) {
        copy_id(ret, 17, db_str(st, 0));
        sqlite3_reset(st);
    }
    return rc < 0 ? -1 : 0;
}

/* ---- one event ---- */
/* Whom it happened to. Of those who are not named the address stands for one. */
static str user_of(const struct event *ev, struct arena *a)
{
    static const str names[] = {S("user"),      S("user.id"),         S("user.email"), S("user.name"),
                                S("auth.user"), S("user.ip_address"), S("ip")};
    for (size_t i = 0; i < LENGTH(names); i++) {
        str text = event_text(ev, names[i], a);
        if (text.n)
            return text;
    }
    return (str){0};
}

/* Users of an issue with all that was merged into it, as far as rows are written. */
static int count_users(struct issues *is, struct row *r, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "SELECT coalesce(sum(users), 0) FROM issue WHERE (id = ?1 OR merged_into = ?1)"
                                       " AND id != ?2");
    struct row *root = NULL;
    if (users_write(is, r, e) < 0 || (r->into[0] && row_load(is, str_of(r->into), &root, e) < 0))
        return -1;
    db_bind_str(st, 1, str_of(root ? root->id : r->id));
    db_bind_str(st, 2, str_of(r->id));
    if (db_step(is->db, st, e) < 0)
        return -1;
    *ret = sqlite3_column_int64(st, 0) + (int64_t)r->named;
    sqlite3_reset(st);
    return 0;
}

/* `r` counts the event, `root` has the life: they are the same but for what was merged. */
static int live(struct issues *is, struct row *r, struct row *root, str release, usec t, usec now, uint64_t n,
                struct issue_seen *ret, struct err *e)
{
    struct life_event ev = {.time = t, .now = now, .n = (int64_t)n};
    if (root->life.state == LIFE_OPEN)
        return 0;
    if (root->life.state == LIFE_RESOLVED && release_is_older(is, root, release, &ev.older, e) < 0)
        return -1;
    if (root->life.state == LIFE_MUTED && root->life.mute == MUTE_USERS && count_users(is, r, &ev.users, e) < 0)
        return -1;
    enum life_change change = life_event(&root->life, &ev);
    root->dirty = true;
    ret->muted = root->life.state == LIFE_MUTED;
    if (change == LIFE_SAME)
        return 0;
    ret->regressed = true;
    if (change == LIFE_REGRESSED)
        root->regressed_at = now;
    return note_add(is->db, str_of(root->id), now, (str){0}, change == LIFE_REGRESSED ? "regressed" : "unmuted",
                    release, e);
}

static void count(struct row *r, const struct event *ev, usec t)
{
    r->dirty = true;
    if (t < r->first_seen)
        r->first_seen = t;
    if (t >= r->last_seen) {
        r->last_seen = t;
        copy_id(r->last_event, sizeof r->last_event, ev->id);
    }
    if (ev->severity > r->level)
        r->level = ev->severity;
}

static int note_fields(struct issues *is, struct row *r, const struct event *ev, str release, usec t, uint64_t n,
                       struct arena *a, struct err *e)
{
    str user = user_of(ev, a), env = str_head(event_text(ev, S("env"), a), NAME_MAX_BYTES);
    if (release.n &&
        (release_note(is, str_of(r->app), release, t, e) < 0 || row_note_release(is, r, release, t, e) < 0))
        return -1;
    if (row_note_env(is, r, env, t, e) < 0 || samples_take(is, r, ev, t, r->count - n, e) < 0)
        return -1;
    return user.n ? users_add(is, r, user, e) : 0;
}

int issues_apply(struct issues *is, const struct event *ev, struct fingerprint *fp, usec now, struct issue_seen *ret,
                 struct arena *a, struct err *e)
{
    struct row *r, *root = NULL;
    usec t = ev->time / NSEC_PER_USEC;
    uint64_t n = event_stands_for(ev, a);
    str release = str_head(event_text(ev, S("release"), a), NAME_MAX_BYTES);
    *ret = (struct issue_seen){0};
    if ((is->cache.n > 2 * ROWS_CACHED || is->lines_bytes > LINES_MAX_BYTES) && issues_flush(is, e) < 0)
        return -1;
    struct fingerprint *cause = arena_alloc(a, sizeof *cause);
    bool caused = fingerprint_of_cause(ev, is->version.now, a, cause);
    if ((caused && cause->shape && find_template(is, cause, e) < 0) || (fp->shape && find_template(is, fp, e) < 0) ||
        row_load(is, str_of(fp->id), &r, e) < 0)
        return -1;
    if ((is->version.was || fp->was[0]) && regroup_follow(is, fp, now, &r, e) < 0)
        return -1;
    if (!r) {
        ret->fresh = true;
        r = row_make(is, ev, fp, a);
    }
    if (mapped_follow(is, ev, release, now, &ret->fresh, &r, a, e) < 0)
        return -1;
    if (caused && cause_note(is, r, cause, e) < 0)
        return -1;
    if (r->into[0] && row_load(is, str_of(r->into), &root, e) < 0)
        return -1;
    root = root ? root : r;
    r->count += n;
    if (note_fields(is, r, ev, release, t, n, a, e) < 0 || live(is, r, root, release, t, now, n, ret, e) < 0)
        return -1;
    count(r, ev, t);
    copy_id(fp->id, sizeof fp->id, str_of(root->id));
    return row_count_hour(is, r, t, n, e);
}

/* ---- the clock ---- */
static int end_mutes(struct issues *is, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO issue_note(issue, time, kind) SELECT id, ?1, 'unmuted' FROM issue"
                                       " WHERE state = 'muted' AND mute = ?2 AND mute_limit <= ?1");
    sqlite3_bind_int64(st, 1, now);
    sqlite3_bind_int(st, 2, MUTE_TIME);
    if (db_run(is->db, st, e) < 0)
        return -1;
    st = db_stmt(is->db, "UPDATE issue SET state = 'open' WHERE state = 'muted' AND mute = ?2 AND mute_limit <= ?1");
    sqlite3_bind_int64(st, 1, now);
    sqlite3_bind_int(st, 2, MUTE_TIME);
    if (db_run(is->db, st, e) < 0)
        return -1;
    st = db_stmt(is->db, "SELECT min(mute_limit) FROM issue WHERE state = 'muted' AND mute = ?");
    sqlite3_bind_int(st, 1, MUTE_TIME);
    if (db_step(is->db, st, e) < 0)
        return -1;
    is->due = sqlite3_column_type(st, 0) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}

/* Past 100,000 issues those go that were not seen for longest, with the bits of their users and the key:
 * fold.db is opened so that what is deleted is overwritten. */
static int expire(struct issues *is, usec now, struct err *e)
{
    static const char *const tables[] = {
        "DELETE FROM issue_hour WHERE issue IN (SELECT id FROM gone)",
        "DELETE FROM issue_release WHERE issue IN (SELECT id FROM gone)",
        "DELETE FROM issue_env WHERE issue IN (SELECT id FROM gone)",
        "DELETE FROM issue_users WHERE issue IN (SELECT id FROM gone)",
        "DELETE FROM issue_sample WHERE issue IN (SELECT id FROM gone)",
        "DELETE FROM issue_note WHERE issue IN (SELECT id FROM gone)",
        "DELETE FROM issue_cause WHERE issue IN (SELECT id FROM gone)",
        "DELETE FROM issue WHERE id IN (SELECT id FROM gone)",
    };
    if (db_exec(is->db,
                "CREATE TEMP TABLE IF NOT EXISTS gone(id TEXT PRIMARY KEY);"
                "DELETE FROM gone",
                e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(is->db, "INSERT OR IGNORE INTO gone SELECT root FROM (SELECT coalesce(merged_into, id)"
                                       " AS root, max(last_seen) AS last FROM issue GROUP BY root"
                                       " ORDER BY last DESC LIMIT -1 OFFSET ?)");
    sqlite3_bind_int(st, 1, ISSUES_MAX);
    if (db_run(is->db, st, e) < 0)
        return -1;
    if (db_run(is->db,
               db_stmt(is->db, "INSERT OR IGNORE INTO gone SELECT id FROM issue WHERE merged_into IN"
                               " (SELECT id FROM gone)"),
               e) < 0)
        return -1;
    for (size_t i = 0; i < LENGTH(tables); i++)
        if (db_run(is->db, db_stmt(is->db, tables[i]), e) < 0)
            return -1;
    st = db_stmt(is->db, "DELETE FROM issue_hour WHERE hour < ?");
    sqlite3_bind_int64(st, 1, now / HOUR - HOURS_KEPT);
    return db_run(is->db, st, e);
}

int issues_tick(struct issues *is, usec now, usec *ret_next, struct err *e)
{
    bool expires = now >= is->expire_due;
    if (now >= is->due || expires) {
        if (issues_flush(is, e) < 0)
            return -1;
        rows_drop(is);
        if (end_mutes(is, now, e) < 0 || (expires && expire(is, now, e) < 0))
            return -1;
        is->expire_due = expires ? now + EXPIRE_EVERY : is->expire_due;
    }
    *ret_next = is->due < is->expire_due ? is->due : is->expire_due;
    return 0;
}
