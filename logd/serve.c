/* serve.c - `logd serve`: opens the parts in order, introduces them to each other, and stops them in reverse.
 *
 * Order: data folder and its lock, logd.db, journal, store, the port (mails link to it), fold and mail; then the store reads
 * again what is not sealed, while the fold does the same in its thread; archive, and HTTP last. The loop of this thread
 * handles signals and the timers; everything else runs in threads of its own. */
#include "serve.h"
#include "archive/archive.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "base/yaml.h"
#include "fold.h"
#include "journal/journal.h"
#include "maps/maps.h"
#include "notify/notify.h"
#include "saved.h"
#include "routes/http.h"
#include "statsd.h"
#include "query/tail.h"
#include "stats/unique.h"
#include "store/store.h"

#include <curl/curl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define LOCK_WAIT (3 * USEC_PER_SEC)
enum { TICKS_PER_MINUTE = 12 };

struct server {
    struct parts parts;       /* first: serve_offline hands out its address */
    struct unique_live *live; /* the journal thread's */
    char *data, *socket;
    const struct config **old; /* what reloads replaced, until the end */
    size_t old_n;
    char *bound; /* URL of the port that is listened on; parts.url is the one people use */
    const char *config_file, *data_arg, *listen_arg;
    int lock;
    uv_loop_t loop;
    int signals; /* signalfd: no thread is ever interrupted */
    uv_poll_t signal;
    uv_timer_t timer;
    uv_async_t stop;
    unsigned ticks;
    bool loop_ready;
};

static char *join(const char *dir, const char *name)
{
    struct buf b = BUF_INIT(PATH_MAX);
    buf_printf(&b, "%s/%s", dir, name);
    return buf_take(&b, NULL);
}

/* ---- what the parts tell each other ---- */
static void on_publish(struct batch *b, void *arg)
{
    struct server *s = arg;
    if (b->type == RECORD_EVENTS)
        tail_publish(s->parts.tail, buf_view(&b->body));
    store_append(s->parts.store, b);
}

static void sift(struct batch *b, void *arg)
{
    struct server *s = arg;
    unique_sift(s->live, b->app, &b->body, clock_now());
}

static void sifted(bool durable, void *arg)
{
    struct server *s = arg;
    unique_sifted(s->live, durable);
}

static bool crowded(size_t bytes, void *arg)
{
    struct server *s = arg;
    return store_crowded(s->parts.store, bytes);
}

static void on_fatal(const struct err *e, void *arg)
{
    struct server *s = arg;
    snprintf(s->parts.fatal, sizeof s->parts.fatal, "%s", e->text);
    log_error("journal", "what=\"the disk failed, stopping\" why=\"%s\"", e->text);
    if (s->loop_ready)
        uv_async_send(&s->stop);
}

static void on_sealed(const char *path, uint64_t first_seq, uint64_t last_seq, void *arg)
{
    struct server *s = arg;
    if (s->parts.archive)
        archive_sealed(s->parts.archive, path, first_seq, last_seq);
}

/* What the config says of the app, by its name; one that was removed still has its events. */
static void keep_of(uint32_t app, usec *keep, uint64_t *bytes, void *arg)
{
    struct server *s = arg;
    const struct config *c = s->parts.config;
    char name[LIMIT_APP + 1];
    if (!c->retention.apps_n || !auth_app_name(s->parts.auth, app, name))
        return;
    for (size_t i = 0; i < c->retention.apps_n; i++) {
        const struct config_app_keep *k = &c->retention.apps[i];
        if (strcmp(k->app, name) != 0)
            continue;
        *keep = k->keep ? k->keep : *keep;
        *bytes = k->bytes;
    }
}

/* Journal files go when the store, the fold and the archive are past them. */
static void release_journal(struct server *s)
{
    struct err e;
    uint64_t seq = store_sealed(s->parts.store);
    uint64_t fold = s->parts.fold ? fold_position(s->parts.fold) : 0;
    uint64_t archived = s->parts.archive ? archive_position(s->parts.archive) : UINT64_MAX;
    if (fold < seq)
        seq = fold;
    if (archived < seq)
        seq = archived;
    if (journal_release(s->parts.journal, seq, &e) < 0)
        log_error("journal", "what=\"cannot remove old files\" why=\"%s\"", e.text);
}

