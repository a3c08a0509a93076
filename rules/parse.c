/* rules/parse.c - rule files: every word checked, every wrong one told at its place. */
#include "rules/parse.h"
#include "base/str.h"

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
enum { ID_MAX = 64 };

static const char *const none[] = {NULL}, *const file_words[] = {"rules", NULL},
                         *const rule_words[] = {"id",      "why",    "owner", "when",    "by",           "wait",
                                                "rank",    "digest", "run",   "enabled", "inhibited_by", "floor",
                                                "ceiling", "any",    "tests", "stat",    "watch",        NULL};

/* ---- for all readers ---- */

bool among(str word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(word, str_of(list[i])))
            return true;
    return false;
}

int check_words(struct parser *p, const node *map, const char *what, const char *const *a, const char *const *b)
{
    const char *all[64];
    size_t n = 0;
    if (yaml_is(p->y, map, what, YAML_MAP, p->e) < 0)
        return -1;
    for (; *a; a++)
        all[n++] = *a;
    for (; *b; b++)
        all[n++] = *b;
    assert(n <= LENGTH(all));
    return yaml_known(p->y, map, what, all, n, p->e);
}

const char *keep(struct parser *p, str s) { return arena_str(&p->set->arena, s).p; }

/* One line of text; that a block ends with a newline does not matter. */
int read_text(struct parser *p, const node *map, const char *name, const char **ret)
{
    const node *at = yaml_get(map, name);
    str text;
    if (!at)
        return 0;
    node trimmed = *at;
    trimmed.text = str_trim(at->text);
    if (yaml_text(p->y, &trimmed, name, &text, p->e) < 0)
        return -1;
    *ret = keep(p, text);
    return 0;
}

int missing(struct parser *p, const node *map, const char *what, const char *name)
{
    return yaml_fail(p->y, map, p->e, "%s: %s is missing", what, name);
}

int read_filter(struct parser *p, const node *at, const char *what, const char **ret_text, struct filter **ret)
{
    struct err why;
    if (yaml_is(p->y, at, what, YAML_SCALAR, p->e) < 0)
        return -1;
    if (str_trim(at->text).n == 0)
        return yaml_fail(p->y, at, p->e, "%s: expected a filter, got nothing; \"*\" is every event", what);
    if (filter_parse(at->text, ret, &why) < 0)
        return yaml_fail_in(p->y, at, why.column ? why.column - 1 : 0, p->e, "%s: %s", what, why.text);
    if (ret_text)
        *ret_text = keep(p, at->text);
    return 0;
}

int read_field(struct parser *p, const node *at, const char *what, struct rule_fields *f)
{
    char got[YAML_GOT_MAX];
    bool good = at->kind == YAML_SCALAR && at->text.n > 0 && at->text.n <= LIMIT_NAME;
    for (size_t i = 0; good && i < at->text.n; i++) {
        unsigned char c = (unsigned char)at->text.p[i];
        good = c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '.' ||
               c == '-' || c == '@';
    }
    if (!good)
        return yaml_fail(p->y, at, p->e, "%s: expected the name of a field, got %s", what, yaml_got(at, got));
    if (among(at->text, f->name, f->n))
        return yaml_fail(p->y, at, p->e, "%s: \"%.*s\" is there twice", what, STR_ARG(str_head(at->text, 60)));
    if (f->n == RULE_FIELDS_MAX)
        return yaml_fail(p->y, at, p->e, "%s: expected at most %d fields", what, RULE_FIELDS_MAX);
    f->name[f->n++] = keep(p, at->text);
    return 0;
}

int read_fields(struct parser *p, const node *map, const char *what, struct rule_fields *f)
{
    const node *at = yaml_get(map, "by");
    if (!at)
        return 0;
    if (yaml_is(p->y, at, what, YAML_LIST, p->e) < 0)
        return -1;
    for (size_t i = 0; i < at->n; i++)
        if (read_field(p, at->items[i], what, f) < 0)
            return -1;
    return 0;
}

int read_rank(struct parser *p, const node *at, const char *what, int *ret)
{
    char got[YAML_GOT_MAX];
    if (at->kind != YAML_SCALAR || at->text.n != 2 || at->text.p[0] != 'P' || at->text.p[1] < '1' ||
        at->text.p[1] > '5')
        return yaml_fail(p->y, at, p->e, "%s: expected P1, P2, P3, P4 or P5, got %s", what, yaml_got(at, got));
    *ret = at->text.p[1] - '0';
    return 0;
}

