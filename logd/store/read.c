/* store/read.c - columns become events and lines again. */
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "event/json.h"
#include "store/block.h"
#include "store/segment.h"

void block_open(const struct segment *s, size_t i, struct arena *a, struct block *ret)
{
    const struct block_head *h = s->blocks[i].head;
    *ret = (struct block){.segment = s, .head = h, .columns = (const struct packed *)(h + 1), .a = a};
    ret->read = arena_zero(a, h->columns * sizeof *ret->read);
    ret->rows = arena_zero(a, h->columns * sizeof *ret->rows);
}

str block_name(const struct block *b, size_t column)
{
    const struct packed *p = &b->columns[column];
    bool named = p->kind <= KIND_ESCAPED && p->name < b->segment->names_n;
    return named ? b->segment->names[p->name] : S("");
}

/* n bytes of what is stored of a column, from `at` on. */
static const char *read_stored(struct block *b, size_t column, size_t at, size_t n, struct err *e)
{
    size_t got;
    char *stored = arena_alloc(b->a, n + 1);
    if (pread_all(b->segment->fd, stored, n, b->columns[column].offset + at, &got) < 0)
        return (void)err_sys(e, "read a column of '%s'", b->segment->path), NULL;
    if (got != n)
        return (void)err_set(e, ERR_CORRUPT, "a column of '%s' is cut off", b->segment->path), NULL;
    return stored;
}

static struct column *glance(struct block *b, size_t column, const char *stored, struct err *e)
{
    struct column *c = arena_alloc(b->a, sizeof *c);
    if (!stored)
        return NULL;
    if (column_glance(&b->columns[column], stored, b->a, c, e) < 0)
        return (void)err_wrap(e, "'%s'", b->segment->path), NULL;
    return b->read[column] = c;
}

const struct column *block_glance(struct block *b, size_t column, struct err *e)
{
    if (b->read[column])
        return b->read[column];
    return glance(b, column, read_stored(b, column, 0, column_glance_bytes(&b->columns[column]), e), e);
}

const struct column *block_column(struct block *b, size_t column, struct err *e)
{
    const struct packed *p = &b->columns[column];
    struct column *c = b->read[column];
    size_t glanced = column_glance_bytes(p);
    const char *rest = NULL;
    if (c && c->whole)
        return c;
    if (c && p->stored > glanced && !(rest = read_stored(b, column, glanced, p->stored - glanced, e)))
        return NULL;
    if (!c) {
        const char *stored = read_stored(b, column, 0, p->stored, e);
        c = glance(b, column, stored, e);
        rest = c ? stored + glanced : NULL;
    }
    if (!c)
        return NULL;
    if (column_complete(c, rest, b->a, e) < 0)
        return (void)err_wrap(e, "'%s'", b->segment->path), NULL;
    return c;
}

void block_look(struct block *b, str name)
{
    struct err ignored;
    if (str_eq(name, S("level")) || str_eq(name, S("severity_number")))
        (void)!block_column(b, SYSTEM_SEVERITY, &ignored);
    for (size_t i = 0; i < b->head->columns; i++)
        if (str_eq(block_name(b, i), name) && b->columns[i].kind != KIND_SYSTEM && block_column(b, i, &ignored) &&
            !(b->columns[i].flags & COLUMN_EVERY))
            (void)!block_rows(b, i, &ignored);
}

bool block_minutes(struct block *b, struct minutes *ret)
{
    struct err ignored; /* what is damaged says nothing: the columns that it speaks of will be read */
    const struct column *c = block_column(b, SYSTEM_MINUTES, &ignored);
    uint64_t events = 0;
    if (!c || c->bytes.n == 0 || c->bytes.n % MINUTE_BYTES)
        return false;
    size_t n = c->bytes.n / MINUTE_BYTES;
    const uint8_t *p = (const uint8_t *)c->bytes.p;
    struct minute *m = arena_alloc(b->a, n * sizeof *m);
    for (size_t i = 0; i < n; i++) {
        m[i] = (struct minute){(uint32_t)(p[i] | p[n + i] << 8), (uint32_t)(p[2 * n + i] | p[3 * n + i] << 8),
                               p[4 * n + i]};
        events += m[i].events;
        if (m[i].severity < 1 || m[i].severity >= LEVELS || (i > 0 && m[i].at < m[i - 1].at))
            return false;
    }
    *ret = (struct minutes){minute_of(b->head->t_min), m, n};
    return events == b->head->events && ret->first + m[n - 1].at <= minute_of(b->head->t_max);
}