/* ---- opening ---- */
/* Everything after the last sealed record is read again into the head. */
static int fill_head(struct server *s, struct err *e)
{
    struct journal_reader *reader;
    struct journal_stats st;
    struct record rec;
    int more;
    if (journal_reader_open(s->parts.journal, store_sealed(s->parts.store), &reader, e) < 0)
        return -1;
    struct batch *b = batch_new(RECORD_EVENTS, 0, 0);
    while ((more = journal_reader_next(reader, 0, &rec, e)) > 0) {
        b->type = rec.type;
        b->app = rec.app;
        b->recv_us = rec.recv_us;
        b->seq = rec.seq;
        b->events = rec.events;
        b->t_min = INT64_MAX;
        b->t_max = INT64_MIN;
        buf_reset(&b->body);
        buf_str(&b->body, rec.body);
        store_wait(s->parts.store);
        store_append(s->parts.store, b);
    }
    batch_free(b);
    journal_reader_close(reader);
    journal_stats(s->parts.journal, &st);
    s->parts.last_stamp = st.last_recv_us;
    return more;
}

static int open_storage(struct server *s, bool offline, struct err *e)
{
    uint8_t key[32];
    const struct config *c = s->parts.config;
    char *db = join(s->data, "logd.db"), *journal = join(s->data, "journal"), *segments = join(s->data, "segments"),
         *maps = join(s->data, "maps");
    struct journal_config jc = {
        .dir = journal, .disk = s->data, .publish = on_publish, .crowded = crowded, .on_fatal = on_fatal, .arg = s};
    if (!offline) {
        jc.sift = sift;
        jc.sifted = sifted;
        s->live = unique_live_new();
    }
    struct store_config sc = {.dir = segments,
                              .memory = c->memory,
                              .keep = c->retention.keep,
                              .keep_bytes = c->retention.bytes,
                              .archived = c->archive.url != NULL,
                              .keep_of = keep_of,
                              .on_sealed = on_sealed,
                              .arg = s};
    if (offline) /* it does not know the config, and changes nothing */
        sc = (struct store_config){.dir = segments, .archived = true};
    s->parts.tail = tail_new();
    int rc = auth_open(db, &s->parts.auth, e);
    if (rc == 0)
        rc = maps_open(maps, &s->parts.maps, e);
    if (rc == 0)
        rc = journal_open(&jc, &s->parts.journal, e);
    if (rc == 0)
        rc = store_open(&sc, &s->parts.store, e);
    if (rc == 0) {
        auth_server_key(s->parts.auth, "event_id", key);
        memcpy(s->parts.id_key, key, sizeof s->parts.id_key);
    }
    free(db);
    free(journal);
    free(segments);
    free(maps);
    return rc;
}

/* An offline command may be at work for a moment; a server stays. */
static int take_lock(const char *path, struct err *e)
{
    usec until = clock_mono() + LOCK_WAIT;
    int fd;
    while ((fd = file_lock(path, e)) < 0 && e->kind == ERR_FULL && clock_mono() < until)
        usleep(20000);
    return fd;
}

static int open_data(struct server *s, bool offline, struct err *e)
{
    char real[PATH_MAX];
    if (dir_make(s->data, e) < 0)
        return -1;
    if (!realpath(s->data, real))
        return err_sys(e, "find '%s'", s->data);
    free(s->data);
    s->data = xstrdup(real);
    char *unfinished = join(s->data, ARCHIVE_UNFINISHED);
    bool whole = access(unfinished, F_OK) < 0;
    free(unfinished);
    if (!whole)
        return err_set(e, ERR_INPUT, "'%s' holds a restore that did not end: empty it and restore again", s->data);
    s->socket = join(s->data, offline ? SERVE_SOCKET_OFFLINE : SERVE_SOCKET);
    char *lock = join(s->data, "LOCK");
    s->lock = offline ? file_lock(lock, e) : take_lock(lock, e);
    free(lock);
    return s->lock < 0 ? -1 : 0;
}

