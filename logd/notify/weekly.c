/* notify/weekly.c - one mail a week and recipient: the way of alerts works, and what each rule was worth.
 *
 * It goes with the first digest of the day of a week that begins on Monday; that it came is the news, so it comes when nothing
 * else happened too. A rule that was mailed and that nobody ever acted on is named, with what a lower rank would have saved: exact,
 * for below what is mailed all of it goes into the digest of the day. Nothing is changed by itself.
 *
 * What somebody took back does not count as done. */
#include "base/clock.h"
#include "base/str.h"
#include "notify/private.h"

const char notify_schema_weekly[] = "CREATE TABLE weekly(week INTEGER NOT NULL);";

#define WEEK (7 * DAY)
enum { WEEKS = 4, TIMES_MAX = 100, NAMED = 3, FEW_MAILS = 3, ROWS_MAX = 200 };

struct worth { /* of a rule */
    char *rule;
    int64_t fired, mails, incidents, acked, acted, noise; /* of a week */
    int64_t mails_before, acted_before;                   /* of four weeks */
    int rank;                                             /* of its mails, the gravest */
    usec times[TIMES_MAX];                                /* from the first mail to the ack */
    size_t times_n;
};

static struct worth *worth_of(struct map *all, str rule)
{
    struct worth *w = map_get(all, rule);
    if (!w) {
        w = xcalloc(1, sizeof *w);
        w->rule = str_dup(rule);
        map_set(all, rule, w);
    }
    return w;
}

static int by_number(const void *a, const void *b)
{
    const usec *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static usec median(struct worth *w)
{
    qsort(w->times, w->times_n, sizeof w->times[0], by_number);
    return w->times[w->times_n / 2];
}

/* ---- reading ---- */
static int read_fired(struct incidents *in, struct map *all, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT rule, sum(count) FROM strand WHERE last > ? GROUP BY rule");
    int rc;
    sqlite3_bind_int64(st, 1, now - WEEK);
    while ((rc = db_step(in->db, st, e)) > 0)
        worth_of(all, db_str(st, 0))->fired = sqlite3_column_int64(st, 1);
    return rc;
}

static int read_mails(struct incidents *in, struct map *all, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db,
        "SELECT rule, total(created > ?1), count(DISTINCT iif(created > ?1, incident, NULL)), count(*), min(rank)"
        " FROM outbox WHERE created > ?2 AND kind IN ('immediate', 'digest', 'reminder') AND"
        " incident != 'digest' GROUP BY rule");
    int rc;
    sqlite3_bind_int64(st, 1, now - WEEK);
    sqlite3_bind_int64(st, 2, now - WEEKS * WEEK);
    while ((rc = db_step(in->db, st, e)) > 0) {
        struct worth *w = worth_of(all, db_str(st, 0));
        w->mails = sqlite3_column_int64(st, 1);
        w->incidents = sqlite3_column_int64(st, 2);
        w->mails_before = sqlite3_column_int64(st, 3);
        w->rank = sqlite3_column_int(st, 4);
    }
    return rc;
}

static int read_acts(struct incidents *in, struct map *all, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db,
        "SELECT (SELECT rule FROM outbox WHERE incident = d.incident ORDER BY id LIMIT 1) AS r, max(d.time) > ?1,"
        " max(d.verdict = 'noise'), max(d.verdict = 'ack'), min(iif(d.verdict = 'ack', d.time, NULL)) -"
        " (SELECT min(created) FROM outbox WHERE incident = d.incident) FROM decision d WHERE d.time > ?2 AND"
        " d.verdict IN ('ack', 'snooze', 'resolve', 'noise') AND NOT EXISTS (SELECT 1 FROM decision WHERE"
        " incident = d.incident AND verdict = 'undo' AND time >= d.time) GROUP BY d.incident HAVING r != ''");
    int rc;
    sqlite3_bind_int64(st, 1, now - WEEK);
    sqlite3_bind_int64(st, 2, now - WEEKS * WEEK);
    while ((rc = db_step(in->db, st, e)) > 0) {
        struct worth *w = worth_of(all, db_str(st, 0));
        bool of_week = sqlite3_column_int(st, 1), noise = sqlite3_column_int(st, 2), ack = sqlite3_column_int(st, 3);
        w->acted_before += !noise;
        if (!of_week)
            continue;
        w->acted += !noise;
        w->noise += noise;
        w->acked += ack;
        if (ack && w->times_n < TIMES_MAX)
            w->times[w->times_n++] = sqlite3_column_int64(st, 4);
    }
    return rc;
}

/* ---- writing ---- */
static int by_mails(const void *a, const void *b)
{
    struct worth *const *x = a, *const *y = b;
    if ((*x)->mails_before != (*y)->mails_before)
        return (*x)->mails_before < (*y)->mails_before ? 1 : -1;
    return strcmp((*x)->rule, (*y)->rule);
}

static void line_of(struct worth *w, struct buf *out)
{
    buf_printf(out, "%s: fired %lld, mails %lld", w->rule, (long long)w->fired, (long long)w->mails);
    if (w->incidents)
        buf_printf(out, "; of %lld incident%s acknowledged %lld, acted on %lld, noise %lld", (long long)w->incidents,
                   w->incidents == 1 ? "" : "s", (long long)w->acked, (long long)w->acted, (long long)w->noise);
    if (w->times_n)
        buf_printf(out, "; acknowledged after %lld min (median)", (long long)(median(w) / MINUTE));
    buf_byte(out, '\n');
}

