/* Formats of lines, which of them a line has, and those that are text: JSON, logfmt, plain. */
#include "event/line-private.h"

#include "base/limits.h"
#include "event/event.h"
#include "event/json.h"

static const struct {
    str name;
    enum line_format format;
} names[] = {{S("auto"), LINE_AUTO},
             {S("plain"), LINE_PLAIN},
             {S("json"), LINE_JSON},
             {S("logfmt"), LINE_LOGFMT},
             {S("access"), LINE_ACCESS},
             {S("nginx_error"), LINE_NGINX_ERROR},
             {S("apache_error"), LINE_APACHE_ERROR},
             {S("syslog"), LINE_SYSLOG},
             {S("regex"), LINE_REGEX},
             {S("clf"), LINE_ACCESS},
             {S("combined"), LINE_ACCESS},
             {S("nginx"), LINE_ACCESS}};

int line_format_read(str name, enum line_format *ret, struct err *e)
{
    for (size_t i = 0; i < LENGTH(names); i++)
        if (str_eq(name, names[i].name)) {
            *ret = names[i].format;
            return 0;
        }
    return err_set(
        e, ERR_INPUT,
        "expected one of auto, plain, json, logfmt, access, nginx_error, apache_error, syslog, regex, got \"%.*s\"",
        STR_ARG(str_head(name, 60)));
}

const char *line_format_name(enum line_format f)
{
    assert(f < LINE_FORMATS);
    return names[f].name.p;
}

/* ---- json ---- */

/* NaN and the like are taken, as the server does. */
static bool is_object(str line)
{
    struct json j;
    struct json_token t;
    enum json_kind kind;
    if (!str_starts(line, S("{")) || !str_ends(line, S("}")))
        return false;
    json_init(&j, line, LIMIT_DEPTH);
    j.nan = true;
    do
        kind = json_next(&j, &t);
    while (kind >= J_CLOSE);
    return kind == J_END && j.p == j.end;
}

static bool read_json(str line, struct buf *out)
{
    line = str_trim(line);
    if (!is_object(line))
        return false;
    str inside = str_trim(str_n(line.p + 1, line.n - 2));
    if (inside.n == 0)
        return false;
    if (out->n && out->p[out->n - 1] != '{')
        buf_byte(out, ',');
    buf_str(out, inside);
    return true;
}

/* ---- logfmt ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* A name starts with a letter: what people put between words ("a == b", "x=?") does not look like one. */
static size_t name_length(str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '=' && s.p[n] != '"' && !is_blank(s.p[n]))
        n++;
    bool letter = n && ((unsigned)((s.p[0] | 32) - 'a') < 26 || s.p[0] == '_' || (unsigned char)s.p[0] >= 0x80);
    return letter && n <= LIMIT_NAME && n < s.n && s.p[n] == '=' ? n : 0;
}

bool logfmt_next(str *s, struct logfmt *ret)
{
    str rest = *s = str_trim(*s);
    if (rest.n == 0)
        return false;
    size_t n = name_length(rest);
    *ret = (struct logfmt){.name = {n ? rest.p : NULL, n}};
    if (n)
        rest = str_skip(rest, n + 1);
    str quoted = take_quoted(&rest);
    ret->quoted = quoted.p && (!rest.n || is_blank(rest.p[0]));
    if (!ret->quoted) {
        rest = str_skip(*s, n ? n + 1 : 0);
        for (n = 0; n < rest.n && !is_blank(rest.p[n]);)
            n++;
        quoted = str_head(rest, n);
        rest = str_skip(rest, n);
    }
    ret->value = quoted;
    *s = rest;
    return true;
}

static void add_pair(const struct logfmt *f, struct buf *out)
{
    char name[LIMIT_NAME + 1];
    memcpy(name, f->name.p, f->name.n);
    name[f->name.n] = '\0';
    if (!f->quoted && is_number(f->value)) {
        add_raw(out, name, f->value);
    } else if (f->quoted && str_chr(f->value, '\\') >= 0) {
        char *text = xmalloc(json_decoded_max(f->value.n, J_ESCAPED | J_BAD));
        add_member(out, name, str_n(text, json_decode(f->value, text)));
        free(text);
    } else {
        add_member(out, name, f->value);
    }
}

/* Of a text that is not said to be logfmt all words must be pairs, two at least. Else the words that are none are the
 * message, unless a pair is. */
