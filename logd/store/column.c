#include "store/column.h"
#include "base/hash.h"
#include "base/str.h"
#include "store/address.h"

#include <pthread.h>
#include <zstd.h>

enum { SLOTS = 1 << 17, DICT_SMALL = 256, SMALL_FRAME = 32, GAIN = 8 };

struct packer {
    ZSTD_CCtx *zstd;
    struct buf plain;
    int64_t numbers[COLUMN_VALUES_MAX];
    uint64_t steps[COLUMN_VALUES_MAX];
    uint16_t codes[COLUMN_VALUES_MAX];
    uint32_t counts[DICT_MAX];
    str dict[DICT_MAX];
    uint32_t slots[SLOTS]; /* code + 1 of a text of the dictionary at hand, 0: free */
};

struct packer *packer_new(int level)
{
    struct packer *p = xcalloc(1, sizeof *p);
    buf_init(&p->plain, SIZE_MAX / 2);
    p->zstd = ZSTD_createCCtx();
    assert(p->zstd);
    ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, level);
    return p;
}

void packer_free(struct packer *p)
{
    if (!p)
        return;
    ZSTD_freeCCtx(p->zstd);
    buf_done(&p->plain);
    free(p);
}

struct piece {
    uint32_t stored, bytes, sum;
};

/* p->plain, compressed where that helps. */
static struct piece put_piece(struct packer *p, struct buf *out)
{
    size_t n = p->plain.n, at = out->n;
    (void)buf_grow(out, ZSTD_compressBound(n));
    size_t packed = n < SMALL_FRAME ? n : ZSTD_compress2(p->zstd, out->p + at, out->cap - at, p->plain.p, n);
    assert(!ZSTD_isError(packed)); /* there is room, so nothing can fail */
    if (packed >= n - n / GAIN) {  /* unpacking costs more than so few bytes */
        if (n)
            memcpy(out->p + at, p->plain.p, n);
        packed = n;
    }
    out->n += packed;
    return (struct piece){(uint32_t)packed, (uint32_t)n, (uint32_t)xxh64(out->p + at, packed, 0)};
}

static void put(struct packer *p, struct buf *out, struct packed *ret)
{
    struct piece all = put_piece(p, out);
    ret->stored = all.stored;
    ret->bytes = all.bytes;
    ret->sum = all.sum;
}

static void fresh(struct packer *p, struct packed *ret, enum packing packing, size_t n)
{
    buf_reset(&p->plain);
    *ret = (struct packed){.values = (uint16_t)n, .packing = (uint8_t)packing};
}

void pack_bytes(struct packer *p, str bytes, struct buf *out, struct packed *ret)
{
    fresh(p, ret, PACK_CONST, 0);
    buf_str(&p->plain, bytes);
    put(p, out, ret);
}

/* ---- numbers ---- */

static uint8_t width_of(uint64_t max) { return (uint8_t)(max == 0 ? 0 : (64 - __builtin_clzll(max) + 7) / 8); }

static void put_planes(struct buf *out, const uint64_t *v, size_t n, unsigned width)
{
    (void)buf_grow(out, n * width);
    char *to = out->p + out->n;
    for (unsigned w = 0; w < width; w++, to += n)
        for (size_t i = 0; i < n; i++)
            to[i] = (char)(v[i] >> 8 * w);
    out->n += n * width;
}

/* The steps from value to value, less the least of them: false when a step does not fit. */
static bool find_steps(struct packer *p, const int64_t *v, size_t n, int64_t *ret_least, uint64_t *ret_widest)
{
    int64_t least = INT64_MAX, most = INT64_MIN, step;
    for (size_t i = 1; i < n; i++) {
        if (__builtin_sub_overflow(v[i], v[i - 1], &step))
            return false;
        least = step < least ? step : least;
        most = step > most ? step : most;
    }
    for (size_t i = 1; i < n; i++)
        p->steps[i - 1] = (uint64_t)(v[i] - v[i - 1]) - (uint64_t)least;
    *ret_least = least;
    *ret_widest = (uint64_t)most - (uint64_t)least;
    return true;
}

