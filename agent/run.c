#include "agent/run.h"
#include "agent/alarm.h"
#include "agent/health.h"
#include "agent/inputs.h"
#include "agent/ledger.h"
#include "agent/send.h"
#include "agent/state.h"
#include "agent/thin.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define LOOK_EVERY (USEC_PER_SEC / 4)
#define LOOK_MOST (2 * USEC_PER_SEC) /* opening ten thousand files takes long, but once */
#define TELL_NEWS_EVERY (10 * USEC_PER_SEC)
#define TELL_EVERY (60 * USEC_PER_SEC)
#define LOOK_SHARE 50         /* looking at very many files takes at most this part of a processor */
#define BODY_MAX (128u << 20) /* a batch, and at worst as many events after it as a joiner holds */
enum { ZSTD_LEVEL = 3, GZIP_LEVEL = 4 };

struct agent {
    struct follow follow;
    struct pending pending;
    struct sender *sender;
    struct buf body; /* the batch before it is compressed */
    int dirfd;
    size_t batch_max; /* events; falls when a batch is too large for the server */
    bool dirty;       /* the state on disk is older than what is known */
    bool kept;        /* the batch under way is on disk */
    usec looked, look_cost;
    const struct agent_config *config;
    struct alarm alarm;
    struct health *health;
    usec rest;         /* before it no batch is made: more than the rate went out */
    usec told;         /* when the ledger was; 0: never */
    uint64_t told_seq; /* the batch that came after it */
};

static volatile sig_atomic_t stopping;
static void on_signal(int n)
{
    (void)n;
    stopping = 1;
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal}; /* without SA_RESTART: a nap ends at once */
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGINT, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* A descriptor per live file. */
static void raise_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static usec look_due(const struct agent *a)
{
    usec share = a->look_cost * LOOK_SHARE < LOOK_MOST ? a->look_cost * LOOK_SHARE : LOOK_MOST;
    return a->looked + (share > LOOK_EVERY ? share : LOOK_EVERY);
}

static void look(struct agent *a)
{
    usec now = clock_mono();
    if (a->looked && now < look_due(a))
        return;
    follow_scan(&a->follow, now);
    a->looked = clock_mono();
    a->look_cost = a->looked - now;
}

static void tell_health(struct buf *b, void *arg)
{
    const struct agent *a = arg;
    const char *why, *server = sender_server(a->sender);
    usec since = sender_failing(a->sender, &why), now = clock_mono();
    buf_printf(b, "agent %s is running, version %s, pid %d\n", a->pending.agent, LOGD_VERSION, (int)getpid());
    if (since)
        buf_printf(b, "no server takes anything since %lld s, the last one was %s: %s\n", (now - since) / USEC_PER_SEC,
                   server, why);
    else
        buf_printf(b, "%s takes what it is sent\n", server);
    if (a->pending.under_way && sender_due(a->sender) > now)
        buf_printf(b, "it is tried again in %lld s\n", (sender_due(a->sender) - now) / USEC_PER_SEC + 1);
    ledger_print(&a->follow, &a->pending, b);
}

static bool on_tick(void *arg)
{
    struct agent *a = arg;
    look(a);
    health_nap(a->health, 0, tell_health, a);
    return !stopping;
}

/* ---- a batch ---- */

static void compress_zstd(str from, struct buf *to)
{
    size_t n = ZSTD_compress(to->p, to->cap, from.p, from.n, ZSTD_LEVEL);
    assert(!ZSTD_isError(n)); /* there is room, and memory is all it can lack */
    to->n = n;
}

static void compress_gzip(str from, struct buf *to)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from.p,
                  .avail_in = (uInt)from.n,
                  .next_out = (Bytef *)to->p,
                  .avail_out = (uInt)to->cap};
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    int rc = deflate(&z, Z_FINISH);
    assert(rc == Z_STREAM_END);
    (void)rc;
    to->n = z.total_out;
    deflateEnd(&z);
}

static void compress_body(struct pending *p, str body)
{
    buf_reset(&p->body);
    (void)buf_room(&p->body, ZSTD_compressBound(body.n) + body.n / 100 + 1024); /* enough for either */
    (p->gzip ? compress_gzip : compress_zstd)(body, &p->body);
}

static void save(struct agent *a)
{
    struct err e;
    a->kept = state_save(a->dirfd, &a->follow, &a->pending, &e) == 0;
    a->dirty = !a->kept;
    a->follow.news = false;
    if (!a->kept)
        log_error("state", "what=\"nothing is sent until the state can be kept: %s\"", e.text);
}

/* Takes what is unread into a batch, and remembers it. */
static void make_batch(struct agent *a)
{
    buf_reset(&a->body);
    uint32_t events = follow_fill(&a->follow, &a->body, a->batch_max);
    assert(!a->body.full);
    if (events == 0) {
        follow_acked(&a->follow, 0, NULL, 0); /* blank lines, or none */
        return;
    }
    compress_body(&a->pending, buf_view(&a->body));
    a->pending.events = events;
    a->pending.under_way = true;
    if (a->config->rate)
        a->rest = clock_mono() + (usec)((double)a->body.n * USEC_PER_SEC / (double)a->config->rate);
    save(a);
    if (a->body.cap > 2 * BATCH_BYTES)
        buf_done(&a->body);
}

