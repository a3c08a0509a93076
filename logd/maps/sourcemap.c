#include "maps/sourcemap.h"
#include "base/str.h"
#include "event/json.h"

enum { DEPTH = 64, VLQ_BITS = 31 };

/* ---- growing ---- */
static void *grow(void *list, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return list;
    *cap = *cap ? 2 * *cap : 64;
    return xrealloc(list, *cap * size);
}
/* Room for one more at list[n]. */
#define ROOM(list, n, cap) ((list) = grow((list), (n), &(cap), sizeof *(list)))

void sourcemap_done(struct sourcemap *m)
{
    free(m->mappings);
    free(m->sources);
    free(m->names);
    free(m->functions);
    *m = (struct sourcemap){0};
}

/* ---- fields: what stands where, before any of it is believed ---- */
enum {
    VERSION,
    FILE_NAME,
    ROOT,
    SOURCES,
    CONTENT,
    NAMES,
    MAPPINGS,
    IGNORE,
    OLD_IGNORE,
    SECTIONS,
    DEBUG_ID,
    OLD_DEBUG_ID,
    FIELDS
};
static const str field_names[FIELDS] = {
    S("version"),  S("file"),       S("sourceRoot"),          S("sources"),  S("sourcesContent"), S("names"),
    S("mappings"), S("ignoreList"), S("x_google_ignoreList"), S("sections"), S("debugId"),        S("debug_id")};
struct value {
    enum json_kind kind; /* J_ERROR: absent */
    uint8_t flags;
    str raw; /* of objects and arrays with their brackets */
};

/* Reads the value that token `t` begins. */
static bool take(struct json *j, enum json_kind kind, const struct json_token *t, struct value *ret)
{
    *ret = (struct value){kind, t->flags, t->raw};
    if (kind == J_ARRAY || kind == J_OBJECT) {
        if (json_skip(j) != J_CLOSE)
            return false;
        ret->raw = str_n(t->raw.p, (size_t)(j->p - t->raw.p));
    }
    return true;
}

static int read_fields(str object, const str *names, size_t n, struct value *ret, struct err *e)
{
    struct json j;
    struct json_token t;
    enum json_kind kind;
    json_init(&j, object, DEPTH);
    memset(ret, 0, n * sizeof *ret);
    if ((kind = json_next(&j, &t)) != J_OBJECT)
        return kind == J_ERROR ? json_err(&j, e) : err_set(e, ERR_INPUT, "expected a JSON object");
    while ((kind = json_next(&j, &t)) > J_CLOSE) {
        struct value v;
        if (!take(&j, kind, &t, &v))
            return json_err(&j, e);
        for (size_t i = 0; i < n; i++)
            if (str_eq(t.name, names[i]))
                ret[i] = v;
    }
    return kind == J_CLOSE && json_next(&j, &t) == J_END ? 0 : json_err(&j, e);
}

static const char *kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [J_ERROR] = "nothing",   [J_NULL] = "null",       [J_FALSE] = "false",    [J_TRUE] = "true",
        [J_NUMBER] = "a number", [J_STRING] = "a string", [J_ARRAY] = "an array", [J_OBJECT] = "an object"};
    return names[kind] ? names[kind] : "nothing";
}

static int expect(const struct value *v, int field, enum json_kind kind, bool optional, struct err *e)
{
    if (v[field].kind == kind || (optional && (v[field].kind == J_ERROR || v[field].kind == J_NULL)))
        return 0;
    return err_set(e, ERR_INPUT, "field '%.*s': expected %s, got %s", STR_ARG(field_names[field]), kind_name(kind),
                   kind_name(v[field].kind));
}

static str text_of(str raw, unsigned flags, struct arena *a)
{
    if (!flags)
        return raw;
    char *out = arena_alloc(a, json_decoded_max(raw.n, flags) + 1);
    return str_n(out, json_decode(raw, out));
}

/* Goes through an array; `each` is told every element. */
static int read_array(const struct value *v, int field,
                      int (*each)(void *arg, enum json_kind kind, const struct json_token *t, struct err *e), void *arg,
                      struct err *e)
{
    struct json j;
    struct json_token t;
    enum json_kind kind;
    if (v[field].kind != J_ARRAY)
        return 0;
    json_init(&j, v[field].raw, DEPTH);
    kind = json_next(&j, &t);
    assert(kind == J_ARRAY);
    while ((kind = json_next(&j, &t)) > J_CLOSE) {
        struct value one;
        if (!take(&j, kind, &t, &one))
            return json_err(&j, e);
        t.raw = one.raw;
        if (each(arg, kind, &t, e) < 0)
            return err_wrap(e, "field '%.*s'", STR_ARG(field_names[field]));
    }
    return 0;
}

