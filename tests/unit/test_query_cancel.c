/* Whose client has gone stops soon, whatever it was doing. Told in CPU time, which other programs do not take away. */
#include "query_store.h"

#include <pthread.h>
#include <time.h>

enum { EVENTS = 60000, MOMENTS = 3 };
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { AT_MOST_MS = 500 };
#else
enum { AT_MOST_MS = 50 };
#endif

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct leaver {
    _Atomic bool gone, over;
    double at;   /* CPU time at which it leaves */
    double left; /* at which it did */
};

static void *leave(void *arg)
{
    struct leaver *l = arg;
    while (!l->over && cpu_ms() < l->at)
        nanosleep(&(struct timespec){0, 100000}, NULL);
    l->left = cpu_ms();
    l->gone = true;
    return NULL;
}

/* CPU time from the leaving to the return of the query. */
static double stops_after(const char *text, double share_ms, double *ret_whole)
{
    struct leaver l = {.at = cpu_ms() + share_ms};
    struct query_options o = all(50000);
    struct query *q;
    struct query_result r = {0};
    struct err e = {0};
    pthread_t thread;
    double began = cpu_ms();
    o.cancel = &l.gone;
    CHECK(query_parse(str_of(text), &q, &e) == 0);
    CHECK(pthread_create(&thread, NULL, leave, &l) == 0);
    struct store_view *v = store_view_open(store);
    CHECK(query_run(q, v, &o, &r, &e) == 0);
    double end = cpu_ms();
    l.over = true;
    pthread_join(thread, NULL);
    *ret_whole = end - began;
    query_result_done(&r);
    store_view_close(v);
    query_free(q);
    return l.left < end ? end - l.left : 0;
}

static void leave_at_all_moments(const char *text)
{
    double whole, ignored, worst = 0;
    (void)stops_after(text, 1e9, &whole);
    for (int i = 0; i < MOMENTS; i++) {
        double took = stops_after(text, whole * i / MOMENTS, &ignored);
        worst = took > worst ? took : worst;
    }
    printf("%s: %.0f ms, stops within %.1f ms\n", text, whole, worst);
    CHECK(worst < AT_MOST_MS);
}

TEST(a_query_stops_soon_after_its_client_left)
{
    static const char *const queries[] = {
        "| count by message",
        "| sort message | limit 50000",
        "| limit 50000 | sort -message,n",
        "| count by message | sort -message",
        "| limit 50000 | parse \"user <name> of <n>\" | sort n",
        "| limit 50000 | fields n,message,who",
        "| stats uniq(message), p95(n), first(message) by who",
        "message~\"us[a-z]+ [0-9a-f]+ of .*9$\"",
    };
    struct err e;
    open_store();
    for (int i = 0; i < EVENTS; i++) {
        char json[200];
        snprintf(json, sizeof json, "{\"time\":%d,\"message\":\"user %08x of %d\",\"n\":%d,\"who\":\"w%d\"}",
                 1700000000 + i / 8, (unsigned)i * 2654435761u, i % 977, (int)random_below(EVENTS), i % 300);
        post("a", json);
    }
    expect("| count", "{\"count\":60000}\n");
    for (int sealed = 0; sealed < 2; sealed++) {
        for (size_t i = 0; i < LENGTH(queries); i++)
            leave_at_all_moments(queries[i]);
        CHECK(store_seal(store, &e) == 0);
    }
    close_store();
}

UNIT_MAIN
