#include "intake/sentry.h"
#include "base/secret.h"
#include "base/str.h"

#include <jansson.h>

enum { CAUSES_MAX = 4, FRAMES_MAX = 100, CRUMBS_MAX = 30 };

/* ---- small reading ---- */
static json_t *get(json_t *o, const char *name) { return json_object_get(o, name); }

/* Copies what is text or a number; the rest of an SDK's objects is its own. */
static void copy(json_t *to, const char *as, json_t *v)
{
    if ((json_is_string(v) && json_string_length(v)) || json_is_number(v))
        json_object_set(to, as, v);
}

/* A list is [..] or {"values":[..]}, by SDK. */
static json_t *list(json_t *v) { return json_is_array(v) ? v : get(v, "values"); }

/* Text without what follows ? or # when it is a URL or a path: tokens are there. */
static json_t *cut_url(json_t *v)
{
    const char *s = json_string_value(v);
    return s ? json_stringn(s, strcspn(s, "?#")) : NULL;
}

static json_t *parse(str text, const char *what, struct err *e)
{
    json_error_t why;
    json_t *o = json_loadb(text.p ? text.p : "", text.n, JSON_ALLOW_NUL, &why);
    if (json_is_object(o))
        return o;
    if (o)
        err_set(e, ERR_INPUT, "%s: expected a JSON object", what);
    else
        err_set(e, ERR_INPUT, "%s: expected a JSON object: %.*s", what, STR_ARG(secret_json_reason(why.text)));
    json_decref(o);
    return NULL;
}

/* ---- exceptions ---- */
static json_t *one_frame(json_t *f)
{
    json_t *out = json_object(), *file = get(f, "abs_path");
    copy(out, "function", get(f, "function"));
    json_object_set_new(out, "file", cut_url(json_is_string(file) ? file : get(f, "filename")));
    copy(out, "line", get(f, "lineno"));
    copy(out, "column", get(f, "colno"));
    if (json_is_boolean(get(f, "in_app")))
        json_object_set(out, "in_app", get(f, "in_app"));
    return out;
}

/* Sentry's oldest call comes first, ours last. */
static json_t *frames(json_t *stacktrace)
{
    json_t *from = get(stacktrace, "frames"), *out = json_array();
    for (size_t n = json_array_size(from); n-- > 0 && json_array_size(out) < FRAMES_MAX;)
        if (json_is_object(json_array_get(from, n)))
            json_array_append_new(out, one_frame(json_array_get(from, n)));
    return out;
}

/* values[n - 1] was seen, the one before it is its cause. */
static json_t *error_of(json_t *values, size_t n, int depth)
{
    json_t *v = json_array_get(values, n - 1), *error = json_object();
    copy(error, "type", get(v, "type"));
    copy(error, "message", get(v, "value"));
    json_t *f = frames(get(v, "stacktrace"));
    if (json_array_size(f))
        json_object_set(error, "frames", f);
    json_decref(f);
    if (n > 1 && depth < CAUSES_MAX)
        json_object_set_new(error, "cause", error_of(values, n - 1, depth + 1));
    return error;
}

static void add_error(json_t *out, json_t *event)
{
    json_t *values = list(get(event, "exception")), *error;
    size_t n = json_array_size(values);
    if (!n)
        return;
    error = error_of(values, n, 0);
    const char *type = json_string_value(get(error, "type")), *message = json_string_value(get(error, "message"));
    if (!get(out, "message") && (type || message))
        json_object_set_new(
            out, "message",
            json_sprintf("%s%s%s", type ? type : "", type && message ? ": " : "", message ? message : ""));
    json_object_set_new(out, "error", error);
}

/* ---- the rest of an event ---- */
static void add_message(json_t *out, json_t *event)
{
    json_t *entry = get(event, "logentry"), *message = get(event, "message");
    entry = json_is_object(message) ? message : entry;
    copy(out, "message", message);
    copy(out, "message", get(entry, "message"));
    copy(out, "message", get(entry, "formatted"));
}

/* {"a":"b"} or [["a","b"]]. */
static void add_pairs(json_t *out, const char *as, json_t *pairs)
{
    json_t *to = json_object(), *one, *v;
    const char *name;
    size_t i;
    json_object_foreach(pairs, name, v) json_object_set(to, name, v);
    json_array_foreach(pairs, i, one) if (json_is_string(json_array_get(one, 0)))
        copy(to, json_string_value(json_array_get(one, 0)), json_array_get(one, 1));
    if (json_object_size(to))
        json_object_set(out, as, to);
    json_decref(to);
}

