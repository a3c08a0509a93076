/* notify/flush.c - what falls due: a mail now, in the digest of the day, later, or none; and why.
 *
 *   a strand's time has come
 *     nothing held               its window was quiet: resolved; with the last strand the incident is (a mail for P1, P2)
 *     a silence                  counted as suppressed
 *     a rule it is inhibited by  is open for the same host: later, and not at all when it ends before
 *     third issue, second rule   and later ones are gathered: 5 minutes after the last mail, then 15, 45 ...; a higher rank
 *                                breaks this
 *     opened 5 times in 24 h     flapping: into the digest of the day
 *   for each recipient
 *     below his rank             into his digest of the day (P5: counted only)
 *     budget (12 mails, one more every two hours): P1 is free, P2 takes one, P3 leaves half of it to others. P2 waits for the
 *     next one, P3 goes into the digest of the day
 *
 * What waits in other strands of the incident goes along with the mail. Outbox rows are inserted in the transaction that moves the
 * fold's position. */
#include "base/str.h"
#include "notify/body.h"
#include "notify/private.h"

#define SOON (30 * USEC_PER_SEC)
#define WINDOW_MAX DAY
#define MOMENT (3 * USEC_PER_SEC)
#define GAP (5 * MINUTE)
#define GAP_MAX (4 * HOUR)
#define REFILL (2 * HOUR)
#define LATER (30 * MINUTE)
enum { AT_ONCE = 2, FEW = 8, FLAPS = 5, OTHERS_MAX = 20 };
static const double budget_max = 12;

void strand_done(struct strand *s)
{
    char *all[] = {s->rule,  s->key,   s->why,    s->run,          s->detail, s->app,      s->env,   s->host,
                   s->title, s->issue, s->points, s->inhibited_by, s->event,  s->event_id, s->events};
    for (size_t i = 0; i < LENGTH(all); i++)
        free(all[i]);
}

/* ---- reading ---- */
#define STRAND                                                                                                          \
    "SELECT s.id, s.incident, s.rule, s.key, s.why, s.run, s.detail, s.app, s.env, s.host, s.title, s.issue, s.points," \
    " s.inhibited_by, s.event, s.event_id, s.events, s.rank, s.opened, s.last, s.window, s.count, s.held, s.mails,"     \
    " i.state, i.mailed_rank, i.last_mail, i.next_kind, i.mails FROM strand s JOIN incident i ON i.id = s.incident "

static int load(struct incidents *in, sqlite3_stmt *st, struct strand *s, struct err *e)
{
    int rc = db_step(in->db, st, e);
    if (rc <= 0)
        return rc;
    snprintf(s->id, sizeof s->id, "%.*s", STR_ARG(db_str(st, 0)));
    snprintf(s->incident, sizeof s->incident, "%.*s", STR_ARG(db_str(st, 1)));
    char **texts[] = {&s->rule,  &s->key,   &s->why,    &s->run,          &s->detail, &s->app,      &s->env,   &s->host,
                      &s->title, &s->issue, &s->points, &s->inhibited_by, &s->event,  &s->event_id, &s->events};
    int64_t *numbers[] = {&s->opened, &s->last, &s->window, &s->count, &s->held, &s->mails};
    for (int i = 0; i < (int)LENGTH(texts); i++)
        *texts[i] = str_dup(db_str(st, i + 2));
    s->rank = sqlite3_column_int(st, 17);
    for (int i = 0; i < (int)LENGTH(numbers); i++)
        *numbers[i] = sqlite3_column_int64(st, i + 18);
    snprintf(s->of.state, sizeof s->of.state, "%.*s", STR_ARG(db_str(st, 24)));
    s->of.rank = sqlite3_column_int(st, 25);
    s->of.last_mail = sqlite3_column_int64(st, 26);
    s->of.next_kind = sqlite3_column_int64(st, 27);
    s->of.mails = sqlite3_column_int64(st, 28);
    sqlite3_reset(st);
    return 1;
}

static int load_due(struct incidents *in, usec now, struct strand *s, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, STRAND "WHERE s.due <= ? AND s.due IS NOT NULL ORDER BY s.due, s.rank LIMIT 1");
    sqlite3_bind_int64(st, 1, now);
    return load(in, st, s, e);
}

int load_worst(struct incidents *in, const char *incident, struct strand *s, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, STRAND "WHERE s.incident = ? AND s.mails > 0 AND s.state != 'resolved'"
                                              " ORDER BY s.rank, s.opened LIMIT 1");
    db_bind_str(st, 1, str_of(incident));
    return load(in, st, s, e);
}

