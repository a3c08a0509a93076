#include "routes/resolve.h"
#include "base/str.h"
#include "event/event.h"
#include "issues/issues.h"
#include "issues/stack.h"
#include "maps/maps.h"
#include "parts.h"

#include <jansson.h>

enum { IMAGES = 64, GROWTH = 16 << 20 }; /* GROWTH: bytes that one request may become longer */
static const struct {
    str stack, frames;
} places[] = {{S("error.stack"), S("error.frames")}, /* the causes too, as deep as reporters tell them */
              {S("error.cause.stack"), S("error.cause.frames")},
              {S("error.cause.cause.stack"), S("error.cause.cause.frames")},
              {S("error.cause.cause.cause.stack"), S("error.cause.cause.cause.frames")},
              {S("error.cause.cause.cause.cause.stack"), S("error.cause.cause.cause.cause.frames")}};

struct stack_at { /* what one event says of one of its stacks */
    str frames_name;
    json_t *frames;      /* as they came; NULL: only text */
    json_t *images;      /* or NULL */
    struct stack *stack; /* in the arena; frames in the same order */
    struct map_frame *found;
};

static str text_of(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : (str){0};
}

static json_t *json_field(const struct event *ev, str name)
{
    const struct field *f = event_field(ev, name);
    return f && f->kind == VALUE_JSON ? json_loadb(f->raw.p, f->raw.n, JSON_ALLOW_NUL, NULL) : NULL;
}

/* What the sender says of the file: which build it is of. */
static str debug_id_of(const struct stack_at *x, size_t i)
{
    size_t k;
    json_t *image;
    str own = text_of(json_array_get(x->frames, i), "debug_id"), file = x->stack->frames[i].file;
    if (own.n)
        return own;
    json_array_foreach(x->images, k, image) if (k < IMAGES && str_eq(text_of(image, "code_file"), file)) return text_of(
        image, "debug_id");
    return (str){0};
}

static bool read_stack(const struct event *ev, size_t place, struct arena *a, struct stack_at *ret)
{
    size_t i;
    json_t *frame;
    str text = event_text(ev, places[place].stack, a);
    const struct field *f = event_field(ev, places[place].frames);
    ret->stack = arena_alloc(a, sizeof *ret->stack);
    ret->stack->n = 0;
    ret->frames_name = places[place].frames;
    ret->frames = json_field(ev, places[place].frames);
    json_array_foreach(ret->frames, i, frame) if (json_object_get(frame, "raw")) return false;
    if (ret->frames)
        stack_read_json(f->raw, a, GROUPING_NEWEST, ret->stack);
    else if (text.n)
        stack_read(text, GROUPING_NEWEST, ret->stack);
    ret->images = json_field(ev, S("debug_meta.images"));
    return ret->stack->n > 0;
}

static void put_member(struct buf *out, const char *name, str value)
{
    if (!value.n)
        return;
    buf_printf(out, "%s\"%s\":", out->p[out->n - 1] == '{' ? "" : ",", name);
    buf_json(out, value);
}

static void put_place(struct buf *out, str function, str file, uint32_t line, uint32_t column)
{
    buf_byte(out, '{');
    put_member(out, "function", function);
    put_member(out, "file", file);
    if (line)
        buf_printf(out, "%s\"line\":%u", out->p[out->n - 1] == '{' ? "" : ",", line);
    if (column)
        buf_printf(out, ",\"column\":%u", column);
}

static void put_frame(struct buf *out, const struct frame *f, const struct map_frame *x)
{
    bool resolved = x->cause == MAP_RESOLVED;
    struct frame now = *f;
    if (resolved) {
        now = (struct frame){.function = x->name, .file = x->source, .line = x->oline, .column = x->ocolumn};
        now.in_app = !x->ignored && frame_in_app(&now);
    }
    put_place(out, now.function, now.file, now.line, now.column);
    buf_printf(out, "%s\"in_app\":%s", out->p[out->n - 1] == '{' ? "" : ",", now.in_app ? "true" : "false");
    if (resolved) {
        buf_lit(out, ",\"raw\":");
        put_place(out, f->function, f->file, f->line, f->column);
        buf_byte(out, '}');
    }
    buf_byte(out, '}');
}

/* The line with other frames: in the place of those that came, or as its last field. */
static void put_line(const struct event *ev, const struct stack_at *x, struct buf *out)
{
    const struct field *f = event_field(ev, x->frames_name);
    str line = ev->line;
    const char *from = f ? f->raw.p : line.p + line.n - 1, *to = f ? f->raw.p + f->raw.n : from;
    buf_str(out, str_n(line.p, (size_t)(from - line.p)));
    if (!f)
        buf_printf(out, ",\"%.*s\":", STR_ARG(x->frames_name));
    buf_byte(out, '[');
    for (size_t i = 0; i < x->stack->n; i++) {
        buf_str(out, i ? S(",") : S(""));
        put_frame(out, &x->stack->frames[i], &x->found[i]);
    }
    buf_byte(out, ']');
    buf_str(out, str_n(to, (size_t)(line.p + line.n - to)));
}

