/* issues/stack-forms.c - lines of stacks as forms: one line of this table for each way to print a frame.
 *
 * A form is text with captures, which are never empty:
 *   %f %F  the function, as short or as long as may be     %p  the file     %P  a file without blanks in its name
 *   %n  the line     %c  the column     %t  a type     %m  a message        %W  the function, without blanks
 *   %d  a number     %x  one in hex     %w  a word     %*  anything, or nothing     %s  blanks     %_  blanks or nothing
 * Time is bounded: a line longer than LINE_MAX_BYTES has no form, and a form gives up after STEPS_MAX tries. Most forms are
 * left out before the first: a line must have each byte of a form, and each two that stand side by side in it. */
#include "issues/stack-private.h"

enum { LINE_MAX_BYTES = 2000, STEPS_MAX = 6000 };
enum {
    PLACE = 1,  /* the file's capture goes on for `tail` bytes of the form's text */
    CALL = 2,   /* the place is where the function was called from */
    OPENED = 4, /* only below a line that opens a stack: may be prose elsewhere */
};
struct form {
    const char *text, *next; /* next: the line below; NULL: any */
    int flags, since;        /* version of grouping */
    size_t tail;
};

static const struct form frames[] = {
    /* .NET with debug information, Ruby, PHP, glibc */
    {"at %f(%*) in %p:line %n", NULL, 0, 1, 0},
    {"at %f in %p:line %n", NULL, 0, 1, 0},
    {"%p:%n:in `%f'%*", NULL, 0, 1, 0},
    {"%p:%n:in '%f'%*", NULL, 0, 1, 0},
    {"#%d %p(%n): %f(%*", NULL, CALL, 1, 0},
    {"#%d %p(%n): %f", NULL, CALL, 1, 0},
    {"#%d %p]: %f(%*", NULL, CALL | PLACE, 4, 1},
    {"#%d {main}", NULL, CALL, 4, 0},
    {"%p(%f+0x%x)%_[0x%x]", NULL, 0, 1, 0},
    {"%p(+0x%x)%_[0x%x]", NULL, 0, 1, 0},
    {"%p(%f)%_[0x%x]", NULL, 0, 1, 0},
    /* debuggers, sanitizers, coredumps, with and without the line below that gfortran and Rust print */
    {"#%d%s0x%x in %f (%*) at %p:%n", NULL, 0, 1, 0},
    {"#%d%s%f (%*) at %p:%n", NULL, 0, 1, 0},
    {"#%d%s0x%x in %f (%*) from %p", NULL, 0, 1, 0},
    {"#%d%s%f (%*) from %p", NULL, 0, 1, 0},
    {"#%d%s0x%x in %F %P:%n:%c", NULL, 0, 1, 0},
    {"#%d%s0x%x in %F %P:%n", NULL, 0, 1, 0},
    {"#%d%s0x%x in %F (%p+0x%x)%*", NULL, 0, 1, 0},
    {"#%d%s0x%x %f (%p + 0x%x)", NULL, 0, 1, 0},
    {"#%d%s0x%x (%p+0x%x)%*", NULL, 0, 4, 0},
    {"#%d%s0x%x in %f", "at %p:%n", 0, 4, 0},
    {"#%d%s0x%x in %f ()", NULL, 0, 1, 0},
    {"#%d%s0x%x in %f (%*)", NULL, 0, 1, 0},
    {"%d:%s0x%x - %f", "at %p:%n:%c", 0, 4, 0},
    {"%d:%s0x%x - %f", NULL, 0, 4, 0},
    /* boost and std::stacktrace, glog and abseil, Windows */
    {"%d# %f at %p:%n", NULL, 0, 4, 0},
    {"%d# %f in %p", NULL, 0, 4, 0},
    {"@%s0x%x%s0x%x%s%f", NULL, 0, 4, 0},
    {"@%s0x%x%s%f", NULL, 0, 4, 0},
    {"%w!%f+0x%x [%p @ %n]%*", NULL, 0, 4, 0},
    /* Mono, Unity */
    {"at %f (%*) [0x%x] in <%*>%*", NULL, 0, 4, 0},
    {"at %f (%*) [0x%x] in %p:%n", NULL, 0, 4, 0},
    {"%f (%*) (at %p:%n)", NULL, 0, 4, 0},
    {"%f(%*) (at %p:%n)", NULL, 0, 4, 0},
    /* Dart, as its machine and as its packages print it */
    {"#%d%s%f (%P:%n:%c)", NULL, 0, 4, 0},
    {"#%d%s%f (%P:%n)", NULL, 0, 4, 0},
    {"#%d%s%f (%P)", NULL, 0, 4, 0},
    {"%P.dart %n:%c%s%f", NULL, PLACE, 4, 5},
    /* Swift on Linux, on Apple's */
    {"%d%s%*0x%x %f + %d in %* at %p:%n:%c", NULL, 0, 4, 0},
    {"%d%s%*0x%x %f + %d in %p", NULL, 0, 4, 0},
    {"%d%s%w%s0x%x %f + %d (%p:%n)", NULL, 0, 4, 0},
    {"%d%s%P%s0x%x %f + %d", NULL, 0, 4, 0},
    /* Elixir, Erlang */
    {"%p:%n: anonymous fn/%d in %f/%d", NULL, 0, 4, 0},
    {"%p:%n: %W/%d", NULL, 0, 4, 0},
    {"in function%s%f/%d (%p, line %n)", NULL, 0, 4, 0},
    {"in call from%s%f/%d (%p, line %n)", NULL, 0, 4, 0},
    /* Lua */
    {"%p:%n: in %w '%f'%*", NULL, 0, 4, 0},
    {"%p:%n: in %w `%f'%*", NULL, 0, 4, 0},
    {"%p:%n: in %w <%*>", NULL, 0, 4, 0},
    {"%p:%n: in %f", NULL, OPENED, 4, 0},
    /* Perl, Raku */
    {"eval {...} called at %p line %n", NULL, CALL, 4, 0},
    {"%f(%*) called at %p line %n", NULL, CALL, 4, 0},
    {"require %f called at %p line %n", NULL, CALL, 4, 0},
    {"in %w %f at %p line %n", NULL, 0, 4, 0},
    /* Haskell, OCaml */
    {"%W, called at %p:%n:%c in %*", NULL, CALL, 4, 0},
    {"%W (%P:%n:%c-%d)", NULL, OPENED, 4, 0},
    {"%W (%P:(%n,%c)-(%d,%d))", NULL, OPENED, 4, 0},
    {"Raised at %f in file \"%p\"%*, line %n,%*", NULL, 0, 4, 0},
    {"Re-raised at %f in file \"%p\"%*, line %n,%*", NULL, 0, 4, 0},
    {"Raised by primitive operation at %f in file \"%p\"%*, line %n,%*", NULL, 0, 4, 0},
    {"Called from %f in file \"%p\"%*, line %n,%*", NULL, 0, 4, 0},
    {"%w at file \"%p\"%*, line %n,%*", NULL, 0, 4, 0},
    {"Called from file \"%p\"%*, line %n,%*", NULL, 0, 4, 0},
    /* Julia, Zig, Crystal, Nim, D, Clojure, R, Racket */
    {"[%d] %f(%*", "@ %p:%n", 0, 4, 0},
    {"[%d] %f", "@ %p:%n", 0, 4, 0},
    {"[%d] %f(%*) at %p:%n", NULL, 0, 4, 0},
    {"%P:%n:%c: 0x%x in %f (%*)", NULL, 0, 4, 0},
    {"%P:%n:%c in '%f'%*", NULL, 0, 4, 0},
    {"%P(%n) %W", NULL, OPENED, 4, 0},
    {"%P:%n %f [0x%x]", NULL, 0, 4, 0},
    {"%W %w \"%p\" %n]%*", NULL, OPENED, 4, 0},
    {"[%W %w \"%p\" %n]%*", NULL, 0, 4, 0},
    {"%d: %f(%*) at %P#%n", NULL, 0, 4, 0},
    {"%P:%n:%c: %f", NULL, OPENED, 4, 0},
    /* PowerShell, Tcl, SQL */
    {"at %f, %p: line %n", NULL, 0, 4, 0},
    {"At %p:%n char:%c", NULL, 0, 4, 0},
    {"(procedure \"%f\" line %n)", NULL, 0, 4, 0},
    {"ORA-06512: at \"%f\", line %n", NULL, 0, 4, 0},
    {"PL/pgSQL function %f(%*) line %n at %*", NULL, 0, 4, 0},
    {"Class.%f: line %n, column %c", NULL, 0, 4, 0},
};

