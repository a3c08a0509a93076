/* issues/issues.c - the life of an issue in fold.db.
 *
 * Rows that one transaction touches are kept in `cache` and written by issues_flush: counts of a storm cost one UPDATE
 * a transaction. History is one row an issue and hour. */
#include "issues/issues.h"
#include "base/hash.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "issues/learned.h"

#include <jansson.h>

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

enum { HOURS_CACHED = 4, RELEASES_CACHED = 8, HISTORY_HOURS = 168, RELEASES_MAX = 100 };
#define HOUR (3600 * USEC_PER_SEC)

struct row {
    char id[17];
    bool fresh; /* INSERT, not UPDATE */
    char *app, *env, *type, *title, *culprit, *why;
    struct {
        uint64_t release; /* hash of its name; 0: none */
        usec first;       /* its first event that was noted */
    } releases[RELEASES_CACHED];
    int level;
    char state[12];
    uint64_t count, added; /* in all; since the last flush */
    usec first_seen, last_seen, resolved_at, regressed_at;
    char first_event[EVENT_ID_LEN + 1], last_event[EVENT_ID_LEN + 1];
    struct {
        int64_t hour;
        uint64_t n;
    } hours[HOURS_CACHED];
};
struct issues {
    struct db *db;
    struct learned *learned;
    struct map cache; /* id -> struct row */
};

struct issues *issues_new(struct db *db)
{
    struct issues *is = xcalloc(1, sizeof *is);
    is->db = db;
    is->learned = learned_new(db);
    return is;
}

static void row_free(struct row *r)
{
    free(r->app);
    free(r->env);
    free(r->type);
    free(r->title);
    free(r->culprit);
    free(r->why);
    free(r);
}

static void drop_cache(struct issues *is)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&is->cache, &i));)
        row_free(slot->value);
    map_done(&is->cache);
}

void issues_forget(struct issues *is)
{
    drop_cache(is);
    learned_forget(is->learned);
}

void issues_free(struct issues *is)
{
    if (!is)
        return;
    drop_cache(is);
    learned_free(is->learned);
    free(is);
}

static void copy_text(char *out, size_t size, str s)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;
    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

/* *ret NULL: there is no such issue. */
static int load(struct issues *is, str id, struct row **ret, struct err *e)
{
    *ret = map_get(&is->cache, id);
    if (*ret)
        return 0;
    sqlite3_stmt *st = db_stmt(is->db, "SELECT state, count, first_seen, last_seen, resolved_at, regressed_at, level,"
                                       " last_event FROM issue WHERE id = ?");
    db_bind_str(st, 1, id);
    int rc = db_step(is->db, st, e);
    if (rc <= 0)
        return rc;
    struct row *r = xcalloc(1, sizeof *r);
    copy_text(r->id, sizeof r->id, id);
    copy_text(r->state, sizeof r->state, db_str(st, 0));
    r->count = (uint64_t)sqlite3_column_int64(st, 1);
    r->first_seen = sqlite3_column_int64(st, 2);
    r->last_seen = sqlite3_column_int64(st, 3);
    r->resolved_at = sqlite3_column_int64(st, 4);
    r->regressed_at = sqlite3_column_int64(st, 5);
    r->level = sqlite3_column_int(st, 6);
    copy_text(r->last_event, sizeof r->last_event, db_str(st, 7));
    sqlite3_reset(st);
    map_set(&is->cache, id, r);
    *ret = r;
    return 0;
}

static struct row *make(struct issues *is, const struct event *ev, const struct fingerprint *fp, struct arena *a)
{
    struct row *r = xcalloc(1, sizeof *r);
    str type = event_text(ev, S("error.type"), a);
    copy_text(r->id, sizeof r->id, str_of(fp->id));
    r->fresh = true;
    r->app = str_dup(ev->app);
    r->env = str_dup(event_text(ev, S("env"), a));
    r->type = str_dup(type.p ? type : event_text(ev, S("type"), a));
    r->title = xstrdup(fp->title);
    r->culprit = xstrdup(fp->culprit);
    r->why = xstrdup(fp->why);
    copy_text(r->state, sizeof r->state, S("open"));
    copy_text(r->first_event, sizeof r->first_event, ev->id);
    r->first_seen = r->last_seen = ev->time / NSEC_PER_USEC;
    map_set(&is->cache, str_of(r->id), r);
    return r;
}

