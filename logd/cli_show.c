#include "cli_show.h"
#include "base/str.h"
#include "cli.h"
#include "query/query.h"

#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <unistd.h>

enum { CELL_MAX = 100, BAR_WIDTH = 24, PROGRESS_WIDTH = 24 };

static const struct query_style colours = {
    .time = "\033[2m",
    .app = "\033[36m",
    .name = "\033[2m",
    .off = "\033[0m",
    .levels = {[1 ... 8] = "\033[2m", [13 ... 16] = "\033[33m", [17 ... 20] = "\033[31m", [21 ... 24] = "\033[1;31m"},
};

void show_init(struct show *s, bool text)
{
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    *s = (struct show){.text = text, .terminal = isatty(STDOUT_FILENO)};
    s->colours = text && s->terminal && !(plain && plain[0]) && term && strcmp(term, "dumb") != 0;
    s->bars = text && s->terminal;
    s->progress = s->terminal && isatty(STDERR_FILENO);
    buf_init(&s->table, 256u << 20);
    (void)setlocale(LC_CTYPE, "");
}

void show_done(struct show *s) { buf_done(&s->table); }

static bool utf8(void) { return strcmp(nl_langinfo(CODESET), "UTF-8") == 0; }

static void print(const struct buf *b)
{
    if (b->n)
        fwrite(b->p, 1, b->n, stdout);
}

/* ---- progress ---- */

static void clear_progress(struct show *s)
{
    if (s->shown)
        fputs("\r\033[K", stderr);
    s->shown = false;
}

static void show_progress(struct show *s, str line)
{
    json_t *doc = json_loadb(line.p, line.n, 0, NULL), *p = json_object_get(doc, "progress");
    json_t *blocks = json_object_get(p, "blocks");
    long long read = json_integer_value(json_object_get(blocks, "read")),
              of = json_integer_value(json_object_get(blocks, "of"));
    if (s->progress && of > 0 && read <= of) {
        fprintf(stderr, "\r\033[K[%-*.*s] %lld of %lld blocks, %lld events read, %lld found", PROGRESS_WIDTH,
                (int)(PROGRESS_WIDTH * read / of), "########################", read, of,
                (long long)json_integer_value(json_object_get(p, "scanned")),
                (long long)json_integer_value(json_object_get(p, "matched")));
        s->shown = true;
    }
    json_decref(doc);
}

/* ---- events ---- */

void show_event(struct show *s, str line)
{
    struct buf out = BUF_INIT(256u << 20);
    clear_progress(s);
    if (s->text) {
        query_print_row(line, s->colours ? &colours : NULL, &out);
    } else {
        if (s->terminal)
            query_print_visible(line, &out);
        else
            buf_str(&out, line);
        buf_byte(&out, '\n');
    }
    print(&out);
    buf_done(&out);
}

/* ---- tables ---- */

struct table {
    char **cells; /* rows of n; the first row is the names */
    bool *number; /* of each cell */
    size_t n, rows, cap;
    size_t *width;
    struct event *row; /* scratch */
    struct arena a;
    size_t bar; /* the column whose values are drawn; n: none */
    double most;
};

static size_t width_of(const char *z)
{
    size_t n = 0;
    for (; *z; z++)
        n += (*z & 0xc0) != 0x80;
    return n;
}

static char *cell_of(const char *text, size_t n)
{
    struct buf b = BUF_INIT(64u << 20);
    query_print_visible(str_n(text, n), &b);
    size_t chars = 0, i = 0;
    for (; i < b.n; i++)
        if ((b.p[i] & 0xc0) != 0x80 && chars++ == CELL_MAX)
            break;
    if (i < b.n) {
        b.n = i;
        buf_lit(&b, "...");
    }
    return buf_take(&b, NULL);
}

/* Numbers as they are, but no more digits of a fraction than a person reads. */
static char *value_cell(const struct field *f, struct arena *a)
{
    char shorter[40];
    if (!f || f->kind == VALUE_NULL)
        return xstrdup("-");
    str text = field_text(f, a);
    if (f->kind == VALUE_NUMBER && text.n > 10 && str_chr(text, '.') >= 0) {
        snprintf(shorter, sizeof shorter, "%.7g", strtod(text.p, NULL)); /* a comma or bracket follows it */
        text = str_of(shorter);
    }
    return cell_of(text.p, text.n);
}

static char **new_row(struct table *t)
{
    if (t->rows == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->cells = xrealloc(t->cells, t->cap * t->n * sizeof *t->cells);
        t->number = xrealloc(t->number, t->cap * t->n * sizeof *t->number);
    }
    return t->cells + t->n * t->rows++;
}

static void set_cell(struct table *t, size_t column, char *text, bool number)
{
    size_t at = (t->rows - 1) * t->n + column;
    t->cells[at] = text;
    t->number[at] = number;
    if (width_of(text) > t->width[column])
        t->width[column] = width_of(text);
}

static void add_row(struct table *t, str line, const json_t *columns)
{
    struct err ignored;
    arena_reset(&t->a);
    if (event_read_fields(line, t->row, &t->a, &ignored) < 0)
        return;
    (void)new_row(t);
    for (size_t i = 0; i < t->n; i++) {
        const struct field *f = event_field(t->row, str_of(json_string_value(json_array_get(columns, i))));
        bool number = f && f->kind == VALUE_NUMBER;
        double v = number ? strtod(f->raw.p, NULL) : 0;
        set_cell(t, i, value_cell(f, &t->a), number);
        if (i == t->bar && v > t->most)
            t->most = v;
        if (i == t->bar && v < 0)
            t->bar = t->n; /* there is no bar of less than nothing */
    }
}

