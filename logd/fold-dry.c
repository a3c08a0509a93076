/* fold-dry.c - trying: the fold without journal, thread and disk; see fold.h. */
#include "fold-private.h"

struct fold *fold_dry(const struct rules_set *set, const struct config *c)
{
    struct fold *f;
    struct err e;
    int rc = fold_open(NULL, ":memory:", &f, &e) < 0 ? -1 : db_begin(f->db, &e);
    assert(rc == 0); /* nothing of it depends on the world */
    (void)rc;
    f->borrowed = set;
    incidents_config(f->incidents, c, c->url, NULL);
    return f;
}

int fold_dry_event(struct fold *f, str line, usec now, struct err *e)
{
    enum { FLUSH_EVENTS = 4096 };
    str key, blob;
    if (fold_apply_event(f, line, now, e) < 0)
        return -1;
    if (f->stats.events % FLUSH_EVENTS)
        return 0;
    while (rules_memory_dirty_next(f->memory, &key, &blob)) /* nothing is kept */
        ;
    fold_forget_fired(f);
    counted_forget(f->counted);
    return issues_flush(f->issues, e);
}

int fold_dry_tick(struct fold *f, usec now, bool silence, usec *ret_next, struct err *e)
{
    int rc = fold_tick_alerts(f, now, silence, e);
    *ret_next = f->tick_due;
    return rc;
}

struct db *fold_dry_db(struct fold *f) { return f->db; }
uint64_t fold_dry_counted(const struct fold *f) { return f->stats.counted; }
