/* event/filter.h - the one filter language: lex, parse, run over one event.
 *
 * The language is in man logd-query. A filter is parsed once into an immutable tree; the tree is public so that the
 * executors over segments and to SQL walk the same one. Two-valued: a comparison on a missing (or null) field is
 * false. Case folding is ASCII only.
 *
 * Owner   parse anywhere; a parsed filter may be matched by many threads at once. Regular expressions: regex.h. */
#ifndef EVENT_FILTER_H
#define EVENT_FILTER_H

#include "base/arena.h"
#include "base/err.h"
#include "event/event.h"
#include "event/find.h"
#include "event/lex.h"
#include "event/number.h"
#include "event/regex.h"

enum filter_op { OP_MATCH /* : */, OP_EQ, OP_NE, OP_RE, OP_NRE, OP_GT, OP_GE, OP_LT, OP_LE };

/* What a value says beside its text. Only bare words under ':' are more than TEXT. */
enum value_form {
    FORM_TEXT,   /* `pattern` has it in lower case */
    FORM_GLOB,   /* `pattern` */
    FORM_EXISTS, /* '*' */
    FORM_RANGE,  /* low..high, numbers of one unit, both ends within */
    FORM_IP,     /* an address, addresses a..b or a CIDR block: ip_low to ip_high. Text equality counts too */
    FORM_RE,     /* `re` */
    FORM_TIME,   /* field `time`: t_low to t_high, both within, the operator already applied */
};
struct filter_value {
    enum value_form form;
    bool quoted;
    size_t column;
    str text; /* as in the query, without quotes and escapes */
    struct pattern pattern;
    bool numeric; /* `low` is the text as a number (form RANGE: the first end) */
    struct number low, high;
    double scale; /* a number without unit is multiplied by it before it is compared with low and high */
    ip ip_low, ip_high;
    nsec t_low, t_high;
    struct regex *re;
};
enum filter_node_kind { NODE_ALL, NODE_AND, NODE_OR, NODE_NOT, NODE_TEXT, NODE_TEXT_RE, NODE_COMPARE };
enum filter_subject {
    SUBJECT_FIELD, /* the field's value */
    SUBJECT_LEVEL, /* `level` and `severity_number`: `levels` says it all */
    SUBJECT_TIME,  /* `time` with values of FORM_TIME */
};
struct filter_node {
    enum filter_node_kind kind;
    size_t column;                 /* 1-based place in the query */
    struct filter_node **children; /* AND, OR: 2 and more; NOT: 1 */
    size_t n;
    str field; /* COMPARE */
    enum filter_op op;
    enum filter_subject subject;
    bool contains;               /* `:` looks inside: message, error.stack */
    uint32_t levels;             /* SUBJECT_LEVEL: bit s: an event of severity s matches */
    struct filter_value *values; /* any of them (NE, NRE: none); TEXT, TEXT_RE have one */
    size_t values_n;
};
struct filter;
#define TIME_NONE INT64_MIN /* the time of what has none; severity 0 is that of what has no level: rows of a count */

/* The whole of `text` is a filter; empty text matches all. ERR_INPUT with e->column. */
int filter_parse(str text, struct filter **ret, struct err *e) MUST_CHECK;
/* What stands at the lexer, up to a '|', or a ')' that it did not open, or the end. */
int filter_parse_at(struct lexer *l, struct filter **ret, struct err *e) MUST_CHECK;
/* One term: what follows `if` in stats. */
int filter_parse_term(struct lexer *l, struct filter **ret, struct err *e) MUST_CHECK;
void filter_free(struct filter *f); /* NULL is fine */
const struct filter_node *filter_root(const struct filter *f);
/* `a` is scratch, reset by the caller now and then. */
bool filter_match(const struct filter *f, const struct event *ev, struct arena *a);
/* How many matches of regular expressions were given up at a limit, and so counted as none. */
uint64_t filter_gave_up(const struct filter *f);
/* ---- for executors that walk the tree themselves ---- */
bool filter_node_match(const struct filter_node *n, const struct event *ev, struct arena *a, bool *gave_up);
/* COMPARE: does the field's value satisfy the operator (NE and NRE are not turned round here) and one of the values? */
bool filter_field_match(const struct filter_node *n, const struct field *f, struct arena *a, bool *gave_up);
static inline bool filter_negative(const struct filter_node *n) { return n->op == OP_NE || n->op == OP_NRE; }
void filter_note_gave_up(const struct filter *f); /* once for each match that was given up */

/* The filter as text again, normalised; parsing it gives the same filter. */
void filter_print(const struct filter *f, struct buf *out);

/* ---- what can be said of events without reading them ---- */
enum outlook { OUTLOOK_NO, OUTLOOK_YES, OUTLOOK_MAYBE };
/* Of every event whose severity is one of `levels` (bits) and whose time is in t_min..t_max, both within. */
enum outlook filter_outlook(const struct filter *f, uint32_t levels, nsec t_min, nsec t_max);
/* Text that the stored line of every matching event has in it, whatever the case, unless the line has a \u escape;
 * NULL: nothing is known. */
const struct finder *filter_hint(const struct filter *f);

#endif
