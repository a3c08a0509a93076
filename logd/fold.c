/* fold.c - see fold.h.
 *
 * One transaction holds up to 4,096 records or a second of work, whatever comes first, so that SQLite's commit does not set the
 * pace. One that has many events already waits for more of them until then: a row that each of them changes is written
 * once, not once for each few of them. For the same reason it goes on for three seconds while the next record is always there
 * already: then this is behind, and what helps most is to catch up. A record that cannot be applied (a damaged line) is logged
 * and passed over: it never stops the rest. */
#include "fold-private.h"
#include "facts.h"
#include "users.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "journal/journal.h"
#include "notify/links.h"
#include "routes/auth.h"

#include <unistd.h>

#define TRANSACTION_RECORDS 4096
#define TRANSACTION_US 1000000
#define BEHIND_US 3000000 /* when another record waits all the time */
#define MANY_EVENTS 2000
#define IDLE_US 200000
#define STATS_TICK_US (3600 * USEC_PER_SEC)

/* ---- one event ---- */
struct firing { /* what a rule needs to know of the event it fires for */
    struct fold *f;
    const struct event *ev;       /* NULL: time alone fired it */
    const struct fingerprint *fp; /* NULL: no issue */
    bool muted;
    usec now;
};

/* Written once a transaction. */
struct fired {
    usec last;
    int64_t n;
};

static void note_fired(struct fold *f, const struct rule *r, usec now)
{
    struct fired *x = map_get(&f->fired, str_of(r->id));
    if (!x)
        map_set(&f->fired, str_of(r->id), x = xcalloc(1, sizeof *x));
    x->last = now;
    x->n++;
}

void fold_forget_fired(struct fold *f)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&f->fired, &i));)
        free(slot->value);
    map_done(&f->fired);
}

static int write_fired(struct fold *f, struct err *e)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&f->fired, &i));) {
        const struct fired *x = slot->value;
        sqlite3_stmt *st = db_stmt(f->db, "INSERT INTO rule_fired VALUES(?1, ?2, ?3) ON CONFLICT(rule) DO"
                                          " UPDATE SET last = excluded.last, signals = signals + excluded.signals");
        db_bind_str(st, 1, str_n(slot->key, slot->key_n));
        sqlite3_bind_int64(st, 2, x->last);
        sqlite3_bind_int64(st, 3, x->n);
        if (db_run(f->db, st, e) < 0)
            return -1;
    }
    fold_forget_fired(f);
    return 0;
}

/* "44 points: error 22, never seen 22" */
static str points_of(const struct rules_signal *s, struct arena *a)
{
    struct {
        const char *name;
        int n;
    } of[] = {{"level", s->points.level},
              {"the rule fired", s->points.rule},
              {"news", s->points.novelty},
              {"rise", s->points.rate},
              {"attack", s->points.auth}};
    if (s->pinned)
        return S("the rule says so");
    struct buf b = BUF_INIT(300);
    buf_printf(&b, "%d points", s->score);
    for (size_t i = 0, n = 0; i < LENGTH(of); i++)
        if (of[i].n)
            buf_printf(&b, "%s%s %d", n++ ? ", " : ": ", of[i].name, of[i].n);
    str kept = arena_str(a, buf_view(&b));
    buf_done(&b);
    return kept;
}

static int on_signal(const struct rules_signal *s, void *arg)
{
    struct firing *x = arg;
    struct arena *a = &x->f->arena;
    /* An issue has its own title; what is no issue is told by the rule: who and how many, not one of the many lines. */
    str title = x->fp ? str_of(x->fp->title)
                      : str_of(arena_printf(a, s->key.n ? "%s (%.*s)" : "%s", s->rule->why, STR_ARG(s->key)));
    struct signal out = {.rule = str_of(s->rule->id),
                         .why = str_of(s->rule->why),
                         .run = str_of(s->rule->run ? s->rule->run : ""),
                         .key = s->key,
                         .rank = s->rank,
                         .digest = s->rule->digest,
                         .wait = s->rule->wait,
                         .app = x->ev ? x->ev->app : rules_key_field(s->key, S("app")),
                         .env = x->ev ? event_text(x->ev, S("env"), a) : rules_key_field(s->key, S("env")),
                         .host = x->ev ? event_text(x->ev, S("host"), a) : rules_key_field(s->key, S("host")),
                         .subject = x->ev ? event_text(x->ev, S("auth.user"), a) : (str){0},
                         .detail = str_of(s->detail),
                         .points = points_of(s, a),
                         .score = s->score,
                         .inhibited_by = str_of(s->rule->inhibited_by ? s->rule->inhibited_by : ""),
                         .title = title,
                         .issue = x->fp ? str_of(x->fp->id) : (str){0},
                         .muted = x->muted &&
                                  rules_key_field(s->key, S("fingerprint")).n, /* it is the issue that fires */
                         .event = x->ev};
    x->f->stats.signals++;
    note_fired(x->f, s->rule, x->now);
    return incidents_signal(x->f->incidents, &out, x->now, a, &x->f->error);
}

