/* event/event.h - what an event is: how one posted object becomes one stored line, and how a line is read.
 *
 * Stored line: one flat JSON object, no newline inside, exactly as it is answered later:
 *
 *   {"id":"0c2k…","event_id":"x1","time":"2026-11-25T09:35:21.123Z","app":"shop","level":"error",
 *    "severity_number":17,"message":"…","error.type":"…", …}
 *
 * `id event_id time app level severity_number` come first and in this order (event_id only if the sender gave one),
 * then the fields in the order they came. Numbers stand as they were written, strings keep their escapes, arrays
 * stay JSON, nested objects have become dotted names, null fields are kept as null, the last of two equal names wins.
 *
 * Our id is 15 characters of base32hex (0-9a-v), sortable by reception: 55 bits of reception time in µs, then 20 bits
 * of row in its batch. Reception times are made unique by batch_stamp, so an id names one event for ever.
 *
 * Owner   any thread; state is what the caller passes. Hot path: nothing is allocated per event. */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "event/batch.h"

#define EVENT_ID_LEN 15
void event_id_print(usec recv_us, uint32_t row, char out[EVENT_ID_LEN]);
bool event_id_parse(str id, usec *ret_recv_us, uint32_t *ret_row) MUST_CHECK;

/* Levels, on OpenTelemetry's scale (contract 3). */
int level_read(str text);         /* name, alias or number as text; 0: not a level */
int level_from_number(int64_t n); /* "level": 0-7 syslog, 10-60 pino/bunyan; 0: neither */
str level_name(int severity);     /* 1-24 -> trace debug info notice warn error critical alert fatal */

/* RFC 3339 or epoch in s, ms, us or ns (told by size), as text. *ret_digits: digits of the fraction that came (0-9). */
int time_read(str text, nsec *ret, int *ret_digits, struct err *e) MUST_CHECK;

/* Turns posted objects into lines of a batch. One per thread; reused. */
struct event_writer;
struct event_writer *event_writer_new(void);
void event_writer_free(struct event_writer *w);
struct event_source {  /* who posts: constant for one request */
    str app;           /* name of the key's app */
    usec now;          /* by the clock, the time of events without one; the batch's stamp may be ahead of it */
    bool browser;      /* a browser key: severity is capped at error, field trust=browser is set */
    str ip;            /* sender's address, for browser events without one; absent: not filled in */
    str agent;         /* its User-Agent, likewise as http.user_agent */
    usec future_limit; /* events later than now + this are refused; 0: one day */
    /* Limits, 0: the one of base/limits.h. Fields cannot be raised past it, depth not past JSON_DEPTH_MAX. */
    uint32_t max_event, max_fields, max_depth, max_events;
};
/* `object` starts at a '{'; *ret_n is how many bytes of it the value took, also on failure as far as it was read.
 * Adds one line to b (body, ids, events, accepted, t_min, t_max), or nothing. ERR_INPUT with e->pointer on a bad event;
 * ERR_FULL: the batch has no room for more. */
int event_add(struct event_writer *w, const struct event_source *src, str object, struct batch *b, size_t *ret_n,
              struct err *e) MUST_CHECK;

/* A stored line, read: views into the line, strings still escaped until asked for. */
enum value_kind { VALUE_NULL, VALUE_BOOL, VALUE_NUMBER, VALUE_STRING, VALUE_JSON };
struct field {
    str name; /* unescaped */
    str raw;  /* the value's bytes; of a string what is between the quotes */
    enum value_kind kind;
    bool escaped; /* a string with backslashes in it */
};
struct event {
    str line;
    str id, app;
    nsec time;
    int severity;
    size_t n;
    struct field f[LIMIT_FIELDS_STORED];
};
/* Reads a line that event_add wrote. -1 (ERR_CORRUPT) when it is not one. Names that needed unescaping live in `a`. */
int event_read(str line, struct event *ev, struct arena *a, struct err *e) MUST_CHECK;
/* The same for any flat JSON object, a row of a query's table: id, app, time and severity are left alone. */
int event_read_fields(str line, struct event *ev, struct arena *a, struct err *e) MUST_CHECK;
/* NULL: the event has no such field. */
const struct field *event_field(const struct event *ev, str name);
/* The value as text: strings unescaped (into `a` when needed), others as written. */
str field_text(const struct field *f, struct arena *a);
/* field_text of the named field, or absent. */
str event_text(const struct event *ev, str name, struct arena *a);
/* What stands first in a stored line, texts as they are between their quotes; the rest is not looked at. */
struct event_head {
    str id, event_id, time_text, app, level; /* event_id: absent if the sender gave none */
    nsec time;
    int severity;
    size_t n; /* bytes of the line up to there */
};
/* How many equal errors of a page it stands for: the reporter sends them as one. REPEATED_MOST at most, for a page's key
 * is no secret. */
enum { REPEATED_MOST = 1000000 };
uint64_t event_stands_for(const struct event *ev, struct arena *a);
bool event_read_head(str line, struct event_head *ret) MUST_CHECK; /* false: it is not a stored line */
/* Time and severity of it, for pruning. */
bool event_peek(str line, nsec *ret_time, int *ret_severity);

#endif
