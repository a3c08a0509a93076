#include "statsd.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fold.h"
#include "journal/journal.h"
#include "routes/auth.h"
#include "routes/post.h"
#include "stats/gather.h"
#include "stats/unique.h"

#include <linux/sock_diag.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PACKETS = 64, RECEIVE_BUFFER = 32 << 20, UDP = 0, LOCAL = 1, SOCKETS = 2, ROUNDS = 32 };
#define WARN_EVERY (60 * USEC_PER_SEC)

/* A record that the journal had no room for. */
struct again {
    struct batch *b;
    struct again *next;
};
struct statsd {
    struct parts *parts;
    char app[LIMIT_APP + 1];
    uint32_t app_id;
    int fd[SOCKETS], wake; /* -1: not configured */
    char *path;            /* of the Unix socket */
    pthread_t thread;
    bool started;
    _Atomic bool stopping;

    /* the thread's own */
    struct gather *gather;
    struct event_writer *writer;
    struct batch *events;      /* NULL: none in this second */
    struct unique_batch *ids;  /* of sets, in this second; NULL: none */
    struct buf key, json, set; /* set: an id, wiped */
    int64_t second;            /* that numbers are added up for */
    usec warned[STATSD_REASONS];
    char (*packet)[STATSD_PACKET];

    pthread_mutex_t lock; /* of `again` */
    struct again *again;
    size_t again_n;
    _Atomic uint64_t packets, lines, numbers, event_count, refused[STATSD_REASONS];
};

static void add(_Atomic uint64_t *c, uint64_t n) { atomic_fetch_add_explicit(c, n, memory_order_relaxed); }

static void refuse(struct statsd *s, enum statsd_reason why, uint64_t n)
{
    usec now = clock_mono();
    add(&s->refused[why], n);
    if (s->warned[why] && now - s->warned[why] < WARN_EVERY)
        return;
    s->warned[why] = now;
    log_warn("statsd", "what=\"a line was refused: %s\" reason=%s so_far=%llu", statsd_reasons[why].sentence,
             statsd_reasons[why].name, (unsigned long long)s->refused[why]);
}

/* ---- to the journal ---- */
static void count_events(struct batch *b)
{
    struct post_count *c = &post_counts[b->app < POST_APPS ? b->app : POST_APPS - 1];
    if (b->type != RECORD_EVENTS)
        return;
    add(&c->accepted, b->events);
    add(&c->stored, b->events);
}

/* In the journal's thread. */
static void on_done(struct batch *b, void *arg)
{
    struct statsd *s = arg;
    bool full = b->status == BATCH_FULL, kept = false;
    pthread_mutex_lock(&s->lock);
    if (full && s->again_n < STATSD_RETRIES) {
        struct again *a = xmalloc(sizeof *a);
        *a = (struct again){b, s->again};
        s->again = a;
        s->again_n++;
        kept = true;
    }
    pthread_mutex_unlock(&s->lock);
    if (kept)
        return;
    if (b->status == BATCH_OK)
        count_events(b);
    else
        add(&s->refused[STATSD_NOT_TAKEN], b->events);
    batch_free(b);
}

static void submit(struct statsd *s, struct batch *b)
{
    b->done = on_done;
    b->arg = s;
    journal_submit(s->parts->journal, b);
}

static struct batch *new_batch(struct statsd *s, enum record_type type)
{
    struct batch *b = batch_new(type, s->app_id, batch_stamp(&s->parts->last_stamp, clock_now()));
    memcpy(b->id_key, s->parts->id_key, sizeof b->id_key);
    return b;
}

static void offer_again(struct statsd *s)
{
    pthread_mutex_lock(&s->lock);
    struct again *all = s->again;
    s->again = NULL;
    s->again_n = 0;
    pthread_mutex_unlock(&s->lock);
    while (all) {
        struct again *next = all->next;
        submit(s, all->b);
        free(all);
        all = next;
    }
}

static void flush_ids(struct statsd *s)
{
    if (!s->ids)
        return;
    struct batch *b = batch_new(RECORD_UNIQUE, s->app_id, 0); /* it has no time */
    unique_write(s->ids, b);
    unique_batch_free(s->ids);
    s->ids = NULL;
    if (b->body.n)
        submit(s, b);
    else
        batch_free(b);
}

