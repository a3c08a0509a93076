/* Pairs of a name and a value inside text, asked for where a name ends:
 *
 *   password=hunter2  "token": "x"  {\"token\":\"x\"}  ?token=x&y  token%3Dx  %22token%22%3A%22x%22  user[password]=x
 *   api-key = 'x y'   pwd: x   Access Token: x   :secret=>"x"   [password] => x   --password x   password 'x'
 *   <password>x</password>   (token)=(x)   "name":"token","value":"x"   name="token"\r\n\r\nx   IDENTIFIED BY 'x'
 *
 * Whether the value is one, and where it ends, is scrub-value.c's business. */
#include "event/scrub-private.h"

enum { NAME_BACK = 64, ESCAPES_MAX = 15 };

/* Bits for the last three letters of the secret names, and for the last four ("_key" of api_key counts as well). */
static uint32_t ends3[1024], ends4[2048];

static unsigned three(const char *p) { return (unsigned)((p[0] & 31) << 10 | (p[1] & 31) << 5 | (p[2] & 31)); }
static unsigned four(char a, unsigned last3) { return ((unsigned)(a & 31) << 11 ^ last3 * 5) & 65535; }
static void set(uint32_t *bits, unsigned i) { bits[i / 32] |= 1u << i % 32; }
static bool has(const uint32_t *bits, unsigned i) { return bits[i / 32] >> i % 32 & 1; }

/* What may stand behind a name; blanks have a question of their own. */
static const char behind[] = "=:\"'`]\\%>)&";

static void watch(unsigned ask, char b, char c, const char *next)
{
    for (int upper = 0; upper < 4; upper++)
        for (const char *n = next; *n; n++)
            scrub_watch(ask, upper & 1 ? b & ~32 : b, upper & 2 ? c & ~32 : c, *n);
}

static void watch_blank(char c)
{
    for (const char *n = "=:\"'`"; *n; n++) {
        scrub_watch(ASK_BLANK, c, ' ', *n);
        scrub_watch(ASK_BLANK, c & ~32, ' ', *n);
    }
}

static void watch_end(str end)
{
    const char *p = end.p + end.n - 3;
    set(ends3, three(p));
    for (unsigned a = 0; a < 32; a++)
        if (end.n == 3 || a == ((unsigned)p[-1] & 31) || a == ('_' & 31))
            set(ends4, four((char)a, three(p)));
    watch(ASK_PAIR, p[1], p[2], behind);
    watch_blank(p[2]);
}

void scrub_pairs_init(void)
{
    scrub_names_init(watch_end);
    watch_blank('y'); /* IDENTIFIED BY 'x' */
    scrub_watch(ASK_BLANK, ' ', ' ', '=');
    scrub_watch(ASK_BLANK, ' ', ' ', ':');
    static const char option[][3] = {"rd", "wd", "en", "et"}; /* --password x, password2=x */
    for (size_t i = 0; i < LENGTH(option); i++) {
        watch(ASK_BLANK, option[i][0], option[i][1], " ");
        for (char d = '1'; d <= '3'; d++)
            watch(ASK_PAIR, option[i][1], d, behind);
    }
}

static bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }

struct quotes scrub_quotes(const struct scan *s, size_t i)
{
    struct quotes q = {0, 0, 0};
    while (q.escapes < ESCAPES_MAX && at(s, i + q.escapes) == '\\')
        q.escapes++;
    char c = at(s, i + q.escapes);
    if (is_quote(c))
        return (struct quotes){c, q.escapes, (uint8_t)(q.escapes + 1)};
    if (str_starts(rest(s, i), S("%22")) || str_starts(rest(s, i), S("%27")))
        return (struct quotes){'%', 0, 3};
    if (str_starts(rest(s, i), S("&quot;")))
        return (struct quotes){'&', 0, 6};
    return (struct quotes){0, 0, 0};
}

