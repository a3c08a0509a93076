/* event/line-private.h - what the readers of lines share: taking things off the front of a view, writing members. */
#ifndef EVENT_LINE_PRIVATE_H
#define EVENT_LINE_PRIVATE_H

#include "base/str.h"
#include "event/line.h"

struct moment {                                         /* a time as it stands in a line */
    int year, month, day, hour, minute, second, digits; /* year 0: it has none */
    int32_t ns, offset_s;
    bool zoned; /* offset_s is known */
};

bool take(str *s, str what);                       /* off the front, if it is there */
bool take_number(str *s, size_t digits, int *ret); /* just so many digits */
str take_word(str *s);                             /* up to a blank, which goes with it */
/* "[…]" as its inside, or "…" with its backslashes; absent: it is neither, *s is as before. */
str take_bracketed(str *s);
str take_quoted(str *s);
bool take_month(str *s, int *ret);           /* "Nov" */
bool take_clock(str *s, struct moment *m);   /* "16:03:20", "16:03:20.123" or with a comma */
bool take_offset(str *s, struct moment *m);  /* "Z", "+0100", "+01:00", " UTC", … */
bool take_rfc3339(str *s, struct moment *m); /* with a blank or '/' where others have T or '-', zone optional */

bool take_clf_time(str *s, struct moment *m); /* "23/Nov/2026:16:03:20 +0000" */
bool take_syslog_time(str *s,
                      struct moment *m);     /* "Nov 23 16:03:20", "Nov  3 …", "Nov 23 2026 16:03:20", or RFC 3339 */
bool take_any_time(str s, struct moment *m); /* one of these, and nothing else */

bool is_date(const struct moment *m); /* one that nanoseconds in 64 bits can tell */
void add_time(const struct moment *m, const struct line_place *p, struct buf *out);
void add_member(struct buf *out, const char *name, str value); /* nothing for an empty value */
void add_raw(struct buf *out, const char *name, str json);
/* With \" \\ \n \t \xHH resolved, as web servers escape. */
void add_unescaped(struct buf *out, const char *name, str raw);
void add_level(struct buf *out, str word); /* nothing when it is no level */
bool is_number(str s);                     /* as JSON has it, short enough to be one */

/* Each reads a line of its format, or says false; `out` is then as before. */
bool read_access(str line, const struct line_place *p, struct buf *out);
bool read_nginx_error(str line, const struct line_place *p, struct buf *out);
bool read_apache_error(str line, const struct line_place *p, struct buf *out);
bool read_syslog(str line, const struct line_place *p, struct buf *out);
bool read_syslog_file(str line, const struct line_place *p, struct buf *out); /* surely syslog, though without <PRI> */
bool read_regex(str line, const struct line_place *p, struct buf *out);
bool read_logfmt(str line, bool sure,
                 struct buf *out); /* sure: it was said to be; words that are no pairs are allowed */

#endif
