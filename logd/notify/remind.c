/* notify/remind.c - what was mailed and nobody acknowledged is said again, ever more rarely, and to more people.
 *
 *   P1   after 15 and 45 minutes, 2, 6 and 24 hours       P2   after 1, 4 and 24 hours       P3 and below   never
 *
 * counted from the first mail of that rank. A recipient with `after` in the config is told of a P1 when it is unacknowledged
 * for so long, and of nothing else; from then on he gets what the others get of it. A reminder that would follow another mail
 * about the incident within ten minutes is passed over. While an incident is acknowledged or snoozed its times run, and all
 * that passed come as one when it is open again. A row lives until its incident has ended, so a restart repeats and forgets
 * nothing. Reminders bring no signals: the sum of those does not know them. */
#include "base/str.h"
#include "notify/private.h"

const char notify_schema_reminders[] =
    "CREATE TABLE reminder(incident TEXT PRIMARY KEY, rank INTEGER NOT NULL, told INTEGER NOT NULL, steps INTEGER NOT NULL,"
    " escalated INTEGER NOT NULL, mails INTEGER NOT NULL, due INTEGER) WITHOUT ROWID;"
    "CREATE INDEX reminder_due ON reminder(due) WHERE due IS NOT NULL;";

#define JUST_NOW (10 * MINUTE)
#define NUMBER 1000000 /* of a mail within its incident: other mails count from 0 */
enum { STEPS = 5 };
static const usec steps[2][STEPS] = {{15 * MINUTE, 45 * MINUTE, 2 * HOUR, 6 * HOUR, 24 * HOUR},
                                     {1 * HOUR, 4 * HOUR, 24 * HOUR, INT64_MAX, INT64_MAX}};

struct reminder {
    char incident[17];
    int rank, steps; /* steps: that are over */
    usec told;
    usec escalated; /* recipients whose `after` is not longer were told */
    int64_t mails;
    usec last_mail; /* of the incident */
};

/* When there is next something to do; INT64_MAX: never. */
static usec next_of(const struct incidents *in, const struct reminder *r)
{
    usec step = r->steps < STEPS ? steps[r->rank - 1][r->steps] : INT64_MAX;
    for (size_t i = 0; r->rank == 1 && i < in->to_n; i++)
        if (in->to[i].after > r->escalated && in->to[i].after < step)
            step = in->to[i].after;
    return step == INT64_MAX ? INT64_MAX : r->told + step;
}

static int save(struct incidents *in, const struct reminder *r, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE reminder SET steps = ?2, escalated = ?3, mails = ?4, due = ?5"
                                       " WHERE incident = ?1");
    usec due = next_of(in, r);
    db_bind_str(st, 1, str_of(r->incident));
    sqlite3_bind_int(st, 2, r->steps);
    sqlite3_bind_int64(st, 3, r->escalated);
    sqlite3_bind_int64(st, 4, r->mails);
    if (due != INT64_MAX)
        sqlite3_bind_int64(st, 5, due);
    return db_run(in->db, st, e);
}

int remind_begin(struct incidents *in, const char *incident, int rank, usec now, struct err *e)
{
    struct reminder r = {.rank = rank, .told = now};
    if (rank > 2)
        return 0;
    sqlite3_stmt *st = db_stmt(in->db, "INSERT INTO reminder VALUES(?1, ?2, ?3, 0, 0, 0, ?4) ON CONFLICT(incident) DO"
                                       " UPDATE SET rank = ?2, told = ?3, steps = 0, due = ?4 WHERE rank > ?2");
    db_bind_str(st, 1, str_of(incident));
    sqlite3_bind_int(st, 2, rank);
    sqlite3_bind_int64(st, 3, now);
    sqlite3_bind_int64(st, 4, next_of(in, &r));
    return db_run(in->db, st, e);
}

int remind_escalated(struct incidents *in, const char *incident, usec *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT escalated FROM reminder WHERE incident = ?");
    db_bind_str(st, 1, str_of(incident));
    int rc = db_step(in->db, st, e);
    *ret = rc > 0 ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return rc < 0 ? -1 : 0;
}

