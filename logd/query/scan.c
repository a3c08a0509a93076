#include "query/scan.h"
#include "base/clock.h"
#include "base/str.h"

enum { LOOK_EVERY = 4096 }; /* lines between two looks at the clock */

struct worker {
    struct scan *s;
    struct event *ev;
    struct arena a;
    struct buf scratch;
    uint64_t lines;
};

static bool over(struct scan *s)
{
    bool stop = (s->deadline && clock_mono() > s->deadline) || (s->cancel && atomic_load(s->cancel));
    s->partial |= stop;
    return stop;
}

/* What the filters together say of a block. */
static enum outlook outlook(const struct scan *s, const struct store_block *b)
{
    enum outlook all = OUTLOOK_YES;
    if (b->t_max < s->from || b->t_min >= s->to)
        return OUTLOOK_NO;
    if (b->t_min < s->from || b->t_max >= s->to)
        all = OUTLOOK_MAYBE;
    for (size_t i = 0; i < s->filters_n; i++) {
        enum outlook one = filter_outlook(s->filters[i], b->levels, b->t_min, b->t_max);
        if (one == OUTLOOK_NO)
            return one;
        if (one == OUTLOOK_MAYBE)
            all = one;
    }
    return all;
}

static int look_at(struct worker *w, str line, bool all_match, struct err *e)
{
    struct scan *s = w->s;
    nsec t;
    int severity;
    s->events++;
    if (!event_peek(line, &t, &severity) || t < s->from || t >= s->to || (s->useless && s->useless(s->arg, t)))
        return 0;
    bool read = !all_match || s->need_event;
    if (read) {
        struct err damaged;
        arena_reset(&w->a);
        if (event_read(line, w->ev, &w->a, &damaged) < 0) {
            s->partial = true; /* the block's checksum was right, so this was written wrong: left out, and told */
            return 0;
        }
        for (size_t i = 0; !all_match && i < s->filters_n; i++)
            if (!filter_match(s->filters[i], w->ev, &w->a))
                return 0;
    }
    s->matched++;
    return s->on_line(s->arg, line, t, read ? w->ev : NULL, e);
}

/* The next line that can match: by the hint when there is one and no \u escape can hide it. */
static str next_line(str *rest, const struct finder *hint)
{
    if (hint) {
        ptrdiff_t at = find_nocase(hint, *rest);
        if (at < 0) {
            *rest = (str){0};
            return (str){0};
        }
        size_t start = (size_t)at;
        while (start > 0 && rest->p[start - 1] != '\n')
            start--;
        *rest = str_skip(*rest, start);
    }
    return str_cut(rest, '\n');
}

static int scan_block(struct worker *w, const struct store_view *v, size_t i, struct err *e)
{
    struct scan *s = w->s;
    const struct store_block *b = store_view_block(v, i);
    const struct finder *hint = NULL;
    enum outlook out = outlook(s, b);
    struct err damaged;
    str rest;
    if (out == OUTLOOK_NO)
        return 0;
    if (out == OUTLOOK_YES && s->whole && s->whole(s->arg, b)) {
        s->matched += b->events;
        return 0;
    }
    if (store_view_lines(v, i, &w->scratch, &rest, &damaged) < 0) {
        s->partial = true;
        return 0;
    }
    s->bytes += rest.n;
    for (size_t k = 0; out != OUTLOOK_YES && !hint && k < s->filters_n; k++)
        hint = filter_hint(s->filters[k]);
    if (hint && str_find(rest, S("\\u")) >= 0)
        hint = NULL;
    while (rest.n) {
        str line = next_line(&rest, hint);
        if (line.n && look_at(w, line, out == OUTLOOK_YES, e) < 0)
            return -1;
        if (++w->lines % LOOK_EVERY == 0 && over(s))
            return 0;
    }
    return 0;
}

struct order {
    size_t index;
    nsec key;
};
static int newest_first(const void *a, const void *b)
{
    nsec x = ((const struct order *)a)->key, y = ((const struct order *)b)->key;
    return (x < y) - (x > y);
}
static int oldest_first(const void *a, const void *b) { return newest_first(b, a); }

int scan_run(struct scan *s, const struct store_view *v, struct err *e)
{
    size_t n = store_view_count(v);
    struct order *order = xcalloc(n, sizeof *order);
    struct worker w = {.s = s, .ev = xmalloc(sizeof *w.ev), .scratch = BUF_INIT(SIZE_MAX / 2)};
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        const struct store_block *b = store_view_block(v, i);
        order[i] = (struct order){i, s->ascending ? b->t_min : b->t_max};
    }
    if (n)
        qsort(order, n, sizeof *order, s->ascending ? oldest_first : newest_first);
    for (size_t i = 0; rc == 0 && i < n && !over(s); i++) {
        if (s->useless && s->useless(s->arg, order[i].key))
            break; /* every block that follows lies further away still */
        rc = scan_block(&w, v, order[i].index, e);
    }
    free(order);
    free(w.ev);
    arena_done(&w.a);
    buf_done(&w.scratch);
    return rc;
}
