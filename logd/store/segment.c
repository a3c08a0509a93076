/* store/segment.c - the segment file.
 *
 *   offset  bytes  what
 *        0      8  magic "LOGDSEG1"
 *        8      …  columns: by group of blocks (of up to GROUP_BYTES), then by name, then by block, so that one column of
 *                  many blocks is read in one sweep
 *        …      …  signatures, one a block
 *        …      …  table: for each block its head (struct block_head) and its columns (struct packed)
 *        …      …  names: for each 4 length and the bytes
 *   end-88     88  tail:
 *                     0  8  table offset   8  8  bytes of the table   16  8  bytes of the names
 *                    24  4  blocks        28  4  names                32  4  version, 2        36  4  level of zstd
 *                    40  8  first seq     48  8  last seq             56  8  events            64  8  raw bytes
 *                    72  8  xxh64 of table, names and the 72 bytes of tail before it           80  8  magic "LOGDEND1"
 *
 * All little endian. A file whose tail lacks the magic is torn (or foreign, when the first magic is not there either);
 * a greater version is newer. Each column and each signature has its own checksum. */
#include "store/segment.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL_BYTES = 88, VERSION = 2, GROUP_BYTES = 32 << 20 };
static const char HEAD_MAGIC[8] = "LOGDSEG1", TAIL_MAGIC[8] = "LOGDEND1";

struct tail { /* as on disk */
    uint64_t table, table_bytes, names_bytes;
    uint32_t blocks, names, version, level;
    uint64_t first_seq, last_seq, events, raw, hash;
    char magic[8];
};
_Static_assert(sizeof(struct tail) == TAIL_BYTES, "the byte table above");

/* ---- writing ---- */

struct segment_writer {
    char *tmp, *path;
    char *dir;
    int fd;
    uint64_t at; /* bytes written */
    struct tail tail;
    struct block_maker *maker;
    struct names names;
    struct block_made *group; /* blocks whose columns are not written yet */
    size_t group_n, group_cap, group_bytes;
    struct buf out, table, signatures;
};

static int put(struct segment_writer *w, str s, struct err *e)
{
    if (write_all(w->fd, s) < 0)
        return err_sys(e, "write '%s' (%zu bytes)", w->tmp, s.n);
    w->at += s.n;
    return 0;
}

int segment_create(const char *dir, uint64_t first_seq, uint64_t last_seq, int level, struct segment_writer **ret,
                   struct err *e)
{
    struct segment_writer *w = xcalloc(1, sizeof *w);
    struct buf path = BUF_INIT(PATH_MAX);
    buf_printf(&path, "%s/%016llu-%016llu.seg", dir, (unsigned long long)first_seq, (unsigned long long)last_seq);
    w->dir = xstrdup(dir);
    w->path = buf_take(&path, NULL);
    buf_printf(&path, "%s.tmp", w->path);
    w->tmp = buf_take(&path, NULL);
    w->tail = (struct tail){.version = VERSION, .level = (uint32_t)level, .first_seq = first_seq, .last_seq = last_seq};
    memcpy(w->tail.magic, TAIL_MAGIC, 8);
    buf_init(&w->out, SIZE_MAX / 2);
    buf_init(&w->table, SIZE_MAX / 2);
    buf_init(&w->signatures, SIZE_MAX / 2);
    w->maker = block_maker_new(level);
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

struct piece { /* a column on its way into the file */
    struct packed *info;
    const char *from;
    size_t block;
};

static int by_column(const void *va, const void *vb)
{
    const struct piece *a = va, *b = vb;
    bool own_a = a->info->kind == KIND_SYSTEM, own_b = b->info->kind == KIND_SYSTEM;
    if (own_a != own_b)
        return own_a ? -1 : 1;
    if (a->info->name != b->info->name)
        return a->info->name < b->info->name ? -1 : 1;
    return a->block != b->block ? (a->block > b->block) - (a->block < b->block)
                                : (int)a->info->kind - (int)b->info->kind;
}

static int write_pieces(struct segment_writer *w, struct piece *pieces, size_t n, struct err *e)
{
    qsort(pieces, n, sizeof *pieces, by_column);
    buf_reset(&w->out);
    for (size_t i = 0; i < n; i++) {
        struct packed *info = pieces[i].info;
        info->offset = w->at + w->out.n;
        buf_add(&w->out, pieces[i].from, info->stored);
    }
    return put(w, buf_view(&w->out), e);
}

/* The columns of the group's blocks into the file, their heads into the table. */
static int flush_group(struct segment_writer *w, struct err *e)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < w->group_n; i++)
        n += w->group[i].head.columns;
    struct piece *pieces = xmalloc((n + 1) * sizeof *pieces);
    for (size_t i = 0; i < w->group_n; i++)
        for (uint32_t k = 0; k < w->group[i].head.columns; k++) {
            struct packed *info = &w->group[i].columns[k];
            pieces[at++] = (struct piece){info, w->group[i].bytes.p + info->offset, i};
        }
    int rc = write_pieces(w, pieces, n, e);
    for (size_t i = 0; i < w->group_n; i++) {
        struct block_made *m = &w->group[i];
        m->head.signature = w->signatures.n; /* from where the signatures will begin */
        m->head.signature_bytes = (uint32_t)m->signature.n;
        buf_str(&w->signatures, buf_view(&m->signature));
        buf_add(&w->table, &m->head, sizeof m->head);
        buf_add(&w->table, m->columns, m->head.columns * sizeof *m->columns);
        block_made_done(m);
    }
    free(pieces);
    w->group_n = w->group_bytes = 0;
    return rc;
}