static const struct rules_set *rules_of(const struct fold *f) { return f->borrowed ? f->borrowed : f->rules; }

static int on_stat(const struct rules_stat *stat, void *arg)
{
    struct firing *x = arg;
    x->f->stats.counted++;
    return counted_add(x->f->counted, x->f->app, stat, &x->f->error);
}

/* Most lines tell nothing that anybody here wants to know, and that shows without reading them. */
static bool concerns_nobody(const struct fold *f, str line, usec now)
{
    nsec time;
    int severity;
    return event_peek(line, &time, &severity) && !fingerprint_possible(line, severity) &&
           !rules_concern(rules_of(f), f->memory, line, severity, time, now);
}

int fold_apply_event(struct fold *f, str line, usec now, struct err *e)
{
    struct fingerprint fp;
    struct issue_seen seen = {0};
    struct err why;
    f->stats.events++;
    if (concerns_nobody(f, line, now))
        return 0;
    arena_reset(&f->arena);
    if (event_read(line, f->event, &f->arena, &why) < 0) {
        log_error("rules", "what=\"a damaged line was passed over\" why=\"%s\"", why.text);
        return 0;
    }
    bool has_issue;
    if (issues_fingerprint(f->issues, f->event, now, &f->arena, &has_issue, &fp, e) < 0)
        return -1;
    if (has_issue && issues_apply(f->issues, f->event, &fp, now, &seen, &f->arena, e) < 0)
        return -1;
    struct firing x = {f, f->event, has_issue ? &fp : NULL, seen.muted, now};
    struct rules_input in = {.on_stat = on_stat,
                             .event = f->event,
                             .fingerprint = has_issue ? str_of(fp.id) : (str){0},
                             .fresh = seen.fresh,
                             .regressed = seen.regressed,
                             .now = now};
    if (rules_eval(rules_of(f), f->memory, &in, on_signal, &x, &f->arena) < 0) {
        *e = f->error;
        return -1;
    }
    return incidents_event_done(f->incidents, now, e);
}

/* ---- the clock ---- */
/* How far the clock would be ahead of `wall`, had it only run on since it was noted. */
static usec ahead(const struct fold *f, usec wall) { return f->wall + (f->mono ? clock_mono() - f->mono : 0) - wall; }

/* How far the clock was set back since; 0: it was not, or by less than a second. */
static usec set_back(const struct fold *f, usec wall)
{
    usec back = ahead(f, wall);
    return back >= USEC_PER_SEC ? back : 0;
}

static void note_clock(struct fold *f, usec wall)
{
    f->wall = wall;
    f->mono = clock_mono();
}

/* ---- one record ---- */
static usec now_of(struct fold *f, const struct record *rec)
{
    usec wall = clock_now(), now = rec->recv_us < wall ? rec->recv_us : wall;
    if (ahead(f, wall) <= -USEC_PER_SEC) /* set forward: what is begun now waits for this clock */
        note_clock(f, wall);
    return f->now = now > f->now ? now : f->now;
}

static int apply_action(struct fold *f, const struct record *rec, usec now, struct err *e)
{
    str rest = rec->body;
    while (rest.n) {
        str line = str_cut(&rest, '\n');
        if (str_starts(line, S("{\"issue\":")) ? issues_action(f->issues, line, now, e) < 0
                                               : incidents_action(f->incidents, line, now, e) < 0)
            return -1;
    }
    return 0;
}

