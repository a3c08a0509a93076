/* notify/incidents.c - from a signal to an incident that will tell of it.
 *
 * Signals of one (rule, key) are a *strand*. Strands that belong together are one *incident*: of the same env, and of the same
 * host or app as one that is there, or subject of a login, as long as the last one joined within half an hour; or of
 * whatever begins within two minutes, for what breaks at one time often breaks for one reason. What goes on for days so never draws
 * in what comes later. When many incidents open at once they are one: a storm.
 *
 *   strand:   (none) --signal--> waits --due--> mail, window runs --more--> held --closes--> digest, window twice as long
 *                                                  `--closes with nothing held--> resolved
 *   incident: OPEN --ack--> ACKED (counts go on, no mail)   OPEN --snooze--> SNOOZED --time--> OPEN
 *             --all strands resolved, or resolve, or noise--> RESOLVED
 *
 * The first two kinds of an incident are mailed when they come, later ones are gathered (flush.c). Each signal ends in exactly
 * one place: mailed, digested, suppressed(reason), or pending; the sums stand in `ledger`. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "notify/private.h"

const char notify_schema[] =
    "CREATE TABLE incident(id TEXT PRIMARY KEY, rule TEXT NOT NULL, key TEXT NOT NULL, why TEXT, run TEXT, app TEXT, env TEXT,"
    " title TEXT, issue TEXT, rank INTEGER, state TEXT NOT NULL, opened INTEGER, last INTEGER, count INTEGER NOT NULL,"
    " held INTEGER NOT NULL, due INTEGER, window INTEGER NOT NULL, mails INTEGER NOT NULL, event TEXT, by TEXT) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX incident_live ON incident(rule, key) WHERE state != 'resolved';"
    "CREATE INDEX incident_due ON incident(due) WHERE due IS NOT NULL;"
    "CREATE TABLE outbox(id INTEGER PRIMARY KEY, incident TEXT NOT NULL, rcpt TEXT NOT NULL, kind TEXT NOT NULL, rank INTEGER,"
    " rule TEXT, subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL, message_id TEXT NOT NULL UNIQUE,"
    " created INTEGER, not_before INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL, response TEXT);"
    "CREATE INDEX outbox_queued ON outbox(not_before) WHERE status = 'queued';"
    "CREATE TABLE decision(incident TEXT NOT NULL, time INTEGER NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL);"
    "CREATE INDEX decision_of ON decision(incident, time);"
    "CREATE TABLE ledger(name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO ledger VALUES('signals', 0), ('mailed', 0), ('digested', 0), ('suppressed', 0), ('pending', 0);";

/* What was an incident of one (rule, key) is a strand of one. */
const char notify_schema_strands[] =
    "ALTER TABLE incident RENAME TO strand;"
    "ALTER TABLE strand ADD COLUMN incident TEXT;"
    "ALTER TABLE strand ADD COLUMN host TEXT;"
    "ALTER TABLE strand ADD COLUMN detail TEXT;"
    "ALTER TABLE strand ADD COLUMN points TEXT;"
    "ALTER TABLE strand ADD COLUMN score INTEGER;"
    "ALTER TABLE strand ADD COLUMN inhibited_by TEXT;"
    "ALTER TABLE strand ADD COLUMN event_id TEXT;"
    "ALTER TABLE strand ADD COLUMN events TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE incident(id TEXT PRIMARY KEY, app TEXT, env TEXT, host TEXT, subject TEXT, state TEXT NOT NULL,"
    " opened INTEGER NOT NULL, joined INTEGER NOT NULL, mails INTEGER NOT NULL, mailed_rank INTEGER NOT NULL,"
    " last_mail INTEGER NOT NULL, next_kind INTEGER NOT NULL, gap INTEGER NOT NULL, until INTEGER, by TEXT, storm INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "INSERT INTO incident SELECT id, app, env, '', '', state, opened, opened, mails, rank, last, 0, 0, NULL, by, 0 FROM strand;"
    "UPDATE strand SET incident = id, state = CASE state WHEN 'resolved' THEN state ELSE 'open' END, host = '', detail = '',"
    " points = '', score = 0, inhibited_by = '', event_id = '';"
    "CREATE INDEX strand_of ON strand(incident, mails);"
    "CREATE INDEX strand_open ON strand(incident) WHERE state != 'resolved';"
    "DROP INDEX incident_due;"
    "CREATE INDEX strand_due ON strand(due, rank) WHERE due IS NOT NULL;"
    "CREATE INDEX strand_issue ON strand(incident, issue) WHERE issue != '';"
    "CREATE INDEX strand_past ON strand(rule, key, opened);"
    "CREATE INDEX incident_open ON incident(joined) WHERE state != 'resolved';"
    "CREATE INDEX incident_opened ON incident(opened);"
    "CREATE INDEX incident_until ON incident(until) WHERE until IS NOT NULL;"
    "ALTER TABLE outbox ADD COLUMN host TEXT;"
    "ALTER TABLE outbox ADD COLUMN event TEXT;"
    "ALTER TABLE outbox ADD COLUMN events TEXT;"
    "ALTER TABLE outbox ADD COLUMN key TEXT;"
    "ALTER TABLE outbox ADD COLUMN signals INTEGER;"
    "CREATE TABLE digest_item(rcpt TEXT NOT NULL, time INTEGER NOT NULL, rank INTEGER NOT NULL, incident TEXT NOT NULL,"
    " rule TEXT NOT NULL, title TEXT, n INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE INDEX digest_of ON digest_item(rcpt, time);"
    "CREATE TABLE budget(rcpt TEXT PRIMARY KEY, tokens REAL NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;";

