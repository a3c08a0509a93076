/* rules/parse_part.c - conditions: a rule's own, or those of its `any`. A condition's settings stand in a map of its own
 * (count: {window: 5m, ">=": 10}) or beside it (count: true, window: 5m, ">=": 10). */
#include "base/hash.h"
#include "base/str.h"
#include "rules/parse.h"

#define SECOND USEC_PER_SEC
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

const char *const condition_words[] = {
    "count", "distinct", "new", "change", "value", "sequence", "ratio",  "slo",      "heartbeat", "absent", "window",
    ">=",    ">",        "<=",  "<",      "clear", "for",      "within", "known_ip", "auth",      NULL};

typedef int part_reader(struct parser *p, const node *at, struct rule *r, struct rule_part *c);
struct kind_of_part {
    const char *name;
    enum part_kind kind;
    part_reader *read;
    const char *const *words; /* of its settings, ended by NULL */
};

/* ---- settings that many have ---- */

static int read_of(struct parser *p, const node *at, const char *what, struct rule_part *c)
{
    struct rule_fields field = {.n = 0};
    char name[60];
    const node *of = at->kind == YAML_SCALAR ? at : yaml_get(at, "of");
    snprintf(name, sizeof name, at->kind == YAML_SCALAR ? "%s" : "%s.of", what);
    if (!of)
        return missing(p, at, what, "of");
    if (read_field(p, of, name, &field) < 0)
        return -1;
    c->of = field.name[0];
    return 0;
}

static int need(struct parser *p, const node *at, const char *what, const char *name)
{
    return yaml_get(at, name)
               ? 0
               : missing(p, at, what,
                         *name == '>' || *name == '<' ? arena_printf(&p->set->arena, "\"%s\"", name) : name);
}

static int read_window(struct parser *p, const node *at, const char *what, usec min, usec max, struct rule_part *c)
{
    return need(p, at, what, "window") < 0 ||
                   read_duration(p, at, "window", arena_printf(&p->set->arena, "%s.window", what), min, max,
                                 &c->window) < 0
               ? -1
               : 0;
}

static int read_at_least(struct parser *p, const node *at, const char *what, uint32_t max, struct rule_part *c)
{
    return need(p, at, what, ">=") < 0 ||
                   read_integer(p, at, ">=", arena_printf(&p->set->arena, "%s.\">=\"", what), 1, max, &c->at_least) < 0
               ? -1
               : 0;
}

/* ---- each kind ---- */

static int read_count(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    (void)r;
    if (read_window(p, at, "count", SECOND, 31 * DAY, c) < 0 || read_at_least(p, at, "count", 1000000, c) < 0)
        return -1;
    c->group = (c->at_least - 1 + RULE_MARKS_MAX - 2) / (RULE_MARKS_MAX - 1);
    if (c->group == 0)
        c->group = 1;
    c->marks = (c->at_least - 1 + c->group - 1) / c->group + 1;
    return 0;
}

static int read_distinct(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    (void)r;
    return read_window(p, at, "distinct", SECOND, 31 * DAY, c) < 0 ||
                   read_at_least(p, at, "distinct", RULE_DISTINCT_MAX, c) < 0
               ? -1
               : 0;
}

/* Without `by` of its own it is about what the rule is about, and without that about issues. */
static int read_new(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    const node *regressions = yaml_get(at, "regressions");
    (void)r;
    c->novel.regressions = true;
    c->novel.quiet_after = 14 * DAY;
    if (read_duration(p, at, "quiet_after", "new.quiet_after", HOUR, 365 * DAY, &c->novel.quiet_after) < 0)
        return -1;
    if (regressions && yaml_bool(p->y, regressions, "new.regressions", &c->novel.regressions, p->e) < 0)
        return -1;
    return 0;
}

static int read_change(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    (void)r;
    c->window = 5 * MINUTE;
    c->at_least = 5;
    c->change.p = 1e-6;
    c->change.over_record = 1.5;
    return read_duration(p, at, "window", "change.window", MINUTE, DAY, &c->window) < 0 ||
                   read_integer(p, at, "min", "change.min", 1, 1000000, &c->at_least) < 0 ||
                   read_number(p, at, "p", "change.p", 1e-30, .1, &c->change.p) < 0 ||
                   read_number(p, at, "over_record", "change.over_record", 1, 100, &c->change.over_record) < 0 ||
                   (yaml_get(at, "of") && read_of(p, at, "change", c) < 0)
               ? -1
               : 0;
}