static int apply(struct fold *f, const struct record *rec, struct err *e)
{
    usec now = now_of(f, rec);
    f->app = rec->app;
    switch (rec->type) {
    case RECORD_EVENTS:
        for (str rest = rec->body; rest.n;)
            if (fold_apply_event(f, str_cut(&rest, '\n'), now, e) < 0)
                return -1;
        return 0;
    case RECORD_STATS: return counted_apply(f->counted, rec->app, rec->body, e);
    case RECORD_ACTION: return apply_action(f, rec, now, e);
    case RECORD_UNIQUE: return uniques_apply(f->uniques, rec->app, rec->body, e);
    }
    log_warn("rules", "what=\"a record of an unknown type was passed over\" seq=%llu", (unsigned long long)rec->seq);
    return 0;
}

static int follow_back(struct fold *f, usec back, usec wall, struct err *e)
{
    log_warn("rules", "what=\"the clock was set back, what waits moves with it\" seconds=%lld",
             (long long)(back / USEC_PER_SEC));
    rules_memory_set_back(f->memory, back);
    f->now -= back;
    f->stats_due = f->watch_due = 0;
    f->watched = (struct watched){0};
    note_clock(f, wall);
    return incidents_set_back(f->incidents, back, e);
}

/* ---- the transaction ---- */
int fold_tick_alerts(struct fold *f, usec now, bool silence, struct err *e)
{
    struct firing x = {.f = f, .now = now};
    usec issues_due;
    arena_reset(&f->arena);
    if (silence && rules_tick(rules_of(f), f->memory, now, on_signal, &x, &f->arena) < 0) {
        *e = f->error;
        return -1;
    }
    if (issues_tick(f->issues, now, &issues_due, e) < 0 || incidents_tick(f->incidents, now, &f->tick_due, e) < 0)
        return -1;
    if (issues_due < f->tick_due)
        f->tick_due = issues_due;
    if (silence && rules_memory_due(f->memory) < f->tick_due)
        f->tick_due = rules_memory_due(f->memory);
    return 0;
}

static int on_watched(str line, const char *name, bool hours, void *arg, struct err *e)
{
    struct fold *f = arg;
    struct firing x = {.f = f, .now = f->watch_now};
    arena_reset(&f->arena);
    if (event_read(line, f->event, &f->arena, e) < 0)
        return -1;
    struct rules_input in = {.watched = name, .watched_hours = hours, .event = f->event, .now = f->watch_now};
    if (rules_eval(rules_of(f), f->memory, &in, on_signal, &x, &f->arena) < 0) {
        *e = f->error;
        return -1;
    }
    return incidents_event_done(f->incidents, f->watch_now, e);
}

static int tick(struct fold *f, usec now, struct err *e)
{
    f->watch_now = now;
    if (now >= f->watch_due &&
        watched_look(&f->watched, f->db, f->parts->auth, rules_of(f), now, &f->watch_due, on_watched, f, e) < 0)
        return -1;
    if (now >= f->stats_due) {
        int more = stats_tick(f->db, now, e);
        if (more < 0)
            return -1;
        f->stats_due = more ? now : now + STATS_TICK_US;
    }
    if (fold_tick_alerts(f, now, true, e) < 0)
        return -1;
    if (f->watch_due < f->tick_due)
        f->tick_due = f->watch_due;
    return 0;
}

/* Periods of unique counts that are over become numbers, when no record of theirs can wait any more. */
static int seal(struct fold *f, usec now, struct err *e)
{
    secrets_tick(f->parts->secrets, now);
    if (now >= f->seal_due && uniques_seal(f->uniques, now, &f->scrub, e) < 0)
        return -1;
    return uniques_flush(f->uniques, e);
}

static int commit(struct fold *f, uint64_t position, struct err *e)
{
    if (counted_flush(f->counted, e) < 0 || issues_flush(f->issues, e) < 0 || uniques_flush(f->uniques, e) < 0 ||
        fold_memory_save(f, e) < 0 || write_fired(f, e) < 0)
        return -1;
    sqlite3_stmt *st = db_stmt(f->db, "UPDATE position SET seq = ?, clock = ?");
    sqlite3_bind_int64(st, 1, (sqlite3_int64)position);
    usec wall = clock_now();
    sqlite3_bind_int64(st, 2, wall + set_back(f, wall)); /* what is still to be followed, also by another process */
    return db_run(f->db, st, e) < 0 || db_commit(f->db, e) < 0 ? -1 : 0;
}

