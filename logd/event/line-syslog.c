/* Syslog: RFC 5424, RFC 3164 as far as it is one (it describes what was seen), and files of syslog daemons.
 *
 *   <165>1 2026-11-23T16:03:20.000003-07:00 host app procid msgid [id k="v"] text
 *   <13>Nov 23 16:03:20 host app[42]: text
 *   2026-11-23T16:03:20.123456+00:00 host app[42]: text
 *
 * What is left out (host, tag, time, PRI) is left out; what is no syslog at all is refused. */
#include "event/line-private.h"

#include "base/limits.h"

#include <ctype.h>

enum { PRI_MAX = 191, HOST_MAX = 255, TAG_MAX = 128 };

/* "<13>" */
static bool take_pri(str *s, int *ret)
{
    str rest = *s;
    int pri = 0;
    size_t n = 0;
    if (!take(&rest, S("<")))
        return false;
    for (; n < 3 && n < rest.n && isdigit((unsigned char)rest.p[n]); n++)
        pri = 10 * pri + (rest.p[n] - '0');
    if (n == 0 || pri > PRI_MAX || !str_starts(str_skip(rest, n), S(">")))
        return false;
    *s = str_skip(rest, n + 1);
    *ret = pri;
    return true;
}

const char *line_facility(uint64_t n)
{
    static const char *const names[] = {"kern",   "user",   "mail",   "daemon", "auth",     "syslog",
                                        "lpr",    "news",   "uucp",   "cron",   "authpriv", "ftp",
                                        "ntp",    "audit",  "alert",  "clock",  "local0",   "local1",
                                        "local2", "local3", "local4", "local5", "local6",   "local7"};
    return n < LENGTH(names) ? names[n] : NULL;
}

static void add_pri(int pri, struct buf *out)
{
    char level = (char)('0' + pri % 8);
    add_level(out, str_n(&level, 1));
    add_member(out, "facility", str_of(line_facility((uint64_t)pri / 8)));
}

static void add_pid(str pid, struct buf *out)
{
    if (is_number(pid))
        add_raw(out, "pid", pid);
    else
        add_member(out, "pid", pid);
}

/* ---- RFC 5424 ---- */

/* [id name="value" …], of a value \" \\ \] are escapes. False: it does not end. */
static bool take_data(str *s, struct buf *out)
{
    char name[LIMIT_NAME + 1];
    str rest = str_skip(*s, 1);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != ']')
        n++;
    str id = str_head(rest, n);
    rest = str_skip(rest, n);
    while (take(&rest, S(" "))) {
        ptrdiff_t eq = str_chr(rest, '=');
        if (eq < 0)
            return false;
        int length = snprintf(name, sizeof name, "%.*s.%.*s", STR_ARG(id), STR_ARG(str_head(rest, (size_t)eq)));
        rest = str_skip(rest, (size_t)eq + 1);
        str value = take_quoted(&rest);
        if (!value.p)
            return false;
        if (length < (int)sizeof name)
            add_unescaped(out, name, value);
    }
    if (!take(&rest, S("]")))
        return false;
    *s = rest;
    return true;
}

static str known(str word) { return str_eq(word, S("-")) ? S("") : word; }

static bool read_5424(str s, int pri, const struct line_place *p, struct buf *out)
{
    struct moment m = {0};
    size_t before = out->n;
    if (!take(&s, S("1 ")) || (!take(&s, S("- ")) && !(take_rfc3339(&s, &m) && take(&s, S(" ")))))
        return false;
    if (m.year)
        add_time(&m, p, out);
    add_pri(pri, out);
    add_member(out, "host", known(take_word(&s)));
    add_member(out, "service", known(take_word(&s)));
    add_pid(known(take_word(&s)), out);
    add_member(out, "msgid", known(take_word(&s)));
    if (!take(&s, S("-")))
        while (str_starts(s, S("[")))
            if (!take_data(&s, out)) /* the rest is text */
                break;
    (void)take(&s, S(" "));
    (void)take(&s, S("\xEF\xBB\xBF"));
    add_member(out, "message", s);
    return out->n > before;
}

