/* routes/resources.h - the handlers that routes.c lists, by file. One line each: what they answer stands in the contract. */
#ifndef ROUTES_RESOURCES_H
#define ROUTES_RESOURCES_H

#include "routes/http.h"

/* state.c */
void get_health(struct request *r);

#endif
