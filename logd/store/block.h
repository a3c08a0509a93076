/* store/block.h - some thousand events of one app, as columns.
 *
 * The values of one name and one kind are a column; what has another kind under the same name has a column of its own.
 * Which columns an event has, and in which order, is its shape: most events of an app share a few. So a line comes back
 * byte for byte, and presence costs nothing. Names that few events of the block have share the column REST.
 *
 * Columns 0 to SYSTEM_COLUMNS - 1 are those of enum system_column, then the named ones as they first came, REST last.
 *   SHAPE    4 number of shapes, then for each 4 number of its columns and 4 for each; then, when there are several, a
 *            plane of codes, one for each event, of 1 or 2 bytes
 *   MINUTES  how many events of each severity each minute has, when events are many and stand in order of time; else
 *            nothing. Planes of n bytes: 2 minutes since that of t_min, 2 events, 1 severity; minutes ascend
 *   RECV ROW the event's id: reception time and row in its batch
 *   TIME DIGITS  ns, and how many digits of fraction were given
 *   REST     all rare fields of one event: each 1 kind, 2 length of the name, 4 length of the value, name, value. It stands
 *            in a shape once for each of them
 * Strings stand decoded. Those whose escapes are not the ones we would write are of KIND_ESCAPED and stand as they came.
 *
 * Owner   a maker belongs to one thread; a block that is read belongs to one thread and its arena. */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include "event/event.h"
#include "store/column.h"
#include "store/signature.h"
#include "store/store.h"

enum column_kind { KIND_NULL, KIND_BOOL, KIND_NUMBER, KIND_STRING, KIND_JSON, KIND_ESCAPED, KIND_REST, KIND_SYSTEM };
enum system_column {
    SYSTEM_APP,
    SYSTEM_SHAPE,
    SYSTEM_MINUTES,
    SYSTEM_RECV,
    SYSTEM_ROW,
    SYSTEM_TIME,
    SYSTEM_DIGITS,
    SYSTEM_SEVERITY,
    SYSTEM_COLUMNS
};
enum column_flag {
    COLUMN_EVERY = 1,  /* value i is of event i */
    COLUMN_ESCAPES = 2 /* some text needs escapes to stand in JSON */
};
enum {
    LEVELS = 25, /* severities 1 to 24 */
    BLOCK_EVENTS_MAX = 16384,
    BLOCK_BYTES_MAX = 8 << 20,    /* of lines, as blocks are cut */
    BLOCK_RAW_MAX = 16 << 20,     /* of lines, as they are read: one more line may have come in */
    BLOCK_UNPACKED_MAX = 64 << 20 /* of all its columns */
};

struct block_head { /* as on disk, followed by its columns (struct packed) */
    uint32_t events, app, levels, columns;
    int64_t t_min, t_max, recv_min, recv_max;
    uint64_t seq_min, seq_max, raw;
    uint64_t signature; /* offset in the file */
    uint32_t signature_bytes, zero;
    uint32_t by_level[LEVELS]; /* events of each severity, [0] is 0 */
    uint32_t zero2;
};
_Static_assert(sizeof(struct block_head) == 192, "no padding");

/* ---- writing ---- */
struct names { /* of a segment: index to name */
    str *p;    /* malloc'ed texts */
    size_t n, cap;
    struct map *index;
};
uint32_t names_add(struct names *l, str name);
void names_done(struct names *l);

struct block_made {
    struct block_head head; /* without places in the file */
    struct packed *columns; /* offset: in bytes */
    struct buf bytes, signature;
};
void block_made_done(struct block_made *m);
struct block_maker;
struct block_maker *block_maker_new(int level); /* of zstd */
void block_maker_free(struct block_maker *m);
/* Lines as event_add wrote them, all of one app. ERR_CORRUPT: one is not. */
int block_make(struct block_maker *m, str lines, const struct store_block *info, struct names *names,
               struct block_made *ret, struct err *e) MUST_CHECK;

/* ---- reading ---- */
struct segment;
struct shape {
    const uint32_t *columns; /* in the event's order */
    uint32_t n;
};
struct block {
    const struct segment *segment;
    const struct block_head *head;
    const struct packed *columns;
    struct arena *a;      /* of all that is read */
    struct column **read; /* one for each column, NULL: not yet */
    uint16_t **rows;      /* of the values of a column without COLUMN_EVERY; NULL: not yet */
    struct shape *shapes; /* NULL: not yet */
    uint32_t shapes_n;
    const uint16_t *shape_of; /* of each event */
};
void block_open(const struct segment *s, size_t i, struct arena *a, struct block *ret);
str block_name(const struct block *b, size_t column);
/* What is known of a column without telling its values apart (column_glance): often that is enough, and cheaper. NULL
 * with *e: damaged. */
const struct column *block_glance(struct block *b, size_t column, struct err *e) MUST_CHECK;
const struct column *block_column(struct block *b, size_t column, struct err *e) MUST_CHECK;
/* To which event each value belongs, ascending; for columns without COLUMN_EVERY. */
const uint16_t *block_rows(struct block *b, size_t column, struct err *e) MUST_CHECK;
struct minutes {
    int64_t first; /* minutes since 1970 */
    const struct minute {
        uint32_t at, events; /* minutes since the first */
        uint8_t severity;
    } * p;
    size_t n;
};
enum { MINUTE_BYTES = 5 };
#define MINUTE (60 * NSEC_PER_SEC)
static inline int64_t minute_of(nsec t) { return t / MINUTE - (t % MINUTE < 0); }
/* All events of the block by minute and severity; false: it does not say. */
bool block_minutes(struct block *b, struct minutes *ret) MUST_CHECK;
void block_look(struct block *b, str name); /* reads the columns of a field, for later; damage will be met then */
int block_shapes(struct block *b, struct err *e) MUST_CHECK;
/* Of the event `row` those columns that `wanted` names (NULL: all), strings decoded, `line` absent. Texts live in the
 * block's arena. */
int block_event(struct block *b, size_t row, const bool *wanted, struct event *ev, struct err *e) MUST_CHECK;
/* Adds the line, without \n. */
int block_line(struct block *b, size_t row, struct buf *out, struct err *e) MUST_CHECK;
struct rest_value { /* one field of REST */
    enum column_kind kind;
    str name, text;
};
/* Takes the next one off *rest; false: no more, or damaged. */
bool rest_next(str *rest, struct rest_value *ret) MUST_CHECK;

#endif