static int add_hours(struct issues *is, struct row *r, struct err *e)
{
    for (size_t i = 0; i < HOURS_CACHED; i++) {
        if (!r->hours[i].n)
            continue;
        sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO issue_hour VALUES(?, ?, ?)"
                                           " ON CONFLICT DO UPDATE SET count = count + excluded.count");
        db_bind_str(st, 1, str_of(r->id));
        sqlite3_bind_int64(st, 2, r->hours[i].hour);
        sqlite3_bind_int64(st, 3, (sqlite3_int64)r->hours[i].n);
        if (db_run(is->db, st, e) < 0)
            return -1;
        r->hours[i].n = 0;
    }
    return 0;
}

static int count_hour(struct issues *is, struct row *r, usec t, struct err *e)
{
    int64_t hour = t / HOUR;
    for (size_t i = 0; i < HOURS_CACHED; i++)
        if (r->hours[i].n == 0 || r->hours[i].hour == hour) {
            r->hours[i].hour = hour;
            r->hours[i].n++;
            return 0;
        }
    if (!r->fresh && add_hours(is, r, e) < 0)
        return -1;
    if (r->fresh && issues_flush(is, e) < 0)
        return -1;
    r->hours[0].hour = hour;
    r->hours[0].n = 1;
    return 0;
}

/* The first of them, so that a sender who names each event a release fills nothing. */
static int note_release(struct issues *is, struct row *r, str release, usec t, struct err *e)
{
    uint64_t hash = hash_str(release) | 1;
    size_t slot = hash >> 8 & (RELEASES_CACHED - 1);
    if (!release.n || (r->releases[slot].release == hash && r->releases[slot].first <= t))
        return 0;
    r->releases[slot].release = hash;
    r->releases[slot].first = t;
    sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO issue_release SELECT ?1, ?2, ?3 WHERE"
                                       " (SELECT count(*) FROM issue_release WHERE issue = ?1) < ?4"
                                       " ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen)");
    db_bind_str(st, 1, str_of(r->id));
    db_bind_str(st, 2, release);
    sqlite3_bind_int64(st, 3, t);
    sqlite3_bind_int(st, 4, RELEASES_MAX);
    return db_run(is->db, st, e);
}

/* ---- two issues that turn out to be one ---- */
/* Hours and releases of ?1 go to ?2. */
static const char *const move_rows[] = {
    "UPDATE OR IGNORE issue SET id = ?2 WHERE id = ?1",
    "UPDATE issue SET count = issue.count + f.count, level = max(issue.level, f.level),"
    " state = iif(f.state = 'open', 'open', issue.state), assignee = coalesce(issue.assignee, f.assignee),"
    " first_event = iif(f.first_seen < issue.first_seen, f.first_event, issue.first_event),"
    " last_event = iif(f.last_seen > issue.last_seen, f.last_event, issue.last_event),"
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
};

static int merge(struct issues *is, const struct id_pair *p, struct err *e)
{
    if (issues_flush(is, e) < 0)
        return -1;
    drop_cache(is);
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
        if (merge(is, &joined[i], e) < 0)
            return -1;
    return 0;
}

int issues_apply(struct issues *is, const struct event *ev, struct fingerprint *fp, usec now, struct issue_seen *ret,
                 struct arena *a, struct err *e)
{
    struct row *r;
    usec t = ev->time / NSEC_PER_USEC;
    if ((fp->shape && find_template(is, fp, e) < 0) || load(is, str_of(fp->id), &r, e) < 0)
        return -1;
    *ret = (struct issue_seen){.fresh = r == NULL};
    if (!r)
        r = make(is, ev, fp, a);
    if (strcmp(r->state, "resolved") == 0 && t > r->resolved_at) {
        copy_text(r->state, sizeof r->state, S("open"));
        r->regressed_at = now;
        ret->regressed = true;
    }
    r->count++;
    r->added++;
    if (t < r->first_seen)
        r->first_seen = t;
    if (t >= r->last_seen) {
        r->last_seen = t;
        copy_text(r->last_event, sizeof r->last_event, ev->id);
    }
    if (ev->severity > r->level)
        r->level = ev->severity;
    return note_release(is, r, event_text(ev, S("release"), a), t, e) < 0 ? -1 : count_hour(is, r, t, e);
}