int segment_add(struct segment_writer *w, str lines, const struct store_block *info, struct err *e)
{
    if (w->group_n == w->group_cap)
        w->group = xrealloc(w->group, (w->group_cap = w->group_cap ? 2 * w->group_cap : 16) * sizeof *w->group);
    struct block_made *m = &w->group[w->group_n];
    if (block_make(w->maker, lines, info, &w->names, m, e) < 0) {
        block_made_done(m);
        return err_wrap(e, "in '%s'", w->tmp);
    }
    w->group_n++;
    w->group_bytes += m->bytes.n;
    w->tail.blocks++;
    w->tail.events += m->head.events;
    w->tail.raw += lines.n;
    return w->group_bytes >= GROUP_BYTES ? flush_group(w, e) : 0;
}

static uint64_t table_hash(str table, const struct tail *t)
{
    return xxh64(t, offsetof(struct tail, hash), xxh64(table.p, table.n, 0));
}

/* Signatures were placed from 0 on: now it is known where they stand. */
static void place_signatures(struct segment_writer *w)
{
    char *p = w->table.p;
    for (uint32_t i = 0; i < w->tail.blocks; i++) {
        struct block_head h;
        memcpy(&h, p, sizeof h);
        h.signature += w->at;
        memcpy(p, &h, sizeof h);
        p += sizeof h + h.columns * sizeof(struct packed);
    }
}

static int write_footer(struct segment_writer *w, struct err *e)
{
    if (flush_group(w, e) < 0)
        return -1;
    place_signatures(w);
    if (put(w, buf_view(&w->signatures), e) < 0)
        return -1;
    w->tail.table = w->at;
    w->tail.table_bytes = w->table.n;
    for (size_t i = 0; i < w->names.n; i++) {
        buf_add(&w->table, &(uint32_t){(uint32_t)w->names.p[i].n}, 4);
        buf_str(&w->table, w->names.p[i]);
    }
    w->tail.names = (uint32_t)w->names.n;
    w->tail.names_bytes = w->table.n - w->tail.table_bytes;
    w->tail.hash = table_hash(buf_view(&w->table), &w->tail);
    return put(w, buf_view(&w->table), e) < 0 || put(w, str_n((const char *)&w->tail, sizeof w->tail), e) < 0 ? -1 : 0;
}

/* Names what is synced. A name that cannot be made durable is taken back: its records will get another segment. One that
 * was there before stays, for it holds the same records. */
static int publish(struct segment_writer *w, struct segment *seg, struct err *e)
{
    bool replaces = access(w->path, F_OK) == 0;
    if (rename(w->tmp, w->path) < 0)
        return err_sys(e, "rename '%s'", w->tmp);
    free(seg->path);
    seg->path = xstrdup(w->path);
    if (dir_sync(w->dir, e) == 0)
        return 0;
    if (!replaces)
        (void)unlink(w->path);
    return -1;
}

