/* store/block.c - lines become columns. */
#include "store/block.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/str.h"
#include "event/json.h"

enum { FEW_COLUMNS = 256, RARE = 64, HEAD_FIELDS = 6 };
#define NONE UINT32_MAX

/* ---- names of a segment ---- */

uint32_t names_add(struct names *l, str name)
{
    if (!l->index)
        l->index = xcalloc(1, sizeof *l->index);
    void *known = map_get(l->index, name);
    if (known)
        return (uint32_t)((uintptr_t)known - 1);
    if (l->n == l->cap)
        l->p = xrealloc(l->p, (l->cap = l->cap ? 2 * l->cap : 64) * sizeof *l->p);
    l->p[l->n++] = str_n(str_dup(name), name.n);
    map_set(l->index, name, (void *)(uintptr_t)l->n);
    return (uint32_t)(l->n - 1);
}

void names_done(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free((char *)l->p[i].p);
    free(l->p);
    if (l->index)
        map_done(l->index);
    free(l->index);
    *l = (struct names){0};
}

/* ---- cells: every value of every event, then sorted by column ---- */

struct cell {
    uint32_t column;
    str text;
};
struct maker_column {
    str name;
    uint64_t hash;
    enum column_kind kind;
    bool escapes;
    bool plain;     /* the name stands between quotes as it is */
    uint32_t next;  /* the column of the field that followed this one last, or NONE */
    uint32_t count; /* values */
    uint32_t place; /* in the block; of its first value among the sorted ones, while they are sorted */
    uint32_t last;  /* event + 1 of its latest value */
};
struct block_maker {
    struct packer *packer;
    struct signature_maker *signature;
    struct arena a; /* decoded strings, values of REST */
    struct cell *cells;
    size_t cells_n, cells_cap;
    struct maker_column *columns;
    size_t columns_n, columns_cap;
    uint32_t *slots; /* of columns: index + 1 */
    size_t slots_n;
    uint32_t first;   /* the column of the first field of the event before, or NONE */
    uint32_t *starts; /* first cell of each event, and one more */
    int64_t *numbers[SYSTEM_COLUMNS];
    uint32_t events, cap;
    str *apps;   /* of each event; all the same unless an app was renamed */
    str *values; /* sorted */
    size_t values_cap;
    struct buf shapes, minutes, text;
};

struct block_maker *block_maker_new(int level)
{
    struct block_maker *m = xcalloc(1, sizeof *m);
    m->packer = packer_new(level);
    m->signature = signature_new();
    m->cap = COLUMN_VALUES_MAX;
    m->starts = xmalloc((m->cap + 1) * sizeof *m->starts);
    m->apps = xmalloc(m->cap * sizeof *m->apps);
    for (size_t i = 0; i < SYSTEM_COLUMNS; i++)
        m->numbers[i] = xmalloc(m->cap * sizeof **m->numbers);
    m->slots_n = 1024;
    m->slots = xcalloc(m->slots_n, sizeof *m->slots);
    buf_init(&m->shapes, SIZE_MAX / 2);
    buf_init(&m->minutes, SIZE_MAX / 2);
    buf_init(&m->text, SIZE_MAX / 2);
    return m;
}

void block_maker_free(struct block_maker *m)
{
    if (!m)
        return;
    packer_free(m->packer);
    signature_free(m->signature);
    arena_done(&m->a);
    for (size_t i = 0; i < SYSTEM_COLUMNS; i++)
        free(m->numbers[i]);
    free(m->cells);
    free(m->columns);
    free(m->slots);
    free(m->starts);
    free(m->apps);
    free(m->values);
    buf_done(&m->shapes);
    buf_done(&m->minutes);
    buf_done(&m->text);
    free(m);
}

static bool is_column(const struct maker_column *c, str name, enum column_kind kind)
{
    return c->kind == kind && str_eq(c->name, name);
}

