/* stats/stats.c - counts by minute, hour and day.
 *
 * A series is (app, name, labels as canonical JSON). A cell is (series, step, period start); the three steps of a count
 * are written together, so a read never adds up what it does not have. */
#include "stats/stats.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/str.h"
#include "event/event.h"
#include "event/scrub.h"

#include <jansson.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, SERIES_MAX = 200, LABELS_MAX = 8 };
#define FUTURE (DAY * USEC_PER_SEC)

const char stats_schema[] =
    "CREATE TABLE stat_series(id INTEGER PRIMARY KEY, app INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,"
    " labels TEXT NOT NULL, total INTEGER NOT NULL DEFAULT 0, last INTEGER, last_time INTEGER, UNIQUE(app, name, labels));"
    "CREATE TABLE stat_cell(series INTEGER, step INTEGER, start INTEGER, value INTEGER NOT NULL,"
    " PRIMARY KEY(series, step, start)) WITHOUT ROWID;";

/* ---- reading what was posted ---- */
static int refuse(struct err *e, const char *pointer, const char *fmt, const char *got)
{
    err_set(e, ERR_INPUT, fmt, got);
    snprintf(e->pointer, sizeof e->pointer, "%s", pointer);
    return -1;
}

static bool name_fits(const char *s, const char *more)
{
    size_t n = s ? strlen(s) : 0;
    if (n == 0 || n > 64)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') ||
              strchr(more, s[i])))
            return false;
    return true;
}

/* A label value that could name a person or a thing of his is refused by name: it would make a series per person. */
static bool looks_personal(const char *s)
{
    size_t n = strlen(s), hex = 0, digits = 0, dots = 0;
    for (size_t i = 0; i < n; i++) {
        bool digit = s[i] >= '0' && s[i] <= '9';
        digits += digit;
        hex += digit || (s[i] >= 'a' && s[i] <= 'f') || (s[i] >= 'A' && s[i] <= 'F');
        dots += s[i] == '.';
    }
    bool ipv4 = dots == 3 && digits + dots == n,
         ipv6 = strchr(s, ':') && hex >= 3 && strspn(s, "0123456789abcdefABCDEF:.") == n;
    bool uuid = n == 36 && hex == 32 && s[8] == '-' && s[13] == '-';
    return strchr(s, '@') || ipv4 || ipv6 || uuid || (n >= 16 && hex == n) ||
           (n >= 24 && digits >= 4 && !strchr(s, ' '));
}

/* Does this text hold something that the scrubber would take out? */
static bool looks_secret(const char *s)
{
    struct buf scrubbed = BUF_INIT(4096);
    bool secret = !scrub_clean(str_of(s), &scrubbed);
    buf_done(&scrubbed);
    return secret;
}

static int check_labels(json_t *labels, struct err *e)
{
    const char *key;
    json_t *v;
    char at[128];
    if (labels && !json_is_object(labels))
        return refuse(e, "/labels", "expected an object of texts%s", "");
    if (json_object_size(labels) > LABELS_MAX)
        return refuse(e, "/labels", "expected at most 8 labels%s", "");
    json_object_foreach(labels, key, v)
    {
        const char *text = json_string_value(v);
        if (looks_secret(key))
            return refuse(e, "/labels", "refused: a label's name looks like a secret%s", "");
        snprintf(at, sizeof at, "/labels/%.80s", key);
        if (!name_fits(key, "._-"))
            return refuse(e, at, "expected a label name of 1 to 64 letters, digits, '.', '_' or '-', got \"%.40s\"",
                          key);
        if (!text || strlen(text) > 100)
            return refuse(e, at, "expected a text of at most 100 bytes%s", "");
        if (scrub_name(str_of(key)).p || looks_secret(text))
            return refuse(e, at, "refused: the label looks like a secret, which is never stored%s", "");
        if (looks_personal(text))
            return refuse(
                e, at,
                "refused: the value looks like an e-mail, address, UUID or token, and a label must not name a person%s",
                "");
    }
    return 0;
}

static int check_time(json_t *time, usec now, usec *ret, struct err *e)
{
    nsec t;
    int digits;
    char number[40];
    const char *text = json_string_value(time);
    *ret = now;
    if (!time)
        return 0;
    if (json_is_integer(time))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(time));
    else if (json_is_real(time))
        snprintf(number, sizeof number, "%.6f", json_real_value(time));
    else if (!text)
        return refuse(e, "/time", "expected RFC 3339 or epoch%s", "");
    if (time_read(str_of(text ? text : number), &t, &digits, e) < 0) {
        snprintf(e->pointer, sizeof e->pointer, "/time");
        return -1;
    }
    *ret = t / NSEC_PER_USEC;
    if (*ret > now + FUTURE)
        return refuse(e, "/time", "expected a time at most a day ahead%s", "");
    return 0;
}

