/* store/segment.c - the segment file.
 *
 *   offset  bytes  what
 *        0      8  magic "LOGDSEG1"
 *        8      …  blocks: one zstd frame each, with its content checksum
 *        …   n*80  block table, a row a block:
 *                     0  8  offset          8  4  length        12  4  raw length
 *                    16  8  t_min (ns)     24  8  t_max         32  8  recv_min (µs)   40  8  recv_max
 *                    48  4  events         52  4  app           56  4  levels          60  4  zero
 *                    64  8  seq_min        72  8  seq_max
 *      end-64   64  tail:
 *                     0  8  table offset    8  4  blocks        12  4  version, 1
 *                    16  8  first seq      24  8  last seq      32  8  events          40  8  raw bytes
 *                    48  8  xxh64 of the table and the 48 bytes of tail before it       56  8  magic "LOGDEND1"
 *
 * All little endian. A file whose tail lacks the magic is torn (or foreign, when the first magic is not there either);
 * a greater version is newer. */
#include "store/segment.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { ROW_BYTES = 80, TAIL_BYTES = 64, VERSION = 1, ZSTD_LEVEL = 3 };
static const char HEAD_MAGIC[8] = "LOGDSEG1", TAIL_MAGIC[8] = "LOGDEND1";

struct row { /* as on disk */
    uint64_t offset;
    uint32_t length, raw;
    int64_t t_min, t_max, recv_min, recv_max;
    uint32_t events, app, levels, zero;
    uint64_t seq_min, seq_max;
};
_Static_assert(sizeof(struct row) == ROW_BYTES, "the byte table above");
struct tail { /* as on disk */
    uint64_t table;
    uint32_t blocks, version;
    uint64_t first_seq, last_seq, events, raw, hash;
    char magic[8];
};
_Static_assert(sizeof(struct tail) == TAIL_BYTES, "the byte table above");

struct segment_writer {
    char *tmp, *path;
    char *dir;
    int fd;
    uint64_t at; /* bytes written */
    struct tail tail;
    struct buf table, packed;
    ZSTD_CCtx *zstd;
};

static int put(struct segment_writer *w, str s, struct err *e)
{
    if (write_all(w->fd, s) < 0)
        return err_sys(e, "write '%s' (%zu bytes)", w->tmp, s.n);
    w->at += s.n;
    return 0;
}

int segment_create(const char *dir, uint64_t first_seq, uint64_t last_seq, struct segment_writer **ret, struct err *e)
{
    struct segment_writer *w = xcalloc(1, sizeof *w);
    struct buf path = BUF_INIT(PATH_MAX);
    buf_printf(&path, "%s/%016llu-%016llu.seg", dir, (unsigned long long)first_seq, (unsigned long long)last_seq);
    w->dir = xstrdup(dir);
    w->path = buf_take(&path, NULL);
    buf_printf(&path, "%s.tmp", w->path);
    w->tmp = buf_take(&path, NULL);
    w->tail = (struct tail){.version = VERSION, .first_seq = first_seq, .last_seq = last_seq};
    memcpy(w->tail.magic, TAIL_MAGIC, 8);
    buf_init(&w->table, SIZE_MAX / 2);
    buf_init(&w->packed, SIZE_MAX / 2);
    w->zstd = ZSTD_createCCtx();
    assert(w->zstd);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (w->fd < 0) {
        err_sys(e, "create '%s'", w->tmp);
        segment_abort(w);
        return -1;
    }
    if (put(w, str_n(HEAD_MAGIC, 8), e) < 0) {
        segment_abort(w);
        return -1;
    }
    *ret = w;
    return 0;
}