static int count_of(struct incidents *in, sqlite3_stmt *st, int64_t *ret, struct err *e)
{
    int rc = db_step(in->db, st, e);
    *ret = rc > 0 ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return rc < 0 ? -1 : 0;
}

/* An open strand of a rule that this one is inhibited by, for its host, or for all when one of them has none. */
static int is_inhibited(struct incidents *in, const struct strand *s, str *ret_rule, struct arena *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db, "SELECT rule FROM strand WHERE state != 'resolved' AND id != ?1 AND held + mails > 0 AND"
                " instr(' ' || ?2 || ' ', ' ' || rule || ' ') AND (host = ?3 OR host = '' OR ?3 = '') LIMIT 1");
    if (!s->inhibited_by[0])
        return 0;
    db_bind_str(st, 1, str_of(s->id));
    db_bind_str(st, 2, str_of(s->inhibited_by));
    db_bind_str(st, 3, str_of(s->host));
    int rc = db_step(in->db, st, e);
    if (rc > 0) {
        *ret_rule = arena_str(a, db_str(st, 0));
        sqlite3_reset(st);
    }
    return rc;
}

static int flips(struct incidents *in, const struct strand *s, usec now, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT count(*) FROM strand WHERE rule = ? AND key = ? AND opened > ?");
    db_bind_str(st, 1, str_of(s->rule));
    db_bind_str(st, 2, str_of(s->key));
    sqlite3_bind_int64(st, 3, now - DAY);
    return count_of(in, st, ret, e);
}

/* ---- writing ---- */

/* What a mail speaks of: the strand that fell due, and what waits with it. */
struct batch_of {
    const struct strand *first;
    int rank;
    int64_t held, count, n;
    struct buf others; /* a line each */
    struct buf events; /* ids */
    bool digest;
    usec now;
};

static int postpone(struct incidents *in, const struct strand *s, usec due, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE strand SET due = ? WHERE id = ?");
    sqlite3_bind_int64(st, 1, due);
    db_bind_str(st, 2, str_of(s->id));
    return db_run(in->db, st, e);
}

static int gather(struct incidents *in, struct batch_of *b, struct err *e)
{
    const struct strand *s = b->first;
    sqlite3_stmt *st = db_stmt(in->db,
                               "SELECT rank, title, rule, held, count, events FROM strand WHERE incident = ?1 AND"
                               " held > 0 AND (due <= ?2 OR mails = 0) ORDER BY id != ?3, rank, opened LIMIT 20000");
    int rc;
    db_bind_str(st, 1, str_of(s->incident));
    sqlite3_bind_int64(st, 2, b->now + SOON);
    db_bind_str(st, 3, str_of(s->id));
    while ((rc = db_step(in->db, st, e)) > 0) {
        int rank = sqlite3_column_int(st, 0);
        b->rank = b->n == 0 || rank < b->rank ? rank : b->rank;
        b->held += sqlite3_column_int64(st, 3);
        b->count += sqlite3_column_int64(st, 4);
        str ids = db_str(st, 5);
        if (b->events.n + ids.n < EVENTS_MAX * (EVENT_ID_LEN + 1))
            buf_str(&b->events, ids);
        if (b->n > 0 && b->n <= OTHERS_MAX)
            buf_printf(&b->others, "P%d %.*s (%.*s), %lld\n", rank, STR_ARG(str_head(db_str(st, 1), 300)),
                       STR_ARG(db_str(st, 2)), (long long)sqlite3_column_int64(st, 3));
        b->n++;
    }
    if (b->n > OTHERS_MAX + 1)
        buf_printf(&b->others, "and %lld more\n", (long long)(b->n - OTHERS_MAX - 1));
    return rc;
}

/* An issue that was mailed needs no second mail because another rule speaks of it too. */
static int is_told(struct incidents *in, const struct strand *s, bool *ret, struct err *e)
{
    int64_t n = 0;
    sqlite3_stmt *st = db_stmt(
        in->db,
        "SELECT count(*) FROM strand INDEXED BY strand_issue WHERE incident = ? AND issue = ? AND issue != '' AND mails > 0 AND rank <= ?");
    db_bind_str(st, 1, str_of(s->incident));
    db_bind_str(st, 2, str_of(s->issue));
    sqlite3_bind_int(st, 3, s->rank);
    int rc = s->issue[0] && s->mails == 0 ? count_of(in, st, &n, e) : 0;
    *ret = n > 0;
    return rc;
}