static void end_batch(struct agent *a, const struct refused *r)
{
    follow_acked(&a->follow, r->n, r->at, r->at_n);
    a->pending.duplicates += r->known ? a->pending.events : 0;
    a->pending.seq++;
    a->pending.under_way = false;
    a->dirty = true;
}

/* Back to the files; the next batch is another one. */
static void give_back(struct agent *a)
{
    follow_unsent(&a->follow);
    a->pending.seq++;
    a->pending.under_way = false;
    a->dirty = true;
}

static void too_large(struct agent *a)
{
    struct refused all = {.n = a->pending.events};
    if (a->pending.events == 1 || a->batch_max == 1) {
        log_error("send", "what=\"a line is too large for the server and is dropped\" bytes=%zu events=%u",
                  a->pending.body.n, a->pending.events);
        end_batch(a, &all);
        return;
    }
    a->batch_max = a->pending.events / 2;
    log_warn("send", "what=\"a batch is too large for the server, smaller ones are sent\" events=%zu", a->batch_max);
    give_back(a);
}

static void send_batch(struct agent *a)
{
    struct refused r;
    switch (sender_send(a->sender, &a->pending, on_tick, a, &r)) {
    case SENT_TAKEN:
        a->batch_max = a->batch_max * 2 < BATCH_EVENTS ? a->batch_max * 2 : BATCH_EVENTS;
        end_batch(a, &r);
        break;
    case SENT_REFUSED:
        r = (struct refused){.n = a->pending.events};
        end_batch(a, &r);
        break;
    case SENT_LARGE: too_large(a); break;
    case SENT_ENCODING:
        log_info("send", "what=\"the server does not read zstd, gzip is sent\"");
        a->pending.gzip = true;
        give_back(a);
        break;
    case SENT_CONFLICT:
        log_error("send", "what=\"the state is older than what was sent: lines may be stored twice\"");
        pending_new_agent(&a->pending);
        save(a);
        break;
    case SENT_LATER: break;
    }
}

static void tell(struct agent *a, bool (*tick)(void *))
{
    struct buf b = BUF_INIT(1u << 20);
    ledger_put(&a->follow, &a->pending, &b);
    a->told_seq = a->pending.seq;
    sender_report(a->sender, buf_view(&b), tick, a);
    a->told = clock_mono();
    buf_done(&b);
}

/* Soon after something changed, and every while so that it is seen that we live. */
static void tell_when_due(struct agent *a)
{
    usec every = a->told_seq == a->pending.seq ? TELL_EVERY : TELL_NEWS_EVERY;
    if (!a->pending.under_way && (a->told == 0 || clock_mono() - a->told >= every))
        tell(a, on_tick);
}

static void mail_when_due(struct agent *a)
{
    struct outage o = {.host = a->follow.host};
    o.since = sender_failing(a->sender, &o.why);
    if (!alarm_due(&a->alarm, a->config, o.since, clock_mono()))
        return;
    o.lag = ledger_lag(&a->follow);
    alarm_mail(&a->alarm, a->config, &o, on_tick, a);
}

/* The last word, if somebody listens. */
static void tell_end(struct agent *a)
{
    const char *why;
    if (!a->pending.under_way && a->told_seq != a->pending.seq && sender_failing(a->sender, &why) == 0)
        tell(a, NULL);
}

static void nap(struct agent *a, usec until)
{
    usec left = until - clock_mono();
    if (!stopping)
        health_nap(a->health, left > 1000 ? left : 1000, tell_health, a);
}

