/* stats/answer.c - GET /v1/stats: the metrics there are, and one of them by period and group. */
#include "base/clock.h"
#include "base/map.h"
#include "stats/private.h"

#include <jansson.h>

enum { POINTS_MAX = 100000 };

static void put_time(struct buf *out, int64_t s)
{
    char t[TIME_TEXT_MAX];
    time_print(s * NSEC_PER_SEC, 0, t);
    buf_printf(out, "\"%s\"", t);
}

int stats_names_json(struct db *read, uint32_t app, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT name, type, labels, last, last_time, total FROM stat_series"
                                     " WHERE ?1 = 0 OR app = ?1 ORDER BY name, labels LIMIT 10000");
    int rc;
    size_t n = 0;
    sqlite3_bind_int64(st, 1, app);
    buf_lit(out, "{\"stats\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        buf_str(out, n++ ? S(",{\"name\":") : S("{\"name\":"));
        buf_json(out, db_str(st, 0));
        buf_lit(out, ",\"type\":");
        buf_json(out, db_str(st, 1));
        buf_lit(out, ",\"labels\":");
        buf_str(out, db_str(st, 2));
        buf_lit(out, ",\"last\":");
        if (sqlite3_column_type(st, 3) == SQLITE_NULL)
            buf_lit(out, "null");
        else
            buf_double(out, sqlite3_column_double(st, 3));
        buf_lit(out, ",\"last_time\":");
        put_time(out, sqlite3_column_int64(st, 4) / USEC_PER_SEC);
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
};
struct answer {
    struct db *db;
    const struct stats_query *q;
    int step, cells; /* of a point; of the cells that it is made of */
    int type;        /* STAT_TYPES: nothing found yet */
    struct map points;
    struct cell total;
};

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
            a->cells = kinds[i].cells;
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
};

static int add_cell(int64_t start, const struct cell *c, void *arg, struct err *e)
{
    struct adding *x = arg;
    struct answer *a = x->a;
    cell_add(&find_point(a, stat_period(start, a->step), x->group)->cell, c);
    cell_add(&a->total, c);
    return a->points.n > POINTS_MAX
               ? err_set(e, ERR_INPUT, "by: more than %d points, expected a longer period or a shorter range",
                         POINTS_MAX)
               : 0;
}

static int add_series(struct answer *a, int64_t series, str group, struct err *e)
{
    int64_t to = a->q->to / NSEC_PER_SEC + (a->q->to % NSEC_PER_SEC > 0);
    return stat_cells(a->db, series, (enum stat_type)a->type, a->cells, stat_period(a->q->from / NSEC_PER_SEC, a->step),
                      to, add_cell, &(struct adding){a, group}, e);
}

/* What a series is: its type, and whether it is asked for. */
static int add_one(struct answer *a, sqlite3_stmt *st, struct err *e)
{
    enum stat_type type;
    str text = db_str(st, 2);
    json_t *labels = json_loadb(text.p, text.n, 0, NULL);
    int rc = 0;
    if (stat_type_of(db_str(st, 1), &type) && labels_match(a->q, labels)) {
        json_t *g = a->q->group.n ? json_object_getn(labels, a->q->group.p, a->q->group.n) : NULL;
        if (a->type != STAT_TYPES && a->type != (int)type)
            rc = err_set(e, ERR_INPUT, "app: expected an app, for %.*s is of different types in different apps",
                         STR_ARG(str_head(a->q->name, 64)));
        a->type = (int)type;
        if (rc == 0)
            rc = add_series(a, sqlite3_column_int64(st, 0), str_of(json_string_value(g)), e);
    }
    json_decref(labels);
    return rc;
}

static int collect(struct answer *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(a->db,
                               "SELECT id, type, labels FROM stat_series WHERE name = ?1 AND (?2 = 0 OR app = ?2)");
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
    put_number(out, S("sum"), true, c->sum);
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

static void put_point(const struct point *p, int type, bool group, struct buf *out)
{
    const struct cell *c = &p->cell;
    buf_lit(out, "{\"time\":");
    put_time(out, p->start);
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
        put_number(out, S("mean"), c->n, c->sum / (double)c->n);
        buf_printf(out, ",\"n\":%llu", (unsigned long long)c->n);
    }
    if (group) {
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
    buf_lit(out, "{\"name\":");
    buf_json(out, a->q->name);
    buf_lit(out, ",\"type\":");
    buf_json(out, stat_type_names[a->type == STAT_TYPES ? STAT_COUNT : a->type]);
    buf_lit(out, ",\"points\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(out, ',');
        put_point(all[i], a->type, a->q->group.n, out);
    }
    buf_lit(out, "],");
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
    quantiles_done(&a.total.quantiles);
    return rc;
}
