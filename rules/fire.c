/* rules/fire.c - each kind of condition: what it remembers of a key, and when it fires. */
#include "base/hash.h"
#include "base/str.h"
#include "base/yaml.h"
#include "rules/condition.h"

#include <math.h>

#define SECOND USEC_PER_SEC
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KNOWN_FOR (90 * DAY)

/* ---- the entry of an event's key ---- */

static struct memory_entry *entry_of(struct firing *f, const struct rule_fields *by, size_t cells, bool *ret_new)
{
    struct buf b = BUF_INIT(RULE_KEY_MAX);
    str key = memory_key(&b, f, by);
    struct memory_entry *t = memory_get(f->memory, key);
    if (ret_new)
        *ret_new = !t;
    if (!t)
        t = memory_add(f->memory, (int)f->part->kind, key, cells);
    assert(!b.full);
    buf_done(&b);
    return t;
}

static const char *within(struct firing *f, const char *format, long long n)
{
    char text[DURATION_TEXT_MAX];
    return arena_printf(f->arena, "%lld %s within %s", n, format, duration_text(f->part->window, text));
}

/* The field as a number; text that is one counts. */
static bool number_of(struct firing *f, const char *name, double *ret)
{
    return str_double(event_text(f->in->event, str_of(name), f->arena), ret);
}

/* ---- count, distinct ---- */

/* Notes the event; true with the one that makes enough of them. */
static bool count_fires(struct firing *f)
{
    const struct rule_part *p = f->part;
    struct memory_entry *t = entry_of(f, &p->by, 0, NULL);
    usec now = f->in->now;
    uint16_t gone = 0;
    while (gone < t->n && t->cells[gone] <= now - p->window)
        gone++;
    memory_cut(t, 0, gone);
    if (t->n == 0)
        t->phase = 0;
    bool enough = false;
    for (uint64_t left = event_stands_for(f->in->event, f->arena); left > 0 && !enough; left--) {
        if (t->phase == 0)
            memory_mark(t, now);
        t->phase = (t->phase + 1) % p->group;
        enough = t->n == p->marks;
    }
    if (enough)
        t->n = 0, t->phase = 0;
    t->expires = now + p->window;
    memory_touch(f->memory, t, now);
    if (enough)
        f->detail = within(f, "events", p->at_least);
    return enough;
}

static bool distinct_fires(struct firing *f)
{
    const struct rule_part *p = f->part;
    str value = rule_field(f->in, str_of(p->of), f->arena);
    usec now = f->in->now;
    if (value.n == 0)
        return false;
    struct memory_entry *t = entry_of(f, &p->by, 0, NULL);
    int64_t hash = (int64_t)xxh64(value.p, value.n, 0);
    for (size_t i = 0; i < t->n;)
        if (t->cells[i] == hash || t->cells[i + 1] <= now - p->window)
            memory_cut(t, i, 2);
        else
            i += 2;
    memory_mark(t, hash);
    memory_mark(t, now);
    bool enough = t->n / 2u >= p->at_least;
    if (enough)
        t->n = 0;
    t->expires = now + p->window;
    memory_touch(f->memory, t, now);
    if (enough)
        f->detail = within(f, arena_printf(f->arena, "different %s", p->of), p->at_least);
    return enough;
}

/* ---- new ---- */

static bool has_fingerprint(const struct rule_fields *by)
{
    for (size_t i = 0; i < by->n; i++)
        if (strcmp(by->name[i], "fingerprint") == 0)
            return true;
    return false;
}

/* cells[0]: last seen, moved in steps of 1/256 of quiet_after, so that little is written for what goes on all the time.
 * cells[1]: when it fired last; what comes in the digest window behind that belongs to it. */
static bool new_fires(struct firing *f)
{
    const struct rule_part *p = f->part;
    usec now = f->in->now, step = p->novel.quiet_after / 256;
    bool first, novel, more = false, room = !memory_full(f->memory, PART_NEW);
    struct memory_entry *t = entry_of(f, &p->novel.by, 2, &first);
    if (first) {
        novel = f->in->fresh || room || !has_fingerprint(&p->novel.by);
        t->cells[0] = now - step;
        t->cells[1] = INT64_MIN / 2;
    } else {
        novel = now - t->cells[0] >= p->novel.quiet_after;
        more = now - t->cells[1] < f->rule->wait + f->rule->digest;
    }
    bool back = f->in->regressed && p->novel.regressions && !more;
    if (novel || back) {
        f->novelty = novel ? 22 : 18;
        f->detail = first ? "never seen before" : novel ? "not seen for long" : "it was resolved, and is back";
    }
    novel |= back;
    if (!novel && now - t->cells[0] < step)
        return more;
    t->cells[0] = now;
    if (novel)
        t->cells[1] = now;
    t->expires = now + p->novel.quiet_after;
    memory_touch(f->memory, t, now);
    return novel || more;
}

