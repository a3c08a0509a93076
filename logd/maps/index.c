#include "maps/index.h"
#include "base/str.h"

enum { BLOCK = 64, HEADER = 64, NULL_LENGTH = 0x7fffffff };
enum { NEW_LINE = 1, HAS_SOURCE = 2, HAS_NAME = 4 };
enum {
    AT_SOURCES = 8,
    AT_NAMES = 16,
    AT_BLOCKS = 24,
    AT_FUNCTIONS = 32,
    AT_MAPPINGS = 40,
    AT_MAPPED = 44,
    AT_SAMPLE = 48,
    AT_ID = 56
};
enum { SOURCE_SIZE = 8, NAME_SIZE = 8, BLOCK_SIZE = 12, FUNCTION_SIZE = 20 };
static const char magic[8] = "logdidx1";

/* ---- writing ---- */
static void put(struct buf *out, uint32_t v) { buf_add(out, &v, sizeof v); }
static void set(struct buf *out, size_t at, uint32_t v) { memcpy(out->p + at, &v, sizeof v); }
static void put_delta(struct buf *out, uint32_t v, uint32_t before)
{
    int64_t d = (int64_t)v - before;
    buf_leb128(out, d < 0 ? ((uint64_t)-d << 1) - 1 : (uint64_t)d << 1);
}

/* A table of where texts stand; the texts themselves go to `out` at once. */
static void put_text(struct buf *out, struct buf *table, str s, uint32_t flag)
{
    put(table, (uint32_t)out->n);
    put(table, (s.p ? (uint32_t)s.n : NULL_LENGTH) | flag);
    buf_str(out, s);
}

static void put_mapping(struct buf *out, const struct mapping *x, struct mapping *last)
{
    bool line = x->line != last->line, source = x->source != MAPS_NONE, name = source && x->name != MAPS_NONE;
    buf_byte(out, (char)((line ? NEW_LINE : 0) | (source ? HAS_SOURCE : 0) | (name ? HAS_NAME : 0)));
    if (line)
        buf_leb128(out, x->line - last->line);
    buf_leb128(out, line ? x->column : x->column - last->column);
    if (source) {
        put_delta(out, x->source, last->source);
        put_delta(out, x->oline, last->oline);
        put_delta(out, x->ocolumn, last->ocolumn);
        last->source = x->source;
        last->oline = x->oline;
        last->ocolumn = x->ocolumn;
    }
    if (name) {
        put_delta(out, x->name, last->name);
        last->name = x->name;
    }
    last->line = x->line;
    last->column = x->column;
}

static void put_blocks(const struct sourcemap *m, struct buf *out, struct buf *table)
{
    struct mapping last = {0};
    for (size_t i = 0; i < m->n; i++) {
        const struct mapping *x = &m->mappings[i];
        if (i % BLOCK == 0) {
            last = (struct mapping){.line = x->line, .column = x->column};
            put(table, x->line);
            put(table, x->column);
            put(table, (uint32_t)out->n);
        }
        put_mapping(out, x, &last);
    }
}

/* In the middle of the file, where the code of the app is more likely than at its ends. */
static const struct mapping *choose_sample(const struct sourcemap *m)
{
    const struct mapping *best = NULL;
    for (size_t k = 0; k < m->n; k++) {
        const struct mapping *x = &m->mappings[(m->n / 2 + k) % m->n];
        if (x->source == MAPS_NONE || !m->sources[x->source].name.p || m->sources[x->source].ignored)
            continue;
        if (x->name != MAPS_NONE)
            return x;
        best = best ? best : x;
    }
    return best;
}

static void put_table(struct buf *out, size_t header, const struct buf *table, size_t size)
{
    set(out, header, (uint32_t)(table->n / size));
    set(out, header + 4, (uint32_t)out->n);
    buf_str(out, buf_view(table));
}

