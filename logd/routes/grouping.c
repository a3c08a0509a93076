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

static bool tell_pattern(void *arg, const struct event *ev, struct arena *a, str *ret_id, str *ret_message)
{
    struct grouping *g = arg;
    struct err ignored;
    if (!g->patterns)
        g->patterns = patterns_new(g->parts->fold ? fold_reader(g->parts->fold, &ignored) : NULL);
    return patterns_offer(g->patterns, ev, a, ret_id, ret_message);
}

static void tell_pattern_now(void *arg, str id, struct arena *a, str *ret_id, str *ret_text)
{
    patterns_now(((struct grouping *)arg)->patterns, id, a, ret_id, ret_text);
}

void grouping_init(struct grouping *g, struct parts *parts)
{
    struct err ignored;
    *g = (struct grouping){.query = {tell_pattern, tell_pattern_now, tell_issue, g}, .parts = parts};
    struct db *db = parts->fold ? fold_reader(parts->fold, &ignored) : NULL;
    if (!db || issues_version(db, &g->version, &ignored) < 0)
        g->version = (struct grouping_version){.now = GROUPING_NEWEST};
}

void grouping_done(struct grouping *g)
{
    patterns_free(g->patterns);
    map_done(&g->ids);
    arena_done(&g->a);
}
