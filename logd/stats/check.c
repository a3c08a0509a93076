/* stats/check.c - reads what was posted: each object becomes a line of the record, or is refused with one sentence.
 *
 * A line: {"k":type (absent: count),"l":labels,"n":name,"t":µs,"v":value}. */
#include "base/map.h"
#include "base/secret.h"
#include "event/event.h"
#include "event/number.h"
#include "event/scrub.h"
#include "stats/private.h"

#include <jansson.h>
#include <stdarg.h>

enum { LABELS_MAX = 8, DIGITS_MAX = 6 };
#define FUTURE (DAY * USEC_PER_SEC)

struct reading {
    usec now;
    struct batch *b;
    struct db *known;
    struct map types; /* name -> an element of stat_type_names: as it is known or came first here */
};

static int refuse(struct err *e, const char *pointer, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int refuse(struct err *e, const char *pointer, const char *fmt, ...)
{
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(e, ERR_INPUT, "%s", text);
    snprintf(e->pointer, sizeof e->pointer, "%s", pointer);
    return -1;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool name_fits(const char *s, const char *more)
{
    size_t n = s ? strlen(s) : 0;
    if (n == 0 || n > 64)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || is_digit(s[i]) || strchr(more, s[i])))
            return false;
    return true;
}

/* ---- labels ---- */
/* An address, with a port, a prefix length or brackets around it too. */
static bool looks_ip(str s)
{
    ip low, high;
    str rest = s, host = str_cut(&rest, ':');
    if (s.n && s.p[0] == '[') {
        rest = str_skip(s, 1);
        s = str_cut(&rest, ']');
    }
    return ip_read(s, &low) || ip_read(host, &low) || cidr_read(s, &low, &high);
}

static bool looks_date(str s)
{
    return s.n >= 10 && s.p[4] == '-' && s.p[7] == '-' && strspn(s.p, "0123456789-") >= 10 && !is_digit(s.p[10]);
}

/* A label value that could name a person or a thing of his makes a series per person: what it looks like, or NULL. */
static const char *looks_personal(const char *s)
{
    size_t n = strlen(s), hex = 0, digits = 0, run = 0, longest = 0;
    for (size_t i = 0; i < n; i++) {
        digits += is_digit(s[i]);
        hex += strchr("0123456789abcdefABCDEF", s[i]) != NULL;
        run = is_digit(s[i]) ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    if (strchr(s, '@'))
        return "an e-mail address";
    if (looks_ip(str_of(s)))
        return "an IP address";
    if (n == 36 && hex == 32 && s[8] == '-' && s[13] == '-')
        return "a UUID";
    if ((n >= 16 && hex == n) || (n >= 24 && digits >= 4 && !strchr(s, ' ')))
        return "a token";
    if (digits > DIGITS_MAX && strspn(s, "+0123456789 ()./-") == n && !looks_date(str_of(s)))
        return "a phone number or an id";
    return longest > DIGITS_MAX ? "an id of more than 6 digits" : NULL;
}

/* Does this text hold something that the scrubber would take out? */
static bool looks_secret(const char *s)
{
    struct buf scrubbed = BUF_INIT(4096);
    bool secret = !scrub_clean(str_of(s), &scrubbed);
    buf_done(&scrubbed);
    return secret;
}

static int check_label(const char *key, const char *text, struct err *e)
{
    char at[128];
    const char *what;
    if (looks_secret(key))
        return refuse(e, "/labels", "refused: a label's name looks like a secret");
    snprintf(at, sizeof at, "/labels/%.80s", key);
    if (!name_fits(key, "._-"))
        return refuse(e, at, "expected a label name of 1 to 64 letters, digits, '.', '_' or '-', got \"%.40s\"", key);
    if (!text || strlen(text) > 100)
        return refuse(e, at, "label \"%s\": expected a text of at most 100 bytes", key);
    if (scrub_name(str_of(key)).p || looks_secret(text))
        return refuse(e, at, "refused: label \"%s\" looks like a secret, which is never stored", key);
    if ((what = looks_personal(text)))
        return refuse(e, at, "refused: label \"%s\" looks like %s, and a label must not name a person", key, what);
    return 0;
}

static int check_labels(json_t *labels, struct err *e)
{
    const char *key;
    json_t *v;
    if (labels && !json_is_object(labels))
        return refuse(e, "/labels", "expected an object of texts");
    if (json_object_size(labels) > LABELS_MAX)
        return refuse(e, "/labels", "expected at most 8 labels, got %zu", json_object_size(labels));
    json_object_foreach(labels, key, v) if (check_label(key, json_string_value(v), e) < 0) return -1;
    return 0;
}

/* ---- the other fields ---- */
static int check_time(json_t *time, usec now, usec *ret, struct err *e)
{
    nsec t;
    int digits;
    char number[40];
    const char *text = json_string_value(time);
    *ret = now;
    if (!time)
        return 0;
    if (json_is_integer(time))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(time));
    else if (json_is_real(time))
        snprintf(number, sizeof number, "%.6f", json_real_value(time));
    else if (!text)
        return refuse(e, "/time", "expected RFC 3339 or epoch");
    if (time_read(str_of(text ? text : number), &t, &digits, e) < 0) {
        snprintf(e->pointer, sizeof e->pointer, "/time");
        return -1;
    }
    *ret = t / NSEC_PER_USEC;
    if (*ret > now + FUTURE)
        return refuse(e, "/time", "expected a time at most a day ahead");
    return 0;
}

