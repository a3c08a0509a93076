/* routes/regroup.c - what another version of grouping would make of the stored events, before it is in force.
 *
 * A query's `issues` stage over the last days asks about each event that makes an issue: here it is told the issue it is in
 * now and the fingerprint of the other version, and each pair of them is counted. Nothing is changed. */
#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "fold.h"
#include "issues/issues.h"
#include "parts.h"
#include "query/query.h"
#include "routes/alerts.h"
#include "routes/resources.h"
#include "store/store.h"

enum { PAIRS_MAX = 200000, EXAMPLES = 20 };

struct pair { /* events that are in `issue` and would be in `then` */
    char issue[17], then[17], title[120], why[200];
    uint64_t events;
};
struct preview {
    struct db *db;
    struct grouping_version version, other;
    struct map pairs; /* "ISSUE THEN" to struct pair */
    uint64_t events;
    bool full; /* there were more pairs */
};

static struct pair *pair_of(struct preview *p, const char *issue, const struct fingerprint *then)
{
    char key[34];
    snprintf(key, sizeof key, "%s %s", issue, then->id);
    struct pair *x = map_get(&p->pairs, str_of(key));
    if (x || (p->full = p->pairs.n >= PAIRS_MAX))
        return x;
    x = xcalloc(1, sizeof *x);
    snprintf(x->issue, sizeof x->issue, "%s", issue);
    snprintf(x->then, sizeof x->then, "%s", then->id);
    snprintf(x->title, sizeof x->title, "%.119s", then->title);
    snprintf(x->why, sizeof x->why, "%.199s", then->why);
    map_set(&p->pairs, str_of(key), x);
    return x;
}

static bool count_event(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_title)
{
    struct preview *p = arg;
    struct fingerprint *now = arena_alloc(a, 2 * sizeof *now), *then = now + 1;
    char issue[17];
    struct err ignored;
    if (!fingerprint_of_both(ev, &p->version, a, now) || issue_shown(p->db, now, issue, &ignored) < 0 ||
        !fingerprint_of(ev, p->other.now, a, then))
        return false;
    if (strcmp(then->id, now->id) == 0 || then->shape) /* a message goes on in its template */
        snprintf(then->id, sizeof then->id, "%s", issue);
    struct pair *x = pair_of(p, issue, then);
    if (x)
        x->events++;
    p->events++;
    *ret_id = S("");
    *ret_title = S("");
    return true;
}

static int run_over_events(struct request *r, struct preview *p, usec now, struct err *e)
{
    struct query_grouping grouping = {.issue = count_event, .arg = p};
    struct query_options o = {.from = (now - REGROUP_TIME) * NSEC_PER_USEC,
                              .to = (now + 86400 * USEC_PER_SEC) * NSEC_PER_USEC,
                              .cancel = http_gone(r),
                              .grouping = &grouping};
    struct query_result result = {0};
    struct query *q;
    if (query_parse(S("| issues"), &q, e) < 0)
        return -1;
    struct store_view *v = store_view_open(r->parts->store);
    int rc = query_run(q, v, &o, &result, e);
    store_view_close(v);
    query_result_done(&result);
    query_free(q);
    return rc;
}

/* ---- telling ---- */
typedef const char *side_fn(const struct pair *p);
static const char *side_issue(const struct pair *p) { return p->issue; }
static const char *side_then(const struct pair *p) { return p->then; }

static int by_side(const void *a, const void *b, void *arg)
{
    side_fn *side = *(side_fn **)arg;
    const struct pair *x = *(struct pair *const *)a, *y = *(struct pair *const *)b;
    int order = strcmp(side(x), side(y));
    return order ? order : x->events < y->events ? 1 : x->events > y->events ? -1 : 0;
}

static void put_pair(struct buf *out, const struct pair *p, side_fn *other)
{
    buf_printf(out, "{\"id\":\"%s\",\"events\":%llu,\"title\":", other(p), (unsigned long long)p->events);
    buf_json(out, str_of(p->title));
    buf_lit(out, ",\"why\":");
    buf_json(out, str_of(p->why));
    buf_byte(out, '}');
}

/* What has more than one on its other side; *ret_groups: how many there are on this one. Examples first come. */
static void put_groups(struct buf *out, const char *name, struct pair **all, size_t n, side_fn *side, side_fn *other,
                       size_t *ret_groups)
{
    size_t many = 0, shown = 0;
    qsort_r(all, n, sizeof *all, by_side, &side);
    *ret_groups = 0;
    buf_printf(out, ",\"%s_examples\":[", name);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && strcmp(side(all[i]), side(all[end])) == 0;)
            end++;
        ++*ret_groups;
        many += end - i > 1;
        if (end - i < 2 || shown == EXAMPLES)
            continue;
        buf_printf(out, "%s{\"id\":\"%s\",\"of\":[", shown++ ? "," : "", side(all[i]));
        for (size_t k = i; k < end && k < i + EXAMPLES; k++) {
            buf_str(out, k > i ? S(",") : S(""));
            put_pair(out, all[k], other);
        }
        buf_lit(out, "]}");
    }
    buf_printf(out, "],\"%s\":%zu", name, many);
}

static void tell(struct preview *p, struct buf *out)
{
    struct pair **all = xcalloc(p->pairs.n + 1, sizeof *all);
    struct map_slot *slot;
    size_t n = 0, now, then;
    for (size_t i = 0; (slot = map_next(&p->pairs, &i));)
        all[n++] = slot->value;
    buf_printf(out, "{\"version\":%d,\"then\":%d,\"newest\":%d,\"days\":%lld,\"events\":%llu", p->version.now,
               p->other.now, GROUPING_NEWEST, (long long)(REGROUP_TIME / USEC_PER_SEC / 86400),
               (unsigned long long)p->events);
    put_groups(out, "split", all, n, side_issue, side_then, &now);
    put_groups(out, "joined", all, n, side_then, side_issue, &then);
    buf_printf(out, ",\"issues_now\":%zu,\"issues_then\":%zu,\"whole\":%s}\n", now, then, p->full ? "false" : "true");
    free(all);
}

void get_issues_regroup(struct request *r)
{
    struct preview p = {.db = alerts_reader(r), .other = {.now = GROUPING_NEWEST}};
    struct map_slot *slot;
    struct err e;
    str to = http_param(r, "version");
    int64_t n = GROUPING_NEWEST;
    if (!p.db)
        return;
    if (to.p && (!str_i64(to, &n) || n < 1 || n > GROUPING_NEWEST)) {
        reply_error(r, 400, "version: expected 1 to %d, got \"%.*s\"", GROUPING_NEWEST, STR_ARG(str_head(to, 40)));
        return;
    }
    p.other.now = (int)n;
    if (issues_version(p.db, &p.version, &e) < 0 || run_over_events(r, &p, clock_now(), &e) < 0)
        reply_err(r, &e);
    else
        tell(&p, &r->out);
    for (size_t i = 0; (slot = map_next(&p.pairs, &i));)
        free(slot->value);
    map_done(&p.pairs);
}

void post_issues_regroup(struct request *r)
{
    struct db *db = alerts_reader(r);
    struct buf json = BUF_INIT(4096);
    struct err e;
    struct grouping_version v;
    if (!db)
        return;
    if (issues_regroup_check(db, buf_view(&r->body), alerts_who(r), &json, &e) < 0)
        reply_err(r, &e);
    else if (alerts_act(r, buf_view(&json)) && issues_version(db, &v, &e) == 0)
        buf_printf(&r->out, "{\"version\":%d,\"was\":%d}\n", v.now, v.was);
    buf_done(&json);
}