static void slots_grow(struct block_maker *m)
{
    free(m->slots);
    m->slots_n *= 2;
    m->slots = xcalloc(m->slots_n, sizeof *m->slots);
    for (size_t i = 0; i < m->columns_n; i++) {
        size_t at = m->columns[i].hash & (m->slots_n - 1);
        while (m->slots[at])
            at = (at + 1) & (m->slots_n - 1);
        m->slots[at] = (uint32_t)i + 1;
    }
}

static uint32_t find_column(struct block_maker *m, str name, enum column_kind kind)
{
    uint64_t hash = hash_str(name) + kind;
    size_t at = hash & (m->slots_n - 1);
    for (; m->slots[at]; at = (at + 1) & (m->slots_n - 1))
        if (is_column(&m->columns[m->slots[at] - 1], name, kind))
            return m->slots[at] - 1;
    if (m->columns_n == m->columns_cap)
        m->columns = xrealloc(m->columns,
                              (m->columns_cap = m->columns_cap ? 2 * m->columns_cap : 64) * sizeof *m->columns);
    m->columns[m->columns_n] = (struct maker_column){.name = name, .hash = hash, .kind = kind, .next = NONE};
    m->slots[at] = (uint32_t)++m->columns_n;
    if (m->columns_n * 2 > m->slots_n)
        slots_grow(m);
    return (uint32_t)m->columns_n - 1;
}

/* A string with escapes stands decoded when we would escape it the same way. */
static enum column_kind decode(struct block_maker *m, str *text)
{
    char *p = arena_alloc(&m->a, text->n);
    str decoded = {p, json_decode(*text, p)};
    buf_reset(&m->text);
    json_encode(&m->text, decoded);
    if (!str_eq(buf_view(&m->text), *text))
        return KIND_ESCAPED;
    *text = decoded;
    return KIND_STRING;
}

/* A field's value. `i` is the column that it probably belongs to, or NONE. Returns its column, NONE on failure. */
static uint32_t add_cell(struct block_maker *m, const struct json_token *t, enum column_kind kind, uint32_t i,
                         struct err *e)
{
    str text = t->raw;
    bool escaped = kind == KIND_STRING && (t->flags & J_ESCAPED);
    if (escaped)
        kind = decode(m, &text);
    if (i == NONE || m->columns[i].kind != kind)
        i = find_column(m, t->name, kind);
    struct maker_column *c = &m->columns[i];
    c->escapes |= escaped;
    c->plain = !t->name_flags;
    c->count++;
    if (c->last == m->events + 1) {
        (void)err_set(e, ERR_CORRUPT, "not a stored event: it has '%.*s' twice", STR_ARG(str_head(t->name, 100)));
        return NONE;
    }
    c->last = m->events + 1;
    if (m->cells_n == m->cells_cap)
        m->cells = xrealloc(m->cells, (m->cells_cap = m->cells_cap ? 2 * m->cells_cap : 1 << 16) * sizeof *m->cells);
    m->cells[m->cells_n++] = (struct cell){i, text};
    return i;
}

/* Would the head of the line come back as it is? */
static int add_head(struct block_maker *m, const struct event_head *h, struct err *e)
{
    usec recv;
    uint32_t row;
    str time = h->time_text;
    if (!event_id_parse(h->id, &recv, &row))
        return err_set(e, ERR_CORRUPT, "not a stored event: its id is '%.*s'", STR_ARG(str_head(h->id, 40)));
    if (time.n < 20 || time.n > 30 || time.n == 21 || time.p[10] != 'T' || time.p[time.n - 1] != 'Z' ||
        !str_eq(h->level, level_name(h->severity)))
        return err_set(e, ERR_CORRUPT, "not a stored event: its time or level is not as logd writes it");
    m->apps[m->events] = h->app;
    m->numbers[SYSTEM_RECV][m->events] = recv;
    m->numbers[SYSTEM_ROW][m->events] = row;
    m->numbers[SYSTEM_TIME][m->events] = h->time;
    m->numbers[SYSTEM_DIGITS][m->events] = time.n == 20 ? 0 : (int64_t)time.n - 21;
    m->numbers[SYSTEM_SEVERITY][m->events] = h->severity;
    return 0;
}

