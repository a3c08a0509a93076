/* Any bytes as an envelope and as an event of Sentry's: lines that are JSON objects, an id of hex digits, or one sentence. */
#include "base/str.h"
#include "intake/sentry.h"

#include <jansson.h>

static void check(int (*read)(str, struct buf *, char[SENTRY_ID], struct err *), str body)
{
    struct err e = {0};
    char id[SENTRY_ID];
    struct buf out = BUF_INIT(2 * body.n + 4096);
    out.secret = true;
    if (read(body, &out, id, &e) < 0)
        assert(e.text[0]);
    else {
        assert(strspn(id, "0123456789abcdefABCDEF") == strlen(id));
        for (str rest = buf_view(&out); rest.n;) {
            str line = str_cut(&rest, '\n');
            json_t *o = json_loadb(line.p, line.n, JSON_ALLOW_NUL, NULL);
            assert(json_is_object(o));
            json_decref(o);
        }
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    check(sentry_envelope, str_n((const char *)data, n));
    check(sentry_store, str_n((const char *)data, n));
    return 0;
}
