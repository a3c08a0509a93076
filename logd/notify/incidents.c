/* notify/incidents.c - from a signal to an outbox row.
 *
 *   (none) --signal--> OPEN --first mail--> OPEN, window runs --more--> held --window closes--> digest, next window
 *                                             `--window closes with nothing held--> RESOLVED
 *   OPEN --ack--> ACKED (counts go on, no mail)   OPEN, ACKED --resolve, noise--> RESOLVED
 *
 * A window that follows a digest is twice as long as the one before, up to a day: repeats back off.
 * Each signal ends in exactly one place: mailed, digested, suppressed(reason), or pending; the sums stand in `ledger`. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/str.h"
#include "notify/body.h"
#include "notify/notify.h"

#include <jansson.h>

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

#define WINDOW_MAX (86400 * USEC_PER_SEC)

/* An incident that had a signal in this transaction. What comes after the first is added up and written at once. */
struct live {
    char id[17];
    int rank;
    usec last;
    int64_t more;
};
struct incidents {
    struct db *db;
    struct map live;  /* rule and key to struct live */
    char *url, *host; /* host: right side of a Message-ID */
    char **to;
    int *min;
    size_t to_n;
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
        free(in->to[i]);
    free(in->to);
    free(in->min);
    free(in->url);
    free(in->host);
    in->to_n = 0;
}

void incidents_forget(struct incidents *in)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&in->live, &i));)
        free(slot->value);
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

void incidents_config(struct incidents *in, const struct config *c, const char *url)
{
    config_done(in);
    in->url = xstrdup(url ? url : "");
    str host = str_of(in->url);
    ptrdiff_t at = str_find(host, S("://"));
    host = at < 0 ? host : str_skip(host, (size_t)at + 3);
    size_t n = 0;
    while (n < host.n && (host.p[n] == '.' || host.p[n] == '-' || (host.p[n] >= '0' && host.p[n] <= '9') ||
                          (host.p[n] >= 'a' && host.p[n] <= 'z') || (host.p[n] >= 'A' && host.p[n] <= 'Z')))
        n++;
    in->host = n ? str_dup(str_head(host, n)) : xstrdup("logd.invalid");
    in->to = xcalloc(c->recipients_n, sizeof *in->to);
    in->min = xcalloc(c->recipients_n, sizeof *in->min);
    for (size_t i = 0; c->mail.url && i < c->recipients_n; i++) {
        in->to[in->to_n] = xstrdup(c->recipients[i].email);
        in->min[in->to_n++] = c->recipients[i].min;
    }
}

/* ---- small writes ---- */
static int count_in(struct incidents *in, const char *name, int64_t n, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE ledger SET n = n + ? WHERE name = ?");
    sqlite3_bind_int64(st, 1, n);
    db_bind_str(st, 2, str_of(name));
    return db_run(in->db, st, e);
}

static int decide(struct incidents *in, str incident, usec now, const char *verdict, const char *reason, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "INSERT INTO decision VALUES(?, ?, ?, ?)");
    db_bind_str(st, 1, incident);
    sqlite3_bind_int64(st, 2, now);
    db_bind_str(st, 3, str_of(verdict));
    db_bind_str(st, 4, str_of(reason));
    return db_run(in->db, st, e);
}

struct incident {
    char id[17], state[12];
    char *rule, *key, *why, *run, *app, *env, *title, *issue, *event;
    int rank;
    usec opened, window;
    int64_t count, held, mails;
};

static void incident_done(struct incident *i)
{
    char *all[] = {i->rule, i->key, i->why, i->run, i->app, i->env, i->title, i->issue, i->event};
    for (size_t k = 0; k < LENGTH(all); k++)
        free(all[k]);
}