/* One value that was begun, to its end. */
static enum column_kind whole_value(struct json *j, struct json_token *t, enum json_kind *kind)
{
    static const uint8_t kinds[] = {
        [J_NULL] = KIND_NULL,     [J_FALSE] = KIND_BOOL, [J_TRUE] = KIND_BOOL,  [J_NUMBER] = KIND_NUMBER,
        [J_STRING] = KIND_STRING, [J_ARRAY] = KIND_JSON, [J_OBJECT] = KIND_JSON};
    enum column_kind is = kinds[*kind];
    if (is == KIND_JSON) {
        *kind = json_skip(j);
        t->raw.n = (size_t)(j->p - t->raw.p);
    }
    return is;
}

/* The fields behind the head. Most have the name of the one that followed the same field in the event before: then it is
 * neither searched for its end nor looked up. */
static int add_fields(struct block_maker *m, str line, size_t at, struct err *e)
{
    struct json j;
    struct json_token t;
    enum json_kind kind;
    uint32_t before = NONE;
    json_init_behind(&j, line, at);
    for (size_t n = 0; n < LIMIT_FIELDS_STORED - HEAD_FIELDS; n++) {
        uint32_t i = before == NONE ? m->first : m->columns[before].next;
        if (i == NONE || !m->columns[i].plain || !json_next_named(&j, &t, m->columns[i].name, &kind)) {
            i = NONE;
            kind = json_next(&j, &t);
        }
        if (kind <= J_CLOSE)
            break;
        enum column_kind is = whole_value(&j, &t, &kind);
        if (kind == J_ERROR)
            break;
        if (t.name_flags & J_ESCAPED) {
            char *name = arena_alloc(&m->a, t.name.n);
            t.name = (str){name, json_decode(t.name, name)};
        }
        if ((i = add_cell(m, &t, is, i, e)) == NONE)
            return -1;
        *(before == NONE ? &m->first : &m->columns[before].next) = i;
        before = i;
    }
    if (kind != J_CLOSE || j.depth)
        return err_set(e, ERR_CORRUPT, "not a stored event: cut, damaged or too long at byte %zu",
                       (size_t)(j.p - line.p) + 1);
    return 0;
}

static int add_line(struct block_maker *m, str line, struct err *e)
{
    struct event_head h;
    if (m->events == COLUMN_VALUES_MAX)
        return err_set(e, ERR_FULL, "a block holds at most %d events", COLUMN_VALUES_MAX);
    if (!event_read_head(line, &h))
        return err_set(e, ERR_CORRUPT, "not a stored event: it does not begin like one");
    if (add_head(m, &h, e) < 0)
        return -1;
    m->starts[m->events] = (uint32_t)m->cells_n;
    if (h.event_id.p) {
        struct json_token t = {S("event_id"), h.event_id, 0, str_chr(h.event_id, '\\') >= 0 ? J_ESCAPED : 0};
        if (add_cell(m, &t, KIND_STRING, NONE, e) == NONE)
            return -1;
    }
    if (add_fields(m, line, h.n, e) < 0)
        return -1;
    m->starts[++m->events] = (uint32_t)m->cells_n;
    return 0;
}

/* ---- rare names ---- */

static bool is_rare(const struct block_maker *m, const struct maker_column *c)
{
    return c->kind != KIND_REST && (c->count < 2 || (uint64_t)c->count * RARE < m->events) &&
           !str_eq(c->name, S("event_id"));
}

static void add_rest(struct block_maker *m, const struct maker_column *c, str text)
{
    uint8_t kind = (uint8_t)c->kind;
    uint16_t name_n = (uint16_t)c->name.n;
    uint32_t text_n = (uint32_t)text.n;
    buf_add(&m->text, &kind, 1);
    buf_add(&m->text, &name_n, 2);
    buf_add(&m->text, &text_n, 4);
    buf_str(&m->text, c->name);
    buf_str(&m->text, text);
}

