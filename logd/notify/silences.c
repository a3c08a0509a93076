/* notify/silences.c - who is not to be told what, until when.
 *
 * A silence names a rule, app, env, host and key, each as a glob ("web*"); what it does not name, it does not ask. What it holds
 * for is counted as suppressed, with its reason; when it ends, what goes on is mailed like something new. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "event/event.h"
#include "notify/private.h"

#include <jansson.h>

const char notify_schema_silences[] =
    "CREATE TABLE silence(id TEXT PRIMARY KEY, rule TEXT NOT NULL, app TEXT NOT NULL, env TEXT NOT NULL, host TEXT NOT NULL,"
    " key TEXT NOT NULL, begins INTEGER NOT NULL, ends INTEGER NOT NULL, why TEXT NOT NULL, by TEXT NOT NULL) WITHOUT ROWID;";

static const char *const matchers[] = {"rule", "app", "env", "host", "key"};
enum { TEXT_MAX = 200 };

/* RFC 3339, an epoch, or a duration from now: "2h". */
static int notify_time(json_t *v, const char *name, usec now, usec *ret, struct err *e)
{
    char number[32];
    str text = str_of(json_string_value(v));
    nsec at;
    int digits;
    usec d;
    if (json_is_integer(v)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
        text = str_of(number);
    } else if (str_duration(text, &d) && text.n && strchr("smhdw", text.p[text.n - 1])) {
        *ret = now + d;
        return 0;
    }
    if (!text.n || time_read(text, &at, &digits, e) < 0)
        return err_set(e, ERR_INPUT, "%s: expected a time as RFC 3339 or epoch, or a duration like 2h, got \"%.*s\"",
                       name, STR_ARG(str_head(text, 40)));
    *ret = at / NSEC_PER_USEC;
    return 0;
}

static int check_texts(json_t *o, struct buf *out, struct err *e)
{
    bool any = false;
    for (size_t i = 0; i < LENGTH(matchers); i++) {
        json_t *v = json_object_get(o, matchers[i]);
        if (!v)
            continue;
        if (!json_is_string(v) || json_string_length(v) == 0 || json_string_length(v) > TEXT_MAX)
            return err_set(e, ERR_INPUT, "%s: expected text of 1 to %d bytes, * for any", matchers[i], TEXT_MAX);
        buf_printf(out, ",\"%s\":", matchers[i]);
        buf_json(out, str_of(json_string_value(v)));
        any = true;
    }
    return any ? 0 : err_set(e, ERR_INPUT, "expected at least one of rule, app, env, host and key");
}

static int check_known(json_t *o, struct err *e)
{
    static const char *const known[] = {"rule", "app", "env", "host", "key", "from", "until", "why"};
    const char *name;
    json_t *v;
    json_object_foreach(o, name, v)
    {
        bool found = false;
        for (size_t i = 0; i < LENGTH(known); i++)
            found |= strcmp(name, known[i]) == 0;
        if (!found)
            return err_set(e, ERR_INPUT,
                           "unknown key \"%.40s\", expected rule, app, env, host, key, from, until or why", name);
    }
    return 0;
}

static int check(json_t *o, str by, usec now, struct buf *out, struct err *e)
{
    usec from = now, until = 0;
    const char *why = json_string_value(json_object_get(o, "why"));
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT,
                       "expected a JSON object like {\"rule\":\"error-spike\",\"until\":\"2h\",\"why\":\"...\"}");
    buf_lit(out, "{\"silence\":true");
    if (check_known(o, e) < 0 || check_texts(o, out, e) < 0)
        return -1;
    if (json_object_get(o, "from") && notify_time(json_object_get(o, "from"), "from", now, &from, e) < 0)
        return -1;
    if (!json_object_get(o, "until"))
        return err_set(e, ERR_INPUT, "until is missing: a silence ends");
    if (notify_time(json_object_get(o, "until"), "until", now, &until, e) < 0)
        return -1;
    if (until <= from || until <= now)
        return err_set(e, ERR_INPUT, "until: expected a time after now and after from");
    if (!why || !*why || strlen(why) > TEXT_MAX)
        return err_set(e, ERR_INPUT, "why: expected text of 1 to %d bytes", TEXT_MAX);
    buf_printf(out, ",\"begins\":%lld,\"ends\":%lld,\"why\":", (long long)from, (long long)until);
    buf_json(out, str_of(why));
    buf_lit(out, ",\"by\":");
    buf_json(out, by);
    buf_byte(out, '}');
    return 0;
}

