/* archive/archive.c - the archive thread: ships what is new every `every`, and what was asked for.
 *
 * Order of a shipment: sealed segments, state, journal tail, manifest, then deletions. The state goes before the tail
 * so that a restored fold is never ahead of the restored journal. What a segment and the state's position have made
 * superfluous is deleted only after the manifest that no longer names it was written. */
#include "archive/archive.h"
#include "archive/ship.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "journal/journal.h"
#include "routes/auth.h"

#include <pthread.h>
#include <time.h>

struct archive {
    struct shipper ship; /* the thread's, or the holder of `busy` */
    char *data;
    char lineage[33];
    pthread_t thread;
    pthread_mutex_t busy; /* one user of `ship` at a time */
    pthread_mutex_t lock; /* stats, flags */
    pthread_cond_t wake;
    bool stopping, woken, claimed;
    usec failing; /* clock_mono() of the first failure behind the last success; 0: none */
    struct archive_stats stats;
};

static int read_manifest(struct shipper *s, struct manifest *ret, struct err *e)
{
    struct buf text = BUF_INIT(256u << 20);
    int rc = objects_get(s->objects, "manifest.json", &text, e);
    if (rc == 0)
        rc = manifest_read(ret, buf_view(&text), e);
    buf_done(&text);
    return rc;
}

static int write_manifest(struct shipper *s, struct err *e)
{
    struct buf text = BUF_INIT(256u << 20);
    manifest_print(&s->manifest, &text);
    int rc = objects_put(s->objects, "manifest.json", buf_view(&text), e);
    buf_done(&text);
    return rc;
}

static int fenced(struct archive *a, struct err *e)
{
    pthread_mutex_lock(&a->lock);
    a->stats.fenced = true;
    pthread_mutex_unlock(&a->lock);
    return err_set(e, ERR_DENIED, "another logd has taken over this archive: this one no longer ships");
}

/* A folder that was set back (a snapshot, an old copy) would number new records like others that are in the archive. */
static int not_ahead(struct archive *a, const struct manifest *there, struct err *e)
{
    struct journal_stats j;
    journal_stats(a->ship.parts->journal, &j);
    if (there->position <= j.last_seq)
        return 0;
    return err_set(
        e, ERR_DENIED,
        "the archive is ahead of this data folder, at record %llu to %llu: restore from it, or use another prefix",
        (unsigned long long)there->position, (unsigned long long)j.last_seq);
}

/* Takes the next generation; the first time on an empty prefix, or one that this server's lineage wrote. */
static int claim(struct archive *a, struct err *e)
{
    struct shipper *s = &a->ship;
    struct manifest there = {0};
    int rc = read_manifest(s, &there, e);
    if (rc < 0 && e->kind != ERR_GONE)
        goto out;
    if (rc == 0 && strcmp(there.lineage, a->lineage) != 0) {
        rc = err_set(e, ERR_DENIED, "the archive belongs to another logd: restore from it, or use another prefix");
        goto out;
    }
    if (rc == 0 && (rc = not_ahead(a, &there, e)) < 0)
        goto out;
    manifest_done(&s->manifest);
    s->manifest = there;
    there = (struct manifest){0};
    memcpy(s->manifest.lineage, a->lineage, sizeof a->lineage);
    s->manifest.generation++;
    rc = write_manifest(s, e);
    a->claimed = rc == 0;
out:
    manifest_done(&there);
    return rc;
}

static int still_ours(struct archive *a, struct err *e)
{
    struct manifest there = {0};
    int rc = read_manifest(&a->ship, &there, e);
    if (rc == 0 && (there.generation != a->ship.manifest.generation || strcmp(there.lineage, a->lineage) != 0))
        rc = fenced(a, e);
    manifest_done(&there);
    return rc;
}

/* Journal pieces whose records are all in shipped segments and in the state; the newest file's stay, so that a restored
 * journal goes on with the next number. */
