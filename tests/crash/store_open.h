/* tests/crash/store_open.h - opens DIR/journal and DIR/segments in the order of `logd serve`: journal, store, then what
 * is not sealed from the journal into the head; closes them in reverse. */
#ifndef TESTS_STORE_OPEN_H
#define TESTS_STORE_OPEN_H

#include "base/clock.h"
#include "base/err.h"
#include "journal/journal.h"
#include "store/store.h"
#include "store_batches.h"

#include <limits.h>
#include <unistd.h>

struct opened {
    struct journal *journal;
    struct store *store;
    char journal_dir[PATH_MAX], segments_dir[PATH_MAX];
};

static inline void publish(struct batch *b, void *arg)
{
    struct opened *o = arg;
    store_append(o->store, b);
}

static inline int fill_head(struct opened *o, struct err *e)
{
    struct journal_reader *reader;
    struct record rec;
    int more;
    if (journal_reader_open(o->journal, store_sealed(o->store), &reader, e) < 0)
        return -1;
    while ((more = journal_reader_next(reader, 0, &rec, e)) > 0) {
        struct batch *b = batch_new(rec.type, rec.app, rec.recv_us);
        b->seq = rec.seq;
        b->events = rec.events;
        buf_str(&b->body, rec.body);
        store_append(o->store, b);
        batch_free(b);
    }
    journal_reader_close(reader);
    return more;
}

/* Not NULL: how they are configured beyond their folders. */
static inline int open_both(const char *dir, struct journal_config *jc, struct store_config *sc, struct opened *o,
                            struct err *e)
{
    snprintf(o->journal_dir, PATH_MAX, "%s/journal", dir);
    snprintf(o->segments_dir, PATH_MAX, "%s/segments", dir);
    jc->dir = o->journal_dir;
    jc->reserve_bytes = 1;
    jc->file_bytes = 6000;
    jc->publish = publish;
    jc->arg = o;
    sc->dir = o->segments_dir;
    sc->keep = KEEP_US;
    sc->reserve_bytes = 1;
    if (journal_open(jc, &o->journal, e) < 0)
        return -1;
    if (store_open(sc, &o->store, e) < 0)
        return -1;
    return fill_head(o, e);
}

static inline void close_both(struct opened *o)
{
    journal_close(o->journal);
    store_close(o->store);
}

#endif
