#include "maps/worker.h"
#include "base/child.h"
#include "base/file.h"
#include "base/str.h"
#include "maps/index.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_REFUSED = 3 }; /* what it wrote is the reason */

/* ---- the child ---- */
#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif
#if defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* Only these calls from here on. Sanitizers need more than we allow, and other processors have other numbers: there the
 * limits below must do. */
static int allow_little(struct err *e)
{
#if defined(ARCH) && !SANITIZED
    static const int allowed[] = {SYS_read,    SYS_write,    SYS_mmap, SYS_munmap,     SYS_mremap,      SYS_brk,
                                  SYS_madvise, SYS_mprotect, SYS_exit, SYS_exit_group, SYS_rt_sigreturn};
    struct sock_filter f[LENGTH(allowed) + 6];
    unsigned n = 0, left = LENGTH(allowed);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < LENGTH(allowed); i++, left--)
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i], (uint8_t)left, 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)n, f};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return err_sys(e, "give up system calls");
#else
    (void)e;
#endif
    return 0;
}

static int limit(struct err *e)
{
    static const struct {
        int what;
        rlim_t most;
        bool sanitized; /* kept under sanitizers too, whose shadow memory is terabytes */
    } limits[] = {{RLIMIT_AS, MAPS_WORKER_MEMORY, false},
                  {RLIMIT_CPU, MAPS_WORKER_CPU, true},
                  {RLIMIT_CORE, 0, true},
                  {RLIMIT_NOFILE, 0, false}};
    (void)close_range(3, ~0u, 0); /* nothing of the server's is to be had, should one ever stay open across exec */
    (void)alarm(3 * MAPS_WORKER_CPU);
    for (size_t i = 0; i < LENGTH(limits); i++)
        if ((limits[i].sanitized || !SANITIZED) &&
            setrlimit((__rlimit_resource_t)limits[i].what, &(struct rlimit){limits[i].most, limits[i].most}) < 0)
            return err_sys(e, "set limits");
    return allow_little(e);
}

static int read_all(char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(STDIN_FILENO, p + at, n - at);
        if (got <= 0)
            return -1;
        at += (size_t)got;
    }
    return 0;
}

static int make_index(str map, str minified, struct buf *out, struct err *e)
{
    struct arena a = {0};
    struct sourcemap m;
    if (sourcemap_read(map, &a, &m, e) < 0 || (minified.n && sourcemap_read_minified(&m, minified, e) < 0))
        return -1;
    if (!m.mapped)
        return err_set(e, ERR_INPUT, "the map maps nothing: it has %zu mappings, none of them with a source", m.n);
    map_index_write(&m, out);
    return 0; /* what it holds goes with the process */
}

int maps_worker_main(void)
{
    struct err e;
    uint64_t n[2];
    struct buf out = BUF_INIT(UINT32_MAX);
    if (limit(&e) < 0)
        goto refused;
    if (read_all((char *)n, sizeof n) < 0 || n[0] > MAPS_WORKER_MEMORY || n[1] > MAPS_WORKER_MEMORY)
        return 1;
    char *bytes = xmalloc((size_t)(n[0] + n[1]) + 1);
    if (read_all(bytes, (size_t)(n[0] + n[1])) < 0)
        return 1;
    if (make_index(str_n(bytes, (size_t)n[0]), str_n(bytes + n[0], (size_t)n[1]), &out, &e) == 0)
        return write_all(STDOUT_FILENO, buf_view(&out)) < 0;
refused:
    return write_all(STDOUT_FILENO, str_of(e.text)) < 0 ? 1 : EXIT_REFUSED;
}

/* ---- the server's side ---- */
static int start(int in, int out, pid_t *ret, struct err *e)
{
    static char *const argv[] = {"logd", MAPS_WORKER, NULL}, *const envp[] = {NULL};
    int code = child_start("/proc/self/exe", argv, envp, in, out, ret);
    errno = code;
    return code ? err_sys(e, "start a reader of source maps") : 0;
}

/* What it left in the file, once it has ended. */
static int collect(pid_t pid, int out, struct buf *ret_index, struct err *e)
{
    int status;
    struct buf got = BUF_INIT(UINT32_MAX);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(e, "wait for the reader of source maps");
    off_t size = lseek(out, 0, SEEK_END);
    size_t n = 0;
    if (size > 0 && size < UINT32_MAX && buf_room(&got, (size_t)size) && pread_all(out, got.p, (size_t)size, 0, &n) < 0)
        return err_sys(e, "read what the reader of source maps wrote");
    got.n = n;
    int rc = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REFUSED)
        rc = err_set(e, ERR_INPUT, "%.*s", STR_ARG(str_head(buf_view(&got), 300)));
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        rc = err_set(e, ERR_INPUT, "the map cannot be read within %u MiB and %d s: its reader ended with %s %d",
                     MAPS_WORKER_MEMORY >> 20, MAPS_WORKER_CPU, WIFSIGNALED(status) ? "signal" : "code",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    else if (!map_index_check(buf_view(&got)))
        rc = err_set(e, ERR_INPUT, "the map cannot be read: its reader wrote no index");
    else
        buf_str(ret_index, buf_view(&got));
    buf_done(&got);
    return rc;
}

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER; /* so that memory is bounded once */

int maps_worker_run(str map, str minified, struct buf *ret_index, struct err *e)
{
    uint64_t n[2] = {map.n, minified.n};
    int pipes[2], out = memfd_create("source-map-index", MFD_CLOEXEC), rc;
    pid_t pid;
    if (out < 0 || pipe2(pipes, O_CLOEXEC) < 0) {
        rc = err_sys(e, "start a reader of source maps");
        if (out >= 0)
            close(out);
        return rc;
    }
    pthread_mutex_lock(&one_at_a_time);
    rc = start(pipes[0], out, &pid, e);
    close(pipes[0]);
    if (rc == 0) /* a child that has ended already tells why by itself */
        (void)!(write_all(pipes[1], str_n((const char *)n, sizeof n)) == 0 && write_all(pipes[1], map) == 0 &&
                write_all(pipes[1], minified) == 0);
    close(pipes[1]);
    if (rc == 0)
        rc = collect(pid, out, ret_index, e);
    pthread_mutex_unlock(&one_at_a_time);
    close(out);
    return rc;
}