/* What open cells of unique counts have: in fold.db, and in records behind its position. */
static int load_live(struct server *s, struct err *e)
{
    struct db *db = fold_reader(s->parts.fold, e);
    struct journal_reader *r;
    struct record rec;
    int more;
    uint64_t position = fold_position(s->parts.fold);
    if (!db || unique_live_load(s->live, db, s->parts.secrets, e) < 0)
        return -1;
    if (journal_found_unique(s->parts.journal) <= position)
        return 0;
    if (journal_reader_open(s->parts.journal, position, &r, e) < 0)
        return -1;
    while ((more = journal_reader_next(r, 0, &rec, e)) > 0)
        if (rec.type == RECORD_UNIQUE) {
            struct buf body = BUF_INIT(SIZE_MAX / 2);
            buf_str(&body, rec.body);
            unique_sift(s->live, rec.app, &body, clock_now());
            unique_sifted(s->live, true);
            buf_done(&body);
        }
    journal_reader_close(r);
    return more;
}

static void on_mail_trouble(void *arg) { fold_tick(arg); }

/* What follows the journal: it may begin before all events can be found again. */
static int open_followers(struct server *s, struct err *e)
{
    char *db = join(s->data, "fold.db");
    const struct config *c = s->parts.config;
    s->parts.secrets = secrets_open(s->data, clock_now());
    s->parts.fold_unshared = unique_unshared;
    int rc = fold_open(&s->parts, db, &s->parts.fold, e);
    if (rc == 0)
        rc = saved_load(&s->parts, c, e);
    if (rc == 0)
        rc = load_live(s, e);
    if (rc == 0) /* without mail too: a later config may have it */
        rc = mailer_start(db, c, on_mail_trouble, s->parts.fold, &s->parts.mailer, e);
    if (rc == 0)
        rc = fold_start(s->parts.fold, e);
    free(db);
    return rc;
}

/* What adds to the journal or looks for segments: not before the head is whole. */
static int open_rest(struct server *s, struct err *e)
{
    const struct config *c = s->parts.config;
    if (c->archive.url && archive_start(&s->parts, s->data, &s->parts.archive, e) < 0)
        return -1;
    return c->statsd.udp || c->statsd.path ? statsd_start(&s->parts, &s->parts.statsd, e) : 0;
}

static void close_all(struct server *s)
{
    struct parts *p = &s->parts;
    p->stopping = true;
    if (p->http)
        http_stop(p->http);
    if (p->statsd)
        statsd_stop(p->statsd);
    if (p->fold)
        fold_stop(p->fold);
    if (p->mailer)
        mailer_stop(p->mailer);
    if (p->journal)
        release_journal(s); /* the next start reads what is left; the archive is still there to say how far it is */
    if (p->archive)
        archive_stop(p->archive);
    if (p->journal)
        journal_close(p->journal);
    statsd_free(p->statsd);
    tail_free(p->tail);
    store_close(p->store);
    if (p->fold)
        fold_close(p->fold);
    unique_live_free(s->live);
    secrets_close(p->secrets);
    maps_close(p->maps);
    if (p->auth)
        auth_close(p->auth);
    if (s->lock >= 0)
        close(s->lock);
    config_free((struct config *)p->config);
    for (size_t i = 0; i < s->old_n; i++)
        config_free((struct config *)s->old[i]);
    free(s->old);
    free(p->url);
    free(s->bound);
    free(s->data);
    free(s->socket);
}

/* ---- the loop ---- */
static void on_stop(uv_async_t *h) { uv_stop(h->loop); }
static bool differ(const char *a, const char *b) { return !a != !b || (a && strcmp(a, b) != 0); }

/* What a reload cannot change is said, so that nobody waits for it. */
static void say_what_waits(const struct server *s, const struct config *c)
{
    const struct config *was = s->old_n ? s->old[0] : s->parts.config; /* what it was started with */
    const struct {
        const char *key;
        bool changed;
    } keys[] = {{"listen", !s->listen_arg && differ(was->listen, c->listen)},
                {"data", !s->data_arg && differ(was->data, c->data)},
                {"url", differ(was->url, c->url)},
                {"memory", was->memory != c->memory},
                {"tls", !was->tls_cert != !c->tls_cert},
                {"mail", !was->mail.url && !was->webhooks_n && (c->mail.url || c->webhooks_n)},
                {"statsd", differ(was->statsd.udp, c->statsd.udp) || differ(was->statsd.path, c->statsd.path) ||
                               differ(was->statsd.app, c->statsd.app)},
                {"archive", differ(was->archive.url, c->archive.url) ||
                                differ(was->archive.endpoint, c->archive.endpoint) ||
                                differ(was->archive.region, c->archive.region) ||
                                differ(was->archive.access_key, c->archive.access_key) ||
                                differ(was->archive.secret_key, c->archive.secret_key)}};
    struct buf names = BUF_INIT(200);
    for (size_t i = 0; i < LENGTH(keys); i++)
        if (keys[i].changed)
            buf_printf(&names, "%s%s", names.n ? "," : "", keys[i].key);
    if (names.n)
        log_warn("main", "what=\"changes take effect with the next start\" keys=%.*s", STR_ARG(buf_view(&names)));
    buf_done(&names);
}