static int insert_row(struct issues *is, struct row *r, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO issue(id, app, env, type, title, culprit, why, first_event,"
                                       " state, count) VALUES(?, ?, ?, ?, ?, ?, ?, ?, 'open', 0)");
    db_bind_str(st, 1, str_of(r->id));
    db_bind_str(st, 2, str_of(r->app));
    db_bind_str(st, 3, r->env[0] ? str_of(r->env) : (str){0});
    db_bind_str(st, 4, r->type[0] ? str_of(r->type) : (str){0});
    db_bind_str(st, 5, str_of(r->title));
    db_bind_str(st, 6, str_of(r->culprit));
    db_bind_str(st, 7, str_of(r->why));
    db_bind_str(st, 8, str_of(r->first_event));
    r->fresh = false;
    return db_run(is->db, st, e);
}

static int write_row(struct issues *is, struct row *r, struct err *e)
{
    if (r->fresh && insert_row(is, r, e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(is->db,
                               "UPDATE issue SET state = ?, count = ?, first_seen = ?, last_seen = ?, regressed_at = ?,"
                               " level = ?, last_event = ? WHERE id = ?");
    db_bind_str(st, 1, str_of(r->state));
    sqlite3_bind_int64(st, 2, (sqlite3_int64)r->count);
    sqlite3_bind_int64(st, 3, r->first_seen);
    sqlite3_bind_int64(st, 4, r->last_seen);
    if (r->regressed_at)
        sqlite3_bind_int64(st, 5, r->regressed_at);
    sqlite3_bind_int(st, 6, r->level);
    db_bind_str(st, 7, str_of(r->last_event));
    db_bind_str(st, 8, str_of(r->id));
    r->added = 0;
    return db_run(is->db, st, e) < 0 || add_hours(is, r, e) < 0 ? -1 : 0;
}

int issues_flush(struct issues *is, struct err *e)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&is->cache, &i));) {
        struct row *r = slot->value;
        if (r->added && write_row(is, r, e) < 0)
            return -1;
    }
    if (is->cache.n > 10000)
        drop_cache(is);
    return 0;
}

/* ---- what people do ---- */
int issue_patch_check(str body, str id, str by, struct buf *action, struct err *e)
{
    json_error_t where;
    json_t *o = json_loadb(body.p ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &where);
    const char *key;
    json_t *v;
    int rc = -1;
    if (!o || !json_is_object(o) || json_object_size(o) == 0) {
        err_set(e, ERR_INPUT, "expected an object like {\"state\":\"resolved\"}%s%s", o ? "" : ": ",
                o ? "" : where.text);
        goto out;
    }
    json_object_foreach(o, key, v)
    {
        const char *text = json_string_value(v);
        bool state = strcmp(key, "state") == 0;
        if (strcmp(key, "in_release") == 0 || strcmp(key, "until") == 0 ||
            (state && text && strcmp(text, "muted") == 0)) {
            err_set(e, ERR_INPUT, "muting, and resolving in a release, are not there yet");
        } else if (!state && strcmp(key, "assignee") != 0) {
            err_set(e, ERR_INPUT, "unknown field, expected state or assignee");
        } else if (!state && json_is_null(v)) {
            continue; /* nobody */
        } else if (!text || strlen(text) > 200) {
            err_set(e, ERR_INPUT, "expected text of at most 200 bytes%s", state ? "" : " or null");
        } else if (state && strcmp(text, "open") != 0 && strcmp(text, "resolved") != 0) {
            err_set(e, ERR_INPUT, "expected \"open\" or \"resolved\", got \"%.40s\"", text);
        } else {
            continue;
        }
        snprintf(e->pointer, sizeof e->pointer, "/%.100s", key);
        goto out;
    }
    json_t *all = json_pack("{s:s%,s:s%,s:O}", "issue", id.p, id.n, "by", by.p ? by.p : "", by.n, "set", o);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    if (text)
        buf_str(action, str_of(text));
    rc = text ? 0 : err_set(e, ERR_INPUT, "expected an issue id and UTF-8 text");
    free(text);
    json_decref(all);
out:
    json_decref(o);
    return rc;
}