static int bad(const struct block *b, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "'%s' is damaged: %s", b->segment->path, what);
}

/* ---- shapes ---- */

static uint32_t take4(str *s)
{
    uint32_t v = 0;
    if (s->n >= 4)
        memcpy(&v, s->p, 4);
    *s = str_skip(*s, 4);
    return v;
}

static int read_shape(struct block *b, str *s, struct shape *ret, struct err *e)
{
    ret->n = take4(s);
    if (ret->n > s->n / 4)
        return bad(b, "a shape is cut off", e);
    uint32_t *columns = arena_alloc(b->a, (ret->n + 1) * sizeof *columns);
    for (uint32_t i = 0; i < ret->n; i++) {
        columns[i] = take4(s);
        if (columns[i] < SYSTEM_COLUMNS || columns[i] >= b->head->columns)
            return bad(b, "a shape has a column that is not there", e);
    }
    ret->columns = columns;
    return 0;
}

int block_shapes(struct block *b, struct err *e)
{
    if (b->shapes)
        return 0;
    const struct column *c = block_column(b, SYSTEM_SHAPE, e);
    if (!c)
        return -1;
    str s = c->bytes;
    uint32_t n = take4(&s), events = b->head->events;
    size_t width = n <= 1 ? 0 : n <= 256 ? 1 : 2;
    if (n == 0 || n > events)
        return bad(b, "it has no shapes", e);
    struct shape *shapes = arena_alloc(b->a, n * sizeof *shapes);
    for (uint32_t i = 0; i < n; i++)
        if (read_shape(b, &s, &shapes[i], e) < 0)
            return -1;
    if (s.n != width * events)
        return bad(b, "the shapes of its events do not fit", e);
    uint16_t *of = arena_zero(b->a, events * sizeof *of);
    for (size_t w = 0; w < width; w++)
        for (uint32_t i = 0; i < events; i++)
            of[i] = (uint16_t)(of[i] | (unsigned char)s.p[w * events + i] << 8 * w);
    for (uint32_t i = 0; i < events; i++)
        if (of[i] >= n)
            return bad(b, "an event has a shape that is not there", e);
    b->shapes = shapes;
    b->shapes_n = n;
    b->shape_of = of;
    return 0;
}

const uint16_t *block_rows(struct block *b, size_t column, struct err *e)
{
    if (b->rows[column])
        return b->rows[column];
    if (block_shapes(b, e) < 0)
        return NULL;
    size_t values = b->columns[column].values, n = 0;
    uint16_t *rows = arena_alloc(b->a, (values + 1) * sizeof *rows);
    bool *has = xcalloc(b->shapes_n, sizeof *has);
    for (uint32_t i = 0; i < b->shapes_n; i++)
        for (uint32_t k = 0; k < b->shapes[i].n; k++)
            has[i] |= b->shapes[i].columns[k] == column;
    for (uint32_t i = 0; i < b->head->events; i++)
        if (has[b->shape_of[i]]) {
            if (n < values)
                rows[n] = (uint16_t)i;
            n++;
        }
    free(has);
    if (n != values)
        return bad(b, n > values ? "a column has too few values" : "a column has too many values", e), NULL;
    return b->rows[column] = rows;
}

/* ---- one event ---- */

/* The number of the column's value that belongs to the event. */
static int find_value(struct block *b, size_t column, size_t row, size_t *ret, struct err *e)
{
    if (b->columns[column].flags & COLUMN_EVERY) {
        *ret = row;
        return row < b->columns[column].values ? 0 : bad(b, "a column has too few values", e);
    }
    const uint16_t *rows = block_rows(b, column, e);
    if (!rows)
        return -1;
    size_t low = 0, high = b->columns[column].values;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return low < b->columns[column].values ? 0 : bad(b, "a column has too few values", e);
}