/* One row per recipient that wants the rank. *ret_n: how many. */
static int enqueue(struct incidents *in, const struct incident *i, bool digest, usec now, struct arena *a,
                   size_t *ret_n, struct err *e)
{
    struct buf subject = BUF_INIT(1000), text = BUF_INIT(60000), html = BUF_INIT(100000);
    struct event *ev = NULL;
    struct err ignored;
    int rc = 0;
    if (i->event && i->event[0]) {
        ev = arena_alloc(a, sizeof *ev);
        if (event_read(str_of(i->event), ev, a, &ignored) < 0)
            ev = NULL;
    }
    struct mail_body body = {.rank = i->rank,
                             .rule = str_of(i->rule),
                             .why = str_of(i->why),
                             .run = str_of(i->run),
                             .key = str_of(i->key),
                             .title = str_of(i->title),
                             .app = str_of(i->app),
                             .env = str_of(i->env),
                             .issue = str_of(i->issue),
                             .incident = str_of(i->id),
                             .url = str_of(in->url),
                             .opened = i->opened,
                             .held = digest ? (uint64_t)i->held : 0,
                             .count = (uint64_t)i->count,
                             .event = ev};
    body_subject(&(struct mail_subject){i->rank, body.app, body.env, body.title, body.rule}, i->mails > 0, &subject);
    body_text(&body, a, &text);
    body_html(&body, a, &html);
    *ret_n = 0;
    for (size_t k = 0; rc == 0 && k < in->to_n; k++) {
        if (i->rank > in->min[k])
            continue;
        uint8_t digest_of[32];
        char *what = arena_printf(a, "%s %lld %s", i->id, (long long)i->mails, in->to[k]);
        struct buf id = BUF_INIT(500);
        sha256(str_of(what), digest_of);
        buf_printf(&id, "%s.%lld.", i->id, (long long)i->mails);
        buf_hex(&id, digest_of, 8);
        buf_printf(&id, "@%s", in->host);
        sqlite3_stmt *st = db_stmt(
            in->db, "INSERT OR IGNORE INTO outbox(incident, rcpt, kind, rank, rule, subject, text, html,"
                    " message_id, created, not_before, status) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued')");
        db_bind_str(st, 1, str_of(i->id));
        db_bind_str(st, 2, str_of(in->to[k]));
        db_bind_str(st, 3, digest ? S("digest") : S("immediate"));
        sqlite3_bind_int(st, 4, i->rank);
        db_bind_str(st, 5, str_of(i->rule));
        db_bind_str(st, 6, buf_view(&subject));
        db_bind_str(st, 7, buf_view(&text));
        db_bind_str(st, 8, buf_view(&html));
        db_bind_str(st, 9, buf_view(&id));
        sqlite3_bind_int64(st, 10, now);
        sqlite3_bind_int64(st, 11, now);
        rc = db_run(in->db, st, e);
        buf_done(&id);
        (*ret_n)++;
    }
    buf_done(&subject);
    buf_done(&text);
    buf_done(&html);
    return rc;
}

/* Sends what is held as one mail (the first, or a digest) and notes where the signals went. */
static int flush(struct incidents *in, const struct incident *i, usec now, struct arena *a, struct err *e)
{
    bool digest = i->mails > 0;
    size_t n;
    char reason[200];
    if (enqueue(in, i, digest, now, a, &n, e) < 0)
        return -1;
    const char *verdict = n == 0 ? "suppressed" : digest ? "digested" : "mailed";
    if (n)
        snprintf(reason, sizeof reason, "%s to %zu recipient%s, %lld signal%s", digest ? "digest" : "first mail", n,
                 n == 1 ? "" : "s", (long long)i->held, i->held == 1 ? "" : "s");
    else if (in->to_n == 0)
        snprintf(reason, sizeof reason, "no mail or no recipient is configured");
    else
        snprintf(reason, sizeof reason, "rank P%d is below what every recipient asked for", i->rank);
    if (count_in(in, verdict, i->held, e) < 0 || count_in(in, "pending", -i->held, e) < 0)
        return -1;
    return decide(in, str_of(i->id), now, verdict, reason, e);
}

/* ---- signals ---- */
static int find_live(struct incidents *in, const struct signal *s, str *ret_id, struct arena *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT id FROM incident WHERE rule = ? AND key = ? AND state != 'resolved'");
    db_bind_str(st, 1, s->rule);
    db_bind_str(st, 2, s->key);
    int rc = db_step(in->db, st, e);
    if (rc > 0) {
        *ret_id = arena_str(a, db_str(st, 0));
        sqlite3_reset(st);
    }
    return rc;
}

