#include "base/hash.h"
#include "base/quantile.h"
#include "unit.h"

#include <math.h>

static double random_number(void)
{
    uint64_t r;
    random_bytes(&r, sizeof r);
    return exp((double)(r >> 11) * 0x1p-53 * 12 - 2) * (r & 1 && r & 2 ? -1 : 1);
}

static void check_equal(const struct quantiles *a, const struct quantiles *b)
{
    bool exact;
    CHECK_INT(a->count, b->count);
    for (double part = 0; part <= 1; part += 0.01) {
        double want = quantiles_get(a, part, &exact), got = quantiles_get(b, part, &exact);
        CHECK(fabs(got - want) <= QUANTILE_ERROR * fabs(want));
    }
}

TEST(a_kept_histogram_comes_back_and_adds_up)
{
    struct quantiles q = {0}, all = {0}, kept = {0};
    struct buf code = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            double v = i % 100 ? random_number() : 0;
            quantiles_add(&q, v);
            quantiles_add(&all, v);
        }
        buf_reset(&code);
        quantiles_encode(&q, &code);
        CHECK_INT(quantiles_decode(buf_view(&code), &kept, &e), 0);
        quantiles_done(&q);
    }
    check_equal(&all, &kept);
    buf_reset(&code);
    quantiles_encode(&kept, &code);
    CHECK(code.n < 4000);
    buf_done(&code);
    quantiles_done(&all);
    quantiles_done(&kept);
}

TEST(the_largest_and_smallest_numbers_are_kept)
{
    static const double numbers[] = {-HUGE_VAL, -1.7e308, -5e-324, 0, 5e-324, 1, 1.7e308, HUGE_VAL};
    struct quantiles q = {0}, kept = {0};
    struct buf code = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    for (size_t i = 0; i < LENGTH(numbers); i++)
        quantiles_add(&q, numbers[i]);
    quantiles_encode(&q, &code);
    CHECK_INT(quantiles_decode(buf_view(&code), &kept, &e), 0);
    CHECK_INT(kept.n, LENGTH(numbers));
    buf_done(&code);
    quantiles_done(&q);
    quantiles_done(&kept);
}

TEST(a_damaged_histogram_is_refused)
{
    static const str bad[] = {S("\1"),
                              S("\x80"),
                              S("\0\1"),
                              S("\1\0"),
                              S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\1"),
                              S("\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\1\1"),
                              S("\1\x81\0")};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct quantiles q = {0};
        struct err e = {0};
        CHECK(quantiles_decode(bad[i], &q, &e) < 0 && e.kind == ERR_CORRUPT);
        quantiles_done(&q);
    }
}

TEST(leb128_is_read_in_its_shortest_form_only)
{
    static const uint64_t numbers[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        struct buf b = BUF_INIT(100);
        uint64_t v;
        buf_leb128(&b, numbers[i]);
        buf_byte(&b, 'x');
        str s = buf_view(&b);
        CHECK(str_leb128(&s, &v) && v == numbers[i] && str_eq(s, S("x")));
        s = str_n(b.p, b.n - 2);
        CHECK(!str_leb128(&s, &v));
        buf_done(&b);
    }
    str longer = S("\x81\0"), huge = S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
    uint64_t v;
    CHECK(!str_leb128(&longer, &v) && !str_leb128(&huge, &v));
}

UNIT_MAIN
