/* routes/http.h - HTTP on libmicrohttpd: guard, reaper, bodies, replies. Knows no resource; routes.c lists them.
 *
 * Two daemons share the code: TCP (TLS when configured) and the Unix socket DATA/sock, whose peer is the data folder's
 * owner and counts as an administrator (`local`). libmicrohttpd runs its own epoll threads; a handler there must not
 * block: routes marked ROUTE_POOL run in the worker pool with their connection suspended, and a handler may call
 * http_defer and answer later from any thread (the journal's, for a POST).
 *
 * Guard   libmicrohttpd 0.9.75 lets smuggling through, so each request is checked first: exactly one Host, at most one
 *         Content-Length, not beside Transfer-Encoding, which is exactly "chunked"; no control characters, no %00; a
 *         violation is 400 and the connection is closed.
 * Reaper  a request has an absolute deadline from its first byte and a least body rate; whoever is slower is cut off.
 * Memory  bodies are decoded as a stream under the route's cap; all requests together stay below LIMIT_INFLIGHT (503),
 *         answers that wait for slow readers below LIMIT_ANSWERS (503 for RIGHT_READ).
 * Owner   a request belongs to one thread at a time: its epoll thread, a worker, or whoever it was deferred to. */
#ifndef ROUTES_HTTP_H
#define ROUTES_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/config.h"
#include "base/err.h"
#include "routes/auth.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_METHODS };

struct request {
    struct parts *parts;
    enum http_method method;
    str path;        /* percent-decoded once */
    str arg[4];      /* what the {} of the route's pattern matched */
    struct buf body; /* whole and decoded */
    struct principal who;
    bool local; /* came through DATA/sock */
    bool tls;
    char peer[64]; /* address of the sender; X-Forwarded-For's when a listed proxy sent it */
    usec started;  /* clock_mono() */
    struct arena arena;
    unsigned status;  /* the reply: 200 unless set */
    const char *type; /* content type, "application/json" unless set */
    struct buf out;
    struct {
        const char *name;
        char *value; /* in the arena */
    } headers[16];
    size_t headers_n;
    str fixed;  /* when set, bytes that live for ever: sent instead of `out` */
    void *http; /* http.c's own */
};

/* Before anything is made: is it ADDRESS:PORT? */
int http_address_check(const char *address, struct err *e) MUST_CHECK;
str http_header(struct request *r, const char *name); /* absent: p NULL; do not trust for identity past a NUL */
str http_param(struct request *r, const char *name);  /* of the query string, decoded; absent: p NULL */
/* The index-th parameter whose name starts with prefix: what follows it, and the value. False: no more. */
bool http_param_prefix(struct request *r, const char *prefix, size_t index, str *ret_rest, str *ret_value);
str http_cookie(struct request *r, str name); /* absent: p NULL */
void reply_header(struct request *r, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* {"error":"…"} with status. */
void reply_error(struct request *r, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* 404 for a path that is not known; a small page where a browser asks. */
void reply_nothing_here(struct request *r);
/* The same from an err: INPUT 400 (with pointer, column), GONE 404, DENIED 403, FULL 503 + Retry-After, REMOTE 502, others 500. */
void reply_err(struct request *r, const struct err *e);
/* In a ROUTE_POOL handler: becomes true when the client has closed its connection; good until the handler returns. */
const _Atomic bool *http_gone(struct request *r);
/* Is the key that the body names good for the route's right? Fills r->who; false: refused, the reply is set. */
bool who_dsn(struct request *r, str key, enum right right);
void http_defer(struct request *r);  /* the handler returns without an answer */
void http_finish(struct request *r); /* answers a deferred request; any thread, once */

enum route_flags {
    ROUTE_PUBLIC = 1, /* no key asked for; the handler sees who it is */
    ROUTE_POOL = 2,   /* may block: SQLite, a query, scrypt; RIGHT_READ has threads of its own */
    ROUTE_BODY = 4,   /* takes a body of up to the config's limits; others LIMIT_API */
    ROUTE_DSN = 16,   /* the key is a Sentry DSN's */
    ROUTE_DSN_INSIDE =
        32, /* which may stand in the body: without one the handler asks who_dsn; body up to LIMIT_BEACON then */
    ROUTE_BEACON = 8,  /* body up to LIMIT_BEACON, ?key= allowed, CORS for the key's origins */
    ROUTE_SIGNED = 64, /* the path is the right: nobody asks who it is, nor from which page */
};
struct route {
    enum http_method method;
    const char *pattern; /* "/v1/events/{}/context" */
    enum right right;    /* asked of r->who before the body is read */
    unsigned flags;
    void (*run)(struct request *r);
};
extern const struct route routes[];
extern const size_t routes_n;

struct http;
/* Takes the port, on which nobody is answered yet. listen NULL: none. *ret_url: "http://127.0.0.1:5080", malloc'ed, with the
 * port that was really bound; NULL without one. */
int http_open(struct parts *parts, const char *listen, struct http **ret, char **ret_url, struct err *e) MUST_CHECK;
/* From here on requests come; parts->http is set by then, since handlers ask it. http_stop it also when this fails. */
int http_start(struct http *h, const char *socket_path, struct err *e) MUST_CHECK;
int http_reload_tls(struct http *h, const char *cert, const char *key, struct err *e) MUST_CHECK;
/* Stops accepting, answers what is deferred, joins its threads. Call it while the journal still runs, if it was started. */
void http_stop(struct http *h);
struct http_stats {
    uint64_t requests[HTTP_METHODS], status[6]; /* by first digit */
    uint64_t refused_guard, reaped, over_quota, busy;
    uint64_t gone;  /* clients that did not wait for their query */
    size_t waiting; /* queries that wait for a thread */
    size_t connections, inflight_bytes, answer_bytes;
};
void http_get_stats(struct http *h, struct http_stats *ret);

#endif
