/* issues/fingerprint.c - which events are the same thing.
 *
 * With a stack: type and the top two in-app frames as (module, function), recursion collapsed; line numbers never, since
 * they move with every release. Without: the template the sender gave, else type and the shape of the message, whose id
 * issues_apply makes that of its template. A client's own `fingerprint` field wins. The app is always part: the same
 * words mean different things elsewhere. */
#include "base/hash.h"
#include "base/str.h"
#include "issues/issues.h"
#include "issues/stack.h"
#include "issues/templates.h"

#include <jansson.h>

enum { CAUSES_DEEP = 8, TEMPLATE_MAX = 2000, IN_APP_FRAMES = 2, ISSUE_FROM = 17 /* severity: error */ };

/* ---- messages ---- */
static void message_template(str s, struct buf *out)
{
    struct shape shape;
    s = str_trim(s);
    shape_read(s, &shape);
    shape_print(s, &shape, out);
}

/* ---- frames ---- */
static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/* The file's name without folder, query, and the hash a bundler put into it: "main.3f2a1c9d.js" -> "main.js". */
static void module_of(str file, struct buf *out)
{
    ptrdiff_t query = str_chr(file, '?');
    if (query >= 0)
        file = str_head(file, (size_t)query);
    for (ptrdiff_t slash; (slash = str_chr(file, '/')) >= 0 || (slash = str_chr(file, '\\')) >= 0;)
        file = str_skip(file, (size_t)slash + 1);
    while (file.n) {
        size_t n = 0, hex = 0, digits = 0;
        while (n < file.n && file.p[n] != '.' && file.p[n] != '-') {
            hex += is_hex(file.p[n]);
            digits += file.p[n] >= '0' && file.p[n] <= '9';
            n++;
        }
        size_t sep = n < file.n ? 1 : 0;
        if (n >= 6 && hex == n && digits)
            ; /* a hash: left out with its separator */
        else
            buf_add(out, file.p, n + sep);
        file = str_skip(file, n + sep);
    }
}

static bool starts_digits(str s) { return s.n && s.p[0] >= '0' && s.p[0] <= '9'; }

static str between(str s, str from, str to)
{
    ptrdiff_t at = str_find(s, from);
    str inside = str_skip(s, at < 0 ? s.n : (size_t)at + from.n);
    ptrdiff_t end = str_find(inside, to);
    return at >= 0 && end > 0 ? str_head(inside, (size_t)end) : (str){0};
}

/* What stands in for a function without a name, after where it was written:
 * Scala shop.Cart$.$anonfun$pay$1, Clojure shop.cart$pay$fn__12, PHP {closure:Shop\Cart::pay():12},
 * Erlang -pay/2-fun-0-, Dart Cart.pay.<anonymous closure>, Swift closure #1 in Cart.pay() */
static str said_by_machines(str f)
{
    static const struct {
        str from, to;
    } forms[] = {{S("$anonfun$"), S("$")}, {S("\"-"), S("/")}, {S("\'-"), S("/")}, {S("\"-fun."), S("/")}};
    static const str ends[] = {S(".<anonymous closure>"), S("$fn__")};
    ptrdiff_t in = str_starts(f, S("closure #")) ? str_find(f, S(" in ")) : -1;
    if (in > 0)
        f = str_skip(f, (size_t)in + 4);
    if (str_starts(f, S("{closure:"))) {
        f = str_skip(f, 9);
        return str_cut(&f, '(');
    }
    for (size_t i = 0; i < LENGTH(forms); i++) {
        str name = between(f, forms[i].from, forms[i].to);
        if (name.n)
            return name;
    }
    for (size_t i = 0; i < LENGTH(ends); i++) {
        ptrdiff_t at = str_find(f, ends[i]);
        if (at > 0)
            f = str_head(f, (size_t)at);
    }
    return f;
}

