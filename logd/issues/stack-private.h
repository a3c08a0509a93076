/* issues/stack-private.h - what the files that read stack text share. Pure; all are views into the text.
 *
 * A line is asked for by its form first (stack-forms.c: a table), then by those whose frames need more than a form
 * (stack-lines.c); above the frames stands what failed (stack-head.c). Lines come without blanks at both ends. */
#ifndef ISSUES_STACK_PRIVATE_H
#define ISSUES_STACK_PRIVATE_H

#include "base/str.h"
#include "issues/stack.h"

enum { STACK_FORMS_SINCE = 4 }; /* the version of grouping that knows more than the first languages */

/* What a form found; what it does not name is absent or 0. */
struct found {
    struct frame frame;
    str type, message, said; /* said: a name in words, of which the form says more */
};
/* The frame of a line by the table of forms. *ret_call: its place is where the function was called, not where it was.
 * `header`: a line that opens a stack was seen, which some forms need. `next`: the line below, of which *ret_both says
 * that it belongs to the frame. */
bool form_frame(str line, str next, int version, bool header, struct frame *ret, bool *ret_call, bool *ret_both);
/* "Stacktrace:", "context...:": what follows are frames. */
bool form_header(str line);
/* A line that says what failed, in words of its own: type, message, and where it was thrown (frame.line 0: not said). */
bool form_head(str line, struct found *ret);
/* Where something was thrown, at the end of a line: "no stock in /srv/a.php:12". */
bool form_thrown(str line, struct frame *ret);

/* One line of V8, Java, .NET, Gecko, Safari, Opera, and terms of Erlang; false: not one of their frames. */
bool line_frames(str line, int version, struct stack *s);
/* Go and Rust: two lines a frame. */
bool lines_frame(str line, str next, int version, struct stack *s);
/* Rust without line tables: "   3: app::run" after "stack backtrace:" */
bool rust_name(str line, int version, struct stack *s);

/* ---- what failed: type and message of the outermost exception ---- */
bool headline(str line, int version, struct stack *s);
void better_headline(str line, int version, struct stack *s);
bool native_headline(str line, str next, struct stack *s);
bool rust_panic(str line, str next, struct stack *s, struct frame *ret_at);
bool ruby_headline(str rest, struct stack *s);

void stack_add(struct stack *s, struct frame f, int version);
bool frame_is_of_app(const struct frame *f, int version);

/* "path:12:34" or "path:12" -> path, line, column; the numbers are what stands after the last colons. */
str stack_place(str s, uint32_t *ret_line, uint32_t *ret_column);
ptrdiff_t find_last(str s, str what); /* -1: not there */
static inline str without(str s, str prefix) { return str_starts(s, prefix) ? str_skip(s, prefix.n) : s; }
static inline size_t digits_of(str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

#endif
