/* notify/mail.c - composing a mail: RFC 5322, 2045-2047 (MIME), 3834 (Auto-Submitted). Pure. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "notify/notify.h"

#include <time.h>

enum { ADDRESS_MAX = 254, LINE_MAX_QP = 76 };

int mail_address_check(str address, struct err *e)
{
    size_t at = 0, ats = 0;
    for (size_t i = 0; i < address.n; i++) {
        unsigned char c = (unsigned char)address.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("<>()[],;:\\\"", c))
            return err_set(e, ERR_INPUT, "address \"%.*s\": expected plain name@host, got character 0x%02x at %zu",
                           STR_ARG(str_head(address, 60)), c, i + 1);
        if (c == '@') {
            at = i;
            ats++;
        }
    }
    if (address.n > ADDRESS_MAX || ats != 1 || at == 0 || at + 1 == address.n)
        return err_set(e, ERR_INPUT, "address \"%.*s\": expected name@host of at most %d characters",
                       STR_ARG(str_head(address, 60)), ADDRESS_MAX);
    return 0;
}

/* Text for a header: RFC 2047 encoded words when it is not plain ASCII, folded before 76 columns. */
static void header_text(struct buf *out, const char *name, str s)
{
    bool ascii = true;
    for (size_t i = 0; i < s.n; i++)
        ascii &= (unsigned char)s.p[i] >= 0x20 && (unsigned char)s.p[i] < 0x7f;
    buf_printf(out, "%s: ", name);
    if (ascii && s.n <= 900) {
        size_t column = strlen(name) + 2;
        while (s.n) {
            str word = str_head(s, 1);
            while (word.n < s.n && s.p[word.n] != ' ')
                word.n++;
            if (column + word.n > LINE_MAX_QP && column > strlen(name) + 2 && word.p[0] == ' ' && word.n > 1) {
                buf_lit(out, "\r\n");
                column = 0;
            }
            buf_str(out, word);
            column += word.n;
            s = str_skip(s, word.n);
        }
    } else {
        for (size_t n; s.n; s = str_skip(s, n)) { /* 42 bytes make 56 characters of base64 */
            for (n = 0; n < s.n && n < 42;) {
                size_t len = utf8_len(s.p + n, s.n - n);
                if (n + (len ? len : 1) > 42)
                    break;
                n += len ? len : 1;
            }
            buf_lit(out, "=?UTF-8?B?");
            buf_base64(out, str_head(s, n));
            buf_str(out, n < s.n ? S("?=\r\n ") : S("?="));
        }
    }
    buf_lit(out, "\r\n");
}

/* RFC 2045 6.7. Line ends become CRLF; "." and "From " at a line's start are encoded, so no transport changes them. */
static void quoted_printable(struct buf *out, str s)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t column = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\n') {
            buf_lit(out, "\r\n");
            column = 0;
            continue;
        }
        bool at_end = i + 1 == s.n || s.p[i + 1] == '\n';
        bool plain = c >= 0x20 && c < 0x7f && c != '=' && !((c == ' ') && at_end) &&
                     !(column == 0 && (c == '.' || c == 'F'));
        size_t need = plain ? 1 : 3;
        if (column + need >= LINE_MAX_QP) {
            buf_lit(out, "=\r\n");
            column = 0;
            plain &= c != '.' && c != 'F';
            need = plain ? 1 : 3;
        }
        if (plain)
            buf_byte(out, (char)c);
        else
            buf_add(out, (char[]){'=', hex[c >> 4], hex[c & 15]}, 3);
        column += need;
    }
    buf_lit(out, "\r\n");
}

static void part(struct buf *out, const char *boundary, const char *type, str body)
{
    buf_printf(out, "--%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
               boundary, type);
    quoted_printable(out, body);
}

/* RFC 2919, 2369, and 8058: one click asks for fewer mails. */
static void list_headers(const struct mail *m, struct buf *out)
{
    ptrdiff_t at = str_chr(m->message_id, '@');
    if (at >= 0)
        buf_printf(out, "List-ID: logd alerts <alerts.%.*s>\r\n", STR_ARG(str_skip(m->message_id, (size_t)at + 1)));
    if (m->fewer.n)
        buf_printf(out, "List-Unsubscribe:\r\n <%.*s>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
                   STR_ARG(m->fewer));
    if (m->bulk)
        buf_lit(out, "Precedence: bulk\r\n");
}

void mail_compose(const struct mail *m, str from, struct buf *out)
{
    char date[64], boundary[40];
    struct tm tm;
    time_t t = (time_t)(m->date / USEC_PER_SEC);
    gmtime_r(&t, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
    snprintf(boundary, sizeof boundary, "=_%016llx", (unsigned long long)xxh64(m->message_id.p, m->message_id.n, 0));
    buf_printf(out, "From: %.*s\r\nTo: %.*s\r\n", STR_ARG(from), STR_ARG(m->to));
    header_text(out, "Subject", m->subject);
    buf_printf(out, "Date: %s\r\nMessage-ID: <%.*s>\r\n", date, STR_ARG(m->message_id));
    if (m->thread_id.n)
        buf_printf(out, "References: <%.*s>\r\nIn-Reply-To: <%.*s>\r\n", STR_ARG(m->thread_id), STR_ARG(m->thread_id));
    buf_lit(out, "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n");
    list_headers(m, out);
    if (m->rank)
        buf_printf(out, "X-Logd-Severity: P%d\r\n", m->rank);
    if (m->rule.n)
        header_text(out, "X-Logd-Rule", m->rule);
    if (m->incident.n)
        header_text(out, "X-Logd-Incident", m->incident);
    if (m->rank == 1)
        buf_lit(out, "Importance: high\r\n");
    buf_printf(out, "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n", boundary);
    part(out, boundary, "text/plain", m->text);
    if (m->html.n)
        part(out, boundary, "text/html", m->html);
    buf_printf(out, "--%s--\r\n", boundary);
}
