/* stats/unique-fold.c - sketches of open periods, and how they become numbers.
 *
 *   unique_open    a sketch for each cell and secret of a period that is not sealed, with what it says now. Where the
 *                  sketch is NULL it stayed behind with its secret, on the machine that this one was restored from
 *   unique_cell    what is left of a sealed cell: a number; value NULL: fewer than five
 *   unique_sealed  through which period of each length all are sealed
 *
 * Sealing is a function of these tables and the clock, in one transaction: done twice, or cut off at any place, it gives
 * the same. It needs no secret: those are destroyed before (secrets_tick). Of each label the values with fewer than five
 * people are joined into __other__, and as long as that has fewer than five itself, the next smallest with them: no
 * number that is told, taken from another one, gives a small one. */
#include "base/log.h"
#include "base/map.h"
#include "stats/noise.h"
#include "stats/private.h"
#include "stats/sketch.h"
#include "stats/unique.h"

enum { SERIES_MAX = 200, CACHE_MAX = 512 }; /* series of a metric; sketches kept from one transaction to the next */
#define SETTLE (5 * USEC_PER_SEC)           /* from the last id that is taken until it has reached the fold */

const char unique_schema[] =
    "CREATE TABLE unique_series(series INTEGER PRIMARY KEY, label TEXT NOT NULL, word TEXT NOT NULL);"
    "CREATE TABLE unique_open(step INTEGER, start INTEGER, series INTEGER, segment INTEGER, value INTEGER NOT NULL,"
    " low INTEGER NOT NULL, high INTEGER NOT NULL, sketch BLOB, PRIMARY KEY(step, start, series, segment));"
    "CREATE TABLE unique_cell(series INTEGER, step INTEGER, start INTEGER, value INTEGER, low INTEGER, high INTEGER,"
    " PRIMARY KEY(series, step, start)) WITHOUT ROWID;"
    "CREATE TABLE unique_sealed(step INTEGER PRIMARY KEY, start INTEGER NOT NULL);";
/* What a sealed cell says in public: drawn once, for who could ask again would average the noise away. */
const char unique_schema_noise[] = "ALTER TABLE unique_cell ADD COLUMN noised INTEGER;";
const char unique_unshared[] = "PRAGMA secure_delete = ON;"
                               "UPDATE unique_open SET segment = ~segment, sketch = NULL WHERE sketch IS NOT NULL;";

struct open_cell {
    int64_t series, start, segment;
    int step;
    struct sketch sketch;
    bool dirty;
};
struct uniques {
    struct db *db;
    struct map series; /* app, name, label and value of an entry -> int64_t id; 0: the metric has another type */
    struct map cells;  /* the first fields of struct open_cell -> it */
    int64_t sealed[5]; /* start of the last sealed period, by place_of */
    bool sealed_known;
    uint32_t noise; /* epsilon in thousandths; 0: none */
};

struct uniques *uniques_new(struct db *db)
{
    struct uniques *u = xcalloc(1, sizeof *u);
    u->db = db;
    return u;
}

void uniques_noise(struct uniques *u, uint32_t epsilon) { u->noise = epsilon; }

void uniques_forget(struct uniques *u)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&u->series, &i));)
        free(slot->value);
    for (size_t i = 0; (slot = map_next(&u->cells, &i));) {
        sketch_done(&((struct open_cell *)slot->value)->sketch);
        free(slot->value);
    }
    map_done(&u->series);
    map_done(&u->cells);
    u->series = u->cells = (struct map){0};
    u->sealed_known = false;
}

void uniques_free(struct uniques *u)
{
    if (u)
        uniques_forget(u);
    free(u);
}

static size_t place_of(int step)
{
    return step == HOUR ? 0 : step == DAY ? 1 : step == WEEK ? 2 : step == MONTH ? 3 : 4;
}

