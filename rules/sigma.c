/* rules/sigma.c - Sigma rules (sigma-specification 2.0, and the `timeframe` and `| count()` of 1.0) in our words.
 *
 *   detection: {selection: {FIELD|MODIFIER: VALUE}, condition: selection and not filter}  ──▶  when: FILTER
 *   timeframe, | count(FIELD) by KEY > N                                                  ──▶  count or distinct
 *   level                                                                                 ──▶  rank
 *
 * Sigma compares whatever the case, and `*` and `?` stand for anything; a value with neither becomes a string after ':',
 * one with them a word with '*' or, where a word cannot hold it, a regular expression. What is written is read again by
 * the parser of rules before it is given out. */
#include "rules/sigma.h"
#include "base/str.h"
#include "base/yaml.h"
#include "event/lex.h"
#include "rules/rules.h"

enum { DEPTH_MAX = 32 };

struct sigma {
    const struct yaml *y;
    const struct yaml_node *detection, *condition;
    struct err *e;
    str rest; /* of the condition */
    int depth;
    struct buf when;
};
typedef const struct yaml_node node;

/* ---- values ---- */
struct wanted {          /* what the modifiers of one field say */
    bool head, tail;     /* anything may stand before, after the value */
    bool all, cased, re; /* every value; case counts; the value is an expression */
    bool cidr, exists;
    const char *compare; /* ">"; NULL: none */
    const char *flags;   /* of an expression: "i" */
};

/* Names of the web's log fields; others keep theirs. */
static str field_name(str theirs)
{
    static const struct {
        str theirs, ours;
    } names[] = {{S("c-uri"), S("http.path")},
                 {S("cs-uri"), S("http.path")},
                 {S("c-uri-stem"), S("http.path")},
                 {S("cs-uri-stem"), S("http.path")},
                 {S("c-uri-query"), S("http.path")},
                 {S("cs-uri-query"), S("http.path")},
                 {S("cs-method"), S("http.method")},
                 {S("sc-status"), S("http.status")},
                 {S("sc-bytes"), S("http.bytes")},
                 {S("c-useragent"), S("http.user_agent")},
                 {S("cs-user-agent"), S("http.user_agent")},
                 {S("cs-referer"), S("http.referrer")},
                 {S("cs-referrer"), S("http.referrer")},
                 {S("cs-host"), S("http.host")},
                 {S("c-ip"), S("ip")}};
    for (size_t i = 0; i < LENGTH(names); i++)
        if (str_eq(theirs, names[i].theirs))
            return names[i].ours;
    return theirs;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("_./-", c));
}

/* Cuts one character off: what it is, or 0 with '*' or '?' in *wild. A backslash takes the meaning of these and of itself. */
static char next_char(str *s, char *wild)
{
    char c = s->p[0];
    *wild = 0;
    if (c == '\\' && s->n > 1 && strchr("*?\\", s->p[1])) {
        c = s->p[1];
        *s = str_skip(*s, 2);
        return c;
    }
    *s = str_skip(*s, 1);
    if (c != '*' && c != '?')
        return c;
    *wild = c;
    return 0;
}

struct shape {
    bool wild, bare; /* has '*' or '?'; fits a word: no '?', only letters that need no quotes */
};
static struct shape shape_of(str value)
{
    struct shape s = {false, value.n > 0};
    while (value.n) {
        char wild, c = next_char(&value, &wild);
        s.wild |= wild != 0;
        s.bare &= wild ? wild == '*' : is_word(c);
    }
    return s;
}

static void put_plain(struct buf *out, str value)
{
    while (value.n) {
        char wild, c = next_char(&value, &wild);
        buf_byte(out, wild ? wild : c);
    }
}