/* Names that compilers make up are cut to what the author wrote. */
static void function_of(str f, int version, struct buf *out)
{
    ptrdiff_t as = str_find(f, S(" [as "));
    if (as > 0)
        f = str_head(f, (size_t)as);
    if (version >= 4)
        f = said_by_machines(f);
    static const str prefixes[] = {S("Object."),    S("Function."), S("rescue in "),
                                   S("ensure in "), S("async "),    S("global.")};
    for (size_t i = 0; i < LENGTH(prefixes); i++)
        if (str_starts(f, prefixes[i]))
            f = str_skip(f, prefixes[i].n);
    if (str_starts(f, S("block "))) { /* Ruby: "block (2 levels) in run" */
        ptrdiff_t in = str_find(f, S(" in "));
        if (in > 0)
            f = str_skip(f, (size_t)in + 4);
    }
    ptrdiff_t open = str_chr(f, '<'), close = open >= 0 ? str_find(f, S(">d__")) : -1;
    if (open >= 0 && close < 0)
        close = str_find(f, S(">b__"));
    if (close > open) { /* C#: Shop.<PayAsync>d__5.MoveNext, Shop.<>c.<Pay>b__0_1 -> Shop.PayAsync, Shop.Pay */
        ptrdiff_t inner = str_find(f, S(".<>c"));
        str name = str_head(f, (size_t)close);
        for (ptrdiff_t at; (at = str_chr(name, '<')) >= 0;)
            name = str_skip(name, (size_t)at + 1);
        buf_str(out, str_head(f, (size_t)(inner > 0 ? inner + 1 : open)));
        buf_str(out, name);
        return;
    }
    ptrdiff_t hash = str_find(f, S("::h")); /* Rust: app::run::h0123456789abcdef */
    if (hash > 0 && f.n == (size_t)hash + 19)
        f = str_head(f, (size_t)hash);
    ptrdiff_t lambda = str_find(f, S("lambda$")); /* Java: lambda$run$2 -> run */
    if (lambda >= 0) {
        str name = str_skip(f, (size_t)lambda + 7);
        buf_str(out, str_head(f, (size_t)lambda));
        buf_str(out, str_cut(&name, '$'));
        return;
    }
    static const str cuts[] = {S("$$Lambda"),     S("$$EnhancerBy"),   S("$$FastClass"), S("GeneratedMethodAccessor"),
                               S("/<"),           S("::{{closure}}"),  S("::{closure"),  S("$lambda"),
                               S("$suspendImpl"), S(".invokeSuspend"), S("{closure")};
    for (size_t i = 0; i < LENGTH(cuts); i++) {
        ptrdiff_t at = str_find(f, cuts[i]);
        if (at >= 0)
            f = str_head(f, (size_t)at);
    }
    for (ptrdiff_t at;
         (at = str_find(f, S(".func"))) > 0 && starts_digits(str_skip(f, (size_t)at + 5));) /* Go: main.run.func1.2 */
        f = str_head(f, (size_t)at);
    buf_str(out, f);
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* "_ZN4shop3payEi" -> shop::pay: the names of the Itanium C++ ABI, and of Rust's older symbols, whose hash is left out. */
static bool unmangled(str f, struct buf *out)
{
    size_t was = out->n;
    if (!str_starts(f, S("_Z")))
        return false;
    f = str_skip(f, 2);
    if (f.n && f.p[0] == 'N')
        f = str_skip(f, 1);
    while (f.n && (f.p[0] == 'K' || f.p[0] == 'V' || f.p[0] == 'L'))
        f = str_skip(f, 1);
    while (f.n && f.p[0] >= '1' && f.p[0] <= '9') {
        uint64_t n = 0;
        while (starts_digits(f) && n < f.n) {
            n = n * 10 + (uint64_t)(f.p[0] - '0');
            f = str_skip(f, 1);
        }
        if (n > f.n)
            break;
        str name = str_head(f, (size_t)n);
        f = str_skip(f, (size_t)n);
        if (n == 17 && name.p[0] == 'h' && out->n > was)
            continue;
        buf_str(out, out->n > was ? S("::") : S(""));
        buf_str(out, name);
    }
    return out->n > was;
}

/* "shop::pay<int>(int) const" -> shop::pay. A bracket behind a dot is of a name: Go's main.(*hook).Do. */
static str without_arguments(str f)
{
    static const char brackets[] = {'(', '<'};
    bool closed = f.n && (f.p[f.n - 1] == ')' || str_ends(f, S(") const")));
    for (size_t i = closed ? 0 : 1; i < 2; i++) {
        ptrdiff_t open = str_chr(f, brackets[i]);
        if (open > 0 && name_char(f.p[open - 1]) && str_find(f, S("::")) >= 0)
            f = str_head(f, (size_t)open);
    }
    return f;
}

static void frame_name(const struct frame *f, bool top, int version, struct buf *out)
{
    struct buf name = BUF_INIT(1000);
    if (version < 2)
        function_of(f->function, version, &name);
    else if (!unmangled(f->function, &name))
        function_of(without_arguments(f->function), version, &name);
    /* A name with its namespace needs no file; whose main it is, the frame above says. */
    if (version < 2 || (str_find(buf_view(&name), S("::")) <= 0 && (top || !str_eq(buf_view(&name), S("main"))))) {
        module_of(f->file, out);
        buf_byte(out, ':');
    }
    buf_str(out, f->function.n ? buf_view(&name) : S("?"));
    buf_done(&name);
}

/* A function of JavaScript's that has no name of its own, however an engine or an SDK spells it. */
static bool is_anonymous(str f, int version)
{
    static const str whole[] = {S(""), S("?"), S("anonymous"), S("eval"), S("eval code"), S("global code"),
                                S("module code"), S("Timeout._onTimeout"),
                                /* since the fourth version */
                                S("Immediate._onImmediate"), S("<main>"), S("new Promise")};
    enum { BEFORE_4 = 8 };
    for (size_t i = 0; i < (version < 4 ? BEFORE_4 : LENGTH(whole)); i++)
        if (str_eq(f, whole[i]))
            return true;
    return str_ends(f, S("<anonymous>")) || str_starts(f, S("eval at "));
}

/* The top frames that name the place: in-app ones if there are any, recursion collapsed. "a.js:f, b.js:g" */
static size_t top_frames(const struct stack *s, int version, struct buf *out)
{
    bool any = false, named = false;
    size_t n = 0;
    struct buf last = BUF_INIT(1000), now = BUF_INIT(1000);
    for (size_t i = 0; i < s->n; i++)
        any |= s->frames[i].in_app;
    for (size_t i = 0; i < s->n && n < IN_APP_FRAMES; i++) {
        if (any && !s->frames[i].in_app)
            continue;
        if (version >= 3 && named && is_anonymous(s->frames[i].function, version))
            continue;
        buf_reset(&now);
        frame_name(&s->frames[i], n == 0, version, &now);
        named |= !is_anonymous(s->frames[i].function, version);
        if (n && str_eq(buf_view(&now), buf_view(&last)))
            continue;
        buf_str(out, n++ ? S(", ") : S(""));
        buf_str(out, buf_view(&now));
        buf_reset(&last);
        buf_str(&last, buf_view(&now));
    }
    buf_done(&last);
    buf_done(&now);
    return n;
}

/* ---- the fingerprint ---- */
static void copy_text(char *out, size_t size, str s)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80) /* not in the middle of a character */
        n--;
    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)out[i] < 0x20)
            out[i] = ' ';
}

