/* routes/exchange.h - what http.c, guard.c, who.c, listen.c and reaper.c know of each other; nobody else includes it.
 *
 *   conn      one socket, from accept to close. The epoll thread that serves it moves it from phase to phase, the reaper
 *             reads phase, time and bytes (atomics) and shuts down who is late:
 *
 *               HEAD ──first handler call──▶ BODY ──whole──▶ RUN ──reply queued──▶ ANSWER ──sent──▶ IDLE ──▶ HEAD …
 *
 *             STREAM stands for ANSWER when the answer is made while it is sent, and may take for ever.
 *             From IDLE the reaper itself moves it to HEAD when the kernel says that bytes came.
 *   exchange  one request and its reply: from the request line to the last byte sent. Reused from a free list with its
 *             arena and buffers, so a request costs no malloc of ours. */
#ifndef ROUTES_EXCHANGE_H
#define ROUTES_EXCHANGE_H

#include "base/clock.h"
#include "routes/decode.h"
#include "routes/http.h"
#include "routes/pool.h"

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

enum conn_phase { CONN_HEAD, CONN_BODY, CONN_RUN, CONN_ANSWER, CONN_STREAM, CONN_IDLE };
struct conn {
    struct conn *next, *prev; /* under reaper's lock */
    int fd;
    bool local;  /* DATA/sock */
    bool linger; /* closed by us with bytes unread: see reaper.c */
    _Atomic int phase;
    _Atomic usec since;     /* clock_mono() when the phase began */
    _Atomic uint64_t bytes; /* of the body so far, in BODY */
    bool cut;               /* reaper's: shut down already */
    uint64_t mark;          /* reaper's: bytes received or acknowledged when it first saw this phase */
    usec marked;            /* reaper's: `since` of the phase that mark belongs to */
    char peer[64];
};
static inline void conn_enter(struct conn *c, enum conn_phase phase)
{
    atomic_store_explicit(&c->since, clock_mono(), memory_order_relaxed);
    atomic_store_explicit(&c->phase, phase, memory_order_release);
}

/* Deadlines. LOGD_TEST_HURRY=N in the environment divides the times by N, for tests. */
struct deadlines {
    usec head;     /* 10 s: from accept or a request's first byte to the end of its header */
    usec grace;    /* 10 s: a body or an answer may be as slow as it likes */
    uint64_t rate; /* 1 KiB/s: least average of a body or an answer after that */
    usec body;     /* 120 s: at most, however large */
    usec answer;   /* 600 s: at most */
    usec stuck;    /* 60 s: a stream of which nothing that was sent arrives */
    usec idle;     /* 75 s: keep-alive without a byte */
    usec linger;   /* 5 s: reading on after a refusal, so that the sender gets to see it */
};
struct reaper;
struct reaper *reaper_start(void);
void reaper_stop(struct reaper *r); /* joins; NULL is fine */
void reaper_add(struct reaper *r, struct conn *c);
/* The socket is about to be closed by its owner; lingers with a duplicate when c->linger says so. c is free to go. */
void reaper_remove(struct reaper *r, struct conn *c);
void reaper_count(struct reaper *r, size_t *ret_connections, uint64_t *ret_reaped);

/* watch.c: tells whose client is gone while a query runs. */
struct watch;
struct watch *watch_start(void);
void watch_stop(struct watch *w); /* joins; NULL is fine */
/* *gone becomes true, from the watch's thread, when the peer of fd closes. */
void watch_add(struct watch *w, int fd, _Atomic bool *gone);
void watch_remove(struct watch *w, int fd); /* after it *gone is not touched any more */
void watch_give_up(struct watch *w);        /* the server stops: as if all had gone */

struct tls;
int tls_new(const char *cert, const char *key, struct tls **ret, struct err *e) MUST_CHECK;
/* In force for new connections of this process; the old one is kept for handshakes under way. NULL: frees all. */
void tls_use(struct tls *t);
extern gnutls_certificate_retrieve_function2 *const tls_callback; /* for MHD_OPTION_HTTPS_CERT_CALLBACK */