bool read_logfmt(str line, bool sure, struct buf *out)
{
    struct buf words = BUF_INIT(LIMIT_EVENT);
    struct logfmt f;
    size_t before = out->n, pairs = 0;
    bool message = false, good = true;
    for (str s = line; good && logfmt_next(&s, &f);) {
        if (f.name.n) {
            add_pair(&f, out);
            message |= str_eq(f.name, S("msg")) || str_eq(f.name, S("message"));
            pairs++;
        } else {
            good = sure;
            if (words.n)
                buf_byte(&words, ' ');
            buf_str(&words, f.value);
        }
    }
    good = good && pairs >= (sure ? 1 : 2) && out->n > before;
    if (!good)
        out->n = before;
    else if (!message)
        add_member(out, "message", words.n ? buf_view(&words) : line);
    buf_done(&words);
    return good;
}

/* ---- plain ---- */

/* A word that says a level and hardly anything else: "ERROR", "[warn]", "info:"; `bare` tells that it had none of the
 * marks. Then only capitals count, "error" may be a word of a sentence. */
static int level_of(str word, bool first)
{
    static const str others[] = {S("HTTP"), S("LOG"), S("CONFIG"), S("DEFAULT"), S("SUCCESS"), S("FINE")};
    size_t n = word.n;
    while (word.n && strchr("[(<|", word.p[0]))
        word = str_skip(word, 1);
    ptrdiff_t colon = str_chr(word, ':'); /* ERROR:root:text */
    bool marked = word.n < n || colon > 0;
    if (colon > 0)
        word = str_head(word, (size_t)colon);
    while (word.n && strchr("])>|,", word.p[word.n - 1])) {
        word.n--;
        marked = true;
    }
    bool capitals = word.n >= 3;
    for (size_t i = 0; i < word.n; i++)
        capitals = capitals && word.p[i] >= 'A' && word.p[i] <= 'Z';
    for (size_t i = 0; i < LENGTH(others); i++)
        if (str_eq_nocase(word, others[i]))
            return 0;
    return word.n >= 3 && word.n <= 13 && (capitals || (marked && !first)) && word.p[0] > '9' ? level_read(word) : 0;
}

static void read_plain(str line, const struct line_place *p, struct buf *out)
{
    struct moment m = {0};
    str s = line;
    bool bracket = take(&s, S("["));
    bool timed = take_rfc3339(&s, &m) && (!bracket || take(&s, S("]"))) && (!s.n || s.p[0] == ' ' || s.p[0] == '\t');
    if (timed) {
        add_time(&m, p, out);
        s = str_skip(s, s.n ? 1 : 0);
    } else {
        s = line;
    }
    str words = str_head(str_trim(s), 200);
    int severity = 0;
    for (int i = 0; i < (timed ? 6 : 1) && words.n && !severity; i++)
        severity = level_of(take_word(&words), !timed);
    if (severity)
        add_member(out, "level", level_name(severity));
    if (line.n)
        add_member(out, "message", s.n ? s : line);
    else
        add_raw(out, "message", S("\"\""));
}

/* ---- which ---- */

static bool try_format(enum line_format f, str line, const struct line_place *p, struct buf *out)
{
    switch (f) {
    case LINE_JSON: return read_json(line, out);
    case LINE_LOGFMT: return read_logfmt(line, true, out);
    case LINE_ACCESS: return read_access(line, p, out);
    case LINE_NGINX_ERROR: return read_nginx_error(line, p, out);
    case LINE_APACHE_ERROR: return read_apache_error(line, p, out);
    case LINE_SYSLOG: return read_syslog(line, p, out);
    case LINE_REGEX: return read_regex(line, p, out);
    default: return false;
    }
}

/* The first byte tells most of them. */
static enum line_format detect(str line, const struct line_place *p, struct buf *out)
{
    char c = line.n ? line.p[0] : ' ';
    if (read_json(line, out))
        return LINE_JSON;
    if (c == '<')
        return read_syslog(line, p, out) ? LINE_SYSLOG : LINE_PLAIN;
    if (c == '[' && read_apache_error(line, p, out))
        return LINE_APACHE_ERROR;
    if (c >= '0' && c <= '9' && read_nginx_error(line, p, out))
        return LINE_NGINX_ERROR;
    if (read_syslog_file(line, p, out))
        return LINE_SYSLOG;
    if (read_access(line, p, out))
        return LINE_ACCESS;
    return read_logfmt(line, false, out) ? LINE_LOGFMT : LINE_PLAIN;
}

enum line_format line_read(enum line_format f, str line, const struct line_place *p, struct buf *out)
{
    enum line_format had = f == LINE_AUTO ? detect(line, p, out) : try_format(f, line, p, out) ? f : LINE_PLAIN;
    if (had == LINE_PLAIN)
        read_plain(line, p, out);
    return had;
}
