/* event/filter.c - the parser: a recursive descent over the text itself, one function a rule of the grammar. */
#include "event/filter-private.h"

struct parser {
    struct lexer *l;
    struct filter *f;
    struct err *e;
};

static int parse_or(struct parser *p, struct filter_node **ret);

static struct filter_node *node_new(struct parser *p, enum filter_node_kind kind, size_t at)
{
    struct filter_node *n = arena_zero(&p->f->a, sizeof *n);
    n->kind = kind;
    n->column = lexer_column(p->l, at);
    return n;
}

static int count_node(struct parser *p, size_t at)
{
    if (++p->l->nodes > LIMIT_QUERY_NODES)
        return err_at(p->e, lexer_column(p->l, at), "expected at most %u terms and values in a query",
                      LIMIT_QUERY_NODES);
    return 0;
}

/* Grows an arena array of `size`-byte items by doubling. */
static void *room_for_one(struct arena *a, void *items, size_t n, size_t size)
{
    if (n & (n - 1))
        return items; /* not a power of two: there is room */
    void *more = arena_alloc(a, (n ? 2 * n : 1) * size);
    if (n)
        memcpy(more, items, n * size);
    return more;
}

/* Children of the same kind become ours: (a b) c is a b c. */
static void node_add(struct parser *p, struct filter_node *parent, struct filter_node *child)
{
    size_t n = child->kind == parent->kind ? child->n : 1;
    for (size_t i = 0; i < n; i++) {
        parent->children = room_for_one(&p->f->a, parent->children, parent->n, sizeof(struct filter_node *));
        parent->children[parent->n++] = child->kind == parent->kind ? child->children[i] : child;
    }
}

/* ---- values ---- */

static int parse_value(struct parser *p, bool list, const char *after, struct filter_value *ret)
{
    int c = lex_peek(p->l);
    *ret = (struct filter_value){.column = lexer_column(p->l, p->l->at), .quoted = c == '"'};
    if (count_node(p, p->l->at) < 0)
        return -1;
    if (c == '"')
        return lex_string(p->l, &p->f->a, &ret->text, p->e);
    if (c > 0 && strchr("=<>~!", c))
        return lex_expected(p->l, p->l->at, p->e, "a value after '%s'", after);
    size_t start = p->l->at;
    str word = lex_word(p->l, list);
    if (word.n == 0)
        return lex_expected(p->l, start, p->e, "a value after '%s'", after);
    ret->text = arena_str(&p->f->a, word);
    return 0;
}

struct value_list {
    struct filter_value *v;
    size_t *starts;
    size_t n;
};

static int add_value(struct parser *p, struct value_list *list, bool in_list, const char *after)
{
    struct filter_value v;
    size_t start = (lex_blanks(p->l), p->l->at);
    if (parse_value(p, in_list, after, &v) < 0)
        return -1;
    list->v = room_for_one(&p->f->a, list->v, list->n, sizeof *list->v);
    list->starts = room_for_one(&p->f->a, list->starts, list->n, sizeof *list->starts);
    list->starts[list->n] = start;
    list->v[list->n++] = v;
    return 0;
}

/* "(a, b or c)" */
static int parse_list(struct parser *p, struct value_list *list)
{
    size_t open = p->l->at - 1;
    const char *after = "(";
    for (;;) {
        if (add_value(p, list, true, after) < 0)
            return -1;
        if (lex_take(p->l, ')'))
            return 0;
        if (lex_take(p->l, ','))
            after = ",";
        else if (lex_keyword(p->l, "or"))
            after = "or";
        else
            return lex_expected(p->l, p->l->at, p->e, "',' or 'or' or the ')' of the list at column %zu",
                                lexer_column(p->l, open));
    }
}

/* ---- comparisons ---- */

static const struct {
    char text[3];
    enum filter_op op;
} ops[] = {{"!=", OP_NE}, {"!~", OP_NRE}, {">=", OP_GE}, {"<=", OP_LE}, {":", OP_MATCH},
           {"=", OP_EQ},  {"~", OP_RE},   {">", OP_GT},  {"<", OP_LT}};

