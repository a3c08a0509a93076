/* cli_text.c - what reaches a terminal: made harmless, and laid out as tables. */
#include "base/str.h"
#include "cli.h"

#include <jansson.h>

/* Characters that steer a terminal or turn the line around although they are valid UTF-8. */
static bool steers(uint32_t c)
{
    return (c >= 0x80 && c <= 0x9f) || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
}

static uint32_t decode(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    uint32_t c = n == 2 ? u[0] & 0x1f : n == 3 ? u[0] & 0x0f : u[0] & 0x07;
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (u[i] & 0x3f);
    return c;
}

void text_visible(struct buf *out, str s, bool lines)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = c < 0x80 ? 1 : utf8_len(s.p + i, s.n - i);
        if (n == 1 && ((c >= 0x20 && c != 0x7f) || c == '\t' || (c == '\n' && lines)))
            buf_byte(out, (char)c);
        else if (n <= 1)
            c == '\n' ? buf_lit(out, "\\n") : c == '\r' ? buf_lit(out, "\\r") : buf_printf(out, "\\x%02x", c);
        else if (steers(decode(s.p + i, n)))
            buf_printf(out, "\\u%04x", decode(s.p + i, n));
        else
            buf_add(out, s.p + i, n);
        i += n ? n : 1;
    }
}

static void add_cell(struct buf *out, const json_t *v)
{
    size_t i;
    json_t *item;
    if (json_is_string(v)) {
        text_visible(out, str_n(json_string_value(v), json_string_length(v)), false);
    } else if (json_is_integer(v)) {
        buf_printf(out, "%lld", (long long)json_integer_value(v));
    } else if (json_is_real(v)) {
        buf_printf(out, "%g", json_real_value(v));
    } else if (json_is_array(v)) {
        json_array_foreach(v, i, item)
        {
            if (i)
                buf_byte(out, ',');
            add_cell(out, item);
        }
    } else if (json_is_object(v)) { /* what a shared page shows: NAME, or NAME by LABEL */
        add_cell(out, json_object_get(v, "name"));
        buf_printf(out, "%s", json_object_get(v, "group") ? " by " : "");
        add_cell(out, json_object_get(v, "group"));
    } else if (json_is_boolean(v)) {
        buf_printf(out, "%s", json_is_true(v) ? "yes" : "no");
    }
}

static char *cell(const json_t *v)
{
    struct buf b = BUF_INIT(4096);
    add_cell(&b, v);
    if (b.n == 0)
        buf_byte(&b, '-');
    return buf_take(&b, NULL);
}

/* Columns as wide as their widest cell, counted in characters. */
static size_t width(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

static void lay_out(char *const *cells, size_t rows, size_t n, struct buf *out)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < n; c++) {
            size_t widest = 0, w = width(cells[r * n + c]);
            for (size_t i = 0; i < rows; i++)
                widest = width(cells[i * n + c]) > widest ? width(cells[i * n + c]) : widest;
            buf_printf(out, "%s", cells[r * n + c]);
            if (c + 1 < n)
                buf_printf(out, "%*s", (int)(widest - w + 2), "");
        }
        buf_byte(out, '\n');
    }
}

int text_table(str json, const char *field, const struct text_column *columns, size_t n, struct buf *out, struct err *e)
{
    json_t *doc = json_loadb(json.p ? json.p : "", json.n, 0, NULL), *list = json_object_get(doc, field);
    if (!json_is_array(list)) {
        json_decref(doc);
        return err_set(e, ERR_REMOTE, "the server's answer has no list of %s", field);
    }
    size_t rows = json_array_size(list) + 1;
    char **cells = xcalloc(rows * n, sizeof *cells);
    for (size_t c = 0; c < n; c++) {
        cells[c] = xstrdup(columns[c].title);
        for (size_t r = 1; r < rows; r++)
            cells[r * n + c] = cell(json_object_get(json_array_get(list, r - 1), columns[c].field));
    }
    lay_out(cells, rows, n, out);
    for (size_t i = 0; i < rows * n; i++)
        free(cells[i]);
    free(cells);
    json_decref(doc);
    return 0;
}