static void put_expression(struct buf *out, str value, const struct wanted *w, bool whole)
{
    buf_str(out, w->cased ? S("(?s)") : S("(?is)"));
    if (whole && !w->head)
        buf_byte(out, '^');
    while (value.n) {
        char wild, c = next_char(&value, &wild);
        if (!wild && c && strchr("\\^$.|?*+()[]{}", c))
            buf_byte(out, '\\');
        if (wild)
            buf_str(out, wild == '*' ? S(".*") : S("."));
        else
            buf_byte(out, c);
    }
    if (whole && !w->tail)
        buf_byte(out, '$');
}

static void put_string(struct sigma *s, const struct buf *b) { lex_print_string(buf_view(b), &s->when); }

/* A word of our language, when a field stands before it. */
static bool put_word(struct sigma *s, str value, const struct wanted *w)
{
    struct shape shape = shape_of(value);
    if (!shape.bare || w->cased || !(w->head || w->tail || shape.wild))
        return false;
    buf_str(&s->when, w->head ? S(":*") : S(":"));
    put_plain(&s->when, value);
    if (w->tail)
        buf_byte(&s->when, '*');
    return true;
}

static int put_re(struct sigma *s, node *at, const struct wanted *w)
{
    struct buf b = BUF_INIT(4096);
    if (w->flags)
        buf_printf(&b, "(?%s)", w->flags);
    buf_str(&b, at->text);
    buf_byte(&s->when, '~');
    put_string(s, &b);
    buf_done(&b);
    return 0;
}

/* What stands behind the field. */
static int put_value(struct sigma *s, node *at, const struct wanted *w)
{
    struct buf b = BUF_INIT(4096);
    double number;
    if (w->re)
        return put_re(s, at, w);
    if (w->compare && !str_double(at->text, &number))
        return yaml_fail(s->y, at, s->e, "expected a number after %s, got \"%.*s\"", w->compare,
                         STR_ARG(str_head(at->text, 60)));
    if (w->compare || w->cidr)
        buf_printf(&s->when, "%s%.*s", w->cidr ? ":" : w->compare, STR_ARG(at->text));
    else if (!put_word(s, at->text, w)) {
        bool plain = !w->head && !w->tail && !shape_of(at->text).wild;
        if (plain)
            put_plain(&b, at->text);
        else
            put_expression(&b, at->text, w, true);
        buf_byte(&s->when, plain ? w->cased ? '=' : ':' : '~');
        put_string(s, &b);
    }
    buf_done(&b);
    return 0;
}

static bool is_null(node *at) { return !at->quoted && (str_eq(at->text, S("null")) || at->text.n == 0); }

/* One comparison: `FIELD:VALUE`, or a text without a field. */
static int put_one(struct sigma *s, str field, node *at, const struct wanted *w)
{
    struct buf b = BUF_INIT(4096);
    bool wild;
    if (at->kind != YAML_SCALAR)
        return yaml_fail(s->y, at, s->e, "expected a value, got %s", at->kind == YAML_MAP ? "a map" : "a list");
    if (field.n) {
        bool no = w->exists ? str_eq_nocase(at->text, S("false")) : is_null(at);
        if (no)
            buf_lit(&s->when, "not ");
        lex_print_field(field_name(field), &s->when);
        if (!w->exists && !no)
            return put_value(s, at, w);
        buf_lit(&s->when, ":*");
        return 0;
    }
    if (w->re) /* has no field before it */
        return put_re(s, at, w);
    wild = shape_of(at->text).wild;
    if (wild)
        put_expression(&b, at->text, w, false);
    else
        put_plain(&b, at->text);
    if (wild)
        buf_byte(&s->when, '~');
    put_string(s, &b);
    buf_done(&b);
    return 0;
}

