#include "unit.h"
#include "base/arena.h"
#include "base/str.h"
#include "notify/body.h"
#include "notify/bounce.h"
#include "notify/links.h"
#include "notify/notify.h"
#include "notify/transport.h"

static struct arena a;

TEST(addresses_fit_for_a_header_are_told_from_the_rest)
{
    struct err e;
    static const char *const good[] = {"a@b.c", "ops+logd@example.com", "o'neill@example.org"};
    static const char *const bad[] = {
        "",     "a",     "@b",    "a@",           "a@b@c", "a b@c", "a@b\r\nRCPT TO:<x@y>",
        "a>@b", "<a@b>", "a@b\n", "\xc3\xa9@b.c", "a,b@c"};
    for (size_t i = 0; i < LENGTH(good); i++)
        CHECK(mail_address_check(str_of(good[i]), &e) == 0);
    for (size_t i = 0; i < LENGTH(bad); i++)
        CHECK(mail_address_check(str_of(bad[i]), &e) < 0 && e.text[0]);
}

static str compose(struct mail m, struct buf *out)
{
    buf_reset(out);
    mail_compose(&m, S("logd@example.com"), out);
    return buf_view(out);
}

TEST(no_byte_of_a_log_becomes_a_header_or_ends_a_mail)
{
    struct buf out = BUF_INIT(1 << 20), subject = BUF_INIT(4096);
    body_subject(&(struct mail_subject){2, S("shop\r\nBcc: x@y"), S("pro\nd"),
                                        S("boom\r\nX-Evil: 1\x1b[31m\xe2\x80\xae"), S("r")},
                 false, &subject);
    CHECK(str_chr(buf_view(&subject), '\n') < 0 && str_chr(buf_view(&subject), '\r') < 0 &&
          str_chr(buf_view(&subject), '\x1b') < 0);
    str m = compose((struct mail){.to = S("a@b.c"),
                                  .subject = buf_view(&subject),
                                  .text = S("x\n.\nMAIL FROM:<e@f>\r\n.\nFrom here"),
                                  .html = S("<p>"),
                                  .message_id = S("1@h"),
                                  .thread_id = S("t@h"),
                                  .rule = S("r"),
                                  .incident = S("i"),
                                  .rank = 2},
                    &out);
    CHECK(str_find(m, S("\r\n.\r\n")) < 0);
    CHECK(str_find(m, S("\r\nBcc:")) < 0 && str_find(m, S("\r\nX-Evil")) < 0);
    CHECK(str_find(m, S("\r\nFrom here")) < 0);
    for (size_t i = 0, column = 0; i < m.n; i++) {
        if (m.p[i] == '\n')
            CHECK(i > 0 && m.p[i - 1] == '\r');
        else
            CHECK(m.p[i] != '\r' || m.p[i + 1] == '\n');
        column = m.p[i] == '\n' ? 0 : column + 1;
        CHECK(column < 998 && (unsigned char)m.p[i] < 0x7f);
    }
    buf_done(&out);
    buf_done(&subject);
}

TEST(a_subject_that_is_not_ascii_is_encoded_in_words_of_75)
{
    struct buf out = BUF_INIT(1 << 20);
    str m = compose((struct mail){.to = S("a@b.c"),
                                  .subject = S("Grüße aus Köln: 写真をアップロードできません、もう一度お試しください"),
                                  .text = S("t"),
                                  .message_id = S("1@h")},
                    &out);
    ptrdiff_t at = str_find(m, S("Subject: =?UTF-8?B?"));
    CHECK(at > 0);
    str rest = str_skip(m, (size_t)at);
    for (bool more = true; more;) {
        str line = str_cut(&rest, '\n');
        CHECK(line.n <= 78);
        more = rest.n && rest.p[0] == ' ';
    }
    buf_done(&out);
}

TEST(a_mail_body_escapes_html_and_links_only_to_us)
{
    struct buf out = BUF_INIT(1 << 20);
    struct event ev;
    struct err e;
    CHECK(
        event_read(
            S("{\"id\":\"000000000000001\",\"time\":\"2026-01-01T00:00:00Z\",\"app\":\"shop\",\"level\":\"error\",\"severity_number\":17,"
              "\"message\":\"<script>alert(1)</script>\",\"error.stack\":\"E\\n    at f (http://evil.example/x.js:1:2)\"}"),
            &ev, &a, &e) == 0);
    struct mail_body b = {.rank = 3,
                          .rule = S("new-error"),
                          .why = S("<b>why</b>"),
                          .key = S("k"),
                          .title = S("<i>t</i>"),
                          .app = S("shop"),
                          .issue = S("abc"),
                          .incident = S("def"),
                          .url = S("https://logs.example.com"),
                          .opened = 1,
                          .held = 499,
                          .count = 500,
                          .event = &ev};
    body_html(&b, &a, &out);
    str html = buf_view(&out);
    CHECK(str_find(html, S("<script>")) < 0 && str_find(html, S("&lt;script&gt;")) > 0 &&
          str_find(html, S("<i>")) < 0 && str_find(html, S("<b>why")) < 0);
    CHECK(str_find(html, S("href=\"https://logs.example.com/issues/abc\"")) > 0);
    CHECK(str_find(html, S("href=\"http://evil")) < 0);
    buf_reset(&out);
    body_text(&b, &a, &out);
    CHECK(str_find(buf_view(&out), S("499 more")) > 0);
    CHECK(str_find(buf_view(&out), S("at f (http://evil.example/x.js:1:2)")) > 0);
    buf_done(&out);
    arena_done(&a);
}

