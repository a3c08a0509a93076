/* intake/statsd.c - see statsd.h. Follows github.com/statsd/statsd/blob/master/docs/metric_types.md and Datadog's "datagram
 * format"; where they differ (a gauge with a sign) the older one counts. */
#include "intake/statsd.h"
#include "base/clock.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX = 40 };
#define TIME_MAX_S (INT64_MAX / NSEC_PER_SEC) /* the year 2262, where nanoseconds end */

const struct statsd_reason_text statsd_reasons[STATSD_REASONS] = {
    [STATSD_BAD_LINE] = {"line", "expected NAME:VALUE|TYPE"},
    [STATSD_BAD_TYPE] = {"type", "expected the type c, g, ms, h, d or s"},
    [STATSD_BAD_VALUE] = {"value", "expected a number that its type can have"},
    [STATSD_BAD_RATE] = {"rate", "expected a sample rate above 0, at most 1, and at least 0.000001"},
    [STATSD_BAD_TAGS] = {"tags", "expected at most 32 tags with names"},
    [STATSD_BAD_EVENT] = {"event", "expected _e{TITLE BYTES,TEXT BYTES}:TITLE|TEXT or _sc|NAME|0 to 3"},
    [STATSD_BAD_NAME] = {"name", "expected 1 to 64 letters, digits, '.', '_', '-' or '/' and no secret"},
    [STATSD_BAD_LABEL] = {"label",
                          "expected at most 8 tags of 1 to 64 bytes whose values name no person and hold no secret"},
    [STATSD_OTHER_TYPE] = {"other_type", "the metric is there already and has another type"},
    [STATSD_TOO_LONG] = {"too_long", "expected packets of at most 8192 bytes"},
    [STATSD_TOO_MANY] = {"too_many", "more series or events in a short time than are held"},
    [STATSD_NOT_TAKEN] = {"not_taken", "the journal did not take them: the queue or the disk is full"},
};

static int refuse(enum statsd_reason *why, enum statsd_reason reason)
{
    *why = reason;
    return -1;
}

