#include "base/yaml.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"

#include <stdarg.h>
#include <yaml.h>

enum { DEPTH_MAX = 32, NODES_MAX = 100000 };

struct yaml {
    struct arena arena;
    const char *file;
    struct yaml_node *root;
};
struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    bool have;          /* event is to be deleted */
    struct yaml *y;
    str text;
    size_t nodes;
    struct err *e;
};

/* ---- errors ---- */

static int fail_at(const struct yaml *y, size_t line, size_t column, struct err *e, const char *fmt, va_list ap)
{
    char text[sizeof e->text];
    vsnprintf(text, sizeof text, fmt, ap);
    if (line == 0)
        return err_set(e, ERR_INPUT, "%s: %s", y->file, text);
    err_set(e, ERR_INPUT, "%s:%zu:%zu: %s", y->file, line, column, text);
    e->line = line;
    e->column = column;
    return -1;
}

int yaml_fail(const struct yaml *y, const struct yaml_node *at, struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail_at(y, at->line, at->column, e, fmt, ap);
    va_end(ap);
    return -1;
}

int yaml_fail_in(const struct yaml *y, const struct yaml_node *at, size_t offset, struct err *e, const char *fmt, ...)
{
    size_t column = at->column;
    if (at->verbatim) {
        column += at->quoted;
        for (size_t i = 0; i < offset && i < at->text.n; i++)
            column += ((unsigned char)at->text.p[i] & 0xc0) != 0x80;
    }
    va_list ap;
    va_start(ap, fmt);
    fail_at(y, at->line, column, e, fmt, ap);
    va_end(ap);
    return -1;
}

