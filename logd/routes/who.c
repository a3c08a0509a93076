/* routes/who.c - who asks, from where, and may he? Asked of every request before its body is read.
 *
 * A key comes as Bearer, X-Logd-Key, Basic password or, of a browser, ?key=; a person comes with the session cookie. A
 * cookie is sent by the browser unasked, so whatever changes something under one must also show the session's token and
 * come from our own pages. DATA/sock needs neither: only the owner of the data folder can open it. */
#include "base/log.h"
#include "base/str.h"
#include "parts.h"
#include "routes/exchange.h"

#include <arpa/inet.h>

/* A DSN's key: in the URL whatever its role, or in "X-Sentry-Auth: Sentry sentry_version=7, sentry_key=lk_…". */
static str dsn_key(struct request *r)
{
    str list = http_header(r, "X-Sentry-Auth"), key = http_param(r, "sentry_key");
    if (str_starts_nocase(list, S("sentry ")))
        list = str_skip(list, 7);
    while (!key.p && list.p) {
        str value = str_trim(str_cut(&list, ',')), name = str_cut(&value, '=');
        if (str_eq(name, S("sentry_key")))
            key = value;
    }
    return key;
}

static str sent_key(struct exchange *x, bool *ret_in_url)
{
    struct request *r = &x->r;
    str auth = http_header(r, "Authorization"), key = http_header(r, "X-Logd-Key");
    *ret_in_url = false;
    if (x->route->flags & ROUTE_DSN)
        return dsn_key(r);
    if (str_starts_nocase(auth, S("bearer ")))
        return str_trim(str_skip(auth, 7));
    if (str_starts_nocase(auth, S("basic "))) {
        struct buf plain = BUF_INIT(4096);
        plain.secret = true;
        bool good = buf_base64_read(&plain, str_trim(str_skip(auth, 6)));
        str pair = arena_str(&r->arena, buf_view(&plain));
        buf_done(&plain);
        (void)str_cut(&pair, ':');
        return good && pair.p ? pair : S("");
    }
    if (auth.p)
        return S(""); /* a scheme we do not know is a wrong key, not no key */
    if (key.p)
        return str_trim(key);
    *ret_in_url = true;
    return http_param(r, "key");
}

str http_cookie(struct request *r, str wanted)
{
    str all = http_header(r, "Cookie");
    while (all.p) {
        str one = str_trim(str_cut(&all, ';'));
        str name = str_cut(&one, '=');
        if (str_eq(name, wanted))
            return one;
    }
    return (str){0};
}

static bool refuse(struct exchange *x, unsigned status, const char *text)
{
    if (status == 401)
        reply_header(&x->r, "WWW-Authenticate", "Bearer");
    reply_error(&x->r, status, "%s", text);
    return false;
}

static void allow_origin(struct request *r, str origin)
{
    reply_header(r, "Access-Control-Allow-Origin", "%.*s", STR_ARG(origin));
    reply_header(r, "Access-Control-Expose-Headers", "Retry-After");
}

static bool by_key(struct exchange *x, str key, bool in_url)
{
    struct request *r = &x->r;
    struct auth *a = r->parts->auth;
    struct err e = {0};
    str origin = http_header(r, "Origin");
    if (auth_key(a, key, origin, clock_now(), &r->who, &e) < 0) {
        r->who = (struct principal){0};
        return refuse(x, e.kind == ERR_INPUT ? 403 : 401, e.text);
    }
    if (in_url && r->who.role != ROLE_BROWSER) {
        r->who = (struct principal){0};
        return refuse(x, 403,
                      "only a key of role browser may be sent as ?key=: send this one as Authorization: Bearer");
    }
    if (origin.p && r->who.role == ROLE_BROWSER)
        allow_origin(r, origin);
    return true;
}

/* The host and port of a URL like "https://logs.example:5080/x". */
static str host_of(str url)
{
    ptrdiff_t at = str_find(url, S("://"));
    str rest = at < 0 ? url : str_skip(url, (size_t)at + 3);
    return str_cut(&rest, '/');
}

static bool is_ours(struct request *r, str origin)
{
    str host = host_of(origin);
    return str_eq_nocase(host, http_header(r, "Host")) ||
           (r->parts->url && str_eq_nocase(host, host_of(str_of(r->parts->url))));
}

static bool is_safe(enum http_method m) { return m == HTTP_GET || m == HTTP_HEAD || m == HTTP_OPTIONS; }

/* A request that a browser made on its own account for another site's page. */
static bool from_elsewhere(struct request *r)
{
    str origin = http_header(r, "Origin"), site = http_header(r, "Sec-Fetch-Site");
    return (origin.p && !is_ours(r, origin)) ||
           (site.p && !str_eq_nocase(site, S("same-origin")) && !str_eq_nocase(site, S("none")));
}

static bool by_cookie(struct exchange *x, str cookie)
{
    struct request *r = &x->r;
    struct err e = {0};
    if (auth_session(r->parts->auth, cookie, clock_now(), &r->who, &e) < 0) {
        r->who = (struct principal){0};
        return (x->route->flags & ROUTE_PUBLIC) || refuse(x, 401, "the session has ended: sign in again");
    }
    if (is_safe(r->method))
        return true;
    if (from_elsewhere(r))
        return refuse(x, 403, "a signed-in session may only be used from our own pages");
    /* whoever signs in again need not know the token of the session that he had */
    if (!(x->route->flags & ROUTE_PUBLIC) && !str_eq_secret(http_header(r, "X-CSRF-Token"), str_of(r->who.csrf)))
        return refuse(x, 403, "X-CSRF-Token: expected the token of this session");
    return true;
}

