#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "stats/debug.h"
#include "stats/sketch.h"
#include "unit.h"

#include <jansson.h>
#include <math.h>

static uint64_t splitmix64(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* splitmix64(from), …, splitmix64(to - 1). */
static void add(struct sketch *s, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        (void)sketch_add(s, sketch_cell(s->p, splitmix64(i)));
}

static struct sketch built(int p, uint64_t from, uint64_t to)
{
    struct sketch s;
    sketch_init(&s, p);
    add(&s, from, to);
    return s;
}

static struct buf encoded(const struct sketch *s)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    sketch_encode(s, &out);
    return out;
}

static bool same(const struct sketch *a, const struct sketch *b)
{
    struct buf x = encoded(a), y = encoded(b);
    bool is = a->p == b->p && memcmp(a->counts, b->counts, sizeof a->counts) == 0 && str_eq(buf_view(&x), buf_view(&y));
    buf_done(&x);
    buf_done(&y);
    return is;
}

static void check_hex(str code, const char *want)
{
    struct buf hex = BUF_INIT(SIZE_MAX / 2);
    buf_hex(&hex, code.p, code.n);
    CHECK_STR(buf_view(&hex), str_of(want));
    buf_done(&hex);
}

/* The first n of splitmix64(i), by an implementation that shares no code with this one: {p, n, estimate, hex or SHA-256}. */
static const struct {
    int p;
    uint64_t n;
    double estimate;
    size_t bytes;
    const char *hex, *sha256;
} vectors[] = {
    {4, 0, 0.0, 4, "01040000", NULL},
    {4, 1, 0.996775, 7, "0104000101031e", NULL},
    {4, 10, 9.996924, 15, "010400040602000100020353c05e0b", NULL},
    {4, 1000, 1233.700442, 25, "010404080f0b0805010000010001000103014ed479197f7b03", NULL},
    {5, 100, 88.450196, 31, "010500061a1007040303020001020201b03e8f6aa161dff4146217a323b600", NULL},
    {6, 10, 10.261394, 18, "01060004060300010302041192554d91b201", NULL},
    {8, 100, 101.990878, 70, NULL, "470c2ed600cbe63adf2bc3df7d46d7e0a45ffab0e8773a925c5b78ddb2d4e8bd"},
    {12, 10, 10.003905, 25, "010c000406030001080a0b018e81d12f41f9edb5f6ed0cdb7e", NULL},
    {13, 10, 10.001952, 26, "010d000406030001090a0b011c03540a0dbd44f9b5f6ed0cdb7e", NULL},
    {13, 1000, 994.757802, 833, NULL, "04ba90c32b22cdb0f5d086b817246f7d0dd1598f4ae90a0d3502b4e4a52c18b5"},
    {13, 100000, 99870.840069, 4949, NULL, "faeb10d46df16ebe6ff038cff8cc1b2b84e8ff371597345b5d826f34678e27b2"},
    {16, 100000, 100000.894415, 30211, NULL, "a99db68b3de9272d2f446859e7a92515177be19cc7ec6cd980c5813044cea046"},
};

static void check_vector(int p, uint64_t n, double estimate, size_t bytes, const char *hex, const char *sha)
{
    struct sketch s = built(p, 0, n), again;
    struct buf code = encoded(&s);
    struct err e;
    uint8_t digest[32];
    CHECK_INT(code.n, bytes);
    CHECK(fabs(sketch_estimate(p, s.counts) - estimate) <= 1e-6 + 1e-10 * estimate);
    if (hex)
        check_hex(buf_view(&code), hex);
    if (sha) {
        sha256(buf_view(&code), digest);
        check_hex(str_n((char *)digest, 32), sha);
    }
    CHECK_INT(sketch_decode(buf_view(&code), &again, &e), 0);
    CHECK(same(&s, &again));
    sketch_done(&again);
    sketch_done(&s);
    buf_done(&code);
}

TEST(known_sketches_are_written_byte_for_byte)
{
    for (size_t i = 0; i < LENGTH(vectors); i++)
        check_vector(vectors[i].p, vectors[i].n, vectors[i].estimate, vectors[i].bytes, vectors[i].hex,
                     vectors[i].sha256);
}