TEST(only_this_machine_is_loopback)
{
    static const char *const here[] = {"smtp://127.0.0.1:25", "smtp://localhost", "smtp://localhost:25/name",
                                       "smtps://[::1]:465", "smtp://127.1.2.3/x"};
    static const char *const elsewhere[] = {"smtp://localhost.example.com:25",
                                            "smtp://127.example.com",
                                            "smtp://10.0.0.1",
                                            "smtp://[::2]",
                                            "smtp://localhosted",
                                            "smtp://"};
    for (size_t i = 0; i < LENGTH(here); i++)
        CHECK(transport_is_loopback(here[i]));
    for (size_t i = 0; i < LENGTH(elsewhere); i++)
        CHECK(!transport_is_loopback(elsewhere[i]));
}

TEST(a_link_is_good_whole_in_time_and_for_its_purpose_only)
{
    static const uint8_t key[32] = {1, 2, 3}, other[32] = {1, 2, 4};
    struct buf link = BUF_INIT(300);
    struct err e;
    str id;
    link_make(key, LINK_ACT, S("abc-1f"), 1000 * USEC_PER_SEC, &link);
    str l = buf_view(&link);
    CHECK(link_check(key, LINK_ACT, l, 999 * USEC_PER_SEC, &id, &e) == 0 && str_eq(id, S("abc-1f")));
    CHECK(link_check(key, LINK_ACT, l, 1000 * USEC_PER_SEC, &id, &e) < 0 && e.kind == ERR_GONE &&
          str_find(str_of(e.text), S("1970-01-01T00:16:40")) > 0);
    CHECK(link_check(key, LINK_FEWER, l, 0, &id, &e) < 0 && e.kind == ERR_INPUT);
    CHECK(link_check(other, LINK_ACT, l, 0, &id, &e) < 0 && e.kind == ERR_INPUT);
    for (size_t n = 0; n < l.n; n++) {
        CHECK(link_check(key, LINK_ACT, str_head(l, n), 0, &id, &e) < 0);
        link.p[n] ^= 1;
        CHECK(link_check(key, LINK_ACT, l, 0, &id, &e) < 0);
        link.p[n] ^= 1;
    }
    buf_done(&link);
}

TEST(each_mark_becomes_the_readers_link_and_nothing_else_does)
{
    struct buf out = BUF_INIT(300);
    link_fill(S("a\x01"
                "b\x01"),
              S("L"), &out);
    CHECK(str_eq(buf_view(&out), S("aLbL")));
    buf_reset(&out);
    link_fill(S(""), S("L"), &out);
    CHECK(out.n == 0);
    buf_done(&out);
}

/* An event whose field holds `what` again and again. */
static struct event *event_full_of(const char *what, struct buf *line)
{
    static struct event ev;
    struct err e;
    buf_lit(line, "{\"id\":\"000000000000001\",\"time\":\"2026-01-01T00:00:00Z\",\"app\":\"shop\",\"level\":\"error\","
                  "\"severity_number\":17");
    static const char *const names[] = {"message", "error.stack", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct buf value = BUF_INIT(1 << 20);
        while (value.n < 20000)
            buf_str(&value, str_of(what));
        buf_printf(line, ",\"%s\":", names[i]);
        buf_json(line, buf_view(&value));
        buf_done(&value);
    }
    buf_byte(line, '}');
    CHECK(event_read(buf_view(line), &ev, &a, &e) == 0);
    return &ev;
}

TEST(a_mail_is_whole_and_below_100_kb_whatever_a_log_says)
{
    static const char *const worst[] = {"\"", "&", "<", "=", "\xe5\x86\x99", "\xe2\x80\xae", "\n.\n", "x"};
    for (size_t i = 0; i < LENGTH(worst); i++) {
        struct buf line = BUF_INIT(1 << 22), text = BUF_INIT(70000), html = BUF_INIT(110000), mail = BUF_INIT(1 << 20);
        struct event *ev = event_full_of(worst[i], &line);
        str long_text = event_text(ev, S("error.stack"), &a);
        struct mail_body b = {.rank = 1,
                              .rule = S("r"),
                              .why = long_text,
                              .key = long_text,
                              .title = long_text,
                              .points = long_text,
                              .detail = long_text,
                              .run = long_text,
                              .others = long_text,
                              .incident = S("def"),
                              .url = S("https://logs.example.com"),
                              .acts = true,
                              .opened = 1,
                              .event = ev};
        body_text(&b, &a, &text);
        body_html(&b, &a, &html);
        CHECK(!text.full && !html.full && str_ends(buf_view(&html), S("</body></html>\n")));
        CHECK(str_find(buf_view(&html), S("\xe2\x80\xae")) < 0);
        mail_compose(&(struct mail){.to = S("a@b.c"),
                                    .subject = S("s"),
                                    .text = buf_view(&text),
                                    .html = buf_view(&html),
                                    .message_id = S("1@h")},
                     S("logd@example.com"), &mail);
        CHECK(mail.n < 100000);
        buf_done(&line);
        buf_done(&text);
        buf_done(&html);
        buf_done(&mail);
        arena_reset(&a);
    }
}

