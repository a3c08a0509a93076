/* archive/archive.h - the journal, elsewhere: a copy in a folder or S3 from which an empty machine can be rebuilt.
 *
 *   PREFIX/manifest.json                       what is here: every object with size and SHA-256, positions, generation
 *   PREFIX/events/app=NAME/date=YYYY-MM-DD/FIRST-LAST.ndjson.zst   sealed events, readable without logd
 *   PREFIX/journal/FIRST-LAST.j.zst            the tail that is not sealed yet, and records that are not events
 *   PREFIX/state/logd.db.zst, fold.db.zst      keys and users; issues, incidents, outbox, stats (with their position)
 *   PREFIX/state/NNNNNNNN.w…, NNNNNNNN.map…   duplicate windows; indexes of source maps, so that issues go on as before
 *
 * Every `every` the new tail and the changed state go out, so losing the machine loses at most that. An object is never
 * changed but the manifest and state; the manifest is written last. Fence: a server takes the next generation when it
 * starts; one that finds a higher generation than its own in the manifest stops shipping and says so.
 * Owner   its own thread; the questions: any thread. */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "base/buf.h"
#include "base/err.h"
#include "parts.h"

#define ARCHIVE_UNFINISHED "RESTORE-UNFINISHED"

struct archive;
int archive_start(struct parts *p, const char *data, struct archive **ret, struct err *e) MUST_CHECK;
void archive_stop(struct archive *a); /* ships once more, then joins */
/* Store thread: a segment is ready. */
void archive_sealed(struct archive *a, const char *path, uint64_t first_seq, uint64_t last_seq);
int archive_ship(struct archive *a, struct err *e) MUST_CHECK; /* now; waits for it */
int archive_list_json(struct archive *a, struct buf *out, struct err *e) MUST_CHECK;
int archive_verify_json(struct archive *a, struct buf *out,
                        struct err *e) MUST_CHECK; /* reads every object; says what is wrong */
uint64_t archive_position(struct archive *a);      /* every record up to it is elsewhere */
struct archive_stats {
    uint64_t position, objects, bytes, ships, failures;
    uint64_t events_position; /* all segments up to this record are there */
    usec last_ship, lag_us;
    bool fenced;     /* for good: another server ships there now */
    bool refused;    /* it is not ours, or ahead of us: a person must act */
    usec failing_us; /* how long each shipment has failed; 0: the last one did not */
    char last_error[256];
};
void archive_get_stats(struct archive *a, struct archive_stats *ret);
/* `logd restore`: fills an empty data folder; prints progress. While it is not done the folder holds ARCHIVE_UNFINISHED,
 * and no server takes it: half of it would look whole. When it fails the folder is empty again. Objects that are damaged
 * or gone are named in the progress, with what is lost; `skip`: they are no failure. Secrets for s3 come from config or
 * environment. */
int archive_restore(const struct config *c, const char *url, const char *data, bool skip, FILE *progress,
                    struct err *e) MUST_CHECK;

#endif
