/* issues/rows.c - rows of fold.db that one transaction touches: read once, counted in memory, written by issues_flush, so
 * that a thousand equal errors cost one UPDATE. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "issues/learned.h"
#include "issues/private.h"

void copy_id(char *out, size_t size, str s)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;
    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

static void row_free(struct row *r)
{
    char *texts[] = {r->app, r->env,        r->type,          r->title,       r->culprit,
                     r->why, r->in_release, r->first_release, r->last_release};
    for (size_t i = 0; i < LENGTH(texts); i++)
        free(texts[i]);
    users_free(r->users);
    buf_done(&r->last_line);
    free(r);
}

/* The row is one of the pair's, or of what was merged into one of them. */
static bool is_of_pair(const struct row *r, const struct id_pair *p)
{
    return strcmp(r->id, p->from) == 0 || strcmp(r->id, p->into) == 0 || strcmp(r->into, p->from) == 0 ||
           strcmp(r->into, p->into) == 0;
}

static int write_row(struct issues *is, struct row *r, struct err *e);

int rows_let_go(struct issues *is, const struct id_pair *p, struct err *e)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&is->cache, &i));) {
        struct row *r = slot->value;
        if (!is_of_pair(r, p))
            continue;
        is->lines_bytes -= r->last_line.n;
        if (write_row(is, r, e) < 0)
            return -1;
        (void)map_del(&is->cache, str_of(r->id));
        row_free(r);
        i--; /* another one may have moved into its place */
    }
    return 0;
}

void rows_drop(struct issues *is)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&is->cache, &i));)
        row_free(slot->value);
    map_done(&is->cache);
    is->lines_bytes = 0;
}

/* ---- reading ---- */
static char *text_or_null(sqlite3_stmt *st, int col)
{
    str s = db_str(st, col);
    return s.n ? str_dup(s) : NULL;
}

static enum life_state state_of(str name)
{
    for (size_t i = 0; i < LENGTH(life_states); i++)
        if (str_eq(name, life_states[i]))
            return (enum life_state)i;
    return LIFE_OPEN;
}

static void read_life(sqlite3_stmt *st, int col, struct life *l)
{
    l->state = state_of(db_str(st, col));
    l->since = sqlite3_column_int64(st, col + 1);
    l->mute = (enum mute_until)sqlite3_column_int(st, col + 2);
    l->limit = sqlite3_column_int64(st, col + 3);
    l->window = sqlite3_column_int64(st, col + 4);
    l->seen = sqlite3_column_int64(st, col + 5);
    l->bucket = sqlite3_column_int64(st, col + 6);
}

int row_load(struct issues *is, str id, struct row **ret, struct err *e)
{
    *ret = map_get(&is->cache, id);
    if (*ret)
        return 0;
    sqlite3_stmt *st = db_stmt(
        is->db, "SELECT state, coalesce(muted_at, resolved_at), mute, mute_limit, mute_window, mute_seen,"
                " mute_bucket, count, first_seen, last_seen, regressed_at, level, last_event, merged_into, app,"
                " in_release, first_release, last_release, users, users_low, version FROM issue WHERE id = ?");
    db_bind_str(st, 1, id);
    int rc = db_step(is->db, st, e);
    if (rc <= 0)
        return rc;
    struct row *r = xcalloc(1, sizeof *r);
    copy_id(r->id, sizeof r->id, id);
    read_life(st, 0, &r->life);
    r->count = (uint64_t)sqlite3_column_int64(st, 7);
    r->first_seen = sqlite3_column_int64(st, 8);
    r->last_seen = sqlite3_column_int64(st, 9);
    r->regressed_at = sqlite3_column_int64(st, 10);
    r->level = sqlite3_column_int(st, 11);
    copy_id(r->last_event, sizeof r->last_event, db_str(st, 12));
    copy_id(r->into, sizeof r->into, db_str(st, 13));
    r->app = str_dup(db_str(st, 14));
    r->in_release = text_or_null(st, 15);
    r->first_release = text_or_null(st, 16);
    r->last_release = text_or_null(st, 17);
    r->named = (uint64_t)sqlite3_column_int64(st, 18);
    r->users_low = (uint64_t)sqlite3_column_int64(st, 19);
    r->version = sqlite3_column_int(st, 20);
    buf_init(&r->last_line, SAMPLE_MAX_BYTES);
    sqlite3_reset(st);
    map_set(&is->cache, id, r);
    *ret = r;
    return 0;
}

