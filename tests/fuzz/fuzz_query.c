/* Any bytes are a query or are refused with a column; a filter is matched, printed and parsed again; a query runs over a
 * small store and its answer is printed in every format. */
#include "base/str.h"
#include "event/filter.h"
#include "event/json.h"
#include "issues/issues.h"
#include "issues/patterns.h"
#include "query/query.h"

#include <unistd.h>

static const char line[] =
    "{\"id\":\"0c2k0000000000v\",\"time\":\"2026-11-25T09:35:21.123Z\",\"app\":\"shop\",\"level\":\"error\",\"severity_number\":17,"
    "\"message\":\"connection \\\"refused\\\" by 10.0.0.1\",\"user\":\"bob\",\"status\":503,\"tags\":[\"a\",1],\"d\":\"1.5s\",\"x\":null}";

static void try_filter(str text)
{
    static struct event ev;
    struct arena a = {0};
    struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
    struct err e = {0};
    struct filter *f, *again;
    if (event_read(str_n(line, sizeof line - 1), &ev, &a, &e) < 0)
        abort();
    if (filter_parse(text, &f, &e) < 0) {
        assert(e.kind == ERR_INPUT && e.column >= 1 && e.column <= text.n + 1 && e.text[0]);
        arena_done(&a);
        return;
    }
    bool is = filter_match(f, &ev, &a);
    enum outlook o = filter_outlook(f, 1u << ev.severity, ev.time, ev.time);
    assert(o == OUTLOOK_MAYBE || (o == OUTLOOK_YES) == is);
    assert(!is || !filter_hint(f) || find_nocase(filter_hint(f), ev.line) >= 0);
    filter_print(f, &once);
    if (once.n <= LIMIT_QUERY) { /* backslashes double */
        if (filter_parse(buf_view(&once), &again, &e) < 0)
            abort();
        assert(filter_match(again, &ev, &a) == is);
        filter_print(again, &twice);
        assert(str_eq(buf_view(&once), buf_view(&twice)));
        filter_free(again);
    }
    filter_free(f);
    buf_done(&once), buf_done(&twice);
    arena_done(&a);
}

static struct store *small_store(void)
{
    char dir[] = "/tmp/logd-fuzz-XXXXXX";
    struct store *s;
    struct err e;
    if (!mkdtemp(dir) || store_open(&(struct store_config){.dir = dir}, &s, &e) < 0)
        abort();
    (void)rmdir(dir); /* the head is all we use */
    for (int i = 1; i <= 3; i++) {
        struct batch *b = batch_new(RECORD_EVENTS, 1, i);
        buf_add(&b->body, line, sizeof line - 1);
        b->body.p[20] = (char)('0' + i); /* three ids */
        buf_byte(&b->body, '\n');
        b->events = 1;
        b->seq = (uint64_t)i;
        store_append(s, b);
        batch_free(b);
    }
    return s;
}

static bool issue_of(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_title)
{
    (void)arg;
    struct fingerprint *fp = arena_alloc(a, sizeof *fp);
    if (!fingerprint_of(ev, GROUPING_NEWEST, a, fp))
        return false;
    *ret_id = str_of(fp->id);
    *ret_title = str_of(fp->title);
    return true;
}
static struct patterns *patterns;
static bool pattern_of(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_message)
{
    (void)arg;
    patterns = patterns ? patterns : patterns_new(NULL);
    return patterns_offer(patterns, ev, a, ret_id, ret_message);
}
static void pattern_now(void *arg, str id, struct arena *a, str *ret_id, str *ret_text)
{
    (void)arg;
    patterns_now(patterns, id, a, ret_id, ret_text);
}
static const struct query_grouping grouping = {pattern_of, pattern_now, issue_of, NULL};

/* Every line that comes out is JSON, and the same lines come when they are fed. */
static bool take_rows(void *arg, str lines)
{
    buf_str(arg, lines);
    while (lines.n)
        assert(json_valid(str_cut(&lines, '\n'), LIMIT_DEPTH + 2));
    return true;
}
static void ignore(void *arg, const struct query_result *so_far) { (void)arg, (void)so_far; }

static void try_feed(const struct query *q, struct store_view *v, struct query_options o, const struct query_result *r)
{
    struct buf fed = BUF_INIT(1 << 20);
    struct query_feed feed = {take_rows, ignore, &fed};
    struct query_result again;
    struct err e;
    o.feed = &feed;
    patterns_free(patterns);
    patterns = NULL;
    if (query_run(q, v, &o, &again, &e) < 0)
        abort();
    assert(again.n == r->n && strcmp(again.next, r->next) == 0);
    assert(str_eq(buf_view(&fed), buf_view(&r->rows)));
    query_result_done(&again);
    buf_done(&fed);
}

static void try_query(str text)
{
    static struct store *store;
    struct query *q;
    struct query_result r;
    struct err e = {0};
    struct query_options o = {.from = 0, .to = INT64_MAX, .limit = 2, .grouping = &grouping};
    if (!store)
        store = small_store();
    if (query_parse(text, &q, &e) < 0) {
        assert(e.kind == ERR_INPUT && e.column >= 1 && e.column <= text.n + 1 && e.text[0]);
        return;
    }
    struct store_view *v = store_view_open(store);
    if (query_run(q, v, &o, &r, &e) < 0) {
        assert(e.kind == ERR_INPUT && e.column >= 1);
    } else {
        struct buf out = BUF_INIT(1 << 20);
        assert(r.n <= 2);
        for (enum query_format f = FORMAT_NDJSON; f <= FORMAT_TEXT; f++)
            query_print(&r, f, &out);
        buf_done(&out);
        try_feed(q, v, o, &r);
        query_result_done(&r);
    }
    store_view_close(v);
    query_free(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_n((const char *)data, size);
    try_filter(text);
    try_query(text);
    return 0;
}