/* Eighths of a character where the terminal can show them. */
static void print_bar(double part, struct buf *out)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int units = (int)(part * BAR_WIDTH * 8 + 0.5);
    for (int i = 0; i < units / 8; i++)
        buf_str(out, utf8() ? S("█") : S("#"));
    if (utf8())
        buf_str(out, str_of(eighths[units % 8]));
}

static void print_cell(const struct table *t, size_t r, size_t c, bool last, struct buf *out)
{
    const char *text = t->cells[r * t->n + c];
    int pad = (int)(t->width[c] - width_of(text));
    bool right = t->number[r * t->n + c] || (r == 0 && t->rows > 1 && t->number[t->n + c]);
    if (right)
        buf_printf(out, "%*s", pad, "");
    buf_str(out, str_of(text));
    if (!last)
        buf_printf(out, "%*s", right ? 2 : pad + 2, "");
}

static void print_table(const struct show *s, const struct table *t)
{
    struct buf out = BUF_INIT(512u << 20);
    for (size_t r = 0; r < t->rows; r++) {
        bool bar = s->bars && r > 0 && t->bar < t->n && t->most > 0 && t->rows > 2;
        buf_str(&out, s->colours && r == 0 ? S("\033[1m") : S(""));
        for (size_t c = 0; c < t->n; c++)
            print_cell(t, r, c, c + 1 == t->n && !bar, &out);
        buf_str(&out, s->colours && r == 0 ? S("\033[0m") : S(""));
        if (bar) {
            buf_str(&out, s->colours ? S("\033[34m") : S(""));
            print_bar(strtod(t->cells[r * t->n + t->bar], NULL) / t->most, &out);
            buf_str(&out, s->colours ? S("\033[0m") : S(""));
        }
        buf_byte(&out, '\n');
    }
    print(&out);
    buf_done(&out);
}

static void table_done(struct table *t)
{
    for (size_t i = 0; i < t->rows * t->n; i++)
        free(t->cells[i]);
    free(t->cells), free(t->number), free(t->width), free(t->row);
    arena_done(&t->a);
}

static void show_table(struct show *s, const json_t *meta)
{
    json_t *columns = json_object_get(meta, "columns"), *name;
    size_t keys = (size_t)json_integer_value(json_object_get(meta, "keys")), i;
    struct table t = {.n = json_array_size(columns)};
    t.width = xcalloc(t.n + 1, sizeof *t.width);
    t.row = xmalloc(sizeof *t.row);
    t.bar = keys ? keys : t.n;
    (void)new_row(&t);
    json_array_foreach(columns, i, name)
        set_cell(&t, i, cell_of(json_string_value(name), json_string_length(name)), false);
    for (str rest = buf_view(&s->table); rest.n;)
        add_row(&t, str_cut(&rest, '\n'), columns);
    print_table(s, &t);
    table_done(&t);
    buf_reset(&s->table);
}

/* ---- an answer ---- */

static void say_approximate(const struct show *s, const json_t *meta)
{
    const char *name;
    json_t *error;
    struct buf out = BUF_INIT(1 << 20);
    json_object_foreach(json_object_get(meta, "approximate"), name, error)
    {
        query_print_visible(str_of(name), &out);
        buf_printf(&out, " is an estimate, off by about %.2g %%\n", 100 * json_number_value(error));
    }
    if (s->terminal)
        print(&out);
    buf_done(&out);
}

/* Rows that are neither events nor have columns in common: as lines. */
static void flush_rows(struct show *s)
{
    for (str rest = buf_view(&s->table); rest.n;)
        show_event(s, str_cut(&rest, '\n'));
    buf_reset(&s->table);
}

static void show_meta(struct show *s, str line)
{
    json_t *doc = json_loadb(line.p, line.n, 0, NULL), *meta = json_object_get(doc, "meta");
    const char *next = json_string_value(json_object_get(meta, "next")),
               *error = json_string_value(json_object_get(meta, "error"));
    snprintf(s->cursor, sizeof s->cursor, "%s", next ? next : "");
    snprintf(s->error, sizeof s->error, "%s", error ? error : "");
    s->column = (size_t)json_integer_value(json_object_get(meta, "column"));
    s->partial |= json_is_true(json_object_get(meta, "partial"));
    s->ended = true;
    clear_progress(s);
    if (s->table.n && json_array_size(json_object_get(meta, "columns")) > 0)
        show_table(s, meta);
    else
        flush_rows(s);
    if (s->text)
        say_approximate(s, meta);
    json_decref(doc);
}

/* What `fields` left of one is a row of columns. */
static bool is_event(str line)
{
    return str_starts(line, S("{\"id\":\"")) && str_find(line, S("\",\"severity_number\":")) > 0;
}

void show_line(struct show *s, str line)
{
    if (str_starts(line, S("{\"progress\":{"))) {
        show_progress(s, line);
        return;
    }
    if (str_starts(line, S("{\"meta\":{"))) {
        show_meta(s, line);
        return;
    }
    s->rows++;
    if (!s->text || is_event(line)) {
        show_event(s, line);
        return;
    }
    buf_str(&s->table, line);
    buf_byte(&s->table, '\n');
}
