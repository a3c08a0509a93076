/* Any bytes are a sketch or are refused; what is taken is written again byte for byte, and merging and folding agree. */
#include "base/str.h"
#include "stats/sketch.h"

#include <math.h>

static void same(const struct sketch *a, const struct sketch *b)
{
    struct buf x = BUF_INIT(SIZE_MAX / 2), y = BUF_INIT(SIZE_MAX / 2);
    sketch_encode(a, &x);
    sketch_encode(b, &y);
    assert(str_eq(buf_view(&x), buf_view(&y)));
    buf_done(&x);
    buf_done(&y);
}

static void use(struct sketch *s, str code)
{
    uint32_t counts[SKETCH_LEVELS];
    struct err e;
    struct buf again = BUF_INIT(SIZE_MAX / 2);
    int p;
    sketch_encode(s, &again);
    assert(str_eq(buf_view(&again), code));
    buf_done(&again);
    if (sketch_peek(code, &p, counts, &e) < 0)
        abort();
    assert(p == s->p && memcmp(counts, s->counts, sizeof counts) == 0);
    double n = sketch_estimate(p, counts);
    assert(n >= 0 && !isnan(n));
    struct sketch_number number = sketch_number(p, counts);
    assert(number.low <= number.value && number.value <= number.high);

    struct sketch onto;
    sketch_init(&onto, SKETCH_P_MIN);
    sketch_merge(&onto, s);
    sketch_fold(s, SKETCH_P_MIN);
    same(&onto, s);
    sketch_merge(&onto, s);
    same(&onto, s);
    sketch_done(&onto);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str code = str_n((const char *)data, size);
    struct sketch s;
    struct err e = {0};
    if (sketch_decode(code, &s, &e) < 0) {
        assert(e.kind == ERR_CORRUPT && e.text[0]);
        return 0;
    }
    use(&s, code);
    sketch_done(&s);
    return 0;
}
