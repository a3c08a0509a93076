/* Any bytes as the body of POST /v1/events: no crash, and what is stored is a line that reads back, has no name twice
 * and, posted again, is taken again. */
#include "base/str.h"
#include "event/event.h"
#include "event/json.h"
#include "intake/json.h"

#define NOW 1764063321123456

static void take(struct event_writer *w, const struct event_source *src, str body, struct batch **ret)
{
    struct err e;
    *ret = batch_new(RECORD_EVENTS, 1, NOW);
    if (intake_json(w, src, body, *ret, &e) < 0)
        assert(e.kind == ERR_INPUT || e.kind == ERR_FULL);
    else
        assert((*ret)->accepted == (*ret)->events);
}

static void check_line(str line)
{
    static struct event ev;
    struct arena a = {0};
    struct err e;
    nsec t;
    int severity;
    assert(memchr(line.p, '\n', line.n) == NULL && json_valid(line, 64) && utf8_valid(line));
    assert(event_read(line, &ev, &a, &e) == 0);
    assert(event_peek(line, &t, &severity) && t == ev.time && severity == ev.severity);
    for (size_t i = 0; i < ev.n && ev.n < 50; i++)
        assert(event_field(&ev, ev.f[i].name) == &ev.f[i]);
    for (size_t i = 0; i < ev.n; i++)
        (void)field_text(&ev.f[i], &a);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event_writer *w;
    struct event_source src = {.app = S("shop"), .now = NOW, .max_events = 1000};
    struct batch *first, *again;
    if (size == 0)
        return 0;
    if (!w)
        w = event_writer_new();
    src.browser = data[0] & 1;
    src.ip = data[0] & 2 ? S("192.0.2.1") : (str){NULL, 0};
    take(w, &src, (str){(const char *)data + 1, size - 1}, &first);
    for (str lines = buf_view(&first->body); lines.n;)
        check_line(str_cut(&lines, '\n'));
    take(w, &src, buf_view(&first->body), &again);
    assert(again->accepted == first->accepted && again->rejected == 0);
    batch_free(first);
    batch_free(again);
    return 0;
}
