#include "unit.h"
#include "issues/templates.h"

#include <sys/resource.h>

static struct pair {
    uint64_t from, into;
} joined[4096];
static size_t njoined;

static void on_join(void *arg, uint64_t from, uint64_t into)
{
    (void)arg;
    if (njoined < LENGTH(joined))
        joined[njoined++] = (struct pair){from, into};
}

static struct template_found offer(struct templates *t, uint64_t scope, const char *message)
{
    static struct shape s;
    shape_read(str_of(message), &s);
    return templates_offer(t, scope, shape_id(scope, &s), str_of(message), &s);
}

static uint64_t now(uint64_t id)
{
    for (size_t i = 0; i < njoined; i++)
        if (joined[i].from == id)
            id = joined[i].into;
    return id;
}

static struct templates *fresh(void)
{
    njoined = 0;
    return templates_new(on_join, NULL);
}

TEST(values_are_seen_and_words_are_kept)
{
    static const char *const cases[][2] = {
        {"user 12 not found", "user <*> not found"},
        {"took 12.5 ms for 3 KiB (4 files)", "took <*> for <*> (<*> files)"},
        {"ports 1, 2, 3 busy", "ports <*> busy"},
        {"at Sat Jun 18 02:08:12 2005 from 10.0.0.1:80", "at <*> from <*>"},
        {"can't open '/a/b': No such file or directory", "can't open <*>: No such file or directory"},
        {"1.2.3.4 \"GET /x/1 HTTP/1.1\" status: 200", "<*> \"GET <*> HTTP/1.1\" status: <*>"},
        {"web:443 is utf-8 and SHA256", "web:<*> is utf-8 and SHA256"},
        {"job 3f2b8c1e-0d4a-4f7e-9c55-8a1b2c3d4e5f died", "job <*> died"},
        {"see https://a.example/x?y=1, a@b.example and C:\\x\\y", "see <*> and <*>"},
        {"node-12 (10.0.0.1) says blk_-17", "<*> says <*>"},
        {"ok=true name=false positive", "ok=<*> name=<*> positive"},
        {"by=User{7} from ::ffff:10.0.0.1", "by=<*> from <*>"},
        {"read /a/b. Then stopped...", "read <*> Then stopped."},
        {"", ""},
        {"?", "?"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        static struct shape s;
        struct buf out = BUF_INIT(10000);
        shape_read(str_of(cases[i][0]), &s);
        shape_print(str_of(cases[i][0]), &s, &out);
        CHECK_STR(buf_view(&out), str_of(cases[i][1]));
        buf_done(&out);
    }
}

TEST(a_place_with_enough_different_words_is_a_value_and_the_oldest_id_stays)
{
    struct templates *t = fresh();
    uint64_t a = offer(t, 1, "the queue of anna is full").id, b = offer(t, 1, "the queue of bert is full").id;
    CHECK(a != b);
    (void)offer(t, 1, "the queue of carl is full");
    CHECK_INT(njoined, 0);
    CHECK(offer(t, 1, "the queue of dora is full").id == a);
    CHECK(now(b) == a);
    struct template_found e = offer(t, 1, "the queue of emil is full");
    CHECK(e.fresh && e.id == a);
    CHECK(!offer(t, 1, "the queue of emil is full").fresh);
    CHECK(offer(t, 2, "the queue of anna is full").id != a); /* another app */
    templates_free(t);
}

TEST(what_happened_is_not_a_value)
{
    struct templates *t = fresh();
    static const char *const done[] = {"task <1> was started", "task <1> was stopped", "task <1> was paused",
                                       "task <1> was resumed", "task <1> was killed",  "GET of the page",
                                       "POST of the page",     "PUT of the page",      "DELETE of the page",
                                       "HEAD of the page"};
    for (size_t i = 0; i < LENGTH(done); i++)
        (void)offer(t, 1, done[i]);
    CHECK_INT(njoined, 0);
    templates_free(t);
}

TEST(a_template_made_late_takes_what_came_before)
{
    struct templates *t = fresh();
    uint64_t early = offer(t, 1, "no route for zoe via x7 at all").id;
    static const char *const names[] = {"anna", "bert", "carl", "dora", "emil"}, *const via[] = {"a1", "b2", "c3",
                                                                                                 "d4"};
    char line[100];
    for (size_t i = 0; i < LENGTH(names); i++)
        for (size_t k = 0; k < LENGTH(via); k++) {
            snprintf(line, sizeof line, "no route for %s via %s at all", names[i], via[k]);
            (void)offer(t, 1, line);
        }
    CHECK(now(offer(t, 1, "no route for fred via e5 at all").id) == now(early));
    templates_free(t);
}

TEST(a_kept_shape_teaches_what_its_message_taught)
{
    struct templates *t = fresh(), *again = templates_new(on_join, NULL);
    static const char *const lines[] = {"lost the lease of anna", "lost the lease of bert", "lost the lease of carl",
                                        "lost the lease of dora"};
    static struct shape s;
    uint64_t id = 0;
    for (size_t i = 0; i < LENGTH(lines); i++) {
        shape_read(str_of(lines[i]), &s);
        (void)templates_offer(t, 1, shape_id(1, &s), str_of(lines[i]), &s);
        id = templates_learn(again, 1, shape_id(1, &s), &s).id;
    }
    CHECK(id == offer(t, 1, "lost the lease of emil").id);
    templates_free(t);
    templates_free(again);
}

TEST(half_a_million_shapes_do_not_fill_the_memory)
{
    struct templates *t = fresh();
    struct rusage u;
    char line[200];
    uint64_t x = 42;
    for (int i = 0; i < 500000; i++) { /* words without digits in every place */
        char w[6][9];
        for (size_t k = 0; k < 6; k++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            for (size_t c = 0; c < 8; c++)
                w[k][c] = (char)('g' + (x >> (c * 5 + 20) & 15));
            w[k][8] = '\0';
        }
        snprintf(line, sizeof line, "%s %s %s: %s %s %s", w[0], w[1], w[2], w[3], w[4], w[5]);
        (void)offer(t, (uint64_t)i % 7, line);
    }
    CHECK(getrusage(RUSAGE_SELF, &u) == 0);
    printf("    %ld KiB\n", u.ru_maxrss);
#ifndef __SANITIZE_ADDRESS__
    CHECK(u.ru_maxrss < 64 << 10);
#endif
    templates_free(t);
}

UNIT_MAIN