/* Tokens of a recipient, refilled; takes one when `take`. */
static int tokens(struct incidents *in, const char *to, bool take, usec now, double *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT min(?2, tokens + max(0, ?3 - at) / ?4) FROM budget WHERE rcpt = ?1");
    db_bind_str(st, 1, str_of(to));
    sqlite3_bind_double(st, 2, budget_max);
    sqlite3_bind_int64(st, 3, now);
    sqlite3_bind_double(st, 4, (double)REFILL);
    int rc = db_step(in->db, st, e);
    *ret = rc > 0 ? sqlite3_column_double(st, 0) : budget_max;
    sqlite3_reset(st);
    if (rc < 0 || !take)
        return rc < 0 ? -1 : 0;
    st = db_stmt(in->db, "INSERT OR REPLACE INTO budget VALUES(?, ?, ?)");
    db_bind_str(st, 1, str_of(to));
    sqlite3_bind_double(st, 2, *ret - 1);
    sqlite3_bind_int64(st, 3, now);
    return db_run(in->db, st, e);
}

static int put_in_digest(struct incidents *in, const char *to, const struct batch_of *b, const char *reason,
                         struct err *e)
{
    const struct strand *s = b->first;
    sqlite3_stmt *st = db_stmt(in->db, "INSERT INTO digest_item VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    db_bind_str(st, 1, str_of(to));
    sqlite3_bind_int64(st, 2, b->now);
    sqlite3_bind_int(st, 3, b->rank);
    db_bind_str(st, 4, str_of(s->incident));
    db_bind_str(st, 5, str_of(s->rule));
    db_bind_str(st, 6, str_of(s->title));
    sqlite3_bind_int64(st, 7, b->held);
    db_bind_str(st, 8, str_of(reason));
    return db_run(in->db, st, e);
}

struct composed {
    struct buf subject, text, html;
};

static void compose(struct incidents *in, const struct batch_of *b, const struct again *again, struct arena *a,
                    struct composed *ret)
{
    bool resolved = again && !again->unacked;
    const struct strand *s = b->first;
    struct event *ev = NULL;
    struct err ignored;
    struct mail_facts facts = {0};
    bool known = in->facts && in->facts(in->db, str_of(s->issue), str_of(s->app), b->now, &facts, a, &ignored) == 0;
    if (s->event[0]) {
        ev = arena_alloc(a, sizeof *ev);
        if (event_read(str_of(s->event), ev, a, &ignored) < 0)
            ev = NULL;
    }
    struct mail_body body = {.rank = b->rank,
                             .rule = str_of(s->rule),
                             .why = str_of(s->why),
                             .run = str_of(s->run),
                             .detail = again && again->unacked
                                           ? str_of(arena_printf(a, "not acknowledged for %s%s%s", again->unacked,
                                                                 s->detail[0] ? "; " : "", s->detail))
                                           : str_of(s->detail),
                             .points = str_of(s->points),
                             .key = str_of(s->key),
                             .title = str_of(s->title),
                             .app = str_of(s->app),
                             .env = str_of(s->env),
                             .issue = str_of(s->issue),
                             .incident = str_of(s->incident),
                             .url = str_of(in->url),
                             .acts = in->signs && !resolved,
                             .others = buf_view(&b->others),
                             .opened = s->opened,
                             .resolved = resolved ? b->now : 0,
                             .held = b->digest ? (uint64_t)b->held : 0,
                             .count = (uint64_t)b->count,
                             .event = ev,
                             .facts = known ? &facts : NULL};
    body_subject(&(struct mail_subject){b->rank, body.app, body.env, body.title, body.rule}, b->digest || again,
                 &ret->subject);
    body_text(&body, a, &ret->text);
    body_html(&body, a, &ret->html);
}

static int send_to(struct incidents *in, const char *to, const struct batch_of *b, const char *kind, int64_t number,
                   const struct composed *c, struct arena *a, struct err *e)
{
    const struct strand *s = b->first;
    struct outgoing o = {.incident = s->incident,
                         .kind = kind,
                         .rule = s->rule,
                         .key = s->key,
                         .signals = b->held,
                         .host = s->host,
                         .event = s->event_id,
                         .number = number,
                         .rank = b->rank,
                         .subject = buf_view(&c->subject),
                         .text = buf_view(&c->text),
                         .html = buf_view(&c->html),
                         .events = buf_view(&b->events),
                         .now = b->now};
    return put_in_outbox(in, to, &o, a, e);
}

/* ---- who gets it ---- */
struct fates {
    int mailed, digested, later;
    usec escalated; /* who is told after so long is told now */
};

static int deliver(struct incidents *in, const struct batch_of *b, const struct composed *c, struct fates *f,
                   struct arena *a, struct err *e)
{
    for (size_t i = 0; i < in->to_n; i++) {
        const char *to = in->to[i].to;
        double left = budget_max;
        int min;
        if (is_about_troubles_of(in, b->first, to) || (in->to[i].after && in->to[i].after > f->escalated))
            continue;
        if (contact_min(in, &in->to[i], &min, e) < 0)
            return -1;
        if (b->rank > min) {
            bool told = b->rank < 5 && in->to[i].digests;
            if (told && put_in_digest(in, to, b, "its rank is below what is mailed", e) < 0)
                return -1;
            f->digested += told;
            continue;
        }
        if (b->rank > 1 && tokens(in, to, false, b->now, &left, e) < 0)
            return -1;
        if (b->rank == 2 && left < 1) {
            f->later++;
        } else if (b->rank > 2 && left < budget_max / 2) {
            if (put_in_digest(in, to, b, "the budget of mails is used up", e) < 0)
                return -1;
            f->digested++;
        } else {
            if ((b->rank > 1 && !b->digest && tokens(in, to, true, b->now, &left, e) < 0) ||
                send_to(in, to, b, b->digest ? "digest" : "immediate", b->first->of.mails, c, a, e) < 0)
                return -1;
            f->mailed++;
        }
    }
    return 0;
}

/* The strands that went along: counted from here again, with a window that follows a digest twice as long. */
static int settle_strands(struct incidents *in, const struct batch_of *b, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db,
                               "UPDATE strand SET held = 0, events = '', mails = mails + 1,"
                               " window = CASE WHEN mails = 0 THEN window ELSE max(window, min(window * 2, ?4)) END,"
                               " due = ?2 + CASE WHEN mails = 0 THEN window ELSE max(window, min(window * 2, ?4)) END"
                               " WHERE incident = ?1 AND held > 0 AND (due <= ?3 OR mails = 0)");
    db_bind_str(st, 1, str_of(b->first->incident));
    sqlite3_bind_int64(st, 2, b->now);
    sqlite3_bind_int64(st, 3, b->now + SOON);
    sqlite3_bind_int64(st, 4, WINDOW_MAX);
    return db_run(in->db, st, e);
}