/* A walk over the values of one event. */
struct walk {
    const struct shape *shape;
    uint32_t at; /* columns given */
    str rest;    /* of REST, what is still to be given */
    bool in_rest;
};
struct value {
    uint32_t column;
    enum column_kind kind;
    str name, text;
};

static int next_value(struct block *b, size_t row, struct walk *w, struct value *v, char room[PACKED_TEXT_MAX],
                      struct err *e)
{
    struct rest_value rest;
    size_t i;
    v->column = w->shape->columns[w->at++];
    v->kind = (enum column_kind)b->columns[v->column].kind;
    if (v->kind != KIND_REST || !w->in_rest) {
        const struct column *c = block_column(b, v->column, e);
        if (!c || find_value(b, v->column, row, &i, e) < 0)
            return -1;
        v->name = block_name(b, v->column);
        v->text = column_text(c, i, room);
    }
    if (v->kind != KIND_REST)
        return 0;
    w->rest = w->in_rest ? w->rest : v->text;
    w->in_rest = true;
    if (!rest_next(&w->rest, &rest))
        return bad(b, "a rare field cannot be read", e);
    *v = (struct value){v->column, rest.kind, rest.name, rest.text};
    return 0;
}

static int start(struct block *b, size_t row, struct walk *ret, struct err *e)
{
    if (block_shapes(b, e) < 0)
        return -1;
    assert(row < b->head->events);
    *ret = (struct walk){.shape = &b->shapes[b->shape_of[row]]};
    return 0;
}

static enum value_kind kind_of(enum column_kind kind)
{
    return kind == KIND_ESCAPED ? VALUE_STRING : (enum value_kind)kind;
}

static void add_field(struct event *ev, str name, str text, enum column_kind kind)
{
    if (ev->n < LENGTH(ev->f))
        ev->f[ev->n++] = (struct field){name, text, kind_of(kind), false};
}

static int system_number(struct block *b, size_t column, size_t row, int64_t *ret, struct err *e)
{
    const struct column *c = block_column(b, column, e);
    if (!c)
        return -1;
    if (!c->numbers || row >= c->n)
        return bad(b, "a column of its own is not of numbers", e);
    *ret = c->numbers[row];
    return 0;
}

struct head {
    char app_room[PACKED_TEXT_MAX];
    char id[EVENT_ID_LEN], time[TIME_TEXT_MAX];
    size_t time_n;
    str app;
    nsec t;
    int severity;
};

static int read_head(struct block *b, size_t row, struct head *h, struct err *e)
{
    int64_t recv, number, digits, severity;
    const struct column *app = block_column(b, SYSTEM_APP, e);
    if (!app || system_number(b, SYSTEM_RECV, row, &recv, e) < 0 || system_number(b, SYSTEM_ROW, row, &number, e) < 0 ||
        system_number(b, SYSTEM_TIME, row, &h->t, e) < 0 || system_number(b, SYSTEM_DIGITS, row, &digits, e) < 0 ||
        system_number(b, SYSTEM_SEVERITY, row, &severity, e) < 0)
        return -1;
    if (recv < 0 || recv >= 1ll << 55 || number < 0 || number >= 1 << 20 || digits < 0 || digits > 9 || severity < 1 ||
        severity > 24)
        return bad(b, "the id, time or level of an event is none", e);
    event_id_print(recv, (uint32_t)number, h->id);
    h->time_n = time_print(h->t, (int)digits, h->time);
    h->app = column_text(app, row, h->app_room);
    h->severity = (int)severity;
    return 0;
}

/* The fields that stand first in every line, with the event_id when there is one. */
static void add_head(struct block *b, const struct head *h, const struct value *event_id, struct event *ev)
{
    ev->id = arena_str(b->a, str_n(h->id, sizeof h->id));
    ev->app = arena_str(b->a, h->app);
    add_field(ev, S("id"), ev->id, KIND_STRING);
    if (event_id)
        add_field(ev, event_id->name, event_id->text, event_id->kind);
    add_field(ev, S("time"), arena_str(b->a, str_n(h->time, h->time_n)), KIND_STRING);
    add_field(ev, S("app"), ev->app, KIND_STRING);
    add_field(ev, S("level"), level_name(h->severity), KIND_STRING);
    add_field(ev, S("severity_number"), str_of(arena_printf(b->a, "%d", h->severity)), KIND_NUMBER);
}

