/* tests/bench/bench_unique.c - different people: what one costs, and how good the number is.
 *
 *   bench_unique            ns an insert of a 16-byte id, SipHash-2-4 and sketch; of an encoding; of an estimate
 *   bench_unique count < IDS    ids one a line, an empty line ends a set: the estimate and the bytes of each */
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "stats/sketch.h"

static const uint8_t key[16] = {1, 2, 3};

static void count(void)
{
    struct sketch s;
    char *line = NULL;
    size_t cap = 0;
    sketch_init(&s, SKETCH_P);
    for (ssize_t n; (n = getline(&line, &cap, stdin)) >= 0;) {
        str id = str_trim(str_n(line, (size_t)n));
        if (id.n) {
            (void)sketch_add(&s, sketch_cell(SKETCH_P, siphash24(key, id)));
            continue;
        }
        struct buf code = BUF_INIT(1u << 20);
        sketch_encode(&s, &code);
        printf("%llu %zu\n", (unsigned long long)sketch_number(SKETCH_P, s.counts).value, code.n);
        buf_done(&code);
        sketch_done(&s);
    }
    free(line);
}

static void insert(void)
{
    enum { IDS = 1 << 20 };
    char *ids = xmalloc(16 * (size_t)IDS);
    struct buf code = BUF_INIT(1u << 20);
    double best = 1e9, sum = 0;
    random_bytes(ids, 16 * (size_t)IDS);
    for (int round = 0; round < 7; round++) {
        struct sketch s;
        sketch_init(&s, SKETCH_P);
        usec began = clock_mono();
        for (size_t i = 0; i < IDS; i++)
            (void)sketch_add(&s, sketch_cell(SKETCH_P, siphash24(key, str_n(ids + 16 * i, 16))));
        double ns = (double)(clock_mono() - began) * 1000 / IDS;
        best = ns < best ? ns : best;
        buf_reset(&code);
        began = clock_mono();
        sketch_encode(&s, &code);
        usec encode = clock_mono() - began;
        began = clock_mono();
        for (int i = 0; i < 1000; i++)
            sum += sketch_estimate(SKETCH_P, s.counts);
        if (round == 6)
            printf("%.1f %lld %.2f %zu\n", best, (long long)encode, (double)(clock_mono() - began) / 1000, code.n);
        sketch_done(&s);
    }
    assert(sum > 0);
    buf_done(&code);
    free(ids);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "count") == 0)
        count();
    else
        insert();
    return 0;
}