/* "6h" where the value is a time left, else a number. */
static int read_limit(struct parser *p, const node *at, const char *name, bool time, double *ret)
{
    char *what = arena_printf(&p->set->arena, "value.\"%s\"", name);
    usec d = 0;
    if (!time || !yaml_get(at, name))
        return read_number(p, at, name, what, -1e300, 1e300, ret);
    if (read_duration(p, at, name, what, 0, 365 * DAY, &d) < 0)
        return -1;
    *ret = (double)d / SECOND;
    return 0;
}

/* `disk_full_in` is how long until host.disk.free_pct reaches 0. */
static void read_forecast(const node *at, struct rule_part *c)
{
    c->value.forecast = yaml_get(at, "reaches") != NULL;
    if (strcmp(c->of, "disk_full_in") == 0) {
        c->of = "host.disk.free_pct";
        c->value.forecast = true;
    }
}

static int read_value(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    static const char *const operators[] = {"<", ">", "<=", ">="};
    const char *found = NULL;
    (void)r;
    read_forecast(at, c);
    for (size_t i = 0; i < LENGTH(operators); i++) {
        if (!yaml_get(at, operators[i]))
            continue;
        if (found)
            return yaml_fail(p->y, yaml_get(at, operators[i]), p->e,
                             "value: expected one of \"<\", \">\", \"<=\" and \">=\", got two");
        found = operators[i];
        c->value.below = found[0] == '<';
        c->value.with = found[1] == '=';
    }
    if (!found)
        return missing(p, at, "value", "\"<\" or \">\"");
    if (read_limit(p, at, found, c->value.forecast, &c->value.limit) < 0)
        return -1;
    c->value.clear = c->value.limit;
    if (read_limit(p, at, "clear", c->value.forecast, &c->value.clear) < 0)
        return -1;
    if (c->value.below ? c->value.clear < c->value.limit : c->value.clear > c->value.limit)
        return yaml_fail(p->y, yaml_get(at, "clear"), p->e, "value.clear: expected %s the limit, where the alert ends",
                         c->value.below ? "above" : "below");
    return read_duration(p, at, "for", "value.for", 0, 7 * DAY, &c->window) < 0 ||
                   read_number(p, at, "reaches", "value.reaches", -1e300, 1e300, &c->value.reaches) < 0
               ? -1
               : 0;
}

static int read_known(struct parser *p, const node *map, struct rule *r, enum tri *ret)
{
    const node *at = yaml_get(map, "known_ip");
    bool yes;
    if (!at)
        return 0;
    if (yaml_bool(p->y, at, "known_ip", &yes, p->e) < 0)
        return -1;
    *ret = yes ? YES : NO;
    r->cond->asks_known_ip = p->set->asks_known_ip = true;
    return 0;
}

/* {where: FILTER} or {FIELD: VALUE, ...}, each value as it stands. */
static int read_step_filter(struct parser *p, const node *at, struct rule_step *s)
{
    const node *where = yaml_get(at, "where");
    struct buf text = BUF_INIT(10000);
    struct err why;
    if (where)
        return read_filter(p, where, "sequence.where", NULL, &s->where);
    for (size_t i = 0; i < at->n; i++) {
        str name = at->keys[i]->text;
        if (str_eq(name, S(">=")) || str_eq(name, S("known_ip")))
            continue;
        buf_printf(&text, "%s%.*s=", text.n ? " and " : "", STR_ARG(name));
        buf_json(&text, at->items[i]->text);
    }
    int rc = filter_parse(text.n ? buf_view(&text) : S("*"), &s->where, &why);
    if (rc < 0)
        rc = yaml_fail(p->y, at, p->e, "sequence: %s", why.text);
    buf_done(&text);
    return rc;
}

static int read_sequence(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    (void)at;
    return c->window ? 0 : missing(p, at, r->id, "within");
}

