#include "unit.h"
#include "base/hash.h"
#include "base/http-client.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server that keeps what it is sent and answers with canned bytes, one connection per answer. */
struct server {
    int fd, port;
    const char *const *answers;
    size_t answers_n;
    pthread_t thread;
    char got[4][8192];
};

static size_t wanted(const char *got)
{
    const char *end = strstr(got, "\r\n\r\n"), *length = strstr(got, "Content-Length: ");
    if (!end)
        return SIZE_MAX;
    return (size_t)(end + 4 - got) + (length && length < end ? (size_t)atoi(length + 16) : 0);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    for (size_t i = 0; i < s->answers_n; i++) {
        int c = accept(s->fd, NULL, NULL);
        size_t n = 0;
        for (ssize_t more = 1; more > 0 && n < wanted(s->got[i]); n += (size_t)more)
            if ((more = read(c, s->got[i] + n, sizeof s->got[i] - 1 - n)) <= 0)
                break;
        const char *a = s->answers[i];
        if (write(c, a, strlen(a)) < 0)
            perror("write");
        close(c);
    }
    return NULL;
}

static void server_start(struct server *s, const char *const *answers, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    *s = (struct server){.fd = socket(AF_INET, SOCK_STREAM, 0), .answers = answers, .answers_n = n};
    CHECK(bind(s->fd, (struct sockaddr *)&a, len) == 0 && listen(s->fd, 4) == 0);
    CHECK(getsockname(s->fd, (struct sockaddr *)&a, &len) == 0);
    s->port = ntohs(a.sin_port);
    pthread_create(&s->thread, NULL, serve, s);
}

static void server_stop(struct server *s)
{
    pthread_join(s->thread, NULL);
    close(s->fd);
}

static char url[256];
static const char *url_of(const struct server *s, const char *path)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", s->port, path);
    return url;
}

TEST(an_answer_comes_back_with_status_type_etag_and_cursor)
{
    static const char *const answers[] = {"HTTP/1.1 404 Not Found\r\nContent-Type: text/x\r\nETag: \"abc\"\r\n"
                                          "X-Logd-Next: c1\r\nContent-Length: 3\r\n\r\nno!"};
    struct server s;
    server_start(&s, answers, 1);
    struct http_client *c = http_client_new();
    struct http_answer a = {0};
    struct err e;
    const char *const headers[] = {"X-Test: 1"};
    CHECK_INT(http_do(c,
                      &(struct http_call){.method = "POST",
                                          .url = url_of(&s, "/x?b=1&a=2"),
                                          .headers = headers,
                                          .headers_n = 1,
                                          .body = S("hello")},
                      &a, &e),
              0);
    server_stop(&s);
    CHECK_INT(a.status, 404);
    CHECK_STR(buf_view(&a.body), S("no!"));
    CHECK_STR(str_of(a.type), S("text/x"));
    CHECK_STR(str_of(a.etag), S("\"abc\""));
    CHECK_STR(str_of(a.cursor), S("c1"));
    CHECK(str_starts(str_of(s.got[0]), S("POST /x?b=1&a=2 HTTP/1.1\r\n")));
    CHECK(str_ends(str_of(s.got[0]), S("\r\n\r\nhello")));
    CHECK(strstr(s.got[0], "X-Test: 1\r\n") && strstr(s.got[0], "Content-Length: 5\r\n"));
    CHECK(!strstr(s.got[0], "Content-Type"));
    http_answer_done(&a);
    http_client_free(c);
}

TEST(no_answer_says_why_and_hides_password_and_query)
{
    struct http_client *c = http_client_new();
    struct http_answer a = {0};
    struct err e;
    CHECK_INT(
        http_do(c, &(struct http_call){.method = "GET", .url = "http://u:hunter2@127.0.0.1:1/p?key=lk_secret"}, &a, &e),
        -1);
    CHECK_INT(e.kind, ERR_REMOTE);
    CHECK(str_starts(str_of(e.text), S("GET http://127.0.0.1:1/p: ")));
    CHECK(!strstr(e.text, "hunter2") && !strstr(e.text, "lk_secret"));
    http_answer_done(&a);
    http_client_free(c);
}