/* A value as it came, for an error: a number, or what it is instead. */
static const char *said(json_t *v, char out[40])
{
    static const char *const kinds[] = {"an object", "an array", "text", "", "", "true", "false", "null"};
    if (json_is_integer(v))
        snprintf(out, 40, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(out, 40, "%.10g", json_real_value(v));
    else
        return kinds[json_typeof(v)];
    return out;
}

/* One posted object as a line of the record: {"n":name,"l":labels,"v":value,"t":µs}. */
static int check_one(json_t *o, usec now, struct batch *b, struct err *e)
{
    static const char *const known[] = {"name", "type", "value", "labels", "time"};
    static const char *const later[] = {"max", "min", "gauge", "unique", "timing"};
    const char *key, *type = json_string_value(json_object_get(o, "type")),
                     *name = json_string_value(json_object_get(o, "name"));
    json_t *v, *value = json_object_get(o, "value"), *labels = json_object_get(o, "labels");
    usec t;
    char got[40];
    if (!json_is_object(o))
        return refuse(e, "", "expected an object like {\"name\":\"pic.upload\",\"value\":1}%s", "");
    json_object_foreach(o, key, v)
    {
        size_t i = 0;
        while (i < LENGTH(known) && strcmp(key, known[i]) != 0)
            i++;
        if (i == LENGTH(known)) {
            refuse(e, "", "unknown field \"%.40s\", expected name, type, value, labels or time", key);
            snprintf(e->pointer, sizeof e->pointer, "/%.100s", key);
            return -1;
        }
    }
    if (!name_fits(name, "._-/:"))
        return refuse(e, "/name", "expected 1 to 64 letters, digits, '.', '_', '-', '/' or ':', got \"%.40s\"",
                      name ? name : "");
    if (looks_secret(name))
        return refuse(e, "/name", "refused: the name looks like a secret, which is never stored%s", "");
    for (size_t i = 0; type && i < LENGTH(later); i++)
        if (strcmp(type, later[i]) == 0)
            return refuse(e, "/type", "type \"%s\" is not there yet, only count", type);
    if (json_object_get(o, "type") && (!type || (strcmp(type, "count") != 0 && strcmp(type, "flow") != 0)))
        return refuse(e, "/type", "expected count, max, min, gauge, unique or timing, got \"%.40s\"", type ? type : "");
    if (value &&
        (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > 1000000000000))
        return refuse(e, "/value", "expected a whole number from 0 to 10^12, got %s", said(value, got));
    if (check_labels(labels, e) < 0 || check_time(json_object_get(o, "time"), now, &t, e) < 0)
        return -1;
    json_t *line = json_pack("{s:s,s:O*,s:I,s:I}", "n", name, "l", labels, "v",
                             value ? json_integer_value(value) : (json_int_t)1, "t", (json_int_t)t);
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (text) {
        buf_str(&b->body, str_of(text));
        buf_byte(&b->body, '\n');
        b->events++;
        b->accepted++;
    }
    free(text);
    json_decref(line);
    return text ? 0 : refuse(e, "", "expected UTF-8 text%s", "");
}

static void add_one(json_t *o, size_t index, usec now, struct batch *b)
{
    struct err e;
    if (check_one(o, now, b, &e) < 0)
        batch_reject(b, index, e.pointer, e.text);
}

int stats_read(str body, usec now, struct batch *b, struct err *e)
{
    size_t index = 0;
    body = str_trim(body);
    if (body.n && body.p[0] == '[') {
        json_error_t where;
        json_t *all = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &where), *o;
        size_t i;
        if (!all)
            return err_set(e, ERR_INPUT, "expected a JSON array: %.*s at line %d, column %d",
                           STR_ARG(secret_json_reason(where.text)), where.line, where.column);
        json_array_foreach(all, i, o) add_one(o, i, now, b);
        json_decref(all);
        return 0;
    }
    while (body.n) { /* one object after the other: jansson says where each ends */
        json_error_t where;
        json_t *o = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &where);
        if (o) {
            add_one(o, index++, now, b);
            body = str_trim(str_skip(body, (size_t)where.position));
        } else {
            char text[300];
            snprintf(text, sizeof text, "expected a JSON object: %.*s", STR_ARG(secret_json_reason(where.text)));
            batch_reject(b, index++, "", text);
            (void)str_cut(&body, '\n');
            body = str_trim(body);
        }
        json_decref(o);
    }
    return 0;
}

