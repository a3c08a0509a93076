/* stats/secrets.h - what turns an id into a place of a sketch, for as long as its period lasts.
 *
 * Each hour, day, week and month (and year, where asked for) has a secret of its own: 32 bytes from getrandom(2), drawn
 * when the period's first id comes. None can be had from another. From it a SipHash key is made for an app and metric.
 * A period closes an hour after its end: then its secret is overwritten in memory and in its file, and the file is
 * removed. From there on nobody, we included, can tell whether somebody was counted.
 *
 * Where   one page of memory, locked and left out of core files; and, to survive a restart of the program, 0600 files in
 *         a folder on tmpfs, which no disk, backup or archive sees: $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR or
 *         /dev/shm/logd-UID, the first that is ours and on tmpfs. Where there is none: memory alone. A secret that is
 *         lost is replaced by a new one with another segment number: what both counted cannot be joined any more.
 * File    `STEP-START`: 8 segment, 8 created (us), 32 secret.
 * Owner   any thread; a lock inside. */
#ifndef STATS_SECRETS_H
#define STATS_SECRETS_H

#include "base/err.h"
#include "base/str.h"

#define UNIQUE_GRACE (3600 * USEC_PER_SEC) /* ids that come so long after the end of their period still count */

struct secrets;
struct secret_key {
    uint8_t key[16]; /* wipe it when it is no longer used */
    int64_t segment; /* number of the secret, > 0: tells apart what was counted before and after a loss */
    usec created;    /* of the secret, whole seconds */
};
/* `data`: the data folder's whole path; another one has other secrets. Never fails: see secrets_folder. */
struct secrets *secrets_open(const char *data, usec now);
void secrets_close(struct secrets *s); /* memory is wiped, files stay for the next start; NULL is fine */
/* Where they survive a restart; NULL: nowhere. `ret_locked`: may they be written to swap? */
const char *secrets_folder(const struct secrets *s, bool *ret_locked);
/* The key of a metric in the period that begins at `start`. False: it is closed. */
bool secrets_key(struct secrets *s, uint32_t app, str metric, int step, int64_t start, usec now,
                 struct secret_key *ret) MUST_CHECK;
bool secrets_has(struct secrets *s, int64_t segment);
/* Destroys those whose period is closed. */
void secrets_tick(struct secrets *s, usec now);
size_t secrets_open_periods(struct secrets *s);

#endif
