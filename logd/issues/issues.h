/* issues/issues.h - events that are the same thing: fingerprints and the life of an issue.
 *
 * fingerprint_of is pure: of a message it gives the id of its shape. issues_apply knows the template that the shape belongs
 * to, by what it has learned (issues/learned.h): templates that turn out to be one make their issues one, under the older
 * id, and the younger id finds it ever after. The rest keeps rows of fold.db; what one transaction changes is gathered in
 * memory and written by issues_flush, so a thousand equal errors cost one UPDATE.
 *
 * Life: see issues/life.h. What people do comes as an action through the journal, so a crash replays it and an archive
 * restores it, at its place between the events.
 * Owner   the rules thread; *_json and *_check take any thread's read connection.
 * Memory  10,000 rows and 16 MiB of their last events; fold.db holds at most 100,000 issues (issues_tick). */
#ifndef ISSUES_ISSUES_H
#define ISSUES_ISSUES_H

#include "base/db.h"
#include "base/err.h"
#include "event/event.h"
struct fingerprint {
    char id[17];       /* 16 hex digits: app, kind and what is listed in `why` */
    char title[256];   /* "TypeError: x is undefined", the message with its values */
    char culprit[256]; /* function and file of the top in-app frame, or "" */
    char why[512];     /* in words: what makes its events the same */
    struct shape
        *shape;     /* in the arena: of a message, whose id is its template's once issues_apply saw it; else NULL */
    uint64_t scope; /* of the shape */
    str message;
    char was[17]; /* while a new version takes over: what the one before says; else "" */
};
/* How things are told apart has versions, so that a better way does not make every issue a new one:
 *   1  a frame is its file's name and its function
 *   2  C++ and Rust: mangled names are read, arguments left out, and a name with its namespace needs no file, so what
 *      glibc, a debugger and a sanitizer print of one crash is one issue
 *   3  below a function with a name, those of JavaScript without one are passed over
 *   4  stacks of more languages are read (issues/stack-forms.c); a frame of PHP's stands where it was, not where it was
 *      called from; a panic that was caught is where it came from, not where it was caught */
enum { GROUPING_NEWEST = 4 };
/* False: not a kind of event that makes an issue (below error, and nothing under error.*). Pure. */
bool fingerprint_of(const struct event *ev, int version, struct arena *a, struct fingerprint *ret);
/* The same of what caused it, innermost: its fields, or as the stack's text tells it. False: it does not say. Pure. */
bool fingerprint_of_cause(const struct event *ev, int version, struct arena *a, struct fingerprint *ret);
/* The id that it would have had its stack not been resolved by a source map. False: it was not. Pure. */
bool fingerprint_unmapped(const struct event *ev, int version, struct arena *a, char ret[17]);
/* May fingerprint_of make one of the event with this stored line? False is certain. */
bool fingerprint_possible(str line, int severity);
/* Within which messages are compared. Pure. */
uint64_t fingerprint_scope(str app, str type);
/* The id and reasons for text without an event around it; `logd debug group`. */
void fingerprint_text(str app, str line, struct arena *a, struct fingerprint *ret);
void fingerprint_trace(str app, str trace, struct arena *a, struct fingerprint *ret);

/* SQL */
extern const char issues_schema[], issues_schema_releases[], issues_schema_learned[], issues_schema_life[],
    issues_schema_grouping[], issues_schema_grouping_3[], issues_schema_grouping_4[], issues_schema_causes[];

/* How many different hashes: told by those who know sketches. A `code` is what `add` wrote; empty: none. */
struct issues_sketch {
    bool (*add)(str code, const uint64_t *hashes, size_t n, struct buf *out); /* false: nothing new, nothing written */
    uint64_t (*count)(str code);
};
struct issues;
struct issues *issues_new(struct db *db, const struct issues_sketch *sketch);
void issues_free(struct issues *is);
struct issue_seen {
    bool fresh;     /* the first event of a new issue */
    bool regressed; /* the event opened a resolved one again, or ended a mute */
    bool muted;     /* it is, still */
};
/* fingerprint_of by the version in force; of both while a new one takes over. */
int issues_fingerprint(struct issues *is, const struct event *ev, usec now, struct arena *a, bool *ret_has,
                       struct fingerprint *ret, struct err *e) MUST_CHECK;
