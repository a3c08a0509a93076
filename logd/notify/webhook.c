#include "notify/webhook.h"
#include "base/clock.h"
#include "base/http-client.h"
#include "base/str.h"

#include <curl/curl.h>

#define TIMEOUT (10 * USEC_PER_SEC)
#define ANSWER_MAX (64u << 10)
enum { SLACK_MAX = 3000, NTFY_MAX = 3500 }; /* bytes of text: they take 40,000 characters and 4,096 bytes */

struct hook {
    char *name, *url, *authorization;
    enum config_hook kind;
    bool private_too;
};
struct webhooks {
    struct http_client *client;
    struct hook *all;
    size_t n;
    bool (*go_on)(void *arg);
    void *arg;
};

/* ---- what is said ---- */

/* At most `max` bytes, whole characters. */
static str text_head(str s, size_t max)
{
    if (s.n <= max)
        return s;
    while (max && ((unsigned char)s.p[max] & 0xc0) == 0x80)
        max--;
    return str_head(s, max);
}

static void json_body(const struct hook_mail *m, struct buf *out)
{
    char at[TIME_TEXT_MAX];
    time_print(m->created * NSEC_PER_USEC, 6, at);
    buf_printf(out, "{\"rank\":\"P%d\",\"signals\":%lld,\"time\":\"%s\"", m->rank, (long long)m->signals, at);
    const struct {
        const char *name;
        str text;
    } all[] = {{"message_id", m->message_id},
               {"incident", m->incident},
               {"kind", m->kind},
               {"rule", m->rule},
               {"key", m->key},
               {"app", m->app},
               {"env", m->env},
               {"host", m->host},
               {"event", m->event},
               {"subject", m->subject},
               {"text", m->text},
               {"link", m->link}};
    for (size_t i = 0; i < LENGTH(all); i++)
        buf_member(out, all[i].name, all[i].text);
    buf_byte(out, '}');
}

/* Slack reads <, > and & as markup: what a log says mentions nobody and links nowhere. */
static void slack_text(struct buf *out, str s)
{
    for (size_t i = 0; i < s.n; i++)
        switch (s.p[i]) {
        case '&': buf_lit(out, "&amp;"); break;
        case '<': buf_lit(out, "&lt;"); break;
        case '>': buf_lit(out, "&gt;"); break;
        case '`': buf_byte(out, '\''); break; /* would end the block */
        default: buf_byte(out, s.p[i]);
        }
}

static void slack_body(const struct hook_mail *m, struct buf *out)
{
    struct buf text = BUF_INIT(40000);
    buf_lit(&text, "*");
    slack_text(&text, m->subject);
    buf_lit(&text, "*\n```");
    slack_text(&text, text_head(m->text, SLACK_MAX));
    buf_lit(&text, "```");
    if (m->link.n)
        buf_printf(&text, "\n<%.*s|Acknowledge, snooze or resolve>", STR_ARG(m->link));
    buf_lit(out, "{\"text\":");
    buf_json(out, buf_view(&text));
    buf_byte(out, '}');
    buf_done(&text);
}

/* Splits "https://ntfy.sh/topic" into the server's root, with its slash, and the topic. */
static str ntfy_root(str url, str *ret_topic)
{
    size_t root = 0, slashes = 0;
    for (size_t i = 0; i < url.n && url.p[i] != '?'; i++)
        if (url.p[i] == '/' && ++slashes > 2)
            root = i + 1;
    str topic = str_skip(url, root);
    *ret_topic = str_cut(&topic, '?');
    return str_head(url, root);
}

static void ntfy_body(str url, const struct hook_mail *m, struct buf *out)
{
    static const int priority[] = {3, 5, 4, 3, 2, 1};
    str topic;
    (void)ntfy_root(url, &topic);
    buf_lit(out, "{\"topic\":");
    buf_json(out, topic);
    buf_printf(out, ",\"priority\":%d", priority[m->rank >= 1 && m->rank <= 5 ? m->rank : 0]);
    buf_member(out, "title", text_head(m->subject, 250));
    buf_member(out, "message", text_head(m->text, NTFY_MAX));
    if (m->link.n)
        buf_member(out, "click", m->link);
    buf_byte(out, '}');
}