int segment_finish(struct segment_writer *w, struct segment **ret, struct err *e)
{
    struct segment *seg = NULL;
    int rc = write_footer(w, e);
    if (rc == 0 && fdatasync(w->fd) < 0)
        rc = err_sys(e, "sync '%s'", w->tmp);
    if (rc == 0)
        rc = segment_open(w->tmp, &seg, e); /* before it has its name: nothing but that can fail then */
    if (rc == 0)
        rc = publish(w, seg, e);
    if (rc == 0)
        *ret = seg;
    else
        segment_unref(seg);
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
    for (size_t i = 0; i < w->group_n; i++)
        block_made_done(&w->group[i]);
    free(w->group);
    block_maker_free(w->maker);
    names_done(&w->names);
    buf_done(&w->out);
    buf_done(&w->table);
    buf_done(&w->signatures);
    free(w->dir);
    free(w->path);
    free(w->tmp);
    free(w);
}

/* ---- reading ---- */

static int bad(const struct segment *s, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "'%s' is damaged: %s", s->path, what);
}

static void learn_block(struct segment *s, const struct block_head *h)
{
    s->blocks[s->n++] = (struct segment_block){.info = {.t_min = h->t_min,
                                                        .t_max = h->t_max,
                                                        .recv_min = h->recv_min,
                                                        .recv_max = h->recv_max,
                                                        .events = h->events,
                                                        .app = h->app,
                                                        .levels = h->levels,
                                                        .seq_min = h->seq_min,
                                                        .seq_max = h->seq_max},
                                               .head = h};
    const struct packed *p = (const struct packed *)(h + 1);
    uint64_t bytes = sizeof *h + h->columns * sizeof *p + h->signature_bytes;
    for (uint32_t i = 0; i < h->columns; i++)
        bytes += p[i].stored;
    s->blocks[s->n - 1].bytes = bytes;
    if (h->t_min < s->t_min)
        s->t_min = h->t_min;
    if (h->t_max > s->t_max)
        s->t_max = h->t_max;
    if (h->recv_max > s->recv_max)
        s->recv_max = h->recv_max;
}

static bool in_file(uint64_t offset, uint64_t n, uint64_t end)
{
    return offset >= 8 && offset <= end && n <= end - offset;
}

/* What is relied on before a column is read: those of our own are whole numbers, a number can be printed, and what has
 * escapes stands as text. */
static bool column_fits(const struct packed *p, uint32_t i)
{
    bool own = i >= SYSTEM_RECV && i < SYSTEM_COLUMNS, whole = p->packing == PACK_INT || p->packing == PACK_DELTA;
    bool text = p->packing == PACK_CONST || p->packing == PACK_DICT || p->packing == PACK_TEXT;
    bool pieces = p->packing != PACK_DICT ||
                  (p->dict_stored <= p->stored && p->dict_bytes <= p->bytes && p->dict_stored <= p->dict_bytes &&
                   p->stored - p->dict_stored <= p->bytes - p->dict_bytes);
    return (!own || whole) && pieces && (p->kind != KIND_ESCAPED || text) &&
           (!packing_is_number(p->packing) || p->scale <= 18);
}

/* Reading a block takes memory by what its head says, so no head may say more than a block can hold. */
static bool block_fits(const struct block_head *h, const struct tail *t)
{
    const struct packed *p = (const struct packed *)(h + 1);
    uint64_t bytes = 0, values = 0;
    bool fits = h->events > 0 && h->events <= COLUMN_VALUES_MAX && h->raw <= BLOCK_RAW_MAX &&
                in_file(h->signature, h->signature_bytes, t->table);
    for (uint32_t i = 0; fits && i < h->columns; i++, p++) {
        bool every = i < SYSTEM_COLUMNS || p->flags & COLUMN_EVERY;
        fits = column_fits(p, i) && in_file(p->offset, p->stored, t->table) && p->stored <= p->bytes && p->values > 0 &&
               (every ? p->values == h->events : p->values <= h->events);
        bytes += p->bytes;
        values += i < SYSTEM_COLUMNS ? 0 : p->values;
    }
    return fits && bytes <= BLOCK_UNPACKED_MAX && values <= h->raw / 5; /* the shortest field is ,"":1 */
}

