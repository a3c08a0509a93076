/* issues/learned.c - see learned.h.
 *
 * A shape is stored as 12 bytes a token, little endian: hash 8, bytes of its text 2 (at most 65535), kind 1, and `mark`
 * or `enough` 1. Rows of another SHAPE_VERSION are passed over: aliases made by them stay. */
#include "issues/learned.h"
#include "base/str.h"
#include "issues/templates.h"

enum { SHAPES_KEPT = 50000, ALIASES_KEPT = 200000, TOKEN_BYTES = 12 };

struct learned {
    struct db *db;
    struct templates *templates; /* NULL: not read yet */
    struct id_pair *joined;
    size_t n, cap;
    bool loading;
};

static void id_text(uint64_t id, char ret[17]) { snprintf(ret, 17, "%016llx", (unsigned long long)id); }
static uint64_t id_number(const char *text) { return strtoull(text, NULL, 16); }

static void on_join(void *arg, uint64_t from, uint64_t into)
{
    struct learned *l = arg;
    if (l->loading)
        return; /* told before */
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->joined = xrealloc(l->joined, l->cap * sizeof *l->joined);
    }
    id_text(from, l->joined[l->n].from);
    id_text(into, l->joined[l->n++].into);
}

struct learned *learned_new(struct db *db)
{
    struct learned *l = xcalloc(1, sizeof *l);
    l->db = db;
    return l;
}

void learned_forget(struct learned *l)
{
    templates_free(l->templates);
    l->templates = NULL;
}

void learned_free(struct learned *l)
{
    if (!l)
        return;
    learned_forget(l);
    free(l->joined);
    free(l);
}

/* ---- rows ---- */
static void pack(const struct shape *s, struct buf *out)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct token *t = &s->t[i];
        uint16_t n = t->n < UINT16_MAX ? (uint16_t)t->n : UINT16_MAX;
        buf_add(out, &t->hash, sizeof t->hash);
        buf_add(out, &n, sizeof n);
        buf_byte(out, (char)t->kind);
        buf_byte(out, (char)(t->kind == TOKEN_MARK ? t->mark : t->enough));
    }
}

static bool unpack(str blob, struct shape *s)
{
    if (blob.n % TOKEN_BYTES || blob.n / TOKEN_BYTES > SHAPE_TOKENS)
        return false;
    s->n = blob.n / TOKEN_BYTES;
    for (size_t i = 0; i < s->n; i++) {
        const char *p = blob.p + i * TOKEN_BYTES;
        uint16_t n;
        memcpy(&n, p + 8, sizeof n);
        s->t[i] = (struct token){.hash = load8(p),
                                 .n = n,
                                 .kind = (uint8_t)p[10],
                                 .enough = p[10] == TOKEN_MARK ? 0 : (uint8_t)p[11],
                                 .mark = p[10] == TOKEN_MARK ? p[11] : 0};
    }
    return true;
}

int learned_read(struct db *db, struct templates *t, struct err *e)
{
    struct shape s;
    int rc;
    sqlite3_stmt *st = db_stmt(db, "SELECT scope, hash, tokens, coalesce(into_id, shape.id) FROM issue_shape AS shape"
                                   " LEFT JOIN issue_alias AS alias ON alias.id = shape.id WHERE version = ?"
                                   " ORDER BY shape.n");
    sqlite3_bind_int(st, 1, SHAPE_VERSION);
    while ((rc = db_step(db, st, e)) > 0) {
        str blob = str_n(sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2));
        s.hash = (uint64_t)sqlite3_column_int64(st, 1);
        if (blob.n && unpack(blob, &s))
            (void)templates_learn(t, (uint64_t)sqlite3_column_int64(st, 0),
                                  id_number((const char *)sqlite3_column_text(st, 3)), &s);
    }
    return rc;
}

static int load(struct learned *l, struct err *e)
{
    l->templates = templates_new(on_join, l);
    l->loading = true;
    int rc = learned_read(l->db, l->templates, e);
    l->loading = false;
    if (rc < 0)
        learned_forget(l);
    return rc;
}

