/* stats/check.c - reads what was posted: each object becomes a line of the record, or is refused with one sentence.
 *
 * A line: {"k":type (absent: count),"l":labels,"n":name,"t":µs,"v":value}. The value of a timing may be many, added up:
 * {"n":5,"sum":…,"min":…,"max":…,"last":…,"h":"quantiles_encode in hex"}, written by gather.c. A unique makes no
 * line: its id becomes places of sketches at once (unique.h), and is in no sentence of a refusal. */
#include "base/map.h"
#include "base/secret.h"
#include "event/event.h"
#include "event/json.h"
#include "event/scrub.h"
#include "stats/gather.h"
#include "stats/personal.h"
#include "stats/private.h"
#include "stats/unique.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>

enum { LABELS_MAX = 8, ID_MAX = 256 };
#define FUTURE (DAY * USEC_PER_SEC)

struct reading {
    usec now;
    struct batch *b;
    struct db *known;
    struct unique_batch *ids;   /* NULL: uniques are refused */
    struct unique_series *last; /* that an id was added to */
    struct map types;           /* name -> an element of stat_type_names: as it is known or came first here */
    int64_t metrics;            /* that the app has, those that came first here too; 0: not looked up */
    struct map shapes;          /* name, type and labels as posted, NULs between -> struct shape of one that was good */
    struct buf key;
};
struct shape {
    enum stat_type type;
    str head;                  /* of its line, up to the time; follows the struct */
    struct unique_series *ids; /* in its place, of a unique */
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
/* Does this text hold something that the scrubber would take out? */
static bool looks_secret(const char *s)
{
    struct buf scrubbed = BUF_INIT(4096);
    bool secret = !scrub_clean(str_of(s), &scrubbed);
    buf_done(&scrubbed);
    return secret;
}

/* A value as it came, for an error: a number, or what it is instead. */
static const char *said(const json_t *v, char out[40])
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

static int check_label(const char *key, const json_t *v, struct err *e)
{
    const char *text = json_string_value(v);
    char at[128], got[40];
    const char *what;
    if (looks_secret(key))
        return refuse(e, "/labels", "refused: a label's name looks like a secret");
    snprintf(at, sizeof at, "/labels/%.80s", key);
    if (!name_fits(key, "._-"))
        return refuse(e, at, "expected a label name of 1 to 64 letters, digits, '.', '_' or '-', got \"%.40s\"", key);
    if (!text)
        return refuse(e, at, "label \"%s\": expected a text, got %s", key, said(v, got));
    if (strlen(text) > 100)
        return refuse(e, at, "label \"%s\": expected a text of at most 100 bytes, got %zu", key, strlen(text));
    if (scrub_name(str_of(key)).p || looks_secret(text))
        return refuse(e, at, "refused: label \"%s\" looks like a secret, which is never stored", key);
    if ((what = personal_name(str_of(key))))
        return refuse(e, at, "refused: the label name \"%s\" looks like %s", key, what);
    if ((what = personal_text(str_of(text))))
        return refuse(e, at, "refused: label \"%s\" looks like %s, and a label must not name a person", key, what);
    return 0;
}

static int check_labels(json_t *labels, struct err *e)
{
    const char *key;
    char got[40];
    json_t *v;
    if (labels && !json_is_object(labels))
        return refuse(e, "/labels", "expected an object of texts, got %s", said(labels, got));
    if (json_object_size(labels) > LABELS_MAX)
        return refuse(e, "/labels", "expected at most 8 labels, got %zu", json_object_size(labels));
    json_object_foreach(labels, key, v) if (check_label(key, v, e) < 0) return -1;
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
        return refuse(e, "/time", "expected RFC 3339 or epoch, got %s", said(time, number));
    if (time_read(str_of(text ? text : number), &t, &digits, e) < 0) {
        snprintf(e->pointer, sizeof e->pointer, "/time");
        return -1;
    }
    *ret = t / NSEC_PER_USEC;
    if (*ret > now + FUTURE)
        return refuse(e, "/time", "expected a time at most a day ahead, got %.40s", text ? text : number);
    return 0;
}

/* `there`: a value was given; a count may go without. */
static bool value_fits(enum stat_type type, bool there, bool whole, double v)
{
    if (type == STAT_COUNT)
        return !there || (whole && v >= 0 && v <= STAT_COUNT_MAX);
    return there && (type == STAT_TIMING ? v >= 0 && v <= STAT_TIMING_MAX : fabs(v) <= STAT_SIZE_MAX);
}

static int check_value(json_t *v, enum stat_type type, struct err *e)
{
    char got[40];
    if (value_fits(type, v, json_is_integer(v), json_is_number(v) || !v ? json_number_value(v) : HUGE_VAL))
        return 0;
    return refuse(e, "/value", "expected %s, got %s",
                  type == STAT_COUNT    ? "a whole number from 0 to 10^12"
                  : type == STAT_TIMING ? "milliseconds from 0 to 10^12"
                                        : "a number from -10^15 to 10^15",
                  said(v, got));
}

/* The id of a unique, as text; `number` is where a whole number is put. */
static int check_id(json_t *v, char number[40], str *ret, struct err *e)
{
    size_t n = json_string_length(v);
    if (json_is_integer(v)) {
        n = (size_t)snprintf(number, 40, "%lld", (long long)json_integer_value(v));
        *ret = str_n(number, n);
        return 0;
    }
    *ret = str_n(json_string_value(v), n);
    if (n >= 1 && n <= ID_MAX)
        return 0;
    if (json_is_string(v))
        return refuse(e, "/value", "expected an id of 1 to %d bytes, got %zu bytes", ID_MAX, n);
    return refuse(e, "/value", "expected an id, as text or a whole number, got %s",
                  !v                ? "nothing"
                  : json_is_real(v) ? "a broken number"
                                    : "something else");
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

static int check_name(json_t *value, struct err *e)
{
    const char *name = json_string_value(value), *what;
    if (!name)
        return refuse(e, "/name", "expected text of 1 to 64 letters, digits, '.', '_', '-', '/' or ':', %s",
                      value ? "got something else" : "but it is not there");
    if (!name_fits(name, "._-/:"))
        return refuse(e, "/name", "expected 1 to 64 letters, digits, '.', '_', '-', '/' or ':', got \"%.40s\"", name);
    if (looks_secret(name))
        return refuse(e, "/name", "refused: the name looks like a secret, which is never stored");
    if ((what = personal_name(str_of(name))))
        return refuse(e, "/name", "refused: the name looks like %s, and a metric must not be of one person", what);
    return 0;
}

static int check_room(struct reading *r, struct err *e)
{
    if (r->known && !r->metrics && stat_metrics(r->known, r->b->app, &r->metrics, e) < 0)
        return -1;
    if (r->metrics >= STAT_METRICS_MAX)
        return refuse(e, "/name", "expected one of the %d metrics that this app has, it can have no more",
                      STAT_METRICS_MAX);
    r->metrics++;
    return 0;
}

/* The type that was named, or count; a metric that is there keeps its own. */
static int check_type(struct reading *r, json_t *o, str name, enum stat_type *ret, struct err *e)
{
    json_t *type = json_object_get(o, "type");
    str text = str_of(json_string_value(type));
    enum stat_type known;
    char got[40];
    *ret = STAT_COUNT;
    if (type && !json_is_string(type))
        return refuse(e, "/type", "expected count, max, min, gauge, unique or timing, got %s", said(type, got));
    if (type && !stat_type_of(text, ret))
        return refuse(e, "/type", "expected count, max, min, gauge, unique or timing, got \"%.*s\"",
                      STR_ARG(str_head(text, 40)));
    if (*ret == STAT_UNIQUE && !r->ids)
        return refuse(e, "/type", "a unique is only counted while the server runs");
    const str *first = map_get(&r->types, name);
    if (!first) {
        if (stat_type_known(r->known, r->b->app, name, &known, e) < 0 || (known == STAT_TYPES && check_room(r, e) < 0))
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

static int add_id(struct reading *r, str name, json_t *labels, usec t, json_t *value, struct err *e)
{
    struct unique_labels l = {0};
    const char *key;
    char number[40];
    json_t *v;
    str id;
    if (check_id(value, number, &id, e) < 0)
        return -1;
    json_object_foreach(labels, key, v)
    {
        l.name[l.n] = str_of(key);
        l.value[l.n++] = str_of(json_string_value(v));
    }
    r->last = unique_series(r->ids, name, &l);
    unique_add(r->ids, r->last, t, id);
    r->b->accepted++;
    return 0;
}

static int check_one(struct reading *r, json_t *o, struct err *e)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    json_t *value = json_object_get(o, "value"), *labels = json_object_get(o, "labels");
    enum stat_type type;
    usec t;
    if (!json_is_object(o))
        return refuse(e, "", "expected an object like {\"name\":\"pic.upload\",\"value\":1}");
    if (check_known(o, e) < 0 || check_name(json_object_get(o, "name"), e) < 0 || check_labels(labels, e) < 0 ||
        check_time(json_object_get(o, "time"), r->now, &t, e) < 0 || check_type(r, o, str_of(name), &type, e) < 0)
        return -1;
    if (type == STAT_UNIQUE)
        return add_id(r, str_of(name), labels, t, value, e);
    if (check_value(value, type, e) < 0)
        return -1;
    json_t *line = json_pack("{s:s,s:O*,s:I}", "n", name, "l", labels, "t", (json_int_t)t);
    json_object_set_new(line, "v", value ? json_deep_copy(value) : json_integer(1));
    if (type != STAT_COUNT)
        json_object_set_new(line, "k", json_string(stat_type_names[type].p));
    int rc = add_line(r->b, line, e);
    json_decref(line);
    return rc;
}

/* ---- a series of stats/gather.h ---- */
static json_t *labels_of(const struct gather_series *s)
{
    json_t *labels = json_object();
    for (size_t i = 0; i < s->labels; i++)
        json_object_setn_new(labels, s->label_names[i].p, s->label_names[i].n,
                             json_stringn(s->label_values[i].p, s->label_values[i].n));
    return labels;
}

int stat_head(struct db *known, const struct gather_series *s, struct buf *out, double *ret_last, struct err *e)
{
    struct batch b = {.app = s->app};
    struct reading r = {.b = &b, .known = known};
    json_t *labels = labels_of(s);
    json_t *o = json_pack("{s:o,s:s%,s:O}", "name", json_stringn(s->name.p, s->name.n), "type", s->type.p, s->type.n,
                          "labels", labels);
    char *canonical = json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS);
    enum stat_type type = STAT_COUNT;
    int rc = -1;
    if (!o || !canonical)
        refuse(e, "/name", "expected UTF-8 text");
    else if (check_name(json_object_get(o, "name"), e) == 0 && check_labels(labels, e) == 0)
        rc = check_type(&r, o, s->name, &type, e);
    if (rc == 0 && type == STAT_GAUGE)
        rc = stat_last_known(known, s->app, s->name, str_of(canonical), ret_last, e);
    if (rc == 0) {
        buf_printf(out, type == STAT_COUNT ? "{\"l\":" : "{\"k\":\"%.*s\",\"l\":", STR_ARG(s->type));
        buf_str(out, str_of(canonical));
        buf_lit(out, ",\"n\":");
        buf_json(out, s->name);
    }
    free(canonical);
    json_decref(o);
    json_decref(labels);
    map_done(&r.types);
    return rc;
}

/* ---- again the same, with another number ---- */
/* Most of what is posted repeats name, type and labels; once they were good in this request they are not checked again, and
 * nothing is built of them: a tenth of the time. Whatever is not plain goes the long way, which says what is wrong. */
struct plain {
    str name, type, labels, value, time;
    bool text; /* the value is */
};

/* False: not an object of only these, each once at most. *ret_n: its bytes. */
static bool read_plain(str text, struct plain *ret, size_t *ret_n)
{
    static const struct {
        str name;
        size_t field;
        unsigned kinds;
    } fields[] = {{S("name"), offsetof(struct plain, name), 1u << J_STRING},
                  {S("type"), offsetof(struct plain, type), 1u << J_STRING},
                  {S("labels"), offsetof(struct plain, labels), 1u << J_OBJECT},
                  {S("value"), offsetof(struct plain, value), 1u << J_NUMBER | 1u << J_STRING},
                  {S("time"), offsetof(struct plain, time), 1u << J_NUMBER | 1u << J_STRING}};
    struct json j;
    struct json_token t;
    enum json_kind kind;
    *ret = (struct plain){0};
    json_init(&j, text, 3);
    if (json_next(&j, &t) != J_OBJECT)
        return false;
    while ((kind = json_next(&j, &t)) > J_CLOSE) {
        size_t i = 0;
        while (i < LENGTH(fields) && !str_eq(fields[i].name, t.name))
            i++;
        str *field = i < LENGTH(fields) ? (str *)(void *)((char *)ret + fields[i].field) : NULL;
        if (!field || field->p || t.flags || !t.raw.n || !(fields[i].kinds & 1u << kind) ||
            (kind == J_OBJECT && json_skip(&j) != J_CLOSE))
            return false;
        ret->text |= field == &ret->value && kind == J_STRING;
        *field = kind == J_OBJECT ? str_n(t.raw.p, (size_t)(j.p - t.raw.p)) : t.raw;
    }
    *ret_n = (size_t)(j.p - text.p);
    return kind == J_CLOSE && ret->name.n;
}

static str shape_key(struct reading *r, const struct plain *p)
{
    buf_reset(&r->key);
    buf_str(&r->key, p->name);
    buf_byte(&r->key, '\0');
    buf_str(&r->key, p->type);
    buf_byte(&r->key, '\0');
    buf_str(&r->key, p->labels);
    return buf_view(&r->key);
}

static bool plain_time(const struct reading *r, const struct plain *p, usec *ret)
{
    nsec ns;
    int digits;
    struct err e;
    *ret = r->now;
    return !p->time.p || (time_read(p->time, &ns, &digits, &e) == 0 && (*ret = ns / NSEC_PER_USEC) <= r->now + FUTURE);
}

static bool add_plain_id(struct reading *r, const struct shape *shape, const struct plain *p)
{
    char number[40];
    int64_t whole;
    str id = p->value;
    usec t;
    if (!id.p || id.n > ID_MAX || !plain_time(r, p, &t) || (!p->text && !str_i64(id, &whole)))
        return false;
    if (!p->text)
        id.n = (size_t)snprintf(number, sizeof number, "%lld", (long long)whole), id.p = number;
    unique_add(r->ids, shape->ids, t, id);
    r->b->accepted++;
    return true;
}

/* The line of a shape with this number; false: its value or its time is not plain. */
static bool add_plain(struct reading *r, const struct shape *shape, const struct plain *p)
{
    struct buf *out = &r->b->body;
    int64_t whole = 1;
    double v = 1;
    usec t;
    bool is_whole = !p->value.p || str_i64(p->value, &whole);
    if (shape->ids)
        return add_plain_id(r, shape, p);
    if (p->text || !plain_time(r, p, &t))
        return false;
    if ((p->value.p && !str_double(p->value, &v)) || !value_fits(shape->type, p->value.p != NULL, is_whole, v))
        return false;
    buf_str(out, shape->head);
    buf_printf(out, ",\"t\":%lld,\"v\":", (long long)t);
    if (is_whole)
        buf_printf(out, "%lld}\n", (long long)whole);
    else {
        buf_double(out, v);
        buf_lit(out, "}\n");
    }
    r->b->events++;
    r->b->accepted++;
    return true;
}

/* Of the line that was just added. */
static void learn_shape(struct reading *r, const struct plain *p, size_t from)
{
    str line = str_skip(buf_view(&r->b->body), from);
    enum stat_type type = STAT_COUNT;
    size_t n = line.n;
    while (n > 0 && !str_starts(str_skip(line, n), S(",\"t\":")))
        n--;
    if (p->type.n && !stat_type_of(p->type, &type))
        return;
    struct shape *shape = xmalloc(sizeof *shape + n);
    if (n)
        memcpy(shape + 1, line.p, n);
    *shape = (struct shape){type, str_n((char *)(shape + 1), n), type == STAT_UNIQUE ? r->last : NULL};
    map_set(&r->shapes, shape_key(r, p), shape);
}

/* ---- the body ---- */
/* One value from the front of `text`; its bytes, 0: it is no JSON. */
static size_t add_one(struct reading *r, str text, size_t index, json_error_t *where)
{
    struct plain p;
    struct err e;
    size_t n = 0, before = r->b->body.n;
    bool plain = read_plain(text, &p, &n);
    struct shape *shape = plain ? map_get(&r->shapes, shape_key(r, &p)) : NULL;
    if (shape && add_plain(r, shape, &p))
        return n;
    json_t *o = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, where);
    if (!o)
        return 0;
    if (check_one(r, o, &e) < 0)
        batch_reject(r->b, index, e.pointer, e.text);
    else if (plain && !shape)
        learn_shape(r, &p, before);
    json_decref(o);
    return (size_t)where->position;
}

static void reject_json(struct reading *r, size_t index, const json_error_t *where)
{
    char text[300];
    snprintf(text, sizeof text, "expected a JSON object: %.*s", STR_ARG(secret_json_reason(where->text)));
    batch_reject(r->b, index, "", text);
}

/* Up to the end of the value that text, which is JSON, starts with. */
static size_t skip_value(str text)
{
    struct json j;
    struct json_token t;
    json_init(&j, text, JSON_DEPTH_MAX);
    enum json_kind kind = json_next(&j, &t);
    if (kind == J_OBJECT || kind == J_ARRAY)
        kind = json_skip(&j);
    assert(kind != J_ERROR);
    return (size_t)(j.p - text.p);
}

static int read_array(struct reading *r, str body, struct err *e)
{
    json_error_t where;
    if (!json_valid(body, JSON_DEPTH_MAX)) {
        json_t *all = json_loadb(body.p, body.n, 0, &where); /* says where */
        snprintf(where.text, all ? sizeof where.text : 0, "too deep");
        json_decref(all);
        return err_set(e, ERR_INPUT, "expected a JSON array: %.*s at line %d, column %d",
                       STR_ARG(secret_json_reason(where.text)), where.line, where.column);
    }
    body = str_trim(str_skip(body, 1));
    for (size_t index = 0; body.p[0] != ']'; index++) {
        size_t n = add_one(r, body, index, &where);
        if (!n)
            reject_json(r, index, &where);
        body = str_trim(str_skip(body, n ? n : skip_value(body)));
        if (body.p[0] == ',')
            body = str_trim(str_skip(body, 1));
    }
    return 0;
}

/* One object after the other. */
static void read_objects(struct reading *r, str body)
{
    for (size_t index = 0; body.n; index++) {
        json_error_t where;
        size_t n = add_one(r, body, index, &where);
        if (!n) {
            reject_json(r, index, &where);
            (void)str_cut(&body, '\n');
        }
        body = str_trim(str_skip(body, n));
    }
}

int stats_read(str body, usec now, struct db *known, struct unique_batch *ids, struct batch *b, struct err *e)
{
    struct reading r = {.now = now, .b = b, .known = known, .ids = ids, .key = BUF_INIT(SIZE_MAX / 2)};
    struct map_slot *slot;
    int rc = 0;
    r.key.secret = true; /* it holds labels before they were looked at */
    body = str_trim(body);
    if (body.n && body.p[0] == '[')
        rc = read_array(&r, body, e);
    else
        read_objects(&r, body);
    for (size_t i = 0; (slot = map_next(&r.shapes, &i));)
        free(slot->value);
    map_done(&r.shapes);
    map_done(&r.types);
    buf_done(&r.key);
    return rc;
}
