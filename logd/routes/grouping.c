#include "routes/grouping.h"

#include "base/str.h"
#include "fold.h"
#include "issues/issues.h"

/* Without a fold (an offline command), or when it cannot be read, the id stays its own. */
static str resolve(struct grouping *g, str id)
{
    char became[17];
    struct err ignored;
    const char *known = map_get(&g->ids, id);
    if (known)
        return str_of(known);
    struct db *db = g->parts->fold ? fold_reader(g->parts->fold, &ignored) : NULL;
    if (!db || issue_resolve(db, id, became, &ignored) < 0)
        snprintf(became, sizeof became, "%.*s", STR_ARG(id));
    str kept = arena_str(&g->a, str_of(became));
    map_set(&g->ids, id, (void *)(uintptr_t)kept.p);
    return kept;
}

static bool issue_of(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_title)
{
    struct fingerprint *fp = arena_alloc(a, sizeof *fp);
    if (!fingerprint_of(ev, a, fp))
        return false;
    *ret_id = resolve(arg, str_of(fp->id));
    *ret_title = str_of(fp->title);
    return true;
}

void grouping_init(struct grouping *g, struct parts *parts)
{
    *g = (struct grouping){.query = {fingerprint_pattern, issue_of, g}, .parts = parts};
}

void grouping_done(struct grouping *g)
{
    map_done(&g->ids);
    arena_done(&g->a);
}
