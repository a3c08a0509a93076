/* rules/trial.c - see trial.h; and the `tests:` that stand in rule files. */
#include "rules/trial.h"
#include "base/map.h"
#include "base/str.h"
#include "rules/condition.h"
#include "rules/quiet.h"

#define TEST_START (1767225600 * USEC_PER_SEC) /* 2026-01-01: any fixed time would do */

struct incident {
    const struct rule *rule;
    char *key, *event;
    int rank;
};
struct trial {
    const struct rules_set *set;
    struct rules_set one; /* when only one rule is tried */
    struct rule *only, rule;
    struct rules_memory *memory;
    struct quiet *quiet;
    struct map seen;      /* fingerprints */
    struct map incidents; /* of (rule, key), as quiet names them */
    rules_fingerprint_fn *fingerprint;
    trial_mail_fn *on_mail;
    void *arg;
    uint64_t stats;     /* numbers that rules added to theirs */
    struct arena arena; /* one event */
    usec now;
};

/* ---- one event ---- */

static bool plain_fingerprint(const struct event *ev, struct arena *a, str *ret)
{
    static const str names[] = {S("error.type"), S("type"), S("message")};
    for (size_t i = 0; i < LENGTH(names); i++)
        if ((*ret = event_text(ev, names[i], a)).n > 0)
            return true;
    return false;
}

struct trial *trial_new(const struct rules_set *s, const struct rule *only, rules_fingerprint_fn *fingerprint,
                        trial_mail_fn *on_mail, void *arg)
{
    struct trial *t = xcalloc(1, sizeof *t);
    t->set = s;
    if (only) { /* also one that is not enabled */
        t->rule = *only;
        t->rule.enabled = true;
        t->only = &t->rule;
        t->one = (struct rules_set){.rules = &t->only, .n = 1, .asks_known_ip = s->asks_known_ip};
        t->set = &t->one;
    }
    t->memory = rules_memory_new();
    t->quiet = quiet_new(RULES_KEYS_MAX);
    t->fingerprint = fingerprint ? fingerprint : plain_fingerprint;
    t->on_mail = on_mail;
    t->arg = arg;
    return t;
}

static void incident_free(struct incident *i)
{
    if (!i)
        return;
    free(i->key);
    free(i->event);
    free(i);
}

void trial_free(struct trial *t)
{
    struct map_slot *slot;
    if (!t)
        return;
    for (size_t i = 0; (slot = map_next(&t->incidents, &i));)
        incident_free(slot->value);
    map_done(&t->incidents);
    map_done(&t->seen);
    quiet_free(t->quiet);
    rules_memory_free(t->memory);
    arena_done(&t->arena);
    free(t);
}

static void send_mail(struct trial *t, const struct incident *i, usec at, bool digest, uint64_t signals)
{
    struct trial_mail m = {.at = at,
                           .digest = digest,
                           .rule = i->rule,
                           .key = str_of(i->key),
                           .rank = i->rank,
                           .signals = signals,
                           .event = str_of(i->event)};
    t->on_mail(&m, t->arg);
}

/* The incident that a signal opens or joins; a rank only rises. */
static struct incident *join(struct trial *t, str name, const struct rules_signal *s)
{
    struct incident *i = quiet_open(t->quiet, name) ? map_get(&t->incidents, name) : NULL;
    if (!i) {
        incident_free(map_del(&t->incidents, name));
        i = xcalloc(1, sizeof *i);
        *i = (struct incident){s->rule, str_dup(s->key), str_dup(s->event ? s->event->id : S("")), s->rank};
        map_set(&t->incidents, name, i);
    }
    if (s->rank < i->rank)
        i->rank = s->rank;
    return i;
}

static int on_signal(const struct rules_signal *s, void *arg)
{
    struct trial *t = arg;
    str name = str_of(arena_printf(&t->arena, "%s\x1f%.*s", s->rule->id, STR_ARG(s->key)));
    struct incident *i = join(t, name, s);
    if (quiet_offer(t->quiet, name, s->rule->wait, s->rule->digest, t->now) == QUIET_SEND)
        send_mail(t, i, t->now, false, 1);
    return 0;
}

static int on_stat(const struct rules_stat *s, void *arg)
{
    struct trial *t = arg;
    (void)s;
    t->stats++;
    return 0;
}

