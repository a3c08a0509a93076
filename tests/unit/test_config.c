#include "base/config.h"
#include "base/file.h"
#include "base/limits.h"
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

static struct err e;

static struct config *parse(const char *text)
{
    struct config *c = NULL;
    e = (struct err){0};
    if (config_parse("/etc/logd/logd.yaml", str_of(text), &c, &e) < 0)
        return NULL;
    return c;
}

/* The text is refused with exactly this sentence behind the file's name. */
static void refused(const char *text, const char *sentence)
{
    struct config *c = parse(text);
    str file = S("/etc/logd/logd.yaml:"), got = str_of(e.text);
    CHECK(!c);
    CHECK_STR(str_starts(got, file) ? str_skip(got, file.n) : got, str_of(sentence));
    config_free(c);
}

static void accepted(const char *text)
{
    struct config *c = parse(text);
    if (!c)
        printf("refused: %s\n  %s\n", text, e.text);
    CHECK(c);
    config_free(c);
}

TEST(no_config_is_a_whole_one)
{
    struct config *c = NULL;
    CHECK_INT(config_load(NULL, &c, &e), 0);
    CHECK_STR(str_of(c->listen), S("127.0.0.1:5080"));
    CHECK_STR(str_of(c->data), S("./logd-data"));
    CHECK_STR(str_of(c->store), S("local"));
    CHECK(!c->file && !c->tls_cert && !c->url && !c->mail.url && !c->archive.url && !c->rules_n);
    CHECK_INT(c->memory, 512 << 20);
    CHECK_INT(c->retention.keep, 30 * 86400 * USEC_PER_SEC);
    CHECK_INT(c->retention.bytes, 0);
    CHECK_INT(c->archive.every, 60 * USEC_PER_SEC);
    CHECK_INT(c->limits.body, LIMIT_BODY);
    CHECK_INT(c->limits.decoded, LIMIT_DECODED);
    CHECK_INT(c->limits.event, LIMIT_EVENT);
    CHECK_INT(c->limits.fields, LIMIT_FIELDS);
    CHECK_INT(c->limits.depth, LIMIT_DEPTH);
    CHECK_INT(c->limits.events, LIMIT_EVENTS);
    CHECK_INT(c->query_deadline, 30 * USEC_PER_SEC);
    config_free(c);
}

