#include "base/config-good.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"

#include <arpa/inet.h>
#include <ctype.h>

static bool ip_good(str s)
{
    char z[INET6_ADDRSTRLEN], out[16];
    if (s.n == 0 || s.n >= sizeof z)
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    return inet_pton(AF_INET, z, out) == 1 || inet_pton(AF_INET6, z, out) == 1;
}

static bool port_good(str s, uint64_t min)
{
    uint64_t port;
    return str_u64(s, &port) && port >= min && port <= 65535;
}

/* Cuts an address in brackets or what stands before the last colon off *s; what is left is the port. */
static str cut_host(str *s)
{
    str host = *s;
    if (host.n && host.p[0] == '[') {
        ptrdiff_t close = str_chr(host, ']');
        if (close < 0 || (size_t)close + 1 == host.n || host.p[close + 1] != ':')
            return (str){0};
        *s = str_skip(host, (size_t)close + 2);
        return str_n(host.p + 1, (size_t)close - 1);
    }
    host = str_cut(s, ':');
    return host.n && str_chr(*s, ':') < 0 ? host : (str){0};
}

bool address_good(str s)
{
    bool six = str_starts(s, S("["));
    str port = s, host = cut_host(&port);
    return ip_good(host) && six == (str_chr(host, ':') >= 0) && port_good(port, 0);
}

bool network_good(str s)
{
    uint64_t bits;
    str rest = s, ip = str_cut(&rest, '/');
    return ip_good(ip) && (!rest.p || (str_u64(rest, &bits) && bits <= (str_chr(ip, ':') >= 0 ? 128u : 32u)));
}

static bool printable(str s, const char *but)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || strchr(but, s.p[i]))
            return false;
    return true;
}

/* "host", "host:25", "[::1]:25"; what follows a slash is not looked at. */
static bool authority_good(str s)
{
    str whole = str_cut(&s, '/'), port = whole;
    bool six = str_starts(whole, S("["));
    if (!printable(whole, "\"'<>@\\?#%") || whole.n == 0)
        return false;
    if (six ? str_ends(whole, S("]")) : str_chr(whole, ':') < 0)
        return !six || ip_good(str_n(whole.p + 1, whole.n - 2));
    str host = cut_host(&port);
    return host.n > 0 && (!six || ip_good(host)) && port_good(port, 1);
}

bool http_good(str s)
{
    bool tls = str_starts(s, S("https://"));
    return (tls || str_starts(s, S("http://"))) && printable(s, "\"'<>@\\?#") &&
           authority_good(str_skip(s, tls ? 8 : 7));
}

/* With a query: some carry their key there. */
bool hook_url_good(str s)
{
    ptrdiff_t at = str_chr(s, '?');
    return http_good(at < 0 ? s : str_head(s, (size_t)at)) && printable(s, "\"'<>\\#");
}

bool host_good(str s)
{
    return s.n > 0 && s.n <= 253 && (ip_good(s) || (printable(s, "\"'<>@\\?#%/:[]") && s.p[0] != '.'));
}

bool mail_url_good(str s)
{
    if (str_starts(s, S("smtp://")) || str_starts(s, S("smtps://")))
        return printable(s, "\"'<>@\\?#") && authority_good(str_skip(s, str_starts(s, S("smtp:")) ? 7 : 8));
    return str_starts(s, S("sendmail:/")) || (str_starts(s, S("maildir:")) && s.n > 8);
}

/* What mail_address_check takes: no SMTPUTF8. */
bool email_good(str s)
{
    ptrdiff_t at = str_chr(s, '@');
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x7f)
            return false;
    return at > 0 && (size_t)at + 1 < s.n && s.n <= 254 && printable(s, "<>()[]\\,;:\"") &&
           str_chr(str_skip(s, (size_t)at + 1), '@') < 0;
}

bool archive_url_good(str s)
{
    if (str_starts(s, S("file:///")))
        return s.n > 8;
    return str_starts(s, S("s3://")) && s.n > 5 && s.p[5] != '/' && printable(s, "\"'<>@\\?#");
}

bool app_good(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || (i && strchr("._-", s.p[i]))))
            return false;
    return s.n > 0 && s.n <= LIMIT_APP;
}

bool zone_good(str s)
{
    char path[128];
    if (str_eq(s, S("UTC")))
        return true;
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/", s.p[i]))
            return false;
    struct err e;
    struct buf zone = BUF_INIT(1u << 20);
    int n = snprintf(path, sizeof path, "/usr/share/zoneinfo/%.*s", STR_ARG(s));
    bool good = n > 0 && (size_t)n < sizeof path && file_read(path, zone.max, &zone, &e) == 0 &&
                str_starts(buf_view(&zone), S("TZif"));
    buf_done(&zone);
    return good;
}

bool stat_good(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') &&
            (!s.p[i] || !strchr("._-/:", s.p[i])))
            return false;
    return s.n > 0 && s.n <= 64;
}

bool store_good(str s) { return str_eq(s, S("local")); }
