#include "store/address.h"
#include "base/str.h"
#include "event/number.h"

enum { GROUPS = 8, LONGEST = 39 };
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool address_v4(str s, int64_t *ret)
{
    int64_t v = 0;
    size_t i = 0;
    for (int part = 0; part < 4; part++) {
        size_t from = i;
        int x = 0;
        while (i < s.n && i < from + 3 && is_digit(s.p[i]))
            x = x * 10 + (s.p[i++] - '0');
        if (i == from || x > 255 || (s.p[from] == '0' && i > from + 1))
            return false;
        if (part < 3 && (i >= s.n || s.p[i++] != '.'))
            return false;
        v = v << 8 | x;
    }
    *ret = v;
    return i == s.n;
}

char *address_v4_print(uint32_t v, char *end)
{
    for (unsigned i = 0; i < 4; i++, v >>= 8) {
        unsigned part = v & 255;
        if (i)
            *--end = '.';
        do
            *--end = (char)('0' + part % 10);
        while (part /= 10);
    }
    return end;
}

static unsigned group(const uint8_t *bytes, size_t i) { return (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1]; }

/* The longest run of zero groups; its length, 0 when there is none of two or more. */
static size_t zeros(const uint8_t *bytes, size_t *ret_from)
{
    size_t best = 1, run = 0;
    for (size_t i = 0; i < GROUPS; i++) {
        run = group(bytes, i) ? 0 : run + 1;
        if (run > best) {
            best = run;
            *ret_from = i + 1 - run;
        }
    }
    return best > 1 ? best : 0;
}

static char *hex(char *to, unsigned v)
{
    static const char digits[] = "0123456789abcdef";
    bool begun = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        begun |= shift == 0 || v >> shift;
        if (begun)
            *to++ = digits[v >> shift & 15];
    }
    return to;
}

str address_text(const uint8_t bytes[ADDRESS_BYTES], char room[PACKED_TEXT_MAX])
{
    char *to = room;
    size_t from = GROUPS, run = zeros(bytes, &from);
    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        char *end = room + PACKED_TEXT_MAX, *p = address_v4_print(group(bytes, 6) << 16 | group(bytes, 7), end);
        return str_n(p, (size_t)(end - p));
    }
    for (size_t i = 0; i < GROUPS; i++) {
        if (i == from) {
            *to++ = ':';
            *to++ = ':';
            i += run - 1;
            continue;
        }
        if (i > 0 && i != from + run)
            *to++ = ':';
        to = hex(to, group(bytes, i));
    }
    return str_n(room, (size_t)(to - room));
}

void address_at(const uint8_t *planes, size_t n, size_t i, uint8_t ret[ADDRESS_BYTES])
{
    for (size_t w = 0; w < ADDRESS_BYTES; w++)
        ret[w] = planes[w * n + i];
}

bool addresses_put(const str *v, size_t n, struct buf *out)
{
    char room[PACKED_TEXT_MAX];
    (void)buf_grow(out, n * ADDRESS_BYTES);
    uint8_t *planes = (uint8_t *)out->p + out->n;
    for (size_t i = 0; i < n; i++) {
        ip a;
        if (v[i].n > LONGEST || !ip_read(v[i], &a) || !str_eq(address_text(a.b, room), v[i]))
            return false;
        for (size_t w = 0; w < ADDRESS_BYTES; w++)
            planes[w * n + i] = a.b[w];
    }
    out->n += n * ADDRESS_BYTES;
    return true;
}
