/* tests/lib/fault.c - a shim for LD_PRELOAD that records what a program does to its files, and makes calls fail.
 *
 *   FAULT_DIR=PATH             only files below PATH are looked at (absolute; must be set)
 *   FAULT_AT=PATH              only calls on files below PATH are counted and made to fail; without it, all below FAULT_DIR
 *   RECORD=FILE                every call that changes the disk is appended to FILE with its data, see struct fault_op
 *   FAULT=OP:N:ERRNO[:sticky|:short]  the N-th call of OP fails with errno number ERRNO; sticky: and all after it;
 *                              short: the N-th write takes only half, the next one fails
 *   SHORT=N                    the N-th write takes only half of its bytes
 *   KILL=OP:N[:half|:after]    SIGKILL at the N-th call of OP: before it, after half a write, or after it but before
 *                              its caller knows
 *   SLOW=MICROSECONDS          every sync takes that much longer, as on a real disk
 * OP is open, write, sync, truncate, rename, unlink, read or any (all but read).
 *
 * What the program writes to its standard output is recorded among the rest, so a recording tells which answers
 * were given after which syncs. Calls are done one at a time, so the recording's order is the order of events.
 * It interposes on libc's functions only: a program that calls the kernel itself, or writes through mmap, is not
 * seen. */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 4096 };
enum when { NEVER, BEFORE, HALF, AFTER };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char tracked[FDS]; /* 0, or what `place` says of its path */
static char dir[PATH_MAX], aim[PATH_MAX];
static int record_fd = -1;
static long count[FAULT_OPS], count_any;
static struct {
    int op; /* -1: any */
    long n;
    int sys;
    bool sticky;
    enum when when;
} fault, death;
static long short_n, slow_us;

static const char *const names[FAULT_OPS] = {"open",   "write", "sync",  "truncate", "rename",
                                             "unlink", "read",  "close", "output"};

#define REAL(f) ((__typeof__(&f))(uintptr_t)real(#f))
static void *real(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (!f)
        abort();
    return f;
}

static int op_named(const char *s, size_t n)
{
    for (int i = 0; i < FAULT_OPS; i++)
        if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0)
            return i;
    return -1;
}

