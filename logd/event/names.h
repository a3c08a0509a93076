/* event/names.h - what a field's name means, decided once a name.
 *
 * Streams of events use few names again and again. What is known of one (which part of an event it is an alias of,
 * whether its value is a secret) is kept in a small cache, so the hot path costs one hash and one comparison.
 * The hash is keyed (folded multiplication, as in wyhash), because names come from outside.
 *
 * Owner   one event writer. Names that hold a secret themselves are never kept. */
#ifndef EVENT_NAMES_H
#define EVENT_NAMES_H

#include "base/str.h"

/* The parts of an event that several names may give. */
enum part {
    PART_NONE,
    PART_TIME,
    PART_LEVEL,
    PART_EVENT_ID,
    PART_APP,
    PART_MESSAGE, /* from here on: text, stored under part_name() */
    PART_TYPE,
    PART_ENV,
    PART_RELEASE,
    PART_HOST,
    PART_SERVICE,
    PART_LOGGER,
    PART_TRACE_ID,
    PART_SPAN_ID,
    PART_USER,
    PART_IP,
    PART_ERROR_TYPE,
    PART_ERROR_MESSAGE,
    PART_ERROR_STACK,
    PART_AUTH_ACTION,
    PART_AUTH_OUTCOME,
    PARTS,
};
enum { HALF_NAME = 1, HALF_VALUE };                       /* of a pair in two members: {"key":"password","value":"x"} */
enum { ROOT_NONE, ROOT_ERROR, ROOT_ERR, ROOT_EXCEPTION }; /* "error" or what starts with "error.", … */

struct name {
    uint64_t hash;
    uint8_t part, rank; /* of two names for one part the lower rank wins; 1: the part's own name */
    uint8_t root;
    uint8_t half; /* HALF_…, or 0 */
    bool plain;   /* stands between quotes as it is */
    bool clean;   /* holds no secret itself */
    str secret;   /* the kind of secret its value is, or absent */
    uint8_t n;    /* 0: the slot is free */
    char text[71];
    const struct name *next; /* the slot of the one that followed it last; NULL: unknown */
};
struct names {
    uint64_t key[2];
    uint32_t turn;            /* which of a set's slots is given away next */
    const struct name *first; /* as `next`: the one that came first in an event */
    struct name other;        /* the last one that is not kept */
    struct name slots[128][4];
};

void names_init(struct names *k);
/* `name` decoded. The answer is good until the next call. */
const struct name *names_look(struct names *k, str name);
/* Which name probably follows `before` (NULL: comes first), by what names_follow was told last; NULL: unknown. It is only
 * a guess: what it says of itself is true, but not that it follows. */
static inline const struct name *names_guess(const struct names *k, const struct name *before)
{
    const struct name *next = before ? before->next : k->first;
    return next && next->n ? next : NULL;
}
void names_follow(struct names *k, const struct name *before, const struct name *now);
str part_name(enum part part);
/* HALF_NAME, HALF_VALUE or 0, by the last part of a dotted name. */
unsigned name_half(str text);
size_t root_length(unsigned root); /* of "error", "err", "exception" */

#endif