void map_index_write(const struct sourcemap *m, struct buf *out)
{
    struct buf sources = BUF_INIT(UINT32_MAX), names = BUF_INIT(UINT32_MAX), blocks = BUF_INIT(UINT32_MAX),
               functions = BUF_INIT(UINT32_MAX);
    char header[HEADER] = {0};
    const struct mapping *sample = choose_sample(m);
    assert(out->n == 0);
    memcpy(header, magic, sizeof magic);
    buf_add(out, header, HEADER);
    set(out, AT_MAPPINGS, (uint32_t)m->n);
    set(out, AT_MAPPED, (uint32_t)m->mapped);
    set(out, AT_SAMPLE, sample ? sample->line : 0);
    set(out, AT_SAMPLE + 4, sample ? sample->column : 0);
    set(out, AT_ID, (uint32_t)out->n);
    set(out, AT_ID + 4, (uint32_t)m->debug_id.n);
    buf_str(out, m->debug_id);
    for (size_t i = 0; i < m->sources_n; i++)
        put_text(out, &sources, m->sources[i].name, m->sources[i].ignored ? 1u << 31 : 0);
    for (size_t i = 0; i < m->names_n; i++)
        put_text(out, &names, m->names[i], 0);
    for (size_t i = 0; i < m->functions_n; i++) {
        const struct function *f = &m->functions[i];
        put(&functions, f->line);
        put(&functions, f->column);
        put_text(out, &functions, f->token, 0);
        put(&functions, f->name);
    }
    put_blocks(m, out, &blocks);
    put_table(out, AT_SOURCES, &sources, SOURCE_SIZE);
    put_table(out, AT_NAMES, &names, NAME_SIZE);
    put_table(out, AT_BLOCKS, &blocks, BLOCK_SIZE);
    put_table(out, AT_FUNCTIONS, &functions, FUNCTION_SIZE);
    buf_done(&sources);
    buf_done(&names);
    buf_done(&blocks);
    buf_done(&functions);
}

/* ---- reading ---- */
static uint32_t get(str index, size_t at)
{
    uint32_t v = 0;
    if (at + 4 <= index.n)
        memcpy(&v, index.p + at, 4);
    return v;
}

bool map_index_check(str index)
{
    static const struct {
        size_t header, size;
    } tables[] = {
        {AT_SOURCES, SOURCE_SIZE}, {AT_NAMES, NAME_SIZE}, {AT_BLOCKS, BLOCK_SIZE}, {AT_FUNCTIONS, FUNCTION_SIZE}};
    if (index.n < HEADER || index.n > UINT32_MAX || memcmp(index.p, magic, sizeof magic) != 0)
        return false;
    for (size_t i = 0; i < LENGTH(tables); i++) {
        size_t n = get(index, tables[i].header), at = get(index, tables[i].header + 4);
        if (at > index.n || n > (index.n - at) / tables[i].size)
            return false;
    }
    return true;
}

/* Text number i of a table whose entries begin with its place. */
static str text_in(str index, size_t header, size_t size, size_t skip, uint32_t i, bool *ret_flag)
{
    if (i >= get(index, header))
        return (str){0};
    size_t entry = get(index, header + 4) + (size_t)i * size + skip;
    size_t at = get(index, entry), n = get(index, entry + 4);
    if (ret_flag)
        *ret_flag = n >> 31;
    n &= NULL_LENGTH;
    return n == NULL_LENGTH || at > index.n || n > index.n - at ? (str){0} : str_n(index.p + at, n);
}

