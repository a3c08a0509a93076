#include "query/scan.h"

#include "base/clock.h"
#include "query/ahead.h"

/* The clock is asked every so many lines; one that is read, maybe by a hostile regular expression, counts as more. */
enum { CHECK_AFTER = 4096, READ_COST = 512 };

struct scan *scan_new(const struct query *q, struct store_view *v, const struct query_options *o)
{
    struct scan *s = xcalloc(1, sizeof *s);
    s->view = v;
    s->from = o->from;
    s->to = o->to;
    s->ascending = o->ascending;
    s->deadline = o->deadline;
    s->cancel = o->cancel;
    buf_init(&s->scratch, SIZE_MAX);
    buf_init(&s->text, SIZE_MAX);
    scan_filter(s, q->filter);
    return s;
}

void scan_free(struct scan *s)
{
    for (size_t i = 0; i < s->filters_n; i++)
        prepared_free(s->prepared[i]);
    buf_done(&s->scratch);
    buf_done(&s->text);
    arena_done(&s->a);
    free(s);
}

void scan_filter(struct scan *s, const struct filter *f)
{
    assert(s->filters_n < LENGTH(s->filters));
    s->prepared[s->filters_n] = prepare(f);
    s->filters[s->filters_n++] = f;
}

str line_id(str line)
{
    static const str start = S("{\"id\":\"");
    return line.n > start.n + EVENT_ID_LEN && str_starts(line, start) ? str_n(line.p + start.n, EVENT_ID_LEN)
                                                                      : (str){NULL, 0};
}

static bool damaged(struct scan *s, const struct err *why)
{
    if (s->block)
        store_view_damaged(s->view, why);
    s->partial = true;
    return false;
}

const struct event *scan_event(struct scan *s)
{
    struct err e;
    if (!s->read)
        s->read = (s->block ? block_event(s->block, s->row, s->given, &s->ev, &e)
                            : event_read(s->line, &s->ev, &s->a, &e)) == 0 ||
                  damaged(s, &e);
    return s->read ? &s->ev : NULL;
}

str scan_id(struct scan *s)
{
    struct err e;
    if (!s->block)
        return line_id(s->line);
    const struct column *recv = block_column(s->block, SYSTEM_RECV, &e);
    const struct column *number = recv ? block_column(s->block, SYSTEM_ROW, &e) : NULL;
    if (!number)
        return (void)damaged(s, &e), (str){NULL, 0};
    event_id_print(recv->numbers[s->row], (uint32_t)number->numbers[s->row], s->id);
    return str_n(s->id, sizeof s->id);
}

str scan_line(struct scan *s)
{
    struct err e;
    if (!s->block)
        return s->line;
    buf_reset(&s->text);
    if (block_line(s->block, s->row, &s->text, &e) == 0)
        return buf_view(&s->text);
    (void)damaged(s, &e);
    return (str){NULL, 0};
}

bool scan_out_of_time(struct scan *s)
{
    s->unchecked = 0;
    if ((s->cancel && *s->cancel) || (s->deadline && clock_mono() >= s->deadline))
        s->stopped = s->partial = true;
    return s->stopped;
}

/* ---- lines ---- */

static enum outlook outlook(const struct scan *s, uint32_t levels, nsec t_min, nsec t_max)
{
    enum outlook all = OUTLOOK_YES;
    for (size_t i = 0; i < s->filters_n; i++) {
        enum outlook o = filter_outlook(s->filters[i], levels, t_min, t_max);
        if (o == OUTLOOK_NO)
            return o;
        if (o == OUTLOOK_MAYBE)
            all = o;
    }
    return all;
}

static bool line_matches(struct scan *s)
{
    enum outlook o = outlook(s, 1u << s->severity, s->time, s->time);
    if (o != OUTLOOK_MAYBE)
        return o == OUTLOOK_YES;
    const struct event *ev = scan_event(s);
    s->unchecked += READ_COST;
    if (!ev)
        return false;
    for (size_t i = 0; i < s->filters_n; i++)
        if (!filter_match(s->filters[i], ev, &s->a))
            return false;
    return true;
}

static int look_at(struct scan *s, str line, struct err *e)
{
    str id = line_id(line);
    s->line = line;
    s->read = false;
    if (s->a.used > 64 << 10)
        arena_reset(&s->a);
    if (!id.p || !event_peek(line, &s->time, &s->severity)) {
        s->partial = true;
        return 0;
    }
    if (s->time < s->from || s->time >= s->to || (s->wanted && !s->wanted(s->arg, s->time, id)) || !line_matches(s))
        return 0;
    s->matched++;
    return s->take(s->arg, s, e);
}