static void make_id(str app, str kind, str a, str b, char ret[17])
{
    uint8_t hash[32];
    struct buf all = BUF_INIT(8192), hex = BUF_INIT(16);
    str parts[] = {app, kind, a, b};
    for (size_t i = 0; i < LENGTH(parts); i++) {
        buf_str(&all, parts[i]);
        buf_byte(&all, '\0');
    }
    sha256(buf_view(&all), hash);
    buf_hex(&hex, hash, 8);
    memcpy(ret, hex.p, 16);
    ret[16] = '\0';
    buf_done(&all);
    buf_done(&hex);
}

static void title_of(str type, str message, struct fingerprint *ret)
{
    struct buf t = BUF_INIT(4096);
    ptrdiff_t newline = str_chr(message, '\n');
    message = str_head(str_trim(newline >= 0 ? str_head(message, (size_t)newline) : message), 2000);
    buf_str(&t, type);
    if (type.n && message.n)
        buf_lit(&t, ": ");
    buf_str(&t, message);
    copy_text(ret->title, sizeof ret->title, t.n ? buf_view(&t) : S("(no message)"));
    buf_done(&t);
}

/* Frames without any function name say where, not what: then the message speaks too. */
static bool no_names(str frames)
{
    while (frames.n) {
        str one = str_cut(&frames, ',');
        if (one.n == 0 || one.p[one.n - 1] != '?')
            return false;
    }
    return true;
}