/* Adds the changed line to out; false: nothing is to be changed. */
static bool resolve_stack(struct maps *m, uint32_t app, const struct event *ev, size_t place, bool count,
                          struct arena *a, struct buf *out)
{
    struct stack_at x = {0};
    size_t resolved = 0, before = out->n;
    if (read_stack(ev, place, a, &x)) {
        x.found = arena_zero(a, x.stack->n * sizeof *x.found);
        for (size_t i = 0; i < x.stack->n; i++) {
            const struct frame *f = &x.stack->frames[i];
            x.found[i] = (struct map_frame){.function = f->function,
                                            .file = f->file,
                                            .line = f->line,
                                            .column = f->column,
                                            .debug_id = debug_id_of(&x, i)};
        }
        resolved = maps_resolve(m, app, event_text(ev, S("release"), a), x.found, x.stack->n, count, a);
    }
    if (resolved && (event_field(ev, x.frames_name) || ev->n < LIMIT_FIELDS_STORED))
        put_line(ev, &x, out);
    json_decref(x.frames);
    json_decref(x.images);
    if (out->n - before > LIMIT_EVENT)
        out->n = before;
    return out->n > before;
}

/* Names stand unescaped in a stored line, and a quote inside of a text does not: this may only find too much. */
static bool may_have_stack(str text)
{
    return str_find(text, S(".stack\":\"")) >= 0 || str_find(text, S(".frames\":[")) >= 0;
}

/* The line with every stack in it resolved, in `a`; or as it is. */
static str resolve_line(struct maps *m, uint32_t app, str line, bool count, struct event *ev, struct arena *a)
{
    struct err e;
    for (size_t i = 0; i < LENGTH(places) && may_have_stack(line); i++) {
        struct buf out = BUF_INIT(2 * (size_t)LIMIT_EVENT + line.n);
        if (event_read(line, ev, a, &e) < 0)
            return line;
        if (!event_field(ev, places[i].stack) && !event_field(ev, places[i].frames))
            break; /* no error, or no further cause */
        if (resolve_stack(m, app, ev, i, count, a, &out))
            line = arena_str(a, buf_view(&out));
        buf_done(&out);
    }
    return line;
}

struct rewriting {
    struct maps *maps;
    struct event *event;
    struct arena arena;
    struct buf out;
    size_t left; /* that the batch may still grow: past it stacks stay as they came */
};

static void rewrite_line(struct rewriting *w, uint32_t app, str line)
{
    arena_reset(&w->arena);
    str now = w->left ? resolve_line(w->maps, app, line, true, w->event, &w->arena) : line;
    size_t more = now.n > line.n ? now.n - line.n : 0;
    buf_str(&w->out, more > w->left ? line : now);
    w->left -= more > w->left ? w->left : more;
    buf_byte(&w->out, '\n');
}

/* Ids of a batch say where their line stands; they come in the order of the lines. */
static void rewrite_batch(struct rewriting *w, struct batch *b)
{
    size_t id = 0;
    for (str rest = buf_view(&b->body); rest.n;) {
        size_t at = (size_t)(rest.p - b->body.p), begins = w->out.n;
        rewrite_line(w, b->app, str_cut(&rest, '\n'));
        if (id < b->ids_n && b->ids[id].offset == at) {
            b->ids[id].offset = (uint32_t)begins;
            b->ids[id++].length = (uint32_t)(w->out.n - begins);
        }
    }
    assert(id == b->ids_n && !w->out.full);
}

void resolve_batch(struct request *r, struct batch *b)
{
    struct maps *m = r->parts->maps;
    struct rewriting w = {.maps = m, .out = BUF_INIT(b->body.n + GROWTH), .left = GROWTH};
    if (b->type != RECORD_EVENTS || (r->who.role != ROLE_BROWSER && !maps_any(m, b->app)) ||
        !may_have_stack(buf_view(&b->body)))
        return;
    w.event = xmalloc(sizeof *w.event);
    rewrite_batch(&w, b);
    size_t max = b->body.max;
    buf_done(&b->body);
    b->body = w.out;
    b->body.max = max;
    free(w.event);
    arena_done(&w.arena);
}

void resolve_answer(struct request *r, size_t at)
{
    struct err e;
    struct arena a = {0};
    struct event *ev = xmalloc(sizeof *ev);
    uint32_t app;
    str line = str_trim(str_skip(buf_view(&r->out), at));
    if (may_have_stack(line) && event_read(line, ev, &a, &e) == 0 && auth_app_find(r->parts->auth, ev->app, &app)) {
        str now = resolve_line(r->parts->maps, app, line, false, ev, &a);
        if (now.p != line.p) {
            r->out.n = at;
            buf_str(&r->out, now);
        }
    }
    free(ev);
    arena_done(&a);
}