static void put_numbers(struct packer *p, const int64_t *v, size_t n, enum packing packing, struct buf *out,
                        struct packed *ret)
{
    int64_t min = v[0], max = v[0], least;
    uint64_t widest;
    for (size_t i = 1; i < n; i++) {
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
    }
    fresh(p, ret, packing, n);
    ret->min = min;
    ret->max = max;
    ret->width = width_of((uint64_t)max - (uint64_t)min);
    if (packing == PACK_INT && n > 2 && find_steps(p, v, n, &least, &widest) && width_of(widest) < ret->width) {
        ret->packing = PACK_DELTA;
        ret->width = width_of(widest);
        buf_add(&p->plain, v, sizeof *v);
        buf_add(&p->plain, &least, sizeof least);
        put_planes(&p->plain, p->steps, n - 1, ret->width);
    } else {
        for (size_t i = 0; i < n; i++)
            p->steps[i] = (uint64_t)v[i] - (uint64_t)min;
        put_planes(&p->plain, p->steps, n, ret->width);
    }
    put(p, out, ret);
}

void pack_numbers(struct packer *p, const int64_t *v, size_t n, struct buf *out, struct packed *ret)
{
    static const int64_t tens[] = {1000000000, 1000000, 1000};
    static const uint8_t scales[] = {9, 6, 3};
    size_t t = 0;
    for (size_t i = 0; i < n && t < LENGTH(tens); i++)
        while (t < LENGTH(tens) && v[i] % tens[t] != 0)
            t++;
    if (t < LENGTH(tens)) {
        for (size_t i = 0; i < n; i++)
            p->numbers[i] = v[i] / tens[t];
        v = p->numbers;
    }
    put_numbers(p, v, n, PACK_INT, out, ret);
    ret->scale = t < LENGTH(tens) ? scales[t] : 0;
}

/* ---- texts that are numbers ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* -?(0|[1-9][0-9]*), not -0, within 64 bits. */
static bool read_int(str s, int64_t *ret)
{
    size_t i = s.n > 0 && s.p[0] == '-', digits = s.n - i;
    uint64_t v = 0;
    if (digits == 0 || digits > 19 || (s.p[i] == '0' && s.n > 1))
        return false;
    for (size_t k = i; k < s.n; k++) {
        if (!is_digit(s.p[k]))
            return false;
        v = v * 10 + (uint64_t)(s.p[k] - '0');
    }
    if (v > INT64_MAX)
        return false;
    *ret = i ? -(int64_t)v : (int64_t)v;
    return true;
}

/* -?(0|[1-9][0-9]*)[.][0-9]{scale}, not -0.0, up to 18 digits. */
static bool read_decimal(str s, size_t scale, int64_t *ret)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    size_t i = minus, dot = s.n - scale - 1;
    int64_t v = 0;
    if (s.n < scale + 2 + minus || s.n - minus > 19 || s.p[dot] != '.' || (s.p[i] == '0' && dot > i + 1))
        return false;
    for (; i < s.n; i++) {
        if (i == dot)
            continue;
        if (!is_digit(s.p[i]))
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *ret = minus ? -v : v;
    return !(minus && v == 0);
}

static size_t decimals_of(str s)
{
    ptrdiff_t dot = str_chr(s, '.');
    return dot < 0 || s.n - (size_t)dot - 1 > 15 ? 0 : s.n - (size_t)dot - 1;
}

static bool all_numbers(struct packer *p, const str *v, size_t n, enum packing packing, size_t scale)
{
    for (size_t i = 0; i < n; i++) {
        bool is = packing == PACK_INT    ? read_int(v[i], &p->numbers[i])
                  : packing == PACK_IPV4 ? address_v4(v[i], &p->numbers[i])
                                         : read_decimal(v[i], scale, &p->numbers[i]);
        if (!is)
            return false;
    }
    return true;
}

