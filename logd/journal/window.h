/* journal/window.h - what was seen lately: event_ids and Idempotency-Keys, so that a repeat is known as one.
 *
 * Per app, so that a loud one never shortens the memory of a quiet one. Each window is a few generations of hash
 * tables; a new one begins after a third of the window's time or when the present one is full, and the oldest goes
 * when the three before it cover the window, or because there is no more room: then `lost_until` says how far back
 * the memory reaches. Age is judged by the second, from reception times only, so that a restart judges alike.
 *
 * Owner   the journal thread, and main before it starts; no locks, no clock.
 * Memory  15-24 bytes an event_id, at most 10-13 million an app; 44 bytes, the reply and 15-24 a key, at most 3-4
 *         million an app. Replies equal to the one before share it. */
#ifndef JOURNAL_WINDOW_H
#define JOURNAL_WINDOW_H

#include "base/buf.h"

/* 64-bit hash to 32-bit value, open addressing; any hash but the values must be the caller's own. */
struct table {
    uint64_t *hash; /* 0: free */
    uint32_t *value;
    size_t n;
    unsigned bits; /* 2^bits slots; hash NULL: none yet */
};
bool table_get(const struct table *t, uint64_t hash, uint32_t *ret);
void table_set(struct table *t, uint64_t hash, uint32_t value); /* adds or replaces */
void table_reset(struct table *t);                              /* empty, small memory kept */
void table_done(struct table *t);

struct seen { /* a request with an Idempotency-Key */
    uint8_t key[16], body[16];
    uint32_t at_s;
    uint32_t reply, reply_n; /* in the generation's texts */
};

struct windows;
struct window; /* of one app */
struct windows *windows_new(usec length);
void windows_free(struct windows *w);
struct window *windows_app(struct windows *w, uint32_t app);
/* Was this event_id (its hash) seen within the window before `now`? */
bool window_has_id(struct window *a, uint64_t hash, usec now);
void window_add_id(struct window *a, uint64_t hash, usec at);
/* The request that had this key; NULL: none. *ret_reply stays valid until the next add. */
const struct seen *window_get_key(struct window *a, const uint8_t key[16], usec now, str *ret_reply);
void window_add_key(struct window *a, const uint8_t key[16], const uint8_t body[16], str reply, usec at);
/* What was received until then may be forgotten already, beside what is older than the window; 0: nothing. */
usec windows_lost_until(const struct windows *w);
size_t windows_bytes(const struct windows *w);

#endif
