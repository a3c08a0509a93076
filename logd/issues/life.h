/* issues/life.h - when an issue changes its state by itself.
 *
 *            a person             an event newer than the resolution, of the release it was resolved in or a newer one
 *   OPEN ──────────────▶ RESOLVED ──────────────▶ OPEN, with regressed_at
 *   OPEN ──────────────▶ MUTED ─────────────────▶ OPEN, when what it is muted until has come
 *   any  ──────────────▶ OPEN
 *
 * An event whose own time is not after the change is late: it counts, and changes no state. Pure: no clock, no I/O. */
#ifndef ISSUES_LIFE_H
#define ISSUES_LIFE_H

#include "base/base.h"

enum life_state { LIFE_OPEN, LIFE_RESOLVED, LIFE_MUTED };
enum mute_until { MUTE_ANYBODY, MUTE_TIME, MUTE_COUNT, MUTE_USERS, MUTE_RATE, MUTES }; /* ANYBODY: somebody opens it */
extern const str life_states[3], mute_names[MUTES];

struct life {
    enum life_state state;
    usec since; /* when it was resolved or muted */
    enum mute_until mute;
    int64_t limit;  /* a time in µs; more events or users since then; events within one window */
    usec window;    /* of a rate */
    int64_t seen;   /* events since then; of a rate, in the window that `bucket` numbers */
    int64_t bucket; /* event time / window */
};
struct life_event {
    usec time, now; /* its own; reception */
    bool older;     /* of a release that is older than the one the issue was resolved in */
    int64_t n;      /* how many it stands for, at least 1 */
    int64_t users;  /* of the issue with it, more than when it was muted; only asked with MUTE_USERS */
};
enum life_change { LIFE_SAME, LIFE_REGRESSED, LIFE_UNMUTED };
/* Counts the event where a mute asks for it, and makes the change. */
enum life_change life_event(struct life *l, const struct life_event *ev);

#endif
