/* stats/unique.h - how many different people, without keeping who.
 *
 *   post ─▶ intake: id ─▶ (row, level) under the period's key (secrets.h), the id is forgotten ─▶ RECORD_UNIQUE
 *        ─▶ journal thread: takes out what its cell has already (unique-live.c), writes the rest
 *        ─▶ fold: sketches of open periods in fold.db; an hour after a period's end they become numbers (unique-fold.c)
 *
 * A cell is (app, metric, one label or none, period). An id with three labels is counted in four cells of each period:
 * the metric's, and one a label; so every number is read, never added up. A record holds new places of cells only, in
 * order of their value, not of who came: whoever comes again in the same period leaves nothing. Its header has no time.
 *
 * Entry of a record's body (little endian, packed, one after the other)
 *    0  1  version, 1; 0: what follows was taken out, as it is in an archive
 *    1  1  bytes of the metric's name
 *    2  1  bytes of the label's name; 0: all
 *    3  1  bytes of the label's value
 *    4  4  step: 3600, 86400, … as in private.h
 *    8  8  start of the period, s since the epoch
 *   16  8  segment: number of the secret
 *   24  4  codes
 *   28     name, label, value; then 4 bytes a code, ascending: row * 64 + level of sketch.h at p = 13 */
#ifndef STATS_UNIQUE_H
#define STATS_UNIQUE_H

#include "base/db.h"
#include "event/batch.h"
#include "stats/secrets.h"

enum { UNIQUE_BELOW = 5 }; /* numbers under it are not told, and not kept */

/* ---- the record ---- */
struct unique_entry {
    str head; /* 28 bytes and the three texts, with no codes: what names the cell */
    str name, label, value;
    int step;
    int64_t start, segment;
    const char *codes; /* not aligned */
    uint32_t n;
};
static inline uint32_t unique_code(const struct unique_entry *x, uint32_t i) { return load4(x->codes + 4 * (size_t)i); }
/* Takes the first entry off *body; false: that was all, or the rest is of a later logd. */
bool unique_next(str *body, struct unique_entry *ret) MUST_CHECK;

/* The head of a cell's entry, with no codes, to out. */
void unique_head(struct buf *out, str name, str label, str value, int step, int64_t start, int64_t segment);

/* ---- intake: any thread ---- */
struct unique_batch; /* of one request; wiped when it goes */
struct unique_labels {
    str name[8], value[8]; /* checked */
    size_t n;
};
/* `year`: years are counted too. */
struct unique_batch *unique_batch_new(struct secrets *s, uint32_t app, bool year, usec now);
void unique_batch_free(struct unique_batch *u); /* NULL is fine */
/* A metric with labels, for unique_add; stays until the batch goes. */
struct unique_series *unique_series(struct unique_batch *u, str name, const struct unique_labels *labels);
void unique_add(struct unique_batch *u, struct unique_series *s, usec time, str id);
void unique_write(struct unique_batch *u, struct batch *out); /* the record's body */
uint64_t unique_late_total(void);                             /* ids since start that found a period of theirs closed */
void unique_late_add(uint64_t n);
uint64_t unique_crowded_total(void); /* ids since start that were not counted: too many cells are open */
void unique_crowded_add(uint64_t n);

/* ---- what open cells have already: the journal's thread, before it starts main ---- */
struct unique_live;
struct unique_live *unique_live_new(void);
void unique_live_free(struct unique_live *l); /* NULL is fine */
/* Takes what is there out of a body that is about to be written; the rest counts as there. */
void unique_sift(struct unique_live *l, uint32_t app, struct buf *body, usec now);
/* What was sifted since the last call is durable, or was never written. */
void unique_sifted(struct unique_live *l, bool durable);
/* At start: cells of fold.db whose secret is there still, then records behind its position through unique_sift. */
int unique_live_load(struct unique_live *l, struct db *db, struct secrets *s, struct err *e) MUST_CHECK;

/* ---- the fold: the rules thread ---- */
extern const char unique_schema[], unique_schema_noise[],
    unique_unshared[]; /* SQL; the latter makes a copy of fold.db fit to leave the machine */
struct uniques;
struct uniques *uniques_new(struct db *db);
void uniques_free(struct uniques *u);                    /* NULL is fine */
void uniques_noise(struct uniques *u, uint32_t epsilon); /* of cells sealed from now on, in thousandths; 0: none */
int uniques_apply(struct uniques *u, uint32_t app, str body, struct err *e) MUST_CHECK;
int uniques_flush(struct uniques *u, struct err *e) MUST_CHECK; /* before the commit */
void uniques_forget(struct uniques *u);                         /* what was not flushed; fold.db says what is true */
usec uniques_due(struct uniques *u); /* when the next period is sealed; INT64_MAX: none is open */
/* Seals what is due. Only when no record waits. *ret_sealed: sketches were deleted, see uniques_scrub. */
int uniques_seal(struct uniques *u, usec now, bool *ret_sealed, struct err *e) MUST_CHECK;
/* After the commit: no copy of a deleted sketch stays in the write-ahead log. False: a reader is in the way, try again. */
bool uniques_scrub(struct db *db);

#endif