/* What came in a second gets that second's time. */
static void flush(struct statsd *s, int64_t second)
{
    bool all = false;
    offer_again(s);
    while (!all && gather_waits(s->gather)) {
        struct batch *b = new_batch(s, RECORD_STATS);
        all = gather_flush(s->gather, s->second * USEC_PER_SEC, b);
        if (b->events)
            submit(s, b);
        else
            batch_free(b); /* sums of less than one */
    }
    if (s->events)
        submit(s, s->events);
    s->events = NULL;
    flush_ids(s);
    s->second = second;
}

/* ---- one line ---- */
static void take_event(struct statsd *s, const struct statsd_line *l)
{
    enum statsd_reason why;
    struct err e;
    size_t n;
    const struct config *c = s->parts->config;
    struct event_source src = {.app = str_of(s->app),
                               .now = clock_now(),
                               .max_event = (uint32_t)c->limits.event,
                               .max_fields = c->limits.fields,
                               .max_depth = c->limits.depth,
                               .max_events = c->limits.events};
    buf_reset(&s->json);
    if (statsd_event(l, &s->json, &why) < 0) {
        refuse(s, why, 1);
        return;
    }
    if (!s->events)
        s->events = new_batch(s, RECORD_EVENTS);
    if (event_add(s->writer, &src, buf_view(&s->json), s->events, &n, &e) < 0)
        refuse(s, e.kind == ERR_FULL ? STATSD_TOO_MANY : STATSD_BAD_EVENT, 1);
    else
        add(&s->event_count, 1);
}

static enum statsd_reason reason_of(const struct err *e)
{
    if (e->kind == ERR_FULL)
        return STATSD_TOO_MANY;
    if (str_eq(str_of(e->pointer), S("/type")))
        return STATSD_OTHER_TYPE;
    return str_starts(str_of(e->pointer), S("/labels")) ? STATSD_BAD_LABEL : STATSD_BAD_NAME;
}

static struct gathered *make_series(struct statsd *s, const struct statsd_line *l, str key)
{
    static const str types[] = {
        [STATSD_COUNT] = S("count"), [STATSD_GAUGE] = S("gauge"), [STATSD_TIMING] = S("timing")};
    struct statsd_tag tag[STATSD_TAGS];
    str names[STATSD_TAGS], values[STATSD_TAGS];
    struct gathered *made;
    struct err e = {0};
    size_t n;
    struct db *known = fold_reader(s->parts->fold, &e);
    if (statsd_tags(l->tags, tag, &n) < 0 || l->time > clock_now() + 86400 * USEC_PER_SEC) {
        refuse(s, STATSD_BAD_TAGS, 1);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        names[i] = tag[i].name;
        values[i] = tag[i].value;
    }
    struct gather_series series = {s->app_id, l->name, types[l->kind], names, values, n, l->time};
    if (!known || gather_make(s->gather, key, &series, known, &made, &e) < 0) {
        refuse(s, known ? reason_of(&e) : STATSD_NOT_TAKEN, 1);
        return NULL;
    }
    return made;
}

static void take_numbers(struct statsd *s, const struct statsd_line *l)
{
    str values = l->values;
    bool by;
    double v;
    int rc;
    buf_reset(&s->key);
    buf_str(&s->key, l->name);
    buf_byte(&s->key, '\0');
    buf_str(&s->key, l->series);
    struct gathered *series = gather_find(s->gather, buf_view(&s->key));
    if (!series && !(series = make_series(s, l, buf_view(&s->key))))
        return;
    while ((rc = statsd_value(&values, &v, &by)) != 0)
        if (rc < 0 || !gather_add(s->gather, series, v, l->kind == STATSD_GAUGE ? 1 : 1 / l->rate, by))
            refuse(s, STATSD_BAD_VALUE, 1);
        else
            add(&s->numbers, 1);
}

static void put_member(struct buf *out, const char *name, str value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_json(out, value);
}

