/* routes/query.c - GET /v1/query, /v1/histogram, /v1/events/ID (contract 4). All run in the worker pool. */
#include "query/query.h"
#include "base/clock.h"
#include "base/str.h"
#include "issues/issues.h"
#include "parts.h"
#include "routes/http.h"
#include "routes/resources.h"

enum { ROWS_MAX = 100000, BUCKETS_DEFAULT = 60, BUCKETS_MAX = 1000 };

static bool issue_of(const struct event *ev, struct arena *a, str *ret_id, str *ret_title)
{
    struct fingerprint *fp = arena_alloc(a, sizeof *fp);
    if (!fingerprint_of(ev, a, fp))
        return false;
    *ret_id = str_of(fp->id);
    *ret_title = str_of(fp->title);
    return true;
}
static const struct query_grouping grouping = {fingerprint_pattern, issue_of};

/* from=, to=, limit=, order=, cursor=. */
static int read_options(struct request *r, struct query_options *o, struct err *e)
{
    usec now = clock_now();
    str from = http_param(r, "from"), to = http_param(r, "to"), limit = http_param(r, "limit"),
        order = http_param(r, "order");
    uint64_t n = 0; /* query.h's default */
    *o = (struct query_options){.cursor = http_param(r, "cursor"),
                                .deadline = clock_mono() + r->parts->config->query_deadline,
                                .grouping = &grouping};
    if (query_time(from.n ? from : S("-1h"), now, &o->from, e) < 0)
        return err_wrap(e, "from");
    if (query_time(to.n ? to : S("now"), now, &o->to, e) < 0)
        return err_wrap(e, "to");
    if (limit.n && (!str_u64(limit, &n) || n < 1 || n > ROWS_MAX))
        return err_set(e, ERR_INPUT, "limit: expected a number from 1 to %d, got \"%.*s\"", ROWS_MAX,
                       STR_ARG(str_head(limit, 40)));
    if (order.n && !str_eq(order, S("asc")) && !str_eq(order, S("desc")))
        return err_set(e, ERR_INPUT, "order: expected asc or desc, got \"%.*s\"", STR_ARG(str_head(order, 40)));
    o->limit = (uint32_t)n;
    o->ascending = str_eq(order, S("asc"));
    return 0;
}

static int read_format(struct request *r, enum query_format *ret, struct err *e)
{
    static const struct {
        str name;
        enum query_format format;
    } formats[] = {
        {S("json"), FORMAT_JSON}, {S("ndjson"), FORMAT_NDJSON}, {S("csv"), FORMAT_CSV}, {S("text"), FORMAT_TEXT}};
    str f = http_param(r, "format");
    *ret = FORMAT_NDJSON;
    for (size_t i = 0; i < LENGTH(formats); i++)
        if (str_eq(f, formats[i].name)) {
            *ret = formats[i].format;
            return 0;
        }
    return f.n ? err_set(e, ERR_INPUT, "format: expected ndjson, json, csv or text, got \"%.*s\"",
                         STR_ARG(str_head(f, 40)))
               : 0;
}

void get_query(struct request *r)
{
    static const char *const types[] = {[FORMAT_NDJSON] = "application/x-ndjson",
                                        [FORMAT_JSON] = "application/json",
                                        [FORMAT_CSV] = "text/csv; charset=utf-8",
                                        [FORMAT_TEXT] = "text/plain; charset=utf-8"};
    struct query_options o;
    struct query_result result = {0};
    struct query *q = NULL;
    enum query_format format;
    struct err e;
    if (read_options(r, &o, &e) < 0 || read_format(r, &format, &e) < 0 || query_parse(http_param(r, "q"), &q, &e) < 0) {
        reply_err(r, &e);
        return;
    }
    struct store_view *v = store_view_open(r->parts->store);
    if (query_run(q, v, &o, &result, &e) < 0) {
        reply_err(r, &e);
    } else {
        r->type = types[format];
        if (result.next[0])
            reply_header(r, "X-Logd-Next", "%s", result.next);
        if (result.partial)
            reply_header(r, "X-Logd-Partial", "true");
        if (result.approximate.n)
            reply_header(r, "X-Logd-Approximate", "{%.*s}", STR_ARG(buf_view(&result.approximate)));
        query_print(&result, format, &r->out);
    }
    store_view_close(v);
    query_result_done(&result);
    query_free(q);
}

void get_histogram(struct request *r)
{
    struct query_options o;
    struct query *q = NULL;
    struct err e;
    uint64_t buckets = BUCKETS_DEFAULT;
    str n = http_param(r, "buckets");
    if (n.n && (!str_u64(n, &buckets) || buckets < 1 || buckets > BUCKETS_MAX)) {
        reply_error(r, 400, "buckets: expected a number from 1 to %d, got \"%.*s\"", BUCKETS_MAX,
                    STR_ARG(str_head(n, 40)));
        return;
    }
    if (read_options(r, &o, &e) < 0 || query_parse(http_param(r, "q"), &q, &e) < 0) {
        reply_err(r, &e);
        return;
    }
    struct store_view *v = store_view_open(r->parts->store);
    if (query_histogram(q, v, &o, (uint32_t)buckets, &r->out, &e) < 0)
        reply_err(r, &e);
    store_view_close(v);
    query_free(q);
}

void get_event(struct request *r)
{
    struct err e;
    struct store_view *v = store_view_open(r->parts->store);
    if (query_event(v, r->arg[0], &r->out, &e) < 0)
        reply_err(r, &e);
    store_view_close(v);
}
