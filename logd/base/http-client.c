#include "base/http-client.h"
#include "base/hash.h"
#include "base/public.h"
#include "base/str.h"

#include <curl/curl.h>
#include <pthread.h>

struct http_client {
    CURL *curl;
};

/* One call under way. */
struct transfer {
    struct http_client *client;
    const struct http_call *call;
    struct http_answer *ret;
    size_t sent, most, got, max; /* most: that ever went out, also over a connection that turned out to be dead */
    bool too_large, stopped, refused;
};

static void init_curl(void)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(code == CURLE_OK);
    (void)code;
}

struct http_client *http_client_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    struct http_client *c = xcalloc(1, sizeof *c);
    c->curl = curl_easy_init();
    if (!c->curl)
        abort(); /* out of memory is the only reason */
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    free(c);
}

static size_t read_body(char *to, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    str piece = str_head(str_skip(t->call->body, t->sent), size * count);
    if (piece.n > 0)
        memcpy(to, piece.p, piece.n);
    t->sent += piece.n;
    t->most = t->sent > t->most ? t->sent : t->most;
    return piece.n;
}

/* libcurl goes back to the start when a kept connection turns out to be dead. */
static int rewind_body(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > t->call->body.n)
        return CURL_SEEKFUNC_FAIL;
    t->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t take_body(char *from, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t n = size * count;
    long status = 0;
    curl_easy_getinfo(t->client->curl, CURLINFO_RESPONSE_CODE, &status);
    t->got += n;
    if (t->got > t->max) {
        t->too_large = true;
        return 0;
    }
    if (!t->call->sink || status < 200 || status > 299) {
        buf_add(&t->ret->body, from, n);
        return t->ret->body.full ? 0 : n;
    }
    t->stopped = t->call->sink(str_n(from, n), t->call->arg) < 0;
    return t->stopped ? 0 : n;
}

static int on_tick(void *arg, curl_off_t down, curl_off_t down_now, curl_off_t up, curl_off_t up_now)
{
    struct transfer *t = arg;
    (void)down, (void)down_now, (void)up, (void)up_now;
    t->stopped = t->stopped || !t->call->tick(t->call->arg);
    return t->stopped;
}

/* Asked for each address of the host, so a name that means another one the second time helps nobody. */
static curl_socket_t open_public(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct transfer *t = arg;
    (void)purpose;
    if (address_is_public(&to->addr))
        return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    t->refused = true;
    return CURL_SOCKET_BAD;
}

/* The URL as errors may show it: without user, password and query; of a webhook no path either. */
static void shown_url(const char *url, bool path, char *out, size_t size)
{
    str u = str_of(url);
    str rest = u;
    str head = str_cut(&rest, '?');
    ptrdiff_t scheme = str_find(head, S("://"));
    str host = scheme < 0 ? head : str_skip(head, (size_t)scheme + 3);
    str authority = host;
    authority = str_cut(&authority, '/');
    ptrdiff_t at = str_chr(authority, '@');
    if (at >= 0)
        host = str_skip(host, (size_t)at + 1);
    if (!path)
        host = str_cut(&host, '/');
    snprintf(out, size, "%.*s%.*s", scheme < 0 ? 0 : (int)scheme + 3, url, STR_ARG(host));
}

static bool query_sorted(const char *url)
{
    const char *mark = strchr(url, '?');
    str rest = str_of(mark ? mark + 1 : NULL), last = {NULL, 0};
    while (rest.p) {
        str pair = str_cut(&rest, '&');
        if (last.p && str_cmp(last, pair) > 0)
            return false;
        last = pair;
    }
    return true;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *text)
{
    struct curl_slist *more = curl_slist_append(list, text);
    if (!more)
        abort();
    return more;
}

/* Every header given here is signed by libcurl, so none may be an empty one that removes libcurl's own. */
static struct curl_slist *headers_of(const struct http_call *call)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < call->headers_n; i++)
        list = add_header(list, call->headers[i]);
    if (call->s3.region) {
        uint8_t digest[32];
        sha256(call->body, digest);
        struct buf line = BUF_INIT(200);
        buf_lit(&line, "x-amz-content-sha256: ");
        buf_hex(&line, digest, sizeof digest);
        buf_byte(&line, '\0');
        list = add_header(list, line.p);
        buf_done(&line);
    }
    return list;
}

