/* routes/http.c - one request from its request line to its last byte. See http.h and exchange.h. */
#include "routes/http.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "parts.h"
#include "routes/exchange.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Over 32 KiB a connection's memory, which is full of headers and pieces of bodies, is mapped by itself and goes back to
 * the system when the connection ends; between two requests the library clears it. */
enum { CONNECTION_MEMORY = 36 << 10 };
enum { BACKLOG = 4096, EPOLL_THREADS = 2, WORKERS = 4, WAITING_MAX = 512, QUERIES_WAITING_MAX = 64 };

static const char *const method_names[HTTP_METHODS] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

/* ---- replies ---- */

static struct MHD_Response *response(struct exchange *x)
{
    struct request *r = &x->r;
    bool cached = false;
    str body = r->fixed.p ? r->fixed : buf_view(&r->out);
    struct MHD_Response *m = x->stream ? stream_response(x->stream)
                                       : MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p,
                                                                         MHD_RESPMEM_PERSISTENT);
    if (!m)
        abort(); /* out of memory */
    for (size_t i = 0; i < r->headers_n; i++) {
        MHD_add_response_header(m, r->headers[i].name, r->headers[i].value);
        cached |= strcmp(r->headers[i].name, "Cache-Control") == 0;
    }
    if (r->status != 204 && r->status != 304)
        MHD_add_response_header(m, "Content-Type", r->type);
    MHD_add_response_header(m, "X-Content-Type-Options", "nosniff");
    if (!cached)
        MHD_add_response_header(m, "Cache-Control", "no-store");
    if (x->close || atomic_load(&x->h->stopping))
        MHD_add_response_header(m, "Connection", "close");
    return m;
}

static void count_reply(struct exchange *x)
{
    unsigned class = x->r.status / 100;
    atomic_fetch_add_explicit(&x->h->count.status[class < 6 ? class : 5], 1, memory_order_relaxed);
    bool query = x->route && x->route->right == RIGHT_READ;
    if (x->r.status == 429 && !query)
        atomic_fetch_add(&x->h->count.over_quota, 1);
    if (x->r.status == 503 || (x->r.status == 429 && query))
        atomic_fetch_add(&x->h->count.busy, 1);
}

/* In the epoll thread. */
static enum MHD_Result answer(struct exchange *x)
{
    if (x->r.out.full && !x->r.fixed.p)
        reply_error(&x->r, 500, "the answer is larger than %u bytes", LIMIT_RESULT);
    exchange_end_body(x);
    exchange_charge_answer(x);
    struct MHD_Response *m = response(x);
    count_reply(x);
    conn_enter(x->c, x->stream ? CONN_STREAM : CONN_ANSWER);
    enum MHD_Result rc = MHD_queue_response(x->mhd, x->r.status, m);
    if (rc == MHD_YES)
        x->reply = m;
    else
        MHD_destroy_response(m);
    return rc;
}

static const char *reason(unsigned status)
{
    return status == 413 ? "Content Too Large" : status == 503 ? "Service Unavailable" : "Bad Request";
}

/* Answers in the middle of a body, which the library cannot: the reply goes to the socket by hand, then it is closed.
 * It fits the socket's buffer, which is empty now. */