/* "{{ default }}" alone leaves it to us. */
static void add_fingerprint(json_t *out, json_t *parts)
{
    struct buf text = BUF_INIT(1000);
    json_t *one;
    size_t i;
    json_array_foreach(parts, i, one) if (json_is_string(one))
        buf_printf(&text, "%s%s", text.n ? " " : "", json_string_value(one));
    if (text.n && !str_eq(buf_view(&text), S("{{ default }}")) && !str_eq(buf_view(&text), S("{{default}}")))
        json_object_set_new(out, "fingerprint", json_stringn(text.p, text.n));
    buf_done(&text);
}

/* What went before, the newest ones: of a request its method, path and status, of the rest what it says. */
static void add_breadcrumbs(json_t *out, json_t *from)
{
    static const char *const same[] = {"timestamp", "level", "category", "message"};
    size_t n = json_array_size(from);
    json_t *crumbs = json_array();
    for (size_t i = n > CRUMBS_MAX ? n - CRUMBS_MAX : 0; i < n; i++) {
        json_t *in = json_array_get(from, i), *crumb = json_object(), *data = get(in, "data"), *told = json_object();
        for (size_t k = 0; k < LENGTH(same); k++)
            copy(crumb, same[k], get(in, same[k]));
        copy(told, "method", get(data, "method"));
        copy(told, "status_code", get(data, "status_code"));
        json_object_set_new(told, "url", cut_url(get(data, "url")));
        json_object_set_new(told, "from", cut_url(get(data, "from")));
        json_object_set_new(told, "to", cut_url(get(data, "to")));
        if (json_object_size(told))
            json_object_set(crumb, "data", told);
        json_decref(told);
        json_array_append_new(crumbs, crumb);
    }
    if (json_array_size(crumbs))
        json_object_set(out, "breadcrumbs", crumbs);
    json_decref(crumbs);
}

/* What it ran on; of a device neither its name nor its id, which are a person's. */
static void add_contexts(json_t *out, json_t *from)
{
    static const char *const kinds[] = {"os", "browser", "runtime", "device", "app"};
    static const char *const names[] = {"name",   "version", "build", "kernel_version", "model",
                                        "family", "brand",   "arch",  "app_version",    "app_build"};
    json_t *contexts = json_object();
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        json_t *in = get(from, kinds[i]), *kept = json_object();
        for (size_t k = 0; k < LENGTH(names); k++)
            if (k || strcmp(kinds[i], "device") != 0)
                copy(kept, names[k], get(in, names[k]));
        if (json_object_size(kept))
            json_object_set(contexts, kinds[i], kept);
        json_decref(kept);
    }
    if (json_object_size(contexts))
        json_object_set(out, "contexts", contexts);
    json_decref(contexts);
}

static json_t *event_of(json_t *in)
{
    static const char *const same[][2] = {
        {"timestamp", "time"},   {"event_id", "id"},     {"level", "level"},      {"logger", "logger"},
        {"environment", "env"},  {"release", "release"}, {"server_name", "host"}, {"transaction", "transaction"},
        {"platform", "platform"}};
    json_t *out = json_object(), *trace = get(get(in, "contexts"), "trace");
    for (size_t i = 0; i < LENGTH(same); i++)
        copy(out, same[i][1], get(in, same[i][0]));
    copy(out, "user", get(get(in, "user"), "id"));
    copy(out, "trace_id", get(trace, "trace_id"));
    copy(out, "span_id", get(trace, "span_id"));
    json_object_set_new(out, "url", cut_url(get(get(in, "request"), "url")));
    add_message(out, in);
    add_pairs(out, "tags", get(in, "tags"));
    add_pairs(out, "extra", get(in, "extra"));
    add_fingerprint(out, get(in, "fingerprint"));
    add_breadcrumbs(out, list(get(in, "breadcrumbs")));
    add_contexts(out, get(in, "contexts"));
    add_error(out, in);
    return out;
}