static int settle_incident(struct incidents *in, const struct batch_of *b, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db, "UPDATE incident SET mails = mails + 1, last_mail = ?2, mailed_rank = min(mailed_rank, ?3),"
                " gap = CASE WHEN ?4 THEN gap WHEN mails < ?5 THEN ?6 ELSE min(?7, gap * 3) END,"
                " next_kind = CASE WHEN ?4 THEN next_kind WHEN mails < ?5 THEN ?2 + ?6 ELSE ?2 + min(?7, gap * 3) END"
                " WHERE id = ?1");
    db_bind_str(st, 1, str_of(b->first->incident));
    sqlite3_bind_int64(st, 2, b->now);
    sqlite3_bind_int(st, 3, b->rank);
    sqlite3_bind_int(st, 4, b->digest);
    sqlite3_bind_int(st, 5, AT_ONCE);
    sqlite3_bind_int64(st, 6, GAP);
    sqlite3_bind_int64(st, 7, GAP_MAX);
    return db_run(in->db, st, e);
}

/* In words, with the terms: "first mail to 1 recipient, 3 signals; 44 points: error 22, never seen 22". */
static const char *reason_of(struct incidents *in, const struct batch_of *b, const struct fates *f, struct arena *a)
{
    const struct strand *s = b->first;
    const char *points = s->points[0] ? arena_printf(a, "; %s", s->points) : "";
    const char *held = arena_printf(a, "%lld signal%s", (long long)b->held, b->held == 1 ? "" : "s");
    if (f->mailed)
        return arena_printf(a, "%s to %d recipient%s, %s%s",
                            b->digest     ? "digest"
                            : s->of.mails ? "more of it"
                                          : "first mail",
                            f->mailed, f->mailed == 1 ? "" : "s", held, points);
    if (f->digested)
        return arena_printf(a, "P%d, %s: in the digest of the day%s", b->rank, held, points);
    if (in->to_n == 0)
        return "no mail or no recipient is configured";
    return arena_printf(a, "rank P%d is below what every recipient asked for%s", b->rank, points);
}