static bool try_numbers(struct packer *p, const str *v, size_t n, struct buf *out, struct packed *ret)
{
    size_t scale = decimals_of(v[0]);
    enum packing packing = PACK_INT;
    if (v[0].n == 0 || v[0].n > 20 || (!is_digit(v[0].p[0]) && v[0].p[0] != '-'))
        return false;
    if (all_numbers(p, v, n, PACK_INT, 0))
        packing = PACK_INT;
    else if (all_numbers(p, v, n, PACK_IPV4, 0))
        packing = PACK_IPV4;
    else if (scale > 0 && all_numbers(p, v, n, PACK_DECIMAL, scale))
        packing = PACK_DECIMAL;
    else
        return false;
    put_numbers(p, p->numbers, n, packing, out, ret);
    ret->scale = packing == PACK_DECIMAL ? (uint8_t)scale : 0;
    return true;
}

static bool try_addresses(struct packer *p, const str *v, size_t n, struct buf *out, struct packed *ret)
{
    fresh(p, ret, PACK_IPV6, n);
    if (!addresses_put(v, n, &p->plain))
        return false;
    ret->width = ADDRESS_BYTES;
    put(p, out, ret);
    return true;
}

/* ---- hex ---- */

static bool is_dash(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

/* What a digit stands for, and 16, which others do not have: ids have no order that a branch could learn. */
static const uint8_t hex_digits[256] = {
    ['0'] = 16, ['1'] = 17, ['2'] = 18, ['3'] = 19, ['4'] = 20, ['5'] = 21, ['6'] = 22, ['7'] = 23,
    ['8'] = 24, ['9'] = 25, ['a'] = 26, ['b'] = 27, ['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31};

/* The bytes of one value; `uuid`: 36 characters with dashes, between which stands an even number of digits. */
static bool put_hex(struct buf *out, str s, bool uuid)
{
    unsigned all = 16;
    for (size_t i = 0; i < s.n; i += 2) {
        if (uuid && is_dash(i) && s.p[i++] != '-')
            return false;
        unsigned high = hex_digits[(uint8_t)s.p[i]], low = hex_digits[(uint8_t)s.p[i + 1]];
        all &= high & low;
        out->p[out->n++] = (char)(high << 4 | (low & 15));
    }
    return all;
}

static bool try_hex(struct packer *p, const str *v, size_t n, struct buf *out, struct packed *ret)
{
    size_t len = v[0].n;
    bool uuid = len == 36 && v[0].p[8] == '-';
    if (len < 8 || len > PACKED_TEXT_MAX || len % 2)
        return false;
    fresh(p, ret, uuid ? PACK_UUID : PACK_HEX, n);
    (void)buf_grow(&p->plain, n * len / 2);
    for (size_t i = 0; i < n; i++)
        if (v[i].n != len || !put_hex(&p->plain, v[i], uuid))
            return false;
    ret->width = (uint8_t)(uuid ? 16 : len / 2);
    put(p, out, ret);
    return true;
}

/* ---- texts ---- */

static uint64_t text_hash(str s)
{
    if (s.n > 16)
        return xxh64(s.p, s.n, 0);
    uint64_t a = 0, b = 0;
    if (s.n >= 8) {
        memcpy(&a, s.p, 8);
        memcpy(&b, s.p + s.n - 8, 8);
    } else if (s.n) {
        memcpy(&a, s.p, s.n);
    }
    a = (a ^ s.n << 56) * 0x9e3779b97f4a7c15u;
    a ^= (b ^ a >> 29) * 0xbf58476d1ce4e5b9u;
    return (a ^ a >> 32) * 0x94d049bb133111ebu;
}

/* Fills dict and codes; 0: more than `most` distinct texts, or so many that a dictionary would not pay. */
static size_t find_dict(struct packer *p, const str *v, size_t n, size_t most)
{
    size_t distinct = 0, mask = most <= DICT_SMALL ? 1023 : SLOTS - 1, last = 0;
    memset(p->slots, 0, (mask + 1) * sizeof *p->slots);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && str_eq(v[i], p->dict[last])) {
            p->codes[i] = (uint16_t)last;
            continue;
        }
        size_t slot = text_hash(v[i]) >> 40 & mask;
        while (p->slots[slot] && !str_eq(p->dict[p->slots[slot] - 1], v[i]))
            slot = (slot + 1) & mask;
        if (!p->slots[slot]) {
            if (distinct == most || (distinct >= 1024 && distinct > i / 2))
                return 0;
            p->dict[distinct] = v[i];
            p->slots[slot] = (uint32_t)++distinct;
        }
        last = p->slots[slot] - 1;
        p->codes[i] = (uint16_t)last;
    }
    return distinct;
}

static void put_dict(struct packer *p, size_t n, size_t distinct, struct buf *out, struct packed *ret)
{
    fresh(p, ret, PACK_DICT, n);
    ret->distinct = (uint16_t)distinct;
    ret->width = distinct <= DICT_SMALL ? 1 : 2;
    memset(p->counts, 0, distinct * sizeof *p->counts);
    for (size_t i = 0; i < n; i++)
        p->counts[p->codes[i]]++;
    for (size_t i = 0; i < distinct; i++)
        buf_add(&p->plain, &(uint32_t){(uint32_t)p->dict[i].n}, 4);
    buf_add(&p->plain, p->counts, distinct * sizeof *p->counts);
    for (size_t i = 0; i < distinct; i++)
        buf_str(&p->plain, p->dict[i]);
    struct piece dict = put_piece(p, out);
    buf_reset(&p->plain);
    (void)buf_grow(&p->plain, 2 * n);
    for (unsigned w = 0; w < ret->width; w++)
        for (size_t i = 0; i < n; i++)
            p->plain.p[p->plain.n++] = (char)(p->codes[i] >> 8 * w);
    put(p, out, ret);
    ret->dict_stored = dict.stored;
    ret->dict_bytes = dict.bytes;
    ret->dict_sum = dict.sum;
    ret->stored += dict.stored;
    ret->bytes += dict.bytes;
}

static void put_texts(struct packer *p, const str *v, size_t n, struct buf *out, struct packed *ret)
{
    size_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        p->steps[i] = v[i].n;
        longest = v[i].n > longest ? v[i].n : longest;
    }
    fresh(p, ret, PACK_TEXT, n);
    ret->width = width_of(longest);
    put_planes(&p->plain, p->steps, n, ret->width);
    for (size_t i = 0; i < n; i++)
        buf_str(&p->plain, v[i]);
    put(p, out, ret);
}