static int load(struct incidents *in, usec now, struct reminder *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db, "SELECT r.incident, r.rank, r.steps, r.told, r.escalated, r.mails, i.last_mail FROM reminder r"
                " JOIN incident i ON i.id = r.incident WHERE r.due <= ? AND i.state = 'open' ORDER BY r.due LIMIT 1");
    sqlite3_bind_int64(st, 1, now);
    int rc = db_step(in->db, st, e);
    if (rc <= 0)
        return rc;
    *ret = (struct reminder){.rank = sqlite3_column_int(st, 1),
                             .steps = sqlite3_column_int(st, 2),
                             .told = sqlite3_column_int64(st, 3),
                             .escalated = sqlite3_column_int64(st, 4),
                             .mails = sqlite3_column_int64(st, 5),
                             .last_mail = sqlite3_column_int64(st, 6)};
    snprintf(ret->incident, sizeof ret->incident, "%.*s", STR_ARG(db_str(st, 0)));
    sqlite3_reset(st);
    return 1;
}

static const char *how_long(usec d, struct arena *a)
{
    long long minutes = (long long)(d / MINUTE);
    if (minutes < 120)
        return arena_printf(a, "%lld minutes", minutes);
    return arena_printf(a, "%lld hours", minutes / 60);
}

/* The mail to each whose turn it is; *ret_n: how many. */
static int send(struct incidents *in, const struct reminder *r, const struct strand *s, bool all, usec now, int *ret_n,
                struct arena *a, struct err *e)
{
    const char *unacked = how_long(now - r->told, a);
    struct again what = {.kind = "reminder", .rank = r->rank, .number = NUMBER + r->mails, .unacked = unacked};
    for (size_t i = 0; i < in->to_n; i++) {
        const struct recipient *to = &in->to[i];
        int min;
        if (contact_min(in, to, &min, e) < 0)
            return -1;
        bool his = to->after <= now - r->told && (to->after == 0 || r->rank == 1) && r->rank <= min;
        if (!his || (!all && to->after <= r->escalated) || is_about_troubles_of(in, s, to->to))
            continue;
        if (tell_again(in, s, to->to, &what, now, a, e) < 0)
            return -1;
        ++*ret_n;
    }
    return 0;
}

static int remind(struct incidents *in, struct reminder *r, const struct strand *s, usec now, struct arena *a,
                  struct err *e)
{
    const char *why = NULL;
    usec over = now - r->told;
    int before = r->steps, n = 0;
    while (r->steps < STEPS && steps[r->rank - 1][r->steps] <= over)
        r->steps++;
    int silent = silence_of(in, s, now, &why, a, e);
    if (silent < 0)
        return -1;
    if (silent) /* a recipient whose turn came meanwhile has it when the next reminder is due */
        why = arena_printf(a, "no reminder: %s", why);
    else if (send(in, r, s, r->steps > before && now - r->last_mail >= JUST_NOW, now, &n, a, e) < 0)
        return -1;
    else if (n)
        why = arena_printf(a, "not acknowledged for %s: said again to %d recipient%s", how_long(over, a), n,
                           n == 1 ? "" : "s");
    r->mails += n > 0;
    r->escalated = over;
    return save(in, r, e) < 0 || (why && decide(in, str_of(r->incident), now, silent ? "held" : "reminded", why, e) < 0)
               ? -1
               : 0;
}

int remind_due(struct incidents *in, usec now, struct err *e)
{
    struct arena a = {0};
    int rc;
    do {
        struct reminder r;
        struct strand s = {0};
        rc = load(in, now, &r, e);
        if (rc > 0)
            rc = load_worst(in, r.incident, &s, e);
        if (rc > 0)
            rc = remind(in, &r, &s, now, &a, e) < 0 ? -1 : 1;
        strand_done(&s);
        arena_reset(&a);
    } while (rc > 0);
    arena_done(&a);
    sqlite3_stmt *st = db_stmt(in->db, "DELETE FROM reminder WHERE due <= ? AND EXISTS"
                                       " (SELECT 1 FROM incident WHERE id = reminder.incident AND state = 'resolved')");
    sqlite3_bind_int64(st, 1, now);
    return rc < 0 ? -1 : db_run(in->db, st, e);
}

int remind_next(struct incidents *in, usec *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT min(r.due) FROM reminder r JOIN incident i ON i.id = r.incident"
                                       " WHERE r.due IS NOT NULL AND i.state = 'open'");
    if (db_step(in->db, st, e) < 0)
        return -1;
    *ret = sqlite3_column_type(st, 0) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}
