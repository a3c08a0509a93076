/* notify/answers.c - incidents as JSON: each decision with its reason. */
#include "base/clock.h"
#include "base/str.h"
#include "notify/links.h"
#include "notify/notify.h"

int incidents_conservation(struct db *read, struct conservation *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT name, n FROM ledger");
    int rc;
    *ret = (struct conservation){0};
    struct {
        str name;
        uint64_t *n;
    } to[] = {{S("signals"), &ret->signals},
              {S("mailed"), &ret->mailed},
              {S("digested"), &ret->digested},
              {S("suppressed"), &ret->suppressed},
              {S("pending"), &ret->pending}};
    while ((rc = db_step(read, st, e)) > 0)
        for (size_t i = 0; i < LENGTH(to); i++)
            if (str_eq(db_str(st, 0), to[i].name))
                *to[i].n = (uint64_t)sqlite3_column_int64(st, 1);
    return rc;
}

static void put_time(struct buf *out, const char *name, usec at)
{
    char t[TIME_TEXT_MAX];
    time_print(at * NSEC_PER_USEC, 6, t);
    buf_printf(out, ",\"%s\":\"%s\"", name, t);
}

/* An incident with its leading strand: of the highest rank, the first of those. */
#define COLUMNS                                                                                                               \
    "i.id, s.rule, s.key, i.app, i.env, s.title, s.issue, (SELECT min(rank) FROM strand WHERE incident = i.id), i.state,"     \
    " i.opened, (SELECT max(last) FROM strand WHERE incident = i.id), (SELECT sum(count) FROM strand WHERE incident = i.id)," \
    " (SELECT sum(held) FROM strand WHERE incident = i.id), i.mails, i.by, s.why, i.host, i.until, i.storm"
#define MAY_UNDO ", EXISTS (SELECT 1 FROM undo WHERE incident = i.id AND made = i.state)"
#define FROM_INCIDENTS                                                                                                 \
    " FROM incident i JOIN strand s ON s.id ="                                                                         \
    " (SELECT id FROM strand WHERE incident = i.id ORDER BY rank, opened LIMIT 1)"
static void put_incident(struct buf *out, sqlite3_stmt *st)
{
    buf_lit(out, "{\"id\":");
    buf_json(out, db_str(st, 0));
    static const char *const names[] = {"rule", "key", "app", "env", "title", "issue"};
    for (int i = 0; i < (int)LENGTH(names); i++)
        buf_member(out, names[i], db_str(st, i + 1));
    buf_printf(out, ",\"rank\":\"P%d\",\"state\":", sqlite3_column_int(st, 7));
    buf_json(out, db_str(st, 8));
    put_time(out, "opened", sqlite3_column_int64(st, 9));
    put_time(out, "last", sqlite3_column_int64(st, 10));
    buf_printf(out, ",\"signals\":%lld,\"pending\":%lld,\"mails\":%lld", (long long)sqlite3_column_int64(st, 11),
               (long long)sqlite3_column_int64(st, 12), (long long)sqlite3_column_int64(st, 13));
    buf_member(out, "owner", db_str(st, 14));
    buf_member(out, "why", db_str(st, 15));
    buf_member(out, "host", db_str(st, 16));
    if (sqlite3_column_type(st, 17) != SQLITE_NULL)
        put_time(out, "until", sqlite3_column_int64(st, 17));
    if (sqlite3_column_int(st, 18))
        buf_lit(out, ",\"storm\":true");
}

int incidents_list_json(struct db *read, str state, struct buf *out, struct err *e)
{
    static const str states[] = {S("open"), S("acked"), S("snoozed"), S("resolved"), S("all")};
    bool known = !state.n;
    for (size_t i = 0; i < LENGTH(states); i++)
        known |= str_eq(state, states[i]);
    if (!known)
        return err_set(e, ERR_INPUT, "state: expected open, acked, snoozed, resolved or all, got \"%.*s\"",
                       STR_ARG(str_head(state, 40)));
    sqlite3_stmt *st = db_stmt(read, "SELECT " COLUMNS FROM_INCIDENTS
                                     " WHERE ?1 = 'all' OR i.state = ?1 ORDER BY i.joined DESC LIMIT 200");
    db_bind_str(st, 1, state.n ? state : S("all"));
    int rc;
    size_t n = 0;
    buf_lit(out, "{\"incidents\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        if (n++)
            buf_byte(out, ',');
        put_incident(out, st);
        buf_byte(out, '}');
    }
    buf_lit(out, "]}");
    return rc;
}

static int no_incident(str id, struct err *e)
{
    return err_set(e, ERR_GONE, "no incident has the id \"%.*s\"", STR_ARG(str_head(id, 40)));
}

int incident_state(struct db *read, str id, char ret[12], struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT state FROM incident WHERE id = ?");
    db_bind_str(st, 1, id);
    int rc = db_step(read, st, e);
    if (rc <= 0)
        return rc < 0 ? -1 : no_incident(id, e);
    snprintf(ret, 12, "%.*s", STR_ARG(db_str(st, 0)));
    sqlite3_reset(st);
    return 0;
}

/* Why is there no mail? What is held has no verdict yet: this is the one it will get, and when. */
static int put_held(struct db *read, str id, bool first, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT total(held), min(due), min(mails), max(last) FROM strand"
                                     " WHERE incident = ? AND held > 0 AND due IS NOT NULL HAVING total(held) > 0");
    db_bind_str(st, 1, id);
    int rc = db_step(read, st, e);
    if (rc <= 0)
        return rc;
    char until[TIME_TEXT_MAX], last[TIME_TEXT_MAX];
    long long held = sqlite3_column_int64(st, 0);
    time_print(sqlite3_column_int64(st, 1) * NSEC_PER_USEC, 0, until);
    time_print(sqlite3_column_int64(st, 3) * NSEC_PER_USEC, 6, last);
    buf_printf(
        out,
        "%s{\"time\":\"%s\",\"verdict\":\"held\",\"reason\":\"%lld signal%s held in the window until %s, then %s\"}",
        first ? "" : ",", last, held, held == 1 ? "" : "s", until,
        sqlite3_column_int64(st, 2) ? "one digest" : "the first mail");
    sqlite3_reset(st);
    return 0;
}

