#include "maps/chunk.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/str.h"
#include "maps/private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OLD_SECONDS = 3600 };

static bool is_sha1(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n == 40;
}

/* "chunk-APP-SHA1"; only what is_sha1 gets here. */
static void chunk_name(uint32_t app, str sha1_hex, char ret[64])
{
    snprintf(ret, 64, "chunk-%u-%.*s", app, STR_ARG(str_head(sha1_hex, 40)));
}

static bool has_sha1(str bytes, str hex)
{
    uint8_t digest[20];
    struct buf b = BUF_INIT(64);
    sha1(bytes, digest);
    buf_hex(&b, digest, sizeof digest);
    bool same = str_eq(buf_view(&b), hex);
    buf_done(&b);
    return same;
}

/* Bytes of all chunks; with `older_than`, those go that were written before. */
static uint64_t count_chunks(int dir, const char *path, time_t older_than)
{
    char **names;
    size_t n;
    uint64_t bytes = 0;
    struct err e;
    if (dir_list(path, &names, &n, &e) < 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        if (!str_starts(str_of(names[i]), S("chunk-")) || fstatat(dir, names[i], &st, 0) < 0)
            continue;
        if (st.st_mtime < older_than && unlinkat(dir, names[i], 0) == 0)
            continue;
        bytes += (uint64_t)st.st_size;
    }
    dir_list_free(names, n);
    return bytes;
}

void chunks_clean(const char *dir)
{
    struct err e;
    int fd = dir_open(dir, &e);
    if (fd < 0)
        return;
    (void)count_chunks(fd, dir, time(NULL) + OLD_SECONDS);
    close(fd);
}

int chunk_put(struct maps *m, uint32_t app, str sha1_hex, str bytes, struct err *e)
{
    char name[64];
    uint64_t free_bytes, total;
    if (!is_sha1(sha1_hex) || !has_sha1(bytes, sha1_hex))
        return err_set(e, ERR_INPUT, "chunk \"%.*s\": its name is not the SHA-1 of its %zu bytes",
                       STR_ARG(str_head(sha1_hex, 40)), bytes.n);
    chunk_name(app, sha1_hex, name);
    int dir = dir_make(m->dir, e) < 0 ? -1 : dir_open(m->dir, e), rc = dir < 0 ? -1 : 0;
    if (rc == 0 && count_chunks(dir, m->dir, 0) + bytes.n > CHUNKS_BYTES &&
        count_chunks(dir, m->dir, time(NULL) - OLD_SECONDS) + bytes.n > CHUNKS_BYTES)
        rc = err_set(e, ERR_FULL, "too many chunks wait for their bundle: try again in an hour");
    if (rc == 0 && disk_free(m->dir, &free_bytes, &total, e) == 0 && free_bytes < DISK_RESERVE + bytes.n)
        rc = err_set(e, ERR_FULL, "the disk is nearly full: the chunk was not taken");
    if (rc == 0)
        rc = file_replace(dir, name, bytes, 0640, e);
    if (dir >= 0)
        close(dir);
    return rc;
}

static void chunk_path(const struct maps *m, uint32_t app, str sha1_hex, struct buf *path)
{
    char name[64];
    chunk_name(app, sha1_hex, name);
    buf_reset(path);
    buf_printf(path, "%s/%s%c", m->dir, name, '\0');
}

bool chunk_have(struct maps *m, uint32_t app, str sha1_hex)
{
    struct buf path = BUF_INIT(PATH_MAX);
    chunk_path(m, app, sha1_hex, &path);
    bool there = is_sha1(sha1_hex) && access(path.p, R_OK) == 0;
    buf_done(&path);
    return there;
}

/* Into a file without a name, so that a large bundle costs no memory that cannot be given back. */
static int append(struct maps *m, uint32_t app, str sha1_hex, int out, struct err *e)
{
    struct buf path = BUF_INIT(PATH_MAX), bytes = BUF_INIT(256u << 20);
    chunk_path(m, app, sha1_hex, &path);
    int rc = file_read(path.p, bytes.max, &bytes, e);
    if (rc == 0 && write_all(out, buf_view(&bytes)) < 0)
        rc = err_sys(e, "write a bundle");
    buf_done(&path);
    buf_done(&bytes);
    return rc;
}

int chunks_assemble(struct maps *m, uint32_t app, str checksum, const str *chunks, size_t n, struct assembled *ret,
                    struct err *e)
{
    int fd = open(m->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
        rc = fd < 0 ? err_sys(e, "make a file in '%s'", m->dir) : 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = append(m, app, chunks[i], fd, e);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    void *at = rc == 0 && size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (rc == 0 && at == MAP_FAILED)
        rc = err_set(e, ERR_INPUT, "the bundle is empty");
    else if (rc == 0 && !has_sha1(str_n(at, (size_t)size), checksum))
        rc = err_set(e, ERR_INPUT, "checksum: the chunks together have another SHA-1");
    if (rc == 0)
        *ret = (struct assembled){at, (size_t)size};
    else if (at != MAP_FAILED)
        munmap(at, (size_t)size);
    if (fd >= 0)
        close(fd);
    return rc;
}

void chunks_done(struct maps *m, uint32_t app, const str *chunks, size_t n, struct assembled *x)
{
    struct buf path = BUF_INIT(PATH_MAX);
    if (x->at)
        munmap(x->at, x->n);
    for (size_t i = 0; i < n; i++) {
        chunk_path(m, app, chunks[i], &path);
        (void)unlink(path.p);
    }
    buf_done(&path);
}
