/* users.c - see users.h. */
#include "users.h"
#include "stats/sketch.h"

enum { USERS_P = 12 }; /* 2.5 KB at most, 1 % */

/* A code that cannot be read (fold.db was damaged) counts from nothing again. */
static bool users_add(str code, const uint64_t *hashes, size_t n, struct buf *out)
{
    struct sketch s;
    struct err ignored;
    bool more = false;
    if (!code.n || sketch_decode(code, &s, &ignored) < 0)
        sketch_init(&s, USERS_P);
    for (size_t i = 0; i < n; i++)
        more |= sketch_add(&s, sketch_cell(s.p, hashes[i]));
    if (more)
        sketch_encode(&s, out);
    sketch_done(&s);
    return more;
}

static uint64_t users_count(str code)
{
    uint32_t counts[SKETCH_LEVELS];
    struct err ignored;
    int p;
    return code.n && sketch_peek(code, &p, counts, &ignored) == 0 ? sketch_number(p, counts).value : 0;
}

const struct issues_sketch users_sketch = {users_add, users_count};
