#include "base/zone.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

#include <time.h>

enum { HEADER = 44, DAY = 86400, FILE_MAX = 1 << 20 };

struct change { /* of a year, as the rule says it: Mm.w.d/time */
    int month, week, day;
    int32_t second; /* local time, by what is in force before */
};
struct rule {
    bool there, dst;
    int32_t offset, dst_offset;
    struct change to_dst, from_dst;
};
struct zone {
    char *name;
    int64_t *at; /* transitions, ascending */
    int32_t *offset;
    size_t n;
    int32_t first; /* before all of them */
    struct rule rule;
};

void zone_free(struct zone *z)
{
    if (!z)
        return;
    free(z->name);
    free(z->at);
    free(z->offset);
    free(z);
}

const char *zone_name(const struct zone *z) { return z ? z->name : "UTC"; }

/* ---- the rule at the file's end: CET-1CEST,M3.5.0,M10.5.0/3 ---- */
static bool skip_name(str *s)
{
    size_t n = 0;
    if (s->n && s->p[0] == '<') {
        ptrdiff_t close = str_chr(*s, '>');
        n = close < 0 ? 0 : (size_t)close + 1;
    } else {
        while (n < s->n && (unsigned)((s->p[n] | 32) - 'a') < 26)
            n++;
    }
    *s = str_skip(*s, n);
    return n > 0;
}

static bool take_int(str *s, int *ret)
{
    int v = 0;
    size_t n = 0;
    for (; n < s->n && n < 4 && s->p[n] >= '0' && s->p[n] <= '9'; n++)
        v = 10 * v + (s->p[n] - '0');
    *s = str_skip(*s, n);
    *ret = v;
    return n > 0;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(str *s, int32_t *ret)
{
    int part[3] = {0}, sign = s->n && s->p[0] == '-' ? -1 : 1;
    if (s->n && (s->p[0] == '-' || s->p[0] == '+'))
        *s = str_skip(*s, 1);
    for (size_t i = 0; i < 3; i++) {
        if (!take_int(s, &part[i]))
            return false;
        if (!str_starts(*s, S(":")))
            break;
        *s = str_skip(*s, 1);
    }
    *ret = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return true;
}

static bool take_change(str *s, struct change *c)
{
    c->second = 2 * 3600;
    if (!str_starts(*s, S(",M")))
        return false;
    *s = str_skip(*s, 2);
    if (!take_int(s, &c->month) || !str_starts(*s, S(".")) || (*s = str_skip(*s, 1), !take_int(s, &c->week)) ||
        !str_starts(*s, S(".")) || (*s = str_skip(*s, 1), !take_int(s, &c->day)))
        return false;
    if (c->month < 1 || c->month > 12 || c->week < 1 || c->week > 5 || c->day > 6)
        return false;
    return !str_starts(*s, S("/")) || (*s = str_skip(*s, 1), take_time(s, &c->second));
}

/* What it cannot read (days of the year, which no zone of today uses) leaves the last transition in force. */
static void read_rule(str s, struct rule *r)
{
    int32_t west;
    if (!skip_name(&s) || !take_time(&s, &west))
        return;
    *r = (struct rule){.there = true, .offset = -west};
    if (s.n == 0 || !skip_name(&s))
        return;
    r->dst_offset = r->offset + 3600;
    if (s.n && s.p[0] != ',') {
        r->there = take_time(&s, &west);
        r->dst_offset = -west;
    }
    r->dst = true;
    r->there = r->there && take_change(&s, &r->to_dst) && take_change(&s, &r->from_dst) && s.n == 0;
}

/* Local seconds since 1970 at which it changes in that year. */
static int64_t change_at(const struct change *c, int year)
{
    struct tm tm = {.tm_year = year, .tm_mon = c->month - 1, .tm_mday = 1};
    time_t first = timegm(&tm);
    int day = 1 + (c->day - tm.tm_wday + 7) % 7 + 7 * (c->week - 1);
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y = year + 1900, most = days[c->month - 1] + (c->month == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
    while (day > most)
        day -= 7;
    return (int64_t)first + (int64_t)(day - 1) * DAY + c->second;
}

static int32_t offset_by_rule(const struct rule *r, int64_t utc)
{
    time_t local = (time_t)(utc + r->offset);
    struct tm tm;
    if (!r->dst)
        return r->offset;
    gmtime_r(&local, &tm);
    int64_t on = change_at(&r->to_dst, tm.tm_year) - r->offset;
    int64_t off = change_at(&r->from_dst, tm.tm_year) - r->dst_offset;
    bool dst = on < off ? utc >= on && utc < off : utc >= on || utc < off;
    return dst ? r->dst_offset : r->offset;
}

/* ---- the file ---- */
static uint32_t be32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static int64_t be64(const char *p) { return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4)); }

