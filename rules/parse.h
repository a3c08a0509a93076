/* rules/parse.h - shared by the readers of rule files; nobody else includes this.
 *
 * Each reader returns 0, or -1 with "FILE:LINE:COLUMN: what was expected and what came" in the parser's error. `what` names
 * the place in that sentence ("count.window"). */
#ifndef RULES_PARSE_H
#define RULES_PARSE_H

#include "base/yaml.h"
#include "rules/condition.h"

typedef struct yaml_node node;
struct parser {
    struct rules_set *set;
    const struct yaml *y;
    struct err *e;
    const char *file;
};

bool among(str word, const char *const *list, size_t n);
const char *keep(struct parser *p, str s); /* a copy that lives as long as the set */
int missing(struct parser *p, const node *map, const char *what, const char *name);
/* `map` is one, and its keys are among the two lists, each ended by NULL. */
int check_words(struct parser *p, const node *map, const char *what, const char *const *a,
                const char *const *b) MUST_CHECK;
/* Of `map`: untouched when `name` is absent. */
int read_text(struct parser *p, const node *map, const char *name, const char **ret) MUST_CHECK;
int read_filter(struct parser *p, const node *at, const char *what, const char **ret_text,
                struct filter **ret) MUST_CHECK;
int read_field(struct parser *p, const node *at, const char *what, struct rule_fields *f) MUST_CHECK;
int read_fields(struct parser *p, const node *map, const char *what, struct rule_fields *f) MUST_CHECK; /* its `by` */
int read_rank(struct parser *p, const node *at, const char *what, int *ret) MUST_CHECK;
int read_duration(struct parser *p, const node *map, const char *name, const char *what, usec min, usec max,
                  usec *ret) MUST_CHECK;
int read_number(struct parser *p, const node *map, const char *name, const char *what, double min, double max,
                double *ret) MUST_CHECK;
int read_integer(struct parser *p, const node *map, const char *name, const char *what, uint64_t min, uint64_t max,
                 uint32_t *ret) MUST_CHECK;

/* The words that only conditions have, ended by NULL. */
extern const char *const condition_words[];
/* The rule's conditions: its own, or each of `any`; without one it fires for each event. */
int read_parts(struct parser *p, const node *map, struct rule *r) MUST_CHECK;
/* What it counts, and so whether it needs a condition. */
int read_stat(struct parser *p, const node *map, struct rule *r) MUST_CHECK;
/* The stat whose numbers it looks at, in place of events. */
int read_watch(struct parser *p, const node *map, struct rule *r) MUST_CHECK;
int read_tests(struct parser *p, const node *map, struct rule *r) MUST_CHECK;

#endif
