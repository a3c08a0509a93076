/* tests/lib/disk.h - a disk that forgets: from a recording of fault.c, what a power failure may have left.
 *
 * The model is the strict reading of fsync(2): a write or truncation is on disk when a sync of its file returned; a
 * name (created, renamed, removed) when a sync of its folder did. What was not synced may be there, not be there, or
 * be there in part: any subset of writes, any 512-byte sectors of them, with zeros or stale bytes in between, whatever
 * the file's size says. After a failed sync of a file the waiting pages may be lost for good, though the program can
 * read them; a folder's changes go on waiting, for a file system that cannot write its own log goes read-only and says
 * so each time. One flat folder. */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "fault.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct rng {
    uint64_t state;
};
static inline uint64_t rng_next(struct rng *r)
{
    r->state += 0x9e3779b97f4a7c15ull;
    return xxh64(&r->state, 8, 7);
}
static inline uint64_t rng_below(struct rng *r, uint64_t n) { return n ? rng_next(r) % n : 0; }

/* ---- a recording ---- */

struct recorded {
    struct fault_op op;
    const char *name; /* NUL-terminated copy, NULL: none */
    const char *data;
};
struct recording {
    struct buf bytes;
    struct recorded *op;
    size_t n;
};

static inline void recording_done(struct recording *r)
{
    for (size_t i = 0; i < r->n; i++)
        free((char *)r->op[i].name);
    free(r->op);
    buf_done(&r->bytes);
}

static inline void recording_read(const char *path, struct recording *r)
{
    struct err e;
    size_t cap = 0;
    *r = (struct recording){.bytes = BUF_INIT(1u << 30)};
    if (file_read(path, 1u << 30, &r->bytes, &e) < 0)
        return; /* it did nothing */
    for (size_t at = 0; at + sizeof(struct fault_op) <= r->bytes.n;) {
        if (r->n == cap)
            r->op = xrealloc(r->op, (cap = cap ? 2 * cap : 256) * sizeof *r->op);
        struct recorded *o = &r->op[r->n];
        memcpy(&o->op, r->bytes.p + at, sizeof o->op);
        at += sizeof o->op;
        if (at + o->op.name_n + o->op.size > r->bytes.n)
            break; /* killed while it recorded */
        o->name = o->op.name_n ? str_dup(str_n(r->bytes.p + at, o->op.name_n)) : NULL;
        at += o->op.name_n;
        o->data = r->bytes.p + at;
        at += o->op.size;
        r->n++;
    }
}

/* ---- the disk ---- */

enum { DISK_NAMES = 256, DISK_FDS = 1024, DISK_DIR = -2, DISK_NONE = -1 };
struct disk_file {
    struct buf synced;
    const struct recorded **waiting; /* writes and truncations */
    size_t waiting_n, waiting_cap;
};
struct disk_name {
    char name[64];
    int file; /* DISK_NONE: removed */
};
struct disk_change { /* of the folder, done as one: del goes, set comes */
    char del[64];
    struct disk_name set;
};
struct disk {
    const char *dir;
    struct disk_file *file;
    size_t file_n;
    struct disk_name synced[DISK_NAMES], now[DISK_NAMES]; /* on disk; as the program sees it */
    size_t synced_n, now_n;
    struct disk_change *waiting;
    size_t waiting_n;
    int fd[DISK_FDS];
};

static inline int names_find(const struct disk_name *v, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].name, name) == 0)
            return (int)i;
    return -1;
}

static inline void names_change(struct disk_name *v, size_t *n, const struct disk_change *c)
{
    int i = c->del[0] ? names_find(v, *n, c->del) : -1;
    if (i >= 0)
        v[i] = v[--*n];
    if (!c->set.name[0])
        return;
    i = names_find(v, *n, c->set.name);
    if (i < 0)
        i = (int)(*n)++;
    assert(*n <= DISK_NAMES);
    v[i] = c->set;
}

static inline int disk_new_file(struct disk *d)
{
    d->file = xrealloc(d->file, (d->file_n + 1) * sizeof *d->file);
    d->file[d->file_n] = (struct disk_file){.synced = BUF_INIT(1u << 30)};
    return (int)d->file_n++;
}

static inline void disk_done(struct disk *d)
{
    for (size_t i = 0; i < d->file_n; i++) {
        buf_done(&d->file[i].synced);
        free(d->file[i].waiting);
    }
    free(d->file);
    free(d->waiting);
}