struct reading {
    struct sourcemap *m;
    struct arena *a;
    str root;
    size_t first_source, first_name; /* of this section */
    uint32_t line, column;           /* its offset */
    uint32_t end_line, end_column;   /* of the section before: what follows begins there or later */
    bool nested, any;
};

static bool is_absolute(str s) { return s.n && (s.p[0] == '/' || str_find(s, S("://")) > 0); }

static int each_source(void *arg, enum json_kind kind, const struct json_token *t, struct err *e)
{
    struct reading *r = arg;
    if (kind != J_STRING && kind != J_NULL)
        return err_set(e, ERR_INPUT, "expected strings or null, got %s", kind_name(kind));
    if (r->m->sources_n == MAPS_SOURCES)
        return err_set(e, ERR_FULL, "more than %d sources", MAPS_SOURCES);
    ROOM(r->m->sources, r->m->sources_n, r->m->sources_cap);
    struct map_source *s = &r->m->sources[r->m->sources_n++];
    *s = (struct map_source){0};
    if (kind == J_NULL)
        return 0;
    s->name = text_of(t->raw, t->flags, r->a);
    if (r->root.n && !is_absolute(s->name))
        s->name = str_of(
            arena_printf(r->a, "%.*s%s%.*s", STR_ARG(r->root), str_ends(r->root, S("/")) ? "" : "/", STR_ARG(s->name)));
    else if (!s->name.p)
        s->name = S("");
    return 0;
}

static int each_name(void *arg, enum json_kind kind, const struct json_token *t, struct err *e)
{
    struct reading *r = arg;
    if (kind != J_STRING)
        return err_set(e, ERR_INPUT, "expected strings, got %s", kind_name(kind));
    if (r->m->names_n == MAPS_NAMES)
        return err_set(e, ERR_FULL, "more than %d names", MAPS_NAMES);
    ROOM(r->m->names, r->m->names_n, r->m->names_cap);
    r->m->names[r->m->names_n++] = text_of(t->raw, t->flags, r->a);
    return 0;
}

static int each_content(void *arg, enum json_kind kind, const struct json_token *t, struct err *e)
{
    (void)arg, (void)t;
    return kind == J_STRING || kind == J_NULL
               ? 0
               : err_set(e, ERR_INPUT, "expected strings or null, got %s", kind_name(kind));
}

static int each_ignored(void *arg, enum json_kind kind, const struct json_token *t, struct err *e)
{
    struct reading *r = arg;
    uint64_t i;
    if (kind != J_NUMBER || !str_u64(t->raw, &i) || i >= r->m->sources_n - r->first_source)
        return err_set(e, ERR_INPUT, "expected places in 'sources', got %.*s", STR_ARG(str_head(t->raw, 40)));
    r->m->sources[r->first_source + i].ignored = true;
    return 0;
}

/* ---- mappings ---- */
/* One number: 5 bits a digit, low ones first, the lowest is the sign. */
static bool read_vlq(str *s, int64_t *ret)
{
    uint64_t v = 0;
    unsigned shift = 0;
    for (;; shift += 5) {
        if (!s->n)
            return false;
        char c = *s->p;
        uint64_t digit = c >= 'A' && c <= 'Z'   ? (uint64_t)(c - 'A')
                         : c >= 'a' && c <= 'z' ? (uint64_t)(c - 'a' + 26)
                         : c >= '0' && c <= '9' ? (uint64_t)(c - '0' + 52)
                         : c == '+'             ? 62
                         : c == '/'             ? 63
                                                : 64;
        if (digit == 64 || (shift > VLQ_BITS + 1 && (digit & 31)))
            return false;
        v |= shift <= VLQ_BITS + 1 ? (digit & 31) << shift : 0;
        *s = str_skip(*s, 1);
        if (digit < 32)
            break;
    }
    *ret = v & 1 ? -(int64_t)(v >> 1) : (int64_t)(v >> 1);
    return *ret <= INT32_MAX && *ret >= INT32_MIN;
}

enum { COLUMN, SOURCE, OLINE, OCOLUMN, NAME, PARTS };

static int bad_mapping(uint32_t line, const char *what, struct err *e)
{
    return err_set(e, ERR_INPUT, "field 'mappings': line %u: %s", line + 1, what);
}