static size_t blanks(const struct scan *s, size_t i)
{
    for (int k = 0; k < 32 && (at(s, i) == ' ' || at(s, i) == '\t'); k++)
        i++;
    return i;
}

static size_t word_back(const struct scan *s, size_t end, size_t i)
{
    while (i > s->done && end - i < NAME_BACK && is(s->p[i - 1], C_DOTTED))
        i--;
    return i;
}

/* The name that ends before `end`, and the word before where a name is two: "API key". */
static str name_before(const struct scan *s, size_t end)
{
    size_t from = word_back(s, end, end);
    str last = {s->p + from, end - from};
    if (before(s, from) == ' ' && (str_eq_nocase(last, S("key")) || str_eq_nocase(last, S("code"))))
        from = word_back(s, end, from - 1);
    if (before(s, from) == '%' && end - from > 4) /* %26token%3D */
        from += 2;
    return (str){s->p + from, end - from};
}

static const struct secret_names *look(str name)
{
    for (size_t i = name.n; i-- > 0;)
        if (name.p[i] == '.') {
            name = str_skip(name, i + 1);
            break;
        }
    return scrub_name_find(name);
}

struct link {   /* what stands between a name and its value */
    size_t to;  /* where the value starts */
    char sep;   /* '=' ':' ' ' '>' ')' ',' '\n'; 0: it is no pair */
    bool blank; /* before the value */
    bool encoded;
};

/* '=' or ':' at i, plain, as %3D, or as "=>" and ":="; not "==", "::", "=~". */
static struct link separator(const struct scan *s, size_t i)
{
    struct link k = {i + 1, at(s, i), false, false};
    char c = at(s, i + 1);
    if (k.sep == '%') {
        bool twice = c == '2' && at(s, i + 2) == '5';
        size_t hex = i + 1 + 2 * twice;
        char d = lower(at(s, hex + 1));
        if (at(s, hex) != '3' || (d != 'd' && d != 'a'))
            return (struct link){0, 0, false, false};
        return (struct link){hex + 2, d == 'd' ? '=' : ':', false, true};
    }
    if ((k.sep != '=' && k.sep != ':') || c == k.sep || (k.sep == '=' && c == '~' && strchr(" /\"'", at(s, i + 2))))
        return (struct link){0, 0, false, false};
    k.to += (k.sep == '=' && c == '>') || (k.sep == ':' && c == '=');
    size_t value = blanks(s, k.to);
    k.blank = value > k.to;
    k.to = value;
    return k;
}

/* Behind a name in quotes: ,"value": or the empty line of a form's part. */
static struct link behind_quoted(const struct scan *s, size_t i)
{
    struct link none = {0, 0, false, false};
    if (str_starts(rest(s, i), S("\r\n\r\n")))
        return (struct link){i + 4, '\n', false, false};
    if (at(s, i) != ',')
        return none;
    i = blanks(s, i + 1);
    struct quotes q = scrub_quotes(s, i);
    i += q.n;
    if (!q.c || !str_starts_nocase(rest(s, i), S("value")) || scrub_quotes(s, i + 5).c != q.c)
        return none;
    return separator(s, blanks(s, i + 5 + q.n));
}

bool scrub_is_option(str v)
{
    size_t n = 0, from = str_starts(v, S("--")) ? 2 : 1;
    if (!str_starts(v, S("-")))
        return false;
    while (from + n < v.n && ((v.p[from + n] >= 'a' && v.p[from + n] <= 'z') || (n > 0 && v.p[from + n] == '-')))
        n++;
    bool letter = n == 0 && from == 1 && v.n > 1 && v.p[1] >= 'A' && v.p[1] <= 'Z'; /* -H */
    char c = from + n + letter < v.n ? v.p[from + n + letter] : ' ';
    return (n > 0 || letter) && (c == ' ' || c == '=' || c == '\t' || c == '\n');
}

