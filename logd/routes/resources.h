/* routes/resources.h - the handlers that routes.c lists, by file. What they answer stands in the contract. */
#ifndef ROUTES_RESOURCES_H
#define ROUTES_RESOURCES_H

#include "routes/http.h"

/* events.c */
void post_events(struct request *r);
/* beacon.c */
void post_beacon(struct request *r);
void post_reports(struct request *r);
/* state.c */
void get_health(struct request *r);
void get_metrics(struct request *r);
void get_status(struct request *r);

#endif