/* What is in the folder now, all of it durable. */
static inline void disk_load(struct disk *d, const char *dir)
{
    char **names, path[512];
    size_t n;
    struct err e;
    *d = (struct disk){.dir = dir};
    if (dir_list(dir, &names, &n, &e) < 0)
        abort();
    for (size_t i = 0; i < n; i++) {
        struct disk_name *to = &d->synced[d->synced_n++];
        snprintf(to->name, sizeof to->name, "%s", names[i]);
        to->file = disk_new_file(d);
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (file_read(path, 1u << 30, &d->file[to->file].synced, &e) < 0)
            abort();
    }
    memcpy(d->now, d->synced, sizeof d->now);
    d->now_n = d->synced_n;
    dir_list_free(names, n);
}

/* The name within the folder; NULL: it is the folder itself, or elsewhere. */
static inline const char *disk_base(const struct disk *d, const char *path)
{
    size_t n = strlen(d->dir);
    return strncmp(path, d->dir, n) == 0 && path[n] == '/' && path[n + 1] && !strchr(path + n + 1, '/') &&
                   path[n + 1] != '.'
               ? path + n + 1
               : NULL;
}

static inline void buf_put_at(struct buf *b, uint64_t at, const char *p, size_t n)
{
    static const char zeros[4096];
    while (b->n < at)
        buf_add(b, zeros, at - b->n < sizeof zeros ? at - b->n : sizeof zeros);
    size_t over = b->n - at < n ? b->n - at : n;
    memcpy(b->p + at, p, over);
    buf_add(b, p + over, n - over);
    assert(!b->full);
}

static inline void change_apply(struct buf *b, const struct recorded *o)
{
    if (o->op.op == FAULT_WRITE)
        buf_put_at(b, o->op.offset, o->data, o->op.size);
    else if (o->op.offset < b->n)
        b->n = o->op.offset;
    else
        buf_put_at(b, o->op.offset, "", 0);
}

static inline void disk_change_name(struct disk *d, const struct disk_change *c)
{
    names_change(d->now, &d->now_n, c);
    d->waiting = xrealloc(d->waiting, (d->waiting_n + 1) * sizeof *d->waiting);
    d->waiting[d->waiting_n++] = *c;
}

static inline void disk_wait(struct disk_file *f, const struct recorded *o)
{
    if (f->waiting_n == f->waiting_cap)
        f->waiting = xrealloc(f->waiting,
                              (f->waiting_cap = f->waiting_cap ? 2 * f->waiting_cap : 8) * sizeof *f->waiting);
    f->waiting[f->waiting_n++] = o;
}

static inline void disk_open(struct disk *d, const struct recorded *o)
{
    const char *name = disk_base(d, o->name);
    if (o->op.fd < 0 || o->op.fd >= DISK_FDS)
        abort();
    d->fd[o->op.fd] = DISK_NONE;
    if (!name) {
        size_t n = strlen(d->dir);
        bool self = strncmp(o->name, d->dir, n) == 0 && (o->name[n] == '\0' || strcmp(o->name + n, "/.") == 0);
        d->fd[o->op.fd] = self ? DISK_DIR : DISK_NONE;
        return;
    }
    int i = names_find(d->now, d->now_n, name);
    if (i < 0) {
        assert(o->op.flags & O_CREAT);
        struct disk_change c = {.set.file = disk_new_file(d)};
        snprintf(c.set.name, sizeof c.set.name, "%s", name);
        disk_change_name(d, &c);
        i = names_find(d->now, d->now_n, name);
    }
    static const struct recorded to_nothing = {.op = {.op = FAULT_TRUNCATE}};
    if (o->op.flags & O_TRUNC)
        disk_wait(&d->file[d->now[i].file], &to_nothing);
    d->fd[o->op.fd] = d->now[i].file;
}

static inline void disk_sync(struct disk *d, int target, bool failed, struct rng *rng)
{
    if (failed && (target == DISK_DIR || rng_below(rng, 2)))
        return; /* still waiting */
    if (target == DISK_DIR) {
        for (size_t i = 0; i < d->waiting_n; i++)
            names_change(d->synced, &d->synced_n, &d->waiting[i]);
        d->waiting_n = 0;
    } else if (target >= 0) {
        struct disk_file *f = &d->file[target];
        for (size_t i = 0; i < f->waiting_n && !failed; i++)
            change_apply(&f->synced, f->waiting[i]);
        f->waiting_n = 0;
    }
}

