/* event/batch.h - what travels from intake through the journal to the head: one request's accepted records.
 *
 * Owner   the intake thread until journal_submit, the journal thread until it calls `done`, then intake again,
 *         which frees it. The store takes `body` away when the batch is durable (leaving it empty). */
#ifndef EVENT_BATCH_H
#define EVENT_BATCH_H

#include "base/base.h"
#include "base/buf.h"
#include "base/limits.h"
#include <stdatomic.h>

#define LIMIT_FIELDS_STORED (LIMIT_FIELDS + 16) /* the fields we add ourselves */

enum record_type {
    RECORD_EVENTS = 1, /* body: stored lines, one event each */
    RECORD_STATS = 2,  /* body: one JSON object a line, as stats/check.c writes it */
    RECORD_ACTION = 3, /* body: one JSON object: what a person did to an issue or incident */
    RECORD_UNIQUE = 4, /* body: places of sketches, see stats/unique.h; recv_us 0: it has no time */
};
enum batch_status {
    BATCH_OK,       /* durable */
    BATCH_REPEATED, /* its Idempotency-Key was seen with the same body: `repeat` is the first reply */
    BATCH_CONFLICT, /* its Idempotency-Key was seen with another body */
    BATCH_FULL,     /* queue or disk is full: 503, Retry-After */
    BATCH_FAILED,   /* the disk failed; the server stops */
};
struct batch_id {            /* one line that carries an event_id */
    uint64_t hash;           /* of app and event_id, siphash under the server's key */
    uint32_t offset, length; /* of the line in body, newline included */
};
struct batch {
    enum record_type type;
    uint32_t app;      /* id; 0: the server itself */
    usec recv_us;      /* unique: batch_stamp */
    uint64_t seq;      /* set by the journal: 1, 2, 3 … */
    struct buf body;   /* lines, each ended by \n */
    uint32_t events;   /* lines in body */
    nsec t_min, t_max; /* of the events; INT64_MAX, INT64_MIN when none */
    struct batch_id *ids;
    size_t ids_n, ids_cap;
    uint8_t id_key[16]; /* siphash key for ids, given by the server */

    bool idempotent;
    uint8_t idem_key[16];  /* hash of API key and Idempotency-Key */
    uint8_t idem_body[16]; /* hash of the body as posted */
    usec idem_since;       /* hashes of before cannot be compared, their key is gone: those are repeats */
    usec repeat_us;        /* BATCH_REPEATED: when the first came */
    struct batch *with;    /* of the same request, submitted with it, before it: no record of this one without it */

    uint32_t accepted, duplicates, rejected; /* the reply's counts; the journal moves accepted to duplicates */
    struct buf errors;                       /* the reply's "errors": objects with commas between, no brackets */
    uint32_t errors_n;
    char first_error[400], first_pointer[128];

    enum batch_status status;
    char *repeat;                             /* malloc'ed reply text, BATCH_REPEATED only */
    void (*done)(struct batch *b, void *arg); /* called once, in the journal thread, must not block */
    void *arg;
    struct batch *next;
};

struct batch *batch_new(enum record_type type, uint32_t app, usec recv_us);
void batch_free(struct batch *b);
void batch_add_id(struct batch *b, uint64_t hash, size_t offset, size_t length);
/* Notes a refused record: counts it and adds {"index","pointer","error"} while there are fewer than LIMIT_ERRORS. */
void batch_reject(struct batch *b, size_t index, const char *pointer, const char *text);
/* The reply body: {"accepted":…,"duplicates":…,"rejected":…,"errors":[…]} and, when every record was refused, the
 * first error's "error" and "pointer" too. */
void batch_reply(const struct batch *b, struct buf *out);
/* A reception time no other batch of this server has or had; never goes back. `last` is seeded from the journal. */
usec batch_stamp(_Atomic usec *last, usec now);

#endif
