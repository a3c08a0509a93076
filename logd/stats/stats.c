/* stats/stats.c - folds posted numbers into cells of fold.db.
 *
 * A series is (app, name, labels as canonical JSON). A cell is (series, step, period start): a count's is one number, that
 * of another type has count, sum, least, greatest and newest of its numbers, and a timing's a histogram; past ones are
 * packed (pack.c). The four steps
 * are written together, so a read never adds up what it does not have. Cells of one record are added up in memory first:
 * a thousand numbers of one minute are one write a step. */
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "stats/private.h"

#include <jansson.h>
#include <math.h>
#include <time.h>

enum { SERIES_MAX = 200, CELLS_MAX = 4096 };
#define OTHER S("{\"" STAT_OTHER "\":\"\"}")

const char stats_schema[] =
    "CREATE TABLE stat_series(id INTEGER PRIMARY KEY, app INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,"
    " labels TEXT NOT NULL, total INTEGER NOT NULL DEFAULT 0, last INTEGER, last_time INTEGER, UNIQUE(app, name, labels));"
    "CREATE TABLE stat_cell(series INTEGER, step INTEGER, start INTEGER, value INTEGER NOT NULL,"
    " PRIMARY KEY(series, step, start)) WITHOUT ROWID;";
/* Months of the counts that are there are made from their days. */
const char stats_schema_types[] =
    "CREATE TABLE stat_sample(series INTEGER, step INTEGER, start INTEGER, n INTEGER NOT NULL, sum REAL NOT NULL,"
    " min REAL NOT NULL, max REAL NOT NULL, last REAL NOT NULL, last_time INTEGER NOT NULL, histogram BLOB,"
    " PRIMARY KEY(series, step, start)) WITHOUT ROWID;"
    "INSERT INTO stat_cell SELECT series, 2592000, CAST(strftime('%s', start, 'unixepoch', 'start of month') AS INTEGER)"
    " AS month, sum(value) FROM stat_cell WHERE step = 86400 GROUP BY series, month;";

/* ---- types, periods, cells ---- */
const str stat_type_names[STAT_TYPES] = {S("count"), S("max"), S("min"), S("gauge"), S("timing"), S("unique")};

bool stat_type_of(str name, enum stat_type *ret)
{
    if (str_eq(name, S("flow")))
        name = S("count");
    for (int i = 0; i < STAT_TYPES; i++)
        if (str_eq(name, stat_type_names[i])) {
            *ret = (enum stat_type)i;
            return true;
        }
    return false;
}

static int64_t floor_to(int64_t s, int64_t step) { return s - ((s % step) + step) % step; }

int64_t stat_period(int64_t s, int step)
{
    enum { MONDAY = 4 * DAY }; /* 1970-01-05 */
    time_t t = (time_t)s;
    struct tm tm;
    if (step == WEEK)
        return floor_to(s - MONDAY, WEEK) + MONDAY;
    if (step != MONTH && step != YEAR)
        return floor_to(s, step);
    gmtime_r(&t, &tm);
    tm = (struct tm){.tm_year = tm.tm_year, .tm_mon = step == YEAR ? 0 : tm.tm_mon, .tm_mday = 1};
    return timegm(&tm);
}

int64_t stat_period_end(int64_t start, int step)
{
    return step == MONTH || step == YEAR ? stat_period(start + step + 2 * DAY, step) : start + step;
}

void cell_add(struct cell *c, const struct cell *from)
{
    c->count += from->count;
    if (from->n) {
        double sum = c->sum + from->sum;
        c->rounded += from->rounded +
                      (fabs(c->sum) >= fabs(from->sum) ? c->sum - sum + from->sum : from->sum - sum + c->sum);
        c->sum = sum;
        c->min = !c->n || from->min < c->min ? from->min : c->min;
        c->max = !c->n || from->max > c->max ? from->max : c->max;
        if (!c->n || from->last_time >= c->last_time) {
            c->last = from->last;
            c->last_time = from->last_time;
        }
        c->n += from->n;
        quantiles_merge(&c->quantiles, &from->quantiles);
    }
}

