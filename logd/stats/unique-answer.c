/* stats/unique-answer.c - GET /v1/stats/NAME of a unique: what is read, never what is added up.
 *
 * A point is one cell's number, or a range where no key joins its parts: of several apps, of a year's months, or before
 * and after a lost secret. One label can be asked for at a time: two would tell small groups by the difference. */
#include "base/clock.h"
#include "base/map.h"
#include "stats/private.h"
#include "stats/unique.h"

struct point {
    int64_t start;
    str group; /* follows the struct */
    struct unique_sum sum;
    int step; /* of the cells that it is made of */
    bool open;
};
struct answer {
    struct db *db;
    const struct stats_query *q;
    int step;
    str label, word; /* label absent: all; word absent: each */
    struct map points;
};

/* ---- asked ---- */
static int read_by(const struct stats_query *q, int *ret, struct err *e)
{
    static const struct {
        str name;
        int step;
    } kinds[] = {{S("hour"), HOUR}, {S("day"), DAY}, {S("week"), WEEK}, {S("month"), MONTH}, {S("year"), YEAR}};
    for (size_t i = 0; i < LENGTH(kinds); i++)
        if (str_eq(q->by, kinds[i].name)) {
            *ret = kinds[i].step;
            return 0;
        }
    return err_set(e, ERR_INPUT, "by: expected hour, day, week, month or year for a unique, got \"%.*s\"",
                   STR_ARG(str_head(q->by, 40)));
}

static int read_label(struct answer *a, struct err *e)
{
    const struct stats_query *q = a->q;
    a->label = q->labels_n ? q->label_name[0] : q->group;
    a->word = q->labels_n ? q->label_value[0] : (str){0};
    if (q->labels_n > 1 || (q->labels_n && q->group.n && !str_eq(q->group, a->label)))
        return err_set(e, ERR_INPUT, "label: expected one label for a unique, as label.NAME or as group, got more");
    return 0;
}

/* ---- read ---- */
static struct point *find_point(struct answer *a, int64_t start, str group)
{
    struct buf key = BUF_INIT(1024);
    buf_add(&key, &start, sizeof start);
    buf_str(&key, group);
    struct point *p = map_get(&a->points, buf_view(&key));
    if (!p) {
        p = xcalloc(1, sizeof *p + group.n);
        p->start = start;
        p->group = str_n((char *)(p + 1), group.n);
        if (group.n)
            memcpy(p + 1, group.p, group.n);
        map_set(&a->points, buf_view(&key), p);
    }
    buf_done(&key);
    return p;
}

/* Cells of `step` become points of a->step; one that is there from cells of another step stays as it is. */
static int read_cells(struct answer *a, int step, bool open, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        a->db,
        open
            ? "SELECT start, word, value, low, high FROM unique_open JOIN unique_series USING(series) JOIN stat_series ON"
              " id = series WHERE step = ?1 AND start >= ?2 AND start < ?3 AND name = ?4 AND (?5 = 0 OR app = ?5)"
              " AND label = ?6 AND (?7 IS NULL OR word = ?7)"
        : a->q->noised
            ? "SELECT start, word, noised, noised, noised FROM stat_series JOIN unique_series ON id = series JOIN unique_cell"
              " USING(series) WHERE step = ?1 AND start >= ?2 AND start < ?3 AND name = ?4 AND (?5 = 0 OR app = ?5)"
              " AND label = ?6 AND (?7 IS NULL OR word = ?7) AND (noised IS NOT NULL OR value IS NULL)"
            : "SELECT start, word, value, low, high FROM stat_series JOIN unique_series ON id = series JOIN unique_cell"
              " USING(series) WHERE step = ?1 AND start >= ?2 AND start < ?3 AND name = ?4 AND (?5 = 0 OR app = ?5)"
              " AND label = ?6 AND (?7 IS NULL OR word = ?7)");
    int rc;
    sqlite3_bind_int(st, 1, step);
    sqlite3_bind_int64(st, 2, stat_period(a->q->from / NSEC_PER_SEC, a->step));
    sqlite3_bind_int64(st, 3, a->q->to / NSEC_PER_SEC + (a->q->to % NSEC_PER_SEC > 0));
    db_bind_str(st, 4, a->q->name);
    sqlite3_bind_int64(st, 5, a->q->app);
    db_bind_str(st, 6, a->label.p ? a->label : S(""));
    db_bind_str(st, 7, a->word);
    while ((rc = db_step(a->db, st, e)) > 0) {
        int64_t start = stat_period(sqlite3_column_int64(st, 0), a->step);
        struct point *p = find_point(a, start, a->q->group.n ? db_str(st, 1) : S(""));
        if (p->step && p->step != step)
            continue;
        p->step = step;
        p->open |= open;
        if (sqlite3_column_type(st, 2) != SQLITE_NULL)
            unique_sum_add(&p->sum, sqlite3_column_int64(st, 2), sqlite3_column_int64(st, 3),
                           sqlite3_column_int64(st, 4));
    }
    return rc;
}

static int read_step(struct answer *a, int step, struct err *e)
{
    return !a->q->closed && !a->q->noised && read_cells(a, step, true, e) < 0 ? -1 : read_cells(a, step, false, e);
}