/* For folders whose strands were made before these indexes were. */
const char notify_schema_indexes[] =
    "DROP INDEX IF EXISTS strand_of; DROP INDEX IF EXISTS strand_due; DROP INDEX IF EXISTS incident_due;"
    "CREATE INDEX strand_of ON strand(incident, mails);"
    "CREATE INDEX strand_due ON strand(due, rank) WHERE due IS NOT NULL;"
    "CREATE INDEX IF NOT EXISTS strand_open ON strand(incident) WHERE state != 'resolved';"
    "CREATE INDEX IF NOT EXISTS strand_issue ON strand(incident, issue) WHERE issue != '';";

#define TOGETHER (30 * MINUTE)   /* what joins, joins within so long after the one before */
#define AT_ONE_TIME (2 * MINUTE) /* wherever it is */
#define STORM_IN (10 * MINUTE)
enum { STORM_INCIDENTS = 8, STORM_P1 = 3 };

/* A strand that had a signal in this transaction. What comes after the first is added up and written at once. */
struct live {
    char id[17];
    int rank;
    usec last;
    int64_t more;
    struct buf events; /* ids, a blank behind each */
    size_t events_n;
};

struct incidents *incidents_new(struct db *db)
{
    struct incidents *in = xcalloc(1, sizeof *in);
    in->db = db;
    return in;
}

static void config_done(struct incidents *in)
{
    for (size_t i = 0; i < in->to_n; i++)
        free(in->to[i].to);
    free(in->to);
    free(in->url);
    free(in->host);
    in->to_n = 0;
}

void incidents_forget(struct incidents *in)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&in->live, &i));) {
        struct live *l = slot->value;
        buf_done(&l->events);
        free(l);
    }
    map_done(&in->live);
}

void incidents_free(struct incidents *in)
{
    if (!in)
        return;
    config_done(in);
    incidents_forget(in);
    free(in);
}

static void add_recipient(struct incidents *in, char *to, const struct config_recipient *c)
{
    in->to[in->to_n++] = (struct recipient){
        .to = to, .min = c->min, .after = c->after, .digests = c->digest_minute >= 0};
}

void incidents_config(struct incidents *in, const struct config *c, const char *url, const uint8_t *key)
{
    config_done(in);
    in->signs = key != NULL;
    if (key)
        memcpy(in->key, key, sizeof in->key);
    in->url = xstrdup(url ? url : "");
    str host = str_of(in->url);
    ptrdiff_t at = str_find(host, S("://"));
    host = at < 0 ? host : str_skip(host, (size_t)at + 3);
    size_t n = 0;
    while (n < host.n && (host.p[n] == '.' || host.p[n] == '-' || (host.p[n] >= '0' && host.p[n] <= '9') ||
                          (host.p[n] >= 'a' && host.p[n] <= 'z') || (host.p[n] >= 'A' && host.p[n] <= 'Z')))
        n++;
    in->host = n ? str_dup(str_head(host, n)) : xstrdup("logd.invalid");
    in->to = xcalloc(c->recipients_n + c->webhooks_n + 1, sizeof *in->to);
    for (size_t i = 0; c->mail.url && i < c->recipients_n; i++)
        add_recipient(in, xstrdup(c->recipients[i].email), &c->recipients[i]);
    for (size_t i = 0; i < c->webhooks_n; i++) {
        struct buf to = BUF_INIT(200);
        buf_printf(&to, WEBHOOK "%s", c->webhooks[i].name);
        add_recipient(in, buf_take(&to, NULL), &c->webhooks[i].as);
    }
    in->digest_minute = c->recipients_n && c->recipients[0].digest_minute >= 0 ? c->recipients[0].digest_minute : 510;
}