const str *packer_dict(const struct packer *p) { return p->dict; }

void pack_texts(struct packer *p, const str *v, size_t n, bool as_text, struct buf *out, struct packed *ret)
{
    assert(n > 0 && n <= COLUMN_VALUES_MAX);
    size_t distinct = as_text ? 0 : find_dict(p, v, n, DICT_SMALL);
    if (distinct == 1) {
        fresh(p, ret, PACK_CONST, n);
        ret->distinct = 1;
        buf_str(&p->plain, v[0]);
        put(p, out, ret);
    } else if (distinct > 0) {
        put_dict(p, n, distinct, out, ret);
    } else if (as_text ||
               (!try_numbers(p, v, n, out, ret) && !try_addresses(p, v, n, out, ret) && !try_hex(p, v, n, out, ret))) {
        distinct = as_text || n < 4096 ? 0 : find_dict(p, v, n, n / 4);
        if (distinct)
            put_dict(p, n, distinct, out, ret);
        else
            put_texts(p, v, n, out, ret);
    }
}

/* ---- reading ---- */

static int damaged(const struct packed *info, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "a column at offset %llu is damaged: its lengths do not fit its %u bytes",
                   (unsigned long long)info->offset, info->bytes);
}

/* One for each thread that unpacks: to make one anew costs as much as a small column. */
static pthread_key_t unpacker_key;
static pthread_once_t unpacker_once = PTHREAD_ONCE_INIT;
static void unpacker_free(void *zstd) { ZSTD_freeDCtx(zstd); }
static void unpacker_init(void)
{
    if (pthread_key_create(&unpacker_key, unpacker_free) != 0)
        abort(); /* no memory */
}

