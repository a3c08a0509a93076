/* notify/people.c - what people do to incidents, and what they wish for themselves: actions of the journal.
 *
 * What was last done to an incident can be undone while nothing else happened to it: `undo` keeps what it was before, and its
 * strands know when a person ended them. Signals that were not mailed meanwhile stay counted as suppressed.
 *
 * A contact who wants fewer mails gets what is P1 or P2 all the same, so nobody can be the last one to leave. */
#include "base/clock.h"
#include "base/str.h"
#include "notify/links.h"
#include "notify/private.h"

const char notify_schema_people[] =
    "CREATE TABLE undo(incident TEXT PRIMARY KEY, was TEXT NOT NULL, until INTEGER, owner TEXT, made TEXT NOT NULL,"
    " at INTEGER NOT NULL) WITHOUT ROWID;"
    "ALTER TABLE strand ADD COLUMN ended INTEGER;"
    "CREATE TABLE contact(rcpt TEXT PRIMARY KEY, min INTEGER NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;"
    "ALTER TABLE outbox ADD COLUMN unsubscribe TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX outbox_of ON outbox(incident, id);";

enum { FEWER_MIN = 2, EVERY_MIN = 5 };

/* ---- incidents ---- */

/* What waits for a mail gets none. */
static int drop_held(struct incidents *in, str id, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT total(held) FROM strand WHERE incident = ?");
    db_bind_str(st, 1, id);
    if (db_step(in->db, st, e) < 0)
        return -1;
    int64_t held = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return count_in(in, "pending", -held, e) < 0 || count_in(in, "suppressed", held, e) < 0
               ? -1
               : run_with(in, "UPDATE strand SET held = 0, events = '' WHERE incident = ?", id, e);
}

static int remember(struct incidents *in, str id, str made, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "INSERT OR REPLACE INTO undo SELECT id, state, until, by, ?2, ?3 FROM incident"
                                       " WHERE id = ?1 AND state != 'resolved' AND state != ?2");
    db_bind_str(st, 1, id);
    db_bind_str(st, 2, made);
    sqlite3_bind_int64(st, 3, now);
    return db_run(in->db, st, e);
}

static int end_strands(struct incidents *in, str id, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE strand SET state = 'resolved', due = NULL, ended = ? WHERE incident = ?"
                                       " AND state != 'resolved'");
    sqlite3_bind_int64(st, 1, now);
    db_bind_str(st, 2, id);
    return db_run(in->db, st, e);
}

struct did {
    str incident, what, by, from; /* from: in words, how it came; or empty */
    usec until, now;
};

static int tell(struct incidents *in, const struct did *d, struct err *e)
{
    struct buf reason = BUF_INIT(2000);
    buf_str(&reason, d->by.n ? d->by : S("through the API"));
    if (d->from.n)
        buf_printf(&reason, ", %.*s", STR_ARG(d->from));
    buf_byte(&reason, '\0');
    char *verdict = str_dup(d->what);
    int rc = decide(in, d->incident, d->now, verdict, reason.p, e);
    free(verdict);
    buf_done(&reason);
    return rc;
}

