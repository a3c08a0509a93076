/* fold.h - the rules thread: issues, rules, incidents and stats as one fold over the journal.
 *
 * It reads records in order and changes fold.db in one transaction with its position, so a crash at any point replays
 * to the same result. "Now" of a record is its reception time; ticks (digests that fall due) use the clock. Stamps never go
 * back, so that ids are unique; when the wall clock does, they stand ahead of it. Then "now" is the clock, and what waits
 * or is remembered moves back with it: a digest comes after the time its rule says, whatever the clock does. What
 * people do to issues and incidents comes through the journal too (RECORD_ACTION).
 *
 * Owner   fold.db is written by this thread, and by the mail thread for what became of a mail (outbox rows). Readers
 *         open it read-only (fold_reader) and see whole transactions. */
#ifndef FOLD_H
#define FOLD_H

#include "base/buf.h"
#include "base/db.h"
#include "base/err.h"
#include "parts.h"

struct rules_set;

struct fold;
int fold_open(struct parts *p, const char *db_path, struct fold **ret, struct err *e) MUST_CHECK;
/* Rules take effect with the next record. The old set is freed. */
void fold_set_rules(struct fold *f, struct rules_set *set);
int fold_start(struct fold *f, struct err *e) MUST_CHECK; /* starts the thread at its position */
void fold_stop(struct fold *f);                           /* joins; the position is kept */
void fold_close(struct fold *f);
/* Waits until the record is applied; false after `wait`. */
bool fold_wait(struct fold *f, uint64_t seq, usec wait);
uint64_t fold_position(struct fold *f);
void fold_tick(struct fold *f); /* the clock was moved: look for what is due now */
/* A read-only connection of the calling thread, kept for its life. */
struct db *fold_reader(struct fold *f, struct err *e);
/* Why new rules were not taken, until the next fold_set_rules. */
void fold_rules_refused(struct fold *f, const char *why);
/* {"rules":[{… rules_set_json …,"last_fired","signals","last_error"}],"error"}: contract 6. `error`: why the last reload
 * was refused; `last_error` of a rule: the same when its file is to blame, or that its regular expressions were given up. */
int fold_rules_json(struct fold *f, struct buf *out, struct err *e) MUST_CHECK;
struct fold_stats {
    uint64_t position, events, signals, counted;    /* since start; counted: numbers that rules added to stats */
    uint64_t mailed, digested, suppressed, pending; /* where signals ended, of all times */
};
void fold_get_stats(struct fold *f, struct fold_stats *ret);

/* ---- trying: the same fold without journal, thread and disk, with whatever time the caller says ---- */
/* Of one set of rules, which stays the caller's; recipients and url of the config. */
struct fold *fold_dry(const struct rules_set *set, const struct config *c);
int fold_dry_event(struct fold *f, str line, usec now, struct err *e) MUST_CHECK;
/* What falls due up to `now`. *ret_next: when something more does (INT64_MAX: nothing), `silence`: something absent included. */
int fold_dry_tick(struct fold *f, usec now, bool silence, usec *ret_next, struct err *e) MUST_CHECK;
struct db *fold_dry_db(struct fold *f);          /* fold.db in memory: its outbox */
uint64_t fold_dry_counted(const struct fold *f); /* numbers that rules added to stats */

#endif