int segment_add(struct segment_writer *w, str lines, const struct store_block *info, struct err *e)
{
    buf_reset(&w->packed);
    size_t bound = ZSTD_compressBound(lines.n);
    (void)buf_grow(&w->packed, bound);
    size_t n = ZSTD_compress2(w->zstd, w->packed.p, bound, lines.p, lines.n);
    if (ZSTD_isError(n))
        return err_set(e, ERR_SYS, "compress a block: %s", ZSTD_getErrorName(n));
    struct row row = {.offset = w->at,
                      .length = (uint32_t)n,
                      .raw = (uint32_t)lines.n,
                      .t_min = info->t_min,
                      .t_max = info->t_max,
                      .recv_min = info->recv_min,
                      .recv_max = info->recv_max,
                      .events = info->events,
                      .app = info->app,
                      .levels = info->levels,
                      .seq_min = info->seq_min,
                      .seq_max = info->seq_max};
    if (put(w, str_n(w->packed.p, n), e) < 0)
        return -1;
    buf_add(&w->table, &row, sizeof row);
    w->tail.blocks++;
    w->tail.events += info->events;
    w->tail.raw += lines.n;
    return 0;
}

static uint64_t table_hash(str table, const struct tail *t)
{
    return xxh64(t, offsetof(struct tail, hash), xxh64(table.p, table.n, 0));
}

int segment_finish(struct segment_writer *w, struct segment **ret, struct err *e)
{
    int rc = -1;
    w->tail.table = w->at;
    w->tail.hash = table_hash(buf_view(&w->table), &w->tail);
    if (put(w, buf_view(&w->table), e) < 0 || put(w, str_n((const char *)&w->tail, sizeof w->tail), e) < 0)
        goto out;
    if (fdatasync(w->fd) < 0)
        err_sys(e, "sync '%s'", w->tmp);
    else if (rename(w->tmp, w->path) < 0)
        err_sys(e, "rename '%s'", w->tmp);
    else if (dir_sync(w->dir, e) == 0)
        rc = segment_open(w->path, ret, e);
out:
    segment_abort(w);
    return rc;
}

void segment_abort(struct segment_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        (void)unlink(w->tmp); /* renamed away when all went well */
    }
    ZSTD_freeCCtx(w->zstd);
    buf_done(&w->table);
    buf_done(&w->packed);
    free(w->dir);
    free(w->path);
    free(w->tmp);
    free(w);
}

static int take_table(struct segment *s, const struct tail *t, struct err *e)
{
    size_t got, n = (size_t)t->blocks * ROW_BYTES;
    if (t->table < 8 || t->table > s->bytes || s->bytes - t->table != n + TAIL_BYTES)
        return err_set(e, ERR_CORRUPT, "'%s' is damaged: its block table does not fit its size", s->path);
    struct row *rows = xmalloc(n);
    int rc = -1;
    if (pread_all(s->fd, rows, n, t->table, &got) < 0 || got != n) {
        err_sys(e, "read the block table of '%s'", s->path);
        goto out;
    }
    if (table_hash(str_n((char *)rows, n), t) != t->hash) {
        err_set(e, ERR_CORRUPT, "'%s' is damaged: the checksum of its block table is wrong", s->path);
        goto out;
    }
    s->n = t->blocks;
    s->blocks = xcalloc(s->n, sizeof *s->blocks);
    s->t_min = INT64_MAX;
    s->t_max = INT64_MIN;
    for (size_t i = 0; i < s->n; i++) {
        const struct row *r = &rows[i];
        s->blocks[i] = (struct segment_block){.info = {.t_min = r->t_min,
                                                       .t_max = r->t_max,
                                                       .recv_min = r->recv_min,
                                                       .recv_max = r->recv_max,
                                                       .events = r->events,
                                                       .app = r->app,
                                                       .levels = r->levels,
                                                       .seq_min = r->seq_min,
                                                       .seq_max = r->seq_max},
                                              .offset = r->offset,
                                              .length = r->length,
                                              .raw = r->raw};
        if (r->t_min < s->t_min)
            s->t_min = r->t_min;
        if (r->t_max > s->t_max)
            s->t_max = r->t_max;
    }
    rc = 0;
out:
    free(rows);
    return rc;
}

