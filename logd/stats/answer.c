/* stats/answer.c - GET /v1/stats: the metrics there are, and one of them by period and group. */
#include "base/clock.h"
#include "base/map.h"
#include "stats/private.h"

#include <jansson.h>

enum { POINTS_MAX = 100000 };

/* "2026-03-29T00:00:00+01:00" */
static void put_time(struct buf *out, const struct zone *z, int64_t s)
{
    char t[TIME_TEXT_MAX];
    int32_t offset = zone_offset(z, s), minutes = (offset < 0 ? -offset : offset) / 60;
    size_t n = time_print((s + offset) * NSEC_PER_SEC, 0, t);
    buf_printf(out, "\"%.*s", (int)n - (offset != 0), t);
    if (offset)
        buf_printf(out, "%c%02d:%02d", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
    buf_byte(out, '"');
}

int stats_names_json(struct db *read, uint32_t app, stats_app_name_fn *name, void *arg, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT name, type, labels, last, last_time, total, id, app FROM stat_series"
                                     " WHERE ?1 = 0 OR app = ?1 ORDER BY name, app, labels LIMIT 10000");
    int rc;
    size_t n = 0;
    sqlite3_bind_int64(st, 1, app);
    buf_lit(out, "{\"stats\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        buf_str(out, n++ ? S(",{\"name\":") : S("{\"name\":"));
        buf_json(out, db_str(st, 0));
        buf_lit(out, ",\"app\":");
        name(arg, (uint32_t)sqlite3_column_int64(st, 7), out);
        buf_lit(out, ",\"type\":");
        buf_json(out, db_str(st, 1));
        buf_lit(out, ",\"labels\":");
        buf_str(out, db_str(st, 2));
        if (str_eq(db_str(st, 1), stat_type_names[STAT_UNIQUE])) {
            if (unique_last_json(read, sqlite3_column_int64(st, 6), out, e) < 0) {
                sqlite3_reset(st);
                return -1;
            }
            continue;
        }
        buf_lit(out, ",\"last\":");
        buf_double(out, sqlite3_column_double(st, 3));
        buf_lit(out, ",\"last_time\":");
        put_time(out, NULL, sqlite3_column_int64(st, 4) / USEC_PER_SEC);
        if (str_eq(db_str(st, 1), stat_type_names[STAT_COUNT]))
            buf_printf(out, ",\"total\":%lld", (long long)sqlite3_column_int64(st, 5));
        buf_byte(out, '}');
    }
    buf_lit(out, "]}");
    return rc;
}

/* ---- one metric ---- */
struct point {
    int64_t start;
    str group;
    struct cell cell;
    int64_t stock; /* at its end */
};
struct answer {
    struct db *db;
    const struct stats_query *q;
    int step, cells;  /* of a point; of the cells that it is made of */
    bool local;       /* periods are dates of q->zone: their starts as if they were UTC */
    int64_t from, to; /* of the cells, as they are kept */
    int type;         /* STAT_TYPES: nothing found yet */
    struct map points;
    struct map rest; /* group -> struct rest; of a stock */
    struct cell total;
};

struct rest {
    int64_t count; /* of all time, but for what came after the range */
};

static bool same_zone(const struct stats_query *q)
{
    return str_eq(str_of(zone_name(q->zone)), str_of(zone_name(q->kept)));
}

/* Of the whole periods that the range touches. */
static void read_range(struct answer *a)
{
    const struct stats_query *q = a->q;
    int64_t from = q->from / NSEC_PER_SEC, to = q->to / NSEC_PER_SEC + (q->to % NSEC_PER_SEC > 0);
    int64_t first = stat_period(a->local ? from + zone_offset(q->zone, from) : from, a->step);
    bool hours = a->local && a->cells == HOUR;
    a->from = hours ? zone_utc(q->zone, first) : first;
    a->to = a->local && !hours ? to + zone_offset(q->zone, to) : to;
}

static int read_by(struct answer *a, struct err *e)
{
    static const struct {
        str name;
        int step, cells;
    } kinds[] = {{S("minute"), MINUTE, MINUTE}, {S("hour"), HOUR, HOUR},    {S("day"), DAY, DAY},
                 {S("week"), WEEK, DAY},        {S("month"), MONTH, MONTH}, {S("year"), YEAR, MONTH}};
    for (size_t i = 0; i < LENGTH(kinds); i++)
        if (str_eq(a->q->by, kinds[i].name)) {
            a->step = kinds[i].step;
            a->local = a->step >= DAY;
            a->cells = a->local && !same_zone(a->q) ? HOUR : kinds[i].cells;
            read_range(a);
            return 0;
        }
    return err_set(e, ERR_INPUT, "by: expected minute, hour, day, week, month or year, got \"%.*s\"",
                   STR_ARG(str_head(a->q->by, 40)));
}

static bool labels_match(const struct stats_query *q, json_t *labels)
{
    for (size_t i = 0; i < q->labels_n; i++) {
        json_t *v = json_object_getn(labels, q->label_name[i].p, q->label_name[i].n);
        if (!v || !str_eq(str_of(json_string_value(v)), q->label_value[i]))
            return false;
    }
    return true;
}