/* A value as it came, for an error: a number, or what it is instead. */
static const char *said(json_t *v, char out[40])
{
    static const char *const kinds[] = {"an object", "an array", "text", "", "", "true", "false", "null"};
    if (!v)
        return "nothing";
    if (json_is_integer(v))
        snprintf(out, 40, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(out, 40, "%.10g", json_real_value(v));
    else
        return kinds[json_typeof(v)];
    return out;
}

static int check_value(json_t *v, enum stat_type type, struct err *e)
{
    double number = json_number_value(v);
    char got[40];
    if (type == STAT_COUNT) {
        if (v && (!json_is_integer(v) || number < 0 || number > 1e12))
            return refuse(e, "/value", "expected a whole number from 0 to 10^12, got %s", said(v, got));
    } else if (type == STAT_TIMING) {
        if (!json_is_number(v) || number < 0 || number > 1e12)
            return refuse(e, "/value", "expected milliseconds from 0 to 10^12, got %s", said(v, got));
    } else if (!json_is_number(v) || number < -1e15 || number > 1e15) {
        return refuse(e, "/value", "expected a number from -10^15 to 10^15, got %s", said(v, got));
    }
    return 0;
}

static int check_known(json_t *o, struct err *e)
{
    static const char *const known[] = {"name", "type", "value", "labels", "time"};
    const char *key;
    json_t *v;
    json_object_foreach(o, key, v)
    {
        size_t i = 0;
        while (i < LENGTH(known) && strcmp(key, known[i]) != 0)
            i++;
        if (i < LENGTH(known))
            continue;
        refuse(e, "", "unknown field \"%.40s\", expected name, type, value, labels or time", key);
        snprintf(e->pointer, sizeof e->pointer, "/%.100s", key);
        return -1;
    }
    return 0;
}

static int check_name(const char *name, struct err *e)
{
    if (!name_fits(name, "._-/:"))
        return refuse(e, "/name", "expected 1 to 64 letters, digits, '.', '_', '-', '/' or ':', got \"%.40s\"",
                      name ? name : "");
    if (looks_secret(name))
        return refuse(e, "/name", "refused: the name looks like a secret, which is never stored");
    return 0;
}

/* The type that was named, or count; a metric that is there keeps its own. */
static int check_type(struct reading *r, json_t *o, str name, enum stat_type *ret, struct err *e)
{
    json_t *type = json_object_get(o, "type");
    str text = str_of(json_string_value(type));
    enum stat_type known;
    *ret = STAT_COUNT;
    if (str_eq(text, S("unique")))
        return refuse(e, "/type", "type \"unique\" is not there yet, expected count, max, min, gauge or timing");
    if (type && !stat_type_of(text, ret))
        return refuse(e, "/type", "expected count, max, min, gauge, unique or timing, got \"%.*s\"",
                      STR_ARG(str_head(text, 40)));
    const str *first = map_get(&r->types, name);
    if (!first) {
        if (stat_type_known(r->known, r->b->app, name, &known, e) < 0)
            return -1;
        first = &stat_type_names[known == STAT_TYPES ? *ret : known];
        map_set(&r->types, name, (void *)(uintptr_t)first);
    }
    if (first != &stat_type_names[*ret])
        return refuse(e, "/type", "%.*s is of type %.*s, got %.*s", STR_ARG(name), STR_ARG(*first),
                      STR_ARG(stat_type_names[*ret]));
    return 0;
}

static int add_line(struct batch *b, json_t *line, struct err *e)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (text) {
        buf_str(&b->body, str_of(text));
        buf_byte(&b->body, '\n');
        b->events++;
        b->accepted++;
    }
    free(text);
    return text ? 0 : refuse(e, "", "expected UTF-8 text");
}