static int change_state(struct incidents *in, const struct did *d, struct err *e)
{
    bool snooze = str_eq(d->what, S("snooze")), ends = !snooze && !str_eq(d->what, S("ack"));
    str made = ends ? S("resolved") : snooze ? S("snoozed") : S("acked");
    if (remember(in, d->incident, made, d->now, e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(
        in->db, "UPDATE incident SET state = ?1, by = ?2, until = ?3 WHERE id = ?4 AND state != 'resolved'");
    db_bind_str(st, 1, made);
    db_bind_str(st, 2, d->by);
    if (snooze)
        sqlite3_bind_int64(st, 3, d->until);
    db_bind_str(st, 4, d->incident);
    if (db_run(in->db, st, e) < 0)
        return -1;
    if (db_changes(in->db) == 0) /* unknown or resolved already, which is no error */
        return 0;
    if (drop_held(in, d->incident, e) < 0 || (ends && end_strands(in, d->incident, d->now, e) < 0))
        return -1;
    return tell(in, d, e);
}

/* 1: its strands live again, or did all the time. 0: something else happened to it since. */
static int revive(struct incidents *in, const struct did *d, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db,
                               "SELECT u.at, u.made = 'resolved' FROM undo u JOIN incident i ON i.id = u.incident"
                               " WHERE i.id = ? AND i.state = u.made");
    db_bind_str(st, 1, d->incident);
    int rc = db_step(in->db, st, e);
    if (rc <= 0)
        return rc;
    usec at = sqlite3_column_int64(st, 0);
    bool ended = sqlite3_column_int(st, 1);
    sqlite3_reset(st);
    if (!ended)
        return 1;
    /* A strand whose key fired again since belongs to a newer incident, and stays ended here. */
    st = db_stmt(in->db, "UPDATE OR IGNORE strand SET state = 'open', ended = NULL, due = ?1 + window"
                         " WHERE incident = ?2 AND ended = ?3 AND state = 'resolved'");
    sqlite3_bind_int64(st, 1, d->now);
    db_bind_str(st, 2, d->incident);
    sqlite3_bind_int64(st, 3, at);
    return db_run(in->db, st, e) < 0 ? -1 : db_changes(in->db) > 0;
}

static int undo(struct incidents *in, const struct did *d, struct err *e)
{
    int rc = revive(in, d, e);
    if (rc <= 0)
        return rc;
    if (run_with(in,
                 "UPDATE incident SET (state, until, by) = (SELECT was, until, owner FROM undo WHERE incident = ?1)"
                 " WHERE id = ?1",
                 d->incident, e) < 0 ||
        run_with(in, "DELETE FROM undo WHERE incident = ?", d->incident, e) < 0)
        return -1;
    return tell(in, d, e);
}

/* ---- contacts ---- */

int contact_min(struct incidents *in, const struct recipient *to, int *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT min FROM contact WHERE rcpt = ?");
    db_bind_str(st, 1, str_of(to->to));
    int rc = db_step(in->db, st, e);
    *ret = rc > 0 && sqlite3_column_int(st, 0) < to->min ? sqlite3_column_int(st, 0) : to->min;
    sqlite3_reset(st);
    return rc < 0 ? -1 : 0;
}

/* The others should know whom they can no longer count on for what is less urgent. */
static int tell_others(struct incidents *in, str who, bool fewer, str from, usec now, struct arena *a, struct err *e)
{
    const char *what = fewer ? "now gets P3 to P5 in the digest of the day only" : "gets mails as before again";
    char *subject = arena_printf(a, "[logd] %.*s %s", STR_ARG(who), what);
    char *text = arena_printf(a, "%.*s %s; P1 and P2 are mailed at once as ever.\n\nIt was asked for %.*s.\n",
                              STR_ARG(who), what, STR_ARG(from));
    for (size_t i = 0; i < in->to_n; i++) {
        struct outgoing o = {.incident = "contact",
                             .kind = "contact",
                             .rule = "",
                             .key = "",
                             .host = "",
                             .event = "",
                             .number = now,
                             .rank = 4,
                             .subject = str_of(subject),
                             .text = str_of(text),
                             .now = now};
        if (!str_eq(str_of(in->to[i].to), who) && put_in_outbox(in, in->to[i].to, &o, a, e) < 0)
            return -1;
    }
    return 0;
}

static int wish(struct incidents *in, str who, bool fewer, str from, usec now, struct err *e)
{
    struct arena a = {0};
    sqlite3_stmt *st = db_stmt(in->db, "INSERT INTO contact VALUES(?1, ?2, ?3) ON CONFLICT(rcpt) DO"
                                       " UPDATE SET min = ?2, since = ?3 WHERE min != ?2");
    db_bind_str(st, 1, who);
    sqlite3_bind_int(st, 2, fewer ? FEWER_MIN : EVERY_MIN);
    sqlite3_bind_int64(st, 3, now);
    if (db_run(in->db, st, e) < 0)
        return -1;
    int rc = db_changes(in->db) ? tell_others(in, who, fewer, from, now, &a, e) : 0; /* wished before: nothing new */
    arena_done(&a);
    return rc;
}

int contact_has_fewer(struct db *read, str address, bool *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT 1 FROM contact WHERE rcpt = ? AND min < ?");
    db_bind_str(st, 1, address);
    sqlite3_bind_int(st, 2, EVERY_MIN);
    int rc = db_step(read, st, e);
    *ret = rc > 0;
    sqlite3_reset(st);
    return rc < 0 ? -1 : 0;
}

/* ---- one action ---- */
static str text_in(json_t *o, const char *name) { return str_of(json_string_value(json_object_get(o, name))); }

int incidents_action(struct incidents *in, str json, usec now, struct err *e)
{
    json_t *o = json_loadb(json.p, json.n, 0, NULL);
    struct did d = {.incident = text_in(o, "incident"),
                    .what = text_in(o, "do"),
                    .by = text_in(o, "by"),
                    .from = text_in(o, "from"),
                    .until = json_integer_value(json_object_get(o, "until")),
                    .now = now};
    str contact = text_in(o, "contact"), silence_end = text_in(o, "silence_end");
    int rc = add_up(in, e);
    if (rc == 0 && json_object_get(o, "silence"))
        rc = silence_apply(in, o, e);
    else if (rc == 0 && silence_end.p)
        rc = run_with(in, "UPDATE silence SET ends = 0 WHERE id = ?", silence_end, e);
    else if (rc == 0 && json_object_get(o, "bounce"))
        rc = bounce_apply(in, o, now, e);
    else if (rc == 0 && contact.p && d.what.p)
        rc = wish(in, contact, str_eq(d.what, S("fewer")), d.from, now, e);
    else if (rc == 0 && d.incident.p && d.what.p)
        rc = str_eq(d.what, S("undo")) ? undo(in, &d, e) : change_state(in, &d, e);
    json_decref(o);
    return rc;
}