static bool identify(struct exchange *x)
{
    struct request *r = &x->r;
    bool public = x->route->flags & ROUTE_PUBLIC, in_url;
    if (x->route->flags & ROUTE_SIGNED)
        return true;
    if (r->local) {
        r->who = (struct principal){.role = ROLE_ADMIN, .local = true};
        return true;
    }
    str key = sent_key(x, &in_url), cookie = http_cookie(r, S("logd_session"));
    if (key.p && !(public && in_url))
        return by_key(x, key, in_url);
    if (cookie.p)
        return by_cookie(x, cookie);
    if (public && !is_safe(r->method) && from_elsewhere(r))
        return refuse(x, 403, "this may only be sent from our own pages");
    return public || refuse(x, 401, "expected a key as Authorization: Bearer, or a session");
}

/* ---- proxies ---- */

static int read_ip(str text, unsigned char out[16])
{
    char z[INET6_ADDRSTRLEN];
    if (text.n >= sizeof z)
        return 0;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, out) == 1)
        return 32;
    return inet_pton(AF_INET6, z, out) == 1 ? 128 : 0;
}

/* Is `ip` the address, or in the network, that `rule` says? */
static bool in_network(str ip, str rule)
{
    unsigned char a[16], b[16];
    uint64_t bits;
    str net = str_cut(&rule, '/');
    int len = read_ip(ip, a);
    if (len == 0 || read_ip(net, b) != len)
        return false;
    if (!rule.p)
        bits = (uint64_t)len;
    else if (!str_u64(rule, &bits) || bits > (uint64_t)len)
        return false;
    size_t whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool is_proxy(const struct config *c, str ip)
{
    for (size_t i = 0; i < c->proxies_n; i++)
        if (in_network(ip, str_of(c->proxies[i])))
            return true;
    return false;
}

struct lines {
    struct arena *arena;
    str all;
};

static enum MHD_Result add_line(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_n, const char *value,
                                size_t value_n)
{
    struct lines *l = arg;
    (void)kind;
    if (str_eq_nocase(str_n(name, name_n), S("x-forwarded-for")))
        l->all = str_of(
            arena_printf(l->arena, "%.*s%s%.*s", STR_ARG(l->all), l->all.n ? "," : "", (int)value_n, value));
    return MHD_YES;
}

/* X-Forwarded-For grows at its end, in a line of its own or not: the last address that is no listed proxy sent it. */
static void forwarded(struct exchange *x)
{
    struct request *r = &x->r;
    const struct config *c = atomic_load(&r->parts->config);
    unsigned char ip[16];
    if (!c || c->proxies_n == 0 || !is_proxy(c, str_of(r->peer)))
        return;
    struct lines lines = {&r->arena, {0}};
    MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, add_line, &lines);
    for (str list = lines.all; list.n;) {
        size_t at = list.n;
        while (at > 0 && list.p[at - 1] != ',')
            at--;
        str last = str_trim(str_skip(list, at));
        if (read_ip(last, ip) == 0)
            return;
        snprintf(r->peer, sizeof r->peer, "%.*s", STR_ARG(last));
        if (!is_proxy(c, last))
            return;
        list.n = at ? at - 1 : 0;
    }
}

bool who_dsn(struct request *r, str key, enum right right)
{
    struct err e = {0};
    str origin = http_header(r, "Origin");
    int rc = key.n ? auth_key(r->parts->auth, key, origin, clock_now(), &r->who, &e) : 0;
    if (rc < 0 || !key.n) {
        r->who = (struct principal){0};
        reply_error(r, e.kind == ERR_INPUT ? 403 : 401, "%s",
                    rc < 0 ? e.text
                           : "expected a DSN's key as ?sentry_key=, in X-Sentry-Auth, or a dsn in the first line");
        return false;
    }
    if (origin.p && r->who.role == ROLE_BROWSER)
        allow_origin(r, origin);
    if (!principal_may(&r->who, right)) {
        reply_error(r, 403, "a key of role %s may not do this", role_name(r->who.role));
        return false;
    }
    return true;
}

bool who_asks(struct exchange *x)
{
    struct request *r = &x->r;
    forwarded(x);
    if (x->route->flags & ROUTE_BEACON)
        reply_header(r, "Vary", "Origin");
    if ((x->route->flags & ROUTE_DSN_INSIDE) && !r->local && !dsn_key(r).p)
        return true; /* the body may name one */
    if (!identify(x))
        return false;
    if ((x->route->flags & ROUTE_PUBLIC) || x->route->right == RIGHT_NONE || principal_may(&r->who, x->route->right))
        return true;
    if (r->who.key)
        reply_error(r, 403, "a key of role %s may not do this", role_name(r->who.role));
    else
        reply_error(r, 403, "a user of role %s may not do this", role_name(r->who.role));
    return false;
}

void who_preflight(struct exchange *x, const char *allow)
{
    struct request *r = &x->r;
    str origin = http_header(r, "Origin"), key = http_param(r, "key");
    if (!key.p)
        key = http_param(r, "sentry_key"); /* of a DSN; there is no route of this method to ask */
    r->status = 204;
    reply_header(r, "Allow", "%s", allow);
    if (!origin.p || !http_header(r, "Access-Control-Request-Method").p)
        return;
    reply_header(r, "Vary", "Origin");
    if (!key.p || !auth_origin_allowed(r->parts->auth, key, origin)) {
        reply_error(r, 403, "this key may not be used from the origin \"%.*s\"", STR_ARG(str_head(origin, 200)));
        return;
    }
    allow_origin(r, origin);
    reply_header(r, "Access-Control-Allow-Methods", "%s", allow);
    reply_header(r, "Access-Control-Allow-Headers",
                 "content-type, content-encoding, authorization, x-logd-key, x-sentry-auth, idempotency-key");
    reply_header(r, "Access-Control-Max-Age", "7200");
}