TEST(every_key_is_read)
{
    setenv("TEST_CONFIG_KEY", "AKIA", 1);
    struct config *c = parse(
        "listen: 0.0.0.0:1\n"
        "data: /var/lib/logd\n"
        "tls: {cert: cert.pem, key: /k.pem}\n"
        "url: https://logs.example.com/\n"
        "memory: 1GiB\n"
        "proxies: [127.0.0.1, 10.0.0.0/8, 'fd00::/8']\n"
        "mail: {url: \"smtp://127.0.0.1:25/me\", from: l@example.com, user: u, password: x}\n"
        "recipients:\n"
        "  - {email: ops@example.com, min: P1, digest: \"23:59\", timezone: Europe/Amsterdam}\n"
        "  - b@example.com\n"
        "  - {email: c@example.com, digest: never}\n"
        "webhooks:\n"
        "  phone: {url: \"https://ntfy.sh/t?auth=x\", kind: ntfy, token: tk, min: P1}\n"
        "  own: {url: \"http://10.0.0.5/\", digest: \"07:00\"}\n"
        "private_hosts: [10.0.0.5, ntfy.lan, '::1']\n"
        "retention: {days: 0.5, bytes: 50GiB, apps: {}}\n"
        "archive: {url: \"s3://logs/prod/\", endpoint: \"http://[::1]:9000\", region: r, access_key: {env: TEST_CONFIG_KEY}, secret_key: s, every: 5s}\n"
        "limits: {body: 1MiB, decoded: 2MiB, event: 1kB, fields: 10, depth: 3, events: 7}\n"
        "query_deadline: 5s\n"
        "store: local\n"
        "rules: [a/*.yaml, /b.yaml]\n");
    if (!c)
        printf("%s\n", e.text);
    CHECK(c);
    if (!c)
        return;
    CHECK_STR(str_of(c->listen), S("0.0.0.0:1"));
    CHECK_STR(str_of(c->tls_cert), S("/etc/logd/cert.pem"));
    CHECK_STR(str_of(c->tls_key), S("/k.pem"));
    CHECK_STR(str_of(c->url), S("https://logs.example.com"));
    CHECK_INT(c->proxies_n, 3);
    CHECK_STR(str_of(c->proxies[2]), S("fd00::/8"));
    CHECK_STR(str_of(c->mail.url), S("smtp://127.0.0.1:25/me"));
    CHECK_INT(c->recipients_n, 3);
    CHECK_INT(c->recipients[2].digest_minute, -1);
    CHECK_INT(c->webhooks_n, 2);
    CHECK_STR(str_of(c->webhooks[0].name), S("phone"));
    CHECK_STR(str_of(c->webhooks[0].url), S("https://ntfy.sh/t?auth=x"));
    CHECK_STR(str_of(c->webhooks[0].token), S("tk"));
    CHECK(c->webhooks[0].kind == HOOK_NTFY && c->webhooks[1].kind == HOOK_JSON);
    CHECK_INT(c->webhooks[0].as.min, 1);
    CHECK_INT(c->webhooks[0].as.digest_minute, -1);
    CHECK_INT(c->webhooks[1].as.digest_minute, 7 * 60);
    CHECK_INT(c->private_hosts_n, 3);
    CHECK_INT(c->recipients[0].min, 1);
    CHECK_INT(c->recipients[0].digest_minute, 23 * 60 + 59);
    CHECK_STR(str_of(c->recipients[0].timezone), S("Europe/Amsterdam"));
    CHECK_STR(str_of(c->recipients[1].email), S("b@example.com"));
    CHECK_INT(c->recipients[1].min, 3);
    CHECK_INT(c->recipients[1].digest_minute, 8 * 60 + 30);
    CHECK_STR(str_of(c->recipients[1].timezone), S("UTC"));
    CHECK_INT(c->retention.keep, 43200 * USEC_PER_SEC);
    CHECK_INT(c->retention.bytes, 50LL << 30);
    CHECK_STR(str_of(c->archive.url), S("s3://logs/prod"));
    CHECK_STR(str_of(c->archive.access_key), S("AKIA"));
    CHECK_INT(c->archive.every, 5 * USEC_PER_SEC);
    CHECK_INT(c->limits.events, 7);
    CHECK_INT(c->query_deadline, 5 * USEC_PER_SEC);
    CHECK_INT(c->rules_n, 2);
    CHECK_STR(str_of(c->rules[0]), S("/etc/logd/a/*.yaml"));
    CHECK_STR(str_of(c->rules[1]), S("/b.yaml"));
    config_free(c);
}

TEST(a_misspelt_key_names_its_place_and_the_nearest)
{
    refused("listne: x\n", "1:1: unknown key \"listne\", did you mean \"listen\"?");
    refused("mail:\n  url: smtp://h\n  fron: x\n", "3:3: unknown key \"fron\" in mail, did you mean \"from\"?");
    refused("mail: {url: \"maildir:m\", from: a@b}\nrecipients:\n- {email: a@b, after: 15m}\n",
            "3:1: every recipient has after: nobody would be told at once");
    refused("recipients:\n- {email: a@b, tz: x}\n", "2:16: unknown key \"tz\" in recipients");
    refused("retention: {apps: {shop: {day: 3}}}\n",
            "1:27: unknown key \"day\" in retention.apps, did you mean \"days\"?");
    refused("archive: {url: {fil: x}}\n", "1:17: unknown key \"fil\" in archive.url, did you mean \"file\"?");
    refused("mail: smtp://h\n", "1:7: mail: expected a map, got \"smtp://h\"");
    refused("- a\n", "1:1: expected a map, got a list");
    refused("listen: a\nlisten: b\n", "2:1: key \"listen\" is there twice, first on line 1");
}