static int fail_mark(struct reader *r, yaml_mark_t m, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int fail_mark(struct reader *r, yaml_mark_t m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail_at(r->y, m.line + 1, m.column + 1, r->e, fmt, ap);
    va_end(ap);
    return -1;
}

/* libyaml's reader tells a byte offset where its scanner tells a mark. */
static yaml_mark_t mark_of_offset(str text, size_t offset)
{
    yaml_mark_t m = {0};
    for (size_t i = 0; i < offset && i < text.n; i++) {
        bool newline = text.p[i] == '\n';
        m.line += newline;
        m.column = newline ? 0 : m.column + (((unsigned char)text.p[i] & 0xc0) != 0x80);
    }
    return m;
}

static int fail_syntax(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        abort();
    if (p->error == YAML_READER_ERROR)
        return fail_mark(r, mark_of_offset(r->text, p->problem_offset), "%s", p->problem);
    return fail_mark(r, p->problem_mark, "%s%s%s", p->problem, p->context ? " " : "", p->context ? p->context : "");
}

/* ---- reading ---- */

static int next(struct reader *r)
{
    if (r->have)
        yaml_event_delete(&r->event);
    r->have = yaml_parser_parse(&r->parser, &r->event) != 0;
    return r->have ? 0 : fail_syntax(r);
}

static struct yaml_node *node_new(struct reader *r, enum yaml_kind kind)
{
    struct yaml_node *node = arena_zero(&r->y->arena, sizeof *node);
    node->kind = kind;
    node->line = r->event.start_mark.line + 1;
    node->column = r->event.start_mark.column + 1;
    return node;
}

static size_t characters(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static struct yaml_node *scalar(struct reader *r)
{
    struct yaml_node *node = node_new(r, YAML_SCALAR);
    const yaml_event_t *ev = &r->event;
    node->text = arena_str(&r->y->arena, str_n((const char *)ev->data.scalar.value, ev->data.scalar.length));
    node->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->verbatim = ev->start_mark.line == ev->end_mark.line &&
                     ev->end_mark.column - ev->start_mark.column == characters(node->text) + (node->quoted ? 2u : 0u);
    return node;
}

static void append(struct reader *r, struct yaml_node *parent, struct yaml_node *key, struct yaml_node *item)
{
    size_t n = parent->n;
    if ((n & (n - 1)) == 0) { /* 0 or a power of two: full */
        size_t cap = n ? n * 2 : 1;
        struct yaml_node **items = arena_alloc(&r->y->arena, cap * sizeof *items);
        struct yaml_node **keys = arena_alloc(&r->y->arena, cap * sizeof *keys);
        for (size_t i = 0; i < n; i++)
            items[i] = parent->items[i], keys[i] = parent->keys[i];
        parent->items = items;
        parent->keys = keys;
    }
    parent->items[n] = item;
    parent->keys[n] = key;
    parent->n++;
}

static int node(struct reader *r, size_t depth, struct yaml_node **ret);

/* A key of a map: a scalar that was not there yet. The event is its start. */
static int key(struct reader *r, struct map *seen, struct yaml_node **ret)
{
    if (r->event.type != YAML_SCALAR_EVENT && r->event.type != YAML_ALIAS_EVENT)
        return fail_mark(r, r->event.start_mark, "a key must be text, not a list or a map");
    if (node(r, 1, ret) < 0)
        return -1;
    const struct yaml_node *first = map_get(seen, (*ret)->text);
    if (first)
        return yaml_fail(r->y, *ret, r->e, "key \"%.*s\" is there twice, first on line %zu",
                         STR_ARG(str_head(first->text, 60)), first->line);
    map_set(seen, (*ret)->text, *ret);
    return 0;
}

static int children(struct reader *r, struct yaml_node *parent, struct map *seen, size_t depth)
{
    yaml_event_type_t end = parent->kind == YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    for (;;) {
        struct yaml_node *name = NULL, *item;
        if (next(r) < 0)
            return -1;
        if (r->event.type == end)
            return 0;
        if (parent->kind == YAML_MAP && (key(r, seen, &name) < 0 || next(r) < 0))
            return -1;
        if (node(r, depth + 1, &item) < 0)
            return -1;
        append(r, parent, name, item);
    }
}

static int collection(struct reader *r, enum yaml_kind kind, size_t depth, struct yaml_node **ret)
{
    struct map seen = {0};
    *ret = node_new(r, kind);
    int rc = children(r, *ret, &seen, depth);
    map_done(&seen);
    return rc;
}

static int plain_only(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return fail_mark(r, r->event.start_mark, "anchors (&%.60s) are not supported", (const char *)anchor);
    if (tag)
        return fail_mark(r, r->event.start_mark, "tags (%.60s) are not supported", (const char *)tag);
    return 0;
}

/* The node that the current event starts. */
static int node(struct reader *r, size_t depth, struct yaml_node **ret)
{
    const yaml_event_t *ev = &r->event;
    if (depth > DEPTH_MAX)
        return fail_mark(r, ev->start_mark, "nested deeper than %d", DEPTH_MAX);
    if (++r->nodes > NODES_MAX)
        return fail_mark(r, ev->start_mark, "more than %d values", NODES_MAX);
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        if (plain_only(r, ev->data.scalar.anchor, ev->data.scalar.tag) < 0)
            return -1;
        *ret = scalar(r);
        return 0;
    case YAML_SEQUENCE_START_EVENT:
        if (plain_only(r, ev->data.sequence_start.anchor, ev->data.sequence_start.tag) < 0)
            return -1;
        return collection(r, YAML_LIST, depth, ret);
    case YAML_MAPPING_START_EVENT:
        if (plain_only(r, ev->data.mapping_start.anchor, ev->data.mapping_start.tag) < 0)
            return -1;
        return collection(r, YAML_MAP, depth, ret);
    default: /* nothing else starts a node */
        assert(ev->type == YAML_ALIAS_EVENT);
        return fail_mark(r, ev->start_mark, "aliases (*%.60s) are not supported", (const char *)ev->data.alias.anchor);
    }
}

/* stream start, [document start, node, document end], stream end */
static int document(struct reader *r)
{
    if (next(r) < 0 || next(r) < 0)
        return -1;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return 0;
    if (next(r) < 0 || node(r, 1, &r->y->root) < 0 || next(r) < 0 || next(r) < 0)
        return -1;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail_mark(r, r->event.start_mark, "a second document starts here; one file holds one");
    return 0;
}

static struct yaml *tree_new(const char *file)
{
    struct yaml *y = xcalloc(1, sizeof *y);
    y->file = arena_str(&y->arena, str_of(file)).p;
    y->root = arena_zero(&y->arena, sizeof *y->root);
    y->root->kind = YAML_MAP;
    y->root->line = y->root->column = 1;
    return y;
}

int yaml_parse(const char *file, str text, struct yaml **ret, struct err *e)
{
    struct reader r = {.y = tree_new(file), .text = text, .e = e};
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    int rc = document(&r);
    if (r.have)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    struct yaml_node *root = r.y->root;
    if (rc == 0 && root->kind == YAML_SCALAR && !root->quoted && root->text.n == 0) /* "---" and comments only */
        root->kind = YAML_MAP;
    if (rc == 0)
        *ret = r.y;
    else
        yaml_tree_free(r.y);
    return rc;
}

struct yaml *yaml_of_text(const char *source, str text)
{
    struct yaml *y = tree_new(source);
    *y->root = (struct yaml_node){.kind = YAML_SCALAR, .text = arena_str(&y->arena, text), .quoted = true};
    return y;
}

struct yaml *yaml_of_list(const char *source, const str *items, size_t n)
{
    struct yaml *y = tree_new(source);
    *y->root = (struct yaml_node){.kind = YAML_LIST, .n = n};
    y->root->items = arena_alloc(&y->arena, n * sizeof(struct yaml_node *) + 1);
    for (size_t i = 0; i < n; i++) {
        y->root->items[i] = arena_zero(&y->arena, sizeof(struct yaml_node));
        y->root->items[i]->text = arena_str(&y->arena, items[i]);
        y->root->items[i]->quoted = true;
    }
    return y;
}

void yaml_tree_free(struct yaml *y)
{
    if (!y)
        return;
    struct arena a = y->arena;
    free(y);
    arena_done(&a);
}

/* ---- looking ---- */

const struct yaml_node *yaml_root(const struct yaml *y) { return y->root; }
const char *yaml_file(const struct yaml *y) { return y->file; }

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *name)
{
    if (map->kind == YAML_MAP)
        for (size_t i = 0; i < map->n; i++)
            if (str_eq(map->keys[i]->text, str_of(name)))
                return map->items[i];
    return NULL;
}