static int collect(struct answer *a, struct err *e)
{
    if (read_step(a, a->step, e) < 0)
        return -1;
    return a->step == YEAR ? read_step(a, MONTH, e) : 0; /* of years that were not counted: what their months say */
}

/* ---- printed ---- */
static void put_sum(const struct unique_sum *s, bool noised, struct buf *out)
{
    if (s->max < UNIQUE_BELOW)
        buf_printf(out, "\"value\":null,\"below\":%d", UNIQUE_BELOW);
    else if (noised)
        buf_printf(out, "\"value\":%lld,\"noised\":true", (long long)unique_sum_value(s));
    else
        buf_printf(out, "\"value\":%lld,\"low\":%lld,\"high\":%lld", (long long)unique_sum_value(s), (long long)s->low,
                   (long long)s->high);
}

static void put_point(const struct answer *a, const struct point *p, struct buf *out)
{
    char t[TIME_TEXT_MAX];
    time_print(p->start * NSEC_PER_SEC, 0, t);
    buf_printf(out, "{\"time\":\"%s\",", t);
    put_sum(&p->sum, a->q->noised, out);
    if (p->open)
        buf_lit(out, ",\"open\":true");
    if (a->q->group.n) {
        buf_lit(out, ",\"group\":");
        buf_json(out, p->group);
    }
    buf_byte(out, '}');
}

static int by_group_and_time(const void *va, const void *vb)
{
    const struct point *a = *(struct point *const *)va, *b = *(struct point *const *)vb;
    int c = str_cmp(a->group, b->group);
    return c ? c : (a->start > b->start) - (a->start < b->start);
}

/* Of all points; with groups of all people, for those of two groups are not told apart. */
static struct unique_sum total_of(const struct answer *a)
{
    struct unique_sum total = {0};
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&a->points, &i));) {
        const struct point *p = slot->value;
        if (p->sum.max >= UNIQUE_BELOW)
            unique_sum_add(&total, unique_sum_value(&p->sum), p->sum.low, p->sum.high);
    }
    return total;
}

static void print(const struct answer *a, const struct unique_sum *total, struct buf *out)
{
    struct point **all = xmalloc((a->points.n + 1) * sizeof *all);
    struct map_slot *slot;
    size_t n = 0;
    for (size_t i = 0; (slot = map_next(&a->points, &i));)
        all[n++] = slot->value;
    qsort(all, n, sizeof *all, by_group_and_time);
    buf_lit(out, "{\"name\":");
    buf_json(out, a->q->name);
    buf_lit(out, ",\"type\":\"unique\",\"points\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(out, ',');
        put_point(a, all[i], out);
    }
    buf_lit(out, "],\"total\":{");
    put_sum(total, a->q->noised, out);
    buf_lit(out, "}}");
    free(all);
}

static void forget(struct answer *a)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&a->points, &i));)
        free(slot->value);
    map_done(&a->points);
}

int unique_json(struct db *read, const struct stats_query *q, struct buf *out, struct err *e)
{
    struct answer a = {.db = read, .q = q}, all = a;
    int rc = read_by(q, &a.step, e) < 0 || read_label(&a, e) < 0 ? -1 : collect(&a, e);
    all.step = a.step;
    if (rc == 0 && q->group.n && !q->labels_n)
        rc = collect(&all, e);
    struct unique_sum total = total_of(all.points.n ? &all : &a);
    if (rc == 0)
        print(&a, &total, out);
    forget(&a);
    forget(&all);
    return rc;
}

int unique_is(struct db *read, const struct stats_query *q, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT 1 FROM stat_series WHERE name = ?1 AND type = 'unique' AND (?2 = 0 OR"
                                     " app = ?2) LIMIT 1");
    db_bind_str(st, 1, q->name);
    sqlite3_bind_int64(st, 2, q->app);
    int rc = db_step(read, st, e);
    sqlite3_reset(st);
    return rc;
}

/* What the list of metrics says of a series: the people of its newest day. */
int unique_last_json(struct db *read, int64_t series, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        read, "SELECT start, value, low, high FROM unique_open, (SELECT max(start) AS newest FROM unique_open WHERE"
              " step = 86400) WHERE step = 86400 AND start IN (newest, newest - 86400) AND series = ?1"
              " UNION ALL SELECT start, value, low, high FROM unique_cell WHERE series = ?1 AND step = 86400"
              " ORDER BY start DESC");
    struct unique_sum sum = {0};
    int64_t newest = INT64_MIN;
    char t[TIME_TEXT_MAX];
    int rc;
    sqlite3_bind_int64(st, 1, series);
    while ((rc = db_step(read, st, e)) > 0 && (newest == INT64_MIN || newest == sqlite3_column_int64(st, 0))) {
        newest = sqlite3_column_int64(st, 0);
        if (sqlite3_column_type(st, 1) != SQLITE_NULL)
            unique_sum_add(&sum, sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2), sqlite3_column_int64(st, 3));
    }
    sqlite3_reset(st);
    time_print(newest == INT64_MIN ? 0 : newest * NSEC_PER_SEC, 0, t);
    if (sum.max < UNIQUE_BELOW)
        buf_printf(out, ",\"last\":null,\"last_time\":\"%s\"}", t);
    else
        buf_printf(out, ",\"last\":%lld,\"last_time\":\"%s\"}", (long long)unique_sum_value(&sum), t);
    return rc < 0 ? -1 : 0;
}