static const struct form heads[] = {
    {"** exception %t: %m", NULL, 0, 4, 0},
    {"** (%t) %m", NULL, 0, 4, 0},
    {"*** Terminating app due to uncaught exception '%t', reason: '%m'%*", NULL, 0, 4, 0},
    {"%*[object] (%t(code: %d): %m at %p:%n)%*", NULL, 0, 4, 0},
    {"Unhandled exception: %m (%t)", NULL, 0, 4, 0},
    {"Error: unhandled exception: %m [%t]", NULL, 0, 4, 0},
    {"Fatal error: exception %t(%m)", NULL, 0, 4, 0},
    {"Fatal error: exception %t", NULL, 0, 4, 0},
    {"+ CategoryInfo%s: %* [%*], %t", NULL, 0, 4, 0},
    {"Exception Type:%s%t (%m)", NULL, 0, 4, 0},
    {"%*WARNING: ThreadSanitizer: %m (pid=%d)", NULL, 0, 4, 0},
    {"*** Error in `%*': %m: 0x%x ***", NULL, 0, 4, 0},
    {"%t (%m):", NULL, 0, 4, 0},
};

static const struct form places[] = {
    {"%* at %p line %n.", NULL, 0, 4, 0},
    {"%* at %p line %n, <%*> line %d.", NULL, 0, 4, 0},
    {"thrown in %p on line %n", NULL, 0, 4, 0},
    {"%* in %P on line %n", NULL, 0, 4, 0},
    {"%* in %P:%n", NULL, 0, 4, 0},
    {"%* at %P:%n)%*", NULL, 0, 4, 0},
};

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* May the capture hold it? Some hold anything. */
static bool holds(char kind, char c)
{
    switch (kind) {
    case 'd':
    case 'n':
    case 'c': return c >= '0' && c <= '9';
    case 'x': return is_hex(c);
    case '_':
    case 's': return c == ' ' || c == '\t';
    case 'w':
    case 'W':
    case 'P': return c != ' ' && c != '\t';
    case 't':
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (c && strchr("._:$\\-<>", c));
    default: return true;
    }
}

