#include "notify/transport.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "notify/notify.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SENDMAIL_TIME (60 * USEC_PER_SEC)

extern char **environ;

struct transport {
    char *url, *from, *user, *password;
    CURL *curl; /* SMTP only; keeps its connection */
    bool loopback;
    char said[256];               /* the server's last line; a refusal stays: what it says of QUIT is no answer */
    char detail[CURL_ERROR_SIZE]; /* what went wrong with it, in curl's words */
};

bool transport_is_loopback(const char *url)
{
    char host[256] = "";
    struct in_addr a;
    const char *at = strstr(url, "://");
    at = at ? at + 3 : url;
    size_t n = at[0] == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":/");
    if (n >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)n, at);
    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &a) == 1 && ntohl(a.s_addr) >> 24 == 127; /* not 127.example.com */
}

struct transport *transport_new(const struct config *c)
{
    struct transport *t = xcalloc(1, sizeof *t);
    t->url = xstrdup(c->mail.url);
    t->from = xstrdup(c->mail.from ? c->mail.from : "logd@localhost");
    t->user = c->mail.user ? xstrdup(c->mail.user) : NULL;
    t->password = c->mail.password ? xstrdup(c->mail.password) : NULL;
    t->loopback = transport_is_loopback(t->url);
    return t;
}

void transport_free(struct transport *t)
{
    if (!t)
        return;
    if (t->curl)
        curl_easy_cleanup(t->curl);
    free(t->url);
    free(t->from);
    free(t->user);
    free(t->password);
    free(t);
}

const char *transport_from(const struct transport *t) { return t->from; }

static void say(char response[256], str s)
{
    s = str_head(str_trim(s), 255);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        response[n++] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? ' ' : s.p[i];
    response[n] = '\0';
}

/* ---- SMTP ---- */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct transport *t = arg;
    if (t->said[0] != '4' && t->said[0] != '5')
        say(t->said, str_n(p, size * n));
    return size * n;
}

static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
    str *left = arg;
    size_t take = left->n < size * n ? left->n : size * n;
    memcpy(p, left->p, take);
    *left = str_skip(*left, take);
    return take;
}

/* "smtp://host:587" gets "/NAME" so that EHLO says who we are: the host of our own From address. */
static char *smtp_url(const struct transport *t)
{
    struct buf b = BUF_INIT(1000);
    str url = str_of(t->url), from = str_of(t->from);
    buf_str(&b, url);
    ptrdiff_t scheme = str_find(url, S("://"));
    if (scheme >= 0 && str_chr(str_skip(url, (size_t)scheme + 3), '/') < 0) {
        ptrdiff_t at = str_chr(from, '@');
        buf_byte(&b, '/');
        buf_url(&b, at < 0 ? S("localhost") : str_skip(from, (size_t)at + 1), false);
    }
    return buf_take(&b, NULL);
}

static void smtp_options(struct transport *t)
{
    CURL *c = t->curl;
    char *url = smtp_url(t);
    const char *ca = getenv("SSL_CERT_FILE");
    curl_easy_setopt(c, CURLOPT_URL, url);
    free(url);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT, 30L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 120L);
    curl_easy_setopt(c, CURLOPT_MAXAGE_CONN,
                     20L); /* servers close idle ones with 421, which the next mail would meet */
    curl_easy_setopt(c, CURLOPT_USE_SSL, t->loopback ? (long)CURLUSESSL_TRY : (long)CURLUSESSL_ALL);
    if (ca)
        curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    if (t->loopback && !ca) {
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (t->user)
        curl_easy_setopt(c, CURLOPT_USERNAME, t->user);
    if (t->password)
        curl_easy_setopt(c, CURLOPT_PASSWORD, t->password);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
}

/* What counts is the server's last code: 4xx again, 5xx never; 354 or none means the answer was lost. */
static enum send_result judge(struct transport *t, CURLcode rc, char response[256])
{
    long code = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (rc == CURLE_OK) {
        say(response, str_of(t->said[0] ? t->said : "250 OK"));
        return SEND_OK;
    }
    struct buf b = BUF_INIT(600);
    buf_printf(&b, "%s%s%s", code >= 400 ? t->said : "", code >= 400 ? ": " : "",
               t->detail[0] ? t->detail : curl_easy_strerror(rc));
    say(response, buf_view(&b));
    buf_done(&b);
    if ((rc == CURLE_LOGIN_DENIED && code >= 500) || code == 530 || code == 534 || code == 535 || code == 538)
        return SEND_DENIED;
    return code >= 500 && code < 600 ? SEND_NEVER : SEND_LATER;
}

