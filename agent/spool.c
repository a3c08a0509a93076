#include "agent/spool.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SAY_EVERY (60 * USEC_PER_SEC)

struct spool {
    char dir[PATH_MAX], path[PATH_MAX + 64], name[40];
    int fd;
    uint64_t size, next; /* bytes of the file; the number it gets when it is full */
    uint64_t oldest;     /* number of a file that is full; UINT64_MAX: there is none */
    uint64_t lost;       /* lines that the disk did not take, not said yet */
    usec said;
};

const char *spool_path(const struct spool *s) { return s->path; }

/* The number of "NAME.log.12"; false: it is no file of the spool that is full. */
static bool number_of(const struct spool *s, const char *file, uint64_t *ret)
{
    str f = str_of(file), name = str_of(s->name);
    return str_starts(f, name) && str_starts(str_skip(f, name.n), S(".")) && str_u64(str_skip(f, name.n + 1), ret);
}

/* Looks at the files that are full: how many bytes they have, which is the oldest, which number is free. */
static uint64_t look(struct spool *s)
{
    char **names, path[PATH_MAX + 64];
    size_t n;
    struct err e;
    struct stat st;
    uint64_t bytes = 0, number;
    s->oldest = UINT64_MAX;
    if (dir_list(s->dir, &names, &n, &e) < 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, names[i]);
        if (!number_of(s, names[i], &number) || stat(path, &st) < 0)
            continue;
        bytes += (uint64_t)st.st_size;
        s->oldest = number < s->oldest ? number : s->oldest;
        s->next = number >= s->next ? number + 1 : s->next;
    }
    dir_list_free(names, n);
    return bytes;
}

static int open_file(struct spool *s, struct err *e)
{
    struct stat st;
    s->fd = open(s->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (s->fd < 0)
        return err_sys(e, "open '%s'", s->path);
    s->size = fstat(s->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    if (s->size == 0) {
        uint64_t r;
        random_bytes(&r, sizeof r);
        int n = dprintf(s->fd, SPOOL_MARK "%016" PRIx64 "\n", r);
        s->size = n > 0 ? (uint64_t)n : 0;
    }
    return 0;
}

int spool_open(const char *state, const char *name, struct spool **ret, struct err *e)
{
    struct spool *s = xcalloc(1, sizeof *s);
    s->fd = -1;
    snprintf(s->name, sizeof s->name, "%s.log", name);
    int n = snprintf(s->dir, sizeof s->dir, "%s/spool", state);
    snprintf(s->path, sizeof s->path, "%s/%s", s->dir, s->name);
    if (n >= (int)sizeof s->dir)
        (void)err_set(e, ERR_INPUT, "the name of the state folder is too long");
    else if (dir_make(state, e) == 0 && dir_make(s->dir, e) == 0 && open_file(s, e) == 0) {
        s->next = 1;
        (void)look(s);
        *ret = s;
        return 0;
    }
    spool_close(s);
    return -1;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

/* The oldest go when there is too much. */
static void make_room(struct spool *s)
{
    char path[PATH_MAX + 128];
    while (look(s) > SPOOL_BYTES) {
        snprintf(path, sizeof path, "%s.%06" PRIu64, s->path, s->oldest);
        if (unlink(path) < 0)
            return;
        log_error("spool", "what=\"the spool is full, its oldest file is dropped\" file=\"%s\"", path);
    }
}

static void rotate(struct spool *s)
{
    char full[PATH_MAX + 128];
    struct err e;
    snprintf(full, sizeof full, "%s.%06" PRIu64, s->path, s->next++);
    (void)fdatasync(s->fd);
    if (rename(s->path, full) < 0)
        return; /* it grows on */
    close(s->fd);
    if (open_file(s, &e) < 0)
        log_error("spool", "what=\"%s\"", e.text);
    make_room(s);
}

void spool_add(struct spool *s, str lines)
{
    struct iovec v[] = {{(void *)(uintptr_t)lines.p, lines.n}, {(void *)(uintptr_t) "\n", 1}};
    struct err e;
    if (s->fd < 0 && open_file(s, &e) < 0)
        s->fd = -1;
    ssize_t n = s->fd < 0 ? -1 : writev(s->fd, v, 2);
    if (n >= 0)
        s->size += (uint64_t)n;
    if (n != (ssize_t)lines.n + 1) {
        if (n > 0 && ftruncate(s->fd, (off_t)(s->size -= (uint64_t)n)) < 0)
            s->size += (uint64_t)n; /* half a line stays */
        s->lost++;
        usec now = clock_mono();
        if (s->said == 0 || now - s->said > SAY_EVERY) {
            log_error("spool", "what=\"lines are lost: %s\" file=\"%s\" lines=%" PRIu64, strerror(errno), s->path,
                      s->lost);
            s->said = now;
            s->lost = 0;
        }
    }
    if (s->size >= SPOOL_FILE_BYTES)
        rotate(s);
}