static int know_sealed(struct uniques *u, struct err *e)
{
    sqlite3_stmt *st = db_stmt(u->db, "SELECT step, start FROM unique_sealed");
    int rc;
    if (u->sealed_known)
        return 0;
    for (size_t i = 0; i < LENGTH(u->sealed); i++)
        u->sealed[i] = INT64_MIN;
    while ((rc = db_step(u->db, st, e)) > 0)
        u->sealed[place_of(sqlite3_column_int(st, 0))] = sqlite3_column_int64(st, 1);
    u->sealed_known = rc == 0;
    return rc;
}

/* ---- sums ---- */
void unique_sum_add(struct unique_sum *s, int64_t value, int64_t low, int64_t high)
{
    s->parts++;
    s->max = value > s->max ? value : s->max;
    s->low = low > s->low ? low : s->low;
    s->sum += value;
    s->high += high;
}

int64_t unique_sum_value(const struct unique_sum *s) { return s->max + (s->sum - s->max) / 2; }

/* ---- series ---- */
static void put_labels(struct buf *out, str label, str word)
{
    buf_byte(out, '{');
    if (label.n) {
        buf_json(out, label);
        buf_byte(out, ':');
        buf_json(out, word);
    }
    buf_byte(out, '}');
}

/* 1: *ret is it, 0: there is none. */
static int get_series(struct uniques *u, uint32_t app, str name, str labels, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(u->db, "SELECT id FROM stat_series WHERE app = ? AND name = ? AND labels = ?");
    sqlite3_bind_int64(st, 1, app);
    db_bind_str(st, 2, name);
    db_bind_str(st, 3, labels);
    int rc = db_step(u->db, st, e);
    if (rc > 0) {
        *ret = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return rc;
}

static int insert_series(struct uniques *u, uint32_t app, str name, str labels, str label, str word, int64_t *ret,
                         struct err *e)
{
    sqlite3_stmt *st = db_stmt(u->db, "INSERT INTO stat_series(app, name, type, labels) VALUES(?, ?, 'unique', ?)");
    sqlite3_bind_int64(st, 1, app);
    db_bind_str(st, 2, name);
    db_bind_str(st, 3, labels);
    if (db_run(u->db, st, e) < 0)
        return -1;
    *ret = db_last_id(u->db);
    st = db_stmt(u->db, "INSERT INTO unique_series VALUES(?, ?, ?)");
    sqlite3_bind_int64(st, 1, *ret);
    db_bind_str(st, 2, label.p ? label : S(""));
    db_bind_str(st, 3, word.p ? word : S(""));
    return db_run(u->db, st, e);
}

/* 1: there is room for one more series of the metric, or it is new; 0: there is none; 2: it has another type. */
static int has_room(struct uniques *u, uint32_t app, str name, struct err *e)
{
    sqlite3_stmt *st = db_stmt(u->db, "SELECT count(*), min(type) FROM stat_series WHERE app = ? AND name = ?");
    sqlite3_bind_int64(st, 1, app);
    db_bind_str(st, 2, name);
    if (db_step(u->db, st, e) < 0)
        return -1;
    int64_t n = sqlite3_column_int64(st, 0);
    int rc = n && !str_eq(db_str(st, 1), S("unique")) ? 2 : n < SERIES_MAX;
    sqlite3_reset(st);
    return rc;
}

static int make_series(struct uniques *u, uint32_t app, str name, str label, str word, int64_t *ret, struct err *e)
{
    struct buf labels = BUF_INIT(4096);
    put_labels(&labels, label, word);
    int rc = get_series(u, app, name, buf_view(&labels), ret, e);
    int room = rc == 0 ? has_room(u, app, name, e) : 1;
    if (room == 2) { /* two senders made the metric in the same moment */
        log_warn("stats", "what=\"ids were passed over, their metric has another type\" metric=\"%.*s\"",
                 STR_ARG(name));
        *ret = 0;
        rc = 1;
    }
    if (rc == 0 && room == 0 && label.n && !str_eq(word, S(UNIQUE_OTHER)))
        rc = make_series(u, app, name, label, S(UNIQUE_OTHER), ret, e) < 0 ? -1 : 1;
    if (rc == 0)
        rc = room < 0 ? -1 : insert_series(u, app, name, buf_view(&labels), label, word, ret, e);
    buf_done(&labels);
    return rc < 0 ? -1 : 0;
}

static int find_series(struct uniques *u, uint32_t app, const struct unique_entry *x, int64_t *ret, struct err *e)
{
    struct buf key = BUF_INIT(1024);
    buf_add(&key, &app, sizeof app);
    unique_head(&key, x->name, x->label, x->value, 0, 0, 0);
    int64_t *id = map_get(&u->series, buf_view(&key));
    int rc = 0;
    if (!id) {
        rc = make_series(u, app, x->name, x->label, x->value, ret, e);
        if (rc == 0) {
            id = xmalloc(sizeof *id);
            *id = *ret;
            map_set(&u->series, buf_view(&key), id);
        }
    } else {
        *ret = *id;
    }
    buf_done(&key);
    return rc;
}

/* ---- open cells ---- */
static int load_sketch(struct uniques *u, struct open_cell *c, struct err *e)
{
    sqlite3_stmt *st = db_stmt(u->db, "SELECT sketch FROM unique_open WHERE step = ? AND start = ? AND series = ?"
                                      " AND segment = ?");
    sqlite3_bind_int(st, 1, c->step);
    sqlite3_bind_int64(st, 2, c->start);
    sqlite3_bind_int64(st, 3, c->series);
    sqlite3_bind_int64(st, 4, c->segment);
    int rc = db_step(u->db, st, e);
    if (rc > 0) {
        str code = str_n(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
        rc = sketch_decode(code, &c->sketch, e);
        sqlite3_reset(st);
    } else if (rc == 0) {
        sketch_init(&c->sketch, SKETCH_P);
    }
    return rc;
}

static int find_cell(struct uniques *u, int64_t series, const struct unique_entry *x, struct open_cell **ret,
                     struct err *e)
{
    int64_t key[] = {series, x->start, x->segment, x->step};
    str k = str_n((const char *)key, sizeof key);
    if ((*ret = map_get(&u->cells, k)))
        return 0;
    struct open_cell *c = xcalloc(1, sizeof *c);
    c->series = series;
    c->start = x->start;
    c->segment = x->segment;
    c->step = x->step;
    if (load_sketch(u, c, e) < 0) {
        free(c);
        return -1;
    }
    map_set(&u->cells, k, c);
    *ret = c;
    return 0;
}

int uniques_apply(struct uniques *u, uint32_t app, str body, struct err *e)
{
    struct unique_entry x;
    struct open_cell *c;
    int64_t series;
    if (know_sealed(u, e) < 0)
        return -1;
    while (unique_next(&body, &x)) {
        if (x.start <=
            u->sealed[place_of(x.step)]) { /* the clock was set back, or the disk hung, until it was sealed */
            unique_late_add(x.n);
            continue;
        }
        if (find_series(u, app, &x, &series, e) < 0)
            return -1;
        if (!series)
            continue;
        if (find_cell(u, series, &x, &c, e) < 0)
            return -1;
        for (uint32_t i = 0; i < x.n; i++)
            c->dirty |= sketch_add(&c->sketch, unique_code(&x, i));
    }
    return 0;
}

static int64_t whole(uint64_t n) { return n > INT64_MAX / 1000 ? INT64_MAX / 1000 : (int64_t)n; }

static int write_cell(struct uniques *u, struct open_cell *c, struct err *e)
{
    struct sketch_number n = sketch_number(c->sketch.p, c->sketch.counts);
    struct buf code = BUF_INIT(1u << 20);
    sqlite3_stmt *st = db_stmt(u->db, "INSERT OR REPLACE INTO unique_open VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    sketch_encode(&c->sketch, &code);
    sqlite3_bind_int(st, 1, c->step);
    sqlite3_bind_int64(st, 2, c->start);
    sqlite3_bind_int64(st, 3, c->series);
    sqlite3_bind_int64(st, 4, c->segment);
    sqlite3_bind_int64(st, 5, whole(n.value));
    sqlite3_bind_int64(st, 6, whole(n.low));
    sqlite3_bind_int64(st, 7, whole(n.high));
    sqlite3_bind_blob(st, 8, code.p, (int)code.n, SQLITE_TRANSIENT);
    int rc = db_run(u->db, st, e);
    buf_done(&code);
    c->dirty = false;
    return rc;
}

int uniques_flush(struct uniques *u, struct err *e)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&u->cells, &i));)
        if (((struct open_cell *)slot->value)->dirty && write_cell(u, slot->value, e) < 0)
            return -1;
    if (u->cells.n > CACHE_MAX)
        uniques_forget(u);
    return 0;
}