TEST(bad_addresses_are_refused)
{
    refused("listen: localhost\n",
            "1:9: listen: expected ADDRESS:PORT like 127.0.0.1:5514 or [::1]:5514, got \"localhost\"");
    static const char *const bad[] = {"1.2.3:80", "1.2.3.4:65536",  "1.2.3.4:",   ":80",        "'::1:80'", "'[::1]'",
                                      "'[::1'",   "'[1.2.3.4]:80'", "1.2.3.4:8o", "1.2.3.4:-1", "'[]:80'"};
    static const char *const good[] = {"0.0.0.0:0", "'[::]:65535'", "10.1.2.3:80"};
    char text[100];
    for (size_t i = 0; i < LENGTH(bad); i++) {
        snprintf(text, sizeof text, "listen: %s\n", bad[i]);
        struct config *c = parse(text);
        if (c)
            printf("accepted %s\n", bad[i]);
        CHECK(!c);
        config_free(c);
    }
    for (size_t i = 0; i < LENGTH(good); i++) {
        snprintf(text, sizeof text, "listen: %s\n", good[i]);
        accepted(text);
    }
    refused("proxies: [10.0.0.0/33]\n",
            "1:11: proxies: expected an address or network like 10.0.0.0/8, got \"10.0.0.0/33\"");
    refused("proxies: 10.0.0.0/8\n", "1:10: proxies: expected a list, got \"10.0.0.0/8\"");
}

TEST(bad_urls_are_refused)
{
    refused(
        "url: logs.example.com\n",
        "1:6: url: expected http://HOST or https://HOST, with a port and a path if need be, got \"logs.example.com\"");
    static const char *const bad[] = {"http://",    "ftp://h",     "http://h:0",   "http://h:99999", "http://h/?q",
                                      "http://u@h", "http://[::1", "'http://a b'", "http://[zz]:1"};
    char text[100];
    for (size_t i = 0; i < LENGTH(bad); i++) {
        snprintf(text, sizeof text, "url: %s\n", bad[i]);
        struct config *c = parse(text);
        if (c)
            printf("accepted %s\n", bad[i]);
        CHECK(!c);
        config_free(c);
    }
    accepted("url: http://[::1]:5080/logs\n");
    refused(
        "mail: {url: \"smtp://u:geheim@h\", from: a@b}\n",
        "1:13: mail.url: expected smtp://HOST:PORT, smtps://HOST:PORT, sendmail:/PATH or maildir:DIR, without user and password, got \"smtp://...@h\"");
    accepted("mail: {url: smtps://mx.example.com:465, from: a@b}\n");
    accepted("mail: {url: \"sendmail:/usr/sbin/sendmail\", from: a@b}\n");
    accepted("mail: {url: \"maildir:mails\", from: a@b}\n");
    refused(
        "mail: {url: \"maildir:\", from: a@b}\n",
        "1:13: mail.url: expected smtp://HOST:PORT, smtps://HOST:PORT, sendmail:/PATH or maildir:DIR, without user and password, got \"maildir:\"");
    refused("archive: {url: file://x}\n",
            "1:16: archive.url: expected s3://BUCKET/PREFIX or file:///DIR, got \"file://x\"");
    accepted("archive: {url: file:///x}\n");
    refused("store: clickhouse://u@h:8123/logs\n",
            "1:8: store: expected local (clickhouse:// is not supported yet), got \"clickhouse://...@h:8123/logs\"");
}

