/* routes/reply.c - what a handler may ask of its request and say in its reply. */
#include "base/log.h"
#include "base/str.h"
#include "routes/exchange.h"
#include "routes/guard.h"

#include <stdarg.h>

static struct exchange *exchange_of(struct request *r) { return r->http; }

str http_header(struct request *r, const char *name)
{
    const char *value;
    size_t n;
    if (MHD_lookup_connection_value_n(exchange_of(r)->mhd, MHD_HEADER_KIND, name, strlen(name), &value, &n) != MHD_YES)
        return (str){0};
    return (str){value ? value : "", n};
}

/* The guard has seen that each % has its digits. */
str decode_percent(struct arena *a, str s, bool plus)
{
    if (str_chr(s, '%') < 0 && !(plus && str_chr(s, '+') >= 0))
        return s;
    char *out = arena_alloc(a, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '%' && i + 2 < s.n) {
            out[n++] = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
            i += 2;
        } else {
            out[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
        }
    return (str){out, n};
}

str http_param(struct request *r, const char *name)
{
    str query = exchange_of(r)->query;
    while (query.p) {
        str value = str_cut(&query, '&');
        str key = str_cut(&value, '=');
        if (str_eq(decode_percent(&r->arena, key, true), str_of(name)))
            return value.p ? decode_percent(&r->arena, value, true) : S("");
    }
    return (str){0};
}

bool http_param_prefix(struct request *r, const char *prefix, size_t index, str *ret_rest, str *ret_value)
{
    str query = exchange_of(r)->query;
    while (query.p) {
        str value = str_cut(&query, '&');
        str key = decode_percent(&r->arena, str_cut(&value, '='), true);
        if (!str_starts(key, str_of(prefix)) || index-- > 0)
            continue;
        *ret_rest = str_skip(key, strlen(prefix));
        *ret_value = value.p ? decode_percent(&r->arena, value, true) : S("");
        return true;
    }
    return false;
}

void reply_header(struct request *r, const char *name, const char *fmt, ...)
{
    va_list ap;
    char *value = NULL;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0 && r->headers_n < LENGTH(r->headers));
    value = arena_alloc(&r->arena, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(value, (size_t)n + 1, fmt, ap);
    va_end(ap);
    for (char *c = value; *c; c++) /* a line break would begin a header of the sender's choice */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    r->headers[r->headers_n].name = name;
    r->headers[r->headers_n++].value = value;
}

void reply_text(struct request *r, unsigned status, const char *text, const struct err *e)
{
    buf_reset(&r->out);
    r->fixed = (str){0};
    r->status = status;
    r->type = "application/json";
    buf_lit(&r->out, "{\"error\":");
    buf_json(&r->out, str_of(text));
    if (e && e->pointer[0]) {
        buf_lit(&r->out, ",\"pointer\":");
        buf_json(&r->out, str_of(e->pointer));
    }
    if (e && e->line)
        buf_printf(&r->out, ",\"line\":%zu", e->line);
    if (e && e->column)
        buf_printf(&r->out, ",\"column\":%zu", e->column);
    buf_lit(&r->out, "}\n");
}

void reply_nothing_here(struct request *r)
{
    str accept = http_header(r, "Accept");
    ptrdiff_t html = str_find_nocase(accept, S("text/html")), json = str_find_nocase(accept, S("application/json"));
    reply_error(r, 404, "there is nothing at %.*s", STR_ARG(str_head(r->path, 200)));
    if (html < 0 || (json >= 0 && json < html))
        return;
    buf_reset(&r->out);
    r->type = "text/html; charset=utf-8";
    reply_header(r, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    buf_lit(&r->out, "<!doctype html><html lang=\"en\"><title>Nothing here - logd</title>"
                     "<h1>There is nothing here</h1><p>The address may be mistyped, or what was there has gone. "
                     "<a href=\"/\">To the search</a>\n");
}

void reply_error(struct request *r, unsigned status, const char *fmt, ...)
{
    char text[sizeof((struct err *)0)->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    reply_text(r, status, text, NULL);
}

void reply_err(struct request *r, const struct err *e)
{
    switch (e->kind) {
    case ERR_INPUT: reply_text(r, 400, e->text, e); return;
    case ERR_GONE: reply_text(r, 404, e->text, e); return;
    case ERR_DENIED: reply_text(r, 403, e->text, e); return;
    case ERR_FULL:
        reply_header(r, "Retry-After", "1");
        reply_text(r, 503, e->text, e);
        return;
    case ERR_REMOTE: reply_text(r, 502, e->text, e); return; /* another server's words: mail, archive */
    default:                                                 /* names of files and the like are for the operator only */
        log_error("routes", "what=\"a request failed\" path=\"%.*s\" why=\"%s\"", STR_ARG(str_head(r->path, 200)),
                  e->text);
        reply_text(r, 500, "the server failed to do this; its log says why", NULL);
    }
}