struct row *row_make(struct issues *is, const struct event *ev, const struct fingerprint *fp, struct arena *a)
{
    struct row *r = xcalloc(1, sizeof *r);
    str type = event_text(ev, S("error.type"), a);
    copy_id(r->id, sizeof r->id, str_of(fp->id));
    r->fresh = true;
    r->version = is->version.now;
    r->app = str_dup(ev->app);
    r->env = str_dup(event_text(ev, S("env"), a));
    r->type = str_dup(type.p ? type : event_text(ev, S("type"), a));
    r->title = xstrdup(fp->title);
    r->culprit = xstrdup(fp->culprit);
    r->why = xstrdup(fp->why);
    copy_id(r->first_event, sizeof r->first_event, ev->id);
    r->first_seen = r->last_seen = ev->time / NSEC_PER_USEC;
    buf_init(&r->last_line, SAMPLE_MAX_BYTES);
    map_set(&is->cache, str_of(r->id), r);
    return r;
}

/* ---- counting ---- */
static int add_hours(struct issues *is, struct row *r, struct err *e)
{
    for (size_t i = 0; i < HOURS_CACHED; i++) {
        if (!r->hours[i].n)
            continue;
        sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO issue_hour VALUES(?, ?, ?)"
                                           " ON CONFLICT DO UPDATE SET count = count + excluded.count");
        db_bind_str(st, 1, str_of(r->id));
        sqlite3_bind_int64(st, 2, r->hours[i].hour);
        sqlite3_bind_int64(st, 3, (sqlite3_int64)r->hours[i].n);
        if (db_run(is->db, st, e) < 0)
            return -1;
        r->hours[i].n = 0;
    }
    return 0;
}

int row_count_hour(struct issues *is, struct row *r, usec t, uint64_t n, struct err *e)
{
    int64_t hour = t / HOUR;
    for (size_t i = 0; i < HOURS_CACHED; i++)
        if (r->hours[i].n == 0 || r->hours[i].hour == hour) {
            r->hours[i].hour = hour;
            r->hours[i].n += n;
            return 0;
        }
    if (add_hours(is, r, e) < 0)
        return -1;
    r->hours[0].hour = hour;
    r->hours[0].n = n;
    return 0;
}

/* True: it was noted before, with no later time. */
static bool noted(struct name_seen *cache, str name, usec t)
{
    uint64_t hash = hash_str(name) | 1;
    size_t i = 0;
    while (i < NAMES_CACHED && cache[i].hash != hash)
        i++;
    if (i < NAMES_CACHED && cache[i].first <= t)
        return true;
    if (i == NAMES_CACHED)
        memmove(cache + 1, cache, --i * sizeof *cache), i = 0;
    cache[i] = (struct name_seen){hash, t};
    return false;
}

/* Of many names the first ones, so that a sender who gives each event another one fills nothing. Two statements: one that
 * reads the table it writes to fills another table first. */
static int note_name(struct issues *is, const char *count, const char *insert, const struct row *r, str name, usec t,
                     int max, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, count);
    db_bind_str(st, 1, str_of(r->id));
    if (db_step(is->db, st, e) < 0)
        return -1;
    bool room = sqlite3_column_int(st, 0) < max;
    sqlite3_reset(st);
    if (!room)
        return 0;
    st = db_stmt(is->db, insert);
    db_bind_str(st, 1, str_of(r->id));
    db_bind_str(st, 2, name);
    sqlite3_bind_int64(st, 3, t);
    return db_run(is->db, st, e);
}

static void replace_text(char **text, str with)
{
    if (*text && str_eq(str_of(*text), with))
        return;
    free(*text);
    *text = str_dup(with);
}

/* Before first_seen and last_seen are moved. */
int row_note_release(struct issues *is, struct row *r, str release, usec t, struct err *e)
{
    if (!release.n)
        return 0;
    if (t >= r->last_seen || !r->last_release)
        replace_text(&r->last_release, release);
    if (t < r->first_seen || !r->first_release)
        replace_text(&r->first_release, release);
    if (noted(r->releases, release, t))
        return 0;
    return note_name(
        is, "SELECT count(*) FROM issue_release WHERE issue = ?",
        "INSERT INTO issue_release VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen)",
        r, release, t, RELEASES_MAX, e);
}