/* All but the frequent columns go into one: the first of an event's rare cells gets all of them, the others nothing. */
static void move_rare(struct block_maker *m)
{
    if (m->columns_n <= FEW_COLUMNS)
        return;
    size_t n = m->columns_n;
    uint32_t rest = find_column(m, S(""), KIND_REST);
    for (uint32_t i = 0; i < m->events; i++) {
        struct cell *first = NULL;
        buf_reset(&m->text);
        for (uint32_t k = m->starts[i]; k < m->starts[i + 1]; k++) {
            struct cell *cell = &m->cells[k];
            if (!is_rare(m, &m->columns[cell->column]))
                continue;
            add_rest(m, &m->columns[cell->column], cell->text);
            *cell = (struct cell){.column = rest};
            first = first ? first : cell;
        }
        if (first) {
            first->text = arena_str(&m->a, buf_view(&m->text));
            m->columns[rest].count++;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (is_rare(m, &m->columns[i]))
            m->columns[i].count = 0;
}

bool rest_next(str *rest, struct rest_value *ret)
{
    uint16_t name_n;
    uint32_t text_n;
    if (rest->n < 7)
        return false;
    memcpy(&name_n, rest->p + 1, 2);
    memcpy(&text_n, rest->p + 3, 4);
    if (rest->n - 7 < name_n || rest->n - 7 - name_n < text_n || (unsigned char)rest->p[0] > KIND_ESCAPED)
        return false;
    *ret = (struct rest_value){(enum column_kind)rest->p[0], str_n(rest->p + 7, name_n),
                               str_n(rest->p + 7 + name_n, text_n)};
    *rest = str_skip(*rest, 7u + name_n + text_n);
    return true;
}

/* ---- shapes ---- */

struct shape_table {
    uint32_t *slots; /* offset of a shape in m->shapes, in words, + 1; then its number */
    size_t n, mask;
};

/* Where the shape at the end of `shapes`, n columns, stood already; else it stays there. Returns its number. */
static uint32_t find_shape(struct block_maker *m, struct shape_table *t, size_t from)
{
    size_t bytes = m->shapes.n - from;
    size_t at = xxh64(m->shapes.p + from, bytes, 0) & t->mask;
    for (; t->slots[2 * at]; at = (at + 1) & t->mask) {
        const char *known = m->shapes.p + (size_t)(t->slots[2 * at] - 1) * 4;
        if (known + bytes <= m->shapes.p + from && memcmp(known, m->shapes.p + from, bytes) == 0) {
            m->shapes.n = from;
            return t->slots[2 * at + 1];
        }
    }
    t->slots[2 * at] = (uint32_t)(from / 4) + 1;
    t->slots[2 * at + 1] = (uint32_t)t->n;
    return (uint32_t)t->n++;
}

static void make_shapes(struct block_maker *m)
{
    struct shape_table t = {.mask = 1};
    while (t.mask < 2 * (size_t)m->events)
        t.mask = 2 * t.mask + 1;
    t.slots = xcalloc(2 * (t.mask + 1), sizeof *t.slots);
    uint32_t *codes = xmalloc((m->events + 1) * sizeof *codes);
    buf_reset(&m->shapes);
    buf_add(&m->shapes, &(uint32_t){0}, 4);
    for (uint32_t i = 0; i < m->events; i++) {
        size_t from = m->shapes.n;
        buf_add(&m->shapes, &(uint32_t){m->starts[i + 1] - m->starts[i]}, 4);
        for (uint32_t k = m->starts[i]; k < m->starts[i + 1]; k++)
            buf_add(&m->shapes, &m->columns[m->cells[k].column].place, 4);
        codes[i] = find_shape(m, &t, from);
    }
    memcpy(m->shapes.p, &(uint32_t){(uint32_t)t.n}, 4);
    for (unsigned w = 0; t.n > 1 && w < (t.n <= 256 ? 1 : 2); w++)
        for (uint32_t i = 0; i < m->events; i++)
            buf_byte(&m->shapes, (char)(codes[i] >> 8 * w));
    free(codes);
    free(t.slots);
}

/* ---- minutes ---- */

struct minute_maker {
    uint32_t counts[LEVELS];
    struct minute *p;
    size_t n, most;
};

static void end_minute(struct minute_maker *k, int64_t at)
{
    for (uint8_t s = 0; s < LEVELS; s++)
        if (k->counts[s] && k->n < k->most)
            k->p[k->n++] = (struct minute){(uint32_t)at, k->counts[s], s};
        else if (k->counts[s])
            k->n = k->most + 1;
    memset(k->counts, 0, sizeof k->counts);
}

/* False: there would be so many that the events themselves are as quick to count, or they are not in order. */
static bool find_minutes(const struct block_maker *m, nsec t_min, struct minute_maker *k)
{
    const int64_t *time = m->numbers[SYSTEM_TIME];
    int64_t first = minute_of(t_min), at = 0;
    for (uint32_t i = 0; i < m->events; i++) {
        int64_t now = minute_of(time[i]) - first;
        if (now < at || now > UINT16_MAX || (i > 0 && time[i] < time[i - 1]))
            return false;
        if (now != at)
            end_minute(k, at);
        at = now;
        k->counts[m->numbers[SYSTEM_SEVERITY][i]]++;
    }
    end_minute(k, at);
    return k->n <= k->most;
}

enum { EVENTS_A_MINUTE = 4 };

static void make_minutes(struct block_maker *m, nsec t_min)
{
    struct minute_maker k = {.most = m->events / EVENTS_A_MINUTE};
    buf_reset(&m->minutes);
    k.p = xmalloc((k.most + 1) * sizeof *k.p);
    bool found = find_minutes(m, t_min, &k);
    for (unsigned w = 0; found && w < MINUTE_BYTES; w++)
        for (size_t i = 0; i < k.n; i++)
            buf_byte(&m->minutes, (char)(w < 2   ? k.p[i].at >> 8 * w
                                         : w < 4 ? k.p[i].events >> 8 * (w - 2)
                                                 : k.p[i].severity));
    free(k.p);
}

/* ---- packing ---- */

static void sort_cells(struct block_maker *m)
{
    if (m->values_cap < m->cells_n)
        m->values = xrealloc(m->values, (m->values_cap = m->cells_n) * sizeof *m->values);
    uint32_t at = 0;
    for (size_t i = 0; i < m->columns_n; i++) {
        m->columns[i].place = at;
        at += m->columns[i].count;
    }
    for (size_t i = 0; i < m->cells_n; i++) {
        struct maker_column *c = &m->columns[m->cells[i].column];
        if (c->kind != KIND_REST || m->cells[i].text.p)
            m->values[c->place++] = m->cells[i].text;
    }
}

static void sign_text(struct block_maker *m, enum column_kind kind, str text)
{
    if (kind == KIND_ESCAPED) {
        buf_reset(&m->text);
        (void)buf_grow(&m->text, text.n);
        text = str_n(m->text.p, json_decode(text, m->text.p));
    }
    signature_text(m->signature, text);
}

/* Numbers and addresses are left out: they would set the bits of all digits, and are quick to look at. */
static void sign(struct block_maker *m, const struct packed *p, const str *v, size_t n)
{
    if (p->kind < KIND_STRING || p->packing == PACK_INT || p->packing == PACK_DECIMAL || p->packing == PACK_IPV4 ||
        p->packing == PACK_IPV6)
        return;
    if (p->packing == PACK_HEX || p->packing == PACK_UUID) {
        for (size_t i = 0; i < n; i++)
            signature_value(m->signature, v[i]);
        return;
    }
    if (p->packing == PACK_DICT || p->packing == PACK_CONST) {
        v = packer_dict(m->packer);
        n = p->distinct;
    }
    for (size_t i = 0; i < n; i++) {
        struct rest_value value = {.kind = (enum column_kind)p->kind, .text = v[i]};
        if (p->kind != KIND_REST)
            sign_text(m, value.kind, value.text);
        else
            for (str rest = v[i]; rest_next(&rest, &value);)
                sign_text(m, value.kind, value.text);
    }
}

static void pack_system(struct block_maker *m, struct packed *columns, struct names *names, struct buf *out)
{
    for (size_t i = 0; i < SYSTEM_COLUMNS; i++) {
        size_t at = out->n;
        if (i == SYSTEM_APP)
            pack_texts(m->packer, m->apps, m->events, false, out, &columns[i]);
        else if (i == SYSTEM_SHAPE)
            pack_bytes(m->packer, buf_view(&m->shapes), out, &columns[i]);
        else if (i == SYSTEM_MINUTES)
            pack_bytes(m->packer, buf_view(&m->minutes), out, &columns[i]);
        else
            pack_numbers(m->packer, m->numbers[i], m->events, out, &columns[i]);
        columns[i].offset = at;
        columns[i].kind = KIND_SYSTEM;
        columns[i].name = (uint32_t)i;
        columns[i].flags = COLUMN_EVERY;
        columns[i].values = (uint16_t)m->events; /* also of SHAPE and MINUTES */
    }
    columns[SYSTEM_APP].kind = KIND_STRING;
    columns[SYSTEM_APP].name = names_add(names, S("app"));
    sign(m, &columns[SYSTEM_APP], m->apps, m->events);
}

/* REST holds values of all kinds and names; what is not text in it does no harm. */
static void pack_column(struct block_maker *m, const struct maker_column *c, const str *v, struct names *names,
                        struct buf *out, struct packed *ret)
{
    size_t at = out->n;
    pack_texts(m->packer, v, c->count, c->kind == KIND_REST, out, ret);
    ret->offset = at;
    ret->kind = (uint8_t)c->kind;
    ret->name = c->kind == KIND_REST ? UINT32_MAX : names_add(names, c->name);
    ret->flags = (uint8_t)((c->count == m->events ? COLUMN_EVERY : 0) | (c->escapes ? COLUMN_ESCAPES : 0));
    sign(m, ret, v, c->count);
}

static void maker_reset(struct block_maker *m)
{
    memset(m->slots, 0, m->slots_n * sizeof *m->slots);
    m->cells_n = m->columns_n = 0;
    m->first = NONE;
    m->events = 0;
    arena_reset(&m->a);
    signature_reset(m->signature);
}

static void make_columns(struct block_maker *m, nsec t_min, struct names *names, struct block_made *ret)
{
    size_t used = 0;
    for (size_t i = 0; i < m->columns_n; i++)
        used += m->columns[i].count > 0;
    ret->columns = xcalloc(SYSTEM_COLUMNS + used, sizeof *ret->columns);
    sort_cells(m);
    const str *v = m->values;
    uint32_t n = SYSTEM_COLUMNS;
    for (size_t i = 0; i < m->columns_n; i++) {
        struct maker_column *c = &m->columns[i];
        if (!c->count)
            continue;
        c->place = n;
        pack_column(m, c, v, names, &ret->bytes, &ret->columns[n++]);
        v += c->count;
    }
    make_shapes(m);
    make_minutes(m, t_min);
    pack_system(m, ret->columns, names, &ret->bytes);
    ret->head.columns = n;
}

int block_make(struct block_maker *m, str lines, const struct store_block *info, struct names *names,
               struct block_made *ret, struct err *e)
{
    *ret = (struct block_made){0};
    buf_init(&ret->bytes, SIZE_MAX / 2);
    buf_init(&ret->signature, SIZE_MAX / 2);
    maker_reset(m);
    for (str rest = lines; rest.n;)
        if (add_line(m, str_cut(&rest, '\n'), e) < 0)
            return -1;
    move_rare(m);
    ret->head = (struct block_head){.events = m->events,
                                    .app = info->app,
                                    .levels = info->levels,
                                    .t_min = info->t_min,
                                    .t_max = info->t_max,
                                    .recv_min = info->recv_min,
                                    .recv_max = info->recv_max,
                                    .seq_min = info->seq_min,
                                    .seq_max = info->seq_max,
                                    .raw = lines.n};
    for (uint32_t i = 0; i < m->events; i++)
        ret->head.by_level[m->numbers[SYSTEM_SEVERITY][i]]++;
    make_columns(m, info->t_min, names, ret);
    signature_write(m->signature, &ret->signature);
    return 0;
}

void block_made_done(struct block_made *m)
{
    free(m->columns);
    buf_done(&m->bytes);
    buf_done(&m->signature);
}