int read_duration(struct parser *p, const node *map, const char *name, const char *what, usec min, usec max, usec *ret)
{
    const node *at = yaml_get(map, name);
    return at ? yaml_duration(p->y, at, what, min, max, ret, p->e) : 0;
}

int read_number(struct parser *p, const node *map, const char *name, const char *what, double min, double max,
                double *ret)
{
    const node *at = yaml_get(map, name);
    char got[YAML_GOT_MAX];
    double v;
    if (!at)
        return 0;
    if (at->kind != YAML_SCALAR || !str_double(at->text, &v) || v < min || v > max)
        return yaml_fail(p->y, at, p->e, "%s: expected a number from %g to %g, got %s", what, min, max,
                         yaml_got(at, got));
    *ret = v;
    return 0;
}

int read_integer(struct parser *p, const node *map, const char *name, const char *what, uint64_t min, uint64_t max,
                 uint32_t *ret)
{
    const node *at = yaml_get(map, name);
    uint64_t n = *ret;
    int rc = at ? yaml_integer(p->y, at, what, min, max, &n, p->e) : 0;
    *ret = (uint32_t)n;
    return rc;
}

/* ---- rules ---- */

static int read_id(struct parser *p, const node *map, struct rule *r)
{
    const node *at = yaml_get(map, "id");
    char got[YAML_GOT_MAX];
    if (!at)
        return missing(p, map, "rule", "id");
    bool good = at->kind == YAML_SCALAR && at->text.n > 0 && at->text.n <= ID_MAX;
    for (size_t i = 0; good && i < at->text.n; i++)
        good = at->text.p[i] && strchr("abcdefghijklmnopqrstuvwxyz0123456789-", at->text.p[i]);
    if (!good)
        return yaml_fail(p->y, at, p->e, "id: expected 1 to %d of a-z, 0-9 and '-', got %s", ID_MAX, yaml_got(at, got));
    for (size_t i = 0; i < p->set->n; i++)
        if (str_eq(str_of(p->set->rules[i]->id), at->text))
            return yaml_fail(p->y, at, p->e, "id: \"%.*s\" is there twice, first at %s:%zu", STR_ARG(at->text),
                             p->set->rules[i]->file, p->set->rules[i]->line);
    r->id = keep(p, at->text);
    return 0;
}

/* Was it saved from the web, so that the file's does not count? */
static bool gives_way(const struct parser *p, const node *map)
{
    const node *id = yaml_get(map, "id");
    for (size_t i = 0; id && id->kind == YAML_SCALAR && !p->set->version && i < p->set->n; i++)
        if (p->set->rules[i]->version && str_eq(str_of(p->set->rules[i]->id), id->text))
            return true;
    return false;
}

/* Lines `from` to before `to` (0: all that follow), without what stands before the next rule: blank lines, comments. */
static str lines_of(str text, size_t from, size_t to)
{
    str rest = text, at = {0}, line;
    for (size_t n = 1; rest.n && (to == 0 || n < to); n++) {
        line = str_cut(&rest, '\n');
        if (n == from)
            at = str_head(line, 0);
        if (n >= from && str_trim(line).n && str_trim(line).p[0] != '#')
            at.n = (size_t)(line.p + line.n - at.p);
    }
    return at;
}

/* As a file of its own, when it stands on lines of its own. */
static str source_of(struct parser *p, str text, const node *rules, size_t i)
{
    str lines = lines_of(text, rules->items[i]->line, i + 1 < rules->n ? rules->items[i + 1]->line : 0);
    if (p->set->version)
        return arena_str(&p->set->arena, text);
    if (!str_starts(str_trim(lines), S("-")))
        return (str){0};
    return str_of(arena_printf(&p->set->arena, "rules:\n%.*s\n", STR_ARG(lines)));
}

static struct rule *rule_new(struct parser *p, const node *at)
{
    struct rules_set *s = p->set;
    struct rule *r = arena_zero(&s->arena, sizeof *r);
    r->cond = arena_zero(&s->arena, sizeof *r->cond);
    r->file = p->file;
    r->line = at->line;
    r->version = s->version;
    r->digest = HOUR;
    r->enabled = true;
    return r;
}

/* A heartbeat's events are known; all else says what it looks at. */
static int read_when(struct parser *p, const node *map, struct rule *r)
{
    static const node heartbeats = {.kind = YAML_SCALAR, .text = {"type=heartbeat", 14}};
    static const node all = {.kind = YAML_SCALAR, .text = {"*", 1}};
    const node *at = yaml_get(map, "when");
    if (!at && yaml_get(map, "heartbeat"))
        at = &heartbeats;
    if (!at && yaml_get(map, "watch"))
        at = &all;
    if (!at)
        return missing(p, map, r->id, "when");
    return read_filter(p, at, "when", &r->cond->when, &r->cond->filter);
}