static int read_steps(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    if (yaml_is(p->y, at, "sequence", YAML_LIST, p->e) < 0)
        return -1;
    if (at->n < 2 || at->n > RULE_STEPS_MAX)
        return yaml_fail(p->y, at, p->e, "sequence: expected 2 to %d steps, got %zu", RULE_STEPS_MAX, at->n);
    for (size_t i = 0; i < at->n; i++) {
        struct rule_step *s = &c->step[c->steps++];
        *s = (struct rule_step){.known_ip = ANY, .at_least = 1};
        if (yaml_is(p->y, at->items[i], "sequence", YAML_MAP, p->e) < 0 ||
            read_integer(p, at->items[i], ">=", "sequence.\">=\"", 1, RULE_STEP_MARKS, &s->at_least) < 0 ||
            read_known(p, at->items[i], r, &s->known_ip) < 0 || read_step_filter(p, at->items[i], s) < 0)
            return -1;
    }
    return 0;
}

static int read_filter_of(struct parser *p, const node *at, const char *name, const char *what, struct filter **ret)
{
    const node *f = yaml_get(at, name);
    return f ? read_filter(p, f, what, NULL, ret) : 0;
}

static int read_ratio(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    (void)r;
    c->at_least = 10;
    if (need(p, at, "ratio", "bad") < 0 || need(p, at, "ratio", ">") < 0 ||
        read_window(p, at, "ratio", MINUTE, 7 * DAY, c) < 0)
        return -1;
    return read_filter_of(p, at, "bad", "ratio.bad", &c->bad) < 0 ||
                   read_number(p, at, ">", "ratio.\">\"", 0, 1, &c->target) < 0 ||
                   read_integer(p, at, "min", "ratio.min", 1, 1000000, &c->at_least) < 0
               ? -1
               : 0;
}

static int read_slo(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    double percent = 0;
    usec period = 30 * DAY; /* the burn rates are of a period of 30 days */
    (void)r;
    c->at_least = 10;
    if (need(p, at, "slo", "good") < 0 || need(p, at, "slo", "target") < 0)
        return -1;
    if (read_filter_of(p, at, "good", "slo.good", &c->bad) < 0 ||
        read_filter_of(p, at, "total", "slo.total", &c->total) < 0 ||
        read_number(p, at, "target", "slo.target", 1, 99.9999, &percent) < 0 ||
        read_integer(p, at, "min_bad", "slo.min_bad", 1, 1000000, &c->at_least) < 0 ||
        read_duration(p, at, "period", "slo.period", 30 * DAY, 30 * DAY, &period) < 0)
        return -1;
    c->target = percent / 100;
    return 0;
}

/* "0 of 1": none may be missed. */
static int read_tolerate(struct parser *p, const node *at, struct rule_part *c)
{
    const node *t = yaml_get(at, "tolerate");
    unsigned n = 0, of = 1;
    char end, got[YAML_GOT_MAX];
    if (t && (t->kind != YAML_SCALAR || sscanf(t->text.p, "%2u of %2u%c", &n, &of, &end) != 2 || of < 1 || of > 64 ||
              n >= of))
        return yaml_fail(p->y, t, p->e, "heartbeat.tolerate: expected misses of beats like 1 of 5, got %s",
                         yaml_got(t, got));
    c->tolerate = n;
    c->of_n = of;
    return 0;
}

static int read_heartbeat(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    const node *name = yaml_get(at, "name");
    str text;
    struct err why;
    if (name) {
        if (yaml_text(p->y, name, "heartbeat.name", &text, p->e) < 0)
            return -1;
        struct buf filter = BUF_INIT(2000);
        buf_lit(&filter, "heartbeat.name=");
        buf_json(&filter, text);
        int rc = filter_parse(buf_view(&filter), &c->where, &why);
        c->where_text = keep(p, buf_view(&filter));
        buf_done(&filter);
        if (rc < 0)
            return yaml_fail(p->y, name, p->e, "heartbeat.name: %s", why.text);
    }
    if (c->by.n == 0)
        c->by = (struct rule_fields){.name = {"app", "heartbeat.name"}, .n = 2};
    r->cond->by = c->by;
    return read_duration(p, at, "every", "heartbeat.every", SECOND, 366 * DAY, &c->every) < 0 ||
                   read_duration(p, at, "grace", "heartbeat.grace", SECOND, 366 * DAY, &c->grace) < 0
               ? -1
               : read_tolerate(p, at, c);
}

