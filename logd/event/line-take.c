/* Taking the parts of a line, writing them as members of JSON. */
#include "event/line-private.h"

#include "base/clock.h"
#include "event/event.h"
#include "event/json.h"

#include <time.h>

/* ---- off the front ---- */

bool take(str *s, str what)
{
    if (!str_starts(*s, what))
        return false;
    *s = str_skip(*s, what.n);
    return true;
}

bool take_number(str *s, size_t digits, int *ret)
{
    int v = 0;
    if (s->n < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        v = 10 * v + (s->p[i] - '0');
    }
    *s = str_skip(*s, digits);
    *ret = v;
    return true;
}

str take_word(str *s)
{
    size_t n = 0;
    while (n < s->n && s->p[n] != ' ')
        n++;
    str word = str_head(*s, n);
    *s = str_skip(*s, n + 1);
    return word;
}

str take_bracketed(str *s)
{
    ptrdiff_t close = str_starts(*s, S("[")) ? str_chr(*s, ']') : -1;
    if (close < 0)
        return (str){NULL, 0};
    str inside = str_n(s->p + 1, (size_t)close - 1);
    *s = str_skip(*s, (size_t)close + 1);
    return inside;
}

str take_quoted(str *s)
{
    size_t end = 1;
    if (!str_starts(*s, S("\"")))
        return (str){NULL, 0};
    while (end < s->n && s->p[end] != '"')
        end += s->p[end] == '\\' ? 2 : 1;
    if (end >= s->n)
        return (str){NULL, 0};
    str inside = str_n(s->p + 1, end - 1);
    *s = str_skip(*s, end + 1);
    return inside;
}

/* ---- times ---- */

bool take_month(str *s, int *ret)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++)
        if (take(s, str_n(names + 3 * i, 3))) {
            *ret = i + 1;
            return true;
        }
    return false;
}

static void take_fraction(str *s, struct moment *m)
{
    int32_t unit = NSEC_PER_SEC / 10;
    size_t n = 1;
    m->ns = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++, unit /= 10)
        m->ns += unit * (s->p[n] - '0');
    m->digits = n > 10 ? 9 : (int)n - 1;
    *s = str_skip(*s, n);
}

bool take_clock(str *s, struct moment *m)
{
    str rest = *s;
    if (!take_number(&rest, 2, &m->hour) || !take(&rest, S(":")) || !take_number(&rest, 2, &m->minute) ||
        !take(&rest, S(":")) || !take_number(&rest, 2, &m->second) || m->hour > 23 || m->minute > 59 || m->second > 60)
        return false;
    if (rest.n > 1 && (rest.p[0] == '.' || rest.p[0] == ',') && rest.p[1] >= '0' && rest.p[1] <= '9')
        take_fraction(&rest, m);
    *s = rest;
    return true;
}

bool take_offset(str *s, struct moment *m)
{
    str rest = *s;
    int h, min = 0;
    bool blank = take(&rest, S(" "));
    if (take(&rest, S("UTC")) || take(&rest, S("GMT")) || (!blank && take(&rest, S("Z")))) {
        m->offset_s = 0;
    } else {
        bool west = str_starts(rest, S("-"));
        if (!take(&rest, west ? S("-") : S("+")) || !take_number(&rest, 2, &h))
            return false;
        (void)take(&rest, S(":"));
        if (!take_number(&rest, 2, &min) && blank) /* "12:00:00 -12 bottles" */
            return false;
        if (h > 23 || min > 59)
            return false;
        m->offset_s = (west ? -60 : 60) * (60 * h + min);
    }
    if (rest.n && ((unsigned)((rest.p[0] | 32) - 'a') < 26 || (rest.p[0] >= '0' && rest.p[0] <= '9')))
        return false; /* the start of a longer word */
    m->zoned = true;
    *s = rest;
    return true;
}

