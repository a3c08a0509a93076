/* issues/stack-head.c - what failed, as the lines around a stack say it. */
#include "issues/stack-private.h"

/* ": no stock (RuntimeError)" */
bool ruby_headline(str rest, struct stack *s)
{
    ptrdiff_t open = find_last(rest, S(" ("));
    if (!str_starts(rest, S(": ")) || open < 2 || rest.p[rest.n - 1] != ')')
        return false;
    s->type = str_head(str_skip(rest, (size_t)open + 2), rest.n - (size_t)open - 3);
    s->message = str_head(str_skip(rest, 2), (size_t)open - 2);
    return true;
}

/* "thread 'main' panicked at src/main.rs:4:5:" and the message below, before 1.73 "panicked at 'boom', src/main.rs:4:5".
 * *ret_at: the place, for a panic without a backtrace. */
bool rust_panic(str line, str next, struct stack *s, struct frame *ret_at)
{
    ptrdiff_t at = str_find(line, S(" panicked at "));
    if (!str_starts(line, S("thread '")) || at < 0)
        return false;
    str rest = str_skip(line, (size_t)at + 13);
    ptrdiff_t quoted = find_last(rest, S("', "));
    s->type = S("panic");
    if (rest.n && rest.p[0] == '\'' && quoted > 0) {
        s->message = str_head(str_skip(rest, 1), (size_t)quoted - 1);
        rest = str_skip(rest, (size_t)quoted + 3);
    } else {
        s->message = str_trim(next);
        rest = rest.n && rest.p[rest.n - 1] == ':' ? str_head(rest, rest.n - 1) : rest;
    }
    ret_at->file = stack_place(rest, &ret_at->line, &ret_at->column);
    return true;
}

/* "terminate called after throwing an instance of 'T'" and "what():  m" below; "==1==ERROR: AddressSanitizer: kind on …" */
bool native_headline(str line, str next, struct stack *s)
{
    static const str thrown = S("terminate called after throwing an instance of '");
    ptrdiff_t sanitizer = str_find(line, S("Sanitizer: "));
    if (str_starts(line, thrown)) {
        line = str_skip(line, thrown.n);
        s->type = str_cut(&line, '\'');
        next = str_trim(next);
        s->message = str_starts(next, S("what():")) ? str_trim(str_skip(next, 7)) : (str){0};
        return true;
    }
    if (!str_starts(line, S("==")) || sanitizer < 0)
        return false;
    s->message = str_skip(line, (size_t)sanitizer + 11);
    ptrdiff_t on = str_chr(s->message, ' ');
    s->type = on > 0 ? str_head(s->message, (size_t)on) : s->message;
    return true;
}

static bool type_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '$' || c == ':' || c == '\\';
}

/* What machines say before the exception's own words: "(node:7) UnhandledPromiseRejectionWarning: TypeError: x",
 * "error: Uncaught (in promise) TypeError: x", "Caused by: x", "[cause]: x" */
static str said_of(str line)
{
    static const str prefixes[] = {S("error: "),
                                   S("ERROR: "),
                                   S("LoadError: "),
                                   S("Uncaught "),
                                   S("Unhandled "),
                                   S("(in promise) "),
                                   S("rejection "),
                                   S("UnhandledPromiseRejectionWarning: "),
                                   S("Caused by: "),
                                   S("[cause]: "),
                                   S("Unhandled exception: "),
                                   S("---> "),
                                   S("Uncaught error "),
                                   S("Suppressed: ")};
    str before;
    if (str_starts(line, S("(node:"))) {
        ptrdiff_t end = str_find(line, S(") "));
        line = str_skip(line, end > 0 ? (size_t)end + 2 : 0);
    }
    do {
        before = line;
        for (size_t i = 0; i < LENGTH(prefixes); i++)
            line = without(line, prefixes[i]);
    } while (line.n < before.n);
    return line;
}