/* A bad file leaves the old config and rules in force and says why. */
static void reload(struct server *s)
{
    struct config *c = NULL;
    struct err e;
    if (config_load(s->config_file, &c, &e) < 0 || saved_load(&s->parts, c, &e) < 0) {
        log_error("main", "what=\"reload refused, the old config and rules stay\" why=\"%s\"", e.text);
        fold_rules_refused(s->parts.fold, e.text);
        config_free(c);
        return;
    }
    say_what_waits(s, c);
    if (c->tls_cert && http_reload_tls(s->parts.http, c->tls_cert, c->tls_key, &e) < 0)
        log_error("main", "what=\"the certificate was not reloaded\" why=\"%s\"", e.text);
    if (s->parts.mailer)
        mailer_config(s->parts.mailer, c);
    s->old = xrealloc(s->old, (s->old_n + 1) * sizeof *s->old); /* a thread may still read it */
    s->old[s->old_n++] = s->parts.config;
    s->parts.config = c;
    store_retention(s->parts.store, c->retention.keep, c->retention.bytes); /* asks the new one about apps */
    log_info("main", "what=reloaded");
}

static void on_signal(uv_poll_t *h, int status, int events)
{
    struct server *s = h->data;
    struct signalfd_siginfo got;
    (void)status, (void)events;
    if (read(s->signals, &got, sizeof got) != sizeof got)
        return;
    if (got.ssi_signo == SIGHUP) {
        reload(s);
        return;
    }
    log_info("main", "what=stopping signal=%u", got.ssi_signo);
    uv_stop(h->loop);
}

/* The store merges what the archive has: it knows segments by their ranges. */
static void tell_archived(struct server *s)
{
    struct archive_stats st;
    if (!s->parts.archive)
        return;
    archive_get_stats(s->parts.archive, &st);
    store_archived(s->parts.store, st.events_position);
}

static void on_timer(uv_timer_t *h)
{
    struct server *s = h->data;
    release_journal(s);
    tell_archived(s);
    secrets_tick(s->parts.secrets, clock_now());
    if (++s->ticks % TICKS_PER_MINUTE == 0)
        auth_tick(s->parts.auth, clock_now());
}

/* Before any thread is there: all have the mask of this one. */
static int prepare_loop(struct server *s, struct err *e)
{
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ours, NULL);
    s->signals = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signals < 0)
        return err_sys(e, "make a descriptor for signals");
    uv_loop_init(&s->loop);
    s->signal.data = s->timer.data = s;
    uv_async_init(&s->loop, &s->stop, on_stop);
    uv_poll_init(&s->loop, &s->signal, s->signals);
    uv_timer_init(&s->loop, &s->timer);
    uv_poll_start(&s->signal, UV_READABLE, on_signal);
    uv_timer_start(&s->timer, on_timer, 60000 / TICKS_PER_MINUTE, 60000 / TICKS_PER_MINUTE);
    s->loop_ready = true;
    return 0;
}

static void say_first_user(struct server *s)
{
    char *token = auth_first_token(s->parts.auth, clock_now());
    if (token)
        fprintf(stderr, "logd: no user yet: open %s/first#%s to become the administrator (valid for 48 hours)\n",
                s->parts.url, token);
    free(token);
}

/* Whether what is counted now can be told apart after a restart, and by whom. */
static void say_secrets(struct server *s)
{
    bool locked;
    const char *folder = secrets_folder(s->parts.secrets, &locked);
    if (folder)
        log_info("stats", "what=\"secrets of unique counts\" folder=\"%s\"", folder);
    else
        log_warn("stats",
                 "what=\"no tmpfs is ours: secrets of unique counts are kept in memory only, and the numbers of"
                 " open periods become ranges with a restart\"");
    if (!locked)
        log_warn("stats", "what=\"secrets of unique counts may be swapped out: they could not be locked in memory\"");
}

