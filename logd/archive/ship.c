#include "archive/ship.h"
#include "base/clock.h"
#include "base/db.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "event/event.h"
#include "journal/journal.h"
#include "journal/scan.h"
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

enum { ZSTD_LEVEL = 6, PIECE_BYTES = 64 << 20 };

int ship_object(struct shipper *s, struct object *entry, str body, struct err *e)
{
    size_t bound = ZSTD_compressBound(body.n);
    char *packed = xmalloc(bound);
    uint8_t sha[32];
    struct buf hex = BUF_INIT(64);
    ZSTD_CCtx *z = ZSTD_createCCtx();
    assert(z);
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(z, packed, bound, body.p, body.n);
    ZSTD_freeCCtx(z);
    assert(!ZSTD_isError(n));
    sha256(str_n(packed, n), sha);
    buf_hex(&hex, sha, 32);
    memcpy(entry->sha256, hex.p, 64);
    entry->sha256[64] = '\0';
    entry->bytes = n;
    int rc = objects_put(s->objects, entry->name, str_n(packed, n), e);
    s->bytes += n;
    buf_done(&hex);
    free(packed);
    return rc;
}

/* Puts `body` under a new name and adds it to the manifest only when it is there. */
static int ship_new(struct shipper *s, const struct object *like, str body, struct err *e)
{
    struct object *entry = manifest_add(&s->manifest, like->name, like->kind);
    char *name = entry->name;
    *entry = *like;
    entry->name = name;
    if (ship_object(s, entry, body, e) == 0)
        return 0;
    entry->target = NULL;
    manifest_remove(&s->manifest, s->manifest.n - 1);
    return -1;
}

/* ---- events ---- */
/* Is it there as it is, or as those that it was merged from? Only what is there is merged (store_archived), so its first and
 * last records tell. */
static bool has_segment(const struct manifest *m, const struct segment *seg)
{
    bool first = false, last = false;
    for (size_t i = 0; i < m->n; i++) {
        const struct object *o = &m->objects[i];
        if (o->kind != OBJECT_EVENTS || o->first < seg->first_seq || o->last > seg->last_seq)
            continue;
        first |= o->first == seg->first_seq;
        last |= o->last == seg->last_seq;
    }
    return first && last;
}

/* Parts of it that were shipped before it was merged while no archive was configured: they would be restored twice. */
static void forget_parts(struct manifest *m, const struct segment *seg)
{
    for (size_t i = m->n; i-- > 0;) {
        const struct object *o = &m->objects[i];
        if (o->kind == OBJECT_EVENTS && o->first >= seg->first_seq && o->last <= seg->last_seq &&
            (o->first != seg->first_seq || o->last != seg->last_seq))
            manifest_remove(m, i);
    }
}

/* The lines of one app and day of a segment, on their way out. */
struct day {
    struct buf lines;
    char app[LIMIT_APP + 1];
    int64_t day; /* since the epoch */
    uint64_t events;
};

static int ship_day(struct shipper *s, const struct segment *seg, struct day *d, struct err *e)
{
    char date[TIME_TEXT_MAX];
    struct buf name = BUF_INIT(500);
    if (!d->lines.n)
        return 0;
    time_print(d->day * 86400 * NSEC_PER_SEC, 0, date);
    date[10] = '\0';
    buf_lit(&name, "events/app=");
    for (const char *c = d->app; *c; c++)
        buf_byte(&name, *c == '/' || *c == '.' ? '_' : *c);
    buf_printf(&name, "/date=%s/%llu-%llu.ndjson.zst%c", date, (unsigned long long)seg->first_seq,
               (unsigned long long)seg->last_seq, '\0');
    struct object like = {
        .name = name.p, .kind = OBJECT_EVENTS, .first = seg->first_seq, .last = seg->last_seq, .events = d->events};
    int rc = ship_new(s, &like, buf_view(&d->lines), e);
    buf_done(&name);
    buf_reset(&d->lines);
    d->events = 0;
    return rc;
}