/* Edit distance (Wagner & Fischer 1974) without case, one row; a swap of neighbours counts as two. */
static size_t distance(str a, str b)
{
    size_t row[65];
    assert(b.n < LENGTH(row));
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = diagonal + !str_eq_nocase(str_n(a.p + i - 1, 1), str_n(b.p + j - 1, 1));
            diagonal = row[j];
            size_t edit = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            row[j] = change < edit ? change : edit;
        }
    }
    return row[b.n];
}

const char *nearest_name(str name, const char *const *known, size_t n)
{
    const char *best = NULL;
    size_t best_distance = name.n / 3 + 2;
    if (name.n > 64)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(name, str_of(known[i]));
        if (d < best_distance && d < strlen(known[i])) /* not by replacing every letter */
            best = known[i], best_distance = d;
    }
    return best;
}

static bool is_known(str name, const char *const *known, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, str_of(known[i])))
            return true;
    return false;
}

int yaml_known(const struct yaml *y, const struct yaml_node *map, const char *what, const char *const *known, size_t n,
               struct err *e)
{
    if (yaml_is(y, map, what, YAML_MAP, e) < 0)
        return -1;
    for (size_t i = 0; i < map->n; i++) {
        str name = map->keys[i]->text;
        if (is_known(name, known, n))
            continue;
        const char *near = nearest_name(name, known, n);
        return yaml_fail(y, map->keys[i], e, "unknown key \"%.*s\"%s%s%s%s%s", STR_ARG(str_head(name, 60)),
                         *what ? " in " : "", what, near ? ", did you mean \"" : "", near ? near : "",
                         near ? "\"?" : "");
    }
    return 0;
}

/* ---- typed reading ---- */

