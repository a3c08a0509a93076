#include "routes/grouping.h"

#include "base/str.h"
#include "fold.h"
#include "issues/issues.h"

/* Without a fold (an offline command), or when it cannot be read, the id stays its own. */
static str resolve(struct grouping *g, const struct fingerprint *fp)
{
    char both[34], became[17];
    struct err ignored;
    snprintf(both, sizeof both, "%s %s", fp->id, fp->was);
    const char *known = map_get(&g->ids, str_of(both));
    if (known)
        return str_of(known);
    struct db *db = g->parts->fold ? fold_reader(g->parts->fold, &ignored) : NULL;
    if (!db || issue_shown(db, fp, became, &ignored) < 0)
        memcpy(became, fp->id, sizeof became);
    str kept = arena_str(&g->a, str_of(became));
    map_set(&g->ids, str_of(both), (void *)(uintptr_t)kept.p);
    return kept;
}

static bool tell_issue(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_title)
{
    struct grouping *g = arg;
    struct fingerprint *fp = arena_alloc(a, sizeof *fp);
    if (!fingerprint_of_both(ev, &g->version, a, fp))
        return false;
    *ret_id = resolve(g, fp);
    *ret_title = str_of(fp->title);
    return true;
}

void grouping_init(struct grouping *g, struct parts *parts)
{
    struct err ignored;
    *g = (struct grouping){.query = {fingerprint_pattern, tell_issue, g}, .parts = parts};
    struct db *db = parts->fold ? fold_reader(parts->fold, &ignored) : NULL;
    if (!db || issues_version(db, &g->version, &ignored) < 0)
        g->version = (struct grouping_version){.now = GROUPING_NEWEST};
}

void grouping_done(struct grouping *g)
{
    map_done(&g->ids);
    arena_done(&g->a);
}