/* ---- sealing ---- */
struct sealing {
    struct uniques *u;
    int step;
    int64_t start;
    struct sealed_cell { /* of the period, by app, name and label */
        uint32_t app;
        char *name, *label, *word;
        int64_t series;
        struct unique_sum sum;
        bool joined;
    } * cell;
    size_t n, cap;
};
/* Cells that become one: by sketch where they share a secret. */
struct joined {
    struct {
        int64_t segment;
        struct sketch sketch;
        bool has_sketch;
        struct unique_sum numbers;
    } part[32];
    size_t n;
};

static void cells_free(struct sealing *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->cell[i].name);
        free(s->cell[i].label);
        free(s->cell[i].word);
    }
    free(s->cell);
}

static int load_cells(struct sealing *s, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        s->u->db, "SELECT app, name, label, word, series, value, low, high FROM unique_open JOIN stat_series ON"
                  " id = series JOIN unique_series USING(series) WHERE step = ? AND start = ?"
                  " ORDER BY app, name, label, series");
    int rc;
    sqlite3_bind_int(st, 1, s->step);
    sqlite3_bind_int64(st, 2, s->start);
    while ((rc = db_step(s->u->db, st, e)) > 0) {
        int64_t series = sqlite3_column_int64(st, 4);
        if (!s->n || s->cell[s->n - 1].series != series) {
            if (s->n == s->cap)
                s->cell = xrealloc(s->cell, (s->cap = s->cap ? 2 * s->cap : 64) * sizeof *s->cell);
            s->cell[s->n++] = (struct sealed_cell){.app = (uint32_t)sqlite3_column_int64(st, 0),
                                                   .name = str_dup(db_str(st, 1)),
                                                   .label = str_dup(db_str(st, 2)),
                                                   .word = str_dup(db_str(st, 3)),
                                                   .series = series};
        }
        unique_sum_add(&s->cell[s->n - 1].sum, sqlite3_column_int64(st, 5), sqlite3_column_int64(st, 6),
                       sqlite3_column_int64(st, 7));
    }
    return rc;
}

