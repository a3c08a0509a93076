/* routes/routes.c - every resource logd has, in one table; see struct route in http.h. */
#include "routes/http.h"
#include "routes/resources.h"

const struct route routes[] = {
    {HTTP_GET, "/healthz", RIGHT_NONE, ROUTE_PUBLIC, get_health},
};
const size_t routes_n = LENGTH(routes);
