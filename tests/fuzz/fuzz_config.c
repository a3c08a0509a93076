/* logd.yaml: what is accepted keeps the promises of config.h, what is refused is told in one line with its file. */
#include "base/config.h"
#include "base/str.h"

static void check(const struct config *c)
{
    assert(c->listen && c->data && c->store && c->archive.region);
    assert(!c->tls_cert == !c->tls_key && !c->mail.user == !c->mail.password);
    assert(!c->mail.url || c->mail.from);
    assert(c->memory >= 64u << 20 && c->archive.every > 0 && c->retention.keep > 0 && c->limits.depth <= 32);
    for (size_t i = 0; i < c->recipients_n; i++) {
        const struct config_recipient *r = &c->recipients[i];
        assert(r->email && r->timezone && r->min >= 1 && r->min <= 5 && r->digest_minute >= 0 &&
               r->digest_minute < 1440);
        for (const char *p = r->email; *p; p++)
            assert((unsigned char)*p > ' ' && *p != 0x7f);
    }
    for (size_t i = 0; i < c->retention.apps_n; i++)
        assert(c->retention.apps[i].app && c->retention.apps[i].app[0]);
    for (size_t i = 0; i < c->rules_n; i++)
        assert(c->rules[i] && c->rules[i][0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct config *c;
    struct err e;
    if (str_find(str_n((const char *)data, n), S("file")) >= 0)
        return 0; /* a {file:} is read */
    if (config_parse("/etc/f", str_n((const char *)data, n), &c, &e) == 0) {
        check(c);
        config_free(c);
    } else {
        assert(e.kind == ERR_INPUT &&
               (str_starts(str_of(e.text), S("/etc/f:")) || str_starts(str_of(e.text), S("config: "))));
        assert(!strchr(e.text, '\n'));
    }
    return 0;
}
