#include "notify/links.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "event/event.h"

static void mac_of(const uint8_t key[32], enum link_for what, str id, str ends, struct buf *out)
{
    static const char *const names[] = {"act", "fewer", "nonce"};
    struct buf text = BUF_INIT(1000);
    uint8_t mac[32];
    buf_printf(&text, "%s\n%.*s\n%.*s", names[what], STR_ARG(id), STR_ARG(ends));
    hmac_sha256(str_n((const char *)key, 32), buf_view(&text), mac);
    buf_hex(out, mac, sizeof mac);
    buf_done(&text);
}

void link_make(const uint8_t key[32], enum link_for what, str id, usec ends, struct buf *out)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(ends / USEC_PER_SEC));
    buf_printf(out, "%.*s.%s.", STR_ARG(id), seconds);
    mac_of(key, what, id, str_of(seconds), out);
}

int link_check(const uint8_t key[32], enum link_for what, str link, usec now, str *ret_id, struct err *e)
{
    str rest = link, id = str_cut(&rest, '.'), ends = str_cut(&rest, '.');
    struct buf mac = BUF_INIT(65);
    int64_t seconds = 0;
    mac_of(key, what, str_head(id, 100), str_head(ends, 20), &mac);
    bool ours = rest.p && str_eq_secret(rest, buf_view(&mac)) && str_i64(ends, &seconds);
    buf_done(&mac);
    if (!ours)
        return err_set(e, ERR_INPUT, "this link is not whole, or not of this server: open it again from the mail");
    if (now / USEC_PER_SEC >= seconds) {
        char at[TIME_TEXT_MAX];
        time_print(seconds * NSEC_PER_SEC, 0, at);
        return err_set(e, ERR_GONE, "this link ended at %s: sign in to do it", at);
    }
    *ret_id = id;
    return 0;
}

void link_who(const uint8_t key[32], str address, char ret[LINK_WHO_LEN + 1])
{
    uint8_t mac[32];
    struct buf hex = BUF_INIT(LINK_WHO_LEN + 1);
    hmac_sha256(str_n((const char *)key, 32), address, mac);
    buf_hex(&hex, mac, LINK_WHO_LEN / 2);
    memcpy(ret, hex.p, LINK_WHO_LEN);
    ret[LINK_WHO_LEN] = '\0';
    buf_done(&hex);
}

void link_fill(str body, str address, struct buf *out)
{
    while (body.n) {
        ptrdiff_t at = str_chr(body, LINK_MARK);
        str before = at < 0 ? body : str_head(body, (size_t)at);
        buf_str(out, before);
        if (at >= 0)
            buf_str(out, address);
        body = str_skip(body, before.n + (at >= 0));
    }
}