TEST(all_vectors_of_the_shared_oracle_are_equal)
{
    char name[600];
    const char *shared = getenv("LOGD_SHARED");
    snprintf(name, sizeof name, "%s/oracle/uu_vectors.json", shared ? shared : "../shared");
    json_t *all = json_load_file(name, 0, NULL), *v;
    size_t i;
    if (!all) {
        printf("SKIPPED: %s is not there: set LOGD_SHARED\n", name);
        return;
    }
    CHECK(json_array_size(all) >= 56);
    json_array_foreach(all, i, v)
    {
        check_vector(
            (int)json_integer_value(json_object_get(v, "p")), (uint64_t)json_integer_value(json_object_get(v, "n")),
            json_number_value(json_object_get(v, "estimate")), (size_t)json_integer_value(json_object_get(v, "bytes")),
            json_string_value(json_object_get(v, "hex")), json_string_value(json_object_get(v, "sha256")));
        struct sketch s = built((int)json_integer_value(json_object_get(v, "p")), 0,
                                (uint64_t)json_integer_value(json_object_get(v, "n")));
        char k[8];
        for (int level = 0; level < SKETCH_LEVELS; level++) {
            snprintf(k, sizeof k, "%d", level);
            CHECK_INT(s.counts[level], json_integer_value(json_object_get(json_object_get(v, "counts"), k)));
        }
        sketch_done(&s);
    }
    json_decref(all);
}

TEST(an_id_that_comes_again_changes_nothing)
{
    struct sketch a = built(8, 0, 5000), b = built(8, 0, 5000);
    CHECK(!sketch_add(&a, sketch_cell(8, splitmix64(17))));
    CHECK(sketch_has(&a, sketch_cell(8, splitmix64(17))));
    add(&a, 0, 5000);
    CHECK(same(&a, &b));
    sketch_done(&a);
    sketch_done(&b);
}

TEST(a_merge_is_as_if_one_had_seen_all)
{
    for (int p = SKETCH_P_MIN; p <= SKETCH_P_MAX; p++)
        for (int q = SKETCH_P_MIN; q <= SKETCH_P_MAX; q += 3)
            for (uint64_t n = 10; n < 10000; n *= 9) {
                struct sketch a = built(p, 0, 2 * n), b = built(q, n, 3 * n), all = built(p < q ? p : q, 0, 3 * n);
                sketch_merge(&a, &b);
                CHECK(same(&a, &all));
                sketch_done(&a);
                sketch_done(&b);
                sketch_done(&all);
            }
}

TEST(a_folded_sketch_is_the_one_that_would_have_been_built)
{
    for (int p = SKETCH_P_MIN; p <= SKETCH_P_MAX; p++) {
        struct sketch a = built(SKETCH_P_MAX, 0, 30000), b = built(p, 0, 30000);
        sketch_fold(&a, p);
        CHECK(same(&a, &b));
        sketch_done(&a);
        sketch_done(&b);
    }
}

TEST(all_cells_set_is_infinite_and_one_less_is_not)
{
    struct sketch s;
    sketch_init(&s, SKETCH_P_MIN);
    CHECK(sketch_estimate(s.p, s.counts) == 0);
    for (uint32_t row = 0; row < 16; row++)
        for (uint32_t k = 0; k < SKETCH_LEVELS; k++) {
            double n = sketch_estimate(s.p, s.counts);
            CHECK(isfinite(n) && n >= 0);
            CHECK(sketch_add(&s, row << 6 | k));
        }
    CHECK(isinf(sketch_estimate(s.p, s.counts)));
    struct buf code = encoded(&s);
    CHECK_STR(buf_view(&code), S("\1\4\61\0"));
    buf_done(&code);
    sketch_done(&s);
}

