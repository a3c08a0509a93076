/* Pairs of a name and a value inside text: password=hunter2, "token": "x", ?token=x&y=1, token%3Dx, pwd: x,
 * api-key = 'x y', {\"token\":\"x\"}, Cookie: a=b; c=d, Authorization: Bearer x.
 *
 * The question is asked at the separator. Left of it stands the name, perhaps in quotes; right of it the value. What
 * follows a colon and a blank may as well be prose ("bad token: expired"): there a value of letters only needs to
 * stand alone. */
#include "event/scrub-private.h"
#include "event/scrub.h"

struct quotes { /* one quotation mark with the backslashes before it, or %22 */
    char c;     /* 0: none */
    uint8_t escapes;
    uint8_t n; /* bytes */
    bool percent;
};

enum { ESCAPES_MAX = 15 };

static bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }

static struct quotes quotes_at(const struct scan *s, size_t i)
{
    struct quotes q = {0, 0, 0, false};
    while (q.escapes < ESCAPES_MAX && at(s, i + q.escapes) == '\\')
        q.escapes++;
    char c = at(s, i + q.escapes);
    if (is_quote(c)) {
        q.c = c, q.n = (uint8_t)(q.escapes + 1);
        return q;
    }
    if (!q.escapes && c == '%' && at(s, i + 1) == '2' && (at(s, i + 2) == '2' || at(s, i + 2) == '7'))
        return (struct quotes){at(s, i + 2) == '2' ? '"' : '\'', 0, 3, true};
    return (struct quotes){0, 0, 0, false};
}

/* The quotation mark that ends before i. */
static struct quotes quotes_before(const struct scan *s, size_t i)
{
    struct quotes q = {0, 0, 0, false};
    if (i >= 3 && s->p[i - 3] == '%' && s->p[i - 2] == '2' && (s->p[i - 1] == '2' || s->p[i - 1] == '7'))
        return (struct quotes){s->p[i - 1] == '2' ? '"' : '\'', 0, 3, true};
    if (i == 0 || !is_quote(s->p[i - 1]))
        return q;
    q.c = s->p[i - 1], q.n = 1;
    while (q.escapes < ESCAPES_MAX && i > q.n && s->p[i - 1 - q.n] == '\\')
        q.escapes++, q.n++;
    return q;
}

/* The name that ends before i, and the word before it where a name is two words ("API key"). */
static str name_before(const struct scan *s, size_t i)
{
    size_t from = i;
    while (from > 0 && i - from < 64 && is(s->p[from - 1], C_NAME))
        from--;
    str last = {s->p + from, i - from};
    if (from > 1 && s->p[from - 1] == ' ' && (str_eq_nocase(last, S("key")) || str_eq_nocase(last, S("code"))))
        for (from--; from > 0 && i - from < 64 && is(s->p[from - 1], C_NAME);)
            from--;
    return (str){s->p + from, i - from};
}

static size_t blanks_back(const struct scan *s, size_t i)
{
    for (int k = 0; k < 8 && i > 0 && (s->p[i - 1] == ' ' || s->p[i - 1] == '\t'); k++)
        i--;
    return i;
}

static size_t blanks(const struct scan *s, size_t i)
{
    for (int k = 0; k < 32 && (at(s, i) == ' ' || at(s, i) == '\t'); k++)
        i++;
    return i;
}

static bool redacted(const struct scan *s, size_t i) { return str_starts((str){s->p + i, s->n - i}, S("[redacted:")); }

