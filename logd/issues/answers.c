/* issues/answers.c - issues as JSON, for any thread's read connection. An issue is told with all that was merged into it. */
#include "base/clock.h"
#include "base/str.h"
#include "event/filter.h"
#include "issues/learned.h"
#include "issues/private.h"

enum { HISTORY_HOURS = 168, SAMPLES_TOLD = 12, NOTES_TOLD = 100, SCRATCH = 1 << 20 };

/* `i` with what was merged into it. */
#define MEMBERS " FROM issue AS m WHERE m.merged_into = i.id)"
#define SUM(column) "i." column " + coalesce((SELECT sum(m." column ")" MEMBERS ", 0)"
#define EDGE(edge, column) edge "(i." column ", coalesce((SELECT " edge "(m." column ")" MEMBERS ", i." column "))"
#define LATEST(column, last, order)                                                                                    \
    "(SELECT " column " FROM issue WHERE (id = i.id OR merged_into = i.id) AND " column " IS NOT NULL ORDER BY " last  \
    " " order " LIMIT 1)"
#define NAMES(table, column)                                                                                           \
    "(SELECT json_group_array(" column ") FROM (SELECT " column " FROM " table " WHERE issue = i.id OR issue IN"       \
    " (SELECT m.id" MEMBERS " GROUP BY " column " ORDER BY min(first_seen), " column "))"
/* Rank by its level, as the rules' default: fatal P2, error P3, the rest P4. */
#define RANK "CASE WHEN i.level >= 21 THEN 2 WHEN i.level >= 17 THEN 3 ELSE 4 END"

static const char one_issue[] =
    "SELECT i.id, i.title, i.culprit, i.type, i.app, i.env, " EDGE("max", "level") ", " EDGE("min", "first_seen") ", " EDGE("max", "last_seen") ", " SUM("count") ", " SUM(
        "users") ", " EDGE("max",
                           "users_low") ", i.state, i.assignee,"
                                        " i.regressed_at, i.resolved_at, i.in_release, " LATEST("first_release", "first_seen", "") ", " LATEST(
                                            "last_release", "last_seen",
                                            "DESC") ", " NAMES("issue_release",
                                                               "release") ", " NAMES("issue_env",
                                                                                     "env") ", i.mute, i.mute_limit, i.mute_window, i.mute_seen, i.muted_at, i.why, " LATEST("last_event",
                                                                                                                                                                             "last_seen",
                                                                                                                                                                             "DESC") " FROM issue AS i WHERE i.id = ?";
enum {
    C_ID,
    C_TITLE,
    C_CULPRIT,
    C_TYPE,
    C_APP,
    C_ENV,
    C_LEVEL,
    C_FIRST_SEEN,
    C_LAST_SEEN,
    C_COUNT,
    C_USERS,
    C_USERS_LOW,
    C_STATE,
    C_ASSIGNEE,
    C_REGRESSED_AT,
    C_RESOLVED_AT,
    C_IN_RELEASE,
    C_FIRST_RELEASE,
    C_LAST_RELEASE,
    C_RELEASES,
    C_ENVS,
    C_MUTE,
    C_MUTE_LIMIT,
    C_MUTE_WINDOW,
    C_MUTE_SEEN,
    C_MUTED_AT,
    C_WHY,
    C_LAST_EVENT
};

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

static void put_number(struct buf *out, const char *name, sqlite3_stmt *st, int col)
{
    buf_printf(out, ",\"%s\":%lld", name, (long long)sqlite3_column_int64(st, col));
}

/* {"count":100,"seen":7}, or null. */
static void put_mute(struct buf *out, sqlite3_stmt *st)
{
    char t[TIME_TEXT_MAX];
    int kind = sqlite3_column_int(st, C_MUTE);
    long long limit = sqlite3_column_int64(st, C_MUTE_LIMIT), seen = sqlite3_column_int64(st, C_MUTE_SEEN);
    usec window = sqlite3_column_int64(st, C_MUTE_WINDOW);
    buf_lit(out, ",\"until\":");
    if (!str_eq(db_str(st, C_STATE), life_states[LIFE_MUTED])) {
        buf_lit(out, "null");
    } else if (kind == MUTE_TIME) {
        time_print(limit * NSEC_PER_USEC, 6, t);
        buf_printf(out, "{\"time\":\"%s\"}", t);
    } else if (kind == MUTE_COUNT) {
        buf_printf(out, "{\"count\":%lld,\"seen\":%lld}", limit, seen);
    } else if (kind == MUTE_USERS) {
        long long users = sqlite3_column_int64(st, C_USERS);
        buf_printf(out, "{\"users\":%lld}", limit > users ? limit - users : 0);
    } else if (kind == MUTE_RATE) {
        const char *unit = window == HOUR ? "hour" : window > HOUR ? "day" : "minute";
        buf_printf(out, "{\"rate\":\"%lld/%s\",\"seen\":%lld}", limit, unit, seen);
    } else {
        buf_lit(out, "{}");
    }
}

