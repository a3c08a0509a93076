/* What nginx and Apache write. Requests keep level info whatever their status: rules look at http.status. */
#include "event/line-private.h"

/* "GET /x HTTP/1.1"; what is no request (a TLS hello on a plain port) stays in the message. */
static void add_request(str request, struct buf *out)
{
    str rest = request, method = take_word(&rest);
    for (size_t i = 0; i < method.n; i++)
        if (method.p[i] < 'A' || method.p[i] > 'Z')
            return;
    if (method.n == 0 || method.n > 20 || rest.n == 0)
        return;
    add_member(out, "http.method", method);
    size_t n = rest.n; /* the path may hold blanks, the protocol does not */
    while (n > 0 && rest.p[n - 1] != ' ')
        n--;
    bool protocol = n > 1 && str_starts(str_skip(rest, n), S("HTTP/"));
    add_unescaped(out, "http.path", protocol ? str_head(rest, n - 1) : rest);
    if (protocol)
        add_member(out, "http.protocol", str_skip(rest, n));
}

static void add_unless_dash(struct buf *out, const char *name, str raw)
{
    if (!str_eq(raw, S("-")))
        add_unescaped(out, name, raw);
}

bool take_clf_time(str *s, struct moment *m)
{
    return take_number(s, 2, &m->day) && take(s, S("/")) && take_month(s, &m->month) && take(s, S("/")) &&
           take_number(s, 4, &m->year) && take(s, S(":")) && take_clock(s, m) && is_date(m) && take(s, S(" ")) &&
           take_offset(s, m);
}

static bool read_clf_time(str text, struct moment *m) { return take_clf_time(&text, m) && text.n == 0; }

static bool is_address(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789abcdefABCDEF:.", s.p[i]))
            return false;
    return s.n >= 2 && (str_chr(s, ':') >= 0 || str_chr(s, '.') > 0);
}

struct access {
    str host, client, user, time, request, status, bytes, referrer, agent, rest;
};

/* Common log format: client ident user [time] "request" status bytes; a virtual host may stand before it, referrer, user
 * agent and more behind it. */
static bool cut_access(str line, struct access *a)
{
    ptrdiff_t open = str_find(str_head(line, 1000), S(" [")); /* names of users may hold blanks */
    if (open < 0)
        return false;
    str rest = str_skip(line, (size_t)open + 1), who = str_head(line, (size_t)open);
    a->time = take_bracketed(&rest);
    if (!a->time.p || !take(&rest, S(" ")) || !(a->request = take_quoted(&rest)).p || !take(&rest, S(" ")))
        return false;
    a->status = take_word(&rest);
    a->bytes = take_word(&rest);
    a->client = take_word(&who);
    str next = who;
    str second = take_word(&next);
    if (!is_address(a->client) && is_address(second)) {
        a->host = a->client;
        a->client = second;
        who = next;
    }
    (void)take_word(&who); /* ident */
    a->user = who;
    str after = rest;
    a->referrer = take_quoted(&after);
    if (a->referrer.p && take(&after, S(" ")) && (a->agent = take_quoted(&after)).p)
        rest = after;
    else
        a->referrer = (str){NULL, 0};
    a->rest = str_trim(rest);
    return true;
}

bool read_access(str line, const struct line_place *p, struct buf *out)
{
    struct access a = {0};
    struct moment m = {0};
    if (!cut_access(line, &a) || !read_clf_time(a.time, &m) || a.status.n != 3 || !is_number(a.status))
        return false;
    add_time(&m, p, out);
    add_unless_dash(out, is_address(a.client) ? "ip" : "client", a.client);
    add_unless_dash(out, "user", a.user);
    add_request(a.request, out);
    add_raw(out, "http.status", a.status);
    if (is_number(a.bytes))
        add_raw(out, "http.bytes", a.bytes);
    add_unless_dash(out, "http.referrer", a.referrer);
    add_unless_dash(out, "http.user_agent", a.agent);
    add_unless_dash(out, "http.host", a.host);
    add_member(out, "rest", a.rest);
    struct buf message = BUF_INIT(1u << 20);
    buf_str(&message, a.request);
    buf_byte(&message, ' ');
    buf_str(&message, a.status);
    add_unescaped(out, "message", buf_view(&message));
    buf_done(&message);
    return true;
}

