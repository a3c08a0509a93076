/* stats/personal.h - does a text look as if it named a person, or a thing that one person has?
 *
 * A guard against accidents: a label that holds addresses or ids makes a series per person. It looks at a text as it is
 * and as it is meant: percent-encoded, as HTML or JSON writes characters, in wide letters and other scripts' digits,
 * with "(at)", in base64. Who wants to hide a name from it can.
 *
 * Owner   any thread, no state. */
#ifndef STATS_PERSONAL_H
#define STATS_PERSONAL_H

#include "base/base.h"

/* Of a label's value: what it looks like ("an e-mail address"), or NULL. */
const char *personal_text(str s);
/* Of the name of a metric or label, where dates, versions and words in one are fine. */
const char *personal_name(str s);

#endif
