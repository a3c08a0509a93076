/* issues/check.c - what people ask for, checked before it enters the journal: each refusal names the field, what was
 * expected and what came. What is relative (a duration, "next") is made absolute here or has a fixed meaning, so that the
 * action says the same whenever it is applied. */
#include "base/clock.h"
#include "base/str.h"
#include "event/scrub.h"
#include "issues/learned.h"
#include "issues/private.h"

#include <jansson.h>

enum { TEXT_MAX = 200, COMMENT_MAX = 10000, MERGE_MAX = 1000 };
#define LIMIT_MAX 1000000000

static int wrong(struct err *e, const char *field, const json_t *got, const char *expected)
{
    char *text = got ? json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    err_set(e, ERR_INPUT, "%s: expected %s, got %.60s", field, expected, got ? (text ? text : "?") : "nothing");
    snprintf(e->pointer, sizeof e->pointer, "/%s", field);
    free(text);
    return -1;
}

static int read_object(str body, const char *like, json_t **ret, struct err *e)
{
    json_error_t where;
    json_t *o = json_loadb(body.p ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &where);
    if (!o)
        return err_set(e, ERR_INPUT, "expected an object like %s: %s", like, where.text);
    if (!json_is_object(o) || json_object_size(o) == 0) {
        json_decref(o);
        return err_set(e, ERR_INPUT, "expected an object like %s", like);
    }
    *ret = o;
    return 0;
}

static int only(const json_t *o, const char *const *names, size_t n, const char *expected, struct err *e)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        bool known = false;
        for (size_t i = 0; i < n; i++)
            known |= strcmp(key, names[i]) == 0;
        if (!known) {
            err_set(e, ERR_INPUT, "unknown field \"%.40s\", expected %s", key, expected);
            snprintf(e->pointer, sizeof e->pointer, "/%.100s", key);
            return -1;
        }
    }
    return 0;
}

/* ---- mute until ---- */
struct until {
    enum mute_until kind;
    int64_t limit;
    usec window;
    char words[80]; /* what a reader is told */
};

static int until_time(const json_t *v, usec now, struct until *ret, struct err *e)
{
    static const char expected[] = "a time in the future, RFC 3339 or seconds since 1970, or a duration like \"2h\"";
    const char *text = json_string_value(v);
    char number[32];
    nsec t;
    usec length;
    int digits;
    struct err ignored;
    snprintf(number, sizeof number, "%lld", json_is_integer(v) ? (long long)json_integer_value(v) : 0LL);
    if (!text && !json_is_integer(v))
        return wrong(e, "until/time", v, expected);
    size_t last = text ? strlen(text) : 0;
    if (last && text[last - 1] >= 'a' && text[last - 1] <= 'z' && str_duration(str_of(text), &length))
        ret->limit = length < INT64_MAX / 2 - now ? now + length : 0;
    else if (time_read(str_of(text ? text : number), &t, &digits, &ignored) == 0)
        ret->limit = t / NSEC_PER_USEC;
    if (ret->limit <= now)
        return wrong(e, "until/time", v, expected);
    char when[TIME_TEXT_MAX];
    time_print(ret->limit * NSEC_PER_USEC, 0, when);
    snprintf(ret->words, sizeof ret->words, "until %s", when);
    return 0;
}

/* "100/hour"; minutes and days too, or only their first letter or "min". */
static int until_rate(const json_t *v, struct until *ret, struct err *e)
{
    static const struct {
        str name, word;
        usec window;
    } units[] = {{S("m"), S("minute"), 60 * USEC_PER_SEC},
                 {S("min"), S("minute"), 60 * USEC_PER_SEC},
                 {S("minute"), S("minute"), 60 * USEC_PER_SEC},
                 {S("h"), S("hour"), HOUR},
                 {S("hour"), S("hour"), HOUR},
                 {S("d"), S("day"), 24 * HOUR},
                 {S("day"), S("day"), 24 * HOUR}};
    str rest = str_of(json_string_value(v)), n = str_cut(&rest, '/');
    int64_t limit;
    for (size_t i = 0; i < LENGTH(units); i++)
        if (str_eq(rest, units[i].name) && str_i64(n, &limit) && limit > 0 && limit <= LIMIT_MAX) {
            ret->limit = limit;
            ret->window = units[i].window;
            snprintf(ret->words, sizeof ret->words, "until %lld events in one %.*s", (long long)limit,
                     STR_ARG(units[i].word));
            return 0;
        }
    return wrong(e, "until/rate", v, "text like \"100/hour\" (minute, hour or day)");
}

