/* Runs tests/rules/<case>.{rules,events,expect}: rules over events in event time, compared with the mails that are
 * expected, one a line:  TIME immediate|digest|resolved RANK RULE KEY xSIGNALS
 * Anyone can add a case without C: tests/rules/README.md. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "trial.h"
#include "unit.h"

#include <glob.h>
#include <jansson.h>

static char *read_whole(const char *base, const char *ending, str *ret)
{
    struct buf b = BUF_INIT(16u << 20);
    struct err e;
    char path[300];
    snprintf(path, sizeof path, "%s%s", base, ending);
    if (file_read(path, b.max, &b, &e) < 0) {
        printf("%s\n", e.text);
        abort();
    }
    *ret = buf_view(&b);
    return b.p;
}

static void put_mail(const struct trial_mail *m, void *arg)
{
    char time[TIME_TEXT_MAX];
    time_print(m->at * NSEC_PER_USEC, 0, time);
    buf_printf(arg, "%s %.*s P%d %.*s%s%.*s x%llu\n", time, STR_ARG(m->kind), m->rank, STR_ARG(m->rule),
               m->key.n ? " " : "", STR_ARG(m->key), (unsigned long long)m->signals);
}

static void post(struct trial *t, struct event_writer *w, str line)
{
    struct err e;
    nsec at = 0;
    int severity;
    size_t used;
    json_t *o = json_loadb(line.p, line.n, 0, NULL);
    const char *app = json_string_value(json_object_get(o, "app"));
    struct event_source from = {.app = str_of(app ? app : "test"),
                                .now = 4000000000 * USEC_PER_SEC}; /* any ts is past */
    static usec number;                                            /* so that each has its own id */
    struct batch *b = batch_new(RECORD_EVENTS, 1, from.now + number++);
    if (event_add(w, &from, line, b, &used, &e) < 0) {
        printf("refused: %.*s: %s\n", STR_ARG(line), e.text);
        abort();
    }
    str stored = {b->body.p, b->body.n - 1};
    CHECK(event_peek(stored, &at, &severity));
    trial_event(t, stored, at / NSEC_PER_USEC);
    batch_free(b);
    json_decref(o);
}

/* True when the mails are those of BASE.expect. */
static bool run_case(const char *base)
{
    str rules, events, expect, line;
    struct err e;
    char *texts[] = {read_whole(base, ".rules", &rules), read_whole(base, ".events", &events),
                     read_whole(base, ".expect", &expect)};
    struct rules_set *set = rules_set_new();
    struct buf got = BUF_INIT(16u << 20);
    if (rules_parse(set, base, rules, &e) < 0) {
        printf("%s\n", e.text);
        abort();
    }
    struct event_writer *w = event_writer_new();
    struct trial *t = trial_new(set, NULL, put_mail, &got);
    while (events.p && events.n)
        if ((line = str_trim(str_cut(&events, '\n'))).n)
            post(t, w, line);
    trial_until(t, INT64_MAX);
    bool same = str_eq(buf_view(&got), expect);
    if (!same)
        printf("%s: expected\n%.*sgot\n%.*s", base, STR_ARG(expect), STR_ARG(buf_view(&got)));
    trial_free(t);
    event_writer_free(w);
    rules_set_free(set);
    buf_done(&got);
    for (size_t i = 0; i < LENGTH(texts); i++)
        free(texts[i]);
    return same;
}

TEST(golden_cases_send_the_mails_that_are_expected)
{
    glob_t found;
    CHECK_INT(glob("tests/rules/*.rules", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char base[300];
        snprintf(base, sizeof base, "%.*s", (int)(strlen(found.gl_pathv[i]) - strlen(".rules")), found.gl_pathv[i]);
        CHECK(run_case(base));
    }
    CHECK(found.gl_pathc >= 5);
    globfree(&found);
}

UNIT_MAIN