const char *yaml_got(const struct yaml_node *at, char out[YAML_GOT_MAX])
{
    if (at->kind != YAML_SCALAR)
        snprintf(out, YAML_GOT_MAX, "%s", at->kind == YAML_LIST ? "a list" : "a map");
    else if (at->text.n == 0)
        snprintf(out, YAML_GOT_MAX, "nothing");
    else
        snprintf(out, YAML_GOT_MAX, "\"%.*s\"", STR_ARG(str_head(at->text, 60)));
    return out;
}

const char *duration_text(usec d, char out[DURATION_TEXT_MAX])
{
    static const struct {
        usec unit;
        const char *name;
    } units[] = {{86400 * USEC_PER_SEC, "d"},
                 {3600 * USEC_PER_SEC, "h"},
                 {60 * USEC_PER_SEC, "m"},
                 {USEC_PER_SEC, "s"},
                 {1000, "ms"}};
    for (size_t i = 0; i < LENGTH(units); i++)
        if (d >= units[i].unit && d % units[i].unit == 0) {
            snprintf(out, DURATION_TEXT_MAX, "%lld%s", (long long)(d / units[i].unit), units[i].name);
            return out;
        }
    snprintf(out, DURATION_TEXT_MAX, d ? "%lldus" : "%llds", (long long)d);
    return out;
}

int yaml_is(const struct yaml *y, const struct yaml_node *at, const char *what, enum yaml_kind kind, struct err *e)
{
    static const char *const names[] = {"text", "a list", "a map"};
    char got[YAML_GOT_MAX];
    if (at->kind == kind)
        return 0;
    return yaml_fail(y, at, e, "%s%sexpected %s, got %s", what, *what ? ": " : "", names[kind], yaml_got(at, got));
}

int yaml_text(const struct yaml *y, const struct yaml_node *at, const char *what, str *ret, struct err *e)
{
    if (yaml_is(y, at, what, YAML_SCALAR, e) < 0)
        return -1;
    if (at->text.n == 0)
        return yaml_fail(y, at, e, "%s: expected text, got nothing", what);
    for (size_t i = 0; i < at->text.n; i++)
        if ((unsigned char)at->text.p[i] < 0x20 || at->text.p[i] == 0x7f)
            return yaml_fail_in(y, at, i, e, "%s: expected text without control characters, got byte 0x%02x at %zu",
                                what, (unsigned)(unsigned char)at->text.p[i], i + 1);
    *ret = at->text;
    return 0;
}

int yaml_duration(const struct yaml *y, const struct yaml_node *at, const char *what, usec min, usec max, usec *ret,
                  struct err *e)
{
    char got[YAML_GOT_MAX], least[DURATION_TEXT_MAX], most[DURATION_TEXT_MAX];
    usec d;
    if (at->kind == YAML_SCALAR && str_duration(at->text, &d) && d >= min && d <= max) {
        *ret = d;
        return 0;
    }
    return yaml_fail(y, at, e, "%s: expected a duration from %s to %s, like 90s, 5m, 2h or 3d, got %s", what,
                     duration_text(min, least), duration_text(max, most), yaml_got(at, got));
}

int yaml_integer(const struct yaml *y, const struct yaml_node *at, const char *what, uint64_t min, uint64_t max,
                 uint64_t *ret, struct err *e)
{
    char got[YAML_GOT_MAX];
    uint64_t v;
    if (at->kind == YAML_SCALAR && str_u64(at->text, &v) && v >= min && v <= max) {
        *ret = v;
        return 0;
    }
    return yaml_fail(y, at, e, "%s: expected a number from %llu to %llu, got %s", what, (unsigned long long)min,
                     (unsigned long long)max, yaml_got(at, got));
}

int yaml_bool(const struct yaml *y, const struct yaml_node *at, const char *what, bool *ret, struct err *e)
{
    char got[YAML_GOT_MAX];
    bool yes = at->kind == YAML_SCALAR && str_eq(at->text, S("true"));
    if (!yes && !(at->kind == YAML_SCALAR && str_eq(at->text, S("false"))))
        return yaml_fail(y, at, e, "%s: expected true or false, got %s", what, yaml_got(at, got));
    *ret = yes;
    return 0;
}