static int rank_of(int level) { return level >= 21 ? 2 : level >= 17 ? 3 : 4; }

/* What a filter can ask for; without the '}'. */
static void put_plain(struct buf *out, sqlite3_stmt *st)
{
    int level = sqlite3_column_int(st, C_LEVEL);
    buf_lit(out, "{\"id\":");
    buf_json(out, db_str(st, C_ID));
    put_text(out, "title", st, C_TITLE);
    put_text(out, "culprit", st, C_CULPRIT);
    put_text(out, "type", st, C_TYPE);
    put_text(out, "app", st, C_APP);
    put_text(out, "env", st, C_ENV);
    buf_printf(out, ",\"level\":\"%.*s\",\"rank\":\"P%d\"", STR_ARG(level_name(level)), rank_of(level));
    put_time(out, "first_seen", st, C_FIRST_SEEN);
    put_time(out, "last_seen", st, C_LAST_SEEN);
    put_number(out, "count", st, C_COUNT);
    put_number(out, "users", st, C_USERS);
    put_number(out, "users_low", st, C_USERS_LOW);
    put_text(out, "state", st, C_STATE);
    put_text(out, "assignee", st, C_ASSIGNEE);
    put_time(out, "regressed_at", st, C_REGRESSED_AT);
    put_time(out, "resolved_at", st, C_RESOLVED_AT);
    put_text(out, "in_release", st, C_IN_RELEASE);
    put_text(out, "first_release", st, C_FIRST_RELEASE);
    put_text(out, "last_release", st, C_LAST_RELEASE);
}

static void put_issue(struct buf *out, sqlite3_stmt *st)
{
    put_plain(out, st);
    buf_lit(out, ",\"releases\":");
    buf_str(out, db_str(st, C_RELEASES));
    buf_lit(out, ",\"environments\":");
    buf_str(out, db_str(st, C_ENVS));
    put_time(out, "muted_at", st, C_MUTED_AT);
    put_mute(out, st);
}

/* ---- many ---- */
/* The issue as an event for the filter: `message` is its title, its time when it was last seen. */
static bool matches(const struct filter *f, sqlite3_stmt *st, struct event *ev, struct buf *text, struct arena *a)
{
    struct err ignored;
    arena_reset(a);
    buf_reset(text);
    put_plain(text, st);
    put_text(text, "message", st, C_TITLE);
    buf_byte(text, '}');
    if (event_read_fields(buf_view(text), ev, a, &ignored) < 0)
        return false;
    ev->app = db_str(st, C_APP);
    ev->severity = sqlite3_column_int(st, C_LEVEL);
    ev->time = sqlite3_column_int64(st, C_LAST_SEEN) * NSEC_PER_USEC;
    return filter_match(f, ev, a);
}

struct walk {
    const struct issues_filter *f;
    struct filter *query;                                    /* NULL: all */
    int (*each)(void *arg, sqlite3_stmt *st, struct err *e); /* 1: that was enough */
    void *arg;
};

static const char *ids_in_order(const struct issues_filter *f, struct err *e)
{
#define IDS                                                                                                            \
    "SELECT i.id FROM issue AS i WHERE merged_into IS NULL AND (?1 = 'all' OR state = ?1) AND (?2 IS NULL OR app = ?2)"
    static const struct {
        str name;
        const char *sql;
    } orders[] = {{S("last_seen"), IDS " ORDER BY " EDGE("max", "last_seen") " DESC, id"},
                  {S("count"), IDS " ORDER BY " SUM("count") " DESC, id"},
                  {S("rank"), IDS " ORDER BY " RANK ", " EDGE("max", "last_seen") " DESC, id"}};
    static const str states[] = {S("open"), S("resolved"), S("muted"), S("all")};
    str order = f->order.p ? f->order : S("last_seen");
    bool known = !f->state.p;
    for (size_t i = 0; i < LENGTH(states); i++)
        known |= str_eq(f->state, states[i]);
    if (!known) {
        err_set(e, ERR_INPUT, "state: expected open, resolved, muted or all, got \"%.*s\"",
                STR_ARG(str_head(f->state, 40)));
        return NULL;
    }
    for (size_t i = 0; i < LENGTH(orders); i++)
        if (str_eq(order, orders[i].name))
            return orders[i].sql;
    err_set(e, ERR_INPUT, "order: expected last_seen, rank or count, got \"%.*s\"", STR_ARG(str_head(order, 40)));
    return NULL;
}

