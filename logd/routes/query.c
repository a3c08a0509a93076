/* routes/query.c - GET /v1/query, /v1/histogram, /v1/facets, /v1/fields, /v1/events/ID and its context (contract 4). All
 * run in the pool for queries, and end soon after their client has gone. */
#include "query/query.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "parts.h"
#include "routes/grouping.h"
#include "routes/http.h"
#include "routes/resolve.h"
#include "routes/resources.h"
#include "routes/stream.h"

enum {
    ROWS_MAX = 100000,
    BUCKETS_DEFAULT = 60,
    BUCKETS_MAX = 1000,
    FACETS_MAX = 32,
    AROUND_DEFAULT = 10,
    HEADER_MAX = 4096
};

/* from=, to=, limit=, order=, cursor=. */
static int read_options(struct request *r, struct query_options *o, struct err *e)
{
    usec now = clock_now();
    str from = http_param(r, "from"), to = http_param(r, "to"), limit = http_param(r, "limit"),
        order = http_param(r, "order");
    uint64_t n = 0; /* query.h's default */
    *o = (struct query_options){.cursor = http_param(r, "cursor"),
                                .deadline = clock_mono() + r->parts->config->query_deadline};
    if (query_time(from.n ? from : S("-1h"), now, &o->from, e) < 0)
        return err_wrap(e, "from");
    if (query_time(to.n ? to : S("now"), now, &o->to, e) < 0)
        return err_wrap(e, "to");
    if (o->from > o->to)
        return err_set(e, ERR_INPUT, "from: expected a time before to, got %.*s and %.*s",
                       STR_ARG(str_head(from.n ? from : S("-1h"), 40)), STR_ARG(str_head(to.n ? to : S("now"), 40)));
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

/* A query that is asked for: what every resource here begins and ends with. */
struct asked {
    struct query_options o;
    struct grouping grouping;
    struct query *q;
    struct store_view *view;
};

/* False: it is wrong, and the reply says so. */
static bool ask(struct request *r, struct asked *a)
{
    struct err e;
    a->q = NULL;
    if (read_options(r, &a->o, &e) < 0 || query_parse(http_param(r, "q"), &a->q, &e) < 0) {
        reply_err(r, &e);
        return false;
    }
    grouping_init(&a->grouping, r->parts);
    a->o.grouping = &a->grouping.query;
    a->o.cancel = http_gone(r);
    a->view = store_view_open(r->parts->store);
    return true;
}

static void asked_done(struct asked *a)
{
    store_view_close(a->view);
    grouping_done(&a->grouping);
    query_free(a->q);
}

static void say_partial(struct request *r, bool partial)
{
    if (partial)
        reply_header(r, "X-Logd-Partial", "true");
}

/* ---- stream=1: rows as they are found ---- */

#define STREAM_GRACE (5 * USEC_PER_SEC) /* past the query's deadline, for a reader that is slow */
#define TELL_EVERY (USEC_PER_SEC / 2)

struct feeding {
    struct stream *s;
    usec until, told; /* clock_mono() */
};

static bool feed_rows(void *arg, str lines)
{
    struct feeding *f = arg;
    f->told = clock_mono();
    return stream_write_wait(f->s, lines, f->until);
}

static void feed_progress(void *arg, const struct query_result *so_far)
{
    struct feeding *f = arg;
    struct buf line = BUF_INIT(1000);
    if (clock_mono() - f->told < TELL_EVERY)
        return;
    f->told = clock_mono();
    buf_lit(&line, "{\"progress\":{");
    query_print_progress(so_far, &line);
    buf_lit(&line, "}}\n");
    (void)stream_write(f->s, buf_view(&line)); /* who has no room for it has rows to read */
    buf_done(&line);
}

static void feed_end(struct feeding *f, const struct query_result *result, const struct err *e)
{
    struct buf line = BUF_INIT(LIMIT_RESULT);
    buf_lit(&line, "{\"meta\":{");
    if (e) {
        buf_lit(&line, "\"error\":");
        buf_json(&line, str_of(e->kind == ERR_INPUT ? e->text : "the server failed to do this; its log says why"));
        if (e->column)
            buf_printf(&line, ",\"column\":%zu", e->column);
    } else {
        query_print_meta(result, &line);
    }
    buf_lit(&line, "}}\n");
    (void)stream_write_wait(f->s, buf_view(&line), f->until);
    buf_done(&line);
    stream_end(f->s);
}

/* Rows, {"progress":{…}} now and then, and as the last line {"meta":{…}}. A row's values are never objects,
 * so it cannot look like these. From http_stream on r is not ours. */
static void stream_query(struct request *r)
{
    struct query_options o;
    struct query *q = NULL;
    struct query_result result = {0};
    struct err e;
    char cursor[sizeof result.next];
    struct grouping grouping;
    if (read_options(r, &o, &e) < 0 || query_parse(http_param(r, "q"), &q, &e) < 0) {
        reply_err(r, &e);
        return;
    }
    snprintf(cursor, sizeof cursor, "%.*s", STR_ARG(o.cursor));
    o.cursor = str_of(cursor);
    struct store_view *v = store_view_open(r->parts->store);
    grouping_init(&grouping, r->parts);
    r->type = "application/x-ndjson";
    struct feeding f = {.s = http_stream(r, LIMIT_STREAM), .until = o.deadline + STREAM_GRACE, .told = clock_mono()};
    struct query_feed feed = {feed_rows, feed_progress, &f};
    o.feed = &feed;
    o.grouping = &grouping.query;
    o.cancel = stream_gone(f.s);
    int rc = query_run(q, v, &o, &result, &e);
    feed_end(&f, &result, rc < 0 ? &e : NULL);
    store_view_close(v);
    grouping_done(&grouping);
    query_result_done(&result);
    query_free(q);
}

void get_query(struct request *r)
{
    static const char *const types[] = {[FORMAT_NDJSON] = "application/x-ndjson",
                                        [FORMAT_JSON] = "application/json",
                                        [FORMAT_CSV] = "text/csv; charset=utf-8",
                                        [FORMAT_TEXT] = "text/plain; charset=utf-8"};
    struct asked a;
    struct query_result result = {0};
    enum query_format format;
    struct err e;
    str stream = http_param(r, "stream");
    if (read_format(r, &format, &e) < 0) {
        reply_err(r, &e);
        return;
    }
    if (str_eq(stream, S("1")) && format == FORMAT_NDJSON) {
        stream_query(r);
        return;
    }
    if (stream.n) {
        reply_error(r, 400, "stream: expected 1 with format=ndjson, got \"%.*s\"", STR_ARG(str_head(stream, 40)));
        return;
    }
    if (!ask(r, &a))
        return;
    if (query_run(a.q, a.view, &a.o, &result, &e) < 0) {
        reply_err(r, &e);
    } else {
        r->type = types[format];
        if (result.next[0])
            reply_header(r, "X-Logd-Next", "%s", result.next);
        say_partial(r, result.partial);
        reply_header(r, "X-Logd-Blocks", "%u/%u", result.blocks_read, result.blocks);
        if (result.approximate.n > HEADER_MAX) /* columns with very long names */
            reply_header(r, "X-Logd-Approximate", "true");
        else if (result.approximate.n)
            reply_header(r, "X-Logd-Approximate", "{%.*s}", STR_ARG(buf_view(&result.approximate)));
        query_print(&result, format, &r->out);
    }
    query_result_done(&result);
    asked_done(&a);
}

/* A number from 0 or 1 to `most`; the default when it is not given. False: refused. */
static bool read_count(struct request *r, const char *name, uint64_t least, uint64_t most, uint64_t *ret)
{
    str n = http_param(r, name);
    if (!n.n || (str_u64(n, ret) && *ret >= least && *ret <= most))
        return true;
    reply_error(r, 400, "%s: expected a number from %d to %d, got \"%.*s\"", name, (int)least, (int)most,
                STR_ARG(str_head(n, 40)));
    return false;
}

void get_histogram(struct request *r)
{
    struct asked a;
    struct err e;
    uint64_t buckets = BUCKETS_DEFAULT;
    if (!read_count(r, "buckets", 1, BUCKETS_MAX, &buckets) || !ask(r, &a))
        return;
    if (query_histogram(a.q, a.view, &a.o, (uint32_t)buckets, &r->out, &e) < 0)
        reply_err(r, &e);
    asked_done(&a);
}

/* fields=app,level; 0: refused. */
static size_t read_fields(struct request *r, str fields[FACETS_MAX])
{
    str list = http_param(r, "fields");
    size_t n = 0;
    for (list = list.n ? list : S("app,level"); list.p;) {
        str name = str_trim(str_cut(&list, ','));
        bool bad = name.n == 0 || name.n > LIMIT_NAME || n == FACETS_MAX;
        for (size_t i = 0; i < n; i++)
            bad |= str_eq(name, fields[i]);
        if (bad) {
            reply_error(r, 400, "fields: expected at most %d different names with commas between, got \"%.*s\"",
                        FACETS_MAX, STR_ARG(str_head(http_param(r, "fields"), 100)));
            return 0;
        }
        fields[n++] = name;
    }
    return n;
}

void get_facets(struct request *r)
{
    struct asked a;
    struct err e;
    str fields[FACETS_MAX];
    bool partial;
    size_t n = read_fields(r, fields);
    if (n == 0 || !ask(r, &a))
        return;
    if (query_facets(a.q, a.view, &a.o, fields, n, &r->out, &partial, &e) < 0)
        reply_err(r, &e);
    else
        say_partial(r, partial);
    asked_done(&a);
}

void get_fields(struct request *r)
{
    struct asked a;
    struct err e;
    if (!ask(r, &a))
        return;
    if (query_fields(a.q, a.view, &a.o, &r->out, &e) < 0)
        reply_err(r, &e);
    asked_done(&a);
}

void get_event(struct request *r)
{
    struct err e;
    struct store_view *v = store_view_open(r->parts->store);
    if (query_event(v, r->arg[0], &r->out, &e) < 0)
        reply_err(r, &e);
    else
        resolve_answer(r, 0);
    store_view_close(v);
}

void get_event_context(struct request *r)
{
    struct err e;
    uint64_t before = AROUND_DEFAULT, after = AROUND_DEFAULT;
    struct query_options o = {.deadline = clock_mono() + r->parts->config->query_deadline};
    if (!read_count(r, "before", 0, LIMIT_CONTEXT, &before) || !read_count(r, "after", 0, LIMIT_CONTEXT, &after))
        return;
    o.cancel = http_gone(r);
    struct store_view *v = store_view_open(r->parts->store);
    if (query_context(v, &o, r->arg[0], (uint32_t)before, (uint32_t)after, &r->out, &e) < 0)
        reply_err(r, &e);
    store_view_close(v);
}
