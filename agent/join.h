/* agent/join.h - from lines of a file to texts of events: container wrappings off, partial lines and traces put together.
 *
 *   docker   {"log":"text\n","stream":"stderr","time":"…"}      without \n at its end: the line goes on
 *   CRI      2026-11-23T16:03:20.1Z stderr P text                P: the line goes on, F: it ends
 *
 * Lines of one stream are joined among themselves: what stderr says is not torn apart by what stdout says between. Events
 * are handed out in the order of their first lines, and together where they lie between each other's lines, so that there
 * is one place in the file up to which all is done.
 * An event is complete when a line of its stream begins another one, when other streams wrote JOIN_PATIENCE lines since,
 * when it is too large, or when the caller says that no more comes.
 *
 * Owner   one thread; no I/O, no clock. Memory: at most JOIN_OPEN events of JOIN_BYTES. */
#ifndef AGENT_JOIN_H
#define AGENT_JOIN_H

#include "base/buf.h"
#include "base/err.h"

enum { JOIN_OPEN = 64, JOIN_PATIENCE = 50, JOIN_LINES = 500, JOIN_BYTES = 160 << 10, JOIN_TIME = 48 };

enum join_kind {
    JOIN_AUTO,   /* stack traces, and what is indented */
    JOIN_NONE,   /* a line is an event */
    JOIN_STARTS, /* an event begins with each line in which the pattern is found */
    JOIN_GOES_ON /* an event goes on after each line in which the pattern is found */
};
struct joiner;
/* `pattern` is for the last two. ERR_INPUT: it is no regular expression. */
struct joiner *joiner_new(enum join_kind kind, str pattern, struct err *e) MUST_CHECK;
void joiner_free(struct joiner *j);

struct joined {
    str text;       /* lines with \n between; valid until the next call on j */
    str time;       /* as a container's runtime stamped its first line, or absent */
    str stream;     /* "stdout", "stderr", or absent */
    uint32_t lines; /* of the file, that are in it */
    bool cut;       /* its line was longer than what is taken */
};
/* One line, without its end, which starts at byte `at`; places grow. `cut`: its rest was left out. After each line all
 * that joiner_next has is to be taken. */
void joiner_add(struct joiner *j, str line, uint64_t at, bool cut);
bool joiner_next(struct joiner *j, struct joined *ret) MUST_CHECK; /* an event that is complete; false: none is */
/* The place of the first line that is not in an event that was handed out, or `end` if there is none. */
uint64_t joiner_done(const struct joiner *j, uint64_t end);
void joiner_end(struct joiner *j);   /* all that is there is complete */
void joiner_reset(struct joiner *j); /* forget what is there */

#endif
