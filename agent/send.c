#include "agent/send.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/http-client.h"
#include "base/log.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <jansson.h>

#define PAUSE_LEAST (USEC_PER_SEC / 2)
#define PAUSE_MOST (30 * USEC_PER_SEC)
#define PAUSE_ASKED_MOST (600 * USEC_PER_SEC) /* of a Retry-After */
#define PAUSE_HUMAN (60 * USEC_PER_SEC)       /* somebody must change something first: a key, a URL */
#define UNSURE (60 * USEC_PER_SEC)            /* how long a server that may have the batch is asked for it */
#define REPORT_TIMEOUT (5 * USEC_PER_SEC)
#define ANSWER_MAX (1u << 20)

struct sender {
    const struct agent_config *config;
    struct http_client *http;
    char **urls;
    size_t n, at;  /* the server that is used */
    size_t failed; /* servers that failed since the last pause */
    char *authorization;
    usec due, pause;
    usec failing_since;
    char trouble[400]; /* what the last server said that did not take it */
    usec unsure_since; /* a request went out and nothing came back; 0: not so */
};

static bool is_http(str url) { return str_starts(url, S("http://")) || str_starts(url, S("https://")); }

struct sender *sender_new(const struct agent_config *c, struct err *e)
{
    size_t n = c->servers_n;
    for (size_t i = 0; i < n; i++)
        if (!is_http(str_of(c->servers[i]))) {
            (void)err_set(e, ERR_INPUT, "--server: expected http://HOST:PORT or https://HOST, got \"%s\"",
                          c->servers[i]);
            return NULL;
        }
    struct sender *s = xcalloc(1, sizeof *s);
    s->config = c;
    s->http = http_client_new();
    s->pause = PAUSE_LEAST;
    s->n = n;
    s->urls = xcalloc(n, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        struct buf b = BUF_INIT(4096);
        str url = str_of(c->servers[i]);
        while (str_ends(url, S("/")))
            url.n--;
        buf_str(&b, url);
        buf_lit(&b, "/v1/events");
        s->urls[i] = buf_take(&b, NULL);
    }
    struct buf b = BUF_INIT(4096);
    buf_printf(&b, "Authorization: Bearer %s", c->key);
    s->authorization = buf_take(&b, NULL);
    return s;
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        free(s->urls[i]);
    free(s->urls);
    free(s->authorization);
    http_client_free(s->http);
    free(s);
}

const char *sender_server(const struct sender *s) { return s->config->servers[s->at]; }
usec sender_due(const struct sender *s) { return s->due; }

/* Between half and all of it, so that agents which lost their server together do not come back together. */
static usec jittered(usec pause)
{
    uint64_t r;
    random_bytes(&r, sizeof r);
    return pause / 2 + (usec)(r % (uint64_t)(pause / 2 + 1));
}

static void wait_for(struct sender *s, usec pause)
{
    s->due = clock_mono() + pause;
    s->failed = 0;
}

static enum sent backed_off(struct sender *s)
{
    wait_for(s, jittered(s->pause));
    s->pause = s->pause * 2 < PAUSE_MOST ? s->pause * 2 : PAUSE_MOST;
    return SENT_LATER;
}

/* This server surely does not have it. */
static enum sent next_server(struct sender *s)
{
    s->unsure_since = 0;
    s->at = (s->at + 1) % s->n;
    return ++s->failed < s->n ? SENT_LATER : backed_off(s);
}

static enum sent no_answer(struct sender *s, bool went_out, const struct err *e)
{
    usec now = clock_mono();
    log_warn("send", "what=\"no answer: %s\"", e->text);
    snprintf(s->trouble, sizeof s->trouble, "%s", e->text);
    if (went_out && s->unsure_since == 0)
        s->unsure_since = now;
    if (s->unsure_since && now - s->unsure_since < UNSURE)
        return backed_off(s);
    return next_server(s);
}

/* `"error"` of an answer, or its start. */
static void said(const struct http_answer *a, char *out, size_t size)
{
    json_t *j = json_loadb(a->body.p ? a->body.p : "", a->body.n, 0, NULL);
    const char *error = json_string_value(json_object_get(j, "error"));
    snprintf(out, size, "%.*s", STR_ARG(str_head(error ? str_of(error) : buf_view(&a->body), size - 1)));
    json_decref(j);
}

static void read_refused(json_t *reply, struct refused *ret)
{
    size_t i;
    json_t *error;
    ret->n = (uint64_t)json_integer_value(json_object_get(reply, "rejected"));
    json_array_foreach(json_object_get(reply, "errors"), i, error)
    {
        if (i == 0)
            log_warn("send", "what=\"events were refused: %s\" pointer=\"%s\" events=%" PRIu64,
                     json_string_value(json_object_get(error, "error")),
                     json_string_value(json_object_get(error, "pointer")), ret->n);
        if (ret->at_n < LENGTH(ret->at))
            ret->at[ret->at_n++] = (uint32_t)json_integer_value(json_object_get(error, "index"));
    }
}

/* A 200 that is not a logd's (a proxy's page, say) is none. */
static bool is_taken(const struct http_answer *a, struct refused *ret)
{
    json_t *reply = json_loadb(a->body.p ? a->body.p : "", a->body.n, 0, NULL);
    bool taken = json_is_integer(json_object_get(reply, "accepted"));
    if (taken)
        read_refused(reply, ret);
    ret->known = json_is_true(json_object_get(reply, "duplicate"));
    json_decref(reply);
    return taken;
}

