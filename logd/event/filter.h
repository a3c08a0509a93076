/* event/filter.h - the one filter language: lex, parse, run over one event.
 *
 * The grammar is the EBNF of the query language (man logd-query). A filter is parsed once into an immutable tree; the
 * tree is public so that the executors over segments and to SQL walk the same one. Two-valued: a comparison on a
 * missing field is false. Case folding is ASCII only.
 *
 * Owner   parse anywhere; a parsed filter may be matched by many threads at once. Regexes are PCRE2 with JIT, the RE2
 *         subset only (no backreferences, no lookaround), with match and heap limits. */
#ifndef EVENT_FILTER_H
#define EVENT_FILTER_H

#include "base/arena.h"
#include "base/err.h"
#include "event/event.h"

/* ---- tokens, shared by the stage parser in query/ and by rules ---- */
enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_OP, TOKEN_PIPE, TOKEN_COMMA, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_FIELD };
struct lexer; /* internals in filter.c's neighbour lex.c */

/* ---- the filter ---- */
enum filter_op { OP_MATCH /* : */, OP_EQ, OP_NE, OP_RE, OP_NRE, OP_GT, OP_GE, OP_LT, OP_LE };
enum filter_node_kind { NODE_ALL, NODE_AND, NODE_OR, NODE_NOT, NODE_TEXT, NODE_TEXT_RE, NODE_COMPARE };
struct filter_value; /* text, number, range, glob, CIDR, exists: see filter.c */
struct filter_node {
    enum filter_node_kind kind;
    size_t column;                 /* 1-based place in the query */
    struct filter_node **children; /* AND, OR, NOT */
    size_t n;
    str field;                     /* COMPARE */
    enum filter_op op;
    struct filter_value *values;   /* any of them; TEXT has one */
    size_t values_n;
};
struct filter;

/* The whole of `text` is a filter; empty text matches all. ERR_INPUT with e->column. */
int filter_parse(str text, struct filter **ret, struct err *e) MUST_CHECK;
void filter_free(struct filter *f);
const struct filter_node *filter_root(const struct filter *f);
/* `a` is scratch, reset by the caller now and then. */
bool filter_match(const struct filter *f, const struct event *ev, struct arena *a);
/* The filter as text again, normalised; parsing it gives the same filter. */
void filter_print(const struct filter *f, struct buf *out);

#endif
