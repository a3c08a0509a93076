#include "event/trace.h"

static bool starts_with_one_of(str line, const str *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(line, texts[i]))
            return true;
    return false;
}

static bool holds_one_of(str line, const str *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_find(line, texts[i]) >= 0)
            return true;
    return false;
}

static size_t digits_of(str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

/* "2026-11-23 …", "[2026/11/23 …", "16:03:20 …", "Nov 23 16:03:20 …", "1795478400 …" */
static bool is_timed(str line)
{
    static const char months[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec ";
    char three[4];
    if (str_starts(line, S("[")))
        line = str_skip(line, 1);
    size_t n = digits_of(line);
    if (n == 4 || n == 2)
        return line.n > n + 2 && strchr("-/:.", line.p[n]) && digits_of(str_skip(line, n + 1)) == 2;
    if (n >= 10)
        return true;
    if (line.n < 6)
        return false;
    memcpy(three, line.p, 3);
    three[3] = '\0';
    return line.p[3] == ' ' && strlen(three) == 3 && strstr(months, three) &&
           digits_of(str_trim(str_skip(line, 3))) > 0;
}

/* "java.lang.IllegalStateException: text", "TypeError: text": a name that ends as those of exceptions do, alone or with
 * a colon behind it. */
static bool is_exception(str line)
{
    static const str ends[] = {S("Exception"), S("Error"), S("Throwable"), S("Exit"), S("Interrupt")};
    ptrdiff_t colon = str_chr(line, ':');
    str name = colon > 0 ? str_head(line, (size_t)colon) : line;
    if (str_starts(name, S("Uncaught ")))
        name = str_skip(name, 9);
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == ' ' || name.p[i] == '[' || name.p[i] == '=')
            return false;
    for (size_t i = 0; i < LENGTH(ends); i++)
        if (str_ends(name, ends[i]))
            return true;
    return false;
}

static bool is_numbered(str line) /* "#0 main() at …" */
{
    size_t n = str_starts(line, S("#")) ? digits_of(str_skip(line, 1)) : 0;
    return n > 0 && n < 5 && line.n > n + 1 && line.p[n + 1] == ' ';
}

/* Lines of traces that are not indented, of whatever language. */
static bool is_of_a_trace(str line)
{
    static const str texts[] = {S("Caused by: "),
                                S("Suppressed: "),
                                S("... "),
                                S("at "),
                                S("from "),
                                S("During handling of the above exception"),
                                S("The above exception was the direct cause"),
                                S("--- End of"),
                                S("Stack trace:"),
                                S("stack backtrace:"),
                                S("stack traceback:"),
                                S("note: run with `RUST_BACKTRACE"),
                                S("note: Some details are omitted"),
                                S("goroutine "),
                                S("created by "),
                                S("[signal "),
                                S("[Previous line repeated "),
                                S("thrown in "),
                                S("CallStack (from HasCallStack)")};
    return starts_with_one_of(line, texts, LENGTH(texts)) || is_numbered(line);
}

static bool is_traceback(str line) { return str_starts(line, S("Traceback (most recent call last)")); }

static bool is_go(str line)
{
    static const str texts[] = {S("panic: "), S("fatal error: "), S("goroutine ")};
    return starts_with_one_of(line, texts, LENGTH(texts));
}

static bool is_indented(str line) { return line.n && (line.p[0] == ' ' || line.p[0] == '\t'); }

static bool ends_with_open_bracket(str line)
{
    line = str_trim(line);
    return line.n && strchr("{[(", line.p[line.n - 1]);
}

static bool starts_with_close_bracket(str line) { return line.n && line.n < 4 && strchr("}])", line.p[0]); }

/* What a line that belongs to the event says of those to come. */
static void take_note(struct trace *t, str line)
{
    static const str errors[] = {S("ERROR"), S("CRITICAL"), S("FATAL"),  S("Exception"),
                                 S("Error"), S("error"),    S("SEVERE"), S("fatal")};
    str inside = str_trim(line);
    t->error = t->error || holds_one_of(str_head(line, 400), errors, LENGTH(errors));
    t->caret = inside.n && inside.p[0] == '^';
    if (!is_indented(line))
        t->opened = ends_with_open_bracket(line);
    if (is_traceback(line))
        t->state = TRACE_PYTHON;
    else if (is_go(line))
        t->state = TRACE_GO;
    else if (str_starts(line, S("thread '")) && str_find(line, S("panicked at")) > 0)
        t->state = TRACE_RUST;
    else if (t->state == TRACE_PYTHON && !is_indented(line))
        t->state = TRACE_PYTHON_DONE;
    else if (t->state == TRACE_RUST)
        t->state = TRACE_ANY;
}

void trace_begin(struct trace *t, str line)
{
    *t = (struct trace){0};
    take_note(t, line);
    if (str_starts(line, S("{")) && str_ends(str_trim(line), S("}")))
        t->state = TRACE_WHOLE;
}

static bool belongs(const struct trace *t, str line)
{
    if (t->state == TRACE_WHOLE)
        return false;
    if (is_indented(line))
        return true;
    if (is_timed(line) || str_starts(line, S("{")))
        return false;
    if (is_of_a_trace(line) || (t->opened && starts_with_close_bracket(line)))
        return true;
    if (is_traceback(line) || is_exception(line))
        return t->error || t->caret || t->state == TRACE_PYTHON;
    switch (t->state) {
    case TRACE_PYTHON: /* up to the line that is not indented, which names the exception */
    case TRACE_RUST: return true;
    case TRACE_GO: return str_ends(line, S(")")) || is_go(line);
    default: return false;
    }
}

bool trace_goes_on(struct trace *t, str line)
{
    if (!belongs(t, line))
        return false;
    take_note(t, line);
    return true;
}
