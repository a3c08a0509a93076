#include "watched.h"
#include "base/clock.h"
#include "base/str.h"
#include "routes/auth.h"
#include "stats/stats.h"

#include <jansson.h>

struct looking {
    struct auth *auth;
    const struct rules_set *rules;
    bool hours;
    watched_fn *fn;
    void *arg;
};

static int tell(const struct stats_closed *c, void *arg, struct err *e)
{
    struct looking *l = arg;
    char app[LIMIT_APP + 1] = "", when[TIME_TEXT_MAX];
    struct buf line = BUF_INIT(64 << 10);
    json_t *labels = json_loadb(c->labels.p, c->labels.n, 0, NULL), *v;
    const char *key;
    if (l->auth && !auth_app_name(l->auth, c->app, app))
        app[0] = 0;
    time_print(c->start * NSEC_PER_SEC, 0, when);
    buf_printf(&line,
               "{\"id\":\"000000000000000\",\"time\":\"%s\",\"app\":\"%s\",\"level\":\"info\",\"severity_number\":9,"
               "\"type\":\"stat\",\"stat.name\":\"%.*s\",\"stat.by\":\"%s\",\"value\":",
               when, app, STR_ARG(c->name), l->hours ? "hour" : "minute");
    buf_double(&line, c->value);
    if (c->has_usual) {
        buf_lit(&line, ",\"usual\":");
        buf_double(&line, c->usual);
    }
    if (c->has_usual && c->usual > 0) {
        buf_lit(&line, ",\"ratio\":");
        buf_double(&line, c->value / c->usual);
    }
    json_object_foreach(labels, key, v)
    {
        buf_byte(&line, ',');
        buf_json(&line, str_of(key));
        buf_byte(&line, ':');
        buf_json(&line, str_of(json_string_value(v)));
    }
    buf_byte(&line, '}');
    char *name = str_dup(c->name);
    int rc = l->fn(buf_view(&line), name, l->hours, l->arg, e);
    free(name);
    json_decref(labels);
    buf_done(&line);
    return rc;
}

static bool wanted(str name, void *arg)
{
    const struct looking *l = arg;
    return rules_watch(l->rules, name, l->hours);
}

int watched_look(struct watched *w, struct db *db, struct auth *auth, const struct rules_set *rules, usec now,
                 usec *ret_due, watched_fn *fn, void *arg, struct err *e)
{
    int64_t minute = (now - WATCHED_GRACE) / (60 * USEC_PER_SEC) * 60; /* the first that is not over */
    struct looking l = {auth, rules, false, fn, arg};
    bool begun = w->minute != 0 && minute > w->minute, hour = begun && minute / 3600 > w->minute / 3600;
    w->minute = minute;
    *ret_due = (minute + 60) * USEC_PER_SEC + WATCHED_GRACE;
    if (begun && stats_closed_each(db, 60, minute - 60, wanted, tell, &l, e) < 0)
        return -1;
    l.hours = true;
    return hour ? stats_closed_each(db, 3600, minute / 3600 * 3600 - 3600, wanted, tell, &l, e) : 0;
}
