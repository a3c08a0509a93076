/* The value of a secret name inside text: where it ends, and whether it is one.
 *
 * In doubt it ends late: the rest of a line lost hurts less than half a password kept. What follows a colon and a
 * blank may as well be prose ("bad token: signature expired"): there a value of letters only must stand alone. */
#include "event/scrub-private.h"

struct found scrub_between(const struct scan *s, size_t from, size_t to, str kind)
{
    if (to <= from || from < s->done || is_redacted(s, from))
        return NOTHING;
    return (struct found){from, to, kind, {NULL, 0}, {NULL, 0}};
}

/* Is v one of the words of the list, which has blanks between? Case does not matter. */
static bool among(str list, str v)
{
    while (list.p)
        if (str_eq_nocase(str_cut(&list, ' '), v))
            return true;
    return false;
}

bool scrub_says_nothing(str v)
{
    static const str words = S(
        "true false null none nil undefined nan yes no empty required missing invalid expired wrong denied failed "
        "failure ok success accepted rejected incorrect unknown string str number integer object array boolean "
        "await new not is must cannot too expected mismatch revoked disabled enabled unset set changed optional "
        "found auth token tokens authentication include omit same-origin");
    return v.n == 0 || (v.n <= 14 && among(words, v));
}

static size_t line_end(const struct scan *s, size_t i)
{
    while (i < s->n && s->p[i] != '\n' && s->p[i] != '\r')
        i++;
    return i;
}

/* Is the mark before which `n` backslashes stand the end of what q began? A string k times inside of others has
 * 2^k - 1 of them at its ends; fewer end a string around it; more are content, or content that ends in backslashes. */
static bool closes(struct quotes q, size_t n)
{
    return n < q.escapes || (n - q.escapes) % (q.escapes + 1u) != 0 || (n - q.escapes) / (q.escapes + 1u) % 2 == 0;
}

/* Where the value in quotes that begins at i ends. A value that is cut off ends with its line. */
static size_t quoted_end(const struct scan *s, size_t i, struct quotes q)
{
    size_t escapes = 0;
    for (size_t p = i; p < s->n; p++) {
        char c = s->p[p];
        if (q.c == '%' || q.c == '&') {
            if (c == q.c && scrub_quotes(s, p).c == q.c)
                return p;
        } else if (c == q.c && closes(q, escapes)) {
            bool doubled = c == '\'' && !q.escapes && at(s, p + 1) == c && p > i; /* SQL: 'it''s' */
            if (!doubled)
                return p - (escapes < q.escapes ? escapes : q.escapes);
            p++;
        }
        escapes = c == '\\' ? escapes + 1 : 0;
    }
    return line_end(s, i);
}

/* Behind the bracket that closes the one at i; strings in it are marked with q. 0: it never closes. */
static size_t bracket_end(struct scan *s, size_t i, struct quotes q)
{
    size_t depth = 0, stop = s->unbalanced ? line_end(s, i) : s->n;
    for (; i < stop; i++) {
        char c = s->p[i];
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return i + 1;
        else if (c == '\\' || c == q.c) {
            struct quotes here = scrub_quotes(s, i);
            if (here.c == q.c && here.escapes == q.escapes)
                i = quoted_end(s, i + q.n, q) + q.n - 1u;
        }
    }
    s->unbalanced = true;
    return 0;
}

static bool ends_always(char c) { return (unsigned char)c <= ' ' || c == '<' || c == '>'; }

/* A comma or semicolon ends a value when a blank, the end, or another name and its sign follow. */
static bool ends_list(const struct scan *s, size_t i)
{
    size_t p = i + 1, name = run(s, p, C_DOTTED, 40);
    char c = at(s, name);
    return p >= s->n || ends_always(at(s, p)) || scrub_quotes(s, p).c ||
           (name > p && (c == '=' || c == ':' || c == '%'));
}

/* Does a value without quotes end at i? */
static bool ends_plain(const struct scan *s, size_t i, const struct value_place *v)
{
    char c = s->p[i], d = at(s, i + 1);
    if (ends_always(c))
        return true;
    switch (c) {
    case '&': return true;
    case '#': return v->query;
    case ';': return v->query || ends_list(s, i);
    case ',': return ends_list(s, i);
    case '%': return v->encoded && d == '2' && (at(s, i + 2) == '6' || at(s, i + 2) == '3');
    case '"':
    case '\'':
    case '`': return !is(d, C_ALNUM);
    case '\\': return d && strchr("\"'nrtu\\/", d);
    case '{':
    case '[': return scrub_quotes(s, i + 1).c;
    case ')':
    case ']':
    case '}': return i + 1 >= s->n || ends_always(d) || strchr(",;.:)]}\"'`\\", d);
    default: return false;
    }
}

static size_t plain_end(const struct scan *s, size_t i, size_t max, const struct value_place *v)
{
    size_t stop = s->n - i < max ? s->n : i + max;
    while (i < stop && !ends_plain(s, i, v))
        i++;
    return i;
}

/* `:6:97` behind a URL in a stack is a place, not part of its last value. */
static size_t without_place(const struct scan *s, size_t from, size_t to)
{
    for (int k = 0; k < 2; k++) {
        size_t p = to;
        while (p > from && is(s->p[p - 1], C_DIGIT))
            p--;
        if (p == to || p <= from + 1 || s->p[p - 1] != ':')
            break;
        to = p - 1;
    }
    return to;
}

static size_t blanks(const struct scan *s, size_t i)
{
    while (at(s, i) == ' ' || at(s, i) == '\t')
        i++;
    return i;
}