static int64_t noised(int64_t value, uint32_t epsilon)
{
    int64_t v = value + noise_laplace(epsilon);
    return v > 0 ? v : 0;
}

/* A number under five is not kept, only that it was. */
static int write_sealed(struct sealing *s, int64_t series, const struct unique_sum *sum, struct err *e)
{
    sqlite3_stmt *st = db_stmt(s->u->db, "INSERT OR REPLACE INTO unique_cell VALUES(?, ?, ?, ?, ?, ?, ?)");
    sqlite3_bind_int64(st, 1, series);
    sqlite3_bind_int(st, 2, s->step);
    sqlite3_bind_int64(st, 3, s->start);
    if (sum->max >= UNIQUE_BELOW) {
        sqlite3_bind_int64(st, 4, unique_sum_value(sum));
        sqlite3_bind_int64(st, 5, sum->low);
        sqlite3_bind_int64(st, 6, sum->high);
    }
    if (sum->max >= UNIQUE_BELOW && s->u->noise)
        sqlite3_bind_int64(st, 7, noised(unique_sum_value(sum), s->u->noise));
    return db_run(s->u->db, st, e);
}

static int join_part(struct joined *j, sqlite3_stmt *st, struct err *e)
{
    int64_t segment = sqlite3_column_int64(st, 0);
    struct sketch sketch;
    size_t i = 0;
    while (i < j->n && j->part[i].segment != segment)
        i++;
    i = i == LENGTH(j->part) ? i - 1 : i; /* so many losses in one period: one more part of the last is as honest */
    if (i == j->n) {
        memset(&j->part[i], 0, sizeof j->part[i]);
        j->part[i].segment = segment;
        sketch_init(&j->part[i].sketch, SKETCH_P);
        j->n++;
    }
    str code = str_n(sqlite3_column_blob(st, 4), (size_t)sqlite3_column_bytes(st, 4));
    if (!code.n || j->part[i].segment != segment) {
        unique_sum_add(&j->part[i].numbers, sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2),
                       sqlite3_column_int64(st, 3));
        return 0;
    }
    if (sketch_decode(code, &sketch, e) < 0)
        return -1;
    sketch_merge(&j->part[i].sketch, &sketch);
    sketch_done(&sketch);
    j->part[i].has_sketch = true;
    return 0;
}