static void line_app(str line, char ret[LIMIT_APP + 1])
{
    ptrdiff_t at = str_find(line, S(",\"app\":\"")); /* id, event_id and time before it hold no such text unescaped */
    str rest = at < 0 ? S("unknown") : str_skip(line, (size_t)at + 8);
    size_t n = 0;
    while (n < rest.n && n < LIMIT_APP &&
           strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", rest.p[n]) && rest.p[n])
        n++;
    memcpy(ret, rest.p, n);
    ret[n] = '\0';
}

/* Blocks come sorted by app and time, so an object is a run of lines. */
static int ship_segment(struct shipper *s, const struct segment *seg, struct err *e)
{
    struct buf scratch = BUF_INIT(SIZE_MAX / 2);
    struct day d = {.lines = BUF_INIT(SIZE_MAX / 2), .day = INT64_MIN};
    size_t before = s->manifest.n;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < seg->n; i++) {
        str rest;
        rc = segment_lines(seg, i, &scratch, &rest, e);
        while (rc == 0 && rest.n) {
            nsec t;
            int severity;
            char app[LIMIT_APP + 1];
            str line = str_cut(&rest, '\n');
            if (!event_peek(line, &t, &severity))
                continue;
            int64_t day = t / NSEC_PER_SEC / 86400 - (t < 0);
            line_app(line, app);
            if (day != d.day || strcmp(app, d.app) != 0) {
                rc = ship_day(s, seg, &d, e);
                d.day = day;
                memcpy(d.app, app, sizeof app);
            }
            buf_str(&d.lines, line);
            buf_byte(&d.lines, '\n');
            d.events++;
        }
    }
    if (rc == 0)
        rc = ship_day(s, seg, &d, e);
    while (rc < 0 && s->manifest.n > before) /* a half segment is none: it would never be completed */
        manifest_remove(&s->manifest, s->manifest.n - 1);
    buf_done(&scratch);
    buf_done(&d.lines);
    return rc;
}

int ship_segments(struct shipper *s, uint64_t *ret_last_seq, struct err *e)
{
    struct segment **segments;
    size_t n = store_segments(s->parts->store, &segments);
    int rc = 0;
    *ret_last_seq = 0;
    for (size_t i = 0; i < n; i++) {
        const struct segment *seg = segments[i];
        if (rc == 0 && !has_segment(&s->manifest, seg)) {
            rc = ship_segment(s, seg, e);
            if (rc == 0)
                forget_parts(&s->manifest, seg);
        }
        if (rc == 0 && seg->last_seq > *ret_last_seq)
            *ret_last_seq = seg->last_seq;
        segment_unref(segments[i]);
    }
    free(segments);
    return rc;
}

/* ---- state ---- */
/* A consistent copy by SQLite's own backup, changed by `sql` where there is some, read whole. */
static int copy_db(const char *from, const char *to, const char *sql, struct buf *out, struct err *e)
{
    struct db *src, *dst;
    int rc = -1;
    (void)unlink(to);
    if (db_open_read(from, &src, e) < 0)
        return -1;
    if (db_open(to, DB_NORMAL, NULL, 0, &dst, e) == 0) {
        sqlite3_backup *b = sqlite3_backup_init(db_raw(dst), "main", db_raw(src), "main");
        int code = b ? sqlite3_backup_step(b, -1) : SQLITE_ERROR;
        sqlite3_backup_finish(b);
        rc = code == SQLITE_DONE ? 0 : err_set(e, ERR_SYS, "copy '%s': SQLite %d", from, code);
        if (rc == 0 && sql)
            rc = db_exec(dst, sql, e);
        db_close(dst);
    }
    db_close(src);
    if (rc == 0)
        rc = file_read(to, out->max, out, e);
    (void)unlink(to);
    return rc;
}

