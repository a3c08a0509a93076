/* issues/private.h - what the files of issues share: rows of fold.db under way, in the rules thread.
 *
 * Tables: `issue`, one row an id; one that was merged into another keeps its own row, counts, hours, releases and sketch,
 * and `merged_into` says where it is shown: so a split gives back what was there. Of ids that the template miner joined
 * one row is left, and `issue_alias` finds it. */
#ifndef ISSUES_PRIVATE_H
#define ISSUES_PRIVATE_H

#include "base/map.h"
#include "issues/issues.h"
#include "issues/learned.h"
#include "issues/life.h"

enum {
    HOURS_CACHED = 12,
    NAMES_CACHED = 8,
    RELEASES_MAX = 100,      /* of an issue, the first ones */
    ENVS_MAX = 50,           /* alike */
    APP_RELEASES_MAX = 1000, /* of an app, the newest */
    NAME_MAX_BYTES = 200,    /* of a release or environment */
    NOTES_MAX = 500,         /* of an issue, the newest */
    ROWS_CACHED = 10000,
    HASHES_CACHED = 64,
    SAMPLE_FIRST =
        0, /* slots of issue_sample; from SPREAD on the 4th, 16th, 64th, … of its count, the oldest making way */
    SAMPLE_LAST = 1,
    SAMPLE_SPREAD = 2,
    SAMPLES_SPREAD = 8,
    SAMPLE_MAX_BYTES = 64 << 10, /* larger first and last events are not kept; of the spread ones an eighth */
    LINES_MAX_BYTES = 16 << 20,  /* of last events in memory before they are written */
};
#define HOUR (3600 * USEC_PER_SEC)

struct name_seen {
    uint64_t hash; /* of it; 0: none */
    usec first;    /* its first event that was noted */
};
struct users; /* users.c */
struct row {
    char id[17], into[17];                          /* into "": not merged */
    int version;                                    /* of what its id is a fingerprint, or was taken over by */
    bool fresh, dirty;                              /* INSERT, not UPDATE; to be written */
    bool idle;                                      /* nothing came in the transaction before */
    char *app, *env, *type, *title, *culprit, *why; /* all but app: of a fresh one */
    char *in_release;                               /* NULL: none */
    char *first_release, *last_release;             /* NULL: none */
    struct name_seen releases[NAMES_CACHED], envs[NAMES_CACHED];
    int level;
    struct life life;
    uint64_t cause, unmapped;         /* hashes of what was looked at last; 0: nothing */
    uint64_t count, named, users_low; /* named: users, with those of issues that joined */
    usec first_seen, last_seen, regressed_at;
    char first_event[EVENT_ID_LEN + 1], last_event[EVENT_ID_LEN + 1];
    struct {
        int64_t hour;
        uint64_t n;
    } hours[HOURS_CACHED];
    struct users *users; /* NULL: none of its events named one since it was loaded */
    struct buf last_line;
};
struct issues {
    struct db *db;
    const struct issues_sketch *sketch;
    struct learned *learned;
    struct map cache;    /* id -> struct row */
    struct map releases; /* app, NUL, release -> struct name_seen */
    size_t lines_bytes;
    struct grouping_version version; /* now 0: not read yet */
    usec due, expire_due;            /* when a mute ends by the clock (0: ask); when old issues go */
};

/* rows.c */
int row_load(struct issues *is, str id, struct row **ret, struct err *e) MUST_CHECK; /* *ret NULL: no such issue */
struct row *row_make(struct issues *is, const struct event *ev, const struct fingerprint *fp, struct arena *a);
void rows_drop(struct issues *is); /* without writing */
/* Those of the pair, and of what was merged into one of them, are written and no longer kept. */
int rows_let_go(struct issues *is, const struct id_pair *p, struct err *e) MUST_CHECK;
int row_count_hour(struct issues *is, struct row *r, usec t, uint64_t n, struct err *e) MUST_CHECK;
int row_note_release(struct issues *is, struct row *r, str release, usec t, struct err *e) MUST_CHECK;
int row_note_env(struct issues *is, struct row *r, str env, usec t, struct err *e) MUST_CHECK;
void copy_id(char *out, size_t size, str s);

/* regroup.c: the issue that a new version's fingerprint takes over, for one that has none: *row. May join two. */
int regroup_follow(struct issues *is, const struct fingerprint *fp, usec now, struct row **row,
                   struct err *e) MUST_CHECK;
int regroup_to(struct issues *is, int version, usec now, struct err *e) MUST_CHECK;
/* Shows `id` as a part of `into`; rows must be written. */
int merge_into(struct issues *is, str id, str into, str by, usec now, struct err *e) MUST_CHECK;

/* What happened to an issue: `kind` is comment, resolved, muted, open, regressed, unmuted, assigned, merged or split. */
int note_add(struct db *db, str id, usec now, str by, const char *kind, str text, struct err *e) MUST_CHECK;

/* causes.c. What tells of them: id, title, is it an issue; ?1 the issue's id, ?2 how many at most. */
int cause_note(struct issues *is, struct row *r, const struct fingerprint *cause, struct err *e) MUST_CHECK;
extern const char causes_of_issue[], issues_of_cause[], issues_of_same_cause[];

/* mapped.c: takes the issue in that such events made before their map came. *fresh: the row is new; false when it did. */
int mapped_follow(struct issues *is, const struct event *ev, str release, usec now, bool *fresh, struct row **row,
                  struct arena *a, struct err *e) MUST_CHECK;

/* users.c: who had it, as a sketch under the issue's own key; the key and the sketch go with the issue. */
int users_add(struct issues *is, struct row *r, str user, struct err *e) MUST_CHECK;
int users_write(struct issues *is, struct row *r, struct err *e) MUST_CHECK;
void users_free(struct users *u);

/* samples.c: events that stay when retention has taken the rest. `before`: the issue's count without this one. */
int sample_put(struct issues *is, const struct row *r, int slot, usec t, str line, struct err *e) MUST_CHECK;
int samples_take(struct issues *is, struct row *r, const struct event *ev, usec t, uint64_t before,
                 struct err *e) MUST_CHECK;

/* releases.c: when an app was first heard of with a release. */
void releases_forget(struct issues *is);
int release_note(struct issues *is, str app, str release, usec t, struct err *e) MUST_CHECK;
/* Is `release` older than the one the issue was resolved in? An event that names none is. */
int release_is_older(struct issues *is, const struct row *root, str release, bool *ret, struct err *e) MUST_CHECK;

/* answers.c: the ids of all that match, `f->limit` aside; -1 when `each` said so. */
int issues_each_id(struct db *read, const struct issues_filter *f, int (*each)(void *arg, str id, struct err *e),
                   void *arg, struct err *e) MUST_CHECK;

#endif
