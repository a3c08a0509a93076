#include "trial.h"
#include "base/str.h"
#include "fold.h"

#define TEST_START (1767225600 * USEC_PER_SEC) /* 2026-01-01: any fixed time would do */
#define FOREVER (400LL * 86400 * USEC_PER_SEC)

struct trial {
    struct fold *fold;
    trial_mail_fn *on_mail;
    void *arg;
    int64_t seen; /* the outbox up to here */
    usec next;    /* when something falls due */
    usec now;
};

struct trial *trial_new(const struct rules_set *s, const struct config *c, trial_mail_fn *on_mail, void *arg)
{
    struct config_recipient all = {.email = (char[]){"ops@example.com"}, .min = 4, .digest_minute = 510};
    struct config one = {.mail = {.url = (char[]){"maildir:."}}, .recipients = &all, .recipients_n = 1};
    struct trial *t = xcalloc(1, sizeof *t);
    t->fold = fold_dry(s, c ? c : &one);
    t->on_mail = on_mail;
    t->arg = arg;
    t->next = INT64_MAX;
    return t;
}

void trial_free(struct trial *t)
{
    if (!t)
        return;
    fold_close(t->fold);
    free(t);
}

static void hand_out(struct trial *t)
{
    struct db *db = fold_dry_db(t->fold);
    struct err e;
    sqlite3_stmt *st = db_stmt(
        db, "SELECT id, kind, rcpt, rule, key, incident, host, subject, event, events, created, rank, signals"
            " FROM outbox WHERE id > ? ORDER BY id");
    sqlite3_bind_int64(st, 1, t->seen);
    while (db_step(db, st, &e) > 0) {
        struct trial_mail m = {.at = sqlite3_column_int64(st, 10),
                               .rank = sqlite3_column_int(st, 11),
                               .signals = (uint64_t)sqlite3_column_int64(st, 12)};
        str *texts[] = {&m.kind, &m.to, &m.rule, &m.key, &m.incident, &m.host, &m.subject, &m.event, &m.events};
        for (int i = 0; i < (int)LENGTH(texts); i++)
            *texts[i] = db_str(st, i + 1);
        t->seen = sqlite3_column_int64(st, 0);
        t->on_mail(&m, t->arg);
    }
}

static void tick(struct trial *t, usec now, bool silence)
{
    struct err e;
    int rc = fold_dry_tick(t->fold, now, silence, &t->next, &e);
    assert(rc == 0);
    (void)rc;
    hand_out(t);
}

/* With INT64_MAX what is absent stays so for ever, and is not told again. */
void trial_until(struct trial *t, usec now)
{
    bool silence = now < INT64_MAX;
    usec end = silence ? now : t->now + FOREVER;
    tick(t, t->now, silence);
    while (t->next <= end) {
        t->now = t->next;
        tick(t, t->now, silence);
    }
    if (silence)
        t->now = now;
}

void trial_event(struct trial *t, str line, usec now)
{
    struct err e;
    if (t->now == 0)
        t->now = now;
    while (t->next <= now) {
        t->now = t->next;
        tick(t, t->now, true);
    }
    t->now = now;
    int rc = fold_dry_event(t->fold, line, now, &e);
    assert(rc == 0);
    (void)rc;
    t->next = now; /* what it changed is looked at with the next one */
}

/* ---- the tests of rule files ---- */

struct tally {
    uint64_t mails, digests, stats;
    int rank; /* of the first mail; 0: none came */
};

static void tally_mail(const struct trial_mail *m, void *arg)
{
    struct tally *t = arg;
    bool first = str_eq(m->kind, S("immediate"));
    if (!first && !str_eq(m->kind, S("digest")))
        return; /* reminders and what is resolved: the same for all rules */
    *(first ? &t->mails : &t->digests) += 1;
    if (t->rank == 0)
        t->rank = m->rank;
}

/* Posts one `send`, through the same reading as a real one. */
static int post(struct trial *t, struct event_writer *w, const struct rule_test_send *s, struct err *e)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->repeat; i++) {
        usec now = TEST_START + s->at + (s->every ? s->every * i : i); /* a microsecond apart */
        struct batch *b = batch_new(RECORD_EVENTS, 1, now);
        size_t used;
        rc = event_add(w, &(struct event_source){.app = s->app, .now = now}, s->json, b, &used, e);
        if (rc == 0)
            trial_event(t, str_n(b->body.p, b->body.n - 1), now);
        batch_free(b);
    }
    return rc;
}

static void put_expected(struct buf *out, const char *name, int64_t n)
{
    if (n >= 0)
        buf_printf(out, " %s%s%lld", name, *name == 'P' ? "" : " ", (long long)n);
}

/* "expected mails 2, got mails 1 digests 0 P3"; nothing when it came as expected. */
static void compare(const struct rule_test *test, const struct tally *got, struct buf *out)
{
    if ((test->mails < 0 || (uint64_t)test->mails == got->mails) &&
        (test->digests < 0 || (uint64_t)test->digests == got->digests) &&
        (test->stats < 0 || (uint64_t)test->stats == got->stats) && (test->rank < 0 || test->rank == got->rank))
        return;
    buf_lit(out, "expected");
    put_expected(out, "mails", test->mails);
    put_expected(out, "digests", test->digests);
    put_expected(out, "stats", test->stats);
    put_expected(out, "P", test->rank);
    buf_printf(out, ", got mails %llu digests %llu", (unsigned long long)got->mails, (unsigned long long)got->digests);
    if (test->stats >= 0)
        buf_printf(out, " stats %llu", (unsigned long long)got->stats);
    if (got->rank)
        buf_printf(out, " P%d", got->rank);
}

static void run_test(const struct rules_set *s, const struct rule *r, const struct rule_test *test, struct buf *why)
{
    struct tally got = {0};
    struct err e;
    struct event_writer *w = event_writer_new();
    struct rules_set *only = rules_only(s, r);
    struct trial *t = trial_new(only, NULL, tally_mail, &got);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < test->send_n; i++)
        if ((rc = post(t, w, &test->send[i], &e)) < 0)
            buf_printf(why, "event %zu was refused: %s: %s", i + 1, e.pointer, e.text);
    if (rc == 0) {
        if (test->until)
            trial_until(t, TEST_START + test->until);
        trial_until(t, INT64_MAX);
        got.stats = fold_dry_counted(t->fold);
        compare(test, &got, why);
    }
    trial_free(t);
    rules_only_free(only);
    event_writer_free(w);
}

size_t trial_selftest(const struct rules_set *s, struct buf *out, size_t *ret_n)
{
    size_t failed = 0, n = 0;
    for (size_t i = 0; i < rules_count(s); i++) {
        const struct rule *r = rules_at(s, i);
        const struct rule_test *tests;
        size_t tests_n = rule_tests(r, &tests);
        for (size_t k = 0; k < tests_n; k++, n++) {
            struct buf why = BUF_INIT(1000);
            run_test(s, r, &tests[k], &why);
            failed += why.n > 0;
            buf_printf(out, "%s %s:%zu:%zu: %s: test %zu", why.n ? "FAIL" : "ok", r->file, tests[k].line,
                       tests[k].column, r->id, k + 1);
            if (why.n)
                buf_printf(out, ": %.*s", STR_ARG(buf_view(&why)));
            buf_byte(out, '\n');
            buf_done(&why);
        }
    }
    *ret_n = n;
    return failed;
}
