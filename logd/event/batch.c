#include "event/batch.h"
#include "base/str.h"

struct batch *batch_new(enum record_type type, uint32_t app, usec recv_us)
{
    struct batch *b = xcalloc(1, sizeof *b);
    b->type = type;
    b->app = app;
    b->recv_us = recv_us;
    b->t_min = INT64_MAX;
    b->t_max = INT64_MIN;
    buf_init(&b->body, 2 * (size_t)LIMIT_DECODED);
    buf_init(&b->errors, 1 << 20);
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    buf_done(&b->body);
    buf_done(&b->errors);
    free(b->ids);
    free(b->repeat);
    free(b);
}

void batch_add_id(struct batch *b, uint64_t hash, size_t offset, size_t length)
{
    if (b->ids_n == b->ids_cap) {
        b->ids_cap = b->ids_cap ? b->ids_cap * 2 : 64;
        b->ids = xrealloc(b->ids, b->ids_cap * sizeof *b->ids);
    }
    b->ids[b->ids_n++] = (struct batch_id){.hash = hash, .offset = (uint32_t)offset, .length = (uint32_t)length};
}

void batch_reject(struct batch *b, size_t index, const char *pointer, const char *text)
{
    if (b->rejected++ == 0) {
        snprintf(b->first_error, sizeof b->first_error, "%s", text);
        snprintf(b->first_pointer, sizeof b->first_pointer, "%s", pointer);
    }
    if (b->errors_n >= LIMIT_ERRORS)
        return;
    if (b->errors_n++)
        buf_byte(&b->errors, ',');
    buf_printf(&b->errors, "{\"index\":%zu,\"pointer\":", index);
    buf_json(&b->errors, str_of(pointer));
    buf_lit(&b->errors, ",\"error\":");
    buf_json(&b->errors, str_of(text));
    buf_byte(&b->errors, '}');
}

void batch_reply(const struct batch *b, struct buf *out)
{
    buf_printf(out, "{\"accepted\":%u,\"duplicates\":%u,\"rejected\":%u,\"errors\":[", b->accepted, b->duplicates,
               b->rejected);
    buf_str(out, buf_view(&b->errors));
    buf_byte(out, ']');
    if (b->rejected && !b->accepted && !b->duplicates) {
        buf_lit(out, ",\"error\":");
        buf_json(out, str_of(b->first_error));
        buf_lit(out, ",\"pointer\":");
        buf_json(out, str_of(b->first_pointer));
    }
    buf_byte(out, '}');
}

usec batch_stamp(_Atomic usec *last, usec now)
{
    usec was = atomic_load(last), stamp;
    do
        stamp = now > was ? now : was + 1;
    while (!atomic_compare_exchange_weak(last, &was, stamp));
    return stamp;
}
