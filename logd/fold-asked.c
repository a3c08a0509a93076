/* fold-asked.c - what other threads ask of the fold, and tell it: under its lock, or from fold.db through a connection of
 * their own. */
#include "fold-private.h"
#include "base/clock.h"
#include "base/str.h"

#include <time.h>

bool fold_wait(struct fold *f, uint64_t seq, usec wait)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + wait % USEC_PER_SEC * NSEC_PER_USEC;
    until.tv_sec += wait / USEC_PER_SEC + ns / NSEC_PER_SEC;
    until.tv_nsec = ns % NSEC_PER_SEC;
    pthread_mutex_lock(&f->lock);
    while (f->position < seq && pthread_cond_timedwait(&f->moved, &f->lock, &until) == 0)
        ;
    bool there = f->position >= seq;
    pthread_mutex_unlock(&f->lock);
    return there;
}

uint64_t fold_position(struct fold *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t seq = f->position;
    pthread_mutex_unlock(&f->lock);
    return seq;
}

void fold_set_rules(struct fold *f, struct rules_set *set)
{
    pthread_mutex_lock(&f->lock);
    rules_set_free(f->next_rules);
    f->next_rules = set;
    f->refused[0] = '\0';
    pthread_mutex_unlock(&f->lock);
}

void fold_rules_refused(struct fold *f, const char *why)
{
    pthread_mutex_lock(&f->lock);
    snprintf(f->refused, sizeof f->refused, "%s", why);
    pthread_mutex_unlock(&f->lock);
}

void fold_tick(struct fold *f) { f->tick_now = true; }

static pthread_key_t reader_key;
static pthread_once_t reader_once = PTHREAD_ONCE_INIT;

static void close_reader(void *db) { db_close(db); }
static void make_reader_key(void)
{
    if (pthread_key_create(&reader_key, close_reader) != 0)
        abort();
}

struct db *fold_reader(struct fold *f, struct err *e)
{
    pthread_once(&reader_once, make_reader_key);
    struct db *db = pthread_getspecific(reader_key); /* closed when the thread ends */
    if (!db && db_open_read(f->path, &db, e) < 0)
        return NULL;
    if (pthread_setspecific(reader_key, db) != 0)
        abort();
    return db;
}

struct telling {
    struct fold *f;
    struct db *db;
    struct err *e;
    int rc;
};

static void put_error(struct fold *f, const struct rule *r, struct buf *out)
{
    uint64_t n = rule_gave_up(r);
    size_t file = strlen(r->file);
    if (strncmp(f->refused, r->file, file) == 0 && f->refused[file] == ':')
        buf_json(out, str_of(f->refused));
    else if (n)
        buf_printf(out, "\"when: a regular expression was given up %llu times, which counts as no match\"",
                   (unsigned long long)n);
    else
        buf_lit(out, "null");
}

static void put_past(const struct rule *r, struct buf *out, void *arg)
{
    struct telling *t = arg;
    sqlite3_stmt *st = db_stmt(t->db, "SELECT last, signals FROM rule_fired WHERE rule = ?");
    char when[TIME_TEXT_MAX];
    db_bind_str(st, 1, str_of(r->id));
    int rc = db_step(t->db, st, t->e);
    if (rc > 0) {
        time_print(sqlite3_column_int64(st, 0) * NSEC_PER_USEC, 6, when);
        buf_printf(out, ",\"last_fired\":\"%s\",\"signals\":%lld,\"last_error\":", when,
                   (long long)sqlite3_column_int64(st, 1));
        sqlite3_reset(st);
    } else {
        buf_lit(out, ",\"last_fired\":null,\"signals\":0,\"last_error\":");
        t->rc = rc < 0 ? -1 : t->rc;
    }
    put_error(t->f, r, out);
}

int fold_rules_json(struct fold *f, struct buf *out, struct err *e)
{
    struct telling t = {f, fold_reader(f, e), e, 0};
    if (!t.db)
        return -1;
    pthread_mutex_lock(&f->lock); /* so that the set stays */
    rules_set_json(f->next_rules ? f->next_rules : f->rules, put_past, &t, out);
    buf_lit(out, ",\"error\":");
    if (f->refused[0])
        buf_json(out, str_of(f->refused));
    else
        buf_lit(out, "null");
    buf_lit(out, "}\n");
    pthread_mutex_unlock(&f->lock);
    return t.rc;
}

void fold_get_stats(struct fold *f, struct fold_stats *ret)
{
    struct conservation c = {0};
    struct err e;
    struct db *db = fold_reader(f, &e);
    pthread_mutex_lock(&f->lock);
    *ret = f->stats;
    ret->position = f->position;
    pthread_mutex_unlock(&f->lock);
    if (db && incidents_conservation(db, &c, &e) == 0) {
        ret->mailed = c.mailed;
        ret->digested = c.digested;
        ret->suppressed = c.suppressed;
        ret->pending = c.pending;
    }
}