void incidents_facts(struct incidents *in, facts_fn *fn) { in->facts = fn; }
void incidents_rules(struct incidents *in, rule_at_fn *fn, void *arg)
{
    in->rule_at = fn;
    in->rule_arg = arg;
}

/* ---- small writes ---- */
int count_in(struct incidents *in, const char *name, int64_t n, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE ledger SET n = n + ? WHERE name = ?");
    sqlite3_bind_int64(st, 1, n);
    db_bind_str(st, 2, str_of(name));
    return db_run(in->db, st, e);
}

int decide(struct incidents *in, str incident, usec now, const char *verdict, const char *reason, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "INSERT INTO decision VALUES(?, ?, ?, ?)");
    db_bind_str(st, 1, incident);
    sqlite3_bind_int64(st, 2, now);
    db_bind_str(st, 3, str_of(verdict));
    db_bind_str(st, 4, str_of(reason));
    return db_run(in->db, st, e);
}

int run_with(struct incidents *in, const char *sql, str text, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, sql);
    db_bind_str(st, 1, text);
    return db_run(in->db, st, e);
}

/* ---- which incident ---- */

/* 1 and its id, 0: none. */
static int find_id(struct incidents *in, sqlite3_stmt *st, str *ret_id, struct arena *a, struct err *e)
{
    int rc = db_step(in->db, st, e);
    if (rc > 0) {
        *ret_id = arena_str(a, db_str(st, 0));
        sqlite3_reset(st);
    }
    return rc;
}

static int find_kin(struct incidents *in, const struct signal *s, usec now, str *ret_id, struct arena *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db,
        "SELECT id FROM incident i WHERE state != 'resolved' AND joined > ?1 AND ((storm AND ?2 != '" ENV_OWN
        "') OR (env = ?2 AND"
        " (joined > ?6 OR (subject != '' AND subject = ?5) OR EXISTS (SELECT 1 FROM strand WHERE incident = i.id AND"
        " ((host != '' AND host = ?3) OR (app != '' AND app = ?4))))))"
        " ORDER BY storm, joined DESC LIMIT 1");
    str texts[] = {s->env, s->host, s->app, s->subject};
    sqlite3_bind_int64(st, 1, now - TOGETHER);
    sqlite3_bind_int64(st, 6, now - AT_ONE_TIME);
    for (int i = 0; i < (int)LENGTH(texts); i++)
        db_bind_str(st, i + 2, texts[i].p ? texts[i] : S(""));
    return find_id(in, st, ret_id, a, e);
}

/* So many incidents opened within ten minutes that a mail for each would help nobody. */
static int is_storm(struct incidents *in, const struct signal *s, usec now, bool *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT count(*), total(mailed_rank = 1) FROM incident WHERE opened > ?");
    sqlite3_bind_int64(st, 1, now - STORM_IN);
    if (db_step(in->db, st, e) < 0)
        return -1;
    *ret = sqlite3_column_int(st, 0) >= STORM_INCIDENTS || (s->rank == 1 && sqlite3_column_int(st, 1) >= STORM_P1);
    sqlite3_reset(st);
    return 0;
}

static str id_of(const struct signal *s, usec now, const char *what, struct arena *a)
{
    uint8_t hash[32];
    struct buf id = BUF_INIT(17);
    sha256(str_of(arena_printf(a, "%s%.*s\n%.*s\n%.*s%lld", what, STR_ARG(s->rule), STR_ARG(s->key),
                               STR_ARG(s->event ? s->event->id : S("")), s->event ? 0LL : (long long)now)),
           hash);
    buf_hex(&id, hash, 8);
    str kept = arena_str(a, buf_view(&id));
    buf_done(&id);
    return kept;
}