static struct point *find_point(struct answer *a, int64_t start, str group)
{
    struct buf key = BUF_INIT(1024);
    buf_add(&key, &start, sizeof start);
    buf_str(&key, group);
    struct point *p = map_get(&a->points, buf_view(&key));
    if (!p) {
        p = xmalloc(sizeof *p + group.n);
        *p = (struct point){.start = start, .group = {(char *)(p + 1), group.n}};
        if (group.n)
            memcpy(p + 1, group.p, group.n);
        map_set(&a->points, buf_view(&key), p);
    }
    buf_done(&key);
    return p;
}

struct adding {
    struct answer *a;
    str group;
    struct rest *rest;
};

static int add_cell(int64_t start, const struct cell *c, void *arg, struct err *e)
{
    struct adding *x = arg;
    struct answer *a = x->a;
    int64_t at = start;
    if (start >= a->to) {
        x->rest->count -= c->count;
        return 0;
    }
    if (a->local && a->cells == HOUR) {
        int32_t offset = zone_offset(a->q->zone, start);
        if (offset % HOUR)
            return err_set(e, ERR_INPUT, "tz: expected a zone whose days begin with an hour of UTC, or %s, got %s",
                           zone_name(a->q->kept), zone_name(a->q->zone));
        at += offset;
    }
    cell_add(&find_point(a, stat_period(at, a->step), x->group)->cell, c);
    cell_add(&a->total, c);
    return a->points.n > POINTS_MAX
               ? err_set(e, ERR_INPUT, "by: more than %d points, expected a longer period or a shorter range",
                         POINTS_MAX)
               : 0;
}

static struct rest *find_rest(struct answer *a, str group)
{
    struct rest *r = map_get(&a->rest, group);
    if (!r)
        map_set(&a->rest, group, r = xcalloc(1, sizeof *r));
    return r;
}

static int add_series(struct answer *a, int64_t series, str group, int64_t total, struct err *e)
{
    struct adding x = {a, group, find_rest(a, group)};
    bool stock = a->q->stock && a->type == STAT_COUNT;
    x.rest->count += total;
    return stat_cells(a->db, series, (enum stat_type)a->type, a->cells, a->from, stock ? INT64_MAX / 2 : a->to,
                      add_cell, &x, e);
}

/* Which of the groups asked for a series is in: a label's value, or that nobody knows it. */
static str group_of(const struct stats_query *q, json_t *labels)
{
    if (!q->group.n)
        return (str){0};
    json_t *other = json_object_get(labels, STAT_OTHER), *g = json_object_getn(labels, q->group.p, q->group.n);
    return other && !g ? S(STAT_OTHER) : str_of(json_string_value(g));
}

/* What a series is: its type, and whether it is asked for. */
static int add_one(struct answer *a, sqlite3_stmt *st, struct err *e)
{
    enum stat_type type;
    str text = db_str(st, 2);
    json_t *labels = json_loadb(text.p, text.n, 0, NULL);
    int rc = 0;
    if (stat_type_of(db_str(st, 1), &type) && labels_match(a->q, labels)) {
        if (a->type != STAT_TYPES && a->type != (int)type)
            rc = err_set(e, ERR_INPUT, "app: expected an app, for %.*s is of different types in different apps",
                         STR_ARG(str_head(a->q->name, 64)));
        a->type = (int)type;
        if (rc == 0)
            rc = add_series(a, sqlite3_column_int64(st, 0), group_of(a->q, labels), sqlite3_column_int64(st, 3), e);
    }
    json_decref(labels);
    return rc;
}

