/* Times as senders write them: RFC 3339 with the liberties that are common (a blank for the T, a comma before the
 * fraction, no zone: UTC, no seconds, a date alone: midnight), or epoch in a unit told by its size. */
#include "base/str.h"
#include "event/event.h"

/* Below these the number is seconds, milliseconds, microseconds; else nanoseconds: years 1973 to 5138 are told right. */
static const int64_t MS_FROM = 100000000000, US_FROM = 100000000000000, NS_FROM = 100000000000000000;

/* 1678-01-01 and 2262-01-01: whole years that nanoseconds in 64 bits can tell. */
static const int64_t FROM_S = -9214560000, TO_S = 9214646400;

static int refuse(str text, struct err *e)
{
    return err_set(e, ERR_INPUT, "expected a time as RFC 3339 or epoch (s, ms, us or ns), got \"%.*s\"",
                   STR_ARG(str_head(text, 60)));
}

static int out_of_range(str text, struct err *e)
{
    return err_set(e, ERR_INPUT, "expected a time between the years 1678 and 2261, got \"%.*s\"",
                   STR_ARG(str_head(text, 60)));
}

/* `n` digits at text[at]; -1: they are not. */
static int fixed(str text, size_t at, size_t n)
{
    int v = 0;
    if (at + n > text.n)
        return -1;
    for (size_t i = at; i < at + n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        v = v * 10 + (text.p[i] - '0');
    }
    return v;
}

static bool at(str text, size_t i, char c) { return i < text.n && text.p[i] == c; }

/* Days since 1970 of a civil date: Howard Hinnant, chrono-Compatible Low-Level Date Algorithms. */
static int64_t civil_days(int y, int m, int d)
{
    y -= m <= 2;
    int era = y / 400, yoe = y - era * 400;
    int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return (int64_t)era * 146097 + doe - 719468;
}

static int month_days(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[m - 1] + (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
}

/* Digits of a fraction at *i, of which nine count. */
static int64_t fraction(str text, size_t *i, int *ret_digits)
{
    int64_t ns = 0, unit = NSEC_PER_SEC / 10;
    size_t from = *i;
    for (; *i < text.n && text.p[*i] >= '0' && text.p[*i] <= '9'; ++*i, unit /= 10)
        ns += unit * (text.p[*i] - '0');
    *ret_digits = *i - from > 9 ? 9 : (int)(*i - from);
    return ns;
}

/* "Z", "+01:00", "+0100", "+01", "-…" or nothing, to the end. */
static bool zone(str text, size_t i, int64_t *ret_s)
{
    *ret_s = 0;
    if (at(text, i, ' '))
        i++;
    if (i == text.n || ((at(text, i, 'Z') || at(text, i, 'z')) && i + 1 == text.n))
        return true;
    if (!at(text, i, '+') && !at(text, i, '-'))
        return false;
    size_t minute_at = i + 3 + at(text, i + 3, ':');
    int h = fixed(text, i + 1, 2), m = minute_at == text.n && minute_at == i + 3 ? 0 : fixed(text, minute_at, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59 || (minute_at + 2 != text.n && minute_at != text.n))
        return false;
    *ret_s = (text.p[i] == '-' ? -60 : 60) * (int64_t)(h * 60 + m);
    return true;
}

/* "2026-11-25", to days since 1970. */
static bool date(str text, int64_t *ret_days)
{
    int y = fixed(text, 0, 4), m = fixed(text, 5, 2), d = fixed(text, 8, 2);
    if (y < 0 || m < 1 || m > 12 || d < 1 || d > month_days(y, m) || !at(text, 4, '-') || !at(text, 7, '-'))
        return false;
    *ret_days = civil_days(y, m, d);
    return true;
}

/* "09:35", "09:35:21" or "09:35:21.123" from *i on, which then stands behind it. */
static bool clock_time(str text, size_t *i, int64_t *ret_s, int64_t *ret_ns, int *ret_digits)
{
    int h = fixed(text, *i, 2), m = fixed(text, *i + 3, 2), s = 0;
    if (h < 0 || h > 23 || m < 0 || m > 59 || !at(text, *i + 2, ':'))
        return false;
    *i += 5;
    if (at(text, *i, ':')) {
        s = fixed(text, *i + 1, 2);
        if (s < 0 || s > 60) /* 60: a leap second, the next minute's 00 */
            return false;
        *i += 3;
        if (at(text, *i, '.') || at(text, *i, ',')) {
            ++*i;
            *ret_ns = fraction(text, i, ret_digits);
            if (*ret_digits == 0)
                return false;
        }
    }
    *ret_s = h * 3600 + m * 60 + s;
    return true;
}

static int read_rfc3339(str text, nsec *ret, int *ret_digits, struct err *e)
{
    int64_t days, s = 0, ns = 0, offset;
    size_t i = 10;
    if (!date(text, &days))
        return refuse(text, e);
    if (at(text, i, 'T') || at(text, i, 't') || (at(text, i, ' ') && i + 1 < text.n)) {
        i++;
        if (!clock_time(text, &i, &s, &ns, ret_digits))
            return refuse(text, e);
    }
    if (!zone(text, i, &offset))
        return refuse(text, e);
    if (days < FROM_S / 86400 || days >= TO_S / 86400) /* before it is multiplied */
        return out_of_range(text, e);
    *ret = (days * 86400 + s - offset) * NSEC_PER_SEC + ns;
    return 0;
}

/* A JSON number as digits and a power of ten: value = ±digits × 10^-scale. False: not a number, or too large. Digits of
 * a fraction past 18 or 19 in all are cut off. */
static bool decimal(str text, int64_t *ret, int *ret_scale)
{
    int64_t v = 0, exponent = 0;
    int scale = 0;
    size_t i = at(text, 0, '-') || at(text, 0, '+'), from = i;
    bool point = false;
    for (; i < text.n && (text.p[i] == '.' || (text.p[i] >= '0' && text.p[i] <= '9')); i++) {
        if (text.p[i] == '.') {
            if (point || i == from)
                return false;
            point = true;
            continue;
        }
        if (point && v > 900000000000000000)
            continue;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, text.p[i] - '0', &v))
            return false;
        scale += point;
    }
    if (i == from || text.p[i - 1] == '.')
        return false;
    if (i < text.n) {
        str e = str_skip(text, i + 1);
        if ((text.p[i] | 0x20) != 'e' || !str_i64(at(e, 0, '+') ? str_skip(e, 1) : e, &exponent) || exponent < -30 ||
            exponent > 30)
            return false;
    }
    *ret = text.p[0] == '-' ? -v : v;
    *ret_scale = scale - (int)exponent;
    return true;
}

