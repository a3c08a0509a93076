/* issues/releases.c - see private.h. */
#include "base/hash.h"
#include "base/str.h"
#include "issues/private.h"
#include "issues/release.h"

enum { KEY_MAX = LIMIT_APP + NAME_MAX_BYTES + 1 };

static str key_of(str app, str release, char out[KEY_MAX])
{
    size_t n = app.n < LIMIT_APP ? app.n : LIMIT_APP;
    memcpy(out, app.p, n);
    out[n] = '\0';
    memcpy(out + n + 1, release.p, release.n);
    return str_n(out, n + 1 + release.n);
}

/* *ret INT64_MAX: the app was never heard of with it. */
static int first_seen(struct issues *is, str app, str release, usec *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "SELECT first_seen FROM app_release WHERE app = ? AND release = ?");
    db_bind_str(st, 1, app);
    db_bind_str(st, 2, release);
    int rc = db_step(is->db, st, e);
    *ret = rc > 0 ? sqlite3_column_int64(st, 0) : INT64_MAX;
    if (rc > 0)
        sqlite3_reset(st);
    return rc < 0 ? -1 : 0;
}

static int save(struct issues *is, str app, str release, usec t, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO app_release VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET"
                                       " first_seen = min(first_seen, excluded.first_seen)");
    db_bind_str(st, 1, app);
    db_bind_str(st, 2, release);
    sqlite3_bind_int64(st, 3, t);
    if (db_run(is->db, st, e) < 0)
        return -1;
    st = db_stmt(is->db, "DELETE FROM app_release WHERE app = ?1 AND release IN (SELECT release FROM app_release"
                         " WHERE app = ?1 ORDER BY first_seen DESC, release LIMIT -1 OFFSET ?2)");
    db_bind_str(st, 1, app);
    sqlite3_bind_int(st, 2, APP_RELEASES_MAX);
    return db_run(is->db, st, e);
}

int release_note(struct issues *is, str app, str release, usec t, struct err *e)
{
    char text[KEY_MAX];
    str key = key_of(app, release, text);
    struct name_seen *known = map_get(&is->releases, key);
    if (known && known->first <= t)
        return 0;
    usec first;
    if (first_seen(is, app, release, &first, e) < 0 || (t < first && save(is, app, release, t, e) < 0))
        return -1;
    if (!known) {
        if (is->releases.n >= APP_RELEASES_MAX)
            releases_forget(is);
        map_set(&is->releases, key, known = xcalloc(1, sizeof *known));
    }
    known->first = t < first ? t : first;
    return 0;
}

void releases_forget(struct issues *is)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&is->releases, &i));)
        free(slot->value);
    map_done(&is->releases);
}

int release_is_older(struct issues *is, const struct row *root, str release, bool *ret, struct err *e)
{
    str in = str_of(root->in_release);
    int order;
    usec mine, its = INT64_MAX;
    bool next = str_eq(in, S("next"));
    *ret = in.n > 0 && release.n == 0;
    if (!in.n || !release.n || str_eq(in, release))
        return 0;
    if (!next && release_compare(release, in, &order)) {
        *ret = order < 0;
        return 0;
    }
    str app = str_of(root->app);
    if (first_seen(is, app, release, &mine, e) < 0 || (!next && first_seen(is, app, in, &its, e) < 0))
        return -1;
    *ret = its == INT64_MAX ? mine <= root->life.since : mine < its;
    return 0;
}
