/* event/writer.h - the inside of an event writer, shared by normal.c (what an event means), write.c (how its
 * line is written) and value.c (how one value is). Nobody else includes this.
 *
 * Memory  all of it is allocated once. What held text before it was scrubbed is wiped after the event in which
 *         something was redacted, so that no secret waits in a core file. */
#ifndef EVENT_WRITER_H
#define EVENT_WRITER_H

#include "event/event.h"
#include "event/json.h"
#include "event/names.h"

struct member {          /* one leaf of the object that was posted */
    str name;            /* decoded and dotted: a view of the object or of `text` */
    str raw;             /* its value there; of a string what is between the quotes */
    uint64_t hash;       /* of the name */
    str secret;          /* what kind of secret its name says it is, or absent */
    uint8_t kind, flags; /* enum json_kind (an empty object is a J_ARRAY), J_ESCAPED … */
    uint8_t part, rank, root;
    bool plain;   /* the name stands between quotes as it is */
    bool as_text; /* numbers and booleans become text */
    bool dropped;
};
struct event_writer {
    struct names names;
    const struct name *before; /* of the member that was read last; NULL: none */
    struct buf text;           /* names that had to be put together; never moves */
    struct buf decoded;        /* one value or name without its escapes; wiped */
    struct buf scrubbed;       /* what the scrubber wrote last */
    bool dirty;                /* `text` or `decoded` held something that was redacted */
    struct member m[LIMIT_FIELDS + 1];
    size_t n, limit;
    bool repeated;               /* a name came twice: the last one took the place of the first */
    uint32_t slots[2048], epoch; /* names to members: epoch << 11 | index */
    struct member *best[PARTS];
    struct member *id, *number;     /* the fields called id and severity_number, which may not stay under that name */
    unsigned root;                  /* of those that came the first of error, err, exception; 0: none */
    int severity[LIMIT_FIELDS + 1]; /* of members that are PART_LEVEL */
    str object;                     /* what is being read */
};

struct settled { /* what stands first in a line */
    nsec time;
    int digits, severity;
    str time_text;           /* as it came, when that is how we write it */
    const struct member *id; /* the sender's, or NULL */
};

/* Without escapes, what is invalid replaced: `raw` itself or a view of w->decoded. */
str value_decode(struct event_writer *w, str raw, unsigned flags);
static inline str value_decoded(struct event_writer *w, str raw, unsigned flags)
{
    return LIKELY(!flags) ? raw : value_decode(w, raw, flags);
}
/* `s` scrubbed: itself or a view of w->scrubbed. */
str value_scrubbed(struct event_writer *w, str s);
/* `"name":value` as it stands in the object that was posted, if that is how it is to be written. */
bool value_verbatim(struct event_writer *w, const struct member *m, str *ret);
/* ,"name":value */
void value_write(struct event_writer *w, const struct member *m, struct buf *out);
/* The string between quotes, scrubbed. */
void value_write_string(struct event_writer *w, str raw, unsigned flags, struct buf *out);
void value_wipe(struct event_writer *w);
/* Appends w's members as one line. -1: the batch is full (ERR_FULL) or the event too big (ERR_INPUT); nothing was added. */
int event_write(struct event_writer *w, const struct event_source *src, const struct settled *s, struct batch *b,
                struct err *e) MUST_CHECK;

#endif
