/* issues/stack.h - stack text of many languages as frames. Pure; views into the text.
 *
 * Understood: V8 (Chrome, Node, Deno), Firefox and Safari, Python, Java and what runs beside it, .NET, Go, Ruby, PHP, Rust
 * (panics with and without a backtrace), debuggers, sanitizers, coredumps, and what stands in the table of
 * issues/stack-forms.c. What stands before the stack, as in a log line that carries one, is passed over. Frames come out
 * newest first, whatever the language prints. Of a chain the outermost exception is taken: the first of Java's, Node's,
 * .NET's and Ruby's text, the last of Python's and PHP's, with its own frames.
 */
#ifndef ISSUES_STACK_H
#define ISSUES_STACK_H

#include "base/arena.h"
#include "base/base.h"

#define STACK_FRAMES 128
struct frame {
    str function, file; /* as printed; file may be a URL or a Java "App.java" */
    uint32_t line, column;
    bool in_app; /* not the standard library, not a dependency */
};
struct stack {
    str type, message; /* of the outermost exception; absent when the text does not say */
    struct frame frames[STACK_FRAMES];
    size_t n;
};
/* n == 0 when no frame was found. `version`: of grouping (issues/issues.h); an older one knows fewer languages. */
void stack_read(str text, int version, struct stack *ret);
/* The same of the innermost cause that the text tells of: "Caused by: …", "[cause]: …", what .NET, PHP and Python print
 * before the outer one. Frames that Java leaves out as common are those of the outer one. False: no cause with a frame or
 * a type. */
bool stack_read_cause(str text, int version, struct stack *ret);
/* [{"function","file","line","column","in_app"}] as events carry them, newest first. */
void stack_read_json(str json, struct arena *a, int version, struct stack *ret);
/* The same as they were before a source map: of a frame with a `raw`, that. */
void stack_read_raw(str json, struct arena *a, int version, struct stack *ret);
bool frame_in_app(const struct frame *f);

#endif
