/* event/line.h - a line of a log file or a syslog message, read: its parts as members of an event.
 *
 *   json          an object: its members as they are
 *   logfmt        name=value name="value"
 *   access        what web servers write of requests: common, combined, combined behind a virtual host
 *   nginx_error   2026/11/23 16:03:20 [error] 2838#2838: *3 open() …, client: 127.0.0.1, server: …
 *   apache_error  [Mon Nov 23 16:03:52.545205 2026] [core:error] [pid 1:tid 2] [client 127.0.0.1:4] AH10244: …
 *   syslog        RFC 5424, RFC 3164 and what is written in their names; also without <PRI>, as in /var/log
 *   regex         what the named groups of a pattern hold
 *   plain         text: a time at its start and the word for a level near it are taken note of
 *
 * What a line says gets the names of contract 3 where it has one (time level message host service user ip http.*), else
 * a plain one (pid, client, …). A line that is not of the form is plain text: nothing is refused, nothing is lost.
 *
 * Owner   any thread; no state. Allocates `out`, and a copy of what has backslashes in it. Time: linear in the line. */
#ifndef EVENT_LINE_H
#define EVENT_LINE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/zone.h"

enum line_format {
    LINE_AUTO, /* told by the line */
    LINE_PLAIN,
    LINE_JSON,
    LINE_LOGFMT,
    LINE_ACCESS,
    LINE_NGINX_ERROR,
    LINE_APACHE_ERROR,
    LINE_SYSLOG,
    LINE_REGEX, /* by line_place.pattern; without one all is plain */
    LINE_FORMATS,
};
struct line_place {          /* what a line leaves out */
    usec now;                /* the year of a time without one: the one that makes it at most a day later than now */
    const struct zone *zone; /* of times that name none; NULL: UTC */
    struct line_pattern *pattern; /* of LINE_REGEX; NULL: none. One thread uses it at a time */
};
/* A regular expression (event/regex.h) with named groups: (?<ip>\S+) becomes "ip". Of a group `time` any time that other
 * formats have is read, of `level` any word. ERR_INPUT: it is none, or no group has a name. */
int line_pattern_new(str pattern, struct line_pattern **ret, struct err *e) MUST_CHECK;
void line_pattern_free(struct line_pattern *p); /* NULL is fine */
/* ERR_INPUT names those there are. "clf", "combined" and "nginx" are "access" too. */
int line_format_read(str name, enum line_format *ret, struct err *e) MUST_CHECK;
const char *line_format_name(enum line_format f);
/* Appends members without braces, at least one; a comma goes before the first unless `out` is empty or ends with '{'.
 * Returns the format the line had. */
enum line_format line_read(enum line_format f, str line, const struct line_place *p, struct buf *out);

/* The name of syslog's n-th facility; NULL: there is none. */
const char *line_facility(uint64_t n);

/* The next of a logfmt text: a pair, or a word that is none (no name). A value in quotes is as it stands between them, with
 * the escapes of JSON. False: there is no more. */
struct logfmt {
    str name, value;
    bool quoted;
};
bool logfmt_next(str *s, struct logfmt *ret) MUST_CHECK;

#endif
