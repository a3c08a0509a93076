/* event/find.h - is this text in that one, whatever the case?
 *
 * Search spends its time here, so a needle is prepared once: its two rarest bytes are looked for 64 places at a time
 * (vectors of the compiler, no intrinsics), and only where both stand is the whole compared.
 *
 * Owner   a prepared needle is immutable and used by many threads; its bytes belong to the caller.
 * Case    ASCII only. Needles are given in lower case. */
#ifndef EVENT_FIND_H
#define EVENT_FIND_H

#include "base/base.h"

struct finder {
    str needle;
    size_t at1, at2;      /* places of the two rarest bytes */
    uint8_t byte1, byte2; /* these, in lower case */
    uint8_t fold1, fold2; /* 0x20 for letters: or-ed in before comparing */
};
void finder_init(struct finder *f, str lower);
ptrdiff_t find_nocase(const struct finder *f, str hay); /* offset, -1: not there; an empty needle is at 0 */

/* Pieces that follow each other, with anything between: what a `*` pattern is. */
struct pattern {
    struct finder *pieces; /* none empty, unless it is the only one */
    size_t n;              /* 0: anything matches */
    bool head, tail;       /* the first piece starts, the last piece ends the text */
};
bool pattern_match(const struct pattern *p, str s);  /* the whole of s */
bool pattern_within(const struct pattern *p, str s); /* somewhere in s: head and tail do not count */

#endif
