/* base/arena.h - allocate freely, free once.
 *
 * Owner   one thread at a time. Memory comes in chunks of 16 KiB and more; arena_reset keeps the first chunk, so a request
 *         after a request costs no malloc, and others up to `keep` bytes. What outlives the arena is copied out. One
 *         marked `secret` wipes what it gave out when it is reset or done. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

struct arena {
    struct arena_chunk *first, *now;
    size_t used; /* bytes handed out since the last reset */
    size_t keep; /* 0 unless the owner says so */
    bool secret;
};

void arena_done(struct arena *a);
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* 16-byte aligned, not cleared */
void *arena_zero(struct arena *a, size_t n);
str arena_str(struct arena *a, str s); /* a copy; NUL follows it */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