static void by_stack(str app, str type, str message, const struct stack *s, int version, struct fingerprint *ret)
{
    struct buf frames = BUF_INIT(4096), why = BUF_INIT(4096), t = BUF_INIT(TEMPLATE_MAX + 300);
    size_t n = top_frames(s, version, &frames);
    str top = buf_view(&frames);
    buf_printf(&why, "type %.*s and the top %zu frame%s of the app: %.*s", STR_ARG(type.n ? type : S("(none)")), n,
               n == 1 ? "" : "s", STR_ARG(top));
    if (no_names(top)) {
        message_template(message, &t);
        buf_lit(&why, ", which name no function, so the message too: ");
        buf_str(&why, buf_view(&t));
    }
    ptrdiff_t comma = str_find(top, S(", "));
    copy_text(ret->culprit, sizeof ret->culprit, comma > 0 ? str_head(top, (size_t)comma) : top);
    copy_text(ret->why, sizeof ret->why, buf_view(&why));
    buf_byte(&frames, '\0');
    buf_str(&frames, buf_view(&t));
    make_id(app, S("stack"), type, buf_view(&frames), ret->id);
    buf_done(&frames);
    buf_done(&why);
    buf_done(&t);
}

uint64_t fingerprint_scope(str app, str type)
{
    char text[17];
    make_id(app, S("message"), type, S(""), text);
    return strtoull(text, NULL, 16);
}

static void tell_message(str type, str words, str pattern, struct fingerprint *ret)
{
    struct buf why = BUF_INIT(4096);
    if (type.n)
        buf_printf(&why, "type %.*s and ", STR_ARG(type));
    buf_str(&why, words);
    buf_str(&why, pattern);
    copy_text(ret->why, sizeof ret->why, buf_view(&why));
    ret->culprit[0] = '\0';
    buf_done(&why);
}

static void by_message(str app, str type, str message, struct arena *a, struct fingerprint *ret)
{
    struct buf t = BUF_INIT(TEMPLATE_MAX + 300);
    ret->message = str_trim(message);
    ret->shape = arena_alloc(a, sizeof *ret->shape);
    ret->scope = fingerprint_scope(app, type);
    shape_read(ret->message, ret->shape);
    shape_print(ret->message, ret->shape, &t);
    snprintf(ret->id, sizeof ret->id, "%016llx", (unsigned long long)shape_id(ret->scope, ret->shape));
    tell_message(type, S("message: "), buf_view(&t), ret);
    if (ret->shape->n == 0)
        ret->shape = NULL; /* no words: nothing to learn */
    buf_done(&t);
}

/* What loggers that keep the text apart from its values call it. */
static str template_field(const struct event *ev, struct arena *a)
{
    static const str names[] = {S("msg_template"), S("message_template"), S("messageTemplate"), S("MessageTemplate"),
                                S("@mt")};
    for (size_t i = 0; i < LENGTH(names); i++) {
        str text = event_text(ev, names[i], a);
        if (text.n)
            return text;
    }
    return (str){0};
}

static void by_template(str app, str type, str text, struct fingerprint *ret)
{
    make_id(app, S("template"), type, text, ret->id);
    tell_message(type, S("the sender's own template: "), text, ret);
}

/* ---- the sender's own field ---- */
static bool is_default(const char *part)
{
    return strcmp(part, "{{ default }}") == 0 || strcmp(part, "{{default}}") == 0;
}

/* A text, or a list of texts in which "{{ default }}" stands for what we would say. *ret_default: it does. Absent: the
 * sender says nothing of his own. */
static str own_parts(const struct event *ev, struct arena *a, bool *ret_default)
{
    const struct field *f = event_field(ev, S("fingerprint"));
    str text = f && f->kind != VALUE_NULL ? field_text(f, a) : (str){0};
    json_t *list = f && f->kind == VALUE_JSON ? json_loadb(text.p, text.n, 0, NULL) : NULL, *part;
    struct buf own = BUF_INIT(1 << 20);
    size_t i;
    *ret_default = false;
    if (!json_is_array(list)) {
        json_decref(list);
        *ret_default = text.n < 16 && text.n && is_default(arena_printf(a, "%.*s", STR_ARG(text)));
        return *ret_default ? (str){0} : text;
    }
    json_array_foreach(list, i, part)
    {
        char *said = json_is_string(part) ? xstrdup(json_string_value(part))
                                          : json_dumps(part, JSON_ENCODE_ANY | JSON_COMPACT);
        if (said && is_default(said)) {
            *ret_default = true;
        } else if (said) {
            buf_add(&own, "", own.n ? 1 : 0); /* a NUL between two; a list of one is that text */
            buf_str(&own, str_of(said));
        }
        free(said);
    }
    str all = arena_str(a, buf_view(&own));
    buf_done(&own);
    json_decref(list);
    return all;
}

