/* Any text: scrubbing twice is scrubbing once, and secrets planted in it are gone.
 *
 * The first byte chooses a secret, or none; the second where in the rest it is planted. */
#include "base/str.h"
#include "event/scrub.h"

static const struct plant {
    const char *before, *secret, *after;
} plants[] = {
    {" ", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", " "},
    {" ", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", " "},
    {"\n", "AKIAIOSFODNN7EXAMPLE", "\n"},
    {",", "4111 1111 1111 1111", ","},
    {"\n", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----", "\n"},
    {" password=", "hunter2-q8Zr", " "},
    {" {\"token\": \"", "q8ZrW3xk", "\"} "},
    {" ?access_token=", "q8ZrW3xk", "&a=b "},
    {" postgres://bob:", "q8ZrW3xk", "@db/x "},
    {"\nAuthorization: Bearer ", "q8ZrW3xk", "\n"},
    {"\nCookie: a=", "q8ZrW3xk; b=W3xkq8Zr", "\n"},
    {" api_key%3D", "q8ZrW3xk", "%26a "},
    {" {\\\"secret\\\":\\\"", "q8ZrW3xk", "\\\"} "},
};

static void scrub(str text, struct buf *out)
{
    buf_reset(out);
    if (scrub_clean(text, out)) {
        assert(out->n == 0);
        buf_str(out, text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct buf text = BUF_INIT(1 << 20), once = BUF_INIT(4 << 20), twice = BUF_INIT(4 << 20);
    if (n < 2)
        return 0;
    const struct plant *p = data[0] % 2 ? &plants[data[0] / 2 % LENGTH(plants)] : NULL;
    str rest = {(const char *)data + 2, n - 2}, head = str_head(rest, data[1] % (rest.n + 1));
    if (p && str_find(rest, str_of(p->secret)) >= 0)
        return 0;
    buf_reset(&text);
    buf_str(&text, head);
    if (p) {
        buf_str(&text, str_of(p->before));
        buf_str(&text, str_of(p->secret));
        buf_str(&text, str_of(p->after));
    }
    buf_str(&text, str_skip(rest, head.n));
    scrub(buf_view(&text), &once);
    scrub(buf_view(&once), &twice);
    bool same = str_eq(buf_view(&once), buf_view(&twice)),
         gone = !p || str_find(buf_view(&once), str_of(p->secret)) < 0;
    if (!same || !gone)
        fprintf(stderr, "text:  %.*s\nonce:  %.*s\ntwice: %.*s\n", STR_ARG(buf_view(&text)), STR_ARG(buf_view(&once)),
                STR_ARG(buf_view(&twice)));
    assert(same && gone);
    (void)scrub_name(head);
    return 0;
}