/* What of a block is looked at: every line, or those that have the hint or a \u in them. */
struct walk {
    str lines;
    size_t at; /* all before it (backwards: after it) was given */
    bool backwards;
    const struct finder *hint; /* NULL: every line */
    struct finder escape;
    size_t hint_at, escape_at; /* where it comes next, SIZE_MAX: no more */
};

static bool next_line(struct walk *w, str *ret)
{
    const char *p = w->lines.p;
    if (w->backwards) {
        if (w->at == 0)
            return false;
        size_t end = w->at - 1; /* its newline */
        const char *before = memrchr(p, '\n', end);
        w->at = before ? (size_t)(before + 1 - p) : 0;
        *ret = str_n(p + w->at, end - w->at);
        return true;
    }
    if (w->at >= w->lines.n)
        return false;
    const char *start = p + w->at, *end = memchr(start, '\n', w->lines.n - w->at);
    size_t n = end ? (size_t)(end - start) : w->lines.n - w->at;
    *ret = str_n(start, n);
    w->at += n + 1;
    return true;
}

static void seek(const struct finder *f, const struct walk *w, size_t *at)
{
    if (*at >= w->at)
        return; /* still ahead, or no more */
    ptrdiff_t found = find_nocase(f, str_skip(w->lines, w->at));
    *at = found < 0 ? SIZE_MAX : w->at + (size_t)found;
}

static bool next_candidate(struct walk *w, str *ret)
{
    if (!w->hint)
        return next_line(w, ret);
    if (w->at >= w->lines.n)
        return false;
    seek(w->hint, w, &w->hint_at);
    seek(&w->escape, w, &w->escape_at);
    size_t hit = w->hint_at < w->escape_at ? w->hint_at : w->escape_at;
    if (hit == SIZE_MAX)
        return false;
    const char *before = memrchr(w->lines.p + w->at, '\n', hit - w->at);
    if (before)
        w->at = (size_t)(before + 1 - w->lines.p);
    return next_line(w, ret);
}

static const struct finder *best_hint(const struct scan *s)
{
    const struct finder *best = NULL;
    for (size_t i = 0; i < s->filters_n; i++) {
        const struct finder *hint = filter_hint(s->filters[i]);
        if (hint && (!best || hint->needle.n > best->needle.n))
            best = hint;
    }
    return best;
}