static int open_incident(struct incidents *in, const struct signal *s, usec now, str *ret_id, struct arena *a,
                         struct err *e)
{
    uint8_t hash[32];
    struct buf id = BUF_INIT(17);
    char *what = arena_printf(a, "%.*s\n%.*s\n%.*s%lld", STR_ARG(s->rule), STR_ARG(s->key),
                              STR_ARG(s->event ? s->event->id : S("")), s->event ? 0LL : (long long)now);
    sha256(str_of(what), hash);
    buf_hex(&id, hash, 8);
    *ret_id = arena_str(a, buf_view(&id));
    buf_done(&id);
    sqlite3_stmt *st = db_stmt(
        in->db, "INSERT INTO incident(id, rule, key, why, run, app, env, title, issue, rank, state, opened,"
                " last, count, held, due, window, mails, event)"
                " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, 0, 0, ?, ?, 0, ?)");
    str texts[] = {*ret_id, s->rule, s->key, s->why, s->run, s->app, s->env, s->title, s->issue};
    for (int i = 0; i < (int)LENGTH(texts); i++)
        db_bind_str(st, i + 1, texts[i].p ? texts[i] : S(""));
    sqlite3_bind_int(st, 10, s->rank);
    sqlite3_bind_int64(st, 11, now);
    sqlite3_bind_int64(st, 12, now);
    sqlite3_bind_int64(st, 13, now + s->wait);
    sqlite3_bind_int64(st, 14, s->digest);
    db_bind_str(st, 15, s->event ? s->event->line : S(""));
    return db_run(in->db, st, e);
}

static str live_key(const struct signal *s, struct arena *a)
{
    return str_of(arena_printf(a, "%.*s\n%.*s", STR_ARG(s->rule), STR_ARG(s->key)));
}

/* n more signals of an incident. The first event stays the one to show: it is the cause; a rank only rises. */
static int add_signals(struct incidents *in, const struct live *l, int64_t n, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE incident SET count = count + ?1, last = ?2, rank = min(rank, ?3),"
                                       " held = held + ?1 * (state != 'acked') WHERE id = ?4 RETURNING state");
    sqlite3_bind_int64(st, 1, n);
    sqlite3_bind_int64(st, 2, l->last);
    sqlite3_bind_int(st, 3, l->rank);
    db_bind_str(st, 4, str_of(l->id));
    if (db_step(in->db, st, e) < 0)
        return -1;
    bool acked = str_eq(db_str(st, 0), S("acked"));
    sqlite3_reset(st);
    return count_in(in, "signals", n, e) < 0 || count_in(in, acked ? "suppressed" : "pending", n, e) < 0 ? -1 : 0;
}

static int add_up(struct incidents *in, struct err *e)
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
        return 0;
    }
    int found = find_live(in, s, &id, a, e);
    if (found < 0 || (found == 0 && open_incident(in, s, now, &id, a, e) < 0))
        return -1;
    struct live first = {.rank = s->rank, .last = now};
    snprintf(first.id, sizeof first.id, "%.*s", STR_ARG(id));
    if (add_signals(in, &first, 1, e) < 0)
        return -1;
    usec next; /* the first mail speaks of the first signal alone: the rest of its batch is already "more" */
    if (found == 0 && s->wait == 0 && incidents_tick(in, now, &next, e) < 0)
        return -1;
    l = xmalloc(sizeof *l);
    *l = first;
    map_set(&in->live, key, l);
    return 0;
}

/* ---- what falls due ---- */
static int load_due(struct incidents *in, usec now, struct incident *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db, "SELECT id, state, rule, key, why, run, app, env, title, issue, event, rank, opened, window,"
                " count, held, mails FROM incident WHERE due <= ? ORDER BY due LIMIT 1");
    sqlite3_bind_int64(st, 1, now);
    int rc = db_step(in->db, st, e);
    if (rc <= 0)
        return rc;
    snprintf(ret->id, sizeof ret->id, "%.*s", STR_ARG(db_str(st, 0)));
    snprintf(ret->state, sizeof ret->state, "%.*s", STR_ARG(db_str(st, 1)));
    char **texts[] = {&ret->rule, &ret->key,   &ret->why,   &ret->run,  &ret->app,
                      &ret->env,  &ret->title, &ret->issue, &ret->event};
    for (int i = 0; i < (int)LENGTH(texts); i++)
        *texts[i] = str_dup(db_str(st, i + 2));
    ret->rank = sqlite3_column_int(st, 11);
    ret->opened = sqlite3_column_int64(st, 12);
    ret->window = sqlite3_column_int64(st, 13);
    ret->count = sqlite3_column_int64(st, 14);
    ret->held = sqlite3_column_int64(st, 15);
    ret->mails = sqlite3_column_int64(st, 16);
    sqlite3_reset(st);
    return 1;
}

