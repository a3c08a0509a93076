#include "unit.h"
#include "base/public.h"
#include "base/str.h"
#include "notify/webhook.h"

#include <arpa/inet.h>
#include <jansson.h>

static bool is_public(const char *text)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return address_is_public((struct sockaddr *)&four);
    CHECK(inet_pton(AF_INET6, text, &six.sin6_addr) == 1);
    return address_is_public((struct sockaddr *)&six);
}

TEST(no_address_of_this_machine_or_its_network_is_public_however_it_is_written)
{
    static const char *const no[] = {"0.0.0.0",
                                     "0.1.2.3",
                                     "10.0.0.1",
                                     "10.255.255.255",
                                     "100.64.0.1",
                                     "100.127.255.255",
                                     "127.0.0.1",
                                     "127.255.255.255",
                                     "169.254.169.254",
                                     "172.16.0.1",
                                     "172.31.255.255",
                                     "192.0.0.1",
                                     "192.0.2.1",
                                     "192.168.0.1",
                                     "198.18.0.1",
                                     "198.19.255.255",
                                     "198.51.100.7",
                                     "203.0.113.9",
                                     "224.0.0.1",
                                     "240.0.0.1",
                                     "255.255.255.255",
                                     "::",
                                     "::1",
                                     "::ffff:127.0.0.1",
                                     "::ffff:10.1.2.3",
                                     "::127.0.0.1",
                                     "64:ff9b::127.0.0.1",
                                     "64:ff9b::a00:1",
                                     "64:ff9b:1::1",
                                     "2002:7f00:1::",
                                     "2002:c0a8:1::1",
                                     "2001::1",
                                     "2001:db8::1",
                                     "fe80::1",
                                     "fec0::1",
                                     "fc00::1",
                                     "fd12:3456::1",
                                     "ff02::1",
                                     "100::1",
                                     "4000::1",
                                     "::ffff:0:127.0.0.1"};
    static const char *const yes[] = {"1.1.1.1",         "9.255.255.255",    "11.0.0.1",        "100.63.255.255",
                                      "100.128.0.1",     "126.0.0.1",        "128.0.0.1",       "169.253.1.1",
                                      "172.15.255.255",  "172.32.0.1",       "192.0.1.1",       "192.167.255.255",
                                      "192.169.0.1",     "198.17.0.1",       "198.20.0.1",      "223.1.1.1",
                                      "2606:4700::1111", "2a00:1450::1",     "2001:200::1",     "2001:4860:4860::8888",
                                      "::ffff:1.1.1.1",  "64:ff9b::101:101", "2002:101:101::1", "3fff::1"};
    struct sockaddr_storage unix_socket = {.ss_family = AF_UNIX};
    for (size_t i = 0; i < LENGTH(no); i++)
        if (is_public(no[i]))
            CHECK_STR(str_of(no[i]), S("not public"));
    for (size_t i = 0; i < LENGTH(yes); i++)
        if (!is_public(yes[i]))
            CHECK_STR(str_of(yes[i]), S("public"));
    CHECK(!address_is_public((struct sockaddr *)&unix_socket));
}

static json_t *body_of(enum config_hook kind, const char *url, const struct hook_mail *m)
{
    struct buf out = BUF_INIT(1 << 20);
    hook_body(kind, str_of(url), m, &out);
    CHECK(!out.full);
    json_t *o = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
    CHECK(o != NULL);
    buf_done(&out);
    return o;
}

TEST(every_kind_of_webhook_gets_whole_json_of_bounded_size_whatever_a_log_says)
{
    static const char *const worst[] = {"\"", "\\", "<", "&", "`", "\n", "\x1b", "\xe5\x86\x99", "\xf0\x9f\x98\x80",
                                        "x"};
    for (size_t i = 0; i < LENGTH(worst); i++) {
        struct buf text = BUF_INIT(70000);
        while (text.n < 60000)
            buf_str(&text, str_of(worst[i]));
        struct hook_mail m = {
            .rank = 1, .subject = buf_view(&text), .text = buf_view(&text), .rule = S("r"), .link = S("https://l/a/1")};
        json_t *o = body_of(HOOK_JSON, "http://h/", &m);
        CHECK_INT(json_string_length(json_object_get(o, "text")), (long long)text.n);
        json_decref(o);
        m.subject = str_head(m.subject, 240);
        o = body_of(HOOK_SLACK, "http://h/", &m);
        CHECK(json_string_length(json_object_get(o, "text")) < 40000);
        json_decref(o);
        o = body_of(HOOK_NTFY, "https://ntfy.sh/topic", &m);
        CHECK(json_string_length(json_object_get(o, "message")) <= 4096);
        json_decref(o);
        buf_done(&text);
    }
}

TEST(slack_reads_no_markup_of_a_log_and_ntfy_finds_the_topic)
{
    struct hook_mail m = {
        .rank = 2, .subject = S("<!here> & co"), .text = S("``` <https://evil|ok> &"), .link = S("https://l/a/1")};
    json_t *o = body_of(HOOK_SLACK, "http://h/", &m);
    CHECK_STR(
        str_of(json_string_value(json_object_get(o, "text"))),
        S("*&lt;!here&gt; &amp; co*\n```''' &lt;https://evil|ok&gt; &amp;```\n<https://l/a/1|Acknowledge, snooze or resolve>"));
    json_decref(o);
    static const struct {
        const char *url, *topic;
    } all[] = {{"https://ntfy.sh/mine", "mine"}, {"http://h:1/base/mine?auth=a/b", "mine"}};
    for (size_t i = 0; i < LENGTH(all); i++) {
        o = body_of(HOOK_NTFY, all[i].url, &m);
        CHECK_STR(str_of(json_string_value(json_object_get(o, "topic"))), str_of(all[i].topic));
        CHECK_INT(json_integer_value(json_object_get(o, "priority")), 4);
        json_decref(o);
    }
}

UNIT_MAIN
