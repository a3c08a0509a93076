/* issues/users.c - how many users had an issue, without knowing who.
 *
 * A user's name is hashed under a random key that only this issue has, so nothing can be compared between issues; what is
 * kept of the hash is a bit of a sketch. Two issues that the miner joins had two keys: of the younger one the number is
 * left, and `users` is the sum, `users_low` the greater of both. */
#include "base/hash.h"
#include "base/str.h"
#include "issues/private.h"

enum { PENDING = 64 };

struct users {
    uint8_t key[16];
    uint64_t seen[HASHES_CACHED]; /* that were added before, by their low bits: a storm of one user costs a look */
    uint64_t pending[PENDING];
    size_t n;
};

void users_free(struct users *u) { free(u); }

static int make_key(struct issues *is, struct row *r, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "INSERT INTO issue_users(issue, key, sketch) VALUES(?, ?, x'')");
    random_bytes(r->users->key, sizeof r->users->key);
    db_bind_str(st, 1, str_of(r->id));
    sqlite3_bind_blob(st, 2, r->users->key, sizeof r->users->key, SQLITE_TRANSIENT);
    return db_run(is->db, st, e);
}

static int load_key(struct issues *is, struct row *r, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "SELECT key FROM issue_users WHERE issue = ?");
    db_bind_str(st, 1, str_of(r->id));
    int rc = db_step(is->db, st, e);
    if (rc < 0)
        return -1;
    r->users = xcalloc(1, sizeof *r->users);
    if (rc == 0)
        return make_key(is, r, e);
    if (sqlite3_column_bytes(st, 0) == sizeof r->users->key)
        memcpy(r->users->key, sqlite3_column_blob(st, 0), sizeof r->users->key);
    sqlite3_reset(st);
    return 0;
}

static int save_sketch(struct issues *is, struct row *r, str code, struct err *e)
{
    sqlite3_stmt *st = db_stmt(is->db, "UPDATE issue_users SET sketch = ? WHERE issue = ?");
    sqlite3_bind_blob(st, 1, code.p, (int)code.n, SQLITE_TRANSIENT);
    db_bind_str(st, 2, str_of(r->id));
    r->dirty = true;
    return db_run(is->db, st, e);
}

int users_write(struct issues *is, struct row *r, struct err *e)
{
    struct users *u = r->users;
    struct buf code = BUF_INIT(1 << 20);
    int rc = 0;
    if (!u || !u->n)
        return 0;
    sqlite3_stmt *st = db_stmt(is->db, "SELECT sketch, joined, joined_most FROM issue_users WHERE issue = ?");
    db_bind_str(st, 1, str_of(r->id));
    if (db_step(is->db, st, e) < 0)
        return -1;
    str was = str_n(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    uint64_t joined = (uint64_t)sqlite3_column_int64(st, 1), most = (uint64_t)sqlite3_column_int64(st, 2);
    bool more = is->sketch->add(was, u->pending, u->n, &code);
    sqlite3_reset(st);
    u->n = 0;
    if (more) {
        uint64_t own = is->sketch->count(buf_view(&code));
        r->named = own + joined;
        r->users_low = own > most ? own : most;
        rc = save_sketch(is, r, buf_view(&code), e);
    }
    buf_done(&code);
    return rc;
}

int users_add(struct issues *is, struct row *r, str user, struct err *e)
{
    if (!r->users && load_key(is, r, e) < 0)
        return -1;
    struct users *u = r->users;
    uint64_t hash = siphash(u->key, user) | 1u << 15; /* never 0; the bit is of a row that p = 12 does not reach */
    uint64_t *slot = &u->seen[hash % HASHES_CACHED];
    if (*slot == hash)
        return 0;
    *slot = hash;
    u->pending[u->n++] = hash;
    return u->n == PENDING ? users_write(is, r, e) : 0;
}