/* The bytes of a block whose times have `width` bytes, by the header before it; 0: not one. */
static size_t block_size(str s, size_t width)
{
    if (s.n < HEADER || !str_starts(s, S("TZif")))
        return 0;
    const char *c = s.p + 20;
    uint64_t isut = be32(c), isstd = be32(c + 4), leap = be32(c + 8), times = be32(c + 12), types = be32(c + 16),
             chars = be32(c + 20);
    if ((isut | isstd | leap | times | types | chars) > FILE_MAX || types == 0)
        return 0;
    return (size_t)(HEADER + times * (width + 1) + types * 6 + chars + leap * (width + 4) + isstd + isut);
}

static bool read_file(str s, struct zone *z)
{
    size_t skip = block_size(s, 4), size;
    if (!skip || skip > s.n || s.p[4] < '2')
        return false;
    s = str_skip(s, skip);
    if (!(size = block_size(s, 8)) || size > s.n)
        return false;
    size_t n = be32(s.p + 32), types = be32(s.p + 36);
    const char *at = s.p + HEADER, *index = at + 8 * n, *type = index + n;
    z->at = xcalloc(n + 1, sizeof *z->at);
    z->offset = xcalloc(n + 1, sizeof *z->offset);
    for (z->n = 0; z->n < n; z->n++) {
        size_t k = (uint8_t)index[z->n];
        if (k >= types)
            return false;
        z->at[z->n] = be64(at + 8 * z->n);
        z->offset[z->n] = (int32_t)be32(type + 6 * k);
    }
    z->first = (int32_t)be32(type);
    s = str_skip(s, size + 1);
    read_rule(str_cut(&s, '\n'), &z->rule);
    return true;
}

static bool name_good(str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!name.p[i] || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/", name.p[i]))
            return false;
    return name.n > 0 && name.n < 64 && name.p[0] != '/';
}

int zone_open(str name, struct zone **ret, struct err *e)
{
    struct zone *z = xcalloc(1, sizeof *z);
    struct buf file = BUF_INIT(FILE_MAX);
    char path[128];
    z->name = str_dup(name);
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", z->name);
    bool good = str_eq(name, S("UTC")) ||
                (name_good(name) && file_read(path, file.max, &file, e) == 0 && read_file(buf_view(&file), z));
    buf_done(&file);
    if (!good) {
        zone_free(z);
        return err_set(e, ERR_INPUT, "expected a time zone of the system like Europe/Amsterdam, got \"%.*s\"",
                       STR_ARG(str_head(name, 40)));
    }
    *ret = z;
    return 0;
}

/* ---- asked ---- */
int32_t zone_offset(const struct zone *z, int64_t utc)
{
    size_t low = 0, high = z ? z->n : 0; /* how many transitions are not after it */
    if (!z)
        return 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (z->at[mid] <= utc)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == z->n && z->rule.there)
        return offset_by_rule(&z->rule, utc);
    return low ? z->offset[low - 1] : z->first;
}

int64_t zone_utc(const struct zone *z, int64_t local)
{
    int32_t before = zone_offset(z, local - DAY), after = zone_offset(z, local + DAY);
    int64_t early = local - (before > after ? before : after);
    if (early + zone_offset(z, early) >= local)
        return early;
    return local - (before > after ? after : before);
}