/* ---- numbers ---- */
static bool read_number(str s, double *ret)
{
    char z[NUMBER_MAX + 1], *end;
    if (s.n == 0 || s.n > NUMBER_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789+-.eE", s.p[i]) || !s.p[i])
            return false;
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    double v = strtod(z, &end);
    if (*end || !isfinite(v))
        return false;
    *ret = v;
    return true;
}

int statsd_value(str *values, double *ret, bool *ret_by)
{
    if (!values->p)
        return 0;
    str one = str_cut(values, ':');
    *ret_by = one.n && (one.p[0] == '+' || one.p[0] == '-');
    return read_number(one, ret) ? 1 : -1;
}

static bool read_time(str s, usec *ret)
{
    uint64_t seconds;
    if (!str_u64(s, &seconds) || seconds == 0 || seconds > TIME_MAX_S)
        return false;
    *ret = (usec)seconds * USEC_PER_SEC;
    return true;
}

/* ---- tags ---- */
int statsd_tags(str tags, struct statsd_tag ret[STATSD_TAGS], size_t *ret_n)
{
    size_t n = 0;
    while (tags.n) {
        str value = str_cut(&tags, ','), name = str_cut(&value, ':');
        if (name.n == 0 && !value.p)
            continue; /* a comma too many */
        if (name.n == 0 || n == STATSD_TAGS)
            return -1;
        ret[n++] = (struct statsd_tag){name, value.n ? value : S("true")};
    }
    *ret_n = n;
    return 0;
}

/* ---- metrics ---- */
static bool kind_of(str type, enum statsd_kind *ret)
{
    static const struct {
        str type;
        enum statsd_kind kind;
    } kinds[] = {{S("c"), STATSD_COUNT},  {S("g"), STATSD_GAUGE},  {S("ms"), STATSD_TIMING},
                 {S("h"), STATSD_TIMING}, {S("d"), STATSD_TIMING}, {S("s"), STATSD_SET}};
    for (size_t i = 0; i < LENGTH(kinds); i++)
        if (str_eq(type, kinds[i].type)) {
            *ret = kinds[i].kind;
            return true;
        }
    return false;
}

static int read_metric(str line, struct statsd_line *ret, enum statsd_reason *why)
{
    str rest = line;
    ret->name = str_cut(&rest, ':');
    if (!rest.p || ret->name.n == 0)
        return refuse(why, STATSD_BAD_LINE);
    ret->values = str_cut(&rest, '|');
    if (!rest.p || ret->values.n == 0)
        return refuse(why, STATSD_BAD_LINE);
    ret->series = rest;
    ret->type = str_cut(&rest, '|');
    if (!kind_of(ret->type, &ret->kind))
        return refuse(why, STATSD_BAD_TYPE);
    while (rest.p) {
        str field = str_cut(&rest, '|');
        char c = field.n ? field.p[0] : '\0';
        if (c == '@' && (!read_number(str_skip(field, 1), &ret->rate) || ret->rate < 1e-6 || ret->rate > 1))
            return refuse(why, STATSD_BAD_RATE);
        if (c == '#')
            ret->tags = str_skip(field, 1);
        if (c == 'T' && !read_time(str_skip(field, 1), &ret->time))
            return refuse(why, STATSD_BAD_LINE);
    }
    return 0;
}

int statsd_read(str line, struct statsd_line *ret, enum statsd_reason *why)
{
    *ret = (struct statsd_line){.rate = 1};
    if (!utf8_valid(line))
        return refuse(why, STATSD_BAD_LINE);
    if (str_starts(line, S("_e{"))) {
        ret->kind = STATSD_EVENT;
        ret->body = str_skip(line, 3);
        return 0;
    }
    if (str_starts(line, S("_sc|"))) {
        ret->kind = STATSD_CHECK;
        ret->body = str_skip(line, 4);
        return 0;
    }
    return read_metric(line, ret, why);
}

/* ---- events and checks ---- */
/* Clients send \n for a line's end, some \\n too. */
static void put_text(struct buf *out, const char *name, str text)
{
    struct buf plain = BUF_INIT(64 << 10);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\\' && i + 1 < text.n && text.p[i + 1] == 'n')
            buf_byte(&plain, '\n'), i++;
        else
            buf_byte(&plain, text.p[i]);
    buf_printf(out, ",\"%s\":", name);
    buf_json(out, plain.n ? buf_view(&plain) : S(""));
    buf_done(&plain);
}

static void put_time(struct buf *out, usec t)
{
    char text[TIME_TEXT_MAX];
    time_print(t * NSEC_PER_USEC, 0, text);
    buf_printf(out, ",\"time\":\"%s\"", text);
}

/* As labels, below one name so that they cannot become another field. */
static int put_tags(struct buf *out, str tags)
{
    struct statsd_tag tag[STATSD_TAGS];
    size_t n;
    if (statsd_tags(tags, tag, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        buf_str(out, i ? S(",") : S(",\"tags\":{"));
        buf_json(out, tag[i].name);
        buf_byte(out, ':');
        buf_json(out, tag[i].value);
    }
    if (n)
        buf_byte(out, '}');
    return 0;
}

/* The fields that events and checks share, each once. What is not known is passed over. */
static int put_fields(str rest, struct buf *out, enum statsd_reason *why)
{
    static const struct {
        str prefix;
        const char *name;
    } fields[] = {{S("h:"), "host"}, {S("k:"), "aggregation_key"}, {S("s:"), "source_type"}, {S("p:"), "importance"}};
    usec t;
    while (rest.p) {
        str field = str_cut(&rest, '|');
        for (size_t i = 0; i < LENGTH(fields); i++)
            if (str_starts(field, fields[i].prefix))
                put_text(out, fields[i].name, str_skip(field, 2));
        if (str_starts(field, S("d:"))) {
            if (!read_time(str_skip(field, 2), &t))
                return refuse(why, STATSD_BAD_EVENT);
            put_time(out, t);
        }
        if (str_starts(field, S("#")) && put_tags(out, str_skip(field, 1)) < 0)
            return refuse(why, STATSD_BAD_TAGS);
    }
    return 0;
}

/* The text that is said to have n bytes and ends before a '|' or the end; clients that count characters are believed too. */
static bool take(str *s, uint64_t n, str *ret)
{
    size_t bytes = 0;
    if (n <= s->n && (n == s->n || s->p[n] == '|')) {
        bytes = (size_t)n;
    } else {
        for (uint64_t i = 0; i < n && bytes < s->n; i++)
            bytes += utf8_len(s->p + bytes, s->n - bytes);
        if (bytes < n || (bytes < s->n && s->p[bytes] != '|'))
            return false;
    }
    *ret = str_head(*s, bytes);
    *s = bytes < s->n ? str_skip(*s, bytes + 1) : (str){0};
    return true;
}

static str event_level(str rest)
{
    while (rest.p) {
        str field = str_cut(&rest, '|');
        if (str_starts(field, S("t:")))
            return str_eq(field, S("t:error")) || str_eq(field, S("t:warning")) ? str_skip(field, 2) : S("info");
    }
    return S("info");
}

/* `body` is "5,4}:title|text|…". */
static int put_event(str body, struct buf *out, enum statsd_reason *why)
{
    uint64_t title_n, text_n;
    str rest = body, lengths = str_cut(&rest, '}'), title, text, first = str_cut(&lengths, ',');
    if (!str_u64(first, &title_n) || !lengths.p || !str_u64(lengths, &text_n) || title_n == 0 ||
        !str_starts(rest, S(":")))
        return refuse(why, STATSD_BAD_EVENT);
    rest = str_skip(rest, 1);
    if (!take(&rest, title_n, &title) || !rest.p || !take(&rest, text_n, &text))
        return refuse(why, STATSD_BAD_EVENT);
    buf_printf(out, "{\"level\":\"%.*s\",\"type\":\"statsd.event\"", STR_ARG(event_level(rest)));
    put_text(out, "message", title);
    if (text.n)
        put_text(out, "text", text);
    return put_fields(rest, out, why);
}

/* `body` is "name|status|…|m:message"; a message goes to the end, bars and all. */
static int put_check(str body, struct buf *out, enum statsd_reason *why)
{
    static const struct {
        const char *status, *level;
    } states[] = {{"ok", "info"}, {"warning", "warn"}, {"critical", "critical"}, {"unknown", "notice"}};
    ptrdiff_t m = str_find(body, S("|m:"));
    str rest = m >= 0 ? str_head(body, (size_t)m) : body, message = m >= 0 ? str_skip(body, (size_t)m + 3) : (str){0};
    str name = str_cut(&rest, '|'), status = rest.p ? str_cut(&rest, '|') : (str){0};
    if (name.n == 0 || status.n != 1 || status.p[0] < '0' || status.p[0] > '3')
        return refuse(why, STATSD_BAD_EVENT);
    size_t i = (size_t)(status.p[0] - '0');
    buf_printf(out, "{\"level\":\"%s\",\"type\":\"statsd.check\",\"check.status\":\"%s\"", states[i].level,
               states[i].status);
    put_text(out, "check.name", name);
    put_text(out, "message", message.n ? message : name);
    return put_fields(rest, out, why);
}

int statsd_event(const struct statsd_line *l, struct buf *out, enum statsd_reason *why)
{
    if ((l->kind == STATSD_EVENT ? put_event(l->body, out, why) : put_check(l->body, out, why)) < 0)
        return -1;
    buf_byte(out, '}');
    return 0;
}
