/* event/number.h - numbers as people write them in filters: 12, -3.5e2, 1.5s, 200ms, 10MiB; and network addresses.
 *
 * Owner   any thread, no state. */
#ifndef EVENT_NUMBER_H
#define EVENT_NUMBER_H

#include "base/base.h"

enum unit { UNIT_NONE, UNIT_TIME, UNIT_SIZE };
struct number {
    enum unit unit;
    double v;     /* TIME: whole nanoseconds, SIZE: whole bytes */
    bool integer; /* written as one, no unit: compared by its digits when a double cannot hold it */
    str text;     /* as written, a view */
};
/* The whole of `text` is a number with or without a unit (ns us ms s m h d, B kB MB GB TB KiB MiB GiB TiB). */
bool number_read(str text, struct number *ret) MUST_CHECK;
/* The unit that a field's name ends in (duration_ms, tookMs, size.kb): by it a plain number of that field is multiplied
 * to be compared with a number of `unit`. Without one: seconds, bytes. */
double number_scale(str field, enum unit unit);
/* `n` multiplied, rounded as number_read does. */
void number_apply(struct number *n, enum unit unit, double scale);
int number_cmp(const struct number *a, const struct number *b); /* of one unit */

typedef struct {
    uint8_t b[16]; /* IPv6; IPv4 as ::ffff:a.b.c.d */
} ip;
bool ip_read(str text, ip *ret) MUST_CHECK;
/* "10.0.0.0/8", "fe80::/10": the first and the last address. */
bool cidr_read(str text, ip *ret_low, ip *ret_high) MUST_CHECK;

#endif
