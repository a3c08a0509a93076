/* Any line in any format: what comes out is members of a JSON object. The first byte chooses the format. */
#include "event/json.h"
#include "event/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_object(str text)
{
    struct json j;
    struct json_token t;
    enum json_kind kind;
    json_init(&j, text, 64);
    j.nan = true; /* as senders write it, and the server takes it */
    do
        kind = json_next(&j, &t);
    while (kind >= J_CLOSE);
    return kind == J_END && j.p == j.end && text.n > 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct line_pattern *pattern;
    struct err e;
    if (!pattern &&
        line_pattern_new(S("(?<time>[^|]*)\\|(?<level>\\w*)(?<n>[-.0-9]*)(?<message>.*)"), &pattern, &e) < 0)
        abort();
    struct line_place place = {.now = 1795478400LL * USEC_PER_SEC, .pattern = pattern};
    struct buf out = BUF_INIT(64u << 20);
    if (n == 0)
        return 0;
    buf_byte(&out, '{');
    (void)line_read((enum line_format)(data[0] % LINE_FORMATS), (str){(const char *)data + 1, n - 1}, &place, &out);
    buf_byte(&out, '}');
    if (!is_object(buf_view(&out)))
        abort();
    buf_done(&out);
    return 0;
}