static int add_mapping(struct reading *r, uint32_t line, const int64_t *at, int fields, struct err *e)
{
    static const char *const outside[] = {"a column", "a source", "an original line", "an original column", "a name"};
    struct sourcemap *m = r->m;
    size_t sources = m->sources_n - r->first_source, names = m->names_n - r->first_name;
    for (int i = 0; i < fields; i++) {
        int64_t most = i == SOURCE ? (int64_t)sources - 1 : i == NAME ? (int64_t)names - 1 : INT32_MAX;
        if (at[i] < 0 || at[i] > most)
            return err_set(e, ERR_INPUT, "field 'mappings': line %u: %s that cannot be: %lld", line + 1, outside[i],
                           (long long)at[i]);
    }
    if (m->n == MAPS_MAPPINGS)
        return err_set(e, ERR_FULL, "field 'mappings': more than %d", MAPS_MAPPINGS);
    uint64_t column = (uint64_t)at[COLUMN] + (line == 0 ? r->column : 0), gline = (uint64_t)line + r->line;
    if (column > INT32_MAX || gline > INT32_MAX)
        return bad_mapping(line, "a place behind 2^31", e);
    ROOM(m->mappings, m->n, m->cap);
    m->mappings[m->n++] = (struct mapping){
        .line = (uint32_t)gline,
        .column = (uint32_t)column,
        .source = fields > 1 ? (uint32_t)(r->first_source + (size_t)at[SOURCE]) : MAPS_NONE,
        .oline = fields > 1 ? (uint32_t)at[OLINE] : 0,
        .ocolumn = fields > 1 ? (uint32_t)at[OCOLUMN] : 0,
        .name = fields > 4 ? (uint32_t)(r->first_name + (size_t)at[NAME]) : MAPS_NONE};
    m->mapped += fields > 1;
    return 0;
}

/* Lines are ended by ';', mappings by ','; numbers are relative to the mapping before. */
static int read_mappings(struct reading *r, str s, struct err *e)
{
    int64_t at[PARTS] = {0};
    uint32_t line = 0;
    while (s.n) {
        if (*s.p == ';') {
            s = str_skip(s, 1);
            at[COLUMN] = 0;
            line++;
            continue;
        }
        int n = 0;
        while (s.n && *s.p != ',' && *s.p != ';') {
            int64_t by;
            if (n == PARTS)
                return bad_mapping(line, "a mapping of more than 5 numbers", e);
            if (!read_vlq(&s, &by))
                return bad_mapping(line, "expected base64 VLQ numbers below 2^31", e);
            at[n++] += by;
        }
        if (n != 1 && n != 4 && n != 5)
            return bad_mapping(line, "expected mappings of 1, 4 or 5 numbers", e);
        if (add_mapping(r, line, at, n, e) < 0)
            return -1;
        if (s.n && *s.p == ',') {
            s = str_skip(s, 1);
            if (!s.n || *s.p == ',' || *s.p == ';')
                return bad_mapping(line, "expected mappings of 1, 4 or 5 numbers", e);
        }
    }
    return 0;
}

/* ---- one map: a whole one, or that of a section ---- */
static int read_sections(struct reading *r, const struct value *v, struct err *e);

static int read_map(struct reading *r, str text, struct err *e)
{
    struct value v[FIELDS];
    if (read_fields(text, field_names, FIELDS, v, e) < 0)
        return -1;
    if (v[VERSION].kind != J_NUMBER || !str_eq(v[VERSION].raw, S("3")))
        return err_set(e, ERR_INPUT, "field 'version': expected 3, got %.*s",
                       STR_ARG(str_head(v[VERSION].kind == J_ERROR ? S("nothing") : v[VERSION].raw, 40)));
    if (expect(v, FILE_NAME, J_STRING, true, e) < 0 || expect(v, ROOT, J_STRING, true, e) < 0)
        return -1;
    int id = v[DEBUG_ID].kind == J_STRING ? DEBUG_ID : OLD_DEBUG_ID;
    if (v[id].kind == J_STRING && !r->nested)
        r->m->debug_id = text_of(v[id].raw, v[id].flags, r->a);
    if (v[SECTIONS].kind != J_ERROR)
        return read_sections(r, v, e);
    if (expect(v, SOURCES, J_ARRAY, false, e) < 0 || expect(v, NAMES, J_ARRAY, true, e) < 0 ||
        expect(v, CONTENT, J_ARRAY, true, e) < 0 || expect(v, MAPPINGS, J_STRING, false, e) < 0)
        return -1;
    int ignore = v[IGNORE].kind != J_ERROR ? IGNORE : OLD_IGNORE;
    if (expect(v, ignore, J_ARRAY, true, e) < 0)
        return -1;
    r->root = v[ROOT].kind == J_STRING ? text_of(v[ROOT].raw, v[ROOT].flags, r->a) : (str){0};
    r->first_source = r->m->sources_n;
    r->first_name = r->m->names_n;
    return read_array(v, SOURCES, each_source, r, e) < 0 || read_array(v, NAMES, each_name, r, e) < 0 ||
                   read_array(v, CONTENT, each_content, r, e) < 0 || read_array(v, ignore, each_ignored, r, e) < 0
               ? -1
               : read_mappings(r, text_of(v[MAPPINGS].raw, v[MAPPINGS].flags, r->a), e);
}