__attribute__((constructor)) static void setup(void)
{
    const char *s = getenv("FAULT_DIR"), *c;
    char flag[16] = "";
    if (!s)
        return;
    snprintf(dir, sizeof dir, "%s", s);
    snprintf(aim, sizeof aim, "%s", getenv("FAULT_AT") ? getenv("FAULT_AT") : dir);
    if ((s = getenv("RECORD")))
        record_fd = REAL(open)(s, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if ((s = getenv("FAULT")) && (c = strchr(s, ':'))) {
        fault.op = op_named(s, (size_t)(c - s));
        if (sscanf(c, ":%ld:%d:%15s", &fault.n, &fault.sys, flag) < 2)
            abort();
        fault.sticky = strcmp(flag, "sticky") == 0;
        if (strcmp(flag, "short") == 0)
            short_n = fault.n++;
    }
    if ((s = getenv("KILL")) && (c = strchr(s, ':'))) {
        death.op = op_named(s, (size_t)(c - s));
        flag[0] = '\0';
        if (sscanf(c, ":%ld:%15s", &death.n, flag) < 1)
            abort();
        death.when = strcmp(flag, "half") == 0 ? HALF : strcmp(flag, "after") == 0 ? AFTER : BEFORE;
    }
    if ((s = getenv("SHORT")))
        short_n = atol(s);
    if ((s = getenv("SLOW")))
        slow_us = atol(s);
}

enum { ELSEWHERE, RECORDED, AIMED_AT };
static char place(const char *path)
{
    if (!dir[0] || strncmp(path, dir, strlen(dir)) != 0)
        return ELSEWHERE;
    return strncmp(path, aim, strlen(aim)) == 0 ? AIMED_AT : RECORDED;
}
static bool below(const char *path) { return place(path) != ELSEWHERE; }

/* The absolute path of `name` in folder fd; false: not below FAULT_DIR. */
static bool resolve(int fd, const char *name, char out[PATH_MAX])
{
    char link[64], at[PATH_MAX];
    if (name[0] == '/') {
        snprintf(out, PATH_MAX, "%s", name);
        return below(out);
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = fd == AT_FDCWD ? (getcwd(at, sizeof at) ? (ssize_t)strlen(at) : -1) : readlink(link, at, sizeof at - 1);
    if (n < 0)
        return false;
    at[n] = '\0';
    if (snprintf(out, PATH_MAX, "%s/%s", at, name) >= PATH_MAX)
        return false;
    return below(out);
}

static struct {
    bool fail, shorten;
    enum when die;
} verdict; /* of the call that is being made, under the lock */

static void record(struct fault_op op, const char *name, const void *data)
{
    if (record_fd < 0)
        return;
    op.hit = verdict.fail || verdict.shorten;
    op.name_n = name ? (uint32_t)strlen(name) : 0;
    struct iovec v[3] = {{&op, sizeof op}, {(char *)name, op.name_n}, {(void *)data, data ? op.size : 0}};
    if (REAL(writev)(record_fd, v, 3) < 0)
        abort();
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Takes the lock and counts the call; dies here when that was asked for. verdict says what else is to happen. */
static void begin(int op, char where)
{
    pthread_mutex_lock(&lock);
    verdict = (__typeof__(verdict)){.die = NEVER};
    if (where != AIMED_AT)
        return;
    long n = ++count[op], any = op < FAULT_READ ? ++count_any : -1;
    long f = fault.op < 0 ? any : fault.op == op ? n : -1, d = death.op < 0 ? any : death.op == op ? n : -1;
    verdict.fail = fault.n && f > 0 && (f == fault.n || (fault.sticky && f > fault.n));
    verdict.shorten = op == FAULT_WRITE && short_n && n == short_n;
    verdict.die = death.n && d == death.n ? death.when : NEVER;
    if (verdict.die == BEFORE || (verdict.die == HALF && op != FAULT_WRITE))
        die();
    verdict.shorten |= verdict.die == HALF;
}

static bool refused(void)
{
    if (verdict.fail)
        errno = fault.sys;
    return verdict.fail;
}

static void end(void)
{
    int sys = errno;
    if (verdict.die != NEVER)
        die();
    pthread_mutex_unlock(&lock);
    errno = sys;
}

static int do_open(int at, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    if (!resolve(at, name, path))
        return REAL(openat)(at, name, flags, mode);
    begin(FAULT_OPEN, place(path));
    int fd = refused() ? -1 : REAL(openat)(at, name, flags, mode);
    if (fd >= FDS)
        abort();
    if (fd >= 0)
        tracked[fd] = place(path);
    record((struct fault_op){.op = FAULT_OPEN, .failed = fd < 0, .fd = fd, .flags = (uint32_t)flags}, path, NULL);
    end();
    return fd;
}

#define OPEN(symbol, at, ...)                                                                                          \
    int symbol(__VA_ARGS__ const char *name, int flags, ...)                                                           \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;                                        \
        va_end(ap);                                                                                                    \
        return do_open(at, name, flags, mode);                                                                         \
    }
#define COMMA ,
OPEN(open, AT_FDCWD, )
OPEN(open64, AT_FDCWD, )
OPEN(openat, dirfd, int dirfd COMMA)
OPEN(openat64, dirfd, int dirfd COMMA)

static bool is_tracked(int fd) { return dir[0] && fd >= 0 && fd < FDS && tracked[fd]; }

int close(int fd)
{
    if (!is_tracked(fd))
        return REAL(close)(fd);
    begin(FAULT_CLOSE, tracked[fd]);
    tracked[fd] = ELSEWHERE;
    record((struct fault_op){.op = FAULT_CLOSE, .fd = fd}, NULL, NULL);
    int rc = REAL(close)(fd);
    end();
    return rc;
}

/* All writes end up here: v at `offset` (-1: where the file stands). */
static ssize_t do_write(int fd, const struct iovec *v, int n, off_t offset)
{
    bool output = fd == STDOUT_FILENO && record_fd >= 0;
    if (!output && !is_tracked(fd))
        return offset < 0 ? REAL(writev)(fd, v, n) : REAL(pwritev)(fd, v, n, offset);
    size_t size = 0, at = 0;
    for (int i = 0; i < n; i++)
        size += v[i].iov_len;
    char *all = malloc(size + 1);
    for (int i = 0; i < n; at += v[i++].iov_len)
        memcpy(all + at, v[i].iov_base, v[i].iov_len);
    struct fault_op op = {.op = output ? FAULT_OUTPUT : FAULT_WRITE, .fd = fd};
    begin(op.op, output ? (char)AIMED_AT : tracked[fd]);
    if (!output)
        op.offset = (uint64_t)(offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset);
    if (verdict.shorten)
        size = (size + 1) / 2;
    ssize_t done = refused() ? -1 : offset < 0 ? REAL(write)(fd, all, size) : REAL(pwrite)(fd, all, size, offset);
    op.failed = done < 0;
    op.size = done > 0 ? (uint64_t)done : 0;
    record(op, NULL, all);
    end();
    int sys = errno;
    free(all);
    errno = sys;
    return done;
}

ssize_t write(int fd, const void *p, size_t n) { return do_write(fd, &(struct iovec){(void *)p, n}, 1, -1); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t o) { return do_write(fd, &(struct iovec){(void *)p, n}, 1, o); }
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t o)
{
    return do_write(fd, &(struct iovec){(void *)p, n}, 1, o);
}
ssize_t writev(int fd, const struct iovec *v, int n) { return do_write(fd, v, n, -1); }
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t o) { return do_write(fd, v, n, o); }
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t o) { return do_write(fd, v, n, o); }