/* ---- RFC 3164 ---- */

bool take_syslog_time(str *s, struct moment *m)
{
    str rest = *s;
    if (take_rfc3339(s, m))
        return true;
    *m = (struct moment){0};
    if (!take_month(&rest, &m->month) || !take(&rest, S(" ")))
        return false;
    bool one = take(&rest, S(" "));
    if (!take_number(&rest, one ? 1 : 2, &m->day) || m->day < 1 || m->day > 31 || !take(&rest, S(" ")))
        return false;
    str year = rest;
    if (take_number(&year, 4, &m->year) && take(&year, S(" ")) && is_date(m))
        rest = year;
    else
        m->year = 0;
    if (!take_clock(&rest, m))
        return false;
    *s = rest;
    return true;
}

/* "app[42]: " or "app: "; false: the text begins at once. */
static bool take_tag(str *s, str *ret_tag, str *ret_pid)
{
    size_t n = 0;
    while (n < s->n && n <= TAG_MAX && s->p[n] != ' ' && s->p[n] != ':' && s->p[n] != '[')
        n++;
    if (n == 0 || n > TAG_MAX || n == s->n || s->p[n] == ' ')
        return false;
    str rest = str_skip(*s, n), pid = {NULL, 0};
    if (rest.p[0] == '[' && !(pid = take_bracketed(&rest)).p)
        return false;
    if (!take(&rest, S(":")))
        return false;
    *ret_tag = str_head(*s, n);
    *ret_pid = pid;
    (void)take(&rest, S(" "));
    *s = rest;
    return true;
}

/* A name of a machine; senders leave it out, and then the tag stands here. */
static bool take_host(str *s, str *ret)
{
    str rest = *s, word = take_word(&rest);
    if (word.n == 0) { /* nginx with an empty host name: two blanks */
        *s = rest;
        return true;
    }
    for (size_t i = 0; i < word.n; i++)
        if (!isalnum((unsigned char)word.p[i]) && !strchr("-._:", word.p[i]))
            return false;
    if (word.n > HOST_MAX || str_ends(word, S(":")) || rest.n == 0)
        return false;
    *ret = word;
    *s = rest;
    return true;
}

/* What stands behind the time: host, tag, text. Where no tag follows the first word, it is one of the text. */
static void add_3164(str s, struct buf *out)
{
    str host = {NULL, 0}, tag = {NULL, 0}, pid = {NULL, 0}, behind = s;
    if (take_host(&behind, &host) && take_tag(&behind, &tag, &pid)) {
        s = behind;
        add_member(out, "host", host);
    } else {
        (void)take_tag(&s, &tag, &pid);
    }
    add_member(out, "service", tag);
    add_pid(pid, out);
    add_member(out, "message", s);
}

bool read_syslog(str line, const struct line_place *p, struct buf *out)
{
    struct moment m = {0};
    int pri = -1;
    str s = line;
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\0' || s.p[s.n - 1] == '\r'))
        s.n--;
    (void)take_pri(&s, &pri);
    if (pri >= 0 && read_5424(s, pri, p, out))
        return true;
    bool timed = take_syslog_time(&s, &m) && (take(&s, S(" ")) || take(&s, S(": ")));
    if (pri < 0 && !timed)
        return false;
    if (timed)
        add_time(&m, p, out);
    if (pri >= 0)
        add_pri(pri, out);
    add_3164(s, out);
    return true;
}

/* A time of the kind that daemons of syslog write, a host and a tag with a colon. */
bool read_syslog_file(str line, const struct line_place *p, struct buf *out)
{
    struct moment m = {0};
    str s = line, host = {NULL, 0}, tag, pid;
    bool bsd = line.n && isalpha((unsigned char)line.p[0]);
    if (!take_syslog_time(&s, &m) || !(bsd || (m.zoned && m.digits == 6)) || !take(&s, S(" ")) ||
        !take_host(&s, &host) || !host.p || !take_tag(&s, &tag, &pid))
        return false;
    return read_syslog(line, p, out);
}