int row_note_env(struct issues *is, struct row *r, str env, usec t, struct err *e)
{
    if (!env.n || noted(r->envs, env, t))
        return 0;
    return note_name(
        is, "SELECT count(*) FROM issue_env WHERE issue = ?",
        "INSERT INTO issue_env VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen)",
        r, env, t, ENVS_MAX, e);
}

/* ---- writing ---- */
static int insert_row(struct issues *is, struct row *r, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO issue(id, app, env, type, title, culprit, why, first_event,"
                                       " state, count) VALUES(?, ?, ?, ?, ?, ?, ?, ?, 'open', 0)");
    str texts[] = {str_of(r->id),    str_of(r->app),     str_of(r->env), str_of(r->type),
                   str_of(r->title), str_of(r->culprit), str_of(r->why), str_of(r->first_event)};
    for (int i = 0; i < (int)LENGTH(texts); i++)
        db_bind_str(st, i + 1, texts[i].n || i >= 4 ? texts[i] : (str){0});
    r->fresh = false;
    return db_run(is->db, st, e);
}

static int update_row(struct issues *is, struct row *r, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        is->db, "UPDATE issue SET state = ?, count = ?, first_seen = ?, last_seen = ?, regressed_at = ?,"
                " level = ?, last_event = ?, first_release = ?, last_release = ?, users = ?, users_low = ?,"
                " mute_seen = ?, mute_bucket = ?, version = ? WHERE id = ?");
    db_bind_str(st, 1, life_states[r->life.state]);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)r->count);
    sqlite3_bind_int64(st, 3, r->first_seen);
    sqlite3_bind_int64(st, 4, r->last_seen);
    if (r->regressed_at)
        sqlite3_bind_int64(st, 5, r->regressed_at);
    sqlite3_bind_int(st, 6, r->level);
    db_bind_str(st, 7, str_of(r->last_event));
    db_bind_str(st, 8, str_of(r->first_release));
    db_bind_str(st, 9, str_of(r->last_release));
    sqlite3_bind_int64(st, 10, (sqlite3_int64)r->named);
    sqlite3_bind_int64(st, 11, (sqlite3_int64)r->users_low);
    sqlite3_bind_int64(st, 12, r->life.seen);
    sqlite3_bind_int64(st, 13, r->life.bucket);
    sqlite3_bind_int(st, 14, r->version);
    db_bind_str(st, 15, str_of(r->id));
    r->dirty = false;
    return db_run(is->db, st, e);
}

static int write_last(struct issues *is, struct row *r, struct err *e)
{
    if (!r->last_line.n)
        return 0;
    if (sample_put(is, r, SAMPLE_LAST, r->last_seen, buf_view(&r->last_line), e) < 0)
        return -1;
    if (r->last_line.cap > 4096)
        buf_done(&r->last_line);
    buf_reset(&r->last_line);
    return 0;
}

static int write_row(struct issues *is, struct row *r, struct err *e)
{
    if (users_write(is, r, e) < 0)
        return -1;
    if (!r->dirty)
        return 0;
    if (r->fresh && insert_row(is, r, e) < 0)
        return -1;
    return update_row(is, r, e) < 0 || add_hours(is, r, e) < 0 || write_last(is, r, e) < 0 ? -1 : 0;
}

/* Keeps the rows of the transaction that ends. */
static void forget_idle(struct issues *is)
{
    struct map kept = {0};
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&is->cache, &i));) {
        struct row *r = slot->value;
        if (r->idle)
            row_free(r);
        else
            map_set(&kept, str_of(r->id), r);
    }
    map_done(&is->cache);
    is->cache = kept;
}

int issues_flush(struct issues *is, struct err *e)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&is->cache, &i));) {
        struct row *r = slot->value;
        r->idle = !r->dirty;
        if (write_row(is, r, e) < 0)
            return -1;
    }
    is->lines_bytes = 0;
    if (is->cache.n > ROWS_CACHED)
        forget_idle(is);
    if (is->cache.n > ROWS_CACHED)
        rows_drop(is);
    return 0;
}