double cell_sum(const struct cell *c)
{
    char text[32];
    snprintf(text, sizeof text, "%.15g", c->sum + c->rounded);
    return strtod(text, NULL);
}

/* ---- a record is added up ---- */
struct series {
    int64_t id;
    enum stat_type type;
    struct cell all;             /* what the record adds */
    bool passed_over;            /* by this head: it has another type */
    int64_t minute;              /* of the number before, INT64_MIN: none */
    struct period *of_minute[4]; /* that its minute is in, by step */
};
struct period {
    const struct series *series;
    int step;
    int64_t start;
    struct cell cell;
};
struct folding {
    struct db *db;
    uint32_t app;
    const struct zone *zone;
    struct map series;  /* a line up to its time -> struct series */
    struct map periods; /* the first three fields of struct period -> it */
};

static int count_series(struct folding *f, str name, int64_t *ret_n, enum stat_type *ret_type, struct err *e)
{
    sqlite3_stmt *st = db_stmt(f->db, "SELECT count(*), min(type) FROM stat_series WHERE app = ? AND name = ?");
    sqlite3_bind_int64(st, 1, f->app);
    db_bind_str(st, 2, name);
    if (db_step(f->db, st, e) < 0)
        return -1;
    *ret_n = sqlite3_column_int64(st, 0);
    if (*ret_n == 0 || !stat_type_of(db_str(st, 1), ret_type))
        *ret_type = STAT_TYPES;
    sqlite3_reset(st);
    return 0;
}

int stat_type_known(struct db *db, uint32_t app, str name, enum stat_type *ret, struct err *e)
{
    struct folding f = {.db = db, .app = app};
    int64_t n;
    *ret = STAT_TYPES;
    return db ? count_series(&f, name, &n, ret, e) : 0;
}

/* From one name to the next: there may be hundreds of series of each. */
int stat_metrics(struct db *db, uint32_t app, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        db, "WITH RECURSIVE n(x) AS (SELECT min(name) FROM stat_series WHERE app = ?1 UNION ALL"
            " SELECT (SELECT min(name) FROM stat_series WHERE app = ?1 AND name > x) FROM n WHERE x IS NOT NULL)"
            " SELECT count(x) FROM n");
    sqlite3_bind_int64(st, 1, app);
    int rc = db_step(db, st, e);
    if (rc > 0) {
        *ret = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return rc < 0 ? -1 : 0;
}

int stat_last_known(struct db *db, uint32_t app, str name, str labels, double *ret, struct err *e)
{
    sqlite3_stmt *st = db ? db_stmt(db, "SELECT last FROM stat_series WHERE app = ? AND name = ? AND labels = ?")
                          : NULL;
    if (!db)
        return 0;
    sqlite3_bind_int64(st, 1, app);
    db_bind_str(st, 2, name);
    db_bind_str(st, 3, labels);
    int rc = db_step(db, st, e);
    if (rc > 0) {
        *ret = sqlite3_column_double(st, 0);
        sqlite3_reset(st);
    }
    return rc < 0 ? -1 : 0;
}

/* 1: *ret is filled, 0: there is none. */
static int get_series(struct folding *f, str name, str labels, struct series *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(f->db, "SELECT id, type FROM stat_series WHERE app = ? AND name = ? AND labels = ?");
    sqlite3_bind_int64(st, 1, f->app);
    db_bind_str(st, 2, name);
    db_bind_str(st, 3, labels);
    int rc = db_step(f->db, st, e);
    if (rc > 0) {
        *ret = (struct series){.id = sqlite3_column_int64(st, 0)};
        if (!stat_type_of(db_str(st, 1), &ret->type))
            ret->type = STAT_TYPES;
        sqlite3_reset(st);
    }
    return rc;
}