static int open_incident(struct incidents *in, const struct signal *s, usec now, str *ret_id, struct arena *a,
                         struct err *e)
{
    bool storm;
    if (is_storm(in, s, now, &storm, e) < 0)
        return -1;
    *ret_id = id_of(s, now, "", a);
    sqlite3_stmt *st = db_stmt(
        in->db, "INSERT INTO incident VALUES(?, ?, ?, ?, ?, 'open', ?6, ?6, 0, 6, 0, 0, 0, NULL, NULL, ?7)");
    str texts[] = {*ret_id, s->app, s->env, s->host, s->subject};
    for (int i = 0; i < (int)LENGTH(texts); i++)
        db_bind_str(st, i + 1, texts[i].p ? texts[i] : S(""));
    sqlite3_bind_int64(st, 6, now);
    sqlite3_bind_int(st, 7, storm);
    return db_run(in->db, st, e);
}

static int join(struct incidents *in, str id, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE incident SET joined = ? WHERE id = ?");
    sqlite3_bind_int64(st, 1, now);
    db_bind_str(st, 2, id);
    return db_run(in->db, st, e);
}

/* ---- strands ---- */

static int find_strand(struct incidents *in, const struct signal *s, str *ret_id, struct arena *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT id FROM strand WHERE rule = ? AND key = ? AND state != 'resolved'");
    db_bind_str(st, 1, s->rule);
    db_bind_str(st, 2, s->key);
    return find_id(in, st, ret_id, a, e);
}

static int open_strand(struct incidents *in, const struct signal *s, usec now, str *ret_id, struct arena *a,
                       struct err *e)
{
    str incident;
    int kin = find_kin(in, s, now, &incident, a, e);
    if (kin < 0 || (kin == 0 ? open_incident(in, s, now, &incident, a, e) : join(in, incident, now, e)) < 0)
        return -1;
    *ret_id = id_of(s, now, "", a);
    sqlite3_stmt *st = db_stmt(
        in->db, "INSERT INTO strand(id, incident, rule, key, why, run, app, env, title, issue, host, detail, points,"
                " inhibited_by, event_id, event, rank, score, state, opened, last, count, held, due, window, mails)"
                " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?19, ?19, 0, 0, ?, ?, 0)");
    str texts[] = {*ret_id,
                   incident,
                   s->rule,
                   s->key,
                   s->why,
                   s->run,
                   s->app,
                   s->env,
                   s->title,
                   s->issue,
                   s->host,
                   s->detail,
                   s->points,
                   s->inhibited_by,
                   s->event ? s->event->id : S(""),
                   s->event ? s->event->line : S("")};
    for (int i = 0; i < (int)LENGTH(texts); i++)
        db_bind_str(st, i + 1, texts[i].p ? texts[i] : S(""));
    sqlite3_bind_int(st, 17, s->rank);
    sqlite3_bind_int(st, 18, s->score);
    sqlite3_bind_int64(st, 19, now);
    sqlite3_bind_int64(st, 20, now + s->wait);
    sqlite3_bind_int64(st, 21, s->digest);
    return db_run(in->db, st, e);
}

static str live_key(const struct signal *s, struct arena *a)
{
    return str_of(arena_printf(a, "%.*s\n%.*s", STR_ARG(s->rule), STR_ARG(s->key)));
}

static void note_event(struct live *l, const struct signal *s)
{
    if (!s->event || l->events_n >= EVENTS_MAX)
        return;
    buf_str(&l->events, s->event->id);
    buf_byte(&l->events, ' ');
    l->events_n++;
}

/* n more signals of a strand. The first event stays the one to show: it is the cause; a rank only rises. What comes while its
 * incident is acknowledged or snoozed is counted, and nothing more. */
static int add_signals(struct incidents *in, const struct live *l, int64_t n, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db,
        "UPDATE strand SET count = count + ?1, last = ?2, rank = min(rank, ?3), held = held + ?1 * (SELECT state = 'open'"
        " FROM incident WHERE id = strand.incident), events = CASE WHEN length(events) < ?6 THEN events || ?5 ELSE events END"
        " WHERE id = ?4 RETURNING (SELECT state = 'open' FROM incident WHERE id = strand.incident)");
    sqlite3_bind_int64(st, 1, n);
    sqlite3_bind_int64(st, 2, l->last);
    sqlite3_bind_int(st, 3, l->rank);
    db_bind_str(st, 4, str_of(l->id));
    db_bind_str(st, 5, l->events.n ? buf_view(&l->events) : S(""));
    sqlite3_bind_int(st, 6, EVENTS_MAX * (EVENT_ID_LEN + 1));
    if (db_step(in->db, st, e) < 0)
        return -1;
    bool open = sqlite3_column_int(st, 0);
    sqlite3_reset(st);
    return count_in(in, "signals", n, e) < 0 || count_in(in, open ? "pending" : "suppressed", n, e) < 0 ? -1 : 0;
}