static int until_number(const char *name, const json_t *v, struct until *ret, struct err *e)
{
    char field[20];
    snprintf(field, sizeof field, "until/%s", name);
    ret->limit = json_integer_value(v);
    if (!json_is_integer(v) || ret->limit < 1 || ret->limit > LIMIT_MAX)
        return wrong(e, field, v, "a whole number from 1 to 1000000000");
    snprintf(ret->words, sizeof ret->words, "until %lld more %s", (long long)ret->limit,
             ret->kind == MUTE_COUNT ? "events" : "users");
    return 0;
}

static int until_check(const json_t *until, usec now, struct until *ret, struct err *e)
{
    *ret = (struct until){.kind = MUTE_ANYBODY, .words = "until somebody opens it"};
    if (!until)
        return 0;
    for (int i = MUTE_TIME; json_object_size(until) == 1 && i < MUTES; i++) {
        const json_t *v = json_object_get(until, mute_names[i].p);
        if (!v)
            continue;
        ret->kind = (enum mute_until)i;
        return i == MUTE_TIME   ? until_time(v, now, ret, e)
               : i == MUTE_RATE ? until_rate(v, ret, e)
                                : until_number(mute_names[i].p, v, ret, e);
    }
    return wrong(e, "until", until, "an object with one of time, count, users and rate");
}

/* ---- set ---- */
static int state_check(const json_t *o, usec now, json_t *set, struct err *e)
{
    const json_t *state = json_object_get(o, "state"), *release = json_object_get(o, "in_release"),
                 *until = json_object_get(o, "until");
    str name = str_of(json_string_value(state)), in = str_of(json_string_value(release));
    struct until mute;
    bool known = false;
    for (size_t i = 0; i < LENGTH(life_states); i++)
        known |= name.p && str_eq(name, life_states[i]);
    if (state && !known)
        return wrong(e, "state", state, "\"open\", \"resolved\" or \"muted\"");
    if (release && !str_eq(name, S("resolved")))
        return wrong(e, "in_release", release, "it only with \"state\":\"resolved\"");
    if (release && (!in.n || in.n > TEXT_MAX))
        return wrong(e, "in_release", release, "the name of a release in at most 200 bytes, or \"next\"");
    if (until && !str_eq(name, S("muted")))
        return wrong(e, "until", until, "it only with \"state\":\"muted\"");
    if (until_check(until, now, &mute, e) < 0)
        return -1;
    if (state)
        json_object_set(set, "state", (json_t *)(uintptr_t)state);
    if (release)
        json_object_set(set, "in_release", (json_t *)(uintptr_t)release);
    if (str_eq(name, S("muted"))) {
        json_object_set_new(set, "mute", json_integer(mute.kind));
        json_object_set_new(set, "limit", json_integer(mute.limit));
        json_object_set_new(set, "window", json_integer(mute.window));
        json_object_set_new(set, "words", json_string(mute.words));
    }
    return 0;
}

static bool is_address(str s)
{
    ptrdiff_t at = str_chr(s, '@');
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '<' || s.p[i] == '>' || (unsigned char)s.p[i] == 0x7f)
            return false;
    return at > 0 && (size_t)at + 1 < s.n && s.n <= TEXT_MAX && str_chr(str_skip(s, (size_t)at + 1), '@') < 0;
}

/* *ret_set: what the action will set. */
static int patch_check(str body, usec now, json_t **ret_set, struct err *e)
{
    static const char *const names[] = {"state", "in_release", "until", "assignee"};
    json_t *o, *set;
    if (read_object(body, "{\"state\":\"resolved\"}", &o, e) < 0)
        return -1;
    const json_t *assignee = json_object_get(o, "assignee");
    str who = str_of(json_string_value(assignee));
    set = json_object();
    int rc = only(o, names, LENGTH(names), "state, in_release, until or assignee", e);
    if (rc == 0)
        rc = state_check(o, now, set, e);
    if (rc == 0 && assignee && !json_is_null(assignee) && !(who.p && who.n == 0) && !is_address(who))
        rc = wrong(e, "assignee", assignee, "an e-mail address, or null for nobody");
    if (rc == 0 && assignee)
        json_object_set(set, "assignee", (json_t *)(uintptr_t)assignee);
    json_decref(o);
    if (rc == 0)
        *ret_set = set;
    else
        json_decref(set);
    return rc;
}

/* ---- actions ---- */
/* Takes `more` and `ids`. */
static int put_action(const char *what, json_t *ids, str by, json_t *more, struct buf *out, struct err *e)
{
    json_t *o = json_pack("{s:o,s:s%,s:s}", "issue", ids, "by", by.p ? by.p : "", by.n, "do", what);
    if (o && more)
        json_object_update(o, more);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (text)
        buf_str(out, str_of(text));
    free(text);
    json_decref(o);
    json_decref(more);
    return text ? 0 : err_set(e, ERR_INPUT, "expected UTF-8 text");
}

