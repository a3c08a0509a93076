#include "event/find.h"

#include "base/str.h"

/* Bytes of stored lines, most frequent first; what is not here is rarer still. */
static const char frequent[] = "e\"taorsin1c,02:dl.mp53h-4_u68f79 bgvyw{}k/TZx[]=qjz";

static size_t frequency(char c)
{
    const char *at = c ? strchr(frequent, c) : NULL;
    return at ? (size_t)(frequent + sizeof frequent - at) : 0;
}

static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

void finder_init(struct finder *f, str lower)
{
    *f = (struct finder){.needle = lower};
    if (lower.n == 0)
        return;
    for (size_t i = 1; i < lower.n; i++)
        if (frequency(lower.p[i]) < frequency(lower.p[f->at1]))
            f->at1 = i;
    f->at2 = f->at1 ? 0 : lower.n - 1;
    for (size_t i = 0; i < lower.n; i++)
        if (i != f->at1 && frequency(lower.p[i]) < frequency(lower.p[f->at2]))
            f->at2 = i;
    f->byte1 = (uint8_t)lower.p[f->at1];
    f->byte2 = (uint8_t)lower.p[f->at2];
    f->fold1 = is_lower(lower.p[f->at1]) ? 0x20 : 0;
    f->fold2 = is_lower(lower.p[f->at2]) ? 0x20 : 0;
}

static inline bool both_bytes(const struct finder *f, const char *p)
{
    return ((uint8_t)p[f->at1] | f->fold1) == f->byte1 && ((uint8_t)p[f->at2] | f->fold2) == f->byte2;
}

typedef uint8_t v32 __attribute__((vector_size(32), aligned(1), may_alias)); /* two of 16 where there is no AVX2 */
enum { STRIDE = 64 };

/* From place i on, by whole strides: the first in which both bytes stand at their distance somewhere, or the end of whole
 * strides. */
VECTORS static size_t skip_strides(const struct finder *f, const char *p, size_t i, size_t places)
{
    v32 byte1 = (v32){0} + f->byte1, byte2 = (v32){0} + f->byte2;
    v32 fold1 = (v32){0} + f->fold1, fold2 = (v32){0} + f->fold2;
    for (; places - i >= STRIDE; i += STRIDE) {
        const v32 *a = (const v32 *)(p + i + f->at1), *b = (const v32 *)(p + i + f->at2);
        v32 any = (v32)((a[0] | fold1) == byte1) & (v32)((b[0] | fold2) == byte2);
        any |= (v32)((a[1] | fold1) == byte1) & (v32)((b[1] | fold2) == byte2);
        uint64_t part[4];
        memcpy(part, &any, sizeof part);
        if (part[0] | part[1] | part[2] | part[3])
            break;
    }
    return i;
}

ptrdiff_t find_nocase(const struct finder *f, str hay)
{
    if (f->needle.n > hay.n)
        return -1;
    if (f->needle.n == 0)
        return 0;
    size_t places = hay.n - f->needle.n + 1, i = 0;
    while (i < places) {
        i = skip_strides(f, hay.p, i, places);
        size_t end = places - i >= STRIDE ? i + STRIDE : places;
        for (; i < end; i++)
            if (both_bytes(f, hay.p + i) && str_starts_nocase(str_skip(hay, i), f->needle))
                return (ptrdiff_t)i;
    }
    return -1;
}

/* Pieces first..last-1 in order in s; *ret_rest is what follows the last of them. */
static bool pieces_in_order(const struct pattern *p, size_t first, size_t last, str s, str *ret_rest)
{
    for (size_t i = first; i < last; i++) {
        ptrdiff_t at = find_nocase(&p->pieces[i], s);
        if (at < 0)
            return false;
        s = str_skip(s, (size_t)at + p->pieces[i].needle.n);
    }
    *ret_rest = s;
    return true;
}

bool pattern_within(const struct pattern *p, str s) { return pieces_in_order(p, 0, p->n, s, &s); }

bool pattern_match(const struct pattern *p, str s)
{
    size_t first = 0, last = p->n;
    if (p->n == 1 && p->head && p->tail)
        return str_eq_nocase(s, p->pieces[0].needle);
    if (last && p->head) {
        if (!str_starts_nocase(s, p->pieces[0].needle))
            return false;
        s = str_skip(s, p->pieces[0].needle.n);
        first = 1;
    }
    if (last && p->tail)
        last--;
    if (!pieces_in_order(p, first, last, s, &s))
        return false;
    if (last == p->n)
        return true;
    str end = p->pieces[last].needle;
    return s.n >= end.n && str_eq_nocase(str_skip(s, s.n - end.n), end);
}