TEST(the_first_lines_say_how_bad_since_when_who_is_hit_and_what_changed)
{
    struct buf out = BUF_INIT(1 << 20);
    const usec hour = 3600 * USEC_PER_SEC;
    struct mail_facts k = {.count = 41,
                           .users = 10,
                           .release = S("shop@1.4.1"),
                           .release_at = 100 * hour - 720 * USEC_PER_SEC,
                           .first_release = S("shop@1.4.0"),
                           .hours = {[0] = 1, [23] = 8}};
    struct mail_body b = {.rank = 3,
                          .rule = S("new-error"),
                          .why = S("an error that was never seen"),
                          .points = S("44 points: level 22, news 22"),
                          .title = S("TypeError: x"),
                          .run = S("look at the deploy"),
                          .opened = 100 * hour,
                          .count = 41,
                          .facts = &k};
    body_text(&b, &a, &out);
    CHECK(str_starts(buf_view(&out),
                     S("TypeError: x\n\nHow bad: P3, to be seen to today: 44 points: level 22, news 22.\n"
                       "Since: 1970-01-05 04:00:00 UTC.\nWho is hit: 10 users, 41 events.\n"
                       "What changed: release shop@1.4.1 came 12 min before; first seen in shop@1.4.0.\n"
                       "What to do: look at the deploy.\nLast 24 h: ▁······················█ (at most 8")));
    k.release_at = 0;
    buf_reset(&out);
    body_text(&b, &a, &out);
    CHECK(str_find(buf_view(&out), S("no release in the day before: shop@1.4.1 is 4 days old")) > 0);
    buf_done(&out);
    arena_done(&a);
}

TEST(quotes_and_dashes_stay_and_what_turns_text_around_does_not)
{
    struct buf out = BUF_INIT(4096);
    body_subject(&(struct mail_subject){3, S("shop"), S(""), S("“a” – b…\xe2\x80\x8f\xe2\x81\xa7"), S("r")}, false,
                 &out);
    CHECK(str_eq(buf_view(&out), S("[P3 shop] “a” – b…..")));
    buf_done(&out);
}

#define DSN(report)                                                                                                      \
    "From: MAILER-DAEMON@mx\r\nMessage-ID: <own@mx>\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n" \
    "\tboundary=\"b\"\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"                  \
    "Reporting-MTA: dns; mx\r\n\r\n" report "\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"                       \
    "From: logd@example.com\r\nMessage-ID:\r\n <abc.0.ff@logs.example.com>\r\n\r\n--b--\r\n"

TEST(a_bounce_says_which_mail_and_whether_for_good)
{
    static const struct {
        const char *text;
        const char *status;
        bool permanent;
    } all[] = {
        {DSN("Final-Recipient: rfc822; a@b.c\r\nAction: failed\r\nStatus: 5.1.1\r\n"), "5.1.1", true},
        {DSN("Final-Recipient: rfc822; a@b.c\r\nAction: delayed\r\nStatus: 4.4.1\r\n"), "4.4.1", false},
        {DSN("Final-Recipient: rfc822; a@b.c\r\naction: Failed\r\nSTATUS: 5.4.4 (no name)\r\n"), "5.4.4", false},
        {DSN("Final-Recipient: rfc822; a@b.c\r\nAction: relayed\r\nStatus: 5.0.0\r\n"), "5.0.0", false},
    };
    struct bounce b;
    struct err e;
    for (size_t i = 0; i < LENGTH(all); i++) {
        CHECK(bounce_read(str_of(all[i].text), &b, &e) == 0 && b.permanent == all[i].permanent);
        CHECK(str_eq(b.status, str_of(all[i].status)) && str_eq(b.message_id, S("abc.0.ff@logs.example.com")));
        CHECK(str_eq(b.recipient, S("a@b.c")));
    }
    for (size_t n = 0; n < strlen(all[0].text); n++) { /* cut anywhere: an answer or a reason, within the text */
        char *cut = str_dup(str_n(all[0].text, n));
        if (bounce_read(str_n(cut, n), &b, &e) == 0)
            CHECK(b.status.p >= cut && b.message_id.p + b.message_id.n <= cut + n);
        free(cut);
    }
    CHECK(bounce_read(S("Subject: hi\n\nStatus: fine\nMessage-ID: <x@y>\n"), &b, &e) < 0 && e.kind == ERR_INPUT);
    CHECK(bounce_read(S("Message-ID: <x@y>\n\nStatus: 5.1.1\n"), &b, &e) < 0);
}

UNIT_MAIN
