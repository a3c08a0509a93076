/* fold-memory.c - what rules remember, on disk: a log of changes in fold.db, in the fold's own transactions.
 *
 * A storm of logins changes a hundred thousand keys a second, and each of them as a row of its own costs ten times what
 * the rules themselves cost. So what a transaction changed is appended in pieces, rows of `rules_memory_log`; reading
 * starts with the oldest, and the last word on a key counts. A piece holds, for each key:
 *
 *   4 length of the key   4 length of the value, 0: the key was forgotten   key   value (rules/memory.c); little-endian
 *
 * When more was appended than GARBAGE and twice what is remembered, and once a day, all of it is written anew and the old
 * rows go, so that what was forgotten does not stay on disk. `rules_memory` holds what was kept before there was a log. */
#include "fold-private.h"
#include "base/clock.h"
#include "base/str.h"
#include "rules/bytes.h"

enum { PIECE_BYTES = 256 << 10, PIECE_MAX = 16 << 20, GARBAGE = 1 << 20 };
#define ANEW_US (86400 * USEC_PER_SEC)

static int append(struct fold *f, struct buf *piece, struct err *e)
{
    if (!piece->n)
        return 0;
    sqlite3_stmt *st = db_stmt(f->db, "INSERT INTO rules_memory_log(entries) VALUES(?)");
    sqlite3_bind_blob(st, 1, piece->p, (int)piece->n, SQLITE_STATIC);
    int rc = db_run(f->db, st, e);
    sqlite3_clear_bindings(st);
    f->memory_log.appended += piece->n;
    buf_reset(piece);
    return rc;
}

static int append_changes(struct fold *f, struct err *e)
{
    struct buf piece = BUF_INIT(PIECE_MAX);
    str key, value;
    int rc = 0;
    while (rc == 0 && rules_memory_dirty_next(f->memory, &key, &value)) {
        put_number(&piece, key.n, 4);
        put_number(&piece, value.n, 4);
        buf_str(&piece, key);
        buf_str(&piece, value);
        assert(!piece.full); /* a key and its value are small */
        if (piece.n >= PIECE_BYTES)
            rc = append(f, &piece, e);
    }
    if (rc == 0)
        rc = append(f, &piece, e);
    buf_done(&piece);
    return rc;
}

static int begin_anew(struct fold *f, struct err *e)
{
    if (db_exec(f->db, "DELETE FROM rules_memory; DELETE FROM rules_memory_log", e) < 0)
        return -1;
    rules_memory_all_dirty(f->memory);
    f->memory_log = (struct memory_log){.since = clock_mono()};
    if (append_changes(f, e) < 0)
        return -1;
    f->memory_log.whole = f->memory_log.appended;
    f->memory_log.appended = 0;
    return 0;
}

int fold_memory_save(struct fold *f, struct err *e)
{
    const struct memory_log *l = &f->memory_log;
    if (append_changes(f, e) < 0)
        return -1;
    bool old = l->appended && clock_mono() - l->since > ANEW_US;
    return old || l->appended > GARBAGE + 2 * l->whole ? begin_anew(f, e) : 0;
}

static void load_piece(struct fold *f, str piece)
{
    uint64_t key_n, value_n;
    while (take_number(&piece, 4, &key_n) && take_number(&piece, 4, &value_n) && key_n + value_n <= piece.n) {
        str key = str_head(piece, key_n), value = str_head(str_skip(piece, key_n), value_n);
        piece = str_skip(piece, key_n + value_n);
        rules_memory_unload(f->memory, key);
        if (value.n)
            (void)!rules_memory_load(f->memory, key, value); /* of another shape: an older logd's, forgotten */
    }
}

static str blob(sqlite3_stmt *st, int i)
{
    const char *p = sqlite3_column_blob(st, i);
    return str_n(p, (size_t)sqlite3_column_bytes(st, i));
}

int fold_memory_load(struct fold *f, struct err *e)
{
    sqlite3_stmt *st = db_stmt(f->db, "SELECT key, value FROM rules_memory");
    int rc;
    f->memory_log = (struct memory_log){.since = clock_mono()};
    while ((rc = db_step(f->db, st, e)) > 0) {
        str key = blob(st, 0);
        (void)!rules_memory_load(f->memory, key, blob(st, 1));
    }
    st = db_stmt(f->db, "SELECT entries FROM rules_memory_log ORDER BY id");
    while (rc == 0 && (rc = db_step(f->db, st, e)) > 0) {
        f->memory_log.appended += (size_t)sqlite3_column_bytes(st, 0);
        load_piece(f, blob(st, 0));
        rc = 0;
    }
    return rc;
}
