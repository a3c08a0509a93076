/* stats/sketch.c - bit-plane PCSA: probabilistic counting (Flajolet & Martin 1985) that keeps every bit, estimates by
 * maximum likelihood and stores planes of bits, each Rice coded.
 *
 * With m = 2^p rows a cell of level k is set by an id with probability r[k] = 2^-(k+1) / m (the last level, 48, has the
 * 2^-48 that remain). When n ids came, cells are set independently with 1 - exp(-n r[k]); the likelihood is greatest where
 *
 *     g(n) = sum of counts[k] r[k] / (exp(n r[k]) - 1)  -  sum of (m - counts[k]) r[k]  =  0.
 *
 * g falls and is convex, so Newton from left of the root climbs to it and never leaps over it. counts is all it needs.
 *
 * As stored:
 *     1 byte    1, the version
 *     1 byte    p
 *     1 byte    a, how many levels from 0 up are full
 *     1 byte    b, how many follow until the last that is not empty; those above are empty
 *     b LEB128  their counts; the first is less than m, the last more than 0
 *     1 byte    for each of those that is neither empty nor full: its r
 *     bits      lowest first, 0 to the end of the last byte: for each of those, the gaps before each cell of the rarer
 *               kind (set when counts <= m/2, else not set), a gap g as g >> r zeros, a one, the r low bits of g
 * r is the first from 0 whose bits are not more than those of r + 1, at most 15. */
#include "stats/sketch.h"
#include "base/str.h"

#include <math.h>

enum { VERSION = 1, TOP = SKETCH_LEVELS - 1, RICE_MAX = 15 };
#define BIAS 0.307931 /* ln 2 zeta(3) / zeta(2)^2, of 1/m, second order */
#define ERROR 0.64914 /* of 1/sqrt(m): sqrt(ln 2 / zeta(2)) */

static uint32_t rows(int p) { return UINT32_C(1) << p; }
static size_t words(int p) { return p > 6 ? (size_t)1 << (p - 6) : 1; }

void sketch_init(struct sketch *s, int p)
{
    assert(p >= SKETCH_P_MIN && p <= SKETCH_P_MAX);
    *s = (struct sketch){.p = p};
}

void sketch_done(struct sketch *s)
{
    for (int k = 0; k < SKETCH_LEVELS; k++)
        free(s->planes[k]);
    *s = (struct sketch){.p = s->p};
}

/* ---- cells ---- */
uint32_t sketch_cell(int p, uint64_t hash)
{
    uint64_t top = hash >> 16; /* the low 16 bits are for rows alone, whatever p is: folding is exact */
    uint32_t level = top ? (uint32_t)__builtin_clzll(top) - 16 : TOP;
    return ((uint32_t)hash & (rows(p) - 1)) << 6 | level;
}

static bool is_full(const struct sketch *s, int k) { return s->counts[k] == rows(s->p); }

bool sketch_has(const struct sketch *s, uint32_t cell)
{
    uint32_t row = cell >> 6, k = cell & 63;
    assert(row < rows(s->p) && k < SKETCH_LEVELS);
    const uint64_t *bits = s->planes[k];
    return bits ? bits[row >> 6] >> (row & 63) & 1 : is_full(s, (int)k);
}

static uint64_t *plane(struct sketch *s, int k)
{
    if (!s->planes[k])
        s->planes[k] = xcalloc(words(s->p), sizeof(uint64_t));
    return s->planes[k];
}

/* A full plane is known from its count. */
static void set_count(struct sketch *s, int k, uint32_t n)
{
    s->counts[k] = n;
    if (is_full(s, k)) {
        free(s->planes[k]);
        s->planes[k] = NULL;
    }
}

bool sketch_add(struct sketch *s, uint32_t cell)
{
    uint32_t row = cell >> 6;
    int k = (int)(cell & 63);
    if (LIKELY(sketch_has(s, cell)))
        return false;
    plane(s, k)[row >> 6] |= UINT64_C(1) << (row & 63);
    set_count(s, k, s->counts[k] + 1);
    return true;
}