static void propose(const struct worth *w, struct buf *out)
{
    buf_printf(out, "%s: %lld mails in %d weeks, and nobody acted on one. ", w->rule, (long long)w->mails_before,
               WEEKS);
    if (w->rank >= 3)
        buf_printf(out,
                   "With \"rank: P4\" instead of P%d: %lld -> 0 mails in that time, all of it in the digest of the day;"
                   " none that was acted on is lost.\n",
                   w->rank, (long long)w->mails_before);
    else
        buf_printf(out, "It is P%d: is that what it should be?\n", w->rank);
}

static void never_fired(struct incidents *in, struct buf *out)
{
    str id;
    size_t n = 0;
    for (size_t i = 0; in->rule_at && in->rule_at(in->rule_arg, i, &id); i++) {
        struct err ignored;
        sqlite3_stmt *st = db_stmt(in->db, "SELECT 1 FROM rule_fired WHERE rule = ?");
        db_bind_str(st, 1, id);
        int rc = db_step(in->db, st, &ignored);
        sqlite3_reset(st);
        if (rc == 0)
            buf_printf(out, "%s%.*s", n++ ? ", " : "Never fired: ", STR_ARG(id));
    }
    if (n)
        buf_lit(out, ".\n");
}

static void report(struct incidents *in, struct map *all, struct buf *out)
{
    struct worth **list = xcalloc(all->n + 1, sizeof *list);
    struct map_slot *slot;
    size_t n = 0, named = 0;
    for (size_t i = 0; (slot = map_next(all, &i));)
        list[n++] = slot->value;
    qsort(list, n, sizeof *list, by_mails);
    buf_lit(out,
            "This mail says that the way of alerts works: it went through the same queue and the same mail server.\n"
            "When it does not come on a Monday, look at logd.\n\nThe rules of the last 7 days:\n\n");
    for (size_t i = 0; i < n && i < ROWS_MAX; i++)
        if (list[i]->fired || list[i]->mails)
            line_of(list[i], out);
    if (n == 0)
        buf_lit(out, "None fired.\n");
    for (size_t i = 0; i < n && named < NAMED; i++)
        if (list[i]->mails_before >= FEW_MAILS && list[i]->acted_before == 0) {
            buf_str(out, named++ ? S("") : S("\nWorth a look:\n\n"));
            propose(list[i], out);
        }
    buf_byte(out, '\n');
    never_fired(in, out);
    free(list);
}

static void map_of_worth_done(struct map *all)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(all, &i));) {
        struct worth *w = slot->value;
        free(w->rule);
        free(w);
    }
    map_done(all);
}

static int send_all(struct incidents *in, str text, usec now, struct err *e)
{
    struct arena a = {0};
    struct buf html = BUF_INIT(110000);
    char at[TIME_TEXT_MAX];
    int rc = 0;
    time_print(now * NSEC_PER_USEC, 0, at);
    buf_lit(&html, "<!doctype html><html lang=\"en\"><body style=\"font:15px/1.45 system-ui,sans-serif;color:#1b1f24;"
                   "background:#ffffff\"><pre style=\"white-space:pre-wrap;overflow-wrap:anywhere\">");
    buf_html(&html, text);
    buf_lit(&html, "</pre></body></html>\n");
    struct outgoing o = {.incident = "weekly",
                         .kind = "weekly",
                         .rule = "weekly",
                         .key = "",
                         .host = "",
                         .event = "",
                         .number = now / MINUTE,
                         .rank = 5,
                         .subject = str_of(arena_printf(&a, "[logd] alerts reach you: the week to %.10s", at)),
                         .text = text,
                         .html = buf_view(&html),
                         .now = now};
    for (size_t i = 0; rc == 0 && i < in->to_n; i++)
        rc = put_in_outbox(in, in->to[i].to, &o, &a, e);
    arena_done(&a);
    buf_done(&html);
    return rc;
}

/* 1: the week that `now` is in has had none yet. The first week of a server counts as had. Weeks begin on Monday; the epoch was a
 * Thursday. */
static int take_week(struct incidents *in, usec now, struct err *e)
{
    int64_t week = (now + 3 * DAY) / WEEK, had = week;
    sqlite3_stmt *st = db_stmt(in->db, "SELECT max(week) FROM weekly");
    int rc = db_step(in->db, st, e);
    bool first = rc > 0 && sqlite3_column_type(st, 0) == SQLITE_NULL;
    if (rc > 0 && !first)
        had = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    if (rc < 0 || (!first && had >= week))
        return rc < 0 ? -1 : 0;
    st = db_stmt(in->db, "INSERT INTO weekly VALUES(?)");
    sqlite3_bind_int64(st, 1, week);
    return db_run(in->db, st, e) < 0 ? -1 : !first;
}

int weekly_due(struct incidents *in, usec now, struct err *e)
{
    int rc = in->signs ? take_week(in, now, e) : 0; /* who only tries rules wants their mails alone */
    if (rc <= 0)
        return rc;
    struct map all = {0};
    struct buf text = BUF_INIT(30000);
    rc = read_fired(in, &all, now, e) < 0 || read_mails(in, &all, now, e) < 0 || read_acts(in, &all, now, e) < 0 ? -1
                                                                                                                 : 0;
    if (rc == 0) {
        report(in, &all, &text);
        rc = send_all(in, buf_view(&text), now, e);
    }
    map_of_worth_done(&all);
    buf_done(&text);
    return rc;
}
