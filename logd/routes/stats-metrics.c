/* routes/stats-metrics.c - the stats that the config chooses, in /metrics; and /metrics as OpenMetrics. */
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "fold.h"
#include "parts.h"
#include "routes/auth.h"
#include "routes/resources.h"
#include "stats/stats.h"

struct naming {
    struct auth *auth;
    char name[LIMIT_APP + 1];
};

static str app_name(uint32_t app, void *arg)
{
    struct naming *n = arg;
    if (!auth_app_name(n->auth, app, n->name))
        snprintf(n->name, sizeof n->name, "%u", app);
    return str_of(n->name);
}

void stats_metrics(struct request *r)
{
    const struct config *c = r->parts->config;
    struct naming naming = {.auth = r->parts->auth};
    struct zone *kept = NULL;
    struct err e;
    struct db *db = c->stats.metrics_n && r->parts->fold ? fold_reader(r->parts->fold, &e) : NULL;
    if (!db)
        return;
    bool good = zone_open(str_of(c->stats.zone), &kept, &e) == 0;
    struct stats_expose x = {clock_now(), kept, app_name, &naming};
    for (size_t i = 0; good && i < c->stats.metrics_n; i++) {
        size_t before = r->out.n;
        if (stats_expose(db, str_of(c->stats.metrics[i]), &x, &r->out, &e) < 0) {
            log_warn("stats", "what=\"a stat is not in /metrics\" why=\"%s\"", e.text);
            r->out.n = before;
        }
    }
    zone_free(kept);
}

/* The families of counters are named without the _total of their samples, and an end is said. */
void metrics_as_open(struct buf *b)
{
    char *from = b->p;
    struct buf out = BUF_INIT(b->max);
    for (str rest = buf_view(b); rest.n;) {
        str line = str_cut(&rest, '\n'), tail = line;
        bool about = str_starts(line, S("# HELP ")) || str_starts(line, S("# TYPE "));
        str head = str_head(line, 7), name = about ? (tail = str_skip(line, 7), str_cut(&tail, ' ')) : (str){0};
        if (about && str_ends(name, S("_total"))) {
            buf_str(&out, head);
            buf_str(&out, str_head(name, name.n - 6));
            buf_byte(&out, ' ');
            line = tail;
        }
        buf_str(&out, line);
        buf_byte(&out, '\n');
    }
    buf_lit(&out, "# EOF\n");
    free(from);
    *b = out;
}