/* Behind a plain name: <password>, (token)=(x), --password x, password 'x'. */
static struct link behind_plain(const struct scan *s, str name, size_t i)
{
    struct link none = {0, 0, false, false};
    size_t from = (size_t)(name.p - s->p);
    char open = before(s, from);
    if (at(s, i) == '>' && (open == '<' || open == ':'))
        return (struct link){i + 1, '>', false, false};
    if (str_starts(rest(s, i), S(")=(")) && open == '(')
        return (struct link){i + 3, ')', false, false};
    size_t value = blanks(s, i);
    if (value == i)
        return none;
    if (str_starts(name, S("--")) && !scrub_is_option(rest(s, value)))
        return (struct link){value, ' ', false, false};
    return is_quote(at(s, value)) ? (struct link){value, '\'', true, false} : none;
}

/* IDENTIFIED BY 'x', IDENTIFIED BY PASSWORD 'x' (which is found by its own name). */
static struct found identified(struct scan *s, size_t i)
{
    static const struct secret_names password = {S("password"), 0, VALUE_ANY, {NULL, 0}};
    size_t from = blanks(s, i);
    if (i < s->done + 13 || !str_eq_nocase((str){s->p + i - 13, 13}, S("identified by")) || !is_quote(at(s, from)))
        return NOTHING;
    return scrub_value(s, from, &(struct value_place){.name = &password});
}

/* May a secret name end at i? Digits behind it do not count. */
static bool may_end(const struct scan *s, size_t i)
{
    while (i > s->done && is(s->p[i], C_DIGIT))
        i--;
    if (i < s->done + 2)
        return false;
    unsigned last = three(s->p + i - 2);
    char a = before(s, i - 2);
    return has(ends3, last) && (!is(a, C_ALNUM) || has(ends4, four(a, last)));
}

/* What stands around the name and between it and its value, into *v. */
static struct link read_link(const struct scan *s, str name, struct value_place *v)
{
    size_t from = (size_t)(name.p - s->p), e = from + name.n;
    char open = before(s, from);
    v->query = open == '?' || open == '&';
    if (at(s, e) == ']' && open == '[')
        e++;
    else if (str_starts_nocase(rest(s, e), S("%5D")))
        e += 3;
    v->left = scrub_quotes(s, e);
    v->mark = (str){s->p + e, v->left.n};
    struct link k = separator(s, blanks(s, e + v->left.n));
    if (k.sep)
        return k;
    return v->left.c ? behind_quoted(s, e + v->left.n) : behind_plain(s, name, e);
}

struct found scrub_pair(struct scan *s, size_t i)
{
    if (!may_end(s, i))
        return NOTHING;
    str name = name_before(s, i + 1);
    struct value_place place = {.name = look(name)};
    if (!place.name)
        return NOTHING;
    struct link k = read_link(s, name, &place);
    if (!k.sep || (k.sep == '\'' && !str_eq(place.name->kind, S("password"))))
        return NOTHING;
    place.until = k.sep == '>' ? '<' : k.sep == ')' || k.sep == '\n' ? k.sep : 0;
    if (place.until)
        place.mark = (str){NULL, 0};
    place.loose = k.sep == ':' && k.blank && !place.left.c;
    place.encoded = k.encoded;
    if (place.loose && before(s, (size_t)(name.p - s->p)) == '/' && str_eq(place.name->kind, S("token")))
        return NOTHING; /* "event name for stream/token: com.example" */
    return scrub_value(s, k.to, &place);
}

struct found scrub_blank(struct scan *s, size_t i)
{ /* or the last letter of a name before a blank: the option of a command */
    for (int k = 0; k < 32 && i > s->done && s->p[i] == ' '; k++)
        i--;
    if (i >= s->done + 12 && lower(s->p[i]) == 'y' && lower(s->p[i - 1]) == 'b')
        return identified(s, i + 1);
    return i > s->done ? scrub_pair(s, i) : NOTHING;
}
