/* What a source map costs: to read it once, and to resolve a frame by its index.
 *
 *   bench_maps [MAP [MINIFIED]]     a map of its own kind of 400,000 mappings in one line without any
 *
 * Prints processor time, and microseconds a place at random places, and a whole stack of 20 frames through the catalogue,
 * which copies texts and holds the lock. */
#include "base/file.h"
#include "base/str.h"
#include "maps/index.h"
#include "maps/maps.h"
#include "maps/worker.h"
#include <time.h>
#include <unistd.h>

enum { MAPPINGS = 400000, SOURCES = 800, NAMES = 5000, LOOKUPS = 1000000, STACKS = 20000, FRAMES = 20 };

__attribute__((constructor)) static void be_the_child(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], MAPS_WORKER) == 0)
        _exit(maps_worker_main());
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double cpu_s(void) { return seconds(CLOCK_THREAD_CPUTIME_ID); }

static uint64_t seed = 88172645463325252u;
static uint32_t below(uint32_t n)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 20) % n;
}

static void put_vlq(struct buf *b, int64_t v)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t z = v < 0 ? ((uint64_t)-v << 1) | 1 : (uint64_t)v << 1;
    do {
        buf_byte(b, digits[(z & 31) | (z >> 5 ? 32 : 0)]);
        z >>= 5;
    } while (z);
}

static void make_map(struct buf *b)
{
    uint32_t source = 0, line = 0, column = 0, name = 0;
    buf_lit(b, "{\"version\":3,\"sources\":[");
    for (int i = 0; i < SOURCES; i++)
        buf_printf(b, "%s\"../src/features/module-%d/component.tsx\"", i ? "," : "", i);
    buf_lit(b, "],\"names\":[");
    for (int i = 0; i < NAMES; i++)
        buf_printf(b, "%s\"someFunctionName%d\"", i ? "," : "", i);
    buf_lit(b, "],\"mappings\":\"");
    for (int i = 0; i < MAPPINGS; i++) {
        bool next = i && i % (MAPPINGS / SOURCES) == 0, named = below(4) == 0;
        uint32_t to = next ? 0 : line + (below(3) == 0), at = below(90), other = below(NAMES);
        buf_str(b, i ? S(",") : S(""));
        put_vlq(b, 1 + below(12));
        put_vlq(b, next);
        put_vlq(b, (int64_t)to - line);
        put_vlq(b, (int64_t)at - column);
        if (named)
            put_vlq(b, (int64_t)other - name);
        source += next, line = to, column = at, name = named ? other : name;
    }
    buf_lit(b, "\"}");
}

static double read_once(str map, str minified, struct buf *index)
{
    struct arena a = {0};
    struct sourcemap m;
    struct err e;
    double from = cpu_s();
    if (sourcemap_read(map, &a, &m, &e) < 0 || (minified.n && sourcemap_read_minified(&m, minified, &e) < 0)) {
        fprintf(stderr, "bench_maps: %s\n", e.text);
        exit(1);
    }
    buf_reset(index);
    map_index_write(&m, index);
    double took = cpu_s() - from;
    sourcemap_done(&m);
    arena_done(&a);
    return took;
}

static void lookups(str index, uint32_t columns)
{
    struct map_place p;
    size_t found = 0;
    double from = cpu_s();
    for (int i = 0; i < LOOKUPS; i++)
        found += map_index_find(index, 0, below(columns), &p);
    printf("%.2f us a place, %zu of %d mapped\n", (cpu_s() - from) / LOOKUPS * 1e6, found, LOOKUPS);
}

static void stacks(str map, str minified, uint32_t columns)
{
    char folder[] = "/tmp/bench_maps.XXXXXX";
    struct maps *m;
    struct err e;
    struct arena a = {0};
    struct map_proof proof;
    struct map_new n = {.app = 1, .release = S("1"), .path = S("assets/main.js"), .map = map, .minified = minified};
    size_t resolved = 0;
    if (!mkdtemp(folder) || maps_open(folder, &m, &e) < 0)
        exit(1);
    double from = seconds(CLOCK_MONOTONIC);
    if (maps_put(m, &n, &a, &proof, &e) < 0) {
        fprintf(stderr, "bench_maps: %s\n", e.text);
        exit(1);
    }
    printf("%.0f ms to take it: a child reads it, the index is on disk, a place is resolved\n",
           (seconds(CLOCK_MONOTONIC) - from) * 1e3);
    from = cpu_s();
    for (int i = 0; i < STACKS; i++) {
        struct map_frame f[FRAMES];
        for (int k = 0; k < FRAMES; k++)
            f[k] = (struct map_frame){.function = S("t"),
                                      .file = S("https://shop.example/assets/main.js"),
                                      .line = 1,
                                      .column = 1 + below(columns)};
        arena_reset(&a);
        resolved += maps_resolve(m, 1, S("1"), f, FRAMES, true, &a);
    }
    printf("%.2f us a frame of a stack, %zu of %d resolved\n", (cpu_s() - from) / STACKS / FRAMES * 1e6, resolved,
           STACKS * FRAMES);
    (void)maps_remove(m, 1, (str){0}, (str){0});
    maps_close(m);
    (void)rmdir(folder);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    struct buf map = BUF_INIT(1u << 30), minified = BUF_INIT(1u << 30), index = BUF_INIT(UINT32_MAX);
    struct err e;
    struct map_facts facts;
    if (argc > 1 ? file_read(argv[1], map.max, &map, &e) < 0 ||
                       (argc > 2 && file_read(argv[2], minified.max, &minified, &e) < 0)
                 : (make_map(&map), false)) {
        fprintf(stderr, "bench_maps: %s\n", e.text);
        return 1;
    }
    double took = read_once(buf_view(&map), buf_view(&minified), &index);
    map_index_facts(buf_view(&index), &facts);
    printf("map of %.1f MB, %u mappings, %u functions: %.0f ms to read, index of %.1f MB\n", (double)map.n / 1e6,
           facts.mappings, facts.functions, took * 1e3, (double)index.n / 1e6);
    uint32_t columns = facts.mappings * 7; /* about as wide as the line is */
    lookups(buf_view(&index), columns);
    stacks(buf_view(&map), buf_view(&minified), columns);
    buf_done(&map);
    buf_done(&minified);
    buf_done(&index);
    return 0;
}