TEST(sizes_times_numbers_and_zones_are_checked)
{
    refused("memory: lots\n", "1:9: memory: expected a size of at least 64MiB, got \"lots\"");
    refused("memory: 1MiB\n", "1:9: memory: expected a size of at least 64MiB, got \"1MiB\"");
    refused("archive: {every: 5 min}\n",
            "1:18: archive.every: expected a duration from 1s to 1d, like 90s, 5m, 2h or 3d, got \"5 min\"");
    refused("query_deadline: 0s\n",
            "1:17: query_deadline: expected a duration from 1s to 1h, like 90s, 5m, 2h or 3d, got \"0s\"");
    refused("retention: {days: -1}\n", "1:19: retention.days: expected a number of days up to 36500, got \"-1\"");
    refused("limits: {events: 1000000}\n", "1:18: limits.events: expected a number from 1 to 100000, got \"1000000\"");
    refused("recipients: [{email: a@b, min: P6}]\n", "1:32: recipients.min: expected P1, P2, P3, P4 or P5, got \"P6\"");
    refused("recipients: [{email: a@b, digest: 8:30}]\n",
            "1:35: recipients.digest: expected a time of day like \"08:30\", or never, got \"8:30\"");
    refused("recipients: [{email: a@b, digest: \"24:00\"}]\n",
            "1:35: recipients.digest: expected a time of day like \"08:30\", or never, got \"24:00\"");
    refused("recipients: [{email: a@b, timezone: Mars/Base}]\n",
            "1:37: recipients.timezone: expected a time zone of the system like Europe/Amsterdam, got \"Mars/Base\"");
    refused("recipients: [{email: a@b, timezone: ../passwd}]\n",
            "1:37: recipients.timezone: expected a time zone of the system like Europe/Amsterdam, got \"../passwd\"");
    refused("webhooks: {w: {kind: json}}\n", "1:11: webhooks: url is missing");
    refused(
        "webhooks: {w: {url: \"http://u@h/s3cret\"}}\n",
        "1:21: webhooks.url: expected http://HOST or https://HOST, with a port and a path if need be, got something else");
    refused("webhooks: {w: {url: \"http://h\", kind: teams}}\n",
            "1:39: webhooks.kind: expected json, slack or ntfy, got \"teams\"");
    refused("private_hosts: [\"http://h\"]\n",
            "1:17: private_hosts: expected a host's name or address like ntfy.lan or 10.0.0.5, got \"http://h\"");
    refused("recipients: [{min: P1}]\n", "1:14: recipients: email is missing");
    refused("retention: {apps: {Shop: {days: 3}}}\n",
            "1:20: retention.apps: expected the name of an app (a-z, 0-9, '.', '_', '-'), got \"Shop\"");
}

TEST(addresses_that_could_forge_a_header_are_refused)
{
    refused("mail: {url: smtp://h, from: \"a@b\\r\\nBcc: x@y\"}\n",
            "1:29: mail.from: expected text without control characters, got byte 0x0d at 4");
    refused("recipients: [\"a@b\\0\"]\n",
            "1:14: recipients: expected text without control characters, got byte 0x00 at 4");
    static const char *const bad[] = {"a",    "@b",    "a@",    "a@b@c",    "a b@c",       "<a@b>",
                                      "a@b>", "a,b@c", "a;b@c", "a@b\\x7f", "\xc3\xa9@b.c"};
    char text[100];
    for (size_t i = 0; i < LENGTH(bad); i++) {
        snprintf(text, sizeof text, "mail: {url: smtp://h, from: \"%s\"}\n", bad[i]);
        struct config *c = parse(text);
        if (c)
            printf("accepted %s\n", bad[i]);
        CHECK(!c);
        config_free(c);
    }
}

TEST(a_listener_that_is_not_there_is_refused)
{
    refused("syslog: {udp: 127.0.0.1:5514}\n", "1:15: syslog.udp: the syslog listener is not there yet");
    refused("gelf:\n  tcp: 127.0.0.1:12201\n", "2:8: gelf.tcp: the gelf listener is not there yet");
    refused("forward: {app: x}\n", "1:16: forward.app: the forward listener is not there yet");
    refused("gelf: {udp: {env: PATH}}\n", "1:13: gelf.udp: the gelf listener is not there yet");
    refused("syslog: {upd: 127.0.0.1:5514}\n", "1:10: unknown key \"upd\" in syslog, did you mean \"udp\"?");
    accepted("syslog:\n#  udp: 127.0.0.1:5514\n");
    setenv("LOGD_GELF_UDP", "127.0.0.1:8125", 1);
    refused("", "LOGD_GELF_UDP: gelf.udp: the gelf listener is not there yet");
    unsetenv("LOGD_GELF_UDP");
    accepted("statsd: {udp: 127.0.0.1:8125, unix: /run/logd/statsd, app: web}\n");
    refused("statsd: {udp: localhost}\n",
            "1:15: statsd.udp: expected ADDRESS:PORT like 127.0.0.1:8125 or [::1]:8125, got \"localhost\"");
    refused("statsd: {tcp: 127.0.0.1:8125}\n", "1:10: unknown key \"tcp\" in statsd, did you mean \"udp\"?");
}