static void by_own(str app, str own, bool and_default, struct fingerprint *ret)
{
    char text[600];
    if (!and_default) {
        make_id(app, S("own"), own, S(""), ret->id);
        copy_text(ret->why, sizeof ret->why, S("the sender's own field `fingerprint`"));
        ret->culprit[0] = '\0';
        return;
    }
    snprintf(text, sizeof text, "the sender's own field `fingerprint`, and %s", ret->why);
    make_id(app, S("own"), own, str_of(ret->id), ret->id);
    copy_text(ret->why, sizeof ret->why, str_of(text));
    ret->shape = NULL; /* the template's id is not the issue's */
}

/* Text for a terminal without its colours: ESC [ … letter. In `a` if there were any. */
static str without_colours(str s, struct arena *a)
{
    char *out = str_chr(s, '\x1b') < 0 ? NULL : arena_alloc(a, s.n);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++) {
        if (s.p[i] != '\x1b' || i + 1 == s.n || s.p[i + 1] != '[')
            out[n++] = s.p[i];
        else
            for (i += 2; i < s.n && !((unsigned char)s.p[i] >= 0x40 && (unsigned char)s.p[i] <= 0x7e);)
                i++;
    }
    return out ? str_n(out, n) : s;
}

/* A logger that writes the stack below its line. One frame alone may be anything. */
static void stack_in_message(str message, int version, struct arena *a, struct stack *s)
{
    stack_read(version >= 4 ? without_colours(message, a) : message, version, s);
    if (s->n < 2 && !(s->n && s->type.n))
        *s = (struct stack){0};
}

bool fingerprint_possible(str line, int severity)
{
    return severity >= ISSUE_FROM || str_find(line, S("\"error.")) >= 0;
}

bool fingerprint_of(const struct event *ev, int version, struct arena *a, struct fingerprint *ret)
{
    str type = event_text(ev, S("error.type"), a), message = event_text(ev, S("error.message"), a);
    str text = event_text(ev, S("error.stack"), a);
    bool and_default;
    str own = own_parts(ev, a, &and_default);
    const struct field *frames = event_field(ev, S("error.frames"));
    if (ev->severity < ISSUE_FROM && !type.p && !text.p && !frames)
        return false;
    if (!message.p)
        message = event_text(ev, S("message"), a);
    struct stack *s = arena_alloc(a, sizeof *s);
    s->n = 0;
    s->type = s->message = (str){0};
    if (frames && frames->kind == VALUE_JSON)
        stack_read_json(frames->raw, a, version, s);
    if (text.n && (!s->n || !type.n)) { /* frames tell where, their text also what */
        struct stack *said = s->n ? arena_alloc(a, sizeof *said) : s;
        stack_read(version >= 4 ? without_colours(text, a) : text, version, said);
        s->type = said->type;
        s->message = said->message;
    }
    bool in_message = !s->n && !text.n && !frames && str_chr(message, '\n') > 0;
    if (in_message)
        stack_in_message(message, version, a, s);
    if (!type.n)
        type = s->type.n ? s->type : event_text(ev, S("type"), a);
    if (!message.n)
        message = s->message;
    str pattern = template_field(ev, a);
    ret->shape = NULL;
    ret->was[0] = '\0';
    title_of(type, in_message && s->message.n ? s->message : message, ret);
    if (own.n && !and_default)
        ;
    else if (s->n)
        by_stack(ev->app, type, message, s, version, ret);
    else if (pattern.n)
        by_template(ev->app, type, pattern, ret);
    else
        by_message(ev->app, type, message, a, ret);
    if (own.n)
        by_own(ev->app, own, and_default, ret);
    return true;
}