static uint32_t number(str s)
{
    uint64_t n = 0;
    return str_u64(s, &n) && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static void keep(char kind, str s, struct found *ret)
{
    switch (kind) {
    case 'f':
    case 'F':
    case 'W': ret->frame.function = s; break;
    case 'p':
    case 'P': ret->frame.file = s; break;
    case 'n': ret->frame.line = number(s); break;
    case 'c': ret->frame.column = number(s); break;
    case 't': ret->type = s; break;
    case 'm': ret->message = s; break;
    default: break;
    }
}

/* What a line is made of: its bytes, and, hashed to a byte, each two of them that are neighbours. */
struct bytes {
    uint64_t one[4], two[4];
};

static void put(uint64_t set[4], unsigned c) { set[c / 64] |= 1ull << c % 64; }
static unsigned both(const char *p) { return (37u * (unsigned char)p[0] + (unsigned char)p[1]) & 255; }

static struct bytes bytes_of(str line)
{
    struct bytes b = {0};
    for (size_t i = 0; i < line.n; i++) {
        put(b.one, (unsigned char)line.p[i]);
        if (i + 1 < line.n)
            put(b.two, both(line.p + i));
    }
    return b;
}

/* What a line must have for each form. Written once, before main. */
static struct bytes frames_need[LENGTH(frames)], heads_need[LENGTH(heads)], places_need[LENGTH(places)];

static void need(const struct form *x, size_t n, struct bytes *ret)
{
    for (size_t i = 0; i < n; i++)
        for (const char *form = x[i].text; *form; form++) {
            if (*form == '%') {
                form++;
                continue;
            }
            put(ret[i].one, (unsigned char)*form);
            if (form[1] && form[1] != '%')
                put(ret[i].two, both(form));
        }
}

__attribute__((constructor)) static void init(void)
{
    need(frames, LENGTH(frames), frames_need);
    need(heads, LENGTH(heads), heads_need);
    need(places, LENGTH(places), places_need);
}

static inline bool may_fit(const struct bytes *needs, const struct bytes *b)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < LENGTH(b->one); i++)
        missing |= (needs->one[i] & ~b->one[i]) | (needs->two[i] & ~b->two[i]);
    return !missing;
}

