/* issues/release.c - see release.h. Order of what follows the '-' as in semver.org 2.0.0, 11: numbers before words. */
#include "issues/release.h"
#include "base/str.h"

struct version {
    str numbers, pre; /* "1.4.2", "rc.1" */
};

static bool digit(char c) { return c >= '0' && c <= '9'; }

static bool version_read(str s, struct version *ret)
{
    for (ptrdiff_t at; (at = str_chr(s, '@')) >= 0;)
        s = str_skip(s, (size_t)at + 1);
    if (s.n > 1 && (s.p[0] == 'v' || s.p[0] == 'V'))
        s = str_skip(s, 1);
    size_t n = 0;
    while (n < s.n && (digit(s.p[n]) || (s.p[n] == '.' && n && s.p[n - 1] != '.')))
        n++;
    if (n == 0 || s.p[n - 1] == '.' || (n < s.n && s.p[n] != '-' && s.p[n] != '+'))
        return false;
    ret->numbers = str_head(s, n);
    str rest = str_skip(s, n);
    ret->pre = rest.n && rest.p[0] == '-' ? str_skip(str_cut(&rest, '+'), 1) : (str){0};
    return true;
}

/* Of any length: without leading zeros the longer one is the greater one. */
static int compare_numbers(str a, str b)
{
    while (a.n && a.p[0] == '0')
        a = str_skip(a, 1);
    while (b.n && b.p[0] == '0')
        b = str_skip(b, 1);
    return a.n != b.n ? (a.n < b.n ? -1 : 1) : str_cmp(a, b);
}

static bool is_number(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!digit(s.p[i]))
            return false;
    return s.n > 0;
}

static int compare_words(str a, str b)
{
    bool na = is_number(a), nb = is_number(b);
    return na && nb ? compare_numbers(a, b) : na != nb ? (na ? -1 : 1) : str_cmp(a, b);
}

/* Part by part; a missing number is 0, of the rest the one with fewer parts is the older. */
static int compare_parts(str a, str b, bool numbers)
{
    while (a.n || b.n) {
        str x = str_cut(&a, '.'), y = str_cut(&b, '.');
        int order = numbers ? compare_numbers(x, y) : compare_words(x, y);
        if (!numbers && (x.n == 0) != (y.n == 0))
            return x.n == 0 ? -1 : 1;
        if (order)
            return order;
    }
    return 0;
}

bool release_compare(str a, str b, int *ret_order)
{
    struct version x, y;
    if (!version_read(a, &x) || !version_read(b, &y))
        return false;
    *ret_order = compare_parts(x.numbers, y.numbers, true);
    if (*ret_order == 0 && (x.pre.n == 0) != (y.pre.n == 0))
        *ret_order = x.pre.n ? -1 : 1;
    else if (*ret_order == 0)
        *ret_order = compare_parts(x.pre, y.pre, false);
    return true;
}
