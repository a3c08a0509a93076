/* maps/sourcemap.h - a source map (ECMA-426) as its mappings, and what a minified file says of its functions.
 *
 * Everything in it may be hostile: each field's type and each index is checked, sizes stand against limits before memory is
 * taken for them. `sections` are laid into one list; sources of all of them follow each other.
 * Pure: no I/O, no clock.
 * Memory  24 bytes a mapping, at most MAPS_MAPPINGS of them; texts are in the arena.
 * Errors  ERR_INPUT: one sentence that names the field. */
#ifndef MAPS_SOURCEMAP_H
#define MAPS_SOURCEMAP_H

#include "base/arena.h"
#include "base/err.h"

enum { MAPS_MAPPINGS = 8 << 20, MAPS_SOURCES = 200000, MAPS_NAMES = 4 << 20, MAPS_SECTIONS = 100000 };
#define MAPS_NONE UINT32_MAX

struct mapping {           /* lines and columns from 0, columns in UTF-16 units */
    uint32_t line, column; /* in the generated file */
    uint32_t source;       /* MAPS_NONE: this place has no original */
    uint32_t oline, ocolumn;
    uint32_t name; /* MAPS_NONE: none */
};
struct map_source {
    str name; /* with sourceRoot; absent: null */
    bool ignored;
};
struct function { /* where the minified file declares one whose name was changed */
    uint32_t line, column;
    str token;     /* its name there; a view of the minified file */
    uint32_t name; /* its name in the original */
};
struct sourcemap {
    struct mapping *mappings; /* by line, then column; one for each place */
    size_t n, cap;
    struct map_source *sources;
    size_t sources_n, sources_cap;
    str *names;
    size_t names_n, names_cap;
    struct function *functions; /* in the same order */
    size_t functions_n, functions_cap;
    str debug_id;  /* "", or as written */
    size_t mapped; /* mappings with a source */
};
int sourcemap_read(str text, struct arena *a, struct sourcemap *ret, struct err *e) MUST_CHECK;
void sourcemap_done(struct sourcemap *m);
/* Lays the minified file beside its map: finds functions, and says so when the map speaks of places it does not have. */
int sourcemap_read_minified(struct sourcemap *m, str minified, struct err *e) MUST_CHECK;
/* "//# debugId=UUID" of a minified file, or absent; a view. */
str minified_debug_id(str minified);
/* "//# sourceMappingURL=" of it, the last one. */
str minified_map_url(str minified);

#endif