/* ---- selections ---- */
static int read_modifier(struct sigma *s, node *key, str word, struct wanted *w)
{
    static const struct {
        str name, sign;
    } compares[] = {{S("gt"), S(">")}, {S("gte"), S(">=")}, {S("lt"), S("<")}, {S("lte"), S("<=")}};
    for (size_t i = 0; i < LENGTH(compares); i++)
        if (str_eq(word, compares[i].name)) {
            w->compare = compares[i].sign.p;
            return 0;
        }
    bool contains = str_eq(word, S("contains"));
    if (contains || str_eq(word, S("endswith")))
        w->head = true;
    if (contains || str_eq(word, S("startswith")))
        w->tail = true;
    if (w->re && (str_eq(word, S("i")) || str_eq(word, S("m")) || str_eq(word, S("s"))))
        w->flags = word.p[0] == 'i' ? "i" : word.p[0] == 'm' ? "m" : "s";
    else if (str_eq(word, S("re")))
        w->re = true;
    else if (str_eq(word, S("cidr")))
        w->cidr = true;
    else if (str_eq(word, S("all")))
        w->all = true;
    else if (str_eq(word, S("cased")))
        w->cased = true;
    else if (str_eq(word, S("exists")))
        w->exists = true;
    else if (!w->head && !w->tail)
        return yaml_fail(s->y, key, s->e, "the modifier \"%.*s\" has no counterpart", STR_ARG(str_head(word, 60)));
    else if (!contains && !str_eq(word, S("endswith")) && !str_eq(word, S("startswith")))
        return yaml_fail(s->y, key, s->e, "the modifier \"%.*s\" has no counterpart", STR_ARG(str_head(word, 60)));
    return 0;
}

/* "FIELD|MODIFIER|…: VALUE", or a list of values: any of them, with `all` every one. */
static int put_field(struct sigma *s, node *key, node *value)
{
    struct wanted w = {0};
    str rest = key->text, field = str_cut(&rest, '|');
    while (rest.p)
        if (read_modifier(s, key, str_cut(&rest, '|'), &w) < 0)
            return -1;
    if (value->kind != YAML_LIST)
        return put_one(s, field, value, &w);
    if (value->n == 0)
        return yaml_fail(s->y, value, s->e, "expected values, got an empty list");
    buf_byte(&s->when, '(');
    for (size_t i = 0; i < value->n; i++) {
        if (i)
            buf_str(&s->when, w.all ? S(" and ") : S(" or "));
        if (put_one(s, field, value->items[i], &w) < 0)
            return -1;
    }
    buf_byte(&s->when, ')');
    return 0;
}

/* A map: all of its fields. A list: any of its maps or texts. */
static int put_selection(struct sigma *s, node *at)
{
    struct wanted none = {0};
    if (at->kind == YAML_SCALAR)
        return put_one(s, (str){0}, at, &none);
    if (at->n == 0)
        return yaml_fail(s->y, at, s->e, "expected a selection, got nothing");
    buf_byte(&s->when, '(');
    for (size_t i = 0; i < at->n; i++) {
        if (i)
            buf_str(&s->when, at->kind == YAML_MAP ? S(" and ") : S(" or "));
        if ((at->kind == YAML_MAP ? put_field(s, at->keys[i], at->items[i]) : put_selection(s, at->items[i])) < 0)
            return -1;
    }
    buf_byte(&s->when, ')');
    return 0;
}

/* ---- the condition ---- */
/* A bracket or a bar, or what stands before the next of these or a blank. */
static str peek_token(const struct sigma *s)
{
    str t = str_trim(s->rest);
    size_t n = 0;
    while (n < t.n && !strchr(" \t()|", t.p[n]))
        n++;
    return str_head(t, n ? n : 1);
}
static str take_token(struct sigma *s)
{
    str t = peek_token(s);
    if (t.n)
        s->rest = str_skip(s->rest, (size_t)(t.p - s->rest.p) + t.n);
    return t;
}
static bool take_word(struct sigma *s, str word)
{
    bool is = str_eq_nocase(peek_token(s), word);
    if (is)
        (void)take_token(s);
    return is;
}
static int odd(struct sigma *s, str got, const char *expected)
{
    if (got.n == 0)
        return yaml_fail(s->y, s->condition, s->e, "condition: expected %s, got its end", expected);
    return yaml_fail(s->y, s->condition, s->e, "condition: expected %s, got \"%.*s\"", expected,
                     STR_ARG(str_head(got, 60)));
}