/* ---- folding and merging ---- */
/* ORs 2^from bits onto 2^to. */
static void fold_onto(uint64_t *to_bits, int to, const uint64_t *bits, int from)
{
    for (size_t i = 0; i < words(from); i++) {
        uint64_t w = bits[i];
        for (uint32_t half = (from > 6 ? 64 : rows(from)) / 2; half >= rows(to); half /= 2)
            w = (w | w >> half) & ((UINT64_C(1) << half) - 1);
        to_bits[i & (words(to) - 1)] |= w;
    }
}

static uint32_t count_bits(const uint64_t *bits, int p)
{
    uint32_t n = 0;
    for (size_t i = 0; i < words(p); i++)
        n += (uint32_t)__builtin_popcountll(bits[i]);
    return n;
}

static void merge_level(struct sketch *s, const struct sketch *from, int k)
{
    if (is_full(s, k) || !from->counts[k])
        return;
    if (is_full(from, k)) {
        set_count(s, k, rows(s->p));
        return;
    }
    fold_onto(plane(s, k), s->p, from->planes[k], from->p);
    set_count(s, k, count_bits(s->planes[k], s->p));
}

void sketch_fold(struct sketch *s, int p)
{
    struct sketch folded;
    assert(p <= s->p);
    sketch_init(&folded, p);
    for (int k = 0; k < SKETCH_LEVELS; k++)
        merge_level(&folded, s, k);
    sketch_done(s);
    *s = folded;
}

void sketch_merge(struct sketch *s, const struct sketch *from)
{
    if (s->p > from->p)
        sketch_fold(s, from->p);
    for (int k = 0; k < SKETCH_LEVELS; k++)
        merge_level(s, from, k);
}

/* ---- the estimate ---- */
static double chance(int p, int k) { return ldexp(1, -(k < TOP ? k + 1 : TOP) - p); }

double sketch_estimate(int p, const uint32_t counts[SKETCH_LEVELS])
{
    double all = 0, unset = 0; /* unset: the last sum of g, exact */
    for (int k = 0; k < SKETCH_LEVELS; k++) {
        all += counts[k];
        unset += (rows(p) - counts[k]) * chance(p, k);
    }
    if (all == 0 || unset == 0)
        return all == 0 ? 0 : INFINITY;
    double n = all / (1 - (1 - unset) / 2), step; /* left of the root, for 1/(1 - exp(-x)) >= 1/x + 1/2 */
    do {
        double g = -unset, slope = 0;
        for (int k = 0; k < SKETCH_LEVELS; k++) {
            double r = chance(p, k), part = counts[k] ? counts[k] * r / expm1(n * r) : 0;
            g += part;
            slope += part * r / -expm1(-n * r);
        }
        n += step = g / slope;
    } while (step > 1e-9 * n);
    return n / (1 + BIAS / rows(p));
}

static uint64_t whole(double n) { return n < 0x1p63 ? (uint64_t)(n + 0.5) : UINT64_MAX; }

struct sketch_number sketch_number(int p, const uint32_t counts[SKETCH_LEVELS])
{
    double n = sketch_estimate(p, counts), off = 2 * ERROR / sqrt(rows(p));
    struct sketch_number ret = {whole(n), whole(n * (1 - off)), whole(n * (1 + off))};
    uint64_t cells = 0;
    for (int k = 0; k < SKETCH_LEVELS; k++)
        cells += counts[k];
    if (ret.low < cells) /* there were at least as many ids as cells */
        ret.low = cells < ret.value ? cells : ret.value;
    return ret;
}

/* ---- writing ---- */
/* The gaps before each cell of the rarer kind. At most half of the cells are; the caller frees. */
static uint16_t *gaps_of(const struct sketch *s, int k, uint32_t *ret_n)
{
    bool inverted = s->counts[k] > rows(s->p) / 2;
    uint16_t *gaps = xmalloc(rows(s->p) / 2 * sizeof *gaps);
    uint32_t n = 0, next = 0;
    for (size_t i = 0; i < words(s->p); i++) {
        uint64_t w = inverted ? ~s->planes[k][i] : s->planes[k][i];
        if (s->p < 6)
            w &= (UINT64_C(1) << rows(s->p)) - 1;
        for (; w; w &= w - 1) {
            uint32_t row = (uint32_t)i * 64 + (uint32_t)__builtin_ctzll(w);
            gaps[n++] = (uint16_t)(row - next);
            next = row + 1;
        }
    }
    *ret_n = n;
    return gaps;
}