static void sign(CURL *curl, const struct http_call *call)
{
    char provider[128];
    assert(query_sorted(call->url)); /* libcurl signs it as given, servers sort it first */
    snprintf(provider, sizeof provider, "aws:amz:%s:s3", call->s3.region);
    curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, provider);
    curl_easy_setopt(curl, CURLOPT_USERNAME, call->s3.access_key); /* USERPWD would split at a ':' */
    curl_easy_setopt(curl, CURLOPT_PASSWORD, call->s3.secret_key);
}

/* A body goes as an upload whatever the method, so libcurl adds no Content-Type of its own. */
static void set_method(CURL *curl, const struct http_call *call, struct transfer *t)
{
    bool get = strcmp(call->method, "GET") == 0, head = strcmp(call->method, "HEAD") == 0;
    if (head) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
        return;
    }
    if (!get)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    if (call->body.n == 0 && (get || strcmp(call->method, "DELETE") == 0))
        return;
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body.n);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_body);
    curl_easy_setopt(curl, CURLOPT_READDATA, t);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_body);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, t);
}

static void set_options(CURL *curl, const struct http_call *call, struct transfer *t)
{
    usec timeout = call->timeout ? call->timeout : 60 * USEC_PER_SEC;
    curl_easy_reset(curl); /* options only: connections stay */
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "logd/" LOGD_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout < 0 ? 0L : (long)(timeout / 1000));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     timeout >= 0 && timeout / 1000 < 10000 ? (long)(timeout / 1000) : 10000L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    if (call->proxy)
        curl_easy_setopt(curl, CURLOPT_PROXY, call->proxy);
    if (call->unix_socket) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    if (call->hook)
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (call->hook && !call->private_too) {
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_public);
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, t);
    }
    if (call->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->ca);
    if (call->cert) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, call->cert);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, call->cert_key);
    }
    if (call->tick) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_tick);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    }
    set_method(curl, call, t);
    if (call->s3.region)
        sign(curl, call);
}

static void copy_header(CURL *curl, const char *name, char *out, size_t size)
{
    struct curl_header *h;
    if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK)
        snprintf(out, size, "%s", h->value);
}

static bool has_header(CURL *curl, const char *name)
{
    struct curl_header *h;
    return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK;
}

static int no_answer(const struct transfer *t, CURLcode code, const char *detail, struct err *e)
{
    char url[200];
    shown_url(t->call->url, !t->call->hook, url, sizeof url);
    if (t->refused)
        return err_set(e, ERR_REMOTE, "%s %s: its address is not public and private_hosts does not name it",
                       t->call->method, url);
    if (t->stopped)
        return err_set(e, ERR_REMOTE, "%s %s: the answer was not taken", t->call->method, url);
    if (t->too_large)
        return err_set(e, ERR_REMOTE, "%s %s: the answer is larger than %zu bytes", t->call->method, url, t->max);
    return err_set(e, ERR_REMOTE, "%s %s: %s", t->call->method, url, detail[0] ? detail : curl_easy_strerror(code));
}

int http_do(struct http_client *c, const struct http_call *call, struct http_answer *ret, struct err *e)
{
    char detail[CURL_ERROR_SIZE] = "";
    size_t max = call->max ? call->max : call->sink ? SIZE_MAX : 64u << 20;
    struct transfer t = {.client = c, .call = call, .ret = ret, .max = max};
    http_answer_done(ret);
    *ret = (struct http_answer){.body = BUF_INIT(call->sink ? 64u << 10 : max)};
    set_options(c->curl, call, &t);
    struct curl_slist *headers = headers_of(call);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, detail);

    CURLcode code = curl_easy_perform(c->curl);

    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &ret->status);
    ret->sent = t.most;
    if (code != CURLE_OK)
        return no_answer(&t, code, detail, e);
    copy_header(c->curl, "Retry-After", ret->retry_after, sizeof ret->retry_after);
    copy_header(c->curl, "ETag", ret->etag, sizeof ret->etag);
    copy_header(c->curl, "Content-Type", ret->type, sizeof ret->type);
    copy_header(c->curl, "X-Logd-Next", ret->cursor, sizeof ret->cursor);
    ret->partial = has_header(c->curl, "X-Logd-Partial");
    return 0;
}

void http_answer_done(struct http_answer *a) { buf_done(&a->body); }