static void moved(struct fold *f, uint64_t position)
{
    pthread_mutex_lock(&f->lock);
    f->position = position;
    pthread_cond_broadcast(&f->moved);
    pthread_mutex_unlock(&f->lock);
    if (f->parts->mailer)
        mailer_wake(f->parts->mailer);
}

/* After a failed transaction: memory is what fold.db says again, and the reader goes back. */
static int start_over(struct fold *f, struct err *e)
{
    db_rollback(f->db);
    issues_forget(f->issues);
    incidents_forget(f->incidents);
    uniques_forget(f->uniques);
    fold_forget_fired(f);
    counted_forget(f->counted);
    rules_memory_free(f->memory);
    f->memory = rules_memory_new();
    journal_reader_close(f->reader);
    f->reader = NULL;
    f->now = 0;
    return fold_memory_load(f, e) < 0 || journal_reader_open(f->parts->journal, f->position, &f->reader, e) < 0 ? -1
                                                                                                                : 0;
}

static void take_changes(struct fold *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->next_rules) {
        rules_set_free(f->rules);
        f->rules = f->next_rules;
        f->next_rules = NULL;
    }
    pthread_mutex_unlock(&f->lock);
    const struct config *c = f->parts->config;
    if (c != f->config) {
        uint8_t key[32];
        auth_server_key(f->parts->auth, LINK_KEY, key);
        incidents_config(f->incidents, c, f->parts->url ? f->parts->url : c->url, key);
        uniques_noise(f->uniques, c->unique_noise);
        f->config = c;
        counted_zone(f->counted, c->stats.zone);
    }
}

/* How long a transaction that began then waits for one more record. */
static usec linger(const struct fold *f, usec begun, uint64_t events)
{
    usec left = begun + TRANSACTION_US - clock_mono();
    return events >= MANY_EVENTS && left > 0 && !f->stopping ? left : 0;
}

/* Waits for a first record, then takes what is there; 1 something was done, 0 nothing came. */
static int work(struct fold *f, struct err *e)
{
    struct record rec;
    usec now = clock_now(), wait = f->tick_due - now < IDLE_US ? (f->tick_due > now ? f->tick_due - now : 0) : IDLE_US;
    int got = journal_reader_next(f->reader, wait, &rec, e);
    if (got < 0)
        return -1;
    usec wall = clock_now(), back = set_back(f, wall);
    if (f->scrub && uniques_scrub(f->db))
        f->scrub = false;
    bool due = clock_now() >= f->tick_due || clock_now() >= f->seal_due || atomic_exchange(&f->tick_now, false);
    if (got == 0 && !due && !back) {
        note_clock(f, wall);
        return 0;
    }
    take_changes(f);
    uint64_t position = f->position, events = f->stats.events;
    usec begun = clock_mono();
    if (db_begin(f->db, e) < 0)
        return -1;
    if (back && follow_back(f, back, wall, e) < 0)
        return -1;
    for (int n = 0; got > 0;) {
        if (apply(f, &rec, e) < 0)
            return -1;
        position = rec.seq;
        if (++n == TRANSACTION_RECORDS || clock_mono() - begun > BEHIND_US)
            break;
        if ((got = journal_reader_next(f->reader, linger(f, begun, f->stats.events - events), &rec, e)) < 0)
            return -1;
    }
    /* While more waits to be read, nobody is silent yet. */
    if (tick(f, got > 0 ? f->now : clock_now(), e) < 0 || (got == 0 && seal(f, clock_now(), e) < 0) ||
        commit(f, position, e) < 0)
        return -1;
    f->seal_due = uniques_due(f->uniques);
    if (!set_back(f, wall = clock_now())) /* in the middle of this transaction: the next one follows */
        note_clock(f, wall);
    moved(f, position);
    return 1;
}

static void *fold_main(void *arg)
{
    struct fold *f = arg;
    pthread_setname_np(pthread_self(), "rules");
    while (!f->stopping) {
        struct err e, again;
        if (work(f, &e) >= 0)
            continue;
        log_error("rules", "what=\"the fold cannot go on, trying again\" why=\"%s\"", e.text);
        do
            usleep(500000);
        while (!f->stopping && start_over(f, &again) < 0);
    }
    return NULL;
}

/* ---- opening ---- */
static bool rule_at(void *arg, size_t i, str *ret_id)
{
    const struct rules_set *set = rules_of(arg);
    if (!set || i >= rules_count(set))
        return false;
    *ret_id = str_of(rules_at(set, i)->id);
    return true;
}