static int read_offset(str object, uint32_t *ret_line, uint32_t *ret_column, struct err *e)
{
    static const str names[] = {S("line"), S("column")};
    struct value v[2];
    uint64_t n[2];
    if (read_fields(object, names, 2, v, e) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (v[i].kind != J_NUMBER || !str_u64(v[i].raw, &n[i]) || n[i] > INT32_MAX)
            return err_set(e, ERR_INPUT, "offset.%.*s: expected a number from 0 to 2^31-1, got %.*s", STR_ARG(names[i]),
                           STR_ARG(str_head(v[i].kind == J_ERROR ? S("nothing") : v[i].raw, 40)));
    *ret_line = (uint32_t)n[0];
    *ret_column = (uint32_t)n[1];
    return 0;
}

static int each_section(void *arg, enum json_kind kind, const struct json_token *t, struct err *e)
{
    static const str names[] = {S("offset"), S("map")};
    struct reading *r = arg;
    struct value v[2];
    if (kind != J_OBJECT)
        return err_set(e, ERR_INPUT, "expected objects, got %s", kind_name(kind));
    if (read_fields(t->raw, names, 2, v, e) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (v[i].kind != J_OBJECT)
            return err_set(e, ERR_INPUT, "%.*s: expected an object, got %s", STR_ARG(names[i]), kind_name(v[i].kind));
    if (read_offset(v[0].raw, &r->line, &r->column, e) < 0)
        return -1;
    if (r->any && (r->line < r->end_line || (r->line == r->end_line && r->column <= r->end_column)))
        return err_set(e, ERR_INPUT, "expected each section to begin behind the one before");
    if (r->m->n &&
        (r->m->mappings[r->m->n - 1].line > r->line ||
         (r->m->mappings[r->m->n - 1].line == r->line && r->m->mappings[r->m->n - 1].column >= r->column && r->any)))
        return err_set(e, ERR_INPUT, "expected sections that do not overlap");
    r->any = true;
    r->end_line = r->line;
    r->end_column = r->column;
    return read_map(r, v[1].raw, e);
}

static int read_sections(struct reading *r, const struct value *v, struct err *e)
{
    if (r->nested)
        return err_set(e, ERR_INPUT, "field 'sections': not in a section");
    if (v[MAPPINGS].kind != J_ERROR)
        return err_set(e, ERR_INPUT, "field 'mappings': not beside 'sections'");
    if (expect(v, SECTIONS, J_ARRAY, false, e) < 0)
        return -1;
    r->nested = true;
    return read_array(v, SECTIONS, each_section, r, e);
}

/* ---- in order ---- */
static int by_place(const void *x, const void *y)
{
    const struct mapping *a = x, *b = y;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

/* Nearly every map comes sorted. Of equal places the first speaks. */
static void sort_mappings(struct sourcemap *m)
{
    size_t n = 0;
    bool sorted = true;
    for (size_t i = 1; sorted && i < m->n; i++)
        sorted = by_place(&m->mappings[i - 1], &m->mappings[i]) <= 0;
    if (!sorted)
        qsort(m->mappings, m->n, sizeof *m->mappings, by_place);
    for (size_t i = 0; i < m->n; i++)
        if (n == 0 || by_place(&m->mappings[n - 1], &m->mappings[i]) != 0)
            m->mappings[n++] = m->mappings[i];
    m->n = n;
}

int sourcemap_read(str text, struct arena *a, struct sourcemap *ret, struct err *e)
{
    struct sourcemap m = {.debug_id = S("")};
    struct reading r = {.m = &m, .a = a};
    if (str_starts(text, S("\xef\xbb\xbf")))
        text = str_skip(text, 3);
    if (str_starts(text, S(")]}"))) /* what some servers put before JSON so that no page can run it */
        (void)str_cut(&text, '\n');
    if (read_map(&r, text, e) < 0) {
        sourcemap_done(&m);
        return -1;
    }
    sort_mappings(&m);
    *ret = m;
    return 0;
}
