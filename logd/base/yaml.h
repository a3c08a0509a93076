/* base/yaml.h - a strict subset of YAML as a tree with places, for config and rules.
 *
 * libyaml reads; refused with an exact place: anchors, aliases, tags, more than one document, duplicate keys, a depth
 * over 32, more than 100,000 nodes. Every scalar is text; typing is the reader's ("no" stays "no"). JSON is accepted
 * as it is. Owner: the caller; immutable after parsing. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/base.h"
#include "base/err.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };
struct yaml_node {
    enum yaml_kind kind;
    str text;               /* SCALAR: unescaped */
    bool quoted;            /* SCALAR: was in quotes or a block */
    size_t line, column;    /* 1-based */
    size_t n;               /* LIST, MAP: items */
    struct yaml_node **items;
    struct yaml_node **keys; /* MAP: scalars, same order as items */
};
struct yaml; /* owns the tree */
/* `file` names the source in errors: "FILE:LINE:COLUMN: …". */
int yaml_parse(const char *file, str text, struct yaml **ret, struct err *e) MUST_CHECK;
void yaml_free(struct yaml *y);
const struct yaml_node *yaml_root(const struct yaml *y); /* an empty document is an empty map */
const char *yaml_file(const struct yaml *y);
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL: absent */
/* ERR_INPUT "FILE:LINE:COLUMN: text". */
int yaml_fail(const struct yaml *y, const struct yaml_node *at, struct err *e, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Every key of `map` is one of `known` (n of them); else fails naming the nearest known one. */
int yaml_known(const struct yaml *y, const struct yaml_node *map, const char *const *known, size_t n, struct err *e) MUST_CHECK;
/* The nearest of the names by edit distance, NULL when none is near (more than 1/3 of the length + 1). */
const char *nearest_name(str name, const char *const *known, size_t n);

#endif