static void drop_old_pieces(struct shipper *s, uint64_t events_seq, uint64_t fold_seq)
{
    struct manifest *m = &s->manifest;
    struct journal_end end;
    journal_end(s->parts->journal, &end);
    uint64_t newest = 0, through = events_seq < fold_seq ? events_seq : fold_seq;
    for (size_t i = 0; i < m->n; i++)
        if (m->objects[i].kind == OBJECT_JOURNAL && m->objects[i].file > newest)
            newest = m->objects[i].file;
    for (uint64_t file = 0; file < newest;) { /* a file goes whole or stays whole */
        uint64_t next = newest, last = 0;
        for (size_t i = 0; i < m->n; i++) {
            const struct object *x = &m->objects[i];
            if (x->kind == OBJECT_JOURNAL && x->file > file && x->file < next)
                next = x->file;
        }
        if (next == newest)
            return;
        file = next;
        for (size_t i = 0; i < m->n; i++)
            if (m->objects[i].kind == OBJECT_JOURNAL && m->objects[i].file == file && m->objects[i].last > last)
                last = m->objects[i].last;
        char window[40]; /* until its duplicate window is there too, only the file itself knows its ids */
        snprintf(window, sizeof window, "journal/%08llu.w", (unsigned long long)file);
        if (last > through || (file >= end.first_file && !manifest_target(m, window)))
            return;
        for (size_t i = m->n; i-- > 0;)
            if (m->objects[i].kind == OBJECT_JOURNAL && m->objects[i].file == file)
                manifest_remove(m, i);
    }
}

static bool names(const struct manifest *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->objects[i].name, name) == 0)
            return true;
    return false;
}

/* Objects of the manifest before that the one after does not name. */
static void delete_unnamed(struct shipper *s, char **before, size_t n)
{
    struct err e;
    for (size_t i = 0; i < n; i++) {
        if (!names(&s->manifest, before[i]) && objects_delete(s->objects, before[i], &e) < 0)
            log_warn("archive", "what=\"an object that is no longer needed stays\" why=\"%s\"", e.text);
        free(before[i]);
    }
    free(before);
}

static int ship_all(struct archive *a, struct err *e)
{
    struct shipper *s = &a->ship;
    uint64_t events_seq, fold_seq, was = s->manifest.position;
    if (!a->claimed ? claim(a, e) < 0 : still_ours(a, e) < 0)
        return -1;
    size_t n = s->manifest.n;
    char **before = xcalloc(n, sizeof *before);
    for (size_t i = 0; i < n; i++)
        before[i] = xstrdup(s->manifest.objects[i].name);
    int rc = ship_segments(s, &events_seq, e);
    if (rc == 0)
        rc = ship_state(s, &fold_seq, e);
    if (rc == 0)
        rc = ship_windows(s, e);
    if (rc == 0)
        rc = ship_maps(s, e);
    if (rc == 0)
        rc = ship_journal(s, e);
    if (rc == 0) {
        drop_old_pieces(s, events_seq, fold_seq);
        rc = write_manifest(s, e);
    }
    if (rc == 0)
        s->events_seq = events_seq;
    if (rc < 0) {
        /* What the manifest there says is the truth; what was put without being named is put again. */
        a->claimed = false;
        s->manifest.position = was;
        s->state_versions[0] = s->state_versions[1] = 0;
        n = 0;
    }
    if (n)
        delete_unnamed(s, before, n);
    else
        free(before);
    return rc;
}

static int ship_and_note(struct archive *a, struct err *e)
{
    pthread_mutex_lock(&a->busy);
    usec from = clock_now();
    int rc = a->stats.fenced ? fenced(a, e) : ship_all(a, e);
    pthread_mutex_lock(&a->lock);
    struct archive_stats *st = &a->stats;
    if (rc == 0) {
        st->position = a->ship.manifest.position;
        st->events_position = a->ship.events_seq;
        st->last_ship = from;
        st->ships++;
        st->last_error[0] = '\0';
        st->refused = false;
        a->failing = 0;
    } else {
        st->failures++;
        st->refused = e->kind == ERR_DENIED;
        a->failing = a->failing ? a->failing : clock_mono();
        snprintf(st->last_error, sizeof st->last_error, "%.250s", e->text);
    }
    st->objects = a->ship.manifest.n;
    st->bytes = a->ship.bytes;
    pthread_mutex_unlock(&a->lock);
    pthread_mutex_unlock(&a->busy);
    return rc;
}

static void *archive_main(void *arg)
{
    struct archive *a = arg;
    pthread_setname_np(pthread_self(), "archive");
    bool stop = false, told = false; /* that it is over */
    while (!stop) {
        struct err e;
        struct timespec until;
        const struct config *c = a->ship.parts->config;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += c->archive.every / USEC_PER_SEC;
        pthread_mutex_lock(&a->lock);
        while (!a->stopping && !a->woken && pthread_cond_timedwait(&a->wake, &a->lock, &until) == 0)
            ;
        a->woken = false;
        stop = a->stopping;
        pthread_mutex_unlock(&a->lock);
        if (ship_and_note(a, &e) < 0 && !told) {
            told = a->stats.fenced; /* only this thread or one that it waited for sets it, and nobody unsets it */
            log_error("archive", "what=\"%s\" why=\"%s\"", told ? "shipping has ended" : "not shipped, will try again",
                      e.text);
        }
    }
    return NULL;
}