static ZSTD_DCtx *unpacker(void)
{
    pthread_once(&unpacker_once, unpacker_init);
    ZSTD_DCtx *zstd = pthread_getspecific(unpacker_key);
    if (!zstd) {
        zstd = ZSTD_createDCtx();
        if (!zstd || pthread_setspecific(unpacker_key, zstd) != 0)
            abort(); /* no memory */
    }
    return zstd;
}

static int unpack(const struct packed *info, const char *stored, struct piece is, struct arena *a, str *ret,
                  struct err *e)
{
    if ((uint32_t)xxh64(stored, is.stored, 0) != is.sum)
        return err_set(e, ERR_CORRUPT, "a column at offset %llu is damaged: its checksum is wrong",
                       (unsigned long long)info->offset);
    if (is.stored == is.bytes) {
        *ret = str_n(stored, is.bytes);
        return 0;
    }
    char *out = arena_alloc(a, is.bytes + 1);
    size_t n = ZSTD_decompressDCtx(unpacker(), out, is.bytes, stored, is.stored);
    if (ZSTD_isError(n) || n != is.bytes)
        return err_set(e, ERR_CORRUPT, "a column at offset %llu is damaged: %s", (unsigned long long)info->offset,
                       ZSTD_isError(n) ? ZSTD_getErrorName(n) : "its length is wrong");
    *ret = str_n(out, n);
    return 0;
}

/* Planes of n values; `p` has n * width bytes. The usual widths in one pass each. */
VECTORS static void read_planes(const uint8_t *restrict p, size_t n, unsigned width, uint64_t plus,
                                uint64_t *restrict out)
{
    if (width == 0)
        for (size_t i = 0; i < n; i++)
            out[i] = plus;
    else if (width == 1)
        for (size_t i = 0; i < n; i++)
            out[i] = plus + p[i];
    else
        for (size_t i = 0; i < n; i++)
            out[i] = plus + (p[i] | (uint64_t)p[n + i] << 8);
    for (unsigned w = 2; w < width; w++)
        for (size_t i = 0; i < n; i++)
            out[i] += (uint64_t)p[w * n + i] << 8 * w;
}

static int64_t power_of_ten(unsigned n)
{
    int64_t v = 1;
    while (n-- > 0)
        v *= 10;
    return v;
}

static int glance_numbers(struct column *c, struct err *e)
{
    const struct packed *info = c->info;
    bool delta = info->packing == PACK_DELTA;
    size_t head = delta ? 16 : 0, n = c->n - delta;
    if (info->width > 8 || info->scale > 18 || c->bytes.n != head + n * info->width)
        return damaged(info, e);
    c->planes = delta ? NULL : (const uint8_t *)c->bytes.p;
    return 0;
}

static void complete_numbers(struct column *c, struct arena *a)
{
    const struct packed *info = c->info;
    bool delta = info->packing == PACK_DELTA;
    size_t head = delta ? 16 : 0, n = c->n - delta;
    uint64_t *v = arena_alloc(a, c->n * sizeof *v), at, step;
    const uint8_t *planes = (const uint8_t *)c->bytes.p + head;
    if (delta) {
        memcpy(&at, c->bytes.p, 8);
        memcpy(&step, c->bytes.p + 8, 8);
        read_planes(planes, n, info->width, step, v + 1);
        v[0] = at;
        for (size_t i = 1; i < c->n; i++)
            v[i] = at += v[i];
    } else {
        read_planes(planes, n, info->width, (uint64_t)info->min, v);
    }
    if (info->scale && info->packing != PACK_DECIMAL) {
        uint64_t by = (uint64_t)power_of_ten(info->scale);
        for (size_t i = 0; i < c->n; i++)
            v[i] *= by;
    }
    c->numbers = (int64_t *)v;
}