static void of_stack_or_message(str app, str type, str message, const struct stack *s, int version, struct arena *a,
                                struct fingerprint *ret)
{
    ret->shape = NULL;
    ret->was[0] = '\0';
    title_of(type, message, ret);
    if (s->n)
        by_stack(app, type, message, s, version, ret);
    else
        by_message(app, type, message, a, ret);
}

static bool names_cause(const struct event *ev)
{
    for (size_t i = 0; i < ev->n; i++)
        if (str_starts(ev->f[i].name, S("error.cause.")))
            return true;
    return false;
}

/* The fields of the innermost `cause`: "error.cause.cause". Absent: there is none. */
static str cause_fields(const struct event *ev, struct arena *a)
{
    static const char *const names[] = {"type", "message", "stack", "frames"};
    str at = {0}, next = S("error.cause");
    for (int depth = 0, found = names_cause(ev); found && depth < CAUSES_DEEP; depth++) {
        found = 0;
        for (size_t i = 0; i < LENGTH(names) && !found; i++)
            found = event_field(ev, str_of(arena_printf(a, "%.*s.%s", STR_ARG(next), names[i]))) != NULL;
        at = found ? next : at;
        next = str_of(arena_printf(a, "%.*s.cause", STR_ARG(next)));
    }
    return at;
}

bool fingerprint_of_cause(const struct event *ev, int version, struct arena *a, struct fingerprint *ret)
{
    struct stack *s = arena_alloc(a, sizeof *s);
    str at = cause_fields(ev, a), text = event_text(ev, S("error.stack"), a);
    text = text.n ? text : event_text(ev, S("message"), a);
    if (!at.n) {
        if (str_chr(text, '\n') < 0 || !stack_read_cause(text, version, s))
            return false;
        of_stack_or_message(ev->app, s->type, s->message, s, version, a, ret);
        return true;
    }
    str type = event_text(ev, str_of(arena_printf(a, "%.*s.type", STR_ARG(at))), a);
    str message = event_text(ev, str_of(arena_printf(a, "%.*s.message", STR_ARG(at))), a);
    const struct field *frames = event_field(ev, str_of(arena_printf(a, "%.*s.frames", STR_ARG(at))));
    stack_read(event_text(ev, str_of(arena_printf(a, "%.*s.stack", STR_ARG(at))), a), version, s);
    type = type.n ? type : s->type;
    message = message.n ? message : s->message;
    if (frames && frames->kind == VALUE_JSON)
        stack_read_json(frames->raw, a, version, s);
    of_stack_or_message(ev->app, type, message, s, version, a, ret);
    return type.n || message.n || s->n;
}

bool fingerprint_unmapped(const struct event *ev, int version, struct arena *a, char ret[17])
{
    const struct field *frames = event_field(ev, S("error.frames"));
    if (!frames || frames->kind != VALUE_JSON || str_find(frames->raw, S("\"raw\":{")) < 0 ||
        event_field(ev, S("fingerprint")))
        return false;
    struct fingerprint *fp = arena_alloc(a, sizeof *fp);
    struct stack *s = arena_alloc(a, sizeof *s);
    str type = event_text(ev, S("error.type"), a), message = event_text(ev, S("error.message"), a);
    stack_read(event_text(ev, S("error.stack"), a), version, s);
    if (!s->n)
        stack_read_raw(frames->raw, a, version, s);
    type = type.n ? type : s->type.n ? s->type : event_text(ev, S("type"), a);
    if (!s->n)
        return false;
    by_stack(ev->app, type, message.p ? message : event_text(ev, S("message"), a), s, version, fp);
    memcpy(ret, fp->id, sizeof fp->id);
    return true;
}

void fingerprint_text(str app, str line, struct arena *a, struct fingerprint *ret)
{
    ret->was[0] = '\0';
    title_of((str){0}, line, ret);
    by_message(app, (str){0}, line, a, ret);
}

void fingerprint_trace(str app, str trace, struct arena *a, struct fingerprint *ret)
{
    struct stack *s = arena_alloc(a, sizeof *s);
    trace = without_colours(trace, a);
    stack_read(trace, GROUPING_NEWEST, s);
    of_stack_or_message(app, s->n ? s->type : (str){0}, s->n ? s->message : trace, s, GROUPING_NEWEST, a, ret);
}
