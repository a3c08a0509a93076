/* event/trace.h - which lines of a log belong together: stack traces, and what is printed over several lines.
 *
 * An event goes on with a line that is indented, and with those lines of traces that are not, by what they say ("Caused
 * by:", "goroutine 7 [", "#3 …", the last line of a Python traceback) and by what went before. A line that begins with
 * a time, and one after an event in JSON, never belongs to it. No language is asked for: all are told apart.
 *
 * Owner   any thread; the state is the caller's, one per event. */
#ifndef EVENT_TRACE_H
#define EVENT_TRACE_H

#include "base/str.h"

struct trace {
    enum { TRACE_ANY, TRACE_PYTHON, TRACE_PYTHON_DONE, TRACE_GO, TRACE_RUST, TRACE_WHOLE } state;
    bool error;  /* it speaks of an error: an exception in the next line is its own */
    bool opened; /* its last line but those that are indented ends with a bracket */
    bool caret;  /* its last line points at source code */
};
/* The first line of an event. */
void trace_begin(struct trace *t, str line);
/* The next line, not a blank one, belongs to the event. Takes note of it if so. */
bool trace_goes_on(struct trace *t, str line) MUST_CHECK;

#endif