/* Other rules' ids, a blank between. */
static int read_inhibited(struct parser *p, const node *map, struct rule *r)
{
    const node *at = yaml_get(map, "inhibited_by");
    struct buf ids = BUF_INIT(64 * (ID_MAX + 1));
    str id;
    int rc = at ? yaml_is(p->y, at, "inhibited_by", YAML_LIST, p->e) : 0;
    for (size_t i = 0; rc == 0 && at && i < at->n && i < 64; i++) {
        if (yaml_text(p->y, at->items[i], "inhibited_by", &id, p->e) < 0)
            rc = -1;
        else
            buf_printf(&ids, "%s%.*s", i ? " " : "", STR_ARG(id));
    }
    if (rc == 0 && ids.n)
        r->inhibited_by = keep(p, buf_view(&ids));
    buf_done(&ids);
    return rc;
}

static int read_texts(struct parser *p, const node *at, struct rule *r)
{
    if (read_text(p, at, "why", &r->why) < 0 || read_text(p, at, "owner", &r->owner) < 0 ||
        read_text(p, at, "run", &r->run) < 0)
        return -1;
    if (!r->why && yaml_get(at, "stat"))
        r->why = "";
    return r->why ? 0 : missing(p, at, r->id, "why");
}

static int read_ranks(struct parser *p, const node *at, struct rule *r)
{
    struct {
        const char *name;
        int *to;
    } ranks[] = {{"rank", &r->rank}, {"floor", &r->floor}, {"ceiling", &r->ceiling}};
    for (size_t i = 0; i < LENGTH(ranks); i++) {
        const node *rank = yaml_get(at, ranks[i].name);
        if (rank && read_rank(p, rank, ranks[i].name, ranks[i].to) < 0)
            return -1;
    }
    return 0;
}

static int read_rule(struct parser *p, const node *at, struct rule *r)
{
    const node *enabled;
    if (check_words(p, at, "rules", rule_words, condition_words) < 0 || read_id(p, at, r) < 0 ||
        read_texts(p, at, r) < 0 || read_ranks(p, at, r) < 0)
        return -1;
    if ((enabled = yaml_get(at, "enabled")) && yaml_bool(p->y, enabled, "enabled", &r->enabled, p->e) < 0)
        return -1;
    if (read_duration(p, at, "wait", "wait", 0, HOUR, &r->wait) < 0 ||
        read_duration(p, at, "digest", "digest", MINUTE, 7 * DAY, &r->digest) < 0)
        return -1;
    return read_when(p, at, r) < 0 || read_fields(p, at, "by", &r->cond->by) < 0 || read_inhibited(p, at, r) < 0 ||
                   read_stat(p, at, r) < 0 || read_watch(p, at, r) < 0 || read_parts(p, at, r) < 0 ||
                   read_tests(p, at, r) < 0
               ? -1
               : 0;
}

/* The set owns the rule from the start, so that freeing the set frees its filter whatever happens. */
static int add_rule(struct parser *p, const node *at)
{
    struct rules_set *s = p->set;
    struct rule *r = rule_new(p, at);
    int rc = read_rule(p, at, r);
    r->cond->listens = rc == 0 && condition_listens(r->cond);
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->rules = xrealloc(s->rules, s->cap * sizeof *s->rules);
    }
    s->rules[s->n++] = r;
    return rc;
}

int rules_parse(struct rules_set *s, const char *file, str text, struct err *e)
{
    struct yaml *y;
    if (yaml_parse(file, text, &y, e) < 0)
        return -1;
    struct parser p = {.set = s, .y = y, .e = e};
    p.file = keep(&p, str_of(file));
    const node *rules = yaml_get(yaml_root(y), "rules");
    int rc = check_words(&p, yaml_root(y), "", file_words, none);
    if (rc == 0 && rules)
        rc = yaml_is(y, rules, "rules", YAML_LIST, e);
    for (size_t i = 0; rc == 0 && rules && i < rules->n; i++)
        if (!gives_way(&p, rules->items[i]) && (rc = add_rule(&p, rules->items[i])) == 0)
            s->rules[s->n - 1]->source = source_of(&p, text, rules, i);
    yaml_tree_free(y);
    return rc;
}