/* A set's value is the id of a unique: as if it had been posted, and forgotten at once. */
static void take_id(struct statsd *s, const struct statsd_line *l)
{
    struct statsd_tag tag[STATSD_TAGS];
    struct err e = {0};
    size_t n;
    usec now = clock_now();
    struct db *known = fold_reader(s->parts->fold, &e);
    if (statsd_tags(l->tags, tag, &n) < 0) {
        refuse(s, STATSD_BAD_TAGS, 1);
        return;
    }
    buf_reset(&s->set);
    buf_lit(&s->set, "{\"type\":\"unique\"");
    put_member(&s->set, "name", l->name);
    put_member(&s->set, "value", l->values);
    buf_lit(&s->set, ",\"labels\":{");
    for (size_t i = 0; i < n; i++) {
        buf_str(&s->set, i ? S(",") : S(""));
        buf_json(&s->set, tag[i].name);
        buf_byte(&s->set, ':');
        buf_json(&s->set, tag[i].value);
    }
    buf_lit(&s->set, "}}");
    if (!s->ids)
        s->ids = unique_batch_new(s->parts->secrets, s->app_id, s->parts->config->unique_year, now);
    struct batch *b = batch_new(RECORD_STATS, s->app_id, 0);
    if (!known || stats_read(buf_view(&s->set), now, known, s->ids, b, &e) < 0) {
        refuse(s, STATSD_NOT_TAKEN, 1);
    } else if (b->rejected) {
        snprintf(e.pointer, sizeof e.pointer, "%s", b->first_pointer);
        e.kind = ERR_INPUT;
        refuse(s, str_eq(str_of(e.pointer), S("/value")) ? STATSD_BAD_VALUE : reason_of(&e), 1);
    } else {
        add(&s->numbers, 1);
    }
    batch_free(b);
    buf_reset(&s->set);
}

static void take_line(struct statsd *s, str line)
{
    struct statsd_line l;
    enum statsd_reason why;
    add(&s->lines, 1);
    if (statsd_read(line, &l, &why) < 0)
        refuse(s, why, 1);
    else if (l.kind == STATSD_SET)
        take_id(s, &l);
    else if (l.kind == STATSD_EVENT || l.kind == STATSD_CHECK)
        take_event(s, &l);
    else
        take_numbers(s, &l);
}

static void take_packet(struct statsd *s, str packet, bool cut)
{
    add(&s->packets, 1);
    if (cut) {
        refuse(s, STATSD_TOO_LONG, 1);
        return;
    }
    while (packet.n) {
        str line = str_cut(&packet, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n)
            take_line(s, line);
    }
}

/* ---- packets ---- */
/* Some of what has arrived; false: nothing was left. */
static bool receive(struct statsd *s, int fd)
{
    struct mmsghdr m[PACKETS];
    struct iovec v[PACKETS];
    for (size_t i = 0; i < PACKETS; i++) {
        v[i] = (struct iovec){s->packet[i], STATSD_PACKET};
        m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &v[i], .msg_iovlen = 1}};
    }
    int n = fd < 0 ? 0 : recvmmsg(fd, m, PACKETS, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        take_packet(s, str_n(s->packet[i], m[i].msg_len), m[i].msg_hdr.msg_flags & MSG_TRUNC);
    for (int i = 0; s->ids && i < n; i++) /* they may hold ids */
        explicit_bzero(s->packet[i], m[i].msg_len);
    return n == PACKETS;
}

static void look_at_clock(struct statsd *s)
{
    int64_t second = clock_now() / USEC_PER_SEC;
    if (second != s->second)
        flush(s, second);
}

static void *run(void *arg)
{
    struct statsd *s = arg;
    pthread_setname_np(pthread_self(), "statsd");
    struct pollfd p[] = {{s->fd[UDP], POLLIN, 0}, {s->fd[LOCAL], POLLIN, 0}, {s->wake, POLLIN, 0}};
    s->second = clock_now() / USEC_PER_SEC;
    while (!s->stopping) {
        usec left = USEC_PER_SEC - clock_now() % USEC_PER_SEC;
        (void)poll(p, LENGTH(p), (int)(left / 1000) + 1);
        for (int i = 0, more = 1; more && i < ROUNDS; i++) {
            more = receive(s, s->fd[UDP]);
            more |= receive(s, s->fd[LOCAL]);
            look_at_clock(s);
        }
    }
    for (int i = 0; i < SOCKETS; i++)
        while (receive(s, s->fd[i]))
            ;
    flush(s, 0);
    return NULL;
}

/* ---- opening ---- */
/* As much as the kernel gives: a second of packets arrives while this thread is not on a processor. */
static void enlarge(int fd)
{
    int want = RECEIVE_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof want) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof want);
}

