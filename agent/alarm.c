#include "agent/alarm.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <time.h>

#define SMTP_TIMEOUT 20L /* s */
#define AGAIN (60 * USEC_PER_SEC)
#define MAIL_MAX (64u << 10)
enum { ADDRESS_MAX = 300 };

bool alarm_due(const struct alarm *a, const struct agent_config *c, usec since, usec mono)
{
    bool changed = a->told ? since == 0 : since && mono - since >= c->alarm.after;
    return c->alarm.to_n && changed && (a->tried == 0 || mono - a->tried >= AGAIN);
}

/* ---- the mail ---- */

/* Also a line of the text: neither can break out of its line. */
static void put_header(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "%s: ", name);
    for (const char *c = value; *c; c++)
        buf_byte(b, (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c);
    buf_lit(b, "\r\n");
}

static void put_date(struct buf *b)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)(clock_now() / USEC_PER_SEC);
    struct tm t;
    gmtime_r(&now, &t);
    buf_printf(b, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
               t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void put_head(struct buf *b, const struct agent_config *c, const char *from, const char *subject)
{
    uint64_t id;
    random_bytes(&id, sizeof id);
    put_date(b);
    put_header(b, "From", from);
    for (size_t i = 0; i < c->alarm.to_n; i++)
        buf_printf(b, "%s%s", i ? ", " : "To: ", c->alarm.to[i]);
    buf_lit(b, "\r\n");
    put_header(b, "Subject", subject);
    buf_printf(b, "Message-ID: <%016" PRIx64 ".%s>\r\n", id, from);
    buf_lit(b, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
               "Auto-Submitted: auto-generated\r\n\r\n");
}

static void write_mail(const struct alarm *a, const struct agent_config *c, const struct outage *o, const char *from,
                       struct buf *b)
{
    char since[TIME_TEXT_MAX], subject[400];
    time_print(a->since * NSEC_PER_USEC, 0, since);
    snprintf(subject, sizeof subject, o->since ? "No logd takes the logs of %s" : "The logs of %s are taken again",
             o->host);
    put_head(b, c, from, subject);
    buf_printf(b, "%s since %s.\r\n\r\n", o->since ? "Nothing was taken" : "It is over; nothing was taken", since);
    for (size_t i = 0; i < c->servers_n; i++)
        put_header(b, "server", c->servers[i]);
    if (o->since)
        put_header(b, "the last answer", o->why);
    buf_printf(b, "bytes that wait: %" PRIu64 "\r\n", o->lag);
    if (o->since)
        buf_lit(
            b,
            "\r\nThe lines wait in their files and are sent when it can be reached. Until then no rule sees them.\r\n");
}

/* ---- sending ---- */

struct transfer {
    str unsent;
    bool (*tick)(void *);
    void *arg;
};

static size_t read_mail(char *to, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    str piece = str_head(t->unsent, size * count);
    if (piece.n)
        memcpy(to, piece.p, piece.n);
    t->unsent = str_skip(t->unsent, piece.n);
    return piece.n;
}

static int on_progress(void *arg, curl_off_t down, curl_off_t down_now, curl_off_t up, curl_off_t up_now)
{
    struct transfer *t = arg;
    (void)down, (void)down_now, (void)up, (void)up_now;
    return !t->tick(t->arg);
}

static bool is_loopback(const char *url)
{
    str rest = str_of(url);
    ptrdiff_t scheme = str_find(rest, S("://"));
    rest = str_skip(rest, scheme < 0 ? 0 : (size_t)scheme + 3);
    str host = str_cut(&rest, '/');
    ptrdiff_t at = str_chr(host, '@');
    host = str_skip(host, (size_t)(at + 1));
    return str_starts(host, S("127.")) || str_starts(host, S("localhost")) || str_starts(host, S("[::1]"));
}

static CURLcode send_mail(const struct agent_config *c, const char *from, struct transfer *t, char *detail)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *to = NULL;
    if (!curl)
        abort(); /* out of memory is the only reason */
    for (size_t i = 0; i < c->alarm.to_n; i++)
        to = curl_slist_append(to, c->alarm.to[i]);
    curl_easy_setopt(curl, CURLOPT_URL, c->alarm.smtp);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)(is_loopback(c->alarm.smtp) ? CURLUSESSL_TRY : CURLUSESSL_ALL));
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_mail);
    curl_easy_setopt(curl, CURLOPT_READDATA, t);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, SMTP_TIMEOUT);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    if (c->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(to);
    curl_easy_cleanup(curl);
    return code;
}

void alarm_mail(struct alarm *a, const struct agent_config *c, const struct outage *o, bool (*tick)(void *), void *arg)
{
    struct buf b = BUF_INIT(MAIL_MAX);
    char from[ADDRESS_MAX], detail[CURL_ERROR_SIZE] = "";
    if (o->since)
        a->since = clock_now() - (clock_mono() - o->since);
    snprintf(from, sizeof from, "logd-agent@%s", o->host);
    const char *sender = c->alarm.from ? c->alarm.from : from;
    write_mail(a, c, o, sender, &b);
    struct transfer t = {buf_view(&b), tick, arg};
    CURLcode code = send_mail(c, sender, &t, detail);
    a->tried = code == CURLE_OK ? 0 : clock_mono();
    if (code == CURLE_OK) {
        a->told = o->since != 0;
        log_info("alarm", "what=\"a mail was sent\" about=\"%s\"", a->told ? "no server" : "it is over");
    } else {
        log_error("alarm", "what=\"a mail was not taken: %s\"", detail[0] ? detail : curl_easy_strerror(code));
    }
    buf_done(&b);
}