static bool selected(str name, str pattern)
{
    if (str_eq(name, S("condition")) || str_eq(name, S("timeframe")))
        return false;
    if (str_eq_nocase(pattern, S("them")))
        return name.p[0] != '_';
    return str_ends(pattern, S("*")) ? str_starts(name, str_head(pattern, pattern.n - 1)) : str_eq(name, pattern);
}

/* "1 of selection_*", "all of them" */
static int put_some(struct sigma *s, bool all)
{
    const struct yaml_node *d = s->detection;
    size_t found = 0;
    if (!take_word(s, S("of")))
        return odd(s, peek_token(s), "\"of\"");
    str pattern = take_token(s);
    ptrdiff_t star = str_chr(pattern, '*');
    if (star >= 0 && (size_t)star + 1 < pattern.n)
        return odd(s, pattern, "a name with one * at its end");
    buf_byte(&s->when, '(');
    for (size_t i = 0; i < d->n; i++) {
        if (!selected(d->keys[i]->text, pattern))
            continue;
        if (found++)
            buf_str(&s->when, all ? S(" and ") : S(" or "));
        if (put_selection(s, d->items[i]) < 0)
            return -1;
    }
    buf_byte(&s->when, ')');
    return found ? 0 : odd(s, pattern, "names of selections");
}

static int put_or(struct sigma *s);

static int put_term(struct sigma *s)
{
    str t = take_token(s);
    uint64_t count;
    if (++s->depth > DEPTH_MAX)
        return odd(s, t, "fewer brackets");
    if (str_eq_nocase(t, S("not"))) {
        buf_lit(&s->when, "not ");
        return put_term(s);
    }
    if (str_eq(t, S("("))) {
        buf_byte(&s->when, '(');
        if (put_or(s) < 0)
            return -1;
        buf_byte(&s->when, ')');
        t = take_token(s);
        s->depth--;
        return str_eq(t, S(")")) ? 0 : odd(s, t, "\")\"");
    }
    s->depth--;
    bool all = str_eq_nocase(t, S("all")), of = str_eq_nocase(peek_token(s), S("of"));
    if (of && (all || str_eq_nocase(t, S("any")) || str_eq(t, S("1"))))
        return put_some(s, all);
    if (of && str_u64(t, &count))
        return odd(s, t, "1 or all before \"of\"");
    char name[256];
    snprintf(name, sizeof name, "%.*s", STR_ARG(str_head(t, sizeof name - 1)));
    const struct yaml_node *at = yaml_get(s->detection, name);
    return at && t.n ? put_selection(s, at) : odd(s, t, "the name of a selection");
}

static int put_and(struct sigma *s)
{
    int rc = put_term(s);
    while (rc == 0 && take_word(s, S("and"))) {
        buf_lit(&s->when, " and ");
        rc = put_term(s);
    }
    return rc;
}

static int put_or(struct sigma *s)
{
    int rc = put_and(s);
    while (rc == 0 && take_word(s, S("or"))) {
        buf_lit(&s->when, " or ");
        rc = put_and(s);
    }
    return rc;
}

