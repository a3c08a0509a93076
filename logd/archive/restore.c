/* archive/restore.c - an archive into an empty data folder: state, segments from events, journal files from their pieces.
 *
 * Everything is checked against the manifest before it is used. What is damaged or not there is named, with what is lost
 * by it, and the rest is read all the same: one run tells all of it. Then it counts: the folder is emptied again, or with
 * `skip` goes without. A restore that was cut off leaves its mark, and is done again on an empty folder. */
#include "archive/archive.h"
#include "archive/manifest.h"
#include "archive/objects.h"
#include "base/config.h"
#include "base/db.h"
#include "base/file.h"
#include "base/str.h"
#include "event/event.h"
#include "journal/scan.h"
#include "routes/auth.h"
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

struct restore {
    struct objects *objects;
    struct manifest manifest;
    const char *data;
    FILE *progress;
    struct buf packed, plain;
    struct db *db; /* the restored logd.db: ids of apps */
    uint64_t events;
    size_t damaged;       /* objects */
    uint64_t lost_events; /* in them, as far as the manifest knows */
    bool lost_state, lost_journal;
    char first[300]; /* what was damaged first, and why */
};

static void put_lost(const struct object *o, struct buf *out)
{
    unsigned long long from = o->first, to = o->last;
    if (o->kind == OBJECT_EVENTS && o->events)
        buf_printf(out, "%llu events of records %llu-%llu", (unsigned long long)o->events, from, to);
    else if (o->kind == OBJECT_EVENTS)
        buf_printf(out, "events of records %llu-%llu", from, to);
    else if (o->kind == OBJECT_JOURNAL)
        buf_printf(out, "what no segment holds of records %llu-%llu", from, to);
    else if (strcmp(o->target, "logd.db") == 0)
        buf_lit(out, "apps, keys and users");
    else if (strcmp(o->target, "fold.db") == 0)
        buf_printf(out, "issues, incidents, unsent mails and stats through record %llu", to);
    else if (str_starts(str_of(o->target), S("maps/")))
        buf_lit(out, "a source map: upload it again");
    else
        buf_printf(out, "what tells repeats of the requests in %s", o->target);
}

/* Says so and counts it: 1. */
static int miss(struct restore *r, const struct object *o, const struct err *why)
{
    struct buf lost = BUF_INIT(300);
    put_lost(o, &lost);
    fprintf(r->progress, "missing: %s: lost: %.*s\n", why->text, STR_ARG(buf_view(&lost)));
    if (r->damaged++ == 0)
        snprintf(r->first, sizeof r->first, "%.180s: lost: %.*s", why->text, STR_ARG(buf_view(&lost)));
    r->lost_events += o->kind == OBJECT_EVENTS ? o->events : 0;
    r->lost_journal |= o->kind == OBJECT_JOURNAL;
    r->lost_state |= o->kind == OBJECT_STATE && strcmp(o->target, "logd.db") == 0;
    buf_done(&lost);
    return 1;
}

/* The object's decoded bytes, in r->plain. */
static int fetch_whole(struct restore *r, const struct object *o, struct err *e)
{
    buf_reset(&r->packed);
    buf_reset(&r->plain);
    if (objects_get(r->objects, o->name, &r->packed, e) < 0 || object_check(o, buf_view(&r->packed), e) < 0)
        return -1;
    unsigned long long n = ZSTD_getFrameContentSize(r->packed.p, r->packed.n);
    if (n == ZSTD_CONTENTSIZE_ERROR || n == ZSTD_CONTENTSIZE_UNKNOWN || n > (1ull << 40))
        return err_set(e, ERR_CORRUPT, "'%s' is not a zstd frame of known size", o->name);
    (void)buf_grow(&r->plain, (size_t)n + 1);
    size_t got = ZSTD_decompress(r->plain.p, (size_t)n, r->packed.p, r->packed.n);
    if (ZSTD_isError(got) || got != n)
        return err_set(e, ERR_CORRUPT, "'%s' does not decompress: %s", o->name,
                       ZSTD_isError(got) ? ZSTD_getErrorName(got) : "cut off");
    r->plain.n = got;
    return o->kind != OBJECT_JOURNAL || got == o->raw
               ? 0
               : err_set(e, ERR_CORRUPT, "'%s' holds %zu bytes, the manifest says %llu", o->name, got,
                         (unsigned long long)o->raw);
}

