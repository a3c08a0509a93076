/* Any line in any format: what comes out is members of a JSON object. The first byte chooses the format. */
#include "event/json.h"
#include "event/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct line_place place = {.now = 1795478400LL * USEC_PER_SEC};
    struct buf out = BUF_INIT(64u << 20);
    if (n == 0)
        return 0;
    buf_byte(&out, '{');
    (void)line_read((enum line_format)(data[0] % LINE_FORMATS), (str){(const char *)data + 1, n - 1}, &place, &out);
    buf_byte(&out, '}');
    if (out.n < 3 || !json_valid(buf_view(&out), 64))
        abort();
    buf_done(&out);
    return 0;
}