/* fp->id becomes the id of its template, and of the issue it was merged into. */
int issues_apply(struct issues *is, const struct event *ev, struct fingerprint *fp, usec now, struct issue_seen *ret,
                 struct arena *a, struct err *e) MUST_CHECK;
int issues_flush(struct issues *is, struct err *e) MUST_CHECK; /* in the fold's transaction */
void issues_forget(struct issues *is);                         /* the transaction was rolled back */
/* A line that a *_check below made. What it names and is not there any more is passed over. */
int issues_action(struct issues *is, str json, usec now, struct err *e) MUST_CHECK;
/* Ends mutes whose time has come, and lets go of the oldest issues. *ret_next: when to ask again. */
int issues_tick(struct issues *is, usec now, usec *ret_next, struct err *e) MUST_CHECK;

/* ---- answers ---- */
struct issues_filter {
    str state;      /* open, resolved, muted, all; absent: open */
    str app, query; /* absent: any; query: a filter over the fields of an issue's JSON, `message` being its title */
    str order;      /* last_seen (default), rank, count */
    uint32_t limit; /* 0: 100 */
};
int issues_list_json(struct db *read, const struct issues_filter *f, struct buf *out, struct err *e) MUST_CHECK;
/* With history per hour (168 h), `why`, notes, samples, what was merged, what caused it and what it causes; ret_last_event: id of its latest event (15
 * bytes), ret_last_line: that event as it was kept. ERR_GONE. */
int issue_json(struct db *read, str id, struct buf *out, char ret_last_event[EVENT_ID_LEN + 1],
               struct buf *ret_last_line, struct err *e) MUST_CHECK;
/* What `id` is shown under by now: after the miner's joins and people's merges. */
int issue_resolve(struct db *db, str id, char ret[17], struct err *e) MUST_CHECK;

/* The version in force and, once there was another, the one before (0: none); until when the new one takes over the old
 * one's issues: the first of its fingerprints that an issue meets gets its id, those that meet more than one merge them. */
struct grouping_version {
    int now, was;
    usec until;
};
int issues_version(struct db *db, struct grouping_version *ret, struct err *e) MUST_CHECK;
/* fingerprint_of by the version in force, and in ret->was by the one before. Pure. */
bool fingerprint_of_both(const struct event *ev, const struct grouping_version *v, struct arena *a,
                         struct fingerprint *ret);
/* The issue that such a fingerprint belongs to, or fp->id when there is none. */
int issue_shown(struct db *read, const struct fingerprint *fp, char ret[17], struct err *e) MUST_CHECK;
#define REGROUP_TIME (30LL * 86400 * USEC_PER_SEC)

/* ---- what people do: a request's body checked against what is there, and the action's line made of it ----
 * ERR_INPUT with pointer, ERR_GONE. */
#define ISSUES_AT_ONCE 10000
int issue_patch_check(struct db *read, str body, str id, str by, usec now, struct buf *action,
                      struct err *e) MUST_CHECK;
/* The same for all that match, 10,000 at most; *ret_n: how many. None: no action is made. */
int issues_patch_check(struct db *read, str body, const struct issues_filter *f, str by, usec now, struct buf *action,
                       size_t *ret_n, struct err *e) MUST_CHECK;
int issue_comment_check(struct db *read, str body, str id, str by, struct buf *action, struct err *e) MUST_CHECK;
int issues_merge_check(struct db *read, str body, str by, struct buf *action, char ret_into[17],
                       struct err *e) MUST_CHECK;
int issues_regroup_check(struct db *read, str body, str by, struct buf *action, struct err *e) MUST_CHECK;
int issue_split_check(struct db *read, str body, str id, str by, struct buf *action, struct err *e) MUST_CHECK;

#endif