static const char *op_text(enum filter_op op)
{
    for (size_t i = 0; i < LENGTH(ops); i++)
        if (ops[i].op == op)
            return ops[i].text;
    assert(false && "an operator");
    return "";
}

static bool blank_at(const struct lexer *l, size_t at)
{
    int c = lex_byte_at(l, at);
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A ':' right behind a name compares, unless what follows says that this is text: a blank ("error: disk full"), another
 * ':' (std::vector), "//" (a URL) or '\' (a path of Windows). At the end of all it is a comparison without a value. */
static bool colon_is_text(const struct lexer *l, size_t at)
{
    int c = lex_byte_at(l, at + 1);
    if (c == ':' || c == '\\' || (c == '/' && lex_byte_at(l, at + 2) == '/'))
        return true;
    size_t next = at + 1;
    while (blank_at(l, next))
        next++;
    return next > at + 1 && lex_byte_at(l, next) >= 0;
}

/* The operator behind a name; the lexer then stands behind it. Blanks may be round all but ':'. */
static bool take_op(struct lexer *l, enum filter_op *ret)
{
    size_t name_end = l->at, at = name_end;
    if (lex_byte_at(l, at) == ':' && colon_is_text(l, at))
        return false;
    while (blank_at(l, at))
        at++;
    int c = lex_byte_at(l, at), next = lex_byte_at(l, at + 1);
    if (at > name_end && (c == ':' || (c == '~' && !blank_at(l, at + 1))))
        return false; /* foo ~bar: two terms */
    if (c == '=' && next == '>')
        return false; /* key => value */
    for (size_t i = 0; i < LENGTH(ops); i++)
        if (c == ops[i].text[0] && (!ops[i].text[1] || next == ops[i].text[1])) {
            *ret = ops[i].op;
            l->at = at + strlen(ops[i].text);
            return true;
        }
    return false;
}

/* 1: a comparison stands here and is *ret; 0: none, nothing is taken; -1: a wrong one. */
static int parse_compare(struct parser *p, struct filter_node **ret)
{
    size_t start = p->l->at;
    str field = lex_field_here(p->l);
    enum filter_op op;
    if (field.p && !take_op(p->l, &op)) {
        if (lex_byte_at(p->l, start) == '`')
            return lex_expected(p->l, p->l->at, p->e, "an operator after the field `%.*s`",
                                STR_ARG(str_head(field, 60)));
        field.p = NULL;
    }
    if (!field.p) {
        p->l->at = start;
        return 0;
    }
    struct filter_node *n = node_new(p, NODE_COMPARE, start);
    struct value_list list = {0};
    n->field = arena_str(&p->f->a, field);
    n->op = op;
    if ((lex_take(p->l, '(') ? parse_list(p, &list) : add_value(p, &list, false, op_text(op))) < 0)
        return -1;
    n->values = list.v;
    n->values_n = list.n;
    *ret = n;
    return filter_compare_ready(p->f, p->l, n, list.starts, p->e) < 0 ? -1 : 1;
}

/* ---- terms ---- */

static str strip_stars(str s)
{
    while (s.n && s.p[0] == '*')
        s = str_skip(s, 1);
    while (s.n && s.p[s.n - 1] == '*')
        s.n--;
    return s;
}

/* A word or string to be found in any text field; `~` before it: a regular expression. A word of stars is everything,
 * and stars at the ends of a word say what is meant anyway. */
static int parse_text(struct parser *p, bool re, struct filter_node **ret)
{
    size_t start = (lex_blanks(p->l), p->l->at);
    struct filter_node *n = node_new(p, re ? NODE_TEXT_RE : NODE_TEXT, start);
    struct filter_value *v = n->values = arena_zero(&p->f->a, sizeof *n->values);
    *v = (struct filter_value){.column = n->column, .quoted = lex_peek(p->l) == '"'};
    n->values_n = 1;
    if (v->quoted) {
        if (lex_string(p->l, &p->f->a, &v->text, p->e) < 0)
            return -1;
    } else {
        str word = lex_word(p->l, false);
        if (word.n == 0)
            return lex_expected(p->l, start, p->e, "a filter");
        v->text = arena_str(&p->f->a, re ? word : strip_stars(word));
    }
    if (!re && v->text.n == 0)
        n->kind = NODE_ALL, n->values_n = 0;
    *ret = n;
    return filter_text_ready(p->f, p->l, n, start, p->e);
}

/* '-' and '!' negate what they touch. Alone, or before an operator ("->", "--", "!="), they are text. */
static bool is_negation(struct lexer *l)
{
    size_t at = l->at;
    int c = lex_byte_at(l, at);
    if (c != '-' && c != '!')
        return false;
    while ((c = lex_byte_at(l, at)) == '-' || c == '!')
        at++;
    return c >= 0 && !blank_at(l, at) && !strchr("=<>)|,", c ? c : 'x');
}

static bool is_regex(struct lexer *l)
{
    int next = lex_byte_at(l, l->at + 1);
    return lex_byte_at(l, l->at) == '~' && next >= 0 && !blank_at(l, l->at + 1) &&
           !strchr("=<>~)|(", next ? next : 'x');
}

static int parse_group(struct parser *p, struct filter_node **ret)
{
    size_t open = p->l->at++;
    if (parse_or(p, ret) < 0)
        return -1;
    if (!lex_take(p->l, ')'))
        return lex_expected(p->l, p->l->at, p->e, "the ')' of the '(' at column %zu", lexer_column(p->l, open));
    return 0;
}

static int parse_unary(struct parser *p, struct filter_node **ret);

static int parse_not(struct parser *p, size_t start, struct filter_node **ret)
{
    struct filter_node *inner, *n;
    if (lex_peek(p->l) < 0)
        return lex_expected(p->l, p->l->at, p->e, "a filter after 'not'");
    if (parse_unary(p, &inner) < 0)
        return -1;
    if (inner->kind == NODE_NOT) {
        *ret = inner->children[0];
        return 0;
    }
    n = node_new(p, NODE_NOT, start);
    node_add(p, n, inner);
    *ret = n;
    return 0;
}

static int parse_inner(struct parser *p, struct filter_node **ret)
{
    int c = lex_peek(p->l), rc;
    size_t start = p->l->at;
    if (lex_keyword(p->l, "not"))
        return parse_not(p, start, ret);
    if (is_negation(p->l)) {
        p->l->at++;
        return parse_not(p, start, ret);
    }
    if (c == '(')
        return parse_group(p, ret);
    if (is_regex(p->l)) {
        p->l->at++;
        return parse_text(p, true, ret);
    }
    if (lex_is_keyword(p->l, "and") || lex_is_keyword(p->l, "or"))
        return lex_expected(p->l, start, p->e, "a filter");
    rc = parse_compare(p, ret);
    return rc < 0 ? -1 : rc > 0 ? 0 : parse_text(p, false, ret);
}

static int parse_unary(struct parser *p, struct filter_node **ret)
{
    lex_blanks(p->l);
    if (count_node(p, p->l->at) < 0)
        return -1;
    if (++p->l->depth > LIMIT_QUERY_DEPTH)
        return err_at(p->e, lexer_column(p->l, p->l->at), "expected at most %u open groups and negations",
                      LIMIT_QUERY_DEPTH);
    int rc = parse_inner(p, ret);
    p->l->depth--;
    return rc;
}

static bool filter_ends(struct lexer *l)
{
    int c = lex_peek(l);
    return c < 0 || c == ')' || c == '|' || lex_is_keyword(l, "or");
}

static int parse_and(struct parser *p, struct filter_node **ret)
{
    struct filter_node *and = node_new(p, NODE_AND, p->l->at), *child;
    do {
        if (parse_unary(p, &child) < 0)
            return -1;
        node_add(p, and, child);
    } while (lex_keyword(p->l, "and") || !filter_ends(p->l));
    *ret = and->n == 1 ? and->children[0] : and;
    return 0;
}

static int parse_or(struct parser *p, struct filter_node **ret)
{
    struct filter_node * or = node_new(p, NODE_OR, p->l->at), *child;
    do {
        if (parse_and(p, &child) < 0)
            return -1;
        node_add(p, or, child);
    } while (lex_keyword(p->l, "or"));
    *ret = or->n == 1 ? or->children[0] : or ;
    return 0;
}

/* ---- the outside ---- */

static int parse_with(struct lexer *l, int (*parse)(struct parser *, struct filter_node **), struct filter **ret,
                      struct err *e)
{
    struct filter *f = xcalloc(1, sizeof *f);
    struct parser p = {l, f, e};
    f->gave_up = xcalloc(1, sizeof *f->gave_up);
    int c = lex_peek(l);
    if (c < 0 || c == '|')
        f->root = node_new(&p, NODE_ALL, l->at);
    else if (parse(&p, &f->root) < 0) {
        filter_free(f);
        return -1;
    }
    filter_find_hint(f);
    *ret = f;
    return 0;
}

int filter_parse_at(struct lexer *l, struct filter **ret, struct err *e) { return parse_with(l, parse_or, ret, e); }

int filter_parse_term(struct lexer *l, struct filter **ret, struct err *e)
{
    int c = lex_peek(l);
    if (c < 0 || c == '|')
        return lex_expected(l, l->at, e, "a filter");
    return parse_with(l, parse_unary, ret, e);
}

int filter_parse(str text, struct filter **ret, struct err *e)
{
    struct lexer l;
    struct filter *f;
    if (lexer_init(&l, text, e) < 0 || filter_parse_at(&l, &f, e) < 0)
        return -1;
    if (lex_peek(&l) >= 0) {
        filter_free(f);
        return lex_expected(&l, l.at, e, "the end of the filter");
    }
    *ret = f;
    return 0;
}

void filter_free(struct filter *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->regexes_n; i++)
        regex_free(f->regexes[i]);
    free(f->regexes);
    free(f->gave_up);
    arena_done(&f->a);
    free(f);
}