/* 0: it is in r->plain; 1: it is damaged or gone, which is noted; -1: the archive cannot be read. */
static int fetch(struct restore *r, const struct object *o, struct err *e)
{
    if (fetch_whole(r, o, e) == 0)
        return 0;
    return e->kind == ERR_CORRUPT || e->kind == ERR_GONE || e->sys == EIO ? miss(r, o, e) : -1;
}

/* Nothing else of the data folder is ever written from what a manifest says. */
static bool is_state_file(const char *target)
{
    str t = str_of(target), folders[] = {S("journal/"), S("maps/")}, ends[] = {S(".w"), S(".map")};
    for (size_t i = 0; i < LENGTH(folders); i++)
        if (str_starts(t, folders[i]) && t.n == folders[i].n + 8 + ends[i].n && str_ends(t, ends[i]))
            return strspn(target + folders[i].n, "0123456789") == 8;
    return str_eq(t, S("logd.db")) || str_eq(t, S("fold.db"));
}

/* r->plain as that file of the data folder. */
static int put_state(struct restore *r, const char *target, struct err *e)
{
    const char *slash = strrchr(target, '/');
    struct buf path = BUF_INIT(PATH_MAX);
    buf_printf(&path, "%s/%.*s%c", r->data, slash ? (int)(slash - target) : 0, target, '\0');
    int dir = dir_make(path.p, e) < 0 ? -1 : dir_open(path.p, e), rc = dir < 0 ? -1 : 0;
    if (rc == 0)
        rc = file_replace(dir, slash ? slash + 1 : target, buf_view(&r->plain), 0640, e);
    if (rc == 0)
        fprintf(r->progress, "restored %s (%zu bytes)\n", target, r->plain.n);
    if (dir >= 0)
        close(dir);
    buf_done(&path);
    return rc;
}

static int restore_state(struct restore *r, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->manifest.n; i++) {
        const struct object *o = &r->manifest.objects[i];
        if (o->kind != OBJECT_STATE)
            continue;
        if (!is_state_file(o->target))
            return err_set(e, ERR_CORRUPT, "the manifest names a state file that cannot be: \"%.60s\"", o->target);
        rc = fetch(r, o, e);
        rc = rc == 0 ? put_state(r, o->target, e) : rc < 0 ? -1 : 0;
    }
    return rc;
}

/* In place of a logd.db that is lost: empty, but no new app gets the number of an old one, whose duplicates and stats are
 * still known by it. */
static int new_state(struct restore *r, struct err *e)
{
    struct buf path = BUF_INIT(PATH_MAX);
    struct auth *auth = NULL;
    struct db *db = NULL;
    buf_printf(&path, "%s/logd.db%c", r->data, '\0');
    int rc = auth_open(path.p, &auth, e);
    auth_close(auth);
    if (rc == 0)
        rc = db_open(path.p, DB_FULL, NULL, 0, &db, e);
    if (rc == 0)
        rc = db_run(db, db_stmt(db, "INSERT INTO sqlite_sequence(name, seq) VALUES('apps', 1000)"), e);
    db_close(db);
    buf_done(&path);
    return rc;
}