static int put_decisions(struct db *read, str id, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        read, "SELECT time, verdict, reason FROM decision WHERE incident = ? ORDER BY time LIMIT 1000");
    int rc;
    size_t n = 0;
    db_bind_str(st, 1, id);
    buf_lit(out, ",\"decisions\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        char t[TIME_TEXT_MAX];
        time_print(sqlite3_column_int64(st, 0) * NSEC_PER_USEC, 6, t);
        buf_printf(out, "%s{\"time\":\"%s\"", n++ ? "," : "", t);
        buf_member(out, "verdict", db_str(st, 1));
        buf_member(out, "reason", db_str(st, 2));
        buf_byte(out, '}');
    }
    if (rc == 0)
        rc = put_held(read, id, n == 0, out, e);
    buf_byte(out, ']');
    return rc;
}

/* Each kind of signal in it. */
static int put_strands(struct db *read, str id, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        read, "SELECT rule, key, title, issue, host, detail, points, event_id, state, rank, opened, last, count, held"
              " FROM strand WHERE incident = ? ORDER BY rank, opened LIMIT 100");
    static const char *const names[] = {"key", "title", "issue", "host", "detail", "points", "event", "state"};
    int rc;
    size_t n = 0;
    db_bind_str(st, 1, id);
    buf_lit(out, ",\"kinds\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        buf_str(out, n++ ? S(",{\"rule\":") : S("{\"rule\":"));
        buf_json(out, db_str(st, 0));
        for (int i = 0; i < (int)LENGTH(names); i++)
            buf_member(out, names[i], db_str(st, i + 1));
        buf_printf(out, ",\"rank\":\"P%d\"", sqlite3_column_int(st, 9));
        put_time(out, "opened", sqlite3_column_int64(st, 10));
        put_time(out, "last", sqlite3_column_int64(st, 11));
        buf_printf(out, ",\"signals\":%lld,\"pending\":%lld}", (long long)sqlite3_column_int64(st, 12),
                   (long long)sqlite3_column_int64(st, 13));
    }
    buf_byte(out, ']');
    return rc;
}

static int put_mails(struct db *read, str id, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read,
                               "SELECT rcpt, kind, subject, message_id, status, response, created, tries FROM outbox"
                               " WHERE incident = ? ORDER BY id LIMIT 1000");
    static const char *const names[] = {"kind", "subject", "message_id", "status", "response"};
    int rc;
    size_t n = 0;
    db_bind_str(st, 1, id);
    buf_lit(out, ",\"mails_sent\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        buf_str(out, n++ ? S(",{\"to\":") : S("{\"to\":"));
        buf_json(out, db_str(st, 0));
        for (int i = 0; i < (int)LENGTH(names); i++)
            buf_member(out, names[i], db_str(st, i + 1));
        put_time(out, "created", sqlite3_column_int64(st, 6));
        buf_printf(out, ",\"tries\":%d}", sqlite3_column_int(st, 7));
    }
    buf_byte(out, ']');
    return rc;
}

int incident_json(struct db *read, str id, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT " COLUMNS MAY_UNDO FROM_INCIDENTS " WHERE i.id = ?");
    db_bind_str(st, 1, id);
    int rc = db_step(read, st, e);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return no_incident(id, e);
    put_incident(out, st);
    if (sqlite3_column_int(st, 19))
        buf_lit(out, ",\"undo\":true");
    sqlite3_reset(st);
    rc = put_strands(read, id, out, e) < 0 || put_decisions(read, id, out, e) < 0 || put_mails(read, id, out, e) < 0
             ? -1
             : 0;
    buf_byte(out, '}');
    return rc;
}

/* ---- for links in mails ---- */

int incident_glance(struct db *read, str id, struct arena *a, struct incident_glance *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT " COLUMNS MAY_UNDO FROM_INCIDENTS " WHERE i.id = ?");
    db_bind_str(st, 1, id);
    int rc = db_step(read, st, e);
    if (rc <= 0)
        return rc < 0 ? -1 : no_incident(id, e);
    *ret = (struct incident_glance){.rule = arena_str(a, db_str(st, 1)),
                                    .app = arena_str(a, db_str(st, 3)),
                                    .env = arena_str(a, db_str(st, 4)),
                                    .title = arena_str(a, db_str(st, 5)),
                                    .rank = sqlite3_column_int(st, 7),
                                    .state = arena_str(a, db_str(st, 8)),
                                    .opened = sqlite3_column_int64(st, 9),
                                    .signals = sqlite3_column_int64(st, 11),
                                    .owner = arena_str(a, db_str(st, 14)),
                                    .undo = sqlite3_column_int(st, 19)};
    sqlite3_reset(st);
    return 0;
}

int incident_reader(struct db *read, str id, const uint8_t key[32], str who, struct arena *a, str *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT DISTINCT rcpt FROM outbox WHERE incident = ?");
    int rc;
    db_bind_str(st, 1, id);
    *ret = (str){0};
    while ((rc = db_step(read, st, e)) > 0) {
        char is[LINK_WHO_LEN + 1];
        link_who(key, db_str(st, 0), is);
        if (str_eq(str_of(is), who))
            *ret = arena_str(a, db_str(st, 0));
    }
    return rc;
}