/* Words that stand where a value could and are none. */
static bool says_nothing(str v)
{
    static const str words[] = {
        S("true"),    S("false"),  S("null"),     S("none"),     S("nil"),      S("undefined"), S("yes"),
        S("no"),      S("empty"),  S("required"), S("missing"),  S("invalid"),  S("expired"),   S("wrong"),
        S("denied"),  S("failed"), S("ok"),       S("accepted"), S("rejected"), S("incorrect"), S("unknown"),
        S("string"),  S("str"),    S("number"),   S("await"),    S("new"),      S("not"),       S("is"),
        S("must"),    S("cannot"), S("too"),      S("expected"), S("mismatch"), S("revoked"),   S("disabled"),
        S("enabled"), S("unset"),  S("set"),      S("changed"),  S("the"),      S("a"),         S("optional"),
    };
    for (size_t k = 0; k < LENGTH(words); k++)
        if (str_eq_nocase(words[k], v))
            return true;
    return false;
}

static size_t line_end(const struct scan *s, size_t i)
{
    while (i < s->n && s->p[i] != '\n' && s->p[i] != '\r')
        i++;
    return i;
}

/* Where a value in quotes ends: at the same mark, or one less escaped. Without an end it is cut off: the line's end. */
static size_t quoted_end(const struct scan *s, size_t i, struct quotes q)
{
    uint8_t escapes = 0;
    for (size_t p = i; p < s->n; p++) {
        char c = s->p[p];
        if (q.percent) {
            if (c == '%' && quotes_at(s, p).c == q.c)
                return p;
        } else if (c == q.c && escapes <= q.escapes) {
            return p - escapes;
        }
        escapes = c == '\\' && escapes < 200 ? (uint8_t)(escapes + 1) : 0;
    }
    return line_end(s, i);
}

static bool ends_hard(char c)
{
    return (unsigned char)c <= ' ' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>';
}

/* A comma, semicolon or ampersand ends a value when a blank, the end or another name and its sign follow. */
static bool ends_soft(const struct scan *s, size_t i)
{
    size_t p = i + 1;
    if (ends_hard(at(s, p)) || p >= s->n)
        return true;
    while (p < s->n && p < i + 40 && is(s->p[p], C_NAME))
        p++;
    return p > i + 1 && (at(s, p) == '=' || at(s, p) == ':' || at(s, p) == '%');
}

static size_t plain_end(const struct scan *s, size_t i, bool in_query, bool encoded)
{
    size_t p = i;
    for (; p < s->n && !ends_hard(s->p[p]); p++) {
        char c = s->p[p];
        if (c == '&' || (in_query && (c == '#' || c == ';')))
            break;
        if (encoded && c == '%' && at(s, p + 1) == '2' && (at(s, p + 2) == '6' || at(s, p + 2) == '3'))
            break;
        if ((c == ',' || c == ';') && ends_soft(s, p))
            break;
        if (c == '\\' && at(s, p + 1) && strchr("\"'nrtu\\/", s->p[p + 1]))
            break;
        if ((c == ')' || c == ']' || c == '}') && (p + 1 >= s->n || strchr(" ,;.:)]}\"'\n\r\\", s->p[p + 1])))
            break;
    }
    return p;
}

/* `:6:97` behind a URL in a stack is a place, not part of the last value. */
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

static bool letters_only(str v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!is(v.p[i], C_ALNUM) ? v.p[i] != '\'' && v.p[i] != '-' : is(v.p[i], C_DIGIT))
            return false;
    return true;
}

/* "name: word word": more words follow, none of them a name of its own pair. */
static bool prose_follows(const struct scan *s, size_t to)
{
    size_t p = blanks(s, to), q = p;
    while (q < s->n && is(s->p[q], C_NAME))
        q++;
    return p > to && q > p && at(s, q) != '=' && at(s, q) != ':';
}

static bool is_call(const struct scan *s, size_t from, size_t to)
{
    size_t p = from;
    while (p < to && (is(s->p[p], C_NAME) || s->p[p] == '$'))
        p++;
    return p > from && (at(s, p) == '(' || at(s, p) == '[') && !is(s->p[from], C_DIGIT);
}

struct side { /* the right side of a pair */
    size_t from, to;
    struct quotes q;
};