/* One call of the recording happens. `o` must live as long as d. */
static inline void disk_do(struct disk *d, const struct recorded *o, struct rng *rng)
{
    struct disk_change c = {.set.file = DISK_NONE};
    int target = o->op.fd >= 0 && o->op.fd < DISK_FDS ? d->fd[o->op.fd] : DISK_NONE;
    if (o->op.failed && o->op.op != FAULT_SYNC)
        return;
    switch (o->op.op) {
    case FAULT_OPEN: disk_open(d, o); break;
    case FAULT_SYNC: disk_sync(d, target, o->op.failed, rng); break;
    case FAULT_WRITE:
    case FAULT_TRUNCATE:
        if (target >= 0)
            disk_wait(&d->file[target], o);
        break;
    case FAULT_RENAME:
        if (!disk_base(d, o->name))
            break; /* of another folder */
        snprintf(c.del, sizeof c.del, "%s", disk_base(d, o->name));
        int i = names_find(d->now, d->now_n, c.del);
        assert(i >= 0);
        c.set.file = d->now[i].file;
        char *to = str_dup(str_n(o->data, o->op.size));
        snprintf(c.set.name, sizeof c.set.name, "%s", disk_base(d, to));
        free(to);
        disk_change_name(d, &c);
        break;
    case FAULT_UNLINK:
        if (!disk_base(d, o->name))
            break;
        snprintf(c.del, sizeof c.del, "%s", disk_base(d, o->name));
        disk_change_name(d, &c);
        break;
    default: break;
    }
}

/* ---- the power fails ---- */

enum disk_loss { LOSE_ALL, LOSE_NOTHING, LOSE_WRITES, LOSE_SECTORS, LOSE_SECTORS_STALE, LOSS_MODES };
static const char *const disk_loss_name[LOSS_MODES] = {"nothing unsynced is there", "all of it is there",
                                                       "some writes are there", "some sectors are there",
                                                       "some sectors, the others stale"};

/* Some 512-byte sectors of a write; what is between them is what was there, zeros, or stale. */
static inline void apply_sectors(struct buf *b, const struct recorded *o, bool stale, struct rng *rng)
{
    uint64_t end = o->op.offset + o->op.size;
    uint64_t odds = rng_below(rng, 4);     /* of four sectors, that many are lost; 0: nearly all are there */
    if (rng_below(rng, 2) && b->n < end) { /* the size got there first */
        uint64_t from = b->n;
        buf_put_at(b, end, "", 0);
        for (uint64_t i = from; i < end && stale; i++)
            b->p[i] = (char)rng_next(rng);
    }
    for (uint64_t at = o->op.offset, n; at < end; at += n) {
        n = 512 - at % 512;
        n = n < end - at ? n : end - at;
        if (rng_below(rng, odds ? 4 : 12) >= (odds ? odds : 1))
            buf_put_at(b, at, o->data + (at - o->op.offset), n);
    }
}

static inline void file_image(const struct disk_file *f, enum disk_loss loss, struct rng *rng, struct buf *out)
{
    buf_reset(out);
    buf_str(out, buf_view(&f->synced));
    for (size_t i = 0; i < f->waiting_n; i++) {
        const struct recorded *o = f->waiting[i];
        if (loss == LOSE_ALL || (loss != LOSE_NOTHING && rng_below(rng, 3) == 0))
            continue;
        if (loss >= LOSE_SECTORS && o->op.op == FAULT_WRITE)
            apply_sectors(out, o, loss == LOSE_SECTORS_STALE, rng);
        else
            change_apply(out, o);
    }
}

static inline void dir_clear(const char *dir)
{
    char **names, path[512];
    size_t n;
    struct err e;
    if (dir_list(dir, &names, &n, &e) < 0)
        abort();
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    dir_list_free(names, n);
}

/* Writes into `out_dir` what is left. `names`: how the folder's waiting changes fared, LOSE_ALL to LOSE_WRITES. */
static inline void disk_image(const struct disk *d, enum disk_loss loss, enum disk_loss names, struct rng *rng,
                              const char *out_dir)
{
    struct disk_name v[DISK_NAMES];
    size_t n = d->synced_n;
    char path[512];
    struct buf content = BUF_INIT(1u << 30);
    memcpy(v, d->synced, sizeof v);
    for (size_t i = 0; i < d->waiting_n; i++)
        if (names == LOSE_NOTHING || (names == LOSE_WRITES && rng_below(rng, 2)))
            names_change(v, &n, &d->waiting[i]);
    dir_clear(out_dir);
    for (size_t i = 0; i < n; i++) {
        file_image(&d->file[v[i].file], loss, rng, &content);
        snprintf(path, sizeof path, "%s/%.63s", out_dir, v[i].name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
        if (fd < 0 || write_all(fd, buf_view(&content)) < 0)
            abort();
        close(fd);
    }
    buf_done(&content);
}

#endif