/* A random table of what n ids leave at 2^p rows, drawn cell by cell: independent, as with a Poisson number of ids. */
static void draw(int p, double n, uint64_t *seed, uint32_t counts[SKETCH_LEVELS], struct sketch *s)
{
    sketch_init(s, p);
    for (uint32_t k = 0; k < SKETCH_LEVELS; k++) {
        double chance = -expm1(-n * ldexp(1, -(k < 48 ? (int)k + 1 : 48) - p));
        for (uint32_t row = 0; row < 1u << p; row++)
            if ((double)(splitmix64((*seed)++) >> 11) * 0x1p-53 < chance)
                (void)sketch_add(s, row << 6 | k);
    }
    memcpy(counts, s->counts, sizeof s->counts);
}

/* Root mean square of the relative error over `runs` sets is within four of its own standard errors of the theory, and
 * the sketches take at most 5.0 KB each. */
static void check_error(uint64_t n, int runs, bool by_model, uint64_t *seed)
{
    double sum = 0, bias = 0, theory = 0.64914 / sqrt(8192), bytes = 0, largest = 0;
    for (int i = 0; i < runs; i++) {
        struct sketch s;
        uint32_t counts[SKETCH_LEVELS];
        if (by_model) {
            draw(SKETCH_P, (double)n, seed, counts, &s);
        } else {
            s = built(SKETCH_P, *seed, *seed + n);
            *seed += n;
        }
        double off = sketch_estimate(SKETCH_P, s.counts) / (double)n - 1;
        struct buf code = encoded(&s);
        largest = (double)code.n > largest ? (double)code.n : largest;
        bytes += (double)code.n / runs;
        sum += off * off;
        bias += off / runs;
        buf_done(&code);
        sketch_done(&s);
    }
    double rmse = sqrt(sum / runs), slack = 4 * theory / sqrt(2.0 * runs);
    printf("  n %llu%s: error %.3f %% (%.3f %%), bias %.3f %%, %.0f bytes, at most %.0f\n", (unsigned long long)n,
           by_model ? " by the model" : "", 100 * rmse, 100 * theory, 100 * bias, bytes, largest);
    CHECK(rmse < theory + slack);
    CHECK(n < 1000000 || rmse > theory - slack);
    CHECK(fabs(bias) < 4 * theory / sqrt(runs));
    CHECK(bytes <= 5040 && largest <= 5200);
}

TEST(the_error_is_what_theory_says_in_five_kilobytes)
{
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    printf("  seed %llu\n", (unsigned long long)seed);
    check_error(10, 5000, false, &seed);
    check_error(1000, 100, false, &seed);
    check_error(30000, 60, false, &seed);
    check_error(1000000, 30, false, &seed);
    if (getenv("LOGD_SKETCH_MANY")) /* seconds: make check */
        check_error(10000000, 30, false, &seed);
    check_error(1000000000, 40, true, &seed);
    check_error(1000000000000, 40, true, &seed);
}

TEST(two_standard_errors_hold_the_truth_nearly_always)
{
    uint64_t seed = 1, out = 0;
    for (int i = 0; i < 400; i++, seed += 5000) {
        struct sketch s = built(10, seed, seed + 5000);
        struct sketch_number n = sketch_number(10, s.counts);
        CHECK(n.low <= n.value && n.value <= n.high);
        out += n.low > 5000 || n.high < 5000;
        sketch_done(&s);
    }
    CHECK(out <= 40); /* 4.6 % are expected at two standard errors: 18 */
}

static bool refused(str code)
{
    struct sketch s;
    struct err e = {0};
    if (sketch_decode(code, &s, &e) == 0) {
        sketch_done(&s);
        return false;
    }
    return e.kind == ERR_CORRUPT && e.text[0];
}

