#include "agent/shape.h"
#include "agent/container.h"
#include "agent/spool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "event/event.h"
#include "event/filter.h"

#include <unistd.h>

struct shaper {
    struct shape shape;
    struct joiner *joiner;
    struct text *text;
    struct container container; /* of the last file */
    struct event_writer *writer;
    struct batch *batch; /* one event at a time */
    struct buf object;
    struct event event; /* the same, read, for what looks at its fields */
    struct arena arena;
    int severity; /* of the last event */
    uint64_t sampled;
    usec stamped; /* of the last line without a time: lines of one moment stay in order */
};

struct shaper *shaper_new(const struct shape *o, struct err *e)
{
    struct text *text;
    if (text_new(o->encoding, &text, e) < 0)
        return NULL;
    struct joiner *j = joiner_new(o->join, o->pattern, e);
    if (!j) {
        text_free(text);
        return NULL;
    }
    struct shaper *s = xcalloc(1, sizeof *s);
    s->shape = *o;
    s->joiner = j;
    s->text = text;
    container_init(&s->container);
    s->writer = event_writer_new();
    s->batch = batch_new(RECORD_EVENTS, 0, 0);
    buf_init(&s->object, 8u << 20);
    return s;
}

void shaper_free(struct shaper *s)
{
    if (!s)
        return;
    joiner_free(s->joiner);
    text_free(s->text);
    container_done(&s->container);
    event_writer_free(s->writer);
    batch_free(s->batch);
    buf_done(&s->object);
    arena_done(&s->arena);
    free(s);
}

bool shaper_input(const struct shaper *s) { return s && s->shape.input; }
enum text_width shaper_width(const struct shaper *s, str head) { return text_width(s->text, head); }
str shaper_text(struct shaper *s, enum text_width w, str line) { return text_line(s->text, w, line); }
void shaper_line(struct shaper *s, str line, uint64_t at, bool cut)
{
    if (s->shape.input && !(line = spool_line(line)).p)
        return;
    joiner_add(s->joiner, line, at, cut);
}
int shaper_severity(const struct shaper *s) { return s->severity; }
uint64_t shaper_done(const struct shaper *s, uint64_t end) { return joiner_done(s->joiner, end); }
void shaper_end(struct shaper *s) { joiner_end(s->joiner); }
void shaper_reset(struct shaper *s) { joiner_reset(s->joiner); }

/* ---- where it came from ---- */

/* The file's name without what rotation and format put behind it: "shop" of /var/log/shop.log. Names that say what a
 * file is for and not whose it is give way to their folder's: "nginx" of /var/log/nginx/access.log. */
static str service_of(const char *path)
{
    static const str roles[] = {S("access"), S("error"), S("errors"), S("stdout"),  S("stderr"),
                                S("out"),    S("err"),   S("log"),    S("current"), S("other_vhosts_access")};
    str last = {NULL, 0}, folder = last;
    for (str rest = str_of(path); rest.p;) {
        folder = last;
        last = str_cut(&rest, '/');
    }
    str rest = last, stem = str_cut(&rest, '.');
    for (size_t i = 0; i < LENGTH(roles); i++)
        if (str_eq(stem, roles[i]) && folder.n && !str_eq(folder, S("log")) && !str_eq(folder, S("logs")))
            return folder;
    return stem.n ? stem : last;
}

static void member(struct buf *b, const char *name, str value)
{
    if (value.n == 0)
        return;
    if (b->p[b->n - 1] != '{')
        buf_byte(b, ',');
    buf_byte(b, '"');
    buf_str(b, str_of(name));
    buf_lit(b, "\":");
    buf_json(b, value);
}

/* ---- one event ---- */

static void add_time(struct shaper *s, const struct joined *j, usec now)
{
    char time[TIME_TEXT_MAX];
    s->stamped = now > s->stamped ? now : s->stamped + 1;
    time_print(s->stamped * NSEC_PER_USEC, 6, time);
    member(&s->object, "time", j->time.n ? j->time : str_of(time));
}

/* The object as the sender means it: what the line says itself comes last and wins. `why`: it is text only. */
static void build(struct shaper *s, const struct joined *j, const char *file, usec now, const char *why)
{
    struct line_place place = {.now = now, .zone = s->shape.zone, .pattern = s->shape.fields};
    struct buf *b = &s->object;
    const char *input = s->shape.input;
    struct container *c = &s->container;
    if (!input)
        container_look(c, file, now);
    enum line_format format = why ? LINE_PLAIN : s->shape.format;
    buf_reset(b);
    buf_byte(b, '{');
    member(b, "host", str_of(s->shape.host));
    member(b, "service", input ? str_of(input) : c->name.n ? c->name : service_of(file));
    member(b, "file", input ? S("") : str_of(file));
    member(b, "container.name", c->name);
    member(b, "container.image", c->image);
    member(b, "k8s.pod.name", c->pod);
    member(b, "k8s.namespace.name", c->namespace);
    member(b, "stream", j->stream);
    for (size_t i = 0; i < s->shape.add_n; i++)
        member(b, s->shape.add[i].name, str_of(s->shape.add[i].value));
    size_t before = b->n;
    add_time(s, j, now);
    size_t timed = b->n;
    enum line_format had = line_read(format, j->text, &place, b);
    if ((had == LINE_JSON || had == LINE_LOGFMT) && !j->time.n) { /* its own may have another name */
        memmove(b->p + before, b->p + timed, b->n - timed);
        b->n -= timed - before;
    }
    member(b, "parse_error", str_of(why));
    if (j->cut)
        buf_lit(b, ",\"truncated\":true");
    buf_byte(b, '}');
}

