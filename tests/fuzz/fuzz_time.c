/* Any text as a time, a level, an id and a JSON text: no crash; a time that is read prints and reads back the same, and
 * a decoded text survives encoding. */
#include "base/clock.h"
#include "base/str.h"
#include "event/event.h"
#include "event/json.h"

static void check_time(str text)
{
    char out[TIME_TEXT_MAX];
    struct err e;
    nsec t, back;
    int digits, digits_back;
    if (time_read(text, &t, &digits, &e) < 0)
        return;
    assert(digits >= 0 && digits <= 9);
    size_t n = time_print(t, 9, out);
    assert(time_read((str){out, n}, &back, &digits_back, &e) == 0 && back == t && digits_back == 9);
}

static void check_text(str text)
{
    struct buf b = BUF_INIT(64 << 20);
    json_encode(&b, text);
    char *back = xmalloc(json_decoded_max(b.n, 0));
    size_t n = json_decode(buf_view(&b), back);
    assert(json_plain(text) <= str_eq(buf_view(&b), text));
    assert(!utf8_valid(text) || str_eq((str){back, n}, text));
    free(back);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = {(const char *)data, size};
    usec t;
    uint32_t row;
    int severity = level_read(text);
    assert(severity >= 0 && severity <= 24);
    check_time(text);
    check_text(text);
    if (event_id_parse(text, &t, &row)) {
        char id[EVENT_ID_LEN];
        event_id_print(t, row, id);
        assert(memcmp(id, data, sizeof id) == 0);
    }
    return 0;
}