/* Authorization: Bearer x. Schemes with one word behind them; others to the end of the line. */
static size_t authorization_end(const struct scan *s, size_t from, size_t to)
{
    static const str one[] = {S("bearer"), S("basic"),  S("token"),  S("negotiate"),
                              S("ntlm"),   S("apikey"), S("splunk"), S("key")};
    static const str all[] = {S("digest"), S("aws4-hmac-sha256"), S("oauth"), S("hawk"), S("signature"), S("hmac")};
    str scheme = {s->p + from, to - from};
    size_t next = blanks(s, to);
    for (size_t k = 0; k < LENGTH(one); k++)
        if (str_eq_nocase(one[k], scheme) && next > to)
            return redacted(s, next) ? from : plain_end(s, next, false, false);
    for (size_t k = 0; k < LENGTH(all); k++)
        if (str_eq_nocase(all[k], scheme))
            return line_end(s, from);
    return to;
}

/* Cookie: a=b; c=d. */
static size_t cookie_end(const struct scan *s, size_t to)
{
    while (at(s, to) == ';' && at(s, to + 1) == ' ') {
        size_t p = to + 2;
        while (p < s->n && is(s->p[p], C_NAME))
            p++;
        if (p == to + 2)
            break;
        to = plain_end(s, p, false, false);
    }
    return to;
}

static struct found give(const struct side *v, str kind, struct quotes around)
{
    struct found f = {v->from, v->to, kind, 0, 0};
    if (around.c && !around.percent)
        f.quote = around.c, f.escapes = around.escapes;
    return f;
}

/* A value without quotes. `left`: the quotes of the name. `loose`: a colon and a blank stand before it. */
static struct found plain_value(struct scan *s, size_t from, str kind, str name, struct quotes left, bool loose,
                                bool encoded)
{
    char c = before(s, (size_t)(name.p - s->p));
    bool in_query = c == '?' || c == '&';
    struct side v = {from, plain_end(s, from, in_query, encoded), {0, 0, 0, false}};
    if (in_query)
        v.to = without_place(s, v.from, v.to);
    if (str_eq(kind, S("authorization")))
        v.to = authorization_end(s, v.from, v.to);
    if (str_eq(kind, S("cookie")))
        v.to = cookie_end(s, v.to);
    if (v.to <= v.from || redacted(s, v.from))
        return NOTHING;
    str text = {s->p + v.from, v.to - v.from};
    if (says_nothing(text) || (!in_query && is_call(s, v.from, v.to)))
        return NOTHING;
    if (strchr("{[(", text.p[0]) || (str_eq(kind, S("password")) && name.n == 3 && strchr("/~", text.p[0])))
        return NOTHING;
    if (loose && !left.c && letters_only(text) && prose_follows(s, v.to))
        return NOTHING;
    return give(&v, kind, left);
}

struct found scrub_pair(struct scan *s, size_t i, size_t sep_n)
{
    size_t e = blanks_back(s, i), v = i + sep_n;
    struct quotes left = quotes_before(s, e), q;
    e -= left.n;
    bool inside = e > 0 && s->p[e - 1] == ']'; /* user[password]=x, and not [redacted:password]=x */
    e -= inside;
    str name = name_before(s, e);
    if (name.n < 3 || (inside && (name.p == s->p || name.p[-1] != '[')) || at(s, v) == at(s, i) ||
        (at(s, i) == '=' && at(s, v) == '~'))
        return NOTHING;
    str kind = scrub_name(name);
    if (!kind.p)
        return NOTHING;
    if (sep_n == 1 && ((s->p[i] == ':' && at(s, v) == '=') || (s->p[i] == '=' && at(s, v) == '>')))
        v++;
    size_t from = blanks(s, v);
    q = quotes_at(s, from);
    if (!q.c)
        return plain_value(s, from, kind, name, left, from > v && s->p[i] == ':', sep_n > 1);
    struct side side = {from + q.n, 0, q};
    side.to = quoted_end(s, side.from, q);
    if (side.to <= side.from || redacted(s, side.from))
        return NOTHING;
    return give(&side, kind, (struct quotes){0, 0, 0, false});
}