/* `lengths` become ends; they must add up to `total`. */
static int read_ends(struct column *c, const uint64_t *lengths, size_t n, size_t total, struct arena *a, struct err *e)
{
    uint32_t *ends = (uint32_t *)arena_alloc(a, (n + 1) * sizeof *ends) + 1;
    uint64_t at = 0;
    ends[-1] = 0;
    for (size_t i = 0; i < n; i++) {
        at += lengths[i];
        if (at > total)
            return damaged(c->info, e);
        ends[i] = (uint32_t)at;
    }
    c->ends = ends;
    return at == total ? 0 : damaged(c->info, e);
}

static int glance_texts(struct column *c, struct err *e)
{
    size_t head = c->n * c->info->width;
    if (c->info->width > 4 || c->bytes.n < head)
        return damaged(c->info, e);
    c->bytes = str_skip(c->bytes, head);
    return 0;
}

static int complete_texts(struct column *c, struct arena *a, struct err *e)
{
    uint64_t *lengths = arena_alloc(a, (c->n + 1) * sizeof *lengths);
    const char *planes = c->bytes.p - c->n * c->info->width;
    read_planes((const uint8_t *)planes, c->n, c->info->width, 0, lengths);
    return read_ends(c, lengths, c->n, c->bytes.n, a, e);
}

VECTORS static size_t greatest_code(const uint8_t *low, size_t n, bool two)
{
    uint8_t most_low = 0;
    uint16_t most = 0;
    for (size_t i = 0; i < n && !two; i++)
        most_low = low[i] > most_low ? low[i] : most_low;
    for (size_t i = 0; i < n && two; i++) {
        uint16_t code = (uint16_t)(low[i] | low[n + i] << 8);
        most = code > most ? code : most;
    }
    return two ? most : most_low;
}

static int glance_dict(struct column *c, struct arena *a, struct err *e)
{
    const struct packed *info = c->info;
    size_t distinct = info->distinct, head = 8 * distinct;
    uint64_t values = 0;
    if (distinct == 0 || info->width < 1 || info->width > 2 || c->bytes.n < head ||
        info->bytes - info->dict_bytes != c->n * info->width)
        return damaged(info, e);
    uint64_t *lengths = arena_alloc(a, distinct * sizeof *lengths);
    uint32_t *counts = arena_alloc(a, distinct * sizeof *counts);
    memcpy(counts, c->bytes.p + 4 * distinct, distinct * sizeof *counts);
    for (size_t i = 0; i < distinct; i++) {
        uint32_t n;
        memcpy(&n, c->bytes.p + 4 * i, 4);
        lengths[i] = n;
        values += counts[i];
    }
    c->bytes = str_skip(c->bytes, head);
    c->counts = counts;
    return values == c->n ? read_ends(c, lengths, distinct, c->bytes.n, a, e) : damaged(info, e);
}

static int complete_dict(struct column *c, const char *rest, struct arena *a, struct err *e)
{
    const struct packed *info = c->info;
    struct piece is = {info->stored - info->dict_stored, info->bytes - info->dict_bytes, info->sum};
    str codes;
    if (unpack(info, rest, is, a, &codes, e) < 0)
        return -1;
    c->codes = (const uint8_t *)codes.p;
    return c->n && greatest_code(c->codes, c->n, info->width == 2) >= info->distinct ? damaged(info, e) : 0;
}