int segment_open(const char *path, struct segment **ret, struct err *e)
{
    struct segment *s = xcalloc(1, sizeof *s);
    struct tail t;
    struct stat st;
    char magic[8];
    size_t got;
    s->path = xstrdup(path);
    s->refs = 1;
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) < 0) {
        err_sys(e, "open '%s'", path);
        goto fail;
    }
    s->bytes = (uint64_t)st.st_size;
    if (pread_all(s->fd, magic, 8, 0, &got) < 0 || got != 8 || memcmp(magic, HEAD_MAGIC, 8) != 0) {
        err_set(e, ERR_CORRUPT, "'%s' is not a segment: it does not start with LOGDSEG1", path);
        goto fail;
    }
    if (s->bytes < 8 + TAIL_BYTES || pread_all(s->fd, &t, sizeof t, s->bytes - TAIL_BYTES, &got) < 0 ||
        got != sizeof t || memcmp(t.magic, TAIL_MAGIC, 8) != 0) {
        err_set(e, ERR_CORRUPT, "'%s' is torn: its end is missing", path);
        goto fail;
    }
    if (t.version != VERSION) {
        err_set(e, ERR_CORRUPT, "'%s' was written by a newer logd (version %u, this one reads %d)", path, t.version,
                VERSION);
        goto fail;
    }
    if (take_table(s, &t, e) < 0)
        goto fail;
    s->first_seq = t.first_seq;
    s->last_seq = t.last_seq;
    s->events = t.events;
    s->raw_bytes = t.raw;
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_RANDOM);
    *ret = s;
    return 0;
fail:
    segment_unref(s);
    return -1;
}

void segment_unref(struct segment *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    if (s->fd >= 0)
        close(s->fd);
    if (s->doomed)
        (void)unlink(s->path);
    free(s->blocks);
    free(s->path);
    free(s);
}

int segment_lines(const struct segment *s, size_t block, struct buf *scratch, str *ret, struct err *e)
{
    static _Thread_local struct buf packed = BUF_INIT(SIZE_MAX / 2);
    const struct segment_block *b = &s->blocks[block];
    size_t got;
    buf_reset(&packed);
    buf_reset(scratch);
    (void)buf_grow(&packed, b->length);
    if (b->raw > LIMIT_DECODED * 4u || !buf_grow(scratch, b->raw))
        return err_set(e, ERR_FULL, "block %zu of '%s' holds %u bytes, more than %zu", block, s->path, b->raw,
                       scratch->max);
    if (pread_all(s->fd, packed.p, b->length, b->offset, &got) < 0)
        return err_sys(e, "read block %zu of '%s'", block, s->path);
    if (got != b->length)
        return err_set(e, ERR_CORRUPT, "block %zu of '%s' is cut off", block, s->path);
    size_t n = ZSTD_decompress(scratch->p, b->raw, packed.p, b->length);
    if (ZSTD_isError(n) || n != b->raw)
        return err_set(e, ERR_CORRUPT, "block %zu of '%s' (offset %llu) is damaged: %s", block, s->path,
                       (unsigned long long)b->offset, ZSTD_isError(n) ? ZSTD_getErrorName(n) : "its length is wrong");
    scratch->n = n;
    *ret = buf_view(scratch);
    return 0;
}

int store_debug(const char *path, FILE *out, struct err *e)
{
    struct segment *s;
    struct buf lines = BUF_INIT(LIMIT_DECODED * 4u);
    size_t damaged = 0;
    if (segment_open(path, &s, e) < 0)
        return -1;
    fprintf(out, "segment %s: records %llu-%llu, %zu blocks, %llu events, %llu bytes of lines in %llu (%.1f x)\n", path,
            (unsigned long long)s->first_seq, (unsigned long long)s->last_seq, s->n, (unsigned long long)s->events,
            (unsigned long long)s->raw_bytes, (unsigned long long)s->bytes, (double)s->raw_bytes / (double)s->bytes);
    for (size_t i = 0; i < s->n; i++) {
        const struct segment_block *b = &s->blocks[i];
        str text;
        struct err why;
        bool ok = segment_lines(s, i, &lines, &text, &why) == 0;
        damaged += !ok;
        fprintf(out, "block %zu: offset %llu, %u bytes of %u, app %u, %u events, ns %lld-%lld: %s\n", i,
                (unsigned long long)b->offset, b->length, b->raw, b->info.app, b->info.events, (long long)b->info.t_min,
                (long long)b->info.t_max, ok ? "ok" : why.text);
    }
    buf_done(&lines);
    segment_unref(s);
    return damaged ? err_set(e, ERR_CORRUPT, "%zu blocks of '%s' are damaged", damaged, path) : 0;
}