/* Removes the files of a spool that are full: that one, or all. */
static void remove_full(const struct source *s, const struct file *which)
{
    char pattern[PATH_MAX + 8];
    struct stat st;
    glob_t g;
    snprintf(pattern, sizeof pattern, "%s.*", s->path);
    if (glob(pattern, GLOB_NOSORT, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc; i++)
            if (!which || (stat(g.gl_pathv[i], &st) == 0 && st.st_ino == which->ino && st.st_dev == which->dev))
                (void)unlink(g.gl_pathv[i]);
    globfree(&g);
}

/* What was taken whole is of no more use. `ended`: all of it was. */
static void empty_spools(struct agent *a, bool ended)
{
    for (size_t i = 0; i < a->follow.n; i++) {
        struct source *s = a->follow.sources[i];
        if (!shaper_input(s->shaper))
            continue;
        for (size_t k = 0; k < s->n; k++)
            if (s->files[k]->done && s->files[k]->ino) {
                remove_full(s, s->files[k]);
                s->files[k]->ino = s->files[k]->dev = 0; /* its number is given away */
            }
        if (ended)
            remove_full(s, NULL);
    }
}

/* Sees to it that none holds more than it may. */
static bool thin_spools(struct agent *a)
{
    bool more = false;
    for (size_t i = 0; i < a->follow.n; i++) {
        struct source *s = a->follow.sources[i];
        if (!shaper_input(s->shaper))
            continue;
        s->dropped += inputs_lost(s->path);
        more |= thin_spool(&a->follow, s, a->config->spool);
    }
    return more;
}

static void loop(struct agent *a)
{
    while (!stopping) {
        if (inputs_ended() && follow_all_taken(&a->follow)) {
            empty_spools(a, true);
            return;
        }
        usec pause = look_due(a);
        look(a);
        if (thin_spools(a))
            pause = 0;
        if (a->follow.news)
            save(a); /* so that what happens to a new file while nobody looks is found out */
        if (!a->pending.under_way && a->rest <= clock_mono())
            make_batch(a);
        if (a->pending.under_way && !a->kept)
            save(a);
        if (a->pending.under_way && a->kept && sender_due(a->sender) <= clock_mono())
            send_batch(a);
        tell_when_due(a);
        mail_when_due(a);
        if (!a->pending.under_way && a->rest <= clock_mono() && follow_more(&a->follow))
            continue; /* what is to be kept goes with the next batch */
        if (!a->pending.under_way && a->dirty)
            save(a);
        empty_spools(a, false);
        if (a->rest > clock_mono() && a->rest < pause)
            pause = a->rest;
        if (a->pending.under_way && a->kept && sender_due(a->sender) < pause)
            pause = sender_due(a->sender);
        nap(a, pause);
    }
}

/* ---- start ---- */

/* A state that cannot be read is put aside: lines that come twice are better than none. */
static int load(struct agent *a, const char *dir, struct err *e)
{
    if (state_load(dir, &a->follow, &a->pending, e) == 0)
        return 0;
    if (e->kind != ERR_CORRUPT)
        return -1;
    log_error("state", "what=\"all files are read from their start: %s\" kept_as=\"state.bad\"", e->text);
    if (renameat(a->dirfd, "state", a->dirfd, "state.bad") < 0)
        return err_sys(e, "rename '%s/state'", dir);
    return 0;
}

static int take_state(struct agent *a, const struct agent_config *c, int *ret_lock, struct err *e)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/lock", c->state) >= (int)sizeof path)
        return err_set(e, ERR_INPUT, "--state: the name of the folder is too long");
    if (dir_make(c->state, e) < 0)
        return -1;
    if ((*ret_lock = file_lock(path, e)) < 0)
        return e->kind == ERR_FULL ? err_set(e, ERR_FULL, "another agent runs on the state folder '%s'", c->state) : -1;
    a->dirfd = dir_open(c->state, e);
    return a->dirfd < 0 ? -1 : 0;
}

/* The patterns of all sources, each with the shaper of its source. */
static int follow_sources(struct follow *fo, const struct agent_config *c, struct shaper **shapers, struct err *e)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < c->sources_n; i++)
        n += c->sources[i].files_n;
    char **patterns = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < c->sources_n; i++)
        for (size_t k = 0; k < c->sources[i].files_n; k++)
            patterns[at++] = c->sources[i].files[k];
    follow_init(fo, patterns, n);
    free(patterns);
    at = 0;
    for (size_t i = 0; i < c->sources_n; i++) {
        struct shape shape = c->sources[i].shape;
        shape.host = fo->host;
        if (!(shapers[i] = shaper_new(&shape, e)))
            return -1;
        for (size_t k = 0; k < c->sources[i].files_n; k++)
            fo->shapers[at++] = shapers[i];
    }
    return 0;
}

int run_agent(struct agent_config *c, struct err *e)
{
    struct agent a = {.config = c, .body = BUF_INIT(BODY_MAX), .dirfd = -1, .batch_max = BATCH_EVENTS, .kept = true};
    struct shaper **shapers = NULL;
    int lock = -1;
    catch_signals();
    pending_init(&a.pending);
    a.sender = sender_new(c, e);
    int rc = a.sender ? take_state(&a, c, &lock, e) : -1;
    if (rc == 0)
        rc = inputs_open(c, e);
    if (rc == 0) {
        shapers = xcalloc(c->sources_n + 1, sizeof(struct shaper *));
        rc = follow_sources(&a.follow, c, shapers, e);
    }
    if (rc == 0)
        rc = load(&a, c->state, e);
    if (rc == 0)
        rc = health_open(c->state, &a.health, e);
    if (rc == 0) {
        raise_files();
        rc = inputs_start(e);
    }
    if (rc == 0) {
        log_info("agent", "what=started version=%s state=\"%s\"", LOGD_VERSION, c->state);
        loop(&a);
        tell_end(&a);
        if (a.dirty || a.pending.under_way)
            save(&a);
        log_info("agent", "what=stopped");
    }
    health_close(a.health);
    sender_free(a.sender);
    follow_done(&a.follow);
    for (size_t i = 0; shapers && i < c->sources_n; i++)
        shaper_free(shapers[i]);
    free(shapers);
    pending_done(&a.pending);
    buf_done(&a.body);
    if (a.dirfd >= 0)
        close(a.dirfd);
    if (lock >= 0)
        close(lock);
    return rc;
}