static uint64_t rice_bits(const uint16_t *gaps, uint32_t n, int r)
{
    uint64_t bits = (uint64_t)n * (uint64_t)(r + 1);
    for (uint32_t i = 0; i < n; i++)
        bits += (uint64_t)(gaps[i] >> r);
    return bits;
}

/* The first that the next does not beat: whole numbers only, so that all machines agree. */
static int rice_best(const uint16_t *gaps, uint32_t n)
{
    int r = 0;
    uint64_t now = rice_bits(gaps, n, 0), more;
    for (; r < RICE_MAX && (more = rice_bits(gaps, n, r + 1)) < now; r++)
        now = more;
    return r;
}

struct bits_out {
    struct buf *out;
    uint32_t held; /* its low n bits, n < 8 */
    int n;
};

static void put_bits(struct bits_out *b, uint32_t v, int n) /* n <= 16 */
{
    b->held |= v << b->n;
    for (b->n += n; b->n >= 8; b->n -= 8, b->held >>= 8)
        buf_byte(b->out, (char)b->held);
}

static void put_gaps(struct bits_out *b, const uint16_t *gaps, uint32_t n, int r)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t zeros = (uint32_t)gaps[i] >> r;
        for (; zeros >= 16; zeros -= 16)
            put_bits(b, 0, 16);
        put_bits(b, UINT32_C(1) << zeros, (int)zeros + 1);
        put_bits(b, gaps[i] & ((UINT32_C(1) << r) - 1), r);
    }
}

static bool is_part(const uint32_t *counts, int p, int k) { return counts[k] && counts[k] < rows(p); }

void sketch_encode(const struct sketch *s, struct buf *out)
{
    int a = 0, end = SKETCH_LEVELS;
    while (a < SKETCH_LEVELS && is_full(s, a))
        a++;
    while (end > a && !s->counts[end - 1])
        end--;
    buf_add(out, (char[]){VERSION, (char)s->p, (char)a, (char)(end - a)}, 4);
    for (int k = a; k < end; k++)
        buf_leb128(out, s->counts[k]);

    struct buf body = BUF_INIT(SIZE_MAX / 2);
    struct bits_out bits = {.out = &body};
    for (int k = a; k < end; k++) {
        uint32_t n;
        if (!is_part(s->counts, s->p, k))
            continue;
        uint16_t *gaps = gaps_of(s, k, &n);
        int r = rice_best(gaps, n);
        buf_byte(out, (char)r);
        put_gaps(&bits, gaps, n, r);
        free(gaps);
    }
    if (bits.n)
        put_bits(&bits, 0, 8 - bits.n);
    buf_str(out, buf_view(&body));
    buf_done(&body);
}

/* ---- reading ---- */
static int corrupt(struct err *e, const char *what) { return err_set(e, ERR_CORRUPT, "a sketch is damaged: %s", what); }

static int read_head(str *code, int *ret_p, uint32_t counts[SKETCH_LEVELS], struct err *e)
{
    const unsigned char *h = (const unsigned char *)code->p;
    if (code->n < 4)
        return corrupt(e, "it is shorter than its head");
    if (h[0] != VERSION)
        return err_set(e, ERR_CORRUPT, "a sketch has version %d, this logd knows %d", h[0], VERSION);
    int p = h[1], a = h[2], b = h[3];
    if (p < SKETCH_P_MIN || p > SKETCH_P_MAX || a + b > SKETCH_LEVELS)
        return corrupt(e, "its size is out of range");
    *code = str_skip(*code, 4);
    for (int k = 0; k < SKETCH_LEVELS; k++) {
        uint64_t n = k < a ? rows(p) : 0;
        if (k >= a && k < a + b && (!str_leb128(code, &n) || n > rows(p)))
            return corrupt(e, "a count is out of range");
        counts[k] = (uint32_t)n;
    }
    if (b && (counts[a] == rows(p) || counts[a + b - 1] == 0))
        return corrupt(e, "its counts are not in their shortest form");
    *ret_p = p;
    return 0;
}

