/* routes/beacon.c - what browsers send: POST /b from b.js, and the reports browsers make by themselves.
 *
 * POST /b          events as in POST /v1/events (one, lines or an array), of any content type, since navigator.sendBeacon
 *                  says text/plain to need no preflight. They are marked trust=browser. 204, or 400 when all were refused.
 *                  A body {"stats":[…]} instead holds counts as in POST /v1/stats: a page may add to a count, a million at
 *                  a time, and to nothing else, since whoever reads the page has its key.
 * POST /b/reports  application/csp-report (one object "csp-report") and application/reports+json (an array), told apart by
 *                  their shape. Each becomes one event: type from the report's ("csp-violation" is csp.violation), its
 *                  body's fields under `csp.` or `report.`, in the names of the Reporting API for both.
 *
 * URLs are cut to origin and path: what follows holds tokens. The whole policy is left out, the page has it. */
#include "base/clock.h"
#include "base/secret.h"
#include "base/str.h"
#include "intake/json.h"
#include "routes/post.h"
#include "routes/resources.h"
#include "stats/stats.h"

#include <jansson.h>

enum { COUNT_MOST = 1000000 };

static void reply_empty(struct request *r, const struct batch *b)
{
    if (!b->rejected || b->accepted || b->duplicates) {
        r->status = 204;
        return;
    }
    r->status = 400;
    batch_reply(b, &r->out);
    buf_byte(&r->out, '\n');
}

static void post_browser(struct request *r, str body)
{
    struct err e = {0};
    struct event_source src;
    struct batch *b = post_begin(r, RECORD_EVENTS, &src);
    if (!b)
        return;
    src.browser = true; /* whoever's key it is, a page wrote this */
    src.ip = str_of(r->peer);
    src.agent = str_head(http_header(r, "User-Agent"), 500);
    if (intake_json(post_writer(), &src, body, b, &e) < 0) {
        batch_free(b);
        post_refuse(r, &e);
        return;
    }
    post_commit(r, b, reply_empty);
}

/* ---- counts ---- */
/* Is it a count that a page may make? The rest is for stats_read to say. */
static bool check_count(struct request *r, size_t i, json_t *count)
{
    json_t *type = json_object_get(count, "type"), *value = json_object_get(count, "value");
    str kind = str_of(json_string_value(type));
    if (type && !str_eq(kind, S("count")) && !str_eq(kind, S("flow")))
        reply_error(r, 400, "/stats/%zu/type: expected count, since a page may only count", i);
    else if (json_is_integer(value) && json_integer_value(value) > COUNT_MOST)
        reply_error(r, 400, "/stats/%zu/value: expected at most %d from a page, got %lld", i, COUNT_MOST,
                    (long long)json_integer_value(value));
    else
        return true;
    return false;
}

static void take_counts(struct request *r, str counts)
{
    struct err e = {0};
    struct event_source src;
    struct batch *b = post_begin(r, RECORD_STATS, &src);
    if (!b)
        return;
    if (stats_read(counts, src.now, NULL, NULL, b, &e) == 0) {
        post_commit(r, b, reply_empty);
        return;
    }
    batch_free(b);
    post_refuse(r, &e);
}

static void post_tally(struct request *r)
{
    json_error_t why;
    json_t *root = json_loadb(r->body.p, r->body.n, JSON_REJECT_DUPLICATES, &why), *one;
    json_t *stats = json_object_get(root, "stats");
    size_t i;
    bool good = json_is_array(stats) && json_object_size(root) == 1;
    char *text = NULL;
    if (!root)
        reply_error(r, 400, "expected JSON: %.*s at byte %d", STR_ARG(secret_json_reason(why.text)), why.position);
    else if (!good)
        reply_error(r, 400, "expected {\"stats\":[…]} and nothing else");
    json_array_foreach(stats, i, one) good = good && check_count(r, i, one);
    if (good && (text = json_dumps(stats, JSON_COMPACT)))
        take_counts(r, str_of(text));
    if (text)
        explicit_bzero(text, strlen(text)); /* a label that was refused may be a secret */
    free(text);
    json_decref(root);
}

void post_beacon(struct request *r)
{
    str body = str_trim(buf_view(&r->body));
    if (str_starts(body, S("{\"stats\":[")))
        post_tally(r);
    else
        post_browser(r, buf_view(&r->body));
}

/* ---- reports ---- */

/* A URL without what follows its path, and without a user; data: and blob: without what follows. */
static str cut_url(str s)
{
    ptrdiff_t scheme = str_find(str_head(s, 32), S("://"));
    if (str_starts_nocase(s, S("data:")) || str_starts_nocase(s, S("blob:")))
        return str_head(s, 5);
    if (scheme < 0)
        return s;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '?' || s.p[i] == '#')
            s.n = i;
    return s;
}

/* The names of csp-report, as the Reporting API calls them. */
static const char *field_name(const char *name)
{
    static const char *const pairs[][2] = {{"document-uri", "documentURL"},
                                           {"blocked-uri", "blockedURL"},
                                           {"effective-directive", "effectiveDirective"},
                                           {"violated-directive", "effectiveDirective"},
                                           {"source-file", "sourceFile"},
                                           {"line-number", "lineNumber"},
                                           {"column-number", "columnNumber"},
                                           {"status-code", "statusCode"},
                                           {"script-sample", "sample"}};
    for (size_t i = 0; i < LENGTH(pairs); i++)
        if (strcmp(name, pairs[i][0]) == 0)
            return pairs[i][1];
    return name;
}

static str text_of(const json_t *v)
{
    return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : (str){0};
}

static void add_text(struct buf *out, const char *name, str text)
{
    if (!text.n)
        return;
    buf_byte(out, ',');
    buf_json(out, str_of(name));
    buf_byte(out, ':');
    buf_json(out, text);
}