bool take_rfc3339(str *s, struct moment *m)
{
    str rest = *s;
    if (!take_number(&rest, 4, &m->year) || !rest.n || (rest.p[0] != '-' && rest.p[0] != '/'))
        return false;
    str dash = str_head(rest, 1);
    if (!take(&rest, dash) || !take_number(&rest, 2, &m->month) || !take(&rest, dash) ||
        !take_number(&rest, 2, &m->day) || !(take(&rest, S("T")) || take(&rest, S(" "))) || !take_clock(&rest, m))
        return false;
    (void)take_offset(&rest, m);
    *s = rest;
    return is_date(m);
}

bool take_any_time(str s, struct moment *m)
{
    str rest = s;
    if (take_syslog_time(&rest, m) && rest.n == 0)
        return true;
    *m = (struct moment){0};
    rest = s;
    return take_clf_time(&rest, m) && rest.n == 0;
}

bool is_date(const struct moment *m)
{
    return m->year >= 1970 && m->year <= 2261 && m->month >= 1 && m->month <= 12 && m->day >= 1 && m->day <= 31;
}

static int64_t seconds(const struct moment *m, int year)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = m->month - 1,
                    .tm_mday = m->day,
                    .tm_hour = m->hour,
                    .tm_min = m->minute,
                    .tm_sec = m->second};
    return timegm(&tm);
}

static int64_t utc(const struct moment *m, int year, const struct line_place *p)
{
    int64_t local = seconds(m, year);
    return m->zoned ? local - m->offset_s : zone_utc(p->zone, local);
}

void add_time(const struct moment *m, const struct line_place *p, struct buf *out)
{
    char text[TIME_TEXT_MAX];
    int year = m->year;
    int64_t s;
    if (year) {
        s = utc(m, year, p);
    } else {
        time_t limit = (time_t)(p->now / USEC_PER_SEC) + 86400;
        struct tm tm;
        gmtime_r(&limit, &tm);
        year = tm.tm_year + 1900;
        while ((s = utc(m, year, p)) > limit || (m->month == 2 && m->day == 29 && year % 4 != 0))
            year--;
    }
    time_print(s * NSEC_PER_SEC + m->ns, m->digits, text);
    add_member(out, "time", str_of(text));
}

/* ---- members ---- */

static void add_name(struct buf *out, const char *name)
{
    if (out->n && out->p[out->n - 1] != '{')
        buf_byte(out, ',');
    buf_json(out, str_of(name));
    buf_byte(out, ':');
}

void add_raw(struct buf *out, const char *name, str json)
{
    add_name(out, name);
    buf_str(out, json);
}

void add_member(struct buf *out, const char *name, str value)
{
    if (value.n == 0)
        return;
    add_name(out, name);
    buf_json(out, value);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

void add_unescaped(struct buf *out, const char *name, str raw)
{
    if (str_chr(raw, '\\') < 0) {
        add_member(out, name, raw);
        return;
    }
    char *text = xmalloc(raw.n);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i], next = i + 1 < raw.n ? raw.p[i + 1] : 0;
        if (c != '\\' || next == 0) {
            text[n++] = c;
        } else if (next == 'x' && i + 3 < raw.n && hex(raw.p[i + 2]) >= 0 && hex(raw.p[i + 3]) >= 0) {
            text[n++] = (char)(hex(raw.p[i + 2]) << 4 | hex(raw.p[i + 3]));
            i += 3;
        } else {
            text[n++] = next == 'n' ? '\n' : next == 't' ? '\t' : next == 'r' ? '\r' : next;
            i++;
        }
    }
    add_member(out, name, str_n(text, n));
    free(text);
}

void add_level(struct buf *out, str word)
{
    int severity = level_read(word);
    if (severity)
        add_member(out, "level", level_name(severity));
}

bool is_number(str s)
{
    return s.n > 0 && s.n <= 20 && (s.p[0] == '-' || (s.p[0] >= '0' && s.p[0] <= '9')) && json_valid(s, 1);
}