int sketch_peek(str code, int *ret_p, uint32_t ret_counts[SKETCH_LEVELS], struct err *e)
{
    return read_head(&code, ret_p, ret_counts, e);
}

struct bits_in {
    str s;
    size_t at; /* in bits */
};

/* -1 at the end. */
static int get_bit(struct bits_in *b)
{
    if (b->at >= b->s.n * 8)
        return -1;
    int bit = (unsigned char)b->s.p[b->at / 8] >> (b->at % 8) & 1;
    b->at++;
    return bit;
}

/* A gap that is at most `max`. */
static bool get_gap(struct bits_in *b, int r, uint32_t max, uint32_t *ret)
{
    uint32_t g = 0, low = 0;
    int bit;
    while ((bit = get_bit(b)) == 0)
        if (++g > max >> r)
            return false;
    for (int i = 0; i < r && bit >= 0; i++) {
        bit = get_bit(b);
        low |= (uint32_t)(bit > 0) << i;
    }
    *ret = g << r | low;
    return bit >= 0 && *ret <= max;
}

static void set_cells(struct sketch *s, int k, const uint16_t *gaps, uint32_t n)
{
    bool inverted = s->counts[k] > rows(s->p) / 2;
    uint64_t *w = plane(s, k);
    if (inverted)
        for (uint32_t i = 0; i < rows(s->p); i++)
            w[i >> 6] |= UINT64_C(1) << (i & 63);
    for (uint32_t i = 0, row = 0; i < n; i++, row++) {
        row += gaps[i];
        w[row >> 6] ^= UINT64_C(1) << (row & 63);
    }
}

static int read_plane(struct sketch *s, int k, int r, struct bits_in *bits, struct err *e)
{
    uint32_t m = rows(s->p), count = s->counts[k], n = count > m / 2 ? m - count : count, next = 0, gap;
    uint16_t *gaps = xmalloc(n * sizeof *gaps);
    int rc = r > RICE_MAX ? corrupt(e, "a level is not in its shortest form") : 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        if (next == m || !get_gap(bits, r, m - 1 - next, &gap)) {
            rc = corrupt(e, "a cell is outside of its rows, or missing");
        } else {
            gaps[i] = (uint16_t)gap;
            next += gap + 1;
        }
    }
    if (rc == 0 && r != rice_best(gaps, n))
        rc = corrupt(e, "a level is not in its shortest form");
    if (rc == 0)
        set_cells(s, k, gaps, n);
    free(gaps);
    return rc;
}

static int read_planes(str code, struct sketch *s, struct err *e)
{
    size_t parts = 0;
    for (int k = 0; k < SKETCH_LEVELS; k++)
        parts += is_part(s->counts, s->p, k);
    if (code.n < parts)
        return corrupt(e, "it ends in its head");
    struct bits_in bits = {.s = str_skip(code, parts)};
    for (int k = 0, i = 0; k < SKETCH_LEVELS; k++)
        if (is_part(s->counts, s->p, k) && read_plane(s, k, (unsigned char)code.p[i++], &bits, e) < 0)
            return -1;
    while (bits.at % 8)
        if (get_bit(&bits))
            return corrupt(e, "its last bits are not 0");
    return bits.at == bits.s.n * 8 ? 0 : corrupt(e, "bytes follow its end");
}

int sketch_decode(str code, struct sketch *ret, struct err *e)
{
    struct sketch s = {0};
    if (read_head(&code, &s.p, s.counts, e) < 0)
        return -1;
    if (read_planes(code, &s, e) < 0) {
        sketch_done(&s);
        return -1;
    }
    *ret = s;
    return 0;
}
