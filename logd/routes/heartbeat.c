/* routes/heartbeat.c - ANY /v1/heartbeat/NAME?every=5m&grace=1m: a job says that it ran (contract 6).
 *
 * It is stored as an event of type heartbeat, so it survives what events survive, and can be searched; the rule
 * heartbeat-missing tells its silence. */
#include "base/str.h"
#include "routes/post.h"
#include "routes/resources.h"

enum { NAME_MAX_LEN = 100 };
#define EVERY_MAX (366LL * 86400 * USEC_PER_SEC)

static bool is_name(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!(c == '-' || c == '_' || c == '.' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z')))
            return false;
    }
    return s.n > 0 && s.n <= NAME_MAX_LEN;
}

/* Adds "heartbeat.NAME_s":N when the parameter is there; false: answered. */
static bool put_duration(struct request *r, const char *name, struct buf *out)
{
    str text = http_param(r, name);
    usec d;
    if (!text.p)
        return true;
    if (!str_duration(text, &d) || d < USEC_PER_SEC || d > EVERY_MAX) {
        reply_error(r, 400, "%s: expected a duration from 1s to 366d, like 90s, 5m or 1d, got \"%.*s\"", name,
                    STR_ARG(str_head(text, 40)));
        return false;
    }
    buf_printf(out, ",\"heartbeat.%s_s\":%lld", name, (long long)(d / USEC_PER_SEC));
    return true;
}

static void reply_heard(struct request *r, const struct batch *b)
{
    (void)b;
    buf_lit(&r->out, "{\"status\":\"ok\"}\n");
}

static void commit(struct request *r, str event)
{
    struct err e = {0};
    struct event_source src;
    size_t used;
    struct batch *b = post_begin(r, RECORD_EVENTS, &src);
    if (!b)
        return;
    if (event_add(post_writer(), &src, event, b, &used, &e) < 0) {
        batch_free(b);
        post_refuse(r, &e);
        return;
    }
    post_commit(r, b, reply_heard);
}

void any_heartbeat(struct request *r)
{
    struct buf event = BUF_INIT(2000);
    str name = r->arg[0];
    if (!is_name(name)) {
        reply_error(r, 400, "expected a name of 1 to %d of A-Z, a-z, 0-9, '-', '_' and '.', got \"%.*s\"", NAME_MAX_LEN,
                    STR_ARG(str_head(name, 40)));
        return;
    }
    buf_printf(&event,
               "{\"type\":\"heartbeat\",\"level\":\"debug\",\"message\":\"heartbeat %.*s\",\"heartbeat.name\":\"%.*s\"",
               STR_ARG(name), STR_ARG(name));
    if (put_duration(r, "every", &event) && put_duration(r, "grace", &event)) {
        buf_byte(&event, '}');
        commit(r, buf_view(&event));
    }
    buf_done(&event);
}
