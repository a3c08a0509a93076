/* agent/text.h - lines of files that are not UTF-8.
 *
 * UTF-16 is told by the mark at the start of the file (FF FE or FE FF), or by its name; a line ends there with two bytes. In
 * all other encodings that iconv(3) knows and that are taken, a line ends with the byte 10, which stands for nothing else.
 *
 * Owner   one thread. */
#ifndef AGENT_TEXT_H
#define AGENT_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum text_width { TEXT_BYTES, TEXT_LITTLE, TEXT_BIG }; /* the latter two: UTF-16 */

struct text;
/* `encoding` NULL: UTF-8, or UTF-16 with a mark. ERR_INPUT: nobody knows it, or its lines do not end like that. */
int text_new(const char *encoding, struct text **ret, struct err *e) MUST_CHECK;
void text_free(struct text *t); /* NULL is fine */
/* Of a file that starts with `head`. */
enum text_width text_width(const struct text *t, str head);
static inline size_t text_unit(enum text_width w) { return w == TEXT_BYTES ? 1 : 2; }
/* Where the first line of `s` ends, which starts with a whole character: -1 when its end is not there. */
ptrdiff_t text_end(enum text_width w, str s);
/* A line in UTF-8, without a mark before and a carriage return behind it; U+FFFD where it means nothing. Of what is UTF-8
 * nothing else is changed. Valid until the next call. */
str text_line(struct text *t, enum text_width w, str line);

#endif