static int settle_batch(struct incidents *in, const struct batch_of *b, const struct fates *f, struct arena *a,
                        struct err *e)
{
    const char *verdict = f->mailed ? b->digest ? "digested" : "mailed" : f->digested ? "digested" : "suppressed";
    if (count_in(in, verdict, b->held, e) < 0 || count_in(in, "pending", -b->held, e) < 0 ||
        settle_strands(in, b, e) < 0 || settle_incident(in, b, e) < 0 ||
        (f->mailed && !b->digest && remind_begin(in, b->first->incident, b->rank, b->now, e) < 0))
        return -1;
    return decide(in, str_of(b->first->incident), b->now, verdict, reason_of(in, b, f, a), e);
}

static int flush(struct incidents *in, const struct strand *s, bool told, bool flapping, usec now, struct arena *a,
                 struct err *e)
{
    struct batch_of b = {.first = s,
                         .digest = s->mails > 0 || told,
                         .now = now,
                         .others = BUF_INIT(20000),
                         .events = BUF_INIT(2 * EVENTS_MAX * (EVENT_ID_LEN + 1))};
    struct composed c = {BUF_INIT(1000), BUF_INIT(60000), BUF_INIT(100000)};
    struct fates f = {0};
    int rc = gather(in, &b, e) < 0 || remind_escalated(in, s->incident, &f.escalated, e) < 0 ? -1 : 0;
    for (size_t i = 0; rc == 0 && flapping && i < in->to_n; i++, f.digested++)
        rc = in->to[i].after ? 0 : put_in_digest(in, in->to[i].to, &b, "it comes and goes", e);
    if (rc == 0 && !flapping) {
        compose(in, &b, NULL, a, &c);
        rc = deliver(in, &b, &c, &f, a, e);
    }
    if (rc == 0 && f.later && !f.mailed && !f.digested) {
        rc = postpone(in, s, now + LATER, e) < 0 ||
                     decide(in, str_of(s->incident), now, "held",
                            "the budget of mails is used up, again in half an hour", e) < 0
                 ? -1
                 : 0;
    } else if (rc == 0) {
        rc = settle_batch(in, &b, &f, a, e);
    }
    buf_done(&b.others);
    buf_done(&b.events);
    buf_done(&c.subject);
    buf_done(&c.text);
    buf_done(&c.html);
    return rc;
}

/* ---- the end ---- */

int tell_again(struct incidents *in, const struct strand *s, const char *to, const struct again *what, usec now,
               struct arena *a, struct err *e)
{
    struct batch_of b = {
        .first = s, .rank = what->rank, .count = s->count, .now = now, .others = BUF_INIT(1), .events = BUF_INIT(1)};
    struct composed c = {BUF_INIT(1000), BUF_INIT(60000), BUF_INIT(100000)};
    compose(in, &b, what, a, &c);
    int rc = send_to(in, to, &b, what->kind, what->number, &c, a, e);
    buf_done(&c.subject);
    buf_done(&c.text);
    buf_done(&c.html);
    return rc;
}

static int tell_resolved(struct incidents *in, const struct strand *s, usec now, struct arena *a, struct err *e)
{
    struct again what = {.kind = "resolved", .rank = s->of.rank, .number = s->of.mails};
    usec escalated;
    int rc = remind_escalated(in, s->incident, &escalated, e);
    for (size_t i = 0; rc == 0 && i < in->to_n; i++)
        if (what.rank <= in->to[i].min && in->to[i].after <= escalated)
            rc = tell_again(in, s, in->to[i].to, &what, now, a, e);
    return rc;
}