/* ---- segments ---- */
static uint32_t app_id(struct restore *r, str line)
{
    struct err e;
    struct arena a = {0};
    struct event *ev = xmalloc(sizeof *ev);
    uint32_t id = 0;
    if (event_read(line, ev, &a, &e) == 0) {
        sqlite3_stmt *st = db_stmt(r->db, "SELECT id FROM apps WHERE name = ?");
        db_bind_str(st, 1, ev->app);
        if (db_step(r->db, st, &e) > 0)
            id = (uint32_t)sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    free(ev);
    arena_done(&a);
    return id;
}

/* r->plain as blocks of a segment; lines come sorted by time. */
static int add_blocks(struct restore *r, struct segment_writer *w, const struct object *o, struct err *e)
{
    str rest = buf_view(&r->plain);
    uint32_t app = app_id(r, str_head(rest, (size_t)(str_chr(rest, '\n') < 0 ? 0 : str_chr(rest, '\n'))));
    while (rest.n) {
        struct store_block info = {.t_min = INT64_MAX,
                                   .t_max = INT64_MIN,
                                   .recv_min = INT64_MAX,
                                   .app = app,
                                   .seq_min = o->first,
                                   .seq_max = o->last};
        const char *from = rest.p;
        while (rest.n && (size_t)(rest.p - from) < BLOCK_BYTES_MAX && info.events < BLOCK_EVENTS_MAX) {
            nsec t;
            int severity;
            usec recv;
            uint32_t row;
            str line = str_cut(&rest, '\n');
            if (!event_peek(line, &t, &severity) ||
                !event_id_parse(str_head(str_skip(line, 7), EVENT_ID_LEN), &recv, &row))
                return err_set(e, ERR_CORRUPT, "'%s' holds a line that is not an event", o->name);
            info.t_min = t < info.t_min ? t : info.t_min;
            info.t_max = t > info.t_max ? t : info.t_max;
            info.recv_min = recv < info.recv_min ? recv : info.recv_min;
            info.recv_max = recv > info.recv_max ? recv : info.recv_max;
            info.levels |= 1u << severity;
            info.events++;
        }
        const char *to = rest.p ? rest.p : buf_view(&r->plain).p + r->plain.n;
        r->events += info.events;
        if (segment_add(w, str_n(from, (size_t)(to - from)), &info, e) < 0)
            return -1;
    }
    return 0;
}

static int restore_segment(struct restore *r, const char *dir, uint64_t first, uint64_t last, struct err *e)
{
    struct segment_writer *w;
    struct segment *seg;
    int rc = 0;
    uint64_t before = r->events;
    if (segment_create(dir, first, last, MERGE_LEVEL, &w, e) < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < r->manifest.n; i++) {
        const struct object *o = &r->manifest.objects[i];
        if (o->kind != OBJECT_EVENTS || o->first != first || o->last != last)
            continue;
        rc = fetch(r, o, e);
        rc = rc == 0 ? add_blocks(r, w, o, e) : rc < 0 ? -1 : 0;
    }
    if (rc < 0 ||
        r->events == before) { /* nothing of it could be read: what the journal holds of it is taken from there */
        segment_abort(w);
        return rc;
    }
    if (segment_finish(w, &seg, e) < 0)
        return -1;
    fprintf(r->progress, "restored records %llu-%llu: %llu events\n", (unsigned long long)first,
            (unsigned long long)last, (unsigned long long)seg->events);
    segment_unref(seg);
    return 0;
}

static int restore_events(struct restore *r, struct err *e)
{
    struct buf dir = BUF_INIT(PATH_MAX), db = BUF_INIT(PATH_MAX);
    buf_printf(&dir, "%s/segments%c", r->data, '\0');
    buf_printf(&db, "%s/logd.db%c", r->data, '\0');
    int rc = dir_make(dir.p, e);
    if (rc == 0)
        rc = db_open_read(db.p, &r->db, e);
    for (size_t i = 0; rc == 0 && i < r->manifest.n; i++) {
        const struct object *o = &r->manifest.objects[i];
        bool begins = o->kind == OBJECT_EVENTS; /* the first object of its segment does the whole segment */
        for (size_t j = 0; begins && j < i; j++) {
            const struct object *x = &r->manifest.objects[j];
            begins = !(x->kind == OBJECT_EVENTS && x->first == o->first && x->last == o->last);
        }
        if (begins)
            rc = restore_segment(r, dir.p, o->first, o->last, e);
    }
    db_close(r->db);
    buf_done(&dir);
    buf_done(&db);
    return rc;
}

/* ---- journal ---- */
static int restore_piece(struct restore *r, const struct object *o, struct err *e)
{
    struct buf path = BUF_INIT(PATH_MAX);
    int rc = fetch(r, o, e);
    if (rc)
        return rc < 0 ? -1 : 0;
    buf_printf(&path, "%s/journal/%08llu.j%c", r->data, (unsigned long long)o->file, '\0');
    int fd = open(path.p, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        rc = err_sys(e, "create '%s'", path.p);
    if (fd >= 0) {
        for (size_t at = 0; rc == 0 && at < r->plain.n;) {
            ssize_t n = pwrite(fd, r->plain.p + at, r->plain.n - at, (off_t)(o->offset + at));
            if (n < 0)
                rc = err_sys(e, "write '%s'", path.p);
            else
                at += (size_t)n;
        }
        if (rc == 0 && fsync(fd) < 0)
            rc = err_sys(e, "sync '%s'", path.p);
        close(fd);
    }
    buf_done(&path);
    return rc;
}

/* Without its first piece a file may hold no record that can be told: then it is none. */
static int drop_headless(int dir, uint64_t file, struct err *e)
{
    char name[JOURNAL_NAME_MAX];
    struct scan s;
    struct record_header h;
    journal_name(file, FILE_JOURNAL, name);
    if (faccessat(dir, name, F_OK, 0) < 0)
        return 0;
    if (scan_open(&s, dir, name, file, e) < 0)
        return -1;
    bool none = s.header == HEADER_BAD && !scan_first(&s, &h);
    scan_close(&s);
    return none && unlinkat(dir, name, 0) < 0 ? err_sys(e, "remove '%s'", name) : 0;
}

/* What is missing stays missing: the journal goes on in a new file, behind the last record that was ever shipped. */
static int go_on_behind(struct restore *r, const char *journal, struct err *e)
{
    char name[JOURNAL_NAME_MAX], header[FILE_HEADER];
    uint64_t newest = 0;
    int dir = dir_open(journal, e), rc = dir < 0 ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < r->manifest.n; i++) {
        const struct object *o = &r->manifest.objects[i];
        if (o->kind != OBJECT_JOURNAL)
            continue;
        newest = o->file > newest ? o->file : newest;
        rc = drop_headless(dir, o->file, e);
    }
    file_header_write(&(struct file_header){FILE_JOURNAL, newest + 1, r->manifest.position + 1, 0}, header);
    journal_name(newest + 1, FILE_JOURNAL, name);
    if (rc == 0)
        rc = file_replace(dir, name, str_n(header, FILE_HEADER), 0640, e);
    if (dir >= 0)
        close(dir);
    return rc;
}

static int restore_journal(struct restore *r, struct err *e)
{
    struct buf dir = BUF_INIT(PATH_MAX);
    size_t n = 0;
    buf_printf(&dir, "%s/journal%c", r->data, '\0');
    int rc = dir_make(dir.p, e);
    for (size_t i = 0; rc == 0 && i < r->manifest.n; i++)
        if (r->manifest.objects[i].kind == OBJECT_JOURNAL) {
            rc = restore_piece(r, &r->manifest.objects[i], e);
            n++;
        }
    if (rc == 0 && r->lost_journal)
        rc = go_on_behind(r, dir.p, e);
    if (rc == 0)
        rc = dir_sync(dir.p, e);
    if (rc == 0)
        fprintf(r->progress, "restored the journal's tail through record %llu (%zu pieces)\n",
                (unsigned long long)r->manifest.position, n);
    buf_done(&dir);
    return rc;
}

static int check_empty(const char *data, struct err *e)
{
    char **names;
    size_t n;
    if (dir_make(data, e) < 0 || dir_list(data, &names, &n, e) < 0)
        return -1;
    dir_list_free(names, n);
    return n ? err_set(e, ERR_INPUT, "'%s' is not empty: restore wants an empty or a new folder", data) : 0;
}

/* Set before anything is restored, taken away when all of it is there and synced. */
static int mark_unfinished(const char *data, bool on, struct err *e)
{
    int fd = dir_open(data, e), rc = 0;
    if (fd < 0)
        return -1;
    if (on)
        rc = file_replace(fd, ARCHIVE_UNFINISHED, S("a restore into this folder did not end\n"), 0640, e);
    else if (unlinkat(fd, ARCHIVE_UNFINISHED, 0) < 0)
        rc = err_sys(e, "remove '%s/%s'", data, ARCHIVE_UNFINISHED);
    close(fd);
    return rc < 0 ? -1 : dir_sync(data, e);
}

/* Takes back what was written: the folder was empty. The mark goes last. */
static void clear(const char *data)
{
    static const char *const folders[] = {"journal", "segments", "maps", NULL};
    struct err e;
    struct buf path = BUF_INIT(PATH_MAX);
    for (size_t i = 0; i < LENGTH(folders); i++) {
        char **names;
        size_t n;
        buf_reset(&path);
        buf_printf(&path, "%s/%s%c", data, folders[i] ? folders[i] : "", '\0');
        int dir = dir_open(path.p, &e);
        if (dir < 0)
            continue;
        if (dir_list(path.p, &names, &n, &e) == 0) {
            for (size_t k = 0; k < n; k++)
                if (strcmp(names[k], ARCHIVE_UNFINISHED) != 0)
                    (void)unlinkat(dir, names[k], 0); /* what stays keeps the mark useful, and restore refuses it */
            dir_list_free(names, n);
        }
        close(dir);
        if (folders[i])
            (void)rmdir(path.p);
    }
    buf_done(&path);
    (void)mark_unfinished(data, false, &e);
}

static int restore_all(struct restore *r, struct err *e)
{
    if (mark_unfinished(r->data, true, e) < 0 || restore_state(r, e) < 0 || (r->lost_state && new_state(r, e) < 0) ||
        restore_events(r, e) < 0 || restore_journal(r, e) < 0)
        return -1;
    return dir_sync(r->data, e);
}

static int read_manifest(struct restore *r, const char *url, struct err *e)
{
    int rc = objects_get(r->objects, "manifest.json", &r->packed, e);
    if (rc < 0 && e->kind == ERR_GONE)
        err_set(e, ERR_GONE, "there is no archive at %s: manifest.json is not there", url);
    return rc < 0 ? -1 : manifest_read(&r->manifest, buf_view(&r->packed), e);
}

static void tell(const struct restore *r)
{
    fprintf(r->progress, "done: %llu events in segments, position %llu; ", (unsigned long long)r->events,
            (unsigned long long)r->manifest.position);
    if (r->damaged)
        fprintf(r->progress, "missing: %zu of %zu objects, %llu events; ", r->damaged, r->manifest.n,
                (unsigned long long)r->lost_events);
    fprintf(r->progress, "start it with: logd serve --data %s\n", r->data);
}

int archive_restore(const struct config *c, const char *url, const char *data, bool skip, FILE *progress, struct err *e)
{
    struct restore r = {
        .data = data, .progress = progress, .packed = BUF_INIT(SIZE_MAX / 2), .plain = BUF_INIT(SIZE_MAX / 2)};
    int rc = objects_open(c, url, &r.objects, e);
    if (rc == 0)
        rc = read_manifest(&r, url, e);
    if (rc == 0)
        rc = check_empty(data, e); /* makes the folder, so not before there is something to restore */
    if (rc == 0) {
        rc = restore_all(&r, e);
        if (rc == 0 && r.damaged && !skip)
            rc = err_set(e, ERR_CORRUPT,
                         "%s; %zu of %zu objects cannot be used, so nothing was restored: "
                         "--skip-damaged takes the rest",
                         r.first, r.damaged, r.manifest.n);
        if (rc < 0)
            clear(data);
        else
            rc = mark_unfinished(data, false, e);
    }
    if (rc == 0)
        tell(&r);
    objects_close(r.objects);
    manifest_done(&r.manifest);
    buf_done(&r.packed);
    buf_done(&r.plain);
    return rc;
}
