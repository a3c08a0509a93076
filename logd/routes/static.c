/* routes/static.c - the web page and the browser reporter: files embedded by the build, nothing is read from disk.
 *
 * Page    every path the page knows answers the same index.html; the script there looks at the path. It may load only our
 *         own files, run no inline script, write no HTML from text (Trusted Types) and stand in no frame.
 * Cache   files are asked for again with their ETag; the reporter's may be an hour old, they are loaded by other people's pages. */
#include "base/str.h"
#include "routes/resources.h"
#include "web/files.h"

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

static const struct web_file *find_file(str path)
{
    for (size_t i = 0; i < web_files_n; i++)
        if (str_eq(path, str_of(web_files[i].path)))
            return &web_files[i];
    return NULL;
}

static bool takes_gzip(struct request *r)
{
    str accept = http_header(r, "Accept-Encoding");
    while (accept.p) {
        str one = str_trim(str_cut(&accept, ','));
        if (str_starts_nocase(one, S("gzip")))
            return str_find(one, S("q=0")) < 0 || str_find(one, S("q=0.")) >= 0;
    }
    return false;
}

static void send_file(struct request *r, const struct web_file *f, const char *cache)
{
    bool gzip = f->gz_n && takes_gzip(r);
    str known = http_header(r, "If-None-Match");
    reply_header(r, "Cache-Control", "%s", cache);
    reply_header(r, "ETag", "W/%s", f->etag);
    reply_header(r, "Vary", "Accept-Encoding");
    reply_header(r, "Content-Security-Policy", "%s", policy);
    reply_header(r, "Referrer-Policy", "no-referrer");
    r->type = f->type;
    if (str_find(known, str_of(f->etag)) >= 0) {
        r->status = 304;
        return;
    }
    if (gzip)
        reply_header(r, "Content-Encoding", "gzip");
    r->fixed = gzip ? str_n((const char *)f->gz, f->gz_n) : str_n((const char *)f->bytes, f->n);
}

void get_page(struct request *r)
{
    if (str_eq(r->path, S("/")) && str_find_nocase(http_header(r, "Accept"), S("text/html")) < 0) {
        buf_lit(&r->out, "{\"name\":\"logd\",\"version\":\"" LOGD_VERSION "\"}\n");
        return;
    }
    reply_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    reply_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    send_file(r, find_file(S("/app/index.html")), "no-store");
}

void get_file(struct request *r)
{
    const struct web_file *f = find_file(r->path);
    if (!f) {
        reply_nothing_here(r);
        return;
    }
    reply_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    reply_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    send_file(r, f, "no-cache");
}

void get_reporter(struct request *r)
{
    reply_header(r, "Cross-Origin-Resource-Policy", "cross-origin");
    reply_header(r, "Access-Control-Allow-Origin", "*");
    send_file(r, find_file(r->path), "public, max-age=3600");
}
