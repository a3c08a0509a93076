#include "rules/detect.h"

#include <math.h>

#define FADE .9999
#define HALF 864.      /* values: half-life of median and deviation */
#define SMOOTH .2      /* share of a new value in the level of now */
#define SMOOTHER .1    /* the same of the rest */
#define MARGIN 1.05    /* over the record */
#define CLEAR 1.3      /* over the record: told although one was told just before */
enum { QUIET = 144 };  /* values after one that was told */
enum { FIRST = 20 };   /* values before a view judges */
enum { SEASONED = 3 }; /* values in a slot before the slot is believed */
enum { DAY_S = 86400 };
#define WARM (2LL * DAY_S * USEC_PER_SEC) /* before the rest is judged */

/* How far y is from the median, in records; x moves the median. */
static double judge(struct detect_view *v, double y, double x)
{
    if (v->n++ == 0)
        v->median = x;
    double share = fmax(1 - exp2(-1 / HALF), 1. / (v->n + 1)), far = fabs(y - v->median);
    double noise = fmax(v->record, 1.4826 * v->deviation); /* of a normal distribution's deviation from its median */
    double ratio = noise > 0 ? far / noise : far > 0 ? 2 : 0;
    double step = x - v->median, most = v->deviation > 0 ? 3 * v->deviation : fabs(step);
    v->record = fmax(v->record * FADE, far);
    v->median += share * fmax(-most, fmin(most, step));
    v->deviation += share * (fabs(x - v->median) - v->deviation);
    return v->n > FIRST ? ratio : 0;
}

static double judge_rest(struct detect *d, usec time, double value)
{
    int slot = (int)((time / USEC_PER_SEC % DAY_S + DAY_S) % DAY_S / (DAY_S / DETECT_SLOTS));
    double ratio = 0, rest = value - d->usual[slot];
    uint32_t n = d->usual_n[slot]++;
    if (n >= SEASONED) {
        d->rest_now += SMOOTHER * (rest - d->rest_now);
        ratio = judge(&d->rest, d->rest_now, rest);
        ratio = time - d->began >= WARM ? ratio : 0;
    }
    d->usual[slot] += fmax(.1, 1. / (n + 1)) * rest;
    return ratio;
}

double detect_next(struct detect *d, usec time, double value)
{
    value = fmax(-1e150, fmin(1e150, value)); /* so that differences are finite too */
    if (d->n++ == 0) {
        d->level_now = value;
        d->began = time;
    }
    d->level_now += SMOOTH * (value - d->level_now);
    double ratio = fmax(judge(&d->level, d->level_now, value), judge_rest(d, time, value)) / MARGIN;
    bool told = ratio > 1 && (d->quiet == 0 || ratio > CLEAR);
    d->quiet = told ? QUIET - 1 : d->quiet ? d->quiet - 1 : 0;
    return told ? ratio / (ratio + 1) : fmin(ratio / (ratio + 1), .5);
}
