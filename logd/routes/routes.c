/* routes/routes.c - every resource logd has, in one table; see struct route in http.h. */
#include "routes/http.h"
#include "routes/resources.h"

const struct route routes[] = {
    {HTTP_GET, "/", RIGHT_NONE, ROUTE_PUBLIC, get_page},
    {HTTP_GET, "/login", RIGHT_NONE, ROUTE_PUBLIC, get_page},
    {HTTP_GET, "/first", RIGHT_NONE, ROUTE_PUBLIC, get_page},
    {HTTP_GET, "/issues", RIGHT_NONE, ROUTE_PUBLIC, get_page},
    {HTTP_GET, "/issues/{}", RIGHT_NONE, ROUTE_PUBLIC, get_page},
    {HTTP_GET, "/incidents", RIGHT_NONE, ROUTE_PUBLIC, get_page},
    {HTTP_GET, "/incidents/{}", RIGHT_NONE, ROUTE_PUBLIC, get_page},
    {HTTP_GET, "/app/{}", RIGHT_NONE, ROUTE_PUBLIC, get_file},
    {HTTP_GET, "/b.js", RIGHT_NONE, ROUTE_PUBLIC, get_reporter},

    {HTTP_GET, "/healthz", RIGHT_NONE, ROUTE_PUBLIC, get_health},
    {HTTP_GET, "/metrics", RIGHT_STATE, ROUTE_POOL, get_metrics},
    {HTTP_GET, "/v1/status", RIGHT_STATE, ROUTE_POOL, get_status},

    {HTTP_POST, "/v1/events", RIGHT_REPORT, ROUTE_BODY, post_events}, /* browser keys too */
    {HTTP_POST, "/b", RIGHT_REPORT, ROUTE_BEACON, post_beacon},
    {HTTP_POST, "/b/reports", RIGHT_REPORT, ROUTE_BEACON, post_reports},

    {HTTP_GET, "/v1/query", RIGHT_READ, ROUTE_POOL, get_query},
    {HTTP_GET, "/v1/histogram", RIGHT_READ, ROUTE_POOL, get_histogram},
    {HTTP_GET, "/v1/tail", RIGHT_READ, ROUTE_POOL, get_tail},
    {HTTP_GET, "/v1/facets", RIGHT_READ, ROUTE_POOL, get_facets},
    {HTTP_GET, "/v1/fields", RIGHT_READ, ROUTE_POOL, get_fields},
    {HTTP_GET, "/v1/events/{}", RIGHT_READ, ROUTE_POOL, get_event},
    {HTTP_GET, "/v1/events/{}/context", RIGHT_READ, ROUTE_POOL, get_event_context},
    {HTTP_GET, "/v1/issues", RIGHT_READ, ROUTE_POOL, get_issues},
    {HTTP_GET, "/v1/issues/{}", RIGHT_READ, ROUTE_POOL, get_issue},
    {HTTP_PATCH, "/v1/issues", RIGHT_EDIT, ROUTE_POOL, patch_issues},
    {HTTP_PATCH, "/v1/issues/{}", RIGHT_EDIT, ROUTE_POOL, patch_issue},
    {HTTP_POST, "/v1/issues/merge", RIGHT_EDIT, ROUTE_POOL, post_issues_merge},
    {HTTP_POST, "/v1/issues/{}/comments", RIGHT_EDIT, ROUTE_POOL, post_issue_comment},
    {HTTP_POST, "/v1/issues/{}/split", RIGHT_EDIT, ROUTE_POOL, post_issue_split},
    {HTTP_GET, "/v1/incidents", RIGHT_READ, ROUTE_POOL, get_incidents},
    {HTTP_GET, "/v1/incidents/{}", RIGHT_READ, ROUTE_POOL, get_incident},
    {HTTP_POST, "/v1/incidents/{}/{}", RIGHT_EDIT, ROUTE_POOL, post_incident},
    {HTTP_GET, "/v1/rules", RIGHT_READ, ROUTE_POOL, get_rules},
    {HTTP_POST, "/v1/stats", RIGHT_WRITE, ROUTE_POOL, post_stats},
    {HTTP_GET, "/v1/stats", RIGHT_READ, ROUTE_POOL, get_stats_names},
    {HTTP_GET, "/v1/stats/{}", RIGHT_READ, ROUTE_POOL, get_stats},
    {HTTP_GET, "/v1/archive", RIGHT_ADMIN, ROUTE_POOL, get_archive},
    {HTTP_POST, "/v1/archive/ship", RIGHT_ADMIN, ROUTE_POOL, post_archive_ship},
    {HTTP_POST, "/v1/archive/verify", RIGHT_ADMIN, ROUTE_POOL, post_archive_verify},
    {HTTP_POST, "/v1/mail/test", RIGHT_ADMIN, ROUTE_POOL, post_mail_test},
    {HTTP_POST, "/debug/seal", RIGHT_NONE, ROUTE_PUBLIC | ROUTE_POOL, post_debug_seal},
    {HTTP_POST, "/debug/clock", RIGHT_NONE, ROUTE_PUBLIC | ROUTE_POOL, post_debug_clock},

    {HTTP_GET, "/v1/apps", RIGHT_ADMIN, 0, get_apps},
    {HTTP_POST, "/v1/apps", RIGHT_ADMIN, ROUTE_POOL, post_app},
    {HTTP_DELETE, "/v1/apps/{}", RIGHT_ADMIN, ROUTE_POOL, delete_app},
    {HTTP_GET, "/v1/keys", RIGHT_ADMIN, 0, get_keys},
    {HTTP_POST, "/v1/keys", RIGHT_ADMIN, ROUTE_POOL, post_key},
    {HTTP_DELETE, "/v1/keys/{}", RIGHT_ADMIN, ROUTE_POOL, delete_key},
    {HTTP_GET, "/v1/users", RIGHT_ADMIN, ROUTE_POOL, get_users},
    {HTTP_POST, "/v1/users", RIGHT_ADMIN, ROUTE_POOL, post_user},
    {HTTP_POST, "/v1/users/{}/password", RIGHT_ADMIN, ROUTE_POOL, post_user_password},
    {HTTP_DELETE, "/v1/users/{}", RIGHT_ADMIN, ROUTE_POOL, delete_user},

    {HTTP_POST, "/login", RIGHT_NONE, ROUTE_PUBLIC | ROUTE_POOL, post_login},
    {HTTP_POST, "/logout", RIGHT_NONE, ROUTE_POOL, post_logout},
    {HTTP_POST, "/first", RIGHT_NONE, ROUTE_PUBLIC | ROUTE_POOL, post_first},
    {HTTP_GET, "/v1/me", RIGHT_NONE, 0, get_me},
    {HTTP_POST, "/v1/me/password", RIGHT_NONE, ROUTE_POOL, post_my_password},
};
const size_t routes_n = LENGTH(routes);
