/* stats/expose.c - a stat as Prometheus wants it: counts as counters, timings as summaries, the rest as gauges.
 *
 * The name is stat_NAME with '_' for what Prometheus does not take. A count and a timing's sum and count are of all time; a
 * timing's quantiles, a max and a min are of today (UTC's, or the kept zone's). A unique is the last day that is over, and
 * only from UNIQUE_BELOW up. */
#include "base/map.h"
#include "base/str.h"
#include "stats/private.h"
#include "stats/unique.h"

#include <jansson.h>

struct exposing {
    struct db *db;
    struct buf *out;
    const struct stats_expose *x;
    char name[80];
    enum stat_type type;
};

static void put_text(struct buf *out, str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_byte(out, '\\');
        if (s.p[i] == '\n')
            buf_lit(out, "\\n");
        else
            buf_byte(out, s.p[i]);
    }
}

static void put_word(struct buf *out, str s)
{
    if (s.n && s.p[0] >= '0' && s.p[0] <= '9')
        buf_byte(out, '_');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool good = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '_';
        buf_byte(out, good ? c : '_');
    }
}

/* {app="shop",kind="jpg"MORE}; two labels that become one word: the first counts. */
static void put_labels(struct exposing *p, uint32_t app, str labels, const char *more)
{
    json_t *o = json_loadb(labels.p, labels.n, 0, NULL), *v;
    struct map seen = {0};
    const char *key;
    buf_lit(p->out, "{app=\"");
    put_text(p->out, p->x->app_name(app, p->x->arg));
    buf_byte(p->out, '"');
    map_set(&seen, S("app"), p);
    map_set(&seen, S("quantile"), p);
    map_set(&seen, S("period"), p);
    json_object_foreach(o, key, v)
    {
        struct buf word = BUF_INIT(300);
        put_word(&word, str_of(key));
        if (!map_get(&seen, buf_view(&word))) {
            map_set(&seen, buf_view(&word), p);
            buf_printf(p->out, ",%.*s=\"", STR_ARG(buf_view(&word)));
            put_text(p->out, str_of(json_string_value(v)));
            buf_byte(p->out, '"');
        }
        buf_done(&word);
    }
    buf_printf(p->out, "%s} ", more);
    map_done(&seen);
    json_decref(o);
}

static void put_sample(struct exposing *p, const char *suffix, uint32_t app, str labels, const char *more, double v)
{
    buf_printf(p->out, "%s%s", p->name, suffix);
    put_labels(p, app, labels, more);
    buf_double(p->out, v);
    buf_byte(p->out, '\n');
}

static int add_up(int64_t start, const struct cell *c, void *arg, struct err *e)
{
    (void)start;
    (void)e;
    cell_add(arg, c);
    return 0;
}

static int today_of(struct exposing *p, int64_t series, struct cell *ret, struct err *e)
{
    int64_t now = p->x->now / USEC_PER_SEC, day = stat_period(now + zone_offset(p->x->kept, now), DAY);
    return stat_cells(p->db, series, p->type, DAY, day, day + DAY, add_up, ret, e);
}

static int put_timing(struct exposing *p, int64_t series, uint32_t app, str labels, struct err *e)
{
    static const struct {
        const char *text;
        double part;
    } parts[] = {{",quantile=\"0.5\"", .5}, {",quantile=\"0.9\"", .9}, {",quantile=\"0.99\"", .99}};
    struct cell today = {0}, all = {0};
    bool exact;
    int rc = today_of(p, series, &today, e) < 0 ||
                     stat_cells(p->db, series, p->type, MONTH, INT64_MIN / 2, INT64_MAX / 2, add_up, &all, e) < 0
                 ? -1
                 : 0;
    for (size_t i = 0; rc == 0 && today.quantiles.count && i < LENGTH(parts); i++) {
        double v = quantiles_get(&today.quantiles, parts[i].part,
                                 &exact); /* of its bucket: the ends are known exactly */
        put_sample(p, "", app, labels, parts[i].text, v < today.min ? today.min : v > today.max ? today.max : v);
    }
    if (rc == 0) {
        put_sample(p, "_sum", app, labels, "", cell_sum(&all));
        put_sample(p, "_count", app, labels, "", (double)all.n);
    }
    quantiles_done(&today.quantiles);
    quantiles_done(&all.quantiles);
    return rc;
}

static int put_unique(struct exposing *p, int64_t series, uint32_t app, str labels, struct err *e)
{
    sqlite3_stmt *st = db_stmt(p->db, "SELECT value FROM unique_cell WHERE series = ? AND step = 86400"
                                      " ORDER BY start DESC LIMIT 1");
    sqlite3_bind_int64(st, 1, series);
    int rc = db_step(p->db, st, e);
    if (rc > 0) {
        int64_t value = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        if (value >= UNIQUE_BELOW)
            put_sample(p, "", app, labels, ",period=\"day\"", (double)value);
    }
    return rc < 0 ? -1 : 0;
}

static int put_series(struct exposing *p, sqlite3_stmt *st, struct err *e)
{
    int64_t id = sqlite3_column_int64(st, 0);
    uint32_t app = (uint32_t)sqlite3_column_int64(st, 1);
    str labels = db_str(st, 3);
    struct cell today = {0};
    switch (p->type) {
    case STAT_COUNT: put_sample(p, "_total", app, labels, "", (double)sqlite3_column_int64(st, 4)); return 0;
    case STAT_GAUGE: put_sample(p, "", app, labels, "", sqlite3_column_double(st, 5)); return 0;
    case STAT_TIMING: return put_timing(p, id, app, labels, e);
    case STAT_UNIQUE: return put_unique(p, id, app, labels, e);
    default: break;
    }
    if (today_of(p, id, &today, e) < 0)
        return -1;
    if (today.n)
        put_sample(p, "", app, labels, "", p->type == STAT_MAX ? today.max : today.min);
    return 0;
}

/* Its first app's type is the type; an app where it has another is left out. */
static void put_family(struct exposing *p, str name)
{
    static const char *const types[] = {[STAT_COUNT] = "counter", [STAT_TIMING] = "summary"};
    const char *type = (size_t)p->type < LENGTH(types) && types[p->type] ? types[p->type] : "gauge";
    const char *suffix = p->type == STAT_COUNT ? "_total" : "";
    buf_printf(p->out, "# HELP %s%s Stat %.*s, a %.*s.\n# TYPE %s%s %s\n", p->name, suffix, STR_ARG(name),
               STR_ARG(stat_type_names[p->type]), p->name, suffix, type);
}

int stats_expose(struct db *read, str name, const struct stats_expose *x, struct buf *out, struct err *e)
{
    struct exposing p = {.db = read, .out = out, .x = x, .type = STAT_TYPES};
    struct buf word = BUF_INIT(sizeof p.name - 1);
    sqlite3_stmt *st = db_stmt(read, "SELECT id, app, type, labels, total, last FROM stat_series WHERE name = ?"
                                     " ORDER BY app, id");
    int rc;
    buf_lit(&word, "stat_");
    put_word(&word, name);
    snprintf(p.name, sizeof p.name, "%.*s", STR_ARG(buf_view(&word)));
    buf_done(&word);
    db_bind_str(st, 1, name);
    while ((rc = db_step(read, st, e)) > 0) {
        enum stat_type type;
        if (!stat_type_of(db_str(st, 2), &type) || (p.type != STAT_TYPES && p.type != type))
            continue;
        if (p.type == STAT_TYPES) {
            p.type = type;
            put_family(&p, name);
        }
        if (put_series(&p, st, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
    }
    return rc;
}