/* ,"csp":{…}: the fields that are text, numbers or booleans. */
static void add_fields(struct buf *out, const char *under, json_t *body)
{
    const char *name;
    json_t *v;
    bool first = true;
    buf_printf(out, ",\"%s\":{", under);
    json_object_foreach(body, name, v)
    {
        bool whole_policy = strcmp(name, "originalPolicy") == 0 || strcmp(name, "original-policy") == 0;
        if (whole_policy || json_is_object(v) || json_is_array(v) || json_is_null(v) ||
            (json_is_string(v) && json_string_length(v) == 0))
            continue;
        if (!first)
            buf_byte(out, ',');
        first = false;
        buf_json(out, str_of(field_name(name)));
        buf_byte(out, ':');
        if (json_is_string(v))
            buf_json(out, cut_url(text_of(v)));
        else if (json_is_boolean(v))
            buf_printf(out, "%s", json_is_true(v) ? "true" : "false");
        else if (json_is_integer(v))
            buf_printf(out, "%lld", (long long)json_integer_value(v));
        else
            buf_printf(out, "%.17g", json_real_value(v));
    }
    buf_byte(out, '}');
}

static str field_of(json_t *body, const char *name, const char *older)
{
    str s = text_of(json_object_get(body, name));
    return cut_url(s.p ? s : text_of(json_object_get(body, older)));
}

static void add_message(struct buf *out, str type, json_t *body, str url)
{
    char text[512];
    str said = text_of(json_object_get(body, "message"));
    if (str_eq(type, S("csp-violation"))) {
        str directive = field_of(body, "effectiveDirective", "violated-directive");
        str blocked = field_of(body, "blockedURL", "blocked-uri");
        snprintf(text, sizeof text, "%.*s blocked %.*s", STR_ARG(str_head(directive, 100)),
                 STR_ARG(str_head(blocked, 300)));
    } else if (said.n) {
        snprintf(text, sizeof text, "%.*s", STR_ARG(str_head(said, 500)));
    } else {
        str what = text_of(json_object_get(body, "type"));
        what = what.n ? what : text_of(json_object_get(body, "reason"));
        snprintf(text, sizeof text, "%.*s%s%.*s at %.*s", STR_ARG(str_head(type, 60)), what.n ? " " : "",
                 STR_ARG(str_head(what, 100)), STR_ARG(str_head(url, 300)));
    }
    add_text(out, "message", str_of(text));
}

static const char *level_of(str type, json_t *body)
{
    str what = text_of(json_object_get(body, "type"));
    if (str_eq(type, S("network-error")))
        return str_eq(what, S("ok")) ? "info" : "error"; /* successes are sampled too */
    if (str_eq(type, S("crash")))
        return "error";
    return str_eq(type, S("deprecation")) ? "info" : "warn";
}

static void add_type(struct buf *out, str type)
{
    buf_lit(out, ",\"type\":");
    size_t at = out->n;
    buf_json(out, str_head(type, 64));
    for (; at < out->n; at++)
        if (out->p[at] == '-')
            out->p[at] = '.';
}

/* One line of JSON for one report. */
static void add_report(struct buf *out, str type, json_t *body, str url, str agent, json_t *age, usec now)
{
    char when[TIME_TEXT_MAX];
    usec ago = json_is_number(age) && json_number_value(age) > 0 && json_number_value(age) < 86400e3
                   ? (usec)(json_number_value(age) * 1000)
                   : 0;
    time_print((now - ago) * NSEC_PER_USEC, 3, when);
    buf_printf(out, "{\"time\":\"%s\",\"level\":\"%s\"", when, level_of(type, body));
    add_type(out, type);
    add_message(out, type, body, url);
    add_text(out, "url", url);
    add_text(out, "http.user_agent", agent);
    add_fields(out, str_eq(type, S("csp-violation")) ? "csp" : "report", body);
    buf_lit(out, "}\n");
}

static bool add_reports(struct request *r, json_t *root, struct buf *out)
{
    usec now = clock_now();
    json_t *csp = json_object_get(root, "csp-report"), *one;
    str agent = http_header(r, "User-Agent");
    size_t i;
    if (json_is_object(csp)) {
        add_report(out, S("csp-violation"), csp, field_of(csp, "document-uri", "documentURL"), agent, NULL, now);
        return true;
    }
    json_array_foreach(root, i, one)
    {
        json_t *body = json_object_get(one, "body");
        str type = text_of(json_object_get(one, "type")), its = text_of(json_object_get(one, "user_agent"));
        if (type.n == 0 || !json_is_object(body)) {
            reply_error(r, 400, "report %zu: expected an object with a text \"type\" and an object \"body\"", i);
            return false;
        }
        add_report(out, type, body, cut_url(text_of(json_object_get(one, "url"))), its.n ? its : agent,
                   json_object_get(one, "age"), now);
    }
    if (!json_is_array(root))
        reply_error(r, 400, "expected an array of reports or an object \"csp-report\"");
    return json_is_array(root);
}

void post_reports(struct request *r)
{
    json_error_t why;
    json_t *root = json_loadb(r->body.p ? r->body.p : "", r->body.n, JSON_ALLOW_NUL, &why);
    if (!root) {
        reply_error(r, 400, "expected JSON: %.*s at byte %d", STR_ARG(secret_json_reason(why.text)), why.position);
        return;
    }
    struct buf lines = BUF_INIT(16 * LIMIT_BEACON);
    lines.secret = true;
    if (add_reports(r, root, &lines))
        post_browser(r, buf_view(&lines));
    buf_done(&lines);
    json_decref(root);
}