/* ---- "| count(FIELD) by KEY > N" and timeframe ---- */
static int put_count(struct sigma *s, struct buf *out)
{
    const struct yaml_node *frame = yaml_get(s->detection, "timeframe");
    str by = {0}, field = {0}, sign, number;
    uint64_t n;
    usec window;
    if (!take_word(s, S("|")))
        return peek_token(s).n ? odd(s, peek_token(s), "and, or, or its end") : 0;
    if (!take_word(s, S("count")))
        return odd(s, peek_token(s), "count, which alone has a counterpart");
    if (!take_word(s, S("(")))
        return odd(s, peek_token(s), "\"(\"");
    if (!str_eq(peek_token(s), S(")")))
        field = take_token(s);
    if (!take_word(s, S(")")))
        return odd(s, peek_token(s), "\")\"");
    if (take_word(s, S("by")))
        by = take_token(s);
    sign = take_token(s);
    number = take_token(s);
    if (!str_eq(sign, S(">")) && !str_eq(sign, S(">=")))
        return odd(s, sign, "> or >= after count");
    if (!str_u64(number, &n) || n > (field.n ? 99 : 999999) || peek_token(s).n)
        return odd(s, number, field.n ? "a number to 99 and no more" : "a number to 999999 and no more");
    if (!frame || frame->kind != YAML_SCALAR || !str_duration(frame->text, &window))
        return yaml_fail(s->y, frame ? frame : s->condition, s->e, "expected a timeframe for count, such as 5m");
    if (by.n) {
        buf_lit(out, "  by: [");
        buf_json(out, field_name(by));
        buf_lit(out, "]\n");
    }
    buf_str(out, field.n ? S("  distinct: {of: ") : S("  count: {"));
    if (field.n)
        buf_json(out, field_name(field));
    buf_printf(out, "%swindow: %.*s, \">=\": %llu}\n", field.n ? ", " : "", STR_ARG(frame->text),
               (unsigned long long)(n + (sign.n == 1)));
    return 0;
}