const struct filter_node *filter_root(const struct filter *f) { return f->root; }

uint64_t filter_gave_up(const struct filter *f) { return atomic_load_explicit(f->gave_up, memory_order_relaxed); }

/* ---- printing ---- */

static void print_value(const struct filter_value *v, struct buf *out)
{
    if (v->quoted)
        lex_print_string(v->text, out);
    else
        buf_str(out, v->text);
}

/* A word that stood in a list may need one: alone behind a ':' it would be text. */
static bool needs_list(const struct filter_node *n)
{
    const struct filter_value *v = n->values;
    return n->values_n > 1 || (n->op == OP_MATCH && !v->quoted &&
                               (str_starts(v->text, S("//")) || v->text.p[0] == ':' || v->text.p[0] == '\\'));
}

static void print_compare(const struct filter_node *n, struct buf *out)
{
    bool list = needs_list(n);
    lex_print_field(n->field, out);
    buf_str(out, str_of(op_text(n->op)));
    if (list)
        buf_byte(out, '(');
    for (size_t i = 0; i < n->values_n; i++) {
        if (i)
            buf_byte(out, ',');
        print_value(&n->values[i], out);
    }
    if (list)
        buf_byte(out, ')');
}

static void print_node(const struct filter_node *n, enum filter_node_kind parent, struct buf *out)
{
    bool group = (n->kind == NODE_OR && parent != NODE_ALL) || (n->kind == NODE_AND && parent == NODE_NOT);
    if (group)
        buf_byte(out, '(');
    switch (n->kind) {
    case NODE_ALL: buf_byte(out, '*'); break;
    case NODE_TEXT: lex_print_string(n->values->text, out); break;
    case NODE_TEXT_RE:
        buf_byte(out, '~');
        lex_print_string(n->values->text, out);
        break;
    case NODE_COMPARE: print_compare(n, out); break;
    case NODE_NOT:
        buf_byte(out, '-');
        print_node(n->children[0], NODE_NOT, out);
        break;
    case NODE_AND:
    case NODE_OR:
        for (size_t i = 0; i < n->n; i++) {
            if (i)
                buf_str(out, n->kind == NODE_OR ? S(" or ") : S(" "));
            print_node(n->children[i], n->kind, out);
        }
        break;
    }
    if (group)
        buf_byte(out, ')');
}

/* NODE_ALL stands for no parent: nothing has it for one. */
void filter_print(const struct filter *f, struct buf *out) { print_node(f->root, NODE_ALL, out); }