static enum MHD_Result cut(struct exchange *x)
{
    struct buf b = BUF_INIT(4096);
    buf_printf(&b, "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
               x->r.status, reason(x->r.status), x->r.out.n);
    for (size_t i = 0; i < x->r.headers_n; i++)
        buf_printf(&b, "%s: %s\r\n", x->r.headers[i].name, x->r.headers[i].value);
    buf_lit(&b, "\r\n");
    buf_str(&b, buf_view(&x->r.out));
    if (x->h->tls && !x->r.local) {
        const union MHD_ConnectionInfo *i = MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        (void)gnutls_record_send(i->tls_session, b.p, b.n);
    } else {
        (void)!send(x->c->fd, b.p, b.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    buf_done(&b);
    count_reply(x);
    x->c->linger = true;
    return MHD_NO;
}

/* The handler that runs in this thread deferred its request; kept apart from the request, which may be gone by then. */
static _Thread_local bool deferred;

void http_defer(struct request *r)
{
    struct exchange *x = r->http;
    assert(!deferred);
    deferred = true;
    if (x->route->flags & ROUTE_POOL)
        return; /* suspended already */
    MHD_suspend_connection(x->mhd);
}

void http_finish(struct request *r)
{
    struct exchange *x = r->http;
    struct http *h = x->h;
    exchange_charge_answer(x);
    x->state = X_READY;
    MHD_resume_connection(x->mhd); /* from here on x belongs to the epoll thread */
    atomic_fetch_sub(&h->held, 1);
}

static void say_stopping(struct exchange *x)
{
    reply_header(&x->r, "Retry-After", "5");
    reply_error(&x->r, 503, "the server is stopping");
}

/* Queries that waited may not be worth running any more; what changes something always runs. */
static bool hold_back(struct exchange *x)
{
    if (x->route->right != RIGHT_READ)
        return false;
    if (atomic_load(&x->h->stopping)) {
        say_stopping(x);
        return true;
    }
    if (atomic_load(&x->h->answers) <= LIMIT_ANSWERS)
        return false;
    reply_header(&x->r, "Retry-After", "1");
    reply_error(&x->r, 503, "too many bytes of answers wait for their readers");
    return true;
}

const _Atomic bool *http_gone(struct request *r)
{
    struct exchange *x = r->http;
    if (!x->watched)
        watch_add(x->h->watch, x->c->fd, &x->gone);
    x->watched = true;
    return &x->gone;
}

static void end_watch(struct exchange *x)
{
    if (!x->watched)
        return;
    watch_remove(x->h->watch, x->c->fd);
    x->watched = false;
    if (!atomic_load(&x->gone))
        return;
    if (atomic_load(&x->h->stopping)) {
        reply_error(&x->r, 503, "the server is stopping");
        return;
    }
    atomic_fetch_add(&x->h->count.gone, 1);
    reply_error(&x->r, 499, "the client closed its side before the answer was there");
}

static void run_in_pool(void *item)
{
    struct exchange *x = item;
    deferred = false;
    if (!hold_back(x))
        x->route->run(&x->r);
    if (!deferred)
        end_watch(x);
    if (!deferred)
        http_finish(&x->r);
    secret_stack();
}

static void give(struct exchange *x)
{
    bool query = x->route->right == RIGHT_READ;
    if (pool_give(query ? x->h->queries : x->h->workers, x))
        return;
    reply_header(&x->r, "Retry-After", "1");
    reply_error(&x->r, query ? 429 : 503, "too many %s wait: try again", query ? "queries" : "requests");
    http_finish(&x->r);
}

static enum MHD_Result run(struct exchange *x)
{
    conn_enter(x->c, CONN_RUN);
    if (!exchange_hold(x->h, &x->h->stopping)) {
        say_stopping(x);
        x->state = X_READY;
        return answer(x);
    }
    if (x->route->flags & ROUTE_POOL) {
        MHD_suspend_connection(x->mhd);
        give(x);
        return MHD_YES;
    }
    deferred = false;
    x->route->run(&x->r);
    if (deferred)
        return MHD_YES;
    atomic_fetch_sub(&x->h->held, 1);
    x->state = X_READY;
    return answer(x);
}

/* ---- bodies ---- */

/* How much of a body is taken, as sent and decoded. */
static void limit_body(struct exchange *x, enum coding coding)
{
    const struct config *c = atomic_load(&x->r.parts->config);
    size_t most = LIMIT_API;
    x->body_max = most;
    bool unknown = (x->route->flags & ROUTE_DSN_INSIDE) && !x->r.local && !x->r.who.key;
    if ((x->route->flags & ROUTE_BEACON) || unknown ||
        x->r.who.role == ROLE_BROWSER) { /* a key anyone can read in a page */
        x->body_max = most = LIMIT_BEACON;
    } else if (x->route->flags & ROUTE_BODY) {
        x->body_max = c ? c->limits.body : LIMIT_BODY;
        most = c ? c->limits.decoded : LIMIT_DECODED;
    }
    if (x->r.body.cap > most)
        buf_done(&x->r.body);
    x->r.body.max = most;
    decode_init(&x->decode, coding);
}

static void too_large(struct exchange *x, const char *got)
{
    reply_error(&x->r, 413, "request body: expected at most %llu bytes, got %s", (unsigned long long)x->body_max, got);
}

static bool take_body(struct exchange *x, str piece)
{
    struct err e = {0};
    x->got += piece.n;
    atomic_store_explicit(&x->c->bytes, x->got, memory_order_relaxed);
    if (x->got > x->body_max) {
        too_large(x, "more");
        return false;
    }
    if (decode_add(&x->decode, piece, &x->r.body, &e) < 0) {
        reply_text(&x->r, e.kind == ERR_FULL ? 413 : 400, e.text, NULL);
        return false;
    }
    if (!exchange_charge(x)) {
        reply_err(&x->r,
                  &(struct err){.kind = ERR_FULL, .text = "too many bytes of requests are under way: try again"});
        return false;
    }
    return true;
}

/* ---- the head of a request ---- */

/* `pattern` against a path that is still encoded: {} is one segment, a * at the end is the rest. */
static bool match(const char *pattern, str path, str arg[4])
{
    size_t n = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            arg[n] = path;
            return true;
        }
        if (*pattern == '{') {
            ptrdiff_t slash = str_chr(path, '/');
            arg[n] = slash < 0 ? path : str_head(path, (size_t)slash);
            if (arg[n].n == 0)
                return false;
            path = str_skip(path, arg[n++].n);
            pattern++; /* the } */
        } else if (path.n && *path.p == *pattern) {
            path = str_skip(path, 1);
        } else {
            return false;
        }
    }
    return path.n == 0;
}

