#include "agent/inputs.h"

#include "agent/host.h"
#include "agent/journald.h"
#include "agent/spool.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE_PIECE = 64 << 10, DATAGRAM_MAX = 64 << 10 };
#define OUTPUT_MAX (1u << 20) /* of a command that runs once */
#define JOURNALD_PAUSE (10 * USEC_PER_SEC)

struct input {
    void *(*run)(void *);
    struct spool *spool;
    const struct exec_config *exec;
    const struct agent_config *config;
    struct journald *journald;
    int fd; /* the syslog socket */
    atomic_bool ended;
};
static struct { /* never freed: threads use it until the process ends */
    struct input *all;
    size_t n;
    bool only_stdin;
} inputs;

static void nap(usec t)
{
    struct timespec left = {t / USEC_PER_SEC, t % USEC_PER_SEC * 1000};
    (void)nanosleep(&left, NULL);
}

/* ---- the threads ---- */

static void *run_host(void *arg)
{
    struct input *in = arg;
    struct host *h = host_new(in->config->host_units, in->config->host_units_n);
    struct buf b = BUF_INIT(1u << 20);
    for (;;) {
        buf_reset(&b);
        host_sample(h, clock_now(), &b);
        spool_add(in->spool, str_n(b.p, b.n - 1));
        nap(in->config->host_every);
    }
    return NULL;
}

/* Writes whole lines; what has no end yet is kept in b, up to a piece. */
static void add_lines(struct spool *s, struct buf *b, bool end)
{
    size_t n = b->n;
    while (n > 0 && b->p[n - 1] != '\n')
        n--;
    if (n == 0 && (end || b->n >= LINE_PIECE))
        n = b->n;
    if (n == 0)
        return;
    spool_add(s, str_n(b->p, n - (b->p[n - 1] == '\n')));
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    if (end && b->n)
        add_lines(s, b, true);
}

static void *run_stdin(void *arg)
{
    struct input *in = arg;
    struct buf b = BUF_INIT(4 * LINE_PIECE);
    for (;;) {
        if (!buf_room(&b, LINE_PIECE))
            break;
        ssize_t n = read(STDIN_FILENO, b.p + b.n, LINE_PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        b.n += (size_t)n;
        add_lines(in->spool, &b, false);
    }
    add_lines(in->spool, &b, true);
    buf_done(&b);
    atomic_store(&in->ended, true);
    return NULL;
}

/* A message may have lines; in the spool it is one, with #012 between as syslog daemons write it. */
static void *run_syslog(void *arg)
{
    struct input *in = arg;
    char *message = xmalloc(DATAGRAM_MAX);
    struct buf line = BUF_INIT(4 * DATAGRAM_MAX);
    for (;;) {
        ssize_t n = recv(in->fd, message, DATAGRAM_MAX, 0);
        if (n <= 0)
            continue;
        str text = str_trim(str_n(message, (size_t)n));
        buf_reset(&line);
        for (size_t i = 0; i < text.n; i++)
            if (text.p[i] == '\n')
                buf_lit(&line, "#012");
            else
                buf_byte(&line, text.p[i]);
        if (line.n)
            spool_add(in->spool, buf_view(&line));
    }
    return NULL;
}

/* What comes until it ends, at most OUTPUT_MAX, and until `end`. False: it went on. */
static bool read_output(int fd, struct buf *b, usec end)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        usec left = end - clock_mono();
        int ready = left > 0 ? poll(&p, 1, (int)(left / 1000) + 1) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || b->n >= OUTPUT_MAX || !buf_room(b, LINE_PIECE))
            return false;
        ssize_t n = read(fd, b->p + b->n, LINE_PIECE);
        if (n <= 0)
            return n == 0;
        b->n += (size_t)n;
    }
}

