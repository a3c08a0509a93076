/* Any bytes are a query or are refused with a column; a parsed one is matched, printed and parsed again. */
#include "base/str.h"
#include "event/filter.h"

static const char line[] =
    "{\"id\":\"0c2k0000000000v\",\"time\":\"2026-11-25T09:35:21.123Z\",\"app\":\"shop\",\"level\":\"error\",\"severity_number\":17,"
    "\"message\":\"connection \\\"refused\\\" by 10.0.0.1\",\"user\":\"bob\",\"status\":503,\"tags\":[\"a\",1],\"d\":\"1.5s\",\"x\":null}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event ev;
    struct arena a = {0};
    struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
    struct err e = {0};
    struct filter *f, *again;
    if (event_read(str_n(line, sizeof line - 1), &ev, &a, &e) < 0)
        abort();
    if (filter_parse(str_n((const char *)data, size), &f, &e) < 0) {
        assert(e.kind == ERR_INPUT && e.column >= 1 && e.column <= size + 1 && e.text[0]);
        return 0;
    }
    bool is = filter_match(f, &ev, &a);
    enum outlook o = filter_outlook(f, 1u << ev.severity, ev.time, ev.time);
    assert(o == OUTLOOK_MAYBE || (o == OUTLOOK_YES) == is);
    assert(!is || !filter_hint(f) || find_nocase(filter_hint(f), ev.line) >= 0);
    filter_print(f, &once);
    if (once.n <= LIMIT_QUERY) { /* backslashes double */
        if (filter_parse(buf_view(&once), &again, &e) < 0)
            abort();
        assert(filter_match(again, &ev, &a) == is);
        filter_print(again, &twice);
        assert(str_eq(buf_view(&once), buf_view(&twice)));
        filter_free(again);
    }
    filter_free(f);
    buf_done(&once), buf_done(&twice);
    arena_done(&a);
    return 0;
}
