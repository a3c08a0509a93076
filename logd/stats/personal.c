#include "stats/personal.h"
#include "base/buf.h"
#include "base/str.h"
#include "event/number.h"

enum { DIGITS_MAX = 6, TIMES_ENCODED = 3 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_hex(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f'); }
static bool is_alnum(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z'); }

/* ---- as it stands ---- */
struct shape {
    size_t digits, hex, run; /* run: the most digits in a row */
    bool blank, letters;     /* letters: something beside digits and +()./- and blanks */
};

static struct shape shape_of(str s)
{
    struct shape x = {0};
    for (size_t i = 0, run = 0; i < s.n; i++) {
        run = is_digit(s.p[i]) ? run + 1 : 0;
        x.run = run > x.run ? run : x.run;
        x.digits += is_digit(s.p[i]);
        x.hex += is_hex(s.p[i]);
        x.blank |= s.p[i] == ' ';
        x.letters |= !is_digit(s.p[i]) && (!s.p[i] || !strchr("+ ()./-", s.p[i]));
    }
    return x;
}

static str host_of(str s)
{
    size_t n = 0;
    while (n < s.n && (is_alnum(s.p[n]) || s.p[n] == '.' || s.p[n] == '-' || s.p[n] == '+' || (s.p[n] & 0x80)))
        n++;
    return str_head(s, n);
}

static str last_part(str host)
{
    size_t n = host.n;
    while (n > 0 && host.p[n - 1] != '.')
        n--;
    return str_skip(host, n);
}

/* app@2.1.0, app@v3: no top-level domain begins with a digit. */
static bool is_version(str host)
{
    str last = last_part(host);
    ip address;
    if (last.n == host.n && last.n && (last.p[0] | 32) == 'v')
        last = str_skip(last, 1);
    return last.n && is_digit(last.p[0]) && !ip_read(host, &address);
}

/* `strict`: something@domain.tld; else each @ that stands before no version. */
static bool has_mail(str s, bool strict)
{
    for (size_t i = 0; i < s.n; i++) {
        str host = host_of(str_skip(s, i + 1));
        if (s.p[i] == '@' && !is_version(host) &&
            (!strict || (i > 0 && last_part(host).n >= 2 && last_part(host).n < host.n)))
            return true;
    }
    return false;
}

/* 192-0-2-1, as names of hosts write it: four parts of up to three digits. */
static bool is_ip_with(str s, char between)
{
    char dotted[16];
    ip address;
    if (s.n >= sizeof dotted)
        return false;
    for (size_t i = 0; i < s.n; i++)
        dotted[i] = s.p[i] == between ? '.' : is_digit(s.p[i]) ? s.p[i] : 'x';
    return ip_read(str_n(dotted, s.n), &address);
}

/* An address, with a port, a prefix length or brackets around it too. */
static bool is_ip(str s)
{
    ip low, high;
    str rest = s, host = str_cut(&rest, ':');
    if (s.n && s.p[0] == '[') {
        rest = str_skip(s, 1);
        s = str_cut(&rest, ']');
    }
    return ip_read(s, &low) || ip_read(host, &low) || cidr_read(s, &low, &high) || is_ip_with(s, '-') ||
           is_ip_with(s, '_');
}

/* One of a list of addresses, as proxies pass them on. */
static bool has_ip(str s)
{
    while (s.n) {
        size_t n = 0;
        while (n < s.n && s.p[n] != ' ' && s.p[n] != ',' && s.p[n] != ';')
            n++;
        if (is_ip(str_head(s, n)))
            return true;
        s = str_skip(s, n + 1);
    }
    return false;
}

static bool has_uuid(str s)
{
    for (; s.n >= 36; s = str_skip(s, 1)) {
        size_t i = 0;
        while (i < 36 && (i == 8 || i == 13 || i == 18 || i == 23 ? s.p[i] == '-' : is_hex(s.p[i])))
            i++;
        if (i == 36)
            return true;
    }
    return false;
}

static bool is_date(str s)
{
    size_t n = 0;
    while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '-'))
        n++;
    return n == 10 && s.p[4] == '-' && s.p[7] == '-';
}

/* name@version without an id in it. */
static bool is_release(str s, const struct shape *x)
{
    ptrdiff_t at = str_chr(s, '@');
    return at > 0 && !has_mail(s, false) && x->run <= DIGITS_MAX && s.n - (size_t)at <= 24;
}

static const char *looks(str s)
{
    struct shape x = shape_of(s);
    if (has_mail(s, false))
        return "an e-mail address";
    if (has_ip(s))
        return "an IP address";
    if (has_uuid(s))
        return "a UUID";
    if ((s.n >= 16 && x.hex == s.n) || (s.n >= 24 && x.digits >= 4 && !x.blank && !is_release(s, &x)))
        return "a token";
    if (x.digits > DIGITS_MAX && !x.letters && !is_date(s))
        return "a phone number or an id";
    return x.run > DIGITS_MAX ? "an id of more than 6 digits" : NULL;
}

/* ---- as it is meant ---- */
static size_t read_number(str s, unsigned base, size_t most, uint32_t *ret)
{
    size_t n = 0;
    for (*ret = 0; n < s.n && n < most && (base == 16 ? is_hex(s.p[n]) : is_digit(s.p[n])); n++)
        *ret = *ret * base + (uint32_t)(is_digit(s.p[n]) ? s.p[n] - '0' : (s.p[n] | 32) - 'a' + 10);
    return n;
}

/* A character at the front of s that stands for another one: %40, &#64;, &#x40;, \u0040, \x40. Its bytes, 0: none. */
static size_t read_escape(str s, uint32_t *ret)
{
    static const struct {
        str begin;
        unsigned base;
        size_t least, most;
    } kinds[] = {
        {S("%"), 16, 2, 2}, {S("&#x"), 16, 1, 6}, {S("&#"), 10, 1, 7}, {S("\\u"), 16, 4, 4}, {S("\\x"), 16, 2, 2}};
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        size_t n = str_starts_nocase(s, kinds[i].begin)
                       ? read_number(str_skip(s, kinds[i].begin.n), kinds[i].base, kinds[i].most, ret)
                       : 0;
        if (n && n >= kinds[i].least) {
            n += kinds[i].begin.n;
            return n + (s.p[0] == '&' && n < s.n && s.p[n] == ';');
        }
    }
    return 0;
}