/* Rows have growing numbers: what falls out of those kept is the one so far behind the new one. */
static int keep_last(struct learned *l, const char *sql, int kept, struct err *e)
{
    sqlite3_stmt *st = db_stmt(l->db, sql);
    sqlite3_bind_int64(st, 1, db_last_id(l->db) - kept);
    return db_run(l->db, st, e);
}

static int save_shape(struct learned *l, const struct fingerprint *fp, struct err *e)
{
    struct buf tokens = BUF_INIT(SHAPE_TOKENS * TOKEN_BYTES);
    sqlite3_stmt *st = db_stmt(l->db,
                               "INSERT INTO issue_shape(version, scope, hash, id, tokens) VALUES(?, ?, ?, ?, ?)");
    pack(fp->shape, &tokens);
    sqlite3_bind_int(st, 1, SHAPE_VERSION);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)fp->scope);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)fp->shape->hash);
    db_bind_str(st, 4, str_of(fp->id));
    sqlite3_bind_blob(st, 5, tokens.p, (int)tokens.n, SQLITE_TRANSIENT);
    int rc = db_run(l->db, st, e);
    buf_done(&tokens);
    return rc < 0 ? -1 : keep_last(l, "DELETE FROM issue_shape WHERE n = ?", SHAPES_KEPT, e);
}

int alias_save(struct learned *l, const char *from, const char *into, struct err *e)
{
    sqlite3_stmt *st = db_stmt(l->db, "UPDATE issue_alias SET into_id = ?2 WHERE into_id = ?1");
    db_bind_str(st, 1, str_of(from));
    db_bind_str(st, 2, str_of(into));
    if (db_run(l->db, st, e) < 0)
        return -1;
    st = db_stmt(l->db, "INSERT OR REPLACE INTO issue_alias(id, into_id) VALUES(?, ?)");
    db_bind_str(st, 1, str_of(from));
    db_bind_str(st, 2, str_of(into));
    return db_run(l->db, st, e) < 0 ? -1 : keep_last(l, "DELETE FROM issue_alias WHERE n = ?", ALIASES_KEPT, e);
}

int alias_resolve(struct db *db, str id, char ret[17], struct err *e)
{
    sqlite3_stmt *st = db_stmt(db, "SELECT into_id FROM issue_alias WHERE id = ?");
    db_bind_str(st, 1, id);
    int rc = db_step(db, st, e);
    str got = rc > 0 ? db_str(st, 0) : id;
    snprintf(ret, 17, "%.*s", STR_ARG(str_head(got, 16)));
    if (rc > 0)
        sqlite3_reset(st);
    return rc < 0 ? -1 : 0;
}

/* ---- offers ---- */
int learned_offer(struct learned *l, struct fingerprint *fp, const struct id_pair **ret_joined, size_t *ret_n,
                  struct err *e)
{
    char own[17];
    if (!l->templates && load(l, e) < 0)
        return -1;
    l->n = 0;
    uint64_t id = id_number(fp->id);
    bool known = templates_knows(l->templates, fp->scope, fp->shape);
    if (!known) { /* it may have been known, and forgotten since */
        if (alias_resolve(l->db, str_of(fp->id), own, e) < 0)
            return -1;
        id = id_number(own);
    }
    struct template_found f = templates_offer(l->templates, fp->scope, id, fp->message, fp->shape);
    *ret_joined = l->joined;
    *ret_n = l->n;
    if (f.fresh && save_shape(l, fp, e) < 0)
        return -1;
    for (size_t i = 0; i < l->n; i++)
        if (alias_save(l, l->joined[i].from, l->joined[i].into, e) < 0)
            return -1;
    id_text(f.id, own);
    if (f.fresh && strcmp(own, fp->id) != 0 && alias_save(l, fp->id, own, e) < 0)
        return -1;
    memcpy(fp->id, own, sizeof own);
    return 0;
}