/* Captures are kept from the last to the first, once all of it fits. */
static bool fits(const char *form, str s, struct found *ret, unsigned *steps)
{
    for (; *form && *form != '%'; form++, s = str_skip(s, 1))
        if (!s.n || s.p[0] != *form)
            return false;
    if (!*form)
        return s.n == 0;
    char kind = form[1];
    size_t most = strchr("fFpm*", kind) ? s.n : 0, least = kind == '*' || kind == '_' ? 0 : 1;
    bool greedy = !strchr("fpPtmw*W", kind); /* numbers and blanks are as long as they are */
    while (most < s.n && holds(kind, s.p[most]))
        most++;
    if (most < least)
        return false;
    for (size_t i = 0; i <= (greedy && kind != 'F' ? 0 : most - least); i++) {
        size_t n = greedy ? most - i : least + i;
        if (++*steps > STEPS_MAX)
            return false;
        /* what the form goes on with is looked at here, which is most of the work */
        if (form[2] && form[2] != '%' && (n >= s.n || s.p[n] != form[2]))
            continue;
        if (!fits(form + 2, str_skip(s, n), ret, steps))
            continue;
        keep(kind, str_head(s, n), ret);
        return true;
    }
    return false;
}

static bool form_fits(const struct form *x, str line, str next, struct found *ret)
{
    unsigned steps = 0;
    *ret = (struct found){0};
    if (!fits(x->text, line, ret, &steps))
        return false;
    if (x->flags & PLACE)
        ret->frame.file.n += x->tail;
    steps = 0;
    return !x->next || fits(x->next, next, ret, &steps);
}

bool form_frame(str line, str next, int version, bool header, struct frame *ret, bool *ret_call, bool *ret_both)
{
    struct found found;
    if (!line.n || line.n > LINE_MAX_BYTES)
        return false;
    const struct bytes b = bytes_of(line);
    next = str_trim(next);
    for (size_t i = 0; i < LENGTH(frames); i++) {
        const struct form *x = &frames[i];
        if (!may_fit(&frames_need[i], &b) || x->since > version || ((x->flags & OPENED) && !header) ||
            !form_fits(x, line, next, &found))
            continue;
        *ret = found.frame;
        if (str_eq(ret->function, S("n/a")) || str_eq(ret->function, S("??")))
            ret->function = S("");
        if (str_eq(str_of(x->text), S("#%d {main}")))
            ret->function = S("{main}");
        *ret_call = (x->flags & CALL) && version >= STACK_FORMS_SINCE;
        *ret_both = x->next != NULL;
        return true;
    }
    return false;
}

bool form_header(str line)
{
    static const str words[] = {S("stacktrace:"), S("stack traceback:"), S("backtrace:"), S("stack trace:"),
                                S("context...:"), S("callstack:"),       S("call stack:")};
    for (size_t i = 0; i < LENGTH(words); i++)
        if (line.n >= words[i].n && line.n < 120 && str_eq_nocase(str_skip(line, line.n - words[i].n), words[i]))
            return true;
    return str_starts(line, S("CallStack (from ")) || str_find(line, S("Traceback (most recent call last)")) >= 0;
}

bool form_head(str line, struct found *ret)
{
    if (line.n > LINE_MAX_BYTES)
        return false;
    const struct bytes b = bytes_of(line);
    for (size_t i = 0; i < LENGTH(heads); i++)
        if (may_fit(&heads_need[i], &b) && form_fits(&heads[i], line, (str){0}, ret))
            return true;
    return false;
}

bool form_thrown(str line, struct frame *ret)
{
    struct found found;
    if (line.n > LINE_MAX_BYTES)
        return false;
    const struct bytes b = bytes_of(line);
    for (size_t i = 0; i < LENGTH(places); i++)
        if (may_fit(&places_need[i], &b) && form_fits(&places[i], line, (str){0}, &found)) {
            *ret = found.frame;
            return true;
        }
    return false;
}