int issues_action(struct issues *is, str json, usec now, struct err *e)
{
    json_t *o = json_loadb(json.p, json.n, 0, NULL), *set = json_object_get(o, "set");
    const char *id = json_string_value(json_object_get(o, "issue")), *by = json_string_value(json_object_get(o, "by"));
    const char *state = json_string_value(json_object_get(set, "state"));
    json_t *assignee = json_object_get(set, "assignee"); /* null or empty: nobody */
    int rc = 0;
    if (id && (rc = issues_flush(is, e)) == 0) {
        drop_cache(is); /* the cached row would write its old state back */
        sqlite3_stmt *st = db_stmt(
            is->db, "UPDATE issue SET state = coalesce(?1, state), assignee = iif(?6, nullif(?2, ''), assignee),"
                    " changed_by = ?3, resolved_at = CASE ?1 WHEN 'resolved' THEN ?4 ELSE resolved_at END"
                    " WHERE id = coalesce((SELECT into_id FROM issue_alias WHERE id = ?5), ?5)");
        db_bind_str(st, 1, str_of(state));
        db_bind_str(st, 2, str_of(json_string_value(assignee)));
        db_bind_str(st, 3, str_of(by));
        sqlite3_bind_int64(st, 4, now);
        db_bind_str(st, 5, str_of(id));
        sqlite3_bind_int(st, 6, assignee != NULL);
        rc = db_run(is->db, st, e);
    }
    json_decref(o);
    return rc;
}

/* ---- answers ---- */
static void put_time(struct buf *out, const char *name, sqlite3_stmt *st, int col)
{
    char t[TIME_TEXT_MAX];
    buf_printf(out, ",\"%s\":", name);
    if (sqlite3_column_type(st, col) == SQLITE_NULL) {
        buf_lit(out, "null");
        return;
    }
    time_print(sqlite3_column_int64(st, col) * NSEC_PER_USEC, 6, t);
    buf_printf(out, "\"%s\"", t);
}

static void put_text(struct buf *out, const char *name, sqlite3_stmt *st, int col)
{
    str s = db_str(st, col);
    buf_printf(out, ",\"%s\":", name);
    if (s.p)
        buf_json(out, s);
    else
        buf_lit(out, "null");
}

#define COLUMNS                                                                                                        \
    "id, title, culprit, type, app, env, level, first_seen, last_seen, count, state, assignee, regressed_at,"          \
    " (SELECT json_group_array(release) FROM (SELECT release FROM issue_release WHERE issue = issue.id"                \
    " ORDER BY first_seen, release)), why, last_event"
/* Rank of an issue by its level, as the rules' default: fatal P2, error P3, the rest P4. */
#define RANK "CASE WHEN level >= 21 THEN 2 WHEN level >= 17 THEN 3 ELSE 4 END"

static void put_issue(struct buf *out, sqlite3_stmt *st)
{
    int level = sqlite3_column_int(st, 6);
    buf_lit(out, "{\"id\":");
    buf_json(out, db_str(st, 0));
    put_text(out, "title", st, 1);
    put_text(out, "culprit", st, 2);
    put_text(out, "type", st, 3);
    put_text(out, "app", st, 4);
    put_text(out, "env", st, 5);
    buf_printf(out, ",\"level\":\"%.*s\",\"rank\":\"P%d\"", STR_ARG(level_name(level)),
               level >= 21   ? 2
               : level >= 17 ? 3
                             : 4);
    put_time(out, "first_seen", st, 7);
    put_time(out, "last_seen", st, 8);
    buf_printf(out, ",\"count\":%lld", (long long)sqlite3_column_int64(st, 9));
    buf_lit(out, ",\"users\":null");
    put_text(out, "state", st, 10);
    put_text(out, "assignee", st, 11);
    put_time(out, "regressed_at", st, 12);
    buf_lit(out, ",\"releases\":");
    buf_str(out, db_str(st, 13));
}

