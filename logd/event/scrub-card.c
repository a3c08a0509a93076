/* Card numbers: 13 to 19 digits of an issuer, together or in groups with one blank or dash between, that pass Luhn's
 * check and stand alone. One in ten of all numbers passes it, so the issuers and their lengths are taken seriously:
 * times in ms, µs and ns, phone numbers, barcodes and 64-bit ids are no cards. */
#include "event/scrub-private.h"

enum { CARD_MIN = 13, CARD_MAX = 19 };

struct digits {
    char d[CARD_MAX + 1];
    size_t n;
    char sep;        /* between groups; 0: none */
    size_t last;     /* digits in the last group */
    size_t from, to; /* in the text */
};

/* Issuers by the first four digits, and their lengths. Long numbers in one piece are ids rather than cards. */
static bool issued(unsigned four, size_t n, bool grouped)
{
    unsigned two = four / 100, three = four / 10;
    if (four / 1000 == 4) /* Visa; 13 digits behind 49 are a German mobile phone */
        return n == 16 || (n == 13 && two != 49) || (n == 19 && grouped);
    if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720) || (four >= 2200 && four <= 2204))
        return n == 16; /* Mastercard, Mir */
    if (two == 34 || two == 37)
        return n == 15; /* American Express */
    if (four == 6011 || two == 65 || (three >= 644 && three <= 649) || (four >= 3528 && four <= 3589))
        return n == 16 || (n == 19 && grouped); /* Discover, JCB */
    if (two == 62)
        return n >= 16; /* UnionPay */
    if ((three >= 300 && three <= 305) || two == 36 || two == 38 || two == 39)
        return n == 14; /* Diners */
    return n == 16 && (four == 5018 || four == 5020 || four == 5038 || four == 5893 || four == 6304 || four == 6759 ||
                       (four >= 6761 && four <= 6763)); /* Maestro */
}

static int digit(char c) { return c - '0'; }

static bool luhn(const struct digits *d)
{
    int sum = 0;
    for (size_t k = 0; k < d->n; k++) {
        int v = digit(d->d[d->n - 1 - k]) * (k % 2 ? 2 : 1);
        sum += v > 9 ? v - 9 : v;
    }
    return sum % 10 == 0;
}

/* A barcode has the length of an old Visa number, and its own check digit. */
static bool is_ean13(const struct digits *d)
{
    int sum = 0;
    for (int k = 0; k < 12; k++)
        sum += digit(d->d[k]) * (k % 2 ? 3 : 1);
    return (sum + digit(d->d[12])) % 10 == 0;
}

/* False: part of a word, a decimal, a negative number, a UUID, a row of numbers. */
static bool stands_alone(const struct scan *s, const struct digits *d)
{
    char a = before(s, d->from), b = at(s, d->to);
    if (is(a, C_ALNUM) || a == '_' || is(b, C_ALNUM) || b == '_')
        return false;
    char aa = d->from > s->done ? before(s, d->from - 1) : '\0', bb = at(s, d->to + 1);
    if ((a == '.' || a == '-') && (!is(aa, C_ALNUM) || is(aa, C_DIGIT)))
        return false;
    if ((b == '.' || b == '-') && is(bb, C_ALNUM))
        return false;
    return !d->sep || !((a == d->sep && is(aa, C_DIGIT)) || (b == d->sep && is(bb, C_DIGIT)));
}

static bool read_digits(const struct scan *s, struct digits *d)
{
    for (d->to = d->from; d->n <= CARD_MAX; d->to++) {
        char c = at(s, d->to);
        if (is(c, C_DIGIT)) {
            d->d[d->n <= CARD_MAX ? d->n : CARD_MAX] = c;
            d->n++, d->last++;
        } else if ((c == ' ' || c == '-') && (!d->sep || c == d->sep) && is(at(s, d->to + 1), C_DIGIT) &&
                   d->last >= 4 && d->last <= 6) {
            d->sep = c, d->last = 0;
        } else {
            break;
        }
    }
    return d->n >= CARD_MIN && d->n <= CARD_MAX && (!d->sep || (d->last >= 3 && d->last <= 6));
}

struct found scrub_card(struct scan *s, size_t i)
{
    struct digits d = {.from = i};
    if (!is(at(s, i + 2), C_DIGIT) || !is(at(s, i + 3), C_DIGIT) || !read_digits(s, &d) || !stands_alone(s, &d))
        return NOTHING;
    unsigned four = 0;
    for (int k = 0; k < 4; k++)
        four = four * 10 + (unsigned)digit(d.d[k]);
    if (!issued(four, d.n, d.sep != 0) || !luhn(&d) || (d.n == 13 && (d.sep || is_ean13(&d))))
        return NOTHING;
    return scrub_between(s, d.from, d.to, S("card"));
}
