/* agent/shape.h - from the lines of a file to events as they are sent.
 *
 * Lines are joined (join.h), read (event/line.h) and made into an event by the same code as the server's (event/event.h):
 * names are put in order and secrets are redacted before a line leaves the machine. A line that makes no good event (a
 * level that is none, a time of the year 3000) is sent as text, with the reason in `parse_error`: it is not lost.
 *
 * Owner   one thread. Memory: that of a joiner, and the largest event. */
#ifndef AGENT_SHAPE_H
#define AGENT_SHAPE_H

#include "agent/join.h"
#include "agent/text.h"
#include "event/line.h"

struct shape_pair {
    char *name, *value;
};
struct filter;
struct shape { /* all of it is borrowed */
    enum line_format format;
    enum join_kind join;
    str pattern;                 /* of the join */
    const struct zone *zone;     /* of times that name none; NULL: UTC */
    struct line_pattern *fields; /* of LINE_REGEX */
    const char *encoding;        /* of the file, NULL: see text_new */
    const char *host;
    const char *input;      /* what it is when it is no file, "stdin": that is the service; NULL: a file */
    struct shape_pair *add; /* fields, where a line has none of that name */
    size_t add_n;
    struct shape_pair *rename; /* fields, as they are after all else */
    size_t rename_n;
    struct filter *keep, *drop; /* what does not match, what does, is left out; NULL: all stays */
    uint32_t sample;            /* of what is below warn one of so many is sent; 0, 1: all */
};
struct shaper;
struct shaper *shaper_new(const struct shape *s, struct err *e) MUST_CHECK; /* ERR_INPUT: pattern, encoding */
void shaper_free(struct shaper *s);                                         /* NULL is fine */
bool shaper_input(const struct shaper *s); /* what it shapes is no file but a spool; NULL: no */
/* As text_width and text_line. */
enum text_width shaper_width(const struct shaper *s, str head);
str shaper_text(struct shaper *s, enum text_width w, str line);
/* As joiner_add, joiner_done, joiner_end and joiner_reset. */
void shaper_line(struct shaper *s, str line, uint64_t at, bool cut);
uint64_t shaper_done(const struct shaper *s, uint64_t end);
void shaper_end(struct shaper *s);
void shaper_reset(struct shaper *s);
/* The next event, as a line of JSON after what is in `out`; nothing is added for blank lines, and for what is
 * left out. *ret_lines: of the file,
 * that it took. `file` is what it came from. False: there is none. */
bool shaper_event(struct shaper *s, const char *file, usec now, struct buf *out, uint32_t *ret_lines) MUST_CHECK;
int shaper_severity(const struct shaper *s); /* of that event; 0: it was nothing */

/* The zone of this machine: TZ, or what /etc/localtime is; NULL: UTC. */
struct zone *zone_here(void);

#endif