static int open_udp(struct statsd *s, const char *address, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE},
                    *found;
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    char host[64], port[8];
    str rest = str_of(address);
    const char *colon = strrchr(address, ':');
    bool six = address[0] == '[';
    snprintf(port, sizeof port, "%s", colon + 1);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address) - 2 * six, rest.p + six);
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return err_set(e, ERR_INPUT, "statsd.udp: %s cannot be listened on", address);
    int fd = s->fd[UDP] = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 ? err_sys(e, "statsd.udp: listen on %s", address)
                                                                       : 0;
    freeaddrinfo(found);
    if (rc < 0)
        return -1;
    enlarge(fd);
    if (getsockname(fd, (struct sockaddr *)&bound, &n) == 0 &&
        getnameinfo((struct sockaddr *)&bound, n, NULL, 0, port, sizeof port, NI_NUMERICSERV) == 0)
        log_info("statsd", "what=listening udp=%.*s:%s app=%s", (int)(colon - address), address, port, s->app);
    return 0;
}

/* Any local process may write to it, as to the port. A socket that a killed server left behind goes. */
static int open_local(struct statsd *s, const char *path, struct err *e)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof at.sun_path)
        return err_set(e, ERR_INPUT, "statsd.unix: expected a path of at most %zu bytes", sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path));
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
    int fd = s->fd[LOCAL] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || chmod(path, 0666) < 0)
        return err_sys(e, "statsd.unix: listen on %s", path);
    s->path = xstrdup(path);
    enlarge(fd);
    log_info("statsd", "what=listening unix=%s app=%s", path, s->app);
    return 0;
}

static int find_app(struct statsd *s, const char *name, struct err *e)
{
    snprintf(s->app, sizeof s->app, "%s", name);
    if (auth_app_find(s->parts->auth, str_of(name), &s->app_id))
        return 0;
    return auth_app_add(s->parts->auth, str_of(name), &s->app_id, e) < 0 ? err_wrap(e, "statsd.app") : 0;
}

int statsd_start(struct parts *p, struct statsd **ret, struct err *e)
{
    const struct config *c = p->config;
    struct statsd *s = xcalloc(1, sizeof *s);
    s->parts = p;
    s->fd[UDP] = s->fd[LOCAL] = -1;
    pthread_mutex_init(&s->lock, NULL);
    buf_init(&s->key, 2 * STATSD_PACKET);
    buf_init(&s->json, 16 * STATSD_PACKET);
    buf_init(&s->set, 16 * STATSD_PACKET);
    s->set.secret = true;
    s->packet = xcalloc(PACKETS, sizeof *s->packet);
    s->writer = event_writer_new();
    if ((s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        err_sys(e, "statsd");
        goto fail;
    }
    if (find_app(s, c->statsd.app, e) < 0 || (c->statsd.udp && open_udp(s, c->statsd.udp, e) < 0) ||
        (c->statsd.path && open_local(s, c->statsd.path, e) < 0))
        goto fail;
    s->gather = gather_new();
    if (pthread_create(&s->thread, NULL, run, s) != 0) {
        err_set(e, ERR_SYS, "statsd: no thread can be started");
        goto fail;
    }
    s->started = true;
    *ret = s;
    return 0;
fail:
    statsd_free(s);
    return -1;
}

void statsd_stop(struct statsd *s)
{
    if (!s->started)
        return;
    s->stopping = true;
    (void)eventfd_write(s->wake, 1);
    pthread_join(s->thread, NULL);
    s->started = false;
}

void statsd_free(struct statsd *s)
{
    if (!s)
        return;
    assert(!s->started);
    if (s->path)
        (void)unlink(s->path);
    for (int i = 0; i < SOCKETS; i++)
        if (s->fd[i] >= 0)
            close(s->fd[i]);
    if (s->wake >= 0)
        close(s->wake);
    for (struct again *a; (a = s->again);) {
        s->again = a->next;
        batch_free(a->b);
        free(a);
    }
    gather_free(s->gather);
    event_writer_free(s->writer);
    pthread_mutex_destroy(&s->lock);
    buf_done(&s->key);
    buf_done(&s->json);
    buf_done(&s->set);
    unique_batch_free(s->ids);
    free(s->packet);
    free(s->path);
    free(s);
}

static uint64_t dropped(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t n = sizeof info;
    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &n) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

void statsd_get_stats(struct statsd *s, struct statsd_stats *ret)
{
    *ret = (struct statsd_stats){s->packets, s->lines, s->numbers, s->event_count, {0}, dropped(s->fd[UDP])};
    for (size_t i = 0; i < STATSD_REASONS; i++)
        ret->refused[i] = s->refused[i];
}