/* ---- change ---- */

static bool rate_fires(struct firing *f)
{
    struct memory_entry *t = entry_of(f, &f->part->by, CELLS_CHANGE, NULL);
    struct rate r;
    memcpy(&r, t->cells, sizeof r);
    rate_add(&r, f->in->now, f->part->window, event_stands_for(f->in->event, f->arena));
    double p = rate_surprise(&r, f->part);
    memcpy(t->cells, &r, sizeof r);
    t->expires = f->in->now + 30 * DAY;
    memory_touch(f->memory, t, f->in->now);
    if (p >= 1)
        return false;
    f->rate = (int)(5 * fmax(0, fmin(6, -log10(fmax(p, 1e-300)) - 3)));
    f->detail = arena_printf(f->arena, "%s; %.3g is usual", within(f, "events", r.count), r.mean);
    return true;
}

/* The mean of each window is a value of a series. */
static bool drift_fires(struct firing *f)
{
    struct memory_entry *t;
    struct drift d;
    double value, score = 0, mean = 0;
    if (!number_of(f, f->part->of, &value))
        return false;
    t = entry_of(f, &f->part->by, CELLS_DRIFT, NULL);
    memcpy(&d, t->cells, sizeof d);
    int64_t bucket = f->in->now / f->part->window;
    if (d.n && bucket > d.bucket) {
        mean = d.sum / (double)d.n;
        score = d.n >= f->part->at_least ? detect_next(&d.detect, d.bucket * f->part->window, mean) : 0;
        d.n = 0;
        d.sum = 0;
    }
    d.bucket = bucket;
    d.n++;
    d.sum += value;
    memcpy(t->cells, &d, sizeof d);
    t->expires = f->in->now + 30 * DAY;
    memory_touch(f->memory, t, f->in->now);
    if (score <= .5)
        return false;
    f->rate = (int)(30 * (score - .5) / .5);
    f->detail = arena_printf(f->arena, "the mean of %s is %.4g, %.4g is usual", f->part->of, mean,
                             d.detect.level.median);
    return true;
}

/* ---- value ---- */