struct sockaddr;
/* A listening socket; *ret_address is "ADDR:PORT" as bound, malloc'ed. */
/* The port is ours, but whoever connects is refused until somebody listens. */
int bind_tcp(const char *address, int *ret_fd, char **ret_address, struct err *e) MUST_CHECK;
int listen_unix(const char *path, int *ret_fd, struct err *e) MUST_CHECK; /* mode 0600; replaces a stale one */
void peer_print(const struct sockaddr *address, char out[64]);

struct http {
    struct parts *parts;
    struct MHD_Daemon *tcp, *local;
    int tcp_fd, local_fd;
    char *socket_path;
    bool tls;
    struct reaper *reaper;
    struct watch *watch;
    struct pool *queries, *workers; /* so that sign-in and the command line never wait for searches */
    _Atomic bool stopping, closing; /* no request begins any more; no connection is suspended any more */
    unsigned connections_max;
    _Atomic size_t inflight; /* bytes of bodies and decoders of all exchanges */
    _Atomic size_t answers;  /* bytes of large answers that are being sent */
    _Atomic size_t active;   /* exchanges between request line and last byte */
    _Atomic size_t held;     /* of them, those that run, wait for http_finish, or for more of a stream */
    struct {
        _Atomic uint64_t requests[HTTP_METHODS], status[6], guard, over_quota, busy, gone;
    } count;
    pthread_mutex_t lock; /* of the free list */
    struct exchange *spare;
    size_t spare_n, spare_bytes;
};

enum exchange_state { X_NEW, X_BODY, X_READY };
struct exchange {
    struct request r; /* r.http points back here */
    struct http *h;
    struct conn *c;
    struct MHD_Connection *mhd;
    struct MHD_Response *reply; /* ours too, until the connection tells that it is done */
    const struct route *route;  /* NULL: the reply is an error */
    str target;                 /* as sent, in the arena */
    str raw_path, query;        /* parts of target, still encoded */
    bool has_body;
    bool close;            /* end the connection after the reply */
    bool refused;          /* a reply is ready before the route ran */
    struct stream *stream; /* in place of r.out */
    bool watched;
    _Atomic bool gone; /* the client, while it is watched */
    enum exchange_state state;
    uint64_t got; /* bytes of the body as sent */
    uint64_t body_max;
    struct decode decode;
    size_t charged;        /* bytes of this one in h->inflight */
    size_t charged_answer; /* and in h->answers */
    struct exchange *next; /* in the free list */
};

/* stream.c: sends what is written to it, and then lets go of it. */
struct stream;
struct MHD_Response *stream_response(struct stream *s);

/* Counts one more held exchange, unless `ended` is set: then false. Counted before the look and waited for after the store, so
 * that none slips in between. */
static inline bool exchange_hold(struct http *h, _Atomic bool *ended)
{
    atomic_fetch_add(&h->held, 1);
    if (!atomic_load(ended))
        return true;
    atomic_fetch_sub(&h->held, 1);
    return false;
}

/* exchange.c. From the free list, with empty buffers; put back when its last byte is sent. */
struct exchange *exchange_get(struct http *h);
void exchange_put(struct exchange *x);
void exchange_free_spares(struct http *h);
/* Accounts for what its body and decoder hold now; false: all requests together hold too much. */
bool exchange_charge(struct exchange *x);
void exchange_charge_answer(struct exchange *x); /* once it is whole */
void exchange_end_body(struct exchange *x);      /* nobody reads it any more */

/* reply.c: `s` without its %XX, and with blanks for + if `plus`; into `a` when something changed. */
str decode_percent(struct arena *a, str s, bool plus);
/* An error with an exact text; e (may be NULL) gives pointer and column. */
void reply_text(struct request *r, unsigned status, const char *text, const struct err *e);
/* guard.c: false when the request must be refused; the reply is set, and close. */
bool guard_request(struct exchange *x, const char *method, const char *url, const char *version);
/* who.c: who asks and may he? Fills r->who, r->peer, CORS headers; false: refused, the reply is set. */
bool who_asks(struct exchange *x);
/* Answers OPTIONS: a browser's preflight, or what is allowed. */
void who_preflight(struct exchange *x, const char *allow);

#endif