static int read_absent(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    (void)r;
    c->times = 3;
    return need(p, at, "absent", "after") < 0 ||
                   read_duration(p, at, "after", "absent.after", 10 * SECOND, 30 * DAY, &c->every) < 0 ||
                   read_integer(p, at, "times", "absent.times", 0, 100, &c->times) < 0
               ? -1
               : 0;
}

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})
static const struct kind_of_part kinds[] = {
    {"count", PART_COUNT, read_count, SETTINGS("window", ">=")},
    {"distinct", PART_DISTINCT, read_distinct, SETTINGS("of", "window", ">=")},
    {"new", PART_NEW, read_new, SETTINGS("by", "quiet_after", "regressions")},
    {"change", PART_CHANGE, read_change, SETTINGS("of", "window", "p", "over_record", "min")},
    {"value", PART_VALUE, read_value, SETTINGS("of", "<", ">", "<=", ">=", "clear", "for", "reaches")},
    {"sequence", PART_SEQUENCE, read_sequence, SETTINGS("within")},
    {"ratio", PART_RATIO, read_ratio, SETTINGS("bad", "window", ">", "min")},
    {"slo", PART_SLO, read_slo, SETTINGS("good", "total", "target", "period", "min_bad")},
    {"heartbeat", PART_HEARTBEAT, read_heartbeat, SETTINGS("name", "every", "grace", "tolerate")},
    {"absent", PART_ABSENT, read_absent, SETTINGS("after", "times")},
};

/* ---- one condition ---- */

/* The condition's word in the map; NULL: none. Two are refused. */
static int find_kind(struct parser *p, const node *map, const char *what, const struct kind_of_part **ret)
{
    *ret = NULL;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        if (!yaml_get(map, kinds[i].name))
            continue;
        if (*ret)
            return yaml_fail(p->y, yaml_get(map, kinds[i].name), p->e,
                             "%s: %s and %s do not go together, make two rules of it", what, (*ret)->name,
                             kinds[i].name);
        *ret = &kinds[i];
    }
    return 0;
}

/* Settings beside a condition that has them in a map, or has none of that name, would say nothing. */
static int check_settings(struct parser *p, const node *map, const struct kind_of_part *kind)
{
    static const char *const none[] = {NULL}, *const all[] = {"window", ">=", ">", "<=", "<", "clear", "for", "within"};
    const node *value = kind ? yaml_get(map, kind->name) : NULL;
    bool own = value && value->kind == YAML_MAP;
    if (own && check_words(p, value, kind->name, kind->words, none) < 0)
        return -1;
    for (size_t i = 0; i < map->n; i++) {
        str word = map->keys[i]->text;
        size_t known = 0;
        while (kind && kind->words[known])
            known++;
        if (among(word, all, LENGTH(all)) && (own || !kind || !among(word, kind->words, known)))
            return yaml_fail(p->y, map->keys[i], p->e,
                             kind ? "\"%.*s\" is no setting of %s%s"
                                  : "\"%.*s\" belongs to a condition, and there is none%.0s%.0s",
                             STR_ARG(word), kind ? kind->name : "", own ? " here: it has its own map" : "");
    }
    return 0;
}

/* "{window:"5m",…}" of what is in the file. */
static void put_node(struct buf *b, const node *at)
{
    if (at->kind == YAML_SCALAR)
        buf_json(b, at->text);
    for (size_t i = 0; at->kind != YAML_SCALAR && i < at->n; i++) {
        buf_byte(b, at->kind == YAML_MAP ? '{' : '[');
        if (at->kind == YAML_MAP)
            buf_str(b, at->keys[i]->text);
        put_node(b, at->items[i]);
    }
}

/* What decides whether it fires, as text, hashed. */
static void set_version(const node *map, const struct rule *r, struct rule_part *c)
{
    static const char *const more[] = {"where", "of", "reaches", "min", "bad", "p", "over_record"};
    struct buf b = BUF_INIT(64u << 10);
    buf_printf(&b, "%zu %s\n", (size_t)(c - r->cond->parts), r->cond->when);
    if (r->cond->watch)
        buf_printf(&b, "watch %s %d\n", r->cond->watch, r->cond->watch_hours);
    for (size_t i = 0; i < c->by.n; i++)
        buf_printf(&b, "%s ", c->by.name[i]);
    for (size_t i = 0; i < map->n; i++) {
        str word = map->keys[i]->text;
        bool decides = among(word, more, LENGTH(more));
        for (size_t k = 0; condition_words[k] && !decides; k++)
            decides = str_eq(word, str_of(condition_words[k])) && !str_eq(word, S("auth"));
        if (!decides)
            continue;
        buf_str(&b, word);
        put_node(&b, map->items[i]);
    }
    snprintf(c->version, sizeof c->version, "%08x", (unsigned)xxh64(b.p, b.n, 0));
    buf_done(&b);
}

