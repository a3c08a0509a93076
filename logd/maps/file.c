/* maps/file.c - one map on disk: see maps.h for the bytes. */
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "maps/index.h"
#include "maps/private.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIXED = 24, HEAD_MAX = 16384, INDEX_HEAD = 64 };
static const char magic[8] = "logdmap1";

void map_file_name(uint64_t number, char ret[24])
{
    snprintf(ret, 24, "%08llu.map", (unsigned long long)number % 10000000000);
}

void map_file_free(struct map_file *f)
{
    if (!f)
        return;
    map_file_unload(f);
    free(f->release);
    free(f->path);
    free(f->debug_id);
    free(f);
}

void map_file_print(const struct map_file *f, str index, struct buf *out)
{
    struct buf head = BUF_INIT(HEAD_MAX);
    uint32_t n[2];
    buf_printf(&head, "{\"app\":%u,\"release\":", f->app);
    buf_json(&head, str_of(f->release));
    buf_lit(&head, ",\"path\":");
    buf_json(&head, str_of(f->path));
    buf_lit(&head, ",\"debug_id\":");
    buf_json(&head, str_of(f->debug_id));
    buf_printf(&head, ",\"uploaded\":%lld}", (long long)f->uploaded);
    n[0] = (uint32_t)head.n;
    n[1] = (uint32_t)index.n;
    buf_add(out, magic, sizeof magic);
    buf_add(out, "\0\0\0\0\0\0\0", 8);
    buf_add(out, n, sizeof n);
    buf_str(out, buf_view(&head));
    buf_str(out, index);
    uint64_t sum = xxh64(out->p + 16, out->n - 16, 0);
    memcpy(out->p + 8, &sum, sizeof sum);
    buf_done(&head);
}

/* Where head and index lie; false: not such a file, or cut off. */
static bool parts(const char *p, size_t n, uint64_t size, str *ret_head, uint32_t *ret_index_n)
{
    uint32_t len[2];
    if (n < FIXED || memcmp(p, magic, sizeof magic) != 0)
        return false;
    memcpy(len, p + 16, sizeof len);
    if (len[0] > n - FIXED || FIXED + (uint64_t)len[0] + len[1] != size)
        return false;
    *ret_head = str_n(p + FIXED, len[0]);
    *ret_index_n = len[1];
    return true;
}

static struct map_file *read_head(str head)
{
    json_t *doc = json_loadb(head.p, head.n, 0, NULL);
    json_int_t app, uploaded;
    const char *release, *path, *debug_id;
    struct map_file *f = NULL;
    if (json_unpack(doc, "{s:I,s:s,s:s,s:s,s:I}", "app", &app, "release", &release, "path", &path, "debug_id",
                    &debug_id, "uploaded", &uploaded) == 0) {
        f = xcalloc(1, sizeof *f);
        f->app = (uint32_t)app;
        f->release = xstrdup(release);
        f->path = xstrdup(path);
        f->debug_id = xstrdup(debug_id);
        f->uploaded = uploaded;
    }
    json_decref(doc);
    return f;
}

int map_file_read(const char *dir, uint64_t number, struct map_file **ret, struct err *e)
{
    char name[24], *bytes = xmalloc(FIXED + HEAD_MAX + INDEX_HEAD);
    struct buf path = BUF_INIT(PATH_MAX);
    struct stat st;
    struct map_facts facts;
    struct map_file *f = NULL;
    size_t n = 0;
    str head;
    uint32_t index_n;
    map_file_name(number, name);
    buf_printf(&path, "%s/%s%c", dir, name, '\0');
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && pread_all(fd, bytes, FIXED + HEAD_MAX + INDEX_HEAD, 0, &n) == 0 &&
        parts(bytes, n, (uint64_t)st.st_size, &head, &index_n))
        f = read_head(head);
    int rc = f ? 0 : err_set(e, ERR_CORRUPT, "'%s' is not a whole source map of ours", path.p);
    if (f) {
        map_index_facts(str_n(head.p + head.n, (size_t)(bytes + n - head.p) - head.n), &facts);
        f->number = number;
        f->bytes = (uint64_t)st.st_size;
        f->sources = facts.sources;
        f->mappings = facts.mappings;
        *ret = f;
    }
    if (fd >= 0)
        close(fd);
    buf_done(&path);
    free(bytes);
    return rc;
}

bool map_file_load(const char *dir, struct map_file *f)
{
    char name[24];
    struct buf path = BUF_INIT(PATH_MAX);
    str head;
    uint32_t index_n;
    uint64_t sum;
    if (f->at || f->damaged)
        return !f->damaged;
    map_file_name(f->number, name);
    buf_printf(&path, "%s/%s%c", dir, name, '\0');
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == f->bytes)
        f->at = mmap(NULL, (size_t)f->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (f->at == MAP_FAILED)
        f->at = NULL;
    if (fd >= 0)
        close(fd);
    buf_done(&path);
    f->damaged = true;
    if (f->at && parts(f->at, (size_t)f->bytes, f->bytes, &head, &index_n)) {
        memcpy(&sum, (char *)f->at + 8, sizeof sum);
        f->index = str_n(head.p + head.n, index_n);
        f->damaged = sum != xxh64((char *)f->at + 16, (size_t)f->bytes - 16, 0) || !map_index_check(f->index);
    }
    return !f->damaged;
}

void map_file_unload(struct map_file *f)
{
    if (f->at)
        munmap(f->at, (size_t)f->bytes);
    f->at = NULL;
    f->index = (str){0};
}
