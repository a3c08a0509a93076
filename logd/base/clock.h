/* base/clock.h - the time, asked for in one place.
 *
 * `--test-clock` lets a test move the wall clock; monotonic time is never moved. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

usec clock_now(void);        /* wall clock, with the test offset */
usec clock_mono(void);       /* for waiting and measuring */
void clock_advance(usec by); /* tests only; adds to the offset, may be negative */
#define TIME_TEXT_MAX 40
/* RFC 3339, UTC, with exactly `digits` (0-9) of fraction: "2026-01-02T03:04:05.123456Z". Returns the length. */
size_t time_print(nsec t, int digits, char out[TIME_TEXT_MAX]);

#endif