TEST(an_answer_over_the_cap_or_cut_short_is_an_error)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345"};
    struct server s;
    server_start(&s, answers, 2);
    struct http_client *c = http_client_new();
    struct http_answer a = {0};
    struct err e;
    CHECK_INT(http_do(c, &(struct http_call){.method = "GET", .url = url_of(&s, "/"), .max = 10}, &a, &e), -1);
    CHECK(strstr(e.text, "the answer is larger than 10 bytes"));
    CHECK_INT(http_do(c, &(struct http_call){.method = "GET", .url = url_of(&s, "/")}, &a, &e), -1);
    CHECK_INT(e.kind, ERR_REMOTE);
    server_stop(&s);
    http_answer_done(&a);
    http_client_free(c);
}

static int collect(str piece, void *arg)
{
    buf_str(arg, piece);
    return 0;
}

TEST(a_sink_gets_good_bodies_and_never_errors)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndata",
                                          "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nerror"};
    struct server s;
    server_start(&s, answers, 2);
    struct http_client *c = http_client_new();
    struct http_answer a = {0};
    struct buf b = BUF_INIT(100);
    struct err e;
    for (int i = 0; i < 2; i++)
        CHECK_INT(http_do(c, &(struct http_call){.method = "GET", .url = url_of(&s, "/"), .sink = collect, .arg = &b},
                          &a, &e),
                  0);
    server_stop(&s);
    CHECK_STR(buf_view(&b), S("data"));
    CHECK_STR(buf_view(&a.body), S("error"));
    buf_done(&b);
    http_answer_done(&a);
    http_client_free(c);
}

static void hmac_text(const uint8_t key[32], size_t key_n, const char *text, uint8_t ret[32])
{
    hmac_sha256(str_n((const char *)key, key_n), str_of(text), ret);
}

static void hex_of(str s, char out[65])
{
    uint8_t digest[32];
    sha256(s, digest);
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* AWS Signature Version 4 from its description, to compare libcurl's with. */
static void signature(const char *canonical, const char *secret, char out[65])
{
    char hash[65], to_sign[512], start[64];
    uint8_t k[32];
    hex_of(str_of(canonical), hash);
    snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n20260102T030405Z\n20260102/eu-west-1/s3/aws4_request\n%s",
             hash);
    snprintf(start, sizeof start, "AWS4%s", secret);
    hmac_text((uint8_t *)start, strlen(start), "20260102", k);
    hmac_text(k, 32, "eu-west-1", k);
    hmac_text(k, 32, "s3", k);
    hmac_text(k, 32, "aws4_request", k);
    hmac_text(k, 32, to_sign, k);
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", k[i]);
}

TEST(s3_requests_are_signed_with_the_hash_of_their_body)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    struct server s;
    server_start(&s, answers, 1);
    struct http_client *c = http_client_new();
    struct http_answer a = {0};
    struct err e;
    const char *const headers[] = {"X-Amz-Date: 20260102T030405Z"};
    struct http_call call = {.method = "PUT",
                             .url = url_of(&s, "/logs/a%20b?partNumber=1&uploadId=x"),
                             .headers = headers,
                             .headers_n = 1,
                             .body = S("events"),
                             .s3 = {"eu-west-1", "A:KIA", "sec:ret"}};
    CHECK_INT(http_do(c, &call, &a, &e), 0);
    server_stop(&s);
    char canonical[1024], body[65], want[65], line[100];
    hex_of(S("events"), body);
    snprintf(canonical, sizeof canonical,
             "PUT\n/logs/a%%20b\npartNumber=1&uploadId=x\nhost:127.0.0.1:%d\nx-amz-content-sha256:%s\n"
             "x-amz-date:20260102T030405Z\n\nhost;x-amz-content-sha256;x-amz-date\n%s",
             s.port, body, body);
    signature(canonical, "sec:ret", want);
    snprintf(line, sizeof line, "Signature=%s", want);
    CHECK(strstr(s.got[0], line));
    CHECK(strstr(s.got[0], "Credential=A:KIA/20260102/eu-west-1/s3/aws4_request"));
    if (!strstr(s.got[0], line))
        printf("%s\n", s.got[0]);
    http_answer_done(&a);
    http_client_free(c);
}

UNIT_MAIN
