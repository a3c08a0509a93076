/* Two answers to one question: quiet.c decides in memory which signals are mailed, for tests and replays, and
 * notify/incidents.c decides it in SQL, for the server. They must say the same. */
#include "base/hash.h"
#include "notify/notify.h"
#include "rules/quiet.h"
#include "unit.h"

#include <unistd.h>

#define MINUTE (60 * USEC_PER_SEC)
#define START (1767225600 * USEC_PER_SEC)

static struct err e;
static struct arena arena;
static struct buf said = BUF_INIT(4u << 20); /* by quiet: "TIME KEY first|digest N\n" */

static void put_said(usec at, str key, bool first, uint64_t n)
{
    buf_printf(&said, "%lld %.*s %s %llu\n", (long long)at, STR_ARG(key), first ? "first" : "digest",
               (unsigned long long)n);
}

/* What the incidents decided, in the same words. */
static void read_decisions(struct db *db, struct buf *out)
{
    sqlite3_stmt *st = db_stmt(
        db, "SELECT d.time, i.key, d.verdict, d.reason FROM decision d JOIN incident i ON i.id = d.incident"
            " WHERE d.verdict IN ('mailed', 'digested') ORDER BY d.rowid");
    while (db_step(db, st, &e) > 0) {
        str reason = db_str(st, 3);
        reason = str_skip(reason, (size_t)str_find(reason, S(", ")) + 2);
        str n = str_cut(&reason, ' '); /* "first mail to 1 recipient, 3 signals" */
        buf_printf(out, "%lld %.*s %s %.*s\n", (long long)sqlite3_column_int64(st, 0), STR_ARG(db_str(st, 1)),
                   str_eq(db_str(st, 2), S("mailed")) ? "first" : "digest", STR_ARG(n));
    }
}

struct pair {
    struct incidents *in;
    struct quiet *q;
    usec next; /* when the incidents want to be looked at */
    struct event *ev;
    char id[EVENT_ID_LEN];
};

/* Both hand out what falls due up to `now`, each at its own time. */
static void run_until(struct pair *p, usec now)
{
    struct quiet_due due;
    while (p->next <= now)
        CHECK_INT(incidents_tick(p->in, p->next, &p->next, &e), 0);
    while (quiet_due(p->q, now, &due))
        put_said(due.at, due.key, due.first, due.held);
}

static void signal_both(struct pair *p, const char *key, usec wait, usec now)
{
    event_id_print(now, 0, p->id); /* an incident is named after its first event */
    p->ev->id = str_n(p->id, EVENT_ID_LEN);
    struct signal s = {.rule = S("r"),
                       .why = S("w"),
                       .run = S(""),
                       .key = str_of(key),
                       .rank = 2,
                       .digest = 10 * MINUTE,
                       .wait = wait,
                       .app = S("a"),
                       .env = S(""),
                       .title = S("t"),
                       .event = p->ev};
    CHECK_INT(incidents_signal(p->in, &s, now, &arena, &e), 0);
    CHECK_INT(incidents_tick(p->in, now, &p->next, &e), 0);
    if (quiet_offer(p->q, str_of(key), wait, 10 * MINUTE, now) == QUIET_SEND)
        put_said(now, s.key, true, 1);
    arena_reset(&arena);
}

/* Signals of five keys in bursts and silences; two of the keys wait a minute. */
static void random_signals(struct pair *p, uint64_t seed)
{
    usec now = START;
    for (int i = 0; i < 2000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned k = (unsigned)(seed >> 60) % 5;
        char key[] = {'k', '=', (char)('0' + k), '\0'};
        now += 1 + (usec)(seed >> 20) % ((seed >> 50) % 10 == 0 ? 300 * MINUTE : 3 * MINUTE);
        run_until(p, now);
        signal_both(p, key, k < 2 ? MINUTE : 0, now);
    }
    run_until(p, now + 100 * 24 * 60 * MINUTE);
}

TEST(incidents_in_sql_send_what_quiet_sends)
{
    char dir[] = "/tmp/test_quiet.XXXXXX", path[64];
    struct config c = {.mail = {.url = (char[]){"maildir:x"}}, .recipients_n = 1};
    struct config_recipient to = {.email = (char[]){"a@b.c"}, .min = 5};
    struct event *ev = xcalloc(1, sizeof *ev);
    struct buf decided = BUF_INIT(4u << 20);
    const char *steps[] = {notify_schema};
    struct db *db;
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    printf("seed %llu\n", (unsigned long long)seed);
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/db", dir);
    CHECK_INT(db_open(path, DB_NORMAL, steps, 1, &db, &e), 0);
    CHECK_INT(db_begin(db, &e), 0);
    c.recipients = &to;
    ev->line = S("{}");
    struct pair p = {.in = incidents_new(db), .q = quiet_new(100), .next = INT64_MAX, .ev = ev};
    incidents_config(p.in, &c, "http://h");
    random_signals(&p, seed);
    read_decisions(db, &decided);
    CHECK(said.n > 5000);
    for (str a = buf_view(&said), b = buf_view(&decided); a.n || b.n;) {
        str x = str_cut(&a, '\n'), y = str_cut(&b, '\n');
        if (!str_eq(x, y)) {
            CHECK_STR(y, x);
            break;
        }
    }
    incidents_free(p.in);
    quiet_free(p.q);
    CHECK_INT(db_commit(db, &e), 0);
    db_close(db);
    unlink(path);
    CHECK_INT(rmdir(dir), 0);
    buf_done(&decided);
    buf_done(&said);
    arena_done(&arena);
    free(ev);
}

UNIT_MAIN
