#include "event/number.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <math.h>

static const struct unit_name {
    str name;
    enum unit unit;
    double scale;
} units[] = {
    {S("ns"), UNIT_TIME, 1},       {S("us"), UNIT_TIME, 1e3},     {S("ms"), UNIT_TIME, 1e6},
    {S("s"), UNIT_TIME, 1e9},      {S("m"), UNIT_TIME, 60e9},     {S("h"), UNIT_TIME, 3600e9},
    {S("d"), UNIT_TIME, 86400e9},  {S("B"), UNIT_SIZE, 1},        {S("kB"), UNIT_SIZE, 1e3},
    {S("KB"), UNIT_SIZE, 1e3},     {S("MB"), UNIT_SIZE, 1e6},     {S("GB"), UNIT_SIZE, 1e9},
    {S("TB"), UNIT_SIZE, 1e12},    {S("KiB"), UNIT_SIZE, 1024},   {S("MiB"), UNIT_SIZE, 1048576},
    {S("GiB"), UNIT_SIZE, 0x1p30}, {S("TiB"), UNIT_SIZE, 0x1p40},
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Most numbers of events are short whole ones. */
static bool small_integer(str s, double *ret)
{
    size_t i = s.n > 0 && s.p[0] == '-';
    int64_t v = 0;
    if (s.n == i || s.n > 15)
        return false;
    for (size_t k = i; k < s.n; k++) {
        if (!is_digit(s.p[k]))
            return false;
        v = v * 10 + (s.p[k] - '0');
    }
    *ret = (double)(i ? -v : v);
    return true;
}

static bool all_digits(str s)
{
    size_t i = s.n > 0 && s.p[0] == '-';
    if (s.n == i)
        return false;
    for (; i < s.n; i++)
        if (!is_digit(s.p[i]))
            return false;
    return true;
}

static bool plain_number(str text, struct number *ret)
{
    double v;
    bool integer = true;
    if (!small_integer(text, &v)) {
        if (!str_double(text, &v))
            return false;
        integer = all_digits(text);
    }
    *ret = (struct number){UNIT_NONE, v, integer, text};
    return true;
}

void number_apply(struct number *n, enum unit unit, double scale)
{
    n->v = nearbyint(n->v * scale);
    n->unit = unit;
    n->integer = false;
}

bool number_read(str text, struct number *ret)
{
    if (text.n == 0 || !(is_digit(text.p[0]) || text.p[0] == '-'))
        return false;
    if (is_digit(text.p[text.n - 1]))
        return plain_number(text, ret);
    size_t digits = text.n;
    while (digits > 0 && !is_digit(text.p[digits - 1]) && text.p[digits - 1] != '.')
        digits--;
    str unit = str_skip(text, digits);
    struct number n;
    for (size_t i = 0; i < LENGTH(units); i++)
        if (str_eq(unit, units[i].name)) {
            if (!plain_number(str_head(text, digits), &n))
                return false;
            number_apply(&n, units[i].unit, units[i].scale);
            n.text = text;
            *ret = n;
            return true;
        }
    return false;
}

/* "duration_ms" -> "ms", "tookMs" -> "Ms", "ms" -> "ms" */
static str last_word(str name)
{
    size_t i = name.n;
    while (i > 0 && !strchr("._-@", name.p[i - 1])) {
        bool upper = name.p[i - 1] >= 'A' && name.p[i - 1] <= 'Z';
        i--;
        if (upper && i > 0 && name.p[i - 1] >= 'a' && name.p[i - 1] <= 'z')
            break;
    }
    return str_skip(name, i);
}

double number_scale(str field, enum unit unit)
{
    str word = last_word(field);
    for (size_t i = 0; i < LENGTH(units); i++)
        if (units[i].unit == unit && word.n >= 2 && str_eq_nocase(word, units[i].name))
            return units[i].scale;
    return unit == UNIT_TIME ? 1e9 : 1;
}

/* Two whole numbers of any length by sign, length, digits. */
static int integer_cmp(str a, str b)
{
    bool minus_a = a.p[0] == '-', minus_b = b.p[0] == '-';
    if (minus_a != minus_b)
        return minus_a ? -1 : 1;
    a = str_skip(a, minus_a), b = str_skip(b, minus_b);
    while (a.n > 1 && a.p[0] == '0')
        a = str_skip(a, 1);
    while (b.n > 1 && b.p[0] == '0')
        b = str_skip(b, 1);
    int c = a.n != b.n ? (a.n > b.n) - (a.n < b.n) : str_cmp(a, b);
    return minus_a ? -c : c;
}

int number_cmp(const struct number *a, const struct number *b)
{
    assert(a->unit == b->unit);
    if (UNLIKELY(a->integer && b->integer && fabs(a->v) >= 0x1p53 && fabs(b->v) >= 0x1p53))
        return integer_cmp(a->text, b->text);
    return (a->v > b->v) - (a->v < b->v);
}

bool ip_read(str text, ip *ret)
{
    char z[INET6_ADDRSTRLEN];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    ip v;
    if (text.n < 2 || text.n >= sizeof z || memchr(text.p, '\0', text.n))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (memchr(z, ':', text.n)) {
        if (inet_pton(AF_INET6, z, v.b) != 1)
            return false;
    } else {
        memcpy(v.b, mapped, sizeof mapped);
        if (!is_digit(z[0]) || inet_pton(AF_INET, z, v.b + 12) != 1)
            return false;
    }
    *ret = v;
    return true;
}

bool cidr_read(str text, ip *ret_low, ip *ret_high)
{
    str rest = text, address = str_cut(&rest, '/');
    uint64_t bits;
    ip low, high;
    if (!rest.p || rest.n > 3 || !str_u64(rest, &bits) || !ip_read(address, &low))
        return false;
    if (str_chr(address, ':') < 0)
        bits += bits <= 32 ? 96 : 1000;
    if (bits > 128)
        return false;
    high = low;
    for (size_t i = 0; i < 128; i++) {
        uint8_t bit = (uint8_t)(0x80 >> i % 8);
        if (i >= bits) {
            low.b[i / 8] = (uint8_t)(low.b[i / 8] & ~bit);
            high.b[i / 8] |= bit;
        }
    }
    *ret_low = low;
    *ret_high = high;
    return true;
}