int silence_check(str body, str by, usec now, struct buf *action, char ret_id[17], struct err *e)
{
    json_error_t bad;
    json_t *o = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &bad);
    uint8_t hash[32];
    struct buf id = BUF_INIT(17);
    int rc = o ? check(o, by, now, action, e) : err_set(e, ERR_INPUT, "expected a JSON object: %s", bad.text);
    json_decref(o);
    if (rc < 0)
        return -1;
    sha256(buf_view(action), hash);
    buf_hex(&id, hash, 8);
    memcpy(ret_id, id.p, 16);
    ret_id[16] = '\0';
    buf_done(&id);
    action->n--; /* the brace */
    buf_printf(action, ",\"id\":\"%s\"}", ret_id);
    return 0;
}

int snooze_check(str body, usec now, usec *ret, struct err *e)
{
    json_t *o = json_loadb(body.p, body.n, 0, NULL), *until = json_object_get(o, "until");
    int rc = until ? notify_time(until, "until", now, ret, e) : err_set(e, ERR_INPUT, "expected {\"until\":TIME}");
    if (rc == 0 && *ret <= now)
        rc = err_set(e, ERR_INPUT, "until: expected a time after now");
    json_decref(o);
    return rc;
}

int silence_apply(struct incidents *in, json_t *o, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "INSERT OR IGNORE INTO silence VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    db_bind_str(st, 1, str_of(json_string_value(json_object_get(o, "id"))));
    for (int i = 0; i < (int)LENGTH(matchers); i++) {
        const char *text = json_string_value(json_object_get(o, matchers[i]));
        db_bind_str(st, i + 2, text ? str_of(text) : S(""));
    }
    sqlite3_bind_int64(st, 7, json_integer_value(json_object_get(o, "begins")));
    sqlite3_bind_int64(st, 8, json_integer_value(json_object_get(o, "ends")));
    db_bind_str(st, 9, str_of(json_string_value(json_object_get(o, "why"))));
    db_bind_str(st, 10, str_of(json_string_value(json_object_get(o, "by"))));
    return db_run(in->db, st, e);
}

int silence_of(struct incidents *in, const struct strand *s, usec now, const char **ret_why, struct arena *a,
               struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db, "SELECT why, by FROM silence WHERE begins <= ?1 AND ends > ?1 AND (rule = '' OR ?2 GLOB rule) AND"
                " (app = '' OR ?3 GLOB app) AND (env = '' OR ?4 GLOB env) AND (host = '' OR ?5 GLOB host) AND"
                " (key = '' OR ?6 GLOB key) LIMIT 1");
    const char *texts[] = {s->rule, s->app, s->env, s->host, s->key};
    sqlite3_bind_int64(st, 1, now);
    for (int i = 0; i < (int)LENGTH(texts); i++)
        db_bind_str(st, i + 2, str_of(texts[i]));
    int rc = db_step(in->db, st, e);
    if (rc > 0) {
        *ret_why = arena_printf(a, "silenced by %.*s: %.*s", STR_ARG(db_str(st, 1)), STR_ARG(db_str(st, 0)));
        sqlite3_reset(st);
    }
    return rc;
}

static void put_when(struct buf *out, const char *name, usec at)
{
    char t[TIME_TEXT_MAX];
    time_print(at * NSEC_PER_USEC, 0, t);
    buf_printf(out, ",\"%s\":\"%s\"", name, t);
}

int silences_json(struct db *read, usec now, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        read, "SELECT id, rule, app, env, host, key, why, by, begins, ends FROM silence WHERE ends > ? ORDER BY ends");
    static const char *const names[] = {"rule", "app", "env", "host", "key", "why", "by"};
    int rc;
    size_t n = 0;
    sqlite3_bind_int64(st, 1, now);
    buf_lit(out, "{\"silences\":[");
    while ((rc = db_step(read, st, e)) > 0) {
        buf_str(out, n++ ? S(",{\"id\":") : S("{\"id\":"));
        buf_json(out, db_str(st, 0));
        for (int i = 0; i < (int)LENGTH(names); i++) {
            if (db_str(st, i + 1).n == 0)
                continue;
            buf_printf(out, ",\"%s\":", names[i]);
            buf_json(out, db_str(st, i + 1));
        }
        put_when(out, "from", sqlite3_column_int64(st, 8));
        put_when(out, "until", sqlite3_column_int64(st, 9));
        buf_byte(out, '}');
    }
    buf_lit(out, "]}\n");
    return rc;
}

int silence_known(struct db *read, str id, usec now, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT 1 FROM silence WHERE id = ? AND ends > ?");
    db_bind_str(st, 1, id);
    sqlite3_bind_int64(st, 2, now);
    int rc = db_step(read, st, e);
    sqlite3_reset(st);
    return rc == 0  ? err_set(e, ERR_GONE, "no silence has the id \"%.*s\"", STR_ARG(str_head(id, 40)))
           : rc < 0 ? -1
                    : 0;
}