static int db_version(const char *path, int64_t *ret_changes, uint64_t *ret_position, struct err *e)
{
    struct db *db;
    if (db_open_read(path, &db, e) < 0)
        return -1;
    /* The WAL's frames and the file's change counter together move with every commit. */
    struct buf wal = BUF_INIT(PATH_MAX);
    buf_printf(&wal, "%s-wal%c", path, '\0');
    uint64_t h = 0;
    const char *files[] = {path, wal.p};
    for (size_t i = 0; i < LENGTH(files); i++) {
        unsigned char head[4096];
        size_t got = 0;
        int fd = open(files[i], O_RDONLY | O_CLOEXEC);
        off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
        if (fd >= 0 && pread_all(fd, head, i ? 32 : 100, 0, &got) == 0)
            h = xxh64(head, got, h + (uint64_t)size);
        if (fd >= 0 && i && size >= 4096 && pread_all(fd, head, 4096, (uint64_t)size - 4096, &got) == 0)
            h = xxh64(head, got, h);
        if (fd >= 0)
            close(fd);
    }
    buf_done(&wal);
    *ret_changes = (int64_t)h;
    if (ret_position) {
        sqlite3_stmt *st = db_stmt(db, "SELECT seq FROM position");
        int rc = db_step(db, st, e);
        *ret_position = rc > 0 ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
        sqlite3_reset(st);
    }
    db_close(db);
    return 0;
}

/* Older copies of the same target leave the manifest; the objects go after the manifest was written. */
static void forget_target(struct manifest *m, const char *target, size_t keep)
{
    for (size_t i = m->n; i-- > 0;)
        if (i != keep && m->objects[i].kind == OBJECT_STATE && strcmp(m->objects[i].target, target) == 0) {
            manifest_remove(m, i);
            if (i < keep)
                keep--;
        }
}

static int ship_target(struct shipper *s, const char *target, const char *label, uint64_t last, str body, struct err *e)
{
    struct buf name = BUF_INIT(300);
    buf_printf(&name, "state/%s-%llu-%llu.zst%c", label, (unsigned long long)s->manifest.generation,
               (unsigned long long)xxh64(body.p, body.n, last), '\0');
    struct object like = {.name = name.p, .kind = OBJECT_STATE, .last = last, .target = xstrdup(target)};
    int rc = ship_new(s, &like, body, e);
    if (rc == 0)
        forget_target(&s->manifest, target, s->manifest.n - 1);
    else
        free(like.target);
    buf_done(&name);
    return rc;
}

int ship_state(struct shipper *s, uint64_t *ret_fold_seq, struct err *e)
{
    static const char *const names[] = {"logd.db", "fold.db"};
    int rc = 0;
    *ret_fold_seq = 0;
    for (size_t i = 0; rc == 0 && i < LENGTH(names); i++) {
        struct buf path = BUF_INIT(PATH_MAX), tmp = BUF_INIT(PATH_MAX), body = BUF_INIT(SIZE_MAX / 2);
        int64_t version;
        buf_printf(&path, "%s/%s%c", s->data, names[i], '\0');
        buf_printf(&tmp, "%s/spool/%s%c", s->data, names[i], '\0');
        rc = db_version(path.p, &version, i ? ret_fold_seq : NULL, e);
        if (rc == 0 && version != s->state_versions[i]) {
            rc = copy_db(path.p, tmp.p, i ? s->parts->fold_unshared : NULL, &body, e);
            if (rc == 0)
                rc = ship_target(s, names[i], names[i], *ret_fold_seq, buf_view(&body), e);
            if (rc == 0)
                s->state_versions[i] = version;
        }
        buf_done(&path);
        buf_done(&tmp);
        buf_done(&body);
    }
    return rc;
}

/* Files that are written once and never changed, as FOLDER/NAME of the data folder: one is shipped once, and leaves when it
 * has gone there. */
