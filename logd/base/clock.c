#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic usec offset;

static usec read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (usec)t.tv_sec * USEC_PER_SEC + t.tv_nsec / NSEC_PER_USEC;
}

usec clock_now(void) { return read_clock(CLOCK_REALTIME) + atomic_load_explicit(&offset, memory_order_relaxed); }
usec clock_mono(void) { return read_clock(CLOCK_MONOTONIC); }
void clock_advance(usec by) { atomic_fetch_add(&offset, by); }

size_t time_print(nsec t, int digits, char out[TIME_TEXT_MAX])
{
    int64_t sec = t / NSEC_PER_SEC, frac = t % NSEC_PER_SEC;
    if (frac < 0) {
        frac += NSEC_PER_SEC;
        sec--;
    }
    /* Days to civil date: Howard Hinnant, chrono-Compatible Low-Level Date Algorithms. */
    int64_t day = sec / 86400, s = sec % 86400;
    if (s < 0) {
        s += 86400;
        day--;
    }
    int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097, yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9, y = yoe + era * 400 + (m <= 2);
    assert(y >= 0 && y <= 9999 && digits >= 0 && digits <= 9);

    char *p = out;
#define TWO(v) (*p++ = (char)('0' + (v) / 10), *p++ = (char)('0' + (v) % 10))
    TWO(y / 100);
    TWO(y % 100);
    *p++ = '-';
    TWO(m);
    *p++ = '-';
    TWO(d);
    *p++ = 'T';
    TWO(s / 3600);
    *p++ = ':';
    TWO(s / 60 % 60);
    *p++ = ':';
    TWO(s % 60);
#undef TWO
    if (digits > 0) {
        *p++ = '.';
        for (int64_t i = 0, unit = 100000000; i < digits; i++, unit /= 10)
            *p++ = (char)('0' + frac / unit % 10);
    }
    *p++ = 'Z';
    *p = '\0';
    return (size_t)(p - out);
}