static int make_series(struct folding *f, str name, str labels, enum stat_type type, struct series *ret, struct err *e)
{
    int64_t n;
    enum stat_type known;
    if (count_series(f, name, &n, &known, e) < 0)
        return -1;
    if (n >= SERIES_MAX && !str_eq(labels, OTHER)) {
        int rc = get_series(f, name, OTHER, ret, e);
        if (rc != 0)
            return rc < 0 ? -1 : 0;
        log_warn("stats",
                 "what=\"a metric has more than %d label sets, new ones are counted as __other__\" metric=\"%.*s\"",
                 SERIES_MAX, STR_ARG(name));
        labels = OTHER;
    }
    *ret = (struct series){.type = known == STAT_TYPES ? type : known};
    sqlite3_stmt *st = db_stmt(f->db, "INSERT INTO stat_series(app, name, type, labels) VALUES(?, ?, ?, ?)");
    sqlite3_bind_int64(st, 1, f->app);
    db_bind_str(st, 2, name);
    db_bind_str(st, 3, stat_type_names[ret->type]);
    db_bind_str(st, 4, labels);
    if (db_run(f->db, st, e) < 0)
        return -1;
    ret->id = db_last_id(f->db);
    return 0;
}

/* `head` is a line up to its time: type, labels, name. *ret->passed_over: it is not for this logd, or not for its metric. */
static int read_head(struct folding *f, str head, struct series *ret, struct err *e)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    buf_str(&text, head);
    buf_byte(&text, '}');
    json_t *o = json_loadb(text.p, text.n, 0, NULL), *labels = json_object_get(o, "l");
    str name = str_of(json_string_value(json_object_get(o, "n")));
    str kind = str_of(json_string_value(json_object_get(o, "k")));
    char *canonical = labels ? json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS) : xstrdup("{}");
    enum stat_type type = STAT_COUNT;
    int rc = 0;
    *ret = (struct series){.passed_over = true};
    if (name.n && canonical && (!kind.n || stat_type_of(kind, &type))) {
        rc = get_series(f, name, str_of(canonical), ret, e);
        rc = rc == 0 ? make_series(f, name, str_of(canonical), type, ret, e) : rc;
        ret->passed_over = rc >= 0 && ret->type != type;
        if (ret->passed_over) /* two senders made the metric in the same moment */
            log_warn("stats",
                     "what=\"numbers were passed over, their metric has another type\" metric=\"%.*s\" type=%.*s",
                     STR_ARG(name), STR_ARG(stat_type_names[type]));
    }
    ret->minute = INT64_MIN;
    free(canonical);
    json_decref(o);
    buf_done(&text);
    return rc < 0 ? -1 : 0;
}

static int find_series(struct folding *f, str head, struct series **ret, struct err *e)
{
    struct series found;
    if ((*ret = map_get(&f->series, head)))
        return 0;
    if (read_head(f, head, &found, e) < 0)
        return -1;
    *ret = xmalloc(sizeof **ret);
    **ret = found;
    map_set(&f->series, head, *ret);
    return 0;
}

static struct period *find_period(struct folding *f, const struct series *s, int step, int64_t start)
{
    struct {
        int64_t series, step, start;
    } key = {s->id, step, start};
    str k = str_n((const char *)&key, sizeof key);
    struct period *p = map_get(&f->periods, k);
    if (!p) {
        p = xmalloc(sizeof *p);
        *p = (struct period){s, step, start, {0}};
        map_set(&f->periods, k, p);
    }
    return p;
}

static void add_number(struct folding *f, struct series *s, const struct cell *one)
{
    static const int steps[LENGTH(s->of_minute)] = {MINUTE, HOUR, DAY, MONTH};
    int64_t minute = floor_to(one->last_time, MINUTE * USEC_PER_SEC) / USEC_PER_SEC;
    struct cell plain = *one;
    plain.quantiles = (struct quantiles){0};
    cell_add(&s->all, &plain);
    for (size_t i = 0; i < LENGTH(steps); i++) {
        if (s->minute != minute) {
            int64_t at = steps[i] < DAY ? minute : minute + zone_offset(f->zone, minute);
            s->of_minute[i] = find_period(f, s, steps[i], stat_period(at, steps[i]));
        }
        cell_add(&s->of_minute[i]->cell, one);
        if (s->type == STAT_TIMING && !one->quantiles.count)
            quantiles_add(&s->of_minute[i]->cell.quantiles, one->last);
    }
    s->minute = minute;
}