/* ---- folding ---- */
static int find_series(struct db *db, uint32_t app, str name, str labels, int64_t *ret, struct err *e)
{
    for (int pass = 0;; pass++) {
        sqlite3_stmt *st = db_stmt(db, "SELECT id FROM stat_series WHERE app = ? AND name = ? AND labels = ?");
        sqlite3_bind_int64(st, 1, app);
        db_bind_str(st, 2, name);
        db_bind_str(st, 3, labels);
        int rc = db_step(db, st, e);
        if (rc < 0)
            return -1;
        if (rc > 0) {
            *ret = sqlite3_column_int64(st, 0);
            sqlite3_reset(st);
            return 0;
        }
        assert(pass == 0);
        st = db_stmt(db, "SELECT count(*) FROM stat_series WHERE app = ? AND name = ?");
        sqlite3_bind_int64(st, 1, app);
        db_bind_str(st, 2, name);
        if (db_step(db, st, e) < 0)
            return -1;
        bool full = sqlite3_column_int64(st, 0) >= SERIES_MAX;
        sqlite3_reset(st);
        if (full && !str_eq(labels, S("{\"__other__\":\"\"}")))
            return find_series(db, app, name, S("{\"__other__\":\"\"}"), ret, e);
        st = db_stmt(db, "INSERT INTO stat_series(app, name, type, labels) VALUES(?, ?, 'count', ?)");
        sqlite3_bind_int64(st, 1, app);
        db_bind_str(st, 2, name);
        db_bind_str(st, 3, labels);
        if (db_run(db, st, e) < 0)
            return -1;
    }
}

static int add_cells(struct db *db, int64_t series, int64_t value, usec t, struct err *e)
{
    static const int steps[] = {MINUTE, HOUR, DAY};
    int64_t s = t / USEC_PER_SEC;
    for (size_t i = 0; i < LENGTH(steps); i++) {
        sqlite3_stmt *st = db_stmt(db, "INSERT INTO stat_cell VALUES(?, ?, ?, ?)"
                                       " ON CONFLICT DO UPDATE SET value = value + excluded.value");
        sqlite3_bind_int64(st, 1, series);
        sqlite3_bind_int(st, 2, steps[i]);
        sqlite3_bind_int64(st, 3, s - s % steps[i]);
        sqlite3_bind_int64(st, 4, value);
        if (db_run(db, st, e) < 0)
            return -1;
    }
    sqlite3_stmt *st = db_stmt(db, "UPDATE stat_series SET total = total + ?, last = ?, last_time = ? WHERE id = ?");
    sqlite3_bind_int64(st, 1, value);
    sqlite3_bind_int64(st, 2, value);
    sqlite3_bind_int64(st, 3, t);
    sqlite3_bind_int64(st, 4, series);
    return db_run(db, st, e);
}

int stats_apply(struct db *db, uint32_t app, str lines, usec now, struct err *e)
{
    (void)now;
    int rc = 0;
    while (rc == 0 && lines.n) {
        str line = str_cut(&lines, '\n');
        json_t *o = json_loadb(line.p, line.n, 0, NULL), *labels = json_object_get(o, "l");
        const char *name = json_string_value(json_object_get(o, "n"));
        char *canonical = labels ? json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS) : xstrdup("{}");
        int64_t series;
        if (name && canonical) {
            rc = find_series(db, app, str_of(name), str_of(canonical), &series, e);
            if (rc == 0)
                rc = add_cells(db, series, json_integer_value(json_object_get(o, "v")),
                               json_integer_value(json_object_get(o, "t")), e);
        }
        free(canonical);
        json_decref(o);
    }
    return rc;
}