static bool has_event_id(struct block *b, const struct shape *shape)
{
    return shape->n > 0 && str_eq(block_name(b, shape->columns[0]), S("event_id"));
}

/* Texts that were printed or are escaped, in the block's arena. */
static str keep(struct block *b, const struct value *v, const char *room)
{
    if (v->kind == KIND_ESCAPED) {
        char *p = arena_alloc(b->a, v->text.n + 1);
        return str_n(p, json_decode(v->text, p));
    }
    return v->text.p >= room && v->text.p < room + PACKED_TEXT_MAX ? arena_str(b->a, v->text) : v->text;
}

static int event_head(struct block *b, size_t row, struct walk *w, struct event *ev, struct err *e)
{
    struct head h;
    struct value id;
    char room[PACKED_TEXT_MAX];
    bool has = has_event_id(b, w->shape);
    if (read_head(b, row, &h, e) < 0 || (has && next_value(b, row, w, &id, room, e) < 0))
        return -1;
    if (has)
        id.text = keep(b, &id, room);
    add_head(b, &h, has ? &id : NULL, ev);
    return 0;
}

int block_event(struct block *b, size_t row, const bool *wanted, struct event *ev, struct err *e)
{
    struct walk w;
    struct value v;
    char room[PACKED_TEXT_MAX];
    int64_t severity;
    ev->n = 0;
    ev->line = (str){NULL, 0};
    if (start(b, row, &w, e) < 0 || system_number(b, SYSTEM_TIME, row, &ev->time, e) < 0 ||
        system_number(b, SYSTEM_SEVERITY, row, &severity, e) < 0)
        return -1;
    ev->severity = (int)severity;
    if ((!wanted || wanted[SYSTEM_RECV]) && event_head(b, row, &w, ev, e) < 0)
        return -1;
    while (w.at < w.shape->n) {
        uint32_t column = w.shape->columns[w.at];
        if (wanted && !wanted[column]) {
            w.at++;
            continue;
        }
        if (next_value(b, row, &w, &v, room, e) < 0)
            return -1;
        add_field(ev, v.name, keep(b, &v, room), v.kind);
    }
    return 0;
}

/* ---- one line ---- */

static void add_name(struct buf *out, str name)
{
    buf_lit(out, ",\"");
    json_encode(out, name);
    buf_lit(out, "\":");
}

static void add_value(struct block *b, const struct value *v, struct buf *out)
{
    add_name(out, v->name);
    bool quoted = v->kind == KIND_STRING || v->kind == KIND_ESCAPED;
    bool escapes = v->kind == KIND_STRING &&
                   (b->columns[v->column].kind == KIND_REST || b->columns[v->column].flags & COLUMN_ESCAPES);
    if (quoted)
        buf_byte(out, '"');
    if (escapes)
        json_encode(out, v->text);
    else
        buf_str(out, v->text);
    if (quoted)
        buf_byte(out, '"');
}

int block_line(struct block *b, size_t row, struct buf *out, struct err *e)
{
    struct walk w;
    struct value v;
    struct head h;
    char room[PACKED_TEXT_MAX];
    if (start(b, row, &w, e) < 0 || read_head(b, row, &h, e) < 0)
        return -1;
    buf_lit(out, "{\"id\":\"");
    buf_add(out, h.id, sizeof h.id);
    buf_byte(out, '"');
    if (has_event_id(b, w.shape)) {
        if (next_value(b, row, &w, &v, room, e) < 0)
            return -1;
        add_value(b, &v, out);
    }
    str level = level_name(h.severity);
    buf_lit(out, ",\"time\":\"");
    buf_add(out, h.time, h.time_n);
    buf_lit(out, "\",\"app\":\"");
    buf_str(out, h.app);
    buf_lit(out, "\",\"level\":\"");
    buf_str(out, level);
    buf_printf(out, "\",\"severity_number\":%d", h.severity);
    while (w.at < w.shape->n) {
        if (next_value(b, row, &w, &v, room, e) < 0)
            return -1;
        add_value(b, &v, out);
    }
    buf_byte(out, '}');
    return 0;
}