/* ", client: 1.2.3.4, server: x, request: "GET / HTTP/1.1", host: "y"" at the end: the message goes up to there. */
static str add_nginx_context(str text, struct buf *out)
{
    ptrdiff_t at = str_find(text, S(", client: "));
    if (at < 0)
        return text;
    for (str s = str_skip(text, (size_t)at); take(&s, S(", "));) {
        ptrdiff_t colon = str_find(s, S(": "));
        if (colon < 0)
            break;
        str name = str_head(s, (size_t)colon), value;
        s = str_skip(s, (size_t)colon + 2);
        value = take_quoted(&s);
        if (!value.p) {
            ptrdiff_t end = str_chr(s, ',');
            value = str_head(s, end < 0 ? s.n : (size_t)end);
            s = str_skip(s, value.n);
        }
        if (str_eq(name, S("client")))
            add_member(out, "ip", value);
        else if (str_eq(name, S("server")))
            add_member(out, "server", value);
        else if (str_eq(name, S("request")))
            add_request(value, out);
        else if (str_eq(name, S("upstream")))
            add_unescaped(out, "upstream", value);
        else if (str_eq(name, S("host")))
            add_unescaped(out, "http.host", value);
        else if (str_eq(name, S("referrer")))
            add_unescaped(out, "http.referrer", value);
    }
    return str_head(text, (size_t)at);
}

bool read_nginx_error(str line, const struct line_place *p, struct buf *out)
{
    struct moment m = {0};
    str s = line, level, pid;
    if (!str_starts(str_skip(line, 4), S("/")) || !take_rfc3339(&s, &m) || m.zoned || !take(&s, S(" ")) ||
        !(level = take_bracketed(&s)).p || !take(&s, S(" ")) || str_chr(pid = take_word(&s), '#') < 0 ||
        !str_ends(pid, S(":")))
        return false;
    add_time(&m, p, out);
    add_level(out, level);
    str number = str_head(pid, (size_t)str_chr(pid, '#'));
    if (is_number(number))
        add_raw(out, "pid", number);
    if (str_starts(s, S("*")) && str_chr(s, ' ') > 1)
        add_member(out, "connection", str_skip(take_word(&s), 1));
    add_member(out, "message", add_nginx_context(s, out));
    return true;
}

/* "Mon Nov 23 16:03:52.545205 2026" */
static bool read_apache_time(str text, struct moment *m)
{
    (void)take_word(&text);
    return take_month(&text, &m->month) && take(&text, S(" ")) && take_number(&text, 2, &m->day) &&
           take(&text, S(" ")) && take_clock(&text, m) && take(&text, S(" ")) && take_number(&text, 4, &m->year) &&
           is_date(m) && text.n == 0;
}

/* "pid 28512:tid 28540", "client 127.0.0.1:48382" */
static void add_apache_part(str part, struct buf *out)
{
    if (take(&part, S("pid "))) {
        str pid = str_cut(&part, ':');
        if (is_number(pid))
            add_raw(out, "pid", pid);
    } else if (take(&part, S("client "))) {
        size_t n = part.n;
        while (n > 0 && part.p[n - 1] != ':')
            n--;
        bool port = n > 1 && str_chr(part, ':') == (ptrdiff_t)n - 1;
        add_member(out, "ip", take(&part, S("[")) || !port ? part : str_head(part, n - 1));
    }
}

/* The next "[…]"; of "[client [2001:db8::1]:443]" the bracket inside is not the end. */
static str take_apache_part(str *s)
{
    if (!take(s, S(" ")))
        return (str){NULL, 0};
    str part = take_bracketed(s), rest = *s, port;
    if (str_starts(part, S("client [")) && take(&rest, S(":")) && (port = str_cut(&rest, ']')).n < 6 && rest.p)
        *s = rest;
    return part;
}

bool read_apache_error(str line, const struct line_place *p, struct buf *out)
{
    struct moment m = {0};
    str s = line, time = take_bracketed(&s), level, part;
    if (!time.p || !read_apache_time(time, &m) || !take(&s, S(" ")) || !(level = take_bracketed(&s)).p)
        return false;
    add_time(&m, p, out);
    str module = str_cut(&level, ':');
    add_level(out, level.p ? level : module);
    if (level.p)
        add_member(out, "logger", module);
    while ((part = take_apache_part(&s)).p)
        add_apache_part(part, out);
    add_unescaped(out, "message", str_trim(s));
    return true;
}