static int64_t bits_of(double v)
{
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double value_of(int64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Seconds until the line through the points of the last two hours reaches `reaches`; infinite when it goes elsewhere, or
 * while there are less than half an hour of them. Least squares. */
static double forecast(struct memory_entry *t, usec now, double value, double reaches)
{
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    while (t->n > 2 && (t->cells[2] < now - 2 * HOUR || t->n >= CELLS_VALUE_MAX))
        memory_cut(t, 2, 2);
    if (t->n == 2 || now - t->cells[t->n - 2] >= 5 * MINUTE) {
        memory_mark(t, now);
        memory_mark(t, bits_of(value));
    }
    for (size_t i = 2; i < t->n; i += 2) {
        double x = (double)(t->cells[i] - now) / SECOND, y = value_of(t->cells[i + 1]);
        n++, sx += x, sy += y, sxx += x * x, sxy += x * y;
    }
    double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx), left = (reaches - value) / slope;
    return now - t->cells[2] >= 30 * MINUTE && isfinite(left) && left >= 0 ? left : INFINITY;
}

/* cells[0]: since when it holds, 0: it does not. cells[1]: it was told. */
static bool value_fires(struct firing *f)
{
    const struct rule_part *p = f->part;
    usec now = f->in->now;
    double value, limit = p->value.limit;
    if (!number_of(f, p->of, &value))
        return false;
    struct memory_entry *t = entry_of(f, &p->by, 2, NULL);
    double seen = p->value.forecast ? forecast(t, now, value, p->value.reaches) : value;
    bool beyond = p->value.below ? seen < limit : seen > limit;
    bool held = t->cells[0] != 0;
    beyond |= p->value.with && seen <= limit && seen >= limit;
    bool over = p->value.below ? seen > p->value.clear : seen < p->value.clear;
    if (beyond && !held)
        t->cells[0] = now;
    else if (held && !beyond && (over || !t->cells[1]))
        t->cells[0] = t->cells[1] = 0;
    bool fires = t->cells[0] && now - t->cells[0] >= p->window;
    t->cells[1] |= fires;
    t->expires = now + 7 * DAY;
    if (p->value.forecast || held || t->cells[0])
        memory_touch(f->memory, t, now);
    if (fires && p->value.forecast)
        f->detail = arena_printf(f->arena, "%s is %.4g and reaches %.4g in %.1f hours", p->of, value, p->value.reaches,
                                 seen / 3600);
    else if (fires)
        f->detail = arena_printf(f->arena, "%s is %.6g, the limit is %.6g", p->of, value, limit);
    return fires;
}

/* ---- sequence ---- */

static bool step_matches(struct firing *f, const struct rule_step *s)
{
    return filter_match(s->where, f->in->event, f->arena) && (s->known_ip == ANY || s->known_ip == f->known_ip);
}

/* A step is ready when enough of its events came within the time, each after the step before it was. The last step is
 * looked at first, so that one event is never two steps. */
static bool sequence_fires(struct firing *f)
{
    const struct rule_part *p = f->part;
    struct memory_entry *t = NULL;
    usec now = f->in->now;
    for (size_t i = p->steps; i-- > 0;) {
        if (!step_matches(f, &p->step[i]))
            continue;
        if (!t)
            t = entry_of(f, &p->by, CELLS_SEQUENCE, NULL);
        int64_t *ready = t->cells, *n = t->cells + RULE_STEPS_MAX + i;
        int64_t *marks = t->cells + 2 * RULE_STEPS_MAX + i * RULE_STEP_MARKS;
        if (i > 0 && (!ready[i - 1] || now - ready[i - 1] > p->window))
            continue;
        int64_t gone = *n == RULE_STEP_MARKS;
        while (gone < *n && marks[gone] <= now - p->window)
            gone++;
        memmove(marks, marks + gone, (size_t)(*n - gone) * sizeof *marks);
        *n -= gone;
        marks[(*n)++] = now;
        if (*n >= p->step[i].at_least)
            ready[i] = now;
    }
    if (!t)
        return false;
    bool done = t->cells[p->steps - 1] == now;
    if (done)
        memset(t->cells, 0, t->n * sizeof *t->cells);
    t->expires = now + p->window;
    memory_touch(f->memory, t, now);
    if (done)
        f->detail = within(f, "steps in this order", (long long)p->steps);
    return done;
}

/* ---- ratio, slo ---- */

struct share {
    int64_t bad, all;
};

/* Counts into a ring of slots (number, bad, all), one each `width`. */
static void slot_add(int64_t *ring, int64_t slots, usec now, usec width, bool bad)
{
    int64_t number = now / width, *s = ring + 3 * (number % slots);
    if (s[0] != number)
        s[0] = number, s[1] = s[2] = 0;
    s[1] += bad;
    s[2]++;
}

static struct share slots_sum(const int64_t *ring, int64_t slots, usec now, usec width, int64_t back)
{
    struct share sum = {0, 0};
    int64_t number = now / width;
    for (int64_t i = 0; i < slots; i++)
        if (ring[3 * i] <= number && ring[3 * i] > number - back) {
            sum.bad += ring[3 * i + 1];
            sum.all += ring[3 * i + 2];
        }
    return sum;
}

/* Lower bound of a share with 95 % confidence (Wilson 1927), so that three bad of four are no alert. */
static double wilson_low(struct share s)
{
    double n = (double)s.all, share = (double)s.bad / n, z = 1.96, z2 = z * z / n;
    return (share + z2 / 2 - z * sqrt(share * (1 - share) / n + z2 / 4 / n)) / (1 + z2);
}

static bool above(struct share s, double limit, uint32_t at_least)
{
    return s.all > 0 && s.bad >= at_least && (double)s.bad / (double)s.all > limit && wilson_low(s) > limit;
}

static bool is_bad(struct firing *f)
{
    bool yes = filter_match(f->part->bad, f->in->event, f->arena);
    return f->part->kind == PART_SLO ? !yes : yes;
}

static bool ratio_fires(struct firing *f)
{
    const struct rule_part *p = f->part;
    usec now = f->in->now, width = p->window / (RATIO_SLOTS - 1);
    struct memory_entry *t = entry_of(f, &p->by, CELLS_RATIO, NULL);
    bool bad = is_bad(f);
    slot_add(t->cells, RATIO_SLOTS, now, width, bad);
    t->expires = now + p->window + width;
    memory_touch(f->memory, t, now);
    struct share s = slots_sum(t->cells, RATIO_SLOTS, now, width, RATIO_SLOTS);
    if (!bad || !above(s, p->target, p->at_least))
        return false;
    char text[DURATION_TEXT_MAX];
    f->detail = arena_printf(f->arena, "%lld of %lld within %s are bad, %.3g %%", (long long)s.bad, (long long)s.all,
                             duration_text(p->window, text), 100 * (double)s.bad / (double)s.all);
    return true;
}

static bool is_counted(struct firing *f)
{
    return !f->part->total || filter_match(f->part->total, f->in->event, f->arena);
}

/* Pairs of windows and how many times faster than even the budget burns in both (SRE workbook, chapter 5). */
static bool slo_fires(struct firing *f)
{
    static const struct {
        usec wide, width;
        int64_t slots, few; /* slots of the wide and of the narrow window */
        double burn;
        int rank;
    } pairs[] = {{HOUR, 5 * MINUTE, 12, 1, 14.4, 1}, {6 * HOUR, 5 * MINUTE, 72, 6, 6, 2}, {3 * DAY, HOUR, 72, 6, 1, 4}};
    const struct rule_part *p = f->part;
    usec now = f->in->now;
    struct memory_entry *t = entry_of(f, &p->by, CELLS_SLO, NULL);
    int64_t *minutes = t->cells, *hours = t->cells + 3 * SLO_SLOTS;
    bool bad = is_bad(f);
    slot_add(minutes, SLO_SLOTS, now, 5 * MINUTE, bad);
    slot_add(hours, SLO_SLOTS, now, HOUR, bad);
    t->expires = now + 3 * DAY;
    memory_touch(f->memory, t, now);
    for (size_t i = 0; bad && i < LENGTH(pairs); i++) {
        const int64_t *ring = pairs[i].width == HOUR ? hours : minutes;
        double limit = fmin(.99, pairs[i].burn * (1 - p->target));
        struct share s = slots_sum(ring, SLO_SLOTS, now, pairs[i].width, pairs[i].slots);
        if (!above(s, limit, p->at_least) ||
            !above(slots_sum(ring, SLO_SLOTS, now, pairs[i].width, pairs[i].few + 1), limit, 1))
            continue;
        char text[DURATION_TEXT_MAX];
        f->rank = pairs[i].rank;
        f->detail = arena_printf(f->arena, "%lld of %lld within %s are bad: the budget burns %.1f times too fast",
                                 (long long)s.bad, (long long)s.all, duration_text(pairs[i].wide, text),
                                 (double)s.bad / (double)s.all / (1 - p->target));
        return true;
    }
    return false;
}

/* ---- heartbeat, absent ---- */

/* A duration that the heartbeat itself gave, in seconds. */
static usec own_duration(struct firing *f, const char *field, usec otherwise)
{
    double s;
    return number_of(f, field, &s) && s >= 1 && s <= 366 * 86400. ? (usec)(s * SECOND) : otherwise;
}

/* cells: last, every, grace, misses of the last 64 beats as bits. */
static bool heartbeat_heard(struct firing *f)
{
    const struct rule_part *p = f->part;
    struct memory_entry *t = entry_of(f, &p->by, CELLS_HEARTBEAT, NULL);
    usec now = f->in->now, every = p->every ? p->every : own_duration(f, "heartbeat.every_s", 0);
    usec fifth = every / 5 > MINUTE ? every / 5 : MINUTE;
    if (every == 0) /* it says no time, so none can be missed */
        return false;
    t->cells[0] = now;
    t->cells[1] = every;
    t->cells[2] = p->grace ? p->grace : own_duration(f, "heartbeat.grace_s", fifth);
    t->cells[3] = (int64_t)((uint64_t)t->cells[3] << 1);
    t->expires = now + 400 * DAY;
    memory_due(f->memory, t, now + every + t->cells[2]);
    memory_touch(f->memory, t, now);
    return false;
}

static const char *silent_since(struct firing *f, usec last, usec now)
{
    char text[DURATION_TEXT_MAX], at[TIME_TEXT_MAX];
    time_print(last * NSEC_PER_USEC, 0, at);
    return arena_printf(f->arena, "silent for %s, since %s", duration_text((now - last) / SECOND * SECOND, text), at);
}

static bool heartbeat_missed(struct firing *f, struct memory_entry *t, usec now, usec until)
{
    const struct rule_part *p = f->part;
    uint64_t misses = (uint64_t)t->cells[3] << 1 | 1, among = p->of_n >= 64 ? UINT64_MAX : ((uint64_t)1 << p->of_n) - 1;
    t->cells[3] = (int64_t)misses;
    usec next = now + t->cells[1];
    if (until - next > 64 * t->cells[1]) /* the clock leapt: more misses than are remembered */
        next = until - t->cells[1];
    memory_due(f->memory, t, next);
    f->detail = silent_since(f, t->cells[0], now);
    return (uint32_t)__builtin_popcountll(misses & among) > p->tolerate;
}

enum { REGULAR = 20 }; /* events, and so many times the silence heard of: a source whose silence means something */

static bool is_regular(const struct memory_entry *t, usec silence)
{
    return t->cells[2] >= REGULAR && t->cells[0] - t->cells[3] >= REGULAR * silence;
}

/* cells: last, longest silence that was not told (an eighth shorter each day), events seen, first. */
static bool absent_heard(struct firing *f)
{
    const struct rule_part *p = f->part;
    bool first;
    struct memory_entry *t = entry_of(f, &p->by, CELLS_ABSENT, &first);
    usec now = f->in->now, gap = first ? 0 : now - t->cells[0];
    if (first)
        t->cells[3] = now;
    else if (gap < t->cells[1] / 64 && gap < p->every / 64 && t->due)
        return false; /* so that little is written for a busy source */
    if (gap > t->cells[1] && (t->due || !is_regular(t, p->every)))
        t->cells[1] = gap;
    t->cells[1] -= (usec)((double)t->cells[1] * fmin(1, (double)gap / (8. * DAY)));
    t->cells[0] = now;
    t->cells[2]++;
    usec silence = (usec)p->times * t->cells[1] > p->every ? (usec)p->times * t->cells[1] : p->every;
    t->expires = now + 30 * DAY;
    memory_due(f->memory, t, is_regular(t, p->every) ? now + silence : 0);
    memory_touch(f->memory, t, now);
    return false;
}

static bool absent_told(struct firing *f, struct memory_entry *t, usec now)
{
    memory_due(f->memory, t, 0);
    f->detail = silent_since(f, t->cells[0], now);
    return true;
}

/* ---- who knows whom ---- */

/* Pairs of a network's hash and when it was last seen. */
enum tri known_ip(struct rules_memory *m, const struct rules_input *in, struct arena *a)
{
    str user = event_text(in->event, S("auth.user"), a), net = rule_field(in, S("ip_prefix"), a);
    if (user.n == 0 || net.n == 0 || !str_eq(event_text(in->event, S("auth.action"), a), S("login")))
        return ANY;
    str key = str_of(arena_printf(a, "\x1f%.*s\x1f%.*s", STR_ARG(in->event->app), STR_ARG(user)));
    struct memory_entry *t = memory_get(m, key);
    int64_t hash = (int64_t)xxh64(net.p, net.n, 0);
    size_t at = 0;
    while (t && at < t->n && t->cells[at] != hash)
        at += 2;
    bool known = t && at < t->n && in->now - t->cells[at + 1] < KNOWN_FOR;
    if (!str_eq(event_text(in->event, S("auth.outcome"), a), S("success")))
        return known ? YES : NO;
    if (!t)
        t = memory_add(m, MEMORY_KNOWN, key, 0);
    if (at < t->n)
        memory_cut(t, at, 2);
    else if (t->n == 2 * KNOWN_NETWORKS)
        memory_cut(t, 0, 2); /* the one not seen for longest */
    memory_mark(t, hash);
    memory_mark(t, in->now);
    t->expires = in->now + KNOWN_FOR;
    memory_touch(m, t, in->now);
    return known ? YES : NO;
}

/* ---- all ---- */

bool part_fires(struct firing *f)
{
    const struct rule_part *p = f->part;
    if (p->where && !filter_match(p->where, f->in->event, f->arena))
        return false;
    if (p->known_ip != ANY && p->known_ip != f->known_ip)
        return false;
    switch (p->kind) {
    case PART_COUNT: return count_fires(f);
    case PART_DISTINCT: return distinct_fires(f);
    case PART_NEW: return new_fires(f);
    case PART_CHANGE: return p->of ? drift_fires(f) : rate_fires(f);
    case PART_VALUE: return value_fires(f);
    case PART_SEQUENCE: return sequence_fires(f);
    case PART_RATIO: return ratio_fires(f);
    case PART_SLO: return is_counted(f) && slo_fires(f);
    case PART_HEARTBEAT: return heartbeat_heard(f);
    case PART_ABSENT: return absent_heard(f);
    default: return true;
    }
}

bool part_falls_due(struct firing *f, struct memory_entry *t, usec until)
{
    usec now = f->in->now;
    return t->kind == PART_HEARTBEAT ? heartbeat_missed(f, t, now, until) : absent_told(f, t, now);
}