static ssize_t do_pread(int fd, void *p, size_t n, off_t o)
{
    if (!is_tracked(fd))
        return REAL(pread)(fd, p, n, o);
    begin(FAULT_READ, tracked[fd]);
    ssize_t got = refused() ? -1 : REAL(pread)(fd, p, n, o);
    if (verdict.fail)
        record((struct fault_op){.op = FAULT_READ, .failed = 1, .fd = fd}, NULL, NULL);
    end();
    return got;
}
ssize_t pread(int fd, void *p, size_t n, off_t o) { return do_pread(fd, p, n, o); }
ssize_t pread64(int fd, void *p, size_t n, off64_t o) { return do_pread(fd, p, n, o); }

static int do_sync(int fd, bool data)
{
    if (!is_tracked(fd))
        return data ? REAL(fdatasync)(fd) : REAL(fsync)(fd);
    if (slow_us)
        usleep((useconds_t)slow_us);
    begin(FAULT_SYNC, tracked[fd]);
    int rc = refused() ? -1 : data ? REAL(fdatasync)(fd) : REAL(fsync)(fd);
    record((struct fault_op){.op = FAULT_SYNC, .fd = fd, .failed = rc < 0}, NULL, NULL);
    end();
    return rc;
}
int fsync(int fd) { return do_sync(fd, false); }
int fdatasync(int fd) { return do_sync(fd, true); }

static int do_truncate(int fd, off_t n)
{
    if (!is_tracked(fd))
        return REAL(ftruncate)(fd, n);
    begin(FAULT_TRUNCATE, tracked[fd]);
    int rc = refused() ? -1 : REAL(ftruncate)(fd, n);
    record((struct fault_op){.op = FAULT_TRUNCATE, .failed = rc < 0, .fd = fd, .offset = (uint64_t)n}, NULL, NULL);
    end();
    return rc;
}
int ftruncate(int fd, off_t n) { return do_truncate(fd, n); }
int ftruncate64(int fd, off64_t n) { return do_truncate(fd, n); }

int renameat(int fa, const char *a, int fb, const char *b)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (!resolve(fb, b, to) || !resolve(fa, a, from))
        return REAL(renameat)(fa, a, fb, b);
    begin(FAULT_RENAME, place(from));
    int rc = refused() ? -1 : REAL(renameat)(fa, a, fb, b);
    record((struct fault_op){.op = FAULT_RENAME, .failed = rc < 0, .size = strlen(to)}, from, to);
    end();
    return rc;
}
int rename(const char *a, const char *b) { return renameat(AT_FDCWD, a, AT_FDCWD, b); }

int unlinkat(int fd, const char *name, int flags)
{
    char path[PATH_MAX];
    if (!resolve(fd, name, path))
        return REAL(unlinkat)(fd, name, flags);
    begin(FAULT_UNLINK, place(path));
    int rc = refused() ? -1 : REAL(unlinkat)(fd, name, flags);
    record((struct fault_op){.op = FAULT_UNLINK, .failed = rc < 0}, path, NULL);
    end();
    return rc;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