static bool read_hex(str hex, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        const char *high = memchr(digits, hex.p[i], 16), *low = memchr(digits, hex.p[i + 1], 16);
        if (!high || !low)
            return false;
        buf_byte(out, (char)((high - digits) << 4 | (low - digits)));
    }
    return hex.n % 2 == 0;
}

static bool take(str *s, const char *name, double *ret)
{
    str one = str_cut(s, ','), value = one, key = str_cut(&value, ':');
    return str_eq(key, str_of(name)) && str_double(value, ret);
}

/* Many numbers of a timing; what is not as gather.c writes it is passed over. */
static bool read_sum(str sum, struct cell *ret)
{
    struct buf code = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    double n;
    bool good = str_starts(sum, S("{")) && str_ends(sum, S("\"}")) && (sum = str_n(sum.p + 1, sum.n - 3), true) &&
                take(&sum, "\"n\"", &n) && n >= 1 && n < 1e18 && take(&sum, "\"sum\"", &ret->sum) &&
                take(&sum, "\"min\"", &ret->min) && take(&sum, "\"max\"", &ret->max) &&
                take(&sum, "\"last\"", &ret->last) && str_starts(sum, S("\"h\":\"")) &&
                read_hex(str_skip(sum, 5), &code) && quantiles_decode(buf_view(&code), &ret->quantiles, &e) == 0;
    ret->n = good ? (uint64_t)n : 0;
    good = good && ret->quantiles.count == ret->n;
    buf_done(&code);
    if (!good)
        quantiles_done(&ret->quantiles);
    return good;
}

/* A line ends in ,"t":TIME,"v":VALUE} and what stands before names the series. */
static bool read_tail(str line, str *ret_head, struct cell *ret)
{
    size_t at = line.n;
    while (at > 0 && !str_starts(str_skip(line, at), S(",\"t\":")))
        at--;
    str rest = str_skip(line, at + 5), time = str_cut(&rest, ',');
    double v;
    if (at == 0 || !str_starts(rest, S("\"v\":")) || rest.p[rest.n - 1] != '}')
        return false;
    rest = str_n(rest.p + 4, rest.n - 5);
    *ret_head = str_head(line, at);
    *ret = (struct cell){.n = 1};
    if (!str_i64(time, &ret->last_time))
        return false;
    if (rest.n && rest.p[0] == '{')
        return read_sum(rest, ret);
    if (!str_double(rest, &v))
        return false;
    if (!str_i64(rest, &ret->count))
        ret->count = 0;
    ret->sum = ret->min = ret->max = ret->last = v;
    return true;
}

static int add_line(struct folding *f, str line, struct err *e)
{
    struct series *s;
    struct cell one;
    str head;
    if (!read_tail(line, &head, &one))
        return 0; /* of a later logd */
    int rc = find_series(f, head, &s, e);
    if (rc == 0 && s->type != STAT_COUNT)
        one.count = 0;
    if (rc == 0 && !s->passed_over)
        add_number(f, s, &one);
    quantiles_done(&one.quantiles);
    return rc;
}

/* ---- and written ---- */
static int write_count(struct db *db, const struct period *p, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "INSERT INTO stat_cell VALUES(?, ?, ?, ?)"
                                   " ON CONFLICT DO UPDATE SET value = value + excluded.value");
    sqlite3_bind_int64(st, 1, p->series->id);
    sqlite3_bind_int(st, 2, p->step);
    sqlite3_bind_int64(st, 3, p->start);
    sqlite3_bind_int64(st, 4, p->cell.count);
    return db_run(db, st, e);
}