/* ---- the rule ---- */
/* On one line, without what is no text. */
static void put_line(struct buf *out, str text, size_t most)
{
    text = str_trim(text);
    for (size_t i = 0; i < text.n && i < most; i++)
        buf_byte(out, (unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f ? ' ' : text.p[i]);
}

static str text_of(const struct yaml_node *map, const char *name)
{
    const struct yaml_node *at = map ? yaml_get(map, name) : NULL;
    return at && at->kind == YAML_SCALAR ? at->text : (str){0};
}

/* Of the title, and the first of Sigma's own id, which tells apart two of one title. */
static void put_id(struct buf *out, str title, str id)
{
    size_t start = out->n;
    for (size_t i = 0; i < title.n && out->n - start < 55; i++) {
        char c = title.p[i];
        bool good = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (good)
            buf_byte(out, c >= 'A' && c <= 'Z' ? (char)(c | 32) : c);
        else if (out->n > start && out->p[out->n - 1] != '-')
            buf_byte(out, '-');
    }
    if (out->n > start && out->p[out->n - 1] != '-')
        buf_byte(out, '-');
    for (size_t i = 0; i < id.n && i < 8; i++)
        if ((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f'))
            buf_byte(out, id.p[i]);
    if (out->n > start && out->p[out->n - 1] == '-')
        out->n--;
}

static int put_rank(struct sigma *s, const struct yaml_node *root, struct buf *out)
{
    static const char *const levels[] = {"critical", "high", "medium", "low", "informational"};
    const struct yaml_node *at = yaml_get(root, "level");
    for (int i = 0; at && i < (int)LENGTH(levels); i++)
        if (at->kind == YAML_SCALAR && str_eq(at->text, str_of(levels[i]))) {
            buf_printf(out, "  rank: P%d\n", i + 1);
            return 0;
        }
    if (!at)
        return 0;
    char got[YAML_GOT_MAX];
    return yaml_fail(s->y, at, s->e, "level: expected critical, high, medium, low or informational, got %s",
                     yaml_got(at, got));
}

/* Everything above `when`; false: `out` has a rule of that name. */
static bool put_head(struct buf *out, const struct yaml_node *root)
{
    struct buf id = BUF_INIT(256);
    static const char *const parts[] = {"product", "category", "service"};
    const struct yaml_node *source = yaml_get(root, "logsource");
    buf_lit(out, "# Sigma ");
    put_line(out, text_of(root, "id"), 60);
    buf_lit(out, " by ");
    put_line(out, text_of(root, "author"), 200);
    buf_lit(out, "; meant for the log of:");
    for (size_t i = 0; i < LENGTH(parts); i++)
        if (text_of(source, parts[i]).n) {
            buf_byte(out, ' ');
            put_line(out, text_of(source, parts[i]), 60);
        }
    buf_lit(&id, "\n- id: ");
    put_id(&id, text_of(root, "title"), text_of(root, "id"));
    buf_byte(&id, '\n');
    bool fresh = str_find(buf_view(out), buf_view(&id)) < 0;
    buf_str(out, buf_view(&id));
    buf_done(&id);
    buf_lit(out, "  why: ");
    struct buf why = BUF_INIT(4096);
    put_line(&why, text_of(root, "title"), 300);
    buf_json(out, buf_view(&why));
    buf_done(&why);
    buf_byte(out, '\n');
    return fresh;
}

static int taken(struct sigma *s, const struct yaml_node *root, str head)
{
    str id = str_skip(head, (size_t)str_find(head, S("\n- id: ")) + 7);
    id = str_cut(&id, '\n');
    return yaml_fail(s->y, root, s->e, "title, id: a rule \"%.*s\" is there already", STR_ARG(id));
}

static int put_rule(struct sigma *s, const struct yaml_node *root, struct buf *out)
{
    const struct yaml_node *d = s->detection = yaml_get(root, "detection");
    if (text_of(root, "title").n == 0)
        return yaml_fail(s->y, root, s->e, "title is missing");
    if (!d || d->kind != YAML_MAP)
        return yaml_fail(s->y, d ? d : root, s->e,
                         yaml_get(root, "correlation") ? "a correlation of rules has no counterpart"
                                                       : "detection: expected a map of selections and a condition");
    s->condition = yaml_get(d, "condition");
    if (!s->condition || s->condition->kind != YAML_SCALAR)
        return yaml_fail(s->y, s->condition ? s->condition : d, s->e, "condition: expected one text");
    s->rest = s->condition->text;
    size_t start = out->n;
    if (!put_head(out, root))
        return taken(s, root, str_skip(buf_view(out), start));
    if (put_or(s) < 0)
        return -1;
    buf_lit(out, "  when: ");
    buf_json(out, buf_view(&s->when));
    buf_byte(out, '\n');
    size_t before = out->n;
    if (put_count(s, out) < 0)
        return -1;
    if (out->n == before) /* neither says whose: one incident a host */
        buf_lit(out, "  by: [app, host]\n");
    return s->when.full || out->full ? yaml_fail(s->y, d, s->e, "detection: more than a filter holds")
                                     : put_rank(s, root, out);
}

/* It is given out only when our own parser takes it. */
static int proven(struct sigma *s, str item)
{
    struct buf file = BUF_INIT(256u << 10);
    struct rules_set *set = rules_set_new();
    struct err why;
    buf_lit(&file, "rules:\n");
    buf_str(&file, item);
    int rc = rules_parse(set, "rule", buf_view(&file), &why);
    if (rc < 0)
        rc = yaml_fail(s->y, s->detection, s->e, "cannot be said in our words: %s", strchr(why.text, ' ') + 1);
    rules_set_free(set);
    buf_done(&file);
    return rc;
}

int sigma_import(const char *file, str text, struct buf *out, struct err *e)
{
    struct yaml *y;
    if (yaml_parse(file, text, &y, e) < 0)
        return -1;
    struct sigma s = {.y = y, .e = e, .when = BUF_INIT(64u << 10)};
    size_t start = out->n;
    int rc = yaml_is(y, yaml_root(y), "a Sigma rule", YAML_MAP, e);
    if (rc == 0)
        rc = put_rule(&s, yaml_root(y), out);
    if (rc == 0)
        rc = proven(&s, str_skip(buf_view(out), start));
    if (rc < 0)
        out->n = start;
    buf_done(&s.when);
    yaml_tree_free(y);
    return rc;
}