static int walk_rows(struct db *read, sqlite3_stmt *ids, const struct walk *w, struct err *e)
{
    struct event *ev = xmalloc(sizeof *ev);
    struct buf text = BUF_INIT(SCRATCH);
    struct arena a = {0};
    int rc;
    while ((rc = db_step(read, ids, e)) > 0) {
        sqlite3_stmt *st = db_stmt(read, one_issue);
        db_bind_str(st, 1, db_str(ids, 0));
        if ((rc = db_step(read, st, e)) < 0)
            break;
        if (rc > 0 && (!w->query || matches(w->query, st, ev, &text, &a)))
            rc = w->each(w->arg, st, e);
        else
            rc = 0;
        sqlite3_reset(st);
        if (rc)
            break;
    }
    sqlite3_reset(ids);
    arena_done(&a);
    buf_done(&text);
    free(ev);
    return rc < 0 ? -1 : 0;
}

static int walk(struct db *read, struct walk *w, struct err *e)
{
    const struct issues_filter *f = w->f;
    const char *sql = ids_in_order(f, e);
    if (!sql || (str_trim(f->query).n && filter_parse(f->query, &w->query, e) < 0))
        return -1;
    sqlite3_stmt *ids = db_stmt(read, sql);
    db_bind_str(ids, 1, f->state.p ? f->state : S("open"));
    db_bind_str(ids, 2, f->app.n ? f->app : (str){0});
    int rc = walk_rows(read, ids, w, e);
    filter_free(w->query);
    return rc;
}

struct printing {
    struct buf *out;
    uint32_t n, limit;
};

static int print_one(void *arg, sqlite3_stmt *st, struct err *e)
{
    struct printing *p = arg;
    (void)e;
    buf_str(p->out, p->n ? S(",") : S(""));
    put_issue(p->out, st);
    buf_byte(p->out, '}');
    return ++p->n == p->limit;
}

int issues_list_json(struct db *read, const struct issues_filter *f, struct buf *out, struct err *e)
{
    struct printing p = {out, 0, f->limit ? f->limit : 100};
    struct walk w = {.f = f, .each = print_one, .arg = &p};
    buf_lit(out, "{\"issues\":[");
    if (walk(read, &w, e) < 0)
        return -1;
    buf_lit(out, "]}");
    return 0;
}

struct telling {
    int (*each)(void *arg, str id, struct err *e);
    void *arg;
};

static int tell_id(void *arg, sqlite3_stmt *st, struct err *e)
{
    struct telling *t = arg;
    return t->each(t->arg, db_str(st, C_ID), e);
}

int issues_each_id(struct db *read, const struct issues_filter *f, int (*each)(void *arg, str id, struct err *e),
                   void *arg, struct err *e)
{
    struct telling t = {each, arg};
    struct walk w = {.f = f, .each = tell_id, .arg = &t};
    return walk(read, &w, e);
}

/* ---- one ---- */
#define OF_GROUP " WHERE issue = ?1 OR issue IN (SELECT id FROM issue WHERE merged_into = ?1)"

/* Rows of a statement about ?1, at most ?2, as a JSON array. */
static int put_rows(struct db *read, const char *name, const char *sql, str id, int limit,
                    void (*put)(struct buf *out, sqlite3_stmt *st), struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, sql);
    int rc, n = 0;
    db_bind_str(st, 1, id);
    sqlite3_bind_int(st, 2, limit);
    buf_printf(out, ",\"%s\":[", name);
    while ((rc = db_step(read, st, e)) > 0) {
        buf_str(out, n++ ? S(",") : S(""));
        put(out, st);
    }
    buf_byte(out, ']');
    return rc;
}

