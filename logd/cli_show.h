/* cli_show.h - what logd query and logd tail print: events as lines, rows of columns as a table with bars.
 *
 * Lines of NDJSON come in as the server streams them. Events are printed at once; other rows are kept until their columns
 * are known. On a terminal levels have colours (unless NO_COLOR is set) and what takes long says how far it is.
 * Owner: the main thread. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "base/buf.h"

struct show {
    bool text;     /* else NDJSON */
    bool terminal; /* stdout: colours, bars, nothing that steers it gets through */
    bool colours, bars;
    bool progress;    /* stderr is a terminal too */
    bool shown;       /* a line of progress stands there */
    struct buf table; /* rows that are kept */
    uint64_t rows;
    /* from the last line of an answer: */
    bool ended, partial;
    char cursor[128];
    char error[400];
    size_t column;
};
void show_init(struct show *s, bool text);
void show_done(struct show *s);
void show_line(struct show *s, str line); /* of a streamed query */
void show_event(struct show *s, str line);

#endif
