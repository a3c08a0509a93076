/* base/http-client.h - one HTTP request by libcurl, waited for: S3, ClickHouse, webhooks, our own command line.
 *
 * Owner   one thread per client; the connection is kept between requests. No redirects, a total time-out, a cap on the
 *         answer's size. S3: AWS Signature V4 by libcurl 7.88, which does not add x-amz-content-sha256 itself and signs
 *         the query as given, so this adds the one and wants the other sorted and encoded. */
#ifndef BASE_HTTP_CLIENT_H
#define BASE_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

struct http_client;
struct http_client *http_client_new(void);
void http_client_free(struct http_client *c);

struct http_call {
    const char *method; /* "GET" */
    const char *url;
    const char *unix_socket;    /* path, or NULL for TCP */
    const char *proxy;          /* URL; NULL: what the environment says */
    const char *const *headers; /* "Name: value" */
    size_t headers_n;
    str body;
    usec timeout; /* 0: 60 s; <0: none */
    size_t max;   /* bytes of the answer, 0: 64 MiB, or none with a sink */
    struct {
        const char *region, *access_key, *secret_key;
    } s3; /* region NULL: unsigned */
    const char *ca, *cert,
        *cert_key; /* files: the authority that is believed, our own certificate; NULL: the system's, none */
    /* When set, the body of a 2xx answer goes there in pieces; -1 stops the transfer. All else goes into ret->body. */
    int (*sink)(str piece, void *arg);
    void *arg;
    /* A webhook: no proxy, and errors tell the host alone, for its path may be the secret. An address that is not public is
     * refused when it is to be connected to, whatever name led there; but not with `private_too`. */
    bool hook, private_too;
    /* Called while waiting, at least once a second; false ends the transfer. NULL: none. */
    bool (*tick)(void *arg);
};
struct http_answer {
    long status;
    size_t sent; /* bytes of the body that went out: 0 means that the server cannot have taken it; set on failure too */
    char retry_after[64];
    struct buf body;
    char etag[128];
    char type[128];
    char cursor[128]; /* X-Logd-Next */
    bool partial;     /* X-Logd-Partial */
};
/* 0 whenever a whole answer came, whatever its status. ERR_REMOTE when none did; its text never shows user, password or
 * query of the URL. ret starts as {0} or holds an earlier answer, which is freed first; http_answer_done frees. */
int http_do(struct http_client *c, const struct http_call *call, struct http_answer *ret, struct err *e) MUST_CHECK;
void http_answer_done(struct http_answer *a);

#endif
