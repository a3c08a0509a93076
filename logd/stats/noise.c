#include "stats/noise.h"
#include "base/hash.h"

enum { ONE = 1000 };

/* Each of 0 … n-1 is as likely. */
static uint64_t uniform(uint64_t n)
{
    uint64_t x, most = UINT64_MAX - UINT64_MAX % n;
    do
        random_bytes(&x, sizeof x);
    while (x >= most);
    return x % n;
}

/* True with probability exp(-a/b), a <= b. */
static bool falls(uint64_t a, uint64_t b)
{
    uint64_t k = 1;
    while (uniform(b * k) < a)
        k++;
    return k % 2;
}

int64_t noise_laplace(uint32_t epsilon)
{
    assert(epsilon > 0 && epsilon <= ONE * ONE);
    for (;;) {
        uint64_t u = uniform(ONE), v = 0;
        if (!falls(u, ONE))
            continue;
        while (falls(1, 1))
            v++;
        int64_t y = (int64_t)((u + ONE * v) / epsilon);
        bool negative = uniform(2);
        if (!negative || y) /* or 0 would come twice as often */
            return negative ? -y : y;
    }
}
