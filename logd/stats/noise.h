/* stats/noise.h - noise for numbers that are published: discrete Laplace, exact.
 *
 * P(x) is proportional to exp(-epsilon |x|). Sampled in whole numbers only, after Canonne, Kamath and Steinke, "The
 * Discrete Gaussian for Differential Privacy" (2020), algorithms 1 and 2: no floating point, whose rounding would tell
 * what the noise hides.
 * Owner   any thread; getrandom(2). */
#ifndef STATS_NOISE_H
#define STATS_NOISE_H

#include "base/base.h"

/* epsilon in thousandths, 1 to 1,000,000. */
int64_t noise_laplace(uint32_t epsilon);

#endif