static enum http_method method_read(const char *name)
{
    size_t i = 0;
    while (i < HTTP_METHODS && strcmp(name, method_names[i]) != 0)
        i++;
    return (enum http_method)i;
}

/* Finds x->route; without one *allow lists the methods the path has, in words. */
static void find_route(struct exchange *x, enum http_method wanted, char *allow, size_t allow_n)
{
    str arg[4] = {{0}};
    size_t n = 0;
    allow[0] = '\0';
    for (size_t i = 0; i < routes_n; i++) {
        const struct route *t = &routes[i];
        if (!match(t->pattern, x->raw_path, arg))
            continue;
        if (t->method == wanted) {
            x->route = t;
            for (size_t k = 0; k < 4; k++)
                x->r.arg[k] = decode_percent(&x->r.arena, arg[k], false);
            return;
        }
        n += (size_t)snprintf(allow + n, allow_n - n, "%s%s", n ? ", " : "",
                              t->method == HTTP_GET ? "GET, HEAD" : method_names[t->method]);
        assert(n < allow_n);
    }
}

static bool no_route(struct exchange *x, const char *method, const char *allow)
{
    struct request *r = &x->r;
    if (r->method == HTTP_METHODS) {
        reply_error(r, 501, "the method %.32s is not known here", method);
    } else if (r->method == HTTP_OPTIONS && (allow[0] || str_eq(x->target, S("*")))) {
        char all[160];
        snprintf(all, sizeof all, "%s%sOPTIONS", allow, allow[0] ? ", " : "");
        who_preflight(x, all);
    } else if (allow[0]) {
        reply_header(r, "Allow", "%s, OPTIONS", allow);
        reply_error(r, 405, "%.*s takes %s, not %s", STR_ARG(str_head(r->path, 200)), allow, method);
    } else {
        reply_nothing_here(r);
    }
    return false;
}

