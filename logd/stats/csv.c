/* stats/csv.c - points as RFC 4180: a column for each name that a point has, empty where another has it. */
#include "base/str.h"
#include "stats/stats.h"

#include <jansson.h>

/* A text that starts like a formula gets a ' before it: a spreadsheet would run it. */
static void put_text(struct buf *out, const char *text)
{
    bool guard = *text && strchr("=+-@\t\r", *text);
    if (!guard && !strpbrk(text, ",\"\r\n")) {
        buf_str(out, str_of(text));
        return;
    }
    buf_str(out, guard ? S("\"'") : S("\""));
    for (; *text; text++) {
        if (*text == '"')
            buf_byte(out, '"');
        buf_byte(out, *text);
    }
    buf_byte(out, '"');
}

static void put_value(struct buf *out, json_t *v)
{
    if (json_is_string(v))
        put_text(out, json_string_value(v));
    else if (json_is_integer(v))
        buf_printf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        buf_double(out, json_real_value(v));
    else if (json_is_boolean(v))
        buf_str(out, json_is_true(v) ? S("true") : S("false"));
}

static json_t *columns_of(json_t *points)
{
    json_t *columns = json_object(), *p, *v;
    const char *name;
    size_t i;
    json_array_foreach(points, i, p) json_object_foreach(p, name, v) json_object_set_new(columns, name, json_null());
    if (json_object_size(columns) == 0)
        json_object_set_new(columns, "time", json_null());
    return columns;
}

void stats_csv(struct buf *answer)
{
    json_t *o = json_loadb(answer->p, answer->n, 0, NULL), *points = json_object_get(o, "points"), *p, *v;
    json_t *columns = columns_of(points);
    const char *name;
    size_t i, n = 0;
    buf_reset(answer);
    json_object_foreach(columns, name, v)
    {
        buf_str(answer, n++ ? S(",") : S(""));
        put_text(answer, name);
    }
    buf_lit(answer, "\r\n");
    json_array_foreach(points, i, p)
    {
        n = 0;
        json_object_foreach(columns, name, v)
        {
            buf_str(answer, n++ ? S(",") : S(""));
            put_value(answer, json_object_get(p, name));
        }
        buf_lit(answer, "\r\n");
    }
    json_decref(columns);
    json_decref(o);
}