static int learn_blocks(struct segment *s, const struct tail *t, struct err *e)
{
    uint64_t at = 0;
    s->blocks = xcalloc(t->blocks + 1, sizeof *s->blocks);
    s->t_min = INT64_MAX;
    s->t_max = INT64_MIN;
    for (uint32_t i = 0; i < t->blocks; i++) {
        const struct block_head *h = (const struct block_head *)(const void *)(s->table + at);
        if (t->table_bytes - at < sizeof *h || (t->table_bytes - at - sizeof *h) / sizeof(struct packed) < h->columns ||
            h->columns < SYSTEM_COLUMNS)
            return bad(s, "its block table is cut off", e);
        if (!block_fits(h, t))
            return bad(s, "a block says that it holds what no block can", e);
        at += sizeof *h + h->columns * sizeof(struct packed);
        learn_block(s, h);
    }
    return at == t->table_bytes ? 0 : bad(s, "its block table has bytes left over", e);
}

static int learn_names(struct segment *s, const struct tail *t, struct err *e)
{
    str rest = str_n(s->table + t->table_bytes, t->names_bytes);
    s->names = xcalloc(t->names + 1, sizeof *s->names);
    for (uint32_t i = 0; i < t->names; i++) {
        uint32_t n = 0;
        if (rest.n >= 4)
            memcpy(&n, rest.p, 4);
        if (rest.n < 4 || rest.n - 4 < n)
            return bad(s, "its list of names is cut off", e);
        s->names[s->names_n++] = str_n(rest.p + 4, n);
        rest = str_skip(rest, 4 + n);
    }
    return 0;
}

static int read_table(struct segment *s, const struct tail *t, struct err *e)
{
    size_t got, n = t->table_bytes + t->names_bytes;
    if (t->table < 8 || t->table > s->bytes || t->table_bytes > s->bytes || t->names_bytes > s->bytes ||
        s->bytes - t->table != n + TAIL_BYTES || t->blocks > t->table_bytes / sizeof(struct block_head) ||
        t->names > t->names_bytes / 4)
        return bad(s, "its block table does not fit its size", e);
    s->table = xmalloc(n + 1);
    if (pread_all(s->fd, s->table, n, t->table, &got) < 0)
        return err_sys(e, "read the block table of '%s'", s->path);
    if (got != n)
        return bad(s, "its block table is cut off", e);
    if (table_hash(str_n(s->table, n), t) != t->hash)
        return bad(s, "the checksum of its block table is wrong", e);
    return learn_blocks(s, t, e) < 0 || learn_names(s, t, e) < 0 ? -1 : 0;
}

static int read_segment(struct segment *s, struct err *e)
{
    struct tail t;
    struct stat st;
    char magic[8];
    size_t got;
    if (s->fd < 0 || fstat(s->fd, &st) < 0)
        return err_sys(e, "open '%s'", s->path);
    s->bytes = (uint64_t)st.st_size;
    if (pread_all(s->fd, magic, 8, 0, &got) < 0)
        return err_sys(e, "read '%s'", s->path);
    if (got != 8 || memcmp(magic, HEAD_MAGIC, 8) != 0)
        return err_set(e, ERR_CORRUPT, "'%s' is not a segment: it does not start with LOGDSEG1", s->path);
    if (s->bytes >= 8 + TAIL_BYTES && pread_all(s->fd, &t, sizeof t, s->bytes - TAIL_BYTES, &got) < 0)
        return err_sys(e, "read the end of '%s'", s->path);
    if (s->bytes < 8 + TAIL_BYTES || got != sizeof t || memcmp(t.magic, TAIL_MAGIC, 8) != 0)
        return err_set(e, ERR_CORRUPT, "'%s' is torn: its end is missing", s->path);
    if (t.version != VERSION)
        return err_set(e, ERR_CORRUPT, "'%s' was written by %s logd (segment version %u, this one reads %d)", s->path,
                       t.version > VERSION ? "a newer" : "an older", t.version, VERSION);
    s->first_seq = t.first_seq;
    s->last_seq = t.last_seq;
    s->events = t.events;
    s->raw_bytes = t.raw;
    s->level = t.level;
    return read_table(s, &t, e);
}

/* ---- signatures: most queries ask for all of them and for nothing else ---- */

struct kept {
    struct signatures {
        size_t bytes; /* that count */
        char *read;
        struct signature of[]; /* each block's; bits NULL: damaged */
    } * _Atomic all;
};

static struct kept *kept_new(void) { return xcalloc(1, sizeof(struct kept)); }

static void signatures_free(const struct segment *s, struct signatures *all)
{
    if (!all)
        return;
    atomic_fetch_add(s->keep_left, all->bytes);
    free(all->read);
    free(all);
}