/* (at), [dot], with blanks around them. */
static size_t read_word(str s, uint32_t *ret)
{
    static const struct {
        str word;
        char means;
    } words[] = {{S("(at)"), '@'},  {S("[at]"), '@'},  {S("{at}"), '@'},  {S("<at>"), '@'},     {S("(dot)"), '.'},
                 {S("[dot]"), '.'}, {S("{dot}"), '.'}, {S("<dot>"), '.'}, {S("&commat;"), '@'}, {S("&period;"), '.'}};
    size_t before = 0;
    while (before < s.n && s.p[before] == ' ')
        before++;
    for (size_t i = 0; i < LENGTH(words); i++)
        if (str_starts_nocase(str_skip(s, before), words[i].word)) {
            size_t n = before + words[i].word.n;
            while (n < s.n && s.p[n] == ' ')
                n++;
            *ret = (unsigned char)words[i].means;
            return n;
        }
    return 0;
}

static size_t read_utf8(str s, uint32_t *ret)
{
    size_t n = utf8_len(s.p, s.n);
    if (n < 2)
        return 0;
    *ret = (unsigned char)s.p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        *ret = *ret << 6 | ((unsigned char)s.p[i] & 0x3f);
    return n;
}

/* Wide letters, digits of other scripts, other dots and dashes as ASCII has them; what has no width is 0. */
static uint32_t plain(uint32_t c)
{
    static const uint32_t zeros[] = {0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xbe6, 0xe50};
    for (size_t i = 0; i < LENGTH(zeros); i++)
        if (c >= zeros[i] && c <= zeros[i] + 9)
            return '0' + c - zeros[i];
    if (c >= 0xff01 && c <= 0xff5e)
        return c - 0xff01 + '!';
    if (c == 0x3002 || c == 0xff61 || c == 0x2024 || c == 0xfe52)
        return '.';
    if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212)
        return '-';
    if (c == 0xad || (c >= 0x200b && c <= 0x200d) || c == 0x2060 || c == 0xfeff)
        return 0;
    return c == 0xfe6b ? '@' : c == 0xa0 || c == 0x3000 ? ' ' : c;
}

/* One layer of it taken off; false: there was none. */
static bool unfold(str s, struct buf *out)
{
    bool changed = false;
    while (s.n) {
        uint32_t c = (unsigned char)s.p[0], meant;
        size_t n = read_escape(s, &c);
        n = n ? n : read_word(s, &c);
        bool known = n > 0;
        n = n ? n : read_utf8(s, &c);
        meant = plain(c);
        if (n && (known || meant != c)) {
            changed = true;
            if (meant)
                buf_byte(out, meant < 256 ? (char)meant : '?');
        } else {
            n = n ? n : 1;
            buf_str(out, str_head(s, n));
        }
        s = str_skip(s, n);
    }
    return changed;
}

/* "ann at example dot com", when that is all. */
static bool is_spoken_mail(str s)
{
    char text[128];
    size_t n = 0, ats = 0;
    while (s.n && n + 1 < sizeof text) {
        bool at = str_starts_nocase(s, S(" at ")), dot = str_starts_nocase(s, S(" dot "));
        text[n++] = at ? '@' : dot ? '.' : s.p[0];
        ats += at;
        s = str_skip(s, at ? 4 : dot ? 5 : 1);
    }
    str all = str_n(text, n);
    return ats == 1 && str_chr(all, ' ') < 0 && has_mail(all, true);
}

/* Base64 of text that names somebody. */
static const char *hidden(str s, struct buf *out)
{
    if (s.n < 8 || !buf_base64_read(out, s) || !out->n)
        return NULL;
    for (size_t i = 0; i < out->n; i++)
        if (out->p[i] < ' ' || out->p[i] > '~')
            return NULL;
    str text = buf_view(out);
    return has_mail(text, true) ? "an e-mail address" : str_chr(text, '@') < 0 ? looks(text) : NULL;
}

const char *personal_text(str s)
{
    struct buf once = BUF_INIT(4096), next = BUF_INIT(4096), decoded = BUF_INIT(4096);
    const char *what = NULL;
    once.secret = next.secret = decoded.secret = true;
    buf_str(&once, s);
    for (int i = 0; i <= TIMES_ENCODED && !what; i++) {
        buf_reset(&decoded);
        str text = buf_view(&once);
        what = looks(text);
        what = what ? what : is_spoken_mail(text) ? "an e-mail address" : hidden(text, &decoded);
        buf_reset(&next);
        if (what || !unfold(text, &next))
            break;
        struct buf swap = once;
        once = next;
        next = swap;
    }
    buf_done(&once);
    buf_done(&next);
    buf_done(&decoded);
    return what;
}

const char *personal_name(str s)
{
    struct shape x = shape_of(s);
    if (is_ip(s))
        return "an IP address";
    if (has_uuid(s))
        return "a UUID";
    return x.run > DIGITS_MAX ? "an id of more than 6 digits" : NULL;
}