static int read_by(struct parser *p, const node *map, const struct kind_of_part *kind, struct rule *r,
                   struct rule_part *c)
{
    const node *own = kind ? yaml_get(map, kind->name) : NULL;
    if (c->by.n == 0)
        c->by = r->cond->by;
    if (!kind || kind->kind != PART_NEW)
        return 0;
    if (own->kind == YAML_MAP && read_fields(p, own, "new.by", &c->novel.by) < 0)
        return -1;
    if (c->novel.by.n == 0)
        c->novel.by = c->by;
    if (c->novel.by.n == 0)
        c->novel.by = (struct rule_fields){.name = {"app", "fingerprint"}, .n = 2};
    if (c->by.n == 0)
        c->by = c->novel.by;
    if (r->cond->by.n == 0)
        r->cond->by = c->by;
    return 0;
}

static int read_part(struct parser *p, const node *map, const char *what, struct rule *r, struct rule_part *c)
{
    const struct kind_of_part *kind;
    uint32_t auth = 0;
    c->known_ip = ANY;
    if (find_kind(p, map, what, &kind) < 0 || check_settings(p, map, kind) < 0 || read_by(p, map, kind, r, c) < 0 ||
        read_integer(p, map, "auth", "auth", 0, 100, &auth) < 0 || read_known(p, map, r, &c->known_ip) < 0)
        return -1;
    c->auth = (int)auth;
    if (kind) {
        const node *value = yaml_get(map, kind->name), *at = value->kind == YAML_MAP ? value : map;
        c->kind = kind->kind;
        if ((kind->kind == PART_DISTINCT || kind->kind == PART_VALUE) && read_of(p, value, kind->name, c) < 0)
            return -1;
        if (kind->kind == PART_SEQUENCE &&
            (read_steps(p, value, r, c) < 0 ||
             read_duration(p, map, "within", "within", SECOND, 31 * DAY, &c->window) < 0))
            return -1;
        if (kind->read(p, at, r, c) < 0)
            return -1;
    }
    set_version(map, r, c);
    return 0;
}

static int read_item(struct parser *p, const node *at, struct rule *r, struct rule_part *c)
{
    static const char *const words[] = {"where", "by", "rank", "of", "reaches", "min", "bad", "p", "over_record", NULL};
    const node *where, *rank;
    if (check_words(p, at, "any", words, condition_words) < 0)
        return -1;
    if ((where = yaml_get(at, "where")) && read_filter(p, where, "where", &c->where_text, &c->where) < 0)
        return -1;
    if ((rank = yaml_get(at, "rank")) && read_rank(p, rank, "rank", &c->rank) < 0)
        return -1;
    return read_fields(p, at, "any.by", &c->by) < 0 ? -1 : read_part(p, at, "any", r, c);
}

static bool kind_there(struct parser *p, const node *map)
{
    const struct kind_of_part *kind = NULL;
    return find_kind(p, map, "", &kind) < 0 || kind;
}

int read_parts(struct parser *p, const node *map, struct rule *r)
{
    const node *any = yaml_get(map, "any");
    struct rule_condition *c = r->cond;
    const struct kind_of_part *kind;
    if (any && yaml_is(p->y, any, "any", YAML_LIST, p->e) < 0)
        return -1;
    if (any && find_kind(p, map, r->id, &kind) == 0 && kind)
        return yaml_fail(p->y, any, p->e, "%s: any and %s do not go together", r->id, kind->name);
    if (any && (any->n < 1 || any->n > 16))
        return yaml_fail(p->y, any, p->e, "any: expected 1 to 16 conditions, got %zu", any->n);
    if (!any && c->stat && !kind_there(p, map))
        return check_settings(p, map, NULL);
    c->n = any ? any->n : 1;
    c->parts = arena_zero(&p->set->arena, c->n * sizeof *c->parts);
    if (!any)
        return read_part(p, map, r->id, r, &c->parts[0]);
    for (size_t i = 0; i < any->n; i++)
        if (read_item(p, any->items[i], r, &c->parts[i]) < 0)
            return -1;
    return 0;
}
