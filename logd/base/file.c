#include "base/file.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int write_all(int fd, str s)
{
    while (s.n > 0) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        s = str_skip(s, (size_t)n);
    }
    return 0;
}

int pread_all(int fd, void *p, size_t n, uint64_t offset, size_t *ret_n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t m = pread(fd, (char *)p + got, n - got, (off_t)(offset + got));
        if (m < 0 && errno == EINTR)
            continue;
        if (m < 0)
            return -1;
        if (m == 0)
            break;
        got += (size_t)m;
    }
    *ret_n = got;
    return 0;
}

int file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
    int rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return err_sys(e, "open '%s'", path);
    if (fstat(fd, &st) < 0) {
        err_sys(e, "stat '%s'", path);
        goto out;
    }
    for (size_t total = 0;;) {
        char chunk[65536];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_sys(e, "read '%s'", path);
            goto out;
        }
        if (n == 0)
            break;
        total += (size_t)n;
        if (total > max) {
            err_set(e, ERR_INPUT, "'%s' is larger than %zu bytes", path, max);
            goto out;
        }
        buf_add(out, chunk, (size_t)n);
        if (out->full) {
            err_set(e, ERR_FULL, "'%s' does not fit into %zu bytes", path, out->max);
            goto out;
        }
    }
    rc = 0;
out:
    close(fd);
    return rc;
}

int file_replace(int dirfd, const char *name, str body, mode_t mode, struct err *e)
{
    char tmp[NAME_MAX + 1];
    int rc;
    if (snprintf(tmp, sizeof tmp, "%s.tmp", name) >= (int)sizeof tmp)
        return err_set(e, ERR_INPUT, "file name '%s' is longer than %d bytes", name, NAME_MAX - 4);
    int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return err_sys(e, "create '%s'", tmp);

    if (write_all(fd, body) < 0 || fsync(fd) < 0)
        rc = err_sys(e, "write '%s' (%zu bytes)", tmp, body.n);
    else if (renameat(dirfd, tmp, dirfd, name) < 0)
        rc = err_sys(e, "rename '%s' to '%s'", tmp, name);
    else if (fsync(dirfd) < 0) /* without this the name itself can be lost: fsync(2) */
        rc = err_sys(e, "sync the directory of '%s'", name);
    else
        rc = 0;

    close(fd); /* the data is synced above; close has nothing left to tell us */
    if (rc < 0)
        (void)unlinkat(dirfd, tmp, 0);
    return rc;
}

int dir_make(const char *path, struct err *e)
{
    char *p = xstrdup(path);
    int rc = 0;
    for (char *c = p + 1; rc == 0; c++) {
        if (*c != '/' && *c != '\0')
            continue;
        char was = *c;
        *c = '\0';
        if (mkdir(p, 0750) < 0 && errno != EEXIST)
            rc = err_sys(e, "create folder '%s'", p);
        *c = was;
        if (was == '\0')
            break;
    }
    free(p);
    return rc;
}

int dir_open(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_sys(e, "open folder '%s'", path) : fd;
}

int dir_sync(const char *path, struct err *e)
{
    int fd = dir_open(path, e);
    if (fd < 0)
        return -1;
    int rc = fsync(fd) < 0 ? err_sys(e, "sync folder '%s'", path) : 0;
    close(fd);
    return rc;
}

int disk_free(const char *path, uint64_t *ret_free, uint64_t *ret_total, struct err *e)
{
    struct statvfs v;
    if (statvfs(path, &v) < 0)
        return err_sys(e, "ask for the free space of '%s'", path);
    *ret_free = (uint64_t)v.f_bavail * v.f_frsize;
    *ret_total = (uint64_t)v.f_blocks * v.f_frsize;
    return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int dir_list(const char *path, char ***ret_names, size_t *ret_n, struct err *e)
{
    DIR *d = opendir(path);
    if (!d)
        return err_sys(e, "open folder '%s'", path);
    char **names = NULL;
    size_t n = 0, cap = 0;
    for (struct dirent *de; (de = readdir(d));) {
        if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
            continue;
        if (n == cap)
            names = xrealloc(names, (cap = cap ? cap * 2 : 16) * sizeof *names);
        names[n++] = xstrdup(de->d_name);
    }
    closedir(d);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    *ret_names = names;
    *ret_n = n;
    return 0;
}

void dir_list_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

int file_lock(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_sys(e, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (errno == EWOULDBLOCK)
        err_set(e, ERR_FULL, "'%s' is held by another logd", path);
    else
        err_sys(e, "lock '%s'", path);
    close(fd);
    return -1;
}

int unix_address(const char *path, struct sockaddr_un *ret, int *ret_fd, struct err *e)
{
    const char *slash = strrchr(path, '/');
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    *ret_fd = -1;
    if (strlen(path) < sizeof ret->sun_path) {
        memcpy(ret->sun_path, path, strlen(path) + 1);
        return 0;
    }
    char *dir = slash ? str_dup(str_n(path, (size_t)(slash - path))) : xstrdup(".");
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        err_sys(e, "open '%s'", dir);
    free(dir);
    if (fd < 0)
        return -1;
    snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", fd, slash ? slash + 1 : path);
    *ret_fd = fd;
    return 0;
}