/* How many entries of the table stand at or before the place: they begin with line and column. */
static uint32_t count_until(str index, size_t header, size_t size, uint32_t line, uint32_t column)
{
    uint32_t low = 0, high = get(index, header);
    size_t at = get(index, header + 4);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, l = get(index, at + middle * size),
                 c = get(index, at + middle * size + 4);
        if (l < line || (l == line && c <= column))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool take_delta(str *s, uint32_t *v)
{
    uint64_t z;
    if (!str_leb128(s, &z))
        return false;
    *v = (uint32_t)((int64_t)*v + (z & 1 ? -(int64_t)((z + 1) >> 1) : (int64_t)(z >> 1)));
    return true;
}

/* *at: the mapping before in the block; of source and name the last that were told. False: the block ends. */
static bool take_mapping(str *s, struct mapping *at, uint8_t *ret_flags)
{
    uint64_t lines = 0, columns;
    if (!s->n)
        return false;
    *ret_flags = (uint8_t)*s->p;
    *s = str_skip(*s, 1);
    if ((*ret_flags & NEW_LINE && !str_leb128(s, &lines)) || !str_leb128(s, &columns))
        return false;
    at->line += (uint32_t)lines;
    at->column = (uint32_t)columns + (*ret_flags & NEW_LINE ? 0 : at->column);
    if (*ret_flags & HAS_SOURCE &&
        !(take_delta(s, &at->source) && take_delta(s, &at->oline) && take_delta(s, &at->ocolumn)))
        return false;
    return !(*ret_flags & HAS_NAME) || take_delta(s, &at->name);
}

bool map_index_find(str index, uint32_t line, uint32_t column, struct map_place *ret)
{
    uint32_t block = count_until(index, AT_BLOCKS, BLOCK_SIZE, line, column), left = get(index, AT_MAPPINGS);
    if (block-- == 0 || left <= block * BLOCK)
        return false;
    size_t entry = get(index, AT_BLOCKS + 4) + (size_t)block * BLOCK_SIZE;
    struct mapping at = {.line = get(index, entry), .column = get(index, entry + 4)}, best = {.line = MAPS_NONE};
    uint8_t flags, best_flags = 0;
    str s = str_skip(index, get(index, entry + 8));
    left -= block * BLOCK;
    for (uint32_t i = 0; i < BLOCK && i < left && take_mapping(&s, &at, &flags); i++) {
        if (at.line > line || (at.line == line && at.column > column))
            break;
        best = at;
        best_flags = flags;
    }
    if (best.line != line || !(best_flags & HAS_SOURCE))
        return false;
    *ret = (struct map_place){.line = best.oline, .column = best.ocolumn, .exact = best.column == column};
    ret->source = text_in(index, AT_SOURCES, SOURCE_SIZE, 0, best.source, &ret->ignored);
    if (best_flags & HAS_NAME)
        ret->name = text_in(index, AT_NAMES, NAME_SIZE, 0, best.name, NULL);
    return true;
}

str map_index_function(str index, str token, uint32_t line, uint32_t column)
{
    size_t table = get(index, AT_FUNCTIONS + 4);
    uint32_t from = count_until(index, AT_FUNCTIONS, FUNCTION_SIZE, line, column);
    enum { NEAR = 20000 }; /* a stack may come from anywhere: what it costs is bounded */
    for (uint32_t i = from, looked = 0; token.n && i-- > 0 && looked < NEAR; looked++)
        if (str_eq(text_in(index, AT_FUNCTIONS, FUNCTION_SIZE, 8, i, NULL), token))
            return text_in(index, AT_NAMES, NAME_SIZE, 0, get(index, table + (size_t)i * FUNCTION_SIZE + 16), NULL);
    return (str){0};
}

void map_index_facts(str index, struct map_facts *ret)
{
    size_t at = get(index, AT_ID), n = get(index, AT_ID + 4);
    *ret = (struct map_facts){.sources = get(index, AT_SOURCES),
                              .mappings = get(index, AT_MAPPINGS),
                              .mapped = get(index, AT_MAPPED),
                              .functions = get(index, AT_FUNCTIONS),
                              .sample_line = get(index, AT_SAMPLE),
                              .sample_column = get(index, AT_SAMPLE + 4),
                              .debug_id = at > index.n || n > index.n - at ? S("") : str_n(index.p + at, n)};
}