static int scan_lines(struct scan *s, str lines, struct err *e)
{
    struct walk w = {.lines = lines, .hint = best_hint(s)};
    str line;
    finder_init(&w.escape, S("\\u"));
    w.backwards = !w.hint && !s->ascending;
    w.at = w.backwards ? lines.n : 0;
    if (w.hint && lines.n) { /* find both from the start on */
        ptrdiff_t hint = find_nocase(w.hint, lines), escape = find_nocase(&w.escape, lines);
        w.hint_at = hint < 0 ? SIZE_MAX : (size_t)hint;
        w.escape_at = escape < 0 ? SIZE_MAX : (size_t)escape;
    }
    while (next_candidate(&w, &line)) {
        if (++s->unchecked >= CHECK_AFTER && scan_out_of_time(s))
            return 0;
        if (look_at(s, line, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- columns ---- */

static void find_given(struct scan *s)
{
    static const str own[] = {S("id"), S("time"), S("app"), S("level"), S("severity_number")};
    s->given = NULL;
    if (!s->fields)
        return;
    s->given = arena_zero(s->block_a, s->block->head->columns);
    for (size_t i = 0; i < s->fields_n; i++) {
        for (size_t k = 0; k < LENGTH(own); k++)
            s->given[SYSTEM_RECV] |= str_eq(s->fields[i], own[k]);
        for (size_t k = SYSTEM_COLUMNS; k < s->block->head->columns; k++)
            s->given[k] |= s->block->columns[k].kind == KIND_REST || str_eq(block_name(s->block, k), s->fields[i]);
    }
}

struct row_columns {
    const int64_t *time, *severity, *recv, *number;
};

static const int64_t *own_column(struct scan *s, size_t column, struct err *e)
{
    const struct column *c = block_column(s->block, column, e);
    return c ? c->numbers : NULL;
}

static int take_event(struct scan *s, const struct row_columns *c, size_t row, struct err *e)
{
    char id[EVENT_ID_LEN];
    if (s->a.used > 64 << 10)
        arena_reset(&s->a);
    s->row = row;
    s->read = false;
    s->time = c->time[row];
    s->severity = (int)c->severity[row];
    if (s->wanted) {
        event_id_print(c->recv[row], (uint32_t)c->number[row], id);
        if (!s->wanted(s->arg, s->time, str_n(id, sizeof id)))
            return 0;
    }
    s->matched++;
    return s->take(s->arg, s, e);
}

/* In order of time, which is that of the rows. */
static int take_events(struct scan *s, const uint64_t *bits, size_t n, struct err *damage, struct err *e)
{
    struct row_columns c = {own_column(s, SYSTEM_TIME, damage), own_column(s, SYSTEM_SEVERITY, damage), NULL, NULL};
    if (c.time && c.severity && s->wanted) {
        c.recv = own_column(s, SYSTEM_RECV, damage);
        c.number = own_column(s, SYSTEM_ROW, damage);
    }
    if (!c.time || !c.severity || (s->wanted && (!c.recv || !c.number)))
        return (void)damaged(s, damage), 0;
    find_given(s);
    for (size_t k = 0; k < n; k++) {
        size_t row = s->ascending ? k : n - 1 - k;
        if (!(bits[row / 64] >> row % 64 & 1))
            continue;
        if (++s->unchecked >= CHECK_AFTER && scan_out_of_time(s))
            return 0;
        if (take_event(s, &c, row, e) < 0)
            return -1;
    }
    return 0;
}

static int take_columns(struct scan *s, struct looked *l, struct err *e)
{
    size_t n = l->block.head->events;
    s->block = &l->block;
    s->block_a = &l->block_a;
    s->match_a = &l->match_a;
    int rc = s->take_bits ? s->take_bits(s->arg, s, l->bits, &l->why, e) : 0;
    if (rc == 0)
        rc = take_events(s, l->bits, n, &l->why, e);
    else if (rc == 1)
        s->matched += bits_count(l->bits, bit_words(n));
    else if (rc == 2)
        (void)damaged(s, &l->why);
    s->block = NULL;
    return rc < 0 ? -1 : 0;
}

/* ---- blocks ---- */

struct place {
    size_t block;
    nsec t; /* by which they are ordered */
};

static int by_time(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->t != y->t ? (x->t > y->t) - (x->t < y->t) : (x->block > y->block) - (x->block < y->block);
}

/* The blocks that may have matching events, in the order of the scan. */
static size_t *choose_blocks(const struct scan *s, size_t *ret_n)
{
    size_t count = store_view_count(s->view), n = 0;
    struct place *places = xcalloc(count + 1, sizeof *places);
    for (size_t i = 0; i < count; i++) {
        const struct store_block *b = store_view_block(s->view, i);
        if (b->events && b->t_max >= s->from && b->t_min < s->to &&
            outlook(s, b->levels, b->t_min, b->t_max) != OUTLOOK_NO)
            places[n++] = (struct place){i, s->ascending ? b->t_min : b->t_max};
    }
    qsort(places, n, sizeof *places, by_time);
    size_t *blocks = xcalloc(n + 1, sizeof *blocks);
    for (size_t i = 0; i < n; i++)
        blocks[i] = places[s->ascending ? i : n - 1 - i].block;
    free(places);
    *ret_n = n;
    return blocks;
}

bool scan_takes_whole(const struct scan *s, const struct store_block *b)
{
    return s->whole && b->t_min >= s->from && b->t_max < s->to &&
           outlook(s, b->levels, b->t_min, b->t_max) == OUTLOOK_YES;
}

static int take_lines(struct scan *s, size_t i, struct err *e)
{
    struct err why;
    str lines;
    if (store_view_lines(s->view, i, &s->scratch, &lines, &why) < 0) {
        s->partial = true; /* the store has told of it */
        return 0;
    }
    s->bytes += lines.n;
    return scan_lines(s, lines, e);
}

static int take_block(struct scan *s, struct ahead *a, struct looked *l, struct err *e)
{
    const struct store_block *b = store_view_block(s->view, l->index);
    s->events += b->events;
    if (l->look == LOOK_WHOLE && s->whole(s->arg, b)) {
        s->matched += b->events;
        return 0;
    }
    if (l->look == LOOK_WHOLE)
        ahead_read(a, l);
    if (l->look == LOOK_LINES)
        return take_lines(s, l->index, e);
    s->bytes += l->block.head->raw;
    if (l->look == LOOK_DAMAGED) {
        store_view_damaged(s->view, &l->why);
        s->partial = true;
    }
    return l->look == LOOK_BITS && !scan_out_of_time(s) ? take_columns(s, l, e) : 0;
}

static uint64_t gave_up(const struct scan *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->filters_n; i++)
        n += filter_gave_up(s->filters[i]);
    return n;
}

int scan_run(struct scan *s, struct err *e)
{
    size_t n;
    size_t *blocks = choose_blocks(s, &n);
    struct ahead *a = ahead_new(s, blocks, n);
    uint64_t before = gave_up(s);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0 && !scan_out_of_time(s); i++) {
        if (s->more && !s->more(s->arg, store_view_block(s->view, blocks[i])))
            break;
        rc = take_block(s, a, ahead_next(a, i), e);
    }
    ahead_free(a);
    free(blocks);
    s->partial |= gave_up(s) != before;
    return rc;
}
