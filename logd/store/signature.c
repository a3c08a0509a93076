#include "store/signature.h"
#include "base/hash.h"
#include "base/str.h"

enum { BLOCK_WORDS = 8, VALUES_PER_BLOCK = 256 / 10 };
#define DENSITY 6 /* at least so many bits for each that is set, as far as there are */

struct signature_maker {
    uint8_t seen[SIGNATURE_BITS];
    struct buf folded;
    uint64_t *values;
    size_t n, cap;
};

static inline uint32_t place(uint32_t three) { return (three * 0x9e3779b1u) >> 16; }

VECTORS static void fold(const char *restrict text, size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        out[i] = (uint8_t)(c | ((uint8_t)(c - 'A') < 26 ? 32 : 0));
    }
}

struct signature_maker *signature_new(void)
{
    struct signature_maker *m = xcalloc(1, sizeof *m);
    buf_init(&m->folded, SIZE_MAX / 2);
    return m;
}

void signature_free(struct signature_maker *m)
{
    if (!m)
        return;
    free(m->values);
    buf_done(&m->folded);
    free(m);
}

void signature_reset(struct signature_maker *m)
{
    memset(m->seen, 0, sizeof m->seen);
    m->n = 0;
}

void signature_text(struct signature_maker *m, str text)
{
    if (text.n < 3)
        return;
    buf_reset(&m->folded);
    (void)buf_grow(&m->folded, text.n + 1); /* four bytes are read where three count */
    fold(text.p, text.n, (uint8_t *)m->folded.p);
    m->folded.p[text.n] = 0;
    for (size_t i = 0; i + 2 < text.n; i++)
        m->seen[place(load4(m->folded.p + i) & 0xffffff)] = 1;
}

static uint64_t value_hash(str s) { return xxh64(s.p, s.n, 0x5167); }

void signature_value(struct signature_maker *m, str lower)
{
    if (m->n == m->cap)
        m->values = xrealloc(m->values, (m->cap = m->cap ? 2 * m->cap : 1024) * sizeof *m->values);
    m->values[m->n++] = value_hash(lower);
}

/* The eight bits of a value in its block, one in each word. */
static const uint32_t salt[BLOCK_WORDS] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                           0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};
static inline uint32_t bit(uint64_t hash, unsigned word) { return 1u << (((uint32_t)hash * salt[word]) >> 27); }
static inline size_t block_of(uint64_t hash, uint32_t blocks) { return (hash >> 32) * blocks >> 32; }

/* The fewest bits that are not crowded: halves laid over each other keep every bit that was set. */
static unsigned choose_log2(const struct signature_maker *m)
{
    size_t set = 0;
    unsigned log2 = 16;
    for (size_t i = 0; i < SIGNATURE_BITS; i++)
        set += m->seen[i];
    while (log2 > 9 && set * DENSITY < 1u << (log2 - 1))
        log2--;
    return log2;
}

void signature_write(struct signature_maker *m, struct buf *out)
{
    size_t from = out->n;
    unsigned log2 = choose_log2(m);
    uint32_t blocks_n = (uint32_t)((m->n + VALUES_PER_BLOCK - 1) / VALUES_PER_BLOCK), head[2] = {log2, blocks_n};
    size_t bits_bytes = (1u << log2) / 8, size = sizeof head + bits_bytes + (size_t)blocks_n * 4 * BLOCK_WORDS;
    (void)buf_grow(out, size + 8);
    memcpy(out->p + from, head, sizeof head);
    uint8_t *bits = (uint8_t *)out->p + from + sizeof head;
    memset(bits, 0, size - sizeof head);
    for (uint32_t i = 0; i < SIGNATURE_BITS; i++) {
        uint32_t at = i & ((1u << log2) - 1);
        bits[at / 8] |= (uint8_t)(m->seen[i] << at % 8);
    }
    for (size_t i = 0; i < m->n; i++) {
        uint8_t *block = bits + bits_bytes + block_of(m->values[i], blocks_n) * 4 * BLOCK_WORDS;
        for (unsigned w = 0; w < BLOCK_WORDS; w++) {
            uint32_t word;
            memcpy(&word, block + 4 * w, 4);
            word |= bit(m->values[i], w);
            memcpy(block + 4 * w, &word, 4);
        }
    }
    uint64_t sum = xxh64(out->p + from, size, 0);
    memcpy(out->p + from + size, &sum, 8);
    out->n += size + 8;
}

bool signature_read(str bytes, struct signature *ret)
{
    uint32_t head[2];
    uint64_t sum;
    if (bytes.n < sizeof head + 8)
        return false;
    memcpy(head, bytes.p, sizeof head);
    memcpy(&sum, bytes.p + bytes.n - 8, 8);
    size_t bits_bytes = head[0] <= 16 && head[0] >= 9 ? (1u << head[0]) / 8 : 0;
    if (!bits_bytes || bytes.n != sizeof head + bits_bytes + (size_t)head[1] * 4 * BLOCK_WORDS + 8 ||
        xxh64(bytes.p, bytes.n - 8, 0) != sum)
        return false;
    *ret = (struct signature){(const uint64_t *)(const void *)(bytes.p + sizeof head), (1u << head[0]) - 1,
                              (const uint32_t *)(const void *)(bytes.p + sizeof head + bits_bytes), head[1]};
    return true;
}

void probe_init(struct probe *p, str lower)
{
    p->n = 0;
    p->hash = value_hash(lower);
    for (size_t i = 2; i < lower.n && p->n < PROBE_MAX; i++) {
        const uint8_t *c = (const uint8_t *)lower.p + i;
        p->at[p->n++] = (uint16_t)place((uint32_t)c[0] << 16 | (uint32_t)c[-1] << 8 | c[-2]);
    }
}

bool signature_may_contain(const struct signature *s, const struct probe *p)
{
    for (size_t i = 0; i < p->n; i++) {
        uint32_t at = p->at[i] & s->mask;
        if (!(s->bits[at / 64] >> at % 64 & 1))
            return false;
    }
    return true;
}

bool signature_may_equal(const struct signature *s, const struct probe *p)
{
    if (s->blocks_n == 0)
        return false;
    const uint32_t *block = s->blocks + block_of(p->hash, s->blocks_n) * BLOCK_WORDS;
    for (unsigned w = 0; w < BLOCK_WORDS; w++)
        if (!(block[w] & bit(p->hash, w)))
            return false;
    return true;
}
