#include "routes/form.h"
#include "base/secret.h"
#include "base/str.h"

static const char *kind_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: break;
    }
    return "null";
}

static void point(struct err *e, const char *name, ptrdiff_t index)
{
    if (index >= 0)
        snprintf(e->pointer, sizeof e->pointer, "/%.100s/%td", name, index);
    else
        snprintf(e->pointer, sizeof e->pointer, "/%.100s", name);
}

static int check_field(const struct form_field *f, const json_t *v, struct err *e)
{
    static const char *const expected[] = {"a string", "an integer from 1 to 4294967295", "an array of strings"};
    const json_t *item;
    size_t i;
    bool good = f->kind == FORM_TEXT ? json_is_string(v)
                : f->kind == FORM_NUMBER
                    ? json_is_integer(v) && json_integer_value(v) >= 1 && json_integer_value(v) <= UINT32_MAX
                    : json_is_array(v);
    if (!good) {
        if (json_is_integer(v))
            err_set(e, ERR_INPUT, "%s: expected %s, got %lld", f->name, expected[f->kind],
                    (long long)json_integer_value(v));
        else
            err_set(e, ERR_INPUT, "%s: expected %s, got %s", f->name, expected[f->kind], kind_of(v));
        point(e, f->name, -1);
        return -1;
    }
    json_array_foreach(v, i, item)
    {
        if (json_is_string(item))
            continue;
        err_set(e, ERR_INPUT, "%s: expected a string at %zu, got %s", f->name, i, kind_of(item));
        point(e, f->name, (ptrdiff_t)i);
        return -1;
    }
    return 0;
}

static int unknown(const char *name, const struct form_field *fields, size_t n, struct err *e)
{
    struct buf list = BUF_INIT(200);
    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", fields[i].name);
    err_set(e, ERR_INPUT, "unknown field \"%.80s\", expected %.*s", name, STR_ARG(buf_view(&list)));
    point(e, name, -1);
    buf_done(&list);
    return -1;
}

static int check(json_t *form, const struct form_field *fields, size_t n, struct err *e)
{
    const char *name;
    json_t *v;
    if (!json_is_object(form))
        return err_set(e, ERR_INPUT, "expected a JSON object, got %s", kind_of(form));
    json_object_foreach(form, name, v)
    {
        size_t i = 0;
        while (i < n && strcmp(name, fields[i].name) != 0)
            i++;
        if (i == n)
            return unknown(name, fields, n, e);
        if (check_field(&fields[i], v, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (fields[i].optional || json_object_get(form, fields[i].name))
            continue;
        err_set(e, ERR_INPUT, "%s: expected it, it is not there", fields[i].name);
        point(e, fields[i].name, -1);
        return -1;
    }
    return 0;
}

int form_read(const struct request *r, const struct form_field *fields, size_t n, json_t **ret, struct err *e)
{
    json_error_t why;
    if (r->body.n > FORM_MAX)
        return err_set(e, ERR_INPUT, "expected a JSON object of at most %u bytes, got %zu", FORM_MAX, r->body.n);
    json_t *form = json_loadb(r->body.p ? r->body.p : "", r->body.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!form)
        return err_set(e, ERR_INPUT, "expected a JSON object: %.*s (line %d, column %d)",
                       STR_ARG(secret_json_reason(why.text)), why.line, why.column);
    if (check(form, fields, n, e) < 0) {
        json_decref(form);
        return -1;
    }
    *ret = form;
    return 0;
}

str form_text(const json_t *form, const char *name)
{
    const json_t *v = json_object_get(form, name);
    return v ? str_n(json_string_value(v), json_string_length(v)) : (str){NULL, 0};
}