static int resolve(struct incidents *in, const struct strand *s, usec now, struct arena *a, struct err *e)
{
    int64_t open;
    if (run_with(in, "UPDATE strand SET state = 'resolved', due = NULL WHERE id = ?", str_of(s->id), e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(in->db, "SELECT count(*) FROM (SELECT 1 FROM strand INDEXED BY strand_open"
                                       " WHERE incident = ? AND state != 'resolved' LIMIT 1)");
    db_bind_str(st, 1, str_of(s->incident));
    if (count_of(in, st, &open, e) < 0 || open > 0)
        return open > 0 ? 0 : -1;
    if (run_with(in, "UPDATE incident SET state = 'resolved', until = NULL WHERE id = ?", str_of(s->incident), e) < 0)
        return -1;
    if (s->of.rank <= 2 && strcmp(s->of.state, "open") == 0 && tell_resolved(in, s, now, a, e) < 0)
        return -1;
    return decide(in, str_of(s->incident), now, "resolved", "nothing more came in a whole window", e);
}

/* It ended, or was quiet for a window, while it was inhibited: nobody needs to know any more. */
static int give_up(struct incidents *in, const struct strand *s, str by, usec now, struct arena *a, struct err *e)
{
    const char *reason = arena_printf(a, "%s: inhibited by %.*s until it was quiet", s->rule, STR_ARG(by));
    if (count_in(in, "pending", -s->held, e) < 0 || count_in(in, "suppressed", s->held, e) < 0 ||
        decide(in, str_of(s->incident), now, "suppressed", reason, e) < 0)
        return -1;
    return resolve(in, s, now, a, e);
}

static int inhibited(struct incidents *in, const struct strand *s, str by, usec now, struct arena *a, struct err *e)
{
    if (now - s->last > s->window)
        return give_up(in, s, by, now, a, e);
    const char *reason = arena_printf(a, "%s: %.*s is open", s->rule, STR_ARG(by));
    return postpone(in, s, now + GAP, e) < 0 ||
                   (now - s->opened < GAP && decide(in, str_of(s->incident), now, "held", reason, e) < 0)
               ? -1
               : 0;
}

/* When a new kind of an incident that was mailed may be: at once if it is more urgent; the second issue when it is not the first
 * of many; else with what is gathered until then. */
static int gate_of(struct incidents *in, const struct strand *s, usec *ret, struct err *e)
{
    int64_t waiting;
    *ret = s->of.mails == 0 || s->rank < s->of.rank ? 0 : s->of.next_kind;
    if (*ret == 0 || s->of.mails >= AT_ONCE || !s->issue[0])
        return 0;
    sqlite3_stmt *st = db_stmt(in->db,
                               "SELECT count(*) FROM (SELECT 1 FROM strand WHERE incident = ? AND mails = 0 LIMIT 9)");
    db_bind_str(st, 1, str_of(s->incident));
    if (count_of(in, st, &waiting, e) < 0)
        return -1;
    if (waiting <= FEW)
        *ret = s->of.last_mail + MOMENT;
    return 0;
}

/* Counted, and told when the silence is over and it goes on. */
static int silenced(struct incidents *in, const struct strand *s, const char *why, usec now, struct err *e)
{
    if (count_in(in, "pending", -s->held, e) < 0 || count_in(in, "suppressed", s->held, e) < 0 ||
        run_with(in, "UPDATE strand SET held = 0, events = '' WHERE id = ?", str_of(s->id), e) < 0 ||
        postpone(in, s, now + s->window, e) < 0)
        return -1;
    return decide(in, str_of(s->incident), now, "suppressed", why, e);
}

static int settle(struct incidents *in, const struct strand *s, usec now, struct arena *a, struct err *e)
{
    int64_t opened = 0;
    bool told;
    str by;
    if (s->held == 0)
        return resolve(in, s, now, a, e);
    const char *why;
    int quiet = silence_of(in, s, now, &why, a, e);
    if (quiet != 0)
        return quiet < 0 ? -1 : silenced(in, s, why, now, e);
    int rc = is_inhibited(in, s, &by, a, e);
    if (rc != 0)
        return rc < 0 ? -1 : inhibited(in, s, by, now, a, e);
    if (is_told(in, s, &told, e) < 0)
        return -1;
    if (told && now < s->opened + s->window)
        return postpone(in, s, s->opened + s->window, e);
    usec gate = 0;
    if (s->mails == 0 && gate_of(in, s, &gate, e) < 0)
        return -1;
    if (now < gate)
        return postpone(in, s, gate, e);
    if (s->mails == 0 && flips(in, s, now, &opened, e) < 0)
        return -1;
    return flush(in, s, told, opened >= FLAPS && s->rank > 1, now, a, e);
}

int flush_due(struct incidents *in, usec now, struct err *e)
{
    struct arena a = {0};
    int rc;
    do {
        struct strand s = {0};
        rc = load_due(in, now, &s, e);
        if (rc > 0)
            rc = settle(in, &s, now, &a, e) < 0 ? -1 : 1;
        strand_done(&s);
        arena_reset(&a);
    } while (rc > 0);
    arena_done(&a);
    return rc;
}