int issues_list_json(struct db *read, const struct issues_filter *f, struct buf *out, struct err *e)
{
    static const struct {
        str name;
        const char *sql;
    } orders[] = {
        {S("last_seen"),
         "SELECT " COLUMNS " FROM issue WHERE (?1 = 'all' OR state = ?1) AND (?2 IS NULL OR app = ?2) AND"
         " (?3 IS NULL OR instr(lower(title || ' ' || culprit), lower(?3))) ORDER BY last_seen DESC LIMIT ?4"},
        {S("count"), "SELECT " COLUMNS " FROM issue WHERE (?1 = 'all' OR state = ?1) AND (?2 IS NULL OR app = ?2) AND"
                     " (?3 IS NULL OR instr(lower(title || ' ' || culprit), lower(?3))) ORDER BY count DESC LIMIT ?4"},
        {S("rank"), "SELECT " COLUMNS " FROM issue WHERE (?1 = 'all' OR state = ?1) AND (?2 IS NULL OR app = ?2) AND"
                    " (?3 IS NULL OR instr(lower(title || ' ' || culprit), lower(?3))) ORDER BY " RANK
                    ", last_seen DESC LIMIT ?4"},
    };
    static const str states[] = {S("open"), S("resolved"), S("muted"), S("all")};
    str state = f->state.p ? f->state : S("open"), order = f->order.p ? f->order : S("last_seen");
    const char *sql = NULL;
    bool known = false;
    for (size_t i = 0; i < LENGTH(states); i++)
        known |= str_eq(state, states[i]);
    for (size_t i = 0; i < LENGTH(orders); i++)
        if (str_eq(order, orders[i].name))
            sql = orders[i].sql;
    if (!known)
        return err_set(e, ERR_INPUT, "state: expected open, resolved, muted or all, got \"%.*s\"",
                       STR_ARG(str_head(state, 40)));
    if (!sql)
        return err_set(e, ERR_INPUT, "order: expected last_seen, rank or count, got \"%.*s\"",
                       STR_ARG(str_head(order, 40)));
    sqlite3_stmt *st = db_stmt(read, sql);
    db_bind_str(st, 1, state);
    db_bind_str(st, 2, f->app.n ? f->app : (str){0});
    db_bind_str(st, 3, f->text.n ? f->text : (str){0});
    sqlite3_bind_int64(st, 4, f->limit ? f->limit : 100);
    int rc;
    size_t n = 0;
    buf_lit(out, "{\"issues\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        if (n++)
            buf_byte(out, ',');
        put_issue(out, st);
        buf_byte(out, '}');
    }
    buf_lit(out, "]}");
    return rc;
}

static int put_history(struct db *read, str id, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT hour, count FROM issue_hour WHERE issue = ? ORDER BY hour DESC LIMIT ?");
    int rc;
    size_t n = 0;
    db_bind_str(st, 1, id);
    sqlite3_bind_int(st, 2, HISTORY_HOURS);
    buf_lit(out, ",\"history\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        char t[TIME_TEXT_MAX];
        time_print(sqlite3_column_int64(st, 0) * HOUR * NSEC_PER_USEC, 0, t);
        buf_printf(out, "%s{\"time\":\"%s\",\"count\":%lld}", n++ ? "," : "", t,
                   (long long)sqlite3_column_int64(st, 1));
    }
    buf_byte(out, ']');
    return rc;
}

int issue_json(struct db *read, str id, struct buf *out, char ret_last_event[EVENT_ID_LEN + 1], struct err *e)
{
    char now[17];
    if (id.n == 16 && alias_resolve(read, id, now, e) < 0)
        return -1;
    id = id.n == 16 ? str_of(now) : id;
    sqlite3_stmt *st = db_stmt(read, "SELECT " COLUMNS " FROM issue WHERE id = ?");
    db_bind_str(st, 1, id);
    int rc = db_step(read, st, e);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(e, ERR_GONE, "no issue has the id \"%.*s\"", STR_ARG(str_head(id, 40)));
    put_issue(out, st);
    put_text(out, "why", st, 14);
    copy_text(ret_last_event, EVENT_ID_LEN + 1, db_str(st, 15));
    sqlite3_reset(st);
    return put_history(read, id, out, e); /* the caller adds the latest event and closes the object */
}