/* ret_own: after the miner's joins alone. */
static int find(struct db *read, str id, char ret_own[17], char ret_root[17], struct err *e)
{
    if (id.n == 16 && (alias_resolve(read, id, ret_own, e) < 0 || issue_resolve(read, id, ret_root, e) < 0))
        return -1;
    sqlite3_stmt *st = db_stmt(read, "SELECT 1 FROM issue WHERE id = ?");
    db_bind_str(st, 1, id.n == 16 ? str_of(ret_root) : S(""));
    int rc = db_step(read, st, e);
    if (rc < 0)
        return -1;
    sqlite3_reset(st);
    return rc ? 0 : err_set(e, ERR_GONE, "no issue has the id \"%.*s\"", STR_ARG(str_head(id, 40)));
}

int issue_patch_check(struct db *read, str body, str id, str by, usec now, struct buf *action, struct err *e)
{
    char own[17], root[17];
    json_t *set;
    if (find(read, id, own, root, e) < 0 || patch_check(body, now, &set, e) < 0)
        return -1;
    return put_action("set", json_pack("[s]", root), by, json_pack("{s:o}", "set", set), action, e);
}

static int add_id(void *arg, str id, struct err *e)
{
    json_t *ids = arg;
    if (json_array_size(ids) == ISSUES_AT_ONCE)
        return err_set(e, ERR_INPUT, "more than %d issues match: narrow q", ISSUES_AT_ONCE);
    json_array_append_new(ids, json_stringn(id.p, id.n));
    return 0;
}

int issues_patch_check(struct db *read, str body, const struct issues_filter *f, str by, usec now, struct buf *action,
                       size_t *ret_n, struct err *e)
{
    json_t *set, *ids;
    if (patch_check(body, now, &set, e) < 0)
        return -1;
    ids = json_array();
    int rc = issues_each_id(read, f, add_id, ids, e);
    *ret_n = json_array_size(ids);
    if (rc == 0 && *ret_n > 0)
        return put_action("set", ids, by, json_pack("{s:o}", "set", set), action, e);
    json_decref(ids);
    json_decref(set);
    return rc;
}

int issue_comment_check(struct db *read, str body, str id, str by, struct buf *action, struct err *e)
{
    static const char *const names[] = {"text"};
    char own[17], root[17];
    json_t *o;
    struct buf clean = BUF_INIT(4 * COMMENT_MAX);
    if (find(read, id, own, root, e) < 0 || read_object(body, "{\"text\":\"fixed by a restart\"}", &o, e) < 0)
        return -1;
    const json_t *text = json_object_get(o, "text");
    str s = str_trim(str_of(json_string_value(text)));
    int rc = only(o, names, LENGTH(names), "text", e);
    if (rc == 0 && (!s.n || s.n > COMMENT_MAX))
        rc = s.n ? err_set(e, ERR_INPUT, "text: expected at most %d bytes, got %zu", COMMENT_MAX, s.n)
                 : wrong(e, "text", text, "text");
    if (rc == 0) {
        if (!scrub_clean(s, &clean))
            s = buf_view(&clean);
        rc = put_action("comment", json_pack("[s]", root), by, json_pack("{s:s%}", "text", s.p, s.n), action, e);
    } else {
        snprintf(e->pointer, sizeof e->pointer, "%s", e->pointer[0] ? e->pointer : "/text");
    }
    buf_done(&clean);
    json_decref(o);
    return rc;
}

/* ---- merge, split ---- */
static int app_of(struct db *read, const char *id, char ret[LIMIT_APP + 1], struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT app FROM issue WHERE id = ?");
    db_bind_str(st, 1, str_of(id));
    if (db_step(read, st, e) < 0)
        return -1;
    copy_id(ret, LIMIT_APP + 1, db_str(st, 0));
    sqlite3_reset(st);
    return 0;
}

static int at_id(struct err *e, size_t i)
{
    snprintf(e->pointer, sizeof e->pointer, "/ids/%zu", i);
    e->kind = e->kind == ERR_GONE ? ERR_INPUT : e->kind;
    return -1;
}

static int merge_ids(struct db *read, const json_t *ids, const char *into, json_t *all, struct err *e)
{
    char own[17], root[17], app[LIMIT_APP + 1], mine[LIMIT_APP + 1];
    size_t i;
    const json_t *id;
    if (app_of(read, into, app, e) < 0)
        return -1;
    if (!json_is_array(ids) || json_array_size(ids) == 0 || json_array_size(ids) > MERGE_MAX)
        return wrong(e, "ids", ids, "an array of 1 to 1000 issue ids");
    json_array_foreach((json_t *)(uintptr_t)ids, i, id)
    {
        if (find(read, str_of(json_string_value(id)), own, root, e) < 0 || app_of(read, root, mine, e) < 0)
            return at_id(e, i);
        if (strcmp(root, into) == 0) {
            err_set(e, ERR_INPUT, "issue %s is the one to merge into, or part of it already", root);
            return at_id(e, i);
        }
        if (strcmp(app, mine) != 0) {
            err_set(e, ERR_INPUT, "issue %s is of app \"%s\", expected one of app \"%s\"", root, mine, app);
            return at_id(e, i);
        }
        json_array_append_new(all, json_string(root));
    }
    return 0;
}