TEST(what_is_not_in_its_one_form_is_refused)
{
    static const struct {
        str code;
        bool good;
    } cases[] = {
        {S("\1\4\0\0"), true},
        {S("\1\4\0\1\1\3\x1e"), true}, /* one cell, row 7: r 3 */
        {S(""), false},
        {S("\1\4\0"), false},
        {S("\2\4\0\0"), false},  /* version */
        {S("\1\3\0\0"), false},  /* p */
        {S("\1\21\0\0"), false}, /* p 17 */
        {S("\1\4\62\0"), false}, /* 50 levels */
        {S("\1\4\60\2\1\1\3\3\x1e\x1e"), false},
        {S("\1\4\0\0\0"), false},           /* a byte more */
        {S("\1\4\0\1\1\3"), false},         /* no bits */
        {S("\1\4\0\1\1"), false},           /* no r */
        {S("\1\4\0\1"), false},             /* no count */
        {S("\1\4\0\1\0"), false},           /* last is empty */
        {S("\1\4\0\1\20"), false},          /* first is full */
        {S("\1\4\0\1\21\3\x1e"), false},    /* 17 of 16 */
        {S("\1\4\0\1\x81\0\3\x1e"), false}, /* a count in two bytes where one does */
        {S("\1\4\0\1\1\3\x5e"), false},     /* bits after the last */
        {S("\1\4\0\1\1\3\x1e\0"), false},   /* a byte after the last */
        {S("\1\4\0\1\1\4\x2e"), false},     /* r 4 where 3 is shorter */
        {S("\1\4\0\1\1\xff\x1e"), false},   /* r 255 */
        {S("\1\4\0\1\1\0\0\0\1"), false},   /* row 16 */
        {S("\1\4\0\1\1\3\0\0\0"), false},   /* no one */
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        CHECK_INT(refused(cases[i].code) ? -1 - (int)i : (int)i, cases[i].good ? (int)i : -1 - (int)i);
}

TEST(a_cut_or_changed_sketch_is_refused_or_another_one_in_its_one_form)
{
    struct sketch s = built(6, 0, 300), other;
    struct buf code = encoded(&s), again;
    struct err e;
    for (size_t n = 0; n < code.n; n++)
        CHECK(refused(str_n(code.p, n)));
    for (size_t bit = 0; bit < code.n * 8; bit++) {
        code.p[bit / 8] = (char)(code.p[bit / 8] ^ 1 << bit % 8);
        if (sketch_decode(buf_view(&code), &other, &e) == 0) {
            again = encoded(&other);
            CHECK_STR(buf_view(&again), buf_view(&code));
            buf_done(&again);
            sketch_done(&other);
        }
        code.p[bit / 8] = (char)(code.p[bit / 8] ^ 1 << bit % 8);
    }
    buf_done(&code);
    sketch_done(&s);
}

TEST(a_glance_at_the_head_gives_the_estimate)
{
    struct sketch s = built(13, 0, 20000);
    struct buf code = encoded(&s);
    uint32_t counts[SKETCH_LEVELS];
    int p;
    struct err e;
    CHECK_INT(sketch_peek(str_n(code.p, 60), &p, counts, &e), 0);
    CHECK(p == 13 && memcmp(counts, s.counts, sizeof counts) == 0);
    CHECK(sketch_peek(str_n(code.p, 9), &p, counts, &e) < 0);
    buf_done(&code);
    sketch_done(&s);
}

static char *debugged(const char *hashes, struct err *e)
{
    char *text = NULL;
    size_t n;
    FILE *in = fmemopen((void *)(uintptr_t)hashes, strlen(hashes), "r"), *out = open_memstream(&text, &n);
    int rc = debug_sketch(4, in, out, e);
    fclose(in);
    fclose(out);
    if (rc < 0) {
        free(text);
        return NULL;
    }
    return text;
}

TEST(debug_prints_counts_estimate_and_form_and_names_a_wrong_line)
{
    struct err e;
    char *text = debugged("E220A8397B1DCDAF\n\n0x6e789e6aa1b965f4\r\n", &e);
    CHECK(text);
    CHECK_STR(str_of(text),
              S("{\"counts\":[1,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
                "0,0,0,0,0,0,0,0,0,0],\"estimate\":2.009758,\"hex\":\"01040002010103019e00\"}\n"));
    free(text);
    CHECK(!debugged("1\nxyz\n", &e));
    CHECK_STR(str_of(e.text), S("line 2: expected 1 to 16 hex digits, got \"xyz\""));
    CHECK(!debugged("00000000000000001\n", &e));
}

UNIT_MAIN
