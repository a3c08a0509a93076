/* agent/alarm.h - a mail of our own when no server takes anything for ten minutes: who watches the watcher.
 *
 * One mail when it begins and one when it is over, by SMTP at the address of the config: not by way of a logd. A mail that
 * is not taken is tried again every minute.
 *
 * Owner   one thread; waits for the mail server for at most SMTP_TIMEOUT, calling `tick`. */
#ifndef AGENT_ALARM_H
#define AGENT_ALARM_H

#include "agent/config.h"

struct alarm {
    bool told;  /* that nothing is taken, and not yet that it is again */
    usec since; /* what was told, wall clock */
    usec tried; /* monotonic; a mail that was not taken; 0: none */
};
struct outage {
    usec since; /* monotonic; 0: there is none */
    const char *why, *host;
    uint64_t lag; /* bytes that wait */
};
/* A mail is due. */
bool alarm_due(const struct alarm *a, const struct agent_config *c, usec since, usec mono);
void alarm_mail(struct alarm *a, const struct agent_config *c, const struct outage *o, bool (*tick)(void *), void *arg);

#endif