static void kept_free(const struct segment *s)
{
    if (s->kept)
        signatures_free(s, atomic_load(&s->kept->all));
    free(s->kept);
}

/* How many bytes they have when they stand as they are written, one behind the other; 0: they do not. */
static size_t signatures_bytes(const struct segment *s)
{
    uint64_t at = s->n ? s->blocks[0].head->signature : 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->blocks[i].head->signature != at || s->blocks[i].head->signature_bytes % 8)
            return 0;
        at += s->blocks[i].head->signature_bytes;
    }
    return s->n ? (size_t)(at - s->blocks[0].head->signature) : 0;
}

static bool reserve(_Atomic size_t *left, size_t n)
{
    size_t had = atomic_load(left);
    while (had >= n)
        if (atomic_compare_exchange_weak(left, &had, had - n))
            return true;
    return false;
}

static struct signatures *read_signatures(const struct segment *s)
{
    size_t bytes = signatures_bytes(s), table = sizeof(struct signatures) + s->n * sizeof(struct signature), got;
    if (bytes == 0 || !reserve(s->keep_left, bytes + table))
        return NULL;
    struct signatures *all = xcalloc(1, table);
    all->bytes = bytes + table;
    all->read = xmalloc(bytes);
    uint64_t from = s->blocks[0].head->signature;
    if (pread_all(s->fd, all->read, bytes, from, &got) < 0 || got != bytes) {
        signatures_free(s, all);
        return NULL;
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct block_head *h = s->blocks[i].head;
        if (!signature_read(str_n(all->read + (h->signature - from), h->signature_bytes), &all->of[i]))
            all->of[i].bits = NULL;
    }
    return all;
}

/* NULL: they are not kept. */
static const struct signatures *kept_signatures(const struct segment *s)
{
    struct signatures *none = NULL, *all = s->keep_left ? atomic_load(&s->kept->all) : NULL;
    if (all || !s->keep_left || !(all = read_signatures(s)))
        return all;
    if (atomic_compare_exchange_strong(&s->kept->all, &none, all))
        return all;
    signatures_free(s, all); /* another thread was first */
    return none;
}

int segment_open(const char *path, struct segment **ret, struct err *e)
{
    struct segment *s = xcalloc(1, sizeof *s);
    s->path = xstrdup(path);
    s->refs = 1;
    s->kept = kept_new();
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (read_segment(s, e) < 0) {
        segment_unref(s);
        return -1;
    }
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_RANDOM);
    *ret = s;
    return 0;
}

void segment_unref(struct segment *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    if (s->fd >= 0)
        close(s->fd);
    if (s->doomed)
        (void)unlink(s->path);
    kept_free(s);
    free(s->blocks);
    free(s->table);
    free(s->names);
    free(s->path);
    free(s);
}

int segment_lines(const struct segment *s, size_t block, struct buf *scratch, str *ret, struct err *e)
{
    struct arena a = {0};
    struct block b;
    int rc = 0;
    block_open(s, block, &a, &b);
    buf_reset(scratch);
    for (uint32_t row = 0; rc == 0 && row < b.head->events && scratch->n <= b.head->raw; row++) {
        rc = block_line(&b, row, scratch, e);
        buf_byte(scratch, '\n');
    }
    if (rc == 0 && scratch->full)
        rc = err_set(e, ERR_FULL, "block %zu of '%s' holds more than %zu bytes", block, s->path, scratch->max);
    else if (rc == 0 && scratch->n != b.head->raw)
        rc = err_set(e, ERR_CORRUPT, "block %zu of '%s' is damaged: it gives %zu bytes of lines, not %llu", block,
                     s->path, scratch->n, (unsigned long long)b.head->raw);
    arena_done(&a);
    *ret = buf_view(scratch);
    return rc;
}

bool segment_signature(const struct segment *s, size_t block, struct arena *a, struct signature *ret)
{
    const struct signatures *all = kept_signatures(s);
    if (all) {
        *ret = all->of[block];
        return ret->bits != NULL;
    }
    const struct block_head *h = s->blocks[block].head;
    size_t got;
    char *p = arena_alloc(a, h->signature_bytes + 1);
    return pread_all(s->fd, p, h->signature_bytes, h->signature, &got) == 0 && got == h->signature_bytes &&
           signature_read(str_n(p, got), ret);
}
