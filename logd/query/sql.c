/* query/sql.c - a filter as an SQL condition. */
#include "query/sql.h"
#include "base/str.h"

#include <ctype.h>
#include <math.h>

struct emit {
    struct buf *out;
    enum sql_dialect dialect;
};

static void put(struct emit *e, const char *text) { buf_str(e->out, str_of(text)); }

/* ---- literals ---- */

/* SQLite ends its SQL at a NUL, so a text with one is written in hex. */
static void put_quoted(struct emit *e, str s)
{
    bool slashes = e->dialect == SQL_CLICKHOUSE;
    if (!slashes && s.n && memchr(s.p, '\0', s.n)) {
        put(e, "CAST(x'");
        buf_hex(e->out, s.p, s.n);
        put(e, "' AS TEXT)");
        return;
    }
    buf_byte(e->out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'' || (slashes && s.p[i] == '\\'))
            buf_byte(e->out, slashes ? '\\' : '\'');
        if (s.p[i])
            buf_byte(e->out, s.p[i]);
        else
            put(e, "\\0");
    }
    buf_byte(e->out, '\'');
}

/* The shortest text that is this double again, and a floating one. 1e300d is infinite. */
static void put_double(struct emit *e, double v)
{
    char text[40];
    if (isinf(v)) {
        put(e, v < 0 ? "-" : "");
        put(e, e->dialect == SQL_SQLITE ? "9e999" : "inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    put(e, text);
    if (!strpbrk(text, ".e"))
        put(e, ".0");
}

/* ---- what is asked ---- */

enum list { LIST_S = 's', LIST_N = 'n', LIST_A = 'a' };
struct subject { /* one list of the row, at one name; or a column of its own */
    enum list list;
    str name;
    bool any;        /* at any name */
    const char *own; /* the column; NULL: none */
};

static void put_part(struct emit *e, const struct subject *s, char part)
{
    if (s->own) {
        put(e, s->own);
    } else if (s->any || e->dialect == SQL_SQLITE) {
        buf_byte(e->out, part);
    } else {
        buf_printf(e->out, "%c%c[indexOf(%ck, ", s->list, part, s->list);
        put_quoted(e, s->name);
        put(e, ")]");
    }
}

static void put_open(struct emit *e, const struct subject *s)
{
    if (s->own) {
        put(e, "(");
    } else if (e->dialect == SQL_SQLITE) {
        buf_printf(e->out, "EXISTS (SELECT 1 FROM %c WHERE event = events.rowid AND ", s->list);
        if (!s->any) {
            put(e, "k = ");
            put_quoted(e, s->name);
            put(e, " AND ");
        }
    } else if (s->any) {
        put(e, "arrayExists((v, t) -> ");
    } else {
        buf_printf(e->out, "(has(%ck, ", s->list);
        put_quoted(e, s->name);
        put(e, ") AND ");
    }
}

static void put_close(struct emit *e, const struct subject *s)
{
    put(e, s->any && e->dialect == SQL_CLICKHOUSE ? ", sv, st)" : ")");
}

/* ---- texts ---- */

static void put_lower(struct emit *e, const struct subject *s)
{
    put(e, "lower(");
    put_part(e, s, 'v');
    put(e, ")");
}

/* How much of a class stands before its first member: "[", "[^", "[]", "[^]". */
static size_t class_head(str re)
{
    size_t n = 1;
    n += n < re.n && re.p[n] == '^';
    return n + (n < re.n && re.p[n] == ']');
}

/* What stands at the front of `re` and is to be taken as one; *ret_out is how RE2 writes it: it has no `(?<name>`, no
 * escaped characters beyond ASCII, and no \v in \s. */
static size_t re2_part(str re, bool in_class, str *ret_out)
{
    ptrdiff_t end;
    size_t n = 1;
    if (str_starts(re, S("\\Q")))
        n = (end = str_find(re, S("\\E"))) < 0 ? re.n : (size_t)end + 2;
    else if (re.p[0] == '\\' && re.n > 1)
        n = 2;
    else if (in_class && str_starts(re, S("[:")) && (end = str_find(re, S(":]"))) > 0)
        n = (size_t)end + 2;
    else if (!in_class && re.p[0] == '[')
        n = class_head(re);
    else if (!in_class && str_starts(re, S("(?<")))
        n = 3;
    *ret_out = str_head(re, n);
    if (str_eq(*ret_out, S("\\s")))
        *ret_out = in_class ? S("\\s\\x0b") : S("[\\s\\x0b]");
    else if (str_eq(*ret_out, S("\\S")) && !in_class)
        *ret_out = S("[^\\s\\x0b]");
    else if (str_eq(*ret_out, S("(?<")))
        *ret_out = S("(?P<");
    else if (n == 2 && re.p[0] == '\\' && re.p[1] & 0x80)
        *ret_out = str_skip(*ret_out, 1);
    return n;
}

/* ClickHouse lets '.' take a newline unless it is told. It also searches for a text that it thinks must be there, and
 * is wrong about (?i) and \x41; an alternative, which never matches, keeps it from that. */
#define NEVER "[^\\x00-\\x{10FFFF}]|"
static str re2_of(str re, struct buf *b)
{
    bool in_class = false;
    buf_lit(b, NEVER "(?-s)");
    while (re.n) {
        str out;
        size_t n = re2_part(re, in_class, &out);
        in_class = in_class ? !(n == 1 && re.p[0] == ']') : re.p[0] == '[';
        buf_str(b, out);
        re = str_skip(re, n);
    }
    return buf_view(b);
}

/* `lower`: the text is asked in lower case. */
static void put_match(struct emit *e, const struct subject *s, bool lower, str re)
{
    struct buf b = BUF_INIT(1 << 16);
    put(e, e->dialect == SQL_SQLITE ? "" : "match(");
    put(e, lower ? "lower(" : "");
    put_part(e, s, 'v');
    put(e, lower ? ")" : "");
    put(e, e->dialect == SQL_SQLITE ? " REGEXP " : ", ");
    put_quoted(e, e->dialect == SQL_SQLITE ? re : re2_of(re, &b));
    put(e, e->dialect == SQL_SQLITE ? "" : ")");
    buf_done(&b);
}

/* The pattern as a regular expression; pieces are in lower case. */
static void pattern_regex(const struct pattern *p, bool whole, struct buf *b)
{
    buf_str(b, whole && p->head ? S("(?s)\\A") : S("(?s)"));
    for (size_t i = 0; i < p->n; i++) {
        str piece = p->pieces[i].needle;
        if (i)
            buf_lit(b, ".*");
        for (size_t k = 0; k < piece.n; k++)
            buf_printf(b, "%s%c", ispunct((unsigned char)piece.p[k]) ? "\\" : "", piece.p[k]);
    }
    buf_str(b, whole && p->tail ? S("\\z") : S(""));
}

static void put_pattern(struct emit *e, const struct subject *s, const struct pattern *p, bool whole)
{
    struct buf b = BUF_INIT(1 << 16);
    pattern_regex(p, whole, &b);
    put_match(e, s, true, buf_view(&b));
    buf_done(&b);
}

static void put_within(struct emit *e, const struct subject *s, const struct pattern *p)
{
    if (p->n == 1 && p->pieces->needle.n == 0) {
        put(e, "1");
    } else if (p->n > 1) {
        put_pattern(e, s, p, false);
    } else {
        put(e, e->dialect == SQL_SQLITE ? "instr(lower(" : "positionCaseInsensitive(");
        put_part(e, s, 'v');
        put(e, e->dialect == SQL_SQLITE ? "), " : ", ");
        put_quoted(e, p->pieces->needle);
        put(e, ") > 0");
    }
}

static void put_whole(struct emit *e, const struct subject *s, const struct pattern *p)
{
    if (p->n == 1 && p->head && p->tail) {
        put_lower(e, s);
        put(e, " = ");
        put_quoted(e, p->pieces->needle);
    } else {
        put_pattern(e, s, p, true);
    }
}

static void put_kind(struct emit *e, const struct subject *s, const char *is, enum value_kind kind)
{
    put_part(e, s, 't');
    buf_printf(e->out, " %s %d", is, kind);
}

static void put_human(struct emit *e, const struct subject *s, const struct filter_node *n,
                      const struct filter_value *v)
{
    if (v->form == FORM_EXISTS) {
        put(e, "1");
    } else if (n->contains) {
        put_within(e, s, &v->pattern);
    } else if (s->own) {
        put_whole(e, s, &v->pattern);
    } else {
        put(e, "(");
        put_kind(e, s, "=", VALUE_JSON);
        put(e, " AND ");
        put_within(e, s, &v->pattern);
        put(e, " OR ");
        put_kind(e, s, "!=", VALUE_JSON);
        put(e, " AND ");
        put_whole(e, s, &v->pattern);
        put(e, ")");
    }
}

static const char *op_text(enum filter_op op)
{
    return op == OP_GT ? " > " : op == OP_GE ? " >= " : op == OP_LT ? " < " : op == OP_LE ? " <= " : " = ";
}

/* Bytewise. To ClickHouse 18.16 'a' and 'a\0b' are neither less nor greater, so it is asked in hex, which has no NUL. */
static void put_ordered(struct emit *e, const struct subject *s, enum filter_op op, str text)
{
    bool hex = e->dialect == SQL_CLICKHOUSE;
    if (!s->own) {
        put_kind(e, s, "=", VALUE_STRING);
        put(e, " AND ");
    }
    put(e, hex ? "hex(" : "");
    put_part(e, s, 'v');
    buf_printf(e->out, "%s%s%s", hex ? ")" : "", op_text(op), hex ? "'" : "");
    for (size_t i = 0; hex && i < text.n; i++)
        buf_printf(e->out, "%02X", (unsigned char)text.p[i]);
    if (hex)
        put(e, "'");
    else
        put_quoted(e, text);
}

static void put_text_value(struct emit *e, const struct subject *s, const struct filter_node *n,
                           const struct filter_value *v)
{
    if (v->form == FORM_RE) {
        put_match(e, s, false, v->text);
    } else if (n->op == OP_MATCH) {
        put_human(e, s, n, v);
    } else if (n->op >= OP_GT) {
        put_ordered(e, s, n->op, v->text);
    } else {
        put_part(e, s, 'v');
        put(e, " = ");
        put_quoted(e, v->text);
    }
}

/* ---- numbers ---- */

/* x >= bound, x rounded to a whole number as nearbyint does: ties go to the even one. Both dialects round otherwise. */
static void put_rounded_from(struct emit *e, const struct subject *s, double scale, double bound, bool not )
{
    bool even = fmod(bound, 2) == 0, exact = fabs(bound) < 0x1p53;
    put_part(e, s, 'v');
    put(e, " * ");
    put_double(e, scale);
    put(e, even || !exact ? (not ? " < " : " >= ") : (not ? " <= " : " > "));
    put_double(e, exact ? bound - 0.5 : bound);
}

static void put_rounded(struct emit *e, const struct subject *s, enum filter_op op, double scale, double bound)
{
    bool exact = fabs(bound) < 0x1p53;
    if (op == OP_GE || op == OP_LT) {
        put_rounded_from(e, s, scale, bound, op == OP_LT);
    } else if (exact && (op == OP_GT || op == OP_LE)) {
        put_rounded_from(e, s, scale, bound + 1, op == OP_LE);
    } else if (exact) {
        put_rounded_from(e, s, scale, bound, false);
        put(e, " AND ");
        put_rounded_from(e, s, scale, bound + 1, true);
    } else {
        put_part(e, s, 'v');
        put(e, " * ");
        put_double(e, scale);
        put(e, op_text(op));
        put_double(e, bound);
    }
}

/* Whole numbers that a double cannot hold are compared by their digits with one another. */
static void put_plain(struct emit *e, const struct subject *s, enum filter_op op, const struct number *bound)
{
    char digits[SQL_DIGITS_MAX];
    sql_digits(bound, digits);
    if (digits[0]) {
        put(e, "(");
        put_part(e, s, 'd');
        put(e, " != '' AND ");
        put_part(e, s, 'd');
        buf_printf(e->out, "%s'%s' OR ", op_text(op), digits);
        put_part(e, s, 'd');
        put(e, " = '' AND ");
    }
    put_part(e, s, 'v');
    put(e, op_text(op));
    put_double(e, bound->v);
    put(e, digits[0] ? ")" : "");
}

static void put_unit(struct emit *e, const struct subject *s, enum sql_unit unit)
{
    put_part(e, s, 'u');
    buf_printf(e->out, " = %d", unit);
}

static void put_number(struct emit *e, const struct subject *s, enum filter_op op, const struct number *bound,
                       double scale)
{
    bool equal = op == OP_EQ;
    put(e, "(");
    if (bound->unit != UNIT_NONE) {
        put_unit(e, s, bound->unit == UNIT_TIME ? SQL_TIME : SQL_SIZE);
        put(e, " AND ");
        put_part(e, s, 'v');
        put(e, op_text(op));
        put_double(e, bound->v);
        put(e, " OR ");
    }
    if (bound->unit != UNIT_NONE || !equal) {
        put(e, "(");
        put_unit(e, s, SQL_PLAIN);
        put(e, " OR ");
        put_unit(e, s, SQL_PLAIN_TEXT);
        put(e, ")");
    } else {
        put_unit(e, s, SQL_PLAIN); /* a number in quotes is text to `:` and `=` */
    }
    put(e, " AND ");
    if (bound->unit != UNIT_NONE)
        put_rounded(e, s, op, scale, bound->v);
    else
        put_plain(e, s, op, bound);
    put(e, ")");
}

static void put_number_value(struct emit *e, const struct subject *s, const struct filter_node *n,
                             const struct filter_value *v)
{
    if (v->form == FORM_RANGE) {
        put_number(e, s, OP_GE, &v->low, v->scale);
        put(e, " AND ");
        put_number(e, s, OP_LE, &v->high, v->scale);
    } else {
        put_number(e, s, n->op >= OP_GT ? n->op : OP_EQ, &v->low, v->scale);
    }
}

static void put_address_value(struct emit *e, const struct subject *s, const struct filter_node *n,
                              const struct filter_value *v)
{
    char low[SQL_ADDRESS + 1], high[SQL_ADDRESS + 1];
    (void)n;
    sql_address(&v->ip_low, low);
    sql_address(&v->ip_high, high);
    put_part(e, s, 'v');
    buf_printf(e->out, " >= '%s' AND ", low);
    put_part(e, s, 'v');
    buf_printf(e->out, " <= '%s'", high);
}

/* ---- comparisons ---- */

static void put_time_value(struct emit *e, const struct subject *s, const struct filter_node *n,
                           const struct filter_value *v)
{
    (void)s, (void)n;
    buf_printf(e->out, "time >= %lld AND time <= %lld", (long long)v->t_low, (long long)v->t_high);
}

enum ask { ASK_TEXT = 1, ASK_NUMBER = 2, ASK_ADDRESS = 4, ASK_TIME = 8 };

/* Which lists a value is about. */
static unsigned asks(const struct filter_node *n, const struct filter_value *v)
{
    if (v->form == FORM_TIME)
        return ASK_TIME;
    if (v->form == FORM_RE || v->form == FORM_EXISTS || (n->contains && n->op == OP_MATCH))
        return ASK_TEXT;
    if (n->op >= OP_GT)
        return v->numeric ? ASK_NUMBER : ASK_TEXT;
    bool number = v->form == FORM_RANGE || (v->numeric && (n->op != OP_MATCH || v->form == FORM_TEXT));
    return ASK_TEXT | (number ? ASK_NUMBER : 0u) | (v->form == FORM_IP ? ASK_ADDRESS : 0u);
}

static const char *own_column(str name)
{
    return str_eq(name, S("id")) ? "id" : str_eq(name, S("time")) ? "at" : str_eq(name, S("app")) ? "app" : NULL;
}

static const struct group {
    unsigned ask;
    enum list list;
    void (*put)(struct emit *e, const struct subject *s, const struct filter_node *n, const struct filter_value *v);
} groups[] = {{ASK_TEXT, LIST_S, put_text_value},
              {ASK_NUMBER, LIST_N, put_number_value},
              {ASK_ADDRESS, LIST_A, put_address_value},
              {ASK_TIME, LIST_S, put_time_value}};

static void put_group(struct emit *e, const struct filter_node *n, const struct group *g)
{
    struct subject s = {.list = g->list, .name = n->field, .own = g->list == LIST_S ? own_column(n->field) : NULL};
    const char *before = "(";
    put_open(e, &s);
    for (size_t i = 0; i < n->values_n; i++)
        if (asks(n, &n->values[i]) & g->ask) {
            put(e, before);
            g->put(e, &s, n, &n->values[i]);
            before = " OR ";
        }
    put(e, ")");
    put_close(e, &s);
}

static void put_level(struct emit *e, uint32_t levels)
{
    const char *before = "severity IN (";
    for (int s = 1; s <= 24; s++)
        if (levels >> s & 1) {
            buf_printf(e->out, "%s%d", before, s);
            before = ", ";
        }
    put(e, levels >> 1 ? ")" : "0");
}

static void put_compare(struct emit *e, const struct filter_node *n)
{
    unsigned all = 0;
    const char *before = filter_negative(n) ? "NOT (" : "(";
    if (n->subject == SUBJECT_LEVEL) {
        put_level(e, n->levels);
        return;
    }
    for (size_t i = 0; i < n->values_n; i++)
        all |= asks(n, &n->values[i]);
    for (size_t i = 0; i < LENGTH(groups); i++)
        if (all & groups[i].ask) {
            put(e, before);
            put_group(e, n, &groups[i]);
            before = " OR ";
        }
    put(e, ")");
}

/* ---- nodes ---- */

/* Any text of the sender's: our own fields are in no list. */
static void put_text_node(struct emit *e, const struct filter_node *n)
{
    struct subject s = {.list = LIST_S, .any = true};
    put_open(e, &s);
    put_kind(e, &s, ">=", VALUE_STRING);
    put(e, " AND ");
    if (n->kind == NODE_TEXT)
        put_within(e, &s, &n->values->pattern);
    else
        put_match(e, &s, false, n->values->text);
    put_close(e, &s);
}

static void put_node(struct emit *e, const struct filter_node *n)
{
    switch (n->kind) {
    case NODE_ALL: put(e, "1"); break;
    case NODE_TEXT:
    case NODE_TEXT_RE: put_text_node(e, n); break;
    case NODE_COMPARE: put_compare(e, n); break;
    case NODE_NOT:
        put(e, "NOT (");
        put_node(e, n->children[0]);
        put(e, ")");
        break;
    case NODE_AND:
    case NODE_OR:
        for (size_t i = 0; i < n->n; i++) {
            put(e, i == 0 ? "(" : n->kind == NODE_AND ? " AND " : " OR ");
            put_node(e, n->children[i]);
        }
        put(e, ")");
    }
}

void sql_condition(const struct filter *f, enum sql_dialect dialect, struct buf *out)
{
    struct emit e = {out, dialect};
    put_node(&e, filter_root(f));
}