int fold_open(struct parts *p, const char *db_path, struct fold **ret, struct err *e)
{
    const char *const steps[] = {"CREATE TABLE position(seq INTEGER NOT NULL); INSERT INTO position VALUES(0);"
                                 "CREATE TABLE rules_memory(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
                                 issues_schema,
                                 notify_schema,
                                 stats_schema,
                                 "CREATE TABLE rule_fired(rule TEXT PRIMARY KEY, last INTEGER NOT NULL,"
                                 " signals INTEGER NOT NULL) WITHOUT ROWID;",
                                 issues_schema_releases,
                                 issues_schema_learned,
                                 stats_schema_types,
                                 "ALTER TABLE position ADD COLUMN clock INTEGER NOT NULL DEFAULT 0;",
                                 unique_schema,
                                 issues_schema_life,
                                 stats_schema_packed,
                                 notify_schema_strands,
                                 issues_schema_grouping,
                                 notify_schema_silences,
                                 unique_schema_noise,
                                 issues_schema_grouping_3,
                                 notify_schema_indexes,
                                 issues_schema_grouping_4,
                                 issues_schema_causes,
                                 notify_schema_people,
                                 notify_schema_weekly,
                                 notify_schema_reminders,
                                 notify_schema_channels,
                                 "CREATE TABLE rules_memory_log(id INTEGER PRIMARY KEY, entries BLOB NOT NULL)",
                                 notify_schema_trouble};
    struct fold *f = xcalloc(1, sizeof *f);
    pthread_condattr_t attr;
    f->parts = p;
    f->path = xstrdup(db_path);
    f->memory = rules_memory_new();
    f->event = xmalloc(sizeof *f->event);
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->moved, &attr);
    pthread_condattr_destroy(&attr);
    if (db_open(db_path, DB_NORMAL, steps, LENGTH(steps), &f->db, e) < 0)
        goto fail;
    sqlite3_stmt *st = db_stmt(f->db, "SELECT seq, clock FROM position");
    /* What is deleted is wiped, for good: sketches of unique counts, bits of an issue's users. */
    if (db_exec(f->db, "PRAGMA secure_delete = ON", e) < 0 || db_step(f->db, st, e) < 0)
        goto fail;
    f->position = (uint64_t)sqlite3_column_int64(st, 0);
    f->wall = sqlite3_column_int64(st, 1);
    sqlite3_reset(st);
    if (fold_memory_load(f, e) < 0)
        goto fail;
    f->counted = counted_new(f->db);
    f->issues = issues_new(f->db, &users_sketch);
    f->incidents = incidents_new(f->db);
    incidents_facts(f->incidents, facts_of_issue);
    incidents_rules(f->incidents, rule_at, f);
    f->uniques = uniques_new(f->db);
    f->scrub = true; /* it may have ended between a seal and this */
    *ret = f;
    return 0;
fail:
    fold_close(f);
    return -1;
}

int fold_start(struct fold *f, struct err *e)
{
    if (journal_reader_open(f->parts->journal, f->position, &f->reader, e) < 0)
        return -1;
    usec slept = clock_now() - f->wall;
    if (f->wall && slept > 0)
        rules_memory_slept(f->memory, slept);
    int rc = pthread_create(&f->thread, NULL, fold_main, f);
    assert(rc == 0);
    (void)rc;
    f->started = true;
    return 0;
}

void fold_stop(struct fold *f)
{
    f->stopping = true;
    if (f->started) {
        if (f->reader)
            journal_reader_stop(f->reader);
        pthread_join(f->thread, NULL);
    }
    f->started = false;
    journal_reader_close(f->reader);
    f->reader = NULL;
}

void fold_close(struct fold *f)
{
    assert(!f->started);
    issues_free(f->issues);
    incidents_free(f->incidents);
    uniques_free(f->uniques);
    fold_forget_fired(f);
    rules_memory_free(f->memory);
    rules_set_free(f->rules);
    rules_set_free(f->next_rules);
    counted_free(f->counted);
    db_close(f->db);
    arena_done(&f->arena);
    pthread_cond_destroy(&f->moved);
    pthread_mutex_destroy(&f->lock);
    free(f->event);
    free(f->path);
    free(f);
}