/* Retry-After: seconds, or a date. */
static usec asked_for(const struct http_answer *a)
{
    uint64_t seconds;
    str text = str_trim(str_of(a->retry_after));
    time_t date;
    if (!str_u64(text, &seconds)) {
        date = text.n ? curl_getdate(a->retry_after, NULL) : -1;
        time_t now = (time_t)(clock_now() / USEC_PER_SEC);
        seconds = date > now ? (uint64_t)(date - now) : 0;
    }
    if (seconds == 0)
        return 0;
    usec pause = seconds < PAUSE_ASKED_MOST / USEC_PER_SEC ? (usec)seconds * USEC_PER_SEC : PAUSE_ASKED_MOST;
    return pause + jittered(USEC_PER_SEC / 2);
}

static enum sent busy(struct sender *s, const struct http_answer *a, const char *text)
{
    usec pause = asked_for(a);
    log_warn("send", "what=\"the server takes nothing now: %s\" status=%ld", text, a->status);
    if (next_server(s) == SENT_LATER && s->failed > 0)
        return SENT_LATER; /* another one is tried at once */
    if (pause)
        wait_for(s, pause);
    return SENT_LATER;
}

static enum sent judge(struct sender *s, const struct http_answer *a, struct refused *ret)
{
    char text[300];
    if (a->status == 200 && is_taken(a, ret))
        return SENT_TAKEN;
    said(a, text, sizeof text);
    snprintf(s->trouble, sizeof s->trouble, "status %ld: %s", a->status, text);
    if (a->status == 408 || a->status == 429 || (a->status >= 500 && a->status <= 599))
        return busy(s, a, text);
    if (a->status == 413)
        return SENT_LARGE;
    if (a->status == 415)
        return SENT_ENCODING;
    if (a->status == 409)
        return SENT_CONFLICT;
    if (a->status == 400 || a->status == 422) {
        log_error("send", "what=\"a batch was refused and is dropped: %s\" status=%ld", text, a->status);
        return SENT_REFUSED;
    }
    log_error("send", "what=\"the server does not take batches: %s\" status=%ld server=\"%s\"", text, a->status,
              s->urls[s->at]);
    if (next_server(s) == SENT_LATER && s->failed > 0)
        return SENT_LATER;
    wait_for(s, jittered(PAUSE_HUMAN));
    return SENT_LATER;
}

/* Takes note of whether a server spoke to us as it should. */
static void note(struct sender *s, bool well)
{
    if (well)
        s->failing_since = 0;
    else if (s->failing_since == 0)
        s->failing_since = clock_mono();
}

usec sender_failing(const struct sender *s, const char **ret_why)
{
    *ret_why = s->trouble;
    return s->failing_since;
}

static int post(struct sender *s, struct http_call *call, struct http_answer *a, struct err *e)
{
    call->method = "POST";
    call->max = ANSWER_MAX;
    call->proxy = s->config->proxy;
    call->ca = s->config->ca;
    call->cert = s->config->tls_cert;
    call->cert_key = s->config->tls_key;
    return http_do(s->http, call, a, e);
}

enum sent sender_send(struct sender *s, const struct pending *p, bool (*tick)(void *), void *arg, struct refused *ret)
{
    char key[80];
    snprintf(key, sizeof key, "Idempotency-Key: %s-%" PRIu64, p->agent, p->seq);
    const char *headers[] = {s->authorization, key, p->gzip ? "Content-Encoding: gzip" : "Content-Encoding: zstd",
                             "Content-Type: application/x-ndjson", "Expect:"};
    struct http_call call = {.url = s->urls[s->at],
                             .headers = headers,
                             .headers_n = LENGTH(headers),
                             .body = buf_view(&p->body),
                             .tick = tick,
                             .arg = arg};
    struct http_answer a = {0};
    struct err e;
    *ret = (struct refused){0};
    int rc = post(s, &call, &a, &e);
    enum sent sent = rc < 0 ? no_answer(s, a.sent > 0, &e) : judge(s, &a, ret);
    if (rc == 0)
        s->unsure_since = 0; /* whatever it said, it spoke of this batch */
    if (sent != SENT_LATER)
        s->due = 0, s->pause = PAUSE_LEAST, s->failed = 0;
    note(s, sent != SENT_LATER);
    http_answer_done(&a);
    return sent;
}

/* A logd that does not know agents yet is none the worse for it. */
void sender_report(struct sender *s, str ledger, bool (*tick)(void *), void *arg)
{
    const char *headers[] = {s->authorization, "Content-Type: application/json", "Expect:"};
    struct buf url = BUF_INIT(4096);
    buf_str(&url, str_head(str_of(s->urls[s->at]), strlen(s->urls[s->at]) - strlen("events")));
    buf_add(&url, "agents", sizeof "agents");
    struct http_call call = {.url = url.p,
                             .headers = headers,
                             .headers_n = LENGTH(headers),
                             .body = ledger,
                             .timeout = REPORT_TIMEOUT,
                             .tick = tick,
                             .arg = arg};
    struct http_answer a = {0};
    struct err e;
    bool heard = post(s, &call, &a, &e) == 0;
    note(s, heard && (a.status == 200 || a.status == 404));
    if (!heard)
        snprintf(s->trouble, sizeof s->trouble, "%s", e.text);
    else if (a.status != 200)
        said(&a, s->trouble, sizeof s->trouble);
    if (s->failing_since)
        s->at = (s->at + 1) % s->n; /* no batch is under way that it may have taken */
    http_answer_done(&a);
    buf_done(&url);
}
