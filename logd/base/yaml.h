/* base/yaml.h - a strict subset of YAML as a tree with places, for config and rules.
 *
 * libyaml reads; refused with an exact place: anchors, aliases, tags, more than one document, duplicate keys, keys that
 * are not text, a depth over 32, more than 100,000 nodes. Every scalar is text; typing is the reader's ("no" stays
 * "no"). JSON is accepted as it is. Errors read "FILE:LINE:COLUMN: text" and set line and column of the err.
 *
 * Owner   the caller; immutable after parsing. Columns count characters, as an editor shows them. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/base.h"
#include "base/err.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };
struct yaml_node {
    enum yaml_kind kind;
    str text;            /* SCALAR: unescaped; a NUL follows it */
    bool quoted;         /* SCALAR: was in quotes or a block */
    bool verbatim;       /* SCALAR: stands in the file as it is in `text`, on one line, after its quote if any */
    size_t line, column; /* 1-based; line 0: not from a file */
    size_t n;            /* LIST, MAP: items */
    struct yaml_node **items;
    struct yaml_node **keys; /* MAP: scalars, same order as items */
};
struct yaml; /* owns the tree */
/* `file` names the source in errors. */
int yaml_parse(const char *file, str text, struct yaml **ret, struct err *e) MUST_CHECK;
/* A tree of one scalar that has no line and column: errors read "SOURCE: text". For values from the environment. */
struct yaml *yaml_of_text(const char *source, str text);
/* The same, a list of scalars. */
struct yaml *yaml_of_list(const char *source, const str *items, size_t n);
/* NULL is fine. Not called yaml_free: libyaml exports a function of that name and would call ours. */
void yaml_tree_free(struct yaml *y);
const struct yaml_node *yaml_root(const struct yaml *y); /* an empty document is an empty map */
const char *yaml_file(const struct yaml *y);
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL: absent, or not a map */
/* ERR_INPUT "FILE:LINE:COLUMN: text". Returns -1. */
int yaml_fail(const struct yaml *y, const struct yaml_node *at, struct err *e, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same, at the character of `at`'s text with this byte offset; at its start when it does not stand verbatim. */
int yaml_fail_in(const struct yaml *y, const struct yaml_node *at, size_t offset, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* `map` is a map and every key of it one of `known` (n of them); else fails naming the nearest known one. `what` says
 * whose keys they are ("mail"), "" at the top. */
int yaml_known(const struct yaml *y, const struct yaml_node *map, const char *what, const char *const *known, size_t n,
               struct err *e) MUST_CHECK;

/* Typed reading. `what` names the field in the error ("count.window"). *ret is untouched on failure. */
int yaml_text(const struct yaml *y, const struct yaml_node *at, const char *what, str *ret,
              struct err *e) MUST_CHECK; /* not empty, no control characters */
int yaml_duration(const struct yaml *y, const struct yaml_node *at, const char *what, usec min, usec max, usec *ret,
                  struct err *e) MUST_CHECK;
int yaml_integer(const struct yaml *y, const struct yaml_node *at, const char *what, uint64_t min, uint64_t max,
                 uint64_t *ret, struct err *e) MUST_CHECK;
int yaml_bool(const struct yaml *y, const struct yaml_node *at, const char *what, bool *ret, struct err *e) MUST_CHECK;
int yaml_is(const struct yaml *y, const struct yaml_node *at, const char *what, enum yaml_kind kind,
            struct err *e) MUST_CHECK;
/* "a list", "a map", or the text in quotes, cut to 60 bytes: for "…, got %s". */
#define YAML_GOT_MAX 72
const char *yaml_got(const struct yaml_node *at, char out[YAML_GOT_MAX]);
/* A duration as people write it: "90s", "5m", "1h", "14d". */
#define DURATION_TEXT_MAX 32
const char *duration_text(usec d, char out[DURATION_TEXT_MAX]);

/* The nearest of the names by edit distance, NULL when none is near (more than 1/3 of the length + 1). */
const char *nearest_name(str name, const char *const *known, size_t n);

#endif
