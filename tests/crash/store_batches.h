/* tests/crash/store_batches.h - batches of stored lines whose every byte but the id follows from (writer, number), so
 * that a reader of the store can tell whole from half and once from twice. */
#ifndef TESTS_STORE_BATCHES_H
#define TESTS_STORE_BATCHES_H

#include "base/hash.h"
#include "base/str.h"
#include "event/batch.h"
#include "event/event.h"

enum { WRITERS = 4, BATCHES_MAX = 4096, LINES_MAX = 7 };
#define KEEP_US (3650ll * 86400 * USEC_PER_SEC) /* the driver's retention: old batches may go at any time */

static inline uint64_t batch_random(uint64_t writer, uint64_t n, uint64_t what)
{
    uint64_t v[3] = {writer, n, what};
    return xxh64(v, sizeof v, 43);
}

static inline uint32_t batch_lines(uint64_t writer, uint64_t n)
{
    return 1 + (uint32_t)(batch_random(writer, n, 1000) % LINES_MAX);
}
static inline bool batch_is_old(uint64_t writer, uint64_t n) { return batch_random(writer, n, 1001) % 7 == 0; }
static inline bool batch_is_events(uint64_t writer, uint64_t n) { return batch_random(writer, n, 1002) % 9 != 0; }

/* What follows the id in line `line` of a batch. */
static inline void batch_line_rest(struct buf *out, uint64_t writer, uint64_t n, uint64_t line)
{
    static const char filler[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t h = batch_random(writer, n, line);
    char time[TIME_TEXT_MAX];
    nsec t = (batch_is_old(writer, n) ? 981173106ll : 1764000000ll) * NSEC_PER_SEC + (nsec)(h % 86400000) * 1000000;
    time[time_print(t, 3, time)] = '\0';
    buf_printf(out,
               "\",\"time\":\"%s\",\"app\":\"app%llu\",\"level\":\"info\",\"severity_number\":9,\"w\":%llu,\"n\":%llu,"
               "\"line\":%llu,\"text\":\"",
               time, (unsigned long long)(1 + writer % 3), (unsigned long long)writer, (unsigned long long)n,
               (unsigned long long)line);
    for (uint64_t i = 0; i < h % 90; i++)
        buf_byte(out, filler[(h >> (i % 40)) % 36]);
    buf_str(out, h % 5 ? S("\"}") : S("\",\"odd\":true}"));
}

static inline struct batch *batch_make(uint64_t writer, uint64_t n, usec recv_us)
{
    bool events = batch_is_events(writer, n);
    struct batch *b = batch_new(events ? RECORD_EVENTS : RECORD_STATS, (uint32_t)(1 + writer % 3), recv_us);
    for (uint32_t i = 0; events && i < batch_lines(writer, n); i++) {
        char id[EVENT_ID_LEN];
        event_id_print(recv_us, i, id);
        buf_lit(&b->body, "{\"id\":\"");
        buf_add(&b->body, id, sizeof id);
        batch_line_rest(&b->body, writer, n, i);
        buf_byte(&b->body, '\n');
        b->events++;
    }
    if (!events)
        buf_lit(&b->body, "{\"name\":\"x\",\"type\":\"count\",\"value\":1}\n");
    return b;
}

/* Reads what a line is; false: it is none of ours, or not byte for byte what was sent. */
static inline bool batch_read_line(str line, uint64_t *ret_writer, uint64_t *ret_n, uint64_t *ret_line)
{
    unsigned long long w, n, i;
    char head[200];
    ptrdiff_t at = str_find(line, S(",\"w\":"));
    if (at < 0)
        return false;
    snprintf(head, sizeof head, "%.*s", (int)(line.n - (size_t)at < 199 ? line.n - (size_t)at : 199), line.p + at);
    if (sscanf(head, ",\"w\":%llu,\"n\":%llu,\"line\":%llu,", &w, &n, &i) != 3)
        return false;
    struct buf want = BUF_INIT(1 << 16);
    batch_line_rest(&want, w, n, i);
    bool same = str_starts(line, S("{\"id\":\"")) && str_eq(str_skip(line, 7 + EVENT_ID_LEN), buf_view(&want));
    buf_done(&want);
    *ret_writer = w;
    *ret_n = n;
    *ret_line = i;
    return same;
}

#endif
