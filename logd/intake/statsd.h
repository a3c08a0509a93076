/* intake/statsd.h - StatsD and DogStatsD: one line of a packet is numbers of one metric, an event or a check.
 *
 *   pages.views:1|c|@0.1|#page:home,beta        c count (@: one in ten was sent), ms h d timing, g gauge, s set
 *   page.ms:12:15:9|ms                          several numbers of one metric (not of a set)
 *   queue.length:-3|g                           a sign means "by so much", so a gauge goes below 0 from 0 only
 *   _e{5,4}:title|text|d:TIME|h:HOST|p:low|t:error|k:KEY|s:SOURCE|#tags
 *   _sc|disk.free|1|d:TIME|h:HOST|#tags|m:message
 *
 * Fields that a later client may add (|c:container, |e:, |card:) are passed over; |T is the numbers' time.
 *
 * Owner   any thread; nothing is allocated. Views are into the line. Errors never repeat what was sent. */
#ifndef INTAKE_STATSD_H
#define INTAKE_STATSD_H

#include "base/buf.h"
#include "base/err.h"

enum { STATSD_TAGS = 32 }; /* of a line; more is refused */

enum statsd_kind { STATSD_COUNT, STATSD_GAUGE, STATSD_TIMING, STATSD_SET, STATSD_EVENT, STATSD_CHECK };
/* Why a line was refused. The first ones are found here, the rest by who takes it. */
enum statsd_reason {
    STATSD_BAD_LINE,
    STATSD_BAD_TYPE,
    STATSD_BAD_VALUE,
    STATSD_BAD_RATE,
    STATSD_BAD_TAGS,
    STATSD_BAD_EVENT,
    STATSD_BAD_NAME,
    STATSD_BAD_LABEL,
    STATSD_OTHER_TYPE,
    STATSD_TOO_LONG,
    STATSD_TOO_MANY,
    STATSD_NOT_TAKEN,
    STATSD_REASONS
};
struct statsd_reason_text {
    const char *name, *sentence;
};
extern const struct statsd_reason_text statsd_reasons[STATSD_REASONS];

struct statsd_tag {
    str name, value; /* a tag without a value has "true" */
};
struct statsd_line {
    enum statsd_kind kind;
    str series; /* name and all that is not a number: equal lines of one series have the same bytes after it */
    str name;   /* of the metric or check */
    str values; /* one or several with ':' between; statsd_value takes them */
    str type;   /* as sent */
    str tags;   /* as sent, without '#' */
    double rate;
    usec time; /* 0: none was sent */
    str body;  /* of an event or check: what statsd_event reads */
};
/* One line without its end. */
int statsd_read(str line, struct statsd_line *ret, enum statsd_reason *why) MUST_CHECK;
/* The next number of *values; 1 there was one, 0 no more, -1 it is none. `by`: it has a sign. */
int statsd_value(str *values, double *ret, bool *ret_by) MUST_CHECK;
int statsd_tags(str tags, struct statsd_tag ret[STATSD_TAGS], size_t *ret_n) MUST_CHECK;
/* An event or check as one JSON object, to be posted. */
int statsd_event(const struct statsd_line *l, struct buf *out, enum statsd_reason *why) MUST_CHECK;

#endif