static int settle(struct incidents *in, const struct incident *i, usec now, struct arena *a, struct err *e)
{
    if (i->held == 0) {
        sqlite3_stmt *st = db_stmt(in->db, "UPDATE incident SET state = 'resolved', due = NULL WHERE id = ?");
        db_bind_str(st, 1, str_of(i->id));
        return db_run(in->db, st, e) < 0 ||
                       decide(in, str_of(i->id), now, "resolved", "nothing more came in a whole window", e) < 0
                   ? -1
                   : 0;
    }
    if (flush(in, i, now, a, e) < 0)
        return -1;
    usec next = i->mails == 0 ? i->window : i->window * 2 > WINDOW_MAX ? WINDOW_MAX : i->window * 2;
    if (next < i->window)
        next = i->window; /* a rule's own window may be longer than a day */
    sqlite3_stmt *st = db_stmt(in->db,
                               "UPDATE incident SET held = 0, mails = mails + 1, window = ?, due = ? WHERE id = ?");
    sqlite3_bind_int64(st, 1, next);
    sqlite3_bind_int64(st, 2, now + next);
    db_bind_str(st, 3, str_of(i->id));
    return db_run(in->db, st, e);
}

int incidents_tick(struct incidents *in, usec now, usec *ret_next, struct err *e)
{
    struct arena a = {0};
    int rc;
    if (add_up(in, e) < 0)
        return -1;
    for (;;) {
        struct incident i = {0};
        rc = load_due(in, now, &i, e);
        if (rc > 0)
            rc = settle(in, &i, now, &a, e) < 0 ? -1 : 1;
        incident_done(&i);
        arena_reset(&a);
        if (rc <= 0)
            break;
    }
    arena_done(&a);
    if (rc < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(in->db, "SELECT min(due) FROM incident WHERE due IS NOT NULL");
    if (db_step(in->db, st, e) < 0)
        return -1;
    *ret_next = sqlite3_column_type(st, 0) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}

int incidents_set_back(struct incidents *in, usec by, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE incident SET due = due - ? WHERE due IS NOT NULL");
    sqlite3_bind_int64(st, 1, by);
    if (db_run(in->db, st, e) < 0)
        return -1;
    st = db_stmt(in->db, "UPDATE outbox SET not_before = not_before - ? WHERE status = 'queued'");
    sqlite3_bind_int64(st, 1, by);
    return db_run(in->db, st, e);
}

/* ---- what people do ---- */
/* *ret_held: what waited for a mail; 0 rows: unknown or resolved already, which is not an error. */
static int read_held(struct incidents *in, str id, int64_t *ret_held, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT held FROM incident WHERE id = ? AND state != 'resolved'");
    db_bind_str(st, 1, id);
    int rc = db_step(in->db, st, e);
    if (rc > 0) {
        *ret_held = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return rc;
}

static int change_state(struct incidents *in, str id, str what, str by, usec now, struct err *e)
{
    int64_t held = 0;
    int rc = read_held(in, id, &held, e);
    if (rc <= 0)
        return rc;
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE incident SET state = ?1, by = ?2, held = 0,"
                                       " due = CASE ?1 WHEN 'resolved' THEN NULL ELSE due END WHERE id = ?3");
    db_bind_str(st, 1, str_eq(what, S("ack")) ? S("acked") : S("resolved"));
    db_bind_str(st, 2, by);
    db_bind_str(st, 3, id);
    if (db_run(in->db, st, e) < 0 || count_in(in, "pending", -held, e) < 0 || count_in(in, "suppressed", held, e) < 0)
        return -1;
    char *verdict = str_dup(what), *who = by.n ? str_dup(by) : xstrdup("through the API");
    rc = decide(in, id, now, verdict, who, e);
    free(verdict);
    free(who);
    return rc;
}

int incidents_action(struct incidents *in, str json, usec now, struct err *e)
{
    json_t *o = json_loadb(json.p, json.n, 0, NULL);
    const char *id = json_string_value(json_object_get(o, "incident")),
               *what = json_string_value(json_object_get(o, "do"));
    int rc = add_up(in, e);
    if (rc == 0 && id && what)
        rc = change_state(in, str_of(id), str_of(what), str_of(json_string_value(json_object_get(o, "by"))), now, e);
    json_decref(o);
    return rc;
}

/* ---- answers ---- */
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

static void put_text(struct buf *out, const char *name, str s)
{
    buf_printf(out, ",\"%s\":", name);
    if (s.n)
        buf_json(out, s);
    else
        buf_lit(out, "null");
}

static void put_time(struct buf *out, const char *name, usec at)
{
    char t[TIME_TEXT_MAX];
    time_print(at * NSEC_PER_USEC, 6, t);
    buf_printf(out, ",\"%s\":\"%s\"", name, t);
}

#define COLUMNS "id, rule, key, app, env, title, issue, rank, state, opened, last, count, held, mails, by, why"
static void put_incident(struct buf *out, sqlite3_stmt *st)
{
    buf_lit(out, "{\"id\":");
    buf_json(out, db_str(st, 0));
    static const char *const names[] = {"rule", "key", "app", "env", "title", "issue"};
    for (int i = 0; i < (int)LENGTH(names); i++)
        put_text(out, names[i], db_str(st, i + 1));
    buf_printf(out, ",\"rank\":\"P%d\",\"state\":", sqlite3_column_int(st, 7));
    buf_json(out, db_str(st, 8));
    put_time(out, "opened", sqlite3_column_int64(st, 9));
    put_time(out, "last", sqlite3_column_int64(st, 10));
    buf_printf(out, ",\"signals\":%lld,\"pending\":%lld,\"mails\":%lld", (long long)sqlite3_column_int64(st, 11),
               (long long)sqlite3_column_int64(st, 12), (long long)sqlite3_column_int64(st, 13));
    put_text(out, "owner", db_str(st, 14));
    put_text(out, "why", db_str(st, 15));
}

int incidents_list_json(struct db *read, str state, struct buf *out, struct err *e)
{
    static const str states[] = {S("open"), S("acked"), S("resolved"), S("all")};
    bool known = !state.n;
    for (size_t i = 0; i < LENGTH(states); i++)
        known |= str_eq(state, states[i]);
    if (!known)
        return err_set(e, ERR_INPUT, "state: expected open, acked, resolved or all, got \"%.*s\"",
                       STR_ARG(str_head(state, 40)));
    sqlite3_stmt *st = db_stmt(read, "SELECT " COLUMNS
                                     " FROM incident WHERE ?1 = 'all' OR state = ?1 ORDER BY last DESC LIMIT 200");
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
    sqlite3_stmt *st = db_stmt(read, "SELECT held, due, mails, last FROM incident"
                                     " WHERE id = ? AND held > 0 AND due IS NOT NULL");
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
        put_text(out, "verdict", db_str(st, 1));
        put_text(out, "reason", db_str(st, 2));
        buf_byte(out, '}');
    }
    if (rc == 0)
        rc = put_held(read, id, n == 0, out, e);
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
            put_text(out, names[i], db_str(st, i + 1));
        put_time(out, "created", sqlite3_column_int64(st, 6));
        buf_printf(out, ",\"tries\":%d}", sqlite3_column_int(st, 7));
    }
    buf_byte(out, ']');
    return rc;
}

int incident_json(struct db *read, str id, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT " COLUMNS " FROM incident WHERE id = ?");
    db_bind_str(st, 1, id);
    int rc = db_step(read, st, e);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return no_incident(id, e);
    put_incident(out, st);
    sqlite3_reset(st);
    rc = put_decisions(read, id, out, e) < 0 || put_mails(read, id, out, e) < 0 ? -1 : 0;
    buf_byte(out, '}');
    return rc;
}