TEST(an_app_may_be_kept_for_a_time_and_a_size_of_its_own)
{
    struct config *c = parse("retention: {days: 30, apps: {shop: {days: 90}, api: {bytes: 1GiB}}}\n");
    CHECK(c && c->retention.apps_n == 2);
    CHECK_STR(str_of(c->retention.apps[0].app), S("shop"));
    CHECK_INT(c->retention.apps[0].keep, 90 * 86400 * USEC_PER_SEC);
    CHECK_INT(c->retention.apps[0].bytes, 0);
    CHECK_INT(c->retention.apps[1].keep, 0);
    CHECK_INT(c->retention.apps[1].bytes, 1 << 30);
    config_free(c);
    setenv("LOGD_RETENTION_APPS", "{\"shop\": {\"days\": 2}}", 1);
    c = parse("");
    CHECK(c && c->retention.apps_n == 1 && c->retention.apps[0].keep == 2 * 86400 * USEC_PER_SEC);
    unsetenv("LOGD_RETENTION_APPS");
    config_free(c);
}

TEST(half_given_pairs_are_refused)
{
    refused("tls: {cert: c}\n", "1:6: tls.cert is given without tls.key");
    refused("tls: {key: c}\n", "1:6: tls.key is given without tls.cert");
    refused("mail: {url: smtp://h}\n", "1:7: mail.url is given without mail.from");
    refused("mail: {url: smtp://h, from: a@b, user: u}\n", "1:7: mail.user is given without mail.password");
    refused("recipients: [a@b]\n", "1:13: recipients are given without mail.url: no mail could reach them");
    refused("archive: {url: s3://b, access_key: x}\n",
            "1:10: archive.url is s3:// and needs archive.access_key and archive.secret_key");
    setenv("LOGD_TLS_CERT", "c", 1);
    refused("", "config: tls.cert is given without tls.key");
    unsetenv("LOGD_TLS_CERT");
}

TEST(empty_sections_and_lists_count_as_absent)
{
    struct config *c = parse("mail:\n#  url: x\nrecipients:\nproxies:\nretention: {apps: }\n");
    CHECK(c && !c->mail.url && !c->recipients_n && !c->proxies_n);
    config_free(c);
    refused("listen:\n", "1:8: listen: expected text, got nothing");
}