int add_up(struct incidents *in, struct err *e)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&in->live, &i));) {
        const struct live *l = slot->value;
        if (l->more && add_signals(in, l, l->more, e) < 0)
            return -1;
    }
    incidents_forget(in);
    return 0;
}

int incidents_signal(struct incidents *in, const struct signal *s, usec now, struct arena *a, struct err *e)
{
    if (s->muted)
        return count_in(in, "signals", 1, e) < 0 || count_in(in, "suppressed", 1, e) < 0 ? -1 : 0;
    str id, key = live_key(s, a);
    struct live *l = map_get(&in->live, key);
    if (l) {
        l->more++;
        l->last = now;
        l->rank = s->rank < l->rank ? s->rank : l->rank;
        note_event(l, s);
        return 0;
    }
    int found = find_strand(in, s, &id, a, e);
    if (found < 0 || (found == 0 && open_strand(in, s, now, &id, a, e) < 0))
        return -1;
    l = xcalloc(1, sizeof *l);
    *l = (struct live){.rank = s->rank, .last = now, .events = BUF_INIT(EVENTS_MAX * (EVENT_ID_LEN + 1))};
    snprintf(l->id, sizeof l->id, "%.*s", STR_ARG(id));
    note_event(l, s);
    int rc = add_signals(in, l, 1, e);
    buf_reset(&l->events);
    map_set(&in->live, key, l);
    in->opened |= found == 0 && s->wait == 0;
    return rc;
}

int incidents_event_done(struct incidents *in, usec now, struct err *e)
{
    if (!in->opened)
        return 0;
    in->opened = false;
    return flush_due(in, now, e);
}

/* ---- the clock ---- */

static int wake_snoozed(struct incidents *in, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE incident SET state = 'open', until = NULL WHERE until <= ?");
    sqlite3_bind_int64(st, 1, now);
    return db_run(in->db, st, e);
}

int incidents_tick(struct incidents *in, usec now, usec *ret_next, struct err *e)
{
    if (trouble_due(in, now, e) < 0 || add_up(in, e) < 0 || wake_snoozed(in, now, e) < 0 || flush_due(in, now, e) < 0 ||
        remind_due(in, now, e) < 0 || flush_digest(in, now, e) < 0)
        return -1;
    usec remind, trouble;
    sqlite3_stmt *st = db_stmt(in->db, "SELECT min(coalesce((SELECT min(due) FROM strand WHERE due IS NOT NULL), ?1),"
                                       " coalesce((SELECT min(until) FROM incident WHERE until IS NOT NULL), ?1))");
    sqlite3_bind_int64(st, 1, INT64_MAX);
    if (db_step(in->db, st, e) < 0)
        return -1;
    *ret_next = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    if (remind_next(in, &remind, e) < 0 || trouble_next(in, now, &trouble, e) < 0)
        return -1;
    *ret_next = remind < *ret_next ? remind : *ret_next;
    *ret_next = trouble < *ret_next ? trouble : *ret_next;
    if (in->digest_due && in->digest_due < *ret_next)
        *ret_next = in->digest_due;
    return 0;
}

int incidents_set_back(struct incidents *in, usec by, struct err *e)
{
    static const char *const all[] = {
        "UPDATE strand SET due = due - ?1, opened = opened - ?1, last = last - ?1 WHERE due IS NOT NULL",
        "UPDATE outbox SET not_before = not_before - ? WHERE status = 'queued'",
        "UPDATE incident SET until = until - ?1, next_kind = next_kind - ?1, joined = joined - ?1,"
        " last_mail = last_mail - ?1, opened = opened - ?1"
        " WHERE state != 'resolved'",
        "UPDATE reminder SET told = told - ?1, due = due - ?1", "UPDATE budget SET at = at - ?"};
    in->digest_due = 0;
    for (size_t i = 0; i < LENGTH(all); i++) {
        sqlite3_stmt *st = db_stmt(in->db, all[i]);
        sqlite3_bind_int64(st, 1, by);
        if (db_run(in->db, st, e) < 0)
            return -1;
    }
    return 0;
}