/* What can be said about the body before its first byte. */
static bool expect_body(struct exchange *x)
{
    struct request *r = &x->r;
    struct err e = {0};
    enum coding coding;
    uint64_t n;
    str length = http_header(r, "Content-Length"), expect = http_header(r, "Expect");
    if (coding_read(http_header(r, "Content-Encoding"), &coding, &e) < 0) {
        reply_error(r, 415, "%s", e.text);
        return false;
    }
    limit_body(x, coding);
    if (str_u64(length, &n) && n > x->body_max) {
        char got[32];
        snprintf(got, sizeof got, "%llu", (unsigned long long)n);
        too_large(x, got);
        return false;
    }
    if (expect.p && !str_eq_nocase(expect, S("100-continue"))) {
        reply_error(r, 417, "Expect: expected 100-continue, got \"%.*s\"", STR_ARG(str_head(expect, 100)));
        return false;
    }
    if (atomic_load(&x->h->inflight) > LIMIT_INFLIGHT) {
        reply_err(r, &(struct err){.kind = ERR_FULL, .text = "too many bytes of requests are under way: try again"});
        return false;
    }
    if (x->route->right == RIGHT_READ && atomic_load(&x->h->answers) > LIMIT_ANSWERS) {
        reply_err(
            r, &(struct err){.kind = ERR_FULL, .text = "too many bytes of answers wait for their readers: try again"});
        return false;
    }
    return true;
}

/* True: go on to the body and the route. False: the reply is set. */
static bool take_head(struct exchange *x, const char *url, const char *method, const char *version)
{
    struct request *r = &x->r;
    char allow[128];
    str rest = x->target;
    r->method = method_read(method);
    r->local = x->c->local;
    r->tls = x->h->tls && !r->local;
    memcpy(r->peer, x->c->peer, sizeof r->peer);
    x->raw_path = str_cut(&rest, '?');
    x->query = rest;
    if (!guard_request(x, method, url, version))
        return false;
    str length = http_header(r, "Content-Length");
    x->has_body = http_header(r, "Transfer-Encoding").p || (length.n && !str_eq(length, S("0")));
    r->path = decode_percent(&r->arena, x->raw_path, false);
    if (r->method < HTTP_METHODS)
        atomic_fetch_add_explicit(&x->h->count.requests[r->method], 1, memory_order_relaxed);
    find_route(x, r->method == HTTP_HEAD ? HTTP_GET : r->method, allow, sizeof allow);
    if (!x->route)
        return no_route(x, method, allow);
    return who_asks(x) && expect_body(x);
}

/* ---- libmicrohttpd's callbacks, in its epoll threads ---- */

static void *on_target(void *arg, const char *target, struct MHD_Connection *mhd)
{
    struct exchange *x = exchange_get(arg);
    x->mhd = mhd;
    x->c = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    x->target = arena_str(&x->r.arena, str_of(target));
    if (atomic_load(&x->c->phase) == CONN_IDLE)
        conn_enter(x->c, CONN_HEAD);
    return x;
}

static enum MHD_Result first_call(struct exchange *x, const char *url, const char *method, const char *version)
{
    x->state = X_BODY;
    atomic_store(&x->c->bytes, 0);
    conn_enter(x->c, CONN_BODY);
    if (take_head(x, url, method, version))
        return MHD_YES;
    x->refused = true;
    if (!x->has_body && !x->close)
        return MHD_YES; /* answered in the last call, which comes at once and keeps the connection */
    x->close = true;
    x->c->linger = true;
    return answer(x);
}

