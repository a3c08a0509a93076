/* Any bytes as a segment: it is opened, or says why not, and every block gives its lines and events and the answers to
 * filters, or says what is damaged; nothing is read outside of the file, and memory is bounded by what a block may hold.
 *
 * Input: a byte of flags, then the file (RAW), or changes to a real segment whose columns were unpacked, so that what is
 * behind zstd is reached: for each a byte (how many bytes, 1 to 8; high bit: in the block table), three of place, bytes.
 * The low bits of the flags choose the segment, LARGE the one whose values are
 * too many for dictionaries. Checksums are set right first, for the fuzzer cannot guess them. */
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "event/event.h"
#include "query/columns.h"
#include "store/segment.h"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

enum { RAW = 0x80, LARGE = 0x40, BASES = 5, TAIL = 88, IN_TABLE = 0x80 };
static char dir[64], file[128];
static struct buf base[BASES], work, lines_room;
static struct buf base_lines[BASES];

static uint64_t get(const char *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* ---- real segments ---- */

static void add_fields(struct buf *out, unsigned which, uint64_t h, unsigned i)
{
    if (which == 0) /* nothing but what must be */
        return;
    buf_printf(out, ",\"message\":\"m %u %s\"", i, h % 3 ? "x" : "esc\\\"aped\\u0000 \\u00e9");
    if (which == 1)
        return;
    buf_printf(out, ",\"status\":%u,\"ip\":\"10.0.%u.%u\",\"ms\":%u.%02u,\"trace\":\"%016llx\"", (unsigned)(h % 600),
               (unsigned)(h >> 8 & 255), i & 255, (unsigned)(h % 77), i % 100, (unsigned long long)h);
    if (i % 3)
        buf_printf(out, ",\"u\":\"%08x-0000-4000-8000-%012llx\",\"n\":null,\"b\":%s,\"j\":[1,{\"a\":2}]", i,
                   (unsigned long long)(h & 0xffffffffffff), h & 1 ? "true" : "false");
    buf_printf(out, i % 2 ? ",\"peer\":\"2001:db8::%x\"" : ",\"peer\":\"10.0.0.%u\"", i % 2 ? i : i / 2);
    buf_printf(out, h % 4 ? ",\"k\":%u" : ",\"k\":\"t%u\"", i % 5);
    for (unsigned k = 0; which == 3 && k < 40; k++)
        buf_printf(out, ",\"f%u\":%u", i * 40 + k, k);
}

static void one_line(struct buf *out, unsigned which, unsigned i)
{
    char id[EVENT_ID_LEN], time[TIME_TEXT_MAX];
    uint64_t h = xxh64(&i, sizeof i, which);
    event_id_print(1700000000000000 + i, i, id);
    size_t n = time_print(1700000000ll * NSEC_PER_SEC + (nsec)(h % 1000000000000), i % 10, time);
    buf_printf(out, "{\"id\":\"%.15s\",", id);
    if (which >= 2 && i % 2)
        buf_printf(out, "\"event_id\":\"e%u\",", i);
    buf_printf(out, "\"time\":\"%.*s\",\"app\":\"%s\",\"level\":\"error\",\"severity_number\":17", (int)n, time,
               which == 2 && i % 2 ? "other" : "shop");
    add_fields(out, which, h, i);
    buf_lit(out, "}\n");
}

static void unpack_piece(const char *from, size_t stored, size_t bytes, struct buf *out)
{
    (void)buf_grow(out, bytes + 1);
    if (stored < bytes)
        assert(ZSTD_decompress(out->p + out->n, bytes, from, stored) == bytes);
    else
        memcpy(out->p + out->n, from, bytes);
    out->n += bytes;
}

/* The same segment with every column as it is unpacked. */
static void unpack(const struct buf *in, struct buf *out)
{
    const char *tail = in->p + in->n - TAIL;
    uint64_t table = get(tail, 8), table_n = get(tail + 8, 8), names_n = get(tail + 16, 8);
    struct buf heads = BUF_INIT(1 << 24);
    buf_add(out, in->p, 8);
    buf_add(&heads, in->p + table, table_n + names_n);
    buf_add(&heads, tail, TAIL);
    for (size_t at = 0; at < table_n;) {
        struct block_head h;
        memcpy(&h, heads.p + at, sizeof h);
        size_t columns = at + sizeof h;
        for (uint32_t i = 0; i < h.columns; i++) {
            struct packed p;
            memcpy(&p, heads.p + columns + i * sizeof p, sizeof p);
            uint64_t from = p.offset;
            p.offset = out->n;
            bool dict = p.packing == PACK_DICT;
            if (dict)
                unpack_piece(in->p + from, p.dict_stored, p.dict_bytes, out);
            size_t stored = dict ? p.dict_stored : 0, bytes = dict ? p.dict_bytes : 0;
            unpack_piece(in->p + from + stored, p.stored - stored, p.bytes - bytes, out);
            p.stored = p.bytes;
            if (dict)
                p.dict_stored = p.dict_bytes;
            memcpy(heads.p + columns + i * sizeof p, &p, sizeof p);
        }
        uint64_t from = h.signature;
        h.signature = out->n;
        buf_add(out, in->p + from, h.signature_bytes);
        memcpy(heads.p + at, &h, sizeof h);
        at = columns + h.columns * sizeof(struct packed);
    }
    uint64_t placed = out->n;
    memcpy(heads.p + table_n + names_n, &placed, 8);
    buf_str(out, buf_view(&heads));
    buf_done(&heads);
}

static void make_base(unsigned which)
{
    struct segment_writer *w;
    struct segment *s;
    struct err e;
    struct buf packed = BUF_INIT(1 << 24), *lines = &base_lines[which];
    buf_init(lines, 1 << 24);
    buf_init(&base[which], 1 << 24);
    if (segment_create(dir, 1, 100, SEAL_LEVEL, &w, &e) < 0)
        abort();
    unsigned blocks = which == BASES - 1 ? 1 : 2, events = which == BASES - 1 ? 300 : 12;
    for (unsigned block = 0; block < blocks; block++) {
        struct store_block info = {.t_min = 1, .t_max = INT64_MAX, .app = 1, .levels = 1 << 17, .events = events};
        size_t from = lines->n;
        for (unsigned i = 0; i < events; i++)
            one_line(lines, which, block * events + i);
        if (segment_add(w, str_n(lines->p + from, lines->n - from), &info, &e) < 0)
            abort();
    }
    if (segment_finish(w, &s, &e) < 0 || file_read(s->path, 1 << 24, &packed, &e) < 0)
        abort();
    (void)unlink(s->path);
    segment_unref(s);
    unpack(&packed, &base[which]);
    buf_done(&packed);
}

/* ---- checksums ---- */

static void sign_block(struct buf *b, uint64_t at)
{
    struct block_head h;
    memcpy(&h, b->p + at, sizeof h);
    for (uint32_t i = 0; i < h.columns; i++) {
        char *to = b->p + at + sizeof h + i * sizeof(struct packed);
        struct packed p;
        memcpy(&p, to, sizeof p);
        size_t dict = p.packing == PACK_DICT && p.dict_stored <= p.stored ? p.dict_stored : 0;
        if (p.offset <= b->n && p.stored <= b->n - p.offset) {
            p.sum = (uint32_t)xxh64(b->p + p.offset + dict, p.stored - dict, 0);
            if (dict)
                p.dict_sum = (uint32_t)xxh64(b->p + p.offset, dict, 0);
        }
        memcpy(to, &p, sizeof p);
    }
    if (h.signature_bytes >= 8 && h.signature <= b->n && h.signature_bytes <= b->n - h.signature) {
        uint64_t sum = xxh64(b->p + h.signature, h.signature_bytes - 8, 0);
        if (h.signature + h.signature_bytes <= b->n - TAIL) /* not over the tail: that would never end */
            memcpy(b->p + h.signature + h.signature_bytes - 8, &sum, 8);
    }
}

static void sign(struct buf *b)
{
    if (b->n < 8 + TAIL)
        return;
    char *tail = b->p + b->n - TAIL;
    memcpy(b->p, "LOGDSEG1", 8);
    memcpy(tail + TAIL - 8, "LOGDEND1", 8);
    uint64_t table = get(tail, 8), table_n = get(tail + 8, 8), names_n = get(tail + 16, 8), end = b->n - TAIL;
    if (table > end || table_n > end - table || names_n > end - table - table_n)
        return;
    for (uint64_t at = table; table + table_n - at >= sizeof(struct block_head);) {
        uint64_t columns = get(b->p + at + 12, 4), size = sizeof(struct block_head) + columns * sizeof(struct packed);
        if (size > table + table_n - at)
            break;
        sign_block(b, at);
        at += size;
    }
    uint64_t hash = xxh64(tail, TAIL - 16, xxh64(b->p + table, table_n + names_n, 0));
    memcpy(tail + TAIL - 16, &hash, 8);
}

/* ---- reading ---- */

static void read_columns(struct block *b)
{
    char room[PACKED_TEXT_MAX];
    size_t sum = 0;
    struct err e;
    for (uint32_t i = 0; i < b->head->columns; i++) {
        const struct column *c = block_column(b, i, &e);
        const uint16_t *rows = block_rows(b, i, &e);
        for (size_t k = 0; c && k < c->n; k++)
            sum += i == SYSTEM_SHAPE || i == SYSTEM_MINUTES ? 0 : column_text(c, k, room).n;
        for (size_t k = 0; rows && k < b->columns[i].values; k++)
            assert(rows[k] < b->head->events);
        sum += block_name(b, i).n;
    }
    (void)!sum;
}

static const char *const filters[] = {
    "esc -\"x\\\"y\"",
    "message:m*1 or message:\"m 17\"",
    "status>300 ms<50 status:1..900 -ms=3",
    "ip:10.0.0.0/16 or peer:10.0.0.1",
    "peer:2001:db8::/120 or peer:10.0.0.0..10.0.0.9 or peer:(fe80::1,::1)",
    "level>=warn time>2023-11-14",
    "level:info or -time:2023-11-14",
    "~\"m [0-9]+\"",
    "trace=0123456789abcdef or trace:0123456789abcdef or u:01234567-0000-4000-8000-000000000000",
    "k:t1 or f7:7 or -n:* or k=3",
    "id:1* event_id=e3 b:true j:2"};
static struct prepared *prepared[LENGTH(filters)];

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void ask_filters(struct block *b, size_t i)
{
    struct arena scratch = {0};
    size_t words = bit_words(b->head->events);
    for (size_t k = 0; k < LENGTH(filters); k++) {
        struct err e = {0};
        arena_reset(&scratch);
        uint64_t *bits = arena_alloc(&scratch, words * sizeof *bits);
        memset(bits, 0xff, words * sizeof *bits);
        int rc = columns_match(prepared[k], b, i, bits, &scratch, never, NULL, &e);
        assert(rc == 0 || e.text[0]);
    }
    arena_done(&scratch);
}

static void read_block(const struct segment *s, size_t i, bool intact, str *want)
{
    static struct event ev;
    struct arena a = {0};
    struct block b;
    struct signature signature;
    struct probe probe;
    struct err e;
    str lines;
    bool signed_ = segment_signature(s, i, &a, &signature);
    probe_init(&probe, S("esc\"aped"));
    if (signed_)
        (void)(signature_may_contain(&signature, &probe) + signature_may_equal(&signature, &probe));
    int rc = segment_lines(s, i, &lines_room, &lines, &e);
    assert(rc == 0 ? lines.n == s->blocks[i].head->raw : e.text[0] != '\0');
    assert(!intact || (rc == 0 && signed_ && str_starts(*want, lines)));
    *want = intact ? str_skip(*want, lines.n) : *want;
    block_open(s, i, &a, &b);
    read_columns(&b);
    ask_filters(&b, i);
    for (size_t row = 0; row < b.head->events; row++)
        if (block_event(&b, row, NULL, &ev, &e) < 0 && row > 64)
            break;
    arena_done(&a);
}

static void read_all(bool intact, str want)
{
    struct segment *s;
    struct err e;
    if (segment_open(file, &s, &e) < 0) {
        assert(!intact && e.text[0]);
        return;
    }
    for (size_t i = 0; i < s->n; i++)
        read_block(s, i, intact, &want);
    assert(!intact || want.n == 0);
    segment_unref(s);
}

static bool change(struct buf *b, const uint8_t *p, size_t n)
{
    bool changed = false;
    uint64_t table = get(b->p + b->n - TAIL, 8);
    for (size_t at = 0, count; at + 4 < n; at += 4 + count) {
        count = 1 + (p[at] & 7);
        count = count < n - at - 4 ? count : n - at - 4;
        uint64_t from = p[at] & IN_TABLE ? table : 8, place = from + get((const char *)p + at + 1, 3) % (b->n - from);
        for (size_t k = 0; k < count && place + k < b->n; k++) {
            changed |= (uint8_t)b->p[place + k] != p[at + 4 + k];
            b->p[place + k] = (char)p[at + 4 + k];
        }
    }
    return changed;
}

static void remove_all(void)
{
    unlink(file);
    rmdir(dir);
}

static void start(void)
{
    snprintf(dir, sizeof dir, "%s/fuzz-segment-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir) || atexit(remove_all) != 0)
        abort();
    snprintf(file, sizeof file, "%s/f.seg", dir);
    for (size_t i = 0; i < LENGTH(filters); i++) {
        struct filter *f;
        struct err e;
        if (filter_parse(str_of(filters[i]), &f, &e) < 0)
            abort();
        prepared[i] = prepare(f); /* for as long as the program runs */
    }
    buf_init(&work, 1 << 24);
    buf_init(&lines_room, SIZE_MAX / 2);
    for (unsigned i = 0; i < BASES; i++)
        make_base(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!dir[0])
        start();
    if (n == 0)
        return 0;
    unsigned which = data[0] & LARGE ? BASES - 1 : data[0] % (BASES - 1);
    bool intact = false;
    buf_reset(&work);
    if (data[0] & RAW) {
        buf_add(&work, data + 1, n - 1);
    } else {
        buf_str(&work, buf_view(&base[which]));
        intact = !change(&work, data + 1, n - 1);
    }
    sign(&work);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (fd < 0 || write_all(fd, buf_view(&work)) < 0)
        abort();
    close(fd);
    read_all(intact, buf_view(&base_lines[which]));
    return 0;
}
