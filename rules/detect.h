/* rules/detect.h - is this value unlike all that this series showed before? Pure; one per series, one owner, no allocation.
 *
 * Two views of a series are judged alike: its level, and what is left of it when the usual course of a day is taken away.
 * A view keeps a slow median (moved by steps of at most three times the slow mean deviation, so that an outage does not
 * become normal) and a record: the farthest it ever was from that median, fading by 1e-4 a value. What is farther than
 * the record, and farther than noise, has not been there before, whatever the distribution.
 *
 * Half-lives are in values, not in time: 864 values are three days at one in five minutes. */
#ifndef RULES_DETECT_H
#define RULES_DETECT_H

#include "base/clock.h"

enum { DETECT_SLOTS = 96 }; /* of a day: a quarter of an hour each */

struct detect_view {
    double median, deviation, record;
    uint32_t n; /* values seen; from 0 */
};
struct detect { /* all zero: nothing was seen */
    struct detect_view level, rest;
    double level_now, rest_now; /* smoothed */
    double usual[DETECT_SLOTS];
    uint32_t usual_n[DETECT_SLOTS];
    usec began;
    uint32_t n, quiet; /* values seen; values left in which only a clear record is told again */
};
/* Takes the next value, which is finite. 0 to 1: above 0.5 it is told, and how far from usual; up to 0.5 it is not. */
double detect_next(struct detect *d, usec time, double value);

#endif