static void put_hour(struct buf *out, sqlite3_stmt *st)
{
    char t[TIME_TEXT_MAX];
    time_print(sqlite3_column_int64(st, 0) * HOUR * NSEC_PER_USEC, 0, t);
    buf_printf(out, "{\"time\":\"%s\",\"count\":%lld}", t, (long long)sqlite3_column_int64(st, 1));
}

static void put_note(struct buf *out, sqlite3_stmt *st)
{
    char t[TIME_TEXT_MAX];
    time_print(sqlite3_column_int64(st, 0) * NSEC_PER_USEC, 6, t);
    buf_printf(out, "{\"time\":\"%s\"", t);
    put_text(out, "by", st, 1);
    put_text(out, "kind", st, 2);
    put_text(out, "text", st, 3);
    buf_byte(out, '}');
}

static void put_sample(struct buf *out, sqlite3_stmt *st) { buf_str(out, db_str(st, 0)); }

static void put_member(struct buf *out, sqlite3_stmt *st)
{
    buf_lit(out, "{\"id\":");
    buf_json(out, db_str(st, 0));
    put_text(out, "title", st, 1);
    put_number(out, "count", st, 2);
    put_text(out, "why", st, 3);
    buf_byte(out, '}');
}

static void put_related(struct buf *out, sqlite3_stmt *st)
{
    buf_lit(out, "{\"id\":");
    buf_json(out, db_str(st, 0));
    put_text(out, "title", st, 1);
    buf_printf(out, ",\"issue\":%s}", sqlite3_column_int(st, 2) ? "true" : "false");
}

static int put_more(struct db *read, str id, struct buf *out, struct err *e)
{
    return put_rows(read, "history",
                    "SELECT hour, sum(count) FROM issue_hour" OF_GROUP " GROUP BY hour ORDER BY hour DESC LIMIT ?2", id,
                    HISTORY_HOURS, put_hour, out, e) < 0 ||
                   put_rows(read, "activity",
                            "SELECT time, who, kind, text FROM issue_note WHERE issue = ?1"
                            " ORDER BY n DESC LIMIT ?2",
                            id, NOTES_TOLD, put_note, out, e) < 0 ||
                   put_rows(read, "samples", "SELECT line FROM issue_sample" OF_GROUP " ORDER BY time LIMIT ?2", id,
                            SAMPLES_TOLD, put_sample, out, e) < 0 ||
                   put_rows(read, "merged",
                            "SELECT id, title, count, why FROM issue WHERE merged_into = ?1"
                            " ORDER BY first_seen LIMIT ?2",
                            id, NOTES_TOLD, put_member, out, e) < 0 ||
                   put_rows(read, "caused_by", causes_of_issue, id, NOTES_TOLD, put_related, out, e) < 0 ||
                   put_rows(read, "causes", issues_of_cause, id, NOTES_TOLD, put_related, out, e) < 0 ||
                   put_rows(read, "same_cause", issues_of_same_cause, id, NOTES_TOLD, put_related, out, e) < 0
               ? -1
               : 0;
}

/* The latest of the samples. */
static int last_line(struct db *read, str id, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT line FROM issue_sample" OF_GROUP " ORDER BY time DESC LIMIT 1");
    db_bind_str(st, 1, id);
    int rc = db_step(read, st, e);
    if (rc > 0) {
        buf_str(out, db_str(st, 0));
        sqlite3_reset(st);
    }
    return rc < 0 ? -1 : 0;
}

int issue_json(struct db *read, str id, struct buf *out, char ret_last_event[EVENT_ID_LEN + 1],
               struct buf *ret_last_line, struct err *e)
{
    char now[17];
    if (id.n == 16 && issue_resolve(read, id, now, e) < 0)
        return -1;
    id = id.n == 16 ? str_of(now) : id;
    sqlite3_stmt *st = db_stmt(read, one_issue);
    db_bind_str(st, 1, id);
    int rc = db_step(read, st, e);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(e, ERR_GONE, "no issue has the id \"%.*s\"", STR_ARG(str_head(id, 40)));
    put_issue(out, st);
    put_text(out, "why", st, C_WHY);
    copy_id(ret_last_event, EVENT_ID_LEN + 1, db_str(st, C_LAST_EVENT));
    sqlite3_reset(st);
    return put_more(read, id, out, e) < 0 ? -1 : last_line(read, id, ret_last_line, e);
}