/* Whichever falls due first: a silence, or a mail. */
void trial_until(struct trial *t, usec now)
{
    struct quiet_due due;
    for (;;) {
        usec silence = now < INT64_MAX ? rules_memory_due(t->memory) : INT64_MAX, mail = quiet_next(t->quiet);
        usec next = silence < mail ? silence : mail;
        if (next > now || next == INT64_MAX)
            return;
        if (silence <= mail) {
            arena_reset(&t->arena);
            t->now = next;
            int rc = rules_tick(t->set, t->memory, next, on_signal, t, &t->arena);
            assert(rc == 0);
            (void)rc;
        } else if (quiet_due(t->quiet, next, &due) && !str_eq(due.key, QUIET_OTHERS))
            send_mail(t, map_get(&t->incidents, due.key), due.at, !due.first, due.held);
    }
}

void trial_event(struct trial *t, const struct event *ev, usec now)
{
    str fingerprint = {0};
    arena_reset(&t->arena);
    trial_until(t, now);
    t->now = now;
    bool issue = t->fingerprint(ev, &t->arena, &fingerprint);
    struct rules_input in = {.on_stat = on_stat,
                             .event = ev,
                             .fingerprint = issue ? fingerprint : (str){0},
                             .fresh = issue && !map_get(&t->seen, fingerprint),
                             .now = now};
    if (in.fresh)
        map_set(&t->seen, fingerprint, t);
    int rc = rules_eval(t->set, t->memory, &in, on_signal, t, &t->arena);
    assert(rc == 0);
    (void)rc;
    str key, blob;
    while (rules_memory_dirty_next(t->memory, &key, &blob)) /* nothing is kept */
        ;
}

/* ---- the tests of rule files ---- */

struct tally {
    uint64_t mails, digests, stats;
    int rank; /* of the first mail; 0: none came */
};

static void tally_mail(const struct trial_mail *m, void *arg)
{
    struct tally *t = arg;
    *(m->digest ? &t->digests : &t->mails) += 1;
    if (t->rank == 0)
        t->rank = m->rank;
}

/* Posts one `send`, through the same reading as a real one. */
static int post(struct trial *t, struct event_writer *w, const struct rule_test_send *s, struct event *ev,
                struct err *e)
{
    struct arena a = {0};
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->repeat; i++) {
        usec now = TEST_START + s->at + (s->every ? s->every * i : i); /* a microsecond apart */
        struct batch *b = batch_new(RECORD_EVENTS, 1, now);
        size_t used;
        rc = event_add(w, &(struct event_source){.app = s->app, .now = now}, s->json, b, &used, e);
        if (rc == 0)
            rc = event_read(str_cut(&(str){b->body.p, b->body.n}, '\n'), ev, &a, e);
        if (rc == 0)
            trial_event(t, ev, now);
        batch_free(b);
        arena_reset(&a);
    }
    arena_done(&a);
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

static void run_test(const struct rules_set *s, const struct rule *r, const struct rule_test *test,
                     rules_fingerprint_fn *fingerprint, struct buf *why)
{
    struct tally got = {0};
    struct err e;
    struct event *ev = xmalloc(sizeof *ev);
    struct event_writer *w = event_writer_new();
    struct trial *t = trial_new(s, r, fingerprint, tally_mail, &got);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < test->send_n; i++)
        if ((rc = post(t, w, &test->send[i], ev, &e)) < 0)
            buf_printf(why, "event %zu was refused: %s: %s", i + 1, e.pointer, e.text);
    if (rc == 0) {
        if (test->until)
            trial_until(t, TEST_START + test->until);
        trial_until(t, INT64_MAX);
        got.stats = t->stats;
        compare(test, &got, why);
    }
    trial_free(t);
    event_writer_free(w);
    free(ev);
}

size_t rules_selftest(const struct rules_set *s, rules_fingerprint_fn *fingerprint, struct buf *out, size_t *ret_n)
{
    size_t failed = 0, n = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->rules[i]->cond->tests_n; k++, n++) {
            const struct rule *r = s->rules[i];
            const struct rule_test *test = &r->cond->tests[k];
            struct buf why = BUF_INIT(1000);
            run_test(s, r, test, fingerprint, &why);
            failed += why.n > 0;
            buf_printf(out, "%s %s:%zu:%zu: %s: test %zu", why.n ? "FAIL" : "ok", r->file, test->line, test->column,
                       r->id, k + 1);
            if (why.n)
                buf_printf(out, ": %.*s", STR_ARG(buf_view(&why)));
            buf_byte(out, '\n');
            buf_done(&why);
        }
    *ret_n = n;
    return failed;
}