static const char serve_help[] =
    "usage: logd serve [--config F] [--data DIR] [--listen ADDR:PORT] [--test-clock]\n"
    "\n"
    "Runs the server. With no config at all: data in ./logd-data, 127.0.0.1:5080, no mail, no archive.\n"
    "Prints one line to stdout when it accepts requests. SIGTERM stops it, SIGHUP rereads config and rules.\n"
    "\n"
    "  --config F           logd.yaml: see logd.conf(5)\n"
    "  --data DIR           where everything is kept\n"
    "  --listen ADDR:PORT   port 0 picks a free one\n"
    "  --test-clock         for tests: the wall clock can be moved forward through DIR/sock\n"
    "\n"
    "example: logd serve --config /etc/logd/logd.yaml\n";

/* 0 go on, 1 help was asked for, -1 wrong usage. */
static int read_options(struct server *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"data", required_argument, NULL, 'd'},
        {"listen", required_argument, NULL, 'l'}, {"test-clock", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},         {0}};
    int o;
    optind = 1;
    opterr = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'c': s->config_file = optarg; break;
        case 'd': s->data_arg = optarg; break;
        case 'l': s->listen_arg = optarg; break;
        case 't': s->parts.test_clock = true; break;
        case 'h': fputs(serve_help, stdout); return 1;
        default:
            fprintf(stderr, "logd: serve: %s '%s': see logd serve --help\n",
                    optopt ? "a value is missing after" : "unknown option", argv[optind - 1]);
            return -1;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "logd: serve: unexpected argument '%s'\n", argv[optind]);
        return -1;
    }
    return 0;
}

static int start(struct server *s, bool offline, struct err *e)
{
    const struct config *c = s->parts.config;
    s->lock = -1;
    const char *listen = offline ? NULL : s->listen_arg ? s->listen_arg : c->listen;
    if (listen && http_address_check(listen, e) < 0)
        return -1;
    umask(027);
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    s->data = xstrdup(s->data_arg ? s->data_arg : c->data);
    s->parts.started = clock_now();
    if (open_data(s, offline, e) < 0 || open_storage(s, offline, e) < 0 ||
        http_open(&s->parts, listen, &s->parts.http, &s->bound, e) < 0)
        return -1;
    s->parts.url = c->url || s->bound ? xstrdup(c->url ? c->url : s->bound) : NULL;
    /* An offline command leaves out everything that acts on its own. */
    if ((!offline && open_followers(s, e) < 0) || fill_head(s, e) < 0 || (!offline && open_rest(s, e) < 0))
        return -1;
    return http_start(s->parts.http, s->socket, e);
}

int serve_main(int argc, char **argv)
{
    static struct server *s; /* it stays: a late thread's last look at it must not crash the exit */
    struct config *c;
    struct err e;
    s = xcalloc(1, sizeof *s);
    int asked = read_options(s, argc, argv), code = 1;
    if (asked != 0) {
        free(s);
        return asked > 0 ? 0 : 2;
    }
    if (config_load(s->config_file, &c, &e) < 0) {
        fprintf(stderr, "logd: config: %s\n", e.text);
        free(s);
        return 1;
    }
    s->parts.config = c;
    prctl(PR_SET_DUMPABLE, 0); /* no core file: what was posted a moment ago is still in memory */
    if (prepare_loop(s, &e) < 0 || start(s, false, &e) < 0) {
        fprintf(stderr, "logd: serve: %s\n", e.text);
        goto out;
    }
    say_first_user(s);
    printf("logd: listening on %s\n", s->bound);
    fflush(stdout);
    log_info("main", "what=started url=%s data=%s", s->bound, s->data);
    say_secrets(s);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    code = s->parts.fatal[0] ? 1 : 0;
out:
    close_all(s);
    if (code == 0)
        log_info("main", "what=stopped");
    return code;
}

int serve_offline(const char *data, struct parts **ret, struct err *e)
{
    struct server *s = xcalloc(1, sizeof *s);
    struct config *c;
    s->data_arg = data;
    if (config_load(NULL, &c, e) < 0) {
        free(s);
        return -1;
    }
    s->parts.config = c;
    if (start(s, true, e) < 0) {
        close_all(s);
        free(s);
        return -1;
    }
    *ret = &s->parts;
    return 0;
}

void serve_offline_stop(struct parts *p)
{
    struct server *s = (struct server *)p;
    close_all(s);
    free(s);
}
