/* rules/stat.c - a rule that counts: `stat: {name: logins, by: [auth.outcome]}`.
 *
 * What becomes of a number is the caller's; here it is said which events give one, and with which labels. */
#include "base/str.h"
#include "rules/parse.h"

static const char *const none[] = {NULL}, *const stat_words[] = {"name", "type", "value", "by", NULL},
                         *const types[] = {"count", "max", "min", "gauge", "timing"};

static int read_name(struct parser *p, const node *at, const char *what, const char **ret)
{
    char got[YAML_GOT_MAX];
    bool good = at->kind == YAML_SCALAR && at->text.n > 0 && at->text.n <= 64;
    for (size_t i = 0; good && i < at->text.n; i++) {
        char c = at->text.p[i];
        good = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("._-/:", c));
    }
    if (!good)
        return yaml_fail(p->y, at, p->e, "%s: expected 1 to 64 letters, digits, '.', '_', '-', '/' or ':', got %s",
                         what, yaml_got(at, got));
    *ret = keep(p, at->text);
    return 0;
}

static int read_type(struct parser *p, const node *map, struct rule_stat *s)
{
    const node *type = yaml_get(map, "type"), *value = yaml_get(map, "value");
    struct rule_fields field = {0};
    char got[YAML_GOT_MAX];
    s->type = "count";
    if (type && (type->kind != YAML_SCALAR || !among(type->text, types, LENGTH(types))))
        return yaml_fail(p->y, type, p->e, "stat.type: expected count, max, min, gauge or timing, got %s",
                         yaml_got(type, got));
    if (type)
        s->type = keep(p, type->text);
    if (value && read_field(p, value, "stat.value", &field) < 0)
        return -1;
    s->value = field.name[0];
    if (!value && strcmp(s->type, "count") != 0)
        return missing(p, map, "stat", "value");
    return 0;
}

/* A list of fields, whose names are the labels', or a map from labels to fields. */
static int read_labels(struct parser *p, const node *map, struct rule_stat *s)
{
    const node *by = yaml_get(map, "by");
    if (!by)
        return 0;
    if (by->kind != YAML_MAP && yaml_is(p->y, by, "stat.by", YAML_LIST, p->e) < 0)
        return -1;
    for (size_t i = 0; i < by->n; i++) {
        struct rule_fields label = {0};
        if (read_field(p, by->items[i], "stat.by", &s->by) < 0 ||
            (by->kind == YAML_MAP && read_field(p, by->keys[i], "stat.by", &label) < 0))
            return -1;
        s->label[i] = by->kind == YAML_MAP ? label.name[0] : s->by.name[i];
    }
    return 0;
}

int read_stat(struct parser *p, const node *map, struct rule *r)
{
    const node *at = yaml_get(map, "stat");
    if (!at)
        return 0;
    struct rule_stat *s = r->cond->stat = arena_zero(&p->set->arena, sizeof *s);
    s->line = at->line;
    if (check_words(p, at, "stat", stat_words, none) < 0)
        return -1;
    if (!yaml_get(at, "name"))
        return missing(p, at, "stat", "name");
    return read_name(p, yaml_get(at, "name"), "stat.name", &s->name) < 0 || read_type(p, at, s) < 0 ||
                   read_labels(p, at, s) < 0
               ? -1
               : 0;
}

/* `watch: NAME`, or `watch: {name: NAME, by: hour}`. */
int read_watch(struct parser *p, const node *map, struct rule *r)
{
    static const char *const words[] = {"name", "by", NULL};
    const node *at = yaml_get(map, "watch"), *name = at, *by;
    char got[YAML_GOT_MAX];
    if (!at)
        return 0;
    if (at->kind == YAML_MAP) {
        if (check_words(p, at, "watch", words, none) < 0)
            return -1;
        if (!(name = yaml_get(at, "name")))
            return missing(p, at, "watch", "name");
        by = yaml_get(at, "by");
        if (by && (by->kind != YAML_SCALAR || (!str_eq(by->text, S("minute")) && !str_eq(by->text, S("hour")))))
            return yaml_fail(p->y, by, p->e, "watch.by: expected minute or hour, got %s", yaml_got(by, got));
        r->cond->watch_hours = by && str_eq(by->text, S("hour"));
    }
    return read_name(p, name, at->kind == YAML_MAP ? "watch.name" : "watch", &r->cond->watch);
}

/* `outcome` is also that of `auth.outcome`. */
static str label_value(const struct rules_input *in, const char *name, struct arena *a)
{
    str value = rule_field(in, str_of(name), a);
    return value.n || strchr(name, '.') ? value : rule_field(in, str_of(arena_printf(a, "auth.%s", name)), a);
}

/* A field that an event lacks is a label that it lacks; without its number it says nothing. */
int rule_count(const struct rule *r, const struct rules_input *in, void *arg, struct arena *a)
{
    const struct rule_stat *s = r->cond->stat;
    struct rules_stat out = {.rule = r, .name = s->name, .type = s->type, .value = 1, .event = in->event};
    if (!in->on_stat || (s->value && !str_double(rule_field(in, str_of(s->value), a), &out.value)))
        return 0;
    for (size_t i = 0; i < s->by.n; i++) {
        str value = label_value(in, s->by.name[i], a);
        if (value.n == 0)
            continue;
        out.label_names[out.labels] = str_of(s->label[i]);
        out.label_values[out.labels++] = value;
    }
    return in->on_stat(&out, arg);
}
