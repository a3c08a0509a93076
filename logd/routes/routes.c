/* routes/routes.c - every resource logd has, in one table; see struct route in http.h. */
#include "routes/http.h"
#include "routes/resources.h"

const struct route routes[] = {
    {HTTP_GET, "/healthz", RIGHT_NONE, ROUTE_PUBLIC, get_health},
    {HTTP_GET, "/metrics", RIGHT_STATE, ROUTE_POOL, get_metrics},
    {HTTP_GET, "/v1/status", RIGHT_STATE, ROUTE_POOL, get_status},

    {HTTP_POST, "/v1/events", RIGHT_WRITE, ROUTE_BODY, post_events},
    {HTTP_POST, "/b", RIGHT_REPORT, ROUTE_BEACON, post_beacon},
    {HTTP_POST, "/b/reports", RIGHT_REPORT, ROUTE_BEACON, post_reports},
};
const size_t routes_n = LENGTH(routes);