TEST(the_environment_wins_over_the_file)
{
    static const char *const set[][2] = {{"LOGD_LISTEN", "127.0.0.1:1"},
                                         {"LOGD_MAIL_URL", "smtp://h:25"},
                                         {"LOGD_MAIL_FROM", "a@b"},
                                         {"LOGD_ARCHIVE_SECRET_KEY", "s"},
                                         {"LOGD_QUERY_DEADLINE", "7s"},
                                         {"LOGD_LIMITS_EVENTS", "9"},
                                         {"LOGD_RULES", "x/*.yaml, /y.yaml"},
                                         {"LOGD_RECIPIENTS", "[{email: a@b, min: P5}, c@d]"},
                                         {"LOGD_URL", ""}};
    for (size_t i = 0; i < LENGTH(set); i++)
        setenv(set[i][0], set[i][1], 1);
    struct config *c = parse("listen: 127.0.0.1:2\nrules: [z]\nurl: http://kept\n");
    CHECK(c);
    if (c) {
        CHECK_STR(str_of(c->listen), S("127.0.0.1:1"));
        CHECK_STR(str_of(c->mail.from), S("a@b"));
        CHECK_STR(str_of(c->archive.secret_key), S("s"));
        CHECK_INT(c->query_deadline, 7 * USEC_PER_SEC);
        CHECK_INT(c->limits.events, 9);
        CHECK_INT(c->rules_n, 2);
        CHECK_STR(str_of(c->rules[0]), S("x/*.yaml"));
        CHECK_STR(str_of(c->rules[1]), S("/y.yaml"));
        CHECK_INT(c->recipients_n, 2);
        CHECK_INT(c->recipients[0].min, 5);
        CHECK_STR(str_of(c->recipients[1].email), S("c@d"));
        CHECK_STR(str_of(c->url), S("http://kept"));
    }
    config_free(c);
    setenv("LOGD_LISTEN", "nowhere", 1);
    refused("", "LOGD_LISTEN: listen: expected ADDRESS:PORT like 127.0.0.1:5514 or [::1]:5514, got \"nowhere\"");
    setenv("LOGD_LISTEN", "127.0.0.1:1", 1);
    setenv("LOGD_RECIPIENTS", "[{email: a@b, mn: P5}]", 1);
    refused("", "LOGD_RECIPIENTS:1:15: unknown key \"mn\" in recipients, did you mean \"min\"?");
    setenv("LOGD_RECIPIENTS", "a@b,,c@d", 1);
    refused("", "LOGD_RECIPIENTS: recipients: expected text, got nothing");
    for (size_t i = 0; i < LENGTH(set); i++)
        unsetenv(set[i][0]);
}

TEST(a_secret_is_read_from_its_file_and_never_told)
{
    char dir[] = "/tmp/test_config.XXXXXX", path[64], text[200];
    CHECK(mkdtemp(dir));
    int fd = dir_open(dir, &e);
    CHECK_INT(file_replace(fd, "pw", S("geheim\n"), 0600, &e), 0);
    CHECK_INT(file_replace(fd, "two", S("a\nb\n"), 0600, &e), 0);
    CHECK_INT(
        file_replace(fd, "logd.yaml", S("mail: {url: smtp://h, from: a@b, user: u, password: {file: pw}}\n"), 0600, &e),
        0);
    snprintf(path, sizeof path, "%s/logd.yaml", dir);
    struct config *c = NULL;
    CHECK_INT(config_load(path, &c, &e), 0);
    if (c) {
        CHECK_STR(str_of(c->mail.password), S("geheim"));
        CHECK_STR(str_of(c->file), str_of(path));
        snprintf(text, sizeof text, "%s/rules/*.yaml", dir);
        CHECK_INT(c->rules_n, 1);
        CHECK_STR(str_of(c->rules[0]), str_of(text));
    }
    config_free(c);

    snprintf(text, sizeof text, "mail: {password: {file: %s/two}}\n", dir);
    refused(text, "1:18: mail.password: expected text without control characters, got byte 0x0a at 2");
    snprintf(text, sizeof text, "listen: {file: %s/pw}\n", dir);
    refused(text, "1:9: listen: expected ADDRESS:PORT like 127.0.0.1:5514 or [::1]:5514, got something else");
    refused("mail: {password: {file: /nowhere/x}}\n",
            "1:18: mail.password: open '/nowhere/x': No such file or directory");
    refused("mail: {password: {env: TEST_CONFIG_ABSENT}}\n",
            "1:18: mail.password: the environment has no TEST_CONFIG_ABSENT");
    refused("mail: {password: {}}\n", "1:18: mail.password: expected text, {file: PATH} or {env: NAME}");
    unlinkat(fd, "pw", 0), unlinkat(fd, "two", 0), unlinkat(fd, "logd.yaml", 0);
    close(fd);
    CHECK_INT(rmdir(dir), 0);
    CHECK(config_load(path, &c, &e) < 0);
    snprintf(text, sizeof text, "open '%s': No such file or directory", path);
    CHECK_STR(str_of(e.text), str_of(text));
}

UNIT_MAIN
