/* intake/json.h - the body of POST /v1/events: one object, an array, or objects one a line, however they are mixed.
 *
 * A bad record never costs the good ones. In lines a syntax error costs its line (of a pretty-printed object, that
 * object); in an array it costs the element, which ends where its brackets balance. Records are numbered from 0.
 *
 * Owner   any thread, with its own event writer. */
#ifndef INTAKE_JSON_H
#define INTAKE_JSON_H

#include "event/event.h"

enum records_at { AT_VALUE, AT_FIRST, AT_ELEMENT, AT_COMMA }; /* between arrays; behind '[', ',' and an element */
struct records {
    const char *start, *p, *end;
    const char *record; /* where the one that was given last starts */
    enum records_at at;
    uint32_t count; /* records given and refused so far */
};
/* -1: not UTF-8 at all (UTF-16, UTF-32). The body stays the caller's. */
int records_open(struct records *r, str body, struct err *e) MUST_CHECK;
enum records_is { RECORDS_END, RECORDS_OBJECT, RECORDS_BAD };
/* RECORDS_OBJECT: *ret starts at its '{' and runs to the end of the body; records_took must follow.
 * RECORDS_BAD: what is there is no object; *e says what was expected. */
enum records_is records_next(struct records *r, str *ret, struct err *e) MUST_CHECK;
/* The record was read for n bytes; !ok: it was bad, and the next record is looked for. */
void records_took(struct records *r, bool ok, size_t n);

/* All of `body` into b: lines of good records, errors of bad ones (batch_reject). 0: at least the body was read, b tells
 * the rest, also when every record was bad. -1: nothing of b may be used; ERR_INPUT: 400, ERR_FULL: 413, more records
 * or more bytes than a request may have. */
int intake_json(struct event_writer *w, const struct event_source *src, str body, struct batch *b,
                struct err *e) MUST_CHECK;

#endif