static int check_one(struct reading *r, json_t *o, struct err *e)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    json_t *value = json_object_get(o, "value"), *labels = json_object_get(o, "labels");
    enum stat_type type;
    usec t;
    if (!json_is_object(o))
        return refuse(e, "", "expected an object like {\"name\":\"pic.upload\",\"value\":1}");
    if (check_known(o, e) < 0 || check_name(name, e) < 0 || check_labels(labels, e) < 0 ||
        check_time(json_object_get(o, "time"), r->now, &t, e) < 0 || check_type(r, o, str_of(name), &type, e) < 0 ||
        check_value(value, type, e) < 0)
        return -1;
    json_t *line = json_pack("{s:s,s:O*,s:I}", "n", name, "l", labels, "t", (json_int_t)t);
    json_object_set_new(line, "v", value ? json_deep_copy(value) : json_integer(1));
    if (type != STAT_COUNT)
        json_object_set_new(line, "k", json_string(stat_type_names[type].p));
    int rc = add_line(r->b, line, e);
    json_decref(line);
    return rc;
}

static void add_one(struct reading *r, json_t *o, size_t index)
{
    struct err e;
    if (check_one(r, o, &e) < 0)
        batch_reject(r->b, index, e.pointer, e.text);
}

/* ---- the body ---- */
static int read_array(struct reading *r, str body, struct err *e)
{
    json_error_t where;
    json_t *all = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &where), *o;
    size_t i;
    if (!all)
        return err_set(e, ERR_INPUT, "expected a JSON array: %.*s at line %d, column %d",
                       STR_ARG(secret_json_reason(where.text)), where.line, where.column);
    json_array_foreach(all, i, o) add_one(r, o, i);
    json_decref(all);
    return 0;
}

/* One object after the other: jansson says where each ends. */
static void read_objects(struct reading *r, str body)
{
    for (size_t index = 0; body.n; index++) {
        json_error_t where;
        json_t *o = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &where);
        if (o) {
            add_one(r, o, index);
            body = str_trim(str_skip(body, (size_t)where.position));
        } else {
            char text[300];
            snprintf(text, sizeof text, "expected a JSON object: %.*s", STR_ARG(secret_json_reason(where.text)));
            batch_reject(r->b, index, "", text);
            (void)str_cut(&body, '\n');
            body = str_trim(body);
        }
        json_decref(o);
    }
}

int stats_read(str body, usec now, struct db *known, struct batch *b, struct err *e)
{
    struct reading r = {.now = now, .b = b, .known = known};
    int rc = 0;
    body = str_trim(body);
    if (body.n && body.p[0] == '[')
        rc = read_array(&r, body, e);
    else
        read_objects(&r, body);
    map_done(&r.types);
    return rc;
}