static int join(struct sealing *s, struct joined *j, struct sealed_cell *c, struct err *e)
{
    sqlite3_stmt *st = db_stmt(s->u->db, "SELECT segment, value, low, high, sketch FROM unique_open"
                                         " WHERE step = ? AND start = ? AND series = ?");
    int rc;
    c->joined = true;
    sqlite3_bind_int(st, 1, s->step);
    sqlite3_bind_int64(st, 2, s->start);
    sqlite3_bind_int64(st, 3, c->series);
    while ((rc = db_step(s->u->db, st, e)) > 0)
        if (join_part(j, st, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
    return rc;
}

static struct unique_sum joined_sum(const struct joined *j)
{
    struct unique_sum sum = {0};
    for (size_t i = 0; i < j->n; i++) {
        const struct unique_sum *more = &j->part[i].numbers;
        struct sketch_number n = sketch_number(SKETCH_P, j->part[i].sketch.counts);
        if (j->part[i].has_sketch)
            unique_sum_add(&sum, whole(n.value), whole(n.low), whole(n.high));
        if (more->parts)
            unique_sum_add(&sum, unique_sum_value(more), more->low, more->high);
    }
    return sum;
}

static struct sealed_cell *smallest(struct sealed_cell *c, size_t n)
{
    struct sealed_cell *least = NULL;
    for (size_t i = 0; i < n; i++)
        if (!c[i].joined && (!least || c[i].sum.max < least->sum.max))
            least = &c[i];
    return least;
}

/* The values of one label: what is too small goes into UNIQUE_OTHER, and with it what would tell it. */
static int join_small(struct sealing *s, struct joined *j, struct sealed_cell *c, size_t n, struct err *e)
{
    struct unique_sum other;
    bool small = false;
    for (size_t i = 0; i < n; i++)
        small |= c[i].sum.max < UNIQUE_BELOW || strcmp(c[i].word, UNIQUE_OTHER) == 0;
    if (!small)
        return 0;
    for (size_t i = 0; i < n; i++)
        if ((c[i].sum.max < UNIQUE_BELOW || strcmp(c[i].word, UNIQUE_OTHER) == 0) && join(s, j, &c[i], e) < 0)
            return -1;
    for (;;) {
        struct sealed_cell *next = smallest(c, n);
        other = joined_sum(j);
        if (other.max >= UNIQUE_BELOW || !next)
            break;
        if (join(s, j, next, e) < 0)
            return -1;
    }
    struct unique_entry x = {.name = str_of(c->name), .label = str_of(c->label), .value = S(UNIQUE_OTHER)};
    int64_t series;
    return find_series(s->u, c->app, &x, &series, e) < 0 ? -1 : write_sealed(s, series, &other, e);
}

static int seal_label(struct sealing *s, struct sealed_cell *c, size_t n, struct err *e)
{
    struct joined *j = xcalloc(1, sizeof *j);
    int rc = c->label[0] ? join_small(s, j, c, n, e) : 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (!c[i].joined)
            rc = write_sealed(s, c[i].series, &c[i].sum, e);
    for (size_t i = 0; i < j->n; i++)
        sketch_done(&j->part[i].sketch);
    free(j);
    return rc;
}

static int forget_period(struct sealing *s, struct err *e)
{
    sqlite3_stmt *st = db_stmt(s->u->db, "DELETE FROM unique_open WHERE step = ? AND start = ?");
    sqlite3_bind_int(st, 1, s->step);
    sqlite3_bind_int64(st, 2, s->start);
    if (db_run(s->u->db, st, e) < 0)
        return -1;
    st = db_stmt(s->u->db, "INSERT INTO unique_sealed VALUES(?, ?) ON CONFLICT DO UPDATE SET start = excluded.start");
    sqlite3_bind_int(st, 1, s->step);
    sqlite3_bind_int64(st, 2, s->start);
    return db_run(s->u->db, st, e);
}

/* Hours stay for 90 days, days for 5 years, the rest for ever. */
static int forget_old(struct sealing *s, struct err *e)
{
    int64_t keep = s->step == HOUR ? 90 * DAY : 5ll * 366 * DAY;
    sqlite3_stmt *st = db_stmt(s->u->db, "DELETE FROM unique_cell WHERE step = ? AND start < ?");
    sqlite3_bind_int(st, 1, s->step);
    sqlite3_bind_int64(st, 2, s->start - keep);
    return s->step > DAY ? 0 : db_run(s->u->db, st, e);
}

static int seal_period(struct uniques *u, int step, int64_t start, struct err *e)
{
    struct sealing s = {.u = u, .step = step, .start = start};
    int rc = load_cells(&s, e);
    for (size_t i = 0, n; rc == 0 && i < s.n; i += n) {
        for (n = 1; i + n < s.n && s.cell[i + n].app == s.cell[i].app && !strcmp(s.cell[i + n].name, s.cell[i].name) &&
                    !strcmp(s.cell[i + n].label, s.cell[i].label);)
            n++;
        rc = seal_label(&s, &s.cell[i], n, e);
    }
    if (rc == 0)
        rc = forget_period(&s, e) < 0 ? -1 : forget_old(&s, e);
    cells_free(&s);
    return rc;
}

static usec due_of(int step, int64_t start)
{
    return stat_period_end(start, step) * USEC_PER_SEC + UNIQUE_GRACE + SETTLE;
}

/* The next period of any length; 1: there is one. */
static int next_due(struct uniques *u, int *ret_step, int64_t *ret_start, struct err *e)
{
    sqlite3_stmt *st = db_stmt(u->db, "SELECT step, min(start) FROM unique_open GROUP BY step");
    usec due = INT64_MAX;
    int rc;
    while ((rc = db_step(u->db, st, e)) > 0) {
        int step = sqlite3_column_int(st, 0);
        int64_t start = sqlite3_column_int64(st, 1);
        if (due_of(step, start) >= due)
            continue;
        due = due_of(step, start);
        *ret_step = step;
        *ret_start = start;
    }
    return rc < 0 ? -1 : due < INT64_MAX;
}

usec uniques_due(struct uniques *u)
{
    int step;
    int64_t start;
    struct err e;
    return next_due(u, &step, &start, &e) > 0 ? due_of(step, start) : INT64_MAX;
}

int uniques_seal(struct uniques *u, usec now, bool *ret_sealed, struct err *e)
{
    int step, rc;
    int64_t start;
    if (uniques_flush(u, e) < 0)
        return -1;
    while ((rc = next_due(u, &step, &start, e)) > 0 && due_of(step, start) <= now) {
        if (seal_period(u, step, start, e) < 0)
            return -1;
        *ret_sealed = true;
    }
    if (*ret_sealed)
        uniques_forget(u); /* sketches of what is sealed, and which that is */
    return rc < 0 ? -1 : 0;
}

bool uniques_scrub(struct db *db)
{
    struct err e;
    sqlite3_stmt *st = db_stmt(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite3_busy_timeout(db_raw(db), 20);
    bool done = db_step(db, st, &e) > 0 && sqlite3_column_int(st, 0) == 0;
    sqlite3_reset(st);
    sqlite3_busy_timeout(db_raw(db), 5000);
    return done;
}