/* Adds the histogram that is there to the cell's. */
static int take_histogram(struct db *db, struct period *p, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT histogram FROM stat_sample WHERE series = ? AND step = ? AND start = ?");
    sqlite3_bind_int64(st, 1, p->series->id);
    sqlite3_bind_int(st, 2, p->step);
    sqlite3_bind_int64(st, 3, p->start);
    int rc = db_step(db, st, e);
    if (rc > 0) {
        str code = str_n(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
        rc = quantiles_decode(code, &p->cell.quantiles, e);
        sqlite3_reset(st);
    }
    return rc;
}

static int write_sample(struct db *db, struct period *p, struct err *e)
{
    struct cell *c = &p->cell;
    struct buf code = BUF_INIT(SIZE_MAX / 2);
    if (p->series->type == STAT_TIMING && take_histogram(db, p, e) < 0)
        return -1;
    quantiles_encode(&c->quantiles, &code);
    sqlite3_stmt *st = db_stmt(
        db,
        "INSERT INTO stat_sample VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n,"
        " sum = CAST(printf('%.15g', sum + excluded.sum) AS REAL), min = min(min, excluded.min), max = max(max, excluded.max),"
        " last = CASE WHEN excluded.last_time >= last_time THEN excluded.last ELSE last END,"
        " last_time = max(last_time, excluded.last_time), histogram = excluded.histogram");
    sqlite3_bind_int64(st, 1, p->series->id);
    sqlite3_bind_int(st, 2, p->step);
    sqlite3_bind_int64(st, 3, p->start);
    sqlite3_bind_int64(st, 4, (sqlite3_int64)c->n);
    const double numbers[] = {cell_sum(c), c->min, c->max, c->last};
    for (int i = 0; i < 4; i++)
        sqlite3_bind_double(st, 5 + i, numbers[i]);
    sqlite3_bind_int64(st, 9, c->last_time);
    if (code.n)
        sqlite3_bind_blob(st, 10, code.p, (int)code.n, SQLITE_TRANSIENT);
    buf_done(&code);
    return db_run(db, st, e);
}

static int write_series(struct db *db, const struct series *s, struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "UPDATE stat_series SET total = total + ?1,"
                                   " last = CASE WHEN ?3 >= ifnull(last_time, ?3) THEN ?2 ELSE last END,"
                                   " last_time = max(?3, ifnull(last_time, ?3)) WHERE id = ?4");
    if (!s->all.n)
        return 0;
    sqlite3_bind_int64(st, 1, s->all.count);
    sqlite3_bind_double(st, 2, s->all.last);
    sqlite3_bind_int64(st, 3, s->all.last_time);
    sqlite3_bind_int64(st, 4, s->id);
    return db_run(db, st, e);
}

/* Writes what was added up, unless it already failed, and forgets it. */
static int flush(struct folding *f, int rc, struct err *e)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&f->periods, &i));) {
        struct period *p = slot->value;
        if (rc == 0)
            rc = p->series->type == STAT_COUNT ? write_count(f->db, p, e) : write_sample(f->db, p, e);
        quantiles_done(&p->cell.quantiles);
        free(p);
    }
    for (size_t i = 0; (slot = map_next(&f->series, &i));) {
        if (rc == 0)
            rc = write_series(f->db, slot->value, e);
        free(slot->value);
    }
    map_done(&f->periods);
    map_done(&f->series);
    f->periods = f->series = (struct map){0};
    return rc;
}

int stats_apply(struct db *db, uint32_t app, const struct zone *zone, str lines, struct err *e)
{
    struct folding f = {.db = db, .app = app, .zone = zone};
    int rc = 0;
    while (rc == 0 && lines.n) {
        rc = add_line(&f, str_cut(&lines, '\n'), e);
        if (f.periods.n >= CELLS_MAX)
            rc = flush(&f, rc, e);
    }
    return flush(&f, rc, e);
}
