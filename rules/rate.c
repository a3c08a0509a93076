/* rules/rate.c - how many is too many? By the past of the key itself, two tests that must both hold:
 *
 * - the tail of a negative binomial with the mean and variance of past buckets, exponentially weighted (half-life three
 *   days of five-minute buckets), is below p. What was extraordinary does not enter, so that an outage does not become normal;
 * - it is more than 1.5 times the fullest bucket of the last 14 days, plus 2, which asks nothing of the distribution. What
 *   was extraordinary itself counts only until the same hour of the next day, and at the hours beside it: what comes each
 *   night is usual, what went on since an hour ago was told, but the second outage of a week is told like the first.
 *
 * A full bucket is looked at again each time it grew by a quarter: what is told, is told when it crosses, not when the
 * bucket is over. Empty buckets are made good in closed form when the key is next seen, so a silent key costs nothing. */
#include "rules/condition.h"

#include <math.h>

#define DAY (86400 * USEC_PER_SEC)
#define HALF_LIFE 864.      /* buckets */
enum { LEARNING_MIN = 20 }; /* events each five minutes, in a key's first day */
enum { RECORD_DAYS = 14 };

/* P(X >= x), X ~ NegBin(mean, variance); Poisson when the variance is no more than the mean. Summed from x upward, where
 * terms fall, or from 0 when x is below the mean. */
double negative_binomial_tail(double mean, double variance, int64_t x)
{
    if (x <= 0)
        return 1;
    if (mean <= 0)
        return 0;
    variance = fmax(variance, 1.0001 * mean);
    double r = mean * mean / (variance - mean), q = mean / (r + mean);
    bool below = (double)x <= mean;
    double k = below ? 0 : (double)x, sum = 0;
    double term = exp(lgamma(k + r) - lgamma(k + 1) - lgamma(r) + r * log(r / (r + mean)) + k * log(q));
    for (int i = 0; i < 100000; i++, k++) {
        if (below && k >= (double)x)
            break;
        sum += term;
        term *= (k + r) / (k + 1) * q;
        if (!below && term < sum * 1e-9)
            break;
    }
    return below ? fmax(0, 1 - sum) : fmin(1, sum);
}

static int64_t alarm_of(const struct rate *r, int64_t hour)
{
    int64_t a = r->alarms[(hour + 24) % 24];
    return ((r->day - a) & 0xffff) <= 1 ? a >> 16 : 0;
}

static void note_alarm(struct rate *r)
{
    if (r->count >= alarm_of(r, r->hour))
        r->alarms[r->hour] = r->count << 16 | (r->day & 0xffff);
}

static int64_t usual_record(const struct rate *r)
{
    int64_t record = 0;
    for (int i = 0; i < RECORD_DAYS; i++)
        record = r->most[i] > record ? r->most[i] : record;
    return record;
}

static int64_t alarm_record(const struct rate *r)
{
    int64_t record = 0;
    for (int64_t hour = r->hour - 1; hour <= r->hour + 1; hour++)
        record = alarm_of(r, hour) > record ? alarm_of(r, hour) : record;
    return record;
}

/* The bucket that was open is over. What was extraordinary is no part of what is usual. */
static void close_bucket(struct rate *r)
{
    double w = fmax(1 - exp2(-1 / HALF_LIFE), 1. / (double)(r->n + 1));
    double x = fmin((double)r->count, r->mean + 6 * sqrt(r->variance + r->mean) + 3), off = x - r->mean;
    if (r->extraordinary) {
        note_alarm(r);
    } else {
        r->mean += w * off;
        r->variance += w * (off * off - r->variance);
        if (r->count > r->most[r->day % RECORD_DAYS])
            r->most[r->day % RECORD_DAYS] = r->count;
    }
    r->n++;
    r->count = r->told = r->extraordinary = 0;
}

/* `n` empty ones followed: m(1-w)^n, and the sum of what each adds to the variance. */
static void skip_buckets(struct rate *r, int64_t n)
{
    double w = 1 - exp2(-1 / HALF_LIFE), left = pow(1 - w, (double)n);
    for (; n > 0 && 1. / (double)(r->n + 1) > w; n--) { /* at first each weighs more */
        close_bucket(r);
        left = pow(1 - w, (double)(n - 1));
    }
    if (n <= 0)
        return;
    r->variance = left * r->variance + r->mean * r->mean * left / (1 - w) * (1 - left);
    r->mean *= left;
    r->n += n;
}

static void new_day(struct rate *r, int64_t day)
{
    for (int64_t d = r->day + 1; d <= day && d <= r->day + RECORD_DAYS; d++)
        r->most[d % RECORD_DAYS] = 0;
    r->day = day;
}

void rate_add(struct rate *r, usec now, usec window, uint64_t n)
{
    int64_t bucket = now / window, day = now / DAY, hour = now % DAY / (DAY / 24);
    if (r->bucket == 0) {
        r->bucket = bucket;
        r->day = day;
        r->hour = hour;
    }
    if (bucket > r->bucket) {
        close_bucket(r);
        skip_buckets(r, bucket - r->bucket - 1);
        r->bucket = bucket;
        r->hour = hour;
    }
    if (day > r->day)
        new_day(r, day);
    r->count += (int64_t)n;
}

static bool is_over(int64_t count, int64_t record, double times) { return (double)count > times * (double)record + 2; }

double rate_surprise(struct rate *r, const struct rule_part *part)
{
    bool young = r->n < DAY / part->window;
    int64_t learning = LEARNING_MIN * part->window / (300 * USEC_PER_SEC);
    double times = part->change.over_record;
    if (r->count < part->at_least || r->count < r->told || !is_over(r->count, usual_record(r), times))
        return 1;
    double p = negative_binomial_tail(fmax(r->mean, .01), r->variance, r->count);
    r->told = r->count + r->count / 4 + 1;
    if (p >= part->change.p)
        return 1;
    r->extraordinary = 1;
    return is_over(r->count, alarm_record(r), times) && (!young || r->count >= learning) ? p : 1;
}