/* {"timestamp","level","body","trace_id","attributes":{"k":{"value","type"}}} */
static json_t *log_of(json_t *in)
{
    static const char *const same[][2] = {{"timestamp", "time"},
                                          {"level", "level"},
                                          {"body", "message"},
                                          {"trace_id", "trace_id"},
                                          {"span_id", "span_id"}};
    json_t *out = json_object(), *attributes = json_object(), *v;
    const char *name;
    for (size_t i = 0; i < LENGTH(same); i++)
        copy(out, same[i][1], get(in, same[i][0]));
    json_object_foreach(get(in, "attributes"), name, v) if (get(v, "value"))
        json_object_set(attributes, name, get(v, "value"));
    copy(out, "env", get(attributes, "sentry.environment"));
    copy(out, "release", get(attributes, "sentry.release"));
    copy(out, "host", get(attributes, "server.address"));
    json_object_set_new(out, "attributes", attributes);
    return out;
}

/* ---- envelopes ---- */
static void add_line(struct buf *out, json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT);
    if (text) {
        buf_str(out, str_of(text));
        buf_byte(out, '\n');
        explicit_bzero(text, strlen(text));
    }
    free(text);
    json_decref(event);
}

/* 32 hex, or 36 with dashes. */
static void take_id(json_t *v, char ret[SENTRY_ID])
{
    const char *s = json_string_value(v);
    size_t n = 0;
    for (; s && *s && n < SENTRY_ID - 1; s++)
        if ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'f') || (*s >= 'A' && *s <= 'F'))
            ret[n++] = *s;
    if (s)
        ret[n] = '\0';
}

static void add_item(str type, str payload, struct buf *out, char id[SENTRY_ID])
{
    struct err e;
    bool event = str_eq(type, S("event")), log = str_eq(type, S("log"));
    json_t *in = event || log ? parse(payload, "item", &e) : NULL, *one;
    size_t i;
    if (in && event) {
        if (!*id)
            take_id(get(in, "event_id"), id);
        if (*id)
            json_object_set_new(in, "event_id", json_string(id));
        add_line(out, event_of(in));
    }
    if (in && log)
        json_array_foreach(get(in, "items"), i, one) add_line(out, log_of(one));
    json_decref(in);
}

/* The payload behind an item's header; a length that is too long ends with the body. */
static str take_payload(str *body, json_t *length)
{
    if (!json_is_integer(length) || json_integer_value(length) < 0)
        return str_cut(body, '\n');
    size_t n = (size_t)json_integer_value(length);
    str payload = str_head(*body, n < body->n ? n : body->n);
    *body = str_skip(*body, payload.n);
    if (body->n && *body->p == '\n')
        *body = str_skip(*body, 1);
    return payload;
}

int sentry_envelope(str body, struct buf *out, char ret_id[SENTRY_ID], struct err *e)
{
    struct err bad;
    json_t *head = parse(str_cut(&body, '\n'), "the envelope's first line", e), *item;
    ret_id[0] = '\0';
    if (!head)
        return -1;
    take_id(get(head, "event_id"), ret_id);
    json_decref(head);
    while (body.n) {
        str line = str_trim(str_cut(&body, '\n'));
        if (!line.n)
            continue;
        if (!(item = parse(line, "an item's header", &bad)))
            break; /* where the next begins is not known */
        str payload = take_payload(&body, get(item, "length"));
        add_item(str_of(json_string_value(get(item, "type"))), payload, out, ret_id);
        json_decref(item);
    }
    return out->full ? err_set(e, ERR_FULL, "the envelope holds too much") : 0;
}

/* "https://KEY@host/1", older ones "https://KEY:SECRET@host/1" */
str sentry_dsn_key(str body, struct arena *a)
{
    struct err bad;
    json_t *head = parse(str_cut(&body, '\n'), "the envelope's first line", &bad);
    str dsn = str_of(json_string_value(get(head, "dsn")));
    ptrdiff_t scheme = str_find(dsn, S("://")), at = str_chr(dsn, '@');
    str key = scheme > 0 && at > scheme ? str_head(str_skip(dsn, (size_t)scheme + 3), (size_t)(at - scheme - 3))
                                        : (str){0};
    key = arena_str(a, str_cut(&key, ':'));
    json_decref(head);
    return key;
}

int sentry_store(str body, struct buf *out, char ret_id[SENTRY_ID], struct err *e)
{
    json_t *in = parse(body, "body", e);
    ret_id[0] = '\0';
    if (!in)
        return -1;
    take_id(get(in, "event_id"), ret_id);
    add_line(out, event_of(in));
    json_decref(in);
    return out->full ? err_set(e, ERR_FULL, "the event holds too much") : 0;
}