/* Authorization: Bearer x. The word at from is a scheme: the end of the word behind it, or of the line. 0: it is none. */
static size_t scheme_end(const struct scan *s, size_t from, const struct value_place *v)
{
    static const str one = S("bearer basic token negotiate ntlm apikey splunk key");
    static const str all = S("digest aws4-hmac-sha256 oauth hawk signature hmac");
    if (!str_eq(v->name->kind, S("authorization")))
        return 0;
    size_t to = run(s, from, C_WORD, 20), next = blanks(s, to);
    str word = {s->p + from, to - from};
    if (next == to || next >= s->n || ends_plain(s, next, v) || is_redacted(s, next))
        return 0;
    if (among(one, word))
        return plain_end(s, next, s->n, v);
    return among(all, word) ? line_end(s, from) : 0;
}

/* Cookie: a=b; c=d. */
static size_t cookie_end(const struct scan *s, size_t to, const struct value_place *v)
{
    while (at(s, to) == ';' && at(s, to + 1) == ' ' && is(at(s, to + 2), C_TOKEN))
        to = plain_end(s, to + 2, s->n, v);
    return to;
}

static size_t count(str v, unsigned classes)
{
    size_t n = 0;
    for (size_t i = 0; i < v.n; i++)
        n += is(v.p[i], classes);
    return n;
}

/* Words follow, and the first of them is not a name of its own pair. */
static bool prose_follows(const struct scan *s, size_t to)
{
    size_t p = blanks(s, to), q = run(s, p, C_DOTTED, 64);
    return p > to && (is_redacted(s, p) || at(s, p) == '{' || (q > p && at(s, q) != '=' && at(s, q) != ':'));
}

/* name(…), name[…], name.name(…): a line of source. */
static bool is_call(const struct scan *s, size_t from, size_t to)
{
    size_t p = run(s, from, C_DOTTED, to - from);
    return p > from && !is(s->p[from], C_DIGIT) && (at(s, p) == '(' || at(s, p) == '[');
}

/* Does the value look like one that the name can have? */
static bool fits(str v, const struct value_place *place)
{
    size_t digits = count(v, C_DIGIT), letters = count(v, C_ALNUM) - digits;
    switch ((enum value_rule)place->name->value) {
    case VALUE_ANY:
    case VALUE_LINE: return true;
    case VALUE_LONG: return v.n >= 13 && !str_starts(v, S("0x")) && !memchr(v.p, '@', v.n);
    case VALUE_NO_INT: return digits < v.n && !(place->loose && letters == v.n);
    case VALUE_CODE: return digits >= 3 && v.n <= 40;
    case VALUE_QUERY: return place->query && v.n >= 16 && digits > 0;
    }
    return true;
}

static struct found quoted_value(struct scan *s, size_t from, struct quotes q, const struct value_place *v)
{
    size_t start = from + q.n, end = quoted_end(s, start, q);
    char c = at(s, start);
    /* behind a plain name it may be the end of the string that the name stands in: {"a":"Password:","b":1} */
    if (!v->left.c && (start >= s->n || c == ',' || c == '}' || c == ')' || c == ']' || c == '\n'))
        return NOTHING;
    str text = {s->p + start, end - start};
    if (end <= start || scrub_says_nothing(text) || !fits(text, v))
        return NOTHING;
    return scrub_between(s, start, end, v->name->kind);
}

static size_t plain_value_end(struct scan *s, size_t from, const struct value_place *v)
{
    size_t scheme = scheme_end(s, from, v);
    if (scheme)
        return scheme;
    if (v->until || (v->name->value == VALUE_LINE && v->loose)) {
        size_t i = from;
        while (i < s->n && s->p[i] != '\n' && s->p[i] != '\r' && (!v->until || s->p[i] != v->until))
            i++;
        return i;
    }
    size_t to = plain_end(s, from, s->n, v);
    if (v->query)
        return without_place(s, from, to);
    return str_eq(v->name->kind, S("cookie")) ? cookie_end(s, to, v) : to;
}

/* A word, and more words behind it. */
static bool is_prose(const struct scan *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char c = s->p[i];
        bool joint = (c == '\'' || c == '-') && i > from && is(at(s, i + 1), C_ALNUM);
        if (!joint && (is(c, C_DIGIT) || !is(c, C_ALNUM)))
            return false;
    }
    return prose_follows(s, to);
}

/* The name's own judgement of a value without quotes; its first bytes tell, so that looking at many costs little. */
static bool is_value(const struct scan *s, size_t from, const struct value_place *v)
{
    enum { TELLING = 64 };
    size_t to = plain_end(s, from, TELLING, v);
    str head = {s->p + from, to - from};
    if (scheme_end(s, from, v))
        return true;
    if (scrub_says_nothing(head) || !fits(head, v))
        return false;
    return (v->query || !is_call(s, from, to)) && !(v->loose && v->name->value != VALUE_LINE && is_prose(s, from, to));
}

struct found scrub_value(struct scan *s, size_t from, const struct value_place *v)
{
    struct quotes q = scrub_quotes(s, from);
    if (q.c)
        return quoted_value(s, from, q, v);
    size_t to;
    if (from >= s->n || is_redacted(s, from))
        return NOTHING;
    if (at(s, from) != '{' && at(s, from) != '[')
        to = is_value(s, from, v) ? plain_value_end(s, from, v) : 0;
    else if (!v->left.c || v->name->value != VALUE_ANY)
        return NOTHING;
    else if ((to = bracket_end(s, from, v->left)) == 0)
        to = line_end(s, from); /* it is cut off */
    struct found f = scrub_between(s, from, to, v->name->kind);
    f.left = f.right = v->mark; /* a number or an object in JSON: what replaces it is a string */
    return f;
}