static void run_once(struct input *in, struct buf *b)
{
    char *command = in->exec->command, *argv[] = {"sh", "-c", command, NULL};
    usec end = clock_mono() + in->exec->timeout;
    int out[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid;
    bool ended = false;
    buf_reset(b);
    if (pipe2(out, O_CLOEXEC) < 0)
        out[0] = out[1] = -1;
    int failed = out[0] < 0 ? errno : child_start("/bin/sh", argv, environ, nothing, out[1], &pid);
    if (out[1] >= 0)
        close(out[1]);
    if (!failed) {
        ended = read_output(out[0], b, end);
        close(out[0]); /* first: it may write for ever */
        int code = child_wait(pid, ended && end > clock_mono() ? end - clock_mono() : 0);
        if (code != 0)
            log_warn("exec", "what=\"'%s' %s\" code=%d", command,
                     code < 0 ? "took too long or wrote too much, and was ended" : "failed", code);
        add_lines(in->spool, b, true);
    } else {
        log_error("exec", "what=\"cannot run '%s': %s\"", command, strerror(failed));
        if (out[0] >= 0)
            close(out[0]);
    }
    if (nothing >= 0)
        close(nothing);
}

static void *run_exec(void *arg)
{
    struct input *in = arg;
    struct buf b = BUF_INIT(2 * OUTPUT_MAX);
    for (;; nap(in->exec->every))
        run_once(in, &b);
    return NULL;
}

/* Waits when servers are away, and when the disk is full: the journal keeps what it has. */
static void *run_journald(void *arg)
{
    struct input *in = arg;
    struct buf line = BUF_INIT(1u << 20), cursor = BUF_INIT(4096);
    struct err e;
    for (;;) {
        buf_reset(&line);
        int rc = journald_next(in->journald, &line, &cursor, &e);
        if (rc < 0) {
            log_error("journald", "what=\"%s\"", e.text);
            nap(JOURNALD_PAUSE);
        }
        while (rc > 0 && (spool_waits(in->spool) || !spool_add_placed(in->spool, buf_view(&line), buf_view(&cursor))))
            nap(USEC_PER_SEC);
    }
    return NULL;
}

/* ---- start ---- */

static int listen_on(const char *path, int *ret, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path)
        return err_set(e, ERR_INPUT, "syslog: expected a path of at most %zu bytes, got %zu", sizeof a.sun_path - 1,
                       strlen(path));
    memcpy(a.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || chmod(path, 0666) < 0) {
        (void)err_sys(e, "listen on '%s'", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *ret = fd;
    return 0;
}

/* An input of that name; its spool is a source. */
static struct input *add(struct agent_config *c, const char *name, enum line_format format, void *(*run)(void *),
                         struct err *e)
{
    struct input in = {.run = run, .config = c, .fd = -1};
    if (spool_open(c->state, name, c->spool, &in.spool, e) < 0)
        return NULL;
    char *path = xstrdup(spool_path(in.spool));
    struct source_config *s = agent_config_add(c, &path, 1);
    free(path);
    s->shape.input = s->input = xstrdup(name);
    s->shape.format = format;
    s->shape.join = format == LINE_AUTO ? JOIN_AUTO : JOIN_NONE;
    inputs.all[inputs.n] = in;
    return &inputs.all[inputs.n++];
}

int inputs_open(struct agent_config *c, struct err *e)
{
    struct input *in = NULL;
    inputs.all = xcalloc(4 + c->execs_n, sizeof *inputs.all);
    inputs.only_stdin = c->standard_input && c->sources_n == 0 && !c->host_every && !c->syslog && !c->execs_n &&
                        !c->journald.on;
    if (c->standard_input && !add(c, "stdin", LINE_AUTO, run_stdin, e))
        return -1;
    if (c->host_every && !add(c, "host", LINE_JSON, run_host, e))
        return -1;
    if (c->syslog && (!(in = add(c, "syslog", LINE_SYSLOG, run_syslog, e)) || listen_on(c->syslog, &in->fd, e) < 0))
        return -1;
    if (c->journald.on && (!(in = add(c, "journald", LINE_JSON, run_journald, e)) ||
                           journald_open(&c->journald, spool_place(in->spool), zone_here(), &in->journald, e) < 0))
        return -1;
    for (size_t i = 0; i < c->execs_n; i++) {
        if (!(in = add(c, c->execs[i].name, LINE_AUTO, run_exec, e)))
            return -1;
        in->exec = &c->execs[i];
    }
    return 0;
}

int inputs_start(struct err *e)
{
    sigset_t every, before; /* signals are the main thread's */
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    int failed = 0;
    for (size_t i = 0; i < inputs.n; i++) {
        pthread_t t;
        if (!failed && !(failed = pthread_create(&t, NULL, inputs.all[i].run, &inputs.all[i])))
            pthread_detach(t);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    return failed ? err_sys(e, "start a thread") : 0;
}

uint64_t inputs_lost(const char *spool)
{
    for (size_t i = 0; i < inputs.n; i++)
        if (strcmp(spool_path(inputs.all[i].spool), spool) == 0)
            return spool_lost(inputs.all[i].spool);
    return 0;
}

bool inputs_ended(void) { return inputs.only_stdin && atomic_load(&inputs.all[0].ended); }