static enum MHD_Result last_call(struct exchange *x)
{
    struct err e = {0};
    if (x->state == X_READY || x->refused)
        return answer(x);
    if (decode_end(&x->decode, &x->r.body, &e) < 0) {
        reply_text(&x->r, e.kind == ERR_FULL ? 413 : 400, e.text, NULL);
        return answer(x);
    }
    return run(x);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n, void **context)
{
    struct exchange *x = *context;
    (void)arg, (void)mhd;
    if (x->state == X_NEW)
        return first_call(x, url, method, version);
    if (*n == 0)
        return last_call(x);
    bool fine = take_body(x, str_n(data, *n));
    *n = 0;
    return fine ? MHD_YES : cut(x);
}

/* Gives the reply back. The library has its own copy of the session that was handed out, and may have let go of the reply
 * already: where a connection is cut, it does so before it tells. */
static void end_reply(struct exchange *x)
{
    if (!x->reply)
        return;
    const char *cookie = MHD_get_response_header(x->reply, "Set-Cookie");
    if (cookie)
        explicit_bzero((void *)(uintptr_t)cookie, strlen(cookie));
    MHD_destroy_response(x->reply);
    x->reply = NULL;
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *context;
    (void)arg, (void)mhd, (void)why;
    if (!x)
        return;
    conn_enter(x->c, CONN_IDLE);
    end_reply(x);
    exchange_put(x);
    *context = NULL;
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *h = arg;
    struct conn *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (c)
            reaper_remove(h->reaper, c);
        free(c);
        return;
    }
    c = xcalloc(1, sizeof *c);
    *context = c;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const struct sockaddr *peer = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    c->local = peer->sa_family == AF_UNIX;
    peer_print(peer, c->peer);
    conn_enter(c, CONN_HEAD);
    reaper_add(h->reaper, c);
}

/* ---- start and stop ---- */

/* Each connection is a descriptor: asks for as many as we may have, and says how many connections that allows. What is
 * left is for segments, SQLite and the journal. */
static unsigned connections_max(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return 256;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &l);
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur < 1024)
        return 256;
    return l.rlim_cur - 512 < LIMIT_CONNECTIONS ? (unsigned)l.rlim_cur - 512 : LIMIT_CONNECTIONS;
}

static const char tls_priorities[] = "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static struct MHD_Daemon *start_daemon(struct http *h, int fd, bool tls, unsigned threads)
{
    struct MHD_OptionItem more[4] = {{MHD_OPTION_END, 0, NULL}};
    size_t n = 0;
    if (threads > 1)
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, threads, NULL};
    if (tls) {
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_callback};
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities};
    }
    more[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    return MHD_start_daemon(flags | (tls ? MHD_USE_TLS : 0u), 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET,
                            fd, MHD_OPTION_CONNECTION_LIMIT, h->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                            (unsigned)LIMIT_CONNECTIONS_PER_IP, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)CONNECTION_MEMORY, MHD_OPTION_URI_LOG_CALLBACK, on_target, h,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                            h, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
}

static int take_port(struct http *h, const char *listen, char **ret_url, struct err *e)
{
    const struct config *c = atomic_load(&h->parts->config);
    char *address;
    h->tls = c && c->tls_cert;
    if (h->tls && http_reload_tls(h, c->tls_cert, c->tls_key, e) < 0)
        return -1;
    if (bind_tcp(listen, &h->tcp_fd, &address, e) < 0)
        return -1;
    if (asprintf(ret_url, "http%s://%s", h->tls ? "s" : "", address) < 0)
        abort();
    free(address);
    return 0;
}

static int start_daemons(struct http *h, struct err *e)
{
    if (h->local_fd >= 0)
        h->local = start_daemon(h, h->local_fd, false, 1);
    if (h->tcp_fd >= 0)
        h->tcp = start_daemon(h, h->tcp_fd, h->tls, EPOLL_THREADS);
    if ((h->local_fd >= 0 && !h->local) || (h->tcp_fd >= 0 && !h->tcp))
        return err_sys(e, "start the HTTP server");
    return 0;
}