static int ship_unchanging(struct shipper *s, const char *folder, const char *suffix, struct err *e)
{
    char **names = NULL;
    size_t n = 0, prefix = strlen(folder) + 1;
    struct buf path = BUF_INIT(PATH_MAX), body = BUF_INIT(SIZE_MAX / 2);
    int rc = 0;
    buf_printf(&path, "%s/%s%c", s->data, folder, '\0');
    if (dir_list(path.p, &names, &n, e) < 0 && e->sys != ENOENT)
        rc = -1;
    for (size_t i = s->manifest.n; rc == 0 && i-- > 0;) {
        const struct object *o = &s->manifest.objects[i];
        bool there = o->kind != OBJECT_STATE || !str_ends(str_of(o->target), str_of(suffix));
        for (size_t k = 0; !there && k < n; k++)
            there = strcmp(o->target + prefix, names[k]) == 0;
        if (!there)
            manifest_remove(&s->manifest, i);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        char target[300];
        snprintf(target, sizeof target, "%s/%.255s", folder, names[i]);
        if (!str_ends(str_of(names[i]), str_of(suffix)) || manifest_target(&s->manifest, target))
            continue;
        buf_reset(&path);
        buf_reset(&body);
        buf_printf(&path, "%s/%s%c", s->data, target, '\0');
        rc = file_read(path.p, body.max, &body, e);
        if (rc == 0)
            rc = ship_target(s, target, names[i], 0, buf_view(&body), e);
        else if (e->sys == ENOENT)
            rc = 0;
    }
    dir_list_free(names, n);
    buf_done(&path);
    buf_done(&body);
    return rc;
}

int ship_windows(struct shipper *s, struct err *e) { return ship_unchanging(s, "journal", ".w", e); }
int ship_maps(struct shipper *s, struct err *e) { return ship_unchanging(s, "maps", ".map", e); }

/* ---- the journal's tail ---- */
static void shipped_end(const struct manifest *m, uint64_t *ret_file, uint64_t *ret_offset)
{
    *ret_file = *ret_offset = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct object *x = &m->objects[i];
        if (x->kind == OBJECT_JOURNAL &&
            (x->file > *ret_file || (x->file == *ret_file && x->offset + x->raw > *ret_offset))) {
            *ret_file = x->file;
            *ret_offset = x->offset + x->raw;
        }
    }
}

/* Bytes [from, to) of a file that leave this machine as others. */
struct blank {
    uint64_t from, to;
    char head[RECORD_HEADER]; /* of a record that keeps its place and number; what follows is zeros */
};
struct blanks {
    struct blank *blank;
    size_t n, cap;
};

/* Places of unique counts stay here while their secret lives, so their records go out empty, and what cannot be read too. */
static void add_blank(struct blanks *all, uint64_t from, uint64_t to, const struct scan_record *r, uint64_t file)
{
    if (all->n == all->cap)
        all->blank = xrealloc(all->blank, (all->cap = all->cap ? 2 * all->cap : 64) * sizeof *all->blank);
    struct blank *b = &all->blank[all->n++];
    *b = (struct blank){.from = from, .to = to};
    if (!r)
        return;
    struct record_header h = r->head;
    char *zeros = xcalloc(1, h.meta_n + (size_t)h.body_n + 1);
    h.payload_sum = payload_sum(zeros, h.meta_n, zeros + h.meta_n, h.body_n);
    record_header_write(&h, file, from, b->head);
    free(zeros);
}

