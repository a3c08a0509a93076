/* query/histogram.c - events over time by level, and the times that queries are asked with. */
#include "base/clock.h"
#include "base/str.h"
#include "query/scan.h"

struct bars {
    nsec start, step;
    size_t n;
    uint64_t (*levels)[25]; /* by severity */
};

static int on_line(void *arg, str line, nsec time, const struct event *ev, struct err *e)
{
    struct bars *h = arg;
    nsec t;
    int severity = 0;
    (void)e;
    if (ev)
        severity = ev->severity;
    else if (!event_peek(line, &t, &severity))
        return 0;
    size_t i = (size_t)((time - h->start) / h->step);
    if (i < h->n)
        h->levels[i][severity]++;
    return 0;
}

/* The smallest step that people read easily and that covers the range with at most `buckets`. */
static nsec nice_step(nsec range, uint32_t buckets)
{
    static const int64_t steps[] = {1,    2,    5,    10,    15,    30,    60,    120,    300,    600,     900,
                                    1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000};
    for (size_t i = 0; i < LENGTH(steps); i++)
        if (steps[i] * NSEC_PER_SEC * ((nsec)buckets - 1) >= range ||
            (buckets == 1 && steps[i] * NSEC_PER_SEC >= range))
            return steps[i] * NSEC_PER_SEC;
    nsec day = 86400 * NSEC_PER_SEC;
    return (range / (nsec)buckets / day + 2) * day;
}

int query_histogram(const struct query *q, struct store_view *v, const struct query_options *o, uint32_t buckets,
                    struct buf *out, struct err *e)
{
    const struct filter *filters[QUERY_STAGES + 1] = {q->filter};
    struct bars h = {0};
    struct scan s = {.filters = filters,
                     .filters_n = 1,
                     .from = o->from,
                     .to = o->to,
                     .deadline = o->deadline,
                     .cancel = o->cancel,
                     .on_line = on_line,
                     .arg = &h};
    for (size_t i = 0; i < q->n; i++) {
        if (q->stages[i].kind != STAGE_WHERE)
            return err_set(e, ERR_INPUT, "a histogram takes a filter, and no stage but where");
        filters[s.filters_n++] = q->stages[i].filter;
    }
    if (o->to <= o->from)
        return err_set(e, ERR_INPUT, "expected `from` before `to`");
    h.step = nice_step(o->to - o->from, buckets);
    nsec rest = o->from % h.step;
    h.start = o->from - (rest < 0 ? rest + h.step : rest);
    h.n = (size_t)((o->to - h.start + h.step - 1) / h.step);
    h.levels = xcalloc(h.n, sizeof *h.levels);
    int rc = scan_run(&s, v, e);
    buf_printf(out, "{\"step_s\":%lld,\"buckets\":[", (long long)(h.step / NSEC_PER_SEC));
    for (size_t i = 0; rc == 0 && i < h.n; i++) {
        char t[TIME_TEXT_MAX];
        uint64_t total = 0, by_name[25] = {0};
        const char *comma = "";
        time_print(h.start + (nsec)i * h.step, 0, t);
        for (int level = 1; level < 25; level++) {
            total += h.levels[i][level];
            int first = level; /* levels with one name are one entry */
            while (first > 1 && str_eq(level_name(first - 1), level_name(level)))
                first--;
            by_name[first] += h.levels[i][level];
        }
        buf_printf(out, "%s{\"time\":\"%s\",\"total\":%llu,\"levels\":{", i ? "," : "", t, (unsigned long long)total);
        for (int level = 1; level < 25; level++)
            if (by_name[level]) {
                buf_printf(out, "%s\"%.*s\":%llu", comma, STR_ARG(level_name(level)),
                           (unsigned long long)by_name[level]);
                comma = ",";
            }
        buf_lit(out, "}}");
    }
    buf_printf(out, "],\"partial\":%s}", s.partial ? "true" : "false");
    free(h.levels);
    return rc;
}

int query_time(str text, usec now, nsec *ret, struct err *e)
{
    usec back;
    int digits;
    if (str_eq(text, S("now"))) {
        *ret = now * NSEC_PER_USEC;
        return 0;
    }
    if (text.n > 1 && text.p[0] == '-' && str_duration(str_skip(text, 1), &back)) {
        *ret = back > now ? 0 : (now - back) * NSEC_PER_USEC;
        return 0;
    }
    if (time_read(text, ret, &digits, e) == 0)
        return 0;
    return err_set(e, ERR_INPUT, "expected now, a time back like -15m, RFC 3339 or epoch, got \"%.*s\"",
                   STR_ARG(str_head(text, 40)));
}