int issues_merge_check(struct db *read, str body, str by, struct buf *action, char ret_into[17], struct err *e)
{
    static const char *const names[] = {"into", "ids"};
    char own[17], root[17];
    json_t *o, *all = json_array();
    int rc = read_object(body, "{\"into\":\"ID\",\"ids\":[\"ID\"]}", &o, e);
    if (rc < 0)
        goto out;
    const json_t *into = json_object_get(o, "into");
    if ((rc = only(o, names, LENGTH(names), "into and ids", e)) == 0) {
        if (!json_is_string(into))
            rc = wrong(e, "into", into, "the id of an issue");
        else if ((rc = find(read, str_of(json_string_value(into)), own, root, e)) < 0 && e->kind == ERR_GONE)
            rc = wrong(e, "into", into, "the id of an issue that is there");
    }
    if (rc == 0 && (rc = merge_ids(read, json_object_get(o, "ids"), root, all, e)) == 0) {
        memcpy(ret_into, root, sizeof root);
        rc = put_action("merge", json_incref(all), by, json_pack("{s:s}", "into", root), action, e);
    }
    json_decref(o);
out:
    json_decref(all);
    return rc;
}

/* All that was merged into `root`, or only those asked for. */
static int split_ids(struct db *read, const char *root, const json_t *ids, json_t *all, struct err *e)
{
    char own[17], top[17];
    size_t i;
    const json_t *id;
    int rc;
    if (ids && (!json_is_array(ids) || json_array_size(ids) == 0))
        return wrong(e, "ids", ids, "an array of ids that were merged into it");
    json_array_foreach((json_t *)(uintptr_t)ids, i, id)
    {
        if (find(read, str_of(json_string_value(id)), own, top, e) < 0)
            return at_id(e, i);
        if (strcmp(top, root) != 0 || strcmp(own, root) == 0) {
            err_set(e, ERR_INPUT, "issue %s was not merged into %s", own, root);
            return at_id(e, i);
        }
        json_array_append_new(all, json_string(own));
    }
    if (ids)
        return 0;
    sqlite3_stmt *st = db_stmt(read, "SELECT id FROM issue WHERE merged_into = ? ORDER BY id");
    db_bind_str(st, 1, str_of(root));
    while ((rc = db_step(read, st, e)) > 0)
        json_array_append_new(all, json_string((const char *)sqlite3_column_text(st, 0)));
    return rc;
}

int issue_split_check(struct db *read, str body, str id, str by, struct buf *action, struct err *e)
{
    static const char *const names[] = {"ids"};
    char own[17], root[17];
    json_t *o = NULL, *all = json_array();
    bool empty = str_trim(body).n == 0 || str_eq(str_trim(body), S("{}"));
    int rc = find(read, id, own, root, e);
    if (rc == 0 && !empty && (rc = read_object(body, "{\"ids\":[\"ID\"]}", &o, e)) == 0)
        rc = only(o, names, LENGTH(names), "ids", e);
    if (rc == 0 && strcmp(own, root) != 0) /* its own id says which */
        json_array_append_new(all, json_string(own));
    else if (rc == 0)
        rc = split_ids(read, root, json_object_get(o, "ids"), all, e);
    if (rc == 0 && json_array_size(all) == 0)
        rc = err_set(e, ERR_INPUT, "nothing was merged into issue %s: there is nothing to split", root);
    if (rc == 0)
        rc = put_action("split", json_incref(all), by, NULL, action, e);
    json_decref(o);
    json_decref(all);
    return rc;
}

int issues_regroup_check(struct db *read, str body, str by, struct buf *action, struct err *e)
{
    static const char *const names[] = {"version"};
    struct grouping_version v;
    json_t *o;
    if (issues_version(read, &v, e) < 0 || read_object(body, "{\"version\":2}", &o, e) < 0)
        return -1;
    const json_t *version = json_object_get(o, "version");
    long long to = json_integer_value(version);
    char expected[80];
    int rc = only(o, names, LENGTH(names), "version", e);
    snprintf(expected, sizeof expected, "a version from 1 to %d other than %d, which is in force", GROUPING_NEWEST,
             v.now);
    if (rc == 0 && (!json_is_integer(version) || to < 1 || to > GROUPING_NEWEST || to == v.now))
        rc = wrong(e, "version", version, expected);
    json_decref(o);
    return rc < 0 ? -1 : put_action("regroup", json_array(), by, json_pack("{s:i}", "to", (int)to), action, e);
}