/* "pkg.Type: message", "Uncaught Type: message", "Exception in thread "main" pkg.Type: message", "panic: message". */
bool headline(str line, int version, struct stack *s)
{
    static const str prefixes[] = {S("Unhandled exception. "),
                                   S("Unhandled Exception: "),
                                   S("PHP Fatal error:  "),
                                   S("Fatal error: "),
                                   S("Next "),
                                   S("Uncaught ")};
    line = str_trim(line);
    if (str_starts(line, S("Exception in thread \""))) {
        line = str_skip(line, 21);
        (void)str_cut(&line, '"');
        line = str_trim(line);
    }
    for (size_t i = 0; i < LENGTH(prefixes); i++)
        if (str_starts(line, prefixes[i]))
            line = str_skip(line, prefixes[i].n);
    if (version >= STACK_FORMS_SINCE)
        line = said_of(line);
    if (str_starts(line, S("panic: "))) {
        s->type = S("panic");
        s->message = str_skip(line, 7);
        ptrdiff_t again = version >= STACK_FORMS_SINCE ? str_find(s->message, S(" [recovered")) : -1;
        s->message = str_head(s->message, again > 0 ? (size_t)again : s->message.n);
        return true;
    }
    size_t n = 0;
    while (n < line.n && type_char(line.p[n]) && !(line.p[n] == ':' && (n + 1 == line.n || line.p[n + 1] == ' ')))
        n++;
    bool named = n > 0 && (n == line.n || (line.p[n] == ':' && n + 1 <= line.n));
    bool looks = str_find(str_head(line, n), S("Error")) >= 0 || str_find(str_head(line, n), S("Exception")) >= 0 ||
                 (n < line.n && line.p[0] >= 'A' && line.p[0] <= 'Z') || str_chr(str_head(line, n), '.') > 0;
    if (!named || !looks)
        return false;
    s->type = str_head(line, n);
    s->message = n < line.n ? str_trim(str_skip(line, n + 1)) : (str){0};
    ptrdiff_t inner = str_find(s->message, S(" ---> ")), in = find_last(s->message, S(" in /"));
    uint32_t at = 0;
    if (inner >= 0) /* C# puts the inner exception behind it */
        s->message = str_head(s->message, (size_t)inner);
    else if (in >= 0 && str_ends(stack_place(s->message, &at, &at), S(".php")) && at)
        s->message = str_head(s->message, (size_t)in); /* PHP, the place */
    return true;
}

static bool strong(str type) { return str_find(type, S("Error")) >= 0 || str_find(type, S("Exception")) >= 0; }

/* Forms of what failed that are no "Type: message"; better than what was there, unless that is an error's name. */
static bool other_headline(str line, struct stack *s)
{
    struct found found;
    if (s->type.p && strong(s->type))
        return false;
    if (form_head(line, &found) && (line.p[line.n - 1] != ':' || strong(found.type))) {
        s->type = found.type.n ? found.type : found.message;
        s->message = found.message;
    } else {
        return false;
    }
    return true;
}

/* Go, Swift: "fatal error: all goroutines are asleep", "a.swift:12: Fatal error: no stock". Names no exception. */
static void fatal_headline(str line, struct stack *s)
{
    ptrdiff_t fatal = str_find_nocase(line, S("fatal error: "));
    str place = fatal >= 0 ? str_skip(line, (size_t)fatal + 13) : (str){0};
    ptrdiff_t file = str_find(place, S(": file "));
    if (!place.n)
        return;
    s->type = str_head(str_skip(line, (size_t)fatal), 11);
    s->message = str_head(place, file > 0 ? (size_t)file : place.n);
}

/* The nearest line above the frames that names an error, not the first word of the log line that carries it. */
void better_headline(str line, int version, struct stack *s)
{
    struct stack_head {
        str type, message;
    } old = {s->type, s->message};
    if (s->type.p && strong(s->type))
        return;
    bool other = version >= STACK_FORMS_SINCE && other_headline(line, s);
    bool named = !other && headline(line, version, s);
    if (!other && (!named || (old.type.p && !strong(s->type)))) {
        s->type = old.type;
        s->message = old.message;
    }
    if (version >= STACK_FORMS_SINCE && !s->type.p)
        fatal_headline(line, s);
}