/* In [offset, end), which are places where records begin: all of it is synced. */
static int find_blanks(const char *path, uint64_t file, uint64_t offset, uint64_t end, struct blanks *all,
                       struct err *e)
{
    struct scan s;
    struct scan_record r;
    enum scan_result rc;
    if (scan_open(&s, AT_FDCWD, path, file, e) < 0)
        return -1;
    s.at = offset > FILE_HEADER ? offset : FILE_HEADER;
    s.end = end < s.end ? end : s.end;
    while ((rc = scan_next(&s, &r, e)) == SCAN_RECORD || rc == SCAN_CORRUPT)
        if (rc == SCAN_CORRUPT)
            add_blank(all, s.bad_from, s.bad_to, NULL, file);
        else if (r.head.type == RECORD_UNIQUE)
            add_blank(all, r.at, r.at + record_size(&r.head), &r, file);
    scan_close(&s);
    return rc == SCAN_ERROR ? -1 : 0;
}

/* `bytes` are those of the file from `offset` on. */
static void put_blanks(const struct blanks *all, char *bytes, size_t n, uint64_t offset)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct blank *b = &all->blank[i];
        uint64_t from = b->from > offset ? b->from : offset, to = b->to < offset + n ? b->to : offset + n;
        for (uint64_t at = from; at < to; at++)
            bytes[at - offset] = at - b->from < RECORD_HEADER ? b->head[at - b->from] : '\0';
    }
}

static int ship_pieces(struct shipper *s, int fd, const struct object *whole, uint64_t end, const struct blanks *blanks,
                       struct err *e)
{
    struct buf name = BUF_INIT(200);
    char *bytes = xmalloc(PIECE_BYTES);
    int rc = 0;
    for (uint64_t offset = whole->offset; rc == 0 && offset < end;) {
        size_t want = end - offset < PIECE_BYTES ? (size_t)(end - offset) : PIECE_BYTES, got;
        if (pread_all(fd, bytes, want, offset, &got) < 0)
            rc = err_sys(e, "read journal file %llu", (unsigned long long)whole->file);
        if (rc < 0 || got == 0)
            break;
        put_blanks(blanks, bytes, got, offset);
        buf_reset(&name);
        buf_printf(&name, "journal/%08llu-%012llu.j.zst%c", (unsigned long long)whole->file, (unsigned long long)offset,
                   '\0');
        struct object like = *whole;
        like.name = name.p;
        like.offset = offset;
        like.raw = got;
        rc = ship_new(s, &like, str_n(bytes, got), e);
        offset += got;
    }
    free(bytes);
    buf_done(&name);
    return rc;
}

/* Bytes [offset, end) of one journal file, in pieces; end UINT64_MAX: to the end of the file. */
static int ship_file(struct shipper *s, uint64_t file, uint64_t offset, uint64_t end, uint64_t last_seq, struct err *e)
{
    struct buf path = BUF_INIT(PATH_MAX);
    struct blanks blanks = {0};
    struct object whole = {
        .kind = OBJECT_JOURNAL, .first = s->manifest.position + 1, .last = last_seq, .file = file, .offset = offset};
    int rc = 0;
    buf_printf(&path, "%s/journal/%08llu.j%c", s->data, (unsigned long long)file, '\0');
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) /* a file may have gone: then all its records are sealed and shipped */
        rc = err_sys(e, "open '%s'", path.p);
    if (fd >= 0 && offset < end) {
        rc = find_blanks(path.p, file, offset, end, &blanks, e);
        if (rc == 0)
            rc = ship_pieces(s, fd, &whole, end, &blanks, e);
    }
    if (fd >= 0)
        close(fd);
    free(blanks.blank);
    buf_done(&path);
    return rc;
}

int ship_journal(struct shipper *s, struct err *e)
{
    struct journal_end end;
    uint64_t file, offset;
    journal_end(s->parts->journal, &end);
    shipped_end(&s->manifest, &file, &offset);
    if (file == 0)
        file = end.first_file;
    for (; file < end.file; file++, offset = 0)
        if (ship_file(s, file, offset, UINT64_MAX, end.seq, e) < 0)
            return -1;
    if (file == end.file && offset < end.offset && ship_file(s, file, offset, end.offset, end.seq, e) < 0)
        return -1;
    s->manifest.position = end.seq;
    return 0;
}