static int collect(struct answer *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        a->db, "SELECT id, type, labels, total FROM stat_series WHERE name = ?1 AND (?2 = 0 OR app = ?2)");
    int rc;
    db_bind_str(st, 1, a->q->name);
    sqlite3_bind_int64(st, 2, a->q->app);
    while ((rc = db_step(a->db, st, e)) > 0)
        if (add_one(a, st, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
    return rc;
}

/* ---- printed ---- */
static void put_number(struct buf *out, str name, bool there, double v)
{
    buf_printf(out, "\"%.*s\":", STR_ARG(name));
    if (there)
        buf_double(out, v);
    else
        buf_lit(out, "null");
}

/* n, sum, min and max are exact, quantiles are within .78 % of the number at their rank. */
static void put_timing(const struct cell *c, struct buf *out)
{
    static const struct {
        str name;
        double part;
    } parts[] = {{S("p50"), .5}, {S("p90"), .9}, {S("p99"), .99}, {S("p99.9"), .999}};
    bool exact;
    buf_printf(out, "\"n\":%llu,", (unsigned long long)c->n);
    put_number(out, S("sum"), true, cell_sum(c));
    buf_byte(out, ',');
    put_number(out, S("min"), c->n, c->min);
    buf_byte(out, ',');
    put_number(out, S("max"), c->n, c->max);
    for (size_t i = 0; i < LENGTH(parts); i++) {
        double v = c->quantiles.count ? quantiles_get(&c->quantiles, parts[i].part, &exact) : 0;
        v = v < c->min ? c->min : v > c->max ? c->max : v;
        buf_byte(out, ',');
        put_number(out, parts[i].name, c->quantiles.count, v);
    }
}

static double value_of(const struct cell *c, int type)
{
    return type == STAT_MAX ? c->max : type == STAT_MIN ? c->min : c->last;
}

static void put_point(const struct answer *a, const struct point *p, struct buf *out)
{
    const struct cell *c = &p->cell;
    const struct zone *z = a->q->zone;
    int type = a->type;
    buf_lit(out, "{\"time\":");
    put_time(out, z, a->local ? zone_utc(z, p->start) : p->start);
    buf_byte(out, ',');
    if (type == STAT_COUNT)
        buf_printf(out, "\"value\":%lld", (long long)c->count);
    else if (type == STAT_TIMING)
        put_timing(c, out);
    else
        put_number(out, S("value"), c->n, value_of(c, type));
    if (type == STAT_GAUGE) {
        buf_byte(out, ',');
        put_number(out, S("min"), c->n, c->min);
        buf_byte(out, ',');
        put_number(out, S("max"), c->n, c->max);
        buf_byte(out, ',');
        put_number(out, S("mean"), c->n, cell_sum(c) / (double)c->n);
        buf_printf(out, ",\"n\":%llu", (unsigned long long)c->n);
    }
    if (type == STAT_COUNT && a->q->stock)
        buf_printf(out, ",\"stock\":%lld", (long long)p->stock);
    if (a->q->group.n) {
        buf_lit(out, ",\"group\":");
        buf_json(out, p->group);
    }
    buf_byte(out, '}');
}

static void put_total(const struct answer *a, struct buf *out)
{
    if (a->type == STAT_TIMING) {
        buf_lit(out, "\"total\":{");
        put_timing(&a->total, out);
        buf_byte(out, '}');
    } else if (a->type == STAT_COUNT || a->type == STAT_TYPES) {
        buf_printf(out, "\"total\":%lld", (long long)a->total.count);
    } else {
        put_number(out, S("total"), a->total.n, value_of(&a->total, a->type));
    }
}

/* From when there are days of a zone that is not kept: as long as there are hours. */
static void put_zone(const struct answer *a, struct buf *out)
{
    int64_t oldest = a->q->now / USEC_PER_SEC - HOURS_KEEP;
    if (a->q->zone && a->local) {
        buf_lit(out, "\"tz\":");
        buf_json(out, str_of(zone_name(a->q->zone)));
        buf_byte(out, ',');
    }
    if (a->local && a->cells == HOUR && a->from < oldest) {
        buf_lit(out, "\"known_from\":");
        put_time(out, a->q->zone, stat_period(oldest, HOUR) + HOUR);
        buf_byte(out, ',');
    }
}

/* Points in their order. */
static void sum_up(struct answer *a, struct point **all, size_t n)
{
    struct rest *r = NULL;
    for (size_t i = 0; i < n; i++) /* what came before the first */
        find_rest(a, all[i]->group)->count -= all[i]->cell.count;
    for (size_t i = 0; i < n; i++) {
        r = find_rest(a, all[i]->group);
        all[i]->stock = r->count += all[i]->cell.count;
    }
}

static int by_group_and_time(const void *va, const void *vb)
{
    const struct point *a = *(struct point *const *)va, *b = *(struct point *const *)vb;
    int c = str_cmp(a->group, b->group);
    return c ? c : (a->start > b->start) - (a->start < b->start);
}

static void print(struct answer *a, struct buf *out)
{
    struct point **all = xmalloc(a->points.n * sizeof(struct point *));
    struct map_slot *slot;
    size_t n = 0;
    for (size_t i = 0; (slot = map_next(&a->points, &i));)
        all[n++] = slot->value;
    if (n)
        qsort(all, n, sizeof *all, by_group_and_time);
    sum_up(a, all, n);
    buf_lit(out, "{\"name\":");
    buf_json(out, a->q->name);
    buf_lit(out, ",\"type\":");
    buf_json(out, stat_type_names[a->type == STAT_TYPES ? STAT_COUNT : a->type]);
    buf_lit(out, ",\"points\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(out, ',');
        put_point(a, all[i], out);
    }
    buf_lit(out, "],");
    put_zone(a, out);
    put_total(a, out);
    buf_byte(out, '}');
    free(all);
}

int stats_json(struct db *read, const struct stats_query *q, struct buf *out, struct err *e)
{
    struct answer a = {.db = read, .q = q, .type = STAT_TYPES};
    struct map_slot *slot;
    int rc = unique_is(read, q, e);
    if (rc)
        return rc < 0 ? -1 : unique_json(read, q, out, e);
    rc = read_by(&a, e) < 0 ? -1 : collect(&a, e);
    if (rc == 0)
        print(&a, out);
    for (size_t i = 0; (slot = map_next(&a.points, &i));) {
        struct point *p = slot->value;
        quantiles_done(&p->cell.quantiles);
        free(p);
    }
    map_done(&a.points);
    for (size_t i = 0; (slot = map_next(&a.rest, &i));)
        free(slot->value);
    map_done(&a.rest);
    quantiles_done(&a.total.quantiles);
    return rc;
}
