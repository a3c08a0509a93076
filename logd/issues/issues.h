/* issues/issues.h - events that are the same thing: fingerprints and the life of an issue.
 *
 * fingerprint_of is pure: of a message it gives the id of its shape. issues_apply knows the template that the shape belongs
 * to, by what it has learned (issues/learned.h): templates that turn out to be one make their issues one, under the older
 * id, and the younger id finds it ever after. The rest keeps rows of fold.db; counts of one transaction are gathered in memory and written
 * by issues_flush, so a thousand equal errors cost one UPDATE.
 *
 * Life: open -> resolved -> open again with `regressed_at`. Only an event newer than the resolution reopens; late ones
 * are counted and change nothing else.
 * Owner   the rules thread; *_json functions take any thread's read connection. */
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
};
/* False: not a kind of event that makes an issue (below error, and nothing under error.*). Pure. */
bool fingerprint_of(const struct event *ev, struct arena *a, struct fingerprint *ret);
/* The message with <*> for its values; in `a`. Pure. */
str fingerprint_pattern(str message, struct arena *a);
/* The id and reasons for text without an event around it; `logd debug group`. */
void fingerprint_text(str app, str line, struct arena *a, struct fingerprint *ret);
void fingerprint_trace(str app, str trace, struct arena *a, struct fingerprint *ret);

extern const char issues_schema[], issues_schema_releases[], issues_schema_learned[]; /* SQL */
struct issues;
struct issues *issues_new(struct db *db);
void issues_free(struct issues *is);
struct issue_seen {
    bool fresh;     /* the first event of a new issue */
    bool regressed; /* the event opened a resolved one again */
};
/* fp->id becomes the id of its template. */
int issues_apply(struct issues *is, const struct event *ev, struct fingerprint *fp, usec now, struct issue_seen *ret,
                 struct arena *a, struct err *e) MUST_CHECK;
int issues_flush(struct issues *is, struct err *e) MUST_CHECK; /* in the fold's transaction */
void issues_forget(struct issues *is);                         /* the transaction was rolled back */
/* {"issue":"ID","set":{"state":"resolved"},"by":"a@b.c"}; an unknown issue is ignored. */
int issues_action(struct issues *is, str json, usec now, struct err *e) MUST_CHECK;

struct issues_filter {
    str state;      /* open, resolved, muted, all; absent: open */
    str app, text;  /* absent: any; text: part of title or culprit, no case */
    str order;      /* last_seen (default), rank, count */
    uint32_t limit; /* 0: 100 */
};
int issues_list_json(struct db *read, const struct issues_filter *f, struct buf *out, struct err *e) MUST_CHECK;
/* With history per hour (168 h) and `why`; ret_last_event: id of its latest event (16 bytes). ERR_GONE. */
int issue_json(struct db *read, str id, struct buf *out, char ret_last_event[EVENT_ID_LEN + 1],
               struct err *e) MUST_CHECK;
/* Checks a PATCH body and makes the action's JSON of it: ERR_INPUT with pointer. */
int issue_patch_check(str body, str id, str by, struct buf *action, struct err *e) MUST_CHECK;

#endif
