/* tests/bench/bench_store.c - what a segment costs: usage: bench_store FILE.ndjson (as tests/bench/gen writes it).
 *
 * Lines go through event_add, are sorted by app as the store does it, and become one segment a 64 MB of lines. Prints
 * bytes an event and events a CPU second for each step, and what each column takes. */
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "event/event.h"
#include "store/segment.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct app {
    str name;
    struct buf lines;
    struct store_block info;
};
static struct app apps[64];
static size_t apps_n;
static struct segment_writer *writer;
static double pack_time;

static void flush(struct app *a)
{
    struct err e;
    double t = cpu();
    if (a->info.events && segment_add(writer, buf_view(&a->lines), &a->info, &e) < 0)
        exit((fprintf(stderr, "%s\n", e.text), 1));
    pack_time += cpu() - t;
    buf_reset(&a->lines);
    a->info = (struct store_block){.app = a->info.app, .t_min = INT64_MAX, .t_max = INT64_MIN};
}

static struct app *app_of(str line)
{
    ptrdiff_t at = str_find(line, S("\"app\":\""));
    str name = str_skip(line, (size_t)at + 7);
    name.n = (size_t)str_chr(name, '"');
    for (size_t i = 0; i < apps_n; i++)
        if (str_eq(apps[i].name, name))
            return &apps[i];
    struct app *a = &apps[apps_n++];
    a->name = str_n(str_dup(name), name.n);
    a->info = (struct store_block){.app = (uint32_t)apps_n, .t_min = INT64_MAX, .t_max = INT64_MIN};
    buf_init(&a->lines, SIZE_MAX / 2);
    return a;
}

int main(int argc, char **argv)
{
    struct buf body = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    struct segment *s;
    char dir[] = "/tmp/logd-bench-XXXXXX";
    if (argc < 2 || file_read(argv[1], SIZE_MAX / 2, &body, &e) < 0 || !mkdtemp(dir) ||
        segment_create(dir, 1, 1, SEAL_LEVEL, &writer, &e) < 0)
        return 1;
    struct event_writer *w = event_writer_new();
    double add_time = 0;
    size_t events = 0, raw = 0;
    for (str rest = buf_view(&body); rest.n;) {
        struct batch *b = batch_new(RECORD_EVENTS, 1, 1794787200000000 + (usec)events * 3);
        double t = cpu();
        for (int i = 0; i < 1000 && rest.n; i++) {
            str line = str_cut(&rest, '\n'), app = str_skip(line, (size_t)str_find(line, S("\"app\":\"")) + 7);
            struct event_source src = {.app = str_head(app, (size_t)str_chr(app, '"')),
                                       .now = clock_now(),
                                       .future_limit = USEC_PER_SEC * 86400 * 400};
            size_t n;
            if (event_add(w, &src, line, b, &n, &e) < 0)
                fprintf(stderr, "%s\n", e.text);
        }
        add_time += cpu() - t;
        events += b->events;
        raw += b->body.n;
        for (str lines = buf_view(&b->body); lines.n;) {
            str line = str_cut(&lines, '\n');
            struct app *a = app_of(line);
            if (a->info.events == BLOCK_EVENTS_MAX || a->lines.n > BLOCK_BYTES_MAX)
                flush(a);
            buf_add(&a->lines, line.p, line.n + 1);
            a->info.events++;
        }
        batch_free(b);
    }
    for (size_t i = 0; i < apps_n; i++)
        flush(&apps[i]);
    double t = cpu();
    if (segment_finish(writer, &s, &e) < 0)
        return 1;
    pack_time += cpu() - t;
    printf(
        "%zu events of %.1f bytes; event_add %.0f k events/CPU-s; columns %.0f k events/CPU-s; %.2f bytes an event on disk\n",
        events, (double)raw / (double)events, (double)events / add_time / 1e3, (double)events / pack_time / 1e3,
        (double)s->bytes / (double)events);
    double by[64] = {0}, signatures = 0, table = 0;
    static double names[4096];
    for (size_t i = 0; i < s->n; i++) {
        struct block b;
        struct arena a = {0};
        block_open(s, i, &a, &b);
        signatures += b.head->signature_bytes;
        table += (double)(sizeof *b.head + b.head->columns * sizeof *b.columns);
        for (uint32_t k = 0; k < b.head->columns; k++) {
            if (k < SYSTEM_COLUMNS)
                by[k] += b.columns[k].stored;
            else
                names[b.columns[k].name & 4095] += b.columns[k].stored;
        }
        arena_done(&a);
    }
    static const char *const own[] = {"app", "shape", "minutes", "recv", "row", "time", "digits", "severity"};
    double n = (double)events;
    printf("signatures %.2f table %.2f", signatures / n, table / n);
    for (size_t i = 0; i < LENGTH(own); i++)
        printf(" %s %.2f", own[i], by[i] / n);
    for (size_t i = 0; i < s->names_n; i++)
        printf(" %.*s %.2f", STR_ARG(s->names[i]), names[i] / n);
    printf("\n");
    unlink(s->path);
    rmdir(dir);
    segment_unref(s);
    return 0;
}