int http_open(struct parts *parts, const char *listen, struct http **ret, char **ret_url, struct err *e)
{
    struct http *h = xcalloc(1, sizeof *h);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *h = (struct http){.parts = parts, .tcp_fd = -1, .local_fd = -1};
    pthread_mutex_init(&h->lock, NULL);
    h->connections_max = connections_max();
    h->reaper = reaper_start();
    h->watch = watch_start();
    h->queries = pool_new(cores > 0 ? (unsigned)cores : 1, QUERIES_WAITING_MAX, run_in_pool);
    h->workers = pool_new(WORKERS, WAITING_MAX, run_in_pool);
    *ret_url = NULL;
    if (listen && take_port(h, listen, ret_url, e) < 0) {
        http_stop(h);
        return -1;
    }
    *ret = h;
    return 0;
}

/* Sockets first: nothing is served before all of them are there. */
int http_start(struct http *h, const char *socket_path, struct err *e)
{
    if (listen_unix(socket_path, &h->local_fd, e) < 0)
        return -1;
    h->socket_path = xstrdup(socket_path);
    if (h->tcp_fd >= 0 && listen(h->tcp_fd, BACKLOG) < 0)
        return err_sys(e, "listen");
    return start_daemons(h, e);
}

int http_reload_tls(struct http *h, const char *cert, const char *key, struct err *e)
{
    struct tls *t;
    (void)h;
    if (tls_new(cert, key, &t, e) < 0)
        return -1;
    tls_use(t);
    return 0;
}

/* Held exchanges get as long as they need, since whoever holds one will touch it, and the library aborts the process when
 * it is stopped with a connection suspended; the others get five seconds. */
static void wait_for_exchanges(struct http *h)
{
    for (int ms = 0; atomic_load(&h->held) > 0 || (atomic_load(&h->active) > 0 && ms < 5000); ms += 5) {
        if (ms == 10000)
            log_warn("http", "what=\"stopping: requests are still waited for\" n=%zu", atomic_load(&h->held));
        usleep(5000);
    }
    atomic_store(&h->closing, true);
    while (atomic_load(&h->held) > 0)
        usleep(5000);
}

/* It closes its socket. Not quiesced before: MHD_quiesce_daemon of libmicrohttpd 0.9.75 races with the daemon's own
 * thread for the socket's place in the epoll set, and who comes second aborts the process. Whoever comes meanwhile is
 * told that the server stops. */
static void stop_daemon(struct MHD_Daemon *d, int fd)
{
    if (d)
        MHD_stop_daemon(d);
    else if (fd >= 0)
        close(fd);
}

void http_stop(struct http *h)
{
    if (!h)
        return;
    atomic_store(&h->stopping, true);
    if (h->watch)
        watch_give_up(h->watch);
    wait_for_exchanges(h);
    stop_daemon(h->tcp, h->tcp_fd);
    stop_daemon(h->local, h->local_fd);
    pool_free(h->queries);
    pool_free(h->workers);
    watch_stop(h->watch);
    reaper_stop(h->reaper);
    if (h->socket_path)
        (void)unlink(h->socket_path);
    free(h->socket_path);
    exchange_free_spares(h);
    if (h->tls)
        tls_use(NULL);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void http_get_stats(struct http *h, struct http_stats *ret)
{
    *ret = (struct http_stats){.refused_guard = atomic_load(&h->count.guard),
                               .over_quota = atomic_load(&h->count.over_quota),
                               .busy = atomic_load(&h->count.busy),
                               .gone = atomic_load(&h->count.gone),
                               .waiting = pool_waiting(h->queries),
                               .inflight_bytes = atomic_load(&h->inflight),
                               .answer_bytes = atomic_load(&h->answers)};
    for (size_t i = 0; i < HTTP_METHODS; i++)
        ret->requests[i] = atomic_load(&h->count.requests[i]);
    for (size_t i = 0; i < 6; i++)
        ret->status[i] = atomic_load(&h->count.status[i]);
    reaper_count(h->reaper, &ret->connections, &ret->reaped);
}