static str renamed(const struct shaper *s, str name)
{
    if (str_eq(name, S("app_claimed"))) /* it was not the agent that claimed it */
        return S("app");
    for (size_t i = 0; i < s->shape.rename_n; i++)
        if (str_eq(name, str_of(s->shape.rename[i].name)))
            return str_of(s->shape.rename[i].value);
    return name;
}

/* Without our id and app, which the server gives. */
static void add_line(struct shaper *s, struct buf *out)
{
    const struct event *ev = &s->event;
    buf_byte(out, '{');
    bool first = true;
    for (size_t i = 0; i < ev->n; i++) {
        const struct field *f = &ev->f[i];
        bool text = f->kind == VALUE_STRING;
        if (str_eq(f->name, S("id")) || str_eq(f->name, S("app")))
            continue;
        if (!first)
            buf_byte(out, ',');
        first = false;
        buf_json(out, renamed(s, f->name));
        buf_str(out, text ? S(":\"") : S(":"));
        buf_str(out, f->raw);
        if (text)
            buf_byte(out, '"');
    }
    buf_lit(out, "}\n");
}

static bool is_wanted(struct shaper *s)
{
    const struct shape *o = &s->shape;
    if ((o->keep && !filter_match(o->keep, &s->event, &s->arena)) ||
        (o->drop && filter_match(o->drop, &s->event, &s->arena)))
        return false;
    return o->sample < 2 || s->event.severity >= 13 || s->sampled++ % o->sample == 0;
}

/* Nobody asks for its fields: as it was written, without id and app. False: it has a name that is to be another. */
static bool add_as_written(struct shaper *s, str line, struct buf *out)
{
    const struct shape *o = &s->shape;
    str app = S("\"app\":\"agent\","), number = S("\"severity_number\":"), claimed = S("\"app_claimed\":");
    if (o->keep || o->drop || o->rename_n || o->sample > 1 || memmem(line.p, line.n, claimed.p, claimed.n))
        return false;
    str head = str_skip(line, strlen("{\"id\":\"") + EVENT_ID_LEN + strlen("\","));
    ptrdiff_t at = str_find(head, app);
    assert(at >= 0); /* quotes inside of texts are escaped */
    str rest = str_skip(head, (size_t)at + app.n), severity = str_skip(rest, (size_t)str_find(rest, number) + number.n);
    s->severity = 0;
    for (size_t i = 0; i < severity.n && severity.p[i] >= '0' && severity.p[i] <= '9'; i++)
        s->severity = 10 * s->severity + (severity.p[i] - '0');
    buf_byte(out, '{');
    buf_str(out, str_head(head, (size_t)at));
    buf_str(out, rest);
    return true;
}

static bool add(struct shaper *s, usec now, struct buf *out, struct err *e)
{
    struct event_source from = {.app = S("agent"), .now = now};
    size_t used;
    buf_reset(&s->batch->body);
    arena_reset(&s->arena);
    s->batch->ids_n = 0;
    if (s->object.full)
        return err_set(e, ERR_INPUT, "it is too large") == 0;
    if (event_add(s->writer, &from, buf_view(&s->object), s->batch, &used, e) < 0)
        return false;
    str line = buf_view(&s->batch->body);
    if (add_as_written(s, line, out))
        return true;
    int rc = event_read(str_head(line, line.n - 1), &s->event, &s->arena, e);
    assert(rc == 0); /* it was just written */
    (void)rc;
    s->severity = s->event.severity;
    if (is_wanted(s))
        add_line(s, out);
    return true;
}

bool shaper_event(struct shaper *s, const char *file, usec now, struct buf *out, uint32_t *ret_lines)
{
    struct joined j;
    struct err e = {0};
    if (!joiner_next(s->joiner, &j))
        return false;
    *ret_lines = j.lines;
    s->severity = 0;
    if (str_trim(j.text).n == 0)
        return true;
    build(s, &j, file, now, NULL);
    if (add(s, now, out, &e))
        return true;
    char why[sizeof e.text];
    snprintf(why, sizeof why, "%s", e.text);
    build(s, &j, file, now, why);
    if (!add(s, now, out, &e))
        log_error("shape", "what=\"a line makes no event: %s\" file=\"%s\"", e.text, file);
    return true;
}

/* ---- the zone ---- */

struct zone *zone_here(void)
{
    char path[PATH_MAX];
    struct zone *z = NULL;
    struct err e;
    const char *tz = getenv("TZ");
    if (tz && tz[0])
        return zone_open(str_of(tz[0] == ':' ? tz + 1 : tz), &z, &e) == 0 ? z : NULL;
    ssize_t n = readlink("/etc/localtime", path, sizeof path);
    str target = {path, n < 0 ? 0 : (size_t)n};
    ptrdiff_t at = str_find(target, S("zoneinfo/"));
    return at >= 0 && zone_open(str_skip(target, (size_t)at + 9), &z, &e) == 0 ? z : NULL;
}