int archive_start(struct parts *p, const char *data, struct archive **ret, struct err *e)
{
    const struct config *c = p->config;
    struct archive *a = xcalloc(1, sizeof *a);
    pthread_condattr_t attr;
    uint8_t key[32];
    struct buf hex = BUF_INIT(64), spool = BUF_INIT(PATH_MAX);
    buf_printf(&spool, "%s/spool%c", data, '\0');
    if (objects_open(c, c->archive.url, &a->ship.objects, e) < 0 || dir_make(spool.p, e) < 0) {
        objects_close(a->ship.objects);
        buf_done(&spool);
        free(a);
        return -1;
    }
    a->data = xstrdup(data);
    a->ship.data = a->data;
    a->ship.parts = p;
    auth_server_key(p->auth, "archive lineage", key);
    buf_hex(&hex, key, 16);
    memcpy(a->lineage, hex.p, 32);
    buf_done(&hex);
    buf_done(&spool);
    pthread_mutex_init(&a->busy, NULL);
    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->wake, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&a->thread, NULL, archive_main, a);
    assert(rc == 0);
    (void)rc;
    *ret = a;
    return 0;
}

static void wake(struct archive *a, bool stop)
{
    pthread_mutex_lock(&a->lock);
    a->woken = true;
    a->stopping |= stop;
    pthread_cond_broadcast(&a->wake);
    pthread_mutex_unlock(&a->lock);
}

void archive_stop(struct archive *a)
{
    wake(a, true);
    pthread_join(a->thread, NULL);
    objects_close(a->ship.objects);
    manifest_done(&a->ship.manifest);
    free(a->data);
    free(a);
}

void archive_sealed(struct archive *a, const char *path, uint64_t first_seq, uint64_t last_seq)
{
    (void)path;
    (void)first_seq;
    (void)last_seq; /* the thread finds it in the folder, as it does after a restart */
    wake(a, false);
}

int archive_ship(struct archive *a, struct err *e) { return ship_and_note(a, e); }

uint64_t archive_position(struct archive *a)
{
    pthread_mutex_lock(&a->lock);
    uint64_t seq = a->stats.position;
    pthread_mutex_unlock(&a->lock);
    return seq;
}

void archive_get_stats(struct archive *a, struct archive_stats *ret)
{
    struct journal_stats js;
    journal_stats(a->ship.parts->journal, &js);
    pthread_mutex_lock(&a->lock);
    *ret = a->stats;
    ret->failing_us = a->failing ? clock_mono() - a->failing : 0;
    pthread_mutex_unlock(&a->lock);
    ret->lag_us = js.last_seq > ret->position ? clock_now() - (ret->last_ship ? ret->last_ship : a->ship.parts->started)
                                              : 0;
}

/* ---- looking at it ---- */
int archive_list_json(struct archive *a, struct buf *out, struct err *e)
{
    struct manifest there = {0};
    pthread_mutex_lock(&a->busy);
    int rc = read_manifest(&a->ship, &there, e);
    pthread_mutex_unlock(&a->busy);
    if (rc == 0)
        manifest_print(&there, out);
    manifest_done(&there);
    return rc;
}

/* Reads every object that the manifest names and compares its SHA-256. */
int archive_verify_json(struct archive *a, struct buf *out, struct err *e)
{
    struct manifest there = {0};
    struct buf body = BUF_INIT(SIZE_MAX / 2);
    size_t bad = 0;
    uint64_t bytes = 0;
    pthread_mutex_lock(&a->busy);
    int rc = read_manifest(&a->ship, &there, e);
    buf_lit(out, "{\"damaged\":[");
    for (size_t i = 0; rc == 0 && i < there.n; i++) {
        struct err why;
        buf_reset(&body);
        int got = objects_get(a->ship.objects, there.objects[i].name, &body, &why);
        if (got == 0)
            got = object_check(&there.objects[i], buf_view(&body), &why);
        bytes += body.n;
        if (got == 0)
            continue;
        buf_str(out, bad++ ? S(",{\"name\":") : S("{\"name\":"));
        buf_json(out, str_of(there.objects[i].name));
        buf_lit(out, ",\"error\":");
        buf_json(out, str_of(why.text));
        buf_byte(out, '}');
    }
    pthread_mutex_unlock(&a->busy);
    buf_printf(out, "],\"objects\":%zu,\"bytes\":%llu,\"position\":%llu,\"whole\":%s}", there.n,
               (unsigned long long)bytes, (unsigned long long)there.position, bad ? "false" : "true");
    buf_done(&body);
    manifest_done(&there);
    return rc;
}