int stats_tick(struct db *db, usec now, struct err *e)
{
    static const struct {
        int step;
        int64_t keep;
    } keeps[] = {{MINUTE, 2 * DAY}, {HOUR, 90 * DAY}, {DAY, 5ll * 366 * DAY}};
    for (size_t i = 0; i < LENGTH(keeps); i++) {
        sqlite3_stmt *st = db_stmt(db, "DELETE FROM stat_cell WHERE step = ? AND start < ?");
        sqlite3_bind_int(st, 1, keeps[i].step);
        sqlite3_bind_int64(st, 2, now / USEC_PER_SEC - keeps[i].keep);
        if (db_run(db, st, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- answers ---- */
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
        buf_printf(out, ",\"last\":%lld,\"last_time\":", (long long)sqlite3_column_int64(st, 3));
        put_time(out, sqlite3_column_int64(st, 4) / USEC_PER_SEC);
        buf_printf(out, ",\"total\":%lld}", (long long)sqlite3_column_int64(st, 5));
    }
    buf_lit(out, "]}");
    return rc;
}

static bool labels_match(const struct stats_query *q, str labels, json_t **ret)
{
    json_t *o = *ret = json_loadb(labels.p, labels.n, 0, NULL);
    for (size_t i = 0; i < q->labels_n; i++) {
        json_t *v = json_object_getn(o, q->label_name[i].p, q->label_name[i].n);
        if (!v || !str_eq(str_of(json_string_value(v)), q->label_value[i]))
            return false;
    }
    return true;
}

struct point {
    int64_t start, value;
    char group[101];
};

static int by_group_and_time(const void *va, const void *vb)
{
    const struct point *a = va, *b = vb;
    int c = strcmp(a->group, b->group);
    return c ? c : (a->start > b->start) - (a->start < b->start);
}

int stats_json(struct db *read, const struct stats_query *q, struct buf *out, struct err *e)
{
    static const struct {
        str name;
        int step;
    } steps[] = {{S("minute"), MINUTE}, {S("hour"), HOUR}, {S("day"), DAY}};
    int step = 0, rc;
    for (size_t i = 0; i < LENGTH(steps); i++)
        if (str_eq(q->by, steps[i].name))
            step = steps[i].step;
    if (!step)
        return err_set(e, ERR_INPUT,
                       "by: expected minute, hour or day (week, month and year are not there yet), got \"%.*s\"",
                       STR_ARG(str_head(q->by, 40)));
    sqlite3_stmt *st = db_stmt(
        read, "SELECT s.labels, c.start, c.value FROM stat_series s JOIN stat_cell c ON c.series = s.id"
              " WHERE s.name = ?1 AND (?2 = 0 OR s.app = ?2) AND c.step = ?3 AND c.start >= ?4 AND c.start < ?5");
    db_bind_str(st, 1, q->name);
    sqlite3_bind_int64(st, 2, q->app);
    sqlite3_bind_int(st, 3, step);
    int64_t from = q->from / NSEC_PER_SEC;
    sqlite3_bind_int64(st, 4, from - from % step);
    sqlite3_bind_int64(st, 5, (q->to + NSEC_PER_SEC - 1) / NSEC_PER_SEC);
    struct point *points = NULL;
    size_t n = 0, cap = 0;
    int64_t total = 0;
    while ((rc = db_step(read, st, e)) > 0 && n < 100000) {
        json_t *labels;
        if (labels_match(q, db_str(st, 0), &labels)) {
            if (n == cap)
                points = xrealloc(points, (cap = cap ? cap * 2 : 256) * sizeof *points);
            json_t *g = q->group.n ? json_object_getn(labels, q->group.p, q->group.n) : NULL;
            points[n] = (struct point){.start = sqlite3_column_int64(st, 1), .value = sqlite3_column_int64(st, 2)};
            snprintf(points[n].group, sizeof points[n].group, "%s", g ? json_string_value(g) : "");
            total += points[n++].value;
        }
        json_decref(labels);
    }
    sqlite3_reset(st);
    if (rc < 0)
        goto out;
    if (n)
        qsort(points, n, sizeof *points, by_group_and_time);
    buf_lit(out, "{\"name\":");
    buf_json(out, q->name);
    buf_lit(out, ",\"type\":\"count\",\"points\":[");
    for (size_t i = 0, said = 0; i < n; said++) {
        struct point p = points[i++];
        while (i < n && points[i].start == p.start && strcmp(points[i].group, p.group) == 0)
            p.value += points[i++].value;
        buf_str(out, said ? S(",{\"time\":") : S("{\"time\":"));
        put_time(out, p.start);
        buf_printf(out, ",\"value\":%lld", (long long)p.value);
        if (q->group.n) {
            buf_lit(out, ",\"group\":");
            buf_json(out, str_of(p.group));
        }
        buf_byte(out, '}');
    }
    buf_printf(out, "],\"total\":%lld}", (long long)total);
    rc = 0;
out:
    free(points);
    return rc;
}
