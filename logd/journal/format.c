#include "journal/format.h"
#include "base/hash.h"
#include "base/str.h"

static const char file_magic[8] = "\x89LOGDJ\r\n";
const char record_magic[8] = "\xffLREC\xfe\r\n";

static void put32(char *p, uint32_t v) { memcpy(p, &v, 4); }
static void put64(char *p, uint64_t v) { memcpy(p, &v, 8); }
static uint32_t get32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

void file_header_write(const struct file_header *h, char out[FILE_HEADER])
{
    memset(out, 0, FILE_HEADER);
    memcpy(out, file_magic, sizeof file_magic);
    put32(out + 8, FORMAT_VERSION);
    put32(out + 12, (uint32_t)h->kind);
    put64(out + 16, h->number);
    put64(out + 24, h->first_seq);
    put64(out + 32, (uint64_t)h->before_us);
    put64(out + 56, xxh64(out, 56, 0));
}

enum header_state file_header_read(const char *p, size_t n, struct file_header *ret)
{
    if (n < FILE_HEADER || memcmp(p, file_magic, sizeof file_magic) != 0 || get64(p + 56) != xxh64(p, 56, 0))
        return HEADER_BAD;
    if (get32(p + 8) > FORMAT_VERSION)
        return HEADER_NEWER;
    *ret = (struct file_header){.kind = (enum file_kind)get32(p + 12),
                                .number = get64(p + 16),
                                .first_seq = get64(p + 24),
                                .before_us = (usec)get64(p + 32)};
    return ret->first_seq > 0 ? HEADER_OK : HEADER_BAD;
}

uint64_t payload_sum(const char *meta, size_t meta_n, const char *body, size_t body_n)
{
    return xxh64(body, body_n, xxh64(meta, meta_n, 0));
}

static uint64_t place(uint64_t number, uint64_t at) { return (number << 40) + at; }

void record_header_write(const struct record_header *h, uint64_t number, uint64_t at, char out[RECORD_HEADER])
{
    memcpy(out, record_magic, sizeof record_magic);
    out[8] = FORMAT_VERSION;
    out[9] = (char)h->type;
    out[10] = (char)h->flags;
    out[11] = 0;
    put32(out + 12, h->app);
    put64(out + 16, h->seq);
    put64(out + 24, (uint64_t)h->recv_us);
    put32(out + 32, h->events);
    put32(out + 36, h->ids);
    put32(out + 40, h->meta_n);
    put32(out + 44, h->body_n);
    put64(out + 48, h->group);
    put64(out + 56, h->payload_sum);
    put64(out + 64, xxh64(out, 64, place(number, at)));
}

enum header_state record_header_read(const char *p, uint64_t number, uint64_t at, struct record_header *ret)
{
    if (memcmp(p, record_magic, sizeof record_magic) != 0 || get64(p + 64) != xxh64(p, 64, place(number, at)))
        return HEADER_BAD;
    if ((uint8_t)p[8] > FORMAT_VERSION)
        return HEADER_NEWER;
    *ret = (struct record_header){.type = (uint8_t)p[9],
                                  .flags = (uint8_t)p[10],
                                  .app = get32(p + 12),
                                  .seq = get64(p + 16),
                                  .recv_us = (usec)get64(p + 24),
                                  .events = get32(p + 32),
                                  .ids = get32(p + 36),
                                  .meta_n = get32(p + 40),
                                  .body_n = get32(p + 44),
                                  .group = get64(p + 48),
                                  .payload_sum = get64(p + 56)};
    return ret->seq > 0 && ret->group >= FILE_HEADER && ret->group <= at ? HEADER_OK : HEADER_BAD;
}

size_t record_meta_size(const struct record_header *h, size_t reply_n)
{
    return (h->flags & RECORD_IDEMPOTENT ? 36 + reply_n : 0) + 8 * (size_t)h->ids;
}

void record_meta_write(const struct batch *b, str reply, struct buf *out)
{
    if (b->idempotent) {
        char n[4];
        put32(n, (uint32_t)reply.n);
        buf_add(out, b->idem_key, 16);
        buf_add(out, b->idem_body, 16);
        buf_add(out, n, 4);
        buf_str(out, reply);
    }
    for (size_t i = 0; i < b->ids_n; i++)
        buf_add(out, &b->ids[i].hash, 8);
}

bool record_meta_read(const struct record_header *h, const char *meta, struct record_meta *ret)
{
    size_t left = h->meta_n;
    *ret = (struct record_meta){.idempotent = h->flags & RECORD_IDEMPOTENT};
    if (ret->idempotent) {
        if (left < 36 || get32(meta + 32) > left - 36)
            return false;
        ret->idem_key = (const uint8_t *)meta;
        ret->idem_body = (const uint8_t *)meta + 16;
        ret->reply = str_n(meta + 36, get32(meta + 32));
        meta += 36 + ret->reply.n;
        left -= 36 + ret->reply.n;
    }
    ret->ids = meta;
    return left == 8 * (size_t)h->ids;
}

void journal_name(uint64_t number, enum file_kind kind, char out[JOURNAL_NAME_MAX])
{
    snprintf(out, JOURNAL_NAME_MAX, "%08llu.%c", (unsigned long long)number, kind == FILE_WINDOW ? 'w' : 'j');
}

bool journal_name_read(const char *name, enum file_kind kind, uint64_t *ret_number)
{
    str s = str_of(name), digits = str_cut(&s, '.');
    uint64_t n;
    char again[JOURNAL_NAME_MAX];
    if (!str_u64(digits, &n) || n == 0 || n >= 1u << 24)
        return false;
    journal_name(n, kind, again);
    if (!str_eq(str_of(again), str_of(name)))
        return false;
    *ret_number = n;
    return true;
}
