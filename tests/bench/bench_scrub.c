/* How fast the scrubber reads text without secrets, and the worst that text made for it can do.
 *
 *   bench_scrub [FILE...]     files of lines; without any, the log lines of $LOGD_SHARED/data and lines made here
 *
 * Prints MB per second of processor time: each line by itself, as events come, and the file as one text. */
#include "base/file.h"
#include "event/scrub.h"
#include "base/err.h"
#include "base/str.h"
#include <glob.h>
#include <time.h>

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Best of several rounds, in MB/s; *ret_hits: texts that were not clean. */
static double speed(str text, bool by_line, size_t *ret_hits)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    double best = 0, spent = 0;
    while (spent < 1.0) {
        size_t hits = 0;
        double from = cpu_s();
        for (str rest = text, line; rest.n > 0;) {
            line = by_line ? str_cut(&rest, '\n') : rest;
            buf_reset(&out);
            hits += !scrub_clean(line, &out);
            if (!by_line)
                break;
        }
        double took = cpu_s() - from, rate = (double)text.n / took / 1e6;
        best = rate > best ? rate : best;
        spent += took;
        *ret_hits = hits;
    }
    buf_done(&out);
    return best;
}

static void measure(const char *name, str text)
{
    size_t hits, whole_hits;
    double lines = speed(text, true, &hits), whole = speed(text, false, &whole_hits);
    printf("%-34s %8.1f MB  %6.0f MB/s by line  %6.0f MB/s as one  %zu lines not clean\n", name, (double)text.n / 1e6,
           lines, whole, hits);
}

static void add_files(const char *pattern, struct buf *to)
{
    glob_t g;
    struct err e;
    if (glob(pattern, 0, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc; i++)
            if (file_read(g.gl_pathv[i], 64 << 20, to, &e) < 0)
                printf("%s\n", e.text);
    globfree(&g);
}

static void measure_files(const char *pattern)
{
    struct buf text = BUF_INIT(256 << 20);
    add_files(pattern, &text);
    if (text.n)
        measure(strrchr(pattern, '/') ? strrchr(pattern, '/') - 8 : pattern, buf_view(&text));
    else
        printf("skipped, no such file: %s\n", pattern);
    buf_done(&text);
}

static void measure_json(void)
{
    struct buf text = BUF_INIT(64 << 20);
    for (unsigned i = 0; i < 20000; i++)
        buf_printf(&text,
                   "{\"time\":\"2026-11-25T09:35:%02u.%03uZ\",\"level\":\"info\",\"logger\":\"shop.checkout\","
                   "\"message\":\"order %u placed by user %u for %u.%02u EUR\",\"http\":{\"method\":\"POST\",\"path\":"
                   "\"/api/orders/%u?page=%u&sort=name\",\"status\":201,\"duration_ms\":%u.%u},\"trace_id\":"
                   "\"4bf92f3577b34da6a3ce929d%08x\",\"host\":\"web-%u.example\",\"attempt\":%u,\"cached\":false}\n",
                   i % 60, i % 1000, i * 7919, i * 31 % 9999, i % 500, i % 100, i * 7919, i % 9, i % 800, i % 10,
                   i * 2654435761u, i % 12, i % 3);
    measure("JSON events, as text", buf_view(&text));
    buf_done(&text);
}

static void measure_worst(void)
{
    static const char *const bad[] = {"eyJ",
                                      "eyJ.",
                                      "-eyJ",
                                      "4",
                                      "4111 ",
                                      "token=",
                                      "token=\"",
                                      "token: ",
                                      ":",
                                      "@",
                                      "://",
                                      "://a:b",
                                      "a://b:",
                                      "\\",
                                      "password='",
                                      "%3D",
                                      "-----BEGIN PRIVATE KEY-----",
                                      "--a",
                                      "sk-",
                                      "_sk_live_",
                                      "cookie=a; ",
                                      "\"token\":{",
                                      "[redacted:",
                                      "\\\"token\\\":\\\"",
                                      " '"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct buf text = BUF_INIT(8 << 20);
        size_t hits;
        while (text.n < 1 << 20)
            buf_str(&text, str_of(bad[i]));
        double small = speed(str_head(buf_view(&text), text.n / 8), false, &hits);
        printf("1 MB of %-28s %6.0f MB/s (%.0f for an eighth of it)\n", bad[i], speed(buf_view(&text), false, &hits),
               small);
        buf_done(&text);
    }
}

int main(int argc, char **argv)
{
    const char *shared = getenv("LOGD_SHARED") ? getenv("LOGD_SHARED") : "../shared";
    char path[4096];
    for (int i = 1; i < argc; i++)
        measure_files(argv[i]);
    if (argc > 1)
        return 0;
    static const char *const sets[] = {"data/loghub2k/*/content.txt", "data/loghub2k/*/*.log",
                                       "data/genlog/*/content.txt"};
    for (size_t i = 0; i < LENGTH(sets); i++) {
        snprintf(path, sizeof path, "%s/%s", shared, sets[i]);
        measure_files(path);
    }
    measure_json();
    measure_worst();
    return 0;
}