void hook_body(enum config_hook kind, str url, const struct hook_mail *m, struct buf *out)
{
    switch (kind) {
    case HOOK_JSON: json_body(m, out); break;
    case HOOK_SLACK: slack_body(m, out); break;
    case HOOK_NTFY: ntfy_body(url, m, out); break;
    }
}

/* ---- where it goes ---- */

/* The host as libcurl reads it, who is also the one that connects: two readers of a URL may not differ. */
static bool is_named(const struct config *c, const char *url)
{
    CURLU *u = curl_url();
    char *host = NULL;
    bool found = false;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        str h = str_of(host);
        if (str_starts(h, S("[")))
            h = str_n(h.p + 1, h.n - 2);
        for (size_t i = 0; i < c->private_hosts_n; i++)
            found |= str_eq_nocase(h, str_of(c->private_hosts[i]));
    }
    curl_free(host);
    curl_url_cleanup(u);
    return found;
}

struct webhooks *webhooks_new(const struct config *c, bool (*go_on)(void *arg), void *arg)
{
    struct webhooks *w = xcalloc(1, sizeof *w);
    w->go_on = go_on;
    w->arg = arg;
    w->client = http_client_new();
    w->all = xcalloc(c->webhooks_n + 1, sizeof *w->all);
    for (; w->n < c->webhooks_n; w->n++) {
        const struct config_webhook *from = &c->webhooks[w->n];
        struct buf bearer = BUF_INIT(70000);
        if (from->token)
            buf_printf(&bearer, "Authorization: Bearer %s", from->token);
        w->all[w->n] = (struct hook){xstrdup(from->name), xstrdup(from->url),
                                     from->token ? buf_take(&bearer, NULL) : NULL, from->kind, is_named(c, from->url)};
    }
    return w;
}

void webhooks_free(struct webhooks *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++) {
        free(w->all[i].name);
        free(w->all[i].url);
        free(w->all[i].authorization);
    }
    free(w->all);
    http_client_free(w->client);
    free(w);
}

static enum send_result judge(int rc, const struct http_answer *a, const struct err *e, char response[256])
{
    if (a->status >= 200 && a->status < 300) { /* taken, even if what it said then was too long */
        snprintf(response, 256, "answered %ld", a->status);
        return SEND_OK;
    }
    if (rc < 0 && a->status == 0) {
        snprintf(response, 256, "%.250s", e->text);
        return SEND_LATER;
    }
    bool moved = a->status >= 300 && a->status < 400;
    bool later = a->status >= 500 || a->status == 408 || a->status == 425 || a->status == 429;
    snprintf(response, 256, "answered %ld%s", a->status, moved ? ", redirects are not followed" : "");
    return later ? SEND_LATER : SEND_NEVER;
}

static enum send_result post(struct webhooks *w, const struct hook *h, const struct hook_mail *m, char response[256])
{
    const char *headers[] = {"Content-Type: application/json", h->authorization};
    struct http_answer answer = {0};
    struct buf body = BUF_INIT(1u << 20);
    str topic, root = h->kind == HOOK_NTFY ? ntfy_root(str_of(h->url), &topic) : str_of(h->url);
    char *url = str_dup(root);
    struct err e;
    hook_body(h->kind, str_of(h->url), m, &body);
    struct http_call call = {.method = "POST",
                             .url = url,
                             .headers = headers,
                             .headers_n = h->authorization ? 2 : 1,
                             .body = buf_view(&body),
                             .timeout = TIMEOUT,
                             .max = ANSWER_MAX,
                             .ca = getenv("SSL_CERT_FILE"),
                             .arg = w->arg,
                             .tick = w->go_on,
                             .hook = true,
                             .private_too = h->private_too};
    int rc = http_do(w->client, &call, &answer, &e);
    enum send_result result = judge(rc, &answer, &e, response);
    http_answer_done(&answer);
    buf_done(&body);
    free(url);
    return result;
}

enum send_result webhook_send(struct webhooks *w, str name, const struct hook_mail *m, char response[256])
{
    for (size_t i = 0; i < w->n; i++)
        if (str_eq(str_of(w->all[i].name), name))
            return post(w, &w->all[i], m, response);
    snprintf(response, 256, "the config has no webhook of that name any more");
    return SEND_NEVER;
}