static enum send_result smtp_send(struct transport *t, const char *to, str mail, char response[256])
{
    CURLcode rc = CURLE_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        char from[300], rcpt[300];
        str left = mail;
        if (!t->curl)
            t->curl = curl_easy_init();
        assert(t->curl);
        curl_easy_reset(t->curl);
        smtp_options(t);
        snprintf(from, sizeof from, "<%s>", t->from);
        snprintf(rcpt, sizeof rcpt, "<%s>", to);
        struct curl_slist *list = curl_slist_append(NULL, rcpt);
        curl_easy_setopt(t->curl, CURLOPT_MAIL_FROM, from);
        curl_easy_setopt(t->curl, CURLOPT_MAIL_RCPT, list);
        curl_easy_setopt(t->curl, CURLOPT_READDATA, &left);
        curl_easy_setopt(t->curl, CURLOPT_FRESH_CONNECT, attempt ? 1L : 0L);
        curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, t->detail);
        t->said[0] = t->detail[0] = '\0';
        rc = curl_easy_perform(t->curl);
        curl_slist_free_all(list);
        long code = 0;
        curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
        /* A kept connection that the server had closed fails before any mail is under way. */
        if (!((rc == CURLE_SEND_ERROR || rc == CURLE_RECV_ERROR) && code != 354 && code < 400 && left.n == mail.n))
            break;
    }
    return judge(t, rc, response);
}

/* ---- sendmail: ---- */
static enum send_result sendmail_send(struct transport *t, const char *to, str mail, char response[256])
{
    const char *program = t->url + strlen("sendmail:");
    char *argv[] = {(char *)program, "-i", "-f", t->from, "--", (char *)to, NULL};
    int fd = memfd_create("mail", MFD_CLOEXEC);
    pid_t pid;
    if (fd < 0 || write_all(fd, mail) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        say(response, S("cannot hold the mail in memory"));
        if (fd >= 0)
            close(fd);
        return SEND_LATER;
    }
    int rc = child_start(program, argv, environ, fd, -1, &pid);
    close(fd);
    if (rc) {
        snprintf(response, 256, "cannot run '%.100s': %s", program, strerror(rc));
        return SEND_LATER;
    }
    int code = child_wait(pid, SENDMAIL_TIME);
    if (code == 0)
        say(response, S("accepted"));
    else if (code < 0)
        snprintf(response, 256, "'%.100s' did not end within a minute", program);
    else
        snprintf(response, 256, "'%.100s' exited with %d", program, code);
    return code == 0 ? SEND_OK : SEND_LATER;
}

/* ---- maildir: ---- */
static enum send_result maildir_send(struct transport *t, const char *to, str mail, char response[256])
{
    static _Atomic unsigned counter;
    const char *dir = t->url + strlen("maildir:");
    struct buf path = BUF_INIT(PATH_MAX);
    struct err e;
    int rc = 0;
    (void)to;
    static const char *const parts[] = {"tmp", "cur", "new"};
    for (size_t i = 0; rc == 0 && i < LENGTH(parts); i++) {
        buf_reset(&path);
        buf_printf(&path, "%s/%s%c", dir, parts[i], '\0');
        rc = dir_make(path.p, &e);
    }
    int fd = rc < 0 ? -1 : dir_open(path.p, &e); /* new/: file_replace writes a .tmp there, which readers skip */
    if (fd >= 0) {
        char name[128];
        snprintf(name, sizeof name, "%lld.%d_%u.logd", (long long)clock_now(), (int)getpid(), counter++);
        rc = file_replace(fd, name, mail, 0640, &e);
        close(fd);
        say(response, str_of(rc < 0 ? e.text : name));
    } else {
        rc = -1;
        say(response, str_of(e.text));
    }
    buf_done(&path);
    return rc < 0 ? SEND_LATER : SEND_OK;
}

enum send_result transport_send(struct transport *t, const char *to, str mail, char response[256])
{
    struct err e;
    if (mail_address_check(str_of(to), &e) < 0 || mail_address_check(str_of(t->from), &e) < 0) {
        say(response, str_of(e.text));
        return SEND_NEVER;
    }
    if (str_starts(str_of(t->url), S("maildir:")))
        return maildir_send(t, to, mail, response);
    if (str_starts(str_of(t->url), S("sendmail:")))
        return sendmail_send(t, to, mail, response);
    return smtp_send(t, to, mail, response);
}
