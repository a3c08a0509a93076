/* A rule file: parsed, told as JSON, run over a few events with a restart in between. The first byte is a rule's `by`
 * value and the rest the file. Then the same bytes as what a memory would have saved. */
#include "base/str.h"
#include "event/json.h"
#include "rules/rules.h"

static int on_signal(const struct rules_signal *s, void *arg)
{
    assert(s->rule->enabled && s->rank >= 1 && s->rank <= 5);
    for (size_t i = 0; i < s->key.n; i++)
        assert((unsigned char)s->key.p[i] >= ' ');
    (*(size_t *)arg)++;
    return 0;
}

static void one_event(const struct rules_set *s, struct rules_memory *m, usec now, char value)
{
    static struct event ev;
    struct arena a = {0};
    struct err e;
    size_t fired = 0;
    char line[300];
    snprintf(line, sizeof line,
             "{\"id\":\"000000000000001\",\"time\":\"2026-01-01T00:00:00Z\",\"app\":\"shop\",\"level\":\"error\","
             "\"severity_number\":17,\"message\":\"m\",\"k\":\"\\u%04x\"}",
             (unsigned)(unsigned char)value);
    int rc = event_read(str_of(line), &ev, &a, &e);
    assert(rc == 0);
    struct rules_input in = {.event = &ev, .fingerprint = S("f"), .fresh = true, .now = now};
    rc = rules_eval(s, m, &in, on_signal, &fired, &a);
    assert(rc == 0 && fired <= rules_count(s));
    arena_done(&a);
}

static struct rules_memory *restart(struct rules_memory *m)
{
    struct rules_memory *again = rules_memory_new();
    str key, blob;
    while (rules_memory_dirty_next(m, &key, &blob))
        assert(blob.n == 0 || rules_memory_load(again, key, blob));
    assert(!rules_memory_dirty_next(again, &key, &blob));
    rules_memory_free(m);
    return again;
}

static void run(const struct rules_set *s, char value)
{
    struct buf json = BUF_INIT(64u << 20);
    struct rules_memory *m = rules_memory_new();
    for (int i = 0; i < 4; i++) {
        one_event(s, m, 1767225600 * USEC_PER_SEC + i * 40 * USEC_PER_SEC, (char)(value + i / 2));
        if (i == 1)
            m = restart(m);
    }
    struct arena a = {0};
    size_t fired = 0; /* whatever waits for silence, for a day */
    int rc = rules_tick(s, m, (1767225600 + 86400) * USEC_PER_SEC, on_signal, &fired, &a);
    assert(rc == 0);
    arena_done(&a);
    rules_memory_free(m);
    rules_set_json(s, NULL, NULL, &json);
    buf_byte(&json, '}');
    assert(json_valid(buf_view(&json), 8));
    buf_done(&json);
}

static void load(str bytes)
{
    struct rules_memory *m = rules_memory_new();
    (void)rules_memory_load(m, S("k"), bytes);
    rules_memory_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e;
    if (n == 0)
        return 0;
    struct rules_set *s = rules_set_new();
    if (rules_parse(s, "f", str_n((const char *)data + 1, n - 1), &e) == 0)
        run(s, (char)data[0]);
    else
        assert(e.kind == ERR_INPUT && str_starts(str_of(e.text), S("f:")) && e.line > 0);
    rules_set_free(s);
    load(str_n((const char *)data, n));
    return 0;
}
