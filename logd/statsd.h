/* statsd.h - the StatsD listener: a UDP port and a Unix datagram socket, one thread.
 *
 * It reads packets as fast as they come (recvmmsg, a large receive buffer), adds numbers up for a second (stats/gather.h),
 * then gives one record of stats and one of events to the journal and does not wait for it. What the journal cannot take now
 * is offered again each second, up to STATSD_RETRIES records; past that it is lost, and counted.
 *
 * Nobody is told of a bad line, so each is counted by reason, and a reason is warned of once a minute without the text.
 *
 * Owner   main starts and stops it; statsd_get_stats: any thread. */
#ifndef STATSD_H
#define STATSD_H

#include "intake/statsd.h"
#include "parts.h"

enum { STATSD_RETRIES = 60, STATSD_PACKET = 8192 };

struct statsd;
/* Opens the sockets that the config names, and makes the app when there is none. */
int statsd_start(struct parts *p, struct statsd **ret, struct err *e) MUST_CHECK;
void statsd_stop(struct statsd *s); /* takes what has arrived, hands it to the journal */
void statsd_free(struct statsd *s); /* after journal_close: no record of it is under way; NULL is fine */

struct statsd_stats {
    uint64_t packets, lines, numbers, events, refused[STATSD_REASONS];
    uint64_t overflow; /* packets that the kernel dropped since its buffer was full */
};
void statsd_get_stats(struct statsd *s, struct statsd_stats *ret);

#endif
