#include "routes/resources.h"
#include "parts.h"

void get_health(struct request *r)
{
    if (r->parts->fatal[0] == '\0' && !r->parts->stopping) {
        buf_lit(&r->out, "{\"status\":\"ok\"}\n");
        return;
    }
    reply_error(r, 503, "%s", r->parts->fatal[0] ? r->parts->fatal : "the server is stopping");
}