int column_glance(const struct packed *info, const char *stored, struct arena *a, struct column *ret, struct err *e)
{
    struct piece is = {info->stored, info->bytes, info->sum};
    if (info->packing == PACK_DICT)
        is = (struct piece){info->dict_stored, info->dict_bytes, info->dict_sum};
    *ret = (struct column){.info = info, .n = info->values};
    if (unpack(info, stored, is, a, &ret->bytes, e) < 0)
        return -1;
    switch (info->packing) {
    case PACK_CONST: return 0;
    case PACK_DICT: return glance_dict(ret, a, e);
    case PACK_TEXT: return glance_texts(ret, e);
    case PACK_HEX:
    case PACK_UUID:
        return info->width > PACKED_TEXT_MAX / 2 || ret->bytes.n != ret->n * info->width ||
                       (info->packing == PACK_UUID && info->width != 16)
                   ? damaged(info, e)
                   : 0;
    case PACK_INT:
    case PACK_DELTA:
    case PACK_DECIMAL:
    case PACK_IPV4: return glance_numbers(ret, e);
    case PACK_IPV6:
        ret->planes = (const uint8_t *)ret->bytes.p;
        return ret->bytes.n == ret->n * ADDRESS_BYTES ? 0 : damaged(info, e);
    default:
        return err_set(e, ERR_CORRUPT, "a column at offset %llu has packing %u, which this logd does not know",
                       (unsigned long long)info->offset, info->packing);
    }
}

int column_complete(struct column *c, const char *rest, struct arena *a, struct err *e)
{
    if (c->info->packing == PACK_DICT && complete_dict(c, rest, a, e) < 0)
        return -1;
    if (c->info->packing == PACK_TEXT && complete_texts(c, a, e) < 0)
        return -1;
    if (packing_is_number(c->info->packing))
        complete_numbers(c, a);
    c->whole = true;
    return 0;
}

static str hex_text(const char *p, size_t n, bool uuid, char *room)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (uuid && is_dash(at))
            room[at++] = '-';
        room[at++] = digits[(unsigned char)p[i] >> 4];
        room[at++] = digits[p[i] & 15];
    }
    return str_n(room, at);
}

static char *print_backwards(char *end, uint64_t v)
{
    do
        *--end = (char)('0' + v % 10);
    while (v /= 10);
    return end;
}

str number_text(const struct packed *info, int64_t v, char room[PACKED_TEXT_MAX])
{
    char *end = room + PACKED_TEXT_MAX, *p = end;
    if (info->packing == PACK_IPV4) {
        p = address_v4_print((uint32_t)v, end);
        return str_n(p, (size_t)(end - p));
    }
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (info->packing == PACK_DECIMAL) {
        for (unsigned i = 0; i < info->scale; i++, rest /= 10)
            *--p = (char)('0' + rest % 10);
        *--p = '.';
    }
    p = print_backwards(p, rest);
    if (v < 0)
        *--p = '-';
    return str_n(p, (size_t)(end - p));
}

str column_distinct(const struct column *c, size_t code)
{
    if (c->info->packing == PACK_CONST)
        return c->bytes;
    return str_n(c->bytes.p + c->ends[(ptrdiff_t)code - 1], c->ends[code] - c->ends[(ptrdiff_t)code - 1]);
}

str column_text(const struct column *c, size_t i, char room[PACKED_TEXT_MAX])
{
    uint8_t address[ADDRESS_BYTES];
    switch (c->info->packing) {
    case PACK_CONST: return c->bytes;
    case PACK_DICT: return column_distinct(c, column_code(c, i));
    case PACK_TEXT: return str_n(c->bytes.p + c->ends[(ptrdiff_t)i - 1], c->ends[i] - c->ends[(ptrdiff_t)i - 1]);
    case PACK_HEX:
    case PACK_UUID:
        return hex_text(c->bytes.p + i * c->info->width, c->info->width, c->info->packing == PACK_UUID, room);
    case PACK_IPV6: address_at(c->planes, c->n, i, address); return address_text(address, room);
    default: return number_text(c->info, c->numbers[i], room);
    }
}
