#include "agent/health.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (64u << 20)

struct health {
    char path[PATH_MAX];
    int fd;
};

/* A socket and the address of `sock`; *ret_dir is to be closed after the address was used. */
static int address(const char *state, char path[PATH_MAX], struct sockaddr_un *ret, int *ret_dir, struct err *e)
{
    if (snprintf(path, PATH_MAX, "%s/sock", state) >= PATH_MAX)
        return err_set(e, ERR_INPUT, "--state: the name of the folder is too long");
    if (unix_address(path, ret, ret_dir, e) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? err_sys(e, "socket") : fd;
}

int health_open(const char *state, struct health **ret, struct err *e)
{
    struct sockaddr_un a;
    int dir = -1, rc = 0;
    struct health *h = xcalloc(1, sizeof *h);
    h->fd = address(state, h->path, &a, &dir, e);
    if (h->fd >= 0) {
        (void)unlink(h->path); /* of one that was killed: the state folder is locked */
        if (bind(h->fd, (struct sockaddr *)&a, sizeof a) < 0 || chmod(h->path, 0600) < 0 || listen(h->fd, 8) < 0)
            rc = err_sys(e, "listen on '%s'", h->path);
    }
    if (dir >= 0)
        close(dir);
    if (h->fd < 0 || rc < 0) {
        health_close(h);
        return -1;
    }
    *ret = h;
    return 0;
}

void health_close(struct health *h)
{
    if (!h)
        return;
    if (h->fd >= 0) {
        close(h->fd);
        (void)unlink(h->path);
    }
    free(h);
}

static void answer(int client, str text)
{
    struct timeval most = {.tv_sec = 1};
    (void)setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    usec end = clock_mono() + USEC_PER_SEC;
    while (text.n && clock_mono() < end) {
        ssize_t n = send(client, text.p, text.n, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        text = str_skip(text, (size_t)n);
    }
}

void health_nap(struct health *h, usec left, void (*tell)(struct buf *out, void *arg), void *arg)
{
    struct pollfd p = {.fd = h->fd, .events = POLLIN};
    usec until = clock_mono() + left;
    do {
        left = until - clock_mono();
        struct timespec t = {left > 0 ? left / USEC_PER_SEC : 0, left > 0 ? left % USEC_PER_SEC * 1000 : 0};
        if (ppoll(&p, 1, &t, NULL) <= 0)
            return;
        int client = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            return;
        struct buf b = BUF_INIT(ANSWER_MAX);
        tell(&b, arg);
        answer(client, buf_view(&b));
        close(client);
        buf_done(&b);
    } while (clock_mono() < until);
}

int health_ask(const char *state, struct buf *out, struct err *e)
{
    char path[PATH_MAX];
    struct sockaddr_un a;
    struct timeval most = {.tv_sec = 10};
    int dir = -1, rc = 0, fd = address(state, path, &a, &dir, e);
    ssize_t n = 1;
    if (fd < 0)
        rc = -1;
    else if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) < 0 ||
             connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        rc = err_set(e, ERR_REMOTE, "'%s': %s", path, strerror(errno));
    while (rc == 0 && n > 0 && buf_room(out, 64 << 10))
        if ((n = read(fd, out->p + out->n, 64 << 10)) > 0)
            out->n += (size_t)n;
    if (rc == 0 && (n < 0 || out->n == 0))
        rc = err_set(e, ERR_REMOTE, "'%s': the agent does not answer", path);
    if (dir >= 0)
        close(dir);
    if (fd >= 0)
        close(fd);
    return rc;
}