/* v × 10^by; false: does not fit. Digits that fall off at the end are dropped. */
static bool shift(int64_t v, int by, int64_t *ret)
{
    for (; by < 0 && v; by++)
        v /= 10;
    for (; by > 0 && v; by--)
        if (__builtin_mul_overflow(v, 10, &v))
            return false;
    *ret = v;
    return true;
}

static int read_epoch(str text, nsec *ret, int *ret_digits, struct err *e)
{
    int64_t v, whole;
    int scale, unit; /* unit: digits of a second that the number's unit stands for */
    if (!decimal(text, &v, &scale))
        return refuse(text, e);
    if (!shift(v, -scale, &whole))
        return out_of_range(text, e);
    int64_t size = whole < 0 ? -whole : whole;
    unit = size < MS_FROM ? 0 : size < US_FROM ? 3 : size < NS_FROM ? 6 : 9;
    if (!shift(v, 9 - unit - scale, ret))
        return out_of_range(text, e);
    int digits = unit + scale;
    *ret_digits = digits < 0 ? 0 : digits > 9 ? 9 : digits;
    return 0;
}

/* Two digits; more than 99: they are not. */
static inline unsigned two(const char *p)
{
    unsigned a = (unsigned)(unsigned char)p[0] - '0', b = (unsigned)(unsigned char)p[1] - '0';
    return a > 9 || b > 9 ? 1000 : 10 * a + b;
}

/* The form in which most senders and we ourselves write it, "2026-11-25T09:35:21.123Z"; false: it has another one, or is
 * at the edge of what there is. */
static bool read_common(str text, nsec *ret, int *ret_digits)
{
    const char *p = text.p;
    if (text.n < 20 || text.n > 30 || text.n == 21 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' ||
        p[16] != ':' || p[text.n - 1] != 'Z' || (text.n > 20 && p[19] != '.'))
        return false;
    unsigned century = two(p), year = two(p + 2), month = two(p + 5), day = two(p + 8);
    unsigned h = two(p + 11), m = two(p + 14), s = two(p + 17), ns = 0;
    if ((century != 19 && century != 20) || year > 99 || month - 1 > 11 || day - 1 > 30 || h > 23 || m > 59 || s > 59)
        return false;
    for (size_t i = 20; i + 1 < text.n; i++) {
        unsigned d = (unsigned)(unsigned char)p[i] - '0';
        if (d > 9)
            return false;
        ns = 10 * ns + d;
    }
    static const unsigned units[] = {1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
    int y = (int)(100 * century + year);
    if ((int)day > month_days(y, (int)month))
        return false;
    *ret_digits = text.n == 20 ? 0 : (int)text.n - 21;
    int64_t days = civil_days(y, (int)month, (int)day);
    *ret = (days * 86400 + (int64_t)(h * 3600 + m * 60 + s)) * NSEC_PER_SEC + (int64_t)ns * units[*ret_digits];
    return true;
}

int time_read(str text, nsec *ret, int *ret_digits, struct err *e)
{
    if (LIKELY(read_common(text, ret, ret_digits)))
        return 0;
    nsec t = 0;
    int digits = 0, rc;
    text = str_trim(text);
    if (text.n >= 10 && at(text, 4, '-'))
        rc = read_rfc3339(text, &t, &digits, e);
    else
        rc = read_epoch(text, &t, &digits, e);
    if (rc == 0 && (t / NSEC_PER_SEC < FROM_S || t / NSEC_PER_SEC >= TO_S))
        rc = out_of_range(text, e);
    if (rc == 0) {
        *ret = t;
        *ret_digits = digits;
    }
    return rc;
}
